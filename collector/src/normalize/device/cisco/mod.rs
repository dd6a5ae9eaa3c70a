//! Cisco ASA/FTD and IOS: `%FACILITY-SEVERITY-MNEMONIC: message`.
//!
//! In: a syslog message of such a device. Out: the event; connections, denials, logins, configuration and
//! switch-port events in ECS by the wordings of [`asa`] and [`ios`], FTD's security events by [`ftd`]; the
//! message's name in `event.code`. Failure: a record that is given as Cisco's and has no such mark is a plain message. Source: Cisco ASA syslog messages guide; Cisco IOS
//! system message guide.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use nhatle_event::{Event, Field, Value};

use super::template::Template;
use super::{Act, act, ftd, observer, set_text};
use crate::normalize::Context;
use crate::parse::Syslog;

mod asa;
mod asa_any;
mod asa_more;
mod asa_people;
mod asa_vpn;
mod front;
mod ios;
mod ios_more;
#[cfg(test)]
mod wording_more_tests;
#[cfg(test)]
mod wording_tests;

const DENIED: Act = Act("network", &["connection", "denied"], "failure");
const OPENED: Act = Act("network", &["connection", "start", "allowed"], "success");
const CLOSED: Act = Act("network", &["connection", "end"], "success");
const LOGIN: Act = Act("authentication", &["start"], "success");
const REFUSED: Act = Act("authentication", &["start"], "failure");
const CHANGED: Act = Act("configuration", &["change"], "success");
const COMMAND: Act = Act("process", &["start"], "success");
const LOGOUT: Act = Act("authentication", &["end"], "success");
const SEEN: Act = Act("network", &["info"], "");

/// A message's name, its wording (empty = any), action (empty = none), meaning.
type Wording = (&'static str, &'static str, &'static str, Act);

/// What Cisco calls a severity, by its number.
const LEVELS: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notification", "informational", "debug"];

/// The compiled wordings of a table: by message name, and those of all names with a front (`713*`).
struct Table {
    named: HashMap<&'static str, Vec<Compiled>>,
    families: Vec<(&'static str, Compiled)>,
}

type Compiled = (Template, &'static str, Act);

impl Table {
    fn new(wordings: &[&'static [Wording]]) -> Table {
        let mut table = Table { named: HashMap::new(), families: Vec::new() };
        for (name, wording, action, act) in wordings.iter().copied().flatten() {
            let compiled = (Template::new(wording), *action, *act);
            match name.strip_suffix('*') {
                Some(front) => table.families.push((front, compiled)),
                None => table.named.entry(name).or_default().push(compiled),
            }
        }
        table
    }

    /// Fills in what the first fitting wording tells, of this name or else of its family; whether one fits.
    fn fill(&self, code: &str, message: &str, event: &mut Event) -> bool {
        let named = self.named.get(code).into_iter().flatten();
        let family = self.families.iter().filter(|(front, _)| code.starts_with(front)).map(|(_, compiled)| compiled);
        let Some((_, action, meaning)) = named.chain(family).find(|(template, ..)| template.fill(message, event))
        else {
            return false;
        };
        if !action.is_empty() {
            event.set(Field::EVENT_ACTION, *action);
        }
        act(event, *meaning);
        true
    }
}

static ASA: LazyLock<Table> =
    LazyLock::new(|| Table::new(&[asa::WORDINGS, asa_more::WORDINGS, asa_people::WORDINGS, asa_vpn::WORDINGS]));
static IOS: LazyLock<Table> = LazyLock::new(|| Table::new(&[ios::WORDINGS, ios_more::WORDINGS]));

/// The mark of a message: facility, severity, mnemonic, and what follows.
struct Mark<'a> {
    facility: &'a str,
    severity: i64,
    mnemonic: &'a str,
    message: &'a str,
}

/// How far into a line the mark may stand (behind a sequence number, a name and a date).
const MARK_AT_MAX: usize = 200;

fn mark(text: &str) -> Option<Mark<'_>> {
    let places = text.match_indices('%').map(|(at, _)| at).take_while(|at| *at <= MARK_AT_MAX).take(8);
    places.filter_map(|at| mark_at(text.get(at + 1..)?)).next()
}

fn mark_at(text: &str) -> Option<Mark<'_>> {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let end = text.bytes().position(|byte| !is_name_byte(byte)).unwrap_or(text.len());
    let (name, message) = text.split_at(end);
    // The colon is missing now and then.
    let message = message.strip_prefix(':').or_else(|| message.strip_prefix(' '))?;
    let (front, mnemonic) = name.rsplit_once('-')?;
    // `ASA-session-3`: a part in small letters may stand between the facility and the severity.
    let (facility, severity) = front.rsplit_once('-')?;
    let severity = severity.parse::<i64>().ok().filter(|severity| (0..=9).contains(severity))?;
    let is_upper = |text: &str| !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_lowercase());
    let is_facility = is_upper(facility.split('-').next().unwrap_or_default());
    (is_facility && is_upper(mnemonic)).then_some(Mark { facility, severity, mnemonic, message })
}

