//! `Datum` and `Kind`: values of the catalog's tables, and what PostgreSQL calls their types.
//!
//! In: values. Out: comparison, casts, text as PostgreSQL writes it. Failure: [`Problem`] with SQLSTATE 22P02 for text that is
//! no such value.

use std::cmp::Ordering;

use super::{Problem, types};

/// A type, as clients are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `bool`
    Bool,
    /// `"char"`
    Char,
    /// `name`
    Name,
    /// `int2`
    Int2,
    /// `int4`
    Int4,
    /// `int8`
    Int8,
    /// `oid`
    Oid,
    /// `float4`
    Float4,
    /// `float8`
    Float8,
    /// `text`
    Text,
    /// `varchar`, of `information_schema`
    Varchar,
    /// `bytea`
    Bytea,
    /// `timestamptz`
    Timestamptz,
    /// `timestamp`
    Timestamp,
    /// `date`
    Date,
    /// `json`
    Json,
    /// `regclass`
    Regclass,
    /// `regtype`
    Regtype,
    /// `regproc`
    Regproc,
    /// `int2vector`
    Int2Vector,
    /// `oidvector`
    OidVector,
    /// `int2[]`
    Int2List,
    /// `int4[]`
    Int4List,
    /// `int8[]`
    Int8List,
    /// `oid[]`
    OidList,
    /// `text[]`
    TextList,
    /// `name[]`
    NameList,
    /// `"char"[]`
    CharList,
}

impl Kind {
    /// Whether its values are whole numbers.
    pub fn is_whole(self) -> bool {
        matches!(
            self,
            Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid | Kind::Regclass | Kind::Regtype | Kind::Regproc
        )
    }

    /// The kind of a list's values.
    pub fn element(self) -> Option<Kind> {
        Some(match self {
            Kind::Int2Vector | Kind::Int2List => Kind::Int2,
            Kind::OidVector | Kind::OidList => Kind::Oid,
            Kind::Int4List => Kind::Int4,
            Kind::Int8List => Kind::Int8,
            Kind::TextList => Kind::Text,
            Kind::NameList => Kind::Name,
            Kind::CharList => Kind::Char,
            _ => return None,
        })
    }

    /// The kind of a list of these.
    pub fn list(self) -> Kind {
        match self {
            Kind::Int2 => Kind::Int2List,
            Kind::Int4 => Kind::Int4List,
            Kind::Int8 => Kind::Int8List,
            Kind::Oid | Kind::Regclass | Kind::Regtype | Kind::Regproc => Kind::OidList,
            Kind::Name => Kind::NameList,
            Kind::Char => Kind::CharList,
            _ => Kind::TextList,
        }
    }

    /// The type's OID.
    pub fn oid(self) -> i64 {
        types::oid_of(self)
    }

    /// The kind of this OID.
    pub fn from_oid(oid: i64) -> Option<Kind> {
        types::kind_of(oid)
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number, an OID too.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Datum>),
}

impl Datum {
    /// Text.
    pub fn text(text: impl Into<String>) -> Datum {
        Datum::Text(text.into())
    }

    /// Whether it is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// Its truth; `None` = unknown.
    pub fn truth(&self) -> Result<Option<bool>, Problem> {
        match self {
            Datum::Null => Ok(None),
            Datum::Bool(value) => Ok(Some(*value)),
            Datum::Int(value) => Ok(Some(*value != 0)),
            Datum::Text(text) => bool_of(text).map(Some).ok_or_else(|| no_such("boolean", text)),
            _ => Err(Problem::new("42804", "the argument must be of type boolean")),
        }
    }

    /// As a whole number.
    pub fn whole(&self) -> Result<Option<i64>, Problem> {
        match self {
            Datum::Null => Ok(None),
            Datum::Bool(value) => Ok(Some(i64::from(*value))),
            Datum::Int(value) => Ok(Some(*value)),
            // Beyond its range a float saturates, which is as far as it can be wrong here.
            Datum::Float(value) => Ok(Some(value.round() as i64)),
            Datum::Text(text) => text.trim().parse().map(Some).map_err(|_no| no_such("integer", text)),
            Datum::List(_) => Err(Problem::new("42804", "a list is no number")),
        }
    }

    /// As text, as PostgreSQL writes it.
    pub fn written(&self) -> Option<String> {
        Some(match self {
            Datum::Null => return None,
            Datum::Bool(value) => if *value { "t" } else { "f" }.to_owned(),
            Datum::Int(value) => value.to_string(),
            Datum::Float(value) => float_text(*value),
            Datum::Text(text) => text.clone(),
            Datum::List(values) => {
                let parts: Vec<String> = values.iter().map(element_text).collect();
                format!("{{{}}}", parts.join(","))
            }
        })
    }
}

/// A float as PostgreSQL writes it (`extra_float_digits` 1).
pub fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if 0.0 < value { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if value != 0.0 && !(1e-5..1e15).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{value}")
}

fn element_text(value: &Datum) -> String {
    let Some(text) = value.written() else { return "NULL".to_owned() };
    if matches!(value, Datum::List(_)) {
        return text;
    }
    let is_plain = !text.is_empty()
        && !text.eq_ignore_ascii_case("null")
        && !text.contains(|letter: char| matches!(letter, '{' | '}' | ',' | '"' | '\\') || letter.is_whitespace());
    if is_plain { text } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}

