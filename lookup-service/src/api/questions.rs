//! Questions as `v1` asks them. What is no question is refused with the place where it is none, and no part of what stood
//! there: it may be a secret.

use std::sync::Arc;
use std::time::Duration;

use policy::access::{Holding, Package, Registry, Sought, TargetRef};
use policy::facts::{
    Context, GroupId, GroupPath, GroupRef, Job, JobId, Origin, ProjectId, ProjectPath, Secret, User, UserId,
};
use policy::lookup::Fact;
use serde_json::Value;

use crate::place::{Malformed, Place, json};

/// The longest token that is asked for, in bytes.
const TOKEN_LIMIT: usize = 8192;

/// The most jobs that one report names.
pub const MOST_ENDED: usize = 1000;

/// The most names that a package may have in one question.
const MOST_NAMES: usize = 64;

/// A question.
#[derive(Debug)]
pub struct Question {
    /// What it is about: `token`, `target` or `holders`.
    pub ask: &'static str,
    /// What is asked for.
    pub fact: Fact,
    /// How old the service's memory may be.
    pub max_age: Duration,
}

/// Reads a question.
///
/// # Errors
/// Where and why it is none.
pub fn question(body: &[u8]) -> Result<Question, Malformed> {
    let body = json(body)?;
    let question = Place::root(&body).versioned()?;
    let max_age = question.optional("max_age")?.map(|age| age.number()).transpose()?.unwrap_or(0);
    let (ask, fact) = match question.member("ask")?.text()? {
        "token" => ("token", Fact::Token(token(&question.member("token")?)?)),
        "target" => ("target", target(&question)?),
        "holders" => ("holders", holders(&question)?),
        _ => return Err(question.member("ask")?.wrong("`token`, `target` or `holders`")),
    };
    Ok(Question { ask, fact, max_age: Duration::from_secs(max_age) })
}

/// Reads a report of ended jobs.
///
/// # Errors
/// Where and why it is none.
pub fn ended(body: &[u8]) -> Result<Vec<JobId>, Malformed> {
    let body = json(body)?;
    let report = Place::root(&body).versioned()?;
    let jobs = report.member("jobs")?;
    let list = jobs.list()?;
    if list.len() > MOST_ENDED {
        return Err(jobs.wrong("at most 1,000 jobs"));
    }
    list.iter().map(|job| job.number().map(JobId)).collect()
}

fn token(place: &Place<'_>) -> Result<Secret, Malformed> {
    let text = place.text()?;
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if text.is_empty() || text.len() > TOKEN_LIMIT || !text.bytes().all(is_sound) {
        return Err(place.wrong("1 to 8,192 bytes of `A-Z a-z 0-9 - . _ ~ + / =`"));
    }
    Ok(Secret::new(text.as_bytes()))
}

fn target(question: &Place<'_>) -> Result<Fact, Malformed> {
    let origin = question.object("origin")?;
    let user = question.member("user")?;
    let (user, on_behalf_of) = if user.value.is_null() {
        (None, None)
    } else {
        let user = user.as_object()?;
        let other = user.optional("on_behalf_of")?;
        let other = other.map(|other| other.as_object()?.member("id")?.number().map(UserId)).transpose()?;
        let name = user.member("name")?.text()?.to_owned();
        (Some(User { id: UserId(user.member("id")?.number()?), name }), other)
    };
    let job = Job {
        id: JobId(question.object("job")?.member("id")?.number()?),
        user,
        origin: Origin { id: ProjectId(origin.member("id")?.number()?), path: path(&origin.member("path")?)? },
        context: Context { on_behalf_of, ..Context::default() },
    };
    Ok(Fact::Target(job, reference(&question.object("target")?)?))
}

/// Exactly one of the four forms: two would be read by one and not by the other.
fn reference(target: &Place<'_>) -> Result<TargetRef, Malformed> {
    let forms = ["path", "id", "job", "paths"];
    let members: Vec<&str> = forms.into_iter().filter(|form| target.has(form)).collect();
    let [form] = members[..] else {
        return Err(target.wrong("one of `path`, `id`, `job` and `paths`"));
    };
    let place = target.member(form)?;
    Ok(match form {
        "path" => TargetRef::Path(path(&place)?),
        "id" => TargetRef::Id(ProjectId(place.number()?)),
        "job" => TargetRef::ProjectOfJob(JobId(place.number()?)),
        _ => {
            let paths: Vec<ProjectPath> = place.list()?.iter().map(path).collect::<Result<_, _>>()?;
            if !(1..=3).contains(&paths.len()) {
                return Err(place.wrong("one to three paths"));
            }
            TargetRef::Image(paths.into())
        }
    })
}

