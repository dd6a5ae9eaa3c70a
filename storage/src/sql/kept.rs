//! Groups that were made before of a part of a segment, for the next time somebody asks the same: the page, the video wall and
//! Grafana ask every half minute what they asked before, and a segment never changes. In: a [`Question`], and the tables of
//! groups of a part. Out: the same tables. Promise: questions are compared as expressions, so none is taken for another; what
//! depends on who asks (the limit to units) or on more than the part's rows is never kept. Memory: [`BYTES_MAX`], and
//! [`QUESTIONS_MAX`] questions; what was not used for the longest time goes first. Only what is asked again is kept, as making
//! groups part by part costs whoever asks once. Source: ADR 28.

use std::sync::{Arc, LazyLock, Mutex};

use arrow_array::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Volatility;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use foldhash::{HashMap, HashMapExt};

use super::tally::Measure;

/// About so many bytes of groups are kept.
const BYTES_MAX: usize = 64 << 20;
/// And so many of one part.
const PART_BYTES_MAX: usize = 1 << 20;
/// What a place takes beside its tables, roughly.
const PLACE_BYTES: usize = 128;
/// How many questions are known.
const QUESTIONS_MAX: usize = 256;
/// Groups of a part are kept where there is one for so many of its rows at most: joining them costs more than counting a row.
const ROWS_PER_GROUP_MIN: usize = 8;

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(|| Mutex::new(Kept::of(BYTES_MAX)));

#[cfg(test)]
static GIVEN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// How many parts were not read again, of all queries of this process.
#[cfg(test)]
pub fn given() -> u64 {
    GIVEN.load(std::sync::atomic::Ordering::Relaxed)
}

/// A question is known that has this word in it.
#[cfg(test)]
pub fn is_known(word: &str) -> bool {
    with(|kept| kept.questions.iter().any(|(question, _)| format!("{question:?}").contains(word)))
}

/// An expression over these columns of the table, in its own order; without one, the column itself.
pub type Over = (Option<Arc<dyn PhysicalExpr>>, Vec<usize>);

/// What groups are made of: equal questions have equal groups of the same rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What holds for the rows, with the table's columns it is about; without what is only about time.
    pub conditions: Vec<Over>,
    /// What groups are made by, likewise.
    pub keys: Vec<Over>,
    /// What is reckoned, and of which columns.
    pub measures: Vec<Measure>,
    /// The columns that measures are about.
    pub measured: Vec<usize>,
}

impl Question {
    /// Its answer is the same whenever it is asked of the same rows.
    pub fn is_of_rows_alone(&self) -> bool {
        self.keys.iter().filter_map(|(expr, _)| expr.as_ref()).all(is_of_rows_alone)
    }
}

