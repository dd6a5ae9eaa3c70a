//! ZIP archives: whole ones, and those that are made to break a reader.

use std::cell::Cell;
use std::io::{Read, Write};
use std::path::Path;

use flate2::Crc;
use proptest::prelude::*;

use super::zip::{EntryKind, ZipEntry, ZipError, ZipLimits, entries};

/// Where archives are written; entries are opened from there later, so the last few stay.
struct Shelf(tempfile::TempDir, Cell<u32>);

thread_local! {
    static SHELF: Shelf = Shelf(tempfile::tempdir().expect("a folder"), Cell::new(0));
}

/// An entry to be written.
#[derive(Clone)]
struct Made<'a> {
    name: &'a str,
    bytes: &'a [u8],
    method: u16,
    flags: u16,
    mode: u32,
    /// Added to the size the directory says.
    lie: i64,
    is_large: bool,
}

fn made<'a>(name: &'a str, bytes: &'a [u8], method: u16) -> Made<'a> {
    Made { name, bytes, method, flags: 0, mode: 0o100_644, lie: 0, is_large: false }
}

/// An archive, written by another hand than the reader's: straight from the tables of APPNOTE 4.3.7, 4.3.12, 4.3.16.
fn archive(list: &[Made<'_>]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for one in list {
        let offset = out.len() as u32;
        let packed = match one.method {
            8 => {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
                encoder.write_all(one.bytes).expect("packs");
                encoder.finish().expect("packs")
            }
            _ => one.bytes.to_vec(),
        };
        let mut crc = Crc::new();
        crc.update(one.bytes);
        let size = (one.bytes.len() as i64 + one.lie) as u32;
        let sizes = if one.is_large { [0xffff_ffff; 2] } else { [packed.len() as u32, size] };
        let mut extra = Vec::new();
        if one.is_large {
            extra.extend([9, 0, 1, 0, 7, 1, 0, 16, 0]);
            extra.extend(u64::from(size).to_le_bytes());
            extra.extend((packed.len() as u64).to_le_bytes());
        }
        let put16 = |out: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|value| out.extend(value.to_le_bytes()));
        let put32 = |out: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|value| out.extend(value.to_le_bytes()));
        put32(&mut out, &[0x0403_4b50]);
        put16(&mut out, &[20, one.flags, one.method, 0, 0]);
        put32(&mut out, &[crc.sum(), packed.len() as u32, size]);
        put16(&mut out, &[one.name.len() as u16, 0]);
        out.extend(one.name.as_bytes());
        out.extend(&packed);
        put32(&mut directory, &[0x0201_4b50]);
        put16(&mut directory, &[0x0314, 20, one.flags, one.method, 0, 0]);
        put32(&mut directory, &[crc.sum(), sizes[0], sizes[1]]);
        put16(&mut directory, &[one.name.len() as u16, extra.len() as u16, 0, 0, 0]);
        put32(&mut directory, &[one.mode << 16, offset]);
        directory.extend(one.name.as_bytes());
        directory.extend(&extra);
    }
    let (offset, count) = (out.len() as u32, list.len() as u16);
    out.extend(&directory);
    out.extend(0x0605_4b50_u32.to_le_bytes());
    [0, 0, count, count].iter().for_each(|value| out.extend(value.to_le_bytes()));
    [directory.len() as u32, offset].iter().for_each(|value| out.extend(value.to_le_bytes()));
    out.extend([3, 0]);
    out.extend(b"end");
    out
}

fn open(bytes: &[u8], limits: &ZipLimits) -> Result<Vec<ZipEntry>, ZipError> {
    let path = SHELF.with(|Shelf(folder, number)| {
        number.set((number.get() + 1) % 64);
        folder.path().join(format!("{}.zip", number.get()))
    });
    std::fs::write(&path, bytes).expect("is written");
    entries(&path, limits)
}

fn read(entry: &ZipEntry) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.open().map_err(std::io::Error::other)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn entries_come_back_as_they_were_packed() {
    let long = "Failed password for root\n".repeat(20_000);
    let large = Made { is_large: true, ..made("zip64.log", b"large", 8) };
    let list = [
        made("a.log", b"plain", 0),
        made("logs/", b"", 0),
        made("logs/b.log", long.as_bytes(), 8),
        made("empty", b"", 8),
        made("T\u{ea}n.yml", b"x", 0),
        large,
    ];
    let found = open(&archive(&list), &ZipLimits::default()).expect("is whole");
    let names: Vec<_> = found.iter().map(|entry| (entry.name.as_str(), entry.size)).collect();
    let sizes = list.iter().map(|one| (one.name.trim_end_matches('/'), one.bytes.len() as u64)).collect::<Vec<_>>();
    assert_eq!(names, sizes);
    assert_eq!(found[1].kind, EntryKind::Folder);
    for (entry, one) in found.iter().zip(&list).filter(|(entry, _)| entry.kind == EntryKind::File) {
        assert_eq!(read(entry).expect("can be read"), one.bytes, "{}", entry.name);
    }
    let windows = open(&archive(&[made("logs\\Security.evtx", b"x", 0)]), &ZipLimits::default()).expect("is whole");
    assert_eq!((windows[0].name.as_str(), &windows[0].kind), ("logs/Security.evtx", &EntryKind::File));
    assert_eq!(open(&archive(&[]), &ZipLimits::default()).expect("is whole").len(), 0);
}

