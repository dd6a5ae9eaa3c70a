//! Rows that may be what rules look for, found without looking at them. In: a [`Sieve`], a necessary condition
//! in the words of rules (values compared after simple case folding, fields by name but for case and spaces),
//! a time range, and a segment. Out: [`Sifted`], the rows that may meet it, and those rows read.
//!
//! Promise: no row is left out that meets the condition; where the index cannot tell (a field that is not
//! indexed, a term that was cut, a dictionary too long to go through) the row stays. Whoever asked decides
//! row by row. Failure: a damaged segment is an error that names it, never fewer rows.

use std::net::IpAddr;
use std::sync::Arc;

use nhatle_event::{Field, Stored, Text, Timestamp};

use crate::error::ReadError;
use crate::live::LiveSegment;
use crate::segment::loose::Budget;
pub use crate::segment::loose::Form;
use crate::segment::rows::RowSet;
use crate::segment::terms::{has_exact_terms, is_running_text};
use crate::segment::text_index::TextIndex;
use crate::segment::{Projection, Segment};

/// How many terms of one segment are gone through; past it the rest of the condition is not asked.
const TERMS_MAX: usize = 2_000_000;
/// How many rows are read at a time.
pub const READ_ROWS: usize = 8_192;

/// A necessary condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Sieve {
    /// Lets every row through.
    Everything,
    /// Lets no row through.
    Nothing,
    /// One of these fields holds this.
    Field(Vec<Field>, Held),
    /// Some value has one of these forms.
    Somewhere(Vec<Form>),
    /// All of these.
    All(Vec<Sieve>),
    /// One of these.
    Any(Vec<Sieve>),
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// Whatever, a null included.
    Field,
    /// A value that reads as text.
    Text,
    /// A text of one of these forms.
    Form(Vec<Form>),
    /// A finite number from the first to the second, both included.
    Number(f64, f64),
    /// An address of this network, with the length of its prefix in bits.
    Network(IpAddr, u8),
    /// A text that passes a test of the one who asks; it is asked once for each different text of a segment.
    Passing(Passing),
}

/// A test of texts, which are given after simple case folding. It may say yes too often.
#[derive(Clone)]
pub struct Passing(pub Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl std::fmt::Debug for Passing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passing")
    }
}

impl PartialEq for Passing {
    /// The same test, not one that does the same.
    fn eq(&self, other: &Passing) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The rows of a segment that may meet a condition.
pub struct Sifted {
    segment: Arc<Segment>,
    rows: Vec<usize>,
    in_time: usize,
    keys: Option<Vec<Text>>,
}

impl LiveSegment {
    /// The rows from `from` to before `to` ([`Timestamp::MAX`] is no end) that may meet the condition. `fields`
    /// are those that [`Sifted::read`] shall give values of; `None` is all.
    ///
    /// # Errors
    /// The segment cannot be read, or is damaged.
    pub fn sift(
        &self,
        sieve: &Sieve,
        (from, to): (Timestamp, Timestamp),
        fields: Option<&[Field]>,
    ) -> Result<Sifted, ReadError> {
        let segment = self.open()?;
        let keys = segment.keys()?;
        let end = if to == Timestamp::MAX { keys.len() } else { keys.first_at(to) };
        let mut rows = RowSet::range(keys.len(), keys.first_at(from), end);
        let in_time = usize::try_from(rows.count()).unwrap_or(usize::MAX);
        let mut projection = None;
        if 0 < in_time && (*sieve != Sieve::Everything || fields.is_some()) {
            let index = segment.index()?;
            let mut budget = Budget(TERMS_MAX);
            let found = rows_of(sieve, &index, &mut budget).map_err(|reason| segment.index_error(reason))?;
            found.into_iter().for_each(|found| rows.keep(&found));
            projection = fields.and_then(|fields| keys_of(fields, &index));
        }
        Ok(Sifted { segment, rows: rows.iter().collect(), in_time, keys: projection })
    }
}

impl Sifted {
    /// The rows that may meet the condition, in order of time.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// How many rows are in the time range.
    pub fn in_time(&self) -> usize {
        self.in_time
    }

    /// The events of some of the rows, with at least the fields asked for.
    ///
    /// # Errors
    /// The segment cannot be read, or is damaged.
    pub fn read(&self, rows: &[usize]) -> Result<Vec<Stored>, ReadError> {
        self.segment.fetch(rows, self.keys.as_deref().map_or(Projection::All, Projection::Keys))
    }

