//! The state of a correlator as bytes, and back: after a restart, windows of days without replaying days.
//!
//! Out: clocks, counters, and for each correlation, named by its [`Fingerprint`](super::Fingerprint), its groups
//! with hits, firings and waiting edits; nothing of the rules themselves. Form: `MAGIC`, numbers as LEB128
//! (signed ones zigzag), texts behind their length, and a SHA-256 of all that at the end. Groups are sorted,
//! so equal states are equal bytes.
//!
//! In: only what this version wrote for the same rules; anything else is a [`RestoreError`], and the correlator
//! stays as it was. A restored correlator goes on exactly as the one that was written would have.

use std::collections::{BTreeMap, VecDeque};

use nhatle_event::{Seq, Text};
use sha2::{Digest, Sha256};

use super::clock::{Clocks, Source};
use super::group::{Carried, Edit, Group, Hit, Mark, Moment, Part, Rare};
use super::hits::Hits;
use super::running::Running;
use super::units::Units;
use super::{Correlator, Counters, sources};

/// Name and version of the form.
const MAGIC: &[u8] = b"nhatle correlate 2\n";
const DIGEST_BYTES: usize = 32;
/// Hashed into the form: values counted before and after must have the same hash.
const PROBE: &str = "nhatle";

/// Why a state is not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Not ours, of another version, or not whole.
    #[error("not a state of this version, or damaged")]
    Damaged,
    /// Correlations were added or changed.
    #[error("of other rules")]
    OtherRules,
}

impl Correlator {
    /// The state as bytes. As large as the hits it remembers: some ten bytes each.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.number(self.shared.seed);
        out.wide(sources::hash_of(PROBE, self.shared.seed));
        let counters = self.counters;
        [counters.late_partial, counters.too_late, counters.hits_dropped, counters.groups_dropped, self.touches]
            .into_iter()
            .for_each(|count| out.number(count));
        out.clocks(&self.clocks);
        let sets = self.shared.units.sets();
        out.list(sets.iter().skip(1), |out, set| out.list(set.iter(), |out, unit| out.text(unit)));
        let running =
            || self.running.iter().zip(&self.fingerprints).filter_map(|(one, print)| Some((one.as_ref()?, print)));
        out.size(running().count());
        for (one, print) in running() {
            out.0.extend_from_slice(&print.0);
            out.running(one);
        }
        let digest = Sha256::digest(&out.0);
        out.0.extend_from_slice(&digest);
        out.0
    }

    /// Takes over a state; to be called before anything is pushed.
    ///
    /// # Errors
    /// The bytes are no state of this version, or of other rules; nothing was taken over.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let (body, digest) =
            bytes.split_at_checked(bytes.len().saturating_sub(DIGEST_BYTES)).ok_or(RestoreError::Damaged)?;
        if Sha256::digest(body).as_slice() != digest {
            return Err(RestoreError::Damaged);
        }
        let mut input = Reader(body.strip_prefix(MAGIC).ok_or(RestoreError::Damaged)?);
        let state = self.read(&mut input)?;
        let whole = state.filter(|_| input.0.is_empty()).ok_or(RestoreError::Damaged)?;
        self.shared.seed = whole.seed;
        self.counters = whole.counters;
        self.touches = whole.touches;
        self.clocks.take(whole.clocks);
        self.shared.units = whole.units;
        for (place, state) in whole.running {
            if let Some(Some(running)) = self.running.get_mut(place) {
                state.put_into(running);
            }
        }
        Ok(())
    }

    /// `Ok(None)` for bytes that end too early.
    fn read(&self, input: &mut Reader<'_>) -> Result<Option<Whole>, RestoreError> {
        let head = |input: &mut Reader<'_>| {
            let (seed, probe) = (input.number()?, input.wide()?);
            let counters = Counters {
                late_partial: input.number()?,
                too_late: input.number()?,
                hits_dropped: input.number()?,
                groups_dropped: input.number()?,
            };
            Some((seed, probe, counters, input.number()?, input.clocks()?, input.units()?, input.size()?))
        };
        let Some((seed, probe, counters, touches, clocks, units, count)) = head(input) else { return Ok(None) };
        if probe != sources::hash_of(PROBE, seed) {
            return Err(RestoreError::Damaged);
        }
        let mut running = Vec::new();
        for _ in 0..count {
            let Some(print) = input.bytes(DIGEST_BYTES) else { return Ok(None) };
            let Some(state) = input.running() else { return Ok(None) };
            // What is not among the rules any more is left behind.
            let place = self.fingerprints.iter().position(|known| known.0 == print);
            running.extend(place.map(|place| (place, state)));
        }
        let wanted = self.running.iter().flatten().count();
        if running.len() < wanted {
            Err(RestoreError::OtherRules)
        } else {
            Ok(Some(Whole { seed, counters, touches, clocks, units, running }))
        }
    }
}

struct Whole {
    seed: u64,
    counters: Counters,
    touches: u64,
    clocks: WrittenClocks,
    units: Units,
    running: Vec<(usize, Written)>,
}

