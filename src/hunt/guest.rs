//! Previews and hunts beside the running detection: who asked for what, one preview and one hunt at a time.
//!
//! In: rules with who wants what. Out: previews as far as they are, kept for a while; hunts as the register has
//! them. Promise: a guest works on one thread, and waits while the live detection is behind. Bounded: waiting and
//! kept previews; one hunt. A server that stops does not wait for guests: what they stored is whole.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nhatle_event::Timestamp;
use nhatle_rules::{Correlation, RuleSet};
use tracing::warn;

use super::preview::{self, Limit, Preview};
use super::{Hunter, Pace, Progress, Range, Reading, job};
use crate::live_rules::as_if_on;
use crate::pipeline::Shared;

/// How many previews are kept.
pub const KEPT_MAX: usize = 64;
/// How many previews may wait.
pub const WAITING_MAX: usize = 8;
/// A preview is good for so long although there are newer events.
const FRESH_NS: i64 = 600_000_000_000;
/// The live detection is behind when so many events wait for it.
const BEHIND_EVENTS: u64 = 2_000;
/// How long a guest waits before it looks again whether the live detection is behind.
const WAIT: Duration = Duration::from_millis(10);

/// How far a preview is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Others come first.
    Waiting,
    /// On its way.
    Running,
    /// All of it, or as much as the budget allows ([`Preview::is_whole`]).
    Done,
    /// Something could not be read.
    Failed,
}

/// Which preview: rule, what it means, and whose hits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    rule_id: String,
    meaning: u64,
    limit: Limit,
}

struct Kept {
    key: Key,
    state: State,
    preview: Arc<Preview>,
}

/// The hunt on its way.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its number.
    pub number: u64,
    /// Events so far, and of how many.
    pub done: u64,
    /// See `done`.
    pub goal: u64,
}

#[derive(Default)]
struct Inside {
    kept: VecDeque<Kept>,
    waiting: VecDeque<(Key, Arc<RuleSet>)>,
    is_working: bool,
    hunt: Option<Running>,
    /// Rules asked about lately, with the load they are of.
    rules: VecDeque<(String, u64, Arc<RuleSet>)>,
    /// Who wants the hunt to stop.
    canceled_by: Option<String>,
}

/// See the module.
pub struct Guests {
    shared: Arc<Shared>,
    zone_offset_s: i32,
    inside: Mutex<Inside>,
    is_stopping: AtomicBool,
}

/// Why a guest was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many wait, or a hunt is on its way.
    Busy,
    /// The register could not be written, or the system gives no thread.
    Failed,
}

impl Guests {
    /// No guests yet. Days begin at midnight of the zone.
    pub fn new(shared: Arc<Shared>, zone_offset_s: i32) -> Arc<Guests> {
        Arc::new(Guests { shared, zone_offset_s, inside: Mutex::default(), is_stopping: AtomicBool::new(false) })
    }

    /// No more guests; those inside leave at the next look.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A rule with what it refers to, as if it were on; `None` where there is none. One that is off takes a load of
    /// all rules, so it is kept until rules are loaded anew.
    pub fn rules_of(&self, id: &str) -> Option<Arc<RuleSet>> {
        let load = self.shared.live.last().generation;
        let known =
            self.lock().rules.iter().find(|(rule, of, _)| rule == id && *of == load).map(|known| known.2.clone());
        if known.is_some() {
            return known;
        }
        let rules = job::rules_of(&as_if_on(&self.shared, id), id)?;
        let mut inside = self.lock();
        inside.rules.push_back((id.to_owned(), load, rules.clone()));
        if KEPT_MAX < inside.rules.len() {
            inside.rules.pop_front();
        }
        Some(rules)
    }

