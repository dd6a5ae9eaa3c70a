//! `Dataset`: the few kinds of events that are kept apart, each with segments and a retention of its own.

use nhatle_event::event::{ALERTS, DEAD_LETTERS, RECEIPTS};
use nhatle_event::{Event, Field};
use serde::{Deserialize, Serialize};

/// A set of events with one retention. The number is part of the log's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// What the sources sent.
    Events = 0,
    /// What our rules said about it (`event.kind: signal`).
    Alerts = 1,
    /// What could not be parsed.
    DeadLetters = 2,
    /// Our own canaries, which prove that rules are alive; of no source.
    Canaries = 3,
    /// Our own receipt book: what each source sent in each hour that is over.
    Receipts = 4,
}

impl Dataset {
    /// Every dataset, in the order of their numbers.
    pub const ALL: [Dataset; 5] =
        [Dataset::Events, Dataset::Alerts, Dataset::DeadLetters, Dataset::Canaries, Dataset::Receipts];

    /// The dataset an event belongs to, by its `event.dataset`.
    pub fn of(event: &Event) -> Dataset {
        if event.get(Field::NHATLE_CANARY).is_some() {
            return Dataset::Canaries;
        }
        match event.text(Field::EVENT_DATASET) {
            Some(ALERTS) => Dataset::Alerts,
            Some(DEAD_LETTERS) => Dataset::DeadLetters,
            Some(RECEIPTS) => Dataset::Receipts,
            _ => Dataset::Events,
        }
    }

    /// The name, as SQL tables and folders have it.
    pub fn name(self) -> &'static str {
        match self {
            Dataset::Events => "events",
            Dataset::Alerts => "alerts",
            Dataset::DeadLetters => "dead_letters",
            Dataset::Canaries => "canaries",
            Dataset::Receipts => "receipts",
        }
    }

    /// The dataset of this name.
    pub fn from_name(name: &str) -> Option<Dataset> {
        Dataset::ALL.into_iter().find(|dataset| dataset.name() == name)
    }

    /// The number the log writes.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The dataset of this number.
    pub fn from_number(number: u8) -> Option<Dataset> {
        Dataset::ALL.into_iter().find(|dataset| dataset.number() == number)
    }
}
