//! Requests to cancel: a connection of their own names another one and its secret.
//!
//! In: the number and the secret. Out: that connection's statement ends. Promise: a request with a wrong secret does nothing and
//! is told nothing; one that comes late does not end the next statement. Source: PostgreSQL 15, chapter 55.2.8.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rand::RngCore;

use super::query::Stop;

/// The sessions, and what each runs now.
#[derive(Default)]
pub struct Cancels {
    sessions: Mutex<HashMap<i32, Known>>,
    last: std::sync::atomic::AtomicI32,
}

struct Known {
    key: Bytes,
    stop: Option<Arc<Stop>>,
}

/// One session's entry; gone when dropped.
pub struct Registered {
    of: Arc<Cancels>,
    /// The number clients know it by.
    pub pid: i32,
    /// Its secret.
    pub key: Bytes,
}

impl Cancels {
    /// A session with a secret of so many bytes.
    pub fn register(self: &Arc<Self>, key_bytes: usize) -> Registered {
        let mut key = vec![0; key_bytes];
        rand::rng().fill_bytes(&mut key);
        let key = Bytes::from(key);
        let mut sessions = self.lock();
        let pid = loop {
            let next = self.last.fetch_add(1, std::sync::atomic::Ordering::Relaxed).rem_euclid(i32::MAX) + 1;
            if !sessions.contains_key(&next) {
                break next;
            }
        };
        sessions.insert(pid, Known { key: key.clone(), stop: None });
        drop(sessions);
        Registered { of: Arc::clone(self), pid, key }
    }

    /// Ends what this session runs, if the secret is right.
    pub fn cancel(&self, pid: i32, key: &Bytes) {
        let sessions = self.lock();
        let known = sessions.get(&pid).filter(|known| is_same(&known.key, key));
        if let Some(stop) = known.and_then(|known| known.stop.as_ref()) {
            stop.stop();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Known>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    /// What this session runs now.
    pub fn runs(&self, stop: Option<Arc<Stop>>) {
        if let Some(known) = self.of.lock().get_mut(&self.pid) {
            known.stop = stop;
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.of.lock().remove(&self.pid);
    }
}

/// Compares without telling by time where they differ.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differs, (left, right)| differs | (left ^ right)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_secret_ends_what_runs_now() {
        let cancels = Arc::new(Cancels::default());
        let (first, second) = (cancels.register(4), cancels.register(32));
        assert_ne!(first.pid, second.pid);
        let stop = Arc::new(Stop::default());
        first.runs(Some(Arc::clone(&stop)));
        cancels.cancel(first.pid, &Bytes::from_static(b"wrong"));
        cancels.cancel(second.pid, &second.key);
        cancels.cancel(first.pid, &second.key);
        assert!(!stop.is_stopped());
        cancels.cancel(first.pid, &first.key);
        assert!(stop.is_stopped());
        let pid = first.pid;
        drop(first);
        cancels.cancel(pid, &Bytes::new());
        assert_eq!(cancels.lock().len(), 1);
    }
}
