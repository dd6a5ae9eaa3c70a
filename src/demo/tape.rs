//! `Tape`: what the day is written on. In: what happened, when, on which host. Out: the bytes that host
//! would really send, with time and unit.
//!
//! Formats: RFC 5424 and RFC 3164 syslog (rsyslog of a server, a small device), the combined log format
//! of nginx inside syslog, auditd's lines inside syslog (its syslog plugin), and the JSON of a Windows
//! event agent (Winlogbeat 8). Local time is +07:00, as everywhere in Vietnam.

use nhatle_event::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::city::{Host, System};

/// Seconds east of UTC of every clock in the city.
pub const ZONE_S: i32 = 7 * 3600;
const SECOND_NS: i64 = 1_000_000_000;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// One record of the day, as a listener would receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoRecord {
    /// When it is sent.
    pub at: Timestamp,
    /// Code of the unit of its host.
    pub unit: &'static str,
    /// The host that sends it.
    pub host: &'static str,
    /// The address it is sent from.
    pub ip: &'static str,
    /// Source profile to parse it with; `None` = by content.
    pub profile: Option<&'static str>,
    /// The bytes, without framing.
    pub bytes: Vec<u8>,
}

/// The records written so far, in the order written.
#[derive(Debug)]
pub struct Tape {
    /// Midnight, local time, of the day.
    pub midnight: Timestamp,
    /// What was written.
    pub records: Vec<DemoRecord>,
}

/// What one line of an access log says.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// Who asks.
    pub client: &'a str,
    /// Signed in as; `-` for nobody.
    pub user: &'a str,
    /// Method, path and version.
    pub request: &'a str,
    /// Status of the answer.
    pub status: u64,
    /// Bytes of the answer.
    pub bytes: u64,
    /// Where the visitor came from; `-` for unknown.
    pub referrer: &'a str,
    /// What the visitor's program calls itself.
    pub agent: &'a str,
}

/// The head of a Windows event.
#[derive(Clone, Copy, Debug)]
pub struct WindowsHead<'a> {
    /// The channel.
    pub channel: &'a str,
    /// The provider.
    pub provider: &'a str,
    /// The event id.
    pub code: u64,
}

impl Tape {
    /// An empty tape for the day that holds `start`.
    pub fn new(start: Timestamp) -> Tape {
        let zone_ns = i64::from(ZONE_S) * SECOND_NS;
        let local = start.0.saturating_add(zone_ns);
        let of_day = local.rem_euclid(86_400 * SECOND_NS);
        Tape { midnight: start.plus_nanos(-of_day), records: Vec::new() }
    }

    /// The moment `ms` milliseconds after midnight.
    pub fn moment(&self, ms: u64) -> Timestamp {
        self.midnight.plus_nanos(i64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000))
    }

    /// A line of syslog in the form this host sends.
    pub fn syslog(&mut self, ms: u64, host: &'static Host, program: &str, pid: Option<u64>, text: &str) {
        let at = self.moment(ms);
        let (priority, local) = (priority(program, text), at.civil_at(ZONE_S));
        let line = if host.system == System::Linux {
            let pid = pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            format!("<{priority}>1 {} {} {program} {pid} - - {text}", rfc3339_local(at), host.name)
        } else {
            let month = MONTHS[usize::try_from(local.month.saturating_sub(1)).unwrap_or(0) % 12];
            let pid = pid.map(|pid| format!("[{pid}]")).unwrap_or_default();
            format!(
                "<{priority}>{month} {:>2} {:02}:{:02}:{:02} {} {program}{pid}: {text}",
                local.day, local.hour, local.minute, local.second, host.name
            )
        };
        // By its content a line of an unknown program could be any device's.
        self.push(at, host, Some("linux"), line.into_bytes());
    }

    /// A line of an nginx access log (combined format), sent through the host's syslog.
    pub fn visit(&mut self, ms: u64, host: &'static Host, visit: &Visit<'_>) {
        let local = self.moment(ms).civil_at(ZONE_S);
        let month = MONTHS[usize::try_from(local.month.saturating_sub(1)).unwrap_or(0) % 12];
        let text = format!(
            "{} - {} [{:02}/{month}/{}:{:02}:{:02}:{:02} +0700] \"{}\" {} {} \"{}\" \"{}\"",
            visit.client,
            visit.user,
            local.day,
            local.year,
            local.hour,
            local.minute,
            local.second,
            visit.request,
            visit.status,
            visit.bytes,
            visit.referrer,
            visit.agent
        );
        self.syslog(ms, host, "nginx", None, &text);
    }

    /// A record of auditd, sent through the host's syslog: `kind` is its type, `text` what follows the
    /// time and serial.
    pub fn audit(&mut self, ms: u64, host: &'static Host, kind: &str, text: &str) {
        let at = self.moment(ms);
        let line = format!(
            "type={kind} msg=audit({}.{:03}:{}): {text}",
            at.seconds(),
            at.millis().rem_euclid(1000),
            1000 + ms / 500
        );
        self.syslog(ms, host, "audisp-syslog", Some(612), &line);
    }

    /// A Windows event as its agent sends it.
    pub fn windows(&mut self, ms: u64, host: &'static Host, head: WindowsHead<'_>, data: Map<String, Json>) {
        let at = self.moment(ms);
        let computer = host.computer();
        // Events whose data is UserData in the log: the agent keeps the same place apart.
        let place = if matches!(head.code, 1102 | 104) { "user_data" } else { "event_data" };
        let mut winlog = json!({
            "channel": head.channel,
            "computer_name": computer,
            "event_id": head.code.to_string(),
            "provider_name": head.provider,
            "record_id": 4_000_000 + ms,
            "opcode": "Info",
        });
        winlog[place] = Json::Object(data);
        let event = json!({
            "@timestamp": at.to_string(),
            "agent": {"type": "winlogbeat", "version": "8.17.0", "name": host.name},
            "ecs": {"version": "8.0.0"},
            "event": {"code": head.code.to_string(), "kind": "event", "provider": head.provider},
            "host": {"name": computer},
            "log": {"level": "information"},
            "winlog": winlog,
        });
        self.push(at, host, None, event.to_string().into_bytes());
    }

    fn push(&mut self, at: Timestamp, host: &'static Host, profile: Option<&'static str>, bytes: Vec<u8>) {
        self.records.push(DemoRecord { at, unit: host.unit, host: host.name, ip: host.ip, profile, bytes });
    }
}

