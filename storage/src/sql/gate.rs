//! How many queries run at once. One more waits a while for its turn; a query counts until what drives it is done, also
//! when nobody waits for its answer any more; the tasks it began are then told to end, and do at their next batch. A query
//! whose answer was put aside gives its turn to one that waits ([`Turn::give_up`]), each to another one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The gate.
pub struct Gate {
    counts: Mutex<Counts>,
    left: Condvar,
    running_max: usize,
}

#[derive(Default)]
struct Counts {
    running: usize,
    waiting: usize,
    /// Of those that run, so many end for one that waits.
    giving_up: usize,
}

/// One query that runs.
pub struct Turn {
    gate: Arc<Gate>,
    is_given_up: bool,
}

impl Gate {
    /// A gate for so many.
    pub fn new(running_max: usize) -> Arc<Gate> {
        Arc::new(Gate { counts: Mutex::default(), left: Condvar::new(), running_max })
    }

    /// Waits for a turn; `None` where none came in time.
    pub fn enter(self: &Arc<Gate>, wait: Duration) -> Option<Turn> {
        let until = Instant::now() + wait;
        let mut counts = self.counts();
        counts.waiting += 1;
        while self.running_max <= counts.running {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                counts.waiting -= 1;
                return None;
            }
            counts = self.left.wait_timeout(counts, left).expect("no code panics while it holds this lock").0;
        }
        counts.waiting -= 1;
        counts.running += 1;
        Some(Turn { gate: Arc::clone(self), is_given_up: false })
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.counts().running
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("no code panics while it holds this lock")
    }
}

impl Turn {
    /// Whether somebody waits for whom no other query ends already; then this one must end.
    pub fn give_up(&mut self) -> bool {
        let mut counts = self.gate.counts();
        if !self.is_given_up && counts.giving_up < counts.waiting {
            counts.giving_up += 1;
            self.is_given_up = true;
        }
        self.is_given_up
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.running -= 1;
        counts.giving_up -= usize::from(self.is_given_up);
        drop(counts);
        self.gate.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_given_up_for_each_that_waits_and_for_no_other() {
        let gate = Gate::new(2);
        let (mut first, mut second) = (gate.enter(Duration::ZERO).unwrap(), gate.enter(Duration::ZERO).unwrap());
        assert!(gate.enter(Duration::ZERO).is_none(), "both run");
        assert!(!first.give_up() && !second.give_up(), "nobody waits");
        let waiting = Arc::clone(&gate);
        let third = std::thread::spawn(move || waiting.enter(Duration::from_secs(60)));
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
