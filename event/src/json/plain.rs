//! The plain reader: `serde_json` calls back for each value, which is written down under its path.
//!
//! In: bytes. Out: [`Leaves`], or what is wrong and where. Slower than [`super::reader`], which leaves to it what it
//! does not read itself, and which is compared with it in tests.

use std::fmt;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::{DEPTH_MAX, JsonError, LEAVES_MAX, LOOKS_MAX, Leaves, PATH_BYTES_MAX};
use crate::value::{Text, Value};

/// Reads one JSON object and flattens it.
///
/// # Errors
/// As [`super::flatten`].
pub fn flatten(bytes: &[u8]) -> Result<Leaves, JsonError> {
    let mut sink = Sink {
        path: String::new(),
        leaves: Vec::with_capacity(48),
        flat: HashSet::new(),
        places: HashMap::new(),
        looked: 0,
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let result = Node { sink: &mut sink, depth: 0 }.deserialize(&mut reader).and_then(|()| reader.end());
    match result {
        Ok(()) => Ok(sink.leaves),
        Err(error) => Err(JsonError { reason: plain_reason(&error), offset: offset_of(bytes, &error) }),
    }
}

/// The reason without serde_json's own "at line 1 column 2", which the offset says already.
fn plain_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

fn offset_of(bytes: &[u8], error: &serde_json::Error) -> usize {
    let before: usize =
        bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    (before + error.column().saturating_sub(1)).min(bytes.len())
}

struct Sink {
    path: String,
    leaves: Leaves,
    /// Places in `leaves` of names that were one key with a dot in it.
    flat: HashSet<usize>,
    /// How many names were looked at for empty objects.
    looked: usize,
    /// Places in `leaves` by name, once there are many: looking through them all for each would take too long.
    places: HashMap<Text, usize>,
}

/// Up to so many leaves are looked through one by one.
const LEAVES_SCANNED: usize = 64;

impl Sink {
    /// Where the leaf of the path stands.
    fn place(&self) -> Option<usize> {
        if self.leaves.len() <= LEAVES_SCANNED {
            return self.leaves.iter().position(|(name, _)| *name == self.path.as_str());
        }
        self.places.get(self.path.as_str()).copied()
    }

    /// Whether a name begins with the path and a dot.
    fn has_leaves_below(&mut self) -> Result<bool, &'static str> {
        self.looked += self.leaves.len();
        if LOOKS_MAX < self.looked {
            return Err("more empty objects among leaves than can be told apart");
        }
        let is_below = |name: &str| name.strip_prefix(&*self.path).is_some_and(|rest| rest.starts_with('.'));
        Ok(self.leaves.iter().any(|(name, _)| is_below(name)))
    }

    fn add(&mut self, value: Value) {
        let name = Text::from(&self.path);
        if LEAVES_SCANNED <= self.leaves.len() {
            if self.places.is_empty() {
                self.places = self.leaves.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
            }
            self.places.insert(name.clone(), self.leaves.len());
        }
        self.leaves.push((name, value));
    }

    fn push(&mut self, value: Value, is_flat: bool, is_element: bool) -> Result<(), &'static str> {
        if LEAVES_MAX <= self.leaves.len() {
            return Err("more leaves than one event may have");
        }
        if !is_flat && PATH_BYTES_MAX < self.path.len() {
            return Err("a name of several keys longer than 1024 bytes");
        }
        let at = self.place();
        match at {
            Some(at) if is_element && !self.flat.contains(&at) => self.leaves[at].1.push(value),
            Some(at) if is_flat || !self.flat.contains(&at) => self.leaves[at].1 = value,
            Some(_) => {}
            None => self.add(value),
        }
        if is_flat && self.path.contains('.') {
            self.flat.insert(at.unwrap_or(self.leaves.len() - 1));
        }
        Ok(())
    }
}

/// One value of the document, at the sink's path.
struct Node<'a> {
    sink: &'a mut Sink,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // The document itself must be an object; the visitor of the root accepts nothing else.
        deserializer.deserialize_map(ObjectVisitor { sink: self.sink, depth: self.depth })
    }
}

struct ObjectVisitor<'a> {
    sink: &'a mut Sink,
    depth: usize,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        object(self.sink, self.depth, false, &mut map)
    }
}

fn object<'de, A: MapAccess<'de>>(sink: &mut Sink, depth: usize, in_array: bool, map: &mut A) -> Result<(), A::Error> {
    let length = sink.path.len();
    while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
        if length > 0 {
            sink.path.push('.');
        }
        sink.path.push_str(&key);
        map.next_value_seed(Leaf { sink, depth, is_flat: length == 0, is_element: in_array })?;
        sink.path.truncate(length);
    }
    Ok(())
}

struct Leaf<'a> {
    sink: &'a mut Sink,
    depth: usize,
    is_flat: bool,
    is_element: bool,
}

impl Leaf<'_> {
    fn put<E: Error>(self, value: Value) -> Result<(), E> {
        self.sink.push(value, self.is_flat, self.is_element).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Leaf<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Leaf<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.put(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.put(Value::Boolean(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.put(Value::Long(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.put(Value::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.put(Value::Double(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.put(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        check_depth(self.depth)?;
        let mut is_empty = true;
        while seq
            .next_element_seed(Leaf { sink: self.sink, depth: self.depth + 1, is_flat: false, is_element: true })?
            .is_some()
        {
            is_empty = false;
        }
        if is_empty { self.put(Value::List(Vec::new())) } else { Ok(()) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        check_depth(self.depth)?;
        let before = self.sink.leaves.len();
        object(self.sink, self.depth + 1, self.is_element, &mut map)?;
        if before == self.sink.leaves.len() && !self.sink.has_leaves_below().map_err(A::Error::custom)? {
            return self.put(Value::List(Vec::new()));
        }
        Ok(())
    }
}

fn check_depth<E: Error>(depth: usize) -> Result<(), E> {
    if DEPTH_MAX <= depth { Err(E::custom("nested deeper than 64 levels")) } else { Ok(()) }
}
