//! `Zone`: at which distance from UTC times are shown.

use nhatle_event::Timestamp;

use crate::command::UsageError;

/// How far a zone may be from UTC, in minutes: none is farther than 14 hours.
const MINUTES_MAX: i32 = 14 * 60;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    minutes: i32,
}

impl Zone {
    /// `UTC`, `Z`, or a distance: `+07:00`, `-0330`, `+7`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Zone, UsageError> {
        let refusal = || UsageError(format!("--zone: `{text}` is no distance from UTC such as +07:00"));
        if ["UTC", "Z"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
            return Ok(Zone::default());
        }
        let (sign, digits) = match text.as_bytes() {
            [b'-', ..] => (-1, &text[1..]),
            [b'+', ..] => (1, &text[1..]),
            _ => (1, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') {
            return Err(refusal());
        }
        let (hours, minutes) = match digits.split_once(':') {
            Some(both) => both,
            None if digits.len() == 4 => digits.split_at(2),
            None => (digits, "0"),
        };
        let number = |text: &str| text.parse::<i32>().map_err(|_not_a_number| refusal());
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let all = hours.saturating_mul(60).saturating_add(minutes);
        if MINUTES_MAX < all || 59 < minutes {
            return Err(refusal());
        }
        Ok(Zone { minutes: sign * all })
    }

    /// A moment as RFC 3339 in this zone.
    pub fn show(self, at: Timestamp) -> String {
        if self.minutes == 0 {
            return at.to_string();
        }
        let moved = self.moved(at).to_string();
        format!("{}{}", moved.trim_end_matches('Z'), self.name())
    }

    /// The moment whose UTC reads as this one does here.
    pub fn moved(self, at: Timestamp) -> Timestamp {
        at.plus_nanos(i64::from(self.minutes) * 60_000_000_000)
    }

    /// `UTC`, or `+07:00`.
    pub fn name(self) -> String {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        match self.minutes.abs() {
            0 => "UTC".to_owned(),
            minutes => format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_where_people_are() {
        let at = Timestamp::parse("2026-02-03T20:05:06.5Z", 0).expect("is a time");
        let shown = |zone: &str| Zone::parse(zone).map(|zone| zone.show(at)).ok();
        for (zone, expected) in [
            ("UTC", "2026-02-03T20:05:06.500Z"),
            ("z", "2026-02-03T20:05:06.500Z"),
            ("+07:00", "2026-02-04T03:05:06.500+07:00"),
            ("7", "2026-02-04T03:05:06.500+07:00"),
            ("-0330", "2026-02-03T16:35:06.500-03:30"),
        ] {
            assert_eq!(shown(zone).as_deref(), Some(expected), "{zone}");
        }
        for wrong in ["", "+", "+15:00", "+07:60", "Asia/Ho_Chi_Minh", "+-7", "1:2:3", "99999999999"] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
