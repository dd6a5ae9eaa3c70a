//! Rows picked one by one, compared with the slow way of reading them: all of Parquet's reader and tables. In: segments of
//! random events and of some thousand that are made to have every encoding; rows; damage. Out: the same events, or none.

use std::sync::Arc;

use nhatle_event::{Event, Field, Seq, Stored, Timestamp, Value};
use proptest::prelude::*;
use proptest::sample::Index;

use super::columns::HASH;
use super::fine;
use super::meta::{BLOCK_BYTES, FileMeta, SegmentMeta, Tier, WriteOptions};
use super::tests_columns::event;
use super::tests_old::write_version_1;
use super::{Projection, ROWS_FILE, Segment, write};
use crate::dataset::Dataset;
use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::error::ReadError;

const OPTIONS: WriteOptions = WriteOptions { dataset: Dataset::Events, tier: Tier::Recent };

fn written(events: &[Stored], is_old: bool) -> (SimDisk, SegmentMeta) {
    let disk = SimDisk::new(1);
    disk.create_folder("s").unwrap();
    let meta = match is_old {
        true => write_version_1(&disk, "s", events, &OPTIONS),
        false => write(&disk, "s", events, &OPTIONS).unwrap(),
    };
    (disk, meta)
}

/// Events whose fields come and go with different beats, with values that repeat, that hardly do, and that do not.
fn mixture(count: u64) -> Vec<Stored> {
    let stored = |seq: u64| {
        let at = i64::try_from(seq).unwrap();
        let mut event = Event::new(
            Timestamp::from_seconds(at / 7),
            format!("{seq} {}", "x".repeat(seq as usize % 90)).into_bytes(),
        );
        event.received = Timestamp(at.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()));
        let mixed = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        event.set(Field::MESSAGE, format!("m {mixed}"));
        let mut set = |is: bool, name: &str, value: Value| {
            if is {
                event.set_named(name, value);
            }
        };
        set(seq % 50 != 7, "event.dataset", ["linux.sshd", "fortinet.firewall", "winlog"][seq as usize % 3].into());
        set(seq % 3 == 2, "event.code", Value::from((seq % 400).to_string()));
        set(seq % 3 == 1, "a.same", "same".into());
        set(seq % 3 == 1, "a.host", format!("host-{}", mixed % 900).into());
        set(seq.is_multiple_of(5), "a.id", format!("{mixed:032x}").into());
        set(seq.is_multiple_of(2), "a.number", Value::Long(i64::try_from(mixed % 50).unwrap() - 25));
        set(seq % 7 < 3, "a.counter", Value::Long(at * 1_000 - i64::try_from(mixed).unwrap()));
        set(seq % 7 < 3, "a.wild", Value::Long(mixed.wrapping_mul(mixed).wrapping_mul(mixed).cast_signed()));
        set(seq % 11 < 4, "a.flag", Value::Boolean(mixed.is_multiple_of(3)));
        set(seq % 11 < 4, "a.share", Value::Double(at as f64 / 7.0));
        set(seq.is_multiple_of(4), "event.start", Value::Date(Timestamp(at * 1_000_000_007)));
        set(seq.is_multiple_of(4), "host.ip", Value::Ip(std::net::Ipv4Addr::from_bits(mixed as u32 & 0xffff).into()));
        set(seq.is_multiple_of(4), "source.ip", Value::Ip(std::net::Ipv4Addr::from_bits(mixed as u32).into()));
        set(
            seq.is_multiple_of(6),
            "source.port",
            if seq.is_multiple_of(12) { "no port".into() } else { Value::Long(at % 65_536) },
        );
        // So long and so many that the dictionary is given up on the way.
        set(seq % 2 == 1, "process.command_line", format!("{} {}", mixed % 9_000, "y".repeat(400)).into());
        // In the later half only.
        set(count / 2 < seq, "b.late", "late".into());
        set(seq.is_multiple_of(100), "b.rare", Value::List(vec![Value::Long(1), Value::from("two")]));
        Stored { seq: Seq(seq), committed: Timestamp(at / 100), event }
    };
    (1..=count).map(stored).collect()
}

#[track_caller]
fn check(segment: &Segment, rows: &[usize], leaves: &[usize]) {
    let picked = segment.pick_rows(rows, leaves).unwrap();
    let expected = segment.decode_rows(rows, leaves).unwrap();
    assert_eq!(picked.as_ref(), Some(&expected));
}

fn leaves(segment: &Segment) -> Vec<usize> {
    let footer = segment.footer().unwrap();
    let columns = footer.metadata.schema().fields().iter().enumerate();
    columns.filter(|(_, column)| column.name() != HASH).map(|(at, _)| at).collect()
}

