//! What is known of the hits in one sliding window, kept up to date as hits enter and leave it.
//!
//! In: hits in time order. Out: whether the correlation's condition is met, and the number it was judged by.
//! Adding and removing cost the same however many hits the window holds, but for percentiles and medians,
//! which keep a sorted list (a binary search and a move of memory).

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nhatle_event::{Seq, Timestamp};
use nhatle_rules::{CorrelationKind, Expression, Threshold};

/// How many rules a temporal correlation may refer to.
pub const REFERRED_MAX: usize = 128;
/// How many alternatives the expression of an ordered correlation may have.
pub const TERMS_MAX: usize = 256;

/// Places of rules in `referred`, as a set.
pub type Places = u128;

/// One event, or one firing of an inner correlation, that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// When.
    pub at: Timestamp,
    /// The event, or the last event of the firing.
    pub seq: Seq,
    /// What it counts for.
    pub weight: Weight,
    /// The events of the firing.
    pub inner: Option<Arc<[Seq]>>,
}

/// See [`Hit::weight`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weight {
    /// One.
    One,
    /// This value, as a hash of 128 bits.
    Value(u128),
    /// This number.
    Number(f64),
    /// These referred rules.
    Places(Places),
}

/// The condition of a correlation, ready to be judged.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Number of hits.
    Count(Threshold),
    /// Number of distinct values.
    Distinct(Threshold),
    /// Number of distinct rules.
    Rules(Threshold),
    /// Length of the longest chain in the order of `referred`; the number is how many are referred.
    OrderedRules(Threshold, usize),
    /// An expression over the rules that occurred.
    Expression(Expression),
    /// One of these chains.
    Terms(Vec<Term>),
    /// Sum.
    Sum(Threshold),
    /// Average.
    Average(Threshold),
    /// Nearest-rank percentile.
    Percentile(Threshold, f64),
    /// Median: of an even number of values the mean of the middle two.
    Median(Threshold),
}

/// A conjunction: these rules one after the other, none of those at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Term {
    required: Places,
    forbidden: Places,
}

impl Condition {
    /// The condition of a kind, or why it cannot be run.
    pub fn new(kind: &CorrelationKind, referred: usize) -> Result<Condition, &'static str> {
        let has_places = matches!(
            kind,
            CorrelationKind::Temporal(_)
                | CorrelationKind::TemporalOrdered(_)
                | CorrelationKind::Extended(_)
                | CorrelationKind::ExtendedOrdered(_)
        );
        if has_places && REFERRED_MAX < referred {
            return Err("a temporal correlation refers to more than 128 rules");
        }
        Ok(match kind {
            CorrelationKind::EventCount(threshold) => Condition::Count(threshold.clone()),
            CorrelationKind::ValueCount(threshold, _) => Condition::Distinct(threshold.clone()),
            CorrelationKind::Temporal(threshold) => Condition::Rules(threshold.clone()),
            CorrelationKind::TemporalOrdered(threshold) => Condition::OrderedRules(threshold.clone(), referred),
            CorrelationKind::Extended(expression) => Condition::Expression(expression.clone()),
            CorrelationKind::ExtendedOrdered(expression) => Condition::Terms(
                terms(expression, false).ok_or("the expression of an ordered correlation has too many alternatives")?,
            ),
            CorrelationKind::ValueSum(threshold, _) => Condition::Sum(threshold.clone()),
            CorrelationKind::ValueAvg(threshold, _) => Condition::Average(threshold.clone()),
            CorrelationKind::ValuePercentile(threshold, _, percent) => {
                Condition::Percentile(threshold.clone(), *percent)
            }
            CorrelationKind::ValueMedian(threshold, _) => Condition::Median(threshold.clone()),
        })
    }
}

