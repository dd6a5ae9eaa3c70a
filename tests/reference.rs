//! Assets, places and indicators from outside: the command line, a running server, and looking back after `kill -9`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use nhatle_collector::enrich::mmdb_made::{Node, database};
use nhatle_event::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, request, run, stdout, token, wait_for};

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    std::fs::write(folder.join(name), text).unwrap();
    path(folder, name)
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A running server, and what a test does with it.
struct City {
    server: Server,
    push: String,
    admin: String,
}

impl City {
    fn start(data: &Path, config: Option<&str>) -> City {
        std::fs::create_dir_all(data).unwrap();
        let bearer = |name: &str, role: &str, unit| format!("Bearer {}", token(data, name, role, unit));
        let (push, admin) = (bearer("push", "ingest", Some("DH01")), bearer("admin", "admin", None));
        City { server: City::server(data, config), push, admin }
    }

    fn server(data: &Path, config: Option<&str>) -> Server {
        let more: Vec<&str> = config.map_or_else(Vec::new, |config| vec!["--config", config]);
        Server::start(data, &more)
    }

    fn push(&self, events: &[Value]) {
        let mut body = Vec::new();
        events.iter().for_each(|event| writeln!(body, "{event}").unwrap());
        let answer =
            request(self.server.http, "POST", "/api/v1/events", &[("Authorization", &self.push)], &body).unwrap();
        assert_eq!((answer.status, &answer.json()["dead_lettered"]), (200, &json!(0)), "{}", answer.body);
    }

    fn get(&self, path: &str) -> Value {
        request(self.server.http, "GET", path, &[("Authorization", &self.admin)], b"").unwrap().json()
    }

    fn alerts(&self) -> Vec<Value> {
        self.get("/api/v1/alerts?limit=500")["alerts"].as_array().unwrap().clone()
    }

