//! Assets: the machines and networks a city owns, and what is known of each.
//!
//! In: a table, as CSV with English or Vietnamese headings. Out: [`Assets`], which finds the asset of an address (the
//! narrowest range counts), of a host name (whole, or short against fully qualified) or of a MAC address. Failure:
//! every cell that is wrong, with line, column and heading; a table with one such cell is refused as a whole, so that
//! the register never holds half of one. Bounded by [`ASSETS_MAX`] and the bounds of [`super::csv`].

use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt};
use nhatle_event::Text;
use unicode_normalization::UnicodeNormalization;

use super::Cidr;
use super::csv::{CellError, Rows};
use super::prefix::PrefixMap;

/// How many assets there may be.
pub const ASSETS_MAX: usize = 100_000;
/// How long a table may be, in bytes.
pub const TABLE_BYTES_MAX: usize = 32 << 20;
/// How many ranges, names or MAC addresses one asset may have each.
const PLACES_MAX: usize = 64;
/// How long a text may be, in characters.
const TEXT_CHARS_MAX: usize = 256;
/// So many wrong cells are told; who wrote a table with more has one thing wrong.
pub const ERRORS_MAX: usize = 50;

/// One machine or network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asset {
    /// What people call it: its host name, or the name of the network; its first address where it has none.
    pub name: Text,
    /// Its host names, lower case.
    pub hosts: Vec<Text>,
    /// Its addresses.
    pub ranges: Vec<Cidr>,
    /// Its MAC addresses, as `00-00-5E-00-53-23` (ECS).
    pub macs: Vec<Text>,
    /// Who answers for it; may be empty.
    pub owner: Text,
    /// 1 (little) to 5 (the city stands still without it).
    pub importance: Option<u8>,
    /// Level of the information system, 1 to 5.
    pub system_level: Option<u8>,
    /// Code of the organization unit; may be empty.
    pub unit: Text,
    /// What it is for; may be empty.
    pub role: Text,
    /// Nothing automatic is ever done to it.
    pub is_observe_only: bool,
}

/// The assets, found by what events say.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    rows: Vec<Asset>,
    by_range: PrefixMap,
    by_host: HashMap<Text, u32>,
    /// First labels of fully qualified names; those of several assets find none.
    by_label: HashMap<Text, Option<u32>>,
    by_mac: HashMap<Text, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Host,
    Address,
    Mac,
    Owner,
    Importance,
    SystemLevel,
    Unit,
    ObserveOnly,
    Role,
}

/// Headings, as [`folded`] leaves them.
const HEADINGS: &[(Column, &[&str])] = &[
    (
        Column::Host,
        &["host", "name", "hostname", "hostnames", "hosts", "ten", "ten may", "may", "thiet bi", "ten thiet bi"],
    ),
    (
        Column::Address,
        &["address", "addresses", "ip", "range", "ranges", "network", "dia chi", "dia chi ip", "dai dia chi", "mang"],
    ),
    (Column::Mac, &["mac", "mac address", "dia chi mac"]),
    (Column::Owner, &["owner", "chu quan", "nguoi phu trach", "phu trach", "chu so huu"]),
    (Column::Importance, &["importance", "muc quan trong", "do quan trong", "quan trong"]),
    (Column::SystemLevel, &["system level", "level", "cap do", "cap do he thong", "cap do httt"]),
    (Column::Unit, &["unit", "don vi", "ma don vi"]),
    (Column::ObserveOnly, &["observe only", "chi quan sat", "chi theo doi"]),
    (Column::Role, &["role", "vai tro", "chuc nang", "muc dich"]),
];

