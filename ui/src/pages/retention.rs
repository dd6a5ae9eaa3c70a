//! `/retention`: what is kept how long and by which rule, what goes when, legal holds, what went; and the same as JSON.
//!
//! In: forms, JSON bodies. Out: a page, JSON. Failure: as everywhere; a hold that makes no sense is refused with a code.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use nhatle_event::Timestamp;

use super::alert::{note_of, redirect};
use super::incident::number_of;
use super::{Page, Shell, html};
use crate::api::{body, bounded};
use crate::failure::Failure;
use crate::guard::ApiBody;
use crate::locale;
use crate::model::TEXT_BYTES_MAX;
use crate::model::retention::{HoldChange, NewHold, RetentionView};
use crate::render;
use crate::request::Asked;

#[derive(Template)]
#[template(path = "retention.html")]
struct RetentionPage {
    p: Shell,
    v: RetentionView,
}

impl RetentionPage {
    /// Bytes in the largest unit of which there are ten.
    fn bytes(&self, bytes: &u64) -> String {
        render::bytes(*bytes, self.p.asked.language)
    }

    fn bytes_or_dash(&self, bytes: &Option<u64>) -> String {
        bytes.as_ref().map_or_else(|| "–".to_owned(), |bytes| self.bytes(bytes))
    }

    /// Names of a rule, or the word for all.
    fn names(&self, names: &[String]) -> String {
        if names.is_empty() { self.p.t("retention-all") } else { render::visible(&names.join(", ")) }
    }

    fn levels(&self, levels: &[u8]) -> String {
        let levels: Vec<String> = levels.iter().map(u8::to_string).collect();
        self.names(&levels)
    }
}

/// `GET /retention`
pub(crate) async fn page(asked: Asked) -> Page {
    let v = asked.desk(|desk, viewer| desk.keeping().retention(viewer)).await?;
    let p = Shell::new(&asked, "retention", locale::text(asked.language, "nav-retention")).await?;
    html(&RetentionPage { p, v })
}

/// `GET /api/v1/retention`
pub(crate) async fn json(asked: Asked) -> Page {
    let view = asked.desk(|desk, viewer| desk.keeping().retention(viewer)).await?;
    Ok(Json(view).into_response())
}

/// A moment of a form, as RFC 3339 in the zone of the pages.
pub(super) fn moment(asked: &Asked, name: &'static str) -> Result<String, Failure> {
    let text = asked.form.text(name);
    let padded = match text.len() {
        10 => format!("{text}T00:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_owned(),
    };
    let stamp = Timestamp::parse(&padded, asked.state.config.zone_offset_s).ok_or(Failure::BadRequest(name))?;
    Ok(stamp.to_string())
}

/// `POST /retention/holds`
pub(crate) async fn hold(asked: Asked) -> Page {
    let (from, to, until) = (moment(&asked, "from")?, moment(&asked, "to")?, moment(&asked, "until")?);
    let new = NewHold { from, to, until, reason: note_of(&asked, "reason")? };
    let result = asked.desk(move |desk, viewer| desk.keeping().place_hold(viewer, &new)).await;
    redirect(result.map(drop), "/retention", "saved")
}

/// `POST /retention/holds/{number}/changes`
pub(crate) async fn change(asked: Asked, Path(number): Path<String>) -> Page {
    let number = number_of(&number)?;
    let reason = note_of(&asked, "reason")?;
    let change = match asked.form.text("kind") {
        "extend" => HoldChange::Extend { until: moment(&asked, "until")?, reason },
        "release" => HoldChange::Release { reason },
        _ => return Err(Failure::BadRequest("kind")),
    };
    let result = asked.desk(move |desk, viewer| desk.keeping().change_hold(viewer, number, &change)).await;
    redirect(result, "/retention", "changed")
}

/// `POST /retention/run`
pub(crate) async fn run(asked: Asked) -> Page {
    let result = asked.desk(|desk, viewer| desk.keeping().run_retention(viewer)).await;
    redirect(result, "/retention", "retention")
}

/// `POST /api/v1/retention/holds`
pub(crate) async fn api_hold(asked: Asked, Extension(sent): Extension<ApiBody>) -> Page {
    let new: NewHold = body(&sent)?;
    bounded(&new.reason, TEXT_BYTES_MAX)?;
    let view = asked
        .desk(move |desk, viewer| {
            desk.keeping().place_hold(viewer, &new)?;
            desk.keeping().retention(viewer)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// `POST /api/v1/retention/holds/{number}/changes`
pub(crate) async fn api_change(asked: Asked, Path(number): Path<String>, Extension(sent): Extension<ApiBody>) -> Page {
    let number = number_of(&number)?;
    let change: HoldChange = body(&sent)?;
    let (HoldChange::Extend { reason, .. } | HoldChange::Release { reason }) = &change;
    bounded(reason, TEXT_BYTES_MAX)?;
    let view = asked
        .desk(move |desk, viewer| {
            desk.keeping().change_hold(viewer, number, &change)?;
            desk.keeping().retention(viewer)
        })
        .await?;
    Ok(Json(view).into_response())
}

/// `POST /api/v1/retention/run`
pub(crate) async fn api_run(asked: Asked) -> Page {
    asked.desk(|desk, viewer| desk.keeping().run_retention(viewer)).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}
