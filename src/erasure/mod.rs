//! Erasing what is about a person from what is stored, on request: first a preview, which counts and says what it does not
//! reach, then the job. In: [`Wanted`], the store, the register. Out: segments written anew without the person's values; the
//! proof stays true (ADR 38); in the register who erased on what basis, without the value. Failure: [`Refusal`] with why, or
//! what the store says; what was not done then is done when it is taken up again ([`unfinished`]).

pub mod key;
pub mod unfinished;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use nhatle_engine::incident::Refused;
use nhatle_engine::register::{AnyChange, RegisterState};
use nhatle_engine::retention::erasure::{self, Erasing, ErasureChange};
use nhatle_engine::retention::hold::Hold;
use nhatle_event::{Event, Seq, Stored, Timestamp};
use nhatle_storage::compact::day_of;
use nhatle_storage::erase::Erasure;
use nhatle_storage::mention::{Mention, Narrowed};
use nhatle_storage::query::Query;
use nhatle_storage::segment::erased::ERASED_FILE;
use nhatle_storage::segment::merge::Pace;
use nhatle_storage::segment::meta::SegmentMeta;
use nhatle_storage::{Dataset, ReadError, Snapshot, Store};
use nhatle_ui::session::random_token;
use serde::{Deserialize, Serialize};

use crate::prove::RegisterHashes;
use crate::registry::{RecordError, Registry};

use unfinished::Unfinished;

/// How many fields of the touched events a preview lists.
const FIELDS_SHOWN_MAX: usize = 20;

/// What an erasure does not reach, for whoever asks for one: a key and the sentence.
pub const NOT_REACHED: &[(&str, &str)] = &[
    ("backups", "backups made before: they keep what they hold until they are deleted"),
    ("evidence", "evidence packages, reports and exports that were handed out"),
    ("register", "the register: notes, exceptions and accounts that people wrote, and its sign-ins"),
    ("state", "files of state/ (counters of correlation and of sources) until they are overwritten"),
    ("later", "what arrives from now on, and what the sources themselves and the wards' forwarders still hold"),
    ("unknown_forms", "the value written in another way: encoded, shortened, with other accents, inside a longer word"),
    (
        "guess",
        "whoever holds everything else of an event, its bytes as received included, can still try values against its hash",
    ),
];

/// What somebody wants erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// The value; without one, what the fields have in the events that the query finds.
    pub subject: Option<String>,
    /// Only in the events that this line of the search language finds.
    pub query: Option<String>,
    /// The fields that are asked; [`erasure::FIELDS`] where there are none.
    pub fields: Vec<String>,
    /// Fields that go too, whatever they hold, in each event that is touched.
    pub also: Vec<String>,
    /// `@timestamp` is not before this.
    pub from: Option<String>,
    /// `@timestamp` is before this.
    pub to: Option<String>,
    /// Events under a legal hold stay, the others go; else nothing goes.
    pub leave_held: bool,
}

/// Why nothing is erased.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What is wanted makes no sense.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Neither a value nor a query, or a line or time that is none.
    #[error("{0}")]
    Unclear(String),
    /// Nothing to erase.
    #[error("no event has anything of it")]
    Nothing,
    /// Legal holds keep some of it.
    #[error("legal holds keep some of it: {}; leave those events out, or end the hold", said(.0))]
    Held(BTreeMap<u64, u64>),
    /// The count is another than the one that was confirmed.
    #[error("{found} events have something of it, {expected} were confirmed: look at the preview again")]
    OtherCount {
        /// How many there are.
        found: u64,
        /// How many were confirmed.
        expected: u64,
    },
    /// A hold was placed or ended while it was counted, or one was placed while it was erased.
    #[error("legal holds were changed meanwhile: what they keep stays; look at the preview again")]
    HoldsChanged,
}

fn said(held: &BTreeMap<u64, u64>) -> String {
    held.iter().map(|(hold, events)| format!("hold {hold} ({events} events)")).collect::<Vec<_>>().join(", ")
}

/// What is wanted, read.
pub struct Aim {
    erasing: Erasing,
    query: Query,
    /// What the mark in the register is made of.
    marked: String,
    fields: Vec<String>,
    leave_held: bool,
    is_by_query: bool,
    narrowed: Narrowed,
}

