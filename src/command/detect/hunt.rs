//! Files side by side, results in order.
//!
//! In: files and entries of archives, and the detector all threads share. Out: for each file, in the order given, its chunks and
//! its end, on the calling thread. A thread takes the next file nobody has; it runs ahead of the printing
//! by a few chunks and then waits, so memory does not grow with the files. A file that cannot be read to
//! its end gives what was read and the reason.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use nhatle_collector::Settings;
use nhatle_collector::listen::file::{FileEntries, FileEntry, FileError, FileOptions};
use nhatle_collector::listen::zip::{EntryKind, ZipEntry, ZipLimits, entries, is_zip};
use nhatle_engine::detect::{Detector, Match};
use nhatle_event::Event;
use nhatle_rules::RuleSet;
use rayon::prelude::{IntoParallelIterator, ParallelIterator};

use super::correlations::{Fed, Feed};
use super::finding::{Finding, Place};

/// How many records are converted and looked at together.
const CHUNK_RECORDS: usize = 4096;
/// How many chunks of a file may wait to be printed.
const CHUNKS_MAX: usize = 4;

/// What there is to hunt with.
pub struct Hunt<'a> {
    /// The rules.
    pub rules: &'a Arc<RuleSet>,
    /// The rules, ready.
    pub detector: &'a Detector,
    /// How records are converted.
    pub settings: Settings,
    /// How files are read.
    pub options: FileOptions,
    /// How many files at a time.
    pub threads: usize,
}

/// What was seen next, in the order of files and records.
pub enum Seen {
    /// Some records.
    Chunk(Chunk),
    /// A file, or the rest of it, that could not be read, and why.
    Unread(String),
    /// A file is done.
    FileEnd,
}

/// Some records of a file, looked at.
pub struct Chunk {
    /// How many events.
    pub events: usize,
    /// How many records could not be parsed.
    pub dead_letters: usize,
    /// Matches of rules that alert, in input order, then rule id.
    pub findings: Vec<Finding>,
    /// What correlations count, in input order.
    pub fed: Vec<Fed>,
}

/// Something to read.
#[derive(Clone, Debug)]
pub enum Item {
    /// A file.
    File(PathBuf),
    /// An entry of an archive.
    Entry(Arc<Path>, Box<ZipEntry>),
    /// An archive that cannot be read, and why.
    Unread(String),
}

/// The files, archives opened into their entries. An archive in an archive stays closed.
pub fn items(files: Vec<PathBuf>) -> Vec<Item> {
    let mut items = Vec::new();
    for path in files {
        let mut front = [0; 4];
        let read = File::open(&path).and_then(|mut file| file.read(&mut front));
        if !read.is_ok_and(|length| is_zip(&front[..length])) {
            items.push(Item::File(path));
            continue;
        }
        match entries(&path, &ZipLimits::default()) {
            Ok(found) => {
                let archive: Arc<Path> = path.into();
                let inside = found.into_iter().filter(|entry| entry.kind != EntryKind::Folder);
                items.extend(inside.map(|entry| Item::Entry(archive.clone(), Box::new(entry))));
            }
            Err(error) => items.push(Item::Unread(format!("{:#}", anyhow::Error::new(error)))),
        }
    }
    items
}

/// What to read, and where to tell of it.
type Job<'a> = (&'a Item, SyncSender<Seen>);

