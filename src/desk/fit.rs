//! Which rules can match what which sources send, for pages.
//!
//! In: what was learned of sources, the rules in force. Out: a rule with the sources of the viewer's units, a source
//! with the rules. Nobody's lock is held while rules are looked at.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use nhatle_engine::fit::{Expressions, Fit as Held, Hint, SourceSeen, fit_all, fit_of};
use nhatle_engine::reference::INTEL;
use nhatle_event::{Field, Timestamp};
use nhatle_rules::{Meta, Referred, RuleId, RuleSet};
use nhatle_ui::model::{
    Fit, FitMatrix, FitState, MatrixQuery, MatrixRule, MatrixSource, RuleFit, RuleFitRow, SourceFit, SourceFitRow,
};
use nhatle_ui::{Answer, DeskError, Viewer};
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};

use super::{LiveDesk, may_see, words};
use crate::canary::coverage::alerting;

/// How many rows a page or an answer gives.
const ROWS_MAX: usize = 500;

/// For so many sources it is kept which rules can match them.
const KEPT_MAX: usize = 32;
/// For so long, where the source goes on sending: what a source sends changes slowly.
const KEPT_NS: i64 = 60_000_000_000;

/// All rules, held against one source.
type Column = Vec<(Referred, Held)>;

/// What was looked at lately, so that the next page, or the next person, need not wait for it.
#[derive(Default)]
pub(super) struct Kept {
    columns: Mutex<VecDeque<KeptColumn>>,
    expressions: Expressions,
}

struct KeptColumn {
    source: String,
    /// When the newest event was received of those it was learned from.
    newest: Timestamp,
    set: Arc<RuleSet>,
    made: Timestamp,
    column: Arc<Column>,
}

impl Kept {
    fn column(&self, name: &str, source: &SourceSeen, set: &Arc<RuleSet>, now: Timestamp) -> Arc<Column> {
        let lock = || self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |kept: &KeptColumn| {
            Arc::ptr_eq(&kept.set, set) && (kept.newest == source.newest || now.since(kept.made) < KEPT_NS)
        };
        let known = lock().iter().find(|kept| kept.source == name && is_good(kept)).map(|kept| kept.column.clone());
        // Not under the lock: others look up theirs meanwhile.
        known.unwrap_or_else(|| {
            let column = Arc::new(fit_all(set, source, &self.expressions));
            let mut all = lock();
            all.retain(|kept| kept.source != name && Arc::ptr_eq(&kept.set, set));
            while KEPT_MAX <= all.len() {
                all.pop_front();
            }
            let (source, newest) = (name.to_owned(), source.newest);
            all.push_back(KeptColumn { source, newest, set: set.clone(), made: now, column: column.clone() });
            column
        })
    }
}

/// A rule with the sources.
pub(super) fn rule(desk: &LiveDesk, viewer: &Viewer, id: &str) -> Answer<RuleFit> {
    let set = desk.shared.rules();
    let single = (0u32..).zip(&set.rules).find(|(_, rule)| rule.meta.id == id);
    let which = match single {
        Some((number, _)) => Some(Referred::Rule(RuleId(number))),
        None => alerting(&set).find(|(_, meta)| meta.id == id).map(|(which, _)| which),
    };
    // A rule that is off, or one that is not there: the page of the rule itself says which.
    let Some(which) = which else { return Ok(RuleFit::default()) };
    let limit = desk.limit(viewer);
    let (mut answer, lists) = (RuleFit::default(), Lists::of(desk));
    let sources = desk.shared.seen().sources();
    for (name, source) in sources.iter().filter(|(_, source)| may_see(&limit, &unit_of(source))) {
        let (fit, place) = fit(fit_of(&set, which, source, &desk.fits.expressions), lists);
        answer.counts[place] += 1;
        if fit.state == FitState::NoSource {
            continue;
        }
        answer.sources.push(SourceFitRow {
            source: name.to_string(),
            unit: source.unit.as_deref().map(|code| desk.unit_row(code)),
            last_seen: Some(source.newest).filter(|at| *at != Timestamp::default()),
            fit,
        });
    }
    answer.sources.sort_by_key(|row| std::cmp::Reverse(order(row.fit.state)));
    answer.sources.truncate(ROWS_MAX);
    if let Held::NoSource(hint) = fit_of(&set, which, &SourceSeen::default(), &desk.fits.expressions) {
        answer.hint = hint.map_or("", Hint::name);
    }
    Ok(answer)
}

