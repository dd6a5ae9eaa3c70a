//! Tests over files made here, byte by byte: the shape of a file, its tolerance, and bounds against hostile ones.

use nhatle_event::{DeadLetter, Event, Field, Record, Timestamp, Value};
use proptest::prelude::*;

use super::made::{Writer, event_xml, event_xml_with, file, wide};
use super::{EvtxReader, RECORD_MAGIC};

fn good(records: usize) -> Vec<u8> {
    file(records, |base, number| event_xml(base, &format!(r"C:\Tools\run{number}.exe "), (1, &wide("a"))))
}

fn read(bytes: &[u8]) -> Vec<Result<Event, DeadLetter>> {
    EvtxReader::new(bytes, &Record::new(*b"", "made", Timestamp(0))).collect()
}

#[track_caller]
fn check_text(event: &Event, name: &str, expected: &str) {
    let value = Field::lookup(name).and_then(|field| event.get(field)).and_then(Value::as_text);
    assert_eq!(value.as_deref(), Some(expected), "{name}");
}

#[test]
fn a_made_file_reads_field_by_field() {
    let results = read(&good(3));
    assert_eq!(results.len(), 3);
    let event = results[1].as_ref().expect("is whole");
    check_text(event, "event.code", "1");
    check_text(event, "event.dataset", "windows.sysmon");
    check_text(event, "winlog.event_data.Image", r"C:\Tools\run1.exe ");
    check_text(event, "winlog.event_data.Note", "<a>");
    check_text(event, "winlog.event_data.param2", "two");
    check_text(event, "process.name", "run1.exe ");
    check_text(event, "nhatle.input", "made");
    assert!(event.original.starts_with(&RECORD_MAGIC));
    assert_eq!(event.timestamp, Timestamp(0));
}

#[test]
fn a_broken_record_is_one_dead_letter_and_the_next_is_read() {
    let mut bytes = file(3, |base, number| match number {
        1 => vec![0x0f, 1, 1, 0, 0x3f],
        _ => event_xml(base, "x", (1, &wide("a"))),
    });
    let results = read(&bytes);
    let letter = results[1].as_ref().expect_err("has an unknown token");
    assert_eq!(results.iter().filter(|one| one.is_ok()).count(), 2);
    assert_eq!(letter.offset, 28);
    let place = bytes.windows(33).position(|part| part == &*letter.record.bytes).expect("is in the file");
    assert_eq!(letter.reason, format!("evtx: unknown token: chunk 0, record 2, file offset {place}"));

    // Without its magic a record is a gap, and the chunk's checksum no longer holds.
    bytes[4096 + 512] = 0;
    let results = read(&bytes);
    let reasons: Vec<_> = results.iter().filter_map(|one| one.as_ref().err()).map(|one| one.reason.as_str()).collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons[0].starts_with("evtx: chunk checksum of its records does not match: chunk 0, file offset 4096"));
    assert!(reasons[1].starts_with("evtx: chunk holds 2 records, its header says 3: chunk 0, file offset 4096"));
    assert!(reasons[2].starts_with("evtx: record is none: chunk 0, file offset 4608"));
    let mut reader = EvtxReader::new(&bytes[..], &Record::new(*b"", "made", Timestamp(0)));
    assert_eq!((reader.by_ref().count(), reader.record_count()), (5, 2));
    assert_eq!(results.iter().filter(|one| one.is_ok()).count(), 1);
}

#[test]
fn a_truncated_file_gives_what_it_has_and_says_so() {
    let whole = good(3);
    let size = event_xml(0, r"C:\Tools\run0.exe ", (1, &wide("a"))).len() + 28;
    let results = read(&whole[..4096 + 512 + 2 * size + 10]);
    assert_eq!(results.iter().filter(|one| one.is_ok()).count(), 2);
    let letter = results[0].as_ref().expect_err("the end is missing");
    assert_eq!(letter.reason, "evtx: file ends inside a chunk: chunk 0, file offset 4096");
    let reason = |bytes: &[u8]| read(bytes).remove(0).expect_err("is cut").reason;
    assert!(reason(&whole[..100]).starts_with("evtx: file ends inside its header"));
    assert!(reason(b"").starts_with("evtx: file ends inside its header"));
}

