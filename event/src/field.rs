//! `Field`: the closed table of ECS fields nhatle knows (name, type, how stored, Sigma aliases by log
//! source), and the bounded register of vendor fields, which keep their vendor name.
//!
//! A field is a number. The numbers of table rows are part of the log's format: rows are only ever
//! added at the end (`a_row_never_moves` below pins them). Vendor fields get numbers past the table
//! as they are first seen; those numbers never leave the process.
//!
//! Source of names and types: Elastic Common Schema 8.17; `nhatle.*` is ours. Sigma aliases: Sigma
//! taxonomy appendix 2.1.0 (webserver, firewall, dns, proxy, process_creation on Linux).

use std::cell::RefCell;
use std::fmt;
use std::sync::{LazyLock, RwLock};

use foldhash::{HashMap, HashMapExt};

/// How many vendor field names one process keeps.
pub const VENDOR_FIELDS_MAX: usize = 65_536;
/// How long a field name may be, in bytes.
pub const FIELD_NAME_BYTES_MAX: usize = 256;

/// The type of a field's value, as ECS has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A short text compared as a whole.
    Keyword,
    /// Text searched by its words.
    Text,
    /// A whole number.
    Long,
    /// A number with a fraction.
    Double,
    /// True or false.
    Boolean,
    /// An address.
    Ip,
    /// A moment.
    Date,
}

/// How a field is stored in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// As a typed column of its own.
    Column,
    /// Together with the vendor fields.
    Dynamic,
}

/// A row of the table: what nhatle knows of a field.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The ECS name, dotted.
    pub name: &'static str,
    /// The ECS type.
    pub kind: Kind,
    /// How a segment stores it.
    pub storage: Storage,
    /// Sigma field names that mean this field, as `category-or-product:name` (`webserver:c-ip`).
    pub sigma: &'static [&'static str],
}

/// A field by number: a row of the table, or a vendor field.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(u32);

/// Declares a constant and a table row for each line, so that the two cannot disagree.
macro_rules! fields {
    ($($constant:ident $name:literal $kind:ident $storage:ident [$($sigma:literal),*];)*) => {
        /// The table. The place of a row is the field's number in the log.
        pub const TABLE: &[Known] = &[
            $(Known { name: $name, kind: Kind::$kind, storage: Storage::$storage, sigma: &[$($sigma),*] },)*
        ];
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "names of rows, used only to number them")]
        enum Row { $($constant,)* }
        impl Field {
            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: Field = Field(Row::$constant as u32);
            )*
        }
    };
}

