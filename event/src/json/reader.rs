//! `Reader`: one JSON object to flattened leaves in one pass over its text.
//!
//! In: text. Out: a [`Document`]: numbered names and their values. Promise: what it reads, the plain reader
//! ([`super::plain`]) reads the same; whatever is unusual (broken JSON, a bound passed, more names than are kept) is
//! left to the plain reader, which says what is wrong and where. Names and buffers are kept from one document to the
//! next: a key is first compared with the one that stood behind the same key the last time. Buffers are kept up to
//! [`KEPT_BYTES_MAX`], names up to [`super::NAMES_MAX`] and [`super::NAMES_BYTES_MAX`].
//! Source: RFC 8259. Strings are looked at eight bytes at a time; D. Lemire's test finds quotes and control
//! characters in one comparison.

use super::names::{Names, ROOT};
use super::{DEPTH_MAX, JsonError, LEAVES_MAX, LOOKS_MAX, Leaves, PATH_BYTES_MAX, plain};
use crate::value::{Text, Value};

/// How many bytes of buffers a reader keeps between documents.
pub const KEPT_BYTES_MAX: usize = 1 << 20;

/// Reads documents, one after another.
#[derive(Debug, Default)]
pub struct Reader {
    leaves: Vec<Leaf>,
    names: Names,
    /// The text of a string with escapes.
    unescaped: String,
    /// How many names were looked at for empty objects.
    looked: usize,
}

#[derive(Debug)]
struct Leaf {
    /// Its number; a key of the document that is written like its name.
    name: u32,
    /// It came as that key.
    is_flat: bool,
    value: Value,
}

/// A string of the document.
enum Found {
    /// It stands in the text, from and to.
    Sent(usize, usize),
    /// It had escapes and stands in `unescaped`.
    Unescaped,
}

impl Reader {
    /// Reads one JSON object and flattens it.
    ///
    /// # Errors
    /// As [`super::flatten`].
    pub fn read(&mut self, text: &str) -> Result<Document<'_>, JsonError> {
        if !self.read_usual(text) {
            self.clear();
            self.fill(plain::flatten(text.as_bytes())?);
        }
        Ok(Document { reader: self })
    }

    /// A document of leaves that were read already, each name once.
    pub fn hold(&mut self, leaves: Leaves) -> Document<'_> {
        self.clear();
        self.fill(leaves);
        Document { reader: self }
    }

    /// Reads a document with nothing unusual about it; `false` where the plain reader has to look at it.
    pub(super) fn read_usual(&mut self, text: &str) -> bool {
        for _ in 0..2 {
            self.clear();
            let mut cursor = Cursor { text, bytes: text.as_bytes(), at: 0, before: ROOT, is_full: false, reader: self };
            if cursor.document().is_some() {
                return true;
            }
            if !cursor.is_full {
                return false;
            }
            // There may be room for the names of this document alone.
            self.names = Names::default();
        }
        false
    }

    /// Makes room for the next document; lets go of what a huge one left behind.
    fn clear(&mut self) {
        if KEPT_BYTES_MAX < self.leaves.capacity() * size_of::<Leaf>() + self.unescaped.capacity() {
            *self = Reader::default();
        }
        self.leaves.clear();
        self.looked = 0;
        self.names.begin();
    }

    /// Takes what the plain reader read.
    fn fill(&mut self, leaves: Leaves) {
        for (name, value) in leaves {
            let name = self.names.hold(&name);
            self.names.set_place(name, self.leaves.len());
            self.leaves.push(Leaf { name, is_flat: false, value });
        }
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A document that was read: its leaves in the order first seen, each name once.
#[derive(Debug)]
pub struct Document<'a> {
    reader: &'a mut Reader,
}

