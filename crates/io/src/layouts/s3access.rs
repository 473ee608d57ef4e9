//! S3 server access logs. Fields are called as in AWS's table for Athena; other spellings of the documentation work too.

use crate::formats::{Fields, Format, Reader};
use crate::layouts::alb;
use crate::text::find::{method, part, path, protocol, query, url};
use crate::text::{self, Divide, Layout, Names, Time, Variant};

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "s3access",
    about: "Amazon S3 server access logs",
    extensions: &[],
    sources: &["amazon_s3.access"],
    time: "requestdatetime",
    times: &[],
    fields: Fields::of(&[ACCESS]),
    example: r#"79a59df900b949e5… my-bucket [06/Feb/2024:00:00:38 +0000] 203.0.113.9 arn:aws:iam::123456789012:user/alice 3E57427F3EXAMPLE REST.GET.OBJECT photos/1.jpg "GET /photos/1.jpg HTTP/1.1" 200 - 113 - 7 - "-" "aws-cli/2" - …"#,
    sniff: |head| alb::starts(head, &[ACCESS]),
    reader: Reader::Records(|pass, _| text::records(pass, Layout::new(&[ACCESS]), None, text::First::default())),
};

const ACCESS: Variant = Variant {
    // Owner and bucket, the time, and an operation such as REST.GET.OBJECT three words behind it.
    fits: |line| {
        let Some(open) = memchr::memmem::find(line, b" [") else { return false };
        let before = line[..open].split(|b| *b == b' ').count();
        let behind = line[open..].split(|b| *b == b' ').filter(|w| !w.is_empty()).nth(5);
        before == 2
            && behind.is_some_and(|operation| {
                operation.contains(&b'.') && operation.iter().all(|b| b.is_ascii_uppercase() || b".-_3".contains(b))
            })
    },
    divide: Divide::Spaces { brackets: true },
    tokens: Names::Fixed(&[
        "bucketowner",
        "bucket_name|bucket",
        "requestdatetime|time|timestamp",
        "remoteip",
        "requester",
        "requestid",
        "operation",
        "key",
        "request_uri|request",
        "httpstatus|status",
        "errorcode",
        "bytessent",
        "objectsize",
        "totaltime",
        "turnaroundtime",
        "referrer|referer",
        "useragent",
        "versionid",
        "hostid",
        "sigv|signatureversion",
        "ciphersuite",
        "authtype|authenticationtype",
        "endpoint|hostheader",
        "tlsversion",
        "accesspointarn",
        "aclrequired",
        "sourceregion",
    ]),
    parts: &[
        part("request_method|method", 8, method),
        part("request_url|url", 8, url),
        part("request_path|path", 8, path),
        part("request_query|query", 8, query),
        part("request_proto|protocol", 8, protocol),
    ],
    least: 10,
    time: Time::Token(2),
};
