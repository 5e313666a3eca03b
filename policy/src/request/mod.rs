//! From the bytes of a request to a [`Reading`]: not a job's, a job's accesses, or refused.
//!
//! One canonical spelling passes and every other is refused, but only where a job token is present: whatever carries
//! none is left to the forge. This room knows neither facts nor rules.

mod anybody;
mod api;
mod bare;
mod bearer;
mod body;
mod carriers;
mod credential;
mod dependency_proxy;
mod generic;
mod git;
mod gitea;
mod head;
mod hygiene;
pub(crate) mod json;
mod lfs;
mod look;
mod malformed;
mod minted;
mod multipart;
mod params;
mod path;
mod readers;
mod refused;
mod registry;
mod registry_token;
mod runner;
mod scan;
pub(crate) mod token;
mod trace_context;

use alloc::vec::Vec;

use crate::access::{Access, Action, Protocol, TargetRef};
pub use api::{Carriers, Endpoint, Instead, Span, endpoints};
pub use bare::Bare;
pub(crate) use bearer::Extent;
pub use body::Pending;
pub use gitea::{GITEA, REGISTRIES as GITEA_REGISTRIES};
pub use head::{BODY_LIMIT, Body, Head};
pub use malformed::Malformed;
pub(crate) use minted::{lifetime, signed};
pub use refused::Refused;
pub use registry_token::TokenRequest;
pub use runner::Progress;
pub use scan::Scan;
pub(crate) use token::{may_hold as may_hold_token, parse as job_token};
pub use trace_context::TraceContext;

use crate::choices::{Bodies, CredentialSlots, Kind, UnlistedEndpoints};
use crate::config::Forge;
use crate::facts::{Host, Secret};
use api::{Caller, Route};
use credential::{Carrier, Credential, Persons};

/// What the head of a request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// It carries no job token: it is not ours to judge.
    NotAJob,
    /// Its head carries none, and it goes on at once. Its body could carry one, and is looked through as it passes.
    Passing(Scan),
    /// It carries one, or may carry one, and says what it asks for.
    Job(JobRequest),
    /// Only its body says whose it is, or what it asks for.
    Body(Pending),
    /// It carries a job token, or could not be told, and cannot be read in one way.
    Refused(Refused),
}

/// A job's request, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// The job's token; where the claim says that it was made from one, what is signed of it.
    pub token: Secret,
    /// Whether it is known to be one.
    pub claim: Claim,
    /// In whose words it is answered.
    pub protocol: Protocol,
    /// What it asks for; at least one, unless the claim says that it cannot be read.
    pub accesses: Vec<Access>,
    /// A request for a registry token, whose scopes can be narrowed.
    pub scopes: Option<TokenRequest>,
    /// What an update of the job's state says.
    pub progress: Progress,
    /// Which credentials the forge may make for it, if any.
    pub mints: Option<Mints>,
    /// The request without its token, where that may go on and can be had.
    pub bare: Option<Bare>,
    /// What must look at the body before it goes on.
    pub scan: Option<Scan>,
    /// Whether it is a JWT that says nothing to GitLab by which it may have been made from a job's token.
    pub is_silent: bool,
}

/// Credentials that the forge makes for who shows a job's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mints {
    /// The registry's, or the dependency proxy's.
    RegistryToken,
    /// Those of an answer to an LFS batch.
    LfsCredentials,
}

/// Whether a credential says of itself that it is a job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It does: by its own beginning, its user name or its field.
    Marked,
    /// It does not. The lookup may call it somebody else's, and then the request is left to the forge, also where a
    /// job's would be refused for this.
    Unmarked(Option<Malformed>),
    /// It is a JWT, and the forge may have made it from a job's token. Only what was remembered when it was made can tell.
    /// If it was not, it is as with `Unmarked`.
    Minted(Option<Malformed>),
    /// It does, and the request cannot be read. What it asks is what it seems to ask.
    Unread(Malformed),
}

impl Claim {
    /// Why it is refused where it is a job's.
    #[must_use]
    pub fn malformed(self) -> Option<Malformed> {
        match self {
            Self::Marked => None,
            Self::Unmarked(malformed) | Self::Minted(malformed) => malformed,
            Self::Unread(malformed) => Some(malformed),
        }
    }
}

