//! Groups made inside the scan, and conditions asked before columns are read, compared with the same query over a plain
//! table of the same rows, where DataFusion does all of it.

use nhatle_event::Text;

use super::tests::{Dice, plain_twin, predicate, rows, sql, store, texts};
use super::{Limits, Sql, SqlError, World};

/// Keys of groups; the scan does not make the last two.
const KEYS: [&str; 12] = [
    "user.name",
    "source.ip",
    "source.port",
    "nhatle.unit",
    "message",
    "attrs",
    "nhatle.id",
    "time_bucket('1m', @timestamp)",
    "date_bin(INTERVAL '30 seconds', @timestamp)",
    "source.port % 2",
    "upper(user.name)",
    "concat('p', source.port)",
];
/// What is reckoned for them; the scan does not reckon the last two.
const MEASURES: [&str; 9] = [
    "count(*)",
    "count(user.name)",
    "count(source.port)",
    "min(nhatle.seq)",
    "max(@timestamp)",
    "min(source.port)",
    "max(source.port)",
    "sum(source.port)",
    "max(user.name)",
];

/// Different ones of these: as many as `least` to `most`.
fn some(dice: &mut Dice, of: &[&'static str], least: usize, most: usize) -> Vec<&'static str> {
    let mut chosen: Vec<&str> = Vec::new();
    let count = least + dice.below(most + 1 - least);
    while chosen.len() < count {
        let one = of[dice.below(of.len())];
        if !chosen.contains(&one) {
            chosen.push(one);
        }
    }
    chosen
}

#[test]
fn groups_of_the_scan_are_those_of_a_plain_table() {
    let sql = sql();
    let mut of_the_scan = 0;
    for seed in 0..3 {
        let store = store(seed + 20, 400);
        let mut world = World::of(store.snapshot.clone());
        world.tables.push(plain_twin(&sql, &world));
        let mut dice = Dice(seed + 5_000);
        for _ in 0..30 {
            let keys = some(&mut dice, &KEYS, 1, 3);
            let measures = some(&mut dice, &MEASURES, 0, 3);
            let condition = if dice.below(3) == 0 { "true".to_owned() } else { predicate(&mut dice, 1) };
            let (mut selected, mut order) = (Vec::new(), Vec::new());
            for (at, name) in keys.iter().chain(&measures).enumerate() {
                selected.push(format!("{name} AS c{at}"));
                order.push(format!("c{at} NULLS LAST"));
            }
            let of = |table: &str| {
                format!(
                    "SELECT {} FROM {table} WHERE {condition} GROUP BY {} ORDER BY {}",
                    selected.join(", "),
                    keys.join(", "),
                    order.join(", ")
                )
            };
            let found = texts(&sql, &of("events"), &world);
            assert_eq!(found, texts(&sql, &of("plain"), &world), "seed {seed}: {}", of("events"));
            let plan = texts(&sql, &format!("EXPLAIN {}", of("events")), &world).join("\n");
            of_the_scan += usize::from(plan.contains("GroupExec"));
        }
    }
    assert!(20 < of_the_scan, "{of_the_scan} of 90");
}

#[test]
fn the_scan_makes_groups_and_asks_conditions_where_it_can() {
    let sql = sql();
    let store = store(1, 400);
    let world = World::of(store.snapshot.clone());
    for (query, has, has_not) in [
        ("SELECT user.name, count(*) FROM events GROUP BY user.name", &["GroupExec"][..], &["ScanExec"][..]),
        (
            "SELECT source.ip, count(*) FROM events WHERE user.name = 'root' AND source.port >= 0 GROUP BY source.ip",
            &["GroupExec", "columns first=[", "user.name"],
            &["FilterExec", "ScanExec"],
        ),
        ("SELECT source.ip, count(DISTINCT user.name) FROM events GROUP BY source.ip", &["GroupExec"], &["ScanExec"]),
        // Both steps of DataFusion's are in it.
        (
            "SELECT message, max(source.port) FROM events GROUP BY 1 HAVING count(*) > 1",
            &["GroupExec"],
            &["AggregateExec"],
        ),
        ("SELECT message FROM events WHERE message LIKE '%failed%'", &["ScanExec", "columns first=["], &["FilterExec"]),
        // What can fail, or is a function, stays where it is.
        ("SELECT message FROM events WHERE 10 / source.port = 1", &["FilterExec"], &["columns first=["]),
        ("SELECT message FROM events WHERE match(message, 'failed')", &["FilterExec"], &["columns first=["]),
        // A limit counts rows before the filter.
        (
            "SELECT * FROM (SELECT message FROM events LIMIT 9) WHERE message = 'x'",
            &["FilterExec"],
            &["columns first=["],
        ),
    ] {
        let plan = texts(&sql, &format!("EXPLAIN {query}"), &world);
        let plan = plan.iter().find(|row| row.starts_with("physical")).unwrap_or(&plan[0]).clone();
        for one in has {
            assert!(plan.contains(one), "{query}: {one} is not in {plan}");
        }
        for one in has_not {
            assert!(!plan.contains(one), "{query}: {one} is in {plan}");
        }
    }
}

#[test]
fn groups_of_the_scan_keep_the_limit_to_units() {
    let sql = sql();
    let store = store(3, 400);
    let all = World::of(store.snapshot.clone());
    let ward = World { units: Some(vec![Text::from("18853")]), ..all.clone() };
    for keys in ["user.name", "source.ip, source.port", "message"] {
        let query = |condition: &str| {
            format!("SELECT {keys}, count(*), max(nhatle.seq) FROM events {condition} GROUP BY {keys} ORDER BY 2, 3, 1")
        };
        let own = texts(&sql, &query("WHERE nhatle.unit = '18853'"), &all);
        assert!(!own.is_empty());
        assert_eq!(texts(&sql, &query(""), &ward), own, "{keys}");
    }
}

#[test]
fn groups_that_are_too_many_for_the_memory_are_joined_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let little = Sql::new(Limits {
        memory_bytes: 600_000,
        threads: 2,
        spill_folder: Some(folder.path().join("spill")),
        ..Limits::default()
    });
    let (little, plenty) = (little.unwrap(), sql());
    let store = store(60, 6_000);
    let mut world = World::of(store.snapshot.clone());
    world.tables.push(plain_twin(&plenty, &world));
    let sorted = |sql: &Sql, query: &str| {
        let mut rows = texts(sql, query, &world);
        rows.sort_unstable();
        rows
    };
    for query in [
        "SELECT nhatle.id, count(*) FROM T GROUP BY 1",
        "SELECT user.name, time_bucket('1s', @timestamp), source.port, count(*), min(nhatle.seq), max(source.port) FROM T GROUP BY 1, 2, 3",
        "SELECT message, nhatle.id, count(user.name) FROM T GROUP BY 1, 2",
        "SELECT source.ip, nhatle.seq, max(@timestamp) FROM T GROUP BY 1, 2",
    ] {
        let expected = sorted(&plenty, &query.replace("FROM T", "FROM plain"));
        for turn in 0..3 {
            let before = super::piles::written();
            let found = sorted(&little, &query.replace("FROM T", "FROM events"));
            assert!(before < super::piles::written(), "{query}: nothing was written");
            assert_eq!(found, expected, "{query}, asked {turn} times before");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path().join("spill")).unwrap().count(), 0);
    let nowhere = Limits { memory_bytes: 600_000, threads: 2, spill_bytes: 1_000, ..Limits::default() };
    let refused = rows(&Sql::new(nowhere).unwrap(), "SELECT nhatle.id, count(*) FROM events GROUP BY 1", &world);
    assert!(matches!(refused, Err(SqlError::Memory(_))), "{refused:?}");
}

#[test]
fn groups_that_are_asked_for_again_are_the_same() {
    let sql = sql();
    let mut kept = 0;
    for seed in 0..3 {
        let store = store(seed + 40, 1_200);
        let mut world = World::of(store.snapshot.clone());
        world.tables.push(plain_twin(&sql, &world));
        let ward = World { units: Some(vec![Text::from("18853")]), ..world.clone() };
        let mut dice = Dice(seed + 6_000);
        for _ in 0..5 {
            let keys =
                some(&mut dice, &["nhatle.unit", "source.port", "time_bucket('10m', @timestamp)"], 1, 2).join(", ");
            let measures = some(&mut dice, &["count(*)", "max(nhatle.seq)", "count(user.name)"], 1, 2).join(", ");
            let condition = if dice.below(2) == 0 { "true".to_owned() } else { predicate(&mut dice, 1) };
            let of = |table: &str, more: &str| {
                format!("SELECT {keys}, {measures} FROM {table} WHERE ({condition}) {more} GROUP BY {keys}")
            };
            let sorted = |world: &World, query: &str| {
                let mut rows = texts(&sql, query, world);
                rows.sort_unstable();
                rows
            };
            for turn in 0..4 {
                // The window moves, as that of a page does: over all segments, over some, over none.
                let more = match turn {
                    0 | 1 => String::new(),
                    2 => format!("AND @timestamp >= '1970-01-01T00:00:0{}Z'", dice.below(10)),
                    _ => format!("AND @timestamp < '1970-01-01T00:0{}:00Z'", 1 + dice.below(9)),
                };
                let before = super::kept::given();
                assert_eq!(
                    sorted(&world, &of("events", &more)),
                    sorted(&world, &of("plain", &more)),
                    "{}",
                    of("events", &more)
                );
                kept += super::kept::given() - before;
                // Who sees one unit never gets what was made for somebody who sees all.
                let own = sorted(&ward, &of("events", &more));
                let own_of_plain = sorted(&world, &of("plain", &format!("{more} AND nhatle.unit = '18853'")));
                assert_eq!(own, own_of_plain, "{}", of("events", &more));
            }
        }
    }
    assert!(12 < kept, "{kept} parts were not read again");
}

#[test]
fn what_depends_on_more_than_the_rows_is_made_anew() {
    let sql = sql();
    let store = store(50, 400);
    let world = World::of(store.snapshot.clone());
    let query = |key: &str| format!("SELECT {key} AS p, count(*) FROM events GROUP BY 1");
    for key in ["source.port + CAST(random() * 0 AS BIGINT)", "source.port % 4321"] {
        let plan = texts(&sql, &format!("EXPLAIN {}", query(key)), &world).join("\n");
        assert!(plan.contains("GroupExec"), "{plan}");
        assert!(!texts(&sql, &query(key), &world).is_empty());
    }
    assert!(super::kept::is_known("4321") && !super::kept::is_known("random"));
}
