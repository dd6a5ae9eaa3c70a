//! Packets made by an encoder of the tests' own, and what must come out of them.

use serde_json::Value as Json;

use super::template::{TEMPLATES_MAX, WAIT_NS, WAITING_MAX};
use super::*;

const EXPORTER: [u8; 4] = [192, 0, 2, 1];
/// 2026-11-23T02:10:00Z.
const SECONDS: u32 = 1_795_399_800;

/// An encoder of sets and packets that shares nothing with the reader.
#[derive(Default)]
struct Packet {
    sets: Vec<u8>,
}

impl Packet {
    fn set(mut self, id: u16, body: &[u8]) -> Packet {
        let padding = (4 - body.len() % 4) % 4;
        self.sets.extend(id.to_be_bytes());
        self.sets.extend(u16::try_from(4 + body.len() + padding).expect("fits").to_be_bytes());
        self.sets.extend(body);
        self.sets.extend(vec![0; padding]);
        self
    }

    fn v9(self, domain: u32, uptime_ms: u32) -> Vec<u8> {
        let mut packet = vec![0, 9, 0, 1];
        for word in [uptime_ms, SECONDS, 77, domain] {
            packet.extend(word.to_be_bytes());
        }
        packet.extend(self.sets);
        packet
    }

    fn ipfix(self, domain: u32) -> Vec<u8> {
        let mut packet = vec![0, 10];
        packet.extend(u16::try_from(16 + self.sets.len()).expect("fits").to_be_bytes());
        for word in [SECONDS, 78, domain] {
            packet.extend(word.to_be_bytes());
        }
        packet.extend(self.sets);
        packet
    }
}

/// A template's bytes: number, then elements with their lengths.
fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(fields.len()).expect("fits").to_be_bytes());
    for (number, length) in fields {
        bytes.extend(number.to_be_bytes());
        bytes.extend(length.to_be_bytes());
    }
    bytes
}

fn read(reader: &mut Reader, packet: &[u8], now: i64) -> Vec<Json> {
    let mut found = Vec::new();
    reader.packet(packet, IpAddr::from(EXPORTER), Timestamp(now), &mut found);
    found.iter().map(|text| serde_json::from_str(text).expect("is JSON")).collect()
}

#[track_caller]
fn check(flow: &Json, expected: &[(&str, Json)]) {
    for (name, value) in expected {
        let found = name.split('.').fold(&flow["netflow"], |inside, part| &inside[part]);
        assert_eq!(found, value, "{name} of {flow}");
    }
}

#[test]
fn version_5_has_one_shape() {
    let mut packet = vec![0, 5, 0, 2];
    for word in [60_000u32, SECONDS, 500_000_000, 41] {
        packet.extend(word.to_be_bytes());
    }
    packet.extend([1, 2, 0x40, 100]);
    let record = |last: u8| {
        let mut bytes = vec![10, 0, 0, last, 203, 0, 113, 9, 192, 0, 2, 254, 0, 3, 0, 4];
        for word in [7u32, 1200, 50_000, 59_000] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend([0x9c, 0x40, 1, 187, 0, 0x1b, 6, 0, 0xfd, 0xe8, 0, 0, 24, 16, 0, 0]);
        bytes
    };
    packet.extend(record(9));
    packet.extend(record(8));
    let flows = read(&mut Reader::default(), &packet, 0);
    assert_eq!(flows.len(), 2);
    check(
        &flows[0],
        &[
            ("type", "netflow_flow".into()),
            ("exporter.version", 5.into()),
            ("exporter.sampling_interval", 100.into()),
            ("source_ipv4_address", "10.0.0.9".into()),
            ("destination_transport_port", 443.into()),
            ("tcp_control_bits", 27.into()),
            ("protocol_identifier", 6.into()),
            ("octet_delta_count", 1200.into()),
            ("bgp_source_as_number", 65_000.into()),
            ("start", "2026-11-23T02:09:50.500Z".into()),
            ("end", "2026-11-23T02:09:59.500Z".into()),
            ("element_0", Json::Null),
        ],
    );
    check(&flows[1], &[("source_ipv4_address", "10.0.0.8".into())]);
    // A packet that says more than it holds.
    packet.truncate(24 + 48 + 20);
    let flows = read(&mut Reader::default(), &packet, 0);
    check(&flows[1], &[("fault", "netflow: fewer records than the header says".into())]);
    assert_eq!(flows[1]["netflow"]["bytes"].as_str().map(str::len), Some(40));
}

