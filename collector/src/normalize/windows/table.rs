//! The form of the mapping tables: which data field becomes which ECS field, and how.
//!
//! In: rows written as constants in `security`, `sysmon` and below. Out: the same rows with fields looked up once, by
//! dataset and event id. Promise: what a table says is all that happens to a field, but for the few `Extra` steps.

use std::sync::LazyLock;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::Field;

use super::system::{EVENT_DATA, USER_DATA};
use super::{channels, security, sysmon};

/// How a value is changed on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// As it is.
    Same,
    /// A whole number, decimal or `0x…`.
    Number,
    /// An address; IPv4 written inside IPv6 becomes IPv4.
    Address,
    /// What stands before `@`.
    BeforeAt,
    /// `DOMAIN\name`: the domain.
    AccountDomain,
    /// `DOMAIN\name`: the name.
    AccountName,
    /// The last part of a path.
    FileName,
    /// A path without its last part.
    Directory,
    /// What follows the last dot of the last part of a path.
    Extension,
    /// The hash of this name in `MD5=…,SHA256=…`, in lower case.
    Hash(&'static str),
    /// The first CN of a distinguished name.
    CommonName,
    /// One value becomes another; what is not listed is left out.
    Listed(&'static [(&'static str, &'static str)]),
    /// Each word of a list becomes another; what is not listed is left out.
    EachListed(&'static [(&'static str, &'static str)]),
    /// The names of the bits that are set, bit 0 the highest of 32.
    Bits(&'static [(u32, &'static str)]),
    /// In lower case.
    Lower,
    /// The first of Defender's resources: `file:_C:\x.exe; file:_C:\y.exe`.
    Resource,
    /// The last part of its path.
    ResourceName,
}

/// Copies a data field to an ECS field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    /// The data field's name as sent.
    pub from: &'static str,
    /// The ECS field's name.
    pub to: &'static str,
    /// How.
    pub how: How,
}

/// A step that a row of data cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra {
    /// Nothing more.
    None,
    /// Splits `TargetObject` and `Details` into `registry.*`.
    Registry,
    /// Splits `QueryResults` into `dns.*`.
    DnsResults,
    /// Reads `Key=Value` lines of the classic PowerShell log.
    PowerShellClassic,
    /// Reads `ContextInfo` of PowerShell module logging.
    PowerShellContext,
    /// Names the file or key that `ObjectType` says `ObjectName` is.
    Object,
}

/// What one event id means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    /// The event ids.
    pub codes: &'static [i64],
    /// Text the provider's name must contain; empty for any.
    pub provider: &'static str,
    /// `event.action`
    pub action: &'static str,
    /// `event.category`
    pub categories: &'static [&'static str],
    /// `event.type`
    pub types: &'static [&'static str],
    /// Groups of moves; an ECS field set by an earlier one is not set again.
    pub moves: &'static [&'static [Move]],
    /// What else.
    pub extra: Extra,
}

/// A move with its fields looked up.
#[derive(Debug)]
pub(super) struct ReadyMove {
    /// The data field's homes, in the order they are tried.
    pub from: [Option<Field>; 2],
    /// The ECS field.
    pub to: Option<Field>,
    /// The ECS field gathers values (`related.*`).
    pub is_list: bool,
    /// How.
    pub how: How,
}

/// A meaning with its fields looked up.
#[derive(Debug)]
pub(super) struct Ready {
    /// The row.
    pub meaning: &'static Meaning,
    /// Its moves.
    pub moves: Vec<ReadyMove>,
}

/// The meanings of one event id in one dataset.
type Meanings = HashMap<(&'static str, i64), Vec<Ready>>;

static MEANINGS: LazyLock<Meanings> = LazyLock::new(|| {
    let tables = [
        ("windows.security", security::SECURITY),
        ("windows.system", security::SYSTEM),
        ("windows.powershell", security::POWERSHELL),
        ("windows.defender", security::DEFENDER),
        ("windows.sysmon", sysmon::SYSMON),
    ];
    let mut meanings = Meanings::with_capacity(256);
    let more = channels::CHANNELS.iter().map(|(_, dataset, rows)| (*dataset, *rows));
    for (dataset, rows) in tables.into_iter().chain(more) {
        for meaning in rows {
            for code in meaning.codes {
                meanings.entry((dataset, *code)).or_default().push(ready(meaning));
            }
        }
    }
    meanings
});

fn ready(meaning: &'static Meaning) -> Ready {
    let home = |home: &str, name: &str| Field::intern(&format!("{home}{name}"));
    let ready_move = |one: &Move| ReadyMove {
        from: [home(EVENT_DATA, one.from), home(USER_DATA, one.from)],
        to: Field::intern(one.to),
        is_list: one.to.starts_with("related."),
        how: one.how,
    };
    Ready { meaning, moves: meaning.moves.iter().flat_map(|group| group.iter().map(ready_move)).collect() }
}

/// What this event id means in this dataset, said by this provider.
pub(super) fn meaning_of(dataset: &'static str, code: i64, provider: &str) -> Option<&'static Ready> {
    let rows = MEANINGS.get(&(dataset, code))?;
    rows.iter().find(|ready| provider.contains(ready.meaning.provider))
}

/// A move that changes nothing.
pub(super) const fn same(from: &'static str, to: &'static str) -> Move {
    Move { from, to, how: How::Same }
}

/// A move that changes the value.
pub(super) const fn how(from: &'static str, to: &'static str, how: How) -> Move {
    Move { from, to, how }
}

/// Names of `event.category` or `event.type`.
pub(super) type Names = &'static [&'static str];
/// Groups of moves.
pub(super) type Moves = &'static [&'static [Move]];

/// A row of a table.
pub(super) const fn row(
    codes: &'static [i64],
    action: &'static str,
    categories: Names,
    types: Names,
    moves: Moves,
) -> Meaning {
    Meaning { codes, provider: "", action, categories, types, moves, extra: Extra::None }
}

/// The row with a step more.
pub(super) const fn with(mut meaning: Meaning, extra: Extra) -> Meaning {
    meaning.extra = extra;
    meaning
}

/// The row, for this provider alone.
pub(super) const fn by(provider: &'static str, mut meaning: Meaning) -> Meaning {
    meaning.provider = provider;
    meaning
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_row_names_fields_that_can_be_kept() {
        assert!(MEANINGS.values().flatten().flat_map(|ready| &ready.moves).all(|one| one.to.is_some()));
    }

    #[test]
    fn an_event_id_means_what_its_provider_says() {
        let action = |dataset, code, provider| meaning_of(dataset, code, provider).map(|ready| ready.meaning.action);
        assert_eq!(action("windows.security", 4624, "Microsoft-Windows-Security-Auditing"), Some("logged-in"));
        assert_eq!(action("windows.system", 7045, "Service Control Manager"), Some("service-installed"));
        assert_eq!(action("windows.system", 7045, "someone else"), None);
        assert_eq!(action("windows.application", 1, ""), None);
    }
}
