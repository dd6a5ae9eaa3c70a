//! What the numbers of NetFlow v9 and IPFIX mean: name and type of an information element.
//!
//! In: an element's number, its enterprise and its bytes. Out: a JSON value; bytes of no known meaning, or of a length
//! their type cannot have, as hexadecimal text. Names are IANA's in the snake case that Filebeat's netflow input uses.
//! Source: IANA "IPFIX Information Elements"; RFC 7011 section 6.1 (encodings, reduced sizes in 6.2), RFC 5103 (the reverse
//! direction, enterprise 29305); Cisco "NetFlow v9 field types", which share the numbers below 128.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use nhatle_event::Timestamp;
use serde_json::Value as Json;

/// The enterprise under which elements of the answering direction stand (RFC 5103 section 6.1).
pub const REVERSE: u32 = 29_305;

/// How an element is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned, 1 to 8 bytes.
    Number,
    /// Signed, 1 to 8 bytes.
    Signed,
    /// IEEE 754, 4 or 8 bytes.
    Float,
    /// 1 = true, 2 = false.
    Boolean,
    /// Four bytes.
    V4,
    /// Sixteen bytes.
    V6,
    /// Six bytes.
    Mac,
    /// UTF-8, padded with zeros by some.
    Text,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// NTP's 64 bits: seconds since 1900 and their fraction.
    Ntp,
    /// Bytes.
    Bytes,
}

use Kind::{Boolean, Bytes, Float, Mac, Milliseconds, Ntp, Number, Seconds, Signed, Text, V4, V6};

