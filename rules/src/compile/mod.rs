//! ast + taxonomy -> `Rule`, the form the engine runs.
//!
//! Each rule is compiled by itself ([`rule`]), with atoms and fields numbered within the rule, so that rules
//! compile in parallel; [`merge`] then gives equal atoms of all rules one number.

pub(crate) mod correlation;
pub(crate) mod dialect;
pub(crate) mod merge;
pub(crate) mod pattern;
pub mod predicate;
pub mod value;

use crate::ast::{Condition, Detection, Item, Modifier, Quantifier, Search, Selector, Value, ValueKind};
use crate::error::Fault;
use crate::lint;
use crate::nearest::did_you_mean;
use crate::parse::condition::pattern_matches;
use crate::yaml::Place;

use predicate::{Atom, AtomId, FieldRef, Pattern, Predicate, Test};
use value::{Form, Placeholders};

/// How large the predicate of one rule may be, in nodes. `1 of them` over the largest public rule has 200.
pub const PREDICATE_NODES_MAX: usize = 100_000;
/// How many values one item may come to after its modifiers.
pub const ITEM_VALUES_MAX: usize = 200_000;

/// Whole numbers above this are not exact in a double; they are compared as text.
const EXACT_NUMBER_MAX: f64 = 9_007_199_254_740_992.0;

/// A detection with atoms and fields numbered within it.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) predicate: Predicate,
    pub(crate) searches: Vec<(String, Predicate)>,
    pub(crate) atoms: Vec<Atom>,
    /// Field names as written, by [`FieldRef`].
    pub(crate) fields: Vec<String>,
    /// Things that work but look wrong.
    pub(crate) warnings: Vec<Fault>,
}

/// Compiles a detection.
pub(crate) fn detection(detection: &Detection, placeholders: &Placeholders) -> Result<Compiled, Fault> {
    let mut compiler = Compiler {
        placeholders,
        atoms: Vec::new(),
        fields: Vec::new(),
        warnings: Vec::new(),
        regex_budget: value::REGEX_COST_MAX,
    };
    let mut searches = Vec::with_capacity(detection.searches.len());
    for (name, _, search) in &detection.searches {
        searches.push((name.clone(), compiler.search(search)?));
    }
    let mut budget = PREDICATE_NODES_MAX;
    let mut parts = Vec::with_capacity(detection.conditions.len());
    for (condition, place) in &detection.conditions {
        parts.push(resolve(condition, *place, &searches, &mut budget)?);
    }
    let predicate = any(parts);
    let Compiler { atoms, fields, warnings, .. } = compiler;
    Ok(Compiled { predicate, searches, atoms, fields, warnings })
}

/// All of the parts; one part stands for itself.
pub(crate) fn all(mut parts: Vec<Predicate>) -> Predicate {
    match parts.len() {
        0 => Predicate::Constant(true),
        1 => parts.remove(0),
        _ => Predicate::All(parts),
    }
}

/// Any of the parts; one part stands for itself.
pub(crate) fn any(mut parts: Vec<Predicate>) -> Predicate {
    match parts.len() {
        0 => Predicate::Constant(false),
        1 => parts.remove(0),
        _ => Predicate::Any(parts),
    }
}

fn not(part: Predicate) -> Predicate {
    match part {
        Predicate::Not(inner) => *inner,
        Predicate::Constant(constant) => Predicate::Constant(!constant),
        other => Predicate::Not(Box::new(other)),
    }
}

/// The condition over the searches. `budget` bounds how often a large search may be repeated.
fn resolve(
    condition: &Condition,
    place: Place,
    searches: &[(String, Predicate)],
    budget: &mut usize,
) -> Result<Predicate, Fault> {
    let mut copy = |predicate: &Predicate| {
        *budget = budget.checked_sub(nodes(predicate)).ok_or_else(|| {
            Fault::new(place, format!("the condition repeats its searches to more than {PREDICATE_NODES_MAX} parts"))
        })?;
        Ok(predicate.clone())
    };
    match condition {
        Condition::Identifier(name) => match searches.iter().find(|(known, _)| known == name) {
            Some((_, predicate)) => copy(predicate),
            None => Err(Fault::new(place, unknown_search(name, searches))),
        },
        Condition::Of(quantifier, selector) => {
            let parts: Vec<_> =
                selected(selector, searches).map(|(_, predicate)| copy(predicate)).collect::<Result<_, _>>()?;
            match (parts.is_empty(), selector, quantifier) {
                (true, Selector::Pattern(pattern), _) => {
                    let reason =
                        format!("no search matches the pattern `{pattern}`; the searches are {}", names(searches));
                    Err(Fault::new(place, reason))
                }
                (true, Selector::Them, _) => {
                    Err(Fault::new(place, "`them` means no search here: all names begin with `_`".into()))
                }
                (false, _, Quantifier::One) => Ok(any(parts)),
                (false, _, Quantifier::All) => Ok(all(parts)),
            }
        }
        Condition::All(parts) => Ok(all(resolve_each(parts, place, searches, budget)?)),
        Condition::Any(parts) => Ok(any(resolve_each(parts, place, searches, budget)?)),
        Condition::Not(part) => Ok(not(resolve(part, place, searches, budget)?)),
    }
}

