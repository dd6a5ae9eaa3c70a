//! What the proof costs: leaves and trees at sealing, a proof when somebody asks, bytes kept.

use std::sync::Arc;
use std::time::Instant;

use nhatle_event::{Seq, Stored, SystemClock, Timestamp};
use nhatle_storage::proof::canonical::{self, Canonical};
use nhatle_storage::proof::tree::Tree;
use nhatle_storage::proof::{SigningKey, log, prove};
use nhatle_storage::{Config, Dataset, Disk, OsDisk, Store};

use crate::{input, measure, report};

const COUNT: usize = 65_536;

pub fn run() {
    let events: Vec<Stored> = (1..)
        .zip(input::many(COUNT))
        .map(|(seq, event)| Stored { seq: Seq(seq), committed: Timestamp(7), event })
        .collect();
    let per_event = 1e9 / COUNT as f64;
    let mut canonical = Canonical::default();
    let bytes: usize = events.iter().map(|stored| canonical.data(stored).len()).sum();
    report("proof", "data of a leaf", "bytes", vec![bytes as f64 / COUNT as f64]);
    measure("proof", "hash of the bytes as received", "ns/event", per_event, 5, || {
        events.iter().map(|stored| stored.event.original_hash()[0]).fold(0u8, u8::wrapping_add)
    });
    measure("proof", "leaf (with that hash)", "ns/event", per_event, 5, || {
        events.iter().map(|stored| canonical.leaf(stored)[0]).fold(0u8, u8::wrapping_add)
    });
    let leaves: Vec<_> = events.iter().map(|stored| canonical.leaf(stored)).collect();
    measure("proof", "tree over 65,536 leaves", "ns/event", per_event, 5, || Tree::of(leaves.clone()).root());
    let borrowed: Vec<&Stored> = events.iter().collect();
    measure("proof", "root of a segment, all of it", "ns/event", per_event, 5, || canonical::tree(&borrowed).root());

    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(folder.path()).unwrap());
    let store = Store::open(disk.clone(), Config::default(), Arc::new(SystemClock)).unwrap();
    store.sign_with(SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap());
    for chunk in events.chunks(8_192) {
        store.append(chunk.iter().map(|stored| (Dataset::Events, stored.event.clone())).collect(), &[]).unwrap();
    }
    store.seal().unwrap();
    let kept: u64 = [log::LOG, log::NODES, log::HEADS].iter().filter_map(|path| disk.length(path).unwrap()).sum();
    report("proof", "kept for a segment of 65,536", "bytes/event", vec![kept as f64 / COUNT as f64]);
    let newest = log::newest(&*disk).unwrap().unwrap();
    let snapshot = store.snapshot();
    let one = |_| {
        let began = Instant::now();
        prove::events(&*disk, &snapshot, &newest, &[Seq(40_000)]).unwrap();
        began.elapsed().as_secs_f64() * 1e3
    };
    report("proof", "proof of one event of 65,536", "ms", (0..5).map(one).collect());
}