/// Number, name, type; sorted by number.
const ELEMENTS: &[(u16, &str, Kind)] = &[
    (1, "octet_delta_count", Number),
    (2, "packet_delta_count", Number),
    (3, "delta_flow_count", Number),
    (4, "protocol_identifier", Number),
    (5, "ip_class_of_service", Number),
    (6, "tcp_control_bits", Number),
    (7, "source_transport_port", Number),
    (8, "source_ipv4_address", V4),
    (9, "source_ipv4_prefix_length", Number),
    (10, "ingress_interface", Number),
    (11, "destination_transport_port", Number),
    (12, "destination_ipv4_address", V4),
    (13, "destination_ipv4_prefix_length", Number),
    (14, "egress_interface", Number),
    (15, "ip_next_hop_ipv4_address", V4),
    (16, "bgp_source_as_number", Number),
    (17, "bgp_destination_as_number", Number),
    (18, "bgp_next_hop_ipv4_address", V4),
    (19, "post_mcast_packet_delta_count", Number),
    (20, "post_mcast_octet_delta_count", Number),
    (21, "flow_end_sys_up_time", Number),
    (22, "flow_start_sys_up_time", Number),
    (23, "post_octet_delta_count", Number),
    (24, "post_packet_delta_count", Number),
    (25, "minimum_ip_total_length", Number),
    (26, "maximum_ip_total_length", Number),
    (27, "source_ipv6_address", V6),
    (28, "destination_ipv6_address", V6),
    (29, "source_ipv6_prefix_length", Number),
    (30, "destination_ipv6_prefix_length", Number),
    (31, "flow_label_ipv6", Number),
    (32, "icmp_type_code_ipv4", Number),
    (33, "igmp_type", Number),
    (34, "sampling_interval", Number),
    (35, "sampling_algorithm", Number),
    (36, "flow_active_timeout", Number),
    (37, "flow_idle_timeout", Number),
    (38, "engine_type", Number),
    (39, "engine_id", Number),
    (40, "exported_octet_total_count", Number),
    (41, "exported_message_total_count", Number),
    (42, "exported_flow_record_total_count", Number),
    (44, "source_ipv4_prefix", V4),
    (45, "destination_ipv4_prefix", V4),
    (48, "sampler_id", Number),
    (49, "sampler_mode", Number),
    (50, "sampler_random_interval", Number),
    (52, "minimum_ttl", Number),
    (53, "maximum_ttl", Number),
    (54, "fragment_identification", Number),
    (55, "post_ip_class_of_service", Number),
    (56, "source_mac_address", Mac),
    (57, "post_destination_mac_address", Mac),
    (58, "vlan_id", Number),
    (59, "post_vlan_id", Number),
    (60, "ip_version", Number),
    (61, "flow_direction", Number),
    (62, "ip_next_hop_ipv6_address", V6),
    (63, "bgp_next_hop_ipv6_address", V6),
    (64, "ipv6_extension_headers", Number),
    (70, "mpls_top_label_stack_section", Bytes),
    (80, "destination_mac_address", Mac),
    (81, "post_source_mac_address", Mac),
    (82, "interface_name", Text),
    (83, "interface_description", Text),
    (84, "sampler_name", Text),
    (85, "octet_total_count", Number),
    (86, "packet_total_count", Number),
    (88, "fragment_offset", Number),
    (89, "forwarding_status", Number),
    (94, "application_description", Text),
    (95, "application_id", Bytes),
    (96, "application_name", Text),
    (128, "bgp_next_adjacent_as_number", Number),
    (129, "bgp_prev_adjacent_as_number", Number),
    (130, "exporter_ipv4_address", V4),
    (131, "exporter_ipv6_address", V6),
    (132, "dropped_octet_delta_count", Number),
    (133, "dropped_packet_delta_count", Number),
    (136, "flow_end_reason", Number),
    (137, "common_properties_id", Number),
    (138, "observation_point_id", Number),
    (139, "icmp_type_code_ipv6", Number),
    (144, "exporting_process_id", Number),
    (145, "template_id", Number),
    (148, "flow_id", Number),
    (149, "observation_domain_id", Number),
    (150, "flow_start_seconds", Seconds),
    (151, "flow_end_seconds", Seconds),
    (152, "flow_start_milliseconds", Milliseconds),
    (153, "flow_end_milliseconds", Milliseconds),
    (154, "flow_start_microseconds", Ntp),
    (155, "flow_end_microseconds", Ntp),
    (156, "flow_start_nanoseconds", Ntp),
    (157, "flow_end_nanoseconds", Ntp),
    (158, "flow_start_delta_microseconds", Number),
    (159, "flow_end_delta_microseconds", Number),
    (160, "system_init_time_milliseconds", Milliseconds),
    (161, "flow_duration_milliseconds", Number),
    (162, "flow_duration_microseconds", Number),
    (176, "icmp_type_ipv4", Number),
    (177, "icmp_code_ipv4", Number),
    (178, "icmp_type_ipv6", Number),
    (179, "icmp_code_ipv6", Number),
    (180, "udp_source_port", Number),
    (181, "udp_destination_port", Number),
    (182, "tcp_source_port", Number),
    (183, "tcp_destination_port", Number),
    (189, "ip_header_length", Number),
    (192, "ip_ttl", Number),
    (195, "ip_diff_serv_code_point", Number),
    (224, "ip_total_length", Number),
    (225, "post_nat_source_ipv4_address", V4),
    (226, "post_nat_destination_ipv4_address", V4),
    (227, "post_napt_source_transport_port", Number),
    (228, "post_napt_destination_transport_port", Number),
    (229, "nat_originating_address_realm", Number),
    (230, "nat_event", Number),
    (231, "initiator_octets", Number),
    (232, "responder_octets", Number),
    (233, "firewall_event", Number),
    (234, "ingress_vrfid", Number),
    (235, "egress_vrfid", Number),
    (236, "vrf_name", Text),
    (239, "biflow_direction", Number),
    (243, "dot1q_vlan_id", Number),
    (254, "post_dot1q_vlan_id", Number),
    (256, "ethernet_type", Number),
    (281, "post_nat_source_ipv6_address", V6),
    (282, "post_nat_destination_ipv6_address", V6),
    (283, "nat_pool_id", Number),
    (298, "initiator_packets", Number),
    (299, "responder_packets", Number),
    (302, "selector_id", Number),
    (304, "selector_algorithm", Number),
    (305, "sampling_packet_interval", Number),
    (306, "sampling_packet_space", Number),
    (322, "observation_time_seconds", Seconds),
    (323, "observation_time_milliseconds", Milliseconds),
    (324, "observation_time_microseconds", Ntp),
    (325, "observation_time_nanoseconds", Ntp),
    (346, "private_enterprise_number", Number),
    (352, "layer2_octet_delta_count", Number),
    (371, "user_name", Text),
    (372, "application_category_name", Text),
    (373, "application_sub_category_name", Text),
    (374, "application_group_name", Text),
    (404, "mib_object_value_integer", Signed),
    (455, "mobile_imsi", Text),
    (457, "http_status_code", Number),
    (459, "http_request_method", Text),
    (460, "http_request_host", Text),
    (461, "http_request_target", Text),
    (462, "http_message_version", Text),
    (468, "http_user_agent", Text),
    (276, "data_records_reliability", Boolean),
    (320, "absolute_error", Float),
];

/// The name below `netflow.` and the type of an element.
pub fn element(number: u16, enterprise: u32) -> (String, Kind) {
    let known = ELEMENTS.iter().find(|(known, _, _)| *known == number);
    match (enterprise, known) {
        (0, Some((_, name, kind))) => ((*name).to_owned(), *kind),
        (REVERSE, Some((_, name, kind))) => (format!("reverse_{name}"), *kind),
        (0, None) => (format!("element_{number}"), Bytes),
        (enterprise, _) => (format!("enterprise_{enterprise}_{number}"), Bytes),
    }
}

