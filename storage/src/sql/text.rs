//! The text of a query: its tokens are counted and its dotted names joined before it is parsed, and only what reads is
//! let through. In: text. Out: one statement, or why it is refused. Promise: text of any size and nesting ends in an
//! answer or an error, never in an overflow of the stack: what makes trees deep is bounded by count.
//!
//! Names of our columns have dots (`source.ip`), which SQL takes for a column of a table. Words joined by dots that are
//! the name of a column are made one quoted name, with or without a table before them (`e.source.ip`); names in quotes
//! are left as they are.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{
    DescribeAlias, Ident, ObjectName, Query, Select, SetExpr, Statement, TableAlias, TableFactor, Visit, VisitMut,
    Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};
use foldhash::{HashMap, HashSet};

use super::error::{SqlError, refused};
use super::{TEXT_BYTES_MAX, events};

/// Words of SQL's own that fields begin with.
const RESERVED: [&str; 2] = ["user", "group"];
/// How long a text in quotes may be: it stands beside every row.
pub const LITERAL_BYTES_MAX: usize = 16 << 10;
/// How many tokens a query may have.
const TOKENS_MAX: usize = 20_000;
/// How many parentheses may stand inside of each other.
const NESTING_MAX: usize = 64;
/// How many operators a query may have: a chain of them is a tree as deep.
const OPERATORS_MAX: usize = 1_500;
/// How many of them make a value of values (`+`, `||`, `::`): planning a condition with a chain of these takes the third power of
/// its length, a minute of a core for 1,400.
const VALUED_MAX: usize = 400;
/// How many words that begin a part of a query (SELECT, JOIN, UNION, WITH): planning takes longer with each.
const PARTS_MAX: usize = 100;
/// How many WITHs may stand in a query; each may have many names. Weighing those inside of others takes twice as long with
/// each.
const WITHS_MAX: usize = 12;
/// How many digits the end of a window may have.
const FRAME_DIGITS_MAX: usize = 9;
/// How many tables a query may read.
const RELATIONS_MAX: usize = 100;
/// How deep the parser goes.
const RECURSION_MAX: usize = 64;

/// The names of columns that are no plain words.
static DOTTED: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| events::names().filter(|name| name.contains(['.', '@'])).collect());

/// How many words the longest of them has.
static DOTTED_WORDS_MAX: LazyLock<usize> =
    LazyLock::new(|| DOTTED.iter().map(|name| name.split('.').count()).max().unwrap_or(0));

