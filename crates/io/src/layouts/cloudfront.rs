//! CloudFront standard logs, and other logs in the W3C extended form: a line that starts with `#Fields:` names the columns.

use crate::formats::{Fields, Format, Reader};
use crate::text::{self, Divide, Headers, Layout, Names, Time, Variant};

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "cloudfront",
    about: "Amazon CloudFront standard logs, and other logs in the W3C extended form",
    extensions: &["gz", "log"],
    sources: &["amazon_cloudfront.access"],
    time: "date and time",
    times: &[],
    fields: Fields::listed(&[
        "date",
        "time",
        "x_edge_location",
        "sc_bytes",
        "c_ip",
        "cs_method",
        "cs_host",
        "cs_uri_stem",
        "sc_status",
        "cs_referer",
        "cs_user_agent",
        "cs_uri_query",
        "cs_cookie",
        "x_edge_result_type",
        "x_edge_request_id",
        "x_host_header",
        "cs_protocol",
        "cs_bytes",
        "time_taken",
        "x_forwarded_for",
        "ssl_protocol",
        "ssl_cipher",
        "x_edge_response_result_type",
        "cs_protocol_version",
        "fle_status",
        "fle_encrypted_fields",
        "c_port",
        "time_to_first_byte",
        "x_edge_detailed_result_type",
        "sc_content_type",
        "sc_content_len",
        "sc_range_start",
        "sc_range_end",
    ]),
    example: "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status …",
    sniff: |head| head.lines().take_while(|l| l.starts_with(b"#")).any(|l| names(l).is_some()),
    reader: Reader::Records(|pass, head| {
        let header = |line| Some(text::First { names: names(line)?, line });
        let first = head.lines().find_map(header).unwrap_or_default();
        let layout = Layout { variants: vec![TABS, SPACES], skip: |line| line.starts_with(b"#") };
        text::records(pass, layout, Some(Headers { marks: &["#Fields:"], read: names }), first)
    }),
};

/// The names a header line gives.
fn names(line: &[u8]) -> Option<Vec<String>> {
    let names = line.strip_prefix(b"#Fields:")?;
    let names = names.split(u8::is_ascii_whitespace).filter(|n| !n.is_empty());
    let names: Vec<String> = names.map(|n| String::from_utf8_lossy(n).into_owned()).collect();
    (!names.is_empty()).then_some(names)
}

const TABS: Variant = Variant {
    fits: |line| line.contains(&b'\t'),
    divide: Divide::Tabs,
    tokens: Names::Header,
    parts: &[],
    least: 2,
    time: Time::Both("date", "time"),
};

/// As other servers write them.
const SPACES: Variant = Variant { fits: |_| true, divide: Divide::Spaces { brackets: false }, ..TABS };
