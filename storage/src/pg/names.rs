//! What words of a statement mean: names, operators, types.
//!
//! In: parts of sqlparser's tree. Out: names as they are looked up, plain operators, kinds.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, ObjectName, Value};

use super::bound::Compare;
use super::datum::Kind;
use super::types;

/// A name as it is looked up: folded to lower case unless it is quoted.
pub(super) fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// The parts of a name, folded.
pub(super) fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect()
}

pub(super) fn last_of(name: &ObjectName) -> String {
    parts(name).pop().unwrap_or_default()
}

/// `OPERATOR(pg_catalog.~)` as `~`.
pub(super) fn plain_operator(op: &BinaryOperator) -> BinaryOperator {
    let BinaryOperator::PGCustomBinaryOperator(parts) = op else { return op.clone() };
    match parts.last().map(String::as_str) {
        Some("=") => BinaryOperator::Eq,
        Some("<>" | "!=") => BinaryOperator::NotEq,
        Some("<") => BinaryOperator::Lt,
        Some("<=") => BinaryOperator::LtEq,
        Some(">") => BinaryOperator::Gt,
        Some(">=") => BinaryOperator::GtEq,
        Some("~") => BinaryOperator::PGRegexMatch,
        Some("~*") => BinaryOperator::PGRegexIMatch,
        Some("!~") => BinaryOperator::PGRegexNotMatch,
        Some("!~*") => BinaryOperator::PGRegexNotIMatch,
        Some("~~") => BinaryOperator::PGLikeMatch,
        Some("~~*") => BinaryOperator::PGILikeMatch,
        Some("!~~") => BinaryOperator::PGNotLikeMatch,
        Some("||") => BinaryOperator::StringConcat,
        Some("+") => BinaryOperator::Plus,
        _ => op.clone(),
    }
}

pub(super) fn compare_of(op: &BinaryOperator) -> Option<Compare> {
    Some(match op {
        BinaryOperator::Eq => Compare::Equal,
        BinaryOperator::NotEq => Compare::Unequal,
        BinaryOperator::Lt => Compare::Less,
        BinaryOperator::LtEq => Compare::LessOrEqual,
        BinaryOperator::Gt => Compare::Greater,
        BinaryOperator::GtEq => Compare::GreaterOrEqual,
        _ => return None,
    })
}

pub(super) fn escape_of(value: Option<&Value>) -> Option<char> {
    match value {
        None => Some('\\'),
        Some(Value::SingleQuotedString(text)) => text.chars().next(),
        Some(_) => None,
    }
}

pub(super) fn widest(kinds: &[Kind]) -> Kind {
    if kinds.iter().any(|kind| matches!(kind, Kind::Float4 | Kind::Float8)) {
        Kind::Float8
    } else if kinds.iter().all(|kind| kind.is_whole()) {
        Kind::Int8
    } else {
        Kind::Text
    }
}

/// The kind of a type as a statement writes it.
pub(super) fn kind_named(name: &str) -> Option<Kind> {
    let lower = name.trim().to_ascii_lowercase();
    let lower = lower.trim_start_matches("pg_catalog.").replace('"', "");
    let bare = match (lower.find('('), lower.rfind(')')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", &lower[..open], &lower[close + 1..]),
        _ => lower,
    };
    let bare = bare.trim();
    if let Some(element) = bare.strip_suffix("[]") {
        return kind_named(element).map(Kind::list);
    }
    match bare {
        "numeric" | "decimal" | "double" | "float" => return Some(Kind::Float8),
        "cstring" | "inet" | "cidr" | "uuid" | "xml" | "interval" | "time" | "bpchar" | "character" | "citext"
        | "aclitem" | "pg_node_tree" | "xid" | "regoper" => return Some(Kind::Text),
        "anyarray" | "_aclitem" => return Some(Kind::TextList),
        "jsonb" => return Some(Kind::Json),
        "regprocedure" => return Some(Kind::Regproc),
        _ => {}
    }
    types::by_name(bare)?.kind
}

pub(super) fn shortened(expr: &Expr) -> String {
    expr.to_string().chars().take(80).collect()
}
