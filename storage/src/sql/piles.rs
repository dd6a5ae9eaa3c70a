//! `Piles`: groups of one tally that were put aside, in parts by their keys. In: tallies, one after the other. Out: of each part
//! the tables of its groups, so that groups of all tallies can be joined part by part, and only a part is held at a time.
//! On the disk a table is one stream of Arrow's own form, read and checked by Arrow; all of them are in one file, which is the
//! query's and counted as its room on the disk. Failure: the disk's, and what of it is no such stream.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use arrow_array::RecordBatch;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use datafusion::execution::disk_manager::DiskManager;
use datafusion::execution::{SpillFile, SpillWriter};
use foldhash::fast::RandomState;

use super::tally::Tally;

/// In how many parts groups are cut; a power of two. With 64 MiB of a tally a part is a MiB, and with the 2 GiB that a query may
/// have on the disk 32 of each thread.
pub const PARTS: usize = 64;

/// See the top.
pub struct Piles {
    hash: RandomState,
    disk: Arc<DiskManager>,
    file: Option<Written>,
    parts: Vec<Vec<Pile>>,
}

struct Written {
    file: Arc<dyn SpillFile>,
    writer: Box<dyn SpillWriter>,
    bytes: u64,
}

/// A table of groups.
pub enum Pile {
    /// In memory.
    Table(RecordBatch),
    /// So many bytes of a file from here on.
    Stretch(Arc<dyn SpillFile>, u64, u64),
}

impl Piles {
    /// Nothing yet. What is to be joined must have the same hash.
    pub fn new(hash: RandomState, disk: Arc<DiskManager>) -> Piles {
        Piles { hash, disk, file: None, parts: (0..PARTS).map(|_| Vec::new()).collect() }
    }

    /// Something is on the disk.
    pub fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    /// Writes groups to the disk.
    ///
    /// # Errors
    /// The disk fails, or the query has no more room there.
    pub fn write(&mut self, tally: Tally) -> Result<()> {
        let cut = tally.cut(PARTS, &self.hash);
        let mut bytes = Vec::new();
        for part in 0..PARTS {
            let Some(table) = cut.part(part)? else { continue };
            bytes.clear();
            let mut stream = StreamWriter::try_new(&mut bytes, table.schema_ref())?;
            stream.write(&table)?;
            stream.finish()?;
            drop(stream);
            let to = match &mut self.file {
                Some(to) => to,
                None => {
                    let file = self.disk.create_tmp_file("groups")?;
                    let writer = file.open_writer()?;
                    self.file.insert(Written { file, writer, bytes: 0 })
                }
            };
            to.writer.write_all(&bytes).map_err(no_room)?;
            #[cfg(test)]
            WRITTEN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let length = bytes.len() as u64;
            self.parts[part].push(Pile::Stretch(Arc::clone(&to.file), to.bytes, length));
            to.bytes += length;
        }
        Ok(())
    }

    /// Keeps groups in memory.
    ///
    /// # Errors
    /// Arrow's, which would be a mistake of ours.
    pub fn keep(&mut self, tally: Tally) -> Result<()> {
        let cut = tally.cut(PARTS, &self.hash);
        for (part, piles) in self.parts.iter_mut().enumerate() {
            piles.extend(cut.part(part)?.map(Pile::Table));
        }
        Ok(())
    }

    /// What there is of each part.
    ///
    /// # Errors
    /// The disk fails.
    pub fn into_parts(self) -> Result<Vec<Vec<Pile>>> {
        if let Some(mut written) = self.file {
            written.writer.finish()?;
        }
        Ok(self.parts)
    }
}

/// That the query has no more room on the disk is told as an error of no kind of its own.
fn no_room(error: io::Error) -> DataFusionError {
    match error.kind() {
        io::ErrorKind::Other => DataFusionError::ResourcesExhausted(format!("groups on the disk: {error}")),
        _ => error.into(),
    }
}

