//! The sentinel: learns when sources send, and says when one is silent, drops, floods, has a wrong clock or is in two
//! places at once.
//!
//! In: [`Beat`]s (who sent how much, when, from where, with what clock) and ticks of a clock. Out: [`Finding`]s, and the same
//! findings as over once they are. Pure: no I/O, no clock of its own; the same beats and ticks give the same findings. What
//! is usual is learned ([`habit`] for silence, [`profile`] for counts); days off count as Sundays ([`calendar`]). When most of a unit goes
//! silent together, that is one finding. While the program did not run, or an outage is planned, nothing is
//! learned and nothing is said. Bounded: [`SOURCES_MAX`] sources, some kilobytes each. State is JSON ([`Sentinel::state`]).

pub mod calendar;
mod clock;
pub mod habit;
pub mod history;
pub mod identity;
pub mod outage;
pub mod profile;
mod source;
pub mod tail;

use std::collections::BTreeMap;

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

pub use calendar::Calendar;
use identity::Addresses;
use source::{Remark, SECOND_NS, Source, Standing};

/// How many sources are watched; later ones are not.
pub const SOURCES_MAX: usize = 4_096;
/// How many certificates are watched.
pub const IDENTITIES_MAX: usize = 4_096;
/// After a pause longer than this nothing was watched.
const PAUSE_NS: i64 = 180 * SECOND_NS;
/// And after one longer than this the longest silences are not known either.
const LONG_PAUSE_NS: i64 = 6 * 3_600 * SECOND_NS;
/// Sources of a unit whose last records lie so close went silent together.
const TOGETHER_NS: i64 = 120 * SECOND_NS;
/// A unit has at least so many sources for its line to be told from them.
const UNIT_SOURCES_MIN: usize = 3;

/// That a source sent.
#[derive(Clone, Copy, Debug)]
pub struct Beat<'a> {
    /// Which.
    pub source: &'a str,
    /// Its organization unit.
    pub unit: Option<&'a str>,
    /// How many records.
    pub count: u64,
    /// When the last of them was received.
    pub last: Timestamp,
    /// Event time minus receipt time of some of them, milliseconds.
    pub offsets_ms: &'a [i32],
    /// The addresses they came from.
    pub addresses: &'a [String],
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A source is silent.
    Silence,
    /// Most of a unit is.
    Line,
    /// A source sends far less than usual.
    Drop,
    /// Far more.
    Flood,
    /// Its clock is wrong, or was set.
    Clock,
    /// One name, two addresses.
    Identity,
    /// One certificate, two addresses.
    Certificate,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 7] =
        [Kind::Silence, Kind::Line, Kind::Drop, Kind::Flood, Kind::Clock, Kind::Identity, Kind::Certificate];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Silence => "silence",
            Kind::Line => "line",
            Kind::Drop => "drop",
            Kind::Flood => "flood",
            Kind::Clock => "clock",
            Kind::Identity => "identity",
            Kind::Certificate => "certificate",
        }
    }
}

/// What is known of when a source speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rhythm {
    /// Too little.
    Unknown,
    /// At all hours.
    Steady,
    /// At certain times, as jobs do.
    Planned,
    /// While people work: a day's absence is no silence.
    Office,
}

/// What silence of a source is usual, and which alarms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UsualSilence {
    /// What is known of it.
    pub rhythm: Rhythm,
    /// Of the silence that is going on, or of one that began now: what it is on nine of ten days, seconds; `None` where that is not
    /// known, or nothing is to be heard that day.
    pub usual_s: Option<f32>,
    /// After so many seconds it alarms.
    pub alarm_s: Option<f32>,
    /// It has alarmed, or its whole unit has.
    pub is_silent: bool,
}

/// Something unusual, or that it is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// The source; the unit for [`Kind::Line`].
    pub name: String,
    /// The organization unit.
    pub unit: Option<String>,
    /// Since when; with kind and name it names the finding.
    pub since: Timestamp,
    /// When it was found, or found to be over.
    pub at: Timestamp,
    /// It is over.
    pub is_over: bool,
    /// The sources of the unit that are silent, for [`Kind::Line`]; the addresses for identities.
    pub names: Vec<String>,
    /// Seconds of silence, records in this hour, or the clock's offset in seconds.
    pub number: f64,
    /// What is usual: seconds, or records in such an hour.
    pub usual: f64,
}

/// A unit that is silent.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Down {
    since: i64,
    sources: Vec<String>,
}

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sentinel {
    #[serde(skip)]
    calendar: Calendar,
    sources: BTreeMap<String, Source>,
    down: BTreeMap<String, Down>,
    identities: BTreeMap<String, Addresses>,
    ticked_ns: i64,
    #[serde(skip)]
    pending: Vec<Finding>,
}

impl Sentinel {
    /// A sentinel that knows nothing yet.
    pub fn new(calendar: Calendar) -> Sentinel {
        Sentinel { calendar, ..Sentinel::default() }
    }

