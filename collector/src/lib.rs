//! Bytes in, events out: listen → frame → parse → normalize → enrich.
//!
//! In: what sockets, HTTP pushes and files give ([`listen`], [`frame`]). Out: for each [`Record`] one
//! [`Event`] in ECS, or one [`DeadLetter`] with reason and offset; never neither, never both.
//! Promise: [`to_event`] is a pure function of the record and the settings: same bytes, same event.
//! Failure: bad data is a value; only what stops an input (bind, read) is an `Err`.
//!
//! A record whose source profile is given is read as that; else its format is detected by content
//! ([`parse::detect`]). A plain text line is an event with a message. A dead letter is a record that
//! claims a format and breaks it: JSON that does not end, a syslog date that does not exist.

#![allow(
    clippy::result_large_err,
    reason = "a dead letter carries its record by design; it is rare and moved, not copied"
)]

use std::borrow::Cow;
use std::sync::Arc;

use nhatle_event::{DeadLetter, Event, Field, Record, Text};

pub mod listen;
pub mod frame;
pub mod encoding;
pub mod timing;
pub mod profile;
pub mod parse;
pub mod normalize;
pub mod enrich;
pub mod wire;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod corpus_dead_tests;

pub use encoding::Encoding;
pub use enrich::{Cidr, SourceSetting, SourceSettings, UnitRule};
pub use listen::{Batch, Receipt, Sink};
pub use profile::{Profile, ProfileError};
pub use timing::TimeLimits;

use enrich::source::Path;

use parse::Fault;

/// What conversion depends on besides the record.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Seconds east of UTC of times written without a zone, where no `zones` row says otherwise.
    pub default_offset_s: i32,
    /// What is said of single senders.
    pub sources: SourceSettings,
    /// Between which times a clock is believed, where nothing is said of its sender.
    pub time: TimeLimits,
    /// Which sender belongs to which organization unit; the first row that fits counts.
    pub units: Vec<UnitRule>,
    /// Assets, places of addresses and indicators in force.
    pub tables: Arc<enrich::Tables>,
}

/// Events and dead letters of one batch, each in the order of their records.
#[derive(Clone, Debug, Default)]
pub struct Converted {
    /// What could be read.
    pub events: Vec<Event>,
    /// What could not.
    pub dead_letters: Vec<DeadLetter>,
}

/// The event a record means.
///
/// # Errors
/// A [`DeadLetter`]: the record names a profile that is not built, or claims a format and breaks it.
pub fn to_event(record: &Record, settings: &Settings) -> Result<Event, DeadLetter> {
    let Some((header, line)) = parse::headed::carried(&record.bytes) else {
        return with_setting(record, settings, read);
    };
    // The line is the event; what cannot be read keeps its header, too.
    let before = record.bytes.len() - line.len();
    let alone = Record { bytes: line.into(), ..record.clone() };
    headed_to_event(&alone, Some(&header), settings).map_err(|letter| DeadLetter {
        record: record.clone(),
        offset: before + letter.offset,
        reason: letter.reason,
    })
}

/// [`to_event`] for a line that means what a header above it says; without a header it is read as any other record.
///
/// # Errors
/// As [`to_event`]; the line has not the values that the header names.
pub fn headed_to_event(
    record: &Record,
    header: Option<&parse::headed::Header>,
    settings: &Settings,
) -> Result<Event, DeadLetter> {
    let Some(header) = header else { return to_event(record, settings) };
    with_setting(record, settings, |record, _profile, offset_s| {
        let (text, skipped) = text_of(&record.bytes);
        normalize::headed(&text, header, record, offset_s).map_err(|fault| {
            let offset = skipped + parse::byte_offset(&record.bytes[skipped..], fault.offset);
            dead_letter(record, &Fault { offset, ..fault })
        })
    })
}

/// Reads a record as the setting of its sender says. Where that hangs on what the record itself names (host, program),
/// it is read first as if nothing were said, and again if that changes how it is read.
fn with_setting(
    record: &Record,
    settings: &Settings,
    read: impl Fn(&Record, Option<Profile>, i32) -> Result<Event, DeadLetter>,
) -> Result<Event, DeadLetter> {
    let mut setting = settings.sources.find(&Path::of_record(record));
    let mut event = read_as(record, setting, settings, &read)?;
    let (found, is_read_otherwise) = settings.sources.after_reading(record, &event, setting);
    if is_read_otherwise {
        event = read_as(record, found, settings, &read)?;
    }
    setting = found;
    enrich::enrich_as(&mut event, record, settings, setting);
    event.fit();
    Ok(event)
}