fn resolve_each(
    parts: &[Condition],
    place: Place,
    searches: &[(String, Predicate)],
    budget: &mut usize,
) -> Result<Vec<Predicate>, Fault> {
    parts.iter().map(|part| resolve(part, place, searches, budget)).collect()
}

/// The searches that a selector means. Names that begin with `_` are never meant.
pub(crate) fn selected<'a, T>(
    selector: &'a Selector,
    searches: &'a [(String, T)],
) -> impl Iterator<Item = &'a (String, T)> {
    searches.iter().filter(move |(name, _)| match selector {
        Selector::Them => !name.starts_with('_'),
        Selector::Pattern(pattern) => !name.starts_with('_') && pattern_matches(pattern, name),
    })
}

fn unknown_search(name: &str, searches: &[(String, Predicate)]) -> String {
    let near = did_you_mean(name, searches.iter().map(|(known, _)| known.as_str()));
    format!("there is no search `{name}`{near}; the searches are {}", names(searches))
}

fn names(searches: &[(String, Predicate)]) -> String {
    let shown: Vec<_> = searches.iter().take(10).map(|(name, _)| format!("`{name}`")).collect();
    let more = if searches.len() <= 10 { "" } else { " and more" };
    format!("{}{more}", shown.join(", "))
}

fn nodes(predicate: &Predicate) -> usize {
    match predicate {
        Predicate::Constant(_) | Predicate::Atom(_) => 1,
        Predicate::All(parts) | Predicate::Any(parts) => 1 + parts.iter().map(nodes).sum::<usize>(),
        Predicate::Not(part) => 1 + nodes(part),
    }
}

struct Compiler<'a> {
    placeholders: &'a Placeholders,
    atoms: Vec<Atom>,
    fields: Vec<String>,
    warnings: Vec<Fault>,
    regex_budget: usize,
}

