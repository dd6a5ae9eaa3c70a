//! What inputs dropped, and what never came to them, in the receipt book: by the source it came from, with the reason.
//!
//! In: counts by sender, each with one of the records. Out: rejections noted for the next batch. The sample is read as
//! any record would be, so that the rows stand under the source's own name. Where one address speaks for several hosts
//! (a relay), all of its dropped records stand under that of the sample: nobody has read the others.

use nhatle_collector::listen::queue::{Shed, Unreceived};
use nhatle_collector::{Settings, dead_letter_event, to_event};
use nhatle_event::{Event, Field, Record};

use super::Shared;
use crate::sources::owners::By;
use crate::sources::{OTHER_SOURCE, Whose};
use crate::telemetry::Counters;

/// Notes what never came: the numbers of an exporter on its own row, what the kernel dropped on that of the input.
pub(crate) fn note_unreceived(shared: &Shared, unreceived: Vec<Unreceived>) {
    if unreceived.is_empty() {
        return;
    }
    let settings = shared.settings.get();
    for one in unreceived {
        match one {
            Unreceived::Kernel { input, datagrams } => {
                let whose = Whose { source: &input, input: &input, unit: None };
                shared.noted().lose(whose, datagrams, shared.clock.now());
            }
            Unreceived::Numbers { first, last, sample } => {
                let event = named(shared, &sample, &settings);
                let source = event.text(Field::NHATLE_SOURCE).unwrap_or(OTHER_SOURCE);
                let whose = Whose { source, input: &sample.input, unit: event.text(Field::NHATLE_UNIT) };
                shared.noted().gap(whose, (first, last), sample.received);
            }
        }
    }
}

/// Notes what was dropped.
pub(crate) fn note(shared: &Shared, shed: Vec<Shed>, settings: &Settings) {
    for Shed { why, records, sample } in shed {
        let event = named(shared, &sample, settings);
        // Several senders past the bound are one row, and it is nobody's own.
        let is_of_many = sample.peer.is_none() && sample.source.is_none();
        let source = event.text(Field::NHATLE_SOURCE).filter(|_| !is_of_many).unwrap_or(OTHER_SOURCE);
        let unit = event.text(Field::NHATLE_UNIT).filter(|_| !is_of_many);
        let whose = Whose { source, input: &sample.input, unit };
        shared.noted().reject(whose, why.reason(), records, sample.received);
        Counters::add(&shared.counters.shed, records);
    }
}

/// A record that is only counted, under the name its source has in the book.
pub(crate) fn named(shared: &Shared, sample: &Record, settings: &Settings) -> Event {
    let mut event = to_event(sample, settings).unwrap_or_else(|dead| dead_letter_event(&dead, settings));
    shared.owners.name(&mut event, By::of(sample), &shared.units.get(), shared.clock.now());
    event
}
