//! Events in the Open Cybersecurity Schema Framework, as Security Lake keeps them.

use crate::formats::{Fields, Format, Reader};
use crate::json;

const DIALECT: json::Dialect = json::Dialect::timed("ocsf", &["time", "time_dt"]);

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "ocsf",
    about: "OCSF events (Amazon Security Lake)",
    extensions: &["json", "parquet"],
    sources: &["amazon_security_lake.ocsf"],
    time: "time",
    times: DIALECT.times,
    fields: Fields::listed(&[
        "time",
        "class_uid",
        "class_name",
        "category_uid",
        "activity_id",
        "activity_name",
        "severity_id",
        "status",
        "metadata.product.name",
        "cloud.region",
        "cloud.account.uid",
        "api.operation",
        "api.service.name",
        "actor.user.name",
        "src_endpoint.ip",
        "src_endpoint.port",
        "dst_endpoint.ip",
        "dst_endpoint.port",
        "http_request.user_agent",
    ]),
    example: r#"{"class_uid":6003,"time":1714557600000,"api":{"operation":"CreateUser"},"metadata":{"product":{"name":"CloudTrail"}},…}"#,
    sniff: |head| {
        head.records(|r| {
            r.has("class_uid") && r.count(&["metadata", "category_uid", "activity_id", "type_uid", "time"]) >= 2
        })
    },
    reader: Reader::Records(|pass, head| json::records(pass, head, &DIALECT)),
};
