//! Simple case folding: the one place that says which letters are the same.
//!
//! Rules fold their literals and the engine folds the values it compares, both with [`fold`]; a second
//! implementation anywhere would lose matches. Folding is character by character (Unicode `C` and `S`
//! mappings), so it never changes the number of characters: `ß` stays, `İ` stays. Total; cannot fail.
//!
//! Source: Unicode 16 CaseFolding.txt; checked against `regex`'s own tables in the tests below.

use std::borrow::Cow;

/// The folded form of a character.
pub fn fold_char(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    match character {
        'µ' => 'μ',
        'ſ' => 's',
        'ς' => 'σ',
        '\u{345}' | '\u{1fbe}' => 'ι',
        'ϐ' => 'β',
        'ϑ' => 'θ',
        'ϕ' => 'φ',
        'ϖ' => 'π',
        'ϰ' => 'κ',
        'ϱ' => 'ρ',
        'ϵ' => 'ε',
        'ẛ' => 'ṡ',
        // Cyrillic letters of old print.
        '\u{1c80}' => 'в',
        '\u{1c81}' => 'д',
        '\u{1c82}' => 'о',
        '\u{1c83}' => 'с',
        '\u{1c84}' | '\u{1c85}' => 'т',
        '\u{1c86}' => 'ъ',
        '\u{1c87}' => 'ѣ',
        '\u{1c88}' => '\u{a64b}',
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        // Cherokee folds to its capitals (Unicode 8).
        '\u{13a0}'..='\u{13f5}' => character,
        '\u{13f8}'..='\u{13fd}' => shifted(character, 0x13f8, 0x13f0),
        '\u{ab70}'..='\u{abbf}' => shifted(character, 0xab70, 0x13a0),
        _ => {
            let mut lower = character.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(only), None) => only,
                // `İ` alone has a mapping of two characters; simple folding leaves it.
                _ => character,
            }
        }
    }
}

fn shifted(character: char, from: u32, to: u32) -> char {
    char::from_u32(u32::from(character) - from + to).unwrap_or(character)
}

/// The folded form of a text; borrowed where nothing changes.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    match text.char_indices().find(|(_, character)| fold_char(*character) != *character) {
        None => Cow::Borrowed(text),
        Some((start, _)) => {
            let mut folded = String::with_capacity(text.len());
            folded.push_str(&text[..start]);
            folded.extend(text[start..].chars().map(fold_char));
            Cow::Owned(folded)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_two_cases_fold_to_one() {
        let rows = [
            ("WhoAmI", "whoami"),
            ("ĐĂNG NHẬP Ổ CỨNG", "đăng nhập ổ cứng"),
            ("Straße", "straße"),
            ("STRASSE", "strasse"),
            ("ΣΊΣΥΦΟΣ σίσυφος", "σίσυφοσ σίσυφοσ"),
            ("İ", "İ"),
            ("K", "k"),
            ("ſ", "s"),
            ("ẞ", "ß"),
            ("Ꭰꭰ", "ᎠᎠ"),
        ];
        for (text, expected) in rows {
            assert_eq!(fold(text), expected, "{text}");
            assert_eq!(fold(&fold(text)), expected, "folding twice is folding once: {text}");
        }
    }

    #[test]
    fn what_is_folded_already_is_borrowed() {
        assert!(matches!(fold("c:\\windows\\cmd.exe"), Cow::Borrowed(_)));
        assert!(matches!(fold("mật khẩu"), Cow::Borrowed(_)));
    }

    /// Every character that has any case mapping, against the tables of the `regex` crate.
    #[test]
    fn folding_agrees_with_the_regex_crate() {
        let mut checked = 0;
        // The standard library may know a newer Unicode.
        let unassigned = regex::Regex::new(r"\A\p{Cn}\z").expect("a plain pattern");
        for character in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let folded = fold_char(character);
            let has_case = folded != character
                || !character.to_lowercase().eq([character])
                || !character.to_uppercase().eq([character]);
            let mut buffer = [0; 4];
            let is_new = |character: char| unassigned.is_match(character.encode_utf8(&mut [0; 4]));
            if !has_case || unassigned.is_match(character.encode_utf8(&mut buffer)) || is_new(folded) {
                continue;
            }
            checked += 1;
            let pattern = format!("(?i)\\A\\x{{{:x}}}\\z", u32::from(character));
            let regex = regex::Regex::new(&pattern).expect("a plain pattern");
            assert!(regex.is_match(&folded.to_string()), "{character} folds to {folded}");
            for other in character.to_lowercase().chain(character.to_uppercase()) {
                if character.to_lowercase().count() == 1 && character.to_uppercase().count() == 1 && !is_new(other) {
                    let is_same = regex.is_match(&other.to_string());
                    assert_eq!(fold_char(other) == folded, is_same, "{character} and {other}");
                }
            }
        }
        assert!(2_000 < checked, "{checked}");
    }
}