fn holders(question: &Place<'_>) -> Result<Fact, Malformed> {
    let group = question.object("group")?;
    let group = match (group.optional("path")?, group.optional("id")?) {
        (Some(path), None) => {
            GroupRef::Path(GroupPath::parse(path.text()?).ok_or_else(|| path.wrong("a group's full path"))?)
        }
        (None, Some(id)) => GroupRef::Id(GroupId(id.number()?)),
        _ => return Err(group.wrong("one of `path` and `id`")),
    };
    let package = question.member("package")?;
    let sought = if package.value.is_null() {
        Sought::Everything
    } else {
        let package = package.as_object()?;
        let kind = package.member("type")?;
        let name = kind.text()?;
        let registry = Registry::ALL.iter().find(|(_, known)| *known == name).map(|(registry, _)| *registry);
        let registry = registry.ok_or_else(|| kind.wrong("a kind of package registry"))?;
        let list = package.member("names")?;
        let names: Vec<String> =
            list.list()?.iter().map(|name| name.text().map(str::to_owned)).collect::<Result<_, _>>()?;
        if !(1..=MOST_NAMES).contains(&names.len()) {
            return Err(list.wrong("one name or several"));
        }
        Sought::Package(Package::new(registry, names))
    };
    // Who holds something is the same for every job.
    let nobody = Origin { id: ProjectId(0), path: path(&Place::root(&Value::String("none/none".into())))? };
    let job = Job { id: JobId(0), user: None, origin: nobody, context: Context::default() };
    Ok(Fact::Target(job, TargetRef::Held(Arc::new(Holding { group, sought }))))
}

fn path(place: &Place<'_>) -> Result<ProjectPath, Malformed> {
    ProjectPath::parse(place.text()?).ok_or_else(|| place.wrong("a project's full path"))
}

#[cfg(test)]
mod tests {
    use policy::lookup::{Flight, Progress};
    use serde_json::json;

    use super::*;

