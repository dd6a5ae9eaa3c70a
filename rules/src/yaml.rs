//! YAML text in, a small tree of nodes with line and column out; every size a stranger controls is bounded.
//!
//! Scalars keep their text and whether they were written plain; what a plain `4625` or `true` means is
//! decided by whoever reads the node ([`Node::scalar`]). A repeated key in a map is an error with its line:
//! plain YAML loaders keep the last one silently, and in a detection that is always a lost condition.
//! Aliases are expanded, up to [`ALIAS_NODES_MAX`] and [`ALIAS_BYTES_MAX`] (the "billion laughs" bomb).
//!
//! Source: YAML 1.2.2; scalar types as decided in `docs/sigma.md` (YAML 1.1 `yes`/`no`, octal, sexagesimal
//! and dates stay text). Events come from the crate `saphyr-parser`.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use crate::error::Fault;

/// How large one document may be, in bytes. The largest public rule has 295 KB.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// How large a file may be, in bytes.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many documents one file may hold.
pub const DOCUMENTS_MAX: usize = 10_000;
/// How many nodes one document may have, aliases expanded.
pub const NODES_MAX: usize = 200_000;
/// How many nodes aliases may add (pySigma 2.0.1 has the same bound).
pub const ALIAS_NODES_MAX: usize = 10_000;
/// How many bytes of text aliases may add.
pub const ALIAS_BYTES_MAX: usize = 1024 * 1024;
/// How many keys one map may have; each new key is compared with those before it.
pub const KEYS_MAX: usize = 2_000;
/// How deep lists and maps may nest. Public rules reach 6.
pub const DEPTH_MAX: usize = 32;

/// A place in a file: line and column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub place: Place,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Text as written (quotes and YAML escapes resolved); plain when it had no quotes.
    Scalar {
        /// The text.
        text: String,
        /// Written without quotes and not as a block.
        is_plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written, no key twice.
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key as text.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub value: Node,
}

/// A scalar with its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Quoted text, or plain text that is nothing else.
    Text(&'a str),
    /// A plain number, with its text.
    Number(f64, &'a str),
    /// Plain `true` or `false`.
    Boolean(bool),
    /// Plain `null`, `~`, or nothing at all.
    Null,
}

impl Node {
    /// The scalar with its type; `None` for lists and maps.
    pub fn scalar(&self) -> Option<Scalar<'_>> {
        match &self.kind {
            Kind::Scalar { text, is_plain: false } => Some(Scalar::Text(text)),
            Kind::Scalar { text, is_plain: true } => Some(resolve(text)),
            _ => None,
        }
    }

    /// The text of a scalar that is not null, whatever its type.
    pub fn text(&self) -> Option<&str> {
        match (&self.kind, self.scalar()) {
            (_, Some(Scalar::Null)) => None,
            (Kind::Scalar { text, .. }, _) => Some(text),
            _ => None,
        }
    }

    /// Whether it is a plain null.
    pub fn is_null(&self) -> bool {
        self.scalar() == Some(Scalar::Null)
    }

    /// The entries of a map.
    pub fn map(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn list(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.map()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// What it is, for messages.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Scalar { .. } => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

/// The type of a plain scalar. Numbers are whole, hexadecimal, or have a decimal point; everything that
/// loaders of YAML 1.1 and 1.2 read differently (`yes`, `017` aside, `1_000`, `1:30`, `2026-01-01`) is text.
fn resolve(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Boolean(true),
        "false" | "False" | "FALSE" => return Scalar::Boolean(false),
        _ => {}
    }
    number(text).map_or(Scalar::Text(text), |value| Scalar::Number(value, text))
}

/// The number a plain scalar is: `[+-]digits`, `[+-]digits.digits[e[+-]digits]`, or `0x` and hexadecimal digits.
pub fn number(text: &str) -> Option<f64> {
    if let Some(digits) = text.strip_prefix("0x") {
        #[expect(clippy::cast_precision_loss, reason = "13 hexadecimal digits fit a double exactly")]
        return match digits.len() {
            1..=13 => u64::from_str_radix(digits, 16).ok().map(|value| value as f64),
            _ => None,
        };
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) || 40 < text.len() {
        return None;
    }
    let digits_end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let rest = &unsigned[digits_end..];
    (rest.is_empty() || rest.starts_with('.')).then(|| text.parse().ok()).flatten()
}

/// A stretch of a file that holds one YAML document (or several, where `...` divides them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The text, with the `---` line at its front.
    pub text: &'a str,
    /// The line of the file it begins at, from 1.
    pub line: usize,
}

/// Splits a file at its `---` lines, so that a broken document does not take its neighbors with it. YAML
/// allows no other meaning to `---` at the front of a line (YAML 1.2.2, rule c-forbidden).
///
/// Chunks without content (comments, directives, blank lines) are left out.
pub fn chunks(text: &str) -> Vec<Chunk<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut chunks = Vec::new();
    let (mut start, mut start_line, mut has_content) = (0, 1, false);
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let marker_rest =
            line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        let content = match marker_rest {
            Some(rest) => {
                if has_content {
                    chunks.push(Chunk { text: &text[start..offset], line: start_line });
                }
                (start, start_line, has_content) = (offset, index + 1, false);
                rest.trim()
            }
            None => line.trim(),
        };
        has_content |= !content.is_empty() && !content.starts_with('#') && !line.starts_with('%') && content != "...";
        offset += line.len();
    }
    if has_content {
        chunks.push(Chunk { text: &text[start..], line: start_line });
    }
    chunks
}

