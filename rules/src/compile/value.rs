//! A value and its modifiers in, tests out. Modifiers work in the order written, each on what the one before left.
//!
//! What cannot be combined fails here, because each modifier takes only certain forms: `gt|contains` finds a
//! comparison where it needs text. Errors are reasons; the caller knows the place.
//!
//! Source: Sigma modifiers appendix 2.1.0; where it is silent, pySigma 2.0 (`docs/sigma.md`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use nhatle_event::compose::composed;

use super::dialect::to_crate;
use super::pattern::{self, Draft, Piece};
use super::predicate::{Comparison, Position, TimePart};
use crate::ast::{Modifier, ValueKind};
use crate::parse::modifier::word;

/// How long a regular expression may be, in bytes.
pub const REGEX_BYTES_MAX: usize = 8 * 1024;
/// How large a compiled regular expression may be, in bytes.
pub const REGEX_SIZE_MAX: usize = 4 * 1024 * 1024;
/// A regular expression that compiles to no more than this many bytes is small.
const REGEX_SMALL: usize = 128 * 1024;
/// What a regular expression costs that is not small; a small one costs 1.
const REGEX_COST: usize = 32;
/// How much the regular expressions of one rule may cost. Compiling them is the slowest thing a rule can ask for.
pub const REGEX_COST_MAX: usize = 2_048;
/// How many forms the placeholders of one value may come to (pySigma: 200).
pub const PLACEHOLDER_FORMS_MAX: usize = 10_000;

/// Value lists for placeholders, by name without the percent signs.
pub type Placeholders = BTreeMap<String, Vec<String>>;

/// A value while modifiers work on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    /// Text as written, untouched.
    Plain(String),
    /// Text with wildcards and escapes read.
    Text(Draft),
    /// A number, with its text.
    Number(f64, String),
    Null,
    Regex {
        pattern: String,
        flags: String,
        position: Position,
    },
    Cidr {
        network: IpAddr,
        prefix: u8,
    },
    Compare(Comparison, f64),
    TimePart(TimePart, Comparison, f64),
    FieldRef {
        name: String,
        position: Position,
    },
    Exists(bool),
}

impl Form {
    fn describe(&self) -> &'static str {
        match self {
            Form::Plain(_) | Form::Text(_) => "text",
            Form::Number(..) => "a number",
            Form::Null => "null",
            Form::Regex { .. } => "a regular expression",
            Form::Cidr { .. } => "a network",
            Form::Compare(..) => "a comparison",
            Form::TimePart(..) => "a part of a date",
            Form::FieldRef { .. } => "a reference to a field",
            Form::Exists(_) => "a question for presence",
        }
    }
}

/// The forms that a value takes; several are alternatives. Letters in parts are composed, as those of events are.
pub(crate) fn apply(
    value: &ValueKind,
    modifiers: &[Modifier],
    placeholders: &Placeholders,
) -> Result<Vec<Form>, String> {
    let mut forms = vec![match value {
        ValueKind::Text(text) => Form::Plain(composed(text).into_owned()),
        ValueKind::Number(number, text) => Form::Number(*number, text.clone()),
        ValueKind::Boolean(_) if modifiers.contains(&Modifier::Exists) => Form::Plain(String::new()),
        ValueKind::Boolean(boolean) => Form::Plain(boolean.to_string()),
        ValueKind::Null => Form::Null,
    }];
    for modifier in modifiers {
        let mut next = Vec::with_capacity(forms.len());
        for form in forms {
            next.extend(step(form, *modifier, value, placeholders)?);
        }
        forms = next;
    }
    Ok(forms)
}

