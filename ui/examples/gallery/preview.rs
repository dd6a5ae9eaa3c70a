//! A preview of a rule with hits on some days, and a hunt behind it.

use nhatle_event::Stored;
use nhatle_ui::model::{
    Bucket, HUNT_DAYS_MAX, HuntRow, NewHunt, PreviewHit, PreviewState, RulePreview, RuleRow, RuleStanding, UnitRow,
};
use nhatle_ui::{Answer, DeskError, Localized, Refusal};

use super::NOW;

const DAY_NS: i64 = 86_400_000_000_000;

/// What the rule would have found in `events`, for one who sees the city or not.
pub fn sample_preview(rule: &RuleRow, events: &[&Stored], sees_city: bool) -> RulePreview {
    let day = |number: i64| Bucket {
        start: NOW.plus_nanos((number - 30) * DAY_NS),
        end: NOW.plus_nanos((number - 29) * DAY_NS),
        count: u64::try_from(number * number % 11).unwrap_or(0),
    };
    let unit = UnitRow { code: "DH01".to_owned(), name: Localized::new("Phường Đồng Hới", "Dong Hoi ward") };
    let hunt = HuntRow {
        number: 3,
        rule_id: rule.id.clone(),
        by: "lan".to_owned(),
        begun: NOW,
        from: NOW.plus_nanos(-30 * DAY_NS),
        to: NOW,
        state: "done",
        percent: 100,
        events: 1_200_000,
        findings: 12,
        alerts: 3,
        known: 7,
        repeats: 2,
        hidden: 0,
    };
    RulePreview {
        detection_behind: 0,
        rule_id: rule.id.clone(),
        title: rule.title.clone(),
        is_on: rule.standing == RuleStanding::On,
        state: PreviewState::Partial,
        days: 30,
        looked_from: Some(NOW.plus_nanos(-20 * DAY_NS)),
        hits: 140,
        alerts: 26,
        alerts_a_day: 1.3,
        hidden: 4,
        last_hit: Some(NOW),
        by_day: (0..30).map(day).collect(),
        units: if sees_city { vec![(unit, 130)] } else { Vec::new() },
        hosts: vec![("may-01".to_owned(), 120), ("may-02".to_owned(), 20)],
        sample: events.iter().take(3).map(|stored| PreviewHit::of(stored)).collect(),
        in_true: 5,
        in_false: 2,
        events: 1_200_000,
        read: 2_400,
        at: Some(NOW),
        newer_events: 17,
        hunts: if sees_city { vec![hunt] } else { Vec::new() },
        is_hunting: false,
    }
}

/// The number of a hunt over `new.days` days; more days than one hunt may take are refused.
pub fn sample_hunt(new: &NewHunt) -> Answer<u64> {
    match new.days {
        1..=HUNT_DAYS_MAX => Ok(4),
        _ => Err(DeskError::Refused(Refusal::WrongState)),
    }
}
