//! What was probably meant by a query that found nothing: a field nobody knows, keys typed while the input method was
//! off. In: a query line. Out: [`Hint`]s with their place. Promise: a hint is a proposal, the query itself is never
//! changed; every hint's line can be searched for.

use nhatle_event::field::TABLE;
use unicode_normalization::UnicodeNormalization;

use super::filter::{Filter, Test, is_own};
use super::parse;
use super::telex;
use crate::segment::words::name_key;

/// How many hints one line gets.
pub const HINTS_MAX: usize = 4;

/// What was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Where what is meant begins in the line, in bytes.
    pub offset: usize,
    /// How many bytes it is.
    pub length: usize,
    /// What it should probably be.
    pub meant: String,
    /// The whole line with it.
    pub line: String,
    /// What is proposed.
    pub kind: HintKind,
}

/// What a hint proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintKind {
    /// The name of a field.
    Field,
    /// Vietnamese that was typed in keys.
    Keys,
}

/// What was probably meant by a line of the language that found nothing.
pub fn hints(line: &str) -> Vec<Hint> {
    let Ok(filter) = parse(line) else { return Vec::new() };
    let mut found = Vec::new();
    fields(&filter, line, &mut found);
    if let Some(meant) = keys(&filter, line)
        && parse(&meant).is_ok()
    {
        found.push(Hint { offset: 0, length: line.len(), meant: meant.clone(), line: meant, kind: HintKind::Keys });
    }
    found.truncate(HINTS_MAX);
    found
}

/// The closest known field of a name nobody knows; `None` where it is known, or nothing is close.
pub fn closest(name: &str) -> Option<&'static str> {
    let key = name_key(name).into_owned();
    let is_known = |known: &&str| name_key(known) == key;
    let aliases =
        || TABLE.iter().flat_map(|known| known.sigma.iter()).filter_map(|alias| Some(alias.split_once(':')?.1));
    let names = || TABLE.iter().map(|known| known.name);
    if is_own(&key) || names().any(|one| is_known(&one)) || aliases().any(|one| is_known(&one)) {
        return None;
    }
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let bound = (key.chars().count() / 4).clamp(1, 3);
    let near = |one: &'static str| Some((distance(&key, &name_key(one)), one)).filter(|(far, _)| *far <= bound);
    let nearest = names().chain(aliases()).filter_map(near).min();
    // A name without its family, `ip` or `username`, is near to nothing by letters.
    let joint = || names().find(|one| one.replace(['.', '_'], "") == key.replace(['.', '_', '-'], ""));
    let tail = || names().filter(|one| !key.contains('.') && last(one) == key).min_by_key(|one| one.len());
    nearest.map(|(_, one)| one).or_else(joint).or_else(tail)
}

fn fields(filter: &Filter, line: &str, found: &mut Vec<Hint>) {
    match filter {
        Filter::Field(name, _) => {
            let (Some(meant), Some(offset)) = (closest(&name.written), name.offset) else { return };
            let length = name.written.len();
            // A quoted or escaped name is not as it stands in the line.
            if line.get(offset..offset + length) != Some(name.written.as_str()) {
                return;
            }
            let whole = format!("{}{meant}{}", &line[..offset], &line[offset + length..]);
            if !found.iter().any(|hint| hint.offset == offset) {
                let meant = meant.to_owned();
                found.push(Hint { offset, length, meant, line: whole, kind: HintKind::Field });
            }
        }
        Filter::Not(inner) => fields(inner, line, found),
        Filter::And(filters) | Filter::Or(filters) => filters.iter().for_each(|one| fields(one, line, found)),
        Filter::All | Filter::Phrase(_) | Filter::Wildcard(_) => {}
    }
}

/// The line with its words as they were meant, where it has nothing but bare words and values of running text.
fn keys(filter: &Filter, line: &str) -> Option<String> {
    let is_plain = |one: &Filter| matches!(one, Filter::Phrase(_) | Filter::Field(_, Test::Is(_)));
    let all = match filter {
        Filter::And(filters) => filters.iter().all(is_plain),
        other => is_plain(other),
    };
    if !all {
        return None;
    }
    // Quotes and a field's name stay where they are.
    let mut meant = String::new();
    let (mut is_changed, mut has_letter, mut is_every) = (false, false, true);
    for piece in line.split_inclusive([' ', '"', ':']) {
        let word = piece.trim_end_matches([' ', '"', ':']);
        match telex::syllable(word).filter(|_| !piece.ends_with(':')) {
            Some(changed) => {
                is_changed = true;
                has_letter |= crate::segment::words::has_marks(&word_of_letters(&changed));
                meant.push_str(&changed);
                meant.push_str(&piece[word.len()..]);
            }
            None => {
                is_every &= word.is_empty() || piece.ends_with(':');
                meant.push_str(piece);
            }
        }
    }
    // A tone alone may be chance (`her`); a letter that only Vietnamese has, or a whole line of syllables, is not.
    (is_changed && (has_letter || is_every)).then_some(meant)
}

/// The word without its tone: what is left has a mark only where a letter is one of Vietnamese.
fn word_of_letters(word: &str) -> String {
    let is_tone = |letter: &char| matches!(letter, '\u{300}' | '\u{301}' | '\u{303}' | '\u{309}' | '\u{323}');
    word.nfd().filter(|letter| !is_tone(letter)).collect()
}

/// How many letters must be added, taken away, changed or swapped with their neighbor (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut now = vec![row + 1];
        for (column, wanted) in other.iter().enumerate() {
            let change = last[column] + usize::from(letter != wanted);
            let mut least = change.min(last[column + 1] + 1).min(now[column] + 1);
            if row > 0 && column > 0 && *letter == other[column - 1] && one[row - 1] == *wanted {
                least = least.min(before[column - 1] + 1);
            }
            now.push(least);
        }
        before = std::mem::replace(&mut last, now);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_nobody_knows_gets_the_closest_one() {
        for (written, meant) in [
            ("user.nmae", Some("user.name")),
            ("usr.name", Some("user.name")),
            ("source.ipp", Some("source.ip")),
            ("http.respnse.status_code", Some("http.response.status_code")),
            ("user.name", None),
            ("USER.NAME", None),
            ("EventID", None),
            ("nhatle.id", None),
            ("something.of.a.vendor", None),
        ] {
            assert_eq!(closest(written), meant, "{written}");
        }
    }

    #[test]
    fn hints_stand_where_the_name_stands() {
        let line = "sshd AND NOT user.nmae:root";
        let found = hints(line);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].offset, found[0].length), (13, 9));
        assert_eq!(found[0].line, "sshd AND NOT user.name:root");
        assert_eq!(hints("user.name:root"), Vec::new());
        assert_eq!(hints("(broken"), Vec::new());
    }

    #[test]
    fn keys_typed_without_the_input_method_are_proposed() {
        let found = hints("\"ddoongf hoiws\"");
        assert_eq!(found.first().map(|hint| hint.line.as_str()), Some("\"đồng hới\""));
        assert_eq!(hints("message:ddoongf").first().map(|hint| hint.line.as_str()), Some("message:đồng"));
        assert_eq!(hints("failed password"), Vec::new());
    }
}
