//! Enrichment: what is known of an event's sender, machines, addresses and indicators.
//!
//! In: an event, its record, the settings. Out: the same event with `nhatle.source`, `nhatle.unit`,
//! `nhatle.system_level`, its texts composed, its time within the limits of its source, and what the [`Tables`] in force know: assets, places and networks of public addresses,
//! indicators of threat intelligence. Promise: no event fails here, and the same tables give the same fields.

pub mod asset;
pub mod csv;
pub mod geo;
pub mod intel;
pub mod prefix;
pub mod source;
pub mod tables;
#[cfg(any(test, feature = "made"))]
pub mod mmdb_made;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use nhatle_event::compose::{composed, is_composed};
use nhatle_event::{Event, Field, Record, Text, Value};

pub use source::{SourceSetting, SourceSettings};
pub use tables::Tables;

/// A range of addresses, as `10.0.0.0/8` or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u32,
}

/// Why text is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no range of addresses: {text}")]
pub struct CidrError {
    /// The text.
    pub text: String,
}

impl Cidr {
    /// Its first address.
    pub fn first(&self) -> IpAddr {
        let (first, _) = self.bounds();
        match self.network {
            IpAddr::V4(_) => IpAddr::from(u32::try_from(first).unwrap_or(0).to_be_bytes()),
            IpAddr::V6(_) => IpAddr::from(first.to_be_bytes()),
        }
    }

    /// How many bits its addresses have in common.
    pub fn prefix(&self) -> u32 {
        self.prefix
    }

    /// Its first and last address as numbers.
    fn bounds(&self) -> (u128, u128) {
        let (bits, width) = match self.network {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        // As many ones as bits that may differ.
        let free = u128::MAX.checked_shr(128 - (width - self.prefix.min(width))).unwrap_or(0);
        (bits & !free, bits | free)
    }

    /// Whether the address is in the range; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same_front = |left: u128, right: u128, width: u32| {
            self.prefix == 0 || (left ^ right) >> (width - self.prefix.min(width)) == 0
        };
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(left), IpAddr::V4(right)) => same_front(left.to_bits().into(), right.to_bits().into(), 32),
            (IpAddr::V6(left), IpAddr::V6(right)) => same_front(left.to_bits(), right.to_bits(), 128),
            _ => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.network.is_ipv4() { 32 } else { 128 };
        match self.prefix == width {
            true => self.network.fmt(f),
            false => write!(f, "{}/{}", self.first(), self.prefix),
        }
    }
}

/// Whether an address is one of the public network: not of private, local, shared or reserved ranges, nor multicast.
/// Documentation addresses count as public: nobody has them, and every example does.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            let is_shared = bits >> 22 == 0x6440_0000 >> 22; // 100.64.0.0/10, RFC 6598
            let is_reserved = bits >> 28 == 0xf || bits >> 24 == 0;
            let is_local = address.is_private() || address.is_loopback() || address.is_link_local();
            !(is_local || address.is_multicast() || is_shared || is_reserved)
        }
        IpAddr::V6(address) => {
            let is_local = address.is_unique_local() || address.is_unicast_link_local() || address.is_loopback();
            !(is_local || address.is_unspecified() || address.is_multicast())
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Cidr, CidrError> {
        let error = || CidrError { text: text.to_owned() };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let network: IpAddr = address.trim().parse().map_err(|_error| error())?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.trim().parse().ok().filter(|bits| *bits <= width).ok_or_else(error)?,
            None => width,
        };
        // What is mapped into IPv6 is IPv4.
        let (network, prefix) = match network.to_canonical() {
            mapped @ IpAddr::V4(_) if network.is_ipv6() && 96 <= prefix => (mapped, prefix - 96),
            _ => (network, prefix),
        };
        Ok(Cidr { network, prefix })
    }
}

/// Who a row of the unit table speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Everything in a range of addresses.
    Range(Cidr),
    /// A host by its name, compared without case.
    Host(Text),
}

/// A row of the unit table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitRule {
    /// Who it speaks of.
    pub sender: Sender,
    /// The code of the organization unit.
    pub unit: Text,
    /// The system's level (1 to 5), where it is classified.
    pub system_level: Option<u8>,
}

impl Sender {
    /// An address range (`10.1.0.0/16`, `10.1.2.3`) or, where it is none, a host name.
    pub fn new(text: &str) -> Sender {
        text.parse().map_or_else(|_name| Sender::Host(Text::from(text)), Sender::Range)
    }
}

impl UnitRule {
    /// A row for a sender.
    pub fn new(sender: &str, unit: &str, system_level: Option<u8>) -> UnitRule {
        UnitRule { sender: Sender::new(sender), unit: Text::from(unit), system_level }
    }

    fn fits(&self, peer: Option<IpAddr>, host: Option<&str>) -> bool {
        match &self.sender {
            Sender::Range(range) => peer.is_some_and(|peer| range.contains(peer)),
            Sender::Host(name) => host.is_some_and(|host| host.eq_ignore_ascii_case(name)),
        }
    }
}

/// [`enrich_as`] with the setting that the finished event calls for.
pub fn enrich(event: &mut Event, record: &Record, settings: &crate::Settings) {
    let setting = settings.sources.find(&source::Path::of_event(record, event));
    enrich_as(event, record, settings, setting);
}

