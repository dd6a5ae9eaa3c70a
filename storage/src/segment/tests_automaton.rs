//! The automaton of terms is, byte for byte, the one that `tantivy-fst` writes.

use proptest::prelude::*;
use tantivy::postings::TermInfo;
use tantivy::termdict::TermDictionaryBuilder;

use super::automaton::Automaton;

/// What `tantivy-fst` writes: a dictionary of Tantivy begins with it.
fn plain(terms: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = TermDictionaryBuilder::create(Vec::new()).unwrap();
    let none = TermInfo { doc_freq: 0, postings_range: 0..0, positions_range: 0..0 };
    terms.iter().for_each(|term| builder.insert(term, &none).unwrap());
    let whole = builder.finish().unwrap();
    let (rest, tail) = whole.split_last_chunk::<16>().unwrap();
    let store_bytes = u64::from_le_bytes(tail[..8].try_into().unwrap());
    rest[..rest.len() - store_bytes as usize].to_vec()
}

#[track_caller]
fn check(mut terms: Vec<Vec<u8>>) {
    terms.sort();
    terms.dedup();
    let mut made = Automaton::default();
    terms.iter().for_each(|term| made.add(term).unwrap());
    let (made, plain) = (made.finish().unwrap(), plain(&terms));
    let at = made.iter().zip(&plain).position(|(one, other)| one != other);
    assert!(made == plain, "{} and {} bytes, differing from {at:?} on", made.len(), plain.len());
}

fn all(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn few_terms_are_written_as_the_crate_writes_them() {
    check(Vec::new());
    check(all(&[""]));
    check(all(&["", "a"]));
    check(all(&["a", "ab", "abc", "b", "bc", "c"]));
    check(all(&["xyz", "yyz", "zzyz", "zzyzz"]));
    check(all(&["Đồng", "Đông", "dong hoi", "dong hoi\u{1}"]));
}

#[test]
fn nodes_with_many_ways_are_too() {
    for count in [1usize, 2, 31, 32, 33, 62, 63, 64, 65, 255, 256] {
        let one = (0..count).map(|byte| vec![byte as u8]);
        let several =
            (0..count).flat_map(|byte| [vec![b'a', byte as u8], vec![b'b', byte as u8, 1], vec![b'b', byte as u8]]);
        check(one.chain(several).collect());
    }
}

/// So many different nodes that places of the table are taken over, and addresses of three bytes.
#[test]
fn more_nodes_than_the_table_has_places_are_too() {
    let number = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    check(
        (0..60_000).map(|at| format!("{}.{}/x{}", at % 7, number(at) % 5_000, number(at) % 977).into_bytes()).collect(),
    );
    check((0..30_000).map(|at| format!("{:011x}", number(at)).into_bytes()).collect());
}

#[test]
fn a_term_out_of_order_is_refused() {
    let mut made = Automaton::default();
    made.add(b"ab").unwrap();
    assert!(made.add(b"ab").is_err());
    assert!(made.add(b"a").is_err());
    assert!(made.add(b"aa").is_err());
    assert!(made.add(b"").is_err());
    made.add(b"abc").unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn terms_are_written_as_the_crate_writes_them(
        terms in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0u8), any::<u8>()], 0..7), 0..300),
    ) {
        check(terms);
    }

    #[test]
    fn so_are_terms_with_the_same_ends(
        terms in proptest::collection::vec("[ab]{1,3}(\\.vn|\\.gov\\.vn|ing|[0-9]{0,3})", 0..300),
    ) {
        check(terms.into_iter().map(String::into_bytes).collect());
    }
}
