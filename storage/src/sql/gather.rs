//! `gather`: makes groups in several walks at once and joins them. In: the walks. Out: each group once. Few groups are joined in
//! one table; many are cut by their keys in parts ([`super::piles`]), and each part is joined alone, several at once. Memory: the
//! query's pool is asked for each part; where it says no, that is an error. Whoever drops the answer ends the walks.

use std::future::Future;
use std::sync::Arc;

use arrow_array::RecordBatch;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::deadline::Deadline;
use super::piles::{PARTS, Pile};
use super::tally::Tally;
use super::walk::{BATCH_ROWS, Walk, Walked};

/// Up to so many groups of all walks are joined in one table: it is as small as a cache, and done sooner than cut.
const TOGETHER_MAX: usize = 1 << 15;

/// What is needed beside the walks.
pub struct Gather {
    /// Of whom memory is asked.
    pub pool: Arc<dyn MemoryPool>,
    /// Until when.
    pub deadline: Deadline,
    /// Where groups go.
    pub sender: Sender<Result<RecordBatch>>,
}

impl Gather {
    /// Makes the groups. Ends early where nobody takes them.
    ///
    /// # Errors
    /// A segment cannot be read, or is damaged; the time is over; memory or room on the disk is not enough.
    pub async fn run(self, walks: Vec<Walk>) -> Result<()> {
        let walked = all(walks.into_iter().map(Walk::all)).await?;
        let this = Arc::new(self);
        let threads = walked.len();
        let Some(empty) = walked.first().map(|one| one.tally.another()) else { return Ok(()) };
        let count: usize = walked.iter().map(|one| one.tally.len()).sum();
        if count <= TOGETHER_MAX && walked.iter().all(|one| !one.piles.is_on_disk()) {
            return this.give(&together(walked, empty)?).await;
        }
        let cut = walked.into_iter().map(|Walked { tally, mut piles, reservation }| async move {
            piles.keep(tally)?;
            Ok((piles.into_parts()?, reservation))
        });
        // What is in memory is there until all is joined.
        let mut reservations = Vec::new();
        let mut parts: Vec<Vec<Pile>> = (0..PARTS).map(|_| Vec::new()).collect();
        for (of_one, reservation) in all(cut).await? {
            parts.iter_mut().zip(of_one).for_each(|(part, of_one)| part.extend(of_one));
            reservations.push(reservation);
        }
        let mut dealt: Vec<Vec<Vec<Pile>>> = (0..threads).map(|_| Vec::new()).collect();
        parts.into_iter().enumerate().for_each(|(at, part)| dealt[at % threads].push(part));
        let joins = dealt.into_iter().map(|parts| {
            let reservation = MemoryConsumer::new("GroupExec").register(&this.pool);
            Arc::clone(&this).join(parts, empty.another(), reservation)
        });
        all(joins).await?;
        Ok(())
    }

    /// Joins parts one after the other.
    async fn join(self: Arc<Self>, parts: Vec<Vec<Pile>>, empty: Tally, reservation: MemoryReservation) -> Result<()> {
        for part in parts {
            let mut tally = empty.another();
            for pile in part {
                self.deadline.check()?;
                pile.add_to(&mut tally)?;
                reservation.try_resize(tally.bytes())?;
                tokio::task::yield_now().await;
            }
            self.give(&tally).await?;
            reservation.free();
        }
        Ok(())
    }

    async fn give(&self, tally: &Tally) -> Result<()> {
        for begin in (0..tally.len()).step_by(BATCH_ROWS) {
            self.deadline.check()?;
            let table = tally.some(begin..(begin + BATCH_ROWS).min(tally.len()))?;
            if self.sender.send(Ok(table)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// All groups in one table.
fn together(walked: Vec<Walked>, empty: Tally) -> Result<Tally> {
    let mut tallies = walked.into_iter().map(|one| one.tally);
    let mut joined = tallies.next().unwrap_or(empty);
    for tally in tallies {
        for begin in (0..tally.len()).step_by(BATCH_ROWS) {
            joined.join(&tally.some(begin..(begin + BATCH_ROWS).min(tally.len()))?)?;
        }
    }
    Ok(joined)
}

/// Runs all of them at once; the first error ends all.
async fn all<T: Send + 'static>(
    tasks: impl Iterator<Item = impl Future<Output = Result<T>> + Send + 'static>,
) -> Result<Vec<T>> {
    let mut running: JoinSet<Result<T>> = JoinSet::new();
    for task in tasks {
        running.spawn(task);
    }
    let mut done = Vec::new();
    while let Some(one) = running.join_next().await {
        done.push(one.map_err(|error| exec_datafusion_err!("a task of a query: {error}"))??);
    }
    Ok(done)
}
