//! Classic Load Balancer: access logs.

use crate::formats::{Fields, Format, Reader};
use crate::layouts::alb;
use crate::text::find::{host, method, part, path, port, protocol, query, starts_with_date, url, word};
use crate::text::{self, Divide, Names, Time, Variant};

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "clb",
    about: "Classic Load Balancer access logs",
    extensions: &["log"],
    sources: &["amazon_elb.clb_access"],
    time: "time",
    times: &[],
    fields: Fields::of(&[ACCESS]),
    example: r#"2024-05-01T10:00:00.943945Z my-lb 203.0.113.9:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://example.com:80/ HTTP/1.1" "curl/8.0" - -"#,
    sniff: |head| alb::starts(head, &[ACCESS]),
    reader: Reader::Records(|pass, _| text::records(pass, alb::layout(), None, text::First::default())),
};

pub(crate) const ACCESS: Variant = Variant {
    fits: |line| starts_with_date(line) && word(line, 2).is_some_and(|client| port(client).is_some()),
    divide: Divide::Spaces { brackets: false },
    tokens: Names::Fixed(&[
        "time|timestamp",
        "elb",
        "client:port",
        "backend:port|target:port",
        "request_processing_time",
        "backend_processing_time",
        "response_processing_time",
        "elb_status_code",
        "backend_status_code|target_status_code",
        "received_bytes",
        "sent_bytes",
        "request",
        "user_agent",
        "ssl_cipher",
        "ssl_protocol",
    ]),
    parts: &[
        part("client_ip", 2, host),
        part("client_port", 2, port),
        part("backend_ip|target_ip", 3, host),
        part("backend_port|target_port", 3, port),
        part("request_verb|request_method|method|http_method", 11, method),
        part("request_url|url", 11, url),
        part("request_path|path", 11, path),
        part("request_query|query", 11, query),
        part("request_proto|protocol|http_version", 11, protocol),
    ],
    least: 12,
    time: Time::Token(0),
};
