//! Where a public address is and whose network it belongs to, from MaxMind DB files (format 2.0).
//!
//! In: the bytes of a file of cities or countries and one of autonomous systems, either may be missing. Out: ECS
//! `geo` and `as` of an address. What was found is kept by address in a table of fixed size ([`CACHE_SLOTS`]): addresses
//! repeat. Failure: bytes that are no such file, or the wrong kind, are refused with what is wrong ([`Database::open`]
//! walks the whole file once); an entry that cannot be read is as one that is not there.
//!
//! Source: MaxMind DB File Format Specification 2.0; field names of GeoIP2 City, Country and ASN.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use maxminddb::Reader;
use nhatle_event::{Text, Timestamp};
use serde::Deserialize;

/// How many addresses are kept with what was found.
pub const CACHE_SLOTS: usize = 16_384;
/// How large a file may be, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 30;
/// How long a name is kept, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// What a file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeoKind {
    /// Country, and perhaps city and coordinates.
    City,
    /// Number and organization of the autonomous system.
    Asn,
}

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Geo {
    /// `geo.country_iso_code`
    pub country_iso_code: Option<Text>,
    /// `geo.country_name`, in English.
    pub country_name: Option<Text>,
    /// `geo.city_name`, in English.
    pub city_name: Option<Text>,
    /// `geo.location`, as `latitude,longitude`.
    pub location: Option<Text>,
    /// `as.number`
    pub as_number: Option<u32>,
    /// `as.organization.name`
    pub as_organization: Option<Text>,
}

/// One file, checked.
pub struct Database {
    bytes: Arc<[u8]>,
    reader: Reader<Arc<[u8]>>,
    kind: GeoKind,
}

/// Why bytes are no file of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeoError {
    /// Too large to be held.
    #[error("larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    /// Not the format, or damaged.
    #[error("no MaxMind DB file, or damaged: {0}")]
    Damaged(String),
    /// A file of something else.
    #[error("database type {0:?} is neither a city, a country nor an ASN file")]
    OtherType(String),
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("type", &self.database_type()).field("built", &self.built()).finish()
    }
}

impl Database {
    /// Takes the bytes of a file, after walking through all of it.
    ///
    /// # Errors
    /// It is no such file.
    pub fn open(bytes: Vec<u8>) -> Result<Database, GeoError> {
        let database = Database::open_trusted(bytes)?;
        database.reader.verify().map_err(|error| GeoError::Damaged(error.to_string()))?;
        Ok(database)
    }

    /// [`Database::open`] for bytes that were walked through before (their hash is known): looks at the head only.
    ///
    /// # Errors
    /// It is no such file.
    pub fn open_trusted(bytes: Vec<u8>) -> Result<Database, GeoError> {
        if FILE_BYTES_MAX < bytes.len() {
            return Err(GeoError::TooLarge);
        }
        let bytes: Arc<[u8]> = bytes.into();
        let reader = Reader::from_source(bytes.clone()).map_err(|error| GeoError::Damaged(error.to_string()))?;
        let kind = match reader.metadata().database_type.as_str() {
            name if name.contains("ASN") || name.contains("ISP") => GeoKind::Asn,
            name if ["City", "Country", "Enterprise"].iter().any(|one| name.contains(one)) => GeoKind::City,
            other => return Err(GeoError::OtherType(other.chars().take(64).collect())),
        };
        Ok(Database { bytes, reader, kind })
    }

    /// What it is made of.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it tells.
    pub fn kind(&self) -> GeoKind {
        self.kind
    }

