//! Windows events as Snare agents send them over syslog: columns, and the event's text with its values.
//!
//! In: `MSWinEventLog`, then criticality, log, counter, date, event id, source, account, its kind, kind of event, computer, category, data,
//! text (tabs between them, or `#011` where a relay has written them so). Out: the event as from XML: the labels of the text become the names of the data that Windows wrote
//! them from, by the section they stand in. Promise: a label or a section that stands twice is told by somebody who chose a name or
//! a command line, so it fills nothing. Failure: none; what has fewer columns is no such event. Source: Snare for Windows, "Event output format"; Microsoft's event
//! reference for the labels; rsyslog `mmsnareparse` for what relays do.

use std::borrow::Cow;

use nhatle_event::{Event, Text, Value};

use super::{EVENT_DATA, Part, WindowsEvent, to_event};
use crate::normalize::Context;
use crate::parse::date;

const MARK: &str = "MSWinEventLog";
/// How many words of a text are looked at.
const WORDS_MAX: usize = 512;

/// Sections of a text: header, what the names of its data begin with, the name of its `Security ID`.
const SECTIONS: &[(&str, &str, &str)] = &[
    ("Subject", "Subject", "SubjectUserSid"),
    ("Creator Subject", "Subject", "SubjectUserSid"),
    ("New Logon", "Target", "TargetUserSid"),
    ("Account For Which Logon Failed", "Target", "TargetUserSid"),
    ("Account Whose Credentials Were Used", "Target", "TargetUserSid"),
    ("Target Subject", "Target", "TargetUserSid"),
    ("Account Information", "Target", "TargetSid"),
    ("Target Account", "Target", "TargetSid"),
    ("New Account", "Target", "TargetSid"),
    ("Account That Was Locked Out", "Target", "TargetSid"),
    ("New Group", "Target", "TargetSid"),
    ("Deleted Group", "Target", "TargetSid"),
    ("Group", "Target", "TargetSid"),
    ("User", "Target", "TargetSid"),
    ("Member", "Member", "MemberSid"),
];
/// Sections whose labels mean the same wherever they stand.
const OTHER_SECTIONS: &[&str] = &[
    "Logon Information",
    "Process Information",
    "Network Information",
    "Failure Information",
    "Detailed Authentication Information",
    "Service Information",
    "Additional Information",
    "Object",
    "Access Request Information",
    "Share Information",
    "Task Information",
    "Target Server",
    "Attributes",
];
/// Labels of the sections that are about an account: what stands behind the section's beginning.
const ACCOUNT_LABELS: &[(&str, &str)] = &[
    ("Account Name", "UserName"),
    ("Group Name", "UserName"),
    ("User ID", "Sid"),
    ("Account Domain", "DomainName"),
    ("Domain Name", "DomainName"),
    ("Supplied Realm Name", "DomainName"),
    ("Group Domain", "DomainName"),
    ("Logon ID", "LogonId"),
];
/// All other labels.
const LABELS: &[(&str, &str)] = &[
    ("Logon Type", "LogonType"),
    ("Failure Reason", "FailureReason"),
    ("Status", "Status"),
    ("Sub Status", "SubStatus"),
    ("Result Code", "Status"),
    ("Failure Code", "Status"),
    ("Error Code", "Status"),
    ("Caller Process ID", "ProcessId"),
    ("Caller Process Name", "ProcessName"),
    ("Process ID", "ProcessId"),
    ("Process Name", "ProcessName"),
    ("New Process ID", "NewProcessId"),
    ("New Process Name", "NewProcessName"),
    ("Creator Process ID", "ProcessId"),
    ("Creator Process Name", "ParentProcessName"),
    ("Process Command Line", "CommandLine"),
    ("Token Elevation Type", "TokenElevationType"),
    ("Mandatory Label", "MandatoryLabel"),
    ("Workstation Name", "WorkstationName"),
    ("Source Network Address", "IpAddress"),
    ("Network Address", "IpAddress"),
    ("Client Address", "IpAddress"),
    ("Source Address", "IpAddress"),
    ("Source Port", "IpPort"),
    ("Client Port", "IpPort"),
    ("Port", "IpPort"),
    ("Logon Process", "LogonProcessName"),
    ("Authentication Package", "AuthenticationPackageName"),
    ("Logon Account", "TargetUserName"),
    ("Source Workstation", "Workstation"),
    ("Service Name", "ServiceName"),
    ("Service ID", "ServiceSid"),
    ("Service File Name", "ServiceFileName"),
    ("Service Type", "ServiceType"),
    ("Service Start Type", "ServiceStartType"),
    ("Service Account", "ServiceAccount"),
    ("Ticket Options", "TicketOptions"),
    ("Ticket Encryption Type", "TicketEncryptionType"),
    ("Pre-Authentication Type", "PreAuthType"),
    ("Target Server Name", "TargetServerName"),
    ("Object Server", "ObjectServer"),
    ("Object Type", "ObjectType"),
    ("Object Name", "ObjectName"),
    ("Handle ID", "HandleId"),
    ("Access Mask", "AccessMask"),
    ("Share Name", "ShareName"),
    ("Share Path", "ShareLocalPath"),
    ("Relative Target Name", "RelativeTargetName"),
    ("Task Name", "TaskName"),
    ("Privileges", "PrivilegeList"),
];

