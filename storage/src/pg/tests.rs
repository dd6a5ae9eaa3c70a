//! The catalog answers as PostgreSQL does: the shapes of questions that clients ask at their start, and what may not be asked.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::{Budget, Catalog, Column, Datum, Facts, Kind, Problem, Session, Table, prepare, scan};

fn catalog() -> Arc<Catalog> {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind, comment: String::new() };
    let events = Table {
        name: "events".to_owned(),
        comment: "What happened".to_owned(),
        columns: vec![
            Column { comment: "When".to_owned(), ..column("@timestamp", Kind::Timestamptz) },
            column("source.ip", Kind::Text),
            column("bytes", Kind::Int8),
        ],
    };
    let alerts =
        Table { name: "alerts".to_owned(), comment: String::new(), columns: vec![column("level", Kind::Text)] };
    let facts = Facts {
        database: "nhatle".to_owned(),
        version: "PostgreSQL 15.0 (nhatle)".to_owned(),
        tables: vec![events, alerts],
    };
    Arc::new(Catalog::new(facts))
}

fn ask(text: &str, kinds: &[Option<Kind>], values: &[Datum]) -> Result<Vec<Vec<Datum>>, Problem> {
    let session = Session {
        user: "an".to_owned(),
        pid: 7,
        settings: [("search_path".to_owned(), "public".to_owned())].into(),
        now: "2026-11-27 00:00:00+00".to_owned(),
    };
    let budget = Budget { stop: Arc::new(AtomicBool::new(false)), due: Instant::now() + Duration::from_secs(20) };
    prepare(&catalog(), text, kinds)?.run(values, &session, &budget)
}

/// Rows as text, columns by `|`, null as `~`.
fn shown(text: &str) -> String {
    let rows = ask(text, &[], &[]).unwrap_or_else(|problem| panic!("{problem:?}: {text}"));
    let cell = |value: &Datum| value.written().unwrap_or_else(|| "~".to_owned());
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join("|")).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(shown(text), *expected, "{text}");
    }
}

fn code(text: &str) -> &'static str {
    ask(text, &[], &[]).map_or_else(|problem| problem.code, |_| "answered")
}

