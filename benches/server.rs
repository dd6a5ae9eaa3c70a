//! A real server: the whole walk over TCP beside its peers, and cold start.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{event_count, input, report};

/// A process that is stopped when it is no longer needed.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    pub fn new(child: Child) -> Running {
        Running(child)
    }

    /// CPU seconds so far (`/proc/PID/stat`, ticks of 10 ms).
    pub fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let after = stat.rsplit_once(')').unwrap().1;
        after.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    /// CPU seconds of its threads of this name, as [`Running::cpu_s`]; those that have ended are not in it.
    pub fn threads_cpu_s(&self, name: &str) -> f64 {
        let of_thread = |folder: std::fs::DirEntry| {
            let comm = std::fs::read_to_string(folder.path().join("comm")).ok()?;
            let stat = std::fs::read_to_string(folder.path().join("stat")).ok()?;
            let ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
            comm.starts_with(name).then(|| ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0)
        };
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).into_iter().flatten();
        threads.filter_map(Result::ok).filter_map(of_thread).sum()
    }

    pub fn memory_mb(&self, key: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

/// The server under test: `NHATLE_BENCH_BINARY`, or the one built with the bench.
pub fn program() -> PathBuf {
    std::env::var_os("NHATLE_BENCH_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_nhatle")), PathBuf::from)
}

fn serve(data: &Path) -> (Running, String, String, f64) {
    let rules = input::corpus().map(|folder| ["--rules".into(), folder.join("sigma/rules").into_os_string()]);
    serve_with(data, &rules.map(Vec::from).unwrap_or_default())
}

/// Starts the server; returns it, where its pages and its syslog listen, and how many seconds it took.
pub fn serve_with(data: &Path, more: &[OsString]) -> (Running, String, String, f64) {
    let (running, ready, took) = serve_ready(data, more);
    (running, listens(&ready, "http="), listens(&ready, "syslog_tcp="), took)
}

/// Where something listens, by its word in the line that says the server is ready.
pub fn listens(ready: &str, key: &str) -> String {
    ready.split(' ').find_map(|word| word.strip_prefix(key)).unwrap().to_owned()
}

/// Starts the server; returns it, the line that says it is ready, and how many seconds it took.
pub fn serve_ready(data: &Path, more: &[OsString]) -> (Running, String, f64) {
    let mut command = Command::new(program());
    command.args(["serve", "--http", "127.0.0.1:0", "--syslog-udp", "127.0.0.1:0", "--syslog-tcp", "127.0.0.1:0"]);
    command.arg("--data").arg(data).args(more).stdout(Stdio::piped()).stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.map(Result::unwrap).find(|line| line.starts_with("ready")).unwrap();
    let took = began.elapsed().as_secs_f64();
    (Running(child), ready, took)
}

pub fn metric(http: &str, name: &str) -> f64 {
    let mut stream = TcpStream::connect(http).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// The lines of the text formats (no record of the generator has a line break), framed by line feeds.
pub fn stream_of(count: usize) -> Vec<u8> {
    let day: Vec<_> = input::day().into_iter().filter(|record| record.bytes.starts_with(b"<")).collect();
    day.iter().cycle().take(count).flat_map(|record| record.bytes.iter().copied().chain([b'\n'])).collect()
}

fn send(address: &str, count: usize) {
    let bytes = stream_of(count / 4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| TcpStream::connect(address).unwrap().write_all(&bytes).unwrap());
        }
    });
}

pub fn walk() {
    let count = event_count() / 4 * 4;
    let folder = tempfile::tempdir().unwrap();
    let (server, http, tcp, _) = serve(folder.path());
    let (began, cpu) = (Instant::now(), server.cpu_s());
    send(&tcp, count);
    let stored = || metric(&http, "nhatle_events_stored_total") + metric(&http, "nhatle_dead_letters_total");
    while stored() < count as f64 && began.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let (took, stored) = (began.elapsed().as_secs_f64(), stored());
    report("walk", "nhatle: stored", "events", vec![stored]);
    report("walk", "nhatle: durable", "events/s", vec![stored / took]);
    let mut last = -1.0;
    while server.cpu_s() - last > 0.05 {
        last = server.cpu_s();
        std::thread::sleep(Duration::from_secs(1));
    }
    report("walk", "nhatle: CPU, detected and sealed", "us/event", vec![(server.cpu_s() - cpu) * 1e6 / stored]);
    for stage in ["parse", "append", "detect", "seal"] {
        let name = format!("nhatle_{stage}_nanoseconds_total");
        report("walk", &format!("nhatle: stage {stage}, wall"), "ns/event", vec![metric(&http, &name) / stored]);
    }
    for name in ["matches", "alerts"] {
        report("walk", &format!("nhatle: {name}"), "", vec![metric(&http, &format!("nhatle_{name}_total"))]);
    }
    report("walk", "nhatle: peak memory", "MiB", vec![server.memory_mb("VmHWM")]);
    drop(server);
    if let Some(peers) = std::env::var_os("NHATLE_PEERS").map(PathBuf::from) {
        peer(&peers, "rsyslog", count);
        peer(&peers, "syslog-ng", count);
    }
}

