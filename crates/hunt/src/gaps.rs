//! Logging gaps: what could not be found out because the logs do not say it, and what to log instead.

use crate::pass::{Group, Outcome, Place, SECRETS, STEP, State};
use crate::report::instant;
use crate::rule::Rule;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Something the logs do not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// `GAP-001` and on.
    pub id: &'static str,
    /// The log source.
    pub source: String,
    /// What is missing.
    pub message: String,
    /// What to do about it.
    pub advice: String,
    /// Rules that are blind because of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

/// What an API Gateway access log format calls the canonical fields.
const CONTEXT: &[(&str, &str)] = &[
    ("ip", "$context.identity.sourceIp"),
    ("status", "$context.status"),
    ("method", "$context.httpMethod"),
    ("path", "$context.path"),
    ("route", "$context.resourcePath (REST) or $context.routeKey (HTTP)"),
    ("userAgent", "$context.identity.userAgent"),
    ("user", "$context.authorizer.principalId, or $context.authorizer.claims.sub with Cognito"),
    ("userArn", "$context.identity.userArn"),
    ("apiKeyId", "$context.identity.apiKeyId"),
    ("apiId", "$context.apiId"),
    ("stage", "$context.stage"),
    ("domainName", "$context.domainName"),
    ("host", "$context.domainName"),
    ("latencyMs", "$context.responseLatency"),
    ("integrationLatencyMs", "$context.integrationLatency"),
    ("integrationStatus", "$context.integrationStatus"),
    ("responseLength", "$context.responseLength"),
    ("errorType", "$context.error.responseType"),
    ("errorMessage", "$context.error.message"),
    ("authorizerStatus", "$context.authorizer.integrationStatus"),
    ("wafAction", "$context.wafResponseCode"),
    ("certSubject", "$context.identity.clientCert.subjectDN"),
    ("certIssuer", "$context.identity.clientCert.issuerDN"),
    ("certNotAfter", "$context.identity.clientCert.validity.notAfter"),
    ("vpceId", "$context.identity.vpceId"),
    ("vpcId", "$context.identity.vpcId"),
    ("requestId", "$context.requestId"),
];

/// What no API Gateway log format can say, and where it stands instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("tlsVersion", "the TLS version is in ALB and CloudFront logs, not in those of API Gateway"),
    ("origin", "log the Origin header: WAF logs have it, or let an authorizer print it"),
    ("referer", "the Referer header is in ALB, CloudFront and WAF logs"),
    (
        "query",
        "the query string is in ALB, CloudFront and WAF logs; API Gateway logs it only as part of $context.path of some APIs",
    ),
    ("country", "give a table of networks: --lookup geo=FILE"),
    ("asn", "give a table of networks: --lookup asn=FILE"),
];

/// All gaps of a hunt, in the order of their ids.
pub fn gaps(outcome: &Outcome, groups: &[Group], rules: &[Rule]) -> Vec<Gap> {
    let mut out = missing_fields(outcome, rules);
    for (group, survey) in groups.iter().zip(&outcome.surveys) {
        let Some(profile) = &group.profile else { continue };
        let none = |field: &str| survey.present.get(field) == Some(&0);
        if profile.name == "access" && survey.records > 0 && none("user") {
            out.push(Gap {
                id: "GAP-002",
                source: profile.name.clone(),
                message: format!("none of {} records says who the caller was", survey.records),
                advice: "log the identity of the authorizer: $context.authorizer.principalId, or \
                         $context.authorizer.claims.sub with Cognito"
                    .into(),
                rules: Vec::new(),
            });
        }
        if let (ids @ 1.., records) = survey.duplicates {
            out.push(Gap {
                id: "GAP-005",
                source: profile.name.clone(),
                message: format!("{ids} identifiers of events stand in {records} records"),
                advice: "the export holds records twice, or was edited: counts of these logs are too high".into(),
                rules: Vec::new(),
            });
        }
        for name in SECRETS.iter().filter(|name| survey.present.get(**name).is_some_and(|n| *n > 0)) {
            let n = survey.present[*name];
            out.push(Gap {
                id: "GAP-008",
                source: profile.name.clone(),
                message: format!("`{name}` stands in {n} records: keys or tokens are in the log itself"),
                advice: "take the field out of the log format ($context.identity.apiKeyId names a key without \
                         giving it away), and replace the keys"
                    .into(),
                rules: Vec::new(),
            });
        }
        out.extend(silences(&profile.name, &survey.counts));
    }
    out.extend(skews(outcome, groups));
    out.extend(unlogged(outcome, groups));
    out.sort_by(|a, b| (a.id, &a.source, &a.message).cmp(&(b.id, &b.source, &b.message)));
    out.dedup();
    out
}

