//! One file of a segment, written as it comes: it needs no memory for the whole. In: bytes. Out: the file, durable under
//! its name as [`Disk::replace`] would put it there, and its [`FileMeta`]. What was given up is a file that recovery
//! deletes.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use nhatle_event::json::hex;
use sha2::{Digest, Sha256};

use super::meta::{BLOCK_BYTES, FileMeta};
use crate::disk::{Disk, DiskFile, UNFINISHED, folder_of, join};
use crate::error::WriteError;

/// A file that is being written. Errors of the disk are also kept in [`ObjectWriter::failure`], since the encoder above
/// hides what they are.
pub struct ObjectWriter {
    path: String,
    name: String,
    file: Box<dyn DiskFile>,
    /// What does not fill a block yet.
    rest: Vec<u8>,
    written: u64,
    sha256: Sha256,
    block_crc32c: Vec<u32>,
    failure: Failure,
}

/// Where the disk's error is kept.
#[derive(Clone, Default)]
pub struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    /// The disk's error on `path`, or else what the encoder said.
    pub fn error(&self, path: &str, reason: String) -> WriteError {
        match self.0.lock().expect("no code panics while it holds this lock").take() {
            Some(source) => WriteError::io(path, source),
            None => WriteError::Unwritable { file: path.to_owned(), reason },
        }
    }
}

impl ObjectWriter {
    /// Begins the file `name` in the folder `dir`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create(disk: &dyn Disk, dir: &str, name: &str) -> Result<ObjectWriter, WriteError> {
        let path = join(dir, name);
        let file = disk.create(&format!("{path}{UNFINISHED}")).map_err(|source| WriteError::io(&path, source))?;
        Ok(ObjectWriter {
            path,
            name: name.to_owned(),
            file,
            rest: Vec::with_capacity(BLOCK_BYTES),
            written: 0,
            sha256: Sha256::new(),
            block_crc32c: Vec::new(),
            failure: Failure::default(),
        })
    }

    /// What the disk said, where it failed.
    pub fn failure(&self) -> Failure {
        self.failure.clone()
    }

    fn write_block(&mut self) -> io::Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_at(self.written, &self.rest) {
            let kind = error.kind();
            *self.failure.0.lock().expect("no code panics while it holds this lock") = Some(error);
            return Err(kind.into());
        }
        self.sha256.update(&self.rest);
        self.block_crc32c.push(crc32c::crc32c(&self.rest));
        self.written += self.rest.len() as u64;
        self.rest.clear();
        Ok(())
    }

    /// Makes it durable under its name.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(mut self, disk: &dyn Disk) -> Result<FileMeta, WriteError> {
        let done = self
            .write_block()
            .and_then(|()| self.file.sync_data())
            .and_then(|()| disk.rename(&format!("{}{UNFINISHED}", self.path), &self.path))
            .and_then(|()| disk.sync_folder(folder_of(&self.path)));
        done.map_err(|source| WriteError::io(&self.path, source))?;
        Ok(FileMeta {
            name: self.name,
            bytes: self.written,
            sha256: hex(&self.sha256.finalize()),
            block_crc32c: self.block_crc32c,
        })
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK_BYTES - self.rest.len());
        self.rest.extend_from_slice(&bytes[..count]);
        if self.rest.len() == BLOCK_BYTES {
            self.write_block()?;
        }
        Ok(count)
    }

    /// Blocks are written when they are full: their checksums are of whole blocks.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;

    #[test]
    fn it_writes_what_a_whole_object_would_be() {
        let disk = SimDisk::new(1);
        disk.create_folder("s").unwrap();
        for length in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 17] {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect();
            let mut writer = ObjectWriter::create(&disk, "s", "f").unwrap();
            bytes.chunks(1000).for_each(|chunk| writer.write_all(chunk).unwrap());
            assert_eq!(writer.finish(&disk).unwrap(), FileMeta::of("f", &bytes));
            assert_eq!(disk.read("s/f").unwrap(), bytes);
        }
    }

    #[test]
    fn a_full_disk_is_told_by_name_through_any_encoder() {
        let disk = SimDisk::new(1);
        disk.create_folder("s").unwrap();
        let mut writer = ObjectWriter::create(&disk, "s", "f").unwrap();
        let failure = writer.failure();
        disk.set_capacity(10);
        assert!(writer.write_all(&vec![0; BLOCK_BYTES]).is_err());
        assert!(matches!(failure.error("s/f", String::new()), WriteError::DiskFull { .. }));
    }
}
