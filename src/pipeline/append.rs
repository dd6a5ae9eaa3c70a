//! Stage 2: converted batches are made durable together, counted, and whoever waits is answered.
//!
//! What waits in the channel is written as one batch of the log with one sync: that is the group commit.
//! What the receipt book counts and the log does not say goes into the same batch, so that book and log never
//! disagree. If the log cannot be
//! written, the waiting are told and the records are not acknowledged; records nobody waits for (UDP, TCP)
//! are kept and tried again, so the inputs stop at their full channels and lose nothing they were given.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nhatle_collector::Receipt;
use nhatle_collector::listen::resend::Breaks;
use nhatle_collector::listen::{Keep, Refusal};
use nhatle_event::{Event, Seq, Stored, Timestamp};
use nhatle_storage::wal::FRAME_BYTES_MAX;
use nhatle_storage::{Dataset, Encoded, Store, WriteError};
use tracing::{debug, error};

use super::convert::{Part, Waiting};
use super::recent::RecentIds;
use super::resent::Resent;
use super::{Shared, committed, nanos};
use crate::places::PlaceBook;
use crate::sources::{Fate, SourceBook, Tally, by_name};
use crate::telemetry::Counters;

/// Converted batches are written together up to so many rows.
const ROWS_TOGETHER_MAX: usize = 8_192;
/// And up to so many bytes, as the log holds them.
const BYTES_TOGETHER_MAX: usize = 32 << 20;
/// One part alone may have so many: what the batch says beside its rows stands in the same frame.
const PART_BYTES_MAX: usize = FRAME_BYTES_MAX - (8 << 20);
/// How long a full batch waits at most while sealing is behind: so reading slows down before it has to stop.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// How often it is looked whether there is room again.
const ROOM_INTERVAL: Duration = Duration::from_millis(20);
/// How long to wait before writing is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// How often the receipt book is written down without a batch that needs it.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);
/// How long to wait for a batch before looking at the receipt book.
const BOOK_INTERVAL: Duration = Duration::from_secs(1);
/// What a sender that can wait is told to wait when the disk is full.
const RETRY_AFTER_S: u32 = 5;