impl Hunt<'_> {
    /// Reads the files and calls `each` with what was seen, in order.
    ///
    /// # Errors
    /// What `each` fails with; the files that are not begun then are not read.
    pub fn run(&self, items: &[Item], mut each: impl FnMut(Seen) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let feed = Feed::new(self.rules);
        let ahead = self.threads * 2;
        let (jobs, taken) = sync_channel::<Job<'_>>(ahead);
        let taken = Mutex::new(taken);
        std::thread::scope(|scope| {
            for _ in 0..self.threads.min(items.len()) {
                scope.spawn(|| self.work(&taken, &feed));
            }
            // Moved in, so that the threads end when this does.
            let jobs = jobs;
            let mut items = items.iter();
            let mut waiting: VecDeque<Receiver<Seen>> = VecDeque::new();
            loop {
                // Never more in the channel than it holds: sending does not wait.
                for item in items.by_ref().take(ahead - waiting.len()) {
                    let (to, from) = sync_channel(CHUNKS_MAX);
                    jobs.send((item, to)).map_err(|_closed| anyhow::anyhow!("no thread reads files"))?;
                    waiting.push_back(from);
                }
                let Some(first) = waiting.pop_front() else { return Ok(()) };
                first.into_iter().try_for_each(&mut each)?;
                each(Seen::FileEnd)?;
            }
        })
    }

    fn work(&self, jobs: &Mutex<Receiver<Job<'_>>>, feed: &Feed) {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((item, to)) = job else { return };
            // Where nobody listens any more, the next job says so too.
            let (Ok(()) | Err(Gone)) = self.item(item, feed, &to);
        }
    }

    /// Reads one file. `Err` when nobody listens any more.
    fn item(&self, item: &Item, feed: &Feed, to: &SyncSender<Seen>) -> Result<(), Gone> {
        let opened = match item {
            Item::File(path) => FileEntries::open(path, &self.options),
            Item::Entry(archive, entry) => FileEntries::open_entry(archive, entry, &self.options),
            Item::Unread(why) => return send(to, Seen::Unread(why.clone())),
        };
        match opened {
            Ok(entries) => self.entries(entries, feed, to),
            Err(error) => send(to, Seen::Unread(reason(error))),
        }
    }

    fn entries(&self, entries: FileEntries, feed: &Feed, to: &SyncSender<Seen>) -> Result<(), Gone> {
        let file: Arc<str> = entries.name().into();
        let mut chunk = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => chunk.push(entry),
                Err(error) => {
                    self.chunk(std::mem::take(&mut chunk), &file, feed, to)?;
                    send(to, Seen::Unread(reason(error)))?;
                }
            }
            if chunk.len() == CHUNK_RECORDS {
                self.chunk(std::mem::take(&mut chunk), &file, feed, to)?;
            }
        }
        self.chunk(chunk, &file, feed, to)
    }

    fn chunk(&self, entries: Vec<FileEntry>, file: &Arc<str>, feed: &Feed, to: &SyncSender<Seen>) -> Result<(), Gone> {
        if entries.is_empty() {
            return Ok(());
        }
        let settings = &self.settings;
        let converted: Vec<_> = entries.into_par_iter().map(|entry| (entry.index, entry.convert(settings))).collect();
        let (mut events, mut indexes) = (Vec::with_capacity(converted.len()), Vec::with_capacity(converted.len()));
        let mut dead_letters = 0;
        for (index, result) in converted {
            match result {
                Ok(event) => {
                    events.push(event);
                    indexes.push(index);
                }
                Err(_dead_letter) => dead_letters += 1,
            }
        }
        let matches = self.detector.detect_events(&events);
        let place =
            |position: usize| Place { file: file.clone(), index: indexes.get(position).copied().unwrap_or_default() };
        let chunk = Chunk {
            events: events.len(),
            dead_letters,
            findings: self.findings(&events, &matches, place),
            fed: feed.of(&events, &matches, place),
        };
        send(to, Seen::Chunk(chunk))
    }

    fn findings(&self, events: &[Event], matches: &[Match], place: impl Fn(usize) -> Place) -> Vec<Finding> {
        let mut findings = Vec::new();
        for matches in matches.chunk_by(|left, right| left.position == right.position) {
            let first = findings.len();
            for one in matches {
                let rule = self.rules.rules.get(one.rule.0 as usize).filter(|rule| rule.is_alerting);
                if let (Some(rule), Some(event)) = (rule, events.get(one.position)) {
                    findings.push(Finding::of_event(self.rules, (rule, one.rule), event, place(one.position)));
                }
            }
            findings[first..].sort_by(|left, right| left.meta.id.cmp(&right.meta.id));
        }
        findings
    }
}

/// Nobody listens any more.
struct Gone;

fn send(to: &SyncSender<Seen>, seen: Seen) -> Result<(), Gone> {
    to.send(seen).map_err(|_closed| Gone)
}

fn reason(error: FileError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}
