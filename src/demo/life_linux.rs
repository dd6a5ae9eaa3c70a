//! Normal life of the Linux servers, the firewall, the name server and the recorders. In: random
//! numbers. Out: what sshd, sudo, cron, systemd, postfix, dovecot, dnsmasq, the kernel, auditd and the
//! recorders log on such a day.

use super::city::{self, HOSTS, Host, System};
use super::dice::Dice;
use super::life::{HOUR_MS, MINUTE_MS, office_moment, outside_address, public_moment, some_pc};
use super::tape::Tape;

const ADMINS: [(&str, &str); 3] = [("lvthanh", "10.45.0.105"), ("nqbao", "10.45.0.106"), ("ptthu", "10.45.0.107")];
const COMMANDS: [&str; 9] = [
    "/usr/bin/apt-get update",
    "/usr/bin/systemctl status nginx",
    "/usr/bin/systemctl reload nginx",
    "/usr/bin/journalctl -u nginx --since today",
    "/usr/bin/tail -n 200 /var/log/syslog",
    "/usr/bin/df -h",
    "/usr/sbin/ss -lntp",
    "/usr/bin/less /var/log/auth.log",
    "/usr/bin/systemctl restart php8.2-fpm",
];
const NAMES: [&str; 14] = [
    "www.donghoi.example",
    "vanban.donghoi.example",
    "motcua.donghoi.example",
    "thu.donghoi.example",
    "_ldap._tcp.dc._msdcs.donghoi.example",
    "time.windows.example",
    "update.windows.example",
    "baochi.example",
    "ocsp.chungthuc.example",
    "safebrowsing.trinhduyet.example",
    "thoitiet.example",
    "bando.example",
    "cdn-anh.baochi.example",
    "tai-lieu.example",
];

/// Writes the day.
pub fn play(dice: &mut Dice, tape: &mut Tape) {
    for host in HOSTS.iter().filter(|host| matches!(host.system, System::Linux | System::LinuxOld)) {
        cron(dice, tape, host);
        monitoring(dice, tape, host);
        services(dice, tape, host);
        auditing(dice, tape, host);
    }
    administration(dice, tape);
    backups(dice, tape);
    mail(dice, tape);
    names(dice, tape);
    firewall(dice, tape);
    recorders(dice, tape);
}

fn cron(dice: &mut Dice, tape: &mut Tape, host: &'static Host) {
    for slot in 0..144 {
        let ms = slot * 10 * MINUTE_MS + 5 * MINUTE_MS + dice.range(0, 1500);
        let pid = dice.range(2_000, 60_000);
        let opened = "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)";
        tape.syslog(ms, host, "CRON", Some(pid), opened);
        let job = "(root) CMD (command -v debian-sa1 > /dev/null && debian-sa1 1 1)";
        tape.syslog(ms + 4, host, "CRON", Some(pid + 1), job);
        tape.syslog(ms + 90, host, "CRON", Some(pid), "pam_unix(cron:session): session closed for user root");
        if slot % 6 == 1 {
            let hourly = "(root) CMD (cd / && run-parts --report /etc/cron.hourly)";
            tape.syslog(ms + 200, host, "CRON", Some(pid + 2), hourly);
        }
    }
    let rotated = 6 * HOUR_MS + 25 * MINUTE_MS + dice.range(0, 9_000);
    let daily = "(root) CMD (test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; })";
    tape.syslog(rotated, host, "CRON", Some(1_800), daily);
    tape.syslog(rotated + 800, host, "systemd", Some(1), "Starting logrotate.service - Rotate log files...");
    tape.syslog(rotated + 2_100, host, "systemd", Some(1), "logrotate.service: Deactivated successfully.");
    tape.syslog(rotated + 2_110, host, "systemd", Some(1), "Finished logrotate.service - Rotate log files.");
}

/// The monitoring server looks in every half hour, with a key.
fn monitoring(dice: &mut Dice, tape: &mut Tape, host: &'static Host) {
    for slot in 0..48 {
        let ms = slot * 30 * MINUTE_MS + dice.range(0, 20_000);
        signed_in(dice, tape, host, ms, ("giamsat", "10.45.0.61", "publickey"), 3_000);
    }
}

/// A session of sshd; `who` is the account, the address it comes from, and how it proves itself.
fn signed_in(dice: &mut Dice, tape: &mut Tape, host: &'static Host, ms: u64, who: (&str, &str, &str), stay_ms: u64) {
    let (user, from, how) = who;
    let (pid, port) = (dice.range(2_000, 60_000), dice.range(32_768, 61_000));
    let key = if how == "publickey" { ": ED25519 SHA256:q3N1dDJv0kq0gYbVZbq5oH6s7c0TzF2yXw8mE4aLrBs" } else { "" };
    let mut log = |ms, text: String| tape.syslog(ms, host, "sshd", Some(pid), &text);
    log(ms, format!("Accepted {how} for {user} from {from} port {port} ssh2{key}"));
    log(ms + 20, format!("pam_unix(sshd:session): session opened for user {user}(uid=1001) by (uid=0)"));
    log(ms + stay_ms, format!("Received disconnect from {from} port {port}:11: disconnected by user"));
    log(ms + stay_ms + 5, format!("pam_unix(sshd:session): session closed for user {user}"));
}

