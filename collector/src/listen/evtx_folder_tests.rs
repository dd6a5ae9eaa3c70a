//! Folders of EVTX files: each record once, and as the EVTX reader itself would read it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nhatle_event::{Clock, Event, Record, SystemClock, Timestamp};

use super::evtx_folder::{EvtxFolderInput, EvtxFolderOptions};
use super::queue::{QUEUED_BYTES_MAX, channel};
use super::{Kept, Receipt};
use crate::frame::Origin;
use crate::parse::evtx::EvtxReader;
use crate::{Settings, to_event};

/// Real files: small ones of the corpus, with records of several channels.
fn corpus() -> Option<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = match std::env::var_os("NHATLE_CORPUS") {
        Some(folder) => root.join("..").join(folder),
        None => root.join("../../shared/data"),
    };
    let mut folders = vec![folder.join("evtx")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            let is_small = entry.metadata().is_ok_and(|metadata| (100_000..3_000_000).contains(&metadata.len()));
            match path.is_dir() {
                true => folders.push(path),
                false if is_small && path.extension().is_some_and(|ending| ending == "evtx") => files.push(path),
                false => {}
            }
        }
    }
    files.sort();
    files.truncate(12);
    (!files.is_empty()).then_some(files)
}

/// How long is waited for what must come, and how long for what must not.
const PATIENCE: Duration = Duration::from_secs(120);
const QUIET: Duration = Duration::from_millis(1_500);

fn direct(bytes: &[u8]) -> Vec<Event> {
    EvtxReader::new(bytes, &Record::new(*b"", "x", Timestamp(0))).flatten().collect()
}

/// Follows a folder until so many have come, however long that takes, and then nothing more for a while; what is durable
/// stays for the next run.
fn follow(folder: &Path, places: &Arc<Mutex<BTreeMap<String, String>>>, awaited: usize) -> Vec<Record> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let known = places.clone();
        let kept: Kept = Arc::new(move |key| known.lock().unwrap().get(key).cloned());
        let options = EvtxFolderOptions { folder: folder.to_owned(), origin: Origin::new("evtx") };
        let (sink, batches) = channel(QUEUED_BYTES_MAX);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let task = tokio::spawn(EvtxFolderInput::new(options, &kept).run(sink, clock));
        let mut records = Vec::new();
        let mut patience = if awaited == 0 { QUIET } else { PATIENCE };
        while let Ok(Some(batch)) = tokio::time::timeout(patience, batches.recv()).await {
            records.extend(batch.records);
            let moved = batch.keep.into_iter().map(|keep| (keep.key, keep.value));
            places.lock().unwrap().extend(moved);
            batch.done.unwrap().send(Ok(Receipt::default())).unwrap();
            if awaited <= records.len() {
                patience = QUIET;
            }
        }
        drop(batches);
        task.abort();
        records
    })
}

#[test]
fn records_come_once_and_mean_what_the_reader_reads() {
    let Some(files) = corpus() else {
        eprintln!("skipped: no corpus");
        return;
    };
    let (folder, places) = (tempfile::tempdir().unwrap(), Arc::default());
    let mut expected = Vec::new();
    for file in &files {
        std::fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
        expected.extend(direct(&std::fs::read(file).unwrap()));
    }
    let records = follow(folder.path(), &places, expected.len());
    assert_eq!(records.len(), expected.len());
    let ours = |name: &str| name.starts_with("nhatle.") || name == "event.id";
    let mut differing = BTreeMap::new();
    for (record, expected) in records.iter().zip(&expected) {
        let event = to_event(record, &Settings::default()).unwrap();
        assert_eq!(event.timestamp, expected.timestamp);
        let fields = |event: &Event| -> BTreeMap<String, String> {
            let all = event.fields().iter().filter(|(field, _)| !ours(field.name()));
            all.map(|(field, value)| (field.name().to_owned(), format!("{value:?}"))).collect()
        };
        let (got, wanted) = (fields(&event), fields(expected));
        for (name, value) in &wanted {
            if got.get(name) != Some(value) {
                differing.entry(name.clone()).or_insert_with(|| (value.clone(), got.get(name).cloned()));
            }
        }
        for name in got.keys().filter(|name| !wanted.contains_key(*name)) {
            differing.entry(name.clone()).or_insert_with(|| (String::new(), got.get(name).cloned()));
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
    println!("evtx: {} records of {} files, all fields equal", records.len(), files.len());
    assert!(follow(folder.path(), &places, 0).is_empty(), "what was read is not read again");
}

#[test]
fn a_file_that_grows_or_is_cleared_gives_what_is_new() {
    let Some(files) = corpus() else {
        eprintln!("skipped: no corpus");
        return;
    };
    let of_several_chunks =
        files.iter().map(|path| std::fs::read(path).unwrap()).find(|bytes| 3 * 65_536 < bytes.len());
    let whole = of_several_chunks.expect("one has several chunks");
    let all = direct(&whole).len();
    let (folder, places) = (tempfile::tempdir().unwrap(), Arc::default());
    let path = folder.path().join("Security.evtx");
    // Cut in the middle of the second chunk, as while it is copied.
    std::fs::write(&path, &whole[..4096 + 65_536 + 30_000]).unwrap();
    let first = follow(folder.path(), &places, 1).len();
    std::fs::write(&path, &whole).unwrap();
    let second = follow(folder.path(), &places, all - first).len();
    assert!(0 < first && first < all);
    assert_eq!(first + second, all);
    // Another log of the same name: it is read from its start.
    let other = files.iter().map(|path| std::fs::read(path).unwrap()).find(|bytes| direct(bytes).len() != all).unwrap();
    std::fs::write(&path, &other).unwrap();
    let wanted = direct(&other).len();
    assert_eq!(follow(folder.path(), &places, wanted).len(), wanted);
}
