//! PAN-OS: each type, columns with commas and quotes, short and hostile lines.

use super::super::{check, check_dead};
use super::*;
use crate::profile::Profile;

const FRONT: &str = "1,2026/11/23 09:10:01,012801000001";
const SESSION: &str = "203.0.113.45,192.0.2.20,203.0.113.45,10.45.0.20,Inbound web,city\\lan,,web-browsing,vsys1,untrust,dmz,ethernet1/1,ethernet1/2,siem,2026/11/23 09:10:01,4711,1,40000,443,0,8443,0x400000,tcp";

fn traffic(subtype: &str, action: &str) -> String {
    format!(
        "<14>Nov 23 09:10:02 PA-440 {FRONT},TRAFFIC,{subtype},2561,2026/11/23 09:10:00,{SESSION},{action},1500,500,1000,12,2026/11/23 09:09:58,2,any,,7,0x0,Viet Nam,10.0.0.0-10.255.255.255,,5,7,tcp-fin,0,0,0,0,,PA-440,from-policy"
    )
}

#[test]
fn traffic_with_every_header() {
    let told = [
        ("event.dataset", "panw.traffic"),
        ("event.action", "flow_terminated"),
        ("panw.panos.action", "allow"),
        ("client.ip", "203.0.113.45"),
        ("server.nat.port", "8443"),
        ("client.user.name", "lan"),
        ("event.type", "connection,end,allowed"),
        ("source.ip", "203.0.113.45"),
        ("source.port", "40000"),
        ("destination.nat.ip", "10.45.0.20"),
        ("destination.port", "443"),
        ("network.transport", "tcp"),
        ("network.bytes", "1500"),
        ("source.bytes", "500"),
        ("rule.name", "Inbound web"),
        ("user.name", "lan"),
        ("user.domain", "city"),
        ("observer.name", "PA-440"),
        ("source.geo.country_name", "Viet Nam"),
        ("event.duration", "2000000000"),
        ("panw.panos.source_zone", "untrust"),
    ];
    let line = traffic("end", "allow");
    check(&line, Some(Profile::PaloAlto), &told);
    check(&line, None, &told);
    check(&line.replace("PA-440 1,", "1,"), Some(Profile::PaloAlto), &told);
    check(line.split_once("PA-440 ").expect("has a host").1, None, &told);
    check(&traffic("deny", "deny"), None, &[("event.type", "connection,denied"), ("event.action", "flow_denied")]);
}

#[test]
fn threats_that_passed_and_that_did_not() {
    let line = |subtype: &str, action: &str, what: &str| {
        format!(
            "{FRONT},THREAT,{subtype},2561,2026/11/23 09:10:00,{SESSION},{action},{what},Eicar Test File(100000),any,critical,server-to-client,7,0x0,Viet Nam,Viet Nam,,,0,,,0,,,,,,,,0,0,0,0,0,,PA-440"
        )
    };
    check(
        &line("virus", "alert", "\"a, \"\"b\"\",203.0.113.99.exe\""),
        None,
        &[
            ("event.dataset", "panw.threat"),
            ("event.kind", "alert"),
            ("event.category", "malware"),
            ("event.type", "allowed"),
            ("event.action", "virus_detected"),
            ("rule.name", "Inbound web"),
            ("panw.panos.threat.name", "Eicar Test File"),
            ("panw.panos.threat.id", "100000"),
            ("network.direction", "outbound"),
            ("file.name", "a, \"b\",203.0.113.99.exe"),
            ("log.level", "critical"),
            ("panw.panos.direction", "server-to-client"),
            ("observer.name", "PA-440"),
        ],
    );
    check(
        &line("url", "block-url", "\"evil.example/a?b=c\""),
        None,
        &[
            ("event.type", "denied"),
            ("url.domain", "evil.example"),
            ("url.path", "/a"),
            ("url.query", "b=c"),
            ("event.category", "web"),
        ],
    );
}

