//! Hunts through the binary: the same findings whatever the form of the logs, and reports that hostile logs cannot break.

use std::io::Write;
use std::path::Path;

/// What an attacker and an honest client leave in an access log, and a stopped trail.
fn logs(folder: &Path) {
    let mut access = String::new();
    for i in 0..40 {
        access.push_str(&format!(
            "{{\"ip\":\"203.0.113.9\",\"status\":\"401\",\"path\":\"/v1/login\",\"time\":\"2026-01-05T10:00:{i:02}Z\",\"user\":\"-\"}}\n"
        ));
        access.push_str(&format!(
            "{{\"ip\":\"198.51.100.{i}\",\"status\":\"200\",\"path\":\"/v1/orders\",\"time\":\"2026-01-05T10:01:{i:02}Z\",\"user\":\"ann\"}}\n"
        ));
    }
    access.push_str(
        "{\"ip\":\"203.0.113.9\",\"status\":\"200\",\"path\":\"/v1/login\",\"time\":\"2026-01-05T10:02:00Z\",\"user\":\"</script><script>alert(1)</script>\\u001b[2J\"}\n",
    );
    std::fs::write(folder.join("access.ndjson"), access).expect("written");
    let trail = "{\"eventSource\":\"cloudtrail.amazonaws.com\",\"eventName\":\"StopLogging\",\"eventTime\":\"2026-01-05T11:00:00Z\",\"awsRegion\":\"eu-west-1\",\"userIdentity\":{\"arn\":\"<img src=x onerror=alert(1)>\"}}\n";
    std::fs::write(folder.join("trail.json"), trail).expect("written");
    std::fs::write(folder.join("broken.json.gz"), [0x1f, 0x8b, 8, 0, 1]).expect("written");
}

fn hunt(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = assert_cmd::Command::cargo_bin("backsight").expect("the binary is built");
    // A few rules are enough, and start quickly.
    let rules = ["--rules", "API-002", "--rules", "API-003", "--rules", "CT-012", "--rules", "WAF-002"];
    let some: &[&str] = if args.contains(&"--rules") { &[] } else { &rules };
    let output = command.current_dir(folder).arg("hunt").args(args).args(some).output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// What is said about every finding, but for where its evidence lies.
fn findings(jsonl: &str) -> Vec<String> {
    let line = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).expect("a finding");
        let events: Vec<&serde_json::Value> =
            row["evidence"].as_array().expect("evidence").iter().map(|e| &e["event"]).collect();
        format!("{} {} {} {} {events:?}", row["rule"]["alias"], row["level"], row["entity"]["value"], row["count"])
    };
    jsonl.lines().map(line).collect()
}

#[test]
fn the_same_findings_from_every_form() {
    let (plain, packed) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    logs(plain.path());
    std::fs::remove_file(plain.path().join("broken.json.gz")).expect("removed");
    for name in ["access.ndjson", "trail.json"] {
        let text = std::fs::read(plain.path().join(name)).expect("was written");
        let file = std::fs::File::create(packed.path().join(format!("{name}.gz"))).expect("created");
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(&text).and_then(|()| gzip.finish().map(drop)).expect("written");
    }
    let (status, expected, said) = hunt(plain.path(), &["access.ndjson", "trail.json", "--report", "jsonl"]);
    assert_eq!(status, 0, "{said}");
    let found = findings(&expected);
    for rule in ["API-002", "API-003", "CT-012"] {
        assert!(found.iter().any(|f| f.contains(rule)), "{rule} in {found:#?}");
    }
    let (_, again, _) = hunt(plain.path(), &["trail.json", "access.ndjson", "--report", "jsonl", "--threads", "1"]);
    assert_eq!(expected, again, "order of paths and number of threads do not show");
    let (_, gzipped, _) = hunt(packed.path(), &[".", "--report", "jsonl", "--threads", "3"]);
    assert_eq!(found, findings(&gzipped));
}

