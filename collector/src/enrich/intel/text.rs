//! Plain lists and tables of indicators.
//!
//! In: text with a value a line (comments after `#`, `;` or `//`; also the form of a hosts file), or a table with
//! headings. Out: [`Found`]. A table without a heading that is known has its indicator in the first cell that is one.
//! Failure: a line that is no indicator is counted with why; a table that breaks off is read up to there.

use nhatle_event::{Text, Timestamp};

use super::{Found, Indicator, Kind, NOTE_BYTES_MAX, cut, normal, tlp_of};
use crate::enrich::csv::{Row, Rows};

/// How many lines of comment are looked through for headings.
const COMMENTS_MAX: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Value(Option<Kind>),
    Kind,
    Confidence,
    FirstSeen,
    Until,
    Tags,
    Tlp,
    Reference,
}

fn column(heading: &str) -> Option<Column> {
    let name = heading
        .trim()
        .trim_start_matches(['#', ' ', '"'])
        .trim_end_matches('"')
        .to_lowercase()
        .replace([' ', '-'], "_");
    Some(match name.as_str() {
        "indicator" | "value" | "ioc" | "ioc_value" | "observable" | "gia_tri" | "giá_trị" => Column::Value(None),
        "ip" | "ip_address" | "dst_ip" | "src_ip" | "address" | "cidr" | "network" => Column::Value(Some(Kind::Ip)),
        "domain" | "domain_name" | "hostname" | "host" | "fqdn" => Column::Value(Some(Kind::Domain)),
        "url" | "uri" => Column::Value(Some(Kind::Url)),
        "hash" | "md5" | "sha1" | "sha256" | "md5_hash" | "sha1_hash" | "sha256_hash" => {
            Column::Value(Some(Kind::File))
        }
        "email" | "e_mail" | "mail" => Column::Value(Some(Kind::Email)),
        "type" | "kind" | "ioc_type" | "indicator_type" | "loại" | "loai" => Column::Kind,
        "confidence" | "confidence_level" | "score" | "độ_tin_cậy" => Column::Confidence,
        "first_seen" | "first_seen_utc" | "firstseen" | "date_added" | "dateadded" | "date" => Column::FirstSeen,
        "valid_until" | "until" | "expires" | "expiry" | "expiration" | "hết_hạn" => Column::Until,
        "tags" | "tag" | "malware" | "malware_printable" | "threat" | "threat_type" | "signature" | "description"
        | "mô_tả" => Column::Tags,
        "tlp" => Column::Tlp,
        "reference" | "link" | "urlhaus_link" | "source_url" => Column::Reference,
        _ => return None,
    })
}

/// The kind of a word in a column of types: those of MISP, STIX and of people.
pub(super) fn kind_of(word: &str) -> Option<Kind> {
    let word = word.trim().to_lowercase();
    Some(match word.as_str() {
        "ip" | "ipv4" | "ipv6" | "ipv4-addr" | "ipv6-addr" | "ip-src" | "ip-dst" | "ip:port" | "cidr"
        | "ip-dst|port" | "ip-src|port" => Kind::Ip,
        "domain" | "domain-name" | "hostname" | "fqdn" => Kind::Domain,
        "url" | "uri" | "link" => Kind::Url,
        "md5" | "sha1" | "sha-1" | "sha256" | "sha-256" | "hash" | "file" | "md5_hash" | "sha256_hash"
        | "sha1_hash" => Kind::File,
        "email" | "email-addr" | "email-src" | "email-dst" | "mail" => Kind::Email,
        _ => return None,
    })
}

/// Whether the text is a table: its first line that is no comment has several cells, and not only spaces between them.
pub(super) fn is_table(text: &str) -> bool {
    let is_data = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with(['#', ';']);
    let Some(first) = text.lines().find(is_data) else { return false };
    let has_heading = column(first).is_some_and(|column| matches!(column, Column::Value(_)));
    has_heading || Rows::new(first).next().and_then(Result::ok).is_some_and(|row| 1 < row.cells.len())
}

