//! Limits: time, memory, size of the answer, number at once, size and depth of the text. A query past one ends in an
//! error that names it, and leaves nothing running or lying about.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::tests::{rows, store};
use super::{Answer, Limits, Sql, SqlError, World};

/// How long is waited for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a promise of time is tried.
const TRIES: usize = 4;

/// The limits of every day, but for the time: where another bound is tried, a slow machine is not to meet this one first.
fn untimed() -> Limits {
    Limits { time: Duration::from_secs(600), ..Limits::default() }
}

fn limited(limits: Limits) -> Sql {
    Sql::new(Limits { threads: 2, ..limits }).unwrap()
}

/// The query ends with its time, at most a second later. On a machine that is busy with something else the best of some
/// tries counts: each must end by its time, and one of them that soon.
#[track_caller]
fn ends_in_time(sql: &Sql, query: &str, world: &World) {
    let mut shortest = Duration::MAX;
    for _ in 0..TRIES {
        let begin = Instant::now();
        let ended = rows(sql, query, world);
        shortest = shortest.min(begin.elapsed());
        assert!(matches!(ended, Err(SqlError::TimeLimit { .. })), "{query}: {ended:?}");
        // Not only was an answer given: the work itself is over, which would take hours otherwise. A step of an operator
        // that has begun goes on to its end, a fifth of a second for the window below.
        while sql.running() > 0 {
            assert!(begin.elapsed() < sql.limits().time + PATIENCE, "{query} still runs");
            std::thread::yield_now();
        }
        if shortest < sql.limits().time + Duration::from_secs(1) {
            return;
        }
    }
    panic!("{query} took {shortest:?}");
}

#[test]
fn a_long_query_ends_with_its_time_also_inside_one_operator() {
    let store = store(1, 4_000);
    let world = World::of(store.snapshot.clone());
    let sql = limited(Limits { time: Duration::from_millis(1_500), ..untimed() });
    for query in [
        // Joins that would go on for hours over a few rows.
        "SELECT sum(a.nhatle.seq + d.nhatle.seq) FROM events a, events b, events c, events d",
        "SELECT count(*) FROM events a JOIN events b ON a.nhatle.seq < b.nhatle.seq JOIN events c ON b.nhatle.seq < c.nhatle.seq",
        "SELECT count(*) FROM events a JOIN events b ON length(a.message) = length(b.message) \
         JOIN events c ON length(c.message) = length(b.message) JOIN events d ON length(d.message) = length(c.message)",
        "SELECT max(a.message || b.message || c.message) FROM events a, events b, events c",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
        "SELECT max(n) FROM (SELECT sum(a.nhatle.seq) OVER (ORDER BY a.nhatle.seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS n \
         FROM events a, events b, events c)",
        "SELECT a.nhatle.seq FROM events a, events b, events c ORDER BY a.message || b.message LIMIT 3",
        "SELECT DISTINCT a.nhatle.seq * b.nhatle.seq * c.nhatle.seq % 7 FROM events a, events b, events c",
    ] {
        ends_in_time(&sql, query, &world);
    }
}

#[test]
fn too_little_memory_is_an_error_and_what_was_spilled_is_deleted() {
    let store = store(2, 4_000);
    let world = World::of(store.snapshot.clone());
    let folder = tempfile::tempdir().unwrap();
    let spill_folder = Some(folder.path().join("spill"));
    let queries = [
        "SELECT a.message, count(*) FROM events a JOIN events b ON a.user.name = b.user.name GROUP BY a.message",
        "SELECT message, max(event.original) FROM events GROUP BY message, event.original, nhatle.seq",
        "SELECT a.*, b.* FROM events a JOIN events b ON a.nhatle.seq = b.nhatle.seq ORDER BY a.message, b.message, a.nhatle.seq",
        "SELECT nhatle.seq, count(*) FROM events GROUP BY nhatle.seq",
        "SELECT count(DISTINCT event.original || nhatle.seq) FROM events",
        "SELECT approx_distinct(event.original), median(nhatle.seq) FROM events",
        "SELECT *, row_number() OVER (ORDER BY message) FROM events",
        "SELECT e.nhatle.seq FROM events e UNION SELECT a.nhatle.seq FROM events a ORDER BY 1",
    ];
    let mut exhausted = 0;
    for memory_bytes in [10_000, 200_000, 2_000_000] {
        let sql = limited(Limits { memory_bytes, spill_folder: spill_folder.clone(), ..untimed() });
        for query in queries {
            match rows(&sql, query, &world) {
                Ok(_) => {}
                Err(SqlError::Memory(_)) => exhausted += 1,
                Err(other) => panic!("{query} in {memory_bytes}: {other:?}"),
            }
        }
        // Tasks of a query that ended early are dropped by their own threads, and what they spilled with them.
        let spilled = || std::fs::read_dir(folder.path().join("spill")).unwrap().flatten().collect::<Vec<_>>();
        let begin = Instant::now();
        while (sql.running() > 0 || !spilled().is_empty()) && begin.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        assert!(sql.running() == 0 && spilled().is_empty(), "{:?}", spilled());
    }
    assert!(3 < exhausted, "the bound is never felt");
}

