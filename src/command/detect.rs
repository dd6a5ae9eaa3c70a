//! `nhatle detect`: rules over files, no store.
//!
//! In: rules and files of any form the collector reads. Out: one line for each match, in input order, then
//! rule id; correlation firings behind the event that completed them. Memory is bounded by a chunk of
//! events; only where correlations run, 16 bytes are kept for each event to name it later.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nhatle_collector::Settings;
use nhatle_collector::listen::file::{FileEntries, FileEntry, FileOptions, files_below};
use nhatle_engine::correlate::{Arrived, CorrelationMatch, Correlator, Limits};
use nhatle_engine::detect::{Detector, Match, matched_fields};
use nhatle_event::json::value_to_json;
use nhatle_event::{Clock, Event, Field, Seq, SystemClock};
use nhatle_rules::{CorrelationKind, LoadOptions, Meta, Routing, RuleSet};
use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use serde_json::{Map, Value, json};

use super::{End, output, parse};
use crate::cli::{DetectArgs, DetectFormat};
use crate::config::Rules;
use crate::ruleset;

/// How many records are converted and looked at together.
const CHUNK_RECORDS: usize = 8_192;

/// Runs the command.
///
/// # Errors
/// No rules were found, or a file cannot be read.
pub fn run(args: &DetectArgs) -> anyhow::Result<End> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let began = Instant::now();
    let routing = if args.ignore_logsource { Routing::Ignored } else { Routing::ByLogSource };
    let options = LoadOptions { routing, ..LoadOptions::default() };
    let rules = ruleset::load(&Rules { builtin: false, paths: args.rules.clone() }, &options);
    for error in &rules.errors {
        output::say(&error.to_string());
    }
    let mut hunt = Hunt {
        detector: Detector::new(rules.clone()),
        correlator: Correlator::new(rules.clone(), Limits::default()),
        settings: parse::settings(),
        files: Vec::new(),
        places: Vec::new(),
        seq: 0,
        counts: Counts { load_seconds: began.elapsed().as_secs_f64(), ..Counts::default() },
        rules,
        format: args.format,
    };
    let mut out = output::buffered();
    if args.format == DetectFormat::Csv {
        writeln!(out, "timestamp,level,title,rule,file,index,fields")?;
    }
    let scan = Instant::now();
    let options =
        FileOptions { profile: parse::profile(args.source.as_deref())?, ..FileOptions::new(SystemClock.now()) };
    let mut is_whole = true;
    for path in files_below(&args.files)? {
        if let Err(error) = hunt.file(&path, &options, &mut out) {
            if error.downcast_ref::<std::io::Error>().is_some() {
                return Err(error);
            }
            is_whole = false;
            output::say(&format!("{error:#}"));
        }
    }
    hunt.counts.seconds = scan.elapsed().as_secs_f64();
    if args.format == DetectFormat::Summary {
        writeln!(out, "{}", hunt.summary())?;
    }
    out.flush()?;
    if hunt.counts.dead_letters > 0 {
        output::say(&format!("{} records could not be parsed", hunt.counts.dead_letters));
    }
    Ok(if hunt.rules.errors.is_empty() && is_whole { End::Done } else { End::Findings })
}

#[derive(Default)]
struct Counts {
    events: usize,
    dead_letters: usize,
    matches: usize,
    seconds: f64,
    load_seconds: f64,
}

struct Hunt {
    rules: Arc<RuleSet>,
    detector: Detector,
    correlator: Correlator,
    settings: Settings,
    format: DetectFormat,
    files: Vec<String>,
    /// File and index of each event, where correlations may name it.
    places: Vec<(u32, u64)>,
    seq: u64,
    counts: Counts,
}

impl Hunt {
    fn file(&mut self, path: &Path, options: &FileOptions, out: &mut impl Write) -> anyhow::Result<()> {
        self.files.push(path.display().to_string());
        let mut chunk = Vec::with_capacity(CHUNK_RECORDS);
        for entry in FileEntries::open(path, options)? {
            chunk.push(entry?);
            if chunk.len() == CHUNK_RECORDS {
                self.chunk(std::mem::take(&mut chunk), out)?;
            }
        }
        self.chunk(chunk, out)
    }

