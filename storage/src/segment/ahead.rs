//! The rows of a segment as Parquet reads them, a row group at a time. In: the pages that will be asked for. Out: their
//! bytes, each block read and checked once, where pages asked for one by one would read the blocks around them again for
//! each. Bounds: `WHOLE_BYTES_MAX` of a row group where that holds all that is asked for, else `AHEAD_BYTES` of each column,
//! less where there are many; `KEPT_BYTES_MAX` of all of them together, and what lies longest unasked goes first.

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
/// So much is kept of a row group that is not read at once; a page that is larger by itself is kept alone.
const KEPT_BYTES_MAX: u64 = 32 << 20;

/// What lies so close together is read at once where blocks are small: a read more costs as much as so many bytes.
const GAP_BYTES: u64 = 16 << 10;
/// So much is kept where pages are asked for about in the order of the file.
const BEHIND_BYTES_MAX: u64 = 512 << 10;

/// What is going to be read of one row group: ranges of bytes, ascending.
#[derive(Default)]
pub struct Wanted {
    /// What is read of each column, its pages that lie side by side joined.
    columns: Vec<Range<u64>>,
    /// The same of all columns, with what lies close together joined.
    joined: Vec<Range<u64>>,
    /// All of it is little enough to be read at once.
    is_little: bool,
    /// How much of a column is read at a time.
    ahead: u64,
}

impl Wanted {
    /// These ranges of bytes of each column, in any order.
    pub fn new(mut of_columns: Vec<Vec<Range<u64>>>) -> Wanted {
        let mut columns = Vec::new();
        for ranges in &mut of_columns {
            ranges.sort_unstable_by_key(|range| range.start);
            // Not over the end of a column: two that are read in turn would push each other out.
            columns.extend(joined(ranges, 0));
        }
        columns.sort_unstable_by_key(|range| range.start);
        let share = KEPT_BYTES_MAX / (of_columns.len() as u64).max(1);
        // A piece is read from the border of a block before it to one behind it.
        let ahead = share.saturating_sub(2 * BLOCK_BYTES as u64).clamp(BLOCK_BYTES as u64, AHEAD_BYTES);
        let mut wanted = Wanted { columns, joined: Vec::new(), is_little: true, ahead };
        wanted.join(BLOCK_BYTES as u64);
        wanted
    }

    /// Joins what has so many bytes between it at most.
    fn join(&mut self, gap: u64) {
        self.joined = joined(&self.columns, gap);
        self.is_little = self.joined.iter().map(|range| range.end - range.start).sum::<u64>() <= WHOLE_BYTES_MAX;
    }

    fn first(&self) -> u64 {
        self.columns.first().map_or(u64::MAX, |range| range.start)
    }

    /// The ranges it is read by, and how much of one at a time.
    fn reads(&self) -> (&[Range<u64>], u64) {
        if self.is_little { (&self.joined, WHOLE_BYTES_MAX) } else { (&self.columns, self.ahead) }
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
    kept_bytes_max: u64,
    /// In the order of the file.
    groups: Arc<Vec<Wanted>>,
    kept: Arc<Mutex<Kept>>,
}

/// Pieces of the ranges of one row group, at most one of each.
#[derive(Default)]
struct Kept {
    group: usize,
    /// What was asked for last stands last. Each is counted as one block at least, so there are some hundred.
    pieces: Vec<Piece>,
}

struct Piece {
    /// The number of its range.
    range: usize,
    start: u64,
    bytes: Bytes,
    /// How many bytes a block of the file has.
    block: u64,
}

impl Piece {
    fn holds(&self, start: u64, end: u64) -> bool {
        self.start <= start && end <= self.start + self.bytes.len() as u64
    }

    /// How much memory it holds: the whole blocks that were read.
    fn kept_bytes(&self) -> u64 {
        let block = self.block;
        let end = self.start + self.bytes.len() as u64;
        (end.div_ceil(block) - self.start / block).max(1) * block
    }
}

impl Kept {
    /// The piece of a range, if it holds these bytes; one that does not is no longer wanted.
    fn take(&mut self, range: usize, start: u64, end: u64) -> Option<Piece> {
        let at = self.pieces.iter().position(|piece| piece.range == range)?;
        Some(self.pieces.remove(at)).filter(|piece| piece.holds(start, end))
    }

    fn keep(&mut self, piece: Piece, bytes_max: u64) {
        let mut bytes = self.bytes() + piece.kept_bytes();
        let mut gone = 0;
        while bytes_max < bytes && gone < self.pieces.len() {
            bytes -= self.pieces[gone].kept_bytes();
            gone += 1;
        }
        self.pieces.drain(..gone);
        self.pieces.push(piece);
    }

    fn bytes(&self) -> u64 {
        self.pieces.iter().map(Piece::kept_bytes).sum()
    }
}

impl Ahead {
    /// The file, of which these pages are asked for.
    pub fn new(file: CheckedFile, mut groups: Vec<Wanted>) -> Ahead {
        if file.block_bytes() < BLOCK_BYTES {
            groups.iter_mut().for_each(|group| group.join(GAP_BYTES));
        }
        groups.sort_by_key(Wanted::first);
        Ahead { file, kept_bytes_max: KEPT_BYTES_MAX, groups: Arc::new(groups), kept: Arc::default() }
    }

