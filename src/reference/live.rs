//! The tables of a running server: made from what the register says is in force, and swapped while conversion goes on.
//!
//! In: the register, the files it names, the files the configuration names. Out: [`LiveTables::current`], which
//! conversion takes at the border of a batch. A configured file that changed is taken in as if somebody had imported it,
//! so that the register says when which one was in force; so is a file that the configuration names only since it was read
//! again ([`configure`]). Failure: a file that cannot be read is said once, on the page
//! and in the log; what was in force before stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use nhatle_collector::enrich::Tables;
use nhatle_collector::enrich::asset::Assets;
use nhatle_collector::enrich::geo::{Database, GeoTables};
use nhatle_collector::enrich::intel::list;
use nhatle_collector::enrich::intel::table::{Indicators, ListInfo, Never};
use nhatle_engine::reference::{ASSETS, GEO_ASN, GEO_CITY, INTEL, Reference, ReferenceChange, ReferenceFile};
use nhatle_engine::register::AnyChange;
use nhatle_event::{Text, Timestamp};
use tracing::{info, warn};

use super::import::{self, ImportError, ListOptions};
use super::shelf::Shelf;
use crate::pipeline::Shared;
use crate::pipeline::detect::ACTOR;
use crate::registry::RecordError;

/// At configured files it looks every so many turns.
const LOOK_AT_FILES_EVERY: u64 = 5;
/// Files that nothing names are tidied away every so many turns.
const TIDY_EVERY: u64 = 3_600;

/// What the configuration says of reference data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configured {
    /// The table of assets.
    pub assets: Option<PathBuf>,
    /// The file of places.
    pub geo_city: Option<PathBuf>,
    /// The file of autonomous systems.
    pub geo_asn: Option<PathBuf>,
    /// Lists of indicators: name, file or folder, how it is to be taken.
    pub lists: Vec<(String, PathBuf, ListOptions)>,
    /// What never matches.
    pub never: Vec<String>,
}

impl Configured {
    /// The files with the names they are put in force under.
    fn files(&self) -> impl Iterator<Item = (String, &Path)> {
        let single = [(ASSETS, &self.assets), (GEO_CITY, &self.geo_city), (GEO_ASN, &self.geo_asn)];
        let single = single.into_iter().filter_map(|(name, path)| Some((name.to_owned(), path.as_deref()?)));
        single.chain(self.lists.iter().map(|(name, path, _)| (format!("{INTEL}{name}"), path.as_path())))
    }
}

/// The tables in force, and where they come from.
pub struct LiveTables {
    data: PathBuf,
    configured: RwLock<Arc<Configured>>,
    /// Held while configured files are taken in, so that nobody takes one in twice.
    taking: Mutex<()>,
    current: RwLock<Arc<Tables>>,
    loaded: Mutex<Loaded>,
    is_stopping: AtomicBool,
    waiting: Mutex<()>,
    bell: Condvar,
}

#[derive(Default)]
struct Loaded {
    version: u64,
    swapped: Timestamp,
    /// What the tables were made of: the files by name, and of lists also when they end.
    parts: BTreeMap<String, Part>,
    /// Of the files in the tables, by name.
    problems: BTreeMap<String, String>,
    /// Of configured files that were not taken, by name.
    untaken: BTreeMap<String, String>,
    /// What never matches in them.
    never: Vec<String>,
    /// Hits of lists in tables that were swapped out.
    hits: BTreeMap<String, u64>,
    /// Size and time of change of configured files when last looked at.
    seen: BTreeMap<PathBuf, (u64, Option<SystemTime>)>,
}

/// What one part of the tables was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    sha256: String,
    until: Option<Timestamp>,
    confidence: Option<u8>,
}

/// How the tables stand.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// When they were last swapped.
    pub swapped: Timestamp,
    /// What could not be read, by name.
    pub problems: BTreeMap<String, String>,
    /// Hits of lists since the start, by list.
    pub hits: BTreeMap<String, u64>,
}

