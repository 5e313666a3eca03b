//! `jobscope replay`: what it says of a log is what the other configuration decides.

use policy::facts::ProjectPath;
use questions::deciding::Verdict;
use questions::log::replay::{Entries, Lack, Replay};

use super::*;

const PLACES: [(&str, &str); 3] = [
    ("cli/tests/data/strict.json", "cli/tests/data/world.yaml"),
    ("cli/tests/data/observed.json", "cli/tests/data/world.yaml"),
    ("envoy/envoy.yaml", "envoy/demo/world.yaml"),
];

/// Another document of a configuration.
fn changed(setup: &Setup, changes: &[(&str, Value)]) -> Setup {
    let mut document = setup.document.clone();
    let object = document.as_object_mut().unwrap();
    for (key, value) in changes {
        match (object.get_mut(*key).and_then(Value::as_object_mut), value) {
            (Some(known), Value::Object(more)) => known.extend(more.clone()),
            _ => drop(object.insert((*key).to_owned(), value.clone())),
        }
    }
    Setup::of(document).unwrap()
}

fn told(setup: &Setup, world: &World, all: &[(Caller, Request)]) -> Vec<Line> {
    let line = |(at, one)| Line::parse(written(&decided(setup, world, one), at, Detail::Full).as_bytes()).unwrap();
    all.iter().enumerate().map(line).collect()
}

fn replayed<'a>(lines: impl IntoIterator<Item = &'a Line>, new: &Setup, entries: &Entries) -> (usize, usize, u64, u64) {
    let mut replay = Replay::new(&new.config, None, entries);
    lines.into_iter().for_each(|line| replay.note(line));
    let lacking = replay.lacking.values().sum();
    (replay.refused.len(), replay.let_in.len(), replay.replayed(), lacking)
}

#[test]
fn what_it_says_of_each_request_is_what_the_other_configuration_decides() {
    let (mut refused, mut let_in) = (0, 0);
    for (config, world_of) in PLACES {
        let (old, world) = (setup(config), world(world_of));
        // Every fifth: each target, command and origin is among them.
        let all: Vec<_> = all(&old, &world).into_iter().step_by(5).collect();
        let observing = changed(&old, &[("mode", json!("observe"))]);
        let denying = json!({"deny": [{"id": "new-deny", "targets": ["libs/**"], "actions": ["git.read"]}]});
        let news = [
            old.clone(),
            observing.clone(),
            changed(&old, &[("mode", json!("enforce"))]),
            changed(&old, &[("mode", json!("enforce")), ("access", denying)]),
            changed(&old, &[("mode", json!("enforce")), ("rules", json!({"permissions": "strict"}))]),
            changed(&old, &[("mode", json!("enforce")), ("enforce", json!({"targets": ["libs/**", "!libs/tools"]}))]),
            changed(&old, &[("mode", json!("enforce")), ("observe", json!({"rules": ["inbound"]}))]),
        ];
        for from in [&old, &observing] {
            let lines = told(from, &world, &all);
            for new in &news {
                for (line, one) in lines.iter().zip(&all).filter(|(line, _)| line.is_decision()) {
                    let (before, after) = (decided(from, &world, one).verdict(), decided(new, &world, one).verdict());
                    let expected = match (before == Verdict::Deny, after == Verdict::Deny) {
                        (false, true) => (1, 0, 1, 0),
                        (true, false) => (0, 1, 1, 0),
                        _ => (0, 0, 1, 0),
                    };
                    let seen = replayed([line], new, &Entries::default());
                    assert_eq!(seen, expected, "{config}: {} {}", one.1.line(), line.decision());
                    (refused, let_in) = (refused + seen.0, let_in + seen.1);
                }
            }
        }
    }
    assert!(refused > 20 && let_in > 20, "{refused} {let_in}");
}

