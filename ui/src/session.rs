//! Passwords, sessions and the brake on guessing.
//!
//! In: typed passwords, session cookies. Out: PHC strings, session ids, yes or no. Promise: a session is
//! found by the hash of its id only, ends when idle or old, and both tables are bounded. Failure: a refused
//! password or session is `None`/`false`, never a reason. Source: OWASP Password Storage (argon2id, 19 MiB,
//! 2 passes), OWASP Session Management (256-bit ids, idle and absolute end).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use nhatle_event::Timestamp;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

/// How many sessions are open at once at most; the one idle longest makes room.
pub const SESSIONS_MAX: usize = 10_000;
/// How many names and addresses the brake remembers at most.
pub const BRAKE_ENTRIES_MAX: usize = 20_000;
/// The shortest password taken, in characters (NIST SP 800-63B-4: 15 without a second factor; 12 here as a floor).
pub const PASSWORD_CHARS_MIN: usize = 12;
/// The longest password taken, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 256;

const SECOND_NS: i64 = 1_000_000_000;
/// A person away for an hour signs in again.
const IDLE_NS: i64 = 3600 * SECOND_NS;
/// One shift and a hand-over.
const ABSOLUTE_NS: i64 = 12 * 3600 * SECOND_NS;
/// The window in which tries are counted.
const BRAKE_WINDOW_NS: i64 = 600 * SECOND_NS;
/// Wrong tries for one name in a window.
const TRIES_PER_USER_MAX: u32 = 10;
/// Wrong tries from one address in a window; a ward sits behind one address.
const TRIES_PER_ADDRESS_MAX: u32 = 40;

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("password hash: {reason}")]
pub struct PasswordError {
    /// What argon2 said.
    pub reason: String,
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(19 * 1024, 2, 1, None).map_err(|error| PasswordError { reason: error.to_string() })?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Whether a new password may be used: its length, and nothing else (NIST SP 800-63B).
pub fn is_acceptable_password(password: &str) -> bool {
    PASSWORD_CHARS_MIN <= password.chars().count() && password.len() <= PASSWORD_BYTES_MAX
}

/// The PHC string of a password, with a fresh salt. Takes some 50 ms; not for an async thread.
///
/// # Errors
/// The password is longer than argon2 takes.
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    let mut salt = [0u8; 16];
    OsRng.try_fill_bytes(&mut salt).expect("the operating system gives random bytes");
    let failed = |error: argon2::password_hash::Error| PasswordError { reason: error.to_string() };
    let salt = SaltString::encode_b64(&salt).map_err(failed)?;
    Ok(argon2()?.hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

/// Whether this is the password. Without a hash (no such account) it takes as long and is `false`.
pub fn verify_password(password: &str, hash: Option<&str>) -> bool {
    if PASSWORD_BYTES_MAX < password.len() {
        return false;
    }
    match hash.and_then(|hash| PasswordHash::new(hash).ok()) {
        Some(parsed) => Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok(),
        None => hash_password(password).is_ok_and(|_spent| false),
    }
}

/// 256 random bits as 64 hexadecimal digits: session ids, CSRF tokens, bearer tokens.
pub fn random_token() -> String {
    let mut bytes = [0u8; 32];
    OsRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    nhatle_event::json::hex(&bytes)
}

/// SHA-256 of a token's text: what is stored in place of the token.
pub fn token_sha256(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Compares secrets without telling by time where they differ (their hashes are compared).
pub(crate) fn is_same_secret(left: &str, right: &str) -> bool {
    !left.is_empty() && token_sha256(left) == token_sha256(right)
}

/// One signed-in browser.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The account.
    pub user: String,
    /// The token every form of this session carries.
    pub csrf: String,
    /// Hash of the account's password hash: a new password ends the other sessions.
    credential: [u8; 32],
    started: Timestamp,
    seen: Timestamp,
}

/// The open sessions, by SHA-256 of their id.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<[u8; 32], Session>>,
}

impl Sessions {
    /// Opens a session and gives its id, which is not kept.
    pub fn start(&self, user: &str, password_hash: &str, now: Timestamp) -> String {
        let id = random_token();
        let session = Session {
            user: user.to_owned(),
            csrf: random_token(),
            credential: token_sha256(password_hash),
            started: now,
            seen: now,
        };
        let mut open = self.lock();
        if SESSIONS_MAX <= open.len() {
            open.retain(|_, session| !session.is_over(now));
        }
        if SESSIONS_MAX <= open.len() {
            let idle = open.iter().min_by_key(|(_, session)| session.seen).map(|(key, _)| *key);
            if let Some(key) = idle {
                open.remove(&key);
            }
        }
        open.insert(token_sha256(&id), session);
        id
    }

