//! What stands between the syslog header and the mark of a Cisco message.
//!
//! In: a message. Out: the device's own date, its name, its program; nothing where no mark follows. Source: Cisco, "System
//! message logging" of IOS, IOS XR and NX-OS; ASA `logging device-id`, `logging timestamp`.

use nhatle_event::Timestamp;

use crate::normalize::Context;
use crate::parse::{self, Syslog};

/// What stands between the syslog header and the mark.
#[derive(Default)]
pub(super) struct Front<'a> {
    pub(super) stamp: Option<Timestamp>,
    pub(super) host: Option<&'a str>,
    pub(super) program: Option<(&'a str, Option<i64>)>,
}

/// How far behind its date a mark may stand: fraction, zone, colon.
const MARK_BEHIND_DATE_MAX: usize = 48;

/// The mark and what follows, where a date of the device's own stands before it: `*Nov 23 02:10:00.125 UTC: %SYS-5-…`, also behind a
/// sequence number or a task (`*spamApTask3: Nov 23 02:10:00.125: %CAPWAP-3-…`). Nothing else is written so.
pub(super) fn dated_mark(text: &str) -> Option<&str> {
    let mut left = text;
    for _ in 0..3 {
        let body = left.trim_start_matches(['*', '.', ' ']);
        // NX-OS writes the year first.
        let body = match body.split_once(' ') {
            Some((year, rest)) if year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()) => rest,
            _ => body,
        };
        if parse::date::month(body.as_bytes()).is_some() && body.as_bytes().get(3) == Some(&b' ') {
            let near = body.get(..MARK_BEHIND_DATE_MAX).unwrap_or(body);
            let at = near.find(": %")?;
            // Only a time or a zone's name stands there; another word is a host, and that header a relay's.
            let last = near.get(..at)?.rsplit(' ').next()?;
            let is_zone = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_uppercase());
            return if is_zone || last.contains(':') { body.get(at + 2..) } else { None };
        }
        let (word, rest) = left.split_once(": ")?;
        if word.is_empty() || word.contains(' ') {
            return None;
        }
        left = rest;
    }
    None
}

/// How many words with a colon may stand before the mark.
const FRONT_WORDS_MAX: usize = 6;

/// Reads what devices put before their mark, in whatever order: a sequence number, their name (`logging origin-id`), the node
/// of IOS XR, their own date (which counts, where a relay put another before it), the program of NX-OS and IOS XR:
/// `4711: sw-01: *Nov 23 02:10:00.125 UTC: %SYS-5-…`, `: 2026 Nov 23 09:10:00 ICT: %DAEMON-3-…`.
pub(super) fn front<'a>(parts: &Syslog<'a>, context: &Context<'_>) -> Front<'a> {
    let mut found = Front::default();
    let mut left = parts.message;
    for _ in 0..FRONT_WORDS_MAX {
        left = left.trim_start_matches([':', ' ', '*', '.']);
        if left.starts_with('%') {
            return found;
        }
        // NX-OS writes the year first.
        let year = left.get(..5).and_then(|text| text.strip_suffix(' ')).and_then(|text| text.parse::<u16>().ok());
        let dated = year.and_then(|year| {
            let (month, rest) = left.get(5..)?.split_once(' ')?;
            let (day, rest) = rest.trim_start().split_once(' ')?;
            let stamp =
                parse::date::bsd(&format!("{month} {day} {year} {rest}"), context.record.received, context.offset_s);
            let (stamp, used) = stamp.ok()??;
            let used = (used + rest.len()).checked_sub(format!("{month} {day} {year} {rest}").len())?;
            Some((stamp, rest.get(used..)?))
        });
        let dated = dated.or_else(|| {
            let (stamp, used) = parse::date::bsd(left, context.record.received, context.offset_s).ok()??;
            Some((stamp, left.get(used..)?))
        });
        if let Some((stamp, rest)) = dated {
            (found.stamp, left) = (Some(stamp), rest);
            continue;
        }
        // A name alone before the mark: `fw-01 : %ASA-…`, `fw-01 %ASA-…`.
        if let Some((word, rest)) = left.split_once(' ')
            && rest.trim_start_matches([':', ' ']).starts_with('%')
            && !word.contains([':', '<', '['])
            && !word.bytes().all(|byte| byte.is_ascii_digit())
        {
            (found.host, left) = (found.host.or(Some(word)), rest);
            continue;
        }
        let Some((word, rest)) =
            left.split_once(':').filter(|(word, _)| !word.is_empty() && !word.contains([' ', '%']))
        else {
            break;
        };
        let program = word.strip_suffix(']').and_then(|word| word.split_once('['));
        match program {
            Some((name, pid)) => found.program = Some((name, pid.parse().ok())),
            None if word.bytes().all(|byte| byte.is_ascii_digit()) => {}
            None => found.host = found.host.or(Some(word)),
        }
        left = rest;
    }
    // Without a mark behind it that was no such front.
    if left.trim_start_matches([':', ' ', '*', '.']).starts_with('%') { found } else { Front::default() }
}
