//! `Kept`: plans of templates that stay from chunk to chunk and from file to file. Every chunk carries its templates
//! anew, mostly the same ones, and compiling them costs as much as reading several records.
//!
//! In: a definition's place in a chunk. Out: its plan, if the same definition was compiled before. Promise: a plan is
//! given for the definition it was compiled from and no other: what a file says of a template (its GUID) is only where
//! to look, every byte is compared, and names, which stand elsewhere in each chunk, by what they say. Bounded:
//! [`KEPT_BYTES_MAX`]; past it everything is forgotten.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use super::cursor::Cursor;
use super::plan::{NameAt, Place, Plan};

/// How many bytes of definitions are kept; Windows' own templates of a busy server are some hundred KiB.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// How many definitions of one GUID, length and place are kept: names may stand in a definition or be referred to.
const SAME_KEY_MAX: usize = 16;

/// Where a definition stands in a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition<'a> {
    pub chunk: &'a [u8],
    pub guid: [u8; 16],
    /// Its first token, and where it ends.
    pub start: usize,
    pub end: usize,
    /// Where in the event it is used.
    pub place: Place,
}

/// See the module.
pub(super) struct Kept {
    plans: HashMap<([u8; 16], usize, Place), Vec<KeptPlan>>,
    bytes: usize,
}

struct KeptPlan {
    definition: Box<[u8]>,
    names: Vec<KeptName>,
    plan: Arc<Plan>,
}

/// A reference to a name in a definition.
struct KeptName {
    /// Where in the definition.
    at: usize,
    /// The name itself follows.
    is_inline: bool,
    /// Its count of characters and its characters.
    name: Box<[u8]>,
}

impl Kept {
    pub fn new() -> Kept {
        Kept { plans: HashMap::with_capacity(64), bytes: 0 }
    }

    /// The plan that this definition was compiled to before.
    pub fn find(&self, wanted: Definition<'_>) -> Option<Arc<Plan>> {
        let key = (wanted.guid, wanted.end.checked_sub(wanted.start)?, wanted.place);
        let same = self.plans.get(&key)?;
        same.iter().find(|kept| kept.is_of(wanted).unwrap_or(false)).map(|kept| kept.plan.clone())
    }

    /// Keeps a plan with the names its definition refers to.
    pub fn keep(&mut self, of: Definition<'_>, names: &[NameAt], plan: &Arc<Plan>) {
        let Some(definition) = of.chunk.get(of.start..of.end) else { return };
        let Some(names) = names.iter().map(|name| KeptName::new(name, of)).collect::<Option<Vec<_>>>() else { return };
        if KEPT_BYTES_MAX < self.bytes + definition.len() {
            self.plans.clear();
            self.bytes = 0;
        }
        let same = self.plans.entry((of.guid, definition.len(), of.place)).or_default();
        if same.len() < SAME_KEY_MAX {
            self.bytes += definition.len();
            same.push(KeptPlan { definition: definition.into(), names, plan: plan.clone() });
        }
    }
}

impl KeptName {
    fn new(name: &NameAt, of: Definition<'_>) -> Option<KeptName> {
        Some(KeptName {
            at: name.reference.checked_sub(of.start)?,
            is_inline: name.target == name.reference + 4,
            name: counted(of.chunk, name.target)?.into(),
        })
    }
}

impl KeptPlan {
    /// Whether it is of this definition; `None` = no.
    fn is_of(&self, wanted: Definition<'_>) -> Option<bool> {
        let theirs = wanted.chunk.get(wanted.start..wanted.end)?;
        let mut at = 0;
        for name in &self.names {
            if theirs.get(at..name.at)? != self.definition.get(at..name.at)? {
                return None;
            }
            let target = Cursor::new(theirs, name.at).offset().ok()?;
            let behind = name.at + 4;
            if (target == wanted.start + behind) != name.is_inline {
                return None;
            }
            if name.is_inline {
                // The place of the next name in the chunk's table says nothing; the name is compared with the rest.
                at = behind + 4;
            } else if counted(wanted.chunk, target)? != &*name.name {
                return None;
            } else {
                at = behind;
            }
        }
        Some(theirs.get(at..)? == self.definition.get(at..)?)
    }
}

/// The count and the characters of the name at this place: next name's place (4 bytes), hash (2), count (2), characters.
fn counted(chunk: &[u8], at: usize) -> Option<&[u8]> {
    let start = at.checked_add(6)?;
    let count = Cursor::new(chunk, start).u16().ok()?;
    chunk.get(start..start + 2 + 2 * usize::from(count))
}
