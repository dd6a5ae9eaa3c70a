//! What all requests share: the desk, the configuration, sessions, brakes and limits.
//!
//! In: [`UiConfig`] and a [`Desk`]. Out: [`State`]. Promise: at most [`BLOCKING_MAX`] desk calls and
//! [`STREAMS_MAX`] live streams and [`TAILS_MAX`] live tails run at once, and a part of them for one account. Failure: [`Failure::Busy`], [`Failure::Internal`].

use std::sync::Arc;

use nhatle_event::{Clock, SystemClock};
use tokio::sync::Semaphore;

use crate::brake::Brake;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::searches::Searches;
use crate::session::Sessions;

/// How many desk calls run at once; more wait.
pub const BLOCKING_MAX: usize = 32;
/// How many passwords are checked at once; each takes 19 MiB.
pub const PASSWORD_CHECKS_MAX: usize = 2;
/// How many live streams are open at once.
pub const STREAMS_MAX: usize = 512;

/// How many of one account.
pub const STREAMS_OF_ONE_MAX: usize = 64;

/// How many live tails are open at once.
pub const TAILS_MAX: usize = 64;
/// How many of one account or token.
pub const TAILS_OF_ONE_MAX: usize = 8;

/// How the pages behave.
#[derive(Clone)]
pub struct UiConfig {
    /// Browsers reach us over TLS: cookies are `Secure` and named `__Host-…`, HSTS is sent.
    pub is_tls: bool,
    /// The zone of the pages, in seconds east of UTC. Viet Nam has had +07:00 without summer time since 1975.
    pub zone_offset_s: i32,
    /// Who we are, shown beside the name: the city's or organization's name.
    pub organization: String,
    /// A drill: shown on every page.
    pub is_exercise: bool,
    /// Where the present moment comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for UiConfig {
    fn default() -> UiConfig {
        UiConfig {
            is_tls: false,
            zone_offset_s: 7 * 3600,
            organization: String::new(),
            is_exercise: false,
            clock: Arc::new(SystemClock),
        }
    }
}

/// What all requests share.
pub(crate) struct State {
    pub desk: Arc<dyn Desk>,
    pub config: UiConfig,
    pub sessions: Sessions,
    pub brake: Brake,
    pub streams: Arc<Searches>,
    pub tails: Arc<Searches>,
    pub searches: Arc<Searches>,
    calls: Semaphore,
    password_checks: Semaphore,
}

impl State {
    pub fn new(desk: Arc<dyn Desk>, config: UiConfig) -> State {
        State {
            desk,
            config,
            sessions: Sessions::default(),
            brake: Brake::default(),
            streams: Arc::new(Searches::new(STREAMS_MAX, STREAMS_OF_ONE_MAX)),
            tails: Arc::new(Searches::new(TAILS_MAX, TAILS_OF_ONE_MAX)),
            searches: Arc::default(),
            calls: Semaphore::new(BLOCKING_MAX),
            password_checks: Semaphore::new(PASSWORD_CHECKS_MAX),
        }
    }

    /// Runs a call of the desk on a blocking thread, waiting for room.
    pub async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Desk) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let _room = self.calls.acquire().await.map_err(|_closed| Failure::Busy)?;
        let desk = Arc::clone(&self.desk);
        tokio::task::spawn_blocking(move || call(&*desk)).await.map_err(|error| {
            tracing::error!(error.message = %error, "a call of the desk ended badly");
            Failure::Internal
        })
    }

    /// Runs password work on a blocking thread, at most [`PASSWORD_CHECKS_MAX`] at once.
    pub async fn password_work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let _room = self.password_checks.acquire().await.map_err(|_closed| Failure::Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|_panicked| Failure::Internal)
    }

    /// The session cookie's name. `__Host-` binds it to this host and TLS (RFC 6265bis, section 4.1.3).
    pub fn session_cookie(&self) -> &'static str {
        if self.config.is_tls { "__Host-nhatle" } else { "nhatle" }
    }

    /// The cookie that binds forms shown before sign-in.
    pub fn visitor_cookie(&self) -> &'static str {
        if self.config.is_tls { "__Host-nhatle-visitor" } else { "nhatle-visitor" }
    }
}
