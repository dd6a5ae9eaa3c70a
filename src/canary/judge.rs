//! Whether a canary was seen: its events, as they came out of the log, meet the detector that runs.
//!
//! In: committed batches, with the detector and rules in force. Out: a result for each canary whose events are
//! all there. A correlation is asked with a correlator of its own that sees the canary's events only, so no
//! window of real events is touched. Bounded: [`WAITING_MAX`] canaries that are not whole; the oldest go.

use std::collections::BTreeMap;
use std::sync::Arc;

use nhatle_engine::correlate::{Arrived, Correlator, Limits};
use nhatle_engine::detect::evidence::Step;
use nhatle_engine::detect::{Detector, Explained, explain};
use nhatle_event::{Event, Field, Seq, Stored, Timestamp};
use nhatle_rules::{RuleId, RuleSet};
use nhatle_storage::Dataset;

use super::book::{Book, Fault, bounded};
use super::{EVENTS_MAX, Tag};

/// How many canaries may wait for their other events.
pub const WAITING_MAX: usize = 4_096;

/// See the module.
#[derive(Default)]
pub struct Judge {
    /// By run and rule.
    waiting: BTreeMap<(i64, String), Vec<(usize, Event)>>,
}

impl Judge {
    /// Takes the canaries out of a committed batch and judges those that are whole.
    pub fn take(&mut self, batch: &[Stored], detector: &Detector, book: &Book, now: Timestamp) {
        for stored in batch.iter().filter(|stored| Dataset::of(&stored.event) == Dataset::Canaries) {
            let Some(tag) = Tag::of(&stored.event) else { continue };
            let key = (tag.run, tag.rule_id.clone());
            let events = self.waiting.entry(key.clone()).or_default();
            if events.len() < EVENTS_MAX {
                events.push((tag.place, stored.event.clone()));
            }
            if events.len() < tag.count {
                continue;
            }
            let mut events = self.waiting.remove(&key).unwrap_or_default();
            events.sort_by_key(|(place, _)| *place);
            let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
            let result = judge(&tag.rule_id, &events, detector).map(|()| now);
            book.judged(&tag.rule_id, tag.run, result);
        }
        while WAITING_MAX < self.waiting.len() {
            self.waiting.pop_first();
        }
    }
}

/// Whether a rule sees these events.
///
/// # Errors
/// It does not; why.
pub fn judge(rule_id: &str, events: &[Event], detector: &Detector) -> Result<(), Fault> {
    let rules = detector.rules();
    let is_dead = |event: &&Event| event.text(Field::EVENT_DATASET) == Some(nhatle_event::event::DEAD_LETTERS);
    if let Some(dead) = events.iter().find(is_dead) {
        return Err(Fault::DeadLetter(bounded(dead.text(Field::ERROR_MESSAGE).unwrap_or_default())));
    }
    if let Some(place) = rules.rules.iter().position(|rule| rule.meta.id == rule_id) {
        let id = RuleId(u32::try_from(place).unwrap_or(u32::MAX));
        if detector.detect_events(events).iter().any(|found| found.rule == id) {
            return Ok(());
        }
        return Err(why_not(rules, id, events));
    }
    let Some(place) = rules.correlations.iter().position(|correlation| correlation.meta.id == rule_id) else {
        return Err(Fault::Lost);
    };
    let matches = detector.detect_events(events);
    let arrived: Vec<Arrived<'_>> = (1..).zip(events).map(|(seq, event)| Arrived { seq: Seq(seq), event }).collect();
    let fired = Correlator::new(rules.clone(), Limits::default()).push(&arrived, &matches);
    if fired.iter().any(|one| one.correlation.0 as usize == place) {
        return Ok(());
    }
    let counted = matches.iter().map(|found| found.position).collect::<std::collections::BTreeSet<_>>().len();
    Err(Fault::Correlation(format!("{counted}/{}", events.len())))
}

/// What is missing, told by the event that comes nearest.
fn why_not(rules: &Arc<RuleSet>, rule: RuleId, events: &[Event]) -> Fault {
    let explained: Vec<_> = events.iter().filter_map(|event| Some((event, explain(rules, rule, event)?))).collect();
    let Some((_, explanation)) = explained.iter().find(|(_, explanation)| explanation.passes_gate) else {
        let kind = explained.first().map_or_else(String::new, |(event, _)| kind_of(event));
        return Fault::LogSource(bounded(&kind));
    };
    let mut missing = Vec::new();
    failed(&explanation.condition, &mut missing);
    missing.dedup();
    Fault::Field(bounded(&missing.join("; ")))
}