    /// The preview of a rule as far as it is; `None` where nobody asked for it, or the rule has changed since.
    pub fn preview(&self, rules: &RuleSet, rule_id: &str, limit: &Limit) -> Option<(State, Arc<Preview>)> {
        let key = key_of(rules, rule_id, limit);
        self.lock().kept.iter().find(|kept| kept.key == key).map(|kept| (kept.state, kept.preview.clone()))
    }

    /// Has a preview made where there is none that is fresh. `rules` are the rule with what it refers to.
    ///
    /// # Errors
    /// Too many wait.
    pub fn want_preview(self: &Arc<Self>, rules: Arc<RuleSet>, rule_id: &str, limit: &Limit) -> Result<(), Refused> {
        let key = key_of(&rules, rule_id, limit);
        let now = self.shared.clock.now();
        let newest = self.shared.store.last_seq();
        let mut inside = self.lock();
        if let Some(at) = inside.kept.iter().position(|kept| kept.key == key) {
            let kept = &inside.kept[at];
            let is_fresh = kept.preview.last_seq == newest || now.since(kept.preview.at) < FRESH_NS;
            match kept.state {
                State::Waiting | State::Running => return Ok(()),
                State::Done if is_fresh && kept.preview.is_whole => return Ok(()),
                State::Done | State::Failed => drop(inside.kept.remove(at)),
            }
        }
        if WAITING_MAX <= inside.waiting.len() {
            return Err(Refused::Busy);
        }
        let preview = Arc::new(Preview::begin(now, self.zone_offset_s));
        inside.kept.push_back(Kept { key: key.clone(), state: State::Waiting, preview });
        if KEPT_MAX < inside.kept.len()
            && let Some(at) = inside.kept.iter().position(|kept| matches!(kept.state, State::Done | State::Failed))
        {
            inside.kept.remove(at);
        }
        inside.waiting.push_back((key, rules));
        if !inside.is_working {
            let guests = self.clone();
            let spawned = std::thread::Builder::new().name("preview".to_owned()).spawn(move || guests.work());
            inside.is_working = spawned.is_ok();
            return spawned.map(drop).map_err(|_error| Refused::Failed);
        }
        Ok(())
    }

    /// Makes what waits, then goes.
    fn work(&self) {
        loop {
            let (key, rules) = {
                let mut inside = self.lock();
                match inside.waiting.pop_front().filter(|_| !self.is_stopping.load(Ordering::Relaxed)) {
                    Some(next) => next,
                    None => {
                        inside.is_working = false;
                        return;
                    }
                }
            };
            let hunter = Hunter::new(rules, Reading::Candidates);
            let begin = Preview::begin(self.shared.clock.now(), self.zone_offset_s);
            self.keep(&key, State::Running, begin.clone());
            let mut breathe = || self.breathe(|| false);
            let mut told = |preview: &Preview| self.keep(&key, State::Running, preview.clone());
            let asked = (key.rule_id.as_str(), &key.limit);
            match preview::run(&self.shared, &hunter, asked, begin.clone(), &mut breathe, &mut told) {
                Ok(preview) => self.keep(&key, State::Done, preview),
                Err(error) => {
                    warn!(%error, rule.id = key.rule_id, "preview of a rule stopped");
                    self.keep(&key, State::Failed, begin);
                }
            }
            self.shared.tick();
        }
    }

    fn keep(&self, key: &Key, state: State, preview: Preview) {
        let mut inside = self.lock();
        if let Some(kept) = inside.kept.iter_mut().find(|kept| kept.key == *key) {
            (kept.state, kept.preview) = (state, Arc::new(preview));
        }
    }

    /// By how many events the live detection is behind, where guests wait for it; else 0.
    pub fn waits_for(&self) -> u64 {
        Some(self.shared.live.behind()).filter(|behind| BEHIND_EVENTS <= *behind).unwrap_or(0)
    }

    /// Waits while the live detection is behind.
    fn breathe(&self, is_canceled: impl Fn() -> bool) -> ControlFlow<()> {
        loop {
            if self.is_stopping.load(Ordering::Relaxed) || is_canceled() {
                return ControlFlow::Break(());
            }
            if self.waits_for() == 0 {
                std::thread::yield_now();
                return ControlFlow::Continue(());
            }
            std::thread::sleep(WAIT);
        }
    }

