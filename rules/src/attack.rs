//! The tactics of MITRE ATT&CK (Enterprise, version 17) behind Sigma's tags.
//!
//! In: a rule's tags (`attack.t1110.001`, `attack.credential-access`, older `attack.credential_access`).
//! Out: tactics with id and name in both languages, and technique ids. Tags that are neither are left out.
//! Source: https://attack.mitre.org/tactics/enterprise/ (names and ids); translations are ours.

/// One tactic: what an attacker wants to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tactic {
    /// `TA0006`
    pub id: &'static str,
    /// The name in a Sigma tag, with dashes: `credential-access`.
    pub tag: &'static str,
    /// ATT&CK's name.
    pub name: &'static str,
    /// The name in Vietnamese.
    pub name_vi: &'static str,
}

const fn tactic(id: &'static str, tag: &'static str, name: &'static str, name_vi: &'static str) -> Tactic {
    Tactic { id, tag, name, name_vi }
}

/// The fourteen tactics, in the order of an attack.
pub const TACTICS: [Tactic; 14] = [
    tactic("TA0043", "reconnaissance", "Reconnaissance", "Trinh sát"),
    tactic("TA0042", "resource-development", "Resource Development", "Chuẩn bị nguồn lực"),
    tactic("TA0001", "initial-access", "Initial Access", "Xâm nhập ban đầu"),
    tactic("TA0002", "execution", "Execution", "Thực thi mã"),
    tactic("TA0003", "persistence", "Persistence", "Duy trì hiện diện"),
    tactic("TA0004", "privilege-escalation", "Privilege Escalation", "Leo thang đặc quyền"),
    tactic("TA0005", "defense-evasion", "Defense Evasion", "Né tránh phòng thủ"),
    tactic("TA0006", "credential-access", "Credential Access", "Chiếm thông tin đăng nhập"),
    tactic("TA0007", "discovery", "Discovery", "Dò tìm thông tin"),
    tactic("TA0008", "lateral-movement", "Lateral Movement", "Di chuyển ngang"),
    tactic("TA0009", "collection", "Collection", "Thu thập dữ liệu"),
    tactic("TA0011", "command-and-control", "Command and Control", "Điều khiển từ xa"),
    tactic("TA0010", "exfiltration", "Exfiltration", "Đưa dữ liệu ra ngoài"),
    tactic("TA0040", "impact", "Impact", "Gây tác động"),
];

/// The tactic of a tag, if it is one.
pub fn tactic_of_tag(tag: &str) -> Option<&'static Tactic> {
    let name = after_attack(tag)?.replace('_', "-");
    // Version 18 of ATT&CK splits defense evasion; rules already carry the new names.
    let name = match name.as_str() {
        "stealth" | "defense-impairment" => "defense-evasion",
        other => other,
    };
    TACTICS.iter().find(|tactic| tactic.tag == name)
}

/// The technique of a tag as ATT&CK writes it (`T1110.001`), if it is one.
pub fn technique_of_tag(tag: &str) -> Option<String> {
    let name = after_attack(tag)?;
    let (main, sub) = name.split_once('.').map_or((name.as_str(), None), |(main, sub)| (main, Some(sub)));
    let is_number = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_technique = main.strip_prefix('t').is_some_and(|number| is_number(number, 4));
    (is_technique && sub.is_none_or(|sub| is_number(sub, 3))).then(|| name.to_uppercase())
}

/// The tactics of a rule's tags, in the order of an attack, each once.
pub fn tactics(tags: &[String]) -> Vec<&'static Tactic> {
    TACTICS.iter().filter(|tactic| tags.iter().any(|tag| tactic_of_tag(tag) == Some(*tactic))).collect()
}

/// The technique ids of a rule's tags, in their order, each once.
pub fn techniques(tags: &[String]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in tags.iter().filter_map(|tag| technique_of_tag(tag)) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn after_attack(tag: &str) -> Option<String> {
    let tag = tag.trim().to_lowercase();
    tag.strip_prefix("attack.").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_tactics_or_techniques_or_neither() {
        let tags = [
            "attack.t1110.001",
            "attack.credential_access",
            "attack.Initial-Access",
            "cve.2021-44228",
            "attack.g0007",
            "attack.t1110.001",
        ];
        let tags: Vec<String> = tags.map(String::from).to_vec();
        let names: Vec<_> = tactics(&tags).iter().map(|tactic| tactic.name).collect();
        assert_eq!(names, ["Initial Access", "Credential Access"]);
        assert_eq!(techniques(&tags), ["T1110.001"]);
        assert_eq!(technique_of_tag("attack.t11"), None);
        assert_eq!(technique_of_tag("attack.t1110.1"), None);
    }
}
