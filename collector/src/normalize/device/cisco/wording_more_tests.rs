//! Wordings of Cisco's message guides that hold a person's name, and messages that are read by their own words alone.

use crate::normalize::device::check;
use crate::profile::Profile;

type Told<'a> = &'a [(&'a str, &'a str)];

#[track_caller]
fn all(profile: Profile, front: &str, rows: &[(&str, Told<'_>)]) {
    for (message, told) in rows {
        check(&format!("{front}{message}"), Some(profile), told);
    }
}

const ASA: &str = "<164>Nov 23 2026 09:10:00 fw-01 : ";

#[test]
fn asa_tells_who_passes_and_who_may() {
    let failed = ("event.outcome", "failure");
    all(
        Profile::CiscoAsa,
        ASA,
        &[
            (
                "%ASA-6-109005: Authentication succeeded for user 'an' from 10.45.0.9/5 to 203.0.113.9/80 on interface inside",
                &[("user.name", "an"), ("source.user.name", "an"), ("destination.port", "80")],
            ),
            // What somebody types is no wording.
            (
                "%ASA-6-109006: Authentication failed for user 'an' from 198.51.100.66/1 to 198.51.100.67/2' from 10.45.0.9/5 to 203.0.113.9/80 on interface inside",
                &[("source.ip", "10.45.0.9"), ("destination.ip", "203.0.113.9"), failed],
            ),
            (
                "%ASA-6-109002: Auth from 10.45.0.9/5 to 203.0.113.9/80 failed (server 10.45.0.1 failed) on interface inside",
                &[("source.port", "5"), ("event.reason", "server 10.45.0.1 failed"), failed],
            ),
            (
                "%ASA-6-109025: Authorization denied (acl=a1) for user 'an' from 10.45.0.9/5 to 203.0.113.9/80 on interface inside using tcp",
                &[("rule.name", "a1"), ("user.name", "an"), ("network.transport", "tcp"), failed],
            ),
            (
                "%ASA-6-113005: AAA user authorization Rejected : reason = Unspecified : server = 10.45.0.1 : user = an : user IP = 203.0.113.9",
                &[("source.ip", "203.0.113.9"), ("destination.ip", "10.45.0.1"), ("source.user.name", "an"), failed],
            ),
            (
                "%ASA-6-113004: AAA user accounting Successful : server = 10.45.0.1 : user = an",
                &[("user.name", "an"), ("event.outcome", "success"), ("cisco.asa.aaa_type", "accounting")],
            ),
            (
                "%ASA-6-113007: User 'an' unlocked by 'quan-tri'",
                &[("user.target.name", "an"), ("user.name", "quan-tri")],
            ),
            (
                "%ASA-4-113029: Group gp1 User an IP 203.0.113.9 Session could not be established: session limit of 5 reached",
                &[("source.ip", "203.0.113.9"), ("user.name", "an"), ("cisco.asa.group", "gp1")],
            ),
            (
                "%ASA-6-716059: Group <gp1> User <an> IP <203.0.113.9> AnyConnect session resumed connection from IP <203.0.113.10>.",
                &[("source.ip", "203.0.113.9"), ("user.name", "an")],
            ),
            (
                "%ASA-6-716004: Group <gp1> User <an> IP <203.0.113.9> WebVPN access DENIED to specified location: http://a.example/x",
                &[("url.domain", "a.example"), ("user.name", "an"), failed],
            ),
            (
                "%ASA-6-721016: (WebVPN-Primary) WebVPN session for client user an, IP 203.0.113.9 has been created.",
                &[("source.ip", "203.0.113.9"), ("event.action", "vpn-started")],
            ),
            (
                r"%ASA-5-746012: user-identity: Add IP-User mapping 10.45.0.9 - CITY\an Succeeded - VPN user",
                &[("source.ip", "10.45.0.9"), ("user.domain", "CITY"), ("user.name", "an")],
            ),
            (
                "%ASA-6-751026: Local:192.0.2.1:4500 Remote:203.0.113.9:500 Username:an IKEv2 Group:gp1 Client OS: Windows Client: AnyConnect",
                &[("destination.ip", "203.0.113.9"), ("user.name", "an"), ("cisco.asa.group", "gp1")],
            ),
            (
                "%ASA-6-605004: Login denied from serial to console for user \"an\"",
                &[("user.name", "an"), ("event.action", "login-failed"), failed],
            ),
            (
                "%ASA-6-315011: SSH session from 10.45.0.9 on interface inside for user \"an\" disconnected by SSH server, reason: \"Internal error\" (0x00)",
                &[("user.name", "an"), ("event.action", "logged-out")],
            ),
            (
                "%ASA-3-322003: ARP inspection check failed for arp response received from host 0011.2233.4455 on interface inside. This host is advertising MAC Address 0011.2233.4455 for IP Address 10.45.0.9, which is not bound to any MAC Address.",
                &[("source.mac", "00:11:22:33:44:55"), ("source.ip", "10.45.0.9"), ("event.action", "arp-spoofing")],
            ),
            (
                "%ASA-4-338301: Intercepted DNS reply for domain bad.example from outside:203.0.113.53/53 to inside:10.45.0.9/5, matched blacklist",
                &[
                    ("dns.question.name", "bad.example"),
                    ("client.ip", "10.45.0.9"),
                    ("server.ip", "203.0.113.53"),
                    ("event.category", "intrusion_detection"),
                ],
            ),
            (
                "%ASA-4-402116: IPSEC: Received an ESP packet (SPI= 0x1, sequence number= 0x2) from 203.0.113.9 (user= a to 198.51.100.66) to 192.0.2.1. The decapsulated inner packet doesn't match",
                &[("source.ip", "203.0.113.9"), ("destination.ip", "192.0.2.1")],
            ),
            (
                "%ASA-4-106027: acl_1: Deny src 0011.2233.4455 dst 0011.2233.4466 by access-group \"l2\"",
                &[("source.mac", "00:11:22:33:44:55"), ("destination.mac", "00:11:22:33:44:66"), ("rule.name", "l2")],
            ),
            (
                "%ASA-2-106013: Dropping echo request from 203.0.113.9 to PAT address 192.0.2.1",
                &[("network.transport", "icmp"), ("network.direction", "inbound"), ("destination.ip", "192.0.2.1")],
            ),
        ],
    );
}

#[test]
fn messages_without_a_wording_are_read_by_their_words() {
    let denied = ("event.type", "connection,denied");
    all(
        Profile::CiscoAsa,
        ASA,
        &[
            (
                "%ASA-6-302017: Built inbound GRE connection 7 from outside:203.0.113.9 (203.0.113.9) to inside:10.45.0.5/1 (192.0.2.1/1)",
                &[
                    ("source.ip", "203.0.113.9"),
                    ("destination.port", "1"),
                    ("destination.nat.ip", "192.0.2.1"),
                    ("source.nat.ip", "(absent)"),
                    ("network.transport", "gre"),
                    ("observer.ingress.interface.name", "outside"),
                    ("event.type", "connection,start,allowed"),
                ],
            ),
            (
                "%ASA-6-302036: Teardown SCTP connection 7 for outside:203.0.113.9/53 to inside:10.45.0.5/500 duration 0:00:30 bytes 500 reason",
                &[("event.action", "flow-expiration"), ("network.bytes", "500"), ("source.port", "53")],
            ),
            (
                "%ASA-3-305006: portmap translation creation failed for udp src inside:10.45.0.9/5 dst outside:203.0.113.9/53",
                &[("source.ip", "10.45.0.9"), ("destination.port", "53"), ("network.transport", "udp")],
            ),
            (
                "%ASA-6-201010: Embryonic connection limit exceeded 100/100 for inbound packet from 203.0.113.9/5 to 10.45.0.5/80 on interface outside",
                &[("source.port", "5"), denied, ("network.direction", "inbound")],
            ),
            (
                "%ASA-5-415006: HTTP - matched x in policy-map y, URI matched, connection dropped from inside:10.45.0.9/5 to outside:203.0.113.9/80",
                &[("source.ip", "10.45.0.9"), denied],
            ),
            (
                "%ASA-6-602101: PMTU-D packet 1500 bytes greater than effective mtu 1400, dest_addr=203.0.113.9, src_addr=10.45.0.9, prot=TCP",
                &[("source.ip", "10.45.0.9"), ("destination.ip", "203.0.113.9"), ("network.transport", "tcp")],
            ),
            (
                "%ASA-6-725002: Device completed SSL handshake with server outside:2001:db8::9/443 to 2001:db8::1/5 for TLSv1.2 session",
                &[("source.ip", "2001:db8::9"), ("source.port", "443"), ("destination.ip", "2001:db8::1")],
            ),
            (
                "%ASA-7-710001: TCP access requested from 203.0.113.9/5 to outside:192.0.2.1/ssh",
                &[("source.port", "5"), ("destination.ip", "192.0.2.1"), ("destination.port", "(absent)")],
            ),
            // Of a family that is not read so, no address is guessed.
            ("%ASA-6-199018: x from 203.0.113.9 to 10.45.0.5", &[("source.ip", "(absent)")]),
        ],
    );
}

#[test]
fn ios_tells_of_lists_in_hardware_consoles_and_wireless() {
    all(
        Profile::CiscoIos,
        "<189>45: sw-01: *Nov 23 02:10:00.125 UTC: ",
        &[
            (
                "%FMANFP-6-IPACCESSLOGP:  SIP0: fman_fp_image:  list V denied tcp 203.0.113.9(4000) -> 10.45.0.5(22), 2 packets",
                &[("source.ip", "203.0.113.9"), ("destination.port", "22"), ("source.packets", "2")],
            ),
            (
                "%DMI-5-AUTH_PASSED: R0/0: dmiauthd: User 'an' authenticated successfully from 10.45.0.9:45000 and was authorized for netconf over ssh. External groups: PRIV15",
                &[("user.name", "an"), ("source.ip", "10.45.0.9"), ("event.outcome", "success")],
            ),
            (
                "%CLIENT_ORCH_LOG-6-CLIENT_ADDED_TO_RUN_STATE: Chassis 1 R0/0: wncd: Username entry (an) joined with ssid (CITY) for device with MAC: 0011.2233.4455",
                &[("user.name", "an"), ("source.mac", "00:11:22:33:44:55"), ("cisco.ios.ssid", "CITY")],
            ),
            (
                "%IPS-4-SIGNATURE: Sig:2004 Subsig:0 Sev:2 ICMP Echo Req [203.0.113.9:0 -> 10.45.0.5:0] RiskRating:25",
                &[("rule.id", "2004"), ("rule.name", "ICMP Echo Req"), ("source.ip", "203.0.113.9")],
            ),
            (
                "%DHCPD-4-PING_CONFLICT: DHCP address conflict:  server pinged 10.45.0.77.",
                &[("source.ip", "10.45.0.77"), ("event.action", "duplicate-address")],
            ),
        ],
    );
}

#[test]
fn a_name_a_task_and_a_date_before_the_mark_are_the_devices() {
    let told = |line: &str, told: Told<'_>| check(line, None, told);
    let mark = "%SYS-5-CONFIG_I: Configured from console by vty0 (10.45.0.9)";
    for front in [
        "<189>52: sw-01: *Mar  1 00:01:05.123: ",
        "<189>sw-01: Nov 23 02:10:00 ICT: ",
        "<189>52: sw-01: .Nov 23 02:10:00.125 UTC: ",
    ] {
        told(
            &format!("{front}{mark}"),
            &[
                ("event.dataset", "cisco.ios"),
                ("event.code", "CONFIG_I"),
                ("host.name", "sw-01"),
                ("source.ip", "10.45.0.9"),
            ],
        );
    }
    told(
        &format!("<187>Nov 23 02:10:00 10.45.0.2 77: Nov 23 02:10:00: {mark}"),
        &[("event.dataset", "cisco.ios"), ("event.code", "CONFIG_I"), ("host.name", "10.45.0.2")],
    );
    told(
        &format!("2026-11-23 02:10:00\tLocal7.Notice\t10.45.0.2\t78: Nov 23 02:10:00: {mark}"),
        &[
            ("event.dataset", "cisco.ios"),
            ("host.name", "10.45.0.2"),
            ("log.syslog.facility.name", "local7"),
            ("log.syslog.severity.code", "5"),
        ],
    );
    told(
        "<133>wlc-01: *aaaQueueReader: Nov 23 02:10:00.125: %AAA-5-AAA_AUTH_ADMIN_USER: aaa.c:7 Authentication failed for admin user 'an' on 10.45.0.9",
        &[("event.category", "authentication"), ("event.outcome", "failure"), ("user.name", "an")],
    );
    // A program with a number is that program, whatever it says.
    told("<38>web[7]: Nov 23 02:10:00: %SYS-5-CONFIG_I: x", &[("event.code", "(absent)")]);
}
