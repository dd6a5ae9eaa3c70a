//! Tables: what events of the Security, System, PowerShell and Defender logs mean in ECS.
//!
//! Source: Microsoft's "Advanced security audit policy" event reference; actions, categories and types
//! are the names Winlogbeat documents for the same events, so that searches written for one fit the other.

use super::table::{Extra, How, Meaning, Move, Moves, Names, by, how, row, same, with};
use super::words;

const SUBJECT: &[Move] = &[
    same("SubjectUserSid", "user.id"),
    same("SubjectUserName", "user.name"),
    same("SubjectDomainName", "user.domain"),
    same("SubjectUserName", "related.user"),
];
const SUBJECT_LOGON: &[Move] = &[same("SubjectLogonId", "winlog.logon.id")];
/// The account that logged on is the user; who asked for it is only related.
const LOGON_USER: &[Move] = &[
    same("TargetUserSid", "user.id"),
    same("TargetSid", "user.id"),
    how("TargetUserName", "user.name", How::BeforeAt),
    same("TargetDomainName", "user.domain"),
    how("TargetUserName", "related.user", How::BeforeAt),
    same("SubjectUserName", "related.user"),
];
const TARGET_LOGON: &[Move] = &[same("TargetLogonId", "winlog.logon.id")];
const TARGET_USER: &[Move] = &[
    same("TargetSid", "user.target.id"),
    same("TargetUserName", "user.target.name"),
    same("TargetDomainName", "user.target.domain"),
    same("TargetUserName", "related.user"),
];
const GROUP: &[Move] =
    &[same("TargetSid", "group.id"), same("TargetUserName", "group.name"), same("TargetDomainName", "group.domain")];
const MEMBER: &[Move] = &[
    same("MemberSid", "user.target.id"),
    how("MemberName", "user.target.name", How::CommonName),
    how("MemberName", "related.user", How::CommonName),
    same("TargetSid", "user.target.group.id"),
    same("TargetUserName", "user.target.group.name"),
    same("TargetDomainName", "user.target.group.domain"),
];
const COMPUTER: &[Move] = &[
    same("TargetSid", "winlog.computerObject.id"),
    same("TargetUserName", "winlog.computerObject.name"),
    same("TargetDomainName", "winlog.computerObject.domain"),
];
const PROCESS: &[Move] = &[
    how("ProcessId", "process.pid", How::Number),
    same("ProcessName", "process.executable"),
    how("ProcessName", "process.name", How::FileName),
];
const CALLER: &[Move] = &[
    how("CallerProcessId", "process.pid", How::Number),
    same("CallerProcessName", "process.executable"),
    how("CallerProcessName", "process.name", How::FileName),
];
const PEER: &[Move] = &[
    how("IpAddress", "source.ip", How::Address),
    how("IpPort", "source.port", How::Number),
    same("WorkstationName", "source.domain"),
    how("IpAddress", "related.ip", How::Address),
];
const LOGON_TYPE: &[Move] = &[how("LogonType", "winlog.logon.type", How::Listed(LOGON_TYPES))];
const FAILURE: &[Move] = &[
    how("FailureReason", "winlog.logon.failure.reason", How::Listed(FAILURE_REASONS)),
    how("SubStatus", "event.reason", How::Listed(STATUSES)),
    how("Status", "event.reason", How::Listed(STATUSES)),
];
const NEW_PROCESS: &[Move] = &[
    how("NewProcessId", "process.pid", How::Number),
    same("NewProcessName", "process.executable"),
    how("NewProcessName", "process.name", How::FileName),
    same("CommandLine", "process.command_line"),
    how("ProcessId", "process.parent.pid", How::Number),
    same("ParentProcessName", "process.parent.executable"),
    how("ParentProcessName", "process.parent.name", How::FileName),
    same("TargetUserName", "related.user"),
];
const SERVICE: &[Move] = &[
    same("ServiceName", "service.name"),
    how("ServiceType", "service.type", How::Listed(SERVICE_TYPES)),
    same("ServiceFileName", "process.command_line"),
];
const SESSION: &[Move] = &[
    same("AccountName", "user.name"),
    same("AccountDomain", "user.domain"),
    same("LogonID", "winlog.logon.id"),
    how("ClientAddress", "source.ip", How::Address),
    same("ClientName", "source.domain"),
    same("AccountName", "related.user"),
    how("ClientAddress", "related.ip", How::Address),
];
const SHARE: &[Move] =
    &[same("RelativeTargetName", "file.path"), how("RelativeTargetName", "file.name", How::FileName)];
