//! Sealed segments: some ten thousand events of one dataset in two immutable files of a folder,
//! `rows.parquet` (every value, sorted by time) and `words.index` (which rows hold a word or a value). The
//! number of a row is its place in both. Format: `docs/format/segment.md`.
//!
//! In: events ([`write`]). Out: [`SegmentMeta`] for the manifest; [`Segment`], which gives rows back.
//! Promise: every byte read is checked against its checksum first, so damage is an error with its place.
//! Failure: [`ReadError`], [`WriteError`]. Source: Apache Parquet format 2.11; Tantivy 0.27 (of indexes of before).
//!
//! [`SegmentMeta`]: meta::SegmentMeta
//! [`ReadError`]: crate::error::ReadError
//! [`WriteError`]: crate::error::WriteError

pub mod meta;
pub mod object;
pub mod merge;
pub mod erased;
pub mod words;
pub mod terms;
pub mod rows;
pub(crate) mod attrs;
pub mod frequent;
mod kinds;
mod builders;
pub mod columns;
mod bundle;
pub mod bloom;
pub mod head;
pub mod text_index;
mod gather;
mod lists;
mod bits;
mod packed;
mod row_lists;
mod dictionary;
mod shape;
mod term_reader;
mod texts;
pub(crate) mod stands;
pub mod loose;
mod fine;
mod checked_file;
mod sound;
mod ahead;
mod pages;
mod pick;
mod made;
pub mod outline;
mod outlines;
mod spans;
mod cache;
mod recent;
mod writer;
mod reader;
mod stream;
mod row_keys;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_columns;
#[cfg(test)]
mod tests_gather;
#[cfg(test)]
mod tests_outline;
#[cfg(test)]
pub(crate) mod tests_old;
#[cfg(test)]
mod tests_pick;
#[cfg(test)]
mod tests_sound;

pub(crate) use made::Wanted;
#[cfg(test)]
pub(crate) use reader::kept_of;
pub use reader::{Projection, Segment};
pub(crate) use recent::Recent;
pub use row_keys::RowKeys;
pub(crate) use spans::{Picked, SpanBatches, Spans};
pub use stream::RowStream;
pub use terms::is_unit_code;
pub use writer::{GROUP_ROWS, PAGE_ROWS, write, write_rows};

/// The file of the rows.
pub const ROWS_FILE: &str = "rows.parquet";
/// The file of the index.
pub const INDEX_FILE: &str = "words.index";
