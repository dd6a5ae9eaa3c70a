//! Alerts of matches and firings: the stream, a hunt and a preview make them here, so with the same ids.
//!
//! In: rules, matches with their events, firings with a way to look events up. Out: [`Alert`]s, before
//! suppression and exceptions, which are the caller's.

use nhatle_engine::alert::{Alert, Finding, LATE_NS, NamedBy, shown};
use nhatle_engine::correlate::CorrelationMatch;
use nhatle_engine::detect::{Match, matched_fields};
use nhatle_event::{Seq, Stored};
use nhatle_rules::RuleSet;
use nhatle_storage::{Dataset, Snapshot};

/// How many events of a correlation are read back for its entities and sentence.
const SAMPLE_EVENTS: usize = 20;

/// The alert of a match; `None` for a rule that only feeds correlations.
pub fn of_match(rules: &RuleSet, one: &Match, stored: &Stored) -> Option<Alert> {
    let rule = rules.rules.get(one.rule.0 as usize).filter(|rule| rule.is_alerting)?;
    let evidence = matched_fields(rules, one.rule, &stored.event);
    let at = stored.event.timestamp;
    Alert::new(Finding {
        meta: &rule.meta,
        events: &[stored],
        seqs: &[stored.seq],
        span: (at, at),
        count: 1,
        group: Vec::new(),
        evidence: evidence.into_iter().map(|(name, value)| (name, shown(&value))).collect(),
        named_by: NamedBy::Events,
        is_late: LATE_NS < stored.event.received.since(at),
    })
}

/// The alert of a firing, with the event that completed it; `None` for a correlation that only feeds others, or
/// whose events are gone.
pub fn of_firing(
    rules: &RuleSet,
    one: &CorrelationMatch,
    mut find: impl FnMut(Seq) -> Option<Stored>,
) -> Option<(Alert, Stored)> {
    let correlation = rules.correlations.get(one.correlation.0 as usize).filter(|one| one.is_alerting)?;
    let skipped = one.events.len().saturating_sub(SAMPLE_EVENTS);
    let mut sample: Vec<Stored> = one.events.iter().skip(skipped).filter_map(|seq| find(*seq)).collect();
    let alert = Alert::new(Finding {
        meta: &correlation.meta,
        events: &sample.iter().collect::<Vec<_>>(),
        seqs: &one.events,
        span: (one.start, one.end),
        count: one.count,
        group: one.group.clone(),
        evidence: one.group.clone(),
        named_by: NamedBy::Window,
        is_late: one.is_late,
    })?;
    Some((alert, sample.pop()?))
}

/// The stored event of this number.
pub fn event_of(snapshot: &Snapshot, seq: Seq) -> Option<Stored> {
    if let Some((_, stored)) = snapshot.recent_by_seq(seq) {
        return Some(stored.clone());
    }
    let is_its = |meta: &nhatle_storage::segment::meta::SegmentMeta| (meta.first_seq..=meta.last_seq).contains(&seq);
    let segment = snapshot.segments(Dataset::Events).find(|segment| is_its(segment.meta()))?;
    segment.open().ok()?.get(seq).ok()?
}