#[test]
fn statuses_and_reports() {
    let folder = tempfile::tempdir().expect("a folder");
    logs(folder.path());
    let (status, text, said) = hunt(folder.path(), &[".", "--explain"]);
    assert_eq!(status, 3, "part of the input is damaged: {said}");
    assert!(text.contains("API-003") && said.contains("broken.json.gz") && said.contains("skipped"), "{text}{said}");
    assert!(!text.contains('\u{1b}'), "nothing of a log reaches the terminal as a command");
    assert_eq!(hunt(folder.path(), &[".", "--lenient"]).0, 0);
    assert_eq!(hunt(folder.path(), &[".", "--fail-on", "critical"]).0, 1);
    assert_eq!(hunt(folder.path(), &[".", "--rules", "WAF-002", "--fail-on", "low", "--lenient"]).0, 0);
    assert_eq!(hunt(folder.path(), &[".", "--rules", "NO-001"]).0, 2);
    let (status, none, _) =
        hunt(folder.path(), &[".", "--param", "API-002.threshold=41", "--rules", "API-002", "--lenient"]);
    assert!(status == 0 && none.contains("none"), "{none}");
    let (_, html, _) = hunt(folder.path(), &[".", "--report", "html"]);
    assert_eq!(html.matches("<script>").count(), 1, "only our own");
    assert!(!html.contains("<img") && html.contains("&lt;img src=x onerror=alert(1)&gt;"), "log values are text");
    assert!(!html.contains('\u{1b}') && !html.contains("://"), "nothing to run, nothing to fetch");
    let (_, sarif, _) = hunt(folder.path(), &[".", "--report", "sarif"]);
    let sarif: serde_json::Value = serde_json::from_str(&sarif).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    assert!(sarif["runs"][0]["results"].as_array().is_some_and(|r| r.len() >= 3));
    let (_, json, _) = hunt(folder.path(), &[".", "--report", "json"]);
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let event = report["findings"][0]["evidence"][0]["event"].as_str().expect("an event");
    assert!(event.starts_with('{') && event.ends_with('}'), "{event}");
    let (_, csv, _) = hunt(folder.path(), &[".", "--report", "csv"]);
    assert!(csv.starts_with("message,datetime,timestamp_desc,"), "{csv}");
    std::fs::write(folder.path().join("own.yml"), "access: { fields: { ip: [path] } }").expect("written");
    let (_, own, said) = hunt(folder.path(), &["access.ndjson", "--report", "jsonl", "--log-sources", "own.yml"]);
    assert!(own.contains(r#""value":"/v1/login""#), "the user's places come first: {own}{said}");
    for form in ["md", "jsonl", "timesketch"] {
        let (_, text, said) = hunt(folder.path(), &[".", "--report", form]);
        assert!(text.contains("API-003"), "{form}: {text}{said}");
    }
}

#[test]
fn logs_that_only_some_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut access, mut trail) = (String::new(), String::new());
    for step in 0..240 {
        let time = format!("2026-01-05T{:02}:{:02}:00Z", step / 12, step % 12 * 5);
        let request = |stage: &str| {
            format!(
                "{{\"ip\":\"198.51.100.7\",\"status\":\"200\",\"path\":\"/\",\"apiId\":\"a1\",\"stage\":\"{stage}\",\"time\":\"{time}\"}}\n"
            )
        };
        access.push_str(&request("prod"));
        if step < 120 {
            access.push_str(&request("test"));
        }
        trail.push_str(&format!(
            "{{\"eventSource\":\"ec2.amazonaws.com\",\"eventName\":\"RunInstances\",\"eventTime\":\"{time}\",\"awsRegion\":\"eu-west-1\",\"userIdentity\":{{\"type\":\"IAMUser\"}}}}\n"
        ));
    }
    for (minute, event, stage) in
        [(1, "CreateStage", "beta"), (2, "UpdateStage", "prod"), (3, "CreateStage", "old"), (4, "DeleteStage", "old")]
    {
        trail.push_str(&format!(
            "{{\"eventSource\":\"apigateway.amazonaws.com\",\"eventName\":\"{event}\",\"eventTime\":\"2026-01-05T10:0{minute}:30Z\",\"awsRegion\":\"eu-west-1\",\"requestParameters\":{{\"restApiId\":\"a1\",\"stageName\":\"{stage}\"}}}}\n"
        ));
    }
    let flows = "version vpc-id interface-id srcaddr dstaddr srcport dstport start end action log-status region\n\
                 5 vpc-1 eni-1 10.0.0.1 10.0.0.2 443 5000 1767607200 1767607260 ACCEPT OK us-east-1\n";
    for (name, text) in [("access.ndjson", access.as_str()), ("trail.ndjson", &trail), ("flows.log", flows)] {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let (status, json, said) = hunt(folder.path(), &[".", "--report", "json"]);
    assert_eq!(status, 0, "{said}");
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let gaps = report["gaps"].as_array().expect("gaps").iter().filter(|gap| gap["id"] == "GAP-007");
    let gaps: Vec<String> = gaps.map(|gap| format!("{}: {}", gap["source"], gap["message"])).collect();
    assert_eq!(
        gaps,
        [
            "\"access\": \"CloudTrail names API a1, stage beta, of which there is no record\"",
            "\"access\": \"records of API a1, stage test are of 2026-01-05T00:00:00Z to 2026-01-05T10:00:00Z only, while the others go on\"",
            "\"vpcflow\": \"CloudTrail has 244 events of region eu-west-1, of which there is no record\"",
        ],
    );
}

#[test]
fn evidence_with_the_hash_of_its_file() {
    use sha2::{Digest, Sha256};
    let folder = tempfile::tempdir().expect("a folder");
    logs(folder.path());
    let hash = |name: &str| -> String {
        let bytes = std::fs::read(folder.path().join(name)).expect("was written");
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let (access, trail) = (hash("access.ndjson"), hash("trail.json"));
    for form in ["text", "html", "md", "json", "jsonl", "csv", "sarif"] {
        let (_, hashed, said) = hunt(folder.path(), &[".", "--lenient", "--hash", "--report", form]);
        assert!(hashed.contains(&access) && hashed.contains(&trail), "{form}: {hashed}{said}");
        let (_, plain, _) = hunt(folder.path(), &[".", "--lenient", "--report", form]);
        assert!(!plain.contains(&access), "{form}: nobody asked for it");
    }
    let (_, jsonl, _) = hunt(folder.path(), &[".", "--lenient", "--hash", "--report", "jsonl"]);
    for line in jsonl.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("a finding");
        for evidence in row["evidence"].as_array().expect("evidence") {
            let file = evidence["file"].as_str().expect("a file");
            assert_eq!(evidence["sha256"], hash(file), "{file}");
        }
    }
}

/// Calls that several rules are about: some of them look into maps, one at a whole map, one at the outcome.
fn calls() -> Vec<serde_json::Value> {
    let call = |n: usize, source: &str, name: &str, parameters: serde_json::Value| {
        serde_json::json!({
            "eventVersion": "1.08", "eventTime": format!("2026-01-05T11:{n:02}:00Z"), "eventID": format!("id-{n}"),
            "eventSource": format!("{source}.amazonaws.com"), "eventName": name, "awsRegion": "eu-west-1",
            "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2.15.0", "recipientAccountId": "111122223333",
            "userIdentity": { "type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/u{n}"), "userName": "u" },
            "requestParameters": parameters,
        })
    };
    let statement = serde_json::json!({ "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::999988887777:root" } });
    let trust = serde_json::json!({ "Statement": [&statement] }).to_string();
    let mut refused = call(5, "ec2", "RunInstances", serde_json::json!({ "instanceType": "p4d.24xlarge" }));
    refused["errorCode"] = "Client.UnauthorizedOperation".into();
    let mut login = call(6, "signin", "ConsoleLogin", serde_json::Value::Null);
    login["responseElements"] = serde_json::json!({ "ConsoleLogin": "Failure" });
    vec![
        call(1, "cloudtrail", "StopLogging", serde_json::json!({ "name": "trail" })),
        call(2, "iam", "UpdateAssumeRolePolicy", serde_json::json!({ "roleName": "r", "policyDocument": trust })),
        call(3, "s3", "PutBucketPolicy", serde_json::json!({ "bucketPolicy": { "Statement": [&statement] } })),
        call(
            4,
            "iam",
            "AttachUserPolicy",
            serde_json::json!({ "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess" }),
        ),
        refused,
        login,
    ]
}

