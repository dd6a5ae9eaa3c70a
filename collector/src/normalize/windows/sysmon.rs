//! Table: what events of Sysmon mean in ECS.
//!
//! Source: Sysinternals Sysmon 15, event ids and fields; ECS 8.17.

use super::table::{Extra, How, Meaning, Move, Moves, Names, how, row, same, with};

const PROCESS: &[Move] = &[
    same("ProcessGuid", "process.entity_id"),
    how("ProcessId", "process.pid", How::Number),
    same("Image", "process.executable"),
    how("Image", "process.name", How::FileName),
];
const SOURCE_PROCESS: &[Move] = &[
    same("SourceProcessGuid", "process.entity_id"),
    same("SourceProcessGUID", "process.entity_id"),
    how("SourceProcessId", "process.pid", How::Number),
    how("SourceThreadId", "process.thread.id", How::Number),
    same("SourceImage", "process.executable"),
    how("SourceImage", "process.name", How::FileName),
];
const PARENT: &[Move] = &[
    same("CommandLine", "process.command_line"),
    same("CurrentDirectory", "process.working_directory"),
    same("ParentProcessGuid", "process.parent.entity_id"),
    how("ParentProcessId", "process.parent.pid", How::Number),
    same("ParentImage", "process.parent.executable"),
    how("ParentImage", "process.parent.name", How::FileName),
    same("ParentCommandLine", "process.parent.command_line"),
];
const PROCESS_HASHES: &[Move] = &[
    how("Hashes", "process.hash.md5", How::Hash("MD5")),
    how("Hashes", "process.hash.sha1", How::Hash("SHA1")),
    how("Hashes", "process.hash.sha256", How::Hash("SHA256")),
    how("Hashes", "process.pe.imphash", How::Hash("IMPHASH")),
];
const RELATED_HASHES: &[Move] = &[
    how("Hashes", "related.hash", How::Hash("MD5")),
    how("Hashes", "related.hash", How::Hash("SHA1")),
    how("Hashes", "related.hash", How::Hash("SHA256")),
    how("Hashes", "related.hash", How::Hash("IMPHASH")),
];
const PROCESS_PE: &[Move] = &[
    same("FileVersion", "process.pe.file_version"),
    same("Description", "process.pe.description"),
    same("Product", "process.pe.product"),
    same("Company", "process.pe.company"),
    same("OriginalFileName", "process.pe.original_file_name"),
];
const FILE_HASHES: &[Move] = &[
    how("Hashes", "file.hash.md5", How::Hash("MD5")),
    how("Hashes", "file.hash.sha1", How::Hash("SHA1")),
    how("Hashes", "file.hash.sha256", How::Hash("SHA256")),
    how("Hashes", "file.pe.imphash", How::Hash("IMPHASH")),
];
const STREAM_HASHES: &[Move] = &[
    how("Hash", "file.hash.md5", How::Hash("MD5")),
    how("Hash", "file.hash.sha1", How::Hash("SHA1")),
    how("Hash", "file.hash.sha256", How::Hash("SHA256")),
    how("Hash", "file.pe.imphash", How::Hash("IMPHASH")),
    how("Hash", "related.hash", How::Hash("MD5")),
    how("Hash", "related.hash", How::Hash("SHA256")),
];
const FILE: &[Move] = &[
    same("TargetFilename", "file.path"),
    how("TargetFilename", "file.name", How::FileName),
    how("TargetFilename", "file.directory", How::Directory),
    how("TargetFilename", "file.extension", How::Extension),
];
const LOADED: &[Move] = &[
    same("ImageLoaded", "file.path"),
    how("ImageLoaded", "file.name", How::FileName),
    how("ImageLoaded", "file.directory", How::Directory),
    how("ImageLoaded", "file.extension", How::Extension),
    same("Signature", "file.code_signature.subject_name"),
    same("SignatureStatus", "file.code_signature.status"),
    same("OriginalFileName", "file.pe.original_file_name"),
    same("FileVersion", "file.pe.file_version"),
    same("Description", "file.pe.description"),
    same("Product", "file.pe.product"),
    same("Company", "file.pe.company"),
];
const LIBRARY: &[Move] = &[same("ImageLoaded", "dll.path"), how("ImageLoaded", "dll.name", How::FileName)];
const USER: &[Move] = &[
    how("User", "user.name", How::AccountName),
    how("User", "user.domain", How::AccountDomain),
    how("User", "related.user", How::AccountName),
    same("RuleName", "rule.name"),
];
const SOURCE_USER: &[Move] = &[
    how("SourceUser", "user.name", How::AccountName),
    how("SourceUser", "user.domain", How::AccountDomain),
    how("SourceUser", "related.user", How::AccountName),
    how("TargetUser", "related.user", How::AccountName),
    same("RuleName", "rule.name"),
];
const NETWORK: &[Move] = &[
    how("Protocol", "network.transport", How::Lower),
    how("SourceIp", "source.ip", How::Address),
    same("SourceHostname", "source.domain"),
    how("SourcePort", "source.port", How::Number),
    how("DestinationIp", "destination.ip", How::Address),
    same("DestinationHostname", "destination.domain"),
    how("DestinationPort", "destination.port", How::Number),
    same("DestinationPortName", "network.protocol"),
    how("Initiated", "network.direction", How::Listed(&[("true", "egress"), ("false", "ingress")])),
    how("SourceIsIpv6", "network.type", How::Listed(&[("true", "ipv6"), ("false", "ipv4")])),
    how("SourceIp", "related.ip", How::Address),
    how("DestinationIp", "related.ip", How::Address),
];
const QUERY: &[Move] = &[same("QueryName", "dns.question.name"), same("QueryStatus", "sysmon.dns.status")];
const PIPE: &[Move] = &[same("PipeName", "file.name")];
const STATE: &[Move] = &[how("State", "service.state", How::Lower)];
const CONFIGURED: &[Move] = &[same("Configuration", "file.path")];

