//! The query language. In: a line. Out: a [`Filter`], or a [`SyntaxError`] with the place and, where there
//! is a likely one, what was meant. Never panics; every line within the bounds is read or refused.
//!
//! ```text
//! word          "some words"          wor*  w?rd           anywhere, no case, no marks unless typed
//! field:value   field:"some words"    field:val*           the field is it (in running text: has it)
//! field:>=5     field:[1 TO 9]        field:{a TO *}       comparison, range ({ } without the end)
//! field:10.0.0.0/8                    field:/expression/   network, regular expression
//! field:*       _exists_:field        field:(a OR b)       has it at all; several values
//! a b   a AND b   a OR b   NOT a   -a   (a OR b)           AND binds closer than OR; && || ! too
//! ```
//!
//! A backslash before one of `\ * ? " ( ) : / [ ] { } < > -` or a space makes it plain; before anything
//! else it is a backslash, so `C:\Windows` is itself. In quotes only `\"` and `\\` are special. Source: the
//! common part of Lucene's query parser syntax and the Kibana Query Language.

use super::filter::{Filter, Test};
use super::pattern::{Bound, Expression, Network, Phrase, Piece, Range, Wildcard};
use super::resolve::FieldName;

/// How long a line may be.
pub const LINE_BYTES_MAX: usize = 4096;
/// How many words and tests a line may have.
pub const TERMS_MAX: usize = 256;
/// How deep brackets and NOTs may stand in each other.
pub const DEPTH_MAX: usize = 64;

const SPECIAL: &str = "\\*?\"():/[]{}<>-!+ ";

/// Why a line is none of the language, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct SyntaxError {
    /// Where it begins, in bytes.
    pub offset: usize,
    /// How many bytes it is; 0 at the end of the line.
    pub length: usize,
    /// What is wrong.
    pub reason: String,
    /// What was probably meant, or what to do.
    pub suggestion: Option<String>,
}

/// Reads a line; an empty one is everything.
///
/// # Errors
/// The line is not of the language or past its bounds.
pub fn parse(line: &str) -> Result<Filter, SyntaxError> {
    if LINE_BYTES_MAX < line.len() {
        let reason = format!("a query of more than {LINE_BYTES_MAX} bytes");
        return Err(SyntaxError {
            offset: LINE_BYTES_MAX,
            length: line.len() - LINE_BYTES_MAX,
            reason,
            suggestion: None,
        });
    }
    let mut parser = Parser { line, at: 0, terms: 0 };
    parser.skip_spaces();
    if parser.is_at_end() {
        return Ok(Filter::All);
    }
    let filter = parser.alternatives(None, 0)?;
    match parser.is_at_end() {
        true => Ok(filter),
        false => Err(parser.error_here(1, "a bracket that was never opened", None)),
    }
}

struct Parser<'a> {
    line: &'a str,
    at: usize,
    terms: usize,
}

