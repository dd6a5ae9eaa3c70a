//! The tail of silences: which length is exceeded how often.
//!
//! In: silences, measured in records missed, of some months. Out: the length exceeded so many times a month, also where that is
//! rarer than anything seen: the largest of them are fitted with a generalized Pareto distribution (peaks over threshold, method of
//! moments), whose shape is held near the exponential one while little is known. Regular sources have a short tail, so that
//! an alarm comes soon after the usual interval; sources that speak at random an exponential one; bursty ones a longer one.

/// The largest share of silences, and how many of them, that make the tail.
const SHARE: usize = 3;
const COUNT_MAX: usize = 400;
/// Of the shape so much, over the root of their number, is taken for chance.
const SHAPE_CHANCE: f32 = 1.5;
const SHAPE: (f32, f32) = (-0.4, 0.25);
/// With fewer silences than this they only say what the longest was.
const FEW: usize = 8;
/// So small a share of what chance would make shows that it is not chance.
const BEAT_SHARE: f32 = 0.2;

/// Such few silences are regular if they differ by no more than this share of their mean.
const REGULAR_SPREAD: f32 = 0.5;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    /// How many there are in a month beyond the threshold.
    a_month: f32,
    threshold: f32,
    scale: f32,
    shape: f32,
    longest: f32,
    count: usize,
}

impl Tail {
    /// The tail of silences of so many months in which there were so many records. Each silence longer than `remembered_from` is
    /// among `missed`, of shorter ones some may not be; infinite where nothing is known of that.
    pub fn of(mut missed: Vec<f32>, records: f32, months: f32, remembered_from: f32) -> Tail {
        missed.sort_by(|one, other| other.total_cmp(one));
        let (count, longest) = (missed.len(), missed.first().copied().unwrap_or(0.0));
        if count < FEW {
            let shortest = missed.last().copied().unwrap_or(0.0);
            let mean = missed.iter().sum::<f32>() / (count as f32).max(1.0);
            let is_regular =
                2 <= count && longest - shortest <= REGULAR_SPREAD * mean && records <= 2.0 * count as f32 + 4.0;
            let by_chance = records * (-remembered_from).exp();
            if !is_regular && (count + 1) as f32 <= BEAT_SHARE * by_chance {
                // On a beat too quick for its silences to be remembered: far more of them would have been by chance.
                let a_month = (count + 1) as f32 / months;
                return Tail { a_month, threshold: remembered_from, scale: 1.0, shape: 0.0, longest, count };
            }
            // Else silences worth remembering are rare, as where records come at random.
            let (threshold, scale) = if is_regular { (longest, 0.01 * mean) } else { (0.0, 1.0) };
            return Tail { a_month: records / months, threshold, scale, shape: 0.0, longest, count };
        }
        let taken = (count / SHARE).clamp(FEW - 1, COUNT_MAX);
        let threshold = missed[taken];
        let over: Vec<f32> = missed[..taken].iter().map(|missed| missed - threshold).collect();
        let number = taken as f32;
        let mean = (over.iter().sum::<f32>() / number).max(1e-3);
        let variance = (over.iter().map(|over| (over - mean).powi(2)).sum::<f32>() / number).max(1e-8);
        let shown = 0.5 * (1.0 - mean * mean / variance);
        let believed = (shown.abs() - SHAPE_CHANCE / number.sqrt()).max(0.0).copysign(shown);
        let shape = believed.clamp(SHAPE.0, SHAPE.1);
        let scale = mean * (1.0 - shape) * (1.0 + 0.3 / number.sqrt());
        Tail { a_month: number / months, threshold, scale, shape, longest, count }
    }

    /// The length exceeded so many times a month.
    pub fn exceeded(&self, times: f32) -> f32 {
        let ratio = (self.a_month / times.max(1e-3)).max(1.0);
        let over = if self.shape.abs() < 0.01 { ratio.ln() } else { (ratio.powf(self.shape) - 1.0) / self.shape };
        (self.threshold + self.scale * over).max(0.5)
    }

    /// The same for a length that alarms: longer than the longest known, by more where few are known.
    pub fn rare(&self, times: f32) -> f32 {
        let longer = 1.03 + 1.2 / (self.count as f32 + 1.0);
        self.exceeded(times).max(longer * self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Silences at the middles of equal parts of a distribution.
    fn even(count: usize, of: fn(f64) -> f64) -> Vec<f32> {
        (0..count).map(|place| of((place as f64 + 0.5) / count as f64) as f32).collect()
    }

    #[test]
    fn an_alarm_comes_soon_where_silences_are_regular_and_late_where_they_are_not() {
        for (name, of, low, high) in [
            ("every interval as the other", (|share| 1.0 + 0.01 * share) as fn(f64) -> f64, 1.0, 1.1),
            ("half to one and a half", |share| 0.5 + share, 1.5, 1.9),
            ("at random", |share: f64| -(1.0 - share).ln(), 8.0, 12.0),
            ("in bursts", |share: f64| (-2.0 * (1.0 - share).ln()).powf(1.5), 25.0, 120.0),
        ] {
            let tail = Tail::of(even(2_000, of), 2_000.0, 0.5, f32::INFINITY);
            let (usual, limit) = (tail.exceeded(3.0), tail.rare(0.25));
            assert!(low <= limit && limit <= high && usual <= limit && limit <= 2.0 * usual, "{name}: {usual} {limit}");
        }
    }

    #[test]
    fn little_is_taken_for_chance_unless_it_is_regular() {
        let regular = Tail::of(vec![1.0, 1.02, 0.98], 4.0, 0.03, f32::INFINITY);
        assert!(regular.rare(0.25) < 1.6 && 1.0 <= regular.exceeded(3.0), "{regular:?}");
        assert!(4.0 < Tail::of(vec![1.0, 0.2, 2.1], 4.0, 0.03, f32::INFINITY).rare(0.25));
        assert!(10.0 < Tail::of(Vec::new(), 40_000.0, 1.0, 19.0).rare(0.25), "nothing to remember of a busy one");
        let beat = Tail::of(Vec::new(), 5_000.0, 1.0 / 6.0, 2.8);
        assert!(2.8 < beat.exceeded(3.0) && beat.exceeded(3.0) < 4.0, "a beat too quick to be remembered: {beat:?}");
    }
}
