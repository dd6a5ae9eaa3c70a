//! `LineForm`: how the lines of a text file make records: each line one, lines below a header, several lines one.
//!
//! In: the front of a file and its profile, then its lines. Out: for each line whether it is a header's, begins a
//! record or goes on with the one before. Promise: what a record of several lines may hold is bounded by the file
//! reader's limit for one record; a line that fits no form is a record. Source: ModSecurity 2 reference manual,
//! "Audit Log" (serial); PostgreSQL manual 20.8 (lines that go on begin with a tab; CSV values hold line ends); MySQL
//! manual 7.4.5 "The Slow Query Log".

use crate::parse::csv;
use crate::parse::headed::Headers;
use crate::parse::web_access::is_access_line;

/// How a file's lines belong together.
#[derive(Clone, Debug)]
pub enum LineForm {
    /// Each line is a record.
    Single,
    /// Lines that begin with `#` say what the others mean.
    Headed(Box<Headers>),
    /// A record may have several lines.
    Joined(Join),
}

/// Which lines go on with the record before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// From `--id-A--` to `--id-Z--`.
    ModsecurityAudit,
    /// Lines that begin with a tab or with no date where the first has one, and CSV values that are not closed.
    Postgresql,
    /// From `# Time:` or `# User@Host:` to the next.
    MysqlSlow,
    /// A statement of the general log: lines that do not begin with a date.
    MysqlGeneral,
    /// What a FastCGI program said, in nginx's error log: client and request stand behind its last line.
    NginxError,
    /// Icinga 2: lines that do not begin with its date in brackets.
    Icinga,
    /// Syslog of macOS and others that write messages of several lines: those behind the first are indented.
    Indented,
}

impl LineForm {
    /// The form of a file, by its front and the profile it is read with.
    pub fn of(front: &[u8], profile: Option<&str>) -> LineForm {
        let front = front.strip_prefix(b"\xef\xbb\xbf").unwrap_or(front);
        let has = |mark: &[u8]| front.windows(mark.len()).any(|window| window == mark);
        match profile {
            // A header says more of a file than whoever named its source.
            _ if Headers::stand_in(front) => LineForm::Headed(Box::default()),
            _ if is_icinga(front) => LineForm::Joined(Join::Icinga),
            Some("zeek" | "iis") if front.starts_with(b"#") => LineForm::Headed(Box::default()),
            None | Some("modsecurity") if audit_number(front, b'A').is_some() => {
                LineForm::Joined(Join::ModsecurityAudit)
            }
            Some("postgresql") => LineForm::Joined(Join::Postgresql),
            Some("mysql") if has(b"# User@Host: ") => LineForm::Joined(Join::MysqlSlow),
            Some("mysql") => LineForm::Joined(Join::MysqlGeneral),
            Some("nginx") => LineForm::Joined(Join::NginxError),
            None | Some("linux" | "syslog") if has_indented(front) => LineForm::Joined(Join::Indented),
            _ => LineForm::Single,
        }
    }
}

impl Join {
    /// Whether a line stands between the records as the header of a log, and is none: what mysqld writes at the front of
    /// its slow and general logs each time it opens them (`sql/log.cc`, `File_query_log::open`).
    pub fn is_header(self, line: &[u8]) -> bool {
        let has = |mark: &[u8]| line.windows(mark.len()).any(|window| window == mark);
        matches!(self, Join::MysqlSlow | Join::MysqlGeneral)
            && ((has(b", Version: ") && line.trim_ascii_end().ends_with(b"started with:"))
                || line.starts_with(b"Tcp port: ")
                || line.starts_with(b"TCP Port: ")
                || (line.starts_with(b"Time  ") && has(b" Id Command ")))
    }

    /// Whether the last record of a file is none: a time that the slow log's next entry would have begun with.
    pub fn is_remnant(self, record: &[u8]) -> bool {
        self == Join::MysqlSlow && record.starts_with(b"# Time: ") && !record.trim_ascii_end().contains(&b'\n')
    }

