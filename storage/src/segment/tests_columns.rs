//! Tables of events, compared with a plain twin, and read back: with any fields as columns of their own, and as the
//! tables of version 1 were.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, StringBuilder, TimestampNanosecondBuilder};
use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use nhatle_event::{Event, Field, Kind, Seq, Stored, Timestamp, Value};
use proptest::prelude::*;

use super::attrs;
use super::builders::Builder;
use super::columns::{FIELDS, HASH, SCHEMA, Tables, file_schema, fits, from_batch, project, stamp_type};
use super::frequent::Frequent;
use super::outlines::Outlines;
use super::words::name_key;
use crate::proof::canonical::Canonical;

fn single() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Long),
        any::<f64>().prop_filter("a number", |number| !number.is_nan()).prop_map(Value::Double),
        Just(Value::Double(f64::INFINITY)),
        ".{0,20}".prop_map(Value::from),
        any::<std::net::IpAddr>().prop_map(Value::Ip),
        any::<i64>().prop_map(|nanos| Value::Date(Timestamp(nanos))),
    ]
}

/// The same event with its fields in order of their names.
fn sorted(stored: &Stored) -> Stored {
    let mut fields = stored.event.fields().to_vec();
    fields.sort_by_key(|(field, _)| field.name());
    let mut event = Event::new(stored.event.timestamp, stored.event.original.clone());
    event.received = stored.event.received;
    fields.into_iter().for_each(|(field, value)| event.set(field, value));
    Stored { event, ..stored.clone() }
}

/// Fields of these names with columns of any types that such fields can have.
fn frequent() -> impl Strategy<Value = Vec<Frequent>> {
    let one =
        (prop_oneof![proptest::sample::select(&NAMES[..]).prop_map(String::from), "[a-c]"], 0usize..6, any::<bool>());
    proptest::collection::vec(one, 0..6).prop_map(|chosen| {
        let mut frequent: Vec<Frequent> = Vec::new();
        for (name, kind, is_repeating) in chosen {
            let field = Field::intern(&name).expect("a short name");
            let kind = match (field.kind(), kind) {
                (Kind::Ip, 0) => Kind::Ip,
                (Kind::Date, 0) => Kind::Date,
                (Kind::Ip | Kind::Date, 1) | (_, 2) => Kind::Long,
                (_, 3) => Kind::Double,
                (_, 4) => Kind::Boolean,
                (Kind::Ip | Kind::Date, _) => Kind::Long,
                _ => Kind::Keyword,
            };
            if !frequent.iter().any(|one| one.field == field) {
                frequent.push(Frequent { field, kind, is_repeating });
            }
        }
        frequent
    })
}

/// Fields of the field table without a column there, of each type.
const NAMES: [&str; 7] =
    ["tags", "host.ip", "event.start", "event.duration", "log.syslog.priority", "host.os.type", "related.ip"];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![4 => single(), 1 => proptest::collection::vec(single(), 0..4).prop_map(Value::List)]
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let known = proptest::collection::vec((0u32..190, value()), 0..12);
    let dynamic = proptest::collection::vec((proptest::sample::select(&NAMES[..]), value()), 0..4);
    let vendor = proptest::collection::vec(("[a-zA-Z=\"\\\\đ .]{1,12}|[a-cA-C]|[Ss]ource\\.ip", value()), 0..5);
    (any::<[i64; 2]>(), any::<Vec<u8>>(), known, dynamic, vendor).prop_map(
        |(stamps, original, known, dynamic, vendor)| {
            let mut event = Event::new(Timestamp(stamps[0]), original);
            event.received = Timestamp(stamps[1]);
            known.into_iter().for_each(|(row, value)| event.set(Field::from_row(row).expect("a row"), value));
            dynamic.into_iter().for_each(|(name, value)| event.set_named(name, value));
            vendor.into_iter().for_each(|(name, value)| event.set_named(&name, value));
            event
        },
    )
}

proptest! {
    #[test]
    fn events_come_back_as_they_were_and_as_from_version_1(
        events in proptest::collection::vec(event(), 1..8), committed: i64, frequent in frequent(),
    ) {
        let stored = |(seq, event)| Stored { seq: Seq(seq), committed: Timestamp(committed), event };
        let events: Vec<Stored> = (1..).zip(events).map(stored).collect();
        let mut tables = Tables::new(frequent.clone());
        let batch = made(&mut tables, &events);
        let mut spilled = Vec::new();
        let mut outlines = Outlines::default();
        prop_assert_eq!(&batch, &plain(&events, &frequent, &mut spilled, Some(&mut outlines)));
        prop_assert_eq!(tables.spilled(), &*spilled);
        let back = from_batch(&batch).expect("readable");
        let given: Vec<Stored> = events.iter().map(sorted).collect();
        prop_assert_eq!(&back.iter().map(sorted).collect::<Vec<_>>(), &given);
        // The same from a table of version 1, which is also what SQL makes of events in memory, column by column.
        let names: Vec<&str> = SCHEMA.fields().iter().map(|column| column.name().as_str()).collect();
        let old = project(&events.iter().collect::<Vec<_>>(), &names).expect("a table");
        prop_assert_eq!(&old, &plain_of_version_1(&events));
        let from_old = from_batch(&old).expect("readable");
        prop_assert_eq!(&from_old.iter().map(sorted).collect::<Vec<_>>(), &given);
        let mut canonical = Canonical::default();
        for ((one, other), given) in back.iter().zip(&from_old).zip(&events) {
            let leaf = canonical.leaf(given);
            prop_assert_eq!((canonical.leaf(one), canonical.leaf(other)), (leaf, leaf));
        }
    }

    #[test]
    fn tables_after_tables_are_those_of_the_plain_twin(
        tables in proptest::collection::vec(proptest::collection::vec(event(), 0..12), 1..4), frequent in frequent(),
    ) {
        let (mut maker, mut spilled, mut outlines) = (Tables::new(frequent.clone()), Vec::new(), Outlines::default());
        for table in &tables {
            let stored = |(seq, event): (u64, &Event)| Stored { seq: Seq(seq), committed: Timestamp(4), event: event.clone() };
            let events: Vec<Stored> = (1..).zip(table).map(stored).collect();
            let plain = plain(&events, &frequent, &mut spilled, Some(&mut outlines));
            prop_assert_eq!(made(&mut maker, &events), plain);
            prop_assert_eq!(maker.spilled(), &*spilled);
        }
    }
}

