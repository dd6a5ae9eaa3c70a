//! How many queries run at once, and how many of one account. One more waits a while for its turn; a query counts until what
//! drives it is done, also when nobody waits for its answer any more; the tasks it began are then told to end, and do at their
//! next batch. A query whose answer was put aside gives its turn to one that waits ([`Turn::give_up`]), each to another one.
//!
//! Promise: an account has at most half of the turns while another one asks too (it asked within [`OTHERS_WITHIN`]), so one
//! that fills the gate is not met by the others again; of those that wait, an account that has fewer turns goes first.
//! Bounds: waiting queries of one account ([`WAITING_MAX`]), accounts that are remembered ([`ACCOUNTS_MAX`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How many queries of one account wait; one more is told at once that there is no turn. Four full gates.
const WAITING_MAX: usize = 16;
/// An account that asked so lately counts as one of several.
const OTHERS_WITHIN: Duration = Duration::from_secs(600);
/// How many accounts are remembered that neither run nor wait.
const ACCOUNTS_MAX: usize = 256;

/// The gate.
pub struct Gate {
    counts: Mutex<Counts>,
    left: Condvar,
    running_max: usize,
}

#[derive(Default)]
struct Counts {
    accounts: BTreeMap<Arc<str>, Account>,
    running: usize,
}

struct Account {
    running: usize,
    waiting: usize,
    /// Of those that run, so many end for one that waits.
    giving_up: usize,
    asked: Instant,
}

/// One query that runs.
pub struct Turn {
    gate: Arc<Gate>,
    account: Arc<str>,
    is_given_up: bool,
}

impl Gate {
    /// A gate for so many.
    pub fn new(running_max: usize) -> Arc<Gate> {
        Arc::new(Gate { counts: Mutex::default(), left: Condvar::new(), running_max })
    }

    /// Waits for a turn of an account; `None` where none came in time, or too many of its own wait.
    pub fn enter(self: &Arc<Gate>, account: &Arc<str>, wait: Duration) -> Option<Turn> {
        let now = Instant::now();
        let mut counts = self.counts();
        counts.forget(now);
        let own = counts.account(account, now);
        if WAITING_MAX <= own.waiting {
            return None;
        }
        own.waiting += 1;
        while !counts.may_enter(account, self.running_max) {
            let left = (now + wait).saturating_duration_since(Instant::now());
            if left.is_zero() {
                counts.account(account, now).waiting -= 1;
                drop(counts);
                // Others may have let it go first.
                self.left.notify_all();
                return None;
            }
            counts = self.left.wait_timeout(counts, left).expect("no code panics while it holds this lock").0;
        }
        let own = counts.account(account, now);
        own.waiting -= 1;
        own.running += 1;
        counts.running += 1;
        drop(counts);
        // Those it let go first are let in, too, where there is room.
        self.left.notify_all();
        Some(Turn { gate: Arc::clone(self), account: Arc::clone(account), is_given_up: false })
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.counts().running
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("no code panics while it holds this lock")
    }
}

impl Counts {
    fn account(&mut self, name: &Arc<str>, now: Instant) -> &mut Account {
        let empty = || Account { running: 0, waiting: 0, giving_up: 0, asked: now };
        let account = self.accounts.entry(Arc::clone(name)).or_insert_with(empty);
        account.asked = account.asked.max(now);
        account
    }

    /// Forgets who asked long ago, or where too many did.
    fn forget(&mut self, now: Instant) {
        let is_full = ACCOUNTS_MAX <= self.accounts.len();
        let is_late = |account: &Account| is_full || OTHERS_WITHIN < now.saturating_duration_since(account.asked);
        self.accounts.retain(|_, account| account.running + account.waiting != 0 || !is_late(account));
    }

    /// How many turns one account may have.
    fn share(&self, running_max: usize) -> usize {
        if self.accounts.len() < 2 { running_max } else { running_max.div_ceil(2) }
    }

    /// Whether an account that waits may have a turn now.
    fn may_enter(&self, account: &str, running_max: usize) -> bool {
        let own = self.accounts.get(account).map_or(0, |own| own.running);
        let is_first = || self.accounts.values().all(|other| other.waiting == 0 || own <= other.running);
        self.running < running_max && own < self.share(running_max) && is_first()
    }

