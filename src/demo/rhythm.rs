//! What a sentinel knows that has watched the demo city for some weeks: its sources are judged by their own rhythm, not as
//! strangers, at whatever hour the demo is started.
//!
//! In: a seed, a moment, the names that sources have in the receipt book. Out: the sentinel as it would be at that moment. Every
//! day of normal life is the same, so one is made and lived again and again. Nothing here reads a clock.

use std::collections::BTreeMap;

use nhatle_engine::rhythm::{Beat, Calendar, Sentinel};
use nhatle_event::Timestamp;

use super::{DAY_NS, DemoRecord, generate_life};

/// So many days were watched: the sentinel trusts what it saw on several.
const DAYS: i64 = 21;
/// Time passes in steps of this length, as long as a pause that a sentinel overlooks.
const STEP_NS: i64 = 120_000_000_000;

/// The sentinel at `now`. `name_of`: what the receipt book calls the host that sent a record.
pub fn learned(
    seed: u64,
    now: Timestamp,
    calendar: Calendar,
    name_of: impl Fn(&DemoRecord) -> Option<String>,
) -> Sentinel {
    let mut sentinel = Sentinel::new(calendar);
    let day = generate_life(seed, now);
    let Some(midnight) = day.first().map(|first| super::Tape::new(first.at).midnight) else { return sentinel };
    let mut names: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for record in &day {
        names.entry(record.host).or_insert_with(|| name_of(record));
    }
    let mut at = midnight.plus_nanos(-DAYS * DAY_NS);
    for past in (0..=DAYS).rev() {
        let mut rest = day.iter().map(|record| (record, record.at.plus_nanos(-past * DAY_NS))).peekable();
        let end = midnight.plus_nanos((1 - past) * DAY_NS).min(now);
        while at < end {
            at = at.plus_nanos(STEP_NS).min(end);
            let mut heard: BTreeMap<&str, (&DemoRecord, u64, Timestamp)> = BTreeMap::new();
            while let Some((record, sent)) = rest.next_if(|(_, sent)| *sent <= at) {
                let (_, count, last) = heard.entry(record.host).or_insert((record, 0, sent));
                (*count, *last) = (*count + 1, sent);
            }
            for (host, (record, count, last)) in heard {
                let Some(Some(source)) = names.get(host) else { continue };
                let addresses = [record.ip.to_owned()];
                let unit = Some(record.unit);
                sentinel.see(&Beat { source, unit, count, last, offsets_ms: &[], addresses: &addresses });
            }
            sentinel.pass_over(at);
        }
    }
    sentinel.begin(now);
    sentinel
}

#[cfg(test)]
mod tests {
    use nhatle_engine::rhythm::{Kind, Rhythm};

    use super::*;

    const SEED: u64 = 20_210_715;

    fn calendar() -> Calendar {
        Calendar::parse("", 7 * 3600).expect("no days off")
    }

    /// Goes on from `from` for some hours as normal life goes, without `gone`; which sources are silent then.
    fn silent_after(sentinel: &mut Sentinel, from: Timestamp, hours: i64, gone: &str) -> Vec<String> {
        let until = from.plus_nanos(hours * DAY_NS / 24);
        let days = [from, from.plus_nanos(DAY_NS)].map(|day| generate_life(SEED, day));
        let mut rest = days.iter().flatten().filter(|record| from < record.at && record.host != gone).peekable();
        let mut at = from;
        while at < until {
            at = at.plus_nanos(STEP_NS);
            while let Some(record) = rest.next_if(|record| record.at <= at) {
                let (source, unit, last) = (record.host, Some(record.unit), record.at);
                sentinel.see(&Beat { source, unit, count: 1, last, offsets_ms: &[], addresses: &[] });
            }
            for finding in sentinel.tick(at, |_source, _unit| false) {
                assert_eq!(finding.kind, Kind::Silence, "{finding:?}");
            }
        }
        let silent = sentinel.usual(at).filter(|(_, usual)| usual.is_silent);
        silent.map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn at_every_hour_no_source_of_the_city_is_silent_but_one_that_stops() {
        let today = Timestamp::parse("2026-11-28T00:00:00+07:00", 0).expect("a date");
        for hour in [0, 8, 18] {
            let now = today.plus_nanos(hour * DAY_NS / 24 + 1_234_567_890);
            let mut sentinel = learned(SEED, now, calendar(), |record| Some(record.host.to_owned()));
            assert_eq!(sentinel.source_count(), super::super::HOSTS.len(), "hour {hour}");
            for (name, usual) in sentinel.usual(now) {
                assert!(!usual.is_silent && usual.rhythm != Rhythm::Unknown, "hour {hour}: {name} {usual:?}");
            }
            let silent = silent_after(&mut sentinel, now, 2, "csdl-01");
            // Of sources that speak a few times an hour at random one may be called silent wrongly, as the sentinel's budget says.
            assert!(silent.iter().any(|name| name == "csdl-01") && silent.len() <= 2, "hour {hour}: {silent:?}");
        }
    }
}
