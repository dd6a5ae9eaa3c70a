//! What the machine says: room on the disk, rights, the clock, ports, the kernel's buffers for UDP. Linux; elsewhere what cannot
//! be looked at is said so.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use nhatle_event::{Clock, SystemClock};
use nhatle_storage::Disk;
use nhatle_storage::manifest::Manifest;

use super::{Check, bytes};
use crate::config::Config;
use crate::retention::forecast::forecast;

/// Fewer days than this are wrong, fewer than that are to be watched.
const DAYS_WRONG: u64 = 7;
const DAYS_WATCH: u64 = 60;
/// The disk has at least so much room.
const FREE_BYTES_MIN: u64 = 2 << 30;
/// How much the kernel should give a socket.
const RECEIVE_BYTES: u64 = 8 << 20;

/// Room, and for how many days it is enough at the pace of the last week.
pub fn disk_room(data: &Path, disk: &dyn Disk) -> Check {
    let free = match disk.free_bytes().or_else(|error| free_by_df(data).ok_or(error)) {
        Ok(free) => free,
        Err(error) => {
            return Check::watch(
                "disk",
                [format!("Không đo được chỗ trống: {error}"), format!("Room not measured: {error}")],
                ["Xem bằng lệnh df", "Look with df"],
            );
        }
    };
    // A damaged manifest is said where the store is opened.
    let segments = Manifest::newest(disk).map(|manifest| manifest.segments).unwrap_or_default();
    let left = forecast(segments.iter(), Some(free), SystemClock.now()).days_left;
    let what = [
        format!(
            "Ổ đĩa còn {}{}",
            bytes(free),
            left.map_or(String::new(), |left| format!(", đủ khoảng {left} ngày với tốc độ tuần qua"))
        ),
        format!(
            "The disk has {} left{}",
            bytes(free),
            left.map_or(String::new(), |left| format!(", enough for some {left} days at last week's pace"))
        ),
    ];
    let todo = [
        "Thêm ổ đĩa hoặc chuyển kho sang ổ lớn hơn trước khi đầy",
        "Add a disk or move the store to a larger one before it is full",
    ];
    match left {
        _ if free < FREE_BYTES_MIN => Check::wrong("disk", what, todo),
        Some(left) if left < DAYS_WRONG => Check::wrong("disk", what, todo),
        Some(left) if left < DAYS_WATCH => Check::watch("disk", what, todo),
        _ => {
            let [vietnamese, english] = what;
            Check::fine("disk", vietnamese, english)
        }
    }
}

/// What `df` says is free (POSIX form, in KiB), where the disk itself does not say it.
fn free_by_df(data: &Path) -> Option<u64> {
    let output = std::process::Command::new("df").arg("-Pk").arg("--").arg(data).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok().map(|kib| kib.saturating_mul(1024))
}

/// Whether others may read the data, or keys.
pub fn permissions(data: &Path) -> Check {
    use std::os::unix::fs::MetadataExt as _;
    let mut open = Vec::new();
    for (path, mask) in [("", 0o007), ("register.sqlite", 0o007), ("pki/ca.key", 0o077), ("pki/server.key", 0o077)] {
        let path = if path.is_empty() { data.to_owned() } else { data.join(path) };
        if let Ok(meta) = std::fs::metadata(&path)
            && meta.mode() & mask != 0
        {
            open.push(format!("{} ({:o})", path.display(), meta.mode() & 0o777));
        }
    }
    if open.is_empty() {
        return Check::fine(
            "permissions",
            "Chỉ chủ sở hữu đọc được dữ liệu và khóa".to_owned(),
            "Only their owner reads data and keys".to_owned(),
        );
    }
    let is_key = open.iter().any(|path| path.contains(".key"));
    let what = [format!("Người khác đọc được: {}", open.join(", ")), format!("Others may read: {}", open.join(", "))];
    let todo = ["chmod -R o= THƯ_MỤC; chmod 600 pki/*.key", "chmod -R o= DIR; chmod 600 pki/*.key"];
    if is_key { Check::wrong("permissions", what, todo) } else { Check::watch("permissions", what, todo) }
}

