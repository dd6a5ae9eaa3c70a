//! Words of the pages: Fluent messages in Vietnamese and English, compiled in.
//!
//! In: a message id and arguments. Out: text in the language of the page. Promise: both files have the same
//! ids, every id used exists and every id is used (tests). Failure: an unknown id reads as the id itself.
//! Source: Project Fluent syntax 1.0; terms from the glossary.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

use crate::account::Language;

/// The Vietnamese messages.
pub(crate) const VI: &str = include_str!("../locale/vi.ftl");
/// The English messages.
pub(crate) const EN: &str = include_str!("../locale/en.ftl");

static BUNDLES: LazyLock<[FluentBundle<FluentResource>; 2]> = LazyLock::new(|| [bundle("vi", VI), bundle("en", EN)]);

fn bundle(tag: &str, text: &str) -> FluentBundle<FluentResource> {
    let language: LanguageIdentifier = tag.parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    bundle.set_use_isolating(false);
    let resource = match FluentResource::try_new(text.to_owned()) {
        Ok(resource) | Err((resource, _)) => resource,
    };
    bundle.add_resource_overriding(resource);
    bundle
}

/// The message in this language.
pub(crate) fn text(language: Language, id: &str) -> String {
    format(language, id, None)
}

/// The message with one argument.
pub(crate) fn text_with(language: Language, id: &str, name: &str, value: &str) -> String {
    let mut args = FluentArgs::new();
    args.set(name, FluentValue::from(value));
    format(language, id, Some(&args))
}

/// The message about a number: `count` chooses the plural form, `shown` is the number as people write it.
pub(crate) fn count(language: Language, id: &str, count: u64) -> String {
    let mut args = FluentArgs::new();
    args.set("count", FluentValue::from(count));
    args.set("shown", FluentValue::from(number(language, count)));
    format(language, id, Some(&args))
}

fn format(language: Language, id: &str, args: Option<&FluentArgs<'_>>) -> String {
    let bundle = match language {
        Language::Vietnamese => &BUNDLES[0],
        Language::English => &BUNDLES[1],
    };
    let Some(pattern) = bundle.get_message(id).and_then(|message| message.value()) else {
        return id.to_owned();
    };
    let mut errors = Vec::new();
    bundle.format_pattern(pattern, args, &mut errors).into_owned()
}

/// A whole number with its thousands marked: `1.284.551` or `1,284,551`.
pub(crate) fn number(language: Language, number: u64) -> String {
    let mark = match language {
        Language::Vietnamese => '.',
        Language::English => ',',
    };
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(mark);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_each_language_does() {
        for (value, vi, en) in
            [(0, "0", "0"), (999, "999", "999"), (1000, "1.000", "1,000"), (1_284_551, "1.284.551", "1,284,551")]
        {
            assert_eq!(number(Language::Vietnamese, value), vi);
            assert_eq!(number(Language::English, value), en);
        }
    }

    #[test]
    fn an_unknown_message_reads_as_its_id() {
        assert_eq!(text(Language::English, "no-such-thing"), "no-such-thing");
    }
}
