//! The neutral types of SQL's edge: [`Kind`] of a column, [`Cell`] of a row, [`Table`] that others give. Nothing of Arrow
//! or DataFusion is seen through them.

use std::borrow::Cow;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A whole number of 64 bits without sign.
    UInt,
    /// A number with a binary fraction.
    Double,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A moment, in nanoseconds since 1970, UTC.
    Time,
    /// A day, counted from 1970-01-01.
    Date,
    /// Anything else (an interval, a list, a decimal number), given as text.
    Other,
}

impl Kind {
    /// The name, as answers in JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "boolean",
            Kind::Int => "long",
            Kind::UInt => "unsigned_long",
            Kind::Double => "double",
            Kind::Text => "text",
            Kind::Bytes => "bytes",
            Kind::Time => "timestamp",
            Kind::Date => "date",
            Kind::Other => "other",
        }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// There is none.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number without sign.
    UInt(u64),
    /// A number with a fraction.
    Double(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// Nanoseconds since 1970, UTC.
    Time(i64),
    /// Days since 1970-01-01.
    Date(i32),
}

impl Cell<'_> {
    /// The same, of its own.
    pub fn owned(&self) -> Cell<'static> {
        match self {
            Cell::Null => Cell::Null,
            Cell::Bool(flag) => Cell::Bool(*flag),
            Cell::Int(number) => Cell::Int(*number),
            Cell::UInt(number) => Cell::UInt(*number),
            Cell::Double(number) => Cell::Double(*number),
            Cell::Text(text) => Cell::Text(Cow::Owned(text.to_string())),
            Cell::Bytes(bytes) => Cell::Bytes(Cow::Owned(bytes.to_vec())),
            Cell::Time(nanos) => Cell::Time(*nanos),
            Cell::Date(days) => Cell::Date(*days),
        }
    }
}

impl Cell<'static> {
    /// Text.
    pub fn text(text: impl Into<String>) -> Cell<'static> {
        Cell::Text(Cow::Owned(text.into()))
    }

    /// The value, or null where there is none.
    pub fn or_null<T: Into<Cell<'static>>>(value: Option<T>) -> Cell<'static> {
        value.map_or(Cell::Null, Into::into)
    }
}

impl From<String> for Cell<'static> {
    fn from(text: String) -> Cell<'static> {
        Cell::Text(Cow::Owned(text))
    }
}

impl From<&str> for Cell<'static> {
    fn from(text: &str) -> Cell<'static> {
        Cell::text(text)
    }
}

impl From<i64> for Cell<'static> {
    fn from(number: i64) -> Cell<'static> {
        Cell::Int(number)
    }
}

impl From<f64> for Cell<'static> {
    fn from(number: f64) -> Cell<'static> {
        Cell::Double(number)
    }
}

impl From<bool> for Cell<'static> {
    fn from(flag: bool) -> Cell<'static> {
        Cell::Bool(flag)
    }
}

impl From<nhatle_event::Timestamp> for Cell<'static> {
    fn from(stamp: nhatle_event::Timestamp) -> Cell<'static> {
        Cell::Time(stamp.0)
    }
}

/// A column of an answer or a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
}

impl Column {
    /// A column.
    pub fn new(name: impl Into<String>, kind: Kind) -> Column {
        Column { name: name.into(), kind }
    }
}

/// A table that others give, whole. Each row has a cell for each column, of its kind or null; a cell of another kind is
/// null.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its schema; `None` is that of `events`.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Its columns. [`Kind::Other`] is text.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Vec<Cell<'static>>>,
}

/// A function that gives one value whatever it is asked.
#[derive(Clone, Debug)]
pub struct Constant {
    /// Its name, in lower case.
    pub name: String,
    /// Its value.
    pub value: Cell<'static>,
}
