//! What `jobscope who-can` and `jobscope can` tell of a world is what `jobscope decide` says of each client's command in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use questions::deciding::{self, Verdict};
use questions::finding::{documents, only};
use questions::job::Caller;
use questions::reach::{Asks, People, Way, can, people, who_can};
use questions::setup::Setup;
use world::{Project, World};

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

fn setup(name: &str) -> Setup {
    let documents = documents(&file(name)).unwrap();
    only(&documents).unwrap().setup().unwrap()
}

/// An action, and the command of a client that asks exactly that of a project.
const COMMANDS: &[(&str, &str)] = &[
    ("git.read", "git clone https://forge.example.com/PATH.git"),
    ("git.write", "git push https://forge.example.com/PATH.git"),
    ("wiki.read", "git clone https://forge.example.com/PATH.wiki.git"),
    ("lfs.download", "git lfs pull https://forge.example.com/PATH.git"),
    ("lfs.upload", "git lfs push https://forge.example.com/PATH.git"),
    ("oci.pull", "docker pull registry.example.com/PATH/tool:1"),
    ("oci.push", "docker push registry.example.com/PATH/tool:1"),
    ("packages.generic.read", "curl -H 'JOB-TOKEN: $CI_JOB_TOKEN' $CI_API_V4_URL/projects/ID/packages/generic/a/1/f"),
    (
        "packages.generic.publish",
        "curl -T f -H 'JOB-TOKEN: $CI_JOB_TOKEN' $CI_API_V4_URL/projects/ID/packages/generic/a/1/f",
    ),
    ("pipeline.trigger", "curl -d token=$CI_JOB_TOKEN -d ref=main $CI_API_V4_URL/projects/ID/trigger/pipeline"),
];

/// How a command ends that a job of an origin, started by somebody, plays at a target.
fn decided(
    setup: &Setup,
    world: &World,
    origin: &Project,
    user: Option<&str>,
    target: &Project,
    command: &str,
) -> Verdict {
    let caller = Caller::of(&format!("{}@main as {}", origin.path, user.unwrap_or("nobody")), world).unwrap();
    let line = command.replace("PATH", &target.path).replace("ID", &target.id.to_string());
    deciding::line(&setup.config, world, &caller, &line, &|_| Some(Vec::new())).unwrap().verdict()
}

#[test]
fn who_can_and_can_are_what_decide_says_of_each_command() {
    let configurations = ["envoy/envoy.yaml", "cli/tests/data/strict.json", "cli/tests/data/observed.json"].map(setup);
    let worlds = ["envoy/demo/world.yaml", "cli/tests/data/world.yaml"].map(|name| World::parse(&file(name)).unwrap());
    let (mut allowed, mut denied) = (0, 0);
    for (setup, world) in configurations.iter().flat_map(|setup| worlds.iter().map(move |world| (setup, world))) {
        for (action, command) in COMMANDS {
            let asks = Asks::one(&setup.config, action).unwrap();
            let at = |target: &Arc<Project>| who_can(&setup.config, world, &asks, target, People::Everybody);
            let ways: Vec<Way> = world.projects.iter().flat_map(at).collect();
            for origin in &world.projects {
                for user in people(world, origin, People::Everybody) {
                    let name = user.map(|user| user.username.as_str());
                    let reach = can(&setup.config, world, &asks, origin, &[user]);
                    for target in &world.projects {
                        let is_it = |way: &&Way| {
                            way.origin == origin.path && way.user.as_deref() == name && way.target == target.path
                        };
                        let told = [&ways, &reach]
                            .map(|ways| ways.iter().find(is_it).map_or(Verdict::Deny, |way| way.verdict));
                        let said = decided(setup, world, origin, name, target, command);
                        assert_eq!(told, [said, said], "{action}: {} as {name:?} at {}", origin.path, target.path);
                        if said == Verdict::Deny { denied += 1 } else { allowed += 1 }
                    }
                }
            }
        }
    }
    assert!(allowed > 200 && denied > 1000, "{allowed} and {denied}: both are tried");
}