/// The documents of a chunk. Fails at the first thing that is not YAML, or is over a bound.
pub fn parse(chunk: Chunk<'_>) -> Result<Vec<Node>, Fault> {
    if DOCUMENT_BYTES_MAX < chunk.text.len() {
        let place = Place { line: chunk.line, column: 1 };
        return Err(Fault::new(
            place,
            format!("the document is larger than {DOCUMENT_BYTES_MAX} bytes; split it into several rules"),
        ));
    }
    Builder::new(chunk).run()
}

/// Whether a scalar's text says of what type it is. `!!str` makes it text, the other core tags say what is read
/// anyway; a tag of someone else would be ignored silently, and is refused.
fn is_plain(style: ScalarStyle, tag: Option<&Tag>, place: Place) -> Result<bool, Fault> {
    let Some(tag) = tag else { return Ok(style == ScalarStyle::Plain) };
    match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
        (true, "str") | (false, "") => Ok(false),
        (true, "int" | "float" | "bool" | "null") => Ok(true),
        (true, "seq" | "map") => Ok(style == ScalarStyle::Plain),
        (_, suffix) => {
            let shown: String = suffix.chars().take(40).collect();
            Err(Fault::new(place, format!("the YAML tag `{shown}` has no meaning in a rule; leave it out")))
        }
    }
}

/// The entries of a map with those that `<<` lends it, from one map or several; what stands in the map itself wins.
/// YAML 1.1 has this, and Python's loader, which public rules are tested with.
fn merged(mut entries: Vec<Entry>) -> Result<Vec<Entry>, Fault> {
    let Some(at) = entries.iter().position(|entry| entry.key == "<<") else { return Ok(entries) };
    let lent = entries.remove(at);
    let lenders = match &lent.value.kind {
        Kind::List(maps) => maps.as_slice(),
        _ => std::slice::from_ref(&lent.value),
    };
    for lender in lenders {
        let Some(others) = lender.map() else {
            let reason = format!("`<<` takes the entries of a map, this is {}", lender.kind_name());
            return Err(Fault::new(lender.place, reason));
        };
        for other in others {
            if KEYS_MAX <= entries.len() {
                return Err(Fault::new(lent.place, format!("the map has more than {KEYS_MAX} keys")));
            }
            if !entries.iter().any(|entry| entry.key == other.key) {
                entries.push(other.clone());
            }
        }
    }
    Ok(entries)
}

/// A list or map whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    nodes_before: usize,
    bytes_before: usize,
    content: OpenContent,
}

enum OpenContent {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Place)> },
}

/// An anchored node with its weight.
struct Anchored {
    node: Node,
    nodes: usize,
    bytes: usize,
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    line_offset: usize,
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    documents: Vec<Node>,
    nodes: usize,
    bytes: usize,
    alias_nodes: usize,
    alias_bytes: usize,
    kept_nodes: usize,
    kept_bytes: usize,
}