const PACKET: &[Move] = &[
    how("ProcessID", "process.pid", How::Number),
    how("ProcessId", "process.pid", How::Number),
    same("Application", "process.executable"),
    how("Application", "process.name", How::FileName),
    how("SourceAddress", "source.ip", How::Address),
    how("SourcePort", "source.port", How::Number),
    how("DestAddress", "destination.ip", How::Address),
    how("DestPort", "destination.port", How::Number),
    same("Protocol", "network.iana_number"),
    how(
        "Protocol",
        "network.transport",
        How::Listed(&[("1", "icmp"), ("6", "tcp"), ("17", "udp"), ("58", "ipv6-icmp")]),
    ),
    how("Direction", "network.direction", How::Listed(&[("%%14592", "ingress"), ("%%14593", "egress")])),
    how("SourceAddress", "related.ip", How::Address),
    how("DestAddress", "related.ip", How::Address),
];
const RENAMED: &[Move] = &[
    same("OldTargetUserName", "user.target.name"),
    same("TargetSid", "user.target.id"),
    same("TargetDomainName", "user.target.domain"),
    same("NewTargetUserName", "user.changes.name"),
    same("OldTargetUserName", "related.user"),
    same("NewTargetUserName", "related.user"),
];

const LOGON_TYPES: &[(&str, &str)] = &[
    ("0", "System"),
    ("2", "Interactive"),
    ("3", "Network"),
    ("4", "Batch"),
    ("5", "Service"),
    ("7", "Unlock"),
    ("8", "NetworkCleartext"),
    ("9", "NewCredentials"),
    ("10", "RemoteInteractive"),
    ("11", "CachedInteractive"),
    ("12", "CachedRemoteInteractive"),
    ("13", "CachedUnlock"),
];
/// winerror.h and ntstatus.h, in the words of Microsoft's page on event 4625.
const STATUSES: &[(&str, &str)] = &[
    ("0xc0000064", "User name does not exist"),
    ("0xc000006a", "Wrong password"),
    ("0xc000006d", "Bad user name or authentication information"),
    ("0xc000006e", "Account restriction"),
    ("0xc000006f", "Logon outside of permitted hours"),
    ("0xc0000070", "Logon from an unauthorized workstation"),
    ("0xc0000071", "Password has expired"),
    ("0xc0000072", "Account is disabled"),
    ("0xc0000133", "Clocks too far apart"),
    ("0xc000015b", "Logon type not granted"),
    ("0xc0000193", "Account has expired"),
    ("0xc0000224", "Password must be changed"),
    ("0xc0000234", "Account is locked out"),
    ("0xc0000413", "Machine is protected by an authentication firewall"),
];
/// Message numbers of msobjs.dll.
const FAILURE_REASONS: &[(&str, &str)] = &[
    ("%%2304", "An Error occured during Logon."),
    ("%%2305", "The specified user account has expired."),
    ("%%2306", "The NetLogon component is not active."),
    ("%%2307", "Account locked out."),
    ("%%2308", "The user has not been granted the requested logon type at this machine."),
    ("%%2309", "The specified account's password has expired."),
    ("%%2310", "Account currently disabled."),
    ("%%2311", "Account logon time restriction violation."),
    ("%%2312", "User not allowed to logon at this computer."),
    ("%%2313", "Unknown user name or bad password."),
];
const SERVICE_TYPES: &[(&str, &str)] = &[
    ("0x1", "Kernel Driver"),
    ("0x2", "File System Driver"),
    ("0x8", "Recognizer Driver"),
    ("0x10", "Win32 Own Process"),
    ("0x20", "Win32 Share Process"),
    ("0x110", "Interactive Own Process"),
    ("0x120", "Interactive Share Process"),
];

