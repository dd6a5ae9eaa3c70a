//! The numbers of an exporter's packets: which of them never came.
//!
//! In: for each packet its stream (exporter, version, engine or domain), the number it bears and how many numbers it uses up.
//! Out: gaps, each a range of numbers that were given and did not come within [`WAIT_NS`], for UDP may deliver out of order.
//! What is numbered: flows in v5, packets in v9, records in IPFIX; modulo 2^32, counted on beyond it here. An exporter that starts
//! anew begins anew: nobody knows what it lost then. Where a packet does not tell how much it uses up (data before its
//! template), the next one is where counting goes on. Bounded: streams, gaps that wait. Source: Cisco "NetFlow Services Export
//! version 5" (`flow_sequence`), RFC 3954 section 5.1, RFC 7011 section 3.1.

use std::collections::BTreeMap;
use std::net::IpAddr;

use nhatle_event::Timestamp;

use super::template::Domain;

/// How many streams are watched at once; of those past it gaps are not known.
pub const STREAMS_MAX: usize = 4096;
/// A stream that was quiet for so long makes room for another.
const STREAM_AGE_NS: i64 = 3_600 * 1_000_000_000;
/// How often it is looked for streams that were quiet so long: all of them are gone through, which no packet may make happen.
const LOOK_NS: i64 = 1_000_000_000;
/// What is late may come within this.
pub const WAIT_NS: i64 = 5 * 1_000_000_000;
/// How many gaps of a stream wait at once; the oldest is given up.
pub const PENDING_MAX: usize = 64;
/// How many gaps of all streams wait to be asked for; further ones are not named.
pub const GIVEN_UP_MAX: usize = 16_384;
/// A jump further ahead than this is no loss, but a counter that was set.
pub const JUMP_MAX: u32 = 1 << 20;
/// So many packets in a row behind everything that is expected: the counter was set back.
const STRAYS_MAX: u32 = 3;
/// An uptime that went back by more than packets overtake each other is that of another life.
const UPTIME_BACK_MS: u32 = 60_000;

/// What a packet says of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Whose numbers.
    pub domain: Domain,
    /// The number it bears: the first it uses up.
    pub first: u32,
    /// How many it uses up; `None` where it does not tell.
    pub count: Option<u32>,
    /// Milliseconds since the exporter started, where it says so.
    pub uptime_ms: Option<u32>,
}

/// Numbers that an exporter gave and that never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Whose.
    pub exporter: IpAddr,
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// All streams.
#[derive(Debug, Default)]
pub struct Numbers {
    streams: BTreeMap<Domain, Stream>,
    given_up: Vec<Missing>,
    /// When it was last looked for streams that make room.
    looked: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Stream {
    /// The number that is expected; `None` until it is known again.
    next: Option<u64>,
    uptime_ms: Option<u32>,
    seen: Timestamp,
    strays: u32,
    /// First, last, since when; in the order in which they were seen.
    pending: Vec<(u64, u64, Timestamp)>,
}

impl Numbers {
    /// Takes in a packet.
    pub fn see(&mut self, packet: &Numbered, now: Timestamp) {
        if !self.streams.contains_key(&packet.domain) {
            if STREAMS_MAX <= self.streams.len() {
                self.make_room(now);
            }
            if STREAMS_MAX <= self.streams.len() {
                return;
            }
        }
        let exporter = packet.domain.exporter;
        if let Some((first, last)) = self.streams.entry(packet.domain).or_default().see(packet, now) {
            self.given_up.push(Missing { exporter, first, last });
            self.given_up.truncate(GIVEN_UP_MAX);
        }
    }

    /// Lets go of streams that were quiet for long; not again before [`LOOK_NS`] have passed, whatever the clock does.
    fn make_room(&mut self, now: Timestamp) {
        if self.looked.is_some_and(|looked| now.since(looked).unsigned_abs() < LOOK_NS.unsigned_abs()) {
            return;
        }
        self.looked = Some(now);
        self.streams.retain(|_, stream| now.since(stream.seen) < STREAM_AGE_NS || !stream.pending.is_empty());
    }

