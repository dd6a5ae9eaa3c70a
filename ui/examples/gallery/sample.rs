//! The rows of [`super::FakeDesk`]: alerts, events, incidents and rules of two wards.
//!
//! In: which ward, and the mark its texts end in. Out: plain values, the same at each call.

use nhatle_event::{Event, Field, Seq, Stored, Timestamp, Value};
use nhatle_ui::model::{
    AlertRow, AlertStatus, Alive, Bucket, Coverage, CoverageRuleRow, Entity, Entry, EntryKind, Evidence, ExceptionRow,
    ExceptionStanding, ExceptionStep, ExceptionView, Fit, FitMatrix, FitState, ForwarderGap, ForwarderRow, Gap,
    HourCheck, IncidentRow, IncidentStatus, IncidentView, Layer, LayerState, LayerStep, Level, MatrixQuery, MatrixRule,
    MatrixSource, NewException, NewOutage, OutageRow, PackRow, Reasons, RiskPartRow, RiskRow, RuleFit, RuleFitRow,
    RuleLoad, RuleRow, RuleStanding, RuleView, SourceFit, SourceFitRow, SourceHour, SourceRow, SourceState,
    TacticColumn, TechniqueRow, UnitRow,
};
use nhatle_ui::{Answer, DeskError, Localized};

/// The moment the samples are written for: 23 November 2026, 15:30 in Viet Nam.
pub const NOW: Timestamp = Timestamp(1_795_422_600_000_000_000);
/// A minute in nanoseconds.
pub const MINUTE: i64 = 60_000_000_000;
/// The two wards.
pub const UNITS: [&str; 2] = ["bao-ninh", "nam-ly"];
const UNIT_NAMES: [&str; 2] = ["Xã Bảo Ninh", "Phường Nam Lý"];

/// A ward.
pub fn unit(at: usize) -> UnitRow {
    UnitRow { code: UNITS[at].to_owned(), name: Localized::same(UNIT_NAMES[at]) }
}

/// An entity.
pub fn entity(field: &str, value: &str) -> Entity {
    Entity { field: field.to_owned(), value: value.to_owned() }
}

/// An entry of a timeline.
pub fn entry(at: Timestamp, kind: EntryKind, actor: Option<&str>, text: &str) -> Entry {
    Entry {
        at,
        kind,
        actor: actor.map(str::to_owned),
        text: Localized::same(text),
        from: None,
        to: None,
        alert_id: None,
        event_id: None,
    }
}

/// Level, rule, title and sentence in both languages.
pub const SAMPLES: [(Level, &str, &str, &str, &str, &str); 5] = [
    (
        Level::Critical,
        "5a1c0d1e-0001",
        "Đọc bộ nhớ LSASS",
        "LSASS memory read",
        "Tiến trình rundll32.exe trên PC-TIEPDAN-03 vừa đọc bộ nhớ của LSASS để lấy mật khẩu",
        "The process rundll32.exe on PC-TIEPDAN-03 read the memory of LSASS to take passwords",
    ),
    (
        Level::High,
        "5a1c0d1e-0002",
        "Dò mật khẩu SSH thành công",
        "SSH password guessed",
        "Sau 214 lần sai, 203.0.113.77 đã đăng nhập SSH vào cong-tt bằng tài khoản vanthu",
        "After 214 wrong tries 203.0.113.77 signed in to cong-tt over SSH as vanthu",
    ),
    (
        Level::High,
        "5a1c0d1e-0003",
        "PowerShell mã hóa lệnh",
        "Encoded PowerShell",
        "Word mở PowerShell với lệnh được mã hóa trên PC-KETOAN-01",
        "Word started PowerShell with an encoded command on PC-KETOAN-01",
    ),
    (
        Level::Medium,
        "5a1c0d1e-0004",
        "Dò quét cổng thông tin",
        "Portal scanned",
        "198.51.100.23 hỏi 412 trang không có trên cổng thông tin trong 5 phút",
        "198.51.100.23 asked the portal for 412 pages that do not exist within 5 minutes",
    ),
    (
        Level::Low,
        "5a1c0d1e-0005",
        "Thêm người vào nhóm sudo",
        "Account joined sudo",
        "Tài khoản ktv01 được thêm vào nhóm sudo trên may-chu-ho-so",
        "The account ktv01 was added to the group sudo on may-chu-ho-so",
    ),
];

