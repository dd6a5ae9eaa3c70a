//! What a text is to the search: its folded form (no case, no marks), its marked form (no case, marks
//! kept, tone marks in one place), and the parts it is cut into. The index and the row-wise filter both
//! use these functions and no others, so that they cannot disagree.
//!
//! Folding: Unicode canonical decomposition, combining marks U+0300 to U+036F dropped, đ to d (it has no
//! decomposition), lower case; `Đồng Hới` composed or decomposed is `dong hoi`. Control characters become
//! spaces, so they are free to separate terms. A part is a run of letters and digits; an IPv4 address is
//! one part. Marked form: hoà and hòa, khoẻ and khỏe, thuý and thúy are the same word (the tone mark
//! stands behind the second vowel), and so are kĩ and kỹ ([`one_i`]). Source: `vietnam-soc` design note 4.3; Unicode Standard Annex 15.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// The text without case and marks.
pub fn fold(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        let folded = text.nfd().filter(|letter| !is_mark(*letter)).map(|letter| match letter {
            'đ' | 'Đ' => 'd',
            other => other,
        });
        // Lower case can bring a mark back (İ is i and a dot above).
        return Cow::Owned(folded.flat_map(char::to_lowercase).filter(|letter| !is_mark(*letter)).map(plain).collect());
    }
    if is_folded(text) {
        return Cow::Borrowed(text);
    }
    let mut folded = text.to_ascii_lowercase();
    // All of them, which is a comparison of vectors.
    if folded.bytes().fold(false, |any, byte| any | byte.is_ascii_control()) {
        folded = folded.replace(|letter: char| letter.is_ascii_control(), " ");
    }
    Cow::Owned(folded)
}

/// The text is ASCII and its own folded form.
pub fn is_folded(text: &str) -> bool {
    let bytes = text.as_bytes();
    match (bytes.last_chunk::<8>(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // Eight at a time, the last of them once more where their number is none of eights.
        (Some(last), ..) => {
            let (chunks, _) = bytes.as_chunks::<8>();
            chunks.iter().chain([last]).fold(0, |odd, chunk| odd | odd_in(u64::from_le_bytes(*chunk))) == 0
        }
        (None, Some(first), Some(last)) => {
            odd_in(u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32) == 0
        }
        _ => bytes.iter().all(|byte| matches!(byte, b' '..=b'@' | b'['..=b'~')),
    }
}

/// Not 0 where one of eight bytes is a control character, a capital, or not ASCII.
fn odd_in(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    // The highest bit of each byte that is not below a bound. A byte beyond ASCII may carry into the next, but it is odd itself.
    let from = |bound: u8| eight.wrapping_add(ONES * u64::from(128 - bound));
    let capitals = from(b'A') & !from(b'Z' + 1);
    (eight | !from(b' ') | capitals | from(0x7f)) & (ONES << 7)
}

/// The text without case, decomposed, with its marks, tone marks in one place.
pub fn mark_form(text: &str) -> String {
    let mut letters: Vec<char> = text.nfd().flat_map(char::to_lowercase).map(plain).collect();
    for at in 0..letters.len().saturating_sub(2) {
        let is_pair = matches!((letters[at], letters[at + 2]), ('o', 'a' | 'e') | ('u', 'y'));
        if is_pair && is_tone(letters[at + 1]) {
            letters.swap(at + 1, at + 2);
        }
    }
    let text: String = letters.into_iter().collect();
    match one_i(&text) {
        Cow::Owned(text) => text,
        Cow::Borrowed(_) => text,
    }
}

/// A folded or marked text with `i` for `y` where a syllable may be written with either: at its end, after
/// h, k, l, m, s, t or qu alone (kĩ thuật, kỹ thuật; quí, quý).
pub fn one_i(text: &str) -> Cow<'_, str> {
    if !text.contains('y') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(is_word) {
        out.push_str(&rest[..begin]);
        rest = &rest[begin..];
        let (word, after) = rest.split_at(rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()));
        match word.find('y').filter(|at| is_either(&word[..*at], &word[at + 1..])) {
            Some(at) => out.extend([&word[..at], "i", &word[at + 1..]]),
            None => out.push_str(word),
        }
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The other way to write a folded part ([`one_i`]), where there is one.
pub fn twin(part: &str) -> Option<String> {
    let (front, last) = part.split_at(part.len().checked_sub(1).filter(|at| part.is_char_boundary(*at))?);
    let other = match last {
        "i" => "y",
        "y" => "i",
        _ => return None,
    };
    is_either(front, "").then(|| format!("{front}{other}"))
}

fn is_either(front: &str, behind: &str) -> bool {
    matches!(front, "h" | "k" | "l" | "m" | "s" | "t" | "qu") && behind.chars().all(is_tone)
}

/// The text has a mark or a đ, so whoever typed it wants them.
pub fn has_marks(text: &str) -> bool {
    !text.is_ascii() && (text.contains(['đ', 'Đ']) || text.nfd().any(is_mark))
}

/// The name of a field as terms have it: without case.
pub fn name_key(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase() && !byte.is_ascii_control()) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().flat_map(char::to_lowercase).map(plain).collect())
}

/// The name has this key.
pub fn has_key(name: &str, key: &str) -> bool {
    if name.eq_ignore_ascii_case(key) {
        return true;
    }
    // Names with control characters or letters beyond ASCII are rare; the quick no comes first.
    let may_be = !name.is_ascii() || (name.len() == key.len() && name.bytes().any(|byte| byte.is_ascii_control()));
    may_be && name_key(name) == key
}

