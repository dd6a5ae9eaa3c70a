//! Which segments cannot hold a match, from the heads of their indexes alone. In: a query and a segment. Out: why no row
//! can match, or nothing. Promise: a segment that is ruled out has no match (the index would say so too); others are asked.
//! So a rare word costs a block of 64 KiB a segment, whatever the size of its index. Failure: as reading.

use super::Query;
use super::explain::{Explain, Skip};
use super::filter::{Filter, Test, is_own};
use super::pattern::Phrase;
use crate::error::ReadError;
use crate::live::LiveSegment;
use crate::segment::bloom::Kind;
use crate::segment::head::IndexHead;
use crate::segment::terms::{
    PART_BYTES_MAX, exact_term, has_exact_terms, is_by_words, is_running_text, is_word_field, unit_term,
};
use crate::segment::words::{front, parts};

/// Why no row of the segment can match, as far as the head of its index tells. The tests that say so are noted.
pub(crate) fn rule_out(
    query: &Query,
    segment: &LiveSegment,
    notes: Option<&mut Explain>,
) -> Result<Option<Skip>, ReadError> {
    if matches!(query.filter, Filter::All) && query.units.is_none() {
        return Ok(None);
    }
    let Some(head) = segment.index_head()? else { return Ok(None) };
    if let Some(units) = &query.units {
        let mut may_be = false;
        for term in units.iter().filter_map(|unit| unit_term(unit)) {
            may_be |= head.may_hold(Kind::Exact, term.as_bytes())?;
        }
        if !may_be {
            return Ok(Some(Skip::Unit));
        }
    }
    if head.has_overflow() {
        return Ok(None);
    }
    let mut asker = Asker { head: &head, notes, by_filter: false };
    if !asker.cannot(&query.filter)? {
        return Ok(None);
    }
    Ok(Some(if asker.by_filter { Skip::Filter } else { Skip::Field }))
}

struct Asker<'a> {
    head: &'a IndexHead,
    notes: Option<&'a mut Explain>,
    /// It was the filter that said no, not the list of fields alone.
    by_filter: bool,
}

impl Asker<'_> {
    fn cannot(&mut self, filter: &Filter) -> Result<bool, ReadError> {
        match filter {
            Filter::And(filters) => {
                for filter in filters {
                    if self.cannot(filter)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Filter::Or(filters) => {
                for filter in filters {
                    if !self.cannot(filter)? {
                        return Ok(false);
                    }
                }
                Ok(!filters.is_empty())
            }
            leaf => {
                let is_out = self.leaf_cannot(leaf)?;
                if is_out && let Some(notes) = &mut self.notes {
                    notes.note_test(leaf, 0, 0);
                }
                Ok(is_out)
            }
        }
    }

    fn leaf_cannot(&mut self, leaf: &Filter) -> Result<bool, ReadError> {
        match leaf {
            Filter::Phrase(phrase) => {
                let is_out = lacks_phrase(phrase, self.head)?;
                self.by_filter |= is_out;
                Ok(is_out)
            }
            Filter::Field(name, test) => {
                for key in &name.candidates {
                    if is_own(key) {
                        return Ok(false);
                    }
                    if !self.head.lacks(key) {
                        if !lacks_value(key, test, self.head)? {
                            return Ok(false);
                        }
                        self.by_filter = true;
                    }
                }
                Ok(!name.candidates.is_empty())
            }
            _ => Ok(false),
        }
    }
}

fn lacks_phrase(phrase: &Phrase, head: &IndexHead) -> Result<bool, ReadError> {
    for part in phrase.parts() {
        let mut may_be = false;
        for way in phrase.ways(part) {
            may_be |= head.may_hold(Kind::Word, front(&way, PART_BYTES_MAX).as_bytes())?;
        }
        if !may_be {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lacks_value(key: &str, test: &Test, head: &IndexHead) -> Result<bool, ReadError> {
    let Test::Is(phrase) = test else { return Ok(false) };
    if is_running_text(key) {
        return Ok(!phrase.written.is_empty() && lacks_phrase(phrase, head)?);
    }
    if !has_exact_terms(key) || phrase.twins().is_some() {
        return Ok(false);
    }
    for whole in phrase.wholes() {
        let others = head.stands_for(key).iter().map(|stand| stand.key.as_str());
        for key in [key].into_iter().chain(others) {
            if may_hold_value(key, whole, head)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A field of this key may have this folded value.
fn may_hold_value(key: &str, folded: &str, head: &IndexHead) -> Result<bool, ReadError> {
    if !(head.has_values_by_words() && is_word_field(key) && is_by_words(folded.as_bytes())) {
        return head.may_hold(Kind::Exact, exact_term(key, folded).0.as_bytes());
    }
    for part in parts(folded) {
        if !head.may_hold(Kind::Word, front(part, PART_BYTES_MAX).as_bytes())? {
            return Ok(false);
        }
    }
    Ok(true)
}
