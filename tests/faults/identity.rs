//! Faults of a sender's certificate in the middle of its stream: expired, or of another city; then it has a good one again.
//!
//! While it is refused nothing is taken and nothing acknowledged; afterwards everything is there, once. Where nothing is
//! acknowledged, what was sent into a refused connection is lost: with TLS 1.3 a client may write before it hears that it
//! is refused.

use std::fmt::Write as _;
use std::io::{Read, Write};

use super::*;
use crate::forward::Forwarder;

/// How long the wrong certificate is tried.
const REFUSED: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Expired,
    OtherCity,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::Expired => "certificate expired, then renewed",
            Fault::OtherCity => "certificate of another city, then the right one",
        }
    }

    /// A certificate that the city does not take.
    fn paper(self, place: &Place, folder: &Path) -> tls::Paper {
        match self {
            Fault::Expired => tls::paper(folder, &place.authority, &place.authority, "loi-cert", "DH01", 400),
            Fault::OtherCity => {
                let other = Authority::open(&folder.join("other"), SystemClock.now()).unwrap();
                tls::paper(folder, &other, &place.authority, "loi-cert", "DH01", 0)
            }
        }
    }
}

/// What came of one transport: sent, acknowledged where it acknowledges.
struct Came {
    sent: usize,
    acknowledged: Option<Vec<usize>>,
}

fn line(letter: char, number: usize) -> String {
    format!("loi{letter}{number:05}")
}

/// Which certificate is shown: the good one, for a while in the middle the wrong one, the good one again.
struct Papers<'a> {
    good: &'a tls::Paper,
    bad: &'a tls::Paper,
}

/// Lines of syslog over TLS; a new connection for each batch, so that the certificate counts.
fn syslog_tls(place: &Place, papers: &Papers<'_>, count: usize) -> Came {
    let batches: Vec<usize> = (0..count).step_by(BATCH).collect();
    for (place_of, first) in batches.iter().enumerate() {
        // Each fifth batch, from the middle on, meets the wrong certificate.
        let paper = if batches.len() / 2 <= place_of && place_of % 5 == 0 { papers.bad } else { papers.good };
        let text: String = (*first..(first + BATCH).min(count))
            .map(|number| format!("<13>1 2026-02-03T04:05:06Z loi app - - - {}\n", line('c', number)))
            .collect();
        // Sent is what the library took.
        if let Ok(mut tls) = tls::connect(place.reach("syslog_tls"), &paper.config) {
            drop(tls.write_all(text.as_bytes()).and_then(|()| tls.flush()));
            tls.conn.send_close_notify();
            drop(tls.flush());
        }
    }
    Came { sent: count, acknowledged: None }
}