fn services(dice: &mut Dice, tape: &mut Tape, host: &'static Host) {
    for _ in 0..24 {
        let ms = dice.range(0, 24 * HOUR_MS - MINUTE_MS);
        let text = *dice.pick(&[
            "Started session-c12.scope - Session 12 of User giamsat.",
            "apt-daily.service: Deactivated successfully.",
            "Starting fstrim.service - Discard unused blocks on filesystems from /etc/fstab...",
            "man-db.service: Deactivated successfully.",
        ]);
        tape.syslog(ms, host, "systemd", Some(1), text);
    }
    for _ in 0..12 {
        let offset = dice.range(1, 900);
        let text = format!("Selected source 10.45.0.21 (dc-01.donghoi.example), offset 0.000{offset:03} s");
        tape.syslog(dice.range(0, 24 * HOUR_MS - MINUTE_MS), host, "chronyd", Some(701), &text);
    }
}

/// What auditd writes of ordinary work: jobs, sign-ins, a deployment.
fn auditing(dice: &mut Dice, tape: &mut Tape, host: &'static Host) {
    if host.system == System::LinuxOld {
        return;
    }
    for _ in 0..16 {
        let (ms, pid) = (dice.range(0, 24 * HOUR_MS - MINUTE_MS), dice.range(2_000, 60_000));
        let run = format!(
            "arch=c000003e syscall=59 success=yes exit=0 a0=55d0 a1=55d1 a2=55d2 a3=8 items=2 ppid=1 pid={pid} auid=4294967295 \
             uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=4294967295 comm=\"run-parts\" \
             exe=\"/usr/bin/run-parts\" subj=unconfined key=\"exec\""
        );
        tape.audit(ms, host, "SYSCALL", &run);
        tape.audit(ms, host, "EXECVE", "argc=3 a0=\"run-parts\" a1=\"--report\" a2=\"/etc/cron.hourly\"");
    }
    if host.name.starts_with("cong-tt") {
        for _ in 0..6 {
            let ms = office_moment(dice);
            let path = format!(
                "item=1 name=\"/var/www/html/static/anh-{}.jpg\" inode={} dev=08:01 mode=0100644 ouid=1005 ogid=1005 \
                 rdev=00:00 nametype=CREATE cap_fp=0",
                dice.range(100, 999),
                dice.range(100_000, 900_000)
            );
            tape.audit(ms, host, "PATH", &path);
        }
    }
}

/// Administrators come through the jump host, mistype now and then, and use sudo.
fn administration(dice: &mut Dice, tape: &mut Tape) {
    let servers: Vec<&'static Host> = HOSTS.iter().filter(|host| host.system == System::Linux).collect();
    for _ in 0..70 {
        let (user, desk) = *dice.pick(&ADMINS);
        let host = *dice.pick(&servers);
        let from = if host.name == "quantri-01" { desk } else { "10.45.0.10" };
        let ms = office_moment(dice);
        if dice.percent(12) {
            let port = dice.range(32_768, 61_000);
            let failed = format!("Failed password for {user} from {from} port {port} ssh2");
            tape.syslog(ms.saturating_sub(6_000), host, "sshd", Some(4_000), &failed);
        }
        let how = if dice.percent(70) { "publickey" } else { "password" };
        let stay_ms = dice.range(2, 40) * MINUTE_MS;
        signed_in(dice, tape, host, ms, (user, from, how), stay_ms);
        for turn in 0..dice.range(0, 4) {
            let (at, command) = (ms + 30_000 + turn * 25_000, *dice.pick(&COMMANDS));
            let text = format!("{user} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND={command}");
            tape.syslog(at, host, "sudo", Some(dice.range(2_000, 60_000)), &text);
            let opened = format!("pam_unix(sudo:session): session opened for user root(uid=0) by {user}(uid=1001)");
            tape.syslog(at + 2, host, "sudo", Some(5_000), &opened);
            tape.syslog(at + 900, host, "sudo", Some(5_000), "pam_unix(sudo:session): session closed for user root");
        }
    }
}

fn backups(dice: &mut Dice, tape: &mut Tape) {
    for (turn, name) in (0u64..).zip(["csdl-01", "csdl-02", "cong-tt-01", "vanban-01", "thu-01", "motcua-01"]) {
        let Some(host) = city::host(name) else { continue };
        let ms = HOUR_MS + turn * 20 * MINUTE_MS + dice.range(0, 30_000);
        signed_in(dice, tape, host, ms, ("saoluu", "10.45.20.41", "publickey"), 9 * MINUTE_MS);
        let done = format!("sao luu {name}: {} MB, 0 loi", dice.range(400, 9_000));
        if let Some(saver) = city::host("saoluu-01") {
            tape.syslog(ms + 9 * MINUTE_MS, saver, "saoluu", Some(2_222), &done);
        }
    }
}

