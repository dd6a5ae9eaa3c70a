//! Expressions with their names resolved: sqlparser's tree becomes [`Bound`], each with the kind of its value.
//!
//! In: an expression and the [`Scope`] it stands in. Out: [`Bound`], [`Kind`]. Promise: what is bound refers to rows by number
//! only; nothing is looked up by name while rows are made. Failure: [`Problem`]: 42703 no such column, 42883 no such function,
//! 42704 no such type, 54001 too deep.

use std::cell::{Cell, RefCell};

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, DuplicateTreatment, Expr, Function as Called, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, OrderByExpr, Query, Subscript, TrimWhereField, UnaryOperator,
    Value, WindowType,
};

use super::bound::{Aggregate, Arithmetic, Bound, Cast, Compare, Match, Scope, Test, Window};
use super::datum::{Datum, Kind};
use super::function::{self, Gives};
use super::names::{compare_of, escape_of, folded, kind_named, last_of, plain_operator, shortened, widest};
use super::plan::{self, Plan};
use super::tables::Catalog;
use super::{DEPTH_MAX, Problem, QUERIES_DEEP_MAX, types};

/// What binding one statement needs.
pub(super) struct Binder<'a> {
    pub catalog: &'a Catalog,
    known: &'a [Option<Kind>],
    parameters: RefCell<Vec<Option<Kind>>>,
    depth: Cell<usize>,
    queries: Cell<usize>,
}

type Answer = Result<(Bound, Kind), Problem>;

