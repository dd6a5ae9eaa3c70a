//! The engine's words as the pages' words: levels, layers, verdicts, rules, entities.

use std::sync::Arc;

use nhatle_engine::alert::{Alert, Entity};
use nhatle_engine::incident::{AlertRef, Disposition, Layer as EngineLayer, Status};
use nhatle_rules::{Level as RuleLevel, Meta, RuleSet};
use nhatle_ui::Localized;
use nhatle_ui::model::{self, IncidentStatus, Layer, Level, Verdict};

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

/// The first questions of a rule, in both languages.
pub(super) fn questions(meta: &Meta) -> Vec<Localized> {
    meta.questions_vi.iter().zip(&meta.questions_en).map(|(vi, en)| Localized::new(vi.as_str(), en.as_str())).collect()
}

/// What a rule or correlation says of itself.
pub(super) fn meta_of<'a>(set: &'a RuleSet, id: &str) -> Option<&'a Arc<Meta>> {
    set.metas().map(|(meta, _)| meta).find(|meta| meta.id == id)
}
