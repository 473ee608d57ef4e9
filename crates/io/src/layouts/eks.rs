//! EKS control plane: audit events of the Kubernetes API server.

use crate::formats::{Fields, Format, Reader};
use crate::json;

const DIALECT: json::Dialect = json::Dialect::timed("eks", &["requestReceivedTimestamp", "stageTimestamp"]);

/// The row of the table.
pub const FORMAT: Format = Format {
    name: "eks",
    about: "Kubernetes audit events, as Amazon EKS logs them",
    extensions: &["json", "jsonl"],
    sources: &["amazon_eks.audit"],
    time: "requestReceivedTimestamp, else stageTimestamp",
    times: DIALECT.times,
    fields: Fields::listed(&[
        "auditID",
        "stage",
        "verb",
        "requestURI",
        "user.username",
        "user.groups",
        "sourceIPs",
        "userAgent",
        "objectRef.resource",
        "objectRef.namespace",
        "objectRef.name",
        "responseStatus.code",
        "requestReceivedTimestamp",
        "stageTimestamp",
        "annotations",
    ]),
    example: r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","stage":"ResponseComplete","verb":"get","user":{"username":"system:anonymous"},…}"#,
    sniff: |head| {
        head.records(|r| {
            r.get("apiVersion").is_some_and(|v| v.starts_with(b"\"audit.k8s.io/"))
                || r.has_all(&["auditID", "verb", "requestURI"])
        })
    },
    reader: Reader::Records(|pass, head| json::records(pass, head, &DIALECT)),
};