#[test]
fn rows_of_many_pages_and_encodings_are_picked_as_tables_have_them() {
    let events = mixture(70_000);
    for is_old in [false, true] {
        let (disk, meta) = written(&events[..if is_old { 9_000 } else { 70_000 }], is_old);
        let segment = Segment::open(Arc::new(disk), &meta).unwrap();
        let (count, leaves) = (segment.row_count(), leaves(&segment));
        for step in [1, 2, 7, 1_000, 4_096, 30_011] {
            for first in [0, 1, 4_095, count - 300] {
                let rows: Vec<usize> = (first..count).step_by(step).take(300).collect();
                check(&segment, &rows, &leaves);
            }
        }
        for row in [0, 1, 1_023, 1_024, 4_095, 4_096, count / 2, count - 1] {
            check(&segment, &[row], &leaves);
        }
        check(&segment, &[5, 6_000], &leaves[3..9]);
        assert_eq!(segment.pick_rows(&[count], &leaves).unwrap(), None);
        // Some of them are kept from before.
        for rows in [&[3, 77, 8_000][..], &[3, 76, 77, 8_001], &[3, 8_001]] {
            let fetched = segment.fetch(rows, Projection::All).unwrap();
            assert_eq!(fetched, segment.decode_rows(rows, &leaves).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn random_rows_of_random_events_are_picked_as_tables_have_them(
        events in proptest::collection::vec(event(), 1..90),
        rows in proptest::collection::btree_set(any::<Index>().prop_map(|at| at.index(1 << 20)), 1..20),
        is_old: bool,
    ) {
        let stored = |(seq, event)| Stored { seq: Seq(seq), committed: Timestamp(3), event };
        let events: Vec<Stored> = (1..).zip(events).map(stored).collect();
        let (disk, meta) = written(&events, is_old);
        let segment = Segment::open(Arc::new(disk), &meta).unwrap();
        let rows: std::collections::BTreeSet<usize> = rows.iter().map(|row| row % events.len()).collect();
        check(&segment, &rows.into_iter().collect::<Vec<_>>(), &leaves(&segment));
    }
}

#[test]
fn damaged_pages_with_right_checksums_are_no_panic() {
    let (disk, meta) = written(&mixture(6_000), false);
    let path = meta.path(ROWS_FILE);
    let bytes = disk.read(&path).unwrap();
    let segment = Segment::open(Arc::new(disk.fork()), &meta).unwrap();
    let leaves = leaves(&segment);
    let footer_bytes = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let pages_end = bytes.len() - footer_bytes - 8;
    let rows: Vec<usize> = (0..6_000).step_by(97).collect();
    let mut random = 1u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut refused = 0;
    for _ in 0..60 {
        let mut bytes = bytes.clone();
        for _ in 0..40 {
            let at = next(pages_end);
            bytes[at] ^= 1 << next(8);
        }
        let disk = disk.fork();
        disk.replace(&path, &bytes).unwrap();
        let mut meta = meta.clone();
        let file = meta.files.iter_mut().find(|file| file.name == ROWS_FILE).unwrap();
        *file = FileMeta::of(ROWS_FILE, &bytes);
        let segment = Segment::open(Arc::new(disk), &meta).unwrap();
        refused += usize::from(segment.pick_rows(&rows, &leaves).is_ok_and(|events| events.is_none()));
    }
    assert!(20 < refused, "{refused} of 60 were refused");
}

#[test]
fn a_flipped_bit_is_found_before_it_is_served_by_small_blocks_and_by_those_of_before() {
    let events = mixture(9_000);
    let mut served_of = Vec::new();
    for (is_old, block) in [(false, fine::BYTES), (true, BLOCK_BYTES)] {
        let (disk, meta) = written(&events, is_old);
        let whole = Segment::open(Arc::new(disk.fork()), &meta).unwrap();
        let footer = whole.footer().unwrap();
        assert_eq!(footer.file.block_bytes(), block);
        let expected = whole.fetch(&[4_000], Projection::All).unwrap();
        // What is behind the row groups is read with the blocks of 64 KiB around it.
        let columns = footer.metadata.metadata().row_groups().last().unwrap().columns();
        let end = columns.iter().map(|column| column.byte_range()).map(|(start, length)| start + length).max();
        let end = usize::try_from(end.unwrap()).unwrap() / BLOCK_BYTES * BLOCK_BYTES;
        let (mut served, mut refused) = (0, 0);
        for offset in (0..end).step_by(1_777) {
            let disk = disk.fork();
            assert!(disk.flip(&meta.path(ROWS_FILE), offset, u32::try_from(offset % 8).unwrap()));
            match Segment::open(Arc::new(disk), &meta).unwrap().fetch(&[4_000], Projection::All) {
                Ok(found) => {
                    served += 1;
                    assert_eq!(found, expected, "byte {offset}");
                }
                Err(ReadError::Corrupt(corrupt)) => {
                    refused += 1;
                    assert_eq!(corrupt.offset, (offset / block * block) as u64);
                }
                Err(other) => panic!("byte {offset}: {other}"),
            }
        }
        assert!(10 < refused, "{refused} refused, {served} served");
        served_of.push(served * 1_000 / (served + refused));
    }
    assert!(served_of[1] < served_of[0], "{served_of:?} of a thousand flips leave the row readable");
}

#[test]
fn rows_of_a_kind_have_values_in_the_columns_it_says_and_in_no_others() {
    let events = mixture(6_000);
    let (disk, meta) = written(&events, false);
    let segment = Segment::open(Arc::new(disk), &meta).unwrap();
    let footer = segment.footer().unwrap();
    let columns = footer.metadata.schema().fields();
    let text = |stored: &Stored, field: Field| stored.event.text(field).map(str::to_owned);
    let (mut unsaid, mut spared) = (0, 0);
    for stored in segment.rows().unwrap() {
        let key = [text(&stored, Field::EVENT_DATASET), text(&stored, Field::EVENT_CODE)];
        let Some(of_kind) = footer.kinds.columns(&key) else {
            unsaid += 1;
            continue;
        };
        for (number, column) in columns.iter().enumerate().filter(|(_, column)| column.is_nullable()) {
            let has_value = Field::lookup(column.name()).is_some_and(|field| stored.event.get(field).is_some());
            let is_in_column = has_value && !footer.spilled.iter().any(|name| name == column.name());
            assert!(!is_in_column || of_kind.contains(number), "{} of {key:?}", column.name());
            spared += usize::from(!of_kind.contains(number));
        }
    }
    // More kinds than are said.
    assert!((1..1_000).contains(&unsaid) && 6_000 * 30 < spared, "{unsaid} rows of no kind, {spared} columns spared");
}
