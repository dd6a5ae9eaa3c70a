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
use nhatle_rules::predicate::{FieldRef, RuleField, sigma_key};

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
    /// For each candidate the columns that name it.
    by_field: HashMap<Field, Vec<Route>>,
    /// The same by name without spaces, see [`RuleField::rank`].
    by_key: HashMap<Box<str>, Vec<Spaced>>,
    routes: Box<[OnceLock<Block>]>,
}

/// A candidate of a column, and whether its name has spaces.
struct Spaced {
    route: Route,
    has_spaces: bool,
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
        let (mut by_field, mut by_key) = (HashMap::<_, Vec<Route>>::new(), HashMap::<_, Vec<Spaced>>::new());
        for (column, field) in (0u32..).zip(&names) {
            let count = u32::try_from(field.candidates.len()).unwrap_or(u32::MAX);
            for (rank, candidate) in (0u32..).zip(&field.candidates) {
                by_field.entry(*candidate).or_default().push(Route { column, rank });
                let name = candidate.name();
                let route = Route { column, rank: count.saturating_add(rank) };
                let spaced = Spaced { route, has_spaces: name.contains(' ') };
                by_key.entry(sigma_key(name).into()).or_default().push(spaced);
            }
        }
        let blocks = (TABLE.len() + VENDOR_FIELDS_MAX).div_ceil(ROUTES_PER_BLOCK);
        let routes = (0..blocks).map(|_| OnceLock::new()).collect();
        Columns { column_of, names, by_field, by_key, routes }
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

    /// What [`RuleField::rank`] says of each column, from tables.
    fn find_routes(&self, field: Field) -> Box<[Route]> {
        let name = field.name();
        let has_spaces = name.contains(' ');
        let exact = self.by_field.get(&field).into_iter().flatten().copied();
        let spaced = self.by_key.get(&*sigma_key(name)).into_iter().flatten();
        let spaced = spaced.filter(|spaced| has_spaces || spaced.has_spaces).map(|spaced| spaced.route);
        // Ranks of names without spaces come after all others, so the lowest of a column is the one meant.
        let mut routes: Vec<Route> = exact.chain(spaced).collect();
        routes.sort_unstable_by_key(|route| (route.column, route.rank));
        routes.dedup_by_key(|route| route.column);
        routes.into()
    }
}

/// Two names with equal keys mean the same.
fn merge_key(field: &RuleField) -> (&str, &[Field], &[String]) {
    (&field.name, &field.candidates, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_say_what_the_ranks_of_names_say() {
        let known = ["Threat Name", "ThreatName", "Threat  Name", "a b", "ab", "a b c", "user.name", "x"];
        let known: Vec<Field> = known.iter().filter_map(|name| Field::intern(name)).collect();
        let mut fields = Vec::new();
        for first in 0..known.len() {
            for second in 0..known.len() {
                let candidates = vec![known[first], known[second], known[(first + second) % known.len()]];
                fields.push(RuleField { name: format!("{first} {second}"), candidates });
            }
        }
        let columns = Columns::new(&fields);
        for field in known.iter().copied().chain(Field::intern("never a candidate")) {
            let expected: Vec<Route> = (0u32..)
                .zip(&columns.names)
                .filter_map(|(column, name)| Some(Route { column, rank: name.rank(field)? }))
                .collect();
            assert_eq!(columns.routes(field), expected, "{field}");
        }
    }
}
