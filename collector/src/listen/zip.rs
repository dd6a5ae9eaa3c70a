//! ZIP archives from strangers: what is in them, and the bytes of each entry, checked.
//!
//! In: a path and [`ZipLimits`]. Out: the entries in the order of the directory; each can be opened, by itself and on
//! any thread, and is read as it unpacks. Promise: nothing is written, a name is a path that stays below
//! wherever it is put, and no archive makes a reader give more bytes than it declared and the limits allow; the
//! end of an entry is reached only if its length and CRC-32 are right. Failure: [`ZipError`]; an entry that cannot
//! be had (encrypted, a link, another method) is one that says why, and takes no other with it.
//!
//! Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.4 (Zip64: 4.5.3). Methods: stored and deflate.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

/// The end record without its comment, and with the longest one.
const END_BYTES: u64 = 22;
const END_BYTES_MAX: u64 = END_BYTES + 0xffff;
const END: u32 = 0x0605_4b50;
const END64_LOCATOR: u32 = 0x0706_4b50;
const END64: u32 = 0x0606_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;
/// A central header without its name, and a local one.
const CENTRAL_BYTES: usize = 46;
const LOCAL_BYTES: u64 = 30;
/// The longest directory that is read: ten times what the most entries with usual names take.
const DIRECTORY_BYTES_MAX: u64 = 256 << 20;
/// The longest name of an entry.
const NAME_BYTES_MAX: usize = 4096;
/// How many bytes are read from the file at once.
const BUFFER_BYTES: usize = 64 << 10;

/// What an archive may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZipLimits {
    /// Entries, folders among them.
    pub entries_max: usize,
    /// Bytes of one entry, unpacked.
    pub entry_bytes_max: u64,
    /// Bytes of all entries, unpacked.
    pub total_bytes_max: u64,
}

impl Default for ZipLimits {
    /// For archives of logs: memory does not grow with them, so only the time they take is bounded.
    fn default() -> ZipLimits {
        ZipLimits { entries_max: 1_000_000, entry_bytes_max: 64 << 30, total_bytes_max: 1 << 40 }
    }
}

/// Why an archive, or an entry of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// Opening or reading went wrong.
    #[error("cannot read {}", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no ZIP archive, or not a whole one.
    #[error("{} is no whole ZIP archive: {reason}", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// It is larger than allowed, or made to look smaller than it is.
    #[error("{} is refused: {reason}", path.display())]
    Refused {
        /// The archive.
        path: PathBuf,
        /// Which bound it passes.
        reason: String,
    },
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file that can be opened.
    File,
    /// A folder.
    Folder,
    /// Something that is not taken, and why.
    Unreadable(&'static str),
}

/// One entry of an archive.
#[derive(Clone, Debug)]
pub struct ZipEntry {
    /// Its name: a path of plain parts with `/` between, never absolute, never upwards. Of an entry whose name
    /// is none, the name as it stands there.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its length, unpacked, as the directory says.
    pub size: u64,
    path: Arc<Path>,
    method: u16,
    crc: u32,
    packed: u64,
    offset: u64,
}

/// The entries of an archive, in the order of its directory.
///
/// # Errors
/// It cannot be read, is no whole archive, or passes a limit.
pub fn entries(path: &Path, limits: &ZipLimits) -> Result<Vec<ZipEntry>, ZipError> {
    let archive = Archive { path: path.into() };
    let mut file = File::open(path).map_err(|source| archive.broken(source))?;
    let length = file.seek(SeekFrom::End(0)).map_err(|source| archive.broken(source))?;
    let directory = archive.find_directory(&mut file, length)?;
    if limits.entries_max as u64 <= directory.count.saturating_sub(1) {
        return Err(archive.refused(format!("more than {} entries", limits.entries_max)));
    }
    let bytes = archive.read_at(&mut file, directory.offset, directory.bytes)?;
    let entries = archive.parse_directory(&bytes, directory.count)?;
    let mut total = 0_u64;
    let mut packed = 0_u64;
    for entry in entries.iter().filter(|entry| entry.kind == EntryKind::File) {
        if limits.entry_bytes_max < entry.size {
            let reason = format!("{} would be {} bytes, more than {}", entry.name, entry.size, limits.entry_bytes_max);
            return Err(archive.refused(reason));
        }
        total = total.saturating_add(entry.size);
        packed = packed.saturating_add(entry.packed).saturating_add(LOCAL_BYTES);
    }
    if limits.total_bytes_max < total {
        return Err(archive.refused(format!("it would unpack to {total} bytes, more than {}", limits.total_bytes_max)));
    }
    // Entries that share bytes are how a small archive becomes a huge one.
    if length < packed {
        return Err(archive.refused("its entries overlap".to_owned()));
    }
    Ok(entries)
}

/// Whether a file begins as a ZIP archive does.
pub fn is_zip(front: &[u8]) -> bool {
    front.starts_with(b"PK\x03\x04") || front.starts_with(b"PK\x05\x06")
}