const AUTHENTICATION: Names = &["authentication"];
const SESSIONS: Names = &["authentication", "session"];
const IAM: Names = &["iam"];
const POLICY: Names = &["iam", "configuration"];
const USER_CREATED: Names = &["user", "creation"];
const USER_CHANGED: Names = &["user", "change"];
const USER_DELETED: Names = &["user", "deletion"];
const GROUP_CREATED: Names = &["group", "creation"];
const GROUP_CHANGED: Names = &["group", "change"];
const GROUP_DELETED: Names = &["group", "deletion"];
const ADMIN: Names = &["admin"];
const ADMIN_CHANGE: Names = &["admin", "change"];
const BY_SUBJECT: Moves = &[SUBJECT, SUBJECT_LOGON, PROCESS];
const ON_USER: Moves = &[SUBJECT, SUBJECT_LOGON, TARGET_USER, PROCESS];
const ON_GROUP: Moves = &[SUBJECT, SUBJECT_LOGON, GROUP, PROCESS];
const ON_MEMBER: Moves = &[SUBJECT, SUBJECT_LOGON, GROUP, MEMBER, PROCESS];
const ON_COMPUTER: Moves = &[SUBJECT, SUBJECT_LOGON, COMPUTER, PROCESS];
const TICKET: Moves = &[LOGON_USER, PEER, words::WORDS];

