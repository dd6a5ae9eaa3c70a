//! Who is in two places at once: one name, or one certificate, that sends from two addresses in turn.
//!
//! In: from which address a name just sent. Out: a pair of addresses, once. A sender that moves (a new lease) leaves its old
//! address; one that has two (a pair, a relay) is said once and known from then on. Bounded: [`ADDRESSES_MAX`] for a name.

use serde::{Deserialize, Serialize};

use super::source::SECOND_NS;

/// How many addresses of a name are remembered; past it the one not seen for longest goes.
pub const ADDRESSES_MAX: usize = 8;
/// Within this span two addresses are at once.
const SPAN_NS: i64 = 600 * SECOND_NS;
/// So many changes from one to the other are no move.
const TURNS_MIN: u32 = 4;

/// The addresses of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    known: Vec<Known>,
    last: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    address: String,
    last_ns: i64,
    /// How often it took over from another one, and since when that is counted.
    turns: u32,
    since_ns: i64,
    /// It was said.
    is_said: bool,
}

impl Addresses {
    /// Takes in that the name sent from this address. Gives back the two addresses it sends from in turn, once for each.
    pub fn see(&mut self, address: &str, now_ns: i64) -> Option<(String, String)> {
        let place = self.known.iter().position(|known| known.address == address).unwrap_or_else(|| {
            if ADDRESSES_MAX <= self.known.len() {
                let oldest = (0..self.known.len()).min_by_key(|place| self.known[*place].last_ns).unwrap_or(0);
                self.known.remove(oldest);
            }
            let (address, since_ns) = (address.to_owned(), now_ns);
            self.known.push(Known { address, last_ns: now_ns, turns: 0, since_ns, is_said: false });
            self.known.len() - 1
        });
        let before = self.last.take().filter(|before| before != address);
        self.last = Some(address.to_owned());
        let known = &mut self.known[place];
        known.last_ns = now_ns;
        let before = before?;
        if SPAN_NS < now_ns - known.since_ns {
            (known.turns, known.since_ns) = (0, now_ns);
        }
        known.turns += 1;
        if known.turns < TURNS_MIN || known.is_said {
            return None;
        }
        known.is_said = true;
        let other = self.known.iter_mut().find(|other| other.address == before)?;
        if std::mem::replace(&mut other.is_said, true) || SPAN_NS < now_ns - other.last_ns {
            return None;
        }
        Some((before, address.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_addresses_in_turn_are_said_once_and_a_move_is_not() {
        let mut addresses = Addresses::default();
        let mut at = 0;
        let mut see = |address: &str| {
            at += 60 * SECOND_NS;
            addresses.see(address, at)
        };
        assert!((0..20).all(|_| see("192.0.2.1").is_none()));
        assert!((0..20).all(|_| see("192.0.2.2").is_none()), "it moved");
        let found: Vec<_> = (0..20).filter_map(|turn| see(["192.0.2.2", "192.0.2.3"][turn % 2])).collect();
        assert_eq!(found, [("192.0.2.2".to_owned(), "192.0.2.3".to_owned())]);
        for number in 0..100 {
            see(&format!("198.51.100.{number}"));
        }
        assert_eq!(addresses.known.len(), ADDRESSES_MAX);
    }
}
