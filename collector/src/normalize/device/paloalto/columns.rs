//! The columns of PAN-OS's logs by type: place, name, ECS field. Data only.
//!
//! The type's first columns never moved between versions; new ones were put behind. `least` is what the first
//! version here has. Source: "Syslog Field Descriptions" of PAN-OS 8.1 to 11.1.

use nhatle_event::Field;

/// Place from 0, name under `panw.panos.` (empty = only the ECS field), ECS field.
#[derive(Clone, Copy, Debug)]
pub struct Column(pub usize, pub &'static str, pub Option<Field>);

/// A type's data set, the fewest columns a line of it has, and its columns.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// `event.dataset`.
    pub dataset: &'static str,
    /// The fewest columns.
    pub least: usize,
    /// The columns.
    pub table: &'static [Column],
}

/// The layout of a type; one that is not known gives the columns that all share.
pub fn layout(kind: &str) -> Layout {
    let (dataset, least, table) = match kind {
        "TRAFFIC" => ("panw.traffic", 31, TRAFFIC),
        "THREAT" => ("panw.threat", 36, THREAT),
        "DECRYPTION" => ("panw.decryption", 31, SESSION),
        "SYSTEM" => ("panw.system", 15, SYSTEM),
        "CONFIG" => ("panw.config", 13, CONFIG),
        "GLOBALPROTECT" => ("panw.globalprotect", 29, GLOBALPROTECT),
        "USERID" => ("panw.userid", 12, USERID),
        "HIPMATCH" | "HIP-MATCH" => ("panw.hipmatch", 13, HIPMATCH),
        "START" | "END" | "TUNNEL" => ("panw.tunnel", 31, SESSION),
        "SCTP" => ("panw.sctp", 31, SESSION),
        "GTP" => ("panw.gtp", 31, SESSION),
        "IPTAG" => ("panw.iptag", 11, IPTAG),
        "CORRELATION" => ("panw.correlation", 12, CORRELATION),
        "AUTHENTICATION" => ("panw.authentication", 21, AUTHENTICATION),
        _ => ("panw.panos", 5, &[] as &[Column]),
    };
    Layout { dataset, least, table }
}

macro_rules! session {
    ($($more:expr),* $(,)?) => {
        &[
            Column(7, "", Some(Field::SOURCE_IP)),
            Column(8, "", Some(Field::DESTINATION_IP)),
            Column(9, "", Some(Field::SOURCE_NAT_IP)),
            Column(10, "", Some(Field::DESTINATION_NAT_IP)),
            Column(11, "ruleset", Some(Field::RULE_NAME)),
            Column(12, "", Some(Field::SOURCE_USER_NAME)),
            Column(13, "", Some(Field::DESTINATION_USER_NAME)),
            Column(14, "application", Some(Field::NETWORK_APPLICATION)),
            Column(15, "virtual_system", None),
            Column(16, "source_zone", None),
            Column(17, "destination_zone", None),
            Column(18, "", Some(Field::OBSERVER_INGRESS_INTERFACE_NAME)),
            Column(19, "", Some(Field::OBSERVER_EGRESS_INTERFACE_NAME)),
            Column(20, "log_profile", None),
            Column(22, "flow_id", None),
            Column(23, "repeat_count", None),
            Column(24, "", Some(Field::SOURCE_PORT)),
            Column(25, "", Some(Field::DESTINATION_PORT)),
            Column(26, "", Some(Field::SOURCE_NAT_PORT)),
            Column(27, "", Some(Field::DESTINATION_NAT_PORT)),
            Column(28, "flags", None),
            Column(29, "", Some(Field::NETWORK_TRANSPORT)),
            Column(30, "action", None),
            $($more),*
        ]
    };
}

const SESSION: &[Column] = session![];

const TRAFFIC: &[Column] = session![
    Column(31, "", Some(Field::NETWORK_BYTES)),
    Column(32, "", Some(Field::SOURCE_BYTES)),
    Column(33, "", Some(Field::DESTINATION_BYTES)),
    Column(34, "", Some(Field::NETWORK_PACKETS)),
    Column(35, "start_time", None),
    Column(36, "elapsed_time", None),
    Column(37, "url_category", None),
    Column(39, "sequence_number", None),
    Column(41, "source_country", Some(Field::SOURCE_GEO_COUNTRY_NAME)),
    Column(42, "destination_country", Some(Field::DESTINATION_GEO_COUNTRY_NAME)),
    Column(44, "", Some(Field::SOURCE_PACKETS)),
    Column(45, "", Some(Field::DESTINATION_PACKETS)),
    Column(46, "endreason", Some(Field::EVENT_REASON)),
    Column(51, "virtual_system_name", None),
    Column(52, "", Some(Field::OBSERVER_NAME)),
    Column(53, "action_source", None),
    Column(65, "", Some(Field::RULE_UUID)),
];

const THREAT: &[Column] = session![
    Column(31, "misc", None),
    Column(32, "threat_id", None),
    Column(33, "url_category", Some(Field::RULE_CATEGORY)),
    Column(34, "severity", Some(Field::LOG_LEVEL)),
    Column(35, "direction", None),
    Column(36, "sequence_number", None),
    Column(38, "source_country", Some(Field::SOURCE_GEO_COUNTRY_NAME)),
    Column(39, "destination_country", Some(Field::DESTINATION_GEO_COUNTRY_NAME)),
    Column(41, "content_type", Some(Field::FILE_MIME_TYPE)),
    Column(43, "file_digest", None),
    Column(46, "", Some(Field::USER_AGENT_ORIGINAL)),
    Column(47, "file_type", None),
    Column(48, "x_forwarded_for", None),
    Column(49, "", Some(Field::HTTP_REQUEST_REFERRER)),
    Column(50, "sender", None),
    Column(51, "subject", None),
    Column(52, "recipient", None),
    Column(59, "", Some(Field::OBSERVER_NAME)),
    Column(63, "", Some(Field::HTTP_REQUEST_METHOD)),
    Column(69, "threat_category", None),
];

