//! `/sources/new`: from "what is to send" to a sheet of exact lines, and to the first line received.
//!
//! In: what sends, its name, its unit. Out: a sheet to copy or print, with the server's own address and ports and, where the
//! sender can prove who it is, a code to be used once; and a place that says when the first line has come. Promise: works
//! without JavaScript (the place is looked at by a link); a code is drawn once, in the answer to who asked for it, and is
//! in no address. Failure: a form again, with what is wrong.

use askama::Template;
use nhatle_event::Timestamp;

use super::{Page, Shell, html};
use crate::failure::Failure;
use crate::locale;
use crate::model::{EnrollmentRow, NewEnrollment, Port, Reach, RefusedRow, SenderKind, SourceRow, UnitRow};
use crate::request::{Asked, see_other};
use crate::sheet::{Step, steps};

const NAME_CHARS_MAX: usize = 64;

#[derive(Template)]
#[template(path = "source_new.html")]
struct FormPage {
    p: Shell,
    kinds: &'static [SenderKind],
    kind: SenderKind,
    name: String,
    unit: String,
    host: String,
    units: Vec<UnitRow>,
    problem: Option<&'static str>,
}

/// `GET /sources/new`
pub(crate) async fn form(asked: Asked) -> Page {
    draw_form(&asked, None).await
}

async fn draw_form(asked: &Asked, problem: Option<&'static str>) -> Page {
    let (units, reach) = asked.desk(|desk, viewer| Ok((desk.units(viewer)?, desk.reach(viewer)?))).await?;
    let given = |name: &str| asked.form.get(name).or(asked.query.get(name)).unwrap_or_default().to_owned();
    let kind = SenderKind::parse(&given("kind")).unwrap_or(SenderKind::Forward);
    let (name, unit, host) = (given("name"), given("unit"), given("host"));
    let host = if host.is_empty() { reach.host } else { host };
    let p = Shell::new(asked, "sources", locale::text(asked.language, "wizard-title")).await?;
    html(&FormPage { p, kinds: SenderKind::ALL, kind, name, unit, host, units, problem })
}

#[derive(Template)]
#[template(path = "source_sheet.html")]
struct SheetPage {
    p: Shell,
    kind: SenderKind,
    name: String,
    unit: UnitRow,
    code: Option<(String, Timestamp)>,
    steps: Vec<Step>,
    is_local: bool,
    lacks_tls: bool,
    wait: String,
    live: String,
}

/// `POST /sources/new`: the sheet.
pub(crate) async fn sheet(asked: Asked) -> Page {
    let Some(kind) = SenderKind::parse(asked.form.text("kind")) else { return Err(Failure::BadRequest("kind")) };
    let name = asked.form.text("name").trim().to_owned();
    let host = asked.form.text("host").trim().to_owned();
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | ':');
    if name.is_empty() || NAME_CHARS_MAX < name.chars().count() || !name.chars().all(good) {
        return draw_form(&asked, Some("wizard-bad-name")).await;
    }
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if host.is_empty() || 253 < host.len() || !host.chars().all(is_host) {
        return draw_form(&asked, Some("wizard-bad-host")).await;
    }
    let (units, mut reach) = asked.desk(|desk, viewer| Ok((desk.units(viewer)?, desk.reach(viewer)?))).await?;
    let Some(unit) = units.into_iter().find(|unit| unit.code == asked.form.text("unit")) else {
        return draw_form(&asked, Some("wizard-bad-unit")).await;
    };
    reach.host = host;
    let wants_code = kind.has_certificate() && reach.https.is_some();
    let code = if wants_code && (kind == SenderKind::Forward || reach.syslog_tls.is_some()) {
        let new = NewEnrollment { name: name.clone(), unit: unit.code.clone(), hours: None };
        match asked.desk(move |desk, viewer| desk.issue_enrollment(viewer, &new)).await {
            Ok(issued) => Some((issued.code, issued.row.expires)),
            Err(Failure::Refused(_)) => return draw_form(&asked, Some("wizard-bad-name")).await,
            Err(failure) => return Err(failure),
        }
    } else {
        None
    };
    let steps = steps(asked.language, kind, &reach, (&name, &unit.code), code.as_ref().map(|(code, _)| code.as_str()));
    let asking = crate::render::url_query([("name", name.as_str()), ("since", &asked.now.to_string())]);
    let (wait, live) = (format!("/sources/new/wait{asking}"), format!("/live{asking}"));
    let is_local = ports(kind, &reach).iter().all(|port| port.is_local);
    let lacks_tls = kind.has_certificate() && code.is_none();
    let mut p = Shell::new(&asked, "sources", locale::text(asked.language, "wizard-title")).await?;
    // Reloading must not ask for another code: the address in the foot is that of the form.
    p.asked.target = "/sources/new".to_owned();
    html(&SheetPage { p, kind, name, unit, code, steps, is_local, lacks_tls, wait, live })
}

