//! `Profile`: the source profiles that are built (contract.md, `--source`).
//!
//! In: a profile's name. Out: the profile. Failure: a name that is not built yet is refused by name,
//! a name that is none at all likewise; nothing is guessed.

/// Profiles of the contract that no parser exists for yet.
const NOT_BUILT: &[&str] = &["paloalto", "sophos", "draytek", "unifi", "hikvision", "dahua", "cef", "leef"];

/// How a source writes: decides the parser where the content need not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Any syslog.
    Syslog,
    /// Syslog of sshd.
    Sshd,
    /// Syslog of sudo.
    Sudo,
    /// Any syslog of a Linux host.
    Linux,
    /// The Linux audit log.
    Auditd,
    /// Windows channels as EVTX, Winlogbeat, NXLog or raw XML.
    Windows,
    /// Windows channels, Sysmon's among them.
    Sysmon,
    /// nginx access and error logs.
    Nginx,
    /// Apache access and error logs.
    Apache,
    /// One JSON object a record.
    Json,
    /// key=value pairs.
    KeyValue,
    /// FortiGate firewalls.
    Fortigate,
    /// MikroTik RouterOS.
    Mikrotik,
    /// pfSense firewalls.
    Pfsense,
    /// OPNsense firewalls.
    Opnsense,
    /// Cisco ASA and FTD.
    CiscoAsa,
    /// Cisco IOS routers and switches.
    CiscoIos,
    /// Suricata's EVE JSON.
    Suricata,
    /// Zeek's logs, JSON or tab-separated.
    Zeek,
    /// The mail server Postfix.
    Postfix,
    /// Mailboxes of Dovecot.
    Dovecot,
    /// The name server BIND.
    Bind,
    /// dnsmasq: names and leases.
    Dnsmasq,
    /// OpenVPN's server.
    Openvpn,
    /// PostgreSQL.
    Postgresql,
    /// MySQL and MariaDB.
    Mysql,
    /// IIS and HTTP.sys.
    Iis,
    /// The web application firewall ModSecurity.
    Modsecurity,
    /// DHCP servers of ISC: dhcpd and Kea.
    Dhcpd,
    /// The web proxy Squid.
    Squid,
    /// osquery's results and status.
    Osquery,
    /// Alerts of Wazuh.
    Wazuh,
    /// Alerts of CrowdSec.
    Crowdsec,
}

/// Why a name is no profile that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The contract has it, the program does not yet.
    #[error("source profile {name} is not built yet")]
    NotBuilt {
        /// The name asked for.
        name: String,
    },
    /// Nobody knows it.
    #[error("no source profile is called {name}")]
    Unknown {
        /// The name asked for.
        name: String,
    },
}

impl Profile {
    /// Every profile that is built.
    pub const ALL: [Profile; 33] = [
        Profile::Syslog,
        Profile::Sshd,
        Profile::Sudo,
        Profile::Linux,
        Profile::Auditd,
        Profile::Windows,
        Profile::Sysmon,
        Profile::Nginx,
        Profile::Apache,
        Profile::Json,
        Profile::KeyValue,
        Profile::Fortigate,
        Profile::Mikrotik,
        Profile::Pfsense,
        Profile::Opnsense,
        Profile::CiscoAsa,
        Profile::CiscoIos,
        Profile::Suricata,
        Profile::Zeek,
        Profile::Postfix,
        Profile::Dovecot,
        Profile::Bind,
        Profile::Dnsmasq,
        Profile::Openvpn,
        Profile::Postgresql,
        Profile::Mysql,
        Profile::Iis,
        Profile::Modsecurity,
        Profile::Dhcpd,
        Profile::Squid,
        Profile::Osquery,
        Profile::Wazuh,
        Profile::Crowdsec,
    ];

    /// The name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Syslog => "syslog",
            Profile::Sshd => "sshd",
            Profile::Sudo => "sudo",
            Profile::Linux => "linux",
            Profile::Auditd => "auditd",
            Profile::Windows => "windows",
            Profile::Sysmon => "sysmon",
            Profile::Nginx => "nginx",
            Profile::Apache => "apache",
            Profile::Json => "json",
            Profile::KeyValue => "kv",
            Profile::Fortigate => "fortigate",
            Profile::Mikrotik => "mikrotik",
            Profile::Pfsense => "pfsense",
            Profile::Opnsense => "opnsense",
            Profile::CiscoAsa => "cisco_asa",
            Profile::CiscoIos => "cisco_ios",
            Profile::Suricata => "suricata",
            Profile::Zeek => "zeek",
            Profile::Postfix => "postfix",
            Profile::Dovecot => "dovecot",
            Profile::Bind => "bind",
            Profile::Dnsmasq => "dnsmasq",
            Profile::Openvpn => "openvpn",
            Profile::Postgresql => "postgresql",
            Profile::Mysql => "mysql",
            Profile::Iis => "iis",
            Profile::Modsecurity => "modsecurity",
            Profile::Dhcpd => "dhcpd",
            Profile::Squid => "squid",
            Profile::Osquery => "osquery",
            Profile::Wazuh => "wazuh",
            Profile::Crowdsec => "crowdsec",
        }
    }

    /// The profile of this name.
    ///
    /// # Errors
    /// The profile is not built yet, or there is none of that name.
    pub fn from_name(name: &str) -> Result<Profile, ProfileError> {
        match Profile::ALL.into_iter().find(|profile| profile.name() == name) {
            Some(profile) => Ok(profile),
            None if NOT_BUILT.contains(&name) => Err(ProfileError::NotBuilt { name: name.to_owned() }),
            None => Err(ProfileError::Unknown { name: name.chars().take(64).collect() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_not_built_is_refused_by_name() {
        assert!(Profile::ALL.into_iter().all(|profile| Profile::from_name(profile.name()) == Ok(profile)));
        let refused = Profile::from_name("hikvision").expect_err("is not built");
        assert_eq!(refused.to_string(), "source profile hikvision is not built yet");
        assert!(matches!(Profile::from_name("nonsense"), Err(ProfileError::Unknown { .. })));
    }
}