type Parsed = Result<Filter, SyntaxError>;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn is_at_end(&self) -> bool {
        self.at == self.line.len()
    }

    fn skip_spaces(&mut self) {
        self.at = self.line.len() - self.rest().trim_start().len();
    }

    fn error(&self, offset: usize, length: usize, reason: &str, suggestion: Option<&str>) -> SyntaxError {
        // What is missing at the end has a place and no length.
        let offset = offset.min(self.line.len());
        let length = length.min(self.line.len() - offset);
        SyntaxError { offset, length, reason: reason.to_owned(), suggestion: suggestion.map(String::from) }
    }

    fn error_here(&self, length: usize, reason: &str, suggestion: Option<&str>) -> SyntaxError {
        self.error(self.at, length.min(self.line.len() - self.at), reason, suggestion)
    }

    /// Takes one of these from the front.
    fn take(&mut self, text: &str) -> bool {
        let is_there = self.rest().starts_with(text);
        if is_there {
            self.at += text.len();
        }
        is_there
    }

    /// The length of this keyword (any case, a whole word, no field name) where the line goes on with it.
    fn keyword(&self, keyword: &str) -> Option<usize> {
        let rest = self.rest();
        let is_it = rest.get(..keyword.len())?.eq_ignore_ascii_case(keyword);
        let after = rest[if is_it { keyword.len() } else { 0 }..].chars().next();
        (is_it && after.is_none_or(|letter| letter.is_whitespace() || matches!(letter, '(' | ')' | '"')))
            .then_some(keyword.len())
    }

    fn operator(&self, keyword: &str, sign: &str) -> Option<usize> {
        self.keyword(keyword).or_else(|| self.rest().starts_with(sign).then_some(sign.len()))
    }

    /// a OR b OR c
    fn alternatives(&mut self, field: Option<&FieldName>, depth: usize) -> Parsed {
        if DEPTH_MAX < depth {
            return Err(self.error_here(1, "brackets nested too deep", None));
        }
        let mut found = vec![self.together(field, depth)?];
        while let Some(length) = self.operator("or", "||") {
            self.at += length;
            self.skip_spaces();
            found.push(self.together(field, depth)?);
        }
        Ok(Filter::any(found))
    }

    /// a AND b c
    fn together(&mut self, field: Option<&FieldName>, depth: usize) -> Parsed {
        let mut found = Vec::new();
        let mut is_open = true;
        loop {
            self.skip_spaces();
            let and = self.operator("and", "&&");
            let is_over = self.is_at_end() || self.rest().starts_with(')') || self.operator("or", "||").is_some();
            if is_open && (is_over || and.is_some()) {
                let what =
                    if is_over && !found.is_empty() { "nothing after AND" } else { "a word or field:value is missing" };
                let length = and.or(self.operator("or", "||")).unwrap_or(0);
                return Err(self.error_here(length, what, Some("to search for the word itself, put it in quotes")));
            }
            if is_over {
                return Ok(Filter::all(found));
            }
            if let Some(length) = and {
                self.at += length;
                is_open = true;
                continue;
            }
            found.push(self.negated(field, depth)?);
            is_open = false;
        }
    }

    fn negated(&mut self, field: Option<&FieldName>, depth: usize) -> Parsed {
        if DEPTH_MAX < depth {
            return Err(self.error_here(1, "NOT nested too deep", None));
        }
        let sign = self.rest().starts_with(['-', '!']).then_some(1);
        if let Some(length) = self.keyword("not").or(sign) {
            let begin = self.at;
            self.at += length;
            self.skip_spaces();
            if self.is_at_end() || self.rest().starts_with(')') {
                return Err(self.error(begin, length, "nothing after NOT", Some("to search for it, put it in quotes")));
            }
            return Ok(Filter::Not(Box::new(self.negated(field, depth + 1)?)));
        }
        self.take("+");
        self.single(field, depth)
    }

    fn single(&mut self, field: Option<&FieldName>, depth: usize) -> Parsed {
        self.terms += 1;
        if TERMS_MAX < self.terms {
            return Err(self.error_here(1, "more words and tests than one query may have", None));
        }
        let begin = self.at;
        if self.take("(") {
            self.skip_spaces();
            let inner = self.alternatives(field, depth + 1)?;
            return match self.take(")") {
                true => Ok(inner),
                false => Err(self.error(begin, 1, "a bracket that is never closed", Some("add a closing )"))),
            };
        }
        match field {
            Some(field) => self.value(field, depth),
            None => self.bare(depth),
        }
    }

    /// A bare word or phrase, or a field and what follows it.
    fn bare(&mut self, depth: usize) -> Parsed {
        let begin = self.at;
        if self.rest().starts_with('"') {
            let text = self.quoted()?;
            if self.take(":") {
                return self.named(&text, begin, depth);
            }
            if text.trim().is_empty() {
                return Err(self.error(begin, self.at - begin, "an empty phrase", Some("* is everything")));
            }
            return Ok(Filter::Phrase(Phrase::new(&text)));
        }
        let raw = self.raw_word();
        if let Some(colon) = name_length(raw) {
            self.at = begin + colon + 1;
            return self.named(&unescaped(&raw[..colon]), begin, depth);
        }
        match self.pieces(begin, raw)?.as_slice() {
            [Piece::Any] => Ok(Filter::All),
            [Piece::Literal(text)] => Ok(Filter::Phrase(Phrase::new(text))),
            pieces => self.wildcard(begin, pieces).map(Filter::Wildcard),
        }
    }

    /// What follows `name:`.
    fn named(&mut self, name: &str, begin: usize, depth: usize) -> Parsed {
        if name.contains(['*', '?']) {
            return Err(self.error(begin, name.len(), "a field name has no wildcards", Some("name one field")));
        }
        if name.trim().is_empty() {
            return Err(self.error(begin, self.at - begin, "a field without a name", None));
        }
        if self.is_at_end() || self.rest().starts_with(|letter: char| letter.is_whitespace() || letter == ')') {
            let suggestion = format!("{name}:* finds events that have it; \"{name}:\" finds the text");
            return Err(self.error(begin, self.at - begin, "a field without a value", Some(&suggestion)));
        }
        if name == "_exists_" {
            let at = self.at;
            let field = if self.rest().starts_with('"') { self.quoted()? } else { unescaped(self.raw_word()) };
            if field.contains(['*', '?']) {
                return Err(self.error(at, self.at - at, "a field name has no wildcards", Some("name one field")));
            }
            if field.trim().is_empty() {
                return Err(self.error(at, self.at - at, "a field without a name", None));
            }
            return Ok(Filter::Field(FieldName::new(&field).at(at), Test::Exists));
        }
        self.single(Some(&FieldName::new(name).at(begin)), depth)
    }

    fn value(&mut self, field: &FieldName, _depth: usize) -> Parsed {
        let begin = self.at;
        let test = match self.rest().as_bytes().first() {
            Some(b'"') => Test::Is(Phrase::new(&self.quoted()?)),
            Some(b'[' | b'{') => Test::Range(self.range()?),
            Some(b'>' | b'<') => Test::Range(self.comparison()?),
            _ => match self.expression()? {
                Some(expression) => Test::Expression(expression),
                None => self.plain_value(begin)?,
            },
        };
        Ok(Filter::Field(field.clone(), test))
    }

    fn plain_value(&mut self, begin: usize) -> Result<Test, SyntaxError> {
        let raw = self.raw_word();
        if raw.is_empty() {
            return Err(self.error(begin, 0, "a value is missing", None));
        }
        if let Some(network) = Network::parse(raw) {
            return Ok(Test::Network(network));
        }
        Ok(match self.pieces(begin, raw)?.as_slice() {
            [Piece::Any] => Test::Exists,
            [Piece::Literal(text)] => Test::Is(Phrase::new(text)),
            pieces => Test::Wildcard(self.wildcard(begin, pieces)?),
        })
    }

    /// `"…"`, with `\"` and `\\`.
    fn quoted(&mut self) -> Result<String, SyntaxError> {
        let begin = self.at;
        let mut text = String::new();
        let mut letters = self.rest().char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at = begin + at + 1;
                    return Ok(text);
                }
                '\\' => match letters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => text.push('\\'),
                },
                other => text.push(other),
            }
        }
        let suggestion = "add a closing \"; a backslash before a quote must be doubled";
        Err(self.error(begin, self.line.len() - begin, "a quote that is never closed", Some(suggestion)))
    }

    /// Everything up to a space, a bracket or a quote that has no backslash before it.
    fn raw_word(&mut self) -> &'a str {
        let rest = self.rest();
        let mut letters = rest.char_indices().peekable();
        let mut end = rest.len();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => drop(letters.next_if(|(_, next)| is_escapable(*next))),
                _ if letter.is_whitespace() || matches!(letter, '(' | ')' | '"') => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        self.at += end;
        &rest[..end]
    }

    fn pieces(&self, begin: usize, raw: &str) -> Result<Vec<Piece>, SyntaxError> {
        let pieces = pieces(raw);
        match pieces.is_empty() {
            true => Err(self.error(begin, raw.len().max(1), "a word is missing", None)),
            false => Ok(pieces),
        }
    }

    fn wildcard(&self, begin: usize, pieces: &[Piece]) -> Result<Wildcard, SyntaxError> {
        Wildcard::new(pieces.to_vec()).map_err(|reason| self.error(begin, self.at - begin, &reason, None))
    }

    /// `/…/` with nothing but a space or bracket behind; `/etc/passwd` is none.
    fn expression(&mut self) -> Result<Option<Expression>, SyntaxError> {
        let begin = self.at;
        let Some(rest) = self.rest().strip_prefix('/') else { return Ok(None) };
        let mut written = String::new();
        let mut letters = rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some((_, '/')) => written.push('/'),
                    Some((_, other)) => written.extend(['\\', other]),
                    None => return Ok(None),
                },
                '/' => {
                    let after = rest[at + 1..].chars().next();
                    if written.is_empty() || !after.is_none_or(|letter| letter.is_whitespace() || letter == ')') {
                        return Ok(None);
                    }
                    self.at = begin + at + 2;
                    let length = self.at - begin;
                    return match Expression::new(&written) {
                        Ok(expression) => Ok(Some(expression)),
                        Err(reason) => Err(self.error(begin, length, &format!("regular expression: {reason}"), None)),
                    };
                }
                other => written.push(other),
            }
        }
        Ok(None)
    }

    /// `>=5`, `>5`, `<=5`, `<5`.
    fn comparison(&mut self) -> Result<Range, SyntaxError> {
        let begin = self.at;
        let is_low = self.take(">");
        if !is_low {
            self.take("<");
        }
        let is_inside = self.take("=");
        self.skip_spaces();
        let Some(written) = self.bound_text()? else {
            return Err(self.error(begin, self.at - begin, "a comparison without a value", None));
        };
        let bound = Some(Bound { written: written.into(), is_inside });
        Ok(if is_low { Range { low: bound, high: None } } else { Range { low: None, high: bound } })
    }

    /// `[a TO b]` with the ends, `{a TO b}` without; `*` is no end.
    fn range(&mut self) -> Result<Range, SyntaxError> {
        let begin = self.at;
        let has_low = self.take("[");
        if !has_low {
            self.take("{");
        }
        self.skip_spaces();
        let low = self.bound_text()?;
        self.skip_spaces();
        let is_range = match self.keyword("to") {
            Some(length) => {
                self.at += length;
                true
            }
            None => false,
        };
        self.skip_spaces();
        let high = if is_range { self.bound_text()? } else { None };
        self.skip_spaces();
        let has_high = self.take("]");
        if !is_range || !(has_high || self.take("}")) {
            let length = self.at - begin;
            return Err(self.error(begin, length, "a range that is not complete", Some("[low TO high], * for no end")));
        }
        let bound = |text: Option<String>, is_inside| text.map(|text| Bound { written: text.into(), is_inside });
        Ok(Range { low: bound(low, has_low), high: bound(high, has_high) })
    }

    /// One end of a range; `None` for `*` or nothing.
    fn bound_text(&mut self) -> Result<Option<String>, SyntaxError> {
        if self.rest().starts_with('"') {
            return self.quoted().map(Some);
        }
        let rest = self.rest();
        let end = rest.find(|letter: char| letter.is_whitespace() || "[]{}()\"".contains(letter)).unwrap_or(rest.len());
        self.at += end;
        Ok(Some(rest[..end].to_owned()).filter(|text| !text.is_empty() && text != "*"))
    }
}

