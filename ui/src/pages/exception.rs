//! `/exceptions`, `/alerts/{id}/exception`: what is expected, and the dialog that makes it so.
//!
//! In: forms. Out: the list with who answers for what until when; one exception with its Sigma filter and its
//! life; a dialog that proposes the narrowest one and shows what it would have hidden before it is made.

use askama::Template;
use axum::extract::Path;
use nhatle_event::Timestamp;

use super::alert::{note_of, redirect};
use super::{Page, Shell, html};
use crate::failure::Failure;
use crate::locale;
use crate::model::{
    AlertRow, ExceptionChange, ExceptionDraft, ExceptionPreview, ExceptionRow, ExceptionStanding, ExceptionTest,
    ExceptionView, NewException, RiskRow, TestHow, UnitRow, UserRow,
};
use crate::render::url_part;
use crate::request::{Asked, see_other, with_result};

/// How long an exception is proposed to hold.
const PROPOSED_DAYS: i64 = 90;
/// How many tests a form may carry.
const TESTS_MAX: usize = 24;
/// How many entities the risk page lists.
const RISKS_SHOWN: usize = 100;
const DAY_NS: i64 = 86_400_000_000_000;

#[derive(Template)]
#[template(path = "exceptions.html")]
struct ListPage {
    p: Shell,
    rows: Vec<ExceptionRow>,
    ending: u64,
}

/// How many end soon: somebody has to look whether they still hold.
pub(crate) fn ending(rows: &[ExceptionRow]) -> u64 {
    let ending = rows.iter().filter(|row| row.standing == ExceptionStanding::Ending).count();
    u64::try_from(ending).unwrap_or(u64::MAX)
}

/// `GET /exceptions`
pub(crate) async fn list(asked: Asked) -> Page {
    let mut rows = asked.desk(|desk, viewer| desk.exceptions(viewer)).await?;
    // What needs somebody first: ending, then active; what is over last.
    let order = |row: &ExceptionRow| match row.standing {
        ExceptionStanding::Ending => 0,
        ExceptionStanding::Active => 1,
        ExceptionStanding::Expired => 2,
        ExceptionStanding::Ended => 3,
    };
    rows.sort_by_key(|row| (order(row), row.until, row.number));
    let ending = ending(&rows);
    let p = Shell::new(&asked, "exceptions", locale::text(asked.language, "nav-exceptions")).await?;
    html(&ListPage { p, rows, ending })
}

#[derive(Template)]
#[template(path = "exception.html")]
struct DetailPage {
    p: Shell,
    x: ExceptionView,
    people: Vec<UserRow>,
}

impl DetailPage {
    fn may_change(&self) -> bool {
        self.p.is_soc() && self.x.row.standing != ExceptionStanding::Ended
    }

    fn until_date(&self) -> String {
        date_of(self.x.row.until, self.p.asked.state.config.zone_offset_s)
    }
}

/// `GET /exceptions/{number}`
pub(crate) async fn detail(asked: Asked, Path(number): Path<String>) -> Page {
    let number = number_of(&number)?;
    let (x, people) =
        asked.desk(move |desk, viewer| Ok((desk.exception(viewer, number)?, desk.people(viewer)?))).await?;
    let p = Shell::new(
        &asked,
        "exceptions",
        locale::text_with(asked.language, "exception-number", "number", &number.to_string()),
    )
    .await?;
    html(&DetailPage { p, x, people })
}

/// `POST /exceptions/{number}/changes`
pub(crate) async fn change(asked: Asked, Path(number): Path<String>) -> Page {
    let number = number_of(&number)?;
    let because = note_of(&asked, "because")?;
    let (change, done) = match asked.form.text("kind") {
        "set_end" => (ExceptionChange::SetEnd { until_ns: until_of(&asked)?.0, because }, "changed"),
        "set_owner" => (ExceptionChange::SetOwner { owner: asked.form.text("owner").to_owned() }, "changed"),
        "end" => (ExceptionChange::End { because }, "closed"),
        _ => return Err(Failure::BadRequest("kind")),
    };
    let result = asked.desk(move |desk, viewer| desk.change_exception(viewer, number, &change)).await;
    redirect(result, &format!("/exceptions/{number}"), done)
}

#[derive(Template)]
#[template(path = "exception_new.html")]
struct DialogPage {
    p: Shell,
    d: ExceptionDraft,
    tests: Vec<FormTest>,
    units: Vec<UnitRow>,
    people: Vec<UserRow>,
    unit: String,
    because: String,
    until: String,
    owner: String,
    preview: Option<ExceptionPreview>,
}

/// One line of the form.
struct FormTest {
    place: usize,
    test: ExceptionTest,
    is_chosen: bool,
    shared: u64,
}

impl DialogPage {
    fn hows(&self) -> &'static [TestHow] {
        TestHow::ALL
    }

    fn here(&self) -> String {
        format!("/alerts/{}/exception", url_part(&self.d.alert.id))
    }

    fn alert(&self) -> &AlertRow {
        &self.d.alert
    }
}

