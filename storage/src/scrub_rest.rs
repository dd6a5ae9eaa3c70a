//! What the weekly reading looks at besides segments: log files, manifests, the proof. In: the files, also while a process
//! writes them. Out: findings, as [`crate::verify`] has them. A file that went meanwhile, because what it held is elsewhere
//! now, is no finding.

use crate::disk::Disk;
use crate::error::{Corrupt, ReadError};
use crate::manifest::{self, Manifest};
use crate::proof::check;
use crate::verify::Finding;
use crate::wal;
use crate::wal::reader::Tail;

/// How often it begins anew because the writer moved on.
const ATTEMPTS_MAX: usize = 20;

/// A log file that was read.
pub(crate) struct ReadLog {
    /// Its number.
    pub number: u64,
    /// Its length.
    pub bytes: u64,
    /// What is wrong with it, or with what should be before it.
    pub findings: Vec<Finding>,
}

/// The number of the first log file that counts; 0 where nobody can say.
pub(crate) fn first_log(disk: &dyn Disk) -> u64 {
    Manifest::newest(disk).map_or(0, |manifest| manifest.log_first)
}

/// Reads the first log file from this number on; `None` where there is no more.
pub(crate) fn next_log(disk: &dyn Disk, from: u64) -> Option<ReadLog> {
    if from == u64::MAX {
        return None;
    }
    let mut attempt = 0;
    loop {
        attempt += 1;
        let first = first_log(disk);
        let read = read_log(disk, first, from.max(first));
        // What is missing may have been sealed meanwhile.
        let is_whole = read.as_ref().is_none_or(|read| read.findings.is_empty());
        if is_whole || first == first_log(disk) || attempt == ATTEMPTS_MAX {
            return read;
        }
    }
}

fn read_log(disk: &dyn Disk, first: u64, from: u64) -> Option<ReadLog> {
    let entries = match disk.list(wal::FOLDER) {
        Ok(entries) => entries,
        Err(source) => {
            let finding = Finding::of(ReadError::io(wal::FOLDER, source));
            return Some(ReadLog { number: u64::MAX - 1, bytes: 0, findings: vec![finding] });
        }
    };
    let numbers: Vec<u64> = entries.iter().filter_map(|entry| wal::number(&entry.name)).collect();
    let number = numbers.iter().copied().filter(|number| from <= *number).min()?;
    let mut findings = Vec::new();
    if 0 < first && from < number {
        let (expected, found) = ("a log file".to_owned(), format!("none, but number {number}"));
        findings.push(Corrupt { file: wal::path(from), offset: 0, expected, found }.into());
    }
    let path = wal::path(number);
    let is_newest = numbers.iter().max() == Some(&number);
    let tail = if is_newest { Tail::MayBeTorn } else { Tail::MustBeWhole };
    let mut length = 0;
    match disk.read(&path) {
        Ok(bytes) => {
            length = bytes.len() as u64;
            findings.extend(wal::reader::check(&path, number, &bytes, tail).err().map(Finding::from));
        }
        Err(source) => findings.push(Finding::of(ReadError::io(&path, source))),
    }
    Some(ReadLog { number, bytes: length, findings })
}

/// What is wrong with the manifests and the proof.
pub(crate) fn manifests_and_proof(disk: &dyn Disk) -> Vec<Finding> {
    let mut findings = Vec::new();
    match manifest::numbers(disk) {
        Err(error) => findings.push(Finding::of(error)),
        Ok(numbers) => {
            for number in numbers {
                let read = Manifest::read(disk, number);
                let is_gone = || disk.length(&manifest::path(number)).is_ok_and(|length| length.is_none());
                findings.extend(read.err().filter(|_| !is_gone()).map(Finding::of));
            }
        }
    }
    match check::store(disk) {
        Ok(None) => {}
        Ok(Some(checked)) => {
            findings.extend(check::keys(&checked, None));
            findings.extend(checked.findings);
        }
        Err(error) => {
            // Where the manifest is damaged this was said already.
            let finding = Finding::of(error);
            if !findings.iter().any(|known| known.file == finding.file) {
                findings.push(finding);
            }
        }
    }
    findings
}
