//! NetFlow v5, v9 and IPFIX: the flows in an exporter's packets.
//!
//! In: a packet's bytes, the address it came from, the moment. Out: a JSON object for each flow (or record of options)
//! with the packet's header and every field of the record, the unknown ones in hexadecimal: nothing of a record is lost.
//! That object is the record's bytes from here on. Failure: what cannot be read is an object with the reason and the bytes,
//! which becomes a dead letter; data before its template waits a little ([`template`]). No packet panics or makes it
//! grow. Source: Cisco "NetFlow Services Export version 5"; RFC 3954 (v9); RFC 7011 (IPFIX), RFC 5103 (both directions).

use std::net::IpAddr;

use nhatle_event::Timestamp;
use serde_json::{Map, Value as Json, json};

pub mod elements;
pub mod numbers;
pub mod template;
#[cfg(test)]
mod tests;

use elements::{element, hex, unsigned, value};
use numbers::Numbered;
use template::{Domain, FIELDS_MAX, FieldSpec, Template, Templates, VARIABLE, Waiting};

/// How many records one packet may give; a packet of v5 has at most 30, one of 64 KiB some thousands.
pub const RECORDS_MAX: usize = 8192;

const V5_HEADER_BYTES: usize = 24;
const V5_RECORD_BYTES: usize = 48;

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// 5, 9 or 10.
    pub version: u16,
    /// When it was sent, by the exporter's clock, in nanoseconds since 1970.
    pub exported_ns: i64,
    /// Milliseconds since the exporter started (v5, v9).
    pub uptime_ms: Option<u32>,
    /// Its number: of flows (v5), packets (v9) or records (IPFIX).
    pub sequence: u32,
    /// v5's engine, v9's source id, IPFIX' observation domain.
    pub domain: u32,
    /// v5's sampling mode and interval.
    pub sampling: u16,
}

impl Header {
    /// Whose numbers and templates they are.
    fn of(&self, exporter: IpAddr) -> Domain {
        Domain { exporter, version: self.version, id: self.domain }
    }

    /// The packet's place, where it uses up so many numbers.
    fn numbered(&self, exporter: IpAddr, count: Option<u32>) -> Numbered {
        Numbered { domain: self.of(exporter), first: self.sequence, count, uptime_ms: self.uptime_ms }
    }
}

/// Reads packets, and remembers the templates they announce.
#[derive(Debug, Default)]
pub struct Reader {
    templates: Templates,
}

impl Reader {
    /// How many templates are known, and how many sets of data wait for one.
    pub fn counts(&self) -> (usize, usize) {
        self.templates.counts()
    }

    /// The objects of a packet, as JSON text, added to `found`; gives its place among those of its exporter, where it has one.
    pub fn packet(
        &mut self,
        bytes: &[u8],
        exporter: IpAddr,
        now: Timestamp,
        found: &mut Vec<String>,
    ) -> Option<Numbered> {
        let exporter = exporter.to_canonical();
        let result = match word16(bytes, 0) {
            Some(5) => v5(bytes, exporter, found),
            Some(9) => self.v9(bytes, exporter, now, found),
            Some(10) => self.ipfix(bytes, exporter, now, found),
            Some(version) => Err(format!("netflow: version {version} is none that is read")),
            None => Err("netflow: a packet of one byte".to_owned()),
        };
        match result {
            Ok(numbered) => Some(numbered),
            Err(reason) => {
                found.push(broken(&reason, exporter, &Header::default(), None, bytes));
                None
            }
        }
    }

    /// What has waited too long for its template, added to `found`.
    pub fn expired(&mut self, now: Timestamp, found: &mut Vec<String>) {
        let expired = self.templates.expired(now);
        found.extend(expired.into_iter().map(|waiting| given_up(&waiting)));
    }

    fn v9(
        &mut self,
        bytes: &[u8],
        exporter: IpAddr,
        now: Timestamp,
        found: &mut Vec<String>,
    ) -> Result<Numbered, String> {
        let word = |at| word32(bytes, at).ok_or_else(|| "netflow: the packet is shorter than its header".to_owned());
        let (uptime_ms, seconds, sequence, domain) = (word(4)?, word(8)?, word(12)?, word(16)?);
        let header = Header {
            version: 9,
            exported_ns: i64::from(seconds) * 1_000_000_000,
            uptime_ms: Some(uptime_ms),
            sequence,
            domain,
            sampling: 0,
        };
        self.sets(bytes.get(20..).unwrap_or_default(), exporter, header, now, found);
        // It numbers packets.
        Ok(header.numbered(exporter, Some(1)))
    }