/// The Security log.
pub(super) const SECURITY: &[Meaning] = &[
    row(&[1100], "logging-service-shutdown", &["process"], &["end"], &[]),
    row(&[1102], "audit-log-cleared", IAM, ADMIN_CHANGE, &[SUBJECT, SUBJECT_LOGON]),
    row(&[1104], "logging-full", IAM, ADMIN, &[]),
    row(&[1105], "auditlog-archieved", IAM, ADMIN, &[]),
    row(&[1108], "logging-processing-error", IAM, ADMIN, &[]),
    row(&[4608], "system-started", &["host"], &["start"], &[]),
    row(&[4616], "changed-system-time", &["configuration"], &["change"], BY_SUBJECT),
    row(&[4624], "logged-in", AUTHENTICATION, &["start"], &[LOGON_USER, TARGET_LOGON, LOGON_TYPE, PROCESS, PEER]),
    row(
        &[4625],
        "logon-failed",
        AUTHENTICATION,
        &["start"],
        &[LOGON_USER, SUBJECT_LOGON, LOGON_TYPE, FAILURE, PROCESS, PEER],
    ),
    row(&[4634, 4647], "logged-out", AUTHENTICATION, &["end"], &[LOGON_USER, TARGET_LOGON, LOGON_TYPE]),
    row(
        &[4648],
        "logged-in-explicit",
        AUTHENTICATION,
        &["start"],
        &[LOGON_USER, SUBJECT_LOGON, PROCESS, PEER, &[same("TargetServerName", "destination.domain")]],
    ),
    with(row(&[4656], "requested-handle-to-object", &["file"], &["access"], BY_SUBJECT), Extra::Object),
    with(
        row(&[4657], "registry-value-modified", &["configuration", "registry"], &["change"], BY_SUBJECT),
        Extra::Object,
    ),
    with(row(&[4658], "closed-handle-to-object", &["file"], &["access"], BY_SUBJECT), Extra::Object),
    with(row(&[4660], "deleted-object", &["file"], &["deletion"], BY_SUBJECT), Extra::Object),
    with(row(&[4661, 4663], "accessed-object", &["file"], &["access"], BY_SUBJECT), Extra::Object),
    row(&[4662], "operation-on-directory-object", IAM, &["access"], BY_SUBJECT),
    with(row(&[4670], "permissions-changed", POLICY, ADMIN_CHANGE, BY_SUBJECT), Extra::Object),
    row(&[4672], "logged-in-special", IAM, ADMIN, BY_SUBJECT),
    row(&[4673], "privileged-service-called", IAM, ADMIN, BY_SUBJECT),
    row(&[4674], "privileged-operation", IAM, ADMIN, &[SUBJECT, SUBJECT_LOGON, PROCESS, words::ACCESS_WORDS]),
    row(&[4688], "created-process", &["process"], &["start"], &[SUBJECT, SUBJECT_LOGON, NEW_PROCESS]),
    row(&[4689], "exited-process", &["process"], &["end"], BY_SUBJECT),
    row(&[4697], "service-installed", POLICY, ADMIN_CHANGE, &[SUBJECT, SUBJECT_LOGON, SERVICE]),
    row(&[4698], "scheduled-task-created", POLICY, &["creation", "admin"], BY_SUBJECT),
    row(&[4699], "scheduled-task-deleted", POLICY, &["deletion", "admin"], BY_SUBJECT),
    row(&[4700], "scheduled-task-enabled", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4701], "scheduled-task-disabled", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4702], "scheduled-task-updated", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4704], "user-right-assigned", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4705], "user-right-removed", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4706], "domain-trust-added", &["configuration"], &["creation"], BY_SUBJECT),
    row(&[4707], "domain-trust-removed", &["configuration"], &["deletion"], BY_SUBJECT),
    row(&[4713], "kerberos-policy-changed", &["configuration"], &["change"], BY_SUBJECT),
    row(&[4716], "trusted-domain-information-changed", &["configuration"], &["change"], BY_SUBJECT),
    row(&[4717], "system-security-access-granted", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4718], "system-security-access-removed", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4719], "changed-audit-config", POLICY, ADMIN_CHANGE, &[SUBJECT, SUBJECT_LOGON, PROCESS, words::POLICY_WORDS]),
    row(&[4720], "added-user-account", IAM, USER_CREATED, ON_USER),
    row(&[4722], "enabled-user-account", IAM, USER_CHANGED, ON_USER),
    row(&[4723], "changed-password", IAM, USER_CHANGED, ON_USER),
    row(&[4724], "reset-password", IAM, USER_CHANGED, ON_USER),
    row(&[4725], "disabled-user-account", IAM, USER_DELETED, ON_USER),
    row(&[4726], "deleted-user-account", IAM, USER_DELETED, ON_USER),
    row(&[4727, 4731, 4754], "added-group-account", IAM, GROUP_CREATED, ON_GROUP),
    row(&[4728, 4732, 4756], "added-member-to-group", IAM, GROUP_CHANGED, ON_MEMBER),
    row(&[4729, 4733, 4757], "removed-member-from-group", IAM, GROUP_CHANGED, ON_MEMBER),
    row(&[4730, 4734, 4758], "deleted-group-account", IAM, GROUP_DELETED, ON_GROUP),
    row(&[4735, 4737, 4755], "modified-group-account", IAM, GROUP_CHANGED, ON_GROUP),
    row(&[4738], "modified-user-account", IAM, USER_CHANGED, ON_USER),
    row(&[4739], "domain-policy-changed", &["configuration"], &["change"], BY_SUBJECT),
    row(&[4740], "locked-out-user-account", IAM, USER_CHANGED, ON_USER),
    row(&[4741], "added-computer-account", IAM, &["creation", "admin"], ON_COMPUTER),
    row(&[4742], "changed-computer-account", IAM, ADMIN_CHANGE, ON_COMPUTER),
    row(&[4743], "deleted-computer-account", IAM, &["deletion", "admin"], ON_COMPUTER),
    row(&[4744, 4749, 4759], "added-distribution-group-account", IAM, GROUP_CREATED, ON_GROUP),
    row(&[4745, 4750, 4760], "changed-distribution-group-account", IAM, GROUP_CHANGED, ON_GROUP),
    row(&[4746, 4751, 4761], "added-member-to-distribution-group", IAM, GROUP_CHANGED, ON_MEMBER),
    row(&[4747, 4752, 4762], "removed-member-from-distribution-group", IAM, GROUP_CHANGED, ON_MEMBER),
    row(&[4748, 4753, 4763], "deleted-distribution-group-account", IAM, GROUP_DELETED, ON_GROUP),
    row(&[4764], "type-changed-group-account", IAM, GROUP_CHANGED, ON_GROUP),
    row(&[4767], "unlocked-user-account", IAM, USER_CHANGED, ON_USER),
    row(&[4768], "kerberos-authentication-ticket-requested", AUTHENTICATION, &["start"], TICKET),
    row(&[4769], "kerberos-service-ticket-requested", AUTHENTICATION, &["start"], TICKET),
    row(&[4770], "kerberos-service-ticket-renewed", AUTHENTICATION, &["start"], TICKET),
    row(&[4771], "kerberos-preauth-failed", AUTHENTICATION, &["start"], TICKET),
    row(
        &[4776],
        "credential-validated",
        AUTHENTICATION,
        &["start"],
        &[LOGON_USER, FAILURE, &[same("Workstation", "source.domain")]],
    ),
    row(&[4778], "session-reconnected", SESSIONS, &["start"], &[SESSION]),
    row(&[4779], "session-disconnected", SESSIONS, &["end"], &[SESSION]),
    row(&[4781], "renamed-user-account", IAM, USER_CHANGED, &[SUBJECT, SUBJECT_LOGON, RENAMED]),
    row(&[4798], "group-membership-enumerated", IAM, &["user", "info"], &[SUBJECT, SUBJECT_LOGON, TARGET_USER, CALLER]),
    row(&[4799], "user-member-enumerated", IAM, &["group", "info"], &[SUBJECT, SUBJECT_LOGON, GROUP, CALLER]),
    row(&[4817], "object-audit-changed", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4902], "user-audit-policy-created", POLICY, &["admin", "creation"], BY_SUBJECT),
    row(&[4904], "security-event-source-added", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4905], "security-event-source-removed", POLICY, &["admin", "deletion"], BY_SUBJECT),
    row(&[4906], "crash-on-audit-changed", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4907], "audit-setting-changed", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(&[4908], "special-group-table-changed", POLICY, ADMIN_CHANGE, BY_SUBJECT),
    row(
        &[4912],
        "per-user-audit-policy-changed",
        POLICY,
        ADMIN_CHANGE,
        &[SUBJECT, SUBJECT_LOGON, PROCESS, words::POLICY_WORDS],
    ),
    row(&[4964], "logged-in-special", IAM, &["admin", "group"], &[LOGON_USER, TARGET_LOGON]),
    row(&[5136, 5137, 5138, 5139, 5141], "directory-object-changed", IAM, ADMIN_CHANGE, BY_SUBJECT),
    row(
        &[5140],
        "network-share-object-accessed",
        &["network", "file"],
        &["info", "access"],
        &[SUBJECT, SUBJECT_LOGON, PEER],
    ),
    row(
        &[5145],
        "network-share-object-access-checked",
        &["network", "file"],
        &["info", "access"],
        &[SUBJECT, SUBJECT_LOGON, PEER, SHARE],
    ),
    row(&[5152], "windows-firewall-packet-block", &["network"], &["connection", "denied"], &[PACKET]),
    row(&[5154, 5158], "windows-firewall-bind", &["network"], &["connection", "allowed"], &[PACKET]),
    row(&[5156], "windows-firewall-connection", &["network"], &["connection", "start", "allowed"], &[PACKET]),
    row(&[5157], "windows-firewall-connection-block", &["network"], &["connection", "denied"], &[PACKET]),
];

