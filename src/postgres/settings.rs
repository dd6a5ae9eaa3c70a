//! The settings of a session: what clients set and ask for when they connect.
//!
//! In: names and values. Out: what is in force. Promise: what would change the meaning of an answer is refused or said (times
//! are UTC, text is UTF-8, strings are standard); bounded. Source: PostgreSQL 15, chapter 20.

use std::collections::BTreeMap;
use std::time::Duration;

use super::problem::Problem;

/// The version of PostgreSQL whose protocol and catalog this is.
pub const VERSION: &str = "15.0";
/// The most settings of a session's own.
const OWN_MAX: usize = 64;
/// The longest value.
const VALUE_BYTES_MAX: usize = 1_024;

/// Settings, with what they are at first. Those of [`FIXED`] are taken and stay as they are.
const USUAL: &[(&str, &str)] = &[
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO, MDY"),
    ("default_table_access_method", "heap"),
    ("default_tablespace", ""),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_read_only", "on"),
    ("extra_float_digits", "1"),
    ("gin_fuzzy_search_limit", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("in_hot_standby", "off"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("jit", "off"),
    ("lc_collate", "C.UTF-8"),
    ("lc_ctype", "C.UTF-8"),
    ("lc_messages", "C.UTF-8"),
    ("lock_timeout", "0"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("row_security", "on"),
    ("search_path", "\"$user\", public"),
    ("server_encoding", "UTF8"),
    ("server_version", VERSION),
    ("server_version_num", "150000"),
    ("session_authorization", ""),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("synchronous_commit", "on"),
    ("synchronize_seqscans", "on"),
    ("timezone", "UTC"),
    ("transaction_isolation", "repeatable read"),
    ("transaction_read_only", "on"),
    ("transaction_deferrable", "off"),
    ("xmlbinary", "base64"),
    ("quote_all_identifiers", "off"),
];

/// Settings that cannot be changed.
const FIXED: &[&str] = &[
    "in_hot_standby",
    "integer_datetimes",
    "is_superuser",
    "lc_collate",
    "lc_ctype",
    "max_identifier_length",
    "max_index_keys",
    "server_encoding",
    "server_version",
    "server_version_num",
    "session_authorization",
];

/// What clients are told unasked when they connect, by the names they know.
pub const TOLD: &[(&str, &str)] = &[
    ("application_name", "application_name"),
    ("client_encoding", "client_encoding"),
    ("DateStyle", "datestyle"),
    ("default_transaction_read_only", "default_transaction_read_only"),
    ("in_hot_standby", "in_hot_standby"),
    ("integer_datetimes", "integer_datetimes"),
    ("IntervalStyle", "intervalstyle"),
    ("is_superuser", "is_superuser"),
    ("server_encoding", "server_encoding"),
    ("server_version", "server_version"),
    ("session_authorization", "session_authorization"),
    ("standard_conforming_strings", "standard_conforming_strings"),
    ("TimeZone", "timezone"),
];

/// Settings of one session.
#[derive(Clone, Debug)]
pub struct Settings {
    values: BTreeMap<String, String>,
}

/// What became of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in force.
    InForce,
    /// It was heard, and something else is in force, for this reason.
    Instead(Problem),
}

impl Settings {
    /// The settings of a session at first.
    pub fn new(user: &str) -> Settings {
        let mut values: BTreeMap<String, String> =
            USUAL.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        values.insert("session_authorization".to_owned(), user.to_owned());
        Settings { values }
    }

    /// All of them, by name.
    pub fn all(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(&name.to_lowercase()).map(String::as_str)
    }

    /// Goes back to what was at first.
    pub fn reset(&mut self) {
        let user = self.values.get("session_authorization").cloned().unwrap_or_default();
        *self = Settings::new(&user);
    }

    /// Changes one; `None` = to what it was at first.
    ///
    /// # Errors
    /// There is none of this name, it cannot be changed, or not to this.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<Taken, Problem> {
        let name = name.to_lowercase();
        let usual = USUAL.iter().find(|(known, _)| *known == name).map(|(_, usual)| *usual);
        if usual.is_none() && !name.contains('.') {
            return Err(Problem::new("42704", format!("unrecognized configuration parameter \"{}\"", cut(&name))));
        }
        if FIXED.contains(&name.as_str()) {
            return Err(Problem::new("55P02", format!("parameter \"{name}\" cannot be changed")));
        }
        let Some(value) = value.or(usual) else {
            self.values.remove(&name);
            return Ok(Taken::InForce);
        };
        if VALUE_BYTES_MAX < value.len() || VALUE_BYTES_MAX < name.len() {
            return Err(Problem::new("22023", "the value of a parameter is too long"));
        }
        let invalid = || Problem::new("22023", format!("invalid value for parameter \"{name}\": \"{}\"", cut(value)));
        let plain = value.to_lowercase().replace(['-', '_'], "");
        match name.as_str() {
            "client_encoding" if !["utf8", "unicode"].contains(&plain.trim_matches(['\'', '"'])) => {
                return Err(Problem::new("0A000", "only client_encoding UTF8 is supported"));
            }
            "client_encoding" => {
                self.values.insert(name, "UTF8".to_owned());
                return Ok(Taken::InForce);
            }
            "standard_conforming_strings" if is_off(&plain) => return Err(invalid()),
            "bytea_output" if plain != "hex" => return Err(invalid()),
            "datestyle" if !plain.contains("iso") => return Err(invalid()),
            "datestyle" => return Ok(Taken::InForce),
            "intervalstyle" => return Ok(Taken::InForce),
            "timezone" => {
                let is_utc = ["utc", "etc/utc", "gmt", "etc/gmt", "0", "zulu", "local"].contains(&plain.as_str());
                let told = "times are given in UTC, with their zone, whatever TimeZone says";
                return Ok(if is_utc { Taken::InForce } else { Taken::Instead(Problem::new("01000", told)) });
            }
            "transaction_read_only" | "default_transaction_read_only" if is_off(&plain) => {
                let told = "this server only reads, whatever the transaction says";
                return Ok(Taken::Instead(Problem::new("01000", told)));
            }
            "statement_timeout" => {
                millis(value).ok_or_else(invalid)?;
            }
            _ => {}
        }
        let is_new = !self.values.contains_key(&name);
        if is_new && USUAL.len() + OWN_MAX <= self.values.len() {
            return Err(Problem::new("53400", "too many parameters of a session's own"));
        }
        self.values.insert(name, value.to_owned());
        Ok(Taken::InForce)
    }

    /// How long a statement may run: what the client asks for, at most `max`.
    pub fn statement_time(&self, max: Duration) -> Duration {
        match self.get("statement_timeout").and_then(millis) {
            None | Some(0) => max,
            Some(asked) => Duration::from_millis(asked).min(max),
        }
    }
}

fn is_off(value: &str) -> bool {
    ["off", "false", "no", "0", "f", "n"].contains(&value.trim_matches(['\'', '"']))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// A time as PostgreSQL takes it: milliseconds, or with a unit.
fn millis(value: &str) -> Option<u64> {
    let value = value.trim().trim_matches('\'').trim();
    let end = value.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(value.len());
    let number: u64 = value[..end].parse().ok()?;
    let factor = match value[end..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_taken_or_refused_and_bounded() {
        let mut settings = Settings::new("an");
        let code = |result: Result<Taken, Problem>| match result {
            Ok(Taken::InForce) => "ok",
            Ok(Taken::Instead(problem)) => problem.code,
            Err(problem) => problem.code,
        };
        let rows = [
            ("Application_Name", Some("psql"), "ok"),
            ("client_encoding", Some("utf-8"), "ok"),
            ("client_encoding", Some("LATIN1"), "0A000"),
            ("TimeZone", Some("UTC"), "ok"),
            ("TimeZone", Some("Asia/Ho_Chi_Minh"), "01000"),
            ("statement_timeout", Some("5s"), "ok"),
            ("statement_timeout", Some("soon"), "22023"),
            ("server_version", Some("9"), "55P02"),
            ("no_such", Some("1"), "42704"),
            ("my.own", Some("1"), "ok"),
            ("standard_conforming_strings", Some("off"), "22023"),
            ("extra_float_digits", None, "ok"),
        ];
        for (name, value, expected) in rows {
            assert_eq!(code(settings.set(name, value)), expected, "{name} {value:?}");
        }
        assert_eq!(settings.get("timezone"), Some("UTC"));
        assert_eq!(settings.statement_time(Duration::from_secs(60)), Duration::from_secs(5));
        assert_eq!(settings.statement_time(Duration::from_secs(2)), Duration::from_secs(2));
        for number in 0..1_000 {
            drop(settings.set(&format!("my.own{number}"), Some("x")));
        }
        assert!(settings.all().len() <= USUAL.len() + OWN_MAX);
        settings.reset();
        assert_eq!((settings.get("my.own"), settings.get("session_authorization")), (None, Some("an")));
    }
}
