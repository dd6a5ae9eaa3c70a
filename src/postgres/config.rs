//! `[postgres]` of the configuration: where PostgreSQL's clients are answered, and how many.
//!
//! In: the file as written. Out: [`Postgres`], or what is wrong with it, with its key.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[postgres]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresFile {
    /// Where psql, DBeaver, Grafana, Metabase and pandas are answered; empty = nowhere. Beyond loopback with TLS only.
    pub listen: String,
    /// How many connections at once.
    pub connection_count_max: usize,
    /// Seconds a connection may stand idle.
    pub idle_max_s: u64,
}

impl Default for PostgresFile {
    fn default() -> PostgresFile {
        PostgresFile { listen: String::new(), connection_count_max: 64, idle_max_s: 3_600 }
    }
}

/// The same as checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Postgres {
    /// Where it listens.
    pub listen: Option<SocketAddr>,
    /// How many connections at once.
    pub connection_count_max: usize,
    /// How long one may stand idle.
    pub idle_max: Duration,
}

impl PostgresFile {
    /// Checks it.
    pub fn check(&self, problems: &mut Vec<String>) -> Postgres {
        let listen = match self.listen.as_str() {
            "" => None,
            text => match text.parse() {
                Ok(address) => Some(address),
                Err(_) => {
                    problems.push(format!("postgres.listen: {text} is no address as 127.0.0.1:5432"));
                    None
                }
            },
        };
        if !(1..=1_024).contains(&self.connection_count_max) {
            problems
                .push(format!("postgres.connection_count_max: {} is not within 1 to 1024", self.connection_count_max));
        }
        if !(10..=86_400).contains(&self.idle_max_s) {
            problems.push(format!("postgres.idle_max_s: {} is not within 10 to 86400", self.idle_max_s));
        }
        Postgres {
            listen,
            connection_count_max: self.connection_count_max,
            idle_max: Duration::from_secs(self.idle_max_s),
        }
    }
}
