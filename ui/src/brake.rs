//! The brake on guessing passwords.
//!
//! In: each try before its password is looked at, and whether it was right. Out: whether it may be looked at, now, after a
//! while or not. Promise: wrong tries are counted for a name at one address, and for an address; past either bound they are
//! shut out until the window ends. Tries for a name from addresses it never signed in from are slowed more and more,
//! then shut out, together; an address from which the name signed in before is met by its own tries only, so that nobody shuts the
//! one administrator out from afar. Bounds: what is counted ([`ENTRIES_MAX`]) and remembered ([`KNOWN_MAX`], for
//! [`KNOWN_NS`], until the server restarts). Source: NIST SP 800-63B-4, section 3.2.2 (at most 100 tries, growing waits, addresses
//! that signed in before).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use nhatle_event::Timestamp;

use crate::session::token_sha256;

/// How many names and addresses are counted at most.
const ENTRIES_MAX: usize = 20_000;
/// How many names with an address they signed in from are remembered; past it the stalest is forgotten.
const KNOWN_MAX: usize = 10_000;
const SECOND_NS: i64 = 1_000_000_000;
/// How long such an address is remembered after the last sign-in: a month and a day, for who comes once a month.
const KNOWN_NS: i64 = 32 * 86_400 * SECOND_NS;
/// The window in which tries are counted.
const WINDOW_NS: i64 = 600 * SECOND_NS;
/// Wrong tries for one name from one address in a window.
const TRIES_OF_NAME_AT_ADDRESS_MAX: u32 = 10;
/// Wrong tries from one address in a window; a ward sits behind one address.
const TRIES_OF_ADDRESS_MAX: u32 = 40;
/// Tries for one name in a window, from all addresses it never signed in from.
const TRIES_OF_NAME_MAX: u32 = 100;
/// Past so many of them each waits, and for each ten more a second longer.
const TRIES_OF_NAME_AT_ONCE: u32 = 10;

/// What the brake says to one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The password may be looked at.
    Open,
    /// It may be looked at after so long.
    After(Duration),
    /// Too many tries, from this one on: worth writing down.
    JustShut,
    /// Too many tries, as before.
    Shut,
}

impl Admission {
    /// Waits where the try is only slowed, and says what holds then.
    pub async fn waited(self) -> Admission {
        let Admission::After(pause) = self else { return self };
        tokio::time::sleep(pause).await;
        Admission::Open
    }
}

type Key = [u8; 32];

/// Counts wrong tries by name and by address.
#[derive(Default)]
pub(crate) struct Brake {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When a window began, and how many tries there were in it.
    tries: HashMap<Key, (Timestamp, u32)>,
    /// Names at addresses from which they signed in, and when last.
    known: HashMap<Key, Timestamp>,
}

impl Brake {
    /// Counts a try before the password is looked at.
    pub fn admit(&self, user: &str, address: &str, now: Timestamp) -> Admission {
        let state = &mut *self.state();
        if ENTRIES_MAX <= state.tries.len() + 3 {
            state.tries.retain(|_, (start, _)| now.since(*start) <= WINDOW_NS);
        }
        let pair = pair_key(user, address);
        let is_known = state.known.get(&pair).is_some_and(|at| now.since(*at) <= KNOWN_NS);
        // The address first, and no further: one that is shut must not fill the table with names, or it would shut
        // everybody out.
        let narrow = [(address_key(address), TRIES_OF_ADDRESS_MAX), (pair, TRIES_OF_NAME_AT_ADDRESS_MAX)];
        for (key, tries_max) in narrow {
            match state.count(key, now) {
                // Others have filled the table.
                None if is_known => return Admission::Open,
                None => return Admission::Shut,
                Some(count) if count <= tries_max => {}
                Some(count) if count == tries_max + 1 => return Admission::JustShut,
                Some(_) => return Admission::Shut,
            }
        }
        if is_known {
            return Admission::Open;
        }
        match state.count(name_key(user), now) {
            Some(count) if count <= TRIES_OF_NAME_AT_ONCE => Admission::Open,
            Some(count) if count <= TRIES_OF_NAME_MAX => Admission::After(Duration::from_secs(u64::from(count / 10))),
            Some(count) if count == TRIES_OF_NAME_MAX + 1 => Admission::JustShut,
            None | Some(_) => Admission::Shut,
        }
    }

    /// Remembers that a name signed in from an address, forgets its tries there, and this one try of the address and of the name: a program that connects
    /// often must not shut itself out, and no right password buys guesses at others.
    pub fn was_right(&self, user: &str, address: &str, now: Timestamp) {
        let state = &mut *self.state();
        let pair = pair_key(user, address);
        state.tries.remove(&pair);
        let was_known = state.known.contains_key(&pair);
        if !was_known && KNOWN_MAX <= state.known.len() {
            let stalest = state.known.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key);
            stalest.and_then(|key| state.known.remove(&key));
        }
        state.known.insert(pair, now);
        let counted = if was_known { None } else { Some(name_key(user)) };
        for key in counted.into_iter().chain([address_key(address)]) {
            if let Some((_, count)) = state.tries.get_mut(&key) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }
}

