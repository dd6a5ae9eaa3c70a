//! How many records of others' corpora become dead letters: under one in a hundred of each set, and why, by name.
//!
//! In: each set by its own form (plain lines, lines between comments, `log N pass = …`, members of JSON lines), read by
//! content and with the profile of its kind. `skipped: no corpus` where there is none.

use std::collections::BTreeMap;
use std::path::Path;

use nhatle_event::{Record, Timestamp};

use crate::corpus_tests::{corpus, read};
use crate::listen::file::files_below;

/// How a set's files hold records.
#[derive(Clone, Copy)]
enum Held {
    /// The file is a log.
    File,
    /// Lines that do not begin with `#`.
    Uncommented,
    /// What follows `log 1 pass = ` and its like.
    Ini,
    /// A member of each JSON line; with another that must be `true`, where it is there.
    Member(&'static str, &'static str),
}

/// Set, part of the path (empty = all of it), profile (empty = by content), how records stand.
const SETS: &[(&str, &str, &str, Held)] = &[
    ("crowdsec-hub", ".log", "", Held::File),
    ("crowdsec-hub", "apache-", "apache", Held::File),
    ("crowdsec-hub", "nginx-", "nginx", Held::File),
    ("crowdsec-hub", "http-", "nginx", Held::File),
    ("crowdsec-hub", "auditd-", "auditd", Held::File),
    ("crowdsec-hub", "bind9-", "bind", Held::File),
    ("crowdsec-hub", "dovecot-", "dovecot", Held::File),
    ("crowdsec-hub", "iptables-", "linux", Held::File),
    ("crowdsec-hub", "mariadb-", "mysql", Held::File),
    ("crowdsec-hub", "mysql-", "mysql", Held::File),
    ("crowdsec-hub", "mikrotik-", "mikrotik", Held::File),
    ("crowdsec-hub", "modsecurity", "modsecurity", Held::File),
    ("crowdsec-hub", "openvpn-", "openvpn", Held::File),
    ("crowdsec-hub", "opnsense-", "opnsense", Held::File),
    ("crowdsec-hub", "pf-scan", "pfsense", Held::File),
    ("crowdsec-hub", "pfsense-", "pfsense", Held::File),
    ("crowdsec-hub", "pgsql-", "postgresql", Held::File),
    ("crowdsec-hub", "postfix-", "postfix", Held::File),
    ("crowdsec-hub", "postscreen-", "postfix", Held::File),
    ("crowdsec-hub", "ssh", "sshd", Held::File),
    ("crowdsec-hub", "syslog-", "syslog", Held::File),
    ("crowdsec-hub", "unifi-", "unifi", Held::File),
    ("crowdsec-hub", "windows-", "windows", Held::File),
    ("fail2ban-logs", "", "", Held::Uncommented),
    ("fail2ban-logs", "/sshd", "sshd", Held::Uncommented),
    ("fail2ban-logs", "/dovecot", "dovecot", Held::Uncommented),
    ("fail2ban-logs", "/apache", "apache", Held::Uncommented),
    ("fail2ban-logs", "/nginx", "nginx", Held::Uncommented),
    ("fail2ban-logs", "/routeros", "mikrotik", Held::Uncommented),
    ("wazuh-ruleset-tests", ".ini", "", Held::Ini),
    ("wazuh-ruleset-tests", "squid", "squid", Held::Ini),
    ("wazuh-ruleset-tests", "apache", "apache", Held::Ini),
    ("wazuh-ruleset-tests", "postfix", "postfix", Held::Ini),
    ("wazuh-ruleset-tests", "sshd", "sshd", Held::Ini),
    ("loghub", ".log", "", Held::File),
    ("loghub", "Apache_", "apache", Held::File),
    ("loghub", "Linux_", "linux", Held::File),
    ("loghub", "OpenSSH_", "sshd", Held::File),
    ("zeek/zed-sample-data/zeek-default", "", "zeek", Held::File),
    ("zeek/zed-sample-data/zeek-default", "", "", Held::File),
    ("zeek/zed-sample-data/zeek-json", "", "zeek", Held::File),
    ("zeek/btest-baseline", ".log", "", Held::File),
    ("suricata", ".json", "suricata", Held::File),
    ("syslog/go-syslog-rfc5424.jsonl", "", "syslog", Held::Member("input", "valid")),
    ("syslog/rsyslog-parsertest.jsonl", "", "", Held::Member("input", "")),
    ("syslog/rsyslog-parsertest.jsonl", "", "syslog", Held::Member("input", "")),
    ("syslog/sc4s-message-templates.jsonl", "", "", Held::Member("template", "")),
    ("syslog/snare-windows", "", "syslog", Held::File),
    ("vn-devices", ".jsonl", "", Held::Member("line", "")),
];

