//! Whether a finding is expected: the exceptions that hold, ready to be asked.
//!
//! In: exceptions with the rule each compiled to, then findings. Out: the number of the first that hides it.
//! A finding of one event is asked by that event; a correlation's by the event that completed it, with the
//! values of its group, where the event does not have them itself. With units, every unit of the finding must
//! be the exception's.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::{Event, Timestamp};
use nhatle_rules::{RuleId, RuleSet};

use crate::detect::naive::predicate_holds;

/// An exception that holds, compiled.
#[derive(Clone, Debug)]
pub struct Active {
    /// Its number.
    pub number: u64,
    /// The rule or correlation it is of.
    pub rule_id: String,
    /// The unit it is for.
    pub unit: Option<String>,
    /// It holds for events before this.
    pub until: Timestamp,
    /// What must hold, in the set of the [`Hider`].
    pub selection: RuleId,
}

/// A finding that asks whether it is expected.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The rule or correlation that found it.
    pub rule_id: &'a str,
    /// The event, of several the one that completed it.
    pub event: &'a Event,
    /// The group, of a correlation.
    pub group: &'a [(String, String)],
    /// The units of its events.
    pub units: &'a [String],
    /// When it happened.
    pub at: Timestamp,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Hider {
    selections: Arc<RuleSet>,
    by_rule: HashMap<String, Vec<Active>>,
}

impl Hider {
    /// Exceptions, with the set their selections are compiled in.
    pub fn new(selections: Arc<RuleSet>, active: Vec<Active>) -> Hider {
        let mut by_rule: HashMap<String, Vec<Active>> = HashMap::with_capacity(active.len());
        for one in active {
            by_rule.entry(one.rule_id.clone()).or_default().push(one);
        }
        by_rule.values_mut().for_each(|list| list.sort_by_key(|one| one.number));
        Hider { selections, by_rule }
    }

    /// The number of the exception that hides this finding.
    pub fn hides(&self, subject: &Subject<'_>) -> Option<u64> {
        let list = self.by_rule.get(subject.rule_id)?;
        let event = with_group(subject);
        let event = event.as_ref().unwrap_or(subject.event);
        let holds = |one: &&Active| {
            let is_unit = |unit: &String| !subject.units.is_empty() && subject.units.iter().all(|one| one == unit);
            let selection = self.selections.rules.get(one.selection.0 as usize);
            subject.at < one.until
                && one.unit.as_ref().is_none_or(is_unit)
                && selection.is_some_and(|rule| predicate_holds(&self.selections, &rule.predicate, event))
        };
        list.iter().find(holds).map(|one| one.number)
    }
}

/// The event with the values of the group it does not have; `None` where it lacks none.
fn with_group(subject: &Subject<'_>) -> Option<Event> {
    let mut whole: Option<Event> = None;
    for (name, value) in subject.group {
        let has = nhatle_event::Field::lookup(name).is_some_and(|field| subject.event.get(field).is_some());
        if !has {
            whole.get_or_insert_with(|| subject.event.clone()).set_named(name, value.as_str());
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use nhatle_rules::write::{About, FieldTest, How, selection_text};
    use nhatle_rules::{LoadOptions, Routing};

    use super::*;

    fn hider(tests: &[(&str, How, &str)], unit: Option<&str>) -> Hider {
        let tests: Vec<FieldTest> = tests
            .iter()
            .map(|(field, how, value)| FieldTest { field: (*field).into(), how: *how, value: (*value).into() })
            .collect();
        let logsource = [Some("process_creation".to_owned()), Some("windows".to_owned()), None];
        let about = About { title: "t", name: "exception_3", description: "d", logsource: &logsource };
        let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
        let set = RuleSet::from_texts(&[(PathBuf::from("x"), selection_text(&about, &tests))], &options);
        assert!(set.errors.is_empty(), "{:?}", set.errors);
        let active = Active {
            number: 3,
            rule_id: "r".into(),
            unit: unit.map(Into::into),
            until: Timestamp(100),
            selection: RuleId(0),
        };
        Hider::new(Arc::new(set), vec![active])
    }

    fn event() -> Event {
        let mut event = Event::new(Timestamp(1), *b"x");
        event.set_named("process.executable", "C:\\Tools\\Sync.exe");
        event.set_named("source.ip", "10.45.0.9".parse::<std::net::IpAddr>().expect("an address"));
        event
    }

    #[test]
    fn a_finding_is_hidden_when_every_test_holds() {
        let event = event();
        let units = ["DH01".to_owned()];
        let subject = Subject { rule_id: "r", event: &event, group: &[], units: &units, at: Timestamp(99) };
        type Row<'a> = (&'a [(&'a str, How, &'a str)], Option<&'a str>, bool);
        let rows: [Row<'_>; 6] = [
            (&[("Image", How::Equals, "c:\\tools\\sync.exe")], None, true),
            (&[("Image", How::EndsWith, "\\sync.exe"), ("source.ip", How::Cidr, "10.45.0.0/24")], None, true),
            (&[("Image", How::EndsWith, "\\sync.exe"), ("source.ip", How::Cidr, "10.46.0.0/24")], None, false),
            (&[("Image", How::Contains, "*")], None, false),
            (&[("Image", How::StartsWith, "C:\\Tools")], Some("DH01"), true),
            (&[("Image", How::StartsWith, "C:\\Tools")], Some("DH02"), false),
        ];
        for (tests, unit, expected) in rows {
            assert_eq!(hider(tests, unit).hides(&subject), expected.then_some(3), "{tests:?} {unit:?}");
        }
        let hider = hider(&[("Image", How::Contains, "sync")], None);
        assert_eq!(hider.hides(&Subject { at: Timestamp(100), ..subject }), None, "its time is over");
        assert_eq!(hider.hides(&Subject { rule_id: "other", ..subject }), None);
    }

    #[test]
    fn an_exception_of_a_unit_hides_nothing_of_two_units_or_none() {
        let event = event();
        let hider = hider(&[("Image", How::Contains, "sync")], Some("DH01"));
        let subject = Subject { rule_id: "r", event: &event, group: &[], units: &[], at: Timestamp(1) };
        assert_eq!(hider.hides(&subject), None);
        let units = ["DH01".to_owned(), "DH02".to_owned()];
        assert_eq!(hider.hides(&Subject { units: &units, ..subject }), None);
    }

    #[test]
    fn a_correlation_is_asked_by_its_group_too() {
        let event = event();
        let group = [("user.name".to_owned(), "backup".to_owned()), ("source.ip".to_owned(), "192.0.2.1".to_owned())];
        let subject = Subject { rule_id: "r", event: &event, group: &group, units: &[], at: Timestamp(1) };
        assert_eq!(hider(&[("user.name", How::Equals, "backup")], None).hides(&subject), Some(3));
        assert_eq!(
            hider(&[("source.ip", How::Equals, "192.0.2.1")], None).hides(&subject),
            None,
            "the event's own value stands"
        );
    }
}
