//! `Plan`: a template of binary XML compiled once into the list of values it fills in, so that reading a
//! record is running down that list; names are looked up once for each template and not for each record.
//!
//! In: a chunk's bytes and the place of the tokens. Out: slots (where a value goes, and what it is made of).
//! Promise: bounded depth and size; the same tokens give the same plan. Failure: `Fault` with the byte.
//! Source: libevtx documentation, "Windows XML Event Log (EVTX) format", sections 5.1 to 5.4 (tokens).

use nhatle_event::field::Marks;
use nhatle_event::{Field, Text};

use super::cursor::{Cursor, Fault};
use super::value::utf16;
use crate::normalize::windows::{EVENT_DATA, Part, USER_DATA};

/// How deep elements may stand in each other.
const ELEMENTS_DEEP_MAX: usize = 32;
/// How many slots one template may have; Windows' largest manifests have some two hundred.
const SLOTS_MAX: usize = 4096;
/// How many most have.
const SLOTS_USUAL: usize = 32;
/// How long one name may be, in bytes of UTF-16.
const NAME_BYTES_MAX: usize = 1024;

/// Where in the event's XML a piece of binary XML stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Outside of `Event`.
    Root,
    /// Directly in `Event`.
    Event,
    /// In `System`.
    System,
    /// In `RenderingInfo`.
    Rendering,
    /// In `EventData`.
    EventData,
    /// Below a named element of `EventData`.
    EventDataDeep,
    /// In `UserData`.
    UserData,
    /// Below the one element of `UserData`.
    UserDataDeep,
    /// In something we have no use for.
    Nowhere,
}

/// Where a value goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// A part of `System`.
    Part(Part),
    /// A data field; `is_repeat` when an earlier slot of the same plan is the same field.
    Data { field: Field, is_repeat: bool },
    /// A data field whose name the register of fields does not take.
    Named { home: &'static str, name: Text },
    /// A data field whose name is itself filled in.
    NamedBy { home: &'static str, name: Content },
    /// A `<Data>` without a name.
    Unnamed,
    /// Nowhere, unless the value is binary XML.
    None,
}

/// What a value is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// Text that stands in the template.
    Literal(Text),
    /// The substitution of this number.
    Substitution(usize),
    /// Several pieces, written one after the other.
    Mixed(Vec<Content>),
}

/// One value of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slot {
    /// Where it goes.
    pub target: Target,
    /// What it is made of.
    pub content: Content,
    /// Where it stands, for a value that is binary XML itself.
    pub place: Place,
}

/// A compiled template.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Its values in the order of the XML.
    pub slots: Vec<Slot>,
}

/// Whether element starts carry the number of the substitution they depend on: in templates they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A template's definition.
    Template,
    /// Elements that stand in the record itself.
    Direct,
}

/// A name that a template refers to: where the reference stands in the chunk, and where the name does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameAt {
    pub reference: usize,
    pub target: usize,
}

/// Compiles the elements from `at` to `end`, standing at `place`; also gives the names they refer to.
pub(super) fn compile(
    chunk: &[u8],
    (at, end): (usize, usize),
    place: Place,
    origin: Origin,
) -> Result<(Plan, Vec<NameAt>), Fault> {
    let bytes = chunk.get(..end).ok_or(Fault { reason: "template ends past the chunk", offset: at })?;
    let (cursor, slots) = (Cursor::new(bytes, at), Vec::with_capacity(SLOTS_USUAL));
    let mut compiler = Compiler { chunk, cursor, origin, slots, names: Vec::new(), marks: Marks::default() };
    while let Some(token) = compiler.cursor.peek() {
        match token & 0x3f {
            0x00 => break,
            0x0f => drop(compiler.cursor.take(4)?),
            0x01 => compiler.element(place, 0)?,
            _ => return Err(compiler.cursor.fault("unknown token between elements")),
        }
    }
    Ok((Plan { slots: compiler.slots }, compiler.names))
}

struct Compiler<'a> {
    chunk: &'a [u8],
    cursor: Cursor<'a>,
    origin: Origin,
    slots: Vec<Slot>,
    names: Vec<NameAt>,
    /// Of the data fields of `slots`.
    marks: Marks,
}

