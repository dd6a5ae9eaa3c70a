//! Zeek's tab-separated lines without the `#fields` line above them, as they come by syslog or HTTP: which log's default
//! columns they fit.
//!
//! In: a line of values, and the log's name where the sender says it. Out: the [`ZeekHeader`] that Zeek 6 to 8 writes by
//! default for that log. Failure: a line that fits the columns of no log, or of several; nothing is guessed. Source: Zeek
//! manual, "Zeek Log Formats" and the log reference of each `Info` record; columns that a version appended stand behind
//! a bar and may be missing.

use std::sync::OnceLock;

use super::Fault;
use super::headed::ZeekHeader;

/// What every log of a connection begins with.
const CONNECTION: &str = "ts:time uid:uid id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port";

/// Log, columns with their types (`@` = [`CONNECTION`], behind `|` what may be missing). Types that are none of Zeek's
/// (`uid`, `protocol`, `state`, `scoped`, `method`) are strings and enums of known values, by which logs are told apart.
const LAYOUTS: &[(&str, &str)] = &[
    (
        "conn",
        "@ proto:protocol service:string duration:interval orig_bytes:count resp_bytes:count conn_state:state local_orig:bool local_resp:bool missed_bytes:count history:string orig_pkts:count orig_ip_bytes:count resp_pkts:count resp_ip_bytes:count tunnel_parents:set[string] | ip_proto:count",
    ),
    (
        "dns",
        "@ proto:protocol trans_id:count rtt:interval query:string qclass:count qclass_name:string qtype:count qtype_name:string rcode:count rcode_name:string AA:bool TC:bool RD:bool RA:bool Z:count answers:vector[string] TTLs:vector[interval] rejected:bool | opcode:count opcode_name:string",
    ),
    (
        "http",
        "@ trans_depth:count method:method host:string uri:string referrer:string version:string user_agent:string origin:string request_body_len:count response_body_len:count status_code:count status_msg:string info_code:count info_msg:string tags:set[enum] username:string password:string proxied:set[string] orig_fuids:vector[string] orig_filenames:vector[string] orig_mime_types:vector[string] resp_fuids:vector[string] resp_filenames:vector[string] resp_mime_types:vector[string]",
    ),
    (
        "ssl",
        "@ version:string cipher:string curve:string server_name:string resumed:bool last_alert:string next_protocol:string established:bool ssl_history:string cert_chain_fps:vector[string] client_cert_chain_fps:vector[string] sni_matches_cert:bool | validation_status:string",
    ),
    (
        "files",
        "ts:time fuid:string uid:uid id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port source:string depth:count analyzers:set[string] mime_type:string filename:string duration:interval local_orig:bool is_orig:bool seen_bytes:count total_bytes:count missing_bytes:count overflow_bytes:count timedout:bool parent_fuid:string md5:string sha1:string sha256:string | extracted:string extracted_cutoff:bool extracted_size:count",
    ),
    (
        "ssh",
        "@ version:count auth_success:bool auth_attempts:count direction:enum client:string server:string cipher_alg:string mac_alg:string compression_alg:string kex_alg:string host_key_alg:string host_key:string | remote_location.country_code:string remote_location.region:string remote_location.city:string remote_location.latitude:double remote_location.longitude:double",
    ),
    (
        "ftp",
        "@ user:string password:string command:string arg:string mime_type:string file_size:count reply_code:count reply_msg:string data_channel.passive:bool data_channel.orig_h:addr data_channel.resp_h:addr data_channel.resp_p:port fuid:string",
    ),
    (
        "smtp",
        "@ trans_depth:count helo:string mailfrom:string rcptto:set[string] date:string from:string to:set[string] cc:set[string] reply_to:string msg_id:string in_reply_to:string subject:string x_originating_ip:addr first_received:string second_received:string last_reply:string path:vector[addr] user_agent:string tls:bool fuids:vector[string] | is_webmail:bool",
    ),
    (
        "notice",
        "ts:time uid:uid id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port fuid:string file_mime_type:string file_desc:string proto:protocol note:scoped msg:string sub:string src:addr dst:addr p:port n:count peer_descr:string actions:set[enum] email_dest:set[string] suppress_for:interval remote_location.country_code:string remote_location.region:string remote_location.city:string remote_location.latitude:double remote_location.longitude:double",
    ),
    ("weird", "@ name:string addl:string notice:bool peer:string source:string"),
    (
        "dhcp",
        "ts:time uids:set[string] client_addr:addr server_addr:addr mac:string host_name:string client_fqdn:string domain:string requested_addr:addr assigned_addr:addr lease_time:interval client_message:string server_message:string msg_types:vector[string] duration:interval",
    ),
    (
        "ntlm",
        "@ username:string hostname:string domainname:string server_nb_computer_name:string server_dns_computer_name:string server_tree_name:string success:bool",
    ),
    (
        "kerberos",
        "@ request_type:string client:string service:string success:bool error_msg:string from:time till:time cipher:string forwardable:bool renewable:bool client_cert_subject:string client_cert_fuid:string server_cert_subject:string server_cert_fuid:string",
    ),
    (
        "rdp",
        "@ cookie:string result:string security_protocol:string client_channels:vector[string] keyboard_layout:string client_build:string client_name:string client_dig_product_id:string desktop_width:count desktop_height:count requested_color_depth:string cert_type:string cert_count:count cert_permanent:bool encryption_level:string encryption_method:string",
    ),
    (
        "smb_files",
        "@ fuid:string action:scoped path:string name:string size:count prev_name:string times.modified:time times.accessed:time times.created:time times.changed:time",
    ),
    ("smb_mapping", "@ path:string service:string native_file_system:string share_type:share"),
    ("dce_rpc", "@ rtt:interval named_pipe:string endpoint:string operation:string"),
    ("tunnel", "@ tunnel_type:scoped action:scoped"),
    ("syslog", "@ proto:protocol facility:string severity:string message:string"),
    ("dpd", "@ proto:protocol analyzer:string failure_reason:string"),
    (
        "snmp",
        "@ duration:interval version:string community:string get_requests:count get_bulk_requests:count get_responses:count set_requests:count display_string:string up_since:time",
    ),
    (
        "sip",
        "@ trans_depth:count method:method uri:string date:string request_from:string request_to:string response_from:string response_to:string reply_to:string call_id:string seq:string subject:string request_path:vector[string] response_path:vector[string] user_agent:string status_code:count status_msg:string warning:string request_body_len:count response_body_len:count content_type:string",
    ),
    (
        "socks",
        "@ version:count user:string password:string status:string request.host:addr request.name:string request_p:port bound.host:addr bound.name:string bound_p:port",
    ),
    (
        "radius",
        "@ username:string mac:string framed_addr:addr tunnel_client:string connect_info:string reply_msg:string result:string ttl:interval",
    ),
    ("mysql", "@ cmd:string arg:string success:bool rows:count response:string"),
    ("modbus", "@ tid:count unit:count func:string pdu_type:string exception:string"),
    (
        "ntp",
        "@ version:count mode:count stratum:count poll:interval precision:interval root_delay:interval root_disp:interval ref_id:string ref_time:time org_time:time rec_time:time xmt_time:time num_exts:count",
    ),
    (
        "ldap_search",
        "@ message_id:int scope:string deref_aliases:string base_object:string result_count:count result:string diagnostic_message:string filter:string attributes:vector[string]",
    ),
    (
        "intel",
        "@ seen.indicator:string seen.indicator_type:scoped seen.where:scoped seen.node:string matched:set[enum] sources:set[string] fuid:string file_mime_type:string file_desc:string",
    ),
    (
        "software",
        "ts:time host:addr host_p:port software_type:scoped name:string version.major:count version.minor:count version.minor2:count version.minor3:count version.addl:string unparsed_version:string",
    ),
    (
        "x509",
        "ts:time fingerprint:string certificate.version:count certificate.serial:string certificate.subject:string certificate.issuer:string certificate.not_valid_before:time certificate.not_valid_after:time certificate.key_alg:string certificate.sig_alg:string certificate.key_type:string certificate.key_length:count certificate.exponent:string certificate.curve:string san.dns:vector[string] san.uri:vector[string] san.email:vector[string] san.ip:vector[addr] basic_constraints.ca:bool basic_constraints.path_len:count host_cert:bool client_cert:bool",
    ),
    ("capture_loss", "ts:time ts_delta:interval peer:string gaps:count acks:count percent_lost:double"),
    ("known_certs", "ts:time host:addr port_num:port subject:string issuer_subject:string serial:string"),
    ("known_services", "ts:time host:addr port_num:port port_proto:protocol service:set[string]"),
];

