//! `[sql]` of the configuration: what one query may take, and how many run.
//!
//! In: the file as written. Out: the store's [`Limits`], or what is wrong with it, with its key.

use std::path::Path;
use std::time::Duration;

use nhatle_storage::sql::Limits;
use serde::{Deserialize, Serialize};

/// The folder below the data folder that sorts and joins spill to.
const SPILL_FOLDER: &str = "sql.spill";

/// `[sql]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqlFile {
    /// How long one query may run.
    pub time_max_s: u64,
    /// Memory of one query for sorting, joining and grouping; what is more goes to the disk.
    pub memory_bytes_max: usize,
    /// Room on the disk for one query; 0 = it may not use the disk.
    pub spill_bytes_max: u64,
    /// How many rows one answer may have.
    pub rows_max: u64,
    /// How many bytes one answer may have.
    pub answer_bytes_max: u64,
    /// How many queries run at once.
    pub running_max: usize,
    /// In how many threads one query reads; 0 = as many as there are cores, at most 4.
    pub threads: usize,
}

impl Default for SqlFile {
    fn default() -> SqlFile {
        let limits = Limits::default();
        SqlFile {
            time_max_s: limits.time.as_secs(),
            memory_bytes_max: limits.memory_bytes,
            spill_bytes_max: limits.spill_bytes,
            rows_max: limits.rows_max,
            answer_bytes_max: limits.answer_bytes_max,
            running_max: limits.running_max,
            threads: 0,
        }
    }
}

impl SqlFile {
    /// Says what is wrong.
    pub fn check(&self, problems: &mut Vec<String>) {
        let mut range = |key: &str, value: u64, low: u64, high: u64| {
            if !(low..=high).contains(&value) {
                problems.push(format!("sql.{key}: {value} is not within {low} to {high}"));
            }
        };
        let whole = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        range("time_max_s", self.time_max_s, 1, 3_600);
        // One array of text holds at most 2 GiB.
        range("memory_bytes_max", whole(self.memory_bytes_max), 1 << 20, 1 << 30);
        range("rows_max", self.rows_max, 1, 1_000_000_000);
        range("answer_bytes_max", self.answer_bytes_max, 1_024, 1 << 30);
        range("running_max", whole(self.running_max), 1, 64);
        range("threads", whole(self.threads), 0, 64);
    }

    /// What it means for a store in this folder.
    pub fn limits(&self, data: &Path) -> Limits {
        let usual = Limits::default();
        Limits {
            memory_bytes: self.memory_bytes_max,
            spill_bytes: self.spill_bytes_max,
            spill_folder: Some(data.join(SPILL_FOLDER)),
            time: Duration::from_secs(self.time_max_s),
            rows_max: self.rows_max,
            answer_bytes_max: self.answer_bytes_max,
            running_max: self.running_max,
            threads: if self.threads == 0 { usual.threads } else { self.threads },
            ..usual
        }
    }
}
