//! A mistyped word in, the known word it was meant to be out: for "did you mean".
//!
//! Total and bounded: words longer than [`WORD_BYTES_MAX`] are near nothing.

/// How long a word may be, in bytes, to be compared.
const WORD_BYTES_MAX: usize = 64;

/// The known word nearest to `word`: at most two letters changed, one in a short word; `None` where none is.
/// Case does not count, so `Contains` is near `contains`.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.trim().to_lowercase();
    let near = |known: &'a str| {
        let distance = distance(&lower, &known.to_lowercase())?;
        let max = if known.len() < 4 { 0 } else { 1 + usize::from(6 <= known.len()) };
        (distance <= max).then_some((distance, known))
    };
    known.into_iter().filter(|known| *known != word).filter_map(near).min().map(|(_, known)| known)
}

/// `; did you mean `known`?`, or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

/// How many letters must be put in, left out or changed to make one word of the other.
fn distance(left: &str, right: &str) -> Option<usize> {
    if WORD_BYTES_MAX < left.len() || WORD_BYTES_MAX < right.len() || 2 < left.len().abs_diff(right.len()) {
        return None;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.bytes().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, r) in right.bytes().enumerate() {
            let replaced = before + usize::from(l != r);
            before = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(before + 1);
        }
    }
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typing_error_is_near_and_another_word_is_not() {
        let known = ["contains", "endswith", "re", "CommandLine", "lte"];
        let rows = [
            ("containz", Some("contains")),
            ("endwith", Some("endswith")),
            ("commandline", Some("CommandLine")),
            ("ComandLnie", None),
            ("CommandLines", Some("CommandLine")),
            ("ra", None),
            ("lt", None),
            ("contains", None),
        ];
        for (word, expected) in rows {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
    }
}