impl JobRequest {
    /// A request that says of itself that it is a job's, and asks for these accesses and nothing besides.
    #[must_use]
    pub fn new(token: Secret, protocol: Protocol, accesses: Vec<Access>) -> Self {
        Self {
            token,
            claim: Claim::Marked,
            protocol,
            accesses,
            scopes: None,
            progress: Progress::Going,
            mints: None,
            bare: None,
            scan: None,
            is_silent: false,
        }
    }

    /// A request that cannot be read, with a credential of which nobody knows yet whether it is a job's.
    fn unread(token: Secret, protocol: Protocol, claim: Claim) -> Self {
        Self { claim, ..Self::new(token, protocol, Vec::new()) }
    }

    /// Whether it is a runner's report on its job.
    #[must_use]
    pub fn is_runners_report(&self) -> bool {
        let reports = |access: &Access| matches!(access.action, Action::UpdateJob | Action::TraceJob);
        !self.accesses.is_empty() && self.accesses.iter().all(reports)
    }

    /// Whether it asks for what a job left behind, by the job's number alone.
    #[must_use]
    pub fn names_a_job(&self) -> bool {
        self.accesses.iter().any(|access| matches!(access.target, TargetRef::ProjectOfJob(_)))
    }

    /// Whether its credential may have been made from a job's token by what it says of itself.
    #[must_use]
    pub(crate) fn may_be_jobs(&self, forge: &Forge) -> bool {
        let is_silent = self.is_silent && forge.kind == Kind::Gitlab;
        !is_silent && minted::may_be_jobs(forge, &self.token)
    }

    /// What is signed of its credential, where that is a JWT.
    #[must_use]
    pub fn signed(&self) -> Option<Secret> {
        minted::signed(self.token.expose())
    }
}

impl Reading {
    /// What it is with its whole body. What must be looked at in a job's upload is left to that.
    #[must_use]
    pub fn finish(self, body: &[u8]) -> Self {
        match self {
            Self::Body(pending) => pending.finish(body),
            Self::Passing(mut scan) => scan.feed(body).map_or_else(Self::Refused, |()| Self::NotAJob),
            Self::NotAJob | Self::Job(_) | Self::Refused(_) => self,
        }
    }

    /// What was read with a credential that may be anybody's.
    fn unmarked(self, token: Secret) -> Self {
        match self {
            // A person's upload is not looked through; and a job's that would have to be is not stripped.
            Self::Job(request) => {
                let bare = request.bare.filter(|_| request.scan.is_none());
                Self::Job(JobRequest { claim: Claim::Unmarked(None), bare, scan: None, ..request })
            }
            Self::Body(pending) => Self::Body(pending.unmarked(token)),
            Self::Refused(Refused { protocol, malformed, seems, .. }) => Self::Job(JobRequest {
                accesses: seems,
                ..JobRequest::unread(token, protocol, Claim::Unmarked(Some(malformed)))
            }),
            Self::NotAJob | Self::Passing(_) => self,
        }
    }

    /// What was read with a credential that may have been made from a job's token.
    fn minted(self, token: Secret, is_silent: bool) -> Self {
        let unread = |token, protocol, malformed| {
            let claim = Claim::Minted(Some(malformed));
            Self::Job(JobRequest { is_silent, ..JobRequest::unread(token, protocol, claim) })
        };
        match self {
            Self::Job(request) => Self::Job(JobRequest { claim: Claim::Minted(None), is_silent, ..request }),
            // What says in its body what it asks takes the token itself.
            Self::Body(pending) => unread(token, pending.protocol(), Malformed::Carrier),
            Self::Refused(Refused { protocol, malformed, .. }) => unread(token, protocol, malformed),
            Self::NotAJob | Self::Passing(_) => self,
        }
    }

    /// The same, and what it is without its token.
    fn with_bare(self, bare: Option<Bare>) -> Self {
        match self {
            Self::Job(request) => Self::Job(JobRequest { bare, ..request }),
            Self::Body(pending) => Self::Body(pending.with_bare(bare)),
            Self::NotAJob | Self::Passing(_) | Self::Refused(_) => self,
        }
    }
}