/// Fields that rules need and no record has.
fn missing_fields(outcome: &Outcome, rules: &[Rule]) -> Vec<Gap> {
    let mut by_field: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for ran in &outcome.ran {
        if let State::NoField(fields) = &ran.state {
            let rule = &rules[ran.rule];
            for field in fields {
                by_field.entry((&rule.logsource.category, field)).or_default().push(rule.short().to_owned());
            }
        }
    }
    let gap = |((source, field), rules): ((&str, &str), Vec<String>)| {
        let find = |table: &[(&str, &str)]| table.iter().find(|(f, _)| *f == field).map(|(_, text)| (*text).to_owned());
        let context =
            if source == "access" { find(CONTEXT).map(|entry| format!("add {entry} to the log format")) } else { None };
        let advice = context.or_else(|| find(ELSEWHERE)).unwrap_or_else(|| "log this field".to_owned());
        let message = format!("no record has `{field}`");
        Gap { id: "GAP-001", source: source.to_owned(), message, advice, rules }
    };
    by_field.into_iter().map(gap).collect()
}

/// Steps with records that a log must have before its silence means something.
const STEADY: usize = 24;
/// Times the usual pause that is a silence,
const UNUSUAL: i64 = 5;
/// but no less than this many steps.
const SHORTEST: i64 = 6;
/// Silences told of each source.
const MOST: usize = 5;

/// Long pauses of a log that is usually busy: logging was turned off, or the log was tampered with.
fn silences(source: &str, counts: &[(i64, u64)]) -> Vec<Gap> {
    if counts.len() < STEADY {
        return Vec::new();
    }
    let mut pauses: Vec<(i64, i64)> = counts.windows(2).map(|w| (w[1].0 - w[0].0, w[0].0)).collect();
    let mut lengths: Vec<i64> = pauses.iter().map(|p| p.0).collect();
    lengths.sort_unstable();
    let usual = lengths[lengths.len() / 2];
    // Only a log that is busy most of the time is expected to go on.
    let busy = counts.len() as i64 * STEP * 2 >= counts[counts.len() - 1].0 - counts[0].0;
    let bound = (usual * UNUSUAL).max(SHORTEST * STEP);
    if !busy {
        return Vec::new();
    }
    pauses.retain(|(length, _)| *length > bound);
    pauses.sort_by_key(|(length, from)| (std::cmp::Reverse(*length), *from));
    let id = if source == "cloudtrail" { "GAP-006" } else { "GAP-003" };
    let gap = |(length, from): (i64, i64)| Gap {
        id,
        source: source.to_owned(),
        message: format!(
            "no records from {} to {}, {} times the usual pause",
            instant(from + STEP),
            instant(from + length),
            length / usual.max(1)
        ),
        advice:
            "look for changes of logging at that time (StopLogging, UpdateStage, DeleteLogGroup), and for files that \
                 were not exported"
                .into(),
        rules: Vec::new(),
    };
    pauses.into_iter().take(MOST).map(gap).collect()
}

/// Half-hours that zones of two logs may lie apart.
const FURTHEST: i64 = 28;
/// The least likeness of two logs moved against each other, and the most as they stand, for the move to mean something.
const ALIKE: f64 = 0.8;
const UNLIKE: f64 = 0.3;

/// Logs of the same traffic whose clocks or zones differ: their ups and downs agree once one is moved by half-hours.
fn skews(outcome: &Outcome, groups: &[Group]) -> Vec<Gap> {
    let named: Vec<(&str, &[(i64, u64)])> = groups
        .iter()
        .zip(&outcome.surveys)
        .filter_map(|(group, survey)| Some((group.profile.as_ref()?.name.as_str(), survey.counts.as_slice())))
        .filter(|(_, counts)| counts.len() >= STEADY)
        .collect();
    let mut out = Vec::new();
    for (i, (one, a)) in named.iter().enumerate() {
        for (other, b) in &named[i + 1..] {
            let Some(minutes) = skew(a, b) else { continue };
            let hours = minutes.unsigned_abs() as f64 / 60.0;
            let side = if minutes > 0 { "ahead of" } else { "behind" };
            out.push(Gap {
                id: "GAP-004",
                source: (*one).to_owned(),
                message: format!("its times seem to be {hours} h {side} those of `{other}`"),
                advice: "compare one request that both logs have; times of one of them may be local, or a clock wrong"
                    .into(),
                rules: Vec::new(),
            });
        }
    }
    out
}

