//! `Values`: the different values of one key of groups, each with a number. In: columns of keys; texts also as numbers of a
//! dictionary, where each text is looked up once a dictionary. Out: numbers for rows ([`Numbered`]), and columns of the values
//! of numbers. Promise: equal values have equal numbers, and no value is the number [`NULL`].

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, DictionaryArray, Int32Array, Int64Array, StringArray};
use arrow_schema::DataType;
use datafusion::arrow::compute::cast;
use datafusion::common::{Result, exec_datafusion_err};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::distinct::Distinct;

/// The number of the value that is none.
pub const NULL: u32 = u32::MAX;
/// About how many bytes a text takes beside itself.
const TEXT_BYTES: usize = 56;

/// Different values of one key.
pub struct Values {
    texts: Distinct,
    numbers: Vec<i64>,
    by_number: HashMap<i64, u32, RandomState>,
    /// They are texts.
    pub is_text: bool,
    /// About how many bytes they take.
    pub bytes: usize,
}

impl Values {
    /// None yet, of this type.
    pub fn new(of: &DataType) -> Values {
        Values {
            texts: Distinct::default(),
            numbers: Vec::new(),
            by_number: HashMap::default(),
            is_text: *of == DataType::Utf8View,
            bytes: 0,
        }
    }

    fn text(&mut self, text: &str) -> u32 {
        let (number, is_new) = self.texts.number(text);
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
    ///
    /// # Errors
    /// The column is not of its type, which would be a mistake of ours.
    pub fn number(&mut self, array: &ArrayRef) -> Result<Numbered> {
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

    fn number_dictionary(&mut self, array: &DictionaryArray<Int32Type>) -> Numbered {
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
        let used = || (0..count).filter(|at| is_used[*at]);
        let mut values = vec![NULL; count];
        let (mut place, mut bytes) = (used(), 0);
        self.texts.numbers(used().map(|at| texts.value(at)), |text, number, is_new| {
            if let Some(at) = place.next() {
                values[at] = number;
            }
            bytes += if is_new { text.len() + TEXT_BYTES } else { 0 };
        });
        self.bytes += bytes;
        values.push(NULL);
        Numbered { numbers, count: count + 1, values }
    }

    /// The hash of each value.
    pub fn hashes(&self, state: &RandomState) -> Vec<u64> {
        if !self.is_text {
            return self.numbers.iter().map(|number| state.hash_one(number)).collect();
        }
        let of_text = |text: &str| {
            let mut hasher = state.build_hasher();
            hasher.write(text.as_bytes());
            hasher.finish()
        };
        self.texts.iter().map(of_text).collect()
    }

    /// Texts as numbers of a dictionary of these alone.
    ///
    /// # Errors
    /// Arrow's, which would be a mistake of ours.
    pub fn dictionary(&self, numbers: impl Iterator<Item = u32>) -> Result<ArrayRef> {
        let mut texts: Vec<u32> = Vec::new();
        let mut known: HashMap<u32, i32, RandomState> = HashMap::default();
        let mut number = |text: u32| {
            *known.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() as i32 - 1
            })
        };
        let numbers = Int32Array::from_iter(numbers.map(|text| (text != NULL).then(|| number(text))));
        let texts = StringArray::from_iter_values(texts.iter().map(|text| self.texts.get(*text)));
        Ok(Arc::new(DictionaryArray::try_new(numbers, Arc::new(texts))?))
    }

    /// The values of some numbers.
    ///
    /// # Errors
    /// Arrow's, which would be a mistake of ours.
    pub fn array(&self, numbers: impl Iterator<Item = u32>, of: &DataType) -> Result<ArrayRef> {
        if self.is_text {
            let mut out = StringViewBuilder::new();
            for number in numbers {
                out.append_option((number != NULL).then(|| self.texts.get(number)));
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

/// One key of some rows, by numbers.
pub struct Numbered {
    /// Of each row, below `count`.
    pub numbers: Vec<u32>,
    /// How many numbers there can be.
    pub count: usize,
    /// The value of each number.
    values: Vec<u32>,
}

impl Numbered {
    /// The value of a row.
    pub fn value_of(&self, row: u32) -> u32 {
        self.values[self.numbers[row as usize] as usize]
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

/// Whole numbers and moments as numbers.
///
/// # Errors
/// They are something else, which would be a mistake of ours.
pub fn whole_numbers(array: &ArrayRef) -> Result<Vec<i64>> {
    if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
        return Ok(numbers.values().to_vec());
    }
    let stamps = array.as_primitive_opt::<TimestampNanosecondType>();
    let stamps = stamps.ok_or_else(|| exec_datafusion_err!("numbers of type {}", array.data_type()))?;
    Ok(stamps.values().to_vec())
}
