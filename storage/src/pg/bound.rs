//! `Bound`: expressions whose names are resolved, and [`Scope`], what names mean in one query.
//!
//! In: made by [`super::bind`]. Out: run by [`super::run`]. Failure: a name that two relations have, 42702.

use std::cell::RefCell;

use datafusion::sql::sqlparser::ast::Query;

use super::Problem;
use super::datum::{Datum, Kind};
use super::function::{self, Function};
use super::plan::Plan;

/// An expression over rows.
#[derive(Debug)]
pub(super) enum Bound {
    Const(Datum),
    /// A column of the row `up` queries further out.
    Column {
        up: usize,
        index: usize,
    },
    Parameter(usize, Kind),
    Not(Box<Bound>),
    Negative(Box<Bound>),
    And(Vec<Bound>),
    Or(Vec<Bound>),
    Compare(Box<Bound>, Compare, Box<Bound>),
    Arithmetic(Box<Bound>, Arithmetic, Box<Bound>),
    Concat(Box<Bound>, Box<Bound>),
    Matches {
        value: Box<Bound>,
        pattern: Box<Bound>,
        how: Match,
        is_negated: bool,
    },
    Is {
        value: Box<Bound>,
        test: Test,
        is_negated: bool,
    },
    Distinct {
        left: Box<Bound>,
        right: Box<Bound>,
        is_negated: bool,
    },
    In {
        value: Box<Bound>,
        list: Vec<Bound>,
        is_negated: bool,
    },
    Any {
        left: Box<Bound>,
        compare: Compare,
        right: Box<Bound>,
        is_all: bool,
    },
    AnyRow {
        left: Box<Bound>,
        compare: Compare,
        plan: Box<Plan>,
        is_all: bool,
    },
    Exists(Box<Plan>),
    Scalar(Box<Plan>),
    ListOf(Box<Plan>),
    Case {
        operand: Option<Box<Bound>>,
        arms: Vec<(Bound, Bound)>,
        otherwise: Option<Box<Bound>>,
    },
    Cast {
        value: Box<Bound>,
        from: Kind,
        to: Cast,
    },
    Call(&'static Function, Vec<Bound>),
    List(Vec<Bound>),
    Index(Box<Bound>, Box<Bound>),
    /// The value of the aggregate of this number, of the present group.
    Aggregate(usize),
    /// The number of the row within its window.
    Window(usize),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
    And,
    Or,
}

/// How text is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Like { folds: bool, escape: Option<char> },
    Regex { folds: bool },
}

/// What `IS` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Null,
    True,
    False,
}

/// What is cast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    To(Kind),
    Schema,
    Role,
}

/// An aggregate of a query.
#[derive(Debug)]
pub(super) struct Aggregate {
    pub of: function::Total,
    pub arguments: Vec<Bound>,
    pub is_distinct: bool,
    pub order: Vec<(Bound, bool)>,
    pub filter: Option<Bound>,
}

/// The rows `row_number()` counts.
#[derive(Debug)]
pub(super) struct Window {
    pub partition: Vec<Bound>,
    pub order: Vec<(Bound, bool)>,
}

/// A relation of a `FROM`.
pub(super) struct Visible {
    pub alias: String,
    pub schema: Option<String>,
    pub columns: Vec<(String, Kind)>,
    /// Where its columns begin in the row.
    pub start: usize,
    /// Its own OID, where it is a table.
    pub oid: Option<i64>,
    /// Columns that a `USING` has merged into an earlier one.
    pub merged: Vec<usize>,
}

/// What names mean in one query.
#[derive(Default)]
pub(super) struct Scope<'a> {
    pub relations: Vec<Visible>,
    pub outer: Option<&'a Scope<'a>>,
    pub named: Vec<(String, std::rc::Rc<Query>, Vec<String>)>,
    pub aggregates: RefCell<Vec<Aggregate>>,
    pub windows: RefCell<Vec<Window>>,
}

impl Scope<'_> {
    /// How many columns the row has.
    pub fn width(&self) -> usize {
        self.relations.last().map_or(0, |last| last.start + last.columns.len())
    }

    pub fn find(&self, qualifier: &[String], name: &str) -> Result<Option<(usize, Kind)>, Problem> {
        let mut found = None;
        for relation in &self.relations {
            let fits = match qualifier {
                [] => true,
                [alias] => relation.alias == *alias,
                [.., schema, table] => {
                    relation.alias == *table && relation.schema.as_deref().is_none_or(|of| of == schema)
                }
            };
            if !fits {
                continue;
            }
            let mut columns = relation.columns.iter().enumerate();
            let index = columns.find(|(index, (known, _))| {
                known == name && (!qualifier.is_empty() || !relation.merged.contains(index))
            });
            if let Some((index, (_, kind))) = index {
                if found.is_some() && qualifier.is_empty() {
                    return Err(Problem::new("42702", format!("column reference \"{name}\" is ambiguous")));
                }
                found = found.or(Some((relation.start + index, *kind)));
            }
        }
        Ok(found)
    }

    pub fn table_oid(&self, qualifier: &[String]) -> Option<i64> {
        let mut fitting =
            self.relations.iter().filter(|relation| qualifier.last().is_none_or(|alias| relation.alias == *alias));
        fitting.next()?.oid
    }
}
