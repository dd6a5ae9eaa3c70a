//! Answers of SQL over segments and memory, compared with the same query over a plain table of the same rows, which
//! knows no index; limits to units; what is refused; what is written.

use nhatle_event::{Event, Field, Text, Timestamp, Value};

use super::write::{Format, write};
use super::{Cell, Column, Constant, Kind, Limits, Sql, SqlError, Table, World};
use crate::query::tests as stores;
use crate::query::tests::world;

/// SplitMix64: small, seeded, the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const WORDS: [&str; 20] = [
    "failed",
    "Failed",
    "root",
    "Root",
    "đăng",
    "dang",
    "nhập",
    "Đồng Hới",
    "hòa",
    "hoà",
    "10.0.0.7",
    "cmd.exe",
    "a_b",
    "a%b",
    "ß",
    "İ",
    "ſ",
    "",
    "100%",
    "x",
];
const UNITS: [&str; 3] = ["18853", "18856", "188"];

fn event(dice: &mut Dice, second: i64) -> Event {
    let text = |dice: &mut Dice| (0..1 + dice.below(3)).map(|_| dice.one(&WORDS)).collect::<Vec<_>>().join(" ");
    let original = text(dice);
    let mut event = Event::new(Timestamp(second * 1_000_000_000 + dice.below(3) as i64), original.into_bytes());
    for field in ["message", "user.name", "process.command_line", "event.action", "json.Loại", "fortinet.action"] {
        let value = match dice.below(6) {
            0 => continue,
            1 => Value::List(vec![Value::from(text(dice)), Value::from(text(dice))]),
            2 if field.contains("json") => Value::Long(dice.below(5) as i64),
            _ => Value::from(text(dice)),
        };
        event.set_named(field, value);
    }
    if dice.below(4) > 0 {
        event.set(Field::SOURCE_IP, Value::Ip(std::net::Ipv4Addr::from(0x0a00_0000 + dice.below(9) as u32).into()));
    }
    if dice.below(3) > 0 {
        event.set_named("source.port", Value::Long(dice.below(6) as i64 - 2));
    }
    if dice.below(5) > 0 {
        event.set(Field::NHATLE_UNIT, Value::from(dice.one(&UNITS)));
    }
    event
}

/// A store of three segments and some events in memory.
pub fn store(seed: u64, count: usize) -> stores::World {
    let mut dice = Dice(seed);
    let mut events: Vec<Event> = (0..count as i64).map(|second| event(&mut dice, second / 2)).collect();
    let recent = events.split_off(count * 3 / 4);
    let pieces: Vec<Vec<Event>> = events.chunks(count / 4).map(<[Event]>::to_vec).collect();
    world(&pieces, &recent)
}

pub fn sql() -> Sql {
    Sql::new(Limits { threads: 2, ..Limits::default() }).unwrap()
}

pub type Rows = Vec<Vec<Cell<'static>>>;

pub fn rows(sql: &Sql, query: &str, world: &World) -> Result<(Vec<Column>, Rows), SqlError> {
    ask(sql, query, &[], world)
}

