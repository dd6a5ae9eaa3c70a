//! The server's end of the handover: takes what commands ask, each on a thread of its own.
//!
//! In: the data folder, what the server shares. Promise: nobody but the folder's owner is heard; where the server ends, each
//! command is told. Failure: where the folder can hold no socket the server runs without, and says so once.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nhatle_event::Timestamp;
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tracing::{debug, info, warn};

use super::files::{Broken, FileBytes, Wire};
use super::{Ask, SOCKET, Told, import, listen, write_line};
use crate::desk::LiveDesk;
use crate::hunt::Range;
use crate::pipeline::Shared;
use crate::pipeline::convert::Part;

/// So many commands at once; who comes then is told to come again.
const COMMANDS_MAX: usize = 16;
/// A command that does not read what it is told is given up after so long.
const TELL_PATIENCE: Duration = Duration::from_secs(30);

/// What commands are done with.
#[derive(Clone)]
pub struct Within {
    /// What the server shares.
    pub shared: Arc<Shared>,
    /// What pages do.
    pub desk: Arc<LiveDesk>,
    /// The way to the appending stage, past the inputs.
    pub to_append: SyncSender<Vec<Part>>,
    /// For what is waited for at most so long.
    pub runtime: Handle,
}

/// Commands are taken.
pub struct Running {
    is_stopping: Arc<AtomicBool>,
    accepting: tokio::task::JoinHandle<()>,
    threads: Threads,
    socket: PathBuf,
}

type Threads = Arc<Mutex<Vec<JoinHandle<()>>>>;

/// Begins to take commands. `None` where the folder cannot hold a socket.
pub fn start(data: &Path, within: Within) -> Option<Running> {
    let runtime = within.runtime.clone();
    let _inside = runtime.enter();
    let listener = listen(data).and_then(|listener| {
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    });
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => {
            warn!(%error, "no socket in the data folder: commands that change events cannot run beside this server");
            return None;
        }
    };
    let (is_stopping, threads) = (Arc::<AtomicBool>::default(), Threads::default());
    let accepting = runtime.spawn(accept(listener, within, is_stopping.clone(), threads.clone()));
    Some(Running { is_stopping, accepting, threads, socket: data.join(SOCKET) })
}

impl Running {
    /// Ends: what is on its way is told so. Pipeline and store must still run.
    pub fn stop(self, runtime: &tokio::runtime::Runtime) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.accepting.abort();
        drop(runtime.block_on(self.accepting));
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.into_iter().any(|thread| thread.join().is_err()) {
            tracing::error!("a thread that did what a command asked panicked");
        }
        // Who connects later finds nobody either way.
        drop(std::fs::remove_file(self.socket));
    }
}

async fn accept(listener: UnixListener, within: Within, is_stopping: Arc<AtomicBool>, threads: Threads) {
    loop {
        let accepted = match listener.accept().await {
            Ok((stream, _)) => stream.into_std().and_then(|stream| stream.set_nonblocking(false).map(|()| stream)),
            Err(error) => Err(error),
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                // No more files, most likely: it passes.
                debug!(%error, "command not taken");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let mut threads = threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        if COMMANDS_MAX <= threads.len() {
            let told = Told::Failed("the server does what other commands asked; try again".to_owned());
            // It is gone, or hears it.
            drop(write_line(&mut &stream, &told));
            continue;
        }
        let (within, is_stopping) = (within.clone(), is_stopping.clone());
        let work = move || {
            if let Err(error) = answer(&within, stream, is_stopping) {
                debug!(%error, "a command went away");
            }
        };
        match std::thread::Builder::new().name("command".to_owned()).spawn(work) {
            Ok(thread) => threads.push(thread),
            Err(error) => warn!(%error, "no thread for a command"),
        }
    }
}

/// Tells a command what becomes of it.
pub(super) struct Teller(UnixStream);

impl Teller {
    /// Tells it.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn tell(&mut self, told: &Told) -> Result<(), Broken> {
        write_line(&mut self.0, told).map_err(|_error| Broken::Gone)
    }
}

/// How what was asked ended without being done.
pub(crate) enum Ended {
    /// Something is in the way on the wire.
    Broken(Broken),
    /// [`Told::Refused`]
    Refused(String),
    /// [`Told::Failed`]
    Failed(String),
}

impl From<Broken> for Ended {
    fn from(broken: Broken) -> Ended {
        Ended::Broken(broken)
    }
}

fn answer(within: &Within, stream: UnixStream, is_stopping: Arc<AtomicBool>) -> io::Result<()> {
    stream.set_write_timeout(Some(TELL_PATIENCE))?;
    let mut wire = Wire::new(stream.try_clone()?, is_stopping.clone())?;
    let ask: Ask = wire.line()?;
    let mut teller = Teller(stream);
    let done = match ask {
        Ask::Import { source, unit } => {
            let bytes = FileBytes(Arc::new(Mutex::new(wire)));
            info!(source.profile = source.as_deref(), unit = unit.as_deref(), "import begins");
            let done = import::run(within, (source.as_deref(), unit.as_deref()), &bytes, &mut teller, &is_stopping);
            info!(is_whole = done.is_ok(), "import ends");
            done
        }
        Ask::Erase { wanted, by, basis, expect } => {
            within.desk.erase_for_command(&wanted, (&by, &basis), expect, &is_stopping)
        }
        Ask::Hunt { rule, from_ns, to_ns } => {
            let range = Range { from: Timestamp(from_ns), to: Timestamp(to_ns) };
            within.desk.hunt_for_command(rule.as_deref(), range, &is_stopping)
        }
    };
    let end = match done {
        Ok(done) => Told::Done(done),
        Err(Ended::Refused(why)) => Told::Refused(why),
        Err(Ended::Failed(why)) => Told::Failed(why),
        Err(Ended::Broken(Broken::Stopping)) => Told::Failed("the server ends".to_owned()),
        Err(Ended::Broken(Broken::Gone)) => return Err(io::ErrorKind::BrokenPipe.into()),
    };
    write_line(&mut teller.0, &end)
}
