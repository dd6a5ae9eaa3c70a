//! The changes a value goes through on its way to ECS, and the steps that rows of a table cannot say.
//!
//! In: text of data fields. Out: values and fields. Promise: no panic, work in proportion to the text; text that is not
//! of the expected shape is left where it is.
//! Source: Sysmon's documented formats; about_Eventlogs of PowerShell; [MS-EVEN6].

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::LazyLock;

use foldhash::HashMap;
use nhatle_event::{Event, Field, Text, Timestamp, Value};

use super::table::{Extra, How};

/// How many `Key=Value` lines or answers one field may give.
const LINES_MAX: usize = 512;

/// The value after the change; `None` where the text is not of the expected shape.
pub(super) fn changed(how: How, text: &str) -> Option<Value> {
    let found = match how {
        How::Same => text,
        How::Number => return number_of(text).map(Value::Long),
        How::Address => return address(text).map(Value::Ip),
        How::BeforeAt => text.bytes().position(|byte| byte == b'@').and_then(|at| text.get(..at)).unwrap_or(text),
        How::AccountDomain => text.split_once('\\')?.0,
        How::AccountName => text.rsplit('\\').next()?,
        How::FileName => split_path(text).1,
        How::Directory => split_path(text).0,
        How::Extension => {
            let (stem, extension) = split_path(text).1.rsplit_once('.')?;
            if stem.is_empty() { "" } else { extension }
        }
        How::Hash(kind) => return hash(kind, text).map(Value::from),
        How::CommonName => common_name(text),
        How::Listed(list) => list.iter().find(|(known, _)| known.eq_ignore_ascii_case(text))?.1,
        How::EachListed(list) => {
            let named = |word: &str| list.iter().find(|(known, _)| *known == word).map(|(_, name)| Value::from(*name));
            return listed(text.split([',', ' ', '\t', '\r', '\n']).filter_map(named));
        }
        How::Bits(list) => {
            let number = u32::try_from(number_of(text)?).ok()?;
            let is_set = |bit: u32| number & (1 << (31 - bit.min(31))) != 0;
            return listed(list.iter().filter(|(bit, _)| is_set(*bit)).map(|(_, name)| Value::from(*name)));
        }
        How::Resource => resource(text),
        How::ResourceName => split_path(resource(text)).1,
        How::Lower => return Some(Value::from(text.to_lowercase())),
    };
    (!found.is_empty()).then(|| Value::from(found))
}

fn listed(values: impl Iterator<Item = Value>) -> Option<Value> {
    let values: Vec<Value> = values.collect();
    (!values.is_empty()).then_some(Value::List(values))
}

/// A whole number: as it is, or its text, decimal or `0x…`.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Long(number) => Some(*number),
        Value::Text(text) => number_of(text),
        _ => None,
    }
}

