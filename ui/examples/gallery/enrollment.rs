//! People as others see them, enrolments of the two wards, one refused sender, and the addresses of an invented server.

use nhatle_ui::model::{
    EnrollmentRow, EnrollmentStanding, ExceptionRow, IssuedCode, NewEnrollment, Port, Reach, RefusedRow, UserRow,
};
use nhatle_ui::{Account, Answer, DeskError, Role, Viewer};

use super::sample::{MINUTE, unit};
use super::{NOW, UNITS};

/// Enrolments of the viewer's units, named by the wards' marks.
pub fn rows(viewer: &Viewer, marks: &[String; 2]) -> Vec<EnrollmentRow> {
    let seen = (0..2).filter(|at| viewer.may_see(Some(UNITS[*at])));
    seen.map(|at| sample_enrollment(&marks[at], at)).collect()
}

/// A code for a unit the viewer sees.
pub fn issue(viewer: &Viewer, new: &NewEnrollment) -> Answer<IssuedCode> {
    let at = (0..2).find(|at| UNITS[*at] == new.unit && viewer.may_see(Some(UNITS[*at])));
    let row = sample_enrollment(&new.name, at.ok_or(DeskError::NotFound)?);
    Ok(IssuedCode { code: "7K2M-9QXV-4T8R-J3HN-C6PD".to_owned(), row })
}

/// An account that signs in with a password.
pub fn account(user: &str, name: &str, role: Role, unit: Option<&str>, hash: &str) -> Account {
    Account {
        user: user.to_owned(),
        name: name.to_owned(),
        role,
        unit: unit.map(str::to_owned),
        language: None,
        password_hash: Some(hash.to_owned()),
        is_disabled: false,
    }
}

/// A person, as others see them.
pub fn user_row(account: &Account) -> UserRow {
    let (user, name, unit) = (account.user.clone(), account.name.clone(), account.unit.clone());
    UserRow { user, name, role: account.role, unit }
}

/// One of these, revoked.
pub fn revoke(rows: Vec<EnrollmentRow>, number: u64) -> Answer<EnrollmentRow> {
    let row = rows.into_iter().find(|row| row.id == number).ok_or(DeskError::NotFound)?;
    Ok(EnrollmentRow { standing: EnrollmentStanding::Revoked, ..row })
}

/// Who was refused, for who sees the city.
pub fn refused(viewer: &Viewer) -> Vec<RefusedRow> {
    let sees_city = viewer.unit.is_none() && viewer.role != Role::Ward;
    if sees_city { vec![sample_refused()] } else { Vec::new() }
}

/// An enrolment of a ward.
fn sample_enrollment(name: &str, at: usize) -> EnrollmentRow {
    EnrollmentRow {
        id: at as u64 + 1,
        name: name.to_owned(),
        unit: unit(at),
        standing: EnrollmentStanding::Enrolled,
        by: "lan".to_owned(),
        at: NOW.plus_nanos(-60 * MINUTE),
        expires: NOW.plus_nanos(7 * 24 * 60 * MINUTE),
        used: Some(NOW),
        not_after: Some(NOW.plus_nanos(365 * 24 * 60 * MINUTE)),
    }
}

/// A sender that was not let in.
fn sample_refused() -> RefusedRow {
    RefusedRow {
        at: NOW,
        address: "198.51.100.7".to_owned(),
        input: "syslog-tls".to_owned(),
        why: "certificate-expired".to_owned(),
        name: Some("phuong-01".to_owned()),
        count: 3,
    }
}

/// Where a new sender finds the server.
pub fn reach() -> Reach {
    let port = |number| Some(Port { number, is_local: false });
    Reach {
        host: "soc.example".to_owned(),
        syslog_udp: port(5514),
        syslog_tcp: port(5514),
        syslog_tls: port(6514),
        https: port(8443),
        http: None,
        authority: "sha256 Fingerprint=AA:BB".to_owned(),
    }
}

/// Whether an exception may be shown: those of no unit to those who are limited to none.
pub fn sees(viewer: &Viewer, row: &ExceptionRow) -> bool {
    viewer.may_see(row.unit.as_ref().map(|unit| unit.code.as_str()))
}
