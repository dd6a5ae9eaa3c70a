//! Which rows hold a word or a value: one Tantivy segment whose document numbers are row numbers, without
//! document store, positions, norms and fast fields. In: events in row order. Out: bytes; [`TextIndex`]
//! over those bytes gives [`RowSet`]s. What the terms are: [`super::terms`].

use std::io::Write as _;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use tantivy::directory::{CompositeWrite, RamDirectory, TerminatingWrite as _};
use tantivy::index::SegmentComponent;
use tantivy::postings::Postings as _;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::store::Compressor;
use tantivy::{
    Directory as _, DocSet, Index, IndexSettings, InvertedIndexReader, SegmentReader, TERMINATED, TantivyDocument,
    TantivyError,
};

use nhatle_event::Event;

use super::bloom::{self, Kind};
use super::bundle::{Bundle, Contents, VERSION, pack};
use super::dictionary::{Dictionary, Written};
use super::gather::Gatherer;
use super::lists::Lists;
use super::loose::loose;
use super::rows::RowSet;
use super::terms::{COVERING_MAX, KEYS_MAX, MARK, OVERFLOW, PART_BYTES_MAX, exact_term, unit_term};
use super::words::front;

/// How many terms one test may go through before the index gives up and the rows are looked at.
pub const TERMS_SCANNED_MAX: usize = 262_144;

/// Tantivy's least; there are no words to keep in it.
const WRITER_BYTES: usize = 15 << 20;

pub(super) fn schema() -> (Schema, Field, Field) {
    let mut builder = Schema::builder();
    let indexing = TextFieldIndexing::default().set_index_option(IndexRecordOption::Basic).set_fieldnorms(false);
    let options = TextOptions::default().set_indexing_options(indexing);
    let words = builder.add_text_field("words", options.clone());
    let exact = builder.add_text_field("exact", options);
    (builder.build(), words, exact)
}

/// The index of these events, in this order.
///
/// # Errors
/// What Tantivy says.
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
    /// What Tantivy says.
    pub fn finish(self) -> Result<Vec<u8>, String> {
        let (fields, words, exact, stands) = self.gatherer.finish();
        debug_assert!(fields.covering.len() <= COVERING_MAX, "the fields keep their bound");
        let mut bloom = bloom::Builder::default();
        let written = write(self.row_count, &words, &exact, &fields.covering, &mut bloom);
        let (index, directory) = written.map_err(|error| error.to_string())?;
        drop((words, exact));
        let contents = Contents {
            version: VERSION,
            row_count: self.row_count as u64,
            covering: fields.covering,
            keys: (fields.keys.len() <= KEYS_MAX).then_some(fields.keys),
            stands,
            files: std::collections::BTreeMap::new(),
        };
        pack(bloom.finish(), &index, &directory, contents)
    }
}

/// A Tantivy index of so many rows with these terms. Tantivy writes an index of as many documents without terms; then
/// its terms and postings are written anew from the lists, which spares it to hash each term of each document.
fn write(
    row_count: usize,
    words: &Lists,
    exact: &Lists,
    covering: &[String],
    bloom: &mut bloom::Builder,
) -> tantivy::Result<(Index, RamDirectory)> {
    let (schema, words_field, exact_field) = schema();
    let directory = RamDirectory::create();
    let settings = IndexSettings {
        docstore_compression: Compressor::None,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    let builder = Index::builder().schema(schema).settings(settings);
    let mut writer = builder.single_segment_index_writer::<TantivyDocument>(directory.clone(), WRITER_BYTES)?;
    for _ in 0..row_count {
        writer.add_document(TantivyDocument::default())?;
    }
    let index = writer.finalize()?;
    for segment in index.searchable_segments()? {
        let anew =
            [SegmentComponent::Terms, SegmentComponent::Postings, SegmentComponent::Positions, SegmentComponent::Store];
        for part in anew {
            let path = segment.relative_path(part);
            directory.delete(&path).map_err(|error| TantivyError::InternalError(error.to_string()))?;
        }
        // Nobody reads it, but it has to be there.
        segment.open_write(SegmentComponent::Store)?.terminate()?;
        let mut files = Files::open(&segment)?;
        let mut covered = Covered::new(covering);
        for (field, lists, kind) in [(words_field, words, Kind::Word), (exact_field, exact, Kind::Exact)] {
            let mut of = Dictionary::new(lists.posting_count());
            let written = lists.write(|term, rows| {
                bloom.add(kind, term);
                if kind == Kind::Exact
                    && let Some(word) = covered.word_of(term)
                {
                    bloom.add(Kind::Word, word);
                }
                of.add(term, rows)
            });
            let written = written.and_then(|()| of.finish()).map_err(TantivyError::InternalError)?;
            files.put(field, &written)?;
        }
        files.close()?;
    }
    Ok((index, directory))
}

/// The files of terms and rows of one segment, field after field.
pub(super) struct Files {
    terms: CompositeWrite,
    postings: CompositeWrite,
    /// Of no field anything, but it has to be there.
    positions: CompositeWrite,
}

impl Files {
    pub(super) fn open(segment: &tantivy::index::Segment) -> tantivy::Result<Files> {
        let open = |part| segment.open_write(part).map(CompositeWrite::wrap);
        Ok(Files {
            terms: open(SegmentComponent::Terms)?,
            postings: open(SegmentComponent::Postings)?,
            positions: open(SegmentComponent::Positions)?,
        })
    }

    pub(super) fn put(&mut self, field: Field, written: &Written) -> std::io::Result<()> {
        self.terms.for_field(field).write_all(&written.terms)?;
        self.postings.for_field(field).write_all(&written.postings)?;
        self.positions.for_field(field);
        Ok(())
    }

    pub(super) fn close(self) -> std::io::Result<()> {
        [self.terms, self.postings, self.positions].into_iter().try_for_each(CompositeWrite::close)
    }
}

/// Tells which exact terms stand for words too: those of covering fields that are one word.
struct Covered<'a> {
    covering: &'a [String],
    /// The key of the last term with its mark, and whether its field is covering; terms come by key.
    last: (Vec<u8>, bool),
}