/// An alert of a ward.
pub fn sample_alert(at: usize, index: usize, mark: &str) -> AlertRow {
    let (level, rule, title_vi, title_en, vi, en) = SAMPLES[index];
    let minutes = i64::try_from(index * 17 + at * 5 + 3).unwrap_or(0);
    AlertRow {
        id: format!("a{at}{index}"),
        first_at: NOW.plus_nanos(-(minutes + 9) * MINUTE),
        last_at: NOW.plus_nanos(-minutes * MINUTE),
        level,
        rule_id: rule.to_owned(),
        title: Localized::new(title_vi, title_en),
        sentence: Localized::new(format!("{vi} {mark}"), format!("{en} {mark}")),
        unit: Some(unit(at)),
        entities: vec![
            entity("host.name", &format!("PC-TIEPDAN-0{index}{mark}")),
            entity("user.name", "vanthu"),
            entity("source.ip", "203.0.113.77"),
        ],
        count: [1, 214, 3, 412, 1][index],
        status: AlertStatus::New,
        verdict: None,
        owner: None,
        incident: (index == 1).then(|| u64::try_from(at).unwrap_or(0) + 1),
        tags: vec!["attack.credential-access".to_owned(), "attack.t1110".to_owned()],
        hunt: None,
        is_looked_back: false,
    }
}

/// An event of a ward.
pub fn sample_event(at: usize, index: u32, mark: &str) -> Stored {
    let time = NOW.plus_nanos(-i64::from(index) * 7 * MINUTE);
    let port = 50_000 + index;
    let message = format!("Failed password for vanthu from 203.0.113.77 port {port} ssh2 {mark}");
    let line = format!("<86>Nov 23 15:{:02}:07 cong-tt{mark} sshd[811]: {message}", 59 - index % 60);
    let mut event = Event::new(time, line.into_bytes());
    event.set(Field::HOST_NAME, format!("cong-tt{mark}"));
    event.set(Field::EVENT_DATASET, "linux.auth");
    event.set(Field::EVENT_OUTCOME, "failure");
    event.set(Field::EVENT_ACTION, "ssh_login");
    event.set(Field::USER_NAME, "vanthu");
    event.set(Field::PROCESS_NAME, "sshd");
    event.set(Field::SOURCE_IP, Value::Ip([203, 0, 113, 77].into()));
    event.set(Field::SOURCE_PORT, port);
    event.set(Field::NHATLE_UNIT, UNITS[at]);
    event.set(Field::NHATLE_SOURCE, format!("cong-tt{mark}"));
    event.set(Field::MESSAGE, message);
    let seq = Seq(u64::from(index) + 1 + 1000 * u64::try_from(at).unwrap_or(0));
    Stored { seq, committed: time.plus_nanos(30_000_000), event }
}

/// The incident of a ward.
pub fn sample_incident(at: usize, mark: &str, alerts: &[(AlertRow, Vec<Entry>)]) -> IncidentView {
    let number = u64::try_from(at).unwrap_or(0) + 1;
    let mine: Vec<_> = alerts.iter().map(|(row, _)| row).filter(|row| row.incident == Some(number)).cloned().collect();
    let opened = NOW.plus_nanos(-15 * MINUTE);
    let mut fired = entry(opened.plus_nanos(-2 * MINUTE), EntryKind::Alert, None, "");
    fired.text = mine.first().map(|row| row.sentence.clone()).unwrap_or_default();
    fired.alert_id = mine.first().map(|row| row.id.clone());
    let mut status = entry(opened.plus_nanos(3 * MINUTE), EntryKind::Status, Some("an.nguyen"), "");
    (status.from, status.to) = (Some("new".to_owned()), Some("active".to_owned()));
    let step = |layer, state, since: Option<Timestamp>| LayerStep {
        layer,
        state,
        since,
        by: since.map(|_| "nhatle".to_owned()),
        reason: String::new(),
    };
    IncidentView {
        row: IncidentRow {
            number,
            title: Localized::same(format!("Đăng nhập trái phép vào cổng thông tin {mark}")),
            status: IncidentStatus::Active,
            level: Level::High,
            verdict: None,
            owner: Some("an.nguyen".to_owned()),
            layer: Layer::OnSite,
            units: vec![unit(at)],
            alert_count: 1,
            opened_at: opened,
            changed_at: opened.plus_nanos(6 * MINUTE),
        },
        version: 3,
        layers: vec![
            step(Layer::OnSite, LayerState::Current, Some(opened)),
            step(Layer::Monitoring, LayerState::NotInvolved, None),
            step(Layer::Assessment, LayerState::NotInvolved, None),
            step(Layer::National, LayerState::NotInvolved, None),
        ],
        entities: vec![entity("source.ip", "203.0.113.77"), entity("host.name", &format!("cong-tt{mark}"))],
        alerts: mine,
        timeline: vec![
            fired,
            entry(opened, EntryKind::Opened, None, ""),
            status,
            entry(
                opened.plus_nanos(6 * MINUTE),
                EntryKind::Note,
                Some("an.nguyen"),
                &format!("Đã gọi văn thư, người này không đăng nhập từ bên ngoài. {mark}"),
            ),
        ],
    }
}