fn number_of(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A moment: a date, RFC 3339 text, or a number of epoch seconds or milliseconds.
pub(super) fn moment(value: &Value) -> Option<Timestamp> {
    /// Seconds reach this in the year 5138, milliseconds did in 1973.
    const MILLIS_FROM: i64 = 100_000_000_000;
    match value {
        Value::Date(stamp) => Some(*stamp),
        Value::Long(seconds) if seconds.abs() < MILLIS_FROM => Some(Timestamp::from_seconds(*seconds)),
        Value::Long(millis) => Some(Timestamp::from_millis(*millis)),
        #[expect(clippy::cast_possible_truncation, reason = "as saturates, and microseconds are what a double holds")]
        Value::Double(seconds) => {
            let is_millis = 1e11 <= seconds.abs();
            let micros = if is_millis { seconds * 1e3 } else { seconds * 1e6 };
            Some(Timestamp((micros as i64).saturating_mul(1000)))
        }
        Value::Text(text) => Timestamp::parse(text, 0).or_else(|| {
            let text = text.trim();
            Timestamp::parse(text, 0).or_else(|| moment(&Value::Long(text.parse().ok()?)))
        }),
        _ => None,
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().or_else(|_padded| text.trim().parse()).ok()?;
    Some(address.to_canonical())
}

/// `file:_C:\x.exe; containerfile:_C:\y.zip`: the first, without its kind.
fn resource(text: &str) -> &str {
    let first = text.split("; ").next().unwrap_or(text);
    first.split_once(":_").map_or(first, |(_, path)| path)
}

/// Directory and last part of a path with either kind of slash.
fn split_path(path: &str) -> (&str, &str) {
    match path.bytes().rposition(|byte| matches!(byte, b'\\' | b'/')) {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => ("", path),
    }
}

/// The hash of this kind in `MD5=…,SHA256=…`; all zeros is no hash.
fn hash(kind: &str, text: &str) -> Option<String> {
    let named = text.split(',').filter_map(|one| one.trim().split_once('='));
    let (_, value) = named.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(kind))?;
    let is_some = value.bytes().any(|digit| digit != b'0');
    is_some.then(|| value.to_ascii_lowercase())
}

/// `CN=Ann,CN=Users,DC=…` is Ann; text of another shape is itself.
fn common_name(text: &str) -> &str {
    let first = text.split(',').next().unwrap_or(text);
    match first.get(..3) {
        Some(mark) if mark.eq_ignore_ascii_case("CN=") => &first[3..],
        _ => first,
    }
}

/// Does what the row asks for beyond its moves.
pub(super) fn apply(extra: Extra, event: &mut Event) {
    match extra {
        Extra::None => {}
        Extra::Registry => registry(event),
        Extra::DnsResults => dns_results(event),
        Extra::PowerShellClassic => powershell_classic(event),
        Extra::PowerShellContext => powershell_context(event),
        Extra::Object => object(event),
    }
}

/// The data fields that the steps look at.
static DATA: LazyLock<HashMap<&'static str, Field>> = LazyLock::new(|| {
    let names = [
        "TargetObject",
        "Details",
        "QueryResults",
        "ContextInfo",
        "ObjectName",
        "ObjectType",
        "ObjectValueName",
        "Data",
    ];
    let field = |name: &'static str| Some((name, Field::intern(&format!("winlog.event_data.{name}"))?));
    names.into_iter().filter_map(field).collect()
});

/// The text of a data field, taken along because the event is about to change.
fn data(event: &Event, name: &str) -> Option<Text> {
    event.get(*DATA.get(name)?)?.to_text()
}

const HIVES: &[(&str, &str)] = &[
    ("HKEY_CLASSES_ROOT", "HKCR"),
    ("HKEY_CURRENT_CONFIG", "HKCC"),
    ("HKEY_CURRENT_USER", "HKCU"),
    ("HKEY_DYN_DATA", "HKDD"),
    ("HKEY_LOCAL_MACHINE", "HKLM"),
    ("HKEY_PERFORMANCE_DATA", "HKPD"),
    ("HKEY_USERS", "HKU"),
];

fn registry(event: &mut Event) {
    let Some(path) = data(event, "TargetObject") else { return };
    event.set(Field::REGISTRY_PATH, path.clone());
    let (first, below) = path.split_once('\\').unwrap_or((&path, ""));
    let hive = HIVES.iter().find(|(long, short)| *long == first || *short == first);
    if let Some((_, short)) = hive {
        event.set(Field::REGISTRY_HIVE, *short);
        event.set(Field::REGISTRY_KEY, below);
    }
    event.set(Field::REGISTRY_VALUE, split_path(&path).1);
    let Some(details) = data(event, "Details") else { return };
    let inside = |prefix: &str| details.strip_prefix(prefix)?.strip_suffix(')');
    let parsed = if let Some(hexadecimal) = inside("DWORD (0x") {
        u64::from_str_radix(hexadecimal, 16).ok().map(|number| ("SZ_DWORD", number))
    } else if let Some((high, low)) = inside("QWORD (0x").and_then(|both| both.split_once("-0x")) {
        u64::from_str_radix(&format!("{high}{low}"), 16).ok().map(|number| ("SZ_QWORD", number))
    } else {
        None
    };
    match parsed {
        Some((kind, number)) => {
            event.set(Field::REGISTRY_DATA_TYPE, kind);
            event.set(Field::REGISTRY_DATA_STRINGS, number.to_string());
        }
        None if details.is_empty() || details == "Binary Data" => {}
        None => event.set(Field::REGISTRY_DATA_STRINGS, details),
    }
}

