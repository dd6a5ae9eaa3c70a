//! The terms of one kind of an index, in the order of their bytes, and their rows. In: terms in order, each with its rows in
//! order. Out: blocks of terms, and heads that say where each block begins; [`Dictionary`] reads one block for a term.
//! Promise: bytes of any kind give an error or terms, nothing else. Failure: the reason, as text.
//!
//! ```text
//! heads:   for each block: bytes shared with the head before | length of the rest | the rest | length of the block
//!          (a head is not behind the first term of its block, and behind all terms of the block before)
//! block:   number of terms | lengths' length | the same packed | ends' length | the same packed | bytes of shared
//!          lengths, packed | ends, packed | rows
//! lengths: for each term how many bytes it shares with the one before, then for each how many others it has
//! ends:    those other bytes
//! rows:    bits: for each term the number of its rows (gamma), then
//!          one: the row in as many bits as the last row of the segment has
//!          up to 8: steps (see [`super::row_lists`]) with low parts as wide as so many rows in the segment have
//!          more: where their list begins, as groups of 8 bits: 7 of the number, the lowest first, and whether more follow
//! ```
//! All numbers but those of bits are of seven bits a byte ([`super::bits`]); what is packed is so by [`super::packed`].

use std::sync::{Arc, Mutex, PoisonError};

use tantivy::directory::OwnedBytes;

use super::bits::{self, put_number, take_length};
use super::packed::{Packer, unpack};
use super::row_lists::{self, low_width, put_step, take_step};
use super::rows::RowSet;

/// How many terms one block has, and from how many bytes on it ends before.
const BLOCK_TERMS: usize = 512;
const BLOCK_BYTES: usize = 32 << 10;
/// So many rows stand with their term.
const ROWS_NEAR_MAX: u64 = 8;
/// How many blocks an open dictionary keeps unpacked, of some 10 KiB each.
const KEPT_MAX: usize = 16;
/// A block of more bytes than this is none.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// What is written of the terms of one kind.
#[derive(Default)]
pub struct Written {
    /// The blocks.
    pub terms: Vec<u8>,
    /// Where they begin.
    pub heads: Vec<u8>,
}

/// Writes terms, one after the other.
pub struct Writer {
    row_count: u64,
    written: Written,
    last_head: Vec<u8>,
    last_term: Vec<u8>,
    /// The last term of the block before; `None` before the first.
    before: Option<Vec<u8>>,
    count: usize,
    shared: Vec<u8>,
    lengths: Vec<u8>,
    ends: Vec<u8>,
    rows: bits::Writer,
    packer: Packer,
}

