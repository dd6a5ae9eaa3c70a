//! Files: one-shot reading of text, JSON lines, JSON arrays and EVTX, plain or compressed.
//!
//! In: a path. Out: its records in order, each with its index: the 0-based line for text and JSON lines
//! (blank lines count and give no record), the position in a JSON array, the record's position in EVTX.
//! Promise: memory is bounded by the longest record allowed, whatever the file's size or compression.
//! Failure: a record that cannot be read is a dead letter and the next one follows; what the disk or the
//! compression breaks ends the file with a [`FileError`]. The content decides the form, not the name.

use std::fs::File;
use std::io::{BufRead, BufReader, Chain, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nhatle_event::{DeadLetter, Event, Field, Record, Text, Timestamp};

use super::lines::{Join, LineForm};
use super::misnamed::Misnamed;
pub use super::walk::{FILES_MAX, FOLDER_DEPTH_MAX, files_below};
use super::zip::{ZipEntry, ZipError};
use crate::Settings;
use crate::enrich;
use crate::frame::{self, Origin};
use crate::parse::evtx::{self, EvtxReader};
use crate::parse::headed::Header;
use crate::parse::json::Scanner;

/// How many bytes of one record of a file are kept.
pub const FILE_RECORD_BYTES_MAX: usize = 16 << 20;
/// How standard input is named; a file of this name is `./-`.
pub const STANDARD_INPUT: &str = "-";
/// How large the room for a line stays after a long one.
const LINE_BYTES_KEPT: usize = 1 << 16;
/// How many bytes of the front of a file decide its form.
const FRONT_BYTES: usize = 4096;

/// Why a file could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Opening, listing or reading went wrong.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An archive, or an entry of it.
    #[error(transparent)]
    Archive(Box<ZipError>),
    /// More files or deeper folders than the bounds allow.
    #[error("{} has more files or deeper folders than are read at once", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

/// How a file is read.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// The source profile of its records; `None` = by content.
    pub profile: Option<Text>,
    /// The organization unit its records belong to.
    pub unit: Option<Text>,
    /// The present moment: the receive time where the file's own time is not known.
    pub now: Timestamp,
}

impl FileOptions {
    /// By content, with no unit.
    pub fn new(now: Timestamp) -> FileOptions {
        FileOptions { profile: None, unit: None, now }
    }
}

/// When a file was last changed, where that is known.
pub fn modified(file: &File) -> Option<Timestamp> {
    let modified = file.metadata().and_then(|metadata| metadata.modified()).ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok().map(Timestamp)
}

/// One record of a file, not converted yet, so that conversion may run elsewhere.
#[derive(Clone, Debug)]
pub struct FileEntry {
    /// Its place in the file, from 0.
    pub index: u64,
    pub(super) path: Arc<str>,
    pub(super) misnamed: Option<Misnamed>,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Record(Record),
    /// A line that means what the header above it says; `None` = there was none.
    Headed(Record, Option<Arc<Header>>),
    /// Read already, with the record that tells where it came from.
    Read(Box<(Result<Event, DeadLetter>, Record)>),
}

impl FileEntry {
    /// How many bytes it was read from.
    pub fn bytes(&self) -> usize {
        match &self.content {
            Content::Record(record) | Content::Headed(record, _) => record.bytes.len(),
            Content::Read(read) => read.0.as_ref().map_or(0, |event| event.original.len()),
        }
    }

    /// The event or dead letter this record is, with the file's path and the index set.
    ///
    /// # Errors
    /// The dead letter.
    pub fn convert(self, settings: &Settings) -> Result<Event, DeadLetter> {
        let mut event = match self.content {
            Content::Record(record) => crate::to_event(&record, settings)?,
            Content::Headed(record, header) => crate::headed_to_event(&record, header.as_deref(), settings)?,
            Content::Read(read) => {
                let (result, record) = *read;
                let mut event = result?;
                enrich::enrich(&mut event, &record, settings);
                event
            }
        };
        set_place(&mut event, &self.path, self.index, self.misnamed);
        Ok(event)
    }
}

