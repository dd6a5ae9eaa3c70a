//! `attrs` over segments that have a field as a column, that do not, that have it both ways, of version 1, and over events in
//! memory: what a query says of a field is what the events say.

use nhatle_event::json::hex;
use nhatle_event::{Event, Field, Stored, Timestamp, Value};
use serde_json::Value as Json;

use super::World;
use super::tests::{Dice, sql, texts};
use crate::query::tests as stores;
use crate::segment::columns;

const NAMES: [&str; 8] = [
    "vendor.Name",
    "vendor.name",
    "vendor.count",
    "vendor.flag",
    "host.ip",
    "event.start",
    "event.duration",
    "source.ip",
];

/// A value of the field; in odd segments of another type than in even ones, or several.
fn value(name: &str, piece: usize, dice: &mut Dice) -> Value {
    let number = dice.below(5);
    let text = || Value::from(format!("a\"{number}\\đ"));
    let odd = piece % 2 == 1;
    match (name, dice.below(8)) {
        (_, 0) => Value::List(vec![text(), Value::Null, Value::Long(number as i64)]),
        (_, 1) => Value::Null,
        ("host.ip", _) if !odd => Value::Ip([10, 0, 0, number as u8].into()),
        ("event.start", _) if !odd => Value::Date(Timestamp(number as i64 * 1_000_000_007)),
        ("vendor.flag", _) if !odd => Value::Boolean(number == 0),
        ("vendor.count", 2) => Value::Double(number as f64 + 0.5),
        ("vendor.count" | "event.duration", _) if !odd => Value::Long(number as i64 - 2),
        _ => text(),
    }
}

fn store(seed: u64) -> stores::World {
    let mut dice = Dice(seed);
    let mut event = |piece: usize, second: i64| {
        let mut event = Event::new(Timestamp::from_seconds(second), format!("line {second}").into_bytes());
        for name in NAMES {
            // Some fields are in hardly any event of a segment.
            let is_rare = (piece + name.len()) % 4 == 3;
            if dice.below(if is_rare { 40 } else { 3 }) == 0 {
                event.set_named(name, value(name, piece, &mut dice));
            }
        }
        event
    };
    let pieces: Vec<Vec<Event>> =
        (0..7).map(|piece| (0..90).map(|at| event(piece, piece as i64 * 60 + at)).collect()).collect();
    let recent: Vec<Event> = (0..40).map(|at| event(7, 500 + at)).collect();
    stores::world(&pieces, &recent)
}

/// What `attr` says of a value.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::List(values) => {
            let texts: Vec<Option<String>> = values.iter().map(|one| Some(one.as_text()?.into_owned())).collect();
            Some(serde_json::to_string(&texts).unwrap())
        }
        single => Some(single.as_text()?.into_owned()),
    }
}

/// The value of a field that stands in no column of the field table.
fn other<'a>(stored: &'a Stored, name: &str) -> Option<&'a Value> {
    let field = Field::lookup(name)?;
    let has_place =
        |value: &&Value| columns::FIELDS.iter().any(|(known, kind)| *known == field && columns::fits(*kind, value));
    stored.event.get(field).filter(|value| !has_place(value))
}

