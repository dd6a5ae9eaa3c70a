//! Which rules are off, and which have another level: what people decided, applied while a set is put together.
//!
//! In: parsed rules and correlations, and [`Switches`]. Out: what runs stays; what does not is set aside, as
//! [`Off`]. A rule that is off raises no alerts and runs on only where a correlation that is on counts it. A rule
//! that a correlation keeps silent stays silent when that correlation is switched off, or an alert of many events
//! would become an alert for each; switched on by itself it alerts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::ast;
use crate::compile::correlation::written_names;
use crate::set::{Level, Meta};

/// What was decided about one rule; what is `None` was not decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// On or off.
    pub is_on: Option<bool>,
    /// The level in place of the one written.
    pub level: Option<Level>,
}

/// What was decided about rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// By id of the rule, lower case.
    pub rules: BTreeMap<String, Switch>,
    /// Folders whose rules are off unless `rules` says otherwise.
    pub off_folders: Vec<PathBuf>,
}

impl Switches {
    fn of(&self, meta: &Meta) -> Switch {
        self.rules.get(&meta.id).copied().unwrap_or_default()
    }

    /// Whether a rule is on.
    pub fn is_on(&self, meta: &Meta) -> bool {
        let of_folder = || !self.off_folders.iter().any(|folder| meta.file.starts_with(folder));
        self.of(meta).is_on.unwrap_or_else(of_folder)
    }

    /// Gives a rule the level that was decided.
    pub(crate) fn set_level(&self, meta: &mut Meta) {
        if let Some(level) = self.of(meta).level.filter(|level| *level != meta.level) {
            meta.level_written = Some(meta.level);
            meta.level = level;
        }
    }
}

/// A rule or correlation that is switched off and does not run.
#[derive(Clone, Debug)]
pub struct Off {
    /// What it says of itself.
    pub meta: Arc<Meta>,
    /// It is a correlation.
    pub is_correlation: bool,
}

/// What [`set_aside`] found.
#[derive(Default)]
pub(crate) struct Aside {
    /// What does not run.
    pub(crate) off: Vec<Off>,
    /// Ids of what is off and runs on, because a correlation counts it.
    pub(crate) feeding: BTreeSet<String>,
    /// Ids and names that correlations set aside count without letting them alert.
    pub(crate) silenced: Vec<String>,
    /// Ids that somebody switched on: these alert, even if a correlation that is off would count them.
    pub(crate) wanted: Vec<String>,
}

/// Takes out what is off and not counted by anything that is on.
pub(crate) fn set_aside<T>(
    rules: &mut Vec<(ast::Rule, T)>,
    correlations: &mut Vec<ast::Correlation>,
    switches: &Switches,
) -> Aside {
    let mut aside = Aside::default();
    if *switches == Switches::default() {
        return aside;
    }
    rules.iter_mut().for_each(|(rule, _)| switches.set_level(&mut rule.meta));
    correlations.iter_mut().for_each(|correlation| switches.set_level(&mut correlation.meta));
    let counted = counted(correlations, switches);
    let is_counted = |meta: &Meta| {
        counted.contains(&meta.id) || meta.name.as_ref().is_some_and(|name| counted.contains(name.as_str()))
    };
    let mut runs = |meta: &Meta, is_correlation: bool| {
        if switches.is_on(meta) {
            return true;
        }
        if is_counted(meta) {
            aside.feeding.insert(meta.id.clone());
            return true;
        }
        aside.off.push(Off { meta: Arc::new(meta.clone()), is_correlation });
        false
    };
    rules.retain(|(rule, _)| runs(&rule.meta, false));
    let mut silenced = Vec::new();
    correlations.retain(|correlation| {
        let is_running = runs(&correlation.meta, true);
        if !is_running && !correlation.generates {
            silenced.extend(written_names(correlation));
        }
        is_running
    });
    aside.silenced = silenced;
    let is_wanted = |(id, switch): (&String, &Switch)| (switch.is_on == Some(true)).then(|| id.clone());
    aside.wanted = switches.rules.iter().filter_map(is_wanted).collect();
    aside
}

/// Ids and names of what correlations that are on count, however many correlations lie between.
fn counted(correlations: &[ast::Correlation], switches: &Switches) -> HashSet<String> {
    let mut by_name: HashMap<&str, &ast::Correlation> = HashMap::new();
    for correlation in correlations {
        by_name.insert(&correlation.meta.id, correlation);
        if let Some(name) = &correlation.meta.name {
            by_name.entry(name).or_insert(correlation);
        }
    }
    let mut counted = HashSet::new();
    let on = correlations.iter().filter(|correlation| switches.is_on(&correlation.meta));
    let mut waiting: Vec<String> = on.flat_map(written_names).collect();
    while let Some(name) = waiting.pop() {
        let folded = name.to_lowercase();
        if let Some(inner) = by_name.get(name.as_str()).or_else(|| by_name.get(folded.as_str()))
            && !counted.contains(&name)
        {
            waiting.extend(written_names(inner));
        }
        counted.insert(folded);
        counted.insert(name);
    }
    counted
}
