//! Daemons of a Linux host or a router that let people in or keep them out: FTP, Dropbear, strongSwan, Samba, FreeRADIUS, xrdp,
//! fail2ban, SSHGuard, WireGuard in the kernel.
//!
//! In: the program's name and its message. Out: who, from where, and what came of it. Promise: names that strangers
//! choose are read from the back, or from between marks of the program's own; a message nobody knows sets nothing. Source: vsftpd `logging.c`;
//! ProFTPD `mod_auth.c`; Dropbear `svr-auth*.c`; strongSwan `ike_sa.c`, `task_manager`; Samba `auth/auth_log.c`, vfs_full_audit(8);
//! FreeRADIUS `src/main/auth.c`; xrdp `sesman/sesman.c`; fail2ban `server/actions.py`; SSHGuard `sshguard/sshguard.c`; Linux
//! `drivers/net/wireguard`.

use std::net::{IpAddr, SocketAddr};

use nhatle_event::{Event, Field};

use super::linux::{Outcome, authentication, category, set_source, set_user};
use super::service::between;

/// Sets what a message of one of these programs means. Whether the program is one of them.
pub fn set_fields(event: &mut Event, name: &str, message: &str) -> bool {
    match name {
        "vsftpd" => vsftpd(event, message),
        "proftpd" => proftpd(event, message),
        "pure-ftpd" => pure_ftpd(event, message),
        "dropbear" => dropbear(event, message),
        "charon" | "charon-systemd" | "ipsec" => charon(event, message),
        "smbd" | "samba" => samba(event, message),
        "smbd_audit" => samba_audit(event, message),
        "radiusd" | "freeradius" => radius(event, message),
        "xrdp-sesman" => xrdp(event, message),
        "sshguard" => sshguard(event, message),
        "telnetd" | "in.telnetd" | "in.tftpd" | "in.ftpd" => wrapped(event, message),
        _ if name.starts_with("fail2ban") => fail2ban(event, message),
        _ => return false,
    }
    true
}

fn outcome(is_in: bool) -> Outcome {
    if is_in { Outcome::Success } else { Outcome::Failure }
}

/// `address:port`, `[address]:port`, IPv6 without brackets: these programs write a port always, so the last colon is its.
fn set_peer(event: &mut Event, text: &str) {
    let text = text.trim_end_matches(['.', ',']);
    if let Ok(socket) = text.parse::<SocketAddr>() {
        set_source(event, &socket.ip().to_string());
        event.set(Field::SOURCE_PORT, socket.port());
        return;
    }
    match text.rsplit_once(':').filter(|(address, _)| address.parse::<IpAddr>().is_ok()) {
        Some((address, port)) => {
            set_source(event, address);
            super::service::set_port(event, port);
        }
        None => set_source(event, text),
    }
}

/// `[lan] FAIL LOGIN: Client "203.0.113.9"`, `[pid 7] [lan] OK UPLOAD: Client "203.0.113.9", "/x", 7 bytes`.
fn vsftpd(event: &mut Event, message: &str) {
    let text = match message.strip_prefix("[pid ").and_then(|rest| rest.split_once("] ")) {
        Some((_, rest)) => rest,
        None => message,
    };
    // The client's address is the last that is named so; a name is what the client typed.
    let Some((front, back)) = text.rsplit_once(": Client \"") else { return };
    let (address, rest) = back.split_once('"').unwrap_or((back, ""));
    let (user, verb) = match front.rsplit_once("] ") {
        Some((user, verb)) => (user.strip_prefix('[').unwrap_or(user), verb),
        None => ("", front),
    };
    match verb {
        "OK LOGIN" | "FAIL LOGIN" => authentication(event, "ftp_login", outcome(verb == "OK LOGIN")),
        "CONNECT" => {
            category(event, "network", &["connection", "start"]);
            event.set(Field::EVENT_ACTION, "ftp_connect");
        }
        _ => {
            let Some((word, action)) = verb.split_once(' ') else { return };
            category(event, "file", &[if action == "DOWNLOAD" { "access" } else { "change" }]);
            event.set(Field::EVENT_ACTION, format!("ftp_{}", action.to_ascii_lowercase()));
            event.set(Field::EVENT_OUTCOME, if word == "OK" { "success" } else { "failure" });
            if let Some(path) = rest.strip_prefix(", \"").and_then(|rest| rest.rsplit_once('"')).map(|(path, _)| path) {
                event.set(Field::FILE_PATH, path);
            }
        }
    }
    set_user(event, user);
    set_source(event, address.trim_start_matches("::ffff:"));
}

