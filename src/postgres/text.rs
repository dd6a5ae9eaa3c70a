//! The text of what a client asks: cut into statements, and which of them this server answers by itself.
//!
//! In: text. Out: statements with their places, [`Command`]. Promise: quotes, dollar quotes and comments are PostgreSQL's; what
//! is not known here goes to the engine or the catalog, which only read. Source: PostgreSQL 15, chapter 4.1 and reference I.

use super::problem::Problem;

/// The most statements of one text.
pub const STATEMENTS_MAX: usize = 100;

/// One token: where it stands, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    start: usize,
    end: usize,
    kind: Kind,
    text: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Quoted,
    Name,
    Other,
}

/// Cuts text into statements; each with the byte where it begins.
///
/// # Errors
/// There are more than [`STATEMENTS_MAX`].
pub fn statements(text: &str) -> Result<Vec<(usize, &str)>, Problem> {
    let mut found = Vec::new();
    let mut start = None;
    let mut end = 0;
    for token in Tokens::new(text) {
        if token.text == ";" {
            if let Some(start) = start.take() {
                found.push((start, &text[start..end]));
            }
            continue;
        }
        start = start.or(Some(token.start));
        end = token.end;
        if STATEMENTS_MAX < found.len() {
            return Err(Problem::new("54001", format!("more than {STATEMENTS_MAX} statements at once")));
        }
    }
    found.extend(start.map(|start| (start, &text[start..end])));
    Ok(found)
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Tokens<'a> {
        Tokens { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The byte behind a quote that begins at `from` (its first byte is the quote).
    fn quoted(&self, from: usize, has_escapes: bool) -> usize {
        let bytes = self.text.as_bytes();
        let quote = bytes[from];
        let mut at = from + 1;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' if has_escapes => at += 2,
                byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
                byte if byte == quote => return at + 1,
                _ => at += 1,
            }
        }
        bytes.len()
    }

    /// Skips white space and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("--") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let bytes = trimmed.as_bytes();
                let (mut at, mut depth) = (2, 1);
                while at < bytes.len() && 0 < depth {
                    match (bytes[at], bytes.get(at + 1)) {
                        (b'/', Some(b'*')) => (at, depth) = (at + 2, depth + 1),
                        (b'*', Some(b'/')) => (at, depth) = (at + 2, depth - 1),
                        _ => at += 1,
                    }
                }
                self.at += at;
            } else {
                return;
            }
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip();
        let rest = self.rest();
        let first = rest.chars().next()?;
        let start = self.at;
        let is_of_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$');
        let (kind, end) = match first {
            '\'' => (Kind::Quoted, self.quoted(start, false)),
            '"' => (Kind::Name, self.quoted(start, false)),
            'e' | 'E' if rest[1..].starts_with('\'') => (Kind::Quoted, self.quoted(start + 1, true)),
            '$' if dollar(rest).is_some() => {
                let tag = dollar(rest).unwrap_or("$$");
                let end = rest[tag.len()..].find(tag).map_or(rest.len(), |at| at + 2 * tag.len());
                (Kind::Quoted, start + end)
            }
            letter if letter.is_alphanumeric() || letter == '_' => {
                let length = rest.find(|letter| !is_of_word(letter)).unwrap_or(rest.len());
                (Kind::Word, start + length)
            }
            other => (Kind::Other, start + other.len_utf8()),
        };
        let mut end = end.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        self.at = end;
        Some(Token { start, end, kind, text: &self.text[start..end] })
    }
}

/// The tag of a dollar quote: `$$` or `$tag$`; `$1` is none.
fn dollar(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 2;
    let tag = &text[1..end - 1];
    let is_tag = tag.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
        && !tag.starts_with(|first: char| first.is_ascii_digit());
    is_tag.then(|| &text[..end])
}

/// What a statement is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A question to the engine or the catalog.
    Query,
    /// A setting is changed; `None` = to what it was at first.
    Set(String, Option<String>),
    /// A setting is asked for.
    Show(String),
    /// All settings are asked for.
    ShowAll,
    /// Accepted, and nothing is done; the tag of its answer.
    Nothing(&'static str),
    /// A transaction begins.
    Begin,
    /// A transaction ends well.
    Commit,
    /// A transaction ends, or is given up.
    Rollback,
    /// Settings, statements and cursors go.
    Discard,
    /// Settings go back to what they were.
    ResetAll,
    /// A statement goes; `None` = all.
    Deallocate(Option<String>),
    /// A cursor over a query begins; where the query begins in the text.
    Declare {
        /// Its name.
        name: String,
        /// Whether its rows are binary.
        is_binary: bool,
        /// The query.
        query: String,
    },
    /// Rows of a cursor; `None` = all.
    Fetch(String, Option<u32>),
    /// A cursor ends; `None` = all.
    CloseCursor(Option<String>),
    /// Rows go out as text or CSV.
    Copy(Copy),
    /// It would change something.
    Change(String),
    /// Something else that this server does not do.
    NotBuilt(String),
}