/// An element's bytes as a value of its type.
pub fn value(kind: Kind, bytes: &[u8]) -> Json {
    let read = match kind {
        Number => unsigned(bytes).map(Json::from),
        Signed => unsigned(bytes).and_then(|raw| {
            let shift = 64 - 8 * u32::try_from(bytes.len()).ok()?;
            Some(Json::from((raw << shift).cast_signed() >> shift))
        }),
        Float => match bytes.len() {
            4 => bytes.try_into().ok().map(|raw| f64::from(f32::from_be_bytes(raw))).map(Json::from),
            _ => bytes.try_into().ok().map(|raw| Json::from(f64::from_be_bytes(raw))),
        },
        Boolean => match bytes {
            [1] => Some(Json::Bool(true)),
            [2] => Some(Json::Bool(false)),
            _ => None,
        },
        V4 => <[u8; 4]>::try_from(bytes).ok().map(|raw| Json::from(Ipv4Addr::from(raw).to_string())),
        V6 => <[u8; 16]>::try_from(bytes).ok().map(|raw| Json::from(Ipv6Addr::from(raw).to_string())),
        Mac => (bytes.len() == 6).then(|| {
            let parts: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Json::from(parts.join(":"))
        }),
        Text => text(bytes),
        Seconds | Milliseconds | Ntp => moment(kind, bytes).map(|moment| Json::from(moment.to_string())),
        Bytes => None,
    };
    // A float that is no number has no JSON either.
    read.filter(|value| !value.is_null()).unwrap_or_else(|| Json::from(hex(bytes)))
}

/// The moment that an element of a time's type tells.
pub fn moment(kind: Kind, bytes: &[u8]) -> Option<Timestamp> {
    /// Seconds from 1900 to 1970 (RFC 5905 section 6).
    const NTP_OFFSET_S: i64 = 2_208_988_800;
    let number = unsigned(bytes)?;
    let nanos = match kind {
        Seconds => i64::try_from(number).ok()?.checked_mul(1_000_000_000)?,
        Milliseconds => i64::try_from(number).ok()?.checked_mul(1_000_000)?,
        Ntp if bytes.len() == 8 => {
            let seconds = i64::try_from(number >> 32).ok()? - NTP_OFFSET_S;
            let fraction = ((number & 0xffff_ffff) * 1_000_000_000) >> 32;
            seconds.checked_mul(1_000_000_000)?.checked_add(i64::try_from(fraction).ok()?)?
        }
        _ => return None,
    };
    Some(Timestamp(nanos))
}

/// An unsigned number of 1 to 8 bytes, network order.
pub fn unsigned(bytes: &[u8]) -> Option<u64> {
    (1..=8).contains(&bytes.len()).then(|| bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Text as sent; what is not UTF-8, or holds zeros but at its end, is not text.
fn text(bytes: &[u8]) -> Option<Json> {
    let padding = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let text = std::str::from_utf8(bytes.get(..bytes.len() - padding)?).ok()?;
    (!text.contains('\0')).then(|| Json::from(text))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(shown, "{byte:02x}").expect("a string takes everything");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_types_and_odd_ones_stay_bytes() {
        assert_eq!(value(Number, &[1, 0]), 256);
        assert_eq!(value(Number, &[]), "");
        assert_eq!(value(Signed, &[0xff]), -1);
        assert_eq!(value(Signed, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), -2);
        assert_eq!(value(Float, &[0x3f, 0x80, 0, 0]), 1.0);
        assert_eq!(value(Float, &[0x7f, 0xc0, 0, 0]), "7fc00000");
        assert_eq!(value(V4, &[192, 0, 2, 1]), "192.0.2.1");
        assert_eq!(value(V4, &[192, 0, 2]), "c00002");
        assert_eq!(value(Mac, &[2, 0, 0, 0, 0, 0x1f]), "02:00:00:00:00:1f");
        assert_eq!(value(Text, b"WAN\0\0"), "WAN");
        assert_eq!(value(Text, b"a\0b"), "610062");
        assert_eq!(value(Seconds, &[0, 0, 0, 1]), "1970-01-01T00:00:01Z");
        assert_eq!(value(Ntp, &[0x83, 0xaa, 0x7e, 0x80, 0x80, 0, 0, 0]), "1970-01-01T00:00:00.500Z");
        assert_eq!(value(Bytes, &[1, 2, 0xff]), "0102ff");
        assert_eq!(element(1, REVERSE).0, "reverse_octet_delta_count");
        assert_eq!(element(12_000, 0).0, "element_12000");
        assert_eq!(element(7, 9).0, "enterprise_9_7");
    }
}
