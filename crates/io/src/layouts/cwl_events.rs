//! Events of CloudWatch Logs with JSON around them: what its commands print, and what its subscriptions deliver.

use crate::formats::{Fields, Format, Pass, Reader, Records};
use crate::head::{Head, Sample};
use crate::json::{self, Dialect, Element};

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "cwl-events",
    about: "CloudWatch Logs events: `aws logs filter-log-events`, `get-log-events`, `get-query-results`, subscriptions",
    extensions: &["json"],
    sources: &[],
    time: "timestamp of the event; `@timestamp` of query results",
    times: &[],
    fields: Fields::listed(&["@timestamp", "@message", "@logStream", "@log", "@ingestionTime", "eventId"]),
    example: r#"{"events":[{"logStreamName":"s","timestamp":1714557600000,"message":"…","ingestionTime":1714557600100,"eventId":"…"}]}"#,
    sniff: |head| dialect(head).is_some(),
    reader: Reader::Records(open),
};

/// `filter-log-events`, `get-log-events`, and their events in any other frame.
const EVENTS: Dialect = Dialect {
    name: "cwl-events",
    times: &[],
    reserved: &[
        (b"timestamp", json::TIMESTAMP),
        (b"message", json::MESSAGE),
        (b"logStreamName", json::LOG_STREAM),
        (b"ingestionTime", json::INGESTION_TIME),
    ],
    element: Element::Record,
    example: r#"{"timestamp":0,"message":"","ingestionTime":0}"#,
};

/// `get-query-results`
const RESULTS: Dialect = Dialect {
    name: "cwl-events results",
    times: &[],
    reserved: json::USUAL,
    element: Element::Fields,
    example: r#"{"results":[[]]}"#,
};

/// What subscriptions deliver, through Firehose or otherwise.
const SUBSCRIPTION: Dialect = Dialect {
    name: "cwl-events subscription",
    element: Element::Events,
    example: r#"{"messageType":"","owner":"","logEvents":[]}"#,
    ..EVENTS
};

fn dialect(head: &Head<'_>) -> Option<&'static Dialect> {
    let event = |r: &Sample<'_>| r.has_all(&["timestamp", "message"]) && r.count(&["ingestionTime", "eventId"]) >= 1;
    if head.envelope("results") {
        Some(&RESULTS)
    } else if head.records(|r| r.has("logEvents") && r.count(&["messageType", "logGroup", "logStream", "owner"]) >= 2) {
        Some(&SUBSCRIPTION)
    } else if head.records(event) {
        Some(&EVENTS)
    } else {
        None
    }
}

fn open<'a>(pass: &Pass<'a>, head: &Head<'_>) -> Box<dyn Records + 'a> {
    json::records(pass, head, dialect(head).unwrap_or(&EVENTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_of_their_dialect() {
        for expected in [&EVENTS, &RESULTS, &SUBSCRIPTION] {
            let example = match expected.element {
                Element::Record => format!("[{}]", expected.example),
                _ => expected.example.to_owned(),
            };
            assert_eq!(dialect(&Head::new(example.as_bytes())).map(|d| d.name), Some(expected.name));
        }
    }
}