    fn chunk(&mut self, entries: Vec<FileEntry>, out: &mut impl Write) -> anyhow::Result<()> {
        let settings = &self.settings;
        let converted: Vec<_> = entries.into_par_iter().map(|entry| (entry.index, entry.convert(settings))).collect();
        let (mut events, mut indexes) = (Vec::with_capacity(converted.len()), Vec::with_capacity(converted.len()));
        for (index, result) in converted {
            match result {
                Ok(event) => {
                    events.push(event);
                    indexes.push(index);
                }
                Err(_dead_letter) => self.counts.dead_letters += 1,
            }
        }
        self.counts.events += events.len();
        let matches = self.detector.detect_events(&events);
        let fired = self.correlate(&events, &indexes, &matches);
        self.print(&events, &indexes, (&matches, &fired), out)?;
        Ok(())
    }

    fn correlate(&mut self, events: &[Event], indexes: &[u64], matches: &[Match]) -> Vec<CorrelationMatch> {
        if self.rules.correlations.is_empty() {
            return Vec::new();
        }
        let file = u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX);
        self.places.extend(indexes.iter().map(|index| (file, *index)));
        let arrived: Vec<Arrived<'_>> =
            events.iter().zip(self.seq..).map(|(event, seq)| Arrived { seq: Seq(seq), event }).collect();
        self.seq += events.len() as u64;
        self.correlator.push(&arrived, matches)
    }

    /// Prints matches and firings in the order of their events, then by rule id.
    fn print(
        &mut self,
        events: &[Event],
        indexes: &[u64],
        (matches, fired): (&[Match], &[CorrelationMatch]),
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let mut lines: BTreeMap<(usize, usize, &str, usize), Line<'_>> = BTreeMap::new();
        for (number, one) in matches.iter().enumerate() {
            let (Some(rule), Some(event)) = (self.rules.rules.get(one.rule.0 as usize), events.get(one.position))
            else {
                continue;
            };
            if rule.is_alerting {
                let index = indexes.get(one.position).copied().unwrap_or_default();
                lines.insert(
                    (one.position, 0, &rule.meta.id, number),
                    Line::Match { meta: &rule.meta, one, event, index },
                );
            }
        }
        for (number, one) in fired.iter().enumerate() {
            let Some(correlation) = self.rules.correlations.get(one.correlation.0 as usize) else { continue };
            if correlation.is_alerting {
                let line = Line::Correlation { meta: &correlation.meta, kind: kind_name(&correlation.kind), one };
                lines.insert((one.position, 1, &correlation.meta.id, number), line);
            }
        }
        self.counts.matches += lines.len();
        for line in lines.values() {
            match self.format {
                DetectFormat::Summary => {}
                DetectFormat::Jsonl => writeln!(out, "{}", self.json(line))?,
                DetectFormat::Csv => writeln!(out, "{}", self.csv(line))?,
                DetectFormat::Table => writeln!(out, "{}", self.row(line))?,
            }
        }
        Ok(())
    }

    fn file_name(&self) -> &str {
        self.files.last().map_or("", String::as_str)
    }

    fn json(&self, line: &Line<'_>) -> Value {
        let meta = line.meta();
        let mut map = Map::new();
        map.insert(
            "rule".into(),
            json!({"id": meta.id, "title": meta.title, "level": meta.level.name(), "tags": meta.tags}),
        );
        match line {
            Line::Match { event, index, .. } => {
                map.insert("file".into(), json!(self.file_name()));
                map.insert("index".into(), json!(index));
                if let Some(record_id) = event.get(Field::WINLOG_RECORD_ID) {
                    map.insert("record_id".into(), record_id.as_long().map_or(value_to_json(record_id), Value::from));
                }
                map.insert("timestamp".into(), json!(event.timestamp.to_string()));
                map.insert("fields".into(), self.fields(line));
            }
            Line::Correlation { kind, one, .. } => {
                let group: Map<String, Value> =
                    one.group.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                let events: Vec<Value> = one.events.iter().map(|seq| self.place(*seq)).collect();
                map.insert("timestamp".into(), json!(one.end.to_string()));
                map.insert(
                    "correlation".into(),
                    json!({
                        "type": kind, "group": group, "count": one.count,
                        "start": one.start.to_string(), "end": one.end.to_string(), "events": events,
                    }),
                );
            }
        }
        Value::Object(map)
    }

    fn place(&self, seq: Seq) -> Value {
        let place = usize::try_from(seq.0).ok().and_then(|at| self.places.get(at));
        let (file, index) = place.copied().unwrap_or_default();
        json!({"file": self.files.get(file as usize), "index": index})
    }

    fn fields(&self, line: &Line<'_>) -> Value {
        match line {
            Line::Match { one, event, .. } => matched_fields(&self.rules, one.rule, event)
                .into_iter()
                .map(|(name, value)| (name, value_to_json(&value)))
                .collect::<Map<_, _>>()
                .into(),
            Line::Correlation { one, .. } => {
                one.group.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>().into()
            }
        }
    }

    fn csv(&self, line: &Line<'_>) -> String {
        let meta = line.meta();
        let (time, index) = line.time_and_index();
        let fields = self.fields(line).to_string();
        let cells = [&time, meta.level.name(), &meta.title, &meta.id, self.file_name(), &index, &fields];
        cells.map(output::csv).join(",")
    }

    fn row(&self, line: &Line<'_>) -> String {
        let meta = line.meta();
        let (time, index) = line.time_and_index();
        let file = self.file_name().rsplit('/').next().unwrap_or_default();
        let title = output::cut(&meta.title, 50);
        format!("{time:<27} {:<13} {title:<50} {}:{index}", meta.level.name(), output::cut(file, 40))
    }

    fn summary(&self) -> Value {
        let counts = &self.counts;
        json!({
            "events": counts.events, "matches": counts.matches,
            "rules_loaded": self.rules.rules.len() + self.rules.correlations.len(),
            "rules_failed": self.rules.errors.len(), "rules_retired": self.rules.retired.len(),
            "seconds": counts.seconds, "load_seconds": counts.load_seconds, "dead_letters": counts.dead_letters,
        })
    }
}

