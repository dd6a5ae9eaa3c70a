//! `[proof]` of the configuration: how often a head is signed, who gets heads, whose heads are taken, who gives them a time.
//!
//! In: the file as written. Out: [`Proof`], or what is wrong with it, with its key.

use std::path::PathBuf;
use std::time::Duration;

use nhatle_storage::proof::VerifierKey;
use nhatle_storage::proof::stamp::Authorities;
use serde::{Deserialize, Serialize};

use super::stamp::{self, Stamping};
use crate::forward::client::City;
use crate::pki;

/// How many second parties, copies and logs may be named.
pub const NAMED_MAX: usize = 64;

/// `[proof]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProofFile {
    /// How often a head is signed while something changes that no seal signs.
    pub head_every_minutes: u32,
    /// Files, or folders, to which each head is appended. Best on a machine of somebody else.
    pub copies: Vec<PathBuf>,
    /// Other nhatle (or other witnesses) that each head is sent to.
    pub witness: Vec<WitnessFile>,
    /// Keys of logs whose heads are taken at `POST /api/v1/proof/add-checkpoint`.
    pub take: Vec<String>,
    /// A time-stamping authority (RFC 3161) that gives heads a time; "" = none.
    pub timestamp_url: String,
    /// Certificates (PEM) of who must have vouched for the one under a time-stamp.
    pub timestamp_ca: PathBuf,
    /// Certificates (PEM) of who signed the one of the authority's web server, for https.
    pub timestamp_tls_ca: PathBuf,
    /// How often a head gets a time, beside when somebody waits for one.
    pub timestamp_every_hours: u32,
}

/// `[[proof.witness]]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WitnessFile {
    /// `https://host:port`.
    pub url: String,
    /// The certificate of its authority (`pki/ca.pem` of another nhatle), for https.
    pub ca: PathBuf,
}

impl Default for ProofFile {
    fn default() -> ProofFile {
        ProofFile {
            head_every_minutes: 60,
            copies: Vec::new(),
            witness: Vec::new(),
            take: Vec::new(),
            timestamp_url: String::new(),
            timestamp_ca: PathBuf::new(),
            timestamp_tls_ca: PathBuf::new(),
            timestamp_every_hours: 24,
        }
    }
}

/// What `[proof]` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// How often a head is signed while something changes.
    pub every: Duration,
    /// Where heads are appended.
    pub copies: Vec<PathBuf>,
    /// Where heads are sent: the place, and the PEM of its authority.
    pub witnesses: Vec<(City, Option<String>)>,
    /// Whose heads are taken.
    pub take: Vec<VerifierKey>,
    /// Who gives heads a time.
    pub stamping: Option<Stamping>,
    /// Whose times count, where that is known.
    pub authorities: Option<Authorities>,
}

impl ProofFile {
    /// What it means. What is wrong goes to `problems`.
    pub fn check(&self, problems: &mut Vec<String>) -> Proof {
        if !(1..=60).contains(&self.head_every_minutes) {
            problems.push("proof.head_every_minutes: must be 1 to 60".to_owned());
        }
        if NAMED_MAX < self.copies.len().max(self.witness.len()).max(self.take.len()) {
            problems.push(format!("proof: more than {NAMED_MAX} of a kind"));
        }
        let mut witnesses = Vec::new();
        for one in &self.witness {
            let city = match City::read(&one.url) {
                Ok(city) => city,
                Err(error) => {
                    problems.push(format!("proof.witness.url: {error}"));
                    continue;
                }
            };
            let ca = match (city.is_tls, one.ca.as_os_str().is_empty()) {
                (false, _) => None,
                (true, true) => {
                    problems.push(format!("proof.witness.ca: needed for {}", one.url));
                    continue;
                }
                (true, false) => match std::fs::read_to_string(&one.ca) {
                    Ok(pem) => Some(pem),
                    Err(error) => {
                        problems.push(format!("proof.witness.ca: {}: {error}", one.ca.display()));
                        continue;
                    }
                },
            };
            witnesses.push((city, ca));
        }
        let mut take = Vec::new();
        for text in &self.take {
            match VerifierKey::parse(text) {
                Ok(key) => take.push(key),
                Err(error) => problems.push(format!("proof.take: {error}")),
            }
        }
        let every = Duration::from_secs(u64::from(self.head_every_minutes) * 60);
        let authorities = self.authorities(problems);
        let stamping = self.stamping(authorities.as_ref(), problems);
        Proof { every, copies: self.copies.clone(), witnesses, take, stamping, authorities }
    }

    fn authorities(&self, problems: &mut Vec<String>) -> Option<Authorities> {
        if self.timestamp_ca.as_os_str().is_empty() {
            return None;
        }
        let read = std::fs::read(&self.timestamp_ca).map_err(|error| error.to_string());
        let read = read.and_then(|pem| Authorities::read(&pem));
        read.map_err(|error| problems.push(format!("proof.timestamp_ca: {}: {error}", self.timestamp_ca.display())))
            .ok()
    }

    fn stamping(&self, authorities: Option<&Authorities>, problems: &mut Vec<String>) -> Option<Stamping> {
        if !(1..=24 * 31).contains(&self.timestamp_every_hours) {
            problems.push("proof.timestamp_every_hours: must be 1 to 744".to_owned());
        }
        if self.timestamp_url.is_empty() {
            return None;
        }
        let place = stamp::place(&self.timestamp_url);
        let (city, path) = place.map_err(|error| problems.push(format!("proof.timestamp_url: {error}"))).ok()?;
        if self.timestamp_ca.as_os_str().is_empty() {
            problems.push("proof.timestamp_ca: needed for proof.timestamp_url".to_owned());
        }
        let named = &self.timestamp_tls_ca;
        let tls_ca = match (city.is_tls, named.as_os_str().is_empty()) {
            (false, _) => None,
            (true, true) => {
                problems.push(format!("proof.timestamp_tls_ca: needed for {}", self.timestamp_url));
                return None;
            }
            (true, false) => {
                let pem = std::fs::read_to_string(named).map_err(|error| error.to_string());
                let pem = pem.and_then(|pem| match pki::client::web_client(&pem) {
                    Ok(_) => Ok(pem),
                    Err(error) => Err(error.to_string()),
                });
                let said = |error| problems.push(format!("proof.timestamp_tls_ca: {}: {error}", named.display()));
                Some(pem.map_err(said).ok()?)
            }
        };
        let every = Duration::from_secs(u64::from(self.timestamp_every_hours) * 3600);
        Some(Stamping { city, path, tls_ca, every, authorities: authorities?.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_its_key() {
        let mut problems = Vec::new();
        let proof = ProofFile::default().check(&mut problems);
        assert_eq!((problems.len(), proof.every.as_secs()), (0, 3600));
        let wrong = ProofFile {
            head_every_minutes: 0,
            witness: vec![
                WitnessFile { url: "ftp://x".into(), ca: PathBuf::new() },
                WitnessFile { url: "https://x".into(), ca: PathBuf::new() },
            ],
            take: vec!["no key".into()],
            timestamp_url: "https://x/tsa".into(),
            timestamp_every_hours: 0,
            ..ProofFile::default()
        };
        wrong.check(&mut problems);
        let keys =
            ["head_every_minutes", "witness.url", "witness.ca", "take", "stamp_every", "stamp_ca", "stamp_tls_ca"];
        assert!(keys.iter().all(|key| problems.iter().any(|one| one.contains(key))), "{problems:?}");
    }
}
