//! What end-to-end tests share: a server process, a small HTTP client, the corpus, temporary folders.

pub mod debian;
pub mod ports;
pub mod python;
pub mod s3;
#[allow(dead_code, reason = "tests of the storage use all of it")]
pub mod tsa;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// So much of what a server says on standard error is kept.
const ERRORS_BYTES_MAX: usize = 1 << 20;

/// The binary under test.
pub const NHATLE: &str = env!("CARGO_BIN_EXE_nhatle");

/// The corpus of real logs, or `None` with a line that says so.
pub fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = match std::env::var_os("NHATLE_CORPUS") {
        Some(folder) => root.join(folder),
        None => root.join("../shared/data"),
    };
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no corpus");
    None
}

/// How long is waited for what must come. A test that passes does not wait for it; one that fails says so well before
/// the test runner ends it. No promise of the program: where an answer in time is promised, the test has a bound of its own.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> Output {
    Command::new(NHATLE).args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs the binary to its end and returns what it printed; it must have exited with 0.
pub fn stdout(args: &[&str]) -> String {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nhatle {args:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A running `nhatle serve`.
pub struct Server {
    child: Child,
    /// Where pages and the API listen.
    pub http: SocketAddr,
    /// Where syslog over TCP listens.
    pub syslog_tcp: SocketAddr,
    /// The line with which it said that it is ready.
    pub ready: String,
    /// The lines it printed before it was ready: among them, on a first start, the administrator's link.
    pub greeting: Vec<String>,
    errors: Arc<Mutex<String>>,
}

impl Server {
    /// As [`Server::start`], with the sentinel off: for days of the past, whose sources it would say have wrong clocks.
    pub fn start_without_sentinel(data: &Path, more: &[&str]) -> Server {
        let config = data.with_extension("toml");
        std::fs::write(&config, "[sentinel]\nenabled = false\n").unwrap();
        Server::start(data, &[&["--config", config.to_str().unwrap()], more].concat())
    }

    /// Starts a server on free loopback ports and waits until it says it is ready.
    pub fn start(data: &Path, more: &[&str]) -> Server {
        Server::try_start(data, more).unwrap_or_else(|said| panic!("the server ended before it was ready: {said}"))
    }

    /// As [`Server::start`], with these variables in its environment.
    pub fn start_in(data: &Path, more: &[&str], environment: &[(String, String)]) -> Server {
        let started = Server::try_start_in(data, more, environment);
        started.unwrap_or_else(|said| panic!("the server ended before it was ready: {said}"))
    }

    /// As [`Server::start`]; where it ended before it was ready, what it said.
    pub fn try_start(data: &Path, more: &[&str]) -> Result<Server, String> {
        Server::try_start_in(data, more, &[])
    }

    fn try_start_in(data: &Path, more: &[&str], environment: &[(String, String)]) -> Result<Server, String> {
        let free = ["--http", "--syslog-tcp", "--syslog-udp"].map(|flag| (flag, "127.0.0.1:0"));
        let mut child = Command::new(NHATLE)
            .args(["serve", "--data"])
            .arg(data)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .args(free.iter().filter(|(flag, _)| !more.contains(flag)).flat_map(|(flag, at)| [*flag, *at]))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors: Arc<Mutex<String>> = Arc::default();
        let (kept, from) = (errors.clone(), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in from.lines().map_while(Result::ok) {
                let mut errors = kept.lock().unwrap();
                if errors.len() < ERRORS_BYTES_MAX {
                    errors.push_str(&line);
                    errors.push('\n');
                }
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = Vec::new();
        let ready = loop {
            match lines.next() {
                Some(Ok(line)) if line.starts_with("ready ") => break line,
                Some(Ok(line)) => greeting.push(line),
                _ => {
                    drop(child.wait());
                    // What it said last may still be on its way through the pipe.
                    std::thread::sleep(Duration::from_millis(100));
                    return Err(format!("{greeting:?}\n{}", errors.lock().unwrap()));
                }
            }
        };
        let address = |key: &str| {
            let word = ready.split_whitespace().find_map(|word| word.strip_prefix(key)).unwrap();
            word.parse().unwrap()
        };
        // Somebody has to read on, or a full pipe would stop the server.
        let (http, syslog_tcp) = (address("http="), address("syslog_tcp="));
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Server { child, http, syslog_tcp, ready, greeting, errors })
    }

    /// Where the input of this name listens.
    pub fn address(&self, name: &str) -> SocketAddr {
        let word = self.ready.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        word.unwrap_or_else(|| panic!("no {name} in {}", self.ready)).parse().unwrap()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, then waits for it to drain; it must exit with 0.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "the server did not exit with 0");
    }

    /// What it wrote to standard error so far.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that failed leaves it running; one that stopped it has nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, as received.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One request on a connection of its own. An `Err` is a connection that broke: no answer was given.
pub fn request(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    // A server that refuses a body may answer and close before all of it is sent: the answer counts.
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    // Not every server closes because it was asked to: chromedriver does not.
    while !is_whole(&bytes) {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            Err(error) => return sent.and(Err(error)),
        }
    }
    let answer = parse_answer(&bytes);
    answer.map_or_else(|| sent.and(Err(std::io::Error::other("no whole answer"))), Ok)
}

/// Whether an answer that says its length is all there.
fn is_whole(bytes: &[u8]) -> bool {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(&[][..], |end| &bytes[..end]);
    String::from_utf8_lossy(head).to_lowercase().contains("\ncontent-length:") && parse_answer(bytes).is_some()
}

fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let rest = &bytes[end + 4..];
    let lower = head.to_lowercase();
    let length: Option<usize> =
        lower.lines().find_map(|line| line.strip_prefix("content-length:")).and_then(|text| text.trim().parse().ok());
    let body = match length {
        Some(length) => rest.get(..length)?.to_vec(),
        None if lower.contains("transfer-encoding: chunked") => dechunk(rest)?,
        None => rest.to_vec(),
    };
    Some(Answer { status, head, body: String::from_utf8_lossy(&body).into_owned() })
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?.trim(), 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// Makes an access token.
pub fn token(data: &Path, name: &str, role: &str, unit: Option<&str>) -> String {
    let data = data.to_str().unwrap();
    let mut args = vec!["token", "add", name, "--role", role, "--data", data];
    if let Some(unit) = unit {
        args.extend(["--unit", unit]);
    }
    stdout(&args).trim().to_owned()
}

/// Waits until `check` holds, at most `limit`.
pub fn wait_for(what: &str, limit: Duration, mut check: impl FnMut() -> bool) {
    let began = Instant::now();
    while !check() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
