//! `cargo bench -p nhatle-collector --features made --bench stages -- GROUP…`: what each stage costs an event, by profile.
//!
//! In: names of groups (`stages indicators`; both if none) or of profiles, `NHATLE_CORPUS`; or files, whose lines are read from
//! record to event by their content, and no corpus. Out: a JSON line each on standard
//! output, a table on standard error: least, median and most of several rounds, nanoseconds of processor time of this one
//! thread, so that what runs beside it counts little. Nothing is asserted about time; figures stand in benches/README.md.
//! The stages are functions of their own names that are not inlined, so that `valgrind --toggle-collect='*stage_frame*'`
//! counts one of them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a measurement prints, and stops where it cannot go on"
)]

mod indicators;
mod lines;

use std::hint::black_box;
use std::sync::Arc;

use nhatle_collector::enrich::asset::Assets;
use nhatle_collector::enrich::geo::{Database, GeoTables};
use nhatle_collector::enrich::intel::table::{Indicators, ListInfo, Never};
use nhatle_collector::enrich::{Tables, enrich, mmdb_made};
use nhatle_collector::frame::{Framer, Origin, RECORD_BYTES_MAX};
use nhatle_collector::normalize::normalize;
use nhatle_collector::parse::{self, Format};
use nhatle_collector::{Profile, Settings, to_event};
use nhatle_event::{Event, Record, Text, Timestamp};

/// Records a round, at least.
const ROUND_RECORDS: usize = 40_000;
const ROUNDS: usize = 7;
/// What is appended together.
const BATCH_RECORDS: usize = 8_192;
/// Processor time a round, at least.
const ROUND_NS: u64 = 150_000_000;
/// When the records were received: a day on which their times are no trouble.
pub const RECEIVED: Timestamp = Timestamp(1_790_000_000_000_000_000);

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|one| one == name);
    let all = is_asked("stages");
    let full = Settings { tables: Arc::new(full_tables()), ..Settings::default() };
    for (profile, lines) in lines::by_profile().into_iter().filter(|(profile, _)| all || is_asked(profile)) {
        by_stage(profile, &lines, &full);
    }
    if is_asked("indicators") {
        indicators::run();
    }
    asked.iter().filter(|name| std::path::Path::new(name).is_file()).for_each(|name| of_file(name));
}

/// Whole conversion of a file's lines.
fn of_file(path: &str) {
    let stream = std::fs::read(path).unwrap();
    let mut records = stage_frame(&stream, "", 1);
    records.iter_mut().for_each(|record| record.profile = None);
    let mut rounds = 0;
    let whole = measure(records.len(), || {
        rounds += 1;
        stage_whole(&records, &Settings::default(), 1);
    });
    eprintln!("{path}: {} records, each read {rounds} times", records.len());
    report("record to event", path, &whole);
    let batch: Vec<Record> = records.iter().cycle().take(BATCH_RECORDS).cloned().collect();
    let at_once = measure(batch.len(), || drop(black_box(stage_encode(&batch, 1))));
    let later = measure(batch.len(), || drop(black_box(stage_encode(&batch, BATCH_RECORDS))));
    report("record to event, encoded at once", path, &at_once);
    report("record to event, encoded a batch later", path, &later);
}

/// Events with their bytes in the log, encoded when so many are read.
#[inline(never)]
fn stage_encode(records: &[Record], together: usize) -> (Vec<Event>, Vec<u8>) {
    let settings = Settings::default();
    let (mut events, mut bytes) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len() * 1024));
    for records in records.chunks(together) {
        let from = events.len();
        events.extend(records.iter().filter_map(|record| to_event(record, &settings).ok()));
        events[from..].iter().for_each(|event| nhatle_event::binary::encode(event, &mut bytes));
    }
    (events, bytes)
}