/// Whether something keeps the clock right.
pub fn clock() -> Check {
    let is_synchronized = Path::new("/run/systemd/timesync/synchronized").exists();
    let keepers = ["chronyd", "ntpd", "systemd-timesyn", "openntpd"];
    let runs = |name: &str| keepers.contains(&name);
    let mut processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_kept = processes
        .any(|process| std::fs::read_to_string(process.path().join("comm")).is_ok_and(|name| runs(name.trim())));
    if is_synchronized || is_kept {
        return Check::fine(
            "clock",
            "Đồng hồ máy chủ được đồng bộ".to_owned(),
            "The server's clock is kept in step".to_owned(),
        );
    }
    Check::watch(
        "clock",
        [
            "Không thấy chương trình đồng bộ giờ (chrony, systemd-timesyncd)".to_owned(),
            "No program keeps the clock in step (chrony, systemd-timesyncd)".to_owned(),
        ],
        [
            "Cài chrony và trỏ tới máy chủ giờ quốc gia (vn.pool.ntp.org hoặc của đơn vị); trong container thì xem ở máy chủ bên ngoài",
            "Install chrony and point it to a time server; inside a container look at its host",
        ],
    )
}

/// Whether the addresses of the configuration are free, where no server runs on this folder.
pub fn ports(disk: &dyn Disk, config: &Config) -> Check {
    match disk.lock(nhatle_storage::store::LOCK) {
        Ok(Some(lock)) => drop(lock),
        Ok(None) => {
            return Check::fine(
                "ports",
                "Máy chủ đang chạy trên thư mục này".to_owned(),
                "A server runs on this folder".to_owned(),
            );
        }
        Err(error) => {
            return Check::watch(
                "ports",
                [format!("Không thử được cổng: {error}"), format!("Ports not tried: {error}")],
                ["", ""],
            );
        }
    }
    let tcp = [Some(config.http), config.syslog_tcp, config.relp, config.gelf_tcp, config.elastic];
    let udp = [config.syslog_udp, config.gelf_udp];
    let is_taken_tcp = |at: &SocketAddr| TcpListener::bind(at).is_err();
    let is_taken_udp = |at: &SocketAddr| UdpSocket::bind(at).is_err();
    let mut taken: Vec<String> = tcp.into_iter().flatten().filter(is_taken_tcp).map(|at| format!("{at}/tcp")).collect();
    taken.extend(udp.into_iter().flatten().filter(is_taken_udp).map(|at| format!("{at}/udp")));
    if taken.is_empty() {
        return Check::fine(
            "ports",
            "Máy chủ không chạy; các cổng đều còn trống".to_owned(),
            "No server runs; its ports are free".to_owned(),
        );
    }
    Check::wrong(
        "ports",
        [
            format!("Máy chủ không chạy, mà cổng đã bị chiếm hoặc không được phép mở: {}", taken.join(", ")),
            format!("No server runs, and ports are taken or not allowed: {}", taken.join(", ")),
        ],
        [
            "Xem ai chiếm: ss -lntup; hoặc đổi cổng trong cấu hình",
            "See who has them: ss -lntup; or change the configuration",
        ],
    )
}

/// Whether the kernel drops datagrams, and how much it gives a socket.
pub fn udp_buffers() -> Check {
    let most =
        std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let dropped = std::fs::read_to_string("/proc/net/snmp").ok().and_then(|text| receive_errors(&text));
    let (Some(most), Some(dropped)) = (most, dropped) else {
        return Check::watch(
            "udp",
            ["Không xem được bộ đệm UDP của nhân".to_owned(), "The kernel's UDP buffers cannot be seen".to_owned()],
            ["", ""],
        );
    };
    let what = [
        format!("Nhân đã bỏ {dropped} gói UDP từ khi khởi động (mọi chương trình); bộ đệm tối đa {}", bytes(most)),
        format!(
            "The kernel has dropped {dropped} UDP datagrams since boot (of all programs); buffers up to {}",
            bytes(most)
        ),
    ];
    if RECEIVE_BYTES <= most && dropped == 0 {
        let [vietnamese, english] = what;
        return Check::fine("udp", vietnamese, english);
    }
    Check::watch(
        "udp",
        what,
        [
            "sysctl -w net.core.rmem_max=67108864 (ghi vào /etc/sysctl.d), hoặc chuyển nguồn quan trọng sang TCP/RELP",
            "sysctl -w net.core.rmem_max=67108864 (and into /etc/sysctl.d), or move important sources to TCP or RELP",
        ],
    )
}

/// `RcvbufErrors` of `/proc/net/snmp`: a line of names and a line of numbers.
fn receive_errors(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
    let place = lines.next()?.split_whitespace().position(|name| name == "RcvbufErrors")?;
    lines.next()?.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_kernel_are_read_by_name() {
        let text = "Ip: A B\nIp: 1 2\nUdp: InDatagrams NoPorts RcvbufErrors\nUdp: 10 20 30\nUdpLite: X\nUdpLite: 0\n";
        assert_eq!(receive_errors(text), Some(30));
        assert_eq!(receive_errors("Udp: A\n"), None);
    }
}