fn read_as(
    record: &Record,
    setting: Option<&SourceSetting>,
    settings: &Settings,
    read: impl Fn(&Record, Option<Profile>, i32) -> Result<Event, DeadLetter>,
) -> Result<Event, DeadLetter> {
    let offset_s = setting.and_then(|setting| setting.offset_s).unwrap_or(settings.default_offset_s);
    let profile = setting.and_then(|setting| setting.profile);
    let encoding = setting.map_or(Encoding::Utf8, |setting| setting.encoding);
    if encoding == Encoding::Utf8 {
        return read(record, profile, offset_s);
    }
    // What is read is the text; what is kept are the bytes.
    let decoded = encoding.decode(&record.bytes);
    let as_text = Record { bytes: decoded.text.into_bytes().into(), ..record.clone() };
    let mut event = read(&as_text, profile, offset_s).map_err(|dead| DeadLetter {
        offset: encoding.byte_offset(&record.bytes, dead.offset),
        record: record.clone(),
        reason: dead.reason,
    })?;
    event.original = record.bytes.clone();
    if 0 < decoded.unmapped {
        event.set(Field::NHATLE_UNMAPPED_BYTES, i64::try_from(decoded.unmapped).unwrap_or(i64::MAX));
    }
    Ok(event)
}

/// [`to_event`] for a batch.
pub fn to_events<'a>(records: impl IntoIterator<Item = &'a Record>, settings: &Settings) -> Converted {
    let mut converted = Converted::default();
    for record in records {
        match to_event(record, settings) {
            Ok(event) => converted.events.push(event),
            Err(dead_letter) => converted.dead_letters.push(dead_letter),
        }
    }
    converted
}

/// The event that stands for a dead letter, with source and unit set like any other event's.
pub fn dead_letter_event(dead_letter: &DeadLetter, settings: &Settings) -> Event {
    let mut event = dead_letter.to_event();
    let setting = settings.sources.find(&Path::of_record(&dead_letter.record));
    if let Some(encoding) = setting.map(|setting| setting.encoding).filter(|encoding| *encoding != Encoding::Utf8) {
        event.set(Field::MESSAGE, encoding.decode(&dead_letter.record.bytes).text);
    }
    enrich::enrich_as(&mut event, &dead_letter.record, settings, setting);
    event
}

/// Reads a record with the profile that it or its input names, else with the one its setting names.
fn read(record: &Record, by_setting: Option<Profile>, offset_s: i32) -> Result<Event, DeadLetter> {
    if record.profile.as_deref() == Some(frame::GAVE_WAY) {
        return Err(dead_letter(record, &Fault::new(frame::GAVE_WAY_REASON, record.bytes.len())));
    }
    let profile = match record.profile.as_deref().map(Profile::from_name).transpose() {
        Ok(profile) => profile,
        Err(error) => return Err(dead_letter(record, &Fault::new(error.to_string(), 0))),
    };
    let (text, skipped) = text_of(&record.bytes);
    let result = normalize::normalize(&text, profile.or(by_setting), record, offset_s);
    // Offsets are counted in the text; each bad byte of the record is three bytes in it.
    let in_record = |offset| skipped + parse::byte_offset(&record.bytes[skipped..], offset);
    result.map_err(|problem| match problem {
        normalize::Problem::Fault(fault) => {
            dead_letter(record, &Fault { reason: fault.reason, offset: in_record(fault.offset) })
        }
        normalize::Problem::DeadLetter(letter) => {
            let offset = in_record(letter.offset);
            DeadLetter { offset, ..*letter }
        }
    })
}

fn dead_letter(record: &Record, fault: &Fault) -> DeadLetter {
    DeadLetter { record: record.clone(), reason: fault.reason.clone(), offset: fault.offset.min(record.bytes.len()) }
}

/// The record as text: no byte order mark, no padding at the ends, invalid UTF-8 replaced (the bytes
/// stay in `event.original`). Also how many bytes were left out in front.
fn text_of(bytes: &[u8]) -> (Cow<'_, str>, usize) {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let unmarked = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let padding = unmarked.iter().take_while(|byte| frame::is_padding(**byte)).count();
    let inner = frame::trim_frame(unmarked);
    let unmarked_inner = inner.strip_prefix(BYTE_ORDER_MARK).unwrap_or(inner);
    let skipped = bytes.len() - unmarked.len() + padding + inner.len() - unmarked_inner.len();
    let (inner, skipped) = (unmarked_inner, skipped.min(bytes.len()));
    (lossy(inner), skipped)
}

/// Bytes as text, invalid UTF-8 replaced.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // Nearly all records are UTF-8, and checking that is several times cheaper than cutting it into chunks.
    std::str::from_utf8(bytes).map_or_else(|_bad| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The text of a source's name, for inputs that have no better one.
pub fn source_name(record: &Record) -> Text {
    record.peer.map_or_else(|| record.input.clone(), |peer| Text::from(peer.to_canonical().to_string()))
}

/// Joins the name a forwarder proved and its input's own name; [`forwarder_of`] takes it apart.
pub fn forwarded_input(forwarder: &str, input: &str) -> Text {
    Text::from(format!("{forwarder}: {input}"))
}

/// The forwarder a record came through: in every ward there is a `router` at 192.168.1.1, so its name belongs before
/// theirs. Names of inputs are ours, and a path before a colon is no forwarder.
pub fn forwarder_of(record: &Record) -> Option<&str> {
    // What stands before the first colon has none in it.
    let (name, rest) = parse::cut(&record.input, b':')?;
    (rest.starts_with(' ') && !name.is_empty() && !name.contains('/')).then_some(name)
}