#[test]
fn the_next_chunk_is_read_behind_a_broken_one() {
    let mut bytes = good(2);
    let second = bytes[4096..].to_vec();
    bytes[4096..4104].fill(b'x');
    bytes.extend_from_slice(&[0; 65_536]);
    bytes.extend_from_slice(&second);
    let results = read(&bytes);
    assert_eq!(results.iter().filter(|one| one.is_ok()).count(), 2);
    let letter = results[0].as_ref().expect_err("is no chunk");
    assert_eq!(letter.reason, "evtx: chunk header is none: chunk 0, file offset 4096");
}

#[test]
fn binary_xml_that_holds_itself_ends() {
    // A value of type binary XML that says it begins a template whose value is binary XML, eight times over.
    let bytes = file(1, |base, _| {
        let inner = [0x0f, 1, 1, 0, 0x0c, 1, 0, 0, 0, 0];
        let mut note = inner.to_vec();
        let definition = u32::try_from(base + 10).unwrap();
        note.extend_from_slice(&definition.to_le_bytes());
        note.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0x21, 0]);
        event_xml(base, "x", (0x21, &note))
    });
    assert!(read(&bytes).len() <= 2);
}

#[test]
fn a_name_that_comes_twice_becomes_a_list() {
    let bytes = file(1, |base, _| {
        // A nested fragment: elements without a number to depend on, names in place.
        let nested = |at: usize| {
            let mut out = Writer { bytes: vec![0x0f, 1, 1, 0], base: at };
            for text in ["y", "z"] {
                out.put(&[0x01]).u32(0).name("Image").put(&[0x02]).text(text).end();
            }
            out.put(&[0]).bytes.clone()
        };
        let xml = |at| event_xml_with(base, "x", (1, &[]), (0x21, &nested(at)));
        let place = xml(0).len() - 1 - nested(0).len();
        xml(base + place)
    });
    let results = read(&bytes);
    let event = results[0].as_ref().expect("is whole");
    let image = Field::lookup("winlog.event_data.Image").expect("is known");
    let held: Vec<_> = event.fields().iter().filter(|(field, _)| *field == image).collect();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].1, Value::List(["x", "y", "z"].map(Value::from).to_vec()));
}

#[test]
fn one_value_used_very_often_is_refused() {
    let bytes = file(1, |base, _| {
        let mut out = Writer { bytes: Vec::new(), base };
        out.put(&[0x0f, 1, 1, 0, 0x0c, 1]).u32(7);
        let definition = base + out.bytes.len() + 4;
        out.u32(definition).u32(0).put(&[9; 16]).u32(0);
        let size_at = out.bytes.len() - 4;
        out.element("Event", None).element("EventData", None).element("Data", None);
        for _ in 0..3000 {
            out.substitution(0, 1);
        }
        out.end().end().end().put(&[0]);
        let size = u32::try_from(out.bytes.len() - size_at - 4).unwrap();
        out.bytes[size_at..size_at + 4].copy_from_slice(&size.to_le_bytes());
        out.u32(1).put(&2000u16.to_le_bytes()).put(&[1, 0]).put(&wide(&"x".repeat(1000)));
        out.bytes
    });
    let letter = read(&bytes).remove(0).expect_err("passes the bound");
    assert!(letter.reason.starts_with("evtx: more values than one record may have"), "{}", letter.reason);
}

proptest! {
    #[test]
    fn changed_bytes_are_read_or_named(changes in proptest::collection::vec((0usize..3000, any::<u8>()), 1..24)) {
        let mut bytes = good(3);
        for (at, byte) in changes {
            bytes[4096 + at] = byte;
        }
        for letter in read(&bytes).into_iter().filter_map(Result::err) {
            prop_assert!(letter.reason.starts_with("evtx: "));
        }
    }

    #[test]
    fn any_record_is_read_or_named(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = file(1, |_, _| [&[0x0f, 1, 1, 0, 0x0c, 1][..], &body].concat());
        prop_assert_eq!(read(&bytes).len(), 1);
    }
}
