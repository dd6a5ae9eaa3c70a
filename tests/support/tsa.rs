//! A time-stamping authority for tests: openssl makes a CA and certificates while the test runs and answers requests.
//! In: requests. Out: answers, good and wrong ones. Where there is no openssl the test is skipped, and says so.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The authority; its folder goes with it.
pub struct Authority {
    folder: tempfile::TempDir,
}

/// What a certificate for time-stamps must say.
pub const FOR_TIME: &str = "extendedKeyUsage = critical,timeStamping";

const CONFIG: &str = "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\ndefault_policy = 1.2.3.4.1\ndigests = sha256\n\
accuracy = secs:1, millisecs:500\ntsa_name = yes\ness_cert_id_alg = sha256\nsigner_digest = sha256\n";

impl Authority {
    /// An authority with a CA and a certificate `tsa` of RSA; `None` where there is no openssl.
    pub fn make() -> Option<Authority> {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("skipped: no openssl");
            return None;
        }
        let authority = Authority { folder: tempfile::tempdir().unwrap() };
        std::fs::write(authority.path("tsa.cnf"), CONFIG).unwrap();
        std::fs::write(authority.path("serial"), "01\n").unwrap();
        for name in ["ca", "stranger"] {
            authority.openssl(&format!(
                "req -x509 -newkey rsa:2048 -noenc -keyout {name}.key -out {name}.pem -days 3650 -subj /CN={name} -addext keyUsage=critical,keyCertSign"
            ));
        }
        authority.issue("tsa", "rsa:2048", FOR_TIME);
        Some(authority)
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The certificate of an authority, PEM.
    pub fn pem(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(&format!("{name}.pem"))).unwrap()
    }

    /// Runs openssl in its folder; words are set apart by spaces.
    pub fn openssl(&self, arguments: &str) -> Vec<u8> {
        let output =
            Command::new("openssl").current_dir(self.folder.path()).args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Makes the certificate `name`, signed by the CA, with this key and extensions.
    pub fn issue(&self, name: &str, key: &str, extensions: &str) {
        self.issue_by("ca", name, key, extensions);
    }

    /// The same by another issuer.
    pub fn issue_by(&self, issuer: &str, name: &str, key: &str, extensions: &str) {
        std::fs::write(self.path("extensions"), extensions).unwrap();
        self.openssl(&format!(
            "req -newkey {key} -noenc -keyout {name}.key -out {name}.csr -subj /O=City/CN=Time-of-{name}"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -days 365 -extfile extensions -out {name}.pem"
        ));
    }

    /// Answers a request as an authority does.
    pub fn answer(&self, request: &[u8]) -> Vec<u8> {
        std::fs::write(self.path("asked.tsq"), request).unwrap();
        self.openssl("ts -reply -config tsa.cnf -queryfile asked.tsq -signer tsa.pem -inkey tsa.key -chain ca.pem -out answer.tsr");
        std::fs::read(self.path("answer.tsr")).unwrap()
    }

    /// What an answer says, as its `TSTInfo`.
    pub fn content(&self, answer: &[u8]) -> Vec<u8> {
        std::fs::write(self.path("content.tsr"), answer).unwrap();
        self.openssl("ts -reply -in content.tsr -token_out -out content.token");
        self.openssl("cms -verify -noverify -inform DER -in content.token -binary -out content.der");
        std::fs::read(self.path("content.der")).unwrap()
    }

    /// An answer that says this, signed by any certificate in any way.
    pub fn sign(&self, content: &[u8], signer: &str, more: &str) -> Vec<u8> {
        std::fs::write(self.path("said.der"), content).unwrap();
        self.openssl(&format!(
            "cms -sign -in said.der -binary -nodetach -outform DER -econtent_type 1.2.840.113549.1.9.16.1.4 -cades -nosmimecap \
             -signer {signer}.pem -inkey {signer}.key -out said.token {more}"
        ));
        let token = std::fs::read(self.path("said.token")).unwrap();
        // TimeStampResp: status 0, then the token.
        let inside = [&[0x30, 3, 2, 1, 0][..], &token].concat();
        let length = u16::try_from(inside.len()).unwrap().to_be_bytes();
        [&[0x30, 0x82, length[0], length[1]][..], &inside].concat()
    }

    /// Whether openssl itself takes an answer to a request.
    pub fn accepts(&self, request: &Path, answer: &Path) -> bool {
        let arguments = ["ts", "-verify", "-CAfile", "ca.pem", "-queryfile"];
        let mut command = Command::new("openssl");
        command.current_dir(self.folder.path()).args(arguments).arg(request).arg("-in").arg(answer);
        command.output().unwrap().status.success()
    }
}
