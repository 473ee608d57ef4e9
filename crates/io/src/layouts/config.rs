//! AWS Config: history and snapshot files with `configurationItems`, and items one a line.

use crate::formats::{Fields, Format, Reader};
use crate::head::Sample;
use crate::json;

const DIALECT: json::Dialect = json::Dialect::timed("config", &["configurationItemCaptureTime"]);

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "config",
    about: "AWS Config configuration items in JSON",
    extensions: &["json", "jsonl"],
    sources: &["aws_config.configuration_item"],
    time: "configurationItemCaptureTime",
    times: DIALECT.times,
    fields: Fields::listed(&[
        "configurationItemCaptureTime",
        "configurationItemStatus",
        "resourceType",
        "resourceId",
        "resourceName",
        "ARN",
        "awsRegion",
        "awsAccountId",
        "configuration",
        "relationships",
        "tags",
    ]),
    example: r#"{"fileVersion":"1.0","configSnapshotId":"…","configurationItems":[{"resourceType":"AWS::EC2::SecurityGroup",…}]}"#,
    sniff: |head| {
        let item = |r: &Sample<'_>| {
            r.has("resourceType")
                && r.count(&["configurationItemCaptureTime", "configurationItemStatus", "configurationStateId"]) >= 1
        };
        head.envelope("configurationItems") || head.records(item)
    },
    reader: Reader::Records(|pass, head| json::records(pass, head, &DIALECT)),
};
