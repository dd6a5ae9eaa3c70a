//! Reference data of the sample desk: an asset for each ward, a list, a file of places.

use nhatle_ui::model::reference::{
    AssetRow, AssetView, FileRow, IntelView, ListRow, LookedBackRow, NewList, Taken, UnknownSender, Wrong,
};
use nhatle_ui::{Answer, DeskError, KeepingDesk, ReferenceDesk, Viewer};

use super::{FakeDesk, NOW, UNITS};

fn asset(unit: &str, mark: &str) -> AssetRow {
    AssetRow {
        name: format!("may-{mark}"),
        hosts: vec![format!("may-{mark}")],
        addresses: vec!["198.51.100.7".to_owned()],
        owner: format!("Lan {mark}"),
        importance: Some(4),
        system_level: Some(3),
        unit: unit.to_owned(),
        role: "máy chủ".to_owned(),
        is_observe_only: true,
        ..AssetRow::default()
    }
}

fn file(name: &str) -> FileRow {
    FileRow {
        name: name.to_owned(),
        source: "made.csv".to_owned(),
        sha256: "0".repeat(64),
        put: NOW,
        by: "nhatle".to_owned(),
        made: Some(NOW),
        counts: vec![("domain".to_owned(), 12)],
        left_out: vec![("empty".to_owned(), 1)],
        problem: None,
    }
}

impl KeepingDesk for FakeDesk {}

impl ReferenceDesk for FakeDesk {
    fn assets(&self, viewer: &Viewer) -> Answer<AssetView> {
        let marks = UNITS.iter().zip(&self.marks);
        let seen = marks.filter(|(unit, _)| viewer.may_see(Some(unit)));
        let rows: Vec<AssetRow> = seen.clone().map(|(unit, mark)| asset(unit, mark)).collect();
        let unknown: Vec<UnknownSender> = seen
            .map(|(unit, mark)| UnknownSender {
                name: format!("la-{mark}"),
                unit: Some((*unit).to_owned()),
                received: 7,
                last_seen: NOW,
            })
            .collect();
        let (total, unknown_total) = (rows.len() as u64, unknown.len() as u64);
        Ok(AssetView { file: viewer.unit.is_none().then(|| file("assets")), rows, total, unknown, unknown_total })
    }

    fn assets_of(&self, viewer: &Viewer, names: &[String]) -> Answer<Vec<AssetRow>> {
        Ok(if names.is_empty() { Vec::new() } else { self.assets(viewer)?.rows })
    }

    fn import_assets(&self, viewer: &Viewer, table: &[u8], _source: &str) -> Answer<Result<Taken, Wrong>> {
        match (&viewer.unit, table.starts_with(b"host")) {
            (Some(_), _) => Err(DeskError::NotFound),
            (None, true) => Ok(Ok(Taken::default())),
            (None, false) => Ok(Err(vec!["line 1, column 1: unknown heading".to_owned()])),
        }
    }

    fn intel(&self, viewer: &Viewer) -> Answer<IntelView> {
        let looked_back = viewer.unit.is_none().then_some(LookedBackRow { at: NOW, events: 900, found: 3, alerts: 2 });
        let list = ListRow {
            file: file("intel-made"),
            until: Some(NOW),
            is_over: true,
            hits: viewer.unit.is_none().then_some(5),
            waiting: 4,
            looked_back,
        };
        Ok(IntelView {
            lists: vec![list],
            places: vec![file("geoip-city")],
            indicators: 12,
            bytes: 1,
            ..IntelView::default()
        })
    }

    fn import_list(&self, viewer: &Viewer, new: &NewList) -> Answer<Result<Taken, Wrong>> {
        match (&viewer.unit, new.bytes.is_empty()) {
            (Some(_), _) => Err(DeskError::NotFound),
            (None, false) => Ok(Ok(Taken { new: 1, ..Taken::default() })),
            (None, true) => Ok(Err(vec!["no indicator in it".to_owned()])),
        }
    }

    fn remove_list(&self, viewer: &Viewer, list: &str) -> Answer<()> {
        match (&viewer.unit, list) {
            (Some(_), _) => Err(DeskError::NotFound),
            (None, "made") => Ok(()),
            (None, _) => Err(DeskError::NotFound),
        }
    }
}