#[test]
fn what_is_suggested_lets_the_log_pass_and_no_entry_of_it_can_be_left_out() {
    for (config, world_of) in PLACES {
        let (old, world) = (setup(config), world(world_of));
        let observing = changed(&old, &[("mode", json!("observe"))]);
        let asked = all(&observing, &world);
        let lines = told(&observing, &world, &asked);
        for way in [Way::Settings, Way::Rules] {
            // What no entry lifts is refused in any case.
            let lifted = |line: &Line| {
                let mut alone = Suggestions::new(way);
                alone.note(line);
                alone.left.is_empty()
            };
            let lines: Vec<(&Line, &ProjectPath)> = lines
                .iter()
                .zip(&asked)
                .filter(|(line, _)| line.is_decision() && lifted(line))
                .map(|(line, (caller, _))| (line, &caller.job.origin.path))
                .collect();
            let mut suggestions = Suggestions::new(way);
            lines.iter().for_each(|(line, _)| suggestions.note(line));
            let entries: Vec<Entry> = suggestions.entries().into_iter().cloned().collect();
            let refused = |entries: &[&Entry], lines: &[&Line]| {
                let rules = entries.iter().enumerate().map(|(at, one)| one.rule(&format!("seen-{at}")));
                let made = json!({"entries": entries.iter().map(|one| one.json()).collect::<Vec<_>>()});
                let known = old.document.pointer("/access/allow").and_then(Value::as_array).cloned();
                let mut allow = known.unwrap_or_default();
                let made = match way {
                    Way::Settings => Entries::of(&made).unwrap(),
                    Way::Rules => {
                        allow.extend(rules);
                        Entries::default()
                    }
                };
                let all = ("observe", json!({"rules": [], "targets": []}));
                let new = changed(&old, &[("mode", json!("enforce")), all, ("access", json!({"allow": allow}))]);
                let (refused, _, replayed, lacking) = replayed(lines.iter().copied(), &new, &made);
                assert_eq!((usize::try_from(replayed).unwrap(), lacking), (lines.len(), 0), "{config}");
                refused
            };
            let all: Vec<&Line> = lines.iter().map(|(line, _)| *line).collect();
            assert!(entries.len() > 2, "{config} {way:?}");
            assert_eq!(refused(&entries.iter().collect::<Vec<_>>(), &all), 0, "{config} {way:?}");
            for left_out in &entries {
                let rest: Vec<&Entry> = entries.iter().filter(|entry| *entry != left_out).collect();
                let of_origin = lines.iter().filter(|(_, origin)| **origin == left_out.origin).map(|(line, _)| *line);
                assert!(refused(&rest, &of_origin.collect::<Vec<_>>()) > 0, "{config} {way:?}: {left_out:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_decided_on_again_is_counted_and_nothing_is_claimed_of_it() {
    let old = changed(&setup("cli/tests/data/strict.json"), &[("facts", json!({"outbound": "forge"}))]);
    let world = world("cli/tests/data/world.yaml");
    let caller = Caller::of("apps/web as dana", &world).unwrap();
    let request = requests(&old, &caller, "git clone https://forge.example.com/apps/web.git").remove(0);
    let answer = decided(&old, &world, &(caller, request));
    let parsed = |text: &str| Line::parse(text.as_bytes()).unwrap();
    let lacks = |line: &Line, new: &Setup| {
        let entries = Entries::default();
        let mut replay = Replay::new(&new.config, None, &entries);
        replay.note(line);
        assert_eq!(replay.replayed() + replay.lacking.values().sum::<u64>(), 1);
        replay.lacking.into_keys().next()
    };
    let full = written(&answer, 1, Detail::Full);
    assert_eq!(lacks(&parsed(&full), &old), None);
    assert_eq!(lacks(&parsed(&line(&answer, 1)), &old), Some(Lack::Brief));
    assert_eq!(lacks(&parsed(&full.replace("evidence", "other")), &old), Some(Lack::Evidence));
    assert_eq!(lacks(&parsed(&full.replace("git.read", "git.new")), &old), Some(Lack::Evidence));
    let others = json!({"verdict": "observe-deny", "reason": "pull-policy", "action": "job.request"}).to_string();
    assert_eq!(lacks(&parsed(&others), &old), Some(Lack::Other));
    let outbound = changed(&old, &[("facts", json!({"outbound": "lookup"}))]);
    assert_eq!(lacks(&parsed(&full), &outbound), Some(Lack::Fact));
    let protected = json!({"deny": [{"id": "p", "targets": ["apps/**"], "when": {"protected": false}}]});
    assert_eq!(lacks(&parsed(&full), &changed(&old, &[("access", protected.clone())])), None);
    // The world tells it; the filter asks only where a rule looks at it.
    let full = full.replace("protected", "other");
    assert_eq!(lacks(&parsed(&full), &changed(&old, &[("access", protected)])), Some(Lack::Fact));
    // What failed, and what could not be read, needs no facts.
    for (reason, mode, is_refused) in [
        ("path.dot-segment", "enforce", true),
        ("path.dot-segment", "observe", false),
        ("host.busy", "enforce", true),
        ("host.busy", "observe", false),
    ] {
        let line = parsed(&json!({"verdict": "observe-deny", "reason": reason, "why": "{}"}).to_string());
        let new = changed(&old, &[("mode", json!(mode))]);
        assert_eq!(replayed([&line], &new, &Entries::default()), (usize::from(is_refused), 0, 1, 0), "{reason} {mode}");
    }
}

#[test]
fn a_log_of_any_length_is_added_up_in_bounded_memory() {
    let old = setup("cli/tests/data/strict.json");
    let none = Entries::default();
    let enforcing = changed(&old, &[("mode", json!("enforce"))]);
    let mut replay = Replay::new(&enforcing.config, None, &none);
    for at in 0..10_100 {
        let line = json!({"verdict": "observe-deny", "reason": "host.busy", "origin": format!("a/{at}"), "user": format!("u{at}")});
        replay.note(&Line::parse(line.to_string().as_bytes()).unwrap());
    }
    assert_eq!((replay.refused.len(), replay.beyond, replay.replayed()), (10_000, 100, 10_100));
}

#[test]
fn only_what_suggest_prints_is_taken_for_entries() {
    let entry =
        |permissions: Value| json!({"entries": [{"origin": "a/b", "target": "c/d", "permissions": permissions}]});
    assert!(Entries::of(&entry(Value::Null)).is_some() && Entries::of(&entry(json!(["read_jobs"]))).is_some());
    for bad in [json!({}), json!([]), entry(json!("all")), entry(json!(["read_everything"])), json!({"entries": [{}]})]
    {
        assert!(Entries::of(&bad).is_none(), "{bad}");
    }
}
