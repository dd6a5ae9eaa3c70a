//! What a data folder says: the store, the receipt book, sources, rules, certificates, the register.
//!
//! In: the folder, and the configuration where it is named. It is only read, so a server may be running.

use std::path::Path;
use std::sync::Arc;

use nhatle_event::{Clock, SystemClock, Timestamp};
use nhatle_rules::LoadOptions;
use nhatle_storage::scrub::Place;
use nhatle_storage::{Config as StorageConfig, Disk, Finding, OsDisk, Store};

use super::{Check, machine, some};
use crate::canary::{Book, book};
use crate::config::{self, Config, ConfigFile};
use crate::retention::plan;
use crate::ruleset;
use crate::sentinel::{Feed, balance};
use crate::sources::SourceBook;
use crate::sources::hour::HOUR_NS;
use crate::tend::scrub;

/// A source not heard of for so long is named.
const SILENT_NS: i64 = 24 * HOUR_NS;
/// One not heard of for longer than this is gone for good.
const GONE_NS: i64 = 90 * 24 * HOUR_NS;
/// A share of dead letters past this is worth a look, in percent.
const DEAD_PERCENT: u64 = 1;
/// A certificate is renewed so many days before its end.
const CERTIFICATE_DAYS: i64 = 30;

/// Looks at everything.
///
/// # Errors
/// The folder cannot be opened.
pub fn look(data: &Path, config: Option<&Path>) -> anyhow::Result<Vec<Check>> {
    let now = SystemClock.now();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::existing(data)?);
    let file = match config {
        Some(path) => config::read(path)?,
        None => ConfigFile { data: data.to_owned(), ..ConfigFile::default() },
    };
    let mut checks = vec![machine::disk_room(data, &*disk), machine::permissions(data), machine::clock()];
    let known = Config::check(file.clone());
    match &known {
        Ok(config) => checks.push(machine::ports(&*disk, config)),
        Err(error) => checks.push(Check::wrong(
            "config",
            [format!("Cấu hình sai: {error}"), format!("The configuration is wrong: {error}")],
            [
                "Sửa tệp cấu hình, rồi chạy: nhatle config check TỆP",
                "Correct the file, then run: nhatle config check FILE",
            ],
        )),
    }
    checks.push(machine::udp_buffers());
    let clock = Arc::new(SystemClock);
    match Store::open_read_only(disk, StorageConfig::default(), clock) {
        Ok(store) => checks.extend(of_store(&store, &file, data, now)),
        Err(error) => checks.push(Check::wrong(
            "store",
            [format!("Không mở được kho nhật ký: {error}"), format!("The store does not open: {error}")],
            [
                "Đừng xóa gì. Chạy: nhatle verify --data THƯ_MỤC để biết tệp nào hỏng",
                "Delete nothing. Run: nhatle verify --data DIR to see which file is damaged",
            ],
        )),
    }
    checks.push(register(data)?);
    checks.extend(certificates(data, now));
    Ok(checks)
}

fn of_store(store: &Store, file: &ConfigFile, data: &Path, now: Timestamp) -> Vec<Check> {
    let mut checks = vec![backlog(store, file), retention(store, file, now), damage(data)];
    checks.extend(super::stamps::look(data, file, now));
    match SourceBook::open(store) {
        Ok(book) => {
            let feed = Feed::new(store.mark(balance::MARK).as_deref());
            checks.extend(unread(book.damaged()));
            checks.push(conservation(&book, &feed));
            checks.push(silent(&book, now));
            checks.push(dead_letters(&book, data));
            checks.push(rejected(&book));
            checks.push(misnamed(&book));
        }
        Err(error) => checks.push(Check::wrong(
            "book",
            [format!("Không đọc được sổ nhận: {error}"), format!("The receipt book cannot be read: {error}")],
            ["Chạy: nhatle verify --data THƯ_MỤC", "Run: nhatle verify --data DIR"],
        )),
    }
    checks.push(rules(store, file));
    checks
}

