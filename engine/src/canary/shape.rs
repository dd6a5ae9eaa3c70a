//! Texts of a given shape: what a pattern or a regular expression leaves open is filled, several shapes are laid
//! into one text.
//!
//! In: [`Pattern`]s and regular expressions as [`Piece`]s. Out: texts that may have the shape; the caller checks them.
//! Total: an expression with nothing to generate from gives no pieces.

use nhatle_rules::predicate::{Part, Pattern};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// How long a text grown from one expression may be, in pieces.
const PIECES_MAX: usize = 8_000;
/// How often a repetition is repeated at most.
const REPEATS_MAX: u32 = 4_000;

/// One part of a text to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// These characters.
    Literal(String),
    /// Anything, also nothing.
    Many,
    /// One character, whichever.
    One,
}

/// The shape of a text, anchored at both ends but where [`Piece::Many`] stands.
pub(super) type Shape = Vec<Piece>;

/// A pattern as a shape.
pub(super) fn of_pattern(pattern: &Pattern) -> Shape {
    let piece = |part: &Part| match part {
        Part::Literal(text) => Piece::Literal(text.clone()),
        Part::Many => Piece::Many,
        Part::One => Piece::One,
    };
    pattern.parts.iter().map(piece).collect()
}

/// One of the shapes a regular expression has; `seed` chooses among alternatives, repetitions and letters.
pub(super) fn of_regex(expression: &str, seed: usize) -> Option<Shape> {
    let hir = regex_syntax::Parser::new().parse(expression).ok()?;
    let mut grower = Grower { pieces: Vec::new(), seed, choices: 0, starts: false, ends: false };
    grower.grow(&hir)?;
    let mut shape = Vec::new();
    if !grower.starts {
        shape.push(Piece::Many);
    }
    shape.append(&mut grower.pieces);
    if !grower.ends {
        shape.push(Piece::Many);
    }
    Some(joined(shape))
}

struct Grower {
    pieces: Shape,
    seed: usize,
    choices: usize,
    starts: bool,
    ends: bool,
}

impl Grower {
    /// A number below `count`; another one for another seed.
    fn choose(&mut self, count: usize) -> usize {
        self.choices += 1;
        match self.seed {
            0 => 0,
            // The first choices differ first, all of them somehow.
            seed => seed.wrapping_mul(self.choices * 2 - 1).wrapping_add(seed / self.choices) % count.max(1),
        }
    }

    fn text(&mut self, text: &str) {
        self.pieces.push(Piece::Literal(text.to_owned()));
    }

    fn grow(&mut self, hir: &Hir) -> Option<()> {
        if PIECES_MAX < self.pieces.len() {
            return None;
        }
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => self.text(std::str::from_utf8(&literal.0).ok()?),
            HirKind::Class(class) if is_anything(class) => self.pieces.push(Piece::One),
            HirKind::Class(class) => {
                let letter = self.letter(class)?;
                self.text(letter.encode_utf8(&mut [0; 4]));
            }
            HirKind::Look(look) => self.look(*look),
            HirKind::Repetition(repetition) => {
                let is_open = repetition.max.is_none();
                let is_any = matches!(repetition.sub.kind(), HirKind::Class(class) if is_anything(class));
                let extra = if is_any || (repetition.min == 0 && self.choose(2) == 0) { 0 } else { 1 };
                let most = repetition.max.unwrap_or(u32::MAX);
                for _ in 0..repetition.min.max(extra).min(most).min(REPEATS_MAX) {
                    self.grow(&repetition.sub)?;
                }
                if is_any && is_open {
                    self.pieces.push(Piece::Many);
                }
            }
            HirKind::Capture(capture) => self.grow(&capture.sub)?,
            HirKind::Concat(parts) => {
                for part in parts {
                    self.grow(part)?;
                }
            }
            HirKind::Alternation(parts) => {
                let place = self.choose(parts.len());
                self.grow(parts.get(place)?)?;
            }
        }
        Some(())
    }

    fn look(&mut self, look: Look) {
        match look {
            Look::Start | Look::StartLF | Look::StartCRLF => self.starts |= self.pieces.is_empty(),
            Look::End | Look::EndLF | Look::EndCRLF => self.ends = true,
            // Between words: a space is what most often stands there.
            _ if !self.pieces.is_empty() && self.choose(3) == 1 => self.text(" "),
            _ => {}
        }
    }

    /// A letter of a class: a plain one, if it has one.
    fn letter(&mut self, class: &Class) -> Option<char> {
        const PLAIN: [char; 12] = ['a', '1', 'A', 'x', '0', ' ', '-', 'e', '.', '/', '\\', '_'];
        let ranges: Vec<(char, char)> = match class {
            Class::Unicode(class) => class.ranges().iter().map(|range| (range.start(), range.end())).collect(),
            Class::Bytes(class) => {
                class.ranges().iter().map(|range| (char::from(range.start()), char::from(range.end()))).collect()
            }
        };
        let has = |letter: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter));
        let mut letters: Vec<char> = PLAIN.into_iter().filter(|letter| has(*letter)).collect();
        letters.extend(ranges.iter().map(|(from, _)| *from).filter(|letter| !letter.is_control()).take(8));
        letters.extend(ranges.iter().map(|(from, _)| *from).take(1));
        let place = self.choose(letters.len().min(4));
        letters.get(place).copied()
    }
}

