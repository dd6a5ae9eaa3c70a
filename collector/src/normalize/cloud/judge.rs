//! What a record of a service is: category, types, outcome.
//!
//! In: the event with its fields, the members. Out: the event, judged. Promise: an outcome is told by the service's own word for it, never by the
//! absence of one where the service has such a word.

use nhatle_event::{Event, Field, Text};

use super::super::device::{Act, act, set_text};
use super::{Members, set_account};

/// Sets an action in place of what stood there.
fn action(event: &mut Event, text: &str) {
    event.set(Field::EVENT_ACTION, Text::from(text));
}

/// What the first word of a call does to what it is about.
fn of_verb(call: &str) -> &'static str {
    const VERBS: &[(&str, &str)] = &[
        ("create", "creation"),
        ("add", "creation"),
        ("insert", "creation"),
        ("new", "creation"),
        ("invite", "creation"),
        ("delete", "deletion"),
        ("remove", "deletion"),
        ("destroy", "deletion"),
        ("purge", "deletion"),
        ("get", "access"),
        ("list", "access"),
        ("describe", "access"),
        ("head", "access"),
        ("lookup", "access"),
        ("search", "access"),
        ("read", "access"),
        ("view", "access"),
        ("update", "change"),
        ("put", "change"),
        ("set", "change"),
        ("patch", "change"),
        ("modify", "change"),
        ("change", "change"),
        ("attach", "change"),
        ("detach", "change"),
        ("enable", "change"),
        ("disable", "change"),
        ("reset", "change"),
        ("restore", "change"),
        ("write", "change"),
    ];
    let lower = call.to_ascii_lowercase();
    VERBS.iter().find(|(verb, _)| lower.starts_with(verb)).map_or("info", |(_, kind)| *kind)
}

/// The account as it is written, its halves as name and domain.
fn account(event: &mut Event, told: Option<&str>) {
    if let Some(told) = told {
        set_account(event, told);
    }
}

pub(super) fn cloudtrail(event: &mut Event, members: &Members<'_>) {
    let call = members.text("eventName").unwrap_or_default();
    action(event, call);
    let issuer = members.text("userIdentity.sessionContext.sessionIssuer.userName");
    if event.get(Field::USER_NAME).is_none()
        && let Some(name) = issuer.or_else(|| members.text("userIdentity.arn")?.rsplit('/').next())
    {
        event.set(Field::USER_NAME, Text::from(name));
    }
    // Roots have no name; services call for themselves.
    if event.get(Field::USER_NAME).is_none() && members.text("userIdentity.type") == Some("Root") {
        event.set(Field::USER_NAME, "root");
    }
    let is_bad = members.value("errorCode").is_some()
        || members.value("errorMessage").is_some()
        || members.text("responseElements.ConsoleLogin") == Some("Failure");
    let outcome = if is_bad { "failure" } else { "success" };
    let source = members.text("eventSource").unwrap_or_default().split('.').next().unwrap_or_default();
    match (source, call) {
        ("signin", "ConsoleLogin" | "CheckMfa") => act(event, Act("authentication", &["start"], outcome)),
        ("iam" | "sso" | "sso-directory" | "identitystore" | "organizations", _) => {
            act(event, Act("iam", &[], outcome));
            event.add(Field::EVENT_TYPE, of_verb(call));
            if call.contains("User") || call == "CreateLoginProfile" || call.ends_with("AccessKey") {
                event.add(Field::EVENT_TYPE, "user");
                set_text(
                    event,
                    Field::USER_TARGET_NAME,
                    members.text("requestParameters.userName").unwrap_or_default(),
                );
            } else if call.contains("Group") {
                event.add(Field::EVENT_TYPE, "group");
                set_text(event, Field::GROUP_NAME, members.text("requestParameters.groupName").unwrap_or_default());
            }
        }
        ("sts", call) if call.starts_with("AssumeRole") || call.starts_with("GetSessionToken") => {
            act(event, Act("authentication", &["start"], outcome));
        }
        _ => match of_verb(call) {
            "info" | "access" => act(event, Act("", &["info"], outcome)),
            kind => {
                act(event, Act("configuration", &[], outcome));
                event.add(Field::EVENT_TYPE, kind);
            }
        },
    }
}

