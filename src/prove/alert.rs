//! What is wrong with a log, as an alert: sentences in both languages, an id that a restart does not change.

use nhatle_engine::alert::{Alert, window_id};
use nhatle_event::Timestamp;

/// The rule of a log that contradicts what it said before.
pub const RULE: &str = "nhatle-proof-contradicted";

/// What happened to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is shorter than a head it signed before: put back to an older copy.
    WentBack,
    /// It does not continue a head it signed before: written anew.
    Contradicts,
}

/// The alert about the log `origin`; `is_own` where it is this server's. `size` is how many leaves the head that is
/// contradicted has.
pub fn of(origin: &str, is_own: bool, trouble: Trouble, size: u64, now: Timestamp) -> Alert {
    let whose = if is_own {
        ["Kho của máy này", "The store of this server"]
    } else {
        ["Kho của đơn vị khác", "The store of another server"]
    };
    let what = match trouble {
        Trouble::WentBack => [
            format!(
                "đã bị đưa về bản cũ: một head đã ký trước đó có {size} mục, nay nhật ký chứng minh ({origin}) ngắn hơn."
            ),
            format!(
                "was put back to an older copy: a head signed before covers {size} leaves, the log ({origin}) is shorter now."
            ),
        ],
        Trouble::Contradicts => [
            format!("đã bị viết lại: nhật ký chứng minh ({origin}) không tiếp nối head đã ký trước đó có {size} mục."),
            format!(
                "was written anew: the log ({origin}) does not continue the head over {size} leaves signed before."
            ),
        ],
    };
    let [vietnamese, english] = what;
    let group = vec![("nhatle.proof.origin".to_owned(), origin.to_owned()), ("size".to_owned(), size.to_string())];
    Alert {
        id: window_id(RULE, &group, Timestamp(0)),
        rule_id: RULE.to_owned(),
        title: "Proof of a store contradicted".to_owned(),
        title_vi: Some("Bằng chứng toàn vẹn của kho bị phủ nhận".to_owned()),
        level: "critical".to_owned(),
        tags: Vec::new(),
        at_ns: now.0,
        span_ns: (now.0, now.0),
        events: Vec::new(),
        count: 1,
        fingerprint: format!("{RULE} {origin}"),
        group,
        entities: Vec::new(),
        evidence: Vec::new(),
        units: Vec::new(),
        explanation_vi: Some(format!("{} {vietnamese}", whose[0])),
        explanation_en: Some(format!("{} {english}", whose[1])),
        suppress_s: 0,
        replaces: Vec::new(),
        replaced_by: None,
        is_withdrawn: false,
        hunt: None,
        is_looked_back: false,
    }
}
