//! Requests whose body says whose they are, or what they ask: which those are, and how the body is read.

use alloc::boxed::Box;
use alloc::vec::Vec;

use memchr::memmem;

use super::access::{Access, Action, Protocol, TargetRef};
use super::api::{self, Caller, Route};
use super::credential::{Carrier, Foreign, candidate};
use super::head::{BODY_LIMIT, Body, Head};
use super::malformed::Malformed;
use super::multipart::{self, Spelling};
use super::params::{self, Found, Media, Pairs};
use super::runner::{self, Progress};
use super::scan::Scan;
use super::{
    Bare, Claim, Front, JobRequest, Mints, Reading, Refused, bare, hygiene, is_elsewhere, is_registry, job, lfs, path,
    protocol_of, protocol_of_route, route,
};
use crate::Config;
use crate::facts::Secret;

/// A request whose body must be read first. It is bounded: [`BODY_LIMIT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    protocol: Protocol,
    want: Want,
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
    /// Nobody's token: where one stands all the same, the request is refused.
    Nobody(Media),
    /// Nothing, where the content type does not say how it is read: the token of the head, if it has one, and the route.
    Untyped(Option<Secret>, Result<Route, Malformed>),
    /// The parameters of an API request: the token of its head, if it has one, and the route, once there is a token.
    Parameters(Option<Secret>, Media, Result<Route, Malformed>),
}

impl Pending {
    pub(super) fn new(protocol: Protocol, want: Want) -> Self {
        Self { protocol, want, unmarked: None, bare: None }
    }

    /// The same, with a credential in its head that may be anybody's.
    pub(super) fn unmarked(self, token: Secret) -> Self {
        Self { unmarked: Some(token), ..self }
    }

    /// The same, and what its head is without its token.
    pub(super) fn with_bare(self, bare: Option<Bare>) -> Self {
        Self { bare, ..self }
    }

    /// In whose words the request is answered.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// A refusal of this request.
    #[must_use]
    pub fn refuse(&self, malformed: Malformed) -> Reading {
        let refused = Reading::Refused(Refused { protocol: self.protocol, malformed });
        match &self.unmarked {
            Some(token) => refused.unmarked(token.clone()),
            None => refused,
        }
    }

    /// Reads the whole body.
    #[must_use]
    pub fn finish(self, body: &[u8]) -> Reading {
        let Self { protocol, want, unmarked, bare } = self;
        let want = match want {
            Want::Form(reading) => return with_form(protocol, *reading, body),
            want @ (Want::LfsBatch(..) | Want::Nobody(_) | Want::Untyped(..) | Want::Parameters(..)) => want,
        };
        let read = want.parse(protocol, body).map(|reading| match reading {
            // A token that stands in the body, wherever, cannot be removed from it.
            Reading::Job(request) => {
                let bare = bare.filter(|_| !bare::holds(body, &request.token));
                Reading::Job(JobRequest { bare, ..request })
            }
            Reading::NotAJob | Reading::Body(_) | Reading::Refused(_) => reading,
        });
        let reading = read.unwrap_or_else(|malformed| Reading::Refused(Refused { protocol, malformed }));
        match unmarked {
            Some(token) => reading.unmarked(token),
            None => reading,
        }
    }
}

/// What was read of a request whose form may hold a token.
fn with_form(protocol: Protocol, reading: Reading, form: &[u8]) -> Reading {
    let refuse = |malformed| Reading::Refused(Refused { protocol, malformed });
    if form.len() > BODY_LIMIT {
        return refuse(Malformed::BodyTooLarge);
    }
    let in_form: Vec<Secret> = params::credentials(form).iter().filter_map(|value| candidate(value)).collect();
    let is_alone = match &reading {
        Reading::NotAJob => true,
        Reading::Body(pending) => {
            matches!(pending.want, Want::Nobody(_) | Want::Untyped(None, _) | Want::Parameters(None, ..))
        }
        Reading::Job(_) | Reading::Refused(_) => false,
    };
    match (in_form.as_slice(), reading) {
        ([], Reading::Body(pending)) => pending.finish(form),
        ([], reading) => reading,
        ([token], _) if is_alone => {
            Reading::Job(JobRequest::unread(token.clone(), protocol, Claim::Unmarked(Some(Malformed::Carrier))))
        }
        _ => refuse(Malformed::Multiple),
    }
}

