//! Tests over the corpus of real files: completeness, agreement with other readers' output, hostile bytes.
//! Each prints `skipped: no corpus` and passes where there is none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nhatle_event::json::{Shape, flatten, to_json, value_to_json};
use nhatle_event::{Event, Record, Timestamp};
use serde_json::Value as Json;

use super::{Decoder, EvtxReader};
use crate::normalize::windows::from_leaves;

fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("NHATLE_CORPUS").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no corpus");
    None
}

fn evtx_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "evtx") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn record() -> Record {
    Record::new(*b"", "test", Timestamp(0))
}

fn events(bytes: &[u8]) -> Vec<Event> {
    EvtxReader::new(bytes, &record()).map(|one| one.unwrap_or_else(|letter| panic!("{}", letter.reason))).collect()
}

#[test]
fn every_record_of_every_file_is_read() {
    let Some(corpus) = corpus() else { return };
    for file in evtx_files(&corpus) {
        let bytes = std::fs::read(&file).unwrap();
        let number = |chunk: &[u8], at: usize| u64::from_le_bytes(chunk[at..at + 8].try_into().unwrap());
        let stated: u64 = bytes[4096..]
            .chunks(65_536)
            .filter(|chunk| chunk.starts_with(b"ElfChnk\0"))
            .map(|chunk| number(chunk, 16) - number(chunk, 8) + 1)
            .sum();
        assert_eq!(events(&bytes).len() as u64, stated, "{}", file.display());
    }
}

#[test]
fn what_is_kept_from_file_to_file_changes_nothing() {
    let Some(corpus) = corpus() else { return };
    let mut kept = Decoder::default();
    for file in evtx_files(&corpus) {
        let bytes = std::fs::read(&file).unwrap();
        let decode = |mut decoder: Option<&mut Decoder>| {
            let mut reader = EvtxReader::new(&bytes[..], &record());
            let mut events = Vec::new();
            while let Some(chunk) = reader.read_chunk() {
                let mut decoded = Vec::new();
                match &mut decoder {
                    Some(decoder) => decoder.decode(chunk, &record(), &mut decoded),
                    None => Decoder::default().decode(chunk, &record(), &mut decoded),
                }
                events.extend(decoded.into_iter().map(|one| one.result.map_err(|letter| letter.reason)));
            }
            events
        };
        assert_eq!(decode(Some(&mut kept)), decode(None), "{}", file.display());
    }
}

/// A field as text that ignores what other readers write differently: braces and case of GUIDs, outer spaces.
fn loose(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::Array(values) => values.iter().map(loose).collect::<Vec<_>>().join("|"),
        Json::String(text) => text.trim().trim_matches(['{', '}']).to_lowercase(),
        other => other.to_string(),
    }
}

fn fields(event: &Event) -> BTreeMap<&'static str, String> {
    let all = event.fields().iter().map(|(field, value)| (field.name(), loose(&value_to_json(value))));
    all.filter(|(_, text)| !text.is_empty()).collect()
}

#[test]
fn the_binary_form_says_what_the_json_beside_it_says() {
    let Some(corpus) = corpus() else { return };
    let mut compared = 0;
    for file in evtx_files(&corpus.join("sigma/regression_data")) {
        let Ok(text) = std::fs::read_to_string(file.with_extension("json")) else { continue };
        let documents: Vec<Json> = serde_json::Deserializer::from_str(&text)
            .into_iter::<Json>()
            .map(|one| one.unwrap())
            .flat_map(|one| if let Json::Array(many) = one { many } else { vec![one] })
            .collect();
        let ours = events(&std::fs::read(&file).unwrap());
        assert_eq!(ours.len(), documents.len(), "{}", file.display());
        for (our, document) in ours.iter().zip(documents) {
            let leaves = flatten(document.to_string().as_bytes()).unwrap();
            let theirs = from_leaves(leaves, &record()).expect("is a Windows event");
            assert_eq!(fields(our), fields(&theirs), "{}", file.display());
            compared += 1;
        }
    }
    assert!(100 < compared, "{compared}");
}

