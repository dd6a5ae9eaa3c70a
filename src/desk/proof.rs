//! How the proof stands, and evidence packages for the pages.

use nhatle_event::json::hex;
use nhatle_ui::model::proof::{EvidenceFile, ProofView};
use nhatle_ui::{Answer, DeskError, Viewer};

use super::{LiveDesk, failed};
use crate::evidence::{self, EvidenceError, Subject};
use crate::pki::heads;
use crate::prove::RegisterHashes;

/// How the proof stands.
pub(super) fn view(desk: &LiveDesk) -> ProofView {
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
    }
}

/// An incident as a package; only for who sees the whole city.
pub(super) fn incident(desk: &LiveDesk, viewer: &Viewer, number: u64) -> Answer<EvidenceFile> {
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
