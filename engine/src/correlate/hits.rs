//! `Hits`: the hits of one group in order, each in as few bytes as the hits of its group need.
//!
//! In: hits, the newest at the back, the oldest out at the front. Most correlations count hits that weigh nothing
//! but themselves (16 bytes), or a number or a few rules (24); only counted values need the whole weight (32). A
//! group begins narrow and is made wider, once, by the first hit that needs it. Many groups of few hits are bound
//! by memory: what is not there need not be fetched.

use std::collections::VecDeque;

use super::group::{Hit, Moment};
use super::window::Weight;

/// See the module.
#[derive(Clone, Debug)]
pub enum Hits {
    /// All weigh nothing.
    Bare(VecDeque<Moment>),
    /// All weights fit into 64 bits.
    Narrow(VecDeque<(i64, u64, u64)>),
    /// Any.
    Wide(VecDeque<(i64, u64, [u64; 2])>),
}

impl Default for Hits {
    fn default() -> Hits {
        Hits::Bare(VecDeque::new())
    }
}

impl Hits {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Hits::Bare(hits) => hits.len(),
            Hits::Narrow(hits) => hits.len(),
            Hits::Wide(hits) => hits.len(),
        }
    }

    /// The one at this place, the oldest at 0.
    pub fn get(&self, place: usize) -> Option<Hit> {
        match self {
            Hits::Bare(hits) => hits.get(place).map(|(at, seq)| Hit { at: *at, seq: *seq, weight: 0 }),
            Hits::Narrow(hits) => {
                hits.get(place).map(|(at, seq, weight)| Hit { at: *at, seq: *seq, weight: Weight::from(*weight) })
            }
            Hits::Wide(hits) => {
                hits.get(place).map(|(at, seq, weight)| Hit { at: *at, seq: *seq, weight: whole(*weight) })
            }
        }
    }

    /// The oldest.
    pub fn front(&self) -> Option<Hit> {
        self.get(0)
    }

    /// The newest.
    pub fn back(&self) -> Option<Hit> {
        self.get(self.len().checked_sub(1)?)
    }

    /// Adds the newest.
    pub fn push_back(&mut self, hit: Hit) {
        let halves = halves(hit.weight);
        match self {
            Hits::Bare(hits) if hit.weight == 0 => hits.push_back(hit.moment()),
            Hits::Narrow(hits) if halves[1] == 0 => hits.push_back((hit.at, hit.seq, halves[0])),
            Hits::Wide(hits) => hits.push_back((hit.at, hit.seq, halves)),
            _ => {
                *self = self.widened(halves[1] != 0);
                self.push_back(hit);
            }
        }
    }

    /// Takes the oldest out.
    pub fn pop_front(&mut self) {
        match self {
            Hits::Bare(hits) => drop(hits.pop_front()),
            Hits::Narrow(hits) => drop(hits.pop_front()),
            Hits::Wide(hits) => drop(hits.pop_front()),
        }
    }

    /// Takes out those from this place on.
    pub fn split_off(&mut self, place: usize) -> Vec<Hit> {
        let tail = (place..self.len()).filter_map(|place| self.get(place)).collect();
        match self {
            Hits::Bare(hits) => hits.truncate(place),
            Hits::Narrow(hits) => hits.truncate(place),
            Hits::Wide(hits) => hits.truncate(place),
        }
        tail
    }

    /// The oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Hit> + DoubleEndedIterator {
        (0..self.len()).map(|place| self.get(place).expect("places below the length are there"))
    }

    /// The place of the first hit for which this does not hold; it holds for none after it.
    pub fn partition_point(&self, holds: impl Fn(&Hit) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).is_some_and(|hit| holds(&hit)) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    fn widened(&self, is_wide: bool) -> Hits {
        match is_wide {
            true => Hits::Wide(self.iter().map(|hit| (hit.at, hit.seq, halves(hit.weight))).collect()),
            false => Hits::Narrow(self.iter().map(|hit| (hit.at, hit.seq, halves(hit.weight)[0])).collect()),
        }
    }
}

impl FromIterator<Hit> for Hits {
    fn from_iter<I: IntoIterator<Item = Hit>>(all: I) -> Hits {
        let mut hits = Hits::default();
        all.into_iter().for_each(|hit| hits.push_back(hit));
        hits
    }
}

/// The lower and the upper half: an integer of 128 bits in a tuple would make every hit 16 bytes longer by alignment.
fn halves(weight: Weight) -> [u64; 2] {
    let half = |weight: Weight| u64::try_from(weight & Weight::from(u64::MAX)).unwrap_or(0);
    [half(weight), half(weight >> 64)]
}

fn whole([lower, upper]: [u64; 2]) -> Weight {
    Weight::from(upper) << 64 | Weight::from(lower)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hits_are_those_of_a_plain_list(
            steps in proptest::collection::vec((0..8u8, any::<u8>()), 0..60),
        ) {
            let (mut hits, mut plain): (Hits, VecDeque<Hit>) = Default::default();
            for (number, (step, weight)) in (0u64..).zip(steps) {
                let weight = Weight::from(weight);
                match step {
                    0 => {
                        hits.pop_front();
                        plain.pop_front();
                    }
                    1 => {
                        let place = plain.len() / 2;
                        prop_assert_eq!(hits.split_off(place), Vec::from(plain.split_off(place)));
                    }
                    _ => {
                        let weight = [0, 0, weight, weight, weight << 64, weight << 120 | 1][usize::from(step - 2)];
                        let hit = Hit { at: number.cast_signed() / 3, seq: number, weight };
                        hits.push_back(hit);
                        plain.push_back(hit);
                    }
                }
                prop_assert_eq!(hits.iter().collect::<VecDeque<_>>(), plain.clone());
                prop_assert_eq!((hits.len(), hits.front(), hits.back()), (plain.len(), plain.front().copied(), plain.back().copied()));
                let at = number.cast_signed() / 5;
                prop_assert_eq!(hits.partition_point(|hit| hit.at < at), plain.partition_point(|hit| hit.at < at));
            }
        }
    }
}
