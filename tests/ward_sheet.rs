//! From the city's page "Add a source" to its first line, with the ward's own rsyslog or syslog-ng: the sheet is asked for as
//! a person does, and what stands on it is done to the letter, by bash and by Debian's programs.
//!
//! The only thing changed on the sheet are folders (`/etc/nhatle`, the spool), so that the machine of the test stays as it
//! is; packages are unpacked, not installed. Where a program cannot be had the test says `skipped: no …`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::pages::{PASSWORD, Visitor, add_user, csrf};
use crate::senders::{Rsyslog, Sender};
use crate::senders_syslog::SyslogNg;
use crate::support::{PATIENCE, Server, request, token, wait_for};

const NAME: &str = "phuong-dong-hai";

/// A city with TLS that has one ward.
struct City {
    server: Server,
    bearer: String,
    visitor: Visitor,
}

impl City {
    fn start(folder: &Path) -> City {
        let data = folder.join("city");
        add_user(&data);
        let bearer = format!("Bearer {}", token(&data, "admin", "admin", None));
        let config = folder.join("nhatle.toml");
        let text = "[server]\nhttps = \"127.0.0.1:0\"\n[collector]\nsyslog_tls = \"127.0.0.1:0\"\nsyslog_tls_client = \"required\"\n\
                    [canary]\nenabled = false\n[[unit]]\ncode = \"DH01\"\nname = \"Phường Đồng Hải\"\n";
        std::fs::write(&config, text).unwrap();
        let server = Server::start(&data, &["--config", config.to_str().unwrap()]);
        let mut visitor = Visitor { web: server.http, cookies: Vec::new() };
        let page = visitor.get("/login");
        let form = format!("csrf={}&user=lan&password={}", csrf(&page), PASSWORD.replace(' ', "+"));
        assert_eq!(visitor.post("/login", &form).status, 303);
        City { server, bearer, visitor }
    }

    /// The sheet for this kind of sender, which reaches the city under this name.
    fn sheet(&mut self, kind: &str, host: &str) -> Sheet {
        let page = self.visitor.get("/sources/new");
        let form = format!("csrf={}&kind={kind}&name={NAME}&unit=DH01&host={host}", csrf(&page));
        let page = self.visitor.post("/sources/new", &form);
        assert_eq!(page.status, 200, "{}", page.body);
        let lines = page.body.split("<pre class=\"raw\" tabindex=\"0\">").skip(1);
        let lines = lines.map(|part| unescaped(part.split("</pre>").next().unwrap())).collect();
        let link = page.body.split("href=\"/sources/new/wait").nth(1).expect("it says where to look");
        Sheet { lines, wait: format!("/sources/new/wait{}", unescaped(link.split('"').next().unwrap())) }
    }

    fn sources(&self) -> Value {
        request(self.server.http, "GET", "/api/v1/sources", &[("Authorization", &self.bearer)], b"").unwrap().json()
    }
}

/// What stands on a sheet: the lines of each step, and the page that says whether the first one has come.
struct Sheet {
    lines: Vec<String>,
    wait: String,
}

impl Sheet {
    /// The lines of the step that has these words, once.
    fn with(&self, words: &str) -> &str {
        let found: Vec<&String> = self.lines.iter().filter(|lines| lines.contains(words)).collect();
        assert_eq!(found.len(), 1, "{words} in {:#?}", self.lines);
        found[0]
    }
}

fn unescaped(html: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<")];
    let text = named.iter().fold(html.to_owned(), |text, (name, letter)| text.replace(name, letter));
    text.replace("&#62;", ">").replace("&#38;", "&").replace("&amp;", "&")
}

/// The machine in the ward: where its files are.
struct Ward {
    folder: tempfile::TempDir,
}

impl Ward {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lines with this ward's folders.
    fn here(&self, lines: &str) -> String {
        lines.replace("/etc/nhatle", self.path("nhatle").to_str().unwrap())
    }