/// Reads a value a line.
pub(super) fn read_lines(text: &str) -> Found {
    let mut found = Found::default();
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';', '!']) || line.starts_with("//") {
            continue;
        }
        // A comment after the value stands apart from it: `#` is a part of URLs.
        let value = [" #", "\t#", " ;", "\t;", " //"]
            .iter()
            .fold(line, |line, mark| line.split(mark).next().unwrap_or_default());
        let mut words = value.split_whitespace();
        let value = match (words.next(), words.next()) {
            // A hosts file: the name that is sent nowhere.
            (Some("0.0.0.0" | "127.0.0.1" | "::" | "::1"), Some(name)) => name,
            (Some(value), None) => value,
            _ => value.trim(),
        };
        if matches!(value, "localhost" | "localhost.localdomain" | "broadcasthost" | "0.0.0.0") {
            continue;
        }
        found.take(None, value, |_indicator| {});
    }
    found
}

/// Reads a table.
pub(super) fn read_table(text: &str) -> Found {
    let mut found = Found::default();
    let comments =
        text.lines().take(COMMENTS_MAX).take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    // Some lists have their headings in the last comment.
    let mut columns: Option<Vec<Option<Column>>> =
        comments.filter_map(|line| headings(line.trim_start().trim_start_matches('#'))).last();
    let mut is_first = true;
    // The first line with cells says what separates them, and it is no comment.
    let data = text.lines().position(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let skipped: usize = text.split_inclusive('\n').take(data.unwrap_or(0)).map(str::len).sum();
    for row in Rows::new(&text[skipped..]) {
        let Ok(row) = row else {
            found.leave_out("a table that breaks off");
            break;
        };
        if row.cells.first().is_some_and(|cell| cell.starts_with('#')) {
            continue;
        }
        if std::mem::take(&mut is_first)
            && let Some(named) = named(&row)
        {
            columns = Some(named);
            continue;
        }
        match &columns {
            Some(columns) => take_row(&row, columns, &mut found),
            None => {
                match row.cells.iter().find(|cell| normal(None, cell).is_ok_and(|(kind, _)| kind != Kind::Domain)) {
                    Some(cell) => found.take(None, cell, |_indicator| {}),
                    None => found.take(None, row.cells.first().map_or("", |cell| cell), |_indicator| {}),
                }
            }
        }
    }
    found
}

fn headings(line: &str) -> Option<Vec<Option<Column>>> {
    named(&Rows::new(line).next()?.ok()?)
}

/// The columns of a row of headings, where it is one.
fn named(row: &Row<'_>) -> Option<Vec<Option<Column>>> {
    let columns: Vec<Option<Column>> = row.cells.iter().map(|cell| column(cell)).collect();
    columns.iter().any(|column| matches!(column, Some(Column::Value(_)))).then_some(columns)
}

fn take_row(row: &Row<'_>, columns: &[Option<Column>], found: &mut Found) {
    let cells = || columns.iter().copied().zip(&row.cells).filter(|(_, cell)| !cell.is_empty());
    let of = |wanted: Column| cells().find(|(column, _)| *column == Some(wanted)).map(|(_, cell)| &**cell);
    let kind = match of(Column::Kind) {
        Some(word) => match kind_of(word) {
            Some(kind) => Some(kind),
            None => return found.leave_out(&format!("type {}", cut(word, 40))),
        },
        None => None,
    };
    let fill = |indicator: &mut Indicator| {
        indicator.confidence = of(Column::Confidence).and_then(confidence);
        indicator.first_seen = of(Column::FirstSeen).and_then(moment);
        indicator.until = of(Column::Until).and_then(moment);
        let tags: Vec<&str> =
            cells().filter(|(column, _)| *column == Some(Column::Tags)).map(|(_, cell)| &**cell).collect();
        indicator.note.tags = Text::from(cut(&tags.join(", "), NOTE_BYTES_MAX));
        indicator.note.reference = Text::from(cut(of(Column::Reference).unwrap_or_default(), NOTE_BYTES_MAX));
        let tlp = of(Column::Tlp).unwrap_or_default();
        indicator.note.tlp =
            Text::from(if tlp_of(tlp).is_empty() { tlp_of(&format!("tlp:{tlp}")) } else { tlp_of(tlp) });
    };
    let mut any = false;
    for (column, cell) in cells() {
        if let Some(Column::Value(of_column)) = column {
            any = true;
            found.take(kind.filter(|_| of_column.is_none()).or(of_column), cell, fill);
        }
    }
    if !any {
        found.leave_out("empty");
    }
}

/// A number from 0 to 100, or a word of ECS.
pub(super) fn confidence(text: &str) -> Option<u8> {
    let text = text.trim().trim_end_matches('%');
    Some(match text.to_lowercase().as_str() {
        "high" | "cao" => 85,
        "medium" | "med" | "trung bình" => 50,
        "low" | "thấp" => 15,
        "none" => 0,
        number => number.parse::<u8>().ok().filter(|number| *number <= 100)?,
    })
}

/// A moment or day, in UTC where no zone stands beside it; or seconds since 1970.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim().trim_end_matches(" UTC");
    if let Ok(seconds) = text.parse::<i64>() {
        return (0..=i64::from(u32::MAX)).contains(&seconds).then(|| Timestamp::from_seconds(seconds));
    }
    let spaced = || Timestamp::parse(&text.replacen(' ', "T", 1), 0);
    Timestamp::parse(text, 0).or_else(spaced).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z"), 0))
}

