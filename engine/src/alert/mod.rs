//! `Alert`: a match an analyst should see, and its form as an ECS event (kind `signal`).
//!
//! In: a match with the events that made it. Out: an alert whose id depends on the rule and the events'
//! `Seq`s only (for a correlation, on the rule, the group and the time of the last event), so that the same match
//! found again after a restart, or after events came in another order, is the same alert. The event form
//! keeps the whole alert as JSON in `event.original`, so reading it back loses nothing.

pub mod entity;
pub mod explain;
pub mod retro;
pub mod suppress;

use nhatle_event::{Event, Field, Seq, Stored, Text, Timestamp, Value};
use nhatle_rules::{Level, Meta};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use entity::{Entity, EntityKind};
pub use retro::Retro;
pub use suppress::Suppressor;

/// How many events an alert names; a correlation over more keeps the newest ones and the count.
pub const ALERT_EVENTS_MAX: usize = 500;
/// How many entities an alert keeps.
pub const ALERT_ENTITIES_MAX: usize = 32;

/// A match an analyst should see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// 32 hexadecimal digits: SHA-256 over the rule's id and what names the finding ([`NamedBy`]), cut to 16 bytes.
    pub id: Text,
    /// The rule's id.
    pub rule_id: String,
    /// The rule's title.
    pub title: String,
    /// The rule's title in Vietnamese, where it has one.
    pub title_vi: Option<String>,
    /// `informational` to `critical`, as the rule says.
    pub level: String,
    /// The rule's tags.
    pub tags: Vec<String>,
    /// Time of the newest event, nanoseconds.
    pub at_ns: i64,
    /// Time of the oldest and the newest event, nanoseconds.
    pub span_ns: (i64, i64),
    /// The events, oldest first.
    pub events: Vec<u64>,
    /// How many events there were, also those not named.
    pub count: u64,
    /// The values of `group-by`, for a correlation.
    pub group: Vec<(String, String)>,
    /// Whom it is about.
    pub entities: Vec<Entity>,
    /// The fields that made the rule match, with their values, of the newest event.
    pub evidence: Vec<(String, String)>,
    /// Organization units of the events; none where one of them is of no unit: then it is the city's.
    pub units: Vec<String>,
    /// One sentence in Vietnamese, where the rule has one.
    pub explanation_vi: Option<String>,
    /// One sentence in English, where the rule has one.
    pub explanation_en: Option<String>,
    /// Rule and entities: what repeats of this alert have in common.
    pub fingerprint: String,
    /// Repeats within this many seconds are the same alert.
    pub suppress_s: u64,
    /// Alerts that events which came late proved to be this one, seen in part. Itself: a new version of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// The alert that took this one's place. Not stored: the other one says it.
    #[serde(default, skip_serializing)]
    pub replaced_by: Option<Text>,
    /// Events that came late proved that the rule's condition did not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_withdrawn: bool,
    /// The number of the hunt that found it in what was stored; `None` for what the stream found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hunt: Option<u64>,
    /// An indicator that came later made it of what was stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_looked_back: bool,
}

/// Tag of an alert that was found long after it happened.
pub const LATE_TAG: &str = "nhatle.late";
/// Tag of an alert that takes the place of others, see [`Alert::replaces`].
pub const CORRECTED_TAG: &str = "nhatle.corrected";
/// Tag of an alert that was taken back, see [`Alert::is_withdrawn`].
pub const WITHDRAWN_TAG: &str = "nhatle.withdrawn";
/// An alert found so much later than it happened is late.
pub const LATE_NS: i64 = 600_000_000_000;

/// What makes two findings of a rule the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// Their events.
    Events,
    /// Their group and the time of the last event: a correlation fires once for it, however many events of its
    /// window are known.
    Window,
}

/// The value of `nhatle.alert.origin` for an alert that was found in what is stored.
pub const RETRO: &str = "retro";

