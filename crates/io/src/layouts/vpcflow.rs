//! VPC flow logs, with a header or in the order of the documentation, versions 2 to 10, those of transit gateways (6) included. Fields are called as CloudWatch Logs
//! calls them (`srcAddr`), the header's names (`srcaddr`, `account-id`) and those with underscores work too. Fields nobody
//! has heard of yet are called as the header calls them.

use crate::formats::{Fields, Format, Pass, Reader, Records};
use crate::head::{Head, Sample};
use crate::json::{self, Dialect};
use crate::layouts::clf;
use crate::text::find::word;
use crate::text::{self, Divide, Headers, Layout, Names, Time, Variant};

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "vpcflow",
    about: "Amazon VPC flow logs: text with or without a header, or JSON",
    extensions: &["log", "parquet"],
    sources: &["amazon_vpc.flow"],
    time: "start, else end",
    times: DIALECT.times,
    fields: Fields::listed(&[
        "version",
        "accountId",
        "interfaceId",
        "srcAddr",
        "dstAddr",
        "srcPort",
        "dstPort",
        "protocol",
        "packets",
        "bytes",
        "startTime",
        "endTime",
        "action",
        "logStatus",
        "vpcId",
        "subnetId",
        "instanceId",
        "tcpFlags",
        "type",
        "pktSrcAddr",
        "pktDstAddr",
        "region",
        "azId",
        "sublocationType",
        "sublocationId",
        "pktSrcAwsService",
        "pktDstAwsService",
        "flowDirection",
        "trafficPath",
        "ecsClusterArn",
        "ecsClusterName",
        "ecsContainerInstanceArn",
        "ecsContainerInstanceId",
        "ecsContainerId",
        "ecsSecondContainerId",
        "ecsServiceName",
        "ecsTaskDefinitionArn",
        "ecsTaskArn",
        "ecsTaskId",
        "rejectReason",
        "resourceId",
        "encryptionStatus",
        "resourceType",
        "tgwId",
        "tgwAttachmentId",
        "tgwSrcVpcAccountId",
        "tgwDstVpcAccountId",
        "tgwSrcVpcId",
        "tgwDstVpcId",
        "tgwSrcSubnetId",
        "tgwDstSubnetId",
        "tgwSrcEni",
        "tgwDstEni",
        "tgwSrcAzId",
        "tgwDstAzId",
        "tgwPairAttachmentId",
        "packetsLostNoRoute",
        "packetsLostBlackhole",
        "packetsLostMtuExceeded",
        "packetsLostTtlExpired",
    ]),
    example: "2 123456789012 eni-0a1b2c3d 203.0.113.9 10.0.0.5 49761 3389 6 20 4249 1714557600 1714557660 REJECT OK",
    sniff: |head| {
        head.lines().next().is_some_and(|line| names(line).is_some())
            || clf::is_log(head, |line| is_flow(line) || is_transit(line))
            || head.records(is_json)
    },
    reader: Reader::Records(open),
};

/// The fields in the order in which the documentation lists them: that of logs without a header.
const FIELDS: &[&str] = &[
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
    "vpc-id",
    "subnet-id",
    "instance-id",
    "tcp-flags",
    "type",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "region",
    "az-id",
    "sublocation-type",
    "sublocation-id",
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
    "flow-direction",
    "traffic-path",
    "ecs-cluster-arn",
    "ecs-cluster-name",
    "ecs-container-instance-arn",
    "ecs-container-instance-id",
    "ecs-container-id",
    "ecs-second-container-id",
    "ecs-service-name",
    "ecs-task-definition-arn",
    "ecs-task-arn",
    "ecs-task-id",
    "reject-reason",
    "resource-id",
    "encryption-status",
];

/// Those of transit gateways, in the order of theirs.
const TRANSIT: &[&str] = &[
    "version",
    "resource-type",
    "account-id",
    "tgw-id",
    "tgw-attachment-id",
    "tgw-src-vpc-account-id",
    "tgw-dst-vpc-account-id",
    "tgw-src-vpc-id",
    "tgw-dst-vpc-id",
    "tgw-src-subnet-id",
    "tgw-dst-subnet-id",
    "tgw-src-eni",
    "tgw-dst-eni",
    "tgw-src-az-id",
    "tgw-dst-az-id",
    "tgw-pair-attachment-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start|startTime",
    "end|endTime",
    "log-status",
    "type",
    "packets-lost-no-route",
    "packets-lost-blackhole",
    "packets-lost-mtu-exceeded",
    "packets-lost-ttl-expired",
    "tcp-flags",
    "region",
    "flow-direction",
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
];

