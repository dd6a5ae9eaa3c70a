//! What is learned of each source: how far its clock is, and how much out of order it usually sends.
//!
//! In: events as they arrive. Out: for a group, the time before which nothing is expected any more (its floor), so
//! that hits can be let go.
//!
//! The clock of a source is the latest time it has said, no later than it was received. Its lateness is twice
//! what 99 of 100 of its events keep behind that clock, between [`Lateness::min_ns`] and [`Lateness::max_ns`].
//! (A delay that is always the same, such as a daily upload or a clock that is slow, puts nothing out of order: the
//! source's own clock is as slow.) An event further behind belongs to a backlog: the source has a second, older
//! clock for as long as such events come. So a ward that was cut off for a day and sends it afterwards is
//! followed through its day, whether or not it sends what is new between, and nobody else's clock moves.

use hashbrown::HashMap;
use nhatle_event::{Event, Field, Text, Value};

/// Marks a group whose hits come from several sources.
pub const MANY: u16 = u16::MAX;
/// How many sources are told apart; the others share one clock.
pub const SOURCES_MAX: usize = 4_096;
/// A source not heard of for so long keeps nobody's floor back but its own, and its backlog is over.
const SILENT_NS: i64 = 600_000_000_000;
/// The lateness is learned anew after so many events.
const LEARN_EVENTS: u32 = 64;
/// Past so many events old ones count half.
const FADE_EVENTS: u32 = 8_192;
/// Distances behind the clock by their binary logarithm in seconds: under 1 s, under 2 s, … up to 12 days.
pub const DISTANCES: usize = 21;

/// How late events may come and be counted exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// At least this, whatever was learned.
    pub min_ns: i64,
    /// At most this.
    pub max_ns: i64,
}

/// What is known of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Latest time said, nanoseconds.
    pub clock: i64,
    /// The same of its backlog, while there is one.
    pub backlog: Option<i64>,
    /// When it was last heard of, in time of receipt.
    pub heard: i64,
    /// The same of its backlog.
    pub backlog_heard: i64,
    /// How late it may be.
    pub lateness: i64,
    /// How many events were how far behind.
    pub distances: [u32; DISTANCES],
    /// Events since it was last learned.
    pub fresh: u32,
}

/// The clocks of all sources.
#[derive(Clone, Debug)]
pub struct Clocks {
    lateness: Lateness,
    /// Numbered in the order they were first seen.
    pub sources: Vec<Source>,
    /// By name.
    pub numbers: HashMap<Text, u16>,
    /// The one asked last, and where in its event its name stood.
    last: (Text, u16, usize),
    /// The latest time of receipt.
    pub now: i64,
    /// The latest clock of any source.
    pub city: i64,
    /// Before this nothing is expected of any source that is heard of.
    pub floor: i64,
    /// The next moment of receipt at which the floor is worked out.
    pub floor_due: i64,
}

impl Clocks {
    /// Nothing heard yet.
    pub fn new(lateness: Lateness) -> Clocks {
        let never = i64::MIN;
        Clocks {
            lateness,
            sources: Vec::new(),
            numbers: HashMap::new(),
            last: (Text::default(), MANY, 0),
            now: never,
            city: never,
            floor: never,
            floor_due: never,
        }
    }

    /// Takes note of an arrival; returns the number of its source.
    pub fn note(&mut self, event: &Event) -> u16 {
        let number = self.number(event);
        let (at, received) = (event.timestamp.0, event.received.0);
        self.now = self.now.max(received);
        let (now, lateness) = (self.now, self.lateness);
        let Some(source) = self.sources.get_mut(number as usize) else { return MANY };
        source.heard = now;
        if source.take(at, at.min(received), now, lateness) {
            self.floor_due = now;
        }
        self.city = self.city.max(source.clock);
        if self.floor_due <= now {
            self.find_floor();
        }
        number
    }

