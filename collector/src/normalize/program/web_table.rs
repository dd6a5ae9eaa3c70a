//! Wordings of web applications and panels that write to syslog or to a file of their own.
//!
//! In and out: as [`super`]. Source: each application's own messages: WP fail2ban for WordPress, phpMyAdmin, Webmin, Proxmox VE, OPNsense,
//! Gitea, Vaultwarden, Nextcloud, Jellyfin, Radarr and its kin, LemonLDAP::NG, Sympa, Cowrie, Microsoft SQL Server `ERRORLOG`, lighttpd `mod_auth.c`.

use super::super::device::Act;
use super::{BANNED, COMES, DENIED, END, FOUND, GOES, IN, NO_ACCESS, OUT, Table};

pub(super) const TABLES: &[Table] = &[
    (
        &["webmin", "usermin", "virtualmin"],
        &[
            ("Invalid login as <user.name*> from <source.address>", "webmin_login", OUT),
            ("Non-existent login as <user.name*> from <source.address>", "webmin_login", OUT),
            ("Failed login as <user.name*> from <source.address>", "webmin_login", OUT),
            ("Successful login as <user.name*> from <source.address>", "webmin_login", IN),
            ("Logout by <user.name*> from <source.address>", "webmin_logout", END),
            ("Timeout of session for <user.name>", "webmin_logout", END),
            ("Security alert: Host <source.address> blocked after <event.reason>", "address_banned", BANNED),
            ("Webmin starting", "service_started", Act("process", &["start"], "")),
        ],
    ),
    (
        &["phpmyadmin"],
        &[
            ("user denied: <user.name*> (<event.reason>) from <source.address>", "database_login", OUT),
            ("user authenticated: <user.name*> from <source.address>", "database_login", IN),
        ],
    ),
    (
        &["wordpress*", "wp*"],
        &[
            ("Authentication failure for <user.name*> from <source.address>", "web_login", OUT),
            ("Authentication attempt for unknown user <user.name*> from <source.address>", "web_login", OUT),
            ("XML-RPC authentication attempt for unknown user <user.name*> from <source.address>", "web_login", OUT),
            ("XML-RPC authentication failure for <user.name*> from <source.address>", "web_login", OUT),
            ("XML-RPC authentication failure from <source.address>", "web_login", OUT),
            ("XML-RPC multicall authentication failure from <source.address>", "web_login", OUT),
            ("REST authentication failure for <user.name*> from <source.address>", "web_login", OUT),
            ("REST authentication attempt for unknown user <user.name*> from <source.address>", "web_login", OUT),
            ("Blocked authentication attempt for <user.name*> from <source.address>", "web_login", OUT),
            ("Blocked username authentication attempt for <user.name*> from <source.address>", "web_login", OUT),
            ("Blocked user enumeration attempt from <source.address>", "web_user_enumeration", NO_ACCESS),
            ("Blocked access from country '<>' from <source.address>", "web_blocked", NO_ACCESS),
            ("Pingback error <event.reason> generated from <source.address>", "web_pingback", NO_ACCESS),
            ("Pingback requested from <source.address>", "web_pingback", Act("web", &["access"], "")),
            ("Spam comment <event.reason> from <source.address>", "web_spam", NO_ACCESS),
            ("Untrusted X-Forwarded-For header from <source.address>", "web_untrusted_proxy", NO_ACCESS),
            ("Accepted password for <user.name*> from <source.address>", "web_login", IN),
            ("REST authentication success for <user.name*> from <source.address>", "web_login", IN),
            (
                "Password reset requested for <user.name*> from <source.address>",
                "password_reset_requested",
                Act("iam", &["user"], ""),
            ),
        ],
    ),
    (
        &["pvedaemon", "pveproxy", "proxmox-backup-proxy", "proxmox-backup-api", "pmgdaemon", "pmgproxy"],
        &[
            ("<>authentication failure; rhost=<source.address> user=<user.name> msg=<event.reason>", "web_login", OUT),
            ("<>successful auth for user '<user.name*>'", "web_login", IN),
            ("<user.name> starting task <event.reason>", "task_started", Act("process", &["start"], "")),
            ("<user.name> end task <event.reason>", "task_ended", Act("process", &["end"], "")),
        ],
    ),
    (
        &["audit", "lighttpd", "configd.py", "opnsense"],
        &[
            ("<url.path>: Web GUI authentication error for '<user.name*>' from <source.address>", "web_login", OUT),
            ("<url.path>: Web GUI user '<user.name*>' logged in from <source.address>", "web_login", IN),
            ("<url.path>: Successful login for user '<user.name*>' from: <source.address>", "web_login", IN),
            ("<url.path>: User logged out for user '<user.name*>' from: <source.address>", "web_logout", END),
            ("user <user.name> authenticated successfully for <service.name> <>", "web_login", IN),
            ("user <user.name> could not authenticate for <service.name>. <event.reason>", "web_login", OUT),
        ],
    ),
    (
        &["php-fpm", "php"],
        &[
            (
                "<url.path>: webConfigurator authentication error for user '<user.name*>' from: <source.address>",
                "web_login",
                OUT,
            ),
            (
                "<url.path>: webConfigurator authentication error for '<user.name*>' from <source.address>",
                "web_login",
                OUT,
            ),
            ("<url.path>: Successful login for user '<user.name*>' from: <source.address>", "web_login", IN),
            ("<url.path>: User logged out for user '<user.name*>' from: <source.address>", "web_logout", END),
        ],
    ),
    (
        &["suhosin", "php", "php-fpm"],
        &[("ALERT - <event.reason> (attacker '<source.address>', file '<file.path>'", "attack_seen", FOUND)],
    ),
    (
        &["froxlor"],
        &[
            ("[Login Action <source.address>] Unknown user '<user.name*>' tried to login", "web_login", OUT),
            (
                "[Login Action <source.address>] User '<user.name*>' tried to login with wrong password",
                "web_login",
                OUT,
            ),
        ],
    ),
    (
        &["gitea", "forgejo"],
        &[
            ("<>Failed authentication attempt for <user.name*> from <source.address>", "web_login", OUT),
            ("<>Failed authentication attempt from <source.address>", "web_login", OUT),
        ],
    ),
    (
        &["llng", "lemonldap-ng", "lemonldap"],
        &[
            ("<>Bad password for <user.name*> (<source.address>)", "web_login", OUT),
            ("<>Lemonldap::NG : <user.name*> was not found in LDAP directory (<source.address>)", "web_login", OUT),
            ("[<>] <user.name*> was not found in LDAP directory (<source.address>)", "web_login", OUT),
            ("<user.name*> was not found in LDAP directory (<source.address>)", "web_login", OUT),
            ("<>User <user.name*> successfully authenticated at level <> (<source.address>)", "web_login", IN),
        ],
    ),
    (
        &["wwsympa"],
        &[
            (
                "<> [client <source.address>] [user <user.name*>] <event.reason>",
                "web_request",
                Act("web", &["access"], ""),
            ),
            ("<> [client <source.address>] <event.reason>", "web_request", Act("web", &["access"], "")),
        ],
    ),
    (
        &["cowrie"],
        &[
            (
                "<> New connection: <source.address> (<destination.ip>:<destination.port>) [session: <session.id>]",
                "honeypot_connection",
                FOUND,
            ),
            ("<>,<source.ip>] login attempt [<user.name*>/<>] failed", "honeypot_login", OUT),
            ("<>,<source.ip>] login attempt [<user.name*>/<>] succeeded", "honeypot_login", IN),
            ("<>,<source.ip>] CMD: <process.command_line>", "honeypot_command", FOUND),
        ],
    ),
    (
        &["cimserver", "vimserver", "sfcb", "hostd", "vpxd"],
        &[
            ("<>: Authentication failed for user <user.name>.", "login", OUT),
            ("<>Rejected password for user <user.name*> from <source.address>", "login", OUT),
            ("<>Accepted password for user <user.name> from <source.address>", "login", IN),
            ("<>User <user.name>@<source.ip> logged in as <event.reason>", "login", IN),
            ("<>User <user.name>@<source.ip> logged out (<event.reason>)", "logout", END),
            ("<>Cannot login <user.name>@<source.ip>", "login", OUT),
        ],
    ),
    (
        &["haproxy"],
        &[(
            "Connect from <source.address>:<source.port> to <destination.ip>:<destination.port> (<>",
            "connection_opened",
            COMES,
        )],
    ),
    (
        &["dockerd", "docker"],
        &[(
            "<>msg=\"Handler for <http.request.method> <url.path> returned error: <event.reason>\"",
            "container_api_error",
            super::ERROR,
        )],
    ),
    (
        &["zabbix_server", "zabbix_agentd", "zabbix"],
        &[
            (
                "<>failed to accept an incoming connection: connection from \"<source.address>\" rejected, <event.reason>",
                "connection_refused",
                DENIED,
            ),
            ("<>connection from \"<source.address>\" rejected, <event.reason>", "connection_refused", DENIED),
            ("<>Zabbix agent item update failed<event.reason>", "agent_error", super::ERROR),
        ],
    ),
    (&["mssql", "sqlservr"], super::own::MSSQL),
    (
        &["ejabberd"],
        &[
            ("<>Failed authentication for <user.name*> from IP <source.address>", "chat_login", OUT),
            ("<>Accepted connection {{<>", "chat_connect", COMES),
            ("<>Close session for <user.name>", "chat_logout", GOES),
        ],
    ),
];
