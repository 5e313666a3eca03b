//! Whatever was accepted, rendered anew from what was read, is the request that came in.
//!
//! For each protocol and action this knows the requests that mean it, written down a second time, from the forge's
//! routes and not from the reader's code. `~` stands for the project, `#` for a digit of lower-case hexadecimal, `+` for
//! a decimal number, `*` for one segment.

use std::collections::BTreeMap;

use policy::access::{Access, Action, Holding, Protocol, Sought, TargetRef};
use policy::facts::GroupRef;
use policy::request::{Claim, JobRequest, Reading};
use serde_json::value::RawValue;

use crate::Message;
use crate::claims::{as_read, percent_decoded};

/// Fails where a job's request is not one that its accesses stand for.
pub(crate) fn check(message: &Message, reading: &Reading) {
    let Reading::Job(job) = reading else { return };
    // It could not be read, which is told once it is known whose it is.
    if matches!(job.claim, Claim::Minted(Some(_))) {
        return;
    }
    match job.protocol {
        Protocol::Git => check_paths(message, only(job), GIT),
        Protocol::Lfs => check_lfs(message, only(job)),
        Protocol::Registry => check_registry(message, job),
        Protocol::RegistryToken => check_scopes(message, job),
        Protocol::Api | Protocol::Trigger | Protocol::Runner => check_api(message, only(job)),
        Protocol::Web => check_web(only(job)),
    }
}

fn check_web(access: &Access) {
    match (access.action, &access.target) {
        (Action::GoGet, TargetRef::Image(_)) | (Action::ReadPublic, TargetRef::None) => {}
        (Action::UseAgent, TargetRef::Own) => {}
        _ => panic!("{access:?}"),
    }
}

fn only(job: &JobRequest) -> &Access {
    assert_eq!(job.accesses.len(), 1, "{job:?}");
    &job.accesses[0]
}

/// A request that asks for an action: methods, path, query.
type Form = (&'static [Action], &'static str, &'static str, Query);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Query {
    None,
    Is(&'static str),
    Any,
}

use Action::{
    DownloadLfs, LockLfs, ReadCode, ReadDesign, ReadWiki, Snippet, UploadLfs, WriteCode, WriteDesign, WriteWiki,
};
use Query::{Any, Is, None as Nothing};

const READS: &[Action] = &[ReadCode, ReadWiki, ReadDesign, Snippet];
const WRITES: &[Action] = &[WriteCode, WriteWiki, WriteDesign, Snippet];

const GIT: &[Form] = &[
    (READS, "GET", "~.git/info/refs", Is("service=git-upload-pack")),
    (READS, "GET", "~/info/refs", Is("service=git-upload-pack")),
    (WRITES, "GET", "~.git/info/refs", Is("service=git-receive-pack")),
    (WRITES, "GET", "~/info/refs", Is("service=git-receive-pack")),
    (READS, "POST", "~.git/git-upload-pack", Nothing),
    (READS, "POST", "~.git/git-upload-archive", Nothing),
    (WRITES, "POST", "~.git/git-receive-pack", Nothing),
    (READS, "GET", "~.git/info/refs", Nothing),
    (READS, "GET HEAD", "~.git/HEAD", Nothing),
    (READS, "GET HEAD", "~.git/objects/info/packs", Nothing),
    (READS, "GET HEAD", "~.git/objects/info/alternates", Nothing),
    (READS, "GET HEAD", "~.git/objects/info/http-alternates", Nothing),
    (READS, "GET HEAD", "~.git/objects/##/######################################", Nothing),
    (READS, "GET HEAD", "~.git/objects/##/##############################################################", Nothing),
    (READS, "GET HEAD", "~.git/objects/pack/pack-########################################.pack", Nothing),
    (READS, "GET HEAD", "~.git/objects/pack/pack-########################################.idx", Nothing),
    (
        READS,
        "GET HEAD",
        "~.git/objects/pack/pack-################################################################.pack",
        Nothing,
    ),
    (
        READS,
        "GET HEAD",
        "~.git/objects/pack/pack-################################################################.idx",
        Nothing,
    ),
];

const LFS: &[Form] = &[
    (&[DownloadLfs, UploadLfs], "POST", "~.git/info/lfs/objects/batch", Nothing),
    (&[DownloadLfs], "GET", "~.git/info/lfs/locks", Any),
    (&[LockLfs], "POST", "~.git/info/lfs/locks", Any),
    (&[LockLfs], "POST", "~.git/info/lfs/locks/verify", Any),
    (&[LockLfs], "POST", "~.git/info/lfs/locks/*/unlock", Any),
    (
        &[DownloadLfs],
        "GET HEAD",
        "~.git/gitlab-lfs/objects/################################################################",
        Nothing,
    ),
    (
        &[UploadLfs],
        "PUT",
        "~.git/gitlab-lfs/objects/################################################################/+",
        Nothing,
    ),
];

/// What stands behind a project's path in the paths of its repositories.
fn suffix(action: Action) -> &'static str {
    match action.name().split('.').next() {
        Some("wiki") => ".wiki",
        Some("design") => ".design",
        _ => "",
    }
}