/// A correlation as it was written.
struct Written {
    touches: u64,
    sweep_due: u64,
    credit: i64,
    pending: VecDeque<Text>,
    groups: Vec<(Text, WrittenGroup)>,
}

struct WrittenGroup {
    hits: Hits,
    rare: Option<Box<Rare>>,
    forgotten: i64,
    touched: u64,
    source: u16,
    units: u16,
}

struct WrittenClocks {
    times: [i64; 4],
    sources: Vec<Source>,
    names: Vec<(Text, u16)>,
}

impl Written {
    fn put_into(self, running: &mut Running) {
        running.touches = self.touches;
        running.sweep_due = self.sweep_due;
        running.credit = self.credit;
        running.pending = self.pending;
        running.hit_count = 0;
        running.groups.clear();
        for (key, written) in self.groups {
            let mut group = Group::new(&running.frame.condition, written.source);
            running.hit_count += written.hits.len();
            group.hits = written.hits;
            group.rare = written.rare;
            group.forgotten = written.forgotten;
            group.touched = written.touched;
            group.units = written.units;
            group.restore(&running.frame);
            running.groups.insert(&key, group);
        }
    }
}

impl Clocks {
    fn take(&mut self, written: WrittenClocks) {
        [self.now, self.city, self.floor, self.floor_due] = written.times;
        self.sources = written.sources;
        self.forget_last();
        self.numbers = written.names.into_iter().collect();
    }
}

/// Writes numbers and texts.
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while 0x80 <= number {
            self.0.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap_or(0));
    }

    fn size(&mut self, size: usize) {
        self.number(u64::try_from(size).unwrap_or(u64::MAX));
    }

    fn signed(&mut self, number: i64) {
        self.number((number.wrapping_shl(1) ^ (number >> 63)).cast_unsigned());
    }

    /// As many bytes as it needs, behind their number.
    fn wide(&mut self, number: u128) {
        let bytes = number.to_le_bytes();
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.0.push(u8::try_from(length).unwrap_or(0));
        self.0.extend_from_slice(&bytes[..length]);
    }

    fn text(&mut self, text: &str) {
        self.size(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn list<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Writer, T)) {
        self.size(items.len());
        items.for_each(|item| write(self, item));
    }

    fn clocks(&mut self, clocks: &Clocks) {
        [clocks.now, clocks.city, clocks.floor, clocks.floor_due].into_iter().for_each(|time| self.signed(time));
        self.list(clocks.sources.iter(), |out, source| {
            out.signed(source.clock);
            out.list(source.backlog.iter(), |out, clock| out.signed(*clock));
            [source.heard, source.backlog_heard, source.lateness].into_iter().for_each(|time| out.signed(time));
            source.distances.iter().for_each(|count| out.number(u64::from(*count)));
            out.number(u64::from(source.fresh));
        });
        let names: BTreeMap<u16, &Text> = clocks.numbers.iter().map(|(name, number)| (*number, name)).collect();
        self.list(names.into_iter(), |out, (number, name)| {
            out.number(u64::from(number));
            out.text(name);
        });
    }

    fn running(&mut self, running: &Running) {
        self.number(running.touches);
        self.number(running.sweep_due);
        self.signed(running.credit);
        self.list(running.pending.iter(), |out, key| out.text(key));
        let groups: BTreeMap<&Text, &Group> = running.groups.iter().collect();
        self.list(groups.into_iter(), |out, (key, group)| {
            out.text(key);
            out.group(group);
        });
    }

    fn group(&mut self, group: &Group) {
        let mut before: Moment = (0, 0);
        self.list(group.hits.iter(), |out, hit| {
            out.moment_after(&mut before, hit.moment());
            out.wide(hit.weight);
        });
        self.list(group.fired().iter(), |out, mark| {
            out.moment_after(&mut before, mark.moment);
            out.number(mark.digest);
            out.carried(mark.carried.as_ref());
        });
        let none = Rare::default();
        let rare = group.rare.as_deref().unwrap_or(&none);
        self.list(rare.edits.iter(), |out, (moment, edit)| {
            out.moment_after(&mut before, *moment);
            match edit {
                Edit::Put(part) => {
                    out.0.push(0);
                    out.part(part);
                }
                Edit::Take((from, key)) => {
                    out.0.push(1);
                    out.number(*from);
                    out.text(key);
                }
            }
        });
        self.list(rare.parts.iter(), |out, (moment, parts)| {
            out.moment_after(&mut before, *moment);
            out.list(parts.iter(), Writer::part);
        });
        self.list(rare.units.iter(), |out, units| out.number(u64::from(*units)));
        self.signed(group.forgotten);
        self.number(group.touched);
        self.number(u64::from(group.source));
        self.number(u64::from(group.units));
    }

    /// As the distance from the one before.
    fn moment_after(&mut self, before: &mut Moment, moment: Moment) {
        self.signed(moment.0.wrapping_sub(before.0));
        self.signed(moment.1.wrapping_sub(before.1).cast_signed());
        *before = moment;
    }

    fn part(&mut self, part: &Part) {
        self.number(part.origin.0);
        self.text(&part.origin.1);
        self.wide(part.weight);
        let events = part.events.as_deref();
        self.list(events.iter(), |out, events| out.list(events.iter(), |out, seq| out.number(seq.0)));
        self.carried(part.carried.as_ref());
        self.number(u64::from(part.units));
    }

    fn carried(&mut self, carried: Option<&Carried>) {
        self.list(carried.iter(), |out, values| {
            out.list(values.iter(), |out, value| out.list(value.iter(), |out, text| out.text(text)));
        });
    }
}

