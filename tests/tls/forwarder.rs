//! A ward's forwarder whose certificate comes to its end: renewed without care in time; past it, or of another city, refused with
//! a line that says what to do, on both sides.

use super::*;
use crate::cli::add_user;
use crate::forward::Forwarder;
use crate::support::{run, token};
use crate::ward::{PASSWORD, sign_in};

/// A ward in a folder of its own, with an identity as an earlier enrolment left it.
struct Ward {
    folder: tempfile::TempDir,
}

impl Ward {
    fn new(city: &City, trusted: &Authority, certificate: &str, key: &KeyPair) -> Ward {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("ward/identity");
        std::fs::create_dir_all(&identity).unwrap();
        std::fs::write(identity.join("ca.pem"), trusted.pem()).unwrap();
        std::fs::write(identity.join("certificate.pem"), certificate).unwrap();
        std::fs::write(identity.join("key.pem"), key.serialize_pem()).unwrap();
        let text = format!(
            "server = \"https://localhost:{}\"\nstate = \"{}\"\nsyslog_tcp = \"127.0.0.1:0\"\n",
            city.server.address("https").port(),
            folder.path().join("ward").display()
        );
        std::fs::write(folder.path().join("forward.toml"), text).unwrap();
        Ward { folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("forward.toml")
    }

    fn certificate(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ward/identity/certificate.pem")).unwrap()
    }

    /// A line into its forwarder.
    fn says(forwarder: &Forwarder, word: &str) {
        let mut stream = TcpStream::connect(forwarder.address("syslog_tcp")).unwrap();
        writeln!(stream, "<13>1 2026-02-03T04:05:06Z cam-01 app - - - {word}").unwrap();
    }

    /// What `nhatle forward --status` says to the officer, once it says this.
    fn shows(&self, words: &str) {
        let config = self.config();
        wait_for(&format!("{words} in the status"), PATIENCE, || {
            let output = run(&["forward", "--config", config.to_str().unwrap(), "--status"]);
            String::from_utf8_lossy(&output.stdout).contains(words)
        });
    }
}

/// Waits until the forwarder's log says this.
#[track_caller]
fn hears(forwarder: &Forwarder, words: &str) {
    let began = std::time::Instant::now();
    while !forwarder.errors().contains(words) {
        assert!(began.elapsed() < PATIENCE, "{words}, in: {}", forwarder.errors());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_forwarder_renews_its_certificate_by_itself() {
    let city = City::start("");
    let (key, old) = enroll::enrolled(&city, "phuong-01", 330);
    let ward = Ward::new(&city, &city.authority, &old, &key);
    let forwarder = Forwarder::start(&ward.config());
    Ward::says(&forwarder, "giahan1");
    wait_for("the certificate is another one", PATIENCE, || ward.certificate() != old);
    city.wait_for("message:giahan1 nhatle.source:phuong-01* nhatle.unit:DH01", 1);
    assert!(forwarder.errors().contains("certificate renewed"), "{}", forwarder.errors());
    // It goes on with the new one, and after a start too.
    Ward::says(&forwarder, "giahan2");
    city.wait_for("message:giahan2", 1);
    forwarder.stop();
    let renewed = ward.certificate();
    let forwarder = Forwarder::start(&ward.config());
    Ward::says(&forwarder, "giahan3");
    city.wait_for("message:giahan*", 3);
    assert_eq!(ward.certificate(), renewed, "a new certificate is not renewed");
    forwarder.stop();
    let City { server, .. } = city;
    server.stop();
}

#[test]
fn a_forwarder_past_its_certificate_or_of_another_city_is_told_so_on_both_sides() {
    let city = City::start("");
    assert!(add_user(&city.data(), "lan", "admin", None, PASSWORD).status.success());
    let admin = format!("Bearer {}", token(&city.data(), "quantri", "admin", None));
    // Its time is over: the forwarder was off for longer than its certificate holds.
    let (key, old) = enroll::enrolled(&city, "het-han", 400);
    let late = Ward::new(&city, &city.authority, &old, &key);
    // Given by another city, and told to trust this one.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Authority::open(elsewhere.path(), SystemClock.now()).unwrap();
    let foreign = paper(elsewhere.path(), &other, &other, "noi-khac", "DH01", 0);
    let key = KeyPair::from_pem(&std::fs::read_to_string(&foreign.key).unwrap()).unwrap();
    let pem = std::fs::read_to_string(&foreign.certificate).unwrap();
    let strange = Ward::new(&city, &city.authority, &pem, &key);
    // Sent to the wrong city: it does not take ours for its own.
    let lost = Ward::new(&city, &other, &pem, &key);
    let rows: [(&Ward, &str, &[&str], &str); 3] = [
        (&late, "a new code from the city is needed", &["het-han", "its certificate has expired"], "het-han"),
        (
            &strange,
            "the city does not take the own certificate",
            &["noi-khac", "not of this city's authority"],
            "noi-khac",
        ),
        (
            &lost,
            "this is not the city of the own certificate",
            &["does not trust the server's certificate"],
            "127.0.0.1",
        ),
    ];
    for (ward, told, said, shown) in rows {
        let before = ward.certificate();
        let forwarder = Forwarder::start(&ward.config());
        Ward::says(&forwarder, "khongvao");
        hears(&forwarder, told);
        ward.shows(told);
        refusals::said(&city, said);
        assert_eq!(ward.certificate(), before);
        forwarder.stop();
        let headers = [("Authorization", admin.as_str())];
        let list = || crate::support::request(city.server.http, "GET", "/api/v1/refused-senders", &headers, b"");
        wait_for(&format!("{shown} in the list"), PATIENCE, || list().unwrap().body.contains(shown));
    }
    // And on the page, in words.
    let (session, _) = sign_in(city.server.http, "lan");
    let cookie = [("Cookie", session.as_str())];
    let page = crate::support::request(city.server.http, "GET", "/sources/enrollments", &cookie, b"").unwrap();
    for words in ["het-han", "Chứng thư đã hết hạn.", "noi-khac"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    city.wait_for("message:khongvao", 0);
    let City { server, .. } = city;
    server.stop();
}