fields! {
    MESSAGE "message" Text Column [];
    TAGS "tags" Keyword Dynamic [];
    EVENT_ID "event.id" Keyword Column [];
    EVENT_KIND "event.kind" Keyword Column [];
    EVENT_CATEGORY "event.category" Keyword Column [];
    EVENT_TYPE "event.type" Keyword Dynamic [];
    EVENT_ACTION "event.action" Keyword Column [];
    EVENT_OUTCOME "event.outcome" Keyword Column [];
    EVENT_CODE "event.code" Keyword Column ["windows:EventID"];
    EVENT_PROVIDER "event.provider" Keyword Column ["windows:Provider_Name"];
    EVENT_MODULE "event.module" Keyword Column [];
    EVENT_DATASET "event.dataset" Keyword Column [];
    EVENT_SEVERITY "event.severity" Long Column [];
    EVENT_REASON "event.reason" Keyword Dynamic [];
    EVENT_DURATION "event.duration" Long Dynamic [];
    EVENT_START "event.start" Date Dynamic [];
    EVENT_END "event.end" Date Dynamic [];
    EVENT_SEQUENCE "event.sequence" Long Dynamic [];
    EVENT_URL "event.url" Keyword Dynamic [];
    EVENT_TIMEZONE "event.timezone" Keyword Dynamic [];
    ERROR_MESSAGE "error.message" Text Column [];
    ERROR_CODE "error.code" Keyword Dynamic [];
    LOG_LEVEL "log.level" Keyword Column [];
    LOG_LOGGER "log.logger" Keyword Dynamic [];
    LOG_FILE_PATH "log.file.path" Keyword Dynamic [];
    LOG_OFFSET "log.offset" Long Dynamic [];
    LOG_SOURCE_ADDRESS "log.source.address" Keyword Column [];
    LOG_SYSLOG_PRIORITY "log.syslog.priority" Long Dynamic [];
    LOG_SYSLOG_FACILITY_CODE "log.syslog.facility.code" Long Dynamic [];
    LOG_SYSLOG_FACILITY_NAME "log.syslog.facility.name" Keyword Dynamic [];
    LOG_SYSLOG_SEVERITY_CODE "log.syslog.severity.code" Long Dynamic [];
    LOG_SYSLOG_SEVERITY_NAME "log.syslog.severity.name" Keyword Dynamic [];
    LOG_SYSLOG_APPNAME "log.syslog.appname" Keyword Dynamic [];
    LOG_SYSLOG_HOSTNAME "log.syslog.hostname" Keyword Dynamic [];
    LOG_SYSLOG_PROCID "log.syslog.procid" Keyword Dynamic [];
    LOG_SYSLOG_MSGID "log.syslog.msgid" Keyword Dynamic [];
    LOG_SYSLOG_VERSION "log.syslog.version" Keyword Dynamic [];
    HOST_NAME "host.name" Keyword Column ["windows:Computer", "windows:ComputerName", "linux:hostname"];
    HOST_HOSTNAME "host.hostname" Keyword Dynamic [];
    HOST_IP "host.ip" Ip Dynamic [];
    HOST_MAC "host.mac" Keyword Dynamic [];
    HOST_ID "host.id" Keyword Dynamic [];
    HOST_OS_TYPE "host.os.type" Keyword Dynamic [];
    USER_NAME "user.name" Keyword Column ["linux:User"];
    USER_ID "user.id" Keyword Column [];
    USER_DOMAIN "user.domain" Keyword Dynamic [];
    USER_EMAIL "user.email" Keyword Dynamic [];
    USER_GROUP_NAME "user.group.name" Keyword Dynamic [];
    USER_EFFECTIVE_NAME "user.effective.name" Keyword Dynamic [];
    USER_EFFECTIVE_ID "user.effective.id" Keyword Dynamic [];
    USER_TARGET_NAME "user.target.name" Keyword Dynamic [];
    USER_TARGET_ID "user.target.id" Keyword Dynamic [];
    USER_TARGET_DOMAIN "user.target.domain" Keyword Dynamic [];
    GROUP_NAME "group.name" Keyword Dynamic [];
    GROUP_ID "group.id" Keyword Dynamic [];
    GROUP_DOMAIN "group.domain" Keyword Dynamic [];
    SOURCE_ADDRESS "source.address" Keyword Dynamic [];
    SOURCE_IP "source.ip" Ip Column ["webserver:c-ip", "webserver:src_ip", "proxy:c-ip", "proxy:src_ip", "firewall:src_ip", "linux:SourceIp", "dns:src_ip"];
    SOURCE_PORT "source.port" Long Column ["firewall:src_port", "linux:SourcePort"];
    SOURCE_DOMAIN "source.domain" Keyword Dynamic [];
    SOURCE_MAC "source.mac" Keyword Dynamic [];
    SOURCE_BYTES "source.bytes" Long Dynamic [];
    SOURCE_PACKETS "source.packets" Long Dynamic [];
    SOURCE_USER_NAME "source.user.name" Keyword Dynamic [];
    DESTINATION_ADDRESS "destination.address" Keyword Dynamic [];
    DESTINATION_IP "destination.ip" Ip Column ["firewall:dst_ip", "linux:DestinationIp", "proxy:dst_ip"];
    DESTINATION_PORT "destination.port" Long Column ["firewall:dst_port", "linux:DestinationPort"];
    DESTINATION_DOMAIN "destination.domain" Keyword Column ["webserver:cs-host", "proxy:cs-host", "linux:DestinationHostname"];
    DESTINATION_MAC "destination.mac" Keyword Dynamic [];
    DESTINATION_BYTES "destination.bytes" Long Dynamic [];
    DESTINATION_PACKETS "destination.packets" Long Dynamic [];
    DESTINATION_USER_NAME "destination.user.name" Keyword Dynamic [];
    NETWORK_TRANSPORT "network.transport" Keyword Column ["firewall:protocol"];
    NETWORK_PROTOCOL "network.protocol" Keyword Dynamic [];
    NETWORK_TYPE "network.type" Keyword Dynamic [];
    NETWORK_DIRECTION "network.direction" Keyword Dynamic [];
    NETWORK_BYTES "network.bytes" Long Dynamic [];
    NETWORK_PACKETS "network.packets" Long Dynamic [];
    NETWORK_IANA_NUMBER "network.iana_number" Keyword Dynamic [];
    NETWORK_COMMUNITY_ID "network.community_id" Keyword Dynamic [];
    OBSERVER_NAME "observer.name" Keyword Dynamic [];
    OBSERVER_VENDOR "observer.vendor" Keyword Dynamic [];
    OBSERVER_PRODUCT "observer.product" Keyword Dynamic [];
    OBSERVER_INGRESS_INTERFACE_NAME "observer.ingress.interface.name" Keyword Dynamic [];
    OBSERVER_EGRESS_INTERFACE_NAME "observer.egress.interface.name" Keyword Dynamic [];
    PROCESS_NAME "process.name" Keyword Column [];
    PROCESS_PID "process.pid" Long Column ["linux:ProcessId"];
    PROCESS_EXECUTABLE "process.executable" Keyword Column ["linux:Image", "macos:Image"];
    PROCESS_COMMAND_LINE "process.command_line" Text Column ["linux:CommandLine", "macos:CommandLine"];
    PROCESS_ARGS "process.args" Keyword Dynamic [];
    PROCESS_ARGS_COUNT "process.args_count" Long Dynamic [];
    PROCESS_ENTITY_ID "process.entity_id" Keyword Dynamic [];
    PROCESS_WORKING_DIRECTORY "process.working_directory" Keyword Dynamic ["linux:CurrentDirectory"];
    PROCESS_TITLE "process.title" Keyword Dynamic [];
    PROCESS_EXIT_CODE "process.exit_code" Long Dynamic [];
    PROCESS_THREAD_ID "process.thread.id" Long Dynamic [];
    PROCESS_HASH_MD5 "process.hash.md5" Keyword Dynamic [];
    PROCESS_HASH_SHA1 "process.hash.sha1" Keyword Dynamic [];
    PROCESS_HASH_SHA256 "process.hash.sha256" Keyword Dynamic [];
    PROCESS_PE_IMPHASH "process.pe.imphash" Keyword Dynamic [];
    PROCESS_PE_ORIGINAL_FILE_NAME "process.pe.original_file_name" Keyword Dynamic [];
    PROCESS_PE_COMPANY "process.pe.company" Keyword Dynamic [];
    PROCESS_PE_DESCRIPTION "process.pe.description" Keyword Dynamic [];
    PROCESS_PE_PRODUCT "process.pe.product" Keyword Dynamic [];
    PROCESS_PE_FILE_VERSION "process.pe.file_version" Keyword Dynamic [];
    PROCESS_PARENT_NAME "process.parent.name" Keyword Column [];
    PROCESS_PARENT_PID "process.parent.pid" Long Dynamic ["linux:ParentProcessId"];
    PROCESS_PARENT_EXECUTABLE "process.parent.executable" Keyword Column ["linux:ParentImage", "macos:ParentImage"];
    PROCESS_PARENT_COMMAND_LINE "process.parent.command_line" Text Dynamic ["linux:ParentCommandLine", "macos:ParentCommandLine"];
    PROCESS_PARENT_ENTITY_ID "process.parent.entity_id" Keyword Dynamic [];
    PROCESS_PARENT_ARGS "process.parent.args" Keyword Dynamic [];
    PROCESS_PARENT_ARGS_COUNT "process.parent.args_count" Long Dynamic [];
    FILE_PATH "file.path" Keyword Column ["linux:TargetFilename"];
    FILE_NAME "file.name" Keyword Dynamic [];
    FILE_EXTENSION "file.extension" Keyword Dynamic [];
    FILE_DIRECTORY "file.directory" Keyword Dynamic [];
    FILE_SIZE "file.size" Long Dynamic [];
    FILE_HASH_MD5 "file.hash.md5" Keyword Dynamic [];
    FILE_HASH_SHA1 "file.hash.sha1" Keyword Dynamic [];
    FILE_HASH_SHA256 "file.hash.sha256" Keyword Dynamic [];
    FILE_PE_IMPHASH "file.pe.imphash" Keyword Dynamic [];
    FILE_CODE_SIGNATURE_STATUS "file.code_signature.status" Keyword Dynamic [];
    DLL_PATH "dll.path" Keyword Dynamic [];
    DLL_NAME "dll.name" Keyword Dynamic [];
    REGISTRY_PATH "registry.path" Keyword Column [];
    REGISTRY_KEY "registry.key" Keyword Dynamic [];
    REGISTRY_HIVE "registry.hive" Keyword Dynamic [];
    REGISTRY_VALUE "registry.value" Keyword Dynamic [];
    REGISTRY_DATA_STRINGS "registry.data.strings" Keyword Dynamic [];
    REGISTRY_DATA_TYPE "registry.data.type" Keyword Dynamic [];
    SERVICE_NAME "service.name" Keyword Dynamic [];
    SERVICE_TYPE "service.type" Keyword Dynamic [];
    DNS_QUESTION_NAME "dns.question.name" Keyword Column ["dns:query", "dns:QueryName", "linux:QueryName"];
    DNS_QUESTION_TYPE "dns.question.type" Keyword Dynamic ["dns:record_type"];
    DNS_RESPONSE_CODE "dns.response_code" Keyword Dynamic [];
    DNS_RESOLVED_IP "dns.resolved_ip" Ip Dynamic ["dns:answer"];
    DNS_ANSWERS_DATA "dns.answers.data" Keyword Dynamic [];
    URL_ORIGINAL "url.original" Text Column ["webserver:cs-uri", "proxy:c-uri"];
    URL_PATH "url.path" Keyword Column ["webserver:cs-uri-stem", "proxy:c-uri-stem", "proxy:cs-uri-stem"];
    URL_QUERY "url.query" Text Column ["webserver:cs-uri-query", "proxy:c-uri-query", "proxy:cs-uri-query"];
    URL_DOMAIN "url.domain" Keyword Dynamic [];
    URL_EXTENSION "url.extension" Keyword Dynamic ["proxy:c-uri-extension"];
    URL_SCHEME "url.scheme" Keyword Dynamic [];
    URL_PORT "url.port" Long Dynamic [];
    HTTP_REQUEST_METHOD "http.request.method" Keyword Column ["webserver:cs-method", "proxy:cs-method"];
    HTTP_REQUEST_REFERRER "http.request.referrer" Keyword Dynamic ["webserver:cs-referer", "proxy:cs-referrer", "proxy:cs-referer"];
    HTTP_REQUEST_BODY_BYTES "http.request.body.bytes" Long Dynamic [];
    HTTP_RESPONSE_STATUS_CODE "http.response.status_code" Long Column ["webserver:sc-status", "proxy:sc-status"];
    HTTP_RESPONSE_BODY_BYTES "http.response.body.bytes" Long Dynamic ["webserver:sc-bytes"];
    HTTP_VERSION "http.version" Keyword Dynamic ["webserver:cs-version"];
    USER_AGENT_ORIGINAL "user_agent.original" Text Column ["webserver:cs-user-agent", "proxy:c-useragent", "proxy:cs-user-agent"];
    RULE_ID "rule.id" Keyword Column [];
    RULE_NAME "rule.name" Keyword Column [];
    RULE_CATEGORY "rule.category" Keyword Dynamic [];
    RELATED_IP "related.ip" Ip Dynamic [];
    RELATED_USER "related.user" Keyword Dynamic [];
    RELATED_HOSTS "related.hosts" Keyword Dynamic [];
    RELATED_HASH "related.hash" Keyword Dynamic [];
    THREAT_TECHNIQUE_ID "threat.technique.id" Keyword Dynamic [];
    THREAT_TACTIC_NAME "threat.tactic.name" Keyword Dynamic [];
    TLS_VERSION "tls.version" Keyword Dynamic [];
    TLS_CIPHER "tls.cipher" Keyword Dynamic [];
    WINLOG_CHANNEL "winlog.channel" Keyword Column ["windows:Channel"];
    WINLOG_EVENT_ID "winlog.event_id" Keyword Dynamic [];
    WINLOG_PROVIDER_NAME "winlog.provider_name" Keyword Dynamic [];
    WINLOG_PROVIDER_GUID "winlog.provider_guid" Keyword Dynamic ["windows:Provider_Guid"];
    WINLOG_COMPUTER_NAME "winlog.computer_name" Keyword Dynamic [];
    WINLOG_RECORD_ID "winlog.record_id" Long Dynamic ["windows:EventRecordID"];
    WINLOG_LEVEL "winlog.level" Keyword Dynamic ["windows:Level"];
    WINLOG_TASK "winlog.task" Keyword Dynamic ["windows:Task"];
    WINLOG_OPCODE "winlog.opcode" Keyword Dynamic ["windows:Opcode"];
    WINLOG_KEYWORDS "winlog.keywords" Keyword Dynamic ["windows:Keywords"];
    WINLOG_VERSION "winlog.version" Long Dynamic ["windows:Version"];
    WINLOG_PROCESS_PID "winlog.process.pid" Long Dynamic ["windows:Execution_ProcessID"];
    WINLOG_PROCESS_THREAD_ID "winlog.process.thread.id" Long Dynamic ["windows:Execution_ThreadID"];
    WINLOG_USER_IDENTIFIER "winlog.user.identifier" Keyword Dynamic ["windows:Security_UserID"];
    WINLOG_ACTIVITY_ID "winlog.activity_id" Keyword Dynamic ["windows:Correlation_ActivityID"];
    NHATLE_INPUT "nhatle.input" Keyword Column [];
    NHATLE_SOURCE "nhatle.source" Keyword Column [];
    NHATLE_UNIT "nhatle.unit" Keyword Column [];
    NHATLE_SYSTEM_LEVEL "nhatle.system_level" Long Dynamic [];
    NHATLE_TRUNCATED "nhatle.truncated" Boolean Dynamic [];
    NHATLE_OVERFLOW "nhatle.overflow" Keyword Dynamic [];
    NHATLE_DEAD_LETTER_OFFSET "nhatle.dead_letter.offset" Long Dynamic [];
    NHATLE_ALERT_ID "nhatle.alert.id" Keyword Column [];
    NHATLE_ALERT_LEVEL "nhatle.alert.level" Keyword Column [];
    NHATLE_ALERT_EVENTS "nhatle.alert.events" Keyword Dynamic [];
    NHATLE_ALERT_EVIDENCE "nhatle.alert.evidence" Keyword Dynamic [];
    NHATLE_ALERT_COUNT "nhatle.alert.count" Long Dynamic [];
    NHATLE_ALERT_GROUP "nhatle.alert.group" Keyword Dynamic [];
    NHATLE_ALERT_ENTITIES "nhatle.alert.entities" Keyword Dynamic [];
    NHATLE_ALERT_EXPLANATION_VI "nhatle.alert.explanation.vi" Text Dynamic [];
    NHATLE_ALERT_EXPLANATION_EN "nhatle.alert.explanation.en" Text Dynamic [];
    NHATLE_CLOCK_SKEW_S "nhatle.clock_skew_s" Long Dynamic [];
    NHATLE_EVIDENCE_FILE "nhatle.file.path" Keyword Dynamic [];
    NHATLE_FILE_INDEX "nhatle.file.index" Long Dynamic [];
    NHATLE_CANARY "nhatle.canary" Keyword Dynamic [];
    NHATLE_ALERT_ORIGIN "nhatle.alert.origin" Keyword Dynamic [];
    SOURCE_NAT_IP "source.nat.ip" Ip Dynamic [];
    SOURCE_NAT_PORT "source.nat.port" Long Dynamic [];
    DESTINATION_NAT_IP "destination.nat.ip" Ip Dynamic [];
    DESTINATION_NAT_PORT "destination.nat.port" Long Dynamic [];
    SOURCE_GEO_COUNTRY_NAME "source.geo.country_name" Keyword Dynamic [];
    DESTINATION_GEO_COUNTRY_NAME "destination.geo.country_name" Keyword Dynamic [];
    NETWORK_APPLICATION "network.application" Keyword Dynamic [];
    NETWORK_NAME "network.name" Keyword Dynamic [];
    OBSERVER_SERIAL_NUMBER "observer.serial_number" Keyword Dynamic [];
    OBSERVER_TYPE "observer.type" Keyword Dynamic [];
    OBSERVER_VERSION "observer.version" Keyword Dynamic [];
    RULE_RULESET "rule.ruleset" Keyword Dynamic [];
    RULE_UUID "rule.uuid" Keyword Dynamic [];
    RULE_DESCRIPTION "rule.description" Keyword Dynamic [];
    URL_FULL "url.full" Text Dynamic [];
    TLS_CLIENT_SERVER_NAME "tls.client.server_name" Keyword Dynamic [];
    TLS_CLIENT_JA3 "tls.client.ja3" Keyword Dynamic [];
    TLS_SERVER_JA3S "tls.server.ja3s" Keyword Dynamic [];
    TLS_SERVER_SUBJECT "tls.server.subject" Keyword Dynamic [];
    TLS_SERVER_ISSUER "tls.server.issuer" Keyword Dynamic [];
    TLS_SERVER_HASH_SHA1 "tls.server.hash.sha1" Keyword Dynamic [];
    TLS_ESTABLISHED "tls.established" Boolean Dynamic [];
    FILE_MIME_TYPE "file.mime_type" Keyword Dynamic [];
    DNS_TYPE "dns.type" Keyword Dynamic [];
    DNS_ID "dns.id" Keyword Dynamic [];
    CLIENT_IP "client.ip" Ip Dynamic [];
    CLIENT_PORT "client.port" Long Dynamic [];
    CLIENT_DOMAIN "client.domain" Keyword Dynamic [];
    CLIENT_MAC "client.mac" Keyword Dynamic [];
    CLIENT_BYTES "client.bytes" Long Dynamic [];
    CLIENT_PACKETS "client.packets" Long Dynamic [];
    CLIENT_NAT_IP "client.nat.ip" Ip Dynamic [];
    CLIENT_NAT_PORT "client.nat.port" Long Dynamic [];
    CLIENT_USER_NAME "client.user.name" Keyword Dynamic [];
    SERVER_IP "server.ip" Ip Dynamic [];
    SERVER_PORT "server.port" Long Dynamic [];
    SERVER_DOMAIN "server.domain" Keyword Dynamic [];
    SERVER_MAC "server.mac" Keyword Dynamic [];
    SERVER_BYTES "server.bytes" Long Dynamic [];
    SERVER_PACKETS "server.packets" Long Dynamic [];
    SERVER_NAT_IP "server.nat.ip" Ip Dynamic [];
    SERVER_NAT_PORT "server.nat.port" Long Dynamic [];
    SERVER_USER_NAME "server.user.name" Keyword Dynamic [];
    NHATLE_TIME_SAID "nhatle.time.said" Date Dynamic [];
    NHATLE_TIME_PROBLEM "nhatle.time.problem" Keyword Dynamic [];
    NHATLE_UNMAPPED_BYTES "nhatle.unmapped_bytes" Long Dynamic [];
    SOURCE_GEO_COUNTRY_ISO_CODE "source.geo.country_iso_code" Keyword Dynamic [];
    SOURCE_GEO_CITY_NAME "source.geo.city_name" Keyword Dynamic [];
    SOURCE_GEO_LOCATION "source.geo.location" Keyword Dynamic [];
    SOURCE_AS_NUMBER "source.as.number" Long Dynamic [];
    SOURCE_AS_ORGANIZATION_NAME "source.as.organization.name" Keyword Dynamic [];
    DESTINATION_GEO_COUNTRY_ISO_CODE "destination.geo.country_iso_code" Keyword Dynamic [];
    DESTINATION_GEO_CITY_NAME "destination.geo.city_name" Keyword Dynamic [];
    DESTINATION_GEO_LOCATION "destination.geo.location" Keyword Dynamic [];
    DESTINATION_AS_NUMBER "destination.as.number" Long Dynamic [];
    DESTINATION_AS_ORGANIZATION_NAME "destination.as.organization.name" Keyword Dynamic [];
    THREAT_INDICATOR_TYPE "threat.indicator.type" Keyword Dynamic [];
    THREAT_INDICATOR_NAME "threat.indicator.name" Keyword Dynamic [];
    THREAT_INDICATOR_CONFIDENCE "threat.indicator.confidence" Keyword Dynamic [];
    THREAT_INDICATOR_FIRST_SEEN "threat.indicator.first_seen" Date Dynamic [];
    THREAT_INDICATOR_DESCRIPTION "threat.indicator.description" Keyword Dynamic [];
    THREAT_INDICATOR_REFERENCE "threat.indicator.reference" Keyword Dynamic [];
    THREAT_INDICATOR_MARKING_TLP "threat.indicator.marking.tlp" Keyword Dynamic [];
    THREAT_FEED_NAME "threat.feed.name" Keyword Dynamic [];
    THREAT_ENRICHMENTS_MATCHED_ATOMIC "threat.enrichments.matched.atomic" Keyword Dynamic [];
    THREAT_ENRICHMENTS_MATCHED_FIELD "threat.enrichments.matched.field" Keyword Dynamic [];
    THREAT_ENRICHMENTS_MATCHED_TYPE "threat.enrichments.matched.type" Keyword Dynamic [];
    NHATLE_INDICATOR_LIST "nhatle.indicator.list" Keyword Dynamic [];
    NHATLE_ASSET_SOURCE_NAME "nhatle.asset.source.name" Keyword Dynamic [];
    NHATLE_ASSET_SOURCE_OWNER "nhatle.asset.source.owner" Keyword Dynamic [];
    NHATLE_ASSET_SOURCE_IMPORTANCE "nhatle.asset.source.importance" Long Dynamic [];
    NHATLE_ASSET_SOURCE_SYSTEM_LEVEL "nhatle.asset.source.system_level" Long Dynamic [];
    NHATLE_ASSET_SOURCE_UNIT "nhatle.asset.source.unit" Keyword Dynamic [];
    NHATLE_ASSET_SOURCE_ROLE "nhatle.asset.source.role" Keyword Dynamic [];
    NHATLE_ASSET_SOURCE_OBSERVE_ONLY "nhatle.asset.source.observe_only" Boolean Dynamic [];
    NHATLE_ASSET_DESTINATION_NAME "nhatle.asset.destination.name" Keyword Dynamic [];
    NHATLE_ASSET_DESTINATION_OWNER "nhatle.asset.destination.owner" Keyword Dynamic [];
    NHATLE_ASSET_DESTINATION_IMPORTANCE "nhatle.asset.destination.importance" Long Dynamic [];
    NHATLE_ASSET_DESTINATION_SYSTEM_LEVEL "nhatle.asset.destination.system_level" Long Dynamic [];
    NHATLE_ASSET_DESTINATION_UNIT "nhatle.asset.destination.unit" Keyword Dynamic [];
    NHATLE_ASSET_DESTINATION_ROLE "nhatle.asset.destination.role" Keyword Dynamic [];
    NHATLE_ASSET_DESTINATION_OBSERVE_ONLY "nhatle.asset.destination.observe_only" Boolean Dynamic [];
    NHATLE_ASSET_HOST_NAME "nhatle.asset.host.name" Keyword Dynamic [];
    NHATLE_ASSET_HOST_OWNER "nhatle.asset.host.owner" Keyword Dynamic [];
    NHATLE_ASSET_HOST_IMPORTANCE "nhatle.asset.host.importance" Long Dynamic [];
    NHATLE_ASSET_HOST_SYSTEM_LEVEL "nhatle.asset.host.system_level" Long Dynamic [];
    NHATLE_ASSET_HOST_UNIT "nhatle.asset.host.unit" Keyword Dynamic [];
    NHATLE_ASSET_HOST_ROLE "nhatle.asset.host.role" Keyword Dynamic [];
    NHATLE_ASSET_HOST_OBSERVE_ONLY "nhatle.asset.host.observe_only" Boolean Dynamic [];
    NHATLE_PROFILE_NAMED "nhatle.profile.named" Keyword Dynamic [];
    NHATLE_PROFILE_READ "nhatle.profile.read" Keyword Dynamic [];
}

