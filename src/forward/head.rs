//! The head of a forwarder's request, the city's answer, and what the city keeps of a forwarder.
//!
//! In: JSON. Out: checked values, and [`admit`]: which of a request's records are new, as a pure function of what is
//! kept. Promise: a number that is durable is never taken again, whatever is sent again and whenever; a number that will
//! not come is named. Failure: a head that makes no sense is a [`BadHead`]. Format: docs/format/forward.md.

use serde::{Deserialize, Serialize};

use super::losses::Report;
use super::spool::{Depth, Gap, LANES};

/// The version of the protocol.
pub const VERSION: u32 = 1;
/// How many epochs of one forwarder are remembered: one more begins only when a spool is made anew or set back.
const EPOCHS_MAX: usize = 16;
/// How many gaps of one forwarder are remembered by range; all are counted.
pub const GAPS_MAX: usize = 256;
/// How many gaps one request may name.
const TOLD_GAPS_MAX: usize = 1_024;
/// How many blocks one request may have.
const ENDS_MAX: usize = 65_536;
/// How long names and versions may be.
const TEXT_BYTES_MAX: usize = 64;

/// What a forwarder says about itself and what it sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`VERSION`].
    pub version: u32,
    /// What it calls itself; its certificate's name where it has one.
    pub forwarder: String,
    /// The program's version.
    pub program: String,
    /// The spool's epoch: the same numbers under another epoch are other records.
    pub epoch: String,
    /// The lane, 1 to [`LANES`]; 1 is the highest priority.
    pub lane: u32,
    /// The first number of this lane under this epoch.
    pub begins_at: u64,
    /// The number of the first record; without records, of the next one to come.
    pub first: u64,
    /// How many records.
    pub count: u64,
    /// For each block its last number and its CRC-32C.
    pub ends: Vec<(u64, u32)>,
    /// Numbers that will not come, of any lane.
    pub gaps: Vec<Gap>,
    /// Its clock when this was sent, nanoseconds.
    pub sent_at_ns: i64,
    /// How long the last exchange took, 0 where there was none.
    pub round_trip_ns: i64,
    /// What waits in its spool.
    pub depth: Depth,
    /// Records its inputs dropped (UDP) since it started.
    pub dropped: u64,
    /// What they dropped and the city does not hold yet. A city of before passes over it, a ward of before has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<Report>,
}

/// The city's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Up to here the lane's records are durable, or known to be lost.
    pub durable_to: u64,
    /// The checksum of the block that ends there, where it is known.
    pub crc: Option<u32>,
    /// The city's clock, nanoseconds.
    pub now_ns: i64,
    /// The report of losses that is durable now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<u64>,
}

/// Why a head is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("forward: {0}")]
pub struct BadHead(pub &'static str);

impl Head {
    /// Checks that it makes sense beside so many records.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self, records: usize) -> Result<(), BadHead> {
        let is_name = |text: &str| {
            let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
            !text.trim().is_empty() && text.len() <= TEXT_BYTES_MAX && text.chars().all(good)
        };
        let is_range = |gap: &Gap| (1..=LANES as u32).contains(&gap.lane) && 1 <= gap.first && gap.first <= gap.last;
        let bad = [
            (self.version != VERSION, "another version of the protocol"),
            (!is_name(&self.forwarder), "the forwarder's name is empty, too long or has other characters"),
            (!is_name(&self.epoch) || TEXT_BYTES_MAX < self.program.len(), "no epoch, or a text is too long"),
            (!(1..=LANES as u32).contains(&self.lane), "no such lane"),
            (self.count != records as u64, "another number of records than the head says"),
            (self.first < 1 || self.begins_at < 1 || self.first < self.begins_at, "numbers begin before their epoch"),
            (self.first.checked_add(self.count).is_none(), "numbers past the end"),
            (TOLD_GAPS_MAX < self.gaps.len() || !self.gaps.iter().all(is_range), "gaps that are no ranges"),
            (ENDS_MAX < self.ends.len(), "too many blocks"),
            (!self.losses.as_ref().is_none_or(Report::is_sound), "more losses, or longer ones, than one report has"),
        ];
        bad.iter().find(|(is_bad, _)| *is_bad).map_or(Ok(()), |(_, why)| Err(BadHead(why)))
    }

    fn last(&self) -> u64 {
        self.first + self.count - 1
    }
}

