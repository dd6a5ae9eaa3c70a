//! `Tail`: the state behind [`super::tail`], without async: which files there are, which of them is which, what is new.
//!
//! In: looks. Out: [`Found`] records with the place behind them. A place moves only when the caller says that the records
//! are durable ([`Tail::moved`]). See the module above for the promises.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use nhatle_event::{Record, Text, Timestamp};

use super::BATCH_RECORDS_MAX;
use super::lines::{Join, LineForm};
use super::misnamed::Misnamed;
use super::tail::{FILES_MAX, READ_BYTES, TailError, TailOptions, fits};
use crate::frame;
use crate::parse::headed::{HEADER_BYTES_MAX, HeaderLines};

/// How many bytes of a file's front, and before the offset, tell which file it is.
const KNOWN_BYTES: u64 = 1024;
/// Under a name that is not the other's with an ending, a copy is taken for one only when so many bytes agree.
const COPY_BYTES_MIN: u64 = 128;
/// A record of several lines is whole when the file has not grown for so long; likewise the last line, without its end,
/// of a file that was rotated away.
const WHOLE_AFTER_NS: i64 = 2_000_000_000;
/// A file that was rotated away is let go when it has not grown for so long: its writer may still have it open.
const GONE_AFTER_NS: i64 = 60_000_000_000;
/// The folder is listed so often.
const LIST_INTERVAL_NS: i64 = 1_000_000_000;
/// All files together give so many bytes in one look.
const LOOK_BYTES: usize = 4 << 20;
/// Names of one folder that are looked at.
const NAMES_MAX: usize = 65_536;
/// How many bytes of the front decide how lines belong together.
const FRONT_BYTES: u64 = 4096;
/// So far back from where it was left a file is searched for its header; and its front, twice [`FRONT_BYTES`].
const HEADER_SEARCH_BYTES: u64 = 256 << 20;
/// In steps of so many bytes.
const HEADER_STEP_BYTES: u64 = 1 << 20;

/// New records of one file.
#[derive(Debug)]
pub struct Found {
    /// Which file, for [`Tail::moved`].
    pub(super) file: u64,
    /// The records, in order; may be none where only the place moved.
    pub(super) records: Vec<Record>,
    /// The place behind them.
    pub(super) place: Place,
}

/// Up to where a file was read, and how it is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Device and inode.
    id: (u64, u64),
    offset: u64,
    /// Hash of the first bytes that were read, at most [`KNOWN_BYTES`].
    head: u64,
    /// Hash of the last bytes that were read, as many.
    before: u64,
    /// The rest of an over-long line is to be passed over.
    is_skipping: bool,
    /// Under which name it was first seen.
    name: String,
}

impl Place {
    fn start(id: (u64, u64), name: String) -> Place {
        Place { id, offset: 0, head: hash(&[]), before: hash(&[]), is_skipping: false, name }
    }

    fn line(&self) -> String {
        let Place { id: (device, inode), offset, head, before, is_skipping, name } = self;
        format!("{device} {inode} {offset} {head:x} {before:x} {} {name}\n", u8::from(*is_skipping))
    }

    fn read(line: &str) -> Option<Place> {
        let mut parts = line.splitn(7, ' ');
        let mut number = |radix| u64::from_str_radix(parts.next()?, radix).ok();
        let (device, inode, offset) = (number(10)?, number(10)?, number(10)?);
        let (head, before, skips) = (number(16)?, number(16)?, number(10)?);
        let name = parts.next()?.to_owned();
        Some(Place { id: (device, inode), offset, head, before, is_skipping: skips != 0, name })
    }

    /// Whether what was read is enough to take a file of this name for its copy, if the bytes agree.
    fn may_be_copied_to(&self, name: &str) -> bool {
        let base = Path::new(&self.name).file_name().and_then(|base| base.to_str()).unwrap_or_default();
        let is_rotated = !base.is_empty() && name.starts_with(base);
        self.offset >= if is_rotated { 1 } else { COPY_BYTES_MIN }
    }

    /// Whether a file holds the bytes that were read up to this place.
    fn is_of(&self, file: &mut File) -> bool {
        marks(file, self.offset).is_ok_and(|marks| marks == (self.head, self.before))
    }
}

