//! Records of the Linux audit log: every pair under `auditd.data.<key>`, and what it means in ECS.
//!
//! In: the parsed record. Out: the event. One record is one event; the records of one system call share
//! `auditd.serial`. Source: linux/audit.h's record types; names of actions as auditbeat gives them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nhatle_event::{Event, Field, Value};

use super::Context;
use super::linux::{category, set_source, set_user};
use crate::parse::key_value::Auditd;

/// An id that says "none": -1 as the kernel prints it.
const UNSET: &str = "4294967295";

/// What a record type means: its action, category, types.
type Meaning = (&'static str, &'static [&'static str], &'static [&'static str]);

fn meaning(kind: &str) -> Option<Meaning> {
    Some(match kind {
        "USER_AUTH" => ("authenticated", &["authentication"], &["info"]),
        "USER_ACCT" => ("was-authorized", &["authentication"], &["info"]),
        "USER_LOGIN" => ("logged-in", &["authentication"], &["start"]),
        "USER_LOGOUT" => ("logged-out", &["authentication"], &["end"]),
        "USER_START" => ("started-session", &["session"], &["start"]),
        "USER_END" => ("ended-session", &["session"], &["end"]),
        "USER_ERR" => ("error", &["authentication"], &["info"]),
        "CRED_ACQ" => ("acquired-credentials", &["authentication"], &["info"]),
        "CRED_DISP" => ("disposed-credentials", &["authentication"], &["info"]),
        "CRED_REFR" => ("refreshed-credentials", &["authentication"], &["info"]),
        "LOGIN" => ("changed-login-id-to", &["authentication"], &["start"]),
        "USER_CMD" => ("ran-command", &["process"], &["start"]),
        "USER_CHAUTHTOK" => ("changed-password", &["iam"], &["user", "change"]),
        "USER_MGMT" => ("modified-user-account", &["iam"], &["user", "change"]),
        "ADD_USER" => ("added-user-account", &["iam"], &["user", "creation"]),
        "DEL_USER" => ("deleted-user-account", &["iam"], &["user", "deletion"]),
        "ADD_GROUP" => ("added-group-account-to", &["iam"], &["group", "creation"]),
        "DEL_GROUP" => ("deleted-group-account-from", &["iam"], &["group", "deletion"]),
        "GRP_MGMT" | "GRP_CHAUTHTOK" => ("modified-group-account", &["iam"], &["group", "change"]),
        "ACCT_LOCK" => ("locked-account", &["iam"], &["user", "change"]),
        "ACCT_UNLOCK" => ("unlocked-account", &["iam"], &["user", "change"]),
        "ROLE_ASSIGN" => ("assigned-user-role-to", &["iam"], &["user", "change"]),
        "USER_ROLE_CHANGE" => ("changed-role-to", &[], &[]),
        "SERVICE_START" => ("started-service", &["process"], &["start"]),
        "SERVICE_STOP" => ("stopped-service", &["process"], &["stop"]),
        "DAEMON_START" => ("started-audit", &["process"], &["start"]),
        "DAEMON_END" => ("shutdown-audit", &["process"], &["stop"]),
        "DAEMON_ABORT" => ("aborted-auditd-startup", &["process"], &["stop"]),
        "SYSTEM_BOOT" => ("booted-system", &["host"], &["info"]),
        "SYSTEM_SHUTDOWN" => ("shutdown-system", &["host"], &["info"]),
        "SYSTEM_RUNLEVEL" => ("changed-to-runlevel", &["host"], &["change"]),
        "CONFIG_CHANGE" => ("changed-audit-configuration", &["process", "configuration"], &["change"]),
        "DAEMON_CONFIG" => ("changed-auditd-configuration", &["configuration"], &["change"]),
        "USYS_CONFIG" => ("changed-configuration", &["configuration"], &["change"]),
        "NETFILTER_CFG" => ("loaded-firewall-rule-to", &["configuration"], &["change"]),
        "MAC_STATUS" => ("changed-selinux-enforcement", &["configuration"], &["change"]),
        "KERN_MODULE" => ("loaded-kernel-module", &["driver"], &["start"]),
        "SOFTWARE_UPDATE" => ("package-updated", &["package"], &["info"]),
        "CRYPTO_SESSION" => ("started-crypto-session", &["process"], &["info"]),
        "CRYPTO_KEY_USER" => ("negotiated-crypto-key", &["process"], &["info"]),
        "CRYPTO_LOGIN" => ("crypto-officer-logged-in", &["authentication"], &["start"]),
        "TTY" | "USER_TTY" => ("typed", &[], &[]),
        "VIRT_CONTROL" => ("issued-vm-control", &["host"], &["info"]),
        "VIRT_MACHINE_ID" => ("assigned-vm-id", &["host"], &["info"]),
        "VIRT_RESOURCE" => ("assigned-vm-resource", &["host"], &["info"]),
        "ANOM_ABEND" => ("crashed-program", &["process"], &["end"]),
        "ANOM_PROMISCUOUS" => ("changed-promiscuous-mode-on-device", &["network"], &["info"]),
        "ANOM_LOGIN_FAILURES" => ("failed-log-in-too-many-times-to", &["authentication"], &["info"]),
        // What watches of the host found, by auditd's own analysis or a tool's.
        "ANOM_LOGIN_LOCATION" => ("attempted-log-in-from-unusual-place-to", &["authentication"], &["info"]),
        "ANOM_LOGIN_SESSIONS" => ("opened-too-many-sessions-to", &["authentication"], &["info"]),
        "ANOM_LOGIN_TIME" => ("attempted-log-in-during-unusual-hour-to", &["authentication"], &["info"]),
        "ANOM_LOGIN_ACCT" => ("attempted-log-in-to-watched-account", &["authentication"], &["info"]),
        "ANOM_LINK" => ("used-suspicious-link", &["intrusion_detection"], &["info"]),
        "ANOM_EXEC" => ("executed-unusual-program", &["intrusion_detection"], &["info"]),
        "ANOM_ROOT_TRANS" => ("became-root", &["intrusion_detection"], &["info"]),
        "ANOM_CREAT" => ("created-unusual-file", &["intrusion_detection"], &["info"]),
        "SECCOMP" => ("violated-seccomp-policy", &["process"], &["denied"]),
        "MAC_POLICY_LOAD" => ("loaded-selinux-policy", &["configuration"], &["change"]),
        "MAC_CONFIG_CHANGE" => ("changed-selinux-boolean", &["configuration"], &["change"]),
        "FEATURE_CHANGE" => ("changed-audit-feature", &["configuration"], &["change"]),
        "FS_RELABEL" => ("relabeled-filesystem", &["configuration"], &["change"]),
        "SYSCALL" => ("syscall", &["process"], &["info"]),
        "EXECVE" => ("execve", &["process"], &["start"]),
        _ => return None,
    })
}

/// The event an audit record means. `text` is the record's text, for its message.
pub fn event(parts: &Auditd<'_>, text: &str, context: &Context<'_>) -> Event {
    let mut event = context.event(Some(parts.timestamp), "auditd", "auditd.log");
    event.set(Field::MESSAGE, text);
    event.set_named("auditd.type", parts.kind);
    event.set_named("auditd.data.type", parts.kind);
    event.set_named("auditd.serial", parts.serial);
    if let Some(node) = parts.node {
        event.set(Field::HOST_NAME, node);
    }
    match meaning(parts.kind) {
        Some((action, categories, types)) => {
            event.set(Field::EVENT_ACTION, action);
            categories.iter().for_each(|name| event.add(Field::EVENT_CATEGORY, *name));
            types.iter().for_each(|name| event.add(Field::EVENT_TYPE, *name));
        }
        None => event.set(Field::EVENT_ACTION, parts.kind.to_ascii_lowercase()),
    }
    for (key, value) in &parts.pairs {
        set_pair(&mut event, parts.kind, key, value);
    }
    match parts.kind {
        "EXECVE" => arguments(&mut event, parts),
        "SOCKADDR" => socket_address(&mut event, parts),
        "AVC" => access_vector(&mut event, parts),
        "SYSCALL" => direction(&mut event, parts),
        _ => {}
    }
    event
}

/// System calls by which a process opens or answers a connection, by `arch` (`AUDIT_ARCH_*` of linux/audit.h) and
/// number: x86-64 and ARM64. Interpreted logs (`SYSCALL=connect`) tell the name.
const CONNECTING: &[(&str, &[(&str, &str)])] = &[
    (
        "c000003e",
        &[
            ("42", "connect"),
            ("43", "accept"),
            ("44", "sendto"),
            ("45", "recvfrom"),
            ("46", "sendmsg"),
            ("47", "recvmsg"),
            ("288", "accept4"),
        ],
    ),
    (
        "c00000b7",
        &[
            ("202", "accept"),
            ("203", "connect"),
            ("206", "sendto"),
            ("207", "recvfrom"),
            ("211", "sendmsg"),
            ("212", "recvmsg"),
            ("242", "accept4"),
        ],
    ),
];

/// Which way a system call of a socket goes.
fn direction(event: &mut Event, parts: &Auditd<'_>) {
    let of = |name: &str| parts.pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref());
    let by_number = || {
        let (arch, number) = (of("arch")?, of("syscall")?);
        let (_, calls) = CONNECTING.iter().find(|(known, _)| *known == arch)?;
        calls.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
    };
    let way = match of("SYSCALL").or_else(by_number) {
        Some("accept" | "accept4" | "recvfrom" | "recvmsg") => "ingress",
        Some("connect" | "sendto" | "sendmsg") => "egress",
        _ => return,
    };
    event.set(Field::NETWORK_DIRECTION, way);
}

/// One pair: as sent, and in ECS where it has a place there.
fn set_pair(event: &mut Event, kind: &str, key: &str, value: &str) {
    event.set_named(&format!("auditd.data.{key}"), value);
    let is_known = !matches!(value, "" | "?" | "(none)" | "(null)" | UNSET | "-1");
    if !is_known {
        return;
    }
    let is_iam = matches!(
        kind,
        "USER_CHAUTHTOK"
            | "USER_MGMT"
            | "ADD_USER"
            | "DEL_USER"
            | "ADD_GROUP"
            | "DEL_GROUP"
            | "GRP_MGMT"
            | "GRP_CHAUTHTOK"
    );
    // Who logged in is who does these, whatever he has become by then (auditbeat's "primary actor").
    let is_login_users = is_iam
        || matches!(
            kind,
            "USER_AUTH"
                | "USER_ACCT"
                | "USER_START"
                | "USER_END"
                | "USER_LOGIN"
                | "USER_LOGOUT"
                | "CRED_ACQ"
                | "CRED_DISP"
                | "CRED_REFR"
                | "LOGIN"
        );
    match key {
        "pid" => set_number(event, Field::PROCESS_PID, value),
        "ppid" => set_number(event, Field::PROCESS_PARENT_PID, value),
        "exit" if kind == "SYSCALL" => {}
        "comm" => event.set(Field::PROCESS_NAME, value),
        "exe" => event.set(Field::PROCESS_EXECUTABLE, value),
        "cwd" => event.set(Field::PROCESS_WORKING_DIRECTORY, value),
        "proctitle" => event.set(Field::PROCESS_TITLE, value),
        "cmd" => event.set(Field::PROCESS_COMMAND_LINE, value),
        "uid" => event.set_default(Field::USER_ID, value),
        "auid" => {
            event.set_named("user.audit.id", value);
            if is_login_users {
                event.set(Field::USER_ID, value);
            }
        }
        "euid" => event.set(Field::USER_EFFECTIVE_ID, value),
        "gid" => event.set_named("user.group.id", value),
        "acct" => {
            set_user(event, value);
            if is_iam {
                event.set(Field::USER_TARGET_NAME, value);
            } else if is_login_users && !matches!(kind, "USER_LOGIN" | "USER_LOGOUT" | "LOGIN") {
                event.set(Field::USER_EFFECTIVE_NAME, value);
            }
        }
        "user" if kind.starts_with("VIRT_") => set_user(event, value),
        "id" if kind.ends_with("GROUP") || kind == "GRP_MGMT" => event.set(Field::GROUP_ID, value),
        "grp" => event.set(Field::GROUP_NAME, value),
        "addr" | "src" => set_source(event, value),
        "rport" => set_number(event, Field::SOURCE_PORT, value),
        "laddr" => set_address(event, Field::DESTINATION_IP, value),
        "lport" => set_number(event, Field::DESTINATION_PORT, value),
        "dst" => set_address(event, Field::DESTINATION_IP, value),
        "name" if kind == "PATH" => event.set(Field::FILE_PATH, value),
        "unit" => event.set(Field::SERVICE_NAME, value),
        "node" => event.set(Field::HOST_NAME, value),
        "success" => event.set(Field::EVENT_OUTCOME, if value == "yes" { "success" } else { "failure" }),
        "res" | "result" => event.set(
            Field::EVENT_OUTCOME,
            match value {
                "success" | "1" | "yes" => "success",
                _ => "failure",
            },
        ),
        "key" => event.add(Field::TAGS, value),
        // The names that `log_format = ENRICHED` writes behind the ids; an account's own name stands in `acct`.
        "AUID" if value != "unset" => event.set_named("user.audit.name", value),
        "UID" if value != "unset" && !is_login_users && event.get(Field::USER_NAME).is_none() => set_user(event, value),
        "EUID" if value != "unset" => event.set_default(Field::USER_EFFECTIVE_NAME, value),
        "GID" if value != "unset" => event.set_default(Field::USER_GROUP_NAME, value),
        _ => {}
    }
}

fn set_number(event: &mut Event, field: Field, value: &str) {
    if let Ok(number) = value.parse::<i64>() {
        event.set(field, Value::Long(number));
    }
}

fn set_address(event: &mut Event, field: Field, value: &str) {
    if let Ok(address) = value.parse::<IpAddr>() {
        event.set(field, address.to_canonical());
        event.add(Field::RELATED_IP, address.to_canonical());
    }
}

/// EXECVE's `a0`, `a1`, … as arguments and as a command line.
fn arguments(event: &mut Event, parts: &Auditd<'_>) {
    let is_argument = |key: &str| {
        key.strip_prefix('a').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()) && !number.is_empty())
    };
    let arguments: Vec<_> =
        parts.pairs.iter().filter(|(key, _)| is_argument(key)).map(|(_, value)| value.as_ref()).collect();
    let Some(first) = arguments.first() else { return };
    event.set(Field::PROCESS_EXECUTABLE, *first);
    event.set_default(Field::PROCESS_NAME, first.rsplit('/').next().unwrap_or(first));
    event.set(Field::PROCESS_COMMAND_LINE, arguments.join(" "));
    event.set(Field::PROCESS_ARGS_COUNT, i64::try_from(arguments.len()).unwrap_or(i64::MAX));
    event.set(Field::PROCESS_ARGS, Value::List(arguments.into_iter().map(Value::from).collect()));
}

