//! Accounts and privileges: sudo, su, login, logind, and shadow-utils' changes of users and groups.
//!
//! In: the message of one of these programs. Out: ECS fields on the event. Source: sudo's logging.c, su
//! and login of util-linux and shadow, systemd-logind, shadow-utils' useradd, usermod, groupadd, gpasswd.

use nhatle_event::{Event, Field};

use super::linux::{Outcome, authentication, category, iam, set_source, set_user};

/// `lan : [problem ; ]TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls`.
pub fn sudo(event: &mut Event, message: &str) {
    let Some((user, rest)) = message.split_once(" : ") else { return };
    let user = user.trim();
    if user.contains(' ') {
        return;
    }
    let (front, command) = match rest.split_once("COMMAND=") {
        Some((front, command)) => (front, Some(command)),
        None => (rest, None),
    };
    let (mut is_sudo, mut problem) = (command.is_some(), None);
    for part in front.split(" ; ").map(|part| part.trim_matches([' ', ';'])).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("TTY", tty)) => event.set_named("sudo.tty", tty),
            Some(("PWD", folder)) => event.set(Field::PROCESS_WORKING_DIRECTORY, folder),
            Some(("USER", target)) => {
                is_sudo = true;
                event.set(Field::USER_EFFECTIVE_NAME, target);
                event.add(Field::RELATED_USER, target);
            }
            Some(("GROUP", group)) => event.set(Field::GROUP_NAME, group),
            Some(("ENV", environment)) => event.set_named("sudo.env", environment),
            Some(("HOST" | "CHROOT" | "TSID", _)) => {}
            _ => problem = Some(part),
        }
    }
    if !is_sudo {
        return;
    }
    set_user(event, user);
    category(event, "process", &["start"]);
    event.set(Field::EVENT_ACTION, "sudo_command");
    event.set(Field::EVENT_OUTCOME, if problem.is_some() { "failure" } else { "success" });
    if let Some(problem) = problem {
        event.set(Field::EVENT_REASON, problem);
    }
    if let Some(command) = command {
        event.set(Field::PROCESS_COMMAND_LINE, command);
    }
}

/// `Successful su for root by lan`, `FAILED SU (to root) lan on pts/1`, `(to root) lan on pts/1`,
/// `+ pts/0 lan:root`.
pub fn su(event: &mut Event, message: &str) {
    let target_by = |rest: &str| rest.split_once(" by ").map(|(target, by)| (target.to_owned(), by.to_owned()));
    let to = |rest: &str| {
        let (target, rest) = rest.strip_prefix("(to ")?.split_once(") ")?;
        Some((target.to_owned(), rest.split(" on ").next().unwrap_or(rest).to_owned()))
    };
    let sign = |rest: &str| {
        let (_, users) = rest.rsplit_once(' ')?;
        let (by, target) = users.split_once(':').or_else(|| users.split_once('-'))?;
        Some((target.to_owned(), by.to_owned()))
    };
    let failed = message.strip_prefix("FAILED SU ").or_else(|| message.strip_prefix("FAILED su "));
    let (outcome, users) = if let Some(rest) = message.strip_prefix("Successful su for ") {
        (Outcome::Success, target_by(rest))
    } else if let Some(rest) = failed {
        (Outcome::Failure, to(rest).or_else(|| target_by(rest.strip_prefix("for ").unwrap_or(rest))))
    } else if message.starts_with("(to ") {
        (Outcome::Success, to(message))
    } else if let Some(rest) = message.strip_prefix("+ ") {
        (Outcome::Success, sign(rest))
    } else if let Some(rest) = message.strip_prefix("- ") {
        (Outcome::Failure, sign(rest))
    } else {
        return;
    };
    authentication(event, "su", outcome);
    if let Some((target, by)) = users {
        event.set(Field::USER_EFFECTIVE_NAME, target.as_str());
        set_user(event, &by);
        event.add(Field::RELATED_USER, target);
    }
}

/// `FAILED LOGIN (1) on '/dev/tty1' FOR 'lan', …`, `FAILED LOGIN 1 FROM 10.0.0.1 FOR lan, …`,
/// `ROOT LOGIN  on '/dev/tty1'`, `LOGIN ON tty1 BY lan FROM 10.0.0.1`.
pub fn login(event: &mut Event, message: &str) {
    let after = |name: &str| {
        let rest = message.split_once(name)?.1;
        let rest =
            rest.strip_prefix('\'').map_or_else(|| rest.split([' ', ',']).next(), |rest| rest.split('\'').next());
        rest.filter(|word| !word.is_empty())
    };
    if message.starts_with("FAILED LOGIN") {
        authentication(event, "login", Outcome::Failure);
        set_user(event, after(" FOR ").unwrap_or_default());
    } else if message.starts_with("ROOT LOGIN") {
        authentication(event, "login", Outcome::Success);
        set_user(event, "root");
    } else if message.starts_with("LOGIN ON") {
        authentication(event, "login", Outcome::Success);
        set_user(event, after(" BY ").unwrap_or_default());
    } else {
        return;
    }
    let source = after(" FROM ").or_else(|| after(" from ")).filter(|source| !source.starts_with('/'));
    set_source(event, source.unwrap_or_default());
}

