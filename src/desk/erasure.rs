//! Erasing what is about a person, for the API: the same as `nhatle erase`, one at a time, on a thread of its own that works
//! at most half of the time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nhatle_ui::model::erasure::{ErasureLook, ErasurePlan, ErasureRow, ErasuresView, NewErasure};
use nhatle_ui::{Answer, DeskError, Refusal as UiRefusal, Viewer};
use tracing::{error, info};

use super::{LiveDesk, erasure_look, failed};
use crate::erasure::{self, Begun, Done, Interrupted, NOT_REACHED, Order, Plan, Refusal, Wanted};
use crate::pipeline::Shared;

/// How many are shown.
const SHOWN_MAX: usize = 100;
/// The longest rest between two batches.
const REST_MAX: Duration = Duration::from_secs(1);

/// The one that is on its way.
#[derive(Clone, Default)]
pub(super) struct Running(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_running: bool,
    trouble: Option<String>,
    /// Segments written anew, and how many there will be.
    progress: Option<(Arc<AtomicU64>, u64)>,
    look: Option<(String, ErasureLook)>,
}

impl Running {
    /// Changes what was counted on the page and for whom.
    pub(super) fn with_look<T>(&self, act: impl FnOnce(&mut Option<(String, ErasureLook)>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).look)
    }

    /// Takes the turn.
    ///
    /// # Errors
    /// Another one is on its way.
    pub(super) fn take_turn(&self) -> Answer<Turn> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_running {
            return Err(DeskError::Refused(UiRefusal::WrongState));
        }
        state.is_running = true;
        Ok(Turn(self.0.clone()))
    }
}

/// It is over when this goes, however that comes about.
pub(super) struct Turn(Arc<Mutex<State>>);

impl Turn {
    /// Shows how far it is.
    pub(super) fn follow(&self, begun: &Begun) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.trouble = None;
        state.progress = Some((begun.written.clone(), begun.plan.segments));
    }

    pub(super) fn say(&self, trouble: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).trouble = trouble;
    }

    pub(super) fn end(self, ended: anyhow::Result<()>) {
        if let Err(failure) = ended {
            error!(
                error = format!("{failure:#}"),
                "an erasure did not come to its end; it goes on when the server starts again"
            );
            self.say(Some(format!("{failure:#}")));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.is_running, state.progress) = (false, None);
    }
}

/// What was erased.
pub(super) fn view(desk: &LiveDesk, viewer: &Viewer) -> Answer<ErasuresView> {
    sees_all(desk, viewer)?;
    let row = |(number, one): (&u64, &nhatle_engine::retention::erasure::Erasure)| ErasureRow {
        number: *number,
        begun: one.begun,
        done: one.done,
        by: one.by.clone(),
        basis: one.basis.clone(),
        events: one.events,
        segments: one.segments,
    };
    let erasures = desk.shared.registry.read(|state| state.erasures.iter().rev().take(SHOWN_MAX).map(row).collect());
    let look = erasure_look::of(desk, viewer);
    let state = desk.erasing.0.lock().unwrap_or_else(PoisonError::into_inner);
    let progress = state.progress.as_ref().map(|(written, all)| (written.load(Ordering::Relaxed), *all));
    Ok(ErasuresView { erasures, is_running: state.is_running, progress, trouble: state.trouble.clone(), look })
}

/// It speaks of everything that is stored, so only who sees all of it may ask.
pub(super) fn sees_all(desk: &LiveDesk, viewer: &Viewer) -> Answer<()> {
    if desk.limit(viewer).is_some() { Err(DeskError::NotFound) } else { Ok(()) }
}

