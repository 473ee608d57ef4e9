//! AWS WAF: full logs of web access control lists.

use crate::formats::{Fields, Format, Reader};
use crate::json;

const DIALECT: json::Dialect = json::Dialect::timed("waf", &["timestamp"]);

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "waf",
    about: "AWS WAF logs in JSON",
    extensions: &["json", "jsonl"],
    sources: &["aws_waf.access"],
    time: "timestamp",
    times: DIALECT.times,
    fields: Fields::listed(&[
        "timestamp",
        "action",
        "webaclId",
        "terminatingRuleId",
        "terminatingRuleType",
        "httpSourceName",
        "httpSourceId",
        "httpRequest.clientIp",
        "httpRequest.country",
        "httpRequest.uri",
        "httpRequest.args",
        "httpRequest.httpMethod",
        "httpRequest.headers",
        "ruleGroupList",
        "rateBasedRuleList",
        "labels",
        "responseCodeSent",
        "ja3Fingerprint",
    ]),
    example: r#"{"timestamp":1714557600000,"webaclId":"arn:…","action":"BLOCK","terminatingRuleId":"SQLi","httpRequest":{"clientIp":"203.0.113.9",…},…}"#,
    sniff: |head| head.records(|r| r.has_all(&["webaclId", "httpRequest"])),
    reader: Reader::Records(|pass, head| json::records(pass, head, &DIALECT)),
};
