//! The rows of a segment as Parquet reads them, a row group at a time. In: the pages that will be asked for. Out: their
//! bytes, each block read and checked once, where pages asked for one by one would read the blocks around them again for
//! each. Bounds: `WHOLE_BYTES_MAX` of a row group where that holds all that is asked for, else `AHEAD_BYTES` of each column.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, Length};

use super::checked_file::{CheckedFile, Stream};
use super::meta::BLOCK_BYTES;

/// Up to so many bytes of a row group are read at once.
const WHOLE_BYTES_MAX: u64 = 8 << 20;
/// So much of a column is read at a time where the row group has more.
const AHEAD_BYTES: u64 = 1 << 20;

/// What is going to be read of one row group: ranges of bytes, ascending.
#[derive(Default)]
pub struct Wanted {
    /// What is read of each column, pages that lie side by side joined.
    columns: Vec<Range<u64>>,
    /// The same with what lies close together joined.
    joined: Vec<Range<u64>>,
    /// All of it is little enough to be read at once.
    is_little: bool,
}

impl Wanted {
    /// These ranges of bytes, in any order.
    pub fn new(mut ranges: Vec<Range<u64>>) -> Wanted {
        ranges.sort_unstable_by_key(|range| range.start);
        let (columns, joined) = (joined(&ranges, 0), joined(&ranges, BLOCK_BYTES as u64));
        let bytes: u64 = joined.iter().map(|range| range.end - range.start).sum();
        Wanted { columns, joined, is_little: bytes <= WHOLE_BYTES_MAX }
    }

    fn first(&self) -> u64 {
        self.columns.first().map_or(u64::MAX, |range| range.start)
    }

    /// The ranges it is read by, and how much of one at a time.
    fn reads(&self) -> (&[Range<u64>], u64) {
        if self.is_little { (&self.joined, WHOLE_BYTES_MAX) } else { (&self.columns, AHEAD_BYTES) }
    }
}

fn joined(ranges: &[Range<u64>], gap: u64) -> Vec<Range<u64>> {
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges.iter().filter(|range| range.start < range.end) {
        match out.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => last.end = last.end.max(range.end),
            _ => out.push(range.clone()),
        }
    }
    out
}

/// A file with what was read of it and is going to be asked for.
#[derive(Clone)]
pub struct Ahead {
    file: CheckedFile,
    /// In the order of the file.
    groups: Arc<Vec<Wanted>>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    group: usize,
    /// A piece of each range: where it begins, and its bytes.
    pieces: Vec<(u64, Bytes)>,
}

impl Ahead {
    /// The file, of which these pages are asked for.
    pub fn new(file: CheckedFile, mut groups: Vec<Wanted>) -> Ahead {
        groups.sort_by_key(Wanted::first);
        Ahead { file, groups: Arc::new(groups), kept: Arc::default() }
    }

    fn read(&self, start: u64, end: u64) -> std::result::Result<Bytes, crate::error::ReadError> {
        let group = self.groups.partition_point(|group| group.first() <= start).saturating_sub(1);
        let Some(wanted) = self.groups.get(group) else { return self.file.read(start, end) };
        let (ranges, ahead) = wanted.reads();
        let at = ranges.partition_point(|range| range.start <= start).saturating_sub(1);
        let Some(range) = ranges.get(at).filter(|range| range.start <= start && end <= range.end) else {
            return self.file.read(start, end);
        };
        let mut kept = self.kept.lock().expect("no code panics while it holds this lock");
        if kept.group != group || kept.pieces.len() != ranges.len() {
            *kept = Kept { group, pieces: vec![(0, Bytes::new()); ranges.len()] };
        }
        let piece = &mut kept.pieces[at];
        if start < piece.0 || piece.0 + (piece.1.len() as u64) < end {
            let to = start.saturating_add(ahead).clamp(end, range.end);
            match self.file.read(start, to) {
                Ok(bytes) => *piece = (start, bytes),
                // What nobody asks for may be damaged.
                Err(_) => {
                    CheckedFile::forget_failure();
                    return self.file.read(start, end);
                }
            }
        }
        let place = |at: u64| usize::try_from(at - piece.0).unwrap_or(usize::MAX);
        Ok(piece.1.slice(place(start)..place(end)))
    }
}

impl Length for Ahead {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for Ahead {
    type T = Stream;

    fn get_read(&self, start: u64) -> Result<Stream> {
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.read(start, start.saturating_add(length as u64))
            .map_err(|error| parquet::errors::ParquetError::External(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_close_together_is_read_at_once() {
        let wanted = Wanted::new(vec![200_000..200_100, 0..10, 10..30, 1_000..1_010, 5..5]);
        assert_eq!(wanted.columns, [0..30, 1_000..1_010, 200_000..200_100]);
        assert_eq!(wanted.joined, [0..1_010, 200_000..200_100]);
        assert_eq!(wanted.first(), 0);
        assert_eq!(Wanted::new(Vec::new()).first(), u64::MAX);
    }
}
