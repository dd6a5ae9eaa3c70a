//! Rules proven alive: a harmless record for each rule goes the whole way, on a schedule.
//!
//! A canary is a positive sample of the rule, as the source would send it: intake, parsing, normalization,
//! the log, the detector that runs. It is marked from the inside (`nhatle.canary`, which no sender can set), is
//! kept in a dataset of its own, counts in no book, feeds no correlation of real events and raises no alert.
//! A rule that does not see its canary is red at the end of that run, with the reason.
//!
//! In: the rules in force, their samples, what sources send. Out: for each rule when it was last proven, and
//! a light. Bounded: a canary a rule, [`EVENTS_MAX`] records a canary. State survives a restart as a mark of the store.

pub mod book;
pub mod coverage;
pub mod judge;
pub mod kinds;
pub mod made;
pub mod run;

use nhatle_event::{Event, Field};

pub use book::{Book, Doubt, Fault, Light, Proof};
pub use judge::Judge;
pub use kinds::Kinds;

/// How many records one canary is at most.
pub const EVENTS_MAX: usize = 512;
/// The name of the input canaries come by.
pub const INPUT: &str = "canary";

/// What stands in `nhatle.canary`: whose canary, of which run, and which record of how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The rule's id.
    pub rule_id: String,
    /// The run: when it began, nanoseconds.
    pub run: i64,
    /// Which record, from 0.
    pub place: usize,
    /// Of how many.
    pub count: usize,
}

impl Tag {
    /// As the field keeps it. The id comes last: it may hold anything.
    pub fn text(&self) -> String {
        format!("{} {} {} {}", self.run, self.place, self.count, self.rule_id)
    }

    /// The tag of an event; `None` for one that is no canary.
    pub fn of(event: &Event) -> Option<Tag> {
        let mut parts = event.text(Field::NHATLE_CANARY)?.splitn(4, ' ');
        Some(Tag {
            run: parts.next()?.parse().ok()?,
            place: parts.next()?.parse().ok()?,
            count: parts.next()?.parse().ok()?,
            rule_id: parts.next()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::Timestamp;

    use super::*;

    #[test]
    fn a_tag_comes_back_from_its_field() {
        let tag = Tag { rule_id: "an id".into(), run: -5, place: 2, count: 3 };
        let mut event = Event::new(Timestamp(0), *b"x");
        assert_eq!(Tag::of(&event), None);
        event.set(Field::NHATLE_CANARY, tag.text());
        assert_eq!(Tag::of(&event), Some(tag));
        event.set(Field::NHATLE_CANARY, "nonsense");
        assert_eq!(Tag::of(&event), None);
    }
}