/// Reads `{a,"b c",NULL}`.
pub fn list_of(text: &str) -> Result<Vec<Datum>, Problem> {
    let wrong = || Problem::new("22P02", format!("malformed array literal: \"{text}\""));
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(wrong)?;
    let mut values = Vec::new();
    let mut letters = inner.chars().peekable();
    if inner.trim().is_empty() {
        return Ok(values);
    }
    loop {
        let mut part = String::new();
        let mut is_quoted = false;
        loop {
            match letters.next() {
                Some('"') => {
                    is_quoted = true;
                    loop {
                        match letters.next() {
                            Some('"') => break,
                            Some('\\') => part.push(letters.next().ok_or_else(wrong)?),
                            Some(letter) => part.push(letter),
                            None => return Err(wrong()),
                        }
                    }
                }
                Some('\\') => part.push(letters.next().ok_or_else(wrong)?),
                Some('{' | '}') => return Err(wrong()),
                Some(',') => break,
                Some(letter) => part.push(letter),
                None => {
                    values.push(element(part, is_quoted));
                    return Ok(values);
                }
            }
        }
        values.push(element(part, is_quoted));
    }
}

fn element(part: String, is_quoted: bool) -> Datum {
    match is_quoted {
        false if part.trim().eq_ignore_ascii_case("null") => Datum::Null,
        false => Datum::Text(part.trim().to_owned()),
        true => Datum::Text(part),
    }
}

fn bool_of(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn no_such(kind: &str, text: &str) -> Problem {
    let shown: String = text.chars().take(64).collect();
    Problem::new("22P02", format!("invalid input syntax for type {kind}: \"{shown}\""))
}

/// How two values stand to each other; `None` = unknown, because one is no value.
pub(super) fn compare(left: &Datum, right: &Datum) -> Result<Option<Ordering>, Problem> {
    Ok(Some(match (left, right) {
        (Datum::Null, _) | (_, Datum::Null) => return Ok(None),
        (Datum::Int(left), Datum::Int(right)) => left.cmp(right),
        (Datum::Text(left), Datum::Text(right)) => left.cmp(right),
        (Datum::Bool(left), Datum::Bool(right)) => left.cmp(right),
        (Datum::List(left), Datum::List(right)) => {
            for (left, right) in left.iter().zip(right) {
                match compare(left, right)? {
                    Some(Ordering::Equal) => {}
                    other => return Ok(other),
                }
            }
            left.len().cmp(&right.len())
        }
        (Datum::List(left), Datum::Text(right)) => {
            return compare(&Datum::List(left.clone()), &Datum::List(list_of(right)?));
        }
        (Datum::Text(left), Datum::List(right)) => {
            return compare(&Datum::List(list_of(left)?), &Datum::List(right.clone()));
        }
        (Datum::Bool(_), _) | (_, Datum::Bool(_)) => left.truth()?.cmp(&right.truth()?),
        (Datum::Float(_), _) | (_, Datum::Float(_)) => {
            let (left, right) = (float(left)?, float(right)?);
            left.total_cmp(&right)
        }
        _ => left.whole()?.cmp(&right.whole()?),
    }))
}

/// The order of `ORDER BY`: no value comes last.
pub(super) fn order(left: &Datum, right: &Datum) -> Ordering {
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        // What cannot be compared keeps its place.
        _ => compare(left, right).ok().flatten().unwrap_or(Ordering::Equal),
    }
}

/// As a number.
pub(super) fn float(value: &Datum) -> Result<f64, Problem> {
    match value {
        Datum::Float(value) => Ok(*value),
        Datum::Int(value) => Ok(*value as f64),
        Datum::Text(text) => text.trim().parse().map_err(|_no| no_such("double precision", text)),
        _ => Err(Problem::new("42804", "a value is no number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_back_what_was_written() {
        let rows = [
            vec![],
            vec![Datum::text("a"), Datum::Null, Datum::text("NULL"), Datum::text("")],
            vec![Datum::text("a b"), Datum::text("q\"\\,{}")],
        ];
        for list in rows {
            let text = Datum::List(list.clone()).written().expect("text");
            assert_eq!(list_of(&text).expect(&text), list, "{text}");
        }
        assert!(list_of("{a,{b}}").is_err() && list_of("a").is_err() && list_of("{\"a").is_err());
    }

    #[test]
    fn floats_are_written_as_postgresql_does() {
        let rows = [
            (0.0, "0"),
            (1.5, "1.5"),
            (-2.0, "-2"),
            (1e15, "1e+15"),
            (1e14, "100000000000000"),
            (1e-7, "1e-07"),
            (123_456.789, "123456.789"),
            (f64::INFINITY, "Infinity"),
        ];
        for (value, text) in rows {
            assert_eq!(float_text(value), text);
        }
    }

    #[test]
    fn unlike_values_are_compared_by_what_they_mean() {
        let equal = |left: Datum, right: Datum| compare(&left, &right).expect("comparable") == Some(Ordering::Equal);
        assert!(equal(Datum::Int(16_384), Datum::text("16384")));
        assert!(equal(Datum::Bool(true), Datum::text("t")));
        assert!(equal(Datum::Float(1.0), Datum::Int(1)));
        assert_eq!(compare(&Datum::Null, &Datum::Int(1)), Ok(None));
        assert_eq!(compare(&Datum::Int(1), &Datum::text("x")).expect_err("is no number").code, "22P02");
    }
}
