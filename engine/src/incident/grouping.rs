//! Alerts that share an entity within a time span join one incident.
//!
//! In: alerts in order of commit and the incidents as they are. Out: changes to record, at most one
//! per alert. An alert joins the open incident that shares most entities with it and whose alerts lie
//! within the span; the younger incident wins a tie. What another unit may have one of, too (a host's name, an address
//! such as 192.168.1.1), is shared only where the units are. Otherwise it opens one, if its level is high enough.
//! An alert that some incident names already changes nothing, so grouping again is harmless.
//!
//! The index is by entity and bounded by the open incidents themselves.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashSet};
use nhatle_event::Timestamp;
use nhatle_rules::Level;

use super::{AlertRef, Change, Incident, Status};
use crate::alert::{Alert, Entity};

/// When alerts belong together.
#[derive(Clone, Copy, Debug)]
pub struct Grouping {
    /// How far an alert may lie from the nearest alert of an incident, nanoseconds.
    pub span_ns: i64,
    /// Alerts below this level join incidents but open none.
    pub opens_at: Level,
}

impl Default for Grouping {
    fn default() -> Grouping {
        Grouping { span_ns: 4 * 3600 * 1_000_000_000, opens_at: Level::Medium }
    }
}

/// Open incidents by entity, and which alerts are in an incident.
#[derive(Debug, Default)]
pub struct Opened {
    by_entity: HashMap<Entity, Vec<u64>>,
    places: BTreeMap<u64, Place>,
    grouped: HashSet<String>,
}

/// When the alerts of an incident happened, and in which units.
#[derive(Debug)]
struct Place {
    span: (Timestamp, Timestamp),
    units: BTreeSet<String>,
}

impl Place {
    fn has_unit_of(&self, alert: &Alert) -> bool {
        let is_nowhere = self.units.is_empty() || alert.units.is_empty();
        is_nowhere || alert.units.iter().any(|unit| self.units.contains(unit))
    }
}

impl Opened {
    /// Takes note of an incident as it is after a change.
    pub fn note(&mut self, incident: &Incident) {
        // The newest alerts stand last; everything before the first known one was noted earlier.
        for alert in incident.alerts.iter().rev() {
            if !self.grouped.insert(alert.id.clone()) {
                break;
            }
        }
        if incident.status == Status::Closed {
            self.forget(incident);
            return;
        }
        for entity in &incident.entities {
            let numbers = self.by_entity.entry(entity.clone()).or_default();
            if !numbers.contains(&incident.number) {
                numbers.push(incident.number);
            }
        }
        self.places.insert(incident.number, Place { span: incident.span, units: incident.units.clone() });
    }

    fn forget(&mut self, incident: &Incident) {
        self.places.remove(&incident.number);
        for entity in &incident.entities {
            if let Some(numbers) = self.by_entity.get_mut(entity) {
                numbers.retain(|number| *number != incident.number);
                if numbers.is_empty() {
                    self.by_entity.remove(entity);
                }
            }
        }
    }

    /// Whether an incident names this alert.
    pub fn is_grouped(&self, alert_id: &str) -> bool {
        self.grouped.contains(alert_id)
    }

    /// The open incident an alert belongs to, if there is one.
    fn home(&self, alert: &Alert, grouping: &Grouping) -> Option<u64> {
        let mut shared: BTreeMap<u64, usize> = BTreeMap::new();
        for entity in &alert.entities {
            for number in self.by_entity.get(entity).into_iter().flatten() {
                if !entity.is_local() || self.places.get(number).is_some_and(|place| place.has_unit_of(alert)) {
                    *shared.entry(*number).or_default() += 1;
                }
            }
        }
        let at = alert.timestamp();
        shared
            .into_iter()
            .filter(|(number, _)| {
                self.places.get(number).map(|place| place.span).is_some_and(|(first, last)| {
                    let before = first.since(at);
                    let after = at.since(last);
                    before <= grouping.span_ns && after <= grouping.span_ns
                })
            })
            .max_by_key(|(number, count)| (*count, *number))
            .map(|(number, _)| number)
    }