pub(super) fn guardduty(event: &mut Event, members: &Members<'_>) {
    event.set(Field::EVENT_KIND, "alert");
    act(event, Act("intrusion_detection", &["info"], ""));
    if let Some(kind) = members.text("type") {
        event.set(Field::RULE_NAME, Text::from(kind));
        event.set(Field::RULE_CATEGORY, Text::from(kind.split(':').next().unwrap_or_default()));
    }
    let call = "service.action.networkConnectionAction";
    let of = |name: &str| members.value(&format!("{call}.{name}")).and_then(|value| value.each().next()?.as_text());
    let remote = (of("remoteIpDetails.ipAddressV4"), of("remotePortDetails.port"));
    let local = (of("localIpDetails.ipAddressV4"), of("localPortDetails.port"));
    let is_out = of("connectionDirection").as_deref() == Some("OUTBOUND");
    let (from, to) = if is_out { (local, remote) } else { (remote, local) };
    for (field, text) in [
        (Field::SOURCE_IP, from.0),
        (Field::SOURCE_PORT, from.1),
        (Field::DESTINATION_IP, to.0),
        (Field::DESTINATION_PORT, to.1),
        (Field::NETWORK_TRANSPORT, of("protocol")),
    ] {
        set_text(event, field, &text.unwrap_or_default());
    }
    if event.get(Field::SOURCE_IP).is_none() {
        let peer = ["service.action.awsApiCallAction", "service.action.kubernetesApiCallAction"]
            .iter()
            .find_map(|call| members.text(&format!("{call}.remoteIpDetails.ipAddressV4")));
        set_text(event, Field::SOURCE_IP, peer.unwrap_or_default());
    }
}

pub(super) fn office(event: &mut Event, members: &Members<'_>) {
    let call = members.text("Operation").unwrap_or_default();
    action(event, call);
    account(event, members.text("UserId"));
    let result = members.text("ResultStatus").map(str::to_ascii_lowercase);
    let outcome = match result.as_deref() {
        Some("succeeded" | "success" | "true" | "partiallysucceeded") => "success",
        Some("failed" | "false" | "failure") => "failure",
        _ => "",
    };
    if let Some(agent) = members.beside("ExtendedProperties.Name", "UserAgent", "ExtendedProperties.Value") {
        event.set_default(Field::USER_AGENT_ORIGINAL, Text::from(agent));
    }
    match call {
        "UserLoggedIn" => return act(event, Act("authentication", &["start"], "success")),
        "UserLoginFailed" => return act(event, Act("authentication", &["start"], "failure")),
        "MailboxLogin" | "SignInEvent" => return act(event, Act("authentication", &["start"], outcome)),
        "MailItemsAccessed" => return act(event, Act("email", &["info"], outcome)),
        _ => {}
    }
    if let Some(rest) = call.strip_prefix("File").or_else(|| call.strip_prefix("Folder")) {
        let kind: &[&str] = match rest {
            rest if rest.starts_with("Deleted") || rest.starts_with("Recycled") => &["deletion"],
            rest if rest.starts_with("Uploaded") || rest.starts_with("Created") || rest.starts_with("Copied") => {
                &["creation"]
            }
            rest if rest.starts_with("Modified") || rest.starts_with("Renamed") || rest.starts_with("Moved") => {
                &["change"]
            }
            _ => &["access"],
        };
        return act(event, Act("file", kind, outcome));
    }
    let workload = members.text("Workload").unwrap_or_default();
    let kind = of_verb(call);
    let category = match workload {
        "AzureActiveDirectory" if kind != "info" => "iam",
        "Exchange" if kind != "info" && kind != "access" => "configuration",
        _ => "web",
    };
    act(event, Act(category, &[], outcome));
    event.add(Field::EVENT_TYPE, kind);
    if category == "iam" && (call.contains("user") || call.contains("member")) {
        event.add(Field::EVENT_TYPE, "user");
        let target = members.text("ObjectId").filter(|name| Some(*name) != members.text("UserId"));
        set_text(event, Field::USER_TARGET_NAME, target.unwrap_or_default());
    }
}

