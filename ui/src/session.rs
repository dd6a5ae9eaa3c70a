//! Passwords and sessions.
//!
//! In: typed passwords, session cookies. Out: PHC strings, session ids, yes or no. Promise: a session is
//! found by the hash of its id only, ends when idle or old, and their table is bounded. Failure: a refused
//! password or session is `None`/`false`, never a reason. Source: OWASP Password Storage (argon2id, 19 MiB,
//! 2 passes), OWASP Session Management (256-bit ids, idle and absolute end).

use std::collections::HashMap;
use std::sync::Mutex;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use nhatle_event::Timestamp;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

/// How many sessions are open at once at most; the one idle longest makes room.
pub const SESSIONS_MAX: usize = 10_000;
/// The shortest password taken, in characters (NIST SP 800-63B-4: 15 without a second factor; 12 here as a floor).
pub const PASSWORD_CHARS_MIN: usize = 12;
/// The longest password taken, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 256;

const SECOND_NS: i64 = 1_000_000_000;
/// A person away for an hour signs in again.
const IDLE_NS: i64 = 3600 * SECOND_NS;
/// One shift and a hand-over.
const ABSOLUTE_NS: i64 = 12 * 3600 * SECOND_NS;

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
}
