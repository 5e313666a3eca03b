//! Requests whose body says whose they are, or what they ask: which those are, and how the body is read.

mod by_head;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::api::{self, Caller, Route};
use super::credential::{Ambiguous, Carrier, Foreign, candidate};
use super::head::{BODY_LIMIT, Body, Head};
use super::look::{Counts, Look};
use super::malformed::Malformed;
use super::multipart::{self, Spelling};
use super::params::{self, Media};
use super::runner::{self, Progress};
use super::scan::Scan;
use super::{
    Bare, Claim, Front, JobRequest, Mints, Reading, Refused, bare, hygiene, is_elsewhere, is_registry, job, lfs, path,
    protocol_of, protocol_of_route, registry_token, route, token,
};
use crate::access::{Access, Action, Protocol, TargetRef};
use crate::choices::Kind;
use crate::config::Forge;
use crate::facts::Secret;

/// A request whose body must be read first. It is bounded: [`BODY_LIMIT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    protocol: Protocol,
    want: Want,
    /// What looks through the body as it comes, where nothing in the head is a job's, and how much it has seen.
    look: Option<(Look, usize)>,
    /// The credential of its head, where that may be anybody's.
    unmarked: Option<Secret>,
    bare: Option<Bare>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Want {
    /// The operation of a job's LFS batch.
    LfsBatch(Secret, TargetRef),
    /// A form from which another forge may take a token before any in the head; and what else was read.
    Form(Box<Reading>),
    /// A registry token, asked for in a form (OAuth 2); the token of the head, if it has one.
    TokenForm(Option<Secret>),
    /// Nothing, where the content type does not say how it is read: the token of the head, if it has one, and the route.
    Untyped(Option<Secret>, Result<Route, Malformed>),
    /// The parameters of an API request: the token of its head, if it has one, and the route, once there is a token.
    Parameters(Option<Secret>, Media, Result<Route, Malformed>),
}

impl Pending {
    pub(super) fn new(protocol: Protocol, want: Want) -> Self {
        Self { protocol, want, look: None, unmarked: None, bare: None }
    }

    /// The same, and goes on unread unless this finds a token in it.
    pub(super) fn looking(self, look: Look) -> Self {
        Self { look: Some((look, 0)), ..self }
    }

    /// The same, with a credential in its head that may be anybody's.
    pub(super) fn unmarked(self, token: Secret) -> Self {
        Self { unmarked: Some(token), ..self }
    }

    /// The same, and what its head is without its token.
    pub(super) fn with_bare(self, bare: Option<Bare>) -> Self {
        Self { bare, ..self }
    }

    /// Whether the pieces of the body are to be shown to it as they come.
    #[must_use]
    pub fn is_looked_at(&self) -> bool {
        self.look.is_some()
    }

    /// Looks at the next piece of the body, which is held back.
    pub fn feed(&mut self, piece: &[u8]) {
        if let Some((look, seen)) = &mut self.look {
            look.feed(piece);
            *seen = seen.saturating_add(piece.len());
        }
    }

    /// Whether nothing that came so far can be a job's.
    #[must_use]
    pub fn is_nobodys(&self) -> bool {
        self.look.as_ref().is_some_and(|(look, _)| !look.has_found())
    }

