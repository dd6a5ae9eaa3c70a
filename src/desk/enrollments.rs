//! Enrolments, refused senders and the server's own addresses, for pages.
//!
//! In: the register, what the doors refused, the listeners. Out: rows; a code that is given out. Promise: enrolments of the viewer's
//! units only; refused senders only for who sees the whole city.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use nhatle_engine::enrollment::{Enrollment, EnrollmentChange, Standing};
use nhatle_engine::register::AnyChange;
use nhatle_ui::model::{EnrollmentRow, EnrollmentStanding, IssuedCode, NewEnrollment, Port, Reach, RefusedRow};
use nhatle_ui::{Answer, DeskError, Refusal, Viewer};

use super::{Failure, LiveDesk, may_see};
use crate::enroll::{self, CODE_HOURS};
use crate::pki::Trust;
use crate::units;

/// What the desk knows of certificates and listeners.
pub struct Gate {
    /// The city's authority, and who was refused.
    pub trust: Arc<Trust>,
    /// Where pages listen.
    pub http: SocketAddr,
    /// Where they listen over TLS.
    pub https: Option<SocketAddr>,
}

/// Enrolments of the viewer's units.
pub(super) fn list(desk: &LiveDesk, viewer: &Viewer) -> Vec<EnrollmentRow> {
    let limit = desk.limit(viewer);
    desk.shared.registry.read(|state| {
        let seen = state.enrollments.values().filter(|enrollment| may_see(&limit, [&enrollment.unit]));
        seen.map(|enrollment| row(desk, enrollment)).collect()
    })
}

fn row(desk: &LiveDesk, enrollment: &Enrollment) -> EnrollmentRow {
    EnrollmentRow {
        id: enrollment.number,
        name: enrollment.name.clone(),
        unit: desk.unit_row(&enrollment.unit),
        standing: match enrollment.standing(desk.now()) {
            Standing::Open => EnrollmentStanding::Open,
            Standing::Expired => EnrollmentStanding::Expired,
            Standing::Enrolled => EnrollmentStanding::Enrolled,
            Standing::Outlived => EnrollmentStanding::Outlived,
            Standing::Revoked => EnrollmentStanding::Revoked,
        },
        by: enrollment.by.clone(),
        at: enrollment.at,
        expires: enrollment.expires,
        used: enrollment.used,
        not_after: enrollment.not_after(),
    }
}

/// Gives out a code for a unit the viewer sees; where units are configured it must be one of them.
pub(super) fn issue(desk: &LiveDesk, viewer: &Viewer, new: &NewEnrollment) -> Answer<IssuedCode> {
    let gate = desk.gate.as_ref().ok_or(DeskError::NotFound)?;
    let (units, limit) = (desk.unit_tree(), desk.limit(viewer));
    // Only those the viewer sees are named.
    let known: Vec<&str> =
        units.all().map(|unit| &unit.code).filter(|code| may_see(&limit, [*code])).map(String::as_str).collect();
    units::check_known(&new.unit, &known).map_err(|problem| DeskError::Problems(vec![problem]))?;
    if !may_see(&limit, [&new.unit]) {
        return Err(DeskError::Refused(Refusal::WrongState));
    }
    let wanted = (new.name.as_str(), new.unit.as_str(), new.hours.unwrap_or(CODE_HOURS));
    let issued = enroll::issue(&desk.shared.registry, &gate.trust.authority, &viewer.user, desk.now(), wanted);
    let (number, code, _expires) = issued.map_err(|error| Failure::from(error).0)?;
    desk.shared.tick();
    let row = one(desk, viewer, number)?;
    Ok(IssuedCode { code: code.to_string(), row })
}

fn one(desk: &LiveDesk, viewer: &Viewer, number: u64) -> Answer<EnrollmentRow> {
    list(desk, viewer).into_iter().find(|row| row.id == number).ok_or(DeskError::NotFound)
}

/// Ends a code and its certificates; connections that stand end at their next words.
pub(super) fn revoke(desk: &LiveDesk, viewer: &Viewer, number: u64, because: &str) -> Answer<EnrollmentRow> {
    one(desk, viewer, number)?;
    let because = because.to_owned();
    desk.record(viewer, |_state| {
        let change = EnrollmentChange::Revoke { because: because.clone() };
        Ok((vec![AnyChange::Enrollment(number, change)], ()))
    })?;
    if let Some(gate) = &desk.gate {
        gate.trust.revoke(desk.shared.registry.read(nhatle_engine::register::RegisterState::revoked_certificates));
    }
    one(desk, viewer, number)
}

/// Senders refused lately.
pub(super) fn refused(desk: &LiveDesk, viewer: &Viewer) -> Vec<RefusedRow> {
    let Some(gate) = desk.gate.as_ref().filter(|_| desk.limit(viewer).is_none()) else { return Vec::new() };
    let row = |refusal: nhatle_collector::listen::tls::refusals::Refusal| RefusedRow {
        at: refusal.at,
        address: refusal.address.to_string(),
        input: refusal.input.to_string(),
        why: refusal.why.code().to_owned(),
        name: refusal.name.map(|name| name.to_string()),
        count: refusal.count,
    };
    gate.trust.house.refusals.rows().into_iter().map(row).collect()
}

/// Where a new sender finds the server: the host of its public address, else an address others may reach.
pub(super) fn reach(desk: &LiveDesk) -> Reach {
    let inputs = desk.shared.inputs().read();
    let port = |address: SocketAddr| Port { number: address.port(), is_local: address.ip().is_loopback() };
    let input = |name: &str| inputs.iter().find(|input| input.name == name).and_then(|input| input.address).map(port);
    let (host, authority) = desk.gate.as_ref().map_or_else(Default::default, |gate| {
        let names = gate.trust.names();
        let of_machine = || crate::pki::names::own_addresses().into_iter().find(|address| !address.is_loopback());
        let address = || {
            of_machine().map(|address| match address {
                IpAddr::V4(four) => four.to_string(),
                IpAddr::V6(six) => format!("[{six}]"),
            })
        };
        let public = gate.trust.public_host().map(ToOwned::to_owned);
        (public.or_else(address).unwrap_or_else(|| names.first()), gate.trust.fingerprint_text())
    });
    Reach {
        host,
        syslog_udp: input("syslog_udp"),
        syslog_tcp: input("syslog_tcp"),
        syslog_tls: input("syslog_tls"),
        https: desk.gate.as_ref().and_then(|gate| gate.https).map(port),
        http: desk.gate.as_ref().map(|gate| port(gate.http)),
        authority,
    }
}