impl Writer {
    /// For a segment of so many rows.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new(row_count: usize) -> Result<Writer, String> {
        Ok(Writer {
            row_count: row_count as u64,
            written: Written::default(),
            last_head: Vec::new(),
            last_term: Vec::new(),
            before: None,
            count: 0,
            shared: Vec::new(),
            lengths: Vec::new(),
            ends: Vec::new(),
            rows: bits::Writer::default(),
            packer: Packer::new()?,
        })
    }

    /// Adds a term behind all others, with its rows in order; where they are many, they go to `lists`.
    ///
    /// # Errors
    /// They cannot be packed; the reason.
    pub fn add(&mut self, term: &[u8], rows: &[u32], lists: &mut row_lists::Writer) -> Result<(), String> {
        debug_assert!(self.count == 0 || self.last_term.as_slice() < term, "terms come in order");
        if self.count == BLOCK_TERMS || BLOCK_BYTES <= self.ends.len() {
            self.end_block()?;
        }
        let shared = match self.count {
            0 => {
                self.put_head(term);
                0
            }
            _ => shared_front(&self.last_term, term),
        };
        put_number(&mut self.shared, shared as u64);
        put_number(&mut self.lengths, (term.len() - shared) as u64);
        self.ends.extend_from_slice(&term[shared..]);
        self.last_term.truncate(shared);
        self.last_term.extend_from_slice(&term[shared..]);
        self.count += 1;
        let count = rows.len() as u64;
        self.rows.put_gamma(count);
        match rows {
            [row] => self.rows.put(u64::from(*row), row_width(self.row_count)),
            _ if count <= ROWS_NEAR_MAX => {
                let width = low_width(self.row_count, rows.len());
                let mut before = None;
                for row in rows {
                    put_step(&mut self.rows, *row, before, width);
                    before = Some(*row);
                }
            }
            _ => {
                let mut begin = lists.put(rows)?;
                while 128 <= begin {
                    self.rows.put(begin & 127 | 128, 8);
                    begin >>= 7;
                }
                self.rows.put(begin, 8);
            }
        }
        Ok(())
    }

    /// The shortest text that is behind the last term and not behind this one.
    fn put_head(&mut self, term: &[u8]) {
        let head: &[u8] = match &self.before {
            None => &[],
            Some(before) => &term[..term.len().min(shared_front(before, term) + 1)],
        };
        let shared = shared_front(&self.last_head, head);
        put_number(&mut self.written.heads, shared as u64);
        put_number(&mut self.written.heads, (head.len() - shared) as u64);
        self.written.heads.extend_from_slice(&head[shared..]);
        self.last_head = head.to_vec();
    }

    fn end_block(&mut self) -> Result<(), String> {
        if self.count == 0 {
            return Ok(());
        }
        let out = &mut self.written.terms;
        let begin = out.len();
        let shared_length = self.shared.len();
        self.shared.append(&mut self.lengths);
        put_number(out, self.count as u64);
        put_number(out, shared_length as u64);
        for part in [&self.shared, &self.ends] {
            let packed = self.packer.pack(part)?;
            put_number(out, part.len() as u64);
            put_number(out, packed.len() as u64);
            out.extend_from_slice(packed);
        }
        out.extend_from_slice(&self.rows.take());
        put_number(&mut self.written.heads, (out.len() - begin) as u64);
        self.shared.clear();
        self.ends.clear();
        self.count = 0;
        self.before = Some(self.last_term.clone());
        Ok(())
    }

    /// The bytes.
    ///
    /// # Errors
    /// They cannot be packed; the reason.
    pub fn finish(mut self) -> Result<Written, String> {
        self.end_block()?;
        Ok(self.written)
    }
}

/// How many bits the number of a row takes.
fn row_width(row_count: u64) -> u32 {
    (u64::BITS - row_count.saturating_sub(1).leading_zeros()).min(bits::WIDTH_MAX)
}

fn shared_front(one: &[u8], other: &[u8]) -> usize {
    let mut at = 0;
    while let (Some(one), Some(other)) = (one[at..].first_chunk(), other[at..].first_chunk()) {
        let differs = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differs != 0 {
            return at + differs.trailing_zeros() as usize / 8;
        }
        at += size_of::<u64>();
    }
    at + one[at..].iter().zip(&other[at..]).take_while(|(one, other)| one == other).count()
}

/// Gives bytes from a place on, at most so many.
pub type Read = Arc<dyn Fn(u64, usize) -> Result<OwnedBytes, String> + Send + Sync>;

/// Terms open for reading.
pub struct Dictionary {
    row_count: u64,
    /// The heads behind each other, and where each ends.
    heads: Vec<u8>,
    ends: Vec<usize>,
    /// Where each block begins, and the last one ends.
    begins: Vec<u64>,
    terms: Read,
    lists: Read,
    /// Blocks that were asked for, the last one at the end.
    kept: Mutex<Vec<(usize, Arc<Block>)>>,
}

impl Dictionary {
    /// The terms with these heads, of a segment of so many rows. `terms` and `lists` read the blocks and the lists of rows.
    ///
    /// # Errors
    /// There are no such heads; the reason.
    pub fn open(heads: &[u8], row_count: u64, terms: Read, lists: Read) -> Result<Dictionary, String> {
        let mut opened = Dictionary {
            row_count,
            heads: Vec::new(),
            ends: Vec::new(),
            begins: vec![0],
            terms,
            lists,
            kept: Mutex::default(),
        };
        let (mut rest, mut head, mut end) = (heads, Vec::new(), 0u64);
        while !rest.is_empty() {
            let (shared, length) = (take_length(&mut rest)?, take_length(&mut rest)?);
            let (new, after) = rest.split_at_checked(length).ok_or("a head past the end")?;
            rest = after;
            if head.len() < shared {
                return Err("a head that shares more than there is".to_owned());
            }
            head.truncate(shared);
            head.extend_from_slice(new);
            opened.heads.extend_from_slice(&head);
            opened.ends.push(opened.heads.len());
            end = end.saturating_add(take_length(&mut rest)? as u64);
            opened.begins.push(end);
        }
        Ok(opened)
    }

