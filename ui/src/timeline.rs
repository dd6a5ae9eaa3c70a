//! A hunt's findings as one page: a file to open in any browser, to print, to hand on. In both languages at
//! once, switched without a script; it loads nothing and sends nothing.
//!
//! In: what `nhatle detect` found. Out: HTML. Promise: text of logs and rules is shown, never interpreted;
//! the page forbids itself every script and every address. Bounded: [`ROWS_MAX`] rows; what is not shown
//! is counted. Failure: none but a template that does not draw, which is the program's fault.

use askama::Template;
use nhatle_event::Timestamp;

use crate::account::{Language, Localized};
use crate::chart::{self, Bar};
use crate::locale;
use crate::model::Bucket;
use crate::pages::Number;
use crate::render;

/// How many findings the page lists.
pub const ROWS_MAX: usize = 10_000;
/// How many bars the histogram has at most.
const BARS_MAX: i64 = 120;
/// How many characters of a value are shown.
const VALUE_CHARACTERS_MAX: usize = 600;

/// One finding.
#[derive(Clone, Debug)]
pub struct TimelineRow {
    /// When.
    pub at: Timestamp,
    /// `critical`, `high`, …
    pub level: &'static str,
    /// The rule's title.
    pub title: Localized,
    /// The rule's id.
    pub rule_id: String,
    /// The machine, or empty.
    pub host: String,
    /// File and index.
    pub place: String,
    /// How many events: 1, or those of a correlation.
    pub count: u64,
    /// Names and values the rule looked at.
    pub fields: Vec<(String, String)>,
}

/// One rule that found something.
#[derive(Clone, Debug)]
pub struct TimelineRule {
    /// `critical`, `high`, …
    pub level: &'static str,
    /// The rule's title.
    pub title: Localized,
    /// The rule's id.
    pub id: String,
    /// ATT&CK and other tags.
    pub tags: Vec<String>,
    /// Who wrote it.
    pub author: String,
    /// How many findings.
    pub count: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
}

/// Everything the page tells.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// When it was made.
    pub made: Timestamp,
    /// The zone times are shown in (`UTC`, `+07:00`), and how many nanoseconds it is ahead of UTC.
    pub zone: String,
    /// See `zone`.
    pub zone_offset_ns: i64,
    /// Files read.
    pub files: u64,
    /// Events looked at.
    pub events: u64,
    /// Records that could not be parsed.
    pub dead_letters: u64,
    /// Rules that ran.
    pub rules_loaded: u64,
    /// Rules that did not load.
    pub rules_failed: u64,
    /// Findings in all.
    pub findings: u64,
    /// Rules that found something, most urgent first.
    pub rules: Vec<TimelineRule>,
    /// Findings in order of time; at most [`ROWS_MAX`].
    pub rows: Vec<TimelineRow>,
    /// Times of all findings, for the histogram.
    pub times: Vec<Timestamp>,
}

#[derive(Template)]
#[template(path = "timeline.html")]
struct PageOf<'a> {
    t: &'a Timeline,
    bars: Vec<Bar>,
}

const STYLE: &str = include_str!("../static/timeline.css");

/// Draws the page.
///
/// # Errors
/// The template does not draw.
pub fn html(timeline: &Timeline) -> Result<String, askama::Error> {
    let body = PageOf { t: timeline, bars: chart::bars(&histogram(&timeline.times)) }.render()?;
    let title = locale::text(Language::Vietnamese, "timeline-title");
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"vi\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{title} · nhatle</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n{body}\n</body>\n</html>\n"
    ))
}

impl PageOf<'_> {
    fn vi(&self, id: &str) -> String {
        locale::text(Language::Vietnamese, id)
    }

    fn en(&self, id: &str) -> String {
        locale::text(Language::English, id)
    }

    fn word(&self, family: &str, word: &str) -> String {
        format!("{family}{word}")
    }

    fn title_vi(&self, text: &Localized) -> String {
        render::visible(text.get(Language::Vietnamese))
    }

    fn title_en(&self, text: &Localized) -> String {
        render::visible(text.get(Language::English))
    }

    fn number(&self, number: impl Number) -> String {
        // A thin space between thousands reads the same in both languages.
        locale::number(Language::English, number.number()).replace(',', "\u{202f}")
    }

    fn time(&self, at: &Timestamp) -> String {
        let text = at.plus_nanos(self.t.zone_offset_ns).to_string();
        let seconds = text.split_once('.').map_or(text.trim_end_matches('Z'), |(seconds, _)| seconds);
        seconds.replace('T', " ")
    }

    fn v(&self, text: &str) -> String {
        render::short(text, VALUE_CHARACTERS_MAX)
    }

    fn hidden(&self) -> u64 {
        self.t.findings.saturating_sub(u64::try_from(self.t.rows.len()).unwrap_or(u64::MAX))
    }
}

/// Equal buckets from the first to the last time.
fn histogram(times: &[Timestamp]) -> Vec<Bucket> {
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Vec::new() };
    let width = (last.since(*first) / BARS_MAX).saturating_add(1).max(1_000_000_000);
    let count = last.since(*first) / width + 1;
    let start = |slot: i64| first.plus_nanos(slot.saturating_mul(width));
    let mut buckets: Vec<Bucket> =
        (0..count).map(|slot| Bucket { start: start(slot), end: start(slot + 1), count: 0 }).collect();
    for at in times {
        let slot = usize::try_from(at.since(*first) / width).unwrap_or(0);
        if let Some(bucket) = buckets.get_mut(slot) {
            bucket.count += 1;
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(at: i64, title: &str, value: &str) -> TimelineRow {
        TimelineRow {
            at: Timestamp(at),
            level: "high",
            title: Localized::new("Luật", title),
            rule_id: "id".into(),
            host: "may-01".into(),
            place: "a.evtx:1".into(),
            count: 1,
            fields: vec![("CommandLine".into(), value.into())],
        }
    }

    #[test]
    fn what_logs_say_is_shown_and_never_interpreted() {
        let rows = vec![row(0, "<b>x", "</style><script>alert(1)</script>\u{202e}")];
        let timeline = Timeline { findings: 1, times: vec![Timestamp(0)], rows, ..Timeline::default() };
        let page = html(&timeline).expect("draws");
        assert!(!page.contains("<script>") && !page.contains("<b>x") && !page.contains('\u{202e}'), "{page}");
        assert!(page.contains("&lt;script&gt;") || page.contains("&#60;script&#62;"), "{page}");
        assert!(page.contains("default-src 'none'"));
        assert!(page.contains("Dòng thời gian") && page.contains("Timeline"), "both languages");
    }

    #[test]
    fn every_time_is_in_the_histogram() {
        for times in [vec![], vec![0], vec![0, i64::MAX], vec![5, 5, 6_000_000_000, 7_000_000_000_000]] {
            let times: Vec<Timestamp> = times.into_iter().map(Timestamp).collect();
            let buckets = histogram(&times);
            assert!(i64::try_from(buckets.len()).expect("few") <= BARS_MAX + 1);
            let all: u64 = buckets.iter().map(|bucket| bucket.count).sum();
            assert_eq!(all, u64::try_from(times.len()).expect("few"));
        }
    }

    #[test]
    fn rows_that_do_not_fit_are_counted() {
        let timeline = Timeline { findings: 25, rows: vec![row(0, "x", "y"); 5], ..Timeline::default() };
        assert_eq!(PageOf { t: &timeline, bars: Vec::new() }.hidden(), 20);
        assert!(html(&timeline).expect("draws").contains("20"));
    }
}
