//! What a running server says of itself over HTTP: whether it takes events, sources, counters.
//!
//! In: `http://host:port` and a token. Only plain HTTP is spoken: on the machine itself, or behind a proxy's back door.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::{Check, UsageError, some};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A longer answer is not read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Looks at everything.
///
/// # Errors
/// It is no such address, or nobody answers.
pub fn look(url: &str, token: &str) -> anyhow::Result<Vec<Check>> {
    let Some(host) = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) else {
        return Err(UsageError("--url: only http://HOST:PORT is spoken; on the server use --data".to_owned()).into());
    };
    let mut checks = Vec::new();
    let (status, body) = get(host, "/readyz", token)?;
    checks.push(match status {
        200 => Check::fine("ready", "Máy chủ đang nhận sự kiện".to_owned(), "The server takes events".to_owned()),
        _ => Check::wrong(
            "ready",
            [
                format!("Máy chủ không nhận sự kiện: {}", body.trim()),
                format!("The server takes no events: {}", body.trim()),
            ],
            ["Xem ổ đĩa và nhật ký của nhatle", "Look at the disk and at nhatle's log"],
        ),
    });
    let (status, metrics) = get(host, "/metrics", token)?;
    if status == 200 {
        checks.extend(of_metrics(&metrics));
    }
    let (status, sources) = get(host, "/api/v1/sources", token)?;
    match (status, serde_json::from_str::<Value>(&sources)) {
        (200, Ok(sources)) => checks.extend(of_sources(&sources)),
        _ => checks.push(Check::watch(
            "sources",
            [format!("Không xem được các nguồn (HTTP {status})"), format!("Sources cannot be seen (HTTP {status})")],
            [
                "Tạo mã: nhatle token add TÊN --role auditor, rồi dùng --token",
                "Make a token: nhatle token add NAME --role auditor, and use --token",
            ],
        )),
    }
    Ok(checks)
}

