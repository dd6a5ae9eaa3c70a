//! Taking reference data in: checked, kept, and said in one change of the register.
//!
//! In: bytes from whoever has them. Out: the [`ReferenceFile`] that a change of the register names. Nothing is in force
//! before that change, and a file that is refused leaves nothing behind. Failure: what is wrong, with place.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use nhatle_collector::enrich::asset::Assets;
use nhatle_collector::enrich::csv::CellError;
use nhatle_collector::enrich::geo::{Database, GeoError, GeoKind};
use nhatle_collector::enrich::intel::{self, Form, Found, Indicator, IntelError, list, misp};
use nhatle_engine::reference::{Fresh, GEO_ASN, GEO_CITY, Reference, ReferenceFile};
use nhatle_event::Timestamp;

use super::shelf::Shelf;

/// How long the name of a source is kept, in characters.
const SOURCE_CHARS_MAX: usize = 200;
/// How many files one folder of a list may have.
const FOLDER_FILES_MAX: usize = 100_000;

/// Why reference data is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Cells of a table are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Table(Vec<CellError>),
    /// Not UTF-8.
    #[error("no UTF-8 text at byte {0}; save the table as \"CSV UTF-8\"")]
    NotText(usize),
    /// No file of places.
    #[error(transparent)]
    Geo(#[from] GeoError),
    /// No list of indicators.
    #[error(transparent)]
    Intel(#[from] IntelError),
    /// A number that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read or written.
    #[error(transparent)]
    World(#[from] std::io::Error),
}

impl ImportError {
    /// Whether what was given is wrong, and not the world.
    pub fn is_of_data(&self) -> bool {
        !matches!(self, ImportError::World(_))
    }
}

/// The name of a source without its path.
pub fn source_name(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
    name.chars().filter(|c| !c.is_control()).take(SOURCE_CHARS_MAX).collect()
}

fn base(sha256: String, source: &str, bytes: usize) -> ReferenceFile {
    ReferenceFile {
        sha256,
        source: source.chars().filter(|c| !c.is_control()).take(SOURCE_CHARS_MAX).collect(),
        bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        ..ReferenceFile::default()
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Takes a table of assets.
///
/// # Errors
/// It is no table, cells are wrong, or it cannot be kept.
pub fn assets(data: &Path, bytes: &[u8], source: &str) -> Result<ReferenceFile, ImportError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ImportError::NotText(error.valid_up_to()))?;
    let assets = Assets::read(text).map_err(ImportError::Table)?;
    let observed = assets.rows().iter().filter(|asset| asset.is_observe_only).count();
    let mut file = base(Shelf::Assets.keep(data, bytes)?, source, bytes.len());
    file.counts = BTreeMap::from([("assets".to_owned(), count(assets.rows().len()))]);
    if observed != 0 {
        file.counts.insert("observe_only".to_owned(), count(observed));
    }
    Ok(file)
}

/// Takes a file of places or of autonomous systems; says under which name it is put in force.
///
/// # Errors
/// It is no such file, damaged, or cannot be kept.
pub fn geo(data: &Path, bytes: Vec<u8>, source: &str) -> Result<(&'static str, ReferenceFile), ImportError> {
    let length = bytes.len();
    let checked = Database::open(bytes)?;
    let name = if checked.kind() == GeoKind::City { GEO_CITY } else { GEO_ASN };
    let (made, kind) = (checked.built(), checked.database_type().to_owned());
    let mut file = base(Shelf::GeoIp.keep(data, checked.bytes())?, source, length);
    file.made_ns = Some(made.0);
    file.counts = BTreeMap::from([(kind, 1)]);
    Ok((name, file))
}

/// How a list is to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// How it is written.
    pub form: Form,
    /// After so many days its indicators mean nothing, where they say nothing else.
    pub days_valid: Option<u32>,
    /// Confidence of indicators that say none, 0 to 100.
    pub confidence: Option<u8>,
}

/// Reads a file of indicators, or a folder: a feed of MISP, or files of any form.
///
/// # Errors
/// Something cannot be read, or nothing in it is an indicator.
pub fn read_list(path: &Path, form: Form) -> Result<Found, ImportError> {
    let read = |path: &Path| {
        let error = |error: std::io::Error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if std::fs::metadata(path).map_err(error)?.len() > intel::FILE_BYTES_MAX as u64 {
            return Err(ImportError::Intel(IntelError::TooLarge));
        }
        Ok(std::fs::read(path).map_err(error)?)
    };
    if !path.is_dir() {
        return Ok(intel::read(&read(path)?, form)?);
    }
    let manifest = path.join("manifest.json");
    let names = if manifest.is_file() {
        misp::manifest(&String::from_utf8_lossy(&read(&manifest)?))?
    } else {
        let mut names: Vec<String> = std::fs::read_dir(path)?
            .take(FOLDER_FILES_MAX)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    };
    let mut all = Found::default();
    for name in names {
        // One event of a feed that is not there or is damaged does not take the others with it.
        match read(&path.join(&name)).and_then(|bytes| Ok(intel::read(&bytes, form)?)) {
            Ok(found) => all.join(found),
            Err(ImportError::Intel(IntelError::Empty(_))) => all.leave_out("file without an indicator"),
            Err(error) if error.is_of_data() => all.leave_out("file that cannot be read"),
            Err(error) => {
                tracing::warn!(%error, "file of a list not read");
                all.leave_out("file that cannot be read");
            }
        }
    }
    if all.indicators.is_empty() {
        return Err(IntelError::Empty(all.left_out.keys().cloned().collect::<Vec<_>>().join(", ")).into());
    }
    Ok(all.without_repeats())
}

/// Takes a list of indicators; those it did not have before, or whose time was over, are named as new.
///
/// # Errors
/// A number makes no sense, or it cannot be kept.
pub fn intel(
    data: &Path,
    found: &Found,
    before: Option<&Reference>,
    options: ListOptions,
    (source, now): (&str, Timestamp),
) -> Result<ReferenceFile, ImportError> {
    if options.days_valid == Some(0) || options.confidence.is_some_and(|confidence| 100 < confidence) {
        return Err(ImportError::Usage("days are 1 or more, a confidence is 0 to 100".to_owned()));
    }
    let text = list::write(&found.indicators);
    let fresh = fresh_of(data, &found.indicators, before, now);
    let mut file = base(Shelf::Intel.keep(data, text.as_bytes())?, source, text.len());
    drop(text);
    if !fresh.is_empty() {
        let text = list::write(fresh.iter().copied());
        file.fresh = Some(Fresh { sha256: Shelf::Intel.keep(data, text.as_bytes())?, count: count(fresh.len()) });
    }
    file.counts = found.counts().into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
    file.left_out.clone_from(&found.left_out);
    (file.days_valid, file.confidence) = (options.days_valid, options.confidence);
    Ok(file)
}

/// The indicators that were not in force in the list before. Both are sorted by kind and value.
fn fresh_of<'a>(
    data: &Path,
    indicators: &'a [Indicator],
    before: Option<&Reference>,
    now: Timestamp,
) -> Vec<&'a Indicator> {
    let old =
        before.and_then(|before| Some((Shelf::Intel.read(data, &before.file.as_ref()?.sha256).ok()?, before.until())));
    let (old, until) = old.unwrap_or_default();
    let old = String::from_utf8_lossy(&old);
    let mut old = list::read(&old)
        .map_while(Result::ok)
        .filter(|one| one.until.or(until).is_none_or(|until| now < until))
        .peekable();
    let mut fresh = Vec::new();
    for one in indicators {
        let order = |other: &Indicator| (other.kind, &other.value).cmp(&(one.kind, &one.value));
        while old.next_if(|other| order(other) == Ordering::Less).is_some() {}
        if old.peek().map(order) != Some(Ordering::Equal) {
            fresh.push(one);
        }
    }
    fresh
}