/// Minutes the first log is ahead of the second, if they are alike only so.
fn skew(a: &[(i64, u64)], b: &[(i64, u64)]) -> Option<i64> {
    const HALF_HOUR: i64 = 1_800_000;
    let moved = |k: i64| likeness(a, b, k * HALF_HOUR);
    let (best, most) = (-FURTHEST..=FURTHEST)
        .map(|k| (k, moved(k)))
        .max_by(|x, y| x.1.total_cmp(&y.1).then(y.0.abs().cmp(&x.0.abs())))?;
    (best != 0 && most >= ALIKE && moved(0) <= UNLIKE).then_some(best * 30)
}

/// The correlation of two logs, the first moved back by some milliseconds, over the steps that both cover; 0 where these
/// are too few.
fn likeness(a: &[(i64, u64)], b: &[(i64, u64)], by: i64) -> f64 {
    let (Some(first), Some(last)) = (
        a.first().zip(b.first()).map(|(x, y)| (x.0 - by).max(y.0)),
        a.last().zip(b.last()).map(|(x, y)| (x.0 - by).min(y.0)),
    ) else {
        return 0.0;
    };
    let of =
        |counts: &[(i64, u64)], t: i64| counts.binary_search_by_key(&t, |c| c.0).map_or(0.0, |i| counts[i].1 as f64);
    let steps: Vec<(f64, f64)> = (first..=last).step_by(STEP as usize).map(|t| (of(a, t + by), of(b, t))).collect();
    if steps.len() < STEADY {
        return 0.0;
    }
    let n = steps.len() as f64;
    let (mx, my) = (steps.iter().map(|s| s.0).sum::<f64>() / n, steps.iter().map(|s| s.1).sum::<f64>() / n);
    let sum = |f: &dyn Fn(&(f64, f64)) -> f64| steps.iter().map(f).sum::<f64>();
    let (xy, xx, yy) = (sum(&|s| (s.0 - mx) * (s.1 - my)), sum(&|s| (s.0 - mx).powi(2)), sum(&|s| (s.1 - my).powi(2)));
    if xx == 0.0 || yy == 0.0 { 0.0 } else { xy / (xx * yy).sqrt() }
}

/// Sources that have records of every region in which there is something to record.
const EVERYWHERE: &[&str] = &["vpcflow", "config"];
/// Events of a region in CloudTrail that show that it is used.
const USED: u64 = 100;

/// Logs that only some stages or regions write: those that CloudTrail knows of and that have no records, and those whose
/// records begin late or end early while the others go on.
fn unlogged(outcome: &Outcome, groups: &[Group]) -> Vec<Gap> {
    let of = |name: &'static str| {
        let named = groups.iter().zip(&outcome.surveys);
        named.filter(move |(group, _)| group.profile.as_ref().is_some_and(|p| p.name == name)).map(|(_, survey)| survey)
    };
    let gap = |source: &str, message: String, advice: &str| Gap {
        id: "GAP-007",
        source: source.to_owned(),
        message,
        advice: advice.to_owned(),
        rules: Vec::new(),
    };
    let mut out = Vec::new();
    // Logs that do not say their stage may be of any.
    let logged: BTreeSet<&Place> = of("access")
        .flat_map(|survey| survey.places.keys())
        .filter(|place| place.iter().any(Option::is_some))
        .collect();
    let is_same = |known: &[Option<String>], logged: &Place| {
        known.iter().zip(logged).all(|(a, b)| a.is_none() || b.is_none() || a == b)
    };
    if !logged.is_empty() {
        let stages: BTreeSet<&Place> = of("cloudtrail").flat_map(|survey| &survey.stages).collect();
        for stage in stages.iter().filter(|stage| !logged.iter().any(|place| is_same(stage, place))) {
            let message = format!("CloudTrail names {}, of which there is no record", named(&["API", "stage"], stage));
            out.push(gap("access", message, "turn access logging on for the stage, or export its log group, too"));
        }
    }
    let mut used: BTreeMap<&str, u64> = BTreeMap::new();
    for (place, counts) in of("cloudtrail").flat_map(|survey| &survey.places) {
        if let [Some(region)] = place.as_slice() {
            *used.entry(region).or_default() += counts.iter().map(|c| c.1).sum::<u64>();
        }
    }
    for source in EVERYWHERE {
        let regions: BTreeSet<&str> =
            of(source).flat_map(|s| s.places.keys().flatten().flatten()).map(String::as_str).collect();
        for (region, events) in used.iter().filter(|(region, n)| **n >= USED && !regions.contains(*region)) {
            // A log that does not say its region may be of any.
            if !regions.is_empty() {
                let message = format!("CloudTrail has {events} events of region {region}, of which there is no record");
                out.push(gap(source, message, "turn the log on in that region, or export it, too"));
            }
        }
    }
    for (group, survey) in groups.iter().zip(&outcome.surveys) {
        let Some(profile) = &group.profile else { continue };
        let kinds: &[&str] = if profile.name == "access" { &["API", "stage"] } else { &["region"] };
        for (place, counts) in survey.places.iter().filter(|(place, _)| place.iter().any(Option::is_some)) {
            if let Some((from, to)) = part(counts, &survey.counts) {
                let message = format!(
                    "records of {} are of {} to {} only, while the others go on",
                    named(kinds, place),
                    instant(from),
                    instant(to)
                );
                out.push(gap(
                    &profile.name,
                    message,
                    "look for changes of logging at that time (UpdateStage, StopLogging), and for files that were not \
                     exported",
                ));
            }
        }
    }
    out
}