/// `COPY (query) TO STDOUT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The query.
    pub query: String,
    /// CSV in place of text.
    pub is_csv: bool,
    /// Names of columns first.
    pub has_header: bool,
}

/// What a statement is.
///
/// # Errors
/// It begins as one that is known here, and goes on otherwise.
pub fn command(text: &str) -> Result<Command, Problem> {
    let tokens: Vec<Token<'_>> = Tokens::new(text).take(64).collect();
    let words: Vec<String> = tokens.iter().map(word).collect();
    let at = |index: usize| words.get(index).map_or("", String::as_str);
    Ok(match at(0) {
        "select" | "with" | "values" | "table" | "(" | "explain" => Command::Query,
        "set" => set(&tokens, &words)?,
        // What the engine itself shows.
        "show" if matches!(at(1), "tables" | "columns" | "functions") => Command::Query,
        "show" if at(1) == "all" => Command::ShowAll,
        "show" => Command::Show(shown(&words[1..])),
        "reset" if at(1) == "all" => Command::ResetAll,
        "reset" => Command::Set(shown(&words[1..]), None),
        "begin" | "start" => Command::Begin,
        "commit" | "end" => Command::Commit,
        "rollback" | "abort" if words.iter().any(|word| word == "to") => Command::Nothing("ROLLBACK"),
        "rollback" | "abort" => Command::Rollback,
        "savepoint" => Command::Nothing("SAVEPOINT"),
        "release" => Command::Nothing("RELEASE"),
        "discard" => Command::Discard,
        "unlisten" => Command::Nothing("UNLISTEN"),
        "deallocate" => {
            let name = if at(1) == "prepare" { 2 } else { 1 };
            Command::Deallocate(tokens.get(name).filter(|_| at(name) != "all").map(name_of))
        }
        "declare" => declare(text, &tokens, &words)?,
        "fetch" | "move" => fetch(&tokens, &words)?,
        "close" => Command::CloseCursor(tokens.get(1).filter(|_| at(1) != "all").map(name_of)),
        "copy" => copy(text, &tokens, &words)?,
        "insert" | "update" | "delete" | "merge" | "create" | "alter" | "drop" | "truncate" | "grant" | "revoke"
        | "comment" | "vacuum" | "analyze" | "reindex" | "cluster" | "refresh" | "lock" | "import" | "security"
        | "reassign" | "do" | "call" => Command::Change(at(0).to_uppercase()),
        "prepare" | "execute" | "listen" | "notify" | "load" | "checkpoint" => Command::NotBuilt(at(0).to_uppercase()),
        _ => Command::Query,
    })
}

/// A token as a word to be compared: lower case where it is one.
fn word(token: &Token<'_>) -> String {
    match token.kind {
        Kind::Word | Kind::Other => token.text.to_lowercase(),
        Kind::Quoted | Kind::Name => token.text.to_owned(),
    }
}

/// A name: quoted ones as they are, others in lower case.
fn name_of(token: &Token<'_>) -> String {
    match token.kind {
        Kind::Name => token.text.trim_matches('"').replace("\"\"", "\""),
        _ => token.text.to_lowercase(),
    }
}

/// The setting that words name, by its one name.
fn shown(words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["time", "zone", ..] => "timezone".to_owned(),
        ["transaction", "isolation", "level"] => "transaction_isolation".to_owned(),
        ["session", "authorization"] => "session_authorization".to_owned(),
        _ => words.concat().trim_matches('"').to_lowercase(),
    }
}

