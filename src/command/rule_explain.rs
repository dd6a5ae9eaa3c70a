//! `nhatle rule explain`: why a rule matches an event or not, down to the value each test looked at.
//!
//! In: one rule file, one event as `detect` reads it. Out: for each rule its log source, the named searches and the
//! condition as trees; for a log source that does not pass, what it wants and what the event has; for a field that is
//! absent, which names were looked for and which similar ones the event has; for a correlation, which of the rules
//! it counts match this event and in which group.

use std::path::Path;

use anyhow::Context;
use nhatle_collector::listen::file::{FileOptions, FileRecords};
use nhatle_engine::alert::shown;
use nhatle_engine::detect::evidence::{Explanation, Step};
use nhatle_engine::detect::{EvidenceItem, Explained, explain as explain_rule};
use nhatle_event::json::value_to_json;
use nhatle_event::{Clock, Event, Field, SystemClock, Value as EventValue};
use nhatle_rules::nearest::nearest;
use nhatle_rules::predicate::{Gate, GateCase, RuleField};
use nhatle_rules::{Correlation, Referred, Rule, RuleId, RuleSet};
use serde_json::{Value, json};

use super::{End, UsageError, output, parse, rule};

/// How many similar fields are named.
const SIMILAR_MAX: usize = 5;

/// Runs the command.
///
/// # Errors
/// The rule does not load, or the file holds no event.
pub fn run(path: &Path, event: &Path, is_json: bool) -> anyhow::Result<End> {
    let rules = rule::load(&[path.to_owned()]);
    rules.errors.iter().for_each(|error| output::say(&error.to_string()));
    if rules.rules.is_empty() {
        return Err(UsageError(format!("{} holds no rule that loads", path.display())).into());
    }
    let settings = parse::settings();
    let mut records = FileRecords::open(event, &FileOptions::new(SystemClock.now()), &settings)?;
    let (_, converted) = records.next().with_context(|| format!("{} holds no event", event.display()))??;
    let event = converted
        .map_err(|dead| UsageError(format!("the event cannot be parsed: {} at byte {}", dead.reason, dead.offset)))?;
    let about = About { rules: &rules, event: &event };
    for (rule, at) in rules.rules.iter().zip(0u32..) {
        let Some(explanation) = explain_rule(&rules, RuleId(at), &event) else { continue };
        if is_json {
            output::line(&about.rule_json(rule, &explanation).to_string())?;
        } else {
            about.print_rule(rule, &explanation)?;
        }
    }
    for correlation in &rules.correlations {
        if is_json {
            output::line(&about.correlation_json(correlation).to_string())?;
        } else {
            about.print_correlation(correlation)?;
        }
    }
    Ok(End::Done)
}

/// A rule set and the event it is explained on.
struct About<'a> {
    rules: &'a RuleSet,
    event: &'a Event,
}