fn of_metrics(text: &str) -> Vec<Check> {
    let sum = |name: &str| -> u64 {
        let of = |line: &str| {
            let (known, value) = line.rsplit_once(' ')?;
            let known = known.split('{').next()?;
            (known == name).then(|| value.parse::<f64>().ok()).flatten()
        };
        text.lines().filter_map(of).sum::<f64>() as u64
    };
    let rows: [(&str, &'static str, [&str; 2], [&str; 2]); 5] = [
        (
            "nhatle_write_errors_total",
            "writes",
            ["lô không ghi được", "batches not written"],
            ["Xem ổ đĩa: đầy hoặc hỏng", "Look at the disk: full or broken"],
        ),
        (
            "nhatle_book_differences",
            "conservation",
            ["giờ mà sổ nhận lệch với kho", "hours in which book and store differ"],
            ["Chạy nhatle verify và báo lỗi", "Run nhatle verify and report it"],
        ),
        (
            "nhatle_rules_refused",
            "rules",
            ["luật không nạp được", "rules that do not load"],
            ["Xem trang Luật", "See the rules page"],
        ),
        (
            "nhatle_input_kernel_dropped_total",
            "udp",
            ["gói UDP bị nhân bỏ", "UDP datagrams dropped by the kernel"],
            ["Tăng net.core.rmem_max", "Raise net.core.rmem_max"],
        ),
        (
            "nhatle_rejected_total",
            "rejected",
            ["bản ghi bị từ chối vì quá tải", "records refused under overload"],
            ["Xem nguồn nào gửi dồn dập", "See which source floods"],
        ),
    ];
    let check = |(name, id, words, todo): (&str, &'static str, [&str; 2], [&str; 2])| match sum(name) {
        0 => Check::fine(id, format!("0 {}", words[0]), format!("0 {}", words[1])),
        count if matches!(id, "udp" | "rejected") => {
            Check::watch(id, [format!("{count} {}", words[0]), format!("{count} {}", words[1])], todo)
        }
        count => Check::wrong(id, [format!("{count} {}", words[0]), format!("{count} {}", words[1])], todo),
    };
    rows.into_iter().map(check).collect()
}

fn of_sources(answer: &Value) -> Vec<Check> {
    let rows = answer["sources"].as_array().cloned().unwrap_or_default();
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap_or(0);
    let named = |is: &dyn Fn(&Value) -> bool| -> Vec<String> {
        rows.iter().filter(|row| is(row)).filter_map(|row| row["name"].as_str()).map(str::to_owned).collect()
    };
    let off = named(&|row| {
        number(row, "received") != number(row, "stored") + number(row, "rejected") + number(row, "duplicate")
    });
    let silent = named(&|row| row["state"] == "silent");
    let wrong_clock = named(&|row| row["clock_offset_s"].as_f64().is_some_and(|offset_s| 300.0 < offset_s.abs()));
    let mut checks = Vec::new();
    if !off.is_empty() {
        let what = [format!("Sổ nhận LỆCH ở: {}", some(&off)), format!("The receipt book is OFF at: {}", some(&off))];
        checks.push(Check::wrong(
            "balance",
            what,
            ["Chạy nhatle verify và báo lỗi", "Run nhatle verify and report it"],
        ));
    }
    let count = rows.len();
    checks.push(match silent.is_empty() {
        true => Check::fine(
            "silence",
            format!("{count} nguồn, không nguồn nào im"),
            format!("{count} sources, none silent"),
        ),
        false => Check::watch(
            "silence",
            [
                format!("{} trong {count} nguồn im: {}", silent.len(), some(&silent)),
                format!("{} of {count} sources silent: {}", silent.len(), some(&silent)),
            ],
            ["Xem trang của từng nguồn", "See the page of each source"],
        ),
    });
    if !wrong_clock.is_empty() {
        let what = [
            format!("Đồng hồ lệch quá 5 phút: {}", some(&wrong_clock)),
            format!("Clocks off by more than 5 minutes: {}", some(&wrong_clock)),
        ];
        checks.push(Check::watch(
            "source_clock",
            what,
            ["Bật NTP trên thiết bị, đặt múi giờ +07:00", "Turn NTP on at the device, set its zone to +07:00"],
        ));
    }
    checks
}

/// Status and body of a GET.
fn get(host: &str, path: &str, token: &str) -> anyhow::Result<(u16, String)> {
    let asked = || format!("ask http://{host}{path}");
    let address = host.to_socket_addrs().with_context(asked)?.next().with_context(asked)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(asked)?;
    stream.set_read_timeout(Some(PATIENCE)).with_context(asked)?;
    let bearer = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    // HTTP/1.0: the answer ends with the connection, and comes in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n{bearer}\r\n").with_context(asked)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).with_context(asked)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn counters_and_sources_are_judged() {
        let text = "# TYPE x counter\nnhatle_write_errors_total 2\nnhatle_input_kernel_dropped_total{input=\"a\"} 3\nnhatle_input_kernel_dropped_total{input=\"b\"} 4\n";
        let checks = of_metrics(text);
        let state =
            |id: &str| checks.iter().find(|check| check.id == id).map(|check| (check.state, check.what[1].clone()));
        assert_eq!(state("writes"), Some((State::Wrong, "2 batches not written".to_owned())));
        assert_eq!(state("udp"), Some((State::Watch, "7 UDP datagrams dropped by the kernel".to_owned())));
        assert_eq!(state("rules").map(|(state, _)| state), Some(State::Fine));
        let sources = serde_json::json!({"sources": [
            {"name": "a", "received": 3, "stored": 1, "rejected": 1, "duplicate": 0, "state": "active", "clock_offset_s": -25_200.0},
            {"name": "b", "received": 1, "stored": 1, "rejected": 0, "duplicate": 0, "state": "silent", "clock_offset_s": null},
        ]});
        let said: Vec<(&str, State)> = of_sources(&sources).iter().map(|check| (check.id, check.state)).collect();
        assert_eq!(said, [("balance", State::Wrong), ("silence", State::Watch), ("source_clock", State::Watch)]);
    }
}