const SYSTEM: &[Column] = &[
    Column(4, "module_type", None),
    Column(7, "virtual_system", None),
    Column(8, "event", Some(Field::EVENT_ACTION)),
    Column(8, "", Some(Field::EVENT_CODE)),
    Column(9, "object", None),
    Column(12, "module", None),
    Column(13, "severity", Some(Field::LOG_LEVEL)),
    Column(14, "", Some(Field::MESSAGE)),
    Column(15, "sequence_number", None),
    Column(22, "", Some(Field::OBSERVER_NAME)),
];

const CONFIG: &[Column] = &[
    Column(7, "host", Some(Field::SOURCE_IP)),
    Column(8, "virtual_system", None),
    Column(9, "command", Some(Field::EVENT_ACTION)),
    Column(10, "", Some(Field::USER_NAME)),
    Column(11, "client", None),
    Column(12, "result", None),
    Column(13, "path", None),
];

const GLOBALPROTECT: &[Column] = &[
    Column(7, "virtual_system", None),
    Column(8, "event", Some(Field::EVENT_ACTION)),
    Column(8, "", Some(Field::EVENT_CODE)),
    Column(9, "stage", None),
    Column(10, "auth_method", None),
    Column(11, "tunnel_type", None),
    Column(12, "", Some(Field::SOURCE_USER_NAME)),
    Column(13, "source_country", Some(Field::SOURCE_GEO_COUNTRY_NAME)),
    Column(14, "machine_name", Some(Field::SOURCE_DOMAIN)),
    Column(14, "", Some(Field::HOST_NAME)),
    Column(15, "public_ip", Some(Field::SOURCE_IP)),
    Column(17, "private_ip", Some(Field::SOURCE_NAT_IP)),
    Column(19, "host_id", None),
    Column(20, "client_serial_number", None),
    Column(21, "client_version", None),
    Column(22, "client_os", None),
    Column(23, "client_os_version", None),
    Column(24, "repeat_count", None),
    Column(25, "reason", Some(Field::EVENT_REASON)),
    Column(26, "error", None),
    Column(27, "description", Some(Field::MESSAGE)),
    Column(28, "status", None),
    Column(29, "location", None),
    Column(30, "login_duration", None),
    Column(31, "connect_method", None),
    Column(32, "error_code", None),
    Column(33, "portal", None),
    Column(34, "sequence_number", None),
];

const USERID: &[Column] = &[
    Column(7, "virtual_system", None),
    Column(8, "", Some(Field::SOURCE_IP)),
    Column(9, "", Some(Field::SOURCE_USER_NAME)),
    Column(10, "data_source_name", None),
    Column(11, "event", Some(Field::EVENT_CODE)),
    Column(13, "timeout", None),
    Column(14, "", Some(Field::SOURCE_PORT)),
    Column(15, "", Some(Field::DESTINATION_PORT)),
    Column(16, "data_source", None),
    Column(17, "data_source_type", None),
];

const HIPMATCH: &[Column] = &[
    Column(7, "", Some(Field::SOURCE_USER_NAME)),
    Column(8, "virtual_system", None),
    Column(9, "machine_name", Some(Field::SOURCE_DOMAIN)),
    Column(9, "", Some(Field::HOST_NAME)),
    Column(10, "client_os", None),
    Column(11, "", Some(Field::SOURCE_IP)),
    Column(12, "match_name", Some(Field::RULE_NAME)),
];

const AUTHENTICATION: &[Column] = &[
    Column(7, "virtual_system", None),
    Column(8, "", Some(Field::SOURCE_IP)),
    Column(9, "", Some(Field::SOURCE_USER_NAME)),
    Column(10, "normalized_user", None),
    Column(11, "object", None),
    Column(12, "policy", Some(Field::RULE_NAME)),
    Column(13, "repeat_count", None),
    Column(14, "authentication_id", None),
    Column(15, "vendor", None),
    Column(16, "log_action", None),
    Column(17, "server_profile", None),
    Column(18, "description", Some(Field::MESSAGE)),
    Column(19, "client_type", None),
    Column(20, "event", Some(Field::EVENT_ACTION)),
    Column(21, "factor_number", None),
    Column(29, "", Some(Field::OBSERVER_NAME)),
];

const IPTAG: &[Column] = &[
    Column(7, "virtual_system", None),
    Column(8, "", Some(Field::SOURCE_IP)),
    Column(9, "tag", None),
    Column(10, "event", Some(Field::EVENT_ACTION)),
    Column(12, "timeout", None),
    Column(13, "data_source_name", None),
];

const CORRELATION: &[Column] = &[
    Column(7, "", Some(Field::SOURCE_IP)),
    Column(8, "", Some(Field::SOURCE_USER_NAME)),
    Column(9, "virtual_system", None),
    Column(10, "category", Some(Field::RULE_CATEGORY)),
    Column(11, "severity", Some(Field::LOG_LEVEL)),
    Column(17, "", Some(Field::OBSERVER_NAME)),
    Column(19, "object", Some(Field::RULE_NAME)),
    Column(20, "object_id", Some(Field::RULE_ID)),
    Column(21, "evidence", Some(Field::MESSAGE)),
];
