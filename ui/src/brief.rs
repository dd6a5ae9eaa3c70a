//! What an event is about, in one line of a table. In: an event. Out: its message, where that is not the whole record; else what
//! was run, or asked of a web server; else, of a record that is JSON, XML or pairs, its code, action, ends and own fields; else
//! its bytes as received. Plain text, not cut and not made harmless: whoever shows it does ([`crate::render::short`]).

use nhatle_event::{Event, Field};

/// Parts enough: a line is cut behind some 240 characters.
const PARTS_MAX: usize = 8;
/// Fields that say where an event belongs, and so nothing that the other cells of its line do not say.
const ELSEWHERE: [&str; 13] = [
    "agent.",
    "cloud.",
    "ecs.",
    "event.",
    "host.",
    "input.",
    "labels.",
    "log.",
    "message",
    "nhatle.",
    "observer.",
    "related.",
    "tags",
];
/// What Windows says beside each event, whatever it is about.
const WINDOWS: [&str; 13] = [
    "winlog.channel",
    "winlog.provider",
    "winlog.event_id",
    "winlog.computer",
    "winlog.record",
    "winlog.level",
    "winlog.task",
    "winlog.opcode",
    "winlog.keywords",
    "winlog.version",
    "winlog.process.",
    "winlog.api",
    "winlog.activity",
];

/// See the module.
pub(crate) fn of(event: &Event) -> String {
    let message = event.text(Field::MESSAGE).filter(|text| !text.is_empty());
    // A message that is the whole record says no more than its bytes do.
    let is_own = message.is_some_and(|text| text.as_bytes() != event.original.trim_ascii());
    let own = || message.filter(|_| is_own).map(str::to_owned);
    let told = own().or_else(|| text(event, Field::PROCESS_COMMAND_LINE)).or_else(|| request(event));
    told.or_else(|| structured(event)).unwrap_or_else(|| String::from_utf8_lossy(&event.original).into_owned())
}

/// The first value of a field as text.
fn text(event: &Event, field: Field) -> Option<String> {
    event.get(field)?.each().next()?.as_text().map(String::from).filter(|text| !text.is_empty())
}

/// `GET /trang 404 ← 192.0.2.7 · Mozilla/5.0`.
fn request(event: &Event) -> Option<String> {
    let mut line = text(event, Field::HTTP_REQUEST_METHOD)?;
    let what = text(event, Field::URL_ORIGINAL).or_else(|| text(event, Field::URL_PATH))?;
    line.push(' ');
    line.push_str(&what);
    for (before, field) in
        [(" ", Field::HTTP_RESPONSE_STATUS_CODE), (" ← ", Field::SOURCE_IP), (" · ", Field::USER_AGENT_ORIGINAL)]
    {
        if let Some(value) = text(event, field) {
            line.push_str(before);
            line.push_str(&value);
        }
    }
    Some(line)
}

/// `4625 logged-in failure · 192.0.2.7:445 → 198.51.100.2 · winlog.event_data.LogonType=3`; `None` where the bytes read better.
fn structured(event: &Event) -> Option<String> {
    let front = event.original.trim_ascii_start();
    let is_pairs = || event.text(Field::EVENT_DATASET).is_some_and(|dataset| dataset.starts_with("fortinet."));
    if !front.starts_with(b"{") && !front.starts_with(b"<Event") && !front.starts_with(b"<?xml") && !is_pairs() {
        return None;
    }
    let head: Vec<String> = [Field::EVENT_CODE, Field::EVENT_ACTION, Field::EVENT_OUTCOME]
        .into_iter()
        .filter_map(|field| text(event, field))
        .collect();
    let mut parts = Vec::new();
    if !head.is_empty() {
        parts.push(head.join(" "));
    }
    let end = |address: Field, port: Field| {
        let address = text(event, address)?;
        Some(text(event, port).map_or_else(|| address.clone(), |port| format!("{address}:{port}")))
    };
    let ends = [end(Field::SOURCE_IP, Field::SOURCE_PORT), end(Field::DESTINATION_IP, Field::DESTINATION_PORT)];
    if let [Some(from), Some(to)] = ends {
        parts.push(format!("{from} → {to}"));
    }
    let has_ends = parts.iter().any(|part| part.contains(" → "));
    let is_said = |name: &str| {
        ELSEWHERE.iter().chain(&WINDOWS).any(|front| name.starts_with(front))
            || has_ends && (name.starts_with("source.") || name.starts_with("destination."))
    };
    for (field, value) in event.fields().iter().filter(|(field, _)| !is_said(field.name())) {
        let Some(value) = value.each().next().and_then(|value| value.as_text().map(String::from)) else { continue };
        if PARTS_MAX <= parts.len() {
            break;
        }
        // The names of what Windows passes on are long, and their ends say it.
        let name = field.name();
        parts.push(format!("{}={value}", name.strip_prefix("winlog.event_data.").unwrap_or(name)));
    }
    (!parts.is_empty()).then(|| parts.join(" · "))
}