fn ask(sql: &Sql, query: &str, values: &[Cell<'_>], world: &World) -> Result<(Vec<Column>, Rows), SqlError> {
    let mut answer = sql.run(query, values, world)?;
    let columns = answer.columns().to_vec();
    let mut rows = Vec::new();
    while let Some(batch) = answer.next_batch()? {
        for row in 0..batch.len() {
            rows.push((0..columns.len()).map(|column| batch.cell(row, column).owned()).collect());
        }
    }
    Ok((columns, rows))
}

#[track_caller]
pub fn texts(sql: &Sql, query: &str, world: &World) -> Vec<String> {
    let (_, rows) = rows(sql, query, world).unwrap_or_else(|error| panic!("{query}: {error}"));
    rows.iter().map(|row| row.iter().map(super::write::plain).collect::<Vec<_>>().join("|")).collect()
}

/// The whole table of events as a plain table, which no index knows.
pub fn plain_twin(sql: &Sql, world: &World) -> Table {
    let (columns, rows) = rows(sql, "SELECT * FROM events", world).unwrap();
    Table { schema: None, name: "plain".to_owned(), columns, rows }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub fn predicate(dice: &mut Dice, depth: usize) -> String {
    if depth > 0 && dice.below(2) == 0 {
        let (left, right) = (predicate(dice, depth - 1), predicate(dice, depth - 1));
        return match dice.below(5) {
            0 | 1 => format!("({left} AND {right})"),
            2 | 3 => format!("({left} OR {right})"),
            _ => format!("NOT ({left})"),
        };
    }
    let text = dice.one(&["message", "user.name", "process.command_line", "event.action", "source.ip", "nhatle.unit"]);
    let word = match text {
        "source.ip" => format!("10.0.0.{}", dice.below(10)),
        "nhatle.unit" => dice.one(&UNITS).to_owned(),
        _ => (0..1 + dice.below(2)).map(|_| dice.one(&WORDS)).collect::<Vec<_>>().join(" "),
    };
    let pattern = match dice.below(5) {
        0 => format!("{word}%"),
        1 => format!("%{word}%"),
        2 => format!("%{word}"),
        3 => format!("{}_%", word.chars().take(2).collect::<String>()),
        _ => format!("%{}\\%%", word.replace('%', "")),
    };
    match dice.below(14) {
        0 | 1 => format!("{text} = {}", quoted(&word)),
        2 => format!("{} = {text}", quoted(&word)),
        3 => format!("{text} <> {}", quoted(&word)),
        4 => format!("{text} IN ({}, {})", quoted(&word), quoted(dice.one(&WORDS))),
        5 => format!("{text} LIKE {}", quoted(&pattern)),
        6 => format!("{text} ILIKE {}", quoted(&pattern)),
        7 => format!("match({text}, {})", quoted(&word)),
        8 => format!("source.port {} {}", dice.one(&["=", "<", "<=", ">", ">=", "<>"]), dice.below(6) as i64 - 2),
        9 => format!("cidr_contains('10.0.0.{}/{}', source.ip)", dice.below(8), 28 + dice.below(5)),
        10 => format!("{text} IS {}NULL", dice.one(&["", "NOT "])),
        11 => format!("attr('fortinet.action') = {}", quoted(&word)),
        12 => format!("(attrs ->> 'json.Loại') = {}", quoted(&dice.below(5).to_string())),
        _ => format!(
            "@timestamp {} TIMESTAMP '1970-01-01T00:{:02}:{:02}Z'",
            dice.one(&["<", "<=", ">", ">=", "="]),
            dice.below(5),
            dice.below(60)
        ),
    }
}

#[test]
fn the_index_answers_as_a_plain_table_does() {
    let sql = sql();
    let count: u64 = std::env::var("NHATLE_ORACLE_PREDICATES").ok().and_then(|text| text.parse().ok()).unwrap_or(240);
    for seed in 0..count.div_ceil(80) {
        let store = store(seed, 400);
        let mut world = World::of(store.snapshot.clone());
        world.tables.push(plain_twin(&sql, &world));
        let mut dice = Dice(seed + 1_000);
        for _ in 0..80 {
            let condition = predicate(&mut dice, 2);
            let of = |table: &str| format!("SELECT nhatle.seq FROM {table} WHERE {condition} ORDER BY 1");
            let found = texts(&sql, &of("events"), &world);
            assert_eq!(found, texts(&sql, &of("plain"), &world), "seed {seed}: {condition}");
        }
    }
}

#[test]
fn newest_first_with_a_limit_is_the_same_and_groups_are() {
    let sql = sql();
    let store = store(7, 400);
    let mut world = World::of(store.snapshot.clone());
    world.tables.push(plain_twin(&sql, &world));
    for query in [
        "SELECT nhatle.seq, @timestamp FROM T ORDER BY @timestamp DESC, nhatle.seq DESC LIMIT 10",
        "SELECT nhatle.seq FROM T ORDER BY @timestamp, nhatle.seq LIMIT 7",
        "SELECT e.source.ip, count(*) AS c FROM T e GROUP BY e.source.ip ORDER BY c DESC, source.ip NULLS LAST LIMIT 5",
        "SELECT time_bucket('1m', @timestamp) AS w, count(DISTINCT user.name) FROM T GROUP BY w ORDER BY w",
        "SELECT count(*) FROM T",
        "SELECT a.nhatle.seq, b.nhatle.seq FROM T a JOIN T b ON a.source.ip = b.source.ip AND a.nhatle.seq < b.nhatle.seq \
         AND a.user.name = b.user.name ORDER BY 1, 2 LIMIT 20",
        "SELECT fold(message), length(event.original), event.hash FROM T ORDER BY nhatle.seq LIMIT 30",
        "SELECT nhatle.seq, row_number() OVER (PARTITION BY user.name ORDER BY nhatle.seq) FROM T ORDER BY 1 LIMIT 50",
        "SELECT user.name || ':' || source.port FROM T ORDER BY nhatle.seq",
    ] {
        let of = |table: &str| {
            texts(&sql, &query.replace(" T ", &format!(" {table} ")).replace(" T", &format!(" {table}")), &world)
        };
        assert_eq!(of("events"), of("plain"), "{query}");
    }
}

#[test]
fn names_have_dots_and_aliases_and_quotes() {
    let sql = sql();
    let store = store(1, 40);
    let world = World::of(store.snapshot.clone());
    for query in [
        "SELECT source.ip FROM events",
        "SELECT \"source.ip\" FROM events",
        "SELECT events.source.ip FROM events",
        "SELECT e.source.ip FROM events e",
        "SELECT e.\"source.ip\" FROM public.events AS e",
        "SELECT Source.IP FROM Events",
        "SELECT x.source.ip FROM (SELECT source.ip FROM events) x",
        "WITH w AS (SELECT source.ip, @timestamp FROM events) SELECT source.ip FROM w ORDER BY @timestamp",
        "SELECT user.name, nhatle.id, event.created, e.@timestamp FROM events e",
        "SELECT attr('fortinet.action'), e.attrs ->> 'json.Loại', attr(e.attrs, 'x') FROM events e",
    ] {
        assert!(rows(&sql, query, &world).is_ok(), "{query}: {:?}", rows(&sql, query, &world).err());
    }
    let error = rows(&sql, "SELECT user.nmae FROM events", &world).unwrap_err().to_string();
    assert!(error.contains("user.name"), "{error}");
    assert_eq!(texts(&sql, "SELECT nhatle.id FROM events WHERE nhatle.seq = 33", &world), ["0000000000011"]);
}

/// DataFusion 55.2 takes two queries inside of each other for one where they compute the same of the same names.
#[test]
fn queries_inside_of_each_other_are_each_computed() {
    let sql = sql();
    let store = store(2, 20);
    let world = World::of(store.snapshot.clone());
    let last = |query: &str| texts(&sql, &format!("{query} ORDER BY 1 LIMIT 1"), &world);
    assert_eq!(last("SELECT x + 1 AS x FROM (SELECT x + 1 AS x FROM (SELECT nhatle.seq + 0 AS x FROM events))"), ["3"]);
    assert_eq!(last("SELECT x + 1 AS x FROM (SELECT x + 1 AS x FROM (SELECT nhatle.seq AS x FROM events) q) q"), ["3"]);
    let with = "WITH a AS (SELECT nhatle.seq AS x FROM events), b AS (SELECT x + 1 AS x FROM a), c AS (SELECT x + 1 AS x FROM b)";
    assert_eq!(last(&format!("{with} SELECT x + 1 AS x FROM c")), ["4"]);
    assert_eq!(
        last("SELECT x || x AS x FROM (SELECT x || x AS x FROM (SELECT CAST(nhatle.seq AS VARCHAR) AS x FROM events))"),
        ["10101010"]
    );
}

#[test]
fn only_what_reads_is_answered() {
    let sql = sql();
    let store = store(2, 20);
    let world = World::of(store.snapshot.clone());
    for query in [
        "",
        "SELECT 1; SELECT 2",
        "COPY events TO 'x.csv'",
        "COPY (SELECT 1) TO 'x.csv'",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT * FROM events",
        "INSERT INTO events VALUES (1)",
        "DELETE FROM events",
        "DROP TABLE events",
        "SET datafusion.execution.batch_size = 1",
        "SHOW ALL",
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT 1 INTO t",
        "WITH x AS (INSERT INTO events VALUES (1)) SELECT 1",
        "EXPLAIN DELETE FROM events",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "SELECT * FROM events FOR UPDATE",
        "SELECT input_file_name() FROM events",
    ] {
        let refused = rows(&sql, query, &world);
        assert!(matches!(refused, Err(SqlError::Refused(_))), "{query}: {refused:?}");
    }
    for query in
        ["SHOW TABLES", "DESCRIBE events", "SHOW COLUMNS FROM events", "EXPLAIN SELECT * FROM events", "VALUES (1)"]
    {
        assert!(rows(&sql, query, &world).is_ok(), "{query}: {:?}", rows(&sql, query, &world).err());
    }
}

#[test]
fn no_way_around_the_limit_to_units() {
    let sql = sql();
    let store = store(3, 400);
    let all = World::of(store.snapshot.clone());
    let ward = World { units: Some(vec![Text::from("18853")]), ..all.clone() };
    let own = texts(&sql, "SELECT nhatle.seq FROM events WHERE nhatle.unit = '18853' ORDER BY 1", &all);
    assert!(10 < own.len() && own.len() < 300, "{}", own.len());
    for query in [
        "SELECT nhatle.seq FROM events ORDER BY 1",
        "SELECT nhatle.seq FROM (SELECT * FROM events) ORDER BY 1",
        "SELECT nhatle.seq FROM events WHERE nhatle.unit = '18853' OR true ORDER BY 1",
        "SELECT DISTINCT a.nhatle.seq FROM events a LEFT JOIN events b ON a.source.ip = b.source.ip ORDER BY 1",
        "SELECT nhatle.seq FROM events UNION SELECT nhatle.seq FROM events WHERE nhatle.unit <> '18853' ORDER BY 1",
        "WITH RECURSIVE r AS (SELECT nhatle.seq AS n FROM events UNION SELECT nhatle.seq FROM events) SELECT n FROM r ORDER BY 1",
        "SELECT nhatle.seq FROM events EXCEPT SELECT nhatle.seq FROM alerts ORDER BY 1",
        "SELECT nhatle.seq FROM public.events WHERE nhatle.seq IN (SELECT nhatle.seq FROM events) ORDER BY 1",
        "SELECT nhatle.seq FROM nhatle.public.events ORDER BY 1",
    ] {
        assert_eq!(texts(&sql, query, &ward), own, "{query}");
    }
    let count = own.len().to_string();
    for query in [
        "SELECT count(*) FROM events",
        "SELECT count(nhatle.seq) FROM events",
        "SELECT sum(1) FROM events",
        "SELECT count(*) FROM events WHERE nhatle.unit = '18853' OR nhatle.unit = '18856' OR nhatle.unit IS NULL",
        "SELECT (SELECT count(*) FROM events)",
    ] {
        assert_eq!(texts(&sql, query, &ward), [count.as_str()], "{query}");
    }
    for query in [
        "SELECT 1 FROM events WHERE nhatle.unit = '18856'",
        "SELECT 1 FROM events WHERE nhatle.unit IS NULL",
        // An error made by a row of another's would tell of it.
        "SELECT 1 FROM events WHERE CASE WHEN nhatle.unit <> '18853' THEN 1 / (nhatle.seq - nhatle.seq) = 1 ELSE false END",
        "SELECT 1 FROM events WHERE CASE WHEN nhatle.unit = '18856' THEN CAST(nhatle.unit || 'x' AS BIGINT) = 1 ELSE false END",
    ] {
        assert_eq!(texts(&sql, query, &ward), Vec::<String>::new(), "{query}");
    }
    let nobody = World { units: Some(Vec::new()), ..all.clone() };
    assert_eq!(texts(&sql, "SELECT count(*) FROM events", &nobody), ["0"]);
    // What a plan says of itself is the same whatever others have.
    let other = self::store(4, 400);
    let plans = |world: &World| texts(&sql, "EXPLAIN SELECT count(*) FROM events WHERE user.name = 'root'", world);
    assert_eq!(plans(&ward), plans(&World { snapshot: other.snapshot.clone(), ..ward.clone() }));
    let analyzed = texts(&sql, "EXPLAIN ANALYZE SELECT * FROM events", &ward).join("\n");
    assert!(analyzed.contains(&format!("output_rows={count}")), "{analyzed}");
    let schema = texts(&sql, "SELECT table_schema, table_name FROM information_schema.tables", &ward).join(" ");
    assert!(schema.contains("public|dead_letters") && !schema.contains("receipts"), "{schema}");
}

#[test]
fn given_tables_and_constants_and_parameters() {
    let sql = sql();
    let store = store(5, 60);
    let mut world = World::of(store.snapshot.clone());
    let row = |number: i64, title: &str| vec![Cell::Int(number), Cell::text(title), Cell::Time(0), Cell::Null];
    let columns = vec![
        Column::new("number", Kind::Int),
        Column::new("title", Kind::Text),
        Column::new("opened", Kind::Time),
        Column::new("closed", Kind::Date),
    ];
    let rows_given = vec![row(1, "Đồng Hới"), row(2, "b")];
    world.tables.push(Table {
        schema: None,
        name: "incidents".to_owned(),
        columns: columns.clone(),
        rows: rows_given.clone(),
    });
    world.tables.push(Table {
        schema: Some("pg_catalog".to_owned()),
        name: "pg_x".to_owned(),
        columns,
        rows: rows_given,
    });
    world.constants.push(Constant { name: "current_database".to_owned(), value: Cell::text("nhatle") });
    assert_eq!(
        texts(&sql, "SELECT current_database(), title, opened, closed FROM incidents WHERE number = 1", &world),
        ["nhatle|Đồng Hới|1970-01-01T00:00:00Z|"]
    );
    assert_eq!(texts(&sql, "SELECT count(*) FROM pg_catalog.pg_x", &world), ["2"]);
    let query = "SELECT title, $2 FROM incidents WHERE number = $1 OR title = $3";
    let described = sql.describe(query, &world).unwrap();
    assert_eq!(described.parameters, [Some(Kind::Int), None, Some(Kind::Text)]);
    let values = [Cell::text("1"), Cell::text("x"), Cell::Null];
    let (_, found) = ask(&sql, query, &values, &world).unwrap();
    assert_eq!(found, vec![vec![Cell::text("Đồng Hới"), Cell::text("x")]]);
    assert!(matches!(ask(&sql, query, &values[..2], &world), Err(SqlError::Refused(_))));
    assert!(ask(&sql, query, &[Cell::text("no number"), Cell::Null, Cell::Null], &world).is_err());
    world.tables.push(Table { schema: None, name: "events".to_owned(), columns: Vec::new(), rows: Vec::new() });
    assert!(rows(&sql, "SELECT 1", &world).is_err(), "nobody gives a table of our name");
}

#[test]
fn answers_are_written_in_each_format() {
    let sql = sql();
    let store = store(6, 30);
    let world = World::of(store.snapshot.clone());
    let written = |query: &str, format: Format| {
        let mut out = Vec::new();
        write(&mut sql.run(query, &[], &world).unwrap(), format, &mut out).unwrap();
        out
    };
    let query = "SELECT 1 AS a, 'x,\"y' AS b, @timestamp, event.original_bytes AS o, NULL AS n, 1.5 AS d, '' AS e FROM events \
                 WHERE nhatle.seq = 1";
    let object: serde_json::Value = serde_json::from_slice(&written(query, Format::Json)).unwrap();
    assert_eq!(object["row_count"], 1);
    assert_eq!(object["columns"][2]["kind"], "timestamp");
    assert_eq!(object["rows"][0]["b"], "x,\"y");
    let lines = String::from_utf8(written(query, Format::JsonLines)).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(lines.trim()).unwrap(), object["rows"][0]);
    let csv = String::from_utf8(written(query, Format::Csv)).unwrap();
    assert!(csv.starts_with("a,b,@timestamp,o,n,d,e\r\n1,\"x,\"\"y\",1970-01-01T00:00:0"), "{csv}");
    assert!(csv.ends_with(",,1.5,\"\"\r\n"), "{csv}");
    let reader = datafusion::arrow::ipc::reader::StreamReader::try_new(
        std::io::Cursor::new(written("SELECT * FROM events ORDER BY nhatle.seq", Format::Arrow)),
        None,
    );
    let batches: Vec<_> = reader.unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(arrow_array::RecordBatch::num_rows).sum::<usize>(), 30);
    let parquet = bytes::Bytes::from(written("SELECT * FROM events ORDER BY nhatle.seq", Format::Parquet));
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap();
    let back: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(back.iter().map(arrow_array::RecordBatch::num_rows).sum::<usize>(), 30);
    assert_eq!(back[0].column(0), batches[0].column(0));
}

