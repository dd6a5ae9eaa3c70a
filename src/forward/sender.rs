//! Brings what the spool holds to the city: in order, once, as fast as the line and the city let it.
//!
//! In: the spool. Out: requests, one at a time; what the city says to hold is taken out of the spool. Higher lanes come
//! first; every fourth request is of the lowest lane that has something, so that none starves. Failure: a broken line is
//! tried again with growing, scattered pauses up to [`PAUSES`]; 429 and 503 are waited for as the city says; what makes
//! no sense to the city (400) is said in the log and tried again slowly, never thrown away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header;
use nhatle_collector::wire;
use nhatle_event::Clock;
use tokio::sync::{Notify, watch};

use super::client::{Answer, Client, said};
use super::head::{Head, Reply, VERSION};
use super::identity::{self, Held};
use super::receive::PATH;
use super::spool::{Acknowledged, LANES, Ready, Spool, SpoolError};
use super::status::Status;

/// How long to wait after the first failure, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// At most so long is waited because the city says so.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// How often the city hears of a forwarder that has nothing to send.
const QUIET_MAX: Duration = Duration::from_secs(30);
/// What has just come waits so long for more to go with it.
const LINGER: Duration = Duration::from_millis(100);
/// Bytes and records of one request.
const REQUEST: (usize, u64) = (1 << 20, 16_384);
/// How often what was acknowledged is written down. What a crash forgets is sent again, and recognized.
const KEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How often the certificate's age is looked at.
const RENEW_INTERVAL: Duration = Duration::from_secs(3600);

/// The spool, as threads and tasks share it.
pub type SharedSpool = Arc<Mutex<Spool>>;

/// What to do about an exchange that failed because of a certificate; the words are those of the TLS library.
fn advice(why: &str, has_expired: bool) -> Option<&'static str> {
    const REFUSALS: [&str; 5] =
        ["UnknownCA", "BadCertificate", "CertificateRevoked", "CertificateUnknown", "AccessDenied"];
    if has_expired || why.contains("alert: CertificateExpired") {
        return Some("the own certificate has expired: a new code from the city is needed");
    }
    if why.contains("invalid peer certificate") {
        return Some("this is not the city of the own certificate: look at the address in `server`");
    }
    let is_refused = why.contains("fatal alert") && REFUSALS.iter().any(|word| why.contains(word));
    is_refused.then_some("the city does not take the own certificate, it was revoked or is another city's: a new code from the city is needed")
}

/// What the sender needs.
pub struct Sender {
    /// What is to be sent.
    pub spool: SharedSpool,
    /// Rings when something became durable.
    pub news: Arc<Notify>,
    /// The line.
    pub client: Client,
    /// The certificate, where there is one.
    pub held: Option<Held>,
    /// A token, where there is one.
    pub token: Option<String>,
    /// Name, state folder, rate.
    pub config: Arc<super::config::Config>,
    /// What is shown to people.
    pub status: Arc<Mutex<Status>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// True once the program stops.
    pub stopping: watch::Receiver<bool>,
}

/// What became of one exchange.
enum Outcome {
    /// The city has it; so many bytes went over the line.
    Done(usize),
    /// The city is to be asked again after a while.
    Wait(Duration),
    /// No answer, or one that helps nobody.
    Failed(String),
}

