//! The tables of `pg_catalog` and `information_schema`, made of [`Facts`].
//!
//! In: the tables of events and what the server is called. Out: [`Catalog`], rows in memory. What we have not (indexes, triggers,
//! policies, sequences…) is a table without rows, as it is in a new database. Source: PostgreSQL 15, chapters 37 and 53.

use std::collections::BTreeMap;

use super::datum::{Datum, Kind};
use super::types::{self, TYPES};

/// The OID of the schema `pg_catalog`, that of `public` and that of `information_schema`, as PostgreSQL has them.
const SCHEMAS: [(i64, &str, &str); 3] = [
    (11, "pg_catalog", "system catalog schema"),
    (2200, "public", "what is stored"),
    (13_000, "information_schema", "the standard's information schema"),
];
/// The OID of the first table of events.
const FIRST_TABLE: i64 = 16_384;
/// The OID of the first table of the catalog that has none fixed.
const FIRST_SYSTEM: i64 = 12_000;
/// The owner of everything.
const OWNER: i64 = 10;
/// The OID of the one database.
const DATABASE: i64 = 5;

/// A table of events, as it is told of.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name, in schema `public`.
    pub name: String,
    /// What it holds, in a sentence.
    pub comment: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

/// A column of a table of events.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// What it means; may be empty.
    pub comment: String,
}

/// What a catalog is made of.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The name of the database.
    pub database: String,
    /// What `version()` says.
    pub version: String,
    /// The tables of events.
    pub tables: Vec<Table>,
}

/// One table in memory.
pub(super) struct Relation {
    pub columns: Vec<(String, Kind)>,
    pub rows: Vec<Vec<Datum>>,
    pub oid: i64,
}

/// All of them.
pub struct Catalog {
    pub(super) facts: Facts,
    relations: BTreeMap<&'static str, Relation>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Catalog").field("tables", &self.facts.tables.len()).finish()
    }
}

/// Names and columns: `schema.table`, its OID where PostgreSQL fixes it, then `name kind` pairs.
const LAYOUT: &str = include_str!("layout.txt");

/// One line of the layout.
fn layout() -> impl Iterator<Item = (&'static str, i64, Vec<(&'static str, Kind)>)> {
    LAYOUT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).enumerate().map(|(index, line)| {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let oid = words.next().and_then(|oid| oid.parse().ok()).unwrap_or(0);
        let oid = if oid == 0 { FIRST_SYSTEM + index as i64 } else { oid };
        let columns = words.filter_map(|word| word.split_once(':')).map(|(name, kind)| (name, kind_word(kind)));
        (name, oid, columns.collect())
    })
}

fn kind_word(word: &str) -> Kind {
    match word {
        "b" => Kind::Bool,
        "c" => Kind::Char,
        "n" => Kind::Name,
        "i2" => Kind::Int2,
        "i4" => Kind::Int4,
        "i8" => Kind::Int8,
        "o" => Kind::Oid,
        "f4" => Kind::Float4,
        "f8" => Kind::Float8,
        "v" => Kind::Varchar,
        "tz" => Kind::Timestamptz,
        "rp" => Kind::Regproc,
        "i2v" => Kind::Int2Vector,
        "ov" => Kind::OidVector,
        "i2l" => Kind::Int2List,
        "ol" => Kind::OidList,
        "tl" => Kind::TextList,
        "nl" => Kind::NameList,
        "cl" => Kind::CharList,
        _ => Kind::Text,
    }
}

/// Whether a table of the catalog has this name, in either schema.
pub(super) fn is_known(name: &str) -> bool {
    LAYOUT.lines().any(|line| {
        line.split_whitespace().next().and_then(|full| full.split_once('.')).is_some_and(|(_, known)| known == name)
    })
}

/// A row: what is given, and for every other column what is usual for its kind.
fn row(columns: &[(String, Kind)], given: &[(&str, Datum)]) -> Vec<Datum> {
    let usual = |kind: &Kind| match kind {
        Kind::Bool => Datum::Bool(false),
        Kind::Name | Kind::Char => Datum::text(""),
        kind if kind.is_whole() => Datum::Int(0),
        Kind::Float4 | Kind::Float8 => Datum::Float(0.0),
        _ => Datum::Null,
    };
    let of = |(name, kind): &(String, Kind)| {
        given.iter().find(|(known, _)| known == name).map_or_else(|| usual(kind), |(_, value)| value.clone())
    };
    columns.iter().map(of).collect()
}