/// Numbers that did not come, as the city keeps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedGap {
    /// Under which epoch.
    pub epoch: String,
    /// Which lane.
    pub lane: u32,
    /// The first number.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// As the forwarder says it: `full`, `damaged`, `too_large`; `unexplained` where it says nothing.
    pub reason: String,
    /// When it happened; when it was seen, where nothing was said.
    pub at_ns: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LaneRow {
    durable_to: u64,
    crc: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EpochRow {
    epoch: String,
    lanes: [Option<LaneRow>; LANES],
}

/// What the city keeps of a forwarder, in one place that is durable with its records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarder {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: Option<String>,
    /// Its program's version.
    pub program: String,
    pub(super) epochs: Vec<EpochRow>,
    /// Gaps, the newest last.
    pub gaps: Vec<NamedGap>,
    /// Numbers that will not come, in all.
    pub lost: u64,
    /// Records taken.
    pub taken: u64,
    /// Records that were sent again and not taken again.
    pub repeated: u64,
    /// How often it came with an older copy of its spool.
    pub forks: u64,
    /// When it last came, nanoseconds.
    pub contact_ns: i64,
    /// How far its clock is ahead of the city's, nanoseconds.
    pub clock_offset_ns: i64,
    /// What waits in its spool.
    pub depth: Depth,
    /// Records its inputs dropped since it started.
    pub dropped: u64,
    /// The last report of losses that was taken.
    #[serde(default)]
    pub losses_id: Option<u64>,
}

/// What a request leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The records from `skip` on are new; the forwarder is then as `next`.
    Take {
        /// How many records stand there already.
        skip: usize,
        /// The forwarder once they are durable.
        next: Box<Forwarder>,
        /// Whether `next` has to be durable too: it says more than when it last came.
        is_kept: bool,
        /// The answer.
        reply: Reply,
    },
    /// Other records were taken under these numbers.
    Forked(Reply),
}

/// Decides about a request. `head` was checked.
pub fn admit(forwarder: &Forwarder, head: &Head, now_ns: i64) -> Admitted {
    let mut next = forwarder.clone();
    next.program.clone_from(&head.program);
    next.contact_ns = now_ns;
    // The body was half a round trip on its way.
    let travel_ns = head.round_trip_ns.clamp(0, 60_000_000_000) / 2;
    next.clock_offset_ns = head.sent_at_ns.saturating_add(travel_ns).saturating_sub(now_ns);
    (next.depth, next.dropped) = (head.depth, head.dropped);
    let losses = head.losses.as_ref().map(|report| report.id);
    let are_losses_new = losses.is_some() && losses != next.losses_id;
    next.losses_id = losses.or(next.losses_id);
    let lane = head.lane as usize - 1;
    let epoch = next.epoch_of(&head.epoch);
    let row = epoch.lanes[lane].get_or_insert_with(|| LaneRow { durable_to: head.begins_at - 1, crc: None });
    let reply = |row: &LaneRow| Reply { durable_to: row.durable_to, crc: row.crc, now_ns, losses };
    let is_inside = head.first <= row.durable_to && row.durable_to <= head.last() && head.count > 0;
    let crc = head.ends.iter().find(|(number, _)| *number == row.durable_to).map(|(_, crc)| *crc);
    if is_inside && row.crc.is_some() && row.crc != crc {
        // Nothing of it is taken, and so no losses either.
        return Admitted::Forked(Reply { losses: None, ..reply(row) });
    }
    let mut is_kept = are_losses_new;
    let before = row.durable_to;
    let missing = (before + 1 < head.first).then(|| (before + 1, head.first - 1));
    let skip = head.count.min((before + 1).saturating_sub(head.first));
    if missing.is_some() {
        (row.durable_to, row.crc) = (head.first - 1, None);
        is_kept = true;
    }
    if skip < head.count {
        (row.durable_to, row.crc) = (head.last(), head.ends.last().map(|(_, crc)| *crc));
        is_kept = true;
    }
    let reply = reply(row);
    next.repeated += skip;
    next.taken += head.count - skip;
    if let Some((first, last)) = missing {
        next.name_gap(head, first, last, now_ns);
    }
    Admitted::Take { skip: usize::try_from(skip).unwrap_or(usize::MAX), next: Box::new(next), is_kept, reply }
}

