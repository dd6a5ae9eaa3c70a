//! Lines of real sources by profile. In: the corpus. Out: for each profile that has lines there, its lines.

use std::path::{Path, PathBuf};

use nhatle_collector::listen::file::files_below;

/// Of each profile so many lines are used.
const LINES_MAX: usize = 2_000;

/// A profile, where its lines are in the corpus, and how the names of the files end.
const PLACES: [(&str, &[&str], &str); 13] = [
    ("linux", &["loghub/Linux"], "_2k.log"),
    ("sshd", &["loghub/OpenSSH"], "_2k.log"),
    ("auditd", &["ecs/beats/apache-2.0/auditd"], ".log"),
    ("windows", &["sigma/regression_data"], ".json"),
    ("sysmon", &["sigma/regression_data"], ".json"),
    ("nginx", &["ecs/beats/apache-2.0/nginx/access"], ".log"),
    ("fortigate", &["ecs/beats/elastic-license/fortinet/firewall"], ".log"),
    ("cisco_asa", &["ecs/beats/elastic-license/cisco/asa"], ".log"),
    ("mikrotik", &["crowdsec-hub/mikrotik-logs"], ".log"),
    ("paloalto", &["ecs/beats/elastic-license/panw/panos"], ".log"),
    ("sophos", &["ecs/beats/elastic-license/sophos/xg"], ".log"),
    ("suricata", &["ecs/beats/elastic-license/suricata/eve"], ".log"),
    ("zeek", &["ecs/beats/elastic-license/zeek"], "-json.log"),
];

/// See the module.
pub fn by_profile() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let Some(corpus) = std::env::var_os("NHATLE_CORPUS").map(PathBuf::from) else {
        eprintln!("stages: NHATLE_CORPUS names no corpus");
        return Vec::new();
    };
    let of = |(profile, folders, ending): (&'static str, &[&str], &str)| {
        let folders: Vec<PathBuf> = folders.iter().map(|folder| corpus.join(folder)).collect();
        let mut files = files_below(&folders).unwrap_or_default();
        files.retain(|path| path.to_str().is_some_and(|path| path.ends_with(ending)));
        let lines =
            files.iter().flat_map(|path| if ending == ".json" { documents(path, profile) } else { lines(path) });
        (profile, lines.take(LINES_MAX).collect())
    };
    PLACES.into_iter().map(of).filter(|(_, lines): &(_, Vec<_>)| !lines.is_empty()).collect()
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).map(<[u8]>::to_vec).collect()
}

/// A file that is one record of Windows, on one line as a shipper sends it: Sysmon's for that profile, the others for the other.
fn documents(path: &Path, profile: &str) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let is_wanted = text.contains("Microsoft-Windows-Sysmon") == (profile == "sysmon");
    let documents = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
    documents.map_while(Result::ok).filter(|_| is_wanted).map(|one| one.to_string().into_bytes()).collect()
}
