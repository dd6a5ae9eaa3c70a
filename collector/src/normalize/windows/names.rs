//! `Names`: what the names of a form of JSON mean, told once for each name and then found by its number.
//!
//! In: a document, whose reader numbers names. Out: meanings. Promise: a meaning is a function of the name alone, so
//! that forgetting one changes nothing. They last as long as the reader's numbers, which are bounded.

use nhatle_event::json::Document;

/// Meanings by number of the name.
#[derive(Debug)]
pub(super) struct Names<T> {
    generation: Option<u64>,
    meanings: Vec<Option<T>>,
}

impl<T> Default for Names<T> {
    fn default() -> Names<T> {
        Names { generation: None, meanings: Vec::new() }
    }
}

impl<T> Names<T> {
    /// Before each document: forgets what was told of other numbers.
    pub fn begin(&mut self, document: &Document<'_>) {
        if self.generation != Some(document.generation()) {
            *self = Names { generation: Some(document.generation()), meanings: Vec::new() };
        }
    }

    /// The meaning of the name at this place of the document.
    #[inline]
    pub fn meaning(&mut self, document: &Document<'_>, at: usize, told: impl FnOnce(&str) -> T) -> &mut T {
        let number = document.number(at);
        if self.meanings.len() <= number {
            self.meanings.resize_with(number + 1, || None);
        }
        self.meanings[number].get_or_insert_with(|| told(document.leaf(at).0))
    }
}

#[cfg(test)]
mod tests {
    use nhatle_event::json::Reader;

    use super::*;

    #[test]
    fn a_meaning_is_told_once_and_never_of_another_name() {
        let (mut one, mut other) = (Reader::default(), Reader::default());
        let mut names: Names<String> = Names::default();
        let mut told = 0;
        for document in 0..60 {
            let text = format!(r#"{{"a{}":1,"b":2,"c":{{"d":3}}}}"#, document % 7);
            // Two readers take turns of ten documents.
            let reader = if document / 10 % 2 == 0 { &mut one } else { &mut other };
            let found = reader.read(&text).expect("is read");
            names.begin(&found);
            for at in 0..found.len() {
                let meaning = names.meaning(&found, at, |name| {
                    told += 1;
                    name.to_uppercase()
                });
                assert_eq!(*meaning, found.leaf(at).0.to_uppercase());
            }
        }
        assert!(told <= 6 * 10, "told again only when the reader changes: {told}");
    }
}
