//! Events to matches: nanoseconds an event by kind of log, cold and warm, one thread and two; loading; memory; rules
//! tied to channel and event id; index and naive twin.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use nhatle_collector::listen::file::{FileEntries, FileOptions};
use nhatle_collector::{Settings, to_event};
use nhatle_engine::detect::{Detector, naive};
use nhatle_event::{Event, Field, Record, Timestamp};
use nhatle_rules::{LoadOptions, RuleSet};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{input, measure, report, tied};

/// The naive twin looks at so many events only.
const NAIVE_EVENTS: usize = 1_000;
/// How often events are run through one detector before the figures that count.
const REPEATS: usize = 5;

/// Kinds of log in the day, by module.
const KINDS: [(&str, &[&str]); 3] =
    [("Windows and Sysmon", &["windows"]), ("auditd", &["auditd"]), ("web access", &["nginx", "apache"])];

pub fn run() {
    let day = input::events();
    for (name, rules) in input::rule_sets() {
        measure("detect", &format!("{name}: make ready"), "ms", 1e3, 3, || Detector::new(rules.clone()));
        passes(&name, &rules, &day);
        for (kind, modules) in KINDS {
            let is_kind = |event: &&Event| event.text(Field::EVENT_MODULE).is_some_and(|one| modules.contains(&one));
            let events: Vec<Event> = day.iter().filter(is_kind).cloned().collect();
            passes(&format!("{name}, {kind}"), &rules, &events);
        }
        passes(&format!("{name}, firewall"), &rules, &firewall());
        let few = &day[..NAIVE_EVENTS.min(day.len())];
        let factor = 1e9 / few.len() as f64;
        measure("detect", &format!("{name}: naive"), "ns/event", factor, 1, || naive::detect(&rules, few));
    }
    if let Some(folder) = input::corpus().map(|corpus| corpus.join("sigma/rules/rules/windows")) {
        let options = LoadOptions::default();
        let load = || RuleSet::load(std::slice::from_ref(&folder), &options);
        measure("detect", "sigmahq windows: load", "ms", 1e3, 3, load);
        let rules = Arc::new(load());
        let events = attacks();
        passes(&format!("sigmahq windows ({} rules), attacks", rules.rules.len()), &rules, &events);
        let tied = Arc::new(RuleSet::from_texts(&tied::texts(&folder), &options));
        passes(&format!("tied ({} rules), attacks", tied.rules.len()), &tied, &events);
        let is_windows = |event: &&Event| event.text(Field::EVENT_MODULE) == Some("windows");
        let windows: Vec<Event> = day.iter().filter(is_windows).cloned().collect();
        passes(&format!("tied ({} rules), Windows of the day", tied.rules.len()), &tied, &windows);
    }
    for (row, unit) in [("VmRSS:", "resident"), ("VmHWM:", "peak")] {
        report("detect", &format!("memory, {unit}"), "MiB", vec![memory_mib(row)]);
    }
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// Cold is the first pass of a new detector; warm the passes after it.
fn passes(name: &str, rules: &Arc<RuleSet>, events: &[Event]) {
    if events.is_empty() {
        eprintln!("detect: {name}: no events");
        return;
    }
    let factor = 1e9 / events.len() as f64;
    let pass =
        |detector: &Detector| events.chunks(4096).map(|chunk| detector.detect_events(chunk).len()).sum::<usize>();
    let name = format!("{name}, {} events", events.len());
    pool(1).install(|| {
        let cold = (0..REPEATS).map(|_| {
            let detector = Detector::new(rules.clone());
            let began = Instant::now();
            std::hint::black_box(pass(&detector));
            began.elapsed().as_secs_f64() * factor
        });
        report("detect", &format!("{name}: cold"), "ns/event", cold.collect());
        let detector = Detector::new(rules.clone());
        pass(&detector);
        measure("detect", &format!("{name}: warm"), "ns/event", factor, REPEATS, || pass(&detector));
        one_by_one(&name, &detector, events);
    });
    let detector = Detector::new(rules.clone());
    pool(2).install(|| {
        pass(&detector);
        measure("detect", &format!("{name}: warm, 2 threads"), "ns/event", factor, REPEATS, || pass(&detector));
    });
}

/// What single events take. Two readings of the clock are in it.
fn one_by_one(name: &str, detector: &Detector, events: &[Event]) {
    let took = |event: &Event| {
        let began = Instant::now();
        std::hint::black_box(detector.detect_events(std::slice::from_ref(event)));
        began.elapsed().as_secs_f64() * 1e9
    };
    let mut times: Vec<f64> = events.iter().map(took).collect();
    times.sort_by(f64::total_cmp);
    for (share, shown) in [(50, "p50"), (99, "p99")] {
        let place = (times.len() * share / 100).min(times.len() - 1);
        report("detect", &format!("{name}: single {shown}"), "ns", vec![times[place]]);
    }
}

/// So many lines of firewalls are made; the city's recorded day has none.
const FIREWALL_LINES: usize = 8_000;

/// Lines of four kinds of firewall with addresses and ports that vary, one sixteenth denied.
fn firewall() -> Vec<Event> {
    let line = |number: usize| {
        let (host, port, action) =
            (number * 7 % 250, 1_024 + number * 31 % 60_000, if number.is_multiple_of(16) { "deny" } else { "accept" });
        match number % 4 {
            0 => format!(
                "<189>date=2026-11-25 time=10:00:00 devname=\"fw-01\" devid=\"FGT60F0000000001\" logid=\"0000000013\" type=\"traffic\" subtype=\"forward\" level=\"notice\" srcip=10.45.0.{host} srcport={port} dstip=203.0.113.{host} dstport=443 proto=6 action=\"{action}\" policyid=7 service=\"HTTPS\" sentbyte=1200 rcvdbyte=5400"
            ),
            1 => format!(
                "<134>Nov 25 10:00:00 mt-01 firewall,info forward: in:lan out:wan, connection-state:new src-mac 00:00:5e:00:53:01, proto TCP (SYN), 10.45.1.{host}:{port}->198.51.100.{host}:443, len 52"
            ),
            2 => format!(
                "<166>Nov 25 2026 10:00:00 fw-02 : %ASA-6-302013: Built outbound TCP connection {number} for outside:203.0.113.{host}/443 (203.0.113.{host}/443) to inside:10.45.2.{host}/{port} (192.0.2.1/{port})"
            ),
            _ => format!(
                "<134>Nov 25 10:00:00 pf-01 filterlog[311]: 5,,,1000000103,igb1,match,block,in,4,0x0,,64,{number},0,DF,6,tcp,60,10.45.3.{host},203.0.113.{host},{port},22,0,S,1,,64240,,mss"
            ),
        }
    };
    let now = Timestamp::parse("2026-11-26T00:00:00Z", 0).unwrap();
    let record = |number| Record::new(line(number).into_bytes(), "bench", now);
    (0..FIREWALL_LINES).map(|number| to_event(&record(number), &Settings::default()).unwrap()).collect()
}

/// Events of attacks recorded for rules, where `NHATLE_BENCH_JSONL` names a file of them.
fn attacks() -> Vec<Event> {
    let Some(file) = std::env::var_os("NHATLE_BENCH_JSONL").map(PathBuf::from) else { return Vec::new() };
    let now = Timestamp::parse("2026-11-26T00:00:00Z", 0).unwrap();
    let entries = FileEntries::open(&file, &FileOptions::new(now)).unwrap();
    entries.filter_map(|entry| entry.ok()?.convert(&Settings::default()).ok()).collect()
}

fn memory_mib(row: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(row)).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
