//! `/login`, `/logout`, `/setup/{token}`: into a session and out of it, and the first administrator.
//!
//! In: forms. Out: a session cookie. Promise: a wrong name and a wrong password look and take the same; the
//! first-start link works once. Failure: the form again, with what went wrong.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;

use super::{Page, Shell, html};
use crate::account::{Account, Role, USER_BYTES_MAX};
use crate::brake::Admission;
use crate::desk::{DeskError, SignIn};
use crate::failure::Failure;
use crate::guard::{LANGUAGE_COOKIE, PREFERENCE_AGE_S, known_token};
use crate::locale;
use crate::request::{Asked, is_own_path, see_other, set_cookie};
use crate::session::{PASSWORD_CHARS_MIN, hash_password, is_acceptable_password, verify_password};

#[derive(Template)]
#[template(path = "login.html")]
struct SignInPage {
    p: Shell,
    next: String,
    user: String,
    problem: Option<&'static str>,
}

fn draw(asked: &Asked, next: &str, user: &str, problem: Option<&'static str>) -> Page {
    let p = Shell::bare(asked, locale::text(asked.language, "sign-in"));
    html(&SignInPage { p, next: next.to_owned(), user: user.to_owned(), problem })
}

/// `GET /login`
pub(crate) async fn page(asked: Asked) -> Page {
    let next = asked.query.get("next").filter(|path| is_own_path(path)).unwrap_or("/");
    if asked.viewer.is_some() {
        return Ok(see_other(next));
    }
    draw(&asked, next, "", None)
}

/// `POST /login`
pub(crate) async fn sign_in(asked: Asked) -> Page {
    let next = asked.form.get("next").filter(|path| is_own_path(path)).unwrap_or("/").to_owned();
    let user = asked.form.text("user").trim().to_owned();
    let password = asked.form.text("password").to_owned();
    if USER_BYTES_MAX < user.len() {
        return Err(Failure::BadRequest("user"));
    }
    let state = &asked.state;
    let admission = state.brake.admit(&user, &asked.address, asked.now).waited().await;
    if admission != Admission::Open {
        // Once for each window: whoever guesses must not fill the audit trail.
        if admission == Admission::JustShut {
            record(&asked, &user, SignIn::RateLimited).await?;
        }
        let mut response = draw(&asked, &next, &user, Some("error-rate-limited"))?;
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        return Ok(response);
    }
    let name = user.clone();
    let account = state.blocking(move |desk| desk.account(&name)).await??;
    let account = account.filter(|account| !account.is_disabled && account.role != Role::Ingest);
    let hash = account.as_ref().and_then(|account| account.password_hash.clone());
    let is_right = state.password_work(move || verify_password(&password, hash.as_deref())).await?;
    let Some(account) = account.filter(|_| is_right) else {
        record(&asked, &user, SignIn::Refused).await?;
        let mut response = draw(&asked, &next, &user, Some("sign-in-refused"))?;
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return Ok(response);
    };
    state.brake.was_right(&user, &asked.address, asked.now);
    record(&asked, &user, SignIn::Accepted).await?;
    Ok(enter(&asked, &account, &next))
}

/// A new session for the account, and on to `next`.
fn enter(asked: &Asked, account: &Account, next: &str) -> axum::response::Response {
    let state = &asked.state;
    let hash = account.password_hash.as_deref().unwrap_or("");
    let id = state.sessions.start(&account.user, hash, asked.now);
    let mut response = see_other(next);
    set_cookie(&mut response, state.session_cookie(), &id, 12 * 3600, state.config.is_tls);
    if let Some(language) = account.language {
        set_cookie(&mut response, LANGUAGE_COOKIE, language.tag(), PREFERENCE_AGE_S, state.config.is_tls);
    }
    response
}

async fn record(asked: &Asked, user: &str, outcome: SignIn) -> Result<(), Failure> {
    let (user, address) = (user.to_owned(), asked.address.clone());
    asked.state.blocking(move |desk| desk.record_sign_in(&user, &address, outcome)).await??;
    Ok(())
}

/// `POST /logout`
pub(crate) async fn sign_out(asked: Asked) -> Page {
    if let Some(id) = &asked.session_id {
        asked.state.sessions.end(id);
    }
    let user = asked.viewer()?.user.clone();
    record(&asked, &user, SignIn::Left).await?;
    let mut response = see_other("/login");
    set_cookie(&mut response, asked.state.session_cookie(), "", 0, asked.state.config.is_tls);
    Ok(response)
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    p: Shell,
    token: String,
    problem: Option<&'static str>,
    chars_min: u64,
}

fn draw_setup(asked: &Asked, token: &str, problem: Option<&'static str>) -> Page {
    let p = Shell::bare(asked, locale::text(asked.language, "setup-title"));
    let chars_min = u64::try_from(PASSWORD_CHARS_MIN).unwrap_or(0);
    html(&SetupPage { p, token: token.to_owned(), problem, chars_min })
}

/// `GET /setup/{token}`
pub(crate) async fn setup_page(asked: Asked, Path(token): Path<String>) -> Page {
    let hash = known_token(&token).ok_or(Failure::NotFound)?;
    if !asked.state.blocking(move |desk| desk.setup_is_open(&hash)).await?? {
        return Err(Failure::NotFound);
    }
    draw_setup(&asked, &token, None)
}

/// `POST /setup/{token}`
pub(crate) async fn set_up(asked: Asked, Path(token): Path<String>) -> Page {
    let hash = known_token(&token).ok_or(Failure::NotFound)?;
    if !asked.state.blocking(move |desk| desk.setup_is_open(&hash)).await?? {
        return Err(Failure::NotFound);
    }
    let user = asked.form.text("user").trim().to_owned();
    let password = asked.form.text("new").to_owned();
    let is_name = !user.is_empty()
        && user.len() <= USER_BYTES_MAX
        && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@'));
    if !is_name {
        return draw_setup(&asked, &token, Some("user-wrong"));
    }
    if password != asked.form.text("again") {
        return draw_setup(&asked, &token, Some("password-differs"));
    }
    if !is_acceptable_password(&password) {
        return draw_setup(&asked, &token, Some("password-short"));
    }
    let phc = asked.state.password_work(move || hash_password(&password)).await?;
    let phc = phc.map_err(|_refused| Failure::Internal)?;
    let account = asked.state.blocking(move |desk| desk.finish_setup(&hash, &user, &phc)).await?;
    match account {
        Ok(account) => Ok(enter(&asked, &account, "/")),
        Err(DeskError::NotFound) => Err(Failure::NotFound),
        Err(error) => Err(error.into()),
    }
}
