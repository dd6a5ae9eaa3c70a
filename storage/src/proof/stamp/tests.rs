//! Time-stamps of an authority that openssl plays, made while the test runs: what holds, and each way in which it does not.
//! Skipped where there is no openssl.

use super::der::{self, OCTET_STRING, OID, SEQUENCE};
use super::token::Token;
use super::verify::{Authorities, check};
use super::{Request, Stamp, StampError, kept, oid};
use crate::OsDisk;
use crate::proof::head::{Head, SignedHead, origin_of};
use crate::proof::note::SigningKey;

#[path = "../../../../tests/support/tsa.rs"]
#[allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise and says when it is skipped"
)]
mod tsa;

use tsa::{Authority, FOR_TIME};

fn head(size: u64) -> SignedHead {
    let key = SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("a key");
    let head = Head { origin: origin_of(&key.public()), size, root: [7; 32], at: None, writer: Some(0) };
    SignedHead::sign(head, &key)
}

fn known(authority: &Authority) -> Authorities {
    Authorities::read(&authority.pem("ca")).expect("an authority")
}

/// Writes `to` over the one place where `from` stands.
fn altered(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("it stands there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// The time of a `TSTInfo`, as it is written.
fn time_of(content: &[u8]) -> Vec<u8> {
    let at = content.windows(2).position(|window| window == [0x18, 15]).expect("a time in seconds");
    content[at + 2..at + 17].to_vec()
}

#[test]
fn a_request_is_read_as_openssl_reads_it() {
    let request = Request::new(&head(7), 0xfedc_ba98_7654_3210);
    let bytes = request.to_der();
    assert_eq!(Request::parse(&bytes), Ok(request.clone()));
    for end in 0..bytes.len() {
        assert!(Request::parse(&bytes[..end]).is_err(), "{end}");
    }
    let Some(authority) = Authority::make() else { return };
    std::fs::write(authority.path("ours.tsq"), &bytes).expect("writes");
    let said = String::from_utf8(authority.openssl("ts -query -in ours.tsq -text")).expect("text");
    for part in ["Version: 1", "sha256", "Nonce: 0xFEDCBA9876543210", "Certificate required: yes"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_token_holds_for_its_head_and_each_thing_that_is_wrong_has_its_words() {
    let Some(authority) = Authority::make() else { return };
    let known = known(&authority);
    let (head, other) = (head(7), head(8));
    let request = Request::new(&head, 1 << 63);
    let answer = authority.answer(&request.to_der());
    let stamp = check(&answer, &request, Some(&known)).expect("it holds");
    assert_eq!((stamp.authority.as_str(), stamp.accuracy_ns, stamp.is_chained), ("Time-of-tsa", 1_500_000_000, true));
    assert_eq!(check(&answer, &request, None), Ok(Stamp { is_chained: false, ..stamp }));

    let refused =
        |answer: &[u8], request: &Request| check(answer, request, Some(&known)).expect_err("it does not hold");
    assert_eq!(
        refused(&answer, &Request { imprint: Request::new(&other, 0).imprint, ..request.clone() }),
        StampError::OtherImprint
    );
    assert_eq!(refused(&answer, &Request { nonce: vec![1], ..request.clone() }), StampError::OtherNonce);
    let mut flipped = answer.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    assert_eq!(refused(&flipped, &request), StampError::Signature);
    let content = authority.content(&answer);
    let later = altered(&answer, &time_of(&content), b"20400101000000Z");
    assert_eq!(refused(&later, &request), StampError::OtherContent);
    let stranger = Authorities::read(&authority.pem("stranger")).expect("an authority");
    assert_eq!(check(&answer, &request, Some(&stranger)), Err(StampError::UnknownIssuer));
    // Of the certificate another form came along: the last byte of its own signature is another one.
    let certificate = Token::parse(&answer).expect("a token").certificates[0].to_vec();
    let mut forged = certificate.clone();
    *forged.last_mut().expect("bytes") ^= 1;
    assert_eq!(refused(&altered(&answer, &certificate, &forged), &request), StampError::OtherCertificate);

    let asked = |hash: &[u8], imprint: &[u8], end: &[u8]| {
        let algorithm = der::write(SEQUENCE, &der::write(OID, hash));
        let imprint = der::write(SEQUENCE, &[algorithm, der::write(OCTET_STRING, imprint)].concat());
        let nonce = der::write(der::INTEGER, &request.nonce);
        authority.answer(&der::write(SEQUENCE, &[&der::write_number(1), &imprint, &nonce, end].concat()))
    };
    assert_eq!(refused(&asked(oid::SHA256, &request.imprint, &[]), &request), StampError::NoCertificate);
    let status = refused(&asked(oid::SHA512, &[7; 64], &[1, 1, 0xff]), &request);
    assert!(matches!(status, StampError::NotGranted { status: 2, .. }), "{status:?}");
    assert!(status.to_string().contains("algorithm"), "{status}");
    assert_eq!(refused(&[0x30, 5, 0x30, 3, 2, 1, 0], &request), StampError::NoToken);
}

type Expected = Result<(), StampError>;

#[test]
fn tokens_signed_in_other_ways_hold_and_certificates_for_other_things_do_not() {
    let Some(authority) = Authority::make() else { return };
    let known = known(&authority);
    let request = Request::new(&head(7), 5);
    for (name, curve) in [("p256", "P-256"), ("p384", "P-384")] {
        authority.openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out {name}.params.key"));
        authority.openssl(&format!(
            "ecparam -name {} -out {name}.params",
            if name == "p256" { "prime256v1" } else { "secp384r1" }
        ));
        authority.issue(name, &format!("ec:{name}.params"), FOR_TIME);
    }
    authority.issue("between", "rsa:2048", "basicConstraints = critical,CA:true\nkeyUsage = keyCertSign");
    authority.issue_by("between", "below", "rsa:2048", FOR_TIME);
    authority.issue("keyed", "rsa:2048", "extendedKeyUsage = critical,timeStamping\nsubjectKeyIdentifier = hash");
    authority.issue("web", "rsa:2048", "extendedKeyUsage = critical,serverAuth");
    authority.issue("both", "rsa:2048", "extendedKeyUsage = critical,timeStamping,serverAuth");
    authority.issue("none", "rsa:2048", "subjectKeyIdentifier = hash");
    authority.issue("lax", "rsa:2048", "extendedKeyUsage = timeStamping");
    // Later than the certificates.
    let content = authority.content(&authority.answer(&request.to_der()));
    let early = altered(&content, &time_of(&content), b"20010203040506Z");
    let late = altered(&content, &time_of(&content), b"20400203040506Z");
    let no_way = Err(StampError::Algorithm);
    let rows: [(&str, &str, &[u8], Expected); 19] = [
        ("tsa", "-md sha256", &content, Ok(())),
        ("tsa", "-md sha384", &content, Ok(())),
        ("tsa", "-md sha512", &content, Ok(())),
        ("tsa", "-md sha256 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:32", &content, Ok(())),
        ("tsa", "-md sha512 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:64", &content, Ok(())),
        ("p256", "-md sha256", &content, Ok(())),
        ("p256", "-md sha384", &content, Ok(())),
        ("p384", "-md sha384", &content, Ok(())),
        ("keyed", "-md sha256 -keyid", &content, Ok(())),
        ("below", "-md sha256 -certfile between.pem", &content, Ok(())),
        ("below", "-md sha256", &content, Err(StampError::UnknownIssuer)),
        ("p256", "-md sha512", &content, no_way.clone()),
        ("tsa", "-md sha1", &content, no_way),
        ("web", "-md sha256", &content, Err(StampError::NotForTime)),
        ("both", "-md sha256", &content, Err(StampError::NotForTime)),
        ("none", "-md sha256", &content, Err(StampError::NotForTime)),
        ("lax", "-md sha256", &content, Err(StampError::NotCritical)),
        ("tsa", "-md sha256", &early, Err(StampError::NotValidYet)),
        ("tsa", "-md sha256", &late, Err(StampError::Expired)),
    ];
    for (signer, more, content, expected) in rows {
        let answer = authority.sign(content, signer, more);
        assert_eq!(check(&answer, &request, Some(&known)).map(drop), expected, "{signer} {more}");
    }
}

/// xorshift64*: small, seeded, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).expect("31 bits") % below
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "a random test prints its seed")]
fn no_altered_answer_says_something_else_and_none_panics() {
    let Some(authority) = Authority::make() else { return };
    let known = known(&authority);
    let request = Request::new(&head(7), 9);
    let answer = authority.answer(&request.to_der());
    let whole = check(&answer, &request, Some(&known)).expect("it holds");
    for end in 0..answer.len() {
        assert!(check(&answer[..end], &request, Some(&known)).is_err(), "cut at {end}");
    }
    let seed = 20_261_128;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    for _ in 0..20_000 {
        let mut bytes = answer.clone();
        for _ in 0..=dice.next(3) {
            let at = dice.next(bytes.len());
            match dice.next(4) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, u8::try_from(dice.next(256)).expect("a byte")),
                _ => bytes[at] = u8::try_from(dice.next(256)).expect("a byte"),
            }
        }
        // Not everything of an answer is signed: its status, and certificates that nobody needs.
        if let Ok(stamp) = check(&bytes, &request, Some(&known)) {
            assert_eq!(stamp, whole, "{bytes:x?}");
        }
    }
}