/// `kho-01 (name[203.0.113.9]) - USER lan (Login failed): Incorrect password`.
fn proftpd(event: &mut Event, message: &str) {
    let Some((front, text)) = message.split_once("]) - ") else { return };
    let address = front.rsplit_once('[').map_or("", |(_, address)| address);
    set_source(event, address.trim_start_matches("::ffff:"));
    let Some(rest) = text.strip_prefix("USER ") else {
        if text.starts_with("Maximum login attempts") {
            authentication(event, "ftp_login", Outcome::Failure);
            event.set(Field::EVENT_REASON, "too many attempts");
        }
        return;
    };
    let failed = rest.rsplit_once(" (Login failed): ").or_else(|| rest.rsplit_once(": no such user found from "));
    if let Some((user, reason)) = failed {
        authentication(event, "ftp_login", Outcome::Failure);
        let is_reason = rest.contains(" (Login failed): ");
        event.set(Field::EVENT_REASON, if is_reason { reason.trim_end_matches('.') } else { "no such user" });
        set_user(event, user);
    } else if let Some(user) = rest.trim_end_matches('.').strip_suffix(": Login successful") {
        authentication(event, "ftp_login", Outcome::Success);
        set_user(event, user);
    }
}

/// `(?@203.0.113.9) [WARNING] Authentication failed for user [lan]`, `(?@203.0.113.9) [INFO] lan is now logged in`.
fn pure_ftpd(event: &mut Event, message: &str) {
    let Some((who, text)) = message.strip_prefix('(').and_then(|rest| rest.split_once(") ")) else { return };
    let text = text.split_once("] ").map_or(text, |(_, text)| text);
    set_source(event, who.rsplit_once('@').map_or("", |(_, host)| host));
    if let Some(user) = text.strip_prefix("Authentication failed for user [") {
        authentication(event, "ftp_login", Outcome::Failure);
        set_user(event, user.strip_suffix(']').unwrap_or(user));
    } else if let Some(user) = text.strip_suffix(" is now logged in") {
        authentication(event, "ftp_login", Outcome::Success);
        set_user(event, user);
    }
}

/// Dropbear, the SSH server of small routers: `Bad password attempt for 'root' from 203.0.113.9:4411`.
fn dropbear(event: &mut Event, message: &str) {
    // Some builds write their own date in front: `[825] Nov 23 20:10:00 Bad password …`.
    let message = match message.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((pid, rest)) if pid.bytes().all(|byte| byte.is_ascii_digit()) => rest.get(16..).unwrap_or(rest),
        _ => message,
    };
    let front = [
        ("Bad password attempt for ", false),
        ("Bad PAM password attempt for ", false),
        ("Login attempt for nonexistent user", false),
        ("Login attempt with wrong user ", false),
        ("Password auth succeeded for ", true),
        ("PAM password auth succeeded for ", true),
        ("Pubkey auth succeeded for ", true),
    ];
    if let Some((rest, is_in)) = front.iter().find_map(|(front, is_in)| Some((message.strip_prefix(front)?, *is_in))) {
        let Some((user, peer)) =
            rest.rsplit_once(" from ").or_else(|| rest.strip_prefix("from ").map(|peer| ("", peer)))
        else {
            return;
        };
        authentication(event, "ssh_login", outcome(is_in));
        // Behind the name of a key's owner stand method and fingerprint of the key.
        let user = user.strip_prefix('\'').map_or(user, |rest| rest.rsplit_once('\'').map_or(rest, |(user, _)| user));
        set_user(event, user.trim());
        set_peer(event, peer);
    } else if let Some(peer) = message.strip_prefix("Child connection from ") {
        category(event, "network", &["connection", "start"]);
        event.set(Field::EVENT_ACTION, "ssh_connected");
        set_peer(event, peer);
    } else if message.starts_with("Exit before auth")
        && let Some(peer) = between(message, "from <", ">")
    {
        category(event, "network", &["connection", "end"]);
        event.set(Field::EVENT_ACTION, "ssh_disconnected");
        set_peer(event, peer);
    }
}

