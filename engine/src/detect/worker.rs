//! A worker: the memory one thread needs to run events through the network, and the run itself.
//!
//! In: an event. Out: the rules that match, in order of id. Nothing is kept from one event to the next but
//! the value cache, the shapes and the counts, none of which changes what matches.
//!
//! An event costs: finding its shape, one look at the cache for each value somebody asks for, and the
//! evaluation of the rules these wake. Which atoms hold is not written anywhere: each value leaves its list
//! of marks, and a rule that wakes looks its atoms up in them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use nhatle_event::{Event, Value};
use nhatle_rules::predicate::{FieldRef, Test};

use super::cache::{Entry, ValueCache};
use super::gate::Bits;
use super::index::{LookUp, is_plain};
use super::network::{NO_MARK, Network};
use super::program::Kind;
use super::searched::{has_null, searched_texts};
use super::shape::{Group, Route, Shapes, Step};
use super::witness::{Counts, Plan};
use crate::matching::holder_of;
use crate::moment::with_moment;

/// So many events of a worker are counted, each; then one of [`COUNTED_EVERY`].
const COUNTED_FIRST: u64 = 16_384;
/// See [`COUNTED_FIRST`].
const COUNTED_EVERY: u64 = 16;
/// Lists of marks up to this length are searched from front to back.
const SHORT_LIST: usize = 16;

/// See the module.
pub struct Worker {
    network: Arc<Network>,
    plan: Arc<Plan>,
    shapes: Shapes,
    cache: ValueCache,
    look_up: LookUp,
    text: String,
    seen: u64,
    /// What happened on this worker since counts were last taken.
    pub counts: Counts,
    state: State,
}

/// What is known of the event at hand.
struct State {
    /// The number of the event. An entry of `woken` equal to it means yes.
    now: u32,
    woken: Box<[u32]>,
    rules: Vec<u32>,
    /// The marks of all values, one step after another.
    held: Vec<u32>,
    /// Where in `held` those of a step end.
    ends: Vec<usize>,
    /// Marks of keywords.
    keywords: Vec<u32>,
    /// For each atom that had to be tried: twice the number of the event, one more if it holds.
    tried: Box<[u64]>,
}

impl Worker {
    /// A worker with empty memory.
    pub fn new(network: Arc<Network>, plan: Arc<Plan>) -> Worker {
        let state = State {
            now: 0,
            woken: vec![0; network.rules.rules.len()].into(),
            rules: Vec::new(),
            held: Vec::new(),
            ends: Vec::new(),
            keywords: Vec::new(),
            tried: vec![0; network.rules.atoms.len()].into(),
        };
        Worker {
            counts: Counts::new(network.mark_count(), network.columns.count()),
            plan,
            shapes: Shapes::default(),
            cache: ValueCache::default(),
            look_up: LookUp::default(),
            text: String::new(),
            seen: 0,
            state,
            network,
        }
    }

    /// Goes on with another plan. Which values wake which rules is worked out again where it is asked for.
    pub fn follow(&mut self, plan: &Arc<Plan>) {
        if !Arc::ptr_eq(&self.plan, plan) {
            self.plan = plan.clone();
            self.shapes.forget_routes();
        }
    }

    /// Calls `found` with the number of each rule that matches, in order.
    pub fn run(&mut self, event: &Event, found: impl FnMut(u32)) {
        let Some(number) = self.shapes.find(&self.network, &self.plan, event) else { return };
        if !self.shapes.route(number).is_some_and(|route| route.reads_moment) {
            return self.run_on(number, event, found);
        }
        let timed = with_moment(event);
        if let Some(number) = self.shapes.find(&self.network, &self.plan, &timed) {
            self.run_on(number, &timed, found);
        }
    }

    fn run_on(&mut self, route: u32, event: &Event, mut found: impl FnMut(u32)) {
        let Some((route, allowed, groups)) = self.shapes.route_mut(route) else { return };
        if route.steps.is_empty() && route.wakes.is_empty() {
            return;
        }
        self.state.begin();
        let is_counted = self.seen < COUNTED_FIRST || self.seen.is_multiple_of(COUNTED_EVERY);
        self.seen += 1;
        if is_counted {
            self.counts.count_event(&route.columns);
        }
        let mut reader = Reader {
            network: &self.network,
            plan: &self.plan,
            allowed,
            cache: &mut self.cache,
            look_up: &mut self.look_up,
            counts: is_counted.then_some(&mut self.counts),
            state: &mut self.state,
        };
        route.wakes.iter().for_each(|rule| reader.state.wake(*rule));
        for step in &mut route.steps {
            if let (Some((_, value)), Some(group)) =
                (event.fields().get(step.place as usize), groups.get(step.group as usize))
            {
                reader.read_value(step, group, value, &mut self.text);
            }
            reader.state.ends.push(reader.state.held.len());
        }
        if self.state.rules.is_empty() {
            return;
        }
        self.state.finish();
        let rules = std::mem::take(&mut self.state.rules);
        let mut judge = Judge { network: &self.network, route, event, state: &mut self.state };
        rules.iter().filter(|rule| judge.matches(**rule)).for_each(|rule| found(*rule));
        self.state.rules = rules;
    }
}

