//! `nhatle parse`: each record of files as one normalized ECS JSON line, in input order.
//!
//! A record that cannot be parsed is a line too: its dead letter, with reason and offset.

use std::io::Write;

use anyhow::Context;
use nhatle_collector::listen::file::{FileOptions, FileRecords, files_below};
use nhatle_collector::listen::misnamed::Misnamed;
use nhatle_collector::{Profile, Settings, dead_letter_event};
use nhatle_event::json::{Shape, to_json, value_to_json};
use nhatle_event::{Clock, Event, Field, SystemClock, Text, Timestamp, Value};

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
        let records = FileRecords::open(&path, &options, &settings)?;
        say_misnamed(&path.display().to_string(), records.misnamed());
        for record in records {
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

/// Says at the terminal that a file is read with another profile than the one that was named for it.
pub fn say_misnamed(path: &str, told: Option<Misnamed>) {
    if let Some(told) = misnamed(path, told) {
        output::say(&told);
    }
}

/// The sentence that a file is read with another profile than the one that was named for it, where it is.
pub fn misnamed(path: &str, told: Option<Misnamed>) -> Option<String> {
    let Misnamed { named, read } = told?;
    let (named, read) = (named.name(), read.name());
    Some(format!("{path}: read as {read}, not as {named}: none of its first records is of {named}"))
}

/// The event with its time as Elastic's modules index it: `date` holds milliseconds, Winlogbeat keeps the ticks of Windows, and
/// the modules for Squid and FortiGate whole seconds. The plain output keeps all digits.
fn as_indexed(mut event: Event) -> Event {
    let step_ns = match event.text(Field::EVENT_MODULE) {
        Some("windows" | "sysmon") => 1,
        Some("squid" | "fortinet") => 1_000_000_000,
        _ => 1_000_000,
    };
    event.timestamp = Timestamp(event.timestamp.0.div_euclid(step_ns) * step_ns);
    event
}

/// The JSON of an event for laying it beside what Elastic's modules index: of messages whose header those modules take off
/// (Cisco ASA and FTD, a Linux host's own, MySQL's error log), `event.original` is what stands behind it. The whole line is `log.original`, and
/// `event.hash` is its hash.
fn nested(event: Event) -> serde_json::Value {
    let event = as_indexed(event);
    let mut json = to_json(&event, Shape::Nested);
    if let Some(told) = in_own_zone(&event)
        && let Some(object) = json.as_object_mut()
    {
        object.insert("@timestamp".to_owned(), told.into());
    }
    if let Some(answers) = answers(&event)
        && let Some(dns) = json.get_mut("dns").and_then(serde_json::Value::as_object_mut)
    {
        dns.insert("answers".to_owned(), answers);
    }
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

/// `dns.answers` as ECS has it: an object for each answer. In the store each of its members is a list.
fn answers(event: &Event) -> Option<serde_json::Value> {
    let members: Vec<(&str, Vec<&Value>)> = event
        .fields()
        .iter()
        .filter_map(|(field, value)| Some((field.name().strip_prefix("dns.answers.")?, value.each().collect())))
        .collect();
    let count = members.iter().map(|(_, values)| values.len()).max()?;
    let answer = |at: usize| {
        let mut told: Vec<(String, serde_json::Value)> = members
            .iter()
            .filter_map(|(name, values)| Some(((*name).to_owned(), value_to_json(values.get(at)?))))
            .collect();
        told.sort_by(|one, other| one.0.cmp(&other.0));
        serde_json::Value::Object(told.into_iter().collect())
    };
    Some((0..count).map(answer).collect())
}

/// The moment of a FortiGate's event in the zone that its line names (`tz="+0700"`), as Elastic's module indexes it; the same
/// moment elsewhere is written in UTC. `None` = the line names none.
fn in_own_zone(event: &Event) -> Option<String> {
    let zone = event.text(Field::EVENT_TIMEZONE).filter(|_| event.text(Field::EVENT_MODULE) == Some("fortinet"))?;
    let (sign, digits) = zone.split_at_checked(1)?;
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = digits.split_at_checked(2).filter(|_| digits.len() == 4)?;
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    let seconds = match sign {
        "+" => seconds,
        "-" => -seconds,
        _ => return None,
    };
    let local = event.timestamp.civil_at(seconds);
    let written = if seconds == 0 { "Z".to_owned() } else { format!("{sign}{hours}:{minutes}") };
    Some(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{written}",
        local.year,
        local.month,
        local.day,
        local.hour,
        local.minute,
        local.second,
        local.nanosecond / 1_000_000
    ))
}

/// How many bytes of an event's original are the header that Elastic's modules take off; `None` = they keep it.
fn header_length(event: &Event) -> Option<usize> {
    let message = event.text(Field::MESSAGE).filter(|message| !message.is_empty())?;
    let whole = std::str::from_utf8(&event.original).ok()?;
    let at = whole.find(message)?;
    let length = match event.text(Field::EVENT_DATASET)? {
        // The mark (`%ASA-6-302013: `) is a part of the message there.
        "cisco.asa" => whole.get(..at)?.rfind('%').unwrap_or(at),
        "linux.auth" | "linux.cron" | "linux.syslog" | "mysql.error" => at,
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
