//! CEF: headers, escapes, values with spaces, custom pairs, hostile lines.

use super::super::{check, check_dead};
use super::*;
use crate::profile::Profile;

const LINE: &str = r"<134>Nov 23 09:10:00 waf-01 CEF:0|Acme \| Sons|Web Guard|2.1|501|Injection \\ attempt|8|rt=1795399800000 act=blocked src=203.0.113.45 spt=40000 dst=192.0.2.20 dpt=443 proto=TCP request=https://portal.example/a?x=1&y=2 requestMethod=GET cs1Label=Policy Name cs1=Public sites (strict) msg=select a\=b from t end cat=Alert";

#[test]
fn a_record_with_escapes_spaces_and_custom_pairs() {
    let told = [
        ("observer.vendor", "Acme | Sons"),
        ("observer.product", "Web Guard"),
        ("observer.version", "2.1"),
        ("event.code", "501"),
        ("cef.name", r"Injection \ attempt"),
        ("event.severity", "8"),
        ("event.action", "blocked"),
        ("event.type", "connection,denied"),
        ("source.ip", "203.0.113.45"),
        ("destination.port", "443"),
        ("network.transport", "tcp"),
        ("url.original", "https://portal.example/a?x=1&y=2"),
        ("cef.labels.policy_name", "Public sites (strict)"),
        ("message", "select a=b from t end"),
        ("cef.extensions.cat", "Alert"),
        ("event.dataset", "cef.log"),
        ("host.name", "waf-01"),
    ];
    check(LINE, Some(Profile::Cef), &told);
    check(LINE, None, &told);
    check(LINE.split_once("waf-01 ").expect("has a host").1, None, &told[..16]);
}

#[test]
fn what_a_stranger_writes_begins_no_key() {
    check(
        r"CEF:0|A|B|1|7|Login failed|5|src=203.0.113.45 suser=x msg=hello src\=198.51.100.66 src=198.51.100.66 dst=192.0.2.1",
        Some(Profile::Cef),
        &[
            ("source.ip", "203.0.113.45"),
            ("message", "hello src=198.51.100.66"),
            ("event.category", "authentication"),
            ("event.outcome", "failure"),
            ("user.name", "x"),
        ],
    );
}

#[test]
fn headers_of_every_length() {
    let of = |text: &str| {
        parse(text).map(|record| (record.header[5].to_string(), record.header[6].to_string(), record.extension.len()))
    };
    assert_eq!(of("CEF:0|A|B|1|7|Name|5|a=b c=d e"), Ok(("Name".into(), "5".into(), 2)));
    assert_eq!(of("CEF:0|A|B|1|7|Name|5|"), Ok(("Name".into(), "5".into(), 0)));
    assert_eq!(of("CEF:0|A|B|1|7|Name|5"), Ok(("Name".into(), "5".into(), 0)));
    assert_eq!(of("CEF:0|A|B|1|admins|1|msg=somebody came"), Ok(("admins".into(), "1".into(), 1)));
    assert_eq!(of("CEF:0|A|B|1|7").unwrap_err().offset, 13);
    check_dead("<134>Nov 23 09:10:00 x CEF:0|A|B", Profile::Cef, "cef: the header is too short", 32);
    check_dead("<134>Nov 23 09:10:00 x nothing", Profile::Cef, "cef: expected CEF:", 23);
}

#[test]
fn a_header_of_rfc_5424_that_stops_early_is_passed_over() {
    check(
        "<134>1 2026-11-23T09:10:00Z vault CEF:0|A|B|1|7|Logon|5|suser=lan",
        Some(Profile::Cef),
        &[("host.name", "vault"), ("user.name", "lan"), ("log.syslog.priority", "134")],
    );
}

#[test]
fn hostile_records_end_soon() {
    let many = (0..5000).map(|number| format!("k{number}=v ")).collect::<String>();
    assert_eq!(extension(&many).len(), PAIRS_MAX);
    let long = format!("CEF:0|A|B|1|7|N|5|msg={}", "\\".repeat(100_000));
    assert_eq!(parse(&long).expect("is a record").extension.len(), 1);
    assert!(parse(&"CEF:0|".repeat(50_000)).is_ok(), "pipes only");
    assert_eq!(extension("== =a = b=\0\u{fffd} ").first().map(|(key, _)| *key), Some("b"));
}

#[test]
fn what_antivirus_found_and_who_signed_in() {
    let line = |header: &str, pairs: &str| format!("<14>Nov 23 09:10:00 av-01 CEF:0|{header}|{pairs}");
    check(
        &line(
            "KasperskyLab|SecurityCenter|13.2|GNRL_EV_VIRUS_FOUND|Object found|4",
            r"dhost=may-7 dst=10.45.0.9 filePath=C:\\x.com cs1=EICAR-Test-File cs1Label=VirusName duser=an",
        ),
        None,
        &[("event.category", "malware"), ("rule.name", "EICAR-Test-File"), ("user.name", "an")],
    );
    check(
        &line(
            "Bitdefender|GravityZone|6.24|35|Malware detected|8",
            r"dvchost=may-7 BitdefenderGZMalwareName=EICAR act=blocked filePath=C:\\x.com suser=an",
        ),
        None,
        &[("event.category", "malware"), ("rule.name", "EICAR"), ("event.type", "info,denied")],
    );
    check(
        &line("KasperskyLab|SecurityCenter|13.2|x|Virus definitions update found|4", "dhost=may-7"),
        None,
        &[("event.category", "(absent)")],
    );
    check(
        &line("Trend Micro|Deep Security Manager|20|600|User Signed In|3", "src=203.0.113.9 suser=an"),
        None,
        &[("event.category", "authentication"), ("event.outcome", "success"), ("source.ip", "203.0.113.9")],
    );
}
