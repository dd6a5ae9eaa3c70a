//! In which fields of an event an indicator is looked for, and what each holds.

use std::sync::LazyLock;

use nhatle_event::Field;

use super::Kind;

/// What a field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Address,
    Domain,
    Url,
    Hash,
    Email,
}

/// The fields that are looked at.
const LOOKED_AT: &[(Holds, &[&str])] = &[
    (
        Holds::Address,
        &[
            "source.ip",
            "destination.ip",
            "source.nat.ip",
            "destination.nat.ip",
            "dns.resolved_ip",
            "client.ip",
            "server.ip",
        ],
    ),
    (
        Holds::Domain,
        &[
            "dns.question.name",
            "url.domain",
            "destination.domain",
            "source.domain",
            "tls.client.server_name",
            "server.domain",
        ],
    ),
    (Holds::Url, &["url.full", "url.original"]),
    (
        Holds::Hash,
        &[
            "file.hash.md5",
            "file.hash.sha1",
            "file.hash.sha256",
            "process.hash.md5",
            "process.hash.sha1",
            "process.hash.sha256",
            "dll.hash.md5",
            "dll.hash.sha1",
            "dll.hash.sha256",
            "email.attachments.file.hash.md5",
            "email.attachments.file.hash.sha256",
        ],
    ),
    (Holds::Email, &["email.from.address", "email.sender.address", "email.reply_to.address", "email.to.address"]),
];

pub(super) static FIELDS: LazyLock<Vec<(Holds, Field)>> = LazyLock::new(|| {
    let rows = LOOKED_AT.iter().flat_map(|(holds, names)| names.iter().map(move |name| (*holds, *name)));
    rows.filter_map(|(holds, name)| Some((holds, Field::intern(name)?))).collect()
});

/// By a field's number the bit of its place in [`FIELDS`], of which there are fewer than 64; 0 = not looked at.
pub(super) static PLACES: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let count = FIELDS.iter().map(|(_, field)| field.index() + 1).max().unwrap_or(0);
    let mut places = vec![0; count];
    FIELDS.iter().enumerate().for_each(|(place, (_, field))| places[field.index()] = 1 << place);
    places
});

/// The fields in which an indicator of these kinds can be found, in no special order.
pub fn fields_of(kinds: &[Kind]) -> Vec<Field> {
    let wants = |holds: Holds| {
        kinds.iter().any(|kind| match kind {
            Kind::Ip => matches!(holds, Holds::Address | Holds::Domain | Holds::Url),
            Kind::Domain => matches!(holds, Holds::Domain | Holds::Url),
            Kind::Url => matches!(holds, Holds::Url),
            Kind::File => matches!(holds, Holds::Hash),
            Kind::Email => matches!(holds, Holds::Email),
        })
    };
    FIELDS.iter().filter(|(holds, _)| wants(*holds)).map(|(_, field)| *field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_bit_of_its_own() {
        assert!(FIELDS.len() < 64, "the places are bits of one number");
        for (place, (_, field)) in FIELDS.iter().enumerate() {
            assert_eq!(PLACES[field.index()], 1 << place, "{}", field.name());
        }
    }
}
