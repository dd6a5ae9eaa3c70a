//! What an erasure would touch, counted in the background for the page, and begun from there once the count is confirmed.
//!
//! In: what an administrator wants. Out: how far the count is, for that person only: it names whom it is about. One at a time
//! for the whole city; in memory only, let go half an hour after it was asked for, or when the person says so.

use nhatle_ui::model::erasure::{ErasureLook, LookState, NewErasure};
use nhatle_ui::{Answer, DeskError, Localized, Refusal as UiRefusal, Viewer};

use super::erasure::{Running, run, sees_all, shown, wanted_of};
use super::{LiveDesk, failed};
use crate::erasure::{self, Order, Refusal};

/// So long a count stands that nobody confirms, and a receipt that nobody put away.
const KEPT_NS: i64 = 30 * 60 * 1_000_000_000;

/// A count is over when this goes, however that comes about: nobody waits for a thread that is gone.
struct Count(Running);

impl Count {
    fn say(&self, state: LookState) {
        self.0.with_look(|look| {
            if let Some((_, look)) = look {
                if matches!(state, LookState::Begun { .. }) {
                    look.asked.subject = None;
                    look.asked.query = None;
                }
                look.state = state;
            }
        });
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        let is_busy = self.0.with_look(|look| look.as_ref().is_some_and(|(_, look)| look.state.is_busy()));
        if is_busy {
            self.say(LookState::Refused(Localized::new("việc đếm đã dừng giữa chừng", "the count broke off")));
        }
    }
}

/// What this viewer has counted.
pub(super) fn of(desk: &LiveDesk, viewer: &Viewer) -> Option<ErasureLook> {
    let now = desk.now();
    desk.erasing.with_look(|look| {
        if look.as_ref().is_some_and(|(_, look)| !look.state.is_busy() && KEPT_NS < now.since(look.begun)) {
            *look = None;
        }
        look.as_ref().filter(|(by, _)| *by == viewer.user).map(|(_, look)| look.clone())
    })
}

/// Begins to count.
pub(super) fn count(desk: &LiveDesk, viewer: &Viewer, new: &NewErasure) -> Answer<()> {
    sees_all(desk, viewer)?;
    let look = ErasureLook { asked: new.clone(), begun: desk.now(), state: LookState::Counting };
    desk.erasing.with_look(|known| match known {
        Some((_, known)) if known.state.is_busy() => Err(DeskError::Refused(UiRefusal::WrongState)),
        _ => {
            *known = Some((viewer.user.clone(), look));
            Ok(())
        }
    })?;
    let (shared, wanted, count) = (desk.shared.clone(), wanted_of(new), Count(desk.erasing.clone()));
    let work = move || {
        let plan = erasure::preview(&shared.store.snapshot(), &shared.registry, &wanted, shared.clock.now());
        count.say(plan.map_or_else(said, |plan| LookState::Counted(shown(plan, None))));
    };
    std::thread::Builder::new().name("erase".to_owned()).spawn(work).map_err(failed)?;
    Ok(())
}

/// Begins what was counted: counts once more, writes it down, erases.
pub(super) fn confirm(desk: &LiveDesk, viewer: &Viewer, basis: &str, typed: u64) -> Answer<()> {
    sees_all(desk, viewer)?;
    let turn = desk.erasing.take_turn()?;
    let (wanted, expect) = desk.erasing.with_look(|look| match look {
        Some((by, ErasureLook { asked, state, .. })) if *by == viewer.user => {
            let LookState::Counted(plan) = &state else { return Err(DeskError::Refused(UiRefusal::WrongState)) };
            let expect = plan.events;
            if expect != typed {
                return Err(DeskError::Refused(UiRefusal::OtherCount));
            }
            *state = LookState::Beginning;
            Ok((wanted_of(asked), expect))
        }
        _ => Err(DeskError::Refused(UiRefusal::WrongState)),
    })?;
    let order = Order { actor: viewer.user.clone(), by: viewer.user.clone(), basis: basis.to_owned(), expect };
    let (shared, count) = (desk.shared.clone(), Count(desk.erasing.clone()));
    let work = move || match erasure::begin((&shared.store, &shared.registry), &wanted, order, shared.clock.now()) {
        Err(error) => count.say(said(error)),
        Ok(begun) => {
            count.say(LookState::Begun { number: begun.number, receipt: begun.receipt.clone() });
            turn.follow(&begun);
            turn.end(run(&shared, begun));
        }
    };
    std::thread::Builder::new().name("erase".to_owned()).spawn(work).map_err(failed)?;
    Ok(())
}

/// Lets go what this viewer has counted.
pub(super) fn forget(desk: &LiveDesk, viewer: &Viewer) -> Answer<()> {
    sees_all(desk, viewer)?;
    desk.erasing.with_look(|look| match look {
        Some((by, known)) if *by == viewer.user && !known.state.is_busy() => {
            *look = None;
            Ok(())
        }
        _ => Err(DeskError::Refused(UiRefusal::WrongState)),
    })
}

/// Why nothing is erased.
fn said(error: anyhow::Error) -> LookState {
    LookState::Refused(match error.downcast_ref::<Refusal>() {
        None => Localized::new(format!("không đọc được những gì đã lưu: {error:#}"), format!("{error:#}")),
        Some(refusal) => Localized::new(vietnamese(refusal), refusal.to_string()),
    })
}

fn vietnamese(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Refused(why) => format!("yêu cầu không hợp lệ ({why})"),
        Refusal::Unclear(why) => format!("yêu cầu chưa rõ ({why})"),
        Refusal::Nothing => "không sự kiện nào có giá trị này".to_owned(),
        Refusal::Held(by) => {
            let holds: Vec<String> = by.iter().map(|(hold, events)| format!("lệnh {hold}: {events} sự kiện")).collect();
            format!("lệnh giữ đang giữ một phần ({}); hãy chừa các sự kiện đó lại, hoặc hủy lệnh giữ", holds.join(", "))
        }
        Refusal::OtherCount { found, expected } => {
            format!("nay có {found} sự kiện, đã xác nhận {expected}: hãy đếm lại")
        }
        Refusal::HoldsChanged => "lệnh giữ vừa thay đổi: hãy đếm lại".to_owned(),
    }
}
