//! The bodies of the fuzz targets, as plain functions: cargo-fuzz calls them with what it invents, and
//! `tests/fuzz_corpus.rs` with the committed corpus and mutations of it, on a stable compiler.
//!
//! Each takes any bytes and must return. What it asserts on the way is written at it.

use std::io::Write as _;
use std::path::PathBuf;

use nhatle_collector::Encoding;
use nhatle_collector::enrich::asset::Assets;
use nhatle_collector::enrich::intel::table::{Indicators, ListInfo, Never};
use nhatle_collector::enrich::intel::{self, Form, Kind};
use nhatle_collector::frame::{Framer, Origin};
use nhatle_collector::listen::journal_export::ExportReader;
use nhatle_collector::listen::lines::Join;
use nhatle_collector::listen::tls::identity::Identity;
use nhatle_collector::listen::tls::proxy;
use nhatle_collector::parse::headed::Headers;
use nhatle_collector::parse::netflow::{Reader as FlowReader, template};
use nhatle_collector::wire;
use nhatle_collector::{Profile, Settings, headed_to_event, to_event};
use nhatle_engine::detect::{Detector, naive};
use nhatle_event::compose::is_composed;
use nhatle_event::json::{Reader, flatten, plain};
use nhatle_event::{Event, Record, Text, Timestamp};
use nhatle_rules::{LoadOptions, Routing, RuleSet};
use nhatle_storage::proof::canonical::Canonical;
use nhatle_storage::proof::entry::Leaf;
use nhatle_storage::proof::note::Note;
use nhatle_storage::proof::stamp::{self, token::Token};
use nhatle_storage::proof::witness::AddCheckpoint;
use nhatle_storage::proof::{VerifierKey, event_json, package};
use nhatle_storage::wal::reader::{Tail, read};

/// A forwarder's request: records or an error; what is read is written and read the same.
pub fn forward(data: &[u8]) {
    if let Ok((head, records)) = wire::decode_request(data) {
        let mut block = Vec::new();
        wire::encode_block(&records, &mut block);
        let again = wire::encode_request(head, &[block]);
        let (_, read) = wire::decode_request(&again).expect("what was written is read");
        assert_eq!(format!("{read:?}"), format!("{records:?}"));
    }
    drop(wire::unpack(data, 1 << 16));
}

/// The journal's export: any split of the same bytes gives the same entries, and each is a line.
pub fn journal(data: &[u8]) {
    let read = |step: usize| {
        let (mut reader, mut entries) = (ExportReader::new(64), Vec::new());
        data.chunks(step.max(1)).for_each(|piece| reader.push(piece, &mut entries));
        entries
    };
    let whole = read(data.len());
    assert_eq!(read(3), whole, "two splits read differently");
    for entry in &whole {
        assert!(entry.line(RECEIVED).starts_with(b"<"));
    }
}

const RECEIVED: Timestamp = Timestamp(1_770_091_506_000_000_000);

/// Any split of the same bytes gives the same records. The first byte says how to split.
pub fn frame(data: &[u8]) {
    let Some((step, bytes)) = data.split_first() else { return };
    let cut = |step: usize| {
        let mut framer = Framer::new(Origin::new("fuzz"), 512);
        let mut records = Vec::new();
        for chunk in bytes.chunks(step.max(1)) {
            framer.push(chunk, RECEIVED, &mut records);
        }
        framer.finish(RECEIVED, &mut records);
        let shown: Vec<_> = records.into_iter().map(|record| (record.bytes, record.is_truncated)).collect();
        shown
    };
    assert_eq!(cut(usize::from(*step)), cut(bytes.len()), "two splits frame differently");
}

/// A PROXY header lies within its bytes, and no beginning of it is taken for something else.
pub fn proxy(data: &[u8]) {
    let whole = proxy::read(data);
    if let Ok(proxy::Front::Header { length, .. }) = whole {
        assert!(length <= data.len(), "the header is inside the bytes");
        for end in 0..length {
            assert_eq!(proxy::read(&data[..end]), Ok(proxy::Front::More), "a beginning asks for more");
        }
    }
}

