//! The wordings of Cisco IOS, by facility and mnemonic.
//!
//! In: nothing. Out: [`WORDINGS`]; the first wording of a message's name that fits counts.
//! Source: Cisco IOS system message guide.

use super::{CHANGED, COMMAND, DENIED, LOGIN, OPENED, REFUSED, SEEN, Wording};

/// Facility and mnemonic, wording (empty = any), action, meaning.
pub(super) const WORDINGS: &[Wording] = &[
    (
        "SYS-CONFIG_I",
        "Configured from <> by <user.name> on <cisco.ios.line> (<source.ip>)",
        "configuration-changed",
        CHANGED,
    ),
    ("SYS-CONFIG_I", "Configured from <> by <user.name> on <cisco.ios.line>", "configuration-changed", CHANGED),
    ("SYS-CONFIG_I", "Configured from <> by <cisco.ios.line> (<source.ip>)<>", "configuration-changed", CHANGED),
    ("SYS-CONFIG_I", "", "configuration-changed", CHANGED),
    (
        "SYS-LOGGINGHOST_STARTSTOP",
        "Logging to host <destination.ip> port <destination.port> stopped<>",
        "logging-stopped",
        CHANGED,
    ),
    ("SYS-LOGGINGHOST_STARTSTOP", "Logging to host <destination.ip> stopped<>", "logging-stopped", CHANGED),
    ("PARSER-CFGLOG_LOGGEDCMD", "User:<user.name>  logged command:<process.command_line>", "command-executed", COMMAND),
    (
        "SEC_LOGIN-LOGIN_SUCCESS",
        "Login Success [user: <user.name*>] [Source: <source.ip>] [localport: <destination.port>] at <>",
        "logged-in",
        LOGIN,
    ),
    (
        "SEC_LOGIN-LOGIN_FAILED",
        "Login failed [user: <user.name*>] [Source: <source.ip>] [localport: <destination.port>] [Reason: <event.reason>] at <>",
        "login-failed",
        REFUSED,
    ),
    (
        "SEC-IPACCESSLOGP",
        "list <rule.name> denied <network.transport> <source.ip>(<source.port>)<> -> <destination.ip>(<destination.port>), <network.packets> packet<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "SEC-IPACCESSLOGP",
        "list <rule.name> permitted <network.transport> <source.ip>(<source.port>)<> -> <destination.ip>(<destination.port>), <network.packets> packet<>",
        "firewall-rule",
        OPENED,
    ),
    (
        "SEC-IPACCESSLOGDP",
        "list <rule.name> denied <network.transport> <source.ip> -> <destination.ip> (<>), <network.packets> packet<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "SEC-IPACCESSLOGDP",
        "list <rule.name> permitted <network.transport> <source.ip> -> <destination.ip> (<>), <network.packets> packet<>",
        "firewall-rule",
        OPENED,
    ),
    (
        "SEC-IPACCESSLOGNP",
        "list <rule.name> denied <network.transport> <source.ip> -> <destination.ip>, <network.packets> packet<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "SEC-IPACCESSLOGNP",
        "list <rule.name> permitted <network.transport> <source.ip> -> <destination.ip>, <network.packets> packet<>",
        "firewall-rule",
        OPENED,
    ),
    (
        "IPV6-ACCESSLOGP",
        "list <rule.name> denied <network.transport> <source.ip>(<source.port>)<> -> <destination.ip>(<destination.port>), <network.packets> packet<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "IPV6-ACCESSLOGP",
        "list <rule.name> permitted <network.transport> <source.ip>(<source.port>)<> -> <destination.ip>(<destination.port>), <network.packets> packet<>",
        "firewall-rule",
        OPENED,
    ),
    (
        "IPV6-ACCESSLOGDP",
        "list <rule.name> denied <network.transport> <source.ip> -> <destination.ip> (<>), <network.packets> packet<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "IPV6-ACCESSLOGDP",
        "list <rule.name> permitted <network.transport> <source.ip> -> <destination.ip> (<>), <network.packets> packet<>",
        "firewall-rule",
        OPENED,
    ),
    (
        "IPV6-ACCESSLOGNP",
        "list <rule.name> denied <network.transport> <source.ip> -> <destination.ip>, <network.packets> packet<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "IPV6-ACCESSLOGNP",
        "list <rule.name> permitted <network.transport> <source.ip> -> <destination.ip>, <network.packets> packet<>",
        "firewall-rule",
        OPENED,
    ),
    (
        "SEC-IPACCESSLOGRP",
        "list <rule.name> denied <network.transport> <source.ip> -> <destination.ip>, <network.packets> packet<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "SEC-IPACCESSLOGRP",
        "list <rule.name> permitted <network.transport> <source.ip> -> <destination.ip>, <network.packets> packet<>",
        "firewall-rule",
        OPENED,
    ),
    (
        "IPV6-ACCESSLOGSP",
        "list <rule.name> denied <source.ip> -> <destination.ip>, <network.packets> packet<>",
        "firewall-rule",
        DENIED,
    ),
    (
        "IPV6-ACCESSLOGSP",
        "list <rule.name> permitted <source.ip> -> <destination.ip>, <network.packets> packet<>",
        "firewall-rule",
        OPENED,
    ),
    ("SEC-IPACCESSLOGS", "list <rule.name> denied <source.ip> <network.packets> packet<>", "firewall-rule", DENIED),
    ("SEC-IPACCESSLOGS", "list <rule.name> permitted <source.ip> <network.packets> packet<>", "firewall-rule", OPENED),
    (
        "PORT_SECURITY-PSECURE_VIOLATION",
        "Security violation occurred, caused by MAC address <source.mac> on port <observer.ingress.interface.name>.",
        "port-security-violation",
        SEEN,
    ),
    (
        "SPANTREE-BLOCK_BPDUGUARD",
        "Received BPDU on port <observer.ingress.interface.name> with BPDU Guard enabled. Disabling port.",
        "bpdu-guard",
        SEEN,
    ),
    (
        "SPANTREE-ROOTGUARD_BLOCK",
        "Root guard blocking port <observer.ingress.interface.name> on <>",
        "root-guard",
        SEEN,
    ),
    (
        "SW_DAI-DHCP_SNOOPING_DENY",
        "<> Invalid ARPs (<>) on <observer.ingress.interface.name>, vlan <>.([<source.mac>/<source.ip>/<>",
        "arp-spoofing",
        SEEN,
    ),
];
