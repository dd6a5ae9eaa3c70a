//! `cargo bench --bench suite -- GROUP…`: timed groups; a JSON line each on standard output, a table on standard error.
//!
//! In: names of groups (`parse detect correlate store query proof replay walk intake latency start`; all if none), `NHATLE_CORPUS` for the
//! large rule tree, `NHATLE_BENCH_EVENTS` for the size, `NHATLE_BENCH_RATE` and `NHATLE_BENCH_SECONDS` for `latency`, `NHATLE_PEERS` for the folder of unpacked peers. Out: min, median
//! and max of a few repetitions. Nothing is asserted about time; figures stand in README.md. Loopback only.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a measurement prints, and stops where it cannot go on"
)]

mod correlate;
mod detect;
mod input;
mod intake;
mod intake_udp;
mod latency;
mod parse;
mod proof;
mod replay;
mod server;
mod store;
mod tied;

use std::time::Instant;

/// A group: its name and what it does.
const GROUPS: [(&str, fn()); 11] = [
    ("parse", parse::run),
    ("detect", detect::run),
    ("correlate", correlate::run),
    ("store", store::run),
    ("query", store::query),
    ("proof", proof::run),
    ("replay", replay::run),
    ("walk", server::walk),
    ("intake", intake::run),
    ("latency", latency::run),
    ("start", server::start),
];

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    for (name, run) in GROUPS {
        if asked.is_empty() || asked.iter().any(|one| one == name) {
            run();
        }
    }
}

/// Prints one row.
pub fn report(group: &str, name: &str, unit: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let (min, median, max) = (figures[0], figures[figures.len() / 2], figures[figures.len() - 1]);
    eprintln!("{group:<8} {name:<44} {min:>12.2} {median:>12.2} {max:>12.2} {unit}");
    println!(
        "{}",
        serde_json::json!({"group": group, "name": name, "unit": unit, "min": min, "median": median, "max": max})
    );
}

/// Runs `work` `times` times and reports seconds times `factor`.
pub fn measure<T>(group: &str, name: &str, unit: &str, factor: f64, times: usize, mut work: impl FnMut() -> T) {
    let once = |_| {
        let began = Instant::now();
        std::hint::black_box(work());
        began.elapsed().as_secs_f64() * factor
    };
    let figures = (0..times).map(once).collect();
    report(group, name, unit, figures);
}

/// How many events the large groups use.
pub fn event_count() -> usize {
    std::env::var("NHATLE_BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000)
}