#[cfg(test)]
mod tests {
    use super::super::{Form, read};
    use super::*;

    fn values(text: &str) -> Vec<String> {
        let found = read(text.as_bytes(), Form::Any).expect("is a list");
        found.indicators.iter().map(|one| format!("{} {}", one.kind.name(), one.value)).collect()
    }

    #[test]
    fn lists_of_lines_are_read() {
        let text = "# a list\n198.51.100.7 # scanner\n\n0.0.0.0 evil.example\n127.0.0.1 localhost\nhxxp://evil[.]example/x#y\n; more\n203.0.113.0/24\n";
        assert_eq!(values(text), ["ip 198.51.100.7", "ip 203.0.113.0/24", "domain evil.example", "url evil.example/x"]);
    }

    #[test]
    fn tables_are_read_by_their_headings() {
        let text = "# made for a test\n# \"first_seen_utc\",\"ioc_value\",\"ioc_type\",\"malware\",\"confidence_level\"\n\
            \"2026-11-02 03:04:05\",\"198.51.100.7:443\",\"ip:port\",\"Bad, worse\",\"75\"\n\
            \"2026-11-02 03:04:05\",\"evil.example\",\"domain\",\"Bad\",\"40\"\n\"\",\"x\",\"mutex\",\"\",\"\"\n";
        let found = read(text.as_bytes(), Form::Any).expect("is a list");
        assert_eq!(values(text), ["ip 198.51.100.7", "domain evil.example"]);
        let first = &found.indicators[0];
        assert_eq!((first.confidence, &*first.note.tags), (Some(75), "Bad, worse"));
        assert_eq!(first.first_seen, Timestamp::parse("2026-11-02T03:04:05Z", 0));
        assert_eq!(found.left_out.get("type mutex"), Some(&1));
        let text = "IP;Domain;TLP;valid_until\n198.51.100.8;evil.example;amber;2026-12-31\n";
        assert_eq!(values(text), ["ip 198.51.100.8", "domain evil.example"]);
        let found = read(text.as_bytes(), Form::Any).expect("is a list");
        assert_eq!(
            (&*found.indicators[0].note.tlp, found.indicators[0].until),
            ("AMBER", Timestamp::parse("2026-12-31T00:00:00Z", 0))
        );
        assert_eq!(
            values("2026-11-02,seen,198.51.100.9\n2026-11-03,seen,198.51.100.10\n"),
            ["ip 198.51.100.10", "ip 198.51.100.9"]
        );
    }

    #[test]
    fn confidence_and_moments_are_read_as_written() {
        assert_eq!(["85", "high", "40%", "101", "x"].map(confidence), [Some(85), Some(85), Some(40), None, None]);
        assert_eq!(moment("1790000000"), Some(Timestamp::from_seconds(1_790_000_000)));
        assert_eq!(moment("2026-11-02 03:04:05 UTC"), Timestamp::parse("2026-11-02T03:04:05Z", 0));
        assert_eq!((moment("never"), moment("-5")), (None, None));
    }
}
