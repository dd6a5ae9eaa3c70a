//! Messages of Cisco ASA and FTD that no wording fits: who spoke to whom, by the words that all of them use.
//!
//! In: a message's number and text. Out: the address behind `from` or `src`, the one behind `to` or `dst`, with interface,
//! port and what each was translated to; transport; whether the device refused. Promise: only families whose text is all the
//! device's own are read so ([`FAMILIES`]); where a name, a command or an address that a stranger chose could stand in it, a
//! wording with its place is needed. Source: Cisco Secure Firewall ASA Series Syslog Messages.

use std::net::IpAddr;

use nhatle_event::{Event, Field};

use super::{CLOSED, DENIED, OPENED, SEEN, set_text};
use crate::normalize::device::act;

/// How many words of a message are looked at.
const WORDS_MAX: usize = 64;

/// The first digits of the numbers read here.
const FAMILIES: &[&str] = &[
    "106", "110", "201", "202", "209", "210", "212", "214", "302", "305", "313", "317", "318", "324", "338", "400",
    "401", "405", "406", "407", "410", "411", "415", "416", "418", "419", "420", "421", "424", "431", "434", "446",
    "500", "507", "602", "607", "617", "703", "710", "725",
];
/// More of them; their text has the words in another order.
const FAMILIES_MORE: &[&str] = &["608", "614", "616", "620", "702", "775", "805"];

/// The words that a side stands behind.
const FROM: [&str; 12] = [
    "from",
    "src",
    "src_ip",
    "source",
    "faddr",
    "foreign_address",
    "client",
    "server",
    "peer",
    "for",
    "packet:",
    "SRC",
];
const TO: [&str; 8] = ["to", "dst", "dst_ip", "dest", "laddr", "local_address", "DEST", "dest_ip"];
const TRANSPORTS: [&str; 9] = ["tcp", "udp", "icmp", "gre", "sctp", "esp", "ah", "igmp", "ipv6-icmp"];
/// Words of a refusal.
const REFUSALS: [&str; 14] = [
    "deny",
    "denied",
    "drop",
    "dropped",
    "dropping",
    "discard",
    "discarded",
    "disallowing",
    "exceeded",
    "terminating",
    "terminated",
    "reset",
    "reject",
    "rejected",
];

/// A side as the device writes it: `inside:10.0.0.1/5`, `10.0.0.1`, `(2001:db8::1/5)`.
struct Side<'a> {
    interface: &'a str,
    address: IpAddr,
    port: &'a str,
}

fn side(word: &str) -> Option<Side<'_>> {
    let word = word.trim_matches(['(', ')', ',', ';', '.', '[', ']']);
    let of = |interface, text: &str| {
        let (address, port) = text_and_port(word.get(word.len().checked_sub(text.len())?..)?);
        // A slash with nothing behind it is a line that was cut or made up.
        (!text.ends_with('/')).then_some(Side { interface, address: address.parse().ok()?, port })
    };
    // An IPv6 address has colons of its own, so the whole is tried first.
    of("", word).or_else(|| {
        let (interface, text) = word.split_once(':')?;
        of(interface, text)
    })
}

fn text_and_port(text: &str) -> (&str, &str) {
    let (address, port) =
        text.split_once('/').or_else(|| text.strip_suffix(')')?.split_once('(')).unwrap_or((text, ""));
    (address, port.trim_end_matches([':', ',']))
}

/// Sets what the message's own words say; nothing of a family that is not read here.
pub(super) fn fill(code: &str, message: &str, event: &mut Event) {
    if !FAMILIES.iter().chain(FAMILIES_MORE).any(|front| code.starts_with(front)) {
        return;
    }
    let mut words = message.split_ascii_whitespace().take(WORDS_MAX).peekable();
    let (mut has_from, mut has_to, mut is_refused) = (false, false, false);
    while let Some(word) = words.next() {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        is_refused |= REFUSALS.iter().any(|known| known.eq_ignore_ascii_case(bare));
        if !has_to && TRANSPORTS.iter().any(|known| known.eq_ignore_ascii_case(bare)) {
            set_text(event, Field::NETWORK_TRANSPORT, bare);
        }
        if let Some((name, value)) = word.split_once('=') {
            match name {
                "src_addr" if side(value).is_some() => set_text(event, Field::SOURCE_IP, value.trim_end_matches(',')),
                "dest_addr" if side(value).is_some() => {
                    set_text(event, Field::DESTINATION_IP, value.trim_end_matches(','))
                }
                "prot" => set_text(event, Field::NETWORK_TRANSPORT, value.trim_end_matches(',')),
                _ => {}
            }
            continue;
        }
        if word == "bytes"
            && let Some(bytes) = words.peek()
        {
            set_text(event, Field::NETWORK_BYTES, bytes);
        }
        let fields = match word {
            _ if !has_from && FROM.contains(&word) => SOURCE,
            _ if !has_to && TO.contains(&word) => DESTINATION,
            _ => continue,
        };
        let Some(found) = words.peek().and_then(|word| side(word)) else { continue };
        words.next();
        set(event, fields, &found);
        match fields == SOURCE {
            true => has_from = true,
            false => has_to = true,
        }
        if let Some(translated) = words.peek().filter(|word| word.starts_with('(')).and_then(|word| side(word)) {
            set_text(event, fields[3], &translated.address.to_string());
            set_text(event, fields[4], translated.port);
        }
    }
    let meaning = match message.split(' ').next().unwrap_or_default() {
        "Teardown" => {
            event.set(Field::EVENT_ACTION, "flow-expiration");
            CLOSED
        }
        "Built" if has_from => OPENED,
        _ if is_refused && has_from => DENIED,
        _ => SEEN,
    };
    act(event, meaning);
}

/// Address, port, interface, translated address and port of a side.
type Fields = [Field; 5];
const SOURCE: Fields = [
    Field::SOURCE_IP,
    Field::SOURCE_PORT,
    Field::OBSERVER_INGRESS_INTERFACE_NAME,
    Field::SOURCE_NAT_IP,
    Field::SOURCE_NAT_PORT,
];
const DESTINATION: Fields = [
    Field::DESTINATION_IP,
    Field::DESTINATION_PORT,
    Field::OBSERVER_EGRESS_INTERFACE_NAME,
    Field::DESTINATION_NAT_IP,
    Field::DESTINATION_NAT_PORT,
];

fn set(event: &mut Event, fields: Fields, found: &Side<'_>) {
    event.set(fields[0], found.address);
    set_text(event, fields[1], found.port);
    set_text(event, fields[2], found.interface);
}
