//! What is seen besides alerts and incidents: overview, search, sources, people, rules.
//!
//! Plain values filled by the [`crate::Desk`]; nothing here can fail.

use nhatle_event::{Stored, Timestamp};
use serde::Serialize;

use super::{as_text, as_text_or_null};
use crate::account::Role;

/// The landing page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// Open alerts by level, in the order of [`Level::ALL`].
    pub alerts_open: [u64; 5],
    /// Open alerts nobody has.
    pub alerts_unowned: u64,
    /// Incidents by status, in the order of [`IncidentStatus::ALL`].
    pub incidents: [u64; 3],
    /// Open incidents by layer, in the order of [`Layer::ALL`].
    pub incidents_by_layer: [u64; 4],
    /// Sources known.
    pub sources: u64,
    /// Sources silent.
    pub sources_silent: u64,
    /// Units that sent something in the last 24 hours, of how many.
    pub units_reporting: (u64, u64),
    /// Events received in the last 24 hours.
    pub events_day: u64,
    /// Dead letters in the last 24 hours.
    pub dead_letters_day: u64,
    /// When the last event was received.
    pub last_event_at: Option<Timestamp>,
    /// Events per hour over the last 24 hours, oldest first; may be empty.
    pub hours: Vec<Bucket>,
    /// By how many events detection is behind what is durable; 0 where that is no matter.
    pub detection_behind: u64,
}

/// The numbers that live on every page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LiveCounters {
    /// All alerts ever raised that this viewer may see: only grows, so "new since shown" is a difference.
    pub alerts_total: u64,
    /// Open alerts.
    pub alerts_open: u64,
    /// Of them critical or high.
    pub alerts_urgent: u64,
    /// Open incidents.
    pub incidents_open: u64,
    /// Silent sources.
    pub sources_silent: u64,
    /// What state intake is in: `normal`, `behind`, `shedding` or `read-only`; empty = not told.
    pub intake: String,
}

/// What to search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchQuery {
    /// The query line; empty = everything.
    pub text: String,
    /// Happened at or after.
    pub from: Option<Timestamp>,
    /// Happened before.
    pub to: Option<Timestamp>,
    /// At most so many hits.
    pub limit: usize,
    /// Go on after this page ([`SearchPage::next`]).
    pub cursor: Option<String>,
    /// How many histogram bars are wanted at most; 0 = none.
    pub buckets: usize,
    /// Fields to count values of, by any of their names; empty = none.
    pub facets: Vec<String>,
    /// So many values of each; 0 = the usual number.
    pub facet_values: usize,
    /// Among so many events, the newest; 0 = the usual number.
    pub facet_rows_max: usize,
    /// After so many milliseconds the answer may be of the newest part only; 0 = never.
    pub due_ms: u32,
    /// Rows are looked at until the number is exact, however many those are.
    pub is_thorough: bool,
}

/// What a search tells while it goes on.
#[derive(Clone, Debug)]
pub enum SearchPart {
    /// The next hits, behind all that were given.
    Hits(Vec<Stored>),
    /// How far it is.
    Progress(SearchProgress),
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SearchProgress {
    /// Done, in thousandths.
    pub share_permille: u32,
    /// How many events match in what is done.
    pub total: u64,
    /// Everything newer than this is done; `None` = everything.
    #[serde(serialize_with = "as_text_or_null")]
    pub done_to: Option<Timestamp>,
    /// Time taken so far.
    pub took_ms: u64,
}

/// What a query that found nothing probably meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SearchHint {
    /// Byte offset into the query text.
    pub offset: usize,
    /// How many bytes are meant.
    pub length: usize,
    /// What should probably stand there.
    pub meant: String,
    /// The whole line with it.
    pub line: String,
}

/// What was committed since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TailPage {
    /// The newest events that match, oldest first.
    pub hits: Vec<Stored>,
    /// Older ones that match too and are not given.
    pub left_out: u64,
    /// Events nobody looked at, because too many came at once.
    pub not_looked_at: u64,
    /// Where the next look begins.
    pub last: u64,
}

/// One bar of a histogram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// From.
    #[serde(serialize_with = "as_text")]
    pub start: Timestamp,
    /// To, exclusive.
    #[serde(serialize_with = "as_text")]
    pub end: Timestamp,
    /// How many events.
    pub count: u64,
}

/// The commonest values of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facet {
    /// The field.
    pub field: String,
    /// Values and their counts, largest first, at most 10.
    pub values: Vec<(String, u64)>,
    /// Over how many events they were counted.
    pub counted: u64,
    /// Those are all that match; otherwise they are the newest.
    pub is_exact: bool,
    /// How many different values there are among them.
    pub distinct: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchPage {
    /// Events, newest first.
    pub hits: Vec<Stored>,
    /// How many there are in all.
    pub total: u64,
    /// Whether `total` is exact or an upper bound.
    pub total_is_exact: bool,
    /// The histogram, oldest first.
    pub buckets: Vec<Bucket>,
    /// The facets asked for.
    pub facets: Vec<Facet>,
    /// The cursor of the next page.
    pub next: Option<String>,
    /// Time taken.
    pub took_ms: u64,
    /// What is missing from the result (a segment that could not be read…); `None` = nothing.
    pub incomplete: Option<String>,
    /// Only what is newer than this was searched, because the answer was due; `None` = everything was.
    pub partial_to: Option<Timestamp>,
    /// What the search did: numbers about the whole store, for whoever may see all of it.
    pub explain: Option<serde_json::Value>,
    /// What was probably meant, where nothing was found.
    pub hints: Vec<SearchHint>,
}

/// What counts as around an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Around {
    /// So many seconds before and after.
    pub span_s: u32,
    /// Of the same host (`host.name`) only.
    pub same_host: bool,
    /// Of the same account (`user.name`) only.
    pub same_user: bool,
    /// At most so many, nearest first chosen.
    pub limit: usize,
}

/// A person work may be given to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserRow {
    /// Account name.
    pub user: String,
    /// The person's name.
    pub name: String,
    /// What the account may do.
    pub role: Role,
    /// Its unit limit.
    pub unit: Option<String>,
}
