//! What a configuration may say, and how it is told what it may not.

use super::*;

#[test]
fn every_problem_is_said_at_once() {
    let text = "[collector]\nsyslog_udp = \"here\"\nrecord_bytes_max = 1\n[engine]\nincident_level = \"huge\"\n\
                [[unit]]\ncode = \"a\"\nname = \"A\"\nparent = \"b\"\nnetworks = [\"10.0.0.0/33\"]\n";
    let file: ConfigFile = toml::from_str(text).expect("is TOML");
    let problems = Config::check(file).expect_err("has problems").problems;
    assert_eq!(problems.len(), 5, "{problems:?}");
}

#[test]
fn an_unknown_key_is_named() {
    let error = toml::from_str::<ConfigFile>("[server]\nport = 1\n").expect_err("is refused");
    assert!(error.to_string().contains("port"));
}

#[test]
fn the_public_address_has_its_scheme() {
    let with = |url: &str| {
        let mut file = ConfigFile::default();
        file.server.public_url = url.to_owned();
        Config::check(file)
    };
    for url in ["", "https://soc.example", "http://10.45.0.7:8080/"] {
        assert!(with(url).is_ok(), "{url}");
    }
    for url in ["soc.example", "javascript:alert(1)", "https://", "HTTPS//soc.example"] {
        assert!(with(url).is_err(), "{url}");
    }
}

#[test]
fn the_defaults_hold() {
    assert!(Config::check(ConfigFile::default()).is_ok());
}
