//! What events that came late change in alerts that are out.
//!
//! In: the alerts a batch makes, and the firings of correlations it took back. Out: which alert takes the place
//! of which ([`Alert::replace`]; of itself where only the content of the window changed), and the alerts that are taken back with nothing in their place. An alert
//! that was never shown (suppressed, hidden by an exception) is neither.

use nhatle_engine::alert::{Alert, window_id};
use nhatle_engine::correlate::Withdrawn;
use nhatle_rules::RuleSet;

use crate::alerts::AlertBook;

/// Marks what replaces what; returns the alerts taken back.
pub fn correct(alerts: &mut [Alert], withdrawn: &[Withdrawn], rules: &RuleSet, book: &AlertBook) -> Vec<Alert> {
    let mut taken_back = Vec::new();
    for one in withdrawn {
        let Some(correlation) = rules.correlations.get(one.correlation.0 as usize) else { continue };
        let id = window_id(&correlation.meta.id, &one.group, one.end);
        let Some(shown) = book.get(&id).filter(|alert| alert.is_standing()) else { continue };
        let of_group = |alert: &&mut Alert| alert.rule_id == correlation.meta.id && alert.group == one.group;
        match alerts.iter_mut().filter(of_group).min_by_key(|alert| alert.at_ns.abs_diff(one.end.0)) {
            // The same window with other events is a new version of the same alert.
            Some(alert) => alert.replace(&id),
            None => taken_back.push(shown.withdrawn()),
        }
    }
    taken_back
}