fn made(tables: &mut Tables, events: &[Stored]) -> RecordBatch {
    events.iter().for_each(|stored| tables.add(stored));
    tables.finish().expect("a table")
}

/// The table of these events, each value looked for in each event; without outlines, all but its schema.
fn plain(
    events: &[Stored],
    frequent: &[Frequent],
    spilled: &mut Vec<Field>,
    outlines: Option<&mut Outlines>,
) -> RecordBatch {
    let has_outlines = outlines.is_some();
    let columns = plain_columns(events, frequent, spilled, outlines);
    let schema = if has_outlines { file_schema(frequent) } else { without_hash() };
    RecordBatch::try_new(schema, columns).expect("a table")
}

/// The columns of version 1 but that of the hash.
fn without_hash() -> arrow_schema::SchemaRef {
    let columns = SCHEMA.fields().iter().filter(|column| column.name() != HASH).cloned();
    Arc::new(arrow_schema::Schema::new(columns.collect::<Vec<_>>()))
}

fn plain_columns(
    events: &[Stored],
    frequent: &[Frequent],
    spilled: &mut Vec<Field>,
    mut outlines: Option<&mut Outlines>,
) -> Vec<ArrayRef> {
    let kinds: Vec<(Field, Kind)> =
        FIELDS.iter().copied().chain(frequent.iter().map(|one| (one.field, one.kind))).collect();
    let stamps = |of: fn(&Stored) -> Timestamp| -> ArrayRef {
        let mut builder = TimestampNanosecondBuilder::new().with_data_type(stamp_type());
        events.iter().for_each(|stored| builder.append_value(of(stored).0));
        Arc::new(builder.finish())
    };
    let (mut original, mut rest) = (BinaryBuilder::new(), StringBuilder::new());
    let (mut outline, mut outline_rest) = (StringBuilder::new(), BinaryBuilder::new());
    for stored in events {
        let has_column =
            |(field, value): &(Field, Value)| kinds.iter().any(|(known, kind)| known == field && fits(*kind, value));
        let has_column: Vec<bool> = stored.event.fields().iter().map(has_column).collect();
        let given = outlines.as_mut().and_then(|outlines| outlines.of(&stored.event, &has_column));
        original.append_option(given.is_none().then_some(&*stored.event.original));
        outline.append_option(given.as_ref().map(|(outline, _)| outline));
        outline_rest.append_option(given.map(|(_, rest)| rest).filter(|rest| !rest.is_empty()));
        let mut text = String::new();
        for (field, value) in stored.event.fields() {
            if kinds.iter().any(|(known, kind)| known == field && fits(*kind, value)) {
                continue;
            }
            attrs::push(&mut text, &attrs::head(*field), field.kind(), value);
            if kinds.iter().any(|(known, _)| name_key(field.name()) == name_key(known.name()))
                && !spilled.contains(field)
            {
                spilled.push(*field);
            }
        }
        attrs::end(&mut text);
        rest.append_option((!text.is_empty()).then_some(text));
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(events.iter().map(|stored| stored.seq.0))),
        stamps(|stored| stored.event.timestamp),
        stamps(|stored| stored.event.received),
        stamps(|stored| stored.committed),
        Arc::new(original.finish()),
    ];
    if outlines.is_some() {
        columns.extend::<[ArrayRef; 2]>([Arc::new(outline.finish()), Arc::new(outline_rest.finish())]);
    }
    for (field, kind) in &kinds {
        let mut builder = Builder::new(*kind);
        events.iter().for_each(|stored| builder.push(stored.event.get(*field).filter(|value| fits(*kind, value))));
        columns.push(builder.finish());
    }
    columns.push(Arc::new(rest.finish()));
    columns
}

/// The table of version 1: no other columns than those of the field table, and one of the hash.
pub(super) fn plain_of_version_1(events: &[Stored]) -> RecordBatch {
    let mut hash = FixedSizeBinaryBuilder::new(32);
    events.iter().for_each(|stored| hash.append_value(stored.event.original_hash()).expect("32 bytes"));
    let mut columns = plain(events, &[], &mut Vec::new(), None).columns().to_vec();
    let at = SCHEMA.index_of(HASH).expect("a column");
    columns.insert(at, Arc::new(hash.finish()));
    RecordBatch::try_new(SCHEMA.clone(), columns).expect("a table")
}
