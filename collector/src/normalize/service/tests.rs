//! What all services share, and hostile lines for each of them.

use nhatle_event::{Event, Record};

use super::*;

/// The event of a line read with a profile.
#[track_caller]
pub fn event_of(profile: &str, line: &[u8]) -> Event {
    let received = Timestamp::parse("2026-11-24T00:00:00Z", 0).expect("a date");
    let mut record = Record::new(line, "test", received);
    record.profile = (!profile.is_empty()).then(|| profile.into());
    crate::to_event(&record, &crate::Settings::default()).expect("is an event")
}

/// The fields of a line read with a profile (empty = by content); `!name` = the event has no such field.
#[track_caller]
pub fn check(profile: &str, line: &str, expected: &[(&str, &str)]) {
    check_event(&event_of(profile, line.as_bytes()), line, expected);
}

/// The same for an event.
#[track_caller]
pub fn check_event(event: &Event, line: &str, expected: &[(&str, &str)]) {
    assert_eq!(event.get(Field::NHATLE_PROFILE_READ), None, "is never read as another: {line}");
    for (name, value) in expected {
        let (name, is_absent) = name.strip_prefix('!').map_or((*name, false), |name| (name, true));
        let held = match name {
            "@timestamp" => Some(event.timestamp.to_string()),
            name => Field::lookup(name)
                .and_then(|field| event.get(field))
                .map(|value| value.each().filter_map(Value::as_text).collect::<Vec<_>>().join(",")),
        };
        let wanted = (!is_absent).then_some(*value);
        assert_eq!(held.as_deref(), wanted, "{name} of {line}\n{:?}", event.fields());
    }
}

#[test]
fn programs_are_known_by_their_tag_alone() {
    for (tag, module) in [
        ("postfix/smtpd", "postfix"),
        ("named", "bind"),
        ("/usr/sbin/named", "bind"),
        ("ovpn-server", "openvpn"),
        ("dnsmasq", "dnsmasq"),
        ("dnsmasq-dhcp", "dnsmasq"),
        ("postgres", "postgresql"),
        ("mariadbd", "mysql"),
    ] {
        assert_eq!(by_tag(tag).map(|program| program.module), Some(module), "{tag}");
    }
    for tag in ["", "post", "dovecots", "namedx", "xpostfix/smtpd"] {
        assert!(by_tag(tag).is_none(), "{tag}");
    }
}

#[test]
fn a_line_of_no_known_wording_keeps_its_text() {
    let line = "<22>Nov 23 20:10:00 mail-01 postfix/master[9]: reload -- version 3.7.11";
    let told = [("message", "reload -- version 3.7.11"), ("!event.action", ""), ("event.module", "postfix")];
    for profile in ["postfix", "linux", "syslog", ""] {
        check(profile, line, &told);
    }
}

#[test]
fn hostile_lines_are_events_or_dead_letters_and_set_no_address() {
    let pieces: [&[u8]; 20] = [
        b"",
        b"[",
        b"client",
        b"client @",
        b"client @0x #",
        b"query[",
        b"DHCP(",
        b":",
        b"/:",
        b"user=<",
        b"'@'",
        b"\"",
        b"\xff\xfe\x00",
        "ế[ế]ế: ế".as_bytes(),
        b"\0\0\0",
        b"LOG:  ",
        b"A1: reject: ",
        b"A1: to=<",
        b"TLS Auth Error: ",
        b"): ",
    ];
    for program in programs() {
        for piece in pieces {
            for header in
                [format!("<22>Nov 23 20:10:00 h {}[7]: ", program.tag.trim_matches(['/', '-', '('])), String::new()]
            {
                let mut line = header.into_bytes();
                line.extend_from_slice(piece);
                line.extend(std::iter::repeat_n(b'x', 70_000));
                let mut record = Record::new(line, "test", Timestamp(0));
                record.profile = Some(program.profile.name().into());
                if let Ok(event) = crate::to_event(&record, &crate::Settings::default()) {
                    assert!(event.get(Field::SOURCE_IP).is_none(), "{} {piece:?}", program.tag);
                }
            }
        }
    }
}