fn is_escapable(letter: char) -> bool {
    SPECIAL.contains(letter) || letter.is_whitespace()
}

/// Where the name of a field ends (the place of the colon) in a word that begins with one.
fn name_length(raw: &str) -> Option<usize> {
    let mut letters = raw.char_indices().peekable();
    let colon = loop {
        match letters.next()? {
            (_, '\\') => drop(letters.next_if(|(_, next)| is_escapable(*next))),
            (at, ':') => break at,
            _ => {}
        }
    };
    let (name, value) = (&raw[..colon], &raw[colon + 1..]);
    let is_first = |letter: char| letter.is_alphabetic() || matches!(letter, '_' | '@' | '*' | '?');
    let is_name = name.starts_with(is_first)
        && name.chars().all(|letter| letter.is_alphanumeric() || "_.-@#*?\\ $%".contains(letter));
    let is_other = value.starts_with("//")
        || (name.len() == 1 && value.starts_with('\\'))
        || raw.parse::<std::net::IpAddr>().is_ok()
        || Network::parse(raw).is_some();
    (is_name && !is_other).then_some(colon)
}

/// A word in pieces: literal text and wildcards, backslashes taken away.
fn pieces(raw: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut literal = String::new();
    let mut letters = raw.chars().peekable();
    while let Some(letter) = letters.next() {
        let wildcard = match letter {
            '\\' => {
                literal.push(letters.next_if(|next| is_escapable(*next)).unwrap_or('\\'));
                continue;
            }
            '*' => Piece::Any,
            '?' => Piece::One,
            other => {
                literal.push(other);
                continue;
            }
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
        }
        if wildcard == Piece::One || pieces.last() != Some(&Piece::Any) {
            pieces.push(wildcard);
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.into()));
    }
    pieces
}

