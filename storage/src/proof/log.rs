//! The log of what the store did, and its tree: three files that only grow.
//!
//! ```text
//! proof/log.jsonl   one line an entry (entry.rs); line n is leaf n
//! proof/nodes       the hashes of the tree: of each leaf, then of the subtrees that it completes. A cache
//! proof/heads       signed heads, each with an empty line behind it
//! ```
//!
//! In: entries. Out: their leaves, durable; the root. Promise: what a durable head covers is never written again; what a
//! crash leaves behind the newest head is taken where it is whole and cut off where it is not. Failure: a log that no
//! longer comes to its newest head is [`Corrupt`] and is not gone on with: the next head would deny the one before.

use nhatle_event::json::hex;

use super::entry::{Entry, LINE_BYTES_MAX, Leaf};
use super::head::SignedHead;
use super::tree::{self, Hash, leaf_hash, node_hash};
use crate::disk::{Disk, DiskFile};
use crate::error::{Corrupt, ReadError, WriteError};

/// The folder.
pub const FOLDER: &str = "proof";
/// The entries.
pub const LOG: &str = "proof/log.jsonl";
/// The hashes.
pub const NODES: &str = "proof/nodes";
/// The heads.
pub const HEADS: &str = "proof/heads";

/// What is read of the log at once while a line is looked for.
const WINDOW_BYTES: u64 = 16 << 10;
/// How much of the end of the file of heads is read; the newest head stands in it.
const HEADS_TAIL_BYTES: u64 = 256 << 10;

/// How many hashes a tree of `size` leaves has: with each leaf the subtrees it completes.
fn node_count(size: u64) -> u64 {
    2 * size - u64::from(size.count_ones())
}

/// Where the hash of a complete subtree stands among them.
fn node_place(level: u32, place: u64) -> u64 {
    let last_leaf = ((place + 1) << level) - 1;
    node_count(last_leaf) + u64::from(level)
}

/// The first byte of the hash of a complete subtree in [`NODES`].
pub fn node_offset(level: u32, place: u64) -> u64 {
    node_place(level, place) * 32
}

/// The hash of a complete subtree.
///
/// # Errors
/// What the disk says.
pub fn node(disk: &dyn Disk, level: u32, place: u64) -> Result<Hash, ReadError> {
    let bytes = disk.read_range(NODES, node_place(level, place) * 32, 32);
    let bytes = bytes.map_err(|source| ReadError::io(NODES, source))?;
    Hash::try_from(bytes).map_err(|_short| ReadError::io(NODES, std::io::ErrorKind::UnexpectedEof.into()))
}

/// A writable log.
pub struct ProofLog {
    size: u64,
    log_bytes: u64,
    /// The roots of the complete subtrees that the tree is made of, largest first.
    peaks: Vec<Hash>,
    newest: Option<SignedHead>,
    heads_bytes: u64,
}