/// Pushes over HTTPS, with the certificate in place of a token; each again until it is taken.
fn ndjson(place: &Place, papers: &Papers<'_>, count: usize) -> Came {
    let push = |paper: &tls::Paper, body: &str| -> std::io::Result<bool> {
        let mut tls = tls::connect(place.reach("https"), &paper.config)?;
        let head = format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        tls.write_all(head.as_bytes())?;
        tls.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        drop(tls.read_to_end(&mut answer));
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    let mut acknowledged = Vec::new();
    for first in (0..count).step_by(BATCH) {
        let numbers: Vec<usize> = (first..(first + BATCH).min(count)).collect();
        let body: String = numbers
            .iter()
            .map(|number| format!("{}\n", json!({ "event.id": line('d', *number), "message": line('d', *number) })))
            .collect();
        if first == count / 2 / BATCH * BATCH {
            let began = Instant::now();
            while began.elapsed() < REFUSED {
                assert!(!push(papers.bad, &body).unwrap_or(false), "the wrong certificate was taken");
                std::thread::sleep(Duration::from_millis(100));
            }
            assert!(place.stored(&format!("message:{}", line('d', first)), 10).is_empty(), "nothing came of it");
        }
        while !push(papers.good, &body).unwrap_or(false) {
            std::thread::sleep(Duration::from_millis(50));
        }
        acknowledged.extend(numbers);
    }
    Came { sent: count, acknowledged: Some(acknowledged) }
}

/// A forwarder with the good certificate, with the wrong one, and with the good one again.
fn forward(place: &Place, papers: &Papers<'_>, count: usize) -> Came {
    let state = place.config.with_file_name("ward-tls");
    let config = place.config.with_file_name("forward-tls.toml");
    let text = format!(
        "server = \"https://localhost:{}\"\nstate = \"{}\"\n[[file]]\npath = \"{}\"\n",
        place.reach("https").port(),
        state.display(),
        state.with_extension("log").display()
    );
    std::fs::write(&config, text).unwrap();
    let identity = state.join("identity");
    std::fs::create_dir_all(&identity).unwrap();
    std::fs::write(identity.join("ca.pem"), place.authority.pem()).unwrap();
    let shows = |paper: &tls::Paper| {
        std::fs::copy(&paper.certificate, identity.join("certificate.pem")).unwrap();
        std::fs::copy(&paper.key, identity.join("key.pem")).unwrap();
        Forwarder::start(&config)
    };
    let mut file = std::fs::File::options().append(true).create(true).open(state.with_extension("log")).unwrap();
    let mut write = |numbers: std::ops::Range<usize>| {
        let text: String =
            numbers.map(|number| format!("<13>1 2026-02-03T04:05:06Z loi app - - - {}\n", line('e', number))).collect();
        file.write_all(text.as_bytes()).unwrap();
    };
    let forwarder = shows(papers.good);
    write(0..count / 3);
    let has = |wanted: usize| place.stored("message:loie*", count * 2).len() == wanted;
    wait_for("the first third", PATIENCE, || has(count / 3));
    forwarder.stop();
    let forwarder = shows(papers.bad);
    write(count / 3..2 * count / 3);
    std::thread::sleep(REFUSED);
    assert!(has(count / 3), "nothing came by the wrong certificate");
    forwarder.stop();
    let forwarder = shows(papers.good);
    write(2 * count / 3..count);
    wait_for("all of it", PATIENCE, || has(count));
    forwarder.stop();
    Came { sent: count, acknowledged: Some((0..count).collect()) }
}

/// The rows of one fault.
fn rows_of(fault: Fault, count: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path());
    let good = tls::paper(folder.path(), &place.authority, &place.authority, "loi-cert", "DH01", 0);
    let bad = fault.paper(&place, folder.path());
    let papers = Papers { good: &good, bad: &bad };
    let server = place.start();
    let all = [
        ("syslog TLS", 'c', syslog_tls(&place, &papers, count)),
        ("HTTPS NDJSON", 'd', ndjson(&place, &papers, count)),
        ("`nhatle forward`", 'e', forward(&place, &papers, count)),
    ];
    server.stop();
    let stored = place.stored("message:loi*", count * 8);
    let mut table = String::new();
    for (name, letter, came) in all {
        let times = |number: usize| stored.get(&line(letter, number)).copied().unwrap_or(0);
        let distinct = (0..count).filter(|number| 0 < times(*number)).count();
        let doubled: usize = (0..count).map(|number| times(number).saturating_sub(1)).sum();
        let lost = match &came.acknowledged {
            Some(acknowledged) => acknowledged.iter().filter(|number| times(**number) == 0).count(),
            None => came.sent - distinct,
        };
        let told = came.acknowledged.as_ref().map_or("–".to_owned(), |numbers| numbers.len().to_string());
        let fault = fault.name();
        writeln!(table, "| {name} | {fault} | {} | {told} | {distinct} | {lost} | {doubled} |", came.sent).unwrap();
        assert_eq!(doubled, 0, "{name}, {fault}\n{table}");
        assert!(came.acknowledged.is_none() || lost == 0, "{name}, {fault}\n{table}");
    }
    table
}

#[test]
fn a_certificate_that_is_refused_for_a_while_loses_nothing_that_was_acknowledged() {
    let count = if is_full() { 2_000 } else { 300 };
    show(&[Fault::Expired, Fault::OtherCity].map(|fault| rows_of(fault, count)).concat());
}
