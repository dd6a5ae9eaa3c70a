//! Reading everything again and again, slowly, so that bit rot is found while there is still a backup. In: the live
//! segments, log, manifests and proof, how many bytes may be read now. Out: each damaged place by file and byte; a damaged
//! segment is marked, so that searches leave it out and say so.
//!
//! One pass goes through the segments by the name of their folder, oldest first, then through the log files, then manifests
//! and proof at once. Where it is, is a small text that its owner keeps, so that a pass goes on after a restart. Merged away
//! meanwhile: the new segment is read in its turn. A log file is read at
//! once and may be more than may be read now; then nothing is read until the time that goes with it has passed. What else there is (the register) its owner reads and [settles](Place::settle).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::disk::Disk;
use crate::error::{Corrupt, ReadError};
use crate::live::LiveSegment;
use crate::manifest;
use crate::proof::log::FOLDER as PROOF;
use crate::recover::SEGMENTS;
use crate::scrub_rest::{first_log, manifests_and_proof, next_log};
use crate::segment::meta::BLOCK_BYTES;
use crate::snapshot::Snapshot;
use crate::verify::Finding;
use crate::wal;

/// How many findings are kept.
pub const FINDINGS_MAX: usize = 1_000;

/// Where a pass is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The folder of the segment that is being read, or was read last.
    pub dir: String,
    /// Which of its files.
    pub file: usize,
    /// Which block of it comes next.
    pub block: u64,
    /// The segments are read; the log file of this number comes next.
    pub log: Option<u64>,
    /// Bytes read in this pass.
    pub bytes: u64,
    /// Bytes that were read beyond what might be.
    pub owed: u64,
    /// When the pass began, nanoseconds.
    pub begun_ns: i64,
    /// When the last whole pass ended, nanoseconds; 0 = there was none.
    pub ended_ns: i64,
    /// What was found and is still live.
    pub findings: Vec<Finding>,
}

impl Place {
    /// Reads on, `bytes_max` bytes or to the end of the pass. Says what is new, and whether the pass has ended.
    pub fn read_on(
        &mut self,
        disk: &dyn Disk,
        snapshot: &Snapshot,
        bytes_max: u64,
        now_ns: i64,
    ) -> (Vec<Finding>, bool) {
        let mut segments: Vec<&Arc<LiveSegment>> =
            Dataset::ALL.into_iter().flat_map(|dataset| snapshot.segments(dataset)).collect();
        segments.sort_by(|one, other| one.meta().dir.cmp(&other.meta().dir));
        let live: BTreeSet<&str> = segments.iter().map(|segment| segment.meta().dir.as_str()).collect();
        let is_gone = |file: &str| file.starts_with(SEGMENTS) && !live.contains(crate::disk::folder_of(file));
        self.findings.retain(|finding| !is_gone(&finding.file));
        if self.begun_ns == 0 {
            self.begun_ns = now_ns;
        }
        let mut left = bytes_max.saturating_sub(self.owed);
        self.owed = self.owed.saturating_sub(bytes_max);
        let mut new = Vec::new();
        if self.log.is_none() && !self.read_segments(disk, &segments, &mut left, &mut new) {
            return (new, false);
        }
        if !self.read_logs(disk, &mut left, &mut new) {
            return (new, false);
        }
        if left == 0 {
            return (new, false);
        }
        let is_rest = |file: &str| file.starts_with(manifest::FOLDER) || file.starts_with(PROOF);
        new.extend(self.settle(is_rest, manifests_and_proof(disk)));
        *self = Place { ended_ns: now_ns, findings: std::mem::take(&mut self.findings), ..Place::default() };
        (new, true)
    }

