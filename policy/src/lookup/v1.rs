//! Facts from a service of the platform team: `POST /jobscope/v1/lookup` and `GET /jobscope/v1/forge`. Described in `docs/token-lookup.md`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::Value;

use super::answer::{Answer, Fields};
use super::source::{Course, Source, begun, grounded};
use super::{Account, Call, Fact, Principal, Progress, Recall, Value as Landed};
use crate::Config;
use crate::access::Sought;
use crate::access::TargetRef;
use crate::bindings::{Confirmed, DENIES, Moment};
use crate::config::Sources;
use crate::facts::{
    Admission, Affiliation, Context, Credential, Entry, Feature, Features, Found, Grants, GroupRef, Holders, Invalid,
    Job, JobId, JobPush, Level, Link, Origin, Outbound, Permission, Permissions, ProjectId, Role, RunnerId, Standing,
    Target, Token, UserId, Version, Visibility,
};
use crate::failure::Failure;
use crate::json::{self, Json, List, Members, Object, Word, only};

const LOOKUP: &str = "/jobscope/v1/lookup";
const FORGE: &str = "/jobscope/v1/forge";

/// A service of the platform team.
#[derive(Debug)]
pub(super) struct V1;

impl Source for V1 {
    fn start(
        &self,
        max_age: Duration,
        config: &Config,
        account: Option<&Account>,
        fact: Fact,
        _recall: Recall<'_>,
    ) -> (Box<dyn Course>, Progress) {
        account.map_or_else(grounded, |account| begun(Flight::start(max_age, config, account, fact)))
    }

    fn ask_version(&self, _config: &Config, account: &Account) -> Call {
        call("GET", FORGE.into(), account, Vec::new())
    }

    fn read_version(&self, answer: &Answer<'_>) -> Result<Version, Failure> {
        Fields::of(&body(answer)?)?.version("forge_version")
    }
}

/// One question and its answer.
#[derive(Debug)]
struct Flight {
    about: About,
    sources: Arc<Sources>,
    /// How old the service's memory may be.
    max_age: Duration,
    /// From which age on a fact no longer serves.
    max_stale: Duration,
    /// How old what it answered is.
    age: Duration,
}

#[derive(Debug)]
enum About {
    /// For whom the job's user works, as the token says.
    Token(Result<Option<UserId>, Failure>),
    Target(Job),
    Holders,
}

impl Flight {
    fn start(max_age: Duration, config: &Config, account: &Account, fact: Fact) -> (Self, Progress) {
        let call = post(LOOKUP, account, question(&fact, max_age));
        let about = match fact {
            Fact::Token(token) => About::Token(super::on_behalf_of(&token)),
            Fact::Target(_, TargetRef::Held(_)) => About::Holders,
            Fact::Target(job, _) => About::Target(job),
        };
        let (sources, max_stale) = (Arc::clone(&config.facts), config.bindings.max_stale);
        (Self { about, sources, max_age, max_stale, age: Duration::ZERO }, Progress::Going(vec![(0, call)]))
    }

    fn read(&mut self, answer: &Answer<'_>) -> Result<Landed, Failure> {
        let body = body(answer)?;
        let fields = Fields::of(&body)?;
        let landed = match &self.about {
            About::Token(on_behalf_of) => token(&fields, *on_behalf_of).map(Landed::Token),
            About::Target(job) => found(&fields, job, &self.sources).map(Landed::Target),
            About::Holders => return holders(&fields).map(Landed::Target),
        }?;
        // An end is final: it has no age.
        if !matches!(landed, Landed::Token(Token::Ended(_))) {
            self.age = self.age(&fields)?;
        }
        Ok(landed)
    }

    /// How old what was answered is: nothing, where that is not said. What is too old to serve is as good as no answer, and so is
    /// what is too old to deny where no memory was taken.
    fn age(&self, fields: &Fields<'_>) -> Result<Duration, Failure> {
        let age = match fields.0.get("age") {
            None | Some(Value::Null) => Duration::ZERO,
            Some(age) => Duration::from_secs(age.as_u64().ok_or(Failure::LookupAnswer)?),
        };
        match () {
            () if age >= self.max_stale => Err(Failure::LookupStale),
            () if self.max_age.is_zero() && age >= DENIES => Err(Failure::LookupAnswer),
            () => Ok(age),
        }
    }
}

