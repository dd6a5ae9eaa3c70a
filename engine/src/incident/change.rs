//! `Change` and `apply`: the only way an incident changes.
//!
//! In: an incident as it is (or none) and a change with who and when. Out: the incident as it is then, or
//! why the change is refused. Pure: the register writes a change down first and folds it here.

use nhatle_event::Timestamp;
use nhatle_rules::Level;
use serde::{Deserialize, Serialize};

use super::{AlertRef, Disposition, Incident, Layer, Status, Step};

/// How long a note, a reason or a title may be, in characters.
pub const TEXT_CHARS_MAX: usize = 20_000;
/// How long a title may be, in characters.
pub const TITLE_CHARS_MAX: usize = 300;

/// One step in an incident's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// It begins, with its first alerts (none for one that a person reports).
    Open {
        /// The title.
        title: String,
        /// The title in Vietnamese.
        title_vi: Option<String>,
        /// The severity a person gave it; `None` = that of its alerts.
        severity: Option<String>,
        /// Its first alerts.
        alerts: Vec<AlertRef>,
        /// The unit that reports it, where a person opens it.
        #[serde(default)]
        unit: Option<String>,
    },
    /// More alerts belong to it.
    AddAlerts {
        /// The alerts.
        alerts: Vec<AlertRef>,
    },
    /// A note.
    Note {
        /// The text.
        text: String,
    },
    /// Somebody takes it, or gives it back (`None`).
    SetOwner {
        /// The account.
        owner: Option<String>,
    },
    /// New or active; closing has a change of its own.
    SetStatus {
        /// The status.
        status: Status,
    },
    /// How bad it is.
    SetSeverity {
        /// Sigma's level word.
        severity: String,
        /// Why; may be empty.
        reason: String,
    },
    /// A better title.
    SetTitle {
        /// The title.
        title: String,
    },
    /// It goes to another of the four layers.
    HandOver {
        /// The layer that holds it from now on.
        to: Layer,
        /// Why, and what was done so far.
        reason: String,
    },
    /// It ends, with a verdict.
    Close {
        /// The verdict.
        disposition: Disposition,
        /// The verdict in words.
        reason: String,
    },
    /// It goes on after all.
    Reopen {
        /// Why.
        reason: String,
    },
}

impl Change {
    /// The word for this kind of change in the register.
    pub fn kind(&self) -> &'static str {
        match self {
            Change::Open { .. } => "open",
            Change::AddAlerts { .. } => "add_alerts",
            Change::Note { .. } => "note",
            Change::SetOwner { .. } => "set_owner",
            Change::SetStatus { .. } => "set_status",
            Change::SetSeverity { .. } => "set_severity",
            Change::SetTitle { .. } => "set_title",
            Change::HandOver { .. } => "hand_over",
            Change::Close { .. } => "close",
            Change::Reopen { .. } => "reopen",
        }
    }
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The incident exists already.
    #[error("the incident exists already")]
    Exists,
    /// There is no such incident.
    #[error("there is no such incident")]
    Unknown,
    /// It is closed; reopen it first.
    #[error("the incident is closed; reopen it first")]
    Closed,
    /// It is not closed.
    #[error("the incident is not closed")]
    NotClosed,
    /// It is with that layer already.
    #[error("the incident is with layer {0} already")]
    SameLayer(u8),
    /// A text that must say something is empty.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// A text is longer than allowed.
    #[error("the {what} is longer than {max} characters")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// A word that is none of the known ones.
    #[error("unknown {what}: {word}")]
    UnknownWord {
        /// What kind of word.
        what: &'static str,
        /// The word.
        word: String,
    },
}

/// The incident after `change`, or why it is refused.
///
/// # Errors
/// See [`Refused`]; the incident is then as before.
pub fn apply(
    incident: Option<&Incident>,
    number: u64,
    change: &Change,
    actor: &str,
    at: Timestamp,
) -> Result<Incident, Refused> {
    let Some(incident) = incident else {
        let Change::Open { title, title_vi, severity, alerts, unit } = change else { return Err(Refused::Unknown) };
        let titles = (title.as_str(), title_vi.as_deref());
        let mut opened = open(number, at, titles, severity.as_deref(), alerts, unit.as_deref())?;
        opened.steps.push(Step { at, actor: actor.to_owned(), change: change.clone() });
        return Ok(opened);
    };
    let mut next = incident.clone();
    apply_in_place(&mut next, change, actor, at)?;
    Ok(next)
}