#[test]
fn a_field_is_the_same_wherever_a_segment_has_it() {
    let sql = sql();
    for seed in [0, 1] {
        let store = store(seed);
        let world = World::of(store.snapshot.clone());
        for name in NAMES {
            let expected: Vec<String> = store
                .all
                .iter()
                .map(|stored| format!("{}|{}", stored.seq.0, other(stored, name).and_then(shown).unwrap_or_default()))
                .collect();
            for query in [
                // One field of `attrs`, and all of it.
                format!("SELECT nhatle.seq, attr('{name}') FROM events ORDER BY 1"),
                format!(
                    "SELECT nhatle.seq, attr(a, '{name}') FROM (SELECT nhatle.seq, attrs AS a FROM events) ORDER BY 1"
                ),
                format!(
                    "SELECT e.nhatle.seq, f.attrs ->> '{name}' FROM events e JOIN events f ON e.nhatle.seq = f.nhatle.seq ORDER BY 1"
                ),
            ] {
                assert_eq!(texts(&sql, &query, &world), expected, "seed {seed}: {query}");
            }
            // Conditions, groups, queries inside of others: narrowed, against all of `attrs`.
            for form in [
                format!("SELECT count(*) FROM T WHERE attr(attrs, '{name}') IS NULL"),
                format!("SELECT attr(attrs, '{name}') AS a, count(*) FROM T GROUP BY 1 ORDER BY 1, 2"),
                format!(
                    "SELECT count(*) FROM T WHERE attr(attrs, '{name}') LIKE 'a%' OR attr(attrs, 'vendor.count') > '1'"
                ),
                format!(
                    "SELECT count(*) FROM T e WHERE EXISTS (SELECT 1 FROM T f WHERE f.nhatle.seq = e.nhatle.seq + 1 \
                     AND attr(f.attrs, '{name}') = attr(e.attrs, '{name}'))"
                ),
                format!(
                    "SELECT DISTINCT attr(attrs, '{name}') AS a FROM T UNION ALL SELECT attr(attrs, 'vendor.Name') FROM T ORDER BY 1"
                ),
            ] {
                let all = "(SELECT attrs, nhatle.seq FROM events)";
                let narrowed = texts(&sql, &form.replace(" T", " events"), &world);
                assert_eq!(
                    narrowed,
                    texts(&sql, &form.replace(" T", &format!(" {all}")), &world),
                    "seed {seed}: {form}"
                );
            }
        }
    }
}

#[test]
fn attrs_has_all_fields_without_a_column_in_the_field_table() {
    let sql = sql();
    let store = store(5);
    let world = World::of(store.snapshot.clone());
    let found = texts(&sql, "SELECT attrs FROM events ORDER BY nhatle.seq", &world);
    for (found, stored) in found.iter().zip(&store.all) {
        let fields = stored.event.fields().iter().map(|(field, value)| (*field, value));
        let fields = fields.filter(|(field, _)| other(stored, field.name()).is_some());
        let expected = crate::segment::attrs::encode(fields).unwrap_or_default();
        let read = |text: &str| (!text.is_empty()).then(|| serde_json::from_str::<Json>(text).unwrap());
        assert_eq!(read(found), read(&expected), "{}", stored.seq);
    }
    assert_eq!(texts(&sql, "SELECT count(*) FROM events WHERE attrs LIKE '%vendor.flag\":true%'", &world), {
        let is_true =
            |stored: &&Stored| stored.event.get(Field::intern("vendor.flag").unwrap()) == Some(&Value::Boolean(true));
        [store.all.iter().filter(is_true).count().to_string()]
    });
}

#[test]
fn the_hash_is_the_one_of_the_bytes_whether_a_segment_has_it_or_not() {
    let sql = sql();
    let store = store(6);
    let world = World::of(store.snapshot.clone());
    let expected: Vec<String> = store
        .all
        .iter()
        .map(|stored| {
            format!("{}|{}", hex(&stored.event.original_hash()), String::from_utf8_lossy(&stored.event.original))
        })
        .collect();
    assert_eq!(texts(&sql, "SELECT event.hash, event.original FROM events ORDER BY nhatle.seq", &world), expected);
    for stored in store.all.iter().step_by(97) {
        let hash = hex(&stored.event.original_hash());
        let query = format!("SELECT count(*), min(nhatle.seq) FROM events WHERE event.hash = '{hash}'");
        let with = store.all.iter().filter(|one| one.event.original == stored.event.original);
        let seqs: Vec<u64> = with.map(|one| one.seq.0).collect();
        assert_eq!(texts(&sql, &query, &world), [format!("{}|{}", seqs.len(), seqs[0])]);
    }
}