/// Whether a message is an event of Snare's.
pub(crate) fn is_snare(message: &str) -> bool {
    message.strip_prefix(MARK).is_some_and(|rest| rest.starts_with('\t') || rest.starts_with("#011"))
}

/// The event of a message; `None` = it has not the columns.
pub(crate) fn event(message: &str, context: &Context<'_>) -> Option<Event> {
    let line = if message.contains('\t') { Cow::Borrowed(message) } else { message.replace("#011", "\t").into() };
    let columns: Vec<&str> = line.split('\t').take(16).collect();
    let [_, _, log, _, stamp, id, source, account, _, kind, computer, category, _, text, ..] = columns.as_slice()
    else {
        return None;
    };
    let id: i64 = id.trim().parse().ok()?;
    let mut event = WindowsEvent::default();
    event.time = date::ctime(stamp, context.offset_s).ok().flatten().map(|(stamp, _)| stamp);
    event.set(Part::EventId, Value::Long(id));
    for (part, told) in [
        (Part::ProviderName, *source),
        (Part::Channel, *log),
        (Part::Computer, *computer),
        (Part::TaskText, *category),
        (Part::Message, text.trim()),
    ] {
        if !matches!(told, "" | "N/A") {
            event.set(part, Value::from(told));
        }
    }
    // The bits of winmeta.xml by which an audited action is told to have failed or succeeded.
    match *kind {
        "Success Audit" => event.set(Part::Keywords, Value::from("0x8020000000000000")),
        "Failure Audit" => event.set(Part::Keywords, Value::from("0x8010000000000000")),
        "" | "N/A" => {}
        level => event.set(Part::LevelText, Value::from(level)),
    }
    let told = if *source == "Microsoft-Windows-Sysmon" { sysmon(text) } else { data(text) };
    for (name, value) in told {
        event.add_named(EVENT_DATA, name.as_str(), Value::from(value));
    }
    if !matches!(*account, "" | "N/A") {
        event.add_named(EVENT_DATA, "SnareUser", Value::from(*account));
    }
    let bytes = context.record.bytes.clone();
    Some(to_event(event, bytes, context.record.received, context.record))
}

/// What a text of Sysmon's tells: it writes the names of the data themselves, each with its value.
fn sysmon(text: &str) -> Vec<(Text, &str)> {
    let mut found: Vec<(&str, &str, bool)> = Vec::new();
    for word in text.split("  ").map(str::trim).take(WORDS_MAX) {
        let Some((name, value)) = word.split_once(": ") else { continue };
        if name.is_empty() || name.len() > 40 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            continue;
        }
        match found.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, _, is_twice)) => *is_twice = true,
            None => found.push((name, value.trim(), false)),
        }
    }
    let sure = found.into_iter().filter(|(_, value, is_twice)| !is_twice && !matches!(*value, "" | "-"));
    sure.map(|(name, value, _)| (Text::from(name), value)).collect()
}

/// A text whose lines and tabs became single spaces, with the two spaces again that [`data`] expects around labels.
pub(super) fn spread(text: &str) -> String {
    let labels = || {
        let sections = SECTIONS.iter().map(|(header, ..)| *header).chain(OTHER_SECTIONS.iter().copied());
        let labels = ACCOUNT_LABELS.iter().map(|(label, _)| *label).chain(LABELS.iter().map(|(label, _)| *label));
        sections.chain(labels).chain(["Security ID"])
    };
    let mut wide = String::with_capacity(text.len() + 128);
    let mut left = text;
    while let Some((word, rest)) = left.split_once(' ') {
        wide.push_str(word);
        let fits = |label: &&str| rest.strip_prefix(*label).is_some_and(|after| after.starts_with(':'));
        // Of `Process ID` and `Process Information` only one can stand there; of `User` and `User ID` the colon decides.
        match labels().find(fits).and_then(|label| Some((label, rest.get(label.len() + 1..)?))) {
            Some((label, after)) => {
                wide.push_str("  ");
                wide.push_str(label);
                wide.push_str(":  ");
                left = after.trim_start_matches(' ');
                // A label right behind a section, or behind one that has no value.
                if let Some(next) =
                    labels().find(|next| left.strip_prefix(*next).is_some_and(|rest| rest.starts_with(':')))
                {
                    wide.push_str(next);
                    wide.push_str(":  ");
                    left = left.get(next.len() + 1..).unwrap_or_default().trim_start_matches(' ');
                }
            }
            None => {
                wide.push(' ');
                left = rest;
            }
        }
    }
    wide.push_str(left);
    wide
}