/// Bytes of an old encoding: composed text, offsets inside the bytes, ASCII as it was.
pub fn encoding(data: &[u8]) {
    for encoding in Encoding::ALL {
        let decoded = encoding.decode(data);
        assert!(is_composed(&decoded.text), "the text is composed");
        assert!(decoded.unmapped <= data.len(), "no more bytes without meaning than bytes");
        if encoding != Encoding::Utf8 {
            assert!(encoding.byte_offset(data, decoded.text.len() / 2) <= data.len(), "the place is in the bytes");
        }
        if data.is_ascii() {
            assert_eq!(decoded.text.as_bytes(), data, "ASCII stays as it is");
        }
    }
}

/// Packets of flows, each behind two bytes of its length: every object is JSON and becomes an event or a dead letter, and
/// what is remembered stays within its bounds.
pub fn netflow(data: &[u8]) {
    let mut reader = FlowReader::default();
    let (mut rest, mut now) = (data, 0i64);
    while let [high, low, packets @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(packets.len());
        let mut found = Vec::new();
        now += 7_000_000_000;
        reader.packet(&packets[..length], [192, 0, 2, *low & 3].into(), Timestamp(now), &mut found);
        reader.expired(Timestamp(now), &mut found);
        for text in found {
            flatten(text.as_bytes()).expect("what is found is JSON");
            let mut record = Record::new(text.as_bytes(), "fuzz", RECEIVED);
            record.profile = Some(Text::const_new("netflow"));
            if let Err(dead) = to_event(&record, &Settings::default()) {
                assert!(dead.reason.starts_with("netflow: "), "{}", dead.reason);
            }
        }
        let (templates, waiting) = reader.counts();
        assert!(templates <= template::TEMPLATES_MAX && waiting <= template::WAITING_MAX, "within bounds");
        rest = &packets[length..];
    }
}

/// A certificate names its holder in a bounded name without control characters, or nobody.
pub fn certificate(data: &[u8]) {
    if let Ok(identity) = Identity::read(data) {
        assert!((1..=64).contains(&identity.name.chars().count()) && !identity.name.contains(char::is_control));
    }
}

/// Every profile, and detection by content: an event or a dead letter with an offset inside the record,
/// and `event.original` is the record.
pub fn parse(data: &[u8]) {
    let settings = Settings::default();
    let profiles = Profile::ALL.iter().map(|profile| Some(Text::from(profile.name())));
    for profile in profiles.chain([None]) {
        let record = Record { profile, ..Record::new(data, "fuzz", RECEIVED) };
        match to_event(&record, &settings) {
            Ok(event) => assert_eq!(&*event.original, data, "the bytes are kept"),
            Err(dead_letter) => assert!(dead_letter.offset <= data.len(), "the offset is inside the record"),
        }
    }
}

/// A JSON object: the fast reader and the plain one read the same, and a reader is clean after whatever it read.
pub fn json(data: &[u8]) {
    let expected = plain::flatten(data);
    assert_eq!(flatten(data), expected, "fast and plain reader differ");
    if let Ok(text) = std::str::from_utf8(data) {
        let mut reader = Reader::default();
        for _ in 0..2 {
            assert_eq!(
                reader.read(text).map(|mut document| document.to_leaves()),
                expected,
                "the reader was not clean"
            );
        }
    }
}

/// Lines below headers are events or dead letters with an offset inside the line; joining loses no line.
pub fn lines(data: &[u8]) {
    let (settings, mut headers) = (Settings::default(), Headers::default());
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    for line in &lines {
        if headers.take(line) {
            continue;
        }
        let record = Record::new(*line, "fuzz", RECEIVED);
        match headed_to_event(&record, headers.current().as_deref(), &settings) {
            Ok(event) => assert_eq!(&*event.original, *line, "the bytes are kept"),
            Err(dead_letter) => assert!(dead_letter.offset <= line.len(), "the offset is inside the line"),
        }
    }
    for join in [Join::ModsecurityAudit, Join::Postgresql, Join::MysqlSlow, Join::MysqlGeneral] {
        let mut records: Vec<Vec<u8>> = Vec::new();
        for line in &lines {
            match records.last_mut() {
                Some(held) if join.goes_on(held, line) => {
                    held.push(b'\n');
                    held.extend_from_slice(line);
                }
                _ => records.push(line.to_vec()),
            }
        }
        assert_eq!(records.join(&b'\n'), data, "{join:?} loses or moves lines");
    }
}

