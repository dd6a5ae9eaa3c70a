//! Groups that were made before of a part of a segment, for the next time somebody asks the same: the page, the video wall and
//! Grafana ask every half minute what they asked before, and a segment never changes. In: a [`Question`], and the tables of
//! groups of a part. Out: the same tables. Promise: questions are compared as expressions, so none is taken for another; what
//! depends on who asks (the limit to units) or on more than the part's rows is never kept. Memory: [`BYTES_MAX`], and
//! [`QUESTIONS_MAX`] questions; what was not used for the longest time goes first. Only what is asked again is kept, as making
//! groups part by part costs whoever asks once. Source: ADR 28.

use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Volatility;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::tally::Measure;
use crate::segment::Recent;

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

static GROUPS: Recent<Place, Known> = Recent::new(BYTES_MAX);
static QUESTIONS: Mutex<Questions> = Mutex::new(Questions { known: Vec::new(), next: 0 });

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
    questions(|questions| questions.known.iter().any(|(question, _)| format!("{question:?}").contains(word)))
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
#[derive(Debug)]
pub enum Known {
    /// Its groups.
    Groups(Vec<RecordBatch>),
    /// They are too many to be kept.
    TooMany,
}

/// The number of a question that was asked before; `None` the first time.
pub fn asked_before(question: Question) -> Option<u64> {
    questions(|questions| questions.asked_before(question))
}

/// What is known of a place.
pub fn known(place: Place) -> Option<Arc<Known>> {
    let known = GROUPS.get(place);
    #[cfg(test)]
    if matches!(known.as_deref(), Some(Known::Groups(_))) {
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
    let bytes = match &known {
        Known::Groups(tables) => tables.iter().map(RecordBatch::get_array_memory_size).sum(),
        Known::TooMany => 0,
    };
    GROUPS.put(place, Arc::new(known), PLACE_BYTES + bytes);
}

/// Forgets the groups of the segment of this number.
pub fn forget(segment: u64) {
    GROUPS.forget(|place| place.segment == segment);
}

fn questions<R>(act: impl FnOnce(&mut Questions) -> R) -> R {
    act(&mut QUESTIONS.lock().expect("no code panics while it holds this lock"))
}

/// Questions with their numbers, the last asked at the end.
struct Questions {
    known: Vec<(Question, u64)>,
    next: u64,
}

impl Questions {
    fn asked_before(&mut self, question: Question) -> Option<u64> {
        if let Some(at) = self.known.iter().position(|(known, _)| *known == question) {
            let known = self.known.remove(at);
            let number = known.1;
            self.known.push(known);
            return Some(number);
        }
        if self.known.len() == QUESTIONS_MAX {
            self.known.remove(0);
        }
        self.known.push((question, self.next));
        self.next += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(column: usize) -> Question {
        let (conditions, measures, measured) = (Vec::new(), vec![Measure::Rows], Vec::new());
        Question { conditions, keys: vec![(None, vec![column])], measures, measured }
    }

    #[test]
    fn groups_go_with_their_segment() {
        let place = |segment| Place { segment, group: 0, question: u64::MAX };
        let segments = [u64::MAX - 1, u64::MAX];
        segments.iter().for_each(|segment| keep(place(*segment), Known::TooMany));
        forget(u64::MAX);
        assert_eq!(segments.map(|segment| known(place(segment)).is_some()), [true, false]);
    }

    #[test]
    fn only_what_is_asked_again_has_a_number_and_questions_are_bounded() {
        let mut of = Questions { known: Vec::new(), next: 0 };
        assert_eq!((of.asked_before(question(1)), of.asked_before(question(2))), (None, None));
        assert_eq!((of.asked_before(question(1)), of.asked_before(question(2))), (Some(0), Some(1)));
        (0..QUESTIONS_MAX - 1).for_each(|column| assert_eq!(of.asked_before(question(10 + column)), None));
        assert_eq!(of.known.len(), QUESTIONS_MAX);
        assert_eq!(of.asked_before(question(2)), Some(1), "asked last of the first two");
        assert_eq!(of.asked_before(question(1)), None, "forgotten, and never under its old number again");
        assert!(of.asked_before(question(1)).is_some_and(|number| number != 0));
    }
}