/// Writes down which file an event stands in, and where; and that the file is of another profile than was named.
pub(super) fn set_place(event: &mut Event, path: &str, index: u64, misnamed: Option<Misnamed>) {
    if let Some(misnamed) = misnamed {
        event.set(Field::NHATLE_PROFILE_NAMED, misnamed.named.name());
        event.set_default(Field::NHATLE_PROFILE_READ, misnamed.read.name());
    }
    event.set(Field::LOG_FILE_PATH, path);
    event.set(Field::NHATLE_EVIDENCE_FILE, path);
    event.set(Field::NHATLE_FILE_INDEX, i64::try_from(index).unwrap_or(i64::MAX));
}

/// The records of one file, in order, unconverted.
pub struct FileEntries {
    pub(super) path: PathBuf,
    pub(super) shown: Arc<str>,
    pub(super) misnamed: Option<Misnamed>,
    pub(super) form: Form,
    pub(super) index: u64,
    pub(super) origin: Origin,
    pub(super) received: Timestamp,
    pub(super) has_ended: bool,
    /// The line being read; its room is used again for the next one.
    line: Vec<u8>,
    /// The first line of the next record, where it was needed to know that the one before ended.
    held: Option<HeldLine>,
}

/// A line read ahead, or the lines of a record so far.
struct HeldLine {
    index: u64,
    bytes: Vec<u8>,
    is_cut: bool,
}

impl HeldLine {
    /// Adds a line, as far as the limit for one record allows.
    fn add(&mut self, line: &[u8], is_cut: bool) {
        let room = FILE_RECORD_BYTES_MAX.saturating_sub(self.bytes.len() + 1);
        if room > 0 {
            self.bytes.push(b'\n');
        }
        self.bytes.extend_from_slice(&line[..line.len().min(room)]);
        self.is_cut |= is_cut || room < line.len();
    }
}

pub(super) type Reader = BufReader<Box<dyn Read + Send>>;

/// What stood in a buffer, and then the rest without one.
type Unbuffered = Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>;

pub(super) enum Form {
    /// Windows event records. Chunks are read into their own memory, past any buffer.
    Evtx(Box<EvtxReader<Unbuffered>>),
    /// Text in one of its shapes.
    Text(Reader, Shape),
}

pub(super) enum Shape {
    /// Lines of text or JSON.
    Lines(LineForm),
    /// JSON values one after another, an array's elements or pretty-printed objects.
    Values {
        /// The opening bracket of the array is behind.
        is_inside: bool,
    },
}