    /// What [`Sifted::read`] gives are whole events.
    pub fn is_whole(&self) -> bool {
        self.keys.is_none()
    }

    /// The whole events of some of the rows (ascending, each once).
    ///
    /// # Errors
    /// The segment cannot be read, or is damaged.
    pub fn whole(&self, rows: &[usize]) -> Result<Vec<Stored>, ReadError> {
        self.segment.fetch(rows, Projection::All)
    }
}

/// The keys of the columns to read for these fields; `None` where the segment does not list its fields.
fn keys_of(fields: &[Field], index: &TextIndex) -> Option<Vec<Text>> {
    let mut keys = vec![Text::from("event.created"), Text::from("event.ingested")];
    for field in fields {
        keys.extend(index.keys_like(field.name())?.iter().map(Text::from));
    }
    Some(keys)
}

type Found = Result<Option<RowSet>, String>;

/// The rows that may meet the condition; `None` is every row.
fn rows_of(sieve: &Sieve, index: &TextIndex, budget: &mut Budget) -> Found {
    match sieve {
        Sieve::Everything => Ok(None),
        Sieve::Nothing => Ok(Some(index.none())),
        Sieve::Field(fields, held) => field_rows(fields, held, index, budget),
        Sieve::Somewhere(forms) => any_words(forms, true, index, budget),
        Sieve::All(parts) => {
            let mut found: Option<RowSet> = None;
            for part in parts {
                let Some(rows) = rows_of(part, index, budget)? else { continue };
                match &mut found {
                    Some(found) => found.keep(&rows),
                    None => found = Some(rows),
                }
                if found.as_ref().is_some_and(RowSet::is_empty) {
                    break;
                }
            }
            Ok(found)
        }
        Sieve::Any(parts) => {
            let mut found = index.none();
            for part in parts {
                match rows_of(part, index, budget)? {
                    Some(rows) => found.add(&rows),
                    None => return Ok(None),
                }
            }
            Ok(Some(found))
        }
    }
}

fn field_rows(fields: &[Field], held: &Held, index: &TextIndex, budget: &mut Budget) -> Found {
    let mut found = index.none();
    let mut seen: Vec<&str> = Vec::new();
    for field in fields {
        let Some(keys) = index.keys_like(field.name()) else { return Ok(None) };
        for key in keys {
            if seen.contains(&key.as_str()) {
                continue;
            }
            seen.push(key);
            match key_rows(key, held, index, budget)? {
                Some(rows) => found.add(&rows),
                None => return Ok(None),
            }
        }
    }
    Ok(Some(found))
}

fn key_rows(key: &str, held: &Held, index: &TextIndex, budget: &mut Budget) -> Found {
    if is_running_text(key) {
        return match held {
            Held::Form(forms) => any_words(forms, false, index, budget),
            _ => Ok(None),
        };
    }
    match held {
        _ if !has_exact_terms(key) => Ok(None),
        // A null has no term.
        Held::Field => Ok(None),
        Held::Text => index.values_passing(key, budget, |_text| true),
        Held::Form(forms) if forms.iter().any(Form::is_any) => index.values_passing(key, budget, |_text| true),
        Held::Form(forms) => index.values_like(key, forms, budget),
        Held::Number(low, high) => index.values_passing(key, budget, |text| {
            text.trim().parse::<f64>().is_ok_and(|number| *low <= number && number <= *high)
        }),
        Held::Passing(test) => index.values_passing(key, budget, |text| (test.0)(text)),
        Held::Network(network, prefix) => index.values_passing(key, budget, |text| {
            text.trim().parse::<IpAddr>().is_ok_and(|address| is_inside(address, *network, *prefix))
        }),
    }
}

fn any_words(forms: &[Form], is_anywhere: bool, index: &TextIndex, budget: &mut Budget) -> Found {
    let mut found = index.none();
    for form in forms {
        match index.words_like(form, is_anywhere, budget)? {
            Some(rows) => found.add(&rows),
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// The address is in the network; networks of another family hold none.
fn is_inside(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let prefix = u32::from(prefix);
    // A prefix that is too long is all of the address.
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= prefix.min(32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= prefix.min(128)
        }
        _ => false,
    }
}