/// Every name given out so far. Names of vendor fields are leaked on purpose: they are bounded, and a
/// field is then a plain number whose name lives as long as the process.
struct Interner {
    names: Vec<&'static str>,
    numbers: HashMap<&'static str, u32>,
}

static INTERNER: LazyLock<RwLock<Interner>> = LazyLock::new(|| {
    let mut numbers = HashMap::with_capacity(4096);
    let names: Vec<_> = TABLE.iter().map(|known| known.name).collect();
    for (number, name) in (0u32..).zip(&names) {
        numbers.insert(*name, number);
    }
    RwLock::new(Interner { names, numbers })
});

/// What one thread has learned from the interner, so that it need not wait at its lock for each value of each event. Names
/// are only ever added, so what is here stays true.
#[derive(Default)]
struct Learned {
    /// The first names of the interner.
    names: Vec<&'static str>,
    numbers: HashMap<&'static str, u32>,
}

thread_local! {
    static LEARNED: RefCell<Learned> = RefCell::default();
}

impl Learned {
    fn name(&mut self, at: usize) -> &'static str {
        if self.names.len() <= at {
            let interner = INTERNER.read().expect("no code panics while it holds this lock");
            self.names.extend_from_slice(&interner.names[self.names.len()..]);
        }
        self.names[at]
    }

    fn number(&mut self, name: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        let interner = INTERNER.read().expect("no code panics while it holds this lock");
        let (name, number) = interner.numbers.get_key_value(name)?;
        self.numbers.insert(name, *number);
        Some(*number)
    }
}

