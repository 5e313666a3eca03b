//! Git LFS: `/<project>.git/info/lfs/...` and `/<project>.git/gitlab-lfs/objects/...`.
//!
//! Other forges transfer objects below `info/lfs` too: Gitea at `objects/<oid>`, giftless at `objects/storage/<oid>`.
//! giftless also answers at the repository's own path, without `.git/info/lfs`.

use super::git::{self, Repository};
use super::head::Head;
use super::json::{self, Text};
use super::malformed::Malformed;
use super::params;
use crate::access::{Access, Action, TargetRef};
use crate::choices::Kind;
use crate::facts::ProjectPath;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The head says it.
    Access(Access),
    /// A batch, whose body says it.
    Batch(ProjectPath),
}

/// The repository's path and the endpoint of a request to giftless's own paths, `/<project>/objects/...`.
pub(crate) fn below_project(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    let (project, _) = path.rsplit_once("/objects/")?;
    let endpoint = path.strip_prefix(project)?.strip_prefix('/')?;
    let is_ours = endpoint == "objects/batch" || endpoint.starts_with("objects/storage/");
    // Without `.git` before it, `info/lfs` is the end of a path to giftless and none to Gitea.
    (is_ours && !project.ends_with("/info/lfs")).then_some((project, endpoint))
}

/// Reads the head of an LFS request to a forge that is not GitLab. `endpoint` is what follows `info/lfs/`.
pub(crate) fn read_elsewhere(
    forge: Kind,
    head: &Head<'_>,
    method: &[u8],
    project: &str,
    endpoint: &str,
    query: Option<&str>,
) -> Result<Asked, Malformed> {
    let project = git::project(forge, project)?;
    if let Some(below) = endpoint.strip_prefix("locks") {
        return locks(head, method, project, below, query);
    }
    if query.is_some() {
        return Err(Malformed::QueryNotEmpty);
    }
    let object = endpoint.strip_prefix("objects/").unwrap_or_default();
    let stored = object.strip_prefix("storage/").unwrap_or_default();
    let action = match (method, endpoint) {
        (b"POST", "objects/batch") => return batch(head, project),
        (b"POST", "verify" | "objects/storage/verify") => {
            check_media(head)?;
            Action::UploadLfs
        }
        (b"GET" | b"HEAD", _) if is_oid(object) || is_oid(stored) => Action::DownloadLfs,
        (b"PUT", _) if is_oid(stored) => Action::UploadLfs,
        (b"PUT", _) if !object.is_empty() => upload(object)?,
        (_, "objects/batch" | "verify" | "objects/storage/verify") => return Err(Malformed::MethodUnknown),
        _ if is_oid(object) || is_oid(stored) => return Err(Malformed::MethodUnknown),
        _ => return Err(Malformed::Unclassifiable),
    };
    Ok(access(action, project))
}

/// Whether what follows `.git/` is LFS.
pub(crate) fn is_lfs(rest: &str) -> bool {
    rest.starts_with("info/lfs") || rest.starts_with("gitlab-lfs")
}

/// Reads the head of an LFS request to GitLab.
pub(crate) fn read(
    head: &Head<'_>,
    method: &[u8],
    repository: Repository<'_>,
    query: Option<&str>,
) -> Result<Asked, Malformed> {
    let project = git::project(Kind::Gitlab, repository.path)?;
    if let Some(below) = repository.rest.strip_prefix("info/lfs/locks") {
        return locks(head, method, project, below, query);
    }
    if query.is_some() {
        return Err(Malformed::QueryNotEmpty);
    }
    let (area, object) = repository.rest.split_once("/objects/").unwrap_or((repository.rest, ""));
    let action = match (method, area, object) {
        (b"POST", "info/lfs", "batch") => return batch(head, project),
        (b"GET" | b"HEAD", "gitlab-lfs", oid) if is_oid(oid) => Action::DownloadLfs,
        (b"PUT", "gitlab-lfs", object) => upload(object)?,
        (_, "info/lfs" | "gitlab-lfs", _) => return Err(Malformed::MethodUnknown),
        _ => return Err(Malformed::Unclassifiable),
    };
    Ok(access(action, project))
}

