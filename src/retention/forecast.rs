//! How many days are left: room on the disk over the growth of the last week, as the manifest has it.

use nhatle_event::Timestamp;
use nhatle_storage::segment::meta::SegmentMeta;
use nhatle_storage::{Dataset, Snapshot};

const DAY_NS: i64 = 86_400 * 1_000_000_000;
/// Growth is measured over so many days.
const GROWTH_DAYS: i64 = 7;

/// How a store grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Bytes of all segments.
    pub bytes: u64,
    /// Bytes a day, over the last week or as many days as there are; `None` where there is less than a day.
    pub bytes_per_day: Option<u64>,
    /// Days until the disk is full at that pace, if nothing goes.
    pub days_left: Option<u64>,
}

/// The forecast of a store with these segments and so much room left.
pub fn forecast<'a>(
    segments: impl Iterator<Item = &'a SegmentMeta>,
    free_bytes: Option<u64>,
    now: Timestamp,
) -> Forecast {
    let rows = segments.map(|meta| (meta.committed.map(|[_, last]| Timestamp(last)), meta.bytes()));
    reckon(rows, free_bytes, now)
}

/// The metas of all segments of a snapshot.
pub fn metas(snapshot: &Snapshot) -> impl Iterator<Item = &SegmentMeta> {
    Dataset::ALL.into_iter().flat_map(|dataset| snapshot.segments(dataset)).map(|segment| segment.meta())
}

fn reckon(rows: impl Iterator<Item = (Option<Timestamp>, u64)>, free_bytes: Option<u64>, now: Timestamp) -> Forecast {
    let begin = now.plus_nanos(-GROWTH_DAYS * DAY_NS);
    let (mut bytes, mut grown, mut first) = (0u64, 0u64, now);
    for (stored, size) in rows {
        bytes += size;
        if let Some(stored) = stored.filter(|stored| begin <= *stored && *stored <= now) {
            grown += size;
            first = first.min(stored);
        }
    }
    let span = now.since(first);
    let bytes_per_day = (DAY_NS <= span).then(|| {
        let a_day = u128::from(grown) * u128::from(DAY_NS.unsigned_abs()) / u128::from(span.unsigned_abs());
        u64::try_from(a_day).unwrap_or(u64::MAX)
    });
    let days_left = match (free_bytes, bytes_per_day) {
        (Some(free), Some(a_day)) if 0 < a_day => Some(free / a_day),
        _ => None,
    };
    Forecast { bytes, bytes_per_day, days_left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_left_are_room_over_growth() {
        let day = |day: i64| Timestamp(day * DAY_NS);
        let rows = [(Some(day(1)), 9_000), (Some(day(98)), 100), (Some(day(99)), 100), (None, 50)];
        let told = reckon(rows.into_iter(), Some(1_000), day(100));
        assert_eq!(told, Forecast { bytes: 9_250, bytes_per_day: Some(100), days_left: Some(10) });
        // Less than a day says nothing of a day; nor does an unknown room.
        assert_eq!(reckon([(Some(day(100)), 100)].into_iter(), Some(1), day(100)).days_left, None);
        assert_eq!(reckon(rows.into_iter(), None, day(100)).days_left, None);
        assert_eq!(reckon([].into_iter(), Some(1), day(100)), Forecast::default());
    }
}