/// The request must be one of the forms of its access, and of no other project's.
fn check_paths(message: &Message, access: &Access, forms: &[Form]) {
    let owners = match (&access.target, access.action) {
        (TargetRef::None, Snippet) => vec!["snippets/+".to_owned()],
        (TargetRef::Path(project), Snippet) => vec![format!("{project}/snippets/+")],
        (TargetRef::Path(project), action) => vec![format!("{project}{}", suffix(action))],
        other => panic!("{other:?}"),
    };
    assert!(owners.iter().any(|owner| is_form(message, access.action, owner, forms)), "no form of {access:?}");
    let (path, _) = message.target();
    let path = String::from_utf8_lossy(path).to_ascii_lowercase();
    let below = &path[message.root().len() + 1..];
    for (end, _) in below.match_indices(['.', '/']) {
        let other = &below[..end];
        let is_another = access.target != TargetRef::None && !owners.iter().any(|owner| owner == other);
        if is_another && may_be_project(other) && !is_snippets(other) {
            let takes = |action: &Action| is_form(message, *action, other, forms);
            assert!(
                !READS.iter().chain(WRITES).chain(&[DownloadLfs, UploadLfs, LockLfs]).any(takes),
                "also of `{other}`"
            );
        }
    }
}

fn is_snippets(path: &str) -> bool {
    path.rsplit_once("snippets/").is_some_and(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a project may have this path.
fn may_be_project(path: &str) -> bool {
    path.contains('/')
        && path.split('/').all(|segment| {
            let is_text = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            !segment.is_empty()
                && segment.bytes().all(is_text)
                && !segment.starts_with('-')
                && [".", ".git", ".atom"].iter().all(|end| !segment.ends_with(end))
        })
}

fn is_form(message: &Message, action: Action, owner: &str, forms: &[Form]) -> bool {
    let method = String::from_utf8_lossy(message.first(":method")).into_owned();
    let (path, query) = message.target();
    forms.iter().any(|(actions, methods, pattern, asked)| {
        actions.contains(&action)
            && methods.split(' ').any(|known| known == method)
            && match asked {
                Nothing => query.is_none(),
                Is(text) => query == Some(text.as_bytes()),
                Any => true,
            }
            && matches(&format!("{}/{}", message.root(), pattern), owner, path)
    })
}

/// Whether a path is of a pattern. Letters of the owner's path may be of either case, and no others.
fn matches(pattern: &str, owner: &str, path: &[u8]) -> bool {
    let (before, after) = pattern.split_once('~').unwrap_or((pattern, ""));
    let rest = path.strip_prefix(before.as_bytes());
    let Some(rest) = rest.and_then(|rest| take(owner.as_bytes(), rest, u8::eq_ignore_ascii_case)) else { return false };
    take(after.as_bytes(), rest, u8::eq) == Some(b"")
}

/// What is left of a path when a pattern was taken from its beginning.
fn take<'a>(pattern: &[u8], path: &'a [u8], same: fn(&u8, &u8) -> bool) -> Option<&'a [u8]> {
    let mut rest = path;
    for wanted in pattern {
        let some = |is: fn(&u8) -> bool| rest.iter().position(|b| !is(b)).unwrap_or(rest.len());
        let taken = match wanted {
            b'#' => usize::from(rest.first().is_some_and(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))),
            b'+' => some(u8::is_ascii_digit),
            b'*' => some(|b| *b != b'/'),
            _ => usize::from(rest.first().is_some_and(|b| same(b, wanted))),
        };
        rest = rest.get(taken..).filter(|_| taken > 0)?;
    }
    Some(rest)
}

