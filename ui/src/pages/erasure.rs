//! `/erasures`: erasing what is about a person, counted first and confirmed then; and the same as JSON.
//!
//! In: forms, JSON bodies. Out: a page that comes again by itself while somebody has to wait, JSON. Failure: as everywhere; what
//! is refused says why.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, REFRESH};
use axum::response::IntoResponse;
use axum::{Extension, Json};

use super::alert::{note_of, redirect};
use super::retention::moment;
use super::{Page, Shell, html};
use crate::api::{body, bounded};
use crate::failure::Failure;
use crate::guard::ApiBody;
use crate::locale;
use crate::model::TEXT_BYTES_MAX;
use crate::model::erasure::{ErasureLook, ErasuresView, LookState, NewErasure};
use crate::request::Asked;

/// How often the page comes again while it is counted or erased.
const AGAIN: HeaderValue = HeaderValue::from_static("3");

#[derive(Template)]
#[template(path = "erasure.html")]
struct ErasurePage {
    p: Shell,
    v: ErasuresView,
}

impl ErasurePage {
    /// What is looked for, in words.
    fn asked_for(&self, look: &ErasureLook) -> Option<String> {
        let NewErasure { subject, query, from, to, .. } = &look.asked;
        let span = [from, to].map(|moment| moment.as_deref().unwrap_or("…"));
        let span = (span != ["…", "…"]).then(|| span.join(" – "));
        let said: Vec<&str> = [subject, query, &span].into_iter().flatten().map(String::as_str).collect();
        (!said.is_empty()).then(|| self.p.v(&said.join(" · ")))
    }
}

/// `GET /erasures`
pub(crate) async fn page(asked: Asked) -> Page {
    let v = asked.desk(|desk, viewer| desk.keeping().erasures(viewer)).await?;
    let p = Shell::new(&asked, "retention", locale::text(asked.language, "erasure-title")).await?;
    let must_wait = v.is_running || v.look.as_ref().is_some_and(|look| look.state.is_busy());
    let mut response = html(&ErasurePage { p, v })?;
    if must_wait {
        response.headers_mut().insert(REFRESH, AGAIN);
    }
    Ok(response)
}

/// A field of a form that may be empty.
fn some(asked: &Asked, name: &'static str) -> Result<Option<String>, Failure> {
    note_of(asked, name).map(|text| (!text.is_empty()).then_some(text))
}

/// `POST /erasures/count`: counts in the background.
pub(crate) async fn count(asked: Asked) -> Page {
    let time = |name| match asked.form.text(name) {
        "" => Ok(None),
        _ => moment(&asked, name).map(Some),
    };
    let fields = note_of(&asked, "fields")?;
    let fields = fields.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let new = NewErasure {
        subject: some(&asked, "subject")?,
        query: some(&asked, "q")?,
        fields,
        from: time("from")?,
        to: time("to")?,
        leave_held: asked.form.text("leave_held") == "yes",
        ..NewErasure::default()
    };
    let result = asked.desk(move |desk, viewer| desk.keeping().look_at_erasure(viewer, &new)).await;
    redirect(result, "/erasures", "counting")
}

/// `POST /erasures/confirm`: what was counted is erased.
pub(crate) async fn confirm(asked: Asked) -> Page {
    let basis = note_of(&asked, "basis")?;
    if asked.form.text("read") != "yes" {
        return Err(Failure::BadRequest("read"));
    }
    // As it stands on the page, with or without marks between the thousands.
    let typed: String = asked.form.text("typed").chars().filter(char::is_ascii_digit).take(20).collect();
    let typed: u64 = typed.parse().map_err(|_none| Failure::BadRequest("typed"))?;
    let result = asked.desk(move |desk, viewer| desk.keeping().confirm_erasure(viewer, &basis, typed)).await;
    redirect(result, "/erasures", "erasing")
}

/// `POST /erasures/forget`: the count and the receipt go.
pub(crate) async fn forget(asked: Asked) -> Page {
    let result = asked.desk(|desk, viewer| desk.keeping().forget_erasure(viewer)).await;
    redirect(result, "/erasures", "forgotten")
}

/// `GET /api/v1/erasures`
pub(crate) async fn json(asked: Asked) -> Page {
    let view = asked.desk(|desk, viewer| desk.keeping().erasures(viewer)).await?;
    Ok(Json(view).into_response())
}

/// `POST /api/v1/erasures`: counts; with `expect` and `basis` it begins.
pub(crate) async fn api_new(asked: Asked, Extension(sent): Extension<ApiBody>) -> Page {
    let new: NewErasure = body(&sent)?;
    bounded(new.basis.as_deref().unwrap_or_default(), TEXT_BYTES_MAX)?;
    let status = if new.expect.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    let plan = asked.desk(move |desk, viewer| desk.keeping().erase(viewer, &new)).await?;
    Ok((status, Json(plan)).into_response())
}
