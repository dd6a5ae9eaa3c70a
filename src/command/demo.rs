//! `nhatle demo`: a city in a temporary folder, its recorded day replayed fast.
//!
//! Starts the whole system on loopback, makes a person for each role, replays the last 24 hours as our generator
//! recorded them (normal life, eight attacks, their benign twins), goes on with normal life as it happens, and prints
//! where to look. Runs until SIGTERM or Ctrl-C; the temporary folder is removed unless `--keep`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nhatle_collector::listen::{Batch, Sink};
use nhatle_engine::account::{AccountChange, Role};
use nhatle_engine::register::AnyChange;
use nhatle_event::{Clock, Field, Record, SystemClock, Text, Timestamp};
use nhatle_ui::session::hash_password;

use super::{End, output};
use crate::cli::{DemoArgs, ServeArgs};
use crate::command::serve::{self, Server};
use crate::config::Config;
use crate::demo;
use crate::pipeline::Shared;
use crate::sentinel;
use crate::sources::owners::By;
use crate::units::Unit;

/// The seed of the recorded day: the same day for everybody.
const SEED: u64 = 20_210_715;
/// How long the replay takes.
const REPLAY: Duration = Duration::from_secs(20);
/// How often it is looked whether the next record's time has come, and whether the server ends.
const PAUSE: Duration = Duration::from_millis(100);
/// How many records are sent together.
const BATCH_RECORDS: usize = 256;
/// The password of every demo person. It opens a store of invented records on loopback, nothing else.
const PASSWORD: &str = "nhat-le-dong-hoi";

/// The people: name, role, unit, and what they are.
const PEOPLE: &[(&str, Role, Option<&str>, &str)] = &[
    ("quantri", Role::Admin, None, "quản trị · administrator"),
    ("lan", Role::Analyst, None, "trực giám sát lớp 2 · analyst, layer 2"),
    ("minh", Role::Ward, Some("18853"), "đầu mối phường Hải Thành · focal point of a ward"),
    ("thu", Role::Auditor, None, "kiểm tra độc lập · auditor, layer 3"),
];

/// Runs the command.
///
/// # Errors
/// The address is taken, or the folder cannot be made.
pub fn run(args: &DemoArgs) -> anyhow::Result<End> {
    let temporary = match &args.data {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("nhatle-demo-").tempdir()?),
    };
    let data =
        args.data.clone().or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned())).unwrap_or_default();
    let serve_args = ServeArgs { data: Some(data.clone()), http: Some(args.http), ..ServeArgs::default() };
    let mut config = Config::load(&serve_args)?;
    config.syslog_tcp = None;
    config.syslog_udp = None;
    config.units = units();
    "UBND thành phố Đồng Hới".clone_into(&mut config.organization);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let signals = serve::StopSignals::new(&runtime)?;
    let shared = Arc::new(serve::open(&config, runtime.handle().clone())?);
    add_people(&shared)?;
    let is_new = shared.store.stats().last_seq.0 == 0;
    let began = SystemClock.now();
    if let Some(calendar) = config.sentinel.clone().filter(|_| is_new) {
        // What is replayed is the last of the weeks that are known.
        sentinel::run::keep(&*shared.disk, &demo::learned(SEED, began, calendar, |record| name_of(&shared, record)));
        shared.feed.know_until(began);
    }
    let server = Server::start(&config, shared.clone(), &runtime)?;
    greet(&server)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let (sink, told) = (server.sink(), is_over.clone());
    let replay = std::thread::spawn(move || {
        if is_new {
            replay(&sink, records(began), &told);
        }
        live(&sink, began, &told);
    });
    runtime.block_on(signals.wait());
    is_over.store(true, Ordering::Relaxed);
    server.stop(&runtime);
    if replay.join().is_err() {
        tracing::error!("the replay panicked");
    }
    if let Some(folder) = temporary.filter(|_| args.keep) {
        output::say(&format!("kept: {}", folder.keep().display()));
    }
    Ok(End::Done)
}