/// The values that are known, each with what it is.
fn named(kinds: &[&str], place: &Place) -> String {
    let known = kinds.iter().zip(place).filter_map(|(kind, value)| Some(format!("{kind} {}", value.as_ref()?)));
    known.collect::<Vec<_>>().join(", ")
}

/// When the records of a place begin and end, if it was busy throughout and is then silent for a quarter of the time that
/// all records cover.
fn part(counts: &[(i64, u64)], all: &[(i64, u64)]) -> Option<(i64, i64)> {
    let span = |counts: &[(i64, u64)]| Some((counts.first()?.0, counts.last()?.0 + STEP));
    let ((from, to), (first, last)) = (span(counts)?, span(all)?);
    let is_busy = counts.len() >= STEADY && counts.len() as i64 * STEP * 2 >= to - from;
    let silent = (from - first).max(last - to);
    (is_busy && silent >= SHORTEST * STEP && silent * 4 >= last - first).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_falls_silent() {
        let steady = |from: i64, to: i64| (from..to).map(|i| (i * STEP, 3)).collect::<Vec<_>>();
        let all = steady(0, 200);
        assert_eq!(part(&steady(0, 140), &all), Some((0, 140 * STEP)));
        assert_eq!(part(&steady(60, 200), &all), Some((60 * STEP, 200 * STEP)));
        assert_eq!(part(&steady(0, 160), &all), None, "silent for a fifth");
        assert_eq!(part(&steady(0, 20), &all), None, "too little to expect more");
        let rare: Vec<(i64, u64)> = (0..30).map(|i| (i * 4 * STEP, 1)).collect();
        assert_eq!(part(&rare, &all), None, "seldom busy");
    }

    /// Traffic with ups and downs, told by a clock that is some milliseconds ahead.
    fn traffic(ahead: i64, times: u64) -> Vec<(i64, u64)> {
        let level = |i: i64| ((i * i * 31 + i * 7) % 97) as u64 + 1;
        (0..300).map(|i| (i * STEP + ahead, level(i) * times)).collect()
    }

    #[test]
    fn clocks_that_differ() {
        let hour = 3_600_000;
        assert_eq!(skew(&traffic(2 * hour, 3), &traffic(0, 1)), Some(120));
        assert_eq!(skew(&traffic(0, 1), &traffic(5 * hour + hour / 2, 2)), Some(-330));
        assert_eq!(skew(&traffic(0, 1), &traffic(0, 5)), None, "the same clock");
        let steady: Vec<(i64, u64)> = (0..300).map(|i| (i * STEP, 10)).collect();
        assert_eq!(skew(&steady, &traffic(0, 1)), None, "nothing to compare");
    }

    #[test]
    fn a_silence_of_a_busy_log() {
        let steady: Vec<(i64, u64)> = (0..100).map(|i| (i * STEP, 10)).collect();
        assert_eq!(silences("access", &steady), []);
        let quiet: Vec<(i64, u64)> = steady.iter().copied().filter(|(t, _)| !(40..52).contains(&(t / STEP))).collect();
        let found = silences("access", &quiet);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].message,
            "no records from 1970-01-01T03:20:00Z to 1970-01-01T04:20:00Z, 13 times the usual pause"
        );
        let rare: Vec<(i64, u64)> = (0..100).map(|i| (i * 50 * STEP, 1)).collect();
        assert_eq!(silences("access", &rare), []);
    }
}
