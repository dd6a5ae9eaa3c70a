//! Sigma's log sources and field names in, ours out: the [`Gate`] of a rule and the [`Field`]s of a name.
//!
//! Pure tables and lookups; total. A log source that no event of ours can have is [`Gate::Never`], said in a
//! warning; one that cannot be resolved to anything narrower is [`Gate::Any`].
//!
//! Source: Sigma taxonomy appendix 2.1.0, with the differences in `docs/sigma.md`.

mod fields;
mod services;

pub(crate) use fields::{field, meant};

use crate::ast::LogSource;
use crate::compile::predicate::{Gate, GateCase};

/// Which events a log source means.
pub(crate) fn gate(source: &LogSource) -> Gate {
    let category = source.category.as_deref();
    let service = source.service.as_deref();
    let cases = match source.product.as_deref() {
        Some("windows") => return windows(category, service),
        Some("linux") => linux(category, service),
        Some(product) => other(product, category, service),
        None => return without_product(category, service),
    };
    Gate::Cases(cases)
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn datasets(names: &[&str]) -> GateCase {
    GateCase { datasets: owned(names), ..GateCase::default() }
}

fn modules(names: &[&str]) -> GateCase {
    GateCase { modules: owned(names), ..GateCase::default() }
}

fn windows(category: Option<&str>, service: Option<&str>) -> Gate {
    let channels = service.map(|service| services::windows_channels(service).map_or_else(Vec::new, <[&str]>::to_vec));
    let Some(category) = category else {
        return Gate::Cases(vec![match (service, channels) {
            (Some(service), Some(channels)) if channels.is_empty() => {
                GateCase { datasets: vec![format!("windows.{service}")], ..modules(&["windows"]) }
            }
            (_, Some(channels)) => GateCase { channels: owned(&channels), ..GateCase::default() },
            (_, None) => modules(&["windows"]),
        }]);
    };
    let mut cases = services::windows_category(category);
    // A service beside the category narrows it to its own channels.
    if let Some(channels) = channels.filter(|channels| !channels.is_empty()) {
        cases.retain(|case| case.channels.iter().any(|channel| channels.contains(&channel.as_str())));
    }
    if cases.is_empty() { Gate::Never } else { Gate::Cases(cases) }
}

fn linux(category: Option<&str>, service: Option<&str>) -> Vec<GateCase> {
    match (category, service) {
        (Some(category), _) => services::linux_category(category),
        (None, Some(service)) => services::linux_service(service),
        (None, None) => vec![modules(services::LINUX_MODULES)],
    }
}

/// A product we have no table for: its name is the module's, `product.service` the dataset's.
fn other(product: &str, category: Option<&str>, service: Option<&str>) -> Vec<GateCase> {
    if let Some(known) = service.and_then(|service| services::device_service(product, service)) {
        return vec![datasets(known)];
    }
    let names = services::product_modules(product);
    let module_case =
        || GateCase { modules: names.iter().map(|name| (*name).to_owned()).collect(), ..GateCase::default() };
    match (category, service) {
        (_, Some(service)) => {
            let mut wanted: Vec<String> = names.iter().map(|name| format!("{name}.{service}")).collect();
            if service.contains('.') {
                wanted.push(service.to_owned());
            }
            vec![
                GateCase { datasets: wanted, ..GateCase::default() },
                // A program of that name in the module's events (a daemon that logs to syslog).
                GateCase { programs: vec![service.to_owned()], ..module_case() },
            ]
        }
        (Some("process_creation" | "file_event" | "network_connection"), None) => {
            let event_category = match category {
                Some("file_event") => "file",
                Some("network_connection") => "network",
                _ => "process",
            };
            vec![GateCase { categories: vec![event_category.to_owned()], ..module_case() }]
        }
        _ => vec![module_case()],
    }
}

fn without_product(category: Option<&str>, service: Option<&str>) -> Gate {
    match (category, service) {
        (Some("network"), service) => Gate::Cases(services::network(service)),
        (Some(category), _) => match services::category(category) {
            Some(cases) => Gate::Cases(cases),
            // Windows, Linux and macOS share the categories of Sysmon.
            None => {
                let windows = services::windows_category(category);
                if windows.is_empty() {
                    return Gate::Any;
                }
                let linux = services::linux_category(category);
                Gate::Cases(windows.into_iter().chain(linux).chain(other("macos", Some(category), None)).collect())
            }
        },
        (None, Some(service)) => {
            let mut cases = services::linux_service(service);
            if let Some(channels) = services::windows_channels(service) {
                cases.push(GateCase { channels: owned(channels), ..GateCase::default() });
            }
            cases.push(modules(&[service]));
            Gate::Cases(cases)
        }
        (None, None) => Gate::Any,
    }
}

#[cfg(test)]
mod tests;