/// SOCKADDR's `saddr`: `struct sockaddr` in hexadecimal (family in host order, port and address in
/// network order).
fn socket_address(event: &mut Event, parts: &Auditd<'_>) {
    let Some((_, text)) = parts.pairs.iter().find(|(key, _)| *key == "saddr") else { return };
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks_exact(2)
        .take(128)
        .map(|pair| {
            Some(u8::try_from(char::from(pair[0]).to_digit(16)? * 16 + char::from(pair[1]).to_digit(16)?).unwrap_or(0))
        })
        .collect();
    let Some(bytes) = bytes else { return };
    let port = |bytes: &[u8]| bytes.get(2..4).map(|port| u16::from_be_bytes([port[0], port[1]]));
    let address: Option<IpAddr> = match bytes.first() {
        Some(2) => bytes.get(4..8).and_then(|raw| <[u8; 4]>::try_from(raw).ok()).map(|raw| Ipv4Addr::from(raw).into()),
        Some(10) => {
            bytes.get(8..24).and_then(|raw| <[u8; 16]>::try_from(raw).ok()).map(|raw| Ipv6Addr::from(raw).into())
        }
        _ => None,
    };
    if let (Some(address), Some(port)) = (address, port(&bytes)) {
        event.set_named("auditd.data.addr", address.to_string());
        event.set_named("auditd.data.port", i64::from(port));
        event.add(Field::RELATED_IP, address);
    }
}

