//! What sealing costs alone. In: the folder of a store with events that are in no segment yet (a copy that was taken while
//! `nhatle import` ran; it is only read), and how many of them. Out: a line with the processor time and the bytes of an event,
//! and how much memory it took. One thread, so that `valgrind --tool=callgrind --toggle-collect='*write_rows*'` counts all of it.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use nhatle_event::SystemClock;
use nhatle_storage::segment::meta::{Tier, WriteOptions};
use nhatle_storage::{Config, Dataset, Disk, OsDisk, Row, Store, segment};

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let (Some(folder), Some(count)) = (arguments.next(), arguments.next()) else {
        return Err("the folder of a store, and how many events".into());
    };
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(folder)?);
    let store = Store::open_read_only(disk, Config::default(), Arc::new(SystemClock))?;
    let snapshot = store.snapshot();
    let mut rows: Vec<Row<'_>> = snapshot.recent(Dataset::Events).take(count.parse()?).collect();
    rows.sort_unstable_by_key(|row| (row.timestamp(), row.seq()));
    let options = WriteOptions { dataset: Dataset::Events, tier: Tier::Recent };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let to = tempfile::tempdir()?;
    let out = OsDisk::new(to.path())?;
    out.create_folder("segment")?;
    // The most memory so far is that of now.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (memory, begin) = (kib("VmRSS")?, cpu_us()?);
    let meta = pool.install(|| segment::write_rows(&out, "segment", &rows, &options))?;
    let (took, memory) = (cpu_us()? - begin, kib("VmHWM")? - memory);
    let each = |all: f64| all / rows.len() as f64;
    let bytes = |file: &segment::meta::FileMeta| format!(", {} {:.2}", file.name, each(file.bytes as f64));
    let bytes: String = meta.files.iter().map(bytes).collect();
    writeln!(std::io::stdout(), "{} events, {:.2} us{bytes} bytes each, {memory} KiB", rows.len(), each(took))?;
    Ok(())
}

/// The processor time of this process so far.
fn cpu_us() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, behind) = stat.rsplit_once(')').ok_or("another form of /proc/self/stat")?;
    let ticks = behind.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks * 10_000.0)
}

fn kib(name: &str) -> Result<i64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).ok_or("another form of /proc/self/status")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
