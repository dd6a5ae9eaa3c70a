//! `[sentinel]` of the configuration: whether rhythms are watched, and the days off.
//!
//! In: the file as written. Out: a calendar, or what is wrong with the list of days, with its line.

use std::path::PathBuf;

use nhatle_engine::rhythm::Calendar;
use serde::{Deserialize, Serialize};

/// `[sentinel]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sentinel {
    /// Whether rhythms of sources are learned and watched.
    pub enabled: bool,
    /// A file of days off; empty = the public holidays that come with the program.
    pub days_off: PathBuf,
}

impl Default for Sentinel {
    fn default() -> Sentinel {
        Sentinel { enabled: true, days_off: PathBuf::new() }
    }
}

/// Public holidays, with their basis.
const DAYS_OFF: &str = include_str!("days_off_vn.txt");

impl Sentinel {
    /// The days off; `None` where nobody watches. What is wrong goes to `problems`.
    pub fn calendar(&self, offset_minutes: i32, problems: &mut Vec<String>) -> Option<Calendar> {
        let text = match self.days_off.as_os_str().is_empty() {
            true => Ok(DAYS_OFF.to_owned()),
            false => std::fs::read_to_string(&self.days_off).map_err(|error| error.to_string()),
        };
        let read = |text: String| Calendar::parse(&text, offset_minutes * 60).map_err(|error| error.to_string());
        match text.and_then(read) {
            Ok(calendar) => self.enabled.then_some(calendar),
            Err(error) => {
                problems.push(format!("sentinel.days_off: {}: {error}", self.days_off.display()));
                None
            }
        }
    }
}
