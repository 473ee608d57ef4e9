//! CloudTrail: files of `{"Records":[…]}` as the service writes them, and events lying one a line or in any other way.

use crate::formats::{Fields, Format, Pass, Reader, Records};
use crate::head::{Head, Sample};
use crate::json;

const DIALECT: json::Dialect = json::Dialect::timed("cloudtrail", &["eventTime"]);

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "cloudtrail",
    about: "AWS CloudTrail events: `{\"Records\":[…]}`, one event a line, `lookup-events`",
    extensions: &["json", "jsonl"],
    sources: &["aws_cloudtrail.management", "aws_cloudtrail.data", "aws_cloudtrail.insights"],
    time: "eventTime",
    times: DIALECT.times,
    fields: Fields::listed(&[
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "sourceIPAddress",
        "userAgent",
        "userIdentity.type",
        "userIdentity.arn",
        "userIdentity.userName",
        "userIdentity.accountId",
        "errorCode",
        "errorMessage",
        "requestParameters",
        "responseElements",
        "readOnly",
        "eventID",
        "eventType",
        "recipientAccountId",
    ]),
    example: r#"{"Records":[{"eventTime":"2024-05-01T10:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser",…}]}"#,
    sniff,
    reader: Reader::Records(open),
};

/// `aws cloudtrail lookup-events`: the event is text within.
const LOOKUP: json::Dialect = json::Dialect {
    name: "cloudtrail lookup-events",
    times: &["EventTime", "eventTime"],
    reserved: &[(b"CloudTrailEvent", json::MESSAGE)],
    element: json::Element::Record,
    example: r#"{"EventId":"","EventName":"","CloudTrailEvent":""}"#,
};

fn sniff(head: &Head<'_>) -> bool {
    head.records(is_event) || head.records(is_looked_up)
}

fn is_event(record: &Sample<'_>) -> bool {
    // Notifications of S3 look the same but for their source.
    record.has_all(&["eventName", "eventSource"])
        && record.count(&["eventTime", "eventID", "eventVersion", "userIdentity", "awsRegion"]) >= 2
        && !record.get("eventSource").is_some_and(|source| source.starts_with(b"\"aws:"))
}

fn is_looked_up(record: &Sample<'_>) -> bool {
    record.has_all(&["EventId", "EventName", "CloudTrailEvent"])
}

fn open<'a>(pass: &Pass<'a>, head: &Head<'_>) -> Box<dyn Records + 'a> {
    json::records(pass, head, if head.records(is_looked_up) { &LOOKUP } else { &DIALECT })
}