/// A number of an error; zero is none.
fn by_error(code: Option<&str>) -> &'static str {
    match code {
        Some("0") => "success",
        Some(code) if !code.is_empty() => "failure",
        _ => "",
    }
}

pub(super) fn sign_in(event: &mut Event, members: &Members<'_>) {
    action(event, "Sign-in activity");
    let code = ["properties.status.errorCode", "resultType", "status.errorCode"]
        .iter()
        .find_map(|name| members.value(name)?.as_text());
    let user = ["properties.userPrincipalName", "userPrincipalName", "properties.servicePrincipalName", "identity"];
    account(event, user.iter().find_map(|name| members.text(name)));
    act(event, Act("authentication", &["start"], by_error(code.as_deref())));
}

pub(super) fn directory(event: &mut Event, members: &Members<'_>) {
    let call = members.text("operationName").or_else(|| members.text("properties.activityDisplayName"));
    let call = call.unwrap_or_default();
    action(event, call);
    let outcome = match members.text("properties.result").map(str::to_ascii_lowercase).as_deref() {
        Some("success") => "success",
        Some("failure" | "timeout") => "failure",
        _ => "",
    };
    account(
        event,
        members
            .text("properties.initiatedBy.user.userPrincipalName")
            .or_else(|| members.text("properties.initiatedBy.app.displayName")),
    );
    act(event, Act("iam", &[], outcome));
    event.add(Field::EVENT_TYPE, of_verb(call));
    if let Some(target) = members.text("properties.targetResources.userPrincipalName") {
        event.add(Field::EVENT_TYPE, "user");
        event.set(Field::USER_TARGET_NAME, Text::from(target));
    }
}

pub(super) fn activity(event: &mut Event, members: &Members<'_>) {
    let call = members.text("operationName").or_else(|| members.text("operationName.value")).unwrap_or_default();
    action(event, call);
    let result = members.text("resultType").or_else(|| members.text("status.value")).map(str::to_ascii_lowercase);
    let outcome = match result.as_deref() {
        Some("success" | "succeeded") => "success",
        Some("failure" | "failed") => "failure",
        _ => "",
    };
    let claim = "identity.claims.http://schemas.xmlsoap.org/ws/2005/05/identity/claims";
    let user = [format!("{claim}/upn"), format!("{claim}/name"), "caller".to_owned()];
    account(event, user.iter().find_map(|name| members.text(name)));
    let kind = match call.rsplit('/').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "write" => "change",
        "delete" => "deletion",
        "read" => "access",
        _ => "info",
    };
    act(event, Act("configuration", &[], outcome));
    event.add(Field::EVENT_TYPE, kind);
}

