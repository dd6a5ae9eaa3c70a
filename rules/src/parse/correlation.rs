//! `correlation` in, [`Correlation`] out: type, rules, group-by, timespan, condition, aliases, generate.
//!
//! Source: Sigma correlation rules specification 2.1.0; conditions as expressions over rule names: approved for
//! 2.2.0 (sigma-specification issue 198), as pySigma 2.0; `w`, `M`, `y`, `value_median`, `percentile`: pySigma 2.0.

use crate::ast::{Alias, Condition, Correlation, CorrelationCondition, CorrelationKind};
use crate::compile::predicate::Comparison;
use crate::error::Fault;
use crate::nearest::did_you_mean;
use crate::parse::{detection, references};
use crate::set::{Meta, Scope};
use crate::yaml::{self, Kind, Node, Place, Scalar};

/// How many fields a correlation may group by.
pub(crate) const GROUP_BY_MAX: usize = 32;

/// Every `type`, by its word.
const KINDS: &[(&str, CorrelationKind)] = &[
    ("event_count", CorrelationKind::EventCount),
    ("value_count", CorrelationKind::ValueCount),
    ("temporal", CorrelationKind::Temporal),
    ("temporal_ordered", CorrelationKind::TemporalOrdered),
    ("value_sum", CorrelationKind::ValueSum),
    ("value_avg", CorrelationKind::ValueAvg),
    ("value_percentile", CorrelationKind::ValuePercentile),
    ("value_median", CorrelationKind::ValueMedian),
];

/// Every comparison of a condition, by its word.
const COMPARISONS: &[(&str, Comparison)] = &[
    ("gt", Comparison::Greater),
    ("gte", Comparison::GreaterOrEqual),
    ("lt", Comparison::Less),
    ("lte", Comparison::LessOrEqual),
    ("eq", Comparison::Equal),
    ("neq", Comparison::NotEqual),
];

/// The correlation as written, in its document; `generate` stands at the top level in the schema and inside in pySigma.
pub(crate) fn parse(node: &Node, document: &Node, meta: Meta) -> Result<Correlation, Fault> {
    if node.map().is_none() {
        return Err(Fault::new(node.place, format!("`correlation` is {}; it must be a map", node.kind_name())));
    }
    let kind = kind(node)?;
    let condition = condition(node, kind)?;
    let rules = match (node.get("rules"), &condition) {
        (Some(rules), _) => references(rules)?,
        (None, CorrelationCondition::Extended(..)) => Vec::new(),
        (None, _) => {
            return Err(Fault::new(
                node.place,
                "there is no `rules`; list the ids or names of the rules to correlate".into(),
            ));
        }
    };
    if rules.is_empty() && !matches!(condition, CorrelationCondition::Extended(..)) {
        return Err(Fault::new(node.place, "`rules` is empty; list the ids or names of the rules to correlate".into()));
    }
    let timespan = required(node, "timespan", "write for example `timespan: 5m`")?;
    Ok(Correlation {
        kind,
        rules,
        group_by: fields(node.get("group-by"), "group-by")?,
        timespan_ns: timespan_ns(timespan)?,
        aliases: aliases(node.get("aliases"))?,
        condition,
        generates: generates(node.get("generate").or(document.get("generate")))?,
        scope: own_scope(document).map_or(Ok(Scope::default()), scope)?,
        meta,
        place: document.place,
    })
}

fn required<'a>(node: &'a Node, key: &str, hint: &str) -> Result<&'a Node, Fault> {
    node.get(key).ok_or_else(|| Fault::new(node.place, format!("there is no `{key}`; {hint}")))
}

fn kind(node: &Node) -> Result<CorrelationKind, Fault> {
    let word = required(node, "type", "write for example `type: event_count`")?;
    let text = word.text().unwrap_or_default();
    KINDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, kind)| *kind).ok_or_else(|| {
        let known: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
        let near = did_you_mean(text, known.iter().copied());
        Fault::new(word.place, format!("unknown correlation type `{text}`{near}; write one of {}", known.join(", ")))
    })
}

fn generates(node: Option<&Node>) -> Result<bool, Fault> {
    let Some(node) = node else { return Ok(false) };
    match node.scalar() {
        Some(Scalar::Boolean(generates)) => Ok(generates),
        _ => Err(Fault::new(node.place, "`generate` must be true or false".into())),
    }
}

/// Our own key `nhatle.scope`, where the document has it.
pub(crate) fn own_scope(document: &Node) -> Option<&Node> {
    document.get("nhatle")?.get("scope")
}

fn scope(node: &Node) -> Result<Scope, Fault> {
    match node.text() {
        Some("city") => Ok(Scope::City),
        Some("unit") => Ok(Scope::Unit),
        Some(text) => Err(Fault::new(node.place, format!("unknown scope `{text}`; write `city` or `unit`"))),
        None => Err(Fault::new(node.place, format!("`scope` is {}; write `city` or `unit`", node.kind_name()))),
    }
}

/// `5m`: a number and a unit. Zero and fractions are refused.
fn timespan_ns(node: &Node) -> Result<i64, Fault> {
    let wrong = || {
        let reason =
            "`timespan` is a number above 0 and a unit: s, m (minutes), h, d, w, M (months), y; for example `5m`";
        Fault::new(node.place, reason.into())
    };
    let text = node.text().ok_or_else(wrong)?.trim();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        'M' => 2_629_746,
        'y' => 31_556_952,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: i64 = digits.parse().map_err(|_| wrong())?;
    let span = count.checked_mul(seconds).and_then(|seconds| seconds.checked_mul(1_000_000_000));
    span.filter(|span| 0 < *span).ok_or_else(wrong)
}

