//! Text in an encoding that is not UTF-8: what Vietnamese programs wrote before Unicode.
//!
//! In: the bytes of a record and the [`Encoding`] that the configuration gives its source; nothing is ever guessed.
//! Out: composed text (ADR 24). A byte the encoding gives no meaning to becomes U+FFFD and is counted; the record's own
//! bytes stay in `event.original`. Total; cannot fail. All four keep ASCII as it is, so framing, headers, JSON and
//! key=value come through whole.
//!
//! Sources: TCVN 5712:1993 (VN3 with what VN2 has more: capitals and the five combining tones); VNI-Windows as the VNI
//! fonts have it (a letter, then a byte for its mark and tone); Microsoft's best fit table of code page 1258.

use std::borrow::Cow;
use std::ops::Range;

use nhatle_event::compose::{composed, is_composed};

mod table;

/// How the bytes of a source are text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Unicode, and what is no UTF-8 is marked.
    #[default]
    Utf8,
    /// TCVN 5712:1993 VN3, the encoding of the ABC fonts (`.VnTime`).
    Tcvn3,
    /// VNI-Windows, the encoding of the VNI fonts.
    Vni,
    /// Windows code page 1258: letters with marks of their own, tones behind them.
    Windows1258,
}

/// Bytes as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The text, composed.
    pub text: String,
    /// How many bytes mean nothing in the encoding; each is U+FFFD in the text.
    pub unmapped: usize,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Encoding; 4] = [Encoding::Utf8, Encoding::Tcvn3, Encoding::Vni, Encoding::Windows1258];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf-8",
            Encoding::Tcvn3 => "tcvn3",
            Encoding::Vni => "vni",
            Encoding::Windows1258 => "windows-1258",
        }
    }

    /// The encoding of this name.
    pub fn from_name(name: &str) -> Option<Encoding> {
        Encoding::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    /// The text that bytes are.
    pub fn decode(self, bytes: &[u8]) -> Decoded {
        if self == Encoding::Utf8 {
            let text = String::from_utf8_lossy(bytes);
            let unmapped = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
            return Decoded { text: composed(&text).into_owned(), unmapped };
        }
        let mut decoded = Decoded { text: String::with_capacity(bytes.len() * 3 / 2), unmapped: 0 };
        for letter in self.letters(bytes) {
            decoded.text.push_str(&letter.text);
            decoded.unmapped += usize::from(letter.is_unmapped);
        }
        // Tones behind what is no letter may stand in any order.
        if !is_composed(&decoded.text) {
            decoded.text = composed(&decoded.text).into_owned();
        }
        decoded
    }

    /// The byte of `bytes` that stands at `text_offset` of its decoded text. Not for UTF-8, whose bytes need no decoding.
    pub fn byte_offset(self, bytes: &[u8], text_offset: usize) -> usize {
        let mut at = 0;
        for letter in self.letters(bytes) {
            if text_offset < at + letter.text.len() {
                let is_ascii = letter.text.len() == letter.bytes.len();
                return letter.bytes.start + if is_ascii { text_offset - at } else { 0 };
            }
            at += letter.text.len();
        }
        bytes.len()
    }

    fn letters(self, bytes: &[u8]) -> Letters<'_> {
        Letters { encoding: self, bytes, at: 0 }
    }

    /// One byte, where it means something by itself.
    fn single(self, byte: u8) -> Option<char> {
        match (self, byte) {
            (_, 0..=0x7f) => Some(char::from(byte)),
            (Encoding::Tcvn3, _) => table::of(&table::TCVN, byte),
            (Encoding::Vni, _) => table::vni_letter(byte),
            (Encoding::Windows1258, _) => table::of(&table::WINDOWS_1258, byte),
            (Encoding::Utf8, _) => None,
        }
    }

    /// What a byte adds to the letter before it.
    fn marks(self, letter: char, byte: u8) -> Option<&'static str> {
        match self {
            Encoding::Utf8 => None,
            Encoding::Vni => table::vni_marks(letter, byte),
            Encoding::Tcvn3 | Encoding::Windows1258 => {
                self.single(byte).filter(|_| letter.is_alphabetic()).and_then(table::tone)
            }
        }
    }
}

/// A letter with what was put upon it.
struct Letter<'a> {
    bytes: Range<usize>,
    text: Cow<'a, str>,
    is_unmapped: bool,
}

struct Letters<'a> {
    encoding: Encoding,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Letters<'a> {
    type Item = Letter<'a>;

    fn next(&mut self) -> Option<Letter<'a>> {
        let start = self.at;
        // A run of ASCII up to its last byte, which may be a letter with marks behind it.
        let run = self.bytes[start..].iter().take_while(|byte| byte.is_ascii()).count();
        if 1 < run {
            self.at += if start + run == self.bytes.len() { run } else { run - 1 };
            let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
            return Some(Letter { bytes: start..self.at, text: Cow::Borrowed(text), is_unmapped: false });
        }
        let byte = *self.bytes.get(start)?;
        self.at += 1;
        let Some(letter) = self.encoding.single(byte) else {
            let text = Cow::Borrowed("\u{fffd}");
            return Some(Letter { bytes: start..self.at, text, is_unmapped: true });
        };
        let mut text = String::from(letter);
        while let Some(marks) = self.bytes.get(self.at).and_then(|next| self.encoding.marks(letter, *next)) {
            text.push_str(marks);
            self.at += 1;
            if self.encoding == Encoding::Vni || table::MARKS_MAX <= text.chars().count() {
                break;
            }
        }
        let text = match composed(&text) {
            Cow::Owned(composed) => composed,
            Cow::Borrowed(_) => text,
        };
        Some(Letter { bytes: start..self.at, text: Cow::Owned(text), is_unmapped: false })
    }
}

#[cfg(test)]
mod tests;
