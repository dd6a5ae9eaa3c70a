//! Handshakes in memory: who comes in, who does not, and why; and what stands in the files.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use nhatle_event::{Clock, SystemClock, Timestamp};
use rcgen::KeyPair;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use super::*;

const DAY_NS: i64 = 86_400 * 1_000_000_000;

struct City {
    folder: tempfile::TempDir,
    authority: Authority,
    revoked: Arc<Revoked>,
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn ago(days: i64) -> Timestamp {
    Timestamp(now().0 - days * DAY_NS)
}

fn city() -> City {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::open(folder.path(), ago(1000)).expect("an authority");
    City { folder, authority, revoked: Arc::default() }
}

fn names() -> ServerNames {
    let mut names = ServerNames::default();
    names.add("soc.example");
    names.add("192.0.2.1");
    names
}

impl City {
    fn server(&self, client: ClientCert) -> Arc<ServerConfig> {
        let shown = ServerCertificate::open(&self.authority, &names(), None, now()).expect("a certificate");
        shown.config(&self.authority, client, &self.revoked, &[b"http/1.1"]).expect("a configuration")
    }

    /// A client enrolled so many days ago.
    fn client(&self, name: &str, enrolled: Timestamp) -> (ClientConfig, Identity) {
        let key = KeyPair::generate().expect("a key");
        let issued = self.authority.issue_client(name, "DH01", &request_of(&key), enrolled).expect("a certificate");
        let config = city_client(self.authority.pem(), &issued.pem, &key.serialize_pem()).expect("a configuration");
        (config, issued.identity)
    }
}

/// A request that asks for more than it gets.
fn request_of(key: &KeyPair) -> String {
    let params = rcgen::CertificateParams::new(vec!["soc.example".to_owned()]).expect("names");
    params.serialize_request(key).expect("a request").pem().expect("text")
}

/// Shakes hands in memory; who the client was, or what the server says is wrong.
fn shake(client: ClientConfig, server: Arc<ServerConfig>) -> Result<Option<Identity>, String> {
    let name = ServerName::try_from("elsewhere.example").expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(server).expect("a server");
    for _ in 0..8 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("memory");
        }
        server.read_tls(&mut wire.as_slice()).expect("memory");
        server.process_new_packets().map_err(|error| error.to_string())?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("memory");
        }
        client.read_tls(&mut wire.as_slice()).expect("memory");
        client.process_new_packets().map_err(|error| format!("client: {error}"))?;
    }
    assert!(!server.is_handshaking());
    Ok(server.peer_certificates().map(|chain| client_identity(chain).expect("an identity")))
}

#[test]
fn a_client_of_the_city_comes_in_and_is_known() {
    let city = city();
    for client in [ClientCert::Optional, ClientCert::Required] {
        let (config, identity) = city.client("phường-01", now());
        assert_eq!(shake(config, city.server(client)), Ok(Some(identity.clone())));
        assert_eq!((identity.name.as_str(), identity.unit.as_deref()), ("phường-01", Some("DH01")));
        assert!(now() < identity.not_after && identity.fingerprint.len() == 64 && !identity.serial.is_empty());
    }
    let (config, _) = city.client("ward", now());
    assert_eq!(shake(config, city.server(ClientCert::None)), Ok(None));
}

#[test]
fn who_does_not_hold_is_refused() {
    let (other, city) = (city(), city());
    let server = || city.server(ClientCert::Optional);
    let (outlived, _) = city.client("ward", ago(400));
    let said = shake(outlived, server()).expect_err("is refused");
    assert!(said.contains("expired"), "{said}");
    let (early, _) = city.client("ward", Timestamp(now().0 + 3 * DAY_NS));
    assert!(shake(early, server()).expect_err("is refused").contains("not valid yet"));
    let (revoked, identity) = city.client("ward", now());
    city.revoked.replace([identity.fingerprint].into());
    assert!(shake(revoked, server()).expect_err("is refused").contains("evoked"));
    // Its own authority does not sign this server, and this server does not know its authority.
    let (stranger, _) = other.client("ward", now());
    assert!(shake(stranger, server()).expect_err("is refused").starts_with("client:"));
    let key = KeyPair::generate().expect("a key");
    let foreign = other.authority.issue_client("ward", "DH01", &request_of(&key), now()).expect("a certificate");
    let config = city_client(city.authority.pem(), &foreign.pem, &key.serialize_pem()).expect("a configuration");
    let said = shake(config, server()).expect_err("is refused");
    assert!(said.contains("UnknownIssuer"), "{said}");
    let code = Code::new(7, &city.authority.fingerprint());
    let nobody = enroll_client(&code).expect("a configuration");
    assert!(shake(nobody.clone(), city.server(ClientCert::Required)).is_err());
    assert_eq!(shake(nobody, server()), Ok(None));
}

