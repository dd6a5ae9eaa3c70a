//! `detection` in, searches and conditions out: maps, lists and keywords in every nesting Sigma has.
//!
//! Map = all of its items; list of values = any of them; list of maps = any of the maps; plain values under
//! a name = keywords. Source: Sigma rules specification 2.1.0, "Detection"; mixed lists as pySigma 2.0.

use crate::ast::{Detection, Item, Search, Value, ValueKind};
use crate::error::Fault;
use crate::parse::{condition, modifier};
use crate::yaml::{Entry, Kind, Node, Place, Scalar};

/// How many searches one rule may have.
pub(crate) const SEARCHES_MAX: usize = 1_000;

/// The searches and conditions of a map; `skipped` keys belong to someone else (a filter's `rules`).
pub(crate) fn parse(node: &Node, skipped: &[&str]) -> Result<Detection, Fault> {
    let Some(entries) = node.map() else {
        return Err(Fault::new(
            node.place,
            format!("`detection` is {}; it must be a map of searches and a `condition`", node.kind_name()),
        ));
    };
    let mut detection = Detection { searches: Vec::new(), conditions: Vec::new() };
    for entry in entries.iter().filter(|entry| !skipped.contains(&entry.key.as_str())) {
        match entry.key.as_str() {
            "condition" => detection.conditions = conditions(&entry.value)?,
            "timeframe" => {
                let reason = "`timeframe` is not part of Sigma 2; write a correlation rule with `timespan` instead";
                return Err(Fault::new(entry.place, reason.into()));
            }
            name => detection.searches.push((name.to_owned(), entry.place, search(&entry.value)?)),
        }
    }
    if detection.conditions.is_empty() {
        return Err(Fault::new(node.place, "there is no `condition`; write for example `condition: selection`".into()));
    }
    if detection.searches.is_empty() {
        return Err(Fault::new(
            node.place,
            "there is no search; write for example `selection:` with a field under it".into(),
        ));
    }
    if SEARCHES_MAX < detection.searches.len() {
        return Err(Fault::new(node.place, format!("more than {SEARCHES_MAX} searches in one rule")));
    }
    Ok(detection)
}

fn conditions(node: &Node) -> Result<Vec<(crate::ast::Condition, Place)>, Fault> {
    let nodes = match &node.kind {
        Kind::List(items) if !items.is_empty() => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    nodes.iter().map(|node| Ok((expression(node)?, node.place))).collect()
}

/// A condition written as one text.
pub(crate) fn expression(node: &Node) -> Result<crate::ast::Condition, Fault> {
    let Some(text) = node.text() else {
        let shown = if node.is_null() { "empty" } else { node.kind_name() };
        return Err(Fault::new(
            node.place,
            format!("the condition is {shown}; it must be text, for example `selection`"),
        ));
    };
    condition::parse(text).map_err(|(offset, reason)| Fault::new(place_within(node, text, offset), reason))
}

/// The place of an offset inside a scalar. Exact where the scalar is written on one line without escapes.
fn place_within(node: &Node, text: &str, offset: usize) -> Place {
    let quote = usize::from(matches!(node.kind, Kind::Scalar { is_plain: false, .. }));
    let before = text.get(..offset).unwrap_or(text);
    if before.contains('\n') {
        return node.place;
    }
    Place { line: node.place.line, column: node.place.column + quote + before.chars().count() }
}

fn search(node: &Node) -> Result<Search, Fault> {
    match &node.kind {
        Kind::Map(entries) if entries.is_empty() => Err(empty(node)),
        Kind::List(items) if items.is_empty() => Err(empty(node)),
        Kind::Map(entries) => entries.iter().map(item).collect::<Result<Vec<_>, _>>().map(Search::All),
        Kind::List(items) => list(items),
        Kind::Scalar { .. } if node.is_null() => Err(empty(node)),
        Kind::Scalar { .. } => Ok(Search::Item(keywords(vec![value(node)?], node.place))),
    }
}

fn empty(node: &Node) -> Fault {
    Fault::new(node.place, "this search is empty; write a field with a value, or a keyword".into())
}

fn keywords(values: Vec<Value>, place: Place) -> Item {
    Item { field: None, modifiers: Vec::new(), values, place }
}

/// A list: the plain values are keywords together, each map or list is an alternative.
fn list(items: &[Node]) -> Result<Search, Fault> {
    let mut alternatives = Vec::new();
    let mut words = Vec::new();
    for node in items {
        match &node.kind {
            Kind::Scalar { .. } if node.is_null() => {
                return Err(Fault::new(
                    node.place,
                    "a keyword cannot be null; write text, or a field with null".into(),
                ));
            }
            Kind::Scalar { .. } => words.push(value(node)?),
            _ => alternatives.push(search(node)?),
        }
    }
    if let Some(first) = words.first() {
        let place = first.place;
        alternatives.insert(0, Search::Item(keywords(words, place)));
    }
    Ok(Search::Any(alternatives))
}

fn item(entry: &Entry) -> Result<Search, Fault> {
    let (field, modifiers) = modifier::parse(&entry.key).map_err(|reason| Fault::new(entry.place, reason))?;
    let values = match &entry.value.kind {
        Kind::List(items) => items.iter().map(value).collect::<Result<Vec<_>, _>>()?,
        Kind::Map(_) => {
            let reason = format!("the value of `{}` is a map; write one value or a list of values", entry.key);
            return Err(Fault::new(entry.value.place, reason));
        }
        Kind::Scalar { .. } => vec![value(&entry.value)?],
    };
    let field = field.map(str::to_owned);
    Ok(Search::Item(Item { field, modifiers, values, place: entry.place }))
}

fn value(node: &Node) -> Result<Value, Fault> {
    let kind = match node.scalar() {
        Some(Scalar::Text(text)) => ValueKind::Text(text.to_owned()),
        Some(Scalar::Number(number, text)) => ValueKind::Number(number, text.to_owned()),
        Some(Scalar::Boolean(boolean)) => ValueKind::Boolean(boolean),
        Some(Scalar::Null) => ValueKind::Null,
        None => {
            return Err(Fault::new(
                node.place,
                format!("a value in a list is {}; it must be text, a number, true, false or null", node.kind_name()),
            ));
        }
    };
    Ok(Value { kind, place: node.place })
}
