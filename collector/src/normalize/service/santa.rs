//! Santa, which allows and blocks programs on macOS: what was run, written, mounted.
//!
//! In: a line of its log: `[2026-11-23T02:10:00.1Z] I santad: action=EXEC|decision=ALLOW|…`. Out: the process with its parent, account,
//! hash and command line; the rest under `santa.*`. Santa writes `<pipe>` for a `|` in a value, so that none passes for a
//! mark. Source: Santa documentation, "Logs" (northpole.dev); ECS 8.17.

use nhatle_event::{Event, Field};

use super::{happened, set_named};
use crate::normalize::Context;
use crate::normalize::device::{Act, set_text};
use crate::normalize::linux::set_user;
use crate::parse::date;

/// The moment, the level's letter and the pairs of a line.
fn take(text: &str, offset_s: i32) -> Option<(nhatle_event::Timestamp, &str, &str)> {
    let (stamp, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let (level, pairs) = rest.split_once(" santad: ")?;
    let (stamp, used) = date::iso(stamp, offset_s).ok()??;
    (used == text.find(']')?.checked_sub(1)? && level.len() == 1 && pairs.starts_with("action="))
        .then_some((stamp, level, pairs))
}

/// Whether a line is surely Santa's: moment, level and program stand before any value.
pub fn is_own(text: &str, offset_s: i32) -> bool {
    take(text, offset_s).is_some()
}

/// Sets what a line means.
pub fn set_fields(event: &mut Event, message: &str, context: &Context<'_>) {
    let pairs = match take(message, context.offset_s) {
        Some((stamp, level, pairs)) => {
            event.timestamp = stamp;
            event.set(Field::LOG_LEVEL, level);
            pairs
        }
        None => message.split_once("santad: ").map_or(message, |(_, pairs)| pairs),
    };
    let value_of = |name: &str| {
        let found = pairs.split('|').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        found.map(|(_, value)| value.replace("<pipe>", "|")).filter(|value| !value.is_empty())
    };
    let Some(action) = value_of("action") else { return };
    let (is_exec, decision) = (action == "EXEC", value_of("decision"));
    let outcome = match decision.as_deref() {
        Some(decision) if decision.starts_with("DENY") => "failure",
        Some(decision) if decision.starts_with("ALLOW") => "success",
        _ => "",
    };
    let meaning = match action.as_str() {
        "EXEC" => Act("process", &["start"], outcome),
        "WRITE" => Act("file", &["change"], "success"),
        "RENAME" | "LINK" => Act("file", &["change"], "success"),
        "DELETE" => Act("file", &["deletion"], "success"),
        "DISKAPPEAR" | "DISKDISAPPEAR" => Act("host", &["info"], ""),
        _ => Act("process", &["info"], outcome),
    };
    happened(event, "", meaning);
    event.set(Field::EVENT_ACTION, action.to_lowercase());
    let (path, program) = (value_of("path"), value_of("processpath").or_else(|| value_of("process")));
    let executable = if is_exec { path.clone() } else { program };
    for (field, value) in [
        (Field::PROCESS_EXECUTABLE, executable.clone()),
        (Field::PROCESS_NAME, executable.as_deref().and_then(|path| path.rsplit('/').next()).map(str::to_owned)),
        (Field::PROCESS_COMMAND_LINE, value_of("args")),
        (Field::PROCESS_HASH_SHA256, value_of("sha256").filter(|_| is_exec)),
        (Field::PROCESS_PID, value_of("pid")),
        (Field::PROCESS_PARENT_PID, value_of("ppid")),
        (Field::USER_ID, value_of("uid")),
        (Field::GROUP_ID, value_of("gid")),
        (Field::GROUP_NAME, value_of("group")),
        (Field::FILE_PATH, path.filter(|_| !is_exec)),
    ] {
        set_text(event, field, value.as_deref().unwrap_or_default());
    }
    set_user(event, value_of("user").as_deref().unwrap_or_default());
    for (name, key) in [
        ("santa.decision", "decision"),
        ("santa.reason", "reason"),
        ("santa.mode", "mode"),
        ("santa.certificate.common_name", "cert_cn"),
        ("santa.certificate.sha256", "cert_sha256"),
        ("santa.new_path", "newpath"),
        ("santa.disk.mount", "mount"),
        ("santa.disk.volume", "volume"),
        ("santa.disk.model", "model"),
        ("santa.disk.serial", "serial"),
        ("santa.disk.bus", "bus"),
    ] {
        set_named(event, name, value_of(key).as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn programs_that_run_and_files_that_change() {
        let line = r"[2026-11-23T02:10:00.125Z] I santad: action=EXEC|decision=DENY|reason=BINARY|sha256=00ff|path=/Users/lan/a b/x|args=/Users/lan/a b/x --y=<pipe>z|cert_cn=A, B|pid=77|ppid=1|uid=501|user=lan|gid=20|group=staff|mode=L";
        check(
            "santa",
            line,
            &[
                ("event.module", "macos"),
                ("event.action", "exec"),
                ("event.outcome", "failure"),
                ("process.executable", "/Users/lan/a b/x"),
                ("process.name", "x"),
                ("process.command_line", "/Users/lan/a b/x --y=|z"),
                ("process.hash.sha256", "00ff"),
                ("process.pid", "77"),
                ("process.parent.pid", "1"),
                ("user.name", "lan"),
                ("group.id", "20"),
                ("santa.reason", "BINARY"),
                ("log.level", "I"),
                ("@timestamp", "2026-11-23T02:10:00.125Z"),
            ],
        );
        check(
            "santa",
            "[2026-11-23T02:10:00.125Z] I santad: action=DELETE|path=/x|pid=7|ppid=1|process=rm|processpath=/bin/rm|uid=0|user=root|gid=0|group=wheel",
            &[("file.path", "/x"), ("process.executable", "/bin/rm"), ("event.type", "deletion")],
        );
        check("santa", "[2026-11-23T02:10:00.125Z] I santad: x", &[("!event.action", ""), ("event.module", "macos")]);
    }
}