/// `.`, and what is nearly so: more than half of all characters.
fn is_anything(class: &Class) -> bool {
    match class {
        Class::Unicode(class) => {
            0x8_0000 < class.ranges().iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum::<usize>()
                && class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&'x'))
        }
        Class::Bytes(class) => 200 < class.ranges().iter().map(regex_syntax::hir::ClassBytesRange::len).sum::<usize>(),
    }
}

/// Literals that touch become one, `Many` beside `Many` likewise.
fn joined(shape: Shape) -> Shape {
    let mut pieces: Shape = Vec::with_capacity(shape.len());
    for piece in shape {
        match (pieces.last_mut(), piece) {
            (Some(Piece::Literal(known)), Piece::Literal(more)) => known.push_str(&more),
            (Some(Piece::Many), Piece::Many) => {}
            (_, piece) => pieces.push(piece),
        }
    }
    pieces
}

/// A text of this shape, `filler` in each open place, `letter` for each single character.
pub(super) fn filled(shape: &[Piece], filler: &str, letter: char) -> String {
    let mut text = String::new();
    for piece in shape {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Many => text.push_str(filler),
            Piece::One => text.push(letter),
        }
    }
    text
}

/// How shapes are laid together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Between texts.
    pub filler: &'static str,
    /// For single characters.
    pub letter: char,
    /// The texts in the middle in reverse order.
    pub is_reversed: bool,
    /// Something before the first and after the last text, where they are open.
    pub is_padded: bool,
}

/// One text that may have all these shapes: those closed in front begin it, those closed at the end end it, the
/// others stand between, or in the first open place of a shape that is closed on both sides. A text that is there
/// already is not put in twice.
pub(super) fn laid(shapes: &[Shape], layout: Layout) -> String {
    let is_open_start = |shape: &Shape| shape.first() == Some(&Piece::Many);
    let is_open_end = |shape: &Shape| shape.last() == Some(&Piece::Many);
    let full = |shape: &[Piece]| filled(shape, layout.filler, layout.letter);
    let inner = |shape: &Shape| {
        let from = usize::from(is_open_start(shape));
        let to = shape.len() - usize::from(is_open_end(shape) && from < shape.len());
        full(&shape[from..to])
    };
    let (mut closed, mut front, mut back): (Option<&Shape>, String, String) = (None, String::new(), String::new());
    let mut middle: Vec<String> = Vec::new();
    for shape in shapes {
        match (is_open_start(shape), is_open_end(shape)) {
            (false, false) if closed.is_none_or(|known| known.contains(&Piece::Many)) => closed = Some(shape),
            (false, false) => {}
            (false, true) if front.len() < inner(shape).len() => front = inner(shape),
            (true, false) if back.len() < inner(shape).len() => back = inner(shape),
            (true, true) => middle.push(inner(shape)),
            _ => {}
        }
    }
    middle.sort_by_key(|text| std::cmp::Reverse(text.len()));
    let mut kept: Vec<String> = Vec::new();
    for text in middle.into_iter().filter(|text| !text.is_empty()) {
        if !front.contains(&text) && !back.contains(&text) && kept.iter().all(|known| !known.contains(&text)) {
            kept.push(text);
        }
    }
    if layout.is_reversed {
        kept.reverse();
    }
    let pad = |is_there: bool| if layout.is_padded && is_there { "x" } else { "" };
    if let Some(closed) = closed {
        let Some(hole) = closed.iter().position(|piece| *piece == Piece::Many) else { return full(closed) };
        let before = full(&closed[..hole]);
        let after = full(&closed[hole + 1..]);
        let front = front.strip_prefix(&before).unwrap_or(&front);
        let back = back.strip_suffix(&after).unwrap_or(&back);
        kept.retain(|text| !before.contains(text.as_str()) && !after.contains(text.as_str()));
        let parts: Vec<&str> = [front].into_iter().chain(kept.iter().map(String::as_str)).chain([back]).collect();
        return format!("{before}{}{after}", joined_by(&parts, layout.filler));
    }
    let (start, end) = (pad(front.is_empty()), pad(back.is_empty()));
    let parts: Vec<&str> =
        [start, &*front].into_iter().chain(kept.iter().map(String::as_str)).chain([&*back, end]).collect();
    joined_by(&parts, layout.filler)
}

fn joined_by(parts: &[&str], filler: &str) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(filler)
}