impl Compiler<'_> {
    fn search(&mut self, search: &Search) -> Result<Predicate, Fault> {
        match search {
            Search::All(parts) => Ok(all(parts.iter().map(|part| self.search(part)).collect::<Result<_, _>>()?)),
            Search::Any(parts) => Ok(any(parts.iter().map(|part| self.search(part)).collect::<Result<_, _>>()?)),
            Search::Item(item) => self.item(item),
        }
    }

    fn item(&mut self, item: &Item) -> Result<Predicate, Fault> {
        let has = |modifier| item.modifiers.contains(&modifier);
        self.warnings.extend(lint::item(item));
        let null = Value { kind: ValueKind::Null, place: item.place };
        let values = if item.values.is_empty() { std::slice::from_ref(&null) } else { &item.values };
        if has(Modifier::Exists) && 1 < values.len() {
            return Err(Fault::new(item.place, "`exists` takes one value: true or false".into()));
        }
        let field = item.field.as_ref().map(|name| self.field(name));
        let mut alternatives = Alternatives::default();
        let mut parts = Vec::new();
        for value in values {
            let forms = value::apply(&value.kind, &item.modifiers, self.placeholders)
                .map_err(|reason| Fault::new(value.place, reason))?;
            for form in forms {
                self.add(form, item, &mut alternatives).map_err(|reason| Fault::new(value.place, reason))?;
            }
            if has(Modifier::All) {
                parts.push(self.close(field, std::mem::take(&mut alternatives)));
            }
            if ITEM_VALUES_MAX < alternatives.texts.len() + alternatives.tests.len() + parts.len() {
                return Err(Fault::new(value.place, format!("the item comes to more than {ITEM_VALUES_MAX} values")));
            }
        }
        let predicate = if has(Modifier::All) { all(parts) } else { self.close(field, alternatives) };
        Ok(if has(Modifier::Neq) { not(predicate) } else { predicate })
    }

    /// Turns a finished form into a text of the list, or a test of its own.
    fn add(&mut self, form: Form, item: &Item, alternatives: &mut Alternatives) -> Result<(), String> {
        let is_cased = item.modifiers.contains(&Modifier::Cased);
        let is_keyword = item.field.is_none();
        let text = |mut draft: pattern::Draft, alternatives: &mut Alternatives| -> Result<(), String> {
            let is_positional = |modifier: &Modifier| matches!(modifier, Modifier::StartsWith | Modifier::EndsWith);
            if is_keyword && !item.modifiers.iter().any(is_positional) {
                draft.open_start();
                draft.open_end();
            }
            let pattern = draft
                .finish(is_cased)
                .ok_or("UTF-16 bytes of letters outside ASCII are no text; add `base64` or `base64offset`")?;
            alternatives.texts.push(pattern);
            Ok(())
        };
        match form {
            Form::Plain(plain) => text(pattern::Draft::parse(&plain), alternatives)?,
            Form::Text(draft) => text(draft, alternatives)?,
            Form::Number(_, written) if is_keyword => text(pattern::Draft::literal(&written), alternatives)?,
            Form::Number(number, written) if EXACT_NUMBER_MAX <= number.abs() => {
                text(pattern::Draft::literal(&written), alternatives)?;
            }
            Form::Number(number, written) => {
                // Unquoted hexadecimal: logs write such values as text (`0x17`), some as numbers.
                if written.starts_with("0x") {
                    text(pattern::Draft::literal(&written), alternatives)?;
                }
                alternatives.tests.push(Test::Number(number));
            }
            Form::Null if is_keyword => return Err("a keyword cannot be null".into()),
            Form::Null => alternatives.tests.push(Test::Null),
            Form::Regex { pattern, flags, position } => {
                let pattern = value::finished_regex(&pattern, &flags, position, &mut self.regex_budget)?;
                alternatives.tests.push(Test::Regex(pattern));
            }
            Form::Cidr { network, prefix } => alternatives.tests.push(Test::Cidr { network, prefix }),
            Form::Compare(comparison, number) => alternatives.tests.push(Test::Compare(comparison, number)),
            Form::TimePart(part, comparison, number) => {
                alternatives.tests.push(Test::TimePart(part, comparison, number))
            }
            Form::FieldRef { name, position } => {
                let other = self.field(&name);
                let case = if is_cased { predicate::Case::Exact } else { predicate::Case::Folded };
                alternatives.tests.push(Test::FieldRef { other, position, case });
            }
            Form::Exists(expected) => {
                alternatives.tests.push(Test::Exists);
                alternatives.is_negated = !expected;
            }
        }
        Ok(())
    }

    /// The predicate of the alternatives gathered: one atom for all texts, one for each other test.
    fn close(&mut self, field: Option<FieldRef>, alternatives: Alternatives) -> Predicate {
        let Alternatives { mut texts, mut tests, is_negated } = alternatives;
        texts.sort_unstable();
        texts.dedup();
        match texts.len() {
            0 => {}
            1 => tests.insert(0, Test::Text(texts.remove(0))),
            _ => tests.insert(0, Test::OneOf(texts)),
        }
        let parts = tests.into_iter().map(|test| Predicate::Atom(self.atom(Atom { field, test }))).collect();
        if is_negated { not(any(parts)) } else { any(parts) }
    }

    fn atom(&mut self, atom: Atom) -> AtomId {
        // Within one rule atoms seldom repeat; `merge` finds those that do.
        self.atoms.push(atom);
        AtomId(u32::try_from(self.atoms.len() - 1).unwrap_or(u32::MAX))
    }

    fn field(&mut self, name: &str) -> FieldRef {
        let place = self.fields.iter().position(|known| known == name).unwrap_or_else(|| {
            self.fields.push(name.to_owned());
            self.fields.len() - 1
        });
        FieldRef(u32::try_from(place).unwrap_or(u32::MAX))
    }
}

/// What one item comes to, before it is an atom.
#[derive(Default)]
struct Alternatives {
    texts: Vec<Pattern>,
    tests: Vec<Test>,
    is_negated: bool,
}
