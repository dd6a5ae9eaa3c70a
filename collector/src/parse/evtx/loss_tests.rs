//! What is missing from a file, or not as it says, is named: file offset, chunk, reason. And what is kept from chunk to
//! chunk changes nothing.

use nhatle_event::{DeadLetter, Event, Record, Timestamp};
use proptest::prelude::*;

use super::made::{chunk, event_xml, file_of, seal, seal_file, wide};
use super::{Decoder, EvtxReader};

fn template() -> Record {
    Record::new(*b"", "made", Timestamp(0))
}

fn numbered(first: u64, records: usize) -> Vec<u8> {
    chunk(first, records, |base, number| event_xml(base, &format!("run{first}-{number}.exe"), (1, &wide("a"))))
}

/// Two chunks with records 1 to 5.
fn whole() -> Vec<u8> {
    file_of(&[numbered(1, 3), numbered(4, 2)])
}

fn read(bytes: &[u8]) -> Vec<Result<Event, DeadLetter>> {
    EvtxReader::new(bytes, &template()).collect()
}

/// How many events, and the reasons of all losses.
#[track_caller]
fn check(bytes: &[u8], events: usize, losses: &[&str]) {
    let results = read(bytes);
    let reasons: Vec<String> =
        results.iter().filter_map(|one| one.as_ref().err()).map(|letter| letter.reason.to_string()).collect();
    assert_eq!(reasons, losses, "{results:?}");
    assert_eq!(results.len() - reasons.len(), events);
}

const SECOND: usize = 4096 + 65_536;

#[test]
fn a_whole_file_has_no_loss() {
    check(&whole(), 5, &[]);
    // Room that was made and not used yet.
    let mut bytes = whole();
    bytes.resize(bytes.len() + 2 * 65_536, 0);
    check(&bytes, 5, &[]);
}

#[test]
fn a_cut_is_named_wherever_it_is() {
    let whole = whole();
    let claims = [
        "evtx: file has 1 chunks, its header says 2: chunk 1, file offset 69632",
        "evtx: file ends with record 3, its header says 5: chunk 1, file offset 69632",
    ];
    // Between chunks; inside an unused part, behind the last record; inside the records; inside the headers.
    check(&whole[..SECOND], 3, &claims);
    check(
        &whole[..whole.len() - 1],
        5,
        &["evtx: file ends inside a chunk, behind its last record: chunk 1, file offset 69632"],
    );
    let inside = SECOND + 512 + 100;
    check(
        &whole[..inside],
        3,
        &[
            "evtx: file ends inside a chunk: chunk 1, file offset 69632",
            "evtx: chunk holds 0 records, its header says 2: chunk 1, file offset 69632",
            "evtx: record is none: chunk 1, file offset 70144",
        ],
    );
    check(
        &whole[..SECOND + 100],
        3,
        &[
            "evtx: chunk header is none: chunk 1, file offset 69632",
            "evtx: file has 1 chunks, its header says 2: chunk 2, file offset 69732",
            "evtx: file ends with record 3, its header says 5: chunk 2, file offset 69732",
        ],
    );
    check(
        &whole[..4096],
        0,
        &[
            "evtx: file has 0 chunks, its header says 2: chunk 0, file offset 4096",
            "evtx: file ends with record 0, its header says 5: chunk 0, file offset 4096",
        ],
    );
    check(&whole[..4095], 0, &["evtx: file ends inside its header: chunk 0, file offset 0"]);
}

#[test]
fn checksums_and_claims_that_do_not_fit_are_named() {
    let change = |at: usize, to: &[u8]| {
        let mut bytes = whole();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    check(&change(20, &[9]), 5, &["evtx: file header checksum does not match: chunk 0, file offset 0"]);
    // A byte of the first record's header that decoding does not look at.
    check(
        &change(4096 + 512 + 20, &[1]),
        5,
        &["evtx: chunk checksum of its records does not match: chunk 0, file offset 4096"],
    );
    check(&change(4096 + 200, &[1]), 5, &["evtx: chunk header checksum does not match: chunk 0, file offset 4096"]);
    let resealed = |at: usize, to: &[u8]| {
        let mut bytes = change(at, to);
        seal(&mut bytes[4096..SECOND]);
        bytes
    };
    check(
        &resealed(4096 + 16, &[2]),
        5,
        &["evtx: chunk holds 3 records, its header says 2: chunk 0, file offset 4096"],
    );
    check(
        &resealed(4096 + 16, &[9]),
        5,
        &["evtx: chunk holds 3 records, its header says 9: chunk 0, file offset 4096"],
    );
    // A record that was taken out, with everything behind it put right again.
    let bytes = resealed(4096 + 512 + 8, &[7]);
    let second = 4096 + 512 + u32::from_le_bytes(bytes[4096 + 516..4096 + 520].try_into().unwrap());
    check(&bytes, 5, &[&format!("evtx: record numbers go from 7 to 2: chunk 0, file offset {second}")]);
    let mut bytes = change(4096 + 48, &[0xff; 4]);
    bytes[120] = 1;
    let reasons: Vec<_> =
        read(&bytes).into_iter().filter_map(Result::err).map(|letter| letter.reason.to_string()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("does not say where records end")), "{reasons:?}");
}