/// Reads them back; `None` where the bytes end too early or make no sense.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn narrow<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number()?.try_into().ok()
    }

    fn size(&mut self) -> Option<usize> {
        self.number()?.try_into().ok()
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn wide(&mut self) -> Option<u128> {
        let length = usize::from(self.byte()?);
        let mut bytes = [0; 16];
        bytes.get_mut(..length)?.copy_from_slice(self.bytes(length)?);
        Some(u128::from_le_bytes(bytes))
    }

    fn text(&mut self) -> Option<Text> {
        let length = self.size()?;
        std::str::from_utf8(self.bytes(length)?).ok().map(Text::from)
    }

    /// No room is made ahead: a length may be anything.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.size()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Some(items)
    }

    fn option<T>(&mut self, read: impl FnMut(&mut Self) -> Option<T>) -> Option<Option<T>> {
        let mut items = self.list(read)?;
        (items.len() < 2).then(|| items.pop())
    }

    fn clocks(&mut self) -> Option<WrittenClocks> {
        let times = [self.signed()?, self.signed()?, self.signed()?, self.signed()?];
        let sources = self.list(|input| {
            let clock = input.signed()?;
            let backlog = input.option(Reader::signed)?;
            let (heard, backlog_heard, lateness) = (input.signed()?, input.signed()?, input.signed()?);
            let mut distances = [0; super::clock::DISTANCES];
            for distance in &mut distances {
                *distance = input.narrow()?;
            }
            Some(Source { clock, backlog, heard, backlog_heard, lateness, distances, fresh: input.narrow()? })
        })?;
        let names = self.list(|input| {
            let number = input.narrow()?;
            Some((input.text()?, number))
        })?;
        Some(WrittenClocks { times, sources, names })
    }

    fn units(&mut self) -> Option<Units> {
        let mut units = Units::default();
        for set in self.list(|input| input.list(Reader::text))? {
            units.insert(set.into());
        }
        Some(units)
    }

    fn running(&mut self) -> Option<Written> {
        Some(Written {
            touches: self.number()?,
            sweep_due: self.number()?,
            credit: self.signed()?,
            pending: self.list(Reader::text)?.into(),
            groups: self.list(|input| Some((input.text()?, input.group()?)))?,
        })
    }

    fn group(&mut self) -> Option<WrittenGroup> {
        let mut before: Moment = (0, 0);
        let hits = self.list(|input| {
            let (at, seq) = input.moment_after(&mut before)?;
            Some(Hit { at, seq, weight: input.wide()? })
        })?;
        let fired = self.list(|input| {
            let moment = input.moment_after(&mut before)?;
            Some(Mark { moment, digest: input.number()?, carried: input.carried()? })
        })?;
        let edits = self.list(|input| {
            let moment = input.moment_after(&mut before)?;
            let edit = match input.byte()? {
                0 => Edit::Put(input.part()?),
                1 => Edit::Take((input.number()?, input.text()?)),
                _ => return None,
            };
            Some((moment, edit))
        })?;
        let parts = self.list(|input| Some((input.moment_after(&mut before)?, input.list(Reader::part)?)))?;
        let units: VecDeque<u16> = self.list(Reader::narrow)?.into();
        let rare = Rare { fired, edits, parts: parts.into_iter().collect(), units };
        if !rare.units.is_empty() && rare.units.len() != hits.len() {
            return None;
        }
        let rare = (!rare.is_empty()).then(|| Box::new(rare));
        let (forgotten, touched, source) = (self.signed()?, self.number()?, self.narrow()?);
        Some(WrittenGroup { hits: hits.into_iter().collect(), rare, forgotten, touched, source, units: self.narrow()? })
    }

    fn moment_after(&mut self, before: &mut Moment) -> Option<Moment> {
        let (at, seq) = (self.signed()?, self.signed()?);
        *before = (before.0.wrapping_add(at), before.1.wrapping_add(seq.cast_unsigned()));
        Some(*before)
    }

    fn part(&mut self) -> Option<Part> {
        Some(Part {
            origin: (self.number()?, self.text()?),
            weight: self.wide()?,
            events: self.option(|input| input.list(|input| input.number().map(Seq)))?.map(Into::into),
            carried: self.carried()?,
            units: self.narrow()?,
        })
    }

    fn carried(&mut self) -> Option<Option<Carried>> {
        let values = self.option(|input| input.list(|input| input.option(Reader::text)))?;
        Some(values.map(Into::into))
    }
}