    fn ipfix(
        &mut self,
        bytes: &[u8],
        exporter: IpAddr,
        now: Timestamp,
        found: &mut Vec<String>,
    ) -> Result<Numbered, String> {
        let word = |at| word32(bytes, at).ok_or_else(|| "netflow: the packet is shorter than its header".to_owned());
        let (seconds, sequence, domain) = (word(4)?, word(8)?, word(12)?);
        let length = usize::from(word16(bytes, 2).unwrap_or_default());
        let header = Header {
            version: 10,
            exported_ns: i64::from(seconds) * 1_000_000_000,
            uptime_ms: None,
            sequence,
            domain,
            sampling: 0,
        };
        let sets = bytes.get(16..length).ok_or("netflow: the packet is not as long as it says")?;
        let count = self.sets(sets, exporter, header, now, found);
        Ok(header.numbered(exporter, count))
    }

    /// Sets of a packet, one after another. One that is broken ends the packet: nothing tells where the next begins. Gives
    /// the number of records of data; `None` where it cannot be told.
    fn sets(
        &mut self,
        mut rest: &[u8],
        exporter: IpAddr,
        header: Header,
        now: Timestamp,
        found: &mut Vec<String>,
    ) -> Option<u32> {
        let sent = Sent { domain: header.of(exporter), header, now };
        let mut count = Some(0_u32);
        // Fewer bytes than a set's header are padding.
        while let (Some(id), Some(length)) = (word16(rest, 0), word16(rest, 2)) {
            let Some(set) = rest.get(4..usize::from(length)) else {
                found.push(broken("netflow: a set is longer than its packet", exporter, &header, None, rest));
                return None;
            };
            let is_v9 = header.version == 9;
            let result = match id {
                0 if is_v9 => self.templates_of(set, Announced::V9, &sent, found),
                1 if is_v9 => self.templates_of(set, Announced::V9Options, &sent, found),
                2 if !is_v9 => self.templates_of(set, Announced::Ipfix, &sent, found),
                3 if !is_v9 => self.templates_of(set, Announced::IpfixOptions, &sent, found),
                256.. => {
                    let more = self.data(set, id, &sent, found);
                    count = count.zip(more).map(|(count, more)| count.saturating_add(more));
                    Ok(())
                }
                _ => Err("netflow: a set of no known kind"),
            };
            if let Err(reason) = result {
                found.push(broken(reason, exporter, &header, Some(id), set));
            }
            rest = rest.get(usize::from(length)..).unwrap_or_default();
        }
        count
    }

    /// The records of a set of data, and how many there are; `None` where it waits for its template, or is broken.
    fn data(&mut self, set: &[u8], id: u16, sent: &Sent, found: &mut Vec<String>) -> Option<u32> {
        if let Some(template) = self.templates.get(sent.domain, id, sent.now) {
            return records(set, template, sent.domain.exporter, &sent.header, id, found);
        }
        let &Sent { domain, header, now } = sent;
        let waiting = Waiting { domain, template_id: id, header, bytes: set.to_vec(), since: now };
        found.extend(self.templates.wait(waiting).iter().map(given_up));
        None
    }

    fn templates_of(
        &mut self,
        mut rest: &[u8],
        kind: Announced,
        &Sent { domain, now, .. }: &Sent,
        found: &mut Vec<String>,
    ) -> Result<(), &'static str> {
        // What is shorter than a template's header is padding; so are zeros.
        while 4 <= rest.len() && rest.iter().any(|byte| *byte != 0) {
            let (id, template, used) = announced(rest, kind)?;
            rest = rest.get(used..).unwrap_or_default();
            let Some(template) = template else {
                // A withdrawal: of one template, or of all of its kind (RFC 7011 section 8.1).
                self.templates.withdraw(domain, (256 <= id).then_some(id));
                continue;
            };
            if id < 256 {
                return Err("netflow: a template with the number of a set");
            }
            if template.bytes_min() == 0 {
                return Err("netflow: a template whose records have no bytes");
            }
            if template::EMPTY_FIELDS_MAX < template.empty_count() {
                return Err("netflow: a template of fields without bytes");
            }
            self.templates.put(domain, id, template, now);
        }
        for waiting in self.templates.take(domain) {
            let id = waiting.template_id;
            if let Some(template) = self.templates.get(domain, id, now) {
                records(&waiting.bytes, template, domain.exporter, &waiting.header, id, found);
            }
        }
        Ok(())
    }
}