impl Catalog {
    /// The catalog of these facts.
    pub fn new(facts: Facts) -> Catalog {
        let mut relations = BTreeMap::new();
        for (name, oid, columns) in layout() {
            let columns = columns.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
            relations.insert(name, Relation { columns, rows: Vec::new(), oid });
        }
        let mut catalog = Catalog { facts, relations };
        catalog.fill();
        catalog
    }

    /// The relation of this name; without a schema `pg_catalog` is looked in.
    pub(super) fn relation(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        self.relations.get(format!("{}.{name}", schema.unwrap_or("pg_catalog")).as_str())
    }

    /// The OID of a table by its name, with or without its schema.
    pub(super) fn class_oid(&self, name: &str) -> Option<i64> {
        let parts = parts_of(name);
        let (schema, table) = match parts.as_slice() {
            [table] => (None, table),
            [schema, table] => (Some(schema.as_str()), table),
            [_, schema, table] => (Some(schema.as_str()), table),
            _ => return None,
        };
        let of_us = || self.relation(schema, table).map(|relation| relation.oid);
        if schema.is_some_and(|schema| schema != "public") {
            return of_us();
        }
        let index = self.facts.tables.iter().position(|known| known.name == *table);
        index.map(|index| FIRST_TABLE + index as i64).or_else(|| if schema.is_none() { of_us() } else { None })
    }

    /// The name of a table, with its schema where it would not be found without.
    pub(super) fn class_name(&self, oid: i64) -> Option<String> {
        let index = usize::try_from(oid - FIRST_TABLE).ok();
        if let Some(table) = index.and_then(|index| self.facts.tables.get(index)) {
            return Some(quoted(&table.name));
        }
        let (name, _) = self.relations.iter().find(|(_, relation)| relation.oid == oid)?;
        Some(name.strip_prefix("pg_catalog.").unwrap_or(name).to_owned())
    }

    /// The comment of a table (`column` 0) or column.
    pub(super) fn comment(&self, oid: i64, column: i64) -> Option<&str> {
        let table = self.facts.tables.get(usize::try_from(oid - FIRST_TABLE).ok()?)?;
        let text = match usize::try_from(column).ok()? {
            0 => &table.comment,
            number => &table.columns.get(number - 1)?.comment,
        };
        (!text.is_empty()).then_some(text)
    }

