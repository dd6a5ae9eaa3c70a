//! What a single value is compared with: a phrase, a wildcard pattern, a regular expression, a network, a
//! range. In: the folded text of a value. Out: yes or no. Everything is a function of the folded text
//! ([`fold`]), so that a term of the index and a row give the same answer; only marks asked for and phrases
//! look at the text itself.

use std::cmp::Ordering;
use std::net::IpAddr;

use nhatle_event::{Text, Timestamp};
use regex::Regex;

use crate::segment::words::{fold, has_marks, mark_form, one_i, parts, twin};

/// How large a compiled regular expression may be.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

/// Words that stand next to each other, or a whole value.
#[derive(Clone, Debug)]
pub struct Phrase {
    /// As written.
    pub written: Text,
    folded: String,
    folded_parts: Vec<String>,
    one_i_parts: Vec<String>,
    /// The marked form and its parts, where it was written with marks.
    marked: Option<(String, Vec<String>)>,
    /// The address it is, as addresses are written, where that is not how it was written.
    address: Option<String>,
    /// Finds its longest part anywhere in an ASCII text.
    inside: Option<Regex>,
}

impl PartialEq for Phrase {
    fn eq(&self, other: &Phrase) -> bool {
        self.written == other.written
    }
}

impl Phrase {
    /// The phrase of this text.
    pub fn new(written: &str) -> Phrase {
        let folded = fold(written).into_owned();
        let folded_parts: Vec<String> = parts(&folded).map(String::from).collect();
        let marked = has_marks(written).then(|| {
            let marked = mark_form(written);
            let marked_parts = parts(&marked).map(String::from).collect();
            (marked, marked_parts)
        });
        let longest = folded_parts.iter().max_by_key(|part| part.len()).filter(|part| part.is_ascii());
        let inside = longest.and_then(|part| Regex::new(&format!("(?i-u:{})", regex::escape(part))).ok());
        let address = written.trim().parse::<IpAddr>().ok().map(|address| address.to_string());
        let address = address.filter(|address| *address != folded);
        let one_i_parts = parts(&one_i(&folded)).map(String::from).collect();
        Phrase { written: Text::from(written), folded, folded_parts, one_i_parts, marked, address, inside }
    }

    /// Its folded parts; none where it has no letter or digit.
    pub fn parts(&self) -> &[String] {
        &self.folded_parts
    }

    /// The folded values that are all of it.
    pub fn wholes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.folded.as_str()).chain(self.address.as_deref())
    }

    /// It was written with marks, so the folded form alone does not decide.
    pub fn needs_marks(&self) -> bool {
        self.marked.is_some()
    }

    /// Its parts stand in the text next to each other; a phrase without parts stands in it as it is.
    pub fn is_in(&self, text: &str) -> bool {
        if text.is_ascii() {
            // Quick no: there are no marks, or the longest part is not even inside a word.
            if self.marked.is_some() || self.inside.as_ref().is_some_and(|part| !part.is_match(text)) {
                return false;
            }
        }
        if self.folded_parts.is_empty() {
            let has_marks = self.marked.as_ref().is_none_or(|(marked, _)| mark_form(text).contains(marked.as_str()));
            return has_marks && fold(text).contains(&self.folded);
        }
        match &self.marked {
            None => has_run(&fold(text), &self.folded_parts),
            // Only who types marks writes Vietnamese for sure; then i and y are one letter where they may be.
            Some((_, marked)) => has_run(&mark_form(text), marked) && has_run(&one_i(&fold(text)), &self.one_i_parts),
        }
    }

    /// The whole text is this phrase.
    pub fn is_all_of(&self, text: &str) -> bool {
        let folded = fold(text);
        match &self.marked {
            None => self.wholes().any(|whole| whole == folded),
            Some((marked, _)) => one_i(&folded) == one_i(&self.folded) && mark_form(text) == *marked,
        }
    }

    /// The beginning of every folded value that is all of it, and a test of the whole, where it has more than one
    /// way to be written.
    pub fn twins(&self) -> Option<(&str, impl Fn(&str) -> bool + '_)> {
        self.marked.as_ref()?;
        let first = parts(&self.folded).find(|part| twin(part).is_some())?;
        let begin = first.as_ptr() as usize - self.folded.as_ptr() as usize;
        let wanted = one_i(&self.folded).into_owned();
        Some((&self.folded[..begin + first.len() - 1], move |value: &str| one_i(value) == wanted))
    }

    /// A part and, where marks were typed, the other way to write it.
    pub fn ways<'a>(&self, part: &'a str) -> impl Iterator<Item = std::borrow::Cow<'a, str>> + use<'a> {
        let other = self.needs_marks().then(|| twin(part)).flatten();
        std::iter::once(part.into()).chain(other.map(std::borrow::Cow::Owned))
    }
}

/// The parts of `text` hold `run` one after the other.
fn has_run(text: &str, run: &[String]) -> bool {
    let mut at = parts(text);
    loop {
        let mut from_here = at.clone();
        if run.iter().all(|part| from_here.next() == Some(part.as_str())) {
            return true;
        }
        if at.next().is_none() {
            return false;
        }
    }
}

