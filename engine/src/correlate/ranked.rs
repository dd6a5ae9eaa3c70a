//! `Ranked`: numbers in order, of which any may be added or taken out and the one at a rank asked for.
//!
//! In: finite numbers. Out: the number at a rank. Numbers stand sorted in buckets of at most
//! [`BUCKET_MAX`], with the greatest of each bucket beside them; adding and removing is a binary search and a
//! move of at most a bucket. A cursor remembers how many numbers stand before the bucket asked last: a
//! window's rank moves by one when a number comes or goes, so asking costs the same whatever the size.

/// How many numbers a bucket holds; 2 KiB are moved in the worst case.
const BUCKET_MAX: usize = 512;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Ranked {
    buckets: Vec<Vec<u64>>,
    /// The greatest number of each bucket.
    greatest: Vec<u64>,
    len: usize,
    cursor: usize,
    /// Numbers in the buckets before the cursor.
    before: usize,
}

impl Ranked {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a number.
    pub fn insert(&mut self, number: f64) {
        let bits = ordered(number);
        self.len += 1;
        if self.buckets.is_empty() {
            self.buckets.push(vec![bits]);
            self.greatest.push(bits);
            return;
        }
        let place = self.greatest.partition_point(|greatest| *greatest < bits).min(self.buckets.len() - 1);
        let bucket = &mut self.buckets[place];
        let at = bucket.partition_point(|known| *known < bits);
        bucket.insert(at, bits);
        self.greatest[place] = self.greatest[place].max(bits);
        self.before += usize::from(place < self.cursor);
        if BUCKET_MAX < bucket.len() {
            let upper = bucket.split_off(BUCKET_MAX / 2);
            self.greatest[place] = bucket.last().copied().unwrap_or_default();
            self.greatest.insert(place + 1, upper.last().copied().unwrap_or_default());
            self.buckets.insert(place + 1, upper);
            self.cursor += usize::from(place < self.cursor);
        }
    }

    /// Takes out one number equal to this, if there is one.
    pub fn remove(&mut self, number: f64) {
        let bits = ordered(number);
        let place = self.greatest.partition_point(|greatest| *greatest < bits);
        let Some(bucket) = self.buckets.get_mut(place) else { return };
        let at = bucket.partition_point(|known| *known < bits);
        if bucket.get(at) != Some(&bits) {
            return;
        }
        bucket.remove(at);
        self.len -= 1;
        self.before -= usize::from(place < self.cursor);
        match bucket.last() {
            Some(greatest) => self.greatest[place] = *greatest,
            None => self.drop_bucket(place),
        }
        self.join(place);
    }

    /// The number at a rank, 0 the smallest.
    pub fn nth(&mut self, rank: usize) -> Option<f64> {
        if self.len <= rank {
            return None;
        }
        while rank < self.before {
            self.cursor -= 1;
            self.before -= self.buckets[self.cursor].len();
        }
        while self.before + self.buckets[self.cursor].len() <= rank {
            self.before += self.buckets[self.cursor].len();
            self.cursor += 1;
        }
        self.buckets[self.cursor].get(rank - self.before).copied().map(number_of)
    }

    fn drop_bucket(&mut self, place: usize) {
        self.buckets.remove(place);
        self.greatest.remove(place);
        if place < self.cursor {
            self.cursor -= 1;
        } else if self.cursor == self.buckets.len() {
            self.cursor = 0;
            self.before = 0;
        }
    }

    /// Two neighbors that together fill less than half a bucket become one.
    fn join(&mut self, place: usize) {
        let is_small = |pair: &[Vec<u64>]| pair[0].len() + pair[1].len() < BUCKET_MAX / 2;
        if !self.buckets.get(place..place + 2).is_some_and(is_small) {
            return;
        }
        if self.cursor == place + 1 {
            self.before -= self.buckets[place].len();
        }
        self.cursor -= usize::from(place < self.cursor);
        let upper = self.buckets.remove(place + 1);
        self.greatest.remove(place);
        self.buckets[place].extend(upper);
    }
}

const SIGN: u64 = 1 << 63;

/// Bits that compare as the numbers do.
fn ordered(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn number_of(bits: u64) -> f64 {
    f64::from_bits(if bits & SIGN == 0 { !bits } else { bits & !SIGN })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranks_are_those_of_a_sorted_list(
            steps in proptest::collection::vec((any::<bool>(), -40i32..40, 0usize..5000), 1..400),
            bulk in 0u32..4000,
        ) {
            let (mut ranked, mut list) = (Ranked::default(), Vec::new());
            let add = |ranked: &mut Ranked, number: f64, list: &mut Vec<f64>| {
                ranked.insert(number);
                let at = list.partition_point(|known| *known < number);
                list.insert(at, number);
            };
            for number in 0..bulk {
                add(&mut ranked, f64::from(number.wrapping_mul(2_654_435_761) % 997) / 7.0, &mut list);
            }
            for (is_new, number, rank) in steps {
                if is_new {
                    add(&mut ranked, f64::from(number) / 3.0, &mut list);
                } else if !list.is_empty() {
                    // Many at once, so that buckets run empty and are joined.
                    for _ in 0..40.min(list.len()) {
                        let gone = list.remove(rank % list.len());
                        ranked.remove(gone);
                    }
                    ranked.remove(1e9);
                }
                prop_assert_eq!(ranked.len(), list.len());
                prop_assert_eq!(ranked.nth(rank), list.get(rank).copied());
                let middle = list.len() / 2;
                prop_assert_eq!(ranked.nth(middle), list.get(middle).copied());
            }
        }
    }
}