/// Reads the body of a batch request: the `operation`, and nothing of the objects.
pub(crate) fn operation(body: &[u8]) -> Result<Action, Malformed> {
    let members = json::texts(body)?;
    if members.iter().any(|(name, _)| name != "operation" && params::is_spelling_of(name, "operation")) {
        return Err(Malformed::JsonDuplicateKey);
    }
    match members.iter().find(|(name, _)| name == "operation").map(|(_, value)| value) {
        Some(Text::Said(operation)) if operation == "download" => Ok(Action::DownloadLfs),
        Some(Text::Said(operation)) if operation == "upload" => Ok(Action::UploadLfs),
        Some(Text::Said(_)) | None => Err(Malformed::LfsOperation),
        Some(Text::Null | Text::Other) => Err(Malformed::LfsOperationType),
    }
}

fn access(action: Action, project: ProjectPath) -> Asked {
    Asked::Access(Access::new(action, TargetRef::Path(project)))
}

fn batch(head: &Head<'_>, project: ProjectPath) -> Result<Asked, Malformed> {
    check_media(head)?;
    match head.one("content-encoding")? {
        None => Ok(Asked::Batch(project)),
        Some(_) => Err(Malformed::BodyEncoding),
    }
}

/// Both types are read as JSON, by whatever forge; in another one some would look for a form.
fn check_media(head: &Head<'_>) -> Result<(), Malformed> {
    let content_type = head.one("content-type")?.unwrap_or_default();
    let end = content_type.iter().position(|b| *b == b';').unwrap_or(content_type.len());
    let (media, parameter) = content_type.split_at_checked(end).ok_or(Malformed::LfsContentType)?;
    let parameter = parameter.strip_prefix(b";").map_or(parameter, <[u8]>::trim_ascii);
    let is_json = media == b"application/vnd.git-lfs+json" || media.eq_ignore_ascii_case(b"application/json");
    let is_plain = parameter.is_empty() || parameter.eq_ignore_ascii_case(b"charset=utf-8");
    if is_json && is_plain { Ok(()) } else { Err(Malformed::LfsContentType) }
}

/// Locks are listed with a query; creating, verifying and removing them takes none but `force`.
fn locks(
    head: &Head<'_>,
    method: &[u8],
    project: ProjectPath,
    below: &str,
    query: Option<&str>,
) -> Result<Asked, Malformed> {
    if method != b"GET" {
        check_media(head)?;
    }
    let pairs = params::query(query.unwrap_or_default())?;
    if pairs.iter().any(|(name, _)| !matches!(name.as_str(), "path" | "id" | "cursor" | "limit" | "refspec" | "force"))
    {
        return Err(Malformed::QueryKey);
    }
    let unlocks = below.strip_prefix('/').and_then(|rest| rest.strip_suffix("/unlock"));
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
    let action = match (method, below) {
        (b"GET", "") => Action::DownloadLfs,
        (b"POST", "" | "/verify") => Action::LockLfs,
        (b"POST", _) if unlocks.is_some_and(is_id) => Action::LockLfs,
        (_, "" | "/verify") => return Err(Malformed::MethodUnknown),
        _ => return Err(Malformed::Unclassifiable),
    };
    Ok(access(action, project))
}

fn upload(object: &str) -> Result<Action, Malformed> {
    let (oid, size) = object.split_once('/').ok_or(Malformed::LfsObject)?;
    if size.ends_with("/authorize") {
        return Err(Malformed::InternalRoute);
    }
    let is_size = !size.is_empty() && size.len() <= 20 && size.bytes().all(|b| b.is_ascii_digit());
    if is_oid(oid) && is_size { Ok(Action::UploadLfs) } else { Err(Malformed::LfsObject) }
}

