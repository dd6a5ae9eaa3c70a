//! `nhatle user`, `nhatle token`, `nhatle enroll`: accounts, tokens and enrolment codes without the page.
//!
//! The change goes into the register; a running server reads it from there within a second.

use std::io::BufRead;
use std::path::Path;

use anyhow::Context;
use nhatle_engine::account::{AccountChange, Role, TokenChange, is_account_name};
use nhatle_engine::register::{AnyChange, RegisterState};
use nhatle_event::json::hex;
use nhatle_event::{Clock, SystemClock};
use nhatle_storage::OsDisk;
use nhatle_ui::session::{hash_password, is_acceptable_password, random_token, token_sha256};

use super::{End, UsageError, output};
use crate::cli_accounts::{EnrollArgs, GrantArgs, ListArgs, TokenCommand, UserCommand};
use crate::enroll::{self, CODE_HOURS_MAX};
use crate::pki::Authority;
use crate::registry::{RecordError, Registry};
use crate::units;

/// Who the register names as the actor of a command.
pub const ACTOR: &str = "command line";

/// `nhatle user`
///
/// # Errors
/// The name is taken, unknown or none, the role is unknown, the password too weak, the register cannot be written.
pub fn user(command: &UserCommand) -> anyhow::Result<End> {
    match command {
        UserCommand::Add { grant, password_stdin: _ } => {
            let role = role(grant)?;
            let create = AccountChange::Create { role, unit: grant.unit.clone(), password_hash: Some(typed_hash()?) };
            record_change(&grant.data.data, &AnyChange::Account(grant.name.to_lowercase(), create))?;
            output::say(&format!("account {} made", grant.name.to_lowercase()));
        }
        UserCommand::Password { known, password_stdin: _ } => {
            let change = AccountChange::SetPassword { password_hash: typed_hash()? };
            record_known(&known.data.data, &AnyChange::Account(known.name.to_lowercase(), change))?;
            output::say(&format!("account {} has another password", known.name.to_lowercase()));
        }
        UserCommand::Disable(known) => {
            record_known(&known.data.data, &AnyChange::Account(known.name.to_lowercase(), AccountChange::Disable))?;
            output::say(&format!("account {} switched off", known.name.to_lowercase()));
        }
        UserCommand::List(args) => list(args, |state| {
            let all = state.accounts.values();
            all.map(|one| (one.name.clone(), one.role, one.unit.clone(), one.is_disabled)).collect()
        })?,
    }
    Ok(End::Done)
}

/// `nhatle token`; a new token is printed, alone.
///
/// # Errors
/// The name is taken, unknown or none, the role is unknown, the register cannot be written.
pub fn token(command: &TokenCommand) -> anyhow::Result<End> {
    match command {
        TokenCommand::Add { grant } => {
            let role = role(grant)?;
            let token = random_token();
            let hash = hex(&token_sha256(&token));
            let create = TokenChange::Create { role, unit: grant.unit.clone(), hash };
            record_change(&grant.data.data, &AnyChange::Token(grant.name.clone(), create))?;
            output::line(&token)?;
        }
        TokenCommand::Revoke(known) => {
            record_known(&known.data.data, &AnyChange::Token(known.name.clone(), TokenChange::Revoke))?;
            output::say(&format!("token {} taken back", known.name));
        }
        TokenCommand::List(args) => list(args, |state| {
            let all = state.tokens.values();
            all.map(|one| (one.name.clone(), one.role, one.unit.clone(), one.is_revoked)).collect()
        })?,
    }
    Ok(End::Done)
}

/// The hash of the password on the first line of standard input.
fn typed_hash() -> anyhow::Result<String> {
    let mut password = String::new();
    std::io::stdin().lock().read_line(&mut password).context("read the password from standard input")?;
    let password = password.trim_end_matches(['\r', '\n']);
    if !is_acceptable_password(password) {
        return Err(UsageError("the password must have 12 characters or more, and 256 bytes at most".to_owned()).into());
    }
    Ok(hash_password(password)?)
}

/// Name, role, unit, and whether it is switched off.
type Listed = (String, Role, Option<String>, bool);

