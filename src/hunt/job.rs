//! A hunt that stores what it finds: the rules over a time, and what is new becomes alerts marked as found late.
//!
//! In: a hunter, a range, who asked. Out: alerts in the store and the alert book, and in the register who hunted
//! with what over which time and what came of it (`hunt/NUMBER`). Promise: an alert has the id the stream would
//! have given it, so hunting twice, or hunting what the stream saw, adds nothing; exceptions hide as they do in the
//! stream; nothing is grouped into incidents: a hunt over a month would open dozens and start their clocks at
//! once, so a person decides (ADR 15). Failure: the hunt ends as failed; what was stored stands.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use nhatle_engine::alert::retro::Standing;
use nhatle_engine::alert::{Alert, Retro};
use nhatle_engine::exception::Subject;
use nhatle_engine::hunt::{HuntChange, HuntCounts, HuntOutcome};
use nhatle_engine::register::AnyChange;
use nhatle_event::{Seq, Stored, Timestamp};
use nhatle_rules::RuleSet;
use nhatle_storage::{Dataset, ReadError, WriteError};
use tracing::{error, info};

use super::{Detail, Hunter, Looked, Pace, Progress, Range};
use crate::pipeline::{Shared, detect, findings, publish};
use crate::registry::RecordError;

/// How many alerts one hunt stores; somebody has to look at them.
pub const ALERTS_MAX: usize = 10_000;
/// How many findings are kept until the end, to be judged in order of time; past it the hunt is full.
pub const FINDINGS_MAX: usize = 200_000;
/// How often, and how long, the mark of detection is waited for: five seconds in all.
const MARK_TRIES: usize = 250;
/// See [`MARK_TRIES`].
const MARK_WAIT: Duration = Duration::from_millis(20);
/// How many alerts are stored as one batch.
const BATCH_ALERTS: usize = 1_000;

/// What one hunt is.
pub struct Hunt {
    /// Its number in the register.
    pub number: u64,
    /// Who asked for it.
    pub by: String,
    /// The time it looks at.
    pub range: Range,
}

/// Writes down that a hunt begins.
///
/// # Errors
/// The register cannot be written.
pub fn begin(
    shared: &Shared,
    by: &str,
    (rule_id, rule_title): (&str, &str),
    range: Range,
) -> Result<Hunt, RecordError> {
    let number = shared.registry.record(by, shared.clock.now(), |state| {
        let number = state.next_hunt();
        let change = HuntChange::Begin {
            rule_id: rule_id.to_owned(),
            rule_title: rule_title.to_owned(),
            from_ns: range.from.0,
            to_ns: range.to.0,
        };
        Ok::<_, RecordError>((vec![AnyChange::Hunt(number, change)], number))
    })?;
    shared.tick();
    Ok(Hunt { number, by: by.to_owned(), range })
}

/// Runs a hunt to its end, stores what is new and writes down what came of it. `told` hears how far it is, and
/// says when to stop and for whom.
pub fn run(
    shared: &Shared,
    hunter: &Hunter,
    hunt: &Hunt,
    pace: Pace<'_>,
    stopped_by: &dyn Fn() -> Option<String>,
) -> (HuntOutcome, HuntCounts) {
    let mut counts = HuntCounts::default();
    let outcome = match collect(shared, hunter, hunt, pace, &mut counts) {
        Ok((found, outcome)) => match store(shared, hunt, found, &mut counts) {
            Ok(()) => outcome,
            Err(error) => {
                error!(%error, hunt.number, "alerts of a hunt not stored");
                HuntOutcome::Failed
            }
        },
        Err(error) => {
            error!(%error, hunt.number, "hunt stopped");
            HuntOutcome::Failed
        }
    };
    let actor = stopped_by().filter(|_| outcome == HuntOutcome::Canceled).unwrap_or_else(|| hunt.by.clone());
    let end = AnyChange::Hunt(hunt.number, HuntChange::End { outcome, counts });
    if let Err(error) = shared.registry.change(&actor, shared.clock.now(), &end) {
        error!(%error, hunt.number, "end of a hunt not written down");
    }
    info!(hunt.number, hunt.alerts = counts.alerts, hunt.read = counts.read, "hunt over");
    shared.tick();
    (outcome, counts)
}