/// What an erasure would touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// How many events it would touch.
    pub events: u64,
    /// Of them, in how many a named field has the value; in the others it stands elsewhere.
    pub named: u64,
    /// By dataset.
    pub datasets: BTreeMap<String, u64>,
    /// On how many days (UTC) they happened.
    pub days: u64,
    /// How many segments would be written anew.
    pub segments: u64,
    /// Their events.
    pub segment_events: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// How many of the events are in no segment yet; they are sealed first.
    pub unsealed: u64,
    /// The fields of which something would go, with the number of events; the most frequent.
    pub fields: Vec<(String, u64)>,
    /// Events that a legal hold keeps, by hold; not among `events`.
    pub held: BTreeMap<u64, u64>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Its number in the register.
    pub number: u64,
    /// How many events were touched.
    pub events: u64,
    /// How many segments were written anew.
    pub segments: u64,
    /// Whoever has this and the value can show that it is the one: the register has only a mark made of both.
    pub receipt: String,
    /// The work was given up before its end; taken up again, it does the rest.
    pub is_given_up: bool,
}

impl Wanted {
    /// Reads it.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn aim(&self) -> Result<Aim, Refusal> {
        if self.subject.is_none() && self.query.is_none() {
            return Err(Refusal::Unclear("neither a value nor a query".to_owned()));
        }
        let fields = match self.fields.is_empty() {
            true => erasure::FIELDS.iter().map(|name| (*name).to_owned()).collect(),
            false => self.fields.clone(),
        };
        let erasing = Erasing::new(self.subject.as_deref(), &fields, &self.also)?;
        let line = self.query.as_deref().unwrap_or_default();
        if self.subject.is_none() && line.trim().is_empty() {
            return Err(Refused::Empty("query").into());
        }
        let query = Query::parse(line).map_err(|error| Refusal::Unclear(format!("query: {}", error.reason)))?;
        let time = |text: &Option<String>, otherwise| match text {
            None => Ok(otherwise),
            Some(text) => Timestamp::parse(text, 0)
                .or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z"), 0))
                .ok_or_else(|| Refusal::Unclear(format!("no time: {text}"))),
        };
        let query = query.between(time(&self.from, Timestamp::MIN)?, time(&self.to, Timestamp::MAX)?);
        let is_by_query = self.subject.is_none();
        let marked = self.subject.clone().unwrap_or_else(|| line.to_owned());
        let mention = self.subject.as_deref().and_then(|value| Mention::of(value, &fields));
        let narrowed = Narrowed { query: query.clone(), mention };
        Ok(Aim { erasing, query, marked, fields, leave_held: self.leave_held, is_by_query, narrowed })
    }
}

impl Aim {
    /// What is left of an event; `None` where nothing of it goes, holds not looked at.
    fn left_of(&self, stored: &Stored, number: u64) -> Option<Event> {
        if !self.query.matches(stored) {
            return None;
        }
        self.erasing.left_of(&stored.event, number)
    }

    fn may_hold(&self, meta: &SegmentMeta) -> bool {
        self.query.from <= meta.timestamp_max && (meta.timestamp_min < self.query.to || self.query.to == Timestamp::MAX)
    }
}

/// The hold that keeps an event.
fn hold_of(stored: &Stored, holds: &[(u64, Hold)], now: Timestamp) -> Option<u64> {
    holds.iter().find(|(_, hold)| is_kept_by(hold, stored, now)).map(|(number, _)| *number)
}

fn is_kept_by(hold: &Hold, stored: &Stored, now: Timestamp) -> bool {
    let (happened, committed) = (stored.event.timestamp, stored.committed);
    hold.keeps(happened.min(committed), happened.max(committed), now)
}

/// The holds in force.
fn holds_of(state: &RegisterState, now: Timestamp) -> Vec<(u64, Hold)> {
    let in_force = state.holds.iter().filter(|(_, hold)| now < hold.until);
    in_force.map(|(number, hold)| (*number, hold.clone())).collect()
}

