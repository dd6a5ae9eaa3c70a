//! `nhatle search`: stored events, newest first, from a folder or from a running server.
//!
//! A folder is read as it is, also while a server has it open. The query line is that of the search page;
//! a mistake in it is shown with a caret, exit code 2.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nhatle_event::json::{Shape, stored_to_json};
use nhatle_event::{Clock, SystemClock, Timestamp};
use nhatle_storage::query::hint::hints;
use nhatle_storage::query::{Control, Page, Query, Wanted};
use nhatle_storage::{Config, Dataset, Disk, OsDisk, Store};
use serde_json::Value;

use super::{End, UsageError, output};
use crate::cli::{RowFormat, SearchArgs};

/// How many hits are fetched at once.
const PAGE_HITS: usize = 5_000;
/// What a server may answer at most.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// The columns of `table` and `csv`.
const COLUMNS: &[&str] = &["@timestamp", "host.name", "event.dataset", "source.ip", "user.name", "message"];

/// Runs the command.
///
/// # Errors
/// The query or a time is no such thing, the store cannot be read, the server does not answer.
pub fn run(args: &SearchArgs) -> anyhow::Result<End> {
    let (from, to) = (time(args.from.as_deref(), "--from")?, time(args.to.as_deref(), "--to")?);
    if args.format == RowFormat::Csv && !args.count {
        output::line(&COLUMNS.join(","))?;
    }
    match &args.url {
        Some(url) => remote(args, url, from, to),
        None => local(args, from, to),
    }
}

fn time(text: Option<&str>, flag: &str) -> anyhow::Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    let at = Timestamp::parse(text, 0);
    Ok(Some(at.ok_or_else(|| UsageError(format!("{flag}: no RFC 3339 time: {text}")))?))
}

fn local(args: &SearchArgs, from: Option<Timestamp>, to: Option<Timestamp>) -> anyhow::Result<End> {
    let query = Query::parse(&args.query)
        .map_err(|error| {
            let meant = error.suggestion.as_deref();
            UsageError(caret(&args.query, &error.reason, (error.offset, error.length), meant))
        })?
        .in_datasets(&[Dataset::Events, Dataset::DeadLetters, Dataset::Alerts])
        .between(from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX));
    if !args.data.data.is_dir() {
        return Err(UsageError(format!("{} is no folder", args.data.data.display())).into());
    }
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(&args.data.data)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Store::open_read_only(disk, Config::default(), clock).context("open store")?;
    let view = store.snapshot();
    if args.count {
        output::line(&view.count_matches(&query)?.to_string())?;
        return Ok(End::Done);
    }
    if args.explain {
        let wanted = Wanted::hits(Page::first(args.limit));
        let survey = view.survey(&query, &wanted, &Control::default(), &mut |_part| {})?;
        explained(args.format, &serde_json::to_value(&survey.explain)?)?;
        return Ok(End::Done);
    }
    let mut out = output::buffered();
    let mut is_none = true;
    let mut left = args.limit;
    let mut page = Page::first(left.min(PAGE_HITS));
    while left > 0 {
        let hits = view.search(&query, &page)?;
        for stored in &hits.hits {
            print(&mut out, args.format, &stored_to_json(stored, Shape::Dotted))?;
        }
        is_none &= hits.hits.is_empty();
        left = left.saturating_sub(hits.hits.len());
        match hits.cursor {
            Some(cursor) => page = Page::first(left.min(PAGE_HITS)).behind(cursor),
            None => break,
        }
    }
    out.flush()?;
    if is_none && args.limit > 0 {
        for hint in hints(&args.query) {
            let place = (hint.offset, hint.length);
            output::say(&caret(&args.query, "nothing found; did you mean", place, Some(&hint.line)));
        }
    }
    Ok(End::Done)
}

/// Prints what a search did: as it is, or as a table of its numbers.
fn explained(format: RowFormat, explain: &Value) -> anyhow::Result<()> {
    if format == RowFormat::Jsonl {
        return Ok(output::line(&explain.to_string())?);
    }
    let mut out = output::buffered();
    writeln!(out, "query  {}", explain["query"].as_str().unwrap_or_default())?;
    for test in explain["tests"].as_array().into_iter().flatten() {
        let number = |name: &str| test[name].as_u64().unwrap_or(0);
        writeln!(
            out,
            "test   {}  by {}: asked of {} segments, none in {}, {} rows may pass, {} surely",
            test["test"].as_str().unwrap_or_default(),
            test["how"].as_str().unwrap_or_default().replace('_', " "),
            number("segments_asked"),
            number("segments_without"),
            number("rows"),
            number("rows_sure"),
        )?;
    }
    for section in ["segments", "rows", "read", "time"] {
        for (name, number) in explain[section].as_object().into_iter().flatten() {
            writeln!(out, "{section:<9}{:<20}{number:>14}", name.replace('_', " "))?;
        }
    }
    Ok(out.flush()?)
}

