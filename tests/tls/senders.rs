//! A real rsyslog over TLS, with both of its TLS libraries: who it is comes from its certificate.

use super::*;
use crate::senders::{QUEUE, Rsyslog};

const LINES: usize = 500;

fn check(driver: &str) {
    let Some(rsyslog) = Rsyslog::get() else { return };
    let city = City::start("syslog_tls_client = \"required\"");
    let paper = city.paper("phuong-01", "DH01", 0);
    let lines = city.folder.path().join("lines.log");
    let text: String = (0..LINES).map(|number| format!("kin{number:05} Đồng Hới\n")).collect();
    std::fs::write(&lines, text).unwrap();
    let globals = format!(
        "global(DefaultNetstreamDriverCAFile=\"{}\" DefaultNetstreamDriverCertFile=\"{}\" \
         DefaultNetstreamDriverKeyFile=\"{}\")\n",
        city.ca().display(),
        paper.certificate.display(),
        paper.key.display(),
    );
    let action = format!(
        "action(type=\"omfwd\" target=\"localhost\" port=\"{}\" protocol=\"tcp\" TCP_Framing=\"octet-counted\" \
         StreamDriver=\"{driver}\" StreamDriverMode=\"1\" StreamDriverAuthMode=\"x509/name\" \
         StreamDriverPermittedPeers=\"localhost\" template=\"line\" {QUEUE})",
        city.syslog().port()
    );
    let sender = rsyslog.start_with(city.folder.path(), &lines, &globals, &action);
    city.wait_for("message:kin*", LINES);
    city.wait_for("message:kin* nhatle.source:phuong-01 nhatle.unit:DH01", LINES);
    drop(sender);
    let City { server, .. } = city;
    server.stop();
}

#[test]
fn rsyslog_over_gnutls_is_known_by_its_certificate() {
    check("gtls");
}

#[test]
fn rsyslog_over_openssl_is_known_by_its_certificate() {
    check("ossl");
}
