//! What somebody meant who typed Vietnamese while the input method was off. In: a word of keys. Out: the word, where
//! the keys are one syllable in Telex or VNI; only for a proposal, never searched for unasked.
//!
//! Telex: `aa ee oo` circumflex, `aw` breve, `ow uw w` horn, `dd` đ, `s f r x j` acute, grave, hook, tilde, dot, `z` none.
//! VNI: `6` circumflex, `7` horn, `8` breve, `9` đ, `1` to `5` the tones in the same order, `0` none. A mark may be typed
//! at the end of the syllable. Source: `vietnam-soc` design note 4.3, point 5.

use unicode_normalization::UnicodeNormalization;

/// How long a syllable typed in keys may be (nghieeeng with its tone is 9).
const KEYS_MAX: usize = 12;
/// Acute, grave, hook above, tilde, dot below.
const TONES: [char; 5] = ['\u{301}', '\u{300}', '\u{309}', '\u{303}', '\u{323}'];
const ONSETS: [&str; 29] = [
    "", "b", "c", "ch", "d", "đ", "g", "gh", "gi", "h", "k", "kh", "l", "m", "n", "ng", "ngh", "nh", "p", "ph", "qu",
    "r", "s", "t", "th", "tr", "v", "x", "q",
];
const CODAS: [&str; 9] = ["", "c", "ch", "m", "n", "ng", "nh", "p", "t"];
const NUCLEI: [&str; 55] = [
    "a", "ă", "â", "e", "ê", "i", "o", "ô", "ơ", "u", "ư", "y", "ai", "ao", "au", "âu", "ay", "ây", "eo", "êu", "ia",
    "iu", "iê", "iêu", "oa", "oă", "oai", "oao", "oay", "oe", "oeo", "oi", "ôi", "ơi", "oo", "ua", "uâ", "uây", "uê",
    "ui", "uô", "uôi", "uơ", "uy", "uya", "uyê", "uyu", "ưa", "ưi", "ươ", "ươi", "ươu", "ưu", "yê", "yêu",
];

/// The syllable of these keys, where they are one and not plain letters.
pub fn syllable(keys: &str) -> Option<String> {
    if keys.len() > KEYS_MAX || keys.is_empty() || !keys.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let lower = keys.to_ascii_lowercase();
    // A tone may be typed before the end where another mark says that these are keys: `test` is a word.
    let has_digit = lower.bytes().any(|byte| byte.is_ascii_digit());
    let (letters, tone) = if has_digit { vni(&lower)? } else { telex(&lower)? };
    let is_changed = tone.is_some() || letters.iter().any(|letter| !letter.is_ascii());
    let text: String = letters.iter().collect();
    let is_early = !has_digit && tone.is_some() && !lower.ends_with(['s', 'f', 'r', 'x', 'j', 'w']);
    if !is_changed || (is_early && text.is_ascii()) || !is_syllable(&text, tone) {
        return None;
    }
    let marked = with_tone(&letters, tone);
    let is_upper = keys.starts_with(|letter: char| letter.is_ascii_uppercase());
    let mut rest = marked.chars();
    let first = rest.next()?;
    let front: String = if is_upper { first.to_uppercase().collect() } else { first.to_string() };
    Some((front + rest.as_str()).nfc().collect())
}

type Keys = Option<(Vec<char>, Option<usize>)>;

fn telex(keys: &str) -> Keys {
    let mut letters: Vec<char> = Vec::new();
    let mut tone = None;
    for key in keys.chars() {
        let has_vowel = letters.iter().any(|letter| is_vowel(*letter));
        match key {
            's' | 'f' | 'r' | 'x' | 'j' if has_vowel => {
                if tone.is_some() {
                    return None;
                }
                tone = "sfrxj".find(key);
            }
            'z' if has_vowel => tone = None,
            'w' => put(&mut letters, &[('o', 'ơ'), ('u', 'ư'), ('a', 'ă')], true).then_some(())?,
            'a' | 'e' | 'o' if letters.contains(&key) && has_vowel => {
                let round = match key {
                    'a' => 'â',
                    'e' => 'ê',
                    _ => 'ô',
                };
                put(&mut letters, &[(key, round)], false).then_some(())?;
            }
            'd' if letters.first() == Some(&'d') => letters[0] = 'đ',
            other => letters.push(other),
        }
    }
    Some((letters, tone))
}

fn vni(keys: &str) -> Keys {
    let mut letters: Vec<char> = Vec::new();
    let mut tone = None;
    for key in keys.chars() {
        match key {
            '1'..='5' if tone.is_none() && letters.iter().any(|letter| is_vowel(*letter)) => {
                tone = "12345".find(key);
            }
            '6' => put(&mut letters, &[('o', 'ô'), ('e', 'ê'), ('a', 'â')], false).then_some(())?,
            '7' => put(&mut letters, &[('o', 'ơ'), ('u', 'ư')], true).then_some(())?,
            '8' => put(&mut letters, &[('a', 'ă')], false).then_some(())?,
            '9' if letters.first() == Some(&'d') => letters[0] = 'đ',
            letter if letter.is_ascii_lowercase() => letters.push(letter),
            _ => return None,
        }
    }
    Some((letters, tone))
}

