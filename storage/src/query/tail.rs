//! What was committed since the last look: the live tail. In: a query, the `Seq` up to which was looked, bounds. Out:
//! [`Tail`]: the newest events that match, and how many were left out and why. Promise: one look reads memory only,
//! never a file; what it leaves out it counts, so nobody takes a gap for silence; the limit to units holds.

use nhatle_event::{Seq, Stored};

use super::Query;
use crate::snapshot::Snapshot;

/// How many events one look goes through.
pub const TAIL_LOOKED_MAX: usize = 50_000;
/// How many events one look gives.
pub const TAIL_ROWS_MAX: usize = 200;

/// What one look found.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    /// The newest events that match, oldest first.
    pub hits: Vec<Stored>,
    /// Older ones that match too and are not given.
    pub left_out: u64,
    /// Events that were not looked at: more than one look goes through, or already in a segment.
    pub not_looked_at: u64,
    /// Where the next look begins.
    pub last: Seq,
}

impl Snapshot {
    /// The newest `rows_max` events after `after` that match.
    pub fn tail(&self, query: &Query, after: Seq, rows_max: usize) -> Tail {
        let mut tail = Tail { last: self.last_seq(), ..Tail::default() };
        let mut looked_at = 0usize;
        let mut known = 0u64;
        'all: for chunk in self.chunks().rev() {
            for (dataset, row) in chunk.rows().rev() {
                if row.seq() <= after || TAIL_LOOKED_MAX <= looked_at {
                    break 'all;
                }
                looked_at += 1;
                known += 1;
                if !query.datasets.contains(&dataset) || !query.is_in_time(row.timestamp()) {
                    continue;
                }
                let stored = row.stored();
                if !query.matches(&stored) {
                    continue;
                }
                match tail.hits.len() < rows_max.min(TAIL_ROWS_MAX) {
                    true => tail.hits.push(stored),
                    false => tail.left_out += 1,
                }
            }
        }
        tail.hits.reverse();
        tail.not_looked_at = tail.last.0.saturating_sub(after.0).saturating_sub(known);
        tail
    }
}
