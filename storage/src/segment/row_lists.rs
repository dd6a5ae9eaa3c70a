//! Lists of rows, each written once however many terms have it. In: rows in order. Out: bytes, and where in them each list
//! begins; [`Reader`] gives a list back as a [`RowSet`]. Promise: bytes of any kind give an error or rows of the segment,
//! nothing else. Failure: the reason, as text.
//!
//! ```text
//! list:    0 | length | steps                    few rows
//!          1 | length | bits                     many
//!          2 | back | length | bits              many: those of the list that begins so far back, and these turned over
//! steps:   for each 64 rows: width of the low parts in 5 bits; then for each row the step from the row before it less one
//!          (the first: the row itself): its high part as zeros and a one, its low part in as many bits
//! bits:    a bit for each row of the segment, the lowest first, packed by zstd unless that is no shorter
//! ```
//! Lengths and `back` are numbers of seven bits a byte ([`super::bits`]).

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::HashMap;
use foldhash::fast::RandomState;

use super::bits::{self, put_number, take_length};
use super::packed::{Packer, unpack};
use super::rows::RowSet;

/// A list with one row in so many, or more, has a bit for each row.
const DENSE_SHARE: usize = 32;
/// So many rows have low parts of one width.
const STEP_ROWS: usize = 64;
/// How many lists of many rows are remembered, for others to be like them.
const REMEMBERED_MAX: usize = 48;
/// How many bytes of their bits are looked at to see which is most alike.
const LOOKED_AT_BYTES: usize = 512;
/// How many lists must be read for one that is written by the others.
const DEPTH_MAX: u8 = 3;

const STEPS: u8 = 0;
const BITS: u8 = 1;
const TURNED: u8 = 2;

/// Writes lists.
pub struct Writer {
    row_count: usize,
    bytes: Vec<u8>,
    /// Where lists of few rows begin, by their hash; equal ones are told by their bytes.
    begins: HashMap<u64, u64>,
    state: RandomState,
    /// Lists of many rows, the one last asked for at the end.
    remembered: VecDeque<Dense>,
    packer: Packer,
    list: Vec<u8>,
    steps: bits::Writer,
}

struct Dense {
    begin: u64,
    bits: Vec<u8>,
    depth: u8,
}

impl Writer {
    /// For a segment of so many rows.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new(row_count: usize) -> Result<Writer, String> {
        Ok(Writer {
            row_count,
            bytes: Vec::new(),
            begins: HashMap::default(),
            state: RandomState::default(),
            remembered: VecDeque::new(),
            packer: Packer::new()?,
            list: Vec::new(),
            steps: bits::Writer::default(),
        })
    }

    /// Where the list of these rows begins: some, in order, below the number of rows.
    ///
    /// # Errors
    /// It cannot be packed.
    pub fn put(&mut self, rows: &[u32]) -> Result<u64, String> {
        if rows.len() * DENSE_SHARE < self.row_count { Ok(self.put_sparse(rows)) } else { self.put_dense(rows) }
    }

    fn put_sparse(&mut self, rows: &[u32]) -> u64 {
        let mut before = None;
        for rows in rows.chunks(STEP_ROWS) {
            let span = rows[rows.len() - 1] - before.unwrap_or(0);
            let width = low_width(u64::from(span), rows.len());
            self.steps.put(u64::from(width), 5);
            for row in rows {
                put_step(&mut self.steps, *row, before, width);
                before = Some(*row);
            }
        }
        let steps = self.steps.take();
        self.list.clear();
        self.list.push(STEPS);
        put_number(&mut self.list, steps.len() as u64);
        self.list.extend_from_slice(&steps);
        let hash = self.state.hash_one(&self.list);
        if let Some(begin) = self.begins.get(&hash) {
            let at = usize::try_from(*begin).unwrap_or(usize::MAX);
            if self.bytes.get(at..at + self.list.len()) == Some(&self.list) {
                return *begin;
            }
        }
        let begin = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&self.list);
        self.begins.insert(hash, begin);
        begin
    }

    fn put_dense(&mut self, rows: &[u32]) -> Result<u64, String> {
        let mut bits = vec![0u8; self.row_count.div_ceil(8)];
        rows.iter().for_each(|row| bits[*row as usize / 8] |= 1 << (row % 8));
        if let Some(at) = self.remembered.iter().position(|known| known.bits == bits)
            && let Some(known) = self.remembered.remove(at)
        {
            let begin = known.begin;
            self.remembered.push_back(known);
            return Ok(begin);
        }
        let begin = self.bytes.len() as u64;
        let base = self.most_alike(&bits).map(|at| &self.remembered[at]);
        let depth = base.map_or(0, |base| base.depth + 1);
        let turned = base.map(|base| bits.iter().zip(&base.bits).map(|(one, other)| one ^ other).collect::<Vec<u8>>());
        match base {
            Some(base) => {
                self.bytes.push(TURNED);
                put_number(&mut self.bytes, begin - base.begin);
            }
            None => self.bytes.push(BITS),
        }
        let packed = self.packer.pack(turned.as_ref().unwrap_or(&bits))?;
        put_number(&mut self.bytes, packed.len() as u64);
        self.bytes.extend_from_slice(packed);
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        self.remembered.push_back(Dense { begin, bits, depth });
        Ok(begin)
    }

    /// The remembered list from which fewest rows differ, as far as a sample tells, unless these rows are fewer than that.
    fn most_alike(&self, bits: &[u8]) -> Option<usize> {
        let piece = bits.len().min(LOOKED_AT_BYTES);
        // From the middle: what begins a segment may be a few odd rows.
        let from = (bits.len() - piece) / 2;
        let here = &bits[from..from + piece];
        let far = |other: &[u8]| -> u32 {
            let (words, _) = here.as_chunks::<8>();
            let (others, _) = other.as_chunks::<8>();
            words.iter().zip(others).map(|(a, b)| (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)).count_ones()).sum()
        };
        let own: u32 = here.iter().map(|byte| byte.count_ones()).sum();
        let candidates = (0..self.remembered.len()).filter(|at| self.remembered[*at].depth < DEPTH_MAX);
        let (far, _, nearest) = candidates
            .map(|at| (far(&self.remembered[at].bits[from..from + piece]), self.remembered[at].depth, at))
            .min()?;
        (far < own.min(piece as u32 * 8 - own)).then_some(nearest)
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// How many of its bits are the low part of each of so many steps over this span.
pub fn low_width(span: u64, steps: usize) -> u32 {
    // Where steps are spread by chance, 0.69 (the logarithm of 2) of their mean is best (Golomb 1966).
    (span * 11 / (steps as u64 * 16)).max(1).ilog2().min(31)
}