/// What a match is made of, before it is an alert.
pub struct Finding<'a> {
    /// What the rule says of itself.
    pub meta: &'a Meta,
    /// Events that made it, oldest first, at least one: for a correlation over many, the newest of them.
    pub events: &'a [&'a Stored],
    /// The units of all of them, in order; none where one is of no unit. `None` = those of `events`, which are all.
    pub units: Option<Vec<String>>,
    /// The numbers of all of them, oldest first.
    pub seqs: &'a [Seq],
    /// The times of the oldest and the newest one.
    pub span: (Timestamp, Timestamp),
    /// How many there were, also those not in `seqs`.
    pub count: u64,
    /// The values of `group-by`, for a correlation.
    pub group: Vec<(String, String)>,
    /// The fields that made the rule match, with their values.
    pub evidence: Vec<(String, String)>,
    /// What its id is made of.
    pub named_by: NamedBy,
    /// It was found long after it happened.
    pub is_late: bool,
}

impl Alert {
    /// Makes an alert of a finding. `None` for a finding without events.
    pub fn new(finding: Finding<'_>) -> Option<Alert> {
        let Finding { meta, events, units, seqs, span, count, group, evidence, named_by, is_late } = finding;
        let newest = events.last()?;
        let span_ns = (span.0.0, span.1.0);
        let entities = entity::of(meta, events, &group);
        let units = units.unwrap_or_else(|| units_of(events));
        let skipped = seqs.len().saturating_sub(ALERT_EVENTS_MAX);
        let named: Vec<u64> = seqs.iter().skip(skipped).map(|seq| seq.0).collect();
        Some(Alert {
            id: match named_by {
                NamedBy::Events => id(&meta.id, &named),
                NamedBy::Window => window_id(&meta.id, &group, span.1),
            },
            rule_id: meta.id.clone(),
            title: meta.title.clone(),
            title_vi: meta.title_vi.clone(),
            level: meta.level.name().to_owned(),
            tags: meta.tags.iter().cloned().chain(is_late.then(|| LATE_TAG.to_owned())).collect(),
            at_ns: span_ns.1,
            span_ns,
            events: named,
            count,
            fingerprint: fingerprint(&meta.id, &group, &entities, &units),
            explanation_vi: explain::sentence(meta.explanation_vi.as_deref(), &newest.event, &group, count),
            explanation_en: explain::sentence(meta.explanation_en.as_deref(), &newest.event, &group, count),
            group,
            entities,
            evidence,
            units,
            suppress_s: meta.suppress_s.unwrap_or(suppress::SUPPRESS_DEFAULT_S),
            replaces: Vec::new(),
            replaced_by: None,
            is_withdrawn: false,
            hunt: None,
            is_looked_back: false,
        })
    }

    /// Whether it is to be looked at: nothing took its place, and it was not taken back.
    pub fn is_standing(&self) -> bool {
        self.replaced_by.is_none() && !self.is_withdrawn
    }

    /// Whether it is a new version of an alert that is out.
    pub fn is_revision(&self) -> bool {
        self.is_withdrawn || self.replaces.iter().any(|id| *id == self.id)
    }

    /// Takes the place of another alert, or of an earlier version of itself.
    pub fn replace(&mut self, other: &str) {
        if self.replaces.is_empty() {
            self.tags.push(CORRECTED_TAG.to_owned());
        }
        self.replaces.push(other.to_owned());
    }

    /// The same alert, taken back.
    #[must_use]
    pub fn withdrawn(&self) -> Alert {
        let mut alert = self.clone();
        alert.is_withdrawn = true;
        alert.tags.push(WITHDRAWN_TAG.to_owned());
        alert
    }

    /// The same alert, found in what was stored by an indicator that came later.
    #[must_use]
    pub fn looked_back(self) -> Alert {
        Alert { is_looked_back: true, ..self }
    }

    /// Whether it was found in what was stored, and not in the stream.
    pub fn is_retro(&self) -> bool {
        self.hunt.is_some() || self.is_looked_back
    }

    /// The rule's level.
    pub fn level(&self) -> Level {
        Level::from_name(&self.level).unwrap_or_default()
    }

