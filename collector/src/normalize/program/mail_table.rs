//! Wordings of mailboxes, mail filters and web mail.
//!
//! In and out: as [`super`]. Source: Cyrus `imap/imapd.c`, `timsieved`; UW `imapd`; Courier `authlib`; Perdition; qmail's rblsmtpd; OpenSMTPD
//! smtpd(8); MailScanner, Amavis, SpamAssassin's spamd, ClamAV, OpenDKIM, policyd-spf, Postgrey; Roundcube `program/actions/login`, SOGo, Zimbra
//! `audit.log`, Open WebMail, SquirrelMail.

use super::{BANNED, COMES, END, FOUND, GOES, IN, MAIL, OUT, REFUSED, Table};

pub(super) const TABLES: &[Table] = &[
    (
        &["postfix*"],
        &[
            ("warning: <source.address>: SASL <> authentication failed<event.reason>", "smtp_login", OUT),
            ("warning: <source.address>: address not listed for hostname <source.domain>", "smtp_name_mismatch", COMES),
            (
                "warning: hostname <source.domain> does not resolve to address <source.address>",
                "smtp_name_mismatch",
                COMES,
            ),
        ],
    ),
    (
        &[
            "imapd",
            "pop3d",
            "imapd-ssl",
            "pop3d-ssl",
            "ipop3d",
            "ipop2d",
            "courier-imapd",
            "courier-pop3d",
            "authdaemond",
        ],
        &[
            ("LOGIN FAILED, user=<user.name*>, ip=[<source.address>]", "mail_login", OUT),
            ("LOGIN FAILED, method=<>, ip=[<source.address>]", "mail_login", OUT),
            ("LOGIN FAILED, ip=[<source.address>]", "mail_login", OUT),
            ("LOGIN, user=<user.name>, ip=[<source.address>], port=[<source.port>]", "mail_login", IN),
            ("LOGIN, user=<user.name>, ip=[<source.address>]", "mail_login", IN),
            ("LOGOUT, user=<user.name>, ip=[<source.address>], port=[<source.port>]", "mail_logout", END),
            ("LOGOUT, user=<user.name>, ip=[<source.address>]", "mail_logout", END),
            ("LOGOUT, ip=[<source.address>]", "mail_logout", END),
            ("TIMEOUT, user=<user.name>, ip=[<source.address>]", "mail_logout", END),
            ("DISCONNECTED, user=<user.name>, ip=[<source.address>]", "mail_logout", END),
            ("DISCONNECTED, ip=[<source.address>]", "mail_disconnected", GOES),
            ("Connection, ip=[<source.address>]", "mail_connection", COMES),
            ("Login failed user=<user.name*> auth=<*> host=<source.address>", "mail_login", OUT),
            ("Login excessive login failures user=<user.name*> auth=<*> host=<source.address>", "mail_login", OUT),
            ("Login disabled user=<user.name*> auth=<*> host=<source.address>", "mail_login", OUT),
            ("Failed <> override of user=<user.name*> host=<source.address>", "mail_login", OUT),
            ("AUTHENTICATE <> failure host=<source.address>", "mail_login", OUT),
            ("AUTHENTICATE LOGIN failure host=<source.address>", "mail_login", OUT),
            ("Login user=<user.name> host=<source.address>", "mail_login", IN),
            ("Authenticated user=<user.name> host=<source.address>", "mail_login", IN),
            ("Auth user=<user.name> host=<source.address>", "mail_login", IN),
            ("Logout user=<user.name> host=<source.address>", "mail_logout", END),
        ],
    ),
    (
        &[
            "imap",
            "imaps",
            "pop3",
            "pop3s",
            "sieve",
            "timsieved",
            "imapd",
            "pop3d",
            "lmtpunix",
            "cyrus/*",
            "cyrus-imapd*",
            "lmtp",
        ],
        &[
            ("badlogin: <source.domain> [<source.address>] <> [<event.reason>]", "mail_login", OUT),
            ("badlogin: <source.domain> [<source.address>] <event.reason>", "mail_login", OUT),
            ("badlogin: <source.domain>[<source.address>] <event.reason>", "mail_login", OUT),
            ("login: <source.domain> [<source.address>] <user.name> <> User logged in<>", "mail_login", IN),
            ("login: <source.domain>[<source.address>] <user.name> <> User logged in<>", "mail_login", IN),
        ],
    ),
    (
        &["perdition*"],
        &[
            (
                "Auth: <source.address>-><destination.address> <>authentication_id=\"<user.name*>\" server=\"<>\" <>status=\"failed<event.reason>",
                "mail_login",
                OUT,
            ),
            (
                "Auth: <source.address>-><destination.address> <>authentication_id=\"<user.name*>\" server=\"<>\" <>status=\"ok\"",
                "mail_login",
                IN,
            ),
            (
                "Fatal Error <event.reason> from client <source.address>-><destination.address>: <>",
                "mail_disconnected",
                GOES,
            ),
            ("Connect: <source.address>-><destination.address>", "mail_connection", COMES),
        ],
    ),
    (
        &["qmail*", "rblsmtpd"],
        &[
            ("<> rblsmtpd: <source.address> pid <> <event.reason>", "mail_rejected", REFUSED),
            ("<> qmail-smtpd: <> badiprbl: ip <source.address> rbl: <event.reason>", "mail_rejected", REFUSED),
            ("<> blocked <source.address> <event.reason>", "mail_rejected", REFUSED),
        ],
    ),
    (
        &["vchkpw*", "vpopmail"],
        &[
            ("vchkpw-<>: vpopmail user not found <user.name*>:<source.address>", "mail_login", OUT),
            ("vchkpw-<>: password fail<>) <user.name*>:<source.address>", "mail_login", OUT),
            ("vchkpw-<>: password fail <user.name*>:<source.address>", "mail_login", OUT),
            ("vchkpw-<>: <>login success <user.name*>:<source.address>", "mail_login", IN),
        ],
    ),
    (
        &["smtpd"],
        &[
            ("<> smtp connected address=<source.address> host=<source.domain>", "smtp_connection", COMES),
            ("<> smtp disconnected reason=<event.reason>", "smtp_disconnected", GOES),
            ("<> smtp failed-command <event.reason>", "smtp_rejected", REFUSED),
            ("<> smtp authentication user=<user.name> <>result=permfail", "smtp_login", OUT),
            ("<> smtp authentication user=<user.name> <>result=ok", "smtp_login", IN),
            ("smtp-in: New session <> from host <source.address>", "smtp_connection", COMES),
            ("smtp-in: Accepted message <event.reason>", "mail_received", MAIL),
            ("smtp-in: Failed command on session <>: <event.reason>", "smtp_rejected", REFUSED),
            ("smtp-in: Authentication failed for user <user.name> on session <>", "smtp_login", OUT),
            ("smtp-in: Accepted authentication for user <user.name> on session <>", "smtp_login", IN),
            ("smtp-in: Closing session <>", "smtp_disconnected", GOES),
            ("smtp-in: Received disconnect from session <>", "smtp_disconnected", GOES),
            ("smtp-in: Disconnecting session <>: <event.reason>", "smtp_disconnected", GOES),
        ],
    ),
    (
        &["mailscanner"],
        &[
            (
                "Message <email.local_id> from <source.address> (<email.from.address*>) to <email.to.address> is spam<event.reason>",
                "spam_found",
                FOUND,
            ),
            (
                "Message <email.local_id> from <source.address> (<email.from.address*>) to <email.to.address> is not spam<event.reason>",
                "mail_checked",
                MAIL,
            ),
            ("Infected message <email.local_id> came from <source.address>", "virus_found", FOUND),
            ("Virus Scanning: <event.reason>", "virus_scanned", MAIL),
        ],
    ),
    (
        &["amavis*"],
        &[
            ("(<email.local_id>) Blocked <event.reason>, [<source.address>]", "mail_blocked", REFUSED),
            ("(<email.local_id>) Blocked <event.reason> {", "mail_blocked", REFUSED),
            ("(<email.local_id>) Passed <event.reason>, [<source.address>]", "mail_passed", MAIL),
            ("(<email.local_id>) Passed <event.reason> {", "mail_passed", MAIL),
        ],
    ),
    (
        &["clamd", "clamav-milter", "clamav"],
        &[
            ("<file.path*>: <threat.indicator.name> FOUND", "virus_found", FOUND),
            (
                "Message <email.local_id> from <email.from.address> to <> infected by <threat.indicator.name>",
                "virus_found",
                FOUND,
            ),
        ],
    ),
    (
        &["spamd"],
        &[
            ("spamd: identified spam <event.reason>", "spam_found", FOUND),
            ("spamd: clean message <event.reason>", "mail_checked", MAIL),
            ("spamd: connection from <source.address> to port <>", "spam_check", MAIL),
            ("<source.address>: connected <>", "smtp_connection", COMES),
            ("<source.address>: disconnected <>", "smtp_disconnected", GOES),
        ],
    ),
    (
        &["policyd-spf", "postfix-policyd-spf-python", "postfix-policyd-spf-perl"],
        &[(
            "<event.reason>; identity=<>; client-ip=<source.address>; helo=<>; envelope-from=<email.from.address>; receiver=<>",
            "spf_checked",
            MAIL,
        )],
    ),
    (
        &["postgrey"],
        &[
            (
                "action=<event.reason>, reason=<>, client_name=<source.domain>, client_address=<source.address>, sender=<email.from.address>",
                "mail_greylisted",
                MAIL,
            ),
            (
                "action=<event.reason>, reason=<>, client_name=<source.domain>, client_address=<source.address>",
                "mail_greylisted",
                MAIL,
            ),
        ],
    ),
    (
        &["opendkim", "opendmarc"],
        &[
            ("<email.local_id>: <source.domain> [<source.address>] not internal", "dkim_checked", MAIL),
            ("<email.local_id>: <source.domain> [<source.address>] not authenticated", "dkim_checked", MAIL),
            ("<email.local_id>: DKIM verification successful", "dkim_checked", MAIL),
        ],
    ),
    (
        &["roundcube"],
        &[
            ("<>Failed login for <user.name*> from <source.address> in session <>", "webmail_login", OUT),
            ("<>Failed login for <user.name*> from <source.address> ", "webmail_login", OUT),
            ("<>Failed login for <user.name*> from <source.address>", "webmail_login", OUT),
            ("<>FAILED login for <user.name*> from <source.address>", "webmail_login", OUT),
            ("<>Login failed for <user.name*> from <source.address>(X-<event.reason>", "webmail_login", OUT),
            (
                "<>Login failed for <user.name*> from <source.address>. AUTHENTICATE <event.reason>",
                "webmail_login",
                OUT,
            ),
            ("<>Login failed for <user.name*> against <> from <source.address>. <event.reason>", "webmail_login", OUT),
            ("<>Login failed for <user.name*> from <source.address>. <event.reason>", "webmail_login", OUT),
            ("<>Login failed for <user.name*> from <source.address>", "webmail_login", OUT),
            (
                "<>Successful login for <user.name> (ID: <user.id>) from <source.address> in session <>",
                "webmail_login",
                IN,
            ),
        ],
    ),
    (
        &["sogod", "sogo"],
        &[
            (
                "<>SOGoRootPage Login from '<source.address>' for user '<user.name*>' might not have worked<>",
                "webmail_login",
                OUT,
            ),
            ("<>Login from '<source.address>' for user '<user.name*>' might not have worked<>", "webmail_login", OUT),
            ("<>SOGoRootPage successful login from '<source.address>' for user '<user.name*>'", "webmail_login", IN),
        ],
    ),
    (
        &["squirrelmail", "squirrelmail_logger"],
        &[
            ("Failed webmail login: by <user.name*> at <source.address> on <>: <event.reason>", "webmail_login", OUT),
            ("Failed webmail login: by <user.name*> at <source.address>", "webmail_login", OUT),
            ("Successful webmail login: by <user.name*> at <source.address>", "webmail_login", IN),
        ],
    ),
    (
        &["openwebmail"],
        &[
            ("<>(<source.address>) <user.name> - login error - <event.reason>", "webmail_login", OUT),
            ("<>(<source.address>) <user.name> - userinfo error - <event.reason>", "webmail_login", OUT),
            ("<>(<source.address>) <user.name> - login - <event.reason>", "webmail_login", IN),
        ],
    ),
    (
        &["horde", "imp"],
        &[
            ("[<>] FAILED LOGIN for <user.name*> [<source.address>]", "webmail_login", OUT),
            ("[<>] Login success for <user.name*> [<source.address>]", "webmail_login", IN),
            ("FAILED LOGIN for <user.name*> [<source.address>]", "webmail_login", OUT),
            ("Login success for <user.name*> [<source.address>]", "webmail_login", IN),
        ],
    ),
    (&["postfix-policyd", "policyd"], &[("<>client_address=<source.address>, <event.reason>", "mail_policy", MAIL)]),
    (&["mailcow", "netfilter-mailcow"], &[("<>Banning <source.address> for <event.reason>", "address_banned", BANNED)]),
];
