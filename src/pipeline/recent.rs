//! Which sender's ids were stored lately, so that a push that was stored but not answered, and is sent
//! again, is not stored twice.
//!
//! An id counts together with the source that sent it. The memory is bounded: the oldest ids are forgotten
//! first. After a restart it is filled from what is in the log and not yet in a segment.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::{HashSet, HashSetExt};
use nhatle_event::{Event, Field};

/// How many ids are remembered.
pub const IDS_MAX: usize = 500_000;

/// The ids stored lately, as 128-bit keyed hashes: two ids are taken for one once in 10^27 pairs.
pub struct RecentIds {
    known: HashSet<u128>,
    order: VecDeque<u128>,
    keys: [foldhash::quality::RandomState; 2],
}

impl RecentIds {
    /// Nothing remembered.
    pub fn new() -> RecentIds {
        let keys = [foldhash::quality::RandomState::default(), foldhash::quality::RandomState::default()];
        RecentIds { known: HashSet::new(), order: VecDeque::new(), keys }
    }

    /// Remembers the event's id. Returns whether it was known before; an event without an id never is.
    pub fn is_repeat(&mut self, event: &Event) -> bool {
        let Some(id) = event.text(Field::EVENT_ID).filter(|id| !id.is_empty()) else { return false };
        let named = (event.text(Field::NHATLE_SOURCE), event.text(Field::NHATLE_UNIT), id);
        let [high, low] = self.keys.each_ref().map(|key| u128::from(key.hash_one(named)));
        let hash = high << 64 | low;
        if !self.known.insert(hash) {
            return true;
        }
        self.order.push_back(hash);
        if IDS_MAX < self.order.len()
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nhatle_event::Timestamp;

    #[test]
    fn an_id_repeats_only_for_the_source_that_sent_it() {
        let event = |source: &str, id: &str| {
            let mut event = Event::new(Timestamp(0), *b"x");
            event.set(Field::NHATLE_SOURCE, source);
            event.set(Field::EVENT_ID, id);
            event
        };
        let mut recent = RecentIds::new();
        let rows = [
            ("a", "1", false),
            ("a", "1", true),
            ("b", "1", false),
            ("a", "2", false),
            ("a", "", false),
            ("a", "", false),
        ];
        for (source, id, expected) in rows {
            assert_eq!(recent.is_repeat(&event(source, id)), expected, "{source} {id}");
        }
    }
}
