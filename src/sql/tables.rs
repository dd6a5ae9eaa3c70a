//! The tables of SQL that the store does not hold: `incidents`, `incident_alerts`, `sources`, `attack`. In: the register,
//! the receipt book, the rules, and who may see what. Out: whole tables, without what the viewer may not see. Names in
//! SQL are those of docs/sql.md.

use nhatle_engine::attack::{TACTICS, tactics, techniques};
use nhatle_engine::incident::{Disposition, Incident, Layer, Status};
use nhatle_engine::register::RegisterState;
use nhatle_event::Timestamp;
use nhatle_rules::RuleSet;
use nhatle_storage::sql::{Cell, Column, Kind, Table};

use crate::sources::SourceBook;

/// How many rows of one of these tables a query sees: the newest.
pub const ROWS_MAX: usize = 200_000;

fn table(name: &str, columns: &[(&str, Kind)], rows: Vec<Vec<Cell<'static>>>) -> Table {
    let columns = columns.iter().map(|(name, kind)| Column::new(*name, *kind)).collect();
    Table { schema: None, name: name.to_owned(), columns, rows }
}

fn text(value: Option<&str>) -> Cell<'static> {
    Cell::or_null(value)
}

fn count(value: u64) -> Cell<'static> {
    Cell::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn seen<'a>(state: &'a RegisterState, may_see: &dyn Fn(&Incident) -> bool) -> Vec<&'a Incident> {
    state.incidents.values().rev().filter(|incident| may_see(incident)).take(ROWS_MAX).collect()
}

/// `incidents`: one row for each that may be seen.
pub fn incidents(state: &RegisterState, may_see: &dyn Fn(&Incident) -> bool) -> Table {
    let row = |incident: &Incident| {
        vec![
            count(incident.number),
            text(Some(&incident.title)),
            text(incident.title_vi.as_deref()),
            text(Some(match incident.status {
                Status::New => "new",
                Status::Active => "active",
                Status::Closed => "closed",
            })),
            text(Some(incident.severity.name())),
            text(incident.disposition.map(|verdict| match verdict {
                Disposition::TruePositive => "true_positive",
                Disposition::BenignPositive => "benign_positive",
                Disposition::FalsePositive => "false_positive",
                Disposition::Undetermined => "undetermined",
            })),
            text(incident.owner.as_deref()),
            text(Some(match incident.layer {
                Layer::OnSite => "on_site",
                Layer::Professional => "professional",
                Layer::Independent => "independent",
                Layer::National => "national",
            })),
            incident.opened.into(),
            incident.changed.into(),
            incident.span.0.into(),
            incident.span.1.into(),
            count(incident.alert_count),
            text(Some(&incident.units.iter().map(String::as_str).collect::<Vec<_>>().join(","))),
        ]
    };
    let columns = [
        ("number", Kind::Int),
        ("title", Kind::Text),
        ("title_vi", Kind::Text),
        ("status", Kind::Text),
        ("severity", Kind::Text),
        ("verdict", Kind::Text),
        ("owner", Kind::Text),
        ("layer", Kind::Text),
        ("opened", Kind::Time),
        ("changed", Kind::Time),
        ("first_alert", Kind::Time),
        ("last_alert", Kind::Time),
        ("alert_count", Kind::Int),
        ("units", Kind::Text),
    ];
    table("incidents", &columns, seen(state, may_see).into_iter().map(row).collect())
}

/// `incident_alerts`: which alert (`nhatle.alert.id` of `alerts`) belongs to which incident.
pub fn incident_alerts(state: &RegisterState, may_see: &dyn Fn(&Incident) -> bool) -> Table {
    let all = seen(state, may_see).into_iter().flat_map(|incident| {
        incident.alerts.iter().map(|alert| {
            let id = alert.id.to_string();
            vec![count(incident.number), Cell::from(id), text(Some(&alert.level)), Timestamp(alert.at_ns).into()]
        })
    });
    let columns = [("number", Kind::Int), ("alert_id", Kind::Text), ("level", Kind::Text), ("at", Kind::Time)];
    table("incident_alerts", &columns, all.take(ROWS_MAX).collect())
}

/// `sources`: the receipt book, one row for each source that may be seen.
pub fn sources(book: &SourceBook, may_see: &dyn Fn(Option<&String>) -> bool) -> Table {
    let rows = book.rows().filter(|(_, row)| may_see(row.unit.as_ref())).map(|(name, row)| {
        let total = &row.total;
        let last_seen = Some(Timestamp(row.last_seen_ns)).filter(|at| at.0 != 0);
        vec![
            text(Some(name)),
            text(row.unit.as_deref()),
            text(Some(&row.input)),
            count(total.received),
            count(total.stored),
            count(total.rejected),
            count(total.duplicate),
            count(total.dead_lettered),
            count(total.missing),
            Cell::or_null(last_seen),
            Cell::or_null(row.clock().map(|(median_ms, _)| f64::from(median_ms) / 1_000.0)),
        ]
    });
    let columns = [
        ("name", Kind::Text),
        ("unit", Kind::Text),
        ("input", Kind::Text),
        ("received", Kind::Int),
        ("stored", Kind::Int),
        ("rejected", Kind::Int),
        ("duplicate", Kind::Int),
        ("dead_lettered", Kind::Int),
        ("missing", Kind::Int),
        ("last_seen", Kind::Time),
        ("clock_offset_s", Kind::Double),
    ];
    table("sources", &columns, rows.take(ROWS_MAX).collect())
}

/// `attack`: the tactics of ATT&CK in the order of an attack, each with the loaded rules that are tagged with it and
/// their techniques; nothing of anybody's events.
pub fn attack(rules: Option<&RuleSet>) -> Table {
    let mut rows = Vec::new();
    for (position, tactic) in (1i64..).zip(TACTICS) {
        let row = |technique: Option<&str>, rule: Option<(&str, &str)>| {
            vec![
                Cell::Int(position),
                text(Some(tactic.id)),
                text(Some(tactic.name)),
                text(Some(tactic.name_vi)),
                text(technique),
                text(rule.map(|(id, _)| id)),
                text(rule.map(|(_, title)| title)),
            ]
        };
        let before = rows.len();
        for (meta, _) in rules.into_iter().flat_map(RuleSet::metas) {
            if !tactics(&meta.tags).iter().any(|one| one.id == tactic.id) {
                continue;
            }
            let found = techniques(&meta.tags);
            let rule = Some((meta.id.as_str(), meta.title.as_str()));
            rows.extend(found.iter().map(|technique| row(Some(technique), rule)));
            if found.is_empty() {
                rows.push(row(None, rule));
            }
        }
        if rows.len() == before {
            rows.push(row(None, None));
        }
    }
    rows.truncate(ROWS_MAX);
    let columns = [
        ("position", Kind::Int),
        ("tactic_id", Kind::Text),
        ("tactic", Kind::Text),
        ("tactic_vi", Kind::Text),
        ("technique", Kind::Text),
        ("rule_id", Kind::Text),
        ("rule_title", Kind::Text),
    ];
    table("attack", &columns, rows)
}
