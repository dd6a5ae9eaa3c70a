//! Lines of the daemons in [`super::daemon`], among them hostile ones.

use super::service::tests::check;

#[track_caller]
fn all(program: &str, rows: &[(&str, &[(&str, &str)])]) {
    for (message, told) in rows {
        check("linux", &format!("<38>Nov 23 20:10:00 may-01 {program}[7]: {message}"), told);
    }
}

const IN: (&str, &str) = ("event.outcome", "success");
const OUT: (&str, &str) = ("event.outcome", "failure");
const LAN: (&str, &str) = ("user.name", "lan");
const FROM: (&str, &str) = ("source.ip", "203.0.113.9");

#[test]
fn file_servers() {
    all(
        "vsftpd",
        &[
            (r#"[lan] FAIL LOGIN: Client "203.0.113.9""#, &[OUT, LAN, FROM]),
            (r#"[pid 7] [lan] OK LOGIN: Client "203.0.113.9""#, &[IN, LAN, FROM]),
            (r#"[x] OK LOGIN: Client "198.51.100.1"] FAIL LOGIN: Client "203.0.113.9""#, &[OUT, FROM]),
            (
                r#"[lan] OK DOWNLOAD: Client "203.0.113.9", "/a "b".doc", 7 bytes"#,
                &[("file.path", r#"/a "b".doc"#), FROM],
            ),
        ],
    );
    all(
        "proftpd",
        &[
            ("kho (203.0.113.9[203.0.113.9]) - USER lan (Login failed): Incorrect password", &[OUT, LAN, FROM]),
            (
                "kho (203.0.113.9[203.0.113.9]) - USER x: no such user found from 203.0.113.9 [203.0.113.9] to 192.0.2.1:21",
                &[OUT, ("user.name", "x")],
            ),
            ("kho (203.0.113.9[203.0.113.9]) - USER lan: Login successful.", &[IN, LAN]),
        ],
    );
    all(
        "pure-ftpd",
        &[
            ("(?@203.0.113.9) [WARNING] Authentication failed for user [lan]", &[OUT, LAN, FROM]),
            ("(?@203.0.113.9) [INFO] lan is now logged in", &[IN, LAN, FROM]),
        ],
    );
    all(
        "smbd",
        &[
            (
                r"  Auth: [SMB2,(null)] user [HUE]\[lan] at [Mon, 23 Nov 2026 20:10:00.1 +07] with [NTLMv2] status [NT_STATUS_WRONG_PASSWORD] workstation [MAY-7] remote host [ipv4:203.0.113.9:4411] mapped to [HUE]\[lan]. local host [ipv4:192.0.2.1:445]",
                &[OUT, LAN, FROM, ("source.port", "4411"), ("user.domain", "HUE")],
            ),
            // An account made of the words behind it is let in by nobody and from nowhere.
            (
                r"  Auth: [SMB2,(null)] user [HUE]\[x] at [now] with [NTLMv2] status [NT_STATUS_OK] workstation [W] remote host [ipv4:198.51.100.66:1] ] at [Mon, 23 Nov 2026 20:10:00.1 +07] with [NTLMv2] status [NT_STATUS_NO_SUCH_USER] workstation [MAY-7] remote host [ipv4:203.0.113.9:4411] mapped to [HUE]\[x]. local host [ipv4:192.0.2.1:445]",
                &[OUT, ("!source.ip", ""), ("!user.name", "")],
            ),
        ],
    );
    all(
        "smbd_audit",
        &[(
            "lan|203.0.113.9|may-7|chung|unlinkat|ok|/a/b|c.doc",
            &[IN, LAN, FROM, ("event.type", "deletion"), ("file.path", "/a/b|c.doc")],
        )],
    );
}

#[test]
fn small_ssh_servers_and_others() {
    all(
        "dropbear",
        &[
            ("Bad password attempt for 'lan' from 203.0.113.9:4411", &[OUT, LAN, FROM, ("source.port", "4411")]),
            ("Password auth succeeded for 'lan' from 203.0.113.9:4411", &[IN, LAN]),
            (
                "Login attempt for nonexistent user from 2001:db8::9:4411",
                &[OUT, ("source.ip", "2001:db8::9"), ("!user.name", "")],
            ),
            ("Pubkey auth succeeded for 'lan' with ssh-ed25519 key SHA256:x from 203.0.113.9:4411", &[IN, LAN, FROM]),
        ],
    );
    all("xrdp-sesman", &[("[INFO ] AUTHFAIL: user=a ip=198.51.100.1 time=1 ip=203.0.113.9 time=7", &[OUT, FROM])]);
    all(
        "in.telnetd",
        &[
            ("connect from 203.0.113.9", &[FROM]),
            ("refused connect from kho (203.0.113.9)", &[FROM, ("event.type", "connection,denied")]),
        ],
    );
    all("sshguard", &[("Blocking \"203.0.113.9/32\" for 120 secs (3 attacks)", &[FROM, ("event.type", "denied")])]);
    all(
        "fail2ban-server",
        &[("NOTICE  [sshd] Ban 203.0.113.9", &[FROM, ("rule.name", "sshd"), ("event.action", "address_banned")])],
    );
    all(
        "radiusd",
        &[
            (
                "(7) Login incorrect (mschap: MS-CHAP2-Response is incorrect): [lan/<via Auth-Type = eap>] (from client ap-01 port 0 cli 00-11-22-33-44-AA)",
                &[OUT, LAN, ("source.mac", "00:11:22:33:44:aa"), ("observer.name", "ap-01")],
            ),
            ("Login OK: [lan] (from client ap-01 port 0)", &[IN, LAN]),
        ],
    );
}

#[test]
fn tunnels() {
    all(
        "charon",
        &[
            ("05[IKE] <con|7> IKE_SA con[7] established between 192.0.2.1[gw]...203.0.113.9[lan]", &[IN, LAN, FROM]),
            ("05[IKE] IKE_SA con[7] established between 192.0.2.1[gw]...203.0.113.9[x]...198.51.100.1[y]", &[FROM]),
            ("12[IKE] received AUTHENTICATION_FAILED notify error", &[OUT]),
            ("12[IKE] EAP method EAP_MSCHAPV2 failed for peer lan", &[OUT, LAN]),
            ("12[IKE] authentication of 'gw' (myself) with RSA signature successful", &[("!user.name", "")]),
            (
                "12[NET] received packet: from 203.0.113.9[500] to 192.0.2.1[500] (7 bytes)",
                &[FROM, ("source.port", "500")],
            ),
            ("12[IKE] assigning virtual IP 10.9.0.5 to peer 'lan'", &[LAN, ("source.nat.ip", "10.9.0.5")]),
        ],
    );
    check(
        "linux",
        "Nov 23 20:10:00 may-01 kernel: [ 7.5] wireguard: wg0: Handshake for peer 7 (203.0.113.9:51820) did not complete after 5 seconds, retrying (try 2)",
        &[FROM, ("source.port", "51820"), OUT],
    );
    check(
        "linux",
        "Nov 23 20:10:00 may-01 kernel: \"filter_IN_public_REJECT: \"IN=eth0 OUT= MAC= SRC=203.0.113.9 DST=192.0.2.1 LEN=40 PROTO=TCP SPT=1 DPT=22",
        &[FROM, ("rule.name", "filter_IN_public_REJECT"), ("event.type", "connection,denied")],
    );
}

#[test]
fn ssh_refuses_before_anybody_signs_in() {
    all(
        "sshd",
        &[
            (
                "drop connection #10 from [203.0.113.9]:4411 on [192.0.2.1]:22 past MaxStartups",
                &[FROM, ("source.port", "4411"), ("event.type", "connection,denied")],
            ),
            (
                "drop connection #0 from [2001:db8::9]:4411 on [2001:db8::1]:22 penalty: failed authentication",
                &[("source.ip", "2001:db8::9"), ("event.reason", "penalty: failed authentication")],
            ),
            (
                "error: kex_exchange_identification: Connection closed by remote host",
                &[("event.action", "ssh_no_identification")],
            ),
            (
                "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=lan",
                &[OUT, LAN, FROM],
            ),
            (
                "pam_sss(sshd:auth): authentication success; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9 user=lan",
                &[IN, LAN, FROM],
            ),
            (
                "pam_faillock(sshd:auth): Consecutive login failures for user lan account temporarily locked",
                &[LAN, ("event.action", "account_locked")],
            ),
        ],
    );
}
