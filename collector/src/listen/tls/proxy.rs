//! The PROXY protocol, versions 1 and 2: the address a balancer speaks for.
//!
//! In: the bytes in front of a connection. Out: how long the header is and whose connection it is, or that more bytes
//! are needed. Promise: a pure function of the bytes; what only looks like a header is no header. Whether an address
//! may send one is the caller's question. Failure: [`ProxyError`]. Source: HAProxy, "The PROXY protocol", sections 2.1
//! and 2.2 (proxy-protocol.txt of 2020/03/05).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many bytes a header may have, the extensions (TLV) of version 2 included.
pub const PROXY_BYTES_MAX: usize = 4096;
/// A header of version 1 is a line of at most so many bytes (section 2.1).
const LINE_BYTES_MAX: usize = 107;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const WORD: &[u8; 6] = b"PROXY ";

/// What stands in front of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// The bytes so far are the beginning of a header.
    More,
    /// No header.
    None,
    /// A header of so many bytes; `None` = the balancer's own connection (a health check), or one whose address it
    /// does not say.
    Header {
        /// Its length.
        length: usize,
        /// Whose connection it is.
        source: Option<IpAddr>,
    },
}

/// Why a header is none after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The line of version 1 is not as it should be.
    #[error("PROXY header of version 1 is malformed")]
    Line,
    /// A version or command that is not known.
    #[error("PROXY header of an unknown version or command")]
    Version,
    /// The addresses of version 2 do not fit their length, or it is longer than [`PROXY_BYTES_MAX`].
    #[error("PROXY header of version 2 has a wrong length")]
    Length,
}

/// Reads what stands in front.
///
/// # Errors
/// It begins as a header does, and breaks the form.
pub fn read(bytes: &[u8]) -> Result<Front, ProxyError> {
    let begins = |mark: &[u8]| bytes.iter().zip(mark).all(|(left, right)| left == right);
    if begins(SIGNATURE) {
        return if bytes.len() < 16 { Ok(Front::More) } else { version_2(bytes) };
    }
    if begins(WORD) {
        return if bytes.len() < WORD.len() { Ok(Front::More) } else { version_1(bytes) };
    }
    Ok(Front::None)
}

/// `PROXY TCP4 source destination port port\r\n`.
fn version_1(bytes: &[u8]) -> Result<Front, ProxyError> {
    let line = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if line.len() < LINE_BYTES_MAX { Ok(Front::More) } else { Err(ProxyError::Line) };
    };
    let text = std::str::from_utf8(&line[WORD.len()..end]).map_err(|_bad| ProxyError::Line)?;
    let mut words = text.split(' ');
    let source = match words.next() {
        // Whatever follows is to be ignored (section 2.1).
        Some("UNKNOWN") => None,
        Some(family @ ("TCP4" | "TCP6")) => {
            let mut address = || words.next().and_then(|word| word.parse::<IpAddr>().ok()).ok_or(ProxyError::Line);
            let (source, destination) = (address()?, address()?);
            let mut port = || words.next().and_then(|word| word.parse::<u16>().ok()).ok_or(ProxyError::Line);
            port()?;
            port()?;
            let is_of_family = |address: IpAddr| address.is_ipv4() == (family == "TCP4");
            if words.next().is_some() || !is_of_family(source) || !is_of_family(destination) {
                return Err(ProxyError::Line);
            }
            Some(source)
        }
        _ => return Err(ProxyError::Line),
    };
    Ok(Front::Header { length: end + 2, source: source.map(|address| address.to_canonical()) })
}