/// DNS record types as Sysmon numbers them (IANA, and two of Microsoft's).
const RECORD_TYPES: &[(&str, &str)] = &[
    ("1", "A"),
    ("2", "NS"),
    ("5", "CNAME"),
    ("6", "SOA"),
    ("12", "PTR"),
    ("15", "MX"),
    ("16", "TXT"),
    ("28", "AAAA"),
    ("33", "SRV"),
    ("35", "NAPTR"),
    ("43", "DS"),
    ("46", "RRSIG"),
    ("48", "DNSKEY"),
    ("65", "HTTPS"),
    ("255", "ANY"),
    ("65281", "WINS"),
    ("65282", "WINSR"),
];

/// `type:  5 alias.example;::ffff:192.0.2.1;`
fn dns_results(event: &mut Event) {
    let Some(results) = data(event, "QueryResults") else { return };
    let (mut answers, mut types, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for answer in results.split(';').filter(|one| !one.is_empty()).take(LINES_MAX) {
        if let Some(typed) = answer.strip_prefix("type:") {
            let mut words = typed.split_whitespace();
            let (Some(number), Some(text)) = (words.next(), words.next()) else { continue };
            let known = RECORD_TYPES.iter().find(|(known, _)| *known == number);
            types.push(Value::from(known.map_or(number, |(_, name)| *name)));
            answers.push(Value::from(text));
        } else if let Some(address) = address(answer) {
            types.push(Value::from(if address.is_ipv4() { "A" } else { "AAAA" }));
            answers.push(Value::from(address.to_string()));
            addresses.push(Value::Ip(address));
        }
    }
    if !answers.is_empty() {
        event.set(Field::DNS_ANSWERS_DATA, Value::List(answers));
        event.set_named("dns.answers.type", Value::List(types));
    }
    for address in &addresses {
        event.add(Field::RELATED_IP, address.clone());
    }
    if !addresses.is_empty() {
        event.set(Field::DNS_RESOLVED_IP, Value::List(addresses));
    }
}

/// What the lines of the classic log and of `ContextInfo` are called, spaces left out, and what they become.
const CONTEXT: &[(&str, &str)] = &[
    ("HostApplication", "process.command_line"),
    ("HostName", "process.title"),
    ("HostId", "process.entity_id"),
    ("HostID", "process.entity_id"),
    ("HostVersion", "powershell.process.executable_version"),
    ("EngineVersion", "powershell.engine.version"),
    ("NewEngineState", "powershell.engine.new_state"),
    ("PreviousEngineState", "powershell.engine.previous_state"),
    ("NewProviderState", "powershell.provider.new_state"),
    ("ProviderName", "powershell.provider.name"),
    ("RunspaceId", "powershell.runspace_id"),
    ("RunspaceID", "powershell.runspace_id"),
    ("PipelineId", "powershell.pipeline_id"),
    ("PipelineID", "powershell.pipeline_id"),
    ("CommandName", "powershell.command.name"),
    ("CommandType", "powershell.command.type"),
    ("CommandPath", "powershell.command.path"),
    ("CommandLine", "powershell.command.value"),
    ("ScriptName", "file.path"),
    ("SequenceNumber", "event.sequence"),
    ("UserId", "winlog.account"),
    ("User", "winlog.account"),
];

static CONTEXT_FIELDS: LazyLock<HashMap<&'static str, Field>> =
    LazyLock::new(|| CONTEXT.iter().filter_map(|(name, field)| Some((*name, Field::intern(field)?))).collect());

/// The last `<Data>` holds `\tKey=Value` lines; 800 has the pipeline's text in the first.
fn powershell_classic(event: &mut Event) {
    let Some(values) = DATA.get("Data").and_then(|field| event.get(*field)).cloned() else { return };
    for text in values.each().filter_map(Value::text) {
        key_values(event, text, "=");
    }
    account(event);
}

fn powershell_context(event: &mut Event) {
    let Some(context) = data(event, "ContextInfo") else { return };
    key_values(event, &context, " = ");
    account(event);
}

fn key_values(event: &mut Event, text: &str, separator: &str) {
    for line in text.lines().take(LINES_MAX) {
        let Some((key, value)) = split_pair(line, separator) else { continue };
        let (mut key, value) = (Cow::Borrowed(key.trim()), value.trim());
        if key.contains(' ') {
            key = Cow::Owned(key.replace(' ', ""));
        }
        let Some(field) = CONTEXT_FIELDS.get(&*key).copied() else { continue };
        if !value.is_empty() {
            event.set_default(field, super::ecs::typed(field, Value::from(value)));
        }
    }
}

/// `line.split_once(separator)` for an equals sign, alone or between two spaces: a search for one byte is much cheaper
/// than one for text, and these texts are long.
fn split_pair<'t>(line: &'t str, separator: &str) -> Option<(&'t str, &'t str)> {
    let margin = separator.len() / 2;
    let is_it = |at: &usize| line.get(..*at + 1 + margin).is_some_and(|front| front.ends_with(separator));
    let at = memchr::memchr_iter(b'=', line.as_bytes()).find(is_it)?;
    Some((line.get(..at.checked_sub(margin)?)?, line.get(at + 1 + margin..)?))
}