#[test]
fn expressions_mean_what_they_mean_in_postgresql() {
    check(&[
        ("SELECT 1 + 2 * 3, 7 / 2, 7 % 4, -(2), 7.0 / 2", "7|3|3|-2|3.5"),
        ("SELECT NULL AND false, NULL AND true, NULL OR true, NOT NULL::bool", "f|~|t|~"),
        ("SELECT 1 IN (2, NULL), 1 IN (1, NULL), 1 NOT IN (2, NULL), 1 NOT IN (2, 3)", "~|t|~|t"),
        (
            "SELECT 'abc' LIKE 'a%', 'abc' LIKE 'A%', 'abc' ILIKE 'A_c', 'a%c' LIKE 'a\\%c', 'axc' LIKE 'a\\%c'",
            "t|f|t|t|f",
        ),
        (
            "SELECT 'events' ~ '^(ev.*)$', 'x' !~ 'y', 'Events' ~* '^ev', 'e' OPERATOR(pg_catalog.~) '^e$' COLLATE pg_catalog.default",
            "t|t|t|t",
        ),
        ("SELECT 3 = ANY (ARRAY[1,2,3]), 4 = ANY ('{1,2}'), 4 <> ALL ('{1,2}'), NULL = ANY (ARRAY[1])", "t|f|t|~"),
        ("SELECT CASE 'r' WHEN 'v' THEN 'view' WHEN 'r' THEN 'table' END, CASE WHEN false THEN 1 END", "table|~"),
        (
            "SELECT 1 IS DISTINCT FROM NULL, NULL IS NOT DISTINCT FROM NULL, 2 BETWEEN 1 AND 3, 2 NOT BETWEEN 1 AND 3",
            "t|t|t|f",
        ),
        (
            "SELECT coalesce(NULL, 'a'), nullif(1, 1), greatest(1, 3, NULL), 'a' || 'b' || NULL, concat('a', NULL, 1)",
            "a|~|3|~|a1",
        ),
        (
            "SELECT substring('events', 2, 3), split_part('a,b', ',', 2), trim(both 'x' from 'xax'), position('e' in 'the')",
            "ven|b|a|3",
        ),
        (
            "SELECT array_to_string(ARRAY['a', NULL, 'b'], ', '), array_upper(ARRAY[5,6], 1), (ARRAY['x','y'])[2], ARRAY['q'] || ARRAY['r']",
            "a, b|2|y|{q,r}",
        ),
        (
            "SELECT 'events'::regclass::oid, 16384::regclass, 'int4'::regtype::oid, 25::regtype::text, 2200::regnamespace::text",
            "16384|events|23|text|public",
        ),
        ("SELECT true::text, 't'::bool, '12'::int + 1, 12::text || 'x', '{1,2}'::int[]", "true|t|13|12x|{1,2}"),
        ("SELECT * FROM generate_series(1, 3) AS n WHERE n <> 2", "1\n3"),
        ("SELECT n, s FROM generate_series(2, 1, -1) n, LATERAL (SELECT n * 10 AS s) t ORDER BY s", "1|10\n2|20"),
        ("SELECT a, n FROM unnest(ARRAY['x','y']) WITH ORDINALITY AS u(a, n) ORDER BY n DESC", "y|2\nx|1"),
        ("SELECT unnest(ARRAY[1,2])", "1\n2"),
        ("SELECT format('%s.%I = %L%%', 'a', 'B', 'it''s'), format('%L', NULL)", "a.\"B\" = 'it''s'%|NULL"),
        ("VALUES (1, 'a'), (2, 'b') ORDER BY 1 DESC LIMIT 1", "2|b"),
        ("SELECT 1 UNION SELECT 1 UNION ALL SELECT 2", "1\n2"),
        ("SELECT 1 EXCEPT SELECT 1", ""),
        ("(SELECT 1 AS a) INTERSECT (SELECT 1) ORDER BY a", "1"),
        ("WITH a AS (SELECT 1 AS n), b AS (SELECT n + 1 AS n FROM a) SELECT a.n, b.n FROM a, b", "1|2"),
        (
            "SELECT count(*), sum(n), min(n), max(n), string_agg(n::text, ',' ORDER BY n DESC), array_agg(n) FROM generate_series(1, 3) n",
            "3|6|1|3|3,2,1|{1,2,3}",
        ),
        (
            "SELECT n % 2 AS odd, count(*) FROM generate_series(1, 5) n GROUP BY 1 HAVING count(*) > 1 ORDER BY odd",
            "0|2\n1|3",
        ),
        ("SELECT count(*), max(n) FROM generate_series(1, 0) n", "0|~"),
        (
            "SELECT n, row_number() OVER (PARTITION BY n % 2 ORDER BY n DESC) FROM generate_series(1, 4) n ORDER BY n",
            "1|2\n2|2\n3|1\n4|1",
        ),
        ("SELECT DISTINCT n % 2 FROM generate_series(1, 5) n ORDER BY 1 OFFSET 1", "1"),
        ("SELECT n FROM generate_series(1, 3) n ORDER BY -n LIMIT 2", "3\n2"),
        ("SELECT (SELECT count(*) FROM generate_series(1, n) m) FROM generate_series(1, 2) n", "1\n2"),
        ("SELECT ARRAY(SELECT n FROM generate_series(1, 3) n ORDER BY n DESC)", "{3,2,1}"),
    ]);
}

#[test]
fn joins_give_what_nested_loops_give() {
    let a = "(SELECT n FROM generate_series(1, 4) n) a";
    let b = "(SELECT n, n * n AS sq FROM generate_series(3, 6) n) b";
    check(&[
        (&format!("SELECT a.n, b.sq FROM {a} JOIN {b} ON a.n = b.n ORDER BY 1"), "3|9\n4|16"),
        (&format!("SELECT a.n, b.sq FROM {a}, {b} WHERE b.n = a.n AND b.sq > 9"), "4|16"),
        (
            &format!("SELECT a.n, b.sq FROM {a} LEFT JOIN {b} ON a.n = b.n AND b.sq > 9 ORDER BY 1"),
            "1|~\n2|~\n3|~\n4|16",
        ),
        (&format!("SELECT a.n FROM {a} LEFT JOIN {b} ON a.n = b.n WHERE b.n IS NULL ORDER BY 1"), "1\n2"),
        (&format!("SELECT a.n, b.n FROM {a} RIGHT JOIN {b} ON a.n = b.n ORDER BY b.n"), "3|3\n4|4\n~|5\n~|6"),
        (&format!("SELECT count(*) FROM {a} FULL JOIN {b} ON a.n = b.n WHERE a.n IS NULL OR b.n IS NULL"), "4"),
        (&format!("SELECT count(*) FROM {a} CROSS JOIN {b}"), "16"),
        (&format!("SELECT * FROM {a} JOIN {b} USING (n) ORDER BY n"), "3|9\n4|16"),
        (&format!("SELECT a.n FROM {a} WHERE EXISTS (SELECT 1 FROM {b} WHERE b.n = a.n) ORDER BY 1"), "3\n4"),
        (&format!("SELECT a.n FROM {a} WHERE a.n NOT IN (SELECT n FROM {b}) ORDER BY 1"), "1\n2"),
        (
            &format!(
                "SELECT x.n FROM {a} LEFT JOIN ({b} JOIN {a2} ON b.n = x.n) ON a.n = b.n WHERE x.n IS NOT NULL ORDER BY 1",
                a2 = "(SELECT n FROM generate_series(1, 9) n) x"
            ),
            "3\n4",
        ),
    ]);
}