    /// What it calls itself (`GeoLite2-City`).
    pub fn database_type(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// When it was made.
    pub fn built(&self) -> Timestamp {
        Timestamp::from_seconds(i64::try_from(self.reader.metadata().build_epoch).unwrap_or(0))
    }

    fn look(&self, address: IpAddr, geo: &mut Geo) {
        let Ok(found) = self.reader.lookup(address) else { return };
        match self.kind {
            GeoKind::City => {
                let Ok(Some(city)) = found.decode::<City<'_>>() else { return };
                let country = city.country.or(city.registered_country).unwrap_or_default();
                geo.country_iso_code = country.iso_code.and_then(kept);
                geo.country_name = country.names.and_then(|names| names.en).and_then(kept);
                geo.city_name = city.city.and_then(|city| city.names?.en).and_then(kept);
                geo.location = city.location.and_then(|at| {
                    let is_on_earth = |at: &f64, most: f64| at.abs() <= most;
                    let latitude = at.latitude.filter(|at| is_on_earth(at, 90.0))?;
                    let longitude = at.longitude.filter(|at| is_on_earth(at, 180.0))?;
                    Some(Text::from(format!("{latitude},{longitude}")))
                });
            }
            GeoKind::Asn => {
                let Ok(Some(system)) = found.decode::<Asn<'_>>() else { return };
                geo.as_number = system.autonomous_system_number;
                geo.as_organization = system.autonomous_system_organization.and_then(kept);
            }
        }
    }
}

fn kept(name: &str) -> Option<Text> {
    (!name.is_empty() && name.len() <= NAME_BYTES_MAX).then(|| Text::from(name))
}

#[derive(Deserialize)]
struct City<'a> {
    #[serde(borrow)]
    city: Option<Place<'a>>,
    #[serde(borrow)]
    country: Option<Place<'a>>,
    #[serde(borrow)]
    registered_country: Option<Place<'a>>,
    location: Option<Location>,
}

#[derive(Default, Deserialize)]
struct Place<'a> {
    iso_code: Option<&'a str>,
    #[serde(borrow)]
    names: Option<Names<'a>>,
}

#[derive(Deserialize)]
struct Names<'a> {
    en: Option<&'a str>,
}

#[derive(Deserialize)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

#[derive(Deserialize)]
struct Asn<'a> {
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
}

/// An address and what was found for it; nothing found is kept too.
type Slot = Mutex<Option<(IpAddr, Option<Arc<Geo>>)>>;

/// The files in force.
pub struct GeoTables {
    city: Option<Database>,
    asn: Option<Database>,
    cache: Vec<Slot>,
    looks: AtomicU64,
    hits: AtomicU64,
}

impl std::fmt::Debug for GeoTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GeoTables").field("city", &self.city).field("asn", &self.asn).finish_non_exhaustive()
    }
}

impl GeoTables {
    /// The tables of these files; `None` where there are none.
    pub fn new(city: Option<Database>, asn: Option<Database>) -> Option<GeoTables> {
        (city.is_some() || asn.is_some()).then(|| GeoTables {
            city,
            asn,
            cache: (0..CACHE_SLOTS).map(|_| Mutex::new(None)).collect(),
            looks: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        })
    }

    /// What is known of an address; nothing of one that is not public ([`super::is_public`]).
    pub fn look(&self, address: IpAddr) -> Option<Arc<Geo>> {
        let address = address.to_canonical();
        if !super::is_public(address) {
            return None;
        }
        self.looks.fetch_add(1, Ordering::Relaxed);
        let slot = self.cache.get(slot_of(address))?;
        let kept = |slot: &Slot| slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, found)) = kept(slot).filter(|(of, _)| *of == address) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return found;
        }
        let found = self.look_plain(address);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some((address, found.clone()));
        found
    }

    /// [`GeoTables::look`] for a public address without the table of those seen: the slow twin.
    pub fn look_plain(&self, address: IpAddr) -> Option<Arc<Geo>> {
        let mut geo = Geo::default();
        [&self.city, &self.asn].into_iter().flatten().for_each(|database| database.look(address, &mut geo));
        (geo != Geo::default()).then(|| Arc::new(geo))
    }

    /// How many looks there were, and how many of them the kept addresses answered.
    pub fn counts(&self) -> (u64, u64) {
        (self.looks.load(Ordering::Relaxed), self.hits.load(Ordering::Relaxed))
    }

    /// The files, cities first.
    pub fn databases(&self) -> impl Iterator<Item = &Database> {
        self.city.iter().chain(&self.asn)
    }
}

