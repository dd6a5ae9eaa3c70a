//! Joins of rows that are near in time, made by slices, compared with the same query over a plain table of the same rows, where
//! DataFusion makes them in one.

use super::tests::{Dice, plain_twin, rows, sql, store, texts};
use super::{Limits, Sql, SqlError, World, slices};

/// Less than one side of a join takes.
const MEMORY_BYTES: usize = 150_000;

/// What bounds how far apart the moments of `a` and `b` are.
const NEAR: [&str; 9] = [
    "b.@timestamp > a.@timestamp AND b.@timestamp <= a.@timestamp + INTERVAL '3 seconds'",
    "a.@timestamp BETWEEN b.@timestamp - INTERVAL '20 seconds' AND b.@timestamp",
    "b.@timestamp BETWEEN a.@timestamp - INTERVAL '1 second' AND a.@timestamp + INTERVAL '2 seconds' AND a.nhatle.seq <> b.nhatle.seq",
    "a.@timestamp = b.@timestamp",
    "b.@timestamp = a.@timestamp + INTERVAL '7 seconds'",
    "b.@timestamp - a.@timestamp < INTERVAL '5 seconds' AND b.@timestamp >= a.@timestamp",
    "INTERVAL '5 seconds' >= a.@timestamp - b.@timestamp AND INTERVAL '-1 second' < a.@timestamp - b.@timestamp",
    "a.@timestamp + INTERVAL '4 seconds' >= b.@timestamp AND NOT a.@timestamp > b.@timestamp",
    "a.@timestamp > b.@timestamp AND a.@timestamp < b.@timestamp + INTERVAL '1 minute' AND a.source.port < b.source.port",
];
/// What does not.
const FAR: [&str; 4] = [
    "a.@timestamp < b.@timestamp",
    "a.@timestamp < b.@timestamp AND b.event.created < a.@timestamp + INTERVAL '1 minute'",
    "b.@timestamp - a.@timestamp < INTERVAL '1 day' AND b.@timestamp > a.@timestamp",
    "(b.@timestamp = a.@timestamp OR a.source.port = b.source.port)",
];

/// Joins of `a` and `b`, with `$N` for what is near and `T` for the table.
const FORMS: [&str; 8] = [
    "SELECT a.nhatle.seq, b.nhatle.seq FROM T a JOIN T b ON a.user.name = b.user.name AND $N",
    "SELECT b.nhatle.seq FROM (SELECT user.name, source.port, nhatle.seq, @timestamp + INTERVAL '2 seconds' AS @timestamp FROM T) a \
     JOIN T b ON a.user.name = b.user.name AND $N",
    "SELECT a.nhatle.seq, b.nhatle.seq FROM T a LEFT JOIN T b ON a.user.name = b.user.name AND $N",
    "SELECT a.nhatle.seq, b.nhatle.seq FROM T a RIGHT JOIN T b ON a.user.name = b.user.name AND $N",
    "SELECT a.nhatle.seq FROM T a WHERE EXISTS (SELECT 1 FROM T b WHERE a.user.name = b.user.name AND $N)",
    "SELECT a.nhatle.seq FROM T a WHERE NOT EXISTS (SELECT 1 FROM T b WHERE a.user.name = b.user.name AND $N)",
    "SELECT a.user.name, count(*), max(b.nhatle.seq) FROM T a JOIN T b ON a.user.name = b.user.name AND a.source.ip = b.source.ip AND $N \
     WHERE a.source.port > 100 GROUP BY 1",
    "SELECT a.nhatle.seq, b.nhatle.seq FROM T a JOIN T b ON a.user.name = b.user.name AND $N \
     WHERE a.@timestamp >= '1970-01-01T00:05:00Z' AND b.@timestamp < '1970-01-01T00:30:00Z' AND upper(b.message) LIKE '%A%'",
];

fn sorted(sql: &Sql, query: &str, world: &World) -> Vec<String> {
    let mut rows = texts(sql, query, world);
    rows.sort_unstable();
    rows
}

#[test]
fn joins_by_slices_are_those_of_a_plain_table_where_one_alone_is_too_much() {
    let (little, plenty) =
        (Sql::new(Limits { memory_bytes: MEMORY_BYTES, threads: 2, ..Limits::default() }).unwrap(), sql());
    let of = |query: &str, table: &str| {
        query.replace("FROM T", &format!("FROM {table}")).replace("JOIN T", &format!("JOIN {table}"))
    };
    for seed in 0..2 {
        let store = store(seed + 90, 5_000);
        let mut world = World::of(store.snapshot.clone());
        world.tables.push(plain_twin(&plenty, &world));
        let mut dice = Dice(seed + 7_000);
        for form in FORMS {
            for _ in 0..2 {
                let query = form.replace("$N", NEAR[dice.below(NEAR.len())]);
                let before = slices::made();
                let found = sorted(&little, &of(&query, "events"), &world);
                assert_eq!(
                    found,
                    sorted(&plenty, &of(&query, "plain"), &world),
                    "seed {seed}: {}",
                    of(&query, "events")
                );
                assert!(before + 2 < slices::made(), "{query} was made in one");
            }
        }
        for far in [FAR[0], FAR[2]] {
            let query = of(&FORMS[0].replace("$N", far), "events");
            assert!(matches!(rows(&little, &query, &world), Err(SqlError::Memory(_))), "{query} is not too much");
        }
    }
}

#[test]
fn only_joins_that_bound_how_far_apart_moments_are_go_by_slices() {
    let (sql, store) = (sql(), store(1, 400));
    let world = World::of(store.snapshot.clone());
    let plan = |query: &str| texts(&sql, &format!("EXPLAIN {query}"), &world).join("\n");
    let join = FORMS[0].replace("FROM T", "FROM events").replace("JOIN T", "JOIN events");
    for near in NEAR {
        let plan = plan(&join.replace("$N", near));
        assert!(plan.contains("SlicesExec"), "{near}: {plan}");
    }
    for far in FAR {
        let plan = plan(&join.replace("$N", far));
        assert!(!plan.contains("SlicesExec"), "{far}: {plan}");
    }
    for query in [
        join.replace(" JOIN", " FULL JOIN").replace("$N", NEAR[0]),
        // What is below is of more than one row.
        join.replace("FROM events a", "FROM (SELECT * FROM events LIMIT 100) a").replace("$N", NEAR[0]),
        join.replace("a.nhatle.seq, b", "1, b")
            .replace("FROM events a", "FROM (SELECT user.name, max(@timestamp) AS @timestamp FROM events GROUP BY 1) a")
            .replace("$N", NEAR[0]),
    ] {
        let plan = plan(&query);
        assert!(!plan.contains("SlicesExec"), "{query}: {plan}");
    }
}