    /// One that goes on from what [`Sentinel::state`] gave.
    ///
    /// # Errors
    /// The bytes are no such state.
    pub fn restore(state: &[u8], calendar: Calendar) -> Result<Sentinel, serde_json::Error> {
        let known: Sentinel = serde_json::from_slice(state)?;
        Ok(Sentinel { calendar, ..known })
    }

    /// What it knows, to go on from later.
    pub fn state(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// How many sources are watched.
    pub fn source_count(&self) -> usize {
        self.sources.len()
    }

    /// What silence of each source is usual at this moment.
    pub fn usual(&self, now: Timestamp) -> impl Iterator<Item = (&str, UsualSilence)> {
        self.sources.iter().map(move |(name, source)| {
            let (usual_s, alarm_s) = source.usual_s(now, &self.calendar).unzip();
            let is_silent = source.standing != Standing::Fine;
            (name.as_str(), UsualSilence { rhythm: source.kind(), usual_s, alarm_s, is_silent })
        })
    }

    /// Learns what is usual from what it knows, where nobody has since it was restored.
    pub fn learn(&mut self, now: Timestamp) {
        self.sources.values_mut().for_each(|source| source.learn(now, &self.calendar));
    }

    /// Lets time pass that is over: nobody is called silent in it, and what is usual is learned with the next tick. For weeks that
    /// are lived through at once.
    pub fn pass_over(&mut self, now: Timestamp) {
        self.sources.values_mut().for_each(|source| source.pass_over(now, &self.calendar));
        self.pending.clear();
        self.ticked_ns = now.0;
    }

    /// Begins to watch anew: silences count from now.
    pub fn begin(&mut self, now: Timestamp) {
        self.sources.values_mut().for_each(|source| source.excuse(now));
        self.pass_over(now);
        self.learn(now);
    }

    /// Takes in that a source sent. Findings come with the next tick.
    pub fn see(&mut self, beat: &Beat<'_>) {
        if !self.sources.contains_key(beat.source) {
            if SOURCES_MAX <= self.sources.len() {
                return;
            }
            self.sources.insert(beat.source.to_owned(), Source::new(beat.last, &self.calendar));
        }
        let source = self.sources.get_mut(beat.source).expect("it was just put there where it was not");
        let mut remarks = Vec::new();
        let silent_since = source.see(beat, &self.calendar, &mut remarks);
        let unit = source.unit.clone();
        let mut twice = Vec::new();
        for address in beat.addresses {
            twice.extend(source.addresses.see(address, beat.last.0));
        }
        let finding = |kind, since: i64, is_over, number| Finding {
            kind,
            name: beat.source.to_owned(),
            unit: unit.clone(),
            since: Timestamp(since),
            at: beat.last,
            is_over,
            names: Vec::new(),
            number,
            usual: 0.0,
        };
        if let Some(since) = silent_since {
            self.pending.push(finding(Kind::Silence, since, true, seconds(beat.last.0 - since)));
        }
        for (one, other) in twice {
            let named = Finding { names: vec![one, other], ..finding(Kind::Identity, beat.last.0, false, 2.0) };
            self.pending.push(named);
        }
        self.pending.extend(remarks.iter().map(|remark| said(remark, beat.source, unit.clone(), beat.last)));
    }

    /// Takes in from which address a certificate was used.
    pub fn see_certificate(&mut self, name: &str, unit: Option<&str>, address: &str, now: Timestamp) {
        if IDENTITIES_MAX <= self.identities.len() && !self.identities.contains_key(name) {
            return;
        }
        if let Some((one, other)) = self.identities.entry(name.to_owned()).or_default().see(address, now.0) {
            self.pending.push(Finding {
                kind: Kind::Certificate,
                name: name.to_owned(),
                unit: unit.map(str::to_owned),
                since: now,
                at: now,
                is_over: false,
                names: vec![one, other],
                number: 2.0,
                usual: 1.0,
            });
        }
    }

    /// Lets time pass and says what was found. `is_planned`: for a source and its unit, whether an outage is planned now.
    pub fn tick(&mut self, now: Timestamp, is_planned: impl Fn(&str, Option<&str>) -> bool) -> Vec<Finding> {
        let from = Timestamp(self.ticked_ns);
        let passed_ns = now.since(from);
        if passed_ns <= 0 {
            // The clock was set back: nothing is known of the time between.
            self.ticked_ns = now.0;
            return std::mem::take(&mut self.pending);
        }
        self.ticked_ns = now.0;
        let mut quiet: Vec<String> = Vec::new();
        for (name, source) in &mut self.sources {
            if PAUSE_NS < passed_ns {
                source.excuse(now);
                if LONG_PAUSE_NS < passed_ns {
                    source.excuse_whole(now);
                }
            } else if is_planned(name, source.unit.as_deref()) {
                source.excuse_whole(now);
            }
            let mut remarks = Vec::new();
            source.pass(now, &self.calendar, &mut remarks);
            self.pending.extend(remarks.iter().map(|remark| said(remark, name, source.unit.clone(), now)));
            if source.standing == Standing::Fine && source.is_too_quiet(now, &self.calendar) {
                quiet.push(name.clone());
            }
        }
        self.lines_up(now);
        self.lines_down(&mut quiet, now);
        for name in quiet {
            let Some(source) = self.sources.get_mut(&name) else { continue };
            source.standing = Standing::Silent(source.last_ns);
            self.pending.push(Finding {
                kind: Kind::Silence,
                unit: source.unit.clone(),
                since: Timestamp(source.last_ns),
                at: now,
                is_over: false,
                names: Vec::new(),
                number: seconds(now.0 - source.last_ns),
                usual: source.usual_s(now, &self.calendar).map_or(0.0, |(usual_s, _)| f64::from(usual_s)),
                name,
            });
        }
        std::mem::take(&mut self.pending)
    }

    /// Units of which enough sends again.
    fn lines_up(&mut self, now: Timestamp) {
        let sources = &mut self.sources;
        let pending = &mut self.pending;
        self.down.retain(|unit, down| {
            let is_back = |name: &&String| sources.get(*name).is_some_and(|source| down.since < source.last_ns);
            let back = down.sources.iter().filter(is_back).count();
            if back * 3 < down.sources.len() {
                return true;
            }
            for source in sources.values_mut().filter(|source| source.standing == Standing::Covered) {
                if source.unit.as_ref() == Some(unit) {
                    source.excuse_whole(now);
                }
            }
            pending.push(line_of(unit, down, now, true));
            false
        });
    }

    /// Takes sources out of `quiet` whose whole unit is silent.
    fn lines_down(&mut self, quiet: &mut Vec<String>, now: Timestamp) {
        for name in std::mem::take(quiet) {
            let Some((unit, last_ns)) = self.sources.get(&name).map(|source| (source.unit.clone(), source.last_ns))
            else {
                continue;
            };
            let Some(unit) = unit else {
                quiet.push(name);
                continue;
            };
            if self.sources.get(&name).is_some_and(|source| source.standing == Standing::Covered) {
                continue;
            }
            if let Some(down) = self.down.get(&unit)
                && last_ns <= down.since + TOGETHER_NS
            {
                self.sources.get_mut(&name).into_iter().for_each(|source| source.standing = Standing::Covered);
                continue;
            }
            let members = self.sources.iter_mut().filter(|(_, source)| source.unit.as_ref() == Some(&unit));
            let (mut all, mut active, mut silent) = (0, 0, Vec::new());
            for (member, source) in members {
                all += 1;
                // Who is known to be silent says nothing about the line.
                if *member == name || source.standing == Standing::Fine && source.is_active(now, &self.calendar) {
                    active += 1;
                    if source.last_ns <= last_ns + TOGETHER_NS || source.is_hushed(now, &self.calendar) {
                        silent.push(member.clone());
                    }
                }
            }
            if all < UNIT_SOURCES_MIN || silent.len() < 2 || silent.len() * 5 < active * 4 {
                quiet.push(name);
                continue;
            }
            let since = silent.iter().filter_map(|name| Some(self.sources.get(name)?.last_ns)).max().unwrap_or(last_ns);
            for member in &silent {
                self.sources.get_mut(member).into_iter().for_each(|source| source.standing = Standing::Covered);
            }
            let down = Down { since, sources: silent };
            self.pending.push(line_of(&unit, &down, now, false));
            self.down.insert(unit, down);
        }
    }
}

fn line_of(unit: &str, down: &Down, at: Timestamp, is_over: bool) -> Finding {
    Finding {
        kind: Kind::Line,
        name: unit.to_owned(),
        unit: Some(unit.to_owned()),
        since: Timestamp(down.since),
        at,
        is_over,
        names: down.sources.clone(),
        number: seconds(at.0 - down.since),
        usual: 0.0,
    }
}

fn said(remark: &Remark, name: &str, unit: Option<String>, at: Timestamp) -> Finding {
    let (kind, since, is_over, number, usual) = match *remark {
        Remark::Drop { since, count, usual } => (Kind::Drop, since, false, count as f64, usual),
        Remark::DropOver { since } => (Kind::Drop, since, true, 0.0, 0.0),
        Remark::Flood { since, count, usual } => (Kind::Flood, since, false, count as f64, usual),
        Remark::FloodOver { since } => (Kind::Flood, since, true, 0.0, 0.0),
        Remark::Clock { since, offset_ms, is_step } => {
            (Kind::Clock, since, false, f64::from(offset_ms) / 1e3, if is_step { 1.0 } else { 0.0 })
        }
        Remark::ClockOver { since, offset_ms } => (Kind::Clock, since, true, f64::from(offset_ms) / 1e3, 0.0),
    };
    let (name, since) = (name.to_owned(), Timestamp(since));
    Finding { kind, name, unit, since, at, is_over, names: Vec::new(), number, usual }
}

fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}