    /// How many of those that wait the end of a query of this account would let in, one after another.
    fn helped(&self, account: &str, running_max: usize) -> usize {
        let share = self.share(running_max);
        let all = self.accounts.iter();
        all.filter(|(name, other)| &***name == account || other.running < share).map(|(_, other)| other.waiting).sum()
    }
}

impl Turn {
    /// Whether somebody waits for whom no other query ends already; then this one must end.
    pub fn give_up(&mut self) -> bool {
        let mut counts = self.gate.counts();
        let giving_up: usize = counts.accounts.values().map(|account| account.giving_up).sum();
        let is_needed = giving_up < counts.helped(&self.account, self.gate.running_max);
        if is_needed
            && !self.is_given_up
            && let Some(own) = counts.accounts.get_mut(&self.account)
        {
            own.giving_up += 1;
            self.is_given_up = true;
        }
        self.is_given_up
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.running -= 1;
        if let Some(own) = counts.accounts.get_mut(&self.account) {
            own.running -= 1;
            own.giving_up -= usize::from(self.is_given_up);
        }
        drop(counts);
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn one_account_has_half_of_the_turns_while_others_ask() {
        let gate = Gate::new(4);
        let enter = |account: &str| gate.enter(&name(account), Duration::ZERO);
        let mut all: Vec<Turn> = (0..4).filter_map(|_| enter("an")).collect();
        assert_eq!(all.len(), 4, "nobody else asks");
        assert!(enter("binh").is_none(), "all run");
        all.truncate(3);
        assert!(enter("an").is_none(), "it has more than half of them");
        let other = enter("binh");
        assert!(other.is_some() && gate.running() == 4);
        all.truncate(1);
        all.extend(enter("an"));
        assert_eq!((all.len(), enter("an").is_none()), (2, true), "half of them, and no more");
        let second = enter("binh");
        assert!(second.is_some());
        drop((all, other, second));
        let mut counts = gate.counts();
        counts.forget(Instant::now() + 2 * OTHERS_WITHIN);
        assert!(counts.accounts.is_empty() && counts.running == 0);
    }

    #[test]
    fn who_has_fewer_turns_goes_first_and_few_of_one_account_wait() {
        let gate = Gate::new(2);
        let first = gate.enter(&name("an"), Duration::ZERO);
        let second = gate.enter(&name("an"), Duration::ZERO);
        let waits = |account: &str| {
            let (gate, account) = (Arc::clone(&gate), name(account));
            // Each has its turn, and ends at once.
            std::thread::spawn(move || gate.enter(&account, Duration::from_secs(60)).is_some())
        };
        let own: Vec<_> = (0..WAITING_MAX).map(|_| waits("an")).collect();
        let waiting = |account: &str| gate.counts().accounts.get(account).map_or(0, |account| account.waiting);
        while waiting("an") < WAITING_MAX {
            std::thread::yield_now();
        }
        assert!(gate.enter(&name("an"), Duration::from_secs(60)).is_none(), "told at once");
        let other = waits("binh");
        while waiting("binh") == 0 {
            std::thread::yield_now();
        }
        // Half of the turns is one, so none of its own is let in while the second runs.
        drop(first);
        assert!(other.join().unwrap() && waiting("an") == WAITING_MAX, "though the others came before");
        drop(second);
        assert!(own.into_iter().all(|waiting| waiting.join().unwrap()));
        assert_eq!(gate.running(), 0);
    }

    #[test]
    fn a_turn_is_given_up_for_each_that_waits_and_for_no_other() {
        let gate = Gate::new(2);
        let (mut first, mut second) =
            (gate.enter(&name("an"), Duration::ZERO).unwrap(), gate.enter(&name("an"), Duration::ZERO).unwrap());
        assert!(gate.enter(&name("an"), Duration::ZERO).is_none(), "both run");
        assert!(!first.give_up() && !second.give_up(), "nobody waits");
        let waiting = Arc::clone(&gate);
        let third = std::thread::spawn(move || waiting.enter(&name("an"), Duration::from_secs(60)));
        while !first.give_up() {
            std::thread::yield_now();
        }
        assert!(first.give_up(), "it stays so");
        assert!(!second.give_up(), "one waits, and the first ends for it");
        drop(first);
        let third = third.join().unwrap();
        assert!(third.is_some() && gate.running() == 2);
        drop((second, third));
        assert_eq!(gate.running(), 0);
    }
}
