//! syslog-ng and `logger` against the real binary: framings and formats as they write them, and syslog-ng's http() to
//! `_bulk` with `kill -9` in the middle.
//!
//! syslog-ng comes from Debian's packages, unpacked and never installed; `logger` is util-linux's of the machine. Where
//! they are not there the tests say `skipped:` and what.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::senders::{Place, Sender, check_none_doubled};
use crate::support::{PATIENCE, debian, stdout, wait_for};

/// syslog-ng, unpacked.
pub struct SyslogNg {
    folder: PathBuf,
}

impl SyslogNg {
    /// Unpacks syslog-ng unless that was done before.
    pub fn get() -> Option<SyslogNg> {
        let names = [
            "syslog-ng-core",
            "syslog-ng-mod-http",
            "libivykis0",
            "libjson-c5",
            "libnet1",
            "libwrap0",
            "libpcre3",
            "libcurl4",
        ];
        debian::unpacked("syslog-ng", &names, "usr/sbin/syslog-ng").map(|folder| SyslogNg { folder })
    }

    /// Starts it with a destination, reading the lines of a file.
    fn start(&self, folder: &Path, lines: &Path, destination: &str) -> Sender {
        let config = folder.join("syslog-ng.conf");
        let text = format!(
            "@version: 3.38\n\
             options {{ time-reopen(1); keep-hostname(yes); }};\n\
             source lines {{ file(\"{}\" follow-freq(0.2) flags(no-parse) host-override(\"may-01\") program-override(\"app\")); }};\n\
             destination there {{ {destination} }};\n\
             log {{ source(lines); destination(there); flags(flow-control); }};\n",
            lines.display(),
        );
        std::fs::write(&config, text).unwrap();
        self.run(&config, folder)
    }

    /// Runs it with a configuration, in the foreground; what it keeps is in this folder.
    pub fn run(&self, config: &Path, folder: &Path) -> Sender {
        let file = |name: &str| folder.join(name).display().to_string();
        let child = Command::new(self.folder.join("usr/sbin/syslog-ng"))
            .args(["--foreground", "--no-caps", "--cfgfile"])
            .arg(config)
            .args(["--persist-file", &file("ng.persist"), "--control", &file("ng.ctl"), "--pidfile", &file("ng.pid")])
            .arg("--module-path")
            .arg(self.folder.join("usr/lib/syslog-ng/3.38"))
            .env("LD_LIBRARY_PATH", debian::libraries(&self.folder, &["usr/lib/syslog-ng"]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Sender { child }
    }
}

fn count(data: &Path, query: &str) -> usize {
    stdout(&["search", query, "--data", data.to_str().unwrap(), "--count"]).trim().parse().unwrap()
}

/// Every line comes through once, read as the format it is in; nobody is killed, for nobody answers.
fn over(flag: &str, destination: &str, query: &str) {
    let Some(syslog_ng) = SyslogNg::get() else { return };
    let place = Place::with_flag(flag);
    let server = place.start();
    let destination = destination.replace("PORT", &place.port.to_string());
    let sender = syslog_ng.start(place.folder.path(), &place.lines(), &destination);
    check_none_doubled(&place.wait_for_all());
    assert_eq!(count(&place.data, query), place.lines, "{query}");
    drop(sender);
    server.stop();
}

#[test]
fn syslog_ng_over_network_is_bsd_syslog_by_line() {
    let query = "host.name:may-01 AND process.name:app AND NOT log.syslog.version:*";
    over("--syslog-tcp", "network(\"127.0.0.1\" port(PORT) transport(\"tcp\"));", query);
}

#[test]
fn syslog_ng_over_syslog_is_rfc_5424_by_octets() {
    let query = "host.name:may-01 AND process.name:app AND log.syslog.version:1";
    over("--syslog-tcp", "syslog(\"127.0.0.1\" port(PORT) transport(\"tcp\"));", query);
}

#[test]
fn syslog_ng_over_bulk_loses_and_doubles_nothing_when_the_server_is_killed() {
    let Some(syslog_ng) = SyslogNg::get() else { return };
    let place = Place::new("elastic");
    let server = place.start();
    // By itself it gives a batch up after three tries.
    let destination = format!(
        "http(url(\"http://127.0.0.1:{}/_bulk\") method(\"POST\") user(\"sender\") password(\"{}\") \
         headers(\"Content-Type: application/x-ndjson\") batch-lines(100) batch-timeout(200) delimiter(\"\\n\") \
         body-suffix(\"\\n\") body('{{\"create\":{{\"_id\":\"$MSG\"}}}}\n{{\"message\":\"$MSG\"}}') timeout(10) \
         retries(100000));",
        place.port, place.token
    );
    let sender = syslog_ng.start(place.folder.path(), &place.lines(), &destination);
    let server = place.kill_twice(server);
    check_none_doubled(&place.wait_for_all());
    drop(sender);
    server.stop();
}

#[test]
fn logger_is_read_in_each_of_its_forms() {
    let is_there = Command::new("logger").arg("--version").stdout(Stdio::null()).status();
    if !is_there.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no logger");
        return;
    }
    for (flag, forms) in [
        (
            "--syslog-tcp",
            &[&["--tcp", "--rfc3164"][..], &["--tcp", "--rfc5424"], &["--tcp", "--octet-count", "--rfc5424"]][..],
        ),
        ("--syslog-udp", &[&["--udp", "--rfc3164"], &["--udp", "--rfc5424"], &["--udp"]]),
    ] {
        let place = Place::with_flag(flag);
        let server = place.start();
        for (number, form) in forms.iter().enumerate() {
            let message = format!("chào {number} {}", form.join(" "));
            let status = Command::new("logger")
                .args(*form)
                .args([
                    "--server",
                    "127.0.0.1",
                    "--port",
                    &place.port.to_string(),
                    "--tag",
                    "thu",
                    "--id=77",
                    "--priority",
                ])
                .args(["auth.warning", "--", &message])
                .status()
                .unwrap();
            assert!(status.success(), "{form:?}");
            let query = format!(
                "message:\"{message}\" AND process.name:thu AND process.pid:77 AND log.syslog.priority:36 AND host.name:* \
                 AND {}log.syslog.version:*",
                if form.contains(&"--rfc3164") { "NOT " } else { "" }
            );
            wait_for(&query, PATIENCE, || count(&place.data, &query) == 1);
        }
        server.stop();
    }
}
