//! `[[source]]`: what the configuration says of single senders, checked and turned into the collector's settings.
//!
//! In: the rows as written, the units, the collector's own limits. Out: [`SourceSettings`], or every problem with its
//! key. A zone is an offset (`+07:00`): Vietnam has no summer time, and an offset needs no tables that go out of date.

use nhatle_collector::enrich::Sender;
use nhatle_collector::enrich::source::Path;
use nhatle_collector::{Encoding, Profile, SourceSetting, SourceSettings, TimeLimits};
use nhatle_event::Text;
use nhatle_event::time::{fixed_offset, plain_offset};
use serde::{Deserialize, Serialize};

use crate::units::Unit;

/// How many rows there may be.
pub const ROWS_MAX: usize = 4_096;
/// How long a source's name may be, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// One row as the configuration has it. Who it speaks of: `networks` or `hosts` (either), of `programs`, by `inputs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// The sender's addresses: one (`10.45.0.7`) or a range (`10.45.1.0/24`).
    pub networks: Vec<String>,
    /// The hosts that its records name.
    pub hosts: Vec<String>,
    /// The programs that its records name.
    pub programs: Vec<String>,
    /// The inputs it comes by (`syslog-udp`), or forwarders.
    pub inputs: Vec<String>,
    /// The source's name, in place of the host's name or address.
    pub name: String,
    /// How its records are read.
    pub profile: String,
    /// Code of the organization unit it belongs to.
    pub unit: String,
    /// The zone of times that name none (`+07:00`).
    pub time_zone: String,
    /// The zone of all its times, whatever zone they name.
    pub time_zone_override: String,
    /// How its bytes are text: `utf-8`, `tcvn3`, `vni`, `windows-1258`.
    pub encoding: String,
    /// A time further past its receipt is not believed, seconds; 0 = any is.
    pub time_ahead_max_s: Option<u64>,
    /// A time further before its receipt is not believed, seconds; 0 = any is.
    pub time_behind_max_s: Option<u64>,
}

/// The limits of clocks that `[collector]` sets for all.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// See [`Source::time_ahead_max_s`].
    pub ahead_max_s: u64,
    /// See [`Source::time_behind_max_s`].
    pub behind_max_s: u64,
}

impl Clocks {
    /// The same for the collector.
    pub fn limits(self) -> TimeLimits {
        TimeLimits::live(self.ahead_max_s, self.behind_max_s)
    }
}

/// The settings that the rows mean; what is wrong with them goes to `problems`.
pub fn check(sources: &[Source], units: &[Unit], clocks: Clocks, problems: &mut Vec<String>) -> SourceSettings {
    if ROWS_MAX < sources.len() {
        problems.push(format!("source: at most {ROWS_MAX} of them"));
        return SourceSettings::default();
    }
    let settings = sources.iter().enumerate().map(|(at, source)| {
        let mut row = Row { place: place(at, source), source, problems };
        row.setting(units, clocks)
    });
    SourceSettings::new(settings.collect())
}

/// The row that holds for a source of the receipt book, in the words of the configuration. A source is known there by
/// its name alone, which is a row's, a host's or an address; `None` also where a row holds by an address that the book
/// does not keep.
pub fn shown(settings: &SourceSettings, name: &str, input: &str) -> Option<String> {
    let by_name = || settings.all().iter().find(|setting| setting.name.as_deref() == Some(name));
    let found = by_name()
        .or_else(|| settings.find(&Path { peer: name.parse().ok(), input, host: Some(name), ..Path::default() }))?;
    let at = settings.all().iter().position(|setting| std::ptr::eq(setting, found))?;
    let mut words = Vec::new();
    words.extend(found.profile.map(|profile| format!("profile = \"{}\"", profile.name())));
    words.extend(found.unit.as_ref().map(|unit| format!("unit = \"{unit}\"")));
    words.extend(found.offset_s.map(|offset_s| {
        let plain = plain_offset(offset_s);
        let key = if plain == offset_s { "time_zone" } else { "time_zone_override" };
        let minutes = plain.abs() / 60;
        format!("{key} = \"{}{:02}:{:02}\"", if plain < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    }));
    let encoding = Some(found.encoding).filter(|encoding| *encoding != Encoding::Utf8);
    words.extend(encoding.map(|encoding| format!("encoding = \"{}\"", encoding.name())));
    let limit = |key: &str, ns: Option<i64>| format!("{key} = {}", ns.unwrap_or(0) / 1_000_000_000);
    words.extend(found.time.iter().flat_map(|time| {
        [limit("time_ahead_max_s", time.ahead_max_ns), limit("time_behind_max_s", time.behind_max_ns)]
    }));
    Some(format!("[[source]] {}: {}", at + 1, words.join(", ")).trim_end_matches([':', ' ']).to_owned())
}

/// What a row is called in a problem: its number, and what it is about.
fn place(at: usize, source: &Source) -> String {
    let about = [&source.name].into_iter().chain(&source.networks).chain(&source.hosts).chain(&source.programs);
    let about = about.chain(&source.inputs).find(|text| !text.is_empty());
    format!("source {}{}", at + 1, about.map(|text| format!(" ({text})")).unwrap_or_default())
}

struct Row<'a> {
    place: String,
    source: &'a Source,
    problems: &'a mut Vec<String>,
}