    fn number(&mut self, event: &Event) -> u16 {
        let fields = event.fields();
        let (name, number, place) = &self.last;
        let is_last = |(field, value): &(Field, Value)| *field == Field::NHATLE_SOURCE && value.text() == Some(name);
        if *number != MANY && fields.get(*place).is_some_and(is_last) {
            return *number;
        }
        let place = fields.iter().position(|(field, _)| *field == Field::NHATLE_SOURCE).unwrap_or(usize::MAX);
        let named = fields.get(place).and_then(|(_, value)| value.text());
        // Nobody's name; and comparing nothing with nothing is slow on some processors.
        let name = named.or_else(|| event.text(Field::NHATLE_INPUT)).filter(|name| !name.is_empty()).unwrap_or("-");
        let number = self.number_of(name);
        self.last = (Text::from(name), number, place);
        number
    }

    fn number_of(&mut self, name: &str) -> u16 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let (name, place) = match self.sources.len() {
            count if count < SOURCES_MAX => (name, count),
            // All past the bound are one.
            _ => ("-", SOURCES_MAX),
        };
        if self.sources.len() <= place {
            self.sources.push(Source::new(self.lateness));
        }
        let number = u16::try_from(place).unwrap_or(MANY);
        if place < SOURCES_MAX {
            self.numbers.insert(Text::from(name), number);
        }
        number
    }

    /// Forgets which source was asked last, because numbers changed.
    pub fn forget_last(&mut self) {
        self.last.1 = MANY;
    }

    /// The time before which nothing is expected for a group with hits of this source.
    pub fn floor_of(&self, source: u16) -> i64 {
        match self.sources.get(source as usize) {
            None => self.floor,
            Some(source) => {
                let oldest = self.city.saturating_sub(self.lateness.max_ns);
                source.floor(self.now).max(if source.has_backlog(self.now) { i64::MIN } else { oldest })
            }
        }
    }

    fn find_floor(&mut self) {
        let now = self.now;
        let heard = self.sources.iter().filter(|source| now.saturating_sub(source.heard) <= SILENT_NS);
        let floor = heard.map(|source| source.floor(now)).min();
        self.floor = floor.unwrap_or_else(|| self.city.saturating_sub(self.lateness.min_ns));
        // Once a second is often enough for something that lets go of what is minutes old.
        self.floor_due = now.saturating_add(1_000_000_000);
    }
}

impl Source {
    fn new(lateness: Lateness) -> Source {
        let never = i64::MIN;
        Source {
            clock: never,
            backlog: None,
            heard: never,
            backlog_heard: never,
            lateness: lateness.min_ns,
            distances: [0; DISTANCES],
            fresh: 0,
        }
    }

    fn has_backlog(&self, now: i64) -> bool {
        self.backlog.is_some() && now.saturating_sub(self.backlog_heard) <= SILENT_NS
    }

    fn floor(&self, now: i64) -> i64 {
        let behind = self.backlog.filter(|_| self.has_backlog(now));
        behind.map_or(self.clock, |clock| clock.min(self.clock)).saturating_sub(self.lateness)
    }

    /// Moves the clock an event belongs to. Returns whether a backlog begins.
    fn take(&mut self, at: i64, happened: i64, now: i64, bounds: Lateness) -> bool {
        let behind = self.clock.saturating_sub(at).max(0);
        if behind <= self.lateness || self.clock == i64::MIN {
            self.clock = self.clock.max(happened);
            self.learn(behind, bounds);
            return false;
        }
        let known = self.backlog.filter(|_| self.has_backlog(now));
        self.backlog_heard = now;
        let behind = known.map_or(0, |clock| clock.saturating_sub(at).max(0));
        let goes_on = known.is_some() && behind <= self.lateness;
        if known.is_some() {
            self.learn(behind, bounds);
        }
        self.backlog = Some(known.filter(|_| goes_on).map_or(at, |clock| clock.max(at)));
        !goes_on
    }