impl ZipEntry {
    /// The bytes of a file entry, unpacked as they are read.
    ///
    /// # Errors
    /// It is no file, or what the directory says of it is not so.
    pub fn open(&self) -> Result<EntryReader, ZipError> {
        let archive = Archive { path: self.path.clone() };
        if let EntryKind::Unreadable(reason) = self.kind {
            return Err(archive.damaged(format!("{}: {reason}", self.name)));
        }
        let mut file = File::open(&self.path).map_err(|source| archive.broken(source))?;
        let head = archive.read_at(&mut file, self.offset, LOCAL_BYTES)?;
        if u32_at(&head, 0) != Some(LOCAL) {
            return Err(archive.damaged(format!("no entry at byte {} for {}", self.offset, self.name)));
        }
        let skipped = u64::from(u16_at(&head, 26).unwrap_or(0)) + u64::from(u16_at(&head, 28).unwrap_or(0));
        let start = self.offset.saturating_add(LOCAL_BYTES).saturating_add(skipped);
        file.seek(SeekFrom::Start(start)).map_err(|source| archive.broken(source))?;
        let packed = BufReader::with_capacity(BUFFER_BYTES, file).take(self.packed);
        let unpacked = match self.method {
            0 => Unpacked::Stored(packed),
            _ => Unpacked::Deflated(Box::new(DeflateDecoder::new(packed))),
        };
        Ok(EntryReader { unpacked, crc: Crc::new(), expected: self.crc, left: self.size, is_done: false })
    }
}

enum Unpacked {
    Stored(Take<BufReader<File>>),
    Deflated(Box<DeflateDecoder<Take<BufReader<File>>>>),
}

/// See [`ZipEntry::open`]. Reading fails with `InvalidData` where the entry is not what was declared.
pub struct EntryReader {
    unpacked: Unpacked,
    crc: Crc,
    expected: u32,
    left: u64,
    is_done: bool,
}

impl Read for EntryReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_done || buffer.is_empty() {
            return Ok(0);
        }
        let count = match &mut self.unpacked {
            Unpacked::Stored(reader) => reader.read(buffer)?,
            Unpacked::Deflated(reader) => reader.read(buffer)?,
        };
        if count == 0 {
            let is_whole = self.left == 0 && self.crc.sum() == self.expected;
            self.is_done = is_whole;
            return if is_whole { Ok(0) } else { Err(invalid("the entry is cut, or its checksum is another one")) };
        }
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| invalid("the entry is longer than declared"))?;
        self.crc.update(&buffer[..count]);
        Ok(count)
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Where the directory is.
struct Directory {
    offset: u64,
    bytes: u64,
    count: u64,
}

struct Archive {
    path: Arc<Path>,
}

impl Archive {
    fn broken(&self, source: io::Error) -> ZipError {
        ZipError::Read { path: self.path.to_path_buf(), source }
    }

    fn damaged(&self, reason: String) -> ZipError {
        ZipError::Damaged { path: self.path.to_path_buf(), reason }
    }

    fn refused(&self, reason: String) -> ZipError {
        ZipError::Refused { path: self.path.to_path_buf(), reason }
    }

    fn read_at(&self, file: &mut File, offset: u64, count: u64) -> Result<Vec<u8>, ZipError> {
        file.seek(SeekFrom::Start(offset)).map_err(|source| self.broken(source))?;
        let mut bytes = Vec::new();
        file.take(count).read_to_end(&mut bytes).map_err(|source| self.broken(source))?;
        if (bytes.len() as u64) < count {
            return Err(self.damaged(format!("it ends before byte {}", offset.saturating_add(count))));
        }
        Ok(bytes)
    }

    /// The end record stands at the end, behind it only a comment.
    fn find_directory(&self, file: &mut File, length: u64) -> Result<Directory, ZipError> {
        let start = length.saturating_sub(END_BYTES_MAX);
        let tail = self.read_at(file, start, length - start)?;
        let is_end = |at: &usize| {
            let rest = tail.len() - at;
            u32_at(&tail, *at) == Some(END)
                && u16_at(&tail, at + 20).is_some_and(|comment| usize::from(comment) + END_BYTES as usize == rest)
        };
        let last = tail.len().checked_sub(END_BYTES as usize);
        let at = last.and_then(|last| (0..=last).rev().find(is_end));
        let at = at.ok_or_else(|| self.damaged("it has no end record".to_owned()))?;
        let end = tail.get(at..).unwrap_or_default();
        let (disk, first_disk) = (u16_at(end, 4).unwrap_or(0), u16_at(end, 6).unwrap_or(0));
        let mut directory = Directory {
            count: u16_at(end, 10).unwrap_or(0).into(),
            bytes: u32_at(end, 12).unwrap_or(0).into(),
            offset: u32_at(end, 16).unwrap_or(0).into(),
        };
        let is_full = directory.count == 0xffff || directory.bytes == 0xffff_ffff || directory.offset == 0xffff_ffff;
        let is_large = is_full && at >= 20 && u32_at(&tail, at - 20) == Some(END64_LOCATOR);
        if is_large {
            let place = u64_at(&tail, at - 20 + 8).unwrap_or(u64::MAX);
            let large = self.read_at(file, place.min(length), 56)?;
            if u32_at(&large, 0) != Some(END64) {
                return Err(self.damaged(format!("no Zip64 end record at byte {place}")));
            }
            directory = Directory {
                count: u64_at(&large, 32).unwrap_or(0),
                bytes: u64_at(&large, 40).unwrap_or(0),
                offset: u64_at(&large, 48).unwrap_or(0),
            };
        } else if disk != 0 || first_disk != 0 {
            return Err(self.damaged("it is a part of several".to_owned()));
        }
        if DIRECTORY_BYTES_MAX < directory.bytes {
            return Err(self.refused(format!("its directory is longer than {DIRECTORY_BYTES_MAX} bytes")));
        }
        if length < directory.offset.saturating_add(directory.bytes) {
            return Err(self.damaged("its directory is not in it".to_owned()));
        }
        Ok(directory)
    }

