//! `nhatle serve`: everything, until SIGTERM or Ctrl-C; then it drains and exits with 0.
//!
//! Standard output gets `ready http=… syslog_udp=… syslog_tcp=…` once events can be taken; on a first start
//! the one-time administrator link comes before it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use anyhow::Context;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use nhatle_collector::listen::http::{self, Push, PushIdentity, PushLimits};
use nhatle_collector::listen::queue::QUEUED_BYTES_MAX;
use nhatle_collector::listen::serve::serve;
use nhatle_collector::listen::{self, Sink};
use nhatle_collector::{Settings, UnitRule};
use nhatle_engine::account::{Role as EngineRole, SetupChange};
use nhatle_engine::fit::Seen;
use nhatle_engine::register::{AnyChange, RegisterState};
use nhatle_event::json::hex;
use nhatle_event::{Clock, SystemClock, Text};
use nhatle_storage::sql::Sql;
use nhatle_storage::{Disk, OsDisk, Store};
use nhatle_ui::session::{random_token, token_sha256};
use nhatle_ui::{Desk, Role, UiConfig};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::{End, output};
use crate::alerts::AlertBook;
use crate::canary::{self, Book, Kinds, book, kinds};
use crate::cli::ServeArgs;
use crate::config::{Config, ConfigFile};
use crate::desk::LiveDesk;
use crate::desk::enrollments::Gate;
use crate::enroll;
use crate::erasure::key::SubjectKeys;
use crate::exceptions::{self, Exceptions};
use crate::followed;
use crate::forward::receive::{self, Forwarders, Receiver};
use crate::handover;
use crate::inputs::Inputs;
use crate::live::Live;
use crate::live_rules::{self, LiveRules};
use crate::overload::{Overload, Watch};
use crate::pipeline::{Pipeline, Shared};
use crate::pki::{self, Identity, Trust};
use crate::places::PlaceBook;
use crate::postgres;
use crate::prove;
use crate::reference::{self, LiveTables, lookback};
use crate::registry::Registry;
use crate::reload::Reloader;
use crate::sentinel::{self, Feed, balance};
use crate::sources::SourceBook;
use crate::sources::owners::Owners;
use crate::telemetry::Counters;
use crate::tend::scrub::{self, Scrub};
use crate::units::{self, Units};