    /// Types the lines, as whoever has opened a terminal does.
    fn type_in(&self, lines: &str) -> String {
        let mut bash = Command::new("bash");
        let output =
            bash.args(["-e", "-o", "pipefail", "-c"]).arg(self.here(lines)).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{lines}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// The certificate, by the code; the fingerprints are compared as people are told to.
    fn enroll(&self, sheet: &Sheet) {
        let lines = sheet.with("/api/v1/enroll");
        let said = self.type_in(lines);
        let printed = said.lines().find(|line| line.to_lowercase().contains("fingerprint="));
        let told = lines.lines().find_map(|line| line.trim().strip_prefix("# ")).expect("it says a fingerprint");
        assert_eq!(printed, Some(told), "what is printed is what stands behind the # sign");
        let key = std::fs::metadata(self.path("nhatle/ward.key")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o077, 0, "the key is its owner's");
    }

    /// The line to try, into this ward's own `/dev/log`.
    fn try_a_line(&self, sheet: &Sheet) {
        let line = sheet.with("logger").lines().find(|line| line.starts_with("logger ")).unwrap().to_owned();
        self.type_in(&line.replacen("logger ", &format!("logger -u {} ", self.path("log").display()), 1));
    }
}

/// Debian's `rsyslog.conf`, with what it reads and writes in this ward's folder.
fn rsyslog(ward: &Ward, sheet: &Sheet, program: &Rsyslog) -> Sender {
    let spool = ward.path("spool");
    std::fs::create_dir_all(ward.path("rsyslog.d")).unwrap();
    std::fs::create_dir_all(&spool).unwrap();
    std::fs::write(ward.path("rsyslog.d/90-nhatle.conf"), ward.here(sheet.with("omfwd"))).unwrap();
    let config = ward.path("rsyslog.conf");
    let text = format!(
        "module(load=\"imuxsock\" SysSock.Name=\"{}\" SysSock.UsePIDFromSystem=\"off\")\n\
         $FileCreateMode 0640\n$Umask 0022\n$WorkDirectory {}\n$IncludeConfig {}/*.conf\n\
         *.*;auth,authpriv.none -{}\n",
        ward.path("log").display(),
        spool.display(),
        ward.path("rsyslog.d").display(),
        ward.path("syslog").display(),
    );
    std::fs::write(&config, text).unwrap();
    program.run(&config, &ward.path("pid"))
}

/// Debian's `syslog-ng.conf`, as far as the sheet speaks of it.
fn syslog_ng(ward: &Ward, sheet: &Sheet, program: &SyslogNg) -> Sender {
    let spool = ward.path("spool");
    std::fs::create_dir_all(&spool).unwrap();
    let lines = ward
        .here(sheet.with("d_nhatle"))
        .replace("disk-buffer(", &format!("disk-buffer(dir(\"{}\") ", spool.display()));
    let config = ward.path("syslog-ng.conf");
    let log = ward.path("log");
    std::fs::write(
        &config,
        format!("@version: 3.38\nsource s_src {{ unix-dgram(\"{}\"); }};\n{lines}\n", log.display()),
    )
    .unwrap();
    program.run(&config, ward.folder.path())
}

/// The whole walk: sheet, certificate, configuration, first line on the page, from who and where the sheet says.
fn walk(kind: &str, host: &str, start: impl Fn(&Ward, &Sheet) -> Sender) {
    let folder = tempfile::tempdir().unwrap();
    let mut city = City::start(folder.path());
    let ward = Ward { folder: tempfile::tempdir().unwrap() };
    let began = Instant::now();
    let sheet = city.sheet(kind, host);
    assert!(city.visitor.get(&sheet.wait).body.contains("Đang chờ dòng đầu tiên"));
    ward.enroll(&sheet);
    let sender = start(&ward, &sheet);
    wait_for("it listens", PATIENCE, || ward.path("log").exists());
    ward.try_a_line(&sheet);
    let mut shown = String::new();
    wait_for("first line received, on the page", PATIENCE, || {
        shown = city.visitor.get(&sheet.wait).body;
        shown.contains("Đã nhận dòng đầu tiên lúc")
    });
    println!("{kind} to {host}: from the form to the first line on the page: {:?}", began.elapsed());
    assert!(shown.contains(NAME) && shown.contains("Phường Đồng Hải"), "{shown}");
    let sources = city.sources();
    let row = sources["sources"].as_array().unwrap().iter().find(|row| row["name"] == NAME).cloned();
    let row = row.unwrap_or_else(|| panic!("{sources}"));
    assert!(row["unit"].to_string().contains("DH01") && row["dead_lettered"] == 0, "{row}");
    drop(sender);
    city.server.stop();
}

#[test]
fn rsyslog_does_what_the_sheet_says_until_the_first_line_is_on_the_page() {
    let Some(program) = Rsyslog::get() else { return };
    // By name and by address: a ward is often given the address only.
    for host in ["localhost", "127.0.0.1"] {
        walk("rsyslog", host, |ward, sheet| rsyslog(ward, sheet, &program));
    }
}

#[test]
fn syslog_ng_does_what_the_sheet_says_until_the_first_line_is_on_the_page() {
    let Some(program) = SyslogNg::get() else { return };
    for host in ["localhost", "127.0.0.1"] {
        walk("syslog-ng", host, |ward, sheet| syslog_ng(ward, sheet, &program));
    }
}
