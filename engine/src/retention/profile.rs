//! The legal minimums, as data: what is demanded, where it is written, and when that was last read. It is no legal advice.
//!
//! Source: TCVN 14423:2026 (security logs by level), Decree 333/2026 articles 16.6, 20.3 and 22. The texts were read as
//! copies, not in the gazette.

use super::Purpose;

/// The profile these are of.
pub const PROFILE: &str = "vn-2026";

/// One demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minimum {
    /// Of systems of this level; 0 = of all.
    pub level: u8,
    /// Of records kept for this; `None` = for whatever.
    pub purpose: Option<Purpose>,
    /// So many months at least.
    pub months: u32,
    /// Where it is written.
    pub basis: &'static str,
    /// When that was last read (year and month).
    pub checked: &'static str,
}

const STANDARD: &str = "TCVN 14423:2026, nhật ký an toàn thông tin theo cấp độ";

const fn of_level(level: u8, months: u32) -> Minimum {
    Minimum { level, purpose: None, months, basis: STANDARD, checked: "2026-11" }
}

const fn of_purpose(purpose: Purpose, basis: &'static str) -> Minimum {
    Minimum { level: 0, purpose: Some(purpose), months: 12, basis, checked: "2026-11" }
}

/// All demands.
pub fn minimums() -> &'static [Minimum] {
    const ALL: [Minimum; 7] = [
        of_level(2, 1),
        of_level(3, 3),
        of_level(4, 6),
        of_level(5, 12),
        of_purpose(Purpose::OnlineService, "Nghị định 333/2026/NĐ-CP, điều 16.6"),
        of_purpose(Purpose::Investigation, "Nghị định 333/2026/NĐ-CP, điều 20.3"),
        of_purpose(Purpose::InternetProvider, "Nghị định 333/2026/NĐ-CP, điều 22"),
    ];
    &ALL
}