const NEW_SERVICE: &[Move] = &[
    same("ServiceName", "service.name"),
    same("ServiceType", "service.type"),
    same("ImagePath", "process.command_line"),
    how("AccountName", "user.target.name", How::AccountName),
    // As the event's text calls them.
    same("ServiceFileName", "process.command_line"),
    how("ServiceAccount", "user.target.name", How::AccountName),
];

/// The System log.
pub(super) const SYSTEM: &[Meaning] = &[
    by("Eventlog", row(&[104], "event-log-cleared", &["iam", "configuration"], ADMIN_CHANGE, &[SUBJECT])),
    by(
        "User32",
        row(
            &[1074],
            "shutdown-requested",
            &["host"],
            &["change"],
            &[&[
                how("param1", "process.name", How::FileName),
                how("param7", "user.name", How::AccountName),
                how("param7", "user.domain", How::AccountDomain),
                how("param7", "related.user", How::AccountName),
            ]],
        ),
    ),
    by("EventLog", row(&[6005], "event-log-started", &["host"], &["start"], &[])),
    by("EventLog", row(&[6006], "event-log-stopped", &["host"], &["end"], &[])),
    by("EventLog", row(&[6008], "unexpected-shutdown", &["host"], &["end"], &[])),
    by("Kernel-Power", row(&[41], "unexpected-shutdown", &["host"], &["end"], &[])),
    by(
        "Service Control Manager",
        row(&[7034], "service-terminated", &["process"], &["end"], &[&[same("param1", "service.name")]]),
    ),
    by(
        "Service Control Manager",
        row(
            &[7036],
            "service-state-changed",
            &["process"],
            &["change"],
            &[&[same("param1", "service.name"), how("param2", "service.state", How::Lower)]],
        ),
    ),
    by(
        "Service Control Manager",
        row(
            &[7040],
            "service-start-type-changed",
            &["configuration"],
            &["change"],
            &[&[same("param4", "service.name"), same("param1", "service.name")]],
        ),
    ),
    by(
        "Service Control Manager",
        row(&[7045], "service-installed", &["iam", "configuration"], ADMIN_CHANGE, &[NEW_SERVICE]),
    ),
];

