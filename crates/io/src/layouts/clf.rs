//! Access logs of nginx, Apache and many others: the common and the combined log format.

use crate::formats::{Fields, Format, Reader};
use crate::head::Head;
use crate::text::find::{method, part, path, protocol, query, url};
use crate::text::{self, Divide, Layout, Names, Part, Time, Variant};

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "clf",
    about: "access logs in the common or combined log format (nginx, Apache)",
    extensions: &["log"],
    sources: &[],
    time: "time_local",
    times: &[],
    fields: Fields::of(&[COMBINED, WITH_HOST]),
    example: r#"203.0.113.9 - alice [01/May/2024:10:00:00 +0000] "GET /index.html HTTP/1.1" 200 2326 "https://example.com/" "Mozilla/5.0""#,
    sniff: |head| is_log(head, |line| (COMBINED.fits)(line) || (WITH_HOST.fits)(line)),
    reader: Reader::Records(|pass, _| {
        text::records(pass, Layout::new(&[COMBINED, WITH_HOST]), None, text::First::default())
    }),
};

/// True if most lines at the start are such, the first among them or not: logs start anywhere.
pub(crate) fn is_log(head: &Head<'_>, is: impl Fn(&[u8]) -> bool) -> bool {
    let lines: Vec<&[u8]> = head.lines().take(8).collect();
    let those = lines.iter().filter(|line| is(line)).count();
    those > 0 && those * 2 >= lines.len()
}

/// Words before the time in brackets, and what follows it; `None` if there is no such time.
pub(crate) fn time(line: &[u8]) -> Option<(usize, &[u8])> {
    let open = memchr::memmem::find(line, b" [")?;
    let rest = &line[open + 2..];
    let close = memchr::memchr(b']', rest)?;
    let is_time = rest.get(2) == Some(&b'/') && rest.get(6) == Some(&b'/') && (20..=30).contains(&close);
    is_time.then(|| (line[..open].split(|b| *b == b' ').filter(|w| !w.is_empty()).count(), &rest[close + 1..]))
}

pub(crate) const COMBINED: Variant = Variant {
    fits: |line| time(line).is_some_and(|(before, rest)| before == 3 && rest.starts_with(b" \"")),
    divide: Divide::Spaces { brackets: true },
    tokens: Names::Fixed(&[
        "remote_addr|remote_host|client_ip|clientip|ip|source_ip",
        "ident|logname",
        "remote_user|user|auth",
        "time_local|time|timestamp|request_time",
        "request",
        "status|status_code",
        "body_bytes_sent|bytes|bytes_sent|response_length",
        "http_referer|referer|referrer",
        "http_user_agent|user_agent|agent",
        "http_x_forwarded_for|x_forwarded_for",
    ]),
    parts: PARTS,
    least: 7,
    time: Time::Token(3),
};

/// What a request is made of.
const PARTS: &[Part] = &[
    part("method|request_method|http_method|verb", 4, method),
    part("url|request_uri|request_url", 4, url),
    part("path|uri|uri_path|resource_path", 4, path),
    part("query|query_string|args", 4, query),
    part("protocol|server_protocol|http_version", 4, protocol),
];

/// With the name of the server before all else, as Apache's `vhost_combined`.
const WITH_HOST: Variant = Variant {
    fits: |line| time(line).is_some_and(|(before, rest)| before == 4 && rest.starts_with(b" \"")),
    tokens: Names::Fixed(&[
        "server_name|vhost",
        "remote_addr|remote_host|client_ip|clientip|ip|source_ip",
        "ident|logname",
        "remote_user|user|auth",
        "time_local|time|timestamp|request_time",
        "request",
        "status|status_code",
        "body_bytes_sent|bytes|bytes_sent|response_length",
        "http_referer|referer|referrer",
        "http_user_agent|user_agent|agent",
    ]),
    parts: &[
        part("method|request_method|http_method|verb", 5, method),
        part("url|request_uri|request_url", 5, url),
        part("path|uri|uri_path|resource_path", 5, path),
        part("query|query_string|args", 5, query),
        part("protocol|server_protocol|http_version", 5, protocol),
    ],
    least: 8,
    time: Time::Token(4),
    ..COMBINED
};