    /// The same for whoever asks about in the order of the file: what lies behind is let go, so that its memory is used again.
    pub fn in_order(file: CheckedFile, groups: Vec<Wanted>) -> Ahead {
        Ahead { kept_bytes_max: BEHIND_BYTES_MAX, ..Ahead::new(file, groups) }
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
        if kept.group != group {
            *kept = Kept { group, pieces: Vec::new() };
        }
        let piece = match kept.take(at, start, end) {
            Some(piece) => piece,
            None => match self.file.read(start, start.saturating_add(ahead).clamp(end, range.end)) {
                Ok(bytes) => Piece { range: at, start, bytes, block: self.file.block_bytes() as u64 },
                // What nobody asks for may be damaged.
                Err(_) => {
                    CheckedFile::forget_failure();
                    return self.file.read(start, end);
                }
            },
        };
        let place = |at: u64| usize::try_from(at - piece.start).unwrap_or(usize::MAX);
        let bytes = piece.bytes.slice(place(start)..place(end));
        kept.keep(piece, self.kept_bytes_max);
        Ok(bytes)
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
    use crate::dataset::Dataset;
    use crate::disk::Disk;
    use crate::disk::sim::SimDisk;
    use crate::segment::meta::{FileMeta, SegmentMeta};

    #[test]
    fn what_lies_close_together_is_read_at_once() {
        let wanted = Wanted::new(vec![vec![200_000..200_100, 0..10, 10..30], vec![30..40, 1_000..1_010, 5..5]]);
        assert_eq!(wanted.columns, [0..30, 30..40, 1_000..1_010, 200_000..200_100]);
        assert_eq!(wanted.joined, [0..1_010, 200_000..200_100]);
        assert_eq!(wanted.first(), 0);
        assert_eq!(Wanted::new(Vec::new()).first(), u64::MAX);
    }

    /// A file of so many bytes.
    fn file(disk: &SimDisk, length: usize) -> CheckedFile {
        // A stretch that goes into no page a whole number of times, again and again.
        let stretch: Vec<u8> = (0..9_973u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut bytes = stretch.repeat(length.div_ceil(stretch.len()));
        bytes.truncate(length);
        let block_crc32c = bytes.chunks(BLOCK_BYTES).map(crc32c::crc32c).collect();
        let meta = FileMeta { name: "rows".to_owned(), bytes: bytes.len() as u64, sha256: String::new(), block_crc32c };
        let json = serde_json::json!({
            "version": 1, "dataset": Dataset::Events, "dir": "segments/1", "row_count": 1, "first_seq": 1, "last_seq": 1,
            "timestamp_min": 0, "timestamp_max": 0, "files": [meta], "events_root": "",
        });
        let meta: SegmentMeta = serde_json::from_value(json).expect("a segment");
        disk.create_folder("segments").expect("is made");
        disk.create_folder(&meta.dir).expect("is made");
        disk.replace(&meta.path("rows"), &bytes).expect("is written");
        CheckedFile::open(Arc::new(disk.clone()), &meta, "rows").expect("is there")
    }

    #[test]
    fn what_is_kept_of_a_row_group_is_bounded_and_every_byte_is_that_of_the_file() {
        const PAGE: u64 = 40_000;
        // Columns of the row group, pages of each, every how many-th is wanted; how many reads that may cost.
        let table = [
            // Sparse, in long columns: many small pieces, each of which holds blocks.
            (4u64, 240u64, 4usize, 240),
            // Side by side.
            (2, 250, 1, 30),
            // More columns than pieces of the usual length have room.
            (100, 12, 1, 400),
            // Little.
            (5, 30, 2, 1),
        ];
        for (columns, pages, step, reads_max) in table {
            let length = columns * pages * PAGE;
            let disk = SimDisk::new(1);
            let file = file(&disk, usize::try_from(length).expect("is small"));
            let page = |column: u64, page: u64| {
                let start = (column * pages + page) * PAGE;
                start..start + PAGE
            };
            let chosen = || (0..pages).step_by(step);
            let wanted =
                Wanted::new((0..columns).map(|column| chosen().map(|at| page(column, at)).collect()).collect());
            let (is_little, ahead) = (wanted.is_little, Ahead::new(file.clone(), vec![wanted]));
            let before = disk.calls();
            let mut compared = 0;
            // As Parquet asks: a batch of rows of each column after the other.
            for at in chosen() {
                for column in 0..columns {
                    let Range { start, end } = page(column, at);
                    let found = ahead.read(start, end).expect("is whole");
                    let kept = ahead.kept.lock().expect("is whole").bytes();
                    let bound = if is_little { WHOLE_BYTES_MAX + 2 * BLOCK_BYTES as u64 } else { KEPT_BYTES_MAX };
                    assert!(kept <= bound, "{columns} columns keep {kept} bytes");
                    if (at + column) % 7 == 0 {
                        compared += 1;
                        assert!(found == file.read(start, end).expect("is whole"), "column {column} page {at}");
                    }
                }
            }
            let reads = disk.calls() - before - compared;
            assert!(reads <= reads_max, "{columns} columns in {reads} reads");
        }
    }
}