impl FileEntries {
    /// Opens a file; [`STANDARD_INPUT`] is the program's own input.
    ///
    /// # Errors
    /// It cannot be opened or its front not be read.
    pub fn open(path: &Path, options: &FileOptions) -> Result<FileEntries, FileError> {
        if path.as_os_str() == STANDARD_INPUT {
            return FileEntries::read(Box::new(std::io::stdin()), path, options.now, options);
        }
        let read_error = |source| FileError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read_error)?;
        let received = modified(&file).unwrap_or(options.now);
        FileEntries::read(Box::new(file), path, received, options)
    }

    /// The records of a file whose bytes come from elsewhere, last changed at `received`.
    ///
    /// # Errors
    /// Its front cannot be read.
    pub fn of_bytes(
        bytes: Box<dyn Read + Send>,
        path: &Path,
        received: Timestamp,
        options: &FileOptions,
    ) -> Result<FileEntries, FileError> {
        FileEntries::read(bytes, path, received, options)
    }

    /// The records of an entry of an archive, which events name `ARCHIVE:ENTRY`.
    ///
    /// # Errors
    /// The entry cannot be had, or its front not be read.
    pub fn open_entry(archive: &Path, entry: &ZipEntry, options: &FileOptions) -> Result<FileEntries, FileError> {
        let path = PathBuf::from(format!("{}:{}", archive.display(), entry.name));
        let bytes = entry.open().map_err(|error| FileError::Archive(Box::new(error)))?;
        FileEntries::read(Box::new(bytes), &path, options.now, options)
    }

    fn read(
        bytes: Box<dyn Read + Send>,
        path: &Path,
        received: Timestamp,
        options: &FileOptions,
    ) -> Result<FileEntries, FileError> {
        let read_error = |source| FileError::Read { path: path.to_owned(), source };
        let mut reader = decompressed(bytes).map_err(read_error)?;
        let front = reader.fill_buf().map_err(read_error)?;
        let form = FrontForm::of(front);
        let misnamed = match form {
            FrontForm::Lines => Misnamed::of(front, options.profile.as_deref(), received),
            _ => None,
        };
        let profile = misnamed.map_or_else(|| options.profile.clone(), |told| Some(Text::from(told.read.name())));
        let lines = LineForm::of(front, profile.as_deref());
        let shown: Arc<str> = path.to_string_lossy().into();
        let mut origin = Origin::new(&shown);
        (origin.profile, origin.unit) = (profile, options.unit.clone());
        if let FrontForm::Wrapped(used) = form {
            reader.consume(used);
        }
        let form = match form {
            FrontForm::Evtx => {
                let front = Cursor::new(reader.buffer().to_vec());
                let input = front.chain(reader.into_inner());
                Form::Evtx(Box::new(EvtxReader::new(input, &origin.record(b"", received, false))))
            }
            FrontForm::Lines => Form::Text(reader, Shape::Lines(lines)),
            FrontForm::Wrapped(_) => Form::Text(reader, Shape::Values { is_inside: true }),
            FrontForm::Array => Form::Text(reader, Shape::Values { is_inside: false }),
            FrontForm::Objects => Form::Text(reader, Shape::Values { is_inside: true }),
        };
        Ok(FileEntries {
            path: path.to_owned(),
            shown,
            misnamed,
            form,
            index: 0,
            origin,
            received,
            has_ended: false,
            line: Vec::new(),
            held: None,
        })
    }

    /// The file's name, as its events tell it.
    pub fn name(&self) -> &str {
        &self.shown
    }

    /// Where the file is of another profile than was named, by its first records: both names.
    pub fn misnamed(&self) -> Option<Misnamed> {
        self.misnamed
    }

    fn next_record(&mut self) -> std::io::Result<Option<(u64, Content)>> {
        let mut place =
            Place { index: &mut self.index, origin: &self.origin, received: self.received, line: &mut self.line };
        match &mut self.form {
            Form::Evtx(reader) => Ok(reader.next_decoded().map(|decoded| {
                let record = place.origin.record(b"", place.received, false);
                (decoded.position, Content::Read(Box::new((decoded.result, record))))
            })),
            Form::Text(reader, shape) => match shape {
                Shape::Lines(LineForm::Joined(join)) => place.next_joined(reader, *join, &mut self.held),
                Shape::Lines(form) => place.next_line(reader, form),
                Shape::Values { .. } => place.next_value(reader, shape),
            },
        }
    }
}

/// Where the next record stands, and what all share.
struct Place<'a> {
    index: &'a mut u64,
    origin: &'a Origin,
    received: Timestamp,
    line: &'a mut Vec<u8>,
}

