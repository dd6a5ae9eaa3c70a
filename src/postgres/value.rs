//! Values on the wire: what a column is called and how its values are written, in text and in binary; parameters read back.
//!
//! In: cells of the engine, values of the catalog, bytes of a client. Out: `DataRow`s, cells, values. Promise: times are UTC,
//! in microseconds (what is finer is cut), as PostgreSQL has them. Failure: [`Problem`] with 22P02, 22P03, 22007.
//! Source: PostgreSQL 15, chapters 8 and 55.7, `src/backend/utils/adt` (binary forms).

use bytes::{BufMut, BytesMut};
use nhatle_storage::pg::{Datum, Kind as CatalogKind, datum};
use nhatle_storage::sql::{Cell, Kind};
use pgwire::messages::Message;
use pgwire::messages::data::{DataRow, FieldDescription, RowDescription};

use super::problem::Problem;

/// Microseconds from 1970 to 2000, where PostgreSQL counts from.
const EPOCH_US: i64 = 946_684_800_000_000;
/// Days from 1970 to 2000.
const EPOCH_DAYS: i64 = 10_957;
const DAY_S: i64 = 86_400;

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: CatalogKind,
}

impl Field {
    /// A column of text.
    pub fn text(name: &str) -> Field {
        Field { name: name.to_owned(), kind: CatalogKind::Text }
    }
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As text.
    Text,
    /// As PostgreSQL's own bytes.
    Binary,
}

/// The format of each of `count` values: none said = text, one = of all.
///
/// # Errors
/// There are others than 0 and 1, or neither none nor one nor all are said.
pub fn formats(said: &[i16], count: usize) -> Result<Vec<Format>, Problem> {
    let one = |code: i16| match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        _ => Err(Problem::protocol("unsupported format code")),
    };
    match said {
        [] => Ok(vec![Format::Text; count]),
        [code] => Ok(vec![one(*code)?; count]),
        codes if codes.len() == count => codes.iter().map(|code| one(*code)).collect(),
        _ => Err(Problem::protocol("bind message has a wrong number of format codes")),
    }
}

/// The type of what the engine gives.
pub fn kind_of(kind: Kind) -> CatalogKind {
    match kind {
        Kind::Bool => CatalogKind::Bool,
        Kind::Int | Kind::UInt => CatalogKind::Int8,
        Kind::Double => CatalogKind::Float8,
        Kind::Text | Kind::Other => CatalogKind::Text,
        Kind::Bytes => CatalogKind::Bytea,
        Kind::Time => CatalogKind::Timestamptz,
        Kind::Date => CatalogKind::Date,
    }
}

fn size_of(kind: CatalogKind) -> i16 {
    match kind {
        CatalogKind::Bool | CatalogKind::Char => 1,
        CatalogKind::Int2 => 2,
        CatalogKind::Int4 | CatalogKind::Oid | CatalogKind::Float4 | CatalogKind::Date => 4,
        CatalogKind::Int8 | CatalogKind::Float8 | CatalogKind::Timestamptz | CatalogKind::Timestamp => 8,
        CatalogKind::Name => 64,
        _ => -1,
    }
}

/// The OID clients are told: names of tables and types are shown as text.
pub fn oid_of(kind: CatalogKind) -> u32 {
    let shown = match kind {
        CatalogKind::Regclass | CatalogKind::Regtype | CatalogKind::Regproc => CatalogKind::Text,
        other => other,
    };
    u32::try_from(shown.oid()).unwrap_or(25)
}

/// The `RowDescription` of columns.
pub fn described(fields: &[Field], formats: &[Format]) -> RowDescription {
    let one = |(index, field): (usize, &Field)| {
        let format = i16::from(formats.get(index) == Some(&Format::Binary));
        FieldDescription::new(field.name.replace('\0', ""), 0, 0, oid_of(field.kind), size_of(field.kind), -1, format)
    };
    RowDescription::new(fields.iter().enumerate().map(one).collect())
}

/// Rows on their way out: whole `DataRow` messages, and where each ends.
#[derive(Default)]
pub struct Rows {
    /// The messages.
    pub bytes: BytesMut,
    /// Where each ends.
    pub ends: Vec<usize>,
    row: BytesMut,
    count: i16,
}