impl ProofLog {
    /// Opens it, or begins it, and puts right what a crash left.
    ///
    /// # Errors
    /// It does not come to its newest head, or what the disk says.
    pub fn open(disk: &dyn Disk) -> Result<ProofLog, WriteError> {
        disk.create_folder(FOLDER).map_err(|source| WriteError::io(FOLDER, source))?;
        let Heads { newest, begin, end, bytes } = newest_head(disk)?;
        // A sync that failed, or a process that was killed, may have left it in the page cache only; from here on it counts.
        write_again(disk, HEADS, begin, &bytes)?;
        let mut log = ProofLog { size: 0, log_bytes: 0, peaks: Vec::new(), newest, heads_bytes: end };
        let covered = log.newest.as_ref().map_or(0, |newest| newest.head.size);
        if !log.trust_nodes(disk, covered)? {
            log.read_again(disk)?;
        }
        log.take_tail(disk)?;
        Ok(log)
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return tree::empty_root() };
        peaks.fold(*last, |root, peak| node_hash(peak, &root))
    }

    /// The newest head.
    pub fn newest(&self) -> Option<&SignedHead> {
        self.newest.as_ref()
    }

    /// Takes over the hashes up to the newest head, where they come to its root.
    fn trust_nodes(&mut self, disk: &dyn Disk, covered: u64) -> Result<bool, ReadError> {
        let length = disk.length(NODES).map_err(|source| ReadError::io(NODES, source))?.unwrap_or(0);
        let Some(newest) = self.newest.as_ref().filter(|_| node_count(covered) * 32 <= length) else {
            return Ok(false);
        };
        let mut peaks = Vec::new();
        let mut begin = 0;
        for level in (0..64).rev().filter(|level| covered >> level & 1 == 1) {
            peaks.push(node(disk, level, begin >> level)?);
            begin += 1 << level;
        }
        let root = newest.head.root;
        let before = std::mem::replace(&mut self.peaks, peaks);
        if self.root() != root {
            self.peaks = before;
            return Ok(false);
        }
        let Some(place) = find_line(disk, covered)? else {
            self.peaks = before;
            return Ok(false);
        };
        (self.size, self.log_bytes) = (covered, place);
        Ok(true)
    }

    /// Makes all hashes up to the newest head anew from the entries.
    fn read_again(&mut self, disk: &dyn Disk) -> Result<(), WriteError> {
        let bytes = read_or_empty(disk, LOG)?;
        let covered = self.newest.as_ref().map_or(0, |newest| newest.head.size);
        let mut nodes = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if covered <= self.size || line.last() != Some(&b'\n') {
                break;
            }
            self.push(leaf_hash(&line[..line.len() - 1]), &mut nodes);
            self.log_bytes += line.len() as u64;
        }
        if let Some(newest) = self.newest.as_ref().filter(|newest| newest.head.root != self.root()) {
            return Err(ReadError::Corrupt(Corrupt {
                file: LOG.to_owned(),
                offset: 0,
                expected: format!("{covered} entries with root {}", hex(&newest.head.root)),
                found: format!("{} with root {}", self.size, hex(&self.root())),
            })
            .into());
        }
        write_at(disk, NODES, 0, &nodes)
    }

    /// Takes the whole entries behind the newest head, and cuts off what is not whole.
    fn take_tail(&mut self, disk: &dyn Disk) -> Result<(), WriteError> {
        let length = disk.length(LOG).map_err(|source| ReadError::io(LOG, source))?.unwrap_or(0);
        let count = usize::try_from(length.saturating_sub(self.log_bytes)).unwrap_or(usize::MAX);
        if count == 0 {
            return Ok(());
        }
        let bytes = disk.read_range(LOG, self.log_bytes, count).map_err(|source| ReadError::io(LOG, source))?;
        let mut nodes = Vec::new();
        let (before, begin) = (self.size, self.log_bytes);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
            let leaf = text.and_then(|text| Leaf::parse(text).ok()).filter(|leaf| leaf.leaf == self.size);
            let (Some(text), Some(_leaf)) = (text, leaf) else { break };
            self.push(leaf_hash(text.as_bytes()), &mut nodes);
            self.log_bytes += line.len() as u64;
        }
        write_at(disk, NODES, node_count(before) * 32, &nodes)?;
        // Also where nothing is cut off: what a killed process wrote may be in the page cache only, and after a sync that
        // failed no later sync writes it: the bytes have to be written once more.
        let whole = usize::try_from(self.log_bytes - begin).unwrap_or(usize::MAX);
        write_again(disk, LOG, begin, bytes.get(..whole).unwrap_or_default())
    }

    /// Adds a leaf to the tree; `nodes` gets the hashes this gives.
    fn push(&mut self, leaf: Hash, nodes: &mut Vec<u8>) {
        let mut hash = leaf;
        nodes.extend_from_slice(&hash);
        let mut size = self.size;
        while size & 1 == 1 {
            let left = self.peaks.pop().expect("a peak for each bit of the size");
            hash = node_hash(&left, &hash);
            nodes.extend_from_slice(&hash);
            size >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Adds entries, durably, all or none.
    ///
    /// # Errors
    /// What the disk says; the log is then as it was.
    pub fn append(&mut self, disk: &dyn Disk, entries: &[Entry]) -> Result<(), WriteError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut lines = String::new();
        let mut next = ProofLog {
            size: self.size,
            log_bytes: self.log_bytes,
            peaks: self.peaks.clone(),
            newest: None,
            heads_bytes: self.heads_bytes,
        };
        let mut nodes = Vec::new();
        for entry in entries {
            let leaf = Leaf { leaf: next.size, entry: entry.clone() };
            let line = leaf.line().map_err(|reason| WriteError::Unwritable { file: LOG.to_owned(), reason })?;
            if LINE_BYTES_MAX < line.len() {
                let reason = format!("an entry of {} bytes", line.len());
                return Err(WriteError::Unwritable { file: LOG.to_owned(), reason });
            }
            next.push(leaf_hash(line.as_bytes()), &mut nodes);
            lines.push_str(&line);
            lines.push('\n');
        }
        next.log_bytes += lines.len() as u64;
        // The hashes first: they are a cache, and behind the newest head they are made again from the entries.
        write_at(disk, NODES, node_count(self.size) * 32, &nodes)?;
        write_at(disk, LOG, self.log_bytes, lines.as_bytes())?;
        next.newest = self.newest.take();
        *self = next;
        Ok(())
    }

    /// Writes a head down, durably. It is of this log as it is now.
    ///
    /// # Errors
    /// What the disk says; the newest head is then the one before.
    pub fn append_head(&mut self, disk: &dyn Disk, head: SignedHead) -> Result<(), WriteError> {
        debug_assert_eq!((head.head.size, head.head.root), (self.size, self.root()), "the head of this log");
        let text = format!("{}\n", head.to_text());
        write_at(disk, HEADS, self.heads_bytes, text.as_bytes())?;
        self.heads_bytes += text.len() as u64;
        self.newest = Some(head);
        Ok(())
    }
}