/// A text with `*` (any run of characters) and `?` (any one), and no case or marks.
#[derive(Clone, Debug)]
pub struct Wildcard {
    /// The literal pieces and wildcards as written.
    pub pieces: Vec<Piece>,
    regex: Regex,
}

/// A piece of a wildcard pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These characters.
    Literal(Text),
    /// Any one character.
    One,
    /// Any run of characters, also none.
    Any,
}

impl PartialEq for Wildcard {
    fn eq(&self, other: &Wildcard) -> bool {
        self.pieces == other.pieces
    }
}

impl Wildcard {
    /// The pattern of these pieces; the reason where it grows past [`REGEX_BYTES_MAX`].
    ///
    /// # Errors
    /// The pattern is too large.
    pub fn new(pieces: Vec<Piece>) -> Result<Wildcard, String> {
        let mut source = String::from("^(?s:");
        for piece in &pieces {
            match piece {
                Piece::Literal(text) => source.push_str(&regex::escape(&fold(text))),
                Piece::One => source.push('.'),
                Piece::Any => source.push_str(".*"),
            }
        }
        source.push_str(")$");
        Ok(Wildcard { regex: compile(&source)?, pieces })
    }

    /// The folded text is of this form from its first to its last character.
    pub fn is_all_of(&self, folded: &str) -> bool {
        self.regex.is_match(folded)
    }

    /// The folded text, or one of its parts, or one of its words between spaces, is of this form.
    pub fn is_word_of(&self, folded: &str) -> bool {
        if self.is_of_parts() {
            return parts(folded).any(|part| self.is_all_of(part));
        }
        self.is_all_of(folded)
            || folded.split([' ', '"', '\'', '(', ')', ',', ';']).any(|word| !word.is_empty() && self.is_all_of(word))
    }

    /// It has letters and digits only, so that it can be found among the parts.
    pub fn is_of_parts(&self) -> bool {
        self.pieces.iter().all(|piece| match piece {
            Piece::Literal(text) => fold(text).chars().all(char::is_alphanumeric),
            Piece::One | Piece::Any => true,
        })
    }

    /// The runs of letters and digits that every text of this form has, each inside one part of it; the flag
    /// says that a part begins with it.
    pub fn runs(&self) -> Vec<(String, bool)> {
        let mut runs = Vec::new();
        for (at, piece) in self.pieces.iter().enumerate() {
            let Piece::Literal(text) = piece else { continue };
            let folded = fold(text);
            // A dot may stand inside of an address, which is one part.
            let mut begins = at == 0;
            let mut run = String::new();
            for letter in folded.chars() {
                if letter.is_alphanumeric() {
                    run.push(letter);
                    continue;
                }
                if !run.is_empty() {
                    runs.push((std::mem::take(&mut run), begins));
                }
                begins = letter != '.';
            }
            if !run.is_empty() {
                runs.push((run, begins));
            }
        }
        runs
    }

    /// What every text of this form begins with.
    pub fn prefix(&self) -> String {
        match self.pieces.first() {
            Some(Piece::Literal(text)) => fold(text).into_owned(),
            _ => String::new(),
        }
    }
}

/// A regular expression that is searched for in the folded text, without case.
#[derive(Clone, Debug)]
pub struct Expression {
    /// As written between the slashes.
    pub written: Text,
    regex: Regex,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.written == other.written
    }
}

impl Expression {
    /// Compiles it.
    ///
    /// # Errors
    /// It is none, or too large.
    pub fn new(written: &str) -> Result<Expression, String> {
        Ok(Expression { written: Text::from(written), regex: compile(&format!("(?i:{written})"))? })
    }

    /// It is found in the folded text.
    pub fn is_in(&self, folded: &str) -> bool {
        self.regex.is_match(folded)
    }
}

fn compile(source: &str) -> Result<Regex, String> {
    let built = regex::RegexBuilder::new(source).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the expression grows too large".to_owned(),
        other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    })
}

/// Addresses that begin with the same bits (CIDR, RFC 4632 and RFC 4291 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address as written.
    pub address: IpAddr,
    /// How many bits count.
    pub bits: u8,
}

impl Network {
    /// Reads `address/bits`; `None` for text that is no network.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Network { address, bits })
    }

    /// The folded text is an address in the network.
    pub fn holds(&self, folded: &str) -> bool {
        match (self.address, folded.trim().parse()) {
            (IpAddr::V4(network), Ok(IpAddr::V4(address))) => {
                self.bits == 0 || (network.to_bits() ^ address.to_bits()) >> (32 - u32::from(self.bits)) == 0
            }
            (IpAddr::V6(network), Ok(IpAddr::V6(address))) => {
                self.bits == 0 || (network.to_bits() ^ address.to_bits()) >> (128 - u32::from(self.bits)) == 0
            }
            _ => false,
        }
    }
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// As written.
    pub written: Text,
    /// The value itself is inside.
    pub is_inside: bool,
}

