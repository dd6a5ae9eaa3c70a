//! Threat intelligence: indicators as others publish them, made comparable.
//!
//! In: files of many forms ([`read`]). Out: [`Indicator`]s with one spelling for each value: addresses and ranges in
//! their plain form, domains in lower case and Punycode, URLs without scheme, default port and fragment, hashes in
//! lower case. What was made harmless to print (`hxxp`, `[.]`) is put back. Failure: what is no indicator, or one too
//! wide to mean anything, is left out, counted and named ([`Found::left_out`]).

pub mod domain;
pub mod fields;
pub mod list;
pub mod misp;
pub mod stix;
pub mod table;
pub mod text;

use std::collections::BTreeMap;
use std::net::IpAddr;

use nhatle_event::{Text, Timestamp};

use super::Cidr;

/// How many indicators one list may have.
pub const INDICATORS_MAX: usize = 4_000_000;
/// How large one file may be, in bytes.
pub const FILE_BYTES_MAX: usize = 512 << 20;
/// How long a value may be, in bytes.
pub const VALUE_BYTES_MAX: usize = 2_048;
/// How long tags or a reference may be, in bytes; longer ones are cut.
pub const NOTE_BYTES_MAX: usize = 256;
/// How many reasons for leaving something out are told apart.
const REASONS_MAX: usize = 64;

/// What an indicator is, in the words of ECS `threat.indicator.type` (which are those of STIX).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An address or a range of addresses.
    Ip,
    /// A domain, with everything below it.
    Domain,
    /// A URL.
    Url,
    /// MD5, SHA-1 or SHA-256 of a file.
    File,
    /// An address of electronic mail.
    Email,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Ip, Kind::Domain, Kind::Url, Kind::File, Kind::Email];

    /// The word for it in files and on pages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ip => "ip",
            Kind::Domain => "domain",
            Kind::Url => "url",
            Kind::File => "file",
            Kind::Email => "email",
        }
    }

    /// The kind of this word.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A value to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// What it is.
    pub kind: Kind,
    /// Its value, in its one spelling.
    pub value: Text,
    /// How sure the source is, 0 to 100; `None` where it does not say.
    pub confidence: Option<u8>,
    /// When the source first saw it.
    pub first_seen: Option<Timestamp>,
    /// From when on it means nothing.
    pub until: Option<Timestamp>,
    /// What else is said of it.
    pub note: Note,
}

/// What is said of an indicator beside its value; shared by many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Note {
    /// `CLEAR`, `GREEN`, `AMBER`, `AMBER+STRICT` or `RED`; empty where the source does not say.
    pub tlp: Text,
    /// Tags, malware, campaign; joined by commas.
    pub tags: Text,
    /// Where to read more.
    pub reference: Text,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its indicators.
    pub indicators: Vec<Indicator>,
    /// What was not taken, and how often.
    pub left_out: BTreeMap<String, u64>,
}

/// Why a file is not read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntelError {
    /// Longer than [`FILE_BYTES_MAX`].
    #[error("longer than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    /// JSON that does not end, or is of another shape.
    #[error("no {what}: {reason}")]
    Shape {
        /// What was expected.
        what: &'static str,
        /// Why it is none.
        reason: String,
    },
    /// Nothing in it is an indicator.
    #[error("no indicator in it{}", if .0.is_empty() { String::new() } else { format!("; left out: {}", .0) })]
    Empty(String),
}

/// How a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Found out by looking.
    #[default]
    Any,
    /// A value a line.
    Lines,
    /// A table with headings.
    Csv,
    /// An event of MISP, as in its feeds.
    Misp,
    /// A bundle of STIX 2.1.
    Stix,
}

impl Form {
    /// The form of this word.
    pub fn from_name(name: &str) -> Option<Form> {
        Some(match name {
            "" | "auto" => Form::Any,
            "lines" => Form::Lines,
            "csv" => Form::Csv,
            "misp" => Form::Misp,
            "stix" => Form::Stix,
            _ => return None,
        })
    }
}

impl Found {
    /// Counts something that was not taken.
    pub fn leave_out(&mut self, reason: &str) {
        let is_known = self.left_out.contains_key(reason);
        let reason = if is_known || self.left_out.len() < REASONS_MAX { reason } else { "other" };
        *self.left_out.entry(reason.to_owned()).or_default() += 1;
    }

    /// Takes an indicator, or counts why not.
    pub fn take(&mut self, kind: Option<Kind>, text: &str, with: impl FnOnce(&mut Indicator)) {
        if INDICATORS_MAX <= self.indicators.len() {
            return self.leave_out("more than a list may have");
        }
        match normal(kind, text) {
            Ok((kind, value)) => {
                let mut indicator =
                    Indicator { kind, value, confidence: None, first_seen: None, until: None, note: Note::default() };
                with(&mut indicator);
                self.indicators.push(indicator);
            }
            Err(reason) => self.leave_out(reason),
        }
    }

