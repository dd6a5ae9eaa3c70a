//! The tables of log sources: Windows services to channels, categories to event ids, Linux services to programs.
//!
//! Source: Sigma taxonomy appendix 2.1.0 and SigmaHQ's own test mapping (`docs/sigma.md`, "Log sources"). Where
//! the two differ: registry_add and registry_delete also look at `EventType`; PowerShell 7 has a channel of its own.

use super::{datasets, modules, owned};
use crate::compile::predicate::GateCase;

const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";
const SYSMON_LINUX: &str = "Linux-Sysmon/Operational";
const POWERSHELL: &[&str] = &["Microsoft-Windows-PowerShell/Operational", "PowerShellCore/Operational"];
const POWERSHELL_CLASSIC: &[&str] = &["Windows PowerShell"];
const SECURITY: &[&str] = &["Security"];
const DEFENDER: &[&str] = &["Microsoft-Windows-Windows Defender/Operational"];

/// Windows services by the channels they mean.
const WINDOWS_SERVICES: &[(&str, &[&str])] = &[
    ("application", &["Application"]),
    (
        "application-experience",
        &[
            "Microsoft-Windows-Application-Experience/Program-Telemetry",
            "Microsoft-Windows-Application-Experience/Program-Compatibility-Assistant",
        ],
    ),
    (
        "applocker",
        &[
            "Microsoft-Windows-AppLocker/MSI and Script",
            "Microsoft-Windows-AppLocker/EXE and DLL",
            "Microsoft-Windows-AppLocker/Packaged app-Deployment",
            "Microsoft-Windows-AppLocker/Packaged app-Execution",
        ],
    ),
    ("appmodel-runtime", &["Microsoft-Windows-AppModel-Runtime/Admin"]),
    ("appxdeployment-server", &["Microsoft-Windows-AppXDeploymentServer/Operational"]),
    ("appxpackaging-om", &["Microsoft-Windows-AppxPackaging/Operational"]),
    ("bitlocker", &["Microsoft-Windows-BitLocker/BitLocker Management"]),
    ("bits-client", &["Microsoft-Windows-Bits-Client/Operational"]),
    ("capi2", &["Microsoft-Windows-CAPI2/Operational"]),
    (
        "certificateservicesclient-lifecycle-system",
        &["Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational"],
    ),
    ("codeintegrity-operational", &["Microsoft-Windows-CodeIntegrity/Operational"]),
    ("dhcp", &["Microsoft-Windows-DHCP-Server/Operational"]),
    ("diagnosis-scripted", &["Microsoft-Windows-Diagnosis-Scripted/Operational"]),
    ("dns-client", &["Microsoft-Windows-DNS Client Events/Operational", "Microsoft-Windows-DNS-Client/Operational"]),
    ("dns-server", &["DNS Server"]),
    ("dns-server-analytic", &["Microsoft-Windows-DNS-Server/Analytical"]),
    ("dns-server-audit", &["Microsoft-Windows-DNS-Server/Audit"]),
    ("driver-framework", &["Microsoft-Windows-DriverFrameworks-UserMode/Operational"]),
    ("firewall-as", &["Microsoft-Windows-Windows Firewall With Advanced Security/Firewall"]),
    ("hyper-v-worker", &["Microsoft-Windows-Hyper-V-Worker", "Microsoft-Windows-Hyper-V-Worker-Admin"]),
    ("iis-configuration", &["Microsoft-IIS-Configuration/Operational"]),
    ("kernel-event-tracing", &["Microsoft-Windows-Kernel-EventTracing", "Microsoft-Windows-Kernel-EventTracing/Admin"]),
    (
        "kernel-shimengine",
        &["Microsoft-Windows-Kernel-ShimEngine/Operational", "Microsoft-Windows-Kernel-ShimEngine/Diagnostic"],
    ),
    ("ldap", &["Microsoft-Windows-LDAP-Client/Debug"]),
    ("lsa-server", &["Microsoft-Windows-LSA/Operational"]),
    ("microsoft-servicebus-client", &["Microsoft-ServiceBus-Client/Operational", "Microsoft-ServiceBus-Client/Admin"]),
    ("msexchange-management", &["MSExchange Management"]),
    ("ntfs", &["Microsoft-Windows-Ntfs/Operational"]),
    ("ntlm", &["Microsoft-Windows-NTLM/Operational"]),
    ("openssh", &["OpenSSH/Operational"]),
    ("powershell", POWERSHELL),
    ("powershell-classic", POWERSHELL_CLASSIC),
    ("printservice-admin", &["Microsoft-Windows-PrintService/Admin"]),
    ("printservice-operational", &["Microsoft-Windows-PrintService/Operational"]),
    ("security", SECURITY),
    (
        "security-mitigations",
        &["Microsoft-Windows-Security-Mitigations/Kernel Mode", "Microsoft-Windows-Security-Mitigations/User Mode"],
    ),
    ("sense", &["Microsoft-Windows-SENSE/Operational"]),
    ("servicebus-client", &["Microsoft-ServiceBus-Client/Operational", "Microsoft-ServiceBus-Client/Admin"]),
    ("shell-core", &["Microsoft-Windows-Shell-Core/Operational"]),
    ("smbclient-connectivity", &["Microsoft-Windows-SmbClient/Connectivity"]),
    ("smbclient-security", &["Microsoft-Windows-SmbClient/Security"]),
    ("smbserver-connectivity", &["Microsoft-Windows-SMBServer/Connectivity"]),
    ("sysmon", &[SYSMON]),
    ("system", &["System"]),
    ("taskscheduler", &["Microsoft-Windows-TaskScheduler/Operational"]),
    ("terminalservices-localsessionmanager", &["Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"]),
    ("vhdmp", &["Microsoft-Windows-VHDMP/Operational"]),
    ("windefend", DEFENDER),
    ("wmi", &["Microsoft-Windows-WMI-Activity/Operational"]),
];

