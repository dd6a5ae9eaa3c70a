//! `Reader`: one JSON object to flattened leaves in one pass over its text.
//!
//! In: text. Out: a [`Document`]: dotted names, which are slices of the text where they stand in it, their hashes
//! and their values. Promise: what it reads, the plain reader ([`super::plain`]) reads the same; whatever is
//! unusual (broken JSON, a bound passed) is left to the plain reader, which says what is wrong and where. The
//! buffers are kept from one document to the next, up to [`KEPT_BYTES_MAX`].
//! Source: RFC 8259. Strings are looked at eight bytes at a time; D. Lemire's test finds quotes and control
//! characters in one comparison.

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use foldhash::fast::RandomState;

use super::{DEPTH_MAX, JsonError, LEAVES_MAX, LOOKS_MAX, Leaves, PATH_BYTES_MAX, plain};
use crate::value::{Text, Value};

/// How many bytes of buffers a reader keeps between documents.
pub const KEPT_BYTES_MAX: usize = 1 << 20;
/// How many slots the table of names has at first; twice the leaves of nearly all documents.
const SLOTS: usize = 128;

/// One seed for the process, so that a name's hash is the same in all documents.
static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Reads documents, one after another.
#[derive(Debug)]
pub struct Reader {
    leaves: Vec<Leaf>,
    /// The names that do not stand in the text as they are: made of several keys, or of one with escapes.
    joined: String,
    /// The name of what is being read, where it is made of several keys or has escapes.
    path: String,
    /// The text of a string with escapes.
    unescaped: String,
    /// Leaves by hash of their name, open addressing: place and 1; 0 is free. A power of two.
    slots: Vec<u32>,
    hashes: RandomState,
    /// How many names were looked at for empty objects.
    looked: usize,
}

#[derive(Debug)]
struct Leaf {
    name: Name,
    hash: u64,
    /// The name was one key of the document itself.
    is_flat: bool,
    value: Value,
}

/// Where a name stands.
#[derive(Clone, Copy, Debug)]
enum Name {
    /// In the document's text, from and to.
    Sent(u32, u32),
    /// In `joined`, from and to.
    Joined(u32, u32),
}

/// A string of the document.
enum Found {
    /// It stands in the text, from and to.
    Sent(usize, usize),
    /// It had escapes and stands in `unescaped`.
    Unescaped,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader {
            leaves: Vec::new(),
            joined: String::new(),
            path: String::new(),
            unescaped: String::new(),
            slots: Vec::new(),
            hashes: HASHES.clone(),
            looked: 0,
        }
    }
}

impl Reader {
    /// Reads one JSON object and flattens it.
    ///
    /// # Errors
    /// As [`super::flatten`].
    pub fn read<'a>(&'a mut self, text: &'a str) -> Result<Document<'a>, JsonError> {
        if !self.read_usual(text) {
            self.clear();
            self.fill(plain::flatten(text.as_bytes())?);
        }
        Ok(Document { text, reader: self })
    }

    /// A document of leaves that were read already, each name once.
    pub fn hold(&mut self, leaves: Leaves) -> Document<'_> {
        self.clear();
        self.fill(leaves);
        Document { text: "", reader: self }
    }

    /// Reads a document with nothing unusual about it; `false` where the plain reader has to look at it.
    pub(super) fn read_usual(&mut self, text: &str) -> bool {
        self.clear();
        let mut cursor = Cursor { text, bytes: text.as_bytes(), at: 0, reader: self };
        u32::try_from(text.len()).is_ok() && cursor.document().is_some()
    }

    /// Makes room for the next document; lets go of what a huge one left behind.
    fn clear(&mut self) {
        let kept = self.leaves.capacity() * size_of::<Leaf>()
            + self.joined.capacity()
            + self.path.capacity()
            + self.unescaped.capacity()
            + self.slots.capacity() * size_of::<u32>();
        if KEPT_BYTES_MAX < kept {
            *self = Reader::default();
        }
        self.leaves.clear();
        self.joined.clear();
        self.path.clear();
        self.looked = 0;
        if self.slots.len() == SLOTS {
            self.slots.fill(0);
        } else {
            self.slots.clear();
            self.slots.resize(SLOTS, 0);
        }
    }

    /// Takes what the plain reader read.
    fn fill(&mut self, leaves: Leaves) {
        for (name, value) in leaves {
            let hash = self.hash(&name);
            if let Err(slot) = self.place("", &name, hash) {
                let name = self.join(&name);
                self.append(slot, Leaf { name, hash, is_flat: false, value });
            }
        }
    }

    #[inline]
    fn hash(&self, name: &str) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    /// Keeps a name that does not stand in the text.
    fn join(&mut self, name: &str) -> Name {
        let from = self.joined.len();
        self.joined.push_str(name);
        // The bounds of leaves and paths keep this far below `u32`.
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Name::Joined(place(from), place(self.joined.len()))
    }

    /// Where the leaf of this name stands, or the free slot that is for it.
    #[inline]
    fn place(&self, text: &str, name: &str, hash: u64) -> Result<usize, usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = slot_of(hash) & mask;
        loop {
            let at = match self.slots.get(slot) {
                None | Some(0) => return Err(slot),
                Some(place) => index(*place - 1),
            };
            match self.leaves.get(at) {
                Some(leaf) if leaf.hash != hash || leaf.name.of(text, &self.joined) != name => {}
                _ => return Ok(at),
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds a leaf at the free slot that is for it.
    #[inline]
    fn append(&mut self, slot: usize, leaf: Leaf) {
        self.leaves.push(leaf);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = u32::try_from(self.leaves.len()).unwrap_or(u32::MAX);
        }
        if self.slots.len() <= self.leaves.len() * 2 {
            self.grow();
        }
    }

    /// Doubles the table, so that at most half of it is taken.
    #[cold]
    fn grow(&mut self) {
        let length = self.slots.len().max(SLOTS / 2) * 2;
        self.slots.clear();
        self.slots.resize(length, 0);
        for (leaf, place) in self.leaves.iter().zip(1u32..) {
            let mut slot = slot_of(leaf.hash) & (length - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (length - 1);
            }
            self.slots[slot] = place;
        }
    }
}

