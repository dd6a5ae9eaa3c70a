//! What names one thing in the whole city, and what names another thing in every organization unit (ADR 39).
//!
//! In: the name of a field, and a value. Out: whether the value is *local*: every ward has a `192.168.1.10`, a
//! `PC-01` and an `Administrator`. Correlations, risks and incidents join what is local within a unit only, and all
//! else over the whole city. Reads the value alone, so that a value has the same answer wherever it comes from.

use std::net::{IpAddr, Ipv6Addr};

use nhatle_event::Field;
use nhatle_rules::predicate::RuleField;

/// What the values of a field name. The later wins where a name in a rule may be several fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Names {
    /// Kinds of things (a program, a hash, a port, a rule), or things of the whole city. Only an address can be local.
    #[default]
    Any,
    /// A machine by its name in DNS, or an address: a bare name is local.
    Domain,
    /// A user's or group's name.
    Account,
    /// A user's or group's number.
    AccountId,
    /// A machine, a part of one, or something that runs on one.
    Machine,
}

/// Fields of a machine or of what is within one, by the end of their name.
const MACHINES: &[&str] = &[
    "host.name",
    "host.hostname",
    "host.id",
    "observer.name",
    "observer.hostname",
    "interface.name",
    "log.syslog.hostname",
    "log.syslog.procid",
    "log.source.address",
    "related.hosts",
    "network.name",
    "process.pid",
    "process.parent.pid",
    "process.thread.id",
    "winlog.record_id",
    "computer_name",
];

/// The same for names that vendors give, by the last part of the name, without case.
const MACHINE_WORDS: &[&str] = &[
    "mac",
    "computer",
    "computername",
    "devname",
    "hostname",
    "logonid",
    "machinename",
    "processid",
    "srcname",
    "subjectlogonid",
    "targetlogonid",
    "workstation",
    "workstationname",
];

/// Accounts that every machine has, lower case; machine accounts (`PC-01$`) besides.
pub const COMMON_USERS: &[&str] = &[
    "-",
    "root",
    "system",
    "local service",
    "network service",
    "anonymous logon",
    "nobody",
    "www-data",
    "nginx",
    "apache",
    "daemon",
    "unknown",
    "(unknown)",
    "no authentication required",
    "dwm-1",
    "umfd-0",
    "admin",
    "administrator",
    "guest",
    "defaultaccount",
    "user",
];

/// Domains that everybody may use within a network of his own: RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`, and
/// those that routers give.
const LOCAL_DOMAINS: &[&str] = &["local", "lan", "home", "internal", "localdomain", "home.arpa", "localhost"];

/// Identifiers of Windows that are given out once: of a domain or machine, and of Entra ID (MS-DTYP 2.4.2.4).
const UNIQUE_SIDS: &[&str] = &["S-1-5-21-", "S-1-12-1-"];

impl Names {
    /// By the name of a field of an event.
    pub fn of_field(name: &str) -> Names {
        let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
        let ends = |end: &str| name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let parts = || name.split('.');
        let is_account = parts().any(|part| part == "user" || part == "group") || last.contains("user");
        // Sources and the city's inventory have names that are given once.
        if name.starts_with("nhatle.") {
            Names::Any
        } else if MACHINES.iter().any(|end| ends(end)) || MACHINE_WORDS.contains(&last.as_str()) {
            Names::Machine
        } else if last.ends_with("sid") || (is_account && matches!(last.as_str(), "id" | "identifier" | "uid")) {
            Names::AccountId
        } else if is_account {
            if matches!(last.as_str(), "domain" | "email") { Names::Any } else { Names::Account }
        } else if matches!(last.as_str(), "domain" | "address" | "server_name") || ends("dns.question.name") {
            Names::Domain
        } else {
            Names::Any
        }
    }

    /// By a name in a rule, which may be one of several fields.
    pub fn of_rule_field(field: &RuleField) -> Names {
        let of_candidates = field.candidates.iter().map(|candidate| Names::of_field(Field::name(*candidate)));
        of_candidates.max().unwrap_or_else(|| Names::of_field(&field.name))
    }

    /// Whether every unit may have another thing of this name.
    pub fn is_local(self, value: &str) -> bool {
        if let Some(address) = address(value) {
            return is_local_address(address);
        }
        match self {
            Names::Any => is_mac(value),
            Names::Domain => is_bare(value),
            Names::Account => is_common_user(value),
            Names::AccountId => {
                value.bytes().all(|byte| byte.is_ascii_digit())
                    || (value.starts_with("S-1-") && !UNIQUE_SIDS.iter().any(|begin| value.starts_with(begin)))
            }
            Names::Machine => true,
        }
    }
}

/// The address a value is; most values are seen to be none by their first byte or their length.
fn address(value: &str) -> Option<IpAddr> {
    let bytes = value.as_bytes();
    let first = *bytes.first()?;
    let may_be = (first == b':' || first.is_ascii_hexdigit())
        && (2..=45).contains(&bytes.len())
        && bytes.iter().any(|byte| *byte == b'.' || *byte == b':');
    if may_be { value.parse().ok() } else { None }
}

