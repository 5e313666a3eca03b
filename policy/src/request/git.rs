//! Git over HTTP: `/<project>.git/info/refs`, `git-upload-pack` and `git-receive-pack`.

use super::gitea;
use super::head::Head;
use super::malformed::Malformed;
use crate::access::{Access, Action, TargetRef};
use crate::choices::Kind;
use crate::facts::{ProjectPath, segments};

/// First segments that GitLab keeps for itself: no group can have these names.
const RESERVED: [&str; 25] = [
    "-",
    ".well-known",
    "api",
    "admin",
    "assets",
    "dashboard",
    "explore",
    "groups",
    "help",
    "import",
    "jwt",
    "login",
    "o",
    "oauth",
    "profile",
    "projects",
    "public",
    "s",
    "search",
    "snippets",
    "unsubscribes",
    "uploads",
    "users",
    "v2",
    "files",
];

/// First segments that are no owner's on any forge. What else another forge keeps for itself is not known here, and its
/// lookup finds no project there.
const RESERVED_EVERYWHERE: [&str; 3] = ["-", "api", "v2"];

/// What Git asks for below a repository's path, but for the files of the dumb protocol.
const ENDPOINTS: [&str; 4] = ["info/refs", "git-upload-pack", "git-upload-archive", "git-receive-pack"];

/// A repository and what follows its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repository<'a> {
    /// Everything before `.git`, without the first slash.
    pub path: &'a str,
    /// Everything after `.git/`.
    pub rest: &'a str,
}

/// Splits a path at its `.git`. `None` when no segment ends in it.
pub(crate) fn repository(path: &str) -> Result<Option<Repository<'_>>, Malformed> {
    let Some((before, rest)) = path.split_once(".git/") else { return Ok(None) };
    let ends_in_git =
        |segment: &str| segment.as_bytes().last_chunk::<4>().is_some_and(|end| end.eq_ignore_ascii_case(b".git"));
    if segments(rest).any(ends_in_git) || segments(before).any(ends_in_git) {
        return Err(Malformed::GitSuffix);
    }
    Ok(Some(Repository { path: before.strip_prefix('/').unwrap_or(before), rest }))
}

/// Whether a path is a repository's own address. Go asks for it where Git was refused; GitLab sends people on to a page.
pub(crate) fn is_address(path: &str) -> bool {
    path.strip_suffix('/').unwrap_or(path).ends_with(".git")
}

/// What a request seems to read that names a repository and nothing that Git asks there.
pub(crate) fn seems_to_read(forge: Kind, method: &[u8], path: &str) -> Option<Access> {
    let before = if is_address(path) { path.strip_suffix('/').unwrap_or(path).strip_suffix(".git") } else { None };
    let path = match before {
        Some(before) => before.strip_prefix('/')?,
        None => repository(path).ok()??.path,
    };
    let (kind, target) = owner(forge, path).ok().filter(|_| matches!(method, b"GET" | b"HEAD"))?;
    Some(Access::new(kind.action(Service::Upload), target))
}

/// Splits a path before one of Git's endpoints, where a forge serves repositories without `.git` too.
pub(crate) fn without_suffix(path: &str) -> Option<Repository<'_>> {
    ENDPOINTS.iter().find_map(|rest| {
        let path = path.strip_suffix(rest)?.strip_suffix('/')?;
        Some(Repository { path: path.strip_prefix('/').unwrap_or(path), rest })
    })
}

/// What kind of repository a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Code,
    Wiki,
    Design,
    Snippet,
}

impl Content {
    fn action(self, service: Service) -> Action {
        match (self, service) {
            (Self::Code, Service::Upload) => Action::ReadCode,
            (Self::Code, Service::Receive) => Action::WriteCode,
            (Self::Wiki, Service::Upload) => Action::ReadWiki,
            (Self::Wiki, Service::Receive) => Action::WriteWiki,
            (Self::Design, Service::Upload) => Action::ReadDesign,
            (Self::Design, Service::Receive) => Action::WriteDesign,
            (Self::Snippet, Service::Upload | Service::Receive) => Action::Snippet,
        }
    }
}