#[cfg(test)]
mod tests {
    use nhatle_event::{Timestamp, Value};

    use super::*;

    fn event(original: &str, fields: &[(Field, Value)]) -> Event {
        let mut event = Event::new(Timestamp(0), original.as_bytes());
        for (field, value) in fields {
            event.set(*field, value.clone());
        }
        event
    }

    #[test]
    fn what_people_wrote_comes_first() {
        let command = (Field::PROCESS_COMMAND_LINE, Value::from("whoami /all"));
        assert_eq!(of(&event("{}", &[(Field::MESSAGE, "đã lưu".into()), command.clone()])), "đã lưu");
        assert_eq!(of(&event("{}", &[(Field::MESSAGE, "".into()), command])), "whoami /all");
        assert_eq!(of(&event("chỉ có dòng", &[(Field::EVENT_ACTION, "x".into())])), "chỉ có dòng");
        assert_eq!(of(&event("{\"a\":1}", &[])), "{\"a\":1}", "better than nothing");
    }

    #[test]
    fn a_request_is_told_as_a_server_does() {
        let fields = [
            (Field::HTTP_REQUEST_METHOD, Value::from("GET")),
            (Field::URL_ORIGINAL, "/trang?x=1".into()),
            (Field::HTTP_RESPONSE_STATUS_CODE, 404u16.into()),
            (Field::SOURCE_IP, Value::Ip([192, 0, 2, 7].into())),
        ];
        let line = "<190>1 - - - - - ...";
        assert_eq!(of(&event(line, &fields)), "GET /trang?x=1 404 ← 192.0.2.7");
        let whole = [&fields[..], &[(Field::MESSAGE, line.into())]].concat();
        assert_eq!(of(&event(line, &whole)), "GET /trang?x=1 404 ← 192.0.2.7", "a message that is the whole line");
    }

    #[test]
    fn a_record_of_fields_is_told_by_its_own() {
        let fields = [
            (Field::EVENT_CODE, Value::from("1116")),
            (Field::HOST_NAME, "may-01".into()),
            (Field::WINLOG_CHANNEL, "Defender".into()),
            (Field::USER_NAME, "lan".into()),
            (Field::lookup("winlog.event_data.ThreatName").unwrap_or(Field::RULE_NAME), "EICAR".into()),
        ];
        let told = of(&event("{\"winlog\":{}}", &fields));
        assert!(told.starts_with("1116 · ") && told.contains("user.name=lan") && told.contains("=EICAR"), "{told}");
        assert!(!told.contains("may-01") && !told.contains("Defender"), "{told}");
        let ends = [
            (Field::SOURCE_IP, Value::Ip([192, 0, 2, 7].into())),
            (Field::SOURCE_PORT, 445u16.into()),
            (Field::DESTINATION_IP, Value::Ip([198, 51, 100, 2].into())),
        ];
        assert_eq!(of(&event(" {}", &ends)), "192.0.2.7:445 → 198.51.100.2");
    }
}
