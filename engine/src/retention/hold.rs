//! Legal holds: nothing stored in a span of time may go, whatever its rule says, until a day or until somebody ends it.
//! And what went: a record of each segment that was dropped.
//!
//! Changes of the register (streams `hold/3`, `retention/12`), folded here. Failure: [`Refused`] with what is wrong.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::incident::Refused;

/// How many holds there may be.
pub const HOLDS_MAX: usize = 1_000;
/// The longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 2_000;
/// How many jobs of deletion the state remembers; the register keeps all.
pub const DROPS_MAX: usize = 200;
/// How many segments one job drops.
pub const DROP_SEGMENTS_MAX: usize = 256;

/// A change of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HoldChange {
    /// Nothing that happened or was stored from `from_ns` to before `to_ns` goes.
    Place {
        /// From when, nanoseconds.
        from_ns: i64,
        /// To when.
        to_ns: i64,
        /// Until when the hold lasts.
        until_ns: i64,
        /// Why.
        reason: String,
    },
    /// It lasts longer.
    Extend {
        /// Until when it lasts now.
        until_ns: i64,
        /// Why.
        reason: String,
    },
    /// It ends now.
    Release {
        /// Why.
        reason: String,
    },
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// From when.
    pub from: Timestamp,
    /// To when.
    pub to: Timestamp,
    /// Until when it lasts.
    pub until: Timestamp,
    /// Why, as last said.
    pub reason: String,
    /// Who placed it.
    pub actor: String,
    /// Since when.
    pub placed: Timestamp,
}

impl Hold {
    /// It keeps what lies from `first` to `last`, now.
    pub fn keeps(&self, first: Timestamp, last: Timestamp, now: Timestamp) -> bool {
        now < self.until && first < self.to && self.from <= last
    }
}

/// A hold after a change.
///
/// # Errors
/// It spans nothing, has no reason, ends in the past, or is over.
pub fn apply(before: Option<&Hold>, change: &HoldChange, actor: &str, at: Timestamp) -> Result<Hold, Refused> {
    let (HoldChange::Place { reason, .. } | HoldChange::Extend { reason, .. } | HoldChange::Release { reason }) =
        change;
    if reason.trim().is_empty() {
        return Err(Refused::Empty("reason"));
    }
    if REASON_CHARS_MAX < reason.chars().count() {
        return Err(Refused::TooLong { what: "reason", max: REASON_CHARS_MAX });
    }
    let reason = reason.clone();
    match (before, change) {
        (None, HoldChange::Place { from_ns, to_ns, until_ns, .. }) => {
            if to_ns <= from_ns {
                return Err(Refused::UnknownWord { what: "span", word: Timestamp(*to_ns).to_string() });
            }
            if *until_ns <= at.0 {
                return Err(Refused::UnknownWord { what: "end", word: Timestamp(*until_ns).to_string() });
            }
            let (from, to, until) = (Timestamp(*from_ns), Timestamp(*to_ns), Timestamp(*until_ns));
            Ok(Hold { from, to, until, reason, actor: actor.to_owned(), placed: at })
        }
        (Some(_), HoldChange::Place { .. }) => Err(Refused::Exists),
        (None, _) => Err(Refused::Unknown),
        (Some(before), _) if before.until <= at => Err(Refused::Closed),
        (Some(before), HoldChange::Extend { until_ns, .. }) if *until_ns <= before.until.0 => {
            Err(Refused::UnknownWord { what: "end", word: Timestamp(*until_ns).to_string() })
        }
        (Some(before), HoldChange::Extend { until_ns, .. }) => {
            Ok(Hold { until: Timestamp(*until_ns), reason, ..before.clone() })
        }
        (Some(before), HoldChange::Release { .. }) => Ok(Hold { until: at, reason, ..before.clone() }),
    }
}

/// One segment that goes, as the register keeps it for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedSegment {
    /// Its folder.
    pub dir: String,
    /// Its dataset.
    pub dataset: String,
    /// How many events it held.
    pub events: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The smallest and the largest `Seq`.
    pub seqs: [u64; 2],
    /// The first and the last time something in it happened, nanoseconds.
    pub happened_ns: [i64; 2],
    /// The first and the last time something in it was stored, nanoseconds.
    pub stored_ns: [i64; 2],
    /// Root over the hashes of its events.
    pub events_root: String,
    /// Months it was kept, by which rule and basis.
    pub months: u32,
    /// The basis of the rule.
    pub basis: String,
}

/// A step of a job of deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DropChange {
    /// These go now. Written down before anything goes.
    Begin {
        /// What goes.
        segments: Vec<DroppedSegment>,
    },
    /// They are gone.
    Done {},
}