pub(super) fn hunting(event: &mut Event, members: &Members<'_>) {
    let told = members.text("properties.ActionType").unwrap_or_default();
    action(event, told);
    let name = event.text(Field::PROCESS_EXECUTABLE).and_then(|path| path.rsplit(['\\', '/']).next()).map(Text::from);
    match members.text("category").unwrap_or_default().trim_start_matches("AdvancedHunting-") {
        "DeviceProcessEvents" => {
            let at = [
                ("properties.FolderPath", Field::PROCESS_EXECUTABLE),
                ("properties.FileName", Field::PROCESS_NAME),
                ("properties.ProcessId", Field::PROCESS_PID),
                ("properties.ProcessCommandLine", Field::PROCESS_COMMAND_LINE),
                ("properties.SHA256", Field::PROCESS_HASH_SHA256),
                ("properties.InitiatingProcessFileName", Field::PROCESS_PARENT_NAME),
                ("properties.InitiatingProcessId", Field::PROCESS_PARENT_PID),
                ("properties.InitiatingProcessCommandLine", Field::PROCESS_PARENT_COMMAND_LINE),
                ("properties.InitiatingProcessFolderPath", Field::PROCESS_PARENT_EXECUTABLE),
                ("properties.AccountName", Field::USER_NAME),
                ("properties.AccountDomain", Field::USER_DOMAIN),
            ];
            for (name, field) in at {
                let text = members.value(name).and_then(|value| value.as_text());
                set_text(event, field, &text.unwrap_or_default());
            }
            act(event, Act("process", &["start"], ""));
        }
        "DeviceLogonEvents" => {
            let outcome = match told {
                "LogonSuccess" => "success",
                "LogonFailed" => "failure",
                _ => "",
            };
            act(event, Act("authentication", &["start"], outcome));
        }
        "DeviceNetworkEvents" => act(event, Act("network", &["connection"], "")),
        "DeviceFileEvents" => {
            for (name, field) in [
                ("properties.FolderPath", Field::FILE_PATH),
                ("properties.FileName", Field::FILE_NAME),
                ("properties.SHA256", Field::FILE_HASH_SHA256),
            ] {
                set_text(event, field, members.text(name).unwrap_or_default());
            }
            let kind: &[&str] = match told {
                "FileCreated" => &["creation"],
                "FileDeleted" => &["deletion"],
                _ => &["change"],
            };
            act(event, Act("file", kind, ""));
        }
        "DeviceRegistryEvents" => act(event, Act("registry", &["change"], "")),
        "EmailEvents" => act(event, Act("email", &["info"], "")),
        _ => act(event, Act("host", &["info"], "")),
    }
    if let Some(name) = name.filter(|_| event.get(Field::PROCESS_NAME).is_none()) {
        event.set(Field::PROCESS_NAME, name);
    }
}

pub(super) fn alert(event: &mut Event, members: &Members<'_>) {
    event.set(Field::EVENT_KIND, "alert");
    let is_malware = members.text("category").is_some_and(|kind| kind.eq_ignore_ascii_case("malware"));
    act(event, Act(if is_malware { "malware" } else { "intrusion_detection" }, &["info"], ""));
}

pub(super) fn workspace(event: &mut Event, members: &Members<'_>) {
    let call = members.text("events.name").unwrap_or_default();
    action(event, call);
    account(event, members.text("actor.email"));
    match members.text("id.applicationName").unwrap_or_default() {
        "login" => match call {
            "login_success" => act(event, Act("authentication", &["start"], "success")),
            "login_failure" | "login_failure_inquired" => act(event, Act("authentication", &["start"], "failure")),
            "logout" => act(event, Act("authentication", &["end"], "success")),
            "login_challenge" | "login_verification" => act(event, Act("authentication", &["info"], "")),
            _ => act(event, Act("iam", &["info"], "")),
        },
        "admin" => {
            let target =
                members.beside("events.parameters.name", "USER_EMAIL", "events.parameters.value").unwrap_or_default();
            act(event, Act("iam", &[], ""));
            event.add(Field::EVENT_TYPE, of_verb(call));
            if !target.is_empty() {
                event.add(Field::EVENT_TYPE, "user");
                event.set(Field::USER_TARGET_NAME, Text::from(target));
            }
        }
        "drive" => {
            let kind: &[&str] = match call {
                "create" | "upload" | "copy" => &["creation"],
                "delete" | "trash" => &["deletion"],
                "edit" | "rename" | "move" => &["change"],
                _ => &["access"],
            };
            act(event, Act("file", kind, ""));
        }
        _ => act(event, Act("iam", &["info"], "")),
    }
}

