//! Why a statement has no answer, as PostgreSQL says it: SQLSTATE, words, place.
//!
//! In: what the store or the catalog said. Out: the fields of an `ErrorResponse`. Source: PostgreSQL 15, appendix A and chapter
//! 55.8.

use nhatle_storage::pg;
use nhatle_storage::sql::SqlError;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

/// The longest message; what is longer is cut.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Why there is no answer, or no more of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// SQLSTATE.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The byte in the statement where it is.
    pub offset: Option<usize>,
}

impl Problem {
    /// A problem.
    pub fn new(code: &'static str, message: impl Into<String>) -> Problem {
        Problem { code, message: message.into(), offset: None }
    }

    /// What this server does not do.
    pub fn not_built(what: &str) -> Problem {
        Problem::new("0A000", format!("{what} is not supported"))
    }

    /// The time is over.
    pub fn timeout() -> Problem {
        Problem::new("57014", "canceling statement due to statement timeout")
    }

    /// Somebody asked for it.
    pub fn canceled() -> Problem {
        Problem::new("57014", "canceling statement due to user request")
    }

    /// The statement's text was not UTF-8, or broke another rule of the protocol.
    pub fn protocol(message: &str) -> Problem {
        Problem::new("08P01", message)
    }

    /// The message, of a severity (`ERROR`, `FATAL`); `text` is the statement the offset is of.
    pub fn response(&self, severity: &str, text: &str) -> PgWireBackendMessage {
        PgWireBackendMessage::ErrorResponse(ErrorResponse::new(self.fields(severity, text)))
    }

    /// The same as a notice.
    pub fn notice(&self) -> PgWireBackendMessage {
        PgWireBackendMessage::NoticeResponse(NoticeResponse::new(self.fields("NOTICE", "")))
    }

    fn fields(&self, severity: &str, text: &str) -> Vec<(u8, String)> {
        let message: String = self.message.chars().filter(|letter| *letter != '\0').take(MESSAGE_CHARS_MAX).collect();
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.code.to_owned()),
            (b'M', message),
        ];
        // In characters, from 1.
        let before = self.offset.and_then(|offset| text.get(..offset));
        if let Some(before) = before.filter(|_| !text.is_empty()) {
            fields.push((b'P', (before.chars().count() + 1).to_string()));
        }
        fields
    }
}

impl From<pg::Problem> for Problem {
    fn from(problem: pg::Problem) -> Problem {
        Problem { code: problem.code, message: problem.message, offset: problem.offset }
    }
}

/// What the engine said of this statement.
pub fn of_engine(error: &SqlError, text: &str) -> Problem {
    let said = error.to_string();
    match error {
        SqlError::Refused(reason) => {
            let place = pg::scan::place(reason).and_then(|(line, column)| pg::scan::offset_of(text, line, column));
            Problem { code: refused(reason), message: said, offset: place }
        }
        SqlError::Failed(_) => Problem::new("22000", said),
        SqlError::Busy { .. } => Problem::new("53000", said),
        SqlError::PutAside => Problem::new("53400", said),
        SqlError::TimeLimit { .. } => Problem::timeout(),
        SqlError::Memory(_) => Problem::new("53200", said),
        SqlError::TooMuch { .. } => Problem::new("54000", said),
        SqlError::Canceled => Problem::canceled(),
        // Which file it is stands in the log; it is nothing of the client's.
        SqlError::Read(_) => Problem::new("58030", "a part of the store cannot be read"),
        _ => Problem::new("58000", "the server cannot answer now"),
    }
}

/// The code of a refused statement, by what was said of it.
fn refused(reason: &str) -> &'static str {
    let lower = reason.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["no column", "no field named", "column not found"]) {
        "42703"
    } else if has(&["table '", "no table", "table not found"]) && has(&["not found", "no table"]) {
        "42P01"
    } else if has(&["invalid function", "no function", "function '"]) {
        "42883"
    } else if has(&["sql parser error", "expected", "unterminated", "unexpected"]) {
        "42601"
    } else if has(&["read only", "read-only", "only reads", "only queries"]) {
        "25006"
    } else if has(&["not built", "not implemented", "unsupported"]) {
        "0A000"
    } else if has(&["coerce", "cannot cast", "type"]) {
        "42804"
    } else {
        "42000"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_told_in_characters() {
        let text = "select 'ế', wrong";
        let offset = text.find("wrong");
        let problem = Problem { offset, ..Problem::new("42703", "no") };
        let fields = problem.fields("ERROR", text);
        assert!(fields.contains(&(b'P', "13".to_owned())), "{fields:?}");
        assert!(fields.contains(&(b'C', "42703".to_owned())));
        let beyond = Problem { offset: Some(99), ..Problem::new("42703", "no") };
        assert!(!beyond.fields("ERROR", text).iter().any(|(kind, _)| *kind == b'P'));
    }
}