/// Counts what would be erased. Nothing is changed.
///
/// # Errors
/// A segment cannot be read, or is damaged.
pub fn plan(snapshot: &Snapshot, aim: &Aim, holds: &[(u64, Hold)], now: Timestamp) -> Result<Plan, ReadError> {
    let mut counts = Counts::default();
    for dataset in Dataset::ALL {
        for segment in snapshot.segments(dataset).filter(|segment| aim.may_hold(segment.meta())) {
            let before = counts.plan.events;
            segment.each_of(&aim.narrowed, &mut |events| {
                events.iter().for_each(|stored| counts.add(aim, (dataset, stored), holds, now));
                true
            })?;
            if before < counts.plan.events {
                counts.plan.segments += 1;
                counts.plan.segment_events += segment.meta().row_count;
                counts.plan.segment_bytes += segment.meta().bytes();
            }
        }
        let before = counts.plan.events;
        snapshot.recent(dataset).for_each(|row| counts.add(aim, (dataset, &row.stored()), holds, now));
        counts.plan.unsealed += counts.plan.events - before;
    }
    Ok(counts.done())
}

#[derive(Default)]
struct Counts {
    plan: Plan,
    days: BTreeSet<i64>,
    fields: BTreeMap<&'static str, u64>,
}

impl Counts {
    fn add(&mut self, aim: &Aim, (dataset, stored): (Dataset, &Stored), holds: &[(u64, Hold)], now: Timestamp) {
        let Some(left) = aim.left_of(stored, 0) else { return };
        if let Some(hold) = hold_of(stored, holds, now) {
            *self.plan.held.entry(hold).or_default() += 1;
            return;
        }
        self.plan.events += 1;
        self.plan.named += u64::from(aim.erasing.is_named(&stored.event));
        *self.plan.datasets.entry(dataset.name().to_owned()).or_default() += 1;
        self.days.insert(day_of(stored.event.timestamp));
        let changed = stored.event.fields().iter().filter(|(field, value)| left.get(*field) != Some(value));
        changed.for_each(|(field, _)| *self.fields.entry(field.name()).or_default() += 1);
    }

    fn done(self) -> Plan {
        let mut fields: Vec<(String, u64)> =
            self.fields.into_iter().map(|(name, events)| (name.to_owned(), events)).collect();
        fields.sort_by_key(|(_, events)| std::cmp::Reverse(*events));
        fields.truncate(FIELDS_SHOWN_MAX);
        Plan { days: self.days.len() as u64, fields, ..self.plan }
    }
}

/// In whose name, on what basis, and how many events were confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Who the register names as the actor.
    pub actor: String,
    /// The account in whose name it is done.
    pub by: String,
    /// On what basis.
    pub basis: String,
    /// How many events the preview counted.
    pub expect: u64,
}

/// What is counted, confirmed and written down, and not erased yet.
pub struct Begun {
    aim: Aim,
    holds: Vec<(u64, Hold)>,
    order: Order,
    /// Its number in the register.
    pub number: u64,
    /// See [`Done::receipt`].
    pub receipt: String,
    /// What it will touch.
    pub plan: Plan,
    /// How many segments are written anew so far.
    pub written: Arc<AtomicU64>,
}