#[test]
fn administrators_configuration_and_remote_access() {
    let of = |text: &str| format!("<14>Nov 23 09:10:02 PA-440 {FRONT},{text}");
    check(
        &of(
            "SYSTEM,general,0,2026/11/23 09:10:00,,general,,0,0,general,informational,\"User x logged in via Web from 198.51.100.66 using https logged in via Web from 203.0.113.9 using https\",7,0x0,0,0,0,0,,PA-440",
        ),
        None,
        &[("source.ip", "203.0.113.9"), ("event.category", "authentication"), ("event.outcome", "success")],
    );
    check(
        &of(
            "SYSTEM,auth,0,2026/11/23 09:10:00,,auth-fail,local,0,0,general,medium,\"failed authentication for user 'admin'. Reason: Invalid username/password. From: 203.0.113.9.\",7,0x0,0,0,0,0,,PA-440",
        ),
        None,
        &[
            ("event.outcome", "failure"),
            ("user.name", "admin"),
            ("source.ip", "203.0.113.9"),
            ("event.action", "auth-fail"),
        ],
    );
    check(
        &of("CONFIG,0,0,2026/11/23 09:10:00,203.0.113.9,,commit,admin,Web,Succeeded,,7,0x0,0,0,0,0,,PA-440"),
        None,
        &[
            ("event.category", "configuration"),
            ("event.action", "commit"),
            ("user.name", "admin"),
            ("panw.panos.client", "Web"),
        ],
    );
    check(
        &of(
            "GLOBALPROTECT,0,2305,2026/11/23 09:10:00,vsys1,gateway-auth,login,LDAP,,city\\lan,VN,PC-07,203.0.113.9,0.0.0.0,10.20.0.7,0.0.0.0,h,s,6.1.0,Windows,\"Microsoft Windows 11 Pro , 64-bit\",1,,,\"\",failure,,0,,0,GP-Portal,7,0x0",
        ),
        None,
        &[
            ("event.outcome", "failure"),
            ("user.name", "lan"),
            ("source.ip", "203.0.113.9"),
            ("event.code", "gateway-auth"),
            ("host.name", "PC-07"),
            ("host.ip", "10.20.0.7"),
            ("client.ip", "203.0.113.9"),
            ("panw.panos.client_os_version", "Microsoft Windows 11 Pro , 64-bit"),
            ("source.geo.country_name", "VN"),
        ],
    );
}

#[test]
fn sign_ins_by_policy_and_who_sits_where() {
    let of = |text: &str| format!("<14>Nov 23 09:10:02 PA-440 {FRONT},{text}");
    check(
        &of(
            "AUTHENTICATION,auth,0,2026/11/23 09:10:00,vsys1,203.0.113.9,an,an@donghoi.example,portal,Web portal,1,77,Acme,siem,mfa,the code was wrong,Browser,Authentication failed,2,7,0x0,0,0,0,0,,PA-440,1,PAP,u",
        ),
        None,
        &[
            ("source.ip", "203.0.113.9"),
            ("user.name", "an"),
            ("rule.name", "Web portal"),
            ("message", "the code was wrong"),
            ("event.action", "Authentication failed"),
            ("event.outcome", "failure"),
            ("panw.panos.server_profile", "mfa"),
            ("observer.name", "PA-440"),
        ],
    );
    check(
        &of(
            "USERID,login,2305,2026/11/23 09:10:00,vsys1,10.45.0.31,an@donghoi.example,agent,0,1,10800,0,0,vpn-client,globalprotect,7,0x0,0,0,0,0,,PA-440,1",
        ),
        None,
        &[
            ("source.ip", "10.45.0.31"),
            ("user.name", "an"),
            ("user.domain", "donghoi.example"),
            ("client.user.name", "an"),
            ("event.action", "login"),
        ],
    );
}

