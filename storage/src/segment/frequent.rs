//! Which fields without a column in the field table get one in a segment: those that many of its events have. In: a
//! sample of the events ([`Census`]), taken from all over the segment. Out: [`Frequent`], in order of their names.
//!
//! A sample is enough: a field that it misses stays in `attrs`, where every value has a place, so the choice can make a
//! segment larger, never wrong. Bounds: [`COLUMNS_MAX`] columns, [`NAME_BYTES_MAX`]; memory: 8 bytes for each value of the
//! sample. No two columns of a file have names that differ by case only: DuckDB and Spark do not tell them apart.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use foldhash::{HashSet, HashSetExt};
use nhatle_event::field::Storage;
use nhatle_event::{Event, Field, Kind, Value};

use super::GROUP_ROWS;
use super::columns::{ATTRS, CREATED, FIELDS, HASH, INGESTED, ORIGINAL, OUTLINE, REST, SEQ, TIMESTAMP};
use super::words::{has_key, name_key};

/// How many such columns a segment has at most.
pub const COLUMNS_MAX: usize = 256;
/// How long the name of such a column may be, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// A column is for what at least one event in so many has; ADR 36 has the measurement.
const ONE_IN: usize = 64;
/// What a column costs whatever is in it (its place in the footer, a page for each 4,096 rows) is more than so few
/// values take in `attrs`. Tests have small segments.
const VALUES_MIN: usize = if cfg!(test) { 2 } else { 64 };
/// How many events are looked at.
pub const SAMPLE_ROWS: usize = 2048;
/// Of ten values of a row group so many may be different ones for a dictionary to take less than the values do.
const DIFFERENT_IN_TEN_MAX: usize = 6;

/// A field with a column in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequent {
    /// The field.
    pub field: Field,
    /// Values of this type are in the column, all others in `attrs`.
    pub kind: Kind,
    /// Its values repeat, so it is written with a dictionary.
    pub is_repeating: bool,
}

/// The type of the column that can have this value of a field and give it back, where there is one.
fn kind_of(field: Field, value: &Value) -> Option<Kind> {
    let is_marked = matches!(field.kind(), Kind::Ip | Kind::Date);
    match value {
        Value::Text(_) if !is_marked => Some(Kind::Keyword),
        Value::Ip(_) if field.kind() == Kind::Ip => Some(Kind::Ip),
        Value::Date(_) if field.kind() == Kind::Date => Some(Kind::Date),
        Value::Long(_) => Some(Kind::Long),
        Value::Double(_) => Some(Kind::Double),
        Value::Boolean(_) => Some(Kind::Boolean),
        _ => None,
    }
}

const KINDS: [Kind; 6] = [Kind::Keyword, Kind::Ip, Kind::Date, Kind::Long, Kind::Double, Kind::Boolean];

/// What a sample says of one field.
#[derive(Default)]
struct Counted {
    /// Values of each of [`KINDS`].
    counts: [usize; KINDS.len()],
    /// Hashes of the different values.
    different: HashSet<u64>,
}

/// Counts the fields of some events.
#[derive(Default)]
pub struct Census {
    rows: usize,
    /// By the number of the field; `None` for one that was not seen.
    counted: Vec<Option<(Field, Counted)>>,
}

impl Census {
    /// Counts one more event.
    pub fn add(&mut self, event: &Event) {
        self.rows += 1;
        for (field, value) in event.fields() {
            if field.known().is_some_and(|known| known.storage == Storage::Column) {
                continue;
            }
            let Some(kind) = kind_of(*field, value) else { continue };
            let at = field.index();
            if self.counted.len() <= at {
                self.counted.resize_with(at + 1, || None);
            }
            let (_, counted) = self.counted[at].get_or_insert_with(|| (*field, Counted::default()));
            if let Some(place) = KINDS.iter().position(|one| *one == kind) {
                counted.counts[place] += 1;
            }
            let state = FixedState::default();
            counted.different.insert(match value {
                Value::Text(text) => state.hash_one(text.as_bytes()),
                Value::Ip(address) => state.hash_one(address),
                Value::Date(stamp) => state.hash_one(stamp.0),
                Value::Long(number) => state.hash_one(number),
                Value::Double(number) => state.hash_one(number.to_bits()),
                _ => 0,
            });
        }
    }

    /// The fields that get a column in a segment of so many events.
    pub fn choose(self, rows: usize) -> Vec<Frequent> {
        let sampled = self.rows.max(1);
        let mut found: Vec<(usize, Frequent)> = Vec::new();
        for (field, counted) in self.counted.into_iter().flatten() {
            let most = counted.counts.iter().zip(KINDS).max_by_key(|(count, _)| **count);
            let Some((count, kind)) = most.map(|(count, kind)| (*count, kind)) else { continue };
            let expected = count.saturating_mul(rows) / sampled;
            if sampled <= count.saturating_mul(ONE_IN) && VALUES_MIN <= expected && may_name_column(field.name()) {
                let is_repeating = is_repeating(count, counted.different.len(), expected.min(GROUP_ROWS));
                found.push((count, Frequent { field, kind, is_repeating }));
            }
        }
        found.sort_by_key(|(count, frequent)| (std::cmp::Reverse(*count), frequent.field.name()));
        let mut keys: HashSet<String> = HashSet::new();
        found.retain(|(_, frequent)| keys.insert(name_key(frequent.field.name()).into_owned()));
        found.truncate(COLUMNS_MAX);
        let mut chosen: Vec<Frequent> = found.into_iter().map(|(_, frequent)| frequent).collect();
        chosen.sort_by_key(|frequent| frequent.field.name());
        chosen
    }
}

