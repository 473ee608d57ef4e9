//! One JSON object a line, or text: what every other file is taken for.

use crate::formats::{Fields, Format, Reader};
use crate::json;

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "ndjson",
    about: "one JSON object a line; lines that are no JSON object are events with only `@message`",
    extensions: &["ndjson", "jsonl", "json", "log", "txt"],
    sources: &[],
    time: "timestamp, time, eventTime, requestTimeEpoch, requestTime or ts, the first that is there",
    times: &[],
    fields: Fields::listed(&[]),
    example: r#"{"time":"2024-05-01T10:00:00Z","msg":"started"}"#,
    sniff: |_| true,
    reader: Reader::Records(json::lines),
};
