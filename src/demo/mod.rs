//! The demo city: a recorded day of Đồng Hới's city hall, wards and communes, with attacks in it.
//!
//! In: a seed and a date, or a moment. Out: the records of the day, or of the 24 hours before the moment, byte for byte as
//! the hosts would send them, sorted by time; the same for the same seed and date. Normal life, the eight stories and their benign twins are
//! all in it. Nothing here reads a clock or the network.
//!
//! People, hosts and addresses are invented; the units are public facts (see `city`).

mod city;
mod dice;
mod life;
mod life_linux;
mod life_windows;
mod rhythm;
mod story;
mod tape;

use nhatle_event::Timestamp;

pub use city::{CITY_HALL, HOSTS, Host, System, UNITS, Unit, UnitKind, host};
pub use rhythm::learned;
pub use story::{Entity, ExpectedRule, Step, Story, Twin, read, stories};
pub use tape::{DemoRecord, ZONE_S};

use dice::Dice;
use tape::Tape;

/// A day in nanoseconds.
pub const DAY_NS: i64 = 86_400_000_000_000;

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

/// The 24 hours up to `now`, sorted by time: of normal life what lies in them, and each story with its twin whole, on
/// the last day on which it was over by then.
pub fn generate_until(seed: u64, now: Timestamp) -> Vec<DemoRecord> {
    let days = [now.plus_nanos(-DAY_NS), now];
    let mut all = Tape::new(now);
    for day in days {
        let life = generate_life(seed, day).into_iter();
        all.records.extend(life.filter(|record| days[0] < record.at && record.at <= now));
    }
    for story in stories() {
        let told = days.map(|day| {
            let mut tape = Tape::new(day);
            story.play(&mut Dice::new(seed, &story.key), &mut tape);
            tape.records
        });
        let [before, today] = told;
        let is_over = today.iter().all(|record| record.at <= now);
        all.records.extend(if is_over { today } else { before });
    }
    sorted(all)
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
    fn at_every_hour_the_last_day_ends_now_and_tells_every_story_whole() {
        let whole = |seed, now| {
            let of = |story: &Story| {
                let mut tape = Tape::new(now);
                story.play(&mut Dice::new(seed, &story.key), &mut tape);
                tape.records.len()
            };
            stories().iter().map(of).sum::<usize>()
        };
        let today = start().plus_nanos(DAY_NS * 3);
        let days = [today.plus_nanos(-DAY_NS), today].map(|day| generate_life(7, day));
        for hour in [2, 11, 22] {
            let now = today.plus_nanos(hour * DAY_NS / 24 + 1_234_567_890);
            let last = generate_until(7, now);
            assert!(last.is_sorted_by_key(|record| record.at));
            let newest = last.last().map_or(DAY_NS, |record| now.since(record.at));
            assert!((0..DAY_NS / 96).contains(&newest), "hour {hour}: the newest is {newest} ns old");
            assert!(last.iter().all(|record| now.since(record.at) < 2 * DAY_NS));
            // Of two days of life together just one is in it.
            let lived = days.iter().flatten().filter(|one| one.at <= now && now.since(one.at) < DAY_NS).count();
            assert_eq!(last.len(), lived + whole(7, now), "hour {hour}");
        }
    }

    #[test]
    fn every_host_sends_something_and_no_record_has_a_line_break() {
        let day = generate(7, start());
        assert!(HOSTS.iter().all(|host| day.iter().any(|record| record.host == host.name)));
        assert!(day.iter().all(|record| !record.bytes.contains(&b'\n') && !record.bytes.is_empty()));
    }
}