/// A call as a table has it: names in lower case, maps that differ from call to call as text.
fn in_a_table(call: &serde_json::Value, lower: bool) -> serde_json::Value {
    fn low(value: &serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(map) => map.iter().map(|(k, v)| (k.to_lowercase(), low(v))).collect(),
            other => other.clone(),
        }
    }
    let field = |(name, value): (&String, &serde_json::Value)| {
        let is_text = ["requestParameters", "responseElements"].contains(&name.as_str()) && !value.is_null();
        let value = if is_text { serde_json::to_string_pretty(value).expect("a text").into() } else { value.clone() };
        (if lower { name.to_lowercase() } else { name.clone() }, if lower { low(&value) } else { value })
    };
    call.as_object().expect("a map").iter().map(field).collect()
}

/// A call in the schema of OCSF, as Security Lake has it.
fn in_ocsf(call: &serde_json::Value) -> serde_json::Value {
    let text = |name: &str| match &call[name] {
        serde_json::Value::Null => serde_json::Value::Null,
        map => map.to_string().into(),
    };
    serde_json::json!({
        "metadata": { "product": { "name": "CloudTrail" }, "uid": call["eventID"] }, "class_uid": 6003, "time_dt": call["eventTime"],
        "time": call["eventTime"], "cloud": { "region": call["awsRegion"], "account": { "uid": call["recipientAccountId"] } },
        "api": {
            "operation": call["eventName"], "service": { "name": call["eventSource"] },
            "request": { "data": text("requestParameters") },
            "response": { "error": call["errorCode"], "data": text("responseElements") },
        },
        "actor": { "user": { "type": "IAMUser", "uid_alt": call["userIdentity"]["arn"], "name": "u" } },
        "src_endpoint": { "ip": call["sourceIPAddress"] }, "http_request": { "user_agent": call["userAgent"] },
    })
}