/// Writes bytes at the end that counts, with nothing behind them, durably. The file is made where it is not there.
fn write_at(disk: &dyn Disk, path: &str, offset: u64, bytes: &[u8]) -> Result<(), WriteError> {
    let written = (|| {
        let is_new = disk.length(path)?.is_none();
        if is_new && bytes.is_empty() {
            return Ok(());
        }
        let mut file: Box<dyn DiskFile> = if is_new { disk.create(path)? } else { disk.open(path)? };
        file.truncate(offset)?;
        if let Err(error) = file.write_at(offset, bytes) {
            // Of a batch that is refused nothing stays; if this goes wrong too, opening cuts it off.
            drop(file.truncate(offset));
            return Err(error);
        }
        file.sync_data()?;
        if is_new { disk.sync_folder(FOLDER) } else { Ok(()) }
    })();
    written.map_err(|source| WriteError::io(path, source))
}

/// Writes bytes once more that are there already, and cuts off what stands behind them, durably. Not cut first: some of
/// them may be durable and must stay so.
fn write_again(disk: &dyn Disk, path: &str, offset: u64, bytes: &[u8]) -> Result<(), WriteError> {
    let written = (|| {
        if disk.length(path)?.is_none() {
            return Ok(());
        }
        let mut file = disk.open(path)?;
        if !bytes.is_empty() {
            file.write_at(offset, bytes)?;
        }
        file.truncate(offset + bytes.len() as u64)?;
        file.sync_data()
    })();
    written.map_err(|source| WriteError::io(path, source))
}

fn read_or_empty(disk: &dyn Disk, path: &str) -> Result<Vec<u8>, ReadError> {
    let length = disk.length(path).map_err(|source| ReadError::io(path, source))?;
    match length {
        None => Ok(Vec::new()),
        Some(_) => disk.read(path).map_err(|source| ReadError::io(path, source)),
    }
}

/// The end of the file of heads.
#[derive(Default)]
struct Heads {
    /// The newest whole head.
    newest: Option<SignedHead>,
    /// Where it begins.
    begin: u64,
    /// Where the next one goes.
    end: u64,
    /// Its bytes.
    bytes: Vec<u8>,
}

/// The newest whole head, and where the next one goes.
fn newest_head(disk: &dyn Disk) -> Result<Heads, ReadError> {
    let length = disk.length(HEADS).map_err(|source| ReadError::io(HEADS, source))?.unwrap_or(0);
    let begin = length.saturating_sub(HEADS_TAIL_BYTES);
    if length == 0 {
        return Ok(Heads::default());
    }
    let count = usize::try_from(length - begin).unwrap_or(usize::MAX);
    let bytes = disk.read_range(HEADS, begin, count).map_err(|source| ReadError::io(HEADS, source))?;
    // A head ends with a line of a signature and an empty one; what stands behind the last such place is torn. An empty line
    // stands before its signatures too: where the bytes end there, or in the dash that comes next, it is no end.
    let dash = "\u{2014}".as_bytes();
    let mut borders = Vec::from_iter((begin == 0).then_some(0));
    let is_signed = |at: usize| {
        let line = bytes[..at - 2].iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1);
        bytes[line..].starts_with(dash)
    };
    let is_border = |at: &usize| {
        let rest = &bytes[*at..];
        bytes[..*at].ends_with(b"\n\n") && if dash.starts_with(rest) { is_signed(*at) } else { !rest.starts_with(dash) }
    };
    borders.extend((2..=bytes.len()).filter(is_border));
    let [.., first, last] = borders[..] else {
        return if begin == 0 { Ok(Heads::default()) } else { Err(no_heads(begin)) };
    };
    match SignedHead::parse(&bytes[first..last - 1]) {
        Ok(head) => Ok(Heads {
            newest: Some(head),
            begin: begin + first as u64,
            end: begin + last as u64,
            bytes: bytes[first..last].to_vec(),
        }),
        Err(_form) => Err(no_heads(begin + first as u64)),
    }
}

fn no_heads(offset: u64) -> ReadError {
    let (expected, found) = ("a signed head".to_owned(), "none that can be read".to_owned());
    ReadError::Corrupt(Corrupt { file: HEADS.to_owned(), offset, expected, found })
}