impl Rows {
    /// Begins a value: its length is filled in by [`Rows::end`].
    fn begin(&mut self) -> usize {
        let at = self.row.len();
        self.row.put_i32(-1);
        at
    }

    fn end(&mut self, at: usize) {
        let length = i32::try_from(self.row.len() - at - 4).unwrap_or(0);
        self.row[at..at + 4].copy_from_slice(&length.to_be_bytes());
        self.count += 1;
    }

    /// Adds no value.
    pub fn null(&mut self) {
        self.row.put_i32(-1);
        self.count += 1;
    }

    fn plain(&mut self, bytes: &[u8]) {
        let at = self.begin();
        self.row.put_slice(bytes);
        self.end(at);
    }

    /// The row is whole.
    ///
    /// # Errors
    /// It is longer than a message may be.
    pub fn finish(&mut self) -> Result<(), Problem> {
        let row = DataRow::new(self.row.split(), std::mem::take(&mut self.count));
        let before = self.bytes.len();
        if row.encode(&mut self.bytes).is_err() {
            self.bytes.truncate(before);
            return Err(Problem::new("54000", "a row is too long"));
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// Adds a cell of the engine.
    ///
    /// # Errors
    /// A number is past the range of `int8`.
    pub fn cell(&mut self, cell: &Cell<'_>, format: Format) -> Result<(), Problem> {
        let is_binary = format == Format::Binary;
        match cell {
            Cell::Null => self.null(),
            Cell::Bool(value) => self.plain(bool_bytes(*value, is_binary)),
            Cell::Int(value) => self.whole(*value, CatalogKind::Int8, is_binary),
            Cell::UInt(value) => {
                let value = i64::try_from(*value).map_err(|_large| Problem::new("22003", "bigint out of range"))?;
                self.whole(value, CatalogKind::Int8, is_binary);
            }
            Cell::Double(value) if is_binary => self.plain(&value.to_be_bytes()),
            Cell::Double(value) => self.plain(datum::float_text(*value).as_bytes()),
            Cell::Text(text) => self.text(text),
            Cell::Bytes(bytes) if is_binary => self.plain(bytes),
            Cell::Bytes(bytes) => self.plain(format!("\\x{}", nhatle_event::json::hex(bytes)).as_bytes()),
            Cell::Time(nanos) if is_binary => {
                self.plain(&nanos.div_euclid(1_000).saturating_sub(EPOCH_US).to_be_bytes());
            }
            Cell::Time(nanos) => self.plain(time_text(*nanos).as_bytes()),
            Cell::Date(days) if is_binary => {
                let days = i32::try_from(i64::from(*days) - EPOCH_DAYS).unwrap_or(i32::MAX);
                self.plain(&days.to_be_bytes());
            }
            Cell::Date(days) => self.plain(date_text(i64::from(*days)).as_bytes()),
        }
        Ok(())
    }

    /// Text; the protocol's clients take no NUL in it.
    fn text(&mut self, text: &str) {
        if text.contains('\0') {
            self.plain(text.replace('\0', "\u{fffd}").as_bytes());
        } else {
            self.plain(text.as_bytes());
        }
    }

    fn whole(&mut self, value: i64, kind: CatalogKind, is_binary: bool) {
        match (is_binary, size_of(kind)) {
            (false, _) => self.plain(value.to_string().as_bytes()),
            // The catalog's numbers fit their columns.
            (true, 2) => self.plain(&(value as i16).to_be_bytes()),
            (true, 4) => self.plain(&(value as i32).to_be_bytes()),
            (true, _) => self.plain(&value.to_be_bytes()),
        }
    }

    /// Adds a value of the catalog in a column of this kind.
    pub fn datum(&mut self, value: &Datum, kind: CatalogKind, format: Format) {
        let is_binary = format == Format::Binary;
        match (value, kind.element()) {
            (Datum::Null, _) => self.null(),
            (Datum::List(values), Some(element)) if is_binary => self.list(values, element),
            (Datum::Bool(value), _) if kind == CatalogKind::Bool => self.plain(bool_bytes(*value, is_binary)),
            (value, _) if kind == CatalogKind::Bool => {
                let is_true = value.truth().ok().flatten().unwrap_or(false);
                self.plain(bool_bytes(is_true, is_binary));
            }
            (value, _) if is_binary && matches!(kind, CatalogKind::Float4 | CatalogKind::Float8) => {
                let value: f64 = value.written().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
                match kind {
                    CatalogKind::Float4 => self.plain(&(value as f32).to_be_bytes()),
                    _ => self.plain(&value.to_be_bytes()),
                }
            }
            (value, _) if is_binary && oid_of(kind) != 25 && kind.is_whole() => match value.whole() {
                Ok(Some(number)) => self.whole(number, kind, true),
                _ => self.null(),
            },
            (Datum::Text(text), _) if is_binary && kind == CatalogKind::Timestamptz => match time_of(text) {
                Some(nanos) => self.plain(&nanos.div_euclid(1_000).saturating_sub(EPOCH_US).to_be_bytes()),
                None => self.null(),
            },
            (Datum::List(values), _) if matches!(kind, CatalogKind::Int2Vector | CatalogKind::OidVector) => {
                let parts: Vec<String> = values.iter().filter_map(Datum::written).collect();
                self.text(&parts.join(" "));
            }
            (value, _) => self.text(&value.written().unwrap_or_default()),
        }
    }

    /// A list in binary: dimensions, whether there are nulls, the type, the count, where it begins, the values.
    fn list(&mut self, values: &[Datum], element: CatalogKind) {
        let at = self.begin();
        self.row.put_i32(i32::from(!values.is_empty()));
        self.row.put_i32(i32::from(values.iter().any(Datum::is_null)));
        self.row.put_u32(oid_of(element));
        if !values.is_empty() {
            self.row.put_i32(i32::try_from(values.len()).unwrap_or(i32::MAX));
            self.row.put_i32(1);
        }
        let count = self.count;
        for value in values {
            self.datum(value, element, Format::Binary);
        }
        self.count = count;
        self.end(at);
    }
}

fn bool_bytes(value: bool, is_binary: bool) -> &'static [u8] {
    match (value, is_binary) {
        (true, true) => &[1],
        (false, true) => &[0],
        (true, false) => b"t",
        (false, false) => b"f",
    }
}

/// Year, month and day of a day counted from 1970-01-01 (proleptic Gregorian; Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_text(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A moment as PostgreSQL writes it in UTC.
pub fn time_text(nanos: i64) -> String {
    let micros = nanos.div_euclid(1_000);
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (days, of_day) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
    let mut text = format!("{} {:02}:{:02}:{:02}", date_text(days), of_day / 3_600, of_day / 60 % 60, of_day % 60);
    if micros != 0 {
        text.push_str(format!(".{micros:06}").trim_end_matches('0'));
    }
    text + "+00"
}

/// Reads a moment: a day, or a day and a time, with a zone or in UTC; nanoseconds since 1970.
pub fn time_of(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let days = days_of(year, month, day);
    if civil(days) != (year, month, day) {
        return None;
    }
    let midnight = days.checked_mul(DAY_S)?;
    let rest = rest.trim_start_matches(['T', 't', ' ']);
    if rest.is_empty() {
        return midnight.checked_mul(1_000_000_000);
    }
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let (clock, fraction) = clock.trim().split_once('.').unwrap_or((clock.trim(), ""));
    let mut parts = clock.split(':').map(|part| part.parse::<i64>().ok().filter(|number| (0..=60).contains(number)));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_some() || 24 < hour || 9 < fraction.len() || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    let offset = match zone.trim() {
        "" | "Z" | "z" => 0,
        zone => {
            let (sign, zone) =
                if let Some(zone) = zone.strip_prefix('-') { (-1, zone) } else { (1, zone.strip_prefix('+')?) };
            let digits: String = zone.chars().filter(|letter| *letter != ':').collect();
            if !matches!(digits.len(), 2 | 4) {
                return None;
            }
            let number: i64 = format!("{digits:0<4}").parse().ok()?;
            sign * (number / 100 * 3_600 + number % 100 * 60)
        }
    };
    let seconds = midnight.checked_add(hour * 3_600 + minute * 60 + second - offset)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// A parameter as the client sent it, in the type that was agreed.
///
/// # Errors
/// It is no such value.
pub fn parameter(bytes: &[u8], format: Format, kind: CatalogKind) -> Result<Datum, Problem> {
    let wrong = || Problem::new("22P03", "incorrect binary data format in bind parameter");
    if format == Format::Text || size_of(kind) < 0 && kind.element().is_none() && kind != CatalogKind::Bytea {
        let text = std::str::from_utf8(bytes)
            .map_err(|_no| Problem::new("22021", "invalid byte sequence for encoding \"UTF8\""))?;
        return Ok(Datum::text(text));
    }
    if kind.element().is_some() {
        return list_parameter(bytes).ok_or_else(wrong);
    }
    Ok(match kind {
        CatalogKind::Bool => Datum::Bool(*bytes.first().ok_or_else(wrong)? != 0),
        CatalogKind::Int2 => Datum::Int(i64::from(i16::from_be_bytes(bytes.try_into().map_err(|_no| wrong())?))),
        CatalogKind::Int4 => Datum::Int(i64::from(i32::from_be_bytes(bytes.try_into().map_err(|_no| wrong())?))),
        CatalogKind::Oid => Datum::Int(i64::from(u32::from_be_bytes(bytes.try_into().map_err(|_no| wrong())?))),
        CatalogKind::Int8 => Datum::Int(i64::from_be_bytes(bytes.try_into().map_err(|_no| wrong())?)),
        CatalogKind::Float4 => Datum::Float(f64::from(f32::from_be_bytes(bytes.try_into().map_err(|_no| wrong())?))),
        CatalogKind::Float8 => Datum::Float(f64::from_be_bytes(bytes.try_into().map_err(|_no| wrong())?)),
        CatalogKind::Timestamptz | CatalogKind::Timestamp => {
            let micros = i64::from_be_bytes(bytes.try_into().map_err(|_no| wrong())?);
            let nanos = micros.checked_add(EPOCH_US).and_then(|micros| micros.checked_mul(1_000));
            Datum::Text(time_text(nanos.ok_or_else(|| Problem::new("22008", "timestamp out of range"))?))
        }
        CatalogKind::Date => {
            let days = i32::from_be_bytes(bytes.try_into().map_err(|_no| wrong())?);
            Datum::Text(date_text(i64::from(days) + EPOCH_DAYS))
        }
        CatalogKind::Bytea => Datum::Text(format!("\\x{}", nhatle_event::json::hex(bytes))),
        _ => Datum::text(std::str::from_utf8(bytes).map_err(|_no| wrong())?),
    })
}

/// A list of one dimension in binary.
fn list_parameter(bytes: &[u8]) -> Option<Datum> {
    let word = |at: usize| Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if word(0)? == 0 {
        return Some(Datum::List(Vec::new()));
    }
    let kind = CatalogKind::from_oid(i64::from(word(8)?)).filter(|_| word(0) == Some(1))?;
    let mut values = Vec::new();
    let mut at = 20;
    for _ in 0..word(12)? {
        let length = word(at)?;
        at += 4;
        match usize::try_from(length) {
            Err(_null) => values.push(Datum::Null),
            Ok(length) => {
                values.push(parameter(bytes.get(at..at.checked_add(length)?)?, Format::Binary, kind).ok()?);
                at += length;
            }
        }
    }
    Some(Datum::List(values))
}

/// A value as a cell of what the engine wants.
///
/// # Errors
/// It is no such value.
pub fn cell_of(value: &Datum, kind: CatalogKind) -> Result<Cell<'static>, Problem> {
    let wrong = |text: &str| Problem::new("22007", format!("invalid input syntax for type timestamp: \"{text}\""));
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let text = value.written().unwrap_or_default();
    Ok(match kind {
        CatalogKind::Bool => value.truth()?.map_or(Cell::Null, Cell::Bool),
        kind if kind.is_whole() => value.whole()?.map_or(Cell::Null, Cell::Int),
        CatalogKind::Float4 | CatalogKind::Float8 => match value {
            Datum::Float(number) => Cell::Double(*number),
            _ => {
                let number = text.trim().parse();
                Cell::Double(number.map_err(|_no| {
                    Problem::new("22P02", format!("invalid input syntax for type double precision: \"{text}\""))
                })?)
            }
        },
        CatalogKind::Timestamptz | CatalogKind::Timestamp => Cell::Time(time_of(&text).ok_or_else(|| wrong(&text))?),
        CatalogKind::Date => {
            let nanos = time_of(&text).ok_or_else(|| wrong(&text))?;
            Cell::Date(i32::try_from(nanos.div_euclid(DAY_S * 1_000_000_000)).unwrap_or(i32::MAX))
        }
        CatalogKind::Bytea => Cell::Bytes(bytes_of(&text).into()),
        _ => Cell::text(text),
    })
}

fn bytes_of(text: &str) -> Vec<u8> {
    let Some(digits) = text.strip_prefix("\\x").filter(|digits| digits.is_ascii()) else {
        return text.as_bytes().to_vec();
    };
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map_while(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_back_what_is_written() {
        let rows = [
            (0, "1970-01-01 00:00:00+00"),
            (1_795_747_332_123_456_000, "2026-11-27 02:42:12.123456+00"),
            (-1_000, "1969-12-31 23:59:59.999999+00"),
            (951_782_400_000_000_000, "2000-02-29 00:00:00+00"),
        ];
        for (nanos, text) in rows {
            assert_eq!(time_text(nanos), text);
            assert_eq!(time_of(text), Some(nanos));
        }
        for (text, seconds) in [
            ("2026-11-27T09:42:12+07:00", 1_795_747_332),
            ("2026-11-27 02:42:12Z", 1_795_747_332),
            ("2026-11-27", 1_795_737_600),
            ("2026-11-26 21:42:12-0500", 1_795_747_332),
        ] {
            assert_eq!(time_of(text), Some(seconds * 1_000_000_000), "{text}");
        }
        for text in ["", "yesterday", "2026-02-30", "2026-11-27 99:00", "2026-11-27 02:42:12+7", "2026-11-27 02"] {
            assert_eq!(time_of(text), None, "{text}");
        }
        for days in [-800_000, -1, 0, 59, 60, 20_000, 2_000_000] {
            let (year, month, day) = civil(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }

    #[test]
    fn parameters_in_binary_are_those_in_text() {
        let rows: [(&[u8], CatalogKind, &str); 6] = [
            (&[0, 7], CatalogKind::Int2, "7"),
            (&[255, 255, 255, 254], CatalogKind::Int4, "-2"),
            (&[0, 0, 0, 0, 0, 0, 1, 0], CatalogKind::Int8, "256"),
            (&[1], CatalogKind::Bool, "t"),
            (b"ti\xe1\xba\xbfng", CatalogKind::Text, "tiếng"),
            (&[0; 8], CatalogKind::Timestamptz, "2000-01-01 00:00:00+00"),
        ];
        for (bytes, kind, text) in rows {
            let read = parameter(bytes, Format::Binary, kind).expect("is one");
            let cell = cell_of(&read, kind).expect("fits");
            assert_eq!(cell, cell_of(&Datum::text(text), kind).expect("fits"), "{kind:?}");
        }
        assert_eq!(parameter(&[1, 2, 3], Format::Binary, CatalogKind::Int4).expect_err("too short").code, "22P03");
        let mut list = BytesMut::new();
        for word in [1, 0, 25, 2, 1, 1] {
            list.put_i32(word);
        }
        list.put_slice(b"a");
        list.put_i32(-1);
        let read = parameter(&list, Format::Binary, CatalogKind::TextList).expect("is one");
        assert_eq!(read, Datum::List(vec![Datum::text("a"), Datum::Null]));
        // However it is cut, it is refused and nothing more.
        for length in 0..list.len() {
            drop(parameter(&list[..length], Format::Binary, CatalogKind::TextList));
        }
    }
}