#[test]
fn version_9_reads_by_template_and_uptime_runs_over() {
    let fields = [(8, 4), (12, 4), (1, 4), (2, 4), (22, 4), (21, 4), (4, 1), (7, 2), (11, 2), (40_000, 3)];
    let mut record = vec![10, 0, 0, 9, 203, 0, 113, 9];
    for word in [1200u32, 7, u32::MAX - 999, 1_000] {
        record.extend(word.to_be_bytes());
    }
    record.extend([17, 0, 53, 0, 53, 0xab, 0xcd, 0xef]);
    let packet = Packet::default().set(0, &template(256, &fields)).set(256, &record).v9(5, 2_000);
    let flows = read(&mut Reader::default(), &packet, 0);
    assert_eq!(flows.len(), 1, "{flows:?}");
    check(
        &flows[0],
        &[
            ("exporter.source_id", 5.into()),
            ("exporter.sequence", 77.into()),
            ("exporter.template_id", 256.into()),
            // The counter ran over between: three seconds before the packet was sent, and one.
            ("start", "2026-11-23T02:09:57Z".into()),
            ("end", "2026-11-23T02:09:59Z".into()),
            ("element_40000", "abcdef".into()),
            ("destination_transport_port", 53.into()),
        ],
    );
}

#[test]
fn data_waits_for_its_template_and_is_given_up_by_name() {
    let (mut reader, fields) = (Reader::default(), [(8, 4), (12, 4)]);
    let data = Packet::default().set(300, &[10, 0, 0, 9, 203, 0, 113, 9]);
    assert!(read(&mut reader, &data.v9(1, 0), 0).is_empty());
    assert_eq!(reader.counts(), (0, 1));
    // A template of another domain is another's.
    let told = || Packet::default().set(0, &template(300, &fields));
    assert!(read(&mut reader, &told().v9(2, 0), 1).is_empty());
    let flows = read(&mut reader, &told().v9(1, 0), 2);
    assert_eq!(flows.len(), 1);
    check(&flows[0], &[("source_ipv4_address", "10.0.0.9".into())]);
    // One that nobody announces.
    let data = Packet::default().set(301, &[1, 2, 3, 4]);
    read(&mut reader, &data.v9(1, 0), 3);
    let mut found = Vec::new();
    reader.expired(Timestamp(3 + WAIT_NS - 1), &mut found);
    assert!(found.is_empty());
    reader.expired(Timestamp(3 + WAIT_NS), &mut found);
    let given_up: Json = serde_json::from_str(&found[0]).expect("is JSON");
    check(
        &given_up,
        &[
            ("fault", "netflow: data whose template did not come".into()),
            ("bytes", "01020304".into()),
            ("exporter.template_id", 301.into()),
        ],
    );
    assert_eq!(reader.counts(), (2, 0));
}

#[test]
fn ipfix_has_enterprises_variable_lengths_both_directions_and_withdrawals() {
    let mut body = 400u16.to_be_bytes().to_vec();
    body.extend(6u16.to_be_bytes());
    // 152 and 153 in milliseconds, a name of variable length, one of an enterprise, bytes of both directions.
    for (number, length, enterprise) in [
        (152u16, 8u16, None),
        (153, 8, None),
        (96, 65_535, None),
        (7, 2, Some(9u32)),
        (1, 8, None),
        (1, 8, Some(29_305)),
    ] {
        let flag = if enterprise.is_some() { 0x8000 } else { 0 };
        body.extend((number | flag).to_be_bytes());
        body.extend(length.to_be_bytes());
        body.extend(enterprise.map(u32::to_be_bytes).into_iter().flatten());
    }
    let mut record = Vec::new();
    for ms in [u64::from(SECONDS) * 1000 + 250, u64::from(SECONDS) * 1000 + 750] {
        record.extend(ms.to_be_bytes());
    }
    record.extend([3, b'd', b'n', b's', 0x12, 0x34]);
    record.extend(100u64.to_be_bytes());
    record.extend(900u64.to_be_bytes());
    let mut long = record.clone();
    long.splice(16..20, [255, 0, 2, b'n', b't']);
    record.extend(long);
    let mut reader = Reader::default();
    let flows = read(&mut reader, &Packet::default().set(2, &body).set(400, &record).ipfix(3), 0);
    assert_eq!(flows.len(), 2, "{flows:?}");
    check(
        &flows[0],
        &[
            ("application_name", "dns".into()),
            ("enterprise_9_7", "1234".into()),
            ("octet_delta_count", 100.into()),
            ("reverse_octet_delta_count", 900.into()),
            ("start", "2026-11-23T02:10:00.250Z".into()),
            ("flow_end_milliseconds", "2026-11-23T02:10:00.750Z".into()),
        ],
    );
    check(&flows[1], &[("application_name", "nt".into())]);
    read(&mut reader, &Packet::default().set(2, &[1, 144, 0, 0]).ipfix(3), 1);
    assert_eq!(reader.counts(), (0, 0));
}

