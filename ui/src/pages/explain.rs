//! What a search did, as lines of a page: what was skipped and by what, what was read, where the time went.
//!
//! In: the numbers of the store, as the JSON API gives them. Out: sections of named numbers, and the tests of the
//! query. Promise: only names this page has words for are shown. Failure: none; a number that is missing reads as 0.

use serde_json::Value;

/// The sections and their numbers, in the order of a search.
pub(crate) const SECTIONS: &[(&str, &[&str])] = &[
    (
        "segments",
        &[
            "all",
            "out_of_time",
            "counted_whole",
            "filtered",
            "no_time",
            "no_unit",
            "no_field",
            "no_words",
            "candidates",
            "not_reached",
        ],
    ),
    ("rows", &["stored", "in_memory", "in_memory_matched", "candidates", "sure", "looked_at", "fetched", "for_facets"]),
    ("read", &["indexes_kept", "indexes_read", "index_bytes", "groups", "pages"]),
    ("time", &["memory_us", "index_us", "rows_us", "fetch_us", "summary_us", "first_us", "all_us"]),
];
/// How the index answers a test.
pub(crate) const HOWS: &[&str] = &["entry", "entry_then_rows", "dictionary", "dictionary_then_rows", "times", "rows"];

/// One test of the query.
pub(crate) struct TestLine {
    pub test: String,
    pub how: String,
    pub segments_asked: u64,
    pub segments_without: u64,
    pub rows: u64,
    pub rows_sure: u64,
}

/// A section: its name and its numbers by name.
pub(crate) struct Section {
    pub name: &'static str,
    pub numbers: Vec<(String, u64)>,
}

/// What a search did.
pub(crate) struct ExplainView {
    pub query: String,
    pub tests: Vec<TestLine>,
    pub sections: Vec<Section>,
}

impl ExplainView {
    /// Reads the numbers.
    pub fn new(explain: &Value) -> ExplainView {
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tests = explain["tests"].as_array().into_iter().flatten().map(|test| TestLine {
            test: text(&test["test"]),
            how: Some(text(&test["how"])).filter(|how| HOWS.contains(&how.as_str())).unwrap_or("rows".to_owned()),
            segments_asked: number(&test["segments_asked"]),
            segments_without: number(&test["segments_without"]),
            rows: number(&test["rows"]),
            rows_sure: number(&test["rows_sure"]),
        });
        let sections = SECTIONS.iter().map(|(name, numbers)| Section {
            name,
            numbers: numbers.iter().map(|one| (format!("{name}-{one}"), number(&explain[*name][*one]))).collect(),
        });
        ExplainView { query: text(&explain["query"]), tests: tests.collect(), sections: sections.collect() }
    }
}