    /// When the newest event happened.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp(self.at_ns)
    }

    /// The title in Vietnamese, or as the rule has it.
    pub fn title_for(&self, is_vietnamese: bool) -> &str {
        match &self.title_vi {
            Some(title) if is_vietnamese => title,
            _ => &self.title,
        }
    }

    /// The alert as an event of the dataset `nhatle.alerts`.
    pub fn to_event(&self, now: Timestamp) -> Event {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut event = Event::new(self.timestamp(), json);
        event.received = now;
        event.set(Field::EVENT_KIND, "signal");
        event.set(Field::EVENT_DATASET, nhatle_event::event::ALERTS);
        event.set(Field::EVENT_START, Timestamp(self.span_ns.0));
        event.set(Field::EVENT_END, Timestamp(self.span_ns.1));
        event.set(Field::MESSAGE, self.title.as_str());
        event.set(Field::RULE_ID, self.rule_id.as_str());
        event.set(Field::RULE_NAME, self.title.as_str());
        event.set(Field::NHATLE_ALERT_ID, self.id.clone());
        event.set(Field::NHATLE_ALERT_LEVEL, self.level.as_str());
        event.set(Field::NHATLE_ALERT_COUNT, i64::try_from(self.count).unwrap_or(i64::MAX));
        if self.is_retro() {
            event.set(Field::NHATLE_ALERT_ORIGIN, RETRO);
        }
        for unit in &self.units {
            event.add(Field::NHATLE_UNIT, unit.as_str());
        }
        for tag in &self.tags {
            event.add(Field::TAGS, tag.as_str());
        }
        for entity in &self.entities {
            event.add(entity.kind.field(), entity.value.as_str());
        }
        event
    }

    /// The alert back from its event; `None` for an event that is no alert of ours.
    pub fn from_event(event: &Event) -> Option<Alert> {
        let is_alert = event.text(Field::EVENT_DATASET) == Some(nhatle_event::event::ALERTS);
        is_alert.then(|| serde_json::from_slice(&event.original).ok())?
    }

    /// The numbers of its events.
    pub fn seqs(&self) -> impl Iterator<Item = Seq> + '_ {
        self.events.iter().map(|number| Seq(*number))
    }
}

fn id(rule_id: &str, events: &[u64]) -> Text {
    let mut hash = Sha256::new();
    hash.update(rule_id.as_bytes());
    hash.update([0]);
    for number in events {
        hash.update(number.to_le_bytes());
    }
    Text::from(nhatle_event::json::hex(&hash.finalize()[..16]))
}

/// The id of the alert of a correlation for a group and a window that ends then. Values are JSON, so that no value
/// can be made to look like two.
pub fn window_id(rule_id: &str, group: &[(String, String)], end: Timestamp) -> Text {
    let values: Vec<&str> = group.iter().map(|(_, value)| value.as_str()).collect();
    let digest = Sha256::digest(serde_json::json!([rule_id, values, end.0]).to_string().as_bytes());
    Text::from(nhatle_event::json::hex(&digest[..16]))
}

/// The units of events, in order; none where one of them is of no unit.
fn units_of(events: &[&Stored]) -> Vec<String> {
    let of_each = events.iter().map(|stored| stored.event.text(Field::NHATLE_UNIT).map(String::from));
    let mut units: Vec<String> = of_each.collect::<Option<_>>().unwrap_or_default();
    units.sort();
    units.dedup();
    units
}

/// Rule and group, or rule, entities and units where there is no group: the `router` at 192.168.1.1 of one ward is not that of
/// another. Values are JSON, so that no value can be made to look like two.
fn fingerprint(rule_id: &str, group: &[(String, String)], entities: &[Entity], units: &[String]) -> String {
    let values: Vec<&str> = if group.is_empty() {
        entities.iter().map(|entity| entity.value.as_str()).collect()
    } else {
        group.iter().map(|(_, value)| value.as_str()).collect()
    };
    let parts = match group.is_empty() && !units.is_empty() {
        true => serde_json::json!([rule_id, values, units]),
        false => serde_json::json!([rule_id, values]),
    };
    let digest = Sha256::digest(parts.to_string().as_bytes());
    nhatle_event::json::hex(&digest[..12])
}

