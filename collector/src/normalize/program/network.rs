//! Wordings of file servers, remote access, telephony, directories, watchers of networks.
//!
//! In and out: as [`super`]. Source: wu-ftpd, ProFTPD and Dropbear; OpenLDAP slapd(8) "stats"; MIT Kerberos `kdc_log.c`; Asterisk
//! `chan_sip.c`, `res_pjsip`; FreeSWITCH `sofia_reg.c`; stunnel; pptpd, xl2tpd, pppd; hostapd; NRPE; Monit; CSF's lfd; PortSentry; scanlogd;
//! arpwatch; Net-SNMP snmpd; Murmur; TeamSpeak; RealVNC, x11vnc, macOS screen sharing.

use super::super::device::Act;
use super::super::device::template::Rows;
use super::{BANNED, COMES, DENIED, END, FOUND, GOES, IN, INFO, OUT, Table};

/// A key or certificate that was not taken.
const NO_KEY: Act = Act("authentication", &["info"], "failure");

pub(super) const TABLES: &[Table] = &[
    // What the reader of sshd leaves: OpenSSH's `sshd-session.c`, `srclimit.c`, `auth2-pubkey.c`.
    (
        &["sshd"],
        &[
            (
                "<>Close session: user <user.name> from <source.address> port <source.port> id <>",
                "ssh_session_closed",
                END,
            ),
            ("Closing connection to <source.address> port <source.port>", "ssh_disconnected", GOES),
            (
                "Timeout, client not responding from user <user.name> <source.address> port <source.port>",
                "ssh_timeout",
                GOES,
            ),
            ("srclimit_penalise: <>: new <source.address> deferred penalty of <event.reason>", "ssh_penalty", FOUND),
            ("srclimit_penalise: <>: activating <source.address> penalty of <event.reason>", "ssh_penalty", FOUND),
            ("Nasty PTR record \"<>\" is set up for <source.address>, ignoring", "ssh_name_mismatch", FOUND),
            ("Authentication refused: <event.reason>", "ssh_login", OUT),
            ("Login restricted for <user.name>: <event.reason>", "ssh_login", OUT),
            ("Authentication key <> revoked by file <>", "ssh_key_refused", NO_KEY),
            ("Certificate invalid: <event.reason>", "ssh_key_refused", NO_KEY),
            ("userauth_pubkey: <event.reason>", "ssh_key_refused", NO_KEY),
            ("fatal: userauth_pubkey: <event.reason>", "ssh_key_refused", NO_KEY),
            ("User child is on pid <>", "ssh_session_started", INFO),
            ("Transferred: <event.reason>", "ssh_transferred", INFO),
            ("Exiting on signal <event.reason>", "ssh_stopped", INFO),
        ],
    ),
    (
        &["sftp-server", "internal-sftp"],
        &[
            (
                "session opened for local user <user.name*> from [<source.address>]",
                "sftp_session_opened",
                Act("session", &["start"], "success"),
            ),
            ("session closed for local user <user.name*> from [<source.address>]", "sftp_session_closed", END),
            ("open \"<file.path*>\" flags <event.reason> mode <>", "sftp_open", Act("file", &["access"], "")),
            ("close \"<file.path*>\" bytes read <> written <>", "sftp_close", Act("file", &["access"], "")),
            ("remove name \"<file.path*>\"", "sftp_remove", Act("file", &["deletion"], "")),
            ("mkdir name \"<file.path*>\" mode <>", "sftp_mkdir", Act("file", &["creation"], "")),
            ("rmdir name \"<file.path*>\"", "sftp_rmdir", Act("file", &["deletion"], "")),
            ("rename old \"<file.path*>\" new \"<>\"", "sftp_rename", Act("file", &["change"], "")),
        ],
    ),
    (
        &["wu-ftpd", "wuftpd", "ftpd", "in.ftpd", "bftpd", "gssftpd", "tnftpd"],
        &[
            ("failed login from <source.address>", "ftp_login", OUT),
            ("FTP LOGIN FAILED FROM <source.address>, <user.name>", "ftp_login", OUT),
            ("FTP LOGIN REFUSED (<event.reason>) FROM <source.address>, <user.name>", "ftp_login", OUT),
            ("repeated login failures from <source.address>", "ftp_login", OUT),
            ("FTP LOGIN FROM <source.address>, <user.name>", "ftp_login", IN),
            ("FTP LOGIN FROM <source.address> as <user.name>", "ftp_login", IN),
            ("ANONYMOUS FTP LOGIN FROM <source.address>, <user.name>", "ftp_login", IN),
            ("connection from <source.address>", "ftp_connect", COMES),
            ("connect from <source.address>", "ftp_connect", COMES),
        ],
    ),
    (
        &["proftpd"],
        &[
            ("<> (<source.address>): USER <user.name*>: no such user found from <>", "ftp_login", OUT),
            ("<> (<source.address>): USER <user.name*> (Login failed): <event.reason>", "ftp_login", OUT),
            ("<> (<source.address>): USER <user.name*>: Login successful", "ftp_login", IN),
            ("<> (<source.address>): SECURITY VIOLATION: <user.name*> login attempted", "ftp_login", OUT),
            ("<> (<source.address>) - SECURITY VIOLATION: <user.name*> login attempted", "ftp_login", OUT),
            ("<> (<source.address>): Maximum login attempts <event.reason>", "ftp_login", OUT),
            ("<> (<source.address>): FTP session opened", "ftp_connect", COMES),
            ("<> (<source.address>) - FTP session opened", "ftp_connect", COMES),
            ("<> (<source.address>): FTP session closed", "ftp_disconnect", GOES),
            ("<> (<source.address>) - FTP session closed", "ftp_disconnect", GOES),
            ("<> (<source.address>) - ANON <user.name>: Login successful", "ftp_login", IN),
        ],
    ),
    (
        &["pure-ftpd"],
        &[
            ("(?@<source.address>) [INFO] New connection from <>", "ftp_connect", COMES),
            ("(<user.name>@<source.address>) [INFO] Logout<>", "ftp_logout", END),
            (
                "(<user.name>@<source.address>) [NOTICE] <file.path*> uploaded <>",
                "ftp_upload",
                Act("file", &["creation"], "success"),
            ),
            (
                "(<user.name>@<source.address>) [NOTICE] <file.path*> downloaded <>",
                "ftp_download",
                Act("file", &["access"], "success"),
            ),
            (
                "(<user.name>@<source.address>) [NOTICE] Deleted <file.path>",
                "ftp_delete",
                Act("file", &["deletion"], "success"),
            ),
        ],
    ),
    (
        &["dropbear"],
        &[
            ("bad password attempt for '<user.name*>' from <source.address>", "ssh_login", OUT),
            ("password auth succeeded for '<user.name*>' from <source.address>", "ssh_login", IN),
            ("login attempt for nonexistent user from <source.address>", "ssh_login", OUT),
            ("login attempt for nonexistent user '<user.name*>' from <source.address>", "ssh_login", OUT),
            (
                "Exit before auth (user '<user.name*>', <>): Max auth tries reached - user '<>' from <source.address>",
                "ssh_login",
                OUT,
            ),
            ("Exit before auth from <source.address>: Max auth tries reached - user '<user.name*>'", "ssh_login", OUT),
            (
                "exit before auth (user '<user.name*>', <>): Max auth tries reached - user '<>' from <source.address>",
                "ssh_login",
                OUT,
            ),
            ("Max auth tries reached - user '<user.name*>' from <source.address>", "ssh_login", OUT),
            ("<> Bad password attempt for '<user.name*>' from <source.address>", "ssh_login", OUT),
            ("Exit before auth (user '<user.name*>', <>): <event.reason>", "ssh_disconnected", GOES),
            ("Exit before auth: <event.reason>", "ssh_disconnected", GOES),
            ("Exit (<user.name*>): <event.reason>", "ssh_disconnected", GOES),
            ("Exit (<user.name*>) from <source.address>: <event.reason>", "ssh_disconnected", GOES),
        ],
    ),
    (
        &["charon", "charon-systemd", "ipsec", "pluto", "charon-nm"],
        &[
            (
                "<>sending packet: from <destination.ip>[<destination.port>] to <source.ip>[<source.port>]",
                "ike_packet",
                COMES,
            ),
            (
                "<>received packet: from <source.ip>[<source.port>] to <destination.ip>[<destination.port>]",
                "ike_packet",
                COMES,
            ),
            ("<>EAP-MS-CHAPv2 verification failed<event.reason>", "vpn_login", OUT),
            ("<>EAP method <> failed for peer <user.name>", "vpn_login", OUT),
            ("<>no IKE config found for <destination.ip>...<source.ip>, <event.reason>", "vpn_connect", DENIED),
            ("<>tried <> shared keys for '<>' - '<user.name*>', but MAC mismatched", "vpn_login", OUT),
            ("<>looking for peer configs matching <>...<source.ip>[<user.name>]", "vpn_connect", COMES),
            ("<>deleting half open IKE_SA with <source.ip> after timeout", "vpn_timeout", GOES),
            ("<>packet from <source.address>: initial Main Mode message received on <>", "vpn_connect", COMES),
        ],
    ),
    (
        &["pppd", "pptpd", "xl2tpd", "accel-ppp", "accel-pppd"],
        &[
            (
                "<>rcvd [CHAP Response id=<>, name = \"<user.name*>\"]",
                "vpn_password_check",
                Act("authentication", &["info"], ""),
            ),
            ("Peer <user.name> failed CHAP authentication", "vpn_login", OUT),
            ("PAP authentication failure for <user.name>", "vpn_login", OUT),
            ("PAP peer authentication failed for <user.name>", "vpn_login", OUT),
            ("CHAP peer authentication succeeded for <user.name>", "vpn_login", IN),
            ("CTRL: Client <source.address> control connection started", "vpn_connect", COMES),
            ("CTRL: Client <source.address> control connection finished", "vpn_ended", GOES),
            ("control_finish: Connection closed to <source.address>, <event.reason>", "vpn_ended", GOES),
            ("Connection established to <source.address>, <>", "vpn_connect", COMES),
            ("remote IP address <source.nat.ip>", "vpn_address", INFO),
        ],
    ),
    (
        &["hostapd"],
        &[
            (
                "<observer.ingress.interface.name>: STA <source.mac> IEEE 802.11: authenticated",
                "wifi_authenticated",
                COMES,
            ),
            ("<observer.ingress.interface.name>: STA <source.mac> IEEE 802.11: associated<>", "wifi_joined", COMES),
            ("<observer.ingress.interface.name>: STA <source.mac> IEEE 802.11: disassociated", "wifi_left", GOES),
            (
                "<observer.ingress.interface.name>: STA <source.mac> IEEE 802.11: deauthenticated due to <event.reason>",
                "wifi_left",
                GOES,
            ),
            (
                "<observer.ingress.interface.name>: STA <source.mac> IEEE 802.1X: authentication failed<>",
                "wifi_login",
                OUT,
            ),
            ("<observer.ingress.interface.name>: AP-STA-POSSIBLE-PSK-MISMATCH <source.mac>", "wifi_login", OUT),
            ("<observer.ingress.interface.name>: AP-STA-CONNECTED <source.mac>", "wifi_joined", COMES),
            ("<observer.ingress.interface.name>: AP-STA-DISCONNECTED <source.mac>", "wifi_left", GOES),
        ],
    ),
    (
        &["krb5kdc", "kadmind"],
        &[
            (
                "AS_REQ (<>) <source.address>: <event.reason>: <user.name> for <service.name>, <>",
                "kerberos_request",
                Act("authentication", &["info"], ""),
            ),
            (
                "TGS_REQ (<>) <source.address>: <event.reason>: authtime <>, <user.name> for <service.name>",
                "kerberos_service_request",
                Act("authentication", &["info"], ""),
            ),
        ],
    ),
    (
        &["stunnel*"],
        &[
            ("<>Service [<service.name>] accepted connection from <source.address>", "connection_opened", COMES),
            ("<>Service [<service.name>] connected remote server from <>", "connection_forwarded", COMES),
            ("<>SSL_accept from <source.address> : <event.reason>", "tls_failed", DENIED),
            ("<>Service <service.name> accepted connection from <source.address>", "connection_opened", COMES),
        ],
    ),
    (
        &["nrpe", "nagios", "nsca"],
        &[
            ("Host <source.address> is not allowed to talk to us!", "connection_refused", DENIED),
            ("Error: Host <source.address> is not allowed to talk to us!", "connection_refused", DENIED),
            ("Connection from <source.address> port <source.port>", "connection_opened", COMES),
            ("Error: Could not complete SSL handshake with <source.address>: <event.reason>", "tls_failed", DENIED),
        ],
    ),
    (
        &["monit"],
        &[
            (
                "HttpRequest: access denied -- client [<source.address>]: wrong password for user '<user.name*>'",
                "login",
                OUT,
            ),
            ("HttpRequest: access denied -- client [<source.address>]: <event.reason>", "login", OUT),
            (
                "HttpRequest: access denied -- client <source.address>: wrong password for user '<user.name*>'",
                "login",
                OUT,
            ),
            ("HttpRequest: access denied -- client <source.address>: unknown user '<user.name*>'", "login", OUT),
            ("HttpRequest: access denied -- client <source.address>: <event.reason>", "login", OUT),
            (
                "Warning: Client '<source.address>' supplied wrong password for user '<user.name*>' accessing monit httpd",
                "login",
                OUT,
            ),
            (
                "Warning: Client '<source.address>' supplied unknown user '<user.name*>' accessing monit httpd",
                "login",
                OUT,
            ),
            ("'<service.name>' process is not running", "service_failed", super::ERROR),
            ("'<service.name>' <event.reason>", "service_checked", INFO),
        ],
    ),
    (
        &["lfd"],
        &[
            ("(<service.name>) Failed <> login from <source.address> (<>): <event.reason>", "address_banned", BANNED),
            ("(<rule.name>) <event.reason> from <source.address> (<>): <>", "address_banned", BANNED),
            ("*Port Scan* detected from <source.address> (<>). <event.reason>", "port_scan", FOUND),
            ("*SSH login* from <source.address> into the <user.name> account using <event.reason>", "ssh_login", IN),
            ("*WHM/cPanel <> access* from <source.address>", "login", IN),
            ("*User Processing* PID:<process.pid> <event.reason>", "process_watched", FOUND),
            ("Incoming IP <source.address> temporary block removed", "address_unbanned", FOUND),
        ],
    ),
    (
        &["portsentry"],
        &[
            (
                "attackalert: <event.reason> from host: <source.address> to <network.transport> port: <destination.port>",
                "port_scan",
                FOUND,
            ),
            ("attackalert: Host <source.address> has been blocked via <event.reason>", "address_banned", BANNED),
            ("attackalert: Host: <source.address> is already blocked<>", "port_scan", FOUND),
        ],
    ),
    (
        &["scanlogd"],
        &[
            ("<source.address> to <destination.ip> ports <event.reason>", "port_scan", FOUND),
            ("From <source.address> to <destination.ip> ports <event.reason>", "port_scan", FOUND),
        ],
    ),
    (
        &["arpwatch", "arpalert", "addrwatch"],
        &[
            ("new station <source.ip> <source.mac> <observer.ingress.interface.name>", "arp_new_station", FOUND),
            ("new station <source.ip> <source.mac>", "arp_new_station", FOUND),
            ("flip flop <source.ip> <source.mac> (<event.reason>)", "arp_flip_flop", FOUND),
            ("changed ethernet address <source.ip> <source.mac> (<event.reason>)", "arp_changed", FOUND),
            ("reused old ethernet address <source.ip> <source.mac> (<event.reason>)", "arp_changed", FOUND),
            ("new activity <source.ip> <source.mac>", "arp_new_activity", FOUND),
            ("bogon <source.ip> <source.mac>", "arp_bogon", FOUND),
        ],
    ),
    (
        &["snmpd"],
        &[
            ("Connection from UDP: [<source.ip>]:<source.port>-><>", "snmp_request", COMES),
            ("Connection from UDP: [<source.ip>]:<source.port>", "snmp_request", COMES),
            ("Authentication failed for <user.name>", "snmp_login", OUT),
        ],
    ),
    (
        &["smbd", "samba", "winbindd"],
        &[
            ("connect from <source.address>", "share_connect", COMES),
            ("Denied connection from <> (<source.address>)", "connection_refused", DENIED),
            ("Denied connection from (<source.address>)", "connection_refused", DENIED),
            ("<>Permission denied<>User name: <user.name>. Printer name: <>", "print_job_denied", DENIED),
            (
                "<> (<source.address>) connect to service <service.name> initially as user <user.name> (uid=<user.id>, <>",
                "share_connected",
                Act("session", &["start"], "success"),
            ),
            ("<> (<source.address>) closed connection to service <service.name>", "share_closed", END),
        ],
    ),
    (
        &["screensharingd", "vncserver*", "x11vnc", "xvnc*", "tigervnc*"],
        &[
            (
                "Authentication: FAILED :: User Name: <user.name*> :: Viewer Address: <source.address> :: Type: <>",
                "vnc_login",
                OUT,
            ),
            (
                "Authentication: SUCCEEDED :: User Name: <user.name*> :: Viewer Address: <source.address> :: Type: <>",
                "vnc_login",
                IN,
            ),
            ("AuthFailed: <source.address>", "vnc_login", OUT),
            ("<>Connections: rejected: <source.address>", "vnc_login", OUT),
            ("<>Connections: accepted: <source.address>", "vnc_connect", COMES),
            ("<>Connections: authenticated: <source.address>, <event.reason>", "vnc_login", IN),
        ],
    ),
    (
        &["xrdp", "xrdp-sesman"],
        &[
            ("<>TCP connection received from <source.address> port <source.port>", "rdp_connect", COMES),
            ("<>A connection received from <source.address> port <source.port>", "rdp_connect", COMES),
            ("<>An established connection closed to endpoint: <source.address>:<source.port>", "rdp_disconnect", GOES),
            ("<>Access permitted for user: <user.name>", "rdp_login", IN),
            ("<>TERMINAL SERVER LOGIN: user=<user.name> ip=<source.address>", "rdp_login", IN),
            ("<>++ created session (access granted): username <user.name>, ip <source.address>", "rdp_login", IN),
            ("<>AUTHFAIL: user=<user.name*> ip=<source.address> time=<>", "rdp_login", OUT),
            ("<>pam_authenticate failed: <event.reason>", "rdp_login", OUT),
        ],
    ),
    (&["asterisk"], ASTERISK),
    (&["freeswitch"], FREESWITCH),
    (
        &["teleport", "guacd"],
        &[
            ("Creating new client for protocol \"<network.protocol>\"", "remote_session", COMES),
            ("User \"@<>\" joined connection \"<>\" (<> users now present)", "remote_session", COMES),
        ],
    ),
    (
        &["openvpn", "openvpn-as"],
        &[
            ("Incorrect password supplied for LDAP DN \"<user.name*>\"", "vpn_login", OUT),
            ("LDAP bind failed: <event.reason>", "vpn_login", OUT),
        ],
    ),
];