/// A packet at work: whose, what it says of itself, when it came.
struct Sent {
    domain: Domain,
    header: Header,
    now: Timestamp,
}

/// The kinds of sets that announce templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    V9,
    V9Options,
    Ipfix,
    IpfixOptions,
}

/// A template at the front of a set: number, template (`None` = withdrawn), bytes.
fn announced(bytes: &[u8], kind: Announced) -> Result<(u16, Option<Template>, usize), &'static str> {
    const CUT: &str = "netflow: a template is cut";
    let word = |at| word16(bytes, at).ok_or(CUT);
    let id = word(0)?;
    let (count, scope_count, mut at) = match kind {
        Announced::V9 | Announced::Ipfix => (usize::from(word(2)?), 0, 4),
        Announced::V9Options => {
            // Lengths in bytes, of fields of four.
            let (scope, options) = (usize::from(word(2)?) / 4, usize::from(word(4)?) / 4);
            (scope + options, scope, 6)
        }
        Announced::IpfixOptions => match usize::from(word(2)?) {
            0 => (0, 0, 4),
            count => (count, usize::from(word(4)?), 6),
        },
    };
    if count == 0 && matches!(kind, Announced::Ipfix | Announced::IpfixOptions) {
        return Ok((id, None, at));
    }
    if FIELDS_MAX < count {
        return Err("netflow: a template of too many fields");
    }
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        let (number, length) = (word(at)?, word(at + 2)?);
        at += 4;
        let is_foreign = !matches!(kind, Announced::V9 | Announced::V9Options) && number & 0x8000 != 0;
        let enterprise = if is_foreign {
            at += 4;
            word32(bytes, at - 4).ok_or(CUT)?
        } else {
            0
        };
        let number = if is_foreign { number & 0x7fff } else { number };
        fields.push(FieldSpec { number, enterprise, length });
    }
    Ok((id, Some(Template { fields, scope_count }), at))
}

/// The records of a set of data, and how many there are where that can be told. What is left is padding if it is shorter
/// than any record.
fn records(
    set: &[u8],
    template: &Template,
    exporter: IpAddr,
    header: &Header,
    id: u16,
    found: &mut Vec<String>,
) -> Option<u32> {
    let mut rest = set;
    let mut count = 0;
    while template.bytes_min() <= rest.len() {
        if RECORDS_MAX <= count {
            found.push(broken("netflow: a set of too many records", exporter, header, Some(id), rest));
            return None;
        }
        let Some((fields, used)) = record(rest, template, header) else {
            // Values that tell their length may tell too much of it; padding is of zeros.
            if rest.iter().any(|byte| *byte != 0) {
                found.push(broken("netflow: a record is cut", exporter, header, Some(id), rest));
                return None;
            }
            break;
        };
        let kind = if template.scope_count == 0 { "netflow_flow" } else { "netflow_options" };
        found.push(shown(kind, exporter, header, Some(id), fields));
        rest = rest.get(used..).unwrap_or_default();
        count += 1;
    }
    u32::try_from(count).ok()
}

/// One record: its fields by name, and how many bytes it took; `None` = it is cut.
fn record(bytes: &[u8], template: &Template, header: &Header) -> Option<(Map<String, Json>, usize)> {
    let (mut fields, mut at) = (Map::new(), 0);
    let mut times = Times::default();
    for (place, field) in template.fields.iter().enumerate() {
        let length = match field.length {
            VARIABLE if header.version == 10 => {
                let first = usize::from(*bytes.get(at)?);
                at += 1;
                if first == 255 {
                    at += 2;
                    usize::from(word16(bytes, at - 2)?)
                } else {
                    first
                }
            }
            fixed => usize::from(fixed),
        };
        let raw = bytes.get(at..at + length)?;
        at += length;
        // v9 numbers its scopes apart (RFC 3954 section 6.1).
        if header.version == 9 && place < template.scope_count {
            fields.insert(format!("scope_{}", scope_name(field.number)), number_or_hex(raw));
            continue;
        }
        let (name, kind) = element(field.number, field.enterprise);
        times.take(field, kind, raw);
        let shown = if length == 0 { Json::from("") } else { value(kind, raw) };
        put(&mut fields, name, shown);
    }
    times.put(header, &mut fields);
    Some((fields, at))
}

