//! The built-in rules: sound, green, and with tests that notice when a threshold is turned.

use backsight_engine::Ctl;
use backsight_hunt::check::Checker;
use backsight_hunt::profile::Profiles;
use backsight_hunt::query::Overrides;
use backsight_hunt::rule::{self, Problem, Rule};
use backsight_hunt::{PACK, lint};

fn pack() -> (Vec<Rule>, Profiles, Ctl) {
    let (rules, problems) = rule::read(PACK.iter().copied());
    none(&problems);
    (rules, Profiles::built_in().expect("readable"), Ctl::new(1).expect("a thread"))
}

fn none(problems: &[Problem]) {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn every_rule_is_sound_and_green() {
    let (rules, profiles, ctl) = pack();
    let mut problems = lint::lint(&rules, &profiles);
    let checker = Checker::new(&profiles, &ctl);
    for rule in &rules {
        for test in &rule.tests {
            if let Err(message) = checker.test(rule, test, &Overrides::new()) {
                let message = format!("{}: {message}", test.name);
                problems.push(Problem { file: rule.file.clone(), line: 0, rule: rule.short().into(), message });
            }
        }
    }
    none(&problems);
}

#[test]
fn every_threshold_is_noticed() {
    let (rules, profiles, ctl) = pack();
    none(&lint::mutate(&rules, &profiles, &ctl));
}

/// A firewall's log is looked through for what an access log is: there the requests that were stopped are left out.
#[test]
fn payloads_are_the_same_behind_a_firewall() {
    let (rules, ..) = pack();
    let query = |name: &str| &rules.iter().find(|rule| rule.is_called(name)).expect(name).query;
    let behind = query("WAF-014");
    for name in ["API-011", "API-012", "API-013", "API-014", "API-017", "API-018", "API-080", "API-081"] {
        let pattern =
            query(name).split_once(" like /").and_then(|(_, rest)| rest.split_once("/\n")).expect("a pattern").0;
        assert!(behind.contains(&format!("like /{pattern}/")), "{name}: /{pattern}/ is not in WAF-014");
    }
}