/// `New session 12 of user lan.`, `Removed session 12.`
pub fn logind(event: &mut Event, message: &str) {
    if let Some((id, user)) = message.strip_prefix("New session ").and_then(|rest| rest.split_once(" of user ")) {
        category(event, "session", &["start"]);
        event.set(Field::EVENT_ACTION, "session_opened");
        event.set_named("session.id", id);
        // systemd ends the sentence: a name with a dot at its end is no login name.
        set_user(event, user.trim_end_matches('.'));
    } else if let Some(id) = message.strip_prefix("Removed session ") {
        category(event, "session", &["end"]);
        event.set(Field::EVENT_ACTION, "session_closed");
        event.set_named("session.id", id.trim_end_matches('.'));
    }
}

/// shadow-utils: what changed, of whom, and in which group.
pub fn change(event: &mut Event, program: &str, message: &str) {
    let changed = created(event, message) || membership(event, message) || removed(event, program, message);
    if !changed {
        changed_user(event, program, message);
    }
}

/// `new user: name=lan, UID=1001, GID=1001, home=/home/lan, shell=/bin/sh, from=…`, `new group: name=…`.
fn created(event: &mut Event, message: &str) -> bool {
    let (is_user, rest) = if let Some(rest) = message.strip_prefix("new user: ") {
        (true, rest)
    } else if let Some(rest) = message.strip_prefix("new group: ") {
        (false, rest)
    } else if message.starts_with("group added to ") {
        (false, message.split_once(": ").map_or("", |(_, rest)| rest))
    } else {
        return false;
    };
    iam(
        event,
        if is_user { "user_added" } else { "group_added" },
        &[if is_user { "user" } else { "group" }, "creation"],
    );
    for (key, value) in rest.split(", ").filter_map(|pair| pair.split_once('=')) {
        match (key, is_user) {
            ("name", true) => set_user(event, value),
            ("name", false) => event.set(Field::GROUP_NAME, value),
            ("UID", _) => event.set(Field::USER_ID, value),
            ("GID", _) => event.set(Field::GROUP_ID, value),
            ("home" | "shell", _) => event.set_named(&format!("user.{key}"), value),
            _ => {}
        }
    }
    true
}

/// `add 'lan' to group 'sudo'` (useradd, usermod), `user lan added by root to group sudo` (gpasswd).
fn membership(event: &mut Event, message: &str) -> bool {
    let quoted = |rest: &str| rest.split('\'').nth(1).map(ToOwned::to_owned);
    let told = if let Some(rest) = message.strip_prefix("add ") {
        rest.split_once(" to ").map(|(user, group)| ("user_added_to_group", quoted(user), quoted(group), None))
    } else if let Some(rest) = message.strip_prefix("delete ").filter(|rest| rest.contains(" from ")) {
        rest.split_once(" from ").map(|(user, group)| ("user_removed_from_group", quoted(user), quoted(group), None))
    } else if let Some(rest) = message.strip_prefix("user ") {
        let added = rest.split_once(" added by ").map(|found| ("user_added_to_group", " to group ", found));
        let removed =
            || rest.split_once(" removed by ").map(|found| ("user_removed_from_group", " from group ", found));
        added.or_else(removed).and_then(|(action, link, (user, rest))| {
            let (by, group) = rest.split_once(link)?;
            Some((action, Some(user.to_owned()), Some(group.to_owned()), Some(by)))
        })
    } else {
        None
    };
    let Some((action, Some(user), Some(group), by)) = told else { return false };
    iam(event, action, &["group", "change"]);
    set_user(event, &user);
    event.set(Field::GROUP_NAME, group);
    if let Some(by) = by {
        // Who did it is the user, whose membership changed the target.
        event.set(Field::USER_TARGET_NAME, user);
        set_user(event, by);
    }
    true
}

/// `delete user 'lan'`, `removed group 'lan' owned by 'lan'`, `group 'x' removed`.
fn removed(event: &mut Event, program: &str, message: &str) -> bool {
    let name = message.split('\'').nth(1).unwrap_or_default();
    if message.starts_with("delete user ") {
        iam(event, "user_removed", &["user", "deletion"]);
        set_user(event, name);
    } else if program == "groupdel" || message.starts_with("removed group ") || message.starts_with("remove group ") {
        iam(event, "group_removed", &["group", "deletion"]);
        event.set(Field::GROUP_NAME, name);
    } else {
        return false;
    }
    true
}

