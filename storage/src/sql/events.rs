//! `EventsTable`: a dataset of a snapshot as a table. Its columns are those of a segment
//! ([`crate::segment::columns::SCHEMA`]), with the id of each event, `event.original` as text and as bytes, and the hash as text.
//! In: which columns and conditions a query has. Out: [`ScanExec`] over the segments that can have rows of it. The limit
//! to units is part of the table: there is no way to name it without.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use nhatle_event::Text;

use super::deadline::Deadline;
use super::parts::{Asked, Base};
use super::push::push;
use super::scan::ScanExec;
use crate::dataset::Dataset;
use crate::query::{Filter, Query};
use crate::segment::{Wanted, columns};
use crate::snapshot::Snapshot;

/// Where the values of a column come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The column of the segment, as it is.
    Same(&'static str),
    /// The `Seq` as a number with a sign.
    Seq,
    /// The id, made of the `Seq`.
    Id,
    /// The bytes as received, as text.
    Text,
    /// The bytes as received.
    Bytes,
    /// Their hash, in hexadecimal.
    Hash,
}

impl Source {
    /// The column of the segment.
    pub fn column(self) -> &'static str {
        match self {
            Source::Same(name) => name,
            Source::Seq | Source::Id => columns::SEQ,
            Source::Text | Source::Bytes => columns::ORIGINAL,
            Source::Hash => columns::HASH,
        }
    }
}

/// The columns, in their order.
pub static SOURCES: LazyLock<Vec<(&'static str, Source)>> = LazyLock::new(|| {
    let mut all = vec![
        ("nhatle.id", Source::Id),
        (columns::SEQ, Source::Seq),
        (columns::TIMESTAMP, Source::Same(columns::TIMESTAMP)),
        (columns::CREATED, Source::Same(columns::CREATED)),
        (columns::INGESTED, Source::Same(columns::INGESTED)),
        (columns::ORIGINAL, Source::Text),
        ("event.original_bytes", Source::Bytes),
        (columns::HASH, Source::Hash),
    ];
    all.extend(columns::FIELDS.iter().map(|(field, _)| (field.name(), Source::Same(field.name()))));
    all.push((columns::ATTRS, Source::Same(columns::ATTRS)));
    all
});

/// The table's columns with their types.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let field = |(name, source): &(&'static str, Source)| {
        let (of, is_nullable) = match source {
            Source::Seq => (DataType::Int64, false),
            Source::Id | Source::Text | Source::Hash => (DataType::Utf8View, false),
            Source::Bytes => (DataType::BinaryView, false),
            Source::Same(name) => match columns::SCHEMA.field_with_name(name) {
                Ok(field) if *field.data_type() == DataType::Utf8 => (DataType::Utf8View, field.is_nullable()),
                Ok(field) => (field.data_type().clone(), field.is_nullable()),
                Err(_) => (DataType::Null, true),
            },
        };
        Field::new(*name, of, is_nullable)
    };
    Arc::new(Schema::new(SOURCES.iter().map(field).collect::<Vec<_>>()))
});

/// The names of the columns.
pub fn names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(name, _)| *name)
}

/// A dataset of a snapshot.
#[derive(Clone)]
pub struct EventsTable {
    /// Which.
    pub dataset: Dataset,
    /// Of what.
    pub snapshot: Snapshot,
    /// The events of these units only.
    pub units: Option<Vec<Text>>,
    /// Until when it is read.
    pub deadline: Deadline,
    /// In how many threads.
    pub threads: usize,
    /// The fields of `attrs` that the query asks for ([`super::wanted`]).
    pub wanted: Wanted,
}

impl std::fmt::Debug for EventsTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.dataset.name())
    }
}

#[async_trait]
impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        SCHEMA.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..SOURCES.len()).collect());
        let pushed = push(filters);
        let query = Query {
            filter: pushed.filter,
            from: pushed.from,
            to: pushed.to,
            datasets: vec![self.dataset],
            units: self.units.clone(),
        };
        let is_all = matches!(query.filter, Filter::All) && query.units.is_none() && filters.is_empty();
        let rows = is_all.then(|| self.snapshot.count(self.dataset));
        let base = Arc::new(Base::new(self.snapshot.clone(), query, self.deadline.clone(), self.wanted.clone()));
        let parts = base.parts(self.threads);
        let asked = Asked::new(base, columns, Vec::new())?;
        Ok(Arc::new(ScanExec::new(asked, parts, limit.filter(|_| filters.is_empty()), rows)))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
