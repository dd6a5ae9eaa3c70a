//! What is known of the hits in one sliding window, kept up to date as hits enter and leave it.
//!
//! In: hits in time order. Out: whether the correlation's condition is met, and the number it was judged by.
//! Adding, removing and judging cost the same however many hits or distinct values the window holds.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use nhatle_rules::Threshold;

use super::condition::{Condition, Places, Term, bit, expression_holds, places_down};
use super::ranked::Ranked;
use super::sum::ExactSum;

/// Up to so many distinct values stand in a list.
const FEW_VALUES: usize = 8;

/// What a hit counts for, by the kind of correlation: nothing more than itself, a number (its bits), a value (its
/// hash), or referred rules (as [`Places`]).
pub type Weight = u128;

/// The weight of a number.
pub fn weight_of(number: f64) -> Weight {
    Weight::from(number.to_bits())
}

/// The number of a weight.
pub fn number_of(weight: Weight) -> f64 {
    f64::from_bits(u64::try_from(weight & u128::from(u64::MAX)).unwrap_or(0))
}

/// The running state of one window.
#[derive(Clone, Debug)]
pub enum Window {
    /// Only how many there are.
    Count,
    /// Distinct values with how often each is there.
    Few(Vec<(u128, u32)>),
    /// The same, for many.
    Many(Box<HashMap<u128, u32, FixedState>>),
    /// Referred rules.
    Rules(Box<Rules>),
    /// For sums and averages.
    Sum(Box<ExactSum>),
    /// For percentiles and medians.
    Ranked(Box<Ranked>),
}

/// How often each referred rule occurred, and how chains of them stand.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    counts: Vec<u32>,
    occurred: Places,
    /// For ordered kinds, the latest start of a chain: by term, then by how much of it is there; for
    /// [`Condition::OrderedRules`] by length, then by the last rule.
    chains: Vec<Vec<Option<i64>>>,
}

impl Window {
    /// An empty window.
    pub fn new(condition: &Condition) -> Window {
        match condition {
            Condition::Count(_) => Window::Count,
            Condition::Distinct(_) => Window::Few(Vec::new()),
            Condition::Rules(_) | Condition::OrderedRules(..) | Condition::Expression(_) | Condition::Terms(_) => {
                Window::Rules(Box::default())
            }
            Condition::Sum(_) | Condition::Average(_) => Window::Sum(Box::default()),
            Condition::Percentile(..) | Condition::Median(_) => Window::Ranked(Box::default()),
        }
    }

    /// Takes a hit in, the newest so far.
    pub fn add(&mut self, condition: &Condition, at: i64, weight: Weight) {
        match self {
            Window::Count => {}
            Window::Few(values) => match values.iter_mut().find(|(known, _)| *known == weight) {
                Some((_, count)) => *count += 1,
                None => {
                    values.push((weight, 1));
                    if FEW_VALUES < values.len() {
                        *self = Window::Many(Box::new(values.drain(..).collect()));
                    }
                }
            },
            Window::Many(values) => *values.entry(weight).or_default() += 1,
            Window::Rules(rules) => rules.add(condition, at, weight),
            Window::Sum(sum) => sum.add(number_of(weight)),
            Window::Ranked(ranked) => ranked.insert(number_of(weight)),
        }
    }

    /// Lets the oldest hit go.
    pub fn remove(&mut self, weight: Weight) {
        match self {
            Window::Count => {}
            Window::Few(values) => {
                if let Some(place) = values.iter().position(|(known, _)| *known == weight) {
                    values[place].1 -= 1;
                    if values[place].1 == 0 {
                        values.swap_remove(place);
                    }
                }
            }
            Window::Many(values) => {
                let count = values.get_mut(&weight).map_or(0, |count| {
                    *count -= 1;
                    *count
                });
                if count == 0 {
                    values.remove(&weight);
                }
                if values.is_empty() {
                    *self = Window::Few(Vec::new());
                }
            }
            Window::Rules(rules) => rules.remove(weight),
            Window::Sum(sum) => sum.remove(number_of(weight)),
            Window::Ranked(ranked) => ranked.remove(number_of(weight)),
        }
    }

