//! Clone, push and LFS with the real clients.

use std::fs;

use crate::harness::{Forge, JOB};

#[test]
fn a_job_clones_with_submodules_and_lfs() {
    let forge = Forge::start();
    let rewrite = format!("url.{}.insteadOf={}", forge.as_user("gitlab-ci-token", JOB, ""), forge.url(""));
    let at = forge.folder.path();
    forge.git_works(at, &["-c", &rewrite, "clone", "-q", "--recurse-submodules", &forge.url("apps/web.git"), "web"]);
    let read = |file: &str| fs::read_to_string(forge.folder("web").join(file)).expect("the file");
    assert_eq!(read("README.md"), "web\n");
    assert_eq!(read("vendor/common/lib/common.sh"), "echo common\n");
    assert_eq!(read("assets/logo.bin"), "the logo, kept in LFS\n");
    forge.wait_for_children(0);
}

#[test]
fn a_job_reaches_projects_it_has_no_business_in() {
    let forge = Forge::start();
    let url = forge.as_user("gitlab-ci-token", JOB, "infra/secrets.git");
    forge.git_works(forge.folder.path(), &["clone", "-q", &url, "secrets"]);
    fs::write(forge.folder("secrets").join("new"), "x").expect("a file");
    let at = forge.folder("secrets");
    forge.git_works(&at, &["add", "."]);
    forge.git_works(&at, &["commit", "-q", "-m", "new"]);
    forge.git_works(&at, &["push", "-q", "origin", "HEAD:main"]);
}

#[test]
fn a_person_pushes_more_than_git_buffers() {
    let forge = Forge::start();
    let url = forge.as_user("dana", "dana-password", "apps/web.git");
    forge.git_works(forge.folder.path(), &["clone", "-q", &url, "web"]);
    let at = forge.folder("web");
    // What a counter hashes to does not compress.
    let mut state = 1u64;
    let bytes: Vec<u8> = (0..3_000_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect();
    fs::write(at.join("large.dat"), &bytes).expect("a file");
    forge.git_works(&at, &["add", "."]);
    forge.git_works(&at, &["commit", "-q", "-m", "large"]);
    forge.git_works(&at, &["push", "-q", "origin", "HEAD:main"]);
    let chunked = forge.received().iter().any(|request| {
        let headers = request["headers"].to_string();
        request["target"] == "/apps/web.git/git-receive-pack" && headers.contains(r#"["transfer-encoding","chunked"]"#)
    });
    assert!(chunked, "git was expected to send its push in chunks");
    forge.git_works(forge.folder.path(), &["clone", "-q", &url, "again"]);
    assert_eq!(fs::read(forge.folder("again").join("large.dat")).expect("the file"), bytes);
    forge.wait_for_children(0);
}

#[test]
fn a_person_pushes_an_lfs_object() {
    let forge = Forge::start();
    let url = forge.as_user("dana", "glpat-dana", "apps/web.git");
    forge.git_works(forge.folder.path(), &["clone", "-q", &url, "web"]);
    let at = forge.folder("web");
    fs::write(at.join("assets/logo.bin"), "another logo\n").expect("a file");
    forge.git_works(&at, &["commit", "-q", "-a", "-m", "logo"]);
    forge.git_works(&at, &["lfs", "push", "origin", "HEAD"]);
    forge.git_works(&at, &["push", "-q", "origin", "HEAD:main"]);
    forge.git_works(forge.folder.path(), &["clone", "-q", &url, "again"]);
    let logo = fs::read_to_string(forge.folder("again").join("assets/logo.bin"));
    assert_eq!(logo.expect("the file"), "another logo\n");
}

#[test]
fn persons_are_held_to_their_membership() {
    let forge = Forge::start();
    let at = forge.folder.path();
    let said = forge.git_fails(at, &["ls-remote", &forge.as_user("nora", "nora-password", "libs/common.git")]);
    assert!(said.contains("could not be found"), "{said}");
    let said = forge.git_fails(at, &["ls-remote", &forge.as_user("gus", "gus-password", "libs/internal.git")]);
    assert!(said.contains("not found"), "an external person is no insider: {said}");
    forge.git_works(at, &["ls-remote", &forge.as_user("nora", "nora-password", "libs/internal.git")]);
    forge.git_works(at, &["ls-remote", &forge.url("libs/open.git")]);
    let url = forge.as_user("dana", "dana-password", "libs/common.git");
    forge.git_works(at, &["clone", "-q", &url, "common"]);
    let said = forge.git_fails(&forge.folder("common"), &["push", "origin", "HEAD:other"]);
    assert!(said.contains("not allowed to push"), "{said}");
}

#[test]
fn a_dead_credential_is_refused_even_where_nobody_needs_one() {
    let forge = Forge::start();
    // gitlab-ci-token:glcbt-dead
    let basic = ("Authorization", "Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LWRlYWQ=");
    let path = "libs/open.git/info/refs?service=git-upload-pack";
    assert_eq!(forge.get(path, &[]).status, 200);
    let answer = forge.get(path, &[basic]);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"GitLab\""));
    assert!(answer.body.starts_with("HTTP Basic: Access denied."), "{}", answer.body);
}

#[test]
fn the_form_without_the_suffix_leads_to_the_one_with_it() {
    let forge = Forge::start();
    let answer = forge.get("apps/web/info/refs?service=git-upload-pack", &[]);
    assert_eq!(answer.status, 301);
    let expected = forge.url("apps/web.git/info/refs?service=git-upload-pack");
    assert_eq!(answer.header("location"), Some(expected.as_str()));
}

#[test]
fn a_second_start_keeps_what_was_pushed() {
    let forge = Forge::start();
    let url = forge.as_user("dana", "dana-password", "apps/deploy.git");
    forge.git_works(forge.folder.path(), &["clone", "-q", &url, "deploy"]);
    forge.git_works(&forge.folder("deploy"), &["push", "-q", "origin", "HEAD:kept"]);
    let forge = Forge::start_in(forge.stop());
    let url = forge.as_user("dana", "dana-password", "apps/deploy.git");
    let refs = forge.git_works(forge.folder.path(), &["ls-remote", &url]);
    assert!(refs.contains("refs/heads/kept"), "{refs}");
}