#[test]
fn what_is_kept_is_checked_with_its_head() {
    let Some(authority) = Authority::make() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let disk = OsDisk::new(folder.path()).expect("a disk");
    let head = head(7);
    let mut kept = kept::Kept { request: Request::new(&head, 3), head, answer: Vec::new() };
    kept::write(&disk, &kept).expect("writes");
    assert_eq!((kept::waiting(&disk).expect("lists"), kept::newest(&disk).expect("lists")), (vec![7], None));
    kept.answer = authority.answer(&kept.request.to_der());
    kept::write(&disk, &kept).expect("writes");
    assert_eq!(
        (kept::waiting(&disk).expect("lists"), kept::newest(&disk).expect("lists")),
        (vec![], Some(kept.clone()))
    );
    assert!(kept.check(Some(&known(&authority))).is_ok());
    let place = |kind: &str| folder.path().join(kept::path(7, kind));
    assert!(authority.accepts(&place("tsq"), &place("tsr")), "openssl takes the files as they are");
    let other = kept::Kept { head: self::head(7), ..kept.clone() };
    assert_eq!(other.check(None), Err(StampError::OtherImprint));
    for (kind, bytes) in [("head", &b"nothing"[..]), ("tsq", b""), ("tsr", &[0; 70_000])] {
        let before = std::fs::read(place(kind)).expect("reads");
        std::fs::write(place(kind), bytes).expect("writes");
        assert!(kept::read(&disk, 7).is_err(), "{kind}");
        std::fs::write(place(kind), before).expect("writes");
    }
    std::fs::remove_file(place("head")).expect("is removed");
    let (newest, findings) = kept::check_all(&disk, &[7], None, None);
    assert_eq!((newest, findings.len()), (None, 1));
}
