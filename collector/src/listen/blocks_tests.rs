//! Blocks give what reading record by record gives.

use std::io::Write;

use nhatle_event::{DeadLetter, Event, Timestamp};
use proptest::prelude::*;

use super::blocks::FileBlocks;
use super::file::{FileEntries, FileOptions};
use crate::Settings;
use crate::parse::evtx::Decoder;

type Shown = (u64, Result<Event, (String, usize, bool)>);

fn shown((index, result): (u64, Result<Event, DeadLetter>)) -> Shown {
    (index, result.map_err(|letter| (letter.reason.to_string(), letter.offset, letter.record.is_truncated)))
}

/// Both ways of reading, and whether each broke off.
fn both_ways(bytes: &[u8]) -> [(Vec<Shown>, bool); 2] {
    let mut file = tempfile::NamedTempFile::new().expect("there is room");
    file.write_all(bytes).expect("there is room");
    let (options, settings) = (FileOptions::new(Timestamp(0)), Settings::default());
    let open = || FileEntries::open(file.path(), &options).expect("opens");
    let (mut slow, mut fast) = ((Vec::new(), false), (Vec::new(), false));
    for entry in open() {
        match entry {
            Ok(entry) => slow.0.push(shown((entry.index, entry.convert(&settings)))),
            Err(_broken) => slow.1 = true,
        }
    }
    let mut decoder = Decoder::default();
    for block in FileBlocks::new(open()) {
        match block {
            Ok(block) => fast.0.extend(block.convert(&mut decoder, &settings).into_iter().map(shown)),
            Err(_broken) => fast.1 = true,
        }
    }
    [slow, fast]
}

#[track_caller]
fn check(bytes: &[u8]) -> usize {
    let [slow, fast] = both_ways(bytes);
    assert_eq!(slow.1, fast.1, "one way says that the file is broken");
    assert_eq!(slow.0.len(), fast.0.len());
    for (slow, fast) in slow.0.iter().zip(&fast.0) {
        assert_eq!(slow, fast);
    }
    slow.0.len()
}

#[test]
fn lines_keep_their_index_across_blocks() {
    let line = |number: usize| format!("{{\"n\":{number},\"text\":\"{}\"}}\r\n", "x".repeat(number % 900));
    let text: String = (0..3000).map(|number| if number % 7 == 0 { "\n".to_owned() } else { line(number) }).collect();
    assert!(1 << 20 < text.len(), "several blocks");
    assert_eq!(check(text.as_bytes()), 3000 - 3000usize.div_ceil(7));
    assert_eq!(check(text.trim_end().as_bytes()), 3000 - 3000usize.div_ceil(7), "no newline at the end");
    check(b"");
    check(b"\n\n");
}

#[test]
fn a_line_longer_than_a_block_is_one_record() {
    for length in [(256 << 10) - 1, 256 << 10, (256 << 10) + 1, 17 << 20] {
        let text = format!("first\n{}\nlast\n", "y".repeat(length));
        assert_eq!(check(text.as_bytes()), 3, "{length}");
        assert_eq!(check(&text.as_bytes()[6..]), 2, "{length}");
    }
}

#[test]
fn arrays_and_pretty_objects_come_in_blocks() {
    let element = |number: usize| format!("{{\n \"n\": {number}, \"t\": \"],}}{}\"\n}}", "z".repeat(number % 500));
    let elements: Vec<String> = (0..3000).map(element).collect();
    assert_eq!(check(format!("[{}]", elements.join(",\n")).as_bytes()), 3000);
    assert_eq!(check(elements.join("\n").as_bytes()), 3000);
    assert_eq!(check(format!("[{}", elements.join(",\n")).as_bytes()), 3000, "not closed");
}

#[test]
fn a_broken_archive_gives_what_it_has_both_ways() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for number in 0..40_000u32 {
        writeln!(packer, "{}", number.wrapping_mul(2_654_435_761)).expect("memory is there");
    }
    let packed = packer.finish().expect("memory is there");
    for length in [packed.len() / 2, packed.len() - 4, packed.len()] {
        let [slow, fast] = both_ways(&packed[..length]);
        assert_eq!((slow.0.len(), slow.1), (fast.0.len(), fast.1), "{length}");
        assert_eq!(slow.1, length < packed.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes_are_cut_alike(parts in prop::collection::vec(("[ -~]{0,40}|\r|\t|#[a-z]{1,4}|\\{\"a\":[0-9]\\}", 1usize..3000), 1..24)) {
        let mut text = String::new();
        for (part, count) in parts {
            text.push_str(&part.repeat(count));
            text.push('\n');
        }
        check(text.as_bytes());
    }
}
