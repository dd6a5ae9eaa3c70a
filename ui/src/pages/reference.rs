//! `/assets`, `/intel`: what the city has, and which indicators and places are in force.
//!
//! In: the register and the tables in force; forms with a table or list pasted in. Out: tables; where a table is wrong,
//! every wrong cell with what was pasted, so that nothing is typed twice.

use askama::Template;
use axum::extract::Path;
use nhatle_event::Timestamp;

use super::{Page, Shell, html};
use crate::failure::Failure;
use crate::locale;
use crate::model::reference::{AssetView, FileRow, IntelView, NewList, Wrong};
use crate::request::{Asked, see_other};

/// A file of places older than this is said to be old.
const OLD_DAYS: i64 = 60;
const DAY_NS: i64 = 86_400_000_000_000;

#[derive(Template)]
#[template(path = "assets.html")]
struct AssetsPage {
    p: Shell,
    a: AssetView,
    wrong: Wrong,
    text: String,
}

/// `GET /assets`
pub(crate) async fn assets(asked: Asked) -> Page {
    draw_assets(asked, Vec::new(), String::new()).await
}

async fn draw_assets(asked: Asked, wrong: Wrong, text: String) -> Page {
    let a = asked.desk(|desk, viewer| desk.reference().assets(viewer)).await?;
    let p = Shell::new(&asked, "assets", locale::text(asked.language, "nav-assets")).await?;
    html(&AssetsPage { p, a, wrong, text })
}

/// `POST /assets`
pub(crate) async fn import_assets(asked: Asked) -> Page {
    let text = asked.form.text("table").to_owned();
    let table = text.clone();
    let taken =
        asked.desk(move |desk, viewer| desk.reference().import_assets(viewer, table.as_bytes(), "page")).await?;
    match taken {
        Ok(_) => Ok(see_other("/assets?done=saved")),
        Err(wrong) => draw_assets(asked, wrong, text).await,
    }
}

#[derive(Template)]
#[template(path = "intel.html")]
struct IntelPage {
    p: Shell,
    i: IntelView,
    wrong: Wrong,
    text: String,
    list: String,
}

impl IntelPage {
    fn name<'a>(&self, file: &'a FileRow) -> &'a str {
        file.name.strip_prefix("intel-").unwrap_or(&file.name)
    }

    fn total(&self, file: &FileRow) -> u64 {
        file.counts.iter().map(|(_, count)| count).sum()
    }

    fn left_out(&self, file: &FileRow) -> u64 {
        file.left_out.iter().map(|(_, count)| count).sum()
    }

    fn days(&self, at: &Timestamp) -> u64 {
        u64::try_from(self.p.asked.now.since(*at) / DAY_NS).unwrap_or(0)
    }

    fn is_old(&self, file: &FileRow) -> bool {
        file.made.is_some_and(|made| OLD_DAYS * DAY_NS < self.p.asked.now.since(made))
    }

    fn megabytes(&self) -> u64 {
        self.i.bytes.div_ceil(1_000_000)
    }

    fn hit_percent(&self) -> u64 {
        let (looks, hits) = self.i.place_looks;
        hits.saturating_mul(100) / looks.max(1)
    }
}

/// `GET /intel`
pub(crate) async fn intel(asked: Asked) -> Page {
    draw_intel(asked, Vec::new(), String::new(), String::new()).await
}

async fn draw_intel(asked: Asked, wrong: Wrong, text: String, list: String) -> Page {
    let i = asked.desk(|desk, viewer| desk.reference().intel(viewer)).await?;
    let p = Shell::new(&asked, "intel", locale::text(asked.language, "nav-intel")).await?;
    html(&IntelPage { p, i, wrong, text, list })
}

/// `POST /intel`
pub(crate) async fn import_list(asked: Asked) -> Page {
    let number = |name: &'static str| -> Result<Option<u32>, Failure> {
        asked.form.get(name).map(|text| text.parse().map_err(|_bad| Failure::BadRequest(name))).transpose()
    };
    let confidence =
        number("confidence")?.map(u8::try_from).transpose().map_err(|_bad| Failure::BadRequest("confidence"))?;
    let (text, list) = (asked.form.text("indicators").to_owned(), asked.form.text("list").trim().to_owned());
    let new = NewList {
        list: list.clone(),
        bytes: text.clone().into_bytes(),
        kind: String::new(),
        days: number("days")?,
        confidence,
    };
    match asked.desk(move |desk, viewer| desk.reference().import_list(viewer, &new)).await? {
        Ok(_) => Ok(see_other("/intel?done=saved")),
        Err(wrong) => draw_intel(asked, wrong, text, list).await,
    }
}

/// `POST /intel/{list}/remove`
pub(crate) async fn remove_list(asked: Asked, Path(list): Path<String>) -> Page {
    asked.desk(move |desk, viewer| desk.reference().remove_list(viewer, &list)).await?;
    Ok(see_other("/intel?done=changed"))
}
