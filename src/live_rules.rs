//! The rules of a running server: loaded from everywhere they come from, and swapped while detection goes on.
//!
//! In: the rules inside the program, the paths of the configuration, the packs under `<data>/rules`, and what the
//! register says of them. Out: the set in force ([`Shared::rules`]), and for the detecting stage a detector and
//! a correlator made ready beside it, which it takes at the border of a batch. Nothing waits for a load but
//! whoever asked for it.
//!
//! Correlations whose meaning did not change keep their windows ([`Correlator::adopt`]). Those that are new or
//! changed are filled from stored events before the swap, as at a start. Failure: a document that does not load
//! is said in the log and on the page; all others run. A folder that cannot be read is such a document.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nhatle_engine::correlate::{Correlator, Fingerprint, Limits, fingerprints};
use nhatle_engine::detect::Detector;
use nhatle_engine::replay;
use nhatle_engine::rule_state::{self, Pack, RuleState};
use nhatle_event::{Seq, Timestamp};
use nhatle_rules::{CorrelationId, LoadOptions, Meta, RuleError, RuleSet, Switches};
use nhatle_storage::Store;
use tracing::{info, warn};

use crate::config::Rules;
use crate::pack::Packs;
use crate::pipeline::Shared;
use crate::pipeline::refill::Refill;
use crate::ruleset;

/// The folder of imported packs, below the data folder.
pub const PACKS_FOLDER: &str = "rules";
/// The pack of the rules inside the program.
pub const BUILTIN_PACK: &str = "builtin";
/// The pack of the rules under the configuration's paths.
pub const OWN_PACK: &str = "own";
/// So many documents that did not load are said in the log; the page and the commands say all.
const ERRORS_LOGGED_MAX: usize = 20;
/// A refill that is fewer events behind than this is finished by the detecting stage.
const BEHIND_EVENTS: u64 = 20_000;
/// So often a refill runs after the events that came meanwhile.
const CHASES_MAX: usize = 8;

/// Where rules come from, and what was loaded last.
pub struct LiveRules {
    /// How much correlations remember.
    pub limits: Limits,
    config: Rules,
    packs: Packs,
    last: Mutex<Loaded>,
    /// One load at a time.
    loading: Mutex<()>,
    prepared: Mutex<Option<Prepared>>,
    /// What the detecting stage runs.
    running: Mutex<Vec<Fingerprint>>,
    /// The detecting stage has looked at everything up to here.
    detected: AtomicU64,
    /// What was committed for it to look at ends here.
    committed: AtomicU64,
    /// See [`LiveRules::settled`].
    settled: AtomicU64,
    is_stopping: AtomicBool,
    asked: Mutex<bool>,
    bell: Condvar,
}

/// The pack a rule belongs to, where packs are below `folder`.
pub fn pack_of<'m>(folder: &Path, meta: &'m Meta) -> &'m str {
    match meta.file.strip_prefix(folder) {
        Ok(inside) if !folder.as_os_str().is_empty() => {
            inside.iter().next().and_then(std::ffi::OsStr::to_str).unwrap_or(OWN_PACK)
        }
        _ if meta.file.starts_with("builtin") => BUILTIN_PACK,
        _ => OWN_PACK,
    }
}

/// What was loaded last.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Counts loads, from 1.
    pub generation: u64,
    /// When.
    pub at: Timestamp,
    /// The state of the register it was made from.
    version: u64,
    /// The state of the files it was made from.
    files: u64,
    /// Ids of rules that are off and run on.
    feeding: Arc<BTreeSet<String>>,
}

impl Loaded {
    fn new(set: &RuleSet, switches: &Switches, (generation, at): (u64, Timestamp), version: u64, files: u64) -> Loaded {
        let running = set.metas().take(set.rules.len() + set.correlations.len());
        let feeding = running.filter(|(meta, _)| !switches.is_on(meta)).map(|(meta, _)| meta.id.clone());
        Loaded { generation, at, version, files, feeding: Arc::new(feeding.collect()) }
    }
}

/// What one load came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which load it was.
    pub generation: u64,
    /// The set in force.
    pub rules: Arc<RuleSet>,
    /// Correlations that began anew, because they are new or mean something else now.
    pub renewed: usize,
}