fn set(tokens: &[Token<'_>], words: &[String]) -> Result<Command, Problem> {
    let at = |index: usize| words.get(index).map_or("", String::as_str);
    let mut next = 1;
    if matches!(at(1), "session" | "local") {
        next = 2;
    }
    match (at(next), at(next + 1)) {
        ("transaction", _)
        | ("characteristics", "as")
        | ("constraints", _)
        | ("role", _)
        | ("session", "authorization") => {
            return Ok(Command::Nothing("SET"));
        }
        ("time", "zone") => return Ok(Command::Set("timezone".to_owned(), value_of(&tokens[next + 2..]))),
        ("names", _) => return Ok(Command::Set("client_encoding".to_owned(), value_of(&tokens[next + 1..]))),
        _ => {}
    }
    let sign = words.iter().skip(next).position(|word| word == "=" || word == "to").map(|at| at + next);
    let Some(sign) = sign.filter(|sign| next < *sign) else {
        return Err(Problem::new("42601", "syntax error: write SET name = value"));
    };
    let name: String = tokens[next..sign].iter().map(name_of).collect();
    Ok(Command::Set(name, value_of(&tokens[sign + 1..])))
}

/// The value of a setting: its parts, as one text; `None` = `DEFAULT`.
fn value_of(tokens: &[Token<'_>]) -> Option<String> {
    if tokens.first().is_some_and(|token| token.text.eq_ignore_ascii_case("default")) {
        return None;
    }
    let mut value = String::new();
    for token in tokens {
        match token.kind {
            Kind::Quoted => {
                let text = token.text.trim_start_matches(['e', 'E']);
                let inner = text.strip_prefix('\'').unwrap_or(text);
                value.push_str(&inner.strip_suffix('\'').unwrap_or(inner).replace("''", "'"));
            }
            Kind::Name => value.push_str(token.text),
            _ if token.text == "," => value.push_str(", "),
            _ => value.push_str(token.text),
        }
    }
    Some(value)
}

fn declare(text: &str, tokens: &[Token<'_>], words: &[String]) -> Result<Command, Problem> {
    let wrong = || Problem::new("42601", "syntax error: write DECLARE name CURSOR FOR query");
    let cursor = words.iter().position(|word| word == "cursor").filter(|at| 2 <= *at).ok_or_else(wrong)?;
    let begin = words.iter().skip(cursor).position(|word| word == "for").ok_or_else(wrong)? + cursor;
    let query = text[tokens[begin].end..].trim().to_owned();
    if query.is_empty() {
        return Err(wrong());
    }
    let is_binary = words[2..cursor].iter().any(|word| word == "binary");
    Ok(Command::Declare { name: name_of(&tokens[1]), is_binary, query })
}

fn fetch(tokens: &[Token<'_>], words: &[String]) -> Result<Command, Problem> {
    let wrong = || Problem::new("0A000", "only FETCH [FORWARD] [count | ALL | NEXT] [FROM] cursor is supported");
    let (name, how) = tokens[1..].split_last().ok_or_else(wrong)?;
    let how: Vec<&str> = words[1..=how.len()]
        .iter()
        .map(String::as_str)
        .filter(|word| !matches!(*word, "from" | "in" | "forward"))
        .collect();
    let count = match how.as_slice() {
        [] | ["next"] => Some(1),
        ["all"] => None,
        [count] => Some(count.parse().map_err(|_no| wrong())?),
        _ => return Err(wrong()),
    };
    if words.first().is_some_and(|word| word == "move") {
        return Err(Problem::not_built("MOVE"));
    }
    Ok(Command::Fetch(name_of(name), count))
}

fn copy(text: &str, tokens: &[Token<'_>], words: &[String]) -> Result<Command, Problem> {
    let all: Vec<Token<'_>> = Tokens::new(text).collect();
    // The TO of the copy stands outside of parentheses.
    let mut depth = 0_i32;
    let mut to = None;
    for (index, token) in all.iter().enumerate() {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            word if depth == 0 && token.kind == Kind::Word && word.eq_ignore_ascii_case("from") => {
                return Ok(Command::Change("COPY FROM".to_owned()));
            }
            word if depth == 0 && token.kind == Kind::Word && word.eq_ignore_ascii_case("to") => {
                to = to.or(Some(index))
            }
            _ => {}
        }
    }
    let wrong = || Problem::new("42601", "syntax error: write COPY (query) TO STDOUT [WITH (FORMAT csv, HEADER)]");
    let to = to.filter(|to| 2 <= *to).ok_or_else(wrong)?;
    if !all.get(to + 1).is_some_and(|token| token.text.eq_ignore_ascii_case("stdout")) {
        return Err(Problem::new("42501", "COPY writes to STDOUT only"));
    }
    let what = text[tokens[0].end..all[to].start].trim();
    let query = match words.get(1).map(String::as_str) {
        Some("(") => what.strip_prefix('(').and_then(|what| what.strip_suffix(')')).ok_or_else(wrong)?.to_owned(),
        _ => match what.split_once('(') {
            Some((table, columns)) => format!("SELECT {} FROM {table}", columns.trim_end().trim_end_matches(')')),
            None => format!("SELECT * FROM {what}"),
        },
    };
    let mut copy = Copy { query, is_csv: false, has_header: false };
    for token in &all[to + 2..] {
        match token.text.to_lowercase().as_str() {
            "csv" | "'csv'" => copy.is_csv = true,
            "header" => copy.has_header = true,
            "binary" | "'binary'" => return Err(Problem::not_built("COPY in binary")),
            "with" | "(" | ")" | "," | "format" | "text" | "'text'" | "true" | "on" | "encoding" | "'utf8'"
            | "'utf-8'" => {}
            other => return Err(Problem::not_built(&format!("COPY with {other}"))),
        }
    }
    Ok(Command::Copy(copy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes() {
        let rows: [(&str, &[&str]); 8] = [
            ("", &[]),
            (" ; ;-- nothing\n;", &[]),
            ("select 1; select 2", &["select 1", "select 2"]),
            ("select ';' , \"a;b\" ; x", &["select ';' , \"a;b\"", "x"]),
            ("select e'\\';' ; x", &["select e'\\';'", "x"]),
            ("select $a$ ; $$ ; $a$, $1;x", &["select $a$ ; $$ ; $a$, $1", "x"]),
            ("/* a /* ; */ ; */ select 'it''s;' -- ; \n , 2", &["select 'it''s;' -- ; \n , 2"]),
            ("select 'không đóng ;", &["select 'không đóng ;"]),
        ];
        for (text, expected) in rows {
            let found: Vec<&str> = statements(text).expect("few").into_iter().map(|(_, text)| text).collect();
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(statements(&"select 1;".repeat(500)).expect_err("too many").code, "54001");
    }

    #[test]
    fn commands_are_known_by_their_words() {
        let set = |name: &str, value: &str| Command::Set(name.to_owned(), Some(value.to_owned()));
        let copy =
            |query: &str, is_csv, has_header| Command::Copy(Copy { query: query.to_owned(), is_csv, has_header });
        let rows = [
            ("SET extra_float_digits = 3", set("extra_float_digits", "3")),
            ("set SESSION Application_Name TO 'a ''b'''", set("application_name", "a 'b'")),
            ("SET search_path TO public, \"$user\"", set("search_path", "public, \"$user\"")),
            ("SET TIME ZONE 'Asia/Ho_Chi_Minh'", set("timezone", "Asia/Ho_Chi_Minh")),
            ("SET NAMES 'UTF8'", set("client_encoding", "UTF8")),
            ("SET statement_timeout TO DEFAULT", Command::Set("statement_timeout".to_owned(), None)),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Command::Nothing("SET")),
            ("SHOW transaction isolation level", Command::Show("transaction_isolation".to_owned())),
            ("show TIME ZONE", Command::Show("timezone".to_owned())),
            ("START TRANSACTION READ ONLY", Command::Begin),
            ("ROLLBACK TO SAVEPOINT a", Command::Nothing("ROLLBACK")),
            ("/* hi */ abort", Command::Rollback),
            ("DEALLOCATE ALL", Command::Deallocate(None)),
            ("deallocate \"_Pg3_0\"", Command::Deallocate(Some("_Pg3_0".to_owned()))),
            ("FETCH FORWARD 100 FROM \"c\"", Command::Fetch("c".to_owned(), Some(100))),
            ("fetch all in C", Command::Fetch("c".to_owned(), None)),
            ("CLOSE \"c\"", Command::CloseCursor(Some("c".to_owned()))),
            ("COPY (select 'to', (1)) TO STDOUT", copy("select 'to', (1)", false, false)),
            ("copy events to stdout with (format csv, header)", copy("SELECT * FROM events", true, true)),
            ("COPY events FROM STDIN", Command::Change("COPY FROM".to_owned())),
            ("delete from events", Command::Change("DELETE".to_owned())),
            ("select 1", Command::Query),
            ("(select 1)", Command::Query),
        ];
        for (text, expected) in rows {
            assert_eq!(command(text).expect(text), expected, "{text}");
        }
        let declared = command("DECLARE \"c\" NO SCROLL CURSOR FOR SELECT 1").expect("is one");
        let query = "SELECT 1".to_owned();
        assert_eq!(declared, Command::Declare { name: "c".to_owned(), is_binary: false, query });
        assert_eq!(command("COPY events TO '/etc/passwd'").expect_err("a file").code, "42501");
    }
}
