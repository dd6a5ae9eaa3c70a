//! Retention at work: which segments may go or belong in the archive now, how full the disk will be when, and the job that
//! does it. In: the configuration's rules, the register's holds, the store. Out: segments dropped or compressed more; of
//! each that went, a record in the register, written before it went (ADR 29).
//!
//! A clock that runs ahead must not cost the year: nothing goes in the first hour of a process, nothing while the clock
//! has jumped since the process began, and never more than [`DAYS_AT_ONCE`] days' segments in a day.

pub mod forecast;
pub mod job;

use std::sync::Arc;

use nhatle_engine::retention::hold::{DroppedSegment, Hold};
use nhatle_engine::retention::{Keep, Kind, RULES_MAX, Rule, check, keep};
use nhatle_event::Timestamp;
use nhatle_storage::segment::meta::Tier;
use nhatle_storage::{Dataset, LiveSegment, ReadError, Snapshot};

/// Segments of at most so many days go in one day.
pub const DAYS_AT_ONCE: i64 = 7;
const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// Checks `[[retention]]`; what is wrong goes to `problems`, by key.
pub fn check_rules(rules: &[Rule], problems: &mut Vec<String>) {
    if RULES_MAX < rules.len() {
        problems.push(format!("retention: at most {RULES_MAX} of them"));
    }
    let datasets = Dataset::ALL.map(Dataset::name);
    for (at, rule) in rules.iter().enumerate() {
        if let Err((key, text)) = check(rule, &datasets) {
            problems.push(format!("retention {}: {key}: {text}", at + 1));
        }
    }
}

/// A segment, and what its rules say.
#[derive(Clone)]
pub struct Due {
    /// The segment.
    pub segment: Arc<LiveSegment>,
    /// How long it is kept.
    pub keep: Keep,
    /// When its first and its last event were stored.
    pub stored: (Timestamp, Timestamp),
}

impl Due {
    /// What stays known of it when it is gone.
    pub fn record(&self, rules: &[Rule]) -> DroppedSegment {
        let meta = self.segment.meta();
        DroppedSegment {
            dir: meta.dir.clone(),
            dataset: meta.dataset.name().to_owned(),
            events: meta.row_count,
            bytes: meta.bytes(),
            seqs: [meta.first_seq.0, meta.last_seq.0],
            happened_ns: [meta.timestamp_min.0, meta.timestamp_max.0],
            stored_ns: [self.stored.0.0, self.stored.1.0],
            events_root: meta.events_root.clone(),
            months: self.keep.months,
            basis: rules.get(self.keep.rule).map(|rule| rule.basis.clone()).unwrap_or_default(),
        }
    }

    /// From when on it may go.
    pub fn gone_from(&self) -> Timestamp {
        self.keep.gone_from(self.stored.1)
    }
}

/// What the rules say of everything that is stored.
#[derive(Default)]
pub struct Plan {
    /// What may go now, oldest first.
    pub due: Vec<Due>,
    /// What could go but for a hold.
    pub held: Vec<Due>,
    /// Folders of what belongs in the archive and is not there yet.
    pub to_archive: Vec<String>,
    /// What goes next, and when.
    pub next: Option<Due>,
    /// Segments that no rule lets go.
    pub kept_for_good: usize,
}

/// Looks at every segment.
///
/// # Errors
/// A segment of an older version, whose times are in its rows only, cannot be read.
pub fn plan<'a>(
    snapshot: &Snapshot,
    rules: &[Rule],
    holds: impl Iterator<Item = &'a Hold> + Clone,
    now: Timestamp,
) -> Result<Plan, ReadError> {
    let mut plan = Plan::default();
    for dataset in Dataset::ALL {
        for segment in snapshot.segments(dataset) {
            let meta = segment.meta();
            let kinds: Option<Vec<Kind<'_>>> = meta
                .kinds
                .as_ref()
                .map(|kinds| kinds.iter().map(|kind| Kind { module: &kind.module, level: kind.level }).collect());
            let Some(keep) = keep(rules, dataset.name(), kinds.as_deref()) else {
                plan.kept_for_good += 1;
                continue;
            };
            let due = Due { segment: segment.clone(), keep, stored: segment.committed()? };
            if meta.tier == Tier::Recent && keep.months != keep.online_months && keep.archived_from(due.stored.1) <= now
            {
                plan.to_archive.push(meta.dir.clone());
            }
            if now < due.gone_from() {
                let is_sooner = plan.next.as_ref().is_none_or(|next| due.gone_from() < next.gone_from());
                if is_sooner {
                    plan.next = Some(due);
                }
                continue;
            }
            let (first, last) = (meta.timestamp_min.min(due.stored.0), meta.timestamp_max.max(due.stored.1));
            match holds.clone().any(|hold| hold.keeps(first, last, now)) {
                true => plan.held.push(due),
                false => plan.due.push(due),
            }
        }
    }
    plan.due.sort_by_key(|due| due.stored.1);
    Ok(plan)
}

impl Plan {
    /// What goes in one job: the oldest days of what is due.
    pub fn first_days(&self, segments_max: usize) -> &[Due] {
        let Some(first) = self.due.first() else { return &[] };
        let end = first.stored.1.plus_nanos(DAYS_AT_ONCE * DAY_NS);
        let count = self.due.iter().take(segments_max).take_while(|due| due.stored.1 < end).count();
        &self.due[..count]
    }
}
