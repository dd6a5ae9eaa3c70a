//! Findings of our own as alerts: sentences in both languages, levels, ids that a restart does not change.
//!
//! In: a [`Finding`], or an hour whose book does not balance. Out: an [`Alert`] whose id is made of rule, name and since when,
//! so that the same finding is the same alert; stored, grouped and shown like any other. When a finding is over its
//! alert gets a note, and is closed where nobody has taken it.

use nhatle_engine::alert::{Alert, Entity, EntityKind, window_id};
use nhatle_engine::incident::Disposition;
use nhatle_engine::register::{AnyChange, TriageChange};
use nhatle_engine::rhythm::{Finding, Kind};
use nhatle_event::Timestamp;
use nhatle_storage::Dataset;
use tracing::{error, warn};

use crate::pipeline::{Shared, publish};
use crate::telemetry::Counters;

/// In whose name notes are written.
const ACTOR: &str = "nhatle";
/// How many names a sentence lists.
const NAMES_SAID: usize = 8;
/// The rule of an hour whose book does not balance.
pub const BALANCE_RULE: &str = "nhatle-book-unbalanced";

/// The rule a kind of finding is of.
pub fn rule_id(kind: Kind) -> String {
    format!("nhatle-source-{}", kind.name())
}

/// What is said of a finding.
struct Said {
    level: &'static str,
    title: [&'static str; 2],
    /// Vietnamese, English.
    sentence: [String; 2],
}

/// The alert of a finding.
pub fn of_finding(finding: &Finding) -> Alert {
    let said = said(finding);
    let is_unit = finding.kind == Kind::Line;
    let entity = Entity { kind: EntityKind::Host, value: finding.name.to_lowercase() };
    let evidence =
        if finding.names.is_empty() { Vec::new() } else { vec![("nhatle.source".to_owned(), names(finding))] };
    alert(Made {
        rule_id: rule_id(finding.kind),
        said,
        name: (if is_unit { "nhatle.unit" } else { "nhatle.source" }, &finding.name),
        unit: finding.unit.as_deref(),
        entities: if is_unit { Vec::new() } else { vec![entity] },
        evidence,
        since: finding.since,
        at: finding.at,
    })
}

/// The alert of an hour in which a source's book and the store do not agree.
pub fn of_imbalance(source: &str, unit: Option<&str>, hour: Timestamp, why: &[String; 2], now: Timestamp) -> Alert {
    let title = ["Sổ nhận và kho nhật ký không khớp", "Receipt book and store do not agree"];
    let said = Said { level: "critical", title, sentence: why.clone() };
    let name = ("nhatle.source", source);
    let (entities, evidence) = (Vec::new(), Vec::new());
    alert(Made { rule_id: BALANCE_RULE.to_owned(), said, name, unit, entities, evidence, since: hour, at: now })
}

struct Made<'a> {
    rule_id: String,
    said: Said,
    name: (&'a str, &'a str),
    unit: Option<&'a str>,
    entities: Vec<Entity>,
    evidence: Vec<(String, String)>,
    since: Timestamp,
    at: Timestamp,
}

fn alert(made: Made<'_>) -> Alert {
    let Made { rule_id, said, name, unit, entities, evidence, since, at } = made;
    let group = vec![(name.0.to_owned(), name.1.to_owned())];
    let [title_vi, title] = said.title.map(str::to_owned);
    let [vietnamese, english] = said.sentence;
    Alert {
        id: window_id(&rule_id, &group, since),
        fingerprint: format!("{rule_id} {}", name.1),
        rule_id,
        title,
        title_vi: Some(title_vi),
        level: said.level.to_owned(),
        tags: Vec::new(),
        at_ns: at.0,
        span_ns: (since.0.min(at.0), at.0),
        events: Vec::new(),
        count: 1,
        group,
        entities,
        evidence,
        units: unit.map(str::to_owned).into_iter().collect(),
        explanation_vi: Some(vietnamese),
        explanation_en: Some(english),
        suppress_s: 0,
        replaces: Vec::new(),
        replaced_by: None,
        is_withdrawn: false,
        hunt: None,
        is_looked_back: false,
    }
}

