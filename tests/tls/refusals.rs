//! Who is refused, and that the log says who and why; floods of half-open handshakes; balancers.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

/// Tries to come in and to say something; the other side must end it.
pub fn is_refused(tls: std::io::Result<Tls>) -> bool {
    let Ok(mut tls) = tls else { return true };
    // TLS 1.3: the client is done before the server has looked at its certificate.
    let said = tls.write_all(b"<13>1 2026-02-03T04:05:06Z x app - - - lot\n").and_then(|()| tls.flush());
    said.is_err() || tls.read(&mut [0; 16]).map_or(true, |read| read == 0)
}

#[track_caller]
pub fn said(city: &City, words: &[&str]) {
    let has = |line: &str| line.contains("sender refused") && words.iter().all(|word| line.contains(word));
    wait_for(&format!("{words:?} in the log"), PATIENCE, || city.server.errors().lines().any(has));
}

#[test]
fn who_does_not_hold_is_refused_and_the_log_says_why() {
    let city = City::start("syslog_tls_client = \"required\"");
    let address = city.syslog();
    let expired = city.paper("het-han", "DH01", 400);
    assert!(is_refused(connect(address, &expired.config)));
    said(&city, &["het-han", "its certificate has expired"]);
    let early = city.paper("som", "DH01", -3);
    assert!(is_refused(connect(address, &early.config)));
    said(&city, &["som", "not valid yet"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Authority::open(elsewhere.path(), SystemClock.now()).unwrap();
    let stranger = paper(elsewhere.path(), &other, &city.authority, "noi-khac", "DH01", 0);
    assert!(is_refused(connect(address, &stranger.config)));
    said(&city, &["noi-khac", "not of this city's authority"]);
    // The stranger's own view: it does not know our authority either.
    let wary = paper(elsewhere.path(), &other, &other, "nghi-ngo", "DH01", 0);
    assert!(connect(address, &wary.config).is_err());
    said(&city, &["does not trust the server's certificate"]);
    let code = nhatle::pki::Code::new(1, &city.authority.fingerprint());
    assert!(is_refused(connect(address, &nhatle::pki::enroll_client(&code).unwrap())));
    said(&city, &["it has no certificate, and one is required here"]);
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"<13>1 2026-02-03T04:05:06Z x app - - - lot\n").unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(plain.read(&mut [0; 16]).map_or(true, |read| read == 0));
    said(&city, &["plain text to a TLS port"]);
    let mut old = openssl(&city, address, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    drop(old.stdin.take());
    assert!(!old.wait().unwrap().success(), "TLS 1.1 came in");
    said(&city, &["older than 1.2"]);
    // Nobody's records were taken; and who holds comes in still.
    let good = city.paper("tot", "DH01", 0);
    let mut tls = connect(address, &good.config).unwrap();
    tls.write_all(b"<13>1 2026-02-03T04:05:06Z x app - - - vao\n").unwrap();
    close(tls);
    city.wait_for("message:vao nhatle.source:tot", 1);
    city.wait_for("message:lot", 0);
    let City { server, .. } = city;
    server.stop();
}

#[test]
fn plain_text_to_the_https_port_is_told_so() {
    let city = City::start("");
    let answer = crate::support::request(city.server.address("https"), "GET", "/", &[], b"").unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("https://"), "{}", answer.body);
    said(&city, &["\"input\":\"https\"", "plain text to a TLS port"]);
    let City { server, .. } = city;
    server.stop();
}

/// Whoever holds handshakes half open has no more than his share; others come in meanwhile, and his end in time.
#[test]
fn half_open_handshakes_shut_nobody_out() {
    const HELD: usize = 400;
    let city = City::start("connection_count_max = 1500");
    let address = city.syslog();
    let mut held = Vec::new();
    for number in 0..HELD {
        let mut stream = TcpStream::connect(address).unwrap();
        // The first bytes of a hello, or none; never more. One that is over his share may be closed already.
        drop(stream.write_all(&[0x16, 3, 1, 2][..number % 5]));
        held.push(stream);
    }
    said(&city, &["too many handshakes open"]);
    // Another address of loopback.
    let socket = socket_from(Ipv4Addr::new(127, 0, 0, 2), address);
    let paper = city.paper("phuong-02", "DH02", 0);
    let mut tls = secure(socket, &paper.config).unwrap();
    tls.write_all(b"<13>1 2026-02-03T04:05:06Z x app - - - qua\n").unwrap();
    close(tls);
    city.wait_for("message:qua nhatle.source:phuong-02", 1);
    for mut stream in held {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        // Ended by us, with or without a word; a time-out here would be the server's patience without end.
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert!(!matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
        }
    }
    said(&city, &["did not finish its handshake in time"]);
    let City { server, .. } = city;
    server.stop();
}

fn socket_from(own: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(IpAddr::V4(own), 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

#[test]
fn only_balancers_speak_for_others_and_they_must() {
    let city = City::start("proxy_from = [\"127.0.0.9/32\"]");
    let (tls_port, tcp, https) = (city.syslog(), city.server.syslog_tcp, city.server.address("https"));
    let balancer = Ipv4Addr::new(127, 0, 0, 9);
    let paper = city.paper("phuong-01", "DH01", 0);
    let line = |word: &str| format!("<13>1 2026-02-03T04:05:06Z - app - - - {word}\n");
    // Version 1 in front of plain TCP, version 2 in front of TLS.
    let mut stream = socket_from(balancer, tcp);
    write!(stream, "PROXY TCP4 192.0.2.77 192.0.2.1 1000 5514\r\n{}", line("can1")).unwrap();
    let mut version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    version_2.extend([192, 0, 2, 78, 192, 0, 2, 1, 3, 232, 25, 114]);
    let mut second = socket_from(balancer, tls_port);
    second.write_all(&version_2).unwrap();
    let mut tls = secure(second, &paper.config).unwrap();
    tls.write_all(line("can2").as_bytes()).unwrap();
    let mut third = socket_from(balancer, https);
    third.write_all(&version_2).unwrap();
    let mut push = secure(third, &paper.config).unwrap();
    let (status, _) = request(&mut push, "POST /api/v1/events HTTP/1.1", "{\"message\":\"can3\"}\n").unwrap();
    assert_eq!(status, 200);
    // A check of the balancer: its own connection, no records.
    socket_from(balancer, tls_port).write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00").unwrap();
    // A balancer without a header; others with one.
    socket_from(balancer, tcp).write_all(line("sai1").as_bytes()).unwrap();
    said(&city, &["127.0.0.9", "\"input\":\"syslog-tcp\"", "no good PROXY header"]);
    let mut spoofed = TcpStream::connect(tcp).unwrap();
    write!(spoofed, "PROXY TCP4 192.0.2.79 192.0.2.1 1000 5514\r\n{}", line("sai2")).unwrap();
    said(&city, &["127.0.0.1", "\"input\":\"syslog-tcp\"", "is no balancer of ours"]);
    TcpStream::connect(tls_port).unwrap().write_all(&version_2).unwrap();
    said(&city, &["127.0.0.1", "\"input\":\"syslog-tls\"", "is no balancer of ours"]);
    drop((stream, tls));
    city.wait_for("message:can1 log.source.address:192.0.2.77", 1);
    city.wait_for("message:can2 log.source.address:192.0.2.78 nhatle.source:phuong-01", 1);
    city.wait_for("message:can3 log.source.address:192.0.2.78", 1);
    city.wait_for("message:sai*", 0);
    let City { server, .. } = city;
    server.stop();
}
