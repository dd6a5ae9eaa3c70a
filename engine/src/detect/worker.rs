//! A worker: the memory one thread needs to run events through the network, and the run itself.
//!
//! In: an event. Out: the rules that match, in order of id. Nothing is kept from one event to the next but
//! the value cache, the doors and the counts, none of which changes what matches.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;
use nhatle_event::{Event, Field, Value};
use nhatle_rules::predicate::{FieldRef, Predicate, Test};

use super::cache::ValueCache;
use super::gate::{DOORS_MAX, Door};
use super::index::LookUp;
use super::network::{Mark, Network};
use super::witness::{Counts, Plan};
use crate::matching::holder_of;
use crate::moment::{moment_field, with_moment};

/// Which of the event's fields fills a column.
#[derive(Clone, Copy, Default)]
struct Slot {
    event: u32,
    rank: u32,
    place: usize,
}

/// See the module.
pub struct Worker {
    network: Arc<Network>,
    plan: Arc<Plan>,
    cache: ValueCache,
    look_up: LookUp,
    doors: HashMap<Box<[u32]>, Arc<Door>>,
    key: Vec<u32>,
    /// What happened on this worker since counts were last taken.
    pub counts: Counts,
    slots: Vec<Slot>,
    touched: Vec<u32>,
    state: State,
}

/// What is known of the event at hand. A number equal to `now` means yes, for this event.
struct State {
    now: u32,
    marks: Vec<u32>,
    refused: Vec<u32>,
    woken: Vec<u32>,
    rules: Vec<u32>,
}

impl Worker {
    /// A worker with empty memory.
    pub fn new(network: Arc<Network>, plan: Arc<Plan>) -> Worker {
        let (marks, columns) = (network.mark_count(), network.columns.count());
        let state = State {
            now: 0,
            marks: vec![0; marks],
            refused: vec![0; network.rules.atoms.len()],
            woken: vec![0; network.rules.rules.len()],
            rules: Vec::new(),
        };
        Worker {
            plan,
            cache: ValueCache::new(columns + 1),
            look_up: LookUp::default(),
            doors: HashMap::new(),
            key: Vec::new(),
            counts: Counts::new(marks, columns),
            slots: vec![Slot::default(); columns],
            touched: Vec::new(),
            state,
            network,
        }
    }

    /// Goes on with another plan. Which values wake which rules is forgotten.
    pub fn follow(&mut self, plan: &Arc<Plan>) {
        if !Arc::ptr_eq(&self.plan, plan) {
            self.plan = plan.clone();
            self.cache.clear();
        }
    }

    /// Calls `found` with the number of each rule that matches, in order.
    pub fn run(&mut self, event: &Event, mut found: impl FnMut(u32)) {
        let door = self.door(event);
        if door.rules.is_empty() {
            return;
        }
        let timed;
        let event = if self.network.moments.iter().any(|column| door.columns.contains(*column)) {
            timed = with_moment(event);
            &timed
        } else {
            event
        };
        self.begin();
        self.fill_slots(event, &door);
        self.mark_columns(event, &door);
        if door.has_keywords {
            self.mark_keywords(event, &door);
        }
        self.wake_the_rest(&door);
        if self.state.rules.is_empty() {
            return;
        }
        self.state.rules.sort_unstable();
        let rules = std::mem::take(&mut self.state.rules);
        // One clone an event: the count is shared by all threads, so touching it for each atom is dear.
        let network = self.network.clone();
        for number in &rules {
            if let Some(rule) = network.rules.rules.get(*number as usize)
                && self.holds(&network, &rule.predicate, event)
            {
                found(*number);
            }
        }
        self.state.rules = rules;
    }

    fn door(&mut self, event: &Event) -> Arc<Door> {
        self.network.gates.key(event, &mut self.key);
        if let Some(door) = self.doors.get(self.key.as_slice()) {
            return door.clone();
        }
        if DOORS_MAX <= self.doors.len() {
            self.doors.clear();
        }
        let door = self.network.gates.door(&self.key);
        self.doors.insert(self.key.as_slice().into(), door.clone());
        door
    }

    fn begin(&mut self) {
        let state = &mut self.state;
        if state.now == u32::MAX {
            state.now = 0;
            state.marks.fill(0);
            state.refused.fill(0);
            state.woken.fill(0);
            self.slots.fill(Slot::default());
        }
        state.now += 1;
        state.rules.clear();
        self.touched.clear();
        self.counts.events = self.counts.events.saturating_add(1);
    }

