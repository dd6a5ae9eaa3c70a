//! Normal life of the Windows servers and PCs. In: random numbers. Out: sign-ins, processes, names
//! asked for, shares, services, tasks, registry values and scripts as an ordinary day brings them,
//! among them the ordinary forms of what rules look for.

use serde_json::{Map, Value as Json};

use super::city::{self, HOSTS, Host, System};
use super::dice::Dice;
use super::life::{HOUR_MS, MINUTE_MS, office_moment, some_pc};
use super::tape::{Tape, WindowsHead};

const SECURITY: (&str, &str) = ("Security", "Microsoft-Windows-Security-Auditing");
const SYSTEM: (&str, &str) = ("System", "Service Control Manager");
const SYSMON: (&str, &str) = ("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon");
const POWERSHELL: (&str, &str) = ("Microsoft-Windows-PowerShell/Operational", "Microsoft-Windows-PowerShell");
const DEFENDER: (&str, &str) = ("Microsoft-Windows-Windows Defender/Operational", "Microsoft-Windows-Windows Defender");

/// What people start: image, command line, parent.
const PROGRAMS: [(&str, &str, &str); 8] = [
    (
        r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE",
        r#""C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE" /n "D:\CongVan\to-trinh.docx""#,
        r"C:\Windows\explorer.exe",
    ),
    (
        r"C:\Program Files\Microsoft Office\root\Office16\EXCEL.EXE",
        r#""C:\Program Files\Microsoft Office\root\Office16\EXCEL.EXE" "D:\CongVan\du-toan.xlsx""#,
        r"C:\Windows\explorer.exe",
    ),
    (
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
        r#""C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe" --profile-directory=Default"#,
        r"C:\Windows\explorer.exe",
    ),
    (r"C:\Program Files\UniKey\UniKeyNT.exe", r#""C:\Program Files\UniKey\UniKeyNT.exe""#, r"C:\Windows\explorer.exe"),
    (r"C:\Windows\System32\notepad.exe", r#""C:\Windows\System32\notepad.exe""#, r"C:\Windows\explorer.exe"),
    (
        r"C:\Windows\splwow64.exe",
        r"C:\Windows\splwow64.exe 12288",
        r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE",
    ),
    (
        r"C:\Windows\System32\svchost.exe",
        r"C:\Windows\system32\svchost.exe -k netsvcs -p -s Schedule",
        r"C:\Windows\System32\services.exe",
    ),
    (
        r"C:\Windows\System32\rundll32.exe",
        r"C:\Windows\system32\rundll32.exe C:\Windows\System32\shell32.dll,SHCreateLocalServerRunDll",
        r"C:\Windows\System32\svchost.exe",
    ),
];

/// Writes the day.
pub fn play(dice: &mut Dice, tape: &mut Tape) {
    for host in HOSTS.iter().filter(|host| host.system == System::WindowsPc) {
        desk(dice, tape, host);
    }
    for host in HOSTS.iter().filter(|host| host.system == System::WindowsServer) {
        machine(dice, tape, host);
    }
    domain(dice, tape);
    shares(dice, tape);
    administration(dice, tape);
}

fn data(pairs: &[(&str, &str)]) -> Map<String, Json> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Json::String((*value).to_owned()))).collect()
}

fn log(tape: &mut Tape, ms: u64, host: &'static Host, from: (&str, &str), code: u64, pairs: &[(&str, &str)]) {
    tape.windows(ms, host, WindowsHead { channel: from.0, provider: from.1, code }, data(pairs));
}

