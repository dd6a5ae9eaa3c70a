//! `Story`: an attack on the demo city and its benign twin, read from a scenario file.
//!
//! In: TOML we wrote (`stories/*.toml`). Out: steps with a time of day, a host and what that host logs;
//! which rules must fire and on whom the incident must be; the twin's steps, which must stay silent.
//! Failure: a file that does not read is an error with its place (files of ours cannot: a test reads them).
//!
//! In the texts of a step `%{n}` is the count of its repetitions from 1, `%{port}` a client port,
//! `%{hex:24}` so many random hexadecimal digits, `%{pick:a|b|c}` one of these.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::city;
use super::dice::Dice;
use super::tape::{Tape, Visit, WindowsHead};

/// How often one step may be repeated.
pub const TIMES_MAX: u64 = 2_000;
const FILES: [&str; 8] = [
    include_str!("stories/ssh_lateral.toml"),
    include_str!("stories/phishing_lsass.toml"),
    include_str!("stories/web_shell.toml"),
    include_str!("stories/ransomware.toml"),
    include_str!("stories/insider_export.toml"),
    include_str!("stories/nvr_login.toml"),
    include_str!("stories/dns_beacon.toml"),
    include_str!("stories/log_clearing.toml"),
];

/// An attack story with its benign twin.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// Short stable key.
    pub key: String,
    /// Its name in Vietnamese.
    pub name_vi: String,
    /// Its name in English.
    pub name_en: String,
    /// What happens, in Vietnamese.
    pub summary_vi: String,
    /// What happens, in English.
    pub summary_en: String,
    /// Code of the unit it happens in.
    pub unit: String,
    /// The hosts whose records tell it.
    pub hosts: Vec<String>,
    /// What its alerts share: ECS field and value.
    pub entities: Vec<Entity>,
    /// The rules that must fire, in order of their first firing.
    pub rules: Vec<ExpectedRule>,
    /// What happens when.
    pub steps: Vec<Step>,
    /// The same seen innocently.
    pub twin: Twin,
}

/// One thing that an incident is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// ECS field.
    pub field: String,
    /// Its value.
    pub value: String,
}

/// A rule that must fire.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRule {
    /// Its id in the rule pack.
    pub id: String,
    /// Its title in the rule pack.
    pub title: String,
}

/// What looks like the story and is none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twin {
    /// Its name in Vietnamese.
    pub name_vi: String,
    /// Its name in English.
    pub name_en: String,
    /// The hosts whose records tell it.
    pub hosts: Vec<String>,
    /// What happens when.
    pub steps: Vec<Step>,
}

/// One step: when, where, how often, and what is logged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Time of day, local: `HH:MM:SS`.
    pub at: String,
    /// The host that logs it.
    pub host: String,
    /// How often.
    #[serde(default = "one")]
    pub times: u64,
    /// Milliseconds from one repetition to the next.
    #[serde(default)]
    pub every_ms: u64,
    /// What is logged: exactly one of the next four.
    pub syslog: Option<SyslogLine>,
    /// A record of auditd.
    pub audit: Option<AuditLine>,
    /// A line of a web server's access log.
    pub visit: Option<VisitLine>,
    /// A Windows event.
    pub windows: Option<WindowsEvent>,
}

/// A line of syslog.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogLine {
    /// The program.
    pub program: String,
    /// Its process id.
    pub pid: Option<u64>,
    /// What it says.
    pub text: String,
}

/// A record of auditd.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditLine {
    /// Its type.
    pub kind: String,
    /// What follows time and serial.
    pub text: String,
}

/// A line of an access log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisitLine {
    /// Who asks.
    pub client: String,
    /// Signed in as.
    #[serde(default = "dash")]
    pub user: String,
    /// Method, path and version.
    pub request: String,
    /// Status of the answer.
    pub status: u64,
    /// Bytes of the answer.
    pub bytes: u64,
    /// The visitor's program.
    pub agent: String,
}

/// A Windows event.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowsEvent {
    /// The channel.
    pub channel: String,
    /// The provider.
    pub provider: String,
    /// The event id.
    pub code: u64,
    /// Its data by name.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
}

fn one() -> u64 {
    1
}

fn dash() -> String {
    "-".to_owned()
}

/// The eight stories of the demo.
pub fn stories() -> Vec<Story> {
    FILES.iter().map(|text| read(text).expect("a test reads every story of ours")).collect()
}

/// Reads a scenario file.
///
/// # Errors
/// The text is no TOML or no story; the error names line and column.
pub fn read(text: &str) -> Result<Story, toml::de::Error> {
    toml::from_str(text)
}

impl Story {
    /// Writes the story and its twin on the tape. Steps that name no host of the city, or whose time is
    /// none, are left out.
    pub fn play(&self, dice: &mut Dice, tape: &mut Tape) {
        for step in self.steps.iter().chain(&self.twin.steps) {
            step.play(dice, tape);
        }
    }
}

