//! What the words of a field look like: how long they are and how they begin, and a few bits of their hashes. In: words.
//! Out: whether a word may be among them. A word is looked for as a value of each covering field; most of these fields hold
//! a handful of values, or numbers only, and need not be asked. Promise: a word that was added is never denied.

use serde::{Deserialize, Serialize};

use super::bloom::{Kind, hash};

/// See the module. The first number has a bit for each length (up to 31) of words that begin with a digit and of others, the
/// second one for each upper six bits of a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape(u64, u64);

impl Shape {
    /// Of one word.
    pub fn of(word: &[u8]) -> Shape {
        let is_digit = word.first().is_some_and(u8::is_ascii_digit);
        Shape(1 << (word.len().min(31) * 2 + usize::from(is_digit)), 1 << (hash(Kind::Word, word) >> 58))
    }

    /// Adds a word by its shape.
    pub fn add(&mut self, word: Shape) {
        self.0 |= word.0;
        self.1 |= word.1;
    }

    /// A word may be there that is no shorter than this one, and begins with a digit if this one does.
    pub fn may_hold_from(&self, front: &str) -> bool {
        let is_digit = front.as_bytes().first().is_some_and(u8::is_ascii_digit);
        let of_kind = if is_digit { 0xaaaa_aaaa_aaaa_aaaa } else { 0x5555_5555_5555_5555 };
        front.is_empty() || self.0 & of_kind & (u64::MAX << (front.len().min(31) * 2)) != 0
    }

    /// A word of this shape may be there.
    pub fn may_hold(&self, word: Shape) -> bool {
        self.0 & word.0 != 0 && self.1 & word.1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_not_denied_and_most_else_is() {
        let mut shape = Shape::default();
        let words = ["allow", "deny", "close", "10.0.0.1", ""];
        words.iter().for_each(|word| shape.add(Shape::of(word.as_bytes())));
        assert!(words.iter().all(|word| shape.may_hold(Shape::of(word.as_bytes()))));
        assert!(words.iter().all(|word| (0..word.len()).all(|end| shape.may_hold_from(&word[..end]))));
        let fronts = ["allowed", "10.0.0.1.1", "1234567890", "longer than all"];
        assert!(!fronts.iter().any(|front| shape.may_hold_from(front)));
        let others: Vec<String> = (0..1000).map(|number| format!("w{number}")).collect();
        assert!(others.iter().filter(|word| shape.may_hold(Shape::of(word.as_bytes()))).count() < 200);
    }
}
