//! Log sources to gates and names to fields, row by row.

use nhatle_event::Field;
use nhatle_event::field::TABLE;

use super::{field, gate};
use crate::ast::LogSource;
use crate::compile::predicate::{Gate, GateCase};

/// `category/product/service`, `-` for none.
fn source(text: &str) -> LogSource {
    let parts: Vec<_> = text.split('/').map(|part| (part != "-").then(|| part.to_owned())).collect();
    LogSource { category: parts[0].clone(), product: parts[1].clone(), service: parts[2].clone() }
}

/// A gate as text: cases joined by ` | `, the lists of a case in brackets.
fn shown(gate: &Gate) -> String {
    let case = |case: &GateCase| {
        let lists = [
            &case.modules,
            &case.datasets,
            &case.channels,
            &case.codes,
            &case.categories,
            &case.programs,
            &case.event_types,
        ];
        let names = ["module", "dataset", "channel", "code", "category", "program", "type"];
        let full = names.iter().zip(lists).filter(|(_, list)| !list.is_empty());
        full.map(|(name, list)| format!("{name}={}", list.join(","))).collect::<Vec<_>>().join(" ")
    };
    match gate {
        Gate::Any => "any".into(),
        Gate::Never => "never".into(),
        Gate::Cases(cases) => cases.iter().map(case).collect::<Vec<_>>().join(" | "),
    }
}

#[test]
fn log_sources_lead_to_their_events() {
    let sysmon = "channel=Microsoft-Windows-Sysmon/Operational";
    let powershell = "channel=Microsoft-Windows-PowerShell/Operational,PowerShellCore/Operational";
    let rows = [
        ("process_creation/windows/-", format!("{sysmon} code=1 | channel=Security code=4688")),
        ("process_creation/windows/sysmon", format!("{sysmon} code=1")),
        ("process_creation/windows/security", "channel=Security code=4688".into()),
        ("registry_event/windows/-", format!("{sysmon} code=12,13,14")),
        ("registry_add/windows/-", format!("{sysmon} code=12 type=CreateKey")),
        ("registry_delete/windows/-", format!("{sysmon} code=12 type=DeleteKey,DeleteValue")),
        ("pipe_created/windows/-", format!("{sysmon} code=17,18")),
        ("sysmon_status/windows/-", format!("{sysmon} code=4,16")),
        ("ps_script/windows/-", format!("{powershell} code=4104")),
        ("ps_module/windows/-", format!("{powershell} code=4103")),
        ("ps_classic_start/windows/-", "channel=Windows PowerShell code=400".into()),
        ("file_access/windows/-", "never".into()),
        ("file_rename/windows/-", "never".into()),
        ("-/windows/security", "channel=Security".into()),
        ("-/windows/powershell", powershell.into()),
        ("-/windows/windefend", "channel=Microsoft-Windows-Windows Defender/Operational".into()),
        ("-/windows/odd", "module=windows dataset=windows.odd".into()),
        ("-/windows/-", "module=windows".into()),
        ("-/linux/-", format!("module={}", super::services::LINUX_MODULES.join(","))),
        ("-/linux/sshd", "module=linux program=sshd,sshd-session,sshd-auth | dataset=linux.sshd,sshd.log".into()),
        ("-/linux/sudo", "module=linux program=sudo | dataset=linux.sudo,sudo.log".into()),
        ("-/linux/auditd", "dataset=auditd.log".into()),
        ("-/linux/auth", "dataset=linux.auth".into()),
        ("-/linux/cron", "dataset=linux.cron".into()),
        (
            "process_creation/linux/-",
            "channel=Linux-Sysmon/Operational code=1 | dataset=auditd.log category=process".into(),
        ),
        ("process_creation/macos/-", "module=macos category=process".into()),
        ("-/aws/cloudtrail", "dataset=aws.cloudtrail | module=aws program=cloudtrail".into()),
        ("-/gcp/gcp.audit", "dataset=gcp.gcp.audit,gcp.audit | module=gcp program=gcp.audit".into()),
        ("application/django/-", "module=django".into()),
        (
            "webserver/-/-",
            "dataset=nginx.access,apache.access,iis.access,tomcat.access,caddy.access,traefik.access,haproxy.log | dataset=syslog,linux.syslog category=web".into(),
        ),
        ("network/-/connection", "category=network".into()),
        ("test/-/-", "any".into()),
    ];
    for (text, expected) in rows {
        assert_eq!(shown(&gate(&source(text))), expected, "{text}");
    }
    let antivirus = shown(&gate(&source("antivirus/-/-")));
    assert!(
        antivirus.starts_with("channel=Microsoft-Windows-Windows Defender/Operational code=1006,1007"),
        "{antivirus}"
    );
    let everywhere = shown(&gate(&source("process_creation/-/-")));
    assert!(
        everywhere.contains("Sysmon") && everywhere.contains("auditd.log") && everywhere.contains("macos"),
        "{everywhere}"
    );
}

fn names(name: &str, text: &str) -> Vec<&'static str> {
    field(name, &source(text)).candidates.iter().map(|field| field.name()).collect()
}

