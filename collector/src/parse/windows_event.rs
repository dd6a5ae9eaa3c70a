//! One Windows event as XML text (`<Event xmlns=…>`), as Windows Event Forwarding and many agents send it.
//!
//! In: the text of one record. Out: an `Event`, the same one the binary form gives. Promise: no entity but XML's own
//! five and numeric ones, no DTD, bounded depth and count, no recursion, work in proportion to the text. Failure: a
//! `DeadLetter` with the byte where the text stops being such an event.
//! Source: XML 1.0 (fifth edition) sections 2 and 4.6; event schema of [MS-EVEN6] section 2.2.

use nhatle_event::{DeadLetter, Event, Record, Text, Value};

use crate::normalize::windows::{EVENT_DATA, Part, USER_DATA, WindowsEvent, to_event};

/// How deep elements may stand in each other.
const DEPTH_MAX: usize = 64;
/// How many values one event may have.
const VALUES_MAX: usize = 4096;
/// How many attributes one element may have.
const ATTRIBUTES_MAX: usize = 64;

/// Reads one event. `text` is the record's text; `record` says where it came from and holds the bytes.
///
/// # Errors
/// The text is no well-formed XML, has no `Event` with a `System`, or passes a bound.
pub fn from_xml(text: &str, record: &Record) -> Result<Event, DeadLetter> {
    let mut source = WindowsEvent::default();
    let read = Reader { text, at: 0, open: Vec::new(), values: 0, source: &mut source }.read();
    let checked = read.and_then(|()| match source.part(Part::EventId) {
        Value::Null => Err(("no EventID in System", 0)),
        _ => Ok(()),
    });
    match checked {
        Ok(()) => Ok(to_event(source, record.bytes.clone(), record.received, record)),
        Err((reason, offset)) => {
            Err(DeadLetter { record: record.clone(), reason: Text::from(format!("windows xml: {reason}")), offset })
        }
    }
}

type Fault = (&'static str, usize);

/// An element that has begun and not ended.
struct Open<'a> {
    name: &'a str,
    /// The value of its `Name` attribute.
    given: Option<Text>,
    text: Text,
    has_elements: bool,
}

struct Reader<'a, 'e> {
    text: &'a str,
    at: usize,
    open: Vec<Open<'a>>,
    values: usize,
    source: &'e mut WindowsEvent,
}