/// `GET /alerts/{id}/exception`: the narrowest exception, proposed.
pub(crate) async fn dialog(asked: Asked, Path(id): Path<String>) -> Page {
    let (d, units, people) = asked
        .desk(move |desk, viewer| Ok((desk.exception_draft(viewer, &id)?, desk.units(viewer)?, desk.people(viewer)?)))
        .await?;
    let tests = (d.choices.iter().enumerate())
        .map(|(place, choice)| FormTest {
            place,
            test: choice.test.clone(),
            is_chosen: choice.is_proposed,
            shared: choice.shared,
        })
        .collect();
    let until = date_of(asked.now.plus_nanos(PROPOSED_DAYS * DAY_NS), asked.state.config.zone_offset_s);
    let unit = d.alert.unit.as_ref().map_or_else(String::new, |unit| unit.code.clone());
    let owner = asked.viewer()?.user.clone();
    let p = Shell::new(&asked, "exceptions", locale::text(asked.language, "exception-make")).await?;
    html(&DialogPage { p, d, tests, units, people, unit, because: String::new(), until, owner, preview: None })
}

/// `POST /alerts/{id}/exception`: shows what it would have hidden, or makes it.
pub(crate) async fn make(asked: Asked, Path(id): Path<String>) -> Page {
    let tests = form_tests(&asked)?;
    let wanted = NewException {
        alert_id: id.clone(),
        tests: tests.iter().filter(|test| test.is_chosen).map(|test| test.test.clone()).collect(),
        unit: Some(asked.form.text("unit").to_owned()).filter(|unit| !unit.is_empty()),
        because: note_of(&asked, "because")?,
        until_ns: until_of(&asked)?.0,
        owner: asked.form.text("owner").to_owned(),
        accepts_known: asked.form.text("accepts_known") == "yes",
    };
    if asked.form.text("do") == "open" {
        let asked_for = wanted.clone();
        match asked.desk(move |desk, viewer| desk.open_exception(viewer, &asked_for)).await {
            Ok(number) => return Ok(see_other(&format!("/exceptions/{number}?done=saved"))),
            Err(Failure::Refused(refusal)) => {
                let here = format!("/alerts/{}/exception", url_part(&id));
                return Ok(see_other(&with_result(&here, "refused", refusal.code())));
            }
            Err(failure) => return Err(failure),
        }
    }
    let sent = wanted.clone();
    let (mut d, units, people, preview) = asked
        .desk(move |desk, viewer| {
            let draft = desk.exception_draft(viewer, &id)?;
            let preview = desk.preview_exception(viewer, &sent)?;
            Ok((draft, desk.units(viewer)?, desk.people(viewer)?, preview))
        })
        .await?;
    let shared =
        |test: &ExceptionTest| d.choices.iter().find(|choice| choice.test == *test).map_or(0, |choice| choice.shared);
    let tests: Vec<FormTest> = tests.into_iter().map(|line| FormTest { shared: shared(&line.test), ..line }).collect();
    d.choices.clear();
    let p = Shell::new(&asked, "exceptions", locale::text(asked.language, "exception-make")).await?;
    html(&DialogPage {
        d,
        tests,
        units,
        people,
        unit: wanted.unit.unwrap_or_default(),
        because: wanted.because,
        until: asked.form.text("until").to_owned(),
        owner: wanted.owner,
        preview: Some(preview),
        p,
    })
}

/// The lines of the form: `field0`, `how0`, `value0`, and `use` = 0 for those chosen.
fn form_tests(asked: &Asked) -> Result<Vec<FormTest>, Failure> {
    let mut tests = Vec::new();
    for place in 0..TESTS_MAX {
        let Some(field) = asked.form.get(&format!("field{place}")) else { break };
        let how = TestHow::parse(asked.form.text(&format!("how{place}"))).ok_or(Failure::BadRequest("how"))?;
        let value = asked.form.text(&format!("value{place}"));
        let number = place.to_string();
        let is_chosen = asked.form.all("use").any(|chosen| chosen == number);
        let test = ExceptionTest { field: field.to_owned(), how, value: value.to_owned() };
        tests.push(FormTest { place, test, is_chosen, shared: 0 });
    }
    Ok(tests)
}

/// The end of the day in the form.
fn until_of(asked: &Asked) -> Result<Timestamp, Failure> {
    let text = format!("{}T23:59:59", asked.form.text("until"));
    Timestamp::parse(&text, asked.state.config.zone_offset_s).ok_or(Failure::BadRequest("until"))
}

/// The day of a moment, as a form writes it.
fn date_of(at: Timestamp, zone_offset_s: i32) -> String {
    let local = at.plus_nanos(i64::from(zone_offset_s) * 1_000_000_000);
    local.to_string().chars().take(10).collect()
}

fn number_of(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_not_a_number| Failure::NotFound)
}

#[derive(Template)]
#[template(path = "risks.html")]
struct RiskPage {
    p: Shell,
    rows: Vec<RiskRow>,
}

impl RiskPage {
    fn one(&self, number: &f64) -> String {
        let text = format!("{number:.1}");
        match self.p.lang() {
            "vi" => text.replace('.', ","),
            _ => text,
        }
    }

    /// How wide the bar is, in percent of the widest.
    fn width(&self, score: &f64) -> u32 {
        let most = self.rows.first().map_or(1.0, |row| row.score).max(f64::MIN_POSITIVE);
        let percent = (score / most * 100.0).clamp(1.0, 100.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 100")]
        let percent = percent as u32;
        percent
    }
}

/// `GET /risks`
pub(crate) async fn risks(asked: Asked) -> Page {
    let rows = asked.desk(|desk, viewer| desk.risks(viewer, RISKS_SHOWN)).await?;
    let p = Shell::new(&asked, "risks", locale::text(asked.language, "nav-risks")).await?;
    html(&RiskPage { p, rows })
}
