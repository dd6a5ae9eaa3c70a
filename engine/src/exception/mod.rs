//! `Exception`: what is expected of a rule, because of what, until when, for whom; and whether a finding is.
//!
//! An exception is the fold of its changes. It takes effect at the alert, not in the rule: correlations go on
//! counting, a finding it hides is counted with it, and replaying history gives the same. It holds for events
//! that happened before `until`, so it ends by itself and the same way on any day it is looked at.
//!
//! In: changes with who and when; findings. Out: the exceptions as they stand; the number of the one that
//! hides a finding. Failure: a change that is refused, and why. Bounded: [`EXCEPTIONS_MAX`], [`TESTS_MAX`].

pub mod hide;

use nhatle_event::Timestamp;
use nhatle_rules::write::FieldTest;
use serde::{Deserialize, Serialize};

use crate::incident::Refused;

pub use hide::{Active, Hider, Subject};

/// How many exceptions there may be, ended ones included.
pub const EXCEPTIONS_MAX: usize = 20_000;
/// How many tests one has at most.
pub const TESTS_MAX: usize = 24;
/// How long a value of a test is, in bytes.
pub const VALUE_BYTES_MAX: usize = 4096;
/// How long a reason is, in characters.
pub const REASON_CHARS_MAX: usize = 2_000;
/// How far ahead an exception may end: what is expected for ever is a rule that must change.
pub const LIFE_DAYS_MAX: i64 = 366;
/// An exception that ends within so many days is said to its owner.
pub const REMIND_DAYS: i64 = 14;
/// How many steps of one exception are kept.
const STEPS_MAX: usize = 200;
const DAY_NS: i64 = 86_400_000_000_000;

/// One step in an exception's life (stream `exception/NUMBER`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ExceptionChange {
    /// It begins.
    Open {
        /// The rule or correlation it is of.
        rule_id: String,
        /// Its title on that day.
        rule_title: String,
        /// What must hold; all of them.
        tests: Vec<FieldTest>,
        /// Only findings of this unit; `None` = of any.
        unit: Option<String>,
        /// Why it is expected.
        because: String,
        /// When it ends, nanoseconds.
        until_ns: i64,
        /// Whose it is.
        owner: String,
        /// The alert it was made from.
        #[serde(default)]
        from_alert: Option<String>,
        /// How many known true positives it would have hidden, which somebody accepted.
        #[serde(default)]
        known_hidden: u64,
    },
    /// It ends later, or earlier.
    SetEnd {
        /// When, nanoseconds.
        until_ns: i64,
        /// Why.
        because: String,
    },
    /// Somebody else answers for it.
    SetOwner {
        /// The account.
        owner: String,
    },
    /// It ends now.
    End {
        /// Why.
        because: String,
    },
}

/// An exception as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Its number, from 1.
    pub number: u64,
    /// The rule or correlation it is of.
    pub rule_id: String,
    /// The rule's title on the day it was made.
    pub rule_title: String,
    /// What must hold; all of them.
    pub tests: Vec<FieldTest>,
    /// Only findings of this unit.
    pub unit: Option<String>,
    /// Why it is expected.
    pub because: String,
    /// It holds for events before this.
    pub until: Timestamp,
    /// Whose it is.
    pub owner: String,
    /// Who made it.
    pub maker: String,
    /// When it was made.
    pub opened: Timestamp,
    /// When somebody ended it.
    pub ended: Option<Timestamp>,
    /// The alert it was made from.
    pub from_alert: Option<String>,
    /// How many known true positives were accepted to be hidden.
    pub known_hidden: u64,
    /// What was done, oldest first.
    pub steps: Vec<(Timestamp, String, ExceptionChange)>,
}

/// Where an exception stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Active,
    /// It holds, and ends within [`REMIND_DAYS`].
    Ending,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Ended,
}

impl Exception {
    /// Where it stands.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self.ended {
            Some(_) => Standing::Ended,
            None if self.until <= now => Standing::Expired,
            None if self.until.since(now) <= REMIND_DAYS * DAY_NS => Standing::Ending,
            None => Standing::Active,
        }
    }
}

/// The exception after a change.
///
/// # Errors
/// The change is refused; why.
pub fn apply(
    before: Option<&Exception>,
    number: u64,
    change: &ExceptionChange,
    actor: &str,
    at: Timestamp,
) -> Result<Exception, Refused> {
    check(change, at)?;
    let mut exception = match (before, change) {
        (Some(_), ExceptionChange::Open { .. }) => return Err(Refused::Exists),
        (None, ExceptionChange::Open { .. }) => opened(number, change, actor, at).ok_or(Refused::Unknown)?,
        (None, _) => return Err(Refused::Unknown),
        (Some(before), _) if before.ended.is_some() => return Err(Refused::Closed),
        (Some(before), _) => before.clone(),
    };
    match change {
        ExceptionChange::Open { .. } => {}
        ExceptionChange::SetEnd { until_ns, .. } => exception.until = Timestamp(*until_ns),
        ExceptionChange::SetOwner { owner } => exception.owner.clone_from(owner),
        ExceptionChange::End { .. } => exception.ended = Some(at),
    }
    if exception.steps.len() < STEPS_MAX {
        exception.steps.push((at, actor.to_owned(), change.clone()));
    }
    Ok(exception)
}