/// Signature, version and command, family, length, addresses, extensions. At least 16 bytes are there.
fn version_2(bytes: &[u8]) -> Result<Front, ProxyError> {
    let (command, family) = (bytes[12], bytes[13]);
    let body = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let length = 16 + body;
    if PROXY_BYTES_MAX < length {
        return Err(ProxyError::Length);
    }
    if !matches!(command, 0x20 | 0x21) {
        return Err(ProxyError::Version);
    }
    if bytes.len() < length {
        return Ok(Front::More);
    }
    let addresses = &bytes[16..length];
    let source = match (command, family >> 4) {
        (0x20, _) => None,
        (_, 1) => {
            let four: [u8; 4] = addresses.get(..4).and_then(|four| four.try_into().ok()).ok_or(ProxyError::Length)?;
            (12 <= body).then_some(IpAddr::V4(Ipv4Addr::from(four))).map(Some).ok_or(ProxyError::Length)?
        }
        (_, 2) => {
            let six: [u8; 16] = addresses.get(..16).and_then(|six| six.try_into().ok()).ok_or(ProxyError::Length)?;
            (36 <= body).then_some(IpAddr::V6(Ipv6Addr::from(six))).map(Some).ok_or(ProxyError::Length)?
        }
        // Unspecified, Unix sockets, what may come: the connection's own address counts (section 2.2).
        _ => None,
    };
    Ok(Front::Header { length, source: source.map(|address| address.to_canonical()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(body.len()).expect("short").to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<Front, ProxyError>) {
        let mut longer = bytes.to_vec();
        longer.extend(b"<13>hello");
        assert_eq!(read(&longer), expected);
        // However it is cut, the beginning asks for more or says the same.
        for end in 0..bytes.len() {
            let part = read(&bytes[..end]);
            assert!(part == Ok(Front::More) || part == expected, "{end}: {part:?}");
        }
    }

    fn found(length: usize, source: Option<&str>) -> Result<Front, ProxyError> {
        Ok(Front::Header { length, source: source.map(|text| text.parse().expect("an address")) })
    }

    #[test]
    fn version_1_is_read() {
        check(b"PROXY TCP4 192.0.2.9 198.51.100.1 51000 6514\r\n", found(46, Some("192.0.2.9")));
        check(b"PROXY TCP6 2001:db8::9 2001:db8::1 51000 6514\r\n", found(47, Some("2001:db8::9")));
        check(b"PROXY TCP6 ::ffff:192.0.2.9 ::ffff:192.0.2.1 1 2\r\n", found(50, Some("192.0.2.9")));
        check(b"PROXY UNKNOWN\r\n", found(15, None));
        check(b"PROXY UNKNOWN whatever\r\n", found(24, None));
        for bad in [
            "PROXY TCP4 192.0.2.9 198.51.100.1 51000\r\n",
            "PROXY TCP4 2001:db8::9 2001:db8::1 1 2\r\n",
            "PROXY TCP4 192.0.2.9 198.51.100.1 51000 99999\r\n",
            "PROXY TCP4 192.0.2.9 198.51.100.1 1 2 3\r\n",
            "PROXY UDP4 192.0.2.9 198.51.100.1 1 2\r\n",
        ] {
            check(bad.as_bytes(), Err(ProxyError::Line));
        }
        assert_eq!(read(&[b"PROXY ".as_slice(), &[b'x'; 200]].concat()), Err(ProxyError::Line));
    }

    #[test]
    fn version_2_is_read() {
        let four = [192, 0, 2, 9, 198, 51, 100, 1, 0xc7, 0x38, 0x19, 0x72];
        check(&header(0x21, 0x11, &four), found(28, Some("192.0.2.9")));
        let with_extension = [four.as_slice(), &[4, 0, 1, 0]].concat();
        check(&header(0x21, 0x11, &with_extension), found(32, Some("192.0.2.9")));
        let mut six = [0; 36];
        six[..16].copy_from_slice(&"2001:db8::9".parse::<Ipv6Addr>().expect("an address").octets());
        check(&header(0x21, 0x21, &six), found(52, Some("2001:db8::9")));
        check(&header(0x20, 0x00, &[]), found(16, None));
        check(&header(0x21, 0x31, &[0; 216]), found(232, None));
        check(&header(0x21, 0x11, &four[..8]), Err(ProxyError::Length));
        check(&header(0x21, 0x21, &six[..20]), Err(ProxyError::Length));
        check(&header(0x11, 0x11, &four), Err(ProxyError::Version));
        check(&header(0x22, 0x11, &four), Err(ProxyError::Version));
        check(&header(0x21, 0x11, &[0; 5000]), Err(ProxyError::Length));
    }

    #[test]
    fn what_is_no_header_is_none() {
        for text in ["<13>hello", "12 <13>hello", "PROXYING", "\r\n<13>x", "\x16\x03\x01"] {
            assert_eq!(read(text.as_bytes()), Ok(Front::None), "{text:?}");
        }
        for part in ["", "P", "PROX", "\r\n\r"] {
            assert_eq!(read(part.as_bytes()), Ok(Front::More), "{part:?}");
        }
    }
}
