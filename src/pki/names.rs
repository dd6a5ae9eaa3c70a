//! `ServerNames`: what the server may be called by those who verify its certificate.
//!
//! In: the configuration, and what the machine says of itself. Out: a bounded list of host names and addresses.
//! Failure: none; what cannot be read is left out.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rcgen::SanType;

/// How many names a certificate gets.
pub const NAMES_MAX: usize = 64;

/// A name that every server's certificate has: GnuTLS's senders compare names only, never addresses, so a sender that
/// knows the server by its address expects this one of the city's authority.
const EVERY_SERVER: &str = "nhatle";

/// Host names and addresses of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerNames {
    hosts: Vec<String>,
    addresses: BTreeSet<IpAddr>,
}

impl ServerNames {
    /// The names of a server: the host of its public address, the machine's own, loopback, `nhatle`, and the addresses it
    /// listens on; where that is "every address", those that the machine has.
    pub fn of(public_url: Option<&str>, listening: &[SocketAddr]) -> ServerNames {
        let mut names = ServerNames::default();
        if let Some(host) = public_url.and_then(host_of) {
            names.add(host);
        }
        if let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
            names.add(host.trim());
        }
        for known in ["localhost", "127.0.0.1", "::1", EVERY_SERVER] {
            names.add(known);
        }
        for address in listening {
            if !address.ip().is_unspecified() {
                names.add(&address.ip().to_string());
            } else {
                for own in own_addresses() {
                    names.add(&own.to_string());
                }
            }
        }
        names
    }

    /// Adds a host name or an address; what is neither, and what is past the bound, is left out.
    pub fn add(&mut self, name: &str) {
        if NAMES_MAX <= self.hosts.len() + self.addresses.len() {
            return;
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            self.addresses.insert(address.to_canonical());
            return;
        }
        let name = name.to_ascii_lowercase();
        let is_label = |label: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(good)
        };
        if name.len() <= 253 && name.split('.').all(is_label) && !self.hosts.contains(&name) {
            self.hosts.push(name);
        }
    }

    /// The name that stands in the subject.
    pub fn first(&self) -> String {
        self.hosts.first().cloned().unwrap_or_else(|| "nhatle".to_owned())
    }

    /// Host names, the best known first.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied()
    }

    /// As they stand in a certificate.
    pub(super) fn subject_alt_names(&self) -> Vec<SanType> {
        // Host names were checked: letters, digits, hyphens.
        let hosts = self.hosts.iter().filter_map(|host| host.as_str().try_into().ok().map(SanType::DnsName));
        hosts.chain(self.addresses().map(SanType::IpAddress)).collect()
    }
}

/// Finds what is wrong with `server.public_url`. Without its scheme it would be taken for one without TLS, and cookies would go
/// over plain connections.
pub fn check_public_url(url: &str, problems: &mut Vec<String>) {
    let has_scheme = url.starts_with("https://") || url.starts_with("http://");
    let is_good = url.is_empty() || (has_scheme && host_of(url).is_some());
    if !is_good {
        problems.push(format!("server.public_url: no address as https://soc.example: {url}"));
    }
}

/// The host of `https://host:port/path`.
pub fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_scheme, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    };
    Some(host).filter(|host| !host.is_empty())
}

/// The addresses this machine has, from the kernel's own tables (Linux); without those of links (fe80::/10).
pub fn own_addresses() -> BTreeSet<IpAddr> {
    let trie = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let six = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    ipv4_of(&trie).into_iter().map(IpAddr::V4).chain(ipv6_of(&six).into_iter().map(IpAddr::V6)).collect()
}

/// Addresses in `/proc/net/fib_trie`: a line `|-- 10.1.2.3`, then `/32 host LOCAL`.
fn ipv4_of(trie: &str) -> Vec<Ipv4Addr> {
    let mut last: Option<Ipv4Addr> = None;
    let mut found = Vec::new();
    for line in trie.lines() {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.trim().parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last);
        }
    }
    found
}

/// Addresses in `/proc/net/if_inet6`: 32 hexadecimal digits in front of each line.
fn ipv6_of(table: &str) -> Vec<Ipv6Addr> {
    let bits = |line: &str| u128::from_str_radix(line.get(..32)?, 16).ok();
    let is_link = |address: &Ipv6Addr| address.segments()[0] & 0xffc0 == 0xfe80;
    table.lines().filter_map(bits).map(Ipv6Addr::from_bits).filter(|address| !is_link(address)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address() {
        for (url, host) in [
            ("https://soc.example", Some("soc.example")),
            ("https://soc.example:8443/x", Some("soc.example")),
            ("https://[2001:db8::1]:8443", Some("[2001:db8::1]")),
            ("https://[2001:db8::1]", Some("[2001:db8::1]")),
            ("", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }

    #[test]
    fn addresses_are_read_from_the_kernels_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.0\n        /24 link UNICAST\n     |-- 192.0.2.7\n        \
                    /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        assert_eq!(ipv4_of(trie), [Ipv4Addr::new(192, 0, 2, 7)]);
        let six =
            "20010db8000000000000000000000007 02 40 00 80 eth0\nfe800000000000000000000000000007 02 40 20 80 eth0\nx\n";
        assert_eq!(ipv6_of(six), ["2001:db8::7".parse::<Ipv6Addr>().expect("an address")]);
    }

    #[test]
    fn names_are_checked_and_bounded() {
        let mut names = ServerNames::default();
        for name in ["Soc.Example", "soc.example", "[2001:db8::1]", "no name", "", "a..b", "192.0.2.1"] {
            names.add(name);
        }
        assert_eq!(names.hosts(), ["soc.example"]);
        assert_eq!(names.addresses().count(), 2);
        for number in 0..100 {
            names.add(&format!("h{number}"));
        }
        assert_eq!(names.subject_alt_names().len(), NAMES_MAX);
    }
}