impl LiveTables {
    /// Loads what the register says is in force.
    pub fn open(
        data: &Path,
        configured: &Configured,
        references: &BTreeMap<String, Reference>,
        (version, now): (u64, Timestamp),
    ) -> LiveTables {
        let live = LiveTables {
            data: data.to_owned(),
            configured: RwLock::new(Arc::new(configured.clone())),
            taking: Mutex::default(),
            current: RwLock::default(),
            loaded: Mutex::default(),
            is_stopping: AtomicBool::new(false),
            waiting: Mutex::new(()),
            bell: Condvar::new(),
        };
        live.load(references, version, now);
        live
    }

    /// What the configuration says now.
    fn configured(&self) -> Arc<Configured> {
        self.configured.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The tables in force now. They may be others at the next call.
    pub fn current(&self) -> Arc<Tables> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the tables stand.
    pub fn standing(&self) -> Standing {
        let loaded = self.lock();
        let mut hits = loaded.hits.clone();
        for (list, count) in self.current().indicators.hits() {
            *hits.entry(list.to_owned()).or_default() += count;
        }
        let problems = loaded.problems.iter().chain(&loaded.untaken);
        let problems = problems.map(|(name, problem)| (name.clone(), problem.clone())).collect();
        Standing { swapped: loaded.swapped, problems, hits }
    }

    /// Whether the tables have this file in force under this name.
    pub fn has(&self, name: &str, sha256: &str) -> bool {
        self.lock().parts.get(name).is_some_and(|part| part.sha256 == sha256)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Ends what follows, looks back or waits.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.bell.notify_all();
    }

    /// Whether it is time to stop.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Waits so long, or until it is time to stop; says whether to go on.
    pub fn wait(&self, patience: Duration) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.bell.wait_timeout_while(waiting, patience, |()| !self.is_stopping()));
        !self.is_stopping()
    }

    fn lock(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the tables anew where what they are made of changed. Says whether it did.
    fn load(&self, references: &BTreeMap<String, Reference>, version: u64, now: Timestamp) -> bool {
        let configured = self.configured();
        let mut loaded = self.lock();
        loaded.version = version;
        let wanted: BTreeMap<String, Part> =
            references.iter().filter_map(|(name, one)| Some((name.clone(), part(one)?))).collect();
        let is_same = |which: &dyn Fn(&str) -> bool, loaded: &Loaded| {
            let of = |parts: &BTreeMap<String, Part>| -> Vec<(String, Part)> {
                parts.iter().filter(|(name, _)| which(name)).map(|(name, part)| (name.clone(), part.clone())).collect()
            };
            of(&wanted) == of(&loaded.parts)
        };
        let is_same_never = configured.never == loaded.never;
        if wanted == loaded.parts && is_same_never && loaded.swapped != Timestamp::default() {
            return false;
        }
        let before = self.current();
        let mut problems = BTreeMap::new();
        let assets = match is_same(&|name| name == ASSETS, &loaded) {
            true => before.assets.clone(),
            false => self.assets(&wanted, &before, &mut problems),
        };
        let is_geo = |name: &str| name == GEO_CITY || name == GEO_ASN;
        let geo = match is_same(&is_geo, &loaded) {
            true => before.geo.clone(),
            false => self.geo(&wanted, &mut problems),
        };
        let indicators = match is_same_never && is_same(&|name| name.starts_with(INTEL), &loaded) {
            true => before.indicators.clone(),
            false => {
                for (list, count) in before.indicators.hits() {
                    *loaded.hits.entry(list.to_owned()).or_default() += count;
                }
                self.indicators(&wanted, &configured.never, &mut problems)
            }
        };
        for (name, problem) in &problems {
            warn!(reference.name = name, problem, "reference data not read");
        }
        info!(
            assets = assets.rows().len(),
            indicators = indicators.len(),
            has_geo = geo.is_some(),
            "reference data in force"
        );
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Tables { assets, geo, indicators });
        // Of what stays as it was, what was wrong with it stays too.
        let is_kept = |name: &String| wanted.get(name).is_some_and(|part| loaded.parts.get(name) == Some(part));
        for (name, problem) in loaded.problems.iter().filter(|(name, _)| is_kept(name)) {
            problems.entry(name.clone()).or_insert_with(|| problem.clone());
        }
        (loaded.parts, loaded.problems, loaded.swapped) = (wanted, problems, now);
        loaded.never.clone_from(&configured.never);
        true
    }

    fn assets(
        &self,
        wanted: &BTreeMap<String, Part>,
        before: &Tables,
        problems: &mut BTreeMap<String, String>,
    ) -> Arc<Assets> {
        let Some(part) = wanted.get(ASSETS) else { return Arc::default() };
        let read = || -> Result<Assets, ImportError> {
            let bytes = Shelf::Assets.read(&self.data, &part.sha256)?;
            let text = std::str::from_utf8(&bytes).map_err(|error| ImportError::NotText(error.valid_up_to()))?;
            Assets::read(text).map_err(ImportError::Table)
        };
        read().map_or_else(
            |error| {
                problems.insert(ASSETS.to_owned(), error.to_string());
                before.assets.clone()
            },
            Arc::new,
        )
    }

    fn geo(&self, wanted: &BTreeMap<String, Part>, problems: &mut BTreeMap<String, String>) -> Option<Arc<GeoTables>> {
        let mut open = |name: &str| {
            let part = wanted.get(name)?;
            let read = || -> Result<Database, ImportError> {
                // It was walked through when it was taken in, and its hash says that it is the same.
                Ok(Database::open_trusted(Shelf::GeoIp.read(&self.data, &part.sha256)?)?)
            };
            read().map_err(|error| problems.insert(name.to_owned(), error.to_string())).ok()
        };
        let (city, asn) = (open(GEO_CITY), open(GEO_ASN));
        GeoTables::new(city, asn).map(Arc::new)
    }

    fn indicators(
        &self,
        wanted: &BTreeMap<String, Part>,
        never: &[String],
        problems: &mut BTreeMap<String, String>,
    ) -> Arc<Indicators> {
        let mut lists = Vec::new();
        for (name, part) in wanted.iter().filter(|(name, _)| name.starts_with(INTEL)) {
            match Shelf::Intel.read(&self.data, &part.sha256) {
                Ok(bytes) => {
                    let info = ListInfo {
                        name: Text::from(name.strip_prefix(INTEL).unwrap_or(name)),
                        until: part.until,
                        confidence: part.confidence,
                    };
                    lists.push((info, String::from_utf8_lossy(&bytes).into_owned()));
                }
                Err(error) => drop(problems.insert(name.clone(), error.to_string())),
            }
        }
        // Checked with the configuration.
        let never = Never::new(never).unwrap_or_default();
        let lists = lists.iter().map(|(info, text)| (info.clone(), list::read(text).map_while(Result::ok)));
        Arc::new(Indicators::new(lists, never))
    }

    /// The configured files that changed since they were last looked at.
    fn changed_files(&self, configured: &Configured) -> BTreeSet<String> {
        let mut loaded = self.lock();
        let mut changed = BTreeSet::new();
        for (name, path) in configured.files() {
            let state = std::fs::metadata(path).map(|meta| (meta.len(), meta.modified().ok())).unwrap_or_default();
            if loaded.seen.insert(path.to_owned(), state) != Some(state) {
                changed.insert(name);
            }
        }
        changed
    }
}