    /// The question that the filter asks for a fact, where it takes memory of this age.
    fn asked(fact: Fact, max_age: Duration) -> Vec<u8> {
        let document = br#"{"forge": {"hosts": ["h"]},
            "lookup": {"cluster": "c", "authority": "h", "credential_env": "E", "api": "v1"}}"#;
        let config = policy::Config::parse(document).unwrap();
        let account = policy::lookup::Account::Token(Secret::new(b"s"));
        match Flight::start_taking(max_age, &config, Some(&account), fact, &|_| None).1 {
            Progress::Going(calls) => calls[0].1.body.clone(),
            Progress::Landed(landed) => panic!("{landed:?}"),
        }
    }

    #[test]
    fn what_the_filter_asks_is_understood() {
        let user = User { id: UserId(11), name: "dana".into() };
        let origin = Origin { id: ProjectId(101), path: ProjectPath::parse("apps/web").unwrap() };
        let context = Context { on_behalf_of: Some(UserId(12)), ..Context::default() };
        let job = Job { id: JobId(u64::MAX), user: Some(user), origin, context };
        let path = |text: &str| ProjectPath::parse(text).unwrap();
        let mut facts = vec![Fact::Token(Secret::new(b"glcbt-64_x.y~+/="))];
        for target in [
            TargetRef::Path(path("libs/common")),
            TargetRef::Id(ProjectId(102)),
            TargetRef::ProjectOfJob(JobId(1002)),
            TargetRef::Image(vec![path("a/b/c"), path("a/b")].into()),
        ] {
            facts.push(Fact::Target(job.clone(), target.clone()));
            facts.push(Fact::Target(Job { user: None, context: Context::default(), ..job.clone() }, target));
        }
        for fact in facts {
            for max_age in [Duration::ZERO, Duration::from_secs(29)] {
                let question = question(&asked(fact.clone(), max_age)).unwrap();
                assert_eq!((question.fact, question.max_age), (fact.clone(), max_age));
            }
        }
        let package = Package::new(Registry::Pypi, ["My_Tool".to_owned()]);
        for sought in [Sought::Everything, Sought::Package(package)] {
            let holding = Holding { group: GroupRef::Path(GroupPath::parse("libs").unwrap()), sought };
            let fact = Fact::Target(job.clone(), TargetRef::Held(Arc::new(holding.clone())));
            let Fact::Target(_, TargetRef::Held(read)) = question(&asked(fact, Duration::ZERO)).unwrap().fact else {
                panic!("holders")
            };
            assert_eq!(*read, holding);
        }
    }

    #[test]
    fn the_examples_of_the_documentation_are_understood() {
        let page = include_str!("../../../docs/token-lookup.md");
        let (mut questions, mut reports) = (0, 0);
        for block in page.split("\n```json ").skip(1) {
            let (name, rest) = block.split_once('\n').unwrap();
            let body = rest.split_once("\n```").unwrap().0.as_bytes();
            if name.starts_with("ask-") || name == "remembering-question" {
                let max_age = question(body).unwrap_or_else(|why| panic!("{name}: {why}")).max_age;
                assert_eq!(max_age.as_secs(), if name.starts_with("ask-") { 0 } else { 30 });
                questions += 1;
            }
            if name == "ended" {
                assert_eq!(ended(body), Ok(vec![JobId(1001), JobId(1002)]));
                reports += 1;
            }
        }
        assert_eq!((questions, reports), (9, 1));
    }

    #[test]
    fn what_is_no_question_is_refused_with_its_place_and_none_of_its_words() {
        let whole = json!({"version": 1, "ask": "target", "job": {"id": 1}, "origin": {"id": 101, "path": "apps/web"},
            "user": {"id": 11, "name": "dana"}, "target": {"id": 102}});
        assert!(question(whole.to_string().as_bytes()).is_ok());
        for (pointer, value, path) in [
            ("/version", json!(2), "version"),
            ("/version", json!("1"), "version"),
            ("/ask", json!("hidden-word"), "ask"),
            ("/ask", json!("token"), "token"),
            ("/job", json!([]), "job"),
            ("/job/id", json!(-1), "job.id"),
            ("/job/id", json!(7.0), "job.id"),
            ("/origin/path", json!("hidden-word"), "origin.path"),
            ("/user", json!("hidden-word"), "user"),
            ("/user/id", json!(null), "user.id"),
            ("/user/name", json!(3), "user.name"),
            ("/target", json!({}), "target"),
            ("/target", json!(null), "target"),
            ("/target", json!({"id": 1, "path": "a/b"}), "target"),
            ("/target", json!({"path": "a//b"}), "target.path"),
            ("/target", json!({"paths": []}), "target.paths"),
            ("/target", json!({"paths": ["a/b", "hidden-word"]}), "target.paths[1]"),
            ("/target", json!({"paths": ["a/b", "a/b", "a/b", "a/b"]}), "target.paths"),
            ("/target", json!({"job": "7"}), "target.job"),
        ] {
            let mut bad = whole.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            let malformed = question(bad.to_string().as_bytes()).unwrap_err();
            assert_eq!(malformed.path, path, "{bad}");
            assert!(!malformed.to_string().contains("hidden-word"), "{malformed}");
        }
        for member in ["version", "ask", "job", "origin", "user", "target"] {
            let mut bad = whole.clone();
            bad.as_object_mut().unwrap().remove(member);
            assert_eq!(question(bad.to_string().as_bytes()).unwrap_err().path, member);
        }
        for body in ["", "[]", "{", "null", "<html>", "{\"version\": 1}}"] {
            let malformed = question(body.as_bytes()).unwrap_err();
            assert!(malformed.path.is_empty(), "{body}: {malformed}");
            assert!(malformed.to_string().starts_with("the body: expected "), "{malformed}");
        }
    }

    #[test]
    fn a_token_is_what_v1_says_it_is() {
        let ask = |token: &str| question(json!({"version": 1, "ask": "token", "token": token}).to_string().as_bytes());
        assert!(ask(&"x".repeat(8192)).is_ok());
        for bad in ["", " ", "a b", "a\n", "a\"", "ä", "a:b", &"x".repeat(8193)] {
            let malformed = ask(bad).unwrap_err();
            assert_eq!(malformed.path, "token");
        }
        for (age, good) in [(json!(30), true), (json!(null), true), (json!(-1), false), (json!("0"), false)] {
            let body = json!({"version": 1, "ask": "token", "token": "x", "max_age": age}).to_string();
            assert_eq!(question(body.as_bytes()).is_ok(), good, "{body}");
        }
    }

    #[test]
    fn a_report_names_jobs_and_no_more_than_a_thousand() {
        let read = |jobs: Value| ended(json!({"version": 1, "jobs": jobs}).to_string().as_bytes());
        assert_eq!(read(json!([1001, 1002])), Ok(vec![JobId(1001), JobId(1002)]));
        assert_eq!(read(json!([])), Ok(Vec::new()));
        assert!(read(json!(vec![7; 1000])).is_ok());
        assert_eq!(read(json!(vec![7; 1001])).unwrap_err().path, "jobs");
        assert_eq!(read(json!([7, "8"])).unwrap_err().path, "jobs[1]");
        assert_eq!(read(json!(7)).unwrap_err().path, "jobs");
        assert_eq!(ended(b"{\"jobs\": []}").unwrap_err().path, "version");
    }
}
