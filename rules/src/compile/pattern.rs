//! Sigma text in, pattern parts out: wildcards, escapes, windash, base64offset, UTF-16.
//!
//! A draft keeps its literals as bytes, because `wide` and `utf16*` make byte strings that are text again only
//! after `base64`. Source: Sigma rules specification 2.1.0 "Escape Character", modifiers appendix; the cut of
//! `base64offset` and the places `windash` looks at: pySigma 2.0 (`docs/sigma.md`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::predicate::{Part, Pattern};
use crate::fold::fold;

/// How many dashes of one value `windash` varies: 5^3 forms.
pub(crate) const WINDASH_MAX: usize = 3;
/// The dashes that Windows programs take for one another.
pub(crate) const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// One part of a text value before it is finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(Vec<u8>),
    Many,
    One,
}

/// A text value while modifiers work on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft(pub(crate) Vec<Piece>);

impl Draft {
    /// Reads wildcards and escapes.
    pub(crate) fn parse(text: &str) -> Draft {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match (byte, bytes.get(at)) {
                (b'\\', Some(next @ (b'*' | b'?' | b'\\'))) => {
                    literal.push(*next);
                    at += 1;
                }
                (b'*' | b'?', _) => {
                    flush(&mut literal, &mut pieces);
                    let piece = if byte == b'*' { Piece::Many } else { Piece::One };
                    // `**` is `*`.
                    if !(piece == Piece::Many && pieces.last() == Some(&Piece::Many)) {
                        pieces.push(piece);
                    }
                }
                _ => literal.push(byte),
            }
        }
        flush(&mut literal, &mut pieces);
        Draft(pieces)
    }

    /// A text without wildcards.
    pub(crate) fn literal(text: &str) -> Draft {
        Draft(if text.is_empty() { Vec::new() } else { vec![Piece::Literal(text.as_bytes().to_vec())] })
    }

    /// The bytes of a value without wildcards.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => bytes.extend_from_slice(literal),
                Piece::Many | Piece::One => return None,
            }
        }
        Some(bytes)
    }

    /// Puts `*` before it, where there is none.
    pub(crate) fn open_start(&mut self) {
        if self.0.first() != Some(&Piece::Many) {
            self.0.insert(0, Piece::Many);
        }
    }

    /// Puts `*` after it, where there is none.
    pub(crate) fn open_end(&mut self) {
        if self.0.last() != Some(&Piece::Many) {
            self.0.push(Piece::Many);
        }
    }

    /// The finished pattern. `None` when a literal is not text (UTF-16 without base64).
    pub(crate) fn finish(self, is_cased: bool) -> Option<Pattern> {
        let mut parts = Vec::with_capacity(self.0.len());
        for piece in self.0 {
            parts.push(match piece {
                Piece::Many => Part::Many,
                Piece::One => Part::One,
                Piece::Literal(bytes) => {
                    let text = String::from_utf8(bytes).ok()?;
                    Part::Literal(if is_cased { text } else { fold(&text).into_owned() })
                }
            });
        }
        Some(Pattern { parts, is_cased })
    }

    /// Every literal through `encode`.
    pub(crate) fn encoded(self, encode: impl Fn(&str) -> Vec<u8>) -> Option<Draft> {
        let one = |piece| match piece {
            Piece::Literal(bytes) => String::from_utf8(bytes).ok().map(|text| Piece::Literal(encode(&text))),
            other => Some(other),
        };
        self.0.into_iter().map(one).collect::<Option<Vec<_>>>().map(Draft)
    }
}

fn flush(literal: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal)));
    }
}

/// UTF-16, low byte first, without a byte order mark.
pub(crate) fn utf16le(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// UTF-16, high byte first, without a byte order mark.
pub(crate) fn utf16be(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// UTF-16 with the byte order mark `FF FE`.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend(utf16le(text));
    bytes
}

/// Base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The three forms that bytes can have inside longer Base64 text, cut to the characters that depend on them alone.
pub(crate) fn base64_offsets(bytes: &[u8]) -> [String; 3] {
    [0_usize, 1, 2].map(|shift| {
        let mut shifted = vec![0_u8; shift];
        shifted.extend_from_slice(bytes);
        let encoded = STANDARD.encode(&shifted);
        let start = [0, 2, 3][shift];
        let end = encoded.len() - [0, 3, 2][shifted.len() % 3];
        encoded.get(start..end.max(start)).unwrap_or_default().to_owned()
    })
}

/// Every permutation of the dashes at word starts. `None` when there are more than [`WINDASH_MAX`].
pub(crate) fn windash(draft: &Draft) -> Option<Vec<Draft>> {
    let mut places = Vec::new();
    for (index, piece) in draft.0.iter().enumerate() {
        if let Piece::Literal(bytes) = piece
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            places.extend(dash_offsets(text).map(|offset| (index, offset)));
        }
    }
    if WINDASH_MAX < places.len() {
        return None;
    }
    let mut forms = vec![draft.clone()];
    // From the back, so that a longer dash does not move the places before it.
    for (index, offset) in places.into_iter().rev() {
        forms = forms.iter().flat_map(|form| DASHES.map(|dash| replaced(form, index, offset, dash))).collect();
    }
    Some(forms)
}

/// Offsets of the dashes that begin a word: nothing of a word before, a letter, digit or `_` after.
fn dash_offsets(text: &str) -> impl Iterator<Item = usize> + '_ {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    text.char_indices()
        .filter(|(_, character)| DASHES.contains(character))
        .map(|(offset, dash)| (offset, dash.len_utf8()))
        .filter_map(move |(offset, length)| {
            let after = text[offset + length..].chars().next().is_some_and(is_word);
            let before = text[..offset].chars().next_back().is_some_and(is_word);
            (after && !before).then_some(offset)
        })
}

fn replaced(form: &Draft, index: usize, offset: usize, dash: char) -> Draft {
    let mut form = form.clone();
    if let Some(Piece::Literal(bytes)) = form.0.get_mut(index) {
        let old = DASHES.iter().find(|dash| bytes[offset..].starts_with(dash.to_string().as_bytes()));
        let length = old.map_or(1, |dash| dash.len_utf8());
        bytes.splice(offset..offset + length, dash.to_string().into_bytes());
    }
    form
}
