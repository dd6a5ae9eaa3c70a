//! OpenVPN's server: who came in, who was refused, whose certificate was bad.
//!
//! In: a message of the server, `address:port …` or `user/address:port …`. Out: user, client, outcome. The names
//! in certificates are strangers' text and stay in `event.reason`. Source: OpenVPN 2.6, `ssl.c`, `ssl_verify.c`,
//! `multi.c`.

use std::net::{IpAddr, SocketAddr};

use nhatle_event::{Event, Field};

use super::{happened, set_named, sign_in};
use crate::normalize::device::Act;
use crate::normalize::linux::{set_source, set_user};

/// Sets what a message means.
pub fn set_fields(event: &mut Event, message: &str) {
    // `verb 4` and more: the microseconds of the moment.
    let micros = message.strip_prefix("us=").and_then(|rest| rest.split_once(' '));
    let message = match micros.filter(|(digits, _)| digits.bytes().all(|byte| byte.is_ascii_digit())) {
        Some((_, rest)) => rest,
        None => message,
    };
    let Some((front, text)) = message.split_once(' ') else { return };
    let (user, client) = front.rsplit_once('/').unwrap_or(("", front));
    let Some((address, port)) = socket(client) else { return };
    set_source(event, &address.to_string());
    event.set(Field::SOURCE_PORT, port);
    set_user(event, user);
    meaning(event, text);
}

/// What the server says behind the client: every wording is looked for at the front, because the names in
/// certificates and of accounts that follow are strangers' text.
fn meaning(event: &mut Event, text: &str) {
    if let Some(rest) = text.strip_prefix('[').filter(|rest| rest.contains("] Peer Connection Initiated with ")) {
        sign_in(event, "vpn_login", true);
        set_user(event, rest.rsplit_once("] Peer Connection").map_or("", |(user, _)| user));
    } else if let Some(rest) = text.strip_prefix("TLS: Username/Password authentication succeeded for username '") {
        happened(event, "vpn_password_check", Act("authentication", &["info"], "success"));
        set_user(event, rest.rsplit_once('\'').map_or(rest, |(user, _)| user));
    } else if let Some(reason) = text.strip_prefix("TLS Auth Error: ") {
        sign_in(event, "vpn_login", false);
        let user = text.split_once(" for username '").and_then(|(_, rest)| rest.rsplit_once('\''));
        set_user(event, user.map_or("", |(user, _)| user));
        set_named(event, "event.reason", Some(reason));
    } else if let Some(reason) = text.strip_prefix("VERIFY ERROR: ").or_else(|| text.strip_prefix("CRL CHECK FAILED: "))
    {
        sign_in(event, "vpn_login", false);
        event.set_named("openvpn.refused", "certificate");
        set_named(event, "event.reason", Some(reason));
    } else if text.starts_with("SENT CONTROL [") && text.contains("]: 'AUTH_FAILED") {
        happened(event, "vpn_refusal_sent", Act("authentication", &["info"], "failure"));
    } else if let Some(rest) =
        text.strip_prefix("MULTI: Learn: ").or_else(|| text.strip_prefix("MULTI_sva: pool returned IPv4="))
    {
        // The address inside the tunnel.
        happened(event, "vpn_address", Act("network", &["connection", "info"], ""));
        set_named(event, "openvpn.tunnel_ip", rest.split([',', ' ']).next());
    } else if let Some(reason) = text.split_once("] received, client-instance ").and_then(|_| text.strip_prefix("SIG"))
    {
        happened(event, "vpn_ended", Act("network", &["connection", "end"], ""));
        set_named(event, "event.reason", Some(&format!("SIG{reason}")));
    } else if let Some(reason) = text.strip_prefix("TLS Error: ") {
        happened(event, "vpn_tls_error", Act("network", &["connection", "error"], "failure"));
        set_named(event, "event.reason", Some(reason));
    }
}

fn socket(text: &str) -> Option<(IpAddr, u16)> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some((socket.ip(), socket.port()));
    }
    // IPv6 addresses are written without brackets.
    let (address, port) = text.rsplit_once(':')?;
    Some((address.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn sign_ins_refusals_and_certificates() {
        let line = |message: &str| format!("<29>Nov 23 20:10:00 vpn-01 openvpn[7]: {message}");
        check(
            "openvpn",
            &line("203.0.113.9:4411 [lan] Peer Connection Initiated with [AF_INET]203.0.113.9:4411"),
            &[
                ("user.name", "lan"),
                ("source.ip", "203.0.113.9"),
                ("event.action", "vpn_login"),
                ("event.outcome", "success"),
            ],
        );
        check(
            "openvpn",
            &line("203.0.113.9:4411 TLS Auth Error: Auth Username/Password verification failed for peer"),
            &[("event.outcome", "failure"), ("source.port", "4411"), ("!user.name", "")],
        );
        check(
            "openvpn",
            "2026-11-23 20:10:00 203.0.113.9:4411 VERIFY ERROR: depth=0, error=certificate has expired: CN=lan",
            &[
                ("@timestamp", "2026-11-23T20:10:00Z"),
                ("event.action", "vpn_login"),
                ("openvpn.refused", "certificate"),
                ("!user.name", ""),
            ],
        );
        check(
            "openvpn",
            "2026-11-23 20:10:00 us=123456 203.0.113.9:4411 TLS Auth Error: Auth Username/Password verification failed for peer",
            &[("event.outcome", "failure"), ("source.ip", "203.0.113.9")],
        );
        check(
            "openvpn",
            &line("lan/203.0.113.9:4411 MULTI_sva: pool returned IPv4=10.8.0.6, IPv6=(Not enabled)"),
            &[("openvpn.tunnel_ip", "10.8.0.6"), ("user.name", "lan")],
        );
        check(
            "openvpn",
            &line("lan/203.0.113.9:4411 SIGTERM[soft,remote-exit] received, client-instance exiting"),
            &[("event.action", "vpn_ended"), ("event.type", "connection,end")],
        );
        // A name in a certificate that was let in is no refusal.
        check(
            "openvpn",
            &line("203.0.113.9:4411 VERIFY OK: depth=0, CN=x VERIFY ERROR: depth=0, error=certificate revoked: CN=lan"),
            &[("!event.outcome", ""), ("!event.action", ""), ("source.ip", "203.0.113.9")],
        );
        check("openvpn", &line("Initialization Sequence Completed"), &[("!source.ip", ""), ("!event.action", "")]);
    }
}
