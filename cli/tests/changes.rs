//! The changes that `jobscope decide` shows turn the decision around, and none of one number can be left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::fs;
use std::path::Path;

use questions::changes::{Change, Situation, flips};
use questions::deciding::answers;
use questions::finding::{documents, only};
use questions::job::Caller;
use questions::lines::{self, Setting};
use questions::reach::{People, people};
use world::World;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

/// A situation after some of a set of changes; `None` where one of them changes nothing by then.
fn after<'a>(situation: &Situation, changes: impl Iterator<Item = &'a Change>) -> Option<Situation> {
    changes.into_iter().try_fold(situation.clone(), |situation, change| situation.after(change))
}

const COMMANDS: [&str; 4] = [
    "git clone https://forge.example.com/PATH.git",
    "git push https://forge.example.com/PATH.git",
    "docker push registry.example.com/PATH/tool:1",
    "curl -H 'JOB-TOKEN: $CI_JOB_TOKEN' $CI_API_V4_URL/projects/ID/packages/generic/a/1/f",
];

#[test]
fn every_set_of_changes_turns_the_decision_around_and_is_least() {
    let (mut sets, mut joint, mut none) = (0, 0, 0);
    for (config, world) in
        [("cli/tests/data/strict.json", "cli/tests/data/world.yaml"), ("envoy/envoy.yaml", "envoy/demo/world.yaml")]
    {
        let documents = documents(&file(config)).unwrap();
        let setup = only(&documents).unwrap().setup().unwrap();
        let situation = Situation { setup, world: World::parse(&file(world)).unwrap() };
        let Situation { setup, world } = &situation;
        for origin in world.projects.iter().filter(|origin| origin.path.starts_with("apps/")) {
            for user in people(world, origin, People::Starters).into_iter().flatten() {
                let caller = Caller::of(&format!("{}@main as {}", origin.path, user.username), world).unwrap();
                for (target, command) in
                    world.projects.iter().flat_map(|target| COMMANDS.map(|command| (target, command)))
                {
                    let line = command.replace("PATH", &target.path).replace("ID", &target.id.to_string());
                    let setting =
                        Setting { config: &setup.config, job: &caller.job, token: &caller.secret, file: &|_| None };
                    let requests = lines::line(&line, &setting).unwrap();
                    let passes =
                        |one: &Situation| answers(&one.setup.config, &one.world, &caller, &requests).verdict().passes();
                    let now = passes(&situation);
                    let found = flips(&situation, &caller, &requests);
                    none += usize::from(found.is_empty());
                    for flip in &found {
                        let then = after(&situation, flip.0.iter()).unwrap();
                        assert!(passes(&then) != now, "{}: {line}: {flip:?}", caller.label());
                        for left_out in 0..flip.0.len() {
                            let rest =
                                flip.0.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, change)| change);
                            let is_enough = after(&situation, rest).is_some_and(|then| passes(&then) != now);
                            assert!(!is_enough, "{}: {line}: {flip:?} without {left_out}", caller.label());
                        }
                        sets += 1;
                        joint += usize::from(flip.0.len() > 1);
                    }
                }
            }
        }
    }
    assert!(
        sets > 100 && joint > 20 && none > 0,
        "{sets} sets, {joint} of several changes, {none} decisions without one"
    );
}