fn names(finding: &Finding) -> String {
    let more = finding.names.len().saturating_sub(NAMES_SAID);
    let mut text = finding.names.iter().take(NAMES_SAID).cloned().collect::<Vec<_>>().join(", ");
    if 0 < more {
        text.push_str(&format!(" +{more}"));
    }
    text
}

fn said(finding: &Finding) -> Said {
    let (name, number, usual) = (&finding.name, finding.number, finding.usual);
    let count = finding.names.len();
    let (level, title, sentence) = match finding.kind {
        Kind::Silence => (
            "medium",
            ["Nguồn nhật ký im lặng", "Source silent"],
            [
                format!("Nguồn {name} đã im lặng {}; giờ này thường không quá {}.", span(number, 0), span(usual, 0)),
                format!(
                    "Source {name} has been silent for {}; usual at this hour is up to {}.",
                    span(number, 1),
                    span(usual, 1)
                ),
            ],
        ),
        Kind::Line => (
            "high",
            ["Cả đơn vị mất tín hiệu", "Whole unit silent"],
            [
                format!(
                    "{count} nguồn của đơn vị {name} cùng im lặng từ {} trước, có thể đứt đường truyền: {}.",
                    span(number, 0),
                    names(finding)
                ),
                format!(
                    "{count} sources of unit {name} went silent together {} ago, its line may be down: {}.",
                    span(number, 1),
                    names(finding)
                ),
            ],
        ),
        Kind::Drop => (
            "medium",
            ["Nguồn gửi ít hẳn đi", "Source sends far less"],
            [
                format!("Nguồn {name} chỉ gửi {number:.0} bản ghi trong một giờ; giờ này thường khoảng {usual:.0}."),
                format!(
                    "Source {name} sent only {number:.0} records in an hour; usual at this hour is about {usual:.0}."
                ),
            ],
        ),
        Kind::Flood => (
            "medium",
            ["Nguồn gửi dồn dập", "Source floods"],
            [
                format!("Nguồn {name} đã gửi {number:.0} bản ghi trong giờ này; thường khoảng {usual:.0}."),
                format!("Source {name} has sent {number:.0} records in this hour; usual is about {usual:.0}."),
            ],
        ),
        Kind::Clock => (
            "medium",
            ["Đồng hồ của nguồn sai", "Source's clock is wrong"],
            [
                format!(
                    "Đồng hồ của nguồn {name} {} {}.",
                    if number < 0.0 { "chậm" } else { "nhanh" },
                    span(number.abs(), 0)
                ),
                format!(
                    "The clock of source {name} is {} by {}.",
                    if number < 0.0 { "behind" } else { "ahead" },
                    span(number.abs(), 1)
                ),
            ],
        ),
        Kind::Identity => (
            "high",
            ["Một tên nguồn, hai địa chỉ", "One source name, two addresses"],
            [
                format!(
                    "Nguồn {name} gửi xen kẽ từ hai địa chỉ: {}. Có thể trùng tên máy hoặc bị giả mạo.",
                    names(finding)
                ),
                format!(
                    "Source {name} sends from two addresses in turn: {}. Two machines of one name, or one that pretends.",
                    names(finding)
                ),
            ],
        ),
        Kind::Certificate => (
            "high",
            ["Một chứng thư, hai địa chỉ", "One certificate, two addresses"],
            [
                format!("Chứng thư của {name} được dùng xen kẽ từ hai địa chỉ: {}.", names(finding)),
                format!("The certificate of {name} is used from two addresses in turn: {}.", names(finding)),
            ],
        ),
    };
    Said { level, title, sentence }
}

/// A span of time in words; 0 = Vietnamese, 1 = English.
pub fn span(seconds: f64, language: usize) -> String {
    let unit = [["giây", "phút", "giờ", "ngày"], ["s", "min", "h", "days"]][language.min(1)];
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.0} {}", unit[0]),
        seconds if seconds < 7_200.0 => format!("{:.0} {}", seconds / 60.0, unit[1]),
        seconds if seconds < 172_800.0 => format!("{:.0} {}", seconds / 3_600.0, unit[2]),
        seconds => format!("{:.0} {}", seconds / 86_400.0, unit[3]),
    }
}

