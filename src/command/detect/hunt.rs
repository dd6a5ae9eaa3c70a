//! Files cut into blocks, blocks looked at side by side, results in order.
//!
//! In: files and entries of archives, and the detector all threads share. Out: for each file, in the order given, its
//! blocks and its end, on the calling thread. A thread takes the next block of the present file, or opens the next file,
//! so one large file and many small ones keep all threads busy alike. No more than [`AHEAD_BLOCKS`] blocks a thread are
//! on their way or wait to be printed, so memory does not grow with the files. A file that cannot be read to its end
//! gives what was read and the reason.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use nhatle_collector::Settings;
use nhatle_collector::listen::blocks::{Block, BlockRecords, FileBlocks};
use nhatle_collector::listen::file::{FileEntries, FileError, FileOptions};
use nhatle_collector::listen::zip::{EntryKind, ZipEntry, ZipLimits, entries, is_zip};
use nhatle_collector::parse::evtx::Decoder;
use nhatle_engine::detect::{Detector, Match};
use nhatle_event::{DeadLetter, Event, Timestamp};
use nhatle_rules::RuleSet;

use super::correlations::{Fed, Feed};
use super::finding::{Finding, Place};
use crate::command::parse;

/// How many blocks a thread may be ahead of the printing.
const AHEAD_BLOCKS: usize = 4;
/// How many losses of one block are put into words; the others are counted.
const LOSSES_NAMED: usize = 8;

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
    /// How many threads.
    pub threads: usize,
    /// Only events that happened from this moment on, and before that one.
    pub span: (Timestamp, Timestamp),
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
#[derive(Default)]
pub struct Chunk {
    /// How many bytes were read for it.
    pub bytes: u64,
    /// How many events.
    pub events: usize,
    /// How many of them happened outside the time asked for, and were not looked at.
    pub outside: usize,
    /// How many records could not be parsed, and what is wrong with the file as a whole.
    pub dead_letters: usize,
    /// How many of those are damage of an EVTX file.
    pub damage: usize,
    /// The first of them in words.
    pub losses: Vec<String>,
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

impl Item {
    /// How many bytes it has as it lies there, where that is known.
    pub fn bytes(&self) -> u64 {
        match self {
            Item::File(path) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
            Item::Entry(_, entry) => entry.size,
            Item::Unread(_) => 0,
        }
    }
}

/// What threads take their work from.
struct Queue<'a> {
    items: std::slice::Iter<'a, Item>,
    present: Present,
    /// One for each block that may still be begun.
    permits: Receiver<()>,
    next: usize,
}

/// The file being read.
enum Present {
    /// The next one is to be opened.
    None,
    /// Its blocks.
    Open(Box<FileBlocks>),
    /// It could not be opened; its end is to be told.
    Unopened,
}

/// Work taken, or done without any.
enum Taken {
    Block(Block),
    Seen(Seen),
}

