//! A Python of its own with the client libraries that tests send with, made below the build folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is compared with in SQL.
const DUCKDB: [&str; 1] = ["duckdb==2.0.1"];
/// Clients of PostgreSQL.
const POSTGRES: [&str; 3] = ["psycopg[binary]==3.3.9", "sqlalchemy==2.1.9", "pandas==3.1.1"];
/// What is installed.
const PACKAGES: [&str; 5] = [
    "elasticsearch==9.5.1",
    "opensearch-py==3.2.0",
    "splunk-hec-handler==1.2.0",
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
];

/// The interpreter; `None` where Python or the packages cannot be had, with a line that says so.
pub fn interpreter() -> Option<PathBuf> {
    of("python-clients", &PACKAGES)
}

/// The same with clients of PostgreSQL.
pub fn with_postgres() -> Option<PathBuf> {
    of("python-postgres", &POSTGRES)
}

/// The same with DuckDB.
pub fn with_duckdb() -> Option<PathBuf> {
    of("python-duckdb", &DUCKDB)
}

fn of(name: &str, packages: &[&str]) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (python, whole) = (folder.join("bin/python"), folder.join("whole"));
    // Each test is a process of its own; one of them makes it, the others wait.
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if whole.exists() || make(&folder, &python, packages).is_some_and(|()| File::create(&whole).is_ok()) {
        return Some(python);
    }
    eprintln!("skipped: no Python packages {packages:?}");
    None
}

fn make(folder: &Path, python: &Path, packages: &[&str]) -> Option<()> {
    let run = |command: &mut Command| {
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.ok().filter(std::process::ExitStatus::success)
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"];
    run(Command::new(python).args(install).args(packages))?;
    Some(())
}