impl Course for Flight {
    fn answer(&mut self, _call: usize, answer: &Answer<'_>) -> Progress {
        Progress::Landed(self.read(answer))
    }

    fn confirmed(&self, began: Moment) -> Confirmed {
        Confirmed::at(began.before(self.age))
    }
}

/// A call. The service is asked in the service account's name alone, also where the question is whose token it is.
pub(super) fn call(method: &'static str, path: String, account: &Account, body: Vec<u8>) -> Call {
    let accept = ("accept", b"application/json".to_vec());
    let headers = [accept].into_iter().chain(account.field("authorization", b"Bearer ")).collect();
    Call { principal: Principal::ServiceAccount, method, path, headers, body }
}

/// A call that sends JSON.
pub(super) fn post(path: &str, account: &Account, body: String) -> Call {
    let mut call = call("POST", path.into(), account, body.into_bytes());
    call.headers.push(("content-type", b"application/json".to_vec()));
    call
}

/// What is asked of a fact, with its members in the order of their names. Who takes no memory does not say so. Who holds
/// something is asked of the forge each time.
fn question(fact: &Fact, max_age: Duration) -> String {
    let max_age = (!max_age.is_zero()).then_some(max_age.as_secs());
    json::object(|it| {
        match fact {
            Fact::Token(token) => {
                it.put("ask", Word("token"));
                it.put_known("max_age", max_age);
                it.put("token", core::str::from_utf8(token.expose()).unwrap_or_default());
            }
            Fact::Target(_, TargetRef::Held(holding)) => {
                it.put("ask", Word("holders"));
                it.put("group", &holding.group);
                it.put("package", package(&holding.sought));
            }
            Fact::Target(job, target) => {
                it.put("ask", Word("target"));
                it.put("job", only("id", job.id.0));
                it.put_known("max_age", max_age);
                it.put(
                    "origin",
                    Object(|it: &mut Members<'_>| {
                        it.put("id", job.origin.id.0);
                        it.put("path", job.origin.path.as_str());
                    }),
                );
                it.put("target", Reference(job, target));
                it.put("user", user(job));
            }
        }
        it.put("version", 1_u64);
    })
}

impl Json for &GroupRef {
    fn write(self, text: &mut String) {
        match self {
            GroupRef::Path(path) | GroupRef::Namespace(path) => only("path", path.as_str()).write(text),
            GroupRef::Id(id) => only("id", id.0).write(text),
        }
    }
}

fn package(sought: &Sought) -> Option<impl Json> {
    let (Sought::Package(package) | Sought::File(package)) = sought else { return None };
    Some(Object(|it: &mut Members<'_>| {
        it.put("names", List(package.names().iter().map(String::as_str)));
        it.put("type", Word(package.registry.name()));
    }))
}

/// What the service said, once it is clear that it spoke.
pub(super) fn body(answer: &Answer<'_>) -> Result<Value, Failure> {
    match answer.status {
        None | Some(502 | 503) => return Err(Failure::LookupUnreachable),
        Some(504) => return Err(Failure::LookupTimeout),
        Some(200) => {}
        Some(429) => return Err(Failure::LookupThrottled),
        Some(401 | 403) => return Err(Failure::LookupRights),
        Some(_) => return Err(Failure::LookupAnswer),
    }
    let body: Value = serde_json::from_slice(answer.body).map_err(|_| Failure::LookupAnswer)?;
    if Fields::of(&body)?.number("version")? != 1 {
        return Err(Failure::LookupAnswer);
    }
    Ok(body)
}

/// The job's user, and for whom that one works.
fn user(job: &Job) -> Option<impl Json> {
    let user = job.user.as_ref()?;
    Some(Object(|it: &mut Members<'_>| {
        it.put("id", user.id.0);
        it.put("name", &*user.name);
        it.put_known("on_behalf_of", job.people().nth(1).map(|other| only("id", other.0)));
    }))
}

