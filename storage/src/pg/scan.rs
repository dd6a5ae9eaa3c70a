//! Reading a statement: its bounds, its tree, and whether it is one for the catalog at all.
//!
//! In: text. Out: sqlparser's tree of one query; [`is_for_catalog`], which looks at words only. Promise: the tree is no deeper
//! than its bounds allow, so that walking and dropping it takes little stack. Failure: [`Problem`] 42601, 54001.

use datafusion::sql::sqlparser::ast::{Query, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::{OPERATORS_MAX, Problem, TEXT_BYTES_MAX, function, tables};

/// Words that make a chain longer, as operators do.
const CHAIN_WORDS: &[&str] = &[
    "AND",
    "OR",
    "IS",
    "NOT",
    "LIKE",
    "ILIKE",
    "SIMILAR",
    "BETWEEN",
    "IN",
    "COLLATE",
    "AT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "ISNULL",
    "NOTNULL",
    "OPERATOR",
    "XOR",
    "DIV",
    "OVERLAPS",
    "RLIKE",
    "REGEXP",
    "MATCH",
    "CASE",
    "ARRAY",
];

/// Parses one query.
pub(super) fn parse(text: &str) -> Result<Query, Problem> {
    if TEXT_BYTES_MAX < text.len() {
        return Err(Problem::new("54000", format!("a statement over the catalog has at most {TEXT_BYTES_MAX} bytes")));
    }
    let dialect = PostgreSqlDialect {};
    let wrong = |error: &dyn std::fmt::Display| {
        let message = error.to_string();
        let message = message.trim_start_matches("sql parser error: ").to_owned();
        let offset = place(&message).and_then(|(line, column)| offset_of(text, line, column));
        Problem { code: "42601", message: format!("syntax error: {message}"), offset }
    };
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| wrong(&error))?;
    let operators = tokens.iter().filter(|token| lengthens(&token.token)).count();
    if OPERATORS_MAX < operators {
        return Err(Problem::new(
            "54001",
            format!("a statement over the catalog has at most {OPERATORS_MAX} operators"),
        ));
    }
    let mut statements =
        Parser::new(&dialect).with_tokens_with_locations(tokens).parse_statements().map_err(|error| wrong(&error))?;
    match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Query(query)), true) => Ok(*query),
        (_, false) => Err(Problem::new("42601", "cannot insert multiple commands into a prepared statement")),
        _ => Err(Problem::new("25006", "only queries are answered: this server is read-only")),
    }
}

fn lengthens(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            word.quote_style.is_none() && CHAIN_WORDS.iter().any(|chain| word.value.eq_ignore_ascii_case(chain))
        }
        Token::Whitespace(_)
        | Token::Comma
        | Token::LParen
        | Token::RParen
        | Token::Period
        | Token::SemiColon
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::Placeholder(_)
        | Token::LBracket
        | Token::RBracket
        | Token::EOF => false,
        _ => true,
    }
}

/// The place an error of the parser names: `… at Line: 1, Column: 8`.
pub fn place(message: &str) -> Option<(usize, usize)> {
    let (_, rest) = message.rsplit_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// The byte offset of a line and column, both from 1, columns in characters.
pub fn offset_of(text: &str, line: usize, column: usize) -> Option<usize> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let rest = text.get(start..)?;
    let within: usize = rest.chars().take(column.checked_sub(1)?).map(char::len_utf8).sum();
    Some(start + within)
}

/// Whether a statement asks the catalog: it names one of its tables, or names no table and one of its functions or types.
///
/// It looks at words outside of quotes and comments, so it is cheap and cannot fail; a table of events is never behind these
/// names.
pub fn is_for_catalog(text: &str) -> bool {
    if TEXT_BYTES_MAX < text.len() {
        return false;
    }
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize() else { return false };
    let tokens: Vec<&Token> = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    let (mut has_from, mut has_table, mut has_function) = (false, false, false);
    for (index, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let name = match word.quote_style {
            None => word.value.to_ascii_lowercase(),
            Some(_) => word.value.clone(),
        };
        let is_called = matches!(tokens.get(index + 1), Some(Token::LParen));
        let is_qualified = index > 0 && matches!(tokens[index - 1], Token::Period);
        let before = if is_qualified { index.checked_sub(3) } else { index.checked_sub(1) };
        let stands_for_a_table = before.and_then(|before| tokens.get(before)).is_some_and(|before| match before {
            Token::Word(word) => {
                word.quote_style.is_none() && ["FROM", "JOIN"].iter().any(|from| word.value.eq_ignore_ascii_case(from))
            }
            Token::Comma => has_from,
            _ => false,
        });
        let schema = is_qualified.then(|| tokens.get(index.checked_sub(2)?)).flatten();
        let is_of_us = matches!(schema, Some(Token::Word(word))
            if ["pg_catalog", "information_schema"].iter().any(|schema| word.value.eq_ignore_ascii_case(schema)));
        if !is_called && tables::is_known(&name) && (is_of_us || (!is_qualified && stands_for_a_table)) {
            return true;
        }
        if is_called && stands_for_a_table && (is_of_us || name.starts_with("pg_")) {
            return true;
        }
        has_table |= stands_for_a_table && !is_called && name != "lateral";
        has_from |= word.quote_style.is_none() && name == "from";
        has_function |= (is_called && (is_of_us || function::is_of_catalog(&name)))
            || (!is_called && !is_qualified && word.quote_style.is_none() && function::is_bare(&name))
            || ["regclass", "regtype", "regproc", "regnamespace"].contains(&name.as_str());
    }
    has_function && !has_table
}
