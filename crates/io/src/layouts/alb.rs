//! Application Load Balancer: access logs and connection logs. Fields are called as AWS calls them; a file may hold lines of
//! any load balancer, so every line is looked at on its own.

use crate::formats::{Fields, Format, Reader};
use crate::head::Head;
use crate::layouts::{clb, clf, nlb};
use crate::text::find::{host, method, part, path, port, protocol, query, starts_with_date, url, word};
use crate::text::{self, Divide, Layout, Names, Time, Variant};

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "alb",
    about: "Application Load Balancer access and connection logs",
    extensions: &["log"],
    sources: &["amazon_elb.alb_access", "amazon_elb.alb_connection"],
    time: "time, in connection logs timestamp",
    times: &[],
    fields: Fields::of(&[ACCESS, CONNECTION]),
    example: r#"https 2024-05-01T10:00:00.186641Z app/my-lb/50dc6c495c0c9188 203.0.113.9:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET https://example.com:443/ HTTP/1.1" "curl/8.0" …"#,
    sniff: |head| starts(head, &[ACCESS, CONNECTION]),
    reader: Reader::Records(|pass, _| text::records(pass, layout(), None, text::First::default())),
};

/// All that load balancers write.
pub(crate) fn layout() -> Layout {
    Layout::new(&[ACCESS, nlb::ACCESS, CONNECTION, clb::ACCESS])
}

/// True if most lines at the start look like one of the variants and divide as they must.
pub(crate) fn starts(head: &Head<'_>, variants: &[Variant]) -> bool {
    clf::is_log(head, |line| {
        let mut spans = Vec::new();
        variants.iter().any(|v| {
            v.divide.tokens(line, v.least, &mut spans);
            (v.fits)(line) && spans.len() >= v.least
        })
    })
}

pub(crate) const ACCESS: Variant = Variant {
    fits: |line| {
        let kinds: [&[u8]; 6] = [b"http ", b"https ", b"h2 ", b"grpcs ", b"ws ", b"wss "];
        kinds.iter().any(|kind| line.strip_prefix(*kind).is_some_and(starts_with_date))
    },
    divide: Divide::Spaces { brackets: false },
    tokens: Names::Fixed(&[
        "type",
        "time|timestamp",
        "elb",
        "client:port",
        "target:port",
        "request_processing_time",
        "target_processing_time",
        "response_processing_time",
        "elb_status_code",
        "target_status_code",
        "received_bytes",
        "sent_bytes",
        "request",
        "user_agent",
        "ssl_cipher",
        "ssl_protocol",
        "target_group_arn",
        "trace_id",
        "domain_name",
        "chosen_cert_arn",
        "matched_rule_priority",
        "request_creation_time",
        "actions_executed",
        "redirect_url",
        "error_reason",
        "target:port_list",
        "target_status_code_list",
        "classification",
        "classification_reason",
        "conn_trace_id|traceability_id",
        "transformed_host",
        "transformed_uri",
        "request_transform_status",
    ]),
    parts: &[
        part("client_ip", 3, host),
        part("client_port", 3, port),
        part("target_ip", 4, host),
        part("target_port", 4, port),
        part("request_verb|request_method|method|http_method", 12, method),
        part("request_url|url", 12, url),
        part("request_path|path", 12, path),
        part("request_query|query", 12, query),
        part("request_proto|protocol|http_version", 12, protocol),
    ],
    least: 13,
    time: Time::Token(1),
};

const CONNECTION: Variant = Variant {
    fits: |line| starts_with_date(line) && word(line, 2).is_some_and(|port| port.iter().all(u8::is_ascii_digit)),
    divide: Divide::Spaces { brackets: false },
    tokens: Names::Fixed(&[
        "timestamp|time",
        "client_ip",
        "client_port",
        "listener_port",
        "tls_protocol",
        "tls_cipher",
        "tls_handshake_latency",
        "leaf_client_cert_subject",
        "leaf_client_cert_validity",
        "leaf_client_cert_serial_number",
        "tls_verify_status",
        "conn_trace_id|traceability_id",
        "tls_keyexchange",
    ]),
    parts: &[],
    least: 8,
    time: Time::Token(0),
};
