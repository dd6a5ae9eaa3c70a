//! The fast reader beside the plain one: the same leaves in the same order, or the same complaint at the same byte.

use proptest::prelude::*;

use super::plain;
use super::reader::Reader;
use super::{DEPTH_MAX, LEAVES_MAX, NAMES_BYTES_MAX, NAMES_MAX, PATH_BYTES_MAX, value_to_json};
use crate::value::Value;

/// Both readers over one text; doubles are compared bit by bit.
#[track_caller]
fn check(reader: &mut Reader, text: &str) {
    let shown = |value: &Value| format!("{value:?}");
    let expected = plain::flatten(text.as_bytes());
    // Documents with more names than are kept are the plain reader's.
    if text.len() < NAMES_BYTES_MAX / 8 {
        let is_read = reader.read_usual(text);
        assert_eq!(is_read, expected.is_ok(), "the fast reader leaves what can be read to the plain one: {text}");
    }
    let found = reader.read(text).map(|mut document| {
        for (name, value) in document.leaves() {
            assert_eq!(document.get(name), Some(value), "{name} is found in {text}");
        }
        assert_eq!(document.get("a name that no document has"), None);
        document.to_leaves()
    });
    assert_eq!(found.as_ref().err(), expected.as_ref().err(), "{text}");
    let (Ok(found), Ok(expected)) = (found, expected) else { return };
    assert_eq!(found, expected, "{text}");
    assert!(found.iter().zip(&expected).all(|(left, right)| shown(&left.1) == shown(&right.1)), "{text}");
}

/// Values that have caught parsers out, and some that are fine.
const VALUES: &[&str] = &[
    "0",
    "-0",
    "-1",
    "01",
    "-",
    "+1",
    "1.",
    ".5",
    "1.5",
    "-0.0",
    "1e5",
    "1E+2",
    "1e-400",
    "1e999",
    "-1e999",
    "1e",
    "0x1",
    "1-2",
    "1.5.3",
    "123456789012345678",
    "1234567890123456789",
    "-123456789012345678",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "2.2250738585072011e-308",
    "123456789.123456789123456789",
    "true",
    "false",
    "null",
    "tru",
    "nul",
    "truex",
    "NaN",
    "Infinity",
    "\"\"",
    "\"x\"",
    r#""\"\\\/\b\f\n\r\t""#,
    r#""\u0041\u00e9\u20ac\ud83d\ude00""#,
    r#""\ud83d""#,
    r#""\ude00""#,
    r#""\ud83d\ud83d""#,
    r#""\ud83dx""#,
    r#""\u12""#,
    r#""\u12g4""#,
    r#""\x""#,
    r#""\""#,
    "\"\u{7f}\u{80}\u{7ff}\u{ffff}\u{10ffff}\"",
    "\"\t\"",
    "\"\u{0}\"",
    "\"\u{1f}\"",
    "\" \"",
    "\"a long text of more than twenty-four bytes, with an end\"",
    r#""C:\\Windows\\System32\\cmd.exe /c \"whoami\"""#,
    "[]",
    "{}",
    "[1]",
    "[1,2]",
    "[[],[1,[2]]]",
    "[{},{}]",
    r#"[{"a":1},{"a":2,"b":[3]}]"#,
    r#"{"a":{}}"#,
    r#"{"a":{"b":1},"a":{}}"#,
    "[1,]",
    "[,1]",
    r#"{"a":1,}"#,
    r#"{"a"}"#,
    r#"{"a" 1}"#,
    "{1:2}",
    "",
    " ",
    "/",
    "'x'",
];
/// Names that meet: flat, nested, empty, with dots, with escapes.
const NAMES: &[&str] =
    &["a", "b", "a.b", "a.b.c", "b.c", "", ".", "a.", ".a", r"\u0061", r"a\u002eb", r"\\", "EventID", "é", "#text"];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => proptest::sample::select(NAMES).prop_map(str::to_owned), 1 => "[a-d]{1,12}".prop_map(String::from)]
}