#[test]
fn a_sort_larger_than_memory_goes_on_with_the_disk() {
    let store = store(3, 6_000);
    let world = World::of(store.snapshot.clone());
    let folder = tempfile::tempdir().unwrap();
    let query = "SELECT nhatle.seq, event.hash, event.original, event.original || event.hash AS x FROM events ORDER BY x, nhatle.seq";
    let plenty = rows(&limited(untimed()), query, &world).unwrap().1;
    let sql = Sql::new(Limits {
        memory_bytes: 1_500_000,
        spill_folder: Some(folder.path().join("spill")),
        threads: 1,
        ..untimed()
    });
    let little = rows(&sql.unwrap(), query, &world);
    assert!(little.as_ref().is_ok_and(|found| found.1 == plenty), "{:?}", little.err());
    let nothing = Sql::new(Limits {
        memory_bytes: 1_500_000,
        spill_bytes: 1_000,
        spill_folder: Some(folder.path().join("spill")),
        threads: 1,
        ..untimed()
    });
    assert!(rows(&nothing.unwrap(), query, &world).is_err(), "room on the disk is bounded too");
}

#[test]
fn answers_are_bounded_and_text_that_doubles_itself_is() {
    let store = store(4, 400);
    let world = World::of(store.snapshot.clone());
    let sql = limited(Limits { rows_max: 100, ..untimed() });
    let refused = |sql: &Sql, query: &str| rows(sql, query, &world).unwrap_err();
    assert!(matches!(refused(&sql, "SELECT nhatle.seq FROM events"), SqlError::TooMuch { .. }));
    assert_eq!(rows(&sql, "SELECT nhatle.seq FROM events LIMIT 100", &world).unwrap().1.len(), 100);
    let sql = limited(Limits { answer_bytes_max: 5_000, ..untimed() });
    assert!(matches!(refused(&sql, "SELECT event.original FROM events"), SqlError::TooMuch { .. }));
    let sql = limited(untimed());
    for query in [
        "SELECT length(repeat('x', 2000000000)) FROM events".to_owned(),
        "SELECT repeat(message, nhatle.seq * 1000000) FROM events".to_owned(),
        "SELECT length(lpad('x', 2147483647)) FROM events".to_owned(),
        "SELECT length(replace(repeat('a', 10000000), 'a', repeat('b', 10000000)))".to_owned(),
        "SELECT length(concat(a, a, a, a)) FROM (SELECT repeat('x', 30000000) AS a FROM events)".to_owned(),
        format!("SELECT length(x) FROM ({}", doubled(10)),
    ] {
        let error = refused(&sql, &query);
        assert!(matches!(error, SqlError::Failed(_) | SqlError::Memory(_)), "{query}: {error:?}");
    }
    for (query, expected) in [
        ("SELECT length(repeat('x', 1000)) FROM events LIMIT 1", 1_000),
        ("SELECT sum(length(repeat(CAST(nhatle.seq AS VARCHAR), 3))) FROM events WHERE nhatle.seq < 10", 27),
    ] {
        assert_eq!(rows(&sql, query, &world).unwrap().1, [[super::Cell::Int(expected)]], "{query}");
    }
}

/// WITHs that each name the one before it twice.
fn doubling(times: usize) -> String {
    let mut text = "WITH c0 AS (SELECT 1 AS n FROM events)".to_owned();
    for at in 1..times {
        text += &format!(", c{at} AS (SELECT x.n FROM c{} x, c{} y)", at - 1, at - 1);
    }
    format!("{text} SELECT count(*) FROM c{}", times - 1)
}

fn doubled(times: usize) -> String {
    let mut text = "SELECT event.original AS x FROM events)".to_owned();
    for _ in 0..times {
        text = format!("SELECT x || x || x || x AS x FROM ({text})");
    }
    text
}

