//! `LiveSegment`: a sealed segment as the store hands it out, opened when first asked; and
//! `SegmentForm`, the real form and the plain one that the simulator uses because it is quick to write.

use std::sync::{Arc, Mutex, OnceLock};

use nhatle_event::{Seq, Stored, Timestamp};

use crate::disk::Disk;
use crate::error::{Corrupt, ReadError, WriteError};
use crate::memtable::Row;
use crate::segment::head::{IndexHead, KeptHead};
use crate::segment::merge::{Pace, Work};
use crate::segment::meta::{SegmentMeta, WriteOptions};
use crate::segment::{self, Projection, Segment};

/// What a batch of events may take in memory, about.
const BATCH_BYTES: usize = 32 << 20;

/// How the segments of a store are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentForm {
    /// Parquet and an index.
    Columns,
    /// The events as the log encodes them, in one file. For the simulator only.
    #[cfg(any(test, feature = "sim"))]
    Plain,
}

/// A live segment of a store.
pub struct LiveSegment {
    meta: SegmentMeta,
    disk: Arc<dyn Disk>,
    form: SegmentForm,
    opened: Mutex<Option<Arc<Segment>>>,
    head: KeptHead,
    damage: OnceLock<String>,
}

impl LiveSegment {
    /// A segment that is not opened yet.
    pub fn new(disk: Arc<dyn Disk>, meta: SegmentMeta, form: SegmentForm) -> LiveSegment {
        LiveSegment { meta, disk, form, opened: Mutex::new(None), head: KeptHead::default(), damage: OnceLock::new() }
    }

    /// What is known of it without opening it.
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    /// How it is written.
    pub(crate) fn form(&self) -> SegmentForm {
        self.form
    }

