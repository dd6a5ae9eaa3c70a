//! One form for letters with marks: composed (Unicode normalization form C).
//!
//! `ồ` can be sent as one character or as `o` with two marks behind it (macOS writes file names so). A reader of text
//! takes both for the same, and so do we: the fields of an event are composed when it is read, the texts of a rule when
//! it is loaded, both by [`composed`]; the bytes as received stay as they are (ADR 24). Total; cannot fail.
//!
//! Source: Unicode Standard Annex 15, section 1.2 and form C.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The text composed; borrowed where nothing changes.
pub fn composed(text: &str) -> Cow<'_, str> {
    if is_composed(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// Whether the text is composed.
#[inline]
pub fn is_composed(text: &str) -> bool {
    text.is_ascii() || is_composed_beyond_ascii(text)
}

fn is_composed_beyond_ascii(text: &str) -> bool {
    // Nearly all text: nothing below U+0300 and nothing of Vietnamese's block is ever changed or moved.
    text.chars().all(|letter| letter < '\u{300}' || ('\u{1e00}'..='\u{1eff}').contains(&letter)) || is_nfc(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decomposed_vietnamese_is_composed() {
        let decomposed: String = "Đồng Hới, Quảng Bình".nfd().collect();
        assert!(!is_composed(&decomposed));
        assert_eq!(composed(&decomposed), "Đồng Hới, Quảng Bình");
        assert!(matches!(composed("Đồng Hới"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn the_quick_look_says_what_the_tables_say(
            text in "[a-zà-ỹ\u{300}\u{301}\u{303}\u{309}\u{323}\u{302}\u{31b}]{0,12}|\\PC{0,12}",
        ) {
            prop_assert_eq!(is_composed(&text), text.nfc().eq(text.chars()));
            prop_assert_eq!(composed(&text), text.nfc().collect::<String>());
        }
    }

    #[test]
    fn no_character_of_the_quick_look_is_changed() {
        for letter in ('\0'..'\u{300}').chain('\u{1e00}'..='\u{1eff}') {
            assert!(std::iter::once(letter).nfc().eq([letter]), "{letter:?}");
            for other in ['a', 'ê', 'ơ', 'ạ'] {
                assert!([other, letter].into_iter().nfc().eq([other, letter]), "{other}{letter}");
            }
        }
    }
}