impl<'a> Builder<'a> {
    fn new(chunk: Chunk<'a>) -> Builder<'a> {
        Builder {
            parser: Parser::new_from_str(chunk.text),
            line_offset: chunk.line - 1,
            stack: Vec::new(),
            anchors: HashMap::new(),
            documents: Vec::new(),
            nodes: 0,
            bytes: 0,
            alias_nodes: 0,
            alias_bytes: 0,
            kept_nodes: 0,
            kept_bytes: 0,
        }
    }

    fn place(&self, marker: Marker) -> Place {
        Place { line: marker.line().max(1) + self.line_offset, column: marker.col() + 1 }
    }

    fn run(mut self) -> Result<Vec<Node>, Fault> {
        while let Some(next) = self.parser.next_event() {
            match next {
                Ok((event, span)) => self.take(event, span)?,
                Err(error) => {
                    return Err(Fault::new(self.place(*error.marker()), format!("not YAML: {}", error.info())));
                }
            }
        }
        Ok(self.documents)
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let place = self.place(span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
            Event::DocumentEnd => self.anchors.clear(),
            Event::Alias(anchor) => {
                let node = self.alias(anchor, place)?;
                self.add(node)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(place, text.len())?;
                let bytes = text.len();
                let is_plain = is_plain(style, tag.as_deref(), place)?;
                let kind = Kind::Scalar { text: text.into_owned(), is_plain };
                let node = Node { kind, place };
                self.keep(anchor, &node, 1, bytes);
                self.add(node)?;
            }
            Event::SequenceStart(anchor, tag) => {
                is_plain(ScalarStyle::Plain, tag.as_deref(), place)?;
                self.open(place, anchor, OpenContent::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                is_plain(ScalarStyle::Plain, tag.as_deref(), place)?;
                self.open(place, anchor, OpenContent::Map { entries: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
        }
        Ok(())
    }

    /// Counts a node and its text against the bounds.
    fn count(&mut self, place: Place, bytes: usize) -> Result<(), Fault> {
        self.nodes += 1;
        self.bytes += bytes;
        if NODES_MAX < self.nodes {
            return Err(Fault::new(
                place,
                format!("the document has more than {NODES_MAX} values; split it into several rules"),
            ));
        }
        Ok(())
    }

    fn open(&mut self, place: Place, anchor: usize, content: OpenContent) -> Result<(), Fault> {
        self.count(place, 0)?;
        if DEPTH_MAX <= self.stack.len() {
            return Err(Fault::new(place, format!("lists and maps nest more than {DEPTH_MAX} deep")));
        }
        let (nodes_before, bytes_before) = (self.nodes - 1, self.bytes);
        self.stack.push(Open { place, anchor, nodes_before, bytes_before, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let kind = match open.content {
            OpenContent::List(items) => Kind::List(items),
            OpenContent::Map { entries, .. } => Kind::Map(merged(entries)?),
        };
        let node = Node { kind, place: open.place };
        self.keep(open.anchor, &node, self.nodes - open.nodes_before, self.bytes - open.bytes_before);
        self.add(node)
    }

    /// Remembers an anchored node for its aliases.
    fn keep(&mut self, anchor: usize, node: &Node, nodes: usize, bytes: usize) {
        if anchor == 0 {
            return;
        }
        // What is over the bound anyway is not worth a copy; an alias to it fails.
        self.kept_nodes += nodes;
        self.kept_bytes += bytes;
        if self.kept_nodes <= 10 * ALIAS_NODES_MAX && self.kept_bytes <= 10 * ALIAS_BYTES_MAX {
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, bytes });
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node, Fault> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Fault::new(
                place,
                "the alias refers to something that is not there, or is too large to repeat".into(),
            ));
        };
        self.alias_nodes += anchored.nodes;
        self.alias_bytes += anchored.bytes;
        self.nodes += anchored.nodes;
        self.bytes += anchored.bytes;
        if ALIAS_NODES_MAX < self.alias_nodes || ALIAS_BYTES_MAX < self.alias_bytes || NODES_MAX < self.nodes {
            let reason = format!("aliases repeat more than {ALIAS_NODES_MAX} values; write the values out");
            return Err(Fault::new(place, reason));
        }
        Ok(anchored.node.clone())
    }

    /// Puts a finished node where it belongs: into the innermost open list or map, or among the documents.
    fn add(&mut self, node: Node) -> Result<(), Fault> {
        let Some(open) = self.stack.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.content {
            OpenContent::List(items) => items.push(node),
            OpenContent::Map { entries, key } => match key.take() {
                None => {
                    let Kind::Scalar { text, .. } = node.kind else {
                        return Err(Fault::new(node.place, "a key of a map must be a single value".into()));
                    };
                    *key = Some((text, node.place));
                }
                Some((key, place)) => entries.push(Entry { key, place, value: node }),
            },
        }
        if let OpenContent::Map { entries, key: None } = &open.content
            && let Some((last, before)) = entries.split_last()
        {
            if KEYS_MAX <= before.len() {
                return Err(Fault::new(last.place, format!("the map has more than {KEYS_MAX} keys")));
            }
            let Some(first) = before.iter().find(|entry| entry.key == last.key) else { return Ok(()) };
            let reason = format!(
                "the key `{}` stands here twice (first in line {}); only one would count",
                last.key, first.place.line
            );
            return Err(Fault::new(last.place, reason));
        }
        Ok(())
    }
}