impl State {
    /// One try more under this key, and how many there are in its window; `None` where the table is full.
    fn count(&mut self, key: Key, now: Timestamp) -> Option<u32> {
        if ENTRIES_MAX <= self.tries.len() && !self.tries.contains_key(&key) {
            return None;
        }
        let (start, count) = self.tries.entry(key).or_insert((now, 0));
        // Also where the clock was set back.
        if !(0..=WINDOW_NS).contains(&now.since(*start)) {
            (*start, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        Some(*count)
    }
}

/// A name as accounts are found by it: without case.
fn name_key(user: &str) -> Key {
    token_sha256(&format!("user\0{}", user.to_lowercase()))
}

fn address_key(address: &str) -> Key {
    token_sha256(&format!("address\0{}", sender(address)))
}

fn pair_key(user: &str, address: &str) -> Key {
    token_sha256(&format!("pair\0{}\0{}", sender(address), user.to_lowercase()))
}

/// One sender: whoever has a network of IPv6 has 2^64 addresses of it (RFC 4291, section 2.5.4).
fn sender(address: &str) -> String {
    match address.parse().map(|address: IpAddr| address.to_canonical()) {
        Ok(IpAddr::V6(six)) => format!("{:x}/64", six.to_bits() >> 64),
        Ok(four) => four.to_string(),
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000 * SECOND_NS);

    fn after(seconds: i64) -> Timestamp {
        START.plus_nanos(seconds * SECOND_NS)
    }

    #[test]
    fn guessing_is_braked_for_a_name_at_an_address_and_for_an_address() {
        let brake = Brake::default();
        assert!((0..10).all(|_| brake.admit("an", "10.0.0.1", START) == Admission::Open));
        assert_eq!(brake.admit("An", "10.0.0.1", START), Admission::JustShut, "by name, in any case");
        assert_eq!(brake.admit("an", "10.0.0.1", START), Admission::Shut, "written down once");
        assert_eq!(brake.admit("binh", "10.0.0.1", START), Admission::Open, "who shares the address");
        assert_eq!(brake.admit("an", "10.0.0.1", after(601)), Admission::Open, "the window ends");
        let brake = Brake::default();
        for _ in 0..100 {
            assert_eq!(brake.admit("an", "10.0.0.1", START), Admission::Open, "right ones do not count");
            brake.was_right("an", "10.0.0.1", START);
        }
        assert!((0..40).all(|guess| brake.admit(&format!("user{guess}"), "10.0.0.1", START) == Admission::Open));
        assert_eq!(brake.admit("another", "10.0.0.1", START), Admission::JustShut, "by address");
        for guess in 0..ENTRIES_MAX {
            brake.admit(&format!("filler{guess}"), "10.0.0.1", START);
        }
        assert_eq!(brake.admit("lan", "10.0.0.2", START), Admission::Open, "nobody shuts others out");
        let of_network = |guess: u32| brake.admit(&format!("n{guess}"), &format!("2001:db8::{guess}"), START);
        assert!((0..40).all(|guess| of_network(guess) == Admission::Open));
        assert_eq!(brake.admit("n40", "2001:db8::ffff", START), Admission::JustShut, "a network of IPv6 is one sender");
        assert_eq!(brake.admit("n40", "2001:db8:0:1::1", START), Admission::Open, "the next one is another");
    }

    #[test]
    fn guesses_at_a_name_from_everywhere_do_not_shut_it_out_where_it_signed_in_before() {
        let brake = Brake::default();
        let guess = |from: u32| brake.admit("quantri", &format!("10.1.{}.{}", from / 256, from % 256), after(10));
        brake.admit("quantri", "10.0.0.1", START);
        brake.was_right("quantri", "10.0.0.1", START);
        assert!((0..10).all(|from| guess(from) == Admission::Open));
        assert_eq!(guess(10), Admission::After(Duration::from_secs(1)), "slowed");
        let rest: Vec<Admission> = (11..100).map(guess).collect();
        assert!(rest.iter().all(|one| matches!(one, Admission::After(_))));
        assert_eq!(rest.last(), Some(&Admission::After(Duration::from_secs(10))));
        assert_eq!((guess(100), guess(101)), (Admission::JustShut, Admission::Shut));
        // Whoever signed in before is met by nothing of it, but by wrong tries of his own.
        assert!((0..10).all(|_| brake.admit("quantri", "10.0.0.1", after(20)) == Admission::Open));
        assert_eq!(brake.admit("quantri", "10.0.0.1", after(20)), Admission::JustShut);
        assert_eq!(brake.admit("quantri", "10.0.0.1", after(700)), Admission::Open);
        brake.was_right("quantri", "10.0.0.1", after(700));
        // Also where the table was filled from everywhere.
        for from in 0..u32::try_from(ENTRIES_MAX).expect("small") {
            brake.admit(&format!("filler{from}"), &format!("{from}"), after(1_400));
        }
        assert_eq!(brake.admit("quantri", "10.0.0.1", after(1_400)), Admission::Open);
        assert_eq!(brake.admit("quantri", "10.0.0.2", after(1_400)), Admission::Shut);
        assert!(brake.state().tries.len() <= ENTRIES_MAX);
        for user in 0..KNOWN_MAX + 10 {
            brake.was_right(&format!("u{user}"), "10.0.0.3", after(1_500));
        }
        assert_eq!(brake.state().known.len(), KNOWN_MAX);
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out() {
        let brake = Brake::default();
        let shut = (0..20).filter(|_| brake.admit("an", "10.0.0.1", START) != Admission::Open).count();
        assert!(0 < shut);
        assert_eq!(brake.admit("an", "10.0.0.1", Timestamp(0)), Admission::Open);
    }
}