pub(super) fn okta(event: &mut Event, members: &Members<'_>) {
    let kind = members.text("eventType").unwrap_or_default();
    action(event, kind);
    account(event, members.text("actor.alternateId").filter(|name| *name != "unknown"));
    let outcome = match members.text("outcome.result") {
        Some("SUCCESS" | "ALLOW") => "success",
        Some("FAILURE" | "DENY") => "failure",
        _ => "",
    };
    let starts = |front: &str| kind.starts_with(front);
    if starts("user.session.end") {
        act(event, Act("authentication", &["end"], outcome));
    } else if starts("user.session.") || starts("user.authentication.") || starts("app.oauth2.signon") {
        act(event, Act("authentication", &["start"], outcome));
    } else if starts("user.") || starts("group.") || starts("application.user_membership") {
        act(event, Act("iam", &[], outcome));
        let verb = kind.rsplit('.').next().unwrap_or_default();
        event.add(Field::EVENT_TYPE, of_verb(verb));
        event.add(Field::EVENT_TYPE, if starts("group.") { "group" } else { "user" });
    } else if starts("security.threat") {
        event.set(Field::EVENT_KIND, "alert");
        act(event, Act("intrusion_detection", &["info"], outcome));
    } else {
        act(event, Act("configuration", &[], outcome));
        event.add(Field::EVENT_TYPE, of_verb(kind.rsplit('.').next().unwrap_or_default()));
    }
    if let Some(target) = members.beside("target.type", "User", "target.alternateId") {
        event.set(Field::USER_TARGET_NAME, Text::from(target));
    }
}

pub(super) fn github(event: &mut Event, members: &Members<'_>) {
    let call = members.text("action").unwrap_or_default();
    action(event, call);
    let verb = call.rsplit('.').next().unwrap_or_default();
    let is_people = ["member", "user", "collaborator", "admin"].iter().any(|word| verb.contains(word));
    act(event, Act(if is_people { "iam" } else { "configuration" }, &[], ""));
    event.add(Field::EVENT_TYPE, of_verb(verb));
    if is_people {
        event.add(Field::EVENT_TYPE, "user");
    }
    let target = members.text("user").filter(|user| Some(*user) != members.text("actor"));
    set_text(event, Field::USER_TARGET_NAME, target.unwrap_or_default());
}

pub(super) fn gcp(event: &mut Event, members: &Members<'_>) {
    let call = members.text("protoPayload.methodName").unwrap_or_default();
    action(event, call);
    account(event, members.text("protoPayload.authenticationInfo.principalEmail"));
    let code = members.long("protoPayload.status.code").unwrap_or_default();
    act(event, Act("configuration", &[], if code == 0 { "success" } else { "failure" }));
    event.add(Field::EVENT_TYPE, of_verb(call.rsplit('.').next().unwrap_or_default()));
    let is_refused = members
        .value("protoPayload.authorizationInfo.granted")
        .is_some_and(|value| value.each().any(|granted| granted.as_text().as_deref() == Some("false")));
    if is_refused {
        event.add(Field::EVENT_TYPE, "denied");
    }
}

pub(super) fn duo(event: &mut Event, members: &Members<'_>) {
    let result = members.text("result").unwrap_or_default().to_ascii_lowercase();
    let outcome = match result.as_str() {
        "success" => "success",
        "denied" | "failure" | "fraud" => "failure",
        _ => "",
    };
    event.set(Field::EVENT_ACTION, "authentication");
    act(event, Act("authentication", &["start"], outcome));
}