/// Private (RFC 1918), shared (RFC 6598), link-local, loopback, unspecified, and of IPv6 unique local (RFC 4193) and
/// site-local (RFC 3879) ones too; an IPv4 address within an IPv6 one is that address.
pub fn is_local_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let octets = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || (octets[0] == 100 && octets[1] & 0xc0 == 64)
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || is_site_local(address)
        }
    }
}

fn is_site_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfec0
}

/// Six pairs of digits, or three fours of them as Cisco writes it.
fn is_mac(value: &str) -> bool {
    let (length, separators): (usize, &[u8]) = match value.len() {
        17 => (2, b":-"),
        14 => (4, b"."),
        _ => return false,
    };
    let at = |(place, byte): (usize, u8)| match place % (length + 1) == length {
        true => separators.contains(&byte),
        false => byte.is_ascii_hexdigit(),
    };
    value.bytes().enumerate().all(at)
}

/// A name without a domain, or in a domain that everybody may use.
fn is_bare(value: &str) -> bool {
    let name = value.strip_suffix('.').unwrap_or(value);
    let is_within = |domain: &&str| {
        let begin = name.len().saturating_sub(domain.len());
        let is_end = name.get(begin..).is_some_and(|end| end.eq_ignore_ascii_case(domain));
        is_end && (begin == 0 || name.as_bytes()[begin - 1] == b'.')
    };
    !name.contains('.') || LOCAL_DOMAINS.iter().any(is_within)
}

/// Of a name with a domain (`NT AUTHORITY\SYSTEM`) the part behind it counts.
fn is_common_user(value: &str) -> bool {
    let name = value.rsplit('\\').next().unwrap_or(value).trim();
    let is_it = |common: &&str| common.eq_ignore_ascii_case(name);
    name.is_empty() || name.ends_with('$') || COMMON_USERS.iter().any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_local_is_told_by_field_and_value() {
        let rows = [
            ("source.ip", "192.168.1.10", true),
            ("source.ip", "10.45.1.7", true),
            ("source.ip", "172.16.0.1", true),
            ("source.ip", "172.32.0.1", false),
            ("destination.ip", "100.64.0.1", true),
            ("destination.ip", "100.128.0.1", false),
            ("destination.ip", "169.254.3.4", true),
            ("source.ip", "127.0.0.1", true),
            ("source.ip", "0.0.0.0", true),
            ("source.ip", "203.0.113.9", false),
            ("source.ip", "8.8.8.8", false),
            ("source.ip", "::ffff:192.168.1.10", true),
            ("source.ip", "::ffff:8.8.8.8", false),
            ("source.ip", "fe80::1", true),
            ("source.ip", "fd12:3456::1", true),
            ("source.ip", "fec0::1", true),
            ("source.ip", "::1", true),
            ("source.ip", "2001:db8::1", false),
            ("winlog.event_data.IpAddress", "192.168.1.10", true),
            ("winlog.event_data.IpAddress", "203.0.113.9", false),
            ("source.address", "192.168.1.10", true),
            ("source.address", "pc-01", true),
            ("source.address", "c2.example.com", false),
            ("host.name", "PC-01", true),
            ("host.name", "dc01.danang.gov.vn", true),
            ("host.ip", "203.0.113.9", false),
            ("host.os.type", "windows", false),
            ("winlog.computer_name", "PC-01", true),
            ("winlog.event_data.WorkstationName", "PC-01", true),
            ("fortinet.firewall.devname", "FGT", true),
            ("observer.name", "router", true),
            ("source.mac", "02-00-00-00-00-01", true),
            ("some.vendor.field", "02:00:00:00:00:01", true),
            ("some.vendor.field", "0200.0000.0001", true),
            ("some.vendor.field", "02:00:00:00:00:0g", false),
            ("process.pid", "4711", true),
            ("process.name", "cmd.exe", false),
            ("file.hash.sha256", "ab", false),
            ("destination.port", "3389", false),
            ("rule.name", "192.168.1.10", true),
            ("user.name", "lan.nguyen", false),
            ("user.name", "DANANG\\lan.nguyen", false),
            ("user.name", "Administrator", true),
            ("user.name", "PC-01\\Administrator", true),
            ("user.name", "root", true),
            ("user.name", "PC-01$", true),
            ("winlog.event_data.TargetUserName", "SYSTEM", true),
            ("winlog.event_data.TargetUserName", "lan", false),
            ("user.id", "1000", true),
            ("user.id", "S-1-5-18", true),
            ("user.id", "S-1-5-32-544", true),
            ("user.id", "S-1-5-21-1-2-3-1104", false),
            ("winlog.event_data.TargetUserSid", "S-1-5-18", true),
            ("user.email", "lan@danang.gov.vn", false),
            ("user.domain", "DANANG", false),
            ("dns.question.name", "c2.example.com", false),
            ("dns.question.name", "wpad", true),
            ("dns.question.name", "printer.LAN.", true),
            ("dns.question.name", "atlan", true),
            ("dns.question.name", "x.atlan", false),
            ("url.domain", "c2.example.com", false),
            ("nhatle.source", "DH01/router", false),
            ("nhatle.asset.host.name", "csdl-01", false),
            ("", "", false),
            ("source.ip", "", false),
            ("source.ip", "ấ", false),
            ("dns.question.name", "ấ.local", true),
        ];
        for (field, value, expected) in rows {
            assert_eq!(Names::of_field(field).is_local(value), expected, "{field} {value}");
        }
    }
}
