//! Whether a clock is believed: an event's time against the moment it was received.
//!
//! In: an event that is read, the limits of its source. Out: the same event; one whose time lies outside them has the
//! time of its receipt as `@timestamp`, what it said in `nhatle.time.said` and why in `nhatle.time.problem`. Total.
//! Files that are imported or hunted have no limits: what they say is evidence, however old.

use nhatle_event::{Event, Field, Timestamp};

const SECOND_NS: i64 = 1_000_000_000;

/// 2000-01-01T00:00:00Z. A device whose clock was never set starts in 1970, some in 1980 or 1999; none sends from there.
pub const UNSET_BEFORE: Timestamp = Timestamp(946_684_800 * SECOND_NS);

/// Between which times an event's own time is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLimits {
    /// How far past its receipt it may lie, nanoseconds; `None` = as far as it says.
    pub ahead_max_ns: Option<i64>,
    /// How far before its receipt it may lie, nanoseconds; `None` = as far as it says.
    pub behind_max_ns: Option<i64>,
    /// Times before the year 2000 are those of a clock that was never set.
    pub is_unset_told: bool,
}

impl TimeLimits {
    /// The limits of an input that is received as it happens. 0 seconds = as far as it says.
    pub fn live(ahead_max_s: u64, behind_max_s: u64) -> TimeLimits {
        let nanos = |seconds: u64| {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            Some(seconds.saturating_mul(SECOND_NS)).filter(|ns| 0 < *ns)
        };
        TimeLimits { ahead_max_ns: nanos(ahead_max_s), behind_max_ns: nanos(behind_max_s), is_unset_told: true }
    }

