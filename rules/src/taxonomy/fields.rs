//! Field names as rules write them, to the event fields they can mean.
//!
//! Order, best first: the name as is; its vendor homes; what the source's own log calls it; the aliases of the
//! field table; an ECS name in another case. The data's own value stands before the system's of the same name:
//! in "log cleared", `Channel` is the log that was cleared (`docs/sigma.md`, "Log sources").
//!
//! Source: Sigma taxonomy appendix 2.1.0; Security 4688 and Defender as SigmaHQ's own test mapping.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use nhatle_event::Field;
use nhatle_event::field::TABLE;

use crate::ast::LogSource;
use crate::compile::predicate::{RuleField, sigma_key};

const WINDOWS_HOMES: &[&str] = &["winlog.event_data.", "winlog.user_data."];
const LINUX_HOMES: &[&str] = &["auditd.data.", "iptables.", "winlog.event_data."];
const ALL_HOMES: &[&str] = &["winlog.event_data.", "winlog.user_data.", "auditd.data.", "iptables."];

/// What logs call a field that Sigma names otherwise: scope, Sigma's name, the fields, best first. A scope is a
/// category, product or service, or `product/category` for both together.
pub(super) const ALIASES: &[(&str, &str, &[&str])] = &[
    ("windows/process_creation", "Image", &["winlog.event_data.NewProcessName", "process.executable"]),
    ("windows/process_creation", "ParentImage", &["winlog.event_data.ParentProcessName", "process.parent.executable"]),
    ("windows/process_creation", "CommandLine", &["process.command_line"]),
    // Security 4688 gives the level as its label's SID; rules name both.
    ("windows/process_creation", "IntegrityLevel", &["winlog.event_data.MandatoryLabel"]),
    ("windows/process_creation", "ParentCommandLine", &["process.parent.command_line"]),
    ("windows/process_creation", "CurrentDirectory", &["process.working_directory"]),
    ("windows/process_creation", "OriginalFileName", &["process.pe.original_file_name"]),
    ("windows/file_event", "Image", &["process.executable"]),
    ("windows/file_event", "TargetFilename", &["file.path"]),
    ("windows/file_delete", "Image", &["process.executable"]),
    ("windows/file_delete", "TargetFilename", &["file.path"]),
    ("windows/image_load", "Image", &["process.executable"]),
    ("windows/network_connection", "Image", &["process.executable"]),
    ("windows/network_connection", "SourceIp", &["source.ip"]),
    ("windows/network_connection", "SourcePort", &["source.port"]),
    ("windows/network_connection", "DestinationIp", &["destination.ip"]),
    ("windows/network_connection", "DestinationPort", &["destination.port"]),
    ("windows/network_connection", "DestinationHostname", &["destination.domain"]),
    ("windows/dns_query", "Image", &["process.executable"]),
    ("windows/dns_query", "QueryName", &["dns.question.name"]),
    ("windows/registry_set", "Image", &["process.executable"]),
    ("windows/registry_set", "TargetObject", &["registry.path"]),
    ("windows/registry_event", "Image", &["process.executable"]),
    ("windows/registry_event", "TargetObject", &["registry.path"]),
    ("windows", "Provider_Name", &["winlog.provider_name"]),
    // Defender has data of this name; NXLog and older rules mean the provider.
    ("windows", "SourceName", &["winlog.provider_name"]),
    ("windows", "Computer", &["winlog.computer_name"]),
    ("windows", "ComputerName", &["winlog.computer_name"]),
    // As NXLog writes them.
    ("windows", "Hostname", &["winlog.computer_name"]),
    ("windows", "ProviderGuid", &["winlog.provider_guid"]),
    ("windows", "RecordNumber", &["winlog.record_id"]),
    ("windows", "ExecutionProcessID", &["winlog.process.pid"]),
    ("windows", "ThreadID", &["winlog.process.thread.id"]),
    ("windows", "OpcodeValue", &["winlog.opcode"]),
    ("windows", "EventID", &["winlog.event_id"]),
    // The time of an event is kept beside its fields, as `@timestamp`.
    ("windows", "UtcTimeCreated", &["@timestamp"]),
    ("windows", "TimeCreated", &["@timestamp"]),
    ("windows", "TimeCreated_SystemTime", &["@timestamp"]),
    ("windows", "SystemTime", &["@timestamp"]),
    ("windows", "EventTime", &["@timestamp"]),
    ("windows", "timestamp", &["@timestamp"]),
    ("windows", "UserID", &["winlog.user.identifier"]),
    ("windows", "Message", &["message"]),
    ("antivirus", "Signature", &["winlog.event_data.ThreatName"]),
    ("antivirus", "Filename", &["winlog.event_data.Path"]),
    // Rules put the path into cs-uri-query as well (75 of 113 uses in SigmaHQ), as if it were the whole request.
    ("webserver", "cs-uri-query", &["url.original"]),
    ("webserver", "c-uri", &["url.original"]),
    ("webserver", "c-uri-stem", &["url.path"]),
    ("webserver", "c-uri-query", &["url.original"]),
    ("webserver", "c-useragent", &["user_agent.original"]),
    ("webserver", "cs-referrer", &["http.request.referrer"]),
    ("webserver", "cs-username", &["user.name"]),
    ("webserver", "s-ip", &["destination.ip"]),
    ("webserver", "s-port", &["destination.port"]),
    ("proxy", "r-dns", &["url.domain", "destination.domain"]),
    ("proxy", "cs-host", &["url.domain"]),
    ("proxy", "cs-username", &["user.name"]),
    ("proxy", "cs-uri", &["url.original"]),
    ("firewall", "username", &["user.name"]),
    // Who began the connection, where the device's first address is not always that (Cisco ASA); `source.ip` else.
    ("firewall", "src_ip", &["client.ip"]),
    ("firewall", "src_port", &["client.port"]),
    ("firewall", "dst_ip", &["server.ip"]),
    ("firewall", "dst_port", &["server.port"]),
    // PAN-OS tells what it did apart from what happened.
    ("firewall", "action", &["panw.panos.action", "event.action"]),
    ("linux", "User", &["user.name"]),
];

