//! More wordings of Cisco ASA and FTD about traffic: threat detection, shunning, fragments, TLS of the device itself.
//!
//! In: nothing. Out: [`WORDINGS`], as in [`super::asa`]. Source: Cisco Secure Firewall ASA Series Syslog Messages.

use super::asa::{INTRUSION, INTRUSION_SEEN};
use super::{DENIED, SEEN, Wording};

/// Message number, wording (empty = any), action, meaning.
pub(super) const WORDINGS: &[Wording] = &[
    (
        "401004",
        "Shunned packet: <source.ip> ==> <destination.ip> on interface <observer.ingress.interface.name>",
        "firewall-rule",
        DENIED,
    ),
    (
        "4000*",
        "IDS:<rule.id> <rule.name> from <source.ip> to <destination.ip> on interface <observer.ingress.interface.name>",
        "",
        INTRUSION_SEEN,
    ),
    (
        "209003",
        "Fragment database limit of <> exceeded: src = <source.ip>, dest = <destination.ip>, proto = <network.transport>, id = <>",
        "firewall-rule",
        DENIED,
    ),
    (
        "209004",
        "Invalid IP fragment, size = <> exceeds maximum size = <>: src = <source.ip>, dest = <destination.ip>, proto = <network.transport>, id = <>",
        "firewall-rule",
        DENIED,
    ),
    (
        "209005",
        "Discard IP fragment set with more than <> elements: src = <source.ip>, dest = <destination.ip>, proto = <network.transport>, id = <>",
        "firewall-rule",
        DENIED,
    ),
    ("733101", "Host <source.ip> is attacking.<>", "", INTRUSION_SEEN),
    ("733101", "Host <destination.ip> is targeted.<>", "", INTRUSION_SEEN),
    ("733102", "Threat-detection adds host <source.ip> to shun list", "", INTRUSION),
    ("733103", "Threat-detection removes host <source.ip> from shun list", "", SEEN),
    (
        "405001",
        "Received ARP <> collision from <source.ip>/<source.mac> on interface <observer.ingress.interface.name> with <event.reason>",
        "",
        SEEN,
    ),
    (
        "725001",
        "Starting SSL handshake with client <observer.ingress.interface.name>:<source.ip>/<source.port> to <destination.ip>/<destination.port> for <> session<>",
        "",
        SEEN,
    ),
    (
        "725001",
        "Starting SSL handshake with client <observer.ingress.interface.name>:<source.ip>/<source.port> for <> session<>",
        "",
        SEEN,
    ),
    (
        "725002",
        "Device completed SSL handshake with client <observer.ingress.interface.name>:<source.ip>/<source.port> to <destination.ip>/<destination.port> for <> session<>",
        "",
        SEEN,
    ),
    (
        "725002",
        "Device completed SSL handshake with client <observer.ingress.interface.name>:<source.ip>/<source.port> for <> session<>",
        "",
        SEEN,
    ),
    (
        "725006",
        "Device failed SSL handshake with client <observer.ingress.interface.name>:<source.ip>/<source.port> to <destination.ip>/<destination.port>",
        "",
        SEEN,
    ),
    (
        "725006",
        "Device failed SSL handshake with client <observer.ingress.interface.name>:<source.ip>/<source.port>",
        "",
        SEEN,
    ),
    (
        "725007",
        "SSL session with client <observer.ingress.interface.name>:<source.ip>/<source.port> to <destination.ip>/<destination.port> terminated<>",
        "",
        SEEN,
    ),
    (
        "725007",
        "SSL session with client <observer.ingress.interface.name>:<source.ip>/<source.port> terminated<>",
        "",
        SEEN,
    ),
];