/// The ports a sender of this kind may use.
fn ports(kind: SenderKind, reach: &Reach) -> Vec<Port> {
    let all = match kind {
        SenderKind::Forward => vec![reach.https],
        SenderKind::Rsyslog | SenderKind::SyslogNg => vec![reach.syslog_tls.or(reach.syslog_tcp)],
        SenderKind::Windows => vec![reach.https.or(reach.http)],
        _ => vec![reach.syslog_udp, reach.syslog_tcp],
    };
    all.into_iter().flatten().collect()
}

/// The source a sheet waits for, once it has sent something since.
pub(crate) fn arrived(rows: Vec<SourceRow>, name: &str, since: Timestamp) -> Option<SourceRow> {
    let has_come = |row: &SourceRow| row.last_seen.is_some_and(|at| since <= at);
    rows.into_iter().find(|row| has_come(row) && row.name.to_lowercase() == name.to_lowercase())
}

/// What a sheet asks after: the source's name, and since when.
pub(crate) fn awaited(asked: &Asked) -> Option<(String, Timestamp)> {
    let name: String = asked.query.get("name")?.chars().take(NAME_CHARS_MAX).collect();
    Some((name, Timestamp::parse(asked.query.get("since")?, 0)?))
}

/// What a page says once it has come, in its language.
pub(crate) fn arrived_text(asked: &Asked, row: &SourceRow) -> String {
    let at = row.last_seen.unwrap_or(asked.now);
    let shown = crate::render::time(at, asked.language, asked.state.config.zone_offset_s);
    locale::text_with(asked.language, "wizard-arrived", "time", &shown)
}

#[derive(Template)]
#[template(path = "source_wait.html")]
struct WaitPage {
    p: Shell,
    name: String,
    row: Option<SourceRow>,
    others: Vec<SourceRow>,
    said: String,
    live: String,
}

/// `GET /sources/new/wait`: whether it has come; for who has no JavaScript, and for who comes back later.
pub(crate) async fn wait(asked: Asked) -> Page {
    let (name, since) = awaited(&asked).ok_or(Failure::BadRequest("name"))?;
    let rows = asked.desk(|desk, viewer| desk.sources(viewer)).await?;
    // A device may call itself something else: what has sent since is shown beside.
    let mut others: Vec<SourceRow> =
        rows.iter().filter(|row| row.last_seen.is_some_and(|at| since <= at)).take(20).cloned().collect();
    let row = arrived(rows, &name, since);
    others.retain(|other| Some(&other.name) != row.as_ref().map(|row| &row.name));
    let said = row.as_ref().map(|row| arrived_text(&asked, row)).unwrap_or_default();
    let asking = crate::render::url_query([("name", name.as_str()), ("since", &since.to_string())]);
    let p = Shell::new(&asked, "sources", locale::text(asked.language, "wizard-title")).await?;
    html(&WaitPage { p, name, row, others, said, live: format!("/live{asking}") })
}

#[derive(Template)]
#[template(path = "enrollments.html")]
struct ListPage {
    p: Shell,
    rows: Vec<EnrollmentRow>,
    refused: Vec<RefusedRow>,
}

/// `GET /sources/enrollments`: codes, certificates, and who was not let in.
pub(crate) async fn list(asked: Asked) -> Page {
    let (mut rows, refused) =
        asked.desk(|desk, viewer| Ok((desk.enrollments(viewer)?, desk.refused_senders(viewer)?))).await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    let p = Shell::new(&asked, "sources", locale::text(asked.language, "enrollments")).await?;
    html(&ListPage { p, rows, refused })
}

/// `POST /sources/enrollments/{number}/revoke`
pub(crate) async fn revoke(asked: Asked, axum::extract::Path(number): axum::extract::Path<String>) -> Page {
    let number = super::incident::number_of(&number)?;
    let because = super::alert::note_of(&asked, "because")?;
    match asked.desk(move |desk, viewer| desk.revoke_enrollment(viewer, number, &because)).await {
        Ok(_row) => Ok(see_other("/sources/enrollments?done=changed")),
        Err(Failure::Refused(refusal)) => Ok(see_other(&format!("/sources/enrollments?refused={}", refusal.code()))),
        Err(failure) => Err(failure),
    }
}