    /// How many indicators there are of each kind.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        self.indicators.iter().for_each(|one| *counts.entry(one.kind.name()).or_default() += 1);
        counts
    }

    /// Adds what another file of the same list holds.
    pub fn join(&mut self, more: Found) {
        let room = INDICATORS_MAX.saturating_sub(self.indicators.len());
        let past = more.indicators.len().saturating_sub(room);
        self.indicators.extend(more.indicators.into_iter().take(room));
        for (reason, count) in more.left_out {
            let reason = if self.left_out.len() < REASONS_MAX { reason } else { "other".to_owned() };
            *self.left_out.entry(reason).or_default() += count;
        }
        if past != 0 {
            self.leave_out("more than a list may have");
        }
    }

    /// The first of those with the same kind and value stays, with the longer life of the two; sorted by both.
    #[must_use]
    pub fn without_repeats(mut self) -> Found {
        // Stable: of equal ones the first in the file.
        self.indicators.sort_by(|left, right| (left.kind, &left.value).cmp(&(right.kind, &right.value)));
        let before = self.indicators.len();
        self.indicators.dedup_by(|later, first| {
            let is_same = (later.kind, &later.value) == (first.kind, &first.value);
            if is_same {
                first.until = first.until.and_then(|end| later.until.map(|other| end.max(other)));
                first.confidence = first.confidence.max(later.confidence);
            }
            is_same
        });
        let repeats = u64::try_from(before - self.indicators.len()).unwrap_or(0);
        if repeats != 0 {
            self.left_out.insert("stands there twice".to_owned(), repeats);
        }
        self
    }
}

/// Reads a file of indicators: sorted by kind and value, each once.
///
/// # Errors
/// It is too large, breaks its form, or holds no indicator.
pub fn read(bytes: &[u8], form: Form) -> Result<Found, IntelError> {
    if FILE_BYTES_MAX < bytes.len() {
        return Err(IntelError::TooLarge);
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let form = match form {
        Form::Any if text.trim_start().starts_with('{') => {
            // Both are JSON; only a bundle has objects.
            if text.contains("\"objects\"") && text.contains("\"bundle\"") { Form::Stix } else { Form::Misp }
        }
        Form::Any if text::is_table(text) => Form::Csv,
        Form::Any => Form::Lines,
        form => form,
    };
    let found = match form {
        Form::Stix => stix::read(text)?,
        Form::Misp => misp::read(text)?,
        Form::Csv => text::read_table(text),
        Form::Lines | Form::Any => text::read_lines(text),
    };
    if found.indicators.is_empty() {
        let told: Vec<String> = found.left_out.iter().take(5).map(|(why, count)| format!("{why} ({count})")).collect();
        return Err(IntelError::Empty(told.join(", ")));
    }
    Ok(found.without_repeats())
}

/// A text cut at a border of characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// The word of the traffic light protocol in a tag or name; empty where there is none.
pub(crate) fn tlp_of(text: &str) -> &'static str {
    let Some(color) =
        text.trim().get(4..).filter(|_| text.trim().get(..4).is_some_and(|head| head.eq_ignore_ascii_case("tlp:")))
    else {
        return "";
    };
    match color.to_ascii_lowercase().as_str() {
        "white" | "clear" => "CLEAR",
        "green" => "GREEN",
        "amber" => "AMBER",
        "amber+strict" => "AMBER+STRICT",
        "red" => "RED",
        _ => "",
    }
}

/// Puts back what was written so that nobody clicks on it.
fn refanged(text: &str) -> std::borrow::Cow<'_, str> {
    let is_fanged = |c: char| matches!(c, '[' | '(' | '{') || c == '\\';
    let head = text.get(..4).map(str::to_ascii_lowercase).unwrap_or_default();
    let is_scheme_hidden = matches!(head.as_str(), "hxxp" | "fxp:" | "meow");
    if !text.contains(is_fanged) && !is_scheme_hidden {
        return text.into();
    }
    let mut plain = text.to_owned();
    for (written, meant) in [
        ("[.]", "."),
        ("(.)", "."),
        ("{.}", "."),
        ("[dot]", "."),
        ("(dot)", "."),
        ("[.", "."),
        (".]", "."),
        ("\\.", "."),
        ("[:]", ":"),
        ("[://]", "://"),
        ("[/]", "/"),
        ("[@]", "@"),
        ("[at]", "@"),
        ("(at)", "@"),
    ] {
        if plain.contains(written) {
            plain = plain.replace(written, meant);
        }
    }
    if is_scheme_hidden {
        let rest = plain.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest.to_owned()));
        plain = match rest {
            Some((scheme, rest)) if scheme == "hxxps" => format!("https:{rest}"),
            Some((scheme, rest)) if scheme == "hxxp" || scheme == "meow" => format!("http:{rest}"),
            Some((scheme, rest)) if scheme == "fxp" => format!("ftp:{rest}"),
            _ => plain,
        };
    }
    plain.into()
}

