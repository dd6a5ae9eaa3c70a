//! Queries with their names resolved: what is read, kept, grouped, put in order.
//!
//! In: sqlparser's tree of a query and the scope around it. Out: [`Plan`]. Failure: [`Problem`]: 42P01 no such table, and what
//! binding its expressions finds.

use std::rc::Rc;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, OrderBy, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Value,
};

use super::Problem;
use super::bind::Binder;
use super::bound::{Aggregate, Bound, Scope, Window};
use super::datum::Kind;
use super::join::{self, From};
use super::names::{folded, parts};
use super::rows::{self, Rows};

/// A query that can be run.
#[derive(Debug)]
pub(super) struct Plan {
    pub columns: Vec<(String, Kind)>,
    pub body: Body,
    pub order: Vec<Order>,
    pub limit: Option<Bound>,
    pub offset: Option<Bound>,
}

/// What a query's rows are made of.
#[derive(Debug)]
pub(super) enum Body {
    Select(Box<Selected>),
    Nested(Box<Plan>),
    Set { left: Box<Plan>, op: Joined, is_all: bool, right: Box<Plan> },
    Values(Vec<Vec<Bound>>),
}

/// How two sets of rows become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    Union,
    Except,
    Intersect,
}

/// One `SELECT`.
#[derive(Debug)]
pub(super) struct Selected {
    pub from: From,
    pub items: Vec<Item>,
    /// Expressions rows are ordered by that are no columns of the answer.
    pub hidden: Vec<Bound>,
    pub group: Vec<Bound>,
    pub is_grouped: bool,
    pub aggregates: Vec<Aggregate>,
    pub windows: Vec<Window>,
    pub having: Option<Bound>,
    pub distinct: Unique,
}

/// One column of the answer.
#[derive(Debug)]
pub(super) enum Item {
    Value(Bound),
    /// A function that gives rows.
    Rows(Rows),
}

/// Which rows are left out because they are there already.
#[derive(Debug)]
pub(super) enum Unique {
    All,
    Rows,
}

/// One part of the order.
#[derive(Debug)]
pub(super) struct Order {
    /// A column of the answer, or behind them a hidden one.
    pub column: usize,
    pub is_descending: bool,
    pub nulls_first: bool,
}

/// Resolves a query.
pub(super) fn query(binder: &Binder<'_>, query: &Query, outer: Option<&Scope<'_>>) -> Result<Plan, Problem> {
    binder.within(|| {
        let mut scope = Scope { outer, ..Scope::default() };
        if let Some(with) = &query.with {
            if with.recursive && with.cte_tables.iter().any(|one| refers_to_itself(&one.query, &one.alias.name.value)) {
                return Err(Problem::not_here("WITH RECURSIVE"));
            }
            for one in &with.cte_tables {
                let columns = one.alias.columns.iter().map(|column| folded(&column.name)).collect();
                scope.named.push((folded(&one.alias.name), Rc::new((*one.query).clone()), columns));
            }
        }
        let order = query.order_by.as_ref();
        let mut plan = match &*query.body {
            SetExpr::Select(select) => select_of(binder, select, scope, order)?,
            other => {
                let mut plan = set(binder, other, &scope)?;
                plan.order = order_of_columns(order, &plan.columns)?;
                plan
            }
        };
        let nothing = Scope { outer, ..Scope::default() };
        let bind = |expr: &Expr| binder.expression(expr, &nothing).map(|(bound, _)| binder.settle(bound, Kind::Int8));
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                plan.limit = limit.as_ref().map(bind).transpose()?;
                plan.offset = offset.as_ref().map(|offset| bind(&offset.value)).transpose()?;
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                (plan.limit, plan.offset) = (Some(bind(limit)?), Some(bind(offset)?));
            }
            None => {}
        }
        if let Some(quantity) = query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref()) {
            plan.limit = Some(bind(quantity)?);
        }
        Ok(plan)
    })
}

fn refers_to_itself(query: &Query, name: &str) -> bool {
    // A name inside of text only makes us refuse more than we must.
    query.to_string().to_lowercase().contains(&name.to_lowercase())
}

fn plan_of(columns: Vec<(String, Kind)>, body: Body) -> Plan {
    Plan { columns, body, order: Vec::new(), limit: None, offset: None }
}