/// A rule by id.
pub fn rule(id: &str) -> Option<RuleView> {
    let (level, id, vi, en, _, _) = SAMPLES.iter().find(|sample| sample.1 == id)?;
    Some(RuleView {
        row: RuleRow {
            id: (*id).to_owned(),
            title: Localized::new(*vi, *en),
            level: *level,
            logsource: "linux / auth".to_owned(),
            tags: vec!["attack.t1110".to_owned()],
            is_correlation: *id == "5a1c0d1e-0002",
            level_written: None,
            standing: RuleStanding::On,
            pack: "builtin".to_owned(),
            license: "Apache-2.0".to_owned(),
            alert_count: 0,
            alive: Alive::unknown(),
        },
        sentence: Localized::new("{source.ip} dò mật khẩu", "{source.ip} guessed passwords"),
        description: "Many wrong passwords from one address, then a right one.".to_owned(),
        author: "nhatle".to_owned(),
        false_positives: vec!["A person who forgot the password and remembered it".to_owned()],
        questions: vec![Localized::new("Ai?", "Who?")],
        references: vec!["https://attack.mitre.org/techniques/T1110/".to_owned()],
        license_text: String::new(),
        counted_by: vec![("5a1c0d1e-0002".to_owned(), Localized::new("Dò mật khẩu", "Passwords guessed"))],
        history: Vec::new(),
        text: "title: SSH password guessed\nlogsource:\n    product: linux\n    service: sshd\ndetection:\n    \
               selection:\n        event.outcome: failure\n        process.name: sshd\n    condition: selection\n"
            .to_owned(),
    })
}

/// The exception somebody wanted.
pub fn sample_exception(number: u64, alert: &AlertRow, new: &NewException, user: &str) -> ExceptionView {
    let row = ExceptionRow {
        number,
        rule_id: alert.rule_id.clone(),
        rule_title: alert.title.clone(),
        tests: new.tests.clone(),
        unit: new.unit.as_deref().and_then(|code| UNITS.iter().position(|known| *known == code)).map(unit),
        because: new.because.clone(),
        until: Timestamp(new.until_ns),
        owner: if new.owner.is_empty() { user.to_owned() } else { new.owner.clone() },
        maker: user.to_owned(),
        opened: NOW,
        standing: ExceptionStanding::Active,
        hidden: 3,
        hidden_newest: Some(NOW),
        fault: None,
    };
    let step = ExceptionStep {
        at: NOW,
        actor: user.to_owned(),
        kind: "open",
        text: new.because.clone(),
        until: Some(Timestamp(new.until_ns)),
    };
    let sigma = format!("title: Exception {number}\nfilter:\n    rules: [{}]\n", alert.rule_id);
    ExceptionView { row, sigma, from_alert: Some(new.alert_id.clone()), known_hidden: 0, history: vec![step] }
}

/// The risk that one alert makes.
pub fn sample_risk(alert: &AlertRow, entity: &Entity) -> RiskRow {
    let part = RiskPartRow {
        rule_id: alert.rule_id.clone(),
        title: alert.title.clone(),
        level: alert.level,
        weight: 50.0,
        count: 2,
        repetition: 2.0,
        freshness: 0.5,
        newest: alert.last_at,
        points: 75.0,
    };
    RiskRow {
        entity: entity.clone(),
        unit: alert.unit.clone(),
        score: 75.0,
        importance: Some(4),
        importance_factor: 1.5,
        parts: vec![part],
    }
}

/// A matrix with one technique.
pub fn sample_coverage(rules: &[RuleRow]) -> Coverage {
    let rule = |row: &RuleRow| CoverageRuleRow {
        id: row.id.clone(),
        title: row.title.clone(),
        state: "amber",
        has_data: true,
        is_proven: false,
    };
    let rules = rules.iter().map(rule).collect();
    let technique = TechniqueRow { id: "T1110.001".to_owned(), tactic: "credential-access", state: "amber", rules };
    let name = Localized::new("Chiếm thông tin đăng nhập", "Credential Access");
    Coverage {
        columns: vec![TacticColumn { tag: "credential-access", name, techniques: vec![technique] }],
        counts: [0, 1, 0],
        modules: vec!["windows".to_owned()],
        lights: [0, 1, 0],
    }
}