/// Facility and severity a program logs with (RFC 5424, section 6.2.1).
fn priority(program: &str, text: &str) -> u32 {
    let facility = match program {
        "kernel" => 0,
        "sshd" | "sudo" | "su" | "useradd" | "usermod" | "groupadd" | "passwd" => 10,
        "CRON" | "crontab" | "cron" => 9,
        "nginx" => 23,
        "nvr" => 22,
        program if program.starts_with("postfix") || program == "dovecot" => 2,
        _ => 3,
    };
    let severity = match program {
        "kernel" => 4,
        "sudo" => 5,
        "sshd" if text.contains("error") => 3,
        _ => 6,
    };
    facility * 8 + severity
}

/// RFC 3339 in local time with microseconds, as rsyslog writes it.
pub fn rfc3339_local(at: Timestamp) -> String {
    let c = at.civil_at(ZONE_S);
    let micros = c.nanosecond / 1000;
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{micros:06}+07:00", c.year, c.month, c.day, c.hour, c.minute, c.second)
}

#[cfg(test)]
mod tests {
    use super::super::city;
    use super::*;

    fn only(write: impl FnOnce(&mut Tape)) -> String {
        let mut tape = Tape::new(Timestamp::parse("2026-11-23T09:30:00+07:00", 0).expect("a date"));
        write(&mut tape);
        String::from_utf8(tape.records.remove(0).bytes).expect("text")
    }

    #[test]
    fn the_day_begins_at_local_midnight() {
        let tape = Tape::new(Timestamp::parse("2026-11-23T02:30:00+07:00", 0).expect("a date"));
        assert_eq!(tape.midnight, Timestamp::parse("2026-11-23T00:00:00+07:00", 0).expect("a date"));
    }

    #[test]
    fn each_host_writes_its_own_form() {
        let eight = 8 * 3_600_000 + 1_250;
        let line = |host: &str| {
            let host = city::host(host).expect("a host");
            only(|tape| tape.syslog(eight, host, "sshd", Some(7), "hello"))
        };
        assert_eq!(line("csdl-01"), "<86>1 2026-11-23T08:00:01.250000+07:00 csdl-01 sshd 7 - - hello");
        assert_eq!(line("dns-01"), "<86>Nov 23 08:00:01 dns-01 sshd[7]: hello");
    }

    #[test]
    fn audit_records_carry_their_own_time() {
        let host = city::host("cong-tt-01").expect("a host");
        let line = only(|tape| tape.audit(1_500, host, "EXECVE", "argc=1 a0=\"id\""));
        let told = "type=EXECVE msg=audit(1795366801.500:1003): argc=1 a0=\"id\"";
        assert!(line.ends_with(told), "{line}");
    }
}
