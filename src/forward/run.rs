//! `nhatle forward`: inputs into the spool, the spool to the city, until SIGTERM.
//!
//! In: a checked configuration. Out: a running forwarder; `ready syslog_udp=… syslog_tcp=…` on standard output once it
//! takes records. One thread for each lane appends and syncs, and answers its inputs: a full lane holds up nobody else.
//! Failure: an address that is taken, a state folder another forwarder has, a spool that has to be opened again (the
//! service manager starts the program anew, which does that).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use nhatle_collector::Sink;
use nhatle_collector::frame::Origin;
use nhatle_collector::listen::datagram::{self, DatagramInput};
use nhatle_collector::listen::queue::{Intake, channel};
use nhatle_collector::listen::stream::{self, Limits, StreamInput};
use nhatle_collector::listen::{Batch, Kept, Receipt, Refusal, SharedCounts};
use nhatle_event::{Clock, Record, SystemClock, Text};
use nhatle_storage::{Disk, OsDisk};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::client::Client;
use super::config::{Config, Priority};
use super::identity::{self, Held};
use super::sender::{Sender, SharedSpool, new_epoch};
use super::spool::{LANES, Spool, SpoolError};
use super::status::{self, Status};
use crate::command::output;
use crate::command::serve::StopSignals;
use crate::followed;

/// Held by the running forwarder.
const LOCK: &str = "LOCK";
/// How many bytes wait before each lane.
const QUEUED_BYTES: usize = 8 << 20;
/// So much may unfinished records of all its TCP connections hold.
const UNFINISHED_BYTES: usize = 32 << 20;
/// Batches are synced together up to so many records.
const RECORDS_TOGETHER_MAX: usize = 4_096;
/// How long a full lane waits before it tries again.
const FULL_PAUSE: Duration = Duration::from_millis(500);
/// How long listening inputs get to hand on what has arrived.
const READ_OUT_MAX: Duration = Duration::from_secs(3);
/// How long the last records get to go at the end.
const GRACE: Duration = Duration::from_secs(3);
/// How often the status is written, and the health event made.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);
const HEALTH_EVERY: u32 = 12;
/// How long a forwarder waits before it asks again to be enrolled.
const ENROLL_PAUSE: Duration = Duration::from_secs(10);

/// Runs until told to stop.
///
/// # Errors
/// See the module.
pub fn run(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let signals = StopSignals::new(&runtime)?;
    let state = &config.file.state;
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(state).with_context(|| format!("make folder {}", state.display()))?);
    let lock = disk.lock(LOCK).with_context(|| format!("lock {}", state.display()))?;
    let _lock = lock.with_context(|| format!("{} is in use by another forwarder", state.display()))?;
    let spool = Spool::open(disk.clone(), config.file.spool_bytes_max, &new_epoch()).context("open spool")?;
    let forwarder = Forwarder::start(Arc::new(config), disk, spool, &runtime)?;
    output::line(&forwarder.ready_line())?;
    forwarder.run(signals, &runtime)
}

