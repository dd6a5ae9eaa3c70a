//! Wordings of Cisco's message guides, one line for each that a table has and the logs at hand do not.

use crate::normalize::device::check;
use crate::profile::Profile;

type Told<'a> = &'a [(&'a str, &'a str)];

#[track_caller]
fn all(profile: Profile, front: &str, rows: &[(&str, Told<'_>)]) {
    for (message, told) in rows {
        check(&format!("{front}{message}"), Some(profile), told);
    }
}

#[test]
fn ios_tells_of_access_web_interface_and_neighbors() {
    const FAILED: (&str, &str) = ("event.outcome", "failure");
    all(
        Profile::CiscoIos,
        "<189>45: sw-01: *Nov 23 02:10:00.125 UTC: ",
        &[
            (
                "%SYS-5-CONFIG_P: Configured programmatically by process SEP_webui_wsma_http from console as cisco_tac on vty1",
                &[
                    ("host.name", "sw-01"),
                    ("user.name", "cisco_tac"),
                    ("process.name", "SEP_webui_wsma_http"),
                    ("event.action", "configuration-changed"),
                ],
            ),
            (
                "%WEBSERVER-5-LOGIN_PASSED: R0/0: nginx: Login Successful from host 203.0.113.9 by user 'a' using crypto cipher 'x'",
                &[("source.ip", "203.0.113.9"), ("user.name", "a"), ("event.outcome", "success")],
            ),
            (
                "%WEBUI-6-INSTALL_OPERATION_INFO: R0/0: nginx: User: a, Install Operation: ADD x.bin",
                &[("user.name", "a"), ("event.reason", "ADD x.bin")],
            ),
            (
                "%SYS-5-PRIV_AUTH_FAIL: Authentication to Privilege level 15 failed by an on vty0 (10.45.0.9)",
                &[("source.ip", "10.45.0.9"), FAILED],
            ),
            (
                "%SYS-5-RELOAD: Reload requested by an on vty0 (10.45.0.9). Reload Reason: Reload Command.",
                &[("event.action", "reload-requested"), ("user.name", "an")],
            ),
            (
                "%SYS-6-TTY_EXPIRE_TIMER: (exec timer expired, tty 2 (10.45.0.9)), user an",
                &[("event.action", "logged-out"), ("user.name", "an")],
            ),
            (
                "%SEC_LOGIN-1-QUIET_MODE_ON: Still timeleft for watching failures is 17 secs, [user: x] [Source: 203.0.113.9] [localport: 22] [Reason: Login Authentication Failed] [ACL: sl_def_acl] at 02:10:00 UTC Mon Nov 23 2026",
                &[("source.ip", "203.0.113.9"), ("event.action", "login-blocked"), FAILED],
            ),
            (
                "%MAB-5-SUCCESS: Authentication successful for client (0011.2233.AABB) on Interface Gi1/0/5 AuditSessionID 0A",
                &[
                    ("source.mac", "00:11:22:33:aa:bb"),
                    ("event.outcome", "success"),
                    ("observer.ingress.interface.name", "Gi1/0/5"),
                ],
            ),
            (
                "%SESSION_MGR-5-FAIL: Switch 1 R0/0: sessmgrd: Authorization failed or unapplied for client (0011.2233.aabb) on Interface Gi1/0/5 AuditSessionID 0A",
                &[("source.mac", "00:11:22:33:aa:bb"), FAILED],
            ),
            (
                "%DOT1X-5-FAIL: Switch 1 R0/0: sessmgrd: Authentication failed for client (0011.2233.aabb) with reason (No Response from Client) on Interface Gi1/0/5 AuditSessionID 0A",
                &[("event.reason", "No Response from Client"), FAILED],
            ),
            (
                "%SSH-5-SSH2_CLOSE: SSH2 Session from 10.45.0.9 (tty = 0) for user 'an' using crypto cipher 'x', hmac 'y' closed",
                &[("event.action", "logged-out"), ("source.ip", "10.45.0.9")],
            ),
            (
                "%BGP-5-ADJCHANGE: neighbor 2001:db8::1 Down BGP Notification sent",
                &[("destination.ip", "2001:db8::1"), ("event.action", "neighbor-changed")],
            ),
            (
                "%OSPF-5-ADJCHG: Process 1, Nbr 10.0.0.1 on Gi0/1 from FULL to DOWN, Neighbor Down: Dead timer expired",
                &[("destination.ip", "10.0.0.1")],
            ),
            (
                "%SW_MATM-4-MACFLAP_NOTIF: Host 0011.2233.aabb in vlan 10 is flapping between port Gi1/0/1 and port Gi1/0/2",
                &[("source.mac", "00:11:22:33:aa:bb")],
            ),
            (
                "%DHCP_SNOOPING-5-DHCP_SNOOPING_UNTRUSTED_PORT: DHCP_SNOOPING drop message on untrusted port, message type: DHCPOFFER, MAC sa: 0011.2233.aabb",
                &[("event.action", "dhcp-spoofing")],
            ),
            (
                "%FW-6-DROP_PKT: Dropping tcp session 203.0.113.9:4000 10.45.0.5:80 on zone-pair o-i class c due to  Stray Segment with ip ident 0",
                &[
                    ("source.ip", "203.0.113.9"),
                    ("destination.port", "80"),
                    ("event.type", "connection,denied"),
                    ("network.transport", "tcp"),
                ],
            ),
            (
                "%FW-6-SESS_AUDIT_TRAIL: (target:class)-(i-o:c):Stop tcp session: initiator (10.45.0.5:5000) sent 100 bytes -- responder (203.0.113.9:443) sent 2000 bytes",
                &[
                    ("source.bytes", "100"),
                    ("destination.bytes", "2000"),
                    ("network.bytes", "2100"),
                    ("event.type", "connection,end"),
                ],
            ),
            (
                "%IPV6_ACL-6-ACCESSLOGP: list V6/10 denied tcp 2001:db8::1(4000) -> 2001:db8::2(22), 1 packet",
                &[
                    ("source.ip", "2001:db8::1"),
                    ("destination.port", "22"),
                    ("rule.name", "V6/10"),
                    ("event.code", "ACCESSLOGP"),
                ],
            ),
            (
                "%AAA-6-AAA_ACCOUNTING_MESSAGE: update:10.45.0.9@pts/0:an:configure terminal ; no ip http server (SUCCESS)",
                &[("user.name", "an"), ("process.command_line", "configure terminal ; no ip http server")],
            ),
        ],
    );
    // A zone in front of IOS XR's program counts.
    check(
        "<190>71: RP/0/RSP0/CPU0:Nov 23 09:10:00.125 ICT: SSHD_[65743]: %SECURITY-SSHD-6-INFO_SUCCESS : Successfully authenticated user 'an' from '10.45.0.9' on 'vty0'",
        Some(Profile::CiscoIos),
        &[("user.name", "an"), ("process.name", "SSHD_")],
    );
}

#[test]
fn asa_tells_of_threats_and_of_its_own_sessions() {
    all(
        Profile::CiscoAsa,
        "<164>Nov 23 2026 09:10:00 fw-01 : ",
        &[
            (
                "%ASA-4-401004: Shunned packet: 203.0.113.9 ==> 10.45.0.5 on interface outside",
                &[("source.ip", "203.0.113.9"), ("destination.ip", "10.45.0.5"), ("event.type", "connection,denied")],
            ),
            (
                "%ASA-4-400011: IDS:2001 ICMP unreachable from 203.0.113.9 to 10.45.0.5 on interface outside",
                &[("rule.id", "2001"), ("rule.name", "ICMP unreachable"), ("source.ip", "203.0.113.9")],
            ),
            (
                "%ASA-4-209005: Discard IP fragment set with more than 24 elements: src = 203.0.113.9, dest = 10.45.0.5, proto = UDP, id = 1",
                &[("source.ip", "203.0.113.9"), ("network.transport", "udp")],
            ),
            (
                "%ASA-4-733101: Host 203.0.113.9 is attacking. Current burst rate is 200 per second",
                &[("source.ip", "203.0.113.9"), ("event.category", "intrusion_detection")],
            ),
            (
                "%ASA-4-733102: Threat-detection adds host 203.0.113.9 to shun list",
                &[("source.ip", "203.0.113.9"), ("event.type", "denied")],
            ),
            (
                "%ASA-6-725002: Device completed SSL handshake with client outside:203.0.113.9/5000 to 192.0.2.1/443 for TLSv1.2 session",
                &[("source.port", "5000"), ("destination.ip", "192.0.2.1")],
            ),
            (
                "%ASA-6-725007: SSL session with client outside:203.0.113.9/5000 terminated.",
                &[("source.ip", "203.0.113.9"), ("source.port", "5000")],
            ),
            (
                "%ASA-4-750003: Local:192.0.2.1:500 Remote:203.0.113.9:500 Username:Unknown IKEv2 Negotiation aborted due to ERROR: Auth exchange failed",
                &[
                    ("user.name", "Unknown"),
                    ("event.reason", "Auth exchange failed"),
                    ("destination.ip", "203.0.113.9"),
                ],
            ),
            (
                "%ASA-5-750001: Local:192.0.2.1:500 Remote:203.0.113.9:500 Username:an IKEv2 Received request to establish an IPsec tunnel",
                &[("user.name", "an")],
            ),
            (
                "%ASA-6-716038: Group <VP> User <an> IP <203.0.113.9> Authentication: successful, Session Type: WebVPN.",
                &[("user.name", "an"), ("event.outcome", "success")],
            ),
            (
                "%ASA-6-308001: console enable password incorrect for 3 tries (from 10.45.0.9)",
                &[("source.ip", "10.45.0.9"), ("event.outcome", "failure")],
            ),
            (
                "%ASA-5-304001: an@10.45.0.5 Accessed URL 203.0.113.9:http://a.example/@x",
                &[("user.name", "an"), ("source.ip", "10.45.0.5"), ("url.path", "/@x")],
            ),
            (
                "%ASA-6-106102: access-list V permitted tcp for user 'an' inside/10.45.0.5(5) -> outside/203.0.113.9(80) hit-cnt 1 first hit [0x0, 0x0]",
                &[("user.name", "an")],
            ),
        ],
    );
}