impl Field {
    /// The field of this name, made known if it is new. `None` when the name is empty or longer than
    /// [`FIELD_NAME_BYTES_MAX`], or when [`VENDOR_FIELDS_MAX`] names are known already.
    pub fn intern(name: &str) -> Option<Field> {
        if let Some(field) = Field::lookup(name) {
            return Some(field);
        }
        if name.is_empty() || FIELD_NAME_BYTES_MAX < name.len() {
            return None;
        }
        let mut interner = INTERNER.write().expect("no code panics while it holds this lock");
        if let Some(number) = interner.numbers.get(name) {
            return Some(Field(*number));
        }
        if TABLE.len() + VENDOR_FIELDS_MAX <= interner.names.len() {
            return None;
        }
        let number = u32::try_from(interner.names.len()).ok()?;
        let kept: &'static str = Box::leak(name.into());
        interner.names.push(kept);
        interner.numbers.insert(kept, number);
        Some(Field(number))
    }

    /// The field of this name, if it is known.
    pub fn lookup(name: &str) -> Option<Field> {
        LEARNED.with_borrow_mut(|learned| learned.number(name)).map(Field)
    }

    /// The dotted name.
    pub fn name(self) -> &'static str {
        match TABLE.get(self.index()) {
            Some(known) => known.name,
            None => LEARNED.with_borrow_mut(|learned| learned.name(self.index())),
        }
    }

    /// What the table says of it; `None` for a vendor field.
    #[inline]
    pub fn known(self) -> Option<&'static Known> {
        TABLE.get(self.index())
    }

    /// Its number, dense from 0: an index for tables by field.
    #[inline]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// The table row of this number, for the reader of the log.
    pub fn from_row(row: u32) -> Option<Field> {
        (usize::try_from(row).ok()? < TABLE.len()).then_some(Field(row))
    }

    /// The type: the table's, or `Keyword` for a vendor field.
    #[inline]
    pub fn kind(self) -> Kind {
        self.known().map_or(Kind::Keyword, |known| known.kind)
    }
}