/// Adds a field; a number that stands twice (RFC 7011 section 8) gives a list.
fn put(fields: &mut Map<String, Json>, name: String, shown: Json) {
    match fields.get_mut(&name) {
        None => drop(fields.insert(name, shown)),
        Some(Json::Array(list)) => list.push(shown),
        Some(first) => *first = Json::Array(vec![first.take(), shown]),
    }
}

fn scope_name(number: u16) -> String {
    match number {
        1 => "system".to_owned(),
        2 => "interface".to_owned(),
        3 => "line_card".to_owned(),
        4 => "cache".to_owned(),
        5 => "template".to_owned(),
        other => other.to_string(),
    }
}

fn number_or_hex(bytes: &[u8]) -> Json {
    unsigned(bytes).map_or_else(|| Json::from(hex(bytes)), Json::from)
}

/// When a flow began and ended, from whichever elements tell it.
#[derive(Default)]
struct Times {
    start: Option<i64>,
    end: Option<i64>,
    start_uptime_ms: Option<u32>,
    end_uptime_ms: Option<u32>,
    init_ns: Option<i64>,
    start_delta_us: Option<u64>,
    end_delta_us: Option<u64>,
    duration_ns: Option<i64>,
}

impl Times {
    fn take(&mut self, field: &FieldSpec, kind: elements::Kind, raw: &[u8]) {
        if field.enterprise != 0 {
            return;
        }
        let uptime = || unsigned(raw).and_then(|ms| u32::try_from(ms).ok());
        let moment = || elements::moment(kind, raw).map(|moment| moment.0);
        match field.number {
            21 => self.end_uptime_ms = uptime(),
            22 => self.start_uptime_ms = uptime(),
            150 | 152 | 154 | 156 => self.start = moment(),
            151 | 153 | 155 | 157 => self.end = moment(),
            158 => self.start_delta_us = unsigned(raw),
            159 => self.end_delta_us = unsigned(raw),
            160 => self.init_ns = moment(),
            161 => self.duration_ns = nanos(unsigned(raw), 1_000_000),
            162 => self.duration_ns = nanos(unsigned(raw), 1_000),
            // A record of a packet or an event: it has one moment.
            322..=325 => (self.start, self.end) = (self.start.or_else(moment), self.end.or_else(moment)),
            _ => {}
        }
    }

    /// Writes `event.start` and `event.end`.
    fn put(self, header: &Header, fields: &mut Map<String, Json>) {
        let by_uptime = |ms: u32| match (self.init_ns, header.uptime_ms) {
            (Some(init), _) => init.checked_add(i64::from(ms) * 1_000_000),
            // The counter runs over every 49.7 days: what counts is how far back it is.
            (None, Some(uptime)) => {
                Some(header.exported_ns - i64::from(uptime.wrapping_sub(ms).cast_signed()) * 1_000_000)
            }
            _ => None,
        };
        let by_delta = |us: u64| header.exported_ns.checked_sub(nanos(Some(us), 1_000)?);
        let start = self.start.or_else(|| by_uptime(self.start_uptime_ms?)).or_else(|| by_delta(self.start_delta_us?));
        let end = self.end.or_else(|| by_uptime(self.end_uptime_ms?)).or_else(|| by_delta(self.end_delta_us?));
        let end = end.or_else(|| start?.checked_add(self.duration_ns?));
        for (name, moment) in [("start", start), ("end", end)] {
            if let Some(moment) = moment {
                fields.insert(name.to_owned(), Json::from(Timestamp(moment).to_string()));
            }
        }
    }
}

fn nanos(number: Option<u64>, unit_ns: i64) -> Option<i64> {
    i64::try_from(number?).ok()?.checked_mul(unit_ns)
}