    /// The name of a schema.
    pub(super) fn schema_name(oid: i64) -> Option<&'static str> {
        SCHEMAS.iter().find(|(known, ..)| *known == oid).map(|(_, name, _)| *name)
    }

    /// The OID of a schema.
    pub(super) fn schema_oid(name: &str) -> Option<i64> {
        SCHEMAS.iter().find(|(_, known, _)| *known == name).map(|(oid, ..)| *oid)
    }

    fn add(&mut self, table: &str, given: &[(&str, Datum)]) {
        if let Some(relation) = self.relations.get_mut(table) {
            debug_assert!(
                given.iter().all(|(name, _)| relation.columns.iter().any(|(known, _)| known == name)),
                "{table}: {given:?}"
            );
            let row = row(&relation.columns, given);
            relation.rows.push(row);
        }
    }

    fn fill(&mut self) {
        let int = Datum::Int;
        let text = |text: &str| Datum::text(text);
        let database = self.facts.database.clone();
        for (oid, name, comment) in SCHEMAS {
            self.add(
                "pg_catalog.pg_namespace",
                &[("oid", int(oid)), ("nspname", text(name)), ("nspowner", int(OWNER))],
            );
            self.add(
                "pg_catalog.pg_description",
                &[("objoid", int(oid)), ("classoid", int(2615)), ("description", text(comment))],
            );
            let given =
                [("catalog_name", text(&database)), ("schema_name", text(name)), ("schema_owner", text("nhatle"))];
            self.add("information_schema.schemata", &given);
        }
        self.add(
            "pg_catalog.pg_database",
            &[
                ("oid", int(DATABASE)),
                ("datname", text(&database)),
                ("datdba", int(OWNER)),
                ("encoding", int(6)),
                ("datlocprovider", text("c")),
                ("datallowconn", Datum::Bool(true)),
                ("datconnlimit", int(-1)),
                ("dattablespace", int(1663)),
                ("datcollate", text("C.UTF-8")),
                ("datctype", text("C.UTF-8")),
            ],
        );
        let role = [
            ("rolname", text("nhatle")),
            ("rolinherit", Datum::Bool(true)),
            ("rolconnlimit", int(-1)),
            ("rolpassword", text("********")),
            ("oid", int(OWNER)),
        ];
        self.add("pg_catalog.pg_roles", &role);
        self.add("pg_catalog.pg_user", &[("usename", text("nhatle")), ("usesysid", int(OWNER))]);
        self.add("pg_catalog.pg_am", &[("oid", int(2)), ("amname", text("heap")), ("amtype", text("t"))]);
        self.add("pg_catalog.pg_language", &[("oid", int(14)), ("lanname", text("sql")), ("lanowner", int(OWNER))]);
        self.add(
            "pg_catalog.pg_tablespace",
            &[("oid", int(1663)), ("spcname", text("pg_default")), ("spcowner", int(OWNER))],
        );
        for (oid, name) in [(100, "default"), (950, "C"), (12_547, "ucs_basic")] {
            let given =
                [("oid", int(oid)), ("collname", text(name)), ("collnamespace", int(11)), ("collowner", int(OWNER))];
            let more =
                [("collprovider", text("c")), ("collisdeterministic", Datum::Bool(true)), ("collencoding", int(-1))];
            self.add("pg_catalog.pg_collation", &[given.as_slice(), more.as_slice()].concat());
        }
        self.add("information_schema.enabled_roles", &[("role_name", text("nhatle"))]);
        self.add("information_schema.information_schema_catalog_name", &[("catalog_name", text(&database))]);
        self.fill_types();
        self.fill_system();
        let tables = self.facts.tables.clone();
        for (index, table) in tables.iter().enumerate() {
            self.fill_table(FIRST_TABLE + index as i64, table);
        }
    }

    fn fill_types(&mut self) {
        let int = Datum::Int;
        for of in TYPES {
            let is_string = of.category == "S";
            let given = [
                ("oid", int(of.oid)),
                ("typname", Datum::text(of.name)),
                ("typnamespace", int(11)),
                ("typowner", int(OWNER)),
                ("typlen", int(of.size)),
                ("typbyval", Datum::Bool((0..=8).contains(&of.size))),
                ("typtype", Datum::text(if of.category == "P" { "p" } else { "b" })),
                ("typcategory", Datum::text(of.category)),
                ("typispreferred", Datum::Bool(matches!(of.name, "bool" | "text" | "float8" | "timestamptz" | "oid"))),
                ("typisdefined", Datum::Bool(true)),
                ("typdelim", Datum::text(",")),
                ("typelem", int(of.element)),
                ("typarray", int(of.list)),
                // The numbers of PostgreSQL's own functions; what matters is whether it is that of lists.
                ("typinput", int(if of.name.starts_with('_') { 750 } else { 1 })),
                ("typalign", Datum::text("i")),
                ("typstorage", Datum::text(if of.size < 0 { "x" } else { "p" })),
                ("typtypmod", int(-1)),
                ("typcollation", int(if is_string { 100 } else { 0 })),
            ];
            self.add("pg_catalog.pg_type", &given);
        }
    }

    /// The catalog tells of itself.
    fn fill_system(&mut self) {
        let known: Vec<(&str, i64, usize)> =
            self.relations.iter().map(|(name, relation)| (*name, relation.oid, relation.columns.len())).collect();
        for (full, oid, count) in known {
            let Some((schema, name)) = full.split_once('.') else { continue };
            let schema_oid = Catalog::schema_oid(schema).unwrap_or(0);
            let kind = if schema == "pg_catalog" { "r" } else { "v" };
            self.add_class(oid, name, schema_oid, kind, count);
            let columns = self.relations.get(full).map(|relation| relation.columns.clone()).unwrap_or_default();
            for (index, (name, kind)) in columns.iter().enumerate() {
                self.add_attribute(oid, index as i64 + 1, name, *kind);
            }
        }
    }

    fn add_class(&mut self, oid: i64, name: &str, schema: i64, kind: &str, columns: usize) {
        let int = Datum::Int;
        let given = [
            ("oid", int(oid)),
            ("relname", Datum::text(name)),
            ("relnamespace", int(schema)),
            ("relowner", int(OWNER)),
            ("relam", int(if kind == "r" { 2 } else { 0 })),
            ("reltuples", Datum::Float(-1.0)),
            ("relpersistence", Datum::text("p")),
            ("relkind", Datum::text(kind)),
            ("relnatts", int(columns as i64)),
            ("relispopulated", Datum::Bool(true)),
            ("relreplident", Datum::text("n")),
        ];
        self.add("pg_catalog.pg_class", &given);
    }

    fn add_attribute(&mut self, table: i64, number: i64, name: &str, kind: Kind) {
        let int = Datum::Int;
        let of = types::by_oid(kind.oid());
        let size = of.map_or(-1, |of| of.size);
        let given = [
            ("attrelid", int(table)),
            ("attname", Datum::text(name)),
            ("atttypid", int(kind.oid())),
            ("attstattarget", int(-1)),
            ("attlen", int(size)),
            ("attnum", int(number)),
            ("attcacheoff", int(-1)),
            ("atttypmod", int(-1)),
            ("attbyval", Datum::Bool((0..=8).contains(&size))),
            ("attstorage", Datum::text(if size < 0 { "x" } else { "p" })),
            ("attalign", Datum::text("i")),
            ("attislocal", Datum::Bool(true)),
            ("attcollation", int(if of.is_some_and(|of| of.category == "S") { 100 } else { 0 })),
        ];
        self.add("pg_catalog.pg_attribute", &given);
    }

    fn fill_table(&mut self, oid: i64, table: &Table) {
        let int = Datum::Int;
        let database = self.facts.database.clone();
        let name = table.name.as_str();
        self.add_class(oid, name, 2200, "r", table.columns.len());
        let comment = [("objoid", int(oid)), ("classoid", int(1259)), ("description", Datum::text(&*table.comment))];
        self.add("pg_catalog.pg_description", &comment);
        self.add(
            "pg_catalog.pg_tables",
            &[
                ("schemaname", Datum::text("public")),
                ("tablename", Datum::text(name)),
                ("tableowner", Datum::text("nhatle")),
            ],
        );
        for view in ["pg_stat_user_tables", "pg_stat_all_tables"] {
            let given = [("relid", int(oid)), ("schemaname", Datum::text("public")), ("relname", Datum::text(name))];
            self.add(&format!("pg_catalog.{view}"), &given);
        }
        let place = [
            ("table_catalog", Datum::text(&*database)),
            ("table_schema", Datum::text("public")),
            ("table_name", Datum::text(name)),
        ];
        let said = [
            ("table_type", Datum::text("BASE TABLE")),
            ("is_insertable_into", Datum::text("NO")),
            ("is_typed", Datum::text("NO")),
        ];
        self.add("information_schema.tables", &[place.as_slice(), said.as_slice()].concat());
        let right =
            [("grantor", "nhatle"), ("grantee", "PUBLIC"), ("privilege_type", "SELECT"), ("is_grantable", "NO")];
        let right: Vec<(&str, Datum)> = right.into_iter().map(|(name, value)| (name, Datum::text(value))).collect();
        for view in ["table_privileges", "role_table_grants"] {
            self.add(&format!("information_schema.{view}"), &[place.as_slice(), right.as_slice()].concat());
        }
        for (index, column) in table.columns.iter().enumerate() {
            let number = index as i64 + 1;
            self.add_attribute(oid, number, &column.name, column.kind);
            if !column.comment.is_empty() {
                let given = [
                    ("objoid", int(oid)),
                    ("classoid", int(1259)),
                    ("objsubid", int(number)),
                    ("description", Datum::text(&*column.comment)),
                ];
                self.add("pg_catalog.pg_description", &given);
            }
            let kind = types::by_oid(column.kind.oid());
            let said = [
                ("column_name", Datum::text(&*column.name)),
                ("ordinal_position", int(number)),
                ("is_nullable", Datum::text("YES")),
                ("data_type", Datum::text(kind.map_or("text", |of| if of.element == 0 { of.said } else { "ARRAY" }))),
                ("udt_catalog", Datum::text(&*database)),
                ("udt_schema", Datum::text("pg_catalog")),
                ("udt_name", Datum::text(kind.map_or("text", |of| of.name))),
                ("dtd_identifier", Datum::text(number.to_string())),
                ("is_self_referencing", Datum::text("NO")),
                ("is_identity", Datum::text("NO")),
                ("is_generated", Datum::text("NEVER")),
                ("is_updatable", Datum::text("NO")),
            ];
            self.add("information_schema.columns", &[place.as_slice(), said.as_slice()].concat());
            let given = [("column_name", Datum::text(&*column.name))];
            self.add("information_schema.column_privileges", &[place.as_slice(), &given, right.as_slice()].concat());
        }
    }
}

/// The parts of a name as SQL writes it: `public."Events"`.
pub(super) fn parts_of(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = name.trim().chars().peekable();
    let mut is_quoted = false;
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                parts[last].push('"');
            }
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(String::new()),
            letter if is_quoted => parts[last].push(letter),
            letter => parts[last].extend(letter.to_lowercase()),
        }
    }
    parts
}

/// `quote_ident`.
pub(super) fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