/// A job of deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// When it began.
    pub begun: Timestamp,
    /// When it was done.
    pub done: Option<Timestamp>,
    /// How many segments.
    pub segments: usize,
    /// Their events.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last of their events was stored.
    pub stored_last: Timestamp,
}

/// A job after a step.
///
/// # Errors
/// It drops nothing or too much at once, or is done already.
pub fn apply_drop(before: Option<&Dropped>, change: &DropChange, at: Timestamp) -> Result<Dropped, Refused> {
    match (before, change) {
        (None, DropChange::Begin { segments }) => {
            if segments.is_empty() {
                return Err(Refused::Empty("segments"));
            }
            if DROP_SEGMENTS_MAX < segments.len() {
                return Err(Refused::TooLong { what: "list of segments", max: DROP_SEGMENTS_MAX });
            }
            Ok(Dropped {
                begun: at,
                done: None,
                segments: segments.len(),
                events: segments.iter().map(|segment| segment.events).sum(),
                bytes: segments.iter().map(|segment| segment.bytes).sum(),
                stored_last: Timestamp(segments.iter().map(|segment| segment.stored_ns[1]).max().unwrap_or(0)),
            })
        }
        (Some(_), DropChange::Begin { .. }) => Err(Refused::Exists),
        (Some(before), DropChange::Done {}) if before.done.is_none() => {
            Ok(Dropped { done: Some(at), ..before.clone() })
        }
        (Some(_), DropChange::Done {}) => Err(Refused::Closed),
        (None, DropChange::Done {}) => Err(Refused::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_keeps_what_it_spans_until_it_ends() {
        let place = |from_ns, to_ns, until_ns, reason: &str| HoldChange::Place {
            from_ns,
            to_ns,
            until_ns,
            reason: reason.to_owned(),
        };
        let made = |change: &HoldChange| apply(None, change, "lan", Timestamp(10));
        for bad in
            [place(5, 5, 20, "r"), place(5, 6, 10, "r"), place(5, 6, 20, " "), place(5, 6, 20, &"x".repeat(3000))]
        {
            assert!(made(&bad).is_err(), "{bad:?}");
        }
        let hold = made(&place(100, 200, 1000, "điều tra")).unwrap();
        for (first, last, kept) in
            [(0, 99, false), (0, 100, true), (150, 160, true), (199, 900, true), (200, 900, false)]
        {
            assert_eq!(hold.keeps(Timestamp(first), Timestamp(last), Timestamp(999)), kept, "{first} to {last}");
        }
        assert!(!hold.keeps(Timestamp(150), Timestamp(160), Timestamp(1000)));
        let step = |before: &Hold, change: HoldChange, at| apply(Some(before), &change, "minh", Timestamp(at));
        let extend = |until_ns| HoldChange::Extend { until_ns, reason: "tiếp".into() };
        assert!(step(&hold, extend(1000), 20).is_err());
        let longer = step(&hold, extend(2000), 20).unwrap();
        assert_eq!((longer.until, longer.actor.as_str()), (Timestamp(2000), "lan"));
        let ended = step(&longer, HoldChange::Release { reason: "xong".into() }, 30).unwrap();
        assert!(!ended.keeps(Timestamp(150), Timestamp(160), Timestamp(30)));
        assert!(step(&ended, extend(5000), 31).is_err(), "what is over stays over");
    }

    #[test]
    fn a_job_says_what_goes_before_it_is_gone() {
        let segment = DroppedSegment {
            dir: "segments/1-events".into(),
            dataset: "events".into(),
            events: 7,
            bytes: 70,
            seqs: [1, 7],
            happened_ns: [1, 2],
            stored_ns: [1, 3],
            events_root: "00".into(),
            months: 12,
            basis: "TCVN".into(),
        };
        let begin = DropChange::Begin { segments: vec![segment.clone(), segment] };
        assert!(apply_drop(None, &DropChange::Begin { segments: Vec::new() }, Timestamp(1)).is_err());
        let begun = apply_drop(None, &begin, Timestamp(1)).unwrap();
        assert_eq!((begun.segments, begun.events, begun.bytes, begun.done), (2, 14, 140, None));
        let done = apply_drop(Some(&begun), &DropChange::Done {}, Timestamp(2)).unwrap();
        assert_eq!(done.done, Some(Timestamp(2)));
        assert!(apply_drop(Some(&done), &DropChange::Done {}, Timestamp(3)).is_err());
        assert!(apply_drop(None, &DropChange::Done {}, Timestamp(3)).is_err());
    }
}