/// The account a PowerShell host ran as is the user.
fn account(event: &mut Event) {
    let Some(field) = Field::lookup("winlog.account") else { return };
    let Some(Value::Text(account)) = event.remove(field) else { return };
    let Some((domain, name)) = account.split_once('\\') else { return };
    event.set_default(Field::USER_DOMAIN, domain);
    event.set_default(Field::USER_NAME, name);
    event.add(Field::RELATED_USER, name);
}

/// `ObjectName` is a file or a key, as `ObjectType` says.
fn object(event: &mut Event) {
    let Some(name) = data(event, "ObjectName") else { return };
    match data(event, "ObjectType").as_deref() {
        Some("File") => {
            event.set(Field::FILE_NAME, split_path(&name).1);
            event.set(Field::FILE_PATH, name);
        }
        Some("Key") => event.set(Field::REGISTRY_PATH, name),
        None if event.text(Field::EVENT_CODE) == Some("4657") => {
            if let Some(value) = data(event, "ObjectValueName") {
                event.set(Field::REGISTRY_VALUE, value);
            }
            event.set(Field::REGISTRY_PATH, name);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(how: How, text: &str, expected: impl Into<Value>) {
        assert_eq!(changed(how, text), Some(expected.into()), "{how:?} {text}");
    }

    #[test]
    fn values_change_as_the_tables_say() {
        check(How::Number, "0x3e7", 999i64);
        check(How::Number, " 53366", 53366i64);
        check(How::Address, "::ffff:192.0.2.7", Value::Ip("192.0.2.7".parse().unwrap()));
        check(How::BeforeAt, "an.nguyen@DEMO.EXAMPLE", "an.nguyen");
        check(How::AccountDomain, "DEMO\\an", "DEMO");
        check(How::AccountName, "DEMO\\an", "an");
        check(How::FileName, r"C:\Windows\System32\cmd.exe", "cmd.exe");
        check(How::Directory, r"C:\Windows\System32\cmd.exe", r"C:\Windows\System32");
        check(How::Extension, r"C:\a.b\c.tar.gz", "gz");
        check(How::Hash("SHA256"), "MD5=AB,SHA256=CD", "cd");
        check(How::CommonName, "CN=An Nguyen,CN=Users,DC=demo,DC=example", "An Nguyen");
        assert_eq!(changed(How::Hash("MD5"), "MD5=0000"), None);
        assert_eq!(changed(How::Extension, r"C:\a.b\c"), None);
        assert_eq!(changed(How::Address, "LOCAL"), None);
    }

    proptest! {
        #[test]
        fn pairs_are_split_as_text_is(line in "[a =é]{0,12}") {
            for separator in ["=", " = "] {
                prop_assert_eq!(split_pair(&line, separator), line.split_once(separator), "{} {}", line, separator);
            }
        }
    }

    #[test]
    fn moments_are_read_in_every_form_sent() {
        let expected = Some(Timestamp::from_millis(1_770_091_506_000));
        assert_eq!(moment(&Value::from("2026-02-03T04:05:06Z")), expected);
        assert_eq!(moment(&Value::from("2026-02-03 04:05:06")), expected);
        assert_eq!(moment(&Value::Long(1_770_091_506)), expected);
        assert_eq!(moment(&Value::Long(1_770_091_506_000)), expected);
        assert_eq!(moment(&Value::Double(1_770_091_506.0)), expected);
        assert_eq!(moment(&Value::from("1770091506")), expected);
        assert_eq!(moment(&Value::from("soon")), None);
    }
}
