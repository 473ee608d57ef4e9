//! Route 53 Resolver query logs.

use crate::formats::{Fields, Format, Reader};
use crate::json;

const DIALECT: json::Dialect = json::Dialect::timed("resolver", &["query_timestamp"]);

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "resolver",
    about: "Amazon Route 53 Resolver query logs in JSON",
    extensions: &["json", "jsonl"],
    sources: &["amazon_route53.resolver_query"],
    time: "query_timestamp",
    times: DIALECT.times,
    fields: Fields::listed(&[
        "query_timestamp",
        "query_name",
        "query_type",
        "query_class",
        "rcode",
        "answers",
        "srcaddr",
        "srcport",
        "transport",
        "srcids.instance",
        "srcids.resolver_endpoint",
        "vpc_id",
        "region",
        "account_id",
        "firewall_rule_action",
        "firewall_rule_group_id",
        "firewall_domain_list_id",
    ]),
    example: r#"{"version":"1.100000","query_timestamp":"2024-05-01T10:00:00Z","query_name":"example.com.","query_type":"A","rcode":"NOERROR","srcaddr":"10.0.0.5",…}"#,
    sniff: |head| {
        head.records(|r| {
            r.has("query_name") && r.count(&["query_type", "query_timestamp", "rcode", "srcids", "query_class"]) >= 2
        })
    },
    reader: Reader::Records(|pass, head| json::records(pass, head, &DIALECT)),
};
