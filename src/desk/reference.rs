//! Assets, lists of indicators and places of addresses: what a viewer may see of them, and what is taken in from pages
//! and the API. A viewer with a unit sees the assets of its units and no number of the whole city.

use std::net::IpAddr;

use nhatle_collector::enrich::asset::Asset;
use nhatle_collector::enrich::geo::GeoKind;
use nhatle_collector::enrich::intel::{self, Form};
use nhatle_engine::reference::{
    ASSETS, GEO_ASN, GEO_CITY, INTEL, Reference, ReferenceChange, ReferenceFile, is_list_name,
};
use nhatle_engine::register::AnyChange;
use nhatle_event::Timestamp;
use nhatle_ui::model::reference::{
    ASSETS_SHOWN_MAX, AssetRow, AssetView, FileRow, IntelView, ListRow, LookedBackRow, LookingBack, NewList, Taken,
    UnknownSender, Wrong,
};
use nhatle_ui::{Answer, DeskError, ReferenceDesk, Role, Viewer};

use super::{Limit, LiveDesk, failed, may_see};
use crate::reference::import::{self, ImportError, ListOptions};
use crate::reference::live;

fn asset_row(asset: &Asset) -> AssetRow {
    AssetRow {
        name: asset.name.to_string(),
        hosts: asset.hosts.iter().map(ToString::to_string).collect(),
        addresses: asset.ranges.iter().map(ToString::to_string).collect(),
        macs: asset.macs.iter().map(ToString::to_string).collect(),
        owner: asset.owner.to_string(),
        importance: asset.importance,
        system_level: asset.system_level,
        unit: asset.unit.to_string(),
        role: asset.role.to_string(),
        is_observe_only: asset.is_observe_only,
    }
}

/// An asset of no unit is the city's.
fn may_see_asset(limit: &Limit, asset: &Asset) -> bool {
    let unit = asset.unit.to_string();
    may_see(limit, Some(&unit).filter(|unit| !unit.is_empty()))
}

fn file_row(name: &str, reference: &Reference, file: &ReferenceFile, problem: Option<&String>) -> FileRow {
    FileRow {
        name: name.to_owned(),
        source: file.source.clone(),
        sha256: file.sha256.clone(),
        put: reference.put,
        by: reference.by.clone(),
        made: file.made_ns.map(Timestamp),
        counts: file.counts.clone().into_iter().collect(),
        left_out: file.left_out.clone().into_iter().collect(),
        problem: problem.cloned(),
    }
}

/// Only who decides for the whole city.
fn check_city(viewer: &Viewer) -> Answer<()> {
    match (viewer.role, &viewer.unit) {
        (Role::Admin | Role::Analyst, None) => Ok(()),
        (Role::Admin | Role::Analyst, Some(_)) => Err(DeskError::NotFound),
        _ => Err(DeskError::Forbidden),
    }
}

/// What is wrong with a file line by line; what is wrong with the world is a failure.
fn told<T>(result: Result<T, ImportError>) -> Answer<Result<T, Wrong>> {
    match result {
        Ok(taken) => Ok(Ok(taken)),
        Err(error) if error.is_of_data() => Ok(Err(error.to_string().lines().map(str::to_owned).collect())),
        Err(error) => Err(failed(error)),
    }
}

fn taken(file: &ReferenceFile) -> Taken {
    Taken {
        counts: file.counts.clone().into_iter().collect(),
        left_out: file.left_out.clone().into_iter().collect(),
        new: file.fresh.as_ref().map_or(0, |fresh| fresh.count),
    }
}

impl LiveDesk {
    fn put(&self, viewer: &Viewer, name: &str, file: ReferenceFile) -> Answer<Taken> {
        let answer = taken(&file);
        let change = AnyChange::Reference(name.to_owned(), ReferenceChange::Put(file));
        self.record(viewer, |_state| Ok((vec![change.clone()], ())))?;
        live::refresh(&self.shared);
        Ok(answer)
    }