/// The parts of a folded or marked text, in order.
pub fn parts(text: &str) -> impl Iterator<Item = &str> + Clone {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = &rest[while_word(rest, false)..];
        let first = rest.bytes().next()?;
        let address = if first.is_ascii_digit() { ipv4_length(rest.as_bytes()) } else { None };
        let (part, after) = rest.split_at(address.unwrap_or_else(|| while_word(rest, true)));
        rest = after;
        Some(part)
    })
}

/// What a byte is: of no word, of a word, or to be seen with those behind it.
const CLASS: [u8; 256] = {
    let mut classes = [2; 256];
    let mut at = 0;
    while at < 128 {
        classes[at] = (at as u8).is_ascii_alphanumeric() as u8;
        at += 1;
    }
    classes
};

/// How many bytes at the front are of letters of words, or of others.
fn while_word(text: &str, of_words: bool) -> usize {
    let (bytes, wanted) = (text.as_bytes(), u8::from(of_words));
    let mut at = 0;
    loop {
        at += bytes[at..].iter().take_while(|byte| CLASS[usize::from(**byte)] == wanted).count();
        if bytes.get(at).is_none_or(u8::is_ascii) {
            return at;
        }
        match text[at..].chars().next().filter(|letter| is_word(*letter) == of_words) {
            Some(letter) => at += letter.len_utf8(),
            None => return at,
        }
    }
}

/// The longest front of `text` that is no longer than `bytes_max`, cut between letters.
pub fn front(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || is_mark(letter)
}

fn is_mark(letter: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&letter)
}

/// Grave, acute, tilde, hook above, dot below.
fn is_tone(letter: char) -> bool {
    matches!(letter, '\u{300}' | '\u{301}' | '\u{303}' | '\u{309}' | '\u{323}')
}

fn plain(letter: char) -> char {
    if letter.is_control() { ' ' } else { letter }
}

/// The length of the IPv4 address (four groups of one to three digits) that the text begins with.
fn ipv4_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for group in 0..4 {
        let digits = text[at..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=3).contains(&digits) {
            return None;
        }
        at += digits;
        if group < 3 {
            (text.get(at) == Some(&b'.')).then(|| at += 1)?;
        }
    }
    let goes_on = text.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    (!goes_on).then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, folded: &str, expected: &[&str]) {
        assert_eq!(fold(text), folded, "{text}");
        assert_eq!(parts(&fold(text)).collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn vietnamese_is_folded_composed_and_decomposed() {
        check("Đồng Hới", "dong hoi", &["dong", "hoi"]);
        check(&"Đồng Hới".nfd().collect::<String>(), "dong hoi", &["dong", "hoi"]);
        check("NHẬT LỆ", "nhat le", &["nhat", "le"]);
        check("đăng nhập thất bại", "dang nhap that bai", &["dang", "nhap", "that", "bai"]);
    }

    #[test]
    fn parts_are_runs_of_letters_and_digits_and_addresses() {
        check("10.0.0.1:8080", "10.0.0.1:8080", &["10.0.0.1", "8080"]);
        check("1.2.3", "1.2.3", &["1", "2", "3"]);
        check("1.2.3.4x", "1.2.3.4x", &["1", "2", "3", "4x"]);
        check(r"C:\Windows\cmd.exe", r"c:\windows\cmd.exe", &["c", "windows", "cmd", "exe"]);
        check("sshd[77]: a_b=c", "sshd[77]: a_b=c", &["sshd", "77", "a", "b", "c"]);
        check(" ... ", " ... ", &[]);
    }

    #[test]
    fn tone_marks_have_one_place() {
        for (one, other) in [("hòa", "hoà"), ("thúy", "thuý"), ("khỏe", "khoẻ"), ("HÒA", "hoà")] {
            assert_eq!(mark_form(one), mark_form(other));
        }
        for (one, other) in [("kỹ thuật", "kĩ thuật"), ("quý", "quí"), ("Mỹ", "mĩ"), ("lý", "lí"), ("hoàn", "hòan")]
        {
            assert_eq!(mark_form(one), mark_form(other));
        }
        for (one, other) in [("tay", "tai"), ("thuý", "thúi"), ("ky", "kỳ"), ("mây", "mâi"), ("nghỉ", "nghĩ")]
        {
            assert_ne!(mark_form(one), mark_form(other), "{one}");
        }
        assert_eq!((twin("ky").as_deref(), twin("qui").as_deref(), twin("tay")), (Some("ki"), Some("quy"), None));
        assert_ne!(mark_form("hoa"), mark_form("hoà"));
        assert!(has_marks("hoà") && has_marks("đ") && !has_marks("hoa"));
    }

    proptest! {
        #[test]
        fn words_end_where_a_letter_of_another_kind_stands(text in "[a-czAZ09/:@`{\\[\\x7f\\x1f ._~đĐé\u{301}“\\x00]{0,40}", of_words: bool) {
            let end = text.find(|letter| is_word(letter) != of_words).unwrap_or(text.len());
            prop_assert_eq!(while_word(&text, of_words), end);
            let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase() && !byte.is_ascii_control();
            prop_assert_eq!(is_folded(&text), text.bytes().all(is_plain));
        }

        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
            let once = fold(&text).into_owned();
            prop_assert_eq!(fold(&once), once.clone());
            prop_assert!(!once.contains(char::is_control));
            let decomposed: String = text.nfd().collect();
            prop_assert_eq!(fold(&decomposed), once.clone());
        }
    }
}