/// Runs until the converting stage is gone.
pub(super) fn run(
    shared: &Shared,
    breaks: &Arc<Breaks>,
    converted: &Receiver<Vec<Part>>,
    to_detect: &committed::Sender,
) {
    let mut known =
        Known { ids: recent_of(&shared.store), resent: Resent::new(&shared.store, breaks, shared.clock.now()) };
    let mut keeper = Keeper::new(shared.clock.now());
    loop {
        match converted.recv_timeout(BOOK_INTERVAL) {
            Ok(mut parts) => {
                let mut rows: usize = parts.iter().map(|part| part.rows.len()).sum();
                while rows < ROWS_TOGETHER_MAX {
                    let Ok(next) = converted.try_recv() else { break };
                    rows += next.iter().map(|part| part.rows.len()).sum::<usize>();
                    parts.extend(next);
                }
                if !fitting(parts).into_iter().all(|parts| write(shared, &mut known, parts, to_detect)) {
                    break;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        keeper.keep_if_due(shared, &mut known.resent);
    }
    keep(shared, &mut known.resent, false);
}

/// What is known of records stored lately.
struct Known {
    /// By their ids.
    ids: RecentIds,
    /// By their place, where they have none.
    resent: Resent,
}

/// Parts that fit into one batch of the log together, in order; one that is too large for that is alone.
fn fitting(parts: Vec<Part>) -> Vec<Vec<Part>> {
    let (mut batches, mut bytes) = (Vec::<Vec<Part>>::new(), 0);
    for part in parts {
        let own = part.bytes();
        match batches.last_mut() {
            Some(batch) if bytes + own <= BYTES_TOGETHER_MAX => {
                bytes += own;
                batch.push(part);
            }
            _ => {
                bytes = own;
                batches.push(vec![part]);
            }
        }
    }
    batches
}

/// Makes parts durable and hands them on. `false` where nobody looks at them any more.
fn write(shared: &Shared, known: &mut Known, mut parts: Vec<Part>, to_detect: &committed::Sender) -> bool {
    if let [part] = &mut parts[..]
        && PART_BYTES_MAX < part.bytes()
        && 1 < part.rows.len()
    {
        return write_in_pieces(shared, known, std::mem::replace(part, Part::of(Vec::new())), to_detect);
    }
    let Some(committed) = commit(shared, known, parts) else { return true };
    to_detect.send(committed)
}

/// Writes a part that is too large for one batch of the log as several. Whoever waits is told once all of it is durable; where
/// that goes wrong on the way, what they send again may stand there twice.
fn write_in_pieces(shared: &Shared, known: &mut Known, part: Part, to_detect: &committed::Sender) -> bool {
    let Part { rows, waiting, keep, .. } = part;
    let mut pieces = pieces(rows);
    if let Some(last) = pieces.last_mut() {
        last.keep = keep;
    }
    let (mut whole, mut from) = (Receipt::default(), 0);
    for piece in pieces {
        let count = u32::try_from(piece.rows.len()).unwrap_or(u32::MAX);
        let (told, hears) = waiting.is_some().then(tokio::sync::oneshot::channel).unzip();
        if !write(shared, known, vec![Part { waiting: told, ..piece }], to_detect) {
            return false;
        }
        match hears.map(|mut hears| hears.try_recv()) {
            None => {}
            Some(Ok(Ok(receipt))) => {
                whole.accepted += receipt.accepted;
                whole.dead_lettered += receipt.dead_lettered;
                whole.repeats.extend(receipt.repeats.iter().map(|at| from + at));
            }
            Some(Ok(Err(refusal))) => {
                answer(waiting, Err(refusal));
                return true;
            }
            Some(Err(_untold)) => return true,
        }
        from += count;
    }
    answer(waiting, Ok(whole));
    true
}

/// Rows in halves until each fits into a batch of the log, or is one row.
fn pieces(mut rows: Vec<(Dataset, Event)>) -> Vec<Part> {
    let half = rows.len() / 2;
    if half == 0 || Encoded::of(&rows).bytes() <= BYTES_TOGETHER_MAX {
        return vec![Part::of(rows)];
    }
    let rest = rows.split_off(half);
    let mut all = pieces(rows);
    all.extend(pieces(rest));
    all
}

/// When the receipt book is written down.
struct Keeper {
    kept: Instant,
    next_end: Timestamp,
}

impl Keeper {
    fn new(now: Timestamp) -> Keeper {
        // Hours may have ended while nothing ran.
        Keeper { kept: Instant::now(), next_end: now }
    }

    fn keep_if_due(&mut self, shared: &Shared, resent: &mut Resent) {
        let now = shared.clock.now();
        // Also where the clock was set back by hours.
        let is_end = self.next_end <= now || SourceBook::next_end(now) < self.next_end;
        if !is_end && self.kept.elapsed() < CHECKPOINT_INTERVAL {
            return;
        }
        self.kept = Instant::now();
        if keep(shared, resent, is_end) && is_end {
            self.next_end = SourceBook::next_end(now);
        }
    }
}

/// Writes down what the receipt book counted, and stores the hours that are over. Says whether it is done. The book is
/// locked meanwhile: whoever looks at it and at a snapshot finds each hour in one of them.
fn keep(shared: &Shared, resent: &mut Resent, has_ended: bool) -> bool {
    let marks = resent.marks(None, shared.clock.now());
    if !marks.is_empty()
        && let Err(error) = shared.store.append_from(&mut Vec::new(), &by_name(&marks))
    {
        debug!(%error, "which answers have arrived is not written down");
        resent.settle(false);
    }
    let noted = std::mem::take(&mut *shared.noted());
    let result = shared.book().keep(&shared.store, &noted, shared.clock.now(), has_ended);
    if let Err(error) = &result {
        // Tried again; the log says what is stored, and what was noted stays noted.
        debug!(%error, "receipt book not written down");
        shared.noted().add(noted);
    }
    result.is_ok()
}

/// The ids of what is in the log and in no segment yet.
fn recent_of(store: &Store) -> RecentIds {
    let mut recent = RecentIds::new();
    for row in store.snapshot().recent(Dataset::Events) {
        // Only the remembering matters here.
        recent.is_repeat(&row.stored().event);
    }
    recent
}

/// A batch ready to be written: rows without repeats, and what each part will be told.
struct Planned {
    rows: Vec<(Dataset, Event)>,
    /// The same as the log holds them.
    encoded: Vec<Encoded>,
    /// For each part what it is told, how many rows are its own, who waits, and what it keeps.
    receipts: Vec<(Receipt, usize, Option<Waiting>, Vec<Keep>)>,
    places: PlaceBook,
    /// There are records of sessions among the rows.
    has_sessions: bool,
    /// What is stored: the log says it.
    stored: Tally,
    /// What is not: the batch has to say it.
    other: Tally,
}

/// Writes parts as one batch and answers the waiting. `None` where nothing was stored. When writing fails,
/// the waiting are told at once and the rest is tried again.
fn commit(shared: &Shared, known: &mut Known, mut parts: Vec<Part>) -> Option<Arc<[Stored]>> {
    let mut is_told = false;
    loop {
        parts = wait_for_room(&shared.store, parts);
        if parts.is_empty() {
            return None;
        }
        let noted = std::mem::take(&mut *shared.noted());
        let places = shared.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let (after_seq, now) = (shared.book().counted.0, shared.clock.now());
        let mut planned = plan((after_seq, places), known, now, &mut parts);
        planned.other.add(noted.clone());
        let (book, mut marks) = shared.book().before_batch(&planned.other);
        marks.extend(planned.places.take_touched());
        marks.extend(known.resent.marks(planned.has_sessions.then_some(after_seq), now));
        let began = shared.clock.now();
        let result = shared.store.append_encoded(&mut planned.rows, &planned.encoded, &by_name(&marks));
        Counters::add(&shared.counters.append_ns, nanos(shared.clock.now().since(began)));
        let error = match result {
            Ok(committed) => {
                known.resent.settle(true);
                acknowledge(shared, planned, book, committed.last().map(|last| last.seq));
                return Some(committed);
            }
            Err(error) => error,
        };
        shared.noted().add(noted);
        if matches!(error, WriteError::Behind { .. }) {
            // Overload as designed: inputs wait until sealing has caught up.
            debug!(%error, "intake waits for sealing");
        } else {
            if matches!(error, WriteError::DiskFull { .. }) {
                shared.overload.found_no_room();
            }
            Counters::add(&shared.counters.write_errors, 1);
            if !is_told {
                is_told = true;
                error!(%error, "batch not stored");
            }
            shared.set_trouble(Some(error.to_string()));
        }
        known.resent.settle(false);
        known.ids = recent_of(&shared.store);
        let is_final = matches!(error, WriteError::Poisoned | WriteError::ReadOnly | WriteError::BatchTooLarge { .. });
        parts = refuse(planned, &error);
        if is_final || parts.is_empty() {
            return None;
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
}

/// Waits while sealing is behind: a little while less than the bound waits to be sealed, in proportion to what does, so
/// that intake and sealing find one pace; until there is room where the bound is passed. Then whoever waits is told so
/// before, and is not in what is given back.
fn wait_for_room(store: &Store, parts: Vec<Part>) -> Vec<Part> {
    let (bytes, bytes_max) = store.backlog();
    let rows = parts.iter().map(|part| part.rows.len()).sum();
    if bytes <= bytes_max {
        std::thread::sleep(pause(bytes, bytes_max, rows));
        return parts;
    }
    // Overload as designed: inputs wait until sealing has caught up.
    debug!(bytes, "intake waits for sealing");
    let mut kept = Vec::new();
    for part in parts {
        match part.waiting {
            Some(_) => answer(part.waiting, Err(Refusal::Busy { retry_after_s: RETRY_AFTER_S })),
            None => kept.push(part),
        }
    }
    while !kept.is_empty() && bytes_max < store.backlog().0 {
        std::thread::sleep(ROOM_INTERVAL);
    }
    kept
}

/// How long so many rows wait where so many bytes wait to be sealed: not at all up to half of the bound.
fn pause(bytes: u64, bytes_max: u64, rows: usize) -> Duration {
    let past = bytes.saturating_sub(bytes_max / 2).min(bytes_max / 2);
    let share = u128::from(past) * rows.min(ROWS_TOGETHER_MAX) as u128 * PAUSE_MAX.as_nanos();
    let whole = u128::from(bytes_max / 2).max(1) * ROWS_TOGETHER_MAX as u128;
    Duration::from_nanos(u64::try_from(share / whole).unwrap_or(0))
}

/// Takes the rows out of the parts, leaves repeats out, tallies everything, and writes places down in their book, a
/// copy. `after_seq`: a `Seq` before those of the rows.
fn plan((after_seq, places): (u64, PlaceBook), known: &mut Known, now: Timestamp, parts: &mut Vec<Part>) -> Planned {
    let receipts = Vec::with_capacity(parts.len());
    let (stored, other) = (Tally::new(), Tally::new());
    let (rows, encoded) = (Vec::new(), Vec::new());
    let mut planned = Planned { rows, encoded, receipts, places, has_sessions: false, stored, other };
    for mut part in parts.drain(..) {
        let mut receipt = Receipt::default();
        let resent = part.delivery.as_ref().map(|delivery| known.resent.look(delivery, &part.rows, now));
        let resent = resent.unwrap_or_default();
        receipt.is_resent = !resent.is_empty() && resent.len() == part.rows.len();
        let mut resent = resent.into_iter().peekable();
        planned.has_sessions |= part.delivery.as_ref().is_some_and(|delivery| delivery.is_session());
        for (at, (dataset, event)) in (0u32..).zip(&part.rows) {
            if *dataset == Dataset::Canaries {
                // Ours, not a source's: in no book.
                continue;
            }
            let fate = match dataset {
                _ if resent.next_if_eq(&at).is_some() => Fate::Duplicate,
                Dataset::DeadLetters => Fate::DeadLettered,
                _ if known.ids.is_repeat(event) => Fate::Duplicate,
                _ => Fate::Stored,
            };
            match fate {
                Fate::Duplicate => planned.other.count(event, fate, after_seq),
                Fate::Stored | Fate::DeadLettered => planned.stored.count(event, fate, after_seq),
            }
            match fate {
                Fate::Stored => receipt.accepted += 1,
                Fate::DeadLettered => receipt.dead_lettered += 1,
                Fate::Duplicate => receipt.repeats.push(at),
            }
        }
        let own = part.rows.len() - receipt.repeats.len();
        if !receipt.repeats.is_empty() {
            part.encoded = vec![Encoded::without(&part.encoded, &receipt.repeats)];
            let mut repeats = receipt.repeats.iter().peekable();
            let mut at = 0..;
            part.rows.retain(|_| repeats.next_if_eq(&&at.next().unwrap_or(u32::MAX)).is_none());
        }
        match planned.rows.is_empty() {
            // One part is often all there is.
            true => planned.rows = part.rows,
            false => planned.rows.append(&mut part.rows),
        }
        planned.encoded.append(&mut part.encoded);
        planned.places.keep(&part.keep);
        planned.receipts.push((receipt, own, part.waiting, part.keep));
    }
    planned
}

/// Counts what is durable now, `book` being the one that says what the log does not, and answers the waiting.
fn acknowledge(shared: &Shared, planned: Planned, book: SourceBook, last: Option<Seq>) {
    let sum = |of: fn(&Receipt) -> u64| planned.receipts.iter().map(|(receipt, ..)| of(receipt)).sum::<u64>();
    Counters::add(&shared.counters.events_stored, sum(|receipt| receipt.accepted));
    Counters::add(&shared.counters.dead_letters, sum(|receipt| receipt.dead_lettered));
    Counters::add(&shared.counters.duplicates, sum(|receipt| receipt.duplicate()));
    shared.set_trouble(None);
    shared.feed.hear(&planned.stored);
    {
        let mut shown = shared.book();
        // Put in its place first: rows that nobody else holds are counted where they stand, the others are copied.
        *shown = book;
        shown.after_batch(&planned.stored, last);
    }
    *shared.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = planned.places;
    // Before anybody is answered: who hears that it is stored may wait for the rules to look at it.
    if let Some(last) = last {
        shared.live.set_committed(last);
    }
    for (receipt, _, waiting, _) in planned.receipts {
        answer(waiting, Ok(receipt));
    }
}

/// Tells the waiting that nothing of theirs is stored; gives back the rows that nobody waits for.
fn refuse(planned: Planned, error: &WriteError) -> Vec<Part> {
    let refusal = match error {
        WriteError::DiskFull { .. } | WriteError::Behind { .. } => Refusal::Busy { retry_after_s: RETRY_AFTER_S },
        other => Refusal::Store { reason: other.to_string() },
    };
    let mut rows = planned.rows.into_iter();
    let mut kept = Vec::new();
    for (_, count, waiting, keep) in planned.receipts {
        let own: Vec<_> = rows.by_ref().take(count).collect();
        match waiting {
            Some(_) => answer(waiting, Err(refusal.clone())),
            None if own.is_empty() && keep.is_empty() => {}
            None => kept.push(Part { keep, ..Part::of(own) }),
        }
    }
    kept
}

fn answer(waiting: Option<Waiting>, result: Result<Receipt, Refusal>) {
    if let Some(waiting) = waiting {
        // A sender that is gone meanwhile cannot be told; it will send again.
        drop(waiting.send(result));
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::Field;

    use super::*;

    fn row(dataset: Dataset, id: &str) -> (Dataset, Event) {
        let mut event = Event::new(Timestamp(0), *b"x");
        event.set(Field::EVENT_ID, id);
        (dataset, event)
    }

    #[test]
    fn a_batch_waits_longer_the_more_waits_to_be_sealed() {
        assert_eq!(pause(0, 100, ROWS_TOGETHER_MAX), Duration::ZERO);
        assert_eq!(pause(50, 100, ROWS_TOGETHER_MAX), Duration::ZERO);
        assert_eq!(pause(75, 100, ROWS_TOGETHER_MAX), PAUSE_MAX / 2);
        assert_eq!(pause(100, 100, ROWS_TOGETHER_MAX), PAUSE_MAX);
        assert_eq!(pause(900, 100, ROWS_TOGETHER_MAX * 9), PAUSE_MAX);
        assert_eq!(pause(100, 100, ROWS_TOGETHER_MAX / 4), PAUSE_MAX / 4);
        assert_eq!(pause(1, 0, 1), Duration::ZERO);
    }

    #[test]
    fn a_push_larger_than_a_batch_of_the_log_is_stored_and_takes_nobody_else_down() {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
        let file = crate::config::ConfigFile { data: folder.path().to_owned(), ..Default::default() };
        let config = crate::config::Config::check(file).expect("the defaults hold");
        let shared = crate::command::serve::open(&config, runtime.handle().clone()).expect("opens");
        let large = |at: i64| (Dataset::Events, Event::new(Timestamp(at), vec![b'x'; 24 << 20]));
        let (told, mut hears) = tokio::sync::oneshot::channel();
        let pushed = vec![large(1), large(2), row(Dataset::DeadLetters, "d"), large(3), row(Dataset::Events, "a")];
        let (to_append, converted) = std::sync::mpsc::sync_channel(1);
        let push = Part { waiting: Some(told), ..Part::of(pushed) };
        to_append.send(vec![Part::of(vec![row(Dataset::Events, "a")]), push]).expect("is taken");
        drop(to_append);
        let (to_detect, detects) = committed::queue();
        let looking = std::thread::spawn(move || {
            let mut rows = 0;
            while let committed::Received::Batch(batch) = detects.receive(Duration::from_secs(60)) {
                rows += batch.len();
            }
            rows
        });
        run(&shared, &Arc::default(), &converted, &to_detect);
        drop(to_detect);
        assert_eq!(looking.join().expect("it does not panic"), 5);
        let receipt = Receipt { accepted: 3, dead_lettered: 1, repeats: vec![4], is_resent: false };
        assert_eq!(hears.try_recv(), Ok(Ok(receipt)));
        let snapshot = shared.store.snapshot();
        assert_eq!((snapshot.count(Dataset::Events), snapshot.count(Dataset::DeadLetters)), (4, 1));
    }

    /// What is no event of a source takes a place among the rows, and none in the receipt.
    #[test]
    fn a_refused_batch_gives_each_sender_its_own_rows_back() {
        let (told, mut hears) = tokio::sync::oneshot::channel();
        let mut parts = vec![
            Part::of(vec![row(Dataset::Canaries, "canary"), row(Dataset::Events, "a")]),
            Part { waiting: Some(told), ..Part::of(vec![row(Dataset::Events, "b"), row(Dataset::Events, "a")]) },
            Part::of(vec![row(Dataset::Events, "b")]),
            Part::of(vec![row(Dataset::DeadLetters, "c"), row(Dataset::Events, "d")]),
        ];
        let mut known = Known { ids: RecentIds::new(), resent: Resent::default() };
        let planned = plan(Default::default(), &mut known, Timestamp(0), &mut parts);
        let kept = refuse(planned, &WriteError::ReadOnly);
        let ids = |part: &Part| -> Vec<String> {
            part.rows.iter().filter_map(|(_, event)| event.text(Field::EVENT_ID)).map(String::from).collect()
        };
        let expected: [&[&str]; 2] = [&["canary", "a"], &["c", "d"]];
        assert_eq!(kept.iter().map(ids).collect::<Vec<_>>(), expected, "who waits sends again, the others cannot");
        assert!(matches!(hears.try_recv(), Ok(Err(Refusal::Store { .. }))));
    }
}
