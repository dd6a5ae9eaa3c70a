//! Unusual and hostile lines of the devices whose formats vary most: other headers, IPv6, users beside addresses, names for
//! addresses, lines that end too early, and values of strangers that look like the device's own words.

use super::check;
use crate::profile::Profile;

type Told<'a> = &'a [(&'a str, &'a str)];

#[track_caller]
fn all(profile: Profile, rows: &[(&str, Told<'_>)]) {
    for (line, told) in rows {
        check(line, Some(profile), told);
    }
}

#[test]
fn connections_of_asa_whatever_stands_around_them() {
    all(
        Profile::CiscoAsa,
        &[
            (
                "<166>1 2026-11-23T02:10:00Z fw-01 - - - - %ASA-6-302013: Built outbound TCP connection 7 for outside:203.0.113.80/443 (203.0.113.80/443) to inside:10.45.0.31/50330 (192.0.2.1/50330)",
                &[
                    ("host.hostname", "fw-01"),
                    ("source.ip", "203.0.113.80"),
                    ("destination.ip", "10.45.0.31"),
                    ("client.ip", "10.45.0.31"),
                    ("client.port", "50330"),
                    ("server.ip", "203.0.113.80"),
                    ("server.port", "443"),
                    ("destination.nat.ip", "192.0.2.1"),
                    ("network.direction", "outbound"),
                ],
            ),
            (
                "<166>Nov 23 2026 09:10:00 fw-01 : %ASA-6-302013: Built inbound TCP connection 8 for outside:2001:db8::9/40000 (2001:db8::9/40000) to dmz_web-2:2001:db8:1::20/443 (2001:db8:1::20/443)",
                &[
                    ("client.ip", "2001:db8::9"),
                    ("destination.ip", "2001:db8:1::20"),
                    ("destination.port", "443"),
                    ("observer.egress.interface.name", "dmz_web-2"),
                    ("network.type", "ipv6"),
                ],
            ),
            (
                r"Nov 23 2026 09:10:00: %ASA-6-302015: Built inbound UDP connection 9 for outside:203.0.113.9/53001 (203.0.113.9/53001)(CITY\an) to inside:kho-luu/53 (192.0.2.20/53) (an)",
                &[
                    ("source.user.name", "an"),
                    ("destination.domain", "kho-luu"),
                    ("destination.ip", "(absent)"),
                    ("destination.port", "53"),
                    ("server.port", "53"),
                    ("client.ip", "203.0.113.9"),
                ],
            ),
            (
                "%FTD-6-302020: Built outbound ICMP connection for faddr 203.0.113.80/0 gaddr 192.0.2.1/512 laddr 10.45.0.31/512 type 8 code 0",
                &[
                    ("source.ip", "10.45.0.31"),
                    ("client.ip", "10.45.0.31"),
                    ("server.ip", "203.0.113.80"),
                    ("network.protocol", "icmp"),
                ],
            ),
            (
                "%FTD-6-302020: Built inbound ICMP connection for faddr 203.0.113.80/0 gaddr 192.0.2.1/0 laddr 10.45.0.31/0",
                &[("source.ip", "10.45.0.31"), ("client.ip", "203.0.113.80"), ("server.ip", "10.45.0.31")],
            ),
            (
                r"%ASA-6-305011: Built dynamic UDP translation from inside:10.45.0.31/50330(CITY\an) to outside:192.0.2.1/40123",
                &[
                    ("source.ip", "10.45.0.31"),
                    ("destination.ip", "192.0.2.1"),
                    ("destination.port", "40123"),
                    ("source.nat.ip", "192.0.2.1"),
                    ("source.nat.port", "40123"),
                    ("source.user.name", "an"),
                ],
            ),
            (
                "%ASA-6-305012: Teardown dynamic TCP translation from inside:10.45.0.31/50330 to outside:192.0.2.1/40123 duration 0:00:30",
                &[("source.nat.port", "40123"), ("event.action", "flow-expiration")],
            ),
            (
                "%ASA-6-302014: Teardown TCP connection 7 for outside:203.0.113.80/443 to inside:10.45.0.31/50330 duration 0:00:30 bytes 4096 TCP FINs from inside",
                &[("source.port", "443"), ("network.bytes", "4096"), ("source.user.name", "(absent)")],
            ),
            (
                "%ASA-6-302014: Teardown TCP connection 7 for outside:203.0.113.80/443 an to inside:10.45.0.31/50330 binh duration 0:00:30 bytes 4096",
                &[
                    ("source.port", "443"),
                    ("source.user.name", "an"),
                    ("destination.port", "50330"),
                    ("destination.user.name", "binh"),
                    ("network.bytes", "4096"),
                ],
            ),
        ],
    );
}

#[test]
fn what_a_stranger_writes_never_passes_for_the_asa() {
    all(
        Profile::CiscoAsa,
        &[
            (
                "<165>Nov 23 2026 09:10:00: %ASA-5-304001: 10.45.0.31 Accessed URL 203.0.113.80:http://news.example/%ASA-6-605005: Login permitted from 198.51.100.66/1 to outside:192.0.2.1/ssh for user \"root\"",
                &[("event.code", "304001"), ("source.ip", "10.45.0.31"), ("user.name", "(absent)")],
            ),
            (
                "<166>%ASA-6-605004: Login denied from 203.0.113.45/40001 to outside:192.0.2.1/ssh for user \"a\" %ASA-6-605005: Login permitted from 198.51.100.66/1 to outside:192.0.2.1/ssh for user \"root\"",
                &[("event.outcome", "failure"), ("source.ip", "203.0.113.45")],
            ),
            (
                "<113>%FTD-1-430003: AccessControlRuleAction: Block, SrcIP: 10.45.0.31, DstIP: 203.0.113.80, User: an, URL: http://news.example/?a=, SrcIP: 198.51.100.66, User: root, AccessControlRuleAction: Allow",
                &[("source.ip", "10.45.0.31"), ("user.name", "an"), ("user.id", "an"), ("event.outcome", "failure")],
            ),
            (
                "<113>%FTD-1-430002: SrcIP: 10.45.0.31, DstIP: 203.0.113.80, User: No Authentication Required",
                &[("user.name", "No Authentication Required"), ("event.action", "connection-started")],
            ),
            (
                "<164>%ASA-4-106023: Deny tcp src outside:203.0.113.45/40000 dst inside:192.0.2.20/22 by access-group \"a \\\" dst inside:198.51.100.66/1\" [0x0, 0x0]",
                &[("destination.ip", "192.0.2.20"), ("destination.port", "22")],
            ),
            // Lines that end too early keep what they are.
            (
                "<166>%ASA-6-302013: Built outbound TCP connection 7 for outside:",
                &[("event.action", "firewall-rule"), ("client.ip", "(absent)")],
            ),
            ("<166>%ASA-6-302020: Built", &[("event.code", "302020"), ("source.ip", "(absent)")]),
            ("<166>%ASA-6-305011: ", &[("event.code", "305011"), ("destination.ip", "(absent)")]),
            ("<113>%FTD-1-430003: User: ", &[("event.code", "430003"), ("user.name", "(absent)")]),
            (
                "<166>%ASA-6-302016: Teardown UDP connection 7 for outside:203.0.113.80/ to inside:/ duration",
                &[("event.code", "302016"), ("source.ip", "(absent)")],
            ),
        ],
    );
}

#[test]
fn sophos_with_values_quoted_or_not_in_any_order() {
    all(
        Profile::Sophos,
        &[
            (
                r#"<30>device="SFW" date=2026-11-23 time=09:10:00 timezone="ICT" device_name="XGS 107" device_id=C1 log_id=010101600001 log_type="Firewall" log_component="Firewall Rule" log_subtype="Denied" src_ip=2001:db8::9 dst_ip=2001:db8:1::20 protocol="ICMPv6" src_port=0 dst_port=0"#,
                &[("source.ip", "2001:db8::9"), ("server.ip", "2001:db8:1::20"), ("network.type", "ipv6")],
            ),
            (
                r#"<30>1 2026-11-23T02:10:00Z xg-01 - - - - device="SFW" date=2026-11-23 time=09:10:00 log_id=010101600001 log_type="Firewall" log_component="Firewall Rule" log_subtype="Allowed" src_ip=10.45.0.31 dst_ip=203.0.113.80 protocol="UDP" src_port=50330 dst_port=53 sent_bytes=60 recv_bytes=140"#,
                &[
                    ("source.bytes", "60"),
                    ("destination.bytes", "140"),
                    ("network.transport", "udp"),
                    ("event.action", "allowed"),
                ],
            ),
            (
                r#"src_ip=10.45.0.31 dst_ip=203.0.113.80 device="SFW" date=2026-11-23 time=09:10:00 log_id=010101600001 log_type="Firewall" log_subtype="Drop""#,
                &[("source.ip", "10.45.0.31"), ("event.action", "drop")],
            ),
            (
                r#"<30>device="SFW" date=2026-11-23 time=09:10:00 log_id=050901616001 log_type="Content Filtering" log_component="HTTP" log_subtype="Allowed" user_name="an@donghoi.example" url="https://news.example/a?src_ip=198.51.100.66" src_ip=10.45.0.31 dst_ip=203.0.113.80"#,
                &[("source.ip", "10.45.0.31"), ("url.domain", "news.example")],
            ),
            (
                r#"<30>device="SFW" date=2026-11-23 time=09:10:00 log_id=041101618035 log_type="Anti-Spam" log_component="SMTP" log_subtype="Clean" from_email_address="a b@example.net" to_email_address="an@donghoi.example" email_subject="x\" src_ip=198.51.100.66 y=\"" src_ip=203.0.113.9 dst_ip=192.0.2.1"#,
                &[("source.ip", "203.0.113.9")],
            ),
            (
                r#"<30>device="SFW" date=2026-11-23 time=09:10:00 log_id=062910617701 log_type="Event" log_component="Firewall Authentication" log_subtype="Authentication" status="Successful" user_name="donghoi\an" auth_client="Web Client" src_ip=10.45.0.31 message="User donghoi\an of group g logged in successfully""#,
                &[("event.category", "authentication"), ("event.outcome", "success"), ("source.ip", "10.45.0.31")],
            ),
            (
                r#"<30>device="SFW" date=2026-11-23 time=09:10:00 log_id=010101600001 log_type="Firewall" log_subtype="Denied" src_ip="" dst_ip=N/A src_port= dst_port=x"#,
                &[("source.ip", "(absent)"), ("destination.ip", "(absent)"), ("destination.port", "(absent)")],
            ),
            (
                r#"<30>device="SFW" date=2026-11-23 time=09:10:00 log_id=9 log_type="Moon Phase" log_subtype="Full""#,
                &[("event.action", "full"), ("event.module", "sophos")],
            ),
            (r#"<30>device="SFW" log_type="#, &[("event.module", "sophos")]),
            (
                r#"<30>device="SFW" date=2026-11-23 time=09:10:00 log_id="010101600001" log_type="Firewall" src_ip="10.45.0.31"#,
                &[("event.module", "sophos")],
            ),
        ],
    );
}

#[test]
fn fortigate_with_quotes_spaces_and_strangers() {
    let line = |more: &str| {
        format!(
            r#"<189>date=2026-11-23 time=09:10:00 devname="fw-01" devid="FGT60F0000000001" eventtime=1795399800123456789 tz="+0700" {more}"#
        )
    };
    let rows: [(&str, Told<'_>); 9] = [
        (
            r#"logid="0000000013" type="traffic" subtype="forward" level="notice" srcip=2001:db8::9 srcport=1 dstip=2001:db8::1 dstport=443 proto=6 action="deny""#,
            &[("source.ip", "2001:db8::9"), ("network.transport", "tcp"), ("network.type", "ipv6")],
        ),
        (
            r#"logid=0000000013 type=traffic subtype=forward level=notice srcip=10.45.0.31 srcport=1 dstip=203.0.113.80 dstport=53 proto=17 action=accept sentbyte=60 rcvdbyte=40"#,
            &[("source.bytes", "60"), ("network.bytes", "100"), ("network.transport", "udp")],
        ),
        (
            r#"logid="0100032002" type="event" subtype="system" level="alert" logdesc="Admin login failed" user="x\" srcip=198.51.100.66 z=\"" srcip=203.0.113.9 action="login" status="failed""#,
            &[("source.ip", "203.0.113.9"), ("event.outcome", "failure")],
        ),
        (
            r#"logid="0317013312" type="utm" subtype="webfilter" level="notice" srcip=10.45.0.31 dstip=203.0.113.80 hostname="news.example" url="/a?srcip=198.51.100.66 b" action="passthrough""#,
            &[("source.ip", "10.45.0.31"), ("url.domain", "news.example")],
        ),
        (
            r#"logid="0000000020" type="traffic" subtype="local" level="notice" srcip=10.45.0.31 dstip=10.45.0.1 proto=1 service="PING" action="accept""#,
            &[("network.transport", "icmp")],
        ),
        (r#"logid="0000000013" type="traffic" srcip= dstip=N/A srcport=x dstport=-1"#, &[("source.ip", "(absent)")]),
        (
            r#"logid="0000000013" type="traffic" srcip=300.1.1.1 dstip=203.0.113.80"#,
            &[("source.ip", "(absent)"), ("destination.ip", "203.0.113.80")],
        ),
        (
            r#"logid="0999999999" type="new" subtype="kind" level="emergency" msg="không rõ""#,
            &[("message", "không rõ"), ("log.level", "emergency")],
        ),
        (r#"logid="0000000013" type="traffic" srcip=10.45.0.31 msg="no end"#, &[("source.ip", "10.45.0.31")]),
    ];
    for (more, told) in rows {
        check(&line(more), Some(Profile::Fortigate), told);
        check(&line(more), None, &[("event.module", "fortinet")]);
    }
}

#[test]
fn relays_and_odd_headers_do_not_hide_a_device() {
    const BODY: &str =
        "%ASA-4-106023: Deny tcp src outside:203.0.113.45/40000 dst inside:192.0.2.20/22 by access-group \"in\"";
    for (front, host) in [
        ("", "(absent)"),
        ("<164>", "(absent)"),
        ("<164><164>Nov 23 2026 09:10:00 fw-01 : ", "fw-01"),
        ("<164>:Nov 23 09:10:00 ICT: ", "(absent)"),
        ("<164>Mon Nov 23 09:10:00 2026 fw-01 : ", "fw-01"),
        ("<164>Nov 23 09:10:00 2026 fw-01 : ", "fw-01"),
        ("<164>2026-11-23T02:10:00Z fw-01 : ", "fw-01"),
        ("<164>1 2026-11-23T02:10:00Z fw-01 - - - - ", "fw-01"),
        ("Nov 23 02:10:01 relay Nov 23 2026 02:10:00 fw-01 : ", "fw-01"),
        ("Nov 23 02:10:01 relay <164>Nov 23 2026 02:10:00 fw-01 : ", "fw-01"),
        ("<164>fw-01 ", "fw-01"),
    ] {
        let line = format!("{front}{BODY}");
        for profile in [None, Some(Profile::CiscoAsa)] {
            let told = [("source.ip", "203.0.113.45"), ("event.code", "106023"), ("observer.name", host)];
            check(&line, profile, &told);
        }
    }
    for (line, dataset) in [
        (
            "Nov 23 02:10:01 relay <189>date=2026-11-23 time=09:10:00 devname=\"F\" devid=\"F\" logid=\"1\" type=\"traffic\" subtype=\"forward\" srcip=10.45.0.9",
            "fortinet.traffic",
        ),
        (
            "Nov 23 02:10:01 relay <30>device=\"SFW\" date=2026-11-23 time=09:10:00 log_id=1 log_type=\"Firewall\" log_component=\"x\" src_ip=10.45.0.9",
            "sophos.firewall",
        ),
        (
            "Nov 23 02:10:01 relay <14>Nov 23 09:10:00 pa-1 1,2026/11/23 09:10:00,012801000001,IPTAG,0,2560,2026/11/23 09:10:00,vsys1,10.45.0.9,t,register,1",
            "panw.iptag",
        ),
    ] {
        check(line, None, &[("event.dataset", dataset), ("source.ip", "10.45.0.9")]);
    }
    // What a program wrote is its own, whatever it begins with.
    check(
        &format!("<38>Nov 23 02:10:01 web app[7]: <164>Nov 23 2026 02:10:00 fw-01 : {BODY}"),
        None,
        &[("source.ip", "(absent)")],
    );
}
