//! Enrolments: a ward gets a code on paper, and for it a certificate that says which ward it is.
//!
//! In: changes of stream `enrollment/NUMBER` with who and when. Out: for each code whether it is open, used, run out or
//! revoked, and the certificates given for it. Promise: a code is good for one certificate; the next ones are given for
//! the one in force (renewal). Revoking ends the code and every certificate given for it. Codes stand here only as
//! hashes that others made. Failure: a change that is refused, and why. Bounded: [`ENROLLMENTS_MAX`], and
//! [`CERTIFICATES_MAX`] certificates of each that have not run out.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::account::is_account_name;
use crate::incident::Refused;

/// How many there may be. A city has some hundred senders; each new machine is one.
pub const ENROLLMENTS_MAX: usize = 10_000;
/// How many certificates of one enrolment may hold at once.
pub const CERTIFICATES_MAX: usize = 8;
/// How long a unit's code and a reason may be, in characters.
const UNIT_CHARS_MAX: usize = 64;
const BECAUSE_CHARS_MAX: usize = 500;

/// One step of an enrolment (stream `enrollment/NUMBER`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EnrollmentChange {
    /// A code was given out.
    Issue {
        /// SHA-256 of the code, hexadecimal.
        hash: String,
        /// What the sender will be called.
        name: String,
        /// Its organization unit.
        unit: String,
        /// Until when the code works, nanoseconds.
        expires_ns: i64,
    },
    /// The code was used: the first certificate.
    Use(Certificate),
    /// Another certificate in place of one that runs out.
    Renew(Certificate),
    /// Code and certificates count no more.
    Revoke {
        /// Why; may be empty.
        #[serde(default)]
        because: String,
    },
}

/// A certificate that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 of it, hexadecimal.
    pub fingerprint: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Until when it holds, nanoseconds.
    pub not_after_ns: i64,
}

/// Where an enrolment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The code waits.
    Open,
    /// The code ran out unused.
    Expired,
    /// It has a certificate that holds.
    Enrolled,
    /// It had certificates, and the last has run out.
    Outlived,
    /// Code and certificates count no more.
    Revoked,
}

/// A code and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrollment {
    /// Its number.
    pub number: u64,
    /// What the sender is called.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// SHA-256 of the code, hexadecimal.
    pub hash: String,
    /// Who gave the code.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Until when the code works.
    pub expires: Timestamp,
    /// When it was used.
    pub used: Option<Timestamp>,
    /// The certificates given, those that have run out left away with time.
    pub certificates: Vec<Certificate>,
    /// When it was revoked, by whom and why.
    pub revoked: Option<(Timestamp, String, String)>,
}

impl Enrollment {
    /// Where it stands at a moment.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let holds = |certificate: &Certificate| now.0 <= certificate.not_after_ns;
        match (&self.revoked, self.used) {
            (Some(_), _) => Standing::Revoked,
            (None, Some(_)) if self.certificates.iter().any(holds) => Standing::Enrolled,
            (None, Some(_)) => Standing::Outlived,
            (None, None) if now <= self.expires => Standing::Open,
            (None, None) => Standing::Expired,
        }
    }

    /// Until when its newest certificate holds.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.certificates.iter().map(|certificate| Timestamp(certificate.not_after_ns)).max()
    }
}

/// Folds a change in.
///
/// # Errors
/// The change makes no sense in this state.
pub fn apply(
    before: Option<&Enrollment>,
    number: u64,
    change: &EnrollmentChange,
    actor: &str,
    at: Timestamp,
) -> Result<Enrollment, Refused> {
    let Some(before) = before else { return issue(number, change, actor, at) };
    let mut next = before.clone();
    if before.revoked.is_some() {
        return Err(Refused::Closed);
    }
    match change {
        EnrollmentChange::Issue { .. } => return Err(Refused::Exists),
        EnrollmentChange::Use(_) if before.used.is_some() => return Err(Refused::Closed),
        EnrollmentChange::Use(_) if before.expires < at => return Err(Refused::Closed),
        EnrollmentChange::Renew(_) if before.used.is_none() => return Err(Refused::Unknown),
        EnrollmentChange::Use(certificate) | EnrollmentChange::Renew(certificate) => {
            next.used = next.used.or(Some(at));
            next.certificates.retain(|held| at.0 <= held.not_after_ns);
            if CERTIFICATES_MAX <= next.certificates.len() {
                return Err(Refused::TooLong { what: "list of certificates", max: CERTIFICATES_MAX });
            }
            next.certificates.push(certificate.clone());
        }
        EnrollmentChange::Revoke { because } => {
            if BECAUSE_CHARS_MAX < because.chars().count() {
                return Err(Refused::TooLong { what: "reason", max: BECAUSE_CHARS_MAX });
            }
            next.revoked = Some((at, actor.to_owned(), because.clone()));
        }
    }
    Ok(next)
}