fn check_lfs(message: &Message, access: &Access) {
    check_paths(message, access, LFS);
    if message.target().0.ends_with(b"/objects/batch") {
        let batch: BTreeMap<String, &RawValue> =
            serde_json::from_slice(message.body.as_deref().unwrap_or_default()).expect("a batch is JSON");
        let said: String = serde_json::from_str(batch["operation"].get()).expect("the operation is a text");
        assert_eq!(said, if access.action == UploadLfs { "upload" } else { "download" });
    }
}

/// The name in a path of the registry, and the action that the endpoint behind it is.
fn image_of(method: &[u8], below: &str) -> Option<(String, Action)> {
    let parts: Vec<&str> = below.split('/').collect();
    let name = |taken: usize| parts.get(..parts.len() - taken).map(|name| name.join("/"));
    let is_read = matches!(method, b"GET" | b"HEAD");
    let (name, action) = match parts.as_slice() {
        [.., "blobs", "uploads", _] => {
            let action = match method {
                b"GET" | b"HEAD" => Some(Action::PullImage),
                b"DELETE" => Some(Action::DeleteImage),
                _ => Some(Action::PushImage),
            };
            (name(3), action)
        }
        [.., "tags", "list"] if is_read => (name(2), Some(Action::PullImage)),
        [.., "referrers", _] if is_read => (name(2), Some(Action::PullImage)),
        [.., word @ ("manifests" | "blobs"), _] => {
            let action = match (method, *word) {
                (b"GET" | b"HEAD", _) => Some(Action::PullImage),
                (b"PUT", "manifests") => Some(Action::PushImage),
                (b"DELETE", _) => Some(Action::DeleteImage),
                _ => None,
            };
            (name(2), action)
        }
        _ => (None, None),
    };
    name.zip(action)
}

fn check_registry(message: &Message, job: &JobRequest) {
    let (path, query) = message.target();
    let path = String::from_utf8_lossy(path);
    // The colon of a digest may be encoded.
    let path = path.strip_prefix(message.root()).unwrap_or(&path).replace("%3A", ":").replace("%3a", ":");
    let below = path.strip_prefix("/v2/").expect("a path of the registry");
    let first = &job.accesses[0];
    if first.action == Action::DependencyProxy {
        assert!(path.contains("/dependency_proxy/"));
    } else if first.target == TargetRef::None {
        assert_eq!(below, if first.action == Action::Catalog { "_catalog" } else { "" });
    } else {
        let (name, expected) = image_of(message.first(":method"), below).expect("an endpoint with an image");
        assert_eq!(first.action, expected);
        check_image(&name, &first.target);
    }
    // Where no image of the registry's is named, nobody looks for a source of a mount.
    let query = query.filter(|_| matches!(first.target, TargetRef::Image(_)));
    let sources: Vec<String> =
        pairs(query).into_iter().filter(|(name, _)| name == "from").map(|(_, from)| from).collect();
    let mounts: Vec<&Access> = job.accesses.iter().skip(1).collect();
    assert_eq!(sources.len(), mounts.len(), "{job:?}");
    for (source, mount) in sources.iter().zip(mounts) {
        assert_eq!(mount.action, Action::PullImage);
        check_image(source, &mount.target);
    }
}

/// The projects that an image may belong to: itself, and what stands before its last components.
fn check_image(name: &str, target: &TargetRef) {
    let TargetRef::Image(candidates) = target else { panic!("{target:?}") };
    let shorter = std::iter::successors(Some(name), |name| name.rsplit_once('/').map(|(shorter, _)| shorter));
    let expected: Vec<&str> = shorter.take(3).filter(|name| may_be_project(name)).collect();
    let read: Vec<&str> = candidates.iter().map(|candidate| candidate.as_str()).collect();
    assert_eq!(read, expected, "of `{name}`");
}

