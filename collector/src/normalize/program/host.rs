//! What runs on a Linux host itself: accounts, privileges, services, the kernel's remarks.
//!
//! In and out: as [`super`]. Source: OpenBSD doas(1), shadow-utils' `su.c`, `useradd.c`, `chage.c`, `chfn.c`, `chsh.c`; util-linux; polkit
//! `polkitbackendinteractiveauthority.c`, `pkexec.c`; NetworkManager; xinetd `logctl.c`; rsyslog; systemd; chrony; the kernel's
//! `arch/x86/mm/fault.c`, `mm/oom_kill.c`, `drivers/usb/core/hub.c`, `net/core/dev.c`, `net/ipv4/tcp_input.c`, `net/netfilter/nf_conntrack_core.c`.

use super::super::device::Act;
use super::{COMES, DENIED, ERROR, FOUND, IN, INFO, OUT, Table};

/// A command that somebody ran as another.
const RUN: Act = Act("process", &["start"], "success");
/// One that was refused.
const REFUSED_RUN: Act = Act("process", &["start", "denied"], "failure");
/// An account that was changed.
const USER: Act = Act("iam", &["user", "change"], "success");
/// One that could not be.
const NO_USER: Act = Act("iam", &["user"], "failure");
/// A group that was changed.
const GROUP: Act = Act("iam", &["group", "change"], "success");
/// A setting of the host that was changed.
const CONFIG: Act = Act("configuration", &["change"], "");
/// A device that came.
const DEVICE: Act = Act("host", &["info"], "");

