//! The places that canonical fields are found in, and how records of the same source look in tables.
//!
//! Who keeps logs in tables (Amazon Athena, AWS Glue, Security Lake) has them with names in lower case or in the schema of
//! OCSF, and maps whose keys differ from record to record as JSON text ("Querying AWS CloudTrail logs", Amazon Athena User
//! Guide; "API Activity [6003]", Open Cybersecurity Schema Framework).

use backsight_engine::source::Field;
use backsight_lang::ast::Segment;
use std::collections::BTreeMap;

/// One place a canonical field may be found in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where in the record.
    pub from: Vec<Spot>,
    /// What is done to them.
    pub take: Take,
}

/// What is done to the fields of a record to get a canonical one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// Nothing: the first field.
    Same,
    /// The method of a request line such as `GET /a?b HTTP/1.1`.
    Method,
    /// The path of a request line or URL.
    Path,
    /// What follows the first `?`.
    Query,
    /// Path and query of a request line or URL.
    Uri,
    /// The host of a URL or of `host:port`.
    Host,
    /// Path and query with a `?` in between, or the path alone.
    Joined,
    /// Seconds, added up, in milliseconds.
    Milliseconds,
    /// The value of the header of that name, in a list of maps of `name` and `value`.
    Header(String),
    /// `attempt` where there is anything.
    Attempt,
    /// `attempt` where a text is `Failure`, else `success`; the last place of an outcome, so `success` if all is null.
    Success,
}

/// A field of a record, or something in the JSON text that the field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The field.
    pub field: Field,
    /// The path in its text, empty for all of it; nothing for the field itself.
    pub inside: Option<Vec<Segment>>,
}

impl Spot {
    /// The field itself.
    pub fn of(field: Field) -> Spot {
        Spot { field, inside: None }
    }
}

impl Take {
    pub(super) fn named(text: &str) -> Option<Take> {
        Some(match text {
            "method" => Take::Method,
            "path" => Take::Path,
            "query" => Take::Query,
            "uri" => Take::Uri,
            "host" => Take::Host,
            "joined" => Take::Joined,
            "milliseconds" => Take::Milliseconds,
            "attempt" => Take::Attempt,
            "success" => Take::Success,
            other => Take::Header(other.strip_prefix("header ")?.trim().to_ascii_lowercase()),
        })
    }
}

/// How records look that went through a table.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Maps that may stand there as JSON text, wherever the record comes from.
    pub texts: Vec<String>,
    /// Records with all fields of one of these come from a table.
    pub signs: Vec<Vec<Field>>,
    /// Other names that fields, and what is in them, may have there. Any name may be in lower case.
    pub names: BTreeMap<String, Vec<Vec<Segment>>>,
}

impl Tables {
    /// Where a field of the data may stand, itself first; beyond that, in a record of a table (`renamed`), under other names.
    pub fn spots(&self, field: &Field, renamed: bool) -> Vec<Spot> {
        let Field::Path(path) = field else { return vec![Spot::of(field.clone())] };
        let mut spots: Vec<Spot> = Vec::new();
        // The longest beginning of the path that is known, or its first name.
        let known = |n: &usize| {
            let name = name(&path[..*n]);
            self.names.contains_key(&name) || self.texts.contains(&name)
        };
        let n = (1..=path.len()).rev().find(known).unwrap_or(1);
        let (base, rest) = path.split_at(n);
        let holds_text = self.texts.contains(&name(base));
        let mut add = |base: Vec<Segment>, rest: &[Segment]| {
            let here = Spot::of(Field::Path([&base, rest].concat()));
            let found = match (holds_text, rest.is_empty()) {
                (false, _) => vec![here],
                // A text is there, too, so what it holds comes first.
                (true, true) => vec![Spot { field: Field::Path(base), inside: Some(Vec::new()) }, here],
                (true, false) => vec![here, Spot { field: Field::Path(base), inside: Some(rest.to_vec()) }],
            };
            found.into_iter().for_each(|spot| {
                if !spots.contains(&spot) {
                    spots.push(spot);
                }
            });
        };
        add(base.to_vec(), rest);
        if renamed {
            add(lower(base), rest);
            add(lower(base), &lower(rest));
            let names = self.names.get(&name(base));
            names.into_iter().flatten().for_each(|other| add(other.clone(), rest));
        }
        spots
    }

