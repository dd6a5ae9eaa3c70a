//! Endpoint protection by its server: Symantec Endpoint Protection Manager, Trellix (McAfee) ePO.
//!
//! In: `ws-1,Category: 2,Symantec AntiVirus,Virus found,IP Address: …,Risk name: …`; ePO's event as XML. Out: what was found in which file on whose
//! machine, what was done; attacks; administrators' sign-ins. Failure: none. Source: Broadcom, "External logging settings and log event severity
//! levels"; Trellix, "ePO: syslog forwarding of events".

use std::borrow::Cow;

use nhatle_event::{Event, Field, Text};

use super::{
    Act, LOGIN, LOGOUT, REFUSED, Row, Said, act, mean, observer, said, set_all, set_file_name, set_text, value,
};
use crate::normalize::Context;
use crate::normalize::device::{set_hash, stamp};
use crate::parse::Syslog;

const SYMANTEC: &[Row] = &[
    ("IP Address", Field::HOST_IP),
    ("Computer name", Field::HOST_NAME),
    ("Computer", Field::HOST_NAME),
    ("Host Name", Field::HOST_NAME),
    ("Risk name", Field::RULE_NAME),
    ("File path", Field::FILE_PATH),
    ("Actual action", Field::EVENT_ACTION),
    ("User Name", Field::USER_NAME),
    ("User", Field::USER_NAME),
    ("Admin", Field::USER_NAME),
    ("Application", Field::PROCESS_EXECUTABLE),
    ("Local Host IP", Field::SOURCE_IP),
    ("Remote Host IP", Field::DESTINATION_IP),
    ("Intrusion URL", Field::URL_ORIGINAL),
    ("Rule", Field::RULE_NAME),
];

const FOUND: Act = Act("malware", &["info"], "");

const SAID: Said = &[
    (&["administrator log on failed"], "login-failed", REFUSED),
    (&["administrator log on succeeded"], "logged-in", LOGIN),
    (&["administrator log off"], "logged-out", LOGOUT),
    (&["virus found"], "", FOUND),
    (&["security risk found"], "", FOUND),
    (&["sonar detection"], "", FOUND),
    (&["traffic has been blocked"], "attack-blocked", Act("intrusion_detection", &["info", "denied"], "")),
    (&["attack detected"], "attack-detected", Act("intrusion_detection", &["info"], "")),
    (&["intrusion detected"], "attack-detected", Act("intrusion_detection", &["info"], "")),
];

/// How many values one record may have.
const PAIRS_MAX: usize = 128;

/// The event of Symantec's server.
pub(super) fn symantec(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let mut event = context.event(parts.timestamp, "symantec_endpoint", "symantec_endpoint.log");
    observer(&mut event, "Symantec", "Endpoint Protection", "endpoint-protection");
    let pieces = message.split(',').take(PAIRS_MAX);
    let pairs: Vec<(&str, Cow<'_, str>)> = pieces
        .filter_map(|piece| piece.split_once(": ").map(|(key, value)| (key.trim(), Cow::Borrowed(value.trim()))))
        .collect();
    set_all(&mut event, "symantec_endpoint.log.", SYMANTEC, &pairs);
    set_file_name(&mut event);
    if let Some(hash) = value(&pairs, "Application hash") {
        set_hash(&mut event, &hash.to_ascii_lowercase());
    }
    // Only words that stand before the first name of a file or a person are the server's own.
    let told = message.split(",IP Address: ").next().unwrap_or_default();
    let told = told.split(",Local: ").next().unwrap_or_default();
    match said(SAID, told) {
        Some(known) => {
            mean(&mut event, known);
            if matches!(known.1.0, "malware" | "intrusion_detection") {
                event.set(Field::EVENT_KIND, "alert");
            }
        }
        None => act(&mut event, Act("host", &["info"], "")),
    }
    event
}

/// What an event of ePO calls a value, its field; the last that is told counts.
const EPO: &[Row] = &[
    ("MachineName", Field::HOST_NAME),
    ("IPAddress", Field::HOST_IP),
    ("AgentGUID", Field::HOST_ID),
    ("UserName", Field::USER_NAME),
    ("TargetUserName", Field::USER_NAME),
    ("EventID", Field::EVENT_CODE),
    ("ThreatEventID", Field::EVENT_CODE),
    ("ThreatName", Field::RULE_NAME),
    ("ThreatCategory", Field::RULE_CATEGORY),
    ("ThreatActionTaken", Field::EVENT_ACTION),
    ("SourceProcessName", Field::PROCESS_EXECUTABLE),
    ("SourceIPV4", Field::SOURCE_IP),
    ("SourcePort", Field::SOURCE_PORT),
    ("TargetIPV4", Field::DESTINATION_IP),
    ("TargetPort", Field::DESTINATION_PORT),
    ("TargetFileName", Field::FILE_PATH),
    ("ProductVersion", Field::OBSERVER_VERSION),
    ("SourceURL", Field::URL_ORIGINAL),
];

/// What stands in the first element of a name.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let open = text.find(&format!("<{name}>"))? + name.len() + 2;
    let inside = text.get(open..)?;
    let value = inside.get(..inside.find('<')?)?.trim();
    (!value.is_empty()).then_some(value)
}

