//! Which columns the rows of a kind have values in. Most columns of a segment are of one kind of event each, and a reader of single rows
//! would open them all to find nothing. In: the tables of a segment, as they are written; then rows of its file. Out: for each kind, which is
//! `event.dataset` and `event.code` together, the columns in which some row of it has a value. Promise: no column that is not
//! said has a value in a row of that kind; a kind that is not said may have any. Bounds: `KINDS_MAX` of `KEY_BYTES_MAX`.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use foldhash::HashMap;
use nhatle_event::Field;
use serde::{Deserialize, Serialize};

/// The fields that tell kinds apart.
pub const BY: [Field; 2] = [Field::EVENT_DATASET, Field::EVENT_CODE];

/// A segment rarely has more than some dozen.
const KINDS_MAX: usize = 256;
/// Longer values tell no kind.
const KEY_BYTES_MAX: usize = 64;
/// More columns than a file of ours has.
const COLUMNS_MAX: usize = 1024;

/// The values of [`BY`].
pub type Key = [Option<String>; 2];

/// Columns by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(Vec<u64>);

impl Columns {
    fn insert(&mut self, column: usize) {
        if self.0.len() <= column / 64 {
            self.0.resize(column / 64 + 1, 0);
        }
        self.0[column / 64] |= 1 << (column % 64);
    }

    /// The column is among them.
    pub fn contains(&self, column: usize) -> bool {
        self.0.get(column / 64).is_some_and(|word| word >> (column % 64) & 1 == 1)
    }
}

/// Kinds, and the columns of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    columns: HashMap<Key, Columns>,
}

/// One of them in the metadata of the file.
#[derive(Serialize, Deserialize)]
struct Said {
    of: Key,
    /// Pairs of the first of some columns that follow each other and how many there are.
    columns: Vec<(usize, usize)>,
}

impl Kinds {
    /// The columns of the rows of this kind; `None` where that may be any.
    pub fn columns(&self, key: &Key) -> Option<&Columns> {
        self.columns.get(key)
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        self.columns.len() * (size_of::<(Key, Columns)>() + 128)
    }

    /// As JSON.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut all: Vec<Said> =
            self.columns.iter().map(|(of, columns)| Said { of: of.clone(), columns: runs(columns) }).collect();
        all.sort_by(|one, other| one.of.cmp(&other.of));
        serde_json::to_string(&all)
    }

    /// From that.
    ///
    /// # Errors
    /// It is something else; the reason.
    pub fn from_json(text: &str) -> Result<Kinds, String> {
        let all: Vec<Said> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut kinds = Kinds::default();
        for Said { of, columns: runs } in all {
            let mut columns = Columns::default();
            for (first, count) in runs {
                let end = first.saturating_add(count);
                if COLUMNS_MAX < end {
                    return Err(format!("{count} columns from {first} on"));
                }
                (first..end).for_each(|column| columns.insert(column));
            }
            kinds.columns.insert(of, columns);
        }
        Ok(kinds)
    }
}

fn runs(columns: &Columns) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for column in (0..columns.0.len() * 64).filter(|column| columns.contains(*column)) {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == column => *count += 1,
            _ => runs.push((column, 1)),
        }
    }
    runs
}

/// Sees tables and notes their kinds.
#[derive(Default)]
pub struct Noting {
    numbers: HashMap<Key, usize>,
    columns: Vec<Columns>,
    /// Rows of a kind that has no number have this one.
    of_rows: Vec<Option<usize>>,
}

impl Noting {
    /// Takes the next table of the file.
    pub fn add(&mut self, table: &RecordBatch) {
        self.number(table);
        for (number, column) in table.columns().iter().enumerate() {
            if column.null_count() == column.len() || COLUMNS_MAX <= number {
                continue;
            }
            let mut note = |row: usize| {
                if let Some(kind) = self.of_rows[row] {
                    self.columns[kind].insert(number);
                }
            };
            match column.nulls() {
                // What every row has needs not be looked at row by row.
                None => self.columns.iter_mut().for_each(|columns| columns.insert(number)),
                Some(nulls) => nulls.valid_indices().for_each(&mut note),
            }
        }
    }

    /// Gives each row the number of its kind.
    fn number(&mut self, table: &RecordBatch) {
        let by = BY.map(|field| table.column_by_name(field.name()).and_then(|column| column.as_string_opt::<i32>()));
        self.of_rows.clear();
        let mut before: Option<([Option<&str>; 2], Option<usize>)> = None;
        for row in 0..table.num_rows() {
            let of = by.map(|column| column.filter(|column| column.is_valid(row)).map(|column| column.value(row)));
            let number = match before {
                Some((kind, number)) if kind == of => number,
                _ => self.number_of(of),
            };
            before = Some((of, number));
            self.of_rows.push(number);
        }
    }

    fn number_of(&mut self, of: [Option<&str>; 2]) -> Option<usize> {
        if of.iter().flatten().any(|text| KEY_BYTES_MAX < text.len()) {
            return None;
        }
        let key: Key = of.map(|text| text.map(str::to_owned));
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        let number = self.columns.len();
        if KINDS_MAX <= number {
            return None;
        }
        self.numbers.insert(key, number);
        self.columns.push(Columns::default());
        Some(number)
    }

    /// What was noted.
    pub fn end(self) -> Kinds {
        let Noting { numbers, columns, .. } = self;
        Kinds { columns: numbers.into_iter().map(|(key, number)| (key, columns[number].clone())).collect() }
    }
}