#[test]
fn an_unclosed_file_says_so_and_only_its_last_chunk_may_have_old_checksums() {
    const UNCLOSED: &str = "evtx: file was not closed, its newest records may be missing: chunk 0, file offset 0";
    let dirty = |broken: &[usize]| {
        let mut bytes = whole();
        bytes[120] = 1;
        broken.iter().for_each(|at| bytes[at + 124] ^= 1);
        bytes
    };
    check(&dirty(&[]), 5, &[UNCLOSED]);
    check(&dirty(&[SECOND]), 5, &[UNCLOSED]);
    let both = [UNCLOSED, "evtx: chunk header checksum does not match: chunk 0, file offset 4096"];
    check(&dirty(&[4096]), 5, &both);
    check(&dirty(&[4096, SECOND]), 5, &both);
    let mut header = whole();
    header[24] = 9;
    seal_file(&mut header);
    check(&header, 5, &["evtx: file ends with record 5, its header says 8: chunk 2, file offset 135168"]);
}

#[test]
fn positions_count_records_and_nothing_else() {
    let mut bytes = whole();
    bytes[4096 + 200] = 1;
    let mut reader = EvtxReader::new(&bytes[..], &template());
    let found: Vec<_> = std::iter::from_fn(|| reader.next_decoded()).map(|one| (one.position, one.is_record)).collect();
    assert_eq!(found, [(0, false), (0, true), (1, true), (2, true), (3, true), (4, true)]);
}

#[test]
fn a_template_that_only_claims_to_be_known_is_read_as_it_is() {
    // Same GUID, same length, other names and other text.
    let other = |from: &str, to: &str| {
        let (mut bytes, from, to) = (numbered(1, 1), wide(from), wide(to));
        let at = bytes.windows(from.len()).position(|part| part == from).expect("is there");
        bytes[at..at + to.len()].copy_from_slice(&to);
        seal(&mut bytes);
        bytes
    };
    let chunks = [numbered(1, 1), other("Image", "Imago"), numbered(1, 1), other("Sysmon/", "Sysman/"), numbered(1, 1)];
    let mut decoder = Decoder::default();
    for one in chunks {
        let bytes = file_of(&[one]);
        let alone = read(&bytes);
        let mut kept = Vec::new();
        let mut reader = EvtxReader::new(&bytes[..], &template());
        while let Some(chunk) = reader.read_chunk() {
            decoder.decode(chunk, &template(), &mut kept);
        }
        let [Ok(alone), Ok(kept)] = [&alone[0], &kept[0].result] else { panic!("{alone:?}") };
        assert_eq!(alone, kept);
    }
}

proptest! {
    #[test]
    fn any_cut_is_named(cut in 0usize..140_000) {
        let whole = whole();
        let results = read(&whole[..cut.min(whole.len())]);
        prop_assert_eq!(results.iter().any(Result::is_err), cut < whole.len());
    }

    #[test]
    fn what_is_kept_changes_nothing(changes in prop::collection::vec((0usize..3000, any::<u8>()), 1..6)) {
        let mut damaged = numbered(1, 3);
        for (at, byte) in changes {
            damaged[512 + at] = byte;
        }
        let bytes = file_of(&[damaged]);
        let mut decoder = Decoder::default();
        for round in 0..3 {
            let clean = file_of(&[numbered(round, 3)]);
            for bytes in [&clean, &bytes] {
                let mut kept = Vec::new();
                let mut reader = EvtxReader::new(&bytes[..], &template());
                while let Some(chunk) = reader.read_chunk() {
                    decoder.decode(chunk, &template(), &mut kept);
                }
                let show = |one: Result<Event, DeadLetter>| one.map_err(|letter| letter.reason);
                let kept: Vec<_> = kept.into_iter().map(|one| show(one.result)).collect();
                let alone: Vec<_> = read(bytes).into_iter().map(show).collect();
                prop_assert_eq!(kept, alone);
            }
        }
    }
}