impl About<'_> {
    fn rule_json(&self, rule: &Rule, explanation: &Explanation) -> Value {
        let searches: serde_json::Map<String, Value> =
            explanation.searches.iter().map(|(name, part)| (name.clone(), self.part_json(part))).collect();
        json!({
            "rule": {"id": rule.meta.id, "title": rule.meta.title}, "matches": explanation.matches,
            "passes_logsource": explanation.passes_gate,
            "logsource": if explanation.passes_gate { Vec::new() } else { why_not(&rule.gate, self.event) },
            "condition": self.part_json(&explanation.condition), "searches": searches,
        })
    }

    fn print_rule(&self, rule: &Rule, explanation: &Explanation) -> anyhow::Result<()> {
        let word = if explanation.matches { "matches" } else { "does not match" };
        output::text(&format!("{}: {word}", rule.meta.title))?;
        let parts: Vec<&str> = rule.meta.logsource.iter().flatten().map(String::as_str).collect();
        output::text(&format!("  {} log source {}", mark(explanation.passes_gate), parts.join(" ")))?;
        if !explanation.passes_gate {
            for reason in why_not(&rule.gate, self.event) {
                output::text(&format!("      {reason}"))?;
            }
        }
        for (name, part) in &explanation.searches {
            output::text(&format!("  {} {name}", mark(part.holds)))?;
            self.print_part(part, 2)?;
        }
        output::text(&format!("  {} condition", mark(explanation.condition.holds)))?;
        Ok(())
    }

    fn correlation_json(&self, correlation: &Correlation) -> Value {
        let rows: Vec<Value> = (0..correlation.referred.len())
            .map(|place| {
                let (title, id, matches) = self.referred(correlation.referred[place]);
                let group: serde_json::Map<String, Value> = self
                    .group(correlation, place)
                    .into_iter()
                    .map(|(name, value)| (name, value.map_or(Value::Null, value_to_json)))
                    .collect();
                json!({"id": id, "title": title, "matches": matches, "group": group})
            })
            .collect();
        json!({"correlation": {"id": correlation.meta.id, "title": correlation.meta.title}, "rules": rows})
    }

    fn print_correlation(&self, correlation: &Correlation) -> anyhow::Result<()> {
        let rows: Vec<_> = correlation.referred.iter().map(|referred| self.referred(*referred)).collect();
        let is_counted = rows.iter().any(|row| row.2 == Some(true));
        let word = if is_counted { "counts this event" } else { "does not count this event" };
        output::text(&format!("{}: {word}", correlation.meta.title))?;
        for (place, (title, _, matches)) in rows.iter().enumerate() {
            let word = if matches.is_none() { ": a correlation, which one event does not answer" } else { "" };
            output::text(&format!("  {} {title}{word}", mark(*matches == Some(true))))?;
            for (name, value) in self.group(correlation, place) {
                let value = value
                    .map_or("absent, so the event is in no group".to_owned(), |value| format!("{:?}", shown(value)));
                output::text(&format!("      group-by {name}   <- {value}"))?;
            }
        }
        Ok(())
    }

    /// Title and id of what a correlation counts, and whether it matches; `None` for another correlation.
    fn referred(&self, referred: Referred) -> (&str, &str, Option<bool>) {
        match referred {
            Referred::Rule(id) => {
                let meta = self.rules.rules.get(id.0 as usize).map(|rule| &rule.meta);
                let matches = explain_rule(self.rules, id, self.event).is_some_and(|said| said.matches);
                (meta.map_or("", |meta| &meta.title), meta.map_or("", |meta| &meta.id), Some(matches))
            }
            Referred::Correlation(id) => {
                let meta = self.rules.correlations.get(id.0 as usize).map(|one| &one.meta);
                (meta.map_or("", |meta| &meta.title), meta.map_or("", |meta| &meta.id), None)
            }
        }
    }

    /// The names of the group-by entries with the event's values, as the rule at this place has them.
    fn group(&self, correlation: &Correlation, place: usize) -> Vec<(String, Option<&EventValue>)> {
        let entry = |one: &nhatle_rules::GroupBy| {
            (one.name.clone(), one.fields.get(place).and_then(|field| value_of(field, self.event)))
        };
        correlation.group_by.iter().map(entry).collect()
    }

    fn print_part(&self, part: &Explained, depth: usize) -> anyhow::Result<()> {
        let indent = "  ".repeat(depth.min(40));
        let (word, inner): (String, Vec<&Explained>) = match &part.step {
            Step::Constant => (format!("always {}", part.holds), Vec::new()),
            Step::All(parts) => ("all of".to_owned(), parts.iter().collect()),
            Step::Any(parts) => ("any of".to_owned(), parts.iter().collect()),
            Step::Not(part) => ("not".to_owned(), vec![part]),
            Step::Test(item) => {
                let modifier = if item.modifier.is_empty() { String::new() } else { format!("|{}", item.modifier) };
                let value =
                    item.value.as_ref().map_or_else(|| self.absent(item), |value| format!("{:?}", shown(value)));
                let wanted = output::cut(&item.wanted.join(" | "), 120);
                (format!("{}{modifier}: {wanted}   <- {value}", item.name), Vec::new())
            }
        };
        output::text(&format!("{indent}{} {word}", mark(part.holds)))?;
        inner.into_iter().try_for_each(|one| self.print_part(one, depth + 1))
    }

    /// What to say of a field that the event does not have.
    fn absent(&self, item: &EvidenceItem) -> String {
        let looked = self.looked_for(&item.name);
        let mut text = "absent".to_owned();
        if looked.iter().any(|name| *name != item.name) {
            text = format!("absent (looked for {})", looked.join(", "));
        }
        let similar = self.similar(&item.name);
        if similar.is_empty() { text } else { format!("{text}; the event has {}", similar.join(", ")) }
    }

    /// The names of event fields that a rule's name can mean.
    fn looked_for(&self, name: &str) -> Vec<&'static str> {
        let field = self.rules.fields.iter().find(|field| field.name == name);
        field.map_or_else(Vec::new, |field| field.candidates.iter().map(|candidate| candidate.name()).collect())
    }

    /// Fields of the event whose own name is nearly this one, in another case or elsewhere.
    fn similar(&self, name: &str) -> Vec<&'static str> {
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_lowercase();
        let wanted = last(name);
        if wanted.is_empty() {
            return Vec::new();
        }
        let is_similar = |field: &Field| {
            let own = last(field.name());
            own == wanted || nearest(&wanted, [own.as_str()]).is_some()
        };
        let fields = self.event.fields().iter().map(|(field, _)| *field);
        fields.filter(is_similar).map(Field::name).take(SIMILAR_MAX).collect()
    }

    fn part_json(&self, part: &Explained) -> Value {
        let each = |parts: &[Explained]| parts.iter().map(|part| self.part_json(part)).collect::<Vec<_>>();
        let step = match &part.step {
            Step::Constant => json!({"constant": part.holds}),
            Step::All(parts) => json!({"all": each(parts)}),
            Step::Any(parts) => json!({"any": each(parts)}),
            Step::Not(part) => json!({"not": self.part_json(part)}),
            Step::Test(item) => {
                let is_absent = item.field.is_none() && !item.name.is_empty();
                json!({
                    "field": item.name, "modifier": item.modifier, "wanted": item.wanted,
                    "event_field": item.field.map(Field::name), "value": item.value.as_ref().map(value_to_json),
                    "looked_for": self.looked_for(&item.name),
                    "similar": if is_absent { self.similar(&item.name) } else { Vec::new() },
                })
            }
        };
        json!({"holds": part.holds, "step": step})
    }
}