/// A target, as a job names it.
struct Reference<'a>(&'a Job, &'a TargetRef);

impl Json for Reference<'_> {
    fn write(self, text: &mut String) {
        let Self(job, target) = self;
        match target {
            TargetRef::Own | TargetRef::Job(_) => only("id", job.origin.id.0).write(text),
            // Nobody looks these up; a service that is asked all the same finds nothing to answer.
            TargetRef::None | TargetRef::Group(_) | TargetRef::Held(_) => None::<bool>.write(text),
            TargetRef::Id(id) => only("id", id.0).write(text),
            TargetRef::Path(path) => only("path", path.as_str()).write(text),
            TargetRef::ProjectOfJob(job) => only("job", job.0).write(text),
            TargetRef::Image(paths) => only("paths", List(paths.iter().map(|path| path.as_str()))).write(text),
        }
    }
}

fn token(fields: &Fields<'_>, on_behalf_of: Result<Option<UserId>, Failure>) -> Result<Token, Failure> {
    match fields.text("token")? {
        "ended" => Ok(Token::Ended(None)),
        "running" => {
            let job = fields.object("job")?;
            let origin = job.object("origin")?;
            let user = job.nullable("user")?;
            let named = user.as_ref().and_then(|user| user.0.get("on_behalf_of")).filter(|other| !other.is_null());
            let named = named.map(|other| Fields::of(other)?.number("id").map(UserId)).transpose()?;
            let context = context(&job)?;
            Ok(Token::Running(Job {
                id: JobId(job.number("id")?),
                user: user.map(|user| user.user("name")).transpose()?,
                origin: Origin { id: ProjectId(origin.number("id")?), path: origin.project_path("path")? },
                context: Context {
                    on_behalf_of: named.or(on_behalf_of?),
                    credential: credential(fields)?,
                    until: until(fields)?,
                    ..context
                },
            }))
        }
        other => Invalid::named(other).map(Token::Invalid).ok_or(Failure::LookupAnswer),
    }
}

/// Whose credential the job's requests go on with. A word that is not known is never taken for `own`.
fn credential(fields: &Fields<'_>) -> Result<Credential, Failure> {
    match fields.0.get("credential") {
        None | Some(Value::Null) => Ok(Credential::Own),
        Some(name) => name.as_str().and_then(Credential::named).ok_or(Failure::LookupAnswer),
    }
}

/// From when on the token is nobody's.
fn until(fields: &Fields<'_>) -> Result<Option<u64>, Failure> {
    match fields.0.get("until") {
        None | Some(Value::Null) => Ok(None),
        Some(until) => until.as_u64().map(Some).ok_or(Failure::LookupAnswer),
    }
}

/// A job's circumstances. What the service leaves out is not known.
fn context(job: &Fields<'_>) -> Result<Context, Failure> {
    let text = |name: &str| match job.0.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(|text| Some(text.to_string())).ok_or(Failure::LookupAnswer),
    };
    let flag = |name: &str| match job.0.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_bool().map(Some).ok_or(Failure::LookupAnswer),
    };
    Ok(Context {
        git_ref: text("ref")?,
        protected: flag("protected")?,
        environment: text("environment")?,
        source: text("source")?,
        fork: flag("fork")?,
        on_behalf_of: None,
        runner: match job.0.get("runner") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().map(RunnerId).ok_or(Failure::LookupAnswer)?),
        },
        ..Context::default()
    }
    .bounded())
}

/// What the entry for the origin grants: everything, or single permissions.
fn grants(fields: &Fields<'_>) -> Result<Grants, Failure> {
    let Some(listed) = fields.0.get("permissions").filter(|value| !value.is_null()) else {
        return Ok(Grants::Default);
    };
    let names = listed.as_array().ok_or(Failure::LookupAnswer)?;
    let permission = |name: &Value| name.as_str().and_then(Permission::named).ok_or(Failure::LookupAnswer);
    let permissions: Vec<Permission> = names.iter().map(permission).collect::<Result<_, _>>()?;
    Ok(Grants::Only(Permissions::of(&permissions)))
}

