//! Settings by sender: what the configuration says of a device or program (`[[source]]`).
//!
//! In: the sender's address, the input, and, once the record is read, the host and program it names. Out: the one
//! setting that fits most exactly, or none. Promise: the answer is that of [`SourceSettings::find_plainly`], found by
//! a look-up for each width of range that is used, whatever the number of settings.
//!
//! Most exact: a single address before a host name (which the sender writes himself), that before ranges of addresses,
//! narrow ones before wide ones, and those before settings that name no sender; among equals one that names the
//! program, then one that names the input, then the one written first.

use std::net::IpAddr;

use foldhash::HashMap;
use nhatle_event::{Event, Field, Record, Text, Value};

use super::{Cidr, Sender};
use crate::encoding::Encoding;
use crate::profile::Profile;
use crate::timing::TimeLimits;

/// What is said of a sender.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceSetting {
    /// Who it speaks of; empty = anyone.
    pub senders: Vec<Sender>,
    /// Of which programs, by their name in the record; empty = of any.
    pub programs: Vec<Text>,
    /// By which inputs it came, or of which forwarders (all their inputs); empty = by any.
    pub inputs: Vec<Text>,
    /// The source's name, in place of the host's name or address.
    pub name: Option<Text>,
    /// How its records are read, where neither the input nor the record says so.
    pub profile: Option<Profile>,
    /// The organization unit, where the sender has not proven one.
    pub unit: Option<Text>,
    /// The system level of that unit.
    pub system_level: Option<u8>,
    /// Its zone, as [`nhatle_event::time`] has offsets: fixed, or of times that name none.
    pub offset_s: Option<i32>,
    /// How its bytes are text.
    pub encoding: Encoding,
    /// Between which times its clock is believed; `None` = the collector's.
    pub time: Option<TimeLimits>,
}

impl SourceSetting {
    /// Whether a record is read alike with both.
    fn reads_like(&self, other: &SourceSetting) -> bool {
        (self.profile, self.offset_s, self.encoding) == (other.profile, other.offset_s, other.encoding)
    }

    fn fits_path(&self, path: &Path<'_>) -> bool {
        let is_input = |input: &Text| {
            let rest = path.input.strip_prefix(input.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
        };
        let is_program = |program: &Text| path.programs.iter().flatten().any(|told| told.eq_ignore_ascii_case(program));
        (self.inputs.is_empty() || self.inputs.iter().any(is_input))
            && (self.programs.is_empty() || self.programs.iter().any(is_program))
    }

    /// Of equals in sender the less exact come last.
    fn looseness(&self) -> (bool, bool) {
        (self.programs.is_empty(), self.inputs.is_empty())
    }
}

/// Where a record came from, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path<'a> {
    /// The sender's address.
    pub peer: Option<IpAddr>,
    /// The input's name.
    pub input: &'a str,
    /// The host that the record names.
    pub host: Option<&'a str>,
    /// The program that the record names, by its syslog tag and by its process.
    pub programs: [Option<&'a str>; 2],
}

impl<'a> Path<'a> {
    /// What is known before a record is read.
    pub fn of_record(record: &'a Record) -> Path<'a> {
        Path { peer: record.peer, input: &record.input, ..Path::default() }
    }

    /// What is known once it is.
    pub fn of_event(record: &'a Record, event: &'a Event) -> Path<'a> {
        let programs = [event.text(Field::LOG_SYSLOG_APPNAME), event.text(Field::PROCESS_NAME)];
        Path { host: event.text(Field::HOST_NAME), programs, ..Path::of_record(record) }
    }
}

/// All settings, ready to be looked up.
#[derive(Clone, Debug, Default)]
pub struct SourceSettings {
    settings: Vec<SourceSetting>,
    /// Widths of IPv4 and IPv6 ranges that are used, narrow ones first.
    widths: [Vec<u32>; 2],
    /// By family, width and front of the address, most exact first.
    ranges: HashMap<(bool, u32, u128), Vec<usize>>,
    /// By host name in lower case, most exact first.
    hosts: HashMap<String, Vec<usize>>,
    /// Those that name no sender, most exact first.
    anyone: Vec<usize>,
    /// Some name a host or a program, which stand in the record.
    needs_record: bool,
}

impl SourceSettings {
    /// Of these settings, in the order they are written.
    pub fn new(settings: Vec<SourceSetting>) -> SourceSettings {
        let mut all = SourceSettings::default();
        for (at, setting) in settings.iter().enumerate() {
            all.needs_record |= !setting.programs.is_empty();
            for sender in &setting.senders {
                match sender {
                    Sender::Range(range) => {
                        let (is_v4, width, front) = range.key();
                        let widths = &mut all.widths[usize::from(!is_v4)];
                        if !widths.contains(&width) {
                            widths.push(width);
                        }
                        all.ranges.entry((is_v4, width, front)).or_default().push(at);
                    }
                    Sender::Host(name) => {
                        all.needs_record = true;
                        all.hosts.entry(name.to_ascii_lowercase().into()).or_default().push(at);
                    }
                }
            }
            if setting.senders.is_empty() {
                all.anyone.push(at);
            }
        }
        let most_exact_first = |places: &mut Vec<usize>| places.sort_by_key(|at| (settings[*at].looseness(), *at));
        all.ranges.values_mut().chain(all.hosts.values_mut()).for_each(most_exact_first);
        most_exact_first(&mut all.anyone);
        for widths in &mut all.widths {
            widths.sort_unstable_by(|left, right| right.cmp(left));
        }
        all.settings = settings;
        all
    }

