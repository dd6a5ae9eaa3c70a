//! Erasing what is about one person: which events it touches, what is left of them, and the record of who erased on what
//! basis. In: a value or names of fields ([`Erasing`]), events. Out: events without the values; changes of the register
//! (stream `erasure/3`), folded here. The register never holds the value: only a mark that whoever holds the receipt's key
//! can make again. Failure: [`Refused`] with what is wrong.
//!
//! Rule: an event that is touched loses its bytes as received whole, and every text with the value in it whole: a text with a
//! hole tells too much of what stood there (ADR 38). Our own alerts, whose bytes are what the alert is read back from, lose the
//! value only. Fields that say where an event belongs stay.

use nhatle_event::{Event, Field, Text, Timestamp, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::incident::Refused;

/// What stands where something was erased.
pub const MARK: &str = "[đã xóa]";
/// The field that says which erasures touched an event.
pub const FIELD: &str = "nhatle.erased";
/// The field that makes the leaf of an event one that nobody can guess; it goes with whatever is erased.
pub const KEY_FIELD: &str = "nhatle.subject_key";
/// The fields that are asked for a value where nobody names any.
pub const FIELDS: &[&str] = &[
    "user.name",
    "user.email",
    "user.full_name",
    "user.id",
    "user.target.name",
    "source.user.name",
    "destination.user.name",
    "source.ip",
    "client.ip",
];
/// The longest value of a subject.
pub const SUBJECT_BYTES_MAX: usize = 1_024;
/// How many fields may be named.
pub const FIELDS_MAX: usize = 32;
/// The longest basis, in characters.
pub const BASIS_CHARS_MAX: usize = 2_000;
/// How many erasures the state remembers; the register keeps all.
pub const ERASURES_MAX: usize = 200;

/// A value to look for: whole words of a text, without regard to case.
#[derive(Clone, Debug)]
struct Needle {
    folded: Vec<char>,
}

impl Needle {
    /// `None` for a value without anything to look for.
    fn of(value: &str) -> Option<Needle> {
        let folded: Vec<char> = value.trim().chars().flat_map(char::to_lowercase).collect();
        (!folded.is_empty()).then_some(Needle { folded })
    }

    fn is_all_of(&self, text: &str) -> bool {
        text.trim().chars().flat_map(char::to_lowercase).eq(self.folded.iter().copied())
    }

    /// How many bytes of the front of `rest` are the value.
    fn length_at(&self, rest: &str) -> Option<usize> {
        let mut wanted = self.folded.iter();
        for (at, found) in rest.char_indices() {
            if wanted.as_slice().is_empty() {
                return Some(at);
            }
            if !found.to_lowercase().all(|one| wanted.next() == Some(&one)) {
                return None;
            }
        }
        wanted.as_slice().is_empty().then_some(rest.len())
    }

    /// The first place at or behind `from` where it stands, not as a part of a longer word.
    fn find(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        let (first, last) = (self.folded.first()?, self.folded.last()?);
        let mut before = text[..from].chars().next_back();
        for (at, found) in text[from..].char_indices() {
            let begin = from + at;
            let is_begin = !first.is_alphanumeric() || !before.is_some_and(char::is_alphanumeric);
            if is_begin && let Some(length) = self.length_at(&text[begin..]) {
                let behind = text[begin + length..].chars().next();
                if 0 < length && (!last.is_alphanumeric() || !behind.is_some_and(char::is_alphanumeric)) {
                    return Some((begin, begin + length));
                }
            }
            before = Some(found);
        }
        None
    }

    fn is_in(&self, text: &str) -> bool {
        self.find(text, 0).is_some()
    }

    /// The text with the mark in each place where it stands.
    fn replaced(&self, text: &str) -> String {
        let (mut out, mut from) = (String::with_capacity(text.len()), 0);
        while let Some((begin, end)) = self.find(text, from) {
            out.push_str(&text[from..begin]);
            out.push_str(MARK);
            from = end;
        }
        out.push_str(&text[from..]);
        out
    }
}

/// What is erased.
#[derive(Clone, Debug)]
pub struct Erasing {
    /// The value; `None` where it is what the named fields have in each event.
    subject: Option<Needle>,
    fields: Vec<String>,
    also: Vec<String>,
}

impl Erasing {
    /// A value that some fields may have, or whatever values these fields have in the events that are looked at. Where an event
    /// is touched, the fields `also` go too.
    ///
    /// # Errors
    /// The value is empty, too long or part of the mark, or there are no fields or too many.
    pub fn new(subject: Option<&str>, fields: &[String], also: &[String]) -> Result<Erasing, Refused> {
        let subject = match subject {
            None => None,
            Some(value) if SUBJECT_BYTES_MAX < value.len() => {
                return Err(Refused::TooLong { what: "subject", max: SUBJECT_BYTES_MAX });
            }
            Some(value) => Some(Needle::of(value).ok_or(Refused::Empty("subject"))?),
        };
        if subject.as_ref().is_some_and(|needle| needle.is_in(MARK)) {
            return Err(Refused::UnknownWord { what: "subject", word: MARK.to_owned() });
        }
        if fields.iter().chain(also).any(|name| name.trim().is_empty()) || fields.is_empty() {
            return Err(Refused::Empty("fields"));
        }
        if FIELDS_MAX < fields.len() + also.len() {
            return Err(Refused::TooLong { what: "list of fields", max: FIELDS_MAX });
        }
        if let Some(kept) = fields.iter().chain(also).find(|name| is_kept(name)) {
            return Err(Refused::UnknownWord { what: "field", word: kept.clone() });
        }
        Ok(Erasing { subject, fields: fields.to_vec(), also: also.to_vec() })
    }

    /// The basis may not hold what is erased: the register and the log of the proof keep it for good.
    ///
    /// # Errors
    /// It is empty, too long, or holds the value.
    pub fn check_basis(&self, basis: &str) -> Result<(), Refused> {
        if basis.trim().is_empty() {
            return Err(Refused::Empty("basis"));
        }
        if BASIS_CHARS_MAX < basis.chars().count() {
            return Err(Refused::TooLong { what: "basis", max: BASIS_CHARS_MAX });
        }
        match self.subject.as_ref().is_some_and(|needle| needle.is_in(basis)) {
            true => Err(Refused::UnknownWord { what: "basis", word: MARK.to_owned() }),
            false => Ok(()),
        }
    }

    /// A named field has the value.
    pub fn is_named(&self, event: &Event) -> bool {
        !self.needles(event).is_empty() && (self.subject.is_none() || self.has_named(event))
    }

    /// What is left of an event; `None` where nothing of it is to be erased.
    pub fn left_of(&self, event: &Event, number: u64) -> Option<Event> {
        let needles = self.needles(event);
        let is_own = event.get(Field::NHATLE_ALERT_ID).is_some();
        let original = String::from_utf8_lossy(&event.original);
        let is_touched = match &self.subject {
            None => !needles.is_empty(),
            Some(needle) => self.has_named(event) || needle.is_in(&original) || self.is_mentioned(event),
        };
        if !is_touched {
            return None;
        }
        let mut left = event.clone();
        if let Some(key) = Field::lookup(KEY_FIELD) {
            drop(left.remove(key));
        }
        for (field, value) in event.fields() {
            let name = field.name();
            if is_kept(name) {
                continue;
            }
            let is_named = is_one_of(name, &self.fields);
            let gone = match is_one_of(name, &self.also) || is_named && self.subject.is_none() {
                true => erased_whole(value),
                false => erased(value, &needles, (is_named, is_own)),
            };
            match gone {
                Gone::Nothing => {}
                Gone::All => drop(left.remove(*field)),
                Gone::Some(value) => left.set(*field, value),
            }
        }
        left.original = match is_own {
            true => replaced(&original, &needles).into_bytes().into(),
            false => MARK.as_bytes().into(),
        };
        let mut numbers: Vec<Value> = Vec::new();
        if let Some(before) = Field::lookup(FIELD).and_then(|field| event.get(field)) {
            numbers.extend(before.each().cloned());
        }
        let number = Value::Text(Text::from(number.to_string()));
        if !numbers.contains(&number) {
            numbers.push(number);
        }
        let value = if numbers.len() == 1 { numbers.swap_remove(0) } else { Value::List(numbers) };
        left.set_named(FIELD, value);
        Some(left)
    }

    /// The values that are looked for in an event.
    fn needles(&self, event: &Event) -> Vec<Needle> {
        if let Some(needle) = &self.subject {
            return vec![needle.clone()];
        }
        let named = event.fields().iter().filter(|(field, _)| is_one_of(field.name(), &self.fields));
        let texts = named.flat_map(|(_, value)| value.each()).filter_map(Value::as_text);
        texts.filter(|text| text != MARK).filter_map(|text| Needle::of(&text)).collect()
    }

    fn has_named(&self, event: &Event) -> bool {
        let Some(needle) = &self.subject else { return false };
        let named = event.fields().iter().filter(|(field, _)| is_one_of(field.name(), &self.fields));
        let mut texts = named.flat_map(|(_, value)| value.each()).filter_map(Value::as_text);
        texts.any(|text| needle.is_all_of(&text))
    }

    fn is_mentioned(&self, event: &Event) -> bool {
        let Some(needle) = &self.subject else { return false };
        let values =
            event.fields().iter().filter(|(field, _)| !is_kept(field.name())).flat_map(|(_, value)| value.each());
        values
            .filter(|value| matches!(value, Value::Text(_) | Value::Ip(_)))
            .any(|value| value.as_text().is_some_and(|text| needle.is_in(&text)))
    }
}

/// What erasing leaves of a value.
enum Gone {
    Nothing,
    All,
    Some(Value),
}

/// The whole value goes; a text leaves the mark.
fn erased_whole(value: &Value) -> Gone {
    match value {
        Value::Text(text) if text.as_str() == MARK => Gone::Nothing,
        Value::Text(_) => Gone::Some(Value::Text(Text::from(MARK))),
        _ => Gone::All,
    }
}

fn erased(value: &Value, needles: &[Needle], (is_named, is_own): (bool, bool)) -> Gone {
    match value {
        Value::Text(text) if !needles.iter().any(|needle| needle.is_in(text)) => Gone::Nothing,
        Value::Text(text) if is_own => Gone::Some(Value::Text(Text::from(replaced(text, needles)))),
        Value::Text(_) => Gone::Some(Value::Text(Text::from(MARK))),
        Value::List(values) => {
            let mut left = Vec::with_capacity(values.len());
            let mut has_gone = false;
            for one in values {
                match erased(one, needles, (is_named, is_own)) {
                    Gone::Nothing => left.push(one.clone()),
                    Gone::All => has_gone = true,
                    Gone::Some(value) => {
                        has_gone = true;
                        left.push(value);
                    }
                }
            }
            match has_gone {
                false => Gone::Nothing,
                true if left.is_empty() => Gone::All,
                true => Gone::Some(Value::List(left)),
            }
        }
        // A number is a person's only where the field says so; an address is one anywhere.
        Value::Ip(_) => gone_if_all(value, needles),
        _ if is_named => gone_if_all(value, needles),
        _ => Gone::Nothing,
    }
}

fn gone_if_all(value: &Value, needles: &[Needle]) -> Gone {
    let is_it = value.as_text().is_some_and(|text| needles.iter().any(|needle| needle.is_all_of(&text)));
    if is_it { Gone::All } else { Gone::Nothing }
}

fn replaced(text: &str, needles: &[Needle]) -> String {
    let mut out = text.to_owned();
    for needle in needles {
        out = needle.replaced(&out);
        // As JSON writes it, where that is something else.
        let escaped = serde_json::to_string(&needle.folded.iter().collect::<String>()).unwrap_or_default();
        if let Some(needle) = Needle::of(escaped.trim_matches('"')).filter(|escaped| escaped.folded != needle.folded) {
            out = needle.replaced(&out);
        }
    }
    out
}

fn is_one_of(name: &str, names: &[String]) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// What says where an event belongs: the store and the desk work by it.
fn is_kept(name: &str) -> bool {
    let is_about = ["nhatle.alert.", "nhatle.asset."].iter().any(|front| name.starts_with(front));
    let is_ours = name.starts_with("nhatle.") && (!is_about || name == "nhatle.alert.id");
    is_ours || ["event.module", "event.dataset", "event.kind", "event.category", "event.type"].contains(&name)
}

/// What the register has of a subject: whoever holds the key of the receipt can make it again from the value, nobody else can
/// try values.
pub fn mark_of(key: &str, subject: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["nhatle-erasure-1", key, subject.trim()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    nhatle_event::json::hex(&hash.finalize())
}

/// A step of an erasure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ErasureChange {
    /// It begins. Written down before anything is erased.
    Begin {
        /// [`mark_of`] the value or the line of the query.
        mark: String,
        /// Whether a query chose the events.
        is_by_query: bool,
        /// The fields that were named.
        fields: Vec<String>,
        /// On what basis.
        basis: String,
        /// In whose name, where the command line was told.
        by: String,
        /// How many events the preview counted.
        events: u64,
        /// In how many segments.
        segments: u64,
    },
    /// It is done.
    Done {
        /// How many events were touched.
        events: u64,
        /// How many segments were written anew.
        segments: u64,
    },
}

/// An erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// [`mark_of`] what was to be erased.
    pub mark: String,
    /// When it began.
    pub begun: Timestamp,
    /// When it was done.
    pub done: Option<Timestamp>,
    /// In whose name.
    pub by: String,
    /// On what basis.
    pub basis: String,
    /// How many events: those the preview counted, then those that were touched.
    pub events: u64,
    /// How many segments.
    pub segments: u64,
}