    /// Waits until the server says this in its log so often.
    fn said(&self, what: &str, times: usize) {
        let is_said = || times <= self.server.errors().matches(what).count();
        let began = std::time::Instant::now();
        while !is_said() {
            assert!(began.elapsed() < PATIENCE, "not said: {what}; {}", self.server.errors());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn event(seconds_ago: i64, more: &Value) -> Value {
    let at = SystemClock.now().plus_nanos(-seconds_ago * 1_000_000_000).to_string();
    let mut event = json!({"@timestamp": at, "host.name": "may-07"});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

pub fn geo_file() -> Vec<u8> {
    let text = |text: &str| Node::Text(text.to_owned());
    let country = Node::Map(vec![("iso_code".to_owned(), text("VN"))]);
    database("Made-City", 1_790_000_000, &[("203.0.113.0/24", Node::Map(vec![("country".to_owned(), country)]))])
}

#[test]
fn reference_data_is_taken_in_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(folder.path(), "data");
    let table = write(folder.path(), "assets.csv", "Tên máy;Địa chỉ IP;Mức quan trọng\ncsdl-01;203.0.113.7;5\n");
    let taken = json_of(&stdout(&["asset", "import", &table, "--data", &data]));
    assert_eq!((&taken["name"], &taken["counts"]["assets"]), (&json!("assets"), &json!(1)));
    let listed = json_of(&stdout(&["asset", "list", "--json", "--data", &data]));
    assert_eq!((&listed["addresses"], &listed["importance"]), (&json!(["203.0.113.7"]), &json!(5)));
    let bad = write(folder.path(), "bad.csv", "host,importance\na,9\nb,x\n");
    let refused = run(&["asset", "import", &bad, "--data", &data]);
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{errors}");
    assert!(errors.contains("bad.csv: line 2, column 2") && errors.contains("line 3, column 2"), "{errors}");

    std::fs::write(folder.path().join("city.mmdb"), geo_file()).unwrap();
    let taken = json_of(&stdout(&["geoip", "import", &path(folder.path(), "city.mmdb"), "--data", &data]));
    assert_eq!((&taken["name"], &taken["made"]), (&json!("geoip-city"), &json!("2026-09-21T14:13:20Z")));
    assert_eq!(run(&["geoip", "import", &table, "--data", &data]).status.code(), Some(2));

    let list =
        write(folder.path(), "list.csv", "value,type\n198.51.100.7,ip\nevil.example,domain\nx,mutex\n10.0.0.1,ip\n");
    let import = ["intel", "import", &list, "--list", "made", "--days", "30", "--data", &data];
    let taken = json_of(&stdout(&import));
    assert_eq!((&taken["counts"], &taken["new"]), (&json!({"domain": 1, "ip": 1}), &json!(2)));
    assert_eq!(taken["left_out"], json!({"an address that is not public": 1, "type mutex": 1}));
    assert_eq!(json_of(&stdout(&import))["new"], Value::Null, "the same list again has nothing new");
    let listed = json_of(&stdout(&["intel", "list", "--json", "--data", &data]));
    assert_eq!((&listed["list"], &listed["waiting_to_be_looked_for"]), (&json!("made"), &json!(2)));
    stdout(&["intel", "remove", "made", "--data", &data]);
    assert_eq!(stdout(&["intel", "list", "--data", &data]), "");
    assert_eq!(run(&["intel", "remove", "made", "--data", &data]).status.code(), Some(2));
    assert_eq!(run(&["intel", "import", &list, "--list", "../x", "--data", &data]).status.code(), Some(2));
}

#[test]
fn events_carry_what_the_tables_know_and_tables_change_while_running() {
    let folder = tempfile::tempdir().unwrap();
    let data_path = folder.path().join("data");
    let data = path(folder.path(), "data");
    let table = write(folder.path(), "assets.csv", "host,address,importance,observe only\nmay-07,10.45.1.7,4,yes\n");
    let list = write(folder.path(), "list.txt", "evil.example\n");
    let config = format!(
        "[assets]\nfile = {table:?}\n[canary]\nenabled = false\n[intel]\nnever = [\"own.example\"]\n[[threat_list]]\nname = \"own\"\npath = {list:?}\nconfidence = 90\n"
    );
    let config = write(folder.path(), "nhatle.toml", &config);
    let city = City::start(&data_path, Some(&config));
    city.said("reference data in force", 3);
    std::fs::write(folder.path().join("city.mmdb"), geo_file()).unwrap();
    stdout(&["geoip", "import", &path(folder.path(), "city.mmdb"), "--data", &data]);
    city.said("reference data in force", 4);
    city.push(&[
        event(5, &json!({"source.ip": "10.45.1.7", "destination.ip": "203.0.113.9"})),
        event(4, &json!({"source.ip": "10.45.1.7", "dns.question.name": "a.evil.example"})),
        event(3, &json!({"source.ip": "10.45.1.7", "dns.question.name": "good.example"})),
    ]);
    let find = |query: &str| {
        let found = city.get(&format!("/api/v1/search?q={query}"));
        found["hits"].as_array().unwrap().clone()
    };
    let seen = &find("destination.geo.country_iso_code:VN")[0];
    assert_eq!(
        (&seen["nhatle.asset.source.importance"], &seen["nhatle.asset.source.observe_only"]),
        (&json!(4), &json!(true)),
        "{seen}"
    );
    let named = find("threat.indicator.name:evil.example");
    assert_eq!(
        (named.len(), &named[0]["threat.feed.name"], &named[0]["threat.indicator.confidence"]),
        (1, &json!("own"), &json!("High"))
    );
    wait_for("the alert", PATIENCE, || !city.alerts().is_empty());
    let alerts = city.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!((&alerts[0]["level"], &alerts[0]["is_looked_back"]), (&json!("high"), &json!(false)), "{}", alerts[0]);

    // The file that is followed changes: a list that is shorter, and one that cannot be read.
    write(folder.path(), "list.txt", "other.example\n");
    city.said("reference data in force", 5);
    city.push(&[event(
        2,
        &json!({"source.ip": "10.45.1.7", "dns.question.name": "b.evil.example", "event.id": "late"}),
    )]);
    write(folder.path(), "list.txt", "nothing here\n");
    city.said("configured reference data not taken", 1);
    assert_eq!(find("threat.indicator.name:evil.example").len(), 1);
    city.server.stop();
}

/// Reference data that the configuration names only later, and names otherwise: all of it without a restart.
#[test]
fn reference_data_of_the_configuration_changes_by_reload() {
    let folder = tempfile::tempdir().unwrap();
    let quiet = "[canary]\nenabled = false\n";
    let config = write(folder.path(), "nhatle.toml", quiet);
    let city = City::start(&folder.path().join("data"), Some(&config));
    let reload = |text: &str| {
        write(folder.path(), "nhatle.toml", &format!("{quiet}{text}"));
        request(city.server.http, "POST", "/api/v1/reload", &[("Authorization", &city.admin)], b"").unwrap()
    };
    // An event of now, as it is stored.
    let seen = |id: &str| {
        let name = format!("{id}.evil.example");
        let more = json!({"source.ip": "10.45.1.7", "destination.ip": "203.0.113.9", "dns.question.name": name});
        city.push(&[event(1, &more)]);
        let found = city.get(&format!("/api/v1/search?q=dns.question.name:{name}"));
        let row = found["hits"].as_array().unwrap()[0].clone();
        let fields = ["nhatle.asset.source.importance", "destination.geo.country_iso_code", "threat.feed.name"];
        (fields.map(|field| row[field].clone()), row["threat.indicator.confidence"].clone())
    };
    assert_eq!(seen("mot"), ([json!(null), json!(null), json!(null)], json!(null)), "nothing is known yet");
    let table = write(folder.path(), "assets.csv", "host,address,importance\nmay-07,10.45.1.7,4\n");
    let list = write(folder.path(), "list.txt", "evil.example\n");
    let places = path(folder.path(), "city.mmdb");
    std::fs::write(&places, geo_file()).unwrap();
    let named = format!(
        "[assets]\nfile = {table:?}\n[geoip]\ncity = {places:?}\n[[threat_list]]\nname = \"own\"\npath = {list:?}\n"
    );
    let answer = reload(&named).json();
    assert_eq!(answer["needs_restart"], json!([]), "{answer}");
    assert_eq!(answer["changed"], json!(["assets.file", "geoip.city", "threat_list"]), "{answer}");
    let (known, unsaid) = seen("hai");
    assert_eq!(
        (&known, &unsaid),
        (&[json!(4), json!("VN"), json!("own")], &json!("Not Specified")),
        "the answer comes when it is in force"
    );
    // The same list, to be taken otherwise; the file is the same.
    let sure = format!("{named}confidence = 90\n");
    assert_eq!(reload(&sure).json()["changed"], json!(["threat_list"]));
    assert_eq!(seen("ba"), (known.clone(), json!("High")));
    // What never matches.
    assert_eq!(
        reload(&format!("[intel]\nnever = [\"evil.example\"]\n{sure}")).json()["changed"],
        json!(["intel.never"])
    );
    assert_eq!(seen("bon"), ([json!(4), json!("VN"), json!(null)], json!(null)));
    assert_eq!(reload(&sure).status, 200);
    assert_eq!(seen("nam"), (known.clone(), json!("High")));
    // What is wrong is told, and all stays.
    let wrong = reload("[intel]\nnever = [\"x y\"]\n[[threat_list]]\nname = \"a b\"\npath = \"x\"\n");
    assert_eq!(wrong.status, 422, "{}", wrong.body);
    assert_eq!(seen("sau"), (known.clone(), json!("High")));
    // Named no more: followed no more, and still in force.
    assert_eq!(reload("").status, 200);
    write(folder.path(), "list.txt", "other.example\n");
    assert_eq!(seen("bay"), (known, json!("High")));
    // A list that is not there is told, also while something else is taken anew.
    write(folder.path(), "assets.csv", "host,address,importance\nmay-07,10.45.1.7,2\n");
    let nowhere =
        format!("{named}[[threat_list]]\nname = \"nowhere\"\npath = {:?}\n", path(folder.path(), "nowhere.txt"));
    assert_eq!(reload(&nowhere).status, 200);
    assert_eq!(seen("tam").0[0], json!(2));
    let told = city.get("/api/v1/intel").to_string();
    assert!(told.contains("nowhere"), "{told}");
    city.server.stop();
}

/// Three hits in each of many segments, one event of each of which nothing is to be said.
fn stored_events() -> Vec<Value> {
    let hit = |number: i64| match number % 3 {
        0 => {
            json!({"source.ip": format!("10.45.{}.{}", number / 200, number % 200), "destination.ip": "198.51.100.7", "host.name": format!("may-{number}")})
        }
        1 => json!({"dns.question.name": format!("x{number}.evil.example"), "host.name": format!("may-{number}")}),
        _ => {
            json!({"process.hash.sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "host.name": format!("may-{number}")})
        }
    };
    let mut events = Vec::new();
    for number in 0..60 {
        events.push(event(7_200 - number, &hit(number)));
        for other in 0..60 {
            events.push(event(
                7_200 - number,
                &json!({"source.ip": "10.45.9.9", "destination.ip": format!("203.0.113.{other}"), "message": "x"}),
            ));
        }
    }
    events
}

const LIST: &str = "value,valid_until\n198.51.100.0/24,\nevil.example,\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855,\n203.0.113.5,2026-01-01\n";

#[test]
fn new_indicators_are_looked_for_in_what_is_stored_also_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let data_path = folder.path().join("data");
    let data = path(folder.path(), "data");
    let config =
        write(folder.path(), "nhatle.toml", "[canary]\nenabled = false\n[storage]\nmemtable_events_max = 200\n");
    let city = City::start(&data_path, Some(&config));
    let segments = || std::fs::read_dir(data_path.join("segments")).map_or(0, Iterator::count);
    for (number, events) in stored_events().chunks(400).enumerate() {
        city.push(events);
        // The rest of the last ones is too few for a segment of its own.
        wait_for("a segment", PATIENCE, || events.len() < 400 || number < segments());
    }
    assert_eq!(city.alerts(), Vec::<Value>::new());

    // What is sent from now on is named on its way in; what was stored is looked for, and the process dies over it.
    let list = write(folder.path(), "list.csv", LIST);
    stdout(&["intel", "import", &list, "--list", "made", "--data", &data]);
    wait_for("the first finds", PATIENCE, || !city.alerts().is_empty());
    let City { server, push, admin } = city;
    server.kill();
    let city = City { server: City::server(&data_path, Some(&config)), push, admin };
    city.push(&[event(1, &json!({"dns.question.name": "now.evil.example", "host.name": "may-now"}))]);
    city.said("looked back", 1);
    wait_for("the alert of now", PATIENCE, || city.alerts().iter().any(|alert| alert["is_looked_back"] == false));
    let alerts = city.alerts();
    let ids: BTreeSet<&str> = alerts.iter().map(|alert| alert["id"].as_str().unwrap()).collect();
    assert_eq!((alerts.len(), ids.len()), (61, 61), "sixty of before, one of now");
    assert_eq!(alerts.iter().filter(|alert| alert["is_looked_back"] == true).count(), 60);
    let first = alerts.iter().min_by_key(|alert| alert["last_at"].as_str().unwrap().to_owned()).unwrap();
    assert_eq!(first["level"], "medium");
    assert!(first["last_at"].as_str().unwrap() < SystemClock.now().plus_nanos(-7_000_000_000_000).to_string().as_str());
    assert_eq!(city.get("/api/v1/incidents")["total"], 1, "a person decides about what was found looking back");

    // The same list again, and one with nothing new: nothing is told twice. One that is removed says nothing more.
    stdout(&["intel", "import", &list, "--list", "again", "--data", &data]);
    city.said("looking back", 2);
    // Something that came after the import says that nothing from before is on its way.
    city.push(&[event(0, &json!({"message": "x"}))]);
    city.said("looked back", 2);
    assert_eq!(city.alerts().len(), 61);
    stdout(&["intel", "remove", "again", "--data", &data]);
    stdout(&["intel", "remove", "made", "--data", &data]);
    wait_for("no list", PATIENCE, || {
        city.push(&[event(0, &json!({"dns.question.name": "gone.evil.example", "host.name": "may-gone"}))]);
        let found = city.get("/api/v1/search?q=dns.question.name:gone.evil.example");
        found["hits"].as_array().unwrap()[0]["threat.feed.name"].is_null()
    });
    city.server.stop();
    let stored = stdout(&["search", "nhatle.alert.origin:retro", "--count", "--data", &data]);
    assert_eq!(stored.trim(), "60", "each alert stands in the store once");
}