/// AVC's `avc:  denied  { read } for …`.
fn access_vector(event: &mut Event, parts: &Auditd<'_>) {
    let is_of = |name: &str| parts.pairs.iter().any(|(key, _)| *key == name);
    if is_of("apparmor") {
        event.set(Field::EVENT_ACTION, "violated-apparmor-policy");
        let of = |name: &str| parts.pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref());
        let is_denied = of("apparmor") == Some("DENIED");
        category(event, "process", &[if is_denied { "denied" } else { "allowed" }]);
        event.set(Field::EVENT_OUTCOME, if is_denied { "failure" } else { "success" });
        if let Some(path) = of("name").filter(|name| name.starts_with('/')) {
            event.set(Field::FILE_PATH, path);
        }
    } else if is_of("seresult") {
        event.set(Field::EVENT_ACTION, "violated-selinux-policy");
    }
    let Some(rest) = parts.body.strip_prefix("avc:") else { return };
    let rest = rest.trim_start();
    let result = rest.split(' ').next().unwrap_or_default();
    if matches!(result, "denied" | "granted") {
        event.set_named("auditd.data.seresult", result);
        category(event, "process", &[if result == "denied" { "denied" } else { "allowed" }]);
        event.set(Field::EVENT_OUTCOME, if result == "denied" { "failure" } else { "success" });
    }
    if let Some(permissions) =
        rest.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(inside, _)| inside.trim())
    {
        event.set_named("auditd.data.seperms", permissions);
    }
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::check;

    #[test]
    fn what_watches_of_the_host_found() {
        check(
            "",
            "type=SECCOMP msg=audit(1795399800.125:7): auid=1000 uid=1000 pid=9 comm=\"x\" exe=\"/opt/x\" sig=31 arch=c000003e syscall=2 code=0x0",
            &[("event.action", "violated-seccomp-policy"), ("event.type", "denied"), ("process.executable", "/opt/x")],
        );
        check(
            "",
            "type=ANOM_LINK msg=audit(1795399800.125:8): op=follow_link ppid=1 pid=9 auid=1000 uid=1000 comm=\"x\" exe=\"/opt/x\" res=0",
            &[
                ("event.action", "used-suspicious-link"),
                ("event.category", "intrusion_detection"),
                ("event.outcome", "failure"),
            ],
        );
    }

    #[test]
    fn types_by_number_and_names_behind_ids() {
        check(
            "linux",
            "Nov 23 20:10:00 may-01 kernel: [ 7.5] audit: type=1400 audit(1795399800.125:7): apparmor=\"DENIED\" operation=\"open\" profile=\"/usr/sbin/x\" name=\"/etc/shadow\" pid=5 comm=\"x\"",
            &[
                ("auditd.type", "AVC"),
                ("event.action", "violated-apparmor-policy"),
                ("event.outcome", "failure"),
                ("event.type", "denied"),
                ("file.path", "/etc/shadow"),
                ("process.name", "x"),
            ],
        );
        check(
            "auditd",
            "type=SYSCALL msg=audit(1795399800.125:7): arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=2 auid=1000 uid=0 gid=0 euid=0 comm=\"ls\" exe=\"/bin/ls\" key=\"k\"\u{1d}ARCH=x86_64 SYSCALL=execve AUID=\"lan\" UID=\"root\" GID=\"root\" EUID=\"root\"",
            &[
                ("user.audit.name", "lan"),
                ("user.audit.id", "1000"),
                ("user.name", "root"),
                ("user.effective.name", "root"),
                ("user.group.name", "root"),
            ],
        );
    }
}