impl Document<'_> {
    /// How many leaves there are.
    pub fn len(&self) -> usize {
        self.reader.leaves.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.reader.leaves.is_empty()
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.reader.names.place(self.reader.names.lookup(name)?)?;
        Some(&self.reader.leaves[at].value)
    }

    /// Name and value of the leaf at this place.
    ///
    /// # Panics
    /// There are not so many leaves.
    #[inline]
    pub fn leaf(&self, at: usize) -> (&str, &Value) {
        let leaf = &self.reader.leaves[at];
        (self.reader.names.name(leaf.name), &leaf.value)
    }

    /// The number of the name at this place: dense from 0, the same for the same name in all documents of this
    /// generation.
    ///
    /// # Panics
    /// There are not so many leaves.
    #[inline]
    pub fn number(&self, at: usize) -> usize {
        index(self.reader.leaves[at].name)
    }

    /// What numbers of names are good for: those of another generation, or reader, are others.
    pub fn generation(&self) -> u64 {
        self.reader.names.generation()
    }

    /// All names and values.
    pub fn leaves(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.reader.leaves.iter().map(|leaf| (self.reader.names.name(leaf.name), &leaf.value))
    }

    /// Takes the value at this place out; `Null` stays.
    ///
    /// # Panics
    /// There are not so many leaves.
    #[inline]
    pub fn take(&mut self, at: usize) -> Value {
        std::mem::replace(&mut self.reader.leaves[at].value, Value::Null)
    }

    /// The leaves with names of their own.
    pub fn to_leaves(&mut self) -> Leaves {
        let named = |leaf: &mut Leaf| {
            let value = std::mem::replace(&mut leaf.value, Value::Null);
            (Text::from(self.reader.names.name(leaf.name)), value)
        };
        self.reader.leaves.iter_mut().map(named).collect()
    }
}

/// A place in a document's text. `None` of its methods is whatever the plain reader has to look at.
struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// The name read last.
    before: u32,
    /// There was no room for a name.
    is_full: bool,
    reader: &'a mut Reader,
}

/// What is known of a value from where it stands.
#[derive(Clone, Copy)]
struct Place {
    /// How many objects and arrays it stands in, without the document itself.
    depth: usize,
    /// Its name is one key of the document itself.
    is_flat: bool,
    /// It stands in an array.
    is_element: bool,
}

