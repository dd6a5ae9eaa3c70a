//! `RuleSet`: everything compiled from one load, immutable, swapped whole on reload.

use std::path::PathBuf;
use std::sync::Arc;

use crate::compile::predicate::{Atom, Comparison, Gate, Predicate, RuleField};
use crate::error::RuleError;
use crate::switch::Off;

/// How bad a match is, as the rule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `informational`
    #[default]
    Informational,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `critical`
    Critical,
}

impl Level {
    /// The Sigma word.
    pub fn name(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }

    /// The level of a Sigma word.
    pub fn from_name(name: &str) -> Option<Level> {
        [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical]
            .into_iter()
            .find(|level| level.name() == name)
    }
}

/// What a rule says of itself, shared by alerts and pages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// `id` (UUID), or a name-based one made from the title where a rule has none.
    pub id: String,
    /// `name`, for references from correlations.
    pub name: Option<String>,
    /// `title`
    pub title: String,
    /// Our own key `nhatle.title_vi`: the title in Vietnamese.
    pub title_vi: Option<String>,
    /// `status`
    pub status: Option<String>,
    /// `description`
    pub description: String,
    /// `author`
    pub author: Option<String>,
    /// `license`
    pub license: Option<String>,
    /// `references`
    pub references: Vec<String>,
    /// `tags` (`attack.t1110.001`, `attack.credential-access`, …)
    pub tags: Vec<String>,
    /// `level`
    pub level: Level,
    /// The level as written, where `level` is one that was decided here.
    pub level_written: Option<Level>,
    /// `falsepositives`
    pub false_positives: Vec<String>,
    /// `fields`: the fields the author wants shown.
    pub fields: Vec<String>,
    /// Our own key `nhatle.explanation.vi`: one sentence with `{field}` placeholders.
    pub explanation_vi: Option<String>,
    /// Our own key `nhatle.explanation.en`.
    pub explanation_en: Option<String>,
    /// Our own key `nhatle.questions.vi`: the first questions for the analyst, at most five.
    pub questions_vi: Vec<String>,
    /// Our own key `nhatle.questions.en`, as many.
    pub questions_en: Vec<String>,
    /// Our own key `nhatle.suppress_s`: repeats within so many seconds on the same entity are one alert.
    pub suppress_s: Option<u64>,
    /// Our own key `nhatle.entity`: ECS fields that say whom it is about; empty = the engine's default.
    pub entity: Vec<String>,
    /// `logsource` as written: category, product, service.
    pub logsource: [Option<String>; 3],
    /// The file it came from, and the line the document begins at (1-based).
    pub file: PathBuf,
    /// See `file`.
    pub line: usize,
    /// The YAML text of the document, for the rule page.
    pub text: Arc<str>,
}

/// A compiled rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it says of itself.
    pub meta: Arc<Meta>,
    /// Which events it looks at.
    pub gate: Gate,
    /// When it matches; filters are in it already.
    pub predicate: Predicate,
    /// Its matches are alerts of their own (false for a rule that only feeds correlations).
    pub is_alerting: bool,
    /// The named searches of the rule, in the order written, for `rule explain`.
    pub searches: Vec<(String, Predicate)>,
}

/// Place of a rule in [`RuleSet::rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// Place of a correlation in [`RuleSet::correlations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationId(pub u32);

/// What a correlation counts: matches of a rule, or firings of another correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Referred {
    /// Matches of this rule.
    Rule(RuleId),
    /// Firings of this correlation.
    Correlation(CorrelationId),
}

/// A compiled correlation rule.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// What it says of itself.
    pub meta: Arc<Meta>,
    /// What it counts and how.
    pub kind: CorrelationKind,
    /// The rules and correlations it refers to, in the order written.
    pub referred: Vec<Referred>,
    /// For each group-by entry, the field to take for each of `referred` (aliases resolved); the value
    /// is that of the first candidate the event has.
    pub group_by: Vec<GroupBy>,
    /// Length of the sliding window; an event exactly this much older is inside.
    pub timespan_ns: i64,
    /// Our own key `nhatle.scope`: whether a group is of one organization unit.
    pub scope: Scope,
    /// Its firings are alerts of their own.
    pub is_alerting: bool,
}