impl Step {
    /// The time of day in milliseconds, or `None` for what is no time of day.
    pub fn at_ms(&self) -> Option<u64> {
        let mut parts = self.at.splitn(3, ':').map(|part| part.parse::<u64>().ok());
        let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
        (hour < 24 && minute < 60 && second < 60).then_some(((hour * 60 + minute) * 60 + second) * 1000)
    }

    fn play(&self, dice: &mut Dice, tape: &mut Tape) {
        let (Some(host), Some(start)) = (city::host(&self.host), self.at_ms()) else { return };
        for n in 0..self.times.min(TIMES_MAX) {
            let late = dice.range(0, (self.every_ms / 4).max(400));
            let ms = start + n * self.every_ms + late;
            let mut text = |template: &str| expand(template, n + 1, dice);
            if let Some(line) = &self.syslog {
                let text = text(&line.text);
                let pid = line.pid.unwrap_or_else(|| dice.range(2_000, 60_000));
                tape.syslog(ms, host, &line.program, Some(pid), &text);
            } else if let Some(line) = &self.audit {
                tape.audit(ms, host, &line.kind, &text(&line.text));
            } else if let Some(line) = &self.visit {
                let (request, agent) = (text(&line.request), text(&line.agent));
                let visit = Visit {
                    client: &line.client,
                    user: &line.user,
                    request: &request,
                    status: line.status,
                    bytes: line.bytes,
                    referrer: "-",
                    agent: &agent,
                };
                tape.visit(ms, host, &visit);
            } else if let Some(event) = &self.windows {
                let data = event.data.iter().map(|(name, value)| (name.clone(), Json::String(text(value))));
                let data: Map<String, Json> = data.collect();
                let head = WindowsHead { channel: &event.channel, provider: &event.provider, code: event.code };
                tape.windows(ms, host, head, data);
            }
        }
    }
}

/// Fills in the placeholders of a text; what is no placeholder stays as it is.
fn expand(template: &str, n: u64, dice: &mut Dice) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("%{") {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            out.push_str("%{");
            rest = after;
            continue;
        };
        match name.split_once(':') {
            None if name == "n" => out.push_str(&n.to_string()),
            None if name == "port" => out.push_str(&dice.range(32_768, 61_000).to_string()),
            Some(("hex", digits)) => {
                for _ in 0..digits.parse::<u64>().unwrap_or(0).min(64) {
                    out.push(char::from(*dice.pick(b"0123456789abcdef")));
                }
            }
            Some(("pick", choices)) => {
                let choices: Vec<&str> = choices.split('|').collect();
                out.push_str(dice.pick::<&str>(&choices));
            }
            _ => out.push_str(&format!("%{{{name}}}")),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn placeholders_are_filled_in_and_the_rest_stays() {
        let mut dice = Dice::new(1, "test");
        assert_eq!(expand("a%{n}b ${jndi:x} 100%", 3, &mut dice), "a3b ${jndi:x} 100%");
        assert_eq!(expand("%{pick:x|x}%{what}", 1, &mut dice), "x%{what}");
        assert_eq!(expand("%{hex:12}", 1, &mut dice).len(), 12);
        assert_eq!(expand("open %{n", 1, &mut dice), "open %{n");
    }

    #[test]
    fn every_story_reads_and_every_step_can_be_played() {
        let stories = stories();
        assert_eq!(stories.iter().map(|story| &story.key).collect::<HashSet<_>>().len(), 8);
        for story in &stories {
            assert!(city::UNITS.iter().any(|unit| unit.code == story.unit), "{}", story.key);
            assert!(!story.rules.is_empty() && !story.entities.is_empty(), "{}", story.key);
            for (hosts, steps) in [(&story.hosts, &story.steps), (&story.twin.hosts, &story.twin.steps)] {
                assert!(!steps.is_empty(), "{}", story.key);
                for step in steps {
                    assert!(city::host(&step.host).is_some(), "{}: {}", story.key, step.host);
                    assert!(hosts.contains(&step.host), "{}: {}", story.key, step.host);
                    assert!(step.at_ms().is_some() && step.times <= TIMES_MAX, "{}: {}", story.key, step.at);
                    let kinds =
                        [step.syslog.is_some(), step.audit.is_some(), step.visit.is_some(), step.windows.is_some()];
                    assert_eq!(kinds.iter().filter(|kind| **kind).count(), 1, "{}: {}", story.key, step.at);
                }
            }
        }
    }

    #[test]
    fn stories_share_no_host() {
        let mut seen = HashSet::new();
        for story in stories() {
            assert!(story.hosts.into_iter().collect::<HashSet<_>>().into_iter().all(|host| seen.insert(host)));
        }
    }
}
