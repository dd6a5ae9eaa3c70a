//! The first five minutes of an analyst, in a real browser, and once without JavaScript.
//!
//! Starts the binary and a headless Chromium on loopback, sends a guessing of SSH passwords over syslog and
//! works the alert through the pages: take, see why, look around, hand over, note, close. Asserts what the
//! pages show at each step and what the API says in the end. Prints `skipped: no chromium` and returns where
//! there is no Chromium; `tests/run` installs it. Source: W3C WebDriver, sections 8 to 14.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nhatle_event::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::support::{Answer, NHATLE, PATIENCE, Server, request, token, wait_for};

pub const PASSWORD: &str = "mot mat khau du dai";
const REASON: &str = "Cần lớp 2 xem giúp: mười hai lượt đoán trong một phút";
const NOTE: &str = "Đã gọi đơn vị, máy không có ai dùng lúc này";
const VERDICT: &str = "Kẻ ngoài đoán mật khẩu, đã chặn ở tường lửa";

#[test]
fn an_analyst_works_an_alert_from_the_queue_to_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let Some(browser) = Browser::start(&folder.path().join("browser")) else { return };
    let city = City::start(folder.path());
    let web = city.server.http;
    let mut link = city.server.greeting.iter().flat_map(|line| line.split_whitespace());
    let link = link.rfind(|word| word.contains("/setup/")).expect("a first start prints the link");

    browser.open(link);
    browser.sees("h1", "Khởi tạo tài khoản quản trị");
    browser.fill("#new", PASSWORD);
    browser.fill("#again", PASSWORD);
    browser.click("main button.main");
    browser.sees("h1", "Tổng quan");
    browser.click("form[action='/logout'] button");
    browser.sees("h1", "Đăng nhập");

    for (password, h1) in [("not this one at all", "Đăng nhập"), (PASSWORD, "Tổng quan")] {
        browser.fill("#user", "lan");
        browser.fill("#password", password);
        browser.click("main button.main");
        browser.sees("h1", h1);
    }

    let alert = city.alert();
    browser.open(&format!("http://{web}/alerts"));
    browser.sees("table.queue", "Địa chỉ 203.0.113.45 đã nhập sai mật khẩu SSH");
    // The longest name of a level, in its column: two lines, whatever else the table has.
    let lines = browser.run(
        "const e = document.querySelector('.rows .level'); e.textContent = 'Đặc biệt nghiêm trọng'; \
         return Math.round(e.getBoundingClientRect().height / parseFloat(getComputedStyle(e).lineHeight))",
    );
    assert_eq!(lines, 2, "the column of levels is too narrow");
    browser.click(".head button.main");
    browser.sees("h1", "Địa chỉ 203.0.113.45 đã nhập sai mật khẩu SSH");
    browser.sees(".facts", "Đã tiếp nhận");
    browser.sees(".facts", "lan");
    browser.sees("main", "source.ip = 203.0.113.45");
    browser.sees("table.why mark", "Failed password for ");
    browser.sees(".sheet tr.marked", "Failed password for ");

    browser.click("details.event a.button");
    browser.sees("h1", "Sự kiện xung quanh");
    assert_eq!(browser.count("table.hits tr.marked"), 1, "the event itself is marked");
    assert!(browser.count("table.hits tbody tr") >= 12, "what happened around it is there");

    browser.open(&format!("http://{web}/alerts/{alert}"));
    browser.click(".facts a[href^='/incidents/']");
    browser.sees(".layers .current", "Lớp 1");
    work_the_incident(&browser);
    let incident = browser.path().split('?').next().unwrap().to_owned();

    let state = city.get(&format!("/api/v1{incident}"));
    assert_eq!(state["status"], "closed", "{state}");
    assert_eq!(state["verdict"], "true_positive", "{state}");
    assert_eq!(state["layer"], "monitoring", "{state}");
    let kinds: Vec<&str> =
        state["timeline"].as_array().unwrap().iter().filter_map(|entry| entry["kind"].as_str()).collect();
    for kind in ["opened", "alert", "handover", "note", "closed"] {
        assert!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
    english_pages_have_no_vietnamese_words(&browser, web, &alert, &incident);
}

