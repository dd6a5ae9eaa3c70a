//! Histograms as SVG coordinates; a template draws them.
//!
//! In: buckets. Out: bars inside a box of fixed size, so that nothing moves when numbers change.
//! Promise: a bucket with anything in it is at least one unit high. Failure: none.

use nhatle_event::Timestamp;

use crate::model::Bucket;

/// The box all histograms are drawn in; CSS scales it.
pub(crate) const WIDTH: u64 = 960;
/// Its height.
pub(crate) const HEIGHT: u64 = 80;

/// One bar.
pub(crate) struct Bar {
    pub x: u64,
    pub y: u64,
    pub width: u64,
    pub height: u64,
    pub start: Timestamp,
    pub end: Timestamp,
    pub count: u64,
}

/// The bars of a histogram, one for each bucket.
pub(crate) fn bars(buckets: &[Bucket]) -> Vec<Bar> {
    bars_to(buckets, buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0))
}

/// The same where a count of `highest` fills the box.
pub(crate) fn bars_to(buckets: &[Bucket], highest: u64) -> Vec<Bar> {
    let highest = highest.max(1);
    let slots = u64::try_from(buckets.len()).unwrap_or(1).max(1);
    (0u64..)
        .zip(buckets)
        .map(|(slot, bucket)| {
            let x = slot * WIDTH / slots;
            let next = (slot + 1) * WIDTH / slots;
            let scaled = u128::from(bucket.count) * u128::from(HEIGHT) / u128::from(highest);
            let height = u64::try_from(scaled).unwrap_or(HEIGHT).max(u64::from(bucket.count != 0)).min(HEIGHT);
            Bar {
                x,
                y: HEIGHT - height,
                width: (next - x).saturating_sub(1).max(1),
                height,
                start: bucket.start,
                end: bucket.end,
                count: bucket.count,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_inside_the_box() {
        for counts in [vec![], vec![0], vec![0, 1, u64::MAX, 3], vec![5; 2000]] {
            let buckets: Vec<_> =
                counts.iter().map(|count| Bucket { start: Timestamp(0), end: Timestamp(1), count: *count }).collect();
            let bars = bars(&buckets);
            assert_eq!(bars.len(), counts.len());
            for bar in &bars {
                assert!(bar.y + bar.height == HEIGHT && bar.x < WIDTH);
                assert_eq!(bar.height == 0, bar.count == 0);
            }
        }
    }
}
