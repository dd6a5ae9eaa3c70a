//! What a ward's inputs dropped before it had a number: told to the city, which writes it into its receipt book as it
//! does for its own inputs ([`crate::pipeline::shed`]).
//!
//! In: counts by sender and reason from the queues before the lanes. Out: a report with an id, the same until the city says
//! that it has it; what comes meanwhile waits for the next one. Promise: a report is counted once, however often it is
//! sent; one that an older city passes over is kept. Bounds: senders told apart ([`ROWS_MAX`]), the bytes of a sample.
//! Failure: none; a kill forgets what had not been written down, at most some seconds. Format: docs/format/forward.md.

use std::net::IpAddr;

use nhatle_collector::forwarded_input;
use nhatle_collector::listen::queue::{Shed, Unreceived};
use nhatle_event::{Field, Record, Text, Timestamp};
use serde::{Deserialize, Serialize};

use super::status;
use crate::pipeline::{Shared, shed};
use crate::sources::OTHER_SOURCE;
use crate::sources::owners::By;
use crate::sources::tally::Whose;

/// Of so many senders and reasons a report tells one by one; those past it are one row for each input and reason.
pub const ROWS_MAX: usize = 32;
/// So much of a dropped record is told, so that the city knows whose it was.
const SAMPLE_BYTES_MAX: usize = 200;
/// How many rows the city takes in one report, and how long their texts may be.
const TOLD_ROWS_MAX: usize = 1_024;
const TEXT_BYTES_MAX: usize = 4_096;
/// The reason of datagrams that the kernel dropped.
const KERNEL: &str = "kernel";
/// A report is at most so late; what says otherwise is counted now.
const LATE_NS_MAX: i64 = 30 * 86_400 * 1_000_000_000;

/// Records of one sender that were dropped for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The input they came by.
    pub input: String,
    /// The sender's address; empty where nobody knows, or there are too many.
    pub sender: String,
    /// Why: `flood`, `queue_full`, `stopping`, `kernel`.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The beginning of one of them; empty without a sender.
    pub sample: String,
    /// When it was first seen, nanoseconds.
    pub at_ns: i64,
}

impl Loss {
    /// Whether both are of one input, sender and reason.
    fn is_like(&self, other: &Loss) -> bool {
        self.input == other.input && self.sender == other.sender && self.reason == other.reason
    }
}

/// What the city is told at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// By which it is known when it is sent again.
    pub id: u64,
    /// What was dropped.
    pub rows: Vec<Loss>,
}

impl Report {
    /// Whether it is within its bounds.
    pub fn is_sound(&self) -> bool {
        let is_short = |loss: &Loss| {
            [&loss.input, &loss.sender, &loss.reason, &loss.sample].iter().all(|text| text.len() <= TEXT_BYTES_MAX)
        };
        self.rows.len() <= TOLD_ROWS_MAX && self.rows.iter().all(is_short)
    }
}

/// What the city does not hold yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Losses {
    report: Option<Report>,
    rows: Vec<Loss>,
}

impl Losses {
    /// Takes in what the queues say.
    pub fn add(&mut self, shed: Vec<Shed>, unreceived: Vec<Unreceived>, now: Timestamp) {
        for Shed { why, records, sample } in shed {
            // Health events are made anew each minute.
            if &*sample.input != status::INPUT {
                let end = sample.bytes.len().min(SAMPLE_BYTES_MAX);
                self.count(Loss {
                    input: sample.input.to_string(),
                    sender: sample.peer.map_or_else(String::new, |peer| peer.to_string()),
                    reason: why.reason().to_owned(),
                    count: records,
                    sample: String::from_utf8_lossy(&sample.bytes[..end]).into_owned(),
                    at_ns: now.0,
                });
            }
        }
        for one in unreceived {
            // Numbers are those of flows, which a ward does not take.
            if let Unreceived::Kernel { input, datagrams } = one {
                let (input, reason) = (input.to_string(), KERNEL.to_owned());
                let (sender, sample) = (String::new(), String::new());
                self.count(Loss { input, sender, reason, count: datagrams, sample, at_ns: now.0 });
            }
        }
    }

    fn count(&mut self, mut fresh: Loss) {
        // Rows without a sender are as many as there are inputs and reasons.
        if ROWS_MAX <= self.rows.len() && !self.rows.iter().any(|loss| loss.is_like(&fresh)) {
            fresh.sender.clear();
        }
        if fresh.sender.is_empty() {
            fresh.sample.clear();
        }
        match self.rows.iter_mut().find(|loss| loss.is_like(&fresh)) {
            Some(loss) => loss.count = loss.count.saturating_add(fresh.count),
            None => self.rows.push(fresh),
        }
    }

