//! Samples beside rules: raw records with what the rule must do with them.
//!
//! In: a rule's file. Out: the lines of `<name>.samples.jsonl` beside it (`docs/rules.md`, "Samples"), those of
//! our own pack from inside the program. A line that is no sample is an error with its line; bounded by
//! [`SAMPLES_MAX`] a rule.

use std::path::{Path, PathBuf};

use nhatle_collector::{Settings, to_event};
use nhatle_event::{Event, Record, Text, Timestamp};
use serde::Deserialize;

use crate::ruleset;

/// How many samples one rule has at most.
pub const SAMPLES_MAX: usize = 1_000;
/// How long a file of samples is at most, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Raw records, and what the rule must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The line it stands in, from 1.
    pub line: usize,
    /// The rule must match; else it must not.
    pub is_positive: bool,
    /// The source profile of the records.
    pub profile: Option<String>,
    /// The records, in order.
    pub lines: Vec<String>,
    /// What it is for.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    expect: Expect,
    profile: Option<String>,
    lines: Vec<String>,
    why: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Match,
    Silent,
}

/// Where samples could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {reason}", file.display())]
pub struct SampleError {
    /// The file.
    pub file: PathBuf,
    /// 1-based; 0 = the file itself.
    pub line: usize,
    /// Why.
    pub reason: String,
}

impl Sample {
    /// The events its records are, those that are any, as received at `received`.
    pub fn events_at(&self, settings: &Settings, received: Timestamp) -> Vec<Event> {
        let event = |line: &String| {
            let mut record = Record::new(line.as_bytes(), "samples", received);
            record.profile = self.profile.as_deref().map(Text::from);
            to_event(&record, settings).ok()
        };
        self.lines.iter().filter_map(event).collect()
    }

    /// The events its records are, as received now and here.
    pub fn events(&self, settings: &Settings) -> Vec<Event> {
        self.events_at(settings, Timestamp::default())
    }
}

/// The samples beside a rule file; none where there is no file of samples.
///
/// # Errors
/// The file cannot be read, or a line is no sample.
pub fn beside(rule: &Path) -> Result<Vec<Sample>, SampleError> {
    let file = rule.with_extension("samples.jsonl");
    if let Some(text) = ruleset::builtin_samples(&file) {
        return parse(&file, text);
    }
    let error = |reason: String| SampleError { file: file.clone(), line: 0, reason };
    match std::fs::metadata(&file) {
        Ok(metadata) if FILE_BYTES_MAX < metadata.len() => {
            return Err(error(format!("longer than {FILE_BYTES_MAX} bytes")));
        }
        Ok(_) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(error(cause.to_string())),
    }
    let text = std::fs::read_to_string(&file).map_err(|cause| error(cause.to_string()))?;
    parse(&file, &text)
}

/// The samples of a rule of our own pack, or none.
pub fn builtin(rule: &Path) -> Vec<Sample> {
    let file = rule.with_extension("samples.jsonl");
    ruleset::builtin_samples(&file).and_then(|text| parse(&file, text).ok()).unwrap_or_default()
}

fn parse(file: &Path, text: &str) -> Result<Vec<Sample>, SampleError> {
    let mut samples = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let error = |reason: String| SampleError { file: file.to_owned(), line: number, reason };
        if SAMPLES_MAX <= samples.len() {
            return Err(error(format!("more than {SAMPLES_MAX} samples")));
        }
        let written: Written = serde_json::from_str(line).map_err(|cause| error(cause.to_string()))?;
        if written.lines.is_empty() {
            return Err(error("a sample without a record".to_owned()));
        }
        samples.push(Sample {
            line: number,
            is_positive: matches!(written.expect, Expect::Match),
            profile: written.profile,
            lines: written.lines,
            why: written.why,
        });
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_sample_is_named() {
        let good = r#"{"expect":"match","profile":"linux","lines":["x"],"why":"y"}"#;
        let file = Path::new("r.samples.jsonl");
        assert_eq!(parse(file, &format!("{good}\n\n{good}\n")).expect("reads").len(), 2);
        for bad in ["{", r#"{"expect":"maybe","lines":["x"],"why":"y"}"#, r#"{"expect":"match","lines":[],"why":"y"}"#]
        {
            let error = parse(file, &format!("{good}\n{bad}\n")).expect_err("is none");
            assert_eq!(error.line, 2, "{error}");
        }
    }

    #[test]
    fn our_own_pack_has_samples_inside_the_program() {
        let rule = Path::new("builtin/linux/sudo_root_shell.yml");
        let samples = builtin(rule);
        assert!(samples.iter().any(|sample| sample.is_positive) && samples.iter().any(|sample| !sample.is_positive));
        assert_eq!(beside(rule).expect("reads"), samples);
        let settings = Settings::default();
        assert!(samples.iter().all(|sample| sample.events(&settings).len() == sample.lines.len()));
        assert_eq!(beside(Path::new("builtin/nothing.yml")), Ok(Vec::new()));
    }
}