/// Text without case, marks and underscores: `Cấp độ` is `cap do`.
fn folded(text: &str) -> String {
    let is_mark = |c: char| ('\u{300}'..='\u{36f}').contains(&c);
    let plain = |c: char| match c {
        'đ' => 'd',
        '_' | '-' => ' ',
        c => c,
    };
    let lower: String = text.nfd().filter(|c| !is_mark(*c)).flat_map(char::to_lowercase).map(plain).collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Assets {
    /// Reads a table.
    ///
    /// # Errors
    /// Every cell that is wrong, at most [`ERRORS_MAX`].
    pub fn read(text: &str) -> Result<Assets, Vec<CellError>> {
        let mut reading = Reading::default();
        if TABLE_BYTES_MAX < text.len() {
            reading.wrong(1, 0, format!("the table is longer than {TABLE_BYTES_MAX} bytes"));
            return Err(reading.errors);
        }
        let mut rows = Rows::new(text);
        match rows.next() {
            None => reading.wrong(1, 0, "an empty table".to_owned()),
            Some(Err(error)) => reading.errors.push(error),
            Some(Ok(row)) => reading.head(row.line, &row.cells),
        }
        for row in rows {
            if ERRORS_MAX <= reading.errors.len() {
                break;
            }
            match row {
                Ok(row) if ASSETS_MAX <= reading.rows.len() => {
                    reading.wrong(row.line, 0, format!("more than {ASSETS_MAX} assets"));
                    break;
                }
                Ok(row) => reading.row(row.line, &row.cells),
                Err(error) => reading.errors.push(error),
            }
        }
        if reading.errors.is_empty() { Ok(reading.end()) } else { Err(reading.errors) }
    }

    /// The assets, in the order of the table.
    pub fn rows(&self) -> &[Asset] {
        &self.rows
    }

    fn row(&self, at: u32) -> Option<&Asset> {
        self.rows.get(usize::try_from(at).ok()?)
    }

    /// The asset with the narrowest range that holds the address.
    pub fn of_address(&self, address: IpAddr) -> Option<&Asset> {
        self.row(self.by_range.find(address).next()?)
    }

    /// The asset of a host name, compared without case: the whole name; or, where one of the two is short, its first
    /// label. A label that several assets begin with finds none.
    pub fn of_host(&self, name: &str) -> Option<&Asset> {
        let name = lower(name.trim().trim_end_matches('.'));
        if let Some(at) = self.by_host.get(&*name) {
            return self.row(*at);
        }
        let at = match name.split_once('.') {
            Some((label, _)) => self.by_host.get(label).copied(),
            None => self.by_label.get(&*name).copied().flatten(),
        };
        self.row(at?)
    }

    /// The asset of a MAC address, however it is written.
    pub fn of_mac(&self, text: &str) -> Option<&Asset> {
        if self.by_mac.is_empty() {
            return None;
        }
        self.row(*self.by_mac.get(&mac(text)?)?)
    }
}

fn lower(text: &str) -> std::borrow::Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        true => text.to_lowercase().into(),
        false => text.into(),
    }
}

/// A MAC address as ECS writes it: upper case, with hyphens.
fn mac(text: &str) -> Option<Text> {
    let digits: Vec<char> = text.trim().chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    let is_mac = digits.len() == 12 && digits.iter().all(char::is_ascii_hexdigit);
    is_mac.then(|| {
        let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>().to_uppercase());
        Text::from(pairs.collect::<Vec<_>>().join("-"))
    })
}

#[derive(Default)]
struct Reading {
    columns: Vec<Option<Column>>,
    rows: Vec<Asset>,
    errors: Vec<CellError>,
    /// What is taken, with the line that took it.
    hosts: HashMap<Text, usize>,
    macs: HashMap<Text, usize>,
    ranges: HashMap<(IpAddr, u32), usize>,
}