/// A source with the rules.
pub(super) fn source(desk: &LiveDesk, viewer: &Viewer, name: &str) -> Answer<SourceFit> {
    let limit = desk.limit(viewer);
    let sources = desk.shared.seen().sources();
    let sources: Vec<_> = sources.into_iter().filter(|(_, source)| may_see(&limit, &unit_of(source))).collect();
    let mut answer = SourceFit {
        source: name.to_owned(),
        sources: sources.iter().map(|(name, _)| name.to_string()).collect(),
        ..SourceFit::default()
    };
    if name.is_empty() {
        return Ok(answer);
    }
    let (_, source) = sources.iter().find(|(known, _)| known == name).ok_or(DeskError::NotFound)?;
    let (set, lists) = (desk.shared.rules(), Lists::of(desk));
    for (which, held) in desk.fits.column(name, source, &set, desk.now()).iter() {
        let Some(meta) = meta_of(&set, *which) else { continue };
        let (fit, place) = fit(held.clone(), lists);
        answer.counts[place] += 1;
        if fit.state != FitState::NoSource {
            answer.rules.push(RuleFitRow {
                id: meta.id.clone(),
                title: words::localized(&meta.title, meta.title_vi.as_deref()),
                level: words::level(meta.level),
                fit,
            });
        }
    }
    answer.rules.sort_by(|left, right| {
        let key = |row: &RuleFitRow| (order(row.fit.state), std::cmp::Reverse(row.level));
        key(left).cmp(&key(right)).then_with(|| left.title.vi.cmp(&right.title.vi))
    });
    answer.rules.truncate(ROWS_MAX);
    Ok(answer)
}

/// Rules beside sources. Sources are looked at side by side on all cores; only those that are shown.
pub(super) fn matrix(desk: &LiveDesk, viewer: &Viewer, query: &MatrixQuery) -> FitMatrix {
    let limit = desk.limit(viewer);
    let mut sources = desk.shared.seen().sources();
    sources.retain(|(_, source)| may_see(&limit, &unit_of(source)));
    let modules: BTreeSet<String> = sources.iter().flat_map(|(_, source)| modules_of(source)).collect();
    if let Some(wanted) = &query.module {
        sources.retain(|(_, source)| modules_of(source).any(|module| module == *wanted));
    }
    sources.sort_by(|left, right| left.0.cmp(&right.0));
    let sources_total = sources.len() as u64;
    let shown: Vec<_> = sources.into_iter().skip(query.sources_skip).take(query.sources_most).collect();
    let (set, lists) = (desk.shared.rules(), Lists::of(desk));
    let columns: Vec<Arc<Column>> =
        shown.par_iter().map(|(name, source)| desk.fits.column(name, source, &set, desk.now())).collect();
    let mut counts = vec![[0u64; 5]; columns.len()];
    let mut rows: Vec<(u8, &Meta, usize)> = Vec::new();
    for (place, (which, _)) in columns.first().into_iter().flat_map(|column| column.iter()).enumerate() {
        let Some(meta) = alerting_meta_of(&set, *which).filter(|meta| has_text(meta, &query.text)) else { continue };
        let states = || columns.iter().filter_map(|column| column.get(place)).map(|(_, held)| state_of(held));
        for (count, (_, at)) in counts.iter_mut().zip(states()) {
            count[at] += 1;
        }
        let worst = states().map(|(state, _)| order(state)).min().unwrap_or_default();
        let is_wanted = match query.state {
            None => worst < order(FitState::NoSource),
            Some(FitState::NoSource) => worst == order(FitState::NoSource),
            Some(wanted) => states().any(|(state, _)| state == wanted),
        };
        if is_wanted {
            rows.push((worst, meta, place));
        }
    }
    rows.sort_by(|left, right| {
        let title = |meta: &Meta| meta.title_vi.clone().unwrap_or_else(|| meta.title.clone());
        let key = |row: &(u8, &Meta, usize)| (row.0, std::cmp::Reverse(words::level(row.1.level)));
        key(left).cmp(&key(right)).then_with(|| title(left.1).cmp(&title(right.1)))
    });
    let rule = |(_, meta, place): &(u8, &Meta, usize)| MatrixRule {
        id: meta.id.clone(),
        title: words::localized(&meta.title, meta.title_vi.as_deref()),
        level: words::level(meta.level),
        cells: columns.iter().filter_map(|column| Some(fit(column.get(*place)?.1.clone(), lists).0)).collect(),
    };
    FitMatrix {
        modules: modules.into_iter().collect(),
        sources_total,
        rules_total: rows.len() as u64,
        rules: rows.iter().skip(query.rules_skip).take(query.rules_most).map(rule).collect(),
        sources: shown
            .iter()
            .zip(counts)
            .map(|((name, source), counts)| MatrixSource {
                source: name.to_string(),
                unit: source.unit.as_deref().map(|code| desk.unit_row(code)),
                counts,
            })
            .collect(),
    }
}