/// One peer writing the header it parsed as JSON into a file, without sync.
fn peer(peers: &Path, name: &str, count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (out, config) = (folder.path().join("out"), folder.path().join("conf"));
    let place = |file: &str| folder.path().join(file).display().to_string();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let template = include_str!("rsyslog.conf");
    let mut command = if name == "rsyslog" {
        std::fs::write(&config, template.replace("@PORT@", &port.to_string()).replace("@OUT@", &place("out"))).unwrap();
        let mut command = Command::new(peers.join("rsys/usr/sbin/rsyslogd"));
        command.args(["-n", "-i", &place("pid"), "-M"]).arg(peers.join("rsys/usr/lib/x86_64-linux-gnu/rsyslog"));
        command
    } else {
        let template = include_str!("syslog-ng.conf");
        std::fs::write(&config, template.replace("@PORT@", &port.to_string()).replace("@OUT@", &place("out"))).unwrap();
        let library = peers.join("sng/usr/lib/syslog-ng");
        let mut command = Command::new(peers.join("sng/usr/sbin/syslog-ng"));
        command.args(["-F", "-R", &place("state"), "-c", &place("ctl"), "-p", &place("pid"), "--no-caps"]);
        command.arg("--module-path").arg(library.join("3.38"));
        let paths = format!("{}:{}/3.38", library.display(), library.display());
        command.env("LD_LIBRARY_PATH", format!("{paths}:{}", peers.join("lib").display()));
        command
    };
    if name == "rsyslog" {
        command.env("LD_LIBRARY_PATH", peers.join("lib"));
    }
    command.arg("-f").arg(&config).stdout(Stdio::null());
    let running = Running(command.spawn().unwrap());
    let address = format!("127.0.0.1:{port}");
    let tries = (0..100).find(|_| {
        std::thread::sleep(Duration::from_millis(50));
        TcpStream::connect(&address).is_ok()
    });
    if tries.is_none() {
        eprintln!("walk: {name} did not start");
        return;
    }
    let (began, cpu) = (Instant::now(), running.cpu_s());
    send(&address, count);
    let (mut bytes, mut still) = (0, 0);
    let mut took = began.elapsed();
    while still < 10 {
        std::thread::sleep(Duration::from_millis(200));
        let now = std::fs::metadata(&out).map_or(0, |meta| meta.len());
        still = if now == bytes { still + 1 } else { 0 };
        if now != bytes {
            took = began.elapsed();
        }
        bytes = now;
    }
    let lines = std::fs::read(&out).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() as f64;
    report("walk", &format!("{name}: lines in the file"), "events", vec![lines]);
    report("walk", &format!("{name}: in the file"), "events/s", vec![lines / took.as_secs_f64()]);
    report("walk", &format!("{name}: CPU"), "us/event", vec![(running.cpu_s() - cpu) * 1e6 / lines]);
    report("walk", &format!("{name}: peak memory"), "MiB", vec![running.memory_mb("VmHWM")]);
}

pub fn start() {
    let folder = tempfile::tempdir().unwrap();
    let (mut times, mut cpu, mut idle) = (vec![], vec![], vec![]);
    for _ in 0..3 {
        let (server, _, _, took) = serve(folder.path());
        times.push(took);
        cpu.push(server.cpu_s());
        std::thread::sleep(Duration::from_secs(3));
        idle.push(server.memory_mb("VmRSS"));
    }
    report("start", "to ready, empty store", "s", times);
    report("start", "CPU to ready", "s", cpu);
    report("start", "memory 3 s later", "MiB", idle);
}