/// The slot of an address: the upper bits of its product with an odd number (Fibonacci hashing).
fn slot_of(address: IpAddr) -> usize {
    let folded = match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            u64::try_from((bits ^ (bits >> 64)) & u128::from(u64::MAX)).unwrap_or(0)
        }
    };
    let mixed = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - CACHE_SLOTS.trailing_zeros());
    usize::try_from(mixed).unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::mmdb_made::{Node, database};
    use super::*;

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    fn map(rows: &[(&str, Node)]) -> Node {
        Node::Map(rows.iter().map(|(name, node)| ((*name).to_owned(), node.clone())).collect())
    }

    /// Three networks of documentation addresses.
    pub(crate) fn city_bytes() -> Vec<u8> {
        let place = |code: &str, country: &str, city: Option<&str>| {
            let mut rows = vec![(
                "country",
                map(&[("iso_code", text(code)), ("names", map(&[("en", text(country)), ("vi", text("tên"))]))]),
            )];
            if let Some(city) = city {
                rows.push(("city", map(&[("names", map(&[("en", text(city))]))])));
                rows.push(("location", map(&[("latitude", Node::Double(17.48)), ("longitude", Node::Double(106.6))])));
            }
            map(&rows)
        };
        database(
            "Test-City",
            1_790_000_000,
            &[
                ("203.0.113.0/24", place("VN", "Vietnam", Some("Dong Hoi"))),
                ("203.0.113.128/25", place("VN", "Vietnam", None)),
                ("2001:db8::/32", place("DE", "Germany", Some("Köln"))),
            ],
        )
    }

    pub(crate) fn asn_bytes() -> Vec<u8> {
        let system = |number: u32, name: &str| {
            map(&[("autonomous_system_number", Node::U32(number)), ("autonomous_system_organization", text(name))])
        };
        database("Test-ASN", 1_790_000_000, &[("203.0.113.0/24", system(64_500, "Example Net"))])
    }

    #[test]
    fn addresses_have_place_and_network() {
        let (city, asn) = (Database::open(city_bytes()).expect("opens"), Database::open(asn_bytes()).expect("opens"));
        assert_eq!((city.kind(), asn.kind(), city.database_type()), (GeoKind::City, GeoKind::Asn, "Test-City"));
        assert_eq!(city.built(), Timestamp::from_seconds(1_790_000_000));
        let tables = GeoTables::new(Some(city), Some(asn)).expect("has files");
        let look = |address: &str| tables.look(address.parse().expect("is an address"));
        let whole = look("203.0.113.9").expect("is known");
        let expected = Geo {
            country_iso_code: Some("VN".into()),
            country_name: Some("Vietnam".into()),
            city_name: Some("Dong Hoi".into()),
            location: Some("17.48,106.6".into()),
            as_number: Some(64_500),
            as_organization: Some("Example Net".into()),
        };
        assert_eq!(*whole, expected);
        assert_eq!(look("203.0.113.200").expect("is known").city_name, None, "the narrower network counts");
        assert_eq!(look("2001:db8::1").expect("is known").city_name.as_deref(), Some("Köln"));
        assert_eq!(look("::ffff:203.0.113.9"), Some(whole));
        assert_eq!((look("198.51.100.1"), look("10.0.0.1"), look("127.0.0.1")), (None, None, None));
        assert_eq!(tables.counts(), (5, 1), "private addresses are not looked up");
    }

    #[test]
    fn what_is_kept_is_what_a_look_finds() {
        let open = |bytes| Some(Database::open(bytes).expect("opens"));
        let tables = GeoTables::new(open(city_bytes()), open(asn_bytes())).expect("has files");
        let mut state = 1u32;
        for _ in 0..50_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Two networks of 65,536 addresses: more than there are slots.
            let base: u32 = if state & 1 == 0 { 0xcb00_0000 } else { 0xc633_0000 };
            let address = IpAddr::from((base | (state >> 16)).to_be_bytes());
            assert_eq!(tables.look(address), tables.look_plain(address), "{address}");
        }
        let (looks, hits) = tables.counts();
        assert!(0 < hits && hits < looks);
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let damaged = |bytes: Vec<u8>| matches!(Database::open(bytes), Err(GeoError::Damaged(_)));
        assert!(damaged(Vec::new()) && damaged(b"no database".to_vec()));
        let whole = city_bytes();
        assert!(damaged(whole[whole.len() / 2..].to_vec()) || damaged(whole[20..].to_vec()));
        assert!(damaged(whole[40..].to_vec()), "the tree is cut");
        let other = database("Test-Domain", 1, &[("203.0.113.0/24", text("x"))]);
        assert_eq!(Database::open(other).err(), Some(GeoError::OtherType("Test-Domain".to_owned())));
        assert!(GeoTables::new(None, None).is_none());
    }

    /// Any byte of a file may be wrong: a look then finds something or nothing, and never panics.
    #[test]
    fn a_damaged_file_is_survived() {
        let whole = city_bytes();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            let Ok(database) = Database::open_trusted(bytes) else { continue };
            for address in ["203.0.113.9", "2001:db8::1", "198.51.100.1"] {
                database.look(address.parse().expect("is an address"), &mut Geo::default());
            }
        }
    }
}