#[test]
fn an_entry_that_cannot_be_had_says_why_and_the_others_are_read() {
    let rows = [
        (made("../out.yml", b"x", 0), "leads out"),
        (made("/etc/passwd", b"x", 0), "leads out"),
        (made("a/../../b", b"x", 0), "leads out"),
        (made("a//b", b"x", 0), "leads out"),
        (made("C:/a", b"x", 0), "leads out"),
        (made("a\\..\\b", b"x", 0), "leads out"),
        (made("\\\\server\\a", b"x", 0), "leads out"),
        (made("a/b\\c", b"x", 0), "leads out"),
        (made("a\0b", b"x", 0), "leads out"),
        (Made { mode: 0o120_777, ..made("link", b"/etc/shadow", 0) }, "link"),
        (Made { mode: 0o010_644, ..made("pipe", b"", 0) }, "no plain file"),
        (Made { flags: 1, ..made("secret", b"x", 0) }, "encrypted"),
        (made("bzip2", b"x", 12), "another method"),
        (Made { lie: 1, ..made("stored", b"x", 0) }, "length packed"),
    ];
    for (one, reason) in rows {
        let found = open(&archive(&[one.clone(), made("ok", b"ok", 8)]), &ZipLimits::default()).expect("is whole");
        match found[0].kind {
            EntryKind::Unreadable(why) => assert!(why.contains(reason), "{}: {why}", one.name),
            ref other => panic!("{}: {other:?}", one.name),
        }
        assert!(found[0].open().is_err());
        assert_eq!(read(&found[1]).expect("can be read"), b"ok", "{}", one.name);
    }
}

#[test]
fn what_is_larger_than_declared_or_allowed_is_refused() {
    let zeros = vec![0; 10 << 20];
    let bomb = |lie: i64| archive(&[Made { lie, ..made("bomb", &zeros, 8) }]);
    let limits = ZipLimits { entries_max: 3, entry_bytes_max: 1 << 20, total_bytes_max: 2 << 20 };
    let refused = |bytes: &[u8]| match open(bytes, &limits) {
        Err(ZipError::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(refused(&bomb(0)).contains("would be 10485760 bytes"));
    // It declares a thousand bytes and has ten million: the reader stops.
    let found = open(&bomb(1000 - zeros.len() as i64), &limits).expect("looks small");
    assert_eq!(read(&found[0]).expect_err("is longer").kind(), std::io::ErrorKind::InvalidData);
    let short = open(&archive(&[Made { lie: 5, ..made("short", b"abc", 8) }]), &limits).expect("looks right");
    assert!(read(&short[0]).is_err(), "shorter than declared");
    let part = vec![7; 1 << 20];
    assert!(refused(&archive(&[made("a", &part, 8), made("b", &part, 8), made("c", &part, 8)])).contains("unpack to"));
    assert!(refused(&archive(&["a", "b", "c", "d"].map(|name| made(name, b"", 0)))).contains("more than 3"));

    // Two names for the same bytes: what small archives become huge by.
    let noise: Vec<u8> = (0..5000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let mut twice = archive(&[made("a", &noise, 0), made("b", &noise, 0)]);
    let place = twice.windows(4).rposition(|window| window == 0x0201_4b50_u32.to_le_bytes()).expect("a header");
    twice[place + 42..place + 46].copy_from_slice(&0_u32.to_le_bytes());
    twice.drain(5031..10_062);
    let end = twice.len() - 9;
    twice[end..end + 4].copy_from_slice(&5031_u32.to_le_bytes());
    assert!(refused(&twice).contains("overlap"));
}

#[test]
fn a_damaged_byte_is_an_error_and_never_data() {
    let text = "a line of a log, and another one; ".repeat(8);
    let whole = archive(&[made("a", text.as_bytes(), 8), made("b", text.as_bytes(), 0)]);
    let limits = ZipLimits::default();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x21;
        for entry in open(&bytes, &limits).unwrap_or_default() {
            if let Ok(read) = read(&entry) {
                assert_eq!(read, text.as_bytes(), "byte {at}, {}", entry.name);
            }
        }
        assert!(open(&whole[..at], &limits).is_err(), "cut at {at}");
    }
    assert!(open(b"", &limits).is_err());
    assert!(entries(Path::new("is/not/there"), &limits).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_archive_breaks_the_reader(seed in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in any::<prop::sample::Index>()) {
        let mut bytes = archive(&[made("a/b.yml", b"title: x", 8), Made { is_large: true, ..made("c", b"y", 0) }]);
        for (at, value) in seed {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let keep = cut.index(bytes.len() * 4);
        bytes.truncate(keep);
        for entry in open(&bytes, &ZipLimits::default()).unwrap_or_default() {
            drop(read(&entry));
        }
    }
}
