//! The lines to type or copy at a new sender: for each kind, with the server's own address and ports.
//!
//! In: what sends, where the server is, the sender's name and unit, its code. Out: steps, each a sentence and lines to
//! copy. Promise: a pure function; what goes into lines was checked to hold no character that a shell or a configuration
//! file reads as its own. Source: the makers' manuals, as docs/sources.md and docs/send.md name them.

use crate::account::Language;
use crate::locale;
use crate::model::{Port, Reach, SenderKind};

/// A step of a sheet.
pub(crate) struct Step {
    /// What to do, in the language of the page.
    pub say: String,
    /// What to copy; may be empty.
    pub lines: String,
}

/// The steps for a sender. `sender` is its name and its unit's code.
pub(crate) fn steps(
    language: Language,
    kind: SenderKind,
    reach: &Reach,
    sender: (&str, &str),
    code: Option<&str>,
) -> Vec<Step> {
    let step = |id: &str, lines: String| Step { say: locale::text(language, id), lines };
    let (name, unit) = sender;
    let number = |port: Option<Port>, usual: u16| port.map_or(usual, |port| port.number);
    let (host, udp, tcp) = (&reach.host, number(reach.syslog_udp, 5514), number(reach.syslog_tcp, 5514));
    let test = |service: &str| format!("systemctl restart {service}\nlogger \"nhatle: {name}\"");
    match kind {
        SenderKind::Forward => {
            let https = number(reach.https, 8443);
            let code = code.unwrap_or("…");
            let config = format!(
                "server = \"https://{host}:{https}\"\ncode = \"{code}\"\nsyslog_udp = \"0.0.0.0:5514\"\n\
                 syslog_tcp = \"0.0.0.0:5514\"\njournald = true"
            );
            vec![
                step(
                    "sheet-forward-install",
                    "sudo install -m 755 nhatle /usr/local/bin/nhatle\nsudo mkdir -p /etc/nhatle".to_owned(),
                ),
                step("sheet-forward-config", config),
                step("sheet-forward-start", "sudo nhatle forward --config /etc/nhatle/ward.toml".to_owned()),
                step("sheet-forward-devices", String::new()),
            ]
        }
        SenderKind::Rsyslog => {
            let Some((code, tls)) = code.zip(reach.syslog_tls) else {
                return vec![
                    step("sheet-rsyslog-file", rsyslog(&format!("target=\"{host}\" port=\"{tcp}\" protocol=\"tcp\""))),
                    step("sheet-restart", test("rsyslog")),
                ];
            };
            let action = format!(
                "target=\"{host}\" port=\"{}\" protocol=\"tcp\" TCP_Framing=\"octet-counted\"\n    \
                 StreamDriver=\"gtls\" StreamDriverMode=\"1\" StreamDriverAuthMode=\"x509/name\" StreamDriverPermittedPeers=\"{}\"",
                tls.number,
                peer_name(host),
            );
            let globals = "global(DefaultNetstreamDriverCAFile=\"/etc/nhatle/ca.pem\"\n       \
                           DefaultNetstreamDriverCertFile=\"/etc/nhatle/ward.pem\" DefaultNetstreamDriverKeyFile=\"/etc/nhatle/ward.key\")";
            vec![
                step("sheet-install", "sudo -i\napt-get install -y rsyslog rsyslog-gnutls openssl curl".to_owned()),
                step("sheet-certificate", certificate(reach, name, code)),
                step("sheet-rsyslog-file", format!("{globals}\n{}", rsyslog(&action))),
                step("sheet-restart", test("rsyslog")),
            ]
        }
        SenderKind::SyslogNg => {
            let mut steps = Vec::new();
            let transport = match code.zip(reach.syslog_tls) {
                Some((code, tls)) => {
                    steps.push(step("sheet-install", "sudo -i\napt-get install -y syslog-ng openssl curl".to_owned()));
                    steps.push(step("sheet-certificate", certificate(reach, name, code)));
                    format!(
                        "port({}) transport(\"tls\")\n    tls(ca-file(\"/etc/nhatle/ca.pem\") cert-file(\"/etc/nhatle/ward.pem\") \
                         key-file(\"/etc/nhatle/ward.key\") peer-verify(required-trusted))",
                        tls.number
                    )
                }
                None => format!("port({tcp}) transport(\"tcp\")"),
            };
            let config = format!(
                "destination d_nhatle {{ syslog(\"{host}\" {transport}\n    \
                 disk-buffer(reliable(yes) disk-buf-size(1073741824))); }};\nlog {{ source(s_src); destination(d_nhatle); }};"
            );
            steps.push(step("sheet-syslog-ng-file", config));
            steps.push(step("sheet-restart", test("syslog-ng")));
            steps
        }
        SenderKind::Fortigate => vec![
            step(
                "sheet-fortigate",
                format!(
                    "config log syslogd setting\n    set status enable\n    set server \"{host}\"\n    set mode udp\n    \
                     set port {udp}\n    set format default\nend\nconfig log syslogd filter\n    set severity information\n    \
                     set forward-traffic enable\nend"
                ),
            ),
            step("sheet-fortigate-zone", String::new()),
        ],
        SenderKind::Mikrotik => vec![
            step(
                "sheet-mikrotik",
                format!(
                    "/system logging action add name=nhatle target=remote remote={host} remote-port={udp} bsd-syslog=yes\n\
                     /system logging add topics=info action=nhatle\n/system logging add topics=warning action=nhatle\n\
                     /system logging add topics=error action=nhatle\n/system logging add topics=critical action=nhatle"
                ),
            ),
            step(
                "sheet-mikrotik-firewall",
                "/ip firewall filter set [find chain=input action=drop] log=yes log-prefix=drop".to_owned(),
            ),
        ],
        SenderKind::Camera => vec![
            step("sheet-hikvision", format!("{host}\n{udp}")),
            step("sheet-dahua", format!("{host}\n{udp}")),
            step("sheet-camera-clock", String::new()),
        ],
        SenderKind::Windows => {
            let url = match (reach.https, reach.http) {
                (Some(port), _) => format!("https://{host}:{}", port.number),
                (None, port) => format!("http://{host}:{}", number(port, 8080)),
            };
            vec![
                step(
                    "sheet-token",
                    format!("nhatle token add {name} --role ingest --unit {unit} --data /var/lib/nhatle"),
                ),
                step("sheet-nxlog", nxlog(&url)),
                step(
                    "sheet-winlogbeat",
                    format!(
                        "output.elasticsearch:\n  hosts: [\"{url}\"]\n  path: /es\n  api_key: \"{name}:TOKEN\"\n\
                         setup.ilm.enabled: false\nsetup.template.enabled: false"
                    ),
                ),
            ]
        }
        SenderKind::Generic => {
            let tls = reach.syslog_tls.map(|port| format!("\nTLS  {host}  {}", port.number)).unwrap_or_default();
            vec![
                step("sheet-generic", format!("UDP  {host}  {udp}\nTCP  {host}  {tcp}{tls}")),
                step("sheet-camera-clock", String::new()),
            ]
        }
    }
}

