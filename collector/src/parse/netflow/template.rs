//! Templates of NetFlow v9 and IPFIX, and the data that waits for one: bounded in count, bytes and age.
//!
//! In: what exporters announce and send, with the moment it came. Out: the template of a set of data, or nothing yet.
//! Promise: a stranger (UDP has no sender one can trust) cannot make it grow past its bounds; templates that no data came
//! for give way first, then those of the exporter that has most. Failure: data whose template does not come in time
//! is given back as what it was. Source: RFC 3954 section 7 and 9, RFC 7011 section 8 (lifetime over UDP: 8.4).

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use nhatle_event::Timestamp;

/// How many templates are kept at once. An exporter has some ten.
pub const TEMPLATES_MAX: usize = 4096;
/// How many fields a template may have.
pub const FIELDS_MAX: usize = 512;
/// How many of them may have no bytes; some exporters write the scope of their options so.
pub const EMPTY_FIELDS_MAX: usize = 8;
/// A template not announced again for so long is forgotten: three times the longest usual refresh (30 minutes), and more
/// than the hour that some routers take.
pub const TEMPLATE_AGE_NS: i64 = 3 * 3600 * 1_000_000_000;
/// How many sets of data wait for a template at once.
pub const WAITING_MAX: usize = 1024;
/// And how many bytes of them.
pub const WAITING_BYTES_MAX: usize = 4 << 20;
/// Data waits so long for its template.
pub const WAIT_NS: i64 = 60 * 1_000_000_000;

/// Whose templates and numbers they are: exporter, version, source or observation domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain {
    /// The address packets come from.
    pub exporter: IpAddr,
    /// 5, 9 or 10.
    pub version: u16,
    /// v5's engine, v9's source id, IPFIX' observation domain.
    pub id: u32,
}

/// One field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// The element's number.
    pub number: u16,
    /// Whose element it is; 0 = IANA's.
    pub enterprise: u32,
    /// How many bytes; [`VARIABLE`] = each value tells.
    pub length: u16,
}

/// The length of a field whose values tell their own (RFC 7011 section 7).
pub const VARIABLE: u16 = 65_535;

/// What the records of a set hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The fields in order.
    pub fields: Vec<FieldSpec>,
    /// How many of them, from the front, are the scope of options; 0 = records are flows.
    pub scope_count: usize,
}

impl Template {
    /// How many fields have no bytes at all: each costs room in what is written, and none in a packet.
    pub fn empty_count(&self) -> usize {
        self.fields.iter().filter(|field| field.length == 0).count()
    }

    /// The fewest bytes a record has; 0 = none, so that no record could ever end.
    pub fn bytes_min(&self) -> usize {
        self.fields.iter().map(|field| if field.length == VARIABLE { 1 } else { usize::from(field.length) }).sum()
    }
}

#[derive(Debug)]
struct Known {
    template: Template,
    told: Timestamp,
    /// Data came for it.
    is_used: bool,
}

/// A set of data that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Whose.
    pub domain: Domain,
    /// The template it needs.
    pub template_id: u16,
    /// The packet's header, with the set behind it.
    pub header: super::Header,
    /// The set's bytes behind its own header.
    pub bytes: Vec<u8>,
    /// When it came.
    pub since: Timestamp,
}

/// All templates and what waits.
#[derive(Debug, Default)]
pub struct Templates {
    known: BTreeMap<Domain, BTreeMap<u16, Known>>,
    /// How many templates all domains have.
    known_count: usize,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
}

impl Templates {
    /// How many templates are known, and how many sets wait.
    pub fn counts(&self) -> (usize, usize) {
        (self.known_count, self.waiting.len())
    }

    /// The template of a set, if it is known and not too old.
    pub fn get(&mut self, domain: Domain, id: u16, now: Timestamp) -> Option<&Template> {
        let known = self.known.get_mut(&domain)?.get_mut(&id)?;
        known.is_used = true;
        (now.since(known.told) <= TEMPLATE_AGE_NS).then_some(&known.template)
    }

    /// Takes a template that an exporter announced.
    pub fn put(&mut self, domain: Domain, id: u16, template: Template, now: Timestamp) {
        let is_new = self.known.get(&domain).is_none_or(|templates| !templates.contains_key(&id));
        if is_new && TEMPLATES_MAX <= self.known_count {
            self.give_way(now);
        }
        let templates = self.known.entry(domain).or_default();
        let is_used = templates.get(&id).is_some_and(|known| known.is_used);
        if templates.insert(id, Known { template, told: now, is_used }).is_none() {
            self.known_count += 1;
        }
    }

    /// Forgets a template that its exporter withdrew; `None` = all of the domain.
    pub fn withdraw(&mut self, domain: Domain, id: Option<u16>) {
        let gone = match id {
            Some(id) => self.known.get_mut(&domain).map_or(0, |templates| usize::from(templates.remove(&id).is_some())),
            None => self.known.remove(&domain).map_or(0, |templates| templates.len()),
        };
        self.known_count -= gone;
    }

