//! Functions and aggregates that clients call over the catalog.
//!
//! In: values. Out: a value. What tells of things that are not here (indexes, triggers, sizes on disk…) answers as PostgreSQL
//! does where there are none. Failure: [`Problem`]. Source: PostgreSQL 15, chapters 9.16 to 9.28.

use super::datum::{self, Datum, Kind, compare};
use super::rows::bounded;
use super::run::{self, World};
use super::tables::{Catalog, quoted};
use super::{Problem, ROWS_MAX, types};

/// What kind a function gives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    Is(Kind),
    /// That of its first argument that has one.
    First,
    /// That of the elements of its first argument.
    Element,
}

/// A function.
pub(super) struct Function {
    pub name: &'static str,
    /// How many arguments it takes, least and most.
    pub count: (usize, usize),
    pub gives: Gives,
    /// Null where an argument is null, without being called.
    pub is_strict: bool,
    pub call: fn(&World<'_>, &[Datum]) -> Result<Datum, Problem>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

type Call = fn(&World<'_>, &[Datum]) -> Result<Datum, Problem>;

const fn strict(name: &'static str, count: (usize, usize), kind: Kind, call: Call) -> Function {
    Function { name, count, gives: Gives::Is(kind), is_strict: true, call }
}

const fn loose(name: &'static str, count: (usize, usize), kind: Kind, call: Call) -> Function {
    Function { name, count, gives: Gives::Is(kind), is_strict: false, call }
}

/// Many.
const ANY: usize = 100;

/// Functions that tell of the server, the connection or the catalog.
const OF_CATALOG: &[Function] = &[
    loose("version", (0, 0), Kind::Text, |world, _| Ok(Datum::text(&*world.catalog.facts.version))),
    loose("current_database", (0, 0), Kind::Name, |world, _| Ok(Datum::text(&*world.catalog.facts.database))),
    loose("current_catalog", (0, 0), Kind::Name, |world, _| Ok(Datum::text(&*world.catalog.facts.database))),
    loose("current_schema", (0, 0), Kind::Name, |_, _| Ok(Datum::text("public"))),
    loose("current_schemas", (1, 1), Kind::NameList, |_, arguments| {
        let all: &[&str] = if arguments[0].truth()? == Some(true) { &["pg_catalog", "public"] } else { &["public"] };
        Ok(Datum::List(all.iter().map(|name| Datum::text(*name)).collect()))
    }),
    loose("current_user", (0, 0), Kind::Name, |world, _| Ok(Datum::text(&*world.session.user))),
    loose("session_user", (0, 0), Kind::Name, |world, _| Ok(Datum::text(&*world.session.user))),
    loose("user", (0, 0), Kind::Name, |world, _| Ok(Datum::text(&*world.session.user))),
    loose("current_role", (0, 0), Kind::Name, |world, _| Ok(Datum::text(&*world.session.user))),
    loose("pg_backend_pid", (0, 0), Kind::Int4, |world, _| Ok(Datum::Int(i64::from(world.session.pid)))),
    loose("current_setting", (1, 2), Kind::Text, setting),
    loose("set_config", (3, 3), Kind::Text, |_, arguments| Ok(arguments[1].clone())),
    loose("inet_server_addr", (0, 0), Kind::Text, null),
    loose("inet_server_port", (0, 0), Kind::Int4, null),
    loose("inet_client_addr", (0, 0), Kind::Text, null),
    loose("inet_client_port", (0, 0), Kind::Int4, null),
    loose("pg_is_in_recovery", (0, 0), Kind::Bool, no),
    loose("pg_postmaster_start_time", (0, 0), Kind::Timestamptz, null),
    loose("pg_conf_load_time", (0, 0), Kind::Timestamptz, null),
    loose("txid_current", (0, 0), Kind::Int8, |_, _| Ok(Datum::Int(1))),
    loose("pg_my_temp_schema", (0, 0), Kind::Oid, zero),
    loose("pg_is_other_temp_schema", (1, 1), Kind::Bool, no),
    loose("getdatabaseencoding", (0, 0), Kind::Name, |_, _| Ok(Datum::text("UTF8"))),
    loose("pg_client_encoding", (0, 0), Kind::Name, |_, _| Ok(Datum::text("UTF8"))),
    strict("pg_encoding_to_char", (1, 1), Kind::Name, |_, arguments| {
        Ok(Datum::text(if arguments[0].whole()? == Some(6) { "UTF8" } else { "" }))
    }),
    strict("pg_char_to_encoding", (1, 1), Kind::Int4, |_, _| Ok(Datum::Int(6))),
    strict("pg_get_userbyid", (1, 1), Kind::Name, |_, arguments| {
        Ok(match arguments[0].whole()? {
            Some(10) => Datum::text("nhatle"),
            other => Datum::text(format!("unknown (OID={})", other.unwrap_or(0))),
        })
    }),
    strict("pg_table_is_visible", (1, 1), Kind::Bool, |world, arguments| {
        let name = arguments[0].whole()?.and_then(|oid| world.catalog.class_name(oid));
        Ok(name.map_or(Datum::Null, |name| Datum::Bool(!name.starts_with("information_schema."))))
    }),
    strict("pg_type_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_function_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_operator_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_collation_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_conversion_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_statistics_obj_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_opfamily_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_ts_dict_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_ts_parser_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_ts_template_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_opclass_is_visible", (1, 1), Kind::Bool, yes),
    strict("pg_ts_config_is_visible", (1, 1), Kind::Bool, yes),
    loose("format_type", (2, 2), Kind::Text, |_, arguments| {
        Ok(arguments[0].whole()?.map_or(Datum::Null, |oid| Datum::Text(types::said(oid))))
    }),
    strict("obj_description", (1, 2), Kind::Text, |world, arguments| described(world, &arguments[0], 0)),
    strict("col_description", (2, 2), Kind::Text, |world, arguments| {
        let column = arguments[1].whole()?.unwrap_or(0);
        if column == 0 { Ok(Datum::Null) } else { described(world, &arguments[0], column) }
    }),
    loose("shobj_description", (2, 2), Kind::Text, null),
    loose("pg_get_expr", (2, 3), Kind::Text, null),
    loose("pg_get_indexdef", (1, 3), Kind::Text, null),
    loose("pg_get_constraintdef", (1, 2), Kind::Text, null),
    loose("pg_get_viewdef", (1, 2), Kind::Text, null),
    loose("pg_get_ruledef", (1, 2), Kind::Text, null),
    loose("pg_get_triggerdef", (1, 2), Kind::Text, null),
    loose("pg_get_functiondef", (1, 1), Kind::Text, null),
    loose("pg_get_function_arguments", (1, 1), Kind::Text, null),
    loose("pg_get_function_identity_arguments", (1, 1), Kind::Text, null),
    loose("pg_get_function_result", (1, 1), Kind::Text, null),
    loose("pg_get_function_sqlbody", (1, 1), Kind::Text, null),
    loose("pg_get_partkeydef", (1, 1), Kind::Text, null),
    loose("pg_get_partition_constraintdef", (1, 1), Kind::Text, null),
    loose("pg_get_serial_sequence", (2, 2), Kind::Text, null),
    loose("pg_get_statisticsobjdef_columns", (1, 1), Kind::Text, null),
    loose("pg_tablespace_location", (1, 1), Kind::Text, |_, _| Ok(Datum::text(""))),
    loose("pg_index_column_has_property", (3, 3), Kind::Bool, null),
    loose("pg_relation_filenode", (1, 1), Kind::Oid, null),
    loose("pg_relation_is_publishable", (1, 1), Kind::Bool, no),
    loose("pg_relation_is_updatable", (2, 2), Kind::Int4, zero),
    loose("pg_column_is_updatable", (3, 3), Kind::Bool, no),
    // What tables take on disk is said by the server's own pages, of the whole store.
    loose("pg_relation_size", (1, 2), Kind::Int8, null),
    loose("pg_table_size", (1, 1), Kind::Int8, null),
    loose("pg_total_relation_size", (1, 1), Kind::Int8, null),
    loose("pg_indexes_size", (1, 1), Kind::Int8, null),
    loose("pg_database_size", (1, 1), Kind::Int8, null),
    loose("pg_tablespace_size", (1, 1), Kind::Int8, null),
    loose("pg_stat_get_numscans", (1, 1), Kind::Int8, null),
    strict("pg_size_pretty", (1, 1), Kind::Text, |_, arguments| {
        Ok(arguments[0].written().map_or(Datum::Null, |bytes| Datum::Text(format!("{bytes} bytes"))))
    }),
    loose("has_schema_privilege", (2, 3), Kind::Bool, may_read),
    loose("has_table_privilege", (2, 3), Kind::Bool, may_read),
    loose("has_any_column_privilege", (2, 3), Kind::Bool, may_read),
    loose("has_column_privilege", (3, 4), Kind::Bool, may_read),
    loose("has_database_privilege", (2, 3), Kind::Bool, may_read),
    loose("has_function_privilege", (2, 3), Kind::Bool, may_read),
    loose("has_sequence_privilege", (2, 3), Kind::Bool, no),
    loose("has_tablespace_privilege", (2, 3), Kind::Bool, no),
    loose("has_server_privilege", (2, 3), Kind::Bool, no),
    loose("has_foreign_data_wrapper_privilege", (2, 3), Kind::Bool, no),
    loose("pg_has_role", (2, 3), Kind::Bool, no),
    strict("to_regclass", (1, 1), Kind::Regclass, |world, arguments| {
        let name = arguments[0].written().unwrap_or_default();
        Ok(world.catalog.class_oid(&name).map_or(Datum::Null, Datum::Int))
    }),
    strict("to_regtype", (1, 1), Kind::Regtype, |_, arguments| {
        let name = arguments[0].written().unwrap_or_default();
        Ok(types::by_name(&name).map_or(Datum::Null, |of| Datum::Int(of.oid)))
    }),
    strict("to_regnamespace", (1, 1), Kind::Oid, |_, arguments| {
        let name = arguments[0].written().unwrap_or_default();
        Ok(Catalog::schema_oid(&name).map_or(Datum::Null, Datum::Int))
    }),
    strict("quote_ident", (1, 1), Kind::Text, |_, arguments| {
        Ok(Datum::Text(quoted(&arguments[0].written().unwrap_or_default())))
    }),
    strict("quote_literal", (1, 1), Kind::Text, |_, arguments| {
        bounded(format!("'{}'", arguments[0].written().unwrap_or_default().replace('\'', "''")))
    }),
    strict("array_to_string", (2, 3), Kind::Text, |_, arguments| {
        let separator = arguments[1].written().unwrap_or_default();
        let nulls = arguments.get(2).and_then(Datum::written);
        let shown = |value: &Datum| value.written().or_else(|| nulls.clone());
        bounded(items(&arguments[0])?.iter().filter_map(shown).collect::<Vec<_>>().join(&separator))
    }),
    strict("array_length", (2, 2), Kind::Int4, length),
    strict("array_upper", (2, 2), Kind::Int4, length),
    strict("array_lower", (2, 2), Kind::Int4, |_, arguments| {
        Ok(if items(&arguments[0])?.is_empty() { Datum::Null } else { Datum::Int(1) })
    }),
    strict("cardinality", (1, 1), Kind::Int4, |_, arguments| Ok(count_of(items(&arguments[0])?.len()))),
    Function {
        name: "array_remove",
        count: (2, 2),
        gives: Gives::First,
        is_strict: false,
        call: |_, arguments| {
            if arguments[0].is_null() {
                return Ok(Datum::Null);
            }
            let mut kept = Vec::new();
            for value in items(&arguments[0])? {
                if compare(&value, &arguments[1])? != Some(std::cmp::Ordering::Equal) {
                    kept.push(value);
                }
            }
            Ok(Datum::List(kept))
        },
    },
    strict("array_position", (2, 3), Kind::Int4, |_, arguments| {
        for (value, place) in items(&arguments[0])?.iter().zip(1..) {
            if compare(value, &arguments[1])? == Some(std::cmp::Ordering::Equal) {
                return Ok(Datum::Int(place));
            }
        }
        Ok(Datum::Null)
    }),
    strict("string_to_array", (2, 3), Kind::TextList, |_, arguments| {
        let (text, separator) =
            (arguments[0].written().unwrap_or_default(), arguments[1].written().unwrap_or_default());
        let parts: Vec<Datum> = match (text.is_empty(), separator.is_empty()) {
            (true, _) => Vec::new(),
            (_, true) => vec![Datum::Text(text)],
            _ => text.split(separator.as_str()).take(ROWS_MAX).map(Datum::text).collect(),
        };
        Ok(Datum::List(parts))
    }),
    loose("json_build_object", (0, ANY), Kind::Json, |_, arguments| {
        let mut object = serde_json::Map::new();
        for pair in arguments.chunks(2) {
            let name = pair[0].written().unwrap_or_default();
            object.insert(name, json_of(pair.get(1).unwrap_or(&Datum::Null)));
        }
        bounded(serde_json::Value::Object(object).to_string())
    }),
];

/// Functions of values.
const OF_VALUES: &[Function] = &[
    Function {
        name: "coalesce",
        count: (1, ANY),
        gives: Gives::First,
        is_strict: false,
        call: |_, arguments| Ok(arguments.iter().find(|value| !value.is_null()).cloned().unwrap_or(Datum::Null)),
    },
    Function {
        name: "nullif",
        count: (2, 2),
        gives: Gives::First,
        is_strict: false,
        call: |_, arguments| {
            let is_same = compare(&arguments[0], &arguments[1])? == Some(std::cmp::Ordering::Equal);
            Ok(if is_same { Datum::Null } else { arguments[0].clone() })
        },
    },
    Function {
        name: "greatest",
        count: (1, ANY),
        gives: Gives::First,
        is_strict: false,
        call: |_, arguments| extreme(arguments.iter(), std::cmp::Ordering::Greater),
    },
    Function {
        name: "least",
        count: (1, ANY),
        gives: Gives::First,
        is_strict: false,
        call: |_, arguments| extreme(arguments.iter(), std::cmp::Ordering::Less),
    },
    Function {
        name: "abs",
        count: (1, 1),
        gives: Gives::First,
        is_strict: true,
        call: |_, arguments| match &arguments[0] {
            Datum::Float(value) => Ok(Datum::Float(value.abs())),
            other => Ok(other.whole()?.and_then(i64::checked_abs).map_or(Datum::Null, Datum::Int)),
        },
    },
    Function {
        name: "array_append",
        count: (2, 2),
        gives: Gives::First,
        is_strict: false,
        call: |_, arguments| {
            let mut values = if arguments[0].is_null() { Vec::new() } else { items(&arguments[0])? };
            values.push(arguments[1].clone());
            Ok(Datum::List(values))
        },
    },
    Function {
        name: "any_value",
        count: (1, 1),
        gives: Gives::Element,
        is_strict: true,
        call: |_, arguments| Ok(items(&arguments[0])?.into_iter().next().unwrap_or(Datum::Null)),
    },
    strict("lower", (1, 1), Kind::Text, |_, arguments| text_of(arguments, |text| text.to_lowercase())),
    strict("upper", (1, 1), Kind::Text, |_, arguments| text_of(arguments, |text| text.to_uppercase())),
    strict("length", (1, 1), Kind::Int4, chars),
    strict("char_length", (1, 1), Kind::Int4, chars),
    strict("character_length", (1, 1), Kind::Int4, chars),
    strict("octet_length", (1, 1), Kind::Int4, |_, arguments| {
        Ok(count_of(arguments[0].written().unwrap_or_default().len()))
    }),
    strict("btrim", (1, 2), Kind::Text, |_, arguments| trimmed(arguments, true, true)),
    strict("trim", (1, 2), Kind::Text, |_, arguments| trimmed(arguments, true, true)),
    strict("ltrim", (1, 2), Kind::Text, |_, arguments| trimmed(arguments, true, false)),
    strict("rtrim", (1, 2), Kind::Text, |_, arguments| trimmed(arguments, false, true)),
    strict("substring", (2, 3), Kind::Text, part),
    strict("substr", (2, 3), Kind::Text, part),
    strict("left", (2, 2), Kind::Text, |_, arguments| {
        let count = usize::try_from(arguments[1].whole()?.unwrap_or(0)).unwrap_or(0);
        text_of(arguments, |text| text.chars().take(count).collect())
    }),
    strict("replace", (3, 3), Kind::Text, |_, arguments| {
        let [text, from, to] = [0, 1, 2].map(|index: usize| arguments[index].written().unwrap_or_default());
        if from.is_empty() {
            return Ok(Datum::Text(text));
        }
        // The length is reckoned before it is made.
        let length = text.len() + text.matches(from.as_str()).count() * to.len();
        if super::VALUE_BYTES_MAX < length {
            return Err(Problem::new("54000", "a value is too long"));
        }
        bounded(text.replace(from.as_str(), &to))
    }),
    strict("split_part", (3, 3), Kind::Text, |_, arguments| {
        let (text, by) = (arguments[0].written().unwrap_or_default(), arguments[1].written().unwrap_or_default());
        let place = arguments[2].whole()?.and_then(|number| usize::try_from(number - 1).ok());
        let part = place.and_then(|place| if by.is_empty() { None } else { text.split(by.as_str()).nth(place) });
        Ok(Datum::text(part.unwrap_or_default()))
    }),
    strict("strpos", (2, 2), Kind::Int4, |_, arguments| {
        let (text, part) = (arguments[0].written().unwrap_or_default(), arguments[1].written().unwrap_or_default());
        Ok(text.find(&part).map_or(Datum::Int(0), |at| count_of(text[..at].chars().count() + 1)))
    }),
    loose("concat", (1, ANY), Kind::Text, |_, arguments| {
        bounded(arguments.iter().filter_map(Datum::written).collect::<String>())
    }),
    loose("concat_ws", (2, ANY), Kind::Text, |_, arguments| {
        let Some(by) = arguments[0].written() else { return Ok(Datum::Null) };
        bounded(arguments[1..].iter().filter_map(Datum::written).collect::<Vec<_>>().join(&by))
    }),
    strict("regexp_replace", (3, 4), Kind::Text, |_, arguments| {
        let [text, pattern, to] = [0, 1, 2].map(|index: usize| arguments[index].written().unwrap_or_default());
        let flags = arguments.get(3).and_then(Datum::written).unwrap_or_default();
        let pattern = run::regex(&pattern, flags.contains('i'))?;
        let to = regex::NoExpand(&to);
        let limit = usize::from(!flags.contains('g'));
        bounded(pattern.replacen(&text, limit, to).into_owned())
    }),
    loose("format", (1, ANY), Kind::Text, |_, arguments| formatted(arguments)),
    loose("now", (0, 0), Kind::Timestamptz, |world, _| Ok(Datum::text(&*world.session.now))),
    loose("current_timestamp", (0, 1), Kind::Timestamptz, |world, _| Ok(Datum::text(&*world.session.now))),
];

/// The function of this name that takes so many arguments.
pub(super) fn find(name: &str, count: usize) -> Option<&'static Function> {
    let mut all = OF_CATALOG.iter().chain(OF_VALUES);
    all.find(|function| function.name == name && (function.count.0..=function.count.1).contains(&count))
}

/// Whether a function of this name tells of the server or the catalog.
pub(super) fn is_of_catalog(name: &str) -> bool {
    OF_CATALOG.iter().any(|function| function.name == name)
}

/// Whether this is called without parentheses.
pub(super) fn is_bare(name: &str) -> bool {
    ["current_user", "session_user", "user", "current_role", "current_catalog", "current_schema"].contains(&name)
}

/// An aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Total {
    Count,
    Sum,
    Min,
    Max,
    List,
    Text,
    All,
    Some,
    Json,
}

/// The aggregate of this name, and its kind over values of `kind`.
pub(super) fn total(name: &str, kind: Option<Kind>) -> Option<(Total, Kind)> {
    let of = kind.unwrap_or(Kind::Text);
    Some(match name {
        "count" => (Total::Count, Kind::Int8),
        "sum" => (Total::Sum, if of.is_whole() { Kind::Int8 } else { Kind::Float8 }),
        "min" => (Total::Min, of),
        "max" => (Total::Max, of),
        "array_agg" => (Total::List, of.list()),
        "string_agg" => (Total::Text, Kind::Text),
        "bool_and" | "every" => (Total::All, Kind::Bool),
        "bool_or" => (Total::Some, Kind::Bool),
        "json_agg" | "jsonb_agg" => (Total::Json, Kind::Json),
        _ => return None,
    })
}

/// The value of an aggregate over the arguments of each row.
pub(super) fn totaled(of: Total, rows: &[Vec<Datum>]) -> Result<Datum, Problem> {
    let first = || rows.iter().filter_map(|row| row.first());
    let values = || first().filter(|value| !value.is_null());
    match of {
        Total::Count => Ok(count_of(values().count())),
        Total::Sum => {
            let mut sum: Option<Datum> = None;
            for value in values() {
                sum = Some(match sum {
                    None => value.clone(),
                    Some(Datum::Float(sum)) => Datum::Float(sum + datum::float(value)?),
                    Some(sum) => match (sum.whole()?, value) {
                        (Some(sum), Datum::Float(value)) => Datum::Float(sum as f64 + value),
                        (Some(sum), value) => {
                            let next = value.whole()?.and_then(|value| sum.checked_add(value));
                            Datum::Int(next.ok_or_else(|| Problem::new("22003", "bigint out of range"))?)
                        }
                        (None, _) => Datum::Null,
                    },
                });
            }
            Ok(sum.unwrap_or(Datum::Null))
        }
        Total::Min => extreme(values(), std::cmp::Ordering::Less),
        Total::Max => extreme(values(), std::cmp::Ordering::Greater),
        Total::List if rows.is_empty() => Ok(Datum::Null),
        Total::List => Ok(Datum::List(first().cloned().collect())),
        Total::Text => {
            let mut text: Option<String> = None;
            for row in rows {
                let Some(part) = row.first().and_then(Datum::written) else { continue };
                let by = row.get(1).and_then(Datum::written).unwrap_or_default();
                let next = text.map_or(part.clone(), |before| before + &by + &part);
                if super::VALUE_BYTES_MAX < next.len() {
                    return Err(Problem::new("54000", "a value is too long"));
                }
                text = Some(next);
            }
            Ok(text.map_or(Datum::Null, Datum::Text))
        }
        Total::All | Total::Some => {
            let mut all: Option<bool> = None;
            for value in values() {
                let value = value.truth()?.unwrap_or(false);
                all = Some(all.map_or(value, |all| if of == Total::All { all && value } else { all || value }));
            }
            Ok(all.map_or(Datum::Null, Datum::Bool))
        }
        Total::Json if rows.is_empty() => Ok(Datum::Null),
        Total::Json => bounded(serde_json::Value::Array(first().map(json_of).collect()).to_string()),
    }
}

fn null(_: &World<'_>, _: &[Datum]) -> Result<Datum, Problem> {
    Ok(Datum::Null)
}

fn yes(_: &World<'_>, _: &[Datum]) -> Result<Datum, Problem> {
    Ok(Datum::Bool(true))
}

fn no(_: &World<'_>, _: &[Datum]) -> Result<Datum, Problem> {
    Ok(Datum::Bool(false))
}

fn zero(_: &World<'_>, _: &[Datum]) -> Result<Datum, Problem> {
    Ok(Datum::Int(0))
}

/// Everything may be read, and nothing changed.
fn may_read(_: &World<'_>, arguments: &[Datum]) -> Result<Datum, Problem> {
    let asked = arguments.last().and_then(Datum::written).unwrap_or_default().to_lowercase();
    let read = ["select", "usage", "connect", "execute"];
    Ok(Datum::Bool(asked.split(',').any(|part| read.contains(&part.trim()))))
}

fn setting(world: &World<'_>, arguments: &[Datum]) -> Result<Datum, Problem> {
    let name = arguments[0].written().unwrap_or_default();
    let known = world.session.settings.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
    let may_miss = arguments.get(1).map(Datum::truth).transpose()?.flatten() == Some(true);
    match known {
        Some((_, value)) => Ok(Datum::text(value.as_str())),
        None if may_miss => Ok(Datum::Null),
        None => Err(Problem::new("42704", format!("unrecognized configuration parameter \"{name}\""))),
    }
}

fn described(world: &World<'_>, oid: &Datum, column: i64) -> Result<Datum, Problem> {
    let comment = oid.whole()?.and_then(|oid| world.catalog.comment(oid, column));
    Ok(comment.map_or(Datum::Null, Datum::text))
}

/// `format`: `%s`, `%I`, `%L` and `%%`, without positions and widths.
fn formatted(arguments: &[Datum]) -> Result<Datum, Problem> {
    let Some(pattern) = arguments[0].written() else { return Ok(Datum::Null) };
    let mut values = arguments[1..].iter();
    let mut next = || values.next().ok_or_else(|| Problem::new("22023", "too few arguments for format()"));
    let mut text = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('%') => text.push('%'),
            Some('s') => text.push_str(&next()?.written().unwrap_or_default()),
            Some('I') => text.push_str(&quoted(&next()?.written().unwrap_or_default())),
            Some('L') => match next()?.written() {
                Some(value) => text.push_str(&format!("'{}'", value.replace('\'', "''"))),
                None => text.push_str("NULL"),
            },
            _ => return Err(Problem::not_here("this kind of format()")),
        }
        if super::VALUE_BYTES_MAX < text.len() {
            return Err(Problem::new("54000", "a value is too long"));
        }
    }
    bounded(text)
}

