//! Facts from a service of the platform team: `POST /jobscope/v1/lookup` and `GET /jobscope/v1/forge`. Described in `docs/token-lookup.md`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

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
    Job, JobId, JobPush, Level, Link, Origin, Outbound, Permission, Permissions, ProjectId, ProjectPath, Role,
    RunnerId, Standing, Target, Token, UserId, Version, Visibility,
};
use crate::failure::Failure;
use crate::json::{Json, List, Members, Object, Word, object, only};
use crate::tree::Tree;

const LOOKUP: &str = "/jobscope/v1/lookup";
const FORGE: &str = "/jobscope/v1/forge";

/// Of questions and answers.
pub(super) const VERSION: u64 = 1;

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
        // Who takes no memory does not say so. Who holds something is asked of the forge each time.
        let seconds = (!max_age.is_zero()).then_some(max_age.as_secs());
        let (about, question) = match fact {
            Fact::Token(token) => {
                let text = core::str::from_utf8(token.expose()).unwrap_or_default();
                let question = object(|question| {
                    question.put("ask", Word("token"));
                    question.put_known("max_age", seconds);
                    question.put("token", text);
                    question.put("version", VERSION);
                });
                (About::Token(super::on_behalf_of(&token)), question)
            }
            Fact::Target(_, TargetRef::Held(holding)) => {
                let question = object(|question| {
                    question.put("ask", Word("holders"));
                    question.put("group", &holding.group);
                    question.put("package", package(&holding.sought));
                    question.put("version", VERSION);
                });
                (About::Holders, question)
            }
            Fact::Target(job, target) => {
                let question = object(|question| {
                    question.put("ask", Word("target"));
                    question.put("job", only("id", job.id.0));
                    question.put_known("max_age", seconds);
                    question.put("origin", origin(&job.origin));
                    question.put("target", Reference(&job, &target));
                    question.put("user", user(&job));
                    question.put("version", VERSION);
                });
                (About::Target(job), question)
            }
        };
        let call = post(LOOKUP, account, question);
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
            None | Some(Tree::Null) => Duration::ZERO,
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

/// What the service said, once it is clear that it spoke.
pub(super) fn body<'a>(answer: &Answer<'a>) -> Result<Tree<'a>, Failure> {
    match answer.status {
        None | Some(502 | 503) => return Err(Failure::LookupUnreachable),
        Some(504) => return Err(Failure::LookupTimeout),
        Some(200) => {}
        Some(429) => return Err(Failure::LookupThrottled),
        Some(401 | 403) => return Err(Failure::LookupRights),
        Some(_) => return Err(Failure::LookupAnswer),
    }
    let body = answer.json()?;
    if Fields::of(&body)?.number("version")? != VERSION {
        return Err(Failure::LookupAnswer);
    }
    Ok(body)
}

fn origin(origin: &Origin) -> impl Json {
    Object(|members: &mut Members<'_>| {
        members.put("id", origin.id.0);
        members.put("path", origin.path.as_str());
    })
}

/// The job's user, and for whom that one works.
fn user(job: &Job) -> impl Json {
    job.user.as_ref().map(|user| {
        Object(|members: &mut Members<'_>| {
            members.put("id", user.id.0);
            members.put("name", user.name.as_str());
            members.put_known("on_behalf_of", job.people().nth(1).map(|other| only("id", other.0)));
        })
    })
}