/// The findings that no exception hides, in order of time.
fn collect(
    shared: &Shared,
    hunter: &Hunter,
    hunt: &Hunt,
    pace: Pace<'_>,
    counts: &mut HuntCounts,
) -> Result<(Vec<Alert>, HuntOutcome), ReadError> {
    let detected = settled(shared);
    let snapshot = shared.store.snapshot();
    let mut kept = Kept { shared, detected, alerts: BTreeMap::new(), hidden: 0, findings: 0 };
    let mut progress = Progress::default();
    let ended = hunter.run(&snapshot, hunt.range, Detail::Whole, pace, |looked: Looked<'_>| {
        progress = looked.progress;
        for one in looked.matches {
            let Some(stored) = looked.events.get(one.position) else { continue };
            if let Some(alert) = findings::of_match(hunter.rules(), one, stored) {
                kept.add(alert, stored);
            }
        }
        if kept.alerts.len() < FINDINGS_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let is_full = FINDINGS_MAX <= kept.alerts.len();
    let mut samples = findings::Samples::default();
    for fired in ended.fired.chunks(findings::FIRINGS_MAX) {
        samples.read(hunter.rules(), fired, &[], &snapshot);
        for one in fired {
            if let Some((alert, stored)) = findings::of_firing(hunter.rules(), one, |seq| samples.find(&[], seq)) {
                kept.add(alert, stored);
            }
        }
    }
    counts.events = progress.events.max(ended.progress.events);
    counts.read = progress.read.max(ended.progress.read);
    (counts.findings, counts.hidden) = (kept.findings, kept.hidden);
    let outcome = match (is_full, ended.is_stopped) {
        (true, _) => HuntOutcome::Full,
        (false, true) => HuntOutcome::Canceled,
        (false, false) => HuntOutcome::Done,
    };
    Ok((kept.alerts.into_values().collect(), outcome))
}

/// Up to where the stream has looked with all it found stored: what is behind that is the stream's. The mark says it,
/// and is written about once a second; where no stream runs, nothing is waited for.
pub(crate) fn settled(shared: &Shared) -> Seq {
    let wanted = shared.live.detected();
    let mark = || {
        let mark = shared.store.mark(detect::MARK).and_then(|bytes| bytes.try_into().ok());
        Seq(mark.map_or(0, u64::from_le_bytes))
    };
    for _ in 0..MARK_TRIES {
        if wanted <= mark() {
            break;
        }
        std::thread::sleep(MARK_WAIT);
    }
    mark()
}

/// Findings by time, then by the event that completed them.
struct Kept<'a> {
    shared: &'a Shared,
    detected: Seq,
    alerts: BTreeMap<(i64, Option<u64>, String), Alert>,
    hidden: u64,
    findings: u64,
}

impl Kept<'_> {
    fn add(&mut self, alert: Alert, last: &Stored) {
        if alert.seqs().any(|seq| self.detected < seq) {
            return;
        }
        self.findings += 1;
        let subject = Subject {
            rule_id: alert.rule_id.as_str(),
            event: &last.event,
            group: &alert.group,
            units: &alert.units,
            at: alert.timestamp(),
        };
        if self.shared.exceptions.hider().hides(&subject).is_some() {
            self.hidden += 1;
            return;
        }
        self.alerts.insert((alert.at_ns, alert.events.iter().max().copied(), alert.id.to_string()), alert);
    }
}

/// Stores what is new, in batches, and shows it.
fn store(shared: &Shared, hunt: &Hunt, found: Vec<Alert>, counts: &mut HuntCounts) -> Result<(), WriteError> {
    // The stream may have stored an alert a moment ago that is not in the book yet.
    let snapshot = shared.store.snapshot();
    let stored: Vec<Alert> =
        snapshot.recent(Dataset::Alerts).filter_map(|row| Alert::from_event(&row.stored().event)).collect();
    let book = shared.alerts();
    let mut retro = Retro::new(book.newest_first().map(|alert| &**alert).chain(&stored));
    drop(book);
    let mut fresh = Vec::new();
    for alert in found {
        match retro.judge(&alert) {
            Standing::Known => counts.known += 1,
            Standing::Repeat => counts.repeats += 1,
            Standing::New if fresh.len() < ALERTS_MAX => fresh.push(Alert { hunt: Some(hunt.number), ..alert }),
            Standing::New => {}
        }
    }
    for alerts in fresh.chunks(BATCH_ALERTS) {
        let now = shared.clock.now();
        let rows = alerts.iter().map(|alert| (Dataset::Alerts, alert.to_event(now))).collect();
        shared.store.append(rows, &[])?;
        counts.alerts += alerts.len() as u64;
        publish(shared, alerts.to_vec());
    }
    Ok(())
}

/// The time a number of days before `now`, to now.
pub fn days_before(now: Timestamp, days: u32) -> Range {
    const DAY_NS: i64 = 86_400_000_000_000;
    Range { from: now.plus_nanos(-i64::from(days).saturating_mul(DAY_NS)), to: now.plus_nanos(1) }
}

/// The rule or correlation of this id, with what it refers to; `None` where there is none.
pub fn rules_of(rules: &RuleSet, id: &str) -> Option<Arc<RuleSet>> {
    let only = rules.only(&[id]);
    (!only.rules.is_empty()).then(|| Arc::new(only))
}

/// The title of a rule or correlation.
pub fn title_of(rules: &RuleSet, id: &str) -> Option<String> {
    let metas = rules.rules.iter().map(|rule| &rule.meta);
    let metas = metas.chain(rules.correlations.iter().map(|correlation| &correlation.meta));
    metas.into_iter().find(|meta| meta.id == id).map(|meta| meta.title.clone())
}