    /// Gaps that are waited for no longer.
    pub fn missing(&mut self, now: Timestamp) -> Vec<Missing> {
        let mut found = std::mem::take(&mut self.given_up);
        for (domain, stream) in &mut self.streams {
            let exporter = domain.exporter;
            let late = stream.pending.extract_if(.., |(.., since)| WAIT_NS <= now.since(*since));
            found.extend(late.map(|(first, last, _)| Missing { exporter, first, last }));
        }
        found
    }
}

impl Stream {
    /// Takes in a packet; the oldest gap comes out where there are too many.
    fn see(&mut self, packet: &Numbered, now: Timestamp) -> Option<(u64, u64)> {
        self.seen = now;
        let back_ms = self.uptime_ms.zip(packet.uptime_ms).map_or(0, |(known, told)| known.wrapping_sub(told));
        let is_restarted = (UPTIME_BACK_MS..1 << 31).contains(&back_ms);
        if is_restarted || back_ms == 0 || 1 << 31 <= back_ms {
            self.uptime_ms = packet.uptime_ms;
        }
        let Some(next) = self.next.filter(|_| !is_restarted) else {
            self.begin(packet);
            return None;
        };
        // Half of the numbers are ahead, half behind.
        let ahead = packet.first.wrapping_sub(next as u32);
        if ahead <= JUMP_MAX {
            self.strays = 0;
            self.next = packet.count.map(|count| next + u64::from(ahead) + u64::from(count));
            if ahead == 0 {
                return None;
            }
            self.pending.push((next, next + u64::from(ahead) - 1, now));
            return self.one_too_many();
        }
        let behind = u64::from(next as u32).wrapping_sub(u64::from(packet.first)) & u64::from(u32::MAX);
        let is_late = behind <= u64::from(JUMP_MAX) && behind <= next;
        if is_late && self.came(next - behind, packet.count) {
            self.strays = 0;
            // What comes in the middle of a gap makes two of it.
            return self.one_too_many();
        }
        self.strays += 1;
        if !is_late || STRAYS_MAX <= self.strays {
            self.begin(packet);
        }
        None
    }

    /// The oldest gap, where there are too many.
    fn one_too_many(&mut self) -> Option<(u64, u64)> {
        (PENDING_MAX < self.pending.len()).then(|| self.pending.remove(0)).map(|(first, last, _)| (first, last))
    }

    /// Counting begins with this packet. What is waited for still is, for it may come.
    fn begin(&mut self, packet: &Numbered) {
        self.strays = 0;
        self.next = packet.count.map(|count| u64::from(packet.first) + u64::from(count));
    }

