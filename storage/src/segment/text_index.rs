//! Which rows hold a word or a value. In: events in row order. Out: bytes; [`TextIndex`] over those bytes gives
//! [`RowSet`]s. What the terms are: [`super::terms`]; how they are written: [`super::dictionary`].

use foldhash::{HashMap, HashMapExt};
use tantivy::{Index, SegmentReader};

use nhatle_event::Event;

use super::bloom::{self, Kind};
use super::bundle::{Bundle, Contents, VERSION, VERSION_TANTIVY, pack};
use super::dictionary::{Dictionary, Writer, Written};
use super::gather::{Gathered, Gatherer};
use super::loose::loose;
use super::row_lists;
use super::rows::RowSet;
use super::shape::Shape;
use super::term_reader::TermReader;
use super::terms::{COVERING_MAX, KEYS_MAX, MARK, OVERFLOW, PART_BYTES_MAX, exact_term, is_by_words, unit_term};
use super::words::front;
use crate::mention::Run;

/// How many terms one test may go through before the index gives up and the rows are looked at.
pub const TERMS_SCANNED_MAX: usize = 262_144;

/// The files of the index: terms and heads of both kinds, and the lists of rows of both.
const WORDS: [&str; 2] = ["words.terms", "words.heads"];
const EXACT: [&str; 2] = ["exact.terms", "exact.heads"];
const LISTS: &str = "lists";

/// The index of these events, in this order.
///
/// # Errors
/// There is too much of it; the reason.
pub fn build<'e>(events: impl Iterator<Item = &'e Event>) -> Result<Vec<u8>, String> {
    let mut builder = IndexBuilder::default();
    events.for_each(|event| builder.add(event));
    builder.finish()
}

/// Makes an index, one row after the other.
#[derive(Default)]
pub struct IndexBuilder {
    gatherer: Gatherer,
    row_count: usize,
}

impl IndexBuilder {
    /// The next row.
    pub fn add(&mut self, event: &Event) {
        self.gatherer.add(event);
        self.row_count += 1;
    }

    /// The bytes of the index.
    ///
    /// # Errors
    /// There is too much of it; the reason.
    pub fn finish(self) -> Result<Vec<u8>, String> {
        let gathered = self.gatherer.finish();
        debug_assert!(gathered.fields.covering.len() <= COVERING_MAX, "the fields keep their bound");
        let (bloom, files) = write(self.row_count, &gathered)?;
        let Gathered { fields, stands, shapes, .. } = gathered;
        let contents = Contents {
            version: VERSION,
            row_count: self.row_count as u64,
            covering: fields.covering,
            shapes,
            keys: (fields.keys.len() <= KEYS_MAX).then_some(fields.keys),
            stands,
            files: std::collections::BTreeMap::new(),
        };
        pack(bloom, &files, contents)
    }
}

