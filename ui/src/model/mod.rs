//! What pages show and ask for: plain values, neutral about how they are stored.
//!
//! In: filled by the [`crate::Desk`]. Out: drawn by the pages, serialized by the JSON API.
//! Vocabulary: docs/glossary.md; layers: Directive 14/CT-TTg (2019) on the four-layer model.

/// Declares an enum of plain words: the word is that of the JSON API, of forms and of message keys.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// Its word.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The one of this word.
            pub fn parse(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }
    };
}

pub mod alert;
pub mod proof;
pub mod retention;
pub mod erasure;
pub mod alive;
pub mod enrollment;
pub mod exception;
pub mod fit;
pub mod forwarder;
pub mod incident;
pub mod input;
pub mod preview;
pub mod reference;
pub mod rule;
pub mod seen;
pub mod source;
pub mod sql;

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::account::Localized;

pub use alert::{AlertChange, AlertDetail, AlertGroup, AlertPage, AlertQuery, AlertRow, Correlation, Evidence};
pub use alive::{Alive, AliveReason, Coverage, CoverageQuery, CoverageRuleRow, RuleLight, TacticColumn, TechniqueRow};
pub use enrollment::{
    EnrollmentRow, EnrollmentStanding, IssuedCode, NewEnrollment, Port, Reach, RefusedRow, SenderKind,
};
pub use exception::{
    ExceptionChange, ExceptionDraft, ExceptionPreview, ExceptionRow, ExceptionStanding, ExceptionStep, ExceptionTest,
    ExceptionView, NewException, RiskPartRow, RiskRow, TestChoice, TestHow,
};
pub use fit::{
    Fit, FitMatrix, FitState, MatrixQuery, MatrixRule, MatrixSource, RuleFit, RuleFitRow, SourceFit, SourceFitRow,
};
pub use forwarder::{ForwarderGap, ForwarderRow};
pub use incident::{IncidentChange, IncidentPage, IncidentQuery, IncidentRow, IncidentView, LayerStep, NewIncident};
pub use input::{ConfigReload, InputRow};
pub use preview::{HUNT_DAYS_MAX, HuntRow, NewHunt, PreviewHit, PreviewState, RulePreview};
pub use rule::{PROBLEMS_MAX, PackRow, RuleChange, RuleLoad, RuleRow, RuleStanding, RuleStep, RuleView};
pub use seen::{
    Around, Bucket, Facet, LiveCounters, Overview, SearchHint, SearchPage, SearchPart, SearchProgress, SearchQuery,
    TailPage, UserRow,
};
pub use source::{
    Gap, HOURS_MAX, HourCheck, NewOutage, OUTAGE_REASON_BYTES_MAX, OutageRow, Reasons, RhythmKind, RhythmRow,
    SourceHour, SourceRow, SourceView,
};
pub use sql::{SqlFormat, SqlQuery};

/// The most rows one page or call gives.
pub const PAGE_ROWS_MAX: usize = 500;
/// The longest note, reason or search text taken, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// The longest title taken, in bytes.
pub const TITLE_BYTES_MAX: usize = 512;
/// The most alerts named in one request.
pub const ALERTS_NAMED_MAX: usize = 200;

words! {
    /// How bad, as Sigma has it; order is urgency.
    Level {
        /// For information.
        Informational "informational",
        /// Low.
        Low "low",
        /// Medium.
        Medium "medium",
        /// High.
        High "high",
        /// Critical.
        Critical "critical",
    }
}

words! {
    /// Where an alert stands.
    AlertStatus {
        /// Nobody has it.
        New "new",
        /// Somebody has it.
        Acknowledged "acknowledged",
        /// Closed with a verdict.
        Closed "closed",
    }
}

words! {
    /// Where an incident stands.
    IncidentStatus {
        /// Opened, nobody works on it.
        New "new",
        /// Worked on.
        Active "active",
        /// Closed with a verdict.
        Closed "closed",
    }
}