/// Reads a query.
///
/// # Errors
/// [`SqlError::Refused`].
pub fn read(text: &str) -> Result<Statement, SqlError> {
    if TEXT_BYTES_MAX < text.len() {
        return Err(refused(format!("the query has {} bytes, more than {TEXT_BYTES_MAX}", text.len())));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location();
    let tokens = joined(tokens.map_err(|error| refused(error.to_string()))?);
    check_size(&tokens)?;
    let mut parser =
        Parser::new(&GenericDialect {}).with_recursion_limit(RECURSION_MAX).with_tokens_with_locations(tokens);
    let mut statements = parser.parse_statements().map_err(|error| refused(error.to_string()))?;
    match (statements.pop(), statements.is_empty()) {
        (Some(mut statement), true) => {
            check_reads(&statement)?;
            match VisitMut::visit(&mut statement, &mut Named { count: 0 }) {
                ControlFlow::Continue(()) => Ok(statement),
                ControlFlow::Break(never) => match never {},
            }
        }
        (None, _) => Err(refused("the query is empty")),
        (Some(_), false) => Err(refused("only one statement at a time is answered")),
    }
}

/// Joins dotted names, and gives `attr('name')` the column it reads.
fn joined(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|one| !matches!(one.token, Token::Whitespace(_))).collect();
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let run = name_at(&tokens[at..]);
        if 1 < run.len() || run.first().is_some_and(|word| word.starts_with('@')) {
            let length = run.len() * 2 - 1;
            // No longer end of it is a name of ours.
            let first = run.len().saturating_sub(*DOTTED_WORDS_MAX);
            let begin = (first..run.len()).find(|begin| DOTTED.contains(run[*begin..].join(".").as_str()));
            let span = tokens[at].span;
            match begin {
                Some(begin) => {
                    out.extend_from_slice(&tokens[at..at + begin * 2]);
                    let name = Token::make_word(&run[begin..].join("."), Some('"'));
                    out.push(TokenWithSpan::new(name, span));
                }
                // These words cannot be the name of a table without quotes; what follows is a column nobody knows.
                None if RESERVED.contains(&run[0].as_str()) => {
                    out.push(TokenWithSpan::new(Token::make_word(&run.join("."), Some('"')), span));
                }
                None => out.extend_from_slice(&tokens[at..at + length]),
            }
            at += length;
            continue;
        }
        let is_attr = matches!(&tokens[at].token, Token::Word(word) if word.quote_style.is_none()
            && word.value.eq_ignore_ascii_case("attr"));
        let is_of_name = matches!(
            tokens.get(at + 1..at + 4).map(|next| [&next[0].token, &next[1].token, &next[2].token]),
            Some([Token::LParen, Token::SingleQuotedString(_), Token::RParen])
        );
        let token = std::mem::replace(&mut tokens[at], TokenWithSpan::new_eof());
        let span = token.span;
        out.push(token);
        at += 1;
        if is_attr && is_of_name {
            out.push(std::mem::replace(&mut tokens[at], TokenWithSpan::new_eof()));
            out.push(TokenWithSpan::new(Token::make_word("attrs", Some('"')), span));
            out.push(TokenWithSpan::new(Token::Comma, span));
            at += 1;
        }
    }
    out
}

/// The words joined by dots that begin here, in lower case; none where one is in quotes.
fn name_at(tokens: &[TokenWithSpan]) -> Vec<String> {
    let mut run = Vec::new();
    let mut rest = tokens;
    while let Some(TokenWithSpan { token: Token::Word(Word { value, quote_style: None, .. }), .. }) = rest.first() {
        run.push(value.to_lowercase());
        match rest.get(1).map(|next| &next.token) {
            Some(Token::Period) if matches!(rest.get(2).map(|next| &next.token), Some(Token::Word(_))) => {
                rest = &rest[2..];
            }
            _ => return run,
        }
    }
    Vec::new()
}

fn check_size(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let (mut depth, mut operators, mut valued, mut parts, mut withs) = (0usize, 0usize, 0usize, 0usize, 0usize);
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Word(word) => match word.keyword {
                Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::IS
                | Keyword::BETWEEN
                | Keyword::IN
                | Keyword::CASE
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::SIMILAR => operators += 1,
                Keyword::WITH => withs += 1,
                Keyword::SELECT
                | Keyword::JOIN
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::FROM
                | Keyword::OVER
                | Keyword::VALUES => parts += 1,
                _ => {}
            },
            Token::SingleQuotedString(text) if LITERAL_BYTES_MAX < text.len() => {
                return Err(refused(format!("a text in quotes of more than {LITERAL_BYTES_MAX} bytes")));
            }
            Token::Comma
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::Period
            | Token::SemiColon
            | Token::Placeholder(_)
            | Token::EOF => {}
            Token::Eq | Token::DoubleEq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq => {
                operators += 1
            }
            _ => (operators, valued) = (operators + 1, valued + 1),
        }
        if NESTING_MAX < depth {
            return Err(refused(format!("more than {NESTING_MAX} parentheses inside of each other")));
        }
    }
    check_frames(tokens)?;
    let bounds = [
        (tokens.len(), TOKENS_MAX, "words and signs"),
        (operators, OPERATORS_MAX, "operators"),
        (valued, VALUED_MAX, "operators that make a value"),
        (withs, WITHS_MAX, "WITHs"),
        (parts, PARTS_MAX, "SELECTs, FROMs and JOINs"),
    ];
    match bounds.into_iter().find(|(count, count_max, _)| count_max < count) {
        Some((count, count_max, what)) => Err(refused(format!("the query has {count} {what}, more than {count_max}"))),
        None => Ok(()),
    }
}