#[test]
fn calls_in_tables_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines =
        |calls: &mut dyn Iterator<Item = serde_json::Value>| calls.map(|call| format!("{call}\n")).collect::<String>();
    let found = |name: &str, text: String| -> Vec<String> {
        std::fs::write(folder.path().join(name), text).expect("written");
        let (status, found, said) = hunt(folder.path(), &[name, "--report", "jsonl", "--rules", "cloudtrail"]);
        assert_eq!(status, 0, "{name}: {said}");
        let row = |line: &str| {
            let row: serde_json::Value = serde_json::from_str(line).expect("a finding");
            let parts =
                [&row["rule"]["alias"], &row["level"], &row["outcome"], &row["entity"]["value"], &row["first_seen"]];
            parts.map(ToString::to_string).join(" ")
        };
        found.lines().map(row).collect()
    };
    let expected = found("calls.json", lines(&mut calls().into_iter()));
    for alias in ["CT-012", "CT-035", "CT-099", "CT-034", "CT-053", "CT-098"] {
        assert!(expected.iter().any(|row| row.contains(alias)), "{alias}: {expected:#?}");
    }
    assert_eq!(found("crawled.json", lines(&mut calls().iter().map(|call| in_a_table(call, false)))), expected);
    assert_eq!(found("athena.json", lines(&mut calls().iter().map(|call| in_a_table(call, true)))), expected);
    assert_eq!(found("lake.json", lines(&mut calls().iter().map(in_ocsf))), expected);
}