impl Reading {
    fn wrong(&mut self, line: usize, column: usize, reason: String) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(CellError { line, column, reason });
        }
    }

    fn head(&mut self, line: usize, cells: &[std::borrow::Cow<'_, str>]) {
        for (column, cell) in (1..).zip(cells) {
            let name = folded(cell);
            let found = HEADINGS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(found, _)| *found);
            if found.is_none() && !name.is_empty() {
                self.wrong(line, column, format!("unknown heading {cell:?}"));
            }
            if found.is_some() && self.columns.contains(&found) {
                self.wrong(line, column, format!("{cell:?} stands there twice"));
            }
            self.columns.push(found);
        }
        if ![Column::Host, Column::Address, Column::Mac].iter().any(|one| self.columns.contains(&Some(*one))) {
            self.wrong(line, 0, "no heading host, address or mac".to_owned());
        }
    }

    fn row(&mut self, line: usize, cells: &[std::borrow::Cow<'_, str>]) {
        let known_wrong = self.errors.len();
        let mut asset = Asset::default();
        let mut said = Text::default();
        for (at, cell) in cells.iter().enumerate() {
            let Some(column) = self.columns.get(at).copied().flatten() else {
                if self.columns.len() <= at && !cell.is_empty() {
                    self.wrong(line, at + 1, "no heading above it".to_owned());
                }
                continue;
            };
            if cell.is_empty() {
                continue;
            }
            if column == Column::Host {
                said = Text::from(cell.split(is_between).find(|part| !part.is_empty()).unwrap_or_default());
            }
            if let Err(reason) = self.cell(line, column, cell, &mut asset) {
                self.wrong(line, at + 1, reason);
            }
        }
        if known_wrong < self.errors.len() {
            return;
        }
        if asset.hosts.is_empty() && asset.ranges.is_empty() && asset.macs.is_empty() {
            return self.wrong(line, 0, "neither host nor address".to_owned());
        }
        asset.name = match (said.is_empty(), asset.ranges.first()) {
            (false, _) => said,
            (true, Some(range)) => Text::from(range.to_string()),
            (true, None) => asset.macs.first().cloned().unwrap_or_default(),
        };
        self.rows.push(asset);
    }

    fn cell(&mut self, line: usize, column: Column, cell: &str, asset: &mut Asset) -> Result<(), String> {
        let text = || match cell.chars().count() {
            count if TEXT_CHARS_MAX < count => Err(format!("longer than {TEXT_CHARS_MAX} characters")),
            _ => Ok(Text::from(cell)),
        };
        let grade = || match cell.parse::<u8>() {
            Ok(grade @ 1..=5) => Ok(Some(grade)),
            _ => Err(format!("{cell:?} is not a number from 1 to 5")),
        };
        match column {
            Column::Owner => asset.owner = text()?,
            Column::Role => asset.role = text()?,
            Column::Unit => asset.unit = text()?,
            Column::Importance => asset.importance = grade()?,
            Column::SystemLevel => asset.system_level = grade()?,
            Column::ObserveOnly => {
                asset.is_observe_only = match folded(cell).as_str() {
                    "1" | "yes" | "true" | "x" | "co" | "dung" => true,
                    "0" | "no" | "false" | "khong" => false,
                    _ => return Err(format!("{cell:?} is neither yes nor no")),
                };
            }
            Column::Host | Column::Address | Column::Mac => {
                let parts: Vec<&str> = cell.split(is_between).filter(|part| !part.is_empty()).collect();
                if PLACES_MAX < parts.len() {
                    return Err(format!("more than {PLACES_MAX}"));
                }
                for part in parts {
                    self.place(line, column, part, asset)?;
                }
            }
        }
        Ok(())
    }

    fn place(&mut self, line: usize, column: Column, part: &str, asset: &mut Asset) -> Result<(), String> {
        let taken = |by: Option<usize>| match by {
            Some(other) => Err(format!("{part:?} stands in line {other} already")),
            None => Ok(()),
        };
        match column {
            Column::Mac => {
                let mac = mac(part).ok_or_else(|| format!("{part:?} is no MAC address"))?;
                taken(self.macs.insert(mac.clone(), line))?;
                asset.macs.push(mac);
            }
            Column::Address => {
                let range: Cidr = part.parse().map_err(|_error| format!("{part:?} is no address and no range"))?;
                taken(self.ranges.insert((range.first(), range.prefix()), line))?;
                asset.ranges.push(range);
            }
            _ => {
                if TEXT_CHARS_MAX < part.chars().count() {
                    return Err(format!("longer than {TEXT_CHARS_MAX} characters"));
                }
                let name = Text::from(part.trim_end_matches('.').to_lowercase());
                taken(self.hosts.insert(name.clone(), line))?;
                asset.hosts.push(name);
            }
        }
        Ok(())
    }

    fn end(self) -> Assets {
        let mut assets = Assets { by_host: HashMap::with_capacity(self.rows.len()), ..Assets::default() };
        let mut ranges = Vec::new();
        for (at, asset) in (0..).zip(&self.rows) {
            ranges.extend(asset.ranges.iter().map(|range| (*range, at)));
            for host in &asset.hosts {
                assets.by_host.insert(host.clone(), at);
                if let Some((label, _)) = host.split_once('.') {
                    let held = assets.by_label.entry(Text::from(label)).or_insert(Some(at));
                    *held = held.filter(|other| *other == at);
                }
            }
            assets.by_mac.extend(asset.macs.iter().map(|mac| (mac.clone(), at)));
        }
        assets.by_range = PrefixMap::new(ranges);
        assets.rows = self.rows;
        assets
    }
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, ';' | ',' | '|')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Tên máy;Địa chỉ IP;Địa chỉ MAC;Chủ quản;Mức quan trọng;Cấp độ;Mã đơn vị;Chỉ quan sát;Vai trò
csdl-01.donghoi.example;203.0.113.7;00:00:5e:00:53:07;Phòng CNTT;5;3;TP;có;máy chủ dữ liệu
WEB-01;203.0.113.8, 2001:db8::8;;;4;;TP;không;
;203.0.113.0/24;;;2;;;;mạng máy chủ
web-02.a.example;;;;;;;;
web-02.b.example;;;;;;;;
";

    fn names<'a>(found: impl IntoIterator<Item = Option<&'a Asset>>) -> Vec<&'a str> {
        found.into_iter().map(|asset| asset.map_or("-", |asset| asset.name.as_str())).collect()
    }

    #[test]
    fn assets_are_found_by_address_name_and_mac() {
        let assets = Assets::read(TABLE).expect("is a table");
        let address = |text: &str| assets.of_address(text.parse().expect("is an address"));
        let found = ["203.0.113.7", "203.0.113.9", "2001:db8::8", "198.51.100.1", "::ffff:203.0.113.8"].map(address);
        assert_eq!(names(found), ["csdl-01.donghoi.example", "203.0.113.0/24", "WEB-01", "-", "WEB-01"]);
        let hosts =
            ["CSDL-01", "csdl-01.donghoi.example.", "csdl-01.other.example", "web-01.any.example", "web-02", "x"];
        let found = hosts.map(|name| assets.of_host(name));
        assert_eq!(names(found), ["csdl-01.donghoi.example", "csdl-01.donghoi.example", "-", "WEB-01", "-", "-"]);
        assert_eq!(names([assets.of_mac("00-00-5E-00-53-07"), assets.of_mac("x")]), ["csdl-01.donghoi.example", "-"]);
        let first = &assets.rows()[0];
        assert_eq!((first.importance, first.system_level, first.is_observe_only), (Some(5), Some(3), true));
        assert_eq!((&*first.owner, &*first.unit, &*first.role), ("Phòng CNTT", "TP", "máy chủ dữ liệu"));
        assert!(!assets.rows()[1].is_observe_only);
    }

    #[test]
    fn every_wrong_cell_is_named() {
        let text = "host,address,importance,observe only\na,203.0.113.300,6,maybe\na,,,\n,,1,\nb,,,,x\n";
        let errors = Assets::read(text).expect_err("is refused");
        let places: Vec<(usize, usize)> = errors.iter().map(|error| (error.line, error.column)).collect();
        assert_eq!(places, [(2, 2), (2, 3), (2, 4), (3, 1), (4, 0), (5, 5)]);
        assert!(errors[3].reason.contains("line 2"), "{}", errors[3]);
        for (text, column) in [("", 0), ("color\nred", 1), ("host,Tên\na,b", 2), ("host\n\"a", 1)] {
            assert_eq!(Assets::read(text).expect_err("is refused")[0].column, column, "{text:?}");
        }
    }

    #[test]
    fn headings_are_known_without_their_marks() {
        assert_eq!(folded("  Cấp_độ  HỆ THỐNG"), "cap do he thong");
        assert_eq!(folded("Đơn vị"), "don vi");
        assert_eq!(folded("Địa chỉ".nfd().collect::<String>().as_str()), "dia chi");
    }
}