fn backlog(store: &Store, file: &ConfigFile) -> Check {
    let (waiting, most) = (store.stats().log_bytes, file.storage.backlog_bytes_max);
    let what = [
        format!("Nhật ký chờ niêm phong: {} (giới hạn {})", super::bytes(waiting), super::bytes(most)),
        format!("Waiting to be sealed: {} (limit {})", super::bytes(waiting), super::bytes(most)),
    ];
    if waiting * 2 < most {
        let [vietnamese, english] = what;
        return Check::fine("backlog", vietnamese, english);
    }
    Check::wrong(
        "backlog",
        what,
        [
            "Niêm phong không kịp: xem ổ đĩa còn chỗ không và lỗi 'segment not sealed' trong nhật ký của nhatle",
            "Sealing does not keep up: look at the disk's room and for 'segment not sealed' in nhatle's log",
        ],
    )
}

fn retention(store: &Store, file: &ConfigFile, now: Timestamp) -> Check {
    let plan = match plan(&store.snapshot(), &file.retention, std::iter::empty(), now) {
        Ok(plan) => plan,
        Err(error) => {
            return Check::wrong(
                "retention",
                [format!("Không đọc được thời hạn lưu: {error}"), format!("Retention cannot be reckoned: {error}")],
                ["Chạy: nhatle verify --data THƯ_MỤC", "Run: nhatle verify --data DIR"],
            );
        }
    };
    let next = plan.next.as_ref().map(|next| next.gone_from().to_string());
    let waiting = plan.due.len();
    Check::fine(
        "retention",
        format!(
            "{} luật thời hạn lưu; {waiting} phần dữ liệu đã hết hạn; lần xóa kế tiếp: {}",
            file.retention.len(),
            next.as_deref().unwrap_or("không có")
        ),
        format!(
            "{} rules of retention; {waiting} segments past it; the next goes: {}",
            file.retention.len(),
            next.as_deref().unwrap_or("none")
        ),
    )
}

fn damage(data: &Path) -> Check {
    let kept = OsDisk::existing(data).and_then(|disk| scrub::kept(&disk));
    // What cannot be read is begun anew; `verify` says so.
    let place: Place = kept.ok().flatten().unwrap_or_default();
    if place.findings.is_empty() {
        let ended = if place.ended_ns == 0 { String::from("–") } else { Timestamp(place.ended_ns).to_string() };
        return Check::fine(
            "scrub",
            format!("Đọc kiểm tra dữ liệu hằng tuần: không thấy hỏng; lượt trước xong lúc {ended}"),
            format!("Weekly reading of what is stored: no damage; the last pass ended {ended}"),
        );
    }
    let files: Vec<String> =
        place.findings.iter().map(|finding| format!("{} ({})", finding.file, finding.offset)).collect();
    Check::wrong(
        "scrub",
        [
            format!("Dữ liệu đã lưu bị hỏng ở: {}", some(&files)),
            format!("What is stored is damaged at: {}", some(&files)),
        ],
        [
            "Xem ổ đĩa (SMART, dmesg), chạy nhatle verify, lấy lại tệp từ bản sao lưu",
            "Look at the disk (SMART, dmesg), run nhatle verify, take the file from a backup",
        ],
    )
}

/// Parts of the receipt book that cannot be read; a server that starts tells them once and begins them anew.
fn unread(damaged: &[Finding]) -> Option<Check> {
    let marks: Vec<String> = damaged.iter().map(|one| format!("{} ({})", one.file, one.what)).collect();
    let wrong = Check::wrong(
        "book",
        [
            format!("Một phần sổ nhận không đọc được, các nguồn trong đó đếm lại từ đầu: {}", some(&marks)),
            format!("A part of the receipt book cannot be read, its sources are counted anew: {}", some(&marks)),
        ],
        [
            "Sự kiện vẫn còn nguyên; chạy nhatle verify, xem ổ đĩa, lấy lại thư mục dữ liệu từ bản sao lưu nếu cần số đếm cũ",
            "The events are whole; run nhatle verify, look at the disk, take the folder from a backup if the old counts are needed",
        ],
    );
    (!marks.is_empty()).then_some(wrong)
}