    /// Whether nothing that still comes can make it a job's, so that it need not be held back any longer.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.look.as_ref().is_some_and(|(look, _)| look.is_over()) && self.is_nobodys()
    }

    /// What cannot be held back until its end, for whatever reason: it goes on where nothing in it can be a job's, and a
    /// token that still comes does not.
    #[must_use]
    pub fn let_go(self, malformed: Malformed) -> Reading {
        let is_others =
            matches!(&self.want, Want::Form(reading) if !matches!(**reading, Reading::NotAJob | Reading::Passing(_)));
        match self.look {
            Some((look, _)) if look.is_over() && !look.has_found() && !is_others => Reading::NotAJob,
            Some((look, _)) if !look.has_found() && !is_others => {
                Reading::Passing(Scan::generous(look, Refused::new(self.protocol, malformed)))
            }
            _ => self.refuse(malformed),
        }
    }

    /// In whose words the request is answered.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Of a request that cannot be read.
    pub(super) fn refuse(&self, malformed: Malformed) -> Reading {
        let refused = Reading::Refused(self.want.refused(self.protocol, malformed));
        match &self.unmarked {
            Some(token) => refused.unmarked(token.clone()),
            None => refused,
        }
    }

    /// Reads the whole body.
    #[must_use]
    pub fn finish(mut self, body: &[u8]) -> Reading {
        let unseen = self.look.as_ref().and_then(|(_, seen)| body.get(*seen..)).unwrap_or_default();
        self.feed(unseen);
        let is_nobodys = self.is_nobodys();
        let Self { protocol, want, unmarked, bare, .. } = self;
        let want = match want {
            Want::Form(reading) => return with_form(protocol, *reading, body),
            _ if is_nobodys => return Reading::NotAJob,
            want @ (Want::LfsBatch(..) | Want::TokenForm(_) | Want::Untyped(..) | Want::Parameters(..)) => want,
        };
        let read = want.parse(body).map(|reading| match reading {
            // A token that stands in the body, wherever, cannot be removed from it.
            Reading::Job(request) => {
                let bare = bare.filter(|_| !bare::holds(body, &request.token));
                Reading::Job(JobRequest { bare, ..request })
            }
            Reading::NotAJob | Reading::Passing(_) | Reading::Body(_) | Reading::Refused(_) => reading,
        });
        let reading = read.unwrap_or_else(|malformed| {
            let refused = want.refused(protocol, malformed);
            let in_body = if refused.token.is_none() { token::marked(body) } else { None };
            Reading::Refused(refused.by(in_body.as_ref()))
        });
        match unmarked {
            Some(token) => reading.unmarked(token),
            None => reading,
        }
    }
}

/// What was read of a request whose form may hold a token.
fn with_form(protocol: Protocol, reading: Reading, form: &[u8]) -> Reading {
    if form.len() > BODY_LIMIT {
        return Reading::Refused(Refused::new(protocol, Malformed::BodyTooLarge));
    }
    let in_form: Result<Vec<_>, Ambiguous> = params::credentials(form).iter().map(|value| candidate(value)).collect();
    let Ok(in_form) = in_form else { return Reading::Refused(Refused::new(protocol, Malformed::Carrier)) };
    let in_form: Vec<Secret> = in_form.into_iter().flatten().collect();
    let is_alone = match &reading {
        Reading::NotAJob | Reading::Passing(_) => true,
        Reading::Body(pending) => pending.look.is_some(),
        Reading::Job(_) | Reading::Refused(_) => false,
    };
    match (in_form.as_slice(), reading) {
        ([], reading) => reading.finish(form),
        ([token], _) if is_alone => {
            Reading::Job(JobRequest::unread(token.clone(), protocol, Claim::Unmarked(Some(Malformed::Carrier))))
        }
        _ => Reading::Refused(Refused::new(protocol, Malformed::Multiple).by(in_form.first())),
    }
}

impl Want {
    /// A request of which this was wanted, and that cannot be read.
    fn refused(&self, protocol: Protocol, malformed: Malformed) -> Refused {
        let (token, route) = match self {
            Self::LfsBatch(token, _) => (Some(token), None),
            Self::TokenForm(token) => (token.as_ref(), None),
            Self::Untyped(token, route) | Self::Parameters(token, _, route) => (token.as_ref(), route.as_ref().ok()),
            Self::Form(reading) => {
                (if let Reading::Job(request) = &**reading { Some(&request.token) } else { None }, None)
            }
        };
        Refused::new(protocol, malformed).by(token).seeming(route.map(|route| &route.access))
    }

