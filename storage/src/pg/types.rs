//! The types of PostgreSQL that are told of, with their OIDs. Source: PostgreSQL 15, `pg_type.dat`.

use super::Kind;

/// One type.
pub(super) struct Type {
    pub oid: i64,
    /// `typname`
    pub name: &'static str,
    /// As SQL and `format_type` call it.
    pub said: &'static str,
    /// `typlen`
    pub size: i64,
    /// `typcategory`
    pub category: &'static str,
    /// The type of its elements, for lists.
    pub element: i64,
    /// The type of lists of it.
    pub list: i64,
    /// What we hold it in.
    pub kind: Option<Kind>,
}

const fn plain(oid: i64, name: &'static str, said: &'static str, size: i64, category: &'static str, list: i64) -> Type {
    Type { oid, name, said, size, category, element: 0, list, kind: None }
}

const fn listed(oid: i64, name: &'static str, said: &'static str, element: i64) -> Type {
    Type { oid, name, said, size: -1, category: "A", element, list: 0, kind: None }
}

const fn held(of: Type, kind: Kind) -> Type {
    Type { kind: Some(kind), ..of }
}

/// All of them.
pub(super) const TYPES: &[Type] = &[
    held(plain(16, "bool", "boolean", 1, "B", 1000), Kind::Bool),
    held(plain(17, "bytea", "bytea", -1, "U", 1001), Kind::Bytea),
    held(plain(18, "char", "\"char\"", 1, "Z", 1002), Kind::Char),
    held(plain(19, "name", "name", 64, "S", 1003), Kind::Name),
    held(plain(20, "int8", "bigint", 8, "N", 1016), Kind::Int8),
    held(plain(21, "int2", "smallint", 2, "N", 1005), Kind::Int2),
    held(Type { element: 21, ..plain(22, "int2vector", "int2vector", -1, "A", 1006) }, Kind::Int2Vector),
    held(plain(23, "int4", "integer", 4, "N", 1007), Kind::Int4),
    held(plain(24, "regproc", "regproc", 4, "N", 1008), Kind::Regproc),
    held(plain(25, "text", "text", -1, "S", 1009), Kind::Text),
    held(plain(26, "oid", "oid", 4, "N", 1028), Kind::Oid),
    held(Type { element: 26, ..plain(30, "oidvector", "oidvector", -1, "A", 1013) }, Kind::OidVector),
    held(plain(114, "json", "json", -1, "U", 199), Kind::Json),
    held(plain(700, "float4", "real", 4, "N", 1021), Kind::Float4),
    held(plain(701, "float8", "double precision", 8, "N", 1022), Kind::Float8),
    plain(705, "unknown", "unknown", -2, "X", 0),
    plain(869, "inet", "inet", -1, "I", 1041),
    plain(1042, "bpchar", "character", -1, "S", 1014),
    held(plain(1043, "varchar", "character varying", -1, "S", 1015), Kind::Varchar),
    held(plain(1082, "date", "date", 4, "D", 1182), Kind::Date),
    plain(1083, "time", "time without time zone", 8, "D", 1183),
    held(plain(1114, "timestamp", "timestamp without time zone", 8, "D", 1115), Kind::Timestamp),
    held(plain(1184, "timestamptz", "timestamp with time zone", 8, "D", 1185), Kind::Timestamptz),
    plain(1186, "interval", "interval", 16, "T", 1187),
    plain(1700, "numeric", "numeric", -1, "N", 1231),
    held(plain(2205, "regclass", "regclass", 4, "N", 2210), Kind::Regclass),
    held(plain(2206, "regtype", "regtype", 4, "N", 2211), Kind::Regtype),
    plain(2249, "record", "record", -1, "P", 2287),
    plain(2278, "void", "void", 4, "P", 0),
    plain(2950, "uuid", "uuid", 16, "U", 2951),
    plain(3802, "jsonb", "jsonb", -1, "U", 3807),
    listed(199, "_json", "json[]", 114),
    listed(1000, "_bool", "boolean[]", 16),
    listed(1001, "_bytea", "bytea[]", 17),
    held(listed(1002, "_char", "\"char\"[]", 18), Kind::CharList),
    held(listed(1003, "_name", "name[]", 19), Kind::NameList),
    held(listed(1005, "_int2", "smallint[]", 21), Kind::Int2List),
    held(listed(1007, "_int4", "integer[]", 23), Kind::Int4List),
    held(listed(1009, "_text", "text[]", 25), Kind::TextList),
    listed(1015, "_varchar", "character varying[]", 1043),
    held(listed(1016, "_int8", "bigint[]", 20), Kind::Int8List),
    listed(1021, "_float4", "real[]", 700),
    listed(1022, "_float8", "double precision[]", 701),
    held(listed(1028, "_oid", "oid[]", 26), Kind::OidList),
    listed(1115, "_timestamp", "timestamp without time zone[]", 1114),
    listed(1182, "_date", "date[]", 1082),
    listed(1185, "_timestamptz", "timestamp with time zone[]", 1184),
    listed(1231, "_numeric", "numeric[]", 1700),
    listed(2951, "_uuid", "uuid[]", 2950),
    listed(3807, "_jsonb", "jsonb[]", 3802),
];

/// The type of this OID.
pub(super) fn by_oid(oid: i64) -> Option<&'static Type> {
    TYPES.iter().find(|of| of.oid == oid)
}

/// The type of this name, in either of its two.
pub(super) fn by_name(name: &str) -> Option<&'static Type> {
    let name = name.trim().trim_start_matches("pg_catalog.");
    let said = match name.to_ascii_lowercase().as_str() {
        "int" => "integer".to_owned(),
        "string" => "text".to_owned(),
        other => other.to_owned(),
    };
    TYPES.iter().find(|of| of.name == said || of.said == said)
}

/// The OID of a kind.
pub(super) fn oid_of(kind: Kind) -> i64 {
    TYPES.iter().find(|of| of.kind == Some(kind)).map_or(25, |of| of.oid)
}

/// The kind of an OID.
pub(super) fn kind_of(oid: i64) -> Option<Kind> {
    by_oid(oid)?.kind
}

/// `format_type`.
pub(super) fn said(oid: i64) -> String {
    match oid {
        0 => "-".to_owned(),
        _ => by_oid(oid).map_or("???", |of| of.said).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_name_each_other_rightly() {
        for of in TYPES {
            assert_eq!(
                TYPES.iter().filter(|other| other.oid == of.oid || other.name == of.name).count(),
                1,
                "{}",
                of.name
            );
            if let Some(list) = by_oid(of.list) {
                assert_eq!(list.element, of.oid, "{}", of.name);
            }
            if let Some(kind) = of.kind {
                assert_eq!((kind.oid(), Kind::from_oid(of.oid)), (of.oid, Some(kind)));
            }
        }
        assert_eq!(by_name("timestamp with time zone").map(|of| of.oid), Some(1184));
    }
}