/// Categories by Sysmon's event ids, and the `EventType`s among them.
const SYSMON_CATEGORIES: &[(&str, &[&str], &[&str])] = &[
    ("process_creation", &["1"], &[]),
    ("file_change", &["2"], &[]),
    ("network_connection", &["3"], &[]),
    ("sysmon_status", &["4", "16"], &[]),
    ("process_termination", &["5"], &[]),
    ("driver_load", &["6"], &[]),
    ("image_load", &["7"], &[]),
    ("create_remote_thread", &["8"], &[]),
    ("raw_access_thread", &["9"], &[]),
    ("process_access", &["10"], &[]),
    ("file_event", &["11"], &[]),
    ("registry_event", &["12", "13", "14"], &[]),
    ("registry_add", &["12"], &["CreateKey"]),
    ("registry_delete", &["12"], &["DeleteKey", "DeleteValue"]),
    ("registry_set", &["13"], &[]),
    ("registry_rename", &["14"], &[]),
    ("create_stream_hash", &["15"], &[]),
    ("pipe_created", &["17", "18"], &[]),
    ("wmi_event", &["19", "20", "21"], &[]),
    ("dns_query", &["22"], &[]),
    ("file_delete", &["23"], &[]),
    ("clipboard_capture", &["24"], &[]),
    ("clipboard_change", &["24"], &[]),
    ("process_tampering", &["25"], &[]),
    ("file_delete_detected", &["26"], &[]),
    ("file_block_executable", &["27"], &[]),
    ("file_block_shredding", &["28"], &[]),
    ("file_executable_detected", &["29"], &[]),
    ("sysmon_error", &["255"], &[]),
];