/// How long the administrator's link works: a day.
const SETUP_LINK_NS: i64 = 24 * 3600 * 1_000_000_000;
/// How often the server's certificate is looked at.
const RENEW_INTERVAL: std::time::Duration = std::time::Duration::from_secs(3600);
/// How often changes of other processes are looked for.
const CATCH_UP_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, the store cannot be opened, an address is taken.
pub fn run(args: &ServeArgs) -> anyhow::Result<End> {
    let file = ConfigFile::load(args)?;
    let config = Config::check(file.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let signals = StopSignals::new(&runtime)?;
    let shared = Arc::new(open(&config, runtime.handle().clone())?);
    let mut server = Server::start(&config, shared, &runtime)?;
    server.may_reload(args, &file);
    if let Some(link) = server.setup_link(&config)? {
        output::line(&format!("administrator link (once, for a day): {link}"))?;
    }
    output::line(&server.ready_line())?;
    runtime.block_on(signals.wait());
    info!("stopping");
    server.stop(&runtime);
    Ok(End::Done)
}

/// Opens the store and the register, loads rules, reads the books.
///
/// # Errors
/// The folder cannot be made or is open elsewhere; a file is damaged.
pub fn open(config: &Config, runtime: Handle) -> anyhow::Result<Shared> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let disk: Arc<dyn Disk> =
        Arc::new(OsDisk::new(&config.data).with_context(|| format!("make folder {}", config.data.display()))?);
    let store = Store::open(disk.clone(), config.storage.clone(), clock.clone()).context("open store")?;
    store.sign_with(pki::heads::open_or_make(&config.data).context("open the key of the proof")?);
    if let Some(key) = store.proof_state().key {
        pki::heads::publish(&config.data, &key).context("write the public key of the proof")?;
    }
    let registry = Registry::open(&config.data, runtime).context("open register")?;
    let (mut live, rules) = registry.read(|state| {
        let loaded = (state.rules_version, clock.now());
        LiveRules::open(&config.rules, &config.data, &state.rules, &state.packs, loaded)
    });
    live.limits = config.correlation;
    let tables = registry.read(|state| {
        let loaded = (state.references_version, clock.now());
        LiveTables::open(&config.data, &config.reference, &state.references, loaded)
    });
    let marks = store.marks();
    let places = PlaceBook::from_marks(|name| marks.get(name).cloned());
    let book = SourceBook::open(&store).context("read the receipt book")?;
    let units = Units::new(config.units.clone());
    units::keep(&*disk, &units);
    let shared = Shared {
        alerts: RwLock::new(AlertBook::of(&store).context("read stored alerts")?),
        owners: Owners::of(&book),
        sources: Mutex::new(book),
        noted: Mutex::default(),
        forwarders: Arc::new(Forwarders::new(places.below(receive::KEY))),
        places: Mutex::new(places),
        feed: Feed::new(marks.get(balance::MARK).map(Vec::as_slice)),
        store: Arc::new(store),
        registry,
        rules: RwLock::new(rules),
        live,
        exceptions: Exceptions::new(marks.get(exceptions::MARK).map(Vec::as_slice)),
        canaries: Book::new(marks.get(book::MARK).map(Vec::as_slice)),
        kinds: Kinds::new(marks.get(kinds::MARK).map(Vec::as_slice)),
        seen: Mutex::new(Seen::default()),
        canary_schedule: Live::new(config.canary.clone()),
        tables,
        looking_back: lookback::Running::default(),
        importance: Live::new(config.importance.clone()),
        source_settings: config.sources.clone(),
        grouping: Live::new(config.grouping),
        scrub: Scrub::open(&*disk),
        subject_keys: SubjectKeys::new(config.storage.subject_keys),
        retention: Live::new(config.retention.clone()),
        retention_watch: crate::retention::job::Watch::default(),
        settings: Live::new(settings_of(config)),
        units: Live::new(units),
        overload: Overload::new(&config.data, config.storage.reserve_bytes, clock.now()),
        backlog_bytes_max: config.storage.backlog_bytes_max,
        reloader: OnceLock::new(),
        disk,
        counters: Counters::default(),
        inputs: Mutex::default(),
        sink: Mutex::new(None),
        changes: watch::Sender::new(0),
        clock,
        trouble: Mutex::new(None),
    };
    shared.renew_exceptions();
    Ok(shared)
}

/// What conversion depends on.
pub fn settings_of(config: &Config) -> Settings {
    Settings {
        default_offset_s: config.collector.default_offset_minutes * 60,
        sources: config.sources.clone(),
        time: config.clocks.limits(),
        units: unit_rules(config),
        ..Settings::default()
    }
}

/// The unit table the collector enriches with.
pub fn unit_rules(config: &Config) -> Vec<UnitRule> {
    let mut rules = Vec::new();
    for unit in &config.units {
        let level = Some(unit.system_level).filter(|level| *level > 0);
        rules.extend(unit.networks.iter().chain(&unit.hosts).map(|sender| UnitRule::new(sender, &unit.code, level)));
    }
    rules
}

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
    pipeline: Pipeline,
    /// `None` once the reloader has them.
    inputs: Option<Inputs>,
    push_limits: watch::Sender<PushLimits>,
    tasks: Vec<JoinHandle<()>>,
    rules: std::thread::JoinHandle<()>,
    reference: Vec<std::thread::JoinHandle<()>>,
    http: Vec<JoinHandle<()>>,
    overload: (Arc<AtomicBool>, std::thread::JoinHandle<()>),
    canary: Option<(Arc<AtomicBool>, std::thread::JoinHandle<()>)>,
    sentinel: sentinel::run::Running,
    prove: prove::run::Running,
    sink: Sink,
    stop_http: watch::Sender<bool>,
    handover: Option<handover::server::Running>,
    /// Where pages and the API listen.
    pub http_address: SocketAddr,
    addresses: Vec<(&'static str, SocketAddr)>,
}