/// The shapes of what psql, JDBC (DBeaver, Metabase), Grafana, SQLAlchemy and asyncpg ask; our own words.
#[test]
fn clients_find_the_tables_and_columns() {
    check(&[
        (
            "SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' END, \
             pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam \
             WHERE c.relkind IN ('r','p','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' \
             AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2",
            "public|alerts|table|nhatle\npublic|events|table|nhatle",
        ),
        (
            "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relname OPERATOR(pg_catalog.~) '^(events)$' COLLATE pg_catalog.default \
             AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3",
            "16384|public|events",
        ),
        (
            "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
             (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d \
              WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull, \
             (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t WHERE c.oid = a.attcollation \
              AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation, a.attidentity, \
             pg_catalog.col_description(a.attrelid, a.attnum) FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = '16384' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            "@timestamp|timestamp with time zone|~|f|~||When\nsource.ip|text|~|f|~||~\nbytes|bigint|~|f|~||~",
        ),
        (
            "SELECT nspname AS table_schem, relname, d.description FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c \
             LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass) \
             WHERE c.relnamespace = n.oid AND n.nspname LIKE 'public' AND (false OR (c.relkind = 'r' AND n.nspname !~ '^pg_')) \
             ORDER BY relname",
            "public|alerts|\npublic|events|What happened",
        ),
        (
            "SELECT * FROM (SELECT n.nspname, c.relname, a.attname, a.atttypid, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS nn, \
             a.atttypmod, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS place, t.typtype \
             FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid) \
             JOIN pg_catalog.pg_attribute a ON (a.attrelid = c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) \
             LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum) \
             WHERE c.relkind in ('r','p','v','f','m') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname LIKE 'public' \
             AND c.relname LIKE 'events') c WHERE true ORDER BY nspname, c.relname, place",
            "public|events|@timestamp|1184|f|-1|1|b\npublic|events|source.ip|25|f|-1|2|b\npublic|events|bytes|20|f|-1|3|b",
        ),
        (
            "SELECT result.table_schem, result.key_seq FROM (SELECT n.nspname AS table_schem, a.attname, \
             (information_schema._pg_expandarray(i.indkey)).n AS key_seq FROM pg_catalog.pg_class ct \
             JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) \
             JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid) WHERE i.indisprimary) result ORDER BY 1",
            "",
        ),
        (
            "SELECT column_name, data_type, udt_name, is_nullable FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name = 'events' ORDER BY ordinal_position",
            "@timestamp|timestamp with time zone|timestamptz|YES\nsource.ip|text|text|YES\nbytes|bigint|int8|YES",
        ),
        (
            "SELECT quote_ident(table_name) FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN \
             ('information_schema', 'pg_catalog') AND quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '\"$user\"' \
             THEN user ELSE trim(s[i]) END FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1), \
             array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i, \
             string_to_array(current_setting('search_path'), ',') s) ORDER BY 1",
            "alerts\nevents",
        ),
        (
            "SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace \
             ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = \
             ANY (ARRAY['r', 'p']) AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) \
             AND pg_catalog.pg_namespace.nspname != 'pg_catalog' ORDER BY 1",
            "alerts\nevents",
        ),
        (
            "SELECT d.datname, pg_catalog.pg_encoding_to_char(d.encoding), pg_catalog.array_to_string(d.datacl, E'\\n') \
             FROM pg_catalog.pg_database d ORDER BY 1",
            "nhatle|UTF8|~",
        ),
        (
            "SELECT t.typname, t.oid FROM pg_catalog.pg_type t WHERE t.typname IN ('text', 'timestamptz') AND \
             (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)) AND NOT EXISTS \
             (SELECT 1 FROM pg_catalog.pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid) ORDER BY 2",
            "text|25\ntimestamptz|1184",
        ),
        (
            "SELECT version(), current_database(), current_schema(), current_user, pg_backend_pid()",
            "PostgreSQL 15.0 (nhatle)|nhatle|public|an|7",
        ),
        ("SELECT has_table_privilege('events', 'SELECT'), has_table_privilege('events', 'INSERT')", "t|f"),
        ("SELECT string_agg(word, ',') FROM pg_catalog.pg_get_keywords()", "~"),
        (
            "SELECT to_regclass('public.events')::oid, to_regclass('nothing'), obj_description('events'::regclass)",
            "16384|~|What happened",
        ),
    ]);
}

#[test]
fn parameters_take_the_kind_of_what_they_stand_beside() {
    let prepared =
        prepare(&catalog(), "SELECT attname FROM pg_attribute WHERE attrelid = $1 AND attname = $2 LIMIT $3", &[]);
    assert_eq!(prepared.expect("is one").parameters(), [Kind::Oid, Kind::Name, Kind::Int8]);
    let text = "SELECT relname FROM pg_class WHERE oid = $1::regclass AND relkind = ANY ($2)";
    let rows = ask(text, &[], &[Datum::text("public.events"), Datum::text("{r,v}")]).expect("answers");
    assert_eq!(rows, [[Datum::text("events")]]);
    let given = ask("SELECT $1 + 1", &[Some(Kind::Int4)], &[Datum::Int(2)]).expect("answers");
    assert_eq!(given, [[Datum::Int(3)]]);
}

#[test]
fn what_is_wrong_is_told_by_its_code() {
    for (text, expected) in [
        ("SELECT nothing FROM pg_class", "42703"),
        ("SELECT 1 FROM pg_nothing", "42P01"),
        ("SELECT no_such_function()", "42883"),
        ("SELECT 1::no_such_type", "42704"),
        ("SELECT oid FROM pg_class, pg_type", "42702"),
        ("SELEC 1", "42601"),
        ("SELECT 1; SELECT 2", "42601"),
        ("SELECT (SELECT oid FROM pg_class)", "21000"),
        ("SELECT 'x'::int", "22P02"),
        ("SELECT 1 / 0", "22012"),
        ("SELECT 'nothing'::regclass", "42P01"),
        ("SELECT 'a' ~ '('", "2201B"),
        ("SELECT current_setting('nothing')", "42704"),
        ("DELETE FROM pg_class", "25006"),
        ("WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a", "0A000"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
    let problem = prepare(&catalog(), "SELECT 1\nFROM pg_class WHERE )", &[]).err().expect("is wrong");
    assert_eq!(problem.offset, Some(29), "{problem:?}");
}

#[test]
fn hostile_statements_end_within_their_bounds() {
    let deep = |part: &str, count: usize| format!("SELECT {}1", part.repeat(count));
    let cross = "SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute c, pg_attribute d WHERE a.attnum + b.attnum + c.attnum + d.attnum = 1";
    for (text, codes) in [
        (deep("1 + ", 100_000), &["54000", "54001"][..]),
        (deep("NOT ", 900), &["54001", "42601"]),
        (deep("(", 2_000), &["54001", "42601"]),
        (format!("SELECT {}1{}", "(SELECT ".repeat(60), ")".repeat(60)), &["54001", "42601"]),
        (cross.to_owned(), &["54000", "57014"]),
        ("SELECT * FROM generate_series(1, 1000000000000)".to_owned(), &["54000"]),
        ("SELECT count(*) FROM generate_series(1, 200000) a, generate_series(1, 200000) b".to_owned(), &["54000"]),
        (format!("SELECT {}", vec!["'x'"; 900].join(" || ")), &["answered", "54001"]),
        ("SELECT replace(string_agg('aaaaaaaaaa', ''), 'a', repeat_it.t) FROM generate_series(1, 100000), (SELECT string_agg('bbbbbbbbbb', '') AS t FROM generate_series(1, 10000)) repeat_it GROUP BY repeat_it.t".to_owned(), &["54000"]),
        ("SELECT 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' ~ '((a{1,1000}){1,1000}){1,1000}'".to_owned(), &["2201B"]),
    ] {
        let began = Instant::now();
        let found = std::thread::Builder::new().stack_size(2 << 20).spawn(move || code(&text)).expect("starts").join().expect("no stack is overrun");
        assert!(codes.contains(&found), "{found} of {codes:?}");
        assert!(began.elapsed() < Duration::from_secs(100), "{codes:?}");
    }
    let budget = Budget { stop: Arc::new(AtomicBool::new(true)), due: Instant::now() + Duration::from_secs(20) };
    let stopped = prepare(&catalog(), cross, &[]).expect("is one").run(&[], &Session::default(), &budget);
    assert_eq!(stopped.expect_err("was stopped").code, "57014");
}

#[test]
fn statements_go_to_the_catalog_by_what_they_name() {
    for (text, is_for_catalog) in [
        ("select version()", true),
        ("SELECT pg_catalog.version()", true),
        ("select current_schema()", true),
        ("SELECT CURRENT_USER", true),
        ("select * from pg_class", true),
        ("select * from information_schema.tables t", true),
        ("SELECT t.oid FROM pg_catalog.pg_type AS t, pg_namespace", true),
        ("SELECT 'events'::regclass::oid", true),
        ("select * from pg_catalog.pg_get_keywords()", true),
        ("select 1", false),
        ("select now()", false),
        ("select * from events", false),
        ("select * from public.events -- pg_class", false),
        ("select 'pg_class' from events", false),
        ("select current_database(), count(*) from events", false),
        ("select \"user\" from events", false),
        ("select pg_class from events", false),
    ] {
        assert_eq!(scan::is_for_catalog(text), is_for_catalog, "{text}");
    }
}
