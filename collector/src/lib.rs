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

use nhatle_event::{DeadLetter, Event, Record, Text};

pub mod listen;
pub mod frame;
pub mod profile;
pub mod parse;
pub mod normalize;
pub mod enrich;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod corpus_dead_tests;

pub use enrich::{Cidr, UnitRule};
pub use listen::{Batch, Receipt, Sink};
pub use profile::{Profile, ProfileError};

use parse::Fault;

/// What conversion depends on besides the record.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Seconds east of UTC of times written without a zone, where no `zones` row says otherwise.
    pub default_offset_s: i32,
    /// Zones by sender address; the first row that holds the address counts.
    pub zones: Vec<(Cidr, i32)>,
    /// Which sender belongs to which organization unit; the first row that fits counts.
    pub units: Vec<UnitRule>,
}

impl Settings {
    /// Seconds east of UTC for a record's times without a zone.
    pub fn offset_s(&self, record: &Record) -> i32 {
        let by_peer = |peer| self.zones.iter().find(|(range, _)| range.contains(peer)).map(|(_, offset_s)| *offset_s);
        record.peer.and_then(by_peer).unwrap_or(self.default_offset_s)
    }
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
    let mut event = read(record, settings)?;
    enrich::enrich(&mut event, record, settings);
    Ok(event)
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
    let (text, skipped) = text_of(&record.bytes);
    let mut event = normalize::headed(&text, header, record, settings.offset_s(record)).map_err(|fault| {
        let offset = skipped + parse::byte_offset(&record.bytes[skipped..], fault.offset);
        dead_letter(record, &Fault { offset, ..fault })
    })?;
    enrich::enrich(&mut event, record, settings);
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
    enrich::enrich(&mut event, &dead_letter.record, settings);
    event
}

fn read(record: &Record, settings: &Settings) -> Result<Event, DeadLetter> {
    let profile = match record.profile.as_deref().map(Profile::from_name).transpose() {
        Ok(profile) => profile,
        Err(error) => return Err(dead_letter(record, &Fault::new(error.to_string(), 0))),
    };
    let (text, skipped) = text_of(&record.bytes);
    let result = normalize::normalize(&text, profile, record, settings.offset_s(record));
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
    // Nearly all records are UTF-8, and checking that is several times cheaper than cutting it into chunks.
    let text = std::str::from_utf8(inner).map_or_else(|_bad| String::from_utf8_lossy(inner), Cow::Borrowed);
    (text, skipped)
}

/// The text of a source's name, for inputs that have no better one.
pub fn source_name(record: &Record) -> Text {
    record.peer.map_or_else(|| record.input.clone(), |peer| Text::from(peer.to_canonical().to_string()))
}