struct Followed {
    /// Names it in [`Found`].
    number: u64,
    file: File,
    place: Place,
    join: Option<Join>,
    /// Of a log whose lines mean what a header says: the header in force, and at which offset.
    header: Option<(u64, HeaderLines)>,
    /// No path of ours leads to it any more.
    is_gone: bool,
    length: u64,
    grown: Timestamp,
    /// Its form is decided once it has bytes.
    is_form_known: bool,
}

/// Files being followed.
pub struct Tail {
    folder: PathBuf,
    pattern: String,
    options: TailOptions,
    files: Vec<Followed>,
    /// Places whose files are looked for: of an earlier run, and of what stood in files that were emptied.
    known: Vec<Place>,
    listed: Option<Timestamp>,
    next_number: u64,
    /// Where the next look begins, so that each file gets its turn.
    turn: usize,
    is_full_said: bool,
}

impl Tail {
    pub(super) fn new(options: TailOptions, places: &str) -> Result<Tail, TailError> {
        let path = options.path.display().to_string();
        let pattern = options.path.file_name().and_then(|name| name.to_str()).map(ToOwned::to_owned);
        let pattern = pattern.ok_or_else(|| TailError::NoName { path: path.clone() })?;
        let folder = options.path.parent().map(Path::to_owned).unwrap_or_default();
        if folder.to_string_lossy().contains(['*', '?']) {
            return Err(TailError::PatternInFolder { path });
        }
        Ok(Tail {
            folder: if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder },
            pattern,
            options,
            files: Vec::new(),
            known: places.lines().filter_map(Place::read).take(FILES_MAX).collect(),
            listed: None,
            next_number: 0,
            turn: 0,
            is_full_said: false,
        })
    }

    /// What is new since the last look.
    pub(super) fn look(&mut self, now: Timestamp) -> Vec<Found> {
        if self.listed.is_none_or(|listed| LIST_INTERVAL_NS <= now.since(listed) || now < listed) {
            self.listed = Some(now);
            if let Err(error) = self.list(now) {
                tracing::debug!(file.path = %self.folder.display(), %error, "folder not listed");
            }
        }
        let count = self.files.len();
        let (mut found, mut bytes) = (Vec::new(), 0);
        for step in 0..count {
            let at = (self.turn + step) % count;
            match self.read(at, now) {
                Ok(Some(one)) => {
                    bytes += one.records.iter().map(|record| record.bytes.len()).sum::<usize>();
                    found.push(one);
                }
                Ok(None) => {}
                Err(error) => {
                    let path = &self.files[at].place.name;
                    tracing::debug!(file.path = path, %error, "file not read; it is tried again");
                }
            }
            if LOOK_BYTES < bytes {
                self.turn = at + 1;
                break;
            }
        }
        self.files.retain(|file| {
            let is_over = file.is_gone && file.length <= file.place.offset && GONE_AFTER_NS < now.since(file.grown);
            !is_over
        });
        found
    }

    /// The records of a [`Found`] are durable.
    pub(super) fn moved(&mut self, number: u64, place: Place) {
        if let Some(file) = self.files.iter_mut().find(|file| file.number == number) {
            file.place = place;
        }
    }

    /// All places as text, with one of them moved.
    pub(super) fn places_with(&self, number: u64, moved: &Place) -> String {
        let current = |file: &Followed| if file.number == number { moved.line() } else { file.place.line() };
        self.files.iter().map(current).chain(self.known.iter().map(Place::line)).collect()
    }

    /// Finds files that are new, renamed or gone.
    fn list(&mut self, now: Timestamp) -> std::io::Result<()> {
        let mut names: Vec<(String, (u64, u64))> = Vec::new();
        for entry in std::fs::read_dir(&self.folder)?.take(NAMES_MAX) {
            // What vanishes while it is listed is no fault.
            let Ok(entry) = entry else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
            if metadata.is_file() && !is_packed(&name) {
                names.push((name, id_of(&metadata)));
            }
        }
        names.sort();
        let ours: Vec<_> = names.iter().filter(|(name, _)| fits(&self.pattern, name)).collect();
        let there: BTreeSet<(u64, u64)> = ours.iter().map(|(_, id)| *id).collect();
        for file in &mut self.files {
            if file.is_gone == there.contains(&file.place.id) {
                file.is_gone = !file.is_gone;
                file.grown = now;
            }
        }
        for (name, id) in ours {
            if !self.files.iter().any(|file| file.place.id == *id) {
                self.begin(name, now);
            }
        }
        // What was being read and is not under its name any more: renamed, or copied and emptied.
        for place in std::mem::take(&mut self.known) {
            let base = Path::new(&place.name).file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_ours = |name: &str| !base.is_empty() && name.starts_with(base);
            let is_followed = |id: (u64, u64), files: &[Followed]| files.iter().any(|file| file.place.id == id);
            let (same_inode, others): (Vec<_>, Vec<_>) = names.iter().partition(|(_, id)| *id == place.id);
            let copies = others.into_iter().filter(|(name, _)| is_ours(name));
            let found = same_inode.iter().copied().chain(copies).find_map(|(name, id)| {
                let mut file = File::open(self.folder.join(name)).ok()?;
                (!is_followed(*id, &self.files) && place.is_of(&mut file)).then_some((file, *id))
            });
            // Emptied, written to and renamed, all while nobody looked.
            for (name, id) in same_inode {
                let is_found = found.as_ref().is_some_and(|(_, found)| found == id);
                if is_found || !is_ours(name) || is_followed(*id, &self.files) {
                    continue;
                }
                if let Ok(file) = File::open(self.folder.join(name)) {
                    self.follow(file, Place::start(*id, place.name.clone()), true, now);
                }
            }
            match found {
                Some((file, id)) => self.follow(file, Place { id, ..place }, true, now),
                None if place.offset > 0 => {
                    tracing::info!(file.path = place.name, offset = place.offset, "what stood in a file is gone");
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Begins to follow a file, from where it was left if it is a known one.
    fn begin(&mut self, name: &str, now: Timestamp) {
        if FILES_MAX <= self.files.len() {
            if !std::mem::replace(&mut self.is_full_said, true) {
                tracing::warn!(file.path = name, files_max = FILES_MAX, "more files fit the pattern than are followed");
            }
            return;
        }
        let path = self.folder.join(name);
        let opened = File::open(&path).and_then(|file| Ok((id_of(&file.metadata()?), file)));
        let Ok((id, mut file)) = opened.inspect_err(|error| {
            tracing::warn!(file.path = %path.display(), %error, "file cannot be opened");
        }) else {
            return;
        };
        if is_packed_inside(&mut file) {
            return;
        }
        let same_inode = self.known.iter().position(|place| place.id == id && place.is_of(&mut file));
        let same_bytes = || {
            let fits = |place: &Place, file: &mut File| place.may_be_copied_to(name) && place.is_of(file);
            self.known.iter().position(|place| fits(place, &mut file))
        };
        if let Some(at) = same_inode.or_else(same_bytes) {
            let place = self.known.remove(at);
            return self.follow(file, Place { id, ..place }, false, now);
        }
        let copied = self
            .files
            .iter()
            .map(|file| &file.place)
            .filter(|place| place.may_be_copied_to(name))
            .find(|place| place.is_of(&mut file));
        let place = copied
            .map_or_else(|| Place::start(id, path.display().to_string()), |copied| Place { id, ..copied.clone() });
        self.follow(file, place, false, now);
    }

    fn follow(&mut self, file: File, place: Place, is_gone: bool, now: Timestamp) {
        let number = self.next_number;
        self.next_number += 1;
        let followed = Followed {
            number,
            file,
            place,
            join: None,
            header: None,
            is_gone,
            length: 0,
            grown: now,
            is_form_known: false,
        };
        self.files.push(followed);
    }

    fn read(&mut self, at: usize, now: Timestamp) -> std::io::Result<Option<Found>> {
        let Some(file) = self.files.get_mut(at) else { return Ok(None) };
        let length = file.file.metadata()?.len();
        if length != file.length {
            (file.length, file.grown) = (length, now);
        }
        if length == file.place.offset {
            return Ok(None);
        }
        if length < file.place.offset || !file.place.is_of(&mut file.file) {
            // Emptied, or written anew. What stood there may stand in a copy now, whose rest is to be read.
            let emptied = Place::start(file.place.id, file.place.name.clone());
            self.known.push(std::mem::replace(&mut file.place, emptied));
            self.listed = None;
            file.is_form_known = false;
        }
        if !file.is_form_known {
            let front = read_at(&mut file.file, 0, FRONT_BYTES)?;
            // Under a wrong name records of several lines belong together as those of the file's own profile do (ADR 34).
            let named = self.options.origin.profile.as_deref();
            let read = Misnamed::of(&front, named, now).map(|told| told.read.name());
            let form = LineForm::of(&front, read.or(named));
            file.join = if let LineForm::Joined(join) = form { Some(join) } else { None };
            // Which comes right with the first read: no header is in force at this place.
            file.header = matches!(form, LineForm::Headed(_)).then(|| (u64::MAX, HeaderLines::default()));
            // Comments alone may be the beginning of a header.
            let is_told = front.split_inclusive(|byte| *byte == b'\n').any(|line| line.first() != Some(&b'#'));
            file.is_form_known = front.contains(&b'\n') && (is_told || file.header.is_some());
        }
        let is_quiet = WHOLE_AFTER_NS <= now.since(file.grown);
        if !file.is_form_known && file.place.offset == 0 && !is_quiet {
            return Ok(None);
        }
        let room = READ_BYTES.max(self.options.record_bytes_max + 1);
        let bytes = read_at(&mut file.file, file.place.offset, room as u64)?;
        let cut = Cut {
            bytes: &bytes,
            is_full: bytes.len() == room,
            is_whole: is_quiet && bytes.len() < room,
            is_last: file.is_gone && is_quiet && bytes.len() < room,
            join: file.join,
            record_bytes_max: self.options.record_bytes_max,
        };
        let (mut lines, used, is_skipping) = cut.records(file.place.is_skipping);
        if used == 0 {
            return Ok(None);
        }
        let offset = file.place.offset + used as u64;
        if let Some((at, header)) = &mut file.header {
            if *at != file.place.offset {
                *header = header_before(&mut file.file, file.place.offset)?;
            }
            lines.retain_mut(|(line, is_cut)| {
                let is_record = !header.take(line);
                if is_record {
                    let mut record = header.with(line);
                    *is_cut |= self.options.record_bytes_max < record.len();
                    record.truncate(self.options.record_bytes_max);
                    *line = record;
                }
                is_record
            });
            *at = offset;
        }
        let mut origin = self.options.origin.clone();
        origin.input = Text::from(format!("file:{}", file.place.name));
        let records = lines.into_iter().map(|(line, is_cut)| origin.record(&line, now, is_cut)).collect();
        let (head, before) = marks(&mut file.file, offset)?;
        let place = Place { offset, head, before, is_skipping, ..file.place.clone() };
        Ok(Some(Found { file: file.number, records, place }))
    }
}

/// Bytes of a file from its offset on, to be cut into records.
struct Cut<'a> {
    bytes: &'a [u8],
    /// There may be more of the file behind them.
    is_full: bool,
    /// A record of several lines that is whole may end with them.
    is_whole: bool,
    /// So may a line without its end.
    is_last: bool,
    join: Option<Join>,
    record_bytes_max: usize,
}

impl Cut<'_> {
    /// The records, each with whether it was cut; how many bytes they take; whether a line is to be passed over.
    fn records(&self, mut is_skipping: bool) -> (Vec<(Vec<u8>, bool)>, usize, bool) {
        let mut records: Vec<(Vec<u8>, bool)> = Vec::new();
        // Up to where bytes are in `records`, and up to where lines were looked at.
        let (mut used, mut at) = (0, 0);
        let mut held: Option<(Vec<u8>, bool)> = None;
        while records.len() < BATCH_RECORDS_MAX {
            let rest = &self.bytes[at..];
            let line = match memchr::memchr(b'\n', rest) {
                Some(end) => &rest[..=end],
                None if rest.is_empty() => break,
                None if is_skipping || self.is_last => rest,
                // A line longer than all that is read at once: its front is the record.
                None if self.is_full && at == 0 => rest,
                None => break,
            };
            let has_end = line.ends_with(b"\n");
            at += line.len();
            if is_skipping {
                is_skipping = !has_end;
                used = at;
                continue;
            }
            is_skipping = !has_end && !self.is_last;
            let text = frame::trim_frame(line);
            let is_cut = self.record_bytes_max < text.len() || is_skipping;
            let text = &text[..text.len().min(self.record_bytes_max)];
            let Some(join) = self.join else {
                used = at;
                if !text.trim_ascii().is_empty() {
                    records.push((text.to_vec(), is_cut));
                }
                continue;
            };
            match &mut held {
                Some((lines, was_cut)) if join.goes_on(lines, line.trim_ascii_end()) => {
                    let room = self.record_bytes_max.saturating_sub(lines.len() + 1);
                    let line = line.strip_suffix(b"\n").unwrap_or(line);
                    if room > 0 {
                        lines.push(b'\n');
                        lines.extend_from_slice(&line[..line.len().min(room)]);
                    }
                    *was_cut |= room < line.len() || is_cut;
                }
                _ => {
                    // This line begins another record; the one before is whole.
                    used = at - line.len();
                    records.extend(held.take());
                    if text.trim_ascii().is_empty() {
                        used = at;
                    } else {
                        held = Some((text.to_vec(), is_cut));
                    }
                }
            }
        }
        let is_all = at == self.bytes.len() || self.is_last;
        if held.is_some() && (self.is_whole && is_all || self.is_full && used == 0 || is_skipping) {
            used = at;
            records.extend(held);
        }
        records.retain(|(record, _)| !record.trim_ascii().is_empty());
        (records, used, is_skipping)
    }
}

/// The header in force at an offset: of the comments before it, as far back as is searched.
fn header_before(file: &mut File, offset: u64) -> std::io::Result<HeaderLines> {
    let mut header = HeaderLines::default();
    let back = offset.saturating_sub(HEADER_SEARCH_BYTES);
    for (from, to) in [(0, back.min(2 * FRONT_BYTES)), (back, offset)] {
        // In the middle of a file begins the rest of a line, which is no comment.
        let (mut at, mut line) = (from, if from > 0 { b"x".to_vec() } else { Vec::new() });
        while at < to {
            let bytes = read_at(file, at, HEADER_STEP_BYTES.min(to - at))?;
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
            for part in bytes.split_inclusive(|byte| *byte == b'\n') {
                // Of other lines it is enough to know that they are no comments.
                if line.is_empty() || line.first() == Some(&b'#') && line.len() <= HEADER_BYTES_MAX {
                    line.extend_from_slice(part.get(..part.len().min(HEADER_BYTES_MAX + 1)).unwrap_or_default());
                }
                if part.ends_with(b"\n") {
                    header.take(&line);
                    line.clear();
                }
            }
        }
    }
    Ok(header)
}

/// Hashes of the first bytes up to an offset, and of the last ones before it.
fn marks(file: &mut File, offset: u64) -> std::io::Result<(u64, u64)> {
    let length = offset.min(KNOWN_BYTES);
    let head = read_at(file, 0, length)?;
    let before = read_at(file, offset - length, length)?;
    if (head.len() as u64) < length || (before.len() as u64) < length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok((hash(&head), hash(&before)))
}

/// At most `length` bytes from `offset`.
fn read_at(file: &mut File, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// FNV-1a: stable over versions, because places are kept. It tells files apart, it protects nothing.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn is_packed(name: &str) -> bool {
    [".gz", ".zst", ".xz", ".bz2", ".lz4", ".zip"].iter().any(|ending| name.ends_with(ending))
}

/// Whether the content is compressed, whatever the name: gzip, zstd, xz, bzip2.
fn is_packed_inside(file: &mut File) -> bool {
    let magics: [&[u8]; 4] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], &[0xfd, b'7', b'z', b'X', b'Z'], b"BZh"];
    read_at(file, 0, 8).is_ok_and(|front| magics.iter().any(|magic| front.starts_with(magic)))
}

#[cfg(unix)]
fn id_of(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere a file is known by when it was made, and by its bytes.
#[cfg(not(unix))]
fn id_of(metadata: &Metadata) -> (u64, u64) {
    let made = metadata.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    (0, made.map_or(0, |made| made.as_nanos() as u64))
}
