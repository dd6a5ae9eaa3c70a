//! What boxes send under names of their own: network storage, switches of other makers than Cisco, firewalls built on FreeBSD.
//!
//! In and out: as [`super`]. Source: Synology DSM, "Log Center"; QNAP QTS, "System Connection Logs"; Huawei S series, "Log reference" (`SHELL`,
//! `SSH`); H3C Comware 7, "System log messages reference" (`SHELL`, `LOGIN`, `SSHS`); OPNsense and pfSense: `auth.inc`,
//! `openvpn.attributes.sh`, `openvpn_connect_async`.

use super::super::device::Act;
use super::{COMES, END, GOES, IN, OUT, Table};

/// A file that somebody used.
pub(super) const FILE: Act = Act("file", &["access"], "success");
/// A command that somebody gave.
const COMMAND: Act = Act("process", &["start"], "success");

pub(super) const TABLES: &[Table] = &[
    (
        // Synology's tags are the names of its logs.
        &["connection", "system", "ftp", "webdav"],
        &[
            (
                "User [<user.name*>] from [<source.address>] failed to log in via [<network.protocol>] due to <event.reason>",
                "login",
                OUT,
            ),
            (
                "User [<user.name*>] from [<source.address>] failed to sign in to [<>] via [<network.protocol>] due to <event.reason>",
                "login",
                OUT,
            ),
            (
                "User [<user.name*>] from [<source.address>] logged in successfully via [<network.protocol>]",
                "login",
                IN,
            ),
            (
                "User [<user.name*>] from [<source.address>] signed in to [<>] successfully via [<network.protocol>]",
                "login",
                IN,
            ),
            (
                "User [<user.name*>] from [<source.address>] logged out the server via [<network.protocol>]<>",
                "logout",
                END,
            ),
            (
                "User [<user.name*>] from [<source.address>] via [<network.protocol>] accessed shared folder [<file.path>]",
                "file_access",
                FILE,
            ),
        ],
    ),
    (
        // QNAP.
        &["qlogd", "qulogd"],
        &[
            (
                "conn log: Users: <user.name*>, Source IP: <source.address>, Computer name: <>, Connection type: <network.protocol>, Accessed resources: <>, Action: Login Fail",
                "login",
                OUT,
            ),
            (
                "conn log: Users: <user.name*>, Source IP: <source.address>, Computer name: <>, Connection type: <network.protocol>, Accessed resources: <>, Action: Login OK",
                "login",
                IN,
            ),
            (
                "conn log: Users: <user.name*>, Source IP: <source.address>, Computer name: <>, Connection type: <network.protocol>, Accessed resources: <>, Action: Logout",
                "logout",
                END,
            ),
            (
                "conn log: Users: <user.name*>, Source IP: <source.address>, Computer name: <>, Connection type: <network.protocol>, Accessed resources: <file.path*>, Action: <event.action>",
                "",
                FILE,
            ),
            (
                "event log: Users: <user.name*>, Source IP: <source.address>, Computer name: <>, Content: <event.reason>",
                "event",
                Act("host", &["info"], ""),
            ),
        ],
    ),
    (
        // Huawei's VRP.
        &["%%01*"],
        &[
            (
                "Failed to login through SSH. (IP=<source.address>, <>UserName=<user.name*>, Times=<>, FailedReason=<event.reason>)",
                "login",
                OUT,
            ),
            (
                "Failed to login. (Ip=<source.address>, UserName=<user.name*>, Times=<>, AccessType=<network.protocol>, <>",
                "login",
                OUT,
            ),
            (
                "Recorded command information. (Task=<>, Ip=<source.address>, <>User=<user.name>, <>Command=\"<process.command_line*>\"<>",
                "command",
                COMMAND,
            ),
            ("VTY login from <source.address*>.", "login", IN),
            ("VTY logout from <source.address*>.", "logout", END),
        ],
    ),
    (
        // H3C's Comware.
        &["%%10*"],
        &[
            ("<user.name*> logged in from <source.address*>.", "login", IN),
            ("<user.name*> logged out from <source.address*>.", "logout", END),
            ("<user.name*> failed to log in from <source.address*>.", "login", OUT),
            (
                "-Line=<>-IPAddr=<source.address>-User=<user.name>; Command is <process.command_line>",
                "command",
                COMMAND,
            ),
            ("Accepted <> for <user.name*> from <source.address> port <source.port> ssh2<>", "login", IN),
            ("Failed <> for <user.name*> from <source.address> port <source.port> ssh2<>", "login", OUT),
        ],
    ),
    (
        // OPNsense.
        &["audit", "configd.py"],
        &[
            ("user <user.name*> authenticated successfully for <> [<>", "login", IN),
            ("user <user.name*> could not authenticate for <>. [<>", "login", OUT),
            ("user <user.name*> failed authentication for <> [<>", "login", OUT),
            ("<url.path>: User logged in for user '<user.name*>' from: <source.address>", "web_login", IN),
            ("<url.path>: Successful login for user '<user.name*>' from: <source.address>", "web_login", IN),
            (
                "<url.path>: Web GUI authentication error for user '<user.name*>' from: <source.address>",
                "web_login",
                OUT,
            ),
            ("<url.path>: User logged out for user '<user.name*>' from: <source.address>", "web_logout", END),
            ("<url.path>: Session timed out for user '<user.name*>' from: <source.address>", "web_logout", END),
        ],
    ),
    (
        // F5 BIG-IP: its web interface and shell (01070417), access policies (0149…).
        &["httpd", "mcpd", "tmsh"],
        &[
            (
                "01070417:<>: AUDIT - user <> - RAW: httpd(<>): user=<user.name>(<>) partition=<> host=<source.address> attempts=<> start=<> end=<>",
                "web_logout",
                END,
            ),
            (
                "01070417:<>: AUDIT - user <> - RAW: httpd(<>): user=<user.name>(<>) partition=<> host=<source.address> attempts=<> start=<>",
                "web_login",
                IN,
            ),
            (
                "01070417:<>: AUDIT - user <> - RAW: httpd(<>): User=<user.name> tty=<> host=<source.address> failed to login after <>",
                "web_login",
                OUT,
            ),
            (
                "01070417:<>: AUDIT - client <>, user <user.name> - transaction <> - object <> - <process.command_line> [Status=Command OK]",
                "command",
                COMMAND,
            ),
            (
                "01420002:<>: AUDIT - pid=<> user=<user.name> folder=<> module=<> status=[Command OK] cmd_data=<process.command_line>",
                "command",
                COMMAND,
            ),
        ],
    ),
    (
        &["apmd", "apd", "tmm*"],
        &[
            (
                "01490500:<>: <>: New session from client IP <source.address> (<>) at VIP <destination.ip> Listener <>",
                "vpn_session_started",
                Act("session", &["start"], ""),
            ),
            ("01490010:<>: <>: Username '<user.name*>'", "vpn_user", Act("session", &["info"], "")),
            (
                "01490502:<>: <>: Session deleted due to <event.reason>.",
                "vpn_session_ended",
                Act("session", &["end"], ""),
            ),
            ("01490549:<>: <>: Assigned PPP Dynamic IPv4: <>", "vpn_address", Act("session", &["info"], "")),
        ],
    ),
    (
        // pfSense's scripts beside OpenVPN.
        &["openvpn*"],
        &[
            ("openvpn server '<>' user '<user.name*>' address '<source.address>' - connected", "vpn_connected", COMES),
            (
                "openvpn server '<>' user '<user.name*>' address '<source.address>' - connecting",
                "vpn_connecting",
                COMES,
            ),
            ("openvpn server '<>' user '<user.name*>' address '<source.address>' - disconnected", "vpn_ended", GOES),
            ("user '<user.name*>' authenticated", "vpn_login", IN),
            ("user '<user.name*>' could not authenticate<>", "vpn_login", OUT),
        ],
    ),
];