/// A packet of version 5: a header and up to thirty records of one shape.
fn v5(bytes: &[u8], exporter: IpAddr, found: &mut Vec<String>) -> Result<Numbered, String> {
    const CUT: &str = "netflow: the packet is shorter than its header";
    let word = |at| word32(bytes, at).ok_or(CUT);
    let count = usize::from(word16(bytes, 2).ok_or(CUT)?);
    let (uptime_ms, seconds, fraction, sequence) = (word(4)?, word(8)?, word(12)?, word(16)?);
    let (engine, sampling) = (word16(bytes, 20).ok_or(CUT)?, word16(bytes, 22).ok_or(CUT)?);
    let header = Header {
        version: 5,
        exported_ns: i64::from(seconds) * 1_000_000_000 + i64::from(fraction),
        uptime_ms: Some(uptime_ms),
        sequence,
        domain: u32::from(engine),
        sampling,
    };
    // The record's fields have the meaning of v9's; the padding has none.
    let template = Template {
        fields: V5
            .iter()
            .map(|(number, length)| FieldSpec { number: *number, enterprise: 0, length: *length })
            .collect(),
        scope_count: 0,
    };
    for at in 0..count.min(RECORDS_MAX) {
        let from = V5_HEADER_BYTES + at * V5_RECORD_BYTES;
        let read = bytes.get(from..from + V5_RECORD_BYTES).and_then(|bytes| record(bytes, &template, &header));
        let Some((mut fields, _)) = read else {
            let rest = bytes.get(from..).unwrap_or_default();
            found.push(broken("netflow: fewer records than the header says", exporter, &header, None, rest));
            break;
        };
        // What stands between the fields: kept where an exporter put something there.
        for name in ["element_0", "element_65535"] {
            let is_empty =
                fields.get(name).is_some_and(|it| it.as_str().is_some_and(|hex| hex.bytes().all(|b| b == b'0')));
            if is_empty {
                fields.remove(name);
            }
        }
        found.push(shown("netflow_flow", exporter, &header, None, fields));
    }
    Ok(header.numbered(exporter, u32::try_from(count).ok()))
}

/// The fields of a record of version 5, by v9's numbers, with their bytes; 0 and 65535 = padding.
const V5: [(u16, u16); 20] = [
    (8, 4),
    (12, 4),
    (15, 4),
    (10, 2),
    (14, 2),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
    (7, 2),
    (11, 2),
    (0, 1),
    (6, 1),
    (4, 1),
    (5, 1),
    (16, 2),
    (17, 2),
    (9, 1),
    (13, 1),
    (65_535, 2),
];

/// A record as JSON text: the header, then every field.
fn shown(kind: &str, exporter: IpAddr, header: &Header, template: Option<u16>, fields: Map<String, Json>) -> String {
    let mut netflow = Map::new();
    netflow.insert("type".to_owned(), Json::from(kind));
    netflow.insert("exporter".to_owned(), exporter_of(exporter, header, template));
    netflow.extend(fields);
    json!({ "netflow": netflow }).to_string()
}

/// What could not be read, as JSON text: the reason and the bytes.
fn broken(reason: &str, exporter: IpAddr, header: &Header, set: Option<u16>, bytes: &[u8]) -> String {
    let exporter = exporter_of(exporter, header, set);
    json!({ "netflow": { "fault": reason, "exporter": exporter, "bytes": hex(bytes) } }).to_string()
}

fn given_up(waiting: &Waiting) -> String {
    let reason = "netflow: data whose template did not come";
    broken(reason, waiting.domain.exporter, &waiting.header, Some(waiting.template_id), &waiting.bytes)
}

fn exporter_of(exporter: IpAddr, header: &Header, set: Option<u16>) -> Json {
    let mut object = Map::new();
    object.insert("address".to_owned(), Json::from(exporter.to_string()));
    if header.version != 0 {
        object.insert("version".to_owned(), Json::from(header.version));
        object.insert("timestamp".to_owned(), Json::from(Timestamp(header.exported_ns).to_string()));
        object.insert("source_id".to_owned(), Json::from(header.domain));
        object.insert("sequence".to_owned(), Json::from(header.sequence));
    }
    if let Some(uptime_ms) = header.uptime_ms {
        object.insert("uptime_millis".to_owned(), Json::from(uptime_ms));
    }
    if header.sampling != 0 {
        object.insert("sampling_interval".to_owned(), Json::from(header.sampling & 0x3fff));
    }
    if let Some(set) = set {
        object.insert("template_id".to_owned(), Json::from(set));
    }
    Json::Object(object)
}

fn word16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
