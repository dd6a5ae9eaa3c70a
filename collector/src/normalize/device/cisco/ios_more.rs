//! More wordings of Cisco IOS, IOS XE, IOS XR and NX-OS: access to the network, web interface, neighbors, zone firewall, VPN.
//!
//! In: nothing. Out: [`WORDINGS`], as in [`super::ios`]. Source: Cisco IOS, IOS XE, IOS XR and NX-OS system message guides; Cisco security
//! advisory cisco-sa-iosxe-webui-privesc-j22SaA4z, "Indicators of Compromise", for the web interface.

use super::{CHANGED, CLOSED, COMMAND, DENIED, LOGIN, LOGOUT, OPENED, REFUSED, SEEN, Wording};
use crate::normalize::device::Act;

const RESTARTED: Act = Act("host", &["change"], "success");

/// Facility and mnemonic, wording (empty = any), action, meaning.
pub(super) const WORDINGS: &[Wording] = &[
    (
        "SYS-CONFIG_P",
        "Configured programmatically by process <process.name> from <> as <user.name> on <cisco.ios.line>",
        "configuration-changed",
        CHANGED,
    ),
    (
        "SYS-PRIV_AUTH_FAIL",
        "Authentication to Privilege level <cisco.ios.level_to> failed by <user.name*> on <cisco.ios.line> (<source.ip>)",
        "privilege-refused",
        REFUSED,
    ),
    (
        "SYS-PRIV_AUTH_PASS",
        "Privilege level set to <cisco.ios.level_to> by <user.name*> on <cisco.ios.line> (<source.ip>)",
        "privilege-changed",
        Act("iam", &["user", "change"], "success"),
    ),
    (
        "SYS-RELOAD",
        "Reload requested by <user.name> on <cisco.ios.line> (<source.ip>). Reload Reason: <event.reason>",
        "reload-requested",
        RESTARTED,
    ),
    (
        "SYS-RELOAD",
        "Reload requested by <cisco.ios.line>. Reload Reason: <event.reason>",
        "reload-requested",
        RESTARTED,
    ),
    ("SYS-RELOAD", "", "reload-requested", RESTARTED),
    ("SYS-RESTART", "", "restarted", RESTARTED),
    (
        "SYS-TTY_EXPIRE_TIMER",
        "(exec timer expired, tty <cisco.ios.line> (<source.ip>)), user <user.name>",
        "logged-out",
        LOGOUT,
    ),
    (
        "SEC_LOGIN-QUIET_MODE_ON",
        "<> [user: <user.name*>] [Source: <source.ip>] [localport: <destination.port>] [Reason: <event.reason>] <>",
        "login-blocked",
        REFUSED,
    ),
    (
        "DOT1X-SUCCESS",
        "<>Authentication successful for client (<source.mac>) on Interface <observer.ingress.interface.name> <>",
        "network-access-granted",
        LOGIN,
    ),
    (
        "DOT1X-SUCCESS",
        "<>Authorization succeeded for client (<source.mac>) on Interface <observer.ingress.interface.name> <>",
        "network-access-granted",
        LOGIN,
    ),
    (
        "DOT1X-FAIL",
        "<>Authentication failed for client (<source.mac>) with reason (<event.reason>) on Interface <observer.ingress.interface.name> <>",
        "network-access-denied",
        REFUSED,
    ),
    (
        "MAB-SUCCESS",
        "<>Authentication successful for client (<source.mac>) on Interface <observer.ingress.interface.name> <>",
        "network-access-granted",
        LOGIN,
    ),
    (
        "MAB-SUCCESS",
        "<>Authorization succeeded for client (<source.mac>) on Interface <observer.ingress.interface.name> <>",
        "network-access-granted",
        LOGIN,
    ),
    (
        "MAB-FAIL",
        "<>Authentication failed for client (<source.mac>) with reason (<event.reason>) on Interface <observer.ingress.interface.name> <>",
        "network-access-denied",
        REFUSED,
    ),
    (
        "AUTHMGR-SUCCESS",
        "<>Authentication successful for client (<source.mac>) on Interface <observer.ingress.interface.name> <>",
        "network-access-granted",
        LOGIN,
    ),
    (
        "AUTHMGR-SUCCESS",
        "<>Authorization succeeded for client (<source.mac>) on Interface <observer.ingress.interface.name> <>",
        "network-access-granted",
        LOGIN,
    ),
    (
        "AUTHMGR-FAIL",
        "<>Authentication failed for client (<source.mac>) with reason (<event.reason>) on Interface <observer.ingress.interface.name> <>",
        "network-access-denied",
        REFUSED,
    ),
    (
        "SESSION_MGR-SUCCESS",
        "<>Authentication successful for client (<source.mac>) on Interface <observer.ingress.interface.name> <>",
        "network-access-granted",
        LOGIN,
    ),
    (
        "SESSION_MGR-SUCCESS",
        "<>Authorization succeeded for client (<source.mac>) on Interface <observer.ingress.interface.name> <>",
        "network-access-granted",
        LOGIN,
    ),
    (
        "SESSION_MGR-FAIL",
        "<>Authentication failed for client (<source.mac>) with reason (<event.reason>) on Interface <observer.ingress.interface.name> <>",
        "network-access-denied",
        REFUSED,
    ),
    (
        "SESSION_MGR-FAIL",
        "<>Authorization failed or unapplied for client (<source.mac>) on Interface <observer.ingress.interface.name> <>",
        "network-access-denied",
        REFUSED,
    ),
    (
        "SSH-SSH2_SESSION",
        "SSH2 Session request from <source.ip> (tty = <cisco.ios.line>) using <>",
        "session-requested",
        SEEN,
    ),
    (
        "SSH-SSH2_CLOSE",
        "SSH2 Session from <source.ip> (tty = <cisco.ios.line>) for user '<user.name*>' using <> closed",
        "logged-out",
        LOGOUT,
    ),
    ("AUTH-SYSTEM_MSG", "Accepted <> for <user.name> from <source.ip> port <source.port> <> - <>", "logged-in", LOGIN),
    (
        "WEBSERVER-LOGIN_PASSED",
        "<>Login Successful from host <source.ip> by user '<user.name*>' using crypto cipher <>",
        "logged-in",
        LOGIN,
    ),
    (
        "WEBSERVER-LOGIN_FAILED",
        "<>Login Un-Successful from host <source.ip> by user '<user.name*>' using crypto cipher <>",
        "login-failed",
        REFUSED,
    ),
    ("WEBSERVER-LOGIN_FAILED", "<>Login Un-Successful from host <source.ip>", "login-failed", REFUSED),
    (
        "WEBUI-INSTALL_OPERATION_INFO",
        "<>User: <user.name*>, Install Operation: <event.reason>",
        "software-changed",
        CHANGED,
    ),
    (
        "VSHD-VSHD_SYSLOG_CONFIG_I",
        "Configured from <> by <user.name> on <source.ip>@<cisco.ios.line>",
        "configuration-changed",
        CHANGED,
    ),
    (
        "AAA-AAA_ACCOUNTING_MESSAGE",
        "update:<source.ip>@<cisco.ios.line>:<user.name>:<process.command_line> (SUCCESS)",
        "command-executed",
        COMMAND,
    ),
    ("MGBL-CONFIG-DB_COMMIT", "Configuration committed by user '<user.name*>'.<>", "configuration-changed", CHANGED),
    (
        "LINK-CHANGED",
        "Interface <observer.ingress.interface.name>, changed state to <event.reason>",
        "interface-state-changed",
        SEEN,
    ),
    ("BGP-ADJCHANGE", "neighbor <destination.ip> <event.reason>", "neighbor-changed", SEEN),
    (
        "OSPF-ADJCHG",
        "Process <>, Nbr <destination.ip> on <observer.ingress.interface.name> from <> to <event.reason>",
        "neighbor-changed",
        SEEN,
    ),
    (
        "DUAL-NBRCHANGE",
        "<>Neighbor <destination.ip> (<observer.ingress.interface.name>) is <event.reason>",
        "neighbor-changed",
        SEEN,
    ),
    (
        "CDP-NATIVE_VLAN_MISMATCH",
        "Native VLAN mismatch discovered on <observer.ingress.interface.name> (<>",
        "vlan-mismatch",
        SEEN,
    ),
    (
        "SW_MATM-MACFLAP_NOTIF",
        "Host <source.mac> in vlan <> is flapping between port <observer.ingress.interface.name> and <>",
        "mac-flapping",
        SEEN,
    ),
    (
        "DHCP_SNOOPING-DHCP_SNOOPING_UNTRUSTED_PORT",
        "DHCP_SNOOPING drop message on untrusted port, message type: <event.reason>, MAC sa: <source.mac>",
        "dhcp-spoofing",
        SEEN,
    ),
    (
        "FW-DROP_PKT",
        "Dropping <network.transport> session <source.ip>:<source.port> <destination.ip>:<destination.port> <>due to <event.reason> with ip ident <>",
        "firewall-rule",
        DENIED,
    ),
    (
        "FW-SESS_AUDIT_TRAIL_START",
        "<>Start <cisco.ios.protocol> session: initiator (<source.ip>:<source.port>) -- responder (<destination.ip>:<destination.port>)<>",
        "firewall-rule",
        OPENED,
    ),
    (
        "FW-SESS_AUDIT_TRAIL",
        "<>Stop <cisco.ios.protocol> session: initiator (<source.ip>:<source.port>) sent <source.bytes> bytes -- responder (<destination.ip>:<destination.port>) sent <destination.bytes> bytes<>",
        "flow-expiration",
        CLOSED,
    ),
    (
        "CRYPTO-RECVD_PKT_INV_SPI",
        "decaps: rec'd IPSEC packet has invalid spi for destaddr=<destination.ip>, prot=<network.transport>, spi=<>, srcaddr=<source.ip>, <>",
        "",
        SEEN,
    ),
    (
        "CRYPTO-RECVD_PKT_INV_SPI",
        "decaps: rec'd IPSEC packet has invalid spi for destaddr=<destination.ip>, prot=<network.transport>, spi=<>, srcaddr=<source.ip>",
        "",
        SEEN,
    ),
    ("CRYPTO-IKMP_NO_SA", "IKE message from <source.ip> has no SA and is not an initialization offer<>", "", SEEN),
    (
        "CRYPTO-IKMP_MODE_FAILURE",
        "Processing of <event.reason> failed with peer at <source.ip>",
        "vpn-refused",
        Act("network", &["connection", "error"], "failure"),
    ),
    (
        "CRYPTO-SESSION_STATUS",
        "Crypto tunnel is <event.reason>.  Peer <source.ip>:<source.port> <>",
        "vpn-state-changed",
        SEEN,
    ),
    (
        "CRYPTO-SESSION_STATUS",
        "Crypto tunnel is <event.reason>. Peer <source.ip>:<source.port> <>",
        "vpn-state-changed",
        SEEN,
    ),
];