/// A log's columns: names and types as the table has them, and how many must be there.
struct Layout {
    log: &'static str,
    names: Vec<&'static str>,
    types: Vec<&'static str>,
    needed: usize,
}

fn layouts() -> &'static [Layout] {
    static READ: OnceLock<Vec<Layout>> = OnceLock::new();
    READ.get_or_init(|| {
        let read = |(log, columns): &(&'static str, &'static str)| {
            let (mut names, mut types, mut needed) = (Vec::new(), Vec::new(), None);
            for word in columns.split(' ') {
                match word {
                    "@" => {
                        let pairs = CONNECTION.split(' ').filter_map(|column| column.split_once(':'));
                        pairs.for_each(|(name, kind)| {
                            names.push(name);
                            types.push(kind);
                        });
                    }
                    "|" => needed = Some(names.len()),
                    column => {
                        let (name, kind) = column.split_once(':').unwrap_or((column, "string"));
                        names.push(name);
                        types.push(kind);
                    }
                }
            }
            let needed = needed.unwrap_or(names.len());
            Layout { log, names, types, needed }
        };
        LAYOUTS.iter().map(read).collect()
    })
}

/// The header that a line without one has: the only log whose default columns it fits. `named` = the log's name, where
/// the sender tells it.
///
/// # Errors
/// It fits none, or several.
pub fn header(line: &str, named: Option<&str>) -> Result<ZeekHeader, Fault> {
    let cells: Vec<&str> = line.split('\t').take(super::headed::COLUMNS_MAX).collect();
    let is_named = |layout: &&Layout| named.is_none_or(|name| name == layout.log);
    let mut fitting = layouts().iter().filter(is_named).filter(|layout| layout.fits(&cells));
    match (fitting.next(), fitting.next()) {
        (Some(layout), None) => Ok(ZeekHeader::of(layout.log, layout.columns().take(cells.len()))),
        (Some(_), Some(_)) => Err(Fault::new("zeek: values without a #fields line that fit several logs", 0)),
        _ => Err(Fault::new("zeek: values without a #fields line that fit no log's default columns", 0)),
    }
}

