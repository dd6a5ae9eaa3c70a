//! `Tally`: groups with their counts. In: tables of keys and of what is counted. Out: the groups as a table of partial
//! states, as DataFusion's own first step of an aggregation makes them. Texts that are numbers of a dictionary are counted
//! by number; each text is looked up once a dictionary. What a group's values are is kept in lists of different values
//! ([`Values`]). Source: ADR 28.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, SchemaRef, TimeUnit};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::common::{Result, exec_datafusion_err};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::segment::Texts;

/// How many keys a group has at most: their numbers fit into one word.
pub const KEYS_MAX: usize = 4;
/// Up to so many groups a table can have are counted in a list, more in a map.
const LISTED_MAX: usize = 1 << 18;
/// And no more than so many for each row: the list is cleared first.
const LISTED_PER_ROW: usize = 8;
/// The number of the value that is none.
const NULL: u32 = u32::MAX;
/// About how many bytes a text takes beside itself.
const TEXT_BYTES: usize = 40;
/// About how many bytes a group takes beside its values.
const GROUP_BYTES: usize = 48;

/// What is reckoned for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Rows.
    Rows,
    /// Rows with a value of this column of the table of measures.
    Count(usize),
    /// The least value.
    Min(usize),
    /// The greatest value.
    Max(usize),
}

/// Whether groups can be made by values of this type.
pub fn is_key(of: &DataType) -> bool {
    is_number(of) || matches!(of, DataType::Utf8View | DataType::Boolean)
}

/// Whether the least of values of this type can be told.
pub fn is_number(of: &DataType) -> bool {
    matches!(of, DataType::Int64 | DataType::Timestamp(TimeUnit::Nanosecond, _))
}

/// See the top.
pub struct Tally {
    schema: SchemaRef,
    measures: Vec<Measure>,
    values: Vec<Values>,
    known: Known,
    keys: Vec<u128>,
    /// Of each measure, of each group.
    states: Vec<Vec<Option<i64>>>,
}

impl Tally {
    /// Nothing yet. The schema is that of the partial states: the keys, then the measures.
    pub fn new(schema: SchemaRef, measures: Vec<Measure>) -> Tally {
        let count = schema.fields().len() - measures.len();
        let values = schema.fields().iter().take(count).map(|field| Values::new(field.data_type())).collect();
        let states = vec![Vec::new(); measures.len()];
        Tally { schema, measures, values, known: Known::default(), keys: Vec::new(), states }
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.keys.len() * (GROUP_BYTES + 16 * self.measures.len())
            + self.values.iter().map(|values| values.bytes).sum::<usize>()
    }

    /// Counts some rows. Keys may be numbers of a dictionary where the schema has texts.
    ///
    /// # Errors
    /// A column is not of its type, which would be a mistake of ours.
    pub fn add(&mut self, keys: &[ArrayRef], measured: &[ArrayRef], rows: usize) -> Result<()> {
        let mut numbered = Vec::with_capacity(keys.len());
        for (values, array) in self.values.iter_mut().zip(keys) {
            numbered.push(values.number(array)?);
        }
        let product = numbered.iter().try_fold(1usize, |product, one| product.checked_mul(one.count));
        let listed_max = LISTED_MAX.min(rows.saturating_mul(LISTED_PER_ROW));
        let local = match product.filter(|product| *product <= listed_max) {
            Some(product) => listed(&numbered, product, rows),
            None => each(rows),
        };
        let groups = self.groups_of(&numbered, &local);
        for (at, measure) in self.measures.iter().enumerate() {
            reckon(*measure, &mut self.states[at], &local, &groups, measured)?;
        }
        Ok(())
    }