impl<'a> Binder<'a> {
    pub fn new(catalog: &'a Catalog, known: &'a [Option<Kind>]) -> Binder<'a> {
        Binder { catalog, known, parameters: RefCell::new(known.to_vec()), depth: Cell::new(0), queries: Cell::new(0) }
    }

    /// The kinds of the parameters met; text where nothing says more.
    pub fn parameters(&self) -> Vec<Kind> {
        self.parameters.borrow().iter().map(|kind| kind.unwrap_or(Kind::Text)).collect()
    }

    /// Goes one deeper for the time of `work`.
    pub fn deeper<T>(&self, work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
        if DEPTH_MAX <= self.depth.get() {
            return Err(Problem::new("54001", format!("expressions stand more than {DEPTH_MAX} deep in each other")));
        }
        self.depth.set(self.depth.get() + 1);
        let result = work();
        self.depth.set(self.depth.get() - 1);
        result
    }

    /// Goes into a query.
    pub fn within<T>(&self, work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
        if QUERIES_DEEP_MAX <= self.queries.get() {
            return Err(Problem::new("54001", format!("more than {QUERIES_DEEP_MAX} queries stand in each other")));
        }
        self.queries.set(self.queries.get() + 1);
        let result = self.deeper(work);
        self.queries.set(self.queries.get() - 1);
        result
    }

    /// Binds an expression.
    pub fn expression(&self, expr: &Expr, scope: &Scope<'_>) -> Answer {
        self.deeper(|| self.shallow(expr, scope))
    }

    fn boxed(&self, expr: &Expr, scope: &Scope<'_>) -> Result<(Box<Bound>, Kind), Problem> {
        let (bound, kind) = self.expression(expr, scope)?;
        Ok((Box::new(bound), kind))
    }

    fn all(&self, exprs: &[Expr], scope: &Scope<'_>) -> Result<Vec<(Bound, Kind)>, Problem> {
        exprs.iter().map(|expr| self.expression(expr, scope)).collect()
    }

    fn shallow(&self, expr: &Expr, scope: &Scope<'_>) -> Answer {
        let is = |value: &Expr, test: Test, is_negated: bool| {
            let (value, _) = self.boxed(value, scope)?;
            Ok((Bound::Is { value, test, is_negated }, Kind::Bool))
        };
        match expr {
            Expr::Nested(inner) => self.shallow(inner, scope),
            Expr::Collate { expr, .. } => self.expression(expr, scope),
            Expr::Value(value) => self.value(&value.value),
            Expr::Identifier(name) => self.column(std::slice::from_ref(name), scope),
            Expr::CompoundIdentifier(names) => self.column(names, scope),
            Expr::IsNull(value) => is(value, Test::Null, false),
            Expr::IsNotNull(value) => is(value, Test::Null, true),
            Expr::IsTrue(value) => is(value, Test::True, false),
            Expr::IsNotTrue(value) => is(value, Test::True, true),
            Expr::IsFalse(value) => is(value, Test::False, false),
            Expr::IsNotFalse(value) => is(value, Test::False, true),
            Expr::IsUnknown(value) => is(value, Test::Null, false),
            Expr::IsNotUnknown(value) => is(value, Test::Null, true),
            Expr::IsDistinctFrom(left, right) => self.distinct(left, right, false, scope),
            Expr::IsNotDistinctFrom(left, right) => self.distinct(left, right, true, scope),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, scope),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, scope),
            Expr::Between { expr, negated, low, high } => {
                let (low, high) = (
                    self.compare(expr, Compare::GreaterOrEqual, low, scope)?,
                    self.compare(expr, Compare::LessOrEqual, high, scope)?,
                );
                let both = Bound::And(vec![low, high]);
                Ok((if *negated { Bound::Not(Box::new(both)) } else { both }, Kind::Bool))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let how =
                    Match::Like { folds: false, escape: escape_of(escape_char.as_ref().map(|value| &value.value)) };
                self.matches(expr, pattern, how, *negated, scope)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                let how =
                    Match::Like { folds: true, escape: escape_of(escape_char.as_ref().map(|value| &value.value)) };
                self.matches(expr, pattern, how, *negated, scope)
            }
            Expr::InList { expr, list, negated } => {
                let (value, kind) = self.boxed(expr, scope)?;
                let list = self.all(list, scope)?;
                let list = list.into_iter().map(|(bound, _)| self.settle(bound, kind)).collect();
                Ok((Bound::In { value, list, is_negated: *negated }, Kind::Bool))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let (left, _) = self.boxed(expr, scope)?;
                let plan = Box::new(self.one_column(subquery, scope)?);
                let compare = if *negated { Compare::Unequal } else { Compare::Equal };
                Ok((Bound::AnyRow { left, compare, plan, is_all: *negated }, Kind::Bool))
            }
            Expr::AnyOp { left, compare_op, right, .. } => self.any(left, compare_op, right, false, scope),
            Expr::AllOp { left, compare_op, right } => self.any(left, compare_op, right, true, scope),
            Expr::Exists { subquery, negated } => {
                let plan = self.deeper(|| plan::query(self, subquery, Some(scope)))?;
                let exists = Bound::Exists(Box::new(plan));
                Ok((if *negated { Bound::Not(Box::new(exists)) } else { exists }, Kind::Bool))
            }
            Expr::Subquery(subquery) => {
                let plan = self.one_column(subquery, scope)?;
                let kind = plan.columns[0].1;
                Ok((Bound::Scalar(Box::new(plan)), kind))
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let arms = conditions.iter().map(|arm| (&arm.condition, &arm.result)).collect::<Vec<_>>();
                self.case(operand.as_deref(), &arms, else_result.as_deref(), scope)
            }
            Expr::Cast { expr, data_type, .. } => self.cast(expr, data_type, scope),
            Expr::TypedString(typed) => {
                let value = Expr::Value(typed.value.clone());
                self.cast(&value, &typed.data_type, scope)
            }
            Expr::Function(called) => self.call(called, scope),
            Expr::Array(array) => {
                let values = self.all(&array.elem, scope)?;
                let kind = values.first().map_or(Kind::Text, |(_, kind)| *kind).list();
                Ok((Bound::List(values.into_iter().map(|(value, _)| value).collect()), kind))
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain, scope),
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                let what = trim_what.as_deref().into_iter().chain(trim_characters.iter().flatten());
                self.builtin(name, std::iter::once(expr.as_ref()).chain(what), scope)
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let rest = substring_from.as_deref().into_iter().chain(substring_for.as_deref());
                self.builtin("substring", std::iter::once(expr.as_ref()).chain(rest), scope)
            }
            Expr::Position { expr, r#in } => self.builtin("strpos", [r#in.as_ref(), expr.as_ref()].into_iter(), scope),
            Expr::AtTimeZone { timestamp, .. } => self.expression(timestamp, scope),
            other => Err(Problem::not_here(format!("the expression {}", shortened(other)))),
        }
    }

    fn value(&self, value: &Value) -> Answer {
        Ok(match value {
            Value::Null => (Bound::Const(Datum::Null), Kind::Text),
            Value::Boolean(value) => (Bound::Const(Datum::Bool(*value)), Kind::Bool),
            Value::Number(text, _) => match text.parse::<i64>() {
                Ok(value) => {
                    let kind = if i32::try_from(value).is_ok() { Kind::Int4 } else { Kind::Int8 };
                    (Bound::Const(Datum::Int(value)), kind)
                }
                Err(_) => {
                    let value = text.parse().map_err(|_no| super::datum::no_such("numeric", text))?;
                    (Bound::Const(Datum::Float(value)), Kind::Float8)
                }
            },
            Value::SingleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::UnicodeStringLiteral(text)
            | Value::NationalStringLiteral(text) => (Bound::Const(Datum::text(text.as_str())), Kind::Text),
            Value::DollarQuotedString(quoted) => (Bound::Const(Datum::text(quoted.value.as_str())), Kind::Text),
            Value::Placeholder(name) => return self.parameter(name),
            other => return Err(Problem::not_here(format!("the value {other}"))),
        })
    }

    fn parameter(&self, name: &str) -> Answer {
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        let Some(index) = number.filter(|number| (1..=super::OPERATORS_MAX).contains(number)).map(|number| number - 1)
        else {
            return Err(Problem::new("42P02", format!("there is no parameter {name}")));
        };
        let mut parameters = self.parameters.borrow_mut();
        if parameters.len() <= index {
            parameters.resize(index + 1, None);
        }
        let kind = parameters[index].unwrap_or(Kind::Text);
        Ok((Bound::Parameter(index, kind), kind))
    }

    /// Gives a parameter of which nothing is known yet the kind of what it stands beside.
    pub fn settle(&self, bound: Bound, kind: Kind) -> Bound {
        match bound {
            Bound::Parameter(index, _) if self.known.get(index).copied().flatten().is_none() => {
                let mut parameters = self.parameters.borrow_mut();
                let kind = *parameters[index].get_or_insert(kind);
                Bound::Parameter(index, kind)
            }
            other => other,
        }
    }

    fn column(&self, names: &[Ident], scope: &Scope<'_>) -> Answer {
        let parts: Vec<String> = names.iter().map(folded).collect();
        let Some((name, qualifier)) = parts.split_last() else { return Err(Problem::new("42601", "a name is empty")) };
        let mut up = 0;
        let mut at = Some(scope);
        while let Some(scope) = at {
            if let Some((index, kind)) = scope.find(qualifier, name)? {
                return Ok((Bound::Column { up, index }, kind));
            }
            if name == "tableoid"
                && let Some(oid) = scope.table_oid(qualifier)
            {
                return Ok((Bound::Const(Datum::Int(oid)), Kind::Oid));
            }
            (at, up) = (scope.outer, up + 1);
        }
        if qualifier.is_empty() && names[0].quote_style.is_none() && function::is_bare(name) {
            return self.builtin(name, std::iter::empty(), scope);
        }
        let message = format!("column \"{}\" does not exist", parts.join("."));
        Err(Problem::new("42703", message))
    }

    fn one_column(&self, query: &Query, scope: &Scope<'_>) -> Result<Plan, Problem> {
        let plan = self.deeper(|| plan::query(self, query, Some(scope)))?;
        if plan.columns.len() == 1 {
            Ok(plan)
        } else {
            Err(Problem::new("42601", "subquery must return only one column"))
        }
    }

    fn distinct(&self, left: &Expr, right: &Expr, is_negated: bool, scope: &Scope<'_>) -> Answer {
        let ((left, _), (right, _)) = (self.boxed(left, scope)?, self.boxed(right, scope)?);
        Ok((Bound::Distinct { left, right, is_negated }, Kind::Bool))
    }

    fn unary(&self, op: UnaryOperator, expr: &Expr, scope: &Scope<'_>) -> Answer {
        let (value, kind) = self.boxed(expr, scope)?;
        match op {
            UnaryOperator::Not => Ok((Bound::Not(value), Kind::Bool)),
            UnaryOperator::Minus => Ok((Bound::Negative(value), kind)),
            UnaryOperator::Plus => Ok((*value, kind)),
            other => Err(Problem::not_here(format!("the operator {other}"))),
        }
    }

    fn compare(&self, left: &Expr, how: Compare, right: &Expr, scope: &Scope<'_>) -> Result<Bound, Problem> {
        let ((left, left_kind), (right, right_kind)) = (self.expression(left, scope)?, self.expression(right, scope)?);
        let (left, right) = (self.settle(left, right_kind), self.settle(right, left_kind));
        Ok(Bound::Compare(Box::new(left), how, Box::new(right)))
    }

    fn binary(&self, left: &Expr, op: &BinaryOperator, right: &Expr, scope: &Scope<'_>) -> Answer {
        if matches!(op, BinaryOperator::And | BinaryOperator::Or) {
            // A long chain is a flat list here, so that its length is no depth.
            let mut parts = vec![self.expression(right, scope)?.0];
            let mut rest = left;
            while let Expr::BinaryOp { left, op: inner, right } = rest {
                if inner != op {
                    break;
                }
                parts.push(self.expression(right, scope)?.0);
                rest = left;
            }
            parts.push(self.expression(rest, scope)?.0);
            parts.reverse();
            return Ok((if *op == BinaryOperator::And { Bound::And(parts) } else { Bound::Or(parts) }, Kind::Bool));
        }
        let op = plain_operator(op);
        if let Some(how) = compare_of(&op) {
            return Ok((self.compare(left, how, right, scope)?, Kind::Bool));
        }
        let regex = |folds| Match::Regex { folds };
        let like = |folds| Match::Like { folds, escape: Some('\\') };
        match op {
            BinaryOperator::PGRegexMatch => self.matches(left, right, regex(false), false, scope),
            BinaryOperator::PGRegexIMatch => self.matches(left, right, regex(true), false, scope),
            BinaryOperator::PGRegexNotMatch => self.matches(left, right, regex(false), true, scope),
            BinaryOperator::PGRegexNotIMatch => self.matches(left, right, regex(true), true, scope),
            BinaryOperator::PGLikeMatch => self.matches(left, right, like(false), false, scope),
            BinaryOperator::PGILikeMatch => self.matches(left, right, like(true), false, scope),
            BinaryOperator::PGNotLikeMatch => self.matches(left, right, like(false), true, scope),
            BinaryOperator::PGNotILikeMatch => self.matches(left, right, like(true), true, scope),
            _ => self.reckon(left, &op, right, scope),
        }
    }

    fn reckon(&self, left: &Expr, op: &BinaryOperator, right: &Expr, scope: &Scope<'_>) -> Answer {
        let ((left, left_kind), (right, right_kind)) = (self.boxed(left, scope)?, self.boxed(right, scope)?);
        let what = match op {
            BinaryOperator::StringConcat => {
                let is_list = left_kind.element().is_some() || right_kind.element().is_some();
                let kind = match (is_list, left_kind.element()) {
                    (true, Some(_)) => left_kind,
                    (true, None) => right_kind,
                    (false, _) => Kind::Text,
                };
                return Ok((Bound::Concat(left, right), kind));
            }
            BinaryOperator::Plus => Arithmetic::Plus,
            BinaryOperator::Minus => Arithmetic::Minus,
            BinaryOperator::Multiply => Arithmetic::Times,
            BinaryOperator::Divide => Arithmetic::Over,
            BinaryOperator::Modulo => Arithmetic::Modulo,
            BinaryOperator::BitwiseAnd => Arithmetic::And,
            BinaryOperator::BitwiseOr => Arithmetic::Or,
            other => return Err(Problem::not_here(format!("the operator {other}"))),
        };
        let is_float = [left_kind, right_kind].iter().any(|kind| matches!(kind, Kind::Float4 | Kind::Float8));
        let is_wide = [left_kind, right_kind].contains(&Kind::Int8);
        let kind = match (is_float, is_wide) {
            (true, _) => Kind::Float8,
            (false, true) => Kind::Int8,
            _ => Kind::Int4,
        };
        Ok((Bound::Arithmetic(left, what, right), kind))
    }

    fn matches(&self, value: &Expr, pattern: &Expr, how: Match, is_negated: bool, scope: &Scope<'_>) -> Answer {
        let ((value, _), (pattern, _)) = (self.boxed(value, scope)?, self.boxed(pattern, scope)?);
        Ok((Bound::Matches { value, pattern, how, is_negated }, Kind::Bool))
    }

    fn any(&self, left: &Expr, op: &BinaryOperator, right: &Expr, is_all: bool, scope: &Scope<'_>) -> Answer {
        let op = plain_operator(op);
        let Some(compare) = compare_of(&op) else { return Err(Problem::not_here(format!("{op} ANY"))) };
        let (left, left_kind) = self.boxed(left, scope)?;
        if let Expr::Subquery(query) = right {
            let plan = Box::new(self.one_column(query, scope)?);
            return Ok((Bound::AnyRow { left, compare, plan, is_all }, Kind::Bool));
        }
        let (right, _) = self.expression(right, scope)?;
        let right = Box::new(self.settle(right, left_kind.list()));
        Ok((Bound::Any { left, compare, right, is_all }, Kind::Bool))
    }

    fn case(
        &self,
        operand: Option<&Expr>,
        arms: &[(&Expr, &Expr)],
        otherwise: Option<&Expr>,
        scope: &Scope<'_>,
    ) -> Answer {
        let operand = operand.map(|operand| self.boxed(operand, scope)).transpose()?.map(|(operand, _)| operand);
        let mut bound = Vec::new();
        let mut kinds = Vec::new();
        let mut told = |value: &Bound, kind: Kind| {
            if !matches!(value, Bound::Const(Datum::Null)) {
                kinds.push(kind);
            }
        };
        for (condition, result) in arms {
            let condition = self.expression(condition, scope)?.0;
            let (result, kind) = self.expression(result, scope)?;
            told(&result, kind);
            bound.push((condition, result));
        }
        let otherwise = match otherwise {
            Some(otherwise) => {
                let (value, kind) = self.expression(otherwise, scope)?;
                told(&value, kind);
                Some(Box::new(value))
            }
            None => None,
        };
        // Text written in the statement takes the kind of what else there is.
        let kind = kinds.iter().copied().find(|kind| *kind != Kind::Text).unwrap_or(Kind::Text);
        let kind = if kinds.iter().all(|other| *other == kind || *other == Kind::Text) { kind } else { widest(&kinds) };
        Ok((Bound::Case { operand, arms: bound, otherwise }, kind))
    }

    fn cast(&self, expr: &Expr, data_type: &DataType, scope: &Scope<'_>) -> Answer {
        let (value, from) = self.expression(expr, scope)?;
        let name = data_type.to_string();
        let (to, kind) = match name.to_ascii_lowercase().trim_start_matches("pg_catalog.") {
            "regnamespace" if from.is_whole() => (Cast::Schema, Kind::Text),
            "regnamespace" => (Cast::Schema, Kind::Oid),
            "regrole" if from.is_whole() => (Cast::Role, Kind::Text),
            "regrole" => (Cast::Role, Kind::Oid),
            _ => {
                let kind = kind_named(&name)
                    .ok_or_else(|| Problem::new("42704", format!("type \"{name}\" does not exist")))?;
                (Cast::To(kind), kind)
            }
        };
        let value = self.settle(value, kind);
        Ok((Bound::Cast { value: Box::new(value), from, to }, kind))
    }

    fn access(&self, root: &Expr, chain: &[AccessExpr], scope: &Scope<'_>) -> Answer {
        let (mut value, mut kind) = self.expression(root, scope)?;
        for access in chain {
            match access {
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let (index, _) = self.boxed(index, scope)?;
                    kind = kind.element().unwrap_or(Kind::Text);
                    value = Bound::Index(Box::new(value), index);
                }
                // Only `_pg_expandarray` gives a record, over keys, of which there are none.
                AccessExpr::Dot(_) => (value, kind) = (Bound::Const(Datum::Null), Kind::Int4),
                AccessExpr::Subscript(_) => return Err(Problem::not_here("a slice of a list")),
            }
        }
        Ok((value, kind))
    }

    fn builtin<'e>(&self, name: &str, arguments: impl Iterator<Item = &'e Expr>, scope: &Scope<'_>) -> Answer {
        let arguments: Result<Vec<_>, Problem> = arguments.map(|argument| self.expression(argument, scope)).collect();
        self.called(name, arguments?)
    }

    fn called(&self, name: &str, arguments: Vec<(Bound, Kind)>) -> Answer {
        let Some(found) = function::find(name, arguments.len()) else {
            let kinds: Vec<&str> =
                arguments.iter().map(|(_, kind)| types::by_oid(kind.oid()).map_or("?", |of| of.said)).collect();
            return Err(Problem::new("42883", format!("function {name}({}) does not exist", kinds.join(", "))));
        };
        let first = || {
            let told = arguments.iter().filter(|(value, _)| !matches!(value, Bound::Const(Datum::Null)));
            told.map(|(_, kind)| *kind).next().unwrap_or(Kind::Text)
        };
        let kind = match found.gives {
            Gives::Is(kind) => kind,
            Gives::First => first(),
            Gives::Element => first().element().unwrap_or(Kind::Text),
        };
        Ok((Bound::Call(found, arguments.into_iter().map(|(value, _)| value).collect()), kind))
    }

    /// Binds a call, of a function, an aggregate or `row_number()`.
    pub fn call(&self, called: &Called, scope: &Scope<'_>) -> Answer {
        let name = last_of(&called.name);
        let list = match &called.args {
            FunctionArguments::None => None,
            FunctionArguments::Subquery(query) if name == "array" => {
                let plan = self.one_column(query, scope)?;
                let kind = plan.columns[0].1.list();
                return Ok((Bound::ListOf(Box::new(plan)), kind));
            }
            FunctionArguments::Subquery(_) => return Err(Problem::not_here(format!("{name}(SELECT …)"))),
            FunctionArguments::List(list) => Some(list),
        };
        if let Some(over) = &called.over {
            return self.window(&name, over, scope);
        }
        let mut arguments = Vec::new();
        for argument in list.map(|list| list.args.as_slice()).unwrap_or_default() {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
                | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. } => {
                    arguments.push(self.expression(expr, scope)?);
                }
                FunctionArg::Unnamed(_) if name == "count" => {}
                other => return Err(Problem::not_here(format!("the argument {other}"))),
            }
        }
        let Some((of, kind)) = function::total(&name, arguments.first().map(|(_, kind)| *kind)) else {
            return self.called(&name, arguments);
        };
        let order = list.into_iter().flat_map(|list| &list.clauses).find_map(|clause| match clause {
            FunctionArgumentClause::OrderBy(order) => Some(order.as_slice()),
            _ => None,
        });
        let aggregate = Aggregate {
            of,
            arguments: arguments.into_iter().map(|(value, _)| value).collect(),
            is_distinct: list.is_some_and(|list| list.duplicate_treatment == Some(DuplicateTreatment::Distinct)),
            order: self.order(order.unwrap_or_default(), scope)?,
            filter: called
                .filter
                .as_deref()
                .map(|filter| self.expression(filter, scope))
                .transpose()?
                .map(|(bound, _)| bound),
        };
        let mut aggregates = scope.aggregates.borrow_mut();
        aggregates.push(aggregate);
        Ok((Bound::Aggregate(aggregates.len() - 1), kind))
    }

    fn window(&self, name: &str, over: &WindowType, scope: &Scope<'_>) -> Answer {
        let WindowType::WindowSpec(spec) = over else { return Err(Problem::not_here("a named window")) };
        if name != "row_number" {
            return Err(Problem::not_here(format!("{name}() OVER")));
        }
        let partition = self.all(&spec.partition_by, scope)?.into_iter().map(|(bound, _)| bound).collect();
        let order = self.order(&spec.order_by, scope)?;
        let mut windows = scope.windows.borrow_mut();
        windows.push(Window { partition, order });
        Ok((Bound::Window(windows.len() - 1), Kind::Int8))
    }

    fn order(&self, order: &[OrderByExpr], scope: &Scope<'_>) -> Result<Vec<(Bound, bool)>, Problem> {
        let bind = |by: &OrderByExpr| Ok((self.expression(&by.expr, scope)?.0, by.options.asc == Some(false)));
        order.iter().map(bind).collect()
    }
}
