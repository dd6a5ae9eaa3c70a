//! Segments of earlier versions are read as they were: `tests/formats` holds one whose rows and index were written in version 1,
//! and one of the same lines whose rows and index were written in version 2. Their answers and those of the same events written
//! now are compared with looking at every event.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use nhatle_event::{Field, Stored, SystemClock, Value};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

use super::columns::{FIELDS, SCHEMA, fits};
use super::meta::{SegmentMeta, Tier, WriteOptions, write_file};
use super::tests_columns::plain_of_version_1;
use super::text_index::{IndexBuilder, TextIndex};
use super::words::name_key;
use super::writer::{ROWS_VERSION_1, SPILLED_KEY, VERSION_KEY, properties};
use super::{INDEX_FILE, ROWS_FILE, Segment, write};
use crate::config::Config;
use crate::dataset::Dataset;
use crate::disk::{Disk, OsDisk};
use crate::live::{LiveSegment, SegmentForm};
use crate::proof::canonical::Hashed;
use crate::query::{Page, Query};
use crate::snapshot::Snapshot;
use crate::store::Store;

/// Words, values of fields that others stand for and of those that stand for them, patterns, ranges, presence.
const LINES: [&str; 26] = [
    "",
    "lan",
    "203.0.113.3",
    "40003",
    "70004",
    "\"tiếp nhận\"",
    "bac ly",
    "source.ip:203.0.113.1",
    "related.ip:203.0.113.1",
    "source.address:203.0.113.1",
    "fortinet.firewall.srcip:10.0.0.2",
    "fortinet.firewall.sessionid:70004",
    "host.hostname:bastion-1",
    "log.syslog.hostname:bastion-*",
    "nhatle.source:*",
    "related.user:lan",
    "related.user:l*",
    "user.name:LAN",
    "log.syslog.procid:4001",
    "process.pid:4001",
    "NOT related.ip:203.0.113.0/24",
    "related.ip:203.0.113.0/31",
    "source.bytes>1004",
    "observer.serial_number:FGT60F0000000001 AND NOT source.ip:10.0.0.1",
    "nowhere",
    "related.ip:192.0.2.1",
];

/// Writes events (of one dataset, in any order) as a segment whose rows are of version 1.
pub fn write_version_1(disk: &dyn Disk, dir: &str, events: &[Stored], options: &WriteOptions) -> SegmentMeta {
    let mut sorted: Vec<Stored> = events.to_vec();
    sorted.sort_by_key(|stored| (stored.event.timestamp, stored.seq));
    let columns = |field: &Field| FIELDS.iter().any(|(known, _)| name_key(field.name()) == known.name());
    let in_attrs = |(field, value): &&(Field, Value)| {
        columns(field) && !FIELDS.iter().any(|(known, kind)| known == field && fits(*kind, value))
    };
    let fields = sorted.iter().flat_map(|stored| stored.event.fields());
    let spilled: BTreeSet<&str> = fields.filter(in_attrs).map(|(field, _)| field.name()).collect();
    let properties = properties(options.tier, &[]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), SCHEMA.clone(), Some(properties)).unwrap();
    writer.write(&plain_of_version_1(&sorted)).unwrap();
    let spilled = serde_json::to_string(&spilled).unwrap();
    for (key, value) in [(VERSION_KEY, ROWS_VERSION_1.to_owned()), (SPILLED_KEY, spilled)] {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    let rows = write_file(disk, dir, ROWS_FILE, &writer.into_inner().unwrap()).unwrap();
    let mut index = IndexBuilder::default();
    sorted.iter().for_each(|stored| index.add(&stored.event));
    let index = write_file(disk, dir, INDEX_FILE, &index.finish().unwrap()).unwrap();
    let hashed = sorted.iter().map(Hashed::of).collect();
    SegmentMeta::of(options.dataset, dir, hashed, vec![rows, index]).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copy(&from, &to),
            false => assert!(0 < std::fs::copy(&from, &to).unwrap()),
        }
    }
}

#[track_caller]
fn check(snapshot: &Snapshot, events: &[Stored]) {
    for line in LINES {
        let query = Query::parse(line).unwrap();
        let mut expected: Vec<u64> =
            events.iter().filter(|stored| query.matches(stored)).map(|stored| stored.seq.0).collect();
        assert_eq!(snapshot.count_matches(&query).unwrap(), expected.len() as u64, "number of {line}");
        let found = snapshot.search(&query, &Page::first(100)).unwrap();
        let mut hits: Vec<u64> = found.hits.iter().map(|stored| stored.seq.0).collect();
        expected.sort_unstable();
        hits.sort_unstable();
        assert_eq!(hits, expected, "hits of {line}");
    }
}

/// A store of `tests/formats` with one segment.
fn stored(name: &str, folder: &Path) -> (Arc<dyn Disk>, Snapshot, Arc<Segment>) {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/formats").join(name), folder);
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(folder).unwrap());
    let store = Store::open(disk.clone(), Config::default(), Arc::new(SystemClock)).unwrap();
    let snapshot = store.snapshot();
    let segment = snapshot.segments(Dataset::Events).next().unwrap().open().unwrap();
    (disk, snapshot, segment)
}

#[test]
fn an_index_of_version_2_answers_as_that_of_today() {
    let folder = tempfile::tempdir().unwrap();
    let (_, snapshot, segment) = stored("index-2", folder.path());
    let events = segment.rows().unwrap();
    assert_eq!((segment.index().unwrap().contents.version, events.len()), (2, 42));
    check(&snapshot, &events);
}

#[test]
fn rows_and_index_of_version_1_answer_as_those_of_today() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, snapshot, old) = stored("index-1", folder.path());
    let events = old.rows().unwrap();
    assert_eq!((old.index().unwrap().contents.version, events.len()), (1, 42));
    assert_eq!(old.frequent().unwrap(), None);
    check(&snapshot, &events);

    disk.create_folder("anew").unwrap();
    let options = WriteOptions { dataset: Dataset::Events, tier: Tier::Recent };
    let meta = write(&*disk, "anew", &events, &options).unwrap();
    let anew = Segment::open(disk.clone(), &meta).unwrap();
    let frequent = anew.frequent().unwrap().unwrap();
    assert!(frequent.iter().any(|one| one.field.name() == "fortinet.firewall.sessionid"), "{frequent:?}");
    assert_eq!(meta.events_root, old.meta().events_root);
    let anew = anew.index().unwrap();
    assert_eq!(anew.contents.version, 3);
    let stands = anew.contents.stands_for("related.ip");
    assert!(stands.iter().any(|one| one.key == "source.ip" && one.is_always), "{stands:?}");
    // What another field's term says is counted, too.
    let count = |index: &TextIndex| index.value_count("related.ip", "203.0.113.1").unwrap();
    let known = count(&old.index().unwrap());
    assert!(0 < known && known <= count(&anew), "{known}, and {} anew", count(&anew));
    let live = Arc::new(LiveSegment::new(disk, meta, SegmentForm::Columns));
    check(&Snapshot::new(Vec::new(), Arc::new(vec![live]), snapshot.last_seq()), &events);
}
