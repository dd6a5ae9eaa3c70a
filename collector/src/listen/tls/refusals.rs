//! `Refusals`: senders that were not let in, newest first, for the log and the sources page.
//!
//! In: who was refused, where and why. Out: a line in the log, and a list of at most [`REFUSALS_MAX`] rows, in which the same
//! sender refused again for the same reason is one row with a count. Promise: a stranger can make neither list nor
//! log grow without bound: after the first time a row is logged at each doubling of its count, and at most
//! [`LINES_PER_MINUTE_MAX`] lines are written in a minute. Failure: none.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use nhatle_event::{Text, Timestamp};

/// How many rows are kept.
pub const REFUSALS_MAX: usize = 64;
/// How many log lines refusals may make in a minute.
pub const LINES_PER_MINUTE_MAX: u32 = 60;
const MINUTE_NS: i64 = 60_000_000_000;

/// Why a sender was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Its certificate has run out.
    Expired,
    /// Its certificate does not hold yet: its clock or ours is wrong.
    NotYetValid,
    /// Its certificate is of another authority than the city's.
    OtherAuthority,
    /// Its certificate was revoked.
    Revoked,
    /// Its certificate is not for clients, has no name, or is damaged.
    BadCertificate,
    /// It has no certificate where one is required.
    NoCertificate,
    /// It does not take the server's certificate: it does not know the city's authority.
    DistrustsUs,
    /// It speaks TLS 1.1 or older.
    OldVersion,
    /// It has no algorithm in common with us.
    NoCommonAlgorithm,
    /// It sends plain text to a port of TLS.
    PlainText,
    /// It did not finish its handshake or header in time.
    TooSlow,
    /// It has too many handshakes open at once.
    TooMany,
    /// It left, or broke the protocol, in the middle of the handshake.
    Broken,
    /// It is a balancer by the configuration, and sends no PROXY header or a damaged one.
    NoProxyHeader,
    /// It sends a PROXY header and is no balancer by the configuration.
    ForeignProxyHeader,
}

impl Why {
    /// The stable word of the API and of messages on pages.
    pub fn code(self) -> &'static str {
        match self {
            Why::Expired => "certificate-expired",
            Why::NotYetValid => "certificate-not-yet-valid",
            Why::OtherAuthority => "certificate-of-other-authority",
            Why::Revoked => "certificate-revoked",
            Why::BadCertificate => "certificate-bad",
            Why::NoCertificate => "certificate-missing",
            Why::DistrustsUs => "distrusts-us",
            Why::OldVersion => "tls-version",
            Why::NoCommonAlgorithm => "no-common-algorithm",
            Why::PlainText => "plain-text",
            Why::TooSlow => "too-slow",
            Why::TooMany => "too-many-handshakes",
            Why::Broken => "broken",
            Why::NoProxyHeader => "proxy-header-missing",
            Why::ForeignProxyHeader => "proxy-header-foreign",
        }
    }

    /// The reason in words, for the log.
    pub fn words(self) -> &'static str {
        match self {
            Why::Expired => "its certificate has expired",
            Why::NotYetValid => "its certificate is not valid yet",
            Why::OtherAuthority => "its certificate is not of this city's authority",
            Why::Revoked => "its certificate was revoked",
            Why::BadCertificate => "its certificate is not for clients, has no name or is damaged",
            Why::NoCertificate => "it has no certificate, and one is required here",
            Why::DistrustsUs => "it does not trust the server's certificate",
            Why::OldVersion => "it speaks a TLS version older than 1.2",
            Why::NoCommonAlgorithm => "it has no TLS algorithm in common with us",
            Why::PlainText => "it sends plain text to a TLS port",
            Why::TooSlow => "it did not finish its handshake in time",
            Why::TooMany => "it has too many handshakes open at once",
            Why::Broken => "it broke off the handshake",
            Why::NoProxyHeader => "it is a balancer and sent no good PROXY header",
            Why::ForeignProxyHeader => "it sent a PROXY header and is no balancer of ours",
        }
    }
}

/// A sender that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When last.
    pub at: Timestamp,
    /// Its address.
    pub address: IpAddr,
    /// The input it came to.
    pub input: Text,
    /// Why.
    pub why: Why,
    /// The name in the certificate it showed, where it showed one. It is proven only where the certificate is the city's own.
    pub name: Option<Text>,
    /// How often, since it first stood here.
    pub count: u64,
}

/// The senders refused lately.
#[derive(Debug, Default)]
pub struct Refusals {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Oldest first.
    rows: Vec<Refusal>,
    total: u64,
    minute: i64,
    lines: u32,
}

impl Refusals {
    /// Notes a refusal, and says it in the log where it is new.
    pub fn note(&self, at: Timestamp, address: IpAddr, input: &Text, why: Why, name: Option<Text>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.total += 1;
        let is_same =
            |row: &Refusal| row.address == address && row.why == why && row.input == *input && row.name == name;
        let before = inner.rows.iter().position(is_same).map(|place| inner.rows.remove(place).count).unwrap_or(0);
        if inner.rows.len() == REFUSALS_MAX {
            inner.rows.remove(0);
        }
        let count = before + 1;
        inner.rows.push(Refusal { at, address, input: input.clone(), why, name: name.clone(), count });
        let minute = at.0.div_euclid(MINUTE_NS);
        if inner.minute != minute {
            (inner.minute, inner.lines) = (minute, 0);
        }
        if count.is_power_of_two() && inner.lines < LINES_PER_MINUTE_MAX {
            inner.lines += 1;
            let name = name.as_deref().unwrap_or("-");
            tracing::warn!(
                source.ip = %address, input = %input, tls.client.subject = name, event.reason = why.words(), count,
                "sender refused"
            );
        }
    }

    /// The rows, newest first.
    pub fn rows(&self) -> Vec<Refusal> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).rows.iter().rev().cloned().collect()
    }

    /// How many were refused since the start.
    pub fn total(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_counts_what_repeats() {
        let refusals = Refusals::default();
        let (input, address) = (Text::from("syslog-tls"), |number: u32| IpAddr::from(number.to_be_bytes()));
        for number in 0..1000 {
            refusals.note(Timestamp(i64::from(number)), address(number), &input, Why::PlainText, None);
        }
        refusals.note(Timestamp(2000), address(960), &input, Why::PlainText, None);
        let rows = refusals.rows();
        assert_eq!((rows.len(), refusals.total()), (REFUSALS_MAX, 1001));
        assert_eq!((rows[0].address, rows[0].count, rows[0].at), (address(960), 2, Timestamp(2000)));
        assert_eq!(rows[1].address, address(999));
    }
}
