//! Rules changed on a running server: in mid-window, by file and by signal; nothing is said twice, nothing missed.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, request, token, wait_for};

/// Single failures feed the correlation; a marker alerts by itself, so that a test knows how far rules looked.
fn rules(threshold: u32) -> String {
    format!(
        "title: Failed sign-in\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b01\nname: failed\nlevel: low\nlogsource: {{product: windows, service: security}}\n\
         detection: {{s: {{EventID: 4625}}, condition: s}}\n---\n\
         title: Many failed sign-ins\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b02\nlevel: high\n\
         correlation: {{type: event_count, rules: [failed], group-by: [user.name], timespan: 10m, condition: {{gte: {threshold}}}}}\n---\n\
         title: Marker\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b03\nlevel: low\nlogsource: {{product: windows, service: security}}\n\
         detection: {{s: {{EventID: 4634}}, condition: s}}\nnhatle: {{suppress_s: 1, entity: [user.name]}}\n"
    )
}

struct City {
    server: Server,
    push: String,
    admin: String,
    /// Seconds on the clock of the events.
    second: u32,
}

impl City {
    fn start(data: &Path, rules: &Path) -> City {
        let bearer = |name: &str, role: &str| format!("Bearer {}", token(data, name, role, None));
        let (push, admin) = (bearer("a", "ingest"), bearer("b", "admin"));
        City { server: Server::start(data, &["--rules", rules.to_str().unwrap()]), push, admin, second: 0 }
    }