/// A set operation, a nested query or `VALUES`; `scope` holds the names of `WITH`.
fn set(binder: &Binder<'_>, body: &SetExpr, scope: &Scope<'_>) -> Result<Plan, Problem> {
    binder.deeper(|| match body {
        SetExpr::Select(select) => {
            let inner = Scope { outer: scope.outer, named: scope.named.clone(), ..Scope::default() };
            select_of(binder, select, inner, None)
        }
        SetExpr::Query(nested) => {
            let plan = query(binder, nested, Some(scope))?;
            Ok(plan_of(plan.columns.clone(), Body::Nested(Box::new(plan))))
        }
        SetExpr::SetOperation { left, op, set_quantifier, right } => {
            let (left, right) = (set(binder, left, scope)?, set(binder, right, scope)?);
            if left.columns.len() != right.columns.len() {
                return Err(Problem::new("42601", format!("each {op} query must have the same number of columns")));
            }
            let op = match op {
                SetOperator::Union => Joined::Union,
                SetOperator::Except | SetOperator::Minus => Joined::Except,
                SetOperator::Intersect => Joined::Intersect,
            };
            let is_all = matches!(set_quantifier, SetQuantifier::All);
            let pairs = left.columns.iter().zip(&right.columns);
            let columns = pairs.map(|((name, left), (_, right))| (name.clone(), wider(*left, *right))).collect();
            Ok(plan_of(columns, Body::Set { left: Box::new(left), op, is_all, right: Box::new(right) }))
        }
        SetExpr::Values(values) => {
            let mut rows = Vec::new();
            let mut kinds: Vec<Kind> = Vec::new();
            for row in &values.rows {
                let bound =
                    row.content.iter().map(|expr| binder.expression(expr, scope)).collect::<Result<Vec<_>, _>>()?;
                if kinds.is_empty() {
                    kinds = bound.iter().map(|(_, kind)| *kind).collect();
                }
                if bound.len() != kinds.len() {
                    return Err(Problem::new("42601", "VALUES lists must all be the same length"));
                }
                rows.push(bound.into_iter().map(|(bound, _)| bound).collect());
            }
            let columns =
                kinds.into_iter().enumerate().map(|(index, kind)| (format!("column{}", index + 1), kind)).collect();
            Ok(plan_of(columns, Body::Values(rows)))
        }
        SetExpr::Table(table) => Err(Problem::not_here(table)),
        _ => Err(Problem::new("25006", "only queries are answered: this server is read-only")),
    })
}

fn wider(left: Kind, right: Kind) -> Kind {
    match (left, right) {
        (left, right) if left == right => left,
        (Kind::Text, right) => right,
        (left, _) => left,
    }
}

fn select_of(binder: &Binder<'_>, select: &Select, scope: Scope<'_>, order: Option<&OrderBy>) -> Result<Plan, Problem> {
    let mut scope = scope;
    let mut from = join::from(binder, &select.from, &mut scope)?;
    let scope = &scope;
    if let Some(selection) = &select.selection {
        let (bound, _) = binder.expression(selection, scope)?;
        if !scope.aggregates.borrow().is_empty() {
            return Err(Problem::new("42803", "aggregate functions are not allowed in WHERE"));
        }
        from.keep(bound);
    }
    let mut columns = Vec::new();
    let mut items = Vec::new();
    for item in &select.projection {
        project(binder, item, scope, (&mut columns, &mut items))?;
    }
    let group = match &select.group_by {
        GroupByExpr::All(_) => return Err(Problem::not_here("GROUP BY ALL")),
        GroupByExpr::Expressions(exprs, _) => exprs
            .iter()
            .map(|expr| group_by(binder, expr, scope, (&columns, &select.projection)))
            .collect::<Result<Vec<_>, _>>()?,
    };
    let having =
        select.having.as_ref().map(|having| binder.expression(having, scope)).transpose()?.map(|(bound, _)| bound);
    let mut hidden = Vec::new();
    let mut ordered = Vec::new();
    for by in expressions(order)? {
        let is_descending = by.options.asc == Some(false);
        let column = match column_of(&by.expr, &columns)? {
            Some(column) => column,
            None => {
                hidden.push(binder.expression(&by.expr, scope)?.0);
                columns.len() + hidden.len() - 1
            }
        };
        ordered.push(Order { column, is_descending, nulls_first: by.options.nulls_first.unwrap_or(is_descending) });
    }
    let distinct = match &select.distinct {
        None | Some(Distinct::All) => Unique::All,
        Some(Distinct::Distinct) => Unique::Rows,
        Some(Distinct::On(_)) => return Err(Problem::not_here("DISTINCT ON")),
    };
    let (aggregates, windows) = (scope.aggregates.take(), scope.windows.take());
    let is_grouped = !group.is_empty() || !aggregates.is_empty() || having.is_some();
    let selected = Selected { from, items, hidden, group, is_grouped, aggregates, windows, having, distinct };
    let mut plan = plan_of(columns, Body::Select(Box::new(selected)));
    plan.order = ordered;
    Ok(plan)
}