fn items(value: &Datum) -> Result<Vec<Datum>, Problem> {
    match value {
        Datum::List(values) => Ok(values.clone()),
        Datum::Text(text) => datum::list_of(text),
        _ => Err(Problem::new("42804", "the argument must be an array")),
    }
}

fn count_of(count: usize) -> Datum {
    Datum::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn length(_: &World<'_>, arguments: &[Datum]) -> Result<Datum, Problem> {
    match (items(&arguments[0])?.len(), arguments[1].whole()?) {
        (0, _) => Ok(Datum::Null),
        (count, Some(1)) => Ok(count_of(count)),
        _ => Ok(Datum::Null),
    }
}

fn chars(_: &World<'_>, arguments: &[Datum]) -> Result<Datum, Problem> {
    Ok(count_of(arguments[0].written().unwrap_or_default().chars().count()))
}

fn text_of(arguments: &[Datum], change: impl FnOnce(&str) -> String) -> Result<Datum, Problem> {
    bounded(change(&arguments[0].written().unwrap_or_default()))
}

fn trimmed(arguments: &[Datum], at_start: bool, at_end: bool) -> Result<Datum, Problem> {
    let what = arguments.get(1).and_then(Datum::written).unwrap_or_else(|| " ".to_owned());
    text_of(arguments, |text| {
        let is_off = |letter: char| what.contains(letter);
        let text = if at_start { text.trim_start_matches(is_off) } else { text };
        (if at_end { text.trim_end_matches(is_off) } else { text }).to_owned()
    })
}

fn part(_: &World<'_>, arguments: &[Datum]) -> Result<Datum, Problem> {
    let Some(start) = arguments[1].whole()? else { return Ok(Datum::Null) };
    let end = match arguments.get(2).map(Datum::whole).transpose()?.flatten() {
        Some(count) if count < 0 => return Err(Problem::new("22011", "negative substring length not allowed")),
        Some(count) => start.saturating_add(count),
        None => i64::MAX,
    };
    text_of(arguments, |text| {
        let is_in = |place: i64| start <= place && place < end;
        text.chars().zip(1..).filter(|(_, place)| is_in(*place)).map(|(letter, _)| letter).collect()
    })
}

fn extreme<'v>(values: impl Iterator<Item = &'v Datum>, wanted: std::cmp::Ordering) -> Result<Datum, Problem> {
    let mut best: Option<&Datum> = None;
    for value in values.filter(|value| !value.is_null()) {
        match best {
            Some(known) if compare(value, known)? != Some(wanted) => {}
            _ => best = Some(value),
        }
    }
    Ok(best.cloned().unwrap_or(Datum::Null))
}

fn json_of(value: &Datum) -> serde_json::Value {
    match value {
        Datum::Null => serde_json::Value::Null,
        Datum::Bool(value) => (*value).into(),
        Datum::Int(value) => (*value).into(),
        Datum::Float(value) => (*value).into(),
        Datum::Text(text) => text.as_str().into(),
        Datum::List(values) => serde_json::Value::Array(values.iter().map(json_of).collect()),
    }
}
