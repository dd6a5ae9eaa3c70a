//! Tables: what events of the smaller Windows logs mean in ECS: remote desktop, scheduled tasks, the firewall's rules.
//!
//! Source: Microsoft, event manifests of `TerminalServices-LocalSessionManager`, `TerminalServices-RemoteConnectionManager`, `TaskScheduler`
//! and "Windows Firewall With Advanced Security"; the sign-in events are named as those of the Security log are.

use super::table::{How, Meaning, Move, how, row, same};

/// A log's channel, and the dataset that the events of it have.
pub(super) const CHANNELS: &[(&str, &str, &[Meaning])] = &[
    (
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
        "windows.terminalservices_localsessionmanager_operational",
        SESSIONS,
    ),
    (
        "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational",
        "windows.terminalservices_remoteconnectionmanager_operational",
        CONNECTIONS,
    ),
    ("Microsoft-Windows-TaskScheduler/Operational", "windows.taskscheduler_operational", TASKS),
    (
        "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall",
        "windows.windows_firewall_with_advanced_security_firewall",
        FIREWALL,
    ),
];

const WHO: &[Move] = &[
    how("User", "user.name", How::AccountName),
    how("User", "user.domain", How::AccountDomain),
    how("User", "related.user", How::AccountName),
    // `LOCAL` is no address.
    how("Address", "source.ip", How::Address),
    how("Address", "related.ip", How::Address),
    same("SessionID", "winlog.logon.id"),
];
const SIGN_IN: &[&str] = &["authentication", "session"];
const SESSIONS: &[Meaning] = &[
    row(&[21], "logged-in", SIGN_IN, &["start"], &[WHO]),
    row(&[22], "shell-started", &["session"], &["info"], &[WHO]),
    row(&[23], "logged-out", SIGN_IN, &["end"], &[WHO]),
    row(&[24], "session-disconnected", SIGN_IN, &["end"], &[WHO]),
    row(&[25], "session-reconnected", SIGN_IN, &["start"], &[WHO]),
];

/// Written when a client connects, and with network level authentication when its user is known.
const CONNECTIONS: &[Meaning] = &[row(
    &[1149],
    "remote-desktop-connected",
    &["network"],
    &["connection", "start"],
    &[&[
        same("Param1", "user.name"),
        same("Param2", "user.domain"),
        same("Param1", "related.user"),
        how("Param3", "source.ip", How::Address),
        how("Param3", "related.ip", How::Address),
    ]],
)];

const BY: &[Move] = &[
    how("UserContext", "user.name", How::AccountName),
    how("UserContext", "user.domain", How::AccountDomain),
    how("UserContext", "related.user", How::AccountName),
    how("UserName", "user.name", How::AccountName),
    how("UserName", "user.domain", How::AccountDomain),
    how("UserName", "related.user", How::AccountName),
];
const STARTED: &[Move] = &[
    same("Path", "process.executable"),
    how("Path", "process.name", How::FileName),
    how("ProcessID", "process.pid", How::Number),
    same("ActionName", "process.executable"),
    how("ActionName", "process.name", How::FileName),
];
const SETTINGS: &[&str] = &["configuration"];
const TASKS: &[Meaning] = &[
    row(&[106], "scheduled-task-created", SETTINGS, &["creation"], &[BY]),
    row(&[140], "scheduled-task-updated", SETTINGS, &["change"], &[BY]),
    row(&[141], "scheduled-task-deleted", SETTINGS, &["deletion"], &[BY]),
    row(&[129, 200], "scheduled-task-started", &["process"], &["start"], &[STARTED]),
    row(&[201], "scheduled-task-finished", &["process"], &["end"], &[STARTED]),
];

const RULE: &[Move] = &[
    same("RuleName", "rule.name"),
    same("RuleId", "rule.id"),
    same("ModifyingUser", "user.id"),
    same("ModifyingApplication", "process.executable"),
    how("ModifyingApplication", "process.name", How::FileName),
];
const FIREWALL: &[Meaning] = &[
    row(&[2004, 2071, 2097], "firewall-rule-added", SETTINGS, &["creation"], &[RULE]),
    row(&[2005, 2073, 2099], "firewall-rule-changed", SETTINGS, &["change"], &[RULE]),
    row(&[2006, 2052], "firewall-rule-deleted", SETTINGS, &["deletion"], &[RULE]),
    row(&[2033, 2059], "firewall-rules-deleted", SETTINGS, &["deletion"], &[RULE]),
    row(&[2002, 2003, 2008, 2082, 2083], "firewall-settings-changed", SETTINGS, &["change"], &[RULE]),
];

#[cfg(test)]
mod tests {
    use crate::normalize::service::tests::check;

    fn line(channel: &str, provider: &str, id: u16, data: &str) -> String {
        format!(
            "<Event xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\"><System><Provider Name=\"{provider}\"/><EventID>{id}</EventID><TimeCreated SystemTime=\"2026-11-23T02:10:00.125Z\"/><Channel>{channel}</Channel><Computer>may-01</Computer></System>{data}</Event>"
        )
    }

    #[test]
    fn who_came_by_remote_desktop() {
        const SESSIONS: &str = "Microsoft-Windows-TerminalServices-LocalSessionManager";
        let data = "<UserData><EventXML xmlns=\"Event_NS\"><User>HUE\\lan</User><SessionID>2</SessionID><Address>203.0.113.9</Address></EventXML></UserData>";
        let told = [
            ("event.action", "logged-in"),
            ("event.category", "authentication,session"),
            ("event.dataset", "windows.terminalservices_localsessionmanager_operational"),
            ("user.name", "lan"),
            ("user.domain", "HUE"),
            ("source.ip", "203.0.113.9"),
        ];
        check("windows", &line(&format!("{SESSIONS}/Operational"), SESSIONS, 21, data), &told);
        let local = data.replace("203.0.113.9", "LOCAL");
        check(
            "windows",
            &line(&format!("{SESSIONS}/Operational"), SESSIONS, 24, &local),
            &[("!source.ip", ""), ("event.action", "session-disconnected"), ("user.name", "lan")],
        );
        let provider = "Microsoft-Windows-TerminalServices-RemoteConnectionManager";
        let data = "<UserData><EventXML xmlns=\"Event_NS\"><Param1>lan</Param1><Param2>HUE</Param2><Param3>203.0.113.9</Param3></EventXML></UserData>";
        check(
            "windows",
            &line(&format!("{provider}/Operational"), provider, 1149, data),
            &[("user.name", "lan"), ("source.ip", "203.0.113.9"), ("event.category", "network")],
        );
    }

    #[test]
    fn tasks_and_rules_that_were_set_up() {
        let provider = "Microsoft-Windows-TaskScheduler";
        let data =
            "<EventData><Data Name=\"TaskName\">\\Sao luu</Data><Data Name=\"UserContext\">HUE\\lan</Data></EventData>";
        check(
            "windows",
            &line(&format!("{provider}/Operational"), provider, 106, data),
            &[("event.action", "scheduled-task-created"), ("user.name", "lan"), ("event.type", "creation")],
        );
        let provider = "Microsoft-Windows-Windows Firewall With Advanced Security";
        let data = "<EventData><Data Name=\"RuleName\">mo cong</Data><Data Name=\"ModifyingUser\">S-1-5-21-1</Data></EventData>";
        check(
            "windows",
            &line(&format!("{provider}/Firewall"), provider, 2004, data),
            &[("event.action", "firewall-rule-added"), ("rule.name", "mo cong"), ("user.id", "S-1-5-21-1")],
        );
    }
}
