//! What the index says about texts in another normal form than its own: the rows whose values could, after
//! *simple case folding*, have a [`Form`]. In: forms. Out: rows, always a superset.
//!
//! The index drops marks and folds a little differently than Unicode simple case folding, so only the runs of
//! ASCII in a literal are asked for. A letter that folds to an ASCII one is itself ASCII, `K` (the Kelvin sign,
//! which the index decomposes to `k`), or `ſ`, which the index keeps: a term with `ſ` is asked for as well
//! wherever the literal has an `s`. Source: Unicode 16 CaseFolding.txt, statuses C and S.

use std::borrow::Cow;

use super::rows::RowSet;
use super::term_reader::TermReader;
use super::terms::{MARK, PART_BYTES_MAX};
use super::text_index::TextIndex;
use super::words::front;

/// Longer literals are asked for by their front: with every `s` a `ſ` it still stands whole in a cut term.
const LITERAL_BYTES_MAX: usize = 60;
/// A run of letters that may go on at its front is looked for in all words only from this length on.
const INSIDE_BYTES_MIN: usize = 3;
/// Letters of which texts of numbers, booleans and moments are made (`true`, `-inf`, `1e9`, `…T…Z`).
const NUMBER_LETTERS: &str = "truefalsinz";

/// What a text must be, as far as the index can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    whole: Option<String>,
    start: Option<String>,
    inside: Vec<String>,
    end: Option<String>,
}

impl Form {
    /// A form of a simple-folded text: it is all of `whole`, begins with `start`, holds each of `inside`, ends
    /// with `end`; what is `None` is not asked for.
    pub fn new(whole: Option<&str>, start: Option<&str>, inside: &[String], end: Option<&str>) -> Form {
        let mut form = Form::default();
        if let Some(whole) = whole {
            match whole.is_ascii() {
                true => form.whole = Some(plain(whole)),
                false => form.take_runs(whole, true, true),
            }
        }
        start.into_iter().for_each(|start| form.take_runs(start, true, false));
        inside.iter().for_each(|inside| form.take_runs(inside, false, false));
        end.into_iter().for_each(|end| form.take_runs(end, false, true));
        form
    }

    fn take_runs(&mut self, literal: &str, is_start: bool, is_end: bool) {
        for (begin, run) in runs(literal, |letter| letter.is_ascii()) {
            let text = plain(run);
            match (is_start && begin == 0, is_end && begin + run.len() == literal.len()) {
                (true, _) => self.start = Some(text),
                (_, true) => self.end = Some(text),
                _ => self.inside.push(text),
            }
        }
    }

    /// Nothing is asked for.
    pub fn is_any(&self) -> bool {
        *self == Form::default()
    }

    /// A term, less its field, could be such a text. `is_cut` terms always could where more than their front
    /// is asked for.
    fn fits(&self, term: &str, is_cut: bool) -> bool {
        let text = long_s_as_s(term);
        self.start.as_ref().is_none_or(|start| text.starts_with(front(start, LITERAL_BYTES_MAX)))
            && (is_cut
                || (self.whole.as_ref().is_none_or(|whole| *whole == text)
                    && self.end.as_ref().is_none_or(|end| text.ends_with(end.as_str()))
                    && self.inside.iter().all(|inside| text.contains(inside.as_str()))))
    }

    /// The runs of letters and digits in it, for looking among words.
    fn runs(&self) -> Vec<Run<'_>> {
        let closed = [(&self.whole, true, true), (&self.start, true, false), (&self.end, false, true)];
        let closed = closed.into_iter().filter_map(|(text, front, back)| Some((text.as_ref()?, front, back)));
        let pieces = closed.chain(self.inside.iter().map(|text| (text, false, false)));
        pieces.flat_map(|(text, front, back)| runs_of(text, front, back)).collect()
    }
}

/// Lower case, as the index has it, with spaces for control characters.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter.to_ascii_lowercase() }).collect()
}

fn long_s_as_s(term: &str) -> Cow<'_, str> {
    match term.contains('ſ') {
        true => Cow::Owned(term.replace('ſ', "s")),
        false => Cow::Borrowed(term),
    }
}

/// A run of ASCII letters and digits in a literal, and whether it surely begins and ends a word of the text.
struct Run<'a> {
    text: &'a str,
    begins: bool,
    ends: bool,
}

