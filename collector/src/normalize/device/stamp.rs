//! Times as devices write them: epoch numbers, RFC 3339, `Mmm dd yyyy hh:mm:ss zone`, `yyyy/mm/dd hh:mm:ss`.
//!
//! In: a value, the zone of times that name none. Out: the moment, or nothing where it is no time; the caller
//! has another one then. Zone names are few on purpose: most abbreviations mean several zones (IST, CST).

use nhatle_event::time::offset_of;
use nhatle_event::{Timestamp, Value};

use crate::normalize::Context;
use crate::parse;

/// The offset that a zone's name or number means.
pub fn zone(text: &str) -> Option<i32> {
    let text = text.trim();
    if let Some(offset_s) = parse::date::named_zone(text) {
        return Some(offset_s);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|c| *c != ':').take(5).collect();
    let (hours, minutes) = match digits.len() {
        2 => (digits.parse::<i32>().ok()?, 0),
        4 => (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?),
        _ => return None,
    };
    ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The moment a value means; times without a zone are the source's.
pub fn moment(text: &str, context: &Context<'_>) -> Option<Timestamp> {
    moment_in(text, context, context.offset_s)
}

/// [`moment`] with the zone that the device names elsewhere.
pub fn moment_in(text: &str, context: &Context<'_>, offset_s: i32) -> Option<Timestamp> {
    let text = text.trim();
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    if let Some(stamp) = parse::json::moment(&Value::from(text), offset_s) {
        return Some(stamp);
    }
    if text.as_bytes().get(4) == Some(&b'/') {
        return Timestamp::parse(&text.replacen('/', "-", 2), offset_s);
    }
    let (stamp, used) = parse::date::bsd(text, context.record.received, offset_s).ok()??;
    match text.get(used..).and_then(zone) {
        Some(told) if offset_of(told, offset_s) != offset_s => {
            parse::date::bsd(text, context.record.received, told).ok()?.map(|(stamp, _)| stamp)
        }
        _ => Some(stamp),
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::Record;

    use super::*;

    #[test]
    fn times_of_every_shape() {
        let record = Record::new(*b"", "test", Timestamp::parse("2026-12-01T00:00:00Z", 0).expect("is a date"));
        let context = Context { record: &record, profile: None, offset_s: 7 * 3600 };
        let shown = |text: &str| moment(text, &context).map(|stamp| stamp.to_string());
        for text in [
            "1795399800000",
            "1795399800",
            "2026-11-23T09:10:00+07:00",
            "2026-11-23 09:10:00",
            "2026/11/23 09:10:00",
            "Nov 23 2026 09:10:00",
            "Nov 23 2026 02:10:00 GMT",
            "Nov 23 2026 02:10:00.000 UTC",
            "Nov 23 09:10:00",
        ] {
            assert_eq!(
                shown(text).as_deref().map(|text| text.trim_end_matches(".000Z")),
                Some("2026-11-23T02:10:00Z").filter(|_| !text.is_empty()),
                "{text}"
            );
        }
        for text in ["", "now", "Feb 30 2026 01:02:03", "2026/13/01 00:00:00", "x".repeat(100).as_str()] {
            assert_eq!(shown(text), None, "{text}");
        }
        assert_eq!(
            (zone("+0530"), zone("-03:00"), zone("+07"), zone("IST"), zone("+2500")),
            (Some(19800), Some(-10800), Some(25200), None, None)
        );
    }
}