    /// The session of this id, seen now; `None` when there is none or it is over.
    pub fn find(&self, id: &str, now: Timestamp) -> Option<Session> {
        let key = token_sha256(id);
        let mut open = self.lock();
        let session = open.get_mut(&key)?;
        if session.is_over(now) {
            open.remove(&key);
            return None;
        }
        session.seen = now;
        Some(session.clone())
    }

    /// The session of this id, without counting as use of it.
    pub fn look(&self, id: &str, now: Timestamp) -> Option<Session> {
        self.lock().get(&token_sha256(id)).filter(|session| !session.is_over(now)).cloned()
    }

    /// Ends a session.
    pub fn end(&self, id: &str) {
        self.lock().remove(&token_sha256(id));
    }

    /// Ends every session of an account.
    pub fn end_all(&self, user: &str) {
        self.lock().retain(|_, session| session.user != user);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.open.lock().expect("no code panics while it holds this lock")
    }
}

impl Session {
    /// Whether the account still has the password this session was opened with.
    pub fn fits(&self, password_hash: Option<&str>) -> bool {
        password_hash.is_some_and(|hash| token_sha256(hash) == self.credential)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        // Also where the clock was set back since, by more than a little.
        IDLE_NS < now.since(self.seen).saturating_abs() || ABSOLUTE_NS < now.since(self.started)
    }
}

/// What the brake says to one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The password may be looked at.
    Open,
    /// Too many tries, from this one on: worth writing down.
    JustShut,
    /// Too many tries, as before.
    Shut,
}

/// Counts wrong tries by name and by address.
#[derive(Default)]
pub(crate) struct Brake {
    tries: Mutex<HashMap<[u8; 32], (Timestamp, u32)>>,
}

impl Brake {
    /// Counts a try before the password is looked at.
    pub fn admit(&self, user: &str, address: &str, now: Timestamp) -> Admission {
        let keys = [(Self::address_key(address), TRIES_PER_ADDRESS_MAX), (Self::user_key(user), TRIES_PER_USER_MAX)];
        let mut tries = self.tries.lock().expect("no code panics while it holds this lock");
        if BRAKE_ENTRIES_MAX <= tries.len() + keys.len() {
            tries.retain(|_, (start, _)| now.since(*start) <= BRAKE_WINDOW_NS);
        }
        for (key, tries_max) in keys {
            if BRAKE_ENTRIES_MAX <= tries.len() && !tries.contains_key(&key) {
                return Admission::Shut;
            }
            let (start, count) = tries.entry(key).or_insert((now, 0));
            if !(0..=BRAKE_WINDOW_NS).contains(&now.since(*start)) {
                (*start, *count) = (now, 0);
            }
            *count = count.saturating_add(1);
            // The address first, and no further: one that is shut must not fill the table with names, or it would shut
            // everybody out.
            match *count {
                count if count <= tries_max => {}
                count if count == tries_max + 1 => return Admission::JustShut,
                _ => return Admission::Shut,
            }
        }
        Admission::Open
    }

    /// Forgets the tries for a name whose password was right, and this one try of the address: a program that connects
    /// often must not shut itself out, and no right password buys guesses at others.
    pub fn was_right(&self, user: &str, address: &str) {
        let mut tries = self.tries.lock().expect("no code panics while it holds this lock");
        tries.remove(&Self::user_key(user));
        if let Some((_, count)) = tries.get_mut(&Self::address_key(address)) {
            *count = count.saturating_sub(1);
        }
    }

    /// A name as accounts are found by it: without case.
    fn user_key(user: &str) -> [u8; 32] {
        token_sha256(&format!("user\0{}", user.to_lowercase()))
    }