fn opened(number: u64, change: &ExceptionChange, actor: &str, at: Timestamp) -> Option<Exception> {
    let ExceptionChange::Open { rule_id, rule_title, tests, unit, because, until_ns, owner, from_alert, known_hidden } =
        change
    else {
        return None;
    };
    Some(Exception {
        number,
        rule_id: rule_id.clone(),
        rule_title: rule_title.clone(),
        tests: tests.clone(),
        unit: unit.clone(),
        because: because.clone(),
        until: Timestamp(*until_ns),
        owner: owner.clone(),
        maker: actor.to_owned(),
        opened: at,
        ended: None,
        from_alert: from_alert.clone(),
        known_hidden: *known_hidden,
        steps: Vec::new(),
    })
}

fn check(change: &ExceptionChange, at: Timestamp) -> Result<(), Refused> {
    let (because, until_ns, owner) = match change {
        ExceptionChange::Open { tests, because, until_ns, owner, .. } => {
            let is_test = |test: &FieldTest| !test.field.trim().is_empty() && !test.value.is_empty();
            if tests.is_empty() || !tests.iter().all(is_test) {
                return Err(Refused::Empty("test"));
            }
            let is_long = |test: &FieldTest| VALUE_BYTES_MAX < test.value.len() || 256 < test.field.len();
            if TESTS_MAX < tests.len() || tests.iter().any(is_long) {
                return Err(Refused::TooLong { what: "list of tests", max: TESTS_MAX });
            }
            (Some(because), Some(*until_ns), Some(owner))
        }
        ExceptionChange::SetEnd { until_ns, because } => (Some(because), Some(*until_ns), None),
        ExceptionChange::SetOwner { owner } => (None, None, Some(owner)),
        ExceptionChange::End { because } => (Some(because), None, None),
    };
    if let Some(because) = because {
        if because.trim().is_empty() {
            return Err(Refused::Empty("reason"));
        }
        if REASON_CHARS_MAX < because.chars().count() {
            return Err(Refused::TooLong { what: "reason", max: REASON_CHARS_MAX });
        }
    }
    if owner.is_some_and(|owner| owner.trim().is_empty()) {
        return Err(Refused::Empty("owner"));
    }
    let is_outside = |until_ns: i64| until_ns <= at.0 || LIFE_DAYS_MAX * DAY_NS < until_ns.saturating_sub(at.0);
    if until_ns.is_some_and(is_outside) {
        return Err(Refused::UnknownWord {
            what: "end",
            word: until_ns.map_or_else(String::new, |end| Timestamp(end).to_string()),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nhatle_rules::write::How;

    use super::*;

    pub(super) fn open(until_days: i64) -> ExceptionChange {
        ExceptionChange::Open {
            rule_id: "r".into(),
            rule_title: "R".into(),
            tests: vec![FieldTest { field: "user.name".into(), how: How::Equals, value: "backup".into() }],
            unit: None,
            because: "Sao lưu hằng đêm".into(),
            until_ns: until_days * DAY_NS,
            owner: "lan".into(),
            from_alert: None,
            known_hidden: 0,
        }
    }

    #[test]
    fn it_begins_is_reminded_of_and_ends_by_itself() {
        let one = apply(None, 1, &open(100), "lan", Timestamp(1)).expect("opens");
        let rows = [(0, Standing::Active), (85, Standing::Active), (86, Standing::Ending), (100, Standing::Expired)];
        for (day, expected) in rows {
            assert_eq!(one.standing(Timestamp(day * DAY_NS)), expected, "day {day}");
        }
        let longer = ExceptionChange::SetEnd { until_ns: 200 * DAY_NS, because: "hợp đồng mới".into() };
        let one = apply(Some(&one), 1, &longer, "minh", Timestamp(2)).expect("is extended");
        assert_eq!((one.standing(Timestamp(100 * DAY_NS)), one.steps.len()), (Standing::Active, 2));
        let end = ExceptionChange::End { because: "không cần nữa".into() };
        let one = apply(Some(&one), 1, &end, "minh", Timestamp(3)).expect("ends");
        assert_eq!(one.standing(Timestamp(4)), Standing::Ended);
        assert_eq!(apply(Some(&one), 1, &longer, "minh", Timestamp(5)), Err(Refused::Closed));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        type Edit<'a> = &'a dyn Fn(&mut Vec<FieldTest>, &mut String, &mut i64, &mut String);
        let edit = |edit: Edit<'_>| {
            let mut change = open(10);
            if let ExceptionChange::Open { tests, because, until_ns, owner, .. } = &mut change {
                edit(tests, because, until_ns, owner);
            }
            apply(None, 1, &change, "lan", Timestamp(DAY_NS)).is_err()
        };
        assert!(!edit(&|_, _, _, _| {}));
        assert!(edit(&|tests, _, _, _| tests.clear()));
        assert!(edit(&|tests, _, _, _| tests[0].value.clear()));
        assert!(edit(&|tests, _, _, _| tests[0].value = "x".repeat(VALUE_BYTES_MAX + 1)));
        assert!(edit(&|tests, _, _, _| *tests = vec![tests[0].clone(); TESTS_MAX + 1]));
        assert!(edit(&|_, because, _, _| because.clear()));
        assert!(edit(&|_, _, until_ns, _| *until_ns = DAY_NS));
        assert!(edit(&|_, _, until_ns, _| *until_ns = DAY_NS * 400));
        assert!(edit(&|_, _, _, owner| owner.clear()));
        assert_eq!(
            apply(None, 1, &ExceptionChange::End { because: "x".into() }, "lan", Timestamp(1)),
            Err(Refused::Unknown)
        );
        let one = apply(None, 1, &open(10), "lan", Timestamp(1)).expect("opens");
        assert_eq!(apply(Some(&one), 1, &open(10), "lan", Timestamp(1)), Err(Refused::Exists));
    }
}