/// An EVTX file: every record is an event or a dead letter, and the reader ends.
pub fn evtx(data: &[u8]) {
    let template = Record::new(&b""[..], "fuzz", RECEIVED);
    let count = nhatle_collector::parse::evtx::EvtxReader::new(data, &template).take(1_000_000).count();
    assert!(count < 1_000_000, "more records than bytes");
}

/// An archive: its entries have plain names, give no more than they declare, and end.
pub fn zip(data: &[u8]) {
    use nhatle_collector::listen::zip::{EntryKind, ZipLimits, entries};
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(data).is_err() {
        return;
    }
    let limits = ZipLimits { entries_max: 64, entry_bytes_max: 1 << 20, total_bytes_max: 4 << 20 };
    let Ok(found) = entries(file.path(), &limits) else { return };
    assert!(found.len() <= limits.entries_max, "no more entries than allowed");
    for entry in found {
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        match entry.kind {
            EntryKind::Unreadable(_) => assert!(entry.open().is_err(), "what is not taken cannot be opened"),
            EntryKind::File | EntryKind::Folder => assert!(entry.name.split('/').all(is_plain), "the name is plain"),
        }
        let Ok(mut bytes) = entry.open() else { continue };
        let read = std::io::copy(&mut bytes, &mut std::io::sink());
        assert!(read.is_err() || read.is_ok_and(|count| count == entry.size), "all of it, or an error");
    }
}

/// Rule text compiles or is refused with a place; what compiles can be run.
pub fn rule(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let set = RuleSet::from_texts(&[(PathBuf::from("fuzz.yml"), text)], &LoadOptions::default());
    let mut said = set.errors.iter().chain(&set.warnings);
    assert!(said.all(|one| one.line > 0 && one.column > 0), "an error and a warning have a place");
    assert!(set.is_balanced(), "every document is loaded, refused or retired");
    assert!(set.warnings.iter().all(|warning| warning.lint.is_some()), "a warning has a name");
    drop(naive::detect(&set, &[event(b"{\"Image\":\"a\\\\b.exe\",\"EventID\":1}")]));
}

/// Rule text, a line with `===`, and JSON events: the fast matcher agrees with the slow one.
pub fn matcher(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some((rules, events)) = text.split_once("\n===\n") else { return };
    let options = LoadOptions { routing: Routing::Ignored, ..LoadOptions::default() };
    let set = RuleSet::from_texts(&[(PathBuf::from("fuzz.yml"), rules.to_owned())], &options);
    let events: Vec<Event> = events.lines().take(64).map(|line| event(line.as_bytes())).collect();
    let slow = naive::detect(&set, &events);
    let fast = Detector::new(std::sync::Arc::new(set)).detect_events(&events);
    assert_eq!(fast, slow, "fast and slow matcher differ");
}

/// Search text parses or is refused inside the text; what it parses to is written and read back the same.
pub fn search(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match nhatle_storage::query::parse(&text) {
        Ok(filter) => {
            let written = filter.to_string();
            let again = nhatle_storage::query::parse(&written);
            assert_eq!(again.as_ref().map(ToString::to_string), Ok(written), "written and read back differ");
        }
        Err(error) => assert!(error.offset + error.length <= text.len(), "the caret is inside the text"),
    }
}

/// A log file of any content: the reader stops, and never gives more than the file could hold.
pub fn wal(data: &[u8]) {
    for tail in [Tail::MayBeTorn, Tail::MustBeWhole] {
        if let Ok(file) = read("log/1.log", 1, data, tail) {
            let rows: usize = file.frames.iter().map(|frame| frame.batch.events.len()).sum();
            assert!(rows <= data.len(), "more events than bytes");
        }
    }
}