impl Forwarder {
    fn epoch_of(&mut self, name: &str) -> &mut EpochRow {
        let at = self.epochs.iter().position(|row| row.epoch == name).unwrap_or_else(|| {
            if EPOCHS_MAX <= self.epochs.len() {
                self.epochs.remove(0);
            }
            self.epochs.push(EpochRow { epoch: name.to_owned(), ..EpochRow::default() });
            self.epochs.len() - 1
        });
        &mut self.epochs[at]
    }

    /// Writes down numbers that did not come, each with the reason the forwarder gives.
    fn name_gap(&mut self, head: &Head, mut first: u64, last: u64, now_ns: i64) {
        let mut told: Vec<&Gap> = head.gaps.iter().filter(|gap| gap.lane == head.lane).collect();
        told.sort_by_key(|gap| gap.first);
        while first <= last {
            let known = told.iter().find(|gap| gap.first <= first && first <= gap.last);
            let (end, reason, at_ns) = match known {
                Some(gap) => (gap.last.min(last), reason_name(gap), gap.at_ns),
                None => {
                    let begins = told.iter().map(|gap| gap.first).find(|begins| first < *begins);
                    (begins.map_or(last, |begins| last.min(begins - 1)), "unexplained".to_owned(), now_ns)
                }
            };
            self.lost = self.lost.saturating_add(end - first + 1);
            let gap = NamedGap { epoch: head.epoch.clone(), lane: head.lane, first, last: end, reason, at_ns };
            match self.gaps.last_mut() {
                Some(before)
                    if (&before.epoch, before.lane, &before.reason) == (&gap.epoch, gap.lane, &gap.reason)
                        && before.last + 1 == gap.first =>
                {
                    before.last = gap.last;
                }
                _ => self.gaps.push(gap),
            }
            first = end + 1;
        }
        self.gaps.drain(..self.gaps.len().saturating_sub(GAPS_MAX));
    }
}

