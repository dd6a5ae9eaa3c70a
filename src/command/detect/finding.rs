//! What `detect` prints: a match of one event, or of several.

use std::sync::Arc;

use nhatle_engine::correlate::CorrelationMatch;
use nhatle_engine::detect::matched_fields;
use nhatle_event::json::value_to_json;
use nhatle_event::{Event, Field, Timestamp};
use nhatle_rules::{CorrelationKind, Meta, Rule, RuleId, RuleSet};
use serde_json::{Map, Value, json};

/// Where an event stands: its file, and its index in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named, inside an archive `ARCHIVE:NAME`.
    pub file: Arc<str>,
    /// 0-based: the line, or the record's position.
    pub index: u64,
}

/// A line to print.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What the rule says of itself.
    pub meta: Arc<Meta>,
    /// When it happened; of several events the last.
    pub at: Timestamp,
    /// The machine it happened on, where the event says it.
    pub host: Option<String>,
    /// The Windows channel, else the dataset.
    pub channel: Option<String>,
    /// The event's number or name at its source.
    pub code: Option<String>,
    /// The values the rule looked at, by the rule's names; of a correlation the group.
    pub fields: Map<String, Value>,
    /// Which events.
    pub of: Of,
}

/// One event, or several.
#[derive(Clone, Debug)]
pub enum Of {
    /// A match.
    Event {
        /// Where it stands.
        place: Place,
        /// Windows' own number of the record.
        record_id: Option<Value>,
    },
    /// A firing of a correlation.
    Events {
        /// Sigma's word for the kind.
        kind: &'static str,
        /// How many hits the window holds.
        count: u64,
        /// Time of the first.
        start: Timestamp,
        /// In order of time; the last one completes it.
        places: Vec<Place>,
    },
}

impl Finding {
    /// A match of one event.
    pub fn of_event(rules: &RuleSet, rule: (&Rule, RuleId), event: &Event, place: Place) -> Finding {
        let fields = matched_fields(rules, rule.1, event);
        let text = |field: Field| event.get(field)?.as_text().map(|text| text.into_owned());
        Finding {
            meta: rule.0.meta.clone(),
            at: event.timestamp,
            host: text(Field::HOST_NAME),
            channel: text(Field::WINLOG_CHANNEL).or_else(|| text(Field::EVENT_DATASET)),
            code: text(Field::EVENT_CODE),
            fields: fields.into_iter().map(|(name, value)| (name, value_to_json(&value))).collect(),
            of: Of::Event {
                place,
                record_id: event
                    .get(Field::WINLOG_RECORD_ID)
                    .map(|id| id.as_long().map_or_else(|| value_to_json(id), Value::from)),
            },
        }
    }

    /// A firing.
    pub fn of_correlation(
        meta: &Arc<Meta>,
        kind: &'static str,
        fired: &CorrelationMatch,
        places: Vec<Place>,
    ) -> Finding {
        let group: Map<String, Value> = fired.group.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        Finding {
            meta: meta.clone(),
            at: fired.end,
            channel: None,
            code: None,
            host: group.get("host.name").or_else(|| group.get("Computer")).and_then(Value::as_str).map(str::to_owned),
            fields: group,
            of: Of::Events { kind, count: fired.count, start: fired.start, places },
        }
    }

    /// As one JSON object (contract, `detect --format jsonl`).
    pub fn json(&self) -> Value {
        let meta = &self.meta;
        let mut map = Map::new();
        map.insert(
            "rule".into(),
            json!({"id": meta.id, "title": meta.title, "level": meta.level.name(), "tags": meta.tags}),
        );
        match &self.of {
            Of::Event { place, record_id } => {
                map.insert("file".into(), json!(&*place.file));
                map.insert("index".into(), json!(place.index));
                if let Some(record_id) = record_id {
                    map.insert("record_id".into(), record_id.clone());
                }
                map.insert("timestamp".into(), json!(self.at.to_string()));
                map.insert("fields".into(), self.fields.clone().into());
            }
            Of::Events { kind, count, start, places } => {
                let events: Vec<Value> =
                    places.iter().map(|place| json!({"file": &*place.file, "index": place.index})).collect();
                map.insert("timestamp".into(), json!(self.at.to_string()));
                map.insert(
                    "correlation".into(),
                    json!({
                        "type": kind, "group": self.fields, "count": count,
                        "start": start.to_string(), "end": self.at.to_string(), "events": events,
                    }),
                );
            }
        }
        Value::Object(map)
    }

    /// File and index of the event; of several the last.
    pub fn place(&self) -> Option<&Place> {
        match &self.of {
            Of::Event { place, .. } => Some(place),
            Of::Events { places, .. } => places.last(),
        }
    }
}

/// Sigma's word for a kind of correlation.
pub fn kind_name(kind: &CorrelationKind) -> &'static str {
    match kind {
        CorrelationKind::EventCount(_) => "event_count",
        CorrelationKind::ValueCount(..) => "value_count",
        CorrelationKind::Temporal(_) | CorrelationKind::Extended(_) => "temporal",
        CorrelationKind::TemporalOrdered(_) | CorrelationKind::ExtendedOrdered(_) => "temporal_ordered",
        CorrelationKind::ValueSum(..) => "value_sum",
        CorrelationKind::ValueAvg(..) => "value_avg",
        CorrelationKind::ValuePercentile(..) => "value_percentile",
        CorrelationKind::ValueMedian(..) => "value_median",
    }
}
