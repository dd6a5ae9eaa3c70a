//! Functions on odd arguments: each call ends in a value or an error. A panic would end the server, so calls are made at
//! random: seeded, `NHATLE_SQL_CALLS` says how many.

use datafusion::execution::SessionStateDefaults;

use super::tests::{Dice, rows, sql, store};
use super::{SqlError, World};

const ARGUMENTS: [&str; 34] = [
    "NULL",
    "''",
    "'x'",
    "'đ'",
    "'%'",
    "'(a|b)*'",
    "'2026-02-03T04:05:06Z'",
    "'%Y-%m-%d'",
    "'+99:99'",
    "'9999999999999'",
    "'day'",
    "'epoch'",
    "0",
    "-1",
    "1",
    "7",
    "9223372036854775807",
    "-9223372036854775808",
    "2147483648",
    "1e308",
    "-0.5",
    "CAST('NaN' AS DOUBLE)",
    "CAST('inf' AS DOUBLE)",
    "true",
    "now()",
    "TIMESTAMP '1677-09-21T00:12:44Z'",
    "TIMESTAMP '2262-04-11T23:47:16Z'",
    "DATE '0001-01-01'",
    "INTERVAL '1 month'",
    "INTERVAL '-9999999 years'",
    "message",
    "nhatle.seq",
    "@timestamp",
    "event.original_bytes",
];
const OPERATORS: [&str; 22] = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "=",
    "<",
    ">=",
    "<>",
    "LIKE",
    "ILIKE",
    "~",
    "!~*",
    "&",
    "|",
    "^",
    "<<",
    ">>",
    "->>",
    "AND",
    "IS DISTINCT FROM",
];
const TYPES: [&str; 14] = [
    "BIGINT",
    "INT",
    "SMALLINT",
    "TINYINT",
    "DOUBLE",
    "REAL",
    "DECIMAL(38, 10)",
    "VARCHAR",
    "BYTEA",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "INTERVAL",
    "BOOLEAN",
];

fn call(dice: &mut Dice, scalar: &[String], aggregate: &[String], window: &[String], depth: usize) -> String {
    if depth == 0 || dice.below(3) == 0 {
        return dice.one(&ARGUMENTS).to_owned();
    }
    let mut inner = || call(dice, scalar, aggregate, window, depth - 1);
    let arguments = [inner(), inner(), inner(), inner()];
    let list = arguments[..dice.below(5)].join(", ");
    let name = |dice: &mut Dice, of: &[String]| of[dice.below(of.len())].clone();
    match dice.below(12) {
        0 => format!("({} {} {})", arguments[0], dice.one(&OPERATORS), arguments[1]),
        1 => format!("CAST({} AS {})", arguments[0], dice.one(&TYPES)),
        2 => format!("CASE WHEN {} THEN {} ELSE {} END", arguments[0], arguments[1], arguments[2]),
        3 if depth == 2 => format!("{}({list})", name(dice, aggregate)),
        4 if depth == 2 => format!(
            "{}({list}) OVER ({} ORDER BY nhatle.seq {})",
            name(dice, window),
            dice.one(&["", "PARTITION BY user.name"]),
            dice.one(&[
                "",
                "ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
                "RANGE BETWEEN 9223372036854775807 PRECEDING AND CURRENT ROW",
                "GROUPS BETWEEN 1 PRECEDING AND 18446744073709551615 FOLLOWING",
            ])
        ),
        5 => format!("extract({} FROM {})", dice.one(&["year", "epoch", "dow", "week", "nanosecond"]), arguments[0]),
        6 => format!("{} IN ({}, {})", arguments[0], arguments[1], arguments[2]),
        7 => format!("date_bin({}, {}, {})", arguments[0], arguments[1], arguments[2]),
        _ => format!("{}({list})", name(dice, scalar)),
    }
}

#[test]
fn odd_arguments_end_in_a_value_or_an_error() {
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let mut scalar = names(SessionStateDefaults::default_scalar_functions().iter().map(|one| one.name()).collect());
    scalar.extend(["match", "cidr_contains", "time_bucket", "fold", "attr"].map(str::to_owned));
    let aggregate = names(SessionStateDefaults::default_aggregate_functions().iter().map(|one| one.name()).collect());
    let mut window = names(SessionStateDefaults::default_window_functions().iter().map(|one| one.name()).collect());
    window.extend(aggregate.iter().cloned());
    let (sql, store) = (sql(), store(9, 60));
    let world = World::of(store.snapshot.clone());
    let count: u64 = std::env::var("NHATLE_SQL_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let (mut answered, mut panics) = (0, Vec::new());
    for seed in 0..count {
        let query = format!("SELECT {} FROM events", call(&mut Dice(seed), &scalar, &aggregate, &window, 2));
        match rows(&sql, &query, &world) {
            Ok(_) => answered += 1,
            Err(SqlError::Canceled) => panics.push(format!("{seed}: {query}")),
            Err(_) => {}
        }
    }
    assert!(panics.is_empty(), "{}", panics.join("\n"));
    assert!(count / 20 < answered, "{answered} of {count}");
}