/// The demo's units as the configuration would have them.
pub fn units() -> Vec<Unit> {
    let hosts =
        |code: &str| demo::hosts().iter().filter(|host| host.unit == code).map(|host| host.name.to_owned()).collect();
    demo::units()
        .iter()
        .map(|unit| Unit {
            code: unit.code.to_owned(),
            name: unit.name.to_owned(),
            parent: unit.parent.to_owned(),
            hosts: hosts(unit.code),
            ..Unit::default()
        })
        .collect()
}

fn add_people(shared: &Shared) -> anyhow::Result<()> {
    let hash = hash_password(PASSWORD)?;
    for (name, role, unit, _) in PEOPLE {
        if shared.registry.read(|state| state.accounts.contains_key(*name)) {
            continue;
        }
        let create =
            AccountChange::Create { role: *role, unit: unit.map(String::from), password_hash: Some(hash.clone()) };
        shared.registry.change("demo", shared.clock.now(), &AnyChange::Account((*name).to_owned(), create))?;
    }
    Ok(())
}

fn greet(server: &Server) -> anyhow::Result<()> {
    output::line(&format!("ready http={}", server.http_address))?;
    output::line("")?;
    output::line(&format!("  Nhật Lệ · demo · Đồng Hới        http://{}", server.http_address))?;
    output::line("")?;
    for (name, _, _, what) in PEOPLE {
        output::line(&format!("    {name:<8} {PASSWORD:<18} {what}"))?;
    }
    output::line("")?;
    output::line("  Đang phát lại một ngày đã ghi; cảnh báo và sự cố hiện ra trong vòng một phút.")?;
    output::line("  Replaying a recorded day; alerts and incidents appear within a minute. Ctrl-C ends it.")?;
    Ok(())
}

/// The records of the last 24 hours, as the collector takes them.
pub fn records(now: Timestamp) -> Vec<Record> {
    demo::generate_until(SEED, now).into_iter().map(record).collect()
}

/// What the receipt book calls the source of a record.
fn name_of(shared: &Shared, one: &demo::DemoRecord) -> Option<String> {
    let record = record(one.clone());
    let mut event = nhatle_collector::to_event(&record, &shared.settings.get()).ok()?;
    shared.owners.name(&mut event, By::of(&record), &shared.units.get(), one.at);
    event.text(Field::NHATLE_SOURCE).map(str::to_owned)
}

fn record(one: demo::DemoRecord) -> Record {
    Record {
        bytes: one.bytes.into(),
        received: one.at,
        peer: one.ip.parse().ok(),
        input: Text::from("demo"),
        profile: one.profile.map(Text::from),
        unit: Some(Text::from(one.unit)),
        is_truncated: false,
        id: None,
        source: None,
        canary: None,
    }
}

/// Sends the day, evenly over [`REPLAY`], and ends early when the server does.
fn replay(sink: &Sink, records: Vec<Record>, is_over: &AtomicBool) {
    let began = Instant::now();
    let total = records.len();
    let mut sent = 0;
    let mut rest = records.into_iter();
    loop {
        let batch: Vec<Record> = rest.by_ref().take(BATCH_RECORDS).collect();
        if batch.is_empty() || is_over.load(Ordering::Relaxed) {
            return;
        }
        sent += batch.len();
        if sink.blocking_send(Batch::of(batch)).is_err() {
            return;
        }
        let due = REPLAY.mul_f64(sent as f64 / total as f64);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
}

/// Sends normal life after `from` as its time comes, day after day, until the server ends.
fn live(sink: &Sink, from: Timestamp, is_over: &AtomicBool) {
    let mut day = from;
    loop {
        for one in demo::generate_life(SEED, day).into_iter().filter(|one| from < one.at) {
            while SystemClock.now() < one.at {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(PAUSE);
            }
            if sink.blocking_send(Batch::of(vec![record(one)])).is_err() {
                return;
            }
        }
        day = day.plus_nanos(demo::DAY_NS);
    }
}
