//! Reads a record's binary XML into a `WindowsEvent`: finds the plan of its template and fills it with the
//! record's values, without building a tree or text in between.
//!
//! In: a chunk's bytes and the place of a record's binary XML. Out: a `WindowsEvent`. Promise: bounded depth,
//! bounded number of values and bytes for one record, bounded work on templates for one chunk, however the
//! bytes point at each other. Failure: `Fault` with the byte.
//! Source: libevtx documentation, "Windows XML Event Log (EVTX) format", section 5.4 (template instance).

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::{Text, Value};

use super::cursor::{Cursor, Fault};
use super::kept::{Definition, Kept};
use super::plan::{Content, Origin, Place, Plan, Slot, Target, compile};
use super::value::{BINARY_XML, moment, value};
use crate::normalize::windows::{Part, WindowsEvent};

/// How deep binary XML may stand in values of binary XML; Windows goes to 2.
const FRAGMENTS_DEEP_MAX: usize = 8;
/// How many values one record may fill in, values used twice counted twice.
const VALUES_MAX: usize = 4096;
/// How many bytes of values one record may fill in, values used twice counted twice.
const VALUE_BYTES_MAX: usize = 1 << 20;
/// How many bytes of templates one chunk may make us compile: a chunk is 64 KiB, so honest ones are under that.
const TEMPLATE_BYTES_MAX: usize = 1 << 20;

/// The plans of one chunk's templates, and those that were needed before.
pub(super) struct Plans {
    /// By the place of the definition in the present chunk.
    plans: HashMap<(usize, Place), Arc<Plan>>,
    kept: Kept,
    bytes_left: usize,
    /// Descriptors of the values of the template instances being filled in; kept to reuse the memory.
    values: Vec<Filler>,
    /// The event being read; its memory is used again.
    event: Option<Box<WindowsEvent>>,
}

/// One value of a template instance.
#[derive(Clone, Copy, Debug)]
struct Filler {
    kind: u8,
    start: usize,
    end: usize,
}

impl Default for Plans {
    fn default() -> Plans {
        Plans {
            plans: HashMap::with_capacity(32),
            kept: Kept::new(),
            bytes_left: TEMPLATE_BYTES_MAX,
            values: Vec::with_capacity(64),
            event: None,
        }
    }
}

impl Plans {
    /// Forgets where definitions stood in the chunk before.
    pub fn begin_chunk(&mut self) {
        self.plans.clear();
        self.bytes_left = TEMPLATE_BYTES_MAX;
    }

    /// Reads the binary XML from `at` to `end` of the chunk. The event is for the caller to empty.
    pub fn read(&mut self, chunk: &[u8], at: usize, end: usize) -> Result<&mut WindowsEvent, Fault> {
        self.values.clear();
        let mut event = self.event.take().unwrap_or_default();
        let (values_left, bytes_left) = (VALUES_MAX, VALUE_BYTES_MAX);
        let mut filling = Filling { plans: self, chunk, event: &mut event, is_alone: true, values_left, bytes_left };
        // What a record that breaks off had until then goes with it.
        filling.fragment(at, end, Place::Root, 0)?;
        Ok(self.event.insert(event))
    }
}

/// One record being read.
struct Filling<'a> {
    plans: &'a mut Plans,
    chunk: &'a [u8],
    event: &'a mut WindowsEvent,
    /// Whether all data fields so far came from the plan being filled in, which knows its own repeats.
    is_alone: bool,
    values_left: usize,
    bytes_left: usize,
}

