//! `ExactSum`: a sum of floating-point numbers without rounding until it is asked for.
//!
//! In: finite numbers, added and taken out in any order. Out: the sum of what is in, rounded once. So a
//! window's sum depends on what is in it and not on the order it came in, and a huge number that left leaves
//! nothing behind. Whole numbers, nearly all there are, are counted in one integer; for the others the sum is
//! a fixed-point number wide enough for every `f64`, held only while one of them is in.

/// 32 bits each, from 2^-1074 up; the highest take the carries.
const LIMBS: usize = 70;
/// The limb and the bit in it that count one: 1074 = 33 * 32 + 18.
const ONE: (usize, u32) = (33, 18);
/// Whole numbers below this are exact as integers.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct ExactSum {
    whole: i128,
    rest: Option<Box<Rest>>,
}

#[derive(Clone, Debug)]
struct Rest {
    /// Not carried: each holds the sum of what numbers put there, far from what an `i64` can hold.
    limbs: [i64; LIMBS],
    count: u32,
}

impl ExactSum {
    /// Adds a number.
    pub fn add(&mut self, number: f64) {
        match whole(number) {
            Some(whole) => self.whole += i128::from(whole),
            None => {
                let rest = self.rest.get_or_insert_with(|| Box::new(Rest { limbs: [0; LIMBS], count: 0 }));
                rest.count += 1;
                rest.put(number, 1);
            }
        }
    }

    /// Takes out a number that was added.
    pub fn remove(&mut self, number: f64) {
        if let Some(whole) = whole(number) {
            self.whole -= i128::from(whole);
        } else if let Some(rest) = &mut self.rest {
            rest.put(number, -1);
            rest.count = rest.count.saturating_sub(1);
            if rest.count == 0 {
                self.rest = None;
            }
        }
    }

    /// The sum, rounded to the nearest number.
    pub fn value(&self) -> f64 {
        match &self.rest {
            #[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
            None => self.whole as f64,
            Some(rest) => {
                let mut limbs = rest.limbs;
                let sign = if self.whole < 0 { -1 } else { 1 };
                let mut left = self.whole.unsigned_abs();
                for limb in limbs.iter_mut().skip(ONE.0).take(4) {
                    *limb += sign * (low_32(left) << ONE.1);
                    left >>= 32;
                }
                rounded(limbs)
            }
        }
    }
}

impl Rest {
    fn put(&mut self, number: f64, sign: i64) {
        let bits = number.to_bits();
        let exponent = usize::try_from(bits >> 52 & 0x7ff).unwrap_or(0);
        let fraction = u128::from(bits & ((1 << 52) - 1));
        // Subnormal numbers have no hidden bit and the exponent of the smallest normal ones.
        let (mantissa, place) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        let sign = if number.is_sign_negative() { -sign } else { sign };
        let mut left = mantissa << (place % 32);
        for limb in self.limbs.iter_mut().skip(place / 32).take(3) {
            *limb += sign * low_32(left);
            left >>= 32;
        }
    }
}

/// The lowest 32 bits, as a number from 0.
fn low_32(number: u128) -> i64 {
    i64::try_from(number & 0xffff_ffff).unwrap_or(0)
}

fn whole(number: f64) -> Option<i64> {
    let is_whole = number.abs() < WHOLE_MAX && number.fract() == 0.0;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
    is_whole.then_some(number as i64)
}

/// Rounds to nearest, ties to even.
fn rounded(mut limbs: [i64; LIMBS]) -> f64 {
    let carry = |limbs: &mut [i64; LIMBS]| {
        let mut carry = 0i64;
        for limb in limbs.iter_mut() {
            let sum = *limb + carry;
            *limb = sum & 0xffff_ffff;
            carry = sum >> 32;
        }
        carry
    };
    // What is left over is 0, or -1 for a negative sum.
    let is_negative = carry(&mut limbs) < 0;
    if is_negative {
        for limb in &mut limbs {
            *limb = 0xffff_ffff - *limb;
        }
        limbs[0] += 1;
        carry(&mut limbs);
    }
    let Some(top) = limbs.iter().rposition(|limb| *limb != 0) else { return 0.0 };
    let low = top.saturating_sub(2);
    let bits = limbs[low..=top].iter().rev().fold(0u128, |bits, limb| bits << 32 | u128::from(limb.unsigned_abs()));
    // The highest limb is not zero, so the lowest bit lies far below the last one kept: it says only that
    // there is more.
    let is_more = limbs[..low].iter().any(|limb| *limb != 0);
    #[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
    let number = (bits | u128::from(is_more)) as f64;
    let mut scale = i32::try_from(low * 32).unwrap_or(0) - 1074;
    let mut scaled = number;
    // In steps that keep every intermediate result normal until the last one.
    while scale != 0 {
        let step = scale.clamp(-500, 500);
        scaled *= 2f64.powi(step);
        scale -= step;
    }
    if is_negative { -scaled } else { scaled }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(numbers: &[f64], expected: f64) {
        let mut sum = ExactSum::default();
        numbers.iter().for_each(|number| sum.add(*number));
        assert_eq!(sum.value().to_bits(), expected.to_bits(), "{numbers:?}: {}", sum.value());
    }

    #[test]
    fn sums_are_rounded_once() {
        check(&[], 0.0);
        check(&[0.1; 10], 1.0);
        check(&[1e300, 1.5, -1e300], 1.5);
        check(&[1e300, 0.1, -1e300], 0.1);
        check(&[-0.5, -0.25], -0.75);
        check(&[f64::MAX, f64::MAX, -f64::MAX], f64::MAX);
        check(&[f64::MAX, f64::MAX], f64::INFINITY);
        check(&[5e-324, 5e-324], 1e-323);
        check(&[9_007_199_254_740_993.0, 0.5, -3.0], 9_007_199_254_740_989.5);
        check(&[-7.0, 0.5], -6.5);
    }

    proptest! {
        #[test]
        fn the_order_does_not_count_and_what_left_leaves_nothing(
            thousandths in proptest::collection::vec(-1_000_000i64..1_000_000, 0..30),
            gone in proptest::collection::vec(any::<f64>().prop_filter("finite", |number| number.is_finite()), 0..10),
        ) {
            // Multiples of 2^-10 add up exactly in an integer.
            let numbers: Vec<f64> = thousandths.iter().map(|number| *number as f64 / 1024.0).collect();
            let expected = thousandths.iter().sum::<i64>() as f64 / 1024.0;
            let mut sum = ExactSum::default();
            gone.iter().for_each(|number| sum.add(*number));
            numbers.iter().for_each(|number| sum.add(*number));
            gone.iter().for_each(|number| sum.remove(*number));
            prop_assert_eq!(sum.value(), expected);
            let mut sum = ExactSum::default();
            numbers.iter().rev().for_each(|number| sum.add(*number));
            prop_assert_eq!(sum.value(), expected);
        }
    }
}