/// Documents that are mostly fine.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        6 => proptest::sample::select(VALUES).prop_map(str::to_owned),
        2 => any::<i64>().prop_map(|number| number.to_string()),
        2 => any::<f64>().prop_map(|number| format!("{number:e}")),
        2 => "[ -~]{0,40}".prop_map(|text| serde_json::Value::from(text).to_string()),
        1 => ".{0,24}".prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    let value = leaf.prop_recursive(4, 24, 5, |inner| {
        let space = || proptest::sample::select(&["", "", "", " ", "\n\t\r"][..]);
        let member = (name(), space(), inner.clone())
            .prop_map(|(name, space, value)| format!("\"{name}\"{space}:{space}{value}"));
        prop_oneof![
            (proptest::collection::vec(member, 0..5), space())
                .prop_map(|(all, space)| format!("{{{space}{}{space}}}", all.join(&format!("{space},{space}")))),
            (proptest::collection::vec(inner, 0..4), space())
                .prop_map(|(all, space)| format!("[{space}{}{space}]", all.join(","))),
        ]
    });
    proptest::collection::vec((name(), value), 0..8).prop_map(|members| {
        let members: Vec<_> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn documents_are_read_as_the_plain_reader_does(text in document()) {
        check(&mut Reader::default(), &text);
    }

    #[test]
    fn a_broken_document_is_refused_as_the_plain_reader_does(
        text in document(),
        cut in any::<proptest::sample::Index>(),
        put in proptest::sample::select(&["", "\"", "\\", "{", "}", "[", "]", ",", ":", " ", "\0", "0", "-", "e", ".", "u", "é"][..]),
        length in 0usize..3,
    ) {
        let places: Vec<_> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
        let at = cut.index(places.len());
        let end = (at + length).min(places.len() - 1);
        check(&mut Reader::default(), &format!("{}{put}{}", &text[..places[at]], &text[places[end]..]));
    }
}

#[test]
fn one_reader_reads_many_documents() {
    let mut reader = Reader::default();
    for value in VALUES {
        for (name, other) in NAMES.iter().zip(NAMES.iter().rev()) {
            check(&mut reader, &format!(r#"{{"{name}":{value},"{other}":{{"{name}":{value}}},"{name}":[{value}]}}"#));
            check(
                &mut reader,
                &format!(r#" {{ "{other}" : [ {value} , {{ "{name}" : {value} }} ] , "{name}" : {value} }} "#),
            );
            check(&mut reader, &format!(r#"{{"{name}":{value}}}{value}"#));
        }
    }
}

#[test]
fn strings_end_where_they_end_at_every_offset() {
    let mut reader = Reader::default();
    for length in 0..40 {
        let front = "x".repeat(length);
        for end in ["", "é", r"\n", r"\\", r"\u00e9", "\u{1}", "\u{1f}", "\u{20}", "!", "\u{7f}", "\\"] {
            for after in ["", "y", "yyyyyyyy"] {
                check(&mut reader, &format!(r#"{{"{front}{end}{after}":"{front}{end}{after}"}}"#));
            }
        }
    }
}

#[test]
fn bounds_hold_at_their_edges() {
    let mut reader = Reader::default();
    for depth in [1, DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1, DEPTH_MAX + 2, 127, 128, 129, 10_000] {
        check(&mut reader, &format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth)));
        check(&mut reader, &format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth)));
        check(&mut reader, &r#"{"a":"#.repeat(depth));
        check(&mut reader, &format!(r#"{{"a":{}"#, "[".repeat(depth)));
    }
    for count in [63, 64, 65, 127, 128, 129, 5_000] {
        let keys: Vec<_> = (0..count).map(|at| format!(r#""k{at}":{at},"n":{{"k{at}":[{at}]}}"#)).collect();
        check(&mut reader, &format!(r#"{{{},"k1":"again","n.k2":"flat","n":{{"k2":"late"}}}}"#, keys.join(",")));
    }
    for count in [LEAVES_MAX - 1, LEAVES_MAX, LEAVES_MAX + 1] {
        let keys: Vec<_> = (0..count).map(|at| format!(r#""{at}":{at}"#)).collect();
        let text = format!("{{{}}}", keys.join(","));
        let found = reader.read(&text).map(|mut document| document.to_leaves());
        let error = found.as_ref().err().map(|error| error.reason.clone());
        assert_eq!(error.is_some(), LEAVES_MAX < count, "{count} {error:?}");
        assert_eq!(
            found.map(|leaves| value_to_json(&leaves[count - 1].1)).ok(),
            (count <= LEAVES_MAX).then(|| (count - 1).into())
        );
    }
    for length in [PATH_BYTES_MAX - 2, PATH_BYTES_MAX - 1, PATH_BYTES_MAX, PATH_BYTES_MAX + 1] {
        let name = "n".repeat(length);
        check(&mut reader, &format!(r#"{{"{name}":1}}"#));
        check(&mut reader, &format!(r#"{{"{name}":{{"b":1}}}}"#));
        check(&mut reader, &format!(r#"{{"{name}":[1,{{"b":1}}]}}"#));
        check(
            &mut reader,
            &format!(
                r#"{{"{name}
":[]}}"#
            ),
        );
    }
    let many: Vec<_> = (0..LEAVES_MAX / 2).map(|at| format!(r#""{at}":1,"x{at}":{{}}"#)).collect();
    check(&mut reader, &format!("{{{}}}", many.join(",")));
    // What a huge document left behind does not stay.
    check(&mut reader, r#"{"a":1}"#);
}

#[test]
fn names_are_forgotten_before_they_fill_the_memory() {
    let mut reader = Reader::default();
    let mut generations = Vec::new();
    for document in 0..30 {
        let members: Vec<_> = (0..200)
            .map(|at| format!(r#""x{document}.{at}":{at},"n{at}":{{"a":{at},"x{document}":[{at},{{"y":1}}]}}"#))
            .collect();
        let text = format!("{{{}}}", members.join(","));
        check(&mut reader, &text);
        let found = reader.read(&text).expect("is read");
        generations.push(found.generation());
        assert!((0..found.len()).all(|at| found.number(at) <= NAMES_MAX), "numbers are dense");
    }
    generations.dedup();
    assert!((2..20).contains(&generations.len()), "forgotten now and then: {generations:?}");
}

#[test]
fn a_name_has_one_number_as_long_as_the_generation_lasts() {
    let mut reader = Reader::default();
    let mut number = |text: &str, name: &str| {
        let found = reader.read(text).expect("is read");
        let at = (0..found.len()).find(|at| found.leaf(*at).0 == name).expect("is there");
        (found.generation(), found.number(at))
    };
    let first = number(r#"{"a":1,"b":{"c":2}}"#, "b.c");
    for text in
        [r#"{"b.c":1}"#, r#"{"x":0,"b":{"c":1,"d":2},"b.c":3}"#, r#"{"b\u002ec":1,"a":2}"#, r#"{"b":[{"c":1}]}"#]
    {
        assert_eq!(number(text, "b.c"), first, "{text}");
    }
    let other = Reader::default().read("{}").map(|found| found.generation()).expect("is read");
    assert_ne!(other, first.0, "another reader's numbers are others");
}
