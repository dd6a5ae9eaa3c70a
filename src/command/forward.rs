//! `nhatle forward`: the ward kit. `--check` says whether everything is in order, `--status` how it stands.

use std::time::Duration;

use nhatle_event::{Clock, SystemClock};

use super::{End, UsageError, output};
use crate::cli::ForwardArgs;
use crate::forward::client::{Client, said};
use crate::forward::config::{self, Config};
use crate::forward::status::{self, Status, is_vietnamese};
use crate::forward::{identity, run};

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, the city refuses, the spool cannot be used.
pub fn run(args: &ForwardArgs) -> anyhow::Result<End> {
    let config = config::load(&args.config)?;
    if args.status {
        return status(&config, args.json);
    }
    if args.check {
        return check(&config);
    }
    run::run(config)?;
    Ok(End::Done)
}

fn status(config: &Config, is_json: bool) -> anyhow::Result<End> {
    let path = config.file.state.join(status::FILE);
    let bytes = std::fs::read(&path);
    let status: Option<Status> = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(status) = status else {
        let (path, language) = (path.display(), is_vietnamese());
        let text =
            if language { "bộ chuyển tiếp chưa chạy lần nào" } else { "the forwarder has not run yet" };
        return Err(UsageError(format!("{text}: {path}")).into());
    };
    if is_json {
        output::line(&serde_json::to_string(&status)?)?;
    } else {
        for line in status.lines(is_vietnamese(), SystemClock.now()) {
            output::line(&line)?;
        }
    }
    Ok(if status.trouble.is_some() { End::Findings } else { End::Done })
}

/// Says line by line what is in order and what is not.
fn check(config: &Config) -> anyhow::Result<End> {
    let mut is_good = true;
    let mut say = |vietnamese: &str, english: &str, result: Result<String, String>| {
        let what = if is_vietnamese() { vietnamese } else { english };
        let (mark, more) = match result {
            Ok(more) => ("ok", more),
            Err(more) => {
                is_good = false;
                ("!!", more)
            }
        };
        output::line(&format!("{mark} {what}{}{more}", if more.is_empty() { "" } else { ": " }))
    };
    say("cấu hình", "configuration", Ok(config.file.server.clone()))?;
    for (source, _) in &config.followed {
        use crate::followed::Source;
        let (name, result) = match source {
            Source::File(file) => (file.path.display().to_string(), readable(file.path.parent())),
            Source::Evtx(folder) => (folder.folder.display().to_string(), readable(Some(&folder.folder))),
            Source::Journald(program) => {
                let ran = std::process::Command::new(program).arg("--version").output();
                (program.display().to_string(), ran.map(|_| ()).map_err(|error| error.to_string()))
            }
        };
        say("đọc được", "readable", result.map(|()| name.clone()).map_err(|error| format!("{name}: {error}")))?;
    }
    let held = identity::load(&config.file.state);
    let identity = match (&held, &config.token, &config.code) {
        (Err(error), ..) => Err(said(error)),
        (Ok(Some(held)), ..) if held.not_after < SystemClock.now() => Err(format!(
            "{}: {}",
            held.name,
            if is_vietnamese() { "đã hết hạn; xin mã mới" } else { "expired; a new code is needed" }
        )),
        (Ok(Some(held)), ..) => {
            Ok(format!("{} ({}), {}", held.name, held.unit.as_deref().unwrap_or("-"), held.not_after))
        }
        (Ok(None), Some(_), _) => Ok("token".to_owned()),
        (Ok(None), None, Some(_)) => {
            Ok(if is_vietnamese() { "sẽ ghi danh bằng mã" } else { "will enroll with the code" }.to_owned())
        }
        (Ok(None), None, None) => Err(if is_vietnamese() { "chưa có mã" } else { "no code" }.to_owned()),
    };
    say("danh tính", "identity", identity)?;
    say("máy chủ thành phố", "city", reach(config, held.ok().flatten().as_ref()))?;
    Ok(if is_good { End::Done } else { End::Findings })
}

fn readable(folder: Option<&std::path::Path>) -> Result<(), String> {
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    std::fs::read_dir(folder).map(|_| ()).map_err(|error| error.to_string())
}

/// Whether the city answers; a refusal is an answer.
fn reach(config: &Config, held: Option<&identity::Held>) -> Result<String, String> {
    let tls = match (held, &config.code) {
        _ if !config.city.is_tls => None,
        (Some(held), _) => Some(held.tls().map_err(|error| said(&error))?),
        (None, Some(code)) => Some(crate::pki::enroll_client(code).map_err(|error| said(&error))?),
        (None, None) => return Err(if is_vietnamese() { "chưa có mã" } else { "no code" }.to_owned()),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let mut client = Client::new(config.city.clone(), tls);
    let asked = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), client.post("/healthz", &[], Vec::new())).await
    });
    match asked {
        Ok(Ok(_)) => Ok(config.file.server.clone()),
        Ok(Err(error)) => Err(said(&error)),
        Err(late) => Err(late.to_string()),
    }
}