impl Place<'_> {
    fn take_index(&mut self) -> u64 {
        let index = *self.index;
        *self.index += 1;
        index
    }

    fn next_line(&mut self, reader: &mut Reader, form: &mut LineForm) -> std::io::Result<Option<(u64, Content)>> {
        loop {
            self.line.clear();
            self.line.shrink_to(LINE_BYTES_KEPT);
            let Some(is_cut) = read_line(reader, self.line)? else { return Ok(None) };
            let index = self.take_index();
            let line = frame::trim_frame(self.line);
            if line.trim_ascii().is_empty() {
                continue;
            }
            let record = || self.origin.record(line, self.received, is_cut);
            match form {
                LineForm::Headed(headers) => {
                    if !headers.take(line) {
                        return Ok(Some((index, Content::Headed(record(), headers.current()))));
                    }
                }
                _ => return Ok(Some((index, Content::Record(record())))),
            }
        }
    }

    /// A record of several lines: ended by the line that does not go on with it, which is held for the next.
    fn next_joined(
        &mut self,
        reader: &mut Reader,
        join: Join,
        held: &mut Option<HeldLine>,
    ) -> std::io::Result<Option<(u64, Content)>> {
        let mut record: Option<HeldLine> = held.take();
        loop {
            let mut line = Vec::new();
            let Some(is_cut) = read_line(reader, &mut line)? else { break };
            let next = HeldLine { index: self.take_index(), bytes: frame::trim_frame(&line).to_vec(), is_cut };
            match &mut record {
                _ if join.is_header(&next.bytes) => {}
                Some(record) if join.goes_on(&record.bytes, trim_end(&line)) => record.add(trim_end(&line), is_cut),
                _ if next.bytes.trim_ascii().is_empty() => {}
                None => record = Some(next),
                Some(_) => {
                    *held = Some(next);
                    break;
                }
            }
        }
        let record = record.filter(|line| held.is_some() || !join.is_remnant(&line.bytes));
        Ok(record.map(|line| {
            let record = self.origin.record(line.bytes.trim_ascii_end(), self.received, line.is_cut);
            (line.index, Content::Record(record))
        }))
    }

    fn next_value(&mut self, reader: &mut Reader, shape: &mut Shape) -> std::io::Result<Option<(u64, Content)>> {
        loop {
            let Some(byte) = peek(reader)? else { return Ok(None) };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | 0xef | 0xbb | 0xbf => reader.consume(1),
                b'[' if matches!(shape, Shape::Values { is_inside: false }) => {
                    reader.consume(1);
                    *shape = Shape::Values { is_inside: true };
                }
                b']' => {
                    reader.consume(1);
                    close_wrapping(reader)?;
                    *shape = Shape::Lines(LineForm::Single);
                    return self.next_line(reader, &mut LineForm::Single);
                }
                _ => break,
            }
        }
        let mut value = Vec::new();
        let is_cut = read_value(reader, &mut value)?;
        let mut record = self.origin.record(value.trim_ascii(), self.received, is_cut);
        if value.first() != Some(&b'{') {
            // An element that is no object can only be a dead letter, never a line of text.
            record.profile = Some(Text::const_new("json"));
        }
        Ok(Some((self.take_index(), Content::Record(record))))
    }
}

impl Iterator for FileEntries {
    type Item = Result<FileEntry, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        match self.next_record() {
            Ok(Some((index, content))) => {
                Some(Ok(FileEntry { index, path: self.shown.clone(), misnamed: self.misnamed, content }))
            }
            Ok(None) => {
                self.has_ended = true;
                None
            }
            Err(source) => {
                self.has_ended = true;
                Some(Err(FileError::Read { path: self.path.clone(), source }))
            }
        }
    }
}

/// The records of one file, converted: index, and event or dead letter.
pub struct FileRecords<'a> {
    entries: FileEntries,
    settings: &'a Settings,
}

impl<'a> FileRecords<'a> {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be opened or its front not be read.
    pub fn open(path: &Path, options: &FileOptions, settings: &'a Settings) -> Result<FileRecords<'a>, FileError> {
        Ok(FileRecords { entries: FileEntries::open(path, options)?, settings })
    }

    /// See [`FileEntries::misnamed`].
    pub fn misnamed(&self) -> Option<Misnamed> {
        self.entries.misnamed()
    }
}

impl Iterator for FileRecords<'_> {
    type Item = Result<(u64, Result<Event, DeadLetter>), FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        Some(entry.map(|entry| (entry.index, entry.convert(self.settings))))
    }
}

/// The bytes of a file, decompressed where its first bytes say so (gzip of several members, zstd).
fn decompressed(file: Box<dyn Read + Send>) -> std::io::Result<Reader> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let front = reader.fill_buf()?;
    let plain: Box<dyn Read + Send> = match front {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::with_buffer(reader)?),
        _ => return Ok(reader),
    };
    Ok(BufReader::with_capacity(1 << 16, plain))
}

/// Members under which others put the records of a whole file: CloudTrail's, Azure's, Elastic's.
const WRAPPING: [&[u8]; 3] = [b"Records", b"records", b"events"];