/// Whether a message of this program and text is an ASA's (true) or an IOS device's (false).
pub fn is_asa(parts: &Syslog<'_>) -> Option<bool> {
    let app = parts.app.unwrap_or_default();
    let text = parts.message.trim_start_matches([':', ' ']);
    // A name before the mark, where the header has another or none.
    let text = match text.split_once(' ').map(|(_, rest)| rest.trim_start_matches([':', ' '])) {
        Some(rest) if app.is_empty() && rest.starts_with('%') => rest,
        _ => text,
    };
    // A sequence number, a name, a task and the device's own date before the mark, where no program's number says otherwise.
    let text = match parts.procid {
        None if !app.starts_with('%') => front::dated_mark(text).unwrap_or(text),
        _ => text,
    };
    let name = if app.starts_with('%') { app } else { text };
    let named = name.strip_prefix('%')?;
    let is_asa = ["ASA-", "FTD-", "PIX-", "FWSM-"].iter().any(|start| named.starts_with(start));
    let is_marked = mark_at(text.get(1..).unwrap_or_default()).is_some() || mark_at(&format!("{named}: ")).is_some();
    is_marked.then_some(is_asa)
}

/// The event of a message. The tag in front may have been taken for the program's name, so the mark is put
/// together again from both.
pub fn event(parts: &Syslog<'_>, is_asa: bool, context: &Context<'_>) -> Event {
    let (dataset, product, home) =
        if is_asa { ("cisco.asa", "asa", "cisco.asa.") } else { ("cisco.ios", "ios", "cisco.ios.") };
    let front = front::front(parts, context);
    let mut event = context.event(front.stamp.or(parts.timestamp), "cisco", dataset);
    observer(&mut event, "Cisco", product, if is_asa { "firewall" } else { "switch" });
    let joined;
    let whole = match parts.app.filter(|app| app.starts_with('%')) {
        Some(app) => {
            joined = format!("{app}: {}", parts.message);
            joined.as_str()
        }
        None => parts.message,
    };
    let Some(mark) = mark(whole) else {
        if is_asa && ftd::fill_unmarked(whole, &mut event) {
            set_program(&mut event, parts);
        }
        return event;
    };
    let message = mark.message.trim_start_matches([':', ' ']).trim_end();
    event.set(Field::MESSAGE, message);
    event.set(Field::EVENT_SEVERITY, Value::Long(mark.severity));
    event.set_named(&format!("{home}facility"), mark.facility);
    event.set_named(&format!("{home}mnemonic"), mark.mnemonic);
    // IOS's mnemonics are told apart by the facility, which stands beside.
    let facility = if mark.facility == "IPV6_ACL" { "IPV6" } else { mark.facility };
    let code = if is_asa { mark.mnemonic.to_owned() } else { format!("{facility}-{}", mark.mnemonic) };
    if let Some(level) = usize::try_from(mark.severity).ok().and_then(|level| LEVELS.get(level)) {
        event.set(Field::LOG_LEVEL, *level);
    }
    if is_asa && ftd::fill(&code, message, &mut event) {
        // A list of values, which has no wording.
    } else if is_asa {
        let plain = without_users(&code, message, &mut event);
        if !ASA.fill(&code, &plain, &mut event) {
            asa_any::fill(&code, &plain, &mut event);
        }
        more(&code, message, &mut event);
        same_person(&code, &mut event);
        drop_untranslated(&mut event);
    } else {
        IOS.fill(&code, message, &mut event);
        // The packets that a list has counted are those that came.
        copy(&mut event, &[(Field::NETWORK_PACKETS, Field::SOURCE_PACKETS)]);
    }
    if is_asa {
        // What other readers of these devices call all that has no name of its own.
        event.set_default(Field::EVENT_ACTION, "firewall-rule");
        set_program(&mut event, parts);
    }
    // The connection's kind is a word of the wording itself; so is who began it.
    for word in message.split(' ').take(8) {
        match word {
            "inbound" | "outbound" => event.set_default(Field::NETWORK_DIRECTION, word),
            "Inbound" => event.set_default(Field::NETWORK_DIRECTION, "inbound"),
            "TCP" | "UDP" | "ICMP" if event.get(Field::NETWORK_TRANSPORT).is_none() => {
                set_text(&mut event, Field::NETWORK_TRANSPORT, word);
            }
            _ => {}
        }
    }
    if let Some((name, pid)) = front.program {
        event.set(Field::PROCESS_NAME, name);
        if let Some(pid) = pid {
            event.set(Field::PROCESS_PID, pid);
        }
    }
    // Without a name of its own in the header, the word before the mark is the device.
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let word = parts.app.filter(|app| parts.procid.is_none() && !app.starts_with('%') && !is_number(app));
    if let Some(name) = word.or(front.host).filter(|_| parts.host.is_none()) {
        event.set(Field::HOST_HOSTNAME, name);
        event.set_default(Field::HOST_NAME, name);
        event.set(Field::OBSERVER_NAME, name);
    }
    event.set(Field::EVENT_CODE, mark.mnemonic);
    event
}

