//! Outlines: what is written comes back byte for byte, whatever the line is; lines of one kind share few; those that gain nothing
//! are whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use nhatle_event::{Event, Field, Seq, Stored, Timestamp, Value};
use proptest::prelude::*;

use super::meta::{SegmentMeta, Tier, WriteOptions};
use super::outline::{Piece, compose, pieces, push_json, push_rest};
use super::outlines::Outlines;
use super::{Projection, ROWS_FILE, Segment, Spans, write};
use crate::dataset::Dataset;
use crate::disk::{Disk, OsDisk};

/// Takes the value of the field of this name of an event, as text.
fn text_of(event: &Event, name: &str, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(event.get(Field::lookup(name)?)?.as_text()?.as_bytes());
    Some(())
}

fn back(event: &Event, outline: &str, rest: &[u8]) -> Result<Vec<u8>, String> {
    compose(pieces(outline), rest, |name, out| text_of(event, name, out))
}

fn sshd(seq: u64, user: &str, port: i64) -> Stored {
    let message = format!("Failed password for {user} from 192.0.2.{} port {port} ssh2", seq % 250);
    let line = format!("<38>Aug  1 00:{:02}:{:02} bastion-1 sshd[{}]: {message}", seq / 60 % 60, seq % 60, 4000 + seq);
    let mut event = Event::new(Timestamp::from_seconds(seq as i64), line.into_bytes());
    event.set(Field::MESSAGE, message);
    event.set(Field::HOST_NAME, "bastion-1");
    event.set(Field::PROCESS_NAME, "sshd");
    event.set(Field::PROCESS_PID, Value::Long(4000 + seq as i64));
    event.set(Field::USER_NAME, user);
    Stored { seq: Seq(seq), committed: Timestamp(9), event }
}

fn windows(seq: u64) -> Stored {
    let image = format!("C:\\Windows\\System32\\tool{}.exe", seq % 7);
    let line = format!(
        "{{\"EventID\":1,\"Image\":\"{}\",\"User\":\"DH\\\\lan\",\"ProcessId\":{},\"Note\":\"x{seq} \\u00e9\"}}",
        image.replace('\\', "\\\\"),
        seq * 3
    );
    let mut event = Event::new(Timestamp::from_seconds(seq as i64), line.into_bytes());
    event.set_named("winlog.event_data.Image", image.as_str());
    event.set(Field::PROCESS_EXECUTABLE, image);
    event.set_named("winlog.event_data.User", "DH\\lan");
    event.set(Field::PROCESS_PID, Value::Long(seq as i64 * 3));
    Stored { seq: Seq(seq), committed: Timestamp(9), event }
}

fn segment(events: &[Stored]) -> (tempfile::TempDir, Segment, SegmentMeta) {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(folder.path()).unwrap());
    disk.create_folder("s").unwrap();
    let meta = write(&*disk, "s", events, &WriteOptions { dataset: Dataset::Events, tier: Tier::Recent }).unwrap();
    (folder, Segment::open(disk, &meta).unwrap(), meta)
}

#[test]
fn lines_of_one_program_have_one_outline_and_little_rest() {
    let mut outlines = Outlines::default();
    let (mut different, mut rest_bytes, mut line_bytes) = (BTreeSet::new(), 0, 0);
    for seq in 1..=500 {
        for stored in [sshd(seq, ["root", "lan", "admin"][seq as usize % 3], 40_000 + seq as i64), windows(seq)] {
            let event = &stored.event;
            let (outline, rest) = outlines.of(event, &vec![true; event.fields().len()]).expect("an outline");
            assert_eq!(back(event, &outline, rest).unwrap(), &*event.original);
            rest_bytes += rest.len();
            line_bytes += event.original.len();
            different.insert(outline);
        }
    }
    assert_eq!(different.len(), 2, "{different:?}");
    assert!(rest_bytes * 5 < line_bytes, "{rest_bytes} of {line_bytes} bytes are rest");
    let of_windows = different.iter().find(|outline| outline.starts_with('{')).unwrap();
    assert!(of_windows.contains("\"Image\":\"\u{1}\"winlog.event_data.Image\u{2}\""), "{of_windows:?}");
}

