//! JSON that is not one object a line: a list, objects one after another, objects over several lines.

use crate::formats::{Fields, Format, Reader};
use crate::head::Framing;
use crate::json;

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "json",
    about: "JSON: a list of objects, objects one after another or over several lines, lists in an object",
    extensions: &["json"],
    sources: &[],
    time: "timestamp, time, eventTime, requestTimeEpoch, requestTime or ts, the first that is there",
    times: &[],
    fields: Fields::listed(&[]),
    example: r#"[{"time":"2024-05-01T10:00:00Z","msg":"started"}, …]"#,
    sniff: |head| head.json().is_some_and(|json| json.framing != Framing::Lines),
    reader: Reader::Records(json::plain),
};
