//! Community ID of a flow: the same text from every sensor for the same connection, so that they can be put together.
//!
//! In: protocol number, both addresses and ports. Out: `1:` and the base64 of a SHA-1. Source: Corelight,
//! "Community ID Flow Hashing", version 1, seed 0; RFC 3174 (SHA-1). SHA-1 is a checksum here, not a secret's
//! guard; it is written out because nothing else in the program needs it.

use std::net::IpAddr;

use nhatle_event::{Event, Field, Value};

/// Sets `network.community_id` where the event tells a TCP, UDP or SCTP flow and has none.
pub fn set(event: &mut Event) {
    let address = |field| event.get(field).and_then(Value::as_ip);
    let port = |field| event.get(field).and_then(Value::as_long).and_then(|port| u16::try_from(port).ok());
    let protocol = match event.text(Field::NETWORK_TRANSPORT) {
        Some("tcp") => 6,
        Some("udp") => 17,
        Some("sctp") => 132,
        _ => return,
    };
    let (Some(source), Some(destination)) = (address(Field::SOURCE_IP), address(Field::DESTINATION_IP)) else { return };
    let (Some(from), Some(to)) = (port(Field::SOURCE_PORT), port(Field::DESTINATION_PORT)) else { return };
    let id = id(protocol, (source, from), (destination, to));
    event.set_default(Field::NETWORK_COMMUNITY_ID, id);
}

/// The id of a flow; both directions have the same.
fn id(protocol: u8, one: (IpAddr, u16), other: (IpAddr, u16)) -> String {
    let bytes = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (one, other) = ((bytes(one.0), one.1), (bytes(other.0), other.1));
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    // Seed 0, addresses, protocol, padding, ports.
    let mut text = vec![0, 0];
    text.extend(low.0);
    text.extend(high.0);
    text.extend([protocol, 0]);
    text.extend(low.1.to_be_bytes());
    text.extend(high.1.to_be_bytes());
    format!("1:{}", base64(&sha1(&text)))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// SHA-1 of a text shorter than 56 bytes: one block.
fn sha1(text: &[u8]) -> [u8; 20] {
    let mut block = [0u8; 64];
    let length = text.len().min(55);
    block[..length].copy_from_slice(&text[..length]);
    block[length] = 0x80;
    block[56..].copy_from_slice(&(length as u64 * 8).to_be_bytes());
    let mut words = [0u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    for at in 16..80 {
        words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
    }
    let start = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let [mut a, mut b, mut c, mut d, mut e] = start;
    for (at, word) in words.iter().enumerate() {
        let (mix, constant) = match at / 20 {
            0 => (b & c | !b & d, 0x5a82_7999u32),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => (b & c | b & d | c & d, 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6),
        };
        let next = a.rotate_left(5).wrapping_add(mix).wrapping_add(e).wrapping_add(constant).wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    let mut sum = [0u8; 20];
    for (bytes, (was, now)) in sum.chunks_exact_mut(4).zip(start.into_iter().zip([a, b, c, d, e])) {
        bytes.copy_from_slice(&was.wrapping_add(now).to_be_bytes());
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_specification() {
        let of = |protocol, a: &str, a_port, b: &str, b_port| {
            let (a, b) = (a.parse().expect("an address"), b.parse().expect("an address"));
            let (there, back) = (id(protocol, (a, a_port), (b, b_port)), id(protocol, (b, b_port), (a, a_port)));
            assert_eq!(there, back);
            there
        };
        // The specification's test vectors, and RFC 3174's of SHA-1.
        assert_eq!(of(6, "128.232.110.120", 34855, "66.35.250.204", 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(of(17, "192.168.1.52", 54585, "8.8.8.8", 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        assert_eq!(base64(&sha1(b"abc")), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    }
}
