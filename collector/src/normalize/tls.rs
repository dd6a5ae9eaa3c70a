//! The version of TLS as logs write it, as ECS has it: protocol and number apart.
//!
//! In: `TLS 1.2`, `TLSv1.3`, `TLSv12`, `SSLv3`, `DTLSv10`. Out: `tls.version_protocol` and `tls.version`; a text of no
//! such form is kept as the version. Source: ECS 8.17 `tls.*`; Zeek `SSL::version_strings`; OpenSSL `SSL_get_version`.

use nhatle_event::{Event, Field};

/// Sets protocol and version.
pub(super) fn set_version(event: &mut Event, text: &str) {
    let text = text.trim();
    if matches!(text, "" | "-" | "UNDETERMINED" | "UNKNOWN") {
        return;
    }
    let (protocol, number) = parts(text).unwrap_or(("", text.to_owned()));
    event.set(Field::TLS_VERSION, number);
    if !protocol.is_empty() {
        event.set_named("tls.version_protocol", protocol);
    }
}

fn parts(text: &str) -> Option<(&'static str, String)> {
    let lower = text.to_ascii_lowercase();
    let known = ["dtls", "tls", "ssl"].into_iter().find(|known| lower.starts_with(known))?;
    let number = lower.get(known.len()..)?.trim_start_matches([' ', 'v']);
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && number.len() <= 8;
    let number = match number.as_bytes() {
        _ if !is_number || number.is_empty() => return None,
        // Zeek leaves the point out.
        [major, minor] if *major != b'.' && *minor != b'.' => {
            format!("{}.{}", char::from(*major), char::from(*minor))
        }
        _ => number.to_owned(),
    };
    Some((known, number))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn versions_in_every_writing() {
        let told = |protocol, number: &str| Some((protocol, number.to_owned()));
        assert_eq!(parts("TLS 1.2"), told("tls", "1.2"));
        assert_eq!(parts("TLSv1.3"), told("tls", "1.3"));
        assert_eq!(parts("TLSv12"), told("tls", "1.2"));
        assert_eq!(parts("DTLSv10"), told("dtls", "1.0"));
        assert_eq!(parts("SSLv3"), told("ssl", "3"));
        assert_eq!(parts("TLSv1"), told("tls", "1"));
        assert_eq!(parts("0x7f17"), None);
        assert_eq!(parts("tls"), None);
    }
}
