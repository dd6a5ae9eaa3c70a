//! `LiveSegment`: a sealed segment as the store hands it out, opened when first asked; and
//! `SegmentForm`, the real form and the plain one that the simulator uses because it is quick to write.

use std::sync::{Arc, Mutex};

use nhatle_event::Stored;

use crate::disk::Disk;
use crate::error::{ReadError, WriteError};
use crate::segment::meta::{SegmentMeta, WriteOptions};
use crate::segment::{self, Segment};

/// How the segments of a store are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentForm {
    /// Parquet and Tantivy.
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
}

impl LiveSegment {
    /// A segment that is not opened yet.
    pub fn new(disk: Arc<dyn Disk>, meta: SegmentMeta, form: SegmentForm) -> LiveSegment {
        LiveSegment { meta, disk, form, opened: Mutex::new(None) }
    }

    /// What is known of it without opening it.
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
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

/// Writes a segment durably.
///
/// # Errors
/// What the disk says, or an event that cannot be given the form.
pub fn write(
    form: SegmentForm,
    disk: &dyn Disk,
    dir: &str,
    events: &[Stored],
    options: &WriteOptions,
) -> Result<SegmentMeta, WriteError> {
    match form {
        SegmentForm::Columns => segment::write(disk, dir, events, options),
        #[cfg(any(test, feature = "sim"))]
        SegmentForm::Plain => plain::write(disk, dir, events, options),
    }
}

#[cfg(any(test, feature = "sim"))]
mod plain {
    use nhatle_event::{Seq, Stored, Timestamp, binary};

    use super::{Disk, ReadError, SegmentMeta, WriteError, WriteOptions};
    use crate::segment::meta::write_file;

    const FILE: &str = "events";

    pub fn write(
        disk: &dyn Disk,
        dir: &str,
        events: &[Stored],
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
        SegmentMeta::of(options.dataset, dir, events, vec![file])
            .ok_or_else(|| WriteError::Unwritable { file: dir.to_owned(), reason: "no events".to_owned() })
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
