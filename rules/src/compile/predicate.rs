//! What a compiled rule is: boolean predicates over shared atoms, and the gate of its log source.
//!
//! An [`Atom`] is one test on one field (or on any field: a keyword). Rules share atoms: an atom that a
//! hundred rules use is one entry of [`RuleSet::atoms`](crate::RuleSet) and is evaluated once an event.
//! Alternatives on one field are one atom ([`Test::OneOf`]), so that a list of 300 literals is one bit.
//!
//! All that a match depends on is in these types; the engine that runs them never sees YAML, and nothing
//! here ever sees an event. Meaning of each test: `docs/sigma.md`.

use std::borrow::Cow;
use std::net::IpAddr;

use nhatle_event::{Field, Value};

/// Place of an atom in the rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AtomId(pub u32);

/// Place of a field name, as rules write it, in the rule set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldRef(pub u32);

/// A boolean expression over atoms.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Always or never.
    Constant(bool),
    /// The atom holds.
    Atom(AtomId),
    /// Every part holds. Never empty.
    All(Vec<Predicate>),
    /// At least one part holds. Never empty.
    Any(Vec<Predicate>),
    /// The part does not hold (true also where the field is absent).
    Not(Box<Predicate>),
}

/// One test on one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Atom {
    /// The field, or `None` for a keyword: any single value of the event, field names not included.
    pub field: Option<FieldRef>,
    /// The test. For a field with several values it holds when it holds for any one of them.
    pub test: Test,
}

/// Whether letters that differ only in case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Case {
    /// Sigma's default: Unicode simple case folding. Literals are stored folded.
    Folded,
    /// `cased`.
    Exact,
}

/// The test of an atom. Numbers and booleans are looked at as their text, except where said.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// A text pattern.
    Text(Pattern),
    /// Any of these text patterns (two or more, all of the same case); sorted and without repeats.
    OneOf(Vec<Pattern>),
    /// Numerically equal: the value is a number, or a text that is one.
    Number(f64),
    /// Regular expression; searches, Rust `regex` syntax, size-limited at compile time.
    Regex(String),
    /// The value is an address in this network.
    Cidr {
        /// First address of the network.
        network: IpAddr,
        /// Length of the prefix in bits.
        prefix: u8,
    },
    /// Numeric comparison; a value that is no number does not match.
    Compare(Comparison, f64),
    /// A part of a date compared with a number.
    TimePart(TimePart, Comparison, f64),
    /// The field is there, whatever its value (a null included).
    Exists,
    /// The field is absent or null.
    Null,
    /// The value compared with that of another field of the same event.
    FieldRef {
        /// The other field.
        other: FieldRef,
        /// How its value stands in this one.
        position: Position,
        /// With or without case.
        case: Case,
    },
}

/// A text pattern, anchored at both ends but for its wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    /// Literals and wildcards in order; literals are never empty, never two of them in a row.
    pub parts: Vec<Part>,
    /// `true` when letters of different case differ; otherwise the literals are stored folded.
    pub is_cased: bool,
}

/// One part of a text pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// These characters.
    Literal(String),
    /// `*`: any characters, also none, line breaks included.
    Many,
    /// `?`: exactly one character.
    One,
}

/// The shapes of pattern that need no wildcard machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// The empty text.
    Empty,
    /// The whole value.
    Equals(&'a str),
    /// `literal*`
    StartsWith(&'a str),
    /// `*literal`
    EndsWith(&'a str),
    /// `*literal*`
    Contains(&'a str),
    /// `*`: any value that is there and not null.
    Anything,
    /// Everything else.
    Wild,
}

impl Pattern {
    /// Which simple shape this is, if it is one.
    pub fn shape(&self) -> Shape<'_> {
        match self.parts.as_slice() {
            [] => Shape::Empty,
            [Part::Literal(text)] => Shape::Equals(text),
            [Part::Literal(text), Part::Many] => Shape::StartsWith(text),
            [Part::Many, Part::Literal(text)] => Shape::EndsWith(text),
            [Part::Many, Part::Literal(text), Part::Many] => Shape::Contains(text),
            [Part::Many] => Shape::Anything,
            _ => Shape::Wild,
        }
    }
}

/// Where one text stands in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    /// It is the whole of it.
    Whole,
    /// At its front.
    Start,
    /// At its end.
    End,
    /// Anywhere in it.
    Inside,
}

/// A numeric comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `lt`
    Less,
    /// `lte`
    LessOrEqual,
    /// `gt`
    Greater,
    /// `gte`
    GreaterOrEqual,
    /// Equal: a plain number, `eq`.
    Equal,
    /// `neq` of correlation conditions.
    NotEqual,
}