/// The names of lines without a header.
pub(crate) fn usual() -> Vec<String> {
    FIELDS.iter().map(|name| both(name)).collect()
}

/// A name, and the one CloudWatch Logs has for it if it differs in more than spelling.
fn both(name: &str) -> String {
    match name {
        "start" => "start|startTime".into(),
        "end" => "end|endTime".into(),
        other => other.into(),
    }
}

/// The names a header gives: words of which at least three, and most, are names of fields; or two, if one is an address.
fn names(line: &[u8]) -> Option<Vec<String>> {
    if !line.first().is_some_and(u8::is_ascii_lowercase) {
        return None;
    }
    let words: Vec<&str> = std::str::from_utf8(line).ok()?.split_ascii_whitespace().collect();
    let is_known = |word: &&&str| {
        let word = word.replace('_', "-");
        FIELDS.contains(&word.as_str()) || TRANSIT.contains(&word.as_str())
    };
    let known = words.iter().filter(is_known).count();
    let is_short = known == 2 && words.iter().any(|word| word.ends_with("addr"));
    ((known >= 3 || is_short) && known * 2 > words.len()).then(|| words.iter().map(|w| both(w)).collect())
}

/// True for a line in the usual order: a version, an account, an interface.
fn is_flow(line: &[u8]) -> bool {
    let is_number = |w: &[u8]| w.len() <= 12 && w.iter().all(u8::is_ascii_digit);
    word(line, 0).is_some_and(|w| w.len() <= 2 && is_number(w))
        && word(line, 1).is_some_and(|w| is_number(w) || w == b"unknown" || w == b"-")
        && word(line, 2).is_some_and(|w| w.starts_with(b"eni-") || w == b"-")
        && word(line, 13).is_some_and(|w| matches!(w, b"OK" | b"NODATA" | b"SKIPDATA"))
}

/// True for a line of a transit gateway in the usual order.
fn is_transit(line: &[u8]) -> bool {
    word(line, 1) == Some(b"TransitGateway") && word(line, 3).is_some_and(|w| w.starts_with(b"tgw-"))
}

fn is_json(record: &Sample<'_>) -> bool {
    record.count(&["srcAddr", "srcaddr"]) >= 1 && record.count(&["dstAddr", "dstaddr"]) >= 1
}

/// A line of a file that has a header, or is known to be of flows.
const FLOW: Variant = Variant {
    fits: |_| true,
    divide: Divide::Spaces { brackets: false },
    tokens: Names::Header,
    parts: &[],
    least: 3,
    time: Time::Named(&["start", "end"]),
};

/// A line among others, in the usual order.
pub(crate) const AMONG_OTHERS: Variant = Variant { fits: is_flow, ..FLOW };

/// A line of a transit gateway, in the usual order.
pub(crate) const OF_TRANSIT: Variant = Variant { fits: is_transit, tokens: Names::Fixed(TRANSIT), ..FLOW };

const DIALECT: Dialect = Dialect::timed("vpcflow", &["start", "startTime", "end", "endTime"]);

fn open<'a>(pass: &Pass<'a>, head: &Head<'_>) -> Box<dyn Records + 'a> {
    if head.json().is_some() {
        return json::records(pass, head, &DIALECT);
    }
    let header = head.lines().next().and_then(|line| Some(text::First { names: names(line)?, line }));
    let (first, others) = match header {
        Some(first) => (first, None),
        None => (text::First { names: usual(), line: b"" }, Some(OF_TRANSIT)),
    };
    let flow = Variant { least: FLOW.least.min(first.names.len()), ..FLOW };
    let lines: Vec<Variant> = others.into_iter().chain([flow]).collect();
    // Where files were joined, there are headers in the middle.
    let headers = Headers { marks: &["addr", "account", "log-status", "log_status", "interface"], read: names };
    text::records(pass, Layout::new(&lines), Some(headers), first)
}