/// The value of a field as one line of text, for evidence and sentences; lists are joined by commas.
pub fn shown(value: &Value) -> String {
    let parts: Vec<_> = value.each().filter_map(Value::as_text).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(seq: u64, host: &str) -> Stored {
        let mut event = Event::new(Timestamp::from_seconds(i64::try_from(seq).expect("small")), *b"x");
        event.set(Field::HOST_NAME, host);
        event.set(Field::SOURCE_IP, "203.0.113.9".parse::<std::net::IpAddr>().expect("an address"));
        event.set(Field::NHATLE_UNIT, "DH01");
        Stored { seq: Seq(seq), committed: Timestamp(0), event }
    }

    fn alert(events: &[&Stored]) -> Alert {
        alert_of(events, None)
    }

    fn alert_of(events: &[&Stored], units: Option<Vec<String>>) -> Alert {
        let meta = Meta {
            id: "r1".into(),
            title: "t".into(),
            explanation_en: Some("{count} from {source.ip} on {host.name}, {nothing}".into()),
            ..Meta::default()
        };
        let seqs: Vec<Seq> = events.iter().map(|stored| stored.seq).collect();
        let span = (Timestamp(1), Timestamp(2));
        let finding = Finding {
            meta: &meta,
            events,
            units,
            seqs: &seqs,
            span,
            count: 7,
            group: Vec::new(),
            evidence: Vec::new(),
            named_by: NamedBy::Events,
            is_late: false,
        };
        Alert::new(finding).expect("there are events")
    }

    #[test]
    fn the_same_match_is_the_same_alert_and_another_is_not() {
        let (a, b) = (stored(1, "web"), stored(2, "web"));
        assert_eq!(alert(&[&a, &b]).id, alert(&[&a, &b]).id);
        assert_ne!(alert(&[&a]).id, alert(&[&b]).id);
        assert_eq!(alert(&[&a]).fingerprint, alert(&[&b]).fingerprint);
        let mut elsewhere = stored(3, "web");
        elsewhere.event.set(Field::NHATLE_UNIT, "DH02");
        assert_ne!(alert(&[&a]).fingerprint, alert(&[&elsewhere]).fingerprint, "every ward has a machine of that name");
    }

    /// Who sees one unit only sees what is of that unit alone.
    #[test]
    fn an_alert_is_of_a_unit_only_where_all_its_events_are_of_one() {
        let (own, mut other, mut city) = (stored(1, "web"), stored(2, "web"), stored(3, "web"));
        other.event.set(Field::NHATLE_UNIT, "DH02");
        city.event.remove(Field::NHATLE_UNIT);
        assert_eq!(alert(&[&own]).units, ["DH01"]);
        assert_eq!(alert(&[&own, &other]).units, ["DH01", "DH02"]);
        assert!(alert(&[&city, &own]).units.is_empty(), "then it is the city's");
        let all = vec!["DH01".to_owned(), "DH02".to_owned()];
        assert_eq!(alert_of(&[&own], Some(all.clone())).units, all, "events that are not read count too");
        assert!(alert_of(&[&own], Some(Vec::new())).units.is_empty());
    }

    #[test]
    fn an_alert_comes_back_from_its_event() {
        let event = stored(3, "web");
        let alert = alert(&[&event]);
        assert_eq!(Alert::from_event(&alert.to_event(Timestamp(5))), Some(alert));
        assert_eq!(Alert::from_event(&event.event), None);
    }

    #[test]
    fn the_sentence_is_filled_in() {
        let event = stored(3, "web");
        assert_eq!(alert(&[&event]).explanation_en.as_deref(), Some("7 from 203.0.113.9 on web, –"));
    }
}