/// Other Windows categories: channels and event ids.
const WINDOWS_CATEGORIES: &[(&str, &[&str], &[&str])] = &[
    ("process_creation", SECURITY, &["4688"]),
    ("ps_module", POWERSHELL, &["4103"]),
    ("ps_script", POWERSHELL, &["4104"]),
    ("ps_classic_start", POWERSHELL_CLASSIC, &["400"]),
    ("ps_classic_provider_start", POWERSHELL_CLASSIC, &["600"]),
    ("ps_classic_script", POWERSHELL_CLASSIC, &["800"]),
    ("antivirus", DEFENDER, DEFENDER_DETECTIONS),
];

/// Defender's events that name a threat or a path.
const DEFENDER_DETECTIONS: &[&str] =
    &["1006", "1007", "1008", "1009", "1010", "1011", "1012", "1017", "1018", "1019", "1115", "1116"];

/// Linux services by the programs that write them.
const LINUX_PROGRAMS: &[(&str, &[&str])] = &[
    ("sshd", &["sshd", "sshd-session", "sshd-auth"]),
    ("sudo", &["sudo"]),
    ("su", &["su"]),
    ("clamav", &["clamd", "clamav", "clamscan", "freshclam", "clamav-milter"]),
    ("vsftpd", &["vsftpd"]),
    ("guacamole", &["guacd", "guacamole"]),
];

/// The modules of what a Linux host writes: the system, its audit log, and the services that people run on it.
pub(super) const LINUX_MODULES: &[&str] = &[
    "linux",
    "auditd",
    "postfix",
    "dovecot",
    "bind",
    "dnsmasq",
    "openvpn",
    "postgresql",
    "mysql",
    "dhcpd",
    "squid",
    "haproxy",
    "mongodb",
    "redis",
];

/// The channels of a Windows service.
pub(super) fn windows_channels(service: &str) -> Option<&'static [&'static str]> {
    WINDOWS_SERVICES.iter().find(|(known, _)| *known == service).map(|(_, channels)| *channels)
}

fn sysmon(category: &str, channel: &str) -> impl Iterator<Item = GateCase> {
    let rows = SYSMON_CATEGORIES.iter().filter(move |(known, _, _)| *known == category);
    rows.map(move |(_, codes, types)| GateCase {
        channels: owned(&[channel]),
        codes: owned(codes),
        event_types: owned(types),
        ..GateCase::default()
    })
}

/// The cases of a Windows category; none for one that no event log has (`file_access`, `file_rename`).
pub(super) fn windows_category(category: &str) -> Vec<GateCase> {
    let others = WINDOWS_CATEGORIES.iter().filter(|(known, _, _)| *known == category);
    let others = others.map(|(_, channels, codes)| GateCase {
        channels: owned(channels),
        codes: owned(codes),
        ..GateCase::default()
    });
    sysmon(category, SYSMON).chain(others).collect()
}

/// The cases of a Linux category: Sysmon for Linux, and the audit log where it has the like.
pub(super) fn linux_category(category: &str) -> Vec<GateCase> {
    let mut cases: Vec<GateCase> = sysmon(category, SYSMON_LINUX).collect();
    let audited = match category {
        "process_creation" => Some("process"),
        "file_event" => Some("file"),
        "network_connection" => Some("network"),
        _ => None,
    };
    if let Some(audited) = audited {
        cases.push(GateCase { categories: owned(&[audited]), ..datasets(&["auditd.log"]) });
    }
    if cases.is_empty() {
        cases.push(GateCase { categories: owned(&[category]), ..modules(&["linux", "auditd"]) });
    }
    cases
}

/// The cases of a Linux service.
pub(super) fn linux_service(service: &str) -> Vec<GateCase> {
    match service {
        "auditd" => return vec![datasets(&["auditd.log"])],
        "auth" => return vec![datasets(&["linux.auth"])],
        "cron" => return vec![datasets(&["linux.cron"])],
        "syslog" => return vec![datasets(&["linux.syslog", "linux.cron", "linux.kernel", "syslog"])],
        "kernel" | "iptables" => return vec![datasets(&["linux.kernel"])],
        "sysmon" => return vec![GateCase { channels: owned(&[SYSMON_LINUX]), ..GateCase::default() }],
        _ => {}
    }
    let programs = LINUX_PROGRAMS.iter().find(|(known, _)| *known == service).map(|(_, programs)| owned(programs));
    vec![
        GateCase { programs: programs.unwrap_or_else(|| owned(&[service])), ..modules(&["linux"]) },
        GateCase { datasets: vec![format!("linux.{service}"), format!("{service}.log")], ..GateCase::default() },
    ]
}

