//! How findings are printed: JSON lines, CSV or columns, as they come or in order of time; counted by rule; or a page.
//!
//! In order of time, the lines wait in a temporary file; memory holds 24 bytes for each.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};

use anyhow::Context;
use nhatle_event::Timestamp;
use serde_json::Value;

use super::count::RuleCounts;
use super::finding::{Finding, Of};
use super::timeline::Page;
use super::zone::Zone;
use crate::cli::DetectFormat;
use crate::command::output;

/// What a line of CSV holds. New ones come at the end.
const CSV_COLUMNS: [&str; 12] = [
    "timestamp",
    "level",
    "title",
    "rule",
    "file",
    "index",
    "fields",
    "host",
    "channel",
    "event_code",
    "record_id",
    "tags",
];

/// See the module.
pub struct Printer {
    format: DetectFormat,
    out: Box<dyn Write>,
    zone: Zone,
    by_time: Option<Spool>,
    page: Page,
    counts: RuleCounts,
}

impl Printer {
    /// A printer to `out`.
    ///
    /// # Errors
    /// `out` cannot be written, or there is no room for a temporary file.
    pub fn new(format: DetectFormat, by_time: bool, zone: Zone, mut out: Box<dyn Write>) -> anyhow::Result<Printer> {
        if format == DetectFormat::Csv {
            writeln!(out, "{}", CSV_COLUMNS.join(","))?;
        }
        let by_time = if by_time { Some(Spool::new()?) } else { None };
        Ok(Printer { format, out, zone, by_time, page: Page::new(zone), counts: RuleCounts::default() })
    }

    /// Prints a finding, or keeps it.
    ///
    /// # Errors
    /// The output is closed or full.
    pub fn finding(&mut self, finding: &Finding) -> anyhow::Result<()> {
        let line = match self.format {
            DetectFormat::Summary => return Ok(()),
            DetectFormat::Html => {
                self.page.add(finding);
                return Ok(());
            }
            DetectFormat::Count => {
                self.counts.add(finding);
                return Ok(());
            }
            DetectFormat::Jsonl => finding.json().to_string(),
            DetectFormat::Csv => csv(finding, self.zone),
            DetectFormat::Table => row(finding, self.zone),
        };
        match &mut self.by_time {
            Some(spool) => spool.add(finding.at, &line)?,
            None => writeln!(self.out, "{line}")?,
        }
        Ok(())
    }

    /// Prints what was kept.
    ///
    /// # Errors
    /// The output is closed or full.
    pub fn finish(mut self, summary: &Value) -> anyhow::Result<()> {
        if let Some(spool) = self.by_time {
            spool.write(&mut self.out)?;
        }
        match self.format {
            DetectFormat::Summary => writeln!(self.out, "{summary}")?,
            DetectFormat::Count => self.counts.write(&mut self.out, self.zone)?,
            DetectFormat::Html => self.out.write_all(self.page.html(summary)?.as_bytes())?,
            DetectFormat::Jsonl | DetectFormat::Csv | DetectFormat::Table => {}
        }
        Ok(self.out.flush()?)
    }
}

/// A program that opens the file may take a cell for a formula that begins with one of these (OWASP, CSV injection).
const FORMULA_MARKS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

fn csv(finding: &Finding, zone: Zone) -> String {
    let meta = &finding.meta;
    let (time, index) = (zone.show(finding.at), index(finding));
    let fields = Value::from(finding.fields.clone()).to_string();
    let file = finding.place().map_or("", |place| &*place.file);
    let record_id = match &finding.of {
        Of::Event { record_id: Some(id), .. } => id.to_string(),
        Of::Event { record_id: None, .. } | Of::Events { .. } => String::new(),
    };
    let [host, channel, code] =
        [&finding.host, &finding.channel, &finding.code].map(|text| text.as_deref().unwrap_or_default());
    let (level, tags) = (meta.level.name(), meta.tags.join(" "));
    let cells: [&str; CSV_COLUMNS.len()] =
        [&time, level, &meta.title, &meta.id, file, &index, &fields, host, channel, code, &record_id, &tags];
    let guarded = |cell: &str| match cell.starts_with(FORMULA_MARKS) {
        true => output::csv(&format!("'{cell}")),
        false => output::csv(cell),
    };
    cells.map(guarded).join(",")
}

fn row(finding: &Finding, zone: Zone) -> String {
    let meta = &finding.meta;
    let (time, index) = (zone.show(finding.at), index(finding));
    let (title, host) = (output::cut(&meta.title, 50), output::cut(finding.host.as_deref().unwrap_or("-"), 20));
    let file = finding.place().map_or("", |place| &*place.file);
    let file = file.rsplit('/').next().unwrap_or_default();
    format!("{time:<27} {:<13} {host:<20} {title:<50} {}:{index}", meta.level.name(), output::cut(file, 40))
}

/// The index; a correlation has none of its own.
fn index(finding: &Finding) -> String {
    match &finding.of {
        Of::Event { place, .. } => place.index.to_string(),
        Of::Events { .. } => String::new(),
    }
}

/// Lines that wait to be put in order of time.
struct Spool {
    file: BufWriter<File>,
    /// Time, offset, length.
    lines: Vec<(Timestamp, u64, u32)>,
    end: u64,
}

impl Spool {
    fn new() -> anyhow::Result<Spool> {
        let file = tempfile::tempfile().context("make a temporary file")?;
        Ok(Spool { file: BufWriter::with_capacity(1 << 16, file), lines: Vec::new(), end: 0 })
    }

    fn add(&mut self, at: Timestamp, line: &str) -> anyhow::Result<()> {
        let length = u32::try_from(line.len()).context("a finding of more than 4 GiB")?;
        self.file.write_all(line.as_bytes()).context("write to a temporary file")?;
        self.lines.push((at, self.end, length));
        self.end += u64::from(length);
        Ok(())
    }

    fn write(mut self, out: &mut impl Write) -> anyhow::Result<()> {
        self.lines.sort_unstable();
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        let mut at = file.stream_position()?;
        for (_, offset, length) in self.lines {
            // Neighbors in time are mostly neighbors in the file; the buffer is kept for them.
            file.seek_relative(offset.cast_signed().wrapping_sub(at.cast_signed()))?;
            line.resize(length as usize, 0);
            file.read_exact(&mut line)?;
            at = offset + u64::from(length);
            out.write_all(&line)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}