    fn send(&mut self, code: u32, user: &str, count: u32) {
        let mut body = String::new();
        for _ in 0..count {
            self.second += 1;
            let at = format!("2026-02-03T04:{:02}:{:02}Z", self.second / 60, self.second % 60);
            let event = json!({"@timestamp": at, "EventID": code, "Channel": "Security", "Computer": "may-01", "TargetUserName": user});
            body.push_str(&format!("{event}\n"));
        }
        let headers = [("Authorization", self.push.as_str())];
        let answer = request(self.server.http, "POST", "/api/v1/events", &headers, body.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    fn alerts(&self) -> Vec<Value> {
        let headers = [("Authorization", self.admin.as_str())];
        let answer = request(self.server.http, "GET", "/api/v1/alerts?limit=500", &headers, b"").unwrap();
        answer.json()["alerts"].as_array().unwrap().clone()
    }

    fn of(&self, rule: &str, user: &str) -> Vec<Value> {
        let is_of =
            |alert: &Value| alert["rule_id"].as_str().unwrap().ends_with(rule) && alert.to_string().contains(user);
        self.alerts().into_iter().filter(is_of).collect()
    }

    /// Waits until rules have looked at everything sent so far.
    fn settle(&mut self, name: &str) {
        self.send(4634, name, 1);
        wait_for(name, PATIENCE, || !self.of("7b03", name).is_empty());
    }

    fn loads(&self) -> usize {
        self.server.errors().matches("rules loaded").count()
    }

    fn reload(&self) {
        let before = self.loads();
        assert!(Command::new("kill").args(["-HUP", &self.server.pid().to_string()]).status().unwrap().success());
        wait_for("a load", PATIENCE, || before < self.loads());
    }
}

#[test]
fn a_reload_in_mid_window_neither_repeats_nor_misses_an_alert() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("rules.yml"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(&file, rules(5)).unwrap();
    let mut city = City::start(&data, &file);

    // Another rule changes; the window of this one goes on.
    city.send(4625, "an", 3);
    std::fs::write(&file, rules(5).replace("title: Marker", "title: Mark")).unwrap();
    city.reload();
    city.send(4625, "an", 1);
    city.settle("mot");
    assert_eq!(city.of("7b02", "\"an\""), Vec::<Value>::new(), "four are not five");
    city.send(4625, "an", 1);
    wait_for("the alert of five", PATIENCE, || city.of("7b02", "\"an\"").len() == 1);
    assert_eq!(city.of("7b02", "\"an\"")[0]["count"], 5);
    assert!(city.alerts().iter().any(|alert| alert["title"]["en"] == "Mark"), "the new title is in force");

    // Just after it fired: what was said is not said again.
    city.reload();
    city.send(4625, "an", 2);
    city.settle("hai");
    assert_eq!(city.of("7b02", "\"an\"").len(), 1);

    // The rule itself changes: it begins anew, filled with what is stored.
    city.send(4625, "binh", 4);
    std::fs::write(&file, rules(6)).unwrap();
    city.reload();
    city.send(4625, "binh", 1);
    city.settle("ba");
    assert_eq!(city.of("7b02", "\"binh\""), Vec::<Value>::new(), "five are not six");
    city.send(4625, "binh", 1);
    wait_for("the alert of six", PATIENCE, || city.of("7b02", "\"binh\"").len() == 1);
    assert_eq!(city.of("7b02", "\"binh\"")[0]["count"], 6);

    // A bad document is said, and the others go on.
    std::fs::write(
        &file,
        rules(6) + "---\ntitle: broken\nlogsource: {product: linux}\ndetection: {condition: nobody}\n",
    )
    .unwrap();
    city.reload();
    assert!(city.server.errors().contains("rules.yml:22:12: "), "{}", city.server.errors());
    city.send(4625, "chi", 6);
    wait_for("the alert of the others", PATIENCE, || city.of("7b02", "\"chi\"").len() == 1);
    city.settle("bon");
    assert_eq!(city.of("7b02", "\"an\"").len() + city.of("7b02", "\"binh\"").len(), 2);
    city.server.stop();
}

#[test]
fn a_changed_file_is_noticed_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (data, rules_folder) = (folder.path().join("data"), folder.path().join("rules"));
    std::fs::create_dir(&data).unwrap();
    std::fs::create_dir(&rules_folder).unwrap();
    std::fs::write(rules_folder.join("a.yml"), rules(5)).unwrap();
    let mut city = City::start(&data, &rules_folder);
    let more = "title: Another\nid: 6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b09\nlogsource: {product: windows, service: security}\n\
                detection: {s: {EventID: 4720}, condition: s}\n";
    std::fs::write(rules_folder.join("b.yml"), more).unwrap();
    wait_for("a load", PATIENCE, || 0 < city.loads());
    city.send(4720, "an", 1);
    wait_for("its alert", PATIENCE, || city.of("7b09", "an").len() == 1);
    city.server.stop();
}

#[test]
fn a_rule_that_is_switched_off_raises_nothing_and_is_still_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("rules.yml"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(&file, rules(2)).unwrap();
    let mut city = City::start(&data, &file);
    let (counted, marker) = ("6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b01", "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b03");
    let decide = |city: &City, id: &str, body: Value| {
        let headers = [("Authorization", city.admin.as_str())];
        let path = format!("/api/v1/rules/{id}");
        request(city.server.http, "PATCH", &path, &headers, body.to_string().as_bytes()).unwrap()
    };
    let reload = |city: &City| {
        let headers = [("Authorization", city.admin.as_str())];
        let answer = request(city.server.http, "POST", "/api/v1/rules/reload", &headers, b"").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    city.settle("mot");
    assert_eq!(decide(&city, counted, json!({"kind": "disable", "reason": " "})).status, 422, "a reason is needed");
    let off = decide(&city, counted, json!({"kind": "disable", "reason": "quá ồn"}));
    assert_eq!((off.status, off.json()["history"][0]["actor"].as_str()), (200, Some("token:b")), "{off:?}");
    let level = decide(&city, marker, json!({"kind": "set_level", "level": "critical", "reason": "để thử"}));
    assert_eq!((&level.json()["level"], &level.json()["level_written"]), (&json!("critical"), &json!("low")));
    assert!(1 < reload(&city)["generation"].as_u64().unwrap());
    let standing = |city: &City, id: &str| {
        let headers = [("Authorization", city.admin.as_str())];
        request(city.server.http, "GET", &format!("/api/v1/rules/{id}"), &headers, b"").unwrap().json()["standing"]
            .clone()
    };
    assert_eq!(standing(&city, counted), "feeding");
    city.send(4625, "an", 2);
    wait_for("the correlation", PATIENCE, || city.of("7b02", "\"an\"").len() == 1);
    city.settle("hai");
    assert_eq!(city.of("7b03", "hai")[0]["level"], "critical");

    // The correlation off: nothing counts the rule, and both are quiet.
    assert_eq!(
        decide(&city, "6f0a1df5-20c7-4a3b-9a3e-4c0d8f1b7b02", json!({"kind": "disable", "reason": "x"})).status,
        200
    );
    reload(&city);
    assert_eq!(standing(&city, counted), "off");
    city.send(4625, "binh", 5);
    city.settle("ba");
    assert_eq!(city.of("7b02", "\"binh\"").len() + city.of("7b01", "\"binh\"").len(), 0);
    city.server.stop();

    // What was decided is in the register, not in memory.
    city.server = Server::start(&data, &["--rules", file.to_str().unwrap()]);
    assert_eq!(standing(&city, counted), "off");
    city.send(4625, "chi", 5);
    city.settle("bon");
    assert_eq!(city.of("7b02", "\"chi\"").len() + city.of("7b01", "\"chi\"").len(), 0);
    assert_eq!(decide(&city, counted, json!({"kind": "enable"})).status, 200);
    reload(&city);
    city.send(4625, "dung", 1);
    wait_for("it alerts by itself", PATIENCE, || city.of("7b01", "\"dung\"").len() == 1);
    city.server.stop();
}