fn project(
    binder: &Binder<'_>,
    item: &SelectItem,
    scope: &Scope<'_>,
    (columns, items): (&mut Vec<(String, Kind)>, &mut Vec<Item>),
) -> Result<(), Problem> {
    let (expr, alias) = match item {
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(folded(alias))),
        SelectItem::Wildcard(_) => {
            all_of(scope, None, columns, items)?;
            return Ok(());
        }
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            return all_of(scope, parts(name).pop().as_deref(), columns, items);
        }
        other => return Err(Problem::not_here(other)),
    };
    let name = alias.unwrap_or_else(|| name_of(expr));
    if let Some((rows, kind)) = rows::rows_of(binder, expr, scope)? {
        columns.push((name, kind));
        items.push(Item::Rows(rows));
        return Ok(());
    }
    let (bound, kind) = binder.expression(expr, scope)?;
    columns.push((name, kind));
    items.push(Item::Value(bound));
    Ok(())
}

fn all_of(
    scope: &Scope<'_>,
    alias: Option<&str>,
    columns: &mut Vec<(String, Kind)>,
    items: &mut Vec<Item>,
) -> Result<(), Problem> {
    let before = items.len();
    for relation in scope.relations.iter().filter(|relation| alias.is_none_or(|alias| relation.alias == alias)) {
        for (index, (name, kind)) in relation.columns.iter().enumerate() {
            if alias.is_none() && relation.merged.contains(&index) {
                continue;
            }
            columns.push((name.clone(), *kind));
            items.push(Item::Value(Bound::Column { up: 0, index: relation.start + index }));
        }
    }
    match items.len() == before {
        true => Err(Problem::new("42P01", format!("missing FROM-clause entry for table \"{}\"", alias.unwrap_or("*")))),
        false => Ok(()),
    }
}

/// What PostgreSQL calls a column without a name.
fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => folded(name),
        Expr::CompoundIdentifier(names) => names.last().map(folded).unwrap_or_default(),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => name_of(inner),
        Expr::Function(called) => parts(&called.name).pop().unwrap_or_default(),
        Expr::Cast { expr, data_type, .. } => match name_of(expr) {
            name if name == "?column?" => {
                data_type.to_string().to_lowercase().rsplit('.').next().unwrap_or_default().to_owned()
            }
            name => name,
        },
        Expr::Case { else_result, .. } => match else_result.as_deref().map(name_of) {
            Some(name) if name != "?column?" => name,
            _ => "case".to_owned(),
        },
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::Subquery(query) => match query.body.as_select().and_then(|select| select.projection.first()) {
            Some(SelectItem::UnnamedExpr(expr)) => name_of(expr),
            Some(SelectItem::ExprWithAlias { alias, .. }) => folded(alias),
            _ => "?column?".to_owned(),
        },
        Expr::Trim { .. } => "btrim".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => "bool".to_owned(),
        _ => "?column?".to_owned(),
    }
}

/// `GROUP BY` takes a column of the answer by number or name, or any expression.
fn group_by(
    binder: &Binder<'_>,
    expr: &Expr,
    scope: &Scope<'_>,
    (columns, projection): (&[(String, Kind)], &[SelectItem]),
) -> Result<Bound, Problem> {
    if let Ok((bound, _)) = binder.expression(expr, scope)
        && !matches!(bound, Bound::Const(_))
    {
        return Ok(bound);
    }
    let item = column_of(expr, columns)?.and_then(|column| projection.get(column));
    match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            Ok(binder.expression(expr, scope)?.0)
        }
        _ => Ok(binder.expression(expr, scope)?.0),
    }
}

fn expressions(order: Option<&OrderBy>) -> Result<&[datafusion::sql::sqlparser::ast::OrderByExpr], Problem> {
    match order.map(|order| &order.kind) {
        None => Ok(&[]),
        Some(OrderByKind::Expressions(exprs)) => Ok(exprs),
        Some(OrderByKind::All(_)) => Err(Problem::not_here("ORDER BY ALL")),
    }
}

/// The column of the answer that an expression of `ORDER BY` names by number or name.
fn column_of(expr: &Expr, columns: &[(String, Kind)]) -> Result<Option<usize>, Problem> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => match text.parse::<usize>() {
                Ok(number) if (1..=columns.len()).contains(&number) => Ok(Some(number - 1)),
                _ => Err(Problem::new("42P10", format!("position {text} is not in the select list"))),
            },
            _ => Ok(None),
        },
        Expr::Identifier(name) => {
            let name = folded(name);
            Ok(columns.iter().position(|(known, _)| *known == name))
        }
        _ => Ok(None),
    }
}

fn order_of_columns(order: Option<&OrderBy>, columns: &[(String, Kind)]) -> Result<Vec<Order>, Problem> {
    let one = |by: &datafusion::sql::sqlparser::ast::OrderByExpr| {
        let is_descending = by.options.asc == Some(false);
        let column = column_of(&by.expr, columns)?.ok_or_else(|| Problem::not_here(format!("ORDER BY {}", by.expr)))?;
        Ok(Order { column, is_descending, nulls_first: by.options.nulls_first.unwrap_or(is_descending) })
    };
    expressions(order)?.iter().map(one).collect()
}