    /// The importance of a host or address, where it is an asset.
    pub(super) fn importance_of(&self, name: &str) -> Option<u8> {
        let tables = self.shared.tables.current();
        let by_address = name.parse::<IpAddr>().ok().and_then(|address| tables.assets.of_address(address));
        by_address.or_else(|| tables.assets.of_host(name))?.importance
    }
}

impl ReferenceDesk for LiveDesk {
    fn assets(&self, viewer: &Viewer) -> Answer<AssetView> {
        let limit = self.limit(viewer);
        let tables = self.shared.tables.current();
        let standing = self.shared.tables.standing();
        let file = self.shared.registry.read(|state| {
            let reference = state.references.get(ASSETS)?;
            Some(file_row(ASSETS, reference, reference.file.as_ref()?, standing.problems.get(ASSETS)))
        });
        // It counts the whole city.
        let mut view = AssetView { file: file.filter(|_| limit.is_none()), ..AssetView::default() };
        for asset in tables.assets.rows().iter().filter(|asset| may_see_asset(&limit, asset)) {
            view.total += 1;
            if view.rows.len() < ASSETS_SHOWN_MAX {
                view.rows.push(asset_row(asset));
            }
        }
        let is_asset = |name: &str| {
            let by_address = name.parse::<IpAddr>().ok().and_then(|address| tables.assets.of_address(address));
            by_address.or_else(|| tables.assets.of_host(name)).is_some()
        };
        let book = self.shared.sources.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let rows = book.rows().filter(|(name, row)| may_see(&limit, &row.unit) && !is_asset(name));
        view.unknown = rows
            .map(|(name, row)| UnknownSender {
                name: name.to_owned(),
                unit: row.unit.clone(),
                received: row.total.received,
                last_seen: Timestamp(row.last_seen_ns),
            })
            .collect();
        drop(book);
        view.unknown_total = view.unknown.len() as u64;
        view.unknown.sort_by(|left, right| (right.last_seen, &left.name).cmp(&(left.last_seen, &right.name)));
        view.unknown.truncate(ASSETS_SHOWN_MAX);
        Ok(view)
    }

