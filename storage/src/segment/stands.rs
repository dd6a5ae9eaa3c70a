//! Which fields' exact terms stand for those of others. The same value often stands in several fields of an event
//! (`source.ip`, `source.address`, `related.ip`, the vendor's own name of it): its term and its posting are written once,
//! for the field that has it first; a reader that asks for the others' asks for that field's too.
//!
//! In: for each value of a row that another field said before, both fields. Out: whether its own term is left out; at
//! the end [`Named`]. Promise: what was left out is named, and [`Stand::is_always`] is said only where every row in which
//! the one field has a term has the same value in the other, so that such rows need not be looked at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many fields' terms may stand for one field's: each is asked for.
pub const STANDS_MAX: usize = 4;
/// Shorter values are no sign that two fields say the same.
pub const STANDS_BYTES_MIN: usize = 4;

/// By key, whose terms stand for its own.
pub type Named = BTreeMap<String, Vec<Stand>>;

/// Another field whose terms stand for one's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// Its key.
    pub key: String,
    /// Every row with a term of it has the same value in the field it stands for.
    pub is_always: bool,
}

/// Fields are told by the numbers of their groups of terms.
#[derive(Default)]
pub struct Stands {
    fields: Vec<Of>,
}

#[derive(Clone, Default)]
struct Of {
    /// Its values that are one word are not among the words.
    is_covering: bool,
    /// How many postings its own terms have.
    postings: usize,
    /// Fields whose terms stand for its own, and in how many postings.
    by: Vec<(u32, usize)>,
}

impl Stands {
    /// There is a field of this group.
    pub fn know(&mut self, group: u32, is_covering: bool) {
        let at = group as usize;
        if self.fields.len() <= at {
            self.fields.resize(at + 1, Of::default());
        }
        self.fields[at].is_covering |= is_covering;
    }

    /// A field has one posting more.
    pub fn count(&mut self, group: u32) {
        self.fields[group as usize].postings += 1;
    }

    /// A value of `group` stands in the row as one of `by`, whose term says it: whether its own term is left out. A word
    /// that only a value says has to be found as a value of a covering field.
    pub fn takes(&mut self, group: u32, is_covering: bool, by: u32) -> bool {
        if is_covering && !self.fields[by as usize].is_covering {
            return false;
        }
        let known = &mut self.fields[group as usize].by;
        if let Some((_, count)) = known.iter_mut().find(|(one, _)| *one == by) {
            *count += 1;
            return true;
        }
        let is_room = known.len() < STANDS_MAX;
        if is_room {
            known.push((by, 1));
        }
        is_room
    }

    /// The same by name.
    pub fn named(&self, name: impl Fn(u32) -> String) -> Named {
        let mut named = Named::new();
        for (group, of) in (0u32..).zip(&self.fields).filter(|(_, of)| !of.by.is_empty()) {
            let stand = |(by, count): &(u32, usize)| Stand {
                key: name(*by),
                is_always: *count == self.fields[*by as usize].postings,
            };
            named.insert(name(group), of.by.iter().map(stand).collect());
        }
        named
    }
}
