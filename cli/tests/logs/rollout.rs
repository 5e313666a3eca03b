//! `docs/rollout.md`: its files are written, and its commands run, over a log of the demo's world that was observed.

use super::*;

const PAGE: &str = include_str!("../../../docs/rollout.md");

/// What stands in the blocks of a language.
fn blocks(language: &'static str) -> impl Iterator<Item = &'static str> {
    PAGE.split("\n```").skip(1).step_by(2).filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
}

/// What jobs did while it was only observed.
fn observed(setup: &Setup) -> String {
    let world = world("envoy/demo/world.yaml");
    let caller = Caller::of("apps/web as dana", &world).unwrap();
    let commands = [
        "git clone https://forge.example.com/apps/web.git",
        "git clone https://forge.example.com/libs/common.git",
        "git clone https://forge.example.com/infra/secrets.git",
        "curl -H 'JOB-TOKEN: $CI_JOB_TOKEN' $CI_API_V4_URL/projects/infra%2Fsecrets/packages/generic/keys/1.0/key.txt",
    ];
    let all = commands.iter().flat_map(|command| requests(setup, &caller, command));
    let line = |(at, request)| written(&decided(setup, &world, &(caller.clone(), request)), at, Detail::Full) + "\n";
    all.enumerate().map(line).collect()
}

#[test]
fn each_command_of_the_way_to_enforcing_ends_as_is_said() {
    let place = tempfile::tempdir().unwrap();
    for file in blocks("yaml") {
        let name = file.lines().next().unwrap().strip_prefix("# ").unwrap();
        fs::write(place.path().join(name), file).unwrap();
    }
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    let documents = documents(&read("observe.yaml")).unwrap();
    fs::write(place.path().join("access.log"), observed(&only(&documents).unwrap().setup().unwrap())).unwrap();
    let here = Path::new(env!("CARGO_BIN_EXE_jobscope")).parent().unwrap();
    let path = format!("{}:{}", here.display(), std::env::var("PATH").unwrap());
    let mut told = Vec::new();
    for line in blocks("sh").flat_map(str::lines) {
        let ran = Command::new("sh").args(["-c", line]).current_dir(&place).env("PATH", &path).output().unwrap();
        let expected = if line.ends_with("# ends with 1") { 1 } else { 0 };
        let text = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(ran.status.code(), Some(expected), "{line}\n{text}");
        told.push(text);
    }
    assert_eq!(told.len(), 12, "{told:?}");
    assert!(told[3].contains("apps/web -> infra/secrets") && told[4].starts_with("All "), "{told:?}");
    assert!(!read("entries.json").contains("libs/common"));
}