    fn parse(&self, body: &[u8]) -> Result<Reading, Malformed> {
        if body.len() > BODY_LIMIT {
            return Err(Malformed::BodyTooLarge);
        }
        let (in_head, media, route) = match self {
            Want::LfsBatch(token, target) => {
                let accesses = alloc::vec![Access::new(lfs::operation(body)?, target.clone())];
                let request = JobRequest::new(token.clone(), Protocol::Lfs, accesses);
                return Ok(Reading::Job(JobRequest { mints: Some(Mints::LfsCredentials), ..request }));
            }
            Want::TokenForm(in_head) => return with_token_form(in_head.as_ref(), body),
            // A form within a form.
            Want::Form(_) => return Err(Malformed::FormSyntax),
            Want::Untyped(Some(token), route) if body.is_empty() => {
                let route = route.as_ref().map_err(|malformed| *malformed)?;
                return Ok(job(token.clone(), protocol_of_route(route), route.access.clone()));
            }
            // Readers guess, and some would find a token.
            Want::Untyped(_, route) => return Err(route.as_ref().err().copied().unwrap_or(Malformed::BodyType)),
            Want::Parameters(token, media, route) => (token, media, route),
        };
        let is_runner = is_runners(route);
        let pairs = params::body(media, body)?;
        let found = if is_runner { runner::credential(&pairs)? } else { params::credential(&pairs)? };
        let in_body = found.job.map(|(_, token)| token);
        let Some(token) = one(in_head.as_ref(), in_body, found.foreign)? else { return Ok(Reading::NotAJob) };
        if params::has(&pairs, "_method") && *media != Media::Json {
            return Err(Malformed::Override);
        }
        let route = route.as_ref().map_err(|malformed| *malformed)?;
        route.refuse_other_project(&pairs, Malformed::FormDuplicate)?;
        let progress =
            if route.access.action == Action::UpdateJob { runner::progress(&pairs)? } else { Progress::Going };
        let accesses = alloc::vec![route.access.clone()];
        Ok(Reading::Job(JobRequest { progress, ..JobRequest::new(token, protocol_of_route(route), accesses) }))
    }
}

/// The one token of head and body. Runners say theirs in the header and again in the body, and so do some clients.
fn one(in_head: Option<&Secret>, in_body: Option<Secret>, beside_foreign: bool) -> Result<Option<Secret>, Malformed> {
    match (in_head, in_body) {
        (None, in_body) => Ok(in_body),
        (Some(token), Some(same)) if *token == same => Ok(Some(same)),
        (Some(token), None) if !beside_foreign => Ok(Some(token.clone())),
        (Some(_), _) => Err(Malformed::HeadAndBody),
    }
}

/// A form that asks for a registry token as a GET does in its query. It cannot be narrowed, so all of it must be allowed.
fn with_token_form(in_head: Option<&Secret>, form: &[u8]) -> Result<Reading, Malformed> {
    let pairs = params::body(&Media::Form, form)?;
    let found = params::credential(&pairs)?;
    let in_body = found.job.map(|(_, token)| token);
    let Some(token) = one(in_head, in_body, found.foreign)? else { return Ok(Reading::NotAJob) };
    let accesses = registry_token::of_form(pairs)?;
    let request = JobRequest::new(token, Protocol::RegistryToken, accesses);
    Ok(Reading::Job(JobRequest { mints: Some(Mints::RegistryToken), ..request }))
}

fn is_runners(route: &Result<Route, Malformed>) -> bool {
    route.as_ref().is_ok_and(|route| route.caller == Caller::Runner)
}