fn part(reference: &Reference) -> Option<Part> {
    let file = reference.file.as_ref()?;
    Some(Part { sha256: file.sha256.clone(), until: reference.until(), confidence: file.confidence })
}

/// Keeps the tables as the register and the configured files say, until told to stop.
pub fn follow(shared: &Shared, interval: Duration) {
    let live = &shared.tables;
    for turn in 0_u64.. {
        if turn.is_multiple_of(LOOK_AT_FILES_EVERY) {
            take_configured(shared);
        }
        refresh(shared);
        if turn.is_multiple_of(TIDY_EVERY) {
            tidy(shared);
        }
        if !live.wait(interval) {
            return;
        }
    }
}

/// Puts another configuration in force: what it names is taken in at once, what it names no longer is followed no more and stays
/// in force until somebody takes it out, as after a restart.
pub fn configure(shared: &Shared, configured: &Configured) {
    let live = &shared.tables;
    if *live.configured() == *configured {
        return;
    }
    *live.configured.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(configured.clone());
    {
        let mut loaded = live.lock();
        // All are looked at again: how a list is to be taken may have changed, and not its file.
        loaded.seen.clear();
        let named: BTreeSet<String> = configured.files().map(|(name, _)| name).collect();
        loaded.untaken.retain(|name, _| named.contains(name));
    }
    take_configured(shared);
    let (references, version) = shared.registry.read(|state| (state.references.clone(), state.references_version));
    if live.load(&references, version, shared.clock.now()) {
        shared.tick();
    }
}

