//! As a ward officer with ten minutes: from a code on paper to the first line on the city's page, with the ward's own
//! rsyslog in front of `nhatle forward`. And what happens with a code of another city, or one that was used.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::forward::Forwarder;
use crate::senders::Rsyslog;
use crate::support::{NHATLE, PATIENCE, Server, request, stdout, token, wait_for};

struct City {
    folder: tempfile::TempDir,
    server: Server,
    admin: String,
}

impl City {
    fn start() -> City {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("city");
        std::fs::create_dir(&data).unwrap();
        let admin = token(&data, "admin", "admin", None);
        let config = folder.path().join("nhatle.toml");
        std::fs::write(&config, "[server]\nhttps = \"127.0.0.1:0\"\n[canary]\nenabled = false\n").unwrap();
        let server = Server::start(&data, &["--config", config.to_str().unwrap()]);
        City { folder, server, admin }
    }

    /// What stands on the paper.
    fn code(&self, name: &str) -> String {
        let data = self.folder.path().join("city");
        stdout(&["enroll", name, "--unit", "DH01", "--data", data.to_str().unwrap()]).trim().to_owned()
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.server.address("https").port())
    }

    fn sources(&self) -> Value {
        let bearer = format!("Bearer {}", self.admin);
        request(self.server.http, "GET", "/api/v1/sources", &[("Authorization", &bearer)], b"").unwrap().json()
    }
}

fn config(folder: &Path, city: &str, code: &str) -> std::path::PathBuf {
    let path = folder.join("ward.toml");
    let state = folder.join("ward");
    let text = format!(
        "server = \"{city}\"\ncode = \"{code}\"\nstate = \"{}\"\nsyslog_tcp = \"127.0.0.1:0\"\n",
        state.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn from_a_code_on_paper_to_the_first_line() {
    let city = City::start();
    let code = city.code("phuong-dong-hai");
    let ward = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let config = config(ward.path(), &city.url(), &code.to_lowercase());
    let checked = Command::new(NHATLE).args(["forward", "--check", "--config"]).arg(&config).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let forwarder = Forwarder::start(&config);
    let lines = ward.path().join("lines.log");
    std::fs::write(&lines, "dong dau tien\n").unwrap();
    let rsyslog = Rsyslog::get();
    let port = forwarder.address("syslog_tcp").port();
    let sender = rsyslog.as_ref().map(|rsyslog| {
        let action =
            format!("action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" protocol=\"tcp\" template=\"line\")");
        rsyslog.start_with(ward.path(), &lines, "", &action)
    });
    if sender.is_none() {
        use std::io::Write;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"<13>1 2026-02-03T04:05:06Z may-01 app - - - dong dau tien\n").unwrap();
    }
    let is_there = |sources: &Value| {
        let rows = sources["sources"].as_array().unwrap();
        rows.iter().any(|row| {
            row["name"] == "phuong-dong-hai/may-01" && row["stored"] == 1 && row["unit"].to_string().contains("DH01")
        })
    };
    wait_for("first line received", PATIENCE, || is_there(&city.sources()));
    println!("from a code on paper to the first line on the page: {:?}", began.elapsed());
    let forwarders = city.sources()["forwarders"].clone();
    assert_eq!(forwarders[0]["name"], "phuong-dong-hai", "{forwarders}");
    drop(sender);
    forwarder.stop();
    // The key is the owner's alone, and the next start needs no code.
    use std::os::unix::fs::PermissionsExt;
    let key = ward.path().join("ward/identity/key.pem");
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&config).unwrap().replace(&code.to_lowercase(), "");
    std::fs::write(&config, text).unwrap();
    let forwarder = Forwarder::start(&config);
    let contact = || city.sources()["forwarders"][0]["last_contact"].as_str().unwrap_or_default().to_owned();
    let before = contact();
    wait_for("it comes again by its certificate", PATIENCE, || contact() != before);
    forwarder.stop();
    city.server.stop();
}

#[test]
fn a_code_of_another_city_or_a_used_one_is_refused_in_words() {
    let (city, other) = (City::start(), City::start());
    let run = |folder: &Path, code: &str| {
        let config = config(folder, &city.url(), code);
        let mut command = Command::new("timeout");
        let output = command.args(["120", NHATLE, "forward", "--config"]).arg(&config).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let ward = tempfile::tempdir().unwrap();
    let code = city.code("phuong-01");
    let first = Forwarder::start(&config(ward.path(), &city.url(), &code));
    wait_for("enrolled", PATIENCE, || ward.path().join("ward/identity/certificate.pem").exists());
    first.stop();
    let second = tempfile::tempdir().unwrap();
    let (status, said) = run(second.path(), &code);
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("the city refused") && said.contains("403"), "{said}");
    // The secret is not said to a city that is not the code's: the handshake ends before.
    let third = tempfile::tempdir().unwrap();
    let config = config(third.path(), &city.url(), &other.code("phuong-02"));
    let checked = Command::new(NHATLE).args(["forward", "--check", "--config"]).arg(&config).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("TLS with 127.0.0.1"), "{said}");
    city.server.stop();
    other.server.stop();
}