    fn assets_of(&self, viewer: &Viewer, names: &[String]) -> Answer<Vec<AssetRow>> {
        let limit = self.limit(viewer);
        let tables = self.shared.tables.current();
        let mut rows: Vec<AssetRow> = Vec::new();
        for name in names {
            let by_address = name.parse::<IpAddr>().ok().and_then(|address| tables.assets.of_address(address));
            let found = by_address.or_else(|| tables.assets.of_host(name)).filter(|asset| may_see_asset(&limit, asset));
            if let Some(row) = found.map(asset_row)
                && !rows.contains(&row)
            {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    fn import_assets(&self, viewer: &Viewer, table: &[u8], source: &str) -> Answer<Result<Taken, Wrong>> {
        check_city(viewer)?;
        match told(import::assets(self.shared.tables.data(), table, source))? {
            Ok(file) => self.put(viewer, ASSETS, file).map(Ok),
            Err(wrong) => Ok(Err(wrong)),
        }
    }

    fn intel(&self, viewer: &Viewer) -> Answer<IntelView> {
        let is_city = self.limit(viewer).is_none();
        let tables = self.shared.tables.current();
        let standing = self.shared.tables.standing();
        let now = self.now();
        let mut view = IntelView {
            indicators: tables.indicators.len() as u64,
            bytes: tables.indicators.bytes() as u64,
            ..IntelView::default()
        };
        self.shared.registry.read(|state| {
            for (name, reference) in &state.references {
                let Some(file) = &reference.file else { continue };
                let row = file_row(name, reference, file, standing.problems.get(name));
                if matches!(name.as_str(), GEO_CITY | GEO_ASN) {
                    view.places.push(row);
                } else if let Some(list) = name.strip_prefix(INTEL) {
                    let looked = reference.looked_back.as_ref().filter(|_| is_city);
                    view.lists.push(ListRow {
                        file: row,
                        until: reference.until(),
                        is_over: reference.until().is_some_and(|until| until <= now),
                        hits: is_city.then(|| standing.hits.get(list).copied().unwrap_or(0)),
                        waiting: reference.pending.iter().map(|(_, fresh)| fresh.count).sum(),
                        looked_back: looked.map(|looked| LookedBackRow {
                            at: looked.at,
                            events: looked.events,
                            found: looked.found,
                            alerts: looked.alerts,
                        }),
                    });
                }
            }
            if is_city {
                let without_file = |name: &&String| state.references.get(*name).is_none_or(|one| one.file.is_none());
                let problems = standing.problems.iter().filter(|(name, _)| without_file(name));
                view.problems = problems.map(|(name, why)| (name.clone(), why.clone())).collect();
            }
        });
        if let Some(geo) = tables.geo.as_ref().filter(|_| is_city) {
            view.place_looks = geo.counts();
        }
        view.looking_back =
            self.shared.looking_back.now().filter(|_| is_city).map(|(list, progress, goal)| LookingBack {
                list,
                percent: (progress.done.saturating_mul(100) / goal.max(1)).min(100),
                found: progress.found,
                alerts: progress.alerts,
            });
        Ok(view)
    }

    fn import_list(&self, viewer: &Viewer, new: &NewList) -> Answer<Result<Taken, Wrong>> {
        check_city(viewer)?;
        if !is_list_name(&new.list) {
            return Ok(Err(vec![format!("{:?}: a list's name has letters, digits, '-', '_' and '.'", new.list)]));
        }
        let Some(form) = Form::from_name(&new.kind) else {
            return Ok(Err(vec![format!("kind {:?} is not auto, lines, csv, misp or stix", new.kind)]));
        };
        let name = format!("{INTEL}{}", new.list);
        let before = self.shared.registry.read(|state| state.references.get(&name).cloned());
        let options = ListOptions { form, days_valid: new.days, confidence: new.confidence };
        let data = self.shared.tables.data();
        let take = || {
            let found = intel::read(&new.bytes, form)?;
            import::intel(data, &found, before.as_ref(), options, (viewer.user.as_str(), self.now()))
        };
        match told(take())? {
            Ok(file) => self.put(viewer, &name, file).map(Ok),
            Err(wrong) => Ok(Err(wrong)),
        }
    }

    fn remove_list(&self, viewer: &Viewer, list: &str) -> Answer<()> {
        check_city(viewer)?;
        let name = format!("{INTEL}{list}");
        self.record(viewer, |state| {
            let has_file = state.references.get(&name).is_some_and(|reference| reference.file.is_some());
            match has_file {
                true => Ok((vec![AnyChange::Reference(name.clone(), ReferenceChange::Remove {})], ())),
                false => Err(DeskError::NotFound),
            }
        })?;
        live::refresh(&self.shared);
        Ok(())
    }
}

/// Gauges of reference data in Prometheus text: totals, and the age of files.
pub(super) fn metrics(desk: &LiveDesk) -> String {
    let tables = desk.shared.tables.current();
    let now = desk.now();
    let mut rows = vec![
        ("nhatle_assets", tables.assets.rows().len() as u64),
        ("nhatle_indicators", tables.indicators.len() as u64),
        ("nhatle_indicator_bytes", tables.indicators.bytes() as u64),
        ("nhatle_reference_problems", desk.shared.tables.standing().problems.len() as u64),
    ];
    if let Some(geo) = &tables.geo {
        let (looks, hits) = geo.counts();
        rows.extend([("nhatle_geoip_looks", looks), ("nhatle_geoip_looks_kept", hits)]);
        for database in geo.databases() {
            let age_s = u64::try_from(now.since(database.built()) / 1_000_000_000).unwrap_or(0);
            rows.push((
                match database.kind() {
                    GeoKind::City => "nhatle_geoip_city_age_seconds",
                    GeoKind::Asn => "nhatle_geoip_asn_age_seconds",
                },
                age_s,
            ));
        }
    }
    rows.iter().map(|(name, value)| format!("# TYPE {name} gauge\n{name} {value}\n")).collect()
}