fn runs_of(text: &str, is_front: bool, is_back: bool) -> impl Iterator<Item = Run<'_>> {
    runs(text, |letter| letter.is_ascii_alphanumeric()).into_iter().filter_map(move |(begin, run)| {
        // Digits alone may be a part of an address, which is one word.
        let has_letter = run.bytes().any(|byte| byte.is_ascii_alphabetic());
        (has_letter && run.len() <= LITERAL_BYTES_MAX).then_some(Run {
            text: run,
            begins: is_front || 0 < begin,
            ends: is_back || begin + run.len() < text.len(),
        })
    })
}

/// The longest stretches of such letters, with where they begin.
fn runs(text: &str, is_in: impl Fn(char) -> bool) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(skipped) = text[at..].find(&is_in) {
        let begin = at + skipped;
        let length = text[begin..].find(|letter| !is_in(letter)).unwrap_or(text.len() - begin);
        found.push((begin, &text[begin..begin + length]));
        at = begin + length;
    }
    found
}

/// How many terms may be gone through, and what is left of it.
pub struct Budget(pub usize);

impl TextIndex {
    /// The keys of the segment's fields that are this name but for case and spaces; `None` where the segment has
    /// more fields than it lists.
    pub fn keys_like(&self, name: &str) -> Option<&[String]> {
        let keys = self.loose_keys.as_ref()?;
        Some(keys.get(&loose(name)).map_or(&[], Vec::as_slice))
    }

    /// Every row.
    pub fn all(&self) -> RowSet {
        RowSet::all(self.row_count)
    }

    /// No row.
    pub fn none(&self) -> RowSet {
        RowSet::none(self.row_count)
    }

