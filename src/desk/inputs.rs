//! What inputs have counted, for the API and for metrics; the configuration read again.
//!
//! In: the running inputs, the queue before the pipeline. Out: rows, Prometheus text. Promise: totals of inputs only,
//! nothing of a unit, a source or a sender.

use std::fmt::Write;

use nhatle_collector::listen::Counted;
use nhatle_ui::model::{ConfigReload, InputRow};
use nhatle_ui::{Answer, DeskError, Viewer};

use super::LiveDesk;
use crate::pipeline::Shared;

/// The inputs; none for a viewer who sees one unit only, since their counts are of all units.
pub(super) fn rows(desk: &LiveDesk, viewer: &Viewer) -> Vec<InputRow> {
    if desk.limit(viewer).is_some() {
        return Vec::new();
    }
    let row = |input: crate::inputs::InputCounts| InputRow {
        name: input.name.to_owned(),
        address: input.address.map(|address| address.to_string()),
        received: input.counted.received,
        dropped: input.counted.dropped,
        kernel_dropped: input.counted.kernel_dropped,
        truncated: input.counted.truncated,
        skipped_bytes: input.counted.skipped_bytes,
        connections: input.counted.connections,
        open_connections: input.counted.open_connections,
        refused_connections: input.counted.refused_connections,
        receive_buffer_bytes: u64::try_from(input.receive_buffer_bytes).unwrap_or(u64::MAX),
    };
    desk.shared.inputs().read().into_iter().map(row).collect()
}

/// Reads the configuration again. It is the whole machine's: nobody does so who is limited to a part of what it holds.
pub(super) fn reload(desk: &LiveDesk, viewer: &Viewer) -> Answer<ConfigReload> {
    if desk.limit(viewer).is_some() {
        return Err(DeskError::Forbidden);
    }
    let reloader = desk.shared.reloader.get().ok_or(DeskError::NotFound)?;
    let report = reloader.reload().map_err(|error| DeskError::Problems(error.problems))?;
    let inputs = report.inputs.into_iter().map(ToOwned::to_owned).collect();
    Ok(ConfigReload { inputs, changed: report.changed, needs_restart: report.needs_restart })
}

/// Reads one count.
type Column = fn(&Counted) -> u64;

/// Prometheus text: the counts of each input, and of the queue behind them all.
pub(super) fn metrics(shared: &Shared) -> String {
    let inputs = shared.inputs().read();
    let mut text = String::new();
    let columns: [(&str, &str, Column); 8] = [
        ("received_total", "counter", |counted| counted.received),
        ("dropped_total", "counter", |counted| counted.dropped),
        ("kernel_dropped_total", "counter", |counted| counted.kernel_dropped),
        ("truncated_total", "counter", |counted| counted.truncated),
        ("skipped_bytes_total", "counter", |counted| counted.skipped_bytes),
        ("connections_total", "counter", |counted| counted.connections),
        ("connections_open", "gauge", |counted| counted.open_connections),
        ("connections_refused_total", "counter", |counted| counted.refused_connections),
    ];
    let told = "writing to a string cannot go wrong";
    for (name, kind, of) in columns {
        writeln!(text, "# TYPE nhatle_input_{name} {kind}").expect(told);
        for input in &inputs {
            writeln!(text, "nhatle_input_{name}{{input=\"{}\"}} {}", input.name, of(&input.counted)).expect(told);
        }
    }
    writeln!(text, "# TYPE nhatle_input_receive_buffer_bytes gauge").expect(told);
    for input in inputs.iter().filter(|input| 0 < input.receive_buffer_bytes) {
        let (name, bytes) = (input.name, input.receive_buffer_bytes);
        writeln!(text, "nhatle_input_receive_buffer_bytes{{input=\"{name}\"}} {bytes}").expect(told);
    }
    let queue = shared.sink().as_ref().map(nhatle_collector::Sink::stats).unwrap_or_default();
    let rows = [
        ("nhatle_queue_bytes", "gauge", queue.bytes as u64),
        ("nhatle_queue_senders", "gauge", queue.senders as u64),
        ("nhatle_queue_shed_total", "counter", queue.shed),
    ];
    for (name, kind, value) in rows {
        writeln!(text, "# TYPE {name} {kind}\n{name} {value}").expect(told);
    }
    text
}