/// Adds the step to a row from the one before it.
pub fn put_step(out: &mut bits::Writer, row: u32, before: Option<u32>, width: u32) {
    let step = u64::from(before.map_or(row, |before| row - before - 1));
    out.put_zeros(step >> width);
    out.put(step & ((1 << width) - 1), width);
}

/// Takes a step: the row behind `before`.
///
/// # Errors
/// There is none.
pub fn take_step(from: &mut bits::Reader<'_>, before: Option<u64>, width: u32) -> Result<u64, String> {
    let high = from.take_zeros()?;
    let step = high.checked_shl(width).unwrap_or(u64::MAX) | from.take(width)?;
    Ok(before.map_or(step, |before| before.saturating_add(step).saturating_add(1)))
}

/// Reads the list that begins somewhere, of so many rows, and adds its rows. `read` gives bytes from a place on, at most so
/// many.
///
/// # Errors
/// The bytes are of no list; the reason.
pub fn add(
    read: &dyn Fn(u64, usize) -> Result<tantivy::directory::OwnedBytes, String>,
    begin: u64,
    count: u64,
    rows: &mut RowSet,
) -> Result<(), String> {
    match list(read, begin)? {
        (STEPS, _, bytes) => {
            let mut steps = bits::Reader::new(&bytes);
            let (mut before, mut width) = (None, 0);
            for at in 0..count {
                if at.is_multiple_of(STEP_ROWS as u64) {
                    width = steps.take(5)? as u32;
                }
                let row = take_step(&mut steps, before, width)?;
                rows.insert(usize::try_from(row).unwrap_or(usize::MAX));
                before = Some(row);
            }
            Ok(())
        }
        (kind, back, bytes) => {
            let bits = unturned(read, (kind, back, &bytes), begin, rows.length().div_ceil(8), 0)?;
            rows.add_bits(&bits);
            Ok(())
        }
    }
}

type Read<'a> = &'a dyn Fn(u64, usize) -> Result<tantivy::directory::OwnedBytes, String>;