/// The modules a product can be.
pub(super) fn product_modules(product: &str) -> Vec<&str> {
    let mut names = vec![product];
    match product {
        "fortigate" | "fortios" | "fortinet" => names.extend(["fortinet", "fortigate"]),
        "cisco" => names.extend(["cisco_asa", "cisco_ios"]),
        "paloalto" | "panw" => names.extend(["panw", "paloalto"]),
        "mikrotik" | "routeros" => names.extend(["mikrotik"]),
        "ubiquiti" | "unifi" => names.extend(["unifi"]),
        "m365" => names.push("o365"),
        _ => {}
    }
    names.dedup();
    names
}

/// The data sets that Sigma's services of a network product mean, where the names differ.
pub(super) fn device_service(product: &str, service: &str) -> Option<&'static [&'static str]> {
    Some(match (product, service) {
        // Commands, routing protocols and the rest come in one log, told apart by their mnemonic.
        ("cisco", "aaa" | "bgp" | "ldp" | "syslog" | "ios") => &["cisco.ios", "cisco.asa"],
        ("cisco", "asa" | "ftd") => &["cisco.asa"],
        ("zeek", "connection") => &["zeek.conn"],
        ("suricata", "eve") => &["suricata.alert", "suricata.dns", "suricata.http", "suricata.tls", "suricata.flow"],
        _ => return None,
    })
}

/// The cases of a category that stands without a product.
pub(super) fn category(category: &str) -> Option<Vec<GateCase>> {
    Some(match category {
        "webserver" => vec![
            datasets(&[
                "nginx.access",
                "apache.access",
                "iis.access",
                "tomcat.access",
                "caddy.access",
                "traefik.access",
                "haproxy.log",
            ]),
            // Applications that write their requests into their own log: Uvicorn, Gunicorn, Gin, Play.
            GateCase { categories: owned(&["web"]), ..datasets(&["syslog", "linux.syslog"]) },
        ],
        "proxy" => vec![modules(&["squid", "bluecoat", "zscaler", "forcepoint"])],
        "firewall" => vec![
            GateCase { categories: owned(&["network"]), ..datasets(&["linux.kernel"]) },
            modules(&[
                "iptables",
                "fortinet",
                "fortigate",
                "mikrotik",
                "pfsense",
                "opnsense",
                "cisco",
                "cisco_asa",
                "panw",
                "paloalto",
                "sophos",
                "draytek",
                "unifi",
                "checkpoint",
                "pensando",
                "juniper",
            ]),
        ],
        "dns" => vec![
            modules(&["bind", "dnsmasq", "unbound", "coredns", "pihole"]),
            datasets(&["zeek.dns", "suricata.dns", "windows.dns-server"]),
        ],
        "antivirus" => {
            let mut cases = windows_category(category);
            cases.extend(linux_service("clamav"));
            cases
        }
        "database" => vec![
            modules(&["postgresql", "mysql", "mssql", "oracle", "mariadb"]),
            GateCase { categories: owned(&["database"]), ..GateCase::default() },
        ],
        _ => return None,
    })
}

/// The cases of `category: network` (ECS field names; taxonomy 2.1.0).
pub(super) fn network(service: Option<&str>) -> Vec<GateCase> {
    match service {
        Some("dns") => {
            let mut cases = category("dns").unwrap_or_default();
            cases.push(GateCase { categories: owned(&["network"]), ..datasets(&["dns"]) });
            cases
        }
        _ => vec![GateCase { categories: owned(&["network"]), ..GateCase::default() }],
    }
}
