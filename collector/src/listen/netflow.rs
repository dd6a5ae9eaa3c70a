//! NetFlow v5, v9 and IPFIX in datagrams: the flows in each, every one a record.
//!
//! In: datagrams. Out: the flows as JSON ([`crate::parse::netflow`]), which are the bytes of records with the profile
//! `netflow`. Templates are kept by exporter and observation domain as long as the input runs; after a start, data waits up
//! to a minute for the exporter to announce them again and is a dead letter then, as is what still waits at the end: none is
//! lost without a word. Numbers that an exporter gave and that never came go to the receipt book, as ranges. Overload: as syslog's over UDP. Failure: none of its own.

use std::net::IpAddr;

use nhatle_event::{Text, Timestamp};

use crate::frame::Origin;
use crate::normalize::netflow::NETFLOW;
use crate::parse::netflow::Reader;
use crate::parse::netflow::numbers::{Missing, Numbers};

/// What the records of an input share.
pub(super) fn origin(origin: Origin) -> Origin {
    Origin { profile: Some(Text::const_new(NETFLOW)), ..origin }
}

/// Who sent it, and what it says.
pub(super) type Flow = (IpAddr, String);

/// What an input remembers of its exporters.
#[derive(Default)]
pub(super) struct Flows {
    reader: Reader,
    numbers: Numbers,
}

impl Flows {
    /// The flows of a datagram, and those of earlier ones whose template is in it: of the same exporter, for a template is
    /// its exporter's alone.
    pub(super) fn push(&mut self, peer: IpAddr, datagram: &[u8], now: Timestamp) -> Vec<Flow> {
        let mut found = Vec::new();
        if let Some(numbered) = self.reader.packet(datagram, peer, now, &mut found) {
            self.numbers.see(&numbered, now);
        }
        found.into_iter().map(|flow| (exporter(&flow).unwrap_or(peer), flow)).collect()
    }

    /// What has waited too long for its template.
    pub(super) fn expired(&mut self, now: Timestamp) -> Vec<Flow> {
        let mut found = Vec::new();
        self.reader.expired(now, &mut found);
        found.into_iter().filter_map(|flow| Some((exporter(&flow)?, flow))).collect()
    }

    /// The numbers of exporters that never came, and are waited for no longer.
    pub(super) fn missing(&mut self, now: Timestamp) -> Vec<Missing> {
        self.numbers.missing(now)
    }

    /// Everything that waits, at the end.
    pub(super) fn ended(&mut self) -> Vec<Flow> {
        self.expired(Timestamp(i64::MAX))
    }
}

/// The exporter's address, as its flow tells it: what had to go for want of room may be another exporter's.
fn exporter(flow: &str) -> Option<IpAddr> {
    let (_, rest) = flow.split_once("\"exporter\":{\"address\":\"")?;
    rest.split('"').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Settings, to_event};
    use nhatle_event::{Field, Record, Value};

    fn event(flow: &Flow) -> Result<nhatle_event::Event, nhatle_event::DeadLetter> {
        let mut record = Record::new(flow.1.as_bytes(), "netflow", Timestamp(0));
        record.profile = Some(Text::const_new(NETFLOW));
        to_event(&record, &Settings::default())
    }

    #[test]
    fn a_datagram_gives_its_flows_and_what_waits_is_said_at_the_end() {
        let mut flows = Flows::default();
        let peer = IpAddr::from([192, 0, 2, 1]);
        let mut packet = vec![0, 5, 0, 1];
        packet.extend([0u8; 20]);
        packet.extend([10, 0, 0, 9, 203, 0, 113, 9]);
        packet.extend([0u8; 40]);
        let found = flows.push(peer, &packet, Timestamp(0));
        let read = event(&found[0]).expect("is a flow");
        assert_eq!(read.get(Field::SOURCE_IP).and_then(Value::as_text).as_deref(), Some("10.0.0.9"));
        let dead = event(&flows.push(peer, b"\x00\x07nonsense", Timestamp(0))[0]).expect_err("is none");
        assert_eq!(dead.reason, "netflow: version 7 is none that is read");
        let mut data = vec![0, 9, 0, 1];
        data.extend([0u8; 16]);
        data.extend([1, 0, 0, 8, 1, 2, 3, 4]);
        assert!(flows.push(peer, &data, Timestamp(1)).is_empty() && flows.expired(Timestamp(2)).is_empty());
        let ended = flows.ended();
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].0, peer);
        assert_eq!(event(&ended[0]).expect_err("is none").reason, "netflow: data whose template did not come");
        assert!(flows.ended().is_empty());
    }
}
