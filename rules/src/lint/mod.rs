//! Warnings: what loads but looks wrong, each with a stable name ([`NAMES`], `docs/rules.md`).
//!
//! Warnings about more than one document (`asleep`, `duplicate-title`, `filter-for-nothing`) arise in `load`.
//! Source: Sigma specification 2.1.0; the sense of filters: `docs/sigma.md`.

mod meaning;

use crate::ast::{
    Condition, Correlation, CorrelationCondition, CorrelationKind, Detection, Document, Filter, Item, LogSource,
    Modifier, Search, Selector, Value, ValueKind,
};
use crate::attack;
use crate::error::Fault;
use crate::parse::condition::pattern_matches;
use crate::parse::modifier::word;
use crate::set::Level;
use crate::taxonomy;
use crate::yaml::{Node, Place};

/// Every name of a warning. A name is never used for something else.
#[cfg(test)]
pub(crate) const NAMES: &[&str] = &[
    "all-of-different-values",
    "all-with-one-value",
    "always-true",
    "asleep",
    "attack-tag-unknown",
    "base64offset-without-contains",
    "date-format",
    "duplicate-title",
    "empty-list",
    "field-unknown",
    "filter-for-nothing",
    "filter-without-not",
    "id-missing",
    "id-not-uuid",
    "impossible",
    "level-in-tags",
    "level-missing",
    "description-missing",
    "status-missing",
    "status-unknown",
    "no-group-by",
    "null-in-list",
    "only-wildcard",
    "percentile-missing",
    "regex-is-text",
    "search-unused",
    "tag-format",
    "type-of-value",
];

const STATUSES: &[&str] = &["stable", "test", "experimental", "deprecated", "unsupported"];

/// The warnings of one document, but for those of its values ([`item`]).
pub(crate) fn document(node: &Node, document: &Document) -> Vec<Fault> {
    let mut found = meta(node);
    match document {
        Document::Rule(rule) => {
            found.extend(missing(node));
            found.extend(detection(&rule.detection, &rule.logsource));
        }
        Document::Correlation(rule) => {
            found.extend(missing(node));
            found.extend(correlation(rule));
        }
        Document::Filter(rule) => {
            found.extend(filter(rule));
            found.extend(detection(&rule.detection, &rule.logsource));
        }
    }
    found
}

fn detection(detection: &Detection, source: &LogSource) -> Vec<Fault> {
    let mut found = unused(detection);
    for (condition, place) in &detection.conditions {
        found.extend(meaning::condition(condition, *place));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (_, _, search) in &detection.searches {
        fields(search, source, &mut seen, &mut found);
    }
    found
}

fn meta(node: &Node) -> Vec<Fault> {
    let mut found = Vec::new();
    let text = |key: &str| node.get(key).and_then(|value| Some((value.place, value.text()?)));
    let mut warn = |place: Place, lint, reason: String| found.push(Fault::warning(place, lint, reason));
    match text("id") {
        None => warn(node.place, "id-missing", "the rule has no `id`; one is made from its title".into()),
        Some((place, id)) if !is_uuid(id) => warn(place, "id-not-uuid", "the `id` is not a UUID".into()),
        Some(_) => {}
    }
    if let Some((place, status)) = text("status").filter(|(_, status)| !STATUSES.contains(status)) {
        let shown: String = status.chars().take(40).collect();
        warn(place, "status-unknown", format!("unknown status `{shown}`; write one of {}", STATUSES.join(", ")));
    }
    for key in ["date", "modified"] {
        if let Some((place, _)) = text(key).filter(|(_, date)| !is_date(date)) {
            warn(place, "date-format", format!("`{key}` is not a date as YYYY-MM-DD"));
        }
    }
    for node in node.get("tags").and_then(Node::list).unwrap_or_default() {
        if let Some((lint, reason)) = tag(node.text().unwrap_or_default()) {
            warn(node.place, lint, reason);
        }
    }
    found
}

/// What a rule should say of itself and does not.
fn missing(node: &Node) -> impl Iterator<Item = Fault> + '_ {
    let rows = [
        (
            "level",
            "level-missing",
            "the rule has no `level`; informational is taken. Write low, medium, high or critical",
        ),
        ("status", "status-missing", "the rule has no `status`; write test or stable"),
        ("description", "description-missing", "the rule has no `description`; say what it finds and why that is bad"),
    ];
    let is_missing = move |key: &str| node.get(key).and_then(Node::text).is_none_or(|text| text.trim().is_empty());
    rows.into_iter().filter(move |row| is_missing(row.0)).map(|row| Fault::warning(node.place, row.1, row.2))
}