    fn head(&self, at: usize) -> &[u8] {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.heads[begin..self.ends[at]]
    }

    /// The block where a term stands, if it stands anywhere.
    fn block_of(&self, term: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.head(middle) <= term { low = middle + 1 } else { high = middle }
        }
        low.checked_sub(1)
    }

    fn read_block(&self, at: usize) -> Result<Block, String> {
        let (begin, end) = (self.begins[at], self.begins[at + 1]);
        let length = usize::try_from(end - begin).map_err(|error| error.to_string())?;
        Block::new((self.terms)(begin, length)?)
    }

    /// The block, which is kept for the next question.
    fn block(&self, at: usize) -> Result<Arc<Block>, String> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = kept();
            if let Some(place) = kept.iter().position(|(known, _)| *known == at) {
                let found = kept.remove(place);
                let block = found.1.clone();
                kept.push(found);
                return Ok(block);
            }
        }
        let block = Arc::new(self.read_block(at)?);
        let mut kept = kept();
        if kept.len() == KEPT_MAX {
            kept.remove(0);
        }
        kept.push((at, block.clone()));
        Ok(block)
    }

    /// How many rows a term has; none where it is not there.
    ///
    /// # Errors
    /// The dictionary is not readable; the reason.
    pub fn count(&self, term: &[u8]) -> Result<u64, String> {
        let Some((block, number)) = self.find(term)? else { return Ok(0) };
        let mut rows = bits::Reader::new(block.rows());
        (0..number).try_for_each(|_| self.skip(&mut rows))?;
        rows.take_gamma()
    }

    /// Adds the rows of a term, where it is there.
    ///
    /// # Errors
    /// The dictionary is not readable; the reason.
    pub fn add(&self, term: &[u8], rows: &mut RowSet) -> Result<(), String> {
        let Some((block, number)) = self.find(term)? else { return Ok(()) };
        let mut from = bits::Reader::new(block.rows());
        (0..number).try_for_each(|_| self.skip(&mut from))?;
        self.take(&mut from, rows)
    }

    fn find(&self, term: &[u8]) -> Result<Option<(Arc<Block>, usize)>, String> {
        let Some(at) = self.block_of(term) else { return Ok(None) };
        let block = self.block(at)?;
        Ok(block.find(term)?.map(|number| (block, number)))
    }

    /// Goes through the terms that begin so, in order, until `each` says that it is enough; it may ask for the rows of the
    /// term that it is given.
    ///
    /// # Errors
    /// The dictionary is not readable, or what `each` says; the reason.
    pub fn each(
        &self,
        prefix: &[u8],
        mut each: impl FnMut(&[u8], &mut dyn FnMut(&mut RowSet) -> Result<(), String>) -> Result<bool, String>,
    ) -> Result<(), String> {
        let mut term = Vec::new();
        let first = self.block_of(prefix).unwrap_or(0);
        for at in first..self.ends.len() {
            // Whoever goes through all of them does not come again for each.
            let block = if at == first { self.block(at)? } else { Arc::new(self.read_block(at)?) };
            let mut from = bits::Reader::new(block.rows());
            let mut skipped = 0;
            let mut terms = block.terms();
            term.clear();
            for number in 0..block.count {
                let (shared, end) = terms.next()?;
                if term.len() < shared {
                    return Err("a term that shares more than there is".to_owned());
                }
                term.truncate(shared);
                term.extend_from_slice(end);
                if !term.starts_with(prefix) {
                    if term.as_slice() < prefix {
                        continue;
                    }
                    return Ok(());
                }
                let mut add = |rows: &mut RowSet| {
                    while skipped < number {
                        self.skip(&mut from)?;
                        skipped += 1;
                    }
                    self.take(&mut from.clone(), rows)
                };
                if !each(&term, &mut add)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Goes on behind the rows of one term.
    fn skip(&self, from: &mut bits::Reader<'_>) -> Result<(), String> {
        match from.take_gamma()? {
            1 => from.take(row_width(self.row_count)).map(|_| ()),
            count if count <= ROWS_NEAR_MAX => {
                let width = low_width(self.row_count, count as usize);
                (0..count).try_for_each(|_| from.take_zeros().and_then(|_| from.take(width)).map(|_| ()))
            }
            _ => take_place(from).map(|_| ()),
        }
    }

    fn take(&self, from: &mut bits::Reader<'_>, rows: &mut RowSet) -> Result<(), String> {
        let count = from.take_gamma()?;
        let mut insert = |row: u64| rows.insert(usize::try_from(row).unwrap_or(usize::MAX));
        match count {
            1 => insert(from.take(row_width(self.row_count))?),
            _ if count <= ROWS_NEAR_MAX => {
                let width = low_width(self.row_count, count as usize);
                let mut before = None;
                for _ in 0..count {
                    let row = take_step(from, before, width)?;
                    insert(row);
                    before = Some(row);
                }
            }
            _ => row_lists::add(&*self.lists, take_place(from)?, count, rows)?,
        }
        Ok(())
    }
}

fn take_place(from: &mut bits::Reader<'_>) -> Result<u64, String> {
    let mut place = 0;
    for shift in (0..63).step_by(7) {
        let byte = from.take(8)?;
        place |= (byte & 127) << shift;
        if byte & 128 == 0 {
            return Ok(place);
        }
    }
    Err("a place of more than 63 bits".to_owned())
}

/// A block, unpacked.
struct Block {
    count: usize,
    shared_length: usize,
    lengths: Vec<u8>,
    ends: Vec<u8>,
    bytes: OwnedBytes,
    rows_at: usize,
}

impl Block {
    fn new(bytes: OwnedBytes) -> Result<Block, String> {
        let mut rest = bytes.as_slice();
        let (count, shared_length) = (take_length(&mut rest)?, take_length(&mut rest)?);
        let mut part = || {
            let (length, packed) = (take_length(&mut rest)?, take_length(&mut rest)?);
            let (packed, after) = rest.split_at_checked(packed).ok_or("a block past its end")?;
            rest = after;
            if UNPACKED_BYTES_MAX < length {
                return Err(format!("a block of {length} bytes"));
            }
            unpack(packed, length)
        };
        let (lengths, ends) = (part()?, part()?);
        let rows_at = bytes.len() - rest.len();
        if lengths.len() < shared_length || lengths.len() - shared_length < count {
            return Err(format!("a block of {count} terms with {} bytes of lengths", lengths.len()));
        }
        Ok(Block { count, shared_length, lengths, ends, bytes, rows_at })
    }

    fn rows(&self) -> &[u8] {
        &self.bytes[self.rows_at..]
    }

    fn terms(&self) -> Ends<'_> {
        let (shared, lengths) = self.lengths.split_at(self.shared_length);
        Ends { shared, lengths, ends: &self.ends }
    }

    /// The number of the term in the block.
    fn find(&self, term: &[u8]) -> Result<Option<usize>, String> {
        let mut terms = self.terms();
        // How many bytes the term shares with the last one that stands before it.
        let mut like = 0;
        for number in 0..self.count {
            let (shared, end) = terms.next()?;
            if like < shared {
                continue;
            }
            if shared < like {
                return Ok(None);
            }
            let more = shared_front(end, &term[like..]);
            like += more;
            match (end.get(more), term.get(like)) {
                (None, None) => return Ok(Some(number)),
                (Some(here), Some(wanted)) if here < wanted => {}
                (None, Some(_)) => {}
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// The terms of a block: how many bytes each shares with the one before, and its other bytes.
struct Ends<'a> {
    shared: &'a [u8],
    lengths: &'a [u8],
    ends: &'a [u8],
}

impl<'a> Ends<'a> {
    fn next(&mut self) -> Result<(usize, &'a [u8]), String> {
        let (shared, length) = (take_length(&mut self.shared)?, take_length(&mut self.lengths)?);
        let (end, rest) = self.ends.split_at_checked(length).ok_or("a term past the end of its block")?;
        self.ends = rest;
        Ok((shared, end))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    type Terms = BTreeMap<Vec<u8>, BTreeSet<u32>>;

    fn reader(bytes: Vec<u8>) -> Read {
        let bytes = OwnedBytes::new(bytes);
        Arc::new(move |begin, most| {
            let begin = usize::try_from(begin).unwrap_or(usize::MAX).min(bytes.len());
            Ok(bytes.slice(begin..begin.saturating_add(most).min(bytes.len())))
        })
    }

    #[track_caller]
    fn check(row_count: usize, terms: &Terms, asked: &[Vec<u8>]) {
        let (mut writer, mut lists) = (Writer::new(row_count).unwrap(), row_lists::Writer::new(row_count).unwrap());
        for (term, rows) in terms {
            let rows: Vec<u32> = rows.iter().copied().collect();
            writer.add(term, &rows, &mut lists).unwrap();
        }
        let written = writer.finish().unwrap();
        let lists = reader(lists.finish());
        let opened = Dictionary::open(&written.heads, row_count as u64, reader(written.terms), lists).unwrap();
        for term in terms.keys().chain(asked) {
            let expected = terms.get(term).cloned().unwrap_or_default();
            assert_eq!(opened.count(term).unwrap(), expected.len() as u64, "{term:?}");
            let mut rows = RowSet::none(row_count);
            opened.add(term, &mut rows).unwrap();
            assert!(rows.iter().eq(expected.iter().map(|row| *row as usize)), "{term:?}");
        }
        for prefix in asked.iter().chain([&Vec::new()]) {
            let mut found = Vec::new();
            let each = |term: &[u8], add: &mut dyn FnMut(&mut RowSet) -> Result<(), String>| {
                let mut rows = RowSet::none(row_count);
                // Not of every term the rows are asked for.
                if !term.len().is_multiple_of(3) {
                    add(&mut rows)?;
                    assert!(rows.iter().eq(terms[term].iter().map(|row| *row as usize)), "{term:?}");
                }
                found.push(term.to_vec());
                Ok(true)
            };
            opened.each(prefix, each).unwrap();
            assert!(terms.keys().filter(|term| term.starts_with(prefix)).eq(&found), "{prefix:?}");
        }
    }

    #[test]
    fn blocks_end_and_begin() {
        for count in [0, 1, 2, 511, 512, 513, 1_024, 1_025, 2_000] {
            let rows = |at: u32| (0..at % 12 + 1).map(|row| row * 7 + at % 5).collect::<BTreeSet<u32>>();
            let terms: Terms = (0..count).map(|at| (format!("term{at:05}").into_bytes(), rows(at))).collect();
            let asked = ["", "a", "term", "term0051", "term00512", "term005120", "term01", "u", "term00511x"];
            check(100, &terms, &asked.map(|text| text.as_bytes().to_vec()));
        }
        let long: Terms =
            (0..40u32).map(|at| (vec![b'a' + (at % 20) as u8; 3_000 + at as usize], [at].into())).collect();
        check(40, &long, &[vec![b'c'; 3_002], vec![b'c'; 2], vec![b'z'; 9_000]]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn terms_and_rows_come_back(
            row_count in 1usize..3_000,
            terms in prop::collection::btree_map("[ab]{0,9}|[a-c]{0,3}|x\\x01[0-9]{1,6}", prop::collection::btree_set(0u32..3_000, 1..40), 0..700),
            asked in prop::collection::vec("[ab]{0,9}|x\\x01[0-9]{0,4}", 0..20),
        ) {
            let below = |rows: BTreeSet<u32>| -> BTreeSet<u32> {
                rows.into_iter().map(|row| row % row_count as u32).collect()
            };
            let terms = terms.into_iter().map(|(term, rows)| (term.into_bytes(), below(rows))).collect();
            let asked: Vec<Vec<u8>> = asked.into_iter().map(String::into_bytes).collect();
            check(row_count, &terms, &asked);
        }

        #[test]
        fn any_bytes_give_terms_or_an_error(
            heads in prop::collection::vec(any::<u8>(), 0..40),
            blocks in prop::collection::vec(0u8..8, 0..400),
            lists in prop::collection::vec(any::<u8>(), 0..40),
            row_count in 1u64..400,
        ) {
            let lengths = [vec![0, 0, blocks.len().min(127) as u8], heads.clone()].concat();
            for heads in [heads, lengths] {
                let opened = Dictionary::open(&heads, row_count, reader(blocks.clone()), reader(lists.clone()));
                let Ok(opened) = opened else { continue };
                for term in [&b""[..], b"a", b"\x01\x02\x03"] {
                    let mut rows = RowSet::none(row_count as usize);
                    let added = opened.add(term, &mut rows);
                    prop_assert!(added.is_err() || opened.count(term).is_ok());
                    let gone_through = opened.each(term, |_, add| add(&mut rows).map(|()| true));
                    prop_assert!(gone_through.is_err() || rows.iter().all(|row| (row as u64) < row_count));
                }
            }
        }
    }
}
