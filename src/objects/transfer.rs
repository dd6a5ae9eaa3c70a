//! How far a long copy is, on standard error: one line that is drawn again on a terminal, else a line now and then.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::command::output;

/// How often the line is drawn again.
const DRAWN_EVERY: Duration = Duration::from_millis(200);
/// How often a line is written where nobody watches.
const SAID_EVERY: Duration = Duration::from_secs(30);

/// See the module. The line is removed when this is dropped.
pub struct Transfer {
    /// What is done: "sent", "read".
    verb: &'static str,
    is_terminal: bool,
    began: Instant,
    told: Instant,
    is_drawn: bool,
    files: usize,
    bytes: u64,
}

impl Transfer {
    /// Nothing is done yet.
    pub fn new(verb: &'static str) -> Transfer {
        let (is_terminal, now) = (std::io::stderr().is_terminal(), Instant::now());
        Transfer { verb, is_terminal, began: now, told: now, is_drawn: false, files: 0, bytes: 0 }
    }

    /// One more file is done.
    pub fn file(&mut self) {
        self.files += 1;
        self.passed(0);
    }

    /// So many more bytes.
    pub fn passed(&mut self, bytes: u64) {
        self.bytes += bytes;
        let every = if self.is_terminal { DRAWN_EVERY } else { SAID_EVERY };
        if self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let line = line(self.verb, self.files, self.bytes, self.began.elapsed());
        if self.is_terminal {
            self.is_drawn = true;
            // Where standard error is closed nobody is there to see it.
            drop(write!(std::io::stderr().lock(), "\r\x1b[2K{line}"));
        } else {
            output::say(&line);
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if self.is_drawn {
            drop(write!(std::io::stderr().lock(), "\r\x1b[2K"));
        }
    }
}

fn line(verb: &str, files: usize, bytes: u64, elapsed: Duration) -> String {
    let mib = |bytes: u64| bytes / (1 << 20);
    let per_second = u128::from(bytes) * 1000 / elapsed.as_millis().max(1);
    let rate = mib(u64::try_from(per_second).unwrap_or(u64::MAX));
    format!("{verb} {} MiB in {files} files ({rate} MiB/s)", mib(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_and_how_fast() {
        assert_eq!(line("sent", 3, 40 << 20, Duration::from_secs(4)), "sent 40 MiB in 3 files (10 MiB/s)");
        assert_eq!(line("sent", 0, 0, Duration::ZERO), "sent 0 MiB in 0 files (0 MiB/s)");
    }
}
