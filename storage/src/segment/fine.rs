//! Checksums of small blocks of the rows of a segment, so that a page is read and checked without the 64 KiB around it. In: a file as it is
//! written. Out: CRC-32C of each whole block of [`BYTES`] of it, as text for the metadata at its end; then, of that text, the checksums.
//! Promise: they stand in a part of the file that is itself checked by the manifest's, so nothing is trusted that was not.
//! Segments of before have none, and are checked by the manifest's.

use std::io::{self, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A block: a page of the system's memory. Half of it would double what stands in the metadata (0.13 % of the file) and save little.
pub const BYTES: usize = 4096;

/// A writer that reckons them of what goes through it.
pub struct FineWriter<W> {
    to: W,
    crc32c: Vec<u32>,
    /// Of the block that is not whole yet, and how many bytes it has.
    last: (u32, usize),
}

impl<W: Write> FineWriter<W> {
    /// Writes to this, which is at its beginning.
    pub fn new(to: W) -> FineWriter<W> {
        FineWriter { to, crc32c: Vec::new(), last: (0, 0) }
    }

    /// The checksums of the whole blocks so far.
    pub fn text(&self) -> String {
        let bytes: Vec<u8> = self.crc32c.iter().flat_map(|crc| crc.to_le_bytes()).collect();
        STANDARD.encode(bytes)
    }

    /// What it wrote to.
    pub fn into_inner(self) -> W {
        self.to
    }
}

impl<W: Write> Write for FineWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let (crc, length) = self.last;
            let (now, later) = rest.split_at(rest.len().min(BYTES - length));
            self.last = (crc32c::crc32c_append(crc, now), length + now.len());
            if self.last.1 == BYTES {
                self.crc32c.push(self.last.0);
                self.last = (0, 0);
            }
            rest = later;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The checksums of the first blocks of a file.
#[derive(Clone)]
pub struct Fine(Arc<[u32]>);

impl Fine {
    /// From their text, of a file of so many bytes.
    ///
    /// # Errors
    /// It is something else; the reason.
    pub fn from_text(text: &str, file_bytes: u64) -> Result<Fine, String> {
        let bytes = STANDARD.decode(text).map_err(|error| format!("checksums of small blocks: {error}"))?;
        let (blocks, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || file_bytes / (BYTES as u64) < blocks.len() as u64 {
            return Err(format!("{} bytes of checksums of small blocks", bytes.len()));
        }
        Ok(Fine(blocks.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()))
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    /// The checksums, where they cover all before `end`.
    pub fn until(&self, end: u64) -> Option<&[u32]> {
        (end <= (self.0.len() * BYTES) as u64).then_some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_blocks_have_a_checksum_however_they_were_written() {
        let bytes: Vec<u8> = (0..3 * BYTES + 17).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect();
        for step in [1, 1_000, BYTES, bytes.len()] {
            let mut writer = FineWriter::new(Vec::new());
            bytes.chunks(step).for_each(|chunk| writer.write_all(chunk).unwrap());
            let fine = Fine::from_text(&writer.text(), bytes.len() as u64).unwrap();
            let expected: Vec<u32> = bytes.chunks_exact(BYTES).map(crc32c::crc32c).collect();
            assert_eq!(fine.until(3 * BYTES as u64), Some(&*expected));
            assert_eq!(fine.until(3 * BYTES as u64 + 1), None);
            assert_eq!(writer.into_inner(), bytes);
        }
    }

    #[test]
    fn what_is_no_list_of_checksums_is_refused() {
        for text in ["AAAA", "AAAAAAA=", "no text of theirs"] {
            assert!(Fine::from_text(text, 1 << 20).is_err(), "{text}");
        }
        let two = STANDARD.encode([0; 8]);
        assert!(
            Fine::from_text(&two, 2 * BYTES as u64 - 1).is_err() && Fine::from_text(&two, 2 * BYTES as u64).is_ok()
        );
    }
}