fn slot_of(hash: u64) -> usize {
    index(u32::try_from(hash >> 32).unwrap_or_default())
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Name {
    #[inline]
    fn of<'a>(self, text: &'a str, joined: &'a str) -> &'a str {
        match self {
            Name::Sent(from, to) => text.get(index(from)..index(to)),
            Name::Joined(from, to) => joined.get(index(from)..index(to)),
        }
        .unwrap_or_default()
    }
}

/// A document that was read: its leaves in the order first seen, each name once.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
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
        let at = self.reader.place(self.text, name, self.reader.hash(name)).ok()?;
        Some(&self.reader.leaves[at].value)
    }

    /// Name and value of the leaf at this place.
    ///
    /// # Panics
    /// There are not so many leaves.
    #[inline]
    pub fn leaf(&self, at: usize) -> (&str, &Value) {
        let leaf = &self.reader.leaves[at];
        (leaf.name.of(self.text, &self.reader.joined), &leaf.value)
    }

    /// Name, its hash (the same for the same name as long as the process lives) and value of all leaves.
    pub fn hashed(&self) -> impl Iterator<Item = (&str, u64, &Value)> {
        let named = |leaf: &Leaf| leaf.name.of(self.text, &self.reader.joined);
        self.reader.leaves.iter().map(move |leaf| (named(leaf), leaf.hash, &leaf.value))
    }

    /// All names and values.
    pub fn leaves(&self) -> impl Iterator<Item = (&str, &Value)> {
        let named = |leaf: &Leaf| leaf.name.of(self.text, &self.reader.joined);
        self.reader.leaves.iter().map(move |leaf| (named(leaf), &leaf.value))
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
        (0..self.len())
            .map(|at| {
                let value = self.take(at);
                (Text::from(self.leaf(at).0), value)
            })
            .collect()
    }
}

