//! Requests with a job token to a forge that is not GitLab, read as Gitea, Forgejo and giftless read them.
//!
//! Git, LFS and the registry are judged. Below `/api/` every forge has endpoints of its own; those of Gitea and Forgejo are
//! in a table, and no other's.

use alloc::boxed::Box;

use super::body::Want;
use super::credential::Carrier;
use super::head::{Body, Head};
use super::look::{Counts, Look};
use super::malformed::Malformed;
use super::{
    Front, JobRequest, Mints, Pending, Reading, Refused, Scan, Site, anybody, git, gitea, in_lfs, is_elsewhere, job,
    jobs, lfs, only, params, path, refuse_form, registry, with_job_on_api,
};
use crate::access::{Access, Action, Protocol, TargetRef};
use crate::choices::Kind;
use crate::config::Forge;
use crate::facts::Secret;

/// Where these forges read a job token, whatever is asked.
const CARRIERS: [Carrier; 3] = [Carrier::Basic, Carrier::Bearer, Carrier::Token];

const FORM: &[u8] = b"application/x-www-form-urlencoded";
const PARTS: &[u8] = b"multipart/form-data";

/// A request whose head has one token.
pub(super) fn with_job(
    forge: &Forge,
    head: &Head<'_>,
    carriers: &[Carrier],
    token: Secret,
) -> Result<Reading, Malformed> {
    let Front { method, target, site, .. } = Front::of(forge, head)?;
    if target.path.starts_with("/v2/") || target.path == "/v2" {
        only(carriers, &CARRIERS)?;
        refuse_form(head)?;
        if target.path == "/v2/token" {
            return registry_token(forge.kind, method, carriers, token);
        }
        return Ok(jobs(token, Protocol::Registry, registry::read(forge.kind, method, target.path, target.query)?));
    }
    if site == Site::Registry {
        return Err(Malformed::Unclassifiable);
    }
    if target.path.starts_with("/api/") || forge.kind == Kind::Gitea && target.path.starts_with(gitea::ARTIFACTS) {
        return with_job_on_api(forge, head, target, carriers, token);
    }
    if let Some(access) = anybody::read(method, target)? {
        return Ok(job(token, Protocol::Web, access));
    }
    if git::is_address(target.path) {
        return Err(Malformed::GitAddress);
    }
    if let (Kind::Gitea, Some(access)) = (forge.kind, gitea::on_web(method, target.path)?) {
        only(carriers, &CARRIERS)?;
        return Ok(job(token, Protocol::Web, access));
    }
    let repository = git::repository(target.path)?.or_else(|| git::without_suffix(target.path));
    let in_repository = repository.and_then(|one| Some((one.path, one.rest.strip_prefix("info/lfs/")?)));
    // Giftless alone has this.
    let below_project =
        || lfs::below_project(target.path).filter(|_| repository.is_none() && forge.kind == Kind::Generic);
    let in_lfs_of = in_repository.or_else(below_project);
    if repository.is_none() && in_lfs_of.is_none() {
        return Err(Malformed::WebRoute);
    }
    path::check_segments(target.path)?;
    only(carriers, &CARRIERS)?;
    match (in_lfs_of, repository) {
        (Some((project, endpoint)), _) => {
            in_lfs(head, token, lfs::read_elsewhere(forge.kind, head, method, project, endpoint, target.query)?)
        }
        (None, Some(repository)) => {
            let access = git::read(forge.kind, head, method, repository, target.query)?;
            Ok(job(token, Protocol::Git, access))
        }
        (None, None) => Err(Malformed::WebRoute),
    }
}

/// A request for a registry token. Gitea passes over the scope, and its token is good for all that the job's is: so nothing is asked
/// here, and whoever comes with that token is asked then. Of other forges' tokens nobody knows later whose they are.
fn registry_token(kind: Kind, method: &[u8], carriers: &[Carrier], token: Secret) -> Result<Reading, Malformed> {
    if kind != Kind::Gitea {
        return Ok(job(token, Protocol::RegistryToken, Access::new(Action::RegistryToken, TargetRef::None)));
    }
    only(carriers, &[Carrier::Basic])?;
    if method != b"GET" {
        return Err(Malformed::TokenPost);
    }
    let login = Access::new(Action::RegistryLogin, TargetRef::None);
    let request = JobRequest::new(token, Protocol::RegistryToken, alloc::vec![login]);
    Ok(Reading::Job(JobRequest { mints: Some(Mints::RegistryToken), ..request }))
}

/// Gitea's API takes a token from a form as well, before any in the head, unless it is told not to. So the form is read
/// first, whoever the head names and in whatever way the path is spelled. It reads `multipart/form-data` so too; that streams,
/// and breaks off where it names a credential.
pub(super) fn with_form(forge: &Forge, head: &Head<'_>, reading: Reading) -> Reading {
    let is = |form: &[u8]| {
        head.all("content-type").any(|media| media.windows(form.len()).any(|window| window.eq_ignore_ascii_case(form)))
    };
    // What Go makes ASCII of when it folds case may be either.
    let is_odd =
        || head.all("content-type").flat_map(|media| media.split(|b| *b == b';').next()).any(|media| !media.is_ascii());
    // An archive is made by a POST, too; and a batch may stand behind the parts in which Go found a token.
    let is_read = || {
        let path = params::generous(head.path().unwrap_or_default()).to_ascii_lowercase();
        ["/api/", "/archive/", "/info/lfs/"].iter().any(|part| path.contains(part))
    };
    if head.body() != Body::Follows || !(is(FORM) || is(PARTS) || is_odd()) || !is_read() || is_elsewhere(forge, head) {
        return reading;
    }
    let look = Look::of(head, Counts::AnyCredential);
    if head.media_type().is_ok_and(|media| media.eq_ignore_ascii_case(FORM)) {
        let pending = Pending::new(Protocol::Api, Want::Form(Box::new(reading)));
        return Reading::Body(match look {
            Some(look) => pending.looking(look),
            None => pending,
        });
    }
    let broken = Refused::new(Protocol::Api, Malformed::Multiple);
    match (reading, look) {
        // Its head is a job's, and says that no parameters follow.
        (Reading::Body(pending), Some(_)) if !pending.is_looked_at() => pending.refuse(Malformed::Multiple),
        // Whatever GitLab would look for in it.
        (Reading::NotAJob | Reading::Passing(_) | Reading::Body(_), Some(look)) => {
            Reading::Passing(Scan::generous(look, broken))
        }
        (Reading::Job(request), Some(look)) if request.scan.is_none() => {
            let broken = broken.by(Some(&request.token)).seeming(request.accesses.first());
            Reading::Job(JobRequest { scan: Some(Scan::generous(look, broken)), ..request })
        }
        (reading, _) => reading,
    }
}