/// The tag of the header, where the device writes one: `CiscoASA[999]: %ASA-…`.
fn set_program(event: &mut Event, parts: &Syslog<'_>) {
    let is_tag = parts.procid.is_some() || parts.host.is_some();
    if let Some(app) = parts.app.filter(|app| is_tag && !app.starts_with('%')) {
        event.set(Field::PROCESS_NAME, app);
        if let Some(pid) = parts.procid.and_then(|pid| pid.parse::<i64>().ok()) {
            event.set(Field::PROCESS_PID, pid);
        }
    }
}

/// The message without the users that stand in parentheses behind an address (`57621(LOCAL\\an)`), in `for user …` of an
/// access list, and without the angle brackets of VPN messages; the first user behind an address is the source's.
fn without_users<'a>(code: &str, message: &'a str, event: &mut Event) -> Cow<'a, str> {
    if ["113039", "716", "722"].iter().any(|front| code.starts_with(front)) && message.contains('<') {
        // The address that a session went on from stands behind that of its beginning.
        let front = message.rsplit_once(" connection from IP ").filter(|_| code == "716059").map_or(message, |it| it.0);
        return Cow::Owned(front.replace(['<', '>'], ""));
    }
    let mut left = Cow::Borrowed(message);
    if matches!(code, "106102" | "106103")
        && let Some((front, rest)) = message.split_once(" for user ")
        // A name may hold anything; the last arrow is the device's, and before it stands one word.
        && let Some((user, ends)) = rest.rfind(" -> ").and_then(|arrow| {
            let word = rest.get(..arrow)?.rfind(' ')?;
            Some((rest.get(..word)?, rest.get(word..)?))
        })
    {
        set_text(event, Field::USER_NAME, user.trim_matches('\''));
        left = Cow::Owned(format!("{front}{ends}"));
    }
    // At most an address has one, on each side.
    for _ in 0..2 {
        let Some((begin, length)) = domain_user(&left) else { break };
        let user = left.get(begin + 1..begin + length).unwrap_or_default();
        let name = user.split_once('\\').map_or(user, |(_, name)| name).to_owned();
        event.set_default(Field::SOURCE_USER_NAME, name);
        let mut text = left.into_owned();
        text.replace_range(begin..=begin + length, "");
        left = Cow::Owned(text);
    }
    left
}

