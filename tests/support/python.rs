//! A Python of its own with the client libraries that tests send with, made below the build folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-clients");
    let (python, whole) = (folder.join("bin/python"), folder.join("whole"));
    // Each test is a process of its own; one of them makes it, the others wait.
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if whole.exists() || make(&folder, &python).is_some_and(|()| File::create(&whole).is_ok()) {
        return Some(python);
    }
    eprintln!("skipped: no Python clients");
    None
}

fn make(folder: &Path, python: &Path) -> Option<()> {
    let run = |command: &mut Command| {
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.ok().filter(std::process::ExitStatus::success)
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"];
    run(Command::new(python).args(install).args(PACKAGES))?;
    Some(())
}