impl Covered<'_> {
    fn new(covering: &[String]) -> Covered<'_> {
        Covered { covering, last: (Vec::new(), false) }
    }

    fn word_of<'t>(&mut self, term: &'t [u8]) -> Option<&'t [u8]> {
        let at = term.iter().position(|byte| *byte == MARK as u8)? + 1;
        let (key, value) = term.split_at(at);
        if self.last.0 != key {
            let name = &key[..at - 1];
            self.last = (key.to_vec(), self.covering.iter().any(|one| one.as_bytes() == name));
        }
        let text = std::str::from_utf8(value).ok().filter(|_| self.last.1)?;
        (super::words::parts(text).next() == Some(text)).then_some(value)
    }
}

/// An index open for reading.
pub struct TextIndex {
    pub(super) words: Arc<InvertedIndexReader>,
    pub(super) exact: Arc<InvertedIndexReader>,
    pub(super) contents: Contents,
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
            let mut stream = reader.terms().stream().expect("readable");
            while stream.advance() {
                let mut rows = RowSet::none(self.row_count);
                add_postings(reader, stream.value(), &mut rows).expect("readable");
                terms.insert(stream.key().to_vec(), rows.iter().collect());
            }
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
        let index = Index::open(bundle).map_err(|error| error.to_string())?;
        let segments = index.searchable_segments().map_err(|error| error.to_string())?;
        let [segment] = segments.as_slice() else { return Err(format!("{} segments in one", segments.len())) };
        let reader = SegmentReader::open(segment).map_err(|error| error.to_string())?;
        if contents.row_count != row_count || u64::from(reader.max_doc()) != row_count {
            return Err(format!("an index of {} rows for {row_count}", contents.row_count));
        }
        let field = |name: &str| {
            let field = index.schema().get_field(name).map_err(|error| error.to_string())?;
            reader.inverted_index(field).map_err(|error| error.to_string())
        };
        let row_count = usize::try_from(row_count).map_err(|_past| "more rows than memory")?;
        let (words, exact) = (field("words")?, field("exact")?);
        let loose_keys = contents.keys.as_ref().map(|keys| {
            let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
            keys.iter().for_each(|key| by_name.entry(loose(key)).or_default().push(key.clone()));
            by_name
        });
        let mut opened = TextIndex { words, exact, contents, row_count, overflow: RowSet::none(row_count), loose_keys };
        let mut overflow = RowSet::none(row_count);
        add_term(&opened.exact, OVERFLOW.as_bytes(), &mut overflow)?;
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