/// Seals what is not sealed, counts, and writes down that it begins.
///
/// # Errors
/// A [`Refusal`]; the store or the register cannot be read or written.
pub fn begin(
    (store, registry): (&Store, &Registry),
    wanted: &Wanted,
    order: Order,
    now: Timestamp,
) -> anyhow::Result<Begun> {
    let aim = wanted.aim()?;
    aim.erasing.check_basis(&order.basis).map_err(Refusal::from)?;
    store.seal().context("seal what is not sealed")?;
    registry.catch_up()?;
    let holds = registry.read(|state| holds_of(state, now));
    let plan = plan(&store.snapshot(), &aim, &holds, now).context("look at what is stored")?;
    if !plan.held.is_empty() && !aim.leave_held {
        return Err(Refusal::Held(plan.held).into());
    }
    if plan.events == 0 {
        return Err(Refusal::Nothing.into());
    }
    if plan.events != order.expect {
        return Err(Refusal::OtherCount { found: plan.events, expected: order.expect }.into());
    }
    let receipt = random_token();
    let mark = erasure::mark_of(&receipt, &aim.marked);
    let kept = Unfinished { wanted: wanted.clone(), order: order.clone(), receipt: receipt.clone() };
    kept.keep(&**store.disk(), &mark)?;
    let change = ErasureChange::Begin {
        mark: mark.clone(),
        is_by_query: aim.is_by_query,
        fields: aim.fields.clone(),
        basis: order.basis.clone(),
        by: order.by.clone(),
        events: plan.events,
        segments: plan.segments,
    };
    let number = registry.record(&order.actor, now, |state| {
        if holds_of(state, now) != holds {
            return Err(Failure(Refusal::HoldsChanged.into()));
        }
        let number = state.next_erasure();
        Ok((vec![AnyChange::Erasure(number, change.clone())], number))
    });
    let number = match number {
        Ok(number) => number,
        Err(Failure(error)) => {
            // What is left here the next start removes.
            drop(unfinished::forget(&**store.disk(), &mark));
            return Err(error);
        }
    };
    record_register(store, registry)?;
    Ok(Begun { aim, holds, order, number, receipt, plan, written: Arc::default() })
}

/// Those that began and did not come to their end, to be taken up again one after the other ([`resume`]).
///
/// # Errors
/// What is kept of them or the register cannot be read.
pub fn interrupted(store: &Store, registry: &Registry) -> anyhow::Result<Vec<Interrupted>> {
    registry.catch_up()?;
    let all = registry.read(|state| unfinished::all(&**store.disk(), state))?;
    Ok(all.into_iter().map(|(number, kept)| Interrupted { number, kept }).collect())
}

/// Takes one up again: what it erased before it was interrupted stays so and is not erased again.
///
/// # Errors
/// A [`Refusal`] where a hold was placed meanwhile that keeps some of what is left; the store or the register cannot be read.
pub fn resume((store, registry): (&Store, &Registry), one: Interrupted, now: Timestamp) -> anyhow::Result<Begun> {
    let Interrupted { number, kept: Unfinished { wanted, order, receipt } } = one;
    let aim = wanted.aim()?;
    registry.catch_up()?;
    let holds = registry.read(|state| holds_of(state, now));
    let plan = plan(&store.snapshot(), &aim, &holds, now).context("look at what is stored")?;
    if !plan.held.is_empty() && !aim.leave_held {
        return Err(Refusal::Held(plan.held).into());
    }
    record_register(store, registry)?;
    Ok(Begun { aim, holds, order, number, receipt, plan, written: Arc::default() })
}

/// One that did not come to its end.
pub struct Interrupted {
    /// Its number in the register.
    pub number: u64,
    kept: Unfinished,
}

/// An error of either kind, for [`Registry::record`].
struct Failure(anyhow::Error);

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Failure {
        Failure(anyhow::Error::new(error).context("write down the erasure"))
    }
}