impl Row<'_> {
    fn problem(&mut self, key: &str, text: &str) {
        self.problems.push(format!("{}: {key}: {text}", self.place));
    }

    fn setting(&mut self, units: &[Unit], clocks: Clocks) -> SourceSetting {
        let source = self.source;
        let texts = |texts: &[String]| texts.iter().map(|text| Text::from(text.trim())).collect::<Vec<Text>>();
        let some = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(Text::from);
        if [&source.networks, &source.hosts, &source.programs, &source.inputs].into_iter().all(Vec::is_empty) {
            self.problem("networks, hosts, programs, inputs", "at least one must say who it speaks of");
        }
        for (key, list) in [("hosts", &source.hosts), ("programs", &source.programs), ("inputs", &source.inputs)] {
            if list.iter().any(|text| text.trim().is_empty()) {
                self.problem(key, "an empty name");
            }
        }
        if NAME_BYTES_MAX < source.name.len() || source.name.contains(char::is_control) {
            self.problem("name", "at most 256 bytes, no control characters");
        }
        let unit = units.iter().find(|unit| unit.code == source.unit);
        if !source.unit.is_empty() && unit.is_none() {
            self.problem("unit", &format!("no unit has the code {}", source.unit));
        }
        let mut senders = Vec::with_capacity(source.networks.len() + source.hosts.len());
        for network in &source.networks {
            match Sender::new(network) {
                range @ Sender::Range(_) => senders.push(range),
                Sender::Host(_) => self.problem("networks", &format!("no address or range: {network}")),
            }
        }
        senders.extend(texts(&source.hosts).into_iter().map(Sender::Host));
        SourceSetting {
            senders,
            programs: texts(&source.programs),
            inputs: texts(&source.inputs),
            name: some(&source.name),
            profile: self.profile(),
            unit: some(&source.unit),
            system_level: unit.map(|unit| unit.system_level).filter(|level| *level > 0),
            offset_s: self.offset_s(),
            encoding: self.encoding(),
            time: self.time(clocks),
        }
    }

    fn profile(&mut self) -> Option<Profile> {
        let name = Some(self.source.profile.as_str()).filter(|name| !name.is_empty())?;
        Profile::from_name(name).map_err(|error| self.problem("profile", &error.to_string())).ok()
    }

    fn encoding(&mut self) -> Encoding {
        let name = self.source.encoding.as_str();
        if name.is_empty() {
            return Encoding::Utf8;
        }
        Encoding::from_name(name).unwrap_or_else(|| {
            let known = Encoding::ALL.map(Encoding::name).join(", ");
            self.problem("encoding", &format!("{name} is none of {known}"));
            Encoding::Utf8
        })
    }

    fn offset_s(&mut self) -> Option<i32> {
        let (zone, fixed) = (&self.source.time_zone, &self.source.time_zone_override);
        if !zone.is_empty() && !fixed.is_empty() {
            self.problem("time_zone, time_zone_override", "one of them says all there is to say");
        }
        let (key, text) = if fixed.is_empty() { ("time_zone", zone) } else { ("time_zone_override", fixed) };
        if text.is_empty() {
            return None;
        }
        let Some(offset_s) = offset_of(text) else {
            self.problem(key, &format!("{text} is no offset as +07:00"));
            return None;
        };
        Some(if fixed.is_empty() { offset_s } else { fixed_offset(offset_s) })
    }

    fn time(&self, clocks: Clocks) -> Option<TimeLimits> {
        let (ahead, behind) = (self.source.time_ahead_max_s, self.source.time_behind_max_s);
        let own = Clocks {
            ahead_max_s: ahead.unwrap_or(clocks.ahead_max_s),
            behind_max_s: behind.unwrap_or(clocks.behind_max_s),
        };
        ahead.or(behind).map(|_| own.limits())
    }
}

