//! Times for heads by a time-stamping authority (RFC 3161) over the network. In: the newest head, `proof.timestamp_*`. Out:
//! files beside the heads (`nhatle_storage::proof::stamp::kept`), each checked before it is written. Once in a while, and
//! when somebody waits for one. Promise: one request at a time, on a task of its own, bounded in time and size; nothing waits
//! for it but who asked to. Failure: told in the log when it is a new one, in the state beside the stamps, and tried again
//! later and later.

use std::io;
use std::time::{Duration, Instant};

use axum::http::header;
use nhatle_event::Timestamp;
use nhatle_storage::Disk;
use nhatle_storage::proof::stamp::kept::{self, Asking, Kept, WANTED};
use nhatle_storage::proof::stamp::token::ANSWER_BYTES_MAX;
use nhatle_storage::proof::stamp::{Authorities, Request};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use crate::forward::client::{City, Client, said};
use crate::pipeline::Shared;
use crate::pki;

/// How long an answer may take, after the connection is made.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// After a failure it is tried again after so long, then after twice as long, and so on.
const RETRY: Duration = Duration::from_secs(60);
/// But never later than this.
const RETRY_MAX: Duration = Duration::from_secs(3600);
/// Who waits has it tried at once, but not more often than this.
const TRY_INTERVAL_MIN: Duration = Duration::from_secs(2);
/// How long somebody waits for a time-stamp.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often they look.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Whom to ask, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamping {
    /// Where the authority is.
    pub city: City,
    /// The path there.
    pub path: String,
    /// Who signed the certificate of its web server: PEM, for https.
    pub tls_ca: Option<String>,
    /// How often a head gets a time.
    pub every: Duration,
    /// Who must have vouched for the certificate under the times.
    pub authorities: Authorities,
}

/// Reads `http://host/path`, or https.
///
/// # Errors
/// What is wrong with it.
pub fn place(url: &str) -> Result<(City, String), String> {
    City::with_path(url, 443, 80)
}

/// A number that nobody can guess.
pub fn nonce() -> u64 {
    rand::random()
}

/// Waits until the server has a time for the head over `size` leaves, or for one signed since; not for long, and not where
/// it asks nobody.
///
/// # Errors
/// What the disk says.
pub fn wait(disk: &dyn Disk, size: u64) -> io::Result<()> {
    let is_there = || disk.length(&kept::path(size, "tsr")).map(|length| length.is_some());
    if kept::asking(disk).is_none() || is_there()? {
        return Ok(());
    }
    disk.replace(WANTED, size.to_string().as_bytes())?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && !is_there()? {
        std::thread::sleep(LOOK_INTERVAL);
        if disk.length(WANTED)?.is_none() {
            return Ok(());
        }
    }
    disk.remove(WANTED)
}

/// A request on its way, and what comes of it.
type Asked = JoinHandle<Result<Vec<u8>, String>>;

/// Asks for times.
pub struct Stamper {
    settings: Stamping,
    tls: Option<rustls::ClientConfig>,
    asked: Option<(Kept, Asked)>,
    /// The newest head that has a time, and that time.
    last: Option<(u64, Timestamp)>,
    failure_count: u32,
    tried: Option<Instant>,
    trouble: Option<String>,
}

impl Stamper {
    /// Begins; `None` where nobody is to be asked.
    pub fn new(disk: &dyn Disk, settings: Option<&Stamping>) -> Option<Stamper> {
        let Some(settings) = settings.cloned() else {
            for told in [kept::tell(disk, None), disk.remove(WANTED)] {
                told.unwrap_or_else(|error| warn!(%error, "the state of time-stamps not written"));
            }
            return None;
        };
        let tls = match settings.tls_ca.as_deref().map(pki::client::web_client).transpose() {
            Ok(tls) => tls,
            Err(error) => {
                warn!(%error, "no time-stamps can be asked for");
                return None;
            }
        };
        let newest = kept::newest(disk).unwrap_or_else(|error| {
            warn!(%error, "the newest time-stamp cannot be read");
            None
        });
        let last = newest.and_then(|kept| Some((kept.head.head.size, kept.check(None).ok()?.at)));
        let (asked, tried, trouble) = (None, None, None);
        let stamper = Stamper { settings, tls, asked, last, failure_count: 0, tried, trouble };
        stamper.tell(disk, 0);
        Some(stamper)
    }