fn mail(dice: &mut Dice, tape: &mut Tape) {
    let Some(host) = city::host("thu-01") else { return };
    for _ in 0..480 {
        let (ms, outside) = (public_moment(dice), outside_address(dice));
        let user = some_pc(dice).user;
        let queue = format!("4dF{:08X}", dice.range(0, 0xffff_ffff));
        let mut log =
            |late, program, text: String| tape.syslog(ms + late, host, program, Some(1_100 + late % 7), &text);
        log(0, "postfix/smtpd", format!("connect from mx.baochi.example[{outside}]"));
        log(90, "postfix/smtpd", format!("{queue}: client=mx.baochi.example[{outside}]"));
        log(140, "postfix/cleanup", format!("{queue}: message-id=<{queue}@baochi.example>"));
        let to = format!(
            "{queue}: to=<{user}@donghoi.example>, relay=virtual, delay=0.2, dsn=2.0.0, status=sent (delivered)"
        );
        log(300, "postfix/virtual", to);
        log(
            310,
            "postfix/smtpd",
            format!("disconnect from mx.baochi.example[{outside}] ehlo=1 mail=1 rcpt=1 data=1 quit=1"),
        );
    }
    for _ in 0..420 {
        let (ms, pc) = (office_moment(dice), some_pc(dice));
        let text = format!(
            "imap-login: Login: user=<{}>, method=PLAIN, rip={}, lip=10.45.10.25, mpid={}, TLS",
            pc.user,
            pc.ip,
            dice.range(2_000, 60_000)
        );
        tape.syslog(ms, host, "dovecot", Some(1_300), &text);
    }
}

fn names(dice: &mut Dice, tape: &mut Tape) {
    let Some(host) = city::host("dns-01") else { return };
    for _ in 0..2_600 {
        let (ms, pc) = (office_moment(dice), some_pc(dice));
        let name = *dice.pick(&NAMES);
        let kind = if dice.percent(15) { "AAAA" } else { "A" };
        tape.syslog(ms, host, "dnsmasq", Some(812), &format!("query[{kind}] {name} from {}", pc.ip));
        tape.syslog(
            ms + 3,
            host,
            "dnsmasq",
            Some(812),
            &format!("cached {name} is 203.0.113.{}", dice.range(100, 250)),
        );
    }
    for _ in 0..40 {
        let text = format!("query[TXT] donghoi.example from {}", "10.45.10.25");
        tape.syslog(public_moment(dice), host, "dnsmasq", Some(812), &text);
    }
}

fn firewall(dice: &mut Dice, tape: &mut Tape) {
    let Some(host) = city::host("tuonglua-01") else { return };
    for _ in 0..2_200 {
        let (ms, source) = (dice.range(0, 24 * HOUR_MS - MINUTE_MS), outside_address(dice));
        let port = *dice.pick(&[22u16, 23, 80, 445, 1433, 3389, 5060, 8080, 8443]);
        let text = format!(
            "[{}.{:06}] FW-DROP: IN=eth0 OUT= MAC=02:00:0a:2d:00:01:02:00:0a:2d:00:fe:08:00 SRC={source} DST=203.0.113.10 \
             LEN=44 TOS=0x00 PREC=0x00 TTL={} ID={} PROTO=TCP SPT={} DPT={port} WINDOW=1024 RES=0x00 SYN URGP=0",
            900_000 + ms / 1000,
            dice.range(0, 999_999),
            dice.range(38, 120),
            dice.range(1, 65_535),
            dice.range(1_024, 65_535)
        );
        tape.syslog(ms, host, "kernel", None, &text);
    }
}

fn recorders(dice: &mut Dice, tape: &mut Tape) {
    for host in HOSTS.iter().filter(|host| host.system == System::Recorder) {
        for slot in 0..96 {
            let ms = slot * 15 * MINUTE_MS + dice.range(0, 9_000);
            let text = format!("health: hdd=ok temp={} channels=32 online={}", dice.range(34, 47), dice.range(30, 33));
            tape.syslog(ms, host, "nvr", Some(340), &text);
        }
        for _ in 0..60 {
            let text = format!("motion: channel={} start", dice.range(1, 33));
            tape.syslog(public_moment(dice), host, "nvr", Some(340), &text);
        }
        for hour in [6, 14, 22] {
            let ms = hour * HOUR_MS + dice.range(0, MINUTE_MS);
            tape.syslog(ms, host, "nvr", Some(340), "login ok: user=trucban ip=10.45.60.100 via=client");
        }
    }
}
