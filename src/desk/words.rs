//! The engine's words as the pages' words: levels, layers, verdicts, rules, entities.

use std::sync::Arc;

use nhatle_engine::alert::{Alert, Entity};
use nhatle_engine::incident::{AlertRef, Disposition, Layer as EngineLayer, Status};
use nhatle_rules::{Level as RuleLevel, Meta, RuleSet};
use nhatle_ui::Localized;
use nhatle_ui::model::{self, Alive, IncidentStatus, Layer, Level, RuleRow, RuleView, Verdict};

pub(super) fn level(level: RuleLevel) -> Level {
    match level {
        RuleLevel::Informational => Level::Informational,
        RuleLevel::Low => Level::Low,
        RuleLevel::Medium => Level::Medium,
        RuleLevel::High => Level::High,
        RuleLevel::Critical => Level::Critical,
    }
}

pub(super) fn layer(layer: EngineLayer) -> Layer {
    match layer {
        EngineLayer::OnSite => Layer::OnSite,
        EngineLayer::Professional => Layer::Monitoring,
        EngineLayer::Independent => Layer::Assessment,
        EngineLayer::National => Layer::National,
    }
}

pub(super) fn engine_layer(layer: Layer) -> EngineLayer {
    match layer {
        Layer::OnSite => EngineLayer::OnSite,
        Layer::Monitoring => EngineLayer::Professional,
        Layer::Assessment => EngineLayer::Independent,
        Layer::National => EngineLayer::National,
    }
}

pub(super) fn verdict(disposition: Disposition) -> Verdict {
    match disposition {
        Disposition::TruePositive => Verdict::TruePositive,
        Disposition::BenignPositive => Verdict::BenignPositive,
        Disposition::FalsePositive => Verdict::FalsePositive,
        Disposition::Undetermined => Verdict::Undetermined,
    }
}

pub(super) fn disposition(verdict: Verdict) -> Disposition {
    match verdict {
        Verdict::TruePositive => Disposition::TruePositive,
        Verdict::BenignPositive => Disposition::BenignPositive,
        Verdict::FalsePositive => Disposition::FalsePositive,
        Verdict::Undetermined => Disposition::Undetermined,
    }
}

pub(super) fn status(status: Status) -> IncidentStatus {
    match status {
        Status::New => IncidentStatus::New,
        Status::Active => IncidentStatus::Active,
        Status::Closed => IncidentStatus::Closed,
    }
}

pub(super) fn entity(entity: &Entity) -> model::Entity {
    model::Entity { field: entity.kind.field().name().to_owned(), value: entity.value.clone() }
}

pub(super) fn localized(english: &str, vietnamese: Option<&str>) -> Localized {
    Localized::new(vietnamese.unwrap_or_default(), english)
}

pub(super) fn title(alert: &Alert) -> Localized {
    localized(&alert.title, alert.title_vi.as_deref())
}

pub(super) fn ref_title(alert: &AlertRef) -> Localized {
    localized(&alert.title, alert.title_vi.as_deref())
}

pub(super) fn rule_row(meta: &Meta, is_correlation: bool, alert_count: u64, alive: Alive) -> RuleRow {
    let words = ["category", "product", "service"].iter().zip(&meta.logsource);
    let logsource: Vec<String> =
        words.filter_map(|(word, value)| value.as_ref().map(|value| format!("{word}: {value}"))).collect();
    RuleRow {
        id: meta.id.clone(),
        title: localized(&meta.title, meta.title_vi.as_deref()),
        level: level(meta.level),
        logsource: logsource.join(", "),
        tags: meta.tags.clone(),
        is_correlation,
        alert_count,
        alive,
    }
}

fn questions(meta: &Meta) -> Vec<Localized> {
    meta.questions_vi.iter().zip(&meta.questions_en).map(|(vi, en)| Localized::new(vi.as_str(), en.as_str())).collect()
}

pub(super) fn rule_view(set: &RuleSet, id: &str, alert_count: u64, alive: Alive) -> Option<RuleView> {
    let (meta, is_correlation) = find(set, id)?;
    Some(RuleView {
        row: rule_row(meta, is_correlation, alert_count, alive),
        description: meta.description.clone(),
        author: meta.author.clone().unwrap_or_default(),
        false_positives: meta.false_positives.clone(),
        questions: questions(meta),
        references: meta.references.clone(),
        text: meta.text.to_string(),
    })
}

/// What a rule or correlation says of itself.
pub(super) fn meta_of<'a>(set: &'a RuleSet, id: &str) -> Option<&'a Arc<Meta>> {
    find(set, id).map(|(meta, _)| meta)
}

/// A rule, or a correlation (`true`), by id.
fn find<'a>(set: &'a RuleSet, id: &str) -> Option<(&'a Arc<Meta>, bool)> {
    let rules = set.rules.iter().map(|rule| (&rule.meta, false));
    let correlations = set.correlations.iter().map(|correlation| (&correlation.meta, true));
    rules.chain(correlations).find(|(meta, _)| meta.id == id)
}