    /// The settings as given.
    pub fn all(&self) -> &[SourceSetting] {
        &self.settings
    }

    /// The setting that fits most exactly.
    pub fn find(&self, path: &Path<'_>) -> Option<&SourceSetting> {
        if self.settings.is_empty() {
            return None;
        }
        let pick = |places: Option<&Vec<usize>>| {
            let fits = |at: &&usize| self.settings[**at].fits_path(path);
            places?.iter().find(fits).and_then(|at| self.settings.get(*at))
        };
        let peer = path.peer.map(|peer| peer.to_canonical());
        let of_width = |width: u32| {
            let (is_v4, _, front) = Cidr { network: peer?, prefix: width }.key();
            pick(self.ranges.get(&(is_v4, width, front)))
        };
        let (single, widths) = match peer {
            Some(peer) => (if peer.is_ipv4() { 32 } else { 128 }, &*self.widths[usize::from(!peer.is_ipv4())]),
            None => (0, &[][..]),
        };
        let of_host = || {
            let host = path.host.filter(|_| !self.hosts.is_empty())?;
            pick(self.hosts.get(&*host.to_ascii_lowercase()))
        };
        let ranges = || widths.iter().filter(|width| **width < single).find_map(|width| of_width(*width));
        let exact = peer.filter(|_| widths.first() == Some(&single)).and_then(|_| of_width(single));
        exact.or_else(of_host).or_else(ranges).or_else(|| pick(Some(&self.anyone)))
    }

    /// [`SourceSettings::find`], looking at every setting: what it must answer.
    pub fn find_plainly(&self, path: &Path<'_>) -> Option<&SourceSetting> {
        let closeness = |setting: &SourceSetting| {
            let of_sender = |sender: &Sender| match (sender, path.peer, path.host) {
                (Sender::Range(range), Some(peer), _) if range.contains(peer) => {
                    let is_single = range.prefix == if range.network.is_ipv4() { 32 } else { 128 };
                    Some(if is_single { 1_000 } else { 1 + range.prefix })
                }
                (Sender::Host(name), _, Some(host)) if name.eq_ignore_ascii_case(host) => Some(500),
                _ => None,
            };
            match setting.senders.is_empty() {
                true => Some(0),
                false => setting.senders.iter().filter_map(of_sender).max(),
            }
        };
        let mut best: Option<((u32, bool, bool), &SourceSetting)> = None;
        for setting in self.settings.iter().filter(|setting| setting.fits_path(path)) {
            let Some(closeness) = closeness(setting) else { continue };
            let rank = (closeness, !setting.programs.is_empty(), !setting.inputs.is_empty());
            if best.is_none_or(|(known, _)| known < rank) {
                best = Some((rank, setting));
            }
        }
        best.map(|(_, setting)| setting)
    }

