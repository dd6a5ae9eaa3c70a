//! Risk of an entity: a number to order hosts, accounts and addresses by, with every factor it is made of.
//!
//! In: alerts (with what people said of them), how important things are, and now. Out: for each entity its
//! score and the parts, one for each rule: `weight of the level × importance × repetition × freshness`.
//!
//! - weight: informational 1, low 5, medium 20, high 50, critical 100;
//! - importance, of the entity or else of its unit's system level: 1 to 5 give 0.6, 0.8, 1, 1.5, 2;
//!   not known is 1;
//! - repetition: `1 + log2(n)` for n alerts of the rule about the entity: ten are worse than one, not ten times;
//! - freshness: the newest of them halves every [`HALF_LIFE_H`] hours.
//!
//! What every unit has another one of ([`Entity::is_local`]: a machine's name, a private address) has a score in each unit;
//! of an alert over several units nobody knows whose it is: its share is the city's (no unit).
//!
//! An alert closed as false or benign counts nothing; one that was an attack counts double. The same alerts
//! and the same now give the same scores. Bounded by the alerts given.

use std::collections::BTreeMap;

use nhatle_event::Timestamp;
use nhatle_rules::Level;

use crate::alert::{Alert, Entity};
use crate::incident::Disposition;

/// After so many hours an alert counts half.
pub const HALF_LIFE_H: f64 = 72.0;
/// Alerts older than so many days count nothing.
pub const WINDOW_DAYS: i64 = 14;

/// One rule's share of an entity's risk.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskPart {
    /// The rule.
    pub rule_id: String,
    /// Its title.
    pub title: String,
    /// Its title in Vietnamese.
    pub title_vi: Option<String>,
    /// Its level.
    pub level: Level,
    /// What the level weighs; double where one of the alerts was an attack.
    pub weight: f64,
    /// How many alerts.
    pub count: u64,
    /// `1 + log2(count)`.
    pub repetition: f64,
    /// The newest of them.
    pub newest: Timestamp,
    /// What is left of it by age, above 0 and up to 1.
    pub freshness: f64,
    /// The product of all factors.
    pub points: f64,
}

/// An entity with its risk.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityRisk {
    /// Who or what.
    pub entity: Entity,
    /// The unit it is of, where another unit may have one of the same name.
    pub unit: Option<String>,
    /// The sum of the parts.
    pub score: f64,
    /// 1 to 5, where it is known.
    pub importance: Option<u8>,
    /// What the importance multiplies by.
    pub importance_factor: f64,
    /// One for each rule, largest first.
    pub parts: Vec<RiskPart>,
}

/// What the level of a rule weighs.
pub fn level_weight(level: Level) -> f64 {
    match level {
        Level::Informational => 1.0,
        Level::Low => 5.0,
        Level::Medium => 20.0,
        Level::High => 50.0,
        Level::Critical => 100.0,
    }
}

/// What an importance of 1 to 5 multiplies by.
pub fn importance_factor(importance: Option<u8>) -> f64 {
    match importance {
        Some(1) => 0.6,
        Some(2) => 0.8,
        Some(4) => 1.5,
        Some(5) => 2.0,
        _ => 1.0,
    }
}

/// The risk of every entity the alerts are about, highest first, then by entity and unit.
pub fn risks<'a>(
    alerts: impl Iterator<Item = (&'a Alert, Option<Disposition>)>,
    importance: impl Fn(&Entity, &Alert) -> Option<u8>,
    now: Timestamp,
) -> Vec<EntityRisk> {
    let mut gathered: BTreeMap<(&Entity, Option<&str>), Gathered<'a>> = BTreeMap::new();
    for (alert, disposition) in alerts {
        let age = now.since(alert.timestamp());
        let is_harmless = matches!(disposition, Some(Disposition::FalsePositive | Disposition::BenignPositive));
        if is_harmless || WINDOW_DAYS * 86_400_000_000_000 < age {
            continue;
        }
        for entity in &alert.entities {
            let unit = match alert.units.as_slice() {
                [unit] if entity.is_local() => Some(unit.as_str()),
                _ => None,
            };
            let found = gathered.entry((entity, unit)).or_default();
            found.importance = found.importance.max(importance(entity, alert));
            let rule = found.rules.entry(&alert.rule_id).or_insert_with(|| OfRule {
                newest: alert,
                count: 0,
                was_attack: false,
            });
            rule.count += 1;
            rule.was_attack |= disposition == Some(Disposition::TruePositive);
            if rule.newest.at_ns < alert.at_ns {
                rule.newest = alert;
            }
        }
    }
    let mut all: Vec<EntityRisk> = gathered.into_iter().map(|(whose, found)| risk_of(whose, &found, now)).collect();
    // Stable: equal scores stay in the order of entities and units.
    all.sort_by(|left, right| right.score.total_cmp(&left.score));
    all
}