/// [`apply`] to an incident that exists, without copying it: an incident of thousands of alerts is folded
/// at start-up from as many changes.
///
/// # Errors
/// See [`Refused`]; the incident is then as before, because every change is checked before it alters anything.
pub fn apply_in_place(incident: &mut Incident, change: &Change, actor: &str, at: Timestamp) -> Result<(), Refused> {
    alter(incident, change, actor)?;
    incident.changed = at;
    incident.steps.push(Step { at, actor: actor.to_owned(), change: change.clone() });
    Ok(())
}

fn open(
    number: u64,
    at: Timestamp,
    (title, title_vi): (&str, Option<&str>),
    severity: Option<&str>,
    alerts: &[AlertRef],
    unit: Option<&str>,
) -> Result<Incident, Refused> {
    check_text("title", title, TITLE_CHARS_MAX)?;
    let mut incident = Incident {
        number,
        title: title.trim().to_owned(),
        title_vi: title_vi.map(String::from),
        status: Status::New,
        disposition: None,
        severity: Level::Informational,
        is_severity_set: false,
        owner: None,
        layer: Layer::OnSite,
        opened: at,
        changed: at,
        span: (at, at),
        alerts: Vec::new(),
        alert_count: 0,
        entities: std::collections::BTreeSet::new(),
        units: unit.map(String::from).into_iter().collect(),
        is_citys: false,
        steps: Vec::new(),
    };
    if let Some(word) = severity {
        incident.severity = level(word)?;
        incident.is_severity_set = true;
    }
    for alert in alerts {
        incident.admit(alert);
    }
    Ok(incident)
}

fn alter(incident: &mut Incident, change: &Change, actor: &str) -> Result<(), Refused> {
    let is_closed = incident.status == Status::Closed;
    match change {
        Change::Open { .. } => return Err(Refused::Exists),
        // Alerts that were grouped while somebody closed it still belong to it, and notes may follow.
        Change::AddAlerts { alerts } => {
            for alert in alerts {
                if !incident.alerts.iter().any(|known| known.id == alert.id) {
                    incident.admit(alert);
                }
            }
        }
        Change::Note { text } => check_text("note", text, TEXT_CHARS_MAX)?,
        Change::Reopen { reason } => {
            if !is_closed {
                return Err(Refused::NotClosed);
            }
            check_text("reason", reason, TEXT_CHARS_MAX)?;
            incident.status = Status::Active;
            incident.disposition = None;
        }
        _ if is_closed => return Err(Refused::Closed),
        Change::SetOwner { owner } => {
            incident.owner.clone_from(owner);
            if owner.is_some() {
                incident.status = Status::Active;
            }
        }
        Change::SetStatus { status: Status::Closed } => return Err(Refused::Empty("verdict")),
        Change::SetStatus { status } => incident.status = *status,
        Change::SetSeverity { severity, reason } => {
            if !reason.is_empty() {
                check_text("reason", reason, TEXT_CHARS_MAX)?;
            }
            incident.severity = level(severity)?;
            incident.is_severity_set = true;
        }
        Change::SetTitle { title } => {
            check_text("title", title, TITLE_CHARS_MAX)?;
            incident.title = title.trim().to_owned();
            incident.title_vi = None;
        }
        Change::HandOver { to, reason } => {
            if incident.layer == *to {
                return Err(Refused::SameLayer(to.number()));
            }
            check_text("reason", reason, TEXT_CHARS_MAX)?;
            incident.layer = *to;
            incident.owner = None;
            incident.status = Status::Active;
        }
        Change::Close { disposition, reason } => {
            check_text("verdict", reason, TEXT_CHARS_MAX)?;
            incident.status = Status::Closed;
            incident.disposition = Some(*disposition);
            incident.owner.get_or_insert_with(|| actor.to_owned());
        }
    }
    Ok(())
}

