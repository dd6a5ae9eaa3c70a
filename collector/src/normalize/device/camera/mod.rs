//! Cameras and recorders: Hikvision's ISAPI `EventNotificationAlert` (XML, or the same as JSON), Dahua's event lines
//! `Code=…;action=…;index=…;data={…}`.
//!
//! In: one alert. Out: the event; what happened as `event.action`, who signed in and from where, the channel under
//! `hikvision.*` or `dahua.*` with all other values. Failure: XML or `data` that does not hold together. What else such a
//! device writes to syslog is documented by neither maker: it keeps its message. Source: Hikvision, "ISAPI Developer
//! Guide", Event notification; Dahua, "HTTP API", eventManager `attach`.

use nhatle_event::json::Leaves;
use nhatle_event::{Event, Field, Text, Value};

use super::{Act, Row, act, observer, set_pairs, set_text, stamp};
use crate::normalize::Context;
use crate::parse::{self, Fault, Syslog};

mod xml;

/// Events of both makers in lower case, and what they mean.
const MEANINGS: &[(&str, Act)] = &[
    ("illaccess", REFUSED),
    ("illegalaccess", REFUSED),
    ("loginfailure", REFUSED),
    ("loginfailed", REFUSED),
    ("login", Act("authentication", &["start"], "success")),
    ("logout", Act("authentication", &["end"], "success")),
    ("videoloss", TROUBLE),
    ("videoblind", TROUBLE),
    ("videoabnormaldetection", TROUBLE),
    ("shelteralarm", TROUBLE),
    ("tamperdetection", TROUBLE),
    ("scenechangedetection", TROUBLE),
    ("defocus", TROUBLE),
    ("videounfocus", TROUBLE),
    ("diskfull", TROUBLE),
    ("diskerror", TROUBLE),
    ("hdfull", TROUBLE),
    ("hderror", TROUBLE),
    ("storagefailure", TROUBLE),
    ("storagenotexist", TROUBLE),
    ("storagelowspace", TROUBLE),
    ("nicbroken", TROUBLE),
    ("netabort", TROUBLE),
    ("ipconflict", TROUBLE),
    ("ipaddrconflict", TROUBLE),
    ("macconflict", TROUBLE),
    ("badvideo", TROUBLE),
    ("diskunformat", TROUBLE),
    ("spareexception", TROUBLE),
    ("poepowerexception", TROUBLE),
    ("raidexception", TROUBLE),
    ("recordexception", TROUBLE),
    ("recordingfailure", TROUBLE),
    ("ipcdisconnect", TROUBLE),
    ("reboot", Act("host", &["start"], "")),
    ("upgrade", Act("configuration", &["change"], "")),
    ("timechange", Act("configuration", &["change"], "")),
    ("accesscontrollerevent", Act("authentication", &["info"], "")),
];

const REFUSED: Act = Act("authentication", &["start"], "failure");
const TROUBLE: Act = Act("host", &["error"], "");
const SEEN: Act = Act("host", &["info"], "");

const HIKVISION: &[Row] = &[
    ("eventDescription", Field::MESSAGE),
    ("userName", Field::USER_NAME),
    ("netUser", Field::USER_NAME),
    ("remoteHostAddr", Field::SOURCE_IP),
    ("remoteIpAddress", Field::SOURCE_IP),
    ("clientIPAddress", Field::SOURCE_IP),
    ("deviceSerialNo", Field::OBSERVER_SERIAL_NUMBER),
    ("AccessControllerEvent.netUser", Field::USER_NAME),
    // Who stood at a door.
    ("AccessControllerEvent.employeeNoString", Field::USER_ID),
    ("AccessControllerEvent.remoteHostAddr", Field::SOURCE_IP),
    ("AccessControllerEvent.deviceName", Field::OBSERVER_NAME),
    ("AccessControllerEvent.serialNo", Field::EVENT_ID),
];

const DAHUA: &[Row] = &[
    ("data.Address", Field::SOURCE_IP),
    ("data.IP", Field::SOURCE_IP),
    ("data.Ip", Field::SOURCE_IP),
    ("data.Name", Field::USER_NAME),
    ("data.User", Field::USER_NAME),
    ("data.UserName", Field::USER_NAME),
    ("data.Error", Field::EVENT_REASON),
];

/// Whether text is Hikvision's XML.
pub fn is_alert_xml(text: &str) -> bool {
    let front = text.as_bytes().get(..text.len().min(256)).unwrap_or_default();
    let is_markup = matches!(text.as_bytes(), [b'<', b'?' | b'A'..=b'Z' | b'a'..=b'z', ..]);
    is_markup && memchr::memmem::find(front, b"<EventNotificationAlert").is_some()
}

