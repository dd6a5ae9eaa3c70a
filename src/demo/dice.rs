//! `Dice`: the demo's own small random numbers. In: a seed. Out: the same numbers for the same seed on
//! every machine and in every version of the toolchain, which is why no library is asked for them.
//!
//! Source: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). Not
//! for secrets.

/// A stream of numbers that depends on nothing but its seed.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// A stream for `seed`; `purpose` keeps the streams of different writers apart, so that a change in
    /// one of them leaves the others as they were.
    pub fn new(seed: u64, purpose: &str) -> Dice {
        let state = purpose.bytes().fold(seed ^ 0x6e68_6174_6c65, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
        });
        Dice { state }
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` up to and without `high`; `low` where that is no range.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        match high.checked_sub(low) {
            None | Some(0) => low,
            Some(width) => low + self.next() % width,
        }
    }

    /// True in `percent` of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.range(0, 100) < percent
    }

    /// One of `choices`, all equally likely; the slice must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let place = self.range(0, choices.len() as u64);
        &choices[usize::try_from(place).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let draw = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            (0..4).map(|_| dice.range(0, 1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, "web"), draw(1, "web"));
        assert_ne!(draw(1, "web"), draw(1, "mail"));
        assert_ne!(draw(1, "web"), draw(2, "web"));
        assert_eq!(Dice::new(1, "x").range(5, 5), 5);
    }
}