fn level(word: &str) -> Result<Level, Refused> {
    Level::from_name(word).ok_or_else(|| Refused::UnknownWord { what: "severity", word: word.to_owned() })
}

fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Refused::Empty(what));
    }
    if max < text.chars().count() {
        return Err(Refused::TooLong { what, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(id: &str, level: &str) -> AlertRef {
        AlertRef {
            id: id.into(),
            title: "t".into(),
            title_vi: None,
            rule_id: "r".into(),
            level: level.into(),
            at_ns: 5,
            entities: Vec::new(),
            units: vec!["DH01".into()],
            tags: Vec::new(),
        }
    }

    #[test]
    fn an_alert_of_no_unit_makes_an_incident_the_citys() {
        let join = |units: Vec<String>| {
            let change = Change::AddAlerts { alerts: vec![AlertRef { units, ..alert("b", "low") }] };
            apply(Some(&opened()), 1, &change, "nhatle", Timestamp(2)).expect("joins")
        };
        assert!(!opened().is_citys && !join(vec!["DH01".into()]).is_citys);
        assert!(join(Vec::new()).is_citys);
    }

    fn opened() -> Incident {
        let change = Change::Open {
            title: "brute force".into(),
            title_vi: None,
            severity: None,
            alerts: vec![alert("a", "medium")],
            unit: None,
        };
        apply(None, 1, &change, "nhatle", Timestamp(1)).expect("opens")
    }

    #[track_caller]
    fn check(changes: &[Change], expected: Result<(Status, Level, u8, u64), Refused>) {
        let mut incident = Ok(opened());
        for change in changes {
            incident = incident.and_then(|incident| apply(Some(&incident), 1, change, "lan", Timestamp(2)));
        }
        let found = incident.map(|one| (one.status, one.severity, one.layer.number(), one.alert_count));
        assert_eq!(found, expected, "{changes:?}");
    }

    #[test]
    fn an_incident_lives_as_its_changes_say() {
        let close = Change::Close { disposition: Disposition::TruePositive, reason: "blocked".into() };
        let take = Change::SetOwner { owner: Some("lan".into()) };
        let note = Change::Note { text: "seen".into() };
        let add = |id: &str| Change::AddAlerts { alerts: vec![alert(id, "critical")] };
        let hand_over = |to| Change::HandOver { to, reason: "needs an analyst".into() };
        check(&[], Ok((Status::New, Level::Medium, 1, 1)));
        check(std::slice::from_ref(&take), Ok((Status::Active, Level::Medium, 1, 1)));
        check(&[add("b")], Ok((Status::New, Level::Critical, 1, 2)));
        check(&[add("a")], Ok((Status::New, Level::Medium, 1, 1)));
        check(&[hand_over(Layer::Professional)], Ok((Status::Active, Level::Medium, 2, 1)));
        check(&[hand_over(Layer::OnSite)], Err(Refused::SameLayer(1)));
        check(&[close.clone(), take], Err(Refused::Closed));
        check(&[close.clone(), note, add("b")], Ok((Status::Closed, Level::Critical, 1, 2)));
        check(&[close, Change::Reopen { reason: "again".into() }], Ok((Status::Active, Level::Medium, 1, 1)));
        check(&[Change::Reopen { reason: "x".into() }], Err(Refused::NotClosed));
        check(&[Change::Note { text: "  ".into() }], Err(Refused::Empty("note")));
        check(&[Change::SetStatus { status: Status::Closed }], Err(Refused::Empty("verdict")));
    }

    #[test]
    fn a_severity_set_by_a_person_is_not_raised_by_alerts() {
        let set = Change::SetSeverity { severity: "low".into(), reason: "a test system".into() };
        check(&[set, Change::AddAlerts { alerts: vec![alert("b", "critical")] }], Ok((Status::New, Level::Low, 1, 2)));
        let wrong = Change::SetSeverity { severity: "huge".into(), reason: "x".into() };
        check(&[wrong], Err(Refused::UnknownWord { what: "severity", word: "huge".into() }));
    }
}