const ON_FILE: Moves = &[PROCESS, FILE, USER];
const ON_HASHED_FILE: Moves = &[PROCESS, FILE, FILE_HASHES, RELATED_HASHES, USER];
const REGISTRY: Names = &["configuration", "registry"];

/// Sysmon.
pub(super) const SYSMON: &[Meaning] = &[
    row(
        &[1],
        "process-created",
        &["process"],
        &["start"],
        &[PROCESS, PARENT, PROCESS_HASHES, RELATED_HASHES, PROCESS_PE, USER],
    ),
    row(&[2], "file-creation-time-changed", &["file"], &["change"], ON_FILE),
    row(&[3], "network-connection", &["network"], &["start", "connection", "protocol"], &[PROCESS, NETWORK, USER]),
    row(&[4], "sysmon-state-changed", &["process"], &["change"], &[STATE]),
    row(&[5], "process-terminated", &["process"], &["end"], &[PROCESS, USER]),
    row(&[6], "driver-loaded", &["driver"], &["start"], &[LOADED, FILE_HASHES, RELATED_HASHES, USER]),
    row(
        &[7],
        "image-loaded",
        &["process"],
        &["change"],
        &[PROCESS, LOADED, LIBRARY, FILE_HASHES, RELATED_HASHES, USER],
    ),
    row(&[8], "remote-thread-created", &["process"], &["change"], &[SOURCE_PROCESS, SOURCE_USER]),
    row(&[9], "raw-access-read", &["process"], &["access"], &[PROCESS, USER]),
    row(&[10], "process-accessed", &["process"], &["access"], &[SOURCE_PROCESS, SOURCE_USER]),
    row(&[11], "file-created", &["file"], &["creation"], ON_FILE),
    with(row(&[12, 13, 14], "registry-changed", REGISTRY, &["change"], &[PROCESS, USER]), Extra::Registry),
    row(&[15], "file-stream-created", &["file"], &["access"], &[PROCESS, FILE, STREAM_HASHES, USER]),
    row(&[16], "sysmon-configuration-changed", &["configuration"], &["change"], &[CONFIGURED]),
    row(&[17], "pipe-created", &["file"], &["creation"], &[PIPE, PROCESS, USER]),
    row(&[18], "pipe-connected", &["file"], &["access"], &[PIPE, PROCESS, USER]),
    row(&[19, 20, 21], "wmi-subscription-changed", &["configuration"], &["creation"], &[USER]),
    with(
        row(&[22], "dns-query", &["network"], &["connection", "protocol", "info"], &[QUERY, PROCESS, USER]),
        Extra::DnsResults,
    ),
    row(&[23, 26], "file-deleted", &["file"], &["deletion"], ON_HASHED_FILE),
    row(&[24], "clipboard-changed", &["process"], &["change"], &[PROCESS, PROCESS_HASHES, RELATED_HASHES, USER]),
    row(&[25], "process-image-changed", &["process"], &["change"], &[PROCESS, USER]),
    row(&[27], "executable-file-blocked", &["file"], &["denied"], ON_HASHED_FILE),
    row(&[28], "file-shredding-blocked", &["file"], &["denied"], ON_HASHED_FILE),
    row(&[29], "executable-file-created", &["file"], &["creation"], ON_HASHED_FILE),
    row(&[255], "sysmon-error", &["process"], &["error"], &[]),
];