struct Forwarder {
    config: Arc<Config>,
    disk: Arc<dyn Disk>,
    spool: SharedSpool,
    news: Arc<Notify>,
    sinks: Vec<Sink>,
    lanes: Vec<std::thread::JoinHandle<()>>,
    /// Those that listen end when told to; those that follow a file or the journal have to be ended.
    listening: Vec<JoinHandle<()>>,
    following: Vec<JoinHandle<()>>,
    stop_inputs: watch::Sender<bool>,
    counts: Vec<SharedCounts>,
    addresses: Vec<(&'static str, SocketAddr)>,
    status: Arc<Mutex<Status>>,
    is_broken: Arc<AtomicBool>,
    broken: Arc<Notify>,
}

impl Forwarder {
    fn start(config: Arc<Config>, disk: Arc<dyn Disk>, spool: Spool, runtime: &Runtime) -> anyhow::Result<Forwarder> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let status = Status { name: config.name.clone(), server: config.file.server.clone(), ..Status::default() };
        let mut forwarder = Forwarder {
            config: config.clone(),
            disk,
            spool: Arc::new(Mutex::new(spool)),
            news: Arc::default(),
            sinks: Vec::new(),
            lanes: Vec::new(),
            listening: Vec::new(),
            following: Vec::new(),
            stop_inputs: watch::Sender::new(false),
            counts: Vec::new(),
            addresses: Vec::new(),
            status: Arc::new(Mutex::new(status)),
            is_broken: Arc::default(),
            broken: Arc::default(),
        };
        for lane in 1..=LANES as u32 {
            let (sink, batches) = channel(QUEUED_BYTES);
            sink.frames().set_bytes_max(UNFINISHED_BYTES);
            forwarder.sinks.push(sink);
            let worker = LaneWorker {
                lane,
                spool: forwarder.spool.clone(),
                news: forwarder.news.clone(),
                status: forwarder.status.clone(),
                clock: clock.clone(),
                is_broken: forwarder.is_broken.clone(),
                broken: forwarder.broken.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("lane-{lane}"));
            forwarder.lanes.push(thread.spawn(move || worker.run(batches))?);
        }
        let places = forwarder.spool.clone();
        let kept: Kept = Arc::new(move |key| places.lock().unwrap_or_else(PoisonError::into_inner).place(key));
        let record_bytes_max = config.file.record_bytes_max;
        let sink = |lane: u32| forwarder.sinks[lane as usize - 1].clone();
        let syslog = sink(config.file.syslog_priority.lane());
        if let Some(address) = config.syslog_udp {
            let (origin, protocol) = (Origin::new("syslog-udp"), datagram::Protocol::Syslog);
            let bytes_max = watch::channel(record_bytes_max).1;
            let input = runtime.block_on(DatagramInput::bind(address, 1, protocol, origin, bytes_max))?;
            forwarder.addresses.push(("syslog_udp", input.address()?));
            forwarder.counts.push(input.counts());
            let (sink, clock, stop) = (syslog.clone(), clock.clone(), forwarder.stop_inputs.subscribe());
            forwarder.listening.push(runtime.spawn(async move { drop(input.run(sink, clock, stop).await) }));
        }
        if let Some(address) = config.syslog_tcp {
            let limits = Limits { connections_max: 1024, record_bytes_max, ..Limits::default() };
            let (origin, protocol) = (Origin::new("syslog-tcp"), stream::Protocol::Syslog);
            let input = runtime.block_on(StreamInput::bind(address, protocol, origin, watch::channel(limits).1))?;
            let input = input.ending_by(forwarder.stop_inputs.subscribe());
            forwarder.addresses.push(("syslog_tcp", input.address()?));
            forwarder.counts.push(input.counts());
            let (sink, clock, stop) = (syslog, clock.clone(), forwarder.stop_inputs.subscribe());
            forwarder.listening.push(runtime.spawn(async move { drop(input.run(sink, clock, stop).await) }));
        }
        for (source, lane) in &config.followed {
            let sink = forwarder.sinks[*lane as usize - 1].clone();
            let task = followed::start(source, record_bytes_max, &sink, &clock, &kept, runtime.handle())?;
            forwarder.following.push(task);
        }
        Ok(forwarder)
    }

    fn ready_line(&self) -> String {
        let listening = self.addresses.iter().map(|(name, address)| format!(" {name}={address}"));
        format!("ready{}", listening.collect::<String>())
    }

