//! The command's end of the handover: asks, sends, and hears until the end.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nhatle_collector::listen::file::{FileError, STANDARD_INPUT, modified};
use serde_json::Value;

use super::{Ask, Counts, Next, Told, connect, files, read_line, write_line};
use crate::command::{UsageError, output};

/// So long a server that is starting is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What came of it.
pub struct Done {
    /// What the server tells at the end.
    pub value: Value,
    /// How many files are damaged or could not be read.
    pub problems: usize,
}

/// Asks the server that has this folder, and waits for the end.
///
/// # Errors
/// Nobody listens, it is refused, or the server ends on the way.
pub fn ask(data: &Path, ask: &Ask) -> anyhow::Result<Value> {
    let mut stream = open(data)?;
    // Where it is gone already, hearing says so.
    drop(write_line(&mut stream, ask));
    Ok(hear(stream)?.value)
}

/// Asks for an import, sends the files, and waits for the end.
///
/// # Errors
/// As [`ask`]; it says how much is stored.
pub fn import(data: &Path, ask: &Ask, files: &[PathBuf]) -> anyhow::Result<Done> {
    let mut stream = open(data)?;
    let hearing = stream.try_clone()?;
    let heard = std::thread::Builder::new().name("hear".to_owned()).spawn(move || hear(hearing))?;
    // Whoever does not take what is sent says why, or is gone: hearing tells either.
    let sent = send_all(&mut stream, ask, files);
    let mut done = heard.join().map_err(|_panic| anyhow::anyhow!("what the server told was not understood"))??;
    done.problems += sent.context("the server took not all of it")?;
    Ok(done)
}

fn open(data: &Path) -> anyhow::Result<UnixStream> {
    let began = Instant::now();
    loop {
        match connect(data) {
            Ok(stream) => return Ok(stream),
            Err(_) if began.elapsed() < PATIENCE => std::thread::sleep(LOOK_INTERVAL),
            // Not as a cause: a pipe that is broken is no end of ours.
            Err(error) => bail!(
                "another process has {} and takes no commands ({error}): a server that starts, ends or is of before, or an import; try again when it is done",
                data.display()
            ),
        }
    }
}

/// Sends everything; how many files could not be read.
fn send_all(stream: &mut UnixStream, ask: &Ask, files: &[PathBuf]) -> io::Result<usize> {
    write_line(stream, ask)?;
    let mut problems = 0;
    for path in files {
        let mut tell = |source: io::Error| {
            problems += 1;
            output::say(&format!("{:#}", anyhow::Error::from(FileError::Read { path: path.clone(), source })));
        };
        let (mut from, at): (Box<dyn Read>, _) = match path.as_os_str() == STANDARD_INPUT {
            true => (Box::new(io::stdin()), None),
            false => match File::open(path) {
                Ok(file) => {
                    let at = modified(&file);
                    (Box::new(file), at)
                }
                Err(error) => {
                    tell(error);
                    continue;
                }
            },
        };
        let modified_ns = at.map(|at| at.0);
        write_line(stream, &Next::File { path: path.to_string_lossy().into_owned(), modified_ns })?;
        if let Err(error) = files::send(&mut from, stream)? {
            tell(error);
        }
    }
    write_line(stream, &Next::End {})?;
    Ok(problems)
}

fn hear(stream: UnixStream) -> anyhow::Result<Done> {
    let mut from = BufReader::new(stream);
    let (mut counts, mut is_waiting, mut problems) = (None, false, 0);
    let so_far = |counts: Option<Counts>| match counts {
        None => String::new(),
        Some(Counts { stored, dead_lettered, .. }) => format!(
            "; {stored} records are stored and {dead_lettered} are dead letters, perhaps some more that were on their way: import only what is missing"
        ),
    };
    loop {
        match read_line::<Told>(&mut from) {
            Ok(Some(Told::Said(text))) => output::say(&text),
            Ok(Some(Told::Problem(text))) => {
                problems += 1;
                output::say(&text);
            }
            Ok(Some(Told::Waits(why))) => {
                if !is_waiting {
                    output::say(&format!("waits for room: {why}"));
                }
                is_waiting = true;
            }
            Ok(Some(Told::Stored(now))) => {
                if is_waiting {
                    output::say("goes on");
                }
                (counts, is_waiting) = (Some(now), false);
            }
            Ok(Some(Told::Done(value))) => return Ok(Done { value, problems }),
            Ok(Some(Told::Refused(why))) => return Err(UsageError(why).into()),
            Ok(Some(Told::Failed(why))) => bail!("{why}{}", so_far(counts)),
            Ok(None) | Err(_) => bail!("the server is gone before it was done{}", so_far(counts)),
        }
    }
}