/// Reads the head of a request.
#[must_use]
pub fn read(forge: &Forge, head: &Head<'_>) -> Reading {
    let refused = |malformed| Reading::Refused(Refused::of_head(forge, head, malformed));
    let (Some(_), Some(_)) = (head.path(), head.method()) else {
        return refused(if head.path().is_none() { Malformed::NoPath } else { Malformed::NoMethod });
    };
    let (credential, persons) = credential::find(forge.kind, head);
    let reading = match credential {
        Credential::Refused(malformed) => Err(malformed),
        Credential::None => Ok(body::without_job(forge, head, None)),
        Credential::Foreign(foreign) => match body::without_job(forge, head, Some(foreign)) {
            passes @ (Reading::NotAJob | Reading::Passing(_)) => match with_minted(forge, head, &persons) {
                Ok(Reading::NotAJob) => Ok(passes),
                read => read,
            },
            read @ (Reading::Body(_) | Reading::Job(_) | Reading::Refused(_)) => Ok(read),
        },
        Credential::Job(carrier, token) => with_token(forge, head, &[carrier], token),
        Credential::Same(carriers, token) => with_token(forge, head, &carriers, token),
        Credential::Unmarked(token, carrier) => {
            let read = carrier.and_then(|carrier| with_token(forge, head, &[carrier], token.clone()));
            Ok(read.unwrap_or_else(refused).unmarked(token))
        }
    };
    let reading = match (forge.kind, reading.unwrap_or_else(refused)) {
        (Kind::Gitlab, reading) | (Kind::Gitea | Kind::Generic, reading @ Reading::Refused(_)) => reading,
        (Kind::Gitea | Kind::Generic, reading) => generic::with_form(forge, head, reading),
    };
    match forge.bodies {
        Bodies::Judge => reading,
        Bodies::Leave => reading.by_head(head),
    }
}

/// A request whose credential is no job's token. It may have been made from one.
fn with_minted(forge: &Forge, head: &Head<'_>, persons: &Persons<'_>) -> Result<Reading, Malformed> {
    let Some(jwt) = minted::find(forge, head, persons)? else { return Ok(Reading::NotAJob) };
    let read = jwt.carrier.and_then(|carrier| with_token(forge, head, &[carrier], jwt.signed.clone()));
    let refused = |malformed| Reading::Refused(Refused::new(protocol_of(forge, head), malformed));
    Ok(read.unwrap_or_else(refused).minted(jwt.signed, jwt.is_silent))
}

/// A request whose head has one token.
fn with_token(forge: &Forge, head: &Head<'_>, carriers: &[Carrier], token: Secret) -> Result<Reading, Malformed> {
    hygiene::check(head)?;
    let bare = match (forge.unlisted_endpoints, forge.credential_slots) {
        (UnlistedEndpoints::Deny, CredentialSlots::Off) => None,
        (UnlistedEndpoints::Strip, _) | (_, CredentialSlots::On) => bare::of(head, &token),
    };
    let reading = match forge.kind {
        Kind::Gitlab => with_job(forge, head, carriers, token),
        Kind::Gitea | Kind::Generic => generic::with_job(forge, head, carriers, token),
    };
    Ok(match reading?.with_bare(bare) {
        Reading::Job(request) if request.bare.is_none() && anybody::asks(&request.accesses) => {
            Reading::Job(JobRequest { bare: bare::of(head, &request.token), ..request })
        }
        reading @ (Reading::Job(_)
        | Reading::NotAJob
        | Reading::Passing(_)
        | Reading::Body(_)
        | Reading::Refused(_)) => reading,
    })
}

fn job(token: Secret, protocol: Protocol, access: Access) -> Reading {
    jobs(token, protocol, alloc::vec![access])
}

fn jobs(token: Secret, protocol: Protocol, accesses: Vec<Access>) -> Reading {
    Reading::Job(JobRequest::new(token, protocol, accesses))
}

/// The front of a request with a job token: what every protocol needs to be plain.
struct Front<'a> {
    method: &'a [u8],
    raw: &'a [u8],
    target: path::Target<'a>,
    site: Site,
}