#[test]
fn text_of_any_size_and_depth_is_an_error_and_no_overflow() {
    let store = store(5, 20);
    let world = World::of(store.snapshot.clone());
    let sql = limited(untimed());
    let nested = |count: usize| format!("SELECT {}1{}", "(".repeat(count), ")".repeat(count));
    for query in [
        nested(100_000),
        nested(65),
        "(".repeat(60_000),
        format!("SELECT {}1", "-".repeat(3)),
        format!("SELECT {}1", "- ".repeat(5_000)),
        format!("SELECT count(*) FROM events WHERE nhatle.seq{} > 0", " + 1".repeat(410)),
        format!("SELECT count(*) FROM events WHERE nhatle.seq{} > 0", "::bigint".repeat(410)),
        format!("SELECT {}true", "NOT ".repeat(5_000)),
        format!("SELECT 1{}", " + 1".repeat(5_000)),
        format!("SELECT * FROM events WHERE {}true", "true OR ".repeat(5_000)),
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(3_000), " END".repeat(3_000)),
        format!("SELECT 1{}", "::bigint".repeat(5_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(500)),
        format!("SELECT '{}'", "x".repeat(200_000)),
        format!("SELECT {}", "events.".repeat(15_000)),
        "\u{0}\u{1}'".to_owned(),
        "SELECT sum(nhatle.seq) OVER (ORDER BY nhatle.seq ROWS BETWEEN 9999999999 PRECEDING AND CURRENT ROW) FROM events".to_owned(),
        doubling(12),
        format!("{}SELECT 1{}", "WITH a AS (".repeat(20), ") SELECT 1".repeat(20)),
        format!("SELECT * FROM ({}) x", doubling(12)),
        format!("SELECT '{}' FROM events", "x".repeat(17_000)),
        "SELECT 1 FROM events WHERE message ~ user.name".to_owned(),
        format!("SELECT count(*) FROM events GROUP BY CUBE({})", vec!["user.name || 'x'"; 20].join(", ")),
    ] {
        let refused = rows(&sql, &query, &world);
        let start: String = query.chars().take(40).collect();
        assert!(matches!(refused, Err(SqlError::Refused(_))), "{start}: {:?}", refused.map(|found| found.1.len()));
    }
    // As deep as it may be is answered.
    assert_eq!(rows(&sql, &nested(20), &world).unwrap().1.len(), 1);
    let chain = format!("SELECT count(*) FROM events WHERE user.name = 'x'{}", " OR user.name = 'y'".repeat(700));
    assert_eq!(rows(&sql, &chain, &world).unwrap().1.len(), 1);
    let sum = format!("SELECT max(nhatle.seq{}) FROM events", " + nhatle.seq".repeat(390));
    assert_eq!(rows(&sql, &sum, &world).unwrap().1.len(), 1);
    let list = format!("SELECT count(*) FROM events WHERE nhatle.seq IN (1{})", ", 2".repeat(5_000));
    assert_eq!(rows(&sql, &list, &world).unwrap().1.len(), 1);
}

#[test]
fn so_many_run_at_once_and_who_goes_away_ends_his() {
    let store = store(6, 4_000);
    let world = World::of(store.snapshot.clone());
    let sql = limited(Limits { running_max: 2, wait: Duration::from_millis(50), ..untimed() });
    let long = "SELECT sum(a.nhatle.seq + b.nhatle.seq + c.nhatle.seq) FROM events a, events b, events c";
    let one = sql.run(long, &[], &world).unwrap();
    let other = sql.run(long, &[], &world).unwrap();
    assert!(matches!(rows(&sql, "SELECT 1", &world), Err(SqlError::Busy { running_max: 2 })));
    drop(one);
    let begin = Instant::now();
    while sql.running() > 1 {
        assert!(begin.elapsed() < PATIENCE, "it runs although nobody waits");
        std::thread::yield_now();
    }
    assert_eq!(rows(&sql, "SELECT 1", &world).unwrap().1.len(), 1);
    other.canceler().cancel();
    let mut other = other;
    assert!(matches!(other.next_batch(), Err(SqlError::Canceled)));
}

#[test]
fn an_answer_that_was_put_aside_gives_its_turn_to_one_that_waits_and_no_other_does() {
    let store = store(7, 4_000);
    let world = World::of(store.snapshot.clone());
    let sql = limited(Limits { running_max: 2, wait: Duration::from_secs(20), ..Limits::default() });
    let many = "SELECT a.nhatle.seq FROM events a, events b LIMIT 300000";
    let aside = World { put_aside: Arc::new(AtomicBool::new(true)), ..world.clone() };
    let mut put_aside = sql.run(many, &[], &aside).unwrap();
    let mut slow = sql.run(many, &[], &world).unwrap();
    let first = |answer: &mut Answer| answer.next_batch().unwrap().unwrap().len();
    let (mut aside_rows, mut slow_rows) = (first(&mut put_aside), first(&mut slow));
    // Neither is read on; both have their turn while nobody waits.
    assert_eq!(sql.running(), 2);
    assert_eq!(rows(&sql, "SELECT 1", &world).unwrap().1.len(), 1);
    let ended = loop {
        match put_aside.next_batch() {
            Ok(Some(batch)) => aside_rows += batch.len(),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(matches!(ended, Some(SqlError::PutAside)), "{ended:?} after {aside_rows} rows");
    assert!(0 < aside_rows && aside_rows < 300_000);
    while let Some(batch) = slow.next_batch().unwrap() {
        slow_rows += batch.len();
    }
    assert_eq!(slow_rows, 300_000, "one that is only slow is not ended");
}
