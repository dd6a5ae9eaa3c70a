//! Logs of earlier versions are read as they were: `tests/formats/log-1` is one whose events are of version 1, of five lines that
//! a server took in.

use std::path::Path;
use std::sync::Arc;

use nhatle_event::{Field, Seq, Stored, SystemClock};

use crate::config::Config;
use crate::dataset::Dataset;
use crate::disk::OsDisk;
use crate::store::Store;
use crate::wal::Header;

const FILE: &str = "log/0000000000000001.log";

fn open(folder: &Path) -> Store {
    Store::open(Arc::new(OsDisk::new(folder).unwrap()), Config::default(), Arc::new(SystemClock)).unwrap()
}

fn events(store: &Store) -> Vec<Stored> {
    store.snapshot().events_after(Dataset::Events, Seq(0), 100).unwrap()
}

#[test]
fn events_of_version_1_are_read_and_written_anew_in_fewer_bytes() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(old.path().join("log")).unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/formats/log-1").join(FILE);
    std::fs::copy(kept, old.path().join(FILE)).unwrap();
    let known = events(&open(old.path()));
    let messages: Vec<&str> = known.iter().filter_map(|stored| stored.event.text(Field::MESSAGE)).collect();
    assert_eq!(
        messages,
        [
            "Failed password for invalid user lan from 203.0.113.9 port 4411 ssh2",
            "<190>Nov 23 02:10:01 web-01 nginx: 203.0.113.9 - - [23/Nov/2026:02:10:01 +0700] \"GET /a?b=1 HTTP/1.1\" 200 7 \"-\" \"curl/8\"",
            "tiếp nhận hồ sơ 12",
            "started",
            "ok",
        ]
    );
    let store = open(new.path());
    store.append(known.iter().map(|stored| (Dataset::Events, stored.event.clone())).collect(), &[]).unwrap();
    let anew: Vec<_> = events(&store).into_iter().map(|stored| stored.event).collect();
    assert_eq!(anew, known.into_iter().map(|stored| stored.event).collect::<Vec<_>>());
    drop(store);
    let again: Vec<_> = events(&open(new.path())).into_iter().map(|stored| stored.event).collect();
    assert_eq!(anew, again);
    let bytes = |folder: &Path| std::fs::metadata(folder.join(FILE)).unwrap().len();
    assert!(bytes(new.path()) + 100 < bytes(old.path()));
}

#[test]
fn a_file_of_a_version_that_is_not_known_is_refused_and_left_as_it_is() {
    let header = Header { number: 1, first_seq: Seq(1), salt: 7, previous_bytes: 0 };
    let of_version = |version: u32| {
        let mut bytes = header.encode().to_vec();
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..44]);
        bytes[44..].copy_from_slice(&crc.to_le_bytes());
        bytes
    };
    assert_eq!(of_version(2), header.encode(), "what is written now");
    assert!((1..=2).all(|version| Header::decode(&of_version(version)) == Ok(header)));
    for version in [0, 3, u32::MAX] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("log")).unwrap();
        let bytes = [of_version(version), vec![1; 100]].concat();
        std::fs::write(folder.path().join(FILE), &bytes).unwrap();
        let disk = Arc::new(OsDisk::new(folder.path()).unwrap());
        let refused = Store::open(disk, Config::default(), Arc::new(SystemClock)).map(drop).unwrap_err();
        assert!(refused.to_string().contains("log version 1 or 2"), "{refused}");
        assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), bytes);
    }
}