/// Field names: a list, or one.
fn fields(node: Option<&Node>, key: &str) -> Result<Vec<String>, Fault> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
    let nodes = match &node.kind {
        Kind::List(items) => items.as_slice(),
        Kind::Scalar { .. } => std::slice::from_ref(node),
        Kind::Map(_) => return Err(Fault::new(node.place, format!("`{key}` is a map; it must be a list of fields"))),
    };
    if GROUP_BY_MAX < nodes.len() {
        return Err(Fault::new(node.place, format!("more than {GROUP_BY_MAX} fields in `{key}`")));
    }
    let one = |node: &Node| match node.text() {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(Fault::new(node.place, format!("an entry of `{key}` is not the name of a field"))),
    };
    nodes.iter().map(one).collect()
}

fn aliases(node: Option<&Node>) -> Result<Vec<Alias>, Fault> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
    let wrong = |node: &Node| Fault::new(node.place, "`aliases` maps an alias to `rule name: field`".into());
    let entries = node.map().ok_or_else(|| wrong(node))?;
    let one = |entry: &yaml::Entry| {
        let fields = entry.value.map().ok_or_else(|| wrong(&entry.value))?;
        let field = |inner: &yaml::Entry| match inner.value.text() {
            Some(field) if !field.is_empty() => Ok((inner.key.clone(), field.to_owned(), inner.place)),
            _ => Err(wrong(&inner.value)),
        };
        Ok(Alias { name: entry.key.clone(), fields: fields.iter().map(field).collect::<Result<_, Fault>>()? })
    };
    entries.iter().map(one).collect()
}

fn condition(node: &Node, kind: CorrelationKind) -> Result<CorrelationCondition, Fault> {
    let is_temporal = matches!(kind, CorrelationKind::Temporal | CorrelationKind::TemporalOrdered);
    let Some(condition) = node.get("condition").filter(|condition| !condition.is_null()) else {
        if is_temporal {
            return Ok(CorrelationCondition::None);
        }
        return Err(Fault::new(node.place, "there is no `condition`; write for example `gte: 10` under it".into()));
    };
    match &condition.kind {
        Kind::Scalar { .. } if is_temporal => {
            let expression = detection::expression(condition)?;
            check_names_only(&expression, condition.place)?;
            Ok(CorrelationCondition::Extended(expression, condition.place))
        }
        Kind::Map(_) => threshold(condition, kind),
        _ => {
            let reason = format!("the condition is {}; write a map such as `gte: 10`", condition.kind_name());
            Err(Fault::new(condition.place, reason))
        }
    }
}

fn check_names_only(condition: &Condition, place: Place) -> Result<(), Fault> {
    match condition {
        Condition::Identifier(_) => Ok(()),
        Condition::Of(..) => {
            Err(Fault::new(place, "`x of` has no meaning over rules; write their names with and, or, not".into()))
        }
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().try_for_each(|part| check_names_only(part, place))
        }
        Condition::Not(part) => check_names_only(part, place),
    }
}

fn threshold(node: &Node, kind: CorrelationKind) -> Result<CorrelationCondition, Fault> {
    let mut comparisons = Vec::new();
    let mut percentile = None;
    for entry in node.map().unwrap_or_default() {
        // A number in quotes is the number: nothing else could be meant.
        let written = match entry.value.scalar() {
            Some(Scalar::Number(number, _)) => Some(number),
            Some(Scalar::Text(text)) => yaml::number(text),
            _ => None,
        };
        let number = || written.ok_or_else(|| Fault::new(entry.value.place, format!("`{}` needs a number", entry.key)));
        match entry.key.as_str() {
            "field" => {}
            "percentile" => percentile = Some(number()?).filter(|value| (0.0..=100.0).contains(value)),
            word => match COMPARISONS.iter().find(|(name, _)| *name == word) {
                Some((_, comparison)) => comparisons.push((*comparison, number()?)),
                None => {
                    return Err(Fault::new(
                        entry.place,
                        format!("unknown comparison `{word}`; write gt, gte, lt, lte, eq or neq"),
                    ));
                }
            },
        }
    }
    if comparisons.is_empty() || 2 < comparisons.len() {
        return Err(Fault::new(node.place, "the condition needs one comparison, or two for a range".into()));
    }
    let fields = fields(node.get("field"), "field")?;
    let needs = match kind {
        CorrelationKind::EventCount | CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => 0..=0,
        CorrelationKind::ValueCount => 1..=GROUP_BY_MAX,
        _ => 1..=1,
    };
    if !needs.contains(&fields.len()) {
        let reason = match needs.end() {
            0 => "this correlation type takes no `field`",
            1 => "this correlation type needs exactly one `field` in its condition",
            _ => "value_count needs `field` in its condition: whose values to count",
        };
        return Err(Fault::new(node.place, reason.into()));
    }
    if node.get("percentile").is_some() && (percentile.is_none() || kind != CorrelationKind::ValuePercentile) {
        return Err(Fault::new(
            node.place,
            "`percentile` is a number from 0 to 100 and belongs to value_percentile".into(),
        ));
    }
    Ok(CorrelationCondition::Threshold { comparisons, fields, percentile })
}
