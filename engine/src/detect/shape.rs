//! Shapes: events with the same fields in the same order are read the same way. Which column a field fills,
//! which fields nobody asks for, where the facts of the gate stand: worked out once for each shape and door
//! and kept as a [`Route`].
//!
//! In: an event. Out: its route. A sender who makes up field names makes up shapes: at most [`SHAPES_MAX`]
//! shapes and [`ROUTES_MAX`] routes are kept, and all are forgotten when there are more.

use hashbrown::{HashMap, HashTable};
use nhatle_event::{Event, Field, Value};

use super::cache::Remembered;
use super::gate::{Bits, Door, FactMemory, FactPlaces};
use super::network::Network;
use super::searched::is_searched;
use super::witness::Plan;

/// How many shapes one worker remembers.
const SHAPES_MAX: usize = 2048;
/// How many pairs of shape and kind of event one worker remembers.
const ROUTES_MAX: usize = 2048;
/// How many kinds of event one worker remembers.
const DOORS_MAX: usize = 4096;

/// One field whose values are looked up.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What was found for the last value: most are what they were in the event before.
    pub last: Option<Remembered>,
    /// The field's place in the event.
    pub place: u32,
    /// The columns its values are looked up in.
    pub group: u32,
}

/// What fills a column: counted from 1, 0 is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    /// The place of the field in the event.
    place: u32,
    /// The step that looks its values up.
    step: u32,
}

impl Slot {
    /// The field's place in the event.
    pub fn place(self) -> Option<usize> {
        (self.place as usize).checked_sub(1)
    }

    /// The step that looks its values up.
    pub fn step(self) -> Option<usize> {
        (self.step as usize).checked_sub(1)
    }
}

/// How events of one shape and one kind are read.
#[derive(Debug)]
pub struct Route {
    door: u32,
    /// What is looked up.
    pub steps: Box<[Step]>,
    /// The columns that are filled.
    pub columns: Box<[u32]>,
    /// For each column what fills it.
    slots: Box<[Slot]>,
    /// The rules to wake whatever the values are, in order.
    pub wakes: Box<[u32]>,
    /// A rule reads the moment of the event.
    pub reads_moment: bool,
}

impl Route {
    /// What fills a column.
    pub fn slot(&self, column: u32) -> Slot {
        self.slots.get(column as usize).copied().unwrap_or_default()
    }
}

/// Columns that are looked up together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// The columns that look for something, the keywords' last.
    pub columns: Box<[u32]>,
    /// Values that are plain (see [`super::index::is_plain`]) hold nothing.
    pub passes_over_plain: bool,
}

struct Shape {
    hash: u64,
    fields: Box<[Field]>,
    facts: FactPlaces,
    memory: FactMemory,
    /// By the key of the door.
    routes: Vec<(Box<[u32]>, u32)>,
}

/// See the module.
#[derive(Default)]
pub struct Shapes {
    numbers: HashTable<u32>,
    shapes: Vec<Shape>,
    routes: Vec<Route>,
    doors: Vec<Door>,
    door_numbers: HashMap<Box<[u32]>, u32>,
    groups: Vec<Group>,
    group_numbers: HashMap<Group, u32>,
    key: Vec<u32>,
    best: Vec<Best>,
}

/// The best field met so far for a column.
#[derive(Clone, Copy)]
struct Best {
    column: u32,
    rank: u32,
    place: u32,
}

impl Shapes {
    /// Forgets what depends on the plan.
    pub fn forget_routes(&mut self) {
        self.routes.clear();
        self.shapes.iter_mut().for_each(|shape| shape.routes.clear());
    }

    /// The route of this number.
    pub fn route(&self, number: u32) -> Option<&Route> {
        self.routes.get(number as usize)
    }

    /// The route of this number, the rules behind its door, and the groups its steps name.
    pub fn route_mut(&mut self, number: u32) -> Option<(&mut Route, &Bits, &[Group])> {
        let route = self.routes.get_mut(number as usize)?;
        let door = self.doors.get(route.door as usize)?;
        Some((route, &door.allowed, &self.groups))
    }

    /// The number of the event's route. `None` for an event that rules do not look at.
    pub fn find(&mut self, network: &Network, plan: &Plan, event: &Event) -> Option<u32> {
        let number = self.shape_of(event);
        let shape = self.shapes.get_mut(number)?;
        let dataset = shape.facts.dataset().and_then(|place| event.fields().get(place));
        if dataset.and_then(|(_, value)| value.text()) == Some(nhatle_event::event::ALERTS) {
            return None;
        }
        network.gates.key(event, &shape.facts, &mut shape.memory, &mut self.key);
        if let Some(at) = shape.routes.iter().position(|(key, _)| **key == *self.key) {
            // The usual ones stay in front.
            if 0 < at {
                shape.routes.swap(at - 1, at);
            }
            return Some(shape.routes[at.saturating_sub(1)].1);
        }
        self.add_route(network, plan, event, number)
    }

    fn shape_of(&mut self, event: &Event) -> usize {
        let fields = event.fields();
        let hash = hash_of(fields);
        let shapes = &self.shapes;
        let is_it = |number: &u32| {
            shapes.get(*number as usize).is_some_and(|shape| {
                shape.hash == hash
                    && shape.fields.len() == fields.len()
                    && shape.fields.iter().zip(fields).all(|(one, (other, _))| one == other)
            })
        };
        if let Some(number) = self.numbers.find(hash, is_it) {
            return *number as usize;
        }
        if SHAPES_MAX <= self.shapes.len() {
            self.forget();
        }
        let place = self.shapes.len();
        self.shapes.push(Shape {
            hash,
            fields: fields.iter().map(|(field, _)| *field).collect(),
            facts: FactPlaces::of(event),
            memory: FactMemory::default(),
            routes: Vec::new(),
        });
        let shapes = &self.shapes;
        let hash_again = |number: &u32| shapes.get(*number as usize).map_or(0, |shape| shape.hash);
        self.numbers.insert_unique(hash, u32::try_from(place).unwrap_or(u32::MAX), hash_again);
        place
    }