fn by_stage(name: &str, lines: &[Vec<u8>], full: &Settings) {
    let profile = Profile::from_name(name).unwrap();
    let stream: Vec<u8> = lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
    let times = ROUND_RECORDS.div_ceil(lines.len());
    let records = stage_frame(&stream, name, 1);
    let events: Vec<Event> = records.iter().filter_map(|record| to_event(record, &Settings::default()).ok()).collect();
    let bytes = stream.len() / records.len();
    eprintln!("{name}: {} records of {bytes} bytes on average, {} events", records.len(), events.len());
    let count = times * records.len();
    let frame = measure(count, || drop(black_box(stage_frame(&stream, name, times))));
    let parse = measure(count, || {
        black_box(stage_parse(&records, profile, times));
    });
    let both = measure(count, || stage_normalize(&records, profile, times));
    // What an event has before enrichment; copies are made outside the clock.
    let bare: Vec<(Record, Event)> = (records.iter())
        .filter_map(|record| Some((record.clone(), normalize(text(record), Some(profile), record, 0).ok()?)))
        .collect();
    let plain = enriched(&bare, &Settings::default());
    let with_tables = enriched(&bare, full);
    let whole = measure(count, || stage_whole(&records, &Settings::default(), times));
    report("frame", name, &frame);
    report("parse", name, &parse);
    let rest: Vec<f64> = both.iter().zip(&parse).map(|(both, parse)| both - parse).collect();
    report("normalize (with what it parses itself)", name, &rest);
    report("enrich, no tables", name, &plain);
    report("enrich, assets, places, indicators", name, &with_tables);
    report("record to event", name, &whole);
}

/// Rounds of enrichment over fresh copies.
fn enriched(bare: &[(Record, Event)], settings: &Settings) -> Vec<f64> {
    let copies = 4_000usize.div_ceil(bare.len());
    let mut figures: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let mut spent = 0;
            for _ in 0..ROUND_RECORDS.div_ceil(copies * bare.len()) {
                let mut fresh: Vec<(&Record, Event)> =
                    (0..copies).flat_map(|_| bare.iter().map(|(record, event)| (record, event.clone()))).collect();
                let began = thread_ns();
                stage_enrich(&mut fresh, settings);
                spent += thread_ns() - began;
            }
            let rounds = ROUND_RECORDS.div_ceil(copies * bare.len());
            spent as f64 / (rounds * copies * bare.len()) as f64
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    figures
}

#[inline(never)]
fn stage_frame(stream: &[u8], profile: &str, times: usize) -> Vec<Record> {
    let mut origin = Origin::new("syslog-tcp");
    origin.profile = Some(Text::from(profile));
    origin.peer = "192.0.2.7".parse().ok();
    let mut records = Vec::new();
    for _ in 0..times {
        records.clear();
        let mut framer = Framer::new(origin.clone(), RECORD_BYTES_MAX);
        stream.chunks(64 << 10).for_each(|chunk| framer.push(chunk, RECEIVED, &mut records));
        framer.finish(RECEIVED, &mut records);
    }
    records
}

/// The record as text, which the corpus is.
fn text(record: &Record) -> &str {
    std::str::from_utf8(&record.bytes).unwrap_or_default()
}

/// What of a record is form: the syslog header, pairs, values between commas, the JSON document.
#[inline(never)]
fn stage_parse(records: &[Record], profile: Profile, times: usize) -> usize {
    let mut found = 0;
    for record in (0..times).flat_map(|_| records) {
        found += parts(text(record), profile);
    }
    found
}

fn parts(text: &str, profile: Profile) -> usize {
    match parse::detect(text) {
        Format::Json => parse::json::with_document(text, |document| document.leaves().count()).unwrap_or(0),
        Format::Auditd => parse::key_value::auditd(text).map_or(0, |parts| black_box(parts.pairs.len())),
        Format::WebAccess => usize::from(black_box(parse::web_access::parse(text, 0)).is_ok()),
        Format::Syslog => match black_box(parse::syslog(text, RECEIVED, 0)) {
            Ok(parts) => 1 + body(parts.message, profile),
            Err(_) => body(text, profile),
        },
        _ => body(text, profile),
    }
}

