//! Segments written and read back, and the numbers of doing so.

use std::sync::Arc;

use nhatle_event::{Event, Field, Seq, Stored, Timestamp};

use super::meta::WriteOptions;
use super::{Projection, Segment, write};
use crate::dataset::Dataset;
use crate::disk::{Disk, OsDisk};

fn segment(events: &[Stored]) -> (tempfile::TempDir, Segment) {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(folder.path()).unwrap());
    disk.create_folder("s").unwrap();
    let meta = write(&*disk, "s", events, &WriteOptions { dataset: Dataset::Events }).unwrap();
    (folder, Segment::open(disk, &meta).unwrap())
}

fn stored(seq: u64, second: i64, message: &str) -> Stored {
    let mut event = Event::new(Timestamp::from_seconds(second), message.as_bytes());
    event.set(Field::MESSAGE, message);
    event.set(Field::EVENT_MODULE, "linux");
    Stored { seq: Seq(seq), committed: Timestamp(9), event }
}

#[test]
fn rows_stand_in_order_of_time_and_are_fetched_by_number_and_by_seq() {
    let events: Vec<Stored> =
        (1..=5000).map(|seq| stored(seq, i64::try_from(seq * 7919 % 5000).unwrap(), "m")).collect();
    let (_folder, segment) = segment(&events);
    let mut expected = events.clone();
    expected.sort_by_key(|one| (one.event.timestamp, one.seq));
    assert_eq!(segment.rows().unwrap(), expected);
    let rows = [0, 1, 1023, 1024, 4000, 4999];
    let fetched = segment.fetch(&rows, Projection::All).unwrap();
    assert!(fetched.iter().eq(rows.iter().map(|row| &expected[*row])));
    assert_eq!(segment.get(Seq(77)).unwrap().as_ref(), Some(&events[76]));
    assert_eq!(segment.get(Seq(5001)).unwrap(), None);
    let part = segment.fetch(&[3], Projection::Keys(&["event.module".into()])).unwrap();
    assert_eq!(part[0].event.fields().len(), 1);
}

#[test]
fn an_event_with_more_words_than_the_index_takes_is_found_all_the_same() {
    let many: Vec<String> = (0..super::terms::TERMS_MAX + 100).map(|at| format!("w{at}")).collect();
    let (_folder, segment) = segment(&[stored(1, 1, &many.join(" ")), stored(2, 2, "w5 alone")]);
    let index = segment.index().unwrap();
    let last = index.word(many.last().unwrap()).unwrap();
    assert!(last.maybe.iter().eq([0]) && last.sure.is_empty());
    let early = index.word("w5").unwrap();
    assert!(early.maybe.iter().eq([0, 1]));
    let none = index.word("nowhere").unwrap();
    assert!(none.maybe.iter().eq([0]));
}

/// `cargo test --release -p nhatle-storage --lib -- --ignored --nocapture sealing_and_searching_in_numbers`
#[test]
#[ignore = "a measurement, run by hand in release"]
fn sealing_and_searching_in_numbers() {
    const SEGMENTS: u64 = 16;
    const ROWS: u64 = 65_536;
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(folder.path()).unwrap());
    let mut live = Vec::new();
    let mut bytes = [0u64; 2];
    let mut sealing = std::time::Duration::ZERO;
    for number in 0..SEGMENTS {
        let events: Vec<Stored> = (0..ROWS).map(|at| sample(number * ROWS + at + 1)).collect();
        let dir = format!("s/{number}");
        disk.create_folder(&dir).unwrap();
        let begin = std::time::Instant::now();
        let meta = write(&*disk, &dir, &events, &WriteOptions { dataset: Dataset::Events }).unwrap();
        sealing += begin.elapsed();
        bytes.iter_mut().zip(&meta.files).for_each(|(sum, file)| *sum += file.bytes);
        live.push(Arc::new(crate::live::LiveSegment::new(disk.clone(), meta, crate::live::SegmentForm::Columns)));
    }
    let rows = SEGMENTS * ROWS;
    println!(
        "sealed {rows} events in {sealing:?}, rows {} B and index {} B an event",
        bytes[0] / rows,
        bytes[1] / rows
    );
    let snapshot = crate::snapshot::Snapshot::new(vec![], Arc::new(live), Seq(rows));
    for line in [
        "*",
        "failed",
        "user.name:user77",
        "\"failed password\"",
        "source.ip:10.1.2.3",
        "source.ip:10.1.0.0/16",
        "message:failed AND user.name:user7",
        "nowhere",
        "NOT failed",
        "user.name:user7*",
        "message:*word for user1*",
    ] {
        let query = crate::query::Query::parse(line).unwrap();
        for round in ["cold", "warm"] {
            let hits = snapshot.search(&query, &crate::query::Page::first(100)).unwrap();
            println!("{line} ({round}): {} hits of {} in {:?}", hits.hits.len(), hits.total, hits.took);
        }
        let begin = std::time::Instant::now();
        let histogram = snapshot.histogram(&query, 60).unwrap();
        println!("{line}: histogram of {} in {:?}", histogram.len(), begin.elapsed());
    }
}

/// An event like one of sshd: some twenty fields, values that repeat and some that do not.
fn sample(seq: u64) -> Stored {
    let mixed = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let user = format!("user{}", mixed % 1000);
    let address = format!("10.{}.{}.{}", mixed % 4, mixed / 4 % 256, mixed / 1024 % 256);
    let word = if mixed.is_multiple_of(3) { "Failed" } else { "Accepted" };
    let message = format!("{word} password for {user} from {address} port {} ssh2", 1024 + mixed % 60_000);
    let original = format!("<86>Jan  1 00:00:00 host{} sshd[{}]: {message}", mixed % 50, mixed % 30_000);
    let mut event = Event::new(Timestamp::from_seconds(i64::try_from(seq / 100).unwrap()), original.as_bytes());
    event.set(Field::MESSAGE, message);
    event.set(Field::USER_NAME, user);
    event.set(Field::SOURCE_IP, nhatle_event::Value::Ip(address.parse().unwrap()));
    event.set(Field::SOURCE_PORT, 1024 + (mixed % 60_000) as i64);
    event.set(Field::PROCESS_PID, (mixed % 30_000) as i64);
    event.set(Field::HOST_NAME, format!("host{}", mixed % 50));
    for (name, value) in [
        ("event.module", "linux"),
        ("event.dataset", "linux.auth"),
        ("event.kind", "event"),
        ("process.name", "sshd"),
        ("event.category", "authentication"),
        ("event.action", "ssh_login"),
        ("event.outcome", "failure"),
        ("log.syslog.appname", "sshd"),
        ("log.syslog.facility.name", "authpriv"),
        ("nhatle.unit", "dong-hoi"),
        ("nhatle.input", "syslog_udp"),
        ("log.syslog.severity.name", "info"),
        ("network.transport", "tcp"),
    ] {
        event.set_named(name, value);
    }
    event.set(Field::NHATLE_SOURCE, format!("host{}", mixed % 50));
    Stored { seq: Seq(seq), committed: Timestamp(9), event }
}