/// Makes alerts durable, groups them and shows them. Those that are known already change nothing. Says whether it is done.
pub fn raise(shared: &Shared, alerts: Vec<Alert>) -> bool {
    let now = shared.clock.now();
    let fresh: Vec<Alert> = alerts.into_iter().filter(|alert| !shared.alerts().contains(&alert.id)).collect();
    if fresh.is_empty() {
        return true;
    }
    let mut rows: Vec<_> = fresh.iter().map(|alert| (Dataset::Alerts, alert.to_event(now))).collect();
    if let Err(error) = shared.store.append_from(&mut rows, &[]) {
        error!(%error, "alerts of the sentinel not stored");
        return false;
    }
    Counters::add(&shared.counters.alerts, fresh.len() as u64);
    let grouping = *shared.grouping.get();
    let grouped = shared.registry.record_each(ACTOR, now, &fresh, |state, alert| {
        let (number, change) = state.opened.group(alert, &grouping)?;
        Some(AnyChange::Incident(number.unwrap_or_else(|| state.next_incident()), change))
    });
    if let Err(error) = grouped {
        warn!(%error, "alert not grouped; it will be at the next start");
    }
    publish(shared, fresh);
    true
}

/// Writes down that a finding is over, on its alert; closes it where nobody has taken it.
pub fn resolve(shared: &Shared, finding: &Finding) {
    let id = of_finding(finding).id.to_string();
    if !shared.alerts().contains(&id) {
        return;
    }
    let text = match finding.kind {
        Kind::Silence | Kind::Line => {
            format!("Đã gửi trở lại sau {} · sends again after {}", span(finding.number, 0), span(finding.number, 1))
        }
        Kind::Clock => format!(
            "Đồng hồ đã đúng lại (lệch {:.0} giây) · clock is right again ({:.0} s off)",
            finding.number, finding.number
        ),
        _ => "Đã trở lại bình thường · back to what is usual".to_owned(),
    };
    let result: Result<(), crate::registry::RecordError> = shared.registry.record(ACTOR, finding.at, |state| {
        let triage = state.triage.get(&id);
        if triage.is_some_and(|triage| triage.disposition.is_some()) {
            return Ok((Vec::new(), ()));
        }
        let change = match triage.and_then(|triage| triage.owner.as_ref()) {
            Some(_) => TriageChange::Note { text: text.clone() },
            None => TriageChange::Close { disposition: Disposition::Undetermined, note: text.clone() },
        };
        Ok((vec![AnyChange::Alert(id.clone(), change)], ()))
    });
    if let Err(error) = result {
        warn!(%error, "end of a finding not noted");
    }
    shared.tick();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_the_same_alert_while_it_lasts_and_is_said_in_both_languages() {
        for kind in Kind::ALL {
            let finding = |at| Finding {
                kind,
                name: "fw-01".into(),
                unit: Some("NL".into()),
                since: Timestamp(5),
                at: Timestamp(at),
                is_over: false,
                names: vec!["192.0.2.1".into(), "192.0.2.2".into()],
                number: 1_500.0,
                usual: 600.0,
            };
            let (one, later) = (of_finding(&finding(9)), of_finding(&finding(19)));
            assert_eq!(one.id, later.id);
            assert_eq!(one.units, ["NL"]);
            assert_eq!(Alert::from_event(&one.to_event(Timestamp(9))), Some(one.clone()));
            let sentences = [one.explanation_vi.expect("has one"), one.explanation_en.expect("has one")];
            assert!(
                sentences.iter().all(|sentence| sentence.contains("fw-01") && sentence.ends_with('.')),
                "{sentences:?}"
            );
        }
        assert_eq!(
            (span(90.0, 1), span(1_500.0, 0), span(200_000.0, 1)),
            ("90 s".into(), "25 phút".into(), "2 days".into())
        );
    }
}
