//! A clock of one process that can be set while it runs: libfaketime, of Debian's packages, unpacked and never installed.
//!
//! The clock of the machine stays as it is. Where libfaketime cannot be had the rows of clocks are left out, with a line that
//! says so.

use std::path::{Path, PathBuf};

use nhatle_event::{Clock, SystemClock};

use crate::support::{debian, stdout};

const HALF_A_DAY_NS: i64 = 43_200 * 1_000_000_000;

/// See the module.
pub struct Settable {
    library: PathBuf,
    file: PathBuf,
}

impl Settable {
    /// A clock that is right so far; what it is set to stands in a file of this folder.
    pub fn new(folder: &Path) -> Option<Settable> {
        let library = "usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
        let library = debian::unpacked("libfaketime", &["libfaketime"], library)?.join(library);
        let clock = Settable { library, file: folder.join("clock") };
        clock.set("+0d");
        Some(clock)
    }

    /// Sets it off by so much: `+1d`, `-1d`. Read at every look at the clock; how fast time passes stays.
    #[expect(clippy::disallowed_methods, reason = "a clock is set at once, nothing is kept")]
    pub fn set(&self, off: &str) {
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, off).unwrap();
        std::fs::rename(&beside, &self.file).unwrap();
    }

    /// What a process needs in its environment to go by it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let plain = ["FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"];
        let plain = plain.iter().map(|name| ((*name).to_owned(), "1".to_owned()));
        let own = [("LD_PRELOAD", &self.library), ("FAKETIME_TIMESTAMP_FILE", &self.file)];
        plain.chain(own.map(|(name, path)| (name.to_owned(), path.display().to_string()))).collect()
    }

    /// How many records were received by the clock that was set, ahead or back.
    pub fn stamped(&self, data: &Path, is_ahead: bool) -> usize {
        let now = SystemClock.now();
        let query = match is_ahead {
            true => format!("event.created:[\"{}\" TO *]", now.plus_nanos(HALF_A_DAY_NS)),
            false => format!("event.created:[* TO \"{}\"]", now.plus_nanos(-HALF_A_DAY_NS)),
        };
        let query = format!("message:loi* AND {query}");
        stdout(&["search", &query, "--data", data.to_str().unwrap(), "--count"]).trim().parse().unwrap()
    }
}