/// Files by name.
type Files = Vec<(&'static str, Vec<u8>)>;

/// The filter and the files of an index of so many rows.
fn write(row_count: usize, gathered: &Gathered) -> Result<(Vec<u8>, Files), String> {
    let mut bloom = bloom::Builder::default();
    gathered.each_word(|word| bloom.add(Kind::Word, word));
    let order = gathered.order();
    let mut lists = row_lists::Writer::new(row_count)?;
    let mut of = Writer::new(row_count)?;
    gathered.words(&order, |term, rows| of.add(term, rows, &mut lists))?;
    let words: Written = of.finish()?;
    let mut of = Writer::new(row_count)?;
    gathered.exact(&order, |term, value, rows, is_word_field| {
        if !(is_word_field && is_by_words(value)) {
            bloom.add(Kind::Exact, term);
        }
        of.add(term, rows, &mut lists)
    })?;
    let exact = of.finish()?;
    let files = vec![
        (WORDS[0], words.terms),
        (WORDS[1], words.heads),
        (EXACT[0], exact.terms),
        (EXACT[1], exact.heads),
        (LISTS, lists.finish()),
    ];
    Ok((bloom.finish(), files))
}

/// An index open for reading.
pub struct TextIndex {
    pub(super) words: TermReader,
    pub(super) exact: TermReader,
    pub(super) contents: Contents,
    /// The places of the covering fields in their list, in the order of their keys.
    covering_order: Vec<usize>,
    pub(super) row_count: usize,
    pub(super) overflow: RowSet,
    /// The keys of all fields, by what they are without spaces; `None` where they are not listed.
    pub(super) loose_keys: Option<HashMap<String, Vec<String>>>,
}

/// Rows that surely and rows that maybe have what was asked for; the first are among the second.
#[derive(Clone, Debug)]
pub struct Found {
    /// Need not be looked at.
    pub sure: RowSet,
    /// Must be looked at where they are not sure.
    pub maybe: RowSet,
}

impl TextIndex {
    /// Every term of the index with its rows: words, and exact terms.
    #[cfg(test)]
    pub fn dump(&self) -> [std::collections::BTreeMap<Vec<u8>, Vec<usize>>; 2] {
        [&self.words, &self.exact].map(|reader| {
            let mut terms = std::collections::BTreeMap::new();
            let mut keep = |term: &[u8], add: &mut dyn FnMut(&mut RowSet) -> Result<(), String>| {
                let mut rows = RowSet::none(self.row_count);
                add(&mut rows)?;
                terms.insert(term.to_vec(), rows.iter().collect());
                Ok(true)
            };
            reader.each("", &mut keep).expect("readable");
            terms
        })
    }

    /// Opens the bytes that [`build`] made.
    ///
    /// # Errors
    /// They are none, or of another number of rows; the reason.
    #[cfg(test)]
    pub fn open(bytes: Vec<u8>, row_count: u64) -> Result<TextIndex, String> {
        let (bundle, contents) = Bundle::in_memory(bytes)?;
        TextIndex::over(bundle, contents, row_count)
    }

    /// Opens an index; of its postings only those that are asked for are read.
    ///
    /// # Errors
    /// The bundle is none of an index, or of another number of rows, or cannot be read; the reason.
    pub fn over(bundle: Bundle, contents: Contents, row_count: u64) -> Result<TextIndex, String> {
        if contents.row_count != row_count {
            return Err(format!("an index of {} rows for {row_count}", contents.row_count));
        }
        let [words, exact] = match contents.version {
            ..=VERSION_TANTIVY => of_tantivy(bundle, row_count)?,
            _ => {
                let lists = bundle.reader(LISTS)?;
                [own(&bundle, WORDS, row_count, &lists)?, own(&bundle, EXACT, row_count, &lists)?]
            }
        };
        let row_count = usize::try_from(row_count).map_err(|_past| "more rows than memory")?;
        let loose_keys = contents.keys.as_ref().map(|keys| {
            let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
            keys.iter().for_each(|key| by_name.entry(loose(key)).or_default().push(key.clone()));
            by_name
        });
        let mut covering_order: Vec<usize> = (0..contents.covering.len()).collect();
        covering_order.sort_by_key(|at| &contents.covering[*at]);
        let overflow = RowSet::none(row_count);
        let mut opened = TextIndex { words, exact, contents, covering_order, row_count, overflow, loose_keys };
        let mut overflow = RowSet::none(row_count);
        opened.exact.add(OVERFLOW.as_bytes(), &mut overflow)?;
        opened.overflow = overflow;
        Ok(opened)
    }

    /// Nothing is known.
    pub fn unknown(&self) -> Found {
        Found { sure: RowSet::none(self.row_count), maybe: RowSet::all(self.row_count) }
    }

    /// No row has it.
    pub fn nothing(&self) -> Found {
        Found { sure: RowSet::none(self.row_count), maybe: RowSet::none(self.row_count) }
    }

    /// No row of the segment has a field of this key.
    pub fn lacks(&self, key: &str) -> bool {
        self.contents.lacks(key)
    }

    /// The covering fields that may have this part as a value, in the order of their terms.
    fn covering(&self, part: &str) -> impl Iterator<Item = &str> {
        let shape = Shape::of(part.as_bytes());
        let may_hold = move |at: usize| self.contents.shapes.get(at).is_none_or(|known| known.may_hold(shape));
        self.covering_order.iter().filter(move |at| may_hold(**at)).map(|at| self.contents.covering[*at].as_str())
    }

    /// The covering fields that may have a value that begins so, in the order of their terms.
    pub(super) fn covering_from(&self, front: &str) -> impl Iterator<Item = &str> {
        let may_hold = move |at: usize| self.contents.shapes.get(at).is_none_or(|known| known.may_hold_from(front));
        self.covering_order.iter().filter(move |at| may_hold(**at)).map(|at| self.contents.covering[*at].as_str())
    }

    /// The rows with this part somewhere in what bare words are looked for in.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn word(&self, part: &str) -> Result<Found, String> {
        let is_cut = PART_BYTES_MAX <= part.len();
        let part = front(part, PART_BYTES_MAX);
        let mut rows = RowSet::none(self.row_count);
        self.words.add(part.as_bytes(), &mut rows)?;
        for key in self.covering(part) {
            self.exact.add(exact_term(key, part).0.as_bytes(), &mut rows)?;
        }
        Ok(self.found(rows, is_cut))
    }

    /// The rows with a part that begins so and passes the test; `None` where that is too much to go through.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn words_that(&self, prefix: &str, test: impl Fn(&str) -> bool) -> Result<Option<Found>, String> {
        let mut rows = RowSet::none(self.row_count);
        let mut budget = TERMS_SCANNED_MAX;
        let prefix = front(prefix, PART_BYTES_MAX);
        let mut is_cut = false;
        let mut each = |term: &str, is_value: bool| {
            // A cut word may pass where the whole does not, and the other way round.
            let is_long = !is_value && PART_BYTES_MAX - 4 < term.len();
            is_cut |= is_long;
            is_long || test(term)
        };
        if !self.words.add_that(prefix, "", &mut budget, &mut rows, &mut |term| each(term, false))? {
            return Ok(None);
        }
        for key in self.covering_from(prefix) {
            let key = format!("{key}{MARK}");
            let is_word = |term: &str| super::words::parts(term).next() == Some(term);
            let mut value = |term: &str| is_word(term) && each(term, true);
            if !self.exact.add_that(&format!("{key}{prefix}"), &key, &mut budget, &mut rows, &mut value)? {
                return Ok(None);
            }
        }
        Ok(Some(self.found(rows, is_cut)))
    }

    /// The rows where a field of this key has this folded value.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn value(&self, key: &str, folded: &str) -> Result<Found, String> {
        let (term, is_cut) = exact_term(key, folded);
        let mut rows = RowSet::none(self.row_count);
        self.exact.add(term.as_bytes(), &mut rows)?;
        let mut maybe = RowSet::none(self.row_count);
        // No other field's term stands for a value that was cut.
        for stand in self.contents.stands_for(key).iter().filter(|_| !is_cut) {
            let into = if stand.is_always { &mut rows } else { &mut maybe };
            self.exact.add(exact_term(&stand.key, folded).0.as_bytes(), into)?;
        }
        let mut found = self.found(rows, is_cut);
        found.maybe.add(&maybe);
        Ok(found)
    }

    /// The rows where a field of this key has a folded value that begins so and passes the test; `None`
    /// where that is too much to go through.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn values_that(&self, key: &str, prefix: &str, test: impl Fn(&str) -> bool) -> Result<Option<Found>, String> {
        let prefix = front(prefix, super::terms::VALUE_BYTES_MAX);
        let stands = self.contents.stands_for(key);
        let key = format!("{key}{MARK}");
        let start = format!("{key}{prefix}");
        let mut budget = TERMS_SCANNED_MAX;
        let mut has_cut = false;
        let mut rows = RowSet::none(self.row_count);
        let mut each = |value: &str| {
            has_cut |= value.ends_with(MARK);
            value.ends_with(MARK) || test(value)
        };
        if !self.exact.add_that(&start, &key, &mut budget, &mut rows, &mut each)? {
            return Ok(None);
        }
        let mut maybe = RowSet::none(self.row_count);
        for stand in stands {
            let key = format!("{}{MARK}", stand.key);
            let into = if stand.is_always { &mut rows } else { &mut maybe };
            let mut each = |value: &str| !value.ends_with(MARK) && test(value);
            if !self.exact.add_that(&format!("{key}{prefix}"), &key, &mut budget, into, &mut each)? {
                return Ok(None);
            }
        }
        let mut found = self.found(rows, has_cut);
        found.maybe.add(&maybe);
        Ok(Some(found))
    }

    /// The rows that may have a word with each of these runs, whatever field the word is of.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn rows_that_may(&self, runs: &[Run]) -> Result<RowSet, String> {
        let mut of_runs: Vec<RowSet> = runs.iter().map(|_| RowSet::none(self.row_count)).collect();
        let mut add_those = |term: &[u8], head: usize, add: &mut dyn FnMut(&mut RowSet) -> Result<(), String>| {
            // A word that was cut may have anything behind the cut.
            let word = std::str::from_utf8(term).ok().and_then(|term| term.get(head..));
            let word = word.filter(|word| word.len() <= PART_BYTES_MAX - 4);
            for (run, rows) in runs.iter().zip(&mut of_runs) {
                if word.is_none_or(|word| run.is_in(word)) {
                    add(rows)?;
                }
            }
            Ok(true)
        };
        self.words.each("", &mut |term, add| add_those(term, 0, add))?;
        for key in &self.contents.covering {
            let head = format!("{key}{MARK}");
            self.exact.each(&head, &mut |term, add| add_those(term, head.len(), add))?;
        }
        let mut rows = RowSet::all(self.row_count);
        of_runs.iter().for_each(|of_run| rows.keep(of_run));
        rows.add(&self.overflow);
        Ok(rows)
    }

    /// How many rows have this part at most, as [`TextIndex::word`] would find it, without reading which.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn word_count(&self, part: &str) -> Result<u64, String> {
        let part = front(part, PART_BYTES_MAX);
        let mut all = self.overflow.count() + self.words.count(part.as_bytes())?;
        for key in self.covering(part) {
            all += self.exact.count(exact_term(key, part).0.as_bytes())?;
        }
        Ok(all)
    }

    /// How many rows have this value at most, as [`TextIndex::value`] would find it, without reading which.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn value_count(&self, key: &str, folded: &str) -> Result<u64, String> {
        let mut all = self.overflow.count();
        let others = self.contents.stands_for(key).iter().map(|stand| stand.key.as_str());
        for key in [key].into_iter().chain(others) {
            all += self.exact.count(exact_term(key, folded).0.as_bytes())?;
        }
        Ok(all)
    }

    /// The rows of these units.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn units<'a>(&self, units: impl Iterator<Item = &'a str>) -> Result<RowSet, String> {
        let mut rows = RowSet::none(self.row_count);
        for term in units.filter_map(unit_term) {
            self.exact.add(term.as_bytes(), &mut rows)?;
        }
        Ok(rows)
    }

    /// What is found when `rows` hold the terms: not sure where a term was cut or a row is not all there.
    fn found(&self, rows: RowSet, is_cut: bool) -> Found {
        let mut maybe = rows.clone();
        maybe.add(&self.overflow);
        Found { sure: if is_cut { RowSet::none(self.row_count) } else { rows }, maybe }
    }
}