fn step(form: Form, modifier: Modifier, value: &ValueKind, placeholders: &Placeholders) -> Result<Vec<Form>, String> {
    let one = match modifier {
        Modifier::All | Modifier::Neq => form,
        Modifier::Cased => match form {
            Form::Number(_, text) => Form::Plain(text),
            Form::Plain(_) | Form::Text(_) | Form::FieldRef { .. } => form,
            other => return Err(mismatch(modifier, &other)),
        },
        Modifier::Exists => match value {
            ValueKind::Boolean(expected) => Form::Exists(*expected),
            _ => return Err("`exists` needs true or false".into()),
        },
        Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith => positioned(form, modifier)?,
        Modifier::Re => regex(form)?,
        Modifier::IgnoreCase | Modifier::Multiline | Modifier::DotAll => flagged(form, modifier)?,
        Modifier::Base64 | Modifier::Utf16Le | Modifier::Utf16Be | Modifier::Utf16 => encoded(form, modifier)?,
        Modifier::Base64Offset => return base64_offset(form),
        Modifier::Windash => return windash(form),
        Modifier::Expand => return expand(form, placeholders),
        Modifier::Cidr => cidr(form)?,
        Modifier::Compare(comparison) => compare(form, comparison, modifier)?,
        Modifier::Minute | Modifier::Hour | Modifier::Day | Modifier::Week | Modifier::Month | Modifier::Year => {
            time_part(form, modifier)?
        }
        Modifier::FieldRef => match form {
            Form::Plain(name) if Draft::parse(&name).bytes().is_none() => {
                return Err("`fieldref` names one field; a wildcard cannot stand in the name".into());
            }
            Form::Plain(name) if !name.is_empty() => Form::FieldRef { name, position: Position::Whole },
            other => {
                return Err(format!(
                    "`fieldref` needs the plain name of a field, this is {}; write it first",
                    other.describe()
                ));
            }
        },
    };
    Ok(vec![one])
}

fn mismatch(modifier: Modifier, form: &Form) -> String {
    format!("`{}` cannot be applied to {}", word(modifier), form.describe())
}

/// The value as text with wildcards read.
fn draft(form: Form, modifier: Modifier) -> Result<Draft, String> {
    match form {
        Form::Plain(text) => Ok(Draft::parse(&text)),
        Form::Text(draft) => Ok(draft),
        Form::Number(_, text) => Ok(Draft::literal(&text)),
        other => Err(mismatch(modifier, &other)),
    }
}

fn positioned(form: Form, modifier: Modifier) -> Result<Form, String> {
    let position = match modifier {
        Modifier::StartsWith => Position::Start,
        Modifier::EndsWith => Position::End,
        _ => Position::Inside,
    };
    match form {
        Form::FieldRef { name, position: Position::Whole } => Ok(Form::FieldRef { name, position }),
        Form::Regex { pattern, flags, position: Position::Whole } => Ok(Form::Regex { pattern, flags, position }),
        other => {
            let mut draft = draft(other, modifier)?;
            if position != Position::Start {
                draft.open_start();
            }
            if position != Position::End {
                draft.open_end();
            }
            Ok(Form::Text(draft))
        }
    }
}

fn regex(form: Form) -> Result<Form, String> {
    let pattern = match form {
        Form::Plain(pattern) | Form::Number(_, pattern) => pattern,
        other => {
            return Err(format!("`re` needs the value as written, this is {}; write `re` first", other.describe()));
        }
    };
    Ok(Form::Regex { pattern, flags: String::new(), position: Position::Whole })
}

fn flagged(form: Form, modifier: Modifier) -> Result<Form, String> {
    let Form::Regex { pattern, mut flags, position } = form else { return Err(mismatch(modifier, &form)) };
    flags.push(match modifier {
        Modifier::IgnoreCase => 'i',
        Modifier::Multiline => 'm',
        _ => 's',
    });
    Ok(Form::Regex { pattern, flags, position })
}

/// The regular expression as the `regex` crate takes it, checked to compile within [`REGEX_SIZE_MAX`]. What it costs is
/// taken from `budget`.
pub(crate) fn finished_regex(
    pattern: &str,
    flags: &str,
    position: Position,
    budget: &mut usize,
) -> Result<String, String> {
    if REGEX_BYTES_MAX < pattern.len() {
        return Err(format!("the regular expression is longer than {REGEX_BYTES_MAX} bytes"));
    }
    let pattern = to_crate(pattern, flags.contains('m'));
    let body = match position {
        Position::Start => format!(r"\A(?:{pattern})"),
        Position::End => format!(r"(?:{pattern})\z"),
        Position::Whole | Position::Inside => pattern.into_owned(),
    };
    let full = if flags.is_empty() { body } else { format!("(?{flags}){body}") };
    let cost = if build_within(&full, REGEX_SMALL).is_ok() {
        1
    } else {
        build_regex(&full)?;
        REGEX_COST
    };
    *budget = budget
        .checked_sub(cost)
        .ok_or("the regular expressions of this rule are too many or too large; write `contains`, or several rules")?;
    Ok(full)
}

