//! TLS end to end: who comes in, who is refused and told why, floods of handshakes, and that what is answered is stored.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nhatle::pki::{Authority, city_client};
use nhatle_event::{Clock, SystemClock, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::support::{PATIENCE, Server, stdout, wait_for};

mod enroll;
mod forwarder;
mod refusals;
mod senders;

const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// A server with TLS, and the city's authority beside it.
struct City {
    folder: tempfile::TempDir,
    server: Server,
    authority: Authority,
}

/// A client's certificate in files, for senders that read such.
pub struct Paper {
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// A client that shows it.
    pub config: ClientConfig,
}

impl City {
    fn start(collector: &str) -> City {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[server]\nhttps = \"127.0.0.1:0\"\n[collector]\nsyslog_tls = \"127.0.0.1:0\"\n{collector}\n[canary]\nenabled = false\n"
        );
        std::fs::write(folder.path().join("nhatle.toml"), config).unwrap();
        let server = start(folder.path());
        let authority = Authority::open(&folder.path().join("data"), SystemClock.now()).unwrap();
        City { folder, server, authority }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn ca(&self) -> PathBuf {
        self.data().join("pki/ca.pem")
    }

    fn syslog(&self) -> SocketAddr {
        self.server.address("syslog_tls")
    }

    /// A certificate given so many days ago.
    fn paper(&self, name: &str, unit: &str, days_ago: i64) -> Paper {
        paper(self.folder.path(), &self.authority, &self.authority, name, unit, days_ago)
    }

    /// How many events the query finds.
    fn count(&self, query: &str) -> usize {
        let data = self.data();
        stdout(&["search", query, "--data", data.to_str().unwrap(), "--count"]).trim().parse().unwrap()
    }

    #[track_caller]
    fn wait_for(&self, query: &str, count: usize) {
        let mut found = 0;
        wait_for(&format!("{count} of {query}"), PATIENCE, || {
            found = self.count(query);
            count <= found
        });
        assert_eq!(found, count, "{query}");
    }
}

fn start(folder: &Path) -> Server {
    let config = folder.join("nhatle.toml");
    Server::start(&folder.join("data"), &["--config", config.to_str().unwrap()])
}

/// A certificate by one authority for a client that trusts another.
pub fn paper(folder: &Path, by: &Authority, trusted: &Authority, name: &str, unit: &str, days_ago: i64) -> Paper {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::new(Vec::new()).unwrap().serialize_request(&key).unwrap().pem().unwrap();
    let at = Timestamp(SystemClock.now().0 - days_ago * DAY_NS);
    let issued = by.issue_client(name, unit, &request, at).unwrap();
    let file = |kind: &str| folder.join(format!("{name}-{}.{kind}", &issued.identity.fingerprint[..8]));
    let (certificate, key_file) = (file("pem"), file("key"));
    std::fs::write(&certificate, &issued.pem).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let config = city_client(trusted.pem(), &issued.pem, &key.serialize_pem()).unwrap();
    Paper { certificate, key: key_file, config }
}

/// A connection.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Connects and shakes hands.
pub fn connect(address: SocketAddr, config: &ClientConfig) -> std::io::Result<Tls> {
    secure(TcpStream::connect_timeout(&address, PATIENCE)?, config)
}

fn secure(stream: TcpStream, config: &ClientConfig) -> std::io::Result<Tls> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = StreamOwned::new(ClientConnection::new(Arc::new(config.clone()), name).unwrap(), stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

/// Says goodbye as TLS does.
fn close(mut tls: Tls) {
    tls.conn.send_close_notify();
    tls.flush().unwrap();
}

/// One request over TLS: status and body.
fn request(tls: &mut Tls, head: &str, body: &str) -> std::io::Result<(u16, String)> {
    let text =
        format!("{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    tls.write_all(text.as_bytes())?;
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| std::io::Error::other("no answer"))
}

#[test]
fn the_certificate_says_which_ward_sends() {
    let city = City::start("");
    let (one, two) = (city.paper("phuong-01", "DH01", 0), city.paper("phuong-02", "DH02", 0));
    let mut tls = connect(city.syslog(), &one.config).unwrap();
    // Octets counted (RFC 5425), a line, and one that claims to be another ward.
    let message = "<13>1 2026-02-03T04:05:06Z cam-01 app - - - trong1";
    write!(tls, "{} {message}", message.len()).unwrap();
    writeln!(tls, "<13>1 2026-02-03T04:05:06Z cam-02 app - - - trong2").unwrap();
    close(tls);
    let mut tls = connect(city.syslog(), &two.config).unwrap();
    write!(tls, "<13>1 2026-02-03T04:05:06Z phuong-01 app - - - trong3").unwrap();
    close(tls);
    // By openssl, without a certificate.
    let mut openssl = openssl(&city, city.syslog(), &["-quiet"]);
    openssl.stdin.as_mut().unwrap().write_all(b"<13>1 2026-02-03T04:05:06Z nas-01 app - - - trong4\n").unwrap();
    drop(openssl.stdin.take());
    city.wait_for("message:trong*", 4);
    drop(openssl.kill());
    openssl.wait().unwrap();
    city.wait_for("nhatle.source:phuong-01 nhatle.unit:DH01 message:trong*", 2);
    city.wait_for("nhatle.source:phuong-02 nhatle.unit:DH02 message:trong3", 1);
    city.wait_for("nhatle.source:nas-01 message:trong4", 1);
    city.wait_for("host.name:cam-01 nhatle.source:phuong-01", 1);
    let City { server, .. } = city;
    server.stop();
}

/// `openssl s_client`, its input open.
fn openssl(city: &City, address: SocketAddr, more: &[&str]) -> std::process::Child {
    Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-verify_return_error", "-CAfile"])
        .arg(city.ca())
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn pages_and_pushes_work_over_tls() {
    let city = City::start("");
    let https = city.server.address("https");
    // curl knows the authority and the name, as a browser would.
    let curl = |more: &[&str]| {
        let url = format!("https://localhost:{}/login", https.port());
        Command::new("curl")
            .args(["-sS", "-i", "--max-time", "120", "--cacert"])
            .arg(city.ca())
            .args(more)
            .arg(url)
            .output()
            .unwrap()
    };
    let page = curl(&[]);
    let text = String::from_utf8_lossy(&page.stdout);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("__Host-nhatle"), "{text} {page:?}");
    assert!(text.to_lowercase().contains("strict-transport-security"));
    // The certificate alone says who pushes; without one nobody does.
    let paper = city.paper("phuong-01", "DH01", 0);
    let mut tls = connect(https, &paper.config).unwrap();
    let answer = request(&mut tls, "POST /api/v1/events HTTP/1.1", "{\"message\":\"day1\"}\n").unwrap();
    assert!(answer.0 == 200 && answer.1.starts_with("{\"accepted\":1,"), "{answer:?}");
    let code = nhatle::pki::Code::new(1, &city.authority.fingerprint());
    let mut tls = connect(https, &nhatle::pki::enroll_client(&code).unwrap()).unwrap();
    let (status, _) = request(&mut tls, "POST /api/v1/events HTTP/1.1", "{\"message\":\"day2\"}\n").unwrap();
    assert_eq!(status, 401);
    city.wait_for("message:day* nhatle.unit:DH01", 1);
    city.wait_for("message:day2", 0);
    let City { server, .. } = city;
    server.stop();
}

/// Each event that was answered is stored, though the server is killed in between.
#[test]
fn what_is_answered_over_tls_is_stored() {
    let city = City::start("");
    let paper = city.paper("phuong-01", "DH01", 0);
    let City { folder, mut server, .. } = city;
    let mut answered = Vec::new();
    for life in 0..3 {
        let https = server.address("https");
        let config = paper.config.clone();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let sender = std::thread::spawn(move || {
            let mut answered = Vec::new();
            // Without end but for the server's.
            for number in 0.. {
                let word = format!("giu{life}x{number}");
                let body = format!("{{\"message\":\"{word}\"}}\n");
                let sent = connect(https, &config)
                    .and_then(|mut tls| request(&mut tls, "POST /api/v1/events HTTP/1.1", &body));
                match sent {
                    Ok((200, _)) => {
                        answered.push(word);
                        counted.fetch_add(1, Ordering::Release);
                    }
                    Ok(other) => panic!("{other:?}"),
                    Err(_killed) => break,
                }
            }
            answered
        });
        std::thread::sleep(Duration::from_millis(700));
        wait_for("an answer", PATIENCE, || 0 < count.load(Ordering::Acquire));
        server.kill();
        answered.append(&mut sender.join().unwrap());
        server = start(folder.path());
    }
    let data = folder.path().join("data");
    let text = stdout(&["search", "message:giu*", "--data", data.to_str().unwrap(), "--limit", "100000"]);
    let stored: std::collections::BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].as_str().unwrap().to_owned())
        .collect();
    let lost: Vec<_> = answered.iter().filter(|word| !stored.contains(*word)).collect();
    assert!(lost.is_empty(), "answered and not stored: {lost:?}");
    eprintln!("{} answered, {} stored", answered.len(), stored.len());
    server.stop();
}

/// A thousand senders at once, each with one record, all in.
#[test]
fn a_thousand_senders_come_in() {
    const SENDERS: usize = 1_000;
    let city = City::start("connection_count_max = 1500");
    let paper = city.paper("phuong-01", "DH01", 0);
    let address = city.syslog();
    let open: Vec<Tls> = std::thread::scope(|scope| {
        let config = &paper.config;
        let part = |first: usize| {
            move || {
                let one = |number| {
                    let mut tls = connect(address, config).unwrap();
                    writeln!(tls, "<13>1 2026-02-03T04:05:06Z cam app - - - nghin{number}").unwrap();
                    tls
                };
                (first..SENDERS).step_by(8).map(one).collect::<Vec<_>>()
            }
        };
        let parts: Vec<_> = (0..8).map(|first| scope.spawn(part(first))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    // All stand open, and all have been heard.
    assert_eq!(open.len(), SENDERS);
    city.wait_for("message:nghin*", SENDERS);
    drop(open);
    let City { server, .. } = city;
    server.stop();
}