/// Whether a message is Dahua's event line.
pub fn is_dahua(message: &str) -> bool {
    message.strip_prefix("Code=").and_then(|rest| rest.split_once(';')).is_some_and(|(code, rest)| {
        rest.starts_with("action=")
            && code.len() <= 64
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// Whether leaves are Hikvision's alert as JSON.
pub fn is_alert(leaves: &Leaves) -> bool {
    let has = |name: &str| leaves.iter().any(|(known, _)| known == name);
    has("eventType") && has("dateTime") && has("eventState") && (has("ipAddress") || has("ipv6Address"))
}

/// The event of a Hikvision message: XML, JSON, or words.
///
/// # Errors
/// XML does not hold together.
pub fn hikvision(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Result<Event, Fault> {
    if is_alert_xml(message) {
        let leaves = xml::leaves(message)?;
        return Ok(of_pairs(leaves.iter().map(|(name, value)| (name.as_str(), value.as_str())), parts, context));
    }
    if message.starts_with('{')
        && let Ok(leaves) = parse::json::parse(message)
    {
        return Ok(of_leaves(&leaves, parts, context));
    }
    let mut event = context.event(parts.timestamp, "hikvision", "hikvision.log");
    observer(&mut event, "Hikvision", "ISAPI", "camera");
    event.set(Field::MESSAGE, Text::from(message));
    Ok(event)
}

/// The event of an alert as JSON.
pub fn of_leaves(leaves: &Leaves, parts: &Syslog<'_>, context: &Context<'_>) -> Event {
    let pairs: Vec<(&str, String)> = leaves
        .iter()
        .filter(|(_, value)| *value != Value::Null)
        .map(|(name, value)| {
            (
                name.strip_prefix("EventNotificationAlert.").unwrap_or(name),
                value.as_text().unwrap_or_default().into_owned(),
            )
        })
        .collect();
    of_pairs(pairs.iter().map(|(name, value)| (*name, value.as_str())), parts, context)
}

fn of_pairs<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    parts: &Syslog<'_>,
    context: &Context<'_>,
) -> Event {
    let told = |name: &str| pairs.clone().find(|(known, _)| *known == name).map(|(_, value)| value.trim());
    let at = told("dateTime").and_then(|text| stamp::moment(text, context));
    let mut event = context.event(at.or(parts.timestamp), "hikvision", "hikvision.alert");
    observer(&mut event, "Hikvision", "ISAPI", "camera");
    set_pairs(&mut event, "hikvision.", HIKVISION, pairs.clone());
    for (name, named) in [("ipAddress", "observer.ip"), ("macAddress", "observer.mac")] {
        if let Some(value) = told(name) {
            event.set_named(named, Text::from(value));
        }
    }
    let channel = told("channelID").or_else(|| told("dynChannelID")).and_then(|text| text.parse::<i64>().ok());
    if let Some(channel) = channel {
        event.set_named("hikvision.channel", Value::Long(channel));
    }
    let name = told("deviceName").or_else(|| told("ipAddress")).unwrap_or_default();
    set_text(&mut event, Field::OBSERVER_NAME, name);
    set_text(&mut event, Field::HOST_NAME, name);
    happened(&mut event, told("eventType").unwrap_or_default());
    event
}

/// The event of a Dahua message: an event line, or words.
///
/// # Errors
/// `data` is no JSON.
pub fn dahua(message: &str, parts: &Syslog<'_>, context: &Context<'_>) -> Result<Event, Fault> {
    if !is_dahua(message) {
        let mut event = context.event(parts.timestamp, "dahua", "dahua.log");
        observer(&mut event, "Dahua", "HTTP API", "camera");
        event.set(Field::MESSAGE, Text::from(message));
        return Ok(event);
    }
    let (line, data) = message.split_once(";data=").unwrap_or((message, ""));
    let mut leaves = Leaves::default();
    if !data.trim().is_empty() {
        let at = message.len() - data.len();
        leaves = parse::json::parse(data.trim())
            .map_err(|fault| Fault::new("dahua: data is no JSON", (fault.offset + at).min(message.len())))?;
    }
    let told = |name: &str| leaves.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let at = told("UTC").and_then(|value| parse::json::moment(value, 0));
    let at = at.or_else(|| stamp::moment(&told("LocaleTime")?.as_text()?, context));
    let mut event = context.event(at.or(parts.timestamp), "dahua", "dahua.event");
    observer(&mut event, "Dahua", "HTTP API", "camera");
    let head = line.split(';').take(8).filter_map(|pair| pair.split_once('='));
    for (key, value) in head {
        match key {
            "Code" => happened(&mut event, value.trim()),
            "action" => event.set_named("dahua.state", Text::from(value.trim())),
            "index" => {
                if let Ok(index) = value.trim().parse::<i64>() {
                    event.set_named("dahua.index", Value::Long(index));
                }
            }
            _ => {}
        }
    }
    let values: Vec<(String, String)> = leaves
        .iter()
        .map(|(name, value)| (format!("data.{name}"), value.as_text().unwrap_or_default().into_owned()))
        .collect();
    set_pairs(&mut event, "dahua.", DAHUA, values.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Ok(event)
}

fn happened(event: &mut Event, name: &str) {
    if name.is_empty() {
        return;
    }
    event.set(Field::EVENT_ACTION, Text::from(name));
    let lower = name.to_ascii_lowercase();
    let known = MEANINGS.iter().find(|(known, _)| *known == lower).map(|(_, meaning)| *meaning);
    act(event, known.unwrap_or(SEEN));
}

#[cfg(test)]
mod tests {
    use super::super::{check, check_dead};
    use crate::profile::Profile;

    #[test]
    fn an_alert_of_hikvision_as_xml_and_as_json() {
        let told = [
            ("event.dataset", "hikvision.alert"),
            ("event.action", "illaccess"),
            ("event.outcome", "failure"),
            ("observer.ip", "192.0.2.64"),
            ("hikvision.channel", "2"),
            ("hikvision.channelName", "Cổng <chính>"),
            ("hikvision.eventState", "active"),
            ("host.name", "192.0.2.64"),
        ];
        let xml = "<EventNotificationAlert version=\"2.0\" xmlns=\"x\">\n<ipAddress>192.0.2.64</ipAddress><channelID>2</channelID><dateTime>2026-11-23T09:10:00+07:00</dateTime><eventType>illaccess</eventType><eventState>active</eventState><channelName>Cổng &lt;chính&gt;</channelName></EventNotificationAlert>";
        check(xml, Some(Profile::Hikvision), &told);
        check(xml, None, &told);
        check(&format!("<?xml version=\"1.0\"?>\n{xml}"), None, &told);
        check(&format!("<134>Nov 23 09:10:00 nvr isapi: {xml}"), Some(Profile::Hikvision), &told[..7]);
        let json = r#"{"ipAddress":"192.0.2.64","channelID":2,"dateTime":"2026-11-23T09:10:00+07:00","eventType":"illaccess","eventState":"active","channelName":"Cổng <chính>"}"#;
        check(json, Some(Profile::Hikvision), &told);
        check(json, None, &told);
        let wrapped = format!(r#"{{"message":{}}}"#, serde_json::Value::from(xml));
        check(&wrapped, Some(Profile::Hikvision), &told);
    }

    #[test]
    fn xml_that_does_not_hold_together_is_a_dead_letter() {
        check_dead(
            "<EventNotificationAlert><a>1</b>",
            Profile::Hikvision,
            "hikvision xml: an end tag without its start",
            28,
        );
        check_dead("<EventNotificationAlert><a>1", Profile::Hikvision, "hikvision xml: ends inside an element", 28);
        check_dead(
            "<?xml version=\"1.0\"?><!DOCTYPE x><EventNotificationAlert/>",
            Profile::Hikvision,
            "hikvision xml: document types are not taken",
            21,
        );
    }

    #[test]
    fn event_lines_of_dahua() {
        let line = r#"Code=LoginFailure;action=Pulse;index=0;data={"Address":"203.0.113.9","Error":"InvalidPassword;index=7","Name":"admin","UTC":1795399800}"#;
        let told = [
            ("event.dataset", "dahua.event"),
            ("event.action", "LoginFailure"),
            ("event.outcome", "failure"),
            ("source.ip", "203.0.113.9"),
            ("user.name", "admin"),
            ("dahua.index", "0"),
            ("dahua.state", "Pulse"),
            ("dahua.data.Error", "InvalidPassword;index=7"),
        ];
        check(line, Some(Profile::Dahua), &told);
        check(line, None, &told);
        check_dead("Code=A;action=Pulse;index=0;data={\"a\":", Profile::Dahua, "dahua: data is no JSON", 37);
        check("something else", Some(Profile::Dahua), &[("message", "something else"), ("event.action", "(absent)")]);
    }

    #[test]
    fn who_stood_at_a_door_and_what_broke() {
        let line = |kind: &str, more: &str| {
            format!(
                r#"{{"ipAddress":"192.0.2.64","dateTime":"2026-11-23T09:10:00+07:00","eventType":"{kind}","eventState":"active"{more}}}"#
            )
        };
        check(
            &line(
                "AccessControllerEvent",
                r#","AccessControllerEvent":{"deviceName":"cua-1","majorEventType":5,"subEventType":75,"employeeNoString":"1007"}"#,
            ),
            Some(Profile::Hikvision),
            &[("user.id", "1007"), ("event.category", "authentication")],
        );
        check(&line("spareException", ""), Some(Profile::Hikvision), &[("event.type", "error")]);
    }
}