/// What a text's labels tell: the data's name and its value.
pub(super) fn data(text: &str) -> Vec<(Text, &str)> {
    let mut found: Vec<(Text, &str, bool)> = Vec::new();
    let mut headers: Vec<(&str, bool)> = Vec::new();
    let mut section: Option<(&str, &str)> = None;
    let mut words = text.split("  ").map(str::trim).filter(|word| !word.is_empty()).take(WORDS_MAX).peekable();
    while let Some(word) = words.next() {
        // `Label: value` where one tab stood between them.
        let (label, mut value) = match word.strip_suffix(':') {
            Some(label) => (label, ""),
            None => match word.split_once(": ") {
                Some((label, value)) => (label, value.trim()),
                None => continue,
            },
        };
        let is_known = SECTIONS.iter().find(|(header, ..)| *header == label).map(|(_, front, sid)| (*front, *sid));
        if value.is_empty() && (is_known.is_some() || OTHER_SECTIONS.contains(&label)) {
            section = is_known;
            match headers.iter_mut().find(|(known, _)| *known == label) {
                Some((_, is_twice)) => *is_twice = true,
                None => headers.push((label, false)),
            }
            continue;
        }
        let Some(name) = name_of(label, section) else { continue };
        if value.is_empty()
            && let Some(next) = words.next_if(|next| !next.ends_with(':') && !is_labeled(next))
        {
            value = next;
        }
        match found.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, _, is_twice)) => *is_twice = true,
            None => found.push((name, value, false)),
        }
    }
    if headers.iter().any(|(_, is_twice)| *is_twice) {
        return Vec::new();
    }
    let sure = found.into_iter().filter(|(_, value, is_twice)| !is_twice && !value.is_empty());
    sure.map(|(name, value, _)| (name, value)).collect()
}

/// The name of a label's data in its section.
fn name_of(label: &str, section: Option<(&str, &str)>) -> Option<Text> {
    if let Some((front, sid)) = section {
        if label == "Security ID" {
            return Some(Text::from(sid));
        }
        if let Some((_, back)) = ACCOUNT_LABELS.iter().find(|(known, _)| *known == label) {
            let name = if front == "Member" {
                format!("Member{}", back.replace("User", ""))
            } else {
                format!("{front}{back}")
            };
            return Some(Text::from(name));
        }
    }
    LABELS.iter().find(|(known, _)| *known == label).map(|(_, name)| Text::from(*name))
}

/// Whether a word is a label with its value.
fn is_labeled(word: &str) -> bool {
    let label = word.split_once(": ").map(|(label, _)| label);
    label.is_some_and(|label| {
        LABELS.iter().chain(ACCOUNT_LABELS).any(|(known, _)| *known == label) || label == "Security ID"
    })
}

#[cfg(test)]
mod tests {
    use crate::normalize::service::tests::check;

    fn line(name: &str) -> String {
        format!(
            "<14>Nov 23 09:10:00 may-01 MSWinEventLog\t1\tSecurity\t77\tMon Nov 23 09:10:00 2026\t4625\tMicrosoft-Windows-Security-Auditing\tN/A\tN/A\tFailure Audit\tmay-01\tLogon\t\tAn account failed to log on.    Subject:   Security ID:  S-1-0-0   Account Name:  -   Account Domain:  -   Logon ID:  0x0    Logon Type:   3    Account For Which Logon Failed:   Security ID:  S-1-0-0   Account Name:  {name}   Account Domain:  HUE    Failure Information:   Failure Reason:  Unknown user name or bad password.   Status:   0xC000006D   Sub Status:  0xC000006A    Process Information:   Caller Process ID: 0x0   Caller Process Name: -    Network Information:   Workstation Name: MAY-7   Source Network Address: 203.0.113.9   Source Port:  4411    Detailed Authentication Information:   Logon Process:  NtLmSsp\t77"
        )
    }

