//! Normal life of the city: who visits, who works, what runs by itself. In: a seed. Out: records on the
//! tape that no rule of ours may raise an alert for.
//!
//! The rhythm is that of an office: 07:30 to 11:30, lunch, 13:30 to 17:00, quiet evenings, jobs at night.

use super::city::{self, HOSTS, Host, System};
use super::dice::Dice;
use super::tape::{Tape, Visit};
use super::{life_linux, life_windows};

/// One minute in milliseconds.
pub const MINUTE_MS: u64 = 60_000;
/// One hour in milliseconds.
pub const HOUR_MS: u64 = 60 * MINUTE_MS;

/// How busy each hour of the day is for people outside: they come in the evening as well.
const PUBLIC: [u64; 24] = [2, 1, 1, 1, 1, 2, 4, 8, 13, 14, 12, 10, 6, 8, 13, 13, 11, 8, 6, 7, 8, 7, 5, 3];
/// How busy each hour is for people in the office.
const OFFICE: [u64; 24] = [0, 0, 0, 0, 0, 0, 1, 9, 16, 15, 14, 7, 1, 6, 15, 15, 13, 6, 1, 0, 0, 0, 0, 0];

const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 15; SM-A566B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
];

const PORTAL: [&str; 14] = [
    "/",
    "/tin-tuc/",
    "/tin-tuc/ke-hoach-dau-tu-cong-2026",
    "/van-ban/quyet-dinh?trang=2",
    "/thu-tuc/dang-ky-ket-hon",
    "/thu-tuc/cap-giay-phep-xay-dung",
    "/lich-cong-tac?tuan=48",
    "/tim-kiem?q=dat+dai",
    "/tim-kiem?q=tuy%E1%BB%83n+d%E1%BB%A5ng",
    "/static/css/chinh.css",
    "/static/js/chinh.js",
    "/uploads/2026/11/hoi-nghi.jpg",
    "/uploads/2026/11/thong-bao.pdf",
    "/favicon.ico",
];
const MISSING: [&str; 5] =
    ["/apple-touch-icon.png", "/static/img/cu.png", "/tin-tuc/bai-da-go", "/robots.txt", "/van-ban/2019/cv-112.pdf"];
const COUNTER: [&str; 8] = [
    "/ho-so/tra-cuu",
    "/ho-so/tiep-nhan",
    "/ho-so/danh-sach?trang=1",
    "/ho-so/0311/chi-tiet",
    "/bieu-mau/to-khai.docx",
    "/lich-hen?ngay=24",
    "/thong-ke/thang",
    "/static/js/motcua.js",
];
const DOCUMENTS: [&str; 7] = [
    "/vanban/den",
    "/vanban/di",
    "/vanban/den/20261123-0412",
    "/vanban/tim?q=kinh+phi",
    "/vanban/tai-ve/20261120-0077.pdf",
    "/vanban/tai-ve/20261118-0031.docx",
    "/vanban/lich-hop",
];

/// Writes the whole of normal life.
pub fn play(seed: u64, tape: &mut Tape) {
    let dice = &mut Dice::new(seed, "web");
    visits(dice, tape);
    life_linux::play(&mut Dice::new(seed, "linux"), tape);
    life_windows::play(&mut Dice::new(seed, "windows"), tape);
}

/// A moment of a day as busy as `hours` say, in milliseconds after midnight.
fn moment(dice: &mut Dice, hours: &[u64; 24]) -> u64 {
    let mut ticket = dice.range(0, hours.iter().sum());
    let mut hour_ms = 0;
    for weight in hours {
        if ticket < *weight {
            break;
        }
        ticket -= weight;
        hour_ms += HOUR_MS;
    }
    hour_ms + dice.range(0, HOUR_MS)
}

/// A moment at which people outside are about.
pub fn public_moment(dice: &mut Dice) -> u64 {
    moment(dice, &PUBLIC)
}

/// A moment at which people in the office are about.
pub fn office_moment(dice: &mut Dice) -> u64 {
    moment(dice, &OFFICE)
}

/// Somebody outside; the addresses below 100 of each block are kept for the stories.
pub fn outside_address(dice: &mut Dice) -> String {
    let block = *dice.pick(&["192.0.2", "198.51.100", "203.0.113"]);
    format!("{block}.{}", dice.range(100, 251))
}

/// Some PC of the city.
pub fn some_pc(dice: &mut Dice) -> &'static Host {
    let pcs: Vec<&'static Host> = HOSTS.iter().filter(|host| host.system == System::WindowsPc).collect();
    dice.pick::<&'static Host>(&pcs)
}

fn visits(dice: &mut Dice, tape: &mut Tape) {
    for (name, count) in [("cong-tt-01", 5_200), ("cong-tt-02", 2_600)] {
        if let Some(host) = city::host(name) {
            (0..count).for_each(|_| public_visit(dice, tape, host));
        }
    }
    for (name, paths, count) in [("motcua-01", COUNTER.as_slice(), 2_600), ("vanban-01", DOCUMENTS.as_slice(), 2_800)] {
        if let Some(host) = city::host(name) {
            (0..count).for_each(|_| staff_visit(dice, tape, host, paths));
        }
    }
}

fn public_visit(dice: &mut Dice, tape: &mut Tape, host: &'static Host) {
    let client = outside_address(dice);
    let (path, status) = match dice.range(0, 1000) {
        0..20 => (*dice.pick(&MISSING), 404),
        20..60 => (*dice.pick(&PORTAL), 304),
        60..64 => ("/tim-kiem?q=", 500),
        _ => (*dice.pick(&PORTAL), 200),
    };
    let bytes = if status == 200 { dice.range(900, 96_000) } else { 162 };
    let visit = Visit {
        client: &client,
        user: "-",
        request: &format!("GET {path} HTTP/1.1"),
        status,
        bytes,
        referrer: "-",
        agent: dice.pick::<&str>(&AGENTS),
    };
    tape.visit(public_moment(dice), host, &visit);
}

fn staff_visit(dice: &mut Dice, tape: &mut Tape, host: &'static Host, paths: &[&str]) {
    let pc = some_pc(dice);
    let path = *dice.pick(paths);
    let method = if path.ends_with("tiep-nhan") { "POST" } else { "GET" };
    let status = if dice.percent(1) { 404 } else { 200 };
    let bytes = if path.contains("tai-ve") { dice.range(40_000, 2_600_000) } else { dice.range(700, 48_000) };
    let visit = Visit {
        client: pc.ip,
        user: pc.user,
        request: &format!("{method} {path} HTTP/1.1"),
        status,
        bytes,
        referrer: "-",
        agent: AGENTS[0],
    };
    tape.visit(office_moment(dice), host, &visit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_in_the_office_at_night() {
        let mut dice = Dice::new(1, "test");
        assert!((0..2_000).map(|_| office_moment(&mut dice)).all(|ms| (6 * HOUR_MS..19 * HOUR_MS).contains(&ms)));
        assert!((0..2_000).map(|_| public_moment(&mut dice)).any(|ms| ms < 5 * HOUR_MS));
    }
}
