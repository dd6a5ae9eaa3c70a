//! `Needle`: a text of ours that is looked for in message after message.
//!
//! In: the text, when the program is built. Out: where it stands in a message, as [`str::find`] and its kin say. Each searcher
//! of the standard library and of `memmem` looks at its needle anew for each message, which for texts as short as these costs
//! more than the search: a needle knows its rarest byte, the search goes from one such byte to the next. Promise: nothing is
//! allocated. A stranger can make it look at each byte of a message as often as the needle is long.

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needle {
    text: &'static str,
    /// Where its rarest byte stands.
    rare: usize,
}

impl Needle {
    /// A needle for this text.
    pub(crate) const fn new(text: &'static str) -> Needle {
        let bytes = text.as_bytes();
        let (mut rare, mut at) = (0, 1);
        while at < bytes.len() {
            if commonness(bytes[at]) < commonness(bytes[rare]) {
                rare = at;
            }
            at += 1;
        }
        Needle { text, rare }
    }

    /// Needles for these texts.
    pub(crate) const fn all<const N: usize>(texts: [&'static str; N]) -> [Needle; N] {
        let (mut needles, mut at) = ([Needle::new(""); N], 0);
        while at < N {
            needles[at] = Needle::new(texts[at]);
            at += 1;
        }
        needles
    }

    /// Whether it stands in a text that is known when the program is built, the plain way.
    pub(crate) const fn stands_in(&self, text: &str) -> bool {
        let (needle, bytes) = (self.text.as_bytes(), text.as_bytes());
        let mut from = 0;
        while from + needle.len() <= bytes.len() {
            let mut same = 0;
            while same < needle.len() && needle[same] == bytes[from + same] {
                same += 1;
            }
            if same == needle.len() {
                return true;
            }
            from += 1;
        }
        false
    }

    /// How long it is.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// [`str::find`].
    pub(crate) fn find(&self, text: &str) -> Option<usize> {
        let Some(rare) = self.text.as_bytes().get(self.rare) else { return Some(0) };
        let bytes = text.as_bytes();
        memchr::memchr_iter(*rare, self.places(bytes)?).find(|at| self.stands_at(bytes, *at))
    }

    /// [`str::rfind`].
    pub(crate) fn rfind(&self, text: &str) -> Option<usize> {
        let Some(rare) = self.text.as_bytes().get(self.rare) else { return Some(text.len()) };
        let bytes = text.as_bytes();
        memchr::memrchr_iter(*rare, self.places(bytes)?).find(|at| self.stands_at(bytes, *at))
    }

    /// Whether it stands in this text.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// [`str::split_once`].
    pub(crate) fn split<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let at = self.find(text)?;
        Some((text.get(..at)?, text.get(at + self.len()..)?))
    }

    /// Each place where it stands, the next one behind the last.
    pub(crate) fn each(self, text: &str) -> impl Iterator<Item = usize> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let at = from + self.find(text.get(from..)?)?;
            from = at + self.len().max(1);
            Some(at)
        })
    }

    /// Where its rarest byte may stand.
    fn places<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let room = bytes.len().checked_sub(self.len())?;
        bytes.get(self.rare..=self.rare + room)
    }

    fn stands_at(&self, bytes: &[u8], at: usize) -> bool {
        bytes.get(at..at + self.len()).is_some_and(|found| found == self.text.as_bytes())
    }
}

/// How often a byte stands in lines of logs, roughly: an order, no measure.
const fn commonness(byte: u8) -> u8 {
    match byte {
        b' ' => 9,
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 8,
        b'0'..=b'9' => 7,
        b'c' | b'd' | b'l' | b'u' | b'm' | b'p' | b'h' | b'.' | b':' | b'-' | b'/' => 6,
        b'f' | b'g' | b'y' | b'b' | b'w' | b'v' | b'k' | b'=' | b',' | b'"' | b'_' => 5,
        b'[' | b']' | b'(' | b')' | b'<' | b'>' => 4,
        b'A'..=b'Z' => 3,
        b'q' | b'j' | b'x' | b'z' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_found_where_the_standard_library_finds_it() {
        const NEEDLES: [&str; 9] = ["", "a", " ", "ab", "aab", " took ", "là ", "ồ", "aaaaaaaa"];
        static READY: [Needle; NEEDLES.len()] = Needle::all(NEEDLES);
        let mut texts: Vec<String> =
            ["", "a", "b", "aab", "it took 8 ms", "took ", " took", "đó là ồ à", "ồồ"].map(String::from).to_vec();
        // All short texts of three letters.
        let mut front = 0;
        while texts.len() < 4000 {
            let longer: Vec<String> =
                texts[front..].iter().flat_map(|text| ["a", "b", " "].map(|one| text.clone() + one)).collect();
            front = texts.len();
            texts.extend(longer);
        }
        for (text, (plain, needle)) in
            texts.iter().flat_map(|text| NEEDLES.iter().zip(&READY).map(move |one| (text, one)))
        {
            assert_eq!(needle.find(text), text.find(plain), "{plain:?} in {text:?}");
            assert_eq!(needle.rfind(text), text.rfind(plain), "{plain:?} in {text:?}");
            assert_eq!(needle.split(text), text.split_once(plain), "{plain:?} in {text:?}");
            assert_eq!(needle.stands_in(text), text.contains(plain), "{plain:?} in {text:?}");
            if !plain.is_empty() {
                let each: Vec<usize> = text.match_indices(plain).map(|(at, _)| at).collect();
                assert_eq!(needle.each(text).collect::<Vec<_>>(), each, "{plain:?} in {text:?}");
            }
        }
    }
}
