//! `Template`: a message's wording as data, with the fields its words fill.
//!
//! In: a pattern such as `login failure for user <user.name*> from <source.ip> via <mikrotik.via>`, and a
//! message. Out: the values, or nothing where the wording differs. A value reaches to the first place where
//! the text after it stands, or with `*` to the last: what a stranger chose (a user name) must not pass for
//! the words that the device wrote behind it. `<>` is passed over. Promise: one pass for each piece, no
//! backtracking, nothing is refused. Of a table only the rows are tried that begin as the message does.

use nhatle_event::{Event, Field};

use super::{Act, act};
use crate::parse::Needle;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Template {
    first: &'static str,
    rest: Vec<(Slot, Needle)>,
}

/// Where a value goes, and how far it reaches.
#[derive(Clone, Copy, Debug)]
struct Slot {
    field: Option<Field>,
    is_greedy: bool,
}

impl Template {
    /// Compiles a pattern. Text after an unclosed `<` is plain text.
    pub fn new(pattern: &'static str) -> Template {
        let mut pieces = pattern.split('<');
        let first = pieces.next().unwrap_or_default();
        let rest = pieces.filter_map(|piece| piece.split_once('>')).map(|(name, text)| {
            let bare = name.trim_end_matches('*');
            (Slot { field: Field::intern(bare), is_greedy: bare.len() < name.len() }, Needle::new(text))
        });
        Template { first, rest: rest.collect() }
    }

    /// Whether the message has this wording; then every value is set.
    pub fn fill(&self, message: &str, event: &mut Event) -> bool {
        let Some(mut left) = message.strip_prefix(self.first) else { return false };
        let mut found = Vec::new();
        for (slot, after) in &self.rest {
            let at = match (after.len(), slot.is_greedy) {
                (0, _) => Some(left.len()),
                (_, true) => after.rfind(left),
                (_, false) => after.find(left),
            };
            let Some((value, rest)) = at.and_then(|at| left.split_at_checked(at)) else { return false };
            if found.is_empty() {
                found.reserve_exact(self.rest.len());
            }
            found.push((slot.field, value.trim()));
            left = rest.get(after.len()..).unwrap_or_default();
        }
        for (field, value) in found {
            if let Some(field) = field {
                super::set_text(event, field, value);
            }
        }
        true
    }
}

/// Wordings as written: pattern, action, meaning.
pub type Rows = &'static [(&'static str, &'static str, Act)];

/// Wordings of one device, each with an action and a meaning; the first that fits counts.
#[derive(Clone, Debug)]
pub struct Wordings {
    rows: Vec<(Template, &'static str, Act)>,
    /// The first byte of each row, [`ANY`] of one that begins with a value.
    firsts: Vec<u8>,
}

/// No byte of a text.
const ANY: u8 = 0xff;

impl Wordings {
    /// Compiles a table of wordings. An empty action leaves `event.action` as it is.
    pub fn new(table: Rows) -> Wordings {
        let row = |(wording, action, meaning): &(&'static str, &'static str, Act)| {
            (Template::new(wording), *action, *meaning)
        };
        let rows: Vec<_> = table.iter().map(row).collect();
        let first = |(template, ..): &(Template, _, _)| template.first.bytes().next().unwrap_or(ANY);
        Wordings { firsts: rows.iter().map(first).collect(), rows }
    }

    /// Whether one of them fits; then its values, action and meaning are set.
    pub fn fill(&self, message: &str, event: &mut Event) -> bool {
        let first = message.bytes().next().unwrap_or(ANY);
        let mut rows = memchr::memchr2_iter(first, ANY, &self.firsts).filter_map(|at| self.rows.get(at));
        let Some((_, action, meaning)) = rows.find(|(template, ..)| template.fill(message, event)) else {
            return false;
        };
        if !action.is_empty() {
            event.set(Field::EVENT_ACTION, *action);
        }
        act(event, *meaning);
        true
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::{Timestamp, Value};

    use super::*;

    fn filled(pattern: &'static str, message: &str) -> Option<Vec<(String, String)>> {
        let mut event = Event::new(Timestamp(0), *b"");
        let shown = |(field, value): &(Field, Value)| (field.name().to_owned(), format!("{:?}", value.as_text()));
        Template::new(pattern).fill(message, &mut event).then(|| event.fields().iter().map(shown).collect())
    }

    #[test]
    fn a_value_chosen_by_a_stranger_does_not_pass_for_the_device() {
        let pattern = "login failure for user <user.name*> from <source.ip> via <x.via>";
        let message = "login failure for user a from 198.51.100.66 via ssh from 203.0.113.40 via winbox";
        let found = filled(pattern, message).expect("the wording is this");
        let value = |name: &str| found.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        // The user's part is greedy, so the address is the one that the router wrote.
        assert_eq!(value("source.ip"), Some("Some(\"203.0.113.40\")"));
        assert_eq!(value("user.name"), Some("Some(\"a from 198.51.100.66 via ssh\")"));
    }

    #[test]
    fn another_wording_sets_nothing() {
        assert_eq!(filled("a <x.y> b", "a 1 c"), None);
        assert_eq!(filled("a <x.y> b", "z"), None);
        assert_eq!(filled("a <x.y", "a "), Some(Vec::new()));
        assert_eq!(filled("", "anything"), Some(Vec::new()));
    }
}