/// `05[IKE] <con|7> IKE_SA con[7] established between 192.0.2.1[gw]...203.0.113.9[lan]`.
fn charon(event: &mut Event, message: &str) {
    let is_group = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    let text = match message.split_once("] ") {
        Some((front, rest)) if front.split_once('[').is_some_and(|(_, group)| is_group(group)) => rest,
        _ => message,
    };
    let text = match text.strip_prefix('<').and_then(|rest| rest.split_once("> ")) {
        Some((_, rest)) => rest,
        None => text,
    };
    if let Some((what, ends)) = text.split_once(" between ").filter(|(what, _)| what.contains("IKE_SA ")) {
        let is_up = what.ends_with(" established");
        if !is_up && !what.starts_with("deleting ") {
            return;
        }
        if is_up {
            authentication(event, "vpn_login", Outcome::Success);
        } else {
            category(event, "network", &["connection", "end"]);
            event.set(Field::EVENT_ACTION, "vpn_ended");
        }
        // `here[id]...there[id]`: the other side's name is its own word, the address stands before it.
        if let Some((_, there)) = ends.split_once("]...") {
            let (address, id) = there.split_once('[').unwrap_or((there, ""));
            set_source(event, address);
            // A gateway is called by its address, which is no account.
            let id = id.strip_suffix(']').unwrap_or(id);
            if id.parse::<IpAddr>().is_err() {
                set_user(event, id);
            }
        }
    } else if let Some((user, how)) =
        text.strip_prefix("authentication of '").and_then(|rest| rest.rsplit_once("' with "))
    {
        // Its own side says `(myself)`.
        if !how.contains("(myself)") {
            category(event, "authentication", &["info"]);
            event.set(Field::EVENT_ACTION, "vpn_password_check");
            event.set(Field::EVENT_OUTCOME, if how.ends_with("successful") { "success" } else { "failure" });
            set_user(event, user);
        }
    } else if let Some((method, user)) =
        text.strip_prefix("EAP method ").and_then(|rest| rest.split_once(" failed for peer "))
    {
        authentication(event, "vpn_login", Outcome::Failure);
        event.set(Field::EVENT_REASON, method);
        set_user(event, user);
    } else if text.starts_with("received AUTHENTICATION_FAILED") || text.starts_with("no shared key found") {
        authentication(event, "vpn_login", Outcome::Failure);
        event.set(Field::EVENT_REASON, text);
    } else if let Some((address, user)) =
        text.strip_prefix("assigning virtual IP ").and_then(|rest| rest.split_once(" to peer '"))
    {
        event.set(Field::EVENT_ACTION, "vpn_address");
        if let Ok(address) = address.parse::<IpAddr>() {
            event.set(Field::SOURCE_NAT_IP, address);
        }
        set_user(event, user.strip_suffix('\'').unwrap_or(user));
    } else if let Some(rest) = text.strip_prefix("received packet: from ") {
        category(event, "network", &["connection", "info"]);
        let (address, rest) = rest.split_once('[').unwrap_or((rest, ""));
        set_source(event, address);
        super::service::set_port(event, rest.split(']').next().unwrap_or_default());
    } else if let Some(address) = text.strip_suffix(" is initiating an IKE_SA") {
        category(event, "network", &["connection", "start"]);
        event.set(Field::EVENT_ACTION, "vpn_connect");
        set_source(event, address);
    }
}