impl Compiler<'_> {
    fn element(&mut self, place: Place, depth: usize) -> Result<(), Fault> {
        if ELEMENTS_DEEP_MAX <= depth {
            return Err(self.cursor.fault("elements nested too deep"));
        }
        let has_attributes = self.cursor.u8()? & 0x40 != 0;
        if self.origin == Origin::Template {
            self.cursor.u16()?;
        }
        self.cursor.u32()?;
        let name = self.name()?;
        let attributes = if has_attributes { self.attributes()? } else { Vec::new() };
        let (target, inner) = resolve(place, &name, &attributes);
        self.attribute_slots(place, &name, attributes)?;
        match self.cursor.u8()? & 0x3f {
            0x02 => self.content(target, inner, depth),
            0x03 => self.leaf(target, inner, Vec::new()),
            _ => Err(self.cursor.fault("element start is not closed")),
        }
    }

    /// The attributes, each with what it is made of.
    fn attributes(&mut self) -> Result<Vec<(Text, Content)>, Fault> {
        self.cursor.u32()?;
        let mut attributes = Vec::new();
        while self.cursor.peek().is_some_and(|token| token & 0x3f == 0x06) {
            self.cursor.u8()?;
            let name = self.name()?;
            let content = self.pieces()?;
            attributes.push((name, content));
        }
        Ok(attributes)
    }

    /// All pieces of a value; mostly there is one.
    fn pieces(&mut self) -> Result<Content, Fault> {
        let Some(first) = self.piece()? else { return Ok(Content::Literal(Text::default())) };
        let Some(second) = self.piece()? else { return Ok(first) };
        let mut pieces = vec![first, second];
        while let Some(piece) = self.piece()? {
            pieces.push(piece);
        }
        Ok(joined(pieces))
    }

    /// What stands between a start and its end: text, or elements.
    fn content(&mut self, target: Target, inner: Place, depth: usize) -> Result<(), Fault> {
        let mut pieces = Vec::new();
        let mut has_elements = false;
        loop {
            if let Some(piece) = self.piece()? {
                pieces.push(piece);
                continue;
            }
            match self.cursor.peek().ok_or_else(|| self.cursor.fault("element is not closed"))? & 0x3f {
                0x01 => {
                    has_elements = true;
                    self.element(inner, depth + 1)?;
                }
                0x04 => {
                    self.cursor.u8()?;
                    break;
                }
                _ => return Err(self.cursor.fault("unknown token in an element")),
            }
        }
        if has_elements {
            // Text beside elements is white space, or a value that is binary XML itself.
            pieces.retain(|piece| matches!(piece, Content::Substitution(_)));
            return pieces.into_iter().try_for_each(|piece| self.slot(Target::None, inner, piece));
        }
        self.leaf(target, inner, pieces)
    }

    fn leaf(&mut self, target: Target, inner: Place, pieces: Vec<Content>) -> Result<(), Fault> {
        if target == Target::None && !pieces.iter().any(|piece| matches!(piece, Content::Substitution(_))) {
            return Ok(());
        }
        self.slot(target, inner, joined(pieces))
    }

    fn slot(&mut self, mut target: Target, place: Place, content: Content) -> Result<(), Fault> {
        if SLOTS_MAX <= self.slots.len() {
            return Err(self.cursor.fault("template has too many values"));
        }
        if let Target::Data { field, is_repeat } = &mut target {
            let same = |slot: &Slot| matches!(&slot.target, Target::Data { field: known, .. } if known == field);
            *is_repeat = self.marks.may_hold(*field) && self.slots.iter().any(same);
            self.marks.mark(*field);
        }
        self.slots.push(Slot { target, content, place });
        Ok(())
    }

    /// Attributes that are values themselves.
    fn attribute_slots(&mut self, place: Place, name: &str, attributes: Vec<(Text, Content)>) -> Result<(), Fault> {
        if place == Place::UserData {
            self.slot(data(USER_DATA, "xml_name"), Place::Nowhere, Content::Literal(Text::from(name)))?;
        }
        for (attribute, content) in attributes {
            let target = match place {
                Place::System => Part::of_element(name, &attribute).map_or(Target::None, Target::Part),
                Place::UserData | Place::UserDataDeep if !attribute.starts_with("xmlns") => {
                    data(USER_DATA, &format!("{name}_{attribute}"))
                }
                _ => Target::None,
            };
            if target != Target::None {
                self.slot(target, Place::Nowhere, content)?;
            }
        }
        Ok(())
    }

    /// The next piece of a value, or `None` before any other token.
    fn piece(&mut self) -> Result<Option<Content>, Fault> {
        let Some(token) = self.cursor.peek() else { return Ok(None) };
        let literal = |text| Ok(Some(Content::Literal(text)));
        match token & 0x3f {
            0x05 => {
                self.cursor.take(2)?;
                literal(self.sized_text()?)
            }
            0x07 => {
                self.cursor.u8()?;
                literal(self.sized_text()?)
            }
            0x08 => {
                self.cursor.u8()?;
                let code = u32::from(self.cursor.u16()?);
                literal(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER).to_string().into())
            }
            0x09 => {
                self.cursor.u8()?;
                let name = self.name()?;
                literal(entity(&name))
            }
            0x0a => {
                self.cursor.u8()?;
                self.name()?;
                literal(Text::default())
            }
            0x0b => {
                self.cursor.u8()?;
                self.sized_text()?;
                literal(Text::default())
            }
            0x0d | 0x0e => {
                self.cursor.u8()?;
                let number = self.cursor.u16()?;
                self.cursor.u8()?;
                Ok(Some(Content::Substitution(usize::from(number))))
            }
            _ => Ok(None),
        }
    }

    fn sized_text(&mut self) -> Result<Text, Fault> {
        let count = usize::from(self.cursor.u16()?);
        Ok(utf16(self.cursor.take(2 * count)?))
    }

    /// A name: an offset in the chunk, and the name itself where that is the present place.
    fn name(&mut self) -> Result<Text, Fault> {
        let reference = self.cursor.at();
        let offset = self.cursor.offset()?;
        if self.origin == Origin::Template {
            self.names.push(NameAt { reference, target: offset });
        }
        if offset == self.cursor.at() {
            return read_name(&mut self.cursor);
        }
        read_name(&mut Cursor::new(self.chunk, offset))
    }
}