fn unescaped(raw: &str) -> String {
    let mut text = String::new();
    let mut letters = raw.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.push(letters.next_if(|next| is_escapable(*next)).unwrap_or('\\')),
            other => text.push(other),
        }
    }
    text
}

/// The characters that [`print`](super::print) must put a backslash before.
pub(super) fn must_be_escaped(letter: char) -> bool {
    is_escapable(letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str, printed: &str) {
        let filter = parse(line).unwrap_or_else(|error| panic!("{line}: {error:?}"));
        assert_eq!(filter.to_string(), printed, "{line}");
        assert_eq!(parse(printed).as_ref(), Ok(&filter), "{line}");
    }

    #[track_caller]
    fn check_error(line: &str, caret: &str, reason: &str) {
        let error = parse(line).expect_err(line);
        let shown = format!("{}{}", " ".repeat(error.offset), "^".repeat(error.length.max(1)));
        assert!(error.reason.contains(reason), "{line}: {error:?}");
        assert_eq!(shown, caret, "{line}: {error:?}");
    }

    #[test]
    fn lines_of_the_language() {
        check("", "*");
        check("*", "*");
        check("failed password", r#""failed" AND "password""#);
        check("a or b and not c", r#""a" OR ("b" AND NOT "c")"#);
        check("a || b && !c -d", r#""a" OR ("b" AND NOT "c" AND NOT "d")"#);
        check("user.name:root", r#"user.name:"root""#);
        check("user.name:(root or admin)", r#"user.name:"root" OR user.name:"admin""#);
        check("user.name:(NOT root)", r#"NOT user.name:"root""#);
        check("source.ip:10.0.0.0/8", "source.ip:10.0.0.0/8");
        check("source.port:>=1024", r#"source.port:["1024" TO *]"#);
        check("source.port:[1 TO 9}", r#"source.port:["1" TO "9"}"#);
        check("@timestamp:>2026-01-02T03:04:05Z", r#"@timestamp:{"2026-01-02T03:04:05Z" TO *]"#);
        check("url.path:/admin.*/", "url.path:/admin.*/");
        check("file.path:/etc/passwd", r#"file.path:"/etc/passwd""#);
        check(r"url.path:/a\/b/", r"url.path:/a\/b/");
        check("_exists_:user.name", "user.name:*");
        check(r"Image:*\cmd.exe", r"Image:*\\cmd.exe");
        check(r#""Threat Name":x"#, r#""Threat Name":"x""#);
        check(r"C:\Windows\x.exe", r#""C:\\Windows\\x.exe""#);
        check("http://x/y", r#""http://x/y""#);
        check("fe80::1", r#""fe80::1""#);
        check("10:30:00", r#""10:30:00""#);
        check("đăng nhập", r#""đăng" AND "nhập""#);
        check("wor* w?rd", "wor* AND w?rd");
        check(r"\*\-x", r#""*-x""#);
        check("-a", r#"NOT "a""#);
        check("--a", r#"NOT NOT "a""#);
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        check_error("a AND", "     ^", "nothing after AND");
        check_error("OR a", "^^", "missing");
        check_error("(a", "^", "never closed");
        check_error("a)", " ^", "never opened");
        check_error(r#"a "b c"#, "  ^^^^", "never closed");
        check_error("a user.name: b", "  ^^^^^^^^^^", "without a value");
        check_error("port:[1 TO", "     ^^^^^", "not complete");
        check_error("port:>", "     ^", "without a value");
        check_error("url.path:/a(/", "         ^^^^", "regular expression");
        check_error("a NOT", "  ^^^", "nothing after NOT");
        check_error("user.*:x", "^^^^^^", "no wildcards");
        check_error(&"(".repeat(200), &format!("{}^", " ".repeat(65)), "too deep");
        assert!(parse(&"a ".repeat(300)).is_err());
        assert!(parse(&"a".repeat(5000)).is_err());
        assert!(parse(r"url.path:/(a{1000}){1000}/").is_err());
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused_and_prints_back(line in "[a-c \\\\\"*?():/\\[\\]{}<>=\\-!&|đ.TONAR]{0,40}") {
            if let Ok(filter) = parse(&line) {
                let printed = filter.to_string();
                if printed.len() < LINE_BYTES_MAX {
                    prop_assert_eq!(parse(&printed), Ok(filter), "{}", printed);
                }
            }
        }

        #[test]
        fn what_is_missing_at_the_end_is_shown_at_the_end(word in "[b-m\u{1F8C0}]{1,4}") {
            let line = format!("{word} +");
            let error = parse(&line).expect_err("a word is missing");
            prop_assert_eq!((error.offset, error.length), (line.len(), 0));
        }

        #[test]
        fn any_text_is_read_or_refused(line in "\\PC{0,60}") {
            if let Err(error) = parse(&line) {
                prop_assert!(error.offset + error.length <= line.len());
            }
        }
    }
}
