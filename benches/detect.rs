//! Events to matches: nanoseconds an event with small and large rule sets, index and naive twin.

use nhatle_engine::detect::{Detector, naive};
use rayon::ThreadPoolBuilder;

use crate::{input, measure};

/// The naive twin looks at so many events only.
const NAIVE_EVENTS: usize = 1_000;

pub fn run() {
    let events = input::events();
    let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for (name, rules) in input::rule_sets() {
        measure("detect", &format!("{name}: make ready"), "ms", 1e3, 3, || Detector::new(rules.clone()));
        let detector = Detector::new(rules.clone());
        let factor = 1e9 / events.len() as f64;
        let chunks = || events.chunks(4096).map(|chunk| detector.detect_events(chunk).len()).sum::<usize>();
        pool.install(|| measure("detect", &format!("{name}: index"), "ns/event", factor, 5, chunks));
        let few = &events[..NAIVE_EVENTS.min(events.len())];
        let factor = 1e9 / few.len() as f64;
        measure("detect", &format!("{name}: naive"), "ns/event", factor, 1, || naive::detect(&rules, few));
    }
}