impl Server {
    /// Binds every address, starts the pipeline and the inputs.
    ///
    /// # Errors
    /// An address is taken or not ours.
    pub fn start(config: &Config, shared: Arc<Shared>, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Server> {
        let (sink, intake) = listen::channel(QUEUED_BYTES_MAX);
        let clock = shared.clock.clone();
        let listener = runtime
            .block_on(TcpListener::bind(config.http))
            .with_context(|| format!("listen on {} for pages and API", config.http))?;
        let http_address = listener.local_addr()?;
        let elastic = config.elastic.map(|address| {
            let bound = runtime.block_on(TcpListener::bind(address));
            bound.with_context(|| format!("listen on {address} for Elasticsearch clients"))
        });
        let elastic = elastic.transpose()?;
        let https = config.https.map(|address| {
            let bound = runtime.block_on(TcpListener::bind(address));
            bound.with_context(|| format!("listen on {address} for pages and API over TLS"))
        });
        let https = https.transpose()?;
        let trust = Trust::open(config, &clock).context("open certificates")?;
        trust.revoke(shared.registry.read(RegisterState::revoked_certificates));
        *shared.sink() = Some(sink.clone());
        // Looks before anything is taken.
        let overload = watch_overload(&shared, &sink)?;
        let inputs = Inputs::start(config, &trust, &sink, &clock, runtime.handle())?;
        let mut addresses = inputs.addresses();
        let mut tasks = followed::start_all(&config.collector, &shared, &sink, runtime.handle())?;
        let pipeline = Pipeline::start(&shared, settings_of(config), intake)?;
        let places = shared.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner).damaged().to_vec();
        let damaged = [shared.book().damaged(), &places].concat();
        scrub::take_up(&shared, &damaged);
        let gate = Gate {
            trust: trust.clone(),
            http: http_address,
            https: https.as_ref().map(TcpListener::local_addr).transpose()?,
        };
        let desk = LiveDesk::new(shared.clone(), config.collector.default_offset_minutes * 60).behind(gate);
        let desk = desk.asking(Arc::new(Sql::new(config.sql.clone()).context("begin to take queries")?));
        let desk = desk.trusting(config.proof.authorities.clone());
        if let Err(trouble) = desk.take_up() {
            error!(error = format!("{trouble:#}"), "cannot see whether an erasure was interrupted");
        }
        let live_desk = Arc::new(desk);
        let desk: Arc<dyn Desk> = live_desk.clone();
        let (limits, known) = watch::channel(push_limits(config));
        let push = Push::new(sink.clone(), shared.clock.clone(), push_limits(config)).with_limits(known);
        *shared.inputs() = inputs.shown().with_pushed(push.counts());
        let (stop_http, stopping) = watch::channel(false);
        let mut http = Vec::new();
        if let Some((at, task)) = postgres::start(&config.postgres, &live_desk, &trust, runtime, &stopping)? {
            addresses.push(("postgres", at));
            http.push(task);
        }
        if let Some(listener) = elastic {
            addresses.push(("elastic", listener.local_addr()?));
            let app = guarded(push.clone().elastic_router(), &desk);
            http.push(runtime.spawn(serve(listener, Arc::new(trust.plain("elastic")), app, stopping.clone())));
        }
        let enrolling = enroll::router(shared.clone(), trust.clone());
        let taking = prove::receive::router(&shared, &config.proof.take, pki::heads::open(&config.data)?);
        if let Some(listener) = https {
            addresses.push(("https", listener.local_addr()?));
            let app = router(config, &desk, &shared, push.clone(), true).merge(enrolling.clone()).merge(taking.clone());
            http.push(runtime.spawn(serve(listener, Arc::new(trust.https()?), app, stopping.clone())));
        }
        let is_tls = config.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        if !is_tls && !http_address.ip().is_loopback() {
            warn!(server.address = %http_address, "pages listen beyond this machine without TLS: passwords can be read on the way");
        }
        let mut app = router(config, &desk, &shared, push, is_tls).merge(taking);
        if http_address.ip().is_loopback() {
            // A code that does not leave this machine; anywhere else it is said over TLS only.
            app = app.merge(enrolling);
        }
        http.push(runtime.spawn(serve(listener, Arc::new(trust.plain("http")), app, stopping)));
        tasks.push(runtime.spawn(renew(trust.clone())));
        tasks.push(runtime.spawn(catch_up(shared.clone(), trust.clone())));
        let hang_ups = {
            let _inside = runtime.enter();
            signal(SignalKind::hangup())?
        };
        tasks.push(runtime.spawn(ask_on(hang_ups, shared.clone())));
        let followed = shared.clone();
        let rules = std::thread::Builder::new()
            .name("rules".to_owned())
            .spawn(move || live_rules::follow(&followed, CATCH_UP_INTERVAL))?;
        let reference = reference_threads(&shared)?;
        let canary = canary_thread(&shared, &sink)?;
        let sentinel = sentinel::run::start(&shared, config.sentinel.clone())?;
        let prove = prove::run::start(&shared, config.proof.clone(), runtime.handle().clone())?;
        let handover = pipeline.to_append().and_then(|to_append| {
            let (shared, desk, runtime) = (shared.clone(), live_desk.clone(), runtime.handle().clone());
            handover::server::start(&config.data, handover::server::Within { shared, desk, to_append, runtime })
        });
        Ok(Server {
            shared,
            pipeline,
            inputs: Some(inputs),
            push_limits: limits,
            tasks,
            rules,
            reference,
            http,
            overload,
            canary,
            sentinel,
            prove,
            sink,
            stop_http,
            handover,
            http_address,
            addresses,
        })
    }

