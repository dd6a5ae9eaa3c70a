//! What of a filter the index shall be asked. In: a filter that every wanted row passes, and an index. Out: a filter that
//! is never narrower, with those tests only that leave few rows and cost little to ask; nothing where reading the columns
//! is cheaper. For plans whose rows are looked at all the same ([`crate::sql`]). A word's or value's rows are counted by
//! what the dictionary says, not by reading them; what would go through a dictionary from end to end is not asked.

use super::filter::{Filter, Test, is_own};
use super::pattern::Phrase;
use crate::segment::terms::{has_exact_terms, is_running_text};
use crate::segment::text_index::TextIndex;

/// Reading spares pages, of 1,024 rows, only where hits are rarer than one in so many rows.
const VALUE_SHARE: u64 = 64;
/// Words are looked for in running text, which costs more to read and to look at.
const WORD_SHARE: u64 = 8;

/// The filter has a test that may be worth asking, before any index is opened.
pub fn may_be(filter: &Filter) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().any(may_be),
        Filter::Or(filters) => filters.iter().all(may_be),
        Filter::Phrase(phrase) => !phrase.parts().is_empty(),
        Filter::Field(name, test) => name.candidates.iter().all(|key| field_may_be(key, test)),
        Filter::All | Filter::Wildcard(_) | Filter::Not(_) => false,
    }
}

fn field_may_be(key: &str, test: &Test) -> bool {
    if is_own(key) {
        return false;
    }
    match test {
        Test::Is(phrase) if is_running_text(key) => !phrase.parts().is_empty(),
        Test::Is(_) | Test::Network(_) => has_exact_terms(key),
        // In running text only what begins a word is looked up; the rest goes through all words.
        Test::Wildcard(wildcard) if is_running_text(key) => {
            wildcard.runs().iter().max_by_key(|(run, begins)| (*begins, run.len())).is_some_and(|(_, begins)| *begins)
                && wildcard.runs().iter().take(2).all(|(_, begins)| *begins)
        }
        Test::Wildcard(wildcard) => has_exact_terms(key) && !wildcard.prefix().is_empty(),
        Test::Range(_) | Test::Expression(_) | Test::Exists => false,
    }
}

/// What is worth asking, and at most how many rows it leaves.
///
/// # Errors
/// The index is not readable; the reason.
pub fn worth(filter: &Filter, index: &TextIndex, rows: u64) -> Result<Option<(Filter, u64)>, String> {
    if !may_be(filter) {
        return Ok(None);
    }
    Ok(match filter {
        Filter::And(filters) => {
            let mut kept = Vec::new();
            let mut least = rows;
            for filter in filters {
                if let Some((filter, count)) = worth(filter, index, rows)? {
                    kept.push(filter);
                    least = least.min(count);
                }
            }
            (!kept.is_empty()).then(|| (Filter::all(kept), least))
        }
        Filter::Or(filters) => {
            let mut kept = Vec::new();
            let mut all = 0;
            for filter in filters {
                let Some((filter, count)) = worth(filter, index, rows)? else { return Ok(None) };
                kept.push(filter);
                all += count;
            }
            (all <= rows / VALUE_SHARE && !kept.is_empty()).then(|| (Filter::any(kept), all))
        }
        Filter::Phrase(phrase) => word_count(phrase, index, rows)?.map(|count| (filter.clone(), count)),
        Filter::Field(name, Test::Is(phrase)) => {
            let mut all = 0;
            for key in &name.candidates {
                let count = match is_running_text(key) {
                    true => word_count(phrase, index, rows)?,
                    false => value_count(key, phrase, index, rows)?,
                };
                let Some(count) = count else { return Ok(None) };
                all += count;
            }
            (all <= rows / WORD_SHARE).then(|| (filter.clone(), all))
        }
        other => Some((other.clone(), rows)),
    })
}

fn word_count(phrase: &Phrase, index: &TextIndex, rows: u64) -> Result<Option<u64>, String> {
    let mut least = rows;
    for part in phrase.parts() {
        let mut count = 0;
        for way in phrase.ways(part) {
            count += index.word_count(&way)?;
        }
        least = least.min(count);
    }
    Ok((least <= rows / WORD_SHARE).then_some(least))
}

fn value_count(key: &str, phrase: &Phrase, index: &TextIndex, rows: u64) -> Result<Option<u64>, String> {
    if phrase.twins().is_some() {
        return Ok(None);
    }
    let mut all = 0;
    for whole in phrase.wholes() {
        all += index.value_count(key, whole)?;
    }
    Ok((all <= rows / VALUE_SHARE).then_some(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::parse;

    #[test]
    fn what_goes_through_a_whole_dictionary_is_not_asked() {
        for (line, expected) in [
            ("user.name:root", true),
            ("root", true),
            ("message:mimikatz", true),
            ("message:*mimikatz*", false),
            ("message:mimi*", true),
            ("user.name:*root", false),
            ("user.name:ro*", true),
            ("source.ip:10.0.0.0/8", true),
            ("source.port:>1024", false),
            ("NOT root", false),
            ("user.name:root AND message:*mimikatz*", true),
            ("user.name:root OR message:*mimikatz*", false),
            ("@timestamp:2026", false),
        ] {
            assert_eq!(may_be(&parse(line).expect("a line of the language")), expected, "{line}");
        }
    }
}