fn print(out: &mut impl Write, format: RowFormat, row: &Value) -> std::io::Result<()> {
    let cell = |name: &&str| match &row[*name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match format {
        RowFormat::Jsonl => writeln!(out, "{row}"),
        RowFormat::Csv => {
            writeln!(out, "{}", COLUMNS.iter().map(|name| output::csv(&cell(name))).collect::<Vec<_>>().join(","))
        }
        RowFormat::Table => {
            let shown = |column: usize| output::cell(&cell(&COLUMNS[column]));
            let [at, host, dataset, source, user] = [0, 1, 2, 3, 4].map(shown);
            let message = output::cut(&cell(&COLUMNS[5]), 100);
            writeln!(out, "{at:<27} {host:<16} {dataset:<16} {source:<15} {user:<14} {message}")
        }
    }
}

/// The query with a caret under what is wrong, and what was probably meant.
fn caret(query: &str, reason: &str, (offset, length): (usize, usize), meant: Option<&str>) -> String {
    let before = query.get(..offset).unwrap_or(query).chars().count();
    let marked = query.get(offset..offset.saturating_add(length)).map_or(1, |text| text.chars().count().max(1));
    let meant = meant.map(|meant| format!("\n  perhaps: {meant}")).unwrap_or_default();
    format!("{reason}\n  {query}\n  {}{}{meant}", " ".repeat(before), "^".repeat(marked))
}

/// Asks a running server. Only plain HTTP: TLS stands in front of it, and a tunnel reaches it.
fn remote(args: &SearchArgs, url: &str, from: Option<Timestamp>, to: Option<Timestamp>) -> anyhow::Result<End> {
    let host = url
        .trim_end_matches('/')
        .strip_prefix("http://")
        .ok_or_else(|| UsageError(format!("--url: {url}: only http:// addresses are built yet")))?;
    let mut out = output::buffered();
    let (mut left, mut cursor) = (args.limit, String::new());
    loop {
        let limit = if args.count { 1 } else { left.min(500) };
        let mut path = format!("/api/v1/search?q={}&limit={limit}", escape(&args.query));
        for (name, at) in [("from", from), ("to", to)] {
            if let Some(at) = at {
                path.push_str(&format!("&{name}={}", escape(&at.to_string())));
            }
        }
        if args.explain {
            path.push_str("&explain=1");
        }
        if !cursor.is_empty() {
            path.push_str(&format!("&cursor={}", escape(&cursor)));
        }
        let answer = get(host, &path, args.token.as_deref().unwrap_or_default(), &args.query)?;
        if args.count {
            writeln!(out, "{}", answer["total"])?;
            break;
        }
        if args.explain {
            explained(args.format, &answer["explain"])?;
            break;
        }
        let hits = answer["hits"].as_array().cloned().unwrap_or_default();
        for hit in &hits {
            print(&mut out, args.format, hit)?;
        }
        if hits.is_empty() && cursor.is_empty() {
            for hint in answer["hints"].as_array().into_iter().flatten() {
                let number = |name: &str| hint[name].as_u64().and_then(|one| usize::try_from(one).ok()).unwrap_or(0);
                let place = (number("offset"), number("length"));
                output::say(&caret(&args.query, "nothing found; did you mean", place, hint["line"].as_str()));
            }
        }
        left = left.saturating_sub(hits.len());
        cursor = answer["cursor"].as_str().unwrap_or_default().to_owned();
        if cursor.is_empty() || left == 0 {
            break;
        }
    }
    out.flush()?;
    Ok(End::Done)
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn get(host: &str, path: &str, token: &str, query: &str) -> anyhow::Result<Value> {
    let mut stream = TcpStream::connect(host).with_context(|| format!("connect to {host}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("read the server's answer")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    let value: Value = serde_json::from_str(body).with_context(|| format!("read the server's answer ({status})"))?;
    if status != "200" {
        let error = &value["error"];
        let detail = &error["detail"];
        if let (Some(reason), Some(offset)) = (detail["message"].as_str(), detail["offset"].as_u64()) {
            let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            let place = (number(offset), number(detail["length"].as_u64().unwrap_or(0)));
            return Err(UsageError(caret(query, reason, place, detail["suggestion"].as_str())).into());
        }
        let message = error["message"].as_str().unwrap_or("no reason given").to_owned();
        return Err(UsageError(format!("the server answers {status}: {message}")).into());
    }
    Ok(value)
}
