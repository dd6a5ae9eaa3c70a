//! An input: where records come in, and what it counted since the start; and what changing them did.

use serde::Serialize;

/// What reading the configuration again did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConfigReload {
    /// Inputs that began, moved or ended.
    pub inputs: Vec<String>,
    /// Keys whose new value is in force.
    pub changed: Vec<String>,
    /// Keys whose new value needs a restart.
    pub needs_restart: Vec<String>,
}

/// One input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InputRow {
    /// Its name in the configuration; `http` for everything that is pushed.
    pub name: String,
    /// Where it listens.
    pub address: Option<String>,
    /// Records handed on.
    pub received: u64,
    /// Records dropped because their sender had its share of the queue, or nothing could be stored (UDP).
    pub dropped: u64,
    /// Datagrams the kernel dropped before us.
    pub kernel_dropped: u64,
    /// Records cut at the limit.
    pub truncated: u64,
    /// Bytes that cutting left out.
    pub skipped_bytes: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open_connections: u64,
    /// Connections refused at the limit.
    pub refused_connections: u64,
    /// How large the kernel's receive buffer is, as it says it (UDP; twice what holds data on Linux).
    pub receive_buffer_bytes: u64,
}
