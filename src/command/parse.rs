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
            let json = if args.ecs_nested { nested(event) } else { to_json(&event, Shape::Dotted) };
            serde_json::to_writer(&mut out, &json).map_err(std::io::Error::from)?;
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

/// The event with its time as Elastic's modules index it: `date` holds milliseconds, Winlogbeat keeps the ticks of Windows, and
/// the module for Squid whole seconds. The plain output keeps all digits.
fn as_indexed(mut event: Event) -> Event {
    let step_ns = match event.text(Field::EVENT_MODULE) {
        Some("windows" | "sysmon") => 1,
        Some("squid") => 1_000_000_000,
        _ => 1_000_000,
    };
    event.timestamp = Timestamp(event.timestamp.0.div_euclid(step_ns) * step_ns);
    event
}

/// The JSON of an event for laying it beside what Elastic's modules index: of messages whose header those modules take off
/// (Cisco ASA and FTD, a Linux host's own), `event.original` is what stands behind it. The whole line is `log.original`, and
/// `event.hash` is its hash.
fn nested(event: Event) -> serde_json::Value {
    let event = as_indexed(event);
    let mut json = to_json(&event, Shape::Nested);
    let Some(at) = header_length(&event) else { return json };
    let whole = String::from_utf8_lossy(&event.original);
    let mut put = |outer: &str, text: &str| {
        // Both are there: each event has an original, each event of a file its path.
        if let Some(object) = json.get_mut(outer).and_then(serde_json::Value::as_object_mut) {
            object.insert("original".to_owned(), text.into());
        }
    };
    put("log", &whole);
    put("event", whole.get(at..).unwrap_or_default());
    json
}

/// How many bytes of an event's original are the header that Elastic's modules take off; `None` = they keep it.
fn header_length(event: &Event) -> Option<usize> {
    let message = event.text(Field::MESSAGE).filter(|message| !message.is_empty())?;
    let whole = std::str::from_utf8(&event.original).ok()?;
    let at = whole.find(message)?;
    let length = match event.text(Field::EVENT_DATASET)? {
        // The mark (`%ASA-6-302013: `) is a part of the message there.
        "cisco.asa" => whole.get(..at)?.rfind('%').unwrap_or(at),
        "linux.auth" | "linux.cron" | "linux.syslog" => at,
        _ => return None,
    };
    (length > 0).then_some(length)
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
