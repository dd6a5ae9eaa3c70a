//! The terms of one field of a Tantivy 0.27 index and their rows, without frequencies and positions: what Tantivy's own
//! serializer writes for them, byte for byte (which is the twin in tests), for less. In: terms in the order of their bytes,
//! each with its rows in order. Out: the field's part of the files of terms and of postings.
//!
//! ```text
//! terms:     automaton ([`super::automaton`]) | infos | length of the infos: u64 | 1: u32 | 1: u32
//! infos:     length of the heads: u64 | number of terms: u64 | a head for each 256 terms | bits of the terms
//! head:      where its bits begin: u64 | first term: rows u32, begin u64, length u32, 0 u64, 0 u32 | widths: rows, begins, 0
//! bits:      of the other terms of a head begin and rows, then where the last one ends; begins are from the first's on
//! postings:  number of postings: u64 | for each term its rows
//! rows:      fewer than 128: distance from the row before as seven bits a byte, the lowest first, the last with a high bit
//!            else as Tantivy writes them: length and steps of the blocks of 128, the blocks, the rest as above
//! ```

use tantivy::postings::serializer::PostingsSerializer;
use tantivy::schema::IndexRecordOption;

use super::automaton::Automaton;

/// How many terms one head has.
const HEAD_TERMS: usize = 256;
/// From so many rows on they are written in blocks.
const BLOCK_ROWS: usize = 128;

/// Makes the two parts, one term after the other.
pub struct Dictionary {
    automaton: Automaton,
    infos: Infos,
    postings: Vec<u8>,
}

/// What is written for one field.
pub struct Written {
    /// Its part of the file of terms.
    pub terms: Vec<u8>,
    /// Its part of the file of postings.
    pub postings: Vec<u8>,
}

impl Dictionary {
    /// Begins a field with so many postings of all its terms.
    pub fn new(posting_count: usize) -> Dictionary {
        let postings = (posting_count as u64).to_le_bytes().to_vec();
        Dictionary { automaton: Automaton::default(), infos: Infos::default(), postings }
    }

    /// Adds a term behind all others, with its rows in order.
    ///
    /// # Errors
    /// It does not stand behind the others; there is too much; the reason.
    pub fn add(&mut self, term: &[u8], rows: &[u32]) -> Result<(), String> {
        self.automaton.add(term)?;
        let begin = self.postings.len() - size_of::<u64>();
        if rows.len() < BLOCK_ROWS {
            put_rows(&mut self.postings, rows);
        } else {
            let mut blocks = PostingsSerializer::new(0.0, IndexRecordOption::Basic, None);
            rows.iter().for_each(|row| blocks.write_doc(*row, 0));
            let count = u32::try_from(rows.len()).map_err(|_past| "more rows than 2^32")?;
            blocks.close_term(count, &mut self.postings).map_err(|error| error.to_string())?;
        }
        let end = self.postings.len() - size_of::<u64>();
        self.infos.add(Info { rows: rows.len() as u64, begin: begin as u64, end: end as u64 });
        Ok(())
    }

    /// The parts.
    ///
    /// # Errors
    /// There is too much; the reason.
    pub fn finish(self) -> Result<Written, String> {
        let mut terms = self.automaton.finish()?;
        let begin = terms.len();
        self.infos.finish(&mut terms);
        let length = (terms.len() - begin) as u64;
        terms.extend_from_slice(&length.to_le_bytes());
        // The version of this form, and that it is of automata.
        [1u32; 2].iter().for_each(|number| terms.extend_from_slice(&number.to_le_bytes()));
        Ok(Written { terms, postings: self.postings })
    }
}

fn put_rows(out: &mut Vec<u8>, rows: &[u32]) {
    let mut before = 0;
    for row in rows {
        let mut rest = row - before;
        before = *row;
        while 128 <= rest {
            out.push((rest & 127) as u8);
            rest >>= 7;
        }
        out.push(rest as u8 | 128);
    }
}

/// What is known of a term beside its number.
#[derive(Clone, Copy)]
struct Info {
    rows: u64,
    begin: u64,
    end: u64,
}

/// The infos of all terms.
#[derive(Default)]
struct Infos {
    count: u64,
    heads: Vec<u8>,
    bits: Bits,
    waiting: Vec<Info>,
}

impl Infos {
    fn add(&mut self, info: Info) {
        self.count += 1;
        self.waiting.push(info);
        if self.waiting.len() == HEAD_TERMS {
            self.end_head();
        }
    }

    fn end_head(&mut self) {
        let [first, others @ ..] = self.waiting.as_slice() else { return };
        let end = others.last().unwrap_or(first).end - first.begin;
        let rows_max = others.iter().map(|info| info.rows).max().unwrap_or(0);
        let (rows_width, begins_width) = (width(rows_max), width(end));
        self.heads.extend_from_slice(&(self.bits.bytes.len() as u64).to_le_bytes());
        self.heads.extend_from_slice(&(first.rows as u32).to_le_bytes());
        self.heads.extend_from_slice(&first.begin.to_le_bytes());
        self.heads.extend_from_slice(&((first.end - first.begin) as u32).to_le_bytes());
        self.heads.extend_from_slice(&[0; 12]);
        self.heads.extend_from_slice(&[rows_width, begins_width, 0]);
        for info in others {
            self.bits.put(info.begin - first.begin, begins_width);
            self.bits.put(info.rows, rows_width);
        }
        self.bits.put(end, begins_width);
        self.bits.end();
        self.waiting.clear();
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        self.end_head();
        out.extend_from_slice(&(self.heads.len() as u64).to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.heads);
        out.extend_from_slice(&self.bits.bytes);
    }
}

/// How many bits a number takes; never 57 to 63, which readers could not read at once.
fn width(number: u64) -> u8 {
    match 64 - number.leading_zeros() as u8 {
        width @ 0..=56 => width,
        _ => 64,
    }
}

/// Numbers behind each other, the lowest bit first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    waiting: u128,
    count: u32,
}

impl Bits {
    fn put(&mut self, number: u64, width: u8) {
        self.waiting |= u128::from(number) << self.count;
        self.count += u32::from(width);
        if 64 <= self.count {
            self.bytes.extend_from_slice(&(self.waiting as u64).to_le_bytes());
            self.waiting >>= 64;
            self.count -= 64;
        }
    }

    /// Goes on at the next whole byte.
    fn end(&mut self) {
        let bytes = (self.waiting as u64).to_le_bytes();
        self.bytes.extend_from_slice(&bytes[..self.count.div_ceil(8) as usize]);
        (self.waiting, self.count) = (0, 0);
    }
}