/// Which fields something may hold: a bit for each number modulo 512, so that the table's rows and the
/// first vendor fields share none. Most questions are for fields that are not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks([u64; 8]);

impl Marks {
    /// `false` where the field was never marked.
    #[inline]
    pub fn may_hold(&self, field: Field) -> bool {
        self.0[field.index() / 64 % 8] >> (field.index() % 64) & 1 == 1
    }

    /// Marks a field.
    #[inline]
    pub fn mark(&mut self, field: Field) {
        self.0[field.index() / 64 % 8] |= 1 << (field.index() % 64);
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_their_rows() {
        assert_eq!(Field::SOURCE_IP.name(), "source.ip");
        assert_eq!(Field::NHATLE_FILE_INDEX.name(), "nhatle.file.index");
        assert!((0u32..).zip(TABLE).all(|(row, known)| Field::lookup(known.name) == Field::from_row(row)));
    }

    #[test]
    fn every_thread_gives_a_name_the_same_number() {
        let names: Vec<String> = (0..200).map(|at| format!("test.threads.{at}")).collect();
        let learn = |from: usize| {
            let names = names.clone();
            std::thread::spawn(move || {
                let places = (0..names.len()).map(|at| (from + at * 7) % names.len());
                places.map(|at| (at, Field::lookup(&names[at]), Field::intern(&names[at]))).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..4).map(|from| learn(from * 50)).collect();
        for thread in threads {
            for (at, before, field) in thread.join().expect("it does not panic") {
                assert!(field.is_some() && (before.is_none() || before == field));
                assert_eq!(field.map(Field::name), Some(names[at].as_str()));
                assert_eq!(field, Field::lookup(&names[at]));
            }
        }
        assert_eq!(Field::lookup("test.threads.never"), None);
    }

    #[test]
    fn vendor_names_are_kept_as_sent() {
        let field = Field::intern("winlog.event_data.Threat Name").expect("there is room");
        assert_eq!(field.name(), "winlog.event_data.Threat Name");
        assert_eq!(Field::intern("winlog.event_data.Threat Name"), Some(field));
        assert_eq!(Field::intern(""), None);
        assert_eq!(Field::intern(&"x".repeat(FIELD_NAME_BYTES_MAX + 1)), None);
    }
}