    fn parse_directory(&self, bytes: &[u8], count: u64) -> Result<Vec<ZipEntry>, ZipError> {
        let mut entries = Vec::new();
        let mut at = 0;
        for number in 0..count {
            let head = bytes.get(at..).filter(|head| u32_at(head, 0) == Some(CENTRAL));
            let entry = head.and_then(|head| self.parse_entry(head));
            let (entry, length) =
                entry.ok_or_else(|| self.damaged(format!("entry {number} of its directory is none")))?;
            entries.push(entry);
            at += length;
        }
        Ok(entries)
    }

    /// A central header and its length.
    fn parse_entry(&self, head: &[u8]) -> Option<(ZipEntry, usize)> {
        let (flags, method) = (u16_at(head, 8)?, u16_at(head, 10)?);
        let mut sizes = [u32_at(head, 24)?, u32_at(head, 20)?, u32_at(head, 42)?].map(u64::from);
        let [name_bytes, extra_bytes, comment_bytes] =
            [u16_at(head, 28)?, u16_at(head, 30)?, u16_at(head, 32)?].map(usize::from);
        let name_end = CENTRAL_BYTES + name_bytes;
        let name = head.get(CENTRAL_BYTES..name_end)?;
        large_sizes(head.get(name_end..name_end + extra_bytes)?, &mut sizes)?;
        let [size, packed, offset] = sizes;
        // Upper half: the mode a Unix system gave it (made by 3); 0o120000 is a link, 0o100000 a file.
        let mode = if head.get(5) == Some(&3) { u32_at(head, 38)? >> 16 & 0o170_000 } else { 0 };
        let name_text = String::from_utf8_lossy(name);
        let plain = plain_name(&name_text);
        let kind = match () {
            () if plain.is_none() => EntryKind::Unreadable("the name leads out of the archive, or is none"),
            () if mode == 0o120_000 => EntryKind::Unreadable("it is a link"),
            () if name_text.ends_with('/') || mode == 0o040_000 => EntryKind::Folder,
            () if !matches!(mode, 0 | 0o100_000) => EntryKind::Unreadable("it is no plain file"),
            () if flags & 1 != 0 => EntryKind::Unreadable("it is encrypted"),
            () if !matches!(method, 0 | 8) => EntryKind::Unreadable("it is packed by another method than deflate"),
            () if method == 0 && size != packed => EntryKind::Unreadable("its length is not its length packed"),
            () => EntryKind::File,
        };
        let name = plain.unwrap_or_else(|| name_text.chars().take(NAME_BYTES_MAX).collect());
        let crc = u32_at(head, 16)?;
        let entry = ZipEntry { name, kind, size, path: self.path.clone(), method, crc, packed, offset };
        Some((entry, name_end + extra_bytes + comment_bytes))
    }
}

/// Fills in what is too large for the header from the Zip64 field: size, packed size and offset, those that are
/// marked, in this order. `None` where the field is not whole.
fn large_sizes(mut extra: &[u8], sizes: &mut [u64; 3]) -> Option<()> {
    while let (Some(kind), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let mut field = extra.get(4..4 + usize::from(length))?;
        if kind == 1 {
            for size in sizes.iter_mut().filter(|size| **size == 0xffff_ffff) {
                *size = u64_at(field, 0)?;
                field = field.get(8..)?;
            }
        }
        extra = extra.get(4 + usize::from(length)..)?;
    }
    Some(())
}

/// A name as a path of plain parts below anything; `None` where it is none.
fn plain_name(name: &str) -> Option<String> {
    // .NET before 4.6.1 wrote names with the separators of Windows, against APPNOTE 4.4.17.1.
    let name = if name.contains('/') { name.to_owned() } else { name.replace('\\', "/") };
    let name = name.strip_suffix('/').unwrap_or(&name);
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let has_strange = name.chars().any(|letter| letter.is_control() || matches!(letter, '\\' | ':'));
    let is_path = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.split('/').all(is_plain);
    (is_path && !has_strange).then(|| name.to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}