    /// The rows with this part somewhere in what bare words are looked for in.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn word(&self, part: &str) -> Result<Found, String> {
        let is_cut = PART_BYTES_MAX <= part.len();
        let part = front(part, PART_BYTES_MAX);
        let mut rows = RowSet::none(self.row_count);
        add_term(&self.words, part.as_bytes(), &mut rows)?;
        for key in &self.contents.covering {
            add_term(&self.exact, exact_term(key, part).0.as_bytes(), &mut rows)?;
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
        if !add_terms(&self.words, prefix, "", &mut budget, &mut rows, &mut |term| each(term, false))? {
            return Ok(None);
        }
        for key in &self.contents.covering {
            let key = format!("{key}{MARK}");
            let is_word = |term: &str| super::words::parts(term).next() == Some(term);
            let mut value = |term: &str| is_word(term) && each(term, true);
            if !add_terms(&self.exact, &format!("{key}{prefix}"), &key, &mut budget, &mut rows, &mut value)? {
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
        add_term(&self.exact, term.as_bytes(), &mut rows)?;
        let mut maybe = RowSet::none(self.row_count);
        // No other field's term stands for a value that was cut.
        for stand in self.contents.stands_for(key).iter().filter(|_| !is_cut) {
            let into = if stand.is_always { &mut rows } else { &mut maybe };
            add_term(&self.exact, exact_term(&stand.key, folded).0.as_bytes(), into)?;
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
        if !add_terms(&self.exact, &start, &key, &mut budget, &mut rows, &mut each)? {
            return Ok(None);
        }
        let mut maybe = RowSet::none(self.row_count);
        for stand in stands {
            let key = format!("{}{MARK}", stand.key);
            let into = if stand.is_always { &mut rows } else { &mut maybe };
            let mut each = |value: &str| !value.ends_with(MARK) && test(value);
            if !add_terms(&self.exact, &format!("{key}{prefix}"), &key, &mut budget, into, &mut each)? {
                return Ok(None);
            }
        }
        let mut found = self.found(rows, has_cut);
        found.maybe.add(&maybe);
        Ok(Some(found))
    }

    /// How many rows have this part at most, as [`TextIndex::word`] would find it, without reading which.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn word_count(&self, part: &str) -> Result<u64, String> {
        let part = front(part, PART_BYTES_MAX);
        let mut all = self.overflow.count() + term_count(&self.words, part.as_bytes())?;
        for key in &self.contents.covering {
            all += term_count(&self.exact, exact_term(key, part).0.as_bytes())?;
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
            all += term_count(&self.exact, exact_term(key, folded).0.as_bytes())?;
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
            add_term(&self.exact, term.as_bytes(), &mut rows)?;
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

fn term_count(reader: &InvertedIndexReader, term: &[u8]) -> Result<u64, String> {
    let found = reader.terms().get(term).map_err(|error| error.to_string())?;
    Ok(found.map_or(0, |info| u64::from(info.doc_freq)))
}

pub(super) fn add_term(reader: &InvertedIndexReader, term: &[u8], rows: &mut RowSet) -> Result<(), String> {
    match reader.terms().get(term).map_err(|error| error.to_string())? {
        Some(info) => add_postings(reader, &info, rows),
        None => Ok(()),
    }
}

fn add_postings(
    reader: &InvertedIndexReader,
    info: &tantivy::postings::TermInfo,
    rows: &mut RowSet,
) -> Result<(), String> {
    let postings = reader.read_postings_from_terminfo(info, IndexRecordOption::Basic);
    let mut postings = postings.map_err(|error| error.to_string())?;
    debug_assert!(postings.term_freq() > 0, "a posting is there because the term is");
    while postings.doc() != TERMINATED {
        rows.insert(usize::try_from(postings.doc()).unwrap_or(usize::MAX));
        postings.advance();
    }
    Ok(())
}

/// Adds the rows of every term that begins with `prefix` and whose text behind `behind` passes. `false`
/// where the budget ran out.
pub(super) fn add_terms(
    reader: &InvertedIndexReader,
    prefix: &str,
    behind: &str,
    budget: &mut usize,
    rows: &mut RowSet,
    test: &mut dyn FnMut(&str) -> bool,
) -> Result<bool, String> {
    let mut stream = reader.terms().range().ge(prefix.as_bytes()).into_stream().map_err(|error| error.to_string())?;
    while stream.advance() {
        let Some(term) = std::str::from_utf8(stream.key()).ok().filter(|term| term.starts_with(prefix)) else { break };
        let Some(left) = budget.checked_sub(1) else { return Ok(false) };
        *budget = left;
        if term.strip_prefix(behind).is_some_and(&mut *test) {
            add_postings(reader, stream.value(), rows)?;
        }
    }
    Ok(true)
}