    /// The places of a canonical field, each with where its fields may stand.
    pub fn places(&self, places: &[Place], renamed: bool) -> Vec<Place> {
        let mut out = Vec::new();
        for Place { from, take } in places {
            match (from.as_slice(), take) {
                ([spot], Take::Success) => {
                    out.push(Place { from: self.spots(&spot.field, renamed), take: take.clone() })
                }
                ([spot], take) => {
                    let spots = self.spots(&spot.field, renamed).into_iter();
                    out.extend(spots.map(|spot| Place { from: vec![spot], take: take.clone() }));
                }
                _ => out.push(Place { from: from.clone(), take: take.clone() }),
            }
        }
        out
    }
}

/// A path as the names of a profile are written.
fn name(path: &[Segment]) -> String {
    let parts = path.iter().map(|segment| match segment {
        Segment::Name { text, .. } => text.clone(),
        Segment::Index(n) => n.to_string(),
    });
    parts.collect::<Vec<_>>().join(".")
}

fn lower(path: &[Segment]) -> Vec<Segment> {
    let lower = |segment: &Segment| match segment {
        Segment::Name { text, quoted } => Segment::Name { text: text.to_lowercase(), quoted: *quoted },
        index => index.clone(),
    };
    path.iter().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Profiles, field};

    #[test]
    fn where_fields_stand_in_tables() {
        let profiles = Profiles::built_in().expect("readable");
        let trail = profiles.named("cloudtrail").expect("known").clone();
        let shown = |name: &str, in_tables: bool| -> Vec<String> {
            let trail = super::super::Profile { in_tables, ..trail.clone() };
            let places = trail.places(&field(name).expect("a name")).unwrap_or_default();
            let spots = places.iter().flat_map(|place| &place.from);
            spots
                .map(|spot| {
                    [
                        spot.field.name(),
                        spot.inside.as_ref().map_or("".into(), |path| "|".to_owned() + &super::name(path)),
                    ]
                    .concat()
                })
                .collect()
        };
        assert_eq!(
            shown("requestParameters.bucketName", false),
            ["requestParameters.bucketName", "requestParameters|bucketName"]
        );
        assert_eq!(
            shown("requestParameters.bucketName", true),
            [
                "requestParameters.bucketName",
                "requestParameters|bucketName",
                "requestparameters.bucketName",
                "requestparameters|bucketName",
                "requestparameters.bucketname",
                "requestparameters|bucketname",
                "api.request.data.bucketName",
                "api.request.data|bucketName",
            ]
        );
        assert_eq!(shown("requestParameters", false), ["requestParameters|", "requestParameters"]);
        assert!(shown("eventName", false).is_empty());
        assert_eq!(shown("eventName", true), ["eventName", "eventname", "api.operation"]);
        assert_eq!(shown("vpcEndpointId", true), ["vpcEndpointId", "vpcendpointid"]);
        let principal = shown("principal", true);
        assert!(principal.contains(&"useridentity.arn".to_owned()));
        assert!(principal.contains(&"actor.user.uid_alt".to_owned()));
        let dns = super::super::Profile { in_tables: true, ..profiles.named("dns").expect("known").clone() };
        let places = dns.places(&field("ip").expect("a name")).expect("canonical");
        assert_eq!(places.iter().map(|p| p.from[0].field.name()).collect::<Vec<_>>(), ["srcaddr", "src_endpoint.ip"]);
        assert_eq!(shown("outcome", true).last().map(String::as_str), Some("api.response.data|ConsoleLogin"));
    }
}