/// What is wrong with a tag: the name of the warning and the reason.
fn tag(tag: &str) -> Option<(&'static str, String)> {
    let shown: String = tag.chars().take(60).collect();
    if Level::from_name(tag.trim_start_matches("level.")).is_some() {
        return Some(("level-in-tags", format!("`{shown}` is a level; write it as `level:`")));
    }
    if !is_tag(tag) {
        let reason = "a tag is `namespace.name` in lower case, for example attack.t1110.001";
        return Some(("tag-format", reason.into()));
    }
    let name = tag.strip_prefix("attack.")?;
    // Groups, software, mitigations, campaigns, data sources: ids that we keep no list of.
    let is_id = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|id| id.len() == 4 && id.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_known = attack::tactic_of_tag(tag).is_some()
        || attack::technique_of_tag(tag).is_some()
        || ["g", "s", "m", "c", "ds"].into_iter().any(is_id);
    (!is_known).then(|| {
        let near = crate::nearest::did_you_mean(name, attack::TACTICS.iter().map(|tactic| tactic.tag));
        let reason =
            format!("`{shown}` is neither a tactic nor a technique of ATT&CK{near}; write for example attack.t1110");
        ("attack-tag-unknown", reason)
    })
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
        .map(|(name, place, _)| {
            let reason = format!("the search `{name}` is not used in the condition; use it, or leave it out");
            Fault::warning(*place, "search-unused", reason)
        })
        .collect()
}

fn uses(condition: &Condition, name: &str) -> bool {
    match condition {
        Condition::Identifier(known) => known == name,
        Condition::Of(_, Selector::Them) => !name.starts_with('_'),
        Condition::Of(_, Selector::Pattern(pattern)) => !name.starts_with('_') && pattern_matches(pattern, name),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(|part| uses(part, name)),
        Condition::Not(part) => uses(part, name),
    }
}

/// Field names that look like a mistyped one of the log source, each once.
fn fields<'a>(search: &'a Search, source: &LogSource, seen: &mut Vec<&'a str>, found: &mut Vec<Fault>) {
    match search {
        Search::All(parts) | Search::Any(parts) => parts.iter().for_each(|part| fields(part, source, seen, found)),
        Search::Item(item) => {
            let Some(name) = item.field.as_deref().filter(|name| !seen.contains(name)) else { return };
            seen.push(name);
            if let Some(known) = taxonomy::meant(name, source) {
                let reason = format!("no field of this log source is known as `{name}`; did you mean `{known}`?");
                found.push(Fault::warning(item.place, "field-unknown", reason));
            }
        }
    }
}

/// A filter says what a match must meet beside the rule; most are meant to say what it must not.
fn filter(filter: &Filter) -> Vec<Fault> {
    let positive = filter.detection.conditions.iter().filter(|(condition, _)| !meaning::has_not(condition));
    let reason = "the filter's condition has no `not`: only events that meet it still match; to leave them out, write `not selection`";
    positive.map(|(_, place)| Fault::warning(*place, "filter-without-not", reason)).collect()
}

fn correlation(rule: &Correlation) -> Vec<Fault> {
    let mut found = Vec::new();
    let is_percentile = rule.kind == CorrelationKind::ValuePercentile;
    if is_percentile && matches!(rule.condition, CorrelationCondition::Threshold { percentile: None, .. }) {
        let reason = "value_percentile without `percentile` in its condition; the median (50) is taken";
        found.push(Fault::warning(rule.place, "percentile-missing", reason));
    }
    if rule.group_by.is_empty() {
        let reason = "without `group-by` all hosts and accounts count together; name the field that tells them apart";
        found.push(Fault::warning(rule.place, "no-group-by", reason));
    }
    found
}