    /// Finds for each column that matters the best field the event has.
    fn fill_slots(&mut self, event: &Event, door: &Door) {
        let now = self.state.now;
        for (place, (field, _)) in event.fields().iter().enumerate() {
            for route in self.network.columns.routes(*field) {
                if !door.columns.contains(route.column) {
                    continue;
                }
                let Some(slot) = self.slots.get_mut(route.column as usize) else { continue };
                if slot.event != now {
                    self.touched.push(route.column);
                } else if slot.rank <= route.rank {
                    continue;
                }
                *slot = Slot { event: now, rank: route.rank, place };
            }
        }
    }

    fn mark_columns(&mut self, event: &Event, door: &Door) {
        for touched in 0..self.touched.len() {
            let column = self.touched[touched];
            let slot = self.slots[column as usize];
            if let Some(count) = self.counts.columns.get_mut(column as usize) {
                *count = count.saturating_add(1);
            }
            for rule in self.plan.by_column.get(column as usize).into_iter().flatten() {
                self.state.wake(*rule, door);
            }
            let Some((_, value)) = event.fields().get(slot.place) else { continue };
            value.each().filter_map(Value::as_text).for_each(|text| self.mark_value(column, &text, door));
        }
    }

    fn mark_keywords(&mut self, event: &Event, door: &Door) {
        let column = self.network.keyword_column();
        for (field, value) in event.fields() {
            if is_searched(*field) {
                value.each().filter_map(Value::as_text).for_each(|text| self.mark_value(column, &text, door));
            }
        }
    }

    /// Marks what holds for one value, and wakes the rules that waited for it.
    fn mark_value(&mut self, column: u32, text: &str, door: &Door) {
        let Some(index) = self.network.indexes.get(column as usize) else { return };
        if index.is_empty() {
            return;
        }
        let (atoms, plan, look_up) = (&self.network.rules.atoms, &self.plan, &mut self.look_up);
        let (state, counts) = (&mut self.state, &mut self.counts);
        if self.cache.is_worth_it(column, text.len()) {
            let entry = self.cache.entry(column, text, || {
                index.look_up(atoms, text, look_up);
                let mut wakes: Vec<u32> = Vec::new();
                let waiting = look_up.held.iter().filter_map(|mark| plan.by_mark.get(*mark as usize));
                waiting.for_each(|rules| wakes.extend_from_slice(rules));
                wakes.sort_unstable();
                wakes.dedup();
                (look_up.held.as_slice().into(), wakes.into())
            });
            let Some(entry) = entry else { return };
            entry.marks.iter().for_each(|mark| state.mark(*mark, counts));
            entry.wakes.iter().for_each(|rule| state.wake(*rule, door));
            return;
        }
        index.look_up(atoms, text, look_up);
        for mark in &look_up.held {
            state.mark(*mark, counts);
            for rule in plan.by_mark.get(*mark as usize).into_iter().flatten() {
                state.wake(*rule, door);
            }
        }
    }

    /// Wakes the rules that wait for nothing.
    fn wake_the_rest(&mut self, door: &Door) {
        let plan = &self.plan;
        for rule in door.rules.iter().filter(|rule| plan.always.get(**rule as usize).is_some_and(|always| *always)) {
            self.state.wake(*rule, door);
        }
    }

    fn holds(&mut self, network: &Network, predicate: &Predicate, event: &Event) -> bool {
        match predicate {
            Predicate::Constant(value) => *value,
            Predicate::Atom(atom) => self.atom_holds(network, atom.0, event),
            Predicate::All(parts) => parts.iter().all(|part| self.holds(network, part, event)),
            Predicate::Any(parts) => parts.iter().any(|part| self.holds(network, part, event)),
            Predicate::Not(part) => !self.holds(network, part, event),
        }
    }

