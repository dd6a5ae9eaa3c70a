//! Windows rules tied to channel and event id, made from a tree of rules at run time: what engines that wake every
//! rule of a channel are slow at.
//!
//! In: the folder of rules. Out: the texts of those whose log source says which channel and event id it is, with the
//! two as one more search. A condition over `them` would take the new search in, so such rules are left out, as are
//! conditions over several lines. Nothing is kept; `NHATLE_BENCH_TIED` names a folder to write them to for a peer.

use std::path::{Path, PathBuf};

const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";

/// What a category or service of Sigma is on Windows.
const SOURCES: [(&str, &str, Option<&str>); 20] = [
    ("category: process_creation", SYSMON, Some("1")),
    ("category: file_change", SYSMON, Some("2")),
    ("category: network_connection", SYSMON, Some("3")),
    ("category: driver_load", SYSMON, Some("6")),
    ("category: image_load", SYSMON, Some("7")),
    ("category: create_remote_thread", SYSMON, Some("8")),
    ("category: raw_access_thread", SYSMON, Some("9")),
    ("category: process_access", SYSMON, Some("10")),
    ("category: file_event", SYSMON, Some("11")),
    ("category: registry_set", SYSMON, Some("13")),
    ("category: create_stream_hash", SYSMON, Some("15")),
    ("category: pipe_created", SYSMON, Some("17")),
    ("category: wmi_event", SYSMON, Some("20")),
    ("category: dns_query", SYSMON, Some("22")),
    ("category: file_delete", SYSMON, Some("23")),
    ("category: ps_script", "Microsoft-Windows-PowerShell/Operational", Some("4104")),
    ("service: security", "Security", None),
    ("service: system", "System", None),
    ("service: application", "Application", None),
    ("service: powershell", "Microsoft-Windows-PowerShell/Operational", None),
];

/// See the module.
pub fn texts(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    collect(folder, &mut texts);
    texts.sort();
    if let Some(kept) = std::env::var_os("NHATLE_BENCH_TIED") {
        std::fs::create_dir_all(&kept).unwrap();
        for (name, text) in &texts {
            std::fs::write(Path::new(&kept).join(name), text).unwrap();
        }
    }
    texts
}

fn collect(folder: &Path, texts: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, texts);
        } else if path.extension().is_some_and(|end| end == "yml") {
            let name = PathBuf::from(path.file_name().unwrap());
            let text = std::fs::read_to_string(&path).unwrap();
            texts.extend(tied(&text).map(|text| (name, text)));
        }
    }
}

fn tied(text: &str) -> Option<String> {
    let line = |wanted: &str| text.lines().find(|line| line.trim() == wanted);
    let (source, channel, code) = SOURCES.iter().find(|(source, ..)| line(source).is_some())?;
    let condition = text.lines().find(|line| line.trim_start().starts_with("condition:"))?;
    let (before, asked) = condition.split_once("condition:")?;
    if asked.contains("them") || asked.trim().is_empty() || asked.contains('|') || asked.contains('#') {
        return None;
    }
    let code = code.map(|code| format!("{before}    EventID: {code}\n")).unwrap_or_default();
    let search = format!("{before}tied_to:\n{before}    Channel: '{channel}'\n{code}");
    let text = text.replace(condition, &format!("{search}{before}condition: tied_to and ({})", asked.trim()));
    // Without the category every rule of Windows is behind one door.
    Some(text.replace(&format!("{}\n", line(source)?), ""))
}