    /// Makes room for an eighth of all at once, so that a flood of templates does not cost a look at all for each of its
    /// own: first those too old, then those that no data came for, then the oldest of the exporters that have most.
    fn give_way(&mut self, now: Timestamp) {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (domain, templates) in &self.known {
            *counts.entry(domain.exporter).or_default() += templates.len();
        }
        let mut all = Vec::with_capacity(self.known_count);
        for (domain, templates) in &self.known {
            let count = counts.get(&domain.exporter).copied().unwrap_or_default();
            all.extend(templates.iter().map(|(id, known)| {
                let is_old = TEMPLATE_AGE_NS < now.since(known.told);
                ((!is_old, known.is_used, Reverse(count), known.told, domain.id, *id), *domain)
            }));
        }
        all.sort_unstable();
        for ((_, _, _, _, _, id), domain) in all.into_iter().take(TEMPLATES_MAX / 8) {
            self.withdraw(domain, Some(id));
        }
        self.known.retain(|_, templates| !templates.is_empty());
    }

    /// Lets data wait for its template. What has to go for it, the oldest first, is given back.
    pub fn wait(&mut self, waiting: Waiting) -> Vec<Waiting> {
        let mut gone = Vec::new();
        self.waiting_bytes += waiting.bytes.len();
        self.waiting.push_back(waiting);
        while WAITING_MAX < self.waiting.len() || WAITING_BYTES_MAX < self.waiting_bytes {
            let Some(first) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= first.bytes.len();
            gone.push(first);
        }
        gone
    }

    /// What waited for templates that have come.
    pub fn take(&mut self, domain: Domain) -> Vec<Waiting> {
        let Some(templates) = self.known.get(&domain) else { return Vec::new() };
        let is_ready = |waiting: &Waiting| waiting.domain == domain && templates.contains_key(&waiting.template_id);
        if !self.waiting.iter().any(is_ready) {
            return Vec::new();
        }
        let (taken, kept) = self.waiting.drain(..).partition(is_ready);
        self.keep(kept);
        taken
    }

    /// What has waited too long.
    pub fn expired(&mut self, now: Timestamp) -> Vec<Waiting> {
        // They stand in the order they came.
        if self.waiting.front().is_none_or(|first| now.since(first.since) < WAIT_NS) {
            return Vec::new();
        }
        let (taken, kept) = self.waiting.drain(..).partition(|waiting| WAIT_NS <= now.since(waiting.since));
        self.keep(kept);
        taken
    }

    fn keep(&mut self, waiting: Vec<Waiting>) {
        self.waiting_bytes = waiting.iter().map(|waiting| waiting.bytes.len()).sum();
        self.waiting = waiting.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(last: u8) -> Domain {
        Domain { exporter: IpAddr::from([192, 0, 2, last]), version: 9, id: 0 }
    }

    fn template() -> Template {
        Template { fields: vec![FieldSpec { number: 8, enterprise: 0, length: 4 }], scope_count: 0 }
    }

    #[test]
    fn what_nobody_used_and_the_exporter_that_has_most_give_way() {
        let mut templates = Templates::default();
        for last in [1, 3] {
            templates.put(domain(last), 256, template(), Timestamp(0));
            assert!(templates.get(domain(last), 256, Timestamp(0)).is_some());
        }
        for id in 0..u16::try_from(TEMPLATES_MAX).expect("fits") + 100 {
            templates.put(domain(2), id, template(), Timestamp(1));
        }
        let count = templates.counts().0;
        assert!((TEMPLATES_MAX / 2..=TEMPLATES_MAX).contains(&count), "{count}");
        assert!(templates.get(domain(1), 256, Timestamp(2)).is_some(), "another's stays");
        // Even where each template of the flood names an exporter of its own.
        for flood in 0..10_000u32 {
            let exporter = IpAddr::from((flood + 0x0a00_0000).to_be_bytes());
            templates.put(Domain { exporter, ..domain(1) }, 256, template(), Timestamp(3));
        }
        assert!(templates.get(domain(3), 256, Timestamp(4)).is_some(), "it is used");
        assert!(templates.get(domain(1), 256, Timestamp(TEMPLATE_AGE_NS + 1)).is_none(), "but not for ever");
        let before = templates.counts().0;
        templates.withdraw(domain(1), None);
        templates.withdraw(domain(1), Some(256));
        assert_eq!(templates.counts().0, before - 1);
    }

    #[test]
    fn what_waits_is_bounded_and_ends() {
        let mut templates = Templates::default();
        let waiting = |id: u16, since: i64| Waiting {
            domain: domain(1),
            template_id: id,
            header: crate::parse::netflow::Header::default(),
            bytes: vec![0; 8192],
            since: Timestamp(since),
        };
        let gone: usize = (0..1000).map(|at| templates.wait(waiting(at, i64::from(at))).len()).sum();
        assert_eq!(gone, 1000 - WAITING_BYTES_MAX / 8192);
        templates.put(domain(1), 999, template(), Timestamp(0));
        assert_eq!((templates.take(domain(1)).len(), templates.take(domain(2)).len()), (1, 0));
        assert!(templates.expired(Timestamp(WAIT_NS)).is_empty());
        assert_eq!(templates.expired(Timestamp(WAIT_NS + 600)).len(), 600 - (1000 - WAITING_BYTES_MAX / 8192) + 1);
    }
}