    /// The report to send; made with `id` of what waits where there is none. Says whether it is new, and so has to be
    /// written down before it is sent.
    pub fn report(&mut self, id: u64) -> (Option<&Report>, bool) {
        let is_new = self.report.is_none() && !self.rows.is_empty();
        if is_new {
            self.report = Some(Report { id, rows: std::mem::take(&mut self.rows) });
        }
        (self.report.as_ref(), is_new)
    }

    /// Whether there is a report that was not sent yet; `sent` is the last one that was.
    pub fn is_news(&self, sent: Option<u64>) -> bool {
        match &self.report {
            Some(report) => Some(report.id) != sent,
            None => !self.rows.is_empty(),
        }
    }

    /// The city holds this report now. False where it is none of ours.
    pub fn is_taken(&mut self, id: u64) -> bool {
        self.report.take_if(|report| report.id == id).is_some()
    }
}

/// Writes a report of this forwarder into the receipt book: what a sender's records show on its own row, the rest on that
/// of the forwarder.
pub(super) fn note(shared: &Shared, (name, unit): (&str, Option<&str>), report: &Report, now: Timestamp) {
    let settings = shared.settings.get();
    let renamed = shared.owners.renamed(name, unit, By::Grant, &shared.units.get(), now);
    let name_in_book = renamed.as_deref().unwrap_or(name);
    for loss in &report.rows {
        let is_late = (now.0.saturating_sub(LATE_NS_MAX)..=now.0).contains(&loss.at_ns);
        let at = if is_late { Timestamp(loss.at_ns) } else { now };
        let own = Whose { source: name_in_book, input: "forward", unit };
        if loss.reason == KERNEL {
            shared.noted().lose(own, loss.count, at);
            continue;
        }
        let reason = match loss.reason.as_str() {
            reason @ ("flood" | "queue_full" | "stopping" | "disk_full") => reason,
            _ => "unexplained",
        };
        let Ok(peer) = loss.sender.parse::<IpAddr>() else {
            shared.noted().reject(own, reason, loss.count, at);
            continue;
        };
        let mut sample = Record::new(loss.sample.as_bytes(), "", at);
        sample.input = forwarded_input(name, &loss.input);
        (sample.peer, sample.unit) = (Some(peer), unit.map(Text::from));
        let event = shed::named(shared, &sample, &settings);
        let source = event.text(Field::NHATLE_SOURCE).unwrap_or(OTHER_SOURCE);
        let whose = Whose { source, input: &sample.input, unit: event.text(Field::NHATLE_UNIT) };
        shared.noted().reject(whose, reason, loss.count, at);
    }
}

#[cfg(test)]
mod tests {
    use nhatle_collector::listen::queue::NoRoom;

    use super::*;

    fn shed(host: u32, records: u64) -> Shed {
        let mut sample = Record::new(vec![b'x'; 9_000], "syslog-udp", Timestamp(1));
        sample.peer = Some(IpAddr::from(host.to_be_bytes()));
        Shed { why: NoRoom::Flood, records, sample }
    }

    #[test]
    fn every_loss_is_in_one_report_and_a_report_stays_until_it_is_taken() {
        let mut losses = Losses::default();
        assert!(!losses.is_news(None) && losses.report(1).0.is_none());
        let kernel = || Unreceived::Kernel { input: Text::const_new("syslog-udp"), datagrams: 3 };
        losses.add(vec![shed(1, 5), shed(1, 6)], vec![kernel(), kernel()], Timestamp(7));
        assert!(losses.is_news(None));
        let (report, is_new) = losses.report(11);
        let told: Vec<_> = report.unwrap().rows.iter().map(|loss| (loss.reason.as_str(), loss.count)).collect();
        assert_eq!((told, is_new), (vec![("flood", 11), ("kernel", 6)], true));
        // What comes meanwhile waits for the next one; a restart changes nothing.
        losses.add(vec![shed(1, 100)], Vec::new(), Timestamp(8));
        let mut losses: Losses = serde_json::from_slice(&serde_json::to_vec(&losses).unwrap()).unwrap();
        assert!(losses.is_news(None) && !losses.is_news(Some(11)));
        let (report, is_new) = losses.report(12);
        assert_eq!((report.unwrap().id, is_new), (11, false));
        assert!(!losses.is_taken(12) && losses.is_taken(11) && !losses.is_taken(11));
        let (report, _) = losses.report(13);
        assert_eq!(report.unwrap().rows.iter().map(|loss| loss.count).sum::<u64>(), 100);
    }

    #[test]
    fn many_senders_are_counted_together_past_the_bound() {
        let mut losses = Losses::default();
        losses.add((0..1_000).map(|host| shed(host, 2)).collect(), Vec::new(), Timestamp(7));
        let report = losses.report(1).0.unwrap();
        assert_eq!(report.rows.len(), ROWS_MAX + 1);
        assert_eq!(report.rows.iter().map(|loss| loss.count).sum::<u64>(), 2_000);
        assert!(report.is_sound() && serde_json::to_vec(report).unwrap().len() < 16 << 10);
    }
}