/// The records of a file in the set's form.
fn records(text: &str, held: Held) -> Vec<String> {
    let ini = |line: &str| {
        let (key, value) = line.split_once('=')?;
        key.trim().starts_with("log ").then(|| value.trim().to_owned())
    };
    let member = |line: &str, name: &str, condition: &str| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_wanted = value.get(condition).is_none_or(|flag| *flag == serde_json::Value::Bool(true));
        // A template's marks are what a sender fills in.
        let text = value.get(name)?.as_str()?.replace("{{ mark }}", "<134>").replace("{{mark}}", "<134>");
        let text = text.replace("{{ bsd }}", "Nov 23 02:10:00").replace("{{ iso }}Z", "{{ iso }}");
        let text = text.replace("{{ iso }}", "2026-11-23T02:10:00Z");
        is_wanted.then(|| text.replace("{{ host }}", "may-01"))
    };
    match held {
        Held::File => Vec::new(),
        Held::Uncommented => {
            text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).map(str::to_owned).collect()
        }
        Held::Ini => text.lines().filter_map(ini).collect(),
        Held::Member(name, condition) => text.lines().filter_map(|line| member(line, name, condition)).collect(),
    }
}

/// How many records a file gives, and the reasons of its dead letters.
fn count(path: &Path, profile: &str, held: Held) -> (usize, Vec<String>) {
    if matches!(held, Held::File) {
        let (events, dead) = read(path, profile);
        return (events.len() + dead.len(), dead);
    }
    let text = String::from_utf8_lossy(&std::fs::read(path).expect("is read")).into_owned();
    let lines = records(&text, held);
    let dead = lines.iter().filter_map(|line| {
        let mut record = Record::new(line.as_bytes(), "corpus", Timestamp(0));
        record.profile = (!profile.is_empty()).then(|| profile.into());
        let letter = crate::to_event(&record, &crate::Settings::default()).err()?;
        Some(format!("{}: {}: {line}", path.display(), letter.reason))
    });
    (lines.len(), dead.collect())
}

#[test]
fn others_logs_leave_under_one_dead_letter_in_a_hundred() {
    let mut wrong = Vec::new();
    for (set, part, profile, held) in SETS {
        let Some(folder) = corpus(set) else { return };
        let (mut total, mut dead) = (0, Vec::new());
        for path in files_below(std::slice::from_ref(&folder)).expect("is listed") {
            let shown = path.to_string_lossy().into_owned();
            let inside = shown.strip_prefix(&*folder.to_string_lossy()).unwrap_or(&shown);
            let is_data =
                !["assert", "config.yaml", "README.md", "LICENSE", "CITATION"].iter().any(|no| shown.ends_with(no));
            let is_of_kind = match held {
                Held::File if *set == "crowdsec-hub" => shown.ends_with(".log"),
                _ => is_data,
            };
            if is_of_kind && inside.contains(part) {
                let (count, reasons) = count(&path, profile, *held);
                total += count;
                dead.extend(reasons);
            }
        }
        let mut by_reason: BTreeMap<String, usize> = BTreeMap::new();
        for reason in &dead {
            *by_reason.entry(reason.split(": ").skip(1).take(2).collect::<Vec<_>>().join(": ")).or_default() += 1;
        }
        println!("{set} {part} as {profile:?}: {} of {total} dead {by_reason:?}", dead.len());
        if total == 0 || dead.len() * 100 >= total {
            wrong.push(format!(
                "{set} {part} as {profile:?}: {} of {total}: {:#?}",
                dead.len(),
                dead.iter().take(8).collect::<Vec<_>>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
