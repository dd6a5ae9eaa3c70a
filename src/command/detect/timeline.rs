//! The page of a hunt: findings gathered for [`nhatle_ui::timeline`].
//!
//! In: findings in any order. Out: HTML. Bounded: of more than [`ROWS_MAX`] findings the most urgent are
//! listed, of equal ones those that came first; every finding is counted.

use std::collections::BTreeMap;

use anyhow::Context;
use nhatle_event::{Clock, SystemClock, Timestamp};
use nhatle_rules::Level;
use nhatle_ui::Localized;
use nhatle_ui::timeline::{ROWS_MAX, Timeline, TimelineRow, TimelineRule, html};
use serde_json::Value;

use super::finding::{Finding, Of};
use super::zone::Zone;

/// See the module.
pub struct Page {
    zone: Zone,
    rows: Vec<(Level, TimelineRow)>,
    rules: BTreeMap<String, (Level, TimelineRule)>,
    times: Vec<Timestamp>,
}

impl Page {
    /// A page without findings yet.
    pub fn new(zone: Zone) -> Page {
        Page { zone, rows: Vec::new(), rules: BTreeMap::new(), times: Vec::new() }
    }

    /// Takes a finding.
    pub fn add(&mut self, finding: &Finding) {
        let meta = &finding.meta;
        let title = Localized::new(meta.title_vi.clone().unwrap_or_default(), meta.title.clone());
        self.times.push(finding.at);
        let fresh = || TimelineRule {
            level: meta.level.name(),
            title: title.clone(),
            id: meta.id.clone(),
            tags: meta.tags.clone(),
            author: meta.author.clone().unwrap_or_default(),
            count: 0,
            first: finding.at,
            last: finding.at,
        };
        let (_, rule) = self.rules.entry(meta.id.clone()).or_insert_with(|| (meta.level, fresh()));
        rule.count += 1;
        rule.first = rule.first.min(finding.at);
        rule.last = rule.last.max(finding.at);
        self.rows.push((meta.level, row(finding, title)));
        if ROWS_MAX * 2 <= self.rows.len() {
            self.shorten();
        }
    }

    /// Keeps the most urgent.
    fn shorten(&mut self) {
        // Stable: of equal ones those stay that came first.
        self.rows.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        self.rows.truncate(ROWS_MAX);
    }

    /// Draws the page.
    ///
    /// # Errors
    /// The template does not draw.
    pub fn html(mut self, summary: &Value) -> anyhow::Result<String> {
        self.shorten();
        let mut rows: Vec<TimelineRow> = self.rows.into_iter().map(|(_, row)| row).collect();
        rows.sort_by_key(|row| row.at);
        let mut rules: Vec<(Level, TimelineRule)> = self.rules.into_values().collect();
        rules.sort_by(|(left, a), (right, b)| (right, b.count, &a.id).cmp(&(left, a.count, &b.id)));
        let number = |name: &str| summary.get(name).and_then(Value::as_u64).unwrap_or_default();
        let timeline = Timeline {
            made: SystemClock.now(),
            zone: self.zone.name(),
            zone_offset_ns: self.zone.moved(Timestamp(0)).0,
            files: number("files"),
            events: number("events"),
            dead_letters: number("dead_letters"),
            rules_loaded: number("rules_loaded"),
            rules_failed: number("rules_failed"),
            findings: self.times.len() as u64,
            rules: rules.into_iter().map(|(_, rule)| rule).collect(),
            rows,
            times: self.times,
        };
        html(&timeline).context("draw the page")
    }
}

fn row(finding: &Finding, title: Localized) -> TimelineRow {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let place = finding.place().map_or_else(String::new, |place| format!("{}:{}", place.file, place.index));
    TimelineRow {
        at: finding.at,
        level: finding.meta.level.name(),
        title,
        rule_id: finding.meta.id.clone(),
        host: finding.host.clone().unwrap_or_default(),
        place,
        count: match &finding.of {
            Of::Event { .. } => 1,
            Of::Events { count, .. } => *count,
        },
        fields: finding.fields.iter().map(|(name, value)| (name.clone(), shown(value))).collect(),
    }
}
