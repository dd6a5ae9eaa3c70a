//! How long the first whole event out of a segment takes. In: the folder of a store; and one to write its segments anew into, where they are
//! to be read as this program writes them. Out: one line a figure, medians of rows that lie scattered, each out of a segment that was
//! opened anew, so that nothing of it is kept but by the system.

#![allow(clippy::print_stdout, reason = "a measurement prints")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nhatle_event::SystemClock;
use nhatle_storage::segment::meta::{SegmentMeta, Tier, WriteOptions};
use nhatle_storage::segment::{Projection, Segment, write};
use nhatle_storage::{Config, Dataset, Disk, OsDisk, Store};

const ROWS: usize = 201;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let mut disk: Arc<dyn Disk> = Arc::new(OsDisk::new(Path::new(&args.next().ok_or("no folder of a store")?))?);
    let store = Store::open_read_only(disk.clone(), Config::default(), Arc::new(SystemClock))?;
    let snapshot = store.snapshot();
    let mut segments: Vec<SegmentMeta> = snapshot.segments(Dataset::Events).map(|one| one.meta().clone()).collect();
    if let Some(folder) = args.next() {
        let to = Arc::new(OsDisk::new(Path::new(&folder))?);
        segments = segments.iter().map(|meta| anew(&disk, meta, &*to)).collect::<Result<_, _>>()?;
        disk = to;
    }
    println!("{} segments, {} bytes", segments.len(), segments.iter().map(|meta| meta.files[0].bytes).sum::<u64>());
    let ms = |began: Instant| began.elapsed().as_secs_f64() * 1e3;
    let (mut footers, mut rows, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..ROWS {
        let segment = Segment::open(disk.clone(), &segments[at % segments.len()])?;
        let row = (at * 7_919 + 13) * 104_729 % segment.row_count();
        let began = Instant::now();
        segment.spilled()?;
        footers.push(ms(began));
        let began = Instant::now();
        segment.fetch(&[row], Projection::All)?;
        rows.push(ms(began));
        let began = Instant::now();
        segment.fetch(&[(row + 31_337) % segment.row_count()], Projection::All)?;
        seconds.push(ms(began));
    }
    for (name, mut all) in [("footer", footers), ("first row", rows), ("another row", seconds)] {
        all.sort_by(f64::total_cmp);
        println!("{name}: median {:.3} ms, least {:.3} ms, longest {:.3} ms", all[ROWS / 2], all[0], all[ROWS - 1]);
    }
    Ok(())
}

/// The segment written anew.
fn anew(disk: &Arc<dyn Disk>, meta: &SegmentMeta, to: &dyn Disk) -> Result<SegmentMeta, Failure> {
    let dir = meta.dir.rsplit('/').next().ok_or("no folder")?;
    to.create_folder(dir)?;
    let events = Segment::open(disk.clone(), meta)?.rows()?;
    Ok(write(to, dir, &events, &WriteOptions { dataset: Dataset::Events, tier: Tier::Recent })?)
}
