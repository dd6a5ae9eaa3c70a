//! How far a long command is, as one line on standard error; only where that is a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is drawn again.
const INTERVAL: Duration = Duration::from_millis(100);
/// How wide the bar is, in characters.
const BAR: usize = 24;

/// See the module. The line is removed when this is dropped.
pub struct Progress {
    is_shown: bool,
    files: (usize, usize),
    /// Bytes read of the present file; of all files before it as they lie on disk; and of all files.
    bytes: (u64, u64, u64),
    /// What is known of each file.
    sizes: Vec<u64>,
    events: usize,
    findings: usize,
    /// How many events there are, where the work is not files.
    goal: Option<u64>,
    began: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// Nothing of files of these sizes is done; 0 = not known.
    pub fn new(sizes: impl Iterator<Item = u64>) -> Progress {
        let sizes: Vec<u64> = sizes.collect();
        Progress {
            is_shown: std::io::stderr().is_terminal(),
            files: (0, sizes.len()),
            bytes: (0, 0, sizes.iter().sum()),
            sizes,
            events: 0,
            findings: 0,
            goal: None,
            began: Instant::now(),
            drawn: None,
        }
    }

    /// Nothing of so many events is done.
    pub fn of_events(events: u64) -> Progress {
        let mut progress = Progress::new(std::iter::empty());
        progress.goal = Some(events);
        progress
    }

    /// One more file is done.
    pub fn file(&mut self) {
        self.bytes.1 += self.sizes.get(self.files.0).copied().unwrap_or(0);
        self.bytes.0 = 0;
        self.files.0 += 1;
        self.draw_if_due();
    }

    /// So many more bytes of the present file; so many events and findings so far.
    pub fn read(&mut self, bytes: u64, events: usize, findings: usize) {
        self.bytes.0 += bytes;
        self.events(events, findings);
    }

    /// So many events and findings so far.
    pub fn events(&mut self, events: usize, findings: usize) {
        (self.events, self.findings) = (events, findings);
        self.draw_if_due();
    }

    /// Bytes done and all. A packed file gives more bytes than it has; it counts as it lies there.
    fn bytes_done(&self) -> (u64, u64) {
        let (present, before, all) = self.bytes;
        (before + present.min(self.sizes.get(self.files.0).copied().unwrap_or(0)), all)
    }

    fn draw_if_due(&mut self) {
        if self.is_shown && self.drawn.is_none_or(|drawn| INTERVAL <= drawn.elapsed()) {
            self.drawn = Some(Instant::now());
            let line = match self.goal {
                None => line(self.files, self.bytes_done(), self.events, self.findings, self.began.elapsed()),
                Some(goal) => event_line((self.events, goal), self.findings, self.began.elapsed()),
            };
            // Where standard error is closed nobody is there to see it.
            drop(write!(std::io::stderr().lock(), "\r\x1b[2K{line}"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            drop(write!(std::io::stderr().lock(), "\r\x1b[2K"));
        }
    }
}

fn bar(done: u64, all: u64) -> String {
    let filled = done.saturating_mul(BAR as u64).checked_div(all).map_or(BAR, |filled| filled as usize).min(BAR);
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

fn per_second(events: usize, elapsed: Duration) -> u128 {
    u128::try_from(events).unwrap_or(0) * 1000 / elapsed.as_millis().max(1)
}

fn event_line((done, all): (usize, u64), findings: usize, elapsed: Duration) -> String {
    let bar = bar(done as u64, all);
    format!("{bar} {done}/{all} events ({}/s), {findings} findings", per_second(done, elapsed))
}

fn line((done, all): (usize, usize), bytes: (u64, u64), events: usize, findings: usize, elapsed: Duration) -> String {
    let (bar, per_second) = (bar(bytes.0, bytes.1), per_second(events, elapsed));
    format!("{bar} {done}/{all} files, {events} events ({per_second}/s), {findings} findings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is() {
        let shown = line((1, 2), (700, 1400), 3000, 4, Duration::from_secs(2));
        assert!(shown.ends_with(" 1/2 files, 3000 events (1500/s), 4 findings"), "{shown}");
        assert_eq!(shown.matches('█').count(), BAR / 2);
        assert!(line((0, 0), (0, 0), 0, 0, Duration::ZERO).starts_with(&"█".repeat(BAR)));
    }

    #[test]
    fn one_large_file_moves_the_bar_and_a_packed_one_does_not_run_past_its_size() {
        let mut progress = Progress::new([100, 50].into_iter());
        progress.read(60, 1, 0);
        assert_eq!(progress.bytes_done(), (60, 150));
        progress.read(600, 2, 0);
        assert_eq!(progress.bytes_done(), (100, 150));
        progress.file();
        progress.read(10, 3, 0);
        assert_eq!(progress.bytes_done(), (110, 150));
    }
}