/// Reads the values of an event.
struct Reader<'a> {
    network: &'a Network,
    plan: &'a Plan,
    allowed: &'a Bits,
    cache: &'a mut ValueCache,
    look_up: &'a mut LookUp,
    counts: Option<&'a mut Counts>,
    state: &'a mut State,
}

impl Reader<'_> {
    fn read_value(&mut self, step: &mut Step, group: &Group, value: &Value, buffer: &mut String) {
        buffer.clear();
        let written = match value {
            Value::Text(text) => return self.read(step, group, text),
            Value::List(values) => {
                let start = self.state.held.len();
                for text in values.iter().filter_map(Value::as_text) {
                    self.read(step, group, &text);
                }
                return self.state.put_in_order(start);
            }
            Value::Long(_) | Value::Date(_) | Value::Ip(_) if group.passes_over_plain => return,
            // As `Value::as_text` writes them, without a string of their own.
            Value::Long(long) => write!(buffer, "{long}"),
            Value::Ip(address) => write!(buffer, "{address}"),
            other => match other.as_text() {
                Some(text) => return self.read(step, group, &text),
                None => return,
            },
        };
        if written.is_ok() {
            self.read(step, group, buffer);
        }
    }

    /// Takes note of what holds for one value, and wakes the rules that waited for it.
    fn read(&mut self, step: &mut Step, group: &Group, text: &str) {
        if let Some(entry) = self.cache.is_still(step.last.as_ref(), text) {
            return self.take(entry);
        }
        if group.passes_over_plain && is_plain(text) {
            return;
        }
        let number = step.group;
        if !self.cache.is_worth_it(number, text.len()) {
            return self.read_uncached(group, text);
        }
        let hash = self.cache.hash(number, text);
        let entry = match self.cache.find(hash, number, text, self.plan) {
            Some(entry) => entry,
            None => {
                self.look_up(group, text);
                let held = self.look_up.held.as_slice();
                let has_keyword = held.iter().any(|mark| self.network.is_keyword(*mark));
                self.cache.insert((hash, number), text, (held, has_keyword), self.plan)
            }
        };
        step.last = Some(self.cache.remember(entry));
        self.take(entry);
    }

    fn read_uncached(&mut self, group: &Group, text: &str) {
        self.look_up(group, text);
        let Reader { state, counts, look_up, .. } = self;
        state.take(&look_up.held, counts.as_deref_mut());
        state.take_keywords(&look_up.held, self.network);
        for rules in look_up.held.iter().filter_map(|mark| self.plan.by_mark.get(*mark as usize)) {
            rules.iter().for_each(|rule| state.wake_if(*rule, self.allowed));
        }
    }

    fn take(&mut self, entry: Entry) {
        if entry.is_idle() {
            return;
        }
        let marks = self.cache.marks(&entry);
        self.state.take(marks, self.counts.as_deref_mut());
        if entry.has_keyword {
            self.state.take_keywords(marks, self.network);
        }
        for rule in self.cache.wakes(&entry) {
            self.state.wake_if(*rule, self.allowed);
        }
    }

    fn look_up(&mut self, group: &Group, text: &str) {
        self.look_up.begin(text);
        for index in group.columns.iter().filter_map(|column| self.network.indexes.get(*column as usize)) {
            index.look_up(&self.network.rules.atoms, text, self.look_up);
        }
        self.look_up.finish();
    }
}

impl State {
    fn begin(&mut self) {
        if self.now == u32::MAX {
            self.now = 0;
            self.woken.fill(0);
            self.tried.fill(0);
        }
        self.now += 1;
        self.rules.clear();
        self.held.clear();
        self.ends.clear();
        self.keywords.clear();
    }

    fn take(&mut self, marks: &[u32], counts: Option<&mut Counts>) {
        self.held.extend_from_slice(marks);
        if let Some(counts) = counts {
            counts.count_marks(marks);
        }
    }

    fn take_keywords(&mut self, marks: &[u32], network: &Network) {
        self.keywords.extend(marks.iter().filter(|mark| network.is_keyword(**mark)));
    }

