//! `nhatle replay`: rules over stored events, by the same detector and correlator as in the stream.
//!
//! In: a data folder (also while a server has it open), a time, rules: those that come with the program, or
//! paths; one of them by `--rule`. Out: a line for each match, segment by segment, then one for each firing of a
//! correlation in order of time. What cannot match is not read; `--full-scan` reads everything and finds the same.
//! With `--store` what is new becomes alerts, marked as found late; where a server has the folder, it hunts, by its rules.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use nhatle_engine::correlate::CorrelationMatch;
use nhatle_engine::detect::matched_fields;
use nhatle_engine::hunt::HuntOutcome;
use nhatle_event::json::value_to_json;
use nhatle_event::{Clock, EventId, Field, Seq, Stored, SystemClock, Timestamp};
use nhatle_rules::{LoadOptions, Meta, RuleId, RuleSet};
use nhatle_storage::{Config as StoreConfig, Disk, OsDisk, Store};
use serde_json::{Map, Value, json};

use super::detect::kind_name;
use super::{End, UsageError, output, progress};
use crate::cli::{ReplayArgs, ReplayFormat, ServeArgs};
use crate::config::{Config, Rules};
use crate::handover::{Ask, client};
use crate::hunt::{Detail, Hunter, Looked, Pace, Range, Reading, job};
use crate::ruleset;

/// Runs the command.
///
/// # Errors
/// A time is none, the rule is not there, the store cannot be read (or with `--store`, opened).
pub fn run(args: &ReplayArgs) -> anyhow::Result<End> {
    let range = Range {
        from: time(&args.from, "--from")?,
        to: args.to.as_deref().map_or(Ok(Timestamp::MAX), |to| time(to, "--to"))?,
    };
    if range.to <= range.from {
        return Err(UsageError("--to is not after --from".to_owned()).into());
    }
    if !args.data.data.is_dir() {
        return Err(UsageError(format!("{} is no folder", args.data.data.display())).into());
    }
    let began = Instant::now();
    let from = Rules::of(&args.rules);
    let loaded = ruleset::load(&from, &LoadOptions::default());
    for error in &loaded.errors {
        output::say(&error.to_string());
    }
    let rules = match &args.rule {
        None => loaded.clone(),
        Some(id) => job::rules_of(&loaded, id).ok_or_else(|| UsageError(format!("--rule: no rule {id}")))?,
    };
    let reading = if args.full_scan { Reading::Everything } else { Reading::Candidates };
    let hunter = Hunter::new(rules, reading);
    let load_seconds = began.elapsed().as_secs_f64();
    match args.store {
        true => store(args, &hunter, range)?,
        false => print(args, &hunter, range, load_seconds)?,
    }
    Ok(if loaded.errors.is_empty() { End::Done } else { End::Findings })
}

/// The moment that `flag` says.
///
/// # Errors
/// It is none.
pub fn time(text: &str, flag: &str) -> anyhow::Result<Timestamp> {
    // A day alone is its beginning, in UTC.
    let day = (text.len() == 10).then(|| format!("{text}T00:00:00Z"));
    let at = Timestamp::parse(day.as_deref().unwrap_or(text), 0);
    Ok(at.ok_or_else(|| UsageError(format!("{flag}: no RFC 3339 time: {text}")))?)
}

fn print(args: &ReplayArgs, hunter: &Hunter, range: Range, load_seconds: f64) -> anyhow::Result<()> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(&args.data.data)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Store::open_read_only(disk, StoreConfig::default(), clock).context("open store")?;
    let snapshot = store.snapshot();
    let mut out = output::buffered();
    if args.format == ReplayFormat::Csv {
        writeln!(out, "timestamp,level,title,rule,event,fields")?;
    }
    let began = Instant::now();
    let mut bar = progress::Progress::of_events(hunter.event_count(&snapshot, range));
    let detail = if args.format == ReplayFormat::Summary { Detail::Projected } else { Detail::Whole };
    let (mut matches, mut written) = (0usize, Ok(()));
    let ended = hunter.run(&snapshot, range, detail, Pace::AllCores, |looked: Looked<'_>| {
        for one in looked.matches {
            let rule = hunter.rules().rules.get(one.rule.0 as usize).filter(|rule| rule.is_alerting);
            let Some((rule, stored)) = rule.zip(looked.events.get(one.position)) else { continue };
            matches += 1;
            let line = Line::of_match(hunter.rules(), (&rule.meta, one.rule), stored);
            written = line.write(&mut out, args.format);
            if written.is_err() {
                return ControlFlow::Break(());
            }
        }
        bar.events(usize::try_from(looked.progress.events).unwrap_or(usize::MAX), matches);
        ControlFlow::Continue(())
    })?;
    written?;
    for one in &ended.fired {
        let correlation = hunter.rules().correlations.get(one.correlation.0 as usize);
        let Some(correlation) = correlation.filter(|correlation| correlation.is_alerting) else { continue };
        matches += 1;
        Line::of_firing(&correlation.meta, kind_name(&correlation.kind), one).write(&mut out, args.format)?;
    }
    drop(bar);
    if args.format == ReplayFormat::Summary {
        let rules = hunter.rules();
        let line = json!({
            "events": ended.progress.events, "read": ended.progress.read,
            "segments": ended.progress.segments, "segments_skipped": ended.progress.segments_skipped,
            "matches": matches, "rules": rules.rules.len() + rules.correlations.len(),
            "seconds": began.elapsed().as_secs_f64(), "load_seconds": load_seconds,
        });
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(())
}