/// `Auth: [SMB2,(null)] user [HUE]\[lan] at […] with [NTLMv2] status [NT_STATUS_OK] workstation [MAY-7] remote host
/// [ipv4:203.0.113.9:4411] …`.
fn samba(event: &mut Event, message: &str) {
    let Some(rest) = message.split_once("Auth: [").map(|(_, rest)| rest) else { return };
    // Account, domain and machine are what the client says, brackets too: where a mark stands twice, nobody knows which is Samba's.
    if ["] at [", "] status [", " remote host ["].iter().any(|mark| 1 < rest.matches(mark).count()) {
        return authentication(event, "smb_login", Outcome::Failure);
    }
    let Some((who, back)) = rest.split_once("] user [").and_then(|(_, rest)| rest.split_once("] at [")) else { return };
    let Some(status) = between(back, "] status [", "]") else { return };
    authentication(event, "smb_login", outcome(status == "NT_STATUS_OK"));
    event.set(Field::EVENT_REASON, status);
    let (domain, user) = who.split_once("]\\[").unwrap_or(("", who));
    set_user(event, user);
    if !domain.is_empty() {
        event.set(Field::USER_DOMAIN, domain);
    }
    if let Some(peer) = between(back, "remote host [ipv4:", "]").or_else(|| between(back, "remote host [ipv6:", "]")) {
        set_peer(event, peer);
    }
}

/// `lan|203.0.113.9|may-7|chung|unlink|ok|a/b.doc`: the prefix that the manual recommends (`%u|%I|…`), operation, result, path.
fn samba_audit(event: &mut Event, message: &str) {
    let words: Vec<&str> = message.split('|').take(16).collect();
    let Some(address) = words.get(1).filter(|word| word.parse::<IpAddr>().is_ok()) else { return };
    let Some(at) = words.iter().position(|word| *word == "ok" || word.starts_with("fail")).filter(|at| 2 < *at) else {
        return;
    };
    let operation = words.get(at - 1).copied().unwrap_or_default();
    let kind = match operation {
        "unlink" | "unlinkat" | "rmdir" => "deletion",
        "mkdir" | "mkdirat" | "create_file" => "creation",
        "rename" | "renameat" | "pwrite" | "write" | "chmod" | "fchmod" => "change",
        _ => "access",
    };
    category(event, "file", &[kind]);
    event.set(Field::EVENT_ACTION, operation);
    event.set(Field::EVENT_OUTCOME, if words.get(at) == Some(&"ok") { "success" } else { "failure" });
    set_user(event, words.first().copied().unwrap_or_default());
    set_source(event, address);
    // How it was opened stands before the path.
    let path = words.get(at + 1..).unwrap_or_default();
    let path = if operation == "open" && matches!(path, ["r" | "w", _, ..]) { &path[1..] } else { path };
    if !path.is_empty() {
        event.set(Field::FILE_PATH, path.join("|"));
    }
}

/// `(7) Login incorrect (mschap: …): [lan] (from client ap-01 port 0 cli 00-11-22-33-44-55)`.
fn radius(event: &mut Event, message: &str) {
    let text = message.split_once(") ").filter(|(front, _)| front.starts_with('(')).map_or(message, |(_, text)| text);
    let text = text.strip_prefix("Auth: ").unwrap_or(text);
    let is_in = text.starts_with("Login OK");
    if !is_in && !text.starts_with("Login incorrect") && !text.starts_with("Invalid user") {
        return;
    }
    // From the back: the account is what was typed.
    let Some((front, client)) = text.rsplit_once(" (from client ") else { return };
    let Some((reason, account)) = front.split_once(": [") else { return };
    authentication(event, "radius_login", outcome(is_in));
    let account = account.strip_suffix(']').unwrap_or(account);
    // `name/<via Auth-Type = …>`, or with the password where somebody has switched that on: it is not kept.
    set_user(event, account.split_once("/<").map_or(account, |(user, _)| user).split('/').next().unwrap_or(account));
    if let Some(inside) = between(reason, "(", ")") {
        event.set(Field::EVENT_REASON, inside);
    }
    let mut words = client.trim_end_matches(')').split(' ');
    event.set(Field::OBSERVER_NAME, words.next().unwrap_or_default());
    while let Some(word) = words.next() {
        if word == "cli" {
            event.set_named("source.mac", words.next().unwrap_or_default().replace('-', ":").to_ascii_lowercase());
        }
    }
}

