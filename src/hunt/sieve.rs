//! What rules need, in the words of the store: engine and storage do not know each other.

use nhatle_engine::needs::{self, Need};
use nhatle_storage::query::sieve::{self, Sieve};

/// The sieve of a need: lets through every row for which the need holds.
pub fn sieve_of(need: &Need) -> Sieve {
    match need {
        Need::Anything => Sieve::Everything,
        Need::Nothing => Sieve::Nothing,
        Need::Field(fields, held) => Sieve::Field(fields.clone(), held_of(held)),
        Need::Somewhere(forms) => Sieve::Somewhere(forms.iter().map(form_of).collect()),
        Need::All(parts) => Sieve::All(parts.iter().map(sieve_of).collect()),
        Need::Any(parts) => Sieve::Any(parts.iter().map(sieve_of).collect()),
    }
}

fn held_of(held: &needs::Held) -> sieve::Held {
    match held {
        needs::Held::Field => sieve::Held::Field,
        needs::Held::Text => sieve::Held::Text,
        needs::Held::Form(forms) => sieve::Held::Form(forms.iter().map(form_of).collect()),
        needs::Held::Number(low, high) => sieve::Held::Number(*low, *high),
        needs::Held::Network(network, prefix) => sieve::Held::Network(*network, *prefix),
    }
}

fn form_of(form: &needs::Form) -> sieve::Form {
    sieve::Form::new(form.whole.as_deref(), form.start.as_deref(), &form.inside, form.end.as_deref())
}