    /// The hunt on its way.
    pub fn running(&self) -> Option<Running> {
        self.lock().hunt.clone()
    }

    /// Begins a hunt with a rule and what it refers to. Returns its number.
    ///
    /// # Errors
    /// Another one is on its way; the register cannot be written.
    pub fn hunt(self: &Arc<Self>, rules: Arc<RuleSet>, rule_id: &str, range: Range, by: &str) -> Result<u64, Refused> {
        {
            let mut inside = self.lock();
            if inside.hunt.is_some() {
                return Err(Refused::Busy);
            }
            inside.hunt = Some(Running { number: 0, done: 0, goal: 1 });
            inside.canceled_by = None;
        }
        let title = job::title_of(&rules, rule_id).unwrap_or_default();
        let begun = job::begin(&self.shared, by, (rule_id, &title), range);
        let hunt = match begun {
            Ok(hunt) => hunt,
            Err(error) => {
                warn!(%error, "hunt not begun");
                self.lock().hunt = None;
                return Err(Refused::Failed);
            }
        };
        let number = hunt.number;
        self.lock().hunt = Some(Running { number, done: 0, goal: 1 });
        let guests = self.clone();
        let work = move || {
            guests.run_hunt(&Hunter::new(rules, Reading::Candidates), &hunt);
            guests.lock().hunt = None;
            guests.shared.tick();
        };
        if std::thread::Builder::new().name("hunt".to_owned()).spawn(work).is_err() {
            self.lock().hunt = None;
            return Err(Refused::Failed);
        }
        Ok(number)
    }

    fn run_hunt(&self, hunter: &Hunter, hunt: &job::Hunt) {
        let goal = hunter.event_count(&self.shared.store.snapshot(), hunt.range).max(1);
        let mut watch = |progress: Progress| {
            if let Some(running) = &mut self.lock().hunt {
                (running.done, running.goal) = (progress.events, goal);
            }
            self.breathe(|| self.lock().canceled_by.is_some())
        };
        let stopped_by = || self.lock().canceled_by.clone();
        job::run(&self.shared, hunter, hunt, Pace::Guest(&mut watch), &stopped_by);
    }

    /// Stops a hunt. Says whether it was on its way.
    pub fn cancel(&self, number: u64, by: &str) -> bool {
        let mut inside = self.lock();
        let is_running = inside.hunt.as_ref().is_some_and(|hunt| hunt.number == number);
        if is_running {
            inside.canceled_by = Some(by.to_owned());
        }
        is_running
    }

    /// How many events came after a preview.
    pub fn newer(&self, preview: &Preview) -> u64 {
        self.shared.store.last_seq().0.saturating_sub(preview.last_seq.0)
    }

    /// The time up to now.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}

/// What a rule set means, as one number: gates, predicates and tests as compiled.
fn key_of(rules: &RuleSet, rule_id: &str, limit: &Limit) -> Key {
    let mut hasher = DefaultHasher::new();
    for rule in &rules.rules {
        hasher.write(
            format!("{} {:?} {:?} {:?}", rule.meta.id, rule.gate, rule.predicate, rule.meta.suppress_s).as_bytes(),
        );
    }
    hasher.write(format!("{:?} {:?}", rules.atoms, rules.fields).as_bytes());
    for one in &rules.correlations {
        let Correlation { meta, kind, referred, group_by, timespan_ns, scope, .. } = one;
        let meaning = format!("{} {kind:?} {referred:?} {group_by:?} {timespan_ns} {scope:?}", meta.id);
        hasher.write(meaning.as_bytes());
    }
    Key { rule_id: rule_id.to_owned(), meaning: hasher.finish(), limit: limit.clone() }
}