fn list(args: &ListArgs, rows: impl FnOnce(&RegisterState) -> Vec<Listed>) -> anyhow::Result<()> {
    check_is_store(&args.data.data)?;
    for (name, role, unit, is_off) in with_registry(&args.data.data, |registry| registry.read(rows))? {
        if args.json {
            let json = serde_json::json!({ "name": name, "role": role.name(), "unit": unit, "is_off": is_off });
            output::line(&json.to_string())?;
        } else {
            let state = if is_off { "off" } else { "on" };
            output::line(&format!("{name}\t{}\t{}\t{state}", role.name(), unit.as_deref().unwrap_or("-")))?;
        }
    }
    Ok(())
}

/// A change of what is there: a folder whose name was mistyped is not made.
fn record_known(data: &Path, change: &AnyChange) -> anyhow::Result<()> {
    check_is_store(data)?;
    record_change(data, change)
}

fn check_is_store(data: &Path) -> anyhow::Result<()> {
    match data.is_dir() {
        true => Ok(()),
        false => Err(UsageError(format!("{} is no folder", data.display())).into()),
    }
}

/// Gives out an enrolment code and prints it.
///
/// # Errors
/// Name or unit have no good form, the unit is none of the configuration that the server runs with, or the register cannot be written.
pub fn enroll(args: &EnrollArgs) -> anyhow::Result<End> {
    if !is_account_name(&args.name) {
        return Err(UsageError("a name has 1 to 64 letters, digits, '.', '_', '-' or '@'".to_owned()).into());
    }
    if !(1..=CODE_HOURS_MAX).contains(&args.hours) {
        return Err(UsageError(format!("--hours: 1 to {CODE_HOURS_MAX}")).into());
    }
    let known = match OsDisk::existing(&args.data.data) {
        Ok(disk) => units::kept(&disk).context("read which units there are")?,
        // The server has not run here yet: it makes the folder, and says then which units there are.
        Err(_new) => Vec::new(),
    };
    if known.is_empty() {
        output::say(&format!("unit {} is not checked: no server with units has run on this folder yet", args.unit));
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    units::check_known(&args.unit, &known).map_err(UsageError)?;
    let now = SystemClock.now();
    let authority = Authority::open(&args.data.data, now).context("open the city's authority")?;
    let wanted = (args.name.as_str(), args.unit.as_str(), args.hours);
    let issued = with_registry(&args.data.data, |registry| enroll::issue(registry, &authority, ACTOR, now, wanted))?;
    let (number, code, expires) = match issued {
        Err(RecordError::Refused(refused)) => return Err(UsageError(refused.to_string()).into()),
        other => other?,
    };
    if args.json {
        let json = serde_json::json!({
            "id": number, "code": code.to_string(), "name": args.name, "unit": args.unit,
            "expires": expires.to_string(),
        });
        output::line(&json.to_string())?;
    } else {
        output::line(&code.to_string())?;
        output::say(&format!("for {} of {}, once, until {expires}", args.name, args.unit));
    }
    Ok(End::Done)
}

fn role(grant: &GrantArgs) -> anyhow::Result<Role> {
    if !is_account_name(&grant.name) {
        return Err(UsageError("a name has 1 to 64 letters, digits, '.', '_', '-' or '@'".to_owned()).into());
    }
    let role = Role::from_name(&grant.role).ok_or_else(|| {
        UsageError(format!("unknown role {}; write admin, analyst, ward, auditor or ingest", grant.role))
    })?;
    if role == Role::Ward && grant.unit.is_none() {
        return Err(UsageError("a ward account needs --unit CODE".to_owned()).into());
    }
    Ok(role)
}

/// Works with the register of a data folder.
pub(super) fn with_registry<T>(data: &Path, work: impl FnOnce(&Registry) -> T) -> anyhow::Result<T> {
    OsDisk::new(data).with_context(|| format!("make folder {}", data.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let registry = Registry::open(data, runtime.handle().clone())?;
    let result = work(&registry);
    registry.close();
    Ok(result)
}

/// Writes one change down.
pub(super) fn record_change(data: &Path, change: &AnyChange) -> anyhow::Result<()> {
    match with_registry(data, |registry| registry.change(ACTOR, SystemClock.now(), change))? {
        Err(RecordError::Refused(refused)) => {
            Err(UsageError(format!("{}: {refused}", change.stream().replace('/', " "))).into())
        }
        other => Ok(other?),
    }
}