/// Hands the incident to layer 2, notes and closes it, looking at each step.
fn work_the_incident(browser: &Browser) {
    browser.click("select[name='layer'] option[value='monitoring']");
    browser.fill("aside details.box:nth-of-type(1) textarea", REASON);
    browser.click("button[value='handover']");
    browser.sees(".flash", "Đã bàn giao");
    browser.sees(".layers .current", "Lớp 2");
    browser.sees(".layers", REASON);
    browser.sees(".timeline", REASON);

    browser.fill("#note", NOTE);
    browser.click("form.note button");
    browser.sees(".timeline", NOTE);

    browser.click("aside details.box:nth-of-type(2) summary");
    browser.click("select[name='verdict'] option[value='true_positive']");
    browser.fill("aside details.box:nth-of-type(2) textarea", VERDICT);
    browser.click("button[value='close']");
    browser.sees(".head .state", "Đã đóng");
    browser.sees(".head", "Cảnh báo đúng");
    browser.sees(".timeline", VERDICT);
}

fn english_pages_have_no_vietnamese_words(browser: &Browser, web: SocketAddr, alert: &str, incident: &str) {
    let words = vietnamese_words();
    assert!(words.len() > 100, "only {} words to look for", words.len());
    let alert = format!("/alerts/{alert}");
    let search = "/search?q=sshd";
    let wrong = "/search?q=(";
    let (hinted, tail) = ("/search?q=user.nmae:x", "/search/tail?q=sshd");
    for path in [
        "/",
        "/alerts",
        &alert,
        "/incidents",
        incident,
        search,
        wrong,
        hinted,
        tail,
        "/sources",
        "/rules",
        "/proof",
        "/account",
        "/none",
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        browser.open(&format!("http://{web}{path}{mark}lang=en"));
        assert_eq!(browser.run("return document.documentElement.lang"), "en", "{path}");
        let mut text = browser.text("body").replace("Tiếng Việt", "");
        for said in [REASON, NOTE, VERDICT] {
            text = text.replace(said, "");
        }
        for word in &words {
            assert!(!text.contains(word.as_str()), "{path} in English says {word:?}:\n{text}");
        }
        let wider = browser.run("return document.documentElement.scrollWidth > document.documentElement.clientWidth");
        assert_eq!(wider, false, "{path} is wider than the window");
    }
}

/// What the pages say in Vietnamese and could not say in English: messages with a letter English has not.
fn vietnamese_words() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/locale/vi.ftl");
    let text = std::fs::read_to_string(path).unwrap();
    let values = text.lines().filter_map(|line| line.split_once(" = ")).map(|(_, value)| value.trim().to_owned());
    let is_vietnamese = |value: &String| value.chars().any(|letter| letter.is_alphabetic() && !letter.is_ascii());
    values.filter(|value| is_vietnamese(value) && !value.contains('{') && value != "Tiếng Việt").collect()
}

#[test]
fn an_alert_is_taken_without_javascript() {
    let folder = tempfile::tempdir().unwrap();
    let city = City::start(folder.path());
    let alert = city.alert();
    let mut visitor = Visitor { web: city.server.http, cookies: Vec::new() };

    let page = visitor.get("/login");
    let form = format!("csrf={}&user=lan&password={}", csrf(&page), PASSWORD.replace(' ', "+"));
    assert_eq!(visitor.post("/login", &form).status, 303);

    let page = visitor.get(&format!("/alerts/{alert}"));
    assert!(page.body.contains("Nhận xử lý"), "{}", page.body);
    let changes = format!("/alerts/{alert}/changes");
    assert_eq!(visitor.post(&changes, "kind=acknowledge").status, 403, "a form without the token is refused");
    assert_eq!(city.get(&format!("/api/v1/alerts/{alert}"))["status"], "new");

    let form = format!("csrf={}&kind=acknowledge", csrf(&page));
    assert_eq!(visitor.post(&changes, &form).status, 303);
    let state = city.get(&format!("/api/v1/alerts/{alert}"));
    assert_eq!((&state["status"], &state["owner"]), (&json!("acknowledged"), &json!("lan")), "{state}");
}

