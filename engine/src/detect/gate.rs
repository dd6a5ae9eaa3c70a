//! The log-source gate: which rules look at an event at all, found once for each kind of event.
//!
//! In: the rules' [`Gate`]s and an event. Out: a [`Door`], the set of rules behind which the event may
//! pass, shared by all events with the same module, dataset, channel, code, program, registry event type
//! and categories. Only values that some gate names make a difference, so that a sender who invents names
//! cannot make more doors; still, at most [`DOORS_MAX`] are kept.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use hashbrown::HashMap;
use nhatle_event::{Event, Field, Value};
use nhatle_rules::RuleSet;
use nhatle_rules::predicate::{Gate, GateCase};

/// How many kinds of event one worker remembers.
pub const DOORS_MAX: usize = 4096;

static EVENT_TYPE: LazyLock<Option<Field>> = LazyLock::new(|| Field::intern("winlog.event_data.EventType"));
static EVENT_TYPE_FLAT: LazyLock<Option<Field>> = LazyLock::new(|| Field::intern("EventType"));

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
pub struct Bits(Box<[u64]>);

impl Bits {
    /// An empty set with room for numbers below `count`.
    pub fn new(count: usize) -> Bits {
        Bits(vec![0; count.div_ceil(64)].into())
    }

    /// Puts a number in; numbers past the room are left out.
    pub fn insert(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word |= 1 << (number % 64);
        }
    }

    /// Whether the number is in.
    pub fn contains(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// The single-valued facts of an event that gates look at, in the order of the key.
const FACTS: usize = 6;

/// The texts of an event that gates look at.
fn facts(event: &Event) -> [Option<Cow<'_, str>>; FACTS] {
    let text = |field: Field| event.get(field).and_then(first_text);
    let event_type = || EVENT_TYPE.and_then(text).or_else(|| EVENT_TYPE_FLAT.and_then(text));
    [
        text(Field::EVENT_MODULE),
        text(Field::EVENT_DATASET),
        text(Field::WINLOG_CHANNEL).map(|channel| Cow::Owned(channel.to_lowercase())),
        text(Field::EVENT_CODE),
        text(Field::PROCESS_NAME),
        event_type(),
    ]
}

/// The fields each list of a case is about: those of [`lists`] in their order, then the categories.
pub fn gate_facts() -> [Vec<Field>; FACTS + 1] {
    let event_types = [*EVENT_TYPE, *EVENT_TYPE_FLAT].into_iter().flatten().collect();
    [
        vec![Field::EVENT_MODULE],
        vec![Field::EVENT_DATASET],
        vec![Field::WINLOG_CHANNEL],
        vec![Field::EVENT_CODE],
        vec![Field::PROCESS_NAME],
        event_types,
        vec![Field::EVENT_CATEGORY],
    ]
}

/// The fields gates look at.
pub fn gate_fields() -> impl Iterator<Item = Field> {
    gate_facts().into_iter().flatten()
}

fn first_text(value: &Value) -> Option<Cow<'_, str>> {
    value.each().find_map(Value::as_text)
}

/// The lists of a case, in the order of [`facts`].
fn lists(case: &GateCase) -> [&[String]; FACTS] {
    [&case.modules, &case.datasets, &case.channels, &case.codes, &case.programs, &case.event_types]
}

/// Whether an event passes a gate, decided straight from the texts: the slow twin of [`Gates`].
pub fn gate_passes(gate: &Gate, event: &Event) -> bool {
    let Gate::Cases(cases) = gate else { return *gate == Gate::Any };
    let facts = facts(event);
    cases.iter().any(|case| {
        let single = lists(case).into_iter().zip(&facts).enumerate().all(|(place, (list, fact))| {
            list.is_empty()
                || fact.as_ref().is_some_and(|fact| {
                    list.iter().any(|one| if place == 2 { one.to_lowercase() == **fact } else { one == fact })
                })
        });
        let category = case.categories.is_empty()
            || event.get(Field::EVENT_CATEGORY).is_some_and(|value| {
                value.each().filter_map(Value::as_text).any(|text| case.categories.iter().any(|one| *one == text))
            });
        single && category
    })
}

