//! The terms of a field and their rows are written, byte for byte, as Tantivy's own serializer writes them.

use proptest::prelude::*;
use tantivy::Index;
use tantivy::index::{Segment, SegmentComponent};
use tantivy::postings::InvertedIndexSerializer;

use super::dictionary::Dictionary;
use super::text_index::{Files, schema};

type Terms = Vec<(Vec<u8>, Vec<u32>)>;

/// What Tantivy writes of the same terms and rows.
fn plain(segment: &Segment, terms: &[Terms; 2]) {
    let (_, words, exact) = schema();
    let mut serializer = InvertedIndexSerializer::open(segment).unwrap();
    for (field, terms) in [words, exact].into_iter().zip(terms) {
        let count = terms.iter().map(|(_, rows)| rows.len() as u64).sum();
        let mut of = serializer.new_field(field, count, None).unwrap();
        for (term, rows) in terms {
            of.new_term_without_freq(term).unwrap();
            rows.iter().for_each(|row| of.write_doc(*row, 0, &[]));
            of.close_term().unwrap();
        }
        of.close().unwrap();
    }
    serializer.close().unwrap();
}

#[track_caller]
fn check(mut terms: [Terms; 2]) {
    for terms in &mut terms {
        terms.sort();
        terms.dedup_by(|one, other| one.0 == other.0);
    }
    let (schema, words, exact) = schema();
    let index = Index::create_in_ram(schema);
    let (theirs, ours) = (index.new_segment(), index.new_segment());
    plain(&theirs, &terms);
    let mut files = Files::open(&ours).unwrap();
    for (field, terms) in [words, exact].into_iter().zip(&terms) {
        let mut made = Dictionary::new(terms.iter().map(|(_, rows)| rows.len()).sum());
        terms.iter().for_each(|(term, rows)| made.add(term, rows).unwrap());
        files.put(field, &made.finish().unwrap()).unwrap();
    }
    files.close().unwrap();
    for part in [SegmentComponent::Terms, SegmentComponent::Postings, SegmentComponent::Positions] {
        let [theirs, ours] =
            [&theirs, &ours].map(|segment| segment.open_read(part.clone()).unwrap().read_bytes().unwrap().to_vec());
        assert!(theirs == ours, "{part:?}: {} and {} bytes", theirs.len(), ours.len());
    }
}

fn numbered(count: usize, rows: impl Fn(usize) -> Vec<u32>) -> Terms {
    (0..count).map(|at| (format!("term{at:05}").into_bytes(), rows(at))).collect()
}

#[test]
fn terms_and_rows_are_written_as_tantivy_writes_them() {
    check([Vec::new(), Vec::new()]);
    for count in [1, 2, 255, 256, 257, 511, 512, 513, 1_000] {
        check([numbered(count, |_| vec![0]), numbered(count, |at| (0..at as u32 % 7 + 1).collect())]);
    }
}

#[test]
fn many_rows_are_written_as_tantivy_writes_them() {
    let lengths = [1, 2, 127, 128, 129, 255, 256, 257, 1_000, 70_000];
    let of_step = |step: u32| numbered(lengths.len(), |at| (0..lengths[at]).map(|row| row * step).collect());
    check([of_step(1), of_step(3)]);
    check([of_step(127), of_step(30_000)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_terms_and_rows_are_written_as_tantivy_writes_them(
        terms in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..5), proptest::collection::btree_set(0u32..5_000_000, 1..300)), 0..300),
    ) {
        let terms: Terms = terms.into_iter().map(|(term, rows)| (term, rows.into_iter().collect())).collect();
        check([terms.clone(), terms]);
    }
}
