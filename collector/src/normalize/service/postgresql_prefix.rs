//! `log_line_prefix` of PostgreSQL: process, zone, client, user, database.
//!
//! In: the text in front of the severity. Out: its parts, and whether names of a stranger's choice stand in it: user,
//! database and application are chosen before any password. Where two things could be the same part (two words with an
//! `@`, two addresses, a key twice) the prefix is doubtful. Source: PostgreSQL 16 manual, 20.8.3 `log_line_prefix`.

use std::net::IpAddr;

/// How many words of a prefix are looked at.
const WORDS_MAX: usize = 64;

/// The parts of a prefix, as they stand in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix<'a> {
    /// Process id.
    pub pid: Option<&'a str>,
    /// Number of the line within its session.
    pub line: Option<&'a str>,
    /// The zone's name.
    pub zone: Option<&'a str>,
    /// The client's address, with its port in brackets where it has one.
    pub client: Option<&'a str>,
    /// Who.
    pub user: Option<&'a str>,
    /// On what database.
    pub database: Option<&'a str>,
    /// With what program.
    pub application: Option<&'a str>,
    /// A name of a stranger's choice stands in it.
    pub has_names: bool,
    /// Something stands twice in it.
    pub is_doubtful: bool,
}

/// Reads a prefix: `UTC [9-1] lan@hoso `, `UTC:192.0.2.9(4411):lan@hoso:[127]:`, `[9] user=lan,db=hoso,client=192.0.2.9 `.
/// `may_hold_date`: syslog carried the line, its own date stands in the prefix.
pub fn parse(text: &str, may_hold_date: bool) -> Prefix<'_> {
    let words: Vec<&str> = text
        .split([' ', '\t', ','])
        .flat_map(colon_parts)
        .map(|word| word.trim_matches(['<', '>', ':', ';']))
        .filter(|word| !word.is_empty())
        .take(WORDS_MAX)
        .collect();
    let mut prefix = Prefix { is_doubtful: words.len() == WORDS_MAX, ..Prefix::default() };
    // Process and zone stand before every name; behind a name such words are part of it.
    let mut dates_left = if may_hold_date { 2 } else { 0 };
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        if let Some(inside) = process(word).filter(|_| !prefix.has_names || next.is_empty()) {
            match inside.split_once('-') {
                // `[147]: [3-1]`: behind the process, the line of its session.
                Some((line, _)) if prefix.pid.is_some() && prefix.line.is_none() => prefix.line = Some(line),
                found => {
                    let (pid, line) = found.map_or((inside, None), |(pid, line)| (pid, Some(line)));
                    (prefix.pid, prefix.line) = (Some(pid), line);
                }
            }
        } else if super::postgresql::zone_offset(word).is_some() && !prefix.has_names {
            prefix.zone = Some(word);
        } else if dates_left > 0 && !prefix.has_names && is_date(word) {
            dates_left -= 1;
        } else if is_address(word) && (at == 0 || word.ends_with(')') || next.contains('@')) {
            set(&mut prefix.client, word, &mut prefix.is_doubtful);
        } else {
            prefix.has_names = true;
            name(&mut prefix, word);
        }
    }
    prefix
}

fn name<'a>(prefix: &mut Prefix<'a>, word: &'a str) {
    let is_doubtful = &mut prefix.is_doubtful;
    if let Some((key, value)) = word.split_once('=') {
        match key {
            "user" | "u" => set(&mut prefix.user, value, is_doubtful),
            "db" | "database" | "d" => set(&mut prefix.database, value, is_doubtful),
            "app" | "a" => set(&mut prefix.application, value, is_doubtful),
            "client" | "host" | "h" | "remote" => set(&mut prefix.client, value, is_doubtful),
            _ => {}
        }
    } else if let Some((user, database)) = word.rsplit_once('@') {
        // PostgreSQL writes `[unknown]` for a name that was not given.
        if !user.starts_with("[unknown]") {
            set(&mut prefix.user, user, is_doubtful);
            set(&mut prefix.database, database, is_doubtful);
        }
    }
}

/// Sets a part; what is there already makes the prefix doubtful.
fn set<'a>(part: &mut Option<&'a str>, value: &'a str, is_doubtful: &mut bool) {
    *is_doubtful |= part.is_some();
    *part = Some(value);
}

/// The parts of a word whose prefix is written with colons.
fn colon_parts(word: &str) -> impl Iterator<Item = &str> {
    let is_joined = word.contains(":[");
    word.split(move |c| is_joined && c == ':')
}

/// The inside of `[9]`, `[9-1]`.
fn process(word: &str) -> Option<&str> {
    let inside = word.strip_prefix('[')?.strip_suffix(']')?;
    let is_number = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_number.then_some(inside)
}

fn is_date(word: &str) -> bool {
    word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'+'))
}

/// `192.0.2.9`, `192.0.2.9(4411)`.
pub fn is_address(word: &str) -> bool {
    word.split('(').next().is_some_and(|address| address.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, may_hold_date: bool, wanted: Prefix<'_>) {
        assert_eq!(parse(text, may_hold_date), wanted, "{text}");
    }

    #[test]
    fn usual_prefixes() {
        let named = Prefix { user: Some("lan"), database: Some("hoso"), has_names: true, ..Prefix::default() };
        let of = |pid, zone| Prefix { pid: Some(pid), zone: Some(zone), ..named.clone() };
        check("UTC [9] lan@hoso ", false, of("9", "UTC"));
        check("UTC [9-2] lan@hoso ", false, Prefix { line: Some("2"), ..of("9", "UTC") });
        check("[3-1] 2026-11-23 02:10:00.500 ICT [9] lan@hoso ", true, of("9", "ICT"));
        check("UTC [9] 203.0.113.9 lan@hoso ", false, Prefix { client: Some("203.0.113.9"), ..of("9", "UTC") });
        check(
            "UTC:203.0.113.9(5432):lan@hoso:[127]:",
            false,
            Prefix { client: Some("203.0.113.9(5432)"), ..of("127", "UTC") },
        );
        check(
            "UTC [9] user=lan,db=hoso,app=psql,client=203.0.113.9 ",
            false,
            Prefix { client: Some("203.0.113.9"), application: Some("psql"), ..of("9", "UTC") },
        );
        check("UTC [9] ", false, Prefix { pid: Some("9"), zone: Some("UTC"), ..Prefix::default() });
        check(
            "UTC [9] [unknown]@[unknown] ",
            false,
            Prefix { pid: Some("9"), zone: Some("UTC"), has_names: true, ..Prefix::default() },
        );
    }

    #[test]
    fn what_a_stranger_adds_makes_it_doubtful() {
        for text in [
            "UTC [9] x root@hoso lan@hoso ",
            "UTC [9] user=x,client=198.51.100.1,client=203.0.113.9 ",
            "UTC [9] 198.51.100.1 x@y 203.0.113.9 lan@hoso ",
        ] {
            assert!(parse(text, false).is_doubtful, "{text}");
        }
        // Numbers behind the process are a name, not a date; an address alone behind a name is none.
        assert!(parse("UTC [9] 10:10:10 ", false).has_names);
        assert_eq!(parse("UTC [9] psql 198.51.100.1 ", false).client, None);
        assert_eq!(parse("UTC [9] x@y [7] z", false).pid, Some("9"));
    }
}