pub(super) const TABLES: &[Table] = &[
    (
        &["doas"],
        &[
            ("failed command for <user.name>: <process.command_line>", "doas_command", REFUSED_RUN),
            ("failed auth for <user.name>", "doas", OUT),
            ("command not permitted for <user.name>: <process.command_line>", "doas_command", REFUSED_RUN),
            ("<user.name> ran command as <user.effective.name>: <process.command_line>", "doas_command", RUN),
            (
                "<user.name> ran command <process.command_line*> as <user.effective.name> from <process.working_directory>",
                "doas_command",
                RUN,
            ),
        ],
    ),
    (
        &["su"],
        &[
            ("failed: <su.tty> changing from <user.name> to <user.effective.name>", "su", OUT),
            ("BAD SU <user.name> to <user.effective.name> on <su.tty>", "su", OUT),
            ("pam_authenticate: <event.reason>", "su", OUT),
            ("No passwd entry for user '<user.effective.name>'", "su", OUT),
            ("<user.name> to <user.effective.name> on <su.tty>", "su", IN),
        ],
    ),
    (
        &["sudo"],
        &[
            ("pam_authenticate: <event.reason>", "sudo", OUT),
            ("<user.name> : <event.reason> ; TTY=", "sudo", OUT),
            ("timestamp too far in the future: <event.reason>", "sudo", OUT),
        ],
    ),
    (
        // What watches commands: snoopy, and shells that send what was typed.
        &["snoopy", "bash", "-bash", "zsh"],
        &[
            (
                "[uid:<user.id> sid:<> tty:<> cwd:<process.working_directory> filename:<process.executable>]: <process.command_line>",
                "command",
                RUN,
            ),
            (
                "[login:<user.name> ssh:(<>) sid:<> tty:<> (<>) cwd:<process.working_directory>]: <process.command_line>",
                "command",
                RUN,
            ),
            ("HISTORY: PID=<process.pid> UID=<user.id> <process.command_line>", "command", RUN),
        ],
    ),
    (
        &["useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "newusers"],
        &[
            ("failed adding user '<user.name>'<event.reason>", "user_added", NO_USER),
            ("failed adding user `<user.name>'<event.reason>", "user_added", NO_USER),
            ("failed adding group '<group.name>'<event.reason>", "group_added", NO_USER),
            ("delete '<user.name>' from group '<group.name>'", "user_removed_from_group", GROUP),
            ("delete '<user.name>' from shadow group '<group.name>'", "user_removed_from_group", GROUP),
            ("removed shadow group '<group.name>'", "group_removed", Act("iam", &["group", "deletion"], "success")),
            ("group changed in <file.path> (group <group.name>/<group.id>, <event.reason>)", "group_changed", GROUP),
            ("group changed in <file.path> (group <group.name>/<group.id>)", "group_changed", GROUP),
            ("group '<group.name>' removed<>", "group_removed", Act("iam", &["group", "deletion"], "success")),
            (
                "new group: name=<group.name>, GID=<group.id>",
                "group_added",
                Act("iam", &["group", "creation"], "success"),
            ),
            ("change user '<user.name>' <event.reason>", "user_changed", USER),
            ("set user '<user.name>' <event.reason>", "user_changed", USER),
        ],
    ),
    (
        &["gpasswd"],
        &[
            ("members of group <group.name> set by <user.name> to <event.reason>", "group_changed", GROUP),
            ("password of group <group.name> changed by <user.name>", "group_changed", GROUP),
            ("password of group <group.name> removed by <user.name>", "group_changed", GROUP),
            ("administrators of group <group.name> set by <user.name> to <event.reason>", "group_changed", GROUP),
        ],
    ),
    (
        &["chage"],
        &[
            ("changed password expiry for <user.name>", "password_expiry_changed", USER),
            ("changed expiration of password for <user.name>", "password_expiry_changed", USER),
        ],
    ),
    (
        &["chfn", "chsh"],
        &[
            ("changed user '<user.name>' shell to '<user.shell>'", "user_changed", USER),
            ("changed user '<user.name>' information", "user_changed", USER),
            ("changed user `<user.name>' shell to `<user.shell>'", "user_changed", USER),
        ],
    ),
    (
        &["passwd", "chpasswd"],
        &[
            ("can't view or modify password information for <user.name>", "password_changed", NO_USER),
            ("password for '<user.name>' changed by '<>'", "password_changed", USER),
            ("password for <user.name> changed by <>", "password_changed", USER),
        ],
    ),
    (
        &["login", "remote"],
        &[
            ("LOGIN ON <login.tty> BY <user.name> FROM <source.address>", "login", IN),
            ("LOGIN ON <login.tty> BY <user.name>", "login", IN),
            ("TOO MANY LOGIN TRIES (<>) FROM <source.address> FOR <user.name>, <event.reason>", "login", OUT),
            ("TOO MANY LOGIN TRIES (<>) on '<login.tty>' FOR '<user.name*>', <event.reason>", "login", OUT),
            ("FAILED LOGIN SESSION FROM <source.address> FOR <user.name>, <event.reason>", "login", OUT),
            ("invalid password for '<user.name*>' on '<login.tty>' from '<source.address>'", "login", OUT),
            ("invalid password for '<user.name*>' on '<login.tty>'", "login", OUT),
            ("REPEATED login failures on '<login.tty>' from '<source.address>'", "login", OUT),
            ("REPEATED login failures on '<login.tty>'", "login", OUT),
            ("DIALUP AT <login.tty> BY <user.name>", "login", IN),
        ],
    ),
    (
        &["systemd-logind"],
        &[
            ("Session <session.id> logged out. Waiting for processes to exit.", "session_closing", super::END),
            ("New seat <host.seat>.", "seat_found", DEVICE),
            ("Watching system buttons on <file.path> (<>)", "buttons_found", DEVICE),
            ("System is rebooting<>", "host_reboot", Act("host", &["end"], "")),
            ("System is powering down<>", "host_shutdown", Act("host", &["end"], "")),
            ("Power key pressed<>", "power_key", DEVICE),
            ("Lid closed<>", "lid_closed", DEVICE),
            ("Lid opened<>", "lid_opened", DEVICE),
        ],
    ),
    (
        &["polkitd"],
        &[
            (
                "Operator of <> successfully authenticated as unix-user:<user.effective.name> to gain <> for action <polkit.action> for <> [<process.command_line*>] (owned by unix-user:<user.name>)",
                "polkit_authorization",
                IN,
            ),
            (
                "Operator of <> FAILED to authenticate to gain <> for action <polkit.action> for <> [<process.command_line*>] (owned by unix-user:<user.name>)",
                "polkit_authorization",
                OUT,
            ),
            (
                "Registered Authentication Agent for <polkit.subject> (system bus name <> [<process.command_line>],<>",
                "polkit_agent",
                INFO,
            ),
            ("Unregistered Authentication Agent for <polkit.subject> (<>", "polkit_agent", INFO),
        ],
    ),
    (
        &["pkexec"],
        &[
            (
                "<user.name>: Executing command [USER=<user.effective.name>] [TTY=<>] [CWD=<process.working_directory>] [COMMAND=<process.command_line*>]",
                "pkexec_command",
                RUN,
            ),
            (
                "<user.name>: Error executing command as another user: <event.reason> [USER=<user.effective.name>] [TTY=<>] [CWD=<process.working_directory>] [COMMAND=<process.command_line*>]",
                "pkexec_command",
                REFUSED_RUN,
            ),
            (
                "<user.name>: The value for <event.reason> [USER=<user.effective.name>] [TTY=<>] [CWD=<process.working_directory>] [COMMAND=<process.command_line*>]",
                "pkexec_command",
                REFUSED_RUN,
            ),
        ],
    ),
    (
        &["networkmanager"],
        &[
            ("<> dhcp4 (<observer.ingress.interface.name>): <>address=<host.ip>", "dhcp_lease", CONFIG),
            ("<> dhcp4 (<observer.ingress.interface.name>):   address <host.ip>", "dhcp_lease", CONFIG),
            (
                "<> device (<observer.ingress.interface.name>): state change: <event.reason>",
                "network_state_changed",
                CONFIG,
            ),
            ("<> audit: op=\"<event.action>\" <>pid=<process.pid> uid=<user.id> result=\"<event.reason>\"", "", CONFIG),
            ("<> NetworkManager state is now <event.reason>", "network_state_changed", CONFIG),
        ],
    ),
    (
        &["systemd"],
        &[
            ("<service.name>: Main process exited, <event.reason>", "service_exited", INFO),
            ("<service.name>: Succeeded.", "service_finished", INFO),
            ("<service.name>: Deactivated successfully.", "service_finished", INFO),
            ("<service.name>: Consumed <event.reason>", "service_finished", INFO),
            ("Created slice <service.name> - <>", "slice_created", INFO),
            ("Created slice <service.name*>.", "slice_created", INFO),
            ("Removed slice <service.name> - <>", "slice_removed", INFO),
            ("Removed slice <service.name*>.", "slice_removed", INFO),
            ("Reached target <service.name> - <>", "target_reached", INFO),
            ("Reached target <service.name*>.", "target_reached", INFO),
            ("Stopped target <service.name> - <>", "target_stopped", INFO),
            ("Stopped target <service.name*>.", "target_stopped", INFO),
            ("Listening on <service.name> - <>", "socket_opened", INFO),
            ("Listening on <service.name*>.", "socket_opened", INFO),
            ("Closed <service.name> - <>", "socket_closed", INFO),
            ("Closed <service.name*>.", "socket_closed", INFO),
            ("Mounted <file.path*>.", "mounted", INFO),
            ("Startup finished in <event.reason>", "startup_finished", INFO),
            ("Time has been changed", "time_changed", CONFIG),
            ("Shutting down.", "host_shutdown", Act("host", &["end"], "")),
        ],
    ),
    (
        &["systemd-coredump"],
        &[("Process <process.pid> (<process.name>) of user <user.id> <event.reason>", "process_crashed", ERROR)],
    ),
    (
        &["rsyslogd*", "syslog-ng", "syslogd"],
        &[
            ("imuxsock begins to drop messages from pid <process.pid> <event.reason>", "messages_dropped", ERROR),
            ("imuxsock lost <> messages from pid <process.pid> <event.reason>", "messages_dropped", ERROR),
            ("[origin software=\"<>\" <>] start", "service_started", Act("process", &["start"], "")),
            ("[origin software=\"<>\" <>] exiting on signal <>", "service_stopped", Act("process", &["end"], "")),
            ("[origin software=\"<>\" <>] rsyslogd was HUPed", "service_reloaded", Act("process", &["change"], "")),
            ("restart<>", "service_started", Act("process", &["start"], "")),
            ("exiting on signal <>", "service_stopped", Act("process", &["end"], "")),
        ],
    ),
    (
        &["chronyd", "ntpd", "ntpdate", "systemd-timesyncd"],
        &[
            ("System clock wrong by <event.reason>", "time_changed", CONFIG),
            ("System clock was stepped by <event.reason>", "time_changed", CONFIG),
            ("step time server <server.address> offset <event.reason>", "time_changed", CONFIG),
            ("adjust time server <server.address> offset <event.reason>", "time_changed", CONFIG),
        ],
    ),
    (
        &["firewalld"],
        &[
            ("<> ERROR: <event.reason>", "firewall_error", ERROR),
            ("<> WARNING: <event.reason>", "firewall_warning", INFO),
        ],
    ),
    (
        // `process.name` stays the kernel, as rules ask for it; whom it is about has names of its own.
        &["kernel"],
        &[
            (
                "<linux.kernel.process.name>[<linux.kernel.process.pid>]: segfault at <event.reason>",
                "process_crashed",
                ERROR,
            ),
            ("traps: <linux.kernel.process.name>[<linux.kernel.process.pid>] <event.reason>", "process_crashed", ERROR),
            (
                "<linux.kernel.process.name>[<linux.kernel.process.pid>]: general protection <event.reason>",
                "process_crashed",
                ERROR,
            ),
            (
                "Out of memory: Killed process <linux.kernel.process.pid> (<linux.kernel.process.name>)<event.reason>",
                "process_killed",
                ERROR,
            ),
            (
                "Out of memory: Kill process <linux.kernel.process.pid> (<linux.kernel.process.name>)<event.reason>",
                "process_killed",
                ERROR,
            ),
            (
                "Memory cgroup out of memory: Killed process <linux.kernel.process.pid> (<linux.kernel.process.name>)<event.reason>",
                "process_killed",
                ERROR,
            ),
            (
                "Killed process <linux.kernel.process.pid> (<linux.kernel.process.name>)<event.reason>",
                "process_killed",
                ERROR,
            ),
            ("usb <device.id>: New USB device found, <event.reason>", "device_attached", DEVICE),
            ("usb <device.id>: USB disconnect, <event.reason>", "device_removed", DEVICE),
            ("device <observer.ingress.interface.name> entered promiscuous mode", "promiscuous_mode", FOUND),
            ("<> device <observer.ingress.interface.name>: entered promiscuous mode", "promiscuous_mode", FOUND),
            ("device <observer.ingress.interface.name> left promiscuous mode", "promiscuous_mode_left", DEVICE),
            ("<>TCP: Possible SYN flooding on port <destination.port>. <event.reason>", "syn_flood", FOUND),
            ("<>possible SYN flooding on port <destination.port>. <event.reason>", "syn_flood", FOUND),
            ("nf_conntrack: table full, dropping packet<>", "connections_full", Act("network", &["error"], "failure")),
            (
                "<>nf_conntrack: nf_conntrack: table full, dropping packet<>",
                "connections_full",
                Act("network", &["error"], "failure"),
            ),
            (
                "<>martian source <destination.ip> from <source.address>, on dev <observer.ingress.interface.name>",
                "martian_packet",
                DENIED,
            ),
            ("EXT4-fs error (device <device.id>)<event.reason>", "disk_error", ERROR),
            ("blk_update_request: I/O error, dev <device.id>, <event.reason>", "disk_error", ERROR),
            ("I/O error, dev <device.id>, <event.reason>", "disk_error", ERROR),
            ("Buffer I/O error on dev <device.id>, <event.reason>", "disk_error", ERROR),
        ],
    ),
    (
        &["xinetd"],
        &[
            ("START: <service.name> pid=<process.pid> from=<source.address>", "connection_opened", COMES),
            ("EXIT: <service.name> status=<> pid=<process.pid> duration=<>", "connection_closed", super::GOES),
            ("FAIL: <service.name> <event.reason> from=<source.address>", "connection_refused", DENIED),
            ("libwrap refused connection to <service.name> (<>) from <source.address>", "connection_refused", DENIED),
        ],
    ),
    (&["pam_tally2", "pam_tally"], &[("<>user <user.name> (<user.id>) tally <>, deny <>", "account_locked", OUT)]),
    (
        &["dhclient", "dhcpcd"],
        &[
            ("DHCPACK of <host.ip> from <server.address>", "dhcp_lease", CONFIG),
            ("bound to <host.ip> -- <event.reason>", "dhcp_lease", CONFIG),
            ("DHCPREQUEST <event.reason>", "dhcp_request", INFO),
            ("DHCPDISCOVER <event.reason>", "dhcp_request", INFO),
        ],
    ),
    (
        &["anacron"],
        &[
            ("Job `<service.name>' started", "cron_job_started", INFO),
            ("Job `<service.name>' terminated<event.reason>", "cron_job_ended", INFO),
        ],
    ),
    (
        &["dbus-daemon", "dbus"],
        &[
            ("<>Successfully activated service '<service.name>'", "service_started", INFO),
            ("<>Activating via systemd: service name='<service.name>'", "service_starting", INFO),
            ("<>Activating service name='<service.name>'", "service_starting", INFO),
        ],
    ),
    (
        &["unix_chkpwd"],
        &[(
            "password check failed for user (<user.name*>)",
            "password_check",
            Act("authentication", &["info"], "failure"),
        )],
    ),
    // A socket that TCP wrappers watch, of any program.
    (
        &["*"],
        &[
            ("refused connect from <source.address>", "connection_refused", DENIED),
            ("twist <source.address> to <process.command_line>", "connection_refused", DENIED),
        ],
    ),
];