/// What is searched for, in every hundredth of 3,000 lines.
const RARE: &str = "hiếm gặp";

#[test]
fn a_search_goes_on_below_what_it_showed_first_and_a_tail_follows() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    add_user(&data);
    let bearer = format!("Bearer {}", token(&data, "reader", "analyst", None));
    let config = folder.path().join("nhatle.toml");
    std::fs::write(
        &config,
        "[storage]\nmemtable_events_max = 500\nmerged_events_max = 0\n[sentinel]\nenabled = false\n",
    )
    .unwrap();
    let server = Server::start(&data, &["--config", config.to_str().unwrap()]);
    let web = server.http;
    let get = |path: &str| request(web, "GET", path, &[("Authorization", &bearer)], b"").unwrap();
    let mut syslog = TcpStream::connect(server.syslog_tcp).unwrap();
    let second = SystemClock.now().0 / 1_000_000_000;
    let line = |at: i64, text: &str| format!("<86>1 {} cong-tt-01 web 7 - - {text}\n", Timestamp(at * 1_000_000_000));
    let mut sent = 0;
    let segments = |answer: &Value| answer["explain"]["segments"]["all"].as_u64().unwrap_or(0);
    let asked = "/api/v1/search?q=%22hi%E1%BA%BFm+g%E1%BA%B7p%22&explain=1";
    // Piece by piece, so that there are several segments.
    for piece in 0..6 {
        for at in piece * 500..piece * 500 + 500 {
            let text = if at % 100 == 0 { format!("{RARE} {at}") } else { format!("thường {at}") };
            syslog.write_all(line(second - 4_000 + at, &text).as_bytes()).unwrap();
            sent += 1;
        }
        wait_for("what was sent", PATIENCE, || {
            get("/api/v1/search?q=host.name:cong-tt-01&limit=1").json()["total"] == sent
        });
        wait_for("its segment", PATIENCE, || segments(&get(asked).json()) > piece.unsigned_abs());
    }
    wait_for("segments", PATIENCE, || segments(&get(asked).json()) >= 3);
    let answer = get(asked).json();
    assert_eq!((&answer["total"], &answer["total_is_exact"]), (&json!(30), &json!(true)));
    assert!(answer["explain"]["rows"]["looked_at"].as_u64() <= Some(30), "only rows with the words: {answer}");
    let wrong = get("/api/v1/search?q=(a").json();
    assert_eq!(wrong["error"]["detail"]["suggestion"], "add a closing )", "{wrong}");
    let hinted = get("/api/v1/search?q=user.nmae:x").json();
    assert_eq!(hinted["hints"][0]["meant"], "user.name", "{hinted}");
    let top = get("/api/v1/search/top?q=&field=host.name").json();
    assert_eq!(top["values"][0], json!(["cong-tt-01", 3000]), "{top}");
    let stream = get("/api/v1/search/stream?q=%22hi%E1%BA%BFm+g%E1%BA%B7p%22&limit=50").body;
    let lines: Vec<Value> = stream.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let hits: usize = lines.iter().filter_map(|line| line["hits"].as_array()).map(Vec::len).sum();
    assert_eq!((hits, &lines.last().unwrap()["type"]), (30, &json!("end")), "{stream}");

    let Some(browser) = Browser::start(&folder.path().join("browser")) else { return };
    browser.open(&format!("http://{web}/login"));
    browser.fill("#user", "lan");
    browser.fill("#password", PASSWORD);
    browser.click("main button.main");
    browser.sees("h1", "Tổng quan");
    browser.open(&format!("http://{web}/search?q=%22{RARE}%22&wait=1&limit=50"));
    browser.sees(".progress", "Đã tìm đến hết.");
    browser.sees("[data-total]", "30 sự kiện");
    let texts = browser.text("table.hits td.text");
    let numbers: Vec<u64> = texts.lines().filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    assert_eq!(numbers, (0..30).rev().map(|at| at * 100).collect::<Vec<_>>(), "newest first, each once");
    assert_eq!(browser.run("return document.querySelector('details.explain').open"), false);
    browser.click("details.explain summary");
    browser.sees(".explained", "lưu trong phân đoạn");
    browser.open(&format!("http://{web}/search?q=user.nmae:x"));
    browser.sees(".hint", "user.name");
    browser.open(&format!("http://{web}/search/tail?q=%22{RARE}%22"));
    browser.sees(".progress", "Đang chạy");
    let now = SystemClock.now().0 / 1_000_000_000;
    syslog.write_all((line(now, "không ai xem") + &line(now, &format!("{RARE} vừa đến"))).as_bytes()).unwrap();
    browser.sees("[data-tail] tbody", &format!("{RARE} vừa đến"));
    assert!(!browser.text("[data-tail] tbody").contains("không ai xem"));
    browser.click("button[data-pause]");
    browser.sees(".progress", "Đang tạm dừng");
    syslog.write_all(line(now, &format!("{RARE} lúc dừng")).as_bytes()).unwrap();
    browser.sees(".progress", "1 dòng mới đang chờ");
    assert!(!browser.text("[data-tail] tbody").contains("lúc dừng"));
    browser.click("button[data-pause]");
    browser.sees("[data-tail] tbody", "lúc dừng");
}