/// Where `(DOMAIN\\user)` stands in a message, and how far its closing parenthesis is.
fn domain_user(message: &str) -> Option<(usize, usize)> {
    message.match_indices('(').map(|(at, _)| at).take(8).find_map(|begin| {
        let rest = message.get(begin + 1..)?;
        let domain =
            rest.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')))?;
        let is_user = domain > 0 && rest.as_bytes().get(domain) == Some(&b'\\');
        let end = rest.find(')').filter(|_| is_user)?;
        Some((begin, end + 1))
    })
}

/// What a table of wordings cannot say.
fn more(code: &str, message: &str, event: &mut Event) {
    match code {
        "106007" if message.contains(" due to DNS ") => event.set(Field::NETWORK_PROTOCOL, "dns"),
        "302020" | "302021" => event.set(Field::NETWORK_PROTOCOL, "icmp"),
        "303002" => event.set(Field::NETWORK_PROTOCOL, "ftp"),
        "106013" => {
            set_text(event, Field::NETWORK_TRANSPORT, "icmp");
            event.set(Field::NETWORK_DIRECTION, "inbound");
        }
        "338301" => copy(event, &[(Field::DNS_QUESTION_NAME, Field::SOURCE_DOMAIN)]),
        // The other address of the same machine: where Elastic's module puts it, and where ECS does.
        "302012" | "305009" | "305010" | "305011" | "305012" => {
            copy(
                event,
                &[(Field::DESTINATION_IP, Field::SOURCE_NAT_IP), (Field::DESTINATION_PORT, Field::SOURCE_NAT_PORT)],
            );
        }
        _ => {}
    }
    who_began(code, message, event);
    // `user@address` as either side of a URL.
    for (domain, ip) in [(Field::SOURCE_DOMAIN, Field::SOURCE_IP), (Field::DESTINATION_DOMAIN, Field::DESTINATION_IP)] {
        if let Some((user, address)) = event.text(domain).and_then(|domain| domain.rsplit_once('@'))
            && let Ok(address) = address.parse::<std::net::IpAddr>()
        {
            let user = user.to_owned();
            event.remove(domain);
            event.set(ip, address);
            set_text(event, Field::USER_NAME, &user);
        }
    }
    // `destination malicious address resolved from dynamic list: example.org, threat-level: …`: the name on the list.
    if code.starts_with("338")
        && let Some((front, rest)) = message.split_once(" resolved from ")
        && let Some((_, name)) = rest.split_once("list: ")
    {
        let name = name.split([',', '/']).next().unwrap_or_default();
        let side = front.rsplit(", ").next().unwrap_or_default();
        if name.parse::<std::net::IpAddr>().is_err() {
            let (domain, copy) = match side.starts_with("source") {
                true => (Field::SOURCE_DOMAIN, Field::CLIENT_DOMAIN),
                false => (Field::DESTINATION_DOMAIN, Field::SERVER_DOMAIN),
            };
            set_text(event, domain, name);
            set_text(event, copy, name);
        }
    }
}

