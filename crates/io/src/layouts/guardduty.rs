//! GuardDuty findings, exported or asked for.

use crate::formats::{Fields, Format, Reader};
use crate::json;

const DIALECT: json::Dialect = json::Dialect::timed(
    "guardduty",
    &["service.eventLastSeen", "Service.EventLastSeen", "updatedAt", "UpdatedAt", "createdAt"],
);

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "guardduty",
    about: "Amazon GuardDuty findings in JSON",
    extensions: &["json", "jsonl"],
    sources: &["amazon_guardduty.findings"],
    time: "service.eventLastSeen, else updatedAt",
    times: DIALECT.times,
    fields: Fields::listed(&[
        "id",
        "type",
        "severity",
        "title",
        "description",
        "accountId",
        "region",
        "createdAt",
        "updatedAt",
        "resource",
        "service.action",
        "service.eventFirstSeen",
        "service.eventLastSeen",
        "service.count",
        "service.archived",
    ]),
    example: r#"{"schemaVersion":"2.0","accountId":"123456789012","type":"Recon:EC2/PortProbeUnprotectedPort","severity":2,"service":{…},…}"#,
    sniff: |head| {
        head.records(|r| {
            r.has_all(&["type", "severity", "service"]) && r.count(&["accountId", "arn", "resource", "id"]) >= 2
        }) || head.records(|r| r.has_all(&["Type", "Severity", "Service", "AccountId"]))
    },
    reader: Reader::Records(|pass, head| json::records(pass, head, &DIALECT)),
};