fn package(sought: &Sought) -> impl Json {
    let package = match sought {
        Sought::Everything | Sought::Owned => None,
        Sought::Package(package) | Sought::File(package) => Some(package),
    };
    package.map(|package| {
        Object(|members: &mut Members<'_>| {
            members.put("names", List(package.names().iter().map(String::as_str)));
            members.put("type", package.registry.name());
        })
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

/// A job's target as it is named.
struct Reference<'a>(&'a Job, &'a TargetRef);

impl Json for Reference<'_> {
    fn write(self, text: &mut String) {
        let Self(job, target) = self;
        match target {
            TargetRef::Own | TargetRef::Job(_) => only("id", job.origin.id.0).write(text),
            // Nobody looks these up; a service that is asked all the same finds nothing to answer.
            TargetRef::None | TargetRef::Group(_) | TargetRef::Held(_) => None::<u64>.write(text),
            TargetRef::Id(id) => only("id", id.0).write(text),
            TargetRef::Path(path) => only("path", path.as_str()).write(text),
            TargetRef::ProjectOfJob(job) => only("job", job.0).write(text),
            TargetRef::Image(paths) => only("paths", List(paths.iter().map(ProjectPath::as_str))).write(text),
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
        None | Some(Tree::Null) => Ok(Credential::Own),
        Some(name) => name.as_str().and_then(Credential::named).ok_or(Failure::LookupAnswer),
    }
}

/// From when on the token is nobody's.
fn until(fields: &Fields<'_>) -> Result<Option<u64>, Failure> {
    match fields.0.get("until") {
        None | Some(Tree::Null) => Ok(None),
        Some(until) => until.as_u64().map(Some).ok_or(Failure::LookupAnswer),
    }
}

/// A job's circumstances. What the service leaves out is not known.
fn context(job: &Fields<'_>) -> Result<Context, Failure> {
    let text = |name: &str| match job.0.get(name) {
        None | Some(Tree::Null) => Ok(None),
        Some(value) => value.as_str().map(|text| Some(text.to_string())).ok_or(Failure::LookupAnswer),
    };
    let flag = |name: &str| match job.0.get(name) {
        None | Some(Tree::Null) => Ok(None),
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
            None | Some(Tree::Null) => None,
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
    let permission = |name: &Tree<'_>| name.as_str().and_then(Permission::named).ok_or(Failure::LookupAnswer);
    let permissions: Vec<Permission> = names.iter().map(permission).collect::<Result<_, _>>()?;
    Ok(Grants::Only(Permissions::of(&permissions)))
}

fn holders(fields: &Fields<'_>) -> Result<Found, Failure> {
    let listed = fields.0.get("holders").ok_or(Failure::LookupAnswer)?;
    if listed.is_null() {
        return Ok(Found::Nothing);
    }
    if listed.as_str() == Some("too-many") {
        return Ok(Found::Holders(Holders::TooMany(None)));
    }
    let ids = listed.as_array().ok_or(Failure::LookupAnswer)?.iter().map(Tree::as_u64);
    let projects = ids.map(|id| id.map(ProjectId)).collect::<Option<_>>().ok_or(Failure::LookupAnswer)?;
    Ok(Found::Holders(Holders::of(projects)))
}

fn found(fields: &Fields<'_>, job: &Job, sources: &Sources) -> Result<Found, Failure> {
    let Some(target) = fields.nullable("target")? else { return Ok(Found::Nothing) };
    let id = ProjectId(target.number("id")?);
    let mut features = Features::OPEN;
    if let Some(levels) = target.0.get("features") {
        let levels = Fields::of(levels)?;
        for (name, level) in levels.0.each() {
            let key = format!("{name}_access_level");
            let at = Feature::ALL.iter().position(|(_, known)| *known == key).ok_or(Failure::LookupAnswer)?;
            *features.0.get_mut(at).ok_or(Failure::Doubt)? =
                level.as_str().and_then(Level::named).ok_or(Failure::LookupAnswer)?;
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
    let outbound = match fields.0.get("outbound").map(Tree::as_str) {
        None | Some(Some("open")) => Outbound::Open,
        Some(Some("unlisted")) => Outbound::Unlisted,
        Some(_) => return Err(Failure::LookupAnswer),
    };
    // What a service leaves out is not so.
    let setting = |name: &str| match target.0.get(name) {
        None | Some(Tree::Null) => Ok(false),
        Some(value) => value.as_bool().ok_or(Failure::LookupAnswer),
    };
    // A service of the first days says yes or no: the project's own jobs push, or none.
    let job_push = match target.0.get("push_by_job_token") {
        Some(Tree::Flag(own)) => JobPush::of_settings(*own, false),
        Some(Tree::Text(name)) => {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::access::{Holding, Package, Registry};
    use crate::facts::{GroupId, GroupPath, Secret, User};

    fn job(user: Option<&str>, on_behalf_of: Option<u64>) -> Job {
        let user = user.map(|name| User { id: UserId(11), name: name.into() });
        let context = Context { on_behalf_of: on_behalf_of.map(UserId), ..Context::default() };
        let origin = Origin { id: ProjectId(101), path: ProjectPath::parse("apps/web").unwrap() };
        Job { id: JobId(1001), user, origin, context }
    }

    /// What is asked, by the byte.
    fn asked(max_age: u64, fact: Fact) -> String {
        let document = r#"{"forge": {"kind": "generic", "hosts": ["h"]}, "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"}}"#;
        let config = Config::parse(document.as_bytes()).unwrap();
        let account = Account::Token(Secret::new(b"service"));
        let (_, progress) = Flight::start(Duration::from_secs(max_age), &config, &account, fact);
        let Progress::Going(calls) = progress else { panic!("{progress:?}") };
        String::from_utf8(calls[0].1.body.clone()).unwrap()
    }

    #[test]
    fn members_of_a_question_come_in_the_order_of_their_names() {
        let dana = job(Some("dana"), None);
        let path = |path: &str| ProjectPath::parse(path).unwrap();
        let target = |job: &Job, target: TargetRef, named: Value, user: Value| {
            let question = json!({"version": 1, "ask": "target", "job": {"id": 1001}, "target": named, "user": user,
                "origin": {"id": 101, "path": "apps/web"}, "max_age": 59});
            (59, Fact::Target(job.clone(), target), question)
        };
        let user = || json!({"id": 11, "name": "dana"});
        let held = |group: GroupRef, sought: Sought, named: Value, package: Value| {
            let question = json!({"version": 1, "ask": "holders", "group": named, "package": package});
            (59, Fact::Target(dana.clone(), TargetRef::Held(Arc::new(Holding { group, sought }))), question)
        };
        let by_path = || GroupRef::Path(GroupPath::parse("libs/team").unwrap());
        let npm = || Sought::Package(Package::new(Registry::Npm, ["@libs/a\"b".into(), "c".into()]));
        let other = json!({"id": 11, "name": "a\\b\u{e9}", "on_behalf_of": {"id": 12}});
        for (max_age, fact, question) in [
            (0, Fact::Token(Secret::new(b"a\"b\n")), json!({"version": 1, "ask": "token", "token": "a\"b\n"})),
            (9, Fact::Token(Secret::new(b"\xff")), json!({"version": 1, "ask": "token", "token": "", "max_age": 9})),
            target(&dana, TargetRef::Own, json!({"id": 101}), user()),
            target(&dana, TargetRef::Id(ProjectId(7)), json!({"id": 7}), user()),
            target(&dana, TargetRef::Path(path("g/a")), json!({"path": "g/a"}), user()),
            target(&dana, TargetRef::ProjectOfJob(JobId(8)), json!({"job": 8}), user()),
            target(
                &dana,
                TargetRef::Image([path("g/a"), path("g/b")].into()),
                json!({"paths": ["g/a", "g/b"]}),
                user(),
            ),
            target(&dana, TargetRef::None, Value::Null, user()),
            target(&job(None, Some(12)), TargetRef::Own, json!({"id": 101}), Value::Null),
            target(&job(Some("a\\b\u{e9}"), Some(12)), TargetRef::Own, json!({"id": 101}), other),
            held(by_path(), Sought::Everything, json!({"path": "libs/team"}), Value::Null),
            held(
                GroupRef::Id(GroupId(7)),
                npm(),
                json!({"id": 7}),
                json!({"type": "npm", "names": ["@libs/a\"b", "c"]}),
            ),
        ] {
            assert_eq!(asked(max_age, fact), question.to_string());
        }
    }
}