    /// What to do with one alert: the incident to change (`None` = a new one) and the change, or nothing.
    pub fn group(&self, alert: &Alert, grouping: &Grouping) -> Option<(Option<u64>, Change)> {
        if self.is_grouped(&alert.id) {
            return None;
        }
        let alerts = vec![AlertRef::from(alert)];
        match self.home(alert, grouping) {
            Some(number) => Some((Some(number), Change::AddAlerts { alerts })),
            None if grouping.opens_at <= alert.level() => {
                let change = Change::Open {
                    title: title(&alert.title, alert),
                    title_vi: alert.title_vi.as_deref().map(|text| title(text, alert)),
                    severity: None,
                    alerts,
                    unit: None,
                };
                Some((None, change))
            }
            None => None,
        }
    }
}

/// The rule's title with the first entity, so that two incidents of one rule can be told apart.
fn title(text: &str, alert: &Alert) -> String {
    let named = match alert.entities.first() {
        Some(entity) => format!("{text} – {}", entity.value),
        None => text.to_owned(),
    };
    named.chars().take(super::change::TITLE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::EntityKind;
    use crate::incident::apply;

    fn alert(id: &str, level: &str, at_s: i64, entities: &[&str]) -> Alert {
        let entities: Vec<_> =
            entities.iter().map(|name| serde_json::json!({"kind": EntityKind::Host, "value": name})).collect();
        let json = serde_json::json!({
            "id": id, "rule_id": "r", "title": "t", "title_vi": null, "level": level, "tags": [],
            "at_ns": at_s * 1_000_000_000, "span_ns": [0, 0], "events": [1], "count": 1, "group": [],
            "entities": entities, "evidence": [], "units": [], "explanation_vi": null, "explanation_en": null,
            "fingerprint": id, "suppress_s": 60
        });
        serde_json::from_value(json).expect("is an alert")
    }

    /// Groups the alerts in order; for each, the number of its incident (0 = none).
    fn run(alerts: &[Alert]) -> Vec<u64> {
        let (mut opened, mut incidents) = (Opened::default(), BTreeMap::new());
        let grouping = Grouping::default();
        let mut homes = Vec::new();
        for alert in alerts {
            let Some((number, change)) = opened.group(alert, &grouping) else {
                homes.push(0);
                continue;
            };
            let number = number.unwrap_or(u64::try_from(incidents.len()).expect("few") + 1);
            let incident =
                apply(incidents.get(&number), number, &change, "nhatle", alert.timestamp()).expect("applies");
            opened.note(&incident);
            incidents.insert(number, incident);
            homes.push(number);
        }
        homes
    }

    #[test]
    fn what_every_ward_has_one_of_does_not_tie_wards_together() {
        let of = |id: &str, unit: &[&str], kind: EntityKind, value: &str| {
            let mut alert = alert(id, "medium", 0, &[]);
            alert.entities = vec![Entity { kind, value: value.to_owned() }];
            alert.units = unit.iter().map(|unit| (*unit).to_owned()).collect();
            alert
        };
        let alerts = [
            of("a", &["DH01"], EntityKind::Ip, "192.168.1.1"),
            of("b", &["DH02"], EntityKind::Ip, "192.168.1.1"),
            of("c", &["DH01"], EntityKind::Host, "router"),
            of("d", &["DH02"], EntityKind::Host, "router"),
            of("e", &["DH01"], EntityKind::Ip, "192.168.1.1"),
            of("f", &["DH01"], EntityKind::Ip, "203.0.113.9"),
            of("g", &["DH02"], EntityKind::Ip, "203.0.113.9"),
            of("h", &["DH01"], EntityKind::User, "lan"),
            of("i", &["DH02"], EntityKind::User, "lan"),
            of("j", &[], EntityKind::Host, "router"),
            of("k", &["DH03"], EntityKind::Ip, "10.45.1.7"),
            of("l", &["DH04"], EntityKind::Ip, "10.45.1.7"),
            of("m", &["DH04", "DH05"], EntityKind::Ip, "10.45.1.7"),
        ];
        assert_eq!(run(&alerts), [1, 2, 3, 4, 1, 5, 5, 6, 6, 4, 7, 8, 8]);
    }

    #[test]
    fn alerts_that_share_an_entity_in_time_are_one_incident() {
        let hour = 3600;
        let alerts = [
            alert("a", "medium", 0, &["web"]),
            alert("b", "low", hour, &["web", "db"]),
            alert("c", "high", 2 * hour, &["db"]),
            alert("d", "high", 2 * hour, &["dc"]),
            alert("e", "low", 2 * hour, &["alone"]),
            alert("f", "high", 7 * hour, &["web"]),
            alert("a", "medium", 0, &["web"]),
        ];
        assert_eq!(run(&alerts), [1, 1, 1, 2, 0, 3, 0]);
    }
}
