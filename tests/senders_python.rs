//! Client libraries of Python against the real binary, with `kill -9` in the middle: Elastic's and OpenSearch's over
//! `_bulk`, splunk-hec-handler, the OpenTelemetry SDK. What they run stands in `tests/clients`.
//!
//! They come from the Python registry, into the build folder. Where it cannot be reached the tests say
//! `skipped: no Python clients`.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::senders::{Place, check_none_doubled};
use crate::support::python;

/// Starts a client with what it needs to know.
fn client(python: &Path, script: &str, place: &Place, first: &[&str]) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let (port, lines) = (place.port.to_string(), place.lines.to_string());
    let mut command = Command::new(python);
    command.arg(script).args(first).args([port.as_str(), &place.token, &lines]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for its end; it must have been satisfied.
fn finish(client: Child) -> String {
    let output = client.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{}",
        output.status,
        errors.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    );
    String::from_utf8(output.stdout).unwrap()
}

fn bulk(package: &str) {
    let Some(python) = python::interpreter() else { return };
    let place = Place::new("elastic");
    let server = place.start();
    let client = client(&python, "bulk.py", &place, &[package]);
    let server = place.kill_twice(server);
    eprintln!("{package}: {} were stored before their answer got lost", finish(client).trim());
    check_none_doubled(&place.wait_for_all());
    server.stop();
}

#[test]
fn elasticsearch_py_loses_and_doubles_nothing_when_the_server_is_killed() {
    bulk("elasticsearch");
}

#[test]
fn opensearch_py_loses_and_doubles_nothing_when_the_server_is_killed() {
    bulk("opensearchpy");
}

/// What has no ids is known by its place when it comes again as it was; `is_same` = this client sends it so.
fn without_ids(script: &str, lines: usize, is_same: bool) {
    let Some(python) = python::interpreter() else { return };
    let mut place = Place::with_flag("--http");
    place.lines = lines;
    let server = place.start();
    let client = client(&python, script, &place, &[]);
    let server = place.kill_twice(server);
    finish(client);
    let stored = place.wait_for_all();
    assert_eq!(stored.len(), lines);
    if is_same {
        check_none_doubled(&stored);
    }
    server.stop();
}

#[test]
fn splunk_hec_handler_loses_nothing_when_the_server_is_killed() {
    // It sends each record by itself and waits until it is durable. What failed is logged anew, as a record of another
    // time: nobody can know it again.
    without_ids("hec.py", 500, false);
}

#[test]
fn the_otlp_exporter_loses_and_doubles_nothing_when_the_server_is_killed() {
    without_ids("otlp.py", 8_000, true);
}