    fn run(self, signals: StopSignals, runtime: &Runtime) -> anyhow::Result<()> {
        let (stop, stopping) = watch::channel(false);
        let health = runtime.spawn(report(
            self.spool.clone(),
            self.status.clone(),
            self.counts.clone(),
            self.disk.clone(),
            self.sinks.clone(),
            self.news.clone(),
        ));
        let sending = runtime.spawn(send(
            self.config.clone(),
            self.spool.clone(),
            self.news.clone(),
            self.status.clone(),
            stopping,
        ));
        let mut sending = sending;
        let early = runtime.block_on(async {
            tokio::select! {
                () = signals.wait() => None,
                () = self.broken.notified() => None,
                ended = &mut sending => Some(ended),
            }
        });
        tracing::info!("stopping");
        // Inputs first, then the lanes run empty, then what can still go goes.
        health.abort();
        self.stop_inputs.send_replace(true);
        runtime.block_on(async {
            drop(health.await);
            let due = tokio::time::Instant::now() + READ_OUT_MAX;
            for mut input in self.listening {
                if tokio::time::timeout_at(due, &mut input).await.is_err() {
                    input.abort();
                    drop(input.await);
                }
            }
            for input in self.following {
                input.abort();
                drop(input.await);
            }
        });
        drop(self.sinks);
        for lane in self.lanes {
            if lane.join().is_err() {
                tracing::error!("a lane panicked");
            }
        }
        stop.send_replace(true);
        let ended = early.unwrap_or_else(|| runtime.block_on(sending));
        write_status(&self.spool, &self.status, &self.counts, &*self.disk);
        if self.is_broken.load(Ordering::Relaxed) {
            anyhow::bail!("the spool has to be opened again: the disk did not keep what it was given; start anew");
        }
        ended.context("sending panicked")?
    }
}

/// Enrolls where that was not done yet, then sends.
async fn send(
    config: Arc<Config>,
    spool: SharedSpool,
    news: Arc<Notify>,
    status: Arc<Mutex<Status>>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let held = match identity::load(&config.file.state)? {
        None if config.token.is_none() => {
            let Some(held) = enroll(&config, &status, &mut stopping).await? else { return Ok(()) };
            Some(held)
        }
        held => held.filter(|_| config.token.is_none()),
    };
    if let Some(held) = &held {
        status.lock().unwrap_or_else(PoisonError::into_inner).identity(held);
    }
    let tls = held.as_ref().map(Held::tls).transpose()?;
    let client = Client::new(config.city.clone(), tls);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let token = config.token.clone();
    let sender = Sender { spool, news, client, held, token, config, status: status.clone(), clock, stopping };
    Ok(sender.run(GRACE).await?)
}

/// Asks the city for a certificate until it gives one or says no for good. `None` when the program stops before.
async fn enroll(
    config: &Config,
    status: &Mutex<Status>,
    stopping: &mut watch::Receiver<bool>,
) -> anyhow::Result<Option<Held>> {
    let code = config.code.context("no certificate yet, and no code: ask the city for one and set `code`")?;
    loop {
        match identity::enroll(&config.city, &code, &config.file.code, &config.file.state).await {
            Ok(held) => {
                tracing::info!(name = held.name, unit = held.unit, until = %held.not_after, "enrolled");
                return Ok(Some(held));
            }
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "not enrolled yet; tried again");
                status.lock().unwrap_or_else(PoisonError::into_inner).trouble = Some(error.to_string());
            }
            Err(error) => return Err(anyhow::Error::new(error).context("enroll")),
        }
        tokio::select! {
            () = tokio::time::sleep(ENROLL_PAUSE) => {}
            _ = stopping.wait_for(|is_stopping| *is_stopping) => return Ok(None),
        }
    }
}

/// Writes the status now and then, and sends a health event each minute.
async fn report(
    spool: SharedSpool,
    status: Arc<Mutex<Status>>,
    counts: Vec<SharedCounts>,
    disk: Arc<dyn Disk>,
    sinks: Vec<Sink>,
    news: Arc<Notify>,
) {
    for number in 0u32.. {
        let (losing, queues, told) = (spool.clone(), sinks.clone(), news.clone());
        // Its end is the program's.
        drop(tokio::task::spawn_blocking(move || note_losses(&losing, &queues, &told)).await);
        let (spool, written, counts, disk) = (spool.clone(), status.clone(), counts.clone(), disk.clone());
        // Its end is the program's.
        drop(tokio::task::spawn_blocking(move || write_status(&spool, &written, &counts, &*disk)).await);
        if number % HEALTH_EVERY == 1 {
            let now = SystemClock.now();
            let text = status.lock().unwrap_or_else(PoisonError::into_inner).event(now);
            let mut record = Record::new(text.into_bytes(), status::INPUT, now);
            record.profile = Some(Text::const_new("json"));
            let (_taken, _cut, dropped) = sinks[Priority::High.lane() as usize - 1].offer(vec![record]);
            if dropped > 0 {
                tracing::debug!("no room for the health event");
            }
        }
        tokio::time::sleep(STATUS_INTERVAL).await;
    }
}