/// A request whose head has no job token. Its body may have one, where the forge would read it.
///
/// Nothing of people's is held back for that, nor refused for its size: a body is read first where nobody is named in the
/// head and where the forge takes a job's token from it whoever is; every other is looked through as it passes.
pub(super) fn without_job(forge: &Forge, head: &Head<'_>, foreign: Option<Foreign>) -> Reading {
    let place = place(forge, head);
    let counts = match &place {
        Place::Nothing => return Reading::NotAJob,
        Place::Route { route, .. } if is_settled(head, route, foreign) => Counts::BeforePersons,
        Place::Route { route, .. } if is_runners(route) => Counts::Runners,
        Place::Elsewhere | Place::Lfs | Place::Route { .. } => Counts::Usual,
    };
    let Some(look) = Look::of(head, counts) else { return Reading::NotAJob };
    let protocol = protocol_of(forge, head);
    let passing = |look, malformed| Reading::Passing(Scan::generous(look, Refused::new(protocol, malformed)));
    let (route, is_persons) = match place {
        Place::Nothing => return Reading::NotAJob,
        Place::Elsewhere => return passing(look, Malformed::UnknownHost),
        // LFS takes no credential from a body, and one that stands there is somebody's mistake.
        Place::Lfs if foreign.is_some() => return Reading::NotAJob,
        Place::Lfs => return passing(look, Malformed::Carrier),
        // Whether an endpoint is known to take a job's token or not.
        Place::Route { .. } if counts == Counts::BeforePersons => return passing(look, Malformed::Multiple),
        Place::Route { route, is_persons } => (route, is_persons || foreign.is_some()),
    };
    let listed = listed(&route);
    let is_nobodys = !is_persons && head.all("cookie").next().is_none();
    let is_held = match listed {
        Some(route) => !is_persons || route.body == api::Body::Inspect || !heeds_head(route),
        None => is_nobodys,
    };
    let is_packed = head.all("content-encoding").next().is_some();
    // Who unpacks it finds what nobody can look for here; and of people none packs a body and does not say who it is.
    if is_packed && (is_nobodys || foreign != Some(Foreign::Decisive) && inflates(head)) {
        return Reading::Refused(Refused::new(protocol, Malformed::BodyEncoding));
    }
    let strict = media(head);
    match (is_held, strict) {
        (true, Ok(Typed::Parameters(media))) => {
            let is_token_form = media == Media::Form && route == Err(Malformed::TokenPost);
            let want = if is_token_form { Want::TokenForm(None) } else { Want::Parameters(None, media, route) };
            Reading::Body(Pending::new(protocol, want).looking(look))
        }
        (true, Ok(Typed::Untyped)) => Reading::Body(Pending::new(protocol, Want::Untyped(None, route)).looking(look)),
        (_, strict) => {
            let malformed = route.map(|_| ()).and(strict.map(|_| ())).err();
            passing(look, malformed.unwrap_or(if is_persons { Malformed::Multiple } else { Malformed::Carrier }))
        }
    }
}

fn listed(route: &Result<Route, Malformed>) -> Option<&Route> {
    route.as_ref().ok().filter(|route| route.access.action != Action::Unlisted)
}

/// The trigger and the runner's routes look at their parameters, whoever is named in the head.
fn heeds_head(route: &Route) -> bool {
    route.caller == Caller::Client && route.access.action != Action::TriggerPipeline
}

/// Whether somebody's credential in the head decides before nearly all that could stand in the body.
fn is_settled(head: &Head<'_>, route: &Result<Route, Malformed>, foreign: Option<Foreign>) -> bool {
    match foreign {
        Some(Foreign::Decisive) => route.as_ref().is_ok_and(heeds_head),
        Some(Foreign::ByRoute) => {
            listed(route).is_some_and(|route| route.body == api::Body::Stream && !is_untyped(head))
        }
        None => false,
    }
}

/// Whether the forge inflates a body before it looks for parameters: npm's audits alone, however the path is spelled.
fn inflates(head: &Head<'_>) -> bool {
    params::generous(head.path().unwrap_or_default()).to_ascii_lowercase().contains("/npm/v1/security/")
}

fn is_untyped(head: &Head<'_>) -> bool {
    head.all("content-type").all(|value| value.trim_ascii().is_empty())
}