    /// Whether `line` goes on with `held`, the lines of the record so far.
    pub fn goes_on(self, held: &[u8], line: &[u8]) -> bool {
        match self {
            // Only marks with the number of the first end it: the body of a request may hold others.
            Join::ModsecurityAudit => {
                let last = held.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
                audit_number(held, b'A').is_some_and(|number| audit_number(last, b'Z') != Some(number))
            }
            Join::Postgresql => {
                let is_begun = is_dated(line) || matches!(line.first(), Some(b'<' | b'{'));
                line.starts_with(b"\t")
                    || (is_dated(held) && (!is_begun || csv::is_open(held, b'"') && held.contains(&b',')))
            }
            Join::MysqlSlow => match line {
                _ if line.starts_with(b"# Time: ") => false,
                // The time stands only where the second has changed.
                _ if line.starts_with(b"# User@Host: ") => held.starts_with(b"# Time: ") && !held.contains(&b'\n'),
                _ => held.starts_with(b"# "),
            },
            Join::Icinga => !held.is_empty() && !is_icinga(line),
            Join::Indented => matches!(line.first(), Some(b'\t' | b' ')) && is_syslog(held),
            Join::MysqlGeneral => {
                let is_statement = [&b"Query\t"[..], b"Execute\t", b"Prepare\t"];
                is_statement.iter().any(|mark| held.windows(mark.len()).any(|window| window == *mark))
                    && !is_dated(line)
            }
            Join::NginxError => {
                let has = |mark: &[u8]| memchr::memmem::find(held, mark).is_some();
                is_nginx_error(held)
                    && has(b"FastCGI sent in stderr: ")
                    && !has(b", client: ")
                    && !is_nginx_error(line)
                    && !std::str::from_utf8(line).is_ok_and(is_access_line)
            }
        }
    }
}

/// Whether a line begins as nginx's error log does: `2026/11/23 09:10:00 [`.
fn is_nginx_error(line: &[u8]) -> bool {
    matches!(line, [b'0'..=b'9', _, _, _, b'/', _, _, b'/', _, _, b' ', _, _, b':', _, _, b':', _, _, b' ', b'[', ..])
}

/// Whether a line begins as Icinga 2's logs do: `[2026-11-23 09:10:00 +0700] warning/Process: `.
fn is_icinga(line: &[u8]) -> bool {
    const FORM: &[u8; 28] = b"[dddd-dd-dd dd:dd:dd +dddd] ";
    const LEVELS: [&[u8]; 5] = [b"debug/", b"notice/", b"information/", b"warning/", b"critical/"];
    let is_front = line.len() > FORM.len()
        && FORM.iter().zip(line).all(|(form, byte)| match form {
            b'd' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            exact => byte == exact,
        });
    is_front && LEVELS.iter().any(|level| line[FORM.len()..].starts_with(level))
}

/// Whether a line begins with syslog's date: `Nov 23 09:10:00 `, or RFC 3339's.
fn is_syslog(line: &[u8]) -> bool {
    let is_bsd = line.len() > 16
        && crate::parse::date::month(line).is_some()
        && line.get(3) == Some(&b' ')
        && line.get(15) == Some(&b' ');
    is_bsd || (line.get(10) == Some(&b'T') && crate::parse::date::has_iso_form(line))
}

/// Whether a file is syslog and has lines in its front that are indented.
fn has_indented(front: &[u8]) -> bool {
    is_syslog(front) && memchr::memmem::find(front, b"\n\t").is_some()
}

/// The number of a mark: `--a1b2c3d4-A--`.
fn audit_number(line: &[u8], part: u8) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"--")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let is_mark = (4..=64).contains(&digits) && rest.get(digits..digits + 4) == Some(&[b'-', part, b'-', b'-']);
    rest.get(..digits).filter(|_| is_mark)
}