    /// Takes what came late out of the gaps that wait; says whether any of it was waited for.
    fn came(&mut self, first: u64, count: Option<u32>) -> bool {
        let Some(place) = self.pending.iter().position(|gap| (gap.0..=gap.1).contains(&first)) else { return false };
        let (low, high, since) = self.pending.remove(place);
        // Who does not tell how much it brings is believed to bring all of it.
        let last = count.map_or(high, |count| (first + u64::from(count)).saturating_sub(1).min(high));
        let rest = [(low, first.checked_sub(1)), (last + 1, Some(high))];
        let rest = rest.into_iter().filter_map(|(low, high)| Some((low, high?, since)).filter(|gap| gap.0 <= gap.1));
        drop(self.pending.splice(place..place, rest.collect::<Vec<_>>()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn domain(version: u16) -> Domain {
        Domain { exporter: IpAddr::from([192, 0, 2, 1]), version, id: 7 }
    }

    /// Packets as (second, number, how many, uptime); what is missing in the end.
    fn missing(packets: &[(i64, u32, Option<u32>, Option<u32>)]) -> Vec<(u64, u64)> {
        let mut numbers = Numbers::default();
        let mut found = Vec::new();
        let mut end = 0;
        for (second, first, count, uptime_ms) in packets {
            let packet = Numbered { domain: domain(5), first: *first, count: *count, uptime_ms: *uptime_ms };
            let now = Timestamp(second * SECOND);
            found.extend(numbers.missing(now));
            numbers.see(&packet, now);
            end = *second;
        }
        found.extend(numbers.missing(Timestamp((end + 60) * SECOND)));
        found.into_iter().map(|gap| (gap.first, gap.last)).collect()
    }

    /// Second, first number, how many, uptime in milliseconds.
    type Sent = (i64, u32, Option<u32>, Option<u32>);
    /// A name, what is sent, and which numbers never came.
    type Case = (&'static str, Vec<Sent>, &'static [(u64, u64)]);

    #[test]
    fn every_number_that_never_came_is_named_and_no_other() {
        let thirty = |second, first| (second, first, Some(30), None);
        let max = u32::MAX;
        let cases: &[Case] = &[
            ("all came", vec![thirty(0, 100), thirty(1, 130), thirty(2, 160)], &[]),
            ("one packet", vec![thirty(0, 100), thirty(1, 160)], &[(130, 159)]),
            ("two gaps", vec![thirty(0, 100), thirty(1, 160), thirty(2, 250)], &[(130, 159), (190, 249)]),
            ("overtaken", vec![thirty(0, 100), thirty(1, 160), thirty(1, 130), thirty(2, 190)], &[]),
            ("too late", vec![thirty(0, 100), thirty(1, 160), thirty(9, 130), thirty(9, 190)], &[(130, 159)]),
            ("a part came late", vec![thirty(0, 100), thirty(1, 190), thirty(1, 160)], &[(130, 159)]),
            ("the middle came late", vec![thirty(0, 0), thirty(1, 120), thirty(1, 60)], &[(30, 59), (90, 119)]),
            ("twice the same", vec![thirty(0, 100), thirty(1, 130), thirty(1, 130), thirty(2, 160)], &[]),
            ("over the end", vec![thirty(0, max - 59), thirty(1, max - 29), thirty(2, 0)], &[]),
            (
                "a gap over the end",
                vec![thirty(0, max - 59), thirty(1, 30), thirty(2, 60)],
                &[(4_294_967_266, 4_294_967_325)],
            ),
            (
                "restarted, as its uptime says",
                vec![
                    (0, 900, Some(30), Some(5_000_000)),
                    (1, 0, Some(30), Some(1_000)),
                    (2, 60, Some(30), Some(2_000)),
                ],
                &[(30, 59)],
            ),
            (
                "restarted without a word",
                vec![thirty(0, 9_000), thirty(1, 0), thirty(2, 30), thirty(3, 60), thirty(4, 120)],
                &[(90, 119)],
            ),
            ("set far ahead", vec![thirty(0, 100), thirty(1, 1_000_000_000), thirty(2, 1_000_000_030)], &[]),
            ("data before its template", vec![(0, 100, None, None), thirty(1, 500), thirty(2, 590)], &[(530, 589)]),
            ("late, and it does not tell how much", vec![thirty(0, 0), thirty(1, 90), (1, 30, None, None)], &[]),
        ];
        for (name, packets, expected) in cases {
            assert_eq!(missing(packets), *expected, "{name}");
        }
    }

    /// Losses and small disorder by seed: what is named is what was left out, number by number.
    #[test]
    fn gaps_are_the_numbers_left_out_whatever_is_lost_and_overtaken() {
        for seed in 0..200_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut dice = |sides: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % sides
            };
            let begin = if dice(2) == 0 { u32::MAX - 300 } else { u32::try_from(dice(1 << 30)).expect("small") };
            let (mut next, mut packets, mut lost) = (u64::from(begin), Vec::new(), Vec::new());
            for place in 0..60 {
                let count = 1 + dice(30);
                // The first and the last come, so that all between is known of.
                match (1..59).contains(&place) && dice(4) == 0 {
                    true => lost.extend(next..next + count),
                    false => packets.push((next as u32, u32::try_from(count).expect("small"))),
                }
                next += count;
            }
            for place in 1..packets.len() - 2 {
                if dice(3) == 0 {
                    packets.swap(place, place + 1);
                }
            }
            let rows: Vec<_> = packets.iter().map(|(first, count)| (0, *first, Some(*count), None)).collect();
            let mut named: Vec<u64> = missing(&rows).into_iter().flat_map(|(first, last)| first..=last).collect();
            named.sort_unstable();
            assert_eq!(named, lost, "seed {seed}");
        }
    }

    #[test]
    fn strangers_cannot_make_it_grow() {
        let mut numbers = Numbers::default();
        for number in 0..u32::try_from(STREAMS_MAX).expect("small") + 50 {
            let domain = Domain { id: number, ..domain(9) };
            numbers.see(&Numbered { domain, first: 1, count: Some(1), uptime_ms: None }, Timestamp(0));
        }
        assert_eq!(numbers.streams.len(), STREAMS_MAX);
        for step in 1..=10_000 {
            let packet =
                Numbered { domain: Domain { id: 0, ..domain(9) }, first: step * 3, count: Some(1), uptime_ms: None };
            numbers.see(&packet, Timestamp(0));
        }
        let stream = &numbers.streams[&Domain { id: 0, ..domain(9) }];
        assert_eq!((stream.pending.len(), numbers.given_up.len()), (PENDING_MAX, 10_000 - PENDING_MAX));
        // Late packets in the middle of one large gap make many of it.
        let mut send = |first: u32| {
            let domain = Domain { id: 1, ..domain(9) };
            numbers.see(&Numbered { domain, first, count: Some(1), uptime_ms: None }, Timestamp(0));
            numbers.streams[&domain].pending.len()
        };
        send(JUMP_MAX);
        for late in 1..1_000 {
            assert!(send(late * 2) <= PENDING_MAX, "after {late} late packets");
        }
        // An hour later there is room for others.
        let later = Timestamp(2 * STREAM_AGE_NS);
        numbers.missing(later);
        numbers.see(&Numbered { domain: domain(10), first: 1, count: Some(1), uptime_ms: None }, later);
        assert_eq!(numbers.streams.len(), 1);
    }

    /// A stranger who holds every stream: the packets of others pass, and all streams are looked at once a second.
    #[test]
    fn packets_without_room_do_not_look_at_every_stream() {
        let mut numbers = Numbers::default();
        let mut see = |id: u32, at: i64| {
            let packet = Numbered { domain: Domain { id, ..domain(9) }, first: 1, count: Some(1), uptime_ms: None };
            numbers.see(&packet, Timestamp(at));
            (numbers.streams.len(), numbers.looked)
        };
        let full = u32::try_from(STREAMS_MAX).expect("small");
        for id in 0..full {
            assert_eq!(see(id, 0).1, None, "there is room");
        }
        let looked: std::collections::BTreeSet<_> =
            (0..30_000).map(|step: i64| see(full + 1, step * 100_000).1.expect("looked")).collect();
        assert_eq!(looked.len(), 3, "in three seconds");
        // A clock that is set back does not keep it from looking.
        assert_eq!(see(full + 1, -5 * SECOND), (STREAMS_MAX, Some(Timestamp(-5 * SECOND))));
        assert_eq!(see(full + 1, STREAM_AGE_NS).0, 1, "an hour later");
    }
}