    /// The rows where a field of this key, which has exact terms, has a value that could have one of the forms;
    /// `None` where that is too much to go through.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn values_like(&self, key: &str, forms: &[Form], budget: &mut Budget) -> Result<Option<RowSet>, String> {
        let mut rows = self.overflow.clone();
        for key in self.keys_of(key) {
            if !self.add_values_like(&format!("{key}{MARK}"), forms, budget, &mut rows)? {
                return Ok(None);
            }
        }
        Ok(Some(rows))
    }

    /// The key, and those of the fields whose terms stand for some of its own.
    fn keys_of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        [key].into_iter().chain(self.contents.stands_for(key).iter().map(|stand| stand.key.as_str()))
    }

    /// Adds the rows of the terms behind `head` that could have one of the forms; `false` where that is too much.
    fn add_values_like(
        &self,
        head: &str,
        forms: &[Form],
        budget: &mut Budget,
        rows: &mut RowSet,
    ) -> Result<bool, String> {
        let is_cut = |text: &str| text.ends_with(MARK);
        let mut scanned: Vec<&Form> = Vec::new();
        for form in forms {
            let lead = form.whole.as_ref().or(form.start.as_ref()).filter(|lead| !lead.is_empty());
            match (&form.whole, lead) {
                (Some(whole), None) => self.exact.add(format!("{head}{whole}").as_bytes(), rows)?,
                (Some(whole), Some(_)) if whole.len() <= LITERAL_BYTES_MAX => {
                    self.add_whole(&self.exact, head, whole, budget, rows)?;
                }
                (_, Some(lead)) => {
                    let lead = front(lead, LITERAL_BYTES_MAX);
                    let mut test = |text: &str| form.fits(text, is_cut(text));
                    if !self.add_front(&self.exact, (head, lead), budget, rows, &mut test)? {
                        return Ok(false);
                    }
                }
                (None, None) => scanned.push(form),
            }
        }
        let mut test = |text: &str| scanned.iter().any(|form| form.fits(text, is_cut(text)));
        Ok(scanned.is_empty() || self.exact.add_that(head, head, &mut budget.0, rows, &mut test)?)
    }

    /// The rows where a field of this key has a text that passes; `None` where that is too much to go through.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn values_passing(
        &self,
        key: &str,
        budget: &mut Budget,
        mut test: impl FnMut(&str) -> bool,
    ) -> Result<Option<RowSet>, String> {
        let mut rows = self.overflow.clone();
        let mut each = |text: &str| text.ends_with(MARK) || test(text);
        for key in self.keys_of(key) {
            let head = format!("{key}{MARK}");
            if !self.exact.add_that(&head, &head, &mut budget.0, &mut rows, &mut each)? {
                return Ok(None);
            }
        }
        Ok(Some(rows))
    }

    /// The rows with all words that a text of this form must have; `None` where nothing can be asked for.
    /// `is_anywhere` says that the text may be of a field whose numbers are no words.
    ///
    /// # Errors
    /// The index is not readable; the reason.
    pub fn words_like(&self, form: &Form, is_anywhere: bool, budget: &mut Budget) -> Result<Option<RowSet>, String> {
        let is_word = |run: &Run<'_>| {
            !is_anywhere
                || run.text.chars().any(|letter| letter.is_ascii_alphabetic() && !NUMBER_LETTERS.contains(letter))
        };
        let runs: Vec<Run<'_>> = form.runs().into_iter().filter(is_word).collect();
        let mut found: Option<RowSet> = None;
        let mut keep = |rows: RowSet| match &mut found {
            Some(found) => found.keep(&rows),
            None => found = Some(rows),
        };
        for run in runs.iter().filter(|run| run.begins && run.ends) {
            keep(
                self.each_dictionary(run.text, budget, |reader, head, budget, rows| {
                    self.add_whole(reader, head, run.text, budget, rows).map(|()| true)
                })?
                .unwrap_or_else(|| self.all()),
            );
        }
        if found.is_some() {
            return Ok(found);
        }
        let longest = |runs: &mut dyn Iterator<Item = &Run<'_>>| -> Option<String> {
            runs.map(|run| run.text).max_by_key(|text| text.len()).map(str::to_owned)
        };
        if let Some(front) = longest(&mut runs.iter().filter(|run| run.begins)) {
            let mut test = |text: &str| long_s_as_s(text).starts_with(front.as_str());
            return self.each_dictionary(&front, budget, |reader, head, budget, rows| {
                self.add_front(reader, (head, &front), budget, rows, &mut test)
            });
        }
        let Some(inside) = longest(&mut runs.iter().filter(|run| INSIDE_BYTES_MIN <= run.text.len())) else {
            return Ok(None);
        };
        // A cut word may hold it behind the cut.
        let mut test = |text: &str| PART_BYTES_MAX - 4 < text.len() || long_s_as_s(text).contains(inside.as_str());
        self.each_dictionary("", budget, |reader, head, budget, rows| {
            reader.add_that(head, head, &mut budget.0, rows, &mut test)
        })
    }

    /// Asks the words, and the values that are not put among the words because they are one word. What is asked for begins
    /// with `front`, which may be nothing, or with that and each `s` of it as a `ſ`.
    fn each_dictionary(
        &self,
        front: &str,
        budget: &mut Budget,
        mut ask: impl FnMut(&TermReader, &str, &mut Budget, &mut RowSet) -> Result<bool, String>,
    ) -> Result<Option<RowSet>, String> {
        let mut rows = self.overflow.clone();
        let mut is_done = ask(&self.words, "", budget, &mut rows)?;
        for key in self.covering_from(front) {
            is_done = is_done && ask(&self.exact, &format!("{key}{MARK}"), budget, &mut rows)?;
        }
        Ok(is_done.then_some(rows))
    }

    /// Adds the rows of the term that is all of `text`, also where an `s` of it is a `ſ`.
    fn add_whole(
        &self,
        reader: &TermReader,
        head: &str,
        text: &str,
        budget: &mut Budget,
        rows: &mut RowSet,
    ) -> Result<(), String> {
        reader.add(format!("{head}{text}").as_bytes(), rows)?;
        for (at, _) in text.match_indices('s') {
            let front = format!("{head}{}ſ", &text[..at]);
            // A dictionary full of such words is somebody's joke; then they count as found.
            let mut test = |term: &str| long_s_as_s(term) == text;
            if !reader.add_that(&front, head, &mut budget.0, rows, &mut test)? {
                *rows = self.all();
            }
        }
        Ok(())
    }

    /// Adds the rows of terms that begin so, also where an `s` of it is a `ſ`, and pass. `false` where the
    /// budget ran out.
    fn add_front(
        &self,
        reader: &TermReader,
        (head, lead): (&str, &str),
        budget: &mut Budget,
        rows: &mut RowSet,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<bool, String> {
        let mut is_done = reader.add_that(&format!("{head}{lead}"), head, &mut budget.0, rows, test)?;
        for (at, _) in lead.match_indices('s') {
            let front = format!("{head}{}ſ", &lead[..at]);
            is_done = is_done && reader.add_that(&front, head, &mut budget.0, rows, test)?;
        }
        Ok(is_done)
    }
}

/// A name without case and spaces, as [`TextIndex::keys_like`] compares them.
pub fn loose(name: &str) -> String {
    super::words::name_key(name).replace(' ', "")
}
