//! A rule as written, in Sigma's own words and with the place of every part; nothing is decided here.
//!
//! Source: Sigma rules specification 2.1.0, correlation rules, filters.

use crate::compile::predicate::Comparison;
use crate::set::{Meta, Scope};
use crate::yaml::Place;

/// One YAML document of a rule file.
#[derive(Clone, Debug)]
pub(crate) enum Document {
    /// `detection:`
    Rule(Rule),
    /// `correlation:`
    Correlation(Correlation),
    /// `filter:`
    Filter(Filter),
}

/// A detection rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) meta: Meta,
    pub(crate) place: Place,
    pub(crate) logsource: LogSource,
    pub(crate) detection: Detection,
}

/// `logsource`; each part lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct LogSource {
    pub(crate) category: Option<String>,
    pub(crate) product: Option<String>,
    pub(crate) service: Option<String>,
}

/// The searches by name, and the condition over them.
#[derive(Clone, Debug)]
pub(crate) struct Detection {
    pub(crate) searches: Vec<(String, Place, Search)>,
    /// Several are alternatives.
    pub(crate) conditions: Vec<(Condition, Place)>,
}

/// A named search: maps, lists and keywords.
#[derive(Clone, Debug)]
pub(crate) enum Search {
    /// A map.
    All(Vec<Search>),
    /// A list of maps.
    Any(Vec<Search>),
    /// `field|modifier: values`, or keywords.
    Item(Item),
}

/// One item of a map, or a list of keywords.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// The field; `None` for keywords.
    pub(crate) field: Option<String>,
    pub(crate) modifiers: Vec<Modifier>,
    pub(crate) values: Vec<Value>,
    pub(crate) place: Place,
}

/// A value as written.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) kind: ValueKind,
    pub(crate) place: Place,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ValueKind {
    Text(String),
    Number(f64, String),
    Boolean(bool),
    Null,
}

/// A modifier of a field name. Applied in the order written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modifier {
    Contains,
    StartsWith,
    EndsWith,
    All,
    Exists,
    Cased,
    Neq,
    Windash,
    Re,
    IgnoreCase,
    Multiline,
    DotAll,
    Base64,
    Base64Offset,
    Utf16Le,
    Utf16Be,
    Utf16,
    Compare(Comparison),
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Cidr,
    Expand,
    FieldRef,
}

/// A condition over the searches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The search of this name.
    Identifier(String),
    /// `1 of pattern`, `all of them`.
    Of(Quantifier, Selector),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

/// How many of the selected searches must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// `1`, `any`
    One,
    /// `all`
    All,
}

/// Which searches an `of` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    /// `them`: all whose name does not begin with `_`.
    Them,
    /// A name with `*` in it.
    Pattern(String),
}

/// A correlation rule.
#[derive(Clone, Debug)]
pub(crate) struct Correlation {
    pub(crate) meta: Meta,
    pub(crate) place: Place,
    pub(crate) kind: CorrelationKind,
    /// Ids or names, in the order written; empty where an extended condition names them.
    pub(crate) rules: Vec<(String, Place)>,
    pub(crate) group_by: Vec<String>,
    pub(crate) timespan_ns: i64,
    pub(crate) aliases: Vec<Alias>,
    pub(crate) condition: CorrelationCondition,
    /// The referred rules alert on their own as well.
    pub(crate) generates: bool,
    /// Whether its groups are of one unit.
    pub(crate) scope: Scope,
}

/// A name in `group-by` that means another field in each rule.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) name: String,
    /// Rule name and field.
    pub(crate) fields: Vec<(String, String, Place)>,
}

/// `type` of a correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CorrelationKind {
    EventCount,
    ValueCount,
    Temporal,
    TemporalOrdered,
    ValueSum,
    ValueAvg,
    ValuePercentile,
    ValueMedian,
}

/// `condition` of a correlation.
#[derive(Clone, Debug)]
pub(crate) enum CorrelationCondition {
    /// None given (temporal types).
    None,
    /// One comparison, or two for a range; with the fields and percentile that belong to it.
    Threshold { comparisons: Vec<(Comparison, f64)>, fields: Vec<String>, percentile: Option<f64> },
    /// An expression over rule names.
    Extended(Condition, Place),
}

/// A filter: narrows rules without touching their files.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) meta: Meta,
    pub(crate) place: Place,
    pub(crate) logsource: LogSource,
    /// Ids or names; empty = every rule of the log source.
    pub(crate) rules: Vec<(String, Place)>,
    pub(crate) detection: Detection,
}