/// Makes the tables anew where the register changed.
pub fn refresh(shared: &Shared) {
    let live = &shared.tables;
    let known = live.lock().version;
    let changed = shared.registry.read(|state| {
        (state.references_version != known).then(|| (state.references.clone(), state.references_version))
    });
    if let Some((references, version)) = changed
        && live.load(&references, version, shared.clock.now())
    {
        shared.tick();
    }
}

fn tidy(shared: &Shared) {
    let named: BTreeSet<String> = shared.registry.read(|state| {
        let files = state.references.values().flat_map(|one| {
            let file = one.file.iter().map(|file| file.sha256.clone());
            file.chain(one.pending.iter().map(|(_, fresh)| fresh.sha256.clone())).collect::<Vec<_>>()
        });
        files.collect()
    });
    Shelf::ALL.iter().for_each(|shelf| shelf.tidy(&shared.tables.data, &named));
}

/// Takes in configured files that changed.
fn take_configured(shared: &Shared) {
    let live = &shared.tables;
    let _taking = live.taking.lock().unwrap_or_else(PoisonError::into_inner);
    let configured = live.configured();
    let changed = live.changed_files(&configured);
    for (name, path) in configured.files().filter(|(name, _)| changed.contains(name)) {
        if let Err(error) = take_one(shared, &configured, &name, path) {
            warn!(reference.name = name, %error, "configured reference data not taken");
            live.lock().untaken.insert(name, error.to_string());
        } else {
            live.lock().untaken.remove(&name);
        }
    }
}

/// Takes one configured file in, where it is another one than last time.
fn take_one(shared: &Shared, configured: &Configured, name: &str, path: &Path) -> Result<(), ImportError> {
    let data = &shared.tables.data;
    let before = shared.registry.read(|state| state.references.get(name).cloned());
    let is_known = |followed: &str| before.as_ref().is_some_and(|before| before.followed == followed);
    let source = import::source_name(path);
    let now = shared.clock.now();
    let read = || {
        std::fs::read(path).map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    };
    let (file, followed) = if let Some(list) = name.strip_prefix(INTEL) {
        let options = configured.lists.iter().find(|(known, ..)| known == list).map(|(.., options)| *options);
        let options = options.unwrap_or_default();
        let found = import::read_list(path, options.form)?;
        // A folder has no bytes of its own: what was read of it stands for it.
        let text = format!("{:?} {:?}\n{}", options.days_valid, options.confidence, list::write(&found.indicators));
        let followed = super::shelf::sha256(text.as_bytes());
        if is_known(&followed) {
            return Ok(());
        }
        (import::intel(data, &found, before.as_ref(), options, (&source, now))?, followed)
    } else {
        let bytes = read()?;
        let followed = super::shelf::sha256(&bytes);
        if is_known(&followed) {
            return Ok(());
        }
        match name {
            ASSETS => (import::assets(data, &bytes, &source)?, followed),
            _ => match import::geo(data, bytes, &source)? {
                (found, file) if found == name => (file, followed),
                (found, _) => return Err(ImportError::Usage(format!("{}: is {found}, not {name}", path.display()))),
            },
        }
    };
    put(shared, ACTOR, name, ReferenceFile { followed, ..file }).map_err(|error| ImportError::Usage(error.to_string()))
}

/// Puts a file in force.
///
/// # Errors
/// The register refuses it or cannot be written.
pub fn put(shared: &Shared, by: &str, name: &str, file: ReferenceFile) -> Result<(), RecordError> {
    let change = AnyChange::Reference(name.to_owned(), ReferenceChange::Put(file));
    shared.registry.change(by, shared.clock.now(), &change)?;
    refresh(shared);
    Ok(())
}
