//! How many queries run at once. One more waits a while for its turn; a query counts until what drives it is done, also
//! when nobody waits for its answer any more; the tasks it began are then told to end, and do at their next batch.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The gate.
pub struct Gate {
    running: Mutex<usize>,
    left: Condvar,
    running_max: usize,
}

/// One query that runs.
pub struct Turn(Arc<Gate>);

impl Gate {
    /// A gate for so many.
    pub fn new(running_max: usize) -> Arc<Gate> {
        Arc::new(Gate { running: Mutex::new(0), left: Condvar::new(), running_max })
    }

    /// Waits for a turn; `None` where none came in time.
    pub fn enter(self: &Arc<Gate>, wait: Duration) -> Option<Turn> {
        let until = Instant::now() + wait;
        let mut running = self.running.lock().expect("no code panics while it holds this lock");
        while self.running_max <= *running {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            running = self.left.wait_timeout(running, left).expect("no code panics while it holds this lock").0;
        }
        *running += 1;
        Some(Turn(Arc::clone(self)))
    }

    /// How many run.
    pub fn running(&self) -> usize {
        *self.running.lock().expect("no code panics while it holds this lock")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.running.lock().expect("no code panics while it holds this lock") -= 1;
        self.0.left.notify_one();
    }
}