    fn atom_holds(&mut self, network: &Network, number: u32, event: &Event) -> bool {
        let place = number as usize;
        if self.state.marks.get(place) == Some(&self.state.now) {
            return true;
        }
        let Some(atom) = network.rules.atoms.get(place) else { return false };
        let is_decided = match network.mark_of(number) {
            Mark::Indexed(mark) if mark == number => true,
            Mark::Indexed(hint) => self.state.marks.get(hint as usize) != Some(&self.state.now),
            Mark::Unindexed => false,
        };
        if is_decided || self.state.refused[place] == self.state.now {
            return false;
        }
        let holds = match (&atom.test, atom.field) {
            (Test::Exists, Some(field)) => self.value(field, event).is_some(),
            (Test::Null, Some(field)) => has_null(self.value(field, event)),
            (Test::FieldRef { other, position, case }, Some(field)) => {
                holder_of(&self.texts(field, event), &self.texts(*other, event), *position, *case).is_some()
            }
            (Test::Regex(_), Some(field)) => network
                .regex(number)
                .is_some_and(|regex| self.texts(field, event).iter().any(|text| regex.is_match(text))),
            (Test::Regex(_), None) => {
                network.regex(number).is_some_and(|regex| searched_texts(event).any(|text| regex.is_match(&text)))
            }
            _ => false,
        };
        let memory = if holds { &mut self.state.marks } else { &mut self.state.refused };
        memory[place] = self.state.now;
        holds
    }

    fn value<'e>(&self, field: FieldRef, event: &'e Event) -> Option<&'e Value> {
        let slot = self.slots.get(self.network.columns.of(field) as usize)?;
        let (_, value) = event.fields().get(slot.place)?;
        (slot.event == self.state.now).then_some(value)
    }

    fn texts<'e>(&self, field: FieldRef, event: &'e Event) -> Vec<Cow<'e, str>> {
        self.value(field, event).into_iter().flat_map(Value::each).filter_map(Value::as_text).collect()
    }
}

impl State {
    fn mark(&mut self, mark: u32, counts: &mut Counts) {
        let place = mark as usize;
        if let (Some(held), Some(count)) = (self.marks.get_mut(place), counts.marks.get_mut(place))
            && *held != self.now
        {
            *held = self.now;
            *count = count.saturating_add(1);
        }
    }

    fn wake(&mut self, rule: u32, door: &Door) {
        let Some(woken) = self.woken.get_mut(rule as usize) else { return };
        if *woken != self.now && door.allowed.contains(rule) {
            *woken = self.now;
            self.rules.push(rule);
        }
    }
}

/// Whether a value counts as `null`: absent, null, a list with a null in it or with nothing.
pub fn has_null(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::List(values)) => values.is_empty() || values.contains(&Value::Null),
        Some(_) => false,
    }
}

/// The values that keywords are looked for in: what was sent, not what we say of it. Left out are our own
/// fields and the ECS words for kinds of events, which no sender of a plain log wrote.
pub fn searched_texts(event: &Event) -> impl Iterator<Item = Cow<'_, str>> {
    searched_fields(event).flat_map(|(_, value)| value.each()).filter_map(Value::as_text)
}

/// The fields that keywords are looked for in, see [`searched_texts`].
pub fn searched_fields(event: &Event) -> impl Iterator<Item = (Field, &Value)> {
    event.fields().iter().filter(|(field, _)| is_searched(*field)).map(|(field, value)| (*field, value))
}

fn is_searched(field: Field) -> bool {
    let is_ours = match field {
        Field::EVENT_KIND
        | Field::EVENT_CATEGORY
        | Field::EVENT_TYPE
        | Field::EVENT_ACTION
        | Field::EVENT_OUTCOME
        | Field::EVENT_MODULE
        | Field::EVENT_DATASET
        | Field::EVENT_SEVERITY
        | Field::EVENT_TIMEZONE
        | Field::EVENT_START
        | Field::EVENT_END
        | Field::HOST_OS_TYPE
        | Field::NETWORK_TYPE
        | Field::NETWORK_DIRECTION
        | Field::LOG_OFFSET
        | Field::LOG_FILE_PATH
        | Field::LOG_SOURCE_ADDRESS
        | Field::LOG_SYSLOG_PRIORITY
        | Field::LOG_SYSLOG_FACILITY_CODE
        | Field::LOG_SYSLOG_FACILITY_NAME
        | Field::LOG_SYSLOG_SEVERITY_CODE
        | Field::LOG_SYSLOG_SEVERITY_NAME
        | Field::OBSERVER_VENDOR
        | Field::OBSERVER_PRODUCT => true,
        known if known.known().is_some() => known.name().starts_with("nhatle."),
        other if Some(other) == moment_field() => true,
        _ => false,
    };
    !is_ours
}