/// What is loaded in the gallery.
pub fn rule_load() -> RuleLoad {
    RuleLoad {
        is_waiting: false,
        generation: 3,
        at: NOW,
        loaded: 5,
        refused: 1,
        retired: 2,
        problems: vec!["sigmahq/windows/old.yml:12:9: `|near` is not part of Sigma 2; write a correlation".to_owned()],
        packs: vec![PackRow {
            name: "sigmahq".to_owned(),
            source: "sigma_core.zip".to_owned(),
            license: "Detection Rule License (DRL) 1.1".to_owned(),
            is_off: true,
            loaded: 1384,
            refused: 1,
            retired: 2,
            sha256: "9f".repeat(32),
            imported: NOW,
            importer: "lan".to_owned(),
        }],
    }
}

fn sample_fit(at: usize) -> Fit {
    let (state, fields, hint) = match at % 3 {
        0 => (FitState::Missing, vec!["CommandLine".to_owned()], "process-command-line"),
        1 => (FitState::Unseen, vec!["LogonType".to_owned()], ""),
        _ => (FitState::Can, Vec::new(), ""),
    };
    let looked_for = fields.iter().map(|name| format!("winlog.event_data.{name}")).collect();
    Fit { state, fields, looked_for, hint }
}

/// A rule beside these sources.
pub fn sample_rule_fit(sources: &[SourceRow]) -> RuleFit {
    let row = |(at, source): (usize, &SourceRow)| SourceFitRow {
        source: source.name.clone(),
        unit: source.unit.clone(),
        last_seen: source.last_seen,
        fit: sample_fit(at),
    };
    let sources: Vec<_> = sources.iter().enumerate().map(row).collect();
    RuleFit { counts: [1, 1, 1, 0, 0], sources, hint: "" }
}

/// A source beside these rules; `None` where it is none of these sources.
pub fn sample_source_fit(sources: &[SourceRow], rules: &[RuleRow], source: &str) -> Option<SourceFit> {
    let names: Vec<String> = sources.iter().map(|row| row.name.clone()).collect();
    if source.is_empty() {
        return Some(SourceFit { sources: names, ..SourceFit::default() });
    }
    names.contains(&source.to_owned()).then(|| {
        let row = |(at, rule): (usize, &RuleRow)| RuleFitRow {
            id: rule.id.clone(),
            title: rule.title.clone(),
            level: rule.level,
            fit: sample_fit(at),
        };
        let rows = rules.iter().enumerate().map(row).collect();
        SourceFit { source: source.to_owned(), sources: names, counts: [1, 1, 1, 0, 0], rules: rows }
    })
}

/// These rules beside these sources.
pub fn sample_matrix(sources: &[SourceRow], rules: &[RuleRow], query: &MatrixQuery) -> FitMatrix {
    let shown = sources.iter().skip(query.sources_skip).take(query.sources_most);
    let row = |(at, rule): (usize, &RuleRow)| MatrixRule {
        id: rule.id.clone(),
        title: rule.title.clone(),
        level: rule.level,
        cells: (0..shown.clone().count()).map(|column| sample_fit(at + column)).collect(),
    };
    let rows: Vec<MatrixRule> = rules.iter().enumerate().map(row).collect();
    let source =
        |row: &SourceRow| MatrixSource { source: row.name.clone(), unit: row.unit.clone(), counts: [1, 1, 1, 0, 0] };
    FitMatrix {
        modules: vec!["windows".to_owned()],
        sources_total: sources.len() as u64,
        rules_total: rows.len() as u64,
        sources: shown.clone().map(source).collect(),
        rules: rows.into_iter().skip(query.rules_skip).take(query.rules_most).collect(),
    }
}

/// A ward's source; the second one is silent.
pub fn sample_source(mark: &str, unit: UnitRow, at: usize) -> SourceRow {
    SourceRow {
        name: format!("cong-tt{mark}"),
        unit: Some(unit),
        input: "syslog-tcp".to_owned(),
        received: 214_003,
        stored: 214_000,
        rejected: 1,
        duplicate: 2 + u64::try_from(at).unwrap_or(0),
        dead_lettered: 12,
        last_seen: Some(NOW.plus_nanos(-i64::try_from(at).unwrap_or(0) * 190 * MINUTE - 3_000_000_000)),
        state: if at == 0 { SourceState::Active } else { SourceState::Silent },
        reasons: sample_reasons(),
        gaps: vec![Gap { first: 4_711, last: 4_720 }],
        missing: 10,
        lost: 0,
        clock_offset_ms: Some(-412),
        misnamed: (at == 1).then(|| "fortigate → sophos".to_owned()),
        setting: Some("[[source]] 1: profile = \"fortigate\"".to_owned()),
    }
}