impl Pile {
    /// Adds its groups to a tally.
    ///
    /// # Errors
    /// The disk fails, or what is read is not what was written.
    pub fn add_to(self, tally: &mut Tally) -> Result<()> {
        let (file, begin, length) = match self {
            Pile::Table(table) => return tally.join(&table),
            Pile::Stretch(file, begin, length) => (file, begin, length),
        };
        let path = file.path().ok_or_else(|| exec_datafusion_err!("groups on no disk"))?;
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(begin))?;
        for table in StreamReader::try_new(BufReader::new(file.take(length)), None)? {
            tally.join(&table?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
static WRITTEN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// How many tables of groups were written to the disk, of all queries of this process.
#[cfg(test)]
pub fn written() -> u64 {
    WRITTEN.load(std::sync::atomic::Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow_array::builder::StringViewBuilder;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Array, ArrayRef, Int64Array};
    use arrow_schema::{DataType, Field, Schema};
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;

    use super::*;
    use crate::sql::tally::Measure;
    use crate::sql::tests::Dice;

    type Row = (Option<String>, Option<i64>, Option<i64>);
    type Group = (i64, i64, Option<i64>, Option<i64>);

    fn counted(into: &mut Tally, rows: &[Row]) {
        let mut texts = StringViewBuilder::new();
        rows.iter().for_each(|(text, ..)| texts.append_option(text.as_deref()));
        let numbers: ArrayRef = Arc::new(rows.iter().map(|(_, number, _)| *number).collect::<Int64Array>());
        let measured: ArrayRef = Arc::new(rows.iter().map(|(_, _, value)| *value).collect::<Int64Array>());
        into.add(&[Arc::new(texts.finish()), numbers], &[measured], rows.len()).expect("columns of these types");
    }

    /// The slow way.
    fn of_rows(rows: &[Row]) -> BTreeMap<(Option<String>, Option<i64>), Group> {
        let mut groups = BTreeMap::new();
        for (text, number, value) in rows {
            let group = groups.entry((text.clone(), *number)).or_insert((0, 0, None, None));
            group.0 += 1;
            group.1 += i64::from(value.is_some());
            group.2 = group.2.into_iter().chain(*value).min();
            group.3 = group.3.into_iter().chain(*value).max();
        }
        groups
    }

    fn of_tally(tally: &Tally, into: &mut BTreeMap<(Option<String>, Option<i64>), Group>) {
        let table = tally.some(0..tally.len()).expect("a table");
        let number = |column: usize, row: usize| {
            let array = table.column(column).as_primitive::<Int64Type>();
            array.is_valid(row).then(|| array.value(row))
        };
        for row in 0..table.num_rows() {
            let texts = table.column(0).as_string_view();
            let key = (texts.is_valid(row).then(|| texts.value(row).to_owned()), number(1, row));
            let counts = (number(2, row).expect("a count"), number(3, row).expect("a count"));
            let before = into.insert(key, (counts.0, counts.1, number(4, row), number(5, row)));
            assert_eq!(before, None, "a group is in one part");
        }
    }

    #[test]
    fn groups_of_several_tallies_joined_part_by_part_are_those_of_all_rows() {
        let column = |name: &str, of| Field::new(name, of, true);
        let mut fields = vec![column("text", DataType::Utf8View)];
        fields.extend(["number", "rows", "values", "least", "most"].map(|name| column(name, DataType::Int64)));
        let measures = vec![Measure::Rows, Measure::Count(0), Measure::Min(0), Measure::Max(0)];
        let empty = Tally::new(Arc::new(Schema::new(fields)), measures);
        let disk = RuntimeEnvBuilder::new().build().expect("a folder").disk_manager;
        for seed in 0..4u64 {
            let mut dice = Dice(seed + 71);
            let hash = RandomState::default();
            let mut all: Vec<Row> = Vec::new();
            let mut parts: Vec<Vec<Pile>> = (0..PARTS).map(|_| Vec::new()).collect();
            for _walk in 0..2 {
                let mut piles = Piles::new(hash.clone(), Arc::clone(&disk));
                for turn in 0..4 {
                    let mut row = || {
                        let text = (dice.below(9) != 0).then(|| format!("{}", dice.below(40)));
                        let number = (dice.below(9) != 0).then(|| dice.below(30) as i64 - 9);
                        (text, number, (dice.below(3) != 0).then(|| dice.below(1_000) as i64 - 500))
                    };
                    let rows: Vec<Row> = (0..700).map(|_| row()).collect();
                    let mut tally = empty.another();
                    counted(&mut tally, &rows);
                    all.extend(rows);
                    match turn % 2 {
                        0 => piles.write(tally).expect("room on the disk"),
                        _ => piles.keep(tally).expect("a table"),
                    }
                }
                let of_walk = piles.into_parts().expect("nothing fails");
                parts.iter_mut().zip(of_walk).for_each(|(part, piles)| part.extend(piles));
            }
            let mut found = BTreeMap::new();
            for part in parts {
                let mut tally = empty.another();
                part.into_iter().for_each(|pile| pile.add_to(&mut tally).expect("what was written"));
                of_tally(&tally, &mut found);
            }
            assert_eq!(found, of_rows(&all), "seed {seed}");
        }
    }
}
