//! Search over rows in memory, and one that never ends by itself.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nhatle_event::{Field, Stored};
use nhatle_ui::model::{Facet, SearchPage, SearchPart, SearchProgress, SearchQuery};
use nhatle_ui::{Answer, DeskError, SyntaxError};

use super::sample::sample_buckets;

/// A query that goes on until it is told to stop.
pub const ENDLESS: &str = "endless";
/// How many of those have begun.
pub static BEGUN: AtomicU64 = AtomicU64::new(0);
/// How many of those were told.
pub static ENDED: AtomicU64 = AtomicU64::new(0);

/// Everything, whatever was asked.
pub fn page(mut hits: Vec<Stored>, query: &SearchQuery) -> Answer<SearchPage> {
    if let Some(offset) = query.text.find("((") {
        let suggestion = Some("add a closing )".to_owned());
        return Err(SyntaxError { message: "expected a word".to_owned(), offset, length: 2, suggestion }.into());
    }
    hits.sort_by_key(|stored| Reverse(stored.event.timestamp));
    let total = u64::try_from(hits.len()).unwrap_or(0);
    let facets = (query.facets.iter())
        .map(|name| {
            let mut values: Vec<(String, u64)> = Vec::new();
            let field = Field::lookup(name);
            for value in hits.iter().filter_map(|stored| stored.event.get(field?)?.as_text().map(String::from)) {
                match values.iter_mut().find(|(known, _)| *known == value) {
                    Some((_, count)) => *count += 1,
                    None => values.push((value, 1)),
                }
            }
            let distinct = u64::try_from(values.len()).unwrap_or(0);
            Facet { field: name.clone(), values, counted: total, is_exact: true, distinct }
        })
        .collect();
    hits.truncate(query.limit);
    let buckets = sample_buckets();
    Ok(SearchPage { hits, total, total_is_exact: true, buckets, facets, took_ms: 7, ..SearchPage::default() })
}

/// The page in parts; the endless one tells progress until it is stopped.
pub fn parts(
    mut page: SearchPage,
    query: &SearchQuery,
    stop: &Arc<AtomicBool>,
    tell: &mut dyn FnMut(SearchPart),
) -> Answer<SearchPage> {
    if query.text == ENDLESS {
        BEGUN.fetch_add(1, Ordering::Relaxed);
        while !stop.load(Ordering::Relaxed) {
            tell(SearchPart::Progress(SearchProgress { share_permille: 370, total: 3, done_to: None, took_ms: 9 }));
            std::thread::sleep(Duration::from_millis(5));
        }
        ENDED.fetch_add(1, Ordering::Relaxed);
        return Err(DeskError::Canceled);
    }
    tell(SearchPart::Hits(std::mem::take(&mut page.hits)));
    Ok(page)
}