/// The kinds of system a source sends of.
fn modules_of(source: &SourceSeen) -> impl Iterator<Item = String> {
    source.kinds().filter_map(|kind| kind.facts.text(Field::EVENT_MODULE)).map(str::to_owned)
}

fn has_text(meta: &Meta, wanted: &str) -> bool {
    let wanted = wanted.to_lowercase();
    let held = [Some(meta.title.as_str()), meta.title_vi.as_deref(), Some(meta.id.as_str())];
    wanted.is_empty() || held.into_iter().flatten().any(|held| held.to_lowercase().contains(&wanted))
}

fn unit_of(source: &SourceSeen) -> Option<String> {
    source.unit.as_ref().map(ToString::to_string)
}

fn meta_of(set: &RuleSet, which: Referred) -> Option<&Meta> {
    Some(match which {
        Referred::Rule(rule) => &*set.rules.get(rule.0 as usize)?.meta,
        Referred::Correlation(one) => &*set.correlations.get(one.0 as usize)?.meta,
    })
}

/// Worst first; a source that sends no such events is not shown.
fn order(state: FitState) -> u8 {
    match state {
        FitState::NoSource => 4,
        FitState::Missing => 0,
        FitState::Indicators => 1,
        FitState::Unseen => 2,
        FitState::Can => 3,
    }
}

/// The rule, where it raises alerts; one that only feeds a correlation is not anybody's to repair.
fn alerting_meta_of(set: &RuleSet, which: Referred) -> Option<&Meta> {
    let is_alerting = match which {
        Referred::Rule(rule) => set.rules.get(rule.0 as usize)?.is_alerting,
        Referred::Correlation(one) => set.correlations.get(one.0 as usize)?.is_alerting,
    };
    meta_of(set, which).filter(|_| is_alerting)
}

/// The word for what the engine found, and its place among the counts.
fn state_of(held: &Held) -> (FitState, usize) {
    match held {
        Held::Missing { .. } => (FitState::Missing, 0),
        Held::Unseen { .. } => (FitState::Unseen, 1),
        Held::Can => (FitState::Can, 2),
        Held::NoSource(_) => (FitState::NoSource, 3),
        // Behind the others: their places are known to whoever asks by the API.
        Held::Indicators { .. } => (FitState::Indicators, 4),
    }
}

/// What the engine found, and its place among the counts.
fn fit(held: Held, lists: Lists) -> (Fit, usize) {
    let (state, place) = state_of(&held);
    let (fields, looked_for, hint) = match held {
        Held::Missing { fields, looked_for, hint } => (fields, looked_for, hint.map_or("", Hint::name)),
        Held::Indicators { fields } => (fields, Vec::new(), lists.hint()),
        Held::Unseen { fields } => (fields, Vec::new(), ""),
        Held::Can => (Vec::new(), Vec::new(), ""),
        Held::NoSource(hint) => (Vec::new(), Vec::new(), hint.map_or("", Hint::name)),
    };
    (Fit { state, fields, looked_for, hint }, place)
}

/// Whether lists of indicators are in force.
#[derive(Clone, Copy)]
enum Lists {
    None,
    Some,
}

impl Lists {
    fn of(desk: &LiveDesk) -> Lists {
        let now = desk.now();
        let has_some = desk.shared.registry.read(|state| {
            let lists = state.references.iter().filter(|(name, _)| name.starts_with(INTEL)).map(|(_, list)| list);
            lists.into_iter().any(|list| list.file.is_some() && list.until().is_none_or(|until| now < until))
        });
        if has_some { Lists::Some } else { Lists::None }
    }

    /// The word of a message.
    fn hint(self) -> &'static str {
        match self {
            Lists::None => "no-indicators",
            Lists::Some => "no-indicator-hit",
        }
    }
}