/// Next name's offset, hash, count of characters, characters, zero.
fn read_name(cursor: &mut Cursor<'_>) -> Result<Text, Fault> {
    cursor.take(6)?;
    let size = 2 * usize::from(cursor.u16()?);
    if NAME_BYTES_MAX < size {
        return Err(cursor.fault("name is too long"));
    }
    let name = utf16(cursor.take(size)?);
    cursor.u16()?;
    Ok(name)
}

/// Where an element's text goes, and where what is in it stands.
fn resolve(place: Place, name: &str, attributes: &[(Text, Content)]) -> (Target, Place) {
    match place {
        Place::Root if name == "Event" => (Target::None, Place::Event),
        Place::Event => match name {
            "System" => (Target::None, Place::System),
            "EventData" | "BinaryEventData" | "DebugData" => (Target::None, Place::EventData),
            "UserData" | "ProcessingErrorData" => (Target::None, Place::UserData),
            "RenderingInfo" => (Target::None, Place::Rendering),
            _ => (Target::None, Place::Nowhere),
        },
        Place::System => (Part::of_element(name, "").map_or(Target::None, Target::Part), Place::Nowhere),
        Place::Rendering => (Part::of_rendering(name).map_or(Target::None, Target::Part), Place::Nowhere),
        Place::EventData if name == "Data" => {
            let given = attributes.iter().find(|(attribute, _)| attribute == "Name").map(|(_, content)| content);
            let target = match given {
                None => Target::Unnamed,
                Some(Content::Literal(name)) if name.is_empty() => Target::Unnamed,
                Some(Content::Literal(name)) => data(EVENT_DATA, name),
                Some(name) => Target::NamedBy { home: EVENT_DATA, name: name.clone() },
            };
            (target, Place::EventDataDeep)
        }
        Place::EventData | Place::EventDataDeep => (data(EVENT_DATA, name), Place::EventDataDeep),
        Place::UserData | Place::UserDataDeep => (data(USER_DATA, name), Place::UserDataDeep),
        Place::Root | Place::Nowhere => (Target::None, Place::Nowhere),
    }
}

fn data(home: &'static str, name: &str) -> Target {
    // Elements that stand in the record itself come this way for every record, so their names are put together here.
    let mut buffer = [0; 96];
    let end = home.len() + name.len();
    let field = if end <= buffer.len() {
        buffer[..home.len()].copy_from_slice(home.as_bytes());
        buffer[home.len()..end].copy_from_slice(name.as_bytes());
        std::str::from_utf8(&buffer[..end]).ok().and_then(Field::intern)
    } else {
        Field::intern(&format!("{home}{name}"))
    };
    match field {
        Some(field) => Target::Data { field, is_repeat: false },
        None => Target::Named { home, name: Text::from(name) },
    }
}

fn joined(mut pieces: Vec<Content>) -> Content {
    pieces.retain(|piece| !matches!(piece, Content::Literal(text) if text.is_empty()));
    match pieces.len() {
        0 => Content::Literal(Text::default()),
        1 => pieces.remove(0),
        _ => Content::Mixed(pieces),
    }
}

/// XML 1.0 section 4.6; any other entity stays as it is written.
fn entity(name: &str) -> Text {
    match name {
        "amp" => Text::from("&"),
        "lt" => Text::from("<"),
        "gt" => Text::from(">"),
        "quot" => Text::from("\""),
        "apos" => Text::from("'"),
        other => Text::from(format!("&{other};")),
    }
}
