//! How the proof stands, checks of the whole store, and evidence packages, for the pages.

use std::sync::{Arc, Mutex, PoisonError};

use nhatle_event::json::hex;
use nhatle_storage::proof::stamp::{Authorities, kept};
use nhatle_ui::model::erasure::{ErasurePlan, ErasuresView, NewErasure};
use nhatle_ui::model::proof::{CheckView, EvidenceFile, FOUND_SHOWN_MAX, FoundRow, NewCheck, ProofView, StampView};
use nhatle_ui::model::retention::{HoldChange, NewHold, RetentionView};
use nhatle_ui::{Answer, DeskError, KeepingDesk, Localized, Refusal, Viewer};

use super::{LiveDesk, erasure, erasure_look, failed, retention};
use crate::evidence::{self, EvidenceError, Subject};
use crate::pki::heads;
use crate::prove::RegisterHashes;
use crate::prove::check::{self, Known};
use crate::prove::words;

/// The newest check of the whole store, and whose time-stamps count.
#[derive(Default)]
pub(super) struct Checks(Arc<Mutex<Option<CheckView>>>, Option<Authorities>);

impl LiveDesk {
    /// The same, which knows whose time-stamps count.
    #[must_use]
    pub fn trusting(self, authorities: Option<Authorities>) -> LiveDesk {
        let mut desk = self;
        desk.checks.1 = authorities;
        desk
    }
}

impl KeepingDesk for LiveDesk {
    fn proof(&self, viewer: &Viewer) -> Answer<ProofView> {
        let mut view = view(self);
        if self.limit(viewer).is_none() {
            view.check = self.checks.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        }
        Ok(view)
    }

    fn evidence(&self, viewer: &Viewer, number: u64) -> Answer<EvidenceFile> {
        incident(self, viewer, number)
    }

    fn retention(&self, viewer: &Viewer) -> Answer<RetentionView> {
        retention::view(self, viewer)
    }

    fn place_hold(&self, viewer: &Viewer, new: &NewHold) -> Answer<u64> {
        retention::place(self, viewer, new)
    }

    fn change_hold(&self, viewer: &Viewer, number: u64, change: &HoldChange) -> Answer<()> {
        retention::change(self, viewer, number, change)
    }

    fn run_retention(&self, viewer: &Viewer) -> Answer<()> {
        retention::run(self, viewer)
    }

    fn erasures(&self, viewer: &Viewer) -> Answer<ErasuresView> {
        erasure::view(self, viewer)
    }

    fn erase(&self, viewer: &Viewer, new: &NewErasure) -> Answer<ErasurePlan> {
        erasure::erase(self, viewer, new)
    }

    fn look_at_erasure(&self, viewer: &Viewer, new: &NewErasure) -> Answer<()> {
        erasure_look::count(self, viewer, new)
    }

    fn confirm_erasure(&self, viewer: &Viewer, basis: &str, typed: u64) -> Answer<()> {
        erasure_look::confirm(self, viewer, basis, typed)
    }

    fn forget_erasure(&self, viewer: &Viewer) -> Answer<()> {
        erasure_look::forget(self, viewer)
    }

    fn start_check(&self, viewer: &Viewer, new: &NewCheck) -> Answer<()> {
        start_check(self, viewer, new)
    }
}

/// Begins a check of the whole store on a thread of its own.
fn start_check(desk: &LiveDesk, viewer: &Viewer, new: &NewCheck) -> Answer<()> {
    if desk.limit(viewer).is_some() {
        return Err(DeskError::NotFound);
    }
    let heads = match new.heads.trim() {
        "" => Vec::new(),
        text => check::kept_heads(text).map_err(|_form| DeskError::Refused(Refusal::NoHead))?,
    };
    let key = desk.shared.disk.local_path(heads::KEY_FILE);
    let data = key.as_deref().and_then(|key| Some(key.parent()?.parent()?.to_owned())).ok_or(DeskError::NotFound)?;
    let begun = CheckView {
        by: viewer.user.clone(),
        begun: desk.now(),
        done: None,
        kept_heads: heads.len() as u64,
        is_deep: new.is_deep,
        found_count: 0,
        found: Vec::new(),
        error: None,
    };
    {
        let mut newest = desk.checks.0.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.as_ref().is_some_and(|check| check.done.is_none()) {
            return Err(DeskError::Refused(Refusal::WrongState));
        }
        *newest = Some(begun.clone());
    }
    let (newest, shared) = (desk.checks.0.clone(), desk.shared.clone());
    let known = Known { key: None, heads, is_deep: new.is_deep, authorities: desk.checks.1.clone() };
    let work = move || {
        let checked = check::store(&data, &known);
        let mut view = CheckView { done: Some(shared.clock.now()), ..begun };
        match checked {
            Ok(checked) => {
                view.found_count = checked.found.len() as u64;
                view.found = checked.found.into_iter().take(FOUND_SHOWN_MAX).map(found_row).collect();
            }
            Err(error) => view.error = Some(format!("{error:#}")),
        }
        *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(view);
    };
    let started = std::thread::Builder::new().name("check".to_owned()).spawn(work);
    if let Err(error) = started {
        *desk.checks.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        return Err(failed(error));
    }
    Ok(())
}