/// `+hh:mm` or `-hh:mm`, at most 14 hours, or `Z`; in seconds east of UTC.
fn offset_of(text: &str) -> Option<i32> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("Z", "") => return Some(0),
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str| text.parse::<i32>().ok().filter(|_| text.len() == 2 && !text.starts_with('+'));
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = hours * 3600 + minutes * 60;
    ((0..60).contains(&minutes) && (0..=14 * 3600).contains(&seconds)).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigFile};

    #[test]
    fn every_problem_of_every_row_is_said_with_its_key() {
        let text = "[[source]]\nname = \"fw\"\nnetworks = [\"10.0.0.0/33\", \"fw-01\"]\nprofile = \"fortinet\"\n\
                    unit = \"X\"\ntime_zone = \"Asia/Ho_Chi_Minh\"\nencoding = \"latin1\"\n\
                    [[source]]\nencoding = \"vni\"\n\
                    [[source]]\nhosts = [\"cam\"]\ntime_zone = \"+07:00\"\ntime_zone_override = \"+15:00\"\n";
        let file: ConfigFile = toml::from_str(text).expect("is TOML");
        let problems = Config::check(file).expect_err("has problems").problems;
        let expected = [
            "source 1 (fw): unit: no unit has the code X",
            "source 1 (fw): networks: no address or range: 10.0.0.0/33",
            "source 1 (fw): networks: no address or range: fw-01",
            "source 1 (fw): profile: no source profile is called fortinet",
            "source 1 (fw): time_zone: Asia/Ho_Chi_Minh is no offset as +07:00",
            "source 1 (fw): encoding: latin1 is none of utf-8, tcvn3, vni, windows-1258",
            "source 2: networks, hosts, programs, inputs: at least one must say who it speaks of",
            "source 3 (cam): time_zone, time_zone_override: one of them says all there is to say",
            "source 3 (cam): time_zone_override: +15:00 is no offset as +07:00",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_row_is_what_it_says() {
        let text = "[collector]\ntime_ahead_max_s = 60\n\
                    [[unit]]\ncode = \"P1\"\nname = \"P1\"\nsystem_level = 2\n\
                    [[source]]\nname = \"cam-01\"\nnetworks = [\"10.45.0.7\"]\nprofile = \"hikvision\"\nunit = \"P1\"\n\
                    time_zone_override = \"+07:00\"\nencoding = \"tcvn3\"\ntime_behind_max_s = 3600\n";
        let config = Config::check(toml::from_str(text).expect("is TOML")).expect("is right");
        let path = Path { peer: "10.45.0.7".parse().ok(), ..Path::default() };
        let found = config.sources.find(&path).expect("fits").clone();
        assert_eq!((found.name.as_deref(), found.unit.as_deref()), (Some("cam-01"), Some("P1")));
        assert_eq!((found.system_level, found.profile), (Some(2), Some(Profile::Hikvision)));
        assert_eq!((found.offset_s, found.encoding), (Some(fixed_offset(7 * 3600)), Encoding::Tcvn3));
        assert_eq!(found.time, Some(TimeLimits::live(60, 3600)));
        let expected = "[[source]] 1: profile = \"hikvision\", unit = \"P1\", time_zone_override = \"+07:00\", \
                        encoding = \"tcvn3\", time_ahead_max_s = 60, time_behind_max_s = 3600";
        for name in ["cam-01", "10.45.0.7"] {
            assert_eq!(shown(&config.sources, name, "syslog-udp").as_deref(), Some(expected));
        }
        assert_eq!(shown(&config.sources, "10.45.0.8", "syslog-udp"), None);
    }

    #[test]
    fn offsets_are_hours_and_minutes() {
        for (text, expected) in [
            ("+07:00", Some(25_200)),
            ("-03:30", Some(-12_600)),
            ("Z", Some(0)),
            ("+14:00", Some(50_400)),
            ("+14:01", None),
            ("+7", None),
            ("07:00", None),
            ("+07:60", None),
            ("+-7:00", None),
            ("UTC", None),
            ("", None),
        ] {
            assert_eq!(offset_of(text), expected, "{text}");
        }
    }
}
