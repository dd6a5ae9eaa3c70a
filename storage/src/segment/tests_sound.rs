//! Files of rows whose footer says what cannot be, with right checksums. In: a segment whose footer was written anew with
//! one change. Out: an error with the file, or the rows as they are; never a panic, and nothing of the size it says.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::buffer::BooleanBuffer;
use nhatle_event::{Event, Field, Seq, Stored, Timestamp};
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnChunkMetaDataBuilder, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader,
    ParquetMetaDataWriter,
};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::writer::TrackedWrite;
use regex::bytes::Regex;

use super::meta::{FileMeta, SegmentMeta, Tier, WriteOptions};
use super::{Projection, ROWS_FILE, Segment, Spans, write};
use crate::dataset::Dataset;
use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::error::ReadError;

const ROWS: u64 = 3_000;

fn written() -> (SimDisk, SegmentMeta) {
    let disk = SimDisk::new(1);
    disk.create_folder("s").unwrap();
    let stored = |seq: u64| {
        let mut event = Event::new(Timestamp::from_seconds(i64::try_from(seq).unwrap()), format!("{seq}").as_bytes());
        event.set(Field::MESSAGE, format!("{seq} {}", "x".repeat(40)));
        Stored { seq: Seq(seq), committed: Timestamp(9), event }
    };
    let events: Vec<Stored> = (1..=ROWS).map(stored).collect();
    let meta = write(&disk, "s", &events, &WriteOptions { dataset: Dataset::Events, tier: Tier::Recent }).unwrap();
    (disk, meta)
}

/// The segment with another footer, and a manifest entry that has the right checksums of it.
fn with(disk: &SimDisk, meta: &SegmentMeta, footer: &ParquetMetaData) -> Segment {
    let path = meta.path(ROWS_FILE);
    let mut bytes = Vec::new();
    let mut out = TrackedWrite::new(&mut bytes);
    out.write_all(&disk.read(&path).unwrap()).unwrap();
    ParquetMetaDataWriter::new_with_tracked(out, footer).finish().unwrap();
    let disk = disk.fork();
    disk.replace(&path, &bytes).unwrap();
    let mut meta = meta.clone();
    let file = meta.files.iter_mut().find(|file| file.name == ROWS_FILE).unwrap();
    *file = FileMeta::of(ROWS_FILE, &bytes);
    Segment::open(Arc::new(disk), &meta).unwrap()
}

/// Reads everything in every way; how many rows that gave.
fn read(segment: &Segment) -> Result<u64, ReadError> {
    let rows = segment.rows()?;
    assert_eq!(segment.keys()?.len(), rows.len());
    segment.fetch(&[0, 17, 2_999], Projection::All)?;
    let mut streamed = 0;
    let mut stream = segment.stream(1 << 20)?;
    while let Some(table) = stream.next_table() {
        streamed += table?.1.len();
    }
    assert_eq!(streamed, rows.len());
    let spans = Spans::of(segment, None)?;
    let names = [Field::MESSAGE.name(), "nhatle.seq"];
    let picked = Some(BooleanBuffer::collect_bool(rows.len(), |row| row % 700 == 3));
    let needle = Regex::new("1234 ").unwrap();
    for group in 0..spans.count() {
        // As its callers do.
        let batch_rows = (4usize << 20) / spans.row_bytes(group, &names);
        for picked in [&None, &picked] {
            for batch in spans.read(group, picked, &names, batch_rows)? {
                batch?;
            }
        }
        spans.sift(group, &picked, names[0], &needle, || Ok::<(), ReadError>(()))?;
    }
    Ok(rows.len() as u64)
}

type Change = fn(ColumnChunkMetaDataBuilder) -> ColumnChunkMetaDataBuilder;

/// Changes of one column, and whether readers can still do with what it says.
const CHANGES: [(&str, Change, bool); 9] = [
    ("nothing", |column| column, true),
    ("the greatest size", |column| column.set_total_uncompressed_size(i64::MAX), true),
    ("a size below nothing", |column| column.set_total_uncompressed_size(i64::MIN), false),
    ("a length below nothing", |column| column.set_total_compressed_size(-1), false),
    ("a length past the file", |column| column.set_total_compressed_size(1 << 50), false),
    ("a place below nothing", |column| column.set_data_page_offset(i64::MIN), false),
    ("a place past the file", |column| column.set_data_page_offset(i64::MAX), false),
    ("a dictionary below nothing", |column| column.set_dictionary_page_offset(Some(-4)), false),
    ("values below nothing", |column| column.set_num_values(-1), false),
];

type PageChange = fn(&mut PageLocation);

/// Changes of the second page of every column, none of which can be read.
const PAGES: [(&str, PageChange); 5] = [
    ("a page from a row below nothing", |page| page.first_row_index = -1),
    ("a page from a row past the last", |page| page.first_row_index = 1 << 40),
    ("a page from the row of the one before", |page| page.first_row_index = 0),
    ("a page past the file", |page| page.offset = 1 << 40),
    ("a page of a length below nothing", |page| page.compressed_page_size = -1),
];

#[test]
fn a_footer_that_says_what_cannot_be_is_refused_by_the_name_of_its_file() {
    let (disk, meta) = written();
    let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    reader.try_parse(&bytes::Bytes::from(disk.read(&meta.path(ROWS_FILE)).unwrap())).unwrap();
    let footer = reader.finish().unwrap();
    let check = |what: &str, footer: &ParquetMetaData, is_read: bool| match read(&with(&disk, &meta, footer)) {
        Ok(rows) => assert!(is_read && rows == ROWS, "{what} was read: {rows} rows"),
        Err(error) => {
            assert!(!is_read, "{what}: {error}");
            assert!(error.to_string().contains(ROWS_FILE), "{what}: {error}");
        }
    };
    for (what, change, is_read) in CHANGES {
        // Of every column at once, so that sums run over too.
        let of_all = |column: &ColumnChunkMetaData| change(column.clone().into_builder()).build().unwrap();
        let group = footer.row_group(0).clone();
        let columns = group.columns().iter().map(of_all).collect();
        let group = group.into_builder().set_column_metadata(columns).build().unwrap();
        check(what, &footer.clone().into_builder().set_row_groups(vec![group]).build(), is_read);
    }
    for rows in [-1, 0, i64::MAX, 2_999] {
        let group = footer.row_group(0).clone().into_builder().set_num_rows(rows).build().unwrap();
        let changed = footer.clone().into_builder().set_row_groups(vec![group]).build();
        check(&format!("{rows} rows of a group"), &changed, false);
    }
    for (what, change) in PAGES {
        let mut index = footer.offset_index().unwrap().clone();
        index[0].iter_mut().filter_map(|column| column.page_locations.get_mut(1)).for_each(change);
        check(what, &footer.clone().into_builder().set_offset_index(Some(index)).build(), false);
    }
}