    /// Lets the configuration be read again while it runs.
    fn may_reload(&mut self, args: &ServeArgs, file: &ConfigFile) {
        let Some(inputs) = self.inputs.take() else { return };
        let shared = Arc::downgrade(&self.shared);
        let reloader = Reloader::new(args.clone(), file, shared, self.push_limits.clone(), inputs);
        if self.shared.reloader.set(reloader).is_err() {
            unreachable!("a server is started once");
        }
    }

    /// The way into the pipeline, for inputs inside this process.
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    fn ready_line(&self) -> String {
        // These two always stand there, listening or not.
        let is_silent = |name: &&str| !self.addresses.iter().any(|(known, _)| known == name);
        let silent = ["syslog_udp", "syslog_tcp"].into_iter().filter(is_silent).map(|name| format!(" {name}=-"));
        let listening = self.addresses.iter().map(|(name, address)| format!(" {name}={address}"));
        format!("ready http={}{}", self.http_address, listening.chain(silent).collect::<String>())
    }

    /// Makes the one-time link of the first administrator, if there is none yet.
    fn setup_link(&self, config: &Config) -> anyhow::Result<Option<String>> {
        let has_admin = self.shared.registry.read(|state| {
            state.accounts.values().any(|account| account.role == EngineRole::Admin && !account.is_disabled)
        });
        if has_admin {
            return Ok(None);
        }
        let token = random_token();
        let now = self.shared.clock.now();
        let change =
            SetupChange::Link { hash: hex(&token_sha256(&token)), expires_ns: now.plus_nanos(SETUP_LINK_NS).0 };
        self.shared.registry.change("nhatle", now, &AnyChange::Setup(change))?;
        let base = config.public_url.clone().unwrap_or_else(|| format!("http://{}", self.http_address));
        Ok(Some(format!("{}/setup/{token}", base.trim_end_matches('/'))))
    }