/// Which of the configuration's hosts a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    Forge,
    Registry,
}

impl<'a> Front<'a> {
    fn of(forge: &Forge, head: &Head<'a>) -> Result<Self, Malformed> {
        let authority = head.one(":authority")?.ok_or(Malformed::Host)?;
        let method = head.one(":method")?.ok_or(Malformed::NoMethod)?;
        let raw = head.one(":path")?.ok_or(Malformed::NoPath)?;
        let known = |host: &dyn Fn(&Host) -> bool| match () {
            () if forge.registry_hosts.iter().any(host) => Some(Site::Registry),
            () if forge.hosts.iter().any(host) => Some(Site::Forge),
            () => None,
        };
        // Most clients write a host as it is kept.
        let site = match known(&|host| host.as_str().as_bytes() == authority) {
            Some(site) => site,
            None => {
                let authority = Host::of_authority(authority).ok_or(Malformed::Host)?;
                known(&|host| *host == authority).ok_or(Malformed::UnknownHost)?
            }
        };
        let root = if site == Site::Registry { "" } else { forge.relative_url_root.as_str() };
        let target = path::target(raw, root)?;
        check_method(head, method)?;
        Ok(Self { method, raw, target, site })
    }
}

/// A request to GitLab whose head has one job token.
fn with_job(forge: &Forge, head: &Head<'_>, carriers: &[Carrier], token: Secret) -> Result<Reading, Malformed> {
    let Front { method, raw, target, site } = Front::of(forge, head)?;
    let is_registry = site == Site::Registry;
    let only = |allowed: &[Carrier]| only(carriers, allowed);
    // The API's values alone hold encoded slashes.
    if !target.path.starts_with("/api/") && path::has_encoded_slash(target.path) {
        return Err(Malformed::EncodedSlash);
    }
    if !is_registry && git::is_redrawn(target.path) {
        return Err(Malformed::InternalRoute);
    }
    if !is_registry && dependency_proxy::is_below(target.path) {
        only(&[Carrier::Basic, Carrier::Bearer, Carrier::Jwt, Carrier::Minted])?;
        let access = dependency_proxy::read(method, target.path, target.query)?;
        return Ok(job(token, Protocol::Registry, access));
    }
    if target.path.starts_with("/v2/") || target.path == "/v2" {
        only(&[Carrier::Basic, Carrier::Minted])?;
        refuse_form(head)?;
        let accesses = registry::read(forge.kind, method, target.path, target.query)?;
        return Ok(jobs(token, Protocol::Registry, accesses));
    }
    if is_registry {
        return Err(Malformed::Unclassifiable);
    }
    if target.path == "/jwt/auth/" {
        return Err(Malformed::TrailingSlash);
    }
    if target.path.starts_with("/jwt/") {
        if target.path != "/jwt/auth" {
            return Err(Malformed::TokenPath);
        }
        only(&[Carrier::Basic])?;
        if head.body() == Body::Follows {
            return token_form(head, registry_token::post(&Front { method, raw, target, site }), token);
        }
        let raw_path = core::str::from_utf8(raw).unwrap_or_default().split('?').next().unwrap_or_default();
        let scopes = registry_token::read(method, raw_path, target.query)?;
        let accesses = scopes.accesses();
        let protocol = Protocol::RegistryToken;
        let request = JobRequest::new(token, protocol, accesses);
        return Ok(Reading::Job(JobRequest { scopes: Some(scopes), mints: Some(Mints::RegistryToken), ..request }));
    }
    if target.path.starts_with("/api/") {
        // One part of the forge takes every path with that end for Git's (Workhorse), another goes by the beginning.
        if git::is_service(target.path) {
            return Err(Malformed::ReservedWord);
        }
        return with_job_on_api(forge, head, target, carriers, token);
    }
    if anybody::is_agents(target.path) {
        only(&[Carrier::Agent])?;
        return Ok(job(token, Protocol::Web, Access::new(Action::UseAgent, TargetRef::Own)));
    }
    if let Some(access) = anybody::read(method, target)? {
        only(&[Carrier::Basic, Carrier::Bearer, Carrier::JobToken])?;
        return Ok(job(token, Protocol::Web, access));
    }
    if git::is_address(target.path) {
        return Err(Malformed::GitAddress);
    }
    if let Some(repository) = git::repository(target.path)? {
        path::check_segments(target.path)?;
        only(&[Carrier::Basic, Carrier::Minted])?;
        if !lfs::is_lfs(repository.rest) {
            return Ok(job(token, Protocol::Git, git::read(Kind::Gitlab, head, method, repository, target.query)?));
        }
        return in_lfs(head, token, lfs::read(head, method, repository, target.query)?);
    }
    if let Some(project) = target.path.strip_suffix("/info/refs") {
        path::check_segments(target.path)?;
        only(&[Carrier::Basic])?;
        let project = project.strip_prefix('/').unwrap_or(project);
        return Ok(job(token, Protocol::Git, git::read_without_suffix(method, project, target.query)?));
    }
    Err(match () {
        () if git::is_rpc(target.path) => Malformed::GitNoSuffix,
        () if git::is_reserved_in_other_letters(target.path) => Malformed::ReservedWord,
        () => Malformed::WebRoute,
    })
}

