//! Segments written and read back.

use std::sync::Arc;

use datafusion::arrow::buffer::BooleanBuffer;
use nhatle_event::{Event, Field, Seq, Stored, Timestamp};

use super::meta::{Tier, WriteOptions};
use super::{Projection, Segment, write};
use crate::dataset::Dataset;
use crate::disk::{Disk, OsDisk};
use crate::error::ReadError;

fn segment(events: &[Stored]) -> (tempfile::TempDir, Segment) {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(folder.path()).unwrap());
    disk.create_folder("s").unwrap();
    let meta = write(&*disk, "s", events, &WriteOptions { dataset: Dataset::Events, tier: Tier::Recent }).unwrap();
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

#[test]
fn pages_are_looked_through_as_what_they_are_behind_a_dictionary_that_was_given_up() {
    let events: Vec<Stored> = (1..=6000)
        .map(|seq| {
            let mut stored = stored(seq, i64::try_from(seq).unwrap(), "m");
            let told = if seq == 4501 { "needle" } else { "hay" };
            // So many different texts that the dictionary is given up after some pages.
            stored.event.set(Field::PROCESS_COMMAND_LINE, format!("{seq} {told} {}", "x".repeat(600)));
            stored
        })
        .collect();
    let (_folder, segment) = segment(&events);
    let name = Field::PROCESS_COMMAND_LINE.name();
    let spans = super::Spans::of(&segment, None).unwrap();
    assert!(!spans.is_by_numbers(name));
    let form = regex::bytes::Regex::new("needle").unwrap();
    for first in [0, 1, 1500, 4300, 4500] {
        let picked = BooleanBuffer::collect_bool(6000, |row| first <= row);
        let found = spans.sift(0, &Some(picked), name, &form, || Ok::<(), ReadError>(())).unwrap().unwrap();
        assert!(found.value(4500), "from row {first}");
        assert!(!found.value(5999), "from row {first}: no page without it is kept behind the dictionary's");
    }
}

#[test]
fn a_text_that_repeats_takes_no_more_memory_than_there_is_to_stream_it() {
    let (long, bytes_max) = ("x".repeat(16 << 10), 1 << 20);
    for name in ["user_agent.original"] {
        let event = |seq: u64| {
            let mut one = stored(seq, i64::try_from(seq).unwrap(), "m");
            if (5_000..6_000).contains(&seq) {
                one.event.set_named(name, long.as_str());
            } else {
                one.event.set_named(name, "short");
            }
            one
        };
        let events: Vec<Stored> = (1..=20_000).map(event).collect();
        let (_folder, segment) = segment(&events);
        let (mut most, mut count, mut batches) = (0, 0, 0);
        for batch in segment.stream(bytes_max).unwrap() {
            let batch = batch.unwrap();
            let texts = batch.iter().flat_map(|one| one.event.fields()).filter_map(|(_, value)| value.text());
            most = most.max(texts.map(str::len).sum::<usize>());
            (count, batches) = (count + batch.len(), batches + 1);
        }
        assert_eq!(count, events.len());
        // Within a page the mean counts. Unbounded it was the whole 16 MiB.
        assert!(most <= 2 * bytes_max && batches < 2_000, "{name}: {most} bytes in one of {batches} batches");
    }
}
