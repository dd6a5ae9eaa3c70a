//! The exceptions in force, compiled, and how much each has hidden.
//!
//! In: the register's state and the rules in force. Out: a [`Hider`] to ask, swapped whole when one of them
//! changes; counts, which the detecting stage writes down as a mark of the store in the batch that carries
//! what it found, so that after a crash they are neither lost nor doubled. An exception whose text does not
//! compile (its rule is gone and its fields mean nothing any more) hides nothing and says why.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use nhatle_engine::exception::{Active, Exception, Hider};
use nhatle_event::Timestamp;
use nhatle_rules::write::{About, FieldTest, filter_text, selection_text};
use nhatle_rules::{LoadOptions, Referred, Routing, RuleId, RuleSet};
use serde::{Deserialize, Serialize};

/// The mark that keeps the counts.
pub const MARK: &str = "exceptions";

/// What an exception has hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    /// How many findings.
    pub count: u64,
    /// When the newest of them happened, nanoseconds.
    pub newest_ns: i64,
}

/// See the module.
#[derive(Default)]
pub struct Exceptions {
    hider: RwLock<Arc<Hider>>,
    faults: RwLock<BTreeMap<u64, String>>,
    hidden: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    by_number: BTreeMap<u64, Hidden>,
    /// Something was counted that the mark does not say yet.
    is_fresh: bool,
}

impl Exceptions {
    /// With the counts of the store's mark; a mark that cannot be read counts from nothing.
    pub fn new(mark: Option<&[u8]>) -> Exceptions {
        let by_number = mark.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        Exceptions { hidden: Mutex::new(Counted { by_number, is_fresh: false }), ..Exceptions::default() }
    }