#[test]
fn short_and_hostile_lines() {
    let short = format!("{FRONT},TRAFFIC,end,1,2026/11/23 09:10:00,1.2.3.4");
    check_dead(&short, Profile::PaloAlto, "paloalto: the line is too short", short.len());
    check_dead("nothing of the kind", Profile::PaloAlto, "paloalto: expected columns", 0);
    assert!(split(&",".repeat(100_000)).len() <= COLUMNS_MAX);
    assert_eq!(split(&format!("a,\"{}", "\"\"".repeat(50_000))).len(), 2);
    assert_eq!(split("a,\"b").last().map(AsRef::as_ref), Some("b"));
    assert_eq!(split("a,\"b\"c,d").len(), 3);
}

#[test]
fn every_documented_type_is_read() {
    let line = |rest: &str| format!("<14>Nov 23 09:10:00 pa-1 1,2026/11/23 09:10:00,012801000001,{rest}");
    const SESSION: &str = "0,2560,2026/11/23 09:10:00,10.45.0.9,203.0.113.9,192.0.2.1,203.0.113.9,r,city\\an,,gre,vsys1,trust,untrust,e1,e2,fw,2026/11/23 09:10:00,4711,1,5,7,0,0,0x0,gre,allow,1,2,3";
    for (kind, dataset) in [
        ("START", "panw.tunnel"),
        ("END", "panw.tunnel"),
        ("SCTP", "panw.sctp"),
        ("GTP", "panw.gtp"),
        ("DECRYPTION", "panw.decryption"),
    ] {
        let told = [("event.dataset", dataset), ("source.ip", "10.45.0.9"), ("rule.name", "r"), ("user.name", "an")];
        check(&line(&format!("{kind},{SESSION}")), Some(Profile::PaloAlto), &told);
        check(&line(&format!("{kind},{SESSION}")), None, &told);
    }
    check(
        &line("IPTAG,0,2560,2026/11/23 09:10:00,vsys1,10.45.0.9,bad-tag,register,1,300,,xmlapi,,1"),
        None,
        &[("source.ip", "10.45.0.9"), ("event.action", "register"), ("panw.panos.tag", "bad-tag")],
    );
    check(
        &line(
            "CORRELATION,Beacon-heuristics,2560,2026/11/23 09:10:00,10.45.0.9,city\\an,vsys1,compromised-host,medium,0,0,0,0,,pa-1,1,Beacon Detection,6005,Host visited known malware URL (10 times).",
        ),
        None,
        &[("event.kind", "alert"), ("source.ip", "10.45.0.9"), ("rule.name", "Beacon Detection"), ("rule.id", "6005")],
    );
    check(
        &line(
            "SYSTEM,globalprotect,0,2026/11/23 09:10:00,,globalprotectgateway-auth-fail,GP-GW,0,0,general,informational,\"GlobalProtect gateway user authentication failed. Login from: 203.0.113.9, Source region: VN, User name: an, Client OS version: x, Reason: Authentication failed: Invalid username or password, Auth type: profile.\",1,0x0",
        ),
        None,
        &[("source.ip", "203.0.113.9"), ("user.name", "an"), ("event.outcome", "failure")],
    );
}

#[test]
fn whom_a_proxy_asked_for_is_told() {
    let line = "<14>Nov 23 09:10:00 pa-1 1,2026/11/23 09:10:00,012801000001,THREAT,url,2560,2026/11/23 09:10:00,192.0.2.3,203.0.113.9,,,r,,,web-browsing,vsys1,trust,untrust,e1,e2,fw,2026/11/23 09:10:00,4711,1,5,80,0,0,0x0,tcp,alert,\"a.example/x\",(9999),news,informational,client-to-server,1,0x0,VN,US,0,text/html,0,,,1,\"curl\",,\"198.51.100.7, 10.0.0.9\",,,,";
    check(
        line,
        Some(Profile::PaloAlto),
        &[("network.forwarded_ip", "198.51.100.7"), ("panw.panos.x_forwarded_for", "198.51.100.7, 10.0.0.9")],
    );
}
