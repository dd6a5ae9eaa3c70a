//! One query's session: its tables, functions and settings; from a statement to a plan. Nothing of a session outlives its
//! query. In: a [`World`]. Out: DataFusion's state.
//!
//! Settings that matter: nothing is dealt out anew between threads (`RepartitionExec` panics when memory runs out, and
//! a panic ends this process); no file format and no store of files is known; memory and room on the disk are bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::DataType;
use datafusion::catalog::CatalogProviderList;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::common::{ParamValues, Result, ScalarValue, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser;
use datafusion::sql::sqlparser::ast::Statement;

use super::cell::Cell;
use super::deadline::{Deadline, watched};
use super::events::EventsTable;
use super::group::GroupInScan;
use super::slices::JoinInSlices;
use super::text::LITERAL_BYTES_MAX;
use super::{Limits, World, functions, guard, math, tables, wanted};
use crate::dataset::Dataset;

const CATALOG: &str = "nhatle";
const SCHEMA: &str = "public";
/// How many rows operators give at a time; long texts of a join stand beside each other in one batch.
const BATCH_ROWS: usize = 4096;
/// The datasets that are tables.
const DATASETS: [Dataset; 3] = [Dataset::Events, Dataset::Alerts, Dataset::DeadLetters];

/// The state of a query's session.
///
/// # Errors
/// Two tables have one name; the folder for spilled rows cannot be made.
pub fn open(limits: &Limits, world: &World, deadline: &Deadline) -> Result<SessionState> {
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.threads.max(1))
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_repartition_aggregations(false)
        .with_repartition_joins(false)
        .with_repartition_sorts(false)
        .with_repartition_windows(false)
        .with_repartition_file_scans(false)
        .with_round_robin_repartition(false);
    // A sort keeps this much aside to merge what it spilled; the default is for pools of gigabytes.
    config.options_mut().execution.sort_spill_reservation_bytes = limits.memory_bytes / 16;
    let mode = match &limits.spill_folder {
        Some(folder) => DiskManagerMode::Directories(vec![folder.clone()]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(limits.spill_bytes);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    let mut scalar = guard::guarded(SessionStateDefaults::default_scalar_functions());
    scalar.extend(functions::ours());
    scalar.extend(math::all());
    scalar.extend(functions::constants(&world.constants));
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(functions::Operators)];
    planners.extend(SessionStateDefaults::default_expr_planners());
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_catalog_list(catalog(limits, world, deadline)?)
        .with_expr_planners(planners)
        .with_physical_optimizer_rule(Arc::new(GroupInScan))
        .with_physical_optimizer_rule(Arc::new(JoinInSlices { memory_bytes: limits.memory_bytes }))
        .with_scalar_functions(scalar)
        .with_aggregate_functions(guard::bounded(SessionStateDefaults::default_aggregate_functions()))
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .build();
    Ok(state)
}

fn catalog(limits: &Limits, world: &World, deadline: &Deadline) -> Result<Arc<MemoryCatalogProviderList>> {
    let catalog = Arc::new(MemoryCatalogProvider::new());
    catalog.register_schema(SCHEMA, Arc::new(MemorySchemaProvider::new()))?;
    for table in &world.tables {
        let schema = table.schema.as_deref().unwrap_or(SCHEMA);
        if catalog.schema(schema).is_none() {
            catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
        }
        let is_ours = schema == SCHEMA && DATASETS.iter().any(|dataset| dataset.name() == table.name);
        match catalog.schema(schema) {
            Some(schema) if !is_ours => {
                schema.register_table(table.name.clone(), Arc::new(tables::in_memory(table)?))?;
            }
            _ => return plan_err!("the table {} is given twice", table.name),
        }
    }
    if let Some(schema) = catalog.schema(SCHEMA) {
        for dataset in DATASETS {
            let table = EventsTable {
                dataset,
                snapshot: world.snapshot.clone(),
                units: world.units.clone(),
                deadline: deadline.clone(),
                threads: limits.threads,
                wanted: None,
            };
            schema.register_table(dataset.name().to_owned(), Arc::new(table))?;
        }
    }
    let list = Arc::new(MemoryCatalogProviderList::new());
    list.register_catalog(CATALOG.to_owned(), catalog);
    Ok(list)
}

/// The plan of a statement that only reads, before its parameters are known.
///
/// # Errors
/// It names what is not there, or does more than read.
pub async fn planned(state: &SessionState, statement: Statement) -> Result<LogicalPlan> {
    let plan = state.statement_to_plan(parser::Statement::Statement(Box::new(statement))).await?;
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reads.verify_plan(&plan)?;
    Ok(plan)
}

/// The types of `$1`, `$2`, …; `None` where the query does not say.
///
/// # Errors
/// A parameter has no number, or one is left out.
pub fn parameters(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>> {
    let mut found: Vec<Option<DataType>> = Vec::new();
    let types: BTreeMap<String, Option<DataType>> = plan.get_parameter_types()?.into_iter().collect();
    for (name, of) in types {
        let number = name.trim_start_matches('$').parse::<usize>().ok();
        let Some(number) = number.filter(|number| (1..=super::PARAMETERS_MAX).contains(number)) else {
            return plan_err!("the parameter {name} is none of $1 to ${}", super::PARAMETERS_MAX);
        };
        if found.len() < number {
            found.resize(number, None);
        }
        found[number - 1] = of;
    }
    Ok(found)
}

/// The plan with its parameters.
///
/// # Errors
/// There are more or fewer than it asks for, or one is not of its type.
pub fn with_values(plan: LogicalPlan, values: &[Cell<'_>]) -> Result<LogicalPlan> {
    let types = parameters(&plan)?;
    if types.len() != values.len() {
        return plan_err!("the query has {} parameters, and {} are given", types.len(), values.len());
    }
    if values.is_empty() {
        return Ok(plan);
    }
    let is_long = |value: &Cell<'_>| match value {
        Cell::Text(text) => LITERAL_BYTES_MAX < text.len(),
        Cell::Bytes(bytes) => LITERAL_BYTES_MAX < bytes.len(),
        _ => false,
    };
    if values.iter().any(is_long) {
        return plan_err!("a parameter has more than {LITERAL_BYTES_MAX} bytes");
    }
    let values: Vec<ScalarValue> = values
        .iter()
        .zip(&types)
        .map(|(value, of)| match of {
            Some(of) => tables::scalar(value).cast_to(of),
            None => Ok(tables::scalar(value)),
        })
        .collect::<Result<_>>()?;
    plan.with_param_values(ParamValues::from(values))
}

/// What is run. A plan that deals rows out anew between threads is refused: see above.
///
/// # Errors
/// DataFusion cannot plan it.
pub async fn physical(state: &SessionState, plan: &LogicalPlan, deadline: &Deadline) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = wanted::narrowed(plan.clone())?;
    let plan = state.create_physical_plan(&plan).await?;
    if deals_anew(&plan) {
        return plan_err!("this form of query is not answered: it would deal rows out between threads");
    }
    watched(plan, deadline)
}

fn deals_anew(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.name() == "RepartitionExec" || plan.children().into_iter().any(deals_anew)
}