fn is_of_rows_alone(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let mut is_so = true;
    let walked = expr.apply(|expr| {
        let is_plain = expr.is::<Column>() || expr.is::<Literal>() || expr.is::<BinaryExpr>() || expr.is::<CastExpr>();
        let function = expr.downcast_ref::<ScalarFunctionExpr>();
        is_so &= is_plain || function.is_some_and(|of| of.fun().signature().volatility == Volatility::Immutable);
        Ok(if is_so { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    is_so && walked.is_ok()
}

/// A part of a segment, and what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The segment's number in this process.
    pub segment: u64,
    /// The part.
    pub group: usize,
    /// The number of the question.
    pub question: u64,
}

/// What is known of a place.
#[derive(Clone, Debug)]
pub enum Known {
    /// Its groups.
    Groups(Arc<Vec<RecordBatch>>),
    /// They are too many to be kept.
    TooMany,
}

/// The number of a question that was asked before; `None` the first time.
pub fn asked_before(question: Question) -> Option<u64> {
    with(|kept| kept.asked_before(question))
}

/// What is known of a place.
pub fn known(place: &Place) -> Option<Known> {
    let known = with(|kept| kept.get(place));
    #[cfg(test)]
    if matches!(known, Some(Known::Groups(_))) {
        GIVEN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    known
}

/// Whether so many groups of a part of so many rows are worth keeping.
pub fn is_worth_keeping(groups: usize, rows: usize, bytes: usize) -> bool {
    groups.saturating_mul(ROWS_PER_GROUP_MIN) <= rows && bytes <= PART_BYTES_MAX
}

/// Keeps what is known of a place.
pub fn keep(place: Place, known: Known) {
    with(|kept| kept.put(place, known));
}

fn with<R>(act: impl FnOnce(&mut Kept) -> R) -> R {
    act(&mut KEPT.lock().expect("no code panics while it holds this lock"))
}

/// Two halves: what is found in the older one moves to the newer; when the newer is full, the older is forgotten.
struct Kept {
    half_max: usize,
    newer: HashMap<Place, Known>,
    newer_bytes: usize,
    older: HashMap<Place, Known>,
    /// With their numbers, the last asked at the end.
    questions: Vec<(Question, u64)>,
    next_question: u64,
}

impl Kept {
    fn of(bytes_max: usize) -> Kept {
        Kept {
            half_max: bytes_max / 2,
            newer: HashMap::new(),
            newer_bytes: 0,
            older: HashMap::new(),
            questions: Vec::new(),
            next_question: 0,
        }
    }

    fn asked_before(&mut self, question: Question) -> Option<u64> {
        if let Some(at) = self.questions.iter().position(|(known, _)| *known == question) {
            let known = self.questions.remove(at);
            let number = known.1;
            self.questions.push(known);
            return Some(number);
        }
        if self.questions.len() == QUESTIONS_MAX {
            self.questions.remove(0);
        }
        self.questions.push((question, self.next_question));
        self.next_question += 1;
        None
    }

    fn get(&mut self, place: &Place) -> Option<Known> {
        if let Some(known) = self.newer.get(place) {
            return Some(known.clone());
        }
        let known = self.older.remove(place)?;
        self.put(*place, known.clone());
        Some(known)
    }

    fn put(&mut self, place: Place, known: Known) {
        let bytes = PLACE_BYTES
            + match &known {
                Known::Groups(tables) => tables.iter().map(RecordBatch::get_array_memory_size).sum(),
                Known::TooMany => 0,
            };
        if self.half_max < self.newer_bytes + bytes {
            self.older = std::mem::take(&mut self.newer);
            self.newer_bytes = 0;
        }
        self.newer_bytes += bytes;
        // Two threads may make the same groups at once; the bytes are then counted twice, which only forgets sooner.
        self.newer.insert(place, known);
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;

    fn question(column: usize) -> Question {
        let (conditions, measures, measured) = (Vec::new(), vec![Measure::Rows], Vec::new());
        Question { conditions, keys: vec![(None, vec![column])], measures, measured }
    }

    #[test]
    fn only_what_is_asked_again_has_a_number_and_questions_are_bounded() {
        let mut kept = Kept::of(1 << 20);
        assert_eq!((kept.asked_before(question(1)), kept.asked_before(question(2))), (None, None));
        assert_eq!((kept.asked_before(question(1)), kept.asked_before(question(2))), (Some(0), Some(1)));
        (0..QUESTIONS_MAX - 1).for_each(|column| assert_eq!(kept.asked_before(question(10 + column)), None));
        assert_eq!(kept.questions.len(), QUESTIONS_MAX);
        assert_eq!(kept.asked_before(question(2)), Some(1), "asked last of the first two");
        assert_eq!(kept.asked_before(question(1)), None, "forgotten, and never under its old number again");
        assert!(kept.asked_before(question(1)).is_some_and(|number| number != 0));
    }

    #[test]
    fn groups_are_bounded_and_what_is_used_stays() {
        let table = || {
            let column: ArrayRef = Arc::new(Int64Array::from(vec![1; 100]));
            RecordBatch::try_from_iter([("n", column)]).expect("a table")
        };
        let each = table().get_array_memory_size() + PLACE_BYTES;
        let mut kept = Kept::of(each * 20);
        let place = |group| Place { segment: 1, group, question: 0 };
        for group in 0..1_000 {
            kept.put(place(group), Known::Groups(Arc::new(vec![table()])));
            assert!(kept.get(&place(0)).is_some(), "{group}: used all the time");
            assert!(kept.newer.len() + kept.older.len() <= 20);
        }
        assert!(kept.get(&place(999)).is_some() && kept.get(&place(500)).is_none());
    }
}