#[cfg(test)]
mod tests {
    use nhatle_engine::reference::{ReferenceChange, apply};

    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000_000);

    fn take(data: &Path, before: Option<&Reference>, text: &str, now: Timestamp) -> (Reference, Vec<String>) {
        let found = intel::read(text.as_bytes(), Form::Any).expect("is a list");
        let options = ListOptions { days_valid: Some(10), ..ListOptions::default() };
        let file = intel(data, &found, before, options, ("made", now)).expect("is taken");
        let fresh = file.fresh.as_ref().map(|fresh| Shelf::Intel.read(data, &fresh.sha256).expect("reads"));
        let fresh = String::from_utf8(fresh.unwrap_or_default()).expect("is text");
        let values = list::read(&fresh).filter_map(Result::ok).map(|one| one.value.to_string()).collect();
        (apply(before, "intel-l", &ReferenceChange::Put(file), "lan", now).expect("is taken"), values)
    }

    #[test]
    fn only_what_a_list_did_not_have_in_force_is_new() {
        let data = tempfile::tempdir().expect("a folder");
        let (one, fresh) = take(data.path(), None, "b.example\n198.51.100.7\n", NOW);
        assert_eq!(fresh, ["198.51.100.7", "b.example"]);
        let later = NOW.plus_nanos(86_400_000_000_000);
        let (two, fresh) = take(data.path(), Some(&one), "a.example\nb.example\nc.example\n", later);
        assert_eq!(fresh, ["a.example", "c.example"]);
        assert_eq!(two.pending.len(), 2);
        let (_, fresh) = take(data.path(), Some(&two), "b.example\n", later);
        assert_eq!(fresh, [""; 0]);
        let (_, fresh) = take(data.path(), Some(&two), "b.example\n", later.plus_nanos(11 * 86_400_000_000_000));
        assert_eq!(fresh, ["b.example"], "its time was over in between");
    }

    #[test]
    fn a_folder_is_a_feed() {
        let folder = tempfile::tempdir().expect("a folder");
        let event = |value: &str| {
            format!(
                r#"{{"Event": {{"info": "x", "Attribute": [{{"type": "domain", "value": "{value}", "to_ids": true}}]}}}}"#
            )
        };
        let uuid = |digit: char| format!("5b0c7f1e-0000-4000-8000-00000000000{digit}");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writes");
        write("manifest.json", &format!(r#"{{"{}": {{}}, "{}": {{}}, "{}": {{}}}}"#, uuid('1'), uuid('2'), uuid('3')));
        write(&format!("{}.json", uuid('1')), &event("one.example"));
        write(&format!("{}.json", uuid('2')), "{");
        write("other.json", &event("other.example"));
        let found = read_list(folder.path(), Form::Any).expect("is a feed");
        assert_eq!(found.indicators.iter().map(|one| one.value.as_str()).collect::<Vec<_>>(), ["one.example"]);
        assert_eq!(found.left_out.get("file that cannot be read"), Some(&2));
        std::fs::remove_file(folder.path().join("manifest.json")).expect("is removed");
        assert_eq!(read_list(folder.path(), Form::Any).expect("is a folder").indicators.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_said_and_not_kept() {
        let data = tempfile::tempdir().expect("a folder");
        let error = assets(data.path(), b"host,importance\na,9\n", "x.csv").expect_err("is refused");
        assert!(error.to_string().contains("line 2, column 2"), "{error}");
        assert!(matches!(assets(data.path(), b"host\n\xe9\n", "x.csv"), Err(ImportError::NotText(5))));
        assert!(geo(data.path(), b"x".to_vec(), "x.mmdb").is_err());
        assert_eq!(std::fs::read_dir(data.path()).expect("reads").count(), 0);
        let taken = assets(data.path(), "Tên máy;Chỉ quan sát\na;có\n".as_bytes(), "a\n.csv").expect("is taken");
        assert_eq!((taken.counts["assets"], taken.counts["observe_only"], taken.source.as_str()), (1, 1, "a.csv"));
    }
}