/// `AUTHFAIL: user=lan ip=203.0.113.9 time=7`.
fn xrdp(event: &mut Event, message: &str) {
    let Some((_, rest)) = message.split_once("AUTHFAIL: user=") else { return };
    let Some((user, back)) = rest.rsplit_once(" ip=") else { return };
    authentication(event, "rdp_login", Outcome::Failure);
    set_user(event, user);
    set_source(event, back.split(' ').next().unwrap_or_default().trim_start_matches("::ffff:"));
}

/// `Attack from "203.0.113.9" on service SSH with danger 10.`, `Blocking "203.0.113.9/32" for 120 secs (…)`.
fn sshguard(event: &mut Event, message: &str) {
    let is_block = message.starts_with("Blocking \"");
    if !is_block && !message.starts_with("Attack from \"") {
        return;
    }
    category(event, "intrusion_detection", &[if is_block { "denied" } else { "info" }]);
    event.set(Field::EVENT_ACTION, if is_block { "address_blocked" } else { "attack_seen" });
    let address = between(message, "\"", "\"").unwrap_or_default();
    set_source(event, address.split('/').next().unwrap_or(address));
}

/// `NOTICE  [sshd] Ban 203.0.113.9`.
fn fail2ban(event: &mut Event, message: &str) {
    let Some((jail, rest)) = message.split_once('[').and_then(|(_, rest)| rest.split_once("] ")) else { return };
    let mut words = rest.split(' ');
    let action = match words.next() {
        Some("Ban") => "address_banned",
        Some("Unban") => "address_unbanned",
        Some("Found") => "attack_seen",
        Some("Restore") if words.next() == Some("Ban") => "address_banned",
        _ => return,
    };
    let Some(address) = words.next().filter(|word| word.parse::<IpAddr>().is_ok()) else { return };
    category(event, "intrusion_detection", &[if action == "address_banned" { "denied" } else { "info" }]);
    event.set(Field::EVENT_ACTION, action);
    event.set(Field::RULE_NAME, jail);
    set_source(event, address);
}

/// TCP wrappers: `connect from 203.0.113.9`, `refused connect from name (203.0.113.9)`.
fn wrapped(event: &mut Event, message: &str) {
    let refused = message.strip_prefix("refused connect from ");
    let Some(rest) = refused.or_else(|| message.strip_prefix("connect from ")) else { return };
    category(event, "network", if refused.is_some() { &["connection", "denied"] } else { &["connection", "start"] });
    let inside = between(rest, "(", ")").unwrap_or(rest);
    set_source(event, inside.split(' ').next().unwrap_or(inside));
}

/// The kernel's WireGuard, where its messages are switched on: `wireguard: wg0: Handshake for peer 7 (203.0.113.9:51820) did not complete …`.
pub(super) fn wireguard(event: &mut Event, text: &str) -> bool {
    let Some((interface, rest)) = text.strip_prefix("wireguard: ").and_then(|rest| rest.split_once(": ")) else {
        return false;
    };
    event.set(Field::OBSERVER_INGRESS_INTERFACE_NAME, interface);
    let is_refused = rest.starts_with("Invalid ") || rest.contains("did not complete");
    category(event, "network", if is_refused { &["connection", "error"] } else { &["connection", "info"] });
    if is_refused {
        event.set(Field::EVENT_OUTCOME, "failure");
    }
    let peer = between(rest, "(", ")").or_else(|| rest.rsplit_once(" from ").map(|(_, peer)| peer));
    if let Some(peer) = peer.filter(|peer| peer.parse::<SocketAddr>().is_ok()) {
        set_peer(event, peer);
    }
    true
}
