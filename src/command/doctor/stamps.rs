//! Whether heads of the proof get their time-stamps (RFC 3161). In: the data folder, the configuration. Out: a [`Check`];
//! none where nobody is asked and nobody was.

use std::path::Path;

use nhatle_event::Timestamp;
use nhatle_storage::proof::stamp::kept::{self, Kept};
use nhatle_storage::{Disk, OsDisk};

use super::Check;
use crate::config::ConfigFile;
use crate::sources::hour::HOUR_NS;

/// How many times the wanted distance a time-stamp may be old before it is worth a look.
const LATE: i64 = 2;

/// Looks.
pub fn look(data: &Path, file: &ConfigFile, now: Timestamp) -> Option<Check> {
    let disk = OsDisk::existing(data).ok()?;
    let (asking, is_asked) = (kept::asking(&disk), !file.proof.timestamp_url.is_empty());
    if asking.is_none() && !is_asked && disk.list(kept::FOLDER).ok()?.is_empty() {
        return None;
    }
    let newest = kept::newest(&disk).map_err(|error| error.to_string());
    let stamp = newest.and_then(|newest| check(newest.as_ref()));
    let said = |[vietnamese, english]: [&str; 2], todo| {
        Some(Check::watch("timestamps", [vietnamese.to_owned(), english.to_owned()], todo))
    };
    let look = [
        "Xem proof.timestamp_url và đường mạng tới tổ chức cấp dấu thời gian; không có mạng: nhatle proof request-timestamp",
        "See proof.timestamp_url and the line to the authority; without a line: nhatle proof request-timestamp",
    ];
    let stamp = match stamp {
        Ok(stamp) => stamp,
        Err(error) => {
            let what = [
                &format!("Dấu thời gian mới nhất không đúng: {error}"),
                &format!("The newest time-stamp does not hold: {error}"),
            ];
            return said(
                what.map(String::as_str),
                ["Chạy: nhatle verify --data THƯ_MỤC", "Run: nhatle verify --data DIR"],
            );
        }
    };
    if let Some(trouble) = asking.and_then(|asking| asking.trouble) {
        let what =
            [&format!("Không lấy được dấu thời gian: {trouble}"), &format!("No time-stamp could be had: {trouble}")];
        return said(what.map(String::as_str), look);
    }
    let Some((at, authority)) = stamp else {
        return said(["Chưa head nào có dấu thời gian", "No head has a time-stamp yet"], look);
    };
    let late_ns = LATE.saturating_mul(i64::from(file.proof.timestamp_every_hours)).saturating_mul(HOUR_NS);
    let what = [
        format!("Dấu thời gian mới nhất của bằng chứng: {at}, do {authority}"),
        format!("Newest time-stamp of the proof: {at}, by {authority}"),
    ];
    if is_asked && late_ns < now.0.saturating_sub(at.0) {
        return said([&what[0], &what[1]], look);
    }
    let [vietnamese, english] = what;
    Some(Check::fine("timestamps", vietnamese, english))
}

fn check(newest: Option<&Kept>) -> Result<Option<(Timestamp, String)>, String> {
    let stamp = newest.map(|newest| newest.check(None)).transpose().map_err(|error| error.to_string())?;
    Ok(stamp.map(|stamp| (stamp.at, stamp.authority)))
}
