//! Network Load Balancer: logs of TLS connections.

use crate::formats::{Fields, Format, Reader};
use crate::layouts::alb;
use crate::text::find::{host, part, port};
use crate::text::{self, Divide, Names, Time, Variant};

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "nlb",
    about: "Network Load Balancer access logs",
    extensions: &["log"],
    sources: &["amazon_elb.nlb_access"],
    time: "time",
    times: &[],
    fields: Fields::of(&[ACCESS]),
    example: "tls 2.0 2024-05-01T10:00:00 net/my-nlb/c6e77e28c25b2234 g3d4b5e8bb8464cd 203.0.113.9:51341 10.0.0.1:443 5 2 98 246 - arn:… - ECDHE-RSA-AES128-SHA tlsv12 - example.com …",
    sniff: |head| alb::starts(head, &[ACCESS]),
    reader: Reader::Records(|pass, _| text::records(pass, alb::layout(), None, text::First::default())),
};

pub(crate) const ACCESS: Variant = Variant {
    fits: |line| line.strip_prefix(b"tls ").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit)),
    divide: Divide::Spaces { brackets: false },
    tokens: Names::Fixed(&[
        "type",
        "version",
        "time|timestamp",
        "elb",
        "listener",
        "client:port",
        "destination:port|target:port",
        "connection_time",
        "tls_handshake_time",
        "received_bytes",
        "sent_bytes",
        "incoming_tls_alert",
        "chosen_cert_arn",
        "chosen_cert_serial",
        "tls_cipher",
        "tls_protocol_version",
        "tls_named_group",
        "domain_name",
        "alpn_fe_protocol",
        "alpn_be_protocol",
        "alpn_client_preference_list",
        "tls_connection_creation_time",
    ]),
    parts: &[
        part("client_ip", 5, host),
        part("client_port", 5, port),
        part("destination_ip|target_ip", 6, host),
        part("destination_port|target_port", 6, port),
    ],
    least: 11,
    time: Time::Token(2),
};