    fn forget(&mut self) {
        self.numbers.clear();
        self.shapes.clear();
        self.routes.clear();
    }

    fn add_route(&mut self, network: &Network, plan: &Plan, event: &Event, shape: usize) -> Option<u32> {
        if ROUTES_MAX <= self.routes.len() {
            self.forget_routes();
        }
        let door = self.door_of(network);
        let route = self.route_of(network, plan, event, door)?;
        let number = u32::try_from(self.routes.len()).ok()?;
        self.routes.push(route);
        self.shapes.get_mut(shape)?.routes.push((self.key.as_slice().into(), number));
        Some(number)
    }

    /// The number of the door the key at hand opens.
    fn door_of(&mut self, network: &Network) -> u32 {
        if let Some(number) = self.door_numbers.get(self.key.as_slice()) {
            return *number;
        }
        if DOORS_MAX <= self.doors.len() {
            self.forget_routes();
            self.doors.clear();
            self.door_numbers.clear();
        }
        let number = u32::try_from(self.doors.len()).unwrap_or(u32::MAX);
        self.doors.push(network.gates.door(&self.key));
        self.door_numbers.insert(self.key.as_slice().into(), number);
        number
    }

    fn route_of(&mut self, network: &Network, plan: &Plan, event: &Event, door_number: u32) -> Option<Route> {
        let mut best = std::mem::take(&mut self.best);
        let door = self.doors.get(door_number as usize)?;
        find_best(network, door, event, &mut best);
        let mut slots = vec![Slot::default(); network.columns.count()];
        for one in &best {
            slots[one.column as usize].place = one.place + 1;
        }
        let has_keywords = door.has_keywords && !network.index_of_keywords().is_some_and(|index| index.is_empty());
        best.sort_unstable_by_key(|one| one.place);
        let mut steps: Vec<Step> = Vec::new();
        let mut rest = best.as_slice();
        for (place, (field, _)) in (0u32..).zip(event.fields()) {
            let (here, later) = rest.split_at(rest.iter().take_while(|one| one.place == place).count());
            rest = later;
            let looks_for = |column: &u32| network.indexes.get(*column as usize).is_some_and(|index| !index.is_empty());
            let mut columns: Vec<u32> = Vec::new();
            if here.iter().any(|one| looks_for(&one.column)) {
                columns.extend(network.columns.routes(*field).iter().map(|route| route.column).filter(looks_for));
            }
            if has_keywords && is_searched(*field) {
                columns.push(network.keyword_column());
            }
            if columns.is_empty() {
                continue;
            }
            let group = group_of(&mut self.groups, &mut self.group_numbers, network, columns);
            steps.push(Step { last: None, place, group });
            let step = u32::try_from(steps.len()).unwrap_or(0);
            here.iter().for_each(|one| slots[one.column as usize].step = step);
        }
        let columns: Box<[u32]> = best.iter().map(|one| one.column).collect();
        self.best = best;
        let door = self.doors.get(door_number as usize)?;
        let present = columns.iter().filter_map(|column| plan.by_column.get(*column as usize));
        let mut wakes: Vec<u32> = present.flat_map(|rules| rules.iter().copied()).collect();
        wakes.extend(plan.always.each());
        wakes.retain(|rule| door.allowed.contains(*rule));
        wakes.sort_unstable();
        wakes.dedup();
        let reads_moment = network.moments.iter().any(|column| door.columns.contains(*column));
        Some(Route {
            door: door_number,
            steps: steps.into(),
            columns,
            slots: slots.into(),
            wakes: wakes.into(),
            reads_moment,
        })
    }
}

/// Finds for each column that matters the best field the event has.
fn find_best(network: &Network, door: &Door, event: &Event, best: &mut Vec<Best>) {
    best.clear();
    if door.is_empty {
        return;
    }
    for (place, (field, _)) in (0u32..).zip(event.fields()) {
        for route in network.columns.routes(*field) {
            if door.columns.contains(route.column) {
                best.push(Best { column: route.column, rank: route.rank, place });
            }
        }
    }
    best.sort_by_key(|one| (one.column, one.rank));
    best.dedup_by_key(|one| one.column);
}

fn group_of(groups: &mut Vec<Group>, numbers: &mut HashMap<Group, u32>, network: &Network, columns: Vec<u32>) -> u32 {
    let mut indexes = columns.iter().filter_map(|column| network.indexes.get(*column as usize));
    let passes_over_plain = indexes.all(|index| index.passes_over_plain);
    let group = Group { columns: columns.into(), passes_over_plain };
    let next = u32::try_from(groups.len()).unwrap_or(u32::MAX);
    *numbers.entry(group).or_insert_with_key(|group| {
        groups.push(group.clone());
        next
    })
}

/// A hash of the fields in their order. Shapes are compared in full: whoever makes two of one hash gains
/// nothing but that both are compared.
fn hash_of(fields: &[(Field, Value)]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = fields.len() as u64;
    for (field, _) in fields {
        hash = (hash.rotate_left(5) ^ field.index() as u64).wrapping_mul(FACTOR);
    }
    hash ^ (hash >> 29)
}