#[test]
fn values_without_a_column_are_not_named() {
    let stored = sshd(1, "lan", 40_000);
    let has_column: Vec<bool> = stored.event.fields().iter().map(|(field, _)| *field != Field::MESSAGE).collect();
    let mut outlines = Outlines::default();
    let (outline, rest) = outlines.of(&stored.event, &has_column).unwrap();
    assert_eq!(back(&stored.event, &outline, rest).unwrap(), &*stored.event.original);
    assert!(pieces(&outline).all(|piece| !matches!(piece, Ok(Piece::Value { name: "message", .. }))));
}

#[test]
fn lines_that_share_nothing_are_whole_after_some() {
    let mut outlines = Outlines::default();
    let word = |number: u64| -> String {
        (0..12)
            .map(|at| char::from(b'a' + (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (at * 5) & 15) as u8))
            .collect()
    };
    let mut given = 0;
    for seq in 1..2_000 {
        // Another number of words each time.
        let line: Vec<String> = (0..seq % 97 + 3).map(|at| word(seq * 100 + at)).collect();
        let event = Event::new(Timestamp(0), line.join(" ").into_bytes());
        given += u64::from(outlines.of(&event, &[]).is_some());
    }
    assert!(given < 100, "{given} lines have an outline");
}

#[test]
fn whoever_reads_few_columns_gets_the_bytes_too() {
    let mut events: Vec<Stored> =
        (1..=3_000).map(|seq| if seq % 2 == 0 { sshd(seq, "lan", 1) } else { windows(seq) }).collect();
    events[6].event.original = (*b"\xff\x00 no text").into();
    events[7].event.original = (*b"").into();
    let (_folder, segment, meta) = segment(&events);
    let originals = |rows: Vec<Stored>| -> Vec<_> { rows.into_iter().map(|one| one.event.original).collect() };
    assert!(originals(segment.rows().unwrap()) == originals(events.clone()));
    // One by one, as pages; some hundred, as tables; and as SQL reads them.
    for rows in [vec![0, 6, 7, 2_999], (0..3_000).step_by(7).collect::<Vec<_>>()] {
        for projection in [Projection::All, Projection::Keys(&["event.original".into()])] {
            let fetched = segment.fetch(&rows, projection).unwrap();
            let originals: Vec<&[u8]> = fetched.iter().map(|stored| &*stored.event.original).collect();
            let expected: Vec<&[u8]> = rows.iter().map(|row| &*events[*row].event.original).collect();
            assert!(originals == expected);
        }
    }
    let spans = Spans::of(&segment, None).unwrap();
    let mut row = 0;
    for table in spans.read(0, &None, &["event.original", "event.hash", "user.name"], 1000).unwrap() {
        let table = table.unwrap();
        assert_eq!(table.num_columns(), 3);
        let bytes = arrow_array::cast::AsArray::as_binary_view(table.column_by_name("event.original").unwrap());
        let hashes = arrow_array::cast::AsArray::as_fixed_size_binary(table.column_by_name("event.hash").unwrap());
        for (bytes, hash) in bytes.iter().zip(hashes.iter()) {
            assert_eq!(bytes, Some(&*events[row].event.original));
            assert_eq!(hash, Some(&events[row].event.original_hash()[..]));
            row += 1;
        }
    }
    assert_eq!(row, events.len());
    let whole: usize = events.iter().map(|stored| stored.event.original.len()).sum();
    assert!(meta.file(ROWS_FILE).unwrap().bytes < whole as u64 / 4);
}

