//! The pages: one module each, a handler that asks the desk and a template that draws the answer.
//!
//! In: [`Asked`]. Out: HTML that works without JavaScript. Promise: every page is drawn inside [`Shell`],
//! which gives templates words, times and harmless text; no template marks text as safe (test).
//! Failure: [`Failure`].

pub mod account;
pub mod alert;
pub mod coverage;
pub mod error;
pub mod exception;
pub mod explain;
pub mod incident;
pub mod matrix;
pub mod overview;
pub mod preview;
pub mod proof;
pub mod reference;
pub mod retention;
pub mod erasure;
pub mod rule;
pub mod search;
pub mod sign_in;
pub mod source;
pub mod tail;
pub mod wizard;

use askama::Template;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use nhatle_event::Timestamp;

use crate::account::{Language, Localized, Role};
use crate::assets;
use crate::failure::Failure;
use crate::locale;
use crate::model::{AlertRow, Entity, Layer, LiveCounters, UnitRow};
use crate::render;
use crate::request::{Asked, Theme};

/// What a handler gives.
pub(crate) type Page = Result<Response, Failure>;

/// A number, by value or by reference: templates give both.
pub(crate) trait Number {
    /// The number.
    fn number(&self) -> u64;
}

impl Number for u64 {
    fn number(&self) -> u64 {
        *self
    }
}

impl<T: Number + ?Sized> Number for &T {
    fn number(&self) -> u64 {
        (**self).number()
    }
}

/// The frame of a page, and the words and forms of everything in it.
pub(crate) struct Shell {
    pub asked: Asked,
    /// The entry of the navigation this page belongs to.
    pub active: &'static str,
    /// The title, already in the language of the page.
    pub title: String,
    /// The numbers beside the navigation.
    pub live: LiveCounters,
    /// The time this page speaks of; searches it links to look there. `None` = the last day.
    pub range: Option<(Timestamp, Timestamp)>,
}

impl Shell {
    /// The frame for a signed-in viewer.
    pub async fn new(asked: &Asked, active: &'static str, title: String) -> Result<Shell, Failure> {
        let live = asked.desk(|desk, viewer| desk.live(viewer)).await?;
        Ok(Shell { asked: asked.clone(), active, title, live, range: None })
    }

    /// The frame without numbers: before sign-in, and for errors.
    pub fn bare(asked: &Asked, title: String) -> Shell {
        Shell { asked: asked.clone(), active: "", title, live: LiveCounters::default(), range: None }
    }

    /// A message.
    pub fn t(&self, id: &str) -> String {
        locale::text(self.asked.language, id)
    }

    /// A message of a family: `status-` and `new` is `status-new`.
    pub fn word(&self, family: &str, word: impl AsRef<str>) -> String {
        locale::text(self.asked.language, &format!("{family}{}", word.as_ref().replace('_', "-")))
    }

    /// How long, in the largest unit of which there are two.
    pub fn lasting(&self, seconds: &u64) -> String {
        let (id, count) = match *seconds {
            0..120 => ("for-seconds", *seconds),
            120..7_200 => ("for-minutes", seconds / 60),
            7_200..172_800 => ("for-hours", seconds / 3_600),
            _ => ("for-days", seconds / 86_400),
        };
        locale::count(self.asked.language, id, count)
    }

    /// A message about a number.
    pub fn count(&self, id: &str, count: impl Number) -> String {
        locale::count(self.asked.language, id, count.number())
    }

    /// A number as people write it.
    pub fn n(&self, number: impl Number) -> String {
        locale::number(self.asked.language, number.number())
    }

    /// A text in the language of the page, harmless.
    pub fn l(&self, text: &Localized) -> String {
        render::visible(text.get(self.asked.language))
    }

    /// The same, keeping its lines.
    pub fn lines(&self, text: &Localized) -> String {
        render::visible_lines(text.get(self.asked.language))
    }

    /// Text of a stranger, harmless.
    pub fn v(&self, text: &str) -> String {
        render::visible(text)
    }

