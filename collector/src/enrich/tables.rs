//! The tables in force: assets, places and networks of addresses, indicators.
//!
//! In: an event. Out: the same event with what the tables know of its sides. The asset of `source` and `destination` is
//! found by address, then by MAC address, then by name; that of `host` by name, then by address, then by the address it
//! was received from. Made once and never changed: whoever wants other tables makes new ones and swaps them.

use std::net::IpAddr;
use std::sync::Arc;

use nhatle_event::{Event, Field, Text, Value};

use super::asset::{Asset, Assets};
use super::geo::{Geo, GeoTables};
use super::intel::table::Indicators;

/// See the module.
#[derive(Debug, Default)]
pub struct Tables {
    /// Assets of the city.
    pub assets: Arc<Assets>,
    /// Places and networks; `None` where there is no file.
    pub geo: Option<Arc<GeoTables>>,
    /// Indicators of threat intelligence.
    pub indicators: Arc<Indicators>,
}

/// The fields of one side of an event.
struct Side {
    ip: Field,
    mac: Field,
    name: Field,
    asset: [Field; 7],
}

const SOURCE: Side = Side {
    ip: Field::SOURCE_IP,
    mac: Field::SOURCE_MAC,
    name: Field::SOURCE_DOMAIN,
    asset: [
        Field::NHATLE_ASSET_SOURCE_NAME,
        Field::NHATLE_ASSET_SOURCE_OWNER,
        Field::NHATLE_ASSET_SOURCE_IMPORTANCE,
        Field::NHATLE_ASSET_SOURCE_SYSTEM_LEVEL,
        Field::NHATLE_ASSET_SOURCE_UNIT,
        Field::NHATLE_ASSET_SOURCE_ROLE,
        Field::NHATLE_ASSET_SOURCE_OBSERVE_ONLY,
    ],
};

const DESTINATION: Side = Side {
    ip: Field::DESTINATION_IP,
    mac: Field::DESTINATION_MAC,
    name: Field::DESTINATION_DOMAIN,
    asset: [
        Field::NHATLE_ASSET_DESTINATION_NAME,
        Field::NHATLE_ASSET_DESTINATION_OWNER,
        Field::NHATLE_ASSET_DESTINATION_IMPORTANCE,
        Field::NHATLE_ASSET_DESTINATION_SYSTEM_LEVEL,
        Field::NHATLE_ASSET_DESTINATION_UNIT,
        Field::NHATLE_ASSET_DESTINATION_ROLE,
        Field::NHATLE_ASSET_DESTINATION_OBSERVE_ONLY,
    ],
};

const HOST: Side = Side {
    ip: Field::HOST_IP,
    mac: Field::HOST_MAC,
    name: Field::HOST_NAME,
    asset: [
        Field::NHATLE_ASSET_HOST_NAME,
        Field::NHATLE_ASSET_HOST_OWNER,
        Field::NHATLE_ASSET_HOST_IMPORTANCE,
        Field::NHATLE_ASSET_HOST_SYSTEM_LEVEL,
        Field::NHATLE_ASSET_HOST_UNIT,
        Field::NHATLE_ASSET_HOST_ROLE,
        Field::NHATLE_ASSET_HOST_OBSERVE_ONLY,
    ],
};

impl Tables {
    /// Adds what is known; `peer` is whom the record was received from.
    pub fn enrich(&self, event: &mut Event, peer: Option<IpAddr>) {
        if !self.assets.rows().is_empty() {
            self.add_assets(event, peer);
        }
        if let Some(geo) = &self.geo {
            add_geo(event, geo);
        }
        let received = event.received;
        self.indicators.enrich(event, received);
    }

    fn add_assets(&self, event: &mut Event, peer: Option<IpAddr>) {
        for side in [&SOURCE, &DESTINATION] {
            let asset =
                self.by_ip(event, side).or_else(|| self.by_mac(event, side)).or_else(|| self.by_name(event, side));
            if let Some(asset) = asset {
                write(event, side, asset);
            }
        }
        let asset = self.by_name(event, &HOST).or_else(|| self.by_ip(event, &HOST));
        if let Some(asset) = asset.or_else(|| self.assets.of_address(peer?)) {
            write(event, &HOST, asset);
        }
    }

    fn by_ip(&self, event: &Event, side: &Side) -> Option<&Asset> {
        let mut addresses = event.get(side.ip)?.each().filter_map(Value::as_ip);
        addresses.find_map(|address| self.assets.of_address(address))
    }

    fn by_mac(&self, event: &Event, side: &Side) -> Option<&Asset> {
        event.get(side.mac)?.each().filter_map(Value::text).find_map(|mac| self.assets.of_mac(mac))
    }

    fn by_name(&self, event: &Event, side: &Side) -> Option<&Asset> {
        event.get(side.name)?.each().filter_map(Value::text).find_map(|name| self.assets.of_host(name))
    }
}

fn write(event: &mut Event, side: &Side, asset: &Asset) {
    let text = |text: &Text| (!text.is_empty()).then(|| Value::Text(text.clone()));
    let grade = |grade: Option<u8>| grade.map(|grade| Value::Long(i64::from(grade)));
    let values = [
        text(&asset.name),
        text(&asset.owner),
        grade(asset.importance),
        grade(asset.system_level),
        text(&asset.unit),
        text(&asset.role),
        asset.is_observe_only.then_some(Value::Boolean(true)),
    ];
    for (field, value) in side.asset.into_iter().zip(values) {
        if let Some(value) = value {
            event.set(field, value);
        }
    }
}