    /// The exceptions to ask now.
    pub fn hider(&self) -> Arc<Hider> {
        self.hider.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compiles the exceptions that are not ended anew.
    pub fn renew<'a>(&self, exceptions: impl Iterator<Item = &'a Exception>, rules: &RuleSet) {
        let (hider, faults) = compile(exceptions.filter(|one| one.ended.is_none()), rules);
        *self.hider.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(hider);
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Why an exception hides nothing, if so.
    pub fn fault(&self, number: u64) -> Option<String> {
        self.faults.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// Counts a finding that was hidden.
    pub fn count(&self, number: u64, at: Timestamp) {
        let mut hidden = self.lock();
        let one = hidden.by_number.entry(number).or_default();
        one.count += 1;
        one.newest_ns = one.newest_ns.max(at.0);
        hidden.is_fresh = true;
    }

    /// What an exception has hidden.
    pub fn hidden(&self, number: u64) -> Hidden {
        self.lock().by_number.get(&number).copied().unwrap_or_default()
    }

    /// The counts as the mark keeps them, where it does not say them yet.
    pub fn fresh_mark(&self) -> Option<Vec<u8>> {
        let hidden = self.lock();
        if hidden.is_fresh { serde_json::to_vec(&hidden.by_number).ok() } else { None }
    }

    /// The mark says what [`Exceptions::fresh_mark`] gave. For the one thread that counts and writes.
    pub fn mark_written(&self) {
        self.lock().is_fresh = false;
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The Sigma filter an exception is, for reading, sharing and other tools.
pub fn sigma_text(exception: &Exception, rules: &RuleSet) -> String {
    let title = format!("Exception {}: {}", exception.number, exception.rule_title);
    let until = exception.until.to_string();
    let unit = exception.unit.as_ref().map_or(String::new(), |unit| format!(" Unit: {unit}."));
    let description = format!("{} Until {until}.{unit} Owner: {}.", exception.because, exception.owner);
    let logsource = logsource_of(rules, &exception.rule_id);
    let name = name_of(exception.number);
    let about = About { title: &title, name: &name, description: &description, logsource: &logsource };
    filter_text(&about, &exception.rule_id, &exception.tests)
}

/// Tests nobody has decided on yet, to be asked.
///
/// # Errors
/// They do not compile; why.
pub fn proposal(rule_id: &str, tests: &[FieldTest], unit: Option<String>, rules: &RuleSet) -> Result<Hider, String> {
    let logsource = logsource_of(rules, rule_id);
    let set = load(&[(0, selection(0, &logsource, tests))]);
    match (set.errors.first(), set.rules.is_empty()) {
        (Some(error), _) => Err(error.reason.clone()),
        (None, true) => Err("no test".to_owned()),
        (None, false) => {
            let active =
                Active { number: 0, rule_id: rule_id.to_owned(), unit, until: Timestamp::MAX, selection: RuleId(0) };
            Ok(Hider::new(Arc::new(set), vec![active]))
        }
    }
}

fn compile<'a>(exceptions: impl Iterator<Item = &'a Exception>, rules: &RuleSet) -> (Hider, BTreeMap<u64, String>) {
    let exceptions: Vec<&Exception> = exceptions.collect();
    let text = |one: &&Exception| (one.number, selection(one.number, &logsource_of(rules, &one.rule_id), &one.tests));
    let set = load(&exceptions.iter().map(text).collect::<Vec<_>>());
    let mut faults = BTreeMap::new();
    let mut active = Vec::new();
    for one in exceptions {
        let name = name_of(one.number);
        let place = set.rules.iter().position(|rule| rule.meta.name.as_deref() == Some(&name));
        let Some(selection) = place.and_then(|place| u32::try_from(place).ok()) else {
            let file = PathBuf::from(&name);
            let error = set.errors.iter().find(|error| error.file == file);
            faults.insert(one.number, error.map_or_else(String::new, |error| error.reason.clone()));
            continue;
        };
        active.push(Active {
            number: one.number,
            rule_id: one.rule_id.clone(),
            unit: one.unit.clone(),
            until: one.until,
            selection: RuleId(selection),
        });
    }
    (Hider::new(Arc::new(set), active), faults)
}

fn load(texts: &[(u64, String)]) -> RuleSet {
    let texts: Vec<(PathBuf, String)> =
        texts.iter().map(|(number, text)| (PathBuf::from(name_of(*number)), text.clone())).collect();
    RuleSet::from_texts(&texts, &LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() })
}

fn selection(number: u64, logsource: &[Option<String>; 3], tests: &[FieldTest]) -> String {
    let name = name_of(number);
    selection_text(&About { title: &name, name: &name, description: "", logsource }, tests)
}

fn name_of(number: u64) -> String {
    format!("exception_{number}")
}

/// The log source of a rule; of a correlation that of the first rule it counts, whose names its fields have.
fn logsource_of(rules: &RuleSet, rule_id: &str) -> [Option<String>; 3] {
    if let Some(rule) = rules.rules.iter().find(|rule| rule.meta.id == rule_id) {
        return rule.meta.logsource.clone();
    }
    let mut found = rules.correlations.iter().find(|correlation| correlation.meta.id == rule_id);
    while let Some(correlation) = found {
        match correlation.referred.first() {
            Some(Referred::Rule(rule)) => {
                return rules.rules.get(rule.0 as usize).map_or([None, None, None], |rule| rule.meta.logsource.clone());
            }
            // An inner correlation stands before those that refer to it, so this ends.
            Some(Referred::Correlation(inner)) => found = rules.correlations.get(inner.0 as usize),
            None => break,
        }
    }
    [None, None, None]
}

#[cfg(test)]
mod tests {
    use nhatle_engine::exception::{ExceptionChange, Subject, apply};
    use nhatle_event::Event;
    use nhatle_rules::write::How;

    use super::*;

    const RULES: &str = "title: r\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01\nname: r\nlogsource: {category: process_creation, product: windows}\n\
        detection:\n  s: {Image|endswith: .exe}\n  condition: s\n---\ntitle: c\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a02\n\
        correlation:\n  type: event_count\n  rules: [r]\n  group-by: [User]\n  timespan: 1m\n  condition: {gte: 3}\n";

    fn exception(number: u64, rule_id: &str, field: &str, value: &str) -> Exception {
        let change = ExceptionChange::Open {
            rule_id: rule_id.into(),
            rule_title: "Tiêu đề: \"x\"".into(),
            tests: vec![FieldTest { field: field.into(), how: How::Equals, value: value.into() }],
            unit: None,
            because: "vì # thế".into(),
            until_ns: 1_000_000,
            owner: "lan".into(),
            from_alert: None,
            known_hidden: 0,
        };
        apply(None, number, &change, "lan", Timestamp(1)).expect("opens")
    }

    fn rules() -> RuleSet {
        let set = RuleSet::from_texts(&[(PathBuf::from("r.yml"), RULES.to_owned())], &LoadOptions::default());
        assert!(set.errors.is_empty(), "{:?}", set.errors);
        set
    }

    #[test]
    fn each_hides_its_own_and_a_broken_one_hides_nothing_and_says_why() {
        let rules = rules();
        let (one, two) = ("6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01", "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a02");
        let mut broken = exception(9, one, "x", "y");
        broken.tests[0].how = How::Cidr;
        let list = [exception(11, one, "Image", "a.exe"), exception(2, two, "Image", "b.exe"), broken];
        let exceptions = Exceptions::new(None);
        exceptions.renew(list.iter(), &rules);
        let hides = |rule_id: &str, image: &str| {
            let mut event = Event::new(Timestamp(5), *b"x");
            // The name of ECS: the log source of the rule tells that it means the same.
            event.set_named("process.executable", image);
            exceptions.hider().hides(&Subject { rule_id, event: &event, group: &[], units: &[], at: Timestamp(5) })
        };
        assert_eq!((hides(one, "a.exe"), hides(one, "b.exe"), hides(two, "b.exe")), (Some(11), None, Some(2)));
        assert!(exceptions.fault(9).is_some_and(|fault| !fault.is_empty()) && exceptions.fault(11).is_none());
    }

    #[test]
    fn counts_come_back_from_their_mark() {
        let exceptions = Exceptions::new(None);
        exceptions.count(3, Timestamp(7));
        exceptions.count(3, Timestamp(5));
        let again = Exceptions::new(exceptions.fresh_mark().as_deref());
        assert_eq!(again.hidden(3), Hidden { count: 2, newest_ns: 7 });
        assert_eq!(again.fresh_mark(), None);
        exceptions.mark_written();
        assert_eq!(exceptions.fresh_mark(), None);
        assert_eq!(Exceptions::new(Some(b"no json")).hidden(3), Hidden::default());
    }

    #[test]
    fn the_filter_compiles_with_its_rule_and_does_the_same() {
        let rules = rules();
        let one = exception(1, "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01", "Image", "C:\\a*.exe");
        let text = format!("{RULES}---\n{}", sigma_text(&one, &rules));
        let set = RuleSet::from_texts(&[(PathBuf::from("x.yml"), text)], &LoadOptions::default());
        assert!(set.errors.is_empty(), "{:?}", set.errors);
        assert_eq!(set.atoms.len(), rules.atoms.len() + 1, "the filter is in the rule");
    }
}
