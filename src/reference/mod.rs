//! Reference data: assets, places of addresses, lists of indicators.
//!
//! In: files from the command line, pages, the API or the configuration. Out: files below the data folder named by their
//! hash ([`shelf`]), a change in the register that puts one in force ([`import`]), the tables that conversion works with
//! ([`live`]), and a look back through what is stored for indicators that are new ([`lookback`], ADR 21). A server finds
//! out by the register, so a command may import while it runs. Failure: a file that cannot be read is said with place,
//! and the tables stay as they were; events go on.

pub mod config;
pub mod import;
pub mod live;
pub mod lookback;
pub mod shelf;

pub use live::LiveTables;
