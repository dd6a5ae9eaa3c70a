//! Literals that must stand in a text for a pattern or a regular expression to match: what the automata
//! look for so that the test itself runs only where it can hold.
//!
//! In: a pattern, or an expression in `regex` syntax. Out: folded literals; where there is none worth
//! looking for, nothing. Never a false promise: folding is character by character, so a text that contains
//! a literal contains it folded when both are folded.

use nhatle_rules::fold::{fold, fold_char};
use nhatle_rules::predicate::{Part, Pattern};
use regex_syntax::hir::{Class, Hir, HirKind};

/// How many alternatives are looked for at most; past it the expression runs on every value.
const ALTERNATIVES_MAX: usize = 64;
/// Shorter literals stand in nearly every text.
const LITERAL_BYTES_MIN: usize = 2;
/// How large a class may be to be seen as one letter in its cases.
const CASES_MAX: usize = 4;

/// The longest literal of a pattern, folded.
pub fn longest_literal(pattern: &Pattern) -> Option<String> {
    let literals = pattern.parts.iter().filter_map(|part| match part {
        Part::Literal(literal) => Some(literal),
        Part::Many | Part::One => None,
    });
    literals.max_by_key(|literal| literal.len()).map(|literal| String::from(fold(literal)))
}

/// Folded literals of which at least one stands in every text the expression matches.
pub fn required_literals(expression: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::Parser::new().parse(expression).ok()?;
    required(&hir).filter(|literals| literals.iter().all(|literal| LITERAL_BYTES_MIN <= literal.len()))
}

fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min >= 1 => required(&repetition.sub),
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(required(branch)?);
                if ALTERNATIVES_MAX < all.len() {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Concat(parts) => best_of_concat(parts),
        _ => single(hir).map(|literal| vec![literal]),
    }
}

/// Of the runs of literals and of the parts, the one whose shortest alternative is longest.
fn best_of_concat(parts: &[Hir]) -> Option<Vec<String>> {
    let mut choices: Vec<Vec<String>> = Vec::new();
    let mut run = String::new();
    for part in parts {
        match single(part) {
            Some(literal) => run.push_str(&literal),
            None => {
                choices.push(vec![std::mem::take(&mut run)]);
                choices.extend(required(part));
            }
        }
    }
    choices.push(vec![run]);
    choices.into_iter().max_by_key(|choice| choice.iter().map(String::len).min().unwrap_or(0))
}

/// The one folded text an expression stands for, if it is one.
fn single(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(|text| String::from(fold(text))),
        HirKind::Class(Class::Unicode(class)) => {
            let mut letters = class.iter().flat_map(|range| range.start()..=range.end()).take(CASES_MAX + 1);
            let first = fold_char(letters.next()?);
            let mut count = 1;
            let same = letters.all(|letter| {
                count += 1;
                fold_char(letter) == first
            });
            (same && count <= CASES_MAX).then(|| first.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: Option<&[&str]>) {
        let expected = expected.map(|list| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(required_literals(expression), expected, "{expression}");
    }

    #[test]
    fn what_must_stand_in_every_match_is_found() {
        check("abc", Some(&["abc"]));
        check("(?i)ABC", Some(&["abc"]));
        check(r"x+longer\s+y", Some(&["longer"]));
        check("(foo|bar)+", Some(&["foo", "bar"]));
        check("a(b|c)*d.*needle", Some(&["needle"]));
        check("a*", None);
        check("(foo|.)", None);
        check("[a-z]{3}", None);
        check("(?i)Đăng", Some(&["đăng"]));
    }
}