/// A line to print.
enum Line<'a> {
    Match { meta: &'a Meta, one: &'a Match, event: &'a Event, index: u64 },
    Correlation { meta: &'a Meta, kind: &'static str, one: &'a CorrelationMatch },
}

impl Line<'_> {
    fn meta(&self) -> &Meta {
        match self {
            Line::Match { meta, .. } | Line::Correlation { meta, .. } => meta,
        }
    }

    fn time_and_index(&self) -> (String, String) {
        match self {
            Line::Match { event, index, .. } => (event.timestamp.to_string(), index.to_string()),
            Line::Correlation { one, .. } => (one.end.to_string(), String::new()),
        }
    }
}

/// Sigma's word for a kind of correlation.
pub fn kind_name(kind: &CorrelationKind) -> &'static str {
    match kind {
        CorrelationKind::EventCount(_) => "event_count",
        CorrelationKind::ValueCount(..) => "value_count",
        CorrelationKind::Temporal(_) | CorrelationKind::Extended(_) => "temporal",
        CorrelationKind::TemporalOrdered(_) | CorrelationKind::ExtendedOrdered(_) => "temporal_ordered",
        CorrelationKind::ValueSum(..) => "value_sum",
        CorrelationKind::ValueAvg(..) => "value_avg",
        CorrelationKind::ValuePercentile(..) => "value_percentile",
        CorrelationKind::ValueMedian(..) => "value_median",
    }
}