/// The event of ePO's server.
pub(super) fn epo(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let told = ["DetectedUTC", "GMTTime"].iter().find_map(|name| element(message, name));
    let stamp = told.and_then(|text| stamp::moment_in(text, context, 0)).or(parts.timestamp);
    let mut event = context.event(stamp, "trellix_epo", "trellix_epo_cloud.event");
    observer(&mut event, "Trellix", "ePO", "endpoint-protection");
    for (name, field) in EPO {
        if let Some(text) = element(message, name).filter(|text| *text != "_") {
            let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            set_text(&mut event, *field, &text);
            event.set_named(&format!("trellix.epo.{name}"), Text::from(text.as_str()));
        }
    }
    let account = event.text(Field::USER_NAME).and_then(|text| text.split_once('\\'));
    if let Some((domain, name)) = account.map(|(domain, name)| (Text::from(domain), Text::from(name))) {
        event.set(Field::USER_NAME, name);
        event.set(Field::USER_DOMAIN, domain);
    }
    if let Some(hash) = element(message, "TargetHash") {
        set_hash(&mut event, &hash.to_ascii_lowercase());
    }
    set_file_name(&mut event);
    let category = element(message, "ThreatCategory").unwrap_or_default();
    let kind = match category.split('.').next().unwrap_or_default() {
        "av" => "malware",
        "ops" | "" => "",
        _ => "intrusion_detection",
    };
    // `ops.update`, and events of a product without a threat.
    if kind.is_empty() || category.starts_with("av.pup.none") {
        act(&mut event, Act("host", &["info"], ""));
    } else {
        event.set(Field::EVENT_KIND, "alert");
        act(&mut event, Act(kind, &["info"], ""));
        let taken = element(message, "ThreatActionTaken").unwrap_or_default().to_ascii_lowercase();
        if ["deny", "blocked", "act_tak_del", "deleted", "quarantine"].iter().any(|word| taken.contains(word)) {
            event.add(Field::EVENT_TYPE, "denied");
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::super::super::check;

    #[test]
    fn what_a_server_says_of_its_machines() {
        check(
            r"<54>Nov 23 02:10:00 sepm-01 SymantecServer: may-7,Category: 2,Symantec AntiVirus,Virus found,IP Address: 10.45.0.9,Computer name: may-7,Source: Auto-Protect scan,Risk name: EICAR Test String,Occurrences: 1,File path: C:\tam\eicar.com,Actual action: Cleaned by deletion,User Name: lan",
            None,
            &[
                ("event.category", "malware"),
                ("event.kind", "alert"),
                ("rule.name", "EICAR Test String"),
                ("file.path", r"C:\tam\eicar.com"),
                ("file.name", "eicar.com"),
                ("host.name", "may-7"),
                ("host.ip", "10.45.0.9"),
                ("user.name", "lan"),
            ],
        );
        check(
            "<54>Nov 23 02:10:00 sepm-01 SymantecServer: Site: S,Server: sepm-01,Domain: Default,Admin: lan,Administrator log on failed",
            None,
            &[("event.category", "authentication"), ("event.outcome", "failure"), ("user.name", "lan")],
        );
        check(
            r#"<29>1 2026-11-23T02:10:05.0Z epo-01 EPOEvents - EventFwd [agentInfo@3401 tenantId="1"] <?xml version="1.0"?><EPOevent><MachineInfo><MachineName>MAY-7</MachineName><IPAddress>10.45.0.9</IPAddress><UserName>lan</UserName></MachineInfo><SoftwareInfo ProductName="ENS"><Event><EventID>1278</EventID><GMTTime>2026-11-23T02:10:00</GMTTime><CommonFields><ThreatCategory>av.detect</ThreatCategory><ThreatName>EICAR test file</ThreatName><ThreatActionTaken>IDS_ALERT_ACT_TAK_DEL</ThreatActionTaken><TargetFileName>C:\tam\eicar.com</TargetFileName><TargetUserName>HUE\lan</TargetUserName></CommonFields></Event></SoftwareInfo></EPOevent>"#,
            None,
            &[
                ("event.category", "malware"),
                ("event.type", "info,denied"),
                ("rule.name", "EICAR test file"),
                ("user.name", "lan"),
                ("user.domain", "HUE"),
                ("host.name", "MAY-7"),
                ("file.name", "eicar.com"),
            ],
        );
    }
}