/// Whether the events of a group must be of one organization unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Where one of the group's values names another thing in every unit.
    #[default]
    Values,
    /// Never: events of all units are counted together.
    City,
    /// Always.
    Unit,
}

/// One entry of `group-by`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupBy {
    /// The name as written: a field or an alias.
    pub name: String,
    /// The field for each of [`Correlation::referred`], same order.
    pub fields: Vec<RuleField>,
}

/// The kind of a correlation with its condition.
#[derive(Clone, Debug, PartialEq)]
pub enum CorrelationKind {
    /// So many events.
    EventCount(Threshold),
    /// So many distinct values (several fields: distinct tuples), fields per referred rule.
    ValueCount(Threshold, Vec<GroupBy>),
    /// These rules within the window, in any order; the threshold counts distinct rules.
    Temporal(Threshold),
    /// These rules within the window, in the order of `referred`.
    TemporalOrdered(Threshold),
    /// A boolean expression over `referred` (places in it), in any order.
    Extended(Expression),
    /// The same, in the order of `referred`.
    ExtendedOrdered(Expression),
    /// Sum of a numeric field.
    ValueSum(Threshold, GroupBy),
    /// Average of a numeric field.
    ValueAvg(Threshold, GroupBy),
    /// Nearest-rank percentile (0 to 100) of a numeric field.
    ValuePercentile(Threshold, GroupBy, f64),
    /// Median of a numeric field.
    ValueMedian(Threshold, GroupBy),
}

/// A condition on a number: every comparison must hold (one, or two for a range).
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold(pub Vec<(Comparison, f64)>);

impl Threshold {
    /// Whether `value` meets every comparison.
    pub fn holds(&self, value: f64) -> bool {
        self.0.iter().all(|(comparison, limit)| comparison.holds(value, *limit))
    }
}

/// A boolean expression over the referred rules.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// The rule at this place of `referred` occurred in the window.
    Occurred(usize),
    /// Every part holds.
    All(Vec<Expression>),
    /// Some part holds.
    Any(Vec<Expression>),
    /// The part does not hold.
    Not(Box<Expression>),
}

/// Everything compiled from one load.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Rules, in order of id.
    pub rules: Vec<Rule>,
    /// Correlations, in an order in which each stands after those it refers to.
    pub correlations: Vec<Correlation>,
    /// The atoms that rules share.
    pub atoms: Vec<Atom>,
    /// The field names that atoms refer to.
    pub fields: Vec<RuleField>,
    /// Rules that load and do not run, because their status is `deprecated` or `unsupported`.
    pub retired: Vec<Arc<Meta>>,
    /// Rules and correlations that are switched off and do not run, in order of id.
    pub off: Vec<Off>,
    /// Documents that did not load, and why.
    pub errors: Vec<RuleError>,
    /// Things that load but look wrong.
    pub warnings: Vec<RuleError>,
    /// Files read.
    pub file_count: usize,
    /// Documents read, and files that could not be: each is a rule, a correlation or a filter, retired, off, or
    /// one of `errors`. See [`RuleSet::is_balanced`].
    pub document_count: usize,
    /// Filters; they are in the predicates of the rules they narrow.
    pub filter_count: usize,
}

impl RuleSet {
    /// How many documents loaded: rules, correlations and filters, those switched off among them.
    pub fn loaded_count(&self) -> usize {
        self.rules.len() + self.correlations.len() + self.filter_count + self.off.len()
    }

    /// Whether every document is accounted for: loaded, refused or retired.
    pub fn is_balanced(&self) -> bool {
        self.document_count == self.loaded_count() + self.errors.len() + self.retired.len()
    }

    /// What the rules and correlations say of themselves, and whether it is a correlation's; those that are off
    /// stand at the end.
    pub fn metas(&self) -> impl Iterator<Item = (&Arc<Meta>, bool)> {
        let rules = self.rules.iter().map(|rule| (&rule.meta, false));
        let correlations = self.correlations.iter().map(|correlation| (&correlation.meta, true));
        rules.chain(correlations).chain(self.off.iter().map(|off| (&off.meta, off.is_correlation)))
    }
}