/// `change user 'lan' password`, `lock user 'lan' password`, `password for 'lan' changed by 'root'`.
fn changed_user(event: &mut Event, program: &str, message: &str) {
    let name = message.split('\'').nth(1).unwrap_or_default();
    let action = if message.starts_with("lock user ") {
        "user_locked"
    } else if message.starts_with("unlock user ") {
        "user_unlocked"
    } else if message.contains("password") && (message.starts_with("change user ") || message.contains(" changed by "))
    {
        "password_changed"
    } else if message.starts_with("change user ") {
        "user_changed"
    } else {
        return;
    };
    iam(event, action, &["user", "change"]);
    set_user(event, name);
    if program == "passwd"
        && let Some(by) = message.split('\'').nth(3)
    {
        event.set(Field::USER_TARGET_NAME, name);
        set_user(event, by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nhatle_event::{Timestamp, Value};

    #[track_caller]
    fn check(set: impl Fn(&mut Event, &str), message: &str, expected: &[(Field, &str)]) {
        let mut event = Event::new(Timestamp(0), *b"x");
        set(&mut event, message);
        for (field, value) in expected {
            let found = event.get(*field).and_then(Value::as_text);
            assert_eq!(found.as_deref(), Some(*value), "{field} of {message}");
        }
        assert_eq!(expected.is_empty(), event.fields().is_empty(), "{message}");
    }

    #[test]
    fn sudo_tells_who_became_whom_for_what() {
        check(
            sudo,
            "lan : TTY=pts/0 ; PWD=/home/lan ; USER=root ; COMMAND=/bin/sh -c echo USER=x ; id",
            &[
                (Field::USER_NAME, "lan"),
                (Field::USER_EFFECTIVE_NAME, "root"),
                (Field::PROCESS_COMMAND_LINE, "/bin/sh -c echo USER=x ; id"),
                (Field::PROCESS_WORKING_DIRECTORY, "/home/lan"),
                (Field::EVENT_OUTCOME, "success"),
            ],
        );
        check(
            sudo,
            "lan : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
            &[(Field::EVENT_OUTCOME, "failure"), (Field::EVENT_REASON, "user NOT in sudoers")],
        );
        check(sudo, "lan : (command continued) /etc/x", &[]);
    }

    #[test]
    fn su_of_all_ages() {
        for message in ["Successful su for root by lan", "(to root) lan on pts/1", "+ pts/0 lan:root"] {
            check(
                su,
                message,
                &[(Field::USER_NAME, "lan"), (Field::USER_EFFECTIVE_NAME, "root"), (Field::EVENT_OUTCOME, "success")],
            );
        }
        for message in ["FAILED su for root by lan", "FAILED SU (to root) lan on pts/1", "- pts/0 lan:root"] {
            check(
                su,
                message,
                &[(Field::USER_NAME, "lan"), (Field::USER_EFFECTIVE_NAME, "root"), (Field::EVENT_OUTCOME, "failure")],
            );
        }
    }

    #[test]
    fn logins_at_the_console() {
        check(
            login,
            "FAILED LOGIN (1) on '/dev/tty1' FOR 'lan', Authentication failure",
            &[(Field::USER_NAME, "lan"), (Field::EVENT_OUTCOME, "failure")],
        );
        check(
            login,
            "FAILED LOGIN 1 FROM 10.0.0.1 FOR lan, x",
            &[(Field::USER_NAME, "lan"), (Field::SOURCE_IP, "10.0.0.1")],
        );
        check(login, "ROOT LOGIN ON tty2", &[(Field::USER_NAME, "root"), (Field::EVENT_OUTCOME, "success")]);
        check(
            logind,
            "New session 12 of user lan.",
            &[(Field::USER_NAME, "lan"), (Field::EVENT_ACTION, "session_opened")],
        );
    }

    #[test]
    fn changes_of_accounts() {
        let by = |program: &'static str| move |event: &mut Event, message: &str| change(event, program, message);
        check(
            by("useradd"),
            "new user: name=lan, UID=1001, GID=1002, home=/home/lan, shell=/bin/bash, from=/dev/pts/0",
            &[
                (Field::EVENT_ACTION, "user_added"),
                (Field::USER_NAME, "lan"),
                (Field::USER_ID, "1001"),
                (Field::GROUP_ID, "1002"),
            ],
        );
        check(
            by("groupadd"),
            "group added to /etc/group: name=ops, GID=7",
            &[(Field::GROUP_NAME, "ops"), (Field::GROUP_ID, "7")],
        );
        check(
            by("usermod"),
            "add 'lan' to group 'sudo'",
            &[(Field::EVENT_ACTION, "user_added_to_group"), (Field::USER_NAME, "lan"), (Field::GROUP_NAME, "sudo")],
        );
        check(
            by("gpasswd"),
            "user lan added by root to group sudo",
            &[(Field::USER_NAME, "root"), (Field::USER_TARGET_NAME, "lan"), (Field::GROUP_NAME, "sudo")],
        );
        check(by("userdel"), "delete user 'lan'", &[(Field::EVENT_ACTION, "user_removed"), (Field::USER_NAME, "lan")]);
        check(
            by("usermod"),
            "change user 'lan' password",
            &[(Field::EVENT_ACTION, "password_changed"), (Field::USER_NAME, "lan")],
        );
        check(
            by("passwd"),
            "password for 'lan' changed by 'root'",
            &[(Field::USER_NAME, "root"), (Field::USER_TARGET_NAME, "lan")],
        );
        check(by("passwd"), "nothing known", &[]);
    }
}
