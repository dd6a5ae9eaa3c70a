//! Every fuzz target over its committed corpus and over seeded mutations of it, without a fuzzer.

use std::fs;
use std::path::Path;

#[path = "../fuzz/lib.rs"]
mod bodies;

/// How many mutations of each corpus file are tried.
const MUTATIONS: usize = 200;

/// xorshift64*: small, seeded, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap()
    }
}

fn mutate(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.next() % 4 {
        let at = dice.next() % (bytes.len() + 1);
        match dice.next() % 5 {
            0 if at < bytes.len() => bytes[at] = u8::try_from(dice.next() % 256).unwrap(),
            1 => bytes.insert(at, b" \n\0:\"'\\*{}[]|%\xff<"[dice.next() % 16]),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            _ => {
                let end = (at + dice.next() % 16).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

/// Runs the body; an input that makes it panic is printed, so that it can be put into the corpus.
fn run(body: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| body(input)) {
        println!("input {:?}", String::from_utf8_lossy(input));
        println!("bytes {}", nhatle_event::json::hex(input));
        std::panic::resume_unwind(panic);
    }
}

fn replay(target: &str, body: fn(&[u8])) {
    let seed = std::env::var("NHATLE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_260_203u64);
    println!("seed {seed}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus for {target}");
    let mut dice = Dice(seed | 1);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        run(body, &bytes);
        for _ in 0..MUTATIONS {
            run(body, &mutate(&bytes, &mut dice));
        }
    }
}

#[test]
fn frame_corpus() {
    replay("frame", bodies::frame);
}

#[test]
fn proxy_corpus() {
    replay("proxy", bodies::proxy);
}

#[test]
fn certificate_corpus() {
    replay("certificate", bodies::certificate);
}

#[test]
fn netflow_corpus() {
    replay("netflow", bodies::netflow);
}

#[test]
fn encoding_corpus() {
    replay("encoding", bodies::encoding);
}

#[test]
fn intel_corpus() {
    replay("intel", bodies::intel);
}

#[test]
fn assets_corpus() {
    replay("assets", bodies::assets);
}

#[test]
fn proof_corpus() {
    replay("proof", bodies::proof);
}

#[test]
fn stamp_corpus() {
    replay("stamp", bodies::stamp);
}

#[test]
fn lines_corpus() {
    replay("lines", bodies::lines);
}

#[test]
fn parse_corpus() {
    replay("parse", bodies::parse);
}

#[test]
fn json_corpus() {
    replay("json", bodies::json);
}

#[test]
fn forward_corpus() {
    replay("forward", bodies::forward);
}

#[test]
fn journal_corpus() {
    replay("journal", bodies::journal);
}

#[test]
fn evtx_corpus() {
    replay("evtx", bodies::evtx);
}

#[test]
fn zip_corpus() {
    replay("zip", bodies::zip);
}

#[test]
fn rule_corpus() {
    replay("rule", bodies::rule);
}

#[test]
fn matcher_corpus() {
    replay("matcher", bodies::matcher);
}

#[test]
fn search_corpus() {
    replay("search", bodies::search);
}

#[test]
fn wal_corpus() {
    replay("wal", bodies::wal);
}
