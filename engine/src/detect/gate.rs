//! The log-source gate: which rules look at an event at all, found once for each kind of event.
//!
//! In: the rules' [`Gate`]s and an event. Out: a [`Door`], the set of rules behind which the event may
//! pass, shared by all events with the same module, dataset, channel, code, program, registry event type
//! and categories. Only values that some gate names make a difference, so that a sender who invents names
//! cannot make more doors.

use std::borrow::Cow;
use std::sync::LazyLock;

use hashbrown::HashMap;
use nhatle_event::{Event, Field, Value};
use nhatle_rules::RuleSet;
use nhatle_rules::predicate::{Gate, GateCase};

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

    /// Puts in all that another set of the same room has.
    pub fn join(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    /// The numbers in the set, in order.
    pub fn each(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.0).flat_map(|(place, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
                (bit < 64).then_some(place * 64 + bit)
            })
        })
    }

    /// Whether the number is in.
    pub fn contains(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// The single-valued facts of an event that gates look at, in the order of the key.
const FACTS: usize = 6;
/// The place of `winlog.channel` among them, which is compared without case.
const CHANNEL: usize = 2;
/// The place of `process.name`.
const PROGRAM: usize = 4;

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

/// Where the fields that gates look at stand in an event, the same for all events with the same fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct FactPlaces {
    /// Those of [`facts`] in their order; where two names mean one fact, the better one first.
    single: [[Option<usize>; 2]; FACTS],
    categories: Option<usize>,
}

impl FactPlaces {
    /// Looks for them once.
    pub fn of(event: &Event) -> FactPlaces {
        let place = |field: Field| event.fields().iter().position(|(known, _)| *known == field);
        let event_types = [EVENT_TYPE.and_then(place), EVENT_TYPE_FLAT.and_then(place)];
        let one = |field| [place(field), None];
        FactPlaces {
            single: [
                one(Field::EVENT_MODULE),
                one(Field::EVENT_DATASET),
                one(Field::WINLOG_CHANNEL),
                one(Field::EVENT_CODE),
                one(Field::PROCESS_NAME),
                event_types,
            ],
            categories: place(Field::EVENT_CATEGORY),
        }
    }

    /// Where `event.dataset` is.
    pub fn dataset(&self) -> Option<usize> {
        self.single[1][0]
    }
}

/// The numbers of the last values of each fact: most values are those of the event before.
#[derive(Clone, Debug, Default)]
pub struct FactMemory {
    single: [Option<(Value, u32)>; FACTS],
    categories: Option<(Value, Box<[u32]>)>,
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
                    list.iter().any(|one| if place == CHANNEL { one.to_lowercase() == **fact } else { one == fact })
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
    /// Whether no rule looks at it.
    pub is_empty: bool,
    /// The rules that look at it.
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

/// The rules that have one gate.
struct Group {
    /// `None` lets everything pass.
    cases: Option<Vec<Case>>,
    rules: Bits,
    columns: Bits,
    has_keywords: bool,
}

/// The gates of all rules, as numbers. Thousands of rules have some hundred gates.
pub struct Gates {
    /// For each fact the number of each text that a gate names, from 1; 0 is every other text.
    numbers: [HashMap<String, u32>; FACTS],
    categories: HashMap<String, u32>,
    groups: Vec<Group>,
    rule_count: usize,
    column_count: usize,
}

impl Gates {
    /// Numbers what the gates of a rule set name. `reads` is what each rule reads, in order of id.
    pub fn new(rules: &RuleSet, reads: &[Reads], column_count: usize) -> Gates {
        let rule_count = rules.rules.len();
        let mut gates = Gates {
            numbers: Default::default(),
            categories: HashMap::new(),
            groups: Vec::new(),
            rule_count,
            column_count,
        };
        let mut places: HashMap<&Gate, usize> = HashMap::new();
        for ((number, rule), reads) in (0u32..).zip(&rules.rules).zip(reads) {
            let place = *places.entry(&rule.gate).or_insert_with(|| {
                let cases = match &rule.gate {
                    Gate::Any => None,
                    Gate::Never => Some(Vec::new()),
                    Gate::Cases(cases) => Some(cases.iter().map(|case| gates.number_case(case)).collect()),
                };
                let (rules, columns) = (Bits::new(rule_count), Bits::new(column_count));
                gates.groups.push(Group { cases, rules, columns, has_keywords: false });
                gates.groups.len() - 1
            });
            let group = &mut gates.groups[place];
            group.rules.insert(number);
            group.has_keywords |= reads.has_keywords;
            reads.columns.iter().for_each(|column| group.columns.insert(*column));
        }
        gates
    }

    fn number_case(&mut self, case: &GateCase) -> Case {
        let mut place = 0;
        let lists = lists(case).map(|list| {
            let numbers = &mut self.numbers[place];
            let is_channel = place == CHANNEL;
            place += 1;
            list.iter()
                .map(|text| number_of(numbers, if is_channel { text.to_lowercase() } else { text.clone() }))
                .collect()
        });
        let categories = case.categories.iter().map(|text| number_of(&mut self.categories, text.clone())).collect();
        Case { lists, categories }
    }

    /// Writes the key of an event's kind: the number of each fact, then the categories in order.
    pub fn key(&self, event: &Event, places: &FactPlaces, memory: &mut FactMemory, key: &mut Vec<u32>) {
        key.clear();
        for fact in 0..FACTS {
            key.push(self.number_of_fact(event, fact, &places.single[fact], &mut memory.single[fact]));
        }
        let Some((_, value)) = places.categories.and_then(|place| event.fields().get(place)) else { return };
        if let Some((known, numbers)) = &memory.categories
            && known == value
        {
            key.extend_from_slice(numbers);
            return;
        }
        let texts = value.each().filter_map(Value::as_text);
        key.extend(texts.filter_map(|text| self.categories.get(&*text).copied()));
        key[FACTS..].sort_unstable();
        memory.categories = Some((value.clone(), key[FACTS..].into()));
    }

    fn number_of_fact(
        &self,
        event: &Event,
        fact: usize,
        places: &[Option<usize>; 2],
        memory: &mut Option<(Value, u32)>,
    ) -> u32 {
        let numbers = &self.numbers[fact];
        if numbers.is_empty() {
            return 0;
        }
        let values = places.iter().flatten().filter_map(|place| event.fields().get(*place)).map(|(_, value)| value);
        for value in values {
            if let Some((known, number)) = memory
                && known == value
            {
                return *number;
            }
            if let Some(text) = first_text(value) {
                let text = if fact == CHANNEL { Cow::Owned(text.to_lowercase()) } else { text };
                let number = numbers.get(&*text).copied().unwrap_or(0);
                // Programs differ from event to event.
                if fact != PROGRAM {
                    *memory = Some((value.clone(), number));
                }
                return number;
            }
        }
        0
    }

    /// The door of a kind of event.
    pub fn door(&self, key: &[u32]) -> Door {
        let mut door = Door {
            is_empty: true,
            allowed: Bits::new(self.rule_count),
            columns: Bits::new(self.column_count),
            has_keywords: false,
        };
        for group in &self.groups {
            if group.cases.as_ref().is_none_or(|cases| cases.iter().any(|case| case.passes(key))) {
                door.is_empty = false;
                door.allowed.join(&group.rules);
                door.columns.join(&group.columns);
                door.has_keywords |= group.has_keywords;
            }
        }
        door
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