/// Compiles the pattern of a [`Test::Regex`](super::predicate::Test::Regex) with the size bound it was checked with.
/// An error is a reason in one line.
pub fn build_regex(pattern: &str) -> Result<regex::Regex, String> {
    build_within(pattern, REGEX_SIZE_MAX).map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the regular expression needs more than {limit} bytes; make its repetitions smaller")
        }
        other => {
            // The crate draws the pattern with a caret over several lines; its last line says what is wrong.
            let text = other.to_string();
            let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
            let reason = last.strip_prefix("error: ").unwrap_or(last);
            format!("the regular expression does not compile: {reason}")
        }
    })
}

fn build_within(pattern: &str, size_max: usize) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(pattern).size_limit(size_max).dfa_size_limit(REGEX_SIZE_MAX).nest_limit(100).build()
}

fn encoded(form: Form, modifier: Modifier) -> Result<Form, String> {
    let draft = draft(form, modifier)?;
    if modifier == Modifier::Base64 {
        let bytes = draft.bytes().ok_or_else(wildcard_in_base64)?;
        return Ok(Form::Text(Draft::literal(&pattern::base64(&bytes))));
    }
    let encode = match modifier {
        Modifier::Utf16Le => pattern::utf16le,
        Modifier::Utf16Be => pattern::utf16be,
        _ => pattern::utf16,
    };
    draft
        .encoded(encode)
        .map(Form::Text)
        .ok_or_else(|| format!("`{}` cannot be applied to bytes that are no text", word(modifier)))
}

fn wildcard_in_base64() -> String {
    r"a wildcard cannot stand in Base64; write `\*` or `\?` for the character, and `contains` after `base64`".into()
}

fn base64_offset(form: Form) -> Result<Vec<Form>, String> {
    let bytes = draft(form, Modifier::Base64Offset)?.bytes().ok_or_else(wildcard_in_base64)?;
    if bytes.len() < 2 {
        return Err("`base64offset` needs at least 2 bytes; of less, nothing certain is left at one offset".into());
    }
    Ok(pattern::base64_offsets(&bytes).iter().map(|text| Form::Text(Draft::literal(text))).collect())
}

fn windash(form: Form) -> Result<Vec<Form>, String> {
    if let Form::Number(..) = form {
        return Ok(vec![form]);
    }
    let draft = draft(form, Modifier::Windash)?;
    let forms = pattern::windash(&draft).ok_or_else(|| {
        format!(
            "`windash` varies at most {} dashes in one value; write shorter values with `all`",
            pattern::WINDASH_MAX
        )
    })?;
    Ok(forms.into_iter().map(Form::Text).collect())
}

/// Replaces `%name%` by the values of the list; `\%` is a percent sign.
fn expand(form: Form, placeholders: &Placeholders) -> Result<Vec<Form>, String> {
    let draft = draft(form, Modifier::Expand)?;
    let mut forms = vec![Vec::new()];
    for piece in draft.0 {
        let choices = match piece {
            Piece::Literal(bytes) => placeholder_parts(&bytes, placeholders)?,
            other => vec![vec![vec![other]]],
        };
        for choice in choices {
            if PLACEHOLDER_FORMS_MAX < forms.len() * choice.len() {
                return Err(format!("the placeholders come to more than {PLACEHOLDER_FORMS_MAX} values"));
            }
            forms = forms
                .iter()
                .flat_map(|form: &Vec<Piece>| choice.iter().map(|tail| [form.as_slice(), tail].concat()))
                .collect();
        }
    }
    Ok(forms.into_iter().map(|pieces| Form::Text(joined(pieces))).collect())
}

