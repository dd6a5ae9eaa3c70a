//! The slow, obvious twin of the correlator: all events at once, in order of time, every window judged anew.
//!
//! For tests and fuzzing only. In: a whole history, in any order. Out: what the
//! [`Correlator`](super::Correlator) has fired and not withdrawn once it is settled, for events within the
//! lateness of their sources and histories within its limits. Events of equal time stand in order of `Seq`.

use std::collections::{BTreeMap, BTreeSet};

use nhatle_event::{Event, Field, Seq, Timestamp, Value};
use nhatle_rules::{Correlation, CorrelationId, CorrelationKind, Expression, GroupBy, Referred, RuleSet, Scope};

use super::coming::{in_order, newest_first};
use super::condition::{Condition, Places, bit, expression_holds};
use super::sum::ExactSum;
use super::window::{float, nearest_rank};
use super::{Arrived, CorrelationMatch, scope};
use crate::detect::{Match, value_of_field};
use crate::local::Names;

/// How many referred rules an ordered kind may have here: all subsets of them are tried.
const PLACES_TRIED: usize = 8;

/// What counts: an event, with the firings of inner correlations it completed.
#[derive(Clone, Debug)]
struct Hit {
    at: Timestamp,
    seq: Seq,
    places: Places,
    value: Vec<String>,
    number: f64,
    inner: Vec<Vec<Seq>>,
    /// Units of the event, or of each firing; an empty one is the city's.
    units: Vec<String>,
}

/// A firing with the event that completed it, for the correlations that refer to it.
struct Firing<'a> {
    found: CorrelationMatch,
    event: &'a Event,
}

/// A correlation, the values of its group, and its unit where it is of one.
type Key = (usize, Group);
type Group = (Vec<String>, Option<String>);

/// All firings over a whole history, in order of time.
pub fn correlate(rules: &RuleSet, events: &[Arrived<'_>], matches: &[Match]) -> Vec<CorrelationMatch> {
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|place| (events[*place].event.timestamp, events[*place].seq));
    let mut hits: BTreeMap<Key, Vec<Hit>> = BTreeMap::new();
    let mut fired: BTreeMap<Key, Timestamp> = BTreeMap::new();
    let mut firings: Vec<Firing<'_>> = Vec::new();
    let names = scope::names(rules);
    for position in order {
        let first_of_event = firings.len();
        for (number, correlation) in rules.correlations.iter().enumerate() {
            let Ok(condition) = Condition::new(&correlation.kind, correlation.referred.len()) else { continue };
            let come =
                gather((correlation, &names[number]), events[position], position, matches, &firings[first_of_event..]);
            for (group, hit) in come {
                let (at, seq) = (hit.at, hit.seq);
                let key = (number, group);
                let all = hits.entry(key.clone()).or_default();
                all.push(hit);
                let window: Vec<&Hit> = all.iter().filter(|hit| at.since(hit.at) <= correlation.timespan_ns).collect();
                let is_quiet = fired.get(&key).is_some_and(|last| at.since(*last) <= correlation.timespan_ns);
                let value = judge(&correlation.kind, &condition, &window);
                if let Some(value) = value.filter(|_| !is_quiet) {
                    fired.insert(key.clone(), at);
                    let found = firing(correlation, number, &key.1, &window, value);
                    debug_assert!(found.events.contains(&seq));
                    firings
                        .push(Firing { found: CorrelationMatch { position, ..found }, event: events[position].event });
                }
            }
        }
    }
    firings.into_iter().map(|firing| firing.found).collect()
}

