//! What is read off the page of the proof is what `nhatle verify --head` takes: from the HTML as it is, as a file, by the
//! button, and chosen by hand in a real browser; whatever a clipboard does to line ends and the last of them.
//!
//! In: a store with one head. Chromium and Python are skipped where there are none.

use std::path::Path;

use serde_json::json;

use crate::pages::{Browser, PASSWORD, Visitor, add_user, csrf};
use crate::proof::{python, verify};
use crate::support::{PATIENCE, Server, stdout, wait_for};

/// The exit code of `verify --head`, and of the Python program, for a head that somebody kept as these bytes.
fn accepted(data: &Path, kept: &[u8]) -> (Option<i32>, Option<i32>, String) {
    let file = data.with_extension("head.txt");
    std::fs::write(&file, kept).unwrap();
    let (data, file) = (data.to_str().unwrap(), file.to_str().unwrap());
    let (code, said) = verify(&["--data", data, "--head", file]);
    let python = python(&["--head", file, "--store", data]);
    let heard = python.as_ref().map_or("", |(_, said)| said.as_str());
    (code, python.as_ref().map(|(code, _)| *code), format!("{said}\n{heard}"))
}

fn check(name: &str, data: &Path, kept: &[u8], code: i32) {
    let (verify, python, said) = accepted(data, kept);
    assert_eq!(verify, Some(code), "{name}: {said}");
    assert!(python.is_none_or(|python| python == code), "{name}: {said}");
}

