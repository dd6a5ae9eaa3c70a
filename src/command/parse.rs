//! `nhatle parse`: each record of files as one normalized ECS JSON line, in input order.
//!
//! A record that cannot be parsed is a line too: its dead letter, with reason and offset.

use std::io::Write;

use anyhow::Context;
use nhatle_collector::listen::file::{FileOptions, FileRecords, files_below};
use nhatle_collector::{Profile, Settings, dead_letter_event};
use nhatle_event::json::{Shape, to_json};
use nhatle_event::{Clock, Event, Field, SystemClock, Text, Timestamp};

use super::{End, UsageError, output};
use crate::cli::ParseArgs;

/// Runs the command.
///
/// # Errors
/// The profile is unknown, or a file cannot be read.
pub fn run(args: &ParseArgs) -> anyhow::Result<End> {
    let settings = Settings { default_offset_s: args.offset * 60, ..settings() };
    let options = FileOptions { profile: profile(args.source.as_deref())?, ..FileOptions::new(SystemClock.now()) };
    let shape = if args.ecs_nested { Shape::Nested } else { Shape::Dotted };
    let mut out = output::buffered();
    let mut dead = 0usize;
    for path in files_below(&args.files)? {
        for record in FileRecords::open(&path, &options, &settings)? {
            let (_, result) = record?;
            let event = match result {
                Ok(event) => event,
                Err(dead_letter) => {
                    dead += 1;
                    dead_letter_event(&dead_letter, &settings)
                }
            };
            let event = if args.ecs_nested { as_indexed(event) } else { event };
            serde_json::to_writer(&mut out, &to_json(&event, shape)).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush().context("write standard output")?;
    if dead > 0 {
        output::say(&format!("{dead} records could not be parsed"));
        return Ok(End::Findings);
    }
    Ok(End::Done)
}

/// The event with its time as Elasticsearch holds it, so that nested output can be laid beside what Elastic's modules
/// index: `date` holds milliseconds. Winlogbeat alone keeps the ticks of Windows. The plain output keeps all digits.
fn as_indexed(mut event: Event) -> Event {
    const MILLISECOND_NS: i64 = 1_000_000;
    if event.text(Field::EVENT_MODULE).is_none_or(|module| !matches!(module, "windows" | "sysmon")) {
        event.timestamp = Timestamp(event.timestamp.0.div_euclid(MILLISECOND_NS) * MILLISECOND_NS);
    }
    event
}

/// What files are read with: a time without a zone is taken as UTC, so that a result does not depend on where it is made.
pub fn settings() -> Settings {
    Settings { default_offset_s: 0, ..Settings::default() }
}

/// A source profile by name.
///
/// # Errors
/// There is none of that name.
pub fn profile(name: Option<&str>) -> anyhow::Result<Option<Text>> {
    let Some(name) = name else { return Ok(None) };
    Profile::from_name(name).map_err(|error| UsageError(format!("--source: {error}")))?;
    Ok(Some(Text::from(name)))
}