/// Puts a mark on the last letter that takes it; a horn on `uo` is on both.
fn put(letters: &mut [char], marks: &[(char, char)], is_horn: bool) -> bool {
    let takes = |letter: char| marks.iter().find(|(plain, _)| *plain == letter).map(|(_, marked)| *marked);
    let Some(at) = letters.iter().rposition(|letter| takes(*letter).is_some()) else { return false };
    let Some(marked) = takes(letters[at]) else { return false };
    letters[at] = marked;
    if is_horn && marked == 'ơ' && at > 0 && letters[at - 1] == 'u' && letters.first() != Some(&'q') {
        letters[at - 1] = 'ư';
    }
    true
}

fn is_vowel(letter: char) -> bool {
    "aăâeêioôơuưy".contains(letter)
}

/// Onset, nucleus and coda as Vietnamese has them; a stop at the end takes acute and dot only.
fn is_syllable(text: &str, tone: Option<usize>) -> bool {
    ONSETS.iter().any(|onset| {
        let Some(rest) = text.strip_prefix(onset) else { return false };
        CODAS.iter().any(|coda| {
            let is_stop = matches!(*coda, "c" | "ch" | "p" | "t");
            let fits_tone = !is_stop || matches!(tone, Some(0 | 4));
            rest.strip_suffix(coda).is_some_and(|nucleus| fits_tone && NUCLEI.contains(&nucleus))
        })
    })
}

/// The syllable with its tone on the vowel that carries it.
fn with_tone(letters: &[char], tone: Option<usize>) -> String {
    let mut text: String = letters.iter().collect();
    let Some(tone) = tone else { return text };
    let is_gi = text.starts_with("gi") && letters.get(2).is_some_and(|one| is_vowel(*one));
    let glide = if text.starts_with("qu") || is_gi { 2 } else { 0 };
    let vowels: Vec<usize> = (glide..letters.len()).filter(|at| is_vowel(letters[*at])).collect();
    let marked = vowels.iter().rev().find(|at| !letters[**at].is_ascii());
    let ends_closed = letters.last().is_some_and(|letter| !is_vowel(*letter));
    let carrier = match (marked, vowels.as_slice()) {
        (Some(at), _) => *at,
        (None, [_, second]) if ends_closed || is_late(letters[vowels[0]], letters[*second]) => *second,
        (None, [first] | [first, _]) => *first,
        (None, [_, middle, ..]) => *middle,
        (None, []) => return text,
    };
    text = letters[..=carrier].iter().collect();
    text.push(TONES[tone]);
    text.extend(&letters[carrier + 1..]);
    text
}

fn is_late(first: char, second: char) -> bool {
    matches!((first, second), ('o', 'a' | 'e') | ('u', 'y'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(keys: &str, expected: Option<&str>) {
        assert_eq!(meant(keys).as_deref(), expected, "{keys}");
    }

    /// Every word that is a syllable in keys read, the others as they are.
    fn meant(line: &str) -> Option<String> {
        let read: Vec<Option<String>> = line.split(' ').map(syllable).collect();
        let words = line.split(' ').zip(&read).map(|(word, read)| read.clone().unwrap_or_else(|| word.to_owned()));
        let line = words.collect::<Vec<_>>().join(" ");
        read.iter().any(Option::is_some).then_some(line)
    }

    #[test]
    fn keys_of_telex_and_vni_are_read() {
        for keys in ["ddoongf hoiws", "DDoongf Howsi", "d9o6ng2 ho7i1"] {
            assert_eq!(meant(keys).map(|text| text.to_lowercase()).as_deref(), Some("đồng hới"), "{keys}");
        }
        check("DDoongf Howsi", Some("Đồng Hới"));
        check("phuwowngf", Some("phường"));
        check("phuongwf", Some("phường"));
        check("ddawng nhaajp", Some("đăng nhập"));
        check("maatj khaaur", Some("mật khẩu"));
        check("khoer hoaf thuys", Some("khoẻ hoà thuý"));
        check("quyeenf", Some("quyền"));
        check("d9a8ng nha65p", Some("đăng nhập"));
        check("giaf", Some("già"));
        check("uyr ban", Some("uỷ ban"));
    }

    #[test]
    fn what_is_no_syllable_stays() {
        for keys in [
            "error", "password", "ssh", "sshd", "10.0.0.1", "test", "root", "failed", "user", "host1x", "đồng", "", "w",
        ] {
            check(keys, None);
        }
    }
}
