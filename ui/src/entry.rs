//! `Entry`: signing in with a name and a password where there are no pages, as PostgreSQL's clients do.
//!
//! In: a name, a password or an access token in its place, an address. Out: a [`Viewer`] and a [`Pass`] to ask again with.
//! Promise: the same accounts, the same brake on guessing and the same audit trail as the pages; a wrong name and a wrong
//! password take as long; a role that may not search does not come in; a pass ends with its account, its token or its password.
//! Failure: [`NotIn`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nhatle_event::{Clock, Timestamp};
use tokio::sync::Semaphore;

use crate::account::{Account, Role, USER_BYTES_MAX, Viewer};
use crate::auth::{TOKEN_BYTES_MAX, enabled};
use crate::brake::{Admission, Brake};
use crate::desk::{Answer, Desk, SignIn};
use crate::session::{token_sha256, verify_password};
use crate::state::PASSWORD_CHECKS_MAX;

/// A program that connects again and again is written down once in this time.
const NOTED_NS: i64 = 3_600 * 1_000_000_000;
/// How many names with addresses are remembered for that.
const NOTED_MAX: usize = 1_000;

/// Why somebody does not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotIn {
    /// The name or the password is wrong, or the account is disabled.
    Wrong,
    /// Too many tries; the password was not looked at.
    TooMany,
    /// The role may not search.
    Forbidden,
    /// It could not be found out.
    Unavailable,
}

/// With what somebody came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// An account, and the hash of what its password was stored as.
    Password(String, [u8; 32]),
    /// The hash of an access token.
    Token([u8; 32]),
}

/// The door for names and passwords.
pub struct Entry {
    desk: Arc<dyn Desk>,
    clock: Arc<dyn Clock>,
    brake: Brake,
    checks: Semaphore,
    noted: Mutex<HashMap<(String, String), Timestamp>>,
}

impl Entry {
    /// A door over this desk.
    pub fn new(desk: Arc<dyn Desk>, clock: Arc<dyn Clock>) -> Entry {
        let checks = Semaphore::new(PASSWORD_CHECKS_MAX);
        Entry { desk, clock, brake: Brake::default(), checks, noted: Mutex::default() }
    }

    /// Lets somebody in.
    ///
    /// # Errors
    /// [`NotIn`]; what is worth it is written to the audit trail.
    pub async fn admit(&self, user: &str, password: &str, address: &str) -> Result<(Viewer, Pass), NotIn> {
        if USER_BYTES_MAX < user.len() || TOKEN_BYTES_MAX < password.len() || password.is_empty() {
            return Err(NotIn::Wrong);
        }
        // A token has 256 random bits: it needs no brake, and a brake that others pulled does not keep it out.
        let token = token_sha256(password);
        if let Some(account) = self.blocking(move |desk| desk.token_account(&token)).await? {
            let viewer = enabled(account).ok_or(NotIn::Wrong)?;
            return if viewer.role == Role::Ingest { Err(NotIn::Forbidden) } else { Ok((viewer, Pass::Token(token))) };
        }
        let now = self.clock.now();
        match self.brake.admit(user, address, now).waited().await {
            Admission::Open | Admission::After(_) => {}
            Admission::JustShut => {
                self.record(user, address, SignIn::RateLimited).await?;
                return Err(NotIn::TooMany);
            }
            Admission::Shut => return Err(NotIn::TooMany),
        }
        let name = user.to_owned();
        let account = self.blocking(move |desk| desk.account(&name)).await?;
        let account = account.filter(|account| !account.is_disabled);
        let hash = account.as_ref().and_then(|account| account.password_hash.clone());
        let (typed, stored) = (password.to_owned(), hash.clone());
        let _room = self.checks.acquire().await.map_err(|_closed| NotIn::Unavailable)?;
        let checked = tokio::task::spawn_blocking(move || verify_password(&typed, stored.as_deref())).await;
        let (Some(account), Some(hash)) = (account.filter(|_| checked.is_ok_and(|is_right| is_right)), hash) else {
            self.record(user, address, SignIn::Refused).await?;
            return Err(NotIn::Wrong);
        };
        self.brake.was_right(user, address, now);
        if account.role == Role::Ingest {
            return Err(NotIn::Forbidden);
        }
        if self.is_worth_noting(user, address, now) {
            self.record(user, address, SignIn::Accepted).await?;
        }
        Ok((account.viewer(), Pass::Password(account.user, token_sha256(&hash))))
    }

    /// Who somebody that came in is now; `None` once the pass does not hold any more.
    ///
    /// # Errors
    /// [`NotIn::Unavailable`].
    pub async fn again(&self, pass: &Pass) -> Result<Option<Viewer>, NotIn> {
        let account = match pass.clone() {
            Pass::Token(token) => self.blocking(move |desk| desk.token_account(&token)).await?,
            Pass::Password(user, hash) => {
                let account = self.blocking(move |desk| desk.account(&user)).await?;
                let holds =
                    |account: &Account| account.password_hash.as_deref().is_some_and(|now| token_sha256(now) == hash);
                account.filter(holds)
            }
        };
        Ok(account.and_then(enabled).filter(|viewer| viewer.role != Role::Ingest))
    }

    fn is_worth_noting(&self, user: &str, address: &str, now: Timestamp) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if NOTED_MAX <= noted.len() {
            noted.retain(|_, at| now.since(*at) <= NOTED_NS);
        }
        if NOTED_MAX <= noted.len() {
            noted.clear();
        }
        let key = (user.to_owned(), address.to_owned());
        let is_known = noted.get(&key).is_some_and(|at| now.since(*at) <= NOTED_NS);
        if !is_known {
            noted.insert(key, now);
        }
        !is_known
    }

    async fn record(&self, user: &str, address: &str, outcome: SignIn) -> Result<(), NotIn> {
        let (user, address) = (user.to_owned(), address.to_owned());
        self.blocking(move |desk| desk.record_sign_in(&user, &address, outcome)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Desk) -> Answer<T> + Send + 'static,
    ) -> Result<T, NotIn> {
        let desk = Arc::clone(&self.desk);
        let called = tokio::task::spawn_blocking(move || call(&*desk)).await;
        called.map_err(|_panicked| NotIn::Unavailable)?.map_err(|error| {
            tracing::warn!(error.message = %error, "a sign-in could not be looked at");
            NotIn::Unavailable
        })
    }
}