fn event(json: &[u8]) -> Event {
    let record = Record { profile: Some(Text::from("json")), ..Record::new(json, "fuzz", RECEIVED) };
    to_event(&record, &Settings::default()).unwrap_or_else(|dead_letter| dead_letter.to_event())
}

/// Every form of a list of indicators: it is read or refused; what is read has one spelling, is written and read back
/// as it was, and is found in the table.
pub fn intel(data: &[u8]) {
    for form in [Form::Any, Form::Lines, Form::Csv, Form::Misp, Form::Stix] {
        let Ok(found) = intel::read(data, form) else { continue };
        let text = intel::list::write(&found.indicators);
        for (one, back) in found.indicators.iter().zip(intel::list::read(&text)) {
            let back = back.expect("a list reads back");
            assert_eq!((one.kind, &one.value), (back.kind, &back.value), "a list reads back as it was");
            if matches!(one.kind, Kind::Ip | Kind::Domain | Kind::File) {
                let again = intel::normal(Some(one.kind), &one.value).map(|(_, value)| value);
                assert_eq!(again.as_ref(), Ok(&one.value), "one spelling");
            }
        }
        let table = Indicators::new([(ListInfo::default(), found.indicators.into_iter())], Never::default());
        assert!(table.bytes() < 1 << 24);
    }
    // The names of a feed's files are no paths.
    if let Ok(names) = intel::misp::manifest(&String::from_utf8_lossy(data)) {
        assert!(names.iter().all(|name| !name.contains(['/', '\\'])), "no path");
    }
}

/// What a second party or a reader of a package is sent: notes, requests, events, whole packages. What is read is written
/// and read the same; nothing that nobody signed is proved.
pub fn proof(data: &[u8]) {
    if let Ok(note) = Note::parse(data) {
        assert_eq!(Note::parse(note.to_text().as_bytes()), Ok(note), "a note reads back");
    }
    if let Ok(request) = AddCheckpoint::parse(data) {
        assert_eq!(AddCheckpoint::parse(request.to_text().as_bytes()), Ok(request), "a request reads back");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(VerifierKey::parse(text));
    drop(Leaf::parse(text));
    if let Ok((dataset, stored)) = event_json::read(text) {
        let again = event_json::read(&event_json::write(dataset, &stored)).expect("a line reads back");
        assert_eq!(Canonical::default().leaf(&again.1), Canonical::default().leaf(&stored), "the same leaf");
    }
    let names = [package::KEY, package::HEAD, package::SUMS, package::PROOFS, package::EVENTS, package::ABOUT];
    let verdict =
        package::verify(&names.map(|name| (name.to_owned(), data.to_vec())).into_iter().collect(), None, None);
    assert!(!verdict.findings.is_empty() && verdict.events == 0, "one text is no package");
}

/// A request for a time-stamp or an answer: read or refused; what nobody asked for does not hold.
pub fn stamp(data: &[u8]) {
    if let Ok(request) = stamp::Request::parse(data) {
        assert_eq!(stamp::Request::parse(&request.to_der()), Ok(request), "a request reads back");
    }
    let request = stamp::Request { imprint: [0; 32], nonce: vec![1] };
    assert!(stamp::check(data, &request, None).is_err(), "of something else");
    // As deep as it goes: for whatever it says it is of.
    if let Ok(token) = Token::parse(data)
        && let (Some(imprint), Some(nonce)) = (token.said.imprint, token.said.nonce)
    {
        drop(stamp::check(data, &stamp::Request { imprint, nonce }, None));
    }
    drop(stamp::Authorities::read(data));
}

/// A table of assets: it is read, or refused with places.
pub fn assets(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Assets::read(text) {
        Ok(assets) => {
            for asset in assets.rows() {
                assert!(asset.hosts.iter().all(|host| assets.of_host(host).is_some()), "a name finds its asset");
                assert!(asset.ranges.iter().all(|range| assets.of_address(range.first()).is_some()), "an address too");
            }
        }
        Err(errors) => assert!(!errors.is_empty() && errors.iter().all(|error| 0 < error.line), "wrong, and where"),
    }
}
