//! The files of `state/`: what can be learned or made again, and is kept so that a restart need not. In: bytes. Out: the
//! same bytes, or that they are not as they were written: a flipped bit in one is never believed.
//!
//! ```text
//! nhatle state 1 <CRC-32C of the rest, 8 hexadecimal digits>\n
//! the rest
//! ```
//!
//! A file is replaced whole. What is damaged is said by whoever reads it, and by `nhatle verify`, and is made anew.

use std::io;

use nhatle_storage::Disk;
use nhatle_storage::disk::{folder_of, join};

/// The folder.
pub const FOLDER: &str = "state";

const FIRST: &str = "nhatle state 1 ";
/// The first line with its line feed.
const FIRST_BYTES: usize = FIRST.len() + 9;

/// Keeps these bytes under this path, durably; the old ones stand until the new ones are whole.
///
/// # Errors
/// What the disk says.
pub fn keep(disk: &dyn Disk, path: &str, rest: &[u8]) -> io::Result<()> {
    let mut bytes = format!("{FIRST}{:08x}\n", crc32c::crc32c(rest)).into_bytes();
    bytes.extend_from_slice(rest);
    disk.create_folder(folder_of(path))?;
    disk.replace(path, &bytes)
}

/// What was kept under this path; `None` where nothing was.
///
/// # Errors
/// `InvalidData` where it is not what was written, or longer than `bytes_max`; else what the disk says.
pub fn read(disk: &dyn Disk, path: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(length) = disk.length(path)? else { return Ok(None) };
    if bytes_max < length {
        return Err(bad(format!("{path}: {length} bytes, more than such a file has")));
    }
    let mut bytes = disk.read(path)?;
    check(path, &bytes)?;
    Ok(Some(bytes.split_off(FIRST_BYTES.min(bytes.len()))))
}

fn check(path: &str, bytes: &[u8]) -> io::Result<()> {
    let Some((first, rest)) =
        bytes.split_at_checked(FIRST_BYTES).filter(|(first, _)| first.starts_with(FIRST.as_bytes()))
    else {
        return Err(bad(format!("{path}: expected the line {FIRST}…, found other bytes")));
    };
    let (written, found) = (&first[FIRST.len()..], format!("{:08x}\n", crc32c::crc32c(rest)));
    match written == found.as_bytes() {
        true => Ok(()),
        false => {
            Err(bad(format!("{path}: its bytes are not those of its checksum, they come to {}", found.trim_end())))
        }
    }
}

/// Every file of the folder that is not as it was written: its path, and what is wrong.
pub fn damage(disk: &dyn Disk) -> Vec<(String, String)> {
    let entries = match disk.list(FOLDER) {
        Ok(entries) => entries,
        Err(error) => return vec![(FOLDER.to_owned(), error.to_string())],
    };
    let paths =
        entries.iter().filter(|entry| !entry.is_folder && !entry.name.ends_with(nhatle_storage::disk::UNFINISHED));
    let fault = |path: String| {
        // One that begins so was written before these files had a checksum.
        let read =
            disk.read(&path).and_then(|bytes| if bytes.starts_with(b"{") { Ok(()) } else { check(&path, &bytes) });
        read.err().map(|error| (path, error.to_string()))
    };
    paths.map(|entry| join(FOLDER, &entry.name)).filter_map(fault).collect()
}

fn bad(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use nhatle_storage::disk::sim::SimDisk;

    use super::*;

    #[test]
    fn what_was_kept_is_read_and_every_flipped_bit_cut_and_other_version_is_noticed() {
        let disk = SimDisk::new(1);
        let path = "state/x.ckpt";
        assert!(read(&disk, path, 100).expect("nothing is wrong").is_none());
        for rest in [&b""[..], b"\0", b"a state of some bytes"] {
            keep(&disk, path, rest).expect("is written");
            assert_eq!(read(&disk, path, 100).expect("is whole").as_deref(), Some(rest));
            assert_eq!(damage(&disk), []);
            let whole = disk.read(path).expect("is there");
            for bit in 0..whole.len() * 8 {
                assert!(disk.flip(path, bit / 8, u32::try_from(bit % 8).expect("small")));
                assert!(read(&disk, path, 100).is_err(), "bit {bit}");
                assert_eq!(damage(&disk).len(), 1);
                assert!(disk.flip(path, bit / 8, u32::try_from(bit % 8).expect("small")));
            }
            for length in 0..whole.len() {
                disk.replace(path, &whole[..length]).expect("is written");
                assert!(read(&disk, path, 100).is_err(), "cut to {length}");
            }
            disk.replace(path, &whole).expect("is written");
            assert!(read(&disk, path, whole.len() as u64 - 1).is_err());
            let other = [b"nhatle state 2 ", &whole[FIRST.len()..]].concat();
            disk.replace(path, &other).expect("is written");
            assert!(read(&disk, path, 100).is_err());
        }
    }
}