/// A request for a registry token that has a body, which is to be a form.
fn token_form(head: &Head<'_>, why: Malformed, token: Secret) -> Result<Reading, Malformed> {
    let is_form = why == Malformed::TokenPost && body::is_form(head)?;
    let want = body::Want::TokenForm(Some(token));
    if is_form { Ok(Reading::Body(Pending::new(Protocol::RegistryToken, want))) } else { Err(why) }
}

/// What an LFS request asks for, or the body that says it.
fn in_lfs(head: &Head<'_>, token: Secret, asked: lfs::Asked) -> Result<Reading, Malformed> {
    match asked {
        lfs::Asked::Access(access) => Ok(job(token, Protocol::Lfs, access)),
        lfs::Asked::Batch(_) if head.body() == Body::None => Err(Malformed::LfsOperation),
        lfs::Asked::Batch(project) => {
            let want = body::Want::LfsBatch(token, TargetRef::Path(project));
            Ok(Reading::Body(Pending::new(Protocol::Lfs, want)))
        }
    }
}

/// Whether every token stands where this kind of request takes one.
fn only(carriers: &[Carrier], allowed: &[Carrier]) -> Result<(), Malformed> {
    let other = carriers.iter().find(|carrier| !allowed.contains(carrier));
    other.map_or(Ok(()), |other| Err(other.misplaced()))
}

/// What the API's method, path and head say. Where a forge has no table, no job token is for any of it.
fn route(forge: &Forge, head: &Head<'_>, path: &str) -> Result<Route, Malformed> {
    let route = match forge.kind {
        Kind::Gitlab => {
            let Forge { version, endpoints, .. } = forge;
            api::read(*version, endpoints, head.method().unwrap_or_default(), path)?.with_head(head)
        }
        Kind::Gitea => gitea::read(head.method().unwrap_or_default(), path)?,
        Kind::Generic => Route::unlisted(TargetRef::None),
    };
    let is_stripped = route.access.action == Action::Unlisted && forge.unlisted_endpoints == UnlistedEndpoints::Strip;
    // Without the token in the head, the forge would take one that stands in the body.
    Ok(if is_stripped { Route { body: api::Body::Upload, ..route } } else { route })
}

fn check_method(head: &Head<'_>, method: &[u8]) -> Result<(), Malformed> {
    match method {
        b"GET" | b"HEAD" if head.body() == Body::Follows => Err(Malformed::BodyOnGet),
        b"GET" | b"HEAD" | b"POST" | b"PUT" | b"PATCH" | b"DELETE" => Ok(()),
        _ if method.iter().all(u8::is_ascii_uppercase) => Err(Malformed::MethodUnknown),
        _ => Err(Malformed::MethodSyntax),
    }
}

/// A registry reads `from` and `mount` from a form too, and there it reads them first.
fn refuse_form(head: &Head<'_>) -> Result<(), Malformed> {
    let media = head.media_type()?.to_ascii_lowercase();
    let is_form =
        media == b"application/x-www-form-urlencoded" || media.starts_with(b"multipart/") || media.contains(&b',');
    if is_form { Err(Malformed::RegistryForm) } else { Ok(()) }
}