fn holders(fields: &Fields<'_>) -> Result<Found, Failure> {
    let listed = fields.0.get("holders").ok_or(Failure::LookupAnswer)?;
    if listed.is_null() {
        return Ok(Found::Nothing);
    }
    if listed == "too-many" {
        return Ok(Found::Holders(Holders::TooMany(None)));
    }
    let ids = listed.as_array().ok_or(Failure::LookupAnswer)?.iter().map(Value::as_u64);
    let projects = ids.map(|id| id.map(ProjectId)).collect::<Option<_>>().ok_or(Failure::LookupAnswer)?;
    Ok(Found::Holders(Holders::of(projects)))
}

fn found(fields: &Fields<'_>, job: &Job, sources: &Sources) -> Result<Found, Failure> {
    let Some(target) = fields.nullable("target")? else { return Ok(Found::Nothing) };
    let id = ProjectId(target.number("id")?);
    let mut features = Features::OPEN;
    if let Some(levels) = target.0.get("features") {
        let levels = Fields::of(levels)?;
        for name in levels.0.keys() {
            let key = format!("{name}_access_level");
            let at = Feature::ALL.iter().position(|(_, known)| *known == key).ok_or(Failure::LookupAnswer)?;
            *features.0.get_mut(at).ok_or(Failure::Doubt)? =
                Level::named(levels.text(name)?).ok_or(Failure::LookupAnswer)?;
        }
    }
    // What is not looked up is not read, and need not be there.
    let role = if sources.membership.is_lookup() {
        Some(Role::named(fields.text("role")?).ok_or(Failure::LookupAnswer)?)
    } else {
        None
    };
    let affiliation = match () {
        () if !sources.external.is_lookup() => Affiliation::LeftToForge,
        () if fields.flag("external")? => Affiliation::External,
        () => Affiliation::Internal,
    };
    let visibility = if sources.visibility.is_lookup() {
        Some(Visibility::named(target.text("visibility")?).ok_or(Failure::LookupAnswer)?)
    } else {
        None
    };
    let admission = if sources.allowlists.is_lookup() {
        match fields.text("admission")? {
            // A service that calls another project the job's own is wrong, and not believed.
            "own" if id == job.origin.id => Admission::Own,
            "project" => Admission::Listed(Entry { link: Link::Project, grants: grants(fields)? }),
            "group" => Admission::Listed(Entry { link: Link::Group, grants: grants(fields)? }),
            "open" => Admission::Open,
            "unlisted" => Admission::Unlisted,
            _ => return Err(Failure::LookupAnswer),
        }
    } else {
        Admission::LeftToForge
    };
    let outbound = match fields.0.get("outbound").map(Value::as_str) {
        None | Some(Some("open")) => Outbound::Open,
        Some(Some("unlisted")) => Outbound::Unlisted,
        Some(_) => return Err(Failure::LookupAnswer),
    };
    // What a service leaves out is not so.
    let setting = |name: &str| match target.0.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => value.as_bool().ok_or(Failure::LookupAnswer),
    };
    // A service of the first days says yes or no: the project's own jobs push, or none.
    let job_push = match target.0.get("push_by_job_token") {
        Some(Value::Bool(own)) => JobPush::of_settings(*own, false),
        Some(Value::String(name)) => {
            let known = JobPush::ALL.iter().find(|(_, known)| known == name);
            known.map(|(push, _)| *push).ok_or(Failure::LookupAnswer)?
        }
        _ => return Err(Failure::LookupAnswer),
    };
    Ok(Found::Standing(Standing {
        role,
        affiliation,
        admission: if id == job.origin.id { Admission::Own } else { admission },
        outbound,
        target: Target {
            id: Some(id),
            path: Some(target.project_path("path")?),
            visibility,
            features,
            job_push,
            public_jobs: setting("public_jobs")?,
            archived: setting("archived")?,
        },
    }))
}