/// The disjunctive form of an expression or of its negation; `None` past [`TERMS_MAX`].
fn terms(expression: &Expression, is_negated: bool) -> Option<Vec<Term>> {
    let joined = |parts: &[Expression]| {
        let mut all = Vec::new();
        for part in parts {
            all.extend(terms(part, is_negated)?);
        }
        (all.len() <= TERMS_MAX).then_some(all)
    };
    let crossed = |parts: &[Expression]| {
        let mut all = vec![Term::default()];
        for part in parts {
            let more = terms(part, is_negated)?;
            if TERMS_MAX < all.len().saturating_mul(more.len()) {
                return None;
            }
            let cross = |left: &Term| {
                let join = |right: &Term| Term {
                    required: left.required | right.required,
                    forbidden: left.forbidden | right.forbidden,
                };
                more.iter().map(join).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(cross).collect();
        }
        Some(all)
    };
    match (expression, is_negated) {
        (Expression::Occurred(place), false) => Some(vec![Term { required: bit(*place), forbidden: 0 }]),
        (Expression::Occurred(place), true) => Some(vec![Term { required: 0, forbidden: bit(*place) }]),
        (Expression::Not(part), _) => terms(part, !is_negated),
        (Expression::All(parts), false) | (Expression::Any(parts), true) => crossed(parts),
        (Expression::Any(parts), false) | (Expression::All(parts), true) => joined(parts),
    }
}

/// The set of one place.
pub fn bit(place: usize) -> Places {
    u32::try_from(place).ok().and_then(|place| 1u128.checked_shl(place)).unwrap_or(0)
}

/// The places in a set, highest first.
fn places_down(places: Places) -> impl Iterator<Item = usize> {
    (0..REFERRED_MAX).rev().filter(move |place| places & bit(*place) != 0)
}

/// Whether an expression holds where these rules occurred.
pub fn expression_holds(expression: &Expression, occurred: Places) -> bool {
    match expression {
        Expression::Occurred(place) => occurred & bit(*place) != 0,
        Expression::All(parts) => parts.iter().all(|part| expression_holds(part, occurred)),
        Expression::Any(parts) => parts.iter().any(|part| expression_holds(part, occurred)),
        Expression::Not(part) => !expression_holds(part, occurred),
    }
}

/// The running state of one window.
#[derive(Clone, Debug, Default)]
pub struct Window {
    count: usize,
    values: HashMap<u128, u32, FixedState>,
    /// How often each referred rule occurred.
    rules: Vec<u32>,
    /// For ordered kinds, the latest start of a chain: by term, then by how much of it is there; for
    /// [`Condition::OrderedRules`] by length, then by the last rule.
    chains: Vec<Vec<Option<Timestamp>>>,
    sum: f64,
    removed: usize,
    sorted: Vec<f64>,
}

impl Window {
    /// Takes a hit in, the newest so far.
    pub fn add(&mut self, condition: &Condition, hit: &Hit) {
        self.count += 1;
        match (condition, hit.weight) {
            (_, Weight::Value(value)) => *self.values.entry(value).or_default() += 1,
            (Condition::Percentile(..) | Condition::Median(_), Weight::Number(number)) => {
                let place = self.sorted.partition_point(|known| *known < number);
                self.sorted.insert(place, number);
            }
            (_, Weight::Number(number)) => self.sum += number,
            (_, Weight::Places(places)) => {
                for place in places_down(places) {
                    if self.rules.len() <= place {
                        self.rules.resize(place + 1, 0);
                    }
                    self.rules[place] += 1;
                }
                self.extend_chains(condition, places, hit.at);
            }
            (_, Weight::One) => {}
        }
    }

    /// Lets the oldest hit go; `rest` are those that stay.
    pub fn remove(&mut self, condition: &Condition, hit: &Hit, rest: &VecDeque<Hit>, first: usize) {
        self.count = self.count.saturating_sub(1);
        match (condition, hit.weight) {
            (_, Weight::Value(value)) => {
                if let Some(count) = self.values.get_mut(&value) {
                    *count -= 1;
                    if *count == 0 {
                        self.values.remove(&value);
                    }
                }
            }
            (Condition::Percentile(..) | Condition::Median(_), Weight::Number(number)) => {
                let place = self.sorted.partition_point(|known| *known < number);
                if place < self.sorted.len() {
                    self.sorted.remove(place);
                }
            }
            (_, Weight::Number(number)) => {
                self.sum -= number;
                self.removed += 1;
                // What rounding leaves behind is swept out, at a constant cost for each hit.
                if self.count < self.removed {
                    self.removed = 0;
                    self.sum = rest.iter().skip(first).take(self.count).map(number_of).sum();
                }
            }
            (_, Weight::Places(places)) => {
                for place in places_down(places) {
                    if let Some(count) = self.rules.get_mut(place) {
                        *count = count.saturating_sub(1);
                    }
                }
            }
            (_, Weight::One) => {}
        }
    }

    /// The number the condition was judged by, where it is met. `since` is where the window begins.
    pub fn verdict(&self, condition: &Condition, since: Timestamp) -> Option<f64> {
        let judged = |threshold: &Threshold, value: f64| threshold.holds(value).then_some(value);
        match condition {
            Condition::Count(threshold) => judged(threshold, float(self.count)),
            Condition::Distinct(threshold) => judged(threshold, float(self.values.len())),
            Condition::Rules(threshold) => judged(threshold, f64::from(self.occurred().count_ones())),
            Condition::OrderedRules(threshold, _) => {
                let is_inside = |chain: &&Vec<Option<Timestamp>>| chain.iter().flatten().any(|start| since <= *start);
                judged(threshold, float(self.chains.iter().take_while(is_inside).count()))
            }
            Condition::Expression(expression) => {
                let occurred = self.occurred();
                expression_holds(expression, occurred).then_some(f64::from(occurred.count_ones()))
            }
            Condition::Terms(terms) => {
                let occurred = self.occurred();
                let holds = |(number, term): (usize, &Term)| {
                    let whole = self.chains.get(number).and_then(|chain| chain.last().copied().flatten());
                    let is_there = term.required == 0 || whole.is_some_and(|start| since <= start);
                    occurred & term.forbidden == 0 && is_there
                };
                terms.iter().enumerate().any(holds).then_some(f64::from(occurred.count_ones()))
            }
            Condition::Sum(threshold) => judged(threshold, self.sum),
            Condition::Average(threshold) => judged(threshold, self.sum / float(self.count.max(1))),
            Condition::Percentile(threshold, percent) => judged(threshold, percentile(&self.sorted, *percent)?),
            Condition::Median(threshold) => judged(threshold, median(&self.sorted)?),
        }
    }

    fn occurred(&self) -> Places {
        self.rules.iter().enumerate().filter(|(_, count)| 0 < **count).fold(0, |all, (place, _)| all | bit(place))
    }

    /// Highest place first, so that no event follows itself in a chain.
    fn extend_chains(&mut self, condition: &Condition, places: Places, at: Timestamp) {
        match condition {
            Condition::OrderedRules(_, referred) => {
                self.chains.resize(*referred, Vec::new());
                self.chains.iter_mut().for_each(|chain| chain.resize(*referred, None));
                for place in places_down(places).filter(|place| place < referred) {
                    for length in (1..*referred).rev() {
                        let before = self.chains[length - 1][..place].iter().flatten().max().copied();
                        let known = self.chains[length][place];
                        self.chains[length][place] = known.max(before);
                    }
                    self.chains[0][place] = Some(at);
                }
            }
            Condition::Terms(terms) => {
                self.chains.resize(terms.len(), Vec::new());
                for (term, chain) in terms.iter().zip(&mut self.chains) {
                    let order: Vec<usize> =
                        (0..REFERRED_MAX).filter(|place| term.required & bit(*place) != 0).collect();
                    chain.resize(order.len(), None);
                    for (length, place) in order.iter().enumerate().rev() {
                        if places & bit(*place) != 0 {
                            let before = if length == 0 { Some(at) } else { chain[length - 1] };
                            chain[length] = chain[length].max(before);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

fn number_of(hit: &Hit) -> f64 {
    match hit.weight {
        Weight::Number(number) => number,
        _ => 0.0,
    }
}

/// Nearest rank: the smallest value that at least so many per cent do not exceed.
pub fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = (percent / 100.0 * float(sorted.len())).ceil().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and a length")]
    sorted.get((rank as usize).min(sorted.len()).checked_sub(1)?).copied()
}

/// The middle value, or the mean of the middle two.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(*upper) } else { Some(f64::midpoint(*sorted.get(middle - 1)?, *upper)) }
}

/// A count as a number; counts here are far below 2^53.
pub fn float(count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "bounded far below 2^53")]
    let number = count as f64;
    number
}
