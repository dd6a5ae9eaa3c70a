//! Columns: the field names of rules, merged where they mean the same, and the way from an event's field
//! to the columns it fills.
//!
//! A hundred rules that name `Image` under ten log sources have ten [`RuleField`]s but one column where the
//! candidates are the same. The route of a field is worked out when the field is first seen and kept; there
//! are at most as many routes as fields (`VENDOR_FIELDS_MAX` and the table).

use std::sync::OnceLock;

use hashbrown::HashMap;
use nhatle_event::Field;
use nhatle_event::field::{TABLE, VENDOR_FIELDS_MAX};
use nhatle_rules::predicate::{FieldRef, RuleField};

const ROUTES_PER_BLOCK: usize = 256;

/// A column that a field can fill, and how good it is for it: 0 is best, the lowest present wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The column.
    pub column: u32,
    /// The field's rank in it.
    pub rank: u32,
}

type Block = Box<[OnceLock<Box<[Route]>>]>;

/// The columns of a rule set.
pub struct Columns {
    column_of: Vec<u32>,
    names: Vec<RuleField>,
    routes: Box<[OnceLock<Block>]>,
}

impl Columns {
    /// Merges the field names of a rule set into columns.
    pub fn new(fields: &[RuleField]) -> Columns {
        let mut numbers: HashMap<(&str, &[Field], &[String]), u32> = HashMap::new();
        let mut names: Vec<RuleField> = Vec::new();
        let mut column_of = Vec::with_capacity(fields.len());
        for field in fields {
            let next = u32::try_from(names.len()).unwrap_or(u32::MAX);
            let number = *numbers.entry(merge_key(field)).or_insert(next);
            if number == next {
                names.push(field.clone());
            }
            column_of.push(number);
        }
        let blocks = (TABLE.len() + VENDOR_FIELDS_MAX).div_ceil(ROUTES_PER_BLOCK);
        Columns { column_of, names, routes: (0..blocks).map(|_| OnceLock::new()).collect() }
    }

    /// How many columns there are.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The column of a field name.
    pub fn of(&self, field: FieldRef) -> u32 {
        self.column_of.get(field.0 as usize).copied().unwrap_or(u32::MAX)
    }

    /// The name rules use for a column.
    pub fn name(&self, column: u32) -> &str {
        self.names.get(column as usize).map_or("", |field| &field.name)
    }

    /// The columns a field can fill.
    pub fn routes(&self, field: Field) -> &[Route] {
        let index = field.index();
        let Some(block) = self.routes.get(index / ROUTES_PER_BLOCK) else { return &[] };
        let block = block.get_or_init(|| (0..ROUTES_PER_BLOCK).map(|_| OnceLock::new()).collect());
        block[index % ROUTES_PER_BLOCK].get_or_init(|| self.find_routes(field))
    }

    fn find_routes(&self, field: Field) -> Box<[Route]> {
        let ranked = (0u32..).zip(&self.names).filter_map(|(column, name)| Some((column, name.rank(field)?)));
        ranked.map(|(column, rank)| Route { column, rank }).collect()
    }
}

/// Two names with equal keys mean the same.
fn merge_key(field: &RuleField) -> (&str, &[Field], &[String]) {
    (&field.name, &field.candidates, &[])
}
