//! `field|contains|all`: the modifiers of a field name, and which of them contradict each other.
//!
//! What a modifier does to a value, in the order written, is `compile::value`; here only what can be
//! said without the values. Source: Sigma modifiers appendix 2.1.0, pySigma 2.0 where noted.

use crate::ast::Modifier;
use crate::compile::predicate::Comparison;
use crate::nearest::did_you_mean;

/// How many modifiers one item may have.
pub(crate) const MODIFIERS_MAX: usize = 8;

/// Every modifier with the words for it, the specification's first.
const WORDS: &[(&str, Modifier)] = &[
    ("contains", Modifier::Contains),
    ("startswith", Modifier::StartsWith),
    ("endswith", Modifier::EndsWith),
    ("all", Modifier::All),
    ("exists", Modifier::Exists),
    ("cased", Modifier::Cased),
    ("neq", Modifier::Neq),
    ("windash", Modifier::Windash),
    ("re", Modifier::Re),
    ("i", Modifier::IgnoreCase),
    ("ignorecase", Modifier::IgnoreCase),
    ("m", Modifier::Multiline),
    ("multiline", Modifier::Multiline),
    ("s", Modifier::DotAll),
    ("dotall", Modifier::DotAll),
    ("base64", Modifier::Base64),
    ("base64offset", Modifier::Base64Offset),
    ("utf16le", Modifier::Utf16Le),
    ("wide", Modifier::Utf16Le),
    ("utf16be", Modifier::Utf16Be),
    ("utf16", Modifier::Utf16),
    ("lt", Modifier::Compare(Comparison::Less)),
    ("lte", Modifier::Compare(Comparison::LessOrEqual)),
    ("gt", Modifier::Compare(Comparison::Greater)),
    ("gte", Modifier::Compare(Comparison::GreaterOrEqual)),
    ("minute", Modifier::Minute),
    ("hour", Modifier::Hour),
    ("day", Modifier::Day),
    ("week", Modifier::Week),
    ("month", Modifier::Month),
    ("year", Modifier::Year),
    ("cidr", Modifier::Cidr),
    ("expand", Modifier::Expand),
    ("fieldref", Modifier::FieldRef),
];

/// Splits a key of a map into the field (`None` for keywords) and its modifiers. An error is a reason.
pub(crate) fn parse(key: &str) -> Result<(Option<&str>, Vec<Modifier>), String> {
    let mut parts = key.split('|');
    let field = parts.next().filter(|field| !field.trim().is_empty());
    let mut modifiers = Vec::new();
    for word in parts {
        let modifier = WORDS.iter().find(|(known, _)| *known == word).map(|(_, modifier)| *modifier);
        let modifier = modifier.ok_or_else(|| unknown(word))?;
        if modifiers.contains(&modifier) {
            return Err(format!("the modifier `{word}` stands there twice"));
        }
        modifiers.push(modifier);
    }
    if MODIFIERS_MAX < modifiers.len() {
        return Err(format!("more than {MODIFIERS_MAX} modifiers on one field"));
    }
    check(field, &modifiers)?;
    Ok((field, modifiers))
}

/// The words of a modifier, for messages.
pub(crate) fn word(modifier: Modifier) -> &'static str {
    WORDS.iter().find(|(_, known)| *known == modifier).map_or("?", |(word, _)| word)
}

fn unknown(word: &str) -> String {
    let shown: String = word.chars().take(40).collect();
    let lower = word.trim().to_ascii_lowercase();
    if WORDS.iter().any(|(known, _)| *known == lower) {
        return format!("unknown modifier `{shown}`; write `{lower}`");
    }
    format!("unknown modifier `{shown}`{}", did_you_mean(&lower, WORDS.iter().map(|(known, _)| *known)))
}

fn is_flag(modifier: Modifier) -> bool {
    matches!(modifier, Modifier::IgnoreCase | Modifier::Multiline | Modifier::DotAll)
}

/// Combinations that cannot mean anything, whatever the values are.
fn check(field: Option<&str>, modifiers: &[Modifier]) -> Result<(), String> {
    let has = |modifier| modifiers.contains(&modifier);
    let alone = |modifier| has(modifier) && 1 < modifiers.len();
    let is_positional =
        |modifier: &Modifier| matches!(modifier, Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith);
    let re_place = modifiers.iter().position(|modifier| *modifier == Modifier::Re);
    for (place, modifier) in modifiers.iter().enumerate() {
        if is_flag(*modifier) && re_place.is_none_or(|re_place| place < re_place) {
            return Err(format!(
                "`{}` is a flag of a regular expression; write `re|{}`",
                word(*modifier),
                word(*modifier)
            ));
        }
    }
    if alone(Modifier::Exists) {
        return Err("`exists` stands alone: it only asks whether the field is there".into());
    }
    if 1 < modifiers.iter().filter(|modifier| is_positional(modifier)).count() {
        return Err(
            "`contains`, `startswith` and `endswith` contradict each other; write one of them, or wildcards".into()
        );
    }
    if re_place.is_some() && has(Modifier::Cased) {
        return Err("`re` is case-sensitive already; leave out `cased` (or write `re|i`)".into());
    }
    if has(Modifier::Cidr) && has(Modifier::Cased) {
        return Err("an address has no case; leave out `cased`".into());
    }
    if field.is_none() {
        let needs_field = |modifier: &&Modifier| {
            matches!(
                modifier,
                Modifier::Exists
                    | Modifier::FieldRef
                    | Modifier::Compare(_)
                    | Modifier::Minute
                    | Modifier::Hour
                    | Modifier::Day
                    | Modifier::Week
                    | Modifier::Month
                    | Modifier::Year
            )
        };
        if let Some(modifier) = modifiers.iter().find(needs_field) {
            return Err(format!("`{}` needs a field name before it", word(*modifier)));
        }
    }
    Ok(())
}