    /// Asks where it is time to, and takes an answer that came.
    pub fn tick(&mut self, shared: &Shared, runtime: &Handle) {
        let disk = &*shared.disk;
        match self.asked.take() {
            Some((kept, task)) if task.is_finished() => {
                let answer = runtime.block_on(task).unwrap_or_else(|error| Err(error.to_string()));
                self.take(disk, kept, answer, shared.clock.now());
                // Who waits looks for the stamp first.
                disk.remove(WANTED).unwrap_or_else(|error| warn!(%error, "a wish for a time-stamp stays"));
                return;
            }
            asked => self.asked = asked,
        }
        let Some(newest) = shared.store.newest_head().filter(|_| self.asked.is_none()) else { return };
        let is_wanted = disk.length(WANTED).is_ok_and(|length| length.is_some());
        let since =
            |at: Timestamp| Duration::from_nanos(u64::try_from(shared.clock.now().0.saturating_sub(at.0)).unwrap_or(0));
        let is_new = self.last.is_none_or(|(size, _)| size < newest.head.size);
        let is_due = self.last.is_none_or(|(_, at)| self.settings.every <= since(at));
        if is_wanted && !is_new {
            disk.remove(WANTED).unwrap_or_else(|error| warn!(%error, "a wish for a time-stamp stays"));
        }
        let pause = if is_wanted { TRY_INTERVAL_MIN } else { self.pause() };
        if !is_new || !(is_wanted || is_due) || self.tried.is_some_and(|tried| tried.elapsed() < pause) {
            return;
        }
        self.tried = Some(Instant::now());
        let kept = Kept { request: Request::new(&newest, nonce()), head: newest, answer: Vec::new() };
        let client = Client::new(self.settings.city.clone(), self.tls.clone());
        let client = client.with_answers(ANSWER_BYTES_MAX, ANSWER_WAIT);
        let task = runtime.spawn(ask(client, self.settings.path.clone(), kept.request.to_der()));
        self.asked = Some((kept, task));
    }

    /// How long it is left alone after it failed.
    fn pause(&self) -> Duration {
        match self.failure_count {
            0 => Duration::ZERO,
            count => RETRY.saturating_mul(1 << (count - 1).min(10)).min(RETRY_MAX),
        }
    }

    /// Checks an answer and keeps it.
    fn take(&mut self, disk: &dyn Disk, kept: Kept, answer: Result<Vec<u8>, String>, now: Timestamp) {
        let kept = answer.map(|answer| Kept { answer, ..kept });
        let taken = kept.and_then(|kept| {
            let stamp = kept.check(Some(&self.settings.authorities)).map_err(|error| error.to_string())?;
            kept::write(disk, &kept).map_err(|error| format!("write it down: {error}"))?;
            Ok((kept.head.head.size, stamp))
        });
        match taken {
            Ok((size, stamp)) => {
                info!(head.size = size, stamp.at = %stamp.at, stamp.authority, "a head has a time-stamp");
                (self.failure_count, self.trouble, self.last) = (0, None, Some((size, stamp.at)));
            }
            Err(trouble) => {
                self.failure_count = self.failure_count.saturating_add(1);
                let host = &self.settings.city.host;
                match self.trouble.as_ref() == Some(&trouble) {
                    true => debug!(server.address = host, trouble, "no time-stamp for a head, as before"),
                    false => warn!(server.address = host, trouble, "no time-stamp for a head; tried again"),
                }
                self.trouble = Some(trouble);
            }
        }
        self.tell(disk, now.0);
    }

    fn tell(&self, disk: &dyn Disk, tried_ns: i64) {
        let asking = Asking { tried_ns, trouble: self.trouble.clone() };
        kept::tell(disk, Some(&asking)).unwrap_or_else(|error| warn!(%error, "the state of time-stamps not written"));
    }

    /// Ends it; what is on its way is given up.
    pub fn stop(self) {
        if let Some((_, task)) = self.asked {
            task.abort();
        }
    }
}

async fn ask(client: Client, path: String, request: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut client = client;
    let kind = [(header::CONTENT_TYPE, "application/timestamp-query".to_owned())];
    let answer = client.post(&path, &kind, request).await.map_err(|error| said(&error))?;
    match answer.status {
        200 => Ok(answer.body.to_vec()),
        status => Err(format!("the time-stamping authority answers {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_authorities() {
        let city = |host: &str, port, is_tls| City { host: host.to_owned(), port, is_tls };
        let rows = [
            ("http://tsa.example/tsa", city("tsa.example", 80, false), "/tsa"),
            ("https://tsa.example", city("tsa.example", 443, true), "/"),
            ("http://[2001:db8::1]:318/a?b=c", city("2001:db8::1", 318, false), "/a?b=c"),
        ];
        for (url, city, path) in rows {
            assert_eq!(place(url), Ok((city, path.to_owned())), "{url}");
        }
        for bad in ["", "tsa.example", "ftp://tsa.example", "https://", "https://a b"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
