//! Append, seal and search, with real syncs in a temporary folder.

use std::sync::Arc;
use std::time::Instant;

use nhatle_event::{Event, Field, SystemClock};
use nhatle_storage::query::{Page, Query};
use nhatle_storage::{Config, Dataset, OsDisk, Store};

use crate::{event_count, input, measure, report};

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(OsDisk::new(folder.path()).unwrap());
    let config = Config { backlog_bytes_max: 4 << 30, ..Config::default() };
    (folder, Store::open(disk, config, Arc::new(SystemClock)).unwrap())
}

fn rows(events: &[Event]) -> Vec<(Dataset, Event)> {
    events.iter().map(|event| (Dataset::Events, event.clone())).collect()
}

pub fn run() {
    let events: Vec<Event> = input::many(65_536).collect();
    for (size, count) in [(1usize, 200usize), (100, 10_000), (1_000, 65_536), (16_384, 65_536)] {
        let one = |_| {
            let (_folder, store) = open();
            let batches: Vec<_> = events[..count].chunks(size).map(rows).collect();
            let began = Instant::now();
            for batch in batches {
                store.append(batch, &[]).unwrap();
            }
            count as f64 / began.elapsed().as_secs_f64()
        };
        report("store", &format!("append, {size} a batch, fsync"), "events/s", (0..3).map(one).collect());
    }
    let mut bytes = 0.0;
    let one = |_| {
        let (_folder, store) = open();
        events.chunks(8_192).for_each(|chunk| drop(store.append(rows(chunk), &[]).unwrap()));
        let began = Instant::now();
        store.seal().unwrap();
        let took = began.elapsed().as_secs_f64();
        bytes = store.stats().segment_bytes as f64 / events.len() as f64;
        events.len() as f64 / took
    };
    let figures = (0..3).map(one).collect();
    report("store", "seal 65,536", "events/s", figures);
    report("store", "sealed size", "bytes/event", vec![bytes]);
}

pub fn query() {
    let count = event_count();
    let (_folder, store) = open();
    let mut batch = Vec::new();
    for event in input::many(count) {
        batch.push((Dataset::Events, event));
        if batch.len() == 16_384 {
            store.append(std::mem::take(&mut batch), &[]).unwrap();
            store.seal_if_due().unwrap();
        }
    }
    store.append(batch, &[]).unwrap();
    store.seal().unwrap();
    for line in ["*", "failed", "user.name:root", "\"failed password\"", "source.ip:203.0.113.0/24", "nowhere"] {
        let query = Query::parse(line).unwrap();
        let snapshot = store.snapshot();
        let total = snapshot.search(&query, &Page::first(1)).unwrap().total;
        let name = |what: &str| format!("{line} ({total} of {count}): {what}");
        measure("query", &name("first 100"), "ms", 1e3, 3, || snapshot.search(&query, &Page::first(100)).unwrap());
        measure("query", &name("histogram"), "ms", 1e3, 3, || snapshot.histogram(&query, 60).unwrap());
        let fields = [Field::HOST_NAME, Field::USER_NAME];
        measure("query", &name("2 facets"), "ms", 1e3, 3, || snapshot.facets(&query, &fields, 10).unwrap());
    }
}