impl Hunt<'_> {
    /// Reads the files and calls `each` with what was seen, in order.
    ///
    /// # Errors
    /// What `each` fails with; what is not begun then is not read.
    pub fn run(&self, items: &[Item], mut each: impl FnMut(Seen) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let feed = Feed::new(self.rules);
        let (permit, permits) = channel();
        let queue = Mutex::new(Queue { items: items.iter(), present: Present::None, permits, next: 0 });
        let (to, from) = channel::<(usize, Seen)>();
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                let to = to.clone();
                scope.spawn(|| self.work(&queue, &feed, to));
            }
            drop(to);
            // Moved in, so that the threads end when this does.
            let (permit, from) = (permit, from);
            let allow = || permit.send(()).is_ok();
            let mut is_working = (0..self.threads * AHEAD_BLOCKS).all(|_| allow());
            let (mut waiting, mut first): (VecDeque<Option<Seen>>, usize) = (VecDeque::new(), 0);
            for (number, seen) in from {
                let at = number - first;
                waiting.resize_with(waiting.len().max(at + 1), || None);
                waiting[at] = Some(seen);
                while let Some(Some(seen)) = waiting.front_mut().map(Option::take) {
                    waiting.pop_front();
                    first += 1;
                    each(seen)?;
                    is_working = is_working && allow();
                }
            }
            Ok(())
        })
    }

    fn work(&self, queue: &Mutex<Queue<'_>>, feed: &Feed, to: Sender<(usize, Seen)>) {
        let mut decoder = Decoder::default();
        loop {
            let taken = queue.lock().unwrap_or_else(PoisonError::into_inner).take(&self.options);
            let Some((number, taken)) = taken else { return };
            let seen = match taken {
                Taken::Seen(seen) => seen,
                Taken::Block(block) => Seen::Chunk(self.block(block, &mut decoder, feed)),
            };
            if to.send((number, seen)).is_err() {
                return;
            }
        }
    }

    fn block(&self, block: Block, decoder: &mut Decoder, feed: &Feed) -> Chunk {
        let (path, is_evtx) = (block.path().clone(), block.is_evtx());
        let mut chunk = Chunk { bytes: block.bytes(), ..Chunk::default() };
        let records = block.convert(decoder, &self.settings);
        let (events, indexes) = self.sort_out(records, &path, &mut chunk);
        if is_evtx {
            chunk.damage = chunk.dead_letters;
        }
        let matches = self.detector.detect_events(&events);
        let place =
            |position: usize| Place { file: path.clone(), index: indexes.get(position).copied().unwrap_or_default() };
        chunk.findings = self.findings(&events, &matches, place);
        chunk.fed = feed.of(&events, &matches, place);
        chunk
    }

    /// The events to look at, with their indexes; counts those and the others.
    fn sort_out(&self, records: BlockRecords, path: &Arc<str>, chunk: &mut Chunk) -> (Vec<Event>, Vec<u64>) {
        let (mut events, mut indexes) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
        let (from, to) = self.span;
        for (index, result) in records {
            match result {
                Ok(event) => {
                    chunk.events += 1;
                    if from <= event.timestamp && event.timestamp < to {
                        events.push(event);
                        indexes.push(index);
                    } else {
                        chunk.outside += 1;
                    }
                }
                Err(letter) => {
                    chunk.dead_letters += 1;
                    if chunk.losses.len() < LOSSES_NAMED {
                        chunk.losses.push(loss(path, index, &letter));
                    }
                }
            }
        }
        (events, indexes)
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

impl Queue<'_> {
    /// The next block, or what there is to say; `None` at the end, or where nobody wants more.
    fn take(&mut self, options: &FileOptions) -> Option<(usize, Taken)> {
        self.permits.recv().ok()?;
        if matches!(self.present, Present::None) {
            self.present = Present::Open(Box::new(match open(self.items.next()?, options) {
                Ok(entries) => {
                    parse::say_misnamed(entries.name(), entries.misnamed());
                    FileBlocks::new(entries)
                }
                Err(why) => {
                    self.present = Present::Unopened;
                    return Some(self.numbered(Taken::Seen(Seen::Unread(why))));
                }
            }));
        }
        let next = if let Present::Open(blocks) = &mut self.present { blocks.next() } else { None };
        let taken = match next {
            Some(Ok(block)) => Taken::Block(block),
            Some(Err(error)) => Taken::Seen(Seen::Unread(reason(error))),
            None => {
                self.present = Present::None;
                Taken::Seen(Seen::FileEnd)
            }
        };
        Some(self.numbered(taken))
    }

    fn numbered(&mut self, taken: Taken) -> (usize, Taken) {
        self.next += 1;
        (self.next - 1, taken)
    }
}

/// Opens something to read; why not, in words.
fn open(item: &Item, options: &FileOptions) -> Result<FileEntries, String> {
    let opened = match item {
        Item::File(path) => FileEntries::open(path, options),
        Item::Entry(archive, entry) => FileEntries::open_entry(archive, entry, options),
        Item::Unread(why) => return Err(why.clone()),
    };
    opened.map_err(reason)
}

/// A loss in words: which file, where, why.
fn loss(path: &str, index: u64, letter: &DeadLetter) -> String {
    match letter.reason.strip_prefix("evtx: ") {
        // Chunk, record and byte in the file stand in the reason.
        Some(reason) => format!("{path}: {reason}"),
        None => format!("{path}: record {index}, byte {}: {}", letter.offset, letter.reason),
    }
}

fn reason(error: FileError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}