/// Which of the two Git services is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    /// `git-upload-pack`: fetch.
    Upload,
    /// `git-receive-pack`: push.
    Receive,
}

impl Service {
    fn named(name: &str) -> Option<Self> {
        match name {
            // An archive is read like a fetch.
            "git-upload-pack" | "git-upload-archive" => Some(Self::Upload),
            "git-receive-pack" => Some(Self::Receive),
            _ => None,
        }
    }
}

/// The project of a repository's path.
pub(crate) fn project(forge: Kind, path: &str) -> Result<ProjectPath, Malformed> {
    let first = segments(path).next().unwrap_or_default();
    let reserved: &[&str] = match forge {
        Kind::Gitlab => &RESERVED,
        Kind::Gitea | Kind::Generic => &RESERVED_EVERYWHERE,
    };
    if reserved.iter().any(|word| word.eq_ignore_ascii_case(first)) || segments(path).any(|segment| segment == "-") {
        return Err(Malformed::ReservedWord);
    }
    if !path.contains('/') {
        return Err(Malformed::ProjectShort);
    }
    ProjectPath::parse(path)
        .filter(|_| forge != Kind::Gitea || gitea::has_two_names(path))
        .ok_or(Malformed::ProjectPath)
}

/// Reads a request below `<project>.git/` that is not LFS.
pub(crate) fn read(
    forge: Kind,
    head: &Head<'_>,
    method: &[u8],
    repository: Repository<'_>,
    query: Option<&str>,
) -> Result<Access, Malformed> {
    let (kind, target) = owner(forge, repository.path)?;
    let service = match (method, repository.rest) {
        // Without a service it is the dumb protocol's discovery, which reads.
        (b"GET", "info/refs") if query.is_none() => Service::Upload,
        (b"GET", "info/refs") => discovery(forge, query)?,
        (b"POST", "git-upload-pack") => rpc(head, query, "git-upload-pack")?,
        (b"POST", "git-upload-archive") => rpc(head, query, "git-upload-archive")?,
        (b"POST", "git-receive-pack") => rpc(head, query, "git-receive-pack")?,
        (_, rest) if rest.starts_with("ssh-") => return Err(Malformed::InternalRoute),
        (_, "info/refs" | "git-upload-pack" | "git-receive-pack") => return Err(Malformed::MethodUnknown),
        // The dumb protocol: files of the repository, which are its code.
        (b"GET" | b"HEAD", rest) if query.is_none() && is_dumb(rest) => Service::Upload,
        _ => return Err(Malformed::Unclassifiable),
    };
    Ok(Access::new(kind.action(service), target))
}

/// Reads `/<project>/info/refs`, which the forge redirects to the path with `.git`.
pub(crate) fn read_without_suffix(method: &[u8], project_path: &str, query: Option<&str>) -> Result<Access, Malformed> {
    if method != b"GET" {
        return Err(Malformed::MethodUnknown);
    }
    let (kind, target) = owner(Kind::Gitlab, project_path)?;
    Ok(Access::new(kind.action(discovery(Kind::Gitlab, query)?), target))
}

fn owner(forge: Kind, path: &str) -> Result<(Content, TargetRef), Malformed> {
    match forge {
        Kind::Gitlab => gitlab_owner(path),
        // A wiki is the one thing that has a repository of its own beside the code.
        Kind::Gitea | Kind::Generic => {
            let (content, path) =
                path.strip_suffix(".wiki").map_or((Content::Code, path), |path| (Content::Wiki, path));
            if path.to_ascii_lowercase().ends_with(".wiki") {
                return Err(Malformed::GitSuffix);
            }
            Ok((content, TargetRef::Path(project(forge, path)?)))
        }
    }
}

