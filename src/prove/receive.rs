//! Being a second party: `POST /api/v1/proof/add-checkpoint` takes heads of the logs in `proof.take`.
//!
//! In: a request as C2SP `tlog-witness` has it. Out: 200 and a line that this server saw the head (a cosignature), after the
//! head is durable in `proof/others/`. Whoever sends needs no account: the signature is what counts. Promise: of one log
//! only heads that continue each other are taken; one that does not, or goes back, raises an alert. Failure: 400 no
//! request, 403 not signed by the log's key, 404 a log that is not taken, 409 another size is known (the body says which),
//! 422 it does not continue what was known.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use nhatle_event::json::hex;
use nhatle_storage::proof::witness::{AddCheckpoint, Refusal, consider};
use nhatle_storage::proof::{SignedHead, SigningKey, VerifierKey, head};
use nhatle_storage::{Disk, DiskFile};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::alert::{self, Trouble};
use crate::pipeline::Shared;
use crate::sentinel::alert::raise;

/// Where heads come in.
pub const PATH: &str = "/api/v1/proof/add-checkpoint";
/// How large a request may be.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Where heads of others are kept.
const FOLDER: &str = "proof/others";

/// The receiving side of a server.
pub struct Receiver {
    shared: Arc<Shared>,
    keys: Vec<VerifierKey>,
    own: SigningKey,
    /// The newest head of each log, once it was asked for. As many as there are keys.
    known: Mutex<HashMap<String, Option<SignedHead>>>,
}

/// The route; none where no log is taken.
pub fn router(shared: &Arc<Shared>, keys: &[VerifierKey], own: SigningKey) -> Router {
    if keys.is_empty() {
        return Router::new();
    }
    let receiver = Receiver { shared: shared.clone(), keys: keys.to_vec(), own, known: Mutex::default() };
    let route = post(add).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(Arc::new(receiver));
    Router::new().route(PATH, route)
}

async fn add(State(receiver): State<Arc<Receiver>>, body: Bytes) -> Response {
    let taken = tokio::task::spawn_blocking(move || receiver.take(&body)).await;
    taken.unwrap_or_else(|_panic| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn file_of(origin: &str) -> String {
    format!("{FOLDER}/{}.heads", &hex(&Sha256::digest(origin.as_bytes()))[..32])
}

impl Receiver {
    fn take(&self, body: &[u8]) -> Response {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(reason) => return (StatusCode::BAD_REQUEST, reason + "\n").into_response(),
        };
        let origin = request.head.head.origin.clone();
        if !self.keys.iter().any(|key| key.name == origin) {
            return (StatusCode::NOT_FOUND, "no key is known for this log\n").into_response();
        }
        // Comparing and keeping is one step, or a later head could be overtaken by an older one.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let disk = &*self.shared.disk;
        let newest = match known.get(&origin) {
            Some(newest) => newest.clone(),
            None => match newest_of(disk, &origin) {
                Ok(newest) => newest,
                Err(error) => {
                    warn!(%error, "heads of another log could not be read");
                    return StatusCode::INTERNAL_SERVER_ERROR.into_response();
                }
            },
        };
        if let Err(refusal) = consider(newest.as_ref(), &request, &self.keys) {
            known.insert(origin.clone(), newest);
            return self.refused(&origin, refusal);
        }
        if newest.as_ref().is_none_or(|newest| newest.head.size < request.head.head.size) {
            if let Err(error) = keep(disk, &request.head) {
                warn!(%error, "a head of another log could not be kept");
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            info!(head.origin = origin, head.size = request.head.head.size, "took the head of another log");
            known.insert(origin, Some(request.head.clone()));
        }
        let seconds = u64::try_from(self.shared.clock.now().0 / 1_000_000_000).unwrap_or(0);
        let name = head::origin_of(&self.own.public());
        self.own.cosign(&name, &request.head.note.text, seconds).line().into_response()
    }

    fn refused(&self, origin: &str, refusal: Refusal) -> Response {
        let size_said = |size: u64| {
            let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            (StatusCode::CONFLICT, kind, format!("{size}\n")).into_response()
        };
        let raised = |trouble: Trouble, size: u64| {
            let now = self.shared.clock.now();
            raise(&self.shared, vec![alert::of(origin, false, trouble, size, now)]);
        };
        match refusal {
            Refusal::Malformed(reason) => (StatusCode::BAD_REQUEST, reason + "\n").into_response(),
            Refusal::Unknown => StatusCode::NOT_FOUND.into_response(),
            Refusal::NotSigned => (StatusCode::FORBIDDEN, "not signed by the key of this log\n").into_response(),
            Refusal::OtherSize(size) => size_said(size),
            Refusal::WentBack(size) => {
                raised(Trouble::WentBack, size);
                size_said(size)
            }
            Refusal::Contradicts(size) => {
                raised(Trouble::Contradicts, size);
                (StatusCode::UNPROCESSABLE_ENTITY, "it does not continue what was signed before\n").into_response()
            }
        }
    }
}

/// The newest head kept of a log.
fn newest_of(disk: &dyn Disk, origin: &str) -> std::io::Result<Option<SignedHead>> {
    let path = file_of(origin);
    if disk.length(&path)?.is_none() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&disk.read(&path)?).into_owned();
    Ok(head::read_all(&text).into_iter().filter_map(Result::ok).max_by_key(|head| head.head.size))
}

/// Appends a head to the ones kept of its log, durably.
fn keep(disk: &dyn Disk, head: &SignedHead) -> std::io::Result<()> {
    disk.create_folder("proof")?;
    disk.create_folder(FOLDER)?;
    let path = file_of(&head.head.origin);
    let (length, is_new) = match disk.length(&path)? {
        Some(length) => (length, false),
        None => (0, true),
    };
    let mut file: Box<dyn DiskFile> = if is_new { disk.create(&path)? } else { disk.open(&path)? };
    file.write_at(length, format!("{}\n", head.to_text()).as_bytes())?;
    file.sync_data()?;
    if is_new { disk.sync_folder(FOLDER) } else { Ok(()) }
}