/// Counts, or begins where the count was confirmed.
pub(super) fn erase(desk: &LiveDesk, viewer: &Viewer, new: &NewErasure) -> Answer<ErasurePlan> {
    sees_all(desk, viewer)?;
    let shared = &desk.shared;
    let wanted = wanted_of(new);
    let Some(expect) = new.expect else {
        let plan =
            erasure::preview(&shared.store.snapshot(), &shared.registry, &wanted, desk.now()).map_err(refused)?;
        return Ok(shown(plan, None));
    };
    let turn = desk.erasing.take_turn()?;
    let (actor, by) = (viewer.user.clone(), viewer.user.clone());
    let order = Order { actor, by, basis: new.basis.clone().unwrap_or_default(), expect };
    let begun = erasure::begin((&shared.store, &shared.registry), &wanted, order, desk.now()).map_err(refused)?;
    let answer = shown(begun.plan.clone(), Some((begun.number, begun.receipt.clone())));
    turn.follow(&begun);
    let shared = shared.clone();
    let work = move || turn.end(run(&shared, begun));
    std::thread::Builder::new().name("erase".to_owned()).spawn(work).map_err(failed)?;
    Ok(answer)
}

/// What is wanted, as the program takes it.
pub(super) fn wanted_of(new: &NewErasure) -> Wanted {
    Wanted {
        subject: new.subject.clone(),
        query: new.query.clone(),
        fields: new.fields.clone(),
        also: new.also.clone(),
        from: new.from.clone(),
        to: new.to.clone(),
        leave_held: new.leave_held,
    }
}

/// Takes up again what was interrupted when the server ended, on a thread of its own.
pub(super) fn take_up(desk: &LiveDesk) -> anyhow::Result<()> {
    let shared = desk.shared.clone();
    let interrupted = erasure::interrupted(&shared.store, &shared.registry)?;
    if interrupted.is_empty() {
        return Ok(());
    }
    let turn = desk.erasing.take_turn().map_err(|_busy| anyhow::anyhow!("an erasure is on its way"))?;
    let work = move || {
        let each = |one: Interrupted| {
            info!(number = one.number, "an erasure that was interrupted goes on");
            let begun = erasure::resume((&shared.store, &shared.registry), one, shared.clock.now())?;
            turn.follow(&begun);
            run(&shared, begun)
        };
        // One that a hold stops does not stop the others.
        let ends: Vec<_> = interrupted.into_iter().map(each).collect();
        turn.end(ends.into_iter().collect());
    };
    std::thread::Builder::new().name("erase".to_owned()).spawn(work)?;
    Ok(())
}

pub(super) fn run(shared: &Shared, begun: Begun) -> anyhow::Result<()> {
    run_paced(shared, begun, &|| true).map(drop)
}

/// Erases at half speed, until it is done or `goes_on` says no.
pub(super) fn run_paced(shared: &Shared, begun: Begun, goes_on: &dyn Fn() -> bool) -> anyhow::Result<Done> {
    let mut since = Instant::now();
    let mut pace = || {
        std::thread::sleep(since.elapsed().min(REST_MAX));
        since = Instant::now();
        goes_on()
    };
    let done = begun.erase((&shared.store, &shared.registry), &|| shared.clock.now(), &mut pace);
    // Alerts that are erased are not shown any more, however it ended.
    shared.forget_alerts()?;
    shared.tick();
    let done = done?;
    if !done.is_given_up {
        info!(number = done.number, events = done.events, segments = done.segments, "erased on request");
    }
    Ok(done)
}

pub(super) fn shown(plan: Plan, begun: Option<(u64, String)>) -> ErasurePlan {
    let (number, receipt) = begun.unzip();
    ErasurePlan {
        number,
        receipt,
        events: plan.events,
        named: plan.named,
        datasets: plan.datasets,
        days: plan.days,
        segments: plan.segments,
        segment_events: plan.segment_events,
        unsealed: plan.unsealed,
        fields: plan.fields,
        held: plan.held,
        not_reached: NOT_REACHED.iter().map(|(key, _)| (*key).to_owned()).collect(),
    }
}

/// What is refused says why.
fn refused(error: anyhow::Error) -> DeskError {
    match error.downcast::<Refusal>() {
        Ok(refusal) => DeskError::Problems(vec![refusal.to_string()]),
        Err(other) => DeskError::Failed(other.into()),
    }
}
