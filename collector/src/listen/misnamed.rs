//! `Misnamed`: a file whose first records are none of the named profile's, and surely of one other's.
//!
//! In: the front of a text file and the profile named for it. Out: the profile it is read with instead, or `None`. Promise: one
//! record that the named profile knows keeps the file; records that could be of several profiles, or of two different ones,
//! change nothing. Bounded: the front that the reader has in its buffer, [`RECORDS_MAX`] records of it. Records of several lines are put
//! together by profile, so each form that has such records is tried (ADR 34).

use nhatle_event::{Record, Timestamp};

use super::lines::LineForm;
use crate::frame;
use crate::normalize::{Context, form, misnamed};
use crate::parse::headed::{Header, Headers};
use crate::profile::Profile;

/// How many records of the front are looked at.
const RECORDS_MAX: usize = 20;

/// A file under another name than its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misnamed {
    /// The profile that was named.
    pub named: Profile,
    /// The one it is read with.
    pub read: Profile,
}

impl Misnamed {
    /// What the front of a file of lines says; `None` = it is read as named.
    pub(super) fn of(front: &[u8], named: Option<&str>, received: Timestamp) -> Option<Misnamed> {
        let named = Profile::from_name(named?).ok()?;
        let front = whole_lines(front.strip_prefix(b"\xef\xbb\xbf").unwrap_or(front));
        let told = |read: Profile| (!misnamed::is_akin(named, read)).then_some(Misnamed { named, read });
        // A header says more of a file than whoever named its source: its lines are read by it whatever was named.
        if Headers::stand_in(front) {
            return told(of_header(front)?);
        }
        if named == Profile::Json {
            return None;
        }
        let known = |record: &[u8]| ask(record, received, |text, context| misnamed::is_known(text, named, context));
        if records(front, Some(named.name())).iter().any(|record| known(record)) {
            return None;
        }
        let joined = [Profile::Mysql, Profile::Postgresql, Profile::Modsecurity].into_iter();
        let sole_of = |form: Profile| sole(&records(front, Some(form.name())), received).filter(|read| *read == form);
        sole(&records(front, None), received).or_else(|| joined.map(sole_of).find_map(|read| read)).and_then(told)
    }
}

/// The one profile that at least half of the records are surely of, where no other is sure of any.
fn sole(records: &[Vec<u8>], received: Timestamp) -> Option<Profile> {
    let sure = |record: &Vec<u8>| ask(record, received, form::sure);
    let found: Vec<Profile> = records.iter().filter_map(sure).collect();
    let first = *found.first()?;
    (found.iter().all(|one| *one == first) && records.len() <= 2 * found.len()).then_some(first)
}