/// The log that a syslog tag names: `zeek_conn`, `bro-dns`, `zeek.http.log`; `None` = it names none.
pub fn log_of_tag(tag: &str) -> Option<&'static str> {
    let rest = tag.strip_prefix("zeek").or_else(|| tag.strip_prefix("bro"))?;
    let name = rest.trim_start_matches(['_', '-', '.', '/']).trim_end_matches(".log");
    layouts().iter().map(|layout| layout.log).find(|log| *log == name)
}

impl Layout {
    fn fits(&self, cells: &[&str]) -> bool {
        (self.needed..=self.names.len()).contains(&cells.len())
            && self.types.iter().zip(cells).all(|(kind, cell)| fits(kind, cell))
    }

    /// The columns with Zeek's own types.
    fn columns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own = |kind: &&'static str| match *kind {
            "uid" | "state" | "method" | "share" => "string",
            "protocol" | "scoped" => "enum",
            other => other,
        };
        self.names.iter().copied().zip(self.types.iter().map(own))
    }
}

/// Whether a cell may be of a type. An unset cell may be of any.
fn fits(kind: &str, cell: &str) -> bool {
    const STATES: [&str; 13] =
        ["S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR", "OTH"];
    let is_number = || cell.parse::<f64>().is_ok_and(f64::is_finite);
    match kind {
        _ if cell == "-" => true,
        "time" | "interval" | "double" => is_number(),
        "addr" => cell.parse::<std::net::IpAddr>().is_ok(),
        "port" => cell.parse::<u16>().is_ok(),
        "count" => cell.bytes().all(|byte| byte.is_ascii_digit()) && !cell.is_empty(),
        "int" => cell.parse::<i64>().is_ok(),
        "bool" => matches!(cell, "T" | "F"),
        "uid" => cell.len() >= 8 && cell.starts_with('C') && cell.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "protocol" => matches!(cell, "tcp" | "udp" | "icmp" | "sctp" | "unknown_transport"),
        "state" => STATES.contains(&cell),
        "scoped" => cell.contains("::"),
        "share" => matches!(cell, "DISK" | "PIPE" | "PRINT" | "UNKNOWN" | "COMM"),
        "method" => cell.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')),
        "vector[interval]" => cell == "(empty)" || cell.split(',').all(|one| one == "-" || one.parse::<f64>().is_ok()),
        "vector[addr]" => cell == "(empty)" || cell.split(',').all(|one| one.parse::<std::net::IpAddr>().is_ok()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRONT: &str = "1795399800.250000\tCxYz12AbCdEf\t192.0.2.9\t40000\t203.0.113.9\t53";

    #[test]
    fn a_line_has_the_columns_of_the_only_log_it_fits() {
        let conn = format!("{FRONT}\tudp\tdns\t0.1\t40\t80\tSF\tT\tF\t0\tDd\t1\t68\t1\t108\t-");
        for line in [conn.clone(), format!("{conn}\t17")] {
            let leaves = header(&line, None).expect("fits").leaves(&line).expect("is read");
            let of = |name: &str| leaves.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_text());
            assert_eq!(of("_path").as_deref(), Some("conn"));
            assert_eq!((of("conn_state").as_deref(), of("resp_ip_bytes").as_deref()), (Some("SF"), Some("108")));
        }
        // Four words behind the connection: several logs, unless the sender says which.
        let call = format!("{FRONT}\t-\tsvcctl\tx\ty");
        assert!(header(&call, Some("dce_rpc")).is_ok());
        let odd = format!("{FRONT}\tudp\tdns");
        assert_eq!(
            header(&odd, None).expect_err("fits none").reason,
            "zeek: values without a #fields line that fit no log's default columns"
        );
    }

    #[test]
    fn tags_name_logs() {
        assert_eq!(log_of_tag("zeek_conn"), Some("conn"));
        assert_eq!(log_of_tag("bro-dns.log"), Some("dns"));
        assert_eq!((log_of_tag("zeek"), log_of_tag("nginx")), (None, None));
    }
}
