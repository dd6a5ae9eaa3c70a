//! `/account` and `/preferences`: the viewer's language, theme and password.
//!
//! In: forms. Out: cookies of a year for language and theme; a new password ends all other sessions.

use askama::Template;

use super::{Page, Shell, html};
use crate::account::Language;
use crate::brake::Admission;
use crate::failure::Failure;
use crate::guard::{LANGUAGE_COOKIE, PREFERENCE_AGE_S, THEME_COOKIE};
use crate::locale;
use crate::request::{Asked, Theme, see_other, set_cookie};
use crate::session::{PASSWORD_CHARS_MIN, hash_password, is_acceptable_password, verify_password};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    p: Shell,
    /// A message id when the password was not changed.
    problem: Option<&'static str>,
    chars_min: u64,
}

async fn draw(asked: &Asked, problem: Option<&'static str>) -> Page {
    let p = Shell::new(asked, "account", locale::text(asked.language, "nav-account")).await?;
    html(&AccountPage { p, problem, chars_min: u64::try_from(PASSWORD_CHARS_MIN).unwrap_or(0) })
}

/// `GET /account`
pub(crate) async fn page(asked: Asked) -> Page {
    draw(&asked, None).await
}

/// `POST /account/password`
pub(crate) async fn set_password(asked: Asked) -> Page {
    let user = asked.viewer()?.user.clone();
    if asked.state.brake.admit(&user, &asked.address, asked.now).waited().await != Admission::Open {
        return Err(Failure::RateLimited);
    }
    let (old, new) = (asked.form.text("old").to_owned(), asked.form.text("new").to_owned());
    if new != asked.form.text("again") {
        return draw(&asked, Some("password-differs")).await;
    }
    if !is_acceptable_password(&new) {
        return draw(&asked, Some("password-short")).await;
    }
    let name = user.clone();
    let held = asked.state.blocking(move |desk| desk.account(&name)).await??.and_then(|held| held.password_hash);
    let hash =
        asked.state.password_work(move || verify_password(&old, held.as_deref()).then(|| hash_password(&new))).await?;
    let Some(hash) = hash else { return draw(&asked, Some("password-wrong")).await };
    let hash = hash.map_err(|_refused| Failure::Internal)?;
    let stored = hash.clone();
    asked.desk(move |desk, viewer| desk.set_password(viewer, &stored)).await?;
    asked.state.brake.was_right(&user, &asked.address, asked.now);
    asked.state.sessions.end_all(&user);
    let id = asked.state.sessions.start(&user, &hash, asked.now);
    let mut response = see_other("/account?done=saved");
    set_cookie(&mut response, asked.state.session_cookie(), &id, 12 * 3600, asked.state.config.is_tls);
    Ok(response)
}

/// `POST /preferences`
pub(crate) async fn set_preferences(asked: Asked) -> Page {
    let mut response = see_other(&without_language(&asked.back("/")));
    if let Some(language) = asked.form.get("language").and_then(Language::parse) {
        if asked.viewer.is_some() {
            asked.desk(move |desk, viewer| desk.set_language(viewer, language)).await?;
        }
        set_cookie(&mut response, LANGUAGE_COOKIE, language.tag(), PREFERENCE_AGE_S, asked.state.config.is_tls);
    }
    if let Some(theme) = asked.form.get("theme").and_then(Theme::parse) {
        set_cookie(&mut response, THEME_COOKIE, theme.as_str(), PREFERENCE_AGE_S, asked.state.config.is_tls);
    }
    Ok(response)
}

/// A chosen language must not lose against `?lang=` of the page it was chosen on.
fn without_language(path: &str) -> String {
    let Some((front, query)) = path.split_once('?') else { return path.to_owned() };
    let kept: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("lang=")).collect();
    if kept.is_empty() { front.to_owned() } else { format!("{front}?{}", kept.join("&")) }
}