/// Notes for the city what the inputs dropped.
fn note_losses(spool: &SharedSpool, sinks: &[Sink], news: &Notify) {
    for sink in sinks {
        let (shed, unreceived) = (sink.take_shed(), sink.take_unreceived());
        if !shed.is_empty() || !unreceived.is_empty() {
            let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
            spool.losses().add(shed, unreceived, SystemClock.now());
            news.notify_one();
        }
    }
}

fn write_status(spool: &SharedSpool, status: &Mutex<Status>, counts: &[SharedCounts], disk: &dyn Disk) {
    let (depth, shed) = {
        let spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
        (spool.depth(), spool.shed)
    };
    let json = {
        let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
        (status.depth, status.shed) = (depth, shed);
        let lost = |counts: &SharedCounts| {
            let counts = counts.read();
            counts.dropped + counts.kernel_dropped
        };
        status.dropped = counts.iter().map(lost).sum();
        status.written_ns = SystemClock.now().0;
        serde_json::to_vec(&*status).unwrap_or_default()
    };
    if let Err(error) = disk.replace(status::FILE, &json) {
        tracing::debug!(%error, "status not written");
    }
}

/// One lane: what its inputs hand on goes into the spool, synced together.
struct LaneWorker {
    lane: u32,
    spool: SharedSpool,
    news: Arc<Notify>,
    status: Arc<Mutex<Status>>,
    clock: Arc<dyn Clock>,
    is_broken: Arc<AtomicBool>,
    broken: Arc<Notify>,
}

impl LaneWorker {
    fn run(self, batches: Intake) {
        while let Some(first) = batches.blocking_recv() {
            let mut together = vec![first];
            let mut records = together[0].records.len();
            while records < RECORDS_TOGETHER_MAX
                && let Some(next) = batches.try_recv()
            {
                records += next.records.len();
                together.push(next);
            }
            if !self.take(together) {
                self.is_broken.store(true, Ordering::Relaxed);
                self.broken.notify_one();
                return;
            }
        }
        // What inputs said last, when they ended.
        self.spool().losses().add(batches.take_shed(), batches.take_unreceived(), self.clock.now());
    }

    /// Appends and syncs batches, and answers those who wait. False where the spool has to be opened again.
    fn take(&self, batches: Vec<Batch>) -> bool {
        let mut answers = Vec::new();
        for mut batch in batches {
            loop {
                let now = self.clock.now();
                let appended = self.spool().append(self.lane, &batch.records, &batch.keep, now);
                let error = match appended {
                    Ok(()) => {
                        let receipt = Receipt { accepted: batch.records.len() as u64, ..Receipt::default() };
                        answers.extend(batch.done.take().map(|done| (done, receipt)));
                        break;
                    }
                    Err(SpoolError::Poisoned) => return false,
                    Err(error) => error,
                };
                if !matches!(error, SpoolError::Full) {
                    tracing::warn!(error = super::client::said(&error), "records not spooled; tried again");
                }
                if let Some(done) = batch.done.take() {
                    // Who can wait keeps them: a file is read later.
                    drop(done.send(Err(Refusal::Busy { retry_after_s: 1 })));
                    break;
                }
                // What was taken before may not wait for this.
                if !self.sync(&mut answers) {
                    return false;
                }
                std::thread::sleep(FULL_PAUSE);
            }
        }
        self.sync(&mut answers)
    }

    fn sync(&self, answers: &mut Vec<(tokio::sync::oneshot::Sender<Result<Receipt, Refusal>>, Receipt)>) -> bool {
        if let Err(error) = self.spool().sync() {
            tracing::error!(error = super::client::said(&error), "spool not synced");
            return false;
        }
        for (done, receipt) in answers.drain(..) {
            // Who is gone meanwhile hears of it by the place.
            drop(done.send(Ok(receipt)));
        }
        self.status.lock().unwrap_or_else(PoisonError::into_inner).taken_ns = self.clock.now().0;
        self.news.notify_one();
        true
    }

    fn spool(&self) -> std::sync::MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
