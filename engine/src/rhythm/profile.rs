//! How many records a source sends at each hour of the week.
//!
//! In: for each hour that is over, how many records came. Out: for an hour of the week, how many are usual. An hour of the
//! week is seen once a week, so its own few visits are pooled with those of the same hour on other days of its kind (working day or
//! not), which weigh less. Old weeks fade. Bounded: 168 slots of some bytes.

use serde::{Deserialize, Serialize};

use super::calendar::LocalHour;

/// Older visits fade once there are so many.
const VISITS_MAX: f32 = 8.0;
/// What a visit on another day of the same kind weighs.
const SIBLING_WEIGHT: f32 = 0.35;
/// So much must be known of an hour before anything is called unusual.
const WEIGHT_MIN: f32 = 2.0;
/// How an old extreme fades with each visit.
const FADE: f32 = 0.96;

/// One hour of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    visits: f32,
    /// Of ln(1 + records): mean and mean square.
    log_count: f32,
    log_count_square: f32,
    count_most: f32,
    count_least: f32,
}

/// What is usual at an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// How much is known.
    pub weight: f32,
    /// Mean and standard deviation of ln(1 + records).
    pub log_count: (f32, f32),
    /// The fewest and the most records there were.
    pub count: (f32, f32),
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    slots: Vec<Slot>,
    /// The most records in any hour.
    count_most: f32,
}

impl Profile {
    /// Learns an hour with so many records.
    pub fn learn(&mut self, hour: LocalHour, count: u64) {
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); 7 * 24];
        }
        let count = count as f32;
        self.count_most = count.max(self.count_most * 0.9995);
        let slot = &mut self.slots[hour.place()];
        let is_first = slot.visits == 0.0;
        slot.visits = (slot.visits + 1.0).min(VISITS_MAX);
        let share = 1.0 / slot.visits;
        let blend = |held: &mut f32, value: f32| *held += (value - *held) * share;
        let log_count = count.ln_1p();
        blend(&mut slot.log_count, log_count);
        blend(&mut slot.log_count_square, log_count.powi(2));
        slot.count_most = count.max(slot.count_most * FADE);
        slot.count_least = if is_first { count } else { count.min(slot.count_least / FADE) };
    }

    /// The most records there were in any hour.
    pub fn count_most(&self) -> f32 {
        self.count_most
    }

    /// What is usual at an hour, with what its siblings say; `None` where too little is known.
    pub fn usual(&self, hour: LocalHour) -> Option<Usual> {
        let is_rest = |weekday: usize| 5 <= weekday;
        let (mut weight, mut sum, mut square, mut least, mut most) = (0.0f32, 0.0f32, 0.0f32, f32::MAX, 0.0f32);
        for sibling in (0..7).filter(|sibling| is_rest(*sibling) == is_rest(hour.weekday)) {
            let Some(slot) = self.slots.get(sibling * 24 + hour.hour).filter(|slot| 0.0 < slot.visits) else {
                continue;
            };
            let weighs = slot.visits * if sibling == hour.weekday { 1.0 } else { SIBLING_WEIGHT };
            weight += weighs;
            sum += weighs * slot.log_count;
            square += weighs * slot.log_count_square;
            most = most.max(slot.count_most);
            least = least.min(slot.count_least);
        }
        if weight < WEIGHT_MIN {
            return None;
        }
        let mean = sum / weight;
        // A few visits say little of how they spread.
        let unsure = 1.0 + 1.5 / weight;
        let deviation = (square / weight - mean.powi(2)).max(0.0).sqrt() * unsure;
        Some(Usual { weight, log_count: (mean, deviation), count: (least, most) })
    }
}