#[test]
fn buckets_begin_where_people_expect() {
    let sql = sql();
    let store = store(8, 10);
    let world = World::of(store.snapshot.clone());
    let check = |call: &str, expected: &str| {
        assert_eq!(texts(&sql, &format!("SELECT {call}"), &world), [expected], "{call}");
    };
    let at = "TIMESTAMP '2026-02-03T18:07:08Z'";
    check(&format!("time_bucket('5m', {at})"), "2026-02-03T18:05:00Z");
    check(&format!("time_bucket('1d', {at})"), "2026-02-03T00:00:00Z");
    check(&format!("time_bucket('1d', {at}, '+07:00')"), "2026-02-03T17:00:00Z");
    check(&format!("time_bucket('1w', {at})"), "2026-02-02T00:00:00Z");
    check("time_bucket('1h', TIMESTAMP '1969-12-31T23:59:59Z')", "1969-12-31T23:00:00Z");
    check("time_bucket('1h', NULL)", "");
    check("cidr_contains('10.0.0.0/8', '10.1.2.3')", "true");
    check("cidr_contains('10.0.0.0/8', 'no address')", "");
    check("fold('ĐỒNG Hới')", "dong hoi");
    check("floor(extract(epoch FROM TIMESTAMP '2026-02-03T18:07:08Z') / 300) * 300", "1770141900");
    check("round(1250.5, -2)", "1300");
    check("ceil(-0.5) + abs(-3) + floor(7)", "10");
    check("match('phường Đồng Hới', 'dong hoi')", "true");
    check("match('phuong Dong Hoi', 'Đồng Hới')", "false");
    assert!(rows(&sql, "SELECT time_bucket('5 apples', now())", &world).is_err());
}
