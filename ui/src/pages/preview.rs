//! `/rules/{id}/preview`: what a rule would have found in the past days, and hunts that make alerts of it.
//!
//! In: the rule's id, forms. Out: the preview as far as it is; while it is on its way the page asks for itself
//! again after some seconds (header `Refresh`), so it needs no script.

use askama::Template;
use axum::extract::Path;
use axum::http::header::{HeaderValue, REFRESH};

use super::alert::redirect;
use super::{Page, Shell, html};
use crate::chart::{Bar, bars};
use crate::failure::Failure;
use crate::locale;
use crate::model::{HUNT_DAYS_MAX, NewHunt, PreviewState, RulePreview};
use crate::render::url_part;
use crate::request::Asked;

/// After so many seconds the page is asked for again.
const REFRESH_S: u64 = 3;

#[derive(Template)]
#[template(path = "preview.html")]
struct PreviewPage {
    p: Shell,
    pv: RulePreview,
    bars: Vec<Bar>,
}

impl PreviewPage {
    fn rule_path(&self) -> String {
        format!("/rules/{}", url_part(&self.pv.rule_id))
    }

    fn is_made(&self) -> bool {
        matches!(self.pv.state, PreviewState::Done | PreviewState::Partial)
    }

    fn is_under_way(&self) -> bool {
        is_under_way(&self.pv)
    }

    /// Alerts a day, with one digit behind the point.
    fn a_day(&self) -> String {
        let text = format!("{:.1}", self.pv.alerts_a_day);
        match self.p.lang() {
            "vi" => text.replace('.', ","),
            _ => text,
        }
    }

    fn days(&self) -> &'static [u64] {
        &[1, 7, 30, 365]
    }

    fn address(&self, event_id: &str) -> String {
        format!("/events/{}", url_part(event_id))
    }
}

fn is_under_way(pv: &RulePreview) -> bool {
    matches!(pv.state, PreviewState::Waiting | PreviewState::Running)
        || pv.hunts.iter().any(|hunt| hunt.state == "running")
}

fn path_of(id: &str) -> String {
    format!("/rules/{}/preview", url_part(id))
}

/// `GET /rules/{id}/preview`
pub(crate) async fn page(asked: Asked, Path(id): Path<String>) -> Page {
    let pv = asked.desk(move |desk, viewer| desk.rule_preview(viewer, &id)).await?;
    let title = format!("{}: {}", locale::text(asked.language, "preview"), pv.title.get(asked.language));
    let p = Shell::new(&asked, "rules", title).await?;
    let is_under_way = is_under_way(&pv);
    let mut response = html(&PreviewPage { bars: bars(&pv.by_day), p, pv })?;
    if is_under_way {
        response.headers_mut().insert(REFRESH, HeaderValue::from(REFRESH_S));
    }
    Ok(response)
}

/// `POST /rules/{id}/preview`
pub(crate) async fn start(asked: Asked, Path(id): Path<String>) -> Page {
    let back = path_of(&id);
    let result = asked.desk(move |desk, viewer| desk.start_rule_preview(viewer, &id)).await;
    redirect(result, &back, "preview")
}

/// `POST /rules/{id}/hunts`
pub(crate) async fn hunt(asked: Asked, Path(id): Path<String>) -> Page {
    let days: u32 = asked.form.text("days").parse().map_err(|_not_a_number| Failure::BadRequest("days"))?;
    if !(1..=HUNT_DAYS_MAX).contains(&days) {
        return Err(Failure::BadRequest("days"));
    }
    let back = path_of(&id);
    let result = asked.desk(move |desk, viewer| desk.start_hunt(viewer, &id, &NewHunt { days })).await;
    redirect(result.map(drop), &back, "hunt")
}

/// `POST /hunts/{number}/cancel`
pub(crate) async fn cancel(asked: Asked, Path(number): Path<String>) -> Page {
    let number: u64 = number.parse().map_err(|_not_a_number| Failure::NotFound)?;
    let back = asked.back("/rules");
    let result = asked.desk(move |desk, viewer| desk.cancel_hunt(viewer, number)).await;
    redirect(result, &back, "hunt-canceled")
}