    /// The groups of this tally that groups of some rows are.
    fn groups_of(&mut self, numbered: &[Numbered], local: &Local) -> Vec<u32> {
        let mut groups = Vec::with_capacity(local.first.len());
        for row in &local.first {
            let mut key = 0u128;
            for one in numbered {
                key = key << 32 | u128::from(one.value_of(*row));
            }
            let next = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
            let group = self.known.group(key, numbered.len(), next);
            if group == next {
                self.keys.push(key);
                for (state, measure) in self.states.iter_mut().zip(&self.measures) {
                    state.push(matches!(measure, Measure::Rows | Measure::Count(_)).then_some(0));
                }
            }
            groups.push(group);
        }
        groups
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Some of the groups, as a table of its own memory: a slice of a table of all would keep all alive, and whoever
    /// counts the memory of slices would count all for each.
    ///
    /// # Errors
    /// Arrow's, which would be a mistake of ours.
    pub fn some(&self, groups: Range<usize>) -> Result<RecordBatch> {
        let count = self.values.len();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (at, values) in self.values.iter().enumerate() {
            let shift = 32 * (count - 1 - at);
            let numbers = self.keys[groups.clone()].iter().map(|key| (key >> shift) as u32);
            arrays.push(values.array(numbers, self.schema.field(at).data_type())?);
        }
        for (at, states) in self.states.iter().enumerate() {
            let array: ArrayRef = Arc::new(Int64Array::from_iter(states[groups.clone()].iter().copied()));
            arrays.push(cast(&array, self.schema.field(count + at).data_type())?);
        }
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }

    /// Forgets all groups.
    pub fn clear(&mut self) {
        *self = Tally::new(self.schema.clone(), std::mem::take(&mut self.measures));
    }
}

/// The groups by their keys.
#[derive(Default)]
struct Known {
    /// Of one key: by its number and one more, which makes 0 of none.
    single: Vec<u32>,
    narrow: HashMap<u64, u32, RandomState>,
    wide: HashMap<u128, u32, RandomState>,
}

impl Known {
    /// The group of a key of so many parts; `next` where it is new.
    fn group(&mut self, key: u128, parts: usize, next: u32) -> u32 {
        if parts == 1 {
            let at = (key as u32).wrapping_add(1) as usize;
            if self.single.len() <= at {
                self.single.resize(at + 1, u32::MAX);
            }
            let group = &mut self.single[at];
            if *group == u32::MAX {
                *group = next;
            }
            return *group;
        }
        match u64::try_from(key) {
            Ok(key) => *self.narrow.entry(key).or_insert(next),
            Err(_wide) => *self.wide.entry(key).or_insert(next),
        }
    }
}

/// One key of some rows, by numbers.
struct Numbered {
    /// Of each row, below `count`.
    numbers: Vec<u32>,
    count: usize,
    /// The value of each number.
    values: Vec<u32>,
}

impl Numbered {
    fn value_of(&self, row: u32) -> u32 {
        self.values[self.numbers[row as usize] as usize]
    }
}

/// The groups of some rows.
struct Local {
    /// The group of each row.
    of: Vec<u32>,
    /// A row of each group.
    first: Vec<u32>,
}

fn listed(numbered: &[Numbered], product: usize, rows: usize) -> Local {
    let mut places = vec![0u32; rows];
    for one in numbered {
        let count = u32::try_from(one.count).unwrap_or(u32::MAX);
        places.iter_mut().zip(&one.numbers).for_each(|(place, number)| *place = *place * count + number);
    }
    let mut known = vec![u32::MAX; product];
    let mut first = Vec::new();
    for (row, place) in (0u32..).zip(&mut places) {
        let group = &mut known[*place as usize];
        if *group == u32::MAX {
            *group = first.len() as u32;
            first.push(row);
        }
        *place = *group;
    }
    Local { of: places, first }
}

/// Each row for itself: looking each up among all groups is no more than looking it up among those of these rows.
fn each(rows: usize) -> Local {
    let of: Vec<u32> = (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect();
    Local { first: of.clone(), of }
}

fn reckon(
    measure: Measure,
    states: &mut [Option<i64>],
    local: &Local,
    groups: &[u32],
    measured: &[ArrayRef],
) -> Result<()> {
    let column = |at: usize| measured.get(at).ok_or_else(|| exec_datafusion_err!("a measure of column {at}"));
    let (at, is_least) = match measure {
        Measure::Rows => {
            count(states, local, groups, None);
            return Ok(());
        }
        Measure::Count(at) => {
            count(states, local, groups, column(at)?.logical_nulls().as_ref());
            return Ok(());
        }
        Measure::Min(at) => (at, true),
        Measure::Max(at) => (at, false),
    };
    let array = column(at)?;
    let nulls = array.nulls();
    let values = whole_numbers(array)?;
    let mut found: Vec<Option<i64>> = vec![None; groups.len()];
    for (row, (group, value)) in local.of.iter().zip(&values).enumerate() {
        if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            let best = &mut found[*group as usize];
            *best = Some(better(is_least, *best, *value));
        }
    }
    for (group, found) in groups.iter().zip(found) {
        if let Some(found) = found {
            let state = &mut states[*group as usize];
            *state = Some(better(is_least, *state, found));
        }
    }
    Ok(())
}

fn better(is_least: bool, before: Option<i64>, value: i64) -> i64 {
    match before {
        None => value,
        Some(before) if is_least => before.min(value),
        Some(before) => before.max(value),
    }
}

fn count(states: &mut [Option<i64>], local: &Local, groups: &[u32], nulls: Option<&NullBuffer>) {
    let mut found = vec![0i64; groups.len()];
    match nulls {
        None => local.of.iter().for_each(|group| found[*group as usize] += 1),
        Some(nulls) => {
            nulls.inner().set_indices().for_each(|row| found[local.of[row] as usize] += 1);
        }
    }
    for (group, found) in groups.iter().zip(found) {
        *states[*group as usize].get_or_insert(0) += found;
    }
}

fn whole_numbers(array: &ArrayRef) -> Result<Vec<i64>> {
    if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
        return Ok(numbers.values().to_vec());
    }
    let stamps = array.as_primitive_opt::<TimestampNanosecondType>();
    let stamps = stamps.ok_or_else(|| exec_datafusion_err!("numbers of type {}", array.data_type()))?;
    Ok(stamps.values().to_vec())
}