/// A place in a document's text. `None` of its methods is whatever the plain reader has to look at.
struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
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
        self.object(0, false)?;
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

    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.bytes.get(self.at) == Some(&wanted)).then(|| self.at += 1)
    }

    /// The members of an object whose brace is behind, to the closing one.
    fn object(&mut self, depth: usize, is_element: bool) -> Option<()> {
        let length = self.reader.path.len();
        let place = Place { depth, is_flat: length == 0, is_element };
        self.skip_space();
        if self.eat(b'}').is_some() {
            return Some(());
        }
        loop {
            self.eat(b'"')?;
            let sent = match self.string()? {
                Found::Sent(from, to) if length == 0 => Some((from, to)),
                Found::Sent(from, to) => {
                    self.reader.path.push('.');
                    self.reader.path.push_str(self.text.get(from..to)?);
                    None
                }
                Found::Unescaped => {
                    if length > 0 {
                        self.reader.path.push('.');
                    }
                    self.reader.path.push_str(&self.reader.unescaped);
                    None
                }
            };
            self.skip_space();
            self.eat(b':')?;
            self.skip_space();
            self.value(sent, place)?;
            self.reader.path.truncate(length);
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

    /// Any value. Its name stands in the text where `sent` says so, else it is the path.
    fn value(&mut self, sent: Option<(usize, usize)>, place: Place) -> Option<()> {
        let value = match self.bytes.get(self.at)? {
            b'"' => {
                self.at += 1;
                match self.string()? {
                    Found::Sent(from, to) => Value::from(self.text.get(from..to)?),
                    Found::Unescaped => Value::from(self.reader.unescaped.as_str()),
                }
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b'{' | b'[' => return self.nested(sent, place),
            b't' => self.word(b"true", Value::Boolean(true))?,
            b'f' => self.word(b"false", Value::Boolean(false))?,
            b'n' => self.word(b"null", Value::Null)?,
            _ => return None,
        };
        self.put(sent, value, place)
    }

    fn word(&mut self, word: &[u8], value: Value) -> Option<Value> {
        self.bytes.get(self.at..)?.starts_with(word).then(|| self.at += word.len())?;
        Some(value)
    }

    /// An object or an array; one with nothing in it is an empty list.
    fn nested(&mut self, sent: Option<(usize, usize)>, place: Place) -> Option<()> {
        if DEPTH_MAX <= place.depth {
            return None;
        }
        if let Some((from, to)) = sent {
            self.reader.path.push_str(self.text.get(from..to)?);
        }
        let is_object = self.bytes.get(self.at) == Some(&b'{');
        self.at += 1;
        let is_empty = if is_object {
            let before = self.reader.leaves.len();
            self.object(place.depth + 1, place.is_element)?;
            before == self.reader.leaves.len() && !self.has_leaves_below()?
        } else {
            self.array(place.depth)?
        };
        if is_empty { self.put(None, Value::List(Vec::new()), place) } else { Some(()) }
    }

    /// The elements of an array whose bracket is behind, to the closing one; whether there were none.
    fn array(&mut self, depth: usize) -> Option<bool> {
        let place = Place { depth: depth + 1, is_flat: false, is_element: true };
        self.skip_space();
        if self.eat(b']').is_some() {
            return Some(true);
        }
        let length = self.reader.path.len();
        loop {
            self.value(None, place)?;
            self.reader.path.truncate(length);
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

    /// Whether a name begins with the path and a dot.
    fn has_leaves_below(&mut self) -> Option<bool> {
        self.reader.looked += self.reader.leaves.len();
        let reader = &*self.reader;
        if LOOKS_MAX < reader.looked {
            return None;
        }
        let is_below = |name: &str| name.strip_prefix(&*reader.path).is_some_and(|rest| rest.starts_with('.'));
        Some(reader.leaves.iter().any(|leaf| is_below(leaf.name.of(self.text, &reader.joined))))
    }

    /// Adds a value. A name of the document itself with a dot in it wins over the same name nested; otherwise the
    /// last value of a name counts, and elements of an array gather.
    fn put(&mut self, sent: Option<(usize, usize)>, value: Value, place: Place) -> Option<()> {
        let reader = &mut *self.reader;
        if LEAVES_MAX <= reader.leaves.len() || (!place.is_flat && PATH_BYTES_MAX < reader.path.len()) {
            return None;
        }
        let name = match sent {
            Some((from, to)) => self.text.get(from..to)?,
            None => reader.path.as_str(),
        };
        let hash = reader.hash(name);
        let at = match reader.place(self.text, name, hash) {
            Ok(at) => at,
            Err(slot) => {
                let name = match sent {
                    Some((from, to)) => Name::Sent(u32::try_from(from).ok()?, u32::try_from(to).ok()?),
                    None => {
                        let path = std::mem::take(&mut reader.path);
                        let name = reader.join(&path);
                        reader.path = path;
                        name
                    }
                };
                reader.append(slot, Leaf { name, hash, is_flat: place.is_flat, value });
                return Some(());
            }
        };
        let holds_flat = reader.leaves[at].is_flat && name.contains('.');
        let leaf = &mut reader.leaves[at];
        if place.is_element && !holds_flat {
            leaf.value.push(value);
        } else if place.is_flat || !holds_flat {
            leaf.value = value;
        }
        leaf.is_flat |= place.is_flat;
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
        self.reader.unescaped.clear();
        loop {
            self.reader.unescaped.push_str(self.text.get(from..to)?);
            match self.bytes.get(to)? {
                b'"' => {
                    self.at = to + 1;
                    return Some(Found::Unescaped);
                }
                b'\\' => {}
                _ => return None,
            }
            from = to + 2;
            let c = match self.bytes.get(to + 1)? {
                b'"' => '"',
                b'\\' => '\\',
                b'/' => '/',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let (c, used) = unicode_escape(self.bytes.get(to..)?)?;
                    from = to + used;
                    c
                }
                _ => return None,
            };
            self.reader.unescaped.push(c);
            to = end_of_plain(self.bytes, from);
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
fn end_of_plain(bytes: &[u8], at: usize) -> usize {
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