/// Cisco's first address is not always who began a connection; `client.*` says it where a device does not.
#[test]
fn who_began_a_connection_is_looked_for_first() {
    for (name, source, ending) in [
        ("src_ip", "firewall/-/-", ["client.ip", "source.ip"]),
        ("src_port", "firewall/-/-", ["client.port", "source.port"]),
        ("dst_ip", "firewall/cisco/-", ["server.ip", "destination.ip"]),
        ("dst_port", "firewall/-/-", ["server.port", "destination.port"]),
    ] {
        let found = names(name, source);
        assert!(found.ends_with(&ending), "{name} of {source}: {found:?}");
    }
    assert!(!names("src_ip", "proxy/-/-").contains(&"client.ip"));
}

#[test]
fn names_lead_to_fields_best_first() {
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "Image",
            "process_creation/windows/-",
            &[
                "Image",
                "winlog.event_data.Image",
                "winlog.user_data.Image",
                "winlog.event_data.NewProcessName",
                "process.executable",
            ],
        ),
        (
            "ParentImage",
            "process_creation/windows/-",
            &[
                "ParentImage",
                "winlog.event_data.ParentImage",
                "winlog.user_data.ParentImage",
                "winlog.event_data.ParentProcessName",
                "process.parent.executable",
            ],
        ),
        (
            "IntegrityLevel",
            "process_creation/windows/-",
            &[
                "IntegrityLevel",
                "winlog.event_data.IntegrityLevel",
                "winlog.user_data.IntegrityLevel",
                "winlog.event_data.MandatoryLabel",
            ],
        ),
        ("Image", "process_access/windows/-", &["Image", "winlog.event_data.Image", "winlog.user_data.Image"]),
        (
            "Channel",
            "-/windows/system",
            &["Channel", "winlog.event_data.Channel", "winlog.user_data.Channel", "winlog.channel"],
        ),
        (
            "SourceName",
            "-/windows/windefend",
            &["SourceName", "winlog.event_data.SourceName", "winlog.user_data.SourceName", "winlog.provider_name"],
        ),
        (
            "RecordNumber",
            "-/windows/security",
            &["RecordNumber", "winlog.event_data.RecordNumber", "winlog.user_data.RecordNumber", "winlog.record_id"],
        ),
        ("a0", "-/linux/auditd", &["a0", "auditd.data.a0", "iptables.a0", "winlog.event_data.a0"]),
        ("source.ip", "-/windows/security", &["source.ip"]),
        ("Source.IP", "-/other/-", &["Source.IP", "other.Source.IP", "source.ip"]),
        (
            "image",
            "test/-/-",
            &["image", "winlog.event_data.image", "winlog.user_data.image", "auditd.data.image", "iptables.image"],
        ),
        ("id.orig_h", "-/zeek/dns", &["id.orig_h", "zeek.dns.id.orig_h"]),
    ];
    for (name, text, expected) in rows {
        assert_eq!(names(name, text), *expected, "{name} in {text}");
    }
    assert!(!names("Image", "test/-/-").contains(&"image"), "names keep their case");
    let query = names("cs-uri-query", "webserver/-/-");
    let place = |wanted: &str| query.iter().position(|name| *name == wanted);
    assert!(place("url.original") < place("url.query"), "{query:?}");
}

#[test]
fn every_alias_of_the_tables_is_found() {
    let mut rows: Vec<(String, &str, &str)> = Vec::new();
    for known in TABLE {
        rows.extend(
            known
                .sigma
                .iter()
                .filter_map(|alias| alias.split_once(':'))
                .map(|(scope, name)| (scope.to_owned(), name, known.name)),
        );
    }
    for (scope, name, fields) in super::fields::ALIASES {
        rows.extend(fields.iter().map(|field| ((*scope).to_owned(), *name, *field)));
    }
    assert!(80 < rows.len());
    for (scope, name, expected) in rows {
        let text = match scope.split_once('/') {
            Some((product, category)) => format!("{category}/{product}/-"),
            None if matches!(scope.as_str(), "windows" | "linux" | "macos") => format!("-/{scope}/-"),
            None => format!("{scope}/-/-"),
        };
        assert!(names(name, &text).contains(&expected), "{name} in {text} is {expected}");
    }
}

#[test]
fn spaces_do_not_count_and_case_does() {
    let rank = |name: &str, sent: &str| field(name, &source("antivirus/-/-")).rank(Field::intern(sent).unwrap());
    assert!(rank("ThreatName", "winlog.event_data.Threat Name").is_some());
    assert!(rank("Threat Name", "winlog.event_data.ThreatName").is_some());
    assert!(rank("Signature", "winlog.event_data.Threat Name").is_some(), "an alias with spaces");
    assert!(rank("ThreatName", "winlog.event_data.ThreatName") < rank("ThreatName", "winlog.event_data.Threat Name"));
    assert_eq!(rank("ThreatName", "ThreatName"), Some(0));
    assert_eq!(rank("Image", "image"), None);
    assert_eq!(rank("Image", "winlog.event_data.IMAGE"), None);
}
