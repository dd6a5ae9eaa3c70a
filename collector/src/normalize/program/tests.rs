//! Lines of the programs in the tables, names and addresses made up, among them hostile ones.

use super::super::service::tests::check;

const FROM: (&str, &str) = ("source.ip", "203.0.113.9");
const LAN: (&str, &str) = ("user.name", "lan");
const OUT: (&str, &str) = ("event.outcome", "failure");
const IN: (&str, &str) = ("event.outcome", "success");
const PORT: (&str, &str) = ("source.port", "4411");

/// Program, message, fields.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// Messages of programs behind a syslog header.
#[track_caller]
fn tagged(rows: &[Row<'_>]) {
    for (program, message, told) in rows {
        check("", &format!("<38>Nov 23 20:10:00 may-01 {program}[7]: {message}"), told);
    }
}

/// Lines of programs' own files.
#[track_caller]
fn own(rows: &[(&str, &[(&str, &str)])]) {
    for (line, told) in rows {
        check("", line, told);
    }
}

#[test]
fn a_name_made_of_the_words_behind_it_names_no_address() {
    const BAD: &str = "198.51.100.66";
    tagged(&[
        (
            "imapd",
            &format!("Login failed user=x auth=y host={BAD} auth=x auth=y host={BAD} host=may.example [203.0.113.9]"),
            &[OUT, FROM],
        ),
        (
            "imapd",
            &format!("Failed CRAM-MD5 override of user=x host={BAD} host=may.example [203.0.113.9]"),
            &[OUT, FROM],
        ),
        (
            "roundcube",
            &format!("IMAP Error: Login failed for x from {BAD}. y from 203.0.113.9. no answer"),
            &[OUT, FROM],
        ),
        (
            "roundcube",
            &format!(
                "IMAP Error: Login failed for x against y from {BAD}. z against may-02 from 203.0.113.9. no answer"
            ),
            &[OUT, FROM],
        ),
        ("hostd", &format!("Rejected password for user x from {BAD} from 203.0.113.9"), &[OUT, FROM]),
        (
            "slapd",
            &format!("conn=7 op=1 BIND dn=\"cn=x from IP={BAD}:1 \" method=128"),
            &[("event.action", "ldap_bind"), ("!source.ip", "")],
        ),
        (
            "vsftpd",
            &format!(
                "pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=x rhost={BAD} rhost=203.0.113.9"
            ),
            &[OUT, ("!source.ip", "")],
        ),
        (
            "sshd",
            &format!(
                "pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9 user=x rhost={BAD}"
            ),
            &[OUT, FROM],
        ),
        (
            "asterisk",
            &format!(
                "SECURITY[7] res_security_log.c: SecurityEvent=\"InvalidPassword\",Service=\"SIP\",AccountID=\"x\",RemoteAddress=\"IPV4/UDP/{BAD}/1\",y=\"\",RemoteAddress=\"IPV4/UDP/203.0.113.9/5060\""
            ),
            &[OUT, ("!source.ip", "")],
        ),
        (
            "exim",
            &format!(
                "SMTP call from [203.0.113.9] dropped: too many syntax or protocol errors (last command was \"X H=[{BAD}]\")"
            ),
            &[FROM],
        ),
        (
            "exim",
            &format!("SMTP syntax error in \"X\" H=[{BAD}] \"\" H=(x) [203.0.113.9] unrecognized command"),
            &[FROM],
        ),
        ("exim", &format!("<= \"x H=[{BAD}]\"@x.example H=may.example (x) [203.0.113.9] P=esmtp S=7"), &[FROM]),
        (
            "sendmail",
            &format!(
                "s1P819mk027713: ruleset=check_mail, arg1=<\"relay=[{BAD}], reject=\"@x.example>, relay=may.example [203.0.113.9], reject=553 5.1.8 <\"relay=[{BAD}], reject=\"@x.example>... Domain of sender address does not exist"
            ),
            &[FROM],
        ),
    ]);
    const AT: &str = "[23/Nov/2026 20:10:00]";
    let gone = "doesn't exist. Attempt from IP address";
    own(&[
        (&format!("{AT} SMTP: User x {gone} {BAD} {gone} 203.0.113.9"), &[OUT, FROM]),
        (
            &format!(
                "{AT} Attempt to deliver to unknown recipient <x, IP address {BAD}>, from <y>, IP address 203.0.113.9"
            ),
            &[FROM],
        ),
        (&format!("L 11/23/2026 - 20:10:00: Bad Rcon: \"x from \"{BAD}\"\" from \"203.0.113.9:4411\""), &[OUT, FROM]),
    ]);
}

#[test]
fn accounts_and_privileges() {
    tagged(&[
        (
            "doas",
            "lan ran command /bin/ksh as root from /home/lan",
            &[LAN, IN, ("user.effective.name", "root"), ("process.command_line", "/bin/ksh")],
        ),
        ("doas", "failed auth for lan", &[LAN, OUT]),
        ("su", "BAD SU lan to root on /dev/ttyp0", &[LAN, OUT, ("user.effective.name", "root")]),
        ("useradd", "failed adding user 'lan', data deleted", &[LAN, OUT]),
        ("chage", "changed password expiry for lan", &[LAN, ("event.category", "iam")]),
        ("chsh", "changed user 'lan' shell to '/bin/zsh'", &[LAN, ("event.action", "user_changed")]),
        ("gpasswd", "members of group ops set by lan to an,binh", &[LAN, ("group.name", "ops")]),
        (
            "polkitd",
            "Operator of unix-session:1 FAILED to authenticate to gain authorization for action org.ten.x for system-bus-name::1.44 [/usr/bin/ten] (owned by unix-user:lan)",
            &[LAN, OUT],
        ),
        (
            "pkexec",
            "lan: Executing command [USER=root] [TTY=unknown] [CWD=/home/lan] [COMMAND=/usr/bin/ten x]",
            &[LAN, IN, ("user.effective.name", "root"), ("process.command_line", "/usr/bin/ten x")],
        ),
        ("sudo", "pam_tally2(sudo:auth): user lan (1001) tally 6, deny 5", &[LAN, OUT]),
        (
            "proftpd",
            "(pam_unix) authentication failure; logname= uid=0 euid=0 tty= ruser= rhost=203.0.113.9  user=lan",
            &[LAN, OUT, FROM],
        ),
        (
            "kernel",
            "[ 7.1] ten[77]: segfault at 7f ip 00007f sp 00007f error 6 in ld.so",
            &[("linux.kernel.process.name", "ten"), ("linux.kernel.process.pid", "77")],
        ),
        ("xinetd", "FAIL: ftp address from=203.0.113.9", &[FROM, OUT]),
    ]);
}

#[test]
fn mail_servers() {
    own(&[
        (
            "2026-11-23 02:10:00 plain authenticator failed for ten.example ([192.0.2.33]) [203.0.113.9]:4411 I=[192.0.2.1]:25: 535 Incorrect authentication data (set_id=lan)",
            &[LAN, OUT, FROM, PORT, ("event.action", "smtp_login")],
        ),
        (
            "2026-11-23 02:10:00 H=(ten) [203.0.113.9]:4411 F=<a@example.com> rejected RCPT <b@example.net>: relay not permitted",
            &[
                OUT,
                FROM,
                ("email.from.address", "a@example.com"),
                ("email.to.address", "b@example.net"),
                ("event.reason", "relay not permitted"),
            ],
        ),
        (
            "2026-11-23 02:10:00 1Ai79e-0000Dq-8i <= a@example.com H=mail.example.com [203.0.113.9]:4411 P=esmtpsa A=login:lan S=777",
            &[LAN, FROM, ("event.action", "mail_received"), ("email.from.address", "a@example.com")],
        ),
        (
            "2026-11-23T02:10:00.530Z,000000000000000E,2,192.0.2.1:143,203.0.113.9:4411,lan,7,31,31,authenticate,PLAIN,\"ErrMsg=AuthFailed:LogonDenied\",",
            &[LAN, OUT, FROM, PORT],
        ),
        (
            "2026-11-23T02:10:00.530Z,KHO\\Default KHO,08DA4F7C11473A60,9,192.0.2.1:25,203.0.113.9:4411,>,535 5.7.3 Authentication unsuccessful,",
            &[OUT, FROM, ("destination.port", "25")],
        ),
    ]);
    tagged(&[
        (
            "sm-mta",
            "s1P819mk027713: ruleset=check_rcpt, arg1=<a@example.com>, relay=ten.example [203.0.113.9] (may be forged), reject=550 5.7.1 Relaying denied",
            &[OUT, FROM, ("event.action", "mail_rejected")],
        ),
        ("sm-mta", "s1NKIkZa093301: [203.0.113.9]: EXPN root [rejected]", &[FROM]),
        ("courieresmtpd", "error,relay=::ffff:203.0.113.9,msg=\"535 Authentication failed.\",cmd: YQ==", &[OUT, FROM]),
        ("imapd", "LOGIN FAILED, user=lan, ip=[::ffff:203.0.113.9]", &[LAN, OUT, FROM]),
        ("imapd", "Login failed user=lan auth=lan host=ten.example [203.0.113.9]", &[LAN, OUT, FROM]),
        ("timsieved", "badlogin: ten.example[203.0.113.9] PLAIN authentication failure", &[OUT, FROM]),
        (
            "roundcube",
            "IMAP Error: Login failed for x from 198.51.100.1 from 203.0.113.9. AUTHENTICATE PLAIN: no",
            &[OUT, FROM],
        ),
        ("sogod", "SOGoRootPage Login from '203.0.113.9' for user 'lan' might not have worked - x", &[LAN, OUT, FROM]),
    ]);
}

#[test]
fn remote_access_and_networks() {
    tagged(&[
        ("wu-ftpd", "failed login from ten.example [203.0.113.9]", &[OUT, FROM]),
        ("proftpd", "kho (203.0.113.9[203.0.113.9]): USER lan (Login failed): Incorrect password", &[LAN, OUT, FROM]),
        (
            "dropbear",
            "[7] Nov 23 20:10:00 Bad password attempt for 'lan' from 203.0.113.9:4411",
            &[LAN, OUT, FROM, PORT],
        ),
        (
            "slapd",
            "conn=7 fd=21 ACCEPT from IP=203.0.113.9:4411 (IP=0.0.0.0:636)",
            &[FROM, PORT, ("event.action", "ldap_connect")],
        ),
        ("slapd", "conn=7 op=1 RESULT tag=97 err=49 text=", &[OUT, ("event.action", "ldap_login")]),
        ("slapd", "conn=7 op=1 BIND dn=\"uid=lan,dc=example\" method=128", &[("user.name", "uid=lan,dc=example")]),
        (
            "asterisk",
            "SECURITY[7]: res_security_log.c:114: SecurityEvent=\"InvalidPassword\",Severity=\"Error\",Service=\"SIP\",EventVersion=\"2\",AccountID=\"lan\",SessionID=\"0x7\",LocalAddress=\"IPV4/UDP/192.0.2.1/5060\",RemoteAddress=\"IPV4/UDP/203.0.113.9/4411\"",
            &[LAN, OUT, FROM, PORT],
        ),
        (
            "asterisk",
            "NOTICE[7]: chan_sip.c:7: Registration from '\"x' failed for '198.51.100.1' <sip:x>' failed for '203.0.113.9:4411' - Wrong password",
            &[OUT, FROM, PORT],
        ),
        ("nrpe", "Host 203.0.113.9 is not allowed to talk to us!", &[FROM, OUT]),
        (
            "scanlogd",
            "203.0.113.9 to 192.0.2.1 ports 80, 81, 83, TOS 00, TTL 49 @20:44:43",
            &[FROM, ("destination.ip", "192.0.2.1")],
        ),
        (
            "lfd",
            "(sshd) Failed SSH login from 203.0.113.9 (VN/Vietnam/-): 5 in the last 300 secs",
            &[FROM, ("event.action", "address_banned")],
        ),
        ("monit", "HttpRequest: access denied -- client 203.0.113.9: unknown user 'lan'", &[LAN, OUT, FROM]),
        ("in.ten", "refused connect from ten.example (203.0.113.9)", &[FROM, OUT]),
        ("sshd", "refused connect from ten.example (203.0.113.9)", &[FROM]),
        ("sshd", "Close session: user lan from 203.0.113.9 port 4411 id 0", &[LAN, FROM, PORT]),
        (
            "sshd",
            "srclimit_penalise: ipv4: new 203.0.113.9/32 deferred penalty of 5 seconds for penalty: failed authentication",
            &[FROM],
        ),
        ("internal-sftp", "remove name \"/a\"b\"", &[("file.path", "/a\"b"), ("event.type", "deletion")]),
        ("charon", "06[NET] <7> sending packet: from 192.0.2.1[4500] to 203.0.113.9[4411] (1172 bytes)", &[FROM, PORT]),
    ]);
}

#[test]
fn web_applications() {
    tagged(&[
        ("webmin", "Invalid login as lan from 203.0.113.9", &[LAN, OUT, FROM]),
        ("wordpress(cong.example)", "Authentication failure for lan from 203.0.113.9", &[LAN, OUT, FROM]),
        ("phpMyAdmin", "user denied: lan (mysql-denied) from 203.0.113.9", &[LAN, OUT, FROM]),
        (
            "pvedaemon",
            "authentication failure; rhost=::ffff:203.0.113.9 user=lan@pam msg=no",
            &[OUT, FROM, ("user.name", "lan@pam")],
        ),
        ("audit", "/index.php: Web GUI authentication error for 'lan' from 203.0.113.9", &[LAN, OUT, FROM]),
        (
            "drupal",
            "https://cong.example|1430068525|user|203.0.113.9|https://cong.example/?q=user|https://cong.example/|0||Login attempt failed for lan.",
            &[LAN, OUT, FROM],
        ),
        ("Radarr", "[Warn] Auth: Auth-Failure ip 203.0.113.9 username 'lan'", &[LAN, OUT, FROM]),
    ]);
    own(&[
        (
            "2026-11-23T02:10:00,991Z [http-7] WARN  o.a.g.r.auth.AuthenticationService - Authentication attempt from [203.0.113.9, 192.0.2.1] for user \"lan\" failed.",
            &[LAN, OUT, FROM],
        ),
        (
            "[2026-11-23 02:10:00.123][vaultwarden::api::identity][ERROR] Username or password is incorrect. Try again. IP: 203.0.113.9. Username: lan.",
            &[LAN, OUT, FROM],
        ),
        (
            "2026-11-23 02:10:00.17 Logon       Login failed for user 'O'Lan'. Reason: no. [CLIENT: 203.0.113.9]",
            &[OUT, FROM, ("user.name", "O'Lan")],
        ),
        (
            "1690466804.2161960.0 [23/Nov/2026 02:10:00] lan - 203.0.113.9 global miniserv.pl \"failed\" \"-\" \"wrongpass\"",
            &[LAN, OUT, FROM],
        ),
        (
            "Mon Nov 23 02:10:00 2026 [pid 7] [lan] FAIL LOGIN: Client \"::ffff:203.0.113.9\"",
            &[LAN, OUT, FROM, ("process.name", "vsftpd")],
        ),
        ("2026-11-23 02:10:00,388 fail2ban.actions: NOTICE [sshd] Ban 203.0.113.9", &[FROM, ("rule.name", "sshd")]),
        (
            "[2026-11-23 02:10:00] cong.INFO:  {\"type\":\"LOGIN_FAILED\",\"ip\":\"203.0.113.9\"} []",
            &[FROM, ("event.action", "login_failed")],
        ),
        (
            "INFO: 203.0.113.9:4411 - \"POST /login HTTP/1.1\" 401 Unauthorized",
            &[FROM, PORT, OUT, ("url.path", "/login"), ("http.response.status_code", "401")],
        ),
        (
            "[GIN] 2026/11/23 - 02:10:00 | 401 |     505.317µs |       203.0.113.9 | POST     \"/client\"",
            &[FROM, OUT, ("url.path", "/client")],
        ),
        (
            r#"{"start_time":"2026-11-23T02:10:00.1Z","method":"GET","x-envoy-origin-path":"/a","response_code":404,"user-agent":"x","downstream_remote_address":"203.0.113.9:4411"}"#,
            &[FROM, PORT, OUT, ("url.path", "/a")],
        ),
        (
            r#"{"eventVersion":"1.08","eventTime":"2026-11-23T02:10:00Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","sourceIPAddress":"203.0.113.9","userIdentity":{"userName":"lan"},"responseElements":{"ConsoleLogin":"Failure"}}"#,
            &[LAN, FROM, OUT, ("event.action", "ConsoleLogin")],
        ),
    ]);
}

#[test]
fn web_servers_refusals() {
    own(&[
        (
            "2026/11/23 02:10:00 [error] 7#0: *7 user \"lan\" was not found in \"/etc/x\", client: 203.0.113.9, server: cong.example, request: \"GET / HTTP/1.1\", host: \"cong.example\"",
            &[LAN, OUT, FROM, ("event.action", "web_login")],
        ),
        (
            "[Mon Nov 23 02:10:00.1 2026] [auth_basic:error] [pid 7] [client 203.0.113.9:4411] AH01617: user lan: authentication failure for \"/x\": Password Mismatch",
            &[LAN, OUT, FROM, PORT],
        ),
        (
            "2026/11/23 02:10:00 [info] 7#0: *7 client login failed: \"no\" while in http auth state, client: 203.0.113.9 using starttls, server: 192.0.2.1:587, login: \"lan\"",
            &[LAN, OUT, FROM, ("destination.port", "587")],
        ),
        (
            "<38>Nov 23 02:10:00 may-01 httpd[7]: [authz_core:error] [pid 7] [client 203.0.113.9:4411] AH01630: client denied by server configuration: /x",
            &[FROM, PORT, ("log.level", "error")],
        ),
        (
            "10.0.0.5 - - [1/Apr/2026:00:00:01 -0500] \"POST /x HTTP/1.1\" 403 181 \"-\" \"x\"",
            &[("source.ip", "10.0.0.5"), ("url.path", "/x")],
        ),
        (
            "203.0.113.9 - - [06/10/2026:11:19:31 -0000] \"GET /x HTTP/1.0\" 200 0 \"-\" \"-\" \"-\" \"-\" 2086",
            &[FROM, ("@timestamp", "2026-06-10T11:19:31Z")],
        ),
        (
            "203.0.113.9:4411 [23/Nov/2026:02:10:00.127] web~ cong/w1 170/0/0/3/173 200 739 - - --NN 0/0/0/0/0 0/0 \"GET /x HTTP/1.1\"",
            &[FROM, ("url.path", "/x")],
        ),
        (
            "23-Nov-2026 02:10:00.425 client @0x7f65100ee4d8 203.0.113.9#4411 (example.com): query (cache) 'example.com/ANY/IN' denied",
            &[FROM, PORT],
        ),
    ]);
}

#[test]
fn headers_without_a_date_and_with_others() {
    own(&[
        (
            "srv sshd[7]: Failed password for lan from 203.0.113.9 port 4411 ssh2",
            &[LAN, OUT, FROM, PORT, ("host.hostname", "srv")],
        ),
        (
            "2026-11-23 02:10:00.801612-0700  localhost sshd[7]: Failed password for lan from 203.0.113.9 port 4411 ssh2",
            &[LAN, OUT, FROM, ("@timestamp", "2026-11-23T09:10:00.801612Z")],
        ),
        (
            "Nov 23 02:10:00 sogod [7]: SOGoRootPage Login from '203.0.113.9' for user 'lan' might not have worked",
            &[LAN, FROM],
        ),
        ("2026-11-23T02:10:00.667Z: Failed Login: username=lan ip=203.0.113.9", &[LAN, OUT, FROM]),
        (
            "Nov 23 02:10:00 may-01 [WAN_LOCAL-D-7] DESCR=\"x\" IN=eth8 OUT= MAC= SRC=203.0.113.9 DST=192.0.2.1 LEN=122 PROTO=UDP SPT=4411 DPT=53",
            &[FROM, PORT],
        ),
    ]);
}

#[test]
fn storage_switches_and_firewalls_under_names_of_their_own() {
    for (line, told) in [
        (
            "<30>Nov 23 09:10:00 nas-01 Connection: User [lan] from [203.0.113.9] failed to log in via [DSM] due to authorization failure.",
            &[LAN, FROM, OUT, ("event.action", "login")][..],
        ),
        (
            "<30>Nov 23 09:10:00 nas-01 WinFileService Event: write, Path: /chung/a.docx, File/Folder: File, Size: 12 KB, User: lan, IP: 203.0.113.9",
            &[LAN, FROM, ("file.path", "/chung/a.docx"), ("event.action", "write"), ("event.category", "file")],
        ),
        (
            "<30>Nov 23 09:10:00 nas-02 qlogd[7]: conn log: Users: lan, Source IP: 203.0.113.9, Computer name: ---, Connection type: HTTP, Accessed resources: Administration, Action: Login Fail",
            &[LAN, FROM, OUT],
        ),
        (
            "<30>Nov 23 09:10:00 nas-02 qlogd[7]: conn log: Users: lan, Source IP: 203.0.113.9, Computer name: MAY-7, Connection type: SAMBA, Accessed resources: chung/a, b.docx, Action: Read",
            &[LAN, FROM, ("file.path", "chung/a, b.docx"), ("event.action", "Read")],
        ),
        (
            "<189>Nov 23 2026 09:10:00 sw-01 %%01SSH/4/SSH_FAIL(s)[11]:Failed to login through SSH. (IP=203.0.113.9, UserName=lan, Times=1, FailedReason=User password authentication failed).",
            &[LAN, FROM, OUT, ("event.reason", "User password authentication failed")],
        ),
        ("<189>Nov 23 09:10:00 2026 sw-02 %%10SHELL/5/SHELL_LOGIN: lan logged in from 203.0.113.9.", &[LAN, FROM, IN]),
        (
            "<189>Nov 23 09:10:00 2026 sw-02 %%10SHELL/6/SHELL_CMD: -Line=vty0-IPAddr=203.0.113.9-User=lan; Command is display version",
            &[LAN, FROM, ("process.command_line", "display version")],
        ),
        (
            "<38>Nov 23 09:10:00 fw-01 audit[7]: /index.php: Web GUI authentication error for user 'lan' from: 203.0.113.9",
            &[LAN, FROM, OUT],
        ),
        ("<38>Nov 23 09:10:00 fw-01 audit[7]: user lan authenticated successfully for WebGui [using x]", &[LAN, IN]),
        (
            "<38>Nov 23 09:10:00 fw-01 openvpn[7]: openvpn server 'ovpns1' user 'lan' address '203.0.113.9' - connected",
            &[LAN, FROM, ("event.action", "vpn_connected")],
        ),
        ("<38>Nov 23 09:10:00 fw-01 openvpn[7]: user 'lan' could not authenticate.", &[LAN, OUT]),
    ] {
        check("", line, told);
    }
    check(
        "cisco_ios",
        "<190>*Nov 23 09:10:00: sw-03 %LOGIN-5-LOGIN_SUCCESS: User login from vty0 (203.0.113.9) OK.",
        &[FROM, IN],
    );
    own(&[
        (
            "[2026-11-23 20:10:00 +0700] info [cpaneld] 203.0.113.9 - lan \"POST /login/?login_only=1 HTTP/1.1\" FAILED LOGIN cpaneld: user password incorrect",
            &[LAN, FROM, OUT, ("url.path", "/login/"), ("!source.domain", "")],
        ),
        (
            "[2026-11-23 20:10:00 +0700] info [cpsrvd] 203.0.113.9 - lan (possessor: root) - SUCCESS LOGIN cpaneld",
            &[LAN, FROM, IN],
        ),
        ("[2026-11-23 20:10:00 +0700] info [cpsrvd] 203.0.113.9 - lan - SUCCESS LOGIN whostmgrd", &[LAN, FROM, IN]),
    ]);
    tagged(&[
        ("systemd", "Created slice user-1000.slice.", &[("service.name", "user-1000.slice")]),
        ("systemd", "Created slice user-1000.slice - User Slice of UID 1000.", &[("service.name", "user-1000.slice")]),
        ("systemd", "Reached target Network is Online.", &[("service.name", "Network is Online")]),
        (
            "snoopy",
            "[uid:1000 sid:1 tty:/dev/pts/0 cwd:/home/lan filename:/usr/bin/id]: id -u",
            &[("user.id", "1000"), ("process.command_line", "id -u")],
        ),
        ("smbd_audit", "lan|203.0.113.9|may-7|chung|open|ok|r|a.docx", &[LAN, FROM, ("file.path", "a.docx")]),
    ]);
    // The address of a gateway is no account.
    check(
        "",
        "<30>Nov 23 09:10:00 fw-01 charon[7]: 10[IKE] <con1|1> IKE_SA con1[1] established between 192.0.2.1[192.0.2.1]...203.0.113.9[203.0.113.9]",
        &[FROM, ("!user.name", "")],
    );
}

#[test]
fn big_ip_says_who_signs_in_and_what_is_typed() {
    let raw = "01070417:5: AUDIT - user lan - RAW: httpd(pam_audit): ";
    let good = format!(
        "{raw}user=lan(lan) partition=[All] level=Administrator tty=(unknown) host=203.0.113.9 attempts=1 start=\"a\"."
    );
    let bad = format!(
        "{raw}User=lan tty=(unknown) host=203.0.113.9 failed to login after 1 attempts (start=\"a\" end=\"b\")."
    );
    tagged(&[
        ("httpd", good.as_str(), &[FROM, LAN, IN]),
        ("httpd", bad.as_str(), &[FROM, LAN, OUT]),
        (
            "mcpd",
            "01070417:5: AUDIT - client tmui, user lan - transaction #7-2 - object 0 - modify { x } [Status=Command OK]",
            &[LAN, ("process.command_line", "modify { x }")],
        ),
        (
            "apmd",
            "01490500:5: /Common/p:Common:aa: New session from client IP 203.0.113.9 (ST=H/CC=VN/C=AS) at VIP 192.0.2.2 Listener /Common/v (Reputation=Unknown)",
            &[FROM, ("destination.ip", "192.0.2.2"), ("event.category", "session")],
        ),
    ]);
}
