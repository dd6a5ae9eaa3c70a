//! When a correlation fires: its condition, ready to be judged.
//!
//! In: the kind of a correlation. Out: a [`Condition`], or why it cannot be run. What is known of the hits
//! in a window, and whether it meets the condition, is in [`super::window`].

use nhatle_rules::predicate::Comparison;
use nhatle_rules::{CorrelationKind, Expression, Threshold};

/// How many rules a temporal correlation may refer to.
pub const REFERRED_MAX: usize = 128;
/// How many alternatives the expression of an ordered correlation may have.
pub const TERMS_MAX: usize = 256;

/// Places of rules in `referred`, as a set.
pub type Places = u128;

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
    /// Rules that must follow each other.
    pub required: Places,
    /// Rules that must not have occurred.
    pub forbidden: Places,
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

    /// Whether more hits can only make it hold: then a window of which some hits are missing fires late or
    /// not at all, never wrongly.
    pub fn is_monotone(&self) -> bool {
        let rises = |threshold: &Threshold| {
            threshold.0.iter().all(|(sign, _)| matches!(sign, Comparison::Greater | Comparison::GreaterOrEqual))
        };
        match self {
            Condition::Count(threshold)
            | Condition::Distinct(threshold)
            | Condition::Rules(threshold)
            | Condition::OrderedRules(threshold, _) => rises(threshold),
            Condition::Expression(expression) => has_no_not(expression),
            Condition::Terms(terms) => terms.iter().all(|term| term.forbidden == 0),
            Condition::Sum(_) | Condition::Average(_) | Condition::Percentile(..) | Condition::Median(_) => false,
        }
    }

    /// With fewer hits than this in the window it cannot hold.
    pub fn hits_least(&self) -> usize {
        let (Condition::Count(threshold) | Condition::Distinct(threshold)) = self else { return 0 };
        let least = threshold.0.iter().map(|(sign, limit)| match sign {
            Comparison::Greater | Comparison::GreaterOrEqual | Comparison::Equal => *limit,
            _ => 0.0,
        });
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a large number saturates")]
        let least = least.fold(0.0, f64::max).ceil() as usize;
        least
    }

    /// How many hits a window must hold to meet a condition on their number.
    pub fn hits_needed(&self) -> usize {
        let (Condition::Count(threshold) | Condition::Distinct(threshold)) = self else { return 0 };
        let largest = threshold.0.iter().map(|(_, limit)| *limit).fold(0.0, f64::max);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a large number saturates")]
        let needed = largest.ceil() as usize;
        needed.saturating_add(1)
    }
}

fn has_no_not(expression: &Expression) -> bool {
    match expression {
        Expression::Occurred(_) => true,
        Expression::All(parts) | Expression::Any(parts) => parts.iter().all(has_no_not),
        Expression::Not(_) => false,
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
pub fn places_down(mut places: Places) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = places.checked_ilog2()? as usize;
        places &= !bit(place);
        Some(place)
    })
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