/// Who began a connection (`client.*`) and who was called (`server.*`): the start of one names first who began where it is
/// inbound, and who was called where it is outbound; ICMP's names the foreign side first. Source: Cisco's message guide.
fn who_began(code: &str, message: &str, event: &mut Event) {
    let is_outbound = message.starts_with("Built outbound ");
    let is_source = match code {
        "302013" | "302015" => !is_outbound,
        "302020" => is_outbound,
        // The answer of a name server: who asked is its destination.
        "338301" => false,
        _ => return,
    };
    let (began, called) = ((Field::SOURCE_IP, Field::SOURCE_PORT), (Field::DESTINATION_IP, Field::DESTINATION_PORT));
    let (began, called) = if is_source { (began, called) } else { (called, began) };
    let rows = [
        (began.0, Field::CLIENT_IP),
        (began.1, Field::CLIENT_PORT),
        (called.0, Field::SERVER_IP),
        (called.1, Field::SERVER_PORT),
    ];
    copy(event, &rows);
}

fn copy(event: &mut Event, rows: &[(Field, Field)]) {
    for (from, to) in rows {
        if let Some(value) = event.get(*from).cloned() {
            event.set(*to, value);
        }
    }
}

/// Who signs in at an address is the user there, and so is whom a server of accounts was asked about.
fn same_person(code: &str, event: &mut Event) {
    let Some(user) = event.text(Field::USER_NAME).map(Value::from) else { return };
    if event.get(Field::SOURCE_IP).is_some() || code.starts_with("113") {
        event.set_default(Field::SOURCE_USER_NAME, user);
    }
}

