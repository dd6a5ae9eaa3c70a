//! Rule collections of Sigma 1: `action: global`, `reset` and `repeat` documents in, whole documents out.
//!
//! `global` lends its keys to every later document of the file until `reset`; `repeat` is the document before it with
//! keys of its own. Maps merge key by key, and what a document says itself wins. An `id` that is lent belongs to the
//! first document that takes it; later ones get ids made from it. Bounded by [`LENT_NODES_MAX`] a file.
//!
//! Source: the collections of sigmac, which pySigma 2.0 still reads; not in Sigma 2 (`docs/sigma.md`).

use std::sync::Arc;

use crate::error::Fault;
use crate::nearest::did_you_mean;
use crate::parse::derived_id;
use crate::yaml::{Entry, Kind, Node};

/// How many nodes a file may copy from `global` and repeated documents into others.
pub(crate) const LENT_NODES_MAX: usize = 100_000;
/// How many bytes of text such copies may have together.
pub(crate) const LENT_BYTES_MAX: usize = 16 * 1024 * 1024;

const ACTIONS: [&str; 3] = ["global", "reset", "repeat"];

/// A document with its text.
type Written = (Node, Arc<str>);

/// The collection of one file, as far as it was read.
#[derive(Default)]
pub(crate) struct Collection {
    /// Whether an action can stand in the file at all; nothing is kept of the many files without one.
    has_actions: bool,
    global: Option<Written>,
    previous: Option<Written>,
    ids_lent: usize,
    nodes_lent: usize,
    bytes_lent: usize,
}

impl Collection {
    /// Of the file with this text.
    pub(crate) fn new(text: &str) -> Collection {
        Collection { has_actions: text.contains("action"), ..Collection::default() }
    }

    /// The document that this one makes with what others lend; `None` where it only lends itself.
    pub(crate) fn take(&mut self, node: Node, text: &Arc<str>) -> Result<Option<Written>, Fault> {
        if !self.has_actions {
            return Ok(Some((node, Arc::clone(text))));
        }
        let action = node.get("action").map(|action| (action.place, action.text().unwrap_or_default().to_owned()));
        let Some((place, action)) = action else {
            let whole = match self.global.clone() {
                Some(global) => self.merged(&global, node, text)?,
                None => (node, Arc::clone(text)),
            };
            self.previous = whole.0.map().is_some().then(|| whole.clone());
            return Ok(Some(whole));
        };
        match action.as_str() {
            "global" => {
                self.global = Some((node, Arc::clone(text)));
                self.previous = None;
                Ok(None)
            }
            "reset" => {
                self.global = None;
                Ok(None)
            }
            "repeat" => {
                let previous = self.previous.clone().ok_or_else(|| {
                    Fault::new(place, "`action: repeat` has no rule before it to repeat; write the rule out".into())
                })?;
                let whole = self.merged(&previous, node, text)?;
                self.previous = Some(whole.clone());
                Ok(Some(whole))
            }
            other => {
                let (shown, near) = (other.chars().take(40).collect::<String>(), did_you_mean(other, ACTIONS));
                let reason =
                    format!("unknown action `{shown}`{near}; write global, reset or repeat, or each rule by itself");
                Err(Fault::new(place, reason))
            }
        }
    }

    /// A document that is broken repeats nothing.
    pub(crate) fn forget(&mut self) {
        self.previous = None;
    }

    fn merged(&mut self, (base, base_text): &Written, node: Node, text: &Arc<str>) -> Result<Written, Fault> {
        let place = node.place;
        self.nodes_lent += count(base);
        self.bytes_lent += base_text.len();
        if LENT_NODES_MAX < self.nodes_lent || LENT_BYTES_MAX < self.bytes_lent {
            let reason =
                format!("the actions of this file repeat more than {LENT_NODES_MAX} values; write fewer rules a file");
            return Err(Fault::new(place, reason));
        }
        let has_id = node.get("id").is_some();
        let mut whole = merge(base, node);
        whole.place = place;
        if let (false, Kind::Map(entries)) = (has_id, &mut whole.kind)
            && let Some(Entry { value: Node { kind: Kind::Scalar { text: id, .. }, .. }, .. }) =
                entries.iter_mut().find(|entry| entry.key == "id")
        {
            if 0 < self.ids_lent || base.get("action").is_none() {
                *id = derived_id(&format!("{id}\0{}", self.ids_lent));
            }
            self.ids_lent += 1;
        }
        Ok((whole, Arc::from(format!("{}\n{text}", base_text.trim_end()))))
    }
}

/// `over` on top of `base`, without their `action`.
fn merge(base: &Node, over: Node) -> Node {
    let (Kind::Map(under), Kind::Map(own)) = (&base.kind, &over.kind) else { return over };
    let mut entries: Vec<Entry> = under.iter().filter(|entry| entry.key != "action").cloned().collect();
    for entry in own.iter().filter(|entry| entry.key != "action").cloned() {
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => *known = Entry { value: merge(&known.value, entry.value), ..entry },
            None => entries.push(entry),
        }
    }
    Node { kind: Kind::Map(entries), place: over.place }
}

fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 1,
        Kind::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|entry| count(&entry.value)).sum::<usize>(),
    }
}
