//! Exceptions as pages and the JSON API show them: what is expected of a rule, why, until when, for whom.
//!
//! Plain values filled by the [`crate::Desk`]; nothing here can fail.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AlertRow, Level, UnitRow, Verdict, as_text, as_text_or_null};
use crate::account::Localized;

words! {
    /// Where an exception stands.
    ExceptionStanding {
        /// It holds.
        Active "active",
        /// It holds and ends soon.
        Ending "ending",
        /// Its time is over.
        Expired "expired",
        /// Somebody ended it.
        Ended "ended",
    }
}

words! {
    /// How a value is compared; Sigma's words.
    TestHow {
        /// The whole value, without case.
        Equals "equals",
        /// At its front.
        StartsWith "startswith",
        /// At its end.
        EndsWith "endswith",
        /// Anywhere in it.
        Contains "contains",
        /// An address inside a network.
        Cidr "cidr",
    }
}

/// One test; all of an exception's must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExceptionTest {
    /// The field, as the rule or ECS names it.
    pub field: String,
    /// How it is compared.
    pub how: TestHow,
    /// The value, plain.
    pub value: String,
}

/// One exception in the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExceptionRow {
    /// Its number.
    pub number: u64,
    /// The rule it is of.
    pub rule_id: String,
    /// The rule's title.
    pub rule_title: Localized,
    /// What must hold.
    pub tests: Vec<ExceptionTest>,
    /// Only findings of this unit.
    pub unit: Option<UnitRow>,
    /// Why it is expected.
    pub because: String,
    /// It holds for events before this.
    #[serde(serialize_with = "as_text")]
    pub until: Timestamp,
    /// Whose it is.
    pub owner: String,
    /// Who made it.
    pub maker: String,
    /// When it was made.
    #[serde(serialize_with = "as_text")]
    pub opened: Timestamp,
    /// Where it stands.
    pub standing: ExceptionStanding,
    /// How many findings it has hidden.
    pub hidden: u64,
    /// When the newest of them happened.
    #[serde(serialize_with = "as_text_or_null")]
    pub hidden_newest: Option<Timestamp>,
    /// Why it hides nothing, if so.
    pub fault: Option<String>,
}

/// One step in an exception's life.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExceptionStep {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// `open`, `set_end`, `set_owner`, `end`.
    pub kind: &'static str,
    /// Why, or to whom.
    pub text: String,
    /// Until when, where the step says it.
    #[serde(serialize_with = "as_text_or_null")]
    pub until: Option<Timestamp>,
}

/// One exception in full.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExceptionView {
    /// Its row.
    pub row: ExceptionRow,
    /// It as a Sigma filter.
    pub sigma: String,
    /// The alert it was made from.
    pub from_alert: Option<String>,
    /// How many known true positives were accepted to be hidden.
    pub known_hidden: u64,
    /// What was done, oldest first.
    pub history: Vec<ExceptionStep>,
}

/// A test that can be chosen, with how telling it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestChoice {
    /// The test.
    pub test: ExceptionTest,
    /// Part of the narrowest exception that is proposed.
    pub is_proposed: bool,
    /// In how many of the alerts looked at it holds.
    pub shared: u64,
}

/// What an exception from an alert could be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExceptionDraft {
    /// The alert.
    pub alert: AlertRow,
    /// Tests to choose from.
    pub choices: Vec<TestChoice>,
    /// How many alerts of the rule were looked at.
    pub looked_at: u64,
}

/// An exception somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewException {
    /// The alert it is made from; its rule is the rule.
    pub alert_id: String,
    /// What must hold.
    pub tests: Vec<ExceptionTest>,
    /// Only for this unit.
    #[serde(default)]
    pub unit: Option<String>,
    /// Why it is expected.
    pub because: String,
    /// Until when, nanoseconds since 1970.
    pub until_ns: i64,
    /// Whose it is; empty = who asks.
    #[serde(default)]
    pub owner: String,
    /// Known true positives it would have hidden are accepted.
    #[serde(default)]
    pub accepts_known: bool,
}

/// What a wanted exception would have done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExceptionPreview {
    /// Over how many days back.
    pub days: u32,
    /// Alerts of the rule in that time that were looked at.
    pub looked_at: u64,
    /// There are more: known attacks and then the newest were looked at, as many as five seconds allowed.
    pub is_partial: bool,
    /// How many it would have hidden.
    pub hidden: u64,
    /// The same by verdict, `None` = open.
    pub by_verdict: Vec<(Option<Verdict>, u64)>,
    /// The newest of them, at most 10.
    pub sample: Vec<AlertRow>,
    /// Known true positives among them, newest first, at most 10.
    pub attacks: Vec<AlertRow>,
    /// Positive samples of the rule it would hide: what they say they are for.
    pub samples: Vec<String>,
    /// Why the tests mean nothing.
    pub fault: Option<String>,
}

impl ExceptionPreview {
    /// Whether somebody must say that hiding attacks is accepted.
    pub fn is_unsafe(&self) -> bool {
        !self.attacks.is_empty() || !self.samples.is_empty()
    }
}

/// What to do with an exception.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ExceptionChange {
    /// It ends then.
    SetEnd {
        /// Nanoseconds since 1970.
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

/// One rule's share of an entity's risk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskPartRow {
    /// The rule.
    pub rule_id: String,
    /// Its title.
    pub title: Localized,
    /// Its level.
    pub level: Level,
    /// What the level weighs.
    pub weight: f64,
    /// How many alerts.
    pub count: u64,
    /// What repetition multiplies by.
    pub repetition: f64,
    /// What age leaves.
    pub freshness: f64,
    /// When the newest was.
    #[serde(serialize_with = "as_text")]
    pub newest: Timestamp,
    /// The product.
    pub points: f64,
}

/// A host, account or address with its risk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskRow {
    /// The field it is a value of, and the value.
    pub entity: super::Entity,
    /// The unit it is of, where another unit may have one of the same name.
    pub unit: Option<UnitRow>,
    /// The sum of the parts.
    pub score: f64,
    /// How important it is, 1 to 5, where known.
    pub importance: Option<u8>,
    /// What the importance multiplies by.
    pub importance_factor: f64,
    /// One for each rule, largest first.
    pub parts: Vec<RiskPartRow>,
}
