//! SQL as the server and the command line offer it: its configuration, and the tables that the store does not hold.

pub mod settings;
pub mod tables;