impl Want {
    fn parse(self, protocol: Protocol, body: &[u8]) -> Result<Reading, Malformed> {
        if body.len() > BODY_LIMIT {
            return Err(Malformed::BodyTooLarge);
        }
        let (in_head, media, route) = match self {
            Want::LfsBatch(token, target) => {
                let accesses = alloc::vec![Access::new(lfs::operation(body)?, target)];
                let request = JobRequest::new(token, protocol, accesses);
                return Ok(Reading::Job(JobRequest { mints: Some(Mints::LfsCredentials), ..request }));
            }
            // A form within a form.
            Want::Form(_) => return Err(Malformed::FormSyntax),
            Want::Nobody(media) => (None, media, Err(Malformed::Carrier)),
            Want::Untyped(token, route) if body.is_empty() => return beside_nothing(token, route),
            Want::Untyped(None, route) => {
                let is_runner = is_runners(&route);
                return if untyped_may_hold_token(body, is_runner) {
                    route.and(Err(Malformed::BodyType))
                } else {
                    Ok(Reading::NotAJob)
                };
            }
            Want::Untyped(Some(_), route) => return route.and(Err(Malformed::BodyType)),
            Want::Parameters(token, media, route) => (token, media, route),
        };
        let is_runner = is_runners(&route);
        let pairs = match (params::body(&media, body), &in_head) {
            (Ok(pairs), _) => pairs,
            // Nobody's token was seen, and what cannot be read here as parameters no forge reads as a job token
            // unless the text of one stands in it.
            (Err(_), None) if !may_hold_token(&media, body, is_runner) => return Ok(Reading::NotAJob),
            (Err(malformed), _) => return Err(malformed),
        };
        let found = credential(&pairs, is_runner)?;
        let in_body = found.job.map(|(_, token)| token);
        let token = match (in_head, in_body) {
            (None, None) => return Ok(Reading::NotAJob),
            (None, Some(token)) => token,
            // A runner says its token in the header and again in the body.
            (Some(token), Some(same)) if is_runner && token == same => token,
            (Some(token), None) if !found.foreign => token,
            (Some(_), _) => return Err(Malformed::Multiple),
        };
        if params::has(&pairs, "_method") && media != Media::Json {
            return Err(Malformed::Override);
        }
        let route = route?;
        let progress =
            if route.access.action == Action::UpdateJob { runner::progress(&media, body)?.0 } else { Progress::Going };
        let protocol = protocol_of_route(&route);
        Ok(Reading::Job(JobRequest { progress, ..JobRequest::new(token, protocol, alloc::vec![route.access]) }))
    }
}

fn is_runners(route: &Result<Route, Malformed>) -> bool {
    route.as_ref().is_ok_and(|route| route.caller == Caller::Runner)
}

fn credential(pairs: &Pairs, is_runner: bool) -> Result<Found, Malformed> {
    if is_runner { runner::credential(pairs) } else { params::credential(pairs) }
}

fn beside_nothing(token: Option<Secret>, route: Result<Route, Malformed>) -> Result<Reading, Malformed> {
    let Some(token) = token else { return Ok(Reading::NotAJob) };
    let route = route?;
    Ok(job(token, protocol_of_route(&route), route.access))
}

/// Whether a body without a content type holds a job token, as a form or as JSON: the forge's own parts read it both
/// ways.
fn untyped_may_hold_token(body: &[u8], is_runner: bool) -> bool {
    [Media::Form, Media::Json].iter().any(|media| match params::body(media, body) {
        Ok(pairs) => !matches!(credential(&pairs, is_runner), Ok(found) if found.job.is_none()),
        // What is not an object no forge reads as one.
        Err(_) if *media == Media::Json && !body.trim_ascii_start().starts_with(b"{") => false,
        Err(_) => may_hold_token(media, body, is_runner),
    })
}

/// Whether some forge may read a job token in a body that cannot be read here.
fn may_hold_token(media: &Media, body: &[u8], is_runner: bool) -> bool {
    match media {
        // Scripts of people write forms with blanks and stray percent signs. A runner's token may be any text.
        Media::Form if !is_runner => params::form_may_hold_job_token(body),
        Media::Form | Media::Json | Media::Multipart(_) => {
            let small = body.to_ascii_lowercase();
            let has = |text: &[u8]| memmem::find(&small, text).is_some();
            has(b"glcbt") || has(b"token") || has(b"%") || has(b"\\")
        }
    }
}

/// A request whose head has no job token. Its body may have one, where the forge would read it.
pub(super) fn without_job(config: &Config, head: &Head<'_>, foreign: Option<Foreign>) -> Result<Reading, Malformed> {
    let route = match route_for_body(config, head) {
        ForBody::Nothing => return Ok(Reading::NotAJob),
        ForBody::Lfs if foreign.is_some() => return Ok(Reading::NotAJob),
        ForBody::Lfs => return Ok(Reading::Body(Pending::new(Protocol::Lfs, Want::Nobody(Media::Json)))),
        ForBody::Route(route) => route,
    };
    if let Ok(route) = &route {
        // The trigger and the runner's routes look at their parameters, whoever else is named in the head.
        let is_client = route.caller == Caller::Client && route.access.action != Action::TriggerPipeline;
        let is_decided = match (route.body, foreign) {
            (_, Some(Foreign::Decisive)) => is_client,
            (api::Body::Stream, Some(Foreign::ByRoute)) => true,
            (api::Body::Stream | api::Body::Inspect | api::Body::Upload, _) => false,
        };
        // An endpoint that no job token is for reads none; where that costs nobody a large body, it is looked into.
        if is_decided || (route.access.action == Action::Unlisted && is_large(head)) {
            return Ok(Reading::NotAJob);
        }
    }
    let want = match media(head)? {
        Typed::Content => return Ok(Reading::NotAJob),
        Typed::Untyped => Want::Untyped(None, route),
        Typed::Parameters(media) => Want::Parameters(None, media, route),
    };
    Ok(Reading::Body(Pending::new(protocol_of(config, head), want)))
}

