//! Names told once beside names told every time: the same event, field by field and in the same order.

use nhatle_event::json::flatten;
use nhatle_event::{Record, Timestamp};
use proptest::prelude::*;

use super::{from_leaves, json_plain};

#[track_caller]
fn check(text: &str) {
    let leaves = flatten(text.as_bytes()).expect("is JSON");
    let record = Record::new(text.as_bytes(), "test", Timestamp(0));
    let expected = json_plain::from_leaves(leaves.clone(), &record);
    // Twice, so that names are told once and then found; debug text, so that doubles that are no number are equal.
    for _ in 0..2 {
        let found = from_leaves(leaves.clone(), &record);
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{text}");
    }
}

/// Names that make a document of a form, and that mean something in it.
const NAMES: &[&str] = &[
    "EventID",
    "EventId",
    "System_EventID",
    "Channel",
    "System_Channel",
    "Provider_Name",
    "SourceName",
    "Provider",
    "ProviderName",
    "Computer",
    "ComputerName",
    "Hostname",
    "EventRecordID",
    "Level",
    "System_Level",
    "Keywords",
    "Task",
    "Opcode",
    "OpcodeValue",
    "Version",
    "Message",
    "message",
    "@timestamp",
    "timestamp",
    "UtcTimeCreated",
    "SystemTime",
    "TimeCreated",
    "EventTime",
    "time",
    "date",
    "UtcTime",
    "ProcessID",
    "ThreadID",
    "Category",
    "SourceModuleName",
    "SourceModuleType",
    "EventReceivedTime",
    "Severity",
    "host",
    "tags",
    "@version",
    "UserID",
    "Security_UserID",
    "EventData.Image",
    "UserData.Image",
    "EventData.",
    "Image",
    "CommandLine",
    "Hashes",
    "User",
    "TargetObject",
    "Details",
    "QueryResults",
    "Data",
    "param1",
    "ContextInfo",
    "ObjectName",
    "ObjectType",
    "TargetUserName",
    "SubjectUserName",
    "IpAddress",
    "IpPort",
    "LogonType",
    "Status",
    "host.name",
    "user.name",
    "source.ip",
    "event.code",
    "event.module",
    "event.kind",
    "nhatle.unit",
    "nhatle.x",
    "labels.a",
    "",
    "a",
    "a.b",
    "winlog.event_id",
    "winlog.channel",
    "winlog.provider_name",
    "winlog.task",
    "winlog.level",
    "winlog.keywords",
    "winlog.event_data.Image",
    "winlog.event_data.param1",
    "winlog.event_data.param2",
    "winlog.event_data.Data",
    "winlog.user_data.A",
    "winlog.x",
    "winlog.version",
    "Event.System.EventID",
    "Event.System.EventID.#text",
    "Event.System.EventID.#attributes.Qualifiers",
    "Event.System.Provider.#attributes.Name",
    "Event.System.Provider.@Name",
    "Event.System.Provider_attributes.Name",
    "Event.System.Channel",
    "Event.System.Computer",
    "Event.System.Level",
    "Event.System.TimeCreated.#attributes.SystemTime",
    "Event.System.Keywords",
    "Event.System.Security",
    "Event.System.X",
    "Event.#attributes.xmlns",
    "Event.EventData.Image",
    "Event.EventData.Data",
    "Event.EventData.Data.#text",
    "Event.EventData.Data.@Name",
    "Event.EventData.Data.#attributes.Name",
    "Event.EventData.#attributes.Name",
    "Event.EventData",
    "Event.UserData.A.B",
    "Event.UserData.A.#attributes.xmlns",
    "Event.UserData.A.B.#attributes.C",
    "Event.UserData.A_attributes.D",
    "Event.UserData.A.@E",
    "Event.UserData.A",
    "Event.ProcessingErrorData.A.B",
    "Event.RenderingInfo.Message",
    "Event.RenderingInfo.Level",
    "Event.RenderingInfo.Task",
    "Event.X",
];
const VALUES: &[&str] = &[
    "1",
    "4624",
    "4688",
    "13",
    "22",
    "800",
    "\"1\"",
    "\"\"",
    "\"-\"",
    "null",
    "true",
    "1.5",
    "[]",
    "[1,\"b\"]",
    "\"Security\"",
    "\"System\"",
    "\"Microsoft-Windows-Sysmon/Operational\"",
    "\"Microsoft-Windows-Security-Auditing\"",
    "\"Windows PowerShell\"",
    "\"Custom-Log/Debug\"",
    "\"2026-02-03T04:05:06.5Z\"",
    "\"2026-02-03 04:05:06\"",
    "1770091506",
    "1770091506000",
    "\"0x8020000000000000\"",
    "\"Audit Failure\"",
    "\"C:\\\\Windows\\\\System32\\\\cmd.exe\"",
    "\"DEMO\\\\an\"",
    "\"192.0.2.7\"",
    "\"::ffff:192.0.2.7\"",
    "\"MD5=AB,SHA256=CD,IMPHASH=00\"",
    "\"HKLM\\\\Software\\\\x\"",
    "\"DWORD (0x00000001)\"",
    "\"type:  5 alias.example;::ffff:192.0.2.1;\"",
    "\"HostName=ConsoleHost\\nUserId=DEMO\\\\an\"",
    "\"File\"",
    "\"x\"",
    "\"0x3e7\"",
    "\"a text of more than twenty-four bytes\"",
    "[\"Image\",\"User\"]",
    "-1",
];

fn document() -> impl Strategy<Value = String> {
    let member = (proptest::sample::select(NAMES), proptest::sample::select(VALUES));
    let front = proptest::sample::select(
        &[
            "",
            "\"EventID\":1,\"Channel\":\"Microsoft-Windows-Sysmon/Operational\",",
            "\"EventID\":4624,\"Channel\":\"Security\",",
            "\"winlog.event_id\":4688,\"winlog.channel\":\"Security\",",
            "\"Event.System.EventID\":13,\"Event.System.Channel\":\"Microsoft-Windows-Sysmon/Operational\",",
        ][..],
    );
    (front, proptest::collection::vec(member, 1..24)).prop_map(|(front, members)| {
        let members: Vec<_> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{front}{}}}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_name_told_once_means_what_it_means_told_every_time(text in document()) {
        check(&text);
    }
}

#[test]
fn many_names_and_long_ones_mean_the_same() {
    for round in 0..3 {
        let members: Vec<_> = (0..1_500).map(|at| format!("\"N{round}.{at}\":{at}")).collect();
        check(&format!("{{\"EventID\":1,\"Channel\":\"Security\",{}}}", members.join(",")));
        let long = "n".repeat(300_000);
        check(&format!("{{\"EventID\":1,\"Channel\":\"Security\",\"{long}\":1,\"Image\":\"x\"}}"));
    }
}