/// Stores what is new as alerts, as the button on the rule page does.
fn store(args: &ReplayArgs, hunter: &Hunter, range: Range) -> anyhow::Result<()> {
    let serve = ServeArgs { data: Some(args.data.data.clone()), rules: args.rules.clone(), ..ServeArgs::default() };
    let config = Config::load(&serve)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let shared = match super::serve::open(&config, runtime.handle().clone()) {
        Err(error) if super::import::is_locked(&error) => return beside(args, range),
        opened => opened?,
    };
    let rules = hunter.rules();
    let (id, title) = match &args.rule {
        Some(id) => (id.as_str(), job::title_of(rules, id).unwrap_or_default()),
        None => ("*", format!("{} rules", rules.rules.len() + rules.correlations.len())),
    };
    let hunt = job::begin(&shared, "nhatle replay", (id, &title), range)?;
    let (outcome, counts) = job::run(&shared, hunter, &hunt, Pace::AllCores, &|| None);
    shared.registry.close();
    output::line(&json!({"hunt": hunt.number, "outcome": outcome, "counts": counts}).to_string())?;
    match outcome {
        HuntOutcome::Failed => Err(anyhow::anyhow!("hunt {} failed; the log says why", hunt.number)),
        _ => Ok(()),
    }
}

/// Has the server that has the folder hunt.
fn beside(args: &ReplayArgs, range: Range) -> anyhow::Result<()> {
    if !args.rules.is_empty() {
        let what = "--rules with --store: a server has this folder, and hunts by its own rules";
        return Err(UsageError(what.to_owned()).into());
    }
    let ask = Ask::Hunt { rule: args.rule.clone(), from_ns: range.from.0, to_ns: range.to.0 };
    output::line(&client::ask(&args.data.data, &ask)?.to_string())?;
    Ok(())
}

/// A line to print.
struct Line<'a> {
    meta: &'a Meta,
    at: Timestamp,
    /// The last event.
    event: String,
    /// What `detect` has as `file` and `index`, or `correlation`.
    place: Map<String, Value>,
    fields: Value,
}

impl<'a> Line<'a> {
    fn of_match(rules: &RuleSet, (meta, id): (&'a Meta, RuleId), stored: &Stored) -> Line<'a> {
        let fields = matched_fields(rules, id, &stored.event);
        let mut place = Map::new();
        place.insert("event".into(), event(stored.seq));
        if let Some(record_id) = stored.event.get(Field::WINLOG_RECORD_ID) {
            place.insert("record_id".into(), record_id.as_long().map_or(value_to_json(record_id), Value::from));
        }
        place.insert("timestamp".into(), json!(stored.event.timestamp.to_string()));
        let fields: Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name, value_to_json(&value))).collect();
        place.insert("fields".into(), Value::Object(fields.clone()));
        let (at, event) = (stored.event.timestamp, stored.id().to_string());
        Line { meta, at, event, place, fields: Value::Object(fields) }
    }

    fn of_firing(meta: &'a Meta, kind: &str, one: &CorrelationMatch) -> Line<'a> {
        let group: Map<String, Value> = one.group.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let events: Vec<Value> = one.events.iter().map(|seq| event(*seq)).collect();
        let mut place = Map::new();
        place.insert("timestamp".into(), json!(one.end.to_string()));
        place.insert(
            "correlation".into(),
            json!({
                "type": kind, "group": group, "count": one.count,
                "start": one.start.to_string(), "end": one.end.to_string(), "events": events,
            }),
        );
        let last = one.events.last().map_or_else(String::new, |seq| EventId::from(*seq).to_string());
        Line { meta, at: one.end, event: last, place, fields: Value::Object(group) }
    }

    fn write(self, out: &mut impl Write, format: ReplayFormat) -> std::io::Result<()> {
        let meta = self.meta;
        let level = meta.level.name();
        match format {
            ReplayFormat::Summary => Ok(()),
            ReplayFormat::Jsonl => {
                let rule = json!({"id": meta.id, "title": meta.title, "level": level, "tags": meta.tags});
                let mut map = Map::new();
                map.insert("rule".into(), rule);
                map.extend(self.place);
                writeln!(out, "{}", Value::Object(map))
            }
            ReplayFormat::Csv => {
                let (time, fields) = (self.at.to_string(), self.fields.to_string());
                let cells = [&time, level, &meta.title, &meta.id, &self.event, &fields];
                writeln!(out, "{}", cells.map(output::csv).join(","))
            }
            ReplayFormat::Table => {
                let time = self.at.to_string();
                writeln!(out, "{time:<27} {level:<13} {:<50} {}", output::cut(&meta.title, 50), self.event)
            }
        }
    }
}

fn event(seq: Seq) -> Value {
    json!({"id": EventId::from(seq).to_string(), "seq": seq.0})
}