fn body(text: &str, profile: Profile) -> usize {
    match profile {
        Profile::Fortigate | Profile::Sophos => parse::key_value::pairs(text).len(),
        Profile::PaloAlto | Profile::Pfsense => parse::csv::values(text, '"').len(),
        _ => 0,
    }
}

#[inline(never)]
fn stage_normalize(records: &[Record], profile: Profile, times: usize) {
    for record in (0..times).flat_map(|_| records) {
        drop(black_box(normalize(text(record), Some(profile), record, 0)));
    }
}

#[inline(never)]
fn stage_enrich(events: &mut [(&Record, Event)], settings: &Settings) {
    for (record, event) in events {
        enrich(event, record, settings);
    }
}

#[inline(never)]
fn stage_whole(records: &[Record], settings: &Settings, times: usize) {
    for record in (0..times).flat_map(|_| records) {
        drop(black_box(to_event(record, settings)));
    }
}

/// 1,000 assets and networks, places of four networks, 100,000 indicators.
fn full_tables() -> Tables {
    let rows: String = (0..1_000)
        .map(|number| match number % 4 {
            0 => format!("may-{number},,,Lan,3,2,P{},,server\n", number % 40),
            1 => format!(",10.{}.{}.0/24,,Binh,2,1,P{},,\n", number / 250, number % 250, number % 40),
            2 => format!(",172.16.{}.{},,Chi,4,3,P{},,db\n", number / 250, number % 250, number % 40),
            _ => format!(",,02:00:00:00:{:02x}:{:02x},,1,,,,camera\n", number / 256, number % 256),
        })
        .collect();
    let assets =
        Assets::read(&format!("host,address,mac,owner,importance,level,unit,observe only,role\n{rows}")).unwrap();
    let place = mmdb_made::Node::Map(vec![(
        "country".to_owned(),
        mmdb_made::Node::Map(vec![("iso_code".to_owned(), mmdb_made::Node::Text("VN".to_owned()))]),
    )]);
    let networks = ["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/3"];
    let networks: Vec<_> = networks.iter().map(|text| (*text, place.clone())).collect();
    let city = Database::open(mmdb_made::database("GeoLite2-City", 1_790_000_000, &networks)).unwrap();
    let list = (ListInfo::default(), indicators::made(100_000).into_iter());
    Tables {
        assets: Arc::new(assets),
        geo: GeoTables::new(Some(city), None).map(Arc::new),
        indicators: Arc::new(Indicators::new([list], Never::default())),
    }
}

/// Processor time of this thread so far, nanoseconds (`/proc/thread-self/schedstat`, first number).
pub fn thread_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Nanoseconds for each of `count`, of several rounds, least first. The clock has steps of some milliseconds, so a round
/// works for longer.
pub fn measure(count: usize, mut work: impl FnMut()) -> Vec<f64> {
    let round = |_| {
        let (began, mut spent, mut times) = (thread_ns(), 0, 0usize);
        while spent < ROUND_NS {
            work();
            times += 1;
            spent = thread_ns() - began;
        }
        spent as f64 / (times * count) as f64
    };
    let mut figures: Vec<f64> = (0..ROUNDS).map(round).collect();
    figures.sort_by(f64::total_cmp);
    figures
}

pub fn report(what: &str, name: &str, figures: &[f64]) {
    let (min, median, max) = (figures[0], figures[figures.len() / 2], figures[figures.len() - 1]);
    eprintln!("{name:<12} {what:<40} {min:>9.0} {median:>9.0} {max:>9.0} ns");
    println!(
        "{}",
        serde_json::json!({"group": "stages", "name": name, "stage": what, "min": min, "median": median, "max": max})
    );
}