    /// Takes over what was found in all files of a kind, in place of what was known of them. Says what is new.
    pub fn settle(&mut self, is_of_kind: impl Fn(&str) -> bool, found: Vec<Finding>) -> Vec<Finding> {
        let is_known =
            |one: &Finding| self.findings.iter().any(|known| known.file == one.file && known.offset == one.offset);
        let new: Vec<Finding> = found.iter().filter(|one| !is_known(one)).take(FINDINGS_MAX).cloned().collect();
        self.findings.retain(|known| !is_of_kind(&known.file));
        let room = FINDINGS_MAX.saturating_sub(self.findings.len());
        self.findings.extend(found.into_iter().take(room));
        new
    }

    /// Reads on in the segments. `false` where there was no more to read now.
    fn read_segments(
        &mut self,
        disk: &dyn Disk,
        segments: &[&Arc<LiveSegment>],
        left: &mut u64,
        new: &mut Vec<Finding>,
    ) -> bool {
        while let Some(segment) = segments.iter().find(|segment| self.dir <= segment.meta().dir) {
            if self.dir != segment.meta().dir {
                (self.dir, self.file, self.block) = (segment.meta().dir.clone(), 0, 0);
            }
            if *left == 0 {
                return false;
            }
            if self.read_file(disk, segment, left, new) {
                continue;
            }
            // The next one: no name of a folder has this ending.
            (self.dir, self.file, self.block) = (format!("{}~", self.dir), 0, 0);
        }
        self.log = Some(0);
        let first = first_log(disk);
        let number = |file: &str| wal::number(file.strip_prefix(wal::FOLDER)?.strip_prefix('/')?);
        self.findings.retain(|finding| number(&finding.file).is_none_or(|number| first <= number));
        true
    }

    /// Reads on in the log, a file at a time. `false` where there was no more to read now.
    fn read_logs(&mut self, disk: &dyn Disk, left: &mut u64, new: &mut Vec<Finding>) -> bool {
        loop {
            if *left == 0 {
                return false;
            }
            let Some(read) = next_log(disk, self.log.unwrap_or(0)) else { return true };
            let path = wal::path(read.number);
            let files: Vec<String> = read.findings.iter().map(|one| one.file.clone()).chain([path]).collect();
            new.extend(self.settle(|file| files.iter().any(|one| one == file), read.findings));
            self.log = Some(read.number + 1);
            self.bytes += read.bytes;
            self.owed = self.owed.saturating_add(read.bytes.saturating_sub(*left));
            *left = left.saturating_sub(read.bytes.max(BLOCK_BYTES as u64));
        }
    }

    /// Reads on in one file. `false` where the segment has no more.
    fn read_file(&mut self, disk: &dyn Disk, segment: &LiveSegment, left: &mut u64, new: &mut Vec<Finding>) -> bool {
        let Some(file) = segment.meta().files.get(self.file) else { return false };
        let path = segment.meta().path(&file.name);
        let block = BLOCK_BYTES as u64;
        let begin = self.block * block;
        if self.block == 0 && !matches!(disk.length(&path), Ok(Some(length)) if length == file.bytes) {
            self.found(
                segment,
                Finding { file: path.clone(), offset: 0, what: "not there, or of another length".to_owned() },
                new,
            );
            (self.file, self.block) = (self.file + 1, 0);
            return true;
        }
        if file.bytes <= begin {
            (self.file, self.block) = (self.file + 1, 0);
            return true;
        }
        let length = usize::try_from((file.bytes - begin).min(block)).unwrap_or(BLOCK_BYTES);
        let expected = usize::try_from(self.block).ok().and_then(|at| file.block_crc32c.get(at)).copied();
        let finding = match disk.read_range(&path, begin, length) {
            Ok(bytes) => {
                let found = crc32c::crc32c(&bytes);
                (Some(found) != expected).then(|| {
                    let expected = format!("checksum {:08x}", expected.unwrap_or(0));
                    Finding::from(Corrupt {
                        file: path.clone(),
                        offset: begin,
                        expected,
                        found: format!("{found:08x}"),
                    })
                })
            }
            Err(source) => Some(Finding::of(ReadError::io(&path, source))),
        };
        if let Some(finding) = finding {
            self.found(segment, Finding { offset: begin, ..finding }, new);
        }
        self.block += 1;
        self.bytes += length as u64;
        // A short file costs the disk about what a block does.
        *left = left.saturating_sub(block);
        true
    }