pub(super) fn auth0(event: &mut Event, members: &Members<'_>) {
    let kind = members.text("type").unwrap_or_default();
    action(event, kind);
    match kind {
        "s" | "seacft" | "sertft" | "ssa" => act(event, Act("authentication", &["start"], "success")),
        "f" | "fp" | "fu" | "fc" | "limit_wc" | "limit_mu" | "pwd_leak" => {
            act(event, Act("authentication", &["start"], "failure"));
        }
        "slo" => act(event, Act("authentication", &["end"], "success")),
        "ss" | "scu" => act(event, Act("iam", &["creation", "user"], "success")),
        "fs" => act(event, Act("iam", &["creation", "user"], "failure")),
        "scp" | "scpr" => act(event, Act("iam", &["change", "user"], "success")),
        "sdu" => act(event, Act("iam", &["deletion", "user"], "success")),
        _ => act(event, Act("iam", &["info"], "")),
    }
}

pub(super) fn falcon(event: &mut Event, members: &Members<'_>) {
    let kind = members.text("metadata.eventType").unwrap_or_default();
    action(event, kind);
    if kind.contains("DetectionSummary") {
        event.set(Field::EVENT_KIND, "alert");
        act(event, Act("malware", &["info"], ""));
        return;
    }
    let succeeded = members.value("event.Success").and_then(|value| value.as_text());
    let outcome = match succeeded.as_deref() {
        Some("true") => "success",
        Some("false") => "failure",
        _ => "",
    };
    set_text(event, Field::USER_NAME, members.text("event.UserId").unwrap_or_default());
    set_text(event, Field::SOURCE_IP, members.text("event.UserIp").unwrap_or_default());
    match (kind, members.text("event.OperationName").unwrap_or_default()) {
        ("AuthActivityAuditEvent", call) => {
            action(event, call);
            let is_sign_in = matches!(call, "userAuthenticate" | "twoFactorAuthenticate");
            act(event, Act(if is_sign_in { "authentication" } else { "iam" }, &[], outcome));
            event.add(Field::EVENT_TYPE, if is_sign_in { "start" } else { of_verb(call) });
        }
        ("UserActivityAuditEvent", call) => {
            action(event, call);
            act(event, Act("iam", &["info"], outcome));
        }
        _ => act(event, Act("host", &["info"], outcome)),
    }
}

pub(super) fn zscaler(event: &mut Event, members: &Members<'_>) {
    let told = members.text("event.action").unwrap_or_default();
    if !told.is_empty() {
        action(event, told);
    }
    account(event, members.text("event.login").or_else(|| members.text("event.user")));
    let category = if members.text("event.url").is_some() { "web" } else { "network" };
    let first = if category == "web" { "access" } else { "connection" };
    act(event, Act(category, &[], ""));
    event.add(Field::EVENT_TYPE, first);
    let lower = told.to_ascii_lowercase();
    if lower.starts_with("block") || lower.starts_with("drop") || lower.starts_with("deny") {
        event.add(Field::EVENT_TYPE, "denied");
    } else if lower.starts_with("allow") {
        event.add(Field::EVENT_TYPE, "allowed");
    }
    if members.text("event.threatname").is_some() {
        event.set(Field::EVENT_KIND, "alert");
    }
}

pub(super) fn web(event: &mut Event, _members: &Members<'_>) {
    let status = event.get(Field::HTTP_RESPONSE_STATUS_CODE).and_then(nhatle_event::Value::as_long);
    let outcome = match status {
        Some(status) if status < 400 => "success",
        Some(_) => "failure",
        None => "",
    };
    act(event, Act("web", &["access"], outcome));
}

pub(super) fn vault(event: &mut Event, members: &Members<'_>) {
    action(event, members.text("request.operation").unwrap_or_default());
    let is_sign_in =
        members.text("request.path").is_some_and(|path| path.starts_with("auth/") && path.contains("/login"));
    let is_answer = members.text("type") == Some("response");
    let outcome = match (members.text("error").is_some(), is_answer) {
        (true, _) => "failure",
        (false, true) => "success",
        _ => "",
    };
    act(event, if is_sign_in { Act("authentication", &["start"], outcome) } else { Act("", &["access"], outcome) });
}