fn mark(holds: bool) -> &'static str {
    if holds { "[x]" } else { "[ ]" }
}

fn value_of<'a>(field: &RuleField, event: &'a Event) -> Option<&'a EventValue> {
    let ranked = event.fields().iter().filter_map(|(own, value)| Some((field.rank(*own)?, value)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, value)| value)
}

/// What each case of a log source wants that the event does not have.
fn why_not(gate: &Gate, event: &Event) -> Vec<String> {
    match gate {
        Gate::Any => Vec::new(),
        Gate::Never => vec!["no event log has this log source".to_owned()],
        Gate::Cases(cases) => cases.iter().map(|case| why_not_case(case, event)).collect(),
    }
}

fn why_not_case(case: &GateCase, event: &Event) -> String {
    let rows: [(&str, &[String], bool); 7] = [
        ("event.module", &case.modules, false),
        ("event.dataset", &case.datasets, false),
        ("winlog.channel", &case.channels, true),
        ("event.code", &case.codes, false),
        ("process.name", &case.programs, false),
        ("winlog.event_data.EventType", &case.event_types, false),
        ("event.category", &case.categories, false),
    ];
    let mut missing = Vec::new();
    for (name, wanted, is_folded) in rows.into_iter().filter(|(_, wanted, _)| !wanted.is_empty()) {
        let value = Field::lookup(name).and_then(|field| event.get(field));
        let has = |text: &str| wanted.iter().any(|one| one == text || (is_folded && one.eq_ignore_ascii_case(text)));
        if !value.into_iter().flat_map(EventValue::each).filter_map(EventValue::as_text).any(|text| has(&text)) {
            let value = value.map_or("absent".to_owned(), |value| format!("{:?}", shown(value)));
            missing.push(format!("{name} is {value}, wanted {}", output::cut(&wanted.join(" | "), 200)));
        }
    }
    missing.join("; ")
}
