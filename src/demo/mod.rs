//! The demo city: a recorded day of Đồng Hới's city hall, wards and communes, with attacks in it.
//!
//! In: a seed and a date. Out: the day's records, byte for byte as the hosts would send them, sorted by
//! time; the same for the same seed and date. Normal life, the eight stories and their benign twins are
//! all in it. Nothing here reads a clock or the network.
//!
//! People, hosts and addresses are invented; the units are public facts (see `city`).

mod city;
mod dice;
mod life;
mod life_linux;
mod life_windows;
mod story;
mod tape;

use nhatle_event::Timestamp;

pub use city::{CITY_HALL, HOSTS, Host, System, UNITS, Unit, UnitKind, host};
pub use story::{Entity, ExpectedRule, Step, Story, Twin, read, stories};
pub use tape::{DemoRecord, ZONE_S};

use dice::Dice;
use tape::Tape;

/// The organization units, city hall first.
pub fn units() -> &'static [Unit] {
    UNITS
}

/// The hosts.
pub fn hosts() -> &'static [Host] {
    HOSTS
}

/// The day that holds `start` (from midnight to midnight, local time), sorted by time.
pub fn generate(seed: u64, start: Timestamp) -> Vec<DemoRecord> {
    let mut tape = Tape::new(start);
    life::play(seed, &mut tape);
    for story in stories() {
        story.play(&mut Dice::new(seed, &story.key), &mut tape);
    }
    sorted(tape)
}

/// The day without the stories, for comparison: normal life alone.
pub fn generate_life(seed: u64, start: Timestamp) -> Vec<DemoRecord> {
    let mut tape = Tape::new(start);
    life::play(seed, &mut tape);
    sorted(tape)
}

fn sorted(mut tape: Tape) -> Vec<DemoRecord> {
    // A stable sort: what one writer wrote in order stays in order.
    tape.records.sort_by_key(|record| record.at);
    tape.records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        Timestamp::parse("2026-11-23T00:00:00+07:00", 0).expect("a date")
    }

    #[test]
    fn the_same_seed_gives_the_same_day() {
        let (one, two) = (generate(7, start()), generate(7, start()));
        assert_eq!(one, two);
        assert_ne!(one, generate(8, start()));
        assert!((20_000..=60_000).contains(&one.len()), "{}", one.len());
    }

    #[test]
    fn the_day_is_sorted_and_stays_a_day() {
        let day = generate(7, start());
        assert!(day.is_sorted_by_key(|record| record.at));
        assert!(day.iter().all(|record| record.at >= start() && record.at.since(start()) <= 86_400_000_000_000));
    }

    #[test]
    fn every_host_sends_something_and_no_record_has_a_line_break() {
        let day = generate(7, start());
        assert!(HOSTS.iter().all(|host| day.iter().any(|record| record.host == host.name)));
        assert!(day.iter().all(|record| !record.bytes.contains(&b'\n') && !record.bytes.is_empty()));
    }
}
