//! Checks every byte of a store against what was written. In: the files. Out: a [`Finding`] for each
//! damaged place, with file and offset; an empty list is a whole store. Writes nothing, needs no lock,
//! and goes on after a finding.

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::disk::{Disk, join};
use crate::error::{Corrupt, ReadError};
use crate::manifest::{self, Manifest};
use crate::recover::{self, SEGMENTS};
use crate::segment::meta::SegmentMeta;
use crate::snapshot::Snapshot;

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The path below the store's folder.
    pub file: String,
    /// Where, counted from the front of the file.
    pub offset: u64,
    /// What should be there and what is.
    pub what: String,
}

impl From<Corrupt> for Finding {
    fn from(corrupt: Corrupt) -> Finding {
        let what = format!("expected {}, found {}", corrupt.expected, corrupt.found);
        Finding { file: corrupt.file, offset: corrupt.offset, what }
    }
}

impl Finding {
    /// What could not be read, as a finding.
    pub fn of(error: ReadError) -> Finding {
        match error {
            ReadError::Corrupt(corrupt) => corrupt.into(),
            ReadError::Io { file, source } => Finding { file, offset: 0, what: source.to_string() },
            ReadError::Unreadable { file, reason } => Finding { file, offset: 0, what: reason },
            ReadError::Stopped(stop) => Finding { file: String::new(), offset: 0, what: stop.to_string() },
        }
    }
}

/// What was checked, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The damaged places.
    pub findings: Vec<Finding>,
    /// Segments checked.
    pub segments: usize,
    /// Their events.
    pub sealed_events: u64,
    /// Events in the log.
    pub log_events: u64,
    /// Bytes read of segments.
    pub segment_bytes: u64,
}

/// Every damaged place of the store on this disk.
pub fn verify(disk: &dyn Disk) -> Vec<Finding> {
    report(disk).findings
}

/// As [`verify`], with what was checked.
pub fn report(disk: &dyn Disk) -> Report {
    let mut report = Report::default();
    match manifest::numbers(disk) {
        Err(error) => report.findings.push(Finding::of(error)),
        Ok(numbers) => {
            // The newest is read below, with what it refers to.
            for number in numbers.iter().rev().skip(1) {
                report.findings.extend(Manifest::read(disk, *number).err().map(Finding::of));
            }
        }
    }
    let _held = match crate::publish::hold_segments(disk) {
        Ok(held) => held,
        Err(error) => {
            report.findings.push(Finding::of(error));
            None
        }
    };
    let manifest = match Manifest::newest(disk) {
        Ok(manifest) => manifest,
        Err(error) => {
            report.findings.push(Finding::of(error));
            return report;
        }
    };
    for segment in &manifest.segments {
        check_segment(disk, segment, &mut report);
    }
    match recover::read_only(disk) {
        Ok(recovered) => report.log_events = recovered.memtable.len() as u64,
        Err(crate::error::OpenError::Read(error)) => report.findings.push(Finding::of(error)),
        Err(error) => {
            report.findings.push(Finding { file: crate::wal::FOLDER.to_owned(), offset: 0, what: error.to_string() });
        }
    }
    report
}

/// How many events of each dataset there are, in the order of [`Dataset::ALL`]: counted in the rows, not in the manifest.
///
/// # Errors
/// A segment cannot be read, or has another number of rows than the manifest says.
pub fn counts(snapshot: &Snapshot) -> Result<[u64; Dataset::ALL.len()], ReadError> {
    let mut counts = [0; Dataset::ALL.len()];
    for (count, dataset) in counts.iter_mut().zip(Dataset::ALL) {
        for segment in snapshot.segments(dataset) {
            *count += segment.open()?.keys()?.len() as u64;
        }
        *count += snapshot.recent_count(dataset);
    }
    Ok(counts)
}

fn check_segment(disk: &dyn Disk, segment: &SegmentMeta, report: &mut Report) {
    report.segments += 1;
    report.sealed_events += segment.row_count;
    if !segment.dir.starts_with(SEGMENTS) {
        let what = format!("a segment in {}, which is no segment's place", segment.dir);
        report.findings.push(Finding { file: manifest::FOLDER.to_owned(), offset: 0, what });
        return;
    }
    for file in &segment.files {
        let path = join(&segment.dir, &file.name);
        match disk.read(&path) {
            Ok(bytes) => {
                report.segment_bytes += bytes.len() as u64;
                report.findings.extend(file.check(&path, &bytes).into_iter().map(Finding::from));
            }
            Err(source) => report.findings.push(Finding::of(ReadError::io(&path, source))),
        }
    }
}
