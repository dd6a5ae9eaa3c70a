//! What the program says about itself: the log (JSON lines, or text on a terminal) and its counters.
//!
//! Every counter stands here once. Stages hold the struct, not a global. Text form: Prometheus 0.0.4.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error; `NHATLE_LOG` sets what is said (default `info`).
pub fn start() {
    let filter =
        EnvFilter::try_from_env("NHATLE_LOG").unwrap_or_else(|_unset| EnvFilter::new("info,sqlx=warn,tantivy=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started =
        if std::io::stderr().is_terminal() { builder.with_target(false).try_init() } else { builder.json().try_init() };
    // Only tests start it twice; the first one stands.
    drop(started);
}

/// The pipeline's counters. All only rise.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records handed over by inputs.
    pub records_received: AtomicU64,
    /// Events stored.
    pub events_stored: AtomicU64,
    /// Records stored as dead letters.
    pub dead_letters: AtomicU64,
    /// Records recognized as stored before.
    pub duplicates: AtomicU64,
    /// Records dropped by inputs for want of room, as noted in the receipt book.
    pub shed: AtomicU64,
    /// Batches that could not be stored.
    pub write_errors: AtomicU64,
    /// Rule matches and firings of correlations, before suppression.
    pub matches: AtomicU64,
    /// Firings of correlations among them.
    pub firings: AtomicU64,
    /// Alerts raised.
    pub alerts: AtomicU64,
    /// Matches that repeated an alert.
    pub suppressed: AtomicU64,
    /// Late hits of correlations that found some of what stood around them let go.
    pub late_partial: AtomicU64,
    /// Those of them that were not counted.
    pub too_late: AtomicU64,
    /// Hits of correlations dropped for want of room.
    pub hits_dropped: AtomicU64,
    /// Groups of correlations dropped for want of room.
    pub groups_dropped: AtomicU64,
    /// Events of sources past the bound whose fields and values were not learned.
    pub sources_passed_over: AtomicU64,
    /// Nanoseconds spent on parsing and normalizing.
    pub parse_ns: AtomicU64,
    /// Nanoseconds spent on appending and syncing.
    pub append_ns: AtomicU64,
    /// Nanoseconds spent on detecting, correlating and grouping.
    pub detect_ns: AtomicU64,
    /// Nanoseconds spent on sealing segments.
    pub seal_ns: AtomicU64,
    /// Merges of segments.
    pub merges: AtomicU64,
    /// Nanoseconds spent on them.
    pub merge_ns: AtomicU64,
}

impl Counters {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes over what the correlator has counted, since before the start where its state goes on.
    pub fn set_correlation(&self, counted: nhatle_engine::correlate::Counters) {
        self.late_partial.store(counted.late_partial, Ordering::Relaxed);
        self.too_late.store(counted.too_late, Ordering::Relaxed);
        self.hits_dropped.store(counted.hits_dropped, Ordering::Relaxed);
        self.groups_dropped.store(counted.groups_dropped, Ordering::Relaxed);
    }

    /// The counters in Prometheus text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let rows = [
            ("nhatle_records_received_total", &self.records_received),
            ("nhatle_events_stored_total", &self.events_stored),
            ("nhatle_dead_letters_total", &self.dead_letters),
            ("nhatle_duplicates_total", &self.duplicates),
            ("nhatle_rejected_total", &self.shed),
            ("nhatle_write_errors_total", &self.write_errors),
            ("nhatle_matches_total", &self.matches),
            ("nhatle_correlation_firings_total", &self.firings),
            ("nhatle_alerts_total", &self.alerts),
            ("nhatle_suppressed_total", &self.suppressed),
            ("nhatle_correlation_late_partial_total", &self.late_partial),
            ("nhatle_correlation_too_late_total", &self.too_late),
            ("nhatle_correlation_hits_dropped_total", &self.hits_dropped),
            ("nhatle_correlation_groups_dropped_total", &self.groups_dropped),
            ("nhatle_fit_sources_passed_over_total", &self.sources_passed_over),
            ("nhatle_parse_nanoseconds_total", &self.parse_ns),
            ("nhatle_append_nanoseconds_total", &self.append_ns),
            ("nhatle_detect_nanoseconds_total", &self.detect_ns),
            ("nhatle_seal_nanoseconds_total", &self.seal_ns),
            ("nhatle_merges_total", &self.merges),
            ("nhatle_merge_nanoseconds_total", &self.merge_ns),
        ];
        for (name, counter) in rows {
            let value = counter.load(Ordering::Relaxed);
            writeln!(text, "# TYPE {name} counter\n{name} {value}").expect("writing to a string cannot go wrong");
        }
        text
    }
}