fn found_row(found: check::Found) -> FoundRow {
    let what = Localized::new(words::vietnamese(&found.what).unwrap_or_default(), found.what);
    FoundRow { file: found.file, offset: found.offset, row: found.row, what }
}

/// How the proof stands.
fn view(desk: &LiveDesk) -> ProofView {
    let state = desk.shared.store.proof_state();
    let newest = state.newest.as_ref();
    ProofView {
        origin: state.key.as_ref().map(|key| key.name.clone()).unwrap_or_default(),
        size: state.size,
        head_size: newest.map_or(0, |newest| newest.head.size),
        head_at: newest.and_then(|newest| newest.head.at),
        head_root: newest.map(|newest| hex(&newest.head.root)).unwrap_or_default(),
        head_text: newest.map(|newest| newest.to_text()).unwrap_or_default(),
        key: state.key.map(|key| key.text()).unwrap_or_default(),
        waiting: state.waiting as u64,
        trouble: state.trouble,
        stamp: stamp(desk),
        check: None,
    }
}

/// The newest time-stamp of a head, and how asking for them goes; nothing where there was never one.
fn stamp(desk: &LiveDesk) -> Option<StampView> {
    let disk = &*desk.shared.disk;
    let asking = kept::asking(disk);
    let mut view = StampView { is_asked: asking.is_some(), ..StampView::default() };
    view.trouble = asking.and_then(|asking| asking.trouble);
    match kept::newest(disk) {
        Ok(None) if view.is_asked => {}
        Ok(None) => return None,
        Ok(Some(kept)) => match kept.check(desk.checks.1.as_ref()) {
            Ok(stamp) => {
                view.at = Some(stamp.latest());
                (view.authority, view.serial, view.is_chained) = (stamp.authority, stamp.serial, stamp.is_chained);
                view.head_size = kept.head.head.size;
            }
            Err(error) => view.damage = Some(error.to_string()),
        },
        Err(error) => view.damage = Some(error.to_string()),
    }
    Some(view)
}

/// An incident as a package; only for who sees the whole city.
fn incident(desk: &LiveDesk, viewer: &Viewer, number: u64) -> Answer<EvidenceFile> {
    if desk.limit(viewer).is_some() {
        return Err(DeskError::NotFound);
    }
    let shared = &desk.shared;
    // Everything of it must stand under a head.
    shared.store.seal().map_err(failed)?;
    let mut hashes = RegisterHashes::default();
    shared.registry.hash(&mut hashes).map_err(failed)?;
    if let Some(state) = hashes.state() {
        shared.store.record_register(state).map_err(failed)?;
    }
    let snapshot = shared.store.snapshot();
    if let Some(head) = shared.store.newest_head() {
        crate::prove::stamp::wait(&*shared.disk, head.head.size).map_err(failed)?;
    }
    let subject = Subject::Incident(number);
    let gathered = shared.registry.read(|state| evidence::gather(&subject, &snapshot, state));
    let gathered = gathered.map_err(|error| match error {
        EvidenceError::NotFound(_) => DeskError::NotFound,
        other => failed(other),
    })?;
    let rows = shared.registry.rows(&gathered).map_err(failed)?;
    let key = shared.disk.local_path(heads::KEY_FILE).ok_or(DeskError::NotFound)?;
    let key = heads::open_file(&key).map_err(failed)?;
    let package = evidence::build(&gathered, (&*shared.disk, &snapshot), rows, (&key, &viewer.user)).map_err(failed)?;
    Ok(EvidenceFile { name: format!("incident-{number}.tar"), bytes: package.bytes })
}