fn issue(number: u64, change: &EnrollmentChange, actor: &str, at: Timestamp) -> Result<Enrollment, Refused> {
    let EnrollmentChange::Issue { hash, name, unit, expires_ns } = change else { return Err(Refused::Unknown) };
    if !is_account_name(name) {
        return Err(Refused::UnknownWord { what: "form of name", word: name.clone() });
    }
    let is_unit = |unit: &str| unit.chars().count() <= UNIT_CHARS_MAX && !unit.contains(char::is_control);
    if unit.is_empty() || !is_unit(unit) {
        return Err(Refused::UnknownWord { what: "form of unit", word: unit.clone() });
    }
    Ok(Enrollment {
        number,
        name: name.clone(),
        unit: unit.clone(),
        hash: hash.clone(),
        by: actor.to_owned(),
        at,
        expires: Timestamp(*expires_ns),
        used: None,
        certificates: Vec::new(),
        revoked: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(name: &str, unit: &str) -> EnrollmentChange {
        let (hash, name, unit) = ("aa".to_owned(), name.to_owned(), unit.to_owned());
        EnrollmentChange::Issue { hash, name, unit, expires_ns: 100 }
    }

    fn certificate(mark: i64) -> Certificate {
        Certificate { fingerprint: mark.to_string(), serial: mark.to_string(), not_after_ns: 1000 + mark }
    }

    fn begun() -> Enrollment {
        apply(None, 1, &issue("phường-01", "DH01"), "lan", Timestamp(1)).expect("is begun")
    }

    #[test]
    fn a_code_is_used_once_and_in_time() {
        let code = begun();
        assert_eq!(code.standing(Timestamp(100)), Standing::Open);
        assert_eq!(code.standing(Timestamp(101)), Standing::Expired);
        let used = EnrollmentChange::Use(certificate(1));
        assert!(apply(Some(&code), 1, &used, "x", Timestamp(101)).is_err());
        let code = apply(Some(&code), 1, &used, "x", Timestamp(100)).expect("is used");
        assert_eq!(code.standing(Timestamp(500)), Standing::Enrolled);
        assert_eq!(code.standing(Timestamp(1002)), Standing::Outlived);
        assert!(apply(Some(&code), 1, &used, "x", Timestamp(50)).is_err(), "twice");
    }

    #[test]
    fn certificates_are_renewed_within_bounds_and_all_end_together() {
        let mut code = begun();
        let renew = |mark| EnrollmentChange::Renew(certificate(mark));
        assert!(apply(Some(&code), 1, &renew(1), "x", Timestamp(50)).is_err(), "nothing was given yet");
        code = apply(Some(&code), 1, &EnrollmentChange::Use(certificate(0)), "x", Timestamp(50)).expect("is used");
        for mark in 1..8 {
            code = apply(Some(&code), 1, &renew(mark), "x", Timestamp(60)).expect("is renewed");
        }
        assert!(apply(Some(&code), 1, &renew(9), "x", Timestamp(70)).is_err(), "too many at once");
        assert_eq!(code.certificates.len(), CERTIFICATES_MAX);
        // The first ones have run out by then and make room.
        let later = apply(Some(&code), 1, &renew(9), "x", Timestamp(1003)).expect("is renewed");
        assert_eq!((later.certificates.len(), later.not_after()), (6, Some(Timestamp(1009))));
        let revoke = EnrollmentChange::Revoke { because: "mất máy".to_owned() };
        let gone = apply(Some(&code), 1, &revoke, "lan", Timestamp(80)).expect("is revoked");
        assert_eq!(gone.standing(Timestamp(80)), Standing::Revoked);
        assert_eq!(gone.certificates.len(), CERTIFICATES_MAX, "all are known as revoked");
        for change in [renew(10), revoke, EnrollmentChange::Use(certificate(3))] {
            assert!(apply(Some(&gone), 1, &change, "x", Timestamp(90)).is_err());
        }
    }

    #[test]
    fn names_and_units_have_a_form() {
        for (name, unit) in [("", "DH01"), ("a b", "DH01"), ("ward", ""), ("ward", "a\nb"), ("ward", &"x".repeat(65))] {
            assert!(apply(None, 1, &issue(name, unit), "lan", Timestamp(1)).is_err(), "{name:?} {unit:?}");
        }
    }

    #[test]
    fn changes_are_read_as_they_are_written() {
        for change in
            [issue("ward", "DH01"), EnrollmentChange::Use(certificate(1)), EnrollmentChange::Renew(certificate(2))]
        {
            let json = serde_json::to_string(&change).expect("is JSON");
            assert_eq!(serde_json::from_str::<EnrollmentChange>(&json).expect("is read"), change, "{json}");
        }
    }
}