/// An API request whose head has a token, and which has a body: whether the body streams, is looked through as it
/// streams, or is read first.
pub(super) fn beside_token(
    kind: Kind,
    head: &Head<'_>,
    carriers: &[Carrier],
    token: Secret,
    route: Route,
) -> Result<Reading, Malformed> {
    let protocol = protocol_of_route(&route);
    let media_type = head.media_type()?.to_ascii_lowercase();
    // Where no job token is for the endpoint, the one in the head may not get there, and one in the body would.
    let is_bearer = carriers == [Carrier::Bearer] && route.access.action != Action::Unlisted;
    let is_content = match (media_type.as_slice(), route.body) {
        // The forge inflates no body but that of npm's audit, whose client says its token as Bearer.
        (b"application/json", api::Body::Inspect) => {
            is_bearer && protocol == Protocol::Api && head.one("content-encoding")?.is_some()
        }
        // The forge takes a job token as Bearer before any `job_token`.
        (b"application/json", api::Body::Upload) => is_bearer,
        (b"application/json", api::Body::Stream) => true,
        // Without a type, a form is in a POST alone (Rack).
        (b"", api::Body::Upload | api::Body::Stream) => {
            head.method() != Some(b"POST") && route.access.action != Action::Unlisted
        }
        _ => false,
    };
    let job = |token, scan| {
        let accesses = alloc::vec![route.access.clone()];
        Ok(Reading::Job(JobRequest { scan, ..JobRequest::new(token, protocol, accesses) }))
    };
    if is_content {
        // Some names of JSON the forge looks at before the head. What has no type is JSON to it, too; there nothing but Bearer
        // comes before `job_token`.
        let counts = if media_type.is_empty() { Counts::Usual } else { Counts::BeforePersons };
        let broken = Refused::new(protocol, Malformed::HeadAndBody).by(Some(&token)).seeming(Some(&route.access));
        let is_looked_at = kind == Kind::Gitlab && route.caller == Caller::Client;
        return job(token, is_looked_at.then(|| Scan::generous(Look::of_json(counts), broken)));
    }
    if media_type == b"multipart/form-data" && route.body != api::Body::Inspect {
        check_encoding(head)?;
        let (boundary, _) = multipart::boundary(head.one("content-type")?.unwrap_or_default())?;
        // What goes on without the token of its head must not have it in its body.
        let same = (route.access.action != Action::Unlisted).then(|| token.clone());
        let broken = Refused::new(protocol, Malformed::MultipartSyntax).by(Some(&token)).seeming(Some(&route.access));
        return job(token, Some(Scan::new(&boundary, same, broken)));
    }
    let want = match (media(head)?, route.body) {
        (Typed::Content, api::Body::Inspect) => return Err(Malformed::BodyType),
        (Typed::Content, api::Body::Upload | api::Body::Stream) => return job(token, None),
        (Typed::Untyped, _) => Want::Untyped(Some(token), Ok(route)),
        (Typed::Parameters(media), _) => Want::Parameters(Some(token), media, Ok(route)),
    };
    Ok(Reading::Body(Pending::new(protocol, want)))
}

/// For whom a body without a token in its head could be.
enum Place {
    /// For nobody who reads a job token from it.
    Nothing,
    /// For a host that is in no list, at a path of the forge's API: it may be the forge under another name.
    Elsewhere,
    /// For LFS.
    Lfs,
    /// For an endpoint of the API, or a path that cannot be read and may be one.
    Route {
        route: Result<Route, Malformed>,
        /// Whether the query says whose it is, or the path that it is the forge's own.
        is_persons: bool,
    },
}

fn place(forge: &Forge, head: &Head<'_>) -> Place {
    if head.body() == Body::None || is_registry(forge, head) {
        return Place::Nothing;
    }
    let raw = head.path().unwrap_or_default();
    if is_elsewhere(forge, head) {
        // Rails makes one slash of several.
        let path = params::generous(raw).to_ascii_lowercase();
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let is_api = forge.kind == Kind::Gitlab && segments.windows(2).any(|two| two == ["api", "v4"]);
        return if is_api { Place::Elsewhere } else { Place::Nothing };
    }
    let unread = |malformed| Place::Route { route: Err(malformed), is_persons: false };
    let target = match path::target(raw, &forge.relative_url_root) {
        // Outside the forge's root nothing of the forge's is.
        Err(Malformed::Prefix) => return Place::Nothing,
        Err(malformed) => return unread(malformed),
        Ok(target) => target,
    };
    if target.path == "/jwt/auth" {
        let plain = hygiene::check(head).and_then(|()| Front::of(forge, head));
        return unread(plain.map_or_else(|malformed| malformed, |front| registry_token::post(&front)));
    }
    if target.path.ends_with("/info/lfs/objects/batch") {
        return Place::Lfs;
    }
    if !target.path.starts_with("/api/v4/") {
        return Place::Nothing;
    }
    let query = params::query(target.query.unwrap_or_default());
    let names_person = query.as_ref().is_ok_and(params::names_person);
    Place::Route { route: route_of_body(forge, head), is_persons: names_person || api::is_internal(target.path) }
}

