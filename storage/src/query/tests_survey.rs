//! The walk: what it gives while it goes, pauses, stops; the live tail; what was skipped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nhatle_event::{Event, Seq, Text, Timestamp};

use super::tests::{World, simple, world};
use super::{Control, Order, Page, Part, Query, Stop, Wanted};
use crate::error::ReadError;
use crate::query::explain::How;

/// Segments of 40 events each, in order of time but for a late one in each, and some in memory.
fn store() -> World {
    let event = |at: i64| {
        let second = if at % 40 == 7 { at - 30 } else { at };
        simple(
            second,
            &[
                ("host.name", if at % 3 == 0 { "web" } else { "db" }),
                ("message", if at % 5 == 0 { "login failed for root" } else { "session closed" }),
                ("nhatle.unit", if at % 2 == 0 { "nam-ly" } else { "bac-ly" }),
            ],
        )
    };
    let pieces: Vec<Vec<Event>> = (0..6).map(|piece| (piece * 40..piece * 40 + 40).map(event).collect()).collect();
    world(&pieces, &(240..260).map(event).collect::<Vec<_>>())
}

fn walk(world: &World, query: &Query, page: Page, control: &Control) -> (Vec<u64>, super::Survey) {
    let mut hits = Vec::new();
    let survey = world.snapshot.survey(query, &Wanted::hits(page), control, &mut |part| {
        if let Part::Hits(more) = part {
            hits.extend(more.iter().map(|stored| stored.seq.0));
        }
    });
    (hits, survey.unwrap())
}

#[test]
fn what_was_given_is_in_order_and_never_moves() {
    let world = store();
    for line in ["*", "host.name:web", "message:\"login failed\"", "closed -nothing"] {
        let query = Query::parse(line).unwrap();
        let expected = world.expected(&query);
        let (mut given, mut parts, mut done) = (Vec::new(), 0, Vec::new());
        let wanted = Wanted::hits(Page::first(1_000));
        world
            .snapshot
            .survey(&query, &wanted, &Control::default(), &mut |part| match part {
                Part::Hits(more) => {
                    parts += 1;
                    given.extend(more.iter().map(|stored| stored.seq.0));
                    assert_eq!(given, expected[..given.len()], "{line}: a part is the next piece of the whole");
                }
                Part::Progress(progress) => {
                    // What is said to be done is done: every hit newer than that was given.
                    let newer = |to: Timestamp| {
                        let is_newer = |seq: &&u64| to < world.all[usize::try_from(**seq).unwrap() - 1].event.timestamp;
                        expected.iter().filter(is_newer).count()
                    };
                    assert!(progress.done_to.is_none_or(|to| newer(to) <= given.len()), "{line}");
                    done.push(progress.segments_done);
                }
            })
            .unwrap();
        assert_eq!(given, expected, "{line}");
        assert!(parts > 3, "{line}: given in {parts} parts");
        assert_eq!(done, (1..=6).collect::<Vec<_>>(), "{line}");
    }
}

#[test]
fn a_walk_that_pauses_goes_on_to_the_end() {
    let world = store();
    for (line, order) in
        [("host.name:web", Order::NewestFirst), ("login", Order::OldestFirst), ("nowhere", Order::NewestFirst)]
    {
        let query = Query::parse(line).unwrap();
        let mut expected = world.expected(&query);
        if order == Order::OldestFirst {
            expected.reverse();
        }
        for limit in [3, 1_000] {
            let mut page = Page { limit, cursor: None, order };
            let (mut found, mut pauses) = (Vec::new(), 0);
            loop {
                let due = Control::default().due_at(Instant::now());
                let (hits, survey) = walk(&world, &query, page, &due);
                found.extend(hits);
                pauses += u32::from(survey.paused_at.is_some());
                assert!(!(survey.paused_at.is_some() && survey.total_is_exact), "{line}: a part is no whole");
                let Some(cursor) = survey.cursor else { break };
                page = page.behind(cursor);
                assert!(found.len() <= expected.len() && pauses < 100, "{line}: it must end");
            }
            assert_eq!(found, expected, "{line}, {limit} at a time");
            assert!(pauses > 3, "{line}: {pauses} pauses");
        }
    }
}

#[test]
fn a_canceled_walk_stops_where_it_is() {
    let world = store();
    let query = Query::parse("host.name:web").unwrap();
    let canceled = Arc::new(AtomicBool::new(false));
    let control = Control::by(canceled.clone());
    let mut segments = 0;
    let error = world
        .snapshot
        .survey(&query, &Wanted::hits(Page::first(1_000)), &control, &mut |part| {
            if let Part::Progress(progress) = part {
                segments = progress.segments_done;
                canceled.store(true, Ordering::Relaxed);
            }
        })
        .unwrap_err();
    assert!(matches!(error, ReadError::Stopped(Stop::Canceled)), "{error}");
    assert_eq!(segments, 1, "no segment was read after it was canceled");
    assert!(matches!(
        world.snapshot.search_with(&query, &Page::first(10), &control),
        Err(ReadError::Stopped(Stop::Canceled))
    ));
}

#[test]
fn a_walk_that_would_hold_too_much_says_so() {
    let world = store();
    let control = Control::default().within(4_096);
    let error = world.snapshot.search_with(&Query::parse("*").unwrap(), &Page::first(1_000), &control).unwrap_err();
    assert!(matches!(error, ReadError::Stopped(Stop::Memory { bytes_max: 4_096 })), "{error}");
    assert!(world.snapshot.search_with(&Query::parse("*").unwrap(), &Page::first(1), &Control::default()).is_ok());
}