fn sample_reasons() -> Reasons {
    Reasons {
        rejected: [("queue full".to_owned(), 1)].into(),
        dead_lettered: [("syslog: no such date".to_owned(), 12)].into(),
        misnamed: [("fortigate → sophos".to_owned(), 3)].into(),
    }
}

/// Hours of a working day.
pub fn sample_hours((from, to): (Timestamp, Timestamp), now: Timestamp) -> Vec<SourceHour> {
    let hour = |number: i64| {
        let begin = from.plus_nanos(number * 60 * MINUTE);
        let of_day = u64::from(begin.civil_at(7 * 3600).hour);
        let received = 40 + 600 * u64::from((7..18).contains(&of_day)) + of_day * 7;
        let is_bad = of_day == 9;
        SourceHour {
            begin,
            is_open: now < begin.plus_nanos(60 * MINUTE),
            check: if now < begin.plus_nanos(90 * MINUTE) { HourCheck::Open } else { HourCheck::Agrees },
            received,
            stored: received - u64::from(is_bad),
            rejected: u64::from(is_bad),
            duplicate: 0,
            dead_lettered: 12 * u64::from(is_bad),
            reasons: if is_bad { sample_reasons() } else { Reasons::default() },
            numbers: None,
            gaps: if is_bad { vec![Gap { first: 4_711, last: 4_720 }] } else { Vec::new() },
            missing: 10 * u64::from(is_bad),
            lost: 7 * u64::from(is_bad),
            clock_offset_ms: Some(-412),
            clock_spread_ms: Some(80),
        }
    };
    let count = to.since(from) / (60 * MINUTE);
    (0..count.min(500)).map(hour).filter(|hour| hour.begin <= now).collect()
}

/// A forwarder that lost some of its low lane.
pub fn sample_forwarder() -> ForwarderRow {
    let gap = ForwarderGap { lane: 3, first: 1_201, last: 1_950, reason: "full".to_owned(), at: None };
    ForwarderRow {
        name: "phuong-dong-hai".to_owned(),
        unit: None,
        program: "0.1.0".to_owned(),
        last_contact: None,
        clock_offset_ms: Some(-1_500),
        waiting: 12,
        spool_bytes: 3 << 20,
        spool_bytes_max: 1 << 30,
        taken: 81_244,
        repeated: 300,
        lost: 750,
        dropped: 0,
        forks: 0,
        gaps: vec![gap],
    }
}

/// A day in bars.
pub(super) fn sample_buckets() -> Vec<Bucket> {
    let bar = |slot: u32| {
        let start = NOW.plus_nanos(-i64::from(60 - slot) * 24 * MINUTE);
        Bucket { start, end: start.plus_nanos(24 * MINUTE), count: u64::from((slot * slot * 7) % 41) }
    };
    (0..60).map(bar).collect()
}

/// What made a rule match, in one event.
pub fn sample_evidence(event_id: &str) -> Vec<Evidence> {
    let tests =
        [("event.outcome: failure", "event.outcome", "failure"), ("process.name: sshd", "process.name", "sshd")];
    let evidence = tests.map(|(condition, field, value)| Evidence {
        selection: "selection".to_owned(),
        condition: condition.to_owned(),
        field: field.to_owned(),
        value: value.to_owned(),
        event_id: event_id.to_owned(),
    });
    evidence.to_vec()
}

/// An outage of a source that is silent.
pub fn sample_outages(source: &SourceRow) -> Vec<OutageRow> {
    let is_silent = source.state == SourceState::Silent;
    let outage = || OutageRow {
        number: 1,
        source: Some(source.name.clone()),
        unit: None,
        from: NOW.plus_nanos(-180 * MINUTE),
        until: NOW.plus_nanos(300 * MINUTE),
        reason: format!("Thay máy, {}", source.name),
        actor: "lan".to_owned(),
    };
    is_silent.then(outage).into_iter().collect()
}

/// The number of a new outage, of a source there is.
pub fn plan(sources: &[SourceRow], new: &NewOutage) -> Answer<u64> {
    let is_known = sources.iter().any(|row| Some(&row.name) == new.source.as_ref());
    if is_known { Ok(2) } else { Err(DeskError::NotFound) }
}

/// Ends one of these outages.
pub fn end(outages: &[OutageRow], number: u64) -> Answer<()> {
    let is_known = outages.iter().any(|outage| outage.number == number);
    if is_known { Ok(()) } else { Err(DeskError::NotFound) }
}
