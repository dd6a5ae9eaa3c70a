//! Enrolments, refused senders, and where a new sender finds the server.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{UnitRow, as_text, as_text_or_null};

words! {
    /// Where an enrolment stands.
    EnrollmentStanding {
        /// The code waits.
        Open "open",
        /// The code ran out unused.
        Expired "expired",
        /// It has a certificate that holds.
        Enrolled "enrolled",
        /// Its last certificate has run out.
        Outlived "outlived",
        /// Code and certificates count no more.
        Revoked "revoked",
    }
}

words! {
    /// What is to send.
    SenderKind {
        /// `nhatle forward`.
        Forward "forward",
        /// rsyslog.
        Rsyslog "rsyslog",
        /// syslog-ng.
        SyslogNg "syslog-ng",
        /// A FortiGate firewall.
        Fortigate "fortigate",
        /// A MikroTik router.
        Mikrotik "mikrotik",
        /// A recorder or camera of Hikvision or Dahua.
        Camera "camera",
        /// Windows, by NXLog or Winlogbeat.
        Windows "windows",
        /// Anything else that speaks syslog.
        Generic "generic",
    }
}

impl SenderKind {
    /// Whether it can prove who it is, with a certificate it gets for a code.
    pub fn has_certificate(self) -> bool {
        matches!(self, SenderKind::Forward | SenderKind::Rsyslog | SenderKind::SyslogNg)
    }
}

/// One enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnrollmentRow {
    /// Its number.
    pub id: u64,
    /// What the sender is called.
    pub name: String,
    /// Its unit.
    pub unit: UnitRow,
    /// Where it stands.
    pub standing: EnrollmentStanding,
    /// Who gave the code.
    pub by: String,
    /// When.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Until when the code works.
    #[serde(serialize_with = "as_text")]
    pub expires: Timestamp,
    /// When it was used.
    #[serde(serialize_with = "as_text_or_null")]
    pub used: Option<Timestamp>,
    /// Until when its newest certificate holds.
    #[serde(serialize_with = "as_text_or_null")]
    pub not_after: Option<Timestamp>,
}

/// A code that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NewEnrollment {
    /// What the sender will be called: 1 to 64 letters, digits, `.`, `_`, `-`, `@`.
    pub name: String,
    /// The code of its unit.
    pub unit: String,
    /// How many hours the code works; a week where not given, 90 days at most.
    #[serde(default)]
    pub hours: Option<u32>,
}

/// A code given out. It is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct IssuedCode {
    /// The code.
    pub code: String,
    /// What it is for.
    #[serde(flatten)]
    pub row: EnrollmentRow,
}

/// A sender that was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedRow {
    /// When last.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Its address.
    pub address: String,
    /// The input it came to.
    pub input: String,
    /// Why: a stable word, of the messages `refused-…`.
    pub why: String,
    /// The name in the certificate it showed.
    pub name: Option<String>,
    /// How often.
    pub count: u64,
}

/// A port of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// It listens on loopback: other machines do not reach it.
    pub is_local: bool,
}

/// Where a new sender finds the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// The name or address to be written into senders.
    pub host: String,
    /// Syslog over UDP.
    pub syslog_udp: Option<Port>,
    /// Syslog over TCP.
    pub syslog_tcp: Option<Port>,
    /// Syslog over TLS.
    pub syslog_tls: Option<Port>,
    /// Pages, API and pushes over TLS.
    pub https: Option<Port>,
    /// The same without.
    pub http: Option<Port>,
    /// SHA-256 of the city's authority, as OpenSSL prints it.
    pub authority: String,
}
