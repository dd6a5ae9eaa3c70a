//! `nhatle detect`: rules over files, no store.
//!
//! In: rules and files of any form the collector reads. Out: one line for each match, in input order, then
//! rule id, or all of them in order of time; behind them what correlation rules found, in order of time
//! over all files together. Files are read side by side on all cores; what is printed does not depend on
//! how many there are. Memory is bounded by a chunk of events a thread and by the hits of correlations
//! ([`correlations::HITS_MAX`]).

mod correlations;
mod count;
mod finding;
mod hunt;
mod print;
mod timeline;
mod zone;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use nhatle_collector::listen::file::{FileOptions, files_below};
use nhatle_engine::detect::Detector;
use nhatle_event::{Clock, SystemClock, Timestamp};
use nhatle_rules::{Level, LoadOptions, Routing, RuleSet};
use serde_json::{Value, json};

pub use finding::kind_name;

use super::progress::Progress;
use super::{End, UsageError, output, parse, replay};
use crate::cli::DetectArgs;
use crate::config::{Rules, read_placeholders};
use crate::ruleset;
use correlations::Correlations;
use hunt::{Chunk, Hunt, Item, Seen, items};
use print::Printer;
use zone::Zone;

/// How many files that could not be read, and how many losses, are named at the end.
const UNREAD_SHOWN: usize = 20;
const LOSSES_SHOWN: usize = 100;

/// What was read and found.
#[derive(Debug, Default)]
struct Counts {
    files: usize,
    events: usize,
    /// Events that happened outside `--from` and `--to`.
    outside: usize,
    dead_letters: usize,
    /// Dead letters that are damage of an EVTX file.
    damage: usize,
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
    let (span, zone) = (span(args)?, Zone::parse(&args.zone)?);
    let began = Instant::now();
    let rules = load(args)?;
    for error in &rules.errors {
        output::say(&error.to_string());
    }
    let detector = Detector::new(rules.clone());
    let load_seconds = began.elapsed().as_secs_f64();
    let options =
        FileOptions { profile: parse::profile(args.source.as_deref())?, ..FileOptions::new(SystemClock.now()) };
    let items = items(files_below(&args.files)?);
    let scan = Instant::now();
    let hunt = Hunt { rules: &rules, detector: &detector, settings: parse::settings(), options, threads, span };
    let mut tally = Tally {
        counts: Counts { load_seconds, ..Counts::default() },
        correlations: Correlations::new(rules.clone()),
        printer: Printer::new(args.format, args.by_time, zone, open(args)?)?,
        progress: Progress::new(items.iter().map(Item::bytes)),
        unread: Vec::new(),
        losses: Vec::new(),
        level,
    };
    hunt.run(&items, |seen| tally.take(seen))?;
    let is_whole = tally.finish(&rules, scan)?;
    Ok(if rules.errors.is_empty() && is_whole { End::Done } else { End::Findings })
}

/// What was seen so far, and where it goes.
struct Tally {
    counts: Counts,
    correlations: Correlations,
    printer: Printer,
    progress: Progress,
    /// Files that could not be read to their end, and why.
    unread: Vec<String>,
    /// The first records that could not be parsed.
    losses: Vec<String>,
    /// The lowest level to print.
    level: Level,
}

impl Tally {
    fn take(&mut self, seen: Seen) -> anyhow::Result<()> {
        match seen {
            Seen::Chunk(chunk) => self.chunk(chunk)?,
            Seen::Unread(reason) => self.unread.push(reason),
            Seen::FileEnd => {
                self.counts.files += 1;
                self.progress.file();
            }
        }
        Ok(())
    }

    fn chunk(&mut self, chunk: Chunk) -> anyhow::Result<()> {
        let counts = &mut self.counts;
        counts.events += chunk.events;
        counts.outside += chunk.outside;
        counts.dead_letters += chunk.dead_letters;
        counts.damage += chunk.damage;
        let room = LOSSES_SHOWN.saturating_sub(self.losses.len());
        self.losses.extend(chunk.losses.into_iter().take(room));
        self.correlations.take(chunk.fed);
        for finding in chunk.findings.iter().filter(|finding| self.level <= finding.meta.level) {
            counts.matches += 1;
            self.printer.finding(finding)?;
        }
        self.progress.read(chunk.bytes, counts.events, counts.matches);
        Ok(())
    }

    /// Prints the rest; whether everything could be read.
    fn finish(mut self, rules: &RuleSet, scan: Instant) -> anyhow::Result<bool> {
        let level = self.level;
        for finding in self.correlations.finish().into_iter().filter(|finding| level <= finding.meta.level) {
            self.counts.matches += 1;
            self.printer.finding(&finding)?;
        }
        self.counts.seconds = scan.elapsed().as_secs_f64();
        drop(self.progress);
        self.printer.finish(&summary(rules, &self.counts))?;
        say_what_is_missing(&self.counts, &self.unread, &self.losses, self.correlations.dropped());
        Ok(self.unread.is_empty() && self.counts.damage == 0)
    }
}

/// The time asked for.
fn span(args: &DetectArgs) -> anyhow::Result<(Timestamp, Timestamp)> {
    let time =
        |text: &Option<String>, flag: &str, other| text.as_deref().map_or(Ok(other), |text| replay::time(text, flag));
    let span = (time(&args.from, "--from", Timestamp::MIN)?, time(&args.to, "--to", Timestamp::MAX)?);
    if span.1 <= span.0 {
        return Err(UsageError("--to is not after --from".to_owned()).into());
    }
    Ok(span)
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
        "damage": counts.damage, "outside": counts.outside,
    })
}

fn say_what_is_missing(counts: &Counts, unread: &[String], losses: &[String], dropped: u64) {
    let reasons: BTreeSet<&String> = unread.iter().collect();
    for reason in reasons.iter().take(UNREAD_SHOWN) {
        output::say(reason);
    }
    if UNREAD_SHOWN < reasons.len() {
        output::say(&format!("{} more files could not be read", reasons.len() - UNREAD_SHOWN));
    }
    losses.iter().for_each(|loss| output::say(loss));
    if counts.dead_letters > 0 {
        let (all, named) = (counts.dead_letters, losses.len());
        output::say(&match all.saturating_sub(named) {
            0 => format!("{all} records or parts of files could not be read"),
            more => format!("{all} records or parts of files could not be read; {more} of them are not named here"),
        });
    }
    if dropped > 0 {
        output::say(&format!(
            "{dropped} hits of correlation rules came too late or found no room, and were not counted"
        ));
    }
}