    /// Stops taking, stores and looks at what was taken, and ends.
    pub fn stop(self, runtime: &tokio::runtime::Runtime) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.shared.live.stop();
        self.shared.tables.stop();
        self.stop_http.send_replace(true);
        let inputs = self.inputs.or_else(|| self.shared.reloader.get()?.take_inputs());
        runtime.block_on(async {
            if let Some(inputs) = inputs {
                inputs.stop().await;
            }
            for task in self.tasks {
                drop(task.await);
            }
            // Live streams do not end by themselves; requests get a moment.
            for http in self.http {
                drop(tokio::time::timeout(std::time::Duration::from_secs(3), http).await);
            }
        });
        if let Some(handover) = self.handover {
            handover.stop(runtime);
        }
        if let Some((is_stopping, thread)) = self.canary {
            is_stopping.store(true, Ordering::Relaxed);
            // It waits for durability at most; the pipeline still runs.
            drop(thread.join());
        }
        let (is_stopping, thread) = self.overload;
        is_stopping.store(true, Ordering::Relaxed);
        if thread.join().is_err() {
            tracing::error!("the thread that watches for overload panicked");
        }
        *self.shared.sink() = None;
        drop(self.sink);
        // A request that outlived its moment still holds a sender; it must not hold up the end.
        let joined = std::thread::spawn(move || self.pipeline.join());
        let patience = std::time::Instant::now();
        while !joined.is_finished() && patience.elapsed().as_secs() < 30 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        self.sentinel.stop();
        self.prove.stop();
        if self.rules.join().is_err() {
            tracing::error!("the thread that loads rules panicked");
        }
        if self.reference.into_iter().any(|thread| thread.join().is_err()) {
            tracing::error!("a thread of reference data panicked");
        }
        self.shared.registry.close();
        info!(events = self.shared.store.stats().last_seq.0, "stopped");
    }
}

/// The thread that watches for overload, after a first look.
fn watch_overload(
    shared: &Arc<Shared>,
    sink: &Sink,
) -> std::io::Result<(Arc<AtomicBool>, std::thread::JoinHandle<()>)> {
    let is_stopping = Arc::new(AtomicBool::new(false));
    let watch = Watch::new(shared, sink.clone());
    let (shared, stopping) = (shared.clone(), is_stopping.clone());
    let work = move || watch.run(&shared, &stopping);
    Ok((is_stopping, std::thread::Builder::new().name("overload".to_owned()).spawn(work)?))
}

/// The threads that keep assets, places and indicators, and look back for new ones.
fn reference_threads(shared: &Arc<Shared>) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
    let (followed, looked) = (shared.clone(), shared.clone());
    let follow = move || reference::live::follow(&followed, CATCH_UP_INTERVAL);
    let look_back = move || lookback::follow(&looked);
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    Ok(vec![thread("reference").spawn(follow)?, thread("look back").spawn(look_back)?])
}

/// The thread that learns what is stored, then sends canaries.
fn canary_thread(
    shared: &Arc<Shared>,
    sink: &Sink,
) -> std::io::Result<Option<(Arc<AtomicBool>, std::thread::JoinHandle<()>)>> {
    let is_stopping = Arc::new(AtomicBool::new(false));
    let (shared, sink, stopping) = (shared.clone(), sink.clone(), is_stopping.clone());
    let work = move || {
        canary::run::learn(&shared, &stopping);
        canary::run::run(&shared, &sink, &stopping);
    };
    let thread = std::thread::Builder::new().name("canary".to_owned()).spawn(work)?;
    Ok(Some((is_stopping, thread)))
}