/// Values between two ends; an end that is not there is open. The end decides what is compared: numbers
/// with a number, moments with a moment (a date alone is its first moment, UTC), addresses with an
/// address, else the folded text, letter by letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The lower end.
    pub low: Option<Bound>,
    /// The upper end.
    pub high: Option<Bound>,
}

impl Range {
    /// The moments it holds, from the first to before the second, where both ends are moments or open.
    pub fn moments(&self) -> Option<(Timestamp, Timestamp)> {
        let is_number = |bound: &Bound| bound.written.trim().parse::<f64>().is_ok_and(f64::is_finite);
        let stamp = |bound: &Bound| if is_number(bound) { None } else { moment(&bound.written) };
        let behind = |at: Timestamp, is_behind: bool| Timestamp(at.0.saturating_add(i64::from(is_behind)));
        let low = match &self.low {
            Some(bound) => behind(stamp(bound)?, !bound.is_inside),
            None => Timestamp::MIN,
        };
        let high = match &self.high {
            Some(bound) => behind(stamp(bound)?, bound.is_inside),
            None => Timestamp::MAX,
        };
        Some((low, high))
    }

    /// The folded text is in the range.
    pub fn holds(&self, folded: &str) -> bool {
        let is_in = |bound: &Option<Bound>, side: Ordering| {
            bound.as_ref().is_none_or(|bound| match compare(folded, &bound.written) {
                Some(Ordering::Equal) => bound.is_inside,
                Some(order) => order == side,
                None => false,
            })
        };
        is_in(&self.low, Ordering::Greater) && is_in(&self.high, Ordering::Less)
    }
}

fn compare(folded: &str, bound: &str) -> Option<Ordering> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    if let Some(bound) = number(bound) {
        return number(folded)?.partial_cmp(&bound);
    }
    if let Some(bound) = moment(bound) {
        return Some(moment(folded)?.cmp(&bound));
    }
    if let Ok(bound) = bound.parse::<IpAddr>() {
        let address: IpAddr = folded.trim().parse().ok()?;
        return (address.is_ipv4() == bound.is_ipv4()).then(|| address.cmp(&bound));
    }
    Some(folded.cmp(&*fold(bound)))
}

fn moment(text: &str) -> Option<Timestamp> {
    match text.len() {
        10 => Timestamp::parse(&format!("{text}T00:00:00Z"), 0),
        _ => Timestamp::parse(text, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_phrase(phrase: &str, text: &str, expected: bool) {
        assert_eq!(Phrase::new(phrase).is_in(text), expected, "{phrase} in {text}");
    }

    #[test]
    fn a_phrase_is_whole_words_side_by_side() {
        check_phrase("failed password", "Failed password for root", true);
        check_phrase("password failed", "Failed password for root", false);
        check_phrase("pass", "Failed password for root", false);
        check_phrase("cmd.exe", r"C:\Windows\System32\cmd.exe /c", true);
        check_phrase("10.0.0.1", "from 10.0.0.1 port 22", true);
        check_phrase("10.0.0.1", "from 10.0.0.11 port 22", false);
        check_phrase("=>", "a => b", true);
    }

    #[test]
    fn a_word_with_marks_wants_them_and_one_without_does_not() {
        check_phrase("dong hoi", "phường Đồng Hới", true);
        check_phrase("Đồng Hới", "phường Đồng Hới", true);
        check_phrase("Đồng Hới", "phuong Dong Hoi", false);
        check_phrase("hòa", "Hoà bình", true);
        check_phrase("hoà", "Hoa bình", false);
        check_phrase("duc ninh", "xã Đức Ninh Đông", true);
        check_phrase("Đức Ninh", "Dục Ninh", false);
        check_phrase("kỹ thuật", "phòng Kĩ Thuật số", true);
        check_phrase("kĩ thuật", "Trung tâm kỹ thuật", true);
        check_phrase("ky thuat", "phòng Kĩ Thuật số", false);
        check_phrase("Mỹ", "my script", false);
        check_phrase("hi vọng", "hy vọng", true);
    }

    #[test]
    fn ranges_compare_what_the_end_is() {
        let range = |low: &str, is_inside| Range { low: Some(Bound { written: low.into(), is_inside }), high: None };
        for (low, is_inside, value, expected) in [
            ("5", true, "5", true),
            ("5", false, "5", false),
            ("5", true, "10", true),
            ("5", true, "abc", false),
            ("2026-01-02", true, "2026-01-02t00:00:00z", true),
            ("2026-01-02", true, "2026-01-01t23:59:59z", false),
            ("10.0.0.9", true, "10.0.0.10", true),
            ("b", true, "abc", false),
        ] {
            assert_eq!(range(low, is_inside).holds(value), expected, "{low} {value}");
        }
    }

    #[test]
    fn networks_hold_addresses_of_their_kind() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("fe80::/10", "fe80::1", true),
            ("fe80::/10", "10.0.0.1", false),
            ("10.0.0.1/32", "10.0.0.1", true),
        ] {
            assert_eq!(Network::parse(network).map(|network| network.holds(address)), Some(expected), "{network}");
        }
        assert_eq!(Network::parse("10.0.0.0/33"), None);
    }
}
