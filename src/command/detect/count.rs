//! Findings counted by rule: the first look at much.
//!
//! In: findings. Out: a line a rule, the most urgent first, then the most frequent. Bounded by the rules.

use std::collections::BTreeMap;
use std::io::Write;

use nhatle_event::Timestamp;
use nhatle_rules::Level;

use super::finding::Finding;
use super::zone::Zone;
use crate::command::output;

/// See the module.
#[derive(Default)]
pub struct RuleCounts {
    rules: BTreeMap<String, RuleCount>,
}

struct RuleCount {
    level: Level,
    title: String,
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

impl RuleCounts {
    /// Takes a finding.
    pub fn add(&mut self, finding: &Finding) {
        let meta = &finding.meta;
        if !self.rules.contains_key(&meta.id) {
            let (title, at) = (meta.title.clone(), finding.at);
            let fresh = RuleCount { level: meta.level, title, count: 0, first: at, last: at };
            self.rules.insert(meta.id.clone(), fresh);
        }
        if let Some(rule) = self.rules.get_mut(&meta.id) {
            rule.count += 1;
            rule.first = rule.first.min(finding.at);
            rule.last = rule.last.max(finding.at);
        }
    }

    /// Writes the lines.
    ///
    /// # Errors
    /// The output is closed or full.
    pub fn write(&self, out: &mut impl Write, zone: Zone) -> std::io::Result<()> {
        let mut rules: Vec<(&String, &RuleCount)> = self.rules.iter().collect();
        rules.sort_by(|(a, one), (b, other)| (other.level, other.count, a).cmp(&(one.level, one.count, b)));
        for (id, rule) in rules {
            let (first, last) = (zone.show(rule.first), zone.show(rule.last));
            let (count, level, title) = (rule.count, rule.level.name(), output::cut(&rule.title, 60));
            writeln!(out, "{count:>8} {level:<13} {title:<60} {first:<27} {last:<27} {id}")?;
        }
        Ok(())
    }
}