impl<'a> Reader<'a, '_> {
    fn read(&mut self) -> Result<(), Fault> {
        let mut has_event = false;
        loop {
            let rest = &self.text[self.at..];
            let until = rest.find('<').unwrap_or(rest.len());
            self.characters(&rest[..until])?;
            self.at += until;
            let rest = &rest[until..];
            if rest.is_empty() {
                break;
            }
            if rest.starts_with("<!--") {
                self.skip("-->")?;
            } else if let Some(inner) = rest.strip_prefix("<![CDATA[") {
                let end = inner.find("]]>").ok_or(("CDATA does not end", self.at))?;
                if let Some(open) = self.open.last_mut() {
                    open.text.push_str(&inner[..end]);
                }
                self.at += 9 + end + 3;
            } else if rest.starts_with("<!") {
                return Err(("document types are not taken", self.at));
            } else if rest.starts_with("<?") {
                self.skip("?>")?;
            } else if rest.starts_with("</") {
                self.end_tag()?;
            } else {
                if self.open.is_empty() && has_event {
                    return Err(("more than one element at the top", self.at));
                }
                has_event = true;
                self.start_tag()?;
            }
        }
        if !self.open.is_empty() {
            return Err(("ends inside an element", self.text.len()));
        }
        if has_event { Ok(()) } else { Err(("no element", 0)) }
    }

    fn skip(&mut self, end: &str) -> Result<(), Fault> {
        let found = self.text[self.at..].find(end).ok_or(("markup does not end", self.at))?;
        self.at += found + end.len();
        Ok(())
    }

    fn characters(&mut self, raw: &str) -> Result<(), Fault> {
        match self.open.last_mut() {
            Some(open) => unescape(raw, self.at, &mut open.text),
            None if raw.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n', '\0']).is_empty() => Ok(()),
            None => Err(("text outside of elements", self.at)),
        }
    }

    fn start_tag(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        let name = self.name()?;
        if self.open.is_empty() && name != "Event" {
            return Err(("the element is no Event", start));
        }
        if DEPTH_MAX <= self.open.len() {
            return Err(("elements nested too deep", start));
        }
        if let Some(parent) = self.open.last_mut() {
            parent.has_elements = true;
        }
        let mut given = None;
        self.element_values(name);
        for _ in 0..ATTRIBUTES_MAX {
            self.space();
            let rest = &self.text[self.at..];
            if rest.starts_with("/>") {
                self.at += 2;
                return self.close(Open { name, given, text: Text::default(), has_elements: false });
            }
            if rest.starts_with('>') {
                self.at += 1;
                self.open.push(Open { name, given, text: Text::default(), has_elements: false });
                return Ok(());
            }
            let (attribute, value) = self.attribute()?;
            if attribute == "Name" {
                given = Some(value.clone());
            }
            self.attribute_value(name, attribute, value)?;
        }
        Err(("too many attributes", start))
    }

    fn name(&mut self) -> Result<&'a str, Fault> {
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, ':' | '_' | '-' | '.') || !c.is_ascii();
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(("expected a name", self.at));
        }
        self.at += end;
        // A prefix says whose name it is; the event's own names are enough here.
        let name = &rest[..end];
        Ok(name.rsplit_once(':').filter(|(prefix, _)| *prefix != "xmlns").map_or(name, |(_, local)| local))
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn attribute(&mut self) -> Result<(&'a str, Text), Fault> {
        let name = self.name()?;
        self.space();
        let rest = &self.text[self.at..];
        let rest = rest.strip_prefix('=').ok_or(("expected = after an attribute's name", self.at))?;
        self.at += 1;
        self.space();
        let rest = &rest[rest.len() - (self.text.len() - self.at)..];
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or(("expected a quoted value", self.at))?;
        let end = rest[1..].find(quote).ok_or(("an attribute's value does not end", self.at))?;
        let mut value = Text::default();
        unescape(&rest[1..=end], self.at + 1, &mut value)?;
        self.at += end + 2;
        Ok((name, value))
    }

    fn end_tag(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 2;
        let name = self.name()?;
        self.space();
        if !self.text[self.at..].starts_with('>') {
            return Err(("an end tag does not end", start));
        }
        self.at += 1;
        match self.open.pop() {
            Some(open) if open.name == name => self.close(open),
            _ => Err(("an end tag without its start", start)),
        }
    }

    /// The name of the element at this depth; `Event` is depth 0.
    fn section(&self, depth: usize) -> &'a str {
        self.open.get(depth).map_or("", |open| open.name)
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.values += 1;
        if VALUES_MAX < self.values { Err(("too many values", self.at)) } else { Ok(()) }
    }

    /// The element of `UserData` gives the data its name, as in Winlogbeat.
    fn element_values(&mut self, name: &str) {
        if self.open.len() == 2 && is_user_data(self.section(1)) {
            self.source.add_named(USER_DATA, "xml_name", Value::from(name));
        }
    }

    fn attribute_value(&mut self, element: &str, attribute: &str, value: Text) -> Result<(), Fault> {
        self.count()?;
        match self.section(1) {
            "System" if self.open.len() == 2 => {
                if let Some(part) = Part::of_element(element, attribute) {
                    self.source.set(part, Value::Text(value));
                }
            }
            section if is_user_data(section) && !attribute.starts_with("xmlns") => {
                self.source.add_named(USER_DATA, &format!("{element}_{attribute}"), Value::Text(value));
            }
            _ => {}
        }
        Ok(())
    }

    /// An element has ended: if it held no elements, its text is a value.
    fn close(&mut self, open: Open<'a>) -> Result<(), Fault> {
        if open.has_elements || self.open.len() < 2 {
            return Ok(());
        }
        self.count()?;
        let value = Value::Text(open.text);
        match self.section(1) {
            "System" if self.open.len() == 2 => {
                if let Some(part) = Part::of_element(open.name, "") {
                    self.source.set(part, value);
                }
            }
            "RenderingInfo" => {
                if let Some(part) = Part::of_rendering(open.name) {
                    self.source.set(part, value);
                }
            }
            "EventData" | "BinaryEventData" | "DebugData" => match open.given {
                Some(name) if open.name == "Data" && !name.is_empty() => {
                    self.source.add_named(EVENT_DATA, &name, value)
                }
                _ if open.name == "Data" => self.source.add_unnamed(value),
                _ => self.source.add_named(EVENT_DATA, open.name, value),
            },
            section if is_user_data(section) => self.source.add_named(USER_DATA, open.name, value),
            _ => {}
        }
        Ok(())
    }
}