/// A process started, as Sysmon tells it.
fn started(dice: &mut Dice, tape: &mut Tape, ms: u64, host: &'static Host, program: (&str, &str, &str), user: &str) {
    let (image, command, parent) = program;
    let (pid, parent_pid) = (dice.range(1_000, 15_000).to_string(), dice.range(1_000, 15_000).to_string());
    let user = format!("DONGHOI\\{user}");
    let pairs = [
        ("Image", image),
        ("CommandLine", command),
        ("CurrentDirectory", r"C:\Windows\system32\"),
        ("User", &user),
        ("ProcessId", &pid),
        ("IntegrityLevel", "Medium"),
        ("ParentImage", parent),
        ("ParentProcessId", &parent_pid),
    ];
    log(tape, ms, host, SYSMON, 1, &pairs);
}

fn logon(dice: &mut Dice, tape: &mut Tape, ms: u64, host: &'static Host, who: (&str, &str, &str)) {
    let (user, kind, from) = who;
    let id = format!("0x{:x}", dice.range(0x10_0000, 0xffff_ffff));
    let port = dice.range(49_152, 65_000).to_string();
    let on = [
        ("TargetUserName", user),
        ("TargetDomainName", "DONGHOI"),
        ("TargetLogonId", id.as_str()),
        ("LogonType", kind),
        ("LogonProcessName", "Kerberos"),
        ("AuthenticationPackageName", "Kerberos"),
        ("WorkstationName", "-"),
        ("IpAddress", from),
        ("IpPort", &port),
    ];
    log(tape, ms, host, SECURITY, 4624, &on);
    let off = [
        ("TargetUserName", user),
        ("TargetDomainName", "DONGHOI"),
        ("TargetLogonId", id.as_str()),
        ("LogonType", kind),
    ];
    log(tape, ms + dice.range(20, 90) * 1_000, host, SECURITY, 4634, &off);
}

/// A PC and the person at it.
fn desk(dice: &mut Dice, tape: &mut Tape, host: &'static Host) {
    let morning = 7 * HOUR_MS + dice.range(5, 50) * MINUTE_MS;
    if dice.percent(30) {
        let wrong = [
            ("TargetUserName", host.user),
            ("TargetDomainName", "DONGHOI"),
            ("LogonType", "2"),
            ("Status", "0xc000006d"),
            ("SubStatus", "0xc000006a"),
            ("IpAddress", "127.0.0.1"),
        ];
        log(tape, morning - 9_000, host, SECURITY, 4625, &wrong);
    }
    logon(dice, tape, morning, host, (host.user, "2", "127.0.0.1"));
    for _ in 0..8 {
        let ms = office_moment(dice);
        logon(dice, tape, ms, host, (host.user, "7", "127.0.0.1"));
    }
    for _ in 0..46 {
        let (ms, program) = (office_moment(dice), *dice.pick(&PROGRAMS));
        started(dice, tape, ms, host, program, host.user);
    }
    for _ in 0..60 {
        let name = *dice.pick(&[
            "vanban.donghoi.example",
            "www.baochi.example",
            "cdn-anh.baochi.example",
            "thoitiet.example",
            "thu.donghoi.example",
        ]);
        let pairs = [("Image", PROGRAMS[2].0), ("QueryName", name), ("QueryStatus", "0"), ("User", host.user)];
        log(tape, office_moment(dice), host, SYSMON, 22, &pairs);
    }
    for _ in 0..6 {
        let file = format!(r"C:\Users\{}\AppData\Local\Temp\~DF{:08X}.tmp", host.user, dice.range(0, 0xffff_ffff));
        log(tape, office_moment(dice), host, SYSMON, 11, &[("Image", PROGRAMS[0].0), ("TargetFilename", &file)]);
    }
    protected(dice, tape, host);
    let run = [
        ("EventType", "SetValue"),
        ("Image", r"C:\Program Files\UniKey\UniKeyNT.exe"),
        ("TargetObject", r"HKU\S-1-5-21-1004\Software\Microsoft\Windows\CurrentVersion\Run\UniKey"),
        ("Details", r"C:\Program Files\UniKey\UniKeyNT.exe"),
    ];
    log(tape, morning + MINUTE_MS, host, SYSMON, 13, &run);
}

/// Defender at work: it updates, scans, and opens the memory of lsass, as it may.
fn protected(dice: &mut Dice, tape: &mut Tape, host: &'static Host) {
    let update =
        [("Product Name", "Microsoft Defender Antivirus"), ("Current security intelligence Version", "1.441.210.0")];
    log(tape, 11 * HOUR_MS + dice.range(0, HOUR_MS), host, DEFENDER, 2000, &update);
    log(tape, 12 * HOUR_MS + dice.range(0, HOUR_MS), host, DEFENDER, 1001, &[("Scan Type", "Antimalware")]);
    let pairs = [
        ("SourceImage", r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.25100.9-0\MsMpEng.exe"),
        ("TargetImage", r"C:\Windows\system32\lsass.exe"),
        ("GrantedAccess", "0x1fffff"),
        ("CallTrace", r"C:\Windows\SYSTEM32\ntdll.dll+9d4c4"),
    ];
    log(tape, 12 * HOUR_MS + dice.range(0, HOUR_MS), host, SYSMON, 10, &pairs);
    let csrss = [
        ("SourceImage", r"C:\Windows\system32\csrss.exe"),
        ("TargetImage", r"C:\Windows\system32\lsass.exe"),
        ("GrantedAccess", "0x1000"),
        ("CallTrace", r"C:\Windows\SYSTEM32\ntdll.dll+9d4c4"),
    ];
    log(tape, 7 * HOUR_MS + dice.range(0, HOUR_MS), host, SYSMON, 10, &csrss);
}

/// A Windows server by itself: services, the agent, updates.
fn machine(dice: &mut Dice, tape: &mut Tape, host: &'static Host) {
    for _ in 0..40 {
        let name =
            *dice.pick(&["Windows Update", "Background Intelligent Transfer Service", "Windows Modules Installer"]);
        let state = *dice.pick(&["running", "stopped"]);
        log(tape, dice.range(0, 23 * HOUR_MS), host, SYSTEM, 7036, &[("param1", name), ("param2", state)]);
    }
    for _ in 0..30 {
        let program = (
            r"C:\Windows\System32\wbem\WmiPrvSE.exe",
            r"C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding",
            r"C:\Windows\System32\svchost.exe",
        );
        let ms = dice.range(0, 23 * HOUR_MS);
        started(dice, tape, ms, host, program, "SYSTEM");
    }
    for _ in 0..60 {
        let ms = dice.range(0, 23 * HOUR_MS);
        logon(dice, tape, ms, host, ("svc-giamsat", "3", "10.45.0.61"));
    }
    let service = [
        ("ServiceName", "Edge Update"),
        ("ImagePath", r#""C:\Program Files (x86)\Microsoft\EdgeUpdate\MicrosoftEdgeUpdate.exe" /svc"#),
        ("ServiceType", "user mode service"),
        ("StartType", "auto start"),
        ("AccountName", "LocalSystem"),
    ];
    log(tape, 4 * HOUR_MS + dice.range(0, HOUR_MS), host, SYSTEM, 7045, &service);
    let task = [
        ("SubjectUserName", "SYSTEM"),
        ("TaskName", r"\Microsoft\EdgeUpdateTask"),
        (
            "TaskContent",
            r"<Task><Actions><Exec><Command>C:\Program Files (x86)\Microsoft\EdgeUpdate\MicrosoftEdgeUpdate.exe</Command></Exec></Actions></Task>",
        ),
    ];
    log(tape, 4 * HOUR_MS + dice.range(0, HOUR_MS), host, SECURITY, 4698, &task);
    protected(dice, tape, host);
}

/// The domain controllers: tickets and sign-ins of everyone.
fn domain(dice: &mut Dice, tape: &mut Tape) {
    for name in ["DC-01", "DC-02"] {
        let Some(host) = city::host(name) else { continue };
        for _ in 0..420 {
            let (pc, ms) = (some_pc(dice), office_moment(dice));
            let address = format!("::ffff:{}", pc.ip);
            let ticket = [
                ("TargetUserName", pc.user),
                ("TargetDomainName", "DONGHOI"),
                ("ServiceName", "krbtgt"),
                ("TicketEncryptionType", "0x12"),
                ("Status", "0x0"),
                ("IpAddress", address.as_str()),
            ];
            log(tape, ms, host, SECURITY, 4768, &ticket);
            let service = [
                ("TargetUserName", pc.user),
                ("ServiceName", "TEP-01$"),
                ("TicketEncryptionType", "0x12"),
                ("Status", "0x0"),
                ("IpAddress", address.as_str()),
            ];
            log(tape, ms + 40, host, SECURITY, 4769, &service);
            logon(dice, tape, ms + 60, host, (pc.user, "3", pc.ip));
        }
    }
}

/// The file server: people open documents.
fn shares(dice: &mut Dice, tape: &mut Tape) {
    let Some(host) = city::host("TEP-01") else { return };
    for _ in 0..1_100 {
        let pc = some_pc(dice);
        let file = format!(r"PhongBan\{}\bao-cao-{}.xlsx", pc.user, dice.range(1, 60));
        let pairs = [
            ("SubjectUserName", pc.user),
            ("SubjectDomainName", "DONGHOI"),
            ("ObjectType", "File"),
            ("IpAddress", pc.ip),
            ("ShareName", r"\\*\DuLieu"),
            ("RelativeTargetName", file.as_str()),
            ("AccessMask", "0x120089"),
        ];
        log(tape, office_moment(dice), host, SECURITY, 5145, &pairs);
    }
}

/// The Windows administrator's scripts.
fn administration(dice: &mut Dice, tape: &mut Tape) {
    const SCRIPTS: [&str; 5] = [
        "Get-Service | Where-Object Status -eq 'Stopped' | Format-Table Name, StartType",
        "Get-ADUser -Filter * -Properties LastLogonDate | Export-Csv D:\\BaoCao\\tai-khoan.csv -NoTypeInformation",
        "Get-EventLog -LogName System -Newest 50",
        "Restart-Service -Name Spooler",
        "Get-Volume | Select-Object DriveLetter, SizeRemaining",
    ];
    for name in ["DC-01", "UNGDUNG-01", "SAOLUU-WIN"] {
        let Some(host) = city::host(name) else { continue };
        for _ in 0..14 {
            let (ms, script) = (office_moment(dice), *dice.pick(&SCRIPTS));
            let program = (
                r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
                r"powershell.exe -NoProfile -File D:\QuanTri\kiem-tra.ps1",
                r"C:\Windows\explorer.exe",
            );
            started(dice, tape, ms, host, program, "nqbao-qt");
            let block = [
                ("ScriptBlockText", script),
                ("Path", r"D:\QuanTri\kiem-tra.ps1"),
                ("MessageNumber", "1"),
                ("MessageTotal", "1"),
            ];
            log(tape, ms + 700, host, POWERSHELL, 4104, &block);
        }
    }
}
