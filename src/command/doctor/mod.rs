//! `nhatle doctor`: what is wrong with an installation, and what to do, in plain words.
//!
//! In: a data folder (also of a running server), or the address of a server and a token. Out: a line for each thing looked
//! at, in Vietnamese or English. Exit code 1 where something is wrong, 0 where at most something is to be watched. It
//! changes nothing. What cannot be looked at is said as that, never as fine.

mod local;
mod machine;
mod remote;
mod stamps;

use serde_json::json;

use super::{End, UsageError, output};
use crate::cli::DoctorArgs;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Fine,
    /// To be watched, or could not be looked at.
    Watch,
    /// Wrong.
    Wrong,
}

/// A text in both languages: Vietnamese, English.
pub type Both = [String; 2];

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name, the same in all versions.
    pub id: &'static str,
    /// How it stands.
    pub state: State,
    /// What was seen.
    pub what: Both,
    /// What to do; empty where there is nothing to do.
    pub todo: Both,
}

impl Check {
    /// As it should be.
    pub fn fine(id: &'static str, vietnamese: String, english: String) -> Check {
        Check { id, state: State::Fine, what: [vietnamese, english], todo: Both::default() }
    }

    /// To be watched.
    pub fn watch(id: &'static str, what: Both, todo: [&str; 2]) -> Check {
        Check { id, state: State::Watch, what, todo: todo.map(str::to_owned) }
    }

    /// Wrong.
    pub fn wrong(id: &'static str, what: Both, todo: [&str; 2]) -> Check {
        Check { id, state: State::Wrong, what, todo: todo.map(str::to_owned) }
    }
}

/// Runs the command.
///
/// # Errors
/// There is no such folder; the server does not answer; standard output is closed.
pub fn run(args: &DoctorArgs) -> anyhow::Result<End> {
    let checks = match &args.url {
        Some(url) => remote::look(url, args.token.as_deref().unwrap_or_default())?,
        None if args.data.data.is_dir() => local::look(&args.data.data, args.config.as_deref())?,
        None => return Err(UsageError(format!("{} is no folder", args.data.data.display())).into()),
    };
    let language = language(args.lang.as_deref());
    for check in &checks {
        let said = line(check, language, args.json);
        if args.json { output::line(&said)? } else { output::text(&said)? }
    }
    let is_wrong = checks.iter().any(|check| check.state == State::Wrong);
    Ok(if is_wrong { End::Findings } else { End::Done })
}

/// 0 = Vietnamese, 1 = English: as asked, else as the session's locale has it.
fn language(asked: Option<&str>) -> usize {
    let locale = || {
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
    };
    let word = asked.map(str::to_owned).or_else(locale).unwrap_or_default();
    usize::from(!word.starts_with("vi"))
}

fn line(check: &Check, language: usize, is_json: bool) -> String {
    let (what, todo) = (&check.what[language], &check.todo[language]);
    if is_json {
        let state = match check.state {
            State::Fine => "fine",
            State::Watch => "watch",
            State::Wrong => "wrong",
        };
        return json!({"check": check.id, "state": state, "what": what, "do": todo}).to_string();
    }
    let state = match check.state {
        State::Fine => ["tốt   ", "fine  "],
        State::Watch => ["để ý  ", "watch "],
        State::Wrong => ["HỎNG  ", "WRONG "],
    };
    let arrow = if todo.is_empty() { String::new() } else { format!("\n       → {todo}") };
    format!("{} {what}{arrow}", state[language])
}

/// Bytes as people write them.
fn bytes(count: u64) -> String {
    match count {
        count if count < 10 << 20 => format!("{} KiB", count >> 10),
        count if count < 10 << 30 => format!("{} MiB", count >> 20),
        count => format!("{} GiB", count >> 30),
    }
}

/// The first names of a list, and how many more there are.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} +{more}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_said_in_the_language_asked_for() {
        let check = Check::wrong("disk", ["đầy".into(), "full".into()], ["dọn", "clean"]);
        assert_eq!(line(&check, 0, false), "HỎNG   đầy\n       → dọn");
        assert_eq!(line(&check, 1, false), "WRONG  full\n       → clean");
        let parsed: serde_json::Value = serde_json::from_str(&line(&check, 1, true)).expect("is JSON");
        assert_eq!((&parsed["state"], &parsed["do"]), (&json!("wrong"), &json!("clean")));
        assert_eq!((language(Some("vi")), language(Some("en"))), (0, 1));
        assert_eq!((bytes(3 << 20), bytes(20 << 30)), ("3072 KiB".into(), "20 GiB".into()));
    }
}