/// Everything that is known beside the record: source, unit and system level, what `[[source]]` says of the sender, letters
/// composed, assets, places and indicators, and the limits of its clock.
pub fn enrich_as(event: &mut Event, record: &Record, settings: &crate::Settings, setting: Option<&SourceSetting>) {
    set_origin(event, record, settings);
    if let Some(setting) = setting {
        source::apply(event, record, setting);
    }
    compose(event);
    settings.tables.enrich(event, record.peer);
    setting.and_then(|setting| setting.time).unwrap_or(settings.time).apply(event);
}

/// Composes every text of the event.
fn compose(event: &mut Event) {
    let is_plain = |value: &Value| match value {
        Value::Text(text) => is_composed(text),
        Value::List(values) => values.iter().all(|one| one.text().is_none_or(is_composed)),
        _ => true,
    };
    if event.fields().iter().all(|(_, value)| is_plain(value)) {
        return;
    }
    let others = event.fields().iter().filter(|(_, value)| !is_plain(value));
    let renewed: Vec<(Field, Value)> = others.map(|(field, value)| (*field, composed_value(value))).collect();
    for (field, value) in renewed {
        event.set(field, value);
    }
}

fn composed_value(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::from(&*composed(text)),
        Value::List(values) => Value::List(values.iter().map(composed_value).collect()),
        other => other.clone(),
    }
}

/// Sets source, unit and system level. A source that the sender proved and a unit fixed by the input or token stand;
/// the sender's address comes before the host name, which the sender writes himself.
fn set_origin(event: &mut Event, record: &Record, settings: &crate::Settings) {
    let host = event.text(Field::HOST_NAME).map(Text::from);
    let source = record.source.clone().or_else(|| host.clone()).unwrap_or_else(|| crate::source_name(record));
    let source = match crate::forwarder_of(record).filter(|_name| record.source.is_none()) {
        Some(forwarder) if source != record.input => Text::from(format!("{forwarder}/{source}")),
        _ => source,
    };
    event.set(Field::NHATLE_SOURCE, source);
    if let Some(id) = &record.id {
        event.set_default(Field::EVENT_ID, id.clone());
    }
    let by_address = settings.units.iter().find(|rule| rule.fits(record.peer, None));
    let rule = by_address.or_else(|| settings.units.iter().find(|rule| rule.fits(None, host.as_deref())));
    set_unit(event, record, rule);
}

fn set_unit(event: &mut Event, record: &Record, rule: Option<&UnitRule>) {
    let Some(rule) = rule else { return };
    if record.unit.is_none() {
        event.set(Field::NHATLE_UNIT, rule.unit.clone());
    }
    let is_same_unit = record.unit.as_ref().is_none_or(|unit| *unit == rule.unit);
    if let Some(level) = rule.system_level.filter(|_level| is_same_unit) {
        event.set(Field::NHATLE_SYSTEM_LEVEL, Value::Long(i64::from(level)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use nhatle_event::Timestamp;

    #[track_caller]
    fn check(range: &str, address: &str, expected: bool) {
        let range: Cidr = range.parse().expect("is a range");
        assert_eq!(range.contains(address.parse().expect("is an address")), expected, "{range:?} {address}");
    }

    #[test]
    fn ranges_hold_their_addresses() {
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.1", "10.0.0.1", true);
        check("0.0.0.0/0", "8.8.8.8", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("10.0.0.0/8", "::ffff:10.1.1.1", true);
        assert!("10.0.0.0/33".parse::<Cidr>().is_err());
        assert!("web-01".parse::<Cidr>().is_err());
    }

    #[test]
    fn the_unit_of_the_input_stands_and_the_address_comes_before_the_name() {
        let settings = Settings {
            units: vec![UnitRule::new("web-01", "W1", Some(2)), UnitRule::new("10.1.0.0/16", "W2", Some(3))],
            ..Settings::default()
        };
        let mut record = Record::new(*b"x", "tcp", Timestamp(0));
        record.peer = Some("10.1.2.3".parse().expect("is an address"));
        let mut event = Event::new(Timestamp(0), *b"x");
        event.set(Field::HOST_NAME, "WEB-01");
        enrich(&mut event, &record, &settings);
        assert_eq!(event.text(Field::NHATLE_UNIT), Some("W2"));
        assert_eq!(event.get(Field::NHATLE_SYSTEM_LEVEL), Some(&Value::Long(3)));
        assert_eq!(event.text(Field::NHATLE_SOURCE), Some("WEB-01"));
        record.unit = Some("W9".into());
        let mut event = Event::new(Timestamp(0), *b"x");
        event.set_record_origin(&record);
        enrich(&mut event, &record, &settings);
        assert_eq!(event.text(Field::NHATLE_UNIT), Some("W9"));
        assert_eq!(event.text(Field::NHATLE_SOURCE), Some("10.1.2.3"));
        record.source = Some("ward-01".into());
        event.set(Field::HOST_NAME, "WEB-01");
        enrich(&mut event, &record, &settings);
        assert_eq!(event.text(Field::NHATLE_SOURCE), Some("ward-01"));
        assert_eq!(event.get(Field::NHATLE_SYSTEM_LEVEL), None);
        record.source = None;
        record.input = crate::forwarded_input("ward-02", "syslog-udp");
        enrich(&mut event, &record, &settings);
        assert_eq!(event.text(Field::NHATLE_SOURCE), Some("ward-02/WEB-01"));
    }
}