fn with_job_on_api(
    forge: &Forge,
    head: &Head<'_>,
    target: path::Target<'_>,
    carriers: &[Carrier],
    token: Secret,
) -> Result<Reading, Malformed> {
    let route = route(forge, head, target.path)?;
    if let Some(carrier) = carriers.iter().find(|carrier| !route.carriers.admit(**carrier)) {
        return Err(carrier.misplaced());
    }
    if let Some(query) = target.query {
        let query = params::query(query)?;
        runner::refuse_state(&route, &query)?;
        route.refuse_other_project(&query, Malformed::QueryNotEmpty)?;
    }
    if head.body() == Body::None {
        // A final state is said in a body; an update without one ends nothing.
        return Ok(job(token, protocol_of_route(&route), route.access));
    }
    body::beside_token(forge.kind, head, carriers, token, route)
}

fn protocol_of_route(route: &Route) -> Protocol {
    match route.caller {
        Caller::Runner => Protocol::Runner,
        Caller::Client if route.access.action == Action::TriggerPipeline => Protocol::Trigger,
        Caller::Client => Protocol::Api,
    }
}

fn is_registry(forge: &Forge, head: &Head<'_>) -> bool {
    let host = head.authority().and_then(Host::of_authority);
    host.is_some_and(|host| forge.registry_hosts.contains(&host))
}

/// Whether a request is for another host than the configuration's, such as a neighbour behind the same Envoy.
fn is_elsewhere(forge: &Forge, head: &Head<'_>) -> bool {
    let host = head.one(":authority").ok().flatten().and_then(Host::of_authority);
    let lists = [&forge.hosts, &forge.registry_hosts];
    host.is_some_and(|host| !lists.iter().any(|list| list.contains(&host)))
}

/// Whether a request is for this path of the forge, below its root and in its one spelling.
pub(crate) fn is_for(forge: &Forge, head: &Head<'_>, path: &str) -> bool {
    let raw = head.path().and_then(|raw| raw.split(|b| *b == b'?').next());
    // Nearly every request ends here.
    raw.is_some_and(|raw| raw.ends_with(path.as_bytes()))
        && target_on_forge(forge, head).is_some_and(|target| target.path == path)
}

/// Whether a request asks for a JWT of the dependency proxy, whosever it is.
pub(crate) fn asks_for_proxy_token(forge: &Forge, head: &Head<'_>) -> bool {
    let target = target_on_forge(forge, head).filter(|target| target.path == "/jwt/auth");
    head.method() == Some(b"GET")
        && target.and_then(|target| target.query).is_some_and(registry_token::is_for_dependency_proxy)
}

fn target_on_forge<'a>(forge: &Forge, head: &Head<'a>) -> Option<path::Target<'a>> {
    let authority = head.one(":authority").ok()?.and_then(Host::of_authority)?;
    let target = path::target(head.path()?, &forge.relative_url_root).ok()?;
    forge.hosts.contains(&authority).then_some(target)
}

/// In whose words a request is answered, by a look at its path that is never used to decide.
fn protocol_of(forge: &Forge, head: &Head<'_>) -> Protocol {
    let raw = head.path().unwrap_or_default();
    let end = raw.iter().position(|b| *b == b'?').unwrap_or(raw.len());
    let path = raw.get(..end).unwrap_or(raw).to_ascii_lowercase();
    let has = |part: &[u8]| path.windows(part.len()).any(|window| window == part);
    match () {
        () if is_registry(forge, head) || path.starts_with(b"/v2") => Protocol::Registry,
        () if has(b"/jwt/auth") => Protocol::RegistryToken,
        () if has(b"/info/lfs") || has(b"/gitlab-lfs/") || path.ends_with(b"/objects/batch") => Protocol::Lfs,
        () if has(b".git/") || has(b"/info/refs") => Protocol::Git,
        () if has(b"/api/") && has(b"/jobs/") && !has(b"/projects/") => Protocol::Runner,
        () if has(b"/api/") => Protocol::Api,
        () => Protocol::Web,
    }
}

#[cfg(test)]
mod tests;