fn check_scopes(message: &Message, job: &JobRequest) {
    let (path, query) = message.target();
    assert_eq!(path, format!("{}/jwt/auth", message.root()).as_bytes());
    let form = message.body.as_deref().filter(|_| message.first(":method") == b"POST");
    let pairs = pairs(form.or(query));
    let all = |wanted: &str| -> Vec<&str> {
        pairs.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect()
    };
    let service = all("service");
    assert_eq!(service.len(), 1);
    if service == ["dependency_proxy"] {
        assert_eq!(only(job).action, Action::DependencyProxy);
        return;
    }
    assert_eq!(service, ["container_registry"]);
    let mut accesses = job.accesses.iter();
    let scopes = all("scope");
    let scopes: Vec<&str> =
        scopes.iter().flat_map(|scopes| scopes.split(' ')).filter(|scope| !scope.is_empty()).collect();
    if scopes.is_empty() {
        assert_eq!(only(job).action, Action::RegistryLogin);
        return;
    }
    for scope in scopes {
        // The forge splits at the first two colons.
        let parts: Vec<&str> = scope.splitn(3, ':').collect();
        let [kind, name, actions] = parts[..] else { panic!("`{scope}` is no scope") };
        if kind == "registry" {
            assert_eq!((name, accesses.next().map(|access| access.action)), ("catalog", Some(Action::Catalog)));
            continue;
        }
        // A class is passed over, whatever it says: `repository(plugin)`.
        let class = kind.strip_prefix("repository").expect("a scope of an image");
        assert!(class.is_empty() || (class.starts_with('(') && class.ends_with(')')), "{kind}");
        let actions = if actions == "*" { "pull,push,delete" } else { actions };
        for action in actions.split(',') {
            let access = accesses.next().expect("an access for each action");
            assert_eq!(access.action.name(), format!("oci.{action}"));
            check_image(&name.to_ascii_lowercase(), &access.target);
        }
    }
    assert_eq!(accesses.next(), None, "more than was asked for");
}

/// Names and values of a query.
fn pairs(query: Option<&[u8]>) -> Vec<(String, String)> {
    let word = |text: &[u8]| {
        let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        String::from_utf8_lossy(&percent_decoded(&spaced)).into_owned()
    };
    let pairs = query.unwrap_or_default().split(|b| *b == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            (word(halves.next().unwrap_or_default()), word(halves.next().unwrap_or_default()))
        })
        .collect()
}

/// What a runner asks of its job: method, and what follows the job's number.
const OF_A_JOB: &[(Action, &str, &[&str])] = &[
    (Action::UpdateJob, "PUT", &[""]),
    (Action::TraceJob, "PATCH", &["trace"]),
    (Action::UploadArtifact, "POST", &["artifacts", "artifacts/authorize"]),
];

