//! Bytes to event: nanoseconds a record by format, one thread.

use nhatle_collector::listen::file::files_below;
use nhatle_collector::parse::evtx::{Decoder, EvtxReader};
use nhatle_collector::{Settings, to_event};
use nhatle_event::{Record, Text, Timestamp};

use crate::{input, measure};

pub fn run() {
    let day = input::day();
    let holds = |record: &Record, text: &str| String::from_utf8_lossy(&record.bytes).contains(text);
    let of = |test: &dyn Fn(&Record) -> bool| -> Vec<Record> { day.iter().filter(|one| test(one)).cloned().collect() };
    let is_json = |record: &Record| record.bytes.starts_with(b"{");
    let line = |bytes: &str, profile: Option<&str>| {
        let mut record = Record::new(bytes.as_bytes(), "bench", Timestamp(0));
        record.profile = profile.map(Text::from);
        vec![record]
    };
    let groups = [
        ("whole day, mixed", day.clone()),
        ("sshd in RFC 5424", of(&|one| !is_json(one) && holds(one, " sshd "))),
        (
            "sshd in RFC 3164",
            line(
                "<86>Nov 23 08:01:02 web01 sshd[4711]: Failed password for root from 203.0.113.9 port 40022 ssh2",
                None,
            ),
        ),
        ("nginx in syslog", of(&|one| !is_json(one) && holds(one, "nginx"))),
        ("auditd in syslog", of(&|one| !is_json(one) && holds(one, "audit("))),
        ("Windows agent JSON", of(&is_json)),
        (
            "flat Sysmon JSON",
            line(
                r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"pc1","UtcTime":"2026-11-23 01:02:03.004","Image":"C:\\Windows\\System32\\cmd.exe","CommandLine":"cmd /c whoami","ParentImage":"C:\\Windows\\explorer.exe","User":"CITY\\an","ProcessId":4242}"#,
                None,
            ),
        ),
        (
            "CEF",
            line(
                r"<134>Nov 23 09:10:00 waf-01 CEF:0|Acme|Guard|2.1|501|Injection attempt|8|rt=1795399800000 act=blocked src=203.0.113.45 spt=40000 dst=192.0.2.20 dpt=443 proto=TCP request=https://portal.example/a requestMethod=GET cs1Label=Policy cs1=Public sites msg=select a\=b from t",
                Some("cef"),
            ),
        ),
        (
            "PAN-OS traffic",
            line(
                "<14>Nov 23 09:10:02 PA-440 1,2026/11/23 09:10:01,012801000001,TRAFFIC,end,2561,2026/11/23 09:10:00,203.0.113.45,192.0.2.20,203.0.113.45,10.45.0.20,Inbound web,,,web-browsing,vsys1,untrust,dmz,ethernet1/1,ethernet1/2,siem,2026/11/23 09:10:01,4711,1,40000,443,0,8443,0x400000,tcp,allow,1500,500,1000,12,2026/11/23 09:09:58,2,any,,7,0x0,Viet Nam,10.0.0.0-10.255.255.255,,5,7,tcp-fin,0,0,0,0,,PA-440,from-policy",
                Some("paloalto"),
            ),
        ),
        (
            "generic JSON",
            line(
                r#"{"time":"2026-11-23T01:02:03Z","level":"info","app":"portal","user":"an","ip":"192.0.2.7","ms":12,"path":"/a/b"}"#,
                Some("json"),
            ),
        ),
    ];
    for (name, records) in groups.iter().filter(|(_, records)| !records.is_empty()) {
        let rounds = (40_000 / records.len()).max(1);
        let factor = 1e9 / (rounds * records.len()) as f64;
        measure("parse", name, "ns/record", factor, 5, || {
            let settings = Settings::default();
            (0..rounds).flat_map(|_| records).filter(|record| to_event(record, &settings).is_ok()).count()
        });
    }
    evtx();
}

/// The corpus's EVTX files, read before; one decoder for all, as `nhatle detect` has one a thread.
fn evtx() {
    let Some(corpus) = input::corpus() else { return };
    let paths = files_below(&[corpus.join("evtx")]).unwrap_or_default();
    let is_evtx = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "evtx");
    let files: Vec<Vec<u8>> = paths.into_iter().filter(is_evtx).filter_map(|path| std::fs::read(path).ok()).collect();
    let template = Record::new(&b""[..], "bench", Timestamp(0));
    let mut decoder = Decoder::default();
    let mut decode = |rounds: usize| {
        let mut count = 0;
        for bytes in (0..rounds).flat_map(|_| &files) {
            let mut reader = EvtxReader::new(&bytes[..], &template);
            while let Some(chunk) = reader.read_chunk() {
                let mut decoded = Vec::new();
                decoder.decode(chunk, &template, &mut decoded);
                count += decoded.len();
            }
        }
        count
    };
    let (count, rounds) = (decode(1).max(1), 20);
    let factor = 1e9 / (count * rounds) as f64;
    measure("parse", "EVTX", "ns/record", factor, 5, || decode(rounds));
}
