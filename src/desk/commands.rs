//! What commands beside a running server have done by it ([`crate::handover`]): erasing, hunting. As the pages and the API do it,
//! in the name of whoever owns the data folder; on the calling thread, until it is done or the server ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nhatle_engine::account::Role;
use nhatle_engine::hunt::HuntOutcome;
use serde_json::{Value, json};

use super::LiveDesk;
use super::erasure::run_paced;
use crate::command::accounts::ACTOR;
use crate::erasure::{self, Order, Refusal, Wanted};
use crate::handover::server::Ended;
use crate::hunt::{Range, guest, job};

/// Who hunts, as `nhatle replay --store` alone writes it down.
const HUNTER: &str = "nhatle replay";
/// How often it is looked whether a hunt is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

fn failed(error: impl std::fmt::Display) -> Ended {
    Ended::Failed(format!("{error:#}"))
}

impl LiveDesk {
    /// Erases what was counted and confirmed.
    ///
    /// # Errors
    /// It is refused, or does not come to its end.
    pub(crate) fn erase_for_command(
        &self,
        wanted: &Wanted,
        (by, basis): (&str, &str),
        expect: u64,
        is_stopping: &AtomicBool,
    ) -> Result<Value, Ended> {
        let shared = &self.shared;
        // Whoever was made an administrator just now is one.
        shared.registry.catch_up().map_err(failed)?;
        let is_admin = shared.registry.read(|state| {
            state.accounts.get(by).is_some_and(|account| account.role == Role::Admin && !account.is_disabled)
        });
        if !is_admin {
            return Err(Ended::Refused(format!("--by: {by} is no administrator's account")));
        }
        let busy = |_busy| Ended::Failed("the server erases already; ask again when that is done".to_owned());
        let turn = self.erasing.take_turn().map_err(busy)?;
        let order = Order { actor: ACTOR.to_owned(), by: by.to_owned(), basis: basis.to_owned(), expect };
        let begun =
            erasure::begin((&shared.store, &shared.registry), wanted, order, self.now()).map_err(
                |error| match error.downcast::<Refusal>() {
                    Ok(refusal) => Ended::Refused(format!("not erased: {refusal}")),
                    Err(other) => failed(other),
                },
            )?;
        turn.follow(&begun);
        match run_paced(shared, begun, &|| !is_stopping.load(Ordering::Relaxed)) {
            Ok(done) if done.is_given_up => {
                Err(Ended::Failed("the server ends; the erasure goes on when it starts again".to_owned()))
            }
            Ok(done) => Ok(json!({
                "number": done.number, "events": done.events, "segments": done.segments, "receipt": done.receipt,
            })),
            Err(error) => {
                let told = failed(&error);
                turn.end(Err(error));
                Err(told)
            }
        }
    }

    /// Hunts with a rule, or with all, and stores what is new as alerts.
    ///
    /// # Errors
    /// It is refused, or does not come to its end.
    pub(crate) fn hunt_for_command(
        &self,
        rule: Option<&str>,
        range: Range,
        is_stopping: &AtomicBool,
    ) -> Result<Value, Ended> {
        let rules = self.shared.rules();
        let rules = match rule {
            None => rules,
            Some(id) => job::rules_of(&rules, id).ok_or_else(|| Ended::Refused(format!("--rule: no rule {id}")))?,
        };
        let number = self.guests.hunt(rules, rule.unwrap_or("*"), range, HUNTER).map_err(|refused| match refused {
            guest::Refused::Busy => Ended::Failed("the server hunts already; ask again when that is done".to_owned()),
            _ => Ended::Failed("the hunt did not begin; the server's log says why".to_owned()),
        })?;
        let ended = || self.shared.registry.read(|state| state.hunts.get(&number)?.ended.clone());
        while self.guests.running().is_some_and(|running| running.number == number) {
            if is_stopping.load(Ordering::Relaxed) {
                return Err(Ended::Failed(format!(
                    "the server ends; hunt {number} ends with it, what it stored stands"
                )));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        let (outcome, counts) = match ended() {
            Some((_, outcome, _, counts)) => (outcome, counts),
            None => return Err(Ended::Failed(format!("hunt {number} has no end; the server's log says why"))),
        };
        match outcome {
            HuntOutcome::Failed => Err(Ended::Failed(format!("hunt {number} failed; the server's log says why"))),
            _ => Ok(json!({"hunt": number, "outcome": outcome, "counts": counts})),
        }
    }
}
