//! `Profile`: the source profiles that are built (contract.md, `--source`).
//!
//! In: a profile's name. Out: the profile. Failure: a name that is none is refused; nothing is guessed. Every
//! profile of the contract is built.

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
    /// Palo Alto Networks firewalls (PAN-OS).
    PaloAlto,
    /// Sophos firewalls (SFOS).
    Sophos,
    /// DrayTek Vigor routers.
    Draytek,
    /// Ubiquiti UniFi: access points, gateways, controller.
    Unifi,
    /// Hikvision cameras and recorders.
    Hikvision,
    /// Dahua cameras and recorders.
    Dahua,
    /// CEF of any vendor.
    Cef,
    /// LEEF of any vendor.
    Leef,
    /// Flows of AMD Pensando cards (DSC).
    Pensando,
    /// The mail server Postfix.
    Postfix,
    /// Mailboxes of Dovecot.
    Dovecot,
    /// The name server BIND.
    Bind,
    /// The resolver Unbound.
    Unbound,
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
    /// The load balancer HAProxy.
    Haproxy,
    /// MongoDB.
    Mongodb,
    /// Redis and Valkey.
    Redis,
    /// osquery's results and status.
    Osquery,
    /// Alerts of Wazuh.
    Wazuh,
    /// Alerts of CrowdSec.
    Crowdsec,
    /// Santa on macOS.
    Santa,
    /// An object of Splunk's HTTP Event Collector, with an event of any kind in it.
    Hec,
    /// A log record of OpenTelemetry, with its resource.
    Otlp,
    /// Graylog's GELF.
    Gelf,
    /// A flow of NetFlow or IPFIX, as the listener writes it down.
    Netflow,
}

/// Why a name is no profile that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Nobody knows it.
    #[error("no source profile is called {name}")]
    Unknown {
        /// The name asked for.
        name: String,
    },
}

impl Profile {
    /// Every profile that is built.
    pub const ALL: [Profile; 51] = [
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
        Profile::PaloAlto,
        Profile::Sophos,
        Profile::Draytek,
        Profile::Unifi,
        Profile::Hikvision,
        Profile::Dahua,
        Profile::Cef,
        Profile::Leef,
        Profile::Pensando,
        Profile::Postfix,
        Profile::Dovecot,
        Profile::Bind,
        Profile::Unbound,
        Profile::Dnsmasq,
        Profile::Openvpn,
        Profile::Postgresql,
        Profile::Mysql,
        Profile::Iis,
        Profile::Modsecurity,
        Profile::Dhcpd,
        Profile::Squid,
        Profile::Haproxy,
        Profile::Mongodb,
        Profile::Redis,
        Profile::Osquery,
        Profile::Wazuh,
        Profile::Crowdsec,
        Profile::Santa,
        Profile::Hec,
        Profile::Otlp,
        Profile::Gelf,
        Profile::Netflow,
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
            Profile::PaloAlto => "paloalto",
            Profile::Sophos => "sophos",
            Profile::Draytek => "draytek",
            Profile::Unifi => "unifi",
            Profile::Hikvision => "hikvision",
            Profile::Dahua => "dahua",
            Profile::Cef => "cef",
            Profile::Leef => "leef",
            Profile::Pensando => "pensando",
            Profile::Postfix => "postfix",
            Profile::Dovecot => "dovecot",
            Profile::Bind => "bind",
            Profile::Unbound => "unbound",
            Profile::Dnsmasq => "dnsmasq",
            Profile::Openvpn => "openvpn",
            Profile::Postgresql => "postgresql",
            Profile::Mysql => "mysql",
            Profile::Iis => "iis",
            Profile::Modsecurity => "modsecurity",
            Profile::Dhcpd => "dhcpd",
            Profile::Squid => "squid",
            Profile::Haproxy => "haproxy",
            Profile::Mongodb => "mongodb",
            Profile::Redis => "redis",
            Profile::Osquery => "osquery",
            Profile::Wazuh => "wazuh",
            Profile::Crowdsec => "crowdsec",
            Profile::Santa => "santa",
            Profile::Hec => "hec",
            Profile::Otlp => "otlp",
            Profile::Gelf => "gelf",
            Profile::Netflow => "netflow",
        }
    }

    /// The profile of this name.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn from_name(name: &str) -> Result<Profile, ProfileError> {
        match Profile::ALL.into_iter().find(|profile| profile.name() == name) {
            Some(profile) => Ok(profile),
            None => Err(ProfileError::Unknown { name: name.chars().take(64).collect() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that contract.md gives to `--source`.
    const CONTRACT: &str = "syslog sshd sudo linux auditd windows sysmon nginx apache iis modsecurity fortigate mikrotik \
        pfsense opnsense cisco_asa cisco_ios paloalto sophos draytek unifi suricata zeek bind dnsmasq dhcpd postfix \
        dovecot squid openvpn postgresql mysql hikvision dahua osquery wazuh crowdsec cef leef json kv";

    #[test]
    fn every_profile_of_the_contract_is_built_and_no_other_name_is_taken() {
        assert!(Profile::ALL.into_iter().all(|profile| Profile::from_name(profile.name()) == Ok(profile)));
        for name in CONTRACT.split_whitespace() {
            assert!(Profile::from_name(name).is_ok(), "{name}");
        }
        let refused = Profile::from_name("nonsense").expect_err("is none");
        assert_eq!(refused.to_string(), "no source profile is called nonsense");
    }
}