fn kind_of(event: &Event) -> String {
    let fields = [Field::EVENT_MODULE, Field::EVENT_DATASET, Field::WINLOG_CHANNEL, Field::EVENT_CODE];
    let shown = |field: Field| Some(format!("{}={}", field.name(), event.text(field)?));
    fields.into_iter().filter_map(shown).collect::<Vec<_>>().join(" ")
}

/// The tests that keep a condition from holding.
fn failed(part: &Explained, missing: &mut Vec<String>) {
    if part.holds {
        return;
    }
    match &part.step {
        Step::All(parts) | Step::Any(parts) => parts.iter().for_each(|part| failed(part, missing)),
        Step::Test(item) => {
            let name = if item.name.is_empty() { "*" } else { &item.name };
            let what = if item.value.is_none() { "absent" } else { "another value" };
            missing.push(format!("{name}: {what}"));
        }
        Step::Not(_) => missing.push("a filter holds".to_owned()),
        Step::Constant => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use nhatle_rules::LoadOptions;

    use super::*;

    const RULES: &str = "title: a\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01\nname: a\nlogsource: {product: windows, service: security}\n\
        detection:\n  s: {EventID: 4625, TargetUserName|contains: x}\n  condition: s\n---\ntitle: b\nid: \
        6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a02\ncorrelation:\n  type: event_count\n  rules: [a]\n  group-by: [TargetUserName]\n  \
        timespan: 1m\n  condition: {gte: 3}\n";
    const ONE: &str = "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a01";
    const MANY: &str = "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a02";

    fn event(channel: &str, fields: &[(&str, &str)]) -> Event {
        let mut event = Event::new(Timestamp(1), *b"x");
        event.set(Field::EVENT_MODULE, "windows");
        event.set(Field::WINLOG_CHANNEL, channel);
        for (name, value) in fields {
            event.set_named(name, *value);
        }
        event
    }

    fn detector() -> Detector {
        let set = RuleSet::from_texts(&[(PathBuf::from("r.yml"), RULES.to_owned())], &LoadOptions::default());
        assert!(set.errors.is_empty(), "{:?}", set.errors);
        Detector::new(Arc::new(set))
    }

    #[test]
    fn a_canary_that_is_not_seen_says_what_is_missing() {
        let detector = detector();
        let good = event("Security", &[("EventID", "4625"), ("TargetUserName", "xin")]);
        assert_eq!(judge(ONE, std::slice::from_ref(&good), &detector), Ok(()));
        let field = judge(ONE, &[event("Security", &[("EventID", "4625")])], &detector);
        assert_eq!(field, Err(Fault::Field("TargetUserName: absent".into())));
        let source = judge(ONE, &[event("System", &[("EventID", "4625")])], &detector);
        assert_eq!(source, Err(Fault::LogSource("event.module=windows winlog.channel=System".into())));
        let mut dead = good.clone();
        dead.set(Field::EVENT_DATASET, nhatle_event::event::DEAD_LETTERS);
        dead.set(Field::ERROR_MESSAGE, "json: no");
        assert_eq!(judge(ONE, &[dead], &detector), Err(Fault::DeadLetter("json: no".into())));
        assert_eq!(judge(MANY, &vec![good.clone(); 3], &detector), Ok(()));
        assert_eq!(judge(MANY, &[good], &detector), Err(Fault::Correlation("1/1".into())));
        assert_eq!(judge("gone", &[], &detector), Err(Fault::Lost));
    }

    #[test]
    fn a_canary_is_judged_when_all_of_it_is_there_in_any_order() {
        let (detector, book) = (detector(), Book::default());
        let mut judge = Judge::default();
        book.sent(MANY, 7, super::super::book::Origin::Sample);
        let stored = |place: usize| {
            let mut event = event("Security", &[("EventID", "4625"), ("TargetUserName", "xin")]);
            event.set(Field::NHATLE_CANARY, Tag { rule_id: MANY.into(), run: 7, place, count: 3 }.text());
            Stored { seq: Seq(place as u64 + 1), committed: Timestamp(0), event }
        };
        judge.take(&[stored(2), stored(0)], &detector, &book, Timestamp(9));
        assert_eq!(book.waiting(7).len(), 1);
        judge.take(&[stored(1)], &detector, &book, Timestamp(9));
        assert_eq!(book.proof(MANY).and_then(|proof| proof.proven_ns), Some(9));
        assert!(judge.waiting.is_empty());
    }
}
