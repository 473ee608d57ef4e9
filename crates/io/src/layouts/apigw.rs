//! API Gateway access logs: JSON, whose keys are the choice of whoever set up the stage, and the forms the console offers
//! besides it: the common log format, comma-separated values and XML.

use crate::formats::{Fields, Format, Pass, Reader, Records};
use crate::head::Head;
use crate::json;
use crate::layouts::clf;
use crate::text::find::{method, of_line, part, protocol, url};
use crate::text::{self, Divide, Layout, Names, Time, Variant};

const DIALECT: json::Dialect = json::Dialect::timed("apigw", &["requestTimeEpoch", "requestTime"]);

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "apigw",
    about: "Amazon API Gateway access logs: JSON, CLF, CSV and XML as the console offers them",
    extensions: &["json", "jsonl"],
    sources: &["amazon_api_gateway.access"],
    time: "requestTimeEpoch, else requestTime",
    times: DIALECT.times,
    fields: Fields::listed(&[
        "requestId",
        "extendedRequestId",
        "ip",
        "caller",
        "user",
        "userAgent",
        "requestTime",
        "requestTimeEpoch",
        "httpMethod",
        "resourcePath",
        "routeKey",
        "path",
        "status",
        "protocol",
        "responseLength",
        "responseLatency",
        "integrationLatency",
        "integrationStatus",
        "errorMessage",
        "apiId",
        "stage",
        "domainName",
    ]),
    example: r#"{"requestId":"…","ip":"203.0.113.9","requestTime":"01/May/2024:10:00:00 +0000","httpMethod":"GET","resourcePath":"/v1/orders","status":"200",…}"#,
    sniff,
    reader: Reader::Records(open),
};

/// Names no other log has together.
const OWN: &[&str] = &[
    "resourcePath",
    "routeKey",
    "extendedRequestId",
    "requestTimeEpoch",
    "responseLength",
    "responseLatency",
    "requestTime",
    "integrationLatency",
    "integrationStatus",
    "integrationErrorMessage",
    "integrationRequestId",
    "apiId",
    "connectionId",
    "authorizerError",
    "apiKeyId",
];

/// Names other logs may have too.
const COMMON: &[&str] = &[
    "requestId",
    "ip",
    "sourceIp",
    "caller",
    "user",
    "userArn",
    "userAgent",
    "httpMethod",
    "path",
    "status",
    "protocol",
    "stage",
    "domainName",
    "errorMessage",
    "errorType",
    "accountId",
    "identity",
    "eventType",
    "authorizer",
];

fn sniff(head: &Head<'_>) -> bool {
    clf::is_log(head, |line| VARIANTS.iter().any(|v| (v.fits)(line)))
        || head.records(|r| {
            let own = r.count(OWN);
            own >= 1 && own + r.count(COMMON) >= 4 && r.count(&["requestId", "extendedRequestId"]) >= 1
        })
}

fn open<'a>(pass: &Pass<'a>, head: &Head<'_>) -> Box<dyn Records + 'a> {
    if head.json().is_some() {
        return json::records(pass, head, &DIALECT);
    }
    text::records(pass, Layout::new(VARIANTS), None, text::First::default())
}

/// The forms of text.
pub(crate) const VARIANTS: &[Variant] = &[CLF, COMMAS, XML];

/// As the console writes it, without a space behind the time; and with one, where ids of the request say whose log it is.
const CLF: Variant = Variant {
    fits: |line| {
        let ends_in_id = |rest: &[u8]| rest.rsplit(|b| *b == b' ').take(2).any(|w| is_id(w) || is_short_id(w));
        clf::time(line).is_some_and(|(before, rest)| before == 3 && (rest.starts_with(b"\"") || ends_in_id(rest)))
    },
    divide: Divide::Spaces { brackets: true },
    tokens: Names::Fixed(&[
        "ip|sourceIp|remote_addr",
        "caller",
        "user",
        "requestTime|time|timestamp",
        "request",
        "status",
        "responseLength|bytes",
        "requestId",
        "extendedRequestId",
    ]),
    parts: &[
        part("httpMethod|method", 4, method),
        part("resourcePath|path|url", 4, url),
        part("protocol", 4, protocol),
    ],
    least: 7,
    time: Time::Token(3),
};

const COMMAS: Variant = Variant {
    fits: |line| {
        let cells: Vec<&[u8]> = line.split(|b| *b == b',').collect();
        matches!(cells.len(), 10 | 11) && is_id(cells[9]) && cells[3].len() == 26 && cells[3][2] == b'/'
    },
    divide: Divide::Commas,
    tokens: Names::Fixed(&[
        "ip|sourceIp|remote_addr",
        "caller",
        "user",
        "requestTime|time|timestamp",
        "httpMethod|method",
        "resourcePath|path|url",
        "protocol",
        "status",
        "responseLength|bytes",
        "requestId",
        "extendedRequestId",
    ]),
    parts: &[],
    least: 10,
    time: Time::Token(3),
};

const XML: Variant = Variant {
    fits: |line| line.starts_with(b"<request id=\"") && line.ends_with(b"</request>"),
    divide: Divide::Nothing,
    tokens: Names::Fixed(&[]),
    parts: &[
        of_line("requestId", |line| between(line, b"<request id=\"", b"\"")),
        of_line("ip|sourceIp", |line| between(line, b"<ip>", b"</ip>")),
        of_line("caller", |line| between(line, b"<caller>", b"</caller>")),
        of_line("user", |line| between(line, b"<user>", b"</user>")),
        of_line("requestTime|time|timestamp", |line| between(line, b"<requestTime>", b"</requestTime>")),
        of_line("httpMethod|method", |line| between(line, b"<httpMethod>", b"</httpMethod>")),
        of_line("resourcePath|path", |line| between(line, b"<resourcePath>", b"</resourcePath>")),
        of_line("status", |line| between(line, b"<status>", b"</status>")),
        of_line("protocol", |line| between(line, b"<protocol>", b"</protocol>")),
        of_line("responseLength|bytes", |line| between(line, b"<responseLength>", b"</responseLength>")),
        of_line("extendedRequestId", |line| between(line, b"<extendedRequestId>", b"</extendedRequestId>")),
    ],
    least: 0,
    time: Time::Line(|line| between(line, b"<requestTime>", b"</requestTime>")),
};

fn between<'l>(line: &'l [u8], open: &[u8], close: &[u8]) -> Option<&'l [u8]> {
    let rest = &line[memchr::memmem::find(line, open)? + open.len()..];
    Some(&rest[..memchr::memmem::find(rest, close)?])
}

/// True for an id such as `c6af9ac6-7b61-11e6-9a41-93e8deadbeef`.
fn is_id(word: &[u8]) -> bool {
    word.len() == 36
        && word
            .iter()
            .enumerate()
            .all(|(at, b)| if matches!(at, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

/// True for an id of an HTTP or WebSocket API, such as `JKJaXmPLvHcESHA=`.
fn is_short_id(word: &[u8]) -> bool {
    let digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    word.len() == 16 && word.strip_suffix(b"=").is_some_and(|id| id.iter().all(digit))
}