impl Begun {
    /// Erases, segment by segment, and writes down that it is done. `pace` as in [`Store::compact`].
    ///
    /// # Errors
    /// The store or the register cannot be read or written. What is erased stays erased; taken up again, it does the rest.
    pub fn erase(
        self,
        (store, registry): (&Store, &Registry),
        now: &dyn Fn() -> Timestamp,
        pace: Pace<'_>,
    ) -> anyhow::Result<Done> {
        let Begun { aim, holds, order, number, receipt, written, .. } = self;
        let began = now();
        let is_held_anew = Cell::new(false);
        let mut is_given_up = false;
        let pace: Pace<'_> = &mut || {
            is_given_up = is_given_up || !pace();
            !is_given_up
        };
        let change = |stored: &Stored| {
            let left = aim.left_of(stored, number)?;
            if hold_of(stored, &holds, began).is_some() {
                return None;
            }
            // A hold placed since it began counts.
            let is_held = registry.read(|state| state.holds.values().any(|hold| is_kept_by(hold, stored, began)));
            is_held_anew.set(is_held || is_held_anew.get());
            (!is_held).then_some(left)
        };
        let erasure =
            Erasure { number, basis: &order.basis, by: &order.by, narrowed: Some(&aim.narrowed), change: &change };
        let mut done = Done { number, events: 0, segments: 0, receipt, is_given_up: false };
        for dataset in Dataset::ALL {
            let mut up_to = Seq(0);
            loop {
                // The snapshot goes before anything is written: whoever holds one keeps the old files.
                let next = next_of(&store.snapshot(), dataset, up_to);
                let Some(meta) = next else { break };
                if !pace() {
                    done.is_given_up = true;
                    return Ok(done);
                }
                registry.catch_up().context("read the register")?;
                let erased = match aim.may_hold(&meta) {
                    true => store.erase(&meta.dir, &erasure, pace).context("write a segment anew")?,
                    false => None,
                };
                match erased {
                    Some(erased) => {
                        done.events += erased.events;
                        done.segments += 1;
                        written.store(done.segments, Ordering::Relaxed);
                    }
                    // Merged with others meanwhile: it is looked for again.
                    None if next_of(&store.snapshot(), dataset, up_to).is_none_or(|now| now.dir != meta.dir) => {
                        continue;
                    }
                    None if !pace() => {
                        done.is_given_up = true;
                        return Ok(done);
                    }
                    None => {}
                }
                up_to = meta.last_seq;
            }
        }
        // Files of the old segments that somebody read meanwhile.
        store.sweep();
        if is_held_anew.get() && !aim.leave_held {
            return Err(Refusal::HoldsChanged.into());
        }
        end((store, registry), (&aim, &order), done, now())
    }
}

/// Writes down that it is done.
fn end(
    (store, registry): (&Store, &Registry),
    (aim, order): (&Aim, &Order),
    mut done: Done,
    now: Timestamp,
) -> anyhow::Result<Done> {
    // What was erased before it was interrupted is of it, too.
    let (events, segments) = erased_by(&store.snapshot(), done.number).context("count what was erased")?;
    (done.events, done.segments) = (done.events.max(events), done.segments.max(segments));
    let change = ErasureChange::Done { events: done.events, segments: done.segments };
    let change = AnyChange::Erasure(done.number, change);
    registry.change(&order.actor, now, &change).context("write down that it is done")?;
    record_register(store, registry)?;
    let mark = erasure::mark_of(&done.receipt, &aim.marked);
    unfinished::forget(&**store.disk(), &mark).context("remove what was kept to go on with it")?;
    Ok(done)
}

/// How many events of how many segments an erasure touched, as the segments say.
fn erased_by(snapshot: &Snapshot, number: u64) -> Result<(u64, u64), ReadError> {
    let (mut events, mut segments) = (0, 0);
    for segment in Dataset::ALL.into_iter().flat_map(|dataset| snapshot.segments(dataset)) {
        let meta = segment.meta();
        if meta.file(ERASED_FILE).is_some() {
            let touched = segment.open()?.erased()?.of_erasure(number, meta.first_seq, meta.last_seq).0.len() as u64;
            (events, segments) = (events + touched, segments + u64::from(0 < touched));
        }
    }
    Ok((events, segments))
}

/// The first segment of a dataset with events behind this one.
fn next_of(snapshot: &Snapshot, dataset: Dataset, up_to: Seq) -> Option<SegmentMeta> {
    snapshot.segments(dataset).map(|segment| segment.meta()).find(|meta| up_to < meta.last_seq).cloned()
}

/// Puts the register as it is under a head.
fn record_register(store: &Store, registry: &Registry) -> anyhow::Result<()> {
    let mut hashes = RegisterHashes::default();
    registry.hash(&mut hashes)?;
    if let Some(state) = hashes.state() {
        store.record_register(state).context("write the register's state into the log of the proof")?;
    }
    Ok(())
}

/// Counts with the holds of the register.
///
/// # Errors
/// What is wanted makes no sense; the store or the register cannot be read.
pub fn preview(snapshot: &Snapshot, registry: &Registry, wanted: &Wanted, now: Timestamp) -> anyhow::Result<Plan> {
    let aim = wanted.aim()?;
    registry.catch_up()?;
    let holds = registry.read(|state| holds_of(state, now));
    plan(snapshot, &aim, &holds, now).context("look at what is stored")
}