    /// The segment, opened at the first call.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn open(&self) -> Result<Arc<Segment>, ReadError> {
        let mut opened = self.opened.lock().expect("no code panics while it holds this lock");
        if let Some(segment) = &*opened {
            return Ok(segment.clone());
        }
        let segment = Arc::new(Segment::open(self.disk.clone(), &self.meta)?);
        *opened = Some(segment.clone());
        Ok(segment)
    }

    /// Forgets what is kept of its events in memory, where it was opened.
    pub fn forget_events(&self) {
        let opened = self.opened.lock().expect("no code panics while it holds this lock");
        opened.iter().for_each(|segment| segment.forget_events());
    }

    /// The head of its index; `None` for a form without one.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn index_head(&self) -> Result<Option<Arc<IndexHead>>, ReadError> {
        match self.form {
            SegmentForm::Columns => self.head.get(&self.disk, &self.meta).map(Some),
            #[cfg(any(test, feature = "sim"))]
            SegmentForm::Plain => Ok(None),
        }
    }

    /// What is known to be wrong with it: the first that somebody found.
    pub fn damage(&self) -> Option<&str> {
        self.damage.get().map(String::as_str)
    }

    /// Says that it is damaged. It stays live: what can be read of it may still be asked for by name.
    pub fn set_damage(&self, what: String) {
        if self.damage.set(what.clone()).is_ok() {
            tracing::error!(file.path = self.meta.dir, what, "a segment is damaged; searches leave it out and say so");
        }
    }

    /// The error is about one of its files.
    pub fn is_meant(&self, error: &ReadError) -> bool {
        let (ReadError::Io { file, .. }
        | ReadError::Unreadable { file, .. }
        | ReadError::Corrupt(Corrupt { file, .. })) = error
        else {
            return false;
        };
        file.strip_prefix(&self.meta.dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Somebody reads it beside the caller, who holds one reference.
    pub fn is_read(self: &Arc<LiveSegment>) -> bool {
        let opened = self.opened.lock().expect("no code panics while it holds this lock");
        1 < Arc::strong_count(self) || opened.as_ref().is_some_and(|segment| 1 < Arc::strong_count(segment))
    }

    /// When its first and its last event were committed; looked up in the rows where the manifest does not say.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn committed(&self) -> Result<(Timestamp, Timestamp), ReadError> {
        match self.meta.committed {
            Some([first, last]) => Ok((Timestamp(first), Timestamp(last))),
            None => self.open()?.committed(),
        }
    }

    /// Its first `limit` events after `after`, in `Seq` order, reading only those.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn events_after(&self, after: Seq, limit: usize) -> Result<Vec<Stored>, ReadError> {
        match self.form {
            SegmentForm::Columns => {
                let segment = self.open()?;
                let mut rows = segment.keys()?.first_after(after, limit);
                rows.sort_unstable();
                let mut events = segment.fetch(&rows, Projection::All)?;
                events.sort_by_key(|stored| stored.seq);
                Ok(events)
            }
            #[cfg(any(test, feature = "sim"))]
            SegmentForm::Plain => {
                let mut events = self.events()?;
                events.retain(|stored| after < stored.seq);
                events.truncate(limit);
                Ok(events)
            }
        }
    }

    /// All its events, some at a time, in no order; `false` of `see` ends it. Says whether it went to the end.
    pub(crate) fn in_batches(&self, see: &mut dyn FnMut(Vec<Stored>) -> bool) -> Result<bool, ReadError> {
        match self.form {
            SegmentForm::Columns => {
                for events in self.open()?.stream(BATCH_BYTES)? {
                    if !see(events?) {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            #[cfg(any(test, feature = "sim"))]
            SegmentForm::Plain => Ok(see(self.events()?)),
        }
    }

    /// All its events, in `Seq` order.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn events(&self) -> Result<Vec<Stored>, ReadError> {
        let mut events = match self.form {
            SegmentForm::Columns => self.open()?.rows()?,
            #[cfg(any(test, feature = "sim"))]
            SegmentForm::Plain => plain::read(&*self.disk, &self.meta)?,
        };
        events.sort_by_key(|stored| stored.seq);
        Ok(events)
    }
}

/// Makes one segment of several that follow each other, durably; `None` where `pace` gave it up.
///
/// # Errors
/// What the disk says; an input that is damaged.
pub fn merge(
    form: SegmentForm,
    disk: &dyn Disk,
    dir: &str,
    inputs: &[Arc<LiveSegment>],
    (options, work): (&WriteOptions, Work<'_>),
    pace: Pace<'_>,
) -> Result<Option<SegmentMeta>, WriteError> {
    match form {
        SegmentForm::Columns => {
            let open = inputs.iter().map(|input| input.open()).collect::<Result<Vec<_>, _>>()?;
            segment::merge::merge(disk, dir, &open, (options, work), pace)
        }
        #[cfg(any(test, feature = "sim"))]
        SegmentForm::Plain => {
            let mut events = Vec::new();
            for input in inputs {
                events.extend(input.events()?);
                if !pace() {
                    return Ok(None);
                }
            }
            let mut meta = plain::write_anew(disk, dir, inputs, events, (options, work))?;
            meta.tier = options.tier;
            meta.replaces = inputs.iter().map(|input| Replaced::of(input.meta())).collect();
            Ok(Some(meta))
        }
    }
}

/// Writes a segment of these rows, in order of `@timestamp`, then `Seq`, durably.
///
/// # Errors
/// What the disk says, or an event that cannot be given the form.
pub fn write(
    form: SegmentForm,
    disk: &dyn Disk,
    dir: &str,
    rows: &[Row<'_>],
    options: &WriteOptions,
) -> Result<SegmentMeta, WriteError> {
    match form {
        SegmentForm::Columns => segment::write_rows(disk, dir, rows, options),
        #[cfg(any(test, feature = "sim"))]
        SegmentForm::Plain => {
            let events: Vec<Stored> = rows.iter().map(Row::stored).collect();
            plain::write(disk, dir, &events.iter().collect::<Vec<_>>(), options)
        }
    }
}

#[cfg(any(test, feature = "sim"))]
use crate::segment::meta::Replaced;

#[cfg(any(test, feature = "sim"))]
mod plain {
    use nhatle_event::{Seq, Stored, Timestamp, binary};

    use std::sync::Arc;

    use super::{Disk, LiveSegment, ReadError, SegmentMeta, Work, WriteError, WriteOptions};
    use crate::proof::canonical::{Canonical, Hashed};
    use crate::proof::tree::Tree;
    use crate::segment::erased::{Erased, Keeper};
    use crate::segment::meta::write_file;

    const FILE: &str = "events";

    pub fn write(
        disk: &dyn Disk,
        dir: &str,
        events: &[&Stored],
        options: &WriteOptions,
    ) -> Result<SegmentMeta, WriteError> {
        let mut bytes = Vec::new();
        for stored in events {
            let mut encoded = Vec::new();
            binary::encode(&stored.event, &mut encoded);
            bytes.extend_from_slice(&stored.seq.0.to_le_bytes());
            bytes.extend_from_slice(&stored.committed.0.to_le_bytes());
            bytes.extend_from_slice(&(encoded.len() as u64).to_le_bytes());
            bytes.extend_from_slice(&encoded);
        }
        let file = write_file(disk, dir, FILE, &bytes)?;
        let hashed = events.iter().map(|stored| Hashed::of(stored)).collect();
        SegmentMeta::of(options.dataset, dir, hashed, vec![file])
            .ok_or_else(|| WriteError::Unwritable { file: dir.to_owned(), reason: "no events".to_owned() })
    }

    /// [`write`] of what several segments hold, with something erased or not.
    pub fn write_anew(
        disk: &dyn Disk,
        dir: &str,
        inputs: &[Arc<LiveSegment>],
        mut events: Vec<Stored>,
        (options, work): (&WriteOptions, Work<'_>),
    ) -> Result<SegmentMeta, WriteError> {
        let before = inputs.iter().map(|input| Erased::read(disk, input.meta())).collect::<Result<Vec<_>, _>>()?;
        let mut keeper = Keeper::of(before.into_iter());
        if let Work::Erase(erasure) = work {
            let unwritable = |reason: String| WriteError::Unwritable { file: dir.to_owned(), reason };
            events.iter_mut().try_for_each(|stored| keeper.erase(stored, erasure)).map_err(unwritable)?;
        }
        let mut meta = write(disk, dir, &events.iter().collect::<Vec<_>>(), options)?;
        let mut canonical = Canonical::default();
        events.sort_unstable_by_key(|stored| stored.seq);
        let leaves = events.iter().map(|stored| keeper.leaf(stored.seq, canonical.leaf(stored))).collect();
        meta.events_root = nhatle_event::json::hex(&Tree::of(leaves).root());
        meta.files.extend(keeper.into_erased().write(disk, dir)?);
        Ok(meta)
    }

    pub fn read(disk: &dyn Disk, meta: &SegmentMeta) -> Result<Vec<Stored>, ReadError> {
        let bytes = meta.read_file(disk, FILE)?;
        let unreadable = |reason: String| ReadError::Unreadable { file: meta.path(FILE), reason };
        let mut rest = &bytes[..];
        let word = |rest: &mut &[u8]| -> Result<[u8; 8], ReadError> {
            let (word, after) = rest.split_first_chunk().ok_or_else(|| unreadable("it ends early".to_owned()))?;
            *rest = after;
            Ok(*word)
        };
        let mut events = Vec::new();
        while !rest.is_empty() {
            let seq = Seq(u64::from_le_bytes(word(&mut rest)?));
            let committed = Timestamp(i64::from_le_bytes(word(&mut rest)?));
            let length = usize::try_from(u64::from_le_bytes(word(&mut rest)?)).unwrap_or(usize::MAX);
            let (encoded, after) =
                rest.split_at_checked(length).ok_or_else(|| unreadable("it ends early".to_owned()))?;
            rest = after;
            let event = binary::decode(encoded).map_err(|error| unreadable(error.to_string()))?;
            events.push(Stored { seq, committed, event });
        }
        Ok(events)
    }
}