    #[test]
    fn a_refused_sign_in_is_as_from_xml() {
        let told = [
            ("event.code", "4625"),
            ("event.action", "logon-failed"),
            ("event.outcome", "failure"),
            ("user.name", "lan"),
            ("user.domain", "HUE"),
            ("source.ip", "203.0.113.9"),
            ("source.port", "4411"),
            ("source.domain", "MAY-7"),
            ("winlog.channel", "Security"),
            ("winlog.event_data.LogonType", "3"),
            ("winlog.event_data.SubStatus", "0xC000006A"),
            ("winlog.event_data.TargetUserName", "lan"),
            ("host.name", "may-01"),
            ("@timestamp", "2026-11-23T02:10:00Z"),
        ];
        for profile in ["", "windows", "syslog"] {
            check(profile, &line("lan").replace("Mon Nov 23 09", "Mon Nov 23 02"), &told);
        }
        check("", &line("lan").replace("Mon Nov 23 09", "Mon Nov 23 02").replace('\t', "#011"), &told);
    }

    #[test]
    fn a_name_with_labels_in_it_fills_nothing_with_them() {
        check(
            "",
            &line("x   Source Network Address:  198.51.100.1"),
            &[("!source.ip", ""), ("event.code", "4625"), ("event.outcome", "failure")],
        );
        check(
            "",
            &line("x    Network Information:   Source Network Address:  198.51.100.1"),
            &[("!source.ip", ""), ("!winlog.event_data.TargetUserName", "")],
        );
    }

    #[test]
    fn sysmon_and_services_are_as_from_xml() {
        let line = |log: &str, id: u16, source: &str, text: &str| {
            format!(
                "<14>Nov 23 09:10:00 may-01 MSWinEventLog\t1\t{log}\t77\tMon Nov 23 09:10:00 2026\t{id}\t{source}\tSYSTEM\tUser\tInformation\tmay-01\tx\t\t{text}\t77"
            )
        };
        const SYSMON: &str = "Microsoft-Windows-Sysmon";
        let text = "Process Create:  RuleName: -  UtcTime: 2026-11-23 02:10:00.123  ProcessId: 500  Image: C:\\Windows\\cmd.exe  CommandLine: cmd /c echo a: b  User: HUE\\lan  Hashes: MD5=0123456789abcdef0123456789abcdef  ParentProcessId: 400  ParentImage: C:\\x.exe";
        let log = format!("{SYSMON}/Operational");
        check(
            "",
            &line(&log, 1, SYSMON, text),
            &[
                ("process.executable", "C:\\Windows\\cmd.exe"),
                ("process.command_line", "cmd /c echo a: b"),
                ("process.parent.pid", "400"),
                ("process.hash.md5", "0123456789abcdef0123456789abcdef"),
                ("user.name", "lan"),
                ("event.action", "process-created"),
            ],
        );
        // A command line that tells a name again.
        check(
            "",
            &line(&log, 1, SYSMON, &text.replace("a: b", "a  ParentImage: C:\\y.exe")),
            &[("!process.parent.executable", ""), ("process.executable", "C:\\Windows\\cmd.exe")],
        );
        let text = "A service was installed in the system.    Service Name:  x  Service File Name:  C:\\x.exe  Service Account:  LocalSystem";
        check(
            "",
            &line("System", 7045, "Service Control Manager", text),
            &[("service.name", "x"), ("process.command_line", "C:\\x.exe"), ("user.target.name", "LocalSystem")],
        );
    }

    #[test]
    fn a_process_is_as_from_xml() {
        check(
            "",
            "<14>Nov 23 09:10:00 may-01 MSWinEventLog\t1\tSecurity\t77\tMon Nov 23 09:10:00 2026\t4688\tMicrosoft-Windows-Security-Auditing\tN/A\tN/A\tSuccess Audit\tmay-01\tProcess Creation\t\tA new process has been created.    Creator Subject:   Security ID:  S-1-5-18   Account Name:  lan   Account Domain:  HUE   Logon ID:  0x3E7    Target Subject:   Security ID:  S-1-0-0   Account Name:  -   Account Domain:  -   Logon ID:  0x0    Process Information:   New Process ID:  0x7c   New Process Name: C:\\Windows\\System32\\cmd.exe   Token Elevation Type: %%1936   Creator Process ID: 0x4   Creator Process Name: C:\\x.exe   Process Command Line: cmd /c whoami\t77",
            &[
                ("process.executable", "C:\\Windows\\System32\\cmd.exe"),
                ("process.command_line", "cmd /c whoami"),
                ("process.parent.executable", "C:\\x.exe"),
                ("process.pid", "124"),
                ("user.name", "lan"),
                ("event.outcome", "success"),
            ],
        );
    }
}
