//! `Record`: bytes as received, with when, from whom and by which input; `DeadLetter`: a record that
//! could not be parsed, with the reason and the offset.

use std::net::IpAddr;
use std::sync::Arc;

use crate::event::Event;
use crate::field::Field;
use crate::time::Timestamp;
use crate::value::{Text, Value};

/// Bytes as received: one frame of syslog, one line of a file, one pushed JSON document.
#[derive(Clone, Debug)]
pub struct Record {
    /// The bytes, without the framing (no newline, no octet count).
    pub bytes: Arc<[u8]>,
    /// When the listener read it.
    pub received: Timestamp,
    /// The address it came from, where there is one.
    pub peer: Option<IpAddr>,
    /// The configured name of the input (`syslog-tcp`, `http`, a file's name).
    pub input: Text,
    /// The source profile to parse it with (contract, `--source`); `None` = detect by content.
    pub profile: Option<Text>,
    /// The organization unit its source belongs to, where the input or the token fixes it.
    pub unit: Option<Text>,
    /// The name its sender proved, where the input can prove one (a client's certificate): its source, whatever it says.
    pub source: Option<Text>,
    /// The sender's own name for the record, where the protocol carries one: with it a record sent twice is known.
    pub id: Option<Text>,
    /// The frame was longer than the limit and was cut.
    pub is_truncated: bool,
    /// It is a canary of ours, not a record of any source: whose, of which run. Nothing from outside sets it.
    pub canary: Option<Text>,
}

impl Record {
    /// A record with nothing known but its bytes, its input and when it was read.
    pub fn new(bytes: impl Into<Arc<[u8]>>, input: &str, received: Timestamp) -> Record {
        Record {
            bytes: bytes.into(),
            received,
            peer: None,
            input: Text::from(input),
            profile: None,
            unit: None,
            source: None,
            is_truncated: false,
            id: None,
            canary: None,
        }
    }
}

/// A record that could not be parsed: kept, searchable, counted, never lost.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The record as received.
    pub record: Record,
    /// Why, as a stable short phrase (`json: expected a value`, `syslog: no such date`).
    pub reason: Text,
    /// The byte where it went wrong, counted from the front of the record.
    pub offset: usize,
}

impl DeadLetter {
    /// The dead letter as an event of the dataset `nhatle.dead_letters`.
    pub fn to_event(&self) -> Event {
        let mut event = Event::new(self.record.received, self.record.bytes.clone());
        event.received = self.record.received;
        event.set(Field::EVENT_KIND, "pipeline_error");
        event.set(Field::EVENT_DATASET, crate::event::DEAD_LETTERS);
        event.set(Field::ERROR_MESSAGE, self.reason.clone());
        event.set(Field::NHATLE_DEAD_LETTER_OFFSET, i64::try_from(self.offset).unwrap_or(i64::MAX));
        event.set_record_origin(&self.record);
        event.set(Field::MESSAGE, Value::from(&*String::from_utf8_lossy(&self.record.bytes)));
        event
    }
}