fn is_oid(oid: &str) -> bool {
    oid.len() == 64 && oid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::super::head::Body;
    use super::*;
    use std::format;

    fn asked(method: &str, path: &str) -> Result<Asked, Malformed> {
        let fields = [(&b"content-type"[..], &b"application/vnd.git-lfs+json; charset=utf-8"[..])];
        read(&Head::new(&fields, Body::None), method.as_bytes(), git::repository(path)?.unwrap(), None)
    }

    fn asked_elsewhere(method: &str, path: &str) -> Result<Asked, Malformed> {
        let fields = [(&b"content-type"[..], &b"application/vnd.git-lfs+json"[..])];
        let (project, endpoint) = path
            .split_once(".git/info/lfs/")
            .map(|(project, endpoint)| (project.strip_prefix('/').unwrap(), endpoint))
            .or_else(|| below_project(path))
            .ok_or(Malformed::Unclassifiable)?;
        read_elsewhere(Kind::Generic, &Head::new(&fields, Body::None), method.as_bytes(), project, endpoint, None)
    }

    #[test]
    fn other_forges_transfer_objects_at_paths_of_their_own() {
        let oid = "a".repeat(64);
        let batch = || Ok(Asked::Batch(ProjectPath::parse("g/p").unwrap()));
        for before in ["/g/p.git/info/lfs", "/g/p"] {
            assert_eq!(asked_elsewhere("POST", &format!("{before}/objects/batch")), batch());
            assert_eq!(asked_elsewhere("GET", &format!("{before}/objects/storage/{oid}")), is(Action::DownloadLfs));
            assert_eq!(asked_elsewhere("PUT", &format!("{before}/objects/storage/{oid}")), is(Action::UploadLfs));
            assert_eq!(asked_elsewhere("POST", &format!("{before}/objects/storage/verify")), is(Action::UploadLfs));
            let deleted = asked_elsewhere("DELETE", &format!("{before}/objects/storage/{oid}"));
            assert_eq!(deleted, Err(Malformed::MethodUnknown));
        }
        assert_eq!(asked_elsewhere("GET", &format!("/g/p.git/info/lfs/objects/{oid}")), is(Action::DownloadLfs));
        assert_eq!(asked_elsewhere("PUT", &format!("/g/p.git/info/lfs/objects/{oid}/12")), is(Action::UploadLfs));
        assert_eq!(asked_elsewhere("POST", "/g/p.git/info/lfs/verify"), is(Action::UploadLfs));
        assert_eq!(asked_elsewhere("POST", "/g/p.git/info/lfs/locks/7/unlock"), is(Action::LockLfs));
        assert_eq!(asked_elsewhere("PUT", "/g/p.git/info/lfs/objects/AA/12"), Err(Malformed::LfsObject));
        assert_eq!(
            asked_elsewhere("POST", "/g/p/info/lfs/objects/batch"),
            Err(Malformed::Unclassifiable),
            "two forges read two projects from it"
        );
        assert_eq!(asked_elsewhere("POST", "/p/objects/batch"), Err(Malformed::ProjectShort));
    }

    fn is(action: Action) -> Result<Asked, Malformed> {
        Ok(access(action, ProjectPath::parse("g/p").unwrap()))
    }

    #[test]
    fn routes() {
        let oid = "a".repeat(64);
        assert_eq!(
            asked("POST", "/g/p.git/info/lfs/objects/batch"),
            Ok(Asked::Batch(ProjectPath::parse("g/p").unwrap()))
        );
        assert_eq!(asked("GET", "/g/p.git/info/lfs/locks"), is(Action::DownloadLfs));
        assert_eq!(asked("POST", "/g/p.git/info/lfs/locks/verify"), is(Action::LockLfs));
        assert_eq!(asked("POST", "/g/p.git/info/lfs/locks/7/unlock"), is(Action::LockLfs));
        assert_eq!(asked("GET", &format!("/g/p.git/gitlab-lfs/objects/{oid}")), is(Action::DownloadLfs));
        assert_eq!(asked("PUT", &format!("/g/p.git/gitlab-lfs/objects/{oid}/12")), is(Action::UploadLfs));
        assert_eq!(
            asked("PUT", &format!("/g/p.git/gitlab-lfs/objects/{oid}/12/authorize")),
            Err(Malformed::InternalRoute)
        );
        assert_eq!(asked("PUT", "/g/p.git/gitlab-lfs/objects/AA/12"), Err(Malformed::LfsObject));
    }

    #[test]
    fn the_operation_has_one_reading() {
        assert_eq!(operation(br#"{"operation":"download"}"#), Ok(Action::DownloadLfs));
        assert_eq!(operation(br#"{"\u006fperation":"upload"}"#), Ok(Action::UploadLfs));
        assert_eq!(operation(br#"{"operation":"download","operation":"upload"}"#), Err(Malformed::JsonDuplicateKey));
        assert_eq!(operation(br#"{"operation":"download","Operation":"upload"}"#), Err(Malformed::JsonDuplicateKey));
        assert_eq!(operation(br#"{"operation":["upload"]}"#), Err(Malformed::LfsOperationType));
        assert_eq!(operation(b"[]"), Err(Malformed::JsonSyntax));
    }
}
