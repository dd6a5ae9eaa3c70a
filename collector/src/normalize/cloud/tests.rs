//! One record of each service, or two where their outcomes differ.

use super::super::service::tests::check;

#[test]
fn calls_and_findings_of_aws() {
    let call = |source: &str, name: &str, more: &str| {
        format!(
            r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser","principalId":"AIDA7","arn":"arn:aws:iam::7:user/lan","userName":"lan"}},"eventTime":"2026-11-23T02:10:00Z","eventSource":"{source}.amazonaws.com","eventName":"{name}","awsRegion":"ap-southeast-1","sourceIPAddress":"203.0.113.9","userAgent":"x",{more}"eventID":"e-1"}}"#
        )
    };
    check(
        "",
        &call("signin", "ConsoleLogin", r#""responseElements":{"ConsoleLogin":"Failure"},"#),
        &[
            ("event.dataset", "aws.cloudtrail"),
            ("event.category", "authentication"),
            ("event.outcome", "failure"),
            ("event.action", "ConsoleLogin"),
            ("user.name", "lan"),
            ("source.ip", "203.0.113.9"),
            ("eventName", "ConsoleLogin"),
            ("@timestamp", "2026-11-23T02:10:00Z"),
        ],
    );
    check(
        "",
        &call("iam", "CreateUser", r#""requestParameters":{"userName":"moi"},"#),
        &[
            ("event.category", "iam"),
            ("event.type", "creation,user"),
            ("event.outcome", "success"),
            ("user.name", "lan"),
            ("user.target.name", "moi"),
        ],
    );
    let finding = r#"{"schemaVersion":"2.0","id":"g-1","type":"UnauthorizedAccess:EC2/SSHBruteForce","service":{"serviceName":"guardduty","action":{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"connectionDirection":"INBOUND","protocol":"TCP","remoteIpDetails":{"ipAddressV4":"203.0.113.9"},"localPortDetails":{"port":22},"localIpDetails":{"ipAddressV4":"10.45.0.5"},"remotePortDetails":{"port":4411}}}},"severity":2,"title":"t","updatedAt":"2026-11-23T02:10:00Z"}"#;
    check(
        "",
        finding,
        &[
            ("event.kind", "alert"),
            ("source.ip", "203.0.113.9"),
            ("destination.ip", "10.45.0.5"),
            ("destination.port", "22"),
            ("network.transport", "tcp"),
            ("rule.name", "UnauthorizedAccess:EC2/SSHBruteForce"),
        ],
    );
}

#[test]
fn people_and_files_of_microsoft() {
    let call = |name: &str, workload: &str, more: &str| {
        format!(
            r#"{{"CreationTime":"2026-11-23T02:10:00","Id":"o-1","Operation":"{name}","RecordType":15,"Workload":"{workload}","ClientIP":"203.0.113.9:4411","UserId":"lan@a.example"{more}}}"#
        )
    };
    check(
        "",
        &call("UserLoginFailed", "AzureActiveDirectory", r#","ResultStatus":"Success""#),
        &[
            ("event.dataset", "o365.audit"),
            ("event.category", "authentication"),
            ("event.outcome", "failure"),
            ("source.ip", "203.0.113.9"),
            ("source.port", "4411"),
            ("user.name", "lan"),
            ("user.id", "lan@a.example"),
            ("@timestamp", "2026-11-23T02:10:00Z"),
        ],
    );
    check(
        "",
        &call("FileDownloaded", "SharePoint", r#","SourceFileName":"b.docx""#),
        &[("event.category", "file"), ("event.type", "access"), ("file.name", "b.docx")],
    );
    check(
        "",
        &call("New-InboxRule", "Exchange", r#","ResultStatus":"True""#),
        &[("event.category", "configuration"), ("event.type", "creation"), ("event.outcome", "success")],
    );
    let sign_in = |code: &str| {
        format!(
            r#"{{"time":"2026-11-23T02:10:00Z","resourceId":"/tenants/t","operationName":"Sign-in activity","category":"SignInLogs","resultType":"{code}","callerIpAddress":"203.0.113.9","correlationId":"c","properties":{{"id":"s","userPrincipalName":"lan@a.example","ipAddress":"203.0.113.9","status":{{"errorCode":{code}}}}}}}"#
        )
    };
    for (code, outcome) in [("0", "success"), ("50126", "failure")] {
        check(
            "",
            &sign_in(code),
            &[
                ("event.dataset", "azure.signinlogs"),
                ("event.category", "authentication"),
                ("event.outcome", outcome),
                ("user.name", "lan"),
                ("source.ip", "203.0.113.9"),
            ],
        );
    }
    check(
        "",
        r#"{"time":"2026-11-23T02:10:00Z","resourceId":"/S","operationName":"MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE","category":"Administrative","resultType":"Success","callerIpAddress":"203.0.113.9","correlationId":"c"}"#,
        &[("event.dataset", "azure.activitylogs"), ("event.type", "deletion"), ("event.outcome", "success")],
    );
    check(
        "",
        r#"{"time":"2026-11-23T02:10:05Z","category":"AdvancedHunting-DeviceProcessEvents","properties":{"Timestamp":"2026-11-23T02:10:00Z","DeviceName":"may-7","ActionType":"ProcessCreated","FileName":"cmd.exe","FolderPath":"C:\\Windows\\cmd.exe","ProcessId":400,"ProcessCommandLine":"cmd /c x","AccountName":"lan","InitiatingProcessFileName":"explorer.exe","InitiatingProcessId":300}}"#,
        &[
            ("event.category", "process"),
            ("event.type", "start"),
            ("process.name", "cmd.exe"),
            ("process.pid", "400"),
            ("process.parent.name", "explorer.exe"),
            ("host.name", "may-7"),
            ("user.name", "lan"),
        ],
    );
}

#[test]
fn people_of_other_services() {
    check(
        "",
        r#"{"kind":"admin#reports#activity","id":{"time":"2026-11-23T02:10:00.000Z","uniqueQualifier":"7","applicationName":"login"},"actor":{"email":"lan@a.example"},"ipAddress":"203.0.113.9","events":[{"type":"login","name":"login_failure","parameters":[{"name":"login_type","value":"x"}]}]}"#,
        &[
            ("event.outcome", "failure"),
            ("event.category", "authentication"),
            ("user.name", "lan"),
            ("source.ip", "203.0.113.9"),
        ],
    );
    check(
        "",
        r#"{"actor":{"id":"u","type":"User","alternateId":"lan@a.example"},"client":{"ipAddress":"203.0.113.9"},"eventType":"user.session.start","outcome":{"result":"FAILURE","reason":"INVALID_CREDENTIALS"},"published":"2026-11-23T02:10:00.000Z","uuid":"k","severity":"WARN"}"#,
        &[
            ("event.dataset", "okta.system"),
            ("event.category", "authentication"),
            ("event.outcome", "failure"),
            ("event.action", "user.session.start"),
            ("user.email", "lan@a.example"),
            ("client.ip", "203.0.113.9"),
        ],
    );
    check(
        "",
        r#"{"@timestamp":1795399800000,"_document_id":"g","action":"org.add_member","actor":"lan","actor_ip":"203.0.113.9","user":"minh","org":"hue"}"#,
        &[("user.name", "lan"), ("user.target.name", "minh"), ("event.category", "iam"), ("source.ip", "203.0.113.9")],
    );
    check(
        "",
        r#"{"insertId":"i","protoPayload":{"authenticationInfo":{"principalEmail":"lan@a.example"},"methodName":"v1.compute.instances.delete","requestMetadata":{"callerIp":"203.0.113.9"},"serviceName":"compute.googleapis.com","status":{"code":7,"message":"denied"}},"timestamp":"2026-11-23T02:10:00Z"}"#,
        &[("event.outcome", "failure"), ("event.type", "deletion"), ("user.name", "lan")],
    );
    check(
        "",
        r#"{"access_device":{"ip":"203.0.113.9"},"result":"denied","reason":"user_marked_fraud","isotimestamp":"2026-11-23T02:10:00+00:00","txid":"d","user":{"key":"k","name":"lan"}}"#,
        &[("event.outcome", "failure"), ("user.name", "lan"), ("source.ip", "203.0.113.9")],
    );
    check(
        "",
        r#"{"metadata":{"customerIDString":"c","eventType":"DetectionSummaryEvent","eventCreationTime":1795399800000},"event":{"ComputerName":"may-7","UserName":"lan","FileName":"x.exe","CommandLine":"x.exe -a","LocalIP":"10.45.0.9","DetectName":"NGAV"}}"#,
        &[("event.kind", "alert"), ("host.name", "may-7"), ("process.name", "x.exe"), ("rule.name", "NGAV")],
    );
    check(
        "",
        r#"{"ClientIP":"203.0.113.9","ClientRequestHost":"a.example","ClientRequestMethod":"GET","ClientRequestURI":"/b?c=1","EdgeResponseStatus":200,"EdgeStartTimestamp":"2026-11-23T02:10:00Z","RayID":"r"}"#,
        &[("event.category", "web"), ("url.domain", "a.example"), ("http.response.status_code", "200")],
    );
}
