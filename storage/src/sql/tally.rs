//! `Tally`: groups with their counts. In: tables of keys and of what is counted, or groups that another tally gave. Out: the
//! groups as tables, all of them or cut by their keys, so that equal keys of several tallies are in the same part. Texts that
//! are numbers of a dictionary are counted by number; each text is looked up once a dictionary. What a group's values are is
//! kept in lists of different values ([`Values`]). Source: ADR 28.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::common::{Result, exec_datafusion_err};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::distinct::BLOCK;
use super::values::{Numbered, Values, whole_numbers};

/// How many keys a group has at most: their numbers fit into one word.
pub const KEYS_MAX: usize = 4;
/// Up to so many groups a table can have are counted in a list, more in a map.
const LISTED_MAX: usize = 1 << 18;
/// And no more than so many for each row: the list is cleared first.
const LISTED_PER_ROW: usize = 8;
/// About how many bytes a group takes in the map of groups: an entry of 16 and one more, of which two thirds are taken.
const GROUP_BYTES: usize = 26;
/// And each of its keys, and each of its states.
const KEY_BYTES: usize = 4;
const STATE_BYTES: usize = 9;

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
    /// The numbers of the values of each group, one after the other.
    keys: Vec<u32>,
    count: usize,
    /// Of each measure.
    states: Vec<States>,
}

/// Of one measure, of each group.
#[derive(Default)]
struct States {
    numbers: Vec<i64>,
    /// There is a number; nothing where there always is.
    is_there: Vec<bool>,
}

impl Tally {
    /// Nothing yet. The schema is that of the groups: the keys, then the measures.
    pub fn new(schema: SchemaRef, measures: Vec<Measure>) -> Tally {
        let count = schema.fields().len() - measures.len();
        let values = schema.fields().iter().take(count).map(|field| Values::new(field.data_type())).collect();
        let states = measures.iter().map(|_| States::default()).collect();
        Tally { schema, measures, values, known: Known::default(), keys: Vec::new(), count: 0, states }
    }

    /// A tally of the same, with nothing yet.
    pub fn another(&self) -> Tally {
        Tally::new(self.schema.clone(), self.measures.clone())
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.count * (GROUP_BYTES + KEY_BYTES * self.values.len() + STATE_BYTES * self.measures.len())
            + self.values.iter().map(|values| values.bytes).sum::<usize>()
    }

    /// Counts some rows. Keys may be numbers of a dictionary where the schema has texts.
    ///
    /// # Errors
    /// A column is not of its type, which would be a mistake of ours.
    pub fn add(&mut self, keys: &[ArrayRef], measured: &[ArrayRef], rows: usize) -> Result<()> {
        let (local, groups) = self.groups_of(keys, rows)?;
        for (measure, states) in self.measures.iter().zip(&mut self.states) {
            reckon(*measure, states, &local, &groups, measured)?;
        }
        Ok(())
    }

    /// Takes groups that another tally of the same gave.
    ///
    /// # Errors
    /// A column is not of its type, which would be a mistake of ours.
    pub fn join(&mut self, table: &RecordBatch) -> Result<()> {
        let (keys, given) = table.columns().split_at(self.values.len().min(table.num_columns()));
        let (local, groups) = self.groups_of(keys, table.num_rows())?;
        for ((measure, states), given) in self.measures.iter().zip(&mut self.states).zip(given) {
            let nulls = given.nulls();
            for (row, (group, number)) in local.of.iter().zip(whole_numbers(given)?).enumerate() {
                if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                    states.take(*measure, groups[*group as usize], number);
                }
            }
        }
        Ok(())
    }

    /// The groups of some rows among themselves, and which groups of this tally they are.
    fn groups_of(&mut self, keys: &[ArrayRef], rows: usize) -> Result<(Local, Vec<u32>)> {
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
        let mut groups = Vec::with_capacity(local.first.len());
        let mut keys = Vec::with_capacity(BLOCK);
        for rows in local.first.chunks(BLOCK) {
            keys.clear();
            let key_of = |row: &u32| numbered.iter().fold(0u128, |key, one| key << 32 | u128::from(one.value_of(*row)));
            keys.extend(rows.iter().map(key_of));
            self.known.look_at(&keys, numbered.len());
            for (row, key) in rows.iter().zip(&keys) {
                let next = u32::try_from(self.count).unwrap_or(u32::MAX);
                let group = self.known.group(*key, numbered.len(), next);
                if group == next {
                    self.count += 1;
                    self.keys.extend(numbered.iter().map(|one| one.value_of(*row)));
                    for (states, measure) in self.states.iter_mut().zip(&self.measures) {
                        states.begin(*measure);
                    }
                }
                groups.push(group);
            }
        }
        Ok((local, groups))
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.count
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
            let numbers = groups.clone().map(|group| self.keys[group * count + at]);
            arrays.push(values.array(numbers, self.schema.field(at).data_type())?);
        }
        for (at, states) in self.states.iter().enumerate() {
            arrays.push(states.array(groups.clone(), self.schema.field(count + at).data_type())?);
        }
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }

    /// All groups by their keys in so many parts, which must be a power of two: groups of equal keys are in the same part of
    /// every tally that is cut by the same hash.
    pub fn cut(self, parts: usize, hash: &RandomState) -> Cut {
        let Tally { schema, values, keys, count, states, known, .. } = self;
        drop(known);
        let hashes: Vec<Vec<u64>> = values.iter().map(|values| values.hashes(hash)).collect();
        let part_of = |group: usize| {
            let key = &keys[group * values.len()..][..values.len()];
            let of_all = key.iter().zip(&hashes).fold(0u64, |all, (number, hashes)| {
                let one = hashes.get(*number as usize).copied().unwrap_or(NULL_HASH);
                (all.rotate_left(29) ^ one).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            });
            (of_all >> 40) as usize & (parts - 1)
        };
        let mut ends = vec![0u32; parts];
        (0..count).for_each(|group| ends[part_of(group)] += 1);
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        let mut order = vec![0u32; count];
        for group in 0..count {
            let place = &mut ends[part_of(group)];
            order[*place as usize] = group as u32;
            *place += 1;
        }
        Cut { schema: by_numbers(&schema), values, keys, states, order, ends }
    }
}

