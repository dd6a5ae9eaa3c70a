//! The sentinel at work: what sources send goes to [`nhatle_engine::rhythm`], what it finds becomes alerts of our own, and
//! the receipt book is compared with what search counts.
//!
//! In: tallies of what is durable, a clock, planned outages of the register. Out: alerts in the ordinary way
//! (`event.kind: signal`, grouped into incidents), notes on them when it is over, `state/rhythm.ckpt`. Failure: what
//! cannot be written is said in the log and tried again; a damaged state is said and learned anew.

pub mod alert;
pub mod balance;
pub mod run;
pub mod settings;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nhatle_engine::rhythm::UsualSilence;
use nhatle_event::{Text, Timestamp};

use crate::sources::tally::Sent;
use crate::sources::{OTHER_SOURCE, SOURCES_MAX, Tally};

/// How many offsets of a source's clock wait for a tick.
const OFFSETS_MAX: usize = 8;

/// What a source sent since the last tick.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Its organization unit.
    pub unit: Option<String>,
    /// How many records.
    pub count: u64,
    /// When the last one was received, nanoseconds.
    pub last_ns: i64,
    /// Event time minus receipt time of some, milliseconds.
    pub offsets_ms: Vec<i32>,
    /// Where they came from.
    pub addresses: Vec<String>,
}

/// What sources sent since the last tick, and what the comparisons of the receipt book gave.
#[derive(Debug, Default)]
pub struct Feed {
    heard: Mutex<BTreeMap<String, Heard>>,
    checked: Mutex<balance::Checked>,
    /// What silence of each source is usual, as of the last tick.
    usual: Mutex<BTreeMap<String, UsualSilence>>,
    /// What was received up to here is known already.
    known_until_ns: AtomicI64,
}

impl Feed {
    /// A feed that goes on from what the mark kept.
    pub fn new(mark: Option<&[u8]>) -> Feed {
        let checked = mark.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        Feed { checked: Mutex::new(checked), ..Feed::default() }
    }

    /// Passes over what was received up to a moment: whoever watches knows it already.
    pub fn know_until(&self, moment: Timestamp) {
        self.known_until_ns.store(moment.0, Ordering::Relaxed);
    }

    /// Takes in what is durable.
    pub fn hear(&self, tally: &Tally) {
        let known_ns = self.known_until_ns.load(Ordering::Relaxed);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |sent: &Sent| known_ns < sent.last_ns;
        for (name, sent) in tally.rows().filter(|(name, sent)| *name != OTHER_SOURCE && is_new(sent)) {
            let count = heard.len();
            let row = match heard.get_mut(name) {
                Some(row) => row,
                None if SOURCES_MAX <= count => continue,
                None => heard.entry(name.to_owned()).or_default(),
            };
            if row.unit.as_deref() != sent.unit.as_deref() {
                row.unit = sent.unit.as_ref().map(Text::to_string);
            }
            row.count += sent.parts.iter().map(|part| part.counts.stored).sum::<u64>();
            row.last_ns = row.last_ns.max(sent.last_ns);
            let offsets = sent.parts.iter().flat_map(|part| part.clock.samples());
            row.offsets_ms.extend(offsets.take(OFFSETS_MAX.saturating_sub(row.offsets_ms.len())));
            for (address, _) in &sent.addresses {
                let is_known = row.addresses.iter().any(|known| known == address.as_str());
                if row.addresses.len() < crate::sources::tally::ADDRESSES_MAX && !is_known {
                    row.addresses.push(address.to_string());
                }
            }
        }
    }

    /// What was heard since this was last asked.
    pub fn take(&self) -> BTreeMap<String, Heard> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes what silence is usual now.
    pub fn publish(&self, usual: BTreeMap<String, UsualSilence>) {
        *self.usual.lock().unwrap_or_else(PoisonError::into_inner) = usual;
    }

    /// What silence of a source is usual, as of the last tick.
    pub fn usual(&self, source: &str) -> Option<UsualSilence> {
        self.usual.lock().unwrap_or_else(PoisonError::into_inner).get(source).copied()
    }

    /// What the comparisons gave.
    pub fn checked(&self) -> MutexGuard<'_, balance::Checked> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