fn is_user_data(section: &str) -> bool {
    matches!(section, "UserData" | "ProcessingErrorData")
}

/// Appends text with its entities read (XML 1.0 section 4.6) and line ends made one (section 2.11).
fn unescape(raw: &str, at: usize, out: &mut Text) -> Result<(), Fault> {
    let mut rest = raw;
    while let Some(found) = rest.find('&') {
        out.push_str(&rest[..found]);
        let offset = at + raw.len() - rest.len() + found;
        let inner = &rest[found + 1..];
        let end = inner.bytes().take(12).position(|byte| byte == b';').ok_or(("an entity does not end", offset))?;
        out.push(entity(&inner[..end]).ok_or(("unknown entity", offset))?);
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(())
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        numeric => {
            let digits = numeric.strip_prefix('#')?;
            let code = match digits.strip_prefix('x').or_else(|| digits.strip_prefix('X')) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nhatle_event::{Field, Timestamp};
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Event, DeadLetter> {
        from_xml(text, &Record::new(text.as_bytes(), "test", Timestamp(0)))
    }

    const LOGON: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
        <Provider Name='Microsoft-Windows-Security-Auditing' Guid='{54849625-5478-4994-a5ba-3e3b0328c30d}'/>\
        <EventID>4625</EventID><Version>0</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode>\
        <Keywords>0x8010000000000000</Keywords><TimeCreated SystemTime='2026-02-03T04:05:06.1234567Z'/>\
        <EventRecordID>77</EventRecordID><Correlation/><Execution ProcessID='636' ThreadID='700'/>\
        <Channel>Security</Channel><Computer>ubnd-dc01.demo.example</Computer><Security/></System>\
        <EventData><Data Name='TargetUserName'>an.nguyen</Data><Data Name='TargetDomainName'>DEMO</Data>\
        <Data Name='LogonType'>3</Data><Data Name='SubStatus'>0xc000006a</Data><Data Name='Note'></Data>\
        <Data Name='IpAddress'>192.0.2.44</Data><Data Name='ProcessName'>-</Data>\
        <Data Name='Quote'>a &lt;b&gt; &amp; &#39;c&#x27; </Data></EventData></Event>";

    #[track_caller]
    fn check(event: &Event, name: &str, expected: Option<&str>) {
        let found = Field::lookup(name).and_then(|field| event.get(field)).and_then(Value::as_text);
        assert_eq!(found.as_deref(), expected, "{name}");
    }

    #[test]
    fn a_failed_logon_becomes_ecs_and_keeps_its_data() {
        let event = read(LOGON).expect("is an event");
        assert_eq!(event.timestamp.to_string(), "2026-02-03T04:05:06.123456700Z");
        for (name, expected) in [
            ("event.code", Some("4625")),
            ("event.dataset", Some("windows.security")),
            ("event.action", Some("logon-failed")),
            ("event.outcome", Some("failure")),
            ("event.reason", Some("Wrong password")),
            ("event.provider", Some("Microsoft-Windows-Security-Auditing")),
            ("host.name", Some("ubnd-dc01.demo.example")),
            ("user.name", Some("an.nguyen")),
            ("user.domain", Some("DEMO")),
            ("source.ip", Some("192.0.2.44")),
            ("process.executable", None),
            ("winlog.logon.type", Some("Network")),
            ("winlog.channel", Some("Security")),
            ("winlog.record_id", Some("77")),
            ("winlog.process.pid", Some("636")),
            ("winlog.event_data.ProcessName", Some("-")),
            ("winlog.event_data.Note", Some("")),
            ("winlog.event_data.Quote", Some("a <b> & 'c' ")),
        ] {
            check(&event, name, expected);
        }
    }

    #[test]
    fn user_data_never_touches_system() {
        let text = "<Event><System><Provider Name='Microsoft-Windows-Eventlog'/><EventID>104</EventID><Channel>System</Channel></System>\
            <UserData><LogFileCleared xmlns='x'><SubjectUserName>an</SubjectUserName><Channel>Application</Channel></LogFileCleared></UserData></Event>";
        let event = read(text).expect("is an event");
        check(&event, "winlog.channel", Some("System"));
        check(&event, "winlog.user_data.Channel", Some("Application"));
        check(&event, "winlog.user_data.xml_name", Some("LogFileCleared"));
        check(&event, "winlog.event_data.Channel", None);
        check(&event, "event.action", Some("event-log-cleared"));
        check(&event, "user.name", Some("an"));
    }

    #[test]
    fn data_without_a_name_is_numbered_and_kept_together() {
        let text = "<Event><System><Provider Name='PowerShell'/><EventID Qualifiers='0'>400</EventID><Channel>Windows PowerShell</Channel></System>\
            <EventData><Data>Available</Data><Data>None</Data><Data>\tNewEngineState=Available\r\n\tHostApplication=powershell -nop\r\n</Data></EventData></Event>";
        let event = read(text).expect("is an event");
        check(&event, "winlog.event_data.param1", Some("Available"));
        check(&event, "process.command_line", Some("powershell -nop"));
        check(&event, "powershell.engine.new_state", Some("Available"));
        let data = Field::lookup("winlog.event_data.Data").and_then(|field| event.get(field)).expect("is there");
        assert_eq!(data.each().count(), 3);
    }

    #[test]
    fn what_is_no_event_is_a_dead_letter_with_its_place() {
        for (text, reason, offset) in [
            ("", "windows xml: no element", 0),
            ("<Evil/>", "windows xml: the element is no Event", 0),
            ("<Event><System></Event>", "windows xml: an end tag without its start", 15),
            ("<Event><System>", "windows xml: ends inside an element", 15),
            ("<Event></Event>", "windows xml: no EventID in System", 0),
            ("<!DOCTYPE x [<!ENTITY a 'b'>]><Event/>", "windows xml: document types are not taken", 0),
            ("<Event>&x;</Event>", "windows xml: unknown entity", 7),
            ("<Event a=b/>", "windows xml: expected a quoted value", 9),
            ("<Event/><Event/>", "windows xml: more than one element at the top", 8),
        ] {
            let letter = read(text).expect_err(text);
            assert_eq!((letter.reason.as_str(), letter.offset), (reason, offset), "{text}");
        }
        assert!(read(&"<Event>".repeat(1000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(<|>|/|=|'|&|;|#|Event|System|Data| |[a-z]|ệ){0,60}") {
            if let Err(letter) = read(&text) {
                prop_assert!(letter.offset <= text.len());
            }
        }

        #[test]
        fn a_cut_event_is_refused_at_a_place_inside_it(cut in 1usize..1000) {
            let cut = cut.min(LOGON.len() - 1);
            let letter = read(&LOGON[..cut]).expect_err("is not whole");
            prop_assert!(letter.offset <= cut);
        }
    }
}
