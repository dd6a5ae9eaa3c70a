//! What to switch on at a source so that a field, or a kind of event, comes.
//!
//! In: a missing field with the kind of event it is missing from, or a gate that nothing passes. Out: a hint, whose
//! words stand in the locale files. Source: Microsoft's audit policy and event reference (4688, 4103, 4104), Sysmon's
//! schema, auditd's manual, nginx's and Apache's `combined` format.

use nhatle_event::{Event, Field};
use nhatle_rules::predicate::Gate;

use super::judge::first_text;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// "Include command line in process creation events".
    ProcessCommandLine,
    /// Windows' own process events never have it; Sysmon's do.
    SysmonInstead,
    /// Audit Process Creation, or Sysmon.
    ProcessAudit,
    /// Install Sysmon and forward its channel.
    Sysmon,
    /// Script block logging.
    ScriptBlocks,
    /// Module logging.
    Modules,
    /// A rule of auditd for it, such as one for `execve`.
    AuditRule,
    /// The `combined` access log format.
    CombinedLog,
    /// The audit policy of Windows for these events.
    AuditPolicy,
    /// Forward this channel.
    Channel,
}

const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";

impl Hint {
    /// The word in the locale files.
    pub fn name(self) -> &'static str {
        match self {
            Hint::ProcessCommandLine => "process-command-line",
            Hint::SysmonInstead => "sysmon-instead",
            Hint::ProcessAudit => "process-audit",
            Hint::Sysmon => "sysmon",
            Hint::ScriptBlocks => "script-blocks",
            Hint::Modules => "modules",
            Hint::AuditRule => "audit-rule",
            Hint::CombinedLog => "combined-log",
            Hint::AuditPolicy => "audit-policy",
            Hint::Channel => "channel",
        }
    }

    /// For a field that a kind of event never had.
    pub(super) fn for_field(name: &str, facts: &Event) -> Option<Hint> {
        let text = |field: Field| first_text(facts.get(field));
        let (code, channel, dataset) =
            (text(Field::EVENT_CODE), text(Field::WINLOG_CHANNEL), text(Field::EVENT_DATASET));
        match (channel.as_str(), code.as_str()) {
            ("Security", "4688") if name == "CommandLine" || name == "process.command_line" => {
                Some(Hint::ProcessCommandLine)
            }
            ("Security", "4688") => Some(Hint::SysmonInstead),
            (_, "4104") => Some(Hint::ScriptBlocks),
            (_, "4103") => Some(Hint::Modules),
            _ if dataset == "auditd.log" => Some(Hint::AuditRule),
            _ if dataset.ends_with(".access") => Some(Hint::CombinedLog),
            _ => None,
        }
    }

    /// For a gate that nothing of a source passes.
    pub(super) fn for_gate(gate: &Gate) -> Option<Hint> {
        let Gate::Cases(cases) = gate else { return None };
        let has_channel = |wanted: &str| cases.iter().any(|case| case.channels.iter().any(|one| one == wanted));
        let has_code = |wanted: &str| cases.iter().any(|case| case.codes.iter().any(|one| one == wanted));
        match () {
            () if has_channel(SYSMON) && has_code("4688") => Some(Hint::ProcessAudit),
            () if has_channel(SYSMON) => Some(Hint::Sysmon),
            () if has_code("4104") => Some(Hint::ScriptBlocks),
            () if has_code("4103") => Some(Hint::Modules),
            () if has_channel("Security") => Some(Hint::AuditPolicy),
            () if cases.iter().any(|case| !case.channels.is_empty()) => Some(Hint::Channel),
            () if cases.iter().any(|case| case.datasets.iter().any(|one| one == "auditd.log")) => Some(Hint::AuditRule),
            () => None,
        }
    }
}