/// What rsyslog expects in the server's certificate: its name, and in place of an address, which GnuTLS does not compare,
/// the name that every server has (`src/pki/names.rs`).
fn peer_name(host: &str) -> &str {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<std::net::IpAddr>().is_ok() { "nhatle" } else { bare }
}

/// A certificate for a code, with nothing but openssl and curl. The authority is compared with the sheet, by people.
fn certificate(reach: &Reach, name: &str, code: &str) -> String {
    let (host, https) = (&reach.host, reach.https.map_or(8443, |port| port.number));
    format!(
        "mkdir -p /etc/nhatle && cd /etc/nhatle && umask 077\n\
         openssl s_client -connect {host}:{https} -alpn nhatle/1 -showcerts </dev/null 2>/dev/null |\n  \
         awk '/BEGIN CERT/{{n++}} n==2' | sed '/END CERT/q' > ca.pem\n\
         openssl x509 -in ca.pem -noout -fingerprint -sha256\n\
         # {}\n\
         openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ward.key -subj /CN={name} -out ward.csr\n\
         printf '{{\"code\":\"{code}\",\"csr\":\"%s\"}}' \"$(awk '{{printf \"%s\\\\n\",$0}}' ward.csr)\" |\n  \
         curl -fsS --cacert ca.pem -H 'Content-Type: application/json' --data-binary @- https://{host}:{https}/api/v1/enroll |\n  \
         sed 's/.*\"certificate\":\"\\([^\"]*\\)\".*/\\1/; s/\\\\n/\\n/g' > ward.pem\n\
         chown -R syslog: /etc/nhatle 2>/dev/null || true",
        reach.authority
    )
}

fn rsyslog(action: &str) -> String {
    format!(
        "*.* action(type=\"omfwd\" {action}\n    template=\"RSYSLOG_SyslogProtocol23Format\" action.resumeRetryCount=\"-1\"\n    \
         queue.type=\"linkedList\" queue.filename=\"nhatle\" queue.maxDiskSpace=\"1g\" queue.saveOnShutdown=\"on\"\n    \
         queue.size=\"100000\" queue.timeoutEnqueue=\"60000\")"
    )
}

fn nxlog(url: &str) -> String {
    format!(
        "<Input events>\n    Module im_msvistalog\n</Input>\n<Extension json>\n    Module xm_json\n</Extension>\n<Output city>\n    \
         Module      om_http\n    URL         {url}/api/v1/events\n    AddHeader   Authorization: Bearer TOKEN\n    \
         HTTPSCAFile C:\\nhatle\\ca.pem\n    ContentType application/x-ndjson\n    Exec        to_json();\n</Output>\n\
         <Route all>\n    Path events => city\n</Route>"
    )
}
