//! `nhatle detect`: rules over files, no store.
//!
//! In: rules and files of any form the collector reads. Out: one line for each match, in input order, then
//! rule id, or all of them in order of time; behind them what correlation rules found, in order of time
//! over all files together. Files are read side by side on all cores; what is printed does not depend on
//! how many there are. Memory is bounded by a chunk of events a thread and by the hits of correlations
//! ([`correlations::HITS_MAX`]).

mod correlations;
mod finding;
mod hunt;
mod print;
mod timeline;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use nhatle_collector::listen::file::{FileOptions, files_below};
use nhatle_engine::detect::Detector;
use nhatle_event::{Clock, SystemClock};
use nhatle_rules::{Level, LoadOptions, Routing, RuleSet};
use serde_json::{Value, json};

pub use finding::kind_name;

use super::progress::Progress;
use super::{End, UsageError, output, parse};
use crate::cli::DetectArgs;
use crate::config::{Rules, read_placeholders};
use crate::ruleset;
use correlations::Correlations;
use hunt::{Hunt, Seen, items};
use print::Printer;

/// How many files that could not be read are named at the end.
const UNREAD_SHOWN: usize = 20;

/// What was read and found.
#[derive(Debug, Default)]
struct Counts {
    files: usize,
    events: usize,
    dead_letters: usize,
    matches: usize,
    seconds: f64,
    load_seconds: f64,
}

/// Runs the command.
///
/// # Errors
/// No rules were found, a folder cannot be listed, or the output cannot be written.
pub fn run(args: &DetectArgs) -> anyhow::Result<End> {
    let threads = threads(args.threads)?;
    let level = level(args.level.as_deref())?;
    let began = Instant::now();
    let rules = load(args)?;
    for error in &rules.errors {
        output::say(&error.to_string());
    }
    let detector = Detector::new(rules.clone());
    let mut counts = Counts { load_seconds: began.elapsed().as_secs_f64(), ..Counts::default() };
    let options =
        FileOptions { profile: parse::profile(args.source.as_deref())?, ..FileOptions::new(SystemClock.now()) };
    let items = items(files_below(&args.files)?);
    let scan = Instant::now();
    let hunt = Hunt { rules: &rules, detector: &detector, settings: parse::settings(), options, threads };
    let mut correlations = Correlations::new(rules.clone());
    let mut printer = Printer::new(args.format, args.by_time, open(args)?)?;
    let mut progress = Progress::new(items.len());
    let mut unread = Vec::new();
    let wanted = |of: Level| level <= of;
    hunt.run(&items, |seen| {
        match seen {
            Seen::Chunk(chunk) => {
                counts.events += chunk.events;
                counts.dead_letters += chunk.dead_letters;
                correlations.take(chunk.fed);
                for finding in chunk.findings.iter().filter(|finding| wanted(finding.meta.level)) {
                    counts.matches += 1;
                    printer.finding(finding)?;
                }
                progress.events(counts.events, counts.matches);
            }
            Seen::Unread(reason) => unread.push(reason),
            Seen::FileEnd => {
                counts.files += 1;
                progress.file();
            }
        }
        Ok(())
    })?;
    for finding in correlations.finish().into_iter().filter(|finding| wanted(finding.meta.level)) {
        counts.matches += 1;
        printer.finding(&finding)?;
    }
    counts.seconds = scan.elapsed().as_secs_f64();
    drop(progress);
    printer.finish(&summary(&rules, &counts))?;
    say_what_is_missing(&counts, &unread, correlations.dropped());
    Ok(if rules.errors.is_empty() && unread.is_empty() { End::Done } else { End::Findings })
}

fn threads(asked: Option<usize>) -> anyhow::Result<usize> {
    let Some(asked) = asked else { return Ok(std::thread::available_parallelism().map_or(1, usize::from)) };
    if asked == 0 {
        return Err(UsageError("--threads: at least one".to_owned()).into());
    }
    rayon::ThreadPoolBuilder::new().num_threads(asked).build_global()?;
    Ok(asked)
}

fn level(asked: Option<&str>) -> anyhow::Result<Level> {
    let Some(asked) = asked else { return Ok(Level::Informational) };
    let refusal = || UsageError(format!("--level: `{asked}` is none of informational, low, medium, high, critical"));
    Ok(Level::from_name(asked).ok_or_else(refusal)?)
}

fn load(args: &DetectArgs) -> anyhow::Result<Arc<RuleSet>> {
    let routing = if args.ignore_logsource { Routing::Ignored } else { Routing::ByLogSource };
    let placeholders = args.placeholders.as_deref().map(read_placeholders).transpose()?.unwrap_or_default();
    let options = LoadOptions { routing, placeholders, ..LoadOptions::default() };
    Ok(ruleset::load(&Rules::of(&args.rules), &options))
}

fn open(args: &DetectArgs) -> anyhow::Result<Box<dyn Write>> {
    let Some(path) = &args.output else { return Ok(Box::new(output::buffered())) };
    let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
    Ok(Box::new(BufWriter::with_capacity(1 << 16, file)))
}

fn summary(rules: &RuleSet, counts: &Counts) -> Value {
    json!({
        "files": counts.files, "events": counts.events, "matches": counts.matches,
        "rules_loaded": rules.rules.len() + rules.correlations.len(),
        "rules_failed": rules.errors.len(), "rules_retired": rules.retired.len(),
        "seconds": counts.seconds, "load_seconds": counts.load_seconds, "dead_letters": counts.dead_letters,
    })
}

fn say_what_is_missing(counts: &Counts, unread: &[String], dropped: u64) {
    let reasons: BTreeSet<&String> = unread.iter().collect();
    for reason in reasons.iter().take(UNREAD_SHOWN) {
        output::say(reason);
    }
    if UNREAD_SHOWN < reasons.len() {
        output::say(&format!("{} more files could not be read", reasons.len() - UNREAD_SHOWN));
    }
    if counts.dead_letters > 0 {
        output::say(&format!("{} records could not be parsed", counts.dead_letters));
    }
    if dropped > 0 {
        output::say(&format!(
            "{dropped} hits of correlation rules came too late or found no room, and were not counted"
        ));
    }
}