/// The one spelling of a value; its kind is guessed where it is not given.
///
/// # Errors
/// Why it is no indicator, as a constant phrase.
pub fn normal(kind: Option<Kind>, text: &str) -> Result<(Kind, Text), &'static str> {
    let text = text.trim().trim_matches(['"', '\'']).trim();
    if text.is_empty() {
        return Err("empty");
    }
    if VALUE_BYTES_MAX < text.len() {
        return Err("too long");
    }
    if text.contains(char::is_control) {
        return Err("a control character");
    }
    let text = &*refanged(text);
    let kind = kind.unwrap_or_else(|| guessed(text));
    Ok((
        kind,
        match kind {
            Kind::Ip => address(text)?,
            Kind::Domain => {
                let host = text.split_once("://").map_or(text, |(_, rest)| rest);
                let host = host.split(['/', '?', '#']).next().unwrap_or_default();
                let host = host.strip_prefix("*.").unwrap_or(host).trim_start_matches('.');
                let name = domain::normal(without_port(host)).ok_or("no domain")?;
                if name.parse::<IpAddr>().is_ok() {
                    return Ok((Kind::Ip, address(&name)?));
                }
                if domain::is_public_suffix(&name) {
                    return Err("a domain that belongs to everybody");
                }
                name
            }
            Kind::Url => url(text)?,
            Kind::File => hash(text).ok_or("no MD5, SHA-1 or SHA-256")?,
            Kind::Email => email(text).ok_or("no mail address")?,
        },
    ))
}

fn guessed(text: &str) -> Kind {
    if text.parse::<Cidr>().is_ok()
        || text.rsplit_once(':').is_some_and(|(host, _)| host.parse::<std::net::Ipv4Addr>().is_ok())
    {
        Kind::Ip
    } else if text.contains("://") {
        Kind::Url
    } else if hash(text).is_some() {
        Kind::File
    } else if text.contains('/') {
        Kind::Url
    } else if text.contains('@') {
        Kind::Email
    } else {
        Kind::Domain
    }
}

/// An address or range. Ranges that hold half the world, and addresses that mean something else in each network, are
/// none: a list with `10.0.0.0/8` in it must not ring for every event.
fn address(text: &str) -> Result<Text, &'static str> {
    // `198.51.100.7:443`, and ranges `198.51.100.7/32`.
    let bare = text.rsplit_once(':').map(|(host, _)| host).filter(|host| host.parse::<std::net::Ipv4Addr>().is_ok());
    let range: Cidr = bare.unwrap_or(text).parse().map_err(|_error| "no address")?;
    let least = if range.first().is_ipv4() { 8 } else { 16 };
    if range.prefix() < least {
        return Err("a range that is too wide");
    }
    if !super::is_public(range.first()) {
        return Err("an address that is not public");
    }
    Ok(Text::from(range.to_string()))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// A URL as it is compared: host in its one spelling, no scheme, user, default port or fragment; `host/` is `host`.
///
/// # Errors
/// Why it is none, as a constant phrase.
pub fn url(text: &str) -> Result<Text, &'static str> {
    let parts = UrlParts::of(text);
    let is_default = matches!(
        (parts.scheme.to_ascii_lowercase().as_str(), parts.port.unwrap_or_default()),
        (_, "" | "80" | "443") | ("ftp", "21")
    );
    let mut value = parts.host()?;
    if let Some(port) = parts.port.filter(|_| !is_default) {
        value.push(':');
        value.push_str(port);
    }
    value.push_str(if parts.path == "/" { "" } else { parts.path });
    Ok(value)
}

/// The host of a URL, or of the front of one, as [`url`] spells it; `None` where that would be no URL.
pub(crate) fn url_host(text: &str) -> Option<Text> {
    UrlParts::of(text).host().ok()
}

/// A URL taken apart, nothing of it checked.
struct UrlParts<'a> {
    scheme: &'a str,
    /// Without user and port.
    bare: &'a str,
    port: Option<&'a str>,
    path: &'a str,
}

impl UrlParts<'_> {
    fn of(text: &str) -> UrlParts<'_> {
        let is_scheme =
            |scheme: &str| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)).unwrap_or(("", text));
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let port =
            host.rsplit_once(':').filter(|(name, _)| !name.contains(':') || name.ends_with(']')).map(|(_, port)| port);
        let bare = match port {
            Some(port) => &host[..host.len() - port.len() - 1],
            None => host,
        };
        UrlParts { scheme, bare, port, path }
    }

    fn host(&self) -> Result<Text, &'static str> {
        match self.bare.strip_prefix('[').and_then(|bare| bare.strip_suffix(']')) {
            Some(v6) => v6
                .parse::<std::net::Ipv6Addr>()
                .map(|address| Text::from(format!("[{address}]")))
                .map_err(|_error| "no URL"),
            None => domain::normal(self.bare).ok_or("no URL"),
        }
    }
}