pub fn csrf(page: &Answer) -> String {
    let (_, rest) = page.body.split_once("name=\"csrf\" value=\"").expect("a page has a form");
    rest.split('"').next().unwrap().to_owned()
}

/// A browser that knows cookies and nothing else.
pub struct Visitor {
    pub web: SocketAddr,
    pub cookies: Vec<(String, String)>,
}

impl Visitor {
    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    pub fn post(&mut self, path: &str, form: &str) -> Answer {
        self.send("POST", path, form)
    }

    fn send(&mut self, method: &str, path: &str, form: &str) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let headers = [("Cookie", cookies.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let answer = request(self.web, method, path, &headers, form.as_bytes()).unwrap();
        for line in answer.head.lines() {
            let Some((name, set)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.retain(|(held, _)| held != name);
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }
}

/// Makes the account of the analyst `lan`.
pub fn add_user(data: &Path) {
    let mut child = Command::new(NHATLE)
        .args(["user", "add", "lan", "--role", "analyst", "--password-stdin", "--data"])
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    assert!(child.wait().unwrap().success(), "no account was made");
}

/// A server with the analyst `lan` and one guessing of SSH passwords.
struct City {
    server: Server,
    bearer: String,
}

impl City {
    fn start(data: &Path) -> City {
        let data = data.join("data");
        add_user(&data);
        let bearer = format!("Bearer {}", token(&data, "reader", "analyst", None));
        let server = Server::start(&data, &[]);
        let mut syslog = TcpStream::connect(server.syslog_tcp).unwrap();
        // Whole seconds: RFC 5424 has at most six digits of fraction.
        let second = SystemClock.now().0 / 1_000_000_000;
        for guess in 0..12 {
            let at = Timestamp((second - 60 + guess * 4) * 1_000_000_000);
            let port = 40_000 + guess;
            writeln!(
                syslog,
                "<86>1 {at} cong-tt-01 sshd 2345 - - Failed password for root from 203.0.113.45 port {port} ssh2"
            )
            .unwrap();
        }
        City { server, bearer }
    }

    fn get(&self, path: &str) -> Value {
        request(self.server.http, "GET", path, &[("Authorization", &self.bearer)], b"").unwrap().json()
    }

    /// The id of the alert, as soon as there is one.
    fn alert(&self) -> String {
        let mut id = None;
        wait_for("the alert", PATIENCE, || {
            let page = self.get("/api/v1/alerts");
            let found = page["alerts"][0]["id"].as_str().map(str::to_owned);
            // The incident it opens comes with it, a moment later.
            let has_incident = page["alerts"][0]["incident"].is_u64();
            id = found.filter(|_| has_incident);
            id.is_some()
        });
        id.unwrap()
    }
}

/// A headless Chromium, driven over WebDriver.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
}

/// Chromium as root in a container, with nothing it would do by itself.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--window-size=1366,768",
];

impl Browser {
    pub fn start(profile: &Path) -> Option<Browser> {
        let program = |name: &str| {
            let found = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
            found.unwrap_or_default().into_iter().map(|folder| folder.join(name)).find(|file| file.is_file())
        };
        let (Some(chromium), Some(chromedriver)) = (program("chromium"), program("chromedriver")) else {
            eprintln!("skipped: no chromium");
            return None;
        };
        let mut driver = Command::new(chromedriver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port: u16 = loop {
            let line = lines.next().expect("chromedriver says its port").unwrap();
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse().unwrap();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Browser { driver, address: SocketAddr::from(([127, 0, 0, 1], port)), session: String::new() };
        let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.display()));
        let options = json!({ "binary": chromium, "args": flags });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let made = browser.ask("POST", "/session", &wanted).expect("a session");
        browser.session = format!("/session/{}", made["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// One command. What the browser refuses, such as to click what is not there yet, is the `Err`.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let headers = [("Content-Type", "application/json; charset=utf-8")];
        let path = format!("{}{path}", self.session);
        let answer =
            request(self.address, method, &path, &headers, body.as_bytes()).map_err(|error| error.to_string())?;
        let value = answer.json()["value"].take();
        if answer.status == 200 { Ok(value) } else { Err(value.to_string()) }
    }

    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] })).unwrap()
    }

    pub fn open(&self, address: &str) {
        self.ask("POST", "/url", &json!({ "url": address })).unwrap();
    }

    pub fn path(&self) -> String {
        self.run("return location.pathname").as_str().unwrap().to_owned()
    }

    /// Tries until the element is there and takes the command.
    pub fn act(&self, css: &str, act: &str, body: &Value) {
        let mut last = String::new();
        let began = std::time::Instant::now();
        while began.elapsed() < PATIENCE {
            let found = self.ask("POST", "/element", &json!({ "using": "css selector", "value": css }));
            let done = found.and_then(|element| {
                let id = element.as_object().and_then(|object| object.values().next()).and_then(Value::as_str);
                self.ask("POST", &format!("/element/{}/{act}", id.unwrap_or("")), body)
            });
            match done {
                Ok(_) => return,
                Err(error) => last = error,
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{act} {css}: {last}\n{}", self.text("body"));
    }

    pub fn click(&self, css: &str) {
        self.act(css, "click", &json!({}));
    }

    pub fn fill(&self, css: &str, text: &str) {
        self.act(css, "clear", &json!({}));
        self.act(css, "value", &json!({ "text": text }));
    }

    /// What stands in the elements of this selector, as rendered.
    pub fn text(&self, css: &str) -> String {
        let script = format!(
            "return [...document.querySelectorAll({})].map(one => one.innerText).join('\\n')",
            Value::from(css)
        );
        self.run(&script).as_str().unwrap_or("").to_owned()
    }

    pub fn count(&self, css: &str) -> u64 {
        self.run(&format!("return document.querySelectorAll({}).length", Value::from(css))).as_u64().unwrap()
    }

    /// Waits until the elements of this selector say the text.
    pub fn sees(&self, css: &str, text: &str) {
        let began = std::time::Instant::now();
        while !self.text(css).contains(text) {
            assert!(began.elapsed() < PATIENCE, "no {text:?} in {css} of {}:\n{}", self.path(), self.text("body"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The session ends the browser; a driver that is gone has none to end.
        drop(self.ask("DELETE", "", &Value::Null));
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}