#[test]
fn options_are_told_apart_from_flows() {
    // v9: a scope of one interface, then the sampler's interval.
    let body = [1, 4, 0, 4, 0, 8, 0, 2, 0, 4, 0, 34, 0, 4, 0, 35, 0, 1];
    let packet = Packet::default().set(1, &body).set(260, &[0, 0, 0, 3, 0, 0, 0, 100, 1]).v9(1, 0);
    let flows = read(&mut Reader::default(), &packet, 0);
    check(
        &flows[0],
        &[("type", "netflow_options".into()), ("scope_interface", 3.into()), ("sampling_interval", 100.into())],
    );
    // IPFIX counts its fields.
    let body = [1, 4, 0, 2, 0, 1, 0, 149, 0, 4, 0, 82, 0, 4];
    let packet = Packet::default().set(3, &body).set(260, &[0, 0, 0, 3, b'W', b'A', b'N', 0]).ipfix(1);
    let flows = read(&mut Reader::default(), &packet, 0);
    check(&flows[0], &[("type", "netflow_options".into()), ("interface_name", "WAN".into())]);
}

#[test]
fn broken_packets_are_named_and_nothing_grows() {
    let mut reader = Reader::default();
    let fault = |reader: &mut Reader, packet: &[u8]| {
        let flows = read(reader, packet, 0);
        flows.last().and_then(|flow| flow["netflow"]["fault"].as_str().map(str::to_owned)).unwrap_or_default()
    };
    for (packet, reason) in [
        (vec![0], "netflow: a packet of one byte"),
        (vec![0, 9, 0, 0], "netflow: the packet is shorter than its header"),
        (vec![0, 10, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "netflow: the packet is not as long as it says"),
        (Packet::default().set(5, &[0; 4]).v9(1, 0), "netflow: a set of no known kind"),
        (Packet::default().set(0, &template(7, &[(8, 4)])).v9(1, 0), "netflow: a template with the number of a set"),
        (
            Packet::default().set(0, &template(256, &[(8, 0)])).v9(1, 0),
            "netflow: a template whose records have no bytes",
        ),
        (
            Packet::default().set(0, &template(256, &[vec![(8, 4)], vec![(9, 0); 9]].concat())).v9(1, 0),
            "netflow: a template of fields without bytes",
        ),
        (Packet::default().set(0, &[1, 0, 0, 9, 0, 8, 0, 4]).v9(1, 0), "netflow: a template is cut"),
        (Packet::default().set(0, &[1, 0, 255, 255]).v9(1, 0), "netflow: a template of too many fields"),
        ([Packet::default().v9(1, 0), vec![1, 0, 0, 2]].concat(), "netflow: a set is longer than its packet"),
    ] {
        assert_eq!(fault(&mut reader, &packet), reason, "{packet:?}");
    }
    // A variable length past the set.
    let packet = Packet::default().set(2, &template(256, &[(96, 65_535)])).set(256, &[9, 1, 2]).ipfix(1);
    assert_eq!(fault(&mut reader, &packet), "netflow: a record is cut");
    for domain in 0..8_000 {
        let packet = Packet::default().set(0, &template(256, &[(8, 4)])).set(999, &[1, 2, 3, 4]).v9(domain, 0);
        read(&mut reader, &packet, 0);
    }
    let (known, waiting) = reader.counts();
    assert!(known <= TEMPLATES_MAX && waiting <= WAITING_MAX, "{known} and {waiting}");
}