/// The hits that an event makes in a correlation, with the group of each: matches of the event itself first.
fn gather(
    (correlation, names): (&Correlation, &[Vec<Names>]),
    arrived: Arrived<'_>,
    position: usize,
    matches: &[Match],
    firings: &[Firing<'_>],
) -> Vec<(Group, Hit)> {
    let mut found: Vec<(Group, Hit)> = Vec::new();
    let mut happened: Vec<(usize, Option<&Firing<'_>>)> = Vec::new();
    for one in matches.iter().filter(|one| one.position == position) {
        let places = correlation.referred.iter().enumerate();
        happened.extend(places.filter(|(_, what)| **what == Referred::Rule(one.rule)).map(|(place, _)| (place, None)));
    }
    for firing in firings {
        let is_it = |what: &Referred| *what == Referred::Correlation(firing.found.correlation);
        let places = correlation.referred.iter().enumerate();
        happened.extend(places.filter(|(_, what)| is_it(what)).map(|(place, _)| (place, Some(firing))));
    }
    for (place, firing) in happened {
        let text = |entry: &GroupBy| text_of(entry, place, arrived.event, firing);
        let Some(values) = correlation.group_by.iter().map(text).collect::<Option<Vec<_>>>() else { continue };
        let is_local = names.iter().zip(&values).any(|(names, value)| names[place].is_local(value));
        let is_own = match scope::of(correlation) {
            Scope::Values => is_local,
            Scope::City => false,
            Scope::Unit => true,
        };
        let key = (values, unit_of(arrived.event, firing).filter(|_| is_own));
        let Some((value, number)) = counted(&correlation.kind, text) else { continue };
        let inner: Vec<Vec<Seq>> = firing.iter().map(|firing| firing.found.events.clone()).collect();
        let units = match firing {
            Some(firing) if firing.found.units.is_empty() => vec![String::new()],
            Some(firing) => firing.found.units.clone(),
            None => vec![arrived.event.text(Field::NHATLE_UNIT).unwrap_or_default().to_owned()],
        };
        match found.iter_mut().find(|(known, _)| *known == key) {
            Some((_, hit)) => {
                hit.places |= bit(place);
                hit.inner.extend(inner);
                hit.units.extend(units);
            }
            None => {
                let (at, seq) = (arrived.event.timestamp, arrived.seq);
                found.push((key, Hit { at, seq, places: bit(place), value, number, inner, units }));
            }
        }
    }
    found
}

/// The values and the number a hit counts for.
fn counted(kind: &CorrelationKind, text: impl Fn(&GroupBy) -> Option<String>) -> Option<(Vec<String>, f64)> {
    match kind {
        CorrelationKind::ValueCount(_, entries) => {
            entries.iter().map(text).collect::<Option<Vec<_>>>().map(|values| (values, 0.0))
        }
        CorrelationKind::ValueSum(_, entry)
        | CorrelationKind::ValueAvg(_, entry)
        | CorrelationKind::ValuePercentile(_, entry, _)
        | CorrelationKind::ValueMedian(_, entry) => {
            let number: f64 = text(entry)?.trim().parse().ok()?;
            number.is_finite().then_some((Vec::new(), number))
        }
        _ => Some((Vec::new(), 0.0)),
    }
}

/// The value of an entry: of a firing its group's, else that of the event.
fn text_of(entry: &GroupBy, place: usize, event: &Event, firing: Option<&Firing<'_>>) -> Option<String> {
    let field = entry.fields.get(place)?;
    let of_group = firing.and_then(|firing| {
        let mut values = firing.found.group.iter();
        values.find(|(name, _)| *name == field.name || *name == entry.name).map(|(_, value)| value.clone())
    });
    let event = firing.map_or(event, |firing| firing.event);
    of_group.or_else(|| value_of_field(field, event)?.each().find_map(Value::as_text).map(String::from))
}

/// The unit of a firing's group, else that of the event, which completed it.
fn unit_of(event: &Event, firing: Option<&Firing<'_>>) -> Option<String> {
    let of_group = firing.and_then(|firing| {
        firing.found.group.iter().find(|(name, _)| name == "nhatle.unit").map(|(_, unit)| unit.clone())
    });
    of_group.or_else(|| event.text(Field::NHATLE_UNIT).map(String::from))
}

fn judge(kind: &CorrelationKind, condition: &Condition, window: &[&Hit]) -> Option<f64> {
    let places: Vec<Places> = window.iter().map(|hit| hit.places).collect();
    let occurred = places.iter().fold(0, |all, places| all | places);
    let mut numbers: Vec<f64> = window.iter().map(|hit| hit.number).collect();
    let mut sum = ExactSum::default();
    numbers.iter().for_each(|number| sum.add(*number));
    numbers.sort_by(f64::total_cmp);
    let (threshold, value) = match condition {
        Condition::Count(threshold) => (threshold, float(window.len())),
        Condition::Distinct(threshold) => {
            let values: BTreeSet<&[String]> = window.iter().map(|hit| &*hit.value).collect();
            (threshold, float(values.len()))
        }
        Condition::Rules(threshold) => (threshold, f64::from(occurred.count_ones())),
        Condition::OrderedRules(threshold, referred) => (threshold, float(longest_chain(&places, *referred))),
        Condition::Expression(expression) => {
            return expression_holds(expression, occurred).then_some(f64::from(occurred.count_ones()));
        }
        Condition::Terms(_) => {
            let CorrelationKind::ExtendedOrdered(expression) = kind else { return None };
            return ordered_expression_holds(expression, &places).then_some(f64::from(occurred.count_ones()));
        }
        Condition::Sum(threshold) => (threshold, sum.value()),
        Condition::Average(threshold) => (threshold, sum.value() / float(window.len().max(1))),
        Condition::Percentile(threshold, percent) => {
            (threshold, numbers.get(nearest_rank(*percent, numbers.len())).copied()?)
        }
        Condition::Median(threshold) => (threshold, median(&numbers)?),
    };
    threshold.holds(value).then_some(value)
}

/// The middle value, or the mean of the middle two.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(*upper) } else { Some(f64::midpoint(*sorted.get(middle - 1)?, *upper)) }
}

fn firing(
    correlation: &Correlation,
    number: usize,
    (values, unit): &Group,
    window: &[&Hit],
    value: f64,
) -> CorrelationMatch {
    let mut events = Vec::new();
    for hit in window.iter().rev() {
        newest_first(hit.seq, hit.inner.iter().map(Vec::as_slice), &mut events);
    }
    let names = correlation.group_by.iter().map(|entry| entry.name.clone());
    let unit = unit.iter().map(|unit| ("nhatle.unit".to_owned(), unit.clone()));
    let units: BTreeSet<&String> = window.iter().flat_map(|hit| &hit.units).collect();
    let is_citys = units.iter().any(|unit| unit.is_empty());
    let at = |hit: Option<&&Hit>| hit.map_or(Timestamp::default(), |hit| hit.at);
    CorrelationMatch {
        correlation: CorrelationId(u32::try_from(number).unwrap_or(u32::MAX)),
        group: names.zip(values.iter().cloned()).chain(unit).collect(),
        events: in_order(events),
        start: at(window.first()),
        end: at(window.last()),
        count: u64::try_from(window.len()).unwrap_or(u64::MAX),
        value,
        position: 0,
        is_late: false,
        units: units.into_iter().filter(|_| !is_citys).cloned().collect(),
    }
}

/// Whether an expression holds for some chain in the order of `referred`: every subset of rules that
/// occurred is tried. Only for few rules.
fn ordered_expression_holds(expression: &Expression, places: &[Places]) -> bool {
    let occurred = places.iter().fold(0, |all, places| all | places);
    (0..1u128 << PLACES_TRIED).any(|subset| {
        subset & !occurred == 0
            && holds_for(expression, false, subset, occurred)
            && is_chain(subset, places, PLACES_TRIED)
    })
}

/// Positive rules must be in the chain, negated ones must not have occurred at all.
fn holds_for(expression: &Expression, is_negated: bool, chain: Places, occurred: Places) -> bool {
    let part_holds = |part: &Expression| holds_for(part, is_negated, chain, occurred);
    match (expression, is_negated) {
        (Expression::Occurred(place), false) => chain & bit(*place) != 0,
        (Expression::Occurred(place), true) => occurred & bit(*place) == 0,
        (Expression::Not(part), _) => holds_for(part, !is_negated, chain, occurred),
        (Expression::All(parts), false) | (Expression::Any(parts), true) => parts.iter().all(part_holds),
        (Expression::Any(parts), false) | (Expression::All(parts), true) => parts.iter().any(part_holds),
    }
}

fn is_chain(subset: Places, places: &[Places], referred: usize) -> bool {
    let mut wanted = (0..referred).filter(|place| subset & bit(*place) != 0).peekable();
    for places in places {
        if wanted.peek().is_some_and(|place| places & bit(*place) != 0) {
            wanted.next();
        }
    }
    wanted.peek().is_none()
}

fn longest_chain(places: &[Places], referred: usize) -> usize {
    let subsets = 0..1u128 << referred.min(PLACES_TRIED);
    let lengths = subsets.filter(|subset| is_chain(*subset, places, referred)).map(|subset| subset.count_ones());
    lengths.max().map_or(0, |length| usize::try_from(length).unwrap_or(0))
}