#[test]
fn a_certificate_of_a_client_serves_nobody_as_a_server() {
    let city = city();
    let key = KeyPair::generate().expect("a key");
    let issued = city.authority.issue_client("soc.example", "", &request_of(&key), now()).expect("a certificate");
    assert_eq!(issued.identity.unit, None);
    let chain = format!("{}{}", issued.pem, city.authority.pem());
    let own = Own { certificate: city.folder.path().join("x.pem"), key: city.folder.path().join("x.key") };
    std::fs::write(&own.certificate, chain).expect("written");
    std::fs::write(&own.key, key.serialize_pem()).expect("written");
    let shown = ServerCertificate::open(&city.authority, &names(), Some(&own), now()).expect("a certificate");
    let server = shown.config(&city.authority, ClientCert::None, &city.revoked, &[]).expect("a configuration");
    let code = Code::new(7, &city.authority.fingerprint());
    let mut client = enroll_client(&code).expect("a configuration");
    // A forwarder is shown the city's own all the same; who does not say that it is one gets the operator's.
    assert_eq!(shake(client.clone(), Arc::clone(&server)), Ok(None));
    client.alpn_protocols.clear();
    assert!(shake(client, server).expect_err("is refused").starts_with("client:"));
}

#[test]
fn a_code_of_another_city_is_refused_before_anything_is_said() {
    let (other, city) = (city(), city());
    let code = Code::new(7, &other.authority.fingerprint());
    let said = shake(enroll_client(&code).expect("a configuration"), city.server(ClientCert::Optional));
    assert!(said.expect_err("is refused").starts_with("client:"));
}

#[test]
fn files_stay_and_are_for_the_owner_only() {
    let city = city();
    let again = Authority::open(city.folder.path(), now()).expect("an authority");
    assert_eq!(again.fingerprint(), city.authority.fingerprint());
    city.server(ClientCert::None);
    let file = |name: &str| city.folder.path().join("pki").join(name);
    for name in ["ca.key", "server.key"] {
        let mode = std::fs::metadata(file(name)).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    std::fs::remove_file(file("ca.key")).expect("removed");
    let said = Authority::open(city.folder.path(), now()).err().expect("is refused").to_string();
    assert!(said.contains("ca.key") && said.contains("backup"), "{said}");
    std::fs::write(file("ca.key"), KeyPair::generate().expect("a key").serialize_pem()).expect("written");
    let said = Authority::open(city.folder.path(), now()).err().expect("is refused").to_string();
    assert!(said.contains("not the key"), "{said}");
}

#[test]
fn two_that_begin_at_once_have_one_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Authority::open(folder.path(), now()).expect("an authority").fingerprint();
    let found: Vec<[u8; 32]> = std::thread::scope(|scope| {
        let begun: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        begun.into_iter().map(|thread| thread.join().expect("ends")).collect()
    });
    assert!(found.iter().all(|one| *one == found[0]));
    assert_eq!(std::fs::read_dir(folder.path()).expect("is there").count(), 1, "nothing is left beside it");
}

#[test]
fn the_servers_certificate_is_made_anew_when_it_ends_or_lacks_a_name() {
    let city = city();
    let read = || std::fs::read_to_string(city.folder.path().join("pki/server.pem")).expect("is there");
    let shown = ServerCertificate::open(&city.authority, &names(), None, ago(360)).expect("a certificate");
    let first = read();
    assert!(!shown.renew(&city.authority, &names(), None, ago(359)).expect("looked"));
    assert_eq!(read(), first);
    // 37 days are left of 397 now, and 27 in ten days.
    assert!(!shown.renew(&city.authority, &names(), None, now()).expect("looked"));
    assert!(shown.renew(&city.authority, &names(), None, ago(-10)).expect("looked"));
    let second = read();
    assert_ne!(second, first);
    let mut more = names();
    more.add("192.0.2.2");
    assert!(shown.renew(&city.authority, &more, None, now()).expect("looked"));
    assert!(!shown.renew(&city.authority, &names(), None, now()).expect("a name too many is no reason"));
    // A key of something else, as a crash between two writes leaves it.
    std::fs::write(city.folder.path().join("pki/server.key"), KeyPair::generate().expect("a key").serialize_pem())
        .expect("written");
    assert!(shown.renew(&city.authority, &names(), None, now()).expect("looked"));
}

#[test]
fn requests_that_are_none_are_refused() {
    let city = city();
    let key = KeyPair::generate().expect("a key");
    let good = request_of(&key);
    let mut forged = good.clone().into_bytes();
    let place = good.len() - 60;
    forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("text");
    for bad in ["", "no", &good.replace("BEGIN", "BEGUN"), &forged, &"x".repeat(100_000)] {
        assert!(matches!(city.authority.issue_client("ward", "DH01", bad, now()), Err(PkiError::Request(_))));
    }
    assert!(city.authority.issue_client("ward", "DH01", &good, now()).is_ok());
    assert!(city.authority.issue_client("", "DH01", &good, now()).is_err(), "a name is needed");
}