    fn learn(&mut self, behind: i64, lateness: Lateness) {
        let seconds = behind / 1_000_000_000;
        let class = seconds.checked_ilog2().map_or(0, |class| class as usize + 1);
        self.distances[class.min(DISTANCES - 1)] += 1;
        self.fresh += 1;
        if self.fresh < LEARN_EVENTS {
            return;
        }
        self.fresh = 0;
        let count: u32 = self.distances.iter().sum();
        let mut beyond = count / 100;
        let usual = self.distances.iter().rposition(|number| {
            let is_usual = beyond < *number;
            beyond = beyond.saturating_sub(*number);
            is_usual
        });
        // The upper end of the class, in seconds.
        let usual_s = 1i64 << usual.unwrap_or(0);
        self.lateness = usual_s.saturating_mul(2_000_000_000).clamp(lateness.min_ns, lateness.max_ns);
        if FADE_EVENTS < count {
            self.distances.iter_mut().for_each(|number| *number /= 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::Timestamp;

    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const DAY: i64 = 86_400 * SECOND;
    const BOUNDS: Lateness = Lateness { min_ns: 600 * SECOND, max_ns: 7 * DAY };

    fn event(source: &str, at: i64, received: i64) -> Event {
        let mut event = Event::new(Timestamp(at), *b"x");
        event.received = Timestamp(received);
        event.set(Field::NHATLE_SOURCE, source);
        event
    }

    #[test]
    fn lateness_is_how_much_out_of_order_a_source_usually_is() {
        let mut clocks = Clocks::new(BOUNDS);
        for second in 0..2000 {
            let at = DAY + second * SECOND;
            let mut note = |source: &str, behind: i64, delay: i64| {
                clocks.note(&event(source, at - behind * SECOND, at + delay * SECOND));
            };
            note("fast", 0, 0);
            // One in two hundred is an hour late; that is not usual.
            note("shaky", if second % 200 == 7 { 3600 } else { 1 }, 0);
            // Always an hour late is not out of order; nor is a clock that is slow by days.
            note("hourly", 0, 3600);
            note("slow clock", 0, 100 * 86_400);
            // Three ways to us, of which two are slow.
            note("three ways", second % 3 * 3600, 0);
            note("scattered", (second % 50) * 14 * 86_400, 0);
        }
        let lateness: Vec<i64> = clocks.sources.iter().map(|source| source.lateness / SECOND).collect();
        assert_eq!(lateness, [600, 600, 600, 600, 16_384, 7 * 86_400]);
    }

    #[test]
    fn a_backlog_moves_nobody_elses_clock_and_is_followed() {
        let mut clocks = Clocks::new(BOUNDS);
        let now = 10 * DAY;
        let other = clocks.note(&event("other", now, now));
        let ward = clocks.note(&event("ward", now, now));
        assert_eq!(clocks.floor_of(ward), now - 600 * SECOND);
        // The day before comes now, between what is new.
        for minute in 0..1440 {
            let (at, received) = (now - DAY + minute * 60 * SECOND, now + minute * SECOND);
            clocks.note(&event("ward", at, received));
            clocks.note(&event("ward", received, received));
            clocks.note(&event("other", received, received));
            let (floor, clock) = (clocks.floor_of(ward), clocks.sources[ward as usize].clock);
            assert!(floor <= at - 600 * SECOND && clock == received, "{minute}");
            assert_eq!(clocks.floor_of(other), received - 600 * SECOND);
            assert!(clocks.floor <= floor, "groups of several sources wait for the ward");
        }
        // When it is through, its floor is that of its clock again.
        let later = now + 3 * 3600 * SECOND;
        clocks.note(&event("ward", later, later));
        let lateness = clocks.sources[ward as usize].lateness;
        assert_eq!(clocks.floor_of(ward), later - lateness);
        assert!(lateness <= 7 * DAY);
    }

    #[test]
    fn a_clock_that_runs_ahead_counts_as_of_receipt() {
        let mut clocks = Clocks::new(BOUNDS);
        let source = clocks.note(&event("ahead", 100 * DAY, DAY));
        assert_eq!(clocks.floor_of(source), DAY - 600 * SECOND);
    }

    #[test]
    fn sources_past_the_bound_share_one_clock() {
        let mut clocks = Clocks::new(BOUNDS);
        for number in 0..SOURCES_MAX + 100 {
            clocks.note(&event(&format!("s{number}"), DAY, DAY));
        }
        assert_eq!((clocks.sources.len(), clocks.numbers.len()), (SOURCES_MAX + 1, SOURCES_MAX));
    }
}