fn reason_name(gap: &Gap) -> String {
    serde_json::to_value(gap.reason).ok().and_then(|name| name.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::losses::Loss;
    use super::super::spool::Lost;
    use super::*;

    fn head(first: u64, count: u64) -> Head {
        Head {
            version: VERSION,
            forwarder: "may-01".to_owned(),
            program: "0.1.0".to_owned(),
            epoch: "e1".to_owned(),
            lane: 1,
            begins_at: 1,
            first,
            count,
            ends: vec![(first + count - 1, u32::try_from(first + count).unwrap())],
            gaps: Vec::new(),
            sent_at_ns: 5_000,
            round_trip_ns: 200,
            depth: Depth::default(),
            dropped: 0,
            losses: None,
        }
    }

    #[track_caller]
    fn take(forwarder: &mut Forwarder, head: &Head) -> (usize, u64) {
        head.check(usize::try_from(head.count).unwrap()).unwrap();
        match admit(forwarder, head, 1_000) {
            Admitted::Take { skip, next, reply, .. } => {
                *forwarder = *next;
                (skip, reply.durable_to)
            }
            Admitted::Forked(_) => panic!("forked"),
        }
    }

    #[test]
    fn what_is_sent_again_is_not_taken_again() {
        let mut forwarder = Forwarder::default();
        assert_eq!(take(&mut forwarder, &head(1, 10)), (0, 10));
        assert_eq!(take(&mut forwarder, &head(1, 10)), (10, 10));
        let mut longer = head(1, 15);
        longer.ends.insert(0, (10, 11));
        assert_eq!(take(&mut forwarder, &longer), (10, 15));
        assert_eq!(take(&mut forwarder, &head(16, 0)), (0, 15));
        assert_eq!((forwarder.taken, forwarder.repeated, forwarder.lost), (15, 20, 0));
        assert_eq!(forwarder.clock_offset_ns, 4_100);
    }

    #[test]
    fn numbers_that_do_not_come_are_named_with_their_reasons() {
        let mut forwarder = Forwarder::default();
        let mut late = head(31, 5);
        late.gaps = vec![
            Gap { lane: 1, first: 11, last: 20, reason: Lost::Full, at_ns: 7 },
            Gap { lane: 1, first: 21, last: 25, reason: Lost::Damaged, at_ns: 8 },
            Gap { lane: 2, first: 1, last: 99, reason: Lost::Full, at_ns: 9 },
        ];
        assert_eq!(take(&mut forwarder, &late), (0, 35));
        let named: Vec<_> = forwarder.gaps.iter().map(|gap| (gap.first, gap.last, gap.reason.as_str())).collect();
        let expected = [(1, 10, "unexplained"), (11, 20, "full"), (21, 25, "damaged"), (26, 30, "unexplained")];
        assert_eq!(named, expected);
        assert_eq!((forwarder.lost, forwarder.taken), (30, 5));
        // At the end too, without a record behind it.
        assert_eq!(take(&mut forwarder, &head(41, 0)), (0, 40));
        assert_eq!((forwarder.lost, forwarder.gaps.last().unwrap().last), (35, 40));
    }

    #[test]
    fn other_records_under_the_same_numbers_are_a_fork() {
        let mut forwarder = Forwarder::default();
        take(&mut forwarder, &head(1, 10));
        let mut other = head(1, 10);
        other.ends = vec![(10, 99)];
        assert!(matches!(admit(&forwarder, &other, 0), Admitted::Forked(reply) if reply.durable_to == 10));
        // A block that goes across the border is none of what was taken.
        assert!(matches!(admit(&forwarder, &head(5, 10), 0), Admitted::Forked(_)));
        let mut anew = head(11, 3);
        (anew.epoch, anew.begins_at) = ("e2".to_owned(), 11);
        assert_eq!(take(&mut forwarder, &anew), (0, 13));
        assert_eq!(forwarder.lost, 0);
    }

    #[test]
    fn a_report_of_losses_is_taken_once_and_both_sides_of_before_are_understood() {
        let loss = |count| Loss {
            input: "syslog-udp".to_owned(),
            sender: "192.0.2.1".to_owned(),
            reason: "flood".to_owned(),
            count,
            sample: "x".to_owned(),
            at_ns: 7,
        };
        let mut forwarder = Forwarder::default();
        let mut told = head(1, 0);
        told.losses = Some(Report { id: u64::MAX, rows: vec![loss(5)] });
        told = serde_json::from_slice(&serde_json::to_vec(&told).unwrap()).unwrap();
        let mut admitted = |head: &Head| match admit(&forwarder, head, 0) {
            Admitted::Take { next, is_kept, reply, .. } => {
                forwarder = *next;
                (is_kept, reply.losses)
            }
            Admitted::Forked(_) => panic!("forked"),
        };
        assert_eq!(admitted(&told), (true, Some(u64::MAX)));
        assert_eq!(admitted(&told), (false, Some(u64::MAX)), "sent again");
        assert_eq!(admitted(&head(1, 0)), (false, None));
        assert_eq!(admitted(&told), (false, Some(u64::MAX)), "sent again later");
        let reply: Reply = serde_json::from_str(r#"{"durable_to":3,"crc":null,"now_ns":4}"#).unwrap();
        assert_eq!(reply.losses, None, "of a city of before");
        let text = serde_json::to_string(&head(1, 0)).unwrap();
        assert!(!text.contains("losses"), "{text}");
        assert!(serde_json::from_str::<Head>(&text).is_ok(), "of a ward of before");
        told.losses = Some(Report { id: 1, rows: vec![loss(1); 2_000] });
        assert!(told.check(0).is_err());
    }

    #[test]
    fn heads_that_make_no_sense_are_refused() {
        let with = |change: fn(&mut Head)| {
            let mut head = head(1, 2);
            change(&mut head);
            head.check(2)
        };
        assert!(with(|_| ()).is_ok());
        let bad: [fn(&mut Head); 8] = [
            |head| head.version = 2,
            |head| head.forwarder = "a/b: c".to_owned(),
            |head| head.epoch.clear(),
            |head| head.lane = 4,
            |head| head.count = 3,
            |head| head.first = 0,
            |head| (head.first, head.begins_at) = (u64::MAX, 1),
            |head| head.gaps = vec![Gap { lane: 1, first: 5, last: 4, reason: Lost::Full, at_ns: 0 }],
        ];
        for (number, change) in bad.into_iter().enumerate() {
            assert!(with(change).is_err(), "{number}");
        }
    }
}