/// Whether a line begins with digits, as every date of a database's log does, or with a tab (a second that has not
/// changed, in old general logs).
fn is_dated(line: &[u8]) -> bool {
    line.starts_with(b"\t\t") || line.iter().take(4).filter(|byte| byte.is_ascii_digit()).count() == 4
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records that lines make, joined.
    fn joined(join: Join, lines: &[&str]) -> Vec<String> {
        let mut records: Vec<String> = Vec::new();
        for line in lines {
            match records.last_mut() {
                Some(held) if join.goes_on(held.as_bytes(), line.as_bytes()) => {
                    held.push('\n');
                    held.push_str(line);
                }
                _ => records.push((*line).to_owned()),
            }
        }
        records
    }

    #[test]
    fn an_audit_entry_reaches_from_a_to_z() {
        let lines = [
            "--a1b2c3d4-A--",
            "[x] y",
            "--a1b2c3d4-B--",
            "GET / HTTP/1.1",
            "",
            "--a1b2c3d4-Z--",
            "",
            "--b1b2c3d4-A--",
            "z",
        ];
        let found = joined(Join::ModsecurityAudit, &lines);
        assert_eq!((found.len(), found[0].lines().count()), (3, 6));
        // A request whose body holds marks of its own neither ends the entry nor begins another.
        let lines = ["--a1b2c3d4-A--", "--a1b2c3d4-C--", "--0badbad0-Z--", "--0badbad0-A--", "x", "--a1b2c3d4-Z--"];
        assert_eq!(joined(Join::ModsecurityAudit, &lines).len(), 1);
        assert!(matches!(LineForm::of(b"--a1b2c3d4-A--\n", None), LineForm::Joined(Join::ModsecurityAudit)));
    }

    #[test]
    fn messages_of_several_lines() {
        let lines = ["Nov 23 09:10:00 may ten[7]: a <", "\tb", "\t>", "Nov 23 09:10:01 may ten[7]: c"];
        assert_eq!(joined(Join::Indented, &lines).len(), 2);
        assert!(matches!(LineForm::of(lines.join("\n").as_bytes(), None), LineForm::Joined(Join::Indented)));
        assert!(matches!(LineForm::of(lines[0].as_bytes(), None), LineForm::Single));
        let lines = [
            "[2026-11-23 09:10:00 +0700] warning/Ten: a",
            "b",
            "",
            "[2026-11-23 09:10:01 +0700] notice/Ten: [c]",
            "[d]",
        ];
        assert_eq!(joined(Join::Icinga, &lines).len(), 2);
        assert!(matches!(LineForm::of(lines.join("\n").as_bytes(), Some("apache")), LineForm::Joined(Join::Icinga)));
    }

    #[test]
    fn statements_of_several_lines() {
        assert_eq!(joined(Join::Postgresql, &["2026-11-23 x LOG:  a", "\tb", "2026-11-23 y"]).len(), 2);
        assert_eq!(
            joined(Join::Postgresql, &["2026-11-23 02:10:00 UTC,\"a", "b\",c", "2026-11-23 02:10:01 UTC,d"]).len(),
            2
        );
        // A quote in a line that is no CSV opens nothing.
        assert_eq!(joined(Join::Postgresql, &["x \"a", "y", "z"]).len(), 3);
        assert_eq!(
            joined(
                Join::MysqlSlow,
                &[
                    "/usr/sbin/mysqld, Version: 8",
                    "# Time: 1",
                    "# User@Host: a",
                    "# Query_time: 1",
                    "SELECT",
                    "1;",
                    "# User@Host: b",
                    "# Query_time: 1",
                    "SELECT 2;"
                ]
            )
            .len(),
            3
        );
        let front = "2026/11/23 09:10:00 [error] 7#7: *9 FastCGI sent in stderr: \"PHP message: a";
        let back = "PHP message: b\" while reading response header from upstream, client: 192.0.2.9, server: _";
        assert_eq!(joined(Join::NginxError, &[front, back, front, "x", "2026/11/23 09:10:01 [error] y", "z"]).len(), 4);
        assert!(Join::MysqlSlow.is_header(b"/usr/sbin/mysqld, Version: 8.0.15 (x). started with:"));
        assert!(Join::MysqlGeneral.is_header(b"Time                 Id Command    Argument"));
        assert!(Join::MysqlSlow.is_remnant(b"# Time: 1") && !Join::MysqlSlow.is_remnant(b"# Time: 1\n# User@Host: a"));
        assert!(!Join::MysqlSlow.is_header(b"SELECT 1;") && !Join::Postgresql.is_header(b"Tcp port: 3306"));
        assert_eq!(
            joined(Join::MysqlGeneral, &["2026-11-23T1Z\t 8 Query\tSELECT", "1", "2026-11-23T1Z\t 8 Quit\t"]).len(),
            2
        );
    }
}