/// The fields the comparison with goldens is about (`ecs_compare`), as prefixes; a `$` ends a whole name.
const CORE: &str = "@timestamp$ source.ip source.port source.domain destination.ip destination.port \
    destination.domain user.name user.id user.domain user.target.name group.name group.id host.name process.name \
    process.pid process.executable process.command_line process.parent. process.hash. process.entity_id network. \
    file.path file.name file.hash. file.size dll.path dns. registry. rule.name rule.id event.code event.action \
    event.outcome event.provider log.level winlog.channel winlog.event_id winlog.event_data.";

fn is_core(name: &str) -> bool {
    CORE.split_whitespace().any(|core| match core.strip_suffix('$') {
        Some(whole) => name == whole,
        None => name.starts_with(core),
    })
}

#[test]
fn core_fields_are_those_of_the_goldens() {
    let Some(corpus) = corpus() else { return };
    let (mut right, mut all, mut wrong) = (0u32, 0u32, BTreeMap::<String, u32>::new());
    for file in evtx_files(&corpus.join("ecs/winlogbeat")) {
        let golden = PathBuf::from(format!("{}.golden.json", file.display()));
        let goldens: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(golden).unwrap()).unwrap();
        let ours = events(&std::fs::read(&file).unwrap());
        assert_eq!(ours.len(), goldens.len(), "{}", file.display());
        for (our, golden) in ours.iter().zip(goldens) {
            let our = to_json(our, Shape::Dotted);
            for (name, value) in flatten(golden.to_string().as_bytes()).unwrap() {
                let wanted = value_to_json(&value);
                if !is_core(&name) || loose(&wanted).is_empty() {
                    continue;
                }
                all += 1;
                let found = our.get(name.as_str()).map(loose).unwrap_or_default();
                let is_same_time = || {
                    let stamp = |text: &str| Timestamp::parse(&text.to_uppercase(), 0);
                    name == "@timestamp" && stamp(&found).is_some() && stamp(&found) == stamp(&loose(&wanted))
                };
                if found == loose(&wanted) || is_same_time() {
                    right += 1;
                } else {
                    let code = our.get("event.code").map(loose).unwrap_or_default();
                    *wrong.entry(format!("{code} {name}: {found} for {}", loose(&wanted))).or_default() += 1;
                }
            }
        }
    }
    println!("{right} of {all} core fields; wrong: {wrong:#?}");
    assert!(f64::from(right) / f64::from(all) >= 0.97, "{right} of {all}: {wrong:#?}");
}

/// A cheap generator of numbers, so that the same damage is done in every run.
struct Damage(u64);

impl Damage {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

#[test]
fn damaged_files_never_panic_and_damage_is_named() {
    let Some(corpus) = corpus() else { return };
    let files = evtx_files(&corpus);
    let mut damage = Damage(20_260_203);
    for file in files.iter().step_by(8) {
        let whole = std::fs::read(file).unwrap();
        let count = events(&whole).len();
        for _ in 0..6 {
            let cut = damage.below(whole.len());
            let results: Vec<_> = EvtxReader::new(&whole[..cut], &record()).collect();
            let read = results.iter().filter(|one| one.is_ok()).count();
            let is_named = results.iter().any(Result::is_err);
            assert!(read <= count && is_named, "{} at {cut}", file.display());
        }
        let free = u32::from_le_bytes(whole[4096 + 48..4096 + 52].try_into().unwrap()) as usize;
        for flips in [1, 8, 64, 512] {
            let mut bytes = whole.clone();
            for _ in 0..flips {
                let at = 4096 + damage.below(free);
                bytes[at] ^= 1 << damage.below(8);
            }
            let results: Vec<_> = EvtxReader::new(&bytes[..], &record()).collect();
            assert!(!results.is_empty(), "{}", file.display());
            // The checksums see what lies in a record or a chunk's header; two flips may undo each other.
            assert!(flips < 64 || results.iter().any(Result::is_err), "{}", file.display());
        }
    }
}