fn add_geo(event: &mut Event, geo: &GeoTables) {
    let sides = [
        (
            Field::SOURCE_IP,
            [
                Field::SOURCE_GEO_COUNTRY_ISO_CODE,
                Field::SOURCE_GEO_COUNTRY_NAME,
                Field::SOURCE_GEO_CITY_NAME,
                Field::SOURCE_GEO_LOCATION,
                Field::SOURCE_AS_NUMBER,
                Field::SOURCE_AS_ORGANIZATION_NAME,
            ],
        ),
        (
            Field::DESTINATION_IP,
            [
                Field::DESTINATION_GEO_COUNTRY_ISO_CODE,
                Field::DESTINATION_GEO_COUNTRY_NAME,
                Field::DESTINATION_GEO_CITY_NAME,
                Field::DESTINATION_GEO_LOCATION,
                Field::DESTINATION_AS_NUMBER,
                Field::DESTINATION_AS_ORGANIZATION_NAME,
            ],
        ),
    ];
    for (ip, fields) in sides {
        let address = event.get(ip).and_then(|value| value.each().find_map(Value::as_ip));
        let Some(found) = address.and_then(|address| geo.look(address)) else { continue };
        for (field, value) in fields.into_iter().zip(values(&found)) {
            // What the device said of its own side stands: it may know better where its lines end.
            if let Some(value) = value {
                event.set_default(field, value);
            }
        }
    }
}

fn values(geo: &Geo) -> [Option<Value>; 6] {
    let text = |text: &Option<Text>| text.clone().map(Value::Text);
    [
        text(&geo.country_iso_code),
        text(&geo.country_name),
        text(&geo.city_name),
        text(&geo.location),
        geo.as_number.map(|number| Value::Long(i64::from(number))),
        text(&geo.as_organization),
    ]
}

#[cfg(test)]
mod tests {
    use nhatle_event::Timestamp;

    use super::super::geo::Database;
    use super::super::geo::tests::{asn_bytes, city_bytes};
    use super::*;

    fn event(rows: &[(&str, &str)]) -> Event {
        let mut event = Event::new(Timestamp::from_seconds(1_790_000_000), *b"x");
        rows.iter().for_each(|(name, value)| event.set_named(name, *value));
        event
    }

    #[track_caller]
    fn check(tables: &Tables, rows: &[(&str, &str)], peer: Option<&str>, expected: &[(&str, &str)]) {
        let mut event = event(rows);
        tables.enrich(&mut event, peer.map(|peer| peer.parse().expect("is an address")));
        for (name, value) in expected {
            let held = Field::lookup(name).and_then(|field| event.get(field)).and_then(Value::to_text);
            assert_eq!(held.as_deref().unwrap_or("-"), *value, "{name} of {rows:?}");
        }
    }

    #[test]
    fn assets_stand_beside_the_side_they_are_of() {
        let table = "host,address,mac,owner,importance,level,unit,observe only,role\n\
            csdl-01,198.51.100.7,,Lan,5,3,TP,yes,data\n,198.51.100.0/24,,,2,,,,\ncam-01,,00:00:5e:00:53:01,,1,,,,camera\n";
        let tables = Tables { assets: Arc::new(Assets::read(table).expect("is a table")), ..Tables::default() };
        let rows =
            [("source.ip", "198.51.100.7"), ("destination.ip", "198.51.100.8"), ("host.name", "CSDL-01.example.vn")];
        let expected = [
            ("nhatle.asset.source.name", "csdl-01"),
            ("nhatle.asset.source.owner", "Lan"),
            ("nhatle.asset.source.importance", "5"),
            ("nhatle.asset.source.system_level", "3"),
            ("nhatle.asset.source.unit", "TP"),
            ("nhatle.asset.source.role", "data"),
            ("nhatle.asset.source.observe_only", "true"),
            ("nhatle.asset.destination.name", "198.51.100.0/24"),
            ("nhatle.asset.destination.importance", "2"),
            ("nhatle.asset.destination.observe_only", "-"),
            ("nhatle.asset.host.name", "csdl-01"),
        ];
        check(&tables, &rows, None, &expected);
        check(
            &tables,
            &[("source.mac", "00-00-5E-00-53-01")],
            Some("198.51.100.9"),
            &[("nhatle.asset.source.name", "cam-01"), ("nhatle.asset.host.name", "198.51.100.0/24")],
        );
        check(&tables, &[("source.ip", "203.0.113.1")], Some("203.0.113.2"), &[("nhatle.asset.host.name", "-")]);
    }

    #[test]
    fn public_addresses_have_a_place_and_a_network() {
        let open = |bytes| Some(Database::open(bytes).expect("opens"));
        let geo = GeoTables::new(open(city_bytes()), open(asn_bytes())).map(Arc::new);
        let tables = Tables { geo, ..Tables::default() };
        let rows = [("source.ip", "203.0.113.9"), ("destination.ip", "10.0.0.1"), ("source.geo.city_name", "Ba Đồn")];
        let expected = [
            ("source.geo.country_iso_code", "VN"),
            ("source.geo.country_name", "Vietnam"),
            ("source.geo.city_name", "Ba Đồn"),
            ("source.geo.location", "17.48,106.6"),
            ("source.as.number", "64500"),
            ("source.as.organization.name", "Example Net"),
            ("destination.geo.country_iso_code", "-"),
        ];
        check(&tables, &rows, None, &expected);
    }
}