/// The warnings of one item's values.
pub(crate) fn item(item: &Item) -> Vec<Fault> {
    let has = |modifier| item.modifiers.contains(&modifier);
    let mut found = Vec::new();
    let mut warn = |place: Place, lint, reason: &str| found.push(Fault::warning(place, lint, reason));
    if item.values.is_empty() {
        warn(item.place, "empty-list", "an empty list is read as null: the field is absent or null; write `null`");
    }
    if has(Modifier::All) && item.values.len() < 2 {
        warn(item.place, "all-with-one-value", "`all` has no effect on a single value; leave it out");
    }
    if let Some(null) = item.values.iter().find(|value| value.kind == ValueKind::Null && 1 < item.values.len()) {
        let reason = "null does not belong into a list of values; write a search of its own and join them with `or`";
        warn(null.place, "null-in-list", reason);
    }
    if has(Modifier::Base64Offset) && !has(Modifier::Contains) {
        let reason = "`base64offset` without `contains` matches only a value that is nothing else; add `contains`";
        warn(item.place, "base64offset-without-contains", reason);
    }
    if item.field.is_some() && item.modifiers == [Modifier::All] && are_different_texts(&item.values) {
        let reason = "no single value equals all of these; write `contains|all`, or leave out `all`";
        warn(item.place, "all-of-different-values", reason);
    }
    if let Some((value, reason)) = item.values.iter().find_map(|value| Some((value, wrong_type(item, value)?))) {
        warn(value.place, "type-of-value", &reason);
    }
    for value in &item.values {
        let ValueKind::Text(text) = &value.kind else { continue };
        if has(Modifier::Re) && !text.is_empty() && text.chars().all(|c| !r"\.+*?()|[]{}^$#".contains(c)) {
            let reason = "this regular expression is plain text; write `contains` (with `cased` where case counts)";
            warn(value.place, "regex-is-text", reason);
        }
        if (text == "*" || text == "**") && item.field.is_some() && !has(Modifier::Re) {
            let reason = "`*` matches any value that is there; `exists` says it plainer";
            warn(value.place, "only-wildcard", reason);
        }
    }
    found
}

/// What other Sigma tools refuse and we read as it is meant: a bare number where a modifier takes text, text where it
/// takes a number.
fn wrong_type(item: &Item, value: &Value) -> Option<String> {
    use Modifier as M;
    let takes_text = |modifier: &&Modifier| {
        matches!(
            modifier,
            M::Contains | M::StartsWith | M::EndsWith | M::Cased | M::Windash | M::Base64 | M::Base64Offset
        )
    };
    let takes_number = |modifier: &&Modifier| {
        matches!(modifier, M::Compare(_) | M::Minute | M::Hour | M::Day | M::Week | M::Month | M::Year)
    };
    let is_pattern = item.modifiers.iter().any(|modifier| matches!(modifier, M::Re | M::FieldRef));
    match &value.kind {
        // With zeros in front it is text to loaders of YAML 1.1, or should be.
        ValueKind::Number(_, written) if !is_pattern && !written.starts_with("00") => {
            let modifier = word(*item.modifiers.iter().find(takes_text)?);
            Some(format!("`{modifier}` takes text; other tools refuse a bare number here, write '{written}'"))
        }
        ValueKind::Text(text) => {
            let modifier = word(*item.modifiers.iter().find(takes_number)?);
            let shown: String = text.chars().take(40).collect();
            Some(format!("`{modifier}` takes a number; other tools refuse it in quotes, write {shown}"))
        }
        _ => None,
    }
}

/// Two texts without wildcards that differ also without case.
fn are_different_texts(values: &[Value]) -> bool {
    let mut texts = values.iter().filter_map(|value| match &value.kind {
        ValueKind::Text(text) if !text.contains(['*', '?']) => Some(crate::fold::fold(text)),
        _ => None,
    });
    texts.next().is_some_and(|first| texts.any(|other| other != first))
}