/// An erasure after a step.
///
/// # Errors
/// It has no basis or name, erases nothing, or is done already.
pub fn apply(before: Option<&Erasure>, change: &ErasureChange, at: Timestamp) -> Result<Erasure, Refused> {
    match (before, change) {
        (None, ErasureChange::Begin { mark, basis, by, events, segments, .. }) => {
            if basis.trim().is_empty() || by.trim().is_empty() {
                return Err(Refused::Empty("basis"));
            }
            if BASIS_CHARS_MAX < basis.chars().count() {
                return Err(Refused::TooLong { what: "basis", max: BASIS_CHARS_MAX });
            }
            if *events == 0 {
                return Err(Refused::Empty("events"));
            }
            let (mark, by, basis) = (mark.clone(), by.clone(), basis.clone());
            Ok(Erasure { mark, begun: at, done: None, by, basis, events: *events, segments: *segments })
        }
        (Some(_), ErasureChange::Begin { .. }) => Err(Refused::Exists),
        (Some(before), ErasureChange::Done { events, segments }) if before.done.is_none() => {
            Ok(Erasure { done: Some(at), events: *events, segments: *segments, ..before.clone() })
        }
        (Some(_), ErasureChange::Done { .. }) => Err(Refused::Closed),
        (None, ErasureChange::Done { .. }) => Err(Refused::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn event() -> Event {
        let mut event = Event::new(Timestamp(5), *b"sshd: Failed password for An.Nguyen from 10.0.0.7");
        event.set(Field::MESSAGE, "Failed password for An.Nguyen from 10.0.0.7");
        event.set(Field::EVENT_MODULE, "sshd");
        event.set_named("user.name", "An.Nguyen");
        event.set(Field::SOURCE_IP, Value::Ip([10, 0, 0, 7].into()));
        event.set_named("vendor.target", "CORP\\an.nguyen");
        event.set_named("vendor.other", "an.nguyenx dan.nguyen");
        event.set_named("vendor.count", Value::Long(7));
        event.set_named(KEY_FIELD, "00ff");
        event
    }

    #[test]
    fn a_value_goes_wherever_it_stands_and_the_rest_stays() {
        let erasing = Erasing::new(Some(" an.nguyen "), &names(&["user.name"]), &[]).unwrap();
        let left = erasing.left_of(&event(), 3).unwrap();
        let text =
            |name: &str| left.get(Field::lookup(name).unwrap()).and_then(|value| value.text().map(str::to_owned));
        assert_eq!(text("user.name").as_deref(), Some(MARK));
        assert_eq!(text("vendor.target").as_deref(), Some(MARK));
        assert_eq!(text("vendor.other").as_deref(), Some("an.nguyenx dan.nguyen"), "these are others");
        assert_eq!(text("message").as_deref(), Some(MARK));
        assert_eq!(text(FIELD).as_deref(), Some("3"));
        assert_eq!(text(KEY_FIELD), None, "the key is destroyed");
        assert_eq!(&*left.original, MARK.as_bytes());
        assert_eq!(left.get(Field::SOURCE_IP), event().get(Field::SOURCE_IP));
        assert!(erasing.left_of(&left, 3).is_none(), "what is erased is not erased again");
        let mut mentioned = Event::new(Timestamp(5), *b"su: (to root) AN.NGUYEN on pts/0");
        assert!(erasing.left_of(&mentioned, 3).is_some() && !erasing.is_named(&mentioned));
        mentioned.original = (*b"su: (to root) dan.nguyen on pts/0").into();
        assert!(erasing.left_of(&mentioned, 3).is_none());
    }

    #[test]
    fn an_address_goes_as_a_value_and_in_texts_and_other_addresses_stay() {
        let erasing = Erasing::new(Some("10.0.0.7"), &names(&["source.ip"]), &names(&["vendor.count"])).unwrap();
        let mut event = event();
        event.set(Field::DESTINATION_IP, Value::Ip([10, 0, 0, 70].into()));
        let left = erasing.left_of(&event, 4).unwrap();
        assert_eq!(left.get(Field::SOURCE_IP), None);
        assert_eq!(left.get(Field::DESTINATION_IP), event.get(Field::DESTINATION_IP));
        assert_eq!(left.get(Field::lookup("vendor.count").unwrap()), None, "it was asked to go, too");
        assert!(left.get(Field::lookup("user.name").unwrap()).is_some());
    }

    #[test]
    fn without_a_value_it_is_what_the_fields_have_in_each_event() {
        let erasing = Erasing::new(None, &names(&["user.name", "source.ip"]), &[]).unwrap();
        let left = erasing.left_of(&event(), 5).unwrap();
        assert_eq!(left.get(Field::SOURCE_IP), None);
        let target = left.get(Field::lookup("vendor.target").unwrap());
        assert_eq!(target.and_then(|value| value.text().map(str::to_owned)).as_deref(), Some(MARK));
        assert!(erasing.left_of(&left, 6).is_none());
        assert!(erasing.left_of(&Event::new(Timestamp(1), *b"x"), 6).is_none());
    }

    #[test]
    fn our_own_alerts_can_still_be_read() {
        let erasing = Erasing::new(Some("CORP\\an.nguyen"), &names(&["user.name"]), &[]).unwrap();
        let mut alert = Event::new(Timestamp(5), br#"{"id":"a1","entities":["CORP\\An.Nguyen"]}"#.as_slice());
        alert.set(Field::NHATLE_ALERT_ID, "a1");
        alert.set_named("nhatle.alert.explanation.vi", "Tài khoản CORP\\an.nguyen đăng nhập");
        let left = erasing.left_of(&alert, 3);
        // Only the bytes have it in JSON's own form: the text of the explanation is what finds it.
        let left = left.unwrap();
        assert_eq!(&*left.original, format!(r#"{{"id":"a1","entities":["{MARK}"]}}"#).as_bytes());
        assert!(serde_json::from_slice::<serde_json::Value>(&left.original).is_ok());
        assert_eq!(left.text(Field::NHATLE_ALERT_ID), Some("a1"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let fields = names(&["user.name"]);
        let bad = |subject: &str| Erasing::new(Some(subject), &fields, &[]).is_err();
        assert!(bad("") && bad("  \n") && bad(&"x".repeat(1 << 20)) && bad("xóa") && bad(MARK));
        assert!(Erasing::new(Some("an"), &[], &[]).is_err());
        assert!(Erasing::new(Some("an"), &names(&["nhatle.unit"]), &[]).is_err());
        assert!(Erasing::new(Some("an"), &names(&["event.module"]), &[]).is_err());
        assert!(Erasing::new(Some("an"), &vec!["f".to_owned(); FIELDS_MAX + 1], &[]).is_err());
        let erasing = Erasing::new(Some("an.nguyen"), &fields, &[]).unwrap();
        assert!(erasing.check_basis(" ").is_err() && erasing.check_basis(&"x".repeat(3000)).is_err());
        assert!(erasing.check_basis("yêu cầu của An.Nguyen").is_err(), "the basis stays for good");
        assert!(erasing.check_basis("Luật 91/2025/QH15, đơn số 12").is_ok());
    }

    #[test]
    fn an_erasure_is_written_down_before_and_after() {
        let begin = |basis: &str, events| ErasureChange::Begin {
            mark: mark_of("k7", "an"),
            is_by_query: false,
            fields: names(&["user.name"]),
            basis: basis.to_owned(),
            by: "lan".to_owned(),
            events,
            segments: 2,
        };
        assert!(
            apply(None, &begin("", 5), Timestamp(1)).is_err()
                && apply(None, &begin("đơn 12", 0), Timestamp(1)).is_err()
        );
        let begun = apply(None, &begin("đơn 12", 5), Timestamp(1)).unwrap();
        let end = ErasureChange::Done { events: 6, segments: 2 };
        let done = apply(Some(&begun), &end, Timestamp(2)).unwrap();
        assert_eq!((done.done, done.events), (Some(Timestamp(2)), 6));
        assert!(apply(Some(&done), &end, Timestamp(3)).is_err() && apply(None, &end, Timestamp(3)).is_err());
        assert_ne!(mark_of("k7", "an"), mark_of("k8", "an"));
        assert_eq!(mark_of("k7", " an "), mark_of("k7", "an"));
    }
}