fn gitlab_owner(path: &str) -> Result<(Content, TargetRef), Malformed> {
    let forge = Kind::Gitlab;
    let mut from_right = path.rsplit('/');
    let number = from_right.next().unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let is_snippet = from_right.next() == Some("snippets") && is_number;
    if is_snippet {
        let project_path = path.rsplitn(3, '/').nth(2).unwrap_or_default();
        let target =
            if project_path.is_empty() { TargetRef::None } else { TargetRef::Path(project(forge, project_path)?) };
        return Ok((Content::Snippet, target));
    }
    let (kind, path) = match (path.strip_suffix(".wiki"), path.strip_suffix(".design")) {
        (Some(path), _) => (Content::Wiki, path),
        (None, Some(path)) => (Content::Design, path),
        (None, None) => (Content::Code, path),
    };
    // A suffix behind a suffix, or one in other letters, is a project's own name to some reader.
    let lower = path.to_ascii_lowercase();
    if lower.ends_with(".wiki") || lower.ends_with(".design") {
        return Err(Malformed::GitSuffix);
    }
    Ok((kind, TargetRef::Path(project(forge, path)?)))
}

/// Whether a path is a Git service's, below whatever stands before it.
pub(crate) fn is_rpc(path: &str) -> bool {
    path.ends_with("/git-upload-pack") || path.ends_with("/git-receive-pack")
}

/// Whether a path ends as a repository's service does.
pub(crate) fn is_service(path: &str) -> bool {
    ["/info/refs", "/git-upload-pack", "/git-receive-pack"]
        .iter()
        .any(|service| path.strip_suffix(service).is_some_and(|repository| repository.ends_with(".git")))
}

/// Whether a path lies below a prefix under which the forge draws its routes once more.
pub(crate) fn is_redrawn(path: &str) -> bool {
    path.starts_with("/o/") || path.starts_with("/-/push_from_secondary/")
}

/// Whether a path begins with a word of the forge's own in other letters, which is nobody's: routes tell case, and no
/// group can have that name either.
pub(crate) fn is_reserved_in_other_letters(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    RESERVED.iter().any(|word| *word != first && word.eq_ignore_ascii_case(first))
}

/// Two parsers read this query: one takes the first of two, the other the last. So it is compared byte for byte.
fn discovery(forge: Kind, query: Option<&str>) -> Result<Service, Malformed> {
    let service = query.and_then(|query| query.strip_prefix("service=")).ok_or(Malformed::GitQuery)?;
    let is_one_word = service.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    // GitLab serves archives by its API alone.
    let known = Service::named(service).filter(|_| service != "git-upload-archive" || forge != Kind::Gitlab);
    known.ok_or(if is_one_word && !service.is_empty() { Malformed::GitService } else { Malformed::GitQuery })
}

fn rpc(head: &Head<'_>, query: Option<&str>, name: &str) -> Result<Service, Malformed> {
    if query.is_some() {
        return Err(Malformed::QueryNotEmpty);
    }
    let media = head.one("content-type")?.unwrap_or_default();
    let expected = media.strip_prefix(b"application/x-").and_then(|rest| rest.strip_suffix(b"-request"));
    if expected != Some(name.as_bytes()) {
        return Err(Malformed::GitContentType);
    }
    match head.one("content-encoding")? {
        None | Some(b"gzip") => Service::named(name).ok_or(Malformed::Unclassifiable),
        Some(_) => Err(Malformed::GitContentEncoding),
    }
}

