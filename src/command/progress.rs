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
    events: usize,
    findings: usize,
    /// How many events there are, where the work is not files.
    goal: Option<u64>,
    began: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// Nothing of so many files is done.
    pub fn new(files: usize) -> Progress {
        let is_shown = std::io::stderr().is_terminal();
        Progress { is_shown, files: (0, files), events: 0, findings: 0, goal: None, began: Instant::now(), drawn: None }
    }

    /// Nothing of so many events is done.
    pub fn of_events(events: u64) -> Progress {
        Progress { goal: Some(events), ..Progress::new(0) }
    }

    /// One more file is done.
    pub fn file(&mut self) {
        self.files.0 += 1;
        self.draw_if_due();
    }

    /// So many events and findings so far.
    pub fn events(&mut self, events: usize, findings: usize) {
        (self.events, self.findings) = (events, findings);
        self.draw_if_due();
    }

    fn draw_if_due(&mut self) {
        if self.is_shown && self.drawn.is_none_or(|drawn| INTERVAL <= drawn.elapsed()) {
            self.drawn = Some(Instant::now());
            let line = match self.goal {
                None => line(self.files, self.events, self.findings, self.began.elapsed()),
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

fn bar(done: usize, all: usize) -> String {
    let filled = done.saturating_mul(BAR).checked_div(all).unwrap_or(BAR).min(BAR);
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

fn per_second(events: usize, elapsed: Duration) -> u128 {
    u128::try_from(events).unwrap_or(0) * 1000 / elapsed.as_millis().max(1)
}

fn event_line((done, all): (usize, u64), findings: usize, elapsed: Duration) -> String {
    let bar = bar(done, usize::try_from(all).unwrap_or(usize::MAX));
    format!("{bar} {done}/{all} events ({}/s), {findings} findings", per_second(done, elapsed))
}

fn line((done, all): (usize, usize), events: usize, findings: usize, elapsed: Duration) -> String {
    let (bar, per_second) = (bar(done, all), per_second(events, elapsed));
    format!("{bar} {done}/{all} files, {events} events ({per_second}/s), {findings} findings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is() {
        let shown = line((1, 2), 3000, 4, Duration::from_secs(2));
        assert!(shown.ends_with(" 1/2 files, 3000 events (1500/s), 4 findings"), "{shown}");
        assert_eq!(shown.matches('█').count(), BAR / 2);
        assert!(line((0, 0), 0, 0, Duration::ZERO).starts_with(&"█".repeat(BAR)));
    }
}
