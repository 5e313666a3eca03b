//! `jobscope suggest --as curl`: the script runs, in front of a forge that takes some entries and not others.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A line of a log: somebody of `apps/web` needed `target`, at noon.
fn needed(user: &str, target: &str) -> String {
    let denial = json!({"rule": "inbound", "reason": "allowlist.missing", "enforced": true});
    let needs = json!({"permissions": ["read_packages"]});
    let asked = json!({"action": "packages.read", "path": target, "needs": needs, "denials": [denial]});
    json!({"verdict": "deny", "reason": "allowlist.missing", "origin": "apps/web", "target": target, "user": user,
        "start_time": "2026-11-26T12:00:00.000Z", "why": json!({"asked": [asked]}).to_string()})
    .to_string()
        + "\n"
}

fn suggested(way: &str, log: &str) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(log.as_bytes()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobscope"));
    let ran = command.args(["suggest", "--as", way, "--log"]).arg(file.path()).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn an_entry_that_is_refused_ends_no_script_and_no_good_one() {
    let log = ["libs/a", "libs/b", "libs/c"].map(|target| needed("dana", target).repeat(2)).concat();
    let script = suggested("curl", &log);
    let folder = tempfile::tempdir().unwrap();
    // Takes all but what is said, and notes what was asked.
    let curl = "#!/bin/sh\ncat >/dev/null\necho \"$*\" >>asked\ncase $* in\n*\"$REFUSED\"*) echo '{\"errors\":[\"no\"]}' ;;\n\
                *\"$DOWN\"*) exit 22 ;;\n*) echo '{\"errors\":[]}' ;;\nesac\n";
    fs::write(folder.path().join("curl"), curl).unwrap();
    fs::set_permissions(folder.path().join("curl"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let run = |refused: &str, down: &str| {
        let _ = fs::remove_file(folder.path().join("asked"));
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(&folder).env("PATH", &path);
        command.envs([("GITLAB_URL", "x"), ("GITLAB_TOKEN", "secret"), ("REFUSED", refused), ("DOWN", down)]);
        let ran = command.output().unwrap();
        let asked = fs::read_to_string(folder.path().join("asked")).unwrap();
        assert!(asked.lines().count() == 3 && !asked.contains("secret"), "{asked}");
        (ran.status.code(), [ran.stdout, ran.stderr].map(|text| String::from_utf8(text).unwrap()))
    };
    assert_eq!(run("nothing", "nothing"), (Some(0), ["The forge has all of them.\n".to_owned(), String::new()]));
    let (end, [out, err]) = run("libs/a", "libs/b");
    assert_eq!((end, out.as_str()), (Some(1), ""));
    assert!(err.contains("libs/a") && err.contains("said {\"errors\":[\"no\"]}\n") && err.contains("said nothing\n"));
    assert!(err.ends_with("\nThe forge has not all of them: refused, as told above: 2.\n"), "{err}");
}

#[test]
fn what_a_log_holds_stays_in_its_comment() {
    let user = "da\u{2028}rm\u{2029}rf\u{202e}x\u{85}y\u{200b}\nzo\u{eb}";
    for way in ["settings", "rules", "curl", "terraform"] {
        let told = suggested(way, &needed(user, "libs/a").repeat(2));
        assert!(told.contains("da\u{fffd}rm\u{fffd}rf\u{fffd}x\u{fffd}y\u{fffd}\u{fffd}zo\u{eb}"), "{way}: {told}");
    }
}