/// Scope and name to fields: the aliases above, then those of the field table.
static BY_SCOPE: LazyLock<HashMap<(&'static str, &'static str), Vec<Field>>> = LazyLock::new(|| {
    let mut map: HashMap<(&'static str, &'static str), Vec<Field>> = HashMap::new();
    for (scope, name, fields) in ALIASES {
        map.entry((scope, name)).or_default().extend(fields.iter().filter_map(|field| Field::intern(field)));
    }
    for known in TABLE {
        for (scope, name) in known.sigma.iter().filter_map(|alias| alias.split_once(':')) {
            map.entry((scope, name)).or_default().extend(Field::lookup(known.name));
        }
    }
    map
});

/// Every name of an alias, whatever its scope.
static SIGMA_NAMES: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| BY_SCOPE.keys().map(|(_, name)| *name).collect());

/// The field of a name under a log source. Names too long or too many to be known are left out of the
/// candidates ([`Field::intern`]); such a field is never found.
pub(crate) fn field(name: &str, source: &LogSource) -> RuleField {
    let key = sigma_key(name);
    let mut candidates = Vec::new();
    add(&mut candidates, Field::intern(name));
    if Field::lookup(&key).is_none_or(|field| field.known().is_none()) {
        homes(source).for_each(|home| add(&mut candidates, Field::intern(&format!("{home}{name}"))));
    }
    for scope in scopes(source) {
        if let Some(fields) = BY_SCOPE.get(&(scope.as_ref(), key.as_ref())) {
            fields.iter().for_each(|field| add(&mut candidates, Some(*field)));
        }
    }
    if key.contains('.') {
        // ECS names are lower case; nobody means another field by `Source.IP`.
        add(&mut candidates, Field::lookup(&key.to_lowercase()).filter(|field| field.known().is_some()));
    }
    RuleField { name: name.to_owned(), candidates }
}

/// The known name that an unknown one seems to be meant for: a mistyped field of the log source, or of ECS.
pub(crate) fn meant(name: &str, source: &LogSource) -> Option<&'static str> {
    let key = sigma_key(name);
    let scopes: Vec<_> = scopes(source).collect();
    let of_scope = |wanted: &str| -> Vec<&'static str> {
        BY_SCOPE.keys().filter(|(scope, _)| *scope == wanted).map(|(_, known)| *known).collect()
    };
    let known: Vec<&'static str> = if key.contains('.') {
        TABLE.iter().map(|known| known.name).collect()
    } else {
        scopes.iter().flat_map(|scope| of_scope(scope)).collect()
    };
    let is_known = key == "@timestamp"
        || known.contains(&key.as_ref())
        || Field::lookup(&key).is_some_and(|field| field.known().is_some())
        || Field::lookup(&key.to_lowercase()).is_some_and(|field| field.known().is_some())
        || SIGMA_NAMES.contains(key.as_ref());
    if is_known { None } else { crate::nearest::nearest(&key, known) }
}

fn add(candidates: &mut Vec<Field>, field: Option<Field>) {
    if let Some(field) = field.filter(|field| !candidates.contains(field)) {
        candidates.push(field);
    }
}

/// Where a vendor's fields live.
fn homes(source: &LogSource) -> impl Iterator<Item = Cow<'static, str>> {
    let (fixed, own): (&'static [&'static str], _) = match source.product.as_deref() {
        None => (ALL_HOMES, None),
        Some("windows") => (WINDOWS_HOMES, None),
        Some("linux") => (LINUX_HOMES, None),
        Some("fortigate" | "fortios" | "fortinet") => (&["fortinet.firewall."], None),
        Some("cisco") => (&["cisco.ios.", "cisco.asa."], None),
        Some("suricata") => (&["suricata.eve."], None),
        Some("paloalto" | "panw") => (&["panw.panos."], None),
        Some("sophos") => (&["sophos.xg."], None),
        Some("cef") => (&["cef.extensions."], None),
        Some("leef") => (&["leef.extensions."], None),
        // Zeek keeps a log of its own for each protocol; the service names it.
        Some("zeek") => {
            let log = source.service.as_deref().or(source.category.as_deref()).unwrap_or("conn");
            (&[], Some(Cow::Owned(format!("zeek.{log}."))))
        }
        Some(product) => (&[], Some(Cow::Owned(format!("{product}.")))),
    };
    fixed.iter().map(|home| Cow::Borrowed(*home)).chain(own)
}

/// The scopes of a log source, narrowest first. Sysmon's categories without a product are Windows' and Linux'.
fn scopes(source: &LogSource) -> impl Iterator<Item = Cow<'_, str>> {
    let category = source.category.as_deref();
    let products: Vec<&str> = match (source.product.as_deref(), category) {
        (Some(product), _) => vec![product],
        (None, Some("webserver" | "proxy" | "firewall" | "dns" | "network" | "application" | "database")) => Vec::new(),
        (None, _) => vec!["windows", "linux"],
    };
    let pairs: Vec<_> = category
        .into_iter()
        .flat_map(|category| products.iter().map(move |product| Cow::Owned(format!("{product}/{category}"))))
        .collect();
    let service = source.service.as_deref();
    pairs.into_iter().chain(category.into_iter().chain(service).chain(products).map(Cow::Borrowed))
}