/// Enough values of a row group of `expected` are there twice, where of `count` in the sample so many are different ones.
fn is_repeating(count: usize, different: usize, expected: usize) -> bool {
    // Values of other types are counted among the different ones, too.
    let different = different.min(count);
    let different = match (expected <= count, count - different) {
        (true, _) => different,
        (false, 0) => return false,
        // As many as give so few pairs, if each is as likely as any other: the birthdays of a few tell the days of the year.
        (false, repeated) => different.max(count.saturating_mul(count) / (2 * repeated)),
    };
    different * 10 <= expected * DIFFERENT_IN_TEN_MAX
}

/// The name is short, can be printed, and is no other column's.
fn may_name_column(name: &str) -> bool {
    let others = [SEQ, TIMESTAMP, CREATED, INGESTED, ORIGINAL, OUTLINE, REST, HASH, ATTRS];
    name.len() <= NAME_BYTES_MAX
        && !name.chars().any(char::is_control)
        && !others.iter().any(|other| has_key(name, other))
        && !FIELDS.iter().any(|(field, _)| has_key(name, field.name()))
}

/// The places of a sample of at most [`SAMPLE_ROWS`] of so many rows, ascending: from all over them, in no step that the
/// rows may have, too.
pub fn sample(rows: usize) -> impl Iterator<Item = usize> {
    let step = rows.div_ceil(SAMPLE_ROWS).max(1);
    (0..rows.div_ceil(step)).map(move |at| {
        let shift = FixedState::default().hash_one(at) % step as u64;
        (at * step + usize::try_from(shift).unwrap_or(0)).min(rows - 1)
    })
}

#[cfg(test)]
mod tests {
    use nhatle_event::Timestamp;

    use super::*;

    fn chosen(rows: &[&[(&str, Value)]]) -> Vec<(&'static str, Kind, bool)> {
        let mut census = Census::default();
        for row in rows {
            let mut event = Event::new(Timestamp(0), Vec::new());
            row.iter().for_each(|(name, value)| event.set_named(name, value.clone()));
            census.add(&event);
        }
        let chosen = census.choose(rows.len());
        chosen.iter().map(|one| (one.field.name(), one.kind, one.is_repeating)).collect()
    }

    #[test]
    fn what_many_events_have_gets_a_column_of_the_type_most_have() {
        let long = |number: i64| Value::Long(number);
        let rows: Vec<Vec<(&str, Value)>> = (0..40)
            .map(|at| {
                let mixed = if at % 3 == 0 { Value::from("x") } else { long(at) };
                vec![
                    ("z.mixed", mixed),
                    ("a.same", "same".into()),
                    ("a.list", Value::List(vec![long(1), long(2)])),
                    ("source.ip", "not of the table's type".into()),
                    ("Source.IP", "a column's name but for its case".into()),
                    ("attrs", "a column's name".into()),
                    ("host.os.type", "linux".into()),
                ]
            })
            .collect();
        let mut rows: Vec<&[(&str, Value)]> = rows.iter().map(Vec::as_slice).collect();
        let rare = [("a.rare", long(1))];
        let other_case = [("A.Same", "fewer".into())];
        rows.extend([&rare[..], &other_case, &other_case]);
        let expected =
            [("a.same", Kind::Keyword, true), ("host.os.type", Kind::Keyword, true), ("z.mixed", Kind::Long, false)];
        assert_eq!(chosen(&rows), expected);
    }

    #[test]
    fn whether_values_repeat_in_a_row_group_is_told_by_a_sample() {
        for (count, different, expected, is) in [
            (40, 40, 40, false),
            (40, 41, 40, false),
            (40, 20, 40, true),
            (2048, 1, 65_536, true),
            (2048, 2048, 65_536, false),
            // 6,676 hosts in 41,647 lines; 22,836 process numbers in 31,890.
            (1735, 1525, 41_647, true),
            (1330, 1290, 31_890, false),
        ] {
            assert_eq!(is_repeating(count, different, expected), is, "{different} of {count}, for {expected}");
        }
    }

    #[test]
    fn a_sample_is_from_all_over_and_each_row_is_in_it_once() {
        for rows in [0, 1, 2047, 2048, 2049, 5000, 65_536, 524_288] {
            let places: Vec<usize> = sample(rows).collect();
            assert!(places.is_sorted_by(|one, other| one < other), "{rows}");
            assert!(places.len() <= SAMPLE_ROWS && places.iter().all(|at| *at < rows), "{rows}");
            assert!(SAMPLE_ROWS / 2 <= places.len() || places.len() == rows, "{rows}: {}", places.len());
        }
    }
}