fn conservation(book: &SourceBook, feed: &Feed) -> Check {
    let checked = feed.checked();
    let mut off: Vec<String> = book.unbalanced().into_iter().map(str::to_owned).collect();
    off.extend(
        checked
            .differences
            .iter()
            .map(|one| format!("{} ({})", one.source, Timestamp(one.hour.saturating_mul(HOUR_NS)))),
    );
    if off.is_empty() {
        return Check::fine(
            "conservation",
            format!("Sổ nhận khớp: đã nhận = đã lưu + từ chối + trùng; đã đối chiếu {} giờ với kho", checked.hours),
            format!(
                "The receipt book balances: received = stored + rejected + duplicate; {} hours compared with the store",
                checked.hours
            ),
        );
    }
    Check::wrong(
        "conservation",
        [format!("Sổ nhận LỆCH ở: {}", some(&off)), format!("The receipt book is OFF at: {}", some(&off))],
        [
            "Chạy nhatle verify, giữ nguyên thư mục dữ liệu và báo lỗi này cho người phát triển",
            "Run nhatle verify, keep the data folder as it is, and report this as a bug",
        ],
    )
}

fn silent(book: &SourceBook, now: Timestamp) -> Check {
    let is_silent = |last_ns: i64| (SILENT_NS..GONE_NS).contains(&(now.0.saturating_sub(last_ns)));
    let names: Vec<String> =
        book.rows().filter(|(_, row)| is_silent(row.last_seen_ns)).map(|(name, _)| name.to_owned()).collect();
    let count = book.rows().count();
    if names.is_empty() {
        return Check::fine(
            "silence",
            format!("{count} nguồn, không nguồn nào im quá một ngày"),
            format!("{count} sources, none silent for more than a day"),
        );
    }
    Check::watch(
        "silence",
        [
            format!("{} trong {count} nguồn im quá một ngày: {}", names.len(), some(&names)),
            format!("{} of {count} sources silent for more than a day: {}", names.len(), some(&names)),
        ],
        [
            "Xem máy có bật không, đường truyền và cấu hình gửi nhật ký; nếu là có chủ ý thì ghi kế hoạch ngừng gửi ở trang nguồn",
            "See whether the machine is on, its line, and where it sends; if it is meant, plan an outage on the source's page",
        ],
    )
}

fn dead_letters(book: &SourceBook, data: &Path) -> Check {
    let (mut stored, mut dead) = (0, 0);
    let mut reasons: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for (_, row) in book.rows() {
        stored += row.total.stored;
        dead += row.total.dead_lettered;
        row.total.dead_by.iter().for_each(|(reason, count)| *reasons.entry(reason).or_default() += count);
    }
    let what =
        [format!("{dead} trong {stored} bản ghi không đọc được"), format!("{dead} of {stored} records not understood")];
    if dead * 100 <= stored * DEAD_PERCENT {
        let [vietnamese, english] = what;
        return Check::fine("dead_letters", vietnamese, english);
    }
    let mut top: Vec<(&str, u64)> = reasons.into_iter().collect();
    top.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named: Vec<String> = top.iter().take(3).map(|(reason, count)| format!("{reason} ({count})")).collect();
    let reason = top.first().map_or("", |(reason, _)| reason).replace('"', "?");
    let command = format!("nhatle search 'error.message:\"{reason}\"' --limit 3 --data {}", data.display());
    let [vietnamese, english] = what;
    Check {
        id: "dead_letters",
        state: super::State::Watch,
        what: [format!("{vietnamese}: {}", named.join("; ")), format!("{english}: {}", named.join("; "))],
        todo: [format!("Xem mẫu: {command}"), format!("See samples: {command}")],
    }
}

fn rejected(book: &SourceBook) -> Check {
    let named: Vec<String> = book
        .rows()
        .filter(|(_, row)| 0 < row.total.rejected)
        .map(|(name, row)| format!("{name} ({})", row.total.rejected))
        .collect();
    if named.is_empty() {
        return Check::fine("rejected", "Không bản ghi nào bị từ chối".to_owned(), "No record was refused".to_owned());
    }
    Check::watch(
        "rejected",
        [format!("Có bản ghi bị từ chối: {}", some(&named)), format!("Records were refused: {}", some(&named))],
        [
            "Trang của nguồn ghi lý do từng giờ; hàng đợi đầy thì giảm nguồn gửi dồn dập",
            "The source's page says why, hour by hour; where the queue was full, calm the source that floods",
        ],
    )
}