impl Filling<'_> {
    fn fragment(&mut self, at: usize, end: usize, place: Place, depth: usize) -> Result<(), Fault> {
        let bytes = self.chunk.get(..end).ok_or(Fault { reason: "fragment ends past the chunk", offset: at })?;
        let mut cursor = Cursor::new(bytes, at);
        if FRAGMENTS_DEEP_MAX <= depth {
            return Err(cursor.fault("binary XML nested too deep"));
        }
        while let Some(token) = cursor.peek() {
            match token & 0x3f {
                0x00 => break,
                0x0f => drop(cursor.take(4)?),
                0x0c => {
                    let after = self.template(&mut cursor, place, depth)?;
                    cursor = Cursor::new(bytes, after);
                }
                0x01 => {
                    let size = end.saturating_sub(cursor.at());
                    self.spend_template_bytes(size, &cursor)?;
                    let (plan, _names) = compile(self.chunk, (cursor.at(), end), place, Origin::Direct)?;
                    return self.fill_once(plan, depth);
                }
                _ => return Err(cursor.fault("unknown token")),
            }
        }
        Ok(())
    }

    fn spend_template_bytes(&mut self, size: usize, cursor: &Cursor<'_>) -> Result<(), Fault> {
        let left = self.plans.bytes_left.checked_sub(size);
        self.plans.bytes_left = left.ok_or_else(|| cursor.fault("more templates than a chunk may have"))?;
        Ok(())
    }

    /// Reads a template instance; returns where it ends.
    fn template(&mut self, cursor: &mut Cursor<'_>, place: Place, depth: usize) -> Result<usize, Fault> {
        cursor.take(2)?;
        cursor.u32()?;
        let definition = cursor.offset()?;
        if definition == cursor.at() {
            // Next definition's offset, GUID, size, then the definition itself.
            cursor.take(20)?;
            let size = cursor.offset()?;
            cursor.take(size)?;
        }
        let plan = self.plan(definition, place)?;
        let base = self.plans.values.len();
        let count = cursor.offset()?;
        let mut descriptors = Cursor::new(cursor.take(count.saturating_mul(4))?, 0);
        for _ in 0..count {
            let (size, kind) = (usize::from(descriptors.u16()?), descriptors.u16()?.to_le_bytes()[0]);
            let start = cursor.at();
            cursor.take(size)?;
            self.plans.values.push(Filler { kind, start, end: start + size });
        }
        self.fill(&plan, base, depth)?;
        self.plans.values.truncate(base);
        Ok(cursor.at())
    }

    /// The plan of the template whose definition is at this offset.
    fn plan(&mut self, definition: usize, place: Place) -> Result<Arc<Plan>, Fault> {
        if let Some(plan) = self.plans.plans.get(&(definition, place)) {
            return Ok(Arc::clone(plan));
        }
        let mut cursor = Cursor::new(self.chunk, definition);
        cursor.take(4)?;
        let guid = cursor.guid()?;
        let size = cursor.offset()?;
        self.spend_template_bytes(size, &cursor)?;
        let (start, end) = (cursor.at(), cursor.at().saturating_add(size));
        let wanted = Definition { chunk: self.chunk, guid, start, end, place };
        let plan = if let Some(plan) = self.plans.kept.find(wanted) {
            plan
        } else {
            let (plan, names) = compile(self.chunk, (start, end), place, Origin::Template)?;
            let plan = Arc::new(plan);
            self.plans.kept.keep(wanted, &names, &plan);
            plan
        };
        self.plans.plans.insert((definition, place), Arc::clone(&plan));
        Ok(plan)
    }

    fn fill(&mut self, plan: &Plan, base: usize, depth: usize) -> Result<(), Fault> {
        self.is_alone = self.event.has_no_data();
        plan.slots.iter().try_for_each(|slot| self.slot(slot, base, depth))
    }

    /// Fills a plan that no other record uses: its text is moved, not copied.
    fn fill_once(&mut self, plan: Plan, depth: usize) -> Result<(), Fault> {
        self.is_alone = self.event.has_no_data();
        plan.slots.into_iter().try_for_each(|slot| match slot.content {
            Content::Literal(text) => self.put(&slot.target, Value::Text(text), 0),
            Content::Substitution(_) | Content::Mixed(_) => self.slot(&slot, 0, depth),
        })
    }

    fn slot(&mut self, slot: &Slot, base: usize, depth: usize) -> Result<(), Fault> {
        let made = match &slot.content {
            Content::Literal(text) => Value::Text(text.clone()),
            Content::Mixed(pieces) => Value::Text(self.mixed(pieces, base)?),
            Content::Substitution(number) => {
                let Some(filler) = self.filler(base, *number)? else {
                    return self.put(&slot.target, Value::Null, base);
                };
                if filler.kind == BINARY_XML {
                    let read = self.fragment(filler.start, filler.end, slot.place, depth + 1);
                    self.is_alone = self.event.has_no_data();
                    return read;
                }
                let bytes = &self.chunk[filler.start..filler.end];
                match slot.target {
                    Target::Part(Part::TimeCreated) => moment(filler.kind, bytes),
                    _ => value(filler.kind, bytes),
                }
            }
        };
        self.put(&slot.target, made, base)
    }

    /// The descriptor of a substitution; counts its use. `None` where the instance has no such value.
    fn filler(&mut self, base: usize, number: usize) -> Result<Option<Filler>, Fault> {
        let Some(filler) = self.plans.values[base..].get(number).copied() else { return Ok(None) };
        let too_much = Fault { reason: "more values than one record may have", offset: filler.start };
        self.values_left = self.values_left.checked_sub(1).ok_or(too_much)?;
        self.bytes_left = self.bytes_left.checked_sub(filler.end - filler.start).ok_or(too_much)?;
        Ok(Some(filler))
    }

    fn mixed(&mut self, pieces: &[Content], base: usize) -> Result<Text, Fault> {
        let mut text = Text::default();
        for piece in pieces {
            match piece {
                Content::Literal(literal) => text.push_str(literal),
                Content::Substitution(number) => {
                    let Some(filler) = self.filler(base, *number)? else { continue };
                    let made = value(filler.kind, &self.chunk[filler.start..filler.end]);
                    made.each().filter_map(Value::as_text).for_each(|one| text.push_str(&one));
                }
                Content::Mixed(_) => {}
            }
        }
        Ok(text)
    }

    fn put(&mut self, target: &Target, value: Value, base: usize) -> Result<(), Fault> {
        match target {
            Target::Part(part) => self.event.set(*part, value),
            Target::Data { field, is_repeat: false } if self.is_alone => self.event.add_new(*field, value),
            Target::Data { field, .. } => self.event.add(*field, value),
            Target::Named { home, name } => self.event.add_named(home, name, value),
            Target::NamedBy { home, name } => {
                let pieces = std::slice::from_ref(name);
                let name = self.mixed(if let Content::Mixed(pieces) = name { pieces } else { pieces }, base)?;
                self.is_alone = false;
                match name.as_str() {
                    "" => self.event.add_unnamed(value),
                    name => self.event.add_named(home, name, value),
                }
            }
            Target::Unnamed if value == Value::Null => {}
            Target::Unnamed => self.event.add_unnamed(value),
            Target::None => {}
        }
        Ok(())
    }
}