    /// What is wrong with a time; `None` = it is believed.
    pub fn problem(&self, said: Timestamp, received: Timestamp) -> Option<&'static str> {
        let ahead = said.since(received);
        if self.is_unset_told && said < UNSET_BEFORE {
            return Some("unset");
        }
        if self.ahead_max_ns.is_some_and(|most| most < ahead) {
            return Some("ahead");
        }
        self.behind_max_ns.is_some_and(|most| ahead < -most).then_some("behind")
    }

    /// Gives an event whose time is not believed the time of its receipt, and keeps what it said.
    pub fn apply(&self, event: &mut Event) {
        let Some(problem) = self.problem(event.timestamp, event.received) else { return };
        event.set(Field::NHATLE_TIME_SAID, event.timestamp);
        event.set(Field::NHATLE_TIME_PROBLEM, problem);
        event.timestamp = event.received;
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::time::fixed_offset;
    use nhatle_event::{Record, Value};

    use super::*;
    use crate::{Encoding, Settings, SourceSetting, SourceSettings, to_event};

    /// The zone of a source: none said, said, or said to count whatever its times name.
    #[derive(Clone, Copy)]
    enum Zone {
        Vietnam,
        Of(i32),
        Always(i32),
    }
    use Zone::{Always, Of, Vietnam};

    /// A line received at a moment becomes an event of this time; and what it said, where that is not believed.
    #[track_caller]
    fn check(received: &str, zone: Zone, line: &str, expected: &str, said: Option<(&str, &str)>) {
        let offset_s = match zone {
            Vietnam => None,
            Of(hours) => Some(hours * 3600),
            Always(hours) => Some(fixed_offset(hours * 3600)),
        };
        let settings = Settings {
            default_offset_s: 7 * 3600,
            time: TimeLimits::live(86_400, 0),
            sources: SourceSettings::new(vec![SourceSetting { offset_s, ..SourceSetting::default() }]),
            ..Settings::default()
        };
        let record = Record::new(line.as_bytes(), "test", Timestamp::parse(received, 0).expect("is a date"));
        let event = to_event(&record, &settings).expect("is an event");
        assert_eq!(event.timestamp.to_string(), expected, "{line}");
        let kept = event.get(Field::NHATLE_TIME_SAID).map(|value| match value {
            Value::Date(stamp) => stamp.to_string(),
            other => format!("{other:?}"),
        });
        let problem = event.text(Field::NHATLE_TIME_PROBLEM);
        assert_eq!(kept.as_deref().zip(problem), said, "{line}");
        assert_eq!(event.received, record.received);
    }

    /// The table of docs/sources.md, row by row.
    #[test]
    fn what_becomes_of_a_time() {
        let noon = "2026-06-15T05:00:00Z";
        // A zone is named.
        check(noon, Vietnam, "<13>1 2026-06-15T04:59:00Z h a - - - x", "2026-06-15T04:59:00Z", None);
        check(noon, Vietnam, "<13>1 2026-06-15T11:59:00+07:00 h a - - - x", "2026-06-15T04:59:00Z", None);
        // None is named: the collector's, or the source's.
        check(noon, Vietnam, "<13>Jun 15 11:59:00 h a: x", "2026-06-15T04:59:00Z", None);
        check(noon, Of(9), "<13>Jun 15 13:59:00 h a: x", "2026-06-15T04:59:00Z", None);
        check(noon, Of(9), "<13>1 2026-06-15T04:59:00Z h a - - - x", "2026-06-15T04:59:00Z", None);
        // The wrong one is named.
        check(noon, Always(7), "<13>1 2026-06-15T11:59:00Z h a - - - x", "2026-06-15T04:59:00Z", None);
        check(noon, Always(7), "<13>1 2026-06-15T11:59:00+08:00 h a - - - x", "2026-06-15T04:59:00Z", None);
        check(noon, Always(7), "<13>Jun 15 11:59:00 h a: x", "2026-06-15T04:59:00Z", None);
        check(noon, Always(7), "<13>Jun 15 2026 11:59:00 UTC: %SYS-5-X: y", "2026-06-15T04:59:00Z", None);
        check(noon, Always(7), r#"{"time":"2026-06-15T11:59:00Z"}"#, "2026-06-15T04:59:00Z", None);
        check(
            noon,
            Always(7),
            "192.0.2.1 - - [15/Jun/2026:11:59:00 +0000] \"GET / HTTP/1.1\" 200 1",
            "2026-06-15T04:59:00Z",
            None,
        );
        // Numbers of seconds name no zone that could be wrong.
        check(noon, Always(7), r#"{"time":1781499540}"#, "2026-06-15T04:59:00Z", None);
        // No year: the nearest one that is not more than a day ahead.
        check("2026-12-31T17:30:00Z", Vietnam, "<13>Dec 31 23:59:59 h a: x", "2026-12-31T16:59:59Z", None);
        check("2026-12-31T16:59:00Z", Vietnam, "<13>Jan  1 00:00:01 h a: x", "2026-12-31T17:00:01Z", None);
        check("2027-01-01T10:00:00Z", Vietnam, "<13>Dec 31 10:00:00 h a: x", "2026-12-31T03:00:00Z", None);
        check("2027-03-01T10:00:00Z", Vietnam, "<13>Feb 29 10:00:00 h a: x", "2024-02-29T03:00:00Z", None);
        // No time at all: that of the receipt.
        check(noon, Vietnam, "<13>a: x", noon, None);
        // A leap second is the second after it. Summer time is not known here: an offset is all there is of a zone.
        check("2027-01-01T05:00:00Z", Vietnam, "<13>1 2026-12-31T23:59:60Z h a - - - x", "2027-01-01T00:00:00Z", None);
        check("2027-01-01T05:00:00Z", Vietnam, "<13>Jan  1 06:59:60 h a: x", "2027-01-01T00:00:00Z", None);
        // The future is believed for a day.
        check(noon, Vietnam, "<13>1 2026-06-16T04:59:00Z h a - - - x", "2026-06-16T04:59:00Z", None);
        let ahead = Some(("2026-06-16T05:01:00Z", "ahead"));
        check(noon, Vietnam, "<13>1 2026-06-16T05:01:00Z h a - - - x", noon, ahead);
        // A clock that was never set.
        check(noon, Vietnam, "<13>1 1970-01-01T00:02:03Z h a - - - x", noon, Some(("1970-01-01T00:02:03Z", "unset")));
        check(noon, Vietnam, "<13>Jan  1 1980 07:00:00 h a: x", noon, Some(("1980-01-01T00:00:00Z", "unset")));
        // The past is believed, unless a limit is set.
        check(noon, Vietnam, "<13>1 2019-06-15T04:59:00Z h a - - - x", "2019-06-15T04:59:00Z", None);
    }

    #[test]
    fn limits_are_those_of_the_source() {
        let setting = SourceSetting { time: Some(TimeLimits::live(0, 3_600)), ..SourceSetting::default() };
        let settings = Settings {
            time: TimeLimits::live(60, 0),
            sources: SourceSettings::new(vec![setting]),
            ..Settings::default()
        };
        let received = Timestamp::parse("2026-06-15T05:00:00Z", 0).expect("is a date");
        for (line, problem) in [
            ("<13>1 2036-06-15T04:59:00Z h a - - - x", None),
            ("<13>1 2026-06-15T03:59:00Z h a - - - x", Some("behind")),
            ("<13>1 2026-06-15T04:01:00Z h a - - - x", None),
        ] {
            let event = to_event(&Record::new(line.as_bytes(), "test", received), &settings).expect("is an event");
            assert_eq!(event.text(Field::NHATLE_TIME_PROBLEM), problem, "{line}");
        }
        let evidence = Record::new(*b"<13>1 1970-01-01T00:02:03Z h a - - - x", "file", received);
        let event = to_event(&evidence, &Settings::default()).expect("is an event");
        assert_eq!(event.timestamp.to_string(), "1970-01-01T00:02:03Z", "files are believed");
    }

    #[test]
    fn settings_say_how_bytes_are_read_and_the_bytes_stay() {
        let by_host = |host: &str, encoding, profile| SourceSetting {
            senders: vec![crate::enrich::Sender::new(host)],
            encoding,
            profile,
            ..SourceSetting::default()
        };
        let settings = Settings {
            sources: SourceSettings::new(vec![
                by_host("ubnd-01", Encoding::Tcvn3, None),
                by_host("kv-01", Encoding::Vni, Some(crate::Profile::KeyValue)),
            ]),
            ..Settings::default()
        };
        let read = |bytes: &[u8]| to_event(&Record::new(bytes, "test", Timestamp(0)), &settings);
        let bytes = b"<13>Feb  3 04:05:06 ubnd-01 hoso[7]: L\xb7i \x80 su\xcat";
        let event = read(bytes).expect("is an event");
        assert_eq!(event.text(Field::MESSAGE), Some("Lãi \u{fffd} suất"));
        assert_eq!(event.get(Field::NHATLE_UNMAPPED_BYTES), Some(&Value::Long(1)));
        assert_eq!(&*event.original, bytes, "hashes are over these");
        let event = read(b"host=kv-01 user=Nguye\xe3n").expect("is an event");
        let user = Field::lookup("user").and_then(|field| event.text(field));
        assert_eq!(user, Some("Nguyễn"));
        // A dead letter says the place in the bytes as they came.
        let mut by_peer = Record::new(*b"<13>Feb 30 04:05:06 \xb7\xb7 x: y", "test", Timestamp(0));
        by_peer.peer = "192.0.2.7".parse().ok();
        let peer = by_host("192.0.2.7", Encoding::Tcvn3, None);
        let settings = Settings { sources: SourceSettings::new(vec![peer]), ..Settings::default() };
        let dead = to_event(&by_peer, &settings).expect_err("does not exist");
        assert_eq!((dead.offset, &*dead.record.bytes), (8, &*by_peer.bytes));
        let event = crate::dead_letter_event(&dead, &settings);
        assert_eq!(event.text(Field::MESSAGE), Some("<13>Feb 30 04:05:06 ãã x: y"));
    }

    #[test]
    fn letters_sent_in_parts_are_composed() {
        let line = "{\"ten\":\"\u{110}o\u{302}\u{300}ng Ho\u{31b}\u{301}i\",\"ds\":[\"a\",\"e\\u0302\\u0301\"]}";
        let event = to_event(&Record::new(line.as_bytes(), "test", Timestamp(0)), &Settings::default());
        let event = event.expect("is an event");
        let of = |name: &str| Field::lookup(name).and_then(|field| event.get(field)).cloned();
        assert_eq!(of("ten"), Some(Value::from("Đồng Hới")));
        assert_eq!(of("ds"), Some(Value::List(vec![Value::from("a"), Value::from("ế")])));
        assert_eq!(&*event.original, line.as_bytes());
    }
}
