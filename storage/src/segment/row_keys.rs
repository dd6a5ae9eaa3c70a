//! `RowKeys`: times and `Seq`s of all rows of a segment, in the order of rows. In: what [`super::reader`] reads of them. Out: rows
//! by time and by `Seq`.

use nhatle_event::{Seq, Timestamp};

/// What a row is ordered by and named with, for every row of a segment in the order of rows.
#[derive(Debug, Default)]
pub struct RowKeys {
    pub(super) timestamps: Vec<i64>,
    pub(super) seqs: Vec<u64>,
}

impl RowKeys {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.seqs.len()
    }

    /// There is no row.
    pub fn is_empty(&self) -> bool {
        self.seqs.is_empty()
    }

    /// When the event of a row happened.
    pub fn timestamp(&self, row: usize) -> Timestamp {
        Timestamp(self.timestamps[row])
    }

    /// The `Seq` of a row.
    pub fn seq(&self, row: usize) -> Seq {
        Seq(self.seqs[row])
    }

    /// The first row that is not before this moment; rows are in order of time.
    pub fn first_at(&self, stamp: Timestamp) -> usize {
        self.timestamps.partition_point(|nanos| *nanos < stamp.0)
    }

    /// The row of this `Seq`.
    pub fn row_of(&self, seq: Seq) -> Option<usize> {
        self.seqs.iter().position(|one| *one == seq.0)
    }

    /// The rows of these `Seq`s (ascending), in order.
    pub fn rows_of(&self, seqs: &[Seq]) -> Vec<usize> {
        (0..self.seqs.len()).filter(|row| seqs.binary_search(&Seq(self.seqs[*row])).is_ok()).collect()
    }

    /// The first `count` rows, by `Seq`, of those with a `Seq` past this one; in no order.
    pub fn first_after(&self, seq: Seq, count: usize) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.seqs.len()).filter(|row| seq.0 < self.seqs[*row]).collect();
        if count < rows.len() {
            rows.select_nth_unstable_by_key(count, |row| self.seqs[*row]);
            rows.truncate(count);
        }
        rows
    }
}