/// The bytes up to the first record of `{ "Records": [ {`; `None` = the file is no such object.
fn wrapped_at(front: &[u8]) -> Option<usize> {
    let after = |text: &[u8], mark: &[u8]| -> Option<usize> {
        let padding = text.len() - text.trim_ascii_start().len();
        text.get(padding..)?.starts_with(mark).then_some(padding + mark.len())
    };
    let mut at = after(front, b"{")?;
    at += after(front.get(at..)?, b"\"")?;
    at += WRAPPING.iter().find(|name| front.get(at..).is_some_and(|rest| rest.starts_with(name)))?.len();
    for mark in [&b"\""[..], b":", b"["] {
        at += after(front.get(at..)?, mark)?;
    }
    after(front.get(at..)?, b"{").map(|_| at)
}

/// Takes the bracket that closes the object around an array, where nothing else stands behind the array.
fn close_wrapping(reader: &mut Reader) -> std::io::Result<()> {
    let bytes = reader.fill_buf()?;
    let padding = bytes.len() - bytes.trim_ascii_start().len();
    if bytes.get(padding) == Some(&b'}') {
        reader.consume(padding + 1);
    }
    Ok(())
}

/// What the front of a file says of its form.
enum FrontForm {
    Evtx,
    /// An object of one member, an array of records; so many bytes stand before the first.
    Wrapped(usize),
    Array,
    Objects,
    Lines,
}

impl FrontForm {
    fn of(front: &[u8]) -> FrontForm {
        if front.starts_with(evtx::MAGIC) {
            return FrontForm::Evtx;
        }
        let front = front.get(..front.len().min(FRONT_BYTES)).unwrap_or_default();
        // A line of JSON may have such a member, too: only what opens on a line of its own is a file's.
        let opens_alone = front.split(|byte| *byte == b'\n').next().is_some_and(|line| line.trim_ascii() == b"{");
        if let Some(at) = wrapped_at(front).filter(|_| opens_alone || front.starts_with(b"{\"Records\"")) {
            return FrontForm::Wrapped(at);
        }
        let front = front.strip_prefix(b"\xef\xbb\xbf").unwrap_or(front).trim_ascii_start();
        let first_line = front.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
        match front {
            [b'[', rest @ ..] if matches!(rest.trim_ascii_start().first(), Some(b'{' | b']')) => FrontForm::Array,
            // An object that its first line only opens: pretty-printed.
            [b'{', ..] if first_line == b"{" => FrontForm::Objects,
            _ => FrontForm::Lines,
        }
    }
}

/// A line without its end; spaces in front are part of it.
fn trim_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn peek(reader: &mut Reader) -> std::io::Result<Option<u8>> {
    Ok(reader.fill_buf()?.first().copied())
}

/// Reads up to the newline, keeps what the limit allows; whether it was cut, `None` at the end.
pub(super) fn read_line(reader: &mut Reader, line: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    let (mut has_any, mut is_cut) = (false, false);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(has_any.then_some(is_cut));
        }
        has_any = true;
        let newline = memchr::memchr(b'\n', bytes);
        let part = &bytes[..newline.unwrap_or(bytes.len())];
        let kept = part.len().min(FILE_RECORD_BYTES_MAX - line.len());
        line.extend_from_slice(&part[..kept]);
        is_cut |= kept < part.len();
        let used = part.len() + usize::from(newline.is_some());
        reader.consume(used);
        if newline.is_some() {
            return Ok(Some(is_cut));
        }
    }
}

/// Reads one JSON value by its brackets and strings, up to what ends it; whether it was cut. Broken JSON
/// ends somewhere too, at the latest with the file.
fn read_value(reader: &mut Reader, value: &mut Vec<u8>) -> std::io::Result<bool> {
    let (mut scanner, mut is_cut) = (Scanner::default(), false);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(is_cut);
        }
        let end = scanner.end_of_value(bytes);
        let used = end.unwrap_or(bytes.len());
        let kept = used.min(FILE_RECORD_BYTES_MAX - value.len());
        value.extend_from_slice(&bytes[..kept]);
        is_cut |= kept < used;
        reader.consume(used);
        if end.is_some() {
            return Ok(is_cut);
        }
    }
}