impl Sender {
    /// Runs until the program stops; then what is left is tried once more, for `grace`.
    ///
    /// # Errors
    /// The spool has to be opened again.
    pub async fn run(mut self, grace: Duration) -> Result<(), SpoolError> {
        let mut state = Sending {
            request: REQUEST,
            turn: 0,
            failures: 0,
            last: None,
            kept: Instant::now(),
            renewed: None,
            round_trip_ns: 0,
            reported: None,
        };
        loop {
            let is_stopping = *self.stopping.borrow();
            if is_stopping {
                break;
            }
            self.renew_if_due(&mut state).await;
            let pause = self.step(&mut state, false).await?;
            let mut stopping = self.stopping.clone();
            let news = self.news.clone();
            let is_idle = pause.is_none();
            let waiting = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => {
                        let quiet = tokio::time::timeout(Duration::from_secs(1), news.notified()).await;
                        if quiet.is_ok() && is_idle {
                            tokio::time::sleep(LINGER).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = waiting => {}
                _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
            }
        }
        // What the inputs gave last; what does not go now waits for the next start.
        let ends = Instant::now() + grace;
        while Instant::now() < ends {
            match tokio::time::timeout(grace, self.step(&mut state, true)).await {
                Ok(Ok(Some(pause))) if pause.is_zero() => {}
                _ => break,
            }
        }
        self.with(|spool| spool.keep_state()).await
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let spool = self.spool.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut spool)
        });
        worked.await.unwrap_or(Err(SpoolError::Poisoned))
    }

    /// One exchange, if there is a reason for it. How long to wait then; `None` = for news.
    async fn step(&mut self, state: &mut Sending, is_last: bool) -> Result<Option<Duration>, SpoolError> {
        let Some(ready) = self.next(state).await? else { return Ok(None) };
        let has_records = ready.count > 0;
        let outcome = self.exchange(state, ready).await?;
        Ok(match outcome {
            Outcome::Done(bytes) => {
                (state.failures, state.last) = (0, Some(Instant::now()));
                let rate = self.config.file.bytes_per_second_max;
                let pause = (bytes as u64).saturating_mul(1000).checked_div(rate).unwrap_or(0);
                // After a greeting there is nothing to send; at the end what comes next is looked at, too.
                (has_records || is_last).then(|| Duration::from_millis(pause))
            }
            Outcome::Wait(pause) => Some(pause.min(RETRY_AFTER_MAX)),
            Outcome::Failed(why) => {
                state.failures = state.failures.saturating_add(1);
                if state.failures == 1 {
                    tracing::warn!(why, "the city is not reached; records wait in the spool");
                }
                self.said(|status, now| status.failed(why, now));
                Some(pause_after(state.failures))
            }
        })
    }

    /// The next frames, or a greeting where the city has not heard of us for long or has to be told of gaps or losses.
    async fn next(&self, state: &mut Sending) -> Result<Option<Ready>, SpoolError> {
        let now = self.clock.now();
        let (bytes_max, records_max) = state.request;
        let is_low_turn = state.turn % 4 == 3;
        let is_quiet = state.last.is_none_or(|last| QUIET_MAX <= last.elapsed());
        let is_kept_due = KEEP_INTERVAL <= state.kept.elapsed();
        let reported = state.reported;
        state.turn = state.turn.wrapping_add(1);
        if is_kept_due {
            state.kept = Instant::now();
        }
        self.with(move |spool| {
            if is_kept_due {
                spool.keep_state()?;
            }
            let mut lanes: Vec<u32> = (1..=LANES as u32).collect();
            if is_low_turn {
                lanes.reverse();
            }
            for lane in &lanes {
                let ready = spool.read(*lane, bytes_max, records_max, now)?;
                if ready.count > 0 {
                    return Ok(Some(ready));
                }
            }
            let told = spool.gaps().first().map(|gap| gap.lane);
            let is_greeted = is_quiet || spool.losses().is_news(reported);
            match told.or_else(|| is_greeted.then_some(1)) {
                Some(lane) => Ok(Some(spool.read(lane, bytes_max, records_max, now)?)),
                None => Ok(None),
            }
        })
        .await
    }

    async fn exchange(&mut self, state: &mut Sending, ready: Ready) -> Result<Outcome, SpoolError> {
        let (config, dropped) = (self.config.clone(), self.status().dropped);
        let name = self.held.as_ref().map_or_else(|| config.name.clone(), |held| held.name.clone());
        let (lane, round_trip_ns, sent_at) = (ready.lane, state.round_trip_ns, self.clock.now());
        let (head, ready) = self
            .with(move |spool| {
                let losses = spool.report(rand::random())?;
                let head = Head {
                    version: VERSION,
                    forwarder: name,
                    program: env!("CARGO_PKG_VERSION").to_owned(),
                    epoch: spool.epoch().to_owned(),
                    lane,
                    begins_at: spool.begins_at(lane),
                    first: ready.first,
                    count: ready.count,
                    ends: ready.ends.clone(),
                    gaps: spool.gaps().to_vec(),
                    sent_at_ns: sent_at.0,
                    round_trip_ns,
                    depth: spool.depth(),
                    dropped,
                    losses,
                };
                Ok((head, ready))
            })
            .await?;
        let body = serde_json::to_vec(&head)
            .ok()
            .and_then(|json| wire::pack(&wire::encode_request(&json, &ready.blocks)).ok());
        let Some(body) = body else { return Ok(Outcome::Failed("the request could not be packed".to_owned())) };
        let bytes = body.len();
        let mut headers = vec![(header::CONTENT_TYPE, "application/vnd.nhatle.forward".to_owned())];
        headers.extend(self.token.iter().map(|token| (header::AUTHORIZATION, format!("Bearer {token}"))));
        let began = Instant::now();
        let answer = self.client.post(PATH, &headers, body).await;
        state.round_trip_ns = i64::try_from(began.elapsed().as_nanos()).unwrap_or(0);
        let now = self.clock.now();
        match answer {
            Ok(answer) => self.answered(state, &head, ready, answer, bytes).await,
            Err(error) => {
                let has_expired = self.held.as_ref().is_some_and(|held| held.not_after < now);
                let why = said(&error);
                Ok(Outcome::Failed(match advice(&why, has_expired) {
                    Some(advice) => format!("{why}; {advice}"),
                    None => why,
                }))
            }
        }
    }

    async fn answered(
        &mut self,
        state: &mut Sending,
        head: &Head,
        ready: Ready,
        answer: Answer,
        bytes: usize,
    ) -> Result<Outcome, SpoolError> {
        let now = self.clock.now();
        let reply = || serde_json::from_slice::<Reply>(&answer.body).ok();
        match answer.status {
            200 | 409 => {
                let Some(reply) = reply() else {
                    return Ok(Outcome::Failed("the answer is not the city's".to_owned()));
                };
                let new_epoch = new_epoch();
                let (told, lane, count) = (head.gaps.clone(), ready.lane, ready.count);
                // Sent once, it is no reason to come again: a city of before never says that it holds it.
                state.reported = head.losses.as_ref().map(|report| report.id).or(state.reported);
                let is_fork = answer.status == 409;
                let acknowledged = self
                    .with(move |spool| {
                        if is_fork {
                            spool.fork(&new_epoch)?;
                            return Ok(Acknowledged::Forked);
                        }
                        let acknowledged = spool.acknowledge(&ready, reply.durable_to, reply.crc, &new_epoch, now)?;
                        let is_told = |gap: &super::spool::Gap| gap.lane == lane && gap.last <= reply.durable_to;
                        let told: Vec<_> = told.into_iter().filter(is_told).collect();
                        spool.gaps_told(&told)?;
                        if let Some(id) = reply.losses {
                            spool.report_taken(id)?;
                        }
                        Ok(acknowledged)
                    })
                    .await?;
                if acknowledged == Acknowledged::Forked {
                    tracing::warn!(
                        "the city holds other records of these numbers; this spool is an older copy: a new epoch begins"
                    );
                }
                state.request = REQUEST;
                let offset_ns = now.0.saturating_sub(state.round_trip_ns / 2).saturating_sub(reply.now_ns);
                self.said(|status, now| status.reached(count, bytes as u64, offset_ns, now));
                Ok(Outcome::Done(bytes))
            }
            413 => {
                if state.request.1 > 1 {
                    state.request = (state.request.0 / 2, (state.request.1 / 2).max(1));
                    return Ok(Outcome::Done(bytes));
                }
                tracing::error!(first = ready.first, count = ready.count, "too large for the city; given up");
                let last = ready.first + ready.count - 1;
                self.with(move |spool| spool.give_up(ready.lane, last, now)).await?;
                Ok(Outcome::Done(bytes))
            }
            429 | 503 => Ok(Outcome::Wait(answer.retry_after.unwrap_or(PAUSES.0).max(Duration::from_millis(200)))),
            status => {
                let said = String::from_utf8_lossy(&answer.body).chars().take(300).collect::<String>();
                Ok(Outcome::Failed(format!("HTTP {status}: {said}")))
            }
        }
    }

    async fn renew_if_due(&mut self, state: &mut Sending) {
        let is_time = state.renewed.is_none_or(|at: Instant| RENEW_INTERVAL <= at.elapsed());
        let Some(held) = self.held.clone().filter(|held| is_time && held.is_due(self.clock.now())) else { return };
        state.renewed = Some(Instant::now());
        match identity::renew(&mut self.client, &held, &self.config.file.state).await {
            Ok(held) => {
                if let Ok(tls) = held.tls() {
                    self.client.set_tls(tls);
                }
                tracing::info!(until = %held.not_after, "certificate renewed");
                self.said(|status, _| status.identity(&held));
                self.held = Some(held);
            }
            Err(error) => {
                tracing::warn!(%error, until = %held.not_after, "certificate not renewed; tried again in an hour")
            }
        }
    }

    fn status(&self) -> std::sync::MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self, change: impl FnOnce(&mut Status, nhatle_event::Timestamp)) {
        change(&mut self.status(), self.clock.now());
    }
}

/// What goes on from exchange to exchange.
struct Sending {
    request: (usize, u64),
    turn: u32,
    failures: u32,
    last: Option<Instant>,
    kept: Instant,
    renewed: Option<Instant>,
    round_trip_ns: i64,
    /// The last report of losses that was answered.
    reported: Option<u64>,
}

/// Doubles with each failure, and scatters by half, so that wards do not come back all at once.
fn pause_after(failures: u32) -> Duration {
    let whole = PAUSES.0.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(PAUSES.1);
    whole.mul_f64(rand::random_range(0.5..1.0))
}

/// A name for an epoch that no other one has.
pub fn new_epoch() -> String {
    format!("{:016x}", rand::random::<u64>())
}
