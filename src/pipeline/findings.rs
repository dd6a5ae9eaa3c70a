//! Alerts of matches and firings: the stream, a hunt and a preview make them here, so with the same ids.
//!
//! In: rules, matches with their events, firings with a way to look events up. Out: [`Alert`]s, before
//! suppression and exceptions, which are the caller's.

use std::collections::BTreeMap;

use nhatle_engine::alert::{Alert, Finding, LATE_NS, NamedBy, shown};
use nhatle_engine::correlate::CorrelationMatch;
use nhatle_engine::detect::{Match, matched_fields};
use nhatle_event::{Seq, Stored};
use nhatle_rules::RuleSet;
use nhatle_storage::Snapshot;
use tracing::warn;

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
        units: None,
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
pub fn of_firing<'a>(
    rules: &RuleSet,
    one: &CorrelationMatch,
    find: impl Fn(Seq) -> Option<&'a Stored>,
) -> Option<(Alert, &'a Stored)> {
    let correlation = rules.correlations.get(one.correlation.0 as usize).filter(|one| one.is_alerting)?;
    let mut sample: Vec<&Stored> = sample_of(one).iter().filter_map(|seq| find(*seq)).collect();
    let alert = Alert::new(Finding {
        meta: &correlation.meta,
        events: &sample,
        units: Some(one.units.clone()),
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

/// The events of a firing that its alert is made of.
fn sample_of(one: &CorrelationMatch) -> &[Seq] {
    &one.events[one.events.len().saturating_sub(SAMPLE_EVENTS)..]
}

/// How many firings are looked up together: at most so many times [`SAMPLE_EVENTS`] events are held.
pub const FIRINGS_MAX: usize = 256;

/// The events that firings are made of, read back together: each segment is read once for all of them, and what the
/// firings before needed too is not read again.
#[derive(Default)]
pub struct Samples {
    kept: BTreeMap<Seq, Stored>,
}

impl Samples {
    /// Reads what these firings ([`FIRINGS_MAX`] at most) need and is not in `batch` (in order of `Seq`). What cannot be
    /// read is left out.
    pub fn read(&mut self, rules: &RuleSet, fired: &[CorrelationMatch], batch: &[Stored], snapshot: &Snapshot) {
        let is_alerting = |one: &&CorrelationMatch| {
            rules.correlations.get(one.correlation.0 as usize).is_some_and(|correlation| correlation.is_alerting)
        };
        let mut wanted: Vec<Seq> = fired.iter().filter(is_alerting).flat_map(sample_of).copied().collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|seq| in_batch(batch, *seq).is_none());
        let mut before = std::mem::take(&mut self.kept);
        let missing: Vec<Seq> = wanted.iter().filter(|seq| !before.contains_key(seq)).copied().collect();
        self.kept.extend(wanted.iter().filter_map(|seq| before.remove_entry(seq)));
        let found = snapshot.get_all(&missing).unwrap_or_else(|error| {
            // One damaged segment does not keep the events of the others away.
            warn!(%error, "events of correlations are read one by one");
            missing.iter().filter_map(|seq| event_of(snapshot, *seq)).collect()
        });
        self.kept.extend(found.into_iter().map(|stored| (stored.seq, stored)));
    }

    /// An event of the batch, or one that was read.
    pub fn find<'a>(&'a self, batch: &'a [Stored], seq: Seq) -> Option<&'a Stored> {
        in_batch(batch, seq).or_else(|| self.kept.get(&seq))
    }
}

fn in_batch(batch: &[Stored], seq: Seq) -> Option<&Stored> {
    batch.binary_search_by_key(&seq, |stored| stored.seq).ok().and_then(|at| batch.get(at))
}

/// The stored event of this number.
fn event_of(snapshot: &Snapshot, seq: Seq) -> Option<Stored> {
    snapshot.get(seq, None).ok().flatten().map(|(_, stored)| stored)
}
