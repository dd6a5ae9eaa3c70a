//! What a batch brings to the receipt book: by source and hour, before it is durable.
//!
//! In: events with what became of them; what inputs refused; gaps that a forwarder's numbers show. Out: sums the book
//! adds up once the batch is durable. Bounded as the book is ([`super::SOURCES_MAX`] names).

use foldhash::HashMap;
use nhatle_event::{Event, Field, Text, Timestamp, Value};

use super::hour::{GAPS_MAX, HourPart, count_reason, hour_of};
use super::{Fate, OTHER_SOURCE, SOURCES_MAX};

/// What one source brings.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// The input its last record came by.
    pub input: Text,
    /// The organization unit of its last record.
    pub unit: Option<Text>,
    /// When its last record was received, nanoseconds.
    pub last_ns: i64,
    /// The hours.
    pub parts: Vec<HourPart>,
    /// The addresses its records came from, with how many; the first [`ADDRESSES_MAX`].
    pub addresses: Vec<(Text, u64)>,
}

/// How many addresses are told apart in one batch of a source.
pub const ADDRESSES_MAX: usize = 4;

/// What a source's row is told by besides its name.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The source.
    pub source: &'a str,
    /// The input.
    pub input: &'a str,
    /// The organization unit, where it is known.
    pub unit: Option<&'a str>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// In the order in which they first came.
    rows: Vec<(Text, Sent)>,
    /// Where in `rows` a source is.
    places: HashMap<Text, usize>,
    /// Whose record was counted last: the next one is often theirs, too.
    last: usize,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Tally {
        Tally::default()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Counts one record; `after_seq` is a `Seq` before that of the event.
    pub fn count(&mut self, event: &Event, fate: Fate, after_seq: u64) {
        let input = event.text(Field::NHATLE_INPUT);
        let source = event.text(Field::NHATLE_SOURCE).or(input).unwrap_or(OTHER_SOURCE);
        let whose = Whose { source, input: input.unwrap_or_default(), unit: event.text(Field::NHATLE_UNIT) };
        let sent = self.sent(whose, event.received);
        if let Some(address) = event.text(Field::LOG_SOURCE_ADDRESS) {
            match sent.addresses.iter().position(|(known, _)| known == address) {
                Some(place) => sent.addresses[place].1 += 1,
                None if sent.addresses.len() < ADDRESSES_MAX => push_one(&mut sent.addresses, (address.into(), 1)),
                None => {}
            }
        }
        let part = part_of(sent, event.received, after_seq);
        part.counts.received += 1;
        match fate {
            Fate::Stored => {
                part.counts.stored += 1;
                if let Some(read) = event.text(Field::NHATLE_PROFILE_READ) {
                    let named = event.text(Field::NHATLE_PROFILE_NAMED).unwrap_or_default();
                    count_reason(&mut part.counts.misnamed_by, &format!("{named} → {read}"), 1);
                }
            }
            Fate::DeadLettered => {
                part.counts.stored += 1;
                part.counts.dead_lettered += 1;
                count_reason(&mut part.counts.dead_by, event.text(Field::ERROR_MESSAGE).unwrap_or_default(), 1);
            }
            Fate::Duplicate => part.counts.duplicate += 1,
        }
        if let (Fate::Stored, Some(offset_ms)) = (fate, clock_offset_ms(event)) {
            part.clock.add(offset_ms);
        }
    }

    /// Counts records that were received and refused.
    pub fn reject(&mut self, whose: Whose<'_>, reason: &str, count: u64, at: Timestamp) {
        let part = part_of(self.sent(whose, at), at, u64::MAX);
        part.counts.received += count;
        part.counts.rejected += count;
        count_reason(&mut part.counts.rejected_by, reason, count);
    }

    /// Notes the numbers a sender gave to records that arrived: first and last.
    pub fn numbered(&mut self, whose: Whose<'_>, (first, last): (u64, u64), at: Timestamp) {
        let part = part_of(self.sent(whose, at), at, u64::MAX);
        let (low, high) = part.numbers.unwrap_or((first, last));
        part.numbers = Some((low.min(first), high.max(last)));
    }

    /// Notes numbers that a sender gave and that will not come any more: first and last of the gap.
    pub fn gap(&mut self, whose: Whose<'_>, (first, last): (u64, u64), at: Timestamp) {
        let part = part_of(self.sent(whose, at), at, u64::MAX);
        part.counts.gaps.push((first, last));
        part.counts.missing += last.saturating_sub(first).saturating_add(1);
        let past = part.counts.gaps.len().saturating_sub(GAPS_MAX);
        part.counts.gaps.drain(..past);
    }

    /// Counts datagrams that were lost before anybody received them.
    pub fn lose(&mut self, whose: Whose<'_>, count: u64, at: Timestamp) {
        part_of(self.sent(whose, at), at, u64::MAX).counts.lost += count;
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Tally) {
        for (source, sent) in other.rows {
            let whose = Whose { source: &source, input: &sent.input, unit: sent.unit.as_deref() };
            let known = self.sent(whose, Timestamp(sent.last_ns));
            for part in &sent.parts {
                part_of(known, part.begin(), part.after_seq).add(part);
            }
        }
    }

    /// By source.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &Sent)> {
        self.rows.iter().map(|(source, sent)| (source.as_str(), sent))
    }

    /// Where the row of a source is; it is made where there is none.
    fn place(&mut self, source: &str) -> usize {
        if self.rows.get(self.last).is_some_and(|(name, _)| name == source) {
            return self.last;
        }
        let is_other = SOURCES_MAX <= self.rows.len() && !self.places.contains_key(source);
        let name = if is_other { OTHER_SOURCE } else { source };
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.rows.len();
        self.places.insert(name.into(), place);
        self.rows.push((name.into(), Sent::default()));
        place
    }

    fn sent(&mut self, whose: Whose<'_>, at: Timestamp) -> &mut Sent {
        self.last = self.place(whose.source);
        let (_, sent) = &mut self.rows[self.last];
        sent.last_ns = sent.last_ns.max(at.0);
        if sent.input != whose.input {
            sent.input = whose.input.into();
        }
        if whose.unit.is_some() && sent.unit.as_deref() != whose.unit {
            sent.unit = whose.unit.map(Text::from);
        }
        sent
    }
}