const SCRIPT: &[Move] = &[
    same("ScriptBlockId", "powershell.file.script_block_id"),
    same("RunspaceId", "powershell.runspace_id"),
    same("MessageNumber", "powershell.sequence"),
    same("MessageTotal", "powershell.total"),
    same("Path", "file.path"),
    how("Path", "file.name", How::FileName),
    how("Path", "file.extension", How::Extension),
    how("Path", "file.directory", How::Directory),
];

/// Windows PowerShell, classic and operational.
pub(super) const POWERSHELL: &[Meaning] = &[
    with(row(&[400], "Engine Lifecycle", &["process"], &["start"], &[]), Extra::PowerShellClassic),
    with(row(&[403], "Engine Lifecycle", &["process"], &["end"], &[]), Extra::PowerShellClassic),
    with(row(&[600], "Provider Lifecycle", &["process"], &["info"], &[]), Extra::PowerShellClassic),
    with(row(&[800], "Pipeline Execution Details", &["process"], &["info"], &[]), Extra::PowerShellClassic),
    with(row(&[4103], "Executing Pipeline", &["process"], &["info"], &[]), Extra::PowerShellContext),
    row(&[4104], "Execute a Remote Command", &["process"], &["info"], &[SCRIPT]),
    row(&[4105], "Starting Command", &["process"], &["start"], &[SCRIPT]),
    row(&[4106], "Stopping Command", &["process"], &["end"], &[SCRIPT]),
];

const MALWARE_USER: &[Move] = &[
    how("Detection User", "user.name", How::AccountName),
    how("Detection User", "user.domain", How::AccountDomain),
    how("Detection User", "related.user", How::AccountName),
    how("User", "user.name", How::AccountName),
    how("User", "user.domain", How::AccountDomain),
    how("User", "related.user", How::AccountName),
];
const MALWARE: &[Move] = &[
    same("Threat Name", "rule.name"),
    same("Threat ID", "rule.id"),
    same("Category Name", "rule.category"),
    how("Path", "file.path", How::Resource),
    how("Path", "file.name", How::ResourceName),
    same("Process Name", "process.executable"),
    how("Process Name", "process.name", How::FileName),
    same("FWLink", "event.url"),
];
const FOUND: Moves = &[MALWARE_USER, MALWARE];
const CONFIGURATION: Names = &["configuration"];

/// Microsoft Defender Antivirus.
pub(super) const DEFENDER: &[Meaning] = &[
    row(&[1006, 1116], "malware-detected", &["malware"], &["info"], FOUND),
    row(&[1007, 1117], "malware-action-taken", &["malware"], &["info"], FOUND),
    row(&[1008, 1118, 1119], "malware-action-failed", &["malware"], &["error"], FOUND),
    row(&[1013], "malware-history-deleted", &["malware"], &["deletion"], &[MALWARE_USER]),
    row(&[5001], "realtime-protection-disabled", CONFIGURATION, &["change"], &[]),
    row(&[5004, 5007], "protection-settings-changed", CONFIGURATION, &["change"], &[]),
    row(&[5010], "spyware-scanning-disabled", CONFIGURATION, &["change"], &[]),
    row(&[5012], "virus-scanning-disabled", CONFIGURATION, &["change"], &[]),
    row(&[5013], "tampering-blocked", CONFIGURATION, &["denied"], &[]),
];