/// Terms of one kind, whose lists of rows stand with those of the other.
fn own(
    bundle: &Bundle,
    [terms, heads]: [&str; 2],
    row_count: u64,
    lists: &super::dictionary::Read,
) -> Result<TermReader, String> {
    Dictionary::open(&bundle.whole(heads)?, row_count, bundle.reader(terms)?, lists.clone()).map(TermReader::Own)
}

/// Words and exact terms of an index of versions 1 and 2.
fn of_tantivy(bundle: Bundle, row_count: u64) -> Result<[TermReader; 2], String> {
    let index = Index::open(bundle).map_err(|error| error.to_string())?;
    let segments = index.searchable_segments().map_err(|error| error.to_string())?;
    let [segment] = segments.as_slice() else { return Err(format!("{} segments in one", segments.len())) };
    let reader = SegmentReader::open(segment).map_err(|error| error.to_string())?;
    if u64::from(reader.max_doc()) != row_count {
        return Err(format!("an index of {} rows for {row_count}", reader.max_doc()));
    }
    let field = |name: &str| {
        let field = index.schema().get_field(name).map_err(|error| error.to_string())?;
        reader.inverted_index(field).map(TermReader::Tantivy).map_err(|error| error.to_string())
    };
    Ok([field("words")?, field("exact")?])
}
