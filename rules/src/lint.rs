//! Warnings: what loads but looks wrong. What is wrong in single values is found where they are compiled.
//!
//! Source: Sigma specification 2.1.0; the sense of filters: `docs/sigma.md`.

use crate::ast::{
    Condition, Correlation, CorrelationCondition, CorrelationKind, Detection, Document, Filter, Selector,
};
use crate::error::Fault;
use crate::parse::condition::pattern_matches;
use crate::yaml::{Node, Place};

const STATUSES: &[&str] = &["stable", "test", "experimental", "deprecated", "unsupported"];

/// The warnings of one document.
pub(crate) fn document(node: &Node, document: &Document) -> Vec<Fault> {
    let mut found = meta(node);
    match document {
        Document::Rule(rule) => found.extend(unused(&rule.detection)),
        Document::Correlation(rule) => found.extend(correlation(rule)),
        Document::Filter(rule) => {
            found.extend(filter(rule));
            found.extend(unused(&rule.detection));
        }
    }
    found
}

fn meta(node: &Node) -> Vec<Fault> {
    let mut found = Vec::new();
    let text = |key: &str| node.get(key).and_then(|value| Some((value.place, value.text()?)));
    let mut warn = |place: Place, reason: String| found.push(Fault::new(place, reason));
    match text("id") {
        None => warn(node.place, "the rule has no `id`; one is made from its title".into()),
        Some((place, id)) if !is_uuid(id) => warn(place, "the `id` is not a UUID".into()),
        Some(_) => {}
    }
    if let Some((place, status)) = text("status").filter(|(_, status)| !STATUSES.contains(status)) {
        let shown: String = status.chars().take(40).collect();
        warn(place, format!("unknown status `{shown}`; write one of {}", STATUSES.join(", ")));
    }
    for key in ["date", "modified"] {
        if let Some((place, _)) = text(key).filter(|(_, date)| !is_date(date)) {
            warn(place, format!("`{key}` is not a date as YYYY-MM-DD"));
        }
    }
    for tag in node.get("tags").and_then(Node::list).unwrap_or_default() {
        if tag.text().is_none_or(|tag| !is_tag(tag)) {
            warn(tag.place, "a tag is `namespace.name` in lower case, for example attack.t1110.001".into());
        }
    }
    found
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(place, byte)| if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

fn is_tag(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    match text.split_once('.') {
        Some((namespace, name)) => {
            !namespace.is_empty()
                && !name.is_empty()
                && namespace.bytes().all(is_part)
                && name.bytes().all(|byte| is_part(byte) || byte == b'.')
        }
        None => false,
    }
}

/// Searches that no condition uses.
fn unused(detection: &Detection) -> Vec<Fault> {
    let is_used = |name: &str| detection.conditions.iter().any(|(condition, _)| uses(condition, name));
    let unused = detection.searches.iter().filter(|(name, _, _)| !name.starts_with('_') && !is_used(name));
    unused
        .map(|(name, place, _)| Fault::new(*place, format!("the search `{name}` is not used in the condition")))
        .collect()
}

fn uses(condition: &Condition, name: &str) -> bool {
    match condition {
        Condition::Identifier(known) => known == name,
        Condition::Of(_, Selector::Them) => !name.starts_with('_'),
        Condition::Of(_, Selector::Pattern(pattern)) => pattern_matches(pattern, name),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(|part| uses(part, name)),
        Condition::Not(part) => uses(part, name),
    }
}

fn has_not(condition: &Condition) -> bool {
    match condition {
        Condition::Not(_) => true,
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(has_not),
        Condition::Identifier(_) | Condition::Of(..) => false,
    }
}

/// A filter says what a match must meet beside the rule; most are meant to say what it must not.
fn filter(filter: &Filter) -> Vec<Fault> {
    let positive = filter.detection.conditions.iter().filter(|(condition, _)| !has_not(condition));
    let reason = "the filter's condition has no `not`: only events that meet it still match; to leave them out, write `not selection`";
    positive.map(|(_, place)| Fault::new(*place, reason.into())).collect()
}

fn correlation(rule: &Correlation) -> Vec<Fault> {
    let is_percentile = rule.kind == CorrelationKind::ValuePercentile;
    match &rule.condition {
        CorrelationCondition::Threshold { percentile: None, .. } if is_percentile => {
            vec![Fault::new(
                rule.place,
                "value_percentile without `percentile` in its condition; the median (50) is taken".into(),
            )]
        }
        _ => Vec::new(),
    }
}