    fn put_in_order(&mut self, start: usize) {
        let part = self.held.get_mut(start..).unwrap_or_default();
        part.sort_unstable();
        let mut kept = start;
        for place in start..self.held.len() {
            if kept == start || self.held[kept - 1] != self.held[place] {
                self.held[kept] = self.held[place];
                kept += 1;
            }
        }
        self.held.truncate(kept);
    }

    fn finish(&mut self) {
        self.rules.sort_unstable();
        self.keywords.sort_unstable();
        self.keywords.dedup();
    }

    fn wake_if(&mut self, rule: u32, allowed: &Bits) {
        if allowed.contains(rule) {
            self.wake(rule);
        }
    }

    fn wake(&mut self, rule: u32) {
        if let Some(woken) = self.woken.get_mut(rule as usize)
            && *woken != self.now
        {
            *woken = self.now;
            self.rules.push(rule);
        }
    }

    fn marks_of_step(&self, step: usize) -> &[u32] {
        let start = step.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(step).and_then(|end| self.held.get(start..*end)).unwrap_or(&[])
    }
}

/// Decides about the rules that woke.
struct Judge<'a> {
    network: &'a Network,
    route: &'a Route,
    event: &'a Event,
    state: &'a mut State,
}

impl<'a> Judge<'a> {
    fn matches(&mut self, rule: u32) -> bool {
        self.network.programs.start_of(rule).is_some_and(|start| self.holds(start))
    }

    /// Whether the part of a program that begins here holds.
    fn holds(&mut self, start: u32) -> bool {
        let Some(node) = self.network.programs.node(start) else { return false };
        match node.kind {
            Kind::Constant(value) => value,
            Kind::Atom(atom) => self.atom_holds(atom),
            Kind::Not => !self.holds(start + 1),
            Kind::All => !self.has_part(start + 1, node.end, false),
            Kind::Any => self.has_part(start + 1, node.end, true),
        }
    }

    /// Whether one of the parts between two places holds, or does not.
    fn has_part(&mut self, mut place: u32, end: u32, wanted: bool) -> bool {
        while place < end {
            if self.holds(place) == wanted {
                return true;
            }
            place = self.network.programs.node(place).map_or(end, |node| node.end);
        }
        false
    }

    fn atom_holds(&mut self, number: u32) -> bool {
        let place = self.network.place_of(number);
        if place.mark != NO_MARK {
            let is_marked = self.is_marked(place.column, place.mark);
            if place.is_exact || !is_marked {
                return is_marked;
            }
        }
        let Some(tried) = self.state.tried.get(number as usize) else { return false };
        let now = u64::from(self.state.now) * 2;
        if *tried >= now {
            return *tried == now + 1;
        }
        let holds = self.try_atom(number);
        self.state.tried[number as usize] = now + u64::from(holds);
        holds
    }

    fn is_marked(&self, column: u32, mark: u32) -> bool {
        let marks = if column == self.network.keyword_column() {
            self.state.keywords.as_slice()
        } else {
            self.route.slot(column).step().map_or(&[][..], |step| self.state.marks_of_step(step))
        };
        if marks.len() <= SHORT_LIST { marks.contains(&mark) } else { marks.binary_search(&mark).is_ok() }
    }

    /// Decides an atom that no mark decides.
    fn try_atom(&self, number: u32) -> bool {
        let Some(atom) = self.network.rules.atoms.get(number as usize) else { return false };
        match (&atom.test, atom.field) {
            (Test::Exists, Some(field)) => self.value(field).is_some(),
            (Test::Null, Some(field)) => has_null(self.value(field)),
            (Test::FieldRef { other, position, case }, Some(field)) => {
                let (ones, others): (Vec<_>, Vec<_>) = (self.texts(field).collect(), self.texts(*other).collect());
                holder_of(&ones, &others, *position, *case).is_some()
            }
            (Test::Regex(_), field) => self.network.regex(number).is_some_and(|regex| match field {
                Some(field) => self.texts(field).any(|text| regex.is_match(&text)),
                None => searched_texts(self.event).any(|text| regex.is_match(&text)),
            }),
            _ => false,
        }
    }

    fn value(&self, field: FieldRef) -> Option<&'a Value> {
        let place = self.route.slot(self.network.columns.of(field)).place()?;
        self.event.fields().get(place).map(|(_, value)| value)
    }

    fn texts(&self, field: FieldRef) -> impl Iterator<Item = Cow<'a, str>> {
        self.value(field).into_iter().flat_map(Value::each).filter_map(Value::as_text)
    }
}