    /// The number the condition was judged by, where it is met. `since` is where the window begins, `count` how
    /// many hits are in it.
    pub fn verdict(&mut self, condition: &Condition, since: i64, count: usize) -> Option<f64> {
        let judged = |threshold: &Threshold, value: f64| threshold.holds(value).then_some(value);
        match (condition, self) {
            (Condition::Count(threshold), _) => judged(threshold, float(count)),
            (Condition::Distinct(threshold), Window::Few(values)) => judged(threshold, float(values.len())),
            (Condition::Distinct(threshold), Window::Many(values)) => judged(threshold, float(values.len())),
            (Condition::Sum(threshold), Window::Sum(sum)) => judged(threshold, sum.value()),
            (Condition::Average(threshold), Window::Sum(sum)) => judged(threshold, sum.value() / float(count.max(1))),
            (Condition::Percentile(threshold, percent), Window::Ranked(ranked)) => {
                let rank = nearest_rank(*percent, ranked.len());
                judged(threshold, ranked.nth(rank)?)
            }
            (Condition::Median(threshold), Window::Ranked(ranked)) => {
                let middle = ranked.len() / 2;
                let upper = ranked.nth(middle)?;
                let is_odd = ranked.len() % 2 == 1;
                judged(threshold, if is_odd { upper } else { f64::midpoint(ranked.nth(middle - 1)?, upper) })
            }
            (condition, Window::Rules(rules)) => rules.verdict(condition, since),
            _ => None,
        }
    }
}

impl Rules {
    fn add(&mut self, condition: &Condition, at: i64, places: Places) {
        for place in places_down(places) {
            if self.counts.len() <= place {
                self.counts.resize(place + 1, 0);
            }
            self.counts[place] += 1;
        }
        self.occurred |= places;
        self.extend_chains(condition, places, at);
    }

    fn remove(&mut self, places: Places) {
        for place in places_down(places) {
            if let Some(count) = self.counts.get_mut(place) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.occurred &= !bit(place);
                }
            }
        }
    }

    fn verdict(&self, condition: &Condition, since: i64) -> Option<f64> {
        let occurred = f64::from(self.occurred.count_ones());
        match condition {
            Condition::Rules(threshold) => threshold.holds(occurred).then_some(occurred),
            Condition::OrderedRules(threshold, _) => {
                let is_inside = |chain: &&Vec<Option<i64>>| chain.iter().flatten().any(|start| since <= *start);
                let length = float(self.chains.iter().take_while(is_inside).count());
                threshold.holds(length).then_some(length)
            }
            Condition::Expression(expression) => expression_holds(expression, self.occurred).then_some(occurred),
            Condition::Terms(terms) => {
                let holds = |(number, term): (usize, &Term)| {
                    let whole = self.chains.get(number).and_then(|chain| chain.last().copied().flatten());
                    let is_there = term.required == 0 || whole.is_some_and(|start| since <= start);
                    self.occurred & term.forbidden == 0 && is_there
                };
                terms.iter().enumerate().any(holds).then_some(occurred)
            }
            _ => None,
        }
    }

    /// Highest place first, so that no event follows itself in a chain.
    fn extend_chains(&mut self, condition: &Condition, places: Places, at: i64) {
        match condition {
            Condition::OrderedRules(_, referred) => {
                if self.chains.is_empty() {
                    self.chains = vec![vec![None; *referred]; *referred];
                }
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
                    let length = term.required.count_ones() as usize;
                    chain.resize(length, None);
                    for place in places_down(term.required & places) {
                        let before_it = (term.required & (bit(place) - 1)).count_ones() as usize;
                        let start = if before_it == 0 { Some(at) } else { chain[before_it - 1] };
                        chain[before_it] = chain[before_it].max(start);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The place, from 0, of the smallest value that at least so many per cent do not exceed.
pub fn nearest_rank(percent: f64, count: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and a count")]
    let rank = (percent * float(count) / 100.0).ceil().max(1.0) as usize;
    rank.min(count).saturating_sub(1)
}

/// A count as a number; counts here are far below 2^53.
pub fn float(count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "bounded far below 2^53")]
    let number = count as f64;
    number
}
