//! The name of a field as people write it, and the fields it may mean: as it is, under the homes of
//! vendors' fields, and by Sigma's taxonomy. Names have no case. A test on a name holds when it holds for
//! any of its candidates.

use nhatle_event::field::TABLE;
use nhatle_event::{Field, Text};

use crate::segment::words::name_key;

/// Where vendors' own names live.
const HOMES: [&str; 4] = ["winlog.event_data.", "winlog.user_data.", "auditd.data.", "iptables."];

/// A field name in a query.
#[derive(Clone, Debug)]
pub struct FieldName {
    /// As written.
    pub written: Text,
    /// The keys ([`name_key`]) of the fields it may mean, each once.
    pub candidates: Vec<Text>,
    /// Where it stands in the line it was read from, in bytes.
    pub offset: Option<usize>,
}

impl PartialEq for FieldName {
    fn eq(&self, other: &FieldName) -> bool {
        self.written == other.written
    }
}

impl FieldName {
    /// The fields that `written` may mean.
    pub fn new(written: &str) -> FieldName {
        let key = name_key(written).into_owned();
        let mut candidates = vec![Text::from(&key)];
        let is_known = TABLE.iter().any(|known| known.name == key) || key.starts_with('@');
        if !is_known {
            candidates.extend(HOMES.iter().map(|home| Text::from(format!("{home}{key}"))));
            for known in TABLE {
                let is_alias = |alias: &&str| alias.split_once(':').is_some_and(|(_, name)| name_key(name) == key);
                if known.sigma.iter().any(is_alias) {
                    candidates.push(Text::from(known.name));
                }
            }
        }
        FieldName { written: Text::from(written), candidates, offset: None }
    }

    /// The same, read at this place of a line.
    #[must_use]
    pub fn at(self, offset: usize) -> FieldName {
        FieldName { offset: Some(offset), ..self }
    }

    /// Exactly this field.
    pub fn of(field: Field) -> FieldName {
        let key = Text::from(&*name_key(field.name()));
        FieldName { written: Text::from(field.name()), candidates: vec![key], offset: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, expected: &str) {
        let name = FieldName::new(written);
        assert!(name.candidates.iter().any(|key| key == expected), "{written}: {:?}", name.candidates);
    }

    #[test]
    fn names_of_the_table_are_ascii() {
        assert!(TABLE.iter().all(|known| known.name.is_ascii()), "a key has the length of its name");
    }

    #[test]
    fn a_name_means_ecs_vendor_and_sigma() {
        check("user.name", "user.name");
        check("User.Name", "user.name");
        check("EventID", "event.code");
        check("Image", "winlog.event_data.image");
        check("Image", "process.executable");
        check("c-ip", "source.ip");
        check("acct", "auditd.data.acct");
        assert_eq!(FieldName::new("source.ip").candidates.len(), 1);
    }
}