    /// The sentence of an alert, else its rule's title.
    pub fn told<'a>(&self, row: &'a AlertRow) -> &'a str {
        row.told(self.asked.language)
    }

    /// Text of a stranger, harmless, keeping its lines.
    pub fn raw(&self, text: &str) -> String {
        render::visible_lines(text)
    }

    /// Text of a stranger, harmless and not longer than so many characters.
    pub fn cut(&self, text: impl AsRef<str>, characters: usize) -> String {
        render::short(text.as_ref(), characters)
    }

    /// A moment in the zone of the page.
    pub fn time(&self, stamp: &Timestamp) -> String {
        render::time(*stamp, self.asked.language, self.asked.state.config.zone_offset_s)
    }

    /// A moment that may not be.
    pub fn time_or_dash(&self, stamp: &Option<Timestamp>) -> String {
        stamp.as_ref().map_or_else(|| "–".to_owned(), |stamp| self.time(stamp))
    }

    /// How long ago, in words.
    pub fn ago(&self, stamp: &Timestamp) -> String {
        let seconds = u64::try_from(self.asked.now.since(*stamp) / 1_000_000_000).unwrap_or(0);
        let (id, count) = match seconds {
            0..60 => ("ago-seconds", seconds),
            60..3600 => ("ago-minutes", seconds / 60),
            3600..86_400 => ("ago-hours", seconds / 3600),
            _ => ("ago-days", seconds / 86_400),
        };
        locale::count(self.asked.language, id, count)
    }

    /// The unit's name.
    pub fn unit(&self, unit: &Option<UnitRow>) -> String {
        unit.as_ref().map_or_else(|| "–".to_owned(), |unit| self.l(&unit.name))
    }

    /// The owner, or the word for nobody.
    pub fn owner(&self, owner: &Option<String>) -> String {
        owner.as_ref().map_or_else(|| self.t("nobody"), |owner| render::visible(owner))
    }

    /// A layer with its number.
    pub fn layer(&self, layer: &Layer) -> String {
        self.word("layer-", layer.as_str())
    }

    /// The address of a search for this value.
    pub fn pivot(&self, entity: &Entity) -> String {
        self.search_of(&entity.field, &entity.value)
    }

    /// The address of a search for this value within a day of `at`.
    pub fn pivot_at(&self, entity: &Entity, at: &Timestamp) -> String {
        self.search_in(&entity.field, &entity.value, Some(day_around(*at, *at)))
    }

    /// The page of a source.
    pub fn source_page(&self, source: &str) -> String {
        format!("/sources/{}", render::url_part(source))
    }

    /// A clock's offset in words: `+0.4 s`, `−7 h 0 min`.
    pub fn offset(&self, millis: &Option<i32>) -> String {
        millis.map_or_else(|| "–".to_owned(), |millis| render::offset(millis, self.asked.language))
    }

    /// The page that says which rules can match a source.
    pub fn rules_of(&self, source: &str) -> String {
        format!("/sources/rules{}", render::url_query([("source", source)]))
    }

    /// The address of a search for this value of this field, in the time of the page.
    pub fn search_of(&self, field: &str, value: &str) -> String {
        self.search_in(field, value, self.range)
    }

    fn search_in(&self, field: &str, value: &str, range: Option<(Timestamp, Timestamp)>) -> String {
        let term = self.asked.state.desk.term(field, value);
        let (from, to) = range.map_or_else(Default::default, |(from, to)| (from.to_string(), to.to_string()));
        let pairs = [("q", term.as_str()), ("from", from.as_str()), ("to", to.as_str())];
        format!("/search{}", render::url_query(pairs))
    }

    /// A static file's address with its fingerprint.
    pub fn asset(&self, name: &str) -> String {
        assets::address(name)
    }

    /// The language tag of the page.
    pub fn lang(&self) -> &'static str {
        self.asked.language.tag()
    }

    /// The other language.
    pub fn other_lang(&self) -> &'static str {
        match self.asked.language {
            Language::Vietnamese => "en",
            Language::English => "vi",
        }
    }

    /// The theme's word.
    pub fn theme(&self) -> &'static str {
        self.asked.theme.as_str()
    }

    /// All themes' words.
    pub fn themes(&self) -> [&'static str; 3] {
        Theme::ALL.map(Theme::as_str)
    }

    /// Whether somebody is signed in.
    pub fn is_signed_in(&self) -> bool {
        self.asked.viewer.is_some()
    }

    /// The person's name.
    pub fn who(&self) -> String {
        self.asked.viewer.as_ref().map_or_else(String::new, |viewer| {
            render::visible(if viewer.name.is_empty() { &viewer.user } else { &viewer.name })
        })
    }

    /// The account's name.
    pub fn user(&self) -> &str {
        self.asked.viewer.as_ref().map_or("", |viewer| &viewer.user)
    }

    /// The word of the viewer's role.
    pub fn role(&self) -> &'static str {
        self.asked.viewer.as_ref().map_or("", |viewer| viewer.role.as_str())
    }

    /// The unit the viewer is limited to.
    pub fn limit(&self) -> &str {
        self.asked.viewer.as_ref().and_then(|viewer| viewer.unit.as_deref()).unwrap_or("")
    }

    /// Whether the viewer may change anything.
    pub fn may_work(&self) -> bool {
        self.asked.may_work()
    }

    /// Whether the viewer may give evidence away.
    pub fn may_prove(&self) -> bool {
        let may = |viewer: &crate::account::Viewer| {
            matches!(viewer.role, Role::Admin | Role::Analyst | Role::Auditor) && viewer.unit.is_none()
        };
        self.asked.viewer.as_ref().is_some_and(may)
    }

    /// Whether the viewer decides for the whole city.
    pub fn is_soc(&self) -> bool {
        self.asked.viewer.as_ref().is_some_and(|viewer| matches!(viewer.role, Role::Admin | Role::Analyst))
    }

    /// Whether the viewer runs the machine.
    pub fn is_admin(&self) -> bool {
        self.asked.viewer.as_ref().is_some_and(|viewer| viewer.role == Role::Admin)
    }

    /// Whether the navigation shows the rules.
    pub fn sees_rules(&self) -> bool {
        self.asked.viewer.as_ref().is_some_and(|viewer| viewer.role != Role::Ward)
    }

    /// What was done or refused just before, as a message id.
    pub fn done(&self) -> Option<String> {
        let code = self.asked.query.get("done")?;
        DONE.contains(&code).then(|| self.word("done-", code))
    }

    /// What is to be said about intake on every page, and under which name.
    pub fn intake(&self) -> Option<(String, String)> {
        let is_told = matches!(self.live.intake.as_str(), "behind" | "shedding" | "read-only");
        is_told.then(|| (format!("intake-{}", self.live.intake), self.word("intake-", &self.live.intake)))
    }

    /// Why the last change was refused.
    pub fn refused(&self) -> Option<String> {
        let code = self.asked.query.get("refused")?;
        let is_code = code.len() < 32 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let id = format!("refusal-{code}");
        let text = locale::text(self.asked.language, &id);
        (is_code && text != id).then_some(text)
    }
}

/// From a day before the first moment to a day after the last.
pub(crate) fn day_around(first: Timestamp, last: Timestamp) -> (Timestamp, Timestamp) {
    const DAY_NS: i64 = 86_400_000_000_000;
    (first.plus_nanos(-DAY_NS), last.plus_nanos(DAY_NS))
}

/// Codes of `?done=`.
pub(crate) const DONE: &[&str] = &[
    "check",
    "counting",
    "erasing",
    "forgotten",
    "retention",
    "taken",
    "released",
    "closed",
    "reopened",
    "noted",
    "added",
    "opened",
    "changed",
    "handed-over",
    "saved",
    "none",
    "preview",
    "hunt",
    "hunt-canceled",
    "outage",
    "outage-ended",
];

/// A template as a response.
pub(crate) fn html(template: &impl Template) -> Page {
    match template.render() {
        Ok(text) => {
            let mut response = text.into_response();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            Ok(response)
        }
        Err(error) => {
            tracing::error!(error.message = %error, "a template could not be drawn");
            Err(Failure::Internal)
        }
    }
}
