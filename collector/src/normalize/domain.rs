//! A host name's parts: what somebody registered, under which public suffix, and what stands in front.
//!
//! In: a name as a log has it. Out: `<side>.registered_domain`, `.top_level_domain`, `.subdomain` beside
//! `<side>.domain`. Names of no public suffix and addresses have none. Source: the Public Suffix List
//! (publicsuffix.org), ECS 8.17 `server.*` and `url.*`.

use std::net::IpAddr;

use nhatle_event::Event;

/// How long a name may be (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;

/// Sets the parts of a name below `url` or `server`; an address or a name of no suffix sets nothing.
pub(super) fn set_parts(event: &mut Event, side: &'static str, name: &str) {
    let Some((suffix, registered, front)) = parts(name) else { return };
    let mut set = |leaf: &str, value: &str| event.set_named(&format!("{side}.{leaf}"), value);
    set("top_level_domain", suffix);
    if let Some(registered) = registered {
        set("registered_domain", registered);
    }
    if let Some(front) = front {
        set("subdomain", front);
    }
}

/// Suffix, registered domain, what stands in front of it.
fn parts(name: &str) -> Option<(&str, Option<&str>, Option<&str>)> {
    let name = name.trim_end_matches('.');
    let is_name = name.contains('.') && name.len() <= NAME_BYTES_MAX && name.parse::<IpAddr>().is_err();
    is_name.then_some(())?;
    // The list holds lower case only; where the name stands in it is the same in any case.
    let lower = name.to_ascii_lowercase();
    let suffix = psl::suffix_str(&lower)?.len();
    let registered = psl::domain_str(&lower).map(str::len);
    let tail = |len: usize| name.get(name.len().checked_sub(len)?..);
    let front =
        registered.and_then(|len| name.get(..name.len().checked_sub(len + 1)?)).filter(|front| !front.is_empty());
    Some((tail(suffix)?, registered.and_then(tail), front))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn names_are_cut_by_the_public_suffix_list() {
        assert_eq!(parts("www.donghoi.gov.vn"), Some(("gov.vn", Some("donghoi.gov.vn"), Some("www"))));
        assert_eq!(parts("A.B.Example.COM."), Some(("COM", Some("Example.COM"), Some("A.B"))));
        assert_eq!(parts("example.org"), Some(("org", Some("example.org"), None)));
        assert_eq!(parts("co.uk"), Some(("co.uk", None, None)));
        for none in ["localhost", "192.0.2.1", "2001:db8::1", "", ".", "..", "..."] {
            let found = parts(none);
            assert!(found.is_none() || none.starts_with('.'), "{none}: {found:?}");
        }
    }
}