/// Takes out translated addresses and ports that are the real ones.
fn drop_untranslated(event: &mut Event) {
    let sides = [
        (Field::SOURCE_NAT_IP, Field::SOURCE_IP),
        (Field::SOURCE_NAT_PORT, Field::SOURCE_PORT),
        (Field::DESTINATION_NAT_IP, Field::DESTINATION_IP),
        (Field::DESTINATION_NAT_PORT, Field::DESTINATION_PORT),
    ];
    for (translated, real) in sides {
        if event.get(translated).is_some() && event.get(translated) == event.get(real) {
            event.remove(translated);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use crate::profile::Profile;

    #[test]
    fn an_asa_denies_and_signs_in() {
        let line = r#"<164>Nov 23 2026 09:10:00 fw-01 : %ASA-4-106023: Deny tcp src outside:203.0.113.45/40000 dst inside:192.0.2.20/22 by access-group "outside_in" [0x0, 0x0]"#;
        let told = [
            ("event.code", "106023"),
            ("source.ip", "203.0.113.45"),
            ("destination.port", "22"),
            ("network.transport", "tcp"),
            ("rule.name", "outside_in"),
            ("event.type", "connection,denied"),
            ("event.dataset", "cisco.asa"),
        ];
        check(line, Some(Profile::CiscoAsa), &told);
        check(line, None, &told);
        check(
            r#"<166>%ASA-6-605004: Login denied from 203.0.113.45/40001 to outside:192.0.2.1/ssh for user "a" from 198.51.100.66"""#,
            Some(Profile::CiscoAsa),
            &[("source.ip", "203.0.113.45"), ("event.outcome", "failure")],
        );
    }

    #[test]
    fn marks_headers_and_users_of_every_shape() {
        check(
            "2026-11-23T02:10:00Z ftd-01  %FTD-1-430002: AccessControlRuleAction: Block, SrcIP: 203.0.113.45, DstIP: 192.0.2.20, Protocol: tcp, DNSQuery: news.example, DNSRecordType: a host address",
            Some(Profile::CiscoAsa),
            &[
                ("host.hostname", "ftd-01"),
                ("event.outcome", "failure"),
                ("dns.question.type", "A"),
                ("dns.response_code", "NOERROR"),
            ],
        );
        check(
            "<165>Nov 23 2026 09:10:00 fw-01 CiscoASA[999]: %ASA-session-5-106103: access-list inside_out denied udp for user an b inside/10.45.0.31(50330) -> outside/203.0.113.80(53) hit-cnt 1 first hit [0x1, 0x2]",
            Some(Profile::CiscoAsa),
            &[
                ("event.code", "106103"),
                ("log.level", "notification"),
                ("user.name", "an b"),
                ("source.ip", "10.45.0.31"),
                ("destination.port", "53"),
                ("rule.name", "inside_out"),
                ("process.name", "CiscoASA"),
                ("process.pid", "999"),
            ],
        );
        let line = "<166>Nov 23 2026 09:10:00: %ASA-6-302016: Teardown UDP connection 7 for outside:203.0.113.80/53(CITY\\an) to inside:10.45.0.31/50330 duration 0:00:00 bytes 148 (an)";
        let told = [("source.user.name", "an"), ("source.port", "53"), ("event.action", "flow-expiration")];
        check(line, Some(Profile::CiscoAsa), &told);
        check(
            "<166>Nov 23 2026 09:10:00: %ASA-4-106023: Deny protocol 47 src outside:203.0.113.45 dst inside:192.0.2.20 by access-group \"in\"",
            None,
            &[("network.iana_number", "47"), ("network.transport", "gre"), ("event.action", "firewall-rule")],
        );
        check(
            "<165>Nov 23 2026 09:10:00: %ASA-5-304001: 10.45.0.31 Accessed URL an@203.0.113.80:http://news.example/a",
            None,
            &[("destination.ip", "203.0.113.80"), ("user.name", "an"), ("url.domain", "news.example")],
        );
        check(
            "<164>Nov 23 2026 09:10:00: %ASA-4-338002: Dynamic Filter permitted black listed TCP traffic from inside:10.45.0.31/50330 (192.0.2.1/50330) to outside:203.0.113.80/80 (203.0.113.80/80), destination 203.0.113.80 resolved from dynamic list: bad.example",
            None,
            &[("destination.domain", "bad.example"), ("event.type", "allowed")],
        );
    }

    #[test]
    fn switches_and_routers_tell_who_signs_in_and_which_port_changed() {
        let ios = |line: &str, told: &[(&str, &str)]| check(line, Some(Profile::CiscoIos), told);
        let refused = [("event.action", "login-failed"), ("source.ip", "203.0.113.9"), ("event.outcome", "failure")];
        ios(
            "<189>9: Nov 23 2026 02:10:00 UTC: %SSH-5-SSH2_USERAUTH: User 'x' authentication for SSH2 Session from 198.51.100.66 (tty = 1) using a' authentication for SSH2 Session from 203.0.113.9 (tty = 0) using crypto cipher 'aes256-ctr', hmac 'hmac-sha2-256' Failed",
            &refused,
        );
        ios(
            "<187>sw-01: 2026 Nov 23 02:10:00 UTC: %AUTHPRIV-3-SYSTEM_MSG: pam_aaa:Authentication failed for user an from 203.0.113.9 - sshd[77]",
            &refused,
        );
        ios(
            "<188>9: RP/0/RSP0/CPU0:Nov 23 02:10:00 UTC: SSHD_[77]: %SECURITY-SSHD-4-INFO_FAILURE : Failed authentication attempt by user 'an' from '203.0.113.9' on 'vty0'",
            &refused,
        );
        ios(
            "<189>9: RP/0/RSP0/CPU0:Nov 23 02:10:00 UTC: config[77]: %MGBL-SYS-5-CONFIG_I : Configured from console by an on vty0 (203.0.113.9)",
            &[("event.action", "configuration-changed"), ("source.ip", "203.0.113.9"), ("user.name", "an")],
        );
        ios(
            "<187>9: Nov 23 02:10:00: %LINK-3-UPDOWN: Interface GigabitEthernet1/0/7, changed state to down",
            &[("observer.ingress.interface.name", "GigabitEthernet1/0/7"), ("event.reason", "down")],
        );
    }

    #[test]
    fn the_devices_own_time_counts() {
        for (line, host, process) in [
            ("<189>29: sw-01: 30: *Nov 23 2026 02:10:00 UTC: %SYS-5-RESTART: Going", "sw-01", "(absent)"),
            ("<189>: 2026 Nov 23 02:10:00 UTC: %SYS-5-RESTART: Going", "(absent)", "(absent)"),
            ("<189>sw-01: 2026 Nov  3 02:10:00 UTC: %SYS-5-RESTART: Going", "sw-01", "(absent)"),
            ("<189>9: RP/0/RSP0/CPU0:Nov 23 02:10:00: smart[147]: %SYS-5-RESTART : Going", "RP/0/RSP0/CPU0", "smart"),
            ("<189>Nov 23 02:10:00 sw-01 %SYS-5-RESTART Going", "sw-01", "(absent)"),
        ] {
            let told =
                [("host.hostname", host), ("process.name", process), ("message", "Going"), ("event.code", "RESTART")];
            check(line, Some(Profile::CiscoIos), &told);
        }
        let line = "<190>Nov 23 2026 09:10:05 192.0.2.1 4711: *Nov 23 2026 02:10:00.125 UTC: %SEC-6-IPACCESSLOGDP: list 101 denied icmp 203.0.113.9 -> 192.0.2.20 (8/0), 3 packets";
        let told = [
            ("event.code", "IPACCESSLOGDP"),
            ("source.ip", "203.0.113.9"),
            ("destination.ip", "192.0.2.20"),
            ("network.transport", "icmp"),
            ("network.packets", "3"),
            ("event.outcome", "failure"),
        ];
        check(line, Some(Profile::CiscoIos), &told);
        let mut record = nhatle_event::Record::new(line.as_bytes(), "test", nhatle_event::Timestamp(0));
        record.profile = Some(nhatle_event::Text::from("cisco_ios"));
        let event = crate::to_event(&record, &crate::Settings::default()).expect("is an event");
        assert_eq!(event.timestamp.to_string(), "2026-11-23T02:10:00.125Z");
    }

    #[test]
    fn who_began_a_connection_is_its_client() {
        let line = |way: &str| {
            format!(
                "<166>Nov 23 2026 09:10:00 fw-01 : %ASA-6-302013: Built {way} TCP connection 7 for outside:203.0.113.80/443 (203.0.113.80/443) to inside:10.45.0.31/50330 (192.0.2.1/50330)"
            )
        };
        for (way, client, server) in
            [("outbound", "10.45.0.31", "203.0.113.80"), ("inbound", "203.0.113.80", "10.45.0.31")]
        {
            let told = [
                ("source.ip", "203.0.113.80"),
                ("destination.port", "50330"),
                ("client.ip", client),
                ("server.ip", server),
                ("network.transport", "tcp"),
                ("network.direction", way),
            ];
            check(&line(way), None, &told);
        }
    }

    #[test]
    fn a_switch_tells_of_logins_and_ports() {
        check(
            "<189>29: *Nov 23 2026 02:10:00.000 UTC: %SYS-5-CONFIG_I: Configured from console by admin on vty0 (203.0.113.9)",
            None,
            &[
                ("event.code", "CONFIG_I"),
                ("cisco.ios.facility", "SYS"),
                ("user.name", "admin"),
                ("source.ip", "203.0.113.9"),
                ("event.dataset", "cisco.ios"),
            ],
        );
        check(
            "<186>Nov 23 02:10:00 sw-01: %PORT_SECURITY-2-PSECURE_VIOLATION: Security violation occurred, caused by MAC address 0000.5e00.5301 on port FastEthernet0/7.",
            Some(Profile::CiscoIos),
            &[
                ("event.action", "port-security-violation"),
                ("source.mac", "00:00:5e:00:53:01"),
                ("observer.ingress.interface.name", "FastEthernet0/7"),
            ],
        );
    }
}
