//! The two sides of a session under their second names: who asked (`client.*`) and who answered (`server.*`).
//!
//! In: an event of a device whose source is always who began the session. Out: the same with the copies that ECS allows and
//! that Elastic's modules for these devices (PAN-OS, Sophos) give, so that searches and dashboards made for them find what
//! they look for. Source: ECS 8.17, "Client fields"; reasons in ADR 23.

use nhatle_event::{Event, Field};

/// A field of the source or destination, and its copy.
const COPIES: &[(Field, Field)] = &[
    (Field::SOURCE_IP, Field::CLIENT_IP),
    (Field::SOURCE_PORT, Field::CLIENT_PORT),
    (Field::SOURCE_DOMAIN, Field::CLIENT_DOMAIN),
    (Field::SOURCE_MAC, Field::CLIENT_MAC),
    (Field::SOURCE_BYTES, Field::CLIENT_BYTES),
    (Field::SOURCE_PACKETS, Field::CLIENT_PACKETS),
    (Field::SOURCE_NAT_IP, Field::CLIENT_NAT_IP),
    (Field::SOURCE_NAT_PORT, Field::CLIENT_NAT_PORT),
    (Field::SOURCE_USER_NAME, Field::CLIENT_USER_NAME),
    (Field::DESTINATION_IP, Field::SERVER_IP),
    (Field::DESTINATION_PORT, Field::SERVER_PORT),
    (Field::DESTINATION_DOMAIN, Field::SERVER_DOMAIN),
    (Field::DESTINATION_MAC, Field::SERVER_MAC),
    (Field::DESTINATION_BYTES, Field::SERVER_BYTES),
    (Field::DESTINATION_PACKETS, Field::SERVER_PACKETS),
    (Field::DESTINATION_NAT_IP, Field::SERVER_NAT_IP),
    (Field::DESTINATION_NAT_PORT, Field::SERVER_NAT_PORT),
    (Field::DESTINATION_USER_NAME, Field::SERVER_USER_NAME),
];

/// Adds the copies.
pub fn copy(event: &mut Event) {
    for (field, copied) in COPIES {
        if let Some(value) = event.get(*field).cloned() {
            event.set_default(*copied, value);
        }
    }
}

/// `domain\user` and `user@domain` as name and domain; other texts are names.
pub fn name_and_domain(text: &str) -> (&str, &str) {
    if let Some((domain, name)) = text.split_once('\\').filter(|(domain, name)| !domain.is_empty() && !name.is_empty())
    {
        return (name.trim_start_matches('\\'), domain);
    }
    match text.rsplit_once('@') {
        Some((name, domain)) if !name.is_empty() && domain.contains('.') => (name, domain),
        _ => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_carry_its_domain() {
        for (text, name, domain) in [
            (r"donghoi\an", "an", "donghoi"),
            (r"donghoi\\an", "an", "donghoi"),
            ("an@donghoi.example", "an", "donghoi.example"),
            ("an@host", "an@host", ""),
            (r"\an", r"\an", ""),
            ("@x.example", "@x.example", ""),
            ("an", "an", ""),
        ] {
            assert_eq!(name_and_domain(text), (name, domain), "{text}");
        }
    }
}
