//! Correlations over all files together.
//!
//! In: the matches that correlations count, in whatever order files gave them. Out: what fired, in order
//! of time. The hits of all files are put in order of time first (equal times: of files and records), so
//! that a folder gives the same however its files are named. Past [`HITS_MAX`] hits what is there is
//! counted; what comes later and happened before is late, and what it changes is taken back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nhatle_engine::correlate::{Arrived, CorrelationMatch, Correlator, Limits};
use nhatle_engine::detect::Match;
use nhatle_event::{Event, Field, Seq, Timestamp};
use nhatle_rules::predicate::RuleField;
use nhatle_rules::{CorrelationKind, GroupBy, Referred, RuleId, RuleSet};

use super::finding::{Finding, Place, kind_name};

/// How many hits are put in order at once; a hit is some 200 bytes and the values correlations read.
pub const HITS_MAX: usize = 2_000_000;
/// How many hits are pushed at once.
const BATCH_HITS: usize = 8192;

/// An event that correlations count: only the fields they read, and which rules matched.
pub struct Fed {
    event: Event,
    rules: Vec<RuleId>,
    place: Place,
}

/// Which matches correlations count, and which fields they read.
pub struct Feed {
    is_fed: Vec<bool>,
    fields: Vec<RuleField>,
}

impl Feed {
    /// What the correlations of a rule set ask for.
    pub fn new(rules: &RuleSet) -> Feed {
        let mut is_fed = vec![false; rules.rules.len()];
        let mut fields: Vec<RuleField> = Vec::new();
        for correlation in &rules.correlations {
            for referred in &correlation.referred {
                if let Referred::Rule(rule) = referred
                    && let Some(is_fed) = is_fed.get_mut(rule.0 as usize)
                {
                    *is_fed = true;
                }
            }
            let read = correlation.group_by.iter().chain(counted(&correlation.kind));
            for field in read.flat_map(|entry| &entry.fields) {
                if !fields.contains(field) {
                    fields.push(field.clone());
                }
            }
        }
        Feed { is_fed, fields }
    }

    /// The events of a chunk that correlations count.
    pub fn of(&self, events: &[Event], matches: &[Match], place: impl Fn(usize) -> Place) -> Vec<Fed> {
        let mut fed = Vec::new();
        let mut is_read: HashMap<Field, bool> = HashMap::new();
        for matches in matches.chunk_by(|left, right| left.position == right.position) {
            let counts = |one: &&Match| self.is_fed.get(one.rule.0 as usize).is_some_and(|is_fed| *is_fed);
            let rules: Vec<RuleId> = matches.iter().filter(counts).map(|one| one.rule).collect();
            let Some(event) = matches.first().and_then(|one| events.get(one.position)).filter(|_| !rules.is_empty())
            else {
                continue;
            };
            let mut slim = Event::new(event.timestamp, *b"");
            slim.received = event.received;
            for (field, value) in event.fields() {
                let reads = || self.fields.iter().any(|read| read.rank(*field).is_some());
                if *is_read.entry(*field).or_insert_with(reads) {
                    slim.push_new(*field, value.clone());
                }
            }
            fed.push(Fed { event: slim, rules, place: place(matches[0].position) });
        }
        fed
    }
}

/// The fields whose values a correlation counts.
fn counted(kind: &CorrelationKind) -> &[GroupBy] {
    match kind {
        CorrelationKind::ValueCount(_, entries) => entries,
        CorrelationKind::ValueSum(_, entry)
        | CorrelationKind::ValueAvg(_, entry)
        | CorrelationKind::ValuePercentile(_, entry, _)
        | CorrelationKind::ValueMedian(_, entry) => std::slice::from_ref(entry),
        CorrelationKind::EventCount(_)
        | CorrelationKind::Temporal(_)
        | CorrelationKind::TemporalOrdered(_)
        | CorrelationKind::Extended(_)
        | CorrelationKind::ExtendedOrdered(_) => &[],
    }
}

/// What a firing is called: end, correlation and group.
type Name = (Timestamp, u32, Vec<(String, String)>);

/// See the module.
pub struct Correlations {
    rules: Arc<RuleSet>,
    correlator: Correlator,
    waiting: Vec<Fed>,
    /// Where each pushed hit stands, by its number.
    places: Vec<Place>,
    /// What fired and was not taken back, by end, correlation and group, with the number of its last hit.
    findings: BTreeMap<Name, (u64, Finding)>,
}

impl Correlations {
    /// With nothing seen yet.
    pub fn new(rules: Arc<RuleSet>) -> Correlations {
        let correlator = Correlator::new(rules.clone(), Limits::for_files());
        Correlations { rules, correlator, waiting: Vec::new(), places: Vec::new(), findings: BTreeMap::new() }
    }

    /// Takes what a chunk fed.
    pub fn take(&mut self, fed: Vec<Fed>) {
        self.waiting.extend(fed);
        if HITS_MAX <= self.waiting.len() {
            self.push();
        }
    }

    /// What fired, in order of time; at one moment in the order of the events that completed it.
    pub fn finish(&mut self) -> Vec<Finding> {
        self.push();
        let fired = self.correlator.settle(0);
        self.stand(fired);
        let mut findings: Vec<(u64, Finding)> = std::mem::take(&mut self.findings).into_values().collect();
        let order = |(last, finding): &(u64, Finding)| (finding.at, *last);
        findings.sort_by(|left, right| (order(left), &left.1.meta.id).cmp(&(order(right), &right.1.meta.id)));
        findings.into_iter().map(|(_, finding)| finding).collect()
    }