/// Takes in what `nhatle user add` and others wrote into the register.
async fn catch_up(shared: Arc<Shared>, trust: Arc<Trust>) {
    loop {
        tokio::time::sleep(CATCH_UP_INTERVAL).await;
        let (looked, trust) = (shared.clone(), trust.clone());
        let look = move || {
            let result = looked.registry.catch_up();
            // Whoever revoked it, and here or elsewhere.
            trust.revoke(looked.registry.read(RegisterState::revoked_certificates));
            result
        };
        let result = tokio::task::spawn_blocking(look).await;
        match result {
            Ok(Ok(true)) => shared.tick(),
            Ok(Err(error)) => warn!(%error, "register not read"),
            _ => {}
        }
    }
}

/// Looks after the server's certificate.
async fn renew(trust: Arc<Trust>) {
    loop {
        tokio::time::sleep(RENEW_INTERVAL).await;
        let looked = trust.clone();
        if tokio::task::spawn_blocking(move || looked.renew()).await.is_err() {
            error!("looking after certificates panicked");
        }
    }
}

/// Has the configuration read again and rules loaded anew on each SIGHUP.
async fn ask_on(mut hang_ups: Signal, shared: Arc<Shared>) {
    while hang_ups.recv().await.is_some() {
        shared.live.ask();
        let reloaded = shared.clone();
        let reload = move || reloaded.reloader.get().map(Reloader::reload);
        if let Ok(Some(Err(error))) = tokio::task::spawn_blocking(reload).await {
            warn!(problems = ?error.problems, "configuration not taken over; the one before stays");
        }
    }
}

/// SIGTERM and Ctrl-C, caught from the moment this is made: a signal that comes while the server is still
/// starting stops it as cleanly as a later one.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Begins to catch them.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn new(runtime: &tokio::runtime::Runtime) -> std::io::Result<StopSignals> {
        let _inside = runtime.enter();
        Ok(StopSignals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    pub async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The limits of pushes a configuration asks for.
pub fn push_limits(config: &Config) -> PushLimits {
    PushLimits {
        unpacked_bytes_max: config.collector.push_bytes_max,
        body_bytes_max: config.collector.push_bytes_max,
        record_bytes_max: config.collector.record_bytes_max,
        ..PushLimits::default()
    }
}

/// Push routes behind their tokens.
fn guarded(push: axum::Router, desk: &Arc<dyn Desk>) -> axum::Router {
    push.layer(middleware::from_fn_with_state(desk.clone(), may_push))
}

/// Pages, API and the push of events, on one address.
fn router(config: &Config, desk: &Arc<dyn Desk>, shared: &Arc<Shared>, push: Push, is_tls: bool) -> axum::Router {
    let pages = nhatle_ui::router(
        desk.clone(),
        UiConfig {
            is_tls,
            zone_offset_s: config.collector.default_offset_minutes * 60,
            organization: config.organization.clone(),
            clock: shared.clock.clone(),
            ..UiConfig::default()
        },
    );
    let forward = Receiver::new(push.sink(), shared.clone());
    guarded(push.router().merge(forward.router()), desk).merge(pages)
}

/// Lets a request push when its token may, or its certificate says who sends; says whose events they are.
async fn may_push(State(desk): State<Arc<dyn Desk>>, mut request: Request, next: Next) -> Response {
    if http::is_open(request.uri().path()) {
        return next.run(request).await;
    }
    let has_token = request.headers().contains_key(header::AUTHORIZATION);
    if let Some(identity) = request.extensions().get::<Identity>().filter(|_| !has_token) {
        let identity = PushIdentity { unit: identity.unit.clone(), name: identity.name.clone() };
        request.extensions_mut().insert(identity);
        return next.run(request).await;
    }
    match nhatle_ui::auth::viewer_of_push(&desk, request.headers()).await {
        Ok(viewer) if matches!(viewer.role, Role::Ingest | Role::Admin) => {
            let identity =
                PushIdentity { unit: viewer.unit.as_deref().map(Text::from), name: Text::from(viewer.name.as_str()) };
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Ok(_) => http::denied(request.uri().path(), StatusCode::FORBIDDEN),
        Err(refused) => http::denied(request.uri().path(), refused.status()),
    }
}