/// A set made ready for the detecting stage.
pub struct Prepared {
    /// The detector.
    pub detector: Detector,
    /// The correlator; new and changed correlations are filled up to `refill.done`.
    pub correlator: Correlator,
    /// How far they are filled; `None` where none is to be.
    pub refill: Option<Refill>,
    limits: Limits,
    /// Which correlations were to be filled.
    filled: Vec<Fingerprint>,
}

impl LiveRules {
    /// Loads the rules of a data folder as the register has them.
    pub fn open<'a>(
        config: &Rules,
        data: &Path,
        rules: impl IntoIterator<Item = (&'a String, &'a RuleState)>,
        packs: impl IntoIterator<Item = (&'a String, &'a Pack)>,
        (version, at): (u64, Timestamp),
    ) -> (LiveRules, Arc<RuleSet>) {
        let packs_of_data = Packs::new(data);
        if let Err(error) = packs_of_data.recover() {
            warn!(%error, "what an import of rules left is not put right");
        }
        let live = LiveRules {
            limits: Limits::default(),
            config: config.clone(),
            packs: packs_of_data,
            last: Mutex::default(),
            loading: Mutex::new(()),
            prepared: Mutex::new(None),
            running: Mutex::default(),
            detected: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
            asked: Mutex::new(false),
            bell: Condvar::new(),
        };
        let files = live.files_state();
        let switches = rule_state::switches(rules, packs, live.packs.folder());
        let set = live.load(&switches);
        say_errors(&set.errors, &[]);
        *lock(&live.last) = Loaded::new(&set, &switches, (1, at), version, files);
        *lock(&live.running) = fingerprints(&set);
        (live, set)
    }

    /// What was loaded last.
    pub fn last(&self) -> Loaded {
        lock(&self.last).clone()
    }

    /// The pack a rule belongs to.
    pub fn pack_of<'m>(&self, meta: &'m Meta) -> &'m str {
        pack_of(self.packs.folder(), meta)
    }

    /// The licence text of a pack, where it has one.
    pub fn license(&self, pack: &str) -> Option<String> {
        self.packs.license(pack)
    }

    /// Whether a rule that is off runs on, because a correlation counts it.
    pub fn is_feeding(&self, id: &str) -> bool {
        lock(&self.last).feeding.contains(id)
    }

    /// An error as people read it: the file below the folder of packs, where it is in one.
    pub fn said(&self, error: &RuleError) -> String {
        let file = error.file.strip_prefix(self.packs.folder()).unwrap_or(&error.file);
        RuleError { file: file.to_owned(), ..error.clone() }.to_string()
    }

    /// Takes what was made ready since the last call. For the detecting stage, which then runs it.
    pub fn take_prepared(&self) -> Option<Prepared> {
        lock(&self.prepared).take()
    }

    /// Says up to where the detecting stage has looked.
    pub fn set_detected(&self, seq: Seq) {
        self.detected.store(seq.0, Ordering::Release);
    }

    /// Says up to where everything that was found is stored and published.
    pub fn set_settled(&self, seq: Seq) {
        self.settled.store(seq.0, Ordering::Release);
    }

    /// Up to where everything that was found is stored and published, late events too.
    pub fn settled(&self) -> Seq {
        Seq(self.settled.load(Ordering::Acquire))
    }

    /// Says up to where there is something to look at. Not the end of the store: alerts are stored too.
    pub fn set_committed(&self, seq: Seq) {
        self.committed.store(seq.0, Ordering::Release);
    }

    /// Up to where there is something to look at.
    pub fn committed(&self) -> Seq {
        Seq(self.committed.load(Ordering::Acquire))
    }

    /// By how many events detection is behind what is durable.
    pub fn behind(&self) -> u64 {
        self.committed.load(Ordering::Acquire).saturating_sub(self.detected.load(Ordering::Acquire))
    }

    /// Whether rules are loaded that detection has not taken yet: it does between two batches, and at a start when
    /// it has caught up.
    pub fn is_waiting(&self) -> bool {
        lock(&self.prepared).is_some()
    }

    /// Asks for a load soon; see [`LiveRules::wait`].
    pub fn ask(&self) {
        *lock(&self.asked) = true;
        self.bell.notify_all();
    }

    /// Ends what waits or refills.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.bell.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Waits until a load is asked for, at most so long. `None` when it is time to stop, else whether it was.
    fn wait(&self, patience: Duration) -> Option<bool> {
        let asked = lock(&self.asked);
        let keeps_waiting = |asked: &mut bool| !*asked && !self.is_stopping();
        let (mut asked, _) =
            self.bell.wait_timeout_while(asked, patience, keeps_waiting).unwrap_or_else(PoisonError::into_inner);
        (!self.is_stopping()).then(|| std::mem::take(&mut *asked))
    }

    fn load(&self, switches: &Switches) -> Arc<RuleSet> {
        let mut rules = self.config.clone();
        let _held = self.packs.hold();
        if self.packs.folder().is_dir() {
            rules.paths.push(self.packs.folder().to_owned());
        }
        ruleset::load(&rules, &LoadOptions { switches: switches.clone(), ..LoadOptions::default() })
    }

    /// A number that changes when a rule file does: names, sizes and times of change, nothing read.
    fn files_state(&self) -> u64 {
        let mut state = ruleset::FilesState::default();
        self.config.paths.iter().map(PathBuf::as_path).chain([self.packs.folder()]).for_each(|path| state.add(path));
        state.number()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Loads anew, now, and puts it in force. Blocks for as long as that takes; detection goes on meanwhile.
pub fn reload(shared: &Shared) -> Report {
    let live = &shared.live;
    let _one = lock(&live.loading);
    // Before the load: what changes while it runs is seen next time.
    *lock(&live.asked) = false;
    let files = live.files_state();
    let (switches, version) = shared
        .registry
        .read(|state| (rule_state::switches(&state.rules, &state.packs, live.packs.folder()), state.rules_version));
    let before = shared.rules();
    let set = live.load(&switches);
    say_errors(&set.errors, &before.errors);
    let prepared = prepare(live, &shared.store, &set);
    let renewed = prepared.filled.len();
    *lock(&live.prepared) = Some(prepared);
    *shared.rules.write().unwrap_or_else(PoisonError::into_inner) = set.clone();
    let generation = {
        let mut last = lock(&live.last);
        *last = Loaded::new(&set, &switches, (last.generation + 1, shared.clock.now()), version, files);
        last.generation
    };
    shared.renew_exceptions();
    shared.tick();
    info!(
        rules = set.rules.len(),
        correlations = set.correlations.len(),
        off = set.off.len(),
        refused = set.errors.len(),
        renewed,
        generation,
        "rules loaded"
    );
    Report { generation, rules: set, renewed }
}

/// The rules as they would be with this one on: what a preview of switching it on looks with. Takes as long as a
/// load where it is off.
pub fn as_if_on(shared: &Shared, id: &str) -> Arc<RuleSet> {
    let rules = shared.rules();
    let is_running = |meta: &Meta| meta.id == id && !shared.live.is_feeding(id);
    if !rules.off.iter().any(|off| off.meta.id == id) && rules.metas().any(|(meta, _)| is_running(meta)) {
        return rules;
    }
    let live = &shared.live;
    let mut switches =
        shared.registry.read(|state| rule_state::switches(&state.rules, &state.packs, live.packs.folder()));
    switches.rules.entry(id.to_owned()).or_default().is_on = Some(true);
    live.load(&switches)
}

/// Loads anew whenever the register or a rule file changed, or somebody asks; until told to stop. `interval` is
/// how often it looks at the register; at the files it looks every fifth time.
pub fn follow(shared: &Shared, interval: Duration) {
    let live = &shared.live;
    for turn in 1_u64.. {
        let Some(is_asked) = live.wait(interval) else { return };
        let last = live.last();
        let is_decided = || shared.registry.read(|state| state.rules_version) != last.version;
        let is_changed = || turn.is_multiple_of(5) && live.files_state() != last.files;
        if is_asked || is_decided() || is_changed() {
            reload(shared);
        }
    }
}

/// Makes a set ready, with what it changes filled from the store.
fn prepare(live: &LiveRules, store: &Store, set: &Arc<RuleSet>) -> Prepared {
    let running = lock(&live.running).clone();
    let mut prepared = Prepared::empty(set, live.limits);
    prepared.filled = fingerprints(set).into_iter().filter(|one| !running.contains(one)).collect();
    let Some(mut refill) = prepared.begin(store, live.detected()) else { return prepared };
    for _ in 0..CHASES_MAX {
        let until = live.detected();
        refill.run(store, (&prepared.detector, &mut prepared.correlator), until, || !live.is_stopping());
        if live.detected().0.saturating_sub(refill.done.0) < BEHIND_EVENTS {
            break;
        }
    }
    prepared.refill = Some(refill);
    prepared
}

impl LiveRules {
    /// The detecting stage has looked at everything up to here.
    pub fn detected(&self) -> Seq {
        Seq(self.detected.load(Ordering::Acquire))
    }

    /// Brings a prepared set up to `detected` and hands it what `old` remembers. For the detecting stage.
    pub fn hand_over(&self, mut prepared: Prepared, store: &Store, old: &mut Correlator, detected: Seq) -> Prepared {
        let running = lock(&self.running).clone();
        let now = fingerprints(prepared.detector.rules());
        let new: Vec<Fingerprint> = now.iter().filter(|one| !running.contains(one)).copied().collect();
        if new.iter().any(|one| !prepared.filled.contains(one)) {
            // Another set came in between; seldom, so the plain way.
            prepared = Prepared { filled: new, ..Prepared::empty(&prepared.detector.rules().clone(), self.limits) };
            prepared.refill = prepared.begin(store, detected);
        }
        if prepared.refill.is_none() && !prepared.filled.is_empty() {
            // Nothing was stored when it was made ready.
            prepared.refill = prepared.begin(store, detected);
        }
        if let Some(mut refill) = prepared.refill.take() {
            refill.run(store, (&prepared.detector, &mut prepared.correlator), detected, || !self.is_stopping());
        }
        prepared.correlator.adopt(old);
        *lock(&self.running) = now;
        prepared
    }
}

impl Prepared {
    fn empty(set: &Arc<RuleSet>, limits: Limits) -> Prepared {
        Prepared {
            detector: Detector::new(set.clone()),
            correlator: Correlator::new(set.clone(), limits),
            limits,
            refill: None,
            filled: Vec::new(),
        }
    }

    fn begin(&self, store: &Store, until: Seq) -> Option<Refill> {
        let set = self.detector.rules();
        let numbers = (0_u32..).map(CorrelationId).zip(fingerprints(set));
        let wanted: Vec<CorrelationId> =
            numbers.filter(|(_, one)| self.filled.contains(one)).map(|(number, _)| number).collect();
        Refill::begin(store, replay::replay_span_of(set, &self.limits, &wanted), until)
    }
}

/// Says in the log what does not load and was not said before.
fn say_errors(errors: &[RuleError], before: &[RuleError]) {
    let mut fresh = errors.iter().filter(|error| !before.contains(error));
    for error in fresh.by_ref().take(ERRORS_LOGGED_MAX) {
        warn!(%error, "rule not loaded");
    }
    let rest = fresh.count();
    if rest != 0 {
        warn!(rest, "more rules not loaded");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Else adding, changing or switching off any rule would take the windows of others with it.
    #[test]
    fn a_correlation_means_the_same_whatever_other_rules_there_are() {
        let texts = ruleset::builtin_texts();
        let all = RuleSet::from_texts(&texts, &LoadOptions::default());
        let whole = fingerprints(&all);
        assert!(!whole.is_empty());
        let names: BTreeSet<&str> = all.fields.iter().map(|field| field.name.as_str()).collect();
        let items: String = names.iter().map(|name| format!("        '{name}': x\n")).collect();
        let sources = [
            "{product: windows}",
            "{category: process_creation}",
            "{product: windows, category: process_creation}",
            "{product: windows, service: security}",
            "{product: linux}",
            "{category: webserver}",
            "{category: firewall}",
            "{category: proxy}",
        ];
        for source in sources {
            // The first of all by id: numbers of rules, atoms and fields move.
            let other = format!(
                "title: other\nid: 00000000-0000-4000-8000-000000000000\nlogsource: {source}\n\
                 detection:\n    s:\n{items}    condition: s\n"
            );
            let texts = [texts.clone(), vec![(PathBuf::from("other.yml"), other)]].concat();
            let set = RuleSet::from_texts(&texts, &LoadOptions::default());
            assert_eq!((set.rules.len(), &set.errors), (all.rules.len() + 1, &all.errors), "{source}");
            assert!(fingerprints(&set) == whole, "{source}");
        }
    }
}
