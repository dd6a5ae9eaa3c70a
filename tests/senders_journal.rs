//! systemd-journal-upload against the real binary, with `kill -9` in the middle.
//!
//! It comes from Debian's packages, unpacked and never installed, and needs no systemd that runs: the journal it sends is
//! made by systemd-journal-remote of the same package. Where they cannot be had, or do not run here, the test says
//! `skipped:` and what.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::senders::{Place, check_none_doubled};
use crate::support::{PATIENCE, debian, stdout, wait_for};

struct Journal<'a> {
    root: &'a Path,
    place: &'a Place,
}

impl Journal<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.root.join("lib/systemd").join(program));
        let libraries = ["usr/lib/x86_64-linux-gnu/systemd", "lib/x86_64-linux-gnu/systemd"];
        command.env("LD_LIBRARY_PATH", debian::libraries(self.root, &libraries));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Makes a journal of as many entries as there are lines; no journal, no test.
    fn make(&self) -> Option<()> {
        let mut export = String::new();
        for number in 0..self.place.lines {
            let micros = 1_770_091_506_000_000 + number;
            writeln!(
                export,
                "__REALTIME_TIMESTAMP={micros}\n__MONOTONIC_TIMESTAMP={number}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n\
                 _MACHINE_ID=fedcba9876543210fedcba9876543210\n_HOSTNAME=may-01\nPRIORITY=6\nSYSLOG_IDENTIFIER=app\n_PID=77\n\
                 _TRANSPORT=syslog\nMESSAGE=dong{number:05}\n"
            )
            .unwrap();
        }
        let file = self.place.folder.path().join("journal");
        std::fs::create_dir(&file).unwrap();
        let mut remote = self.command("systemd-journal-remote");
        remote.arg("--output").arg(file.join("remote.journal")).arg("-").stdin(Stdio::piped());
        let mut child = remote.spawn().ok()?;
        child.stdin.take().unwrap().write_all(export.as_bytes()).ok()?;
        child.wait().ok().filter(ExitStatus::success).map(drop)
    }

    /// Sends what was not answered yet, once.
    fn upload(&self) -> ExitStatus {
        let (folder, Place { port, token, .. }) = (self.place.folder.path(), self.place);
        let mut upload = self.command("systemd-journal-upload");
        upload.args(["--follow=no", "--url", &format!("http://sender:{token}@127.0.0.1:{port}")]);
        upload.arg("--directory").arg(folder.join("journal"));
        upload.arg(format!("--save-state={}", folder.join("state").display()));
        upload.status().unwrap()
    }
}

#[test]
fn journal_upload_loses_and_doubles_nothing_when_the_server_is_killed() {
    let packages = ["systemd-journal-remote", "libsystemd-shared", "libmicrohttpd12", "libcurl4"];
    let root = debian::unpacked("journal-upload", &packages, "lib/systemd/systemd-journal-upload");
    let Some(root) = root else { return };
    let place = Place::with_flag("--http");
    let journal = Journal { root: &root, place: &place };
    if journal.make().is_none() {
        eprintln!("skipped: systemd-journal-remote does not run here");
        return;
    }
    let server = place.start();
    let server = std::thread::scope(|threads| {
        // As systemd does: started again after each end that was none.
        let sender = threads.spawn(|| wait_for("all is sent", PATIENCE, || journal.upload().success()));
        let server = place.kill_twice(server);
        sender.join().unwrap();
        server
    });
    check_none_doubled(&place.wait_for_all());
    let query = "host.name:may-01 AND process.name:app AND process.pid:77";
    let count = stdout(&["search", query, "--data", place.data.to_str().unwrap(), "--count"]);
    assert_eq!(count.trim(), place.lines.to_string());
    // What was answered is not sent again.
    assert!(journal.upload().success());
    check_none_doubled(&place.wait_for_all());
    server.stop();
}