    fn found(&mut self, segment: &LiveSegment, finding: Finding, new: &mut Vec<Finding>) {
        segment.set_damage(format!("{} at byte {}: {}", finding.file, finding.offset, finding.what));
        let is_known = self.findings.iter().any(|known| known.file == finding.file && known.offset == finding.offset);
        if !is_known && self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding.clone());
            new.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::SegmentForm;
    use crate::tests_rows::event;
    use crate::tests_world::SimClock;
    use crate::{Config, Store};

    #[test]
    fn a_log_file_is_paid_for_before_anything_else_is_read() {
        let disk = crate::disk::sim::SimDisk::new(1);
        let clock = Arc::new(SimClock::new(5));
        let store = Store::open_with(Arc::new(disk.clone()), Config::default(), clock, SegmentForm::Plain).unwrap();
        store.append(vec![(Dataset::Events, event(1, 1_800_000))], &[]).unwrap();
        let (snapshot, mut place) = (store.snapshot(), Place::default());
        let mut steps = 0;
        while !place.read_on(&disk, &snapshot, 100_000, 7).1 {
            steps += 1;
            assert!(place.bytes < 4_000_000 && place.log < Some(3), "{place:?}");
        }
        assert!((10..40).contains(&steps), "{steps}");
    }

    #[test]
    fn every_flipped_bit_and_missing_file_is_found_whatever_the_pace() {
        let disk = crate::disk::sim::SimDisk::new(1);
        let clock = Arc::new(SimClock::new(5));
        let store = Store::open_with(Arc::new(disk.clone()), Config::default(), clock, SegmentForm::Plain).unwrap();
        for id in 0..4 {
            store.append(vec![(Dataset::Events, event(id, 200_000))], &[]).unwrap();
            store.seal().unwrap();
        }
        let snapshot = store.snapshot();
        let path = |at: usize| {
            let meta = snapshot.segments(Dataset::Events).nth(at).unwrap().meta();
            meta.path(&meta.files[0].name)
        };
        let pass = |bytes: u64| {
            let mut place = Place::default();
            let mut found = Vec::new();
            for steps in 1.. {
                let (new, has_ended) = place.read_on(&disk, &snapshot, bytes, 7);
                found.extend(new);
                place = serde_json::from_str(&serde_json::to_string(&place).unwrap()).unwrap();
                if has_ended {
                    return (found, steps, place);
                }
            }
            unreachable!()
        };
        let (found, steps, place) = pass(100_000);
        assert_eq!(found, vec![]);
        assert!(steps > 4, "{steps}");
        assert_eq!((place.ended_ns, place.begun_ns), (7, 0));
        assert!(snapshot.segments(Dataset::Events).all(|segment| segment.damage().is_none()));
        assert!(disk.flip(&path(1), 150_000, 3) && disk.flip(&path(1), 10, 1));
        disk.remove(&path(3)).unwrap();
        for pace in [1, 65_536, u64::MAX] {
            let (found, _, place) = pass(pace);
            let places: Vec<(String, u64)> = found.iter().map(|one| (one.file.clone(), one.offset)).collect();
            assert_eq!(places, vec![(path(1), 0), (path(1), 131_072), (path(3), 0)], "{pace}");
            assert_eq!(place.findings, found);
        }
        let damaged: Vec<bool> = snapshot.segments(Dataset::Events).map(|segment| segment.damage().is_some()).collect();
        assert_eq!(damaged, [false, true, false, true]);
        let (events, left_out) =
            snapshot.serve_rest(|rest| rest.events_after(Dataset::Events, nhatle_event::Seq(0), 10)).unwrap();
        assert_eq!((events.len(), left_out.len()), (2, 2));
    }
}