/// The files that the dumb protocol reads, as `git http-backend` serves them.
fn is_dumb(rest: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let Some(object) = rest.strip_prefix("objects/") else { return rest == "HEAD" };
    let pack = object.strip_prefix("pack/pack-");
    let pack = pack.and_then(|pack| pack.strip_suffix(".pack").or(pack.strip_suffix(".idx")));
    match (object, pack, object.split_once('/')) {
        ("info/packs" | "info/alternates" | "info/http-alternates", _, _) => true,
        (_, Some(hash), _) => matches!(hash.len(), 40 | 64) && is_hex(hash),
        (_, None, Some((head, tail))) => {
            head.len() == 2 && matches!(tail.len(), 38 | 62) && is_hex(head) && is_hex(tail)
        }
        (_, None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::Body;
    use super::*;

    fn get(path: &str, query: Option<&str>) -> Result<Access, Malformed> {
        let repository = repository(path)?.ok_or(Malformed::Unclassifiable)?;
        read(Kind::Gitlab, &Head::new(&[], Body::None), b"GET", repository, query)
    }

    fn code(action: Action, path: &str) -> Result<Access, Malformed> {
        Ok(Access::new(action, TargetRef::Path(ProjectPath::parse(path).unwrap())))
    }

    #[test]
    fn the_whole_path_before_git_is_the_project() {
        let upload = Some("service=git-upload-pack");
        assert_eq!(get("/g/s1/s2/p.git/info/refs", upload), code(Action::ReadCode, "g/s1/s2/p"));
        assert_eq!(get("/G/P.git/info/refs", upload), code(Action::ReadCode, "g/p"));
        assert_eq!(get("/g/p.wiki.git/info/refs", upload), code(Action::ReadWiki, "g/p"));
        assert_eq!(get("/g/p.git/info/refs", Some("service=git-receive-pack")), code(Action::WriteCode, "g/p"));
        assert_eq!(get("/snippets/5.git/info/refs", upload), Ok(Access::new(Action::Snippet, TargetRef::None)));
        assert_eq!(get("/g/p.git/HEAD", None), code(Action::ReadCode, "g/p"));
    }

    #[test]
    fn the_query_is_compared_byte_for_byte() {
        for query in [
            Some(""),
            Some("service="),
            Some("service=git-upload-pack&service=git-receive-pack"),
            Some("service=git-upload-pack&x=y"),
            Some("service=git%2Dupload-pack"),
        ] {
            assert_eq!(get("/g/p.git/info/refs", query), Err(Malformed::GitQuery), "{query:?}");
        }
        assert_eq!(get("/g/p.git/info/refs", Some("service=git-other")), Err(Malformed::GitService));
        assert_eq!(get("/g/p.git/info/refs", None), code(Action::ReadCode, "g/p"), "the dumb protocol reads");
    }

    #[test]
    fn a_prefix_of_the_forges_own_is_no_group() {
        let upload = Some("service=git-upload-pack");
        for path in
            ["/-/push_from_secondary/1/g/p.git/info/refs", "/o/org/g/p.git/info/refs", "/API/v4/p.git/info/refs"]
        {
            assert_eq!(get(path, upload), Err(Malformed::ReservedWord), "{path}");
        }
        assert_eq!(get("/g/p.git/x.git/info/refs", upload), Err(Malformed::GitSuffix));
        assert_eq!(get("/g/p.git/ssh-upload-pack", None), Err(Malformed::InternalRoute));
    }

    #[test]
    fn a_suffix_stands_once_and_in_its_letters() {
        let upload = Some("service=git-upload-pack");
        for path in ["/g/p.wiki.design.git/info/refs", "/g/p.WIKI.git/info/refs", "/g/p.Design.git/info/refs"] {
            assert_eq!(get(path, upload), Err(Malformed::GitSuffix), "{path}");
        }
        assert_eq!(get("/g/p.git/objects/info/lfs/objects/batch", None), Err(Malformed::Unclassifiable));
        assert_eq!(get("/g/p.git/objects/info/packs", None), code(Action::ReadCode, "g/p"));
    }

    #[test]
    fn a_push_needs_its_own_content_type() {
        let post = |media: &'static [u8]| {
            let fields = [(&b"content-type"[..], media)];
            read(
                Kind::Gitlab,
                &Head::new(&fields, Body::Follows),
                b"POST",
                repository("/g/p.git/git-receive-pack").unwrap().unwrap(),
                None,
            )
        };
        assert_eq!(post(b"application/x-git-receive-pack-request"), code(Action::WriteCode, "g/p"));
        assert_eq!(post(b"application/x-git-upload-pack-request"), Err(Malformed::GitContentType));
    }
}
