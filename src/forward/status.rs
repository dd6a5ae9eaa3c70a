//! What a forwarder says about itself: a small file for `--status`, and a health event each minute.
//!
//! In: what happens. Out: [`Status`], as JSON and as a few lines in Vietnamese or English. Failure: none.

use nhatle_event::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::identity::Held;
use super::spool::Depth;

/// The file in the state folder.
pub const FILE: &str = "status.json";

/// The input of health events.
pub const INPUT: &str = "health";

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Name.
    pub name: String,
    /// Unit, where a certificate says it.
    pub unit: Option<String>,
    /// The city's address.
    pub server: String,
    /// Until when the certificate holds, nanoseconds; 0 = none.
    pub not_after_ns: i64,
    /// When this was written.
    pub written_ns: i64,
    /// When the city last answered.
    pub reached_ns: i64,
    /// Why it does not, since when it does not.
    pub trouble: Option<String>,
    /// Records the city holds, since the start.
    pub sent: u64,
    /// Bytes over the line for them, packed.
    pub sent_bytes: u64,
    /// How far the own clock is ahead of the city's, nanoseconds.
    pub clock_offset_ns: i64,
    /// What waits.
    pub depth: Depth,
    /// Records shed since the start, by lane.
    pub shed: [u64; 3],
    /// Records dropped by inputs since the start, and datagrams by the kernel before them.
    pub dropped: u64,
    /// When a batch was last taken from an input.
    pub taken_ns: i64,
}

impl Status {
    /// The city answered.
    pub fn reached(&mut self, records: u64, bytes: u64, clock_offset_ns: i64, now: Timestamp) {
        if self.trouble.take().is_some() {
            tracing::info!("the city is reached");
        }
        self.reached_ns = now.0;
        self.sent += records;
        self.sent_bytes += bytes;
        self.clock_offset_ns = clock_offset_ns;
    }

    /// The city did not answer.
    pub fn failed(&mut self, why: String, _now: Timestamp) {
        self.trouble = Some(why);
    }

    /// A certificate was given.
    pub fn identity(&mut self, held: &Held) {
        self.name.clone_from(&held.name);
        self.unit.clone_from(&held.unit);
        self.not_after_ns = held.not_after.0;
    }

    /// The health event: a JSON record like any other.
    pub fn event(&self, now: Timestamp) -> String {
        let lag_s = if self.depth.records == 0 { 0 } else { now.since(Timestamp(self.reached_ns)) / 1_000_000_000 };
        json!({
            "@timestamp": now.to_string(),
            "event.kind": "metric",
            "event.module": "forwarder",
            "event.dataset": "forwarder.health",
            "message": format!("{} records wait, {} shed, {} dropped", self.depth.records, self.shed.iter().sum::<u64>(), self.dropped),
            "observer.name": self.name,
            "observer.version": env!("CARGO_PKG_VERSION"),
            "forwarder.depth.records": self.depth.records,
            "forwarder.depth.bytes": self.depth.bytes,
            "forwarder.lag_s": lag_s,
            "forwarder.clock_offset_ms": self.clock_offset_ns / 1_000_000,
            "forwarder.shed.high": self.shed[0],
            "forwarder.shed.normal": self.shed[1],
            "forwarder.shed.low": self.shed[2],
            "forwarder.dropped": self.dropped,
            "forwarder.sent": self.sent,
        })
        .to_string()
    }

    /// For people: a few lines.
    pub fn lines(&self, is_vietnamese: bool, now: Timestamp) -> Vec<String> {
        let age = |at: i64| (at != 0).then(|| now.since(Timestamp(at)).max(0) / 1_000_000_000);
        let is_running = age(self.written_ns).is_some_and(|age| age < 30);
        let word =
            |vietnamese: &str, english: &str| if is_vietnamese { vietnamese.to_owned() } else { english.to_owned() };
        let ago = |at: i64| match age(at) {
            None => word("chưa lần nào", "never"),
            Some(age) if is_vietnamese => format!("{} trước", span(age, true)),
            Some(age) => format!("{} ago", span(age, false)),
        };
        let unit = self.unit.as_deref().map_or_else(String::new, |unit| format!(" ({unit})"));
        let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1_048_576.0);
        let running = if is_running { word("đang chạy", "running") } else { word("KHÔNG chạy", "NOT running") };
        let mut lines = vec![
            format!("{}: {}{unit}, {running}", word("Bộ chuyển tiếp", "Forwarder"), self.name),
            format!(
                "{}: {}; {}: {}",
                word("Máy chủ thành phố", "City"),
                self.server,
                word("trả lời lần cuối", "last answer"),
                ago(self.reached_ns)
            ),
            format!("{}: {}", word("Nhận bản ghi lần cuối", "Last record taken"), ago(self.taken_ns)),
            format!("{}: {}", word("Đã gửi từ lúc khởi động", "Sent since the start"), self.sent),
            format!(
                "{}: {} ({} / {} MiB)",
                word("Đang chờ gửi", "Waiting"),
                self.depth.records,
                megabytes(self.depth.bytes),
                megabytes(self.depth.bytes_max)
            ),
            format!(
                "{}: {:+.1} s",
                word("Đồng hồ lệch so với thành phố", "Clock against the city's"),
                self.clock_offset_ns as f64 / 1e9
            ),
        ];
        let [high, normal, low] = self.shed;
        if high + normal + low > 0 || self.dropped > 0 {
            let lost = word(
                "MẤT vì hết chỗ (cao, thường, thấp; UDP bỏ)",
                "LOST for want of room (high, normal, low; UDP dropped)",
            );
            lines.push(format!("{lost}: {high}, {normal}, {low}; {}", self.dropped));
        }
        if self.not_after_ns != 0 {
            let until = Timestamp(self.not_after_ns).to_string();
            lines.push(format!(
                "{}: {}",
                word("Chứng thư dùng được đến", "Certificate holds until"),
                &until[..10.min(until.len())]
            ));
        }
        if let Some(trouble) = &self.trouble {
            lines.push(format!("{}: {trouble}", word("Trục trặc", "Trouble")));
        }
        lines
    }
}

fn span(seconds: i64, is_vietnamese: bool) -> String {
    let (number, vietnamese, english) = match seconds {
        0..120 => (seconds, "giây", "s"),
        120..7200 => (seconds / 60, "phút", "min"),
        7200..172_800 => (seconds / 3600, "giờ", "h"),
        _ => (seconds / 86_400, "ngày", "d"),
    };
    format!("{number} {}", if is_vietnamese { vietnamese } else { english })
}

/// Whether people here read Vietnamese, by the environment.
pub fn is_vietnamese() -> bool {
    let told = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    told.is_some_and(|language| language.starts_with("vi"))
}