#[derive(Default)]
struct Gathered<'a> {
    importance: Option<u8>,
    rules: BTreeMap<&'a str, OfRule<'a>>,
}

struct OfRule<'a> {
    newest: &'a Alert,
    count: u64,
    was_attack: bool,
}

fn risk_of((entity, unit): (&Entity, Option<&str>), found: &Gathered<'_>, now: Timestamp) -> EntityRisk {
    let factor = importance_factor(found.importance);
    let mut parts: Vec<RiskPart> = found.rules.values().map(|rule| part_of(rule, factor, now)).collect();
    parts.sort_by(|left, right| right.points.total_cmp(&left.points).then_with(|| left.rule_id.cmp(&right.rule_id)));
    EntityRisk {
        entity: entity.clone(),
        unit: unit.map(str::to_owned),
        score: parts.iter().map(|part| part.points).sum(),
        importance: found.importance,
        importance_factor: factor,
        parts,
    }
}

fn part_of(rule: &OfRule<'_>, factor: f64, now: Timestamp) -> RiskPart {
    let alert = rule.newest;
    let level = alert.level();
    let weight = level_weight(level) * if rule.was_attack { 2.0 } else { 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "counts of alerts in memory are far below 2^53")]
    let repetition = 1.0 + (rule.count.max(1) as f64).log2();
    #[expect(clippy::cast_precision_loss, reason = "an age in nanoseconds needs no last digit")]
    let age_h = now.since(alert.timestamp()).max(0) as f64 / 3_600_000_000_000.0;
    let freshness = 0.5f64.powf(age_h / HALF_LIFE_H);
    RiskPart {
        rule_id: alert.rule_id.clone(),
        title: alert.title.clone(),
        title_vi: alert.title_vi.clone(),
        level,
        weight,
        count: rule.count,
        repetition,
        newest: alert.timestamp(),
        freshness,
        points: weight * factor * repetition * freshness,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::EntityKind;

    const HOUR_NS: i64 = 3_600_000_000_000;

    fn alert(rule: &str, level: &str, at_h: i64, host: &str) -> Alert {
        let json = serde_json::json!({
            "id": format!("{rule}{at_h}"), "rule_id": rule, "title": rule, "title_vi": null, "level": level, "tags": [],
            "at_ns": at_h * HOUR_NS, "span_ns": [0, 0], "events": [1], "count": 1, "group": [],
            "entities": [{"kind": "host", "value": host}], "evidence": [], "units": [], "explanation_vi": null,
            "explanation_en": null, "fingerprint": "f", "suppress_s": 60
        });
        serde_json::from_value(json).expect("is an alert")
    }

    fn scores(alerts: &[(Alert, Option<Disposition>)], importance: Option<u8>, now_h: i64) -> Vec<(String, f64)> {
        let rows = alerts.iter().map(|(alert, disposition)| (alert, *disposition));
        let all = risks(rows, |_, _| importance, Timestamp(now_h * HOUR_NS));
        all.into_iter().map(|risk| (risk.entity.value, (risk.score * 1000.0).round() / 1000.0)).collect()
    }

    #[test]
    fn every_factor_does_what_it_says() {
        let one = |level: &str| vec![(alert("r", level, 0, "a"), None)];
        for (level, expected) in
            [("informational", 1.0), ("low", 5.0), ("medium", 20.0), ("high", 50.0), ("critical", 100.0)]
        {
            assert_eq!(scores(&one(level), None, 0), [("a".to_owned(), expected)]);
        }
        for (importance, expected) in [(1, 30.0), (2, 40.0), (3, 50.0), (4, 75.0), (5, 100.0)] {
            assert_eq!(scores(&one("high"), Some(importance), 0), [("a".to_owned(), expected)]);
        }
        assert_eq!(scores(&one("high"), None, 72), [("a".to_owned(), 25.0)], "half after the half-life");
        assert_eq!(scores(&one("high"), None, 24 * 15), [], "too old");
        let four: Vec<_> = (0..4).map(|_| (alert("r", "high", 0, "a"), None)).collect();
        assert_eq!(scores(&four, None, 0), [("a".to_owned(), 150.0)], "1 + log2(4)");
    }

    #[test]
    fn what_people_said_counts() {
        let rows = [
            (alert("r", "high", 0, "false"), Some(Disposition::FalsePositive)),
            (alert("r", "high", 0, "benign"), Some(Disposition::BenignPositive)),
            (alert("r", "high", 0, "attack"), Some(Disposition::TruePositive)),
            (alert("r", "high", 0, "open"), None),
        ];
        assert_eq!(scores(&rows, None, 0), [("attack".to_owned(), 100.0), ("open".to_owned(), 50.0)]);
    }

    #[test]
    fn what_every_unit_has_one_of_has_a_score_in_each() {
        let of = |kind: EntityKind, value: &str, units: &[&str]| {
            let mut alert = alert("r", "high", 0, "");
            alert.entities = vec![Entity { kind, value: value.to_owned() }];
            alert.units = units.iter().map(|unit| (*unit).to_owned()).collect();
            alert
        };
        let rows = [
            of(EntityKind::Ip, "192.168.1.10", &["DH01"]),
            of(EntityKind::Ip, "192.168.1.10", &["DH02"]),
            of(EntityKind::Ip, "192.168.1.10", &["DH01", "DH02"]),
            of(EntityKind::Ip, "192.168.1.10", &[]),
            of(EntityKind::Host, "pc-01", &["DH01"]),
            of(EntityKind::Host, "pc-01", &["DH02"]),
            of(EntityKind::User, "lan", &["DH01"]),
            of(EntityKind::User, "lan", &["DH02"]),
            of(EntityKind::Ip, "203.0.113.9", &["DH01"]),
            of(EntityKind::Ip, "203.0.113.9", &["DH02"]),
        ];
        let all = risks(rows.iter().map(|alert| (alert, None)), |_, _| None, Timestamp(0));
        let found: Vec<_> =
            all.iter().map(|risk| (risk.entity.value.as_str(), risk.unit.as_deref(), risk.score)).collect();
        let expected = [
            ("lan", None, 100.0),
            ("192.168.1.10", None, 100.0),
            ("203.0.113.9", None, 100.0),
            ("pc-01", Some("DH01"), 50.0),
            ("pc-01", Some("DH02"), 50.0),
            ("192.168.1.10", Some("DH01"), 50.0),
            ("192.168.1.10", Some("DH02"), 50.0),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_parts_make_the_sum() {
        let rows = [alert("a", "high", 0, "x"), alert("b", "low", 5, "x"), alert("b", "low", 9, "x")];
        let all = risks(rows.iter().map(|alert| (alert, None)), |_, _| Some(4), Timestamp(10 * HOUR_NS));
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].entity.kind, EntityKind::Host);
        for part in &all[0].parts {
            let product = part.weight * all[0].importance_factor * part.repetition * part.freshness;
            assert!((product - part.points).abs() < 1e-9);
        }
        let sum: f64 = all[0].parts.iter().map(|part| part.points).sum();
        assert!((sum - all[0].score).abs() < 1e-9);
        assert_eq!(all[0].parts[1].newest, Timestamp(9 * HOUR_NS));
    }
}