/// The bits of a list, after those of the lists it is written by.
fn unturned(
    read: Read<'_>,
    (kind, back, bytes): (u8, u64, &[u8]),
    begin: u64,
    length: usize,
    depth: u8,
) -> Result<Vec<u8>, String> {
    let mut bits = unpack(bytes, length)?;
    match kind {
        BITS => {}
        TURNED if depth < DEPTH_MAX && 0 < back => {
            let base = begin.checked_sub(back).ok_or("a list before the first")?;
            let (kind, further, bytes) = list(read, base)?;
            let base = unturned(read, (kind, further, &bytes), base, length, depth + 1)?;
            bits.iter_mut().zip(base).for_each(|(bit, other)| *bit ^= other);
        }
        _ => return Err(format!("a list of kind {kind}")),
    }
    Ok(bits)
}

/// How many bytes are read to see how long a list is; most are no longer.
const FRONT_BYTES: usize = 4096;

/// Kind, how far back the list is that it is written by, and its bytes.
fn list(read: Read<'_>, begin: u64) -> Result<(u8, u64, tantivy::directory::OwnedBytes), String> {
    let front = read(begin, FRONT_BYTES)?;
    let mut rest = front.as_slice();
    let (kind, after) = rest.split_first().ok_or("a list past the end")?;
    rest = after;
    let back = if *kind == TURNED { bits::take_number(&mut rest)? } else { 0 };
    let length = take_length(&mut rest)?;
    let at = front.len() - rest.len();
    let bytes = match rest.len() < length {
        true => read(begin + at as u64, length)?,
        false => front.slice(at..at + length),
    };
    if bytes.len() < length {
        return Err("a list past the end".to_owned());
    }
    Ok((*kind, back, bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tantivy::directory::OwnedBytes;

    use super::*;

    fn back(bytes: &[u8], begin: u64, count: u64, row_count: usize) -> Result<RowSet, String> {
        let bytes = OwnedBytes::new(bytes.to_vec());
        let read = |from: u64, most: usize| {
            let from = usize::try_from(from).unwrap().min(bytes.len());
            Ok(bytes.slice(from..bytes.len().min(from.saturating_add(most))))
        };
        let mut rows = RowSet::none(row_count);
        add(&read, begin, count, &mut rows).map(|()| rows)
    }

    #[track_caller]
    fn check(row_count: usize, lists: &[Vec<u32>]) -> usize {
        let mut writer = Writer::new(row_count).unwrap();
        let begins: Vec<u64> = lists.iter().map(|rows| writer.put(rows).unwrap()).collect();
        let bytes = writer.finish();
        for (begin, rows) in begins.iter().zip(lists) {
            let found = back(&bytes, *begin, rows.len() as u64, row_count).unwrap();
            assert!(found.iter().eq(rows.iter().map(|row| *row as usize)), "{rows:?}");
        }
        bytes.len()
    }

    #[test]
    fn equal_lists_stand_there_once_and_like_ones_cost_little() {
        let every =
            |step: u32, but: u32| (0..100_000).filter(|row| row % step == 0 && *row != but).collect::<Vec<u32>>();
        // One row in so many, by chance.
        let is_hit = |row: u32, step: u64| {
            let mixed = (u64::from(row) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33).is_multiple_of(step)
        };
        let mixed = |step: u64| (0..100_000u32).filter(|row| is_hit(*row, step)).collect::<Vec<u32>>();
        let sparse = check(100_000, &[every(100, 1)]);
        assert_eq!(check(100_000, &[every(100, 1), every(100, 1)]), sparse);
        let dense = check(100_000, &[mixed(3)]);
        assert_eq!(check(100_000, &[mixed(3), mixed(3)]), dense);
        let mut like = mixed(3);
        like.retain(|row| row % 1000 != 3);
        assert!(check(100_000, &[mixed(3), like]) < dense + dense / 10, "{dense}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn lists_come_back(
            row_count in 1usize..5_000,
            lists in prop::collection::vec(prop_oneof![
                prop::collection::btree_set(0u32..5_000, 1..20),
                prop::collection::btree_set(0u32..5_000, 1..2_000),
                (0u32..5_000, 1u32..3_000).prop_map(|(from, count)| (from..from + count).collect()),
            ], 1..20),
        ) {
            let below = |rows: std::collections::BTreeSet<u32>| -> Vec<u32> {
                rows.into_iter().filter(|row| (*row as usize) < row_count).collect()
            };
            let lists: Vec<Vec<u32>> = lists.into_iter().map(below).filter(|rows| !rows.is_empty()).collect();
            check(row_count, &lists);
        }

        #[test]
        fn any_bytes_give_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60), kind in 0u8..3, count in 0u64..100, row_count in 1usize..400) {
            let bytes = [vec![kind], bytes].concat();
            if let Ok(rows) = back(&bytes, 0, count, row_count) {
                prop_assert!(rows.iter().all(|row| row < row_count));
            }
        }
    }
}