/// Refuses windows of more rows than there can be: DataFusion adds their ends to row numbers.
fn check_frames(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let is_end = |token: &Token| matches!(token, Token::Word(word) if matches!(word.keyword, Keyword::PRECEDING | Keyword::FOLLOWING));
    let is_long = |token: &Token| match token {
        Token::Number(digits, _) | Token::SingleQuotedString(digits) => {
            FRAME_DIGITS_MAX < digits.trim().len() && digits.trim().bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    };
    match tokens.windows(2).any(|pair| is_long(&pair[0].token) && is_end(&pair[1].token)) {
        true => Err(refused(format!("a window's end has more than {FRAME_DIGITS_MAX} digits"))),
        false => Ok(()),
    }
}

/// Lets through what reads, and nothing else.
fn check_reads(statement: &Statement) -> Result<(), SqlError> {
    match statement {
        Statement::Query(query) => check_query(query),
        Statement::Explain { statement, options: None, .. } => match &**statement {
            Statement::Query(query) => check_query(query),
            _ => Err(refused("EXPLAIN is answered for queries only")),
        },
        Statement::ExplainTable { describe_alias: DescribeAlias::Describe | DescribeAlias::Desc, .. }
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. } => Ok(()),
        other => {
            let name: String = other.to_string().split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            Err(refused(format!("{name}: only queries that read are answered (SELECT, EXPLAIN, SHOW, DESCRIBE)")))
        }
    }
}

/// Gives each query in a FROM that has no name one of its own. DataFusion 55.2 takes two of them, one inside of the other,
/// for one where they compute the same of the same names (`SELECT x + 1 AS x FROM (SELECT x + 1 AS x …)`); with names
/// they are not the same.
struct Named {
    count: usize,
}

impl VisitorMut for Named {
    type Break = std::convert::Infallible;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<std::convert::Infallible> {
        if let TableFactor::Derived { alias: alias @ None, .. } = factor {
            self.count += 1;
            let name = Ident::with_quote('"', format!("query {}", self.count));
            *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
        ControlFlow::Continue(())
    }
}

fn check_query(query: &Query) -> Result<(), SqlError> {
    let mut reads = Reads { weights: HashMap::default(), total: 0 };
    match Visit::visit(query, &mut reads) {
        ControlFlow::Break(what) => Err(refused(format!("{what}: only queries that read are answered"))),
        ControlFlow::Continue(()) if RELATIONS_MAX < reads.total => Err(refused(format!(
            "the query reads {} tables, where each WITH counts as often as it is named; more than {RELATIONS_MAX}",
            reads.total
        ))),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Lets through what reads, and counts how many tables are read when each WITH stands where it is named: one that names
/// the one before it twice doubles with each.
struct Reads {
    weights: HashMap<String, usize>,
    total: usize,
}

impl Reads {
    /// Weighs the WITHs of a query, in their order.
    fn define(&mut self, query: &Query) {
        for one in query.with.iter().flat_map(|with| &with.cte_tables) {
            // The walk weighs the WITHs inside of it, too.
            let mut inner = Reads { weights: self.weights.clone(), total: 0 };
            // What must not be there is found by the walk over the whole.
            if Visit::visit(&*one.query, &mut inner).is_break() {
                return;
            }
            let weight = self.weights.entry(one.alias.name.value.to_lowercase()).or_insert(1);
            *weight = inner.total.max(*weight);
        }
    }
}

impl Visitor for Reads {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        if !query.locks.is_empty() {
            return ControlFlow::Break("FOR UPDATE");
        }
        self.define(query);
        match &*query.body {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                ControlFlow::Break("a statement that writes")
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<&'static str> {
        let name = relation.to_string().to_lowercase();
        if name.contains("df_settings") {
            // It names folders of this machine.
            return ControlFlow::Break("df_settings");
        }
        self.total = self.total.saturating_add(self.weights.get(name.trim_matches('"')).copied().unwrap_or(1));
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<&'static str> {
        if select.into.is_some() { ControlFlow::Break("SELECT INTO") } else { ControlFlow::Continue(()) }
    }
}