fn misnamed(book: &SourceBook) -> Check {
    let row = |(name, row): (&str, &crate::sources::Receipts)| Some(format!("{name} ({})", row.misnamed()?));
    let named: Vec<String> = book.rows().filter_map(row).collect();
    if named.is_empty() {
        return Check::fine(
            "profiles",
            "Không nguồn nào bị khai sai loại".to_owned(),
            "No source has a wrong profile named".to_owned(),
        );
    }
    Check::watch(
        "profiles",
        [
            format!("Nguồn bị khai sai loại: {}", some(&named)),
            format!("Sources with a wrong profile named: {}", some(&named)),
        ],
        [
            "Bản ghi vẫn được đọc đúng theo loại thật; sửa tên loại trong [[source]], đầu vào hoặc mã gửi",
            "Their records are read as what they are; correct the profile in its [[source]], input or token",
        ],
    )
}

fn rules(store: &Store, file: &ConfigFile) -> Check {
    let set = ruleset::load(&file.rules, &LoadOptions::default());
    let book = Book::new(store.mark(book::MARK).as_deref());
    let mut bad: Vec<String> = set.errors.iter().map(ToString::to_string).collect();
    let red = set.metas().filter(|(meta, _)| book.proof(&meta.id).is_some_and(|proof| proof.fault.is_some()));
    let red: Vec<String> = red.map(|(meta, _)| meta.title.clone()).collect();
    let count = set.rules.len();
    if bad.is_empty() && red.is_empty() {
        return Check::fine(
            "rules",
            format!("{count} luật nạp được, không bản ghi thử nào thất lạc"),
            format!("{count} rules load, no canary is missing"),
        );
    }
    let (refused, missing) = (bad.len(), red.len());
    bad.extend(red);
    Check::wrong(
        "rules",
        [
            format!("{refused} luật không nạp được, {missing} luật không thấy bản ghi thử: {}", some(&bad)),
            format!("{refused} rules do not load, {missing} did not see their canary: {}", some(&bad)),
        ],
        ["Xem trang Luật: mỗi luật ghi rõ thiếu gì", "See the rules page: each rule says what it lacks"],
    )
}

fn register(data: &Path) -> anyhow::Result<Check> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let damage = runtime.block_on(nhatle_storage::register::verify(data));
    let Some(first) = damage.first() else {
        return Ok(Check::fine(
            "register",
            "Chuỗi băm của sổ đăng ký nguyên vẹn".to_owned(),
            "The register's chain of hashes holds".to_owned(),
        ));
    };
    Ok(Check::wrong(
        "register",
        [
            format!("Sổ đăng ký bị sửa hoặc hỏng: {}", first.what),
            format!("The register was altered or is damaged: {}", first.what),
        ],
        [
            "Giữ nguyên tệp, chạy nhatle verify, lấy lại bản sao lưu",
            "Keep the file, run nhatle verify, go back to a backup",
        ],
    ))
}

fn certificates(data: &Path, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    for name in ["ca.pem", "server.pem"] {
        let path = data.join("pki").join(name);
        let Ok(pem) = std::fs::read(&path) else { continue };
        let ends_s = x509_parser::pem::parse_x509_pem(&pem)
            .ok()
            .and_then(|(_, pem)| pem.parse_x509().ok().map(|certificate| certificate.validity().not_after.timestamp()));
        let Some(ends_s) = ends_s else {
            checks.push(Check::wrong(
                "certificate",
                [format!("pki/{name} không phải chứng thư"), format!("pki/{name} is no certificate")],
                ["Lấy lại tệp từ bản sao lưu", "Bring the file back from a backup"],
            ));
            continue;
        };
        let days = (ends_s - now.seconds()).div_euclid(86_400);
        let what =
            [format!("Chứng thư pki/{name} còn {days} ngày"), format!("Certificate pki/{name} has {days} days left")];
        checks.push(match days {
            days if days < 0 => Check::wrong(
                "certificate",
                what,
                [
                    "Đã hết hạn: tạo chứng thư mới, nếu không máy gửi sẽ bị từ chối",
                    "It has expired: make a new one, or senders are refused",
                ],
            ),
            days if days < CERTIFICATE_DAYS => Check::watch(
                "certificate",
                what,
                ["Sắp hết hạn: chuẩn bị gia hạn", "It ends soon: prepare to renew it"],
            ),
            _ => {
                let [vietnamese, english] = what;
                Check::fine("certificate", vietnamese, english)
            }
        });
    }
    checks
}
