//! The thread that keeps the proof in step.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tracing::warn;

use super::RegisterHashes;
use super::alert::{self, Trouble};
use super::deliver::{self, Witness};
use super::request::{self, REQUEST};
use super::settings::Proof;
use super::stamp::Stamper;
use crate::pipeline::Shared;
use crate::sentinel::alert::raise;

/// How often it looks.
const SLICE: Duration = Duration::from_millis(200);
/// How long a second party that could not be reached is left alone.
const RETRY: Duration = Duration::from_secs(60);

/// The running thread.
pub struct Running {
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Ends it, with a last head.
    pub fn stop(self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the thread of the proof panicked");
        }
    }
}

/// Starts the thread.
///
/// # Errors
/// The system gives no thread.
pub fn start(shared: &Arc<Shared>, settings: Proof, runtime: Handle) -> io::Result<Running> {
    let is_stopping = Arc::new(AtomicBool::new(false));
    let (shared, stopping) = (shared.clone(), is_stopping.clone());
    let work = move || run(&shared, &settings, &runtime, &stopping);
    let thread = std::thread::Builder::new().name("proof".to_owned()).spawn(work)?;
    Ok(Running { is_stopping, thread })
}

fn run(shared: &Shared, settings: &Proof, runtime: &Handle, is_stopping: &AtomicBool) {
    let mut hashes = RegisterHashes::default();
    let mut signed = Instant::now();
    let mut parties = Parties::new(settings);
    let mut stamper = Stamper::new(&*shared.disk, settings.stamping.as_ref());
    record(shared, &mut hashes);
    while !is_stopping.load(Ordering::Relaxed) {
        std::thread::sleep(SLICE);
        let is_asked = request::is_asked(&*shared.disk);
        if is_asked {
            if let Err(error) = shared.store.seal() {
                warn!(%error, "somebody asked for a head, and sealing did not work; tried again");
                continue;
            }
            let document = request::document(&*shared.disk);
            let written = document.map(|one| shared.store.record_document((one.name, one.bytes, one.sha256)));
            if let Some(Err(error)) = written {
                warn!(%error, "a file that leaves the house is not in the proof; tried again");
                continue;
            }
            // Whoever asks while this runs asks again.
            if let Err(error) = shared.disk.remove(REQUEST) {
                warn!(%error, "the request for a head could not be taken away");
            }
        }
        if is_asked || settings.every <= signed.elapsed() {
            signed = Instant::now();
            record(shared, &mut hashes);
        }
        parties.deliver(shared, runtime);
        if let Some(stamper) = &mut stamper {
            stamper.tick(shared, runtime);
        }
    }
    if let Some(stamper) = stamper {
        stamper.stop();
    }
    record(shared, &mut hashes);
    parties.deliver(shared, runtime);
}

/// Everybody who gets heads.
struct Parties<'a> {
    settings: &'a Proof,
    witnesses: Vec<Witness>,
    /// The size of the head that all of them have.
    delivered: u64,
    tried: Option<Instant>,
    /// What was raised, so that it is raised once.
    raised: Vec<(Trouble, u64)>,
}

impl<'a> Parties<'a> {
    fn new(settings: &'a Proof) -> Parties<'a> {
        let mut witnesses = Vec::new();
        for (city, ca) in &settings.witnesses {
            match Witness::new(city, ca.as_deref()) {
                Ok(witness) => witnesses.push(witness),
                Err(error) => warn!(%error, witness = city.host, "heads cannot be sent to a second party"),
            }
        }
        Parties { settings, witnesses, delivered: 0, tried: None, raised: Vec::new() }
    }

    /// Brings the newest head to whoever does not have it.
    fn deliver(&mut self, shared: &Shared, runtime: &Handle) {
        let Some(newest) = shared.store.newest_head() else { return };
        let is_too_soon = self.tried.is_some_and(|tried| tried.elapsed() < RETRY);
        if newest.head.size == self.delivered || is_too_soon {
            return;
        }
        let (mut is_everywhere, mut found) = (true, Vec::new());
        for place in &self.settings.copies {
            match deliver::append(&*shared.disk, place, &newest) {
                Ok(contradiction) => found.extend(contradiction),
                Err(error) => {
                    is_everywhere = false;
                    deliver::warn_of_copy(place, &error);
                }
            }
        }
        for witness in &mut self.witnesses {
            match runtime.block_on(witness.post(&*shared.disk, &newest)) {
                Ok(contradiction) => found.extend(contradiction),
                Err(error) => {
                    is_everywhere = false;
                    warn!(witness = witness.name(), %error, "head not sent to a second party; tried again");
                }
            }
        }
        for (trouble, size) in found {
            let is_new = !self.raised.contains(&(trouble, size));
            let alert = || alert::of(&newest.head.origin, true, trouble, size, shared.clock.now());
            if is_new && raise(shared, vec![alert()]) {
                self.raised.push((trouble, size));
            }
        }
        if is_everywhere {
            (self.delivered, self.tried) = (newest.head.size, None);
        } else {
            self.tried = Some(Instant::now());
        }
    }
}

/// Writes down the register and signs.
fn record(shared: &Shared, hashes: &mut RegisterHashes) {
    if let Err(error) = shared.registry.hash(hashes) {
        warn!(%error, "register not read for the proof");
        return;
    }
    let recorded = hashes.state().map(|state| shared.store.record_register(state));
    if let Some(Err(error)) = recorded {
        warn!(%error, "the register's state is not in the proof; tried again later");
    }
    shared.store.catch_up_proof();
}