impl Cursor<'_> {
    fn document(&mut self) -> Option<()> {
        self.skip_space();
        self.eat(b'{')?;
        self.object(ROOT, 0, false)?;
        self.skip_space();
        (self.at == self.bytes.len()).then_some(())
    }

    #[inline]
    fn skip_space(&mut self) {
        // Nearly always there is none.
        if self.bytes.get(self.at).is_some_and(|byte| b' ' < *byte) {
            return;
        }
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[inline]
    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.bytes.get(self.at) == Some(&wanted)).then(|| self.at += 1)
    }

    /// The members of an object whose brace is behind, to the closing one.
    fn object(&mut self, parent: u32, depth: usize, is_element: bool) -> Option<()> {
        let place = Place { depth, is_flat: parent == ROOT, is_element };
        self.skip_space();
        if self.eat(b'}').is_some() {
            return Some(());
        }
        loop {
            self.eat(b'"')?;
            let name = self.key(parent)?;
            self.before = name;
            self.skip_space();
            self.eat(b':')?;
            self.skip_space();
            self.value(name, place)?;
            self.skip_space();
            match self.bytes.get(self.at)? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
            self.skip_space();
        }
    }

    /// The name of a key whose first quote is behind.
    #[inline]
    fn key(&mut self, parent: u32) -> Option<u32> {
        let names = &self.reader.names;
        if let Some((name, length)) = names.expected(self.before, parent, self.bytes.get(self.at..)?) {
            self.at += length + 1;
            return Some(name);
        }
        self.other_key(parent)
    }

    #[inline(never)]
    fn other_key(&mut self, parent: u32) -> Option<u32> {
        let found = self.string()?;
        let Reader { names, unescaped, .. } = &mut *self.reader;
        let key = match found {
            Found::Sent(from, to) => self.text.get(from..to)?,
            Found::Unescaped => unescaped.as_str(),
        };
        let number = names.number(self.before, parent, key);
        self.is_full |= number.is_none();
        number
    }

    /// Any value, under its name.
    #[inline]
    fn value(&mut self, name: u32, place: Place) -> Option<()> {
        let value = match self.bytes.get(self.at)? {
            b'"' => {
                self.at += 1;
                match self.string()? {
                    Found::Sent(from, to) => Value::from(self.text.get(from..to)?),
                    Found::Unescaped => Value::from(self.reader.unescaped.as_str()),
                }
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b'{' | b'[' => return self.nested(name, place),
            b't' => self.word(b"true", Value::Boolean(true))?,
            b'f' => self.word(b"false", Value::Boolean(false))?,
            b'n' => self.word(b"null", Value::Null)?,
            _ => return None,
        };
        self.put(name, value, place)
    }

    fn word(&mut self, word: &[u8], value: Value) -> Option<Value> {
        self.bytes.get(self.at..)?.starts_with(word).then(|| self.at += word.len())?;
        Some(value)
    }

    /// An object or an array; one with nothing in it is an empty list.
    fn nested(&mut self, name: u32, place: Place) -> Option<()> {
        if DEPTH_MAX <= place.depth {
            return None;
        }
        let is_object = self.bytes.get(self.at) == Some(&b'{');
        self.at += 1;
        let is_empty = if is_object {
            let before = self.reader.leaves.len();
            // What stands in an object without a name is named like the document's own keys.
            let parent = if self.reader.names.name(name).is_empty() { ROOT } else { name };
            self.object(parent, place.depth + 1, place.is_element)?;
            before == self.reader.leaves.len() && !self.has_leaves_below(name)?
        } else {
            self.array(name, place.depth)?
        };
        if is_empty { self.put(name, Value::List(Vec::new()), place) } else { Some(()) }
    }

    /// The elements of an array whose bracket is behind, to the closing one; whether there were none.
    fn array(&mut self, name: u32, depth: usize) -> Option<bool> {
        let place = Place { depth: depth + 1, is_flat: false, is_element: true };
        self.skip_space();
        if self.eat(b']').is_some() {
            return Some(true);
        }
        loop {
            self.value(name, place)?;
            self.skip_space();
            match self.bytes.get(self.at)? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(false);
                }
                _ => return None,
            }
            self.skip_space();
        }
    }

    /// Whether a leaf's name begins with this one and a dot.
    fn has_leaves_below(&mut self, name: u32) -> Option<bool> {
        self.reader.looked += self.reader.leaves.len();
        let Reader { names, leaves, looked, .. } = &*self.reader;
        if LOOKS_MAX < *looked {
            return None;
        }
        let path = names.name(name);
        let is_below = |name: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        Some(leaves.iter().any(|leaf| is_below(names.name(leaf.name))))
    }

    /// Adds a value. A name of the document itself with a dot in it wins over the same name nested; otherwise the
    /// last value of a name counts, and elements of an array gather.
    #[inline]
    fn put(&mut self, name: u32, value: Value, place: Place) -> Option<()> {
        let Reader { names, leaves, .. } = &mut *self.reader;
        if LEAVES_MAX <= leaves.len() || (!place.is_flat && PATH_BYTES_MAX < names.name(name).len()) {
            return None;
        }
        let name = names.flat(name);
        match names.place(name) {
            None => {
                names.set_place(name, leaves.len());
                leaves.push(Leaf { name, is_flat: place.is_flat, value });
            }
            Some(at) => {
                let leaf = leaves.get_mut(at)?;
                let holds_flat = leaf.is_flat && names.name(name).contains('.');
                if place.is_element && !holds_flat {
                    leaf.value.push(value);
                } else if place.is_flat || !holds_flat {
                    leaf.value = value;
                }
                leaf.is_flat |= place.is_flat;
            }
        }
        Some(())
    }

    /// A number: short whole ones here, the others as `serde_json` reads them.
    fn number(&mut self) -> Option<Value> {
        /// So many digits always fit in an `i64`.
        const DIGITS: usize = 18;
        let is_negative = self.bytes[self.at] == b'-';
        let first = self.at + usize::from(is_negative);
        let digits = self.bytes.get(first..)?;
        let mut number = 0i64;
        let mut count = 0;
        while let Some(digit @ b'0'..=b'9') = digits.get(count) {
            if count == DIGITS {
                return self.long_number();
            }
            number = number * 10 + i64::from(digit - b'0');
            count += 1;
        }
        let has_more = matches!(digits.get(count), Some(b'.' | b'e' | b'E'));
        if has_more || count == 0 || (digits[0] == b'0' && (count > 1 || is_negative)) {
            return self.long_number();
        }
        self.at = first + count;
        Some(Value::Long(if is_negative { -number } else { number }))
    }

    fn long_number(&mut self) -> Option<Value> {
        let rest = &self.bytes[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let number: serde_json::Number = serde_json::from_slice(&rest[..length]).ok()?;
        self.at += length;
        match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Some(Value::Long(number)),
            (None, Some(number)) => Some(Value::from(number)),
            (None, None) => number.as_f64().map(Value::Double),
        }
    }

    /// A string whose first quote is behind, to the last.
    #[inline]
    fn string(&mut self) -> Option<Found> {
        let from = self.at;
        let to = end_of_plain(self.bytes, from);
        match self.bytes.get(to)? {
            b'"' => {
                self.at = to + 1;
                Some(Found::Sent(from, to))
            }
            b'\\' => self.unescape(from, to),
            _ => None,
        }
    }

    /// A string with a first escape at `to`.
    #[inline(never)]
    fn unescape(&mut self, mut from: usize, mut to: usize) -> Option<Found> {
        let unescaped = &mut self.reader.unescaped;
        unescaped.clear();
        loop {
            if from < to {
                unescaped.push_str(self.text.get(from..to)?);
            }
            match self.bytes.get(to)? {
                b'"' => {
                    self.at = to + 1;
                    return Some(Found::Unescaped);
                }
                b'\\' => {}
                _ => return None,
            }
            from = to + 2;
            match *self.bytes.get(to + 1)? {
                byte @ (b'"' | b'\\' | b'/') => unescaped.push(char::from(byte)),
                b'b' => unescaped.push('\u{8}'),
                b'f' => unescaped.push('\u{c}'),
                b'n' => unescaped.push('\n'),
                b'r' => unescaped.push('\r'),
                b't' => unescaped.push('\t'),
                b'u' => {
                    let (c, used) = unicode_escape(self.bytes.get(to..)?)?;
                    from = to + used;
                    unescaped.push(c);
                }
                _ => return None,
            }
            // Escapes often stand together.
            to = if self.bytes.get(from) == Some(&b'\\') { from } else { end_of_plain(self.bytes, from) };
        }
    }
}

/// The character of `\u....` or of a pair of them, and how many bytes it took. A lone half of a pair is none.
fn unicode_escape(bytes: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
    };
    let first = unit(0)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let second = unit(6).filter(|second| (0xdc00..0xe000).contains(second))?;
    Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, 12))
}

/// The first place from `at` on with a quote, a backslash or a control character; the length where there is none.
#[inline]
pub(super) fn end_of_plain(bytes: &[u8], at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((block, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*block);
        // A byte below 33 after its second bit is turned was a quote or below 32. Borrows only run upwards, and
        // the lowest mark is taken.
        let quote_or_control = (word ^ (ONES * 2)).wrapping_sub(ONES * 33);
        let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
        let marks = (quote_or_control | backslash) & !word & (ONES * 0x80);
        if marks != 0 {
            return bytes.len() - rest.len() + index(marks.trailing_zeros() / 8);
        }
        rest = after;
    }
    end_of_short(bytes, bytes.len() - rest.len())
}

/// [`end_of_plain`] for the last bytes of a text.
#[cold]
fn end_of_short(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..32)) {
        at += 1;
    }
    at
}