#[test]
fn explain_counts_every_segment_once_and_says_why() {
    let world = store();
    let explain = |line: &str, from: i64, units: Option<&[Text]>, limit: usize| {
        let mut query = Query::parse(line).unwrap().between(Timestamp::from_seconds(from), Timestamp::MAX);
        query.units = units.map(<[Text]>::to_vec);
        walk(&world, &query, Page::first(limit), &Control::default()).1.explain
    };
    for (line, from, limit) in
        [("*", 0, 5), ("host.name:web", 100, 9), ("xyzzy", 0, 5), ("no.such:x", 0, 5), ("login AND root", 0, 1_000)]
    {
        let explain = explain(line, from, None, limit);
        let share = &explain.segments;
        let sum = share.out_of_time + share.counted_whole + share.not_reached + share.no_time + share.no_unit;
        assert_eq!(
            sum + share.no_field + share.no_words + share.filtered + share.candidates,
            share.all,
            "{line}: {share:?}"
        );
        assert_eq!((share.all, explain.rows.stored, explain.rows.in_memory), (6, 240, 20), "{line}");
    }
    assert_eq!(explain("*", -100, None, 5).segments.counted_whole, 6, "the newest five are in memory");
    assert_eq!(explain("host.name:web", 200, None, 5).segments.out_of_time, 5);
    let rare = explain("xyzzy", 0, None, 5);
    assert_eq!((rare.segments.filtered, rare.read.indexes_read, rare.read.indexes_kept), (6, 0, 0), "no index is read");
    assert_eq!(explain("log*xyz", 0, None, 5).segments.no_words, 6, "a filter knows no patterns");
    assert_eq!(explain("host.name:xyzzy", 0, None, 5).segments.filtered, 6);
    assert_eq!(explain("host.name:xyzzy OR host.name:web", 0, None, 5).segments.filtered, 0);
    assert_eq!(explain("web", 0, None, 5).segments.filtered, 0, "the value of a covering field is a word too");
    assert_eq!(explain("no.such:x", 0, None, 5).segments.no_field, 6);
    assert_eq!(explain("*", 0, Some(&["thuan-duc".into()]), 5).segments.no_unit, 6);
    let sure = explain("host.name:web", 0, None, 1_000);
    assert_eq!((sure.rows.looked_at, sure.rows.candidates, sure.rows.sure), (0, 80, 80), "counted by the index alone");
    let phrase = explain("message:\"login failed\"", 0, None, 1_000);
    assert_eq!((phrase.rows.looked_at, phrase.rows.candidates), (48, 48), "only rows with both words");
    assert_eq!(phrase.tests[0].how, How::EntryThenRows);
    let early = explain("message:\"login failed\" AND xyzzy", 0, None, 5);
    assert_eq!(early.tests.len(), 1, "the rare word says no before the phrase is asked: {:?}", early.tests);
    let time = explain("@timestamp:>=1970-01-01T00:03:00Z", 0, None, 1_000);
    assert_eq!((time.rows.looked_at, time.tests[0].how), (0, How::Times));
}

#[test]
fn explain_says_what_the_index_spared_a_pattern() {
    let names: [&[&str]; 6] =
        [&["an", "binh"], &["administrator", "lan", "Minh"], &["lan"], &[], &["mi", "n"], &["jasmin"]];
    let event = |piece: usize, at: usize| {
        let mut values = vec![("host.name", "web"), ("message", "administrator minh")];
        if let Some(name) = names[piece].get(at % names[piece].len().max(1)) {
            values.push(("user.name", *name));
        }
        simple((piece * 30 + at) as i64, &values)
    };
    let pieces: Vec<Vec<Event>> = (0..6).map(|piece| (0..30).map(|at| event(piece, at)).collect()).collect();
    let world = world(&pieces, &[]);
    let query = Query::parse("user.name:*min*").unwrap();
    let (hits, survey) = walk(&world, &query, Page::first(1_000), &Control::default());
    assert_eq!(hits, world.expected(&query));
    let explain = survey.explain;
    // Of six segments two have such a value and one has no such field; the other three are told by their dictionaries alone.
    let share = &explain.segments;
    assert_eq!((share.all, share.no_field, share.no_words, share.candidates), (6, 1, 3, 2), "{share:?}");
    let test = &explain.tests[0];
    assert_eq!((test.test.as_str(), test.how), ("user.name:*min*", How::Dictionary));
    assert_eq!((test.segments_asked, test.segments_without), (6, 4), "{test:?}");
    assert_eq!((test.rows, test.rows_sure), (50, 50), "a short value in the index is the value: {test:?}");
    assert_eq!(
        (explain.rows.candidates, explain.rows.sure, explain.rows.looked_at),
        (50, 50, 0),
        "no row is read to see"
    );
}

#[test]
fn the_tail_gives_what_came_since_and_counts_what_it_leaves_out() {
    let world = store();
    let query = Query::parse("host.name:web").unwrap();
    let after = Seq(250);
    let tail = world.snapshot.tail(&query, after, 2);
    let expected: Vec<u64> = (251..=260u64).filter(|seq| (seq - 1) % 3 == 0).collect();
    let newest = &expected[expected.len() - 2..];
    assert_eq!(tail.hits.iter().map(|stored| stored.seq.0).collect::<Vec<_>>(), newest);
    assert_eq!((tail.left_out, tail.not_looked_at, tail.last), (expected.len() as u64 - 2, 0, Seq(260)));
    let behind = world.snapshot.tail(&query, Seq(200), 50);
    assert_eq!(behind.not_looked_at, 40, "what is in a segment is counted, not read");
    let limited = world.snapshot.tail(&Query::parse("*").unwrap().for_units(&["nam-ly".into()]), Seq(240), 50);
    assert_eq!(limited.hits.len(), 10);
    assert_eq!(world.snapshot.tail(&query, Seq(260), 5).hits.len(), 0);
}
