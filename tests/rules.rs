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