/// An API request whose head has a token, and which has a body: whether the body streams, is looked through as it
/// streams, or is read first.
pub(super) fn beside_token(
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
        return job(token, None);
    }
    if media_type == b"multipart/form-data" && route.body != api::Body::Inspect {
        check_encoding(head)?;
        let (boundary, _) = multipart::boundary(head.one("content-type")?.unwrap_or_default())?;
        // A runner says its token in the header and again in the body.
        let same = (route.caller == Caller::Runner).then(|| token.clone());
        return job(token, Some(Scan::new(protocol, &boundary, same)));
    }
    let want = match (media(head)?, route.body) {
        (Typed::Content, api::Body::Inspect) => return Err(Malformed::BodyType),
        (Typed::Content, api::Body::Upload | api::Body::Stream) => return job(token, None),
        (Typed::Untyped, _) => Want::Untyped(Some(token), Ok(route)),
        (Typed::Parameters(media), _) => Want::Parameters(Some(token), media, Ok(route)),
    };
    Ok(Reading::Body(Pending::new(protocol, want)))
}

/// Whether a body says that it is over the limit.
fn is_large(head: &Head<'_>) -> bool {
    let length = head.all("content-length").next().and_then(|length| core::str::from_utf8(length).ok()?.parse().ok());
    length.is_some_and(|length: usize| length > BODY_LIMIT)
}

/// What a body without a token in its head could be for.
enum ForBody {
    /// No forge reads a job token from it.
    Nothing,
    /// LFS takes no credential from a body, and one that stands there is somebody's mistake.
    Lfs,
    /// An endpoint of the API, or a path that cannot be read and may be one.
    Route(Result<Route, Malformed>),
}

fn route_for_body(config: &Config, head: &Head<'_>) -> ForBody {
    if head.body() == Body::None || is_registry(config, head) || is_elsewhere(config, head) {
        return ForBody::Nothing;
    }
    let target = match path::target(head.path().unwrap_or_default(), &config.forge.relative_url_root) {
        // Outside the forge's root nothing of the forge's is.
        Err(Malformed::Prefix) => return ForBody::Nothing,
        Err(malformed) => return ForBody::Route(Err(malformed)),
        Ok(target) => target,
    };
    if target.path == "/jwt/auth" {
        return ForBody::Route(Err(Malformed::TokenPost));
    }
    if target.path.ends_with("/info/lfs/objects/batch") {
        return ForBody::Lfs;
    }
    // No job token is for what the forge's own components tell each other, and that may be large.
    if !target.path.starts_with("/api/v4/") || (api::is_internal(target.path) && is_large(head)) {
        return ForBody::Nothing;
    }
    route_of_body(config, head).unwrap_or_else(|malformed| ForBody::Route(Err(malformed)))
}

/// Whatever a token in the head must satisfy, one in the body must too.
fn route_of_body(config: &Config, head: &Head<'_>) -> Result<ForBody, Malformed> {
    hygiene::check(head)?;
    let front = Front::of(config, head)?;
    let query = params::query(front.target.query.unwrap_or_default())?;
    let is_foreign = params::credential_of_query(&query)?.foreign;
    let route =
        route(config, head, front.target.path).and_then(|route| runner::refuse_state(&route, &query).map(|()| route));
    if !is_foreign {
        return Ok(ForBody::Route(route));
    }
    // The query says whose it is, unless the forge reads parameters from the body: there an empty one would undo that.
    let is_content = match route.as_ref().map(|route| (route.body, route.access.action)) {
        Ok((_, Action::Unlisted)) => is_large(head),
        Ok((api::Body::Stream, _)) => true,
        // Without a type, a form is in a POST alone (Rack).
        Ok((api::Body::Upload, _)) => head.media_type()?.is_empty() && front.method != b"POST",
        Ok((api::Body::Inspect, _)) | Err(_) => false,
    };
    if is_content && params::names_person(&query) { Ok(ForBody::Nothing) } else { Err(Malformed::Multiple) }
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
/// the first of two types that a comma joins; every type with `json` in its name is JSON to Rails.
fn may_hold_parameters(media: &[u8]) -> bool {
    let has = |part: &[u8]| media.windows(part.len()).any(|window| window == part);
    has(b"multipart") || has(b"json") || has(b"x-www-form") || has(b",")
}