    /// Hits that came too late or found no room.
    pub fn dropped(&self) -> u64 {
        let counters = self.correlator.counters();
        counters.too_late + counters.hits_dropped + counters.groups_dropped
    }

    fn push(&mut self) {
        let mut hits = std::mem::take(&mut self.waiting);
        // Stable: equal times stay in the order of files and records.
        hits.sort_by_key(|hit| hit.event.timestamp);
        for hits in hits.chunks(BATCH_HITS) {
            let first = self.places.len() as u64;
            let arrived: Vec<Arrived<'_>> =
                hits.iter().zip(first..).map(|(hit, seq)| Arrived { seq: Seq(seq), event: &hit.event }).collect();
            let matches: Vec<Match> = hits
                .iter()
                .enumerate()
                .flat_map(|(position, hit)| hit.rules.iter().map(move |rule| Match { position, rule: *rule }))
                .collect();
            self.places.extend(hits.iter().map(|hit| hit.place.clone()));
            let fired = self.correlator.push(&arrived, &matches);
            self.stand(fired);
        }
    }

    fn stand(&mut self, fired: Vec<CorrelationMatch>) {
        for one in self.correlator.withdrawn() {
            self.findings.remove(&(one.end, one.correlation.0, one.group.clone()));
        }
        for fired in fired {
            let Some(correlation) = self.rules.correlations.get(fired.correlation.0 as usize) else { continue };
            if correlation.is_alerting {
                let place = |seq: &Seq| usize::try_from(seq.0).ok().and_then(|at| self.places.get(at)).cloned();
                let places = fired.events.iter().filter_map(place).collect();
                let kind = kind_name(&correlation.kind);
                let last = fired.events.last().map_or(0, |seq| seq.0);
                let finding = Finding::of_correlation(&correlation.meta, kind, &fired, places);
                self.findings.insert((fired.end, fired.correlation.0, fired.group.clone()), (last, finding));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const RULES: &str = "title: a\nname: a\nlogsource: {category: test}\ndetection:\n  s:\n    A: 1\n  condition: s\n---\n\
        title: three\nid: 3a0a1df5-20c7-4a3b-9a3e-4c0d8f1b7a02\ncorrelation:\n  type: event_count\n  rules: [a]\n  \
        group-by: [User]\n  timespan: 1m\n  condition: {gte: 3}\n";

    fn fed(rules: &RuleSet, second: i64, user: &str, file: &str) -> Vec<Fed> {
        let mut event = Event::new(Timestamp(second * 1_000_000_000), *b"not kept");
        event.set_named("User", user);
        event.set_named("Other", "not read");
        let place = Place { file: file.into(), index: 0 };
        Feed::new(rules).of(&[event], &[Match { position: 0, rule: RuleId(0) }], |_| place.clone())
    }

    fn rules() -> Arc<RuleSet> {
        let rules = RuleSet::load_with(&[(PathBuf::from("r.yml"), RULES.to_owned())], &[], &Default::default());
        assert_eq!((rules.rules.len(), rules.correlations.len()), (1, 1), "{:?}", rules.errors);
        Arc::new(rules)
    }

    #[test]
    fn the_order_of_files_does_not_matter() {
        let rules = rules();
        let hits = [(30, "an", "a"), (7000, "an", "b"), (20, "an", "c"), (10, "an", "d"), (15, "lan", "e")];
        let mut seen = Vec::new();
        for turn in 0..hits.len() {
            let mut correlations = Correlations::new(rules.clone());
            for at in 0..hits.len() {
                let (second, user, file) = hits[(at + turn) % hits.len()];
                correlations.take(fed(&rules, second, user, file));
            }
            let findings: Vec<String> =
                correlations.finish().iter().map(|finding| finding.json()["correlation"].to_string()).collect();
            seen.push(findings);
        }
        assert_eq!(seen[0].len(), 1, "{seen:?}");
        assert!(seen[0][0].contains(r#""file":"a","index":0}]"#), "the last in time completes it: {}", seen[0][0]);
        assert!(seen.iter().all(|findings| *findings == seen[0]), "{seen:?}");
    }

    #[test]
    fn what_fires_at_one_moment_is_in_the_order_of_the_events() {
        let rules = rules();
        let mut correlations = Correlations::new(rules.clone());
        for user in ["vy", "an", "my"] {
            (0..3).for_each(|_| correlations.take(fed(&rules, 5, user, user)));
        }
        let users: Vec<String> = correlations
            .finish()
            .iter()
            .map(|finding| finding.json()["correlation"]["group"]["User"].to_string())
            .collect();
        assert_eq!(users, [r#""vy""#, r#""an""#, r#""my""#]);
    }

    #[test]
    fn only_what_correlations_read_is_kept() {
        let kept = fed(&rules(), 1, "an", "a");
        let names: BTreeMap<&str, ()> = kept[0].event.fields().iter().map(|(field, _)| (field.name(), ())).collect();
        assert_eq!(names.into_keys().collect::<Vec<_>>(), ["User"]);
        assert!(kept[0].event.original.is_empty());
    }
}
