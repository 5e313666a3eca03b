//! A forge that is not GitLab: its paths are its own, and its jobs' tokens have no mark.

use super::*;
use crate::access::{Holding, Sought};
use crate::facts::{GroupPath, GroupRef};
use alloc::sync::Arc;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const GENERIC: &str = r#""kind": "generic""#;
const UNMARKED: &str = "0123456789abcdef0123456789abcdef01234567";

/// A request to a forge that is not GitLab.
fn elsewhere(method: &str, path: &str, more: &[(String, String)], body: Body) -> Reading {
    let mut fields = vec![field("authorization", &format!("token {UNMARKED}"))];
    fields.extend(more.iter().cloned());
    reading_with(GENERIC, method, path, &fields, body)
}

#[test]
fn another_forges_paths_are_read_as_it_reads_them() {
    let code = |action, path| (Protocol::Git, action, project(path));
    let upload = field("content-type", "application/x-git-upload-pack-request");
    let archive = field("content-type", "application/x-git-upload-archive-request");
    for (method, path, more, expected) in [
        ("GET", "/o/r/info/refs?service=git-receive-pack", None, code(Action::WriteCode, "o/r")),
        ("GET", "/o/r.git/info/refs?service=git-upload-pack", None, code(Action::ReadCode, "o/r")),
        ("GET", "/o/r/info/refs?service=git-upload-archive", None, code(Action::ReadCode, "o/r")),
        ("POST", "/o/r/git-upload-pack", Some(upload), code(Action::ReadCode, "o/r")),
        ("POST", "/o/r/git-upload-archive", Some(archive), code(Action::ReadCode, "o/r")),
        ("GET", "/o/r.wiki.git/info/refs?service=git-upload-pack", None, code(Action::ReadWiki, "o/r")),
        // What GitLab has for itself is anybody's name here.
        (
            "GET",
            "/explore/r.design/info/refs?service=git-upload-pack",
            None,
            code(Action::ReadCode, "explore/r.design"),
        ),
        ("GET", "/snippets/5.git/info/refs?service=git-upload-pack", None, code(Action::ReadCode, "snippets/5")),
        ("GET", "/v2/token", None, (Protocol::RegistryToken, Action::RegistryToken, TargetRef::None)),
        ("GET", "/api/v1/repos/o/r", None, (Protocol::Api, Action::Unlisted, TargetRef::None)),
        ("GET", "/api/v4/projects/5/releases", None, (Protocol::Api, Action::Unlisted, TargetRef::None)),
    ] {
        let body = if method == "POST" { Body::Follows } else { Body::None };
        let more: Vec<_> = more.into_iter().collect();
        assert_eq!(asked(elsewhere(method, path, &more, body)), expected, "{method} {path}");
    }
    let digest = "a".repeat(64);
    let mount = format!("/v2/o/r/blobs/uploads/?mount=sha256:{digest}&from=other/secret");
    let mount = job(elsewhere("POST", &mount, &[], Body::None));
    assert_eq!(mount.accesses.iter().map(|one| one.action).collect::<Vec<_>>(), [Action::PushImage, Action::PullImage]);
    for path in ["/a/b/org/repo.git/info/lfs/objects/batch", "/a/b/org/repo/objects/batch"] {
        let batch = elsewhere("POST", path, &[field("content-type", "application/vnd.git-lfs+json")], Body::Follows);
        let read = pending(batch).finish(br#"{"operation":"download","objects":[]}"#);
        assert_eq!(asked(read), (Protocol::Lfs, Action::DownloadLfs, project("a/b/org/repo")), "{path}");
    }
}

#[test]
fn another_forges_credential_is_a_jobs_until_somebody_says_otherwise() {
    let claim = |reading| {
        let job = job(reading);
        assert_eq!(job.token, Secret::new(UNMARKED.as_bytes()));
        job.claim
    };
    assert_eq!(
        claim(elsewhere("GET", "/o/r/info/refs?service=git-upload-pack", &[], Body::None)),
        Claim::Unmarked(None)
    );
    for (path, more, malformed) in [
        ("/o//r/info/refs?service=git-upload-pack", vec![], Malformed::EmptySegment),
        ("/o/r/settings", vec![], Malformed::WebRoute),
        ("/o/r/HEAD", vec![], Malformed::WebRoute),
        ("/o/r/info/lfs/locks", vec![], Malformed::WebRoute),
        ("/o/r.GIT/info/refs?service=git-upload-pack", vec![], Malformed::ProjectPath),
        ("/-/r/info/refs?service=git-upload-pack", vec![], Malformed::ReservedWord),
        ("/info/info/refs/git-upload-pack", vec![], Malformed::MethodUnknown),
        ("/o/r/info/refs?service=git-upload-pack", vec![field("sudo", "root")], Malformed::Sudo),
        ("/v2/o/R/manifests/x", vec![], Malformed::RegistryName),
    ] {
        assert_eq!(claim(elsewhere("GET", path, &more, Body::None)), Claim::Unmarked(Some(malformed)), "{path}");
    }
    let media = [field("content-type", "application/vnd.git-lfs+json")];
    let batch = pending(elsewhere("POST", "/o/r.git/info/lfs/objects/batch", &media, Body::Follows));
    assert_eq!(claim(batch.clone().let_go(Malformed::BodyTooLarge)), Claim::Unmarked(Some(Malformed::BodyTooLarge)));
    assert_eq!(claim(batch.clone().finish(b"{}")), Claim::Unmarked(Some(Malformed::LfsOperation)));
    assert_eq!(claim(batch.finish(br#"{"operation":"upload"}"#)), Claim::Unmarked(None));

    // What has a mark needs nobody to say so.
    let marked = reading_with(GENERIC, "GET", "/o//r", &[basic()], Body::None);
    assert!(matches!(marked, Reading::Refused(_)), "{marked:?}");
    let gitlab = [field("authorization", &format!("Bearer {UNMARKED}"))];
    assert_eq!(reading("GET", "/o/r.git/info/refs?service=git-upload-pack", &gitlab, Body::None), Reading::NotAJob);
}

#[test]
fn a_form_to_another_forges_api_may_hold_the_token() {
    let form = |path: &str, authorization: Option<&str>, body: &str| {
        let media = field("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let fields: Vec<_> =
            authorization.map(|value| field("authorization", value)).into_iter().chain([media]).collect();
        pending(reading_with(GENERIC, "POST", path, &fields, Body::Follows)).finish(body.as_bytes())
    };
    let token = format!("a=1&token={UNMARKED}");
    for path in ["/api/v1/user/repos", "/api/v4/projects/5/trigger/pipeline", "//api/v1/user", "/%61pi/v1/user"] {
        for body in [token.clone(), format!("x;token={UNMARKED}"), format!("%74oken={UNMARKED}&b=%zz")] {
            let job = job(form(path, None, &body));
            assert_eq!(
                (job.token, job.claim),
                (Secret::new(UNMARKED.as_bytes()), Claim::Unmarked(Some(Malformed::Carrier)))
            );
        }
        assert_eq!(form(path, None, "name=x&token="), Reading::NotAJob, "{path}");
        // Whoever the head names, the forge takes what stands in the form.
        let two = form(path, Some("Bearer somebodys"), &token);
        assert!(matches!(two, Reading::Refused(Refused { malformed: Malformed::Multiple, .. })), "{two:?}");
    }
    let head = job(form("/api/v1/user/repos", Some("Bearer somebodys"), "name=x"));
    assert_eq!((head.token, head.claim), (Secret::new(b"somebodys"), Claim::Unmarked(None)));
    let media = [field("content-type", "application/x-www-form-urlencoded")];
    let neighbour = [&media[..], &[field(":authority", "chat.example.com")]].concat();
    assert_eq!(reading_with(GENERIC, "POST", "/api/v4/posts", &neighbour, Body::Follows), Reading::NotAJob);
    let web = reading_with(GENERIC, "POST", "/user/login", &media, Body::Follows);
    assert_eq!(web, Reading::NotAJob, "a person's login is nobody's business");
}

#[test]
fn an_upload_to_an_api_names_no_credential_in_its_parts_whoever_its_head_names() {
    let upload = [field("content-type", "multipart/form-data; boundary=b")];
    let both = format!("{GENERIC}, {STRIP}");
    for keys in [GENERIC, &both] {
        let mut fields = vec![field("authorization", &format!("token {UNMARKED}"))];
        fields.extend(upload.iter().cloned());
        let Reading::Job(job) =
            reading_with(keys, "POST", "/api/v1/repos/o/r/releases/1/assets", &fields, Body::Follows)
        else {
            panic!("{keys}")
        };
        assert!(matches!(job.claim, Claim::Unmarked(None)) && job.bare.is_none(), "{keys}");
        let part = |name: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{UNMARKED}\r\n--b--\r\n")
        };
        let feed = |name| job.scan.clone().unwrap().feed(part(name).as_bytes());
        assert_eq!(feed("attachment"), Ok(()));
        for name in ["token", "access_token"] {
            assert_eq!(feed(name).unwrap_err().malformed, Malformed::Multiple, "{name}");
            let Reading::Passing(mut scan) =
                reading_with(keys, "POST", "/api/v1/repos/o/r/releases/1/assets", &upload, Body::Follows)
            else {
                panic!("{keys}")
            };
            assert!(scan.feed(part(name).as_bytes()).is_err(), "{name}");
        }
    }
}

/// Who asks, Gitea finds out before it looks whether it has the path: GitLab's are no exception, and an archive is made by a
/// POST. Where it reads parts it stops at their end, and finds the JSON of a batch behind them.
#[test]
fn a_token_in_a_form_counts_wherever_gitea_looks_for_one() {
    let part = format!("--b\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\n{UNMARKED}\r\n--b--\r\n");
    let upload = [field("content-type", "multipart/form-data; boundary=b")];
    let form = [field("content-type", "application/x-www-form-urlencoded")];
    for keys in [GENERIC, GITEA] {
        for path in [
            "/api/v4/projects/7/releases",
            "/api/v4/jobs/7/trace",
            "/api/v1/x",
            "/O/R/archive/main.zip",
            "/o/r.git/info/lfs/objects/batch",
            "/o/r/info/lfs/locks/verify",
        ] {
            let read = reading_with(keys, "POST", path, &upload, Body::Follows);
            assert!(matches!(read, Reading::Passing(_)), "{path}: {read:?}");
            let read = read.finish(part.as_bytes());
            assert!(matches!(&read, Reading::Refused(refused) if refused.malformed == Malformed::Multiple), "{path}");
            let read = reading_with(keys, "POST", path, &form, Body::Follows);
            let read = read.finish(format!("access_token={UNMARKED}").as_bytes());
            assert!(matches!(&read, Reading::Job(job) if matches!(job.claim, Claim::Unmarked(Some(_)))), "{path}");
        }
    }
}

/// A form is one by its type alone: what else stands in that field, or in another, makes none of what Go reads in parts.
#[test]
fn an_upload_is_none_the_less_one_for_naming_a_form_in_its_type() {
    let part = format!("--b\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\n{UNMARKED}\r\n--b--\r\n");
    let (upload, form) = ("multipart/form-data; boundary=b", "application/x-www-form-urlencoded");
    let (list, parameter) = (format!("{upload}, {form}"), format!("{upload}; x=\"{form}\""));
    for types in [vec![upload, form], vec![form, upload], vec![&list], vec![&parameter]] {
        let fields: Vec<_> = types.into_iter().map(|media| field("content-type", media)).collect();
        for keys in [GENERIC, GITEA] {
            let read = reading_with(keys, "POST", "/api/v1/x", &fields, Body::Follows).finish(part.as_bytes());
            assert!(matches!(&read, Reading::Refused(_)), "{fields:?}: {read:?}");
        }
    }
}

/// Go takes `\u{130}` for an i in another case, in a type as anywhere.
#[test]
fn a_type_of_other_letters_than_ascii_may_be_a_form() {
    let part = format!("--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{UNMARKED}\r\n--b--\r\n");
    let form = format!("token={UNMARKED}");
    let sent = [("mult\u{130}part/form-data; boundary=b", &part), ("appl\u{130}cation/x-www-form-urlencoded", &form)];
    for (media, body) in sent {
        let media = [field("content-type", media)];
        for keys in [GENERIC, GITEA] {
            let read =
                |path, body: &str| reading_with(keys, "POST", path, &media, Body::Follows).finish(body.as_bytes());
            assert!(matches!(read("/api/v1/x", body), Reading::Refused(_)), "{keys} {media:?}");
            assert_eq!(read("/api/v1/x", "a=b"), Reading::NotAJob, "{keys} {media:?}");
            assert_eq!(read("/user/login", body), Reading::NotAJob, "{keys} {media:?}");
        }
    }
    let named = [field("content-type", "image/png; name=\"\u{130}.png\"")];
    assert_eq!(reading_with(GITEA, "POST", "/api/v1/x", &named, Body::Follows), Reading::NotAJob);
}

const GITEA: &str = r#""kind": "gitea""#;

/// A request to Gitea.
fn gitea(method: &str, path: &str, fields: &[(String, String)], body: Body) -> Reading {
    reading_with(GITEA, method, path, fields, body)
}

fn owned(owner: &str) -> TargetRef {
    let group = GroupRef::Path(GroupPath::parse(owner).unwrap());
    TargetRef::Held(Arc::new(Holding { group, sought: Sought::Owned }))
}

#[test]
fn giteas_routes_are_read_as_its_table_says() {
    let authorization = |value: &str| [field("authorization", value)];
    let basic = STANDARD.encode(format!("x:{UNMARKED}"));
    let own = TargetRef::Own;
    let zip = "/O/R/archive/v1.0.zip";
    let twirp = "/twirp/github.actions.results.api.v1.ArtifactService/CreateArtifact";
    for (method, path, expected) in [
        ("GET", "/api/v1/repos/O/R", (Protocol::Api, Action::ReadRepository, project("o/r"))),
        ("DELETE", "/api/v1/repos/o/r/branches/a/b", (Protocol::Api, Action::WriteCode, project("o/r"))),
        ("DELETE", "/api/v1/repos/o/r", (Protocol::Api, Action::Unlisted, project("o/r"))),
        ("GET", "/api/v1/version", (Protocol::Api, Action::ReadPublic, TargetRef::None)),
        ("GET", "/api/v4/projects/5/releases", (Protocol::Api, Action::Unlisted, TargetRef::None)),
        ("GET", "/api/packages/O/pypi/simple/x/", (Protocol::Api, Action::ReadPypi, owned("o"))),
        ("PUT", "/api/packages/o/generic/x/1/f", (Protocol::Api, Action::Unlisted, owned("o"))),
        ("GET", zip, (Protocol::Web, Action::ReadRepository, project("o/r"))),
        ("POST", twirp, (Protocol::Api, Action::UploadArtifact, own)),
        ("GET", "/o/r/info/refs?service=git-receive-pack", (Protocol::Git, Action::WriteCode, project("o/r"))),
        ("GET", "/o/r.wiki.git/info/refs?service=git-upload-pack", (Protocol::Git, Action::ReadWiki, project("o/r"))),
        ("GET", "/v2/o/web/app/manifests/v1", (Protocol::Registry, Action::PullImage, owned("o"))),
    ] {
        for value in [format!("token {UNMARKED}"), format!("Bearer {UNMARKED}"), format!("Basic {basic}")] {
            let read = gitea(method, path, &authorization(&value), Body::None);
            assert_eq!(asked(read), expected, "{method} {path} {value}");
        }
    }
    // In the query the API takes it alone.
    let query = |path: &str| gitea("GET", &format!("{path}?access_token={UNMARKED}"), &[], Body::None);
    assert_eq!(asked(query("/api/v1/repos/o/r/tags")), (Protocol::Api, Action::ReadRepository, project("o/r")));
    assert_eq!(job(query(zip)).claim, Claim::Unmarked(Some(Malformed::Carrier)));
    // Its version is everybody's, and asked without the token.
    assert!(
        job(gitea("GET", "/api/v1/version", &authorization(&format!("token {UNMARKED}")), Body::None)).bare.is_some()
    );
}

#[test]
fn giteas_registry_token_is_asked_for_by_basic_and_asks_for_nothing() {
    let basic = STANDARD.encode(format!("x:{UNMARKED}"));
    let asked_with = |method: &str, value: &str| {
        let path = "/v2/token?service=container_registry&scope=repository:o/x:pull,push";
        job(gitea(method, path, &[field("authorization", value)], Body::None))
    };
    let login = asked_with("GET", &format!("Basic {basic}"));
    assert_eq!((login.claim, login.mints), (Claim::Unmarked(None), Some(Mints::RegistryToken)));
    assert_eq!(login.accesses, [Access::new(Action::RegistryLogin, TargetRef::None)]);
    for (method, value, malformed) in [
        ("POST", format!("Basic {basic}"), Malformed::TokenPost),
        ("HEAD", format!("Basic {basic}"), Malformed::TokenPost),
        ("GET", format!("Bearer {UNMARKED}"), Carrier::Bearer.misplaced()),
        ("GET", format!("token {UNMARKED}"), Carrier::Token.misplaced()),
    ] {
        let read = asked_with(method, &value);
        assert_eq!((read.claim, read.mints), (Claim::Unmarked(Some(malformed)), None), "{method} {value}");
    }
}

#[test]
fn an_image_of_gitea_is_its_owners() {
    let token = [field("authorization", &format!("Bearer {UNMARKED}"))];
    let digest = format!("sha256:{}", "a".repeat(64));
    let blobs = "/v2/o/a/b/blobs";
    for (method, path, expected) in [
        ("GET", format!("{blobs}/{digest}"), vec![(Action::PullImage, owned("o"))]),
        ("PUT", "/v2/o/a/b/c/d/manifests/v1".into(), vec![(Action::PushImage, owned("o"))]),
        ("DELETE", format!("/v2/o/a/manifests/{digest}"), vec![(Action::DeleteImage, owned("o"))]),
        (
            "POST",
            format!("{blobs}/uploads/?mount={digest}&from=other/secret"),
            vec![(Action::PushImage, owned("o")), (Action::PullImage, owned("other"))],
        ),
    ] {
        let read = job(gitea(method, &path, &token, Body::None));
        let asked: Vec<_> = read.accesses.into_iter().map(|one| (one.action, one.target)).collect();
        assert_eq!((read.claim, asked), (Claim::Unmarked(None), expected), "{method} {path}");
    }
    for path in ["/v2/alone/manifests/v1", "/v2/O/a/manifests/v1", "/v2/o//a/manifests/v1"] {
        assert!(matches!(job(gitea("GET", path, &token, Body::None)).claim, Claim::Unmarked(Some(_))), "{path}");
    }
}

#[test]
fn a_repository_of_gitea_has_an_owner_and_a_name() {
    let token = [field("authorization", &format!("token {UNMARKED}"))];
    for (path, malformed) in [
        ("/a/b/c.git/info/refs?service=git-upload-pack", Malformed::ProjectPath),
        ("/o/r/x/info/refs?service=git-upload-pack", Malformed::ProjectPath),
        ("/o/r.rss/info/refs?service=git-upload-pack", Malformed::ProjectPath),
        ("/o/r/objects/batch", Malformed::WebRoute),
        ("/o/r/settings", Malformed::WebRoute),
        ("/attachments/7", Malformed::WebRoute),
        ("/o/r/releases/tag/v1", Malformed::WebRoute),
        ("/api/v1/repos/o//r", Malformed::EmptySegment),
        ("/api/v1/repos/o/%72", Malformed::NeedlessEncoding),
        ("/api/v1/repos/o/r/../s", Malformed::DotSegment),
        ("/api/v1/repos/o/r/", Malformed::TrailingSlash),
        ("/api/v1/repos/o/r%2Ftags", Malformed::EncodedSlash),
    ] {
        let read = job(gitea("GET", path, &token, Body::None));
        assert_eq!((read.claim, read.accesses), (Claim::Unmarked(Some(malformed)), vec![]), "{path}");
    }
}

#[test]
fn json_for_gitea_streams_and_a_form_is_read_first() {
    let media = |media: &str| {
        let fields = [field("authorization", &format!("token {UNMARKED}")), field("content-type", media)];
        gitea("POST", "/api/v1/repos/o/r/releases", &fields, Body::Follows)
    };
    let expected = (Protocol::Api, Action::WriteReleases, project("o/r"));
    assert_eq!(asked(media("application/json")), expected);
    let form = || pending(media("application/x-www-form-urlencoded"));
    assert_eq!(asked(form().finish(b"tag_name=v1")), expected);
    let two = form().finish(format!("tag_name=v1&token={UNMARKED}").as_bytes());
    assert!(matches!(two, Reading::Refused(Refused { malformed: Malformed::Multiple, .. })), "{two:?}");
}

proptest! {
    #[test]
    fn no_bytes_to_another_forge_make_it_panic(fields in proptest::collection::vec((proptest::sample::select(vec![":path", ":method", ":authority", "authorization", "cookie", "content-type"]), proptest::collection::vec(any::<u8>(), 0..60)), 0..8), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_slice())).collect();
        for kind in [GENERIC, GITEA] {
            let config = config_with(&format!("{kind}, {STRIP}"));
            if let Reading::Body(pending) = read(&config.forge, &Head::new(&fields, Body::Follows)) {
                let _ = pending.finish(&body);
            }
        }
    }

    #[test]
    fn no_path_of_another_forge_makes_it_panic(path in "/[a-zA-Z0-9%./?&=;:@_-]{0,80}", method in "(GET|POST|PUT|DELETE|PATCH|HEAD)") {
        let token = [field("authorization", &format!("token {UNMARKED}"))];
        for reading in [elsewhere(&method, &path, &[], Body::None), gitea(&method, &path, &token, Body::None)] {
            prop_assert!(matches!(reading, Reading::Job(_)), "{reading:?}");
        }
    }
}