/// The first byte of the line of leaf `leaf`, or the end of the log where it has just so many; `None` where no line of
/// such a number can be found.
fn find_line(disk: &dyn Disk, leaf: u64) -> Result<Option<u64>, ReadError> {
    let length = disk.length(LOG).map_err(|source| ReadError::io(LOG, source))?.unwrap_or(0);
    let (mut low, mut high, mut before) = (0, length, None);
    // `low` is always the beginning of a line or the end; the wanted one begins from there to `high`.
    while low < high {
        let middle = low + (high - low) / 2;
        let Some((begin, end, number)) = line_from(disk, middle, low, length)? else {
            if middle == low {
                return Ok(None);
            }
            high = middle;
            continue;
        };
        match number.cmp(&leaf) {
            std::cmp::Ordering::Equal => return Ok(Some(begin)),
            std::cmp::Ordering::Less => (low, before) = (end, Some(number)),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    let is_next = before.map_or(leaf == 0, |before| before + 1 == leaf);
    Ok(is_next.then_some(low))
}

/// The first whole line that begins at or behind `from` (a line begins at `start`, before it or there): where it begins,
/// where the next one does, and its number.
fn line_from(disk: &dyn Disk, from: u64, start: u64, length: u64) -> Result<Option<(u64, u64, u64)>, ReadError> {
    let mut window = WINDOW_BYTES;
    loop {
        let begin = if from == start { from } else { from - 1 };
        let count = window.min(length - begin);
        let bytes = disk.read_range(LOG, begin, usize::try_from(count).unwrap_or(usize::MAX));
        let bytes = bytes.map_err(|source| ReadError::io(LOG, source))?;
        let at = if from == start { Some(0) } else { bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1) };
        let line = at.and_then(|at| {
            let end = bytes[at..].iter().position(|byte| *byte == b'\n')?;
            Some((at, at + end))
        });
        if let Some((at, end)) = line {
            let number = std::str::from_utf8(&bytes[at..end]).ok().and_then(|line| Leaf::parse(line).ok());
            let Some(leaf) = number else { return Ok(None) };
            return Ok(Some((begin + at as u64, begin + end as u64 + 1, leaf.leaf)));
        }
        if begin + count == length || 2 * (LINE_BYTES_MAX as u64) < window {
            return Ok(None);
        }
        window *= 4;
    }
}

/// The line of a leaf, without its line feed.
///
/// # Errors
/// There is none, or what the disk says.
pub fn line(disk: &dyn Disk, leaf: u64) -> Result<String, ReadError> {
    let missing = |found: &str| {
        let expected = format!("the line of leaf {leaf}");
        ReadError::Corrupt(Corrupt { file: LOG.to_owned(), offset: 0, expected, found: found.to_owned() })
    };
    let length = disk.length(LOG).map_err(|source| ReadError::io(LOG, source))?.unwrap_or(0);
    let place = find_line(disk, leaf)?.filter(|place| *place < length).ok_or_else(|| missing("none"))?;
    let (begin, end, _) = line_from(disk, place, place, length)?.ok_or_else(|| missing("a line that is none"))?;
    let count = usize::try_from(end - 1 - begin).unwrap_or(usize::MAX);
    let bytes = disk.read_range(LOG, begin, count).map_err(|source| ReadError::io(LOG, source))?;
    String::from_utf8(bytes).map_err(|_bad| missing("bytes that are no text"))
}

/// The lines from that of leaf `leaf` on, without their line feeds; none where there are not so many. What stands behind
/// the last line feed is left out.
///
/// # Errors
/// What the disk says, or bytes that are no text.
pub fn lines_from(disk: &dyn Disk, leaf: u64) -> Result<Vec<String>, ReadError> {
    let length = disk.length(LOG).map_err(|source| ReadError::io(LOG, source))?.unwrap_or(0);
    let Some(begin) = find_line(disk, leaf)?.filter(|begin| *begin < length) else { return Ok(Vec::new()) };
    let count = usize::try_from(length - begin).unwrap_or(usize::MAX);
    let bytes = disk.read_range(LOG, begin, count).map_err(|source| ReadError::io(LOG, source))?;
    let text = String::from_utf8(bytes).map_err(|bad| {
        let offset = begin + bad.utf8_error().valid_up_to() as u64;
        let (expected, found) = ("text".to_owned(), "other bytes".to_owned());
        ReadError::Corrupt(Corrupt { file: LOG.to_owned(), offset, expected, found })
    })?;
    Ok(text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect())
}

/// The newest whole head of the store; `None` where none was signed yet.
///
/// # Errors
/// What the disk says.
pub fn newest(disk: &dyn Disk) -> Result<Option<SignedHead>, ReadError> {
    Ok(newest_head(disk)?.newest)
}