/// What is behind the gates for one kind of event.
#[derive(Debug)]
pub struct Door {
    /// The rules that look at it, in order of id.
    pub rules: Box<[u32]>,
    /// The same as a set.
    pub allowed: Bits,
    /// The columns those rules read.
    pub columns: Bits,
    /// Whether one of them searches all values.
    pub has_keywords: bool,
}

/// What one rule reads, for [`Gates::new`].
#[derive(Debug, Default)]
pub struct Reads {
    /// Columns, without repeats.
    pub columns: Vec<u32>,
    /// Whether it searches all values.
    pub has_keywords: bool,
}

/// One case of a gate, as numbers; an empty list lets everything pass.
struct Case {
    lists: [Box<[u32]>; FACTS],
    categories: Box<[u32]>,
}

/// The gates of all rules, as numbers.
pub struct Gates {
    /// For each fact the number of each text that a gate names, from 1; 0 is every other text.
    numbers: [HashMap<String, u32>; FACTS],
    categories: HashMap<String, u32>,
    cases: Vec<Option<Vec<Case>>>,
    reads: Vec<Reads>,
    column_count: usize,
}

impl Gates {
    /// Numbers what the gates of a rule set name. `reads` is what each rule reads, in order of id.
    pub fn new(rules: &RuleSet, reads: Vec<Reads>, column_count: usize) -> Gates {
        let mut gates = Gates {
            numbers: Default::default(),
            categories: HashMap::new(),
            cases: Vec::with_capacity(rules.rules.len()),
            reads,
            column_count,
        };
        for rule in &rules.rules {
            let cases = match &rule.gate {
                Gate::Any => None,
                Gate::Never => Some(Vec::new()),
                Gate::Cases(cases) => Some(cases.iter().map(|case| gates.number_case(case)).collect()),
            };
            gates.cases.push(cases);
        }
        gates
    }

    fn number_case(&mut self, case: &GateCase) -> Case {
        let mut place = 0;
        let lists = lists(case).map(|list| {
            let numbers = &mut self.numbers[place];
            let is_channel = place == 2;
            place += 1;
            list.iter()
                .map(|text| number_of(numbers, if is_channel { text.to_lowercase() } else { text.clone() }))
                .collect()
        });
        let categories = case.categories.iter().map(|text| number_of(&mut self.categories, text.clone())).collect();
        Case { lists, categories }
    }

    /// Writes the key of an event's kind: the number of each fact, then the categories in order.
    pub fn key(&self, event: &Event, key: &mut Vec<u32>) {
        key.clear();
        for (fact, numbers) in facts(event).iter().zip(&self.numbers) {
            key.push(fact.as_ref().and_then(|fact| numbers.get(&**fact).copied()).unwrap_or(0));
        }
        if let Some(value) = event.get(Field::EVENT_CATEGORY) {
            let texts = value.each().filter_map(Value::as_text);
            key.extend(texts.filter_map(|text| self.categories.get(&*text).copied()));
            key[FACTS..].sort_unstable();
        }
    }

    /// The door of a kind of event.
    pub fn door(&self, key: &[u32]) -> Arc<Door> {
        let mut door = Door {
            rules: Box::default(),
            allowed: Bits::new(self.cases.len()),
            columns: Bits::new(self.column_count),
            has_keywords: false,
        };
        let mut rules = Vec::new();
        for ((rule, cases), reads) in (0u32..).zip(&self.cases).zip(&self.reads) {
            if !cases.as_ref().is_none_or(|cases| cases.iter().any(|case| case.passes(key))) {
                continue;
            }
            rules.push(rule);
            door.allowed.insert(rule);
            door.has_keywords |= reads.has_keywords;
            reads.columns.iter().for_each(|column| door.columns.insert(*column));
        }
        door.rules = rules.into();
        Arc::new(door)
    }
}

impl Case {
    fn passes(&self, key: &[u32]) -> bool {
        let single = self.lists.iter().zip(key).all(|(list, number)| list.is_empty() || list.contains(number));
        let categories = key.get(FACTS..).unwrap_or_default();
        single && (self.categories.is_empty() || self.categories.iter().any(|one| categories.contains(one)))
    }
}

fn number_of(numbers: &mut HashMap<String, u32>, text: String) -> u32 {
    let next = u32::try_from(numbers.len() + 1).unwrap_or(u32::MAX);
    *numbers.entry(text).or_insert(next)
}