impl Comparison {
    /// Whether `left` compares with `right` this way.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
            #[expect(clippy::float_cmp, reason = "rule numbers are written out, not computed")]
            Comparison::Equal => left == right,
            #[expect(clippy::float_cmp, reason = "rule numbers are written out, not computed")]
            Comparison::NotEqual => left != right,
        }
    }
}

/// A part of a date, as written (no zone conversion).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimePart {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// Day of the month, 1 to 31.
    Day,
    /// ISO 8601 week, 1 to 53.
    Week,
    /// 1 to 12.
    Month,
    /// Four digits.
    Year,
}

/// A field name as a rule writes it, and which event fields it can mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleField {
    /// As written in the rule.
    pub name: String,
    /// Fields it can mean, best first: the event's value is that of the first one present. Vendor
    /// fields are interned when the rule is compiled, so an event that brings them later still matches.
    pub candidates: Vec<Field>,
}

impl RuleField {
    /// How well an event's field answers to this name: 0 is best, `None` is not at all. The event's value is that
    /// of the field with the lowest rank. First the candidates as they are, then with spaces left out (`Threat Name`
    /// answers to `ThreatName`). Costs a walk over the candidates: call once a pair and keep the answer.
    pub fn rank(&self, field: Field) -> Option<u32> {
        let count = self.candidates.len();
        let place = self.candidates.iter().position(|candidate| *candidate == field).or_else(|| {
            let name = field.name();
            let key = sigma_key(name);
            // Without a space on either side the first look would have found it.
            let is_same = |candidate: &Field| {
                let candidate = candidate.name();
                (key.len() < name.len() || candidate.contains(' ')) && sigma_key(candidate) == key
            };
            self.candidates.iter().position(is_same).map(|place| count + place)
        })?;
        u32::try_from(place).ok()
    }
}

/// A field name as Sigma compares them: without its spaces (specification, "Field Usage").
pub fn sigma_key(name: &str) -> Cow<'_, str> {
    if name.contains(' ') { Cow::Owned(name.replace(' ', "")) } else { Cow::Borrowed(name) }
}

/// Which events a rule looks at: its log source, resolved. An event passes when it passes any case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// Every event (no log source that can be resolved narrower, or routing switched off).
    Any,
    /// Events for which one of these holds.
    Cases(Vec<GateCase>),
    /// A log source no event of ours ever has; the rule is loaded and said to be asleep.
    Never,
}

/// One way to pass a gate: every list that is not empty must contain the event's value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GateCase {
    /// `event.module` (`windows`, `linux`, `auditd`, `nginx`, …).
    pub modules: Vec<String>,
    /// `event.dataset` (`linux.auth`, `nginx.access`, …).
    pub datasets: Vec<String>,
    /// `winlog.channel`, compared without case.
    pub channels: Vec<String>,
    /// `event.code` (Windows event id as text).
    pub codes: Vec<String>,
    /// `event.category` contains one of these.
    pub categories: Vec<String>,
    /// `process.name` (the syslog program), for services such as `sshd`.
    pub programs: Vec<String>,
    /// `winlog.event_data.EventType`, for registry events that share an event id.
    pub event_types: Vec<String>,
}

/// A rule value kept for showing: the YAML scalar as the engine's value type.
pub type Shown = Value;