/// Different values of one key.
struct Values {
    texts: Texts,
    numbers: Vec<i64>,
    by_number: HashMap<i64, u32, RandomState>,
    is_text: bool,
    bytes: usize,
}

impl Values {
    fn new(of: &DataType) -> Values {
        Values {
            texts: Texts::default(),
            numbers: Vec::new(),
            by_number: HashMap::default(),
            is_text: *of == DataType::Utf8View,
            bytes: 0,
        }
    }

    fn text(&mut self, text: &str) -> u32 {
        let (number, is_new) = self.texts.intern(text.as_bytes());
        if is_new {
            self.bytes += text.len() + TEXT_BYTES;
        }
        number
    }

    fn number_of(&mut self, number: i64) -> u32 {
        let next = self.numbers.len() as u32;
        let place = *self.by_number.entry(number).or_insert(next);
        if place == next {
            self.numbers.push(number);
            self.bytes += 32;
        }
        place
    }

    /// The values of some rows as numbers.
    fn number(&mut self, array: &ArrayRef) -> Result<Numbered> {
        if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() {
            return Ok(self.number_dictionary(dictionary));
        }
        if let Some(texts) = array.as_string_view_opt() {
            let numbers = texts.iter().map(|text| text.map_or(NULL, |text| self.text(text))).collect();
            return Ok(dense(numbers));
        }
        let (numbers, nulls) = match array.as_boolean_opt() {
            Some(flags) => (flags.values().iter().map(i64::from).collect(), flags.nulls()),
            None => (whole_numbers(array)?, array.nulls()),
        };
        let mut last: Option<(i64, u32)> = None;
        let mut of = Vec::with_capacity(numbers.len());
        for (row, number) in numbers.into_iter().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                of.push(NULL);
                continue;
            }
            let place = match last {
                Some((before, place)) if before == number => place,
                _ => self.number_of(number),
            };
            last = Some((number, place));
            of.push(place);
        }
        // Many buckets were seen before; those of these rows are few.
        Ok(dense(of))
    }

    fn number_dictionary(&mut self, array: &arrow_array::DictionaryArray<Int32Type>) -> Numbered {
        let texts = array.values().as_string::<i32>();
        let count = texts.len();
        let none = u32::try_from(count).unwrap_or(NULL);
        let keys = array.keys().values();
        let numbers: Vec<u32> = match array.nulls().filter(|nulls| 0 < nulls.null_count()) {
            None => keys.iter().map(|key| (*key as u32).min(none)).collect(),
            Some(nulls) => {
                let keys = keys.iter().zip(nulls);
                keys.map(|(key, is_there)| if is_there { (*key as u32).min(none) } else { none }).collect()
            }
        };
        let mut is_used = vec![false; count + 1];
        numbers.iter().for_each(|number| is_used[*number as usize] = true);
        let used = |(at, is_used): (usize, &bool)| if *is_used { self.text(texts.value(at)) } else { NULL };
        let mut values: Vec<u32> = is_used[..count].iter().enumerate().map(used).collect();
        values.push(NULL);
        Numbered { numbers, count: count + 1, values }
    }

    fn array(&self, numbers: impl Iterator<Item = u32>, of: &DataType) -> Result<ArrayRef> {
        if self.is_text {
            let mut out = StringViewBuilder::new();
            for number in numbers {
                let text = (number != NULL).then(|| std::str::from_utf8(self.texts.get(number))).transpose();
                out.append_option(text.map_err(ArrowError::from)?);
            }
            return Ok(Arc::new(out.finish()));
        }
        let values = numbers.map(|number| self.numbers.get(number as usize).copied());
        if *of == DataType::Boolean {
            return Ok(Arc::new(values.map(|value| value.map(|value| value != 0)).collect::<BooleanArray>()));
        }
        let array: ArrayRef = Arc::new(Int64Array::from_iter(values));
        Ok(cast(&array, of)?)
    }
}

/// Numbers of values as small numbers.
fn dense(mut numbers: Vec<u32>) -> Numbered {
    let mut values: Vec<u32> = Vec::new();
    let mut known: HashMap<u32, u32, RandomState> = HashMap::default();
    let mut last: Option<(u32, u32)> = None;
    for number in &mut numbers {
        let small = match last {
            Some((before, small)) if before == *number => small,
            _ => {
                let next = values.len() as u32;
                let small = *known.entry(*number).or_insert(next);
                if small == next {
                    values.push(*number);
                }
                small
            }
        };
        last = Some((*number, small));
        *number = small;
    }
    Numbered { numbers, count: values.len().max(1), values }
}