/// Whatever a token in the head must satisfy, one in the body must too.
fn route_of_body(forge: &Forge, head: &Head<'_>) -> Result<Route, Malformed> {
    hygiene::check(head)?;
    let front = Front::of(forge, head)?;
    let query = params::query(front.target.query.unwrap_or_default())?;
    if params::credential_of_query(&query)?.foreign {
        // In the body an empty one may stand for it, and then a job's token.
        return Err(Malformed::Multiple);
    }
    let route = route(forge, head, front.target.path)?;
    runner::refuse_state(&route, &query)?;
    route.refuse_other_project(&query, Malformed::QueryNotEmpty).map(|()| route)
}

/// What a content type says of a body.
enum Typed {
    /// How its parameters are written.
    Parameters(Media),
    /// There is no type, so readers guess.
    Untyped,
    /// No forge looks for parameters in it.
    Content,
}

fn media(head: &Head<'_>) -> Result<Typed, Malformed> {
    let media = head.media_type()?.to_ascii_lowercase();
    let media = match media.as_slice() {
        b"" => Typed::Untyped,
        b"application/x-www-form-urlencoded" => Typed::Parameters(Media::Form),
        b"application/json" => Typed::Parameters(Media::Json),
        b"multipart/form-data" => match multipart::boundary(head.one("content-type")?.unwrap_or_default())? {
            (boundary, Spelling::Usual) => Typed::Parameters(Media::Multipart(boundary)),
            (_, Spelling::Other) => return Err(Malformed::MultipartSyntax),
        },
        other if may_hold_parameters(other) => return Err(Malformed::BodyType),
        _ => return Ok(Typed::Content),
    };
    if matches!(media, Typed::Parameters(Media::Form | Media::Json)) && !is_utf8(head)? {
        return Err(Malformed::BodyType);
    }
    check_encoding(head)?;
    Ok(media)
}

/// Whether a body is a form that is read.
pub(super) fn is_form(head: &Head<'_>) -> Result<bool, Malformed> {
    Ok(matches!(media(head)?, Typed::Parameters(Media::Form)))
}

fn check_encoding(head: &Head<'_>) -> Result<(), Malformed> {
    head.one("content-encoding")?.map_or(Ok(()), |_| Err(Malformed::BodyEncoding))
}

/// Whether the content type has no parameter but `charset=utf-8`: what others mean, some readers pass over.
fn is_utf8(head: &Head<'_>) -> Result<bool, Malformed> {
    let content_type = head.one("content-type")?.unwrap_or_default();
    let parameters = content_type.splitn(2, |b| *b == b';').nth(1).unwrap_or_default();
    let parameters = parameters.trim_ascii().to_ascii_lowercase();
    Ok(matches!(parameters.as_slice(), b"" | b"charset=utf-8" | b"charset=\"utf-8\""))
}

/// Whether some server looks for parameters in a body of this type: every multipart type is a form to Rack, and so is
/// the first of two types that a comma joins; every type with `json` in its name is JSON to Rails. To Go a capital I with a
/// dot is an i in another case.
fn may_hold_parameters(media: &[u8]) -> bool {
    let has = |part: &[u8]| media.windows(part.len()).any(|window| window == part);
    has(b"multipart") || has(b"json") || has(b"x-www-form") || has(b",") || !media.is_ascii()
}