    /// One sender: whoever has a network of IPv6 has 2^64 addresses of it (RFC 4291, section 2.5.4).
    fn address_key(address: &str) -> [u8; 32] {
        let sender = match address.parse().map(|address: IpAddr| address.to_canonical()) {
            Ok(IpAddr::V6(six)) => format!("{:x}/64", six.to_bits() >> 64),
            Ok(four) => four.to_string(),
            Err(_) => address.to_owned(),
        };
        token_sha256(&format!("address\0{sender}"))
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
    fn a_password_is_known_by_its_hash_only() {
        let hash = hash_password("mật khẩu đủ dài").expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify_password("mật khẩu đủ dài", Some(&hash)));
        for (password, hash) in [("other", Some(hash.as_str())), ("mật khẩu đủ dài", None), ("x", Some("no hash"))]
        {
            assert!(!verify_password(password, hash));
        }
        assert!(!is_acceptable_password("elevenchars"));
        assert!(is_acceptable_password("twelve chars"));
    }

    #[test]
    fn a_session_ends_when_idle_old_closed_or_the_password_changes() {
        let sessions = Sessions::default();
        let id = sessions.start("an", "hash-1", START);
        assert!(sessions.find(&id, after(3600)).is_some());
        assert!(sessions.find(&id, after(7201)).is_none(), "idle");
        let id = sessions.start("an", "hash-1", START);
        assert!((1..=12).all(|hour| sessions.find(&id, after(hour * 3600)).is_some()));
        assert!(sessions.find(&id, after(12 * 3600 + 1)).is_none(), "old");
        let id = sessions.start("an", "hash-1", START);
        let session = sessions.find(&id, START).expect("open");
        assert!(session.fits(Some("hash-1")) && !session.fits(Some("hash-2")) && !session.fits(None));
        sessions.end(&id);
        assert!(sessions.find(&id, START).is_none(), "closed");
        assert!(sessions.find("", START).is_none());
    }

    #[test]
    fn the_table_of_sessions_is_bounded() {
        let sessions = Sessions::default();
        let first = sessions.start("first", "h", START);
        for _ in 0..SESSIONS_MAX {
            sessions.start("an", "h", after(1));
        }
        assert_eq!(sessions.lock().len(), SESSIONS_MAX);
        assert!(sessions.find(&first, after(2)).is_none());
    }

    #[test]
    fn guessing_is_braked_by_name_and_by_address() {
        let brake = Brake::default();
        assert!((0..10).all(|_| brake.admit("an", "10.0.0.1", START) == Admission::Open));
        assert_eq!(brake.admit("An", "10.9.9.9", START), Admission::JustShut, "by name, in any case");
        assert_eq!(brake.admit("an", "10.9.9.9", START), Admission::Shut, "written down once");
        assert_eq!(brake.admit("an", "10.9.9.9", after(601)), Admission::Open, "the window ends");
        let brake = Brake::default();
        for _ in 0..100 {
            assert_eq!(brake.admit("an", "10.0.0.1", START), Admission::Open, "right ones do not count");
            brake.was_right("an", "10.0.0.1");
        }
        assert!((0..40).all(|guess| brake.admit(&format!("user{guess}"), "10.0.0.1", START) == Admission::Open));
        assert_eq!(brake.admit("another", "10.0.0.1", START), Admission::JustShut, "by address");
        for guess in 0..BRAKE_ENTRIES_MAX {
            brake.admit(&format!("filler{guess}"), "10.0.0.1", START);
        }
        assert_eq!(brake.admit("lan", "10.0.0.2", START), Admission::Open, "nobody shuts others out");
        assert!((0..40).all(|guess| brake.admit(&format!("n{guess}"), &format!("2001:db8::{guess}"), START) == Admission::Open));
        assert_eq!(brake.admit("n40", "2001:db8::ffff", START), Admission::JustShut, "a network of IPv6 is one sender");
        assert_eq!(brake.admit("n40", "2001:db8:0:1::1", START), Admission::Open, "the next one is another");
        for guess in 0..BRAKE_ENTRIES_MAX {
            brake.admit(&format!("filler{guess}"), &format!("{guess}"), START);
        }
        assert!(brake.tries.lock().expect("free").len() <= BRAKE_ENTRIES_MAX);
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out() {
        let brake = Brake::default();
        let shut = (0..20).filter(|_| brake.admit("an", "10.0.0.1", START) != Admission::Open).count();
        assert!(0 < shut);
        assert_eq!(brake.admit("an", "10.0.0.1", Timestamp(0)), Admission::Open);
    }
}