/// Hexadecimal digits as many as MD5, SHA-1 or SHA-256 have, in lower case.
pub(crate) fn hash(text: &str) -> Option<Text> {
    let is_hash = matches!(text.len(), 32 | 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| Text::from(text.to_ascii_lowercase()))
}

/// A mail address in lower case with the domain in its one spelling.
pub(crate) fn email(text: &str) -> Option<Text> {
    let text = text.strip_prefix("mailto:").unwrap_or(text);
    let text = match text.rsplit_once('<') {
        Some((_, inner)) => inner.split('>').next()?,
        None => text,
    };
    let (user, host) = text.rsplit_once('@')?;
    let is_user = !user.is_empty() && user.len() <= 64 && !user.contains(|c: char| c.is_whitespace() || c == '@');
    is_user.then(|| domain::normal(host))?.map(|host| Text::from(format!("{}@{host}", user.to_lowercase())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(Kind, &str), &str>) {
        let found = normal(None, text);
        assert_eq!(
            found.as_ref().map(|(kind, value)| (*kind, value.as_str())),
            expected.as_ref().map(|one| *one),
            "{text:?}"
        );
    }

    #[test]
    fn values_have_one_spelling() {
        check("198.51.100.7", Ok((Kind::Ip, "198.51.100.7")));
        check("198[.]51.100(.)7:443", Ok((Kind::Ip, "198.51.100.7")));
        check("198.51.100.77/24", Ok((Kind::Ip, "198.51.100.0/24")));
        check("2001:DB8::1/128", Ok((Kind::Ip, "2001:db8::1")));
        check("::ffff:198.51.100.7", Ok((Kind::Ip, "198.51.100.7")));
        check("EVIL[.]Example.", Ok((Kind::Domain, "evil.example")));
        check("*.evil.example", Ok((Kind::Domain, "evil.example")));
        check("đồng-hới.example", Ok((Kind::Domain, "xn--ng-hi-4ya0444c7ba.example")));
        check("hxxps://User@Evil.Example:443/A?b=C#d", Ok((Kind::Url, "evil.example/A?b=C")));
        check("hxxp[:]//evil[.]example/", Ok((Kind::Url, "evil.example")));
        check("http://evil.example:8080/x", Ok((Kind::Url, "evil.example:8080/x")));
        check("https://[2001:DB8::1]:8443/x", Ok((Kind::Url, "[2001:db8::1]:8443/x")));
        check("evil.example/drop.exe", Ok((Kind::Url, "evil.example/drop.exe")));
        check("D41D8CD98F00B204E9800998ECF8427E", Ok((Kind::File, "d41d8cd98f00b204e9800998ecf8427e")));
        check("Bad Man <Bad[at]Evil.example>", Ok((Kind::Email, "bad@evil.example")));
    }

    #[test]
    fn what_would_ring_for_everything_is_left_out() {
        for (text, why) in [
            ("0.0.0.0/0", "a range that is too wide"),
            ("10.1.2.3", "an address that is not public"),
            ("127.0.0.1", "an address that is not public"),
            ("192.168.0.0/16", "an address that is not public"),
            ("fe80::1", "an address that is not public"),
            ("com", "no domain"),
            ("gov.vn", "a domain that belongs to everybody"),
            ("co.uk", "a domain that belongs to everybody"),
            ("not a domain", "no domain"),
            ("", "empty"),
        ] {
            check(text, Err(why));
        }
        assert_eq!(normal(Some(Kind::File), "d41d8cd9"), Err("no MD5, SHA-1 or SHA-256"));
        assert_eq!(normal(Some(Kind::Domain), "198.51.100.7"), Ok((Kind::Ip, "198.51.100.7".into())));
    }

    #[test]
    fn an_indicator_stands_once_with_the_longer_life() {
        let text = "ip,valid_until\n198.51.100.7,2026-11-01\n198.51.100.7,2026-12-01\nx y,\n";
        let found = read(text.as_bytes(), Form::Any).expect("is a list");
        assert_eq!(found.indicators.len(), 1);
        assert_eq!(found.indicators[0].until, Timestamp::parse("2026-12-01T00:00:00Z", 0));
        assert_eq!(found.left_out.values().sum::<u64>(), 2);
        assert!(matches!(read(b"nothing here\n", Form::Any), Err(IntelError::Empty(_))));
    }
}