/// Asks something of a record's text.
fn ask<T>(bytes: &[u8], received: Timestamp, question: impl Fn(&str, &Context<'_>) -> T) -> T {
    let record = Record::new(bytes, "", received);
    let text = String::from_utf8_lossy(bytes);
    question(&text, &Context { record: &record, profile: None, offset_s: 0 })
}

/// The front without a line that goes on behind it.
fn whole_lines(front: &[u8]) -> &[u8] {
    match memchr::memrchr(b'\n', front) {
        Some(last) => &front[..=last],
        None => front,
    }
}

/// Whose log a header is.
fn of_header(front: &[u8]) -> Option<Profile> {
    let mut headers = Headers::default();
    front.split(|byte| *byte == b'\n').take(64).take_while(|line| headers.take(line)).for_each(drop);
    match *headers.current()? {
        Header::Zeek(_) => Some(Profile::Zeek),
        Header::W3c(_) => Some(Profile::Iis),
    }
}

/// The first records of a front, put together as the profile's files are. The last may go on behind the front.
fn records(front: &[u8], profile: Option<&str>) -> Vec<Vec<u8>> {
    let join = match LineForm::of(front, profile) {
        LineForm::Joined(join) => Some(join),
        LineForm::Single | LineForm::Headed(_) => None,
    };
    let mut records: Vec<Vec<u8>> = Vec::new();
    for line in front.split(|byte| *byte == b'\n').map(frame::trim_frame) {
        if join.is_some_and(|join| join.is_header(line)) {
            continue;
        }
        let is_full = records.len() == RECORDS_MAX;
        match records.last_mut() {
            Some(held) if join.is_some_and(|join| join.goes_on(held, line)) => {
                held.push(b'\n');
                held.extend_from_slice(line);
            }
            _ if line.trim_ascii().is_empty() => {}
            _ if is_full => break,
            _ => records.push(line.to_vec()),
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: &str = "/usr/sbin/mysqld, Version: 8.0.15 (x). started with:\nTcp port: 3306  Unix socket: /x\nTime                 Id Command    Argument\n# Time: 2026-11-23T02:10:00.861934Z\n# User@Host: lan[lan] @ localhost [203.0.113.9]  Id:     8\n# Query_time: 2.5  Lock_time: 0.0 Rows_sent: 7  Rows_examined: 9\nSET timestamp=1795399800;\nSELECT *\nFROM cong_dan;\n";
    const ACCESS: &str = "203.0.113.9 - - [23/Nov/2026:09:10:00 +0700] \"GET /a HTTP/1.1\" 404 12 \"-\" \"curl\"\n";
    const ERRORS: &str = "161209 13:08:33 mysqld_safe Starting mysqld daemon\n2016-12-09T12:08:33.335060Z 0 [Warning] TIMESTAMP x\n2016-12-09T12:08:33.335060Z 0 [Note] y\nVersion: '5.7.10'  socket: '/tmp/x'\n";
    const CSV: &str = "2026-11-23 02:10:00.500 UTC,\"lan\",\"hoso\",59,\"203.0.113.9:42642\",5ff.3b,3,\"SELECT\",2026-11-23 02:09:00 UTC,3/0,0,LOG,00000,\"duration: 0.658 ms  statement: SELECT 1\nFROM a\",,,,,,,,,\"psql\"\n";

    #[track_caller]
    fn check(front: &str, named: &str, read: Option<Profile>) {
        let found = Misnamed::of(front.as_bytes(), Some(named), Timestamp(1_795_400_000_000_000_000));
        assert_eq!(found.map(|found| found.read), read, "{named}: {front}");
    }

    #[test]
    fn a_file_is_what_its_first_records_surely_are() {
        for named in ["apache", "linux", "squid", "fortigate", "windows", "zeek"] {
            check(SLOW, named, Some(Profile::Mysql));
            check(ERRORS, named, Some(Profile::Mysql));
            check(CSV, named, Some(Profile::Postgresql));
        }
        let iis = "#Software: Microsoft Internet Information Services 10.0\r\n#Fields: date time s-ip\r\n2026-11-23 02:10:00 10.0.0.1\r\n";
        check(iis, "apache", Some(Profile::Iis));
        check(iis, "iis", None);
        check("#separator \\x09\n#path\tconn\n#fields\tts\n1.5\n", "suricata", Some(Profile::Zeek));
        check(ACCESS, "mysql", Some(Profile::Nginx));
        assert_eq!(Misnamed::of(SLOW.as_bytes(), None, Timestamp(0)), None, "nothing was named");
    }

    #[test]
    fn a_file_stays_where_its_own_profile_knows_a_record_or_two_could_be_meant() {
        for (front, named) in
            [(SLOW, "mysql"), (ERRORS, "mysql"), (CSV, "postgresql"), (ACCESS, "nginx"), (ACCESS, "apache")]
        {
            check(front, named, None);
        }
        // One record of its own keeps it.
        check(&format!("{}{ACCESS}", ERRORS.repeat(4)), "apache", None);
        // Two others, or mostly words that nobody is sure of.
        check(&format!("{ERRORS}type=EXECVE msg=audit(1795399800.123:7): argc=1\n"), "apache", None);
        check(&format!("{}{ERRORS}", "one of the words\n".repeat(9)), "apache", None);
        for front in ["", "\n\n", "x", "one\ntwo\nthree\n"] {
            check(front, "apache", None);
        }
        // What stands behind the records looked at does not count, and a line cut by the front is none.
        check(
            &format!("{}{ACCESS}", "2026-11-23T02:10:00.861934Z 25 [Note] x\n".repeat(RECORDS_MAX)),
            "apache",
            Some(Profile::Mysql),
        );
        check(&format!("one\n{}", SLOW.trim_end().split_at(40).0), "apache", None);
    }
}
