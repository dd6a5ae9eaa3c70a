//! Fetches whole events that lie scattered over a store and says what that took. In: the folder of a store, a word or seqs; or a store
//! and a folder to write its segments anew into. Out: one line a figure.

use std::sync::Arc;
use std::time::Instant;

use nhatle_event::SystemClock;
use nhatle_storage::query::{Page, Query};
use nhatle_storage::segment::meta::{SegmentMeta, Tier, WriteOptions};
use nhatle_storage::segment::{Projection, Segment, write};
use nhatle_storage::{Config, Dataset, Disk, OsDisk, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (what, folder) = (args.next().ok_or("no command")?, args.next().ok_or("no folder")?);
    let disk = Arc::new(OsDisk::new(std::path::Path::new(&folder))?);
    let ms = |began: Instant| began.elapsed().as_secs_f64() * 1e3;
    let least = |all: &[f64]| all.iter().copied().fold(f64::INFINITY, f64::min);
    let turns: usize = 15;
    let store = || Store::open_read_only(disk.clone(), Config::default(), Arc::new(SystemClock));
    let mut segments: Vec<Arc<Segment>> = Vec::new();
    if what == "rewrite" {
        let to = args.next().ok_or("no folder to write to")?;
        let out = OsDisk::new(std::path::Path::new(&to))?;
        for (at, one) in store()?.snapshot().segments(Dataset::Events).enumerate() {
            let events = one.open()?.rows()?;
            let dir = format!("s{at}");
            out.create_folder(&dir)?;
            let options = WriteOptions { dataset: Dataset::Events, tier: Tier::Recent };
            let began = Instant::now();
            let meta = write(&out, &dir, &events, &options)?;
            println!("{dir}: {} events, {} bytes of rows, {:.0} ms", events.len(), meta.files[0].bytes, ms(began));
            std::fs::write(format!("{to}/{dir}.json"), serde_json::to_string(&meta)?)?;
        }
        return Ok(());
    } else if what == "dirs" {
        for at in 0.. {
            let Ok(text) = std::fs::read_to_string(format!("{folder}/s{at}.json")) else { break };
            let meta: SegmentMeta = serde_json::from_str(&text)?;
            segments.push(Arc::new(Segment::open(disk.clone(), &meta)?));
        }
    } else {
        let store = store()?;
        let snapshot = store.snapshot();
        let query = Query::parse(&what)?;
        let mut took = Vec::new();
        let (mut count, mut fields) = (0, 0);
        for _ in 0..turns {
            let began = Instant::now();
            let found = snapshot.search(&query, &Page::first(100))?;
            took.push(ms(began));
            count = found.hits.len();
            fields = found.hits.iter().map(|hit| hit.event.fields().len()).sum();
        }
        println!("search: {count} hits, {fields} fields, first {:.2} ms, least {:.2} ms", took[0], least(&took));
        for one in snapshot.segments(Dataset::Events) {
            segments.push(one.open()?);
        }
    }
    for one in &segments {
        one.fetch(&[0], Projection::All)?;
    }
    let place = |at: usize| {
        let segment = &segments[at % segments.len()];
        (segment, (at * 7_919 + 13) * 104_729 % segment.row_count())
    };
    let mut alone = Vec::new();
    for at in 0..67 {
        let (segment, row) = place(at);
        let began = Instant::now();
        segment.fetch(&[row], Projection::All)?;
        alone.push(ms(began));
    }
    alone.sort_by(f64::total_cmp);
    let sum: f64 = alone.iter().sum();
    println!("67 rows alone, each once: sum {sum:.1} ms, median {:.3} ms, least {:.3} ms", alone[33], alone[0]);
    let mut again = Vec::new();
    for _ in 0..turns {
        let began = Instant::now();
        for at in 0..67 {
            let (segment, row) = place(at);
            segment.fetch(&[row], Projection::All)?;
        }
        again.push(ms(began));
    }
    println!("the same 67 rows again: least {:.1} ms", least(&again));
    let mut one = Vec::new();
    for _ in 0..turns * 5 {
        let began = Instant::now();
        segments[0].fetch(&[segments[0].row_count() / 2], Projection::All)?;
        one.push(ms(began));
    }
    println!("one row again: least {:.3} ms", least(&one));
    let rows: Vec<usize> = (0..512).map(|at| segments[0].row_count() / 2 + at).collect();
    let mut many = Vec::new();
    for _ in 0..turns {
        let began = Instant::now();
        segments[0].fetch(&rows, Projection::All)?;
        many.push(ms(began));
    }
    println!("512 rows side by side: first {:.2} ms, least {:.2} ms", many[0], least(&many));
    Ok(())
}