/// The parts of a literal in order: for each, the pieces it may be.
fn placeholder_parts(bytes: &[u8], placeholders: &Placeholders) -> Result<Vec<Vec<Vec<Piece>>>, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| "`expand` cannot be applied to bytes that are no text".to_owned())?;
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        if let Some(before) = rest[..at].strip_suffix('\\') {
            literal.push_str(before);
            literal.push('%');
            rest = &rest[at + 1..];
            continue;
        }
        literal.push_str(&rest[..at]);
        let name = rest[at + 1..]
            .split_once('%')
            .map(|(name, _)| name)
            .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')));
        let Some(name) = name else {
            literal.push('%');
            rest = &rest[at + 1..];
            continue;
        };
        let values = placeholders.get(name).filter(|values| !values.is_empty()).ok_or_else(|| {
            format!("the placeholder %{name}% has no values; give it a value list in the configuration, or write the values out")
        })?;
        parts.push(vec![Draft::literal(&std::mem::take(&mut literal)).0]);
        parts.push(values.iter().map(|value| Draft::parse(&composed(value)).0).collect());
        rest = &rest[at + name.len() + 2..];
    }
    literal.push_str(rest);
    parts.push(vec![Draft::literal(&literal).0]);
    Ok(parts)
}

/// Neighboring literals as one.
fn joined(pieces: Vec<Piece>) -> Draft {
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Literal(last)), Piece::Literal(next)) => last.extend_from_slice(&next),
            (Some(Piece::Many), Piece::Many) => {}
            (_, piece) => joined.push(piece),
        }
    }
    Draft(joined)
}

fn cidr(form: Form) -> Result<Form, String> {
    let text = match &form {
        Form::Plain(text) => text.clone(),
        Form::Text(draft) => draft
            .bytes()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| mismatch(Modifier::Cidr, &form))?,
        other => return Err(mismatch(Modifier::Cidr, other)),
    };
    let wrong = |why: &str| format!("`{text}` is not a network{why}; write for example 10.0.0.0/8 or 2001:db8::/32");
    let (address, prefix) =
        text.split_once('/').map_or((text.as_str(), None), |(address, prefix)| (address, Some(prefix)));
    let network: IpAddr = address.parse().map_err(|_| wrong(""))?;
    let bits: u8 = if network.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(|| wrong(", its prefix is too long"))?
        }
        Some(_) => return Err(wrong("")),
    };
    let host_bits = match network {
        IpAddr::V4(address) => u128::from(u32::from(address)) & low_bits(32 - prefix),
        IpAddr::V6(address) => u128::from(address) & low_bits(128 - prefix),
    };
    if host_bits != 0 {
        return Err(wrong(": its address has bits after the prefix"));
    }
    Ok(Form::Cidr { network, prefix })
}

fn low_bits(count: u8) -> u128 {
    if 128 <= count { u128::MAX } else { (1_u128 << count) - 1 }
}

fn number(form: &Form, modifier: Modifier) -> Result<f64, String> {
    let number = match form {
        Form::Number(number, _) => Some(*number),
        Form::Plain(text) => crate::yaml::number(text),
        _ => None,
    };
    number.ok_or_else(|| format!("`{}` needs a number", word(modifier)))
}

fn compare(form: Form, comparison: Comparison, modifier: Modifier) -> Result<Form, String> {
    match form {
        Form::TimePart(part, Comparison::Equal, number) => Ok(Form::TimePart(part, comparison, number)),
        Form::TimePart(..) | Form::Compare(..) => {
            Err(format!("`{}` contradicts the comparison before it", word(modifier)))
        }
        other => number(&other, modifier).map(|number| Form::Compare(comparison, number)),
    }
}

fn time_part(form: Form, modifier: Modifier) -> Result<Form, String> {
    let part = match modifier {
        Modifier::Minute => TimePart::Minute,
        Modifier::Hour => TimePart::Hour,
        Modifier::Day => TimePart::Day,
        Modifier::Week => TimePart::Week,
        Modifier::Month => TimePart::Month,
        _ => TimePart::Year,
    };
    match form {
        Form::Compare(comparison, number) => Ok(Form::TimePart(part, comparison, number)),
        other => number(&other, modifier).map(|number| Form::TimePart(part, Comparison::Equal, number)),
    }
}
