//! AWS Lambda: logs of the platform and of functions, in JSON or as text. Fields of text are called as CloudWatch Logs calls
//! those it finds in them.

use crate::formats::{Fields, Format, Pass, Reader, Records};
use crate::head::Head;
use crate::json::{self, Dialect};
use crate::text::find::{of_line, starts_with_date};
use crate::text::{self, Divide, Find, Layout, Names, Part, Time, Variant};

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "lambda",
    about: "AWS Lambda logs: JSON, or text with START, END and REPORT lines",
    extensions: &["json", "log"],
    sources: &["aws_lambda.function"],
    time: "timestamp or time; in text that of the line, where it has one",
    times: DIALECT.times,
    fields: Fields::listed(&[
        "timestamp",
        "time",
        "type",
        "level",
        "message",
        "requestId",
        "record.requestId",
        "record.status",
        "record.metrics.durationMs",
        "record.metrics.billedDurationMs",
        "record.metrics.maxMemoryUsedMB",
        "record.metrics.memorySizeMB",
        "record.metrics.initDurationMs",
        "@type",
        "@requestId",
        "@duration",
        "@billedDuration",
        "@initDuration",
        "@memorySize",
        "@maxMemoryUsed",
        "@xrayTraceId",
        "@xraySegmentId",
        "status",
        "errorType",
    ]),
    example: r#"{"time":"2024-05-01T10:00:00.000Z","type":"platform.report","record":{"requestId":"…","metrics":{"durationMs":12.3,…}}}"#,
    sniff: |head| is_json(head) || head.lines().take(8).any(is_platform),
    reader: Reader::Records(open),
};

const DIALECT: Dialect = Dialect::timed("lambda", &["timestamp", "time"]);

fn is_json(head: &Head<'_>) -> bool {
    head.records(|r| {
        let platform = r.get("type").is_some_and(|t| t.starts_with(b"\"platform.")) && r.has_all(&["time", "record"]);
        platform || r.has_all(&["timestamp", "level", "requestId"]) && r.has("message")
    })
}

fn open<'a>(pass: &Pass<'a>, head: &Head<'_>) -> Box<dyn Records + 'a> {
    if head.json().is_some() {
        return json::records(pass, head, &DIALECT);
    }
    let any = Variant { fits: |_| true, ..LINE };
    text::records(pass, Layout::new(&[any]), None, text::First::default())
}

/// True for the lines the platform writes.
fn is_platform(line: &[u8]) -> bool {
    let kinds: [&[u8]; 4] =
        [b"START RequestId: ", b"END RequestId: ", b"REPORT RequestId: ", b"INIT_START Runtime Version: "];
    kinds.iter().any(|kind| line.starts_with(kind))
}

/// A line of the platform or of a runtime's logger.
pub(crate) const LINE: Variant = Variant {
    fits: |line| is_platform(line) || columns(line).is_some(),
    divide: Divide::Nothing,
    tokens: Names::Fixed(&[]),
    parts: &[
        of_line("@type|type", |line| {
            let end = memchr::memchr(b' ', line)?;
            is_platform(line).then(|| &line[..end])
        }),
        of_line("@requestId|requestId", |line| {
            behind(line, b"RequestId: ", b" \t").or_else(|| Some(columns(line)?.id))
        }),
        of_line("@duration", |line| behind(line, b"\tDuration: ", b" \t")),
        of_line("@billedDuration", |line| behind(line, b"\tBilled Duration: ", b" \t")),
        of_line("@initDuration", |line| behind(line, b"\tInit Duration: ", b" \t")),
        Part {
            name: "@memorySize",
            of: None,
            find: Find::Made(|line| bytes(behind(line, b"\tMemory Size: ", b" \t")?)),
        },
        Part {
            name: "@maxMemoryUsed",
            of: None,
            find: Find::Made(|line| bytes(behind(line, b"\tMax Memory Used: ", b" \t")?)),
        },
        of_line("@xrayTraceId", |line| behind(line, b"XRAY TraceId: ", b" \t")),
        of_line("@xraySegmentId", |line| behind(line, b"SegmentId: ", b" \t")),
        of_line("status", |line| behind(line, b"\tStatus: ", b"\t")),
        of_line("errorType", |line| behind(line, b"\tError Type: ", b"\t")),
        of_line("version", |line| behind(line, b" Version: ", b" \t")),
        of_line("level", |line| Some(columns(line)?.level)),
    ],
    least: 0,
    time: Time::Line(|line| Some(columns(line)?.time)),
};

/// What stands behind a mark, up to one of some bytes.
fn behind<'l>(line: &'l [u8], mark: &[u8], until: &[u8]) -> Option<&'l [u8]> {
    let rest = &line[memchr::memmem::find(line, mark)? + mark.len()..];
    let end = rest.iter().position(|b| until.contains(b)).unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

/// Megabytes as bytes, as CloudWatch Logs has them.
fn bytes(megabytes: &[u8]) -> Option<String> {
    let n: u64 = std::str::from_utf8(megabytes).ok()?.parse().ok()?;
    Some(n.checked_mul(1_000_000)?.to_string())
}

/// What the loggers of the runtimes put before a message.
struct Columns<'l> {
    time: &'l [u8],
    id: &'l [u8],
    level: &'l [u8],
}

/// `TIME\tREQUEST\tLEVEL\tmessage` of Node.js, `[LEVEL]\tTIME\tREQUEST\tmessage` of Python.
fn columns(line: &[u8]) -> Option<Columns<'_>> {
    let mut columns = line.splitn(4, |b| *b == b'\t');
    let (first, second, third) = (columns.next()?, columns.next()?, columns.next()?);
    let (time, id, level) = match first.strip_prefix(b"[").and_then(|f| f.strip_suffix(b"]")) {
        Some(level) => (second, third, level),
        None => (first, second, third),
    };
    let is_id = id.len() == 36 && id[8] == b'-' || id == b"undefined" || id.is_empty();
    (starts_with_date(time) && is_id).then_some(Columns { time, id, level })
}