/// Asterisk behind the file and function that says it.
pub(super) const ASTERISK: Rows = &[
    ("<>Registration from '<user.name*>' failed for '<source.address>' - <event.reason>", "sip_login", OUT),
    (
        "<>Request '<sip.method>' from '<user.name*>' failed for '<source.address>' (callid: <>) - <event.reason>",
        "sip_login",
        OUT,
    ),
    (
        "<>Call from '<user.name*>' (<source.address>) to extension '<sip.extension*>' rejected because <event.reason>",
        "sip_call_rejected",
        DENIED,
    ),
    (
        "<>Call from '<user.name*>' (<source.address>) to extension '<sip.extension*>'rejected because <event.reason>",
        "sip_call_rejected",
        DENIED,
    ),
    ("<>Host <source.address> failed to authenticate as '<user.name*>'", "sip_login", OUT),
    ("<>Host <source.address> failed MD5 authentication for '<user.name*>' (<event.reason>)", "sip_login", OUT),
    ("<>Host <source.address> denied access to register peer '<user.name*>'", "sip_login", OUT),
    ("<>No registration for peer '<user.name*>' (from <source.address>)", "sip_login", OUT),
    ("<>No registration for peer '<user.name*>' \\(from <source.address>)", "sip_login", OUT),
    ("<>Failed to authenticate device <user.name*>;tag=<>", "sip_login", OUT),
    ("<>Failed to authenticate user <user.name*>;tag=<>", "sip_login", OUT),
    ("<>Sending fake auth rejection for <> <user.name*>;tag=<>", "sip_login", OUT),
    ("<>hacking attempt detected '<source.address>'", "attack_seen", FOUND),
    ("<>Rejecting unknown SIP connection from <source.address>", "sip_call_rejected", DENIED),
    ("<>Registered SIP '<user.name*>' at <source.address>", "sip_registered", IN),
    ("<>Unregistered SIP '<user.name*>'", "sip_unregistered", END),
    ("<>Call <> to '<>' (<source.address>) rejected due to <event.reason>", "sip_call_rejected", DENIED),
];

/// FreeSWITCH behind its date, load, level and place.
pub(super) const FREESWITCH: Rows = &[
    (
        "<>SIP auth failure (<sip.method>) on sofia profile '<>' for [<user.name*>] from ip <source.address>",
        "sip_login",
        OUT,
    ),
    (
        "<>SIP auth challenge (<sip.method>) on sofia profile '<>' for [<user.name*>] from ip <source.address>",
        "sip_challenge",
        Act("authentication", &["info"], ""),
    ),
    ("<>Can't find user [<user.name*>] from <source.address>", "sip_login", OUT),
    ("<>IP <source.address> Rejected by <event.reason>", "sip_rejected", DENIED),
    ("<>Login by <user.name*>@<> from <source.address> failed", "sip_login", OUT),
];
