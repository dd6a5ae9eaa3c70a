//! The demo's recorded day through the real pipeline: eight stories are eight incidents, the twins are silent.
//!
//! In: the day that `nhatle demo` replays, in batches of its size. The pipeline, store and register are the
//! program's own, in a temporary folder. What must come out stands in the scenario files.

use std::collections::BTreeSet;
use std::sync::Arc;

use nhatle::command::{demo, serve};
use nhatle::config::{Config, ConfigFile};
use nhatle::demo::{Story, stories};
use nhatle::pipeline::{Pipeline, Shared};
use nhatle_collector::Settings;
use nhatle_collector::listen::{self, Batch};
use nhatle_engine::alert::{Alert, EntityKind};
use nhatle_engine::incident::Incident;
use nhatle_event::{Record, Timestamp};

/// Plays a day in batches of this size and returns what it left behind.
fn play(records: Vec<Record>, batch_records: usize) -> (Vec<Alert>, Vec<Incident>) {
    let folder = tempfile::tempdir().unwrap();
    let file = ConfigFile { data: folder.path().to_owned(), ..ConfigFile::default() };
    let mut config = Config::check(file).unwrap();
    config.units = demo::units();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let shared: Arc<Shared> = Arc::new(serve::open(&config, runtime.handle().clone()).unwrap());
    let settings = Settings { default_offset_s: 420 * 60, units: serve::unit_rules(&config), ..Settings::default() };
    let (sink, intake) = listen::channel(16 << 20);
    let pipeline = Pipeline::start(&shared, settings, intake).unwrap();
    let mut rest = records.into_iter();
    loop {
        let records: Vec<Record> = rest.by_ref().take(batch_records).collect();
        if records.is_empty() {
            break;
        }
        sink.blocking_send(Batch::of(records)).unwrap();
    }
    drop(sink);
    pipeline.join();
    let alerts = shared.alerts().newest_first().map(|alert| Alert::clone(alert)).collect();
    let incidents = shared.registry.read(|state| state.incidents.values().cloned().collect());
    (alerts, incidents)
}

/// A fixed day, so that a failure does not depend on when the test runs.
fn now() -> Timestamp {
    Timestamp::parse("2026-02-04T05:00:00Z", 0).unwrap()
}

fn said(incidents: &[Incident]) -> String {
    let line = |incident: &Incident| {
        let rules: BTreeSet<_> = incident.alerts.iter().map(|alert| alert.title.as_str()).collect();
        let entities: Vec<_> = incident.entities.iter().map(|one| format!("{:?}={}", one.kind, one.value)).collect();
        let (from, to) = incident.span;
        format!("#{} {from} to {to}\n   {rules:?}\n   {}\n", incident.number, entities.join(" "))
    };
    incidents.iter().map(line).collect()
}

/// Every expected rule of the story fired within one incident, which names what the story is about.
fn check_story(story: &Story, incidents: &[Incident]) {
    let rules_of = |incident: &Incident| incident.alerts.iter().map(|one| one.rule_id.clone()).collect::<BTreeSet<_>>();
    let expected: BTreeSet<String> = story.rules.iter().map(|rule| rule.id.clone()).collect();
    let names = |incident: &Incident| {
        story.entities.iter().all(|entity| {
            let kind = match entity.field.as_str() {
                "host.name" => EntityKind::Host,
                "user.name" => EntityKind::User,
                _ => EntityKind::Ip,
            };
            incident.entities.iter().any(|one| one.kind == kind && one.value == entity.value.to_lowercase())
        })
    };
    let found = incidents.iter().filter(|one| expected.is_subset(&rules_of(one)) && names(one)).count();
    assert_eq!(found, 1, "{}: incidents with all its rules and entities\n{}", story.key, said(incidents));
}

/// A Windows machine says its full name, a story its short one.
fn short(host: &str) -> String {
    host.split('.').next().unwrap_or(host).to_lowercase()
}

#[test]
fn the_demo_day_is_eight_stories_and_nothing_else() {
    the_day_up_to(now());
}

/// In the morning most stories lie on the day before, at night nearly all on this one.
#[test]
fn at_any_hour_the_last_day_is_eight_stories_and_nothing_else() {
    for hours in [-10, 9] {
        the_day_up_to(now().plus_nanos(hours * 3_600_000_000_000));
    }
}

#[track_caller]
fn the_day_up_to(now: Timestamp) {
    let (alerts, incidents) = play(demo::records(now), 256);
    let stories = stories();
    assert_eq!(stories.len(), 8);
    for story in &stories {
        check_story(story, &incidents);
        // Stories share no host, and a twin may be told on hosts of its own story: those are told by time.
        let own: BTreeSet<&str> = story.hosts.iter().map(String::as_str).collect();
        for alert in &alerts {
            let on = |host: &str| {
                alert.entities.iter().any(|one| one.kind == EntityKind::Host && short(&one.value) == short(host))
            };
            let is_twin = story.twin.hosts.iter().any(|host| !own.contains(host.as_str()) && on(host));
            let is_a_story = stories.iter().any(|other| other.hosts.iter().any(|host| on(host)));
            assert!(!is_twin || is_a_story, "{}: the twin raised {} at {}", story.key, alert.title, alert.at_ns);
            assert!(!is_twin_time(story, alert, &on), "{}: the twin raised {}", story.key, alert.title);
        }
    }
    for alert in &alerts {
        let hosts = || stories.iter().flat_map(|story| story.hosts.iter());
        let is_told = hosts().any(|host| {
            alert.entities.iter().any(|one| one.kind == EntityKind::Host && short(&one.value) == short(host))
        });
        let expected = || stories.iter().flat_map(|story| story.rules.iter());
        let is_expected = expected().any(|rule| rule.id == alert.rule_id);
        assert!(is_told || is_expected, "an alert outside the stories: {} {:?}", alert.title, alert.entities);
    }
    assert_eq!(incidents.len(), 8, "{}", said(&incidents));
}

/// Whether the alert lies on a host of the twin, within a twin's step and outside every step of the story.
fn is_twin_time(story: &Story, alert: &Alert, on: &dyn Fn(&str) -> bool) -> bool {
    const DAY_MS: i64 = 86_400_000;
    let at_ms = (alert.at_ns / 1_000_000 + 7 * 3_600_000).rem_euclid(DAY_MS);
    let within = |steps: &[nhatle::demo::Step]| {
        steps.iter().filter(|step| on(&step.host)).any(|step| {
            let start = i64::try_from(step.at_ms().unwrap()).unwrap();
            let length = i64::try_from(step.times * step.every_ms).unwrap() + 5_000;
            (start..start + length).contains(&at_ms)
        })
    };
    within(&story.twin.steps) && !within(&story.steps)
}

#[test]
fn how_the_day_is_cut_into_batches_changes_no_alert_and_no_incident() {
    let day = || demo::records(now());
    let told = |(alerts, incidents): (Vec<Alert>, Vec<Incident>)| {
        // Ids name places in one store, where alerts stand between the events: another run has others.
        let alerts: BTreeSet<(String, i64)> = alerts.into_iter().map(|one| (one.rule_id, one.at_ns)).collect();
        let incidents: BTreeSet<BTreeSet<(String, i64)>> = incidents
            .into_iter()
            .map(|one| one.alerts.into_iter().map(|alert| (alert.rule_id, alert.at_ns)).collect())
            .collect();
        (alerts, incidents)
    };
    assert_eq!(told(play(day(), 97)), told(play(day(), 5_000)));
}