    /// The setting for a record that was read with `used`, now that its host and program are known; and whether it must
    /// be read again with it.
    pub fn after_reading<'a>(
        &'a self,
        record: &Record,
        event: &Event,
        used: Option<&'a SourceSetting>,
    ) -> (Option<&'a SourceSetting>, bool) {
        if !self.needs_record {
            return (used, false);
        }
        let plain = SourceSetting::default();
        let found = self.find(&Path::of_event(record, event));
        (found, !found.unwrap_or(&plain).reads_like(used.unwrap_or(&plain)))
    }
}

impl Cidr {
    /// Family, width and front of the address, alike for all ranges that are the same.
    fn key(&self) -> (bool, u32, u128) {
        let (bits, width) = match self.network {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let front = if self.prefix == 0 { 0 } else { bits >> (width - self.prefix.min(width)) };
        (width == 32, self.prefix, front)
    }
}

/// Sets what a setting says of the source. What the sender has proven (name and unit of its certificate or token)
/// stands.
pub(super) fn apply(event: &mut Event, record: &Record, setting: &SourceSetting) {
    if let Some(name) = setting.name.as_ref().filter(|_| record.source.is_none()) {
        event.set(Field::NHATLE_SOURCE, name.clone());
    }
    if let Some(unit) = setting.unit.as_ref().filter(|_| record.unit.is_none()) {
        event.set(Field::NHATLE_UNIT, unit.clone());
        match setting.system_level {
            Some(level) => event.set(Field::NHATLE_SYSTEM_LEVEL, Value::Long(i64::from(level))),
            None => drop(event.remove(Field::NHATLE_SYSTEM_LEVEL)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nhatle_event::Timestamp;
    use proptest::prelude::*;

    fn setting(name: &str, senders: &[&str], programs: &[&str], inputs: &[&str]) -> SourceSetting {
        let texts = |texts: &[&str]| texts.iter().map(|text| Text::from(*text)).collect();
        let senders = senders.iter().map(|text| Sender::new(text)).collect();
        let (programs, inputs) = (texts(programs), texts(inputs));
        SourceSetting { senders, programs, inputs, name: Some(name.into()), ..SourceSetting::default() }
    }

    fn name(found: Option<&SourceSetting>) -> &str {
        found.and_then(|setting| setting.name.as_deref()).unwrap_or("-")
    }

    #[test]
    fn the_most_exact_setting_counts() {
        let settings = SourceSettings::new(vec![
            setting("anyone", &[], &[], &[]),
            setting("wide", &["10.0.0.0/8"], &[], &[]),
            setting("narrow", &["10.1.0.0/16"], &[], &[]),
            setting("narrow-sshd", &["10.1.0.0/16"], &["sshd"], &[]),
            setting("host", &["web-01", "web-02"], &[], &[]),
            setting("single", &["10.1.2.3"], &[], &[]),
            setting("single-tcp", &["10.1.2.3"], &[], &["syslog-tcp"]),
            setting("second", &["10.1.2.3"], &[], &[]),
            setting("ward", &["192.168.1.1"], &[], &["w07"]),
            setting("six", &["2001:db8::/32"], &[], &[]),
        ]);
        for (peer, input, host, program, expected) in [
            ("192.0.2.1", "http", "", "", "anyone"),
            ("10.9.9.9", "http", "", "", "wide"),
            ("10.1.9.9", "http", "", "", "narrow"),
            ("::ffff:10.1.9.9", "http", "", "", "narrow"),
            ("10.1.9.9", "http", "", "SSHD", "narrow-sshd"),
            ("10.1.9.9", "http", "WEB-02", "sshd", "host"),
            ("10.1.2.3", "http", "web-01", "sshd", "single"),
            ("10.1.2.3", "syslog-tcp", "web-01", "", "single-tcp"),
            ("192.168.1.1", "w07: syslog-udp", "", "", "ward"),
            ("192.168.1.1", "w077: syslog-udp", "", "", "anyone"),
            ("2001:db8:9::1", "http", "", "", "six"),
        ] {
            let some = |text: &'static str| Some(text).filter(|text| !text.is_empty());
            let path = Path { peer: peer.parse().ok(), input, host: some(host), programs: [some(program), None] };
            assert_eq!(name(settings.find(&path)), expected, "{path:?}");
            assert_eq!(name(settings.find_plainly(&path)), expected, "{path:?}");
        }
        assert!(SourceSettings::default().find(&Path::default()).is_none());
    }

    #[test]
    fn what_the_sender_has_proven_stands() {
        let mut record = Record::new(*b"x", "tcp", Timestamp(0));
        let by_unit = SourceSetting { unit: Some("P1".into()), system_level: Some(3), ..setting("cam", &[], &[], &[]) };
        let mut event = Event::new(Timestamp(0), *b"x");
        apply(&mut event, &record, &by_unit);
        assert_eq!((event.text(Field::NHATLE_SOURCE), event.text(Field::NHATLE_UNIT)), (Some("cam"), Some("P1")));
        assert_eq!(event.get(Field::NHATLE_SYSTEM_LEVEL), Some(&Value::Long(3)));
        (record.unit, record.source) = (Some("P9".into()), Some("w9".into()));
        let mut event = Event::new(Timestamp(0), *b"x");
        event.set_record_origin(&record);
        apply(&mut event, &record, &by_unit);
        assert_eq!(event.text(Field::NHATLE_SOURCE), None);
        assert_eq!(event.text(Field::NHATLE_UNIT), Some("P9"));
    }

    /// Senders, programs, inputs.
    type Row = (Vec<String>, Vec<String>, Vec<String>);

    fn sender() -> impl Strategy<Value = String> {
        prop_oneof![
            (0u32..4, 0u32..4, prop_oneof![Just(0u32), Just(8), Just(23), Just(24), Just(31), Just(32)])
                .prop_map(|(net, host, prefix)| format!("10.0.{net}.{host}/{prefix}")),
            (0u32..4, prop_oneof![Just(0u32), Just(64), Just(127), Just(128)])
                .prop_map(|(host, prefix)| format!("2001:db8::{host}/{prefix}")),
            (0u32..3).prop_map(|host| format!("h{host}")),
        ]
    }

    proptest! {
        #[test]
        fn found_as_by_looking_at_each(
            rows in proptest::collection::vec(
                (
                    proptest::collection::vec(sender(), 0..3),
                    proptest::collection::vec("[pq]", 0..2),
                    proptest::collection::vec("[ij]", 0..2),
                ),
                0..12,
            ),
            peer in proptest::option::of(prop_oneof![
                (0u32..4, 0u32..4).prop_map(|(net, host)| format!("10.0.{net}.{host}")),
                (0u32..4).prop_map(|host| format!("2001:db8::{host}")),
            ]),
            host in proptest::option::of("[hH][0-3]"),
            program in proptest::option::of("[pqr]"),
            input in "[ijk]",
        ) {
            let row = |(at, (senders, programs, inputs)): (usize, &Row)| {
                let plain = |texts: &[String]| texts.iter().map(|text| Text::from(text.as_str())).collect();
                SourceSetting {
                    senders: senders.iter().map(|text| Sender::new(text)).collect(),
                    programs: plain(programs),
                    inputs: plain(inputs),
                    name: Some(Text::from(at.to_string())),
                    ..SourceSetting::default()
                }
            };
            let settings = SourceSettings::new(rows.iter().enumerate().map(row).collect());
            let path = Path {
                peer: peer.as_deref().and_then(|peer| peer.parse().ok()),
                input: &input,
                host: host.as_deref(),
                programs: [None, program.as_deref()],
            };
            prop_assert_eq!(name(settings.find(&path)), name(settings.find_plainly(&path)));
        }
    }
}