words! {
    /// What an alert or incident turned out to be.
    Verdict {
        /// A real attack.
        TruePositive "true_positive",
        /// Really happened, and was allowed: expected activity, an exercise.
        BenignPositive "benign_positive",
        /// Did not happen: the rule is wrong.
        FalsePositive "false_positive",
        /// Could not be found out.
        Undetermined "undetermined",
    }
}

words! {
    /// The four organizational layers.
    Layer {
        /// Lực lượng tại chỗ.
        OnSite "on_site",
        /// Giám sát, bảo vệ chuyên nghiệp.
        Monitoring "monitoring",
        /// Kiểm tra, đánh giá độc lập.
        Assessment "assessment",
        /// Kết nối, chia sẻ thông tin với hệ thống giám sát quốc gia.
        National "national",
    }
}

impl Layer {
    /// 1 to 4.
    pub fn number(self) -> u8 {
        match self {
            Layer::OnSite => 1,
            Layer::Monitoring => 2,
            Layer::Assessment => 3,
            Layer::National => 4,
        }
    }

    /// The layer of this number.
    pub fn from_number(number: u8) -> Option<Layer> {
        Layer::ALL.iter().copied().find(|layer| layer.number() == number)
    }
}

words! {
    /// How far a layer is with an incident.
    LayerState {
        /// Not asked.
        NotInvolved "not_involved",
        /// Has it now.
        Current "current",
        /// Had it and handed it over.
        HandedOver "handed_over",
        /// Was involved when the incident was closed.
        Done "done",
    }
}

words! {
    /// What a source is doing.
    SourceState {
        /// Sends as usual.
        Active "active",
        /// Has not sent for longer than usual.
        Silent "silent",
        /// Has not sent for a while, as is usual for it.
        Quiet "quiet",
        /// Is known and has never sent.
        Never "never",
    }
}

words! {
    /// What an entry of an incident's timeline or an alert's history is.
    EntryKind {
        /// The incident or alert came to be.
        Opened "opened",
        /// An event of the evidence happened.
        Event "event",
        /// An alert fired or was added.
        Alert "alert",
        /// A person wrote.
        Note "note",
        /// Status changed.
        Status "status",
        /// Severity changed.
        Severity "severity",
        /// Owner changed.
        Owner "owner",
        /// Another layer took over.
        Handover "handover",
        /// Title changed.
        Title "title",
        /// Closed with a verdict.
        Closed "closed",
        /// Opened again.
        Reopened "reopened",
    }
}

/// Something an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Entity {
    /// The field it comes from (`source.ip`, `user.name`, `host.name`…), so that it can be searched for.
    pub field: String,
    /// Its value.
    pub value: String,
}

/// A unit by code and name, or nothing where a record belongs to none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitRow {
    /// The code (`nhatle.unit`).
    pub code: String,
    /// The name people know.
    pub name: Localized,
}

words! {
    /// The order of the queue.
    AlertSort {
        /// Level, then newest.
        Urgency "urgency",
        /// Newest first.
        Newest "newest",
        /// Oldest first.
        Oldest "oldest",
        /// Most matches first.
        Count "count",
    }
}

/// An entry of a timeline or history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// When it happened.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// What kind.
    pub kind: EntryKind,
    /// Who; `None` = the program.
    pub actor: Option<String>,
    /// What was written, or the alert's sentence.
    pub text: Localized,
    /// From what (word of a status, level, layer, or an account), for changes.
    pub from: Option<String>,
    /// To what.
    pub to: Option<String>,
    /// The alert or event it speaks of.
    pub alert_id: Option<String>,
    /// The event it speaks of.
    pub event_id: Option<String>,
}

pub(crate) fn as_text<S: serde::Serializer>(stamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(stamp)
}

pub(crate) fn as_text_or_null<S: serde::Serializer>(
    stamp: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match stamp {
        Some(stamp) => serializer.collect_str(stamp),
        None => serializer.serialize_none(),
    }
}