/// The hash of the value that is none.
const NULL_HASH: u64 = 0x51_7c_c1_b7_27_22_0a_95;

/// The groups of a tally, cut in parts by their keys.
pub struct Cut {
    schema: SchemaRef,
    values: Vec<Values>,
    keys: Vec<u32>,
    states: Vec<States>,
    /// The groups, those of a part beside each other.
    order: Vec<u32>,
    /// Where each part ends.
    ends: Vec<u32>,
}

impl Cut {
    /// The groups of a part, texts as numbers of a dictionary; `None` where it has none.
    ///
    /// # Errors
    /// Arrow's, which would be a mistake of ours.
    pub fn part(&self, part: usize) -> Result<Option<RecordBatch>> {
        let begin = part.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        let groups = &self.order[begin..self.ends[part] as usize];
        if groups.is_empty() {
            return Ok(None);
        }
        let count = self.values.len();
        let groups = groups.iter().map(|group| *group as usize);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (at, values) in self.values.iter().enumerate() {
            let numbers = groups.clone().map(|group| self.keys[group * count + at]);
            arrays.push(match values.is_text {
                true => values.dictionary(numbers)?,
                false => values.array(numbers, self.schema.field(at).data_type())?,
            });
        }
        for (at, states) in self.states.iter().enumerate() {
            arrays.push(states.array(groups.clone(), self.schema.field(count + at).data_type())?);
        }
        Ok(Some(RecordBatch::try_new(self.schema.clone(), arrays)?))
    }
}

/// The schema with numbers of a dictionary for texts.
fn by_numbers(schema: &SchemaRef) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8View => {
            let of = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            field.as_ref().clone().with_data_type(of)
        }
        _ => field.as_ref().clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

impl States {
    /// One more group, of which nothing is known.
    fn begin(&mut self, measure: Measure) {
        self.numbers.push(0);
        if matches!(measure, Measure::Min(_) | Measure::Max(_)) {
            self.is_there.push(false);
        }
    }

    /// Takes what was reckoned of some rows of a group.
    fn take(&mut self, measure: Measure, group: u32, number: i64) {
        let at = group as usize;
        let state = &mut self.numbers[at];
        *state = match measure {
            Measure::Rows | Measure::Count(_) => *state + number,
            Measure::Min(_) if self.is_there[at] => number.min(*state),
            Measure::Max(_) if self.is_there[at] => number.max(*state),
            Measure::Min(_) | Measure::Max(_) => {
                self.is_there[at] = true;
                number
            }
        };
    }

    fn array(&self, groups: impl Iterator<Item = usize>, of: &DataType) -> Result<ArrayRef> {
        let array: ArrayRef = match self.is_there.is_empty() {
            true => Arc::new(Int64Array::from_iter_values(groups.map(|group| self.numbers[group]))),
            false => {
                Arc::new(Int64Array::from_iter(groups.map(|group| self.is_there[group].then_some(self.numbers[group]))))
            }
        };
        Ok(cast(&array, of)?)
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
    /// Looks at some keys that are looked up next, so that the processor waits for memory once for all of them.
    fn look_at(&self, keys: &[u128], parts: usize) {
        let seen = keys.iter().fold(0, |seen, key| {
            let group = match (parts, u64::try_from(*key)) {
                (1, _) => self.single.get((*key as u32).wrapping_add(1) as usize),
                (_, Ok(key)) => self.narrow.get(&key),
                (_, Err(_wide)) => self.wide.get(key),
            };
            seen ^ group.copied().unwrap_or(0)
        });
        std::hint::black_box(seen);
    }

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

fn reckon(measure: Measure, states: &mut States, local: &Local, groups: &[u32], measured: &[ArrayRef]) -> Result<()> {
    let column = |at: usize| measured.get(at).ok_or_else(|| exec_datafusion_err!("a measure of column {at}"));
    let at = match measure {
        Measure::Rows => {
            count(states, local, groups, None);
            return Ok(());
        }
        Measure::Count(at) => {
            count(states, local, groups, column(at)?.logical_nulls().as_ref());
            return Ok(());
        }
        Measure::Min(at) | Measure::Max(at) => at,
    };
    let array = column(at)?;
    let nulls = array.nulls();
    for (row, (group, number)) in local.of.iter().zip(whole_numbers(array)?).enumerate() {
        if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            states.take(measure, groups[*group as usize], number);
        }
    }
    Ok(())
}

fn count(states: &mut States, local: &Local, groups: &[u32], nulls: Option<&NullBuffer>) {
    let mut found = vec![0i64; groups.len()];
    match nulls {
        None => local.of.iter().for_each(|group| found[*group as usize] += 1),
        Some(nulls) => {
            nulls.inner().set_indices().for_each(|row| found[local.of[row] as usize] += 1);
        }
    }
    for (group, found) in groups.iter().zip(found) {
        states.numbers[*group as usize] += found;
    }
}
