//! The page that says what went wrong: what, what to do, and the request's id.
//!
//! In: a failure. Out: a page in the right language with the failure's status. Failure: plain text.

use askama::Template;
use axum::response::{IntoResponse, Response};

use super::{Page, Shell, html};
use crate::failure::Failure;
use crate::locale;
use crate::request::Asked;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    p: Shell,
    status: u16,
    what: String,
    advice: String,
}

/// The page for a failure.
pub(crate) fn page(asked: &Asked, failure: &Failure) -> Response {
    let status = failure.status();
    let family = if matches!(failure, Failure::Refused(_)) { "refusal-" } else { "error-" };
    let what = locale::text(asked.language, &format!("{family}{}", failure.code()));
    let advice = match failure {
        Failure::WrongOrigin | Failure::Refused(_) => "advice-back",
        Failure::RateLimited | Failure::Busy | Failure::SearchesFull | Failure::Internal => "advice-later",
        _ => "advice-start",
    };
    let page = ErrorPage {
        p: Shell::bare(asked, what.clone()),
        status: status.as_u16(),
        what,
        advice: locale::text(asked.language, advice),
    };
    let mut response = html(&page).unwrap_or_else(|_drawn| failure.code().into_response());
    *response.status_mut() = status;
    response
}

/// What no route knows.
pub(crate) async fn not_found(_asked: Asked) -> Page {
    Err(Failure::NotFound)
}