/// Puts one more where there is mostly one: without room for others at first, as a city has thousands of rows.
fn push_one<T>(list: &mut Vec<T>, one: T) {
    if list.is_empty() {
        list.reserve_exact(1);
    }
    list.push(one);
}

fn part_of(sent: &mut Sent, at: Timestamp, after_seq: u64) -> &mut HourPart {
    let hour = hour_of(at);
    let place = sent.parts.iter().rposition(|part| part.hour == hour).unwrap_or_else(|| {
        push_one(&mut sent.parts, HourPart::new(hour, after_seq));
        sent.parts.len() - 1
    });
    &mut sent.parts[place]
}

/// Event time, as said, minus receipt time, milliseconds; `None` where the event says no time of its own, or is evidence that
/// was brought in later.
fn clock_offset_ms(event: &Event) -> Option<i32> {
    let said = match event.get(Field::NHATLE_TIME_SAID) {
        Some(Value::Date(said)) => *said,
        _ => event.timestamp,
    };
    if said == event.received || event.get(Field::NHATLE_EVIDENCE_FILE).is_some() {
        return None;
    }
    let offset_ms = said.since(event.received) / 1_000_000;
    Some(i32::try_from(offset_ms).unwrap_or(if offset_ms < 0 { i32::MIN } else { i32::MAX }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_in_any_order_have_a_row_each_and_those_past_the_bound_one_together() {
        let mut tally = Tally::new();
        let mut count = |source: &str, times: u64| {
            tally.reject(Whose { source, input: "syslog-udp", unit: None }, "flood", times, Timestamp(0));
        };
        for round in 1..=2 {
            for number in 0..SOURCES_MAX + 2 {
                count(&format!("s{number}"), round);
            }
            count("s7", 10);
            count("s7", 10);
        }
        let received = |tally: &Tally, source: &str| {
            let rows: Vec<_> = tally.rows().filter(|(name, _)| *name == source).collect();
            rows.iter().map(|(_, sent)| sent.parts[0].counts.received).collect::<Vec<_>>()
        };
        assert_eq!(tally.rows().count(), SOURCES_MAX + 1);
        assert_eq!(received(&tally, "s0"), [3]);
        assert_eq!(received(&tally, "s7"), [43]);
        assert_eq!(received(&tally, OTHER_SOURCE), [6]);
        let mut sum = tally.clone();
        sum.add(tally);
        assert_eq!(received(&sum, "s7"), [86]);
    }
}