fn check_api(message: &Message, access: &Access) {
    let path = as_read(message);
    let path = String::from_utf8_lossy(&path);
    let path = path.strip_prefix(message.root()).unwrap_or(&path);
    let below = path.strip_prefix("/api/v4/").expect("a path of the API");
    let segments: Vec<&str> = below.split('/').collect();
    let method = message.first(":method");
    match &access.target {
        TargetRef::Id(id) => {
            let id = id.0.to_string();
            // A group's Debian pool has the project of each file in its path.
            let is_pool = segments[0] == "groups" && segments[2..6] == ["-", "packages", "debian", "pool"];
            assert!(if is_pool { segments[7] == id } else { segments[..2] == ["projects", id.as_str()] }, "{id}");
        }
        TargetRef::Path(project) => {
            // Conan's own registry of all projects has the project in the user of the recipe.
            let user = project.as_str().replace('/', "+");
            let is_user = |part: &&str| percent_decoded(part.as_bytes()).eq_ignore_ascii_case(user.as_bytes());
            let is_recipe = segments[..2] == ["packages", "conan"] && segments.iter().any(is_user);
            // Maven's has it before a version and a file. The file is what the route calls so, and the version what stands last in the path that was decoded.
            let versioned = below.rsplit_once('/').map(|(path, _)| plain(path)).unwrap_or_default();
            let is_maven =
                versioned.rsplit_once('/').is_some_and(|(path, _)| path == format!("packages/maven/{project}"));
            assert!(is_recipe || is_maven || is_encoded("projects", project.as_str(), &segments), "{project}");
        }
        TargetRef::Held(holding) => check_held(holding, below, &segments),
        TargetRef::Job(job) => {
            let job = job.0.to_string();
            let rest = segments.strip_prefix(&["jobs", job.as_str()]).expect("the job's number");
            let is_asked = OF_A_JOB.iter().any(|(action, asked, tails)| {
                *action == access.action && asked.as_bytes() == method && tails.contains(&rest.join("/").as_str())
            });
            assert!(is_asked, "{access:?}");
        }
        TargetRef::ProjectOfJob(job) => {
            assert_eq!(segments, ["jobs", job.0.to_string().as_str(), "artifacts"]);
            assert_eq!(access.action, Action::DownloadOwnArtifact);
        }
        TargetRef::Own => assert_eq!((segments[0], access.action), ("job", Action::ReadOwnJob)),
        TargetRef::None => assert!(access.action == Action::Unlisted || segments[0] == "packages"),
        // No project has a name of one segment.
        TargetRef::Image(none) => assert!(none.is_empty() && below.starts_with("packages/maven/"), "{access:?}"),
        TargetRef::Group(_) => panic!("{access:?}"),
    }
    check_verb(method, below, access.action);
}

/// A path without encoding, and without regard to case.
fn plain(path: &str) -> String {
    String::from_utf8_lossy(&percent_decoded(path.as_bytes())).to_ascii_lowercase()
}

/// A group stands where groups do, and what is wanted of it behind that, name by name.
fn check_held(holding: &Holding, below: &str, segments: &[&str]) {
    let plain = plain(below);
    match &holding.group {
        GroupRef::Path(group) => {
            assert!(["groups", "group"].iter().any(|word| is_encoded(word, group.as_str(), segments)), "{group}");
        }
        GroupRef::Id(id) => {
            let id = id.0.to_string();
            let is_terraform = segments[..4] == ["packages", "terraform", "modules", "v1"] && segments[4] == id;
            assert!(is_terraform || (matches!(segments[0], "groups" | "group") && segments[1] == id), "{id}");
        }
        // The scope of an npm package, or the beginning of a Terraform module's path.
        GroupRef::Namespace(group) => {
            let is_it = plain.contains(&format!("/@{group}/")) || plain.contains(&format!("/v1/{group}/"));
            assert!(segments[0] == "packages" && is_it, "{group}");
        }
    }
    if let Sought::Package(package) | Sought::File(package) = &holding.sought {
        assert!(plain.contains(&format!("packages/{}", package.registry.name().trim_end_matches("_module"))));
        let folded: Vec<&str> = plain.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
        let folded = folded.join("-");
        for name in package.names() {
            let is_there = plain.contains(name) || folded.contains(name.trim_matches('-'));
            assert!(is_there, "{name}");
        }
    }
}

/// Whether a path begins with a word and an encoded full path.
fn is_encoded(word: &str, full: &str, segments: &[&str]) -> bool {
    segments[0] == word && segments.get(1).is_some_and(|id| id.eq_ignore_ascii_case(&full.replace('/', "%2f")))
}

/// What an action's name says is what the request does: a read changes nothing, and a package is of its own kind.
fn check_verb(method: &[u8], below: &str, action: Action) {
    let (rest, verb) = action.name().rsplit_once('.').expect("a name has a verb");
    let is_read = matches!(method, b"GET" | b"HEAD");
    // Questions that are too long for a query.
    let asks_in_its_body = below.contains("/npm/-/npm/v1/security/") || below.ends_with("/upload_urls");
    match verb {
        "read" => assert!(is_read || asks_in_its_body, "{action:?}"),
        "write" | "publish" | "delete" | "trigger" => assert!(!is_read, "{action:?}"),
        _ => {}
    }
    if let Some(kind) = rest.strip_prefix("packages.") {
        let kind = kind.split('-').next().unwrap_or(kind);
        assert!(below.contains(&format!("packages/{kind}")), "{action:?}");
    }
}
