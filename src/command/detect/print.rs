//! How findings are printed: JSON lines, CSV or columns, as they come or in order of time; or a page.
//!
//! In order of time, the lines wait in a temporary file; memory holds 24 bytes for each.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};

use anyhow::Context;
use nhatle_event::Timestamp;
use serde_json::Value;

use super::finding::{Finding, Of};
use super::timeline::Page;
use crate::cli::DetectFormat;
use crate::command::output;

/// See the module.
pub struct Printer {
    format: DetectFormat,
    out: Box<dyn Write>,
    by_time: Option<Spool>,
    page: Page,
}

impl Printer {
    /// A printer to `out`.
    ///
    /// # Errors
    /// `out` cannot be written, or there is no room for a temporary file.
    pub fn new(format: DetectFormat, by_time: bool, mut out: Box<dyn Write>) -> anyhow::Result<Printer> {
        if format == DetectFormat::Csv {
            writeln!(out, "timestamp,level,title,rule,file,index,fields")?;
        }
        let by_time = if by_time { Some(Spool::new()?) } else { None };
        Ok(Printer { format, out, by_time, page: Page::default() })
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
            DetectFormat::Jsonl => finding.json().to_string(),
            DetectFormat::Csv => csv(finding),
            DetectFormat::Table => row(finding),
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
            DetectFormat::Html => self.out.write_all(self.page.html(summary)?.as_bytes())?,
            DetectFormat::Jsonl | DetectFormat::Csv | DetectFormat::Table => {}
        }
        Ok(self.out.flush()?)
    }
}

fn csv(finding: &Finding) -> String {
    let meta = &finding.meta;
    let (time, index) = (finding.at.to_string(), index(finding));
    let fields = Value::from(finding.fields.clone()).to_string();
    let file = finding.place().map_or("", |place| &*place.file);
    let cells = [&time, meta.level.name(), &meta.title, &meta.id, file, &index, &fields];
    cells.map(output::csv).join(",")
}

fn row(finding: &Finding) -> String {
    let meta = &finding.meta;
    let (time, index) = (finding.at.to_string(), index(finding));
    let title = output::cut(&meta.title, 50);
    let file = finding.place().map_or("", |place| &*place.file);
    let file = file.rsplit('/').next().unwrap_or_default();
    format!("{time:<27} {:<13} {title:<50} {}:{index}", meta.level.name(), output::cut(file, 40))
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