#[test]
fn an_outline_that_is_none_is_an_error() {
    let event = sshd(1, "lan", 1).event;
    for (outline, rest) in [
        ("\u{1}no.such.field\u{2}", &b""[..]),
        ("\u{1}message", b""),
        ("\u{1}\u{2}", b""),
        ("\u{1}\u{2}", b"\x05abc"),
        ("\u{1}\u{2}", b"\xff\xff\xff\xff\xff\xff"),
        ("plain", b"\x01a"),
    ] {
        assert!(back(&event, outline, rest).is_err(), "{outline:?}");
    }
    let many = "\u{1}message\u{2}".repeat(2 << 20);
    assert!(back(&event, &many, b"").unwrap_err().contains("more than"));
}

/// A line of values of the event, other words and whatever stands between them.
fn line_and_event() -> impl Strategy<Value = Event> {
    let value = prop_oneof![
        "[a-z0-9.:/ =\"\\\\-]{0,12}".prop_map(Value::from),
        any::<i64>().prop_map(Value::Long),
        (-20i64..20).prop_map(Value::Long),
        any::<[u8; 4]>().prop_map(|bytes| Value::Ip(bytes.into())),
        Just(Value::from("Đồng Hới \u{1} x")),
    ];
    let part = prop_oneof![
        (0usize..6).prop_map(|at| (at, String::new())),
        "[ =:\"{},\\[\\]a-f0-9\\\\\n\u{1}\u{2}é-]{0,6}".prop_map(|text| (9, text)),
    ];
    (proptest::collection::vec(value, 1..6), proptest::collection::vec((part, any::<bool>()), 0..16)).prop_map(
        |(values, parts)| {
            let names = ["message", "user.name", "host.name", "test.outline.a", "test.outline.b", "process.name"];
            let mut line = Vec::new();
            for ((at, text), is_json) in &parts {
                match values.get(*at).and_then(Value::as_text) {
                    Some(value) if *is_json => push_json(&mut line, &value),
                    Some(value) => line.extend_from_slice(value.as_bytes()),
                    None => line.extend_from_slice(text.as_bytes()),
                }
            }
            let mut event = Event::new(Timestamp(0), line);
            names.iter().zip(values).for_each(|(name, value)| event.set_named(name, value));
            event
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_line_comes_back_by_its_outline_or_is_whole(events in proptest::collection::vec(line_and_event(), 1..20)) {
        let mut outlines = Outlines::default();
        for event in &events {
            let has_column: Vec<bool> = event.fields().iter().map(|(field, _)| field.name() != "host.name").collect();
            if let Some((outline, rest)) = outlines.of(event, &has_column) {
                let is_named = outline.contains("host.name\u{2}");
                prop_assert!(!is_named);
                prop_assert_eq!(back(event, &outline, rest).unwrap(), &*event.original);
            }
        }
    }

    #[test]
    fn any_events_come_back_from_a_segment(events in proptest::collection::vec(line_and_event(), 1..80)) {
        let stored = |(seq, event): (usize, &Event)| {
            Stored { seq: Seq(seq as u64), committed: Timestamp(7), event: event.clone() }
        };
        let events: Vec<Stored> = events.iter().enumerate().map(stored).collect();
        let (_folder, segment, _) = segment(&events);
        let all: Vec<usize> = (0..events.len()).collect();
        for read in [segment.rows().unwrap(), segment.fetch(&all, Projection::All).unwrap()] {
            for (read, written) in read.iter().zip(&events) {
                prop_assert_eq!(&read.event.original, &written.event.original);
            }
        }
    }

    #[test]
    fn no_text_is_a_panic(outline in "[\u{1}\u{2}a\"]{0,12}", rest in proptest::collection::vec(any::<u8>(), 0..12)) {
        let made = back(&Event::new(Timestamp(0), *b""), &outline, &rest);
        prop_assert!(made.is_err() || made.unwrap().len() <= outline.len() + rest.len());
    }
}

#[test]
fn lengths_of_rest_are_as_written_down() {
    let mut rest = Vec::new();
    push_rest(&mut rest, &[b'x'; 300]);
    assert_eq!(&rest[..3], [0xac, 0x02, b'x']);
    assert_eq!(compose(pieces("\u{1}\u{2}"), &rest, |_, _| None).unwrap(), [b'x'; 300]);
}