/// The text of the element with this id, as a reader of HTML has it.
fn text_of(page: &str, id: &str) -> String {
    let (_, rest) = page.split_once(&format!(" id=\"{id}\">")).unwrap_or_else(|| panic!("no {id} in {page}"));
    let html = rest.split('<').next().unwrap();
    // A parser drops one line feed at the very front of a <pre>.
    let html = html.strip_prefix('\n').unwrap_or(html);
    [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
        .iter()
        .fold(html.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[test]
fn the_head_on_the_page_is_the_one_that_verify_takes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    add_user(&data);
    let lines = folder.path().join("lines.txt");
    std::fs::write(&lines, "Feb  3 05:00:00 cong-01 sshd[7]: Connection closed by 203.0.113.9 port 7\n").unwrap();
    stdout(&["import", "--data", data.to_str().unwrap(), lines.to_str().unwrap()]);
    let server = Server::start_without_sentinel(&data, &[]);
    let mut visitor = Visitor { web: server.http, cookies: Vec::new() };
    let login = format!("csrf={}&user=lan&password={}", csrf(&visitor.get("/login")), PASSWORD.replace(' ', "+"));
    assert_eq!(visitor.post("/login", &login).status, 303);

    for language in ["vi", "en"] {
        wait_for("a head", PATIENCE, || visitor.get("/proof").body.contains("id=\"head-text\""));
        // A head that is signed between two requests is another one.
        let (text, file) = (0..5)
            .map(|_| {
                let page = visitor.get(&format!("/proof?lang={language}")).body;
                assert!(!page.contains('\u{240a}'), "a box in place of a line's end: {page}");
                (text_of(&page, "head-text"), visitor.get("/proof/head.txt"))
            })
            .find(|(text, file)| *text == file.body)
            .expect("the page and the file say the same head");
        assert!(file.head.contains("nhatle-head.txt"), "{}", file.head);
        assert_eq!(text.lines().filter(|line| line.is_empty()).count(), 1, "{text}");
        assert!(text.ends_with('\n') && text.starts_with("nhatle/"), "{text}");
        let end = text.trim_end();
        for (name, kept) in [
            ("as it stands", text.clone()),
            ("without its last line feed", end.to_owned()),
            ("with the line ends of Windows", text.replace('\n', "\r\n")),
            ("with those, without the last", end.replace('\n', "\r\n")),
            ("with a byte order mark", format!("\u{feff}{text}")),
            ("with empty lines around it", format!("\n\n{text}\n\n")),
            ("twice in one file", format!("{text}\n{text}\n")),
        ] {
            check(name, &data, kept.as_bytes(), 0);
        }
        let mut lines: Vec<&str> = text.lines().collect();
        let later = lines[1].parse::<u64>().unwrap() + 1;
        let later = later.to_string();
        lines[1] = &later;
        check("a number altered", &data, (lines.join("\n") + "\n").as_bytes(), 1);
    }

    let Some(browser) = Browser::start(&folder.path().join("browser")) else { return };
    browser.open(&format!("http://{}/login", server.http));
    browser.fill("#user", "lan");
    browser.fill("#password", PASSWORD);
    browser.click("main button.main");
    browser.sees("h1", "Tổng quan");
    for (language, done) in [("vi", "Đã sao chép."), ("en", "Copied.")] {
        browser.open(&format!("http://{}/proof?lang={language}", server.http));
        let whole = browser.run("return document.getElementById('head-text').textContent");
        let whole = whole.as_str().unwrap().to_owned();
        check("as the browser has it", &data, whole.as_bytes(), 0);
        let is_inside = "const box = one => one.getBoundingClientRect();
            return [...document.querySelectorAll('.exact')].every(one => one.scrollWidth <= one.clientWidth + 1
                && box(one).right <= box(one.closest('.card')).right)
                && document.documentElement.scrollWidth <= document.documentElement.clientWidth";
        assert_eq!(browser.run(is_inside), true, "the head is wider than its card");
        browser.click("button[data-copy]");
        browser.sees("[data-done]", done);
        assert_eq!(pasted(&browser), whole, "by the button");
        // By hand: one click chooses all of it.
        browser.click("#head-text");
        browser.act("body", "value", &json!({ "text": "\u{e009}c" }));
        let chosen = pasted(&browser);
        assert_eq!(chosen.trim_end(), whole.trim_end(), "chosen and copied");
        check("chosen and copied", &data, chosen.as_bytes(), 0);
    }
}

/// What the clipboard gives into a field.
fn pasted(browser: &Browser) -> String {
    browser.run(
        "const one = document.createElement('textarea'); one.id = 'paste'; one.rows = 9; document.body.append(one)",
    );
    browser.act("#paste", "value", &json!({ "text": "\u{e009}v" }));
    let text =
        browser.run("const one = document.getElementById('paste'); const text = one.value; one.remove(); return text");
    text.as_str().unwrap().to_owned()
}

#[test]
fn a_check_on_the_page_finds_what_was_altered_and_says_what_it_compared() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    add_user(&data);
    let lines = folder.path().join("lines.txt");
    std::fs::write(&lines, "Feb  3 05:00:00 cong-01 sshd[7]: Connection closed by 203.0.113.9 port 7\n").unwrap();
    stdout(&["import", "--data", data.to_str().unwrap(), lines.to_str().unwrap()]);
    let server = Server::start_without_sentinel(&data, &[]);
    let mut visitor = Visitor { web: server.http, cookies: Vec::new() };
    let login = format!("csrf={}&user=lan&password={}", csrf(&visitor.get("/login")), PASSWORD.replace(' ', "+"));
    assert_eq!(visitor.post("/login", &login).status, 303);
    let head = visitor.get("/proof/head.txt").body;
    let in_form = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let mut check = |heads: &str| {
        let page = visitor.get("/proof?lang=vi");
        let answer = visitor.post("/proof/check", &format!("csrf={}&heads={}", csrf(&page), in_form(heads)));
        assert_eq!(answer.status, 303, "{}", answer.body);
        let mut page = String::new();
        wait_for("the check", PATIENCE, || {
            page = visitor.get("/proof").body;
            !page.contains("Đang kiểm tra")
        });
        (answer.head, page)
    };
    assert!(check("").1.contains("Không có gì bị sửa."));
    let (answer, page) = check(&head.replace('\n', "\r\n"));
    assert!(answer.contains("done=check"), "{answer}");
    assert!(page.contains("Không có gì bị sửa.") && page.contains("<dd>1</dd>"), "{page}");
    assert!(check("no head at all").0.contains("refused=no-head"));
    let segments = std::fs::read_dir(data.join("segments")).unwrap();
    let rows = segments.map(|entry| entry.unwrap().path().join("rows.parquet")).next().unwrap();
    let mut bytes = std::fs::read(&rows).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&rows, bytes).unwrap();
    let (_, page) = check("");
    assert!(page.contains("rows.parquet") && page.contains("mã kiểm tra") && page.contains("1 phát hiện"), "{page}");
}
