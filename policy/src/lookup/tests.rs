use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::facts::{
    Admission, Affiliation, Context, Entry, Features, Grants, Invalid, JobId, JobPush, Link, Origin, Part, ProjectId,
    ProjectPath, Role, Standing, Target, User, UserId, Visibility,
};

const PROJECT: Admission = Admission::Listed(Entry { link: Link::Project, grants: Grants::Default });
const GROUP: Admission = Admission::Listed(Entry { link: Link::Group, grants: Grants::Default });

fn config(kind: &str) -> Config {
    let document = format!(
        r#"{{"forge": {{"kind": "{kind}", "hosts": ["h"], "relative_url_root": "/gl"}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn job(user: Option<u64>) -> Job {
    Job {
        id: JobId(1001),
        user: user.map(|id| User { id: UserId(id), name: "dana".into() }),
        origin: Origin { id: ProjectId(101), path: ProjectPath::parse("apps/team/web").unwrap() },
        context: Context::default(),
    }
}

type World = BTreeMap<String, (u16, String)>;

/// GitLab's answers about `libs/common`, which admits by `allow`.
fn world(allow: &str, groups: &str) -> World {
    let api = "/gl/api/v4/projects/libs%2Fcommon";
    [
        // Nothing is said of what the instance enforces: an older forge has no such setting.
        ("/gl/api/v4/application/settings".into(), r#"{"id": 1}"#.into()),
        (api.to_string(), r#"{"id": 102, "path_with_namespace": "Libs/common", "visibility": "private", "wiki_access_level": "disabled"}"#.to_string()),
        (format!("{api}/job_token_scope"), r#"{"inbound_enabled": true, "outbound_enabled": false}"#.into()),
        (format!("{api}/job_token_scope/allowlist?per_page=100&page=1"), allow.into()),
        (format!("{api}/job_token_scope/groups_allowlist?per_page=100&page=1"), groups.into()),
        (format!("{api}/members/all/11"), r#"{"id": 11, "access_level": 20}"#.into()),
        // An old forge: its entries grant everything.
        ("/gl/api/graphql".into(), r#"{"errors": [{"message": "Field 'ciJobTokenScopeAllowlist' doesn't exist on type 'Project'"}]}"#.into()),
        ("/gl/api/v4/users/11".into(), r#"{"id": 11, "external": false}"#.into()),
    ]
    .into_iter()
    .map(|(path, body)| (path, (200, body)))
    .collect()
}

fn refusal(status: u16) -> (u16, String) {
    (status, format!(r#"{{"message": "{status}"}}"#))
}

/// Flies with answers from `world`, in the order that `pick` chooses among the outstanding calls.
fn fly(config: &Config, fact: Fact, world: &World, pick: impl Fn(usize) -> usize) -> (Result<Value, Failure>, usize) {
    let (mut flight, mut progress) =
        Flight::start(config, Some(&Account::Token(Secret::new(b"service"))), fact, &|_| None);
    let mut outstanding: Vec<(usize, Call)> = Vec::new();
    let mut calls = 0;
    loop {
        match progress {
            Progress::Landed(result) => return (result, calls),
            Progress::Going(more) => {
                calls += more.len();
                outstanding.extend(more);
            }
        }
        let (number, call) = outstanding.remove(pick(outstanding.len()));
        // Once its number is known, a project is asked for by that.
        let by_path = call.path.replace("/projects/102", "/projects/libs%2Fcommon");
        let known = world.get(&call.path).or_else(|| world.get(&by_path));
        let (status, body) = known.cloned().unwrap_or_else(|| refusal(404));
        let status = (status > 0).then_some(status);
        let moved = (status == Some(301)).then(|| format!("https://h/gl/api/v4/projects/{body}"));
        let next_page = if body.ends_with("more") { Some(&b"2"[..]) } else { None };
        progress = flight.answer(
            number,
            &Answer {
                status,
                next_page,
                location: moved.as_deref().map(str::as_bytes),
                body: body.trim_end_matches("more").as_bytes(),
            },
        );
    }
}

fn standing(result: Result<Value, Failure>) -> Standing {
    match result {
        Ok(Value::Target(Found::Standing(standing))) => standing,
        other => panic!("{other:?}"),
    }
}

fn target(path: &str) -> TargetRef {
    TargetRef::Path(ProjectPath::parse(path).unwrap())
}

fn ask(world: &World, user: Option<u64>, target: TargetRef) -> Result<Value, Failure> {
    let fact = || Fact::Target(job(user), target.clone());
    let (first, _) = fly(&config("gitlab"), fact(), world, |_| 0);
    let (last, _) = fly(&config("gitlab"), fact(), world, |len| len - 1);
    assert_eq!(first, last, "the order of the answers changes nothing");
    first
}

#[test]
fn a_token_is_read_from_gitlabs_job() {
    let body = r#"{"id": 7, "status": "running", "user": {"id": 11, "username": "dana", "state": "active"}, "pipeline": {"id": 1, "project_id": 101}, "web_url": "https://h:8080/gl/Apps/web/-/jobs/7", "project": {}}"#;
    let say = |status: u16, body: &str| {
        let world = World::from([("/gl/api/v4/job".into(), (status, body.into()))]);
        fly(&config("gitlab"), Fact::Token(Secret::new(b"glcbt-1")), &world, |_| 0).0
    };
    let Ok(Value::Token(Token::Running(job))) = say(200, body) else { panic!() };
    assert_eq!((job.id, job.origin.path.as_str(), job.user.unwrap().name.as_str()), (JobId(7), "apps/web", "dana"));
    assert_eq!(say(200, &body.replace("running", "success")), Ok(Value::Token(Token::Ended(None))));
    assert_eq!(say(200, &body.replace("active", "blocked")), Ok(Value::Token(Token::Invalid(Invalid::UserBlocked))));
    assert_eq!(say(401, r#"{"message": "401 Unauthorized"}"#), Ok(Value::Token(Token::Invalid(Invalid::Unknown))));
    for (status, body, failure) in [
        (401, r#"{"message": "Unauthorized"}"#, Failure::LookupAnswer),
        (403, r#"{"message": "Forbidden"}"#, Failure::LookupAnswer),
        (404, r#"{"message": "no Route matched with those values"}"#, Failure::LookupAnswer),
        (429, "Retry later\n", Failure::LookupThrottled),
        (200, "<html>", Failure::LookupAnswer),
        (200, "{}", Failure::LookupAnswer),
        (200, &body.replace("/gl/", "/other/")[..], Failure::LookupAnswer),
        (401, "Unauthorized", Failure::LookupAnswer),
        (404, "<html>", Failure::LookupAnswer),
        (503, "upstream connect error", Failure::LookupUnreachable),
        (504, "upstream request timeout", Failure::LookupTimeout),
        (0, "", Failure::LookupUnreachable),
        (301, "", Failure::LookupAnswer),
    ] {
        assert_eq!(say(status, body), Err(failure), "{status} {body}");
    }
}

#[test]
fn a_target_is_read_from_its_parts() {
    let listed = standing(ask(&world(r#"[{"id": 9}, {"id": 101}]"#, "[]"), Some(11), target("libs/common")));
    assert_eq!(
        (listed.admission, listed.role, listed.affiliation),
        (PROJECT, Some(Role::Reporter), Affiliation::Internal)
    );
    assert_eq!(listed.target.level(crate::facts::Feature::Wiki), crate::facts::Level::Disabled);
    let group = standing(ask(
        &world("[]", r#"[{"id": 1, "web_url": "https://h/gl/groups/Apps"}]"#),
        Some(11),
        target("libs/common"),
    ));
    assert_eq!(group.admission, GROUP);
    let neighbour = standing(ask(
        &world("[]", r#"[{"id": 1, "web_url": "https://h/gl/groups/app"}]"#),
        Some(11),
        target("libs/common"),
    ));
    assert_eq!(neighbour.admission, Admission::Unlisted);
    let nobody = standing(ask(&world("[]", "[]"), None, target("libs/common")));
    assert_eq!(nobody.role, Some(Role::None));
    assert_eq!(ask(&world("[]", "[]"), Some(11), target("libs/other")), Ok(Value::Target(Found::Nothing)));
}

#[test]
fn what_cannot_be_read_is_a_failure_and_never_a_no_limit() {
    let api = "/gl/api/v4/projects/libs%2Fcommon";
    for path in [
        "/job_token_scope",
        "/job_token_scope/allowlist?per_page=100&page=1",
        "/job_token_scope/groups_allowlist?per_page=100&page=1",
    ] {
        for status in [401, 403, 404] {
            let mut world = world("[]", "[]");
            world.insert(format!("{api}{path}"), refusal(status));
            assert_eq!(ask(&world, Some(11), target("libs/common")), Err(Failure::LookupRights), "{path} {status}");
        }
        let mut world = world("[]", "[]");
        world.insert(format!("{api}{path}"), (200, "null".into()));
        assert_eq!(ask(&world, Some(11), target("libs/common")), Err(Failure::LookupAnswer), "{path}");
    }
    let mut world = world("[]", "[]");
    world.insert("/gl/api/v4/users/11".into(), (200, r#"{"id": 11}"#.into()));
    assert_eq!(ask(&world, Some(11), target("libs/common")), Err(Failure::LookupRights));
    world.insert("/gl/api/v4/users/11".into(), refusal(404));
    assert_eq!(ask(&world, Some(11), target("libs/common")), Err(Failure::LookupRights));
}

#[test]
fn a_long_allowlist_is_read_to_its_last_page() {
    let mut world = world(r#"[{"id": 9}]more"#, "[]");
    let second = "/gl/api/v4/projects/libs%2Fcommon/job_token_scope/allowlist?per_page=100&page=2";
    world.insert(second.into(), (200, r#"[{"id": 101}]"#.into()));
    assert_eq!(standing(ask(&world, Some(11), target("libs/common"))).admission, PROJECT);
    for page in 2..=11 {
        let path = format!("/gl/api/v4/projects/libs%2Fcommon/job_token_scope/allowlist?per_page=100&page={page}");
        world.insert(path, (200, "[]more".into()));
    }
    assert_eq!(ask(&world, Some(11), target("libs/common")), Err(Failure::LookupAnswer));
}

#[test]
fn a_project_that_moved_is_asked_for_by_its_number() {
    let by_number = world(r#"[{"id": 101}]"#, "[]")
        .into_iter()
        .map(|(path, answer)| (path.replace("libs%2Fcommon", "102"), answer));
    let mut moved: World = by_number.collect();
    for path in world("[]", "[]").into_keys().filter(|path| path.contains("libs%2Fcommon")) {
        let tail = path.split_once("libs%2Fcommon").unwrap().1;
        moved.insert(path.replace("libs%2Fcommon", "libs%2Fold"), (301, format!("102{tail}")));
    }
    assert_eq!(standing(ask(&moved, Some(11), target("libs/old"))).target.path, ProjectPath::parse("libs/common"));
    for (_, answer) in moved.iter_mut().filter(|(path, _)| path.contains("/102")) {
        *answer = (301, "102".into());
    }
    assert_eq!(ask(&moved, Some(11), target("libs/old")), Err(Failure::LookupAnswer), "round and round");
}

#[test]
fn an_allowlist_is_learned_of_the_project_alone_whose_it_says_that_it_is() {
    let project = |id: u64, path: &str| {
        format!(
            r#"{{"id": {id}, "path_with_namespace": "{path}", "visibility": "private", "ci_job_token_scope_enabled": false}}"#
        )
    };
    let list = |id: u64| {
        let connection =
            r#"{"nodes": [], "pageInfo": {"hasPreviousPage": false, "hasNextPage": false, "endCursor": null}}"#;
        format!(
            r#"{{"data": {{"project": {{"id": "gid://gitlab/Project/{id}", "ciCdSettings": {{"inboundJobTokenScopeEnabled": true}},
            "ciJobTokenScopeAllowlist": {{"projectsAllowlist": {connection}, "lastProjects": {connection},
            "groupsAllowlist": {connection}, "lastGroups": {connection}}}}}}}}}"#
        )
    };
    let image =
        TargetRef::Image(["libs/common/sub", "libs/common"].map(|path| ProjectPath::parse(path).unwrap()).into());
    let fact = Fact::Target(job(Some(11)), image);
    // Both are there. Between two calls 103 came to the path of the one that is not found.
    for (says, is_learned) in [(102, true), (103, false)] {
        let (mut flight, mut progress) =
            Flight::start(&config("gitlab"), Some(&Account::Token(Secret::new(b"service"))), fact.clone(), &|_| None);
        let mut outstanding = Vec::new();
        while let Progress::Going(calls) = progress {
            outstanding.extend(calls);
            let (number, call): (usize, Call) = outstanding.remove(0);
            let is_sub = call.path.contains("sub") || String::from_utf8_lossy(&call.body).contains("libs/common/sub");
            let body = match call.path.strip_prefix("/gl/api/") {
                Some("graphql") => list(if is_sub { 100 } else { says }),
                Some("v4/users/11") => r#"{"id": 11, "external": false}"#.into(),
                Some(path) if path.contains("/members/") => r#"{"id": 11, "access_level": 30}"#.into(),
                _ if is_sub || call.path.contains("/100") => project(100, "libs/common/sub"),
                _ => project(102, "libs/common"),
            };
            let answer = Answer { status: Some(200), next_page: None, location: None, body: body.as_bytes() };
            progress = flight.answer(number, &answer);
        }
        let Progress::Landed(Ok(_)) = progress else { panic!("{progress:?}") };
        let key = PartKey::of(Part::Allowlist, &job(Some(11)), &TargetRef::Id(ProjectId(102)).key());
        let learned = flight.learned();
        assert_eq!(learned.iter().any(|(learned, _)| *learned == key), is_learned, "{learned:?}");
    }
}

#[test]
fn what_is_remembered_of_a_path_says_nothing_of_another_project_that_came_there() {
    let there = |id| {
        Known::Project(Some(Target {
            id: Some(ProjectId(id)),
            path: ProjectPath::parse("libs/common"),
            visibility: Some(Visibility::Private),
            features: Features::OPEN,
            job_push: JobPush::Off,
            public_jobs: false,
            archived: false,
        }))
    };
    let (common, job) = (target("libs/common"), job(Some(11)));
    // The path led to 102 when a role there was learned, and leads to 103 when another fact is looked up.
    for (project, is_recalled) in [(102, true), (103, false)] {
        let known = there(project);
        let learned = |asked: &PartKey| {
            let is = |part, reference: &TargetRef| *asked == PartKey::of(part, &job, &reference.key());
            if is(Part::Project, &common) {
                return Some((known.clone(), Moment(1)));
            }
            is(Part::Member, &TargetRef::Id(ProjectId(102))).then_some((Known::Member(Role::Developer), Moment(1)))
        };
        let fact = Fact::Target(job.clone(), common.clone());
        let (_, progress) =
            Flight::start(&config("gitlab"), Some(&Account::Token(Secret::new(b"service"))), fact, &learned);
        let Progress::Going(calls) = progress else { panic!("{progress:?}") };
        let asks_role =
            |(_, call): &(usize, Call)| call.path == format!("/gl/api/v4/projects/{project}/members/all/11");
        assert_eq!(calls.iter().any(asks_role), !is_recalled, "{calls:?}");
        assert!(!calls.iter().any(|(_, call)| call.path.contains("libs%2F")), "{calls:?}");
    }
    // And it is learned of the project, whatever way that was named.
    let fact = Fact::Target(job.clone(), common);
    let (mut flight, mut progress) =
        Flight::start(&config("gitlab"), Some(&Account::Token(Secret::new(b"service"))), fact, &|_| None);
    let world = world(r#"[{"id": 101}]"#, "[]");
    let mut outstanding = Vec::new();
    while let Progress::Going(calls) = progress {
        outstanding.extend(calls);
        let (number, call): (usize, Call) = outstanding.remove(0);
        let (status, body) = &world[&call.path.replace("/projects/102", "/projects/libs%2Fcommon")];
        let answer = Answer { status: Some(*status), next_page: None, location: None, body: body.as_bytes() };
        progress = flight.answer(number, &answer);
    }
    let role = PartKey::of(Part::Member, &job, &TargetRef::Id(ProjectId(102)).key());
    assert!(flight.learned().contains(&(role, Known::Member(Role::Reporter))), "{:?}", flight.learned());
}

#[test]
fn an_image_is_its_one_project_that_exists() {
    let by_number: World = world("[]", "[]");
    let image = |paths: &[&str]| TargetRef::Image(paths.iter().map(|path| ProjectPath::parse(path).unwrap()).collect());
    let found = standing(ask(&by_number, Some(11), image(&["libs/common/a/b", "libs/common/a", "libs/common"])));
    assert_eq!(found.target.id, Some(ProjectId(102)));
    assert_eq!(ask(&by_number, Some(11), image(&["libs/x/y", "libs/x"])), Ok(Value::Target(Found::Nothing)));
    let mut moved = by_number.clone();
    moved.insert("/gl/api/v4/projects/libs%2Fold".into(), (301, "102".into()));
    assert_eq!(ask(&moved, Some(11), image(&["libs/old/a", "libs/old"])), Ok(Value::Target(Found::Nothing)));
    assert_eq!(ask(&by_number, Some(11), TargetRef::Image([].into())), Ok(Value::Target(Found::Nothing)));
}

#[test]
fn a_service_of_ones_own_answers_in_one_call() {
    let say = |fact: Fact, status: u16, body: &str| {
        let world = World::from([("/jobscope/v1/lookup".into(), (status, body.into()))]);
        fly(&config("generic"), fact, &world, |_| 0).0
    };
    let token = || Fact::Token(Secret::new(b"glcbt-1"));
    let running = r#"{"version": 1, "token": "running", "job": {"id": 7, "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}}"#;
    assert!(matches!(say(token(), 200, running), Ok(Value::Token(Token::Running(_)))));
    assert_eq!(say(token(), 200, r#"{"version": 1, "token": "ended"}"#), Ok(Value::Token(Token::Ended(None))));
    assert_eq!(say(token(), 200, r#"{"token": "running"}"#), Err(Failure::LookupAnswer));
    assert_eq!(say(token(), 404, r#"{"message": "no"}"#), Err(Failure::LookupAnswer));
    let at = || Fact::Target(job(Some(11)), target("libs/common"));
    let body = r#"{"version": 1, "role": "reporter", "external": false, "admission": "project", "target": {"id": 102, "path": "libs/common", "visibility": "private", "push_by_job_token": false, "features": {"wiki": "disabled"}}}"#;
    assert_eq!(standing(say(at(), 200, body)).admission, PROJECT);
    assert_eq!(say(at(), 200, r#"{"version": 1, "target": null}"#), Ok(Value::Target(Found::Nothing)));
    assert_eq!(say(at(), 200, &body.replace("\"project\"", "\"own\"")), Err(Failure::LookupAnswer));
}

#[test]
fn facts_of_different_jobs_have_different_keys() {
    let other_path =
        Job { origin: Origin { id: ProjectId(101), path: ProjectPath::parse("apps/web").unwrap() }, ..job(Some(11)) };
    let keys = [
        target_key(&job(Some(11)), &target("libs/common")),
        target_key(&job(Some(12)), &target("libs/common")),
        target_key(&job(None), &target("libs/common")),
        target_key(&job(Some(11)), &target("libs/other")),
        target_key(&job(Some(11)), &TargetRef::Id(ProjectId(102))),
        target_key(&other_path, &target("libs/common")),
    ];
    let unique: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(unique.len(), keys.len());
}

#[test]
fn a_part_is_shared_by_all_whom_it_does_not_tell_apart() {
    let origin = |id, path: &str| Origin { id: ProjectId(id), path: ProjectPath::parse(path).unwrap() };
    let (dana, web) = (job(Some(11)), origin(101, "apps/team/web"));
    let later = Job { id: JobId(1002), ..dana.clone() };
    let nora = job(Some(12));
    let elsewhere = Job { origin: origin(109, "apps/other"), ..dana.clone() };
    let moved = Job { origin: origin(web.id.0, "libs/web"), ..dana.clone() };
    let (common, other) = (target("libs/common").key(), target("libs/other").key());
    let key = |part, job: &Job, reference: &Hash| PartKey::of(part, job, reference).hash;
    for (part, by_user, by_origin, by_target) in [
        (Part::Project, false, false, true),
        (Part::Member, true, false, true),
        (Part::External, true, false, false),
        (Part::Allowlist, false, true, true),
        (Part::Enforcement, false, false, false),
        (Part::Outbound, false, true, true),
    ] {
        let of = key(part, &dana, &common);
        assert_eq!(key(part, &later, &common), of, "{part:?}");
        assert_eq!(key(part, &nora, &common) != of, by_user, "{part:?}");
        assert_eq!(key(part, &elsewhere, &common) != of, by_origin, "{part:?}");
        assert_eq!(key(part, &moved, &common) != of, by_origin, "{part:?}");
        assert_eq!(key(part, &dana, &other) != of, by_target, "{part:?}");
    }
}

#[test]
fn a_calls_outline_names_neither_a_project_nor_what_stands_in_a_query() {
    let outline = |path: &str| {
        Call { principal: Principal::Job, method: "GET", path: path.into(), headers: Vec::new(), body: Vec::new() }
            .outline()
    };
    assert_eq!(outline("/api/v4/projects/a%2Fb/members/all/11"), "GET /api/v4/projects/:path/members/all/11");
    assert_eq!(outline("/forge/api/v4/projects/7?token=x"), "GET /forge/api/v4/projects/7");
}

#[test]
fn a_service_that_remembers_is_asked_how_old_and_believed_from_when_it_is() {
    let account = Account::Token(Secret::new(b"service"));
    let facts = || [Fact::Token(Secret::new(b"glcbt-1")), Fact::Target(job(Some(11)), TargetRef::Id(ProjectId(102)))];
    let holders = || {
        let group = crate::facts::GroupRef::Id(crate::facts::GroupId(7));
        let holding = crate::access::Holding { group, sought: crate::access::Sought::Everything };
        Fact::Target(job(Some(11)), TargetRef::Held(holding.into()))
    };
    let start = |max_age: u64, fact| {
        let max_age = Duration::from_secs(max_age);
        match Flight::start_taking(max_age, &config("generic"), Some(&account), fact, &|_| None) {
            (flight, Progress::Going(calls)) => {
                let asked: serde_json::Value = serde_json::from_slice(&calls[0].1.body).unwrap();
                (flight, asked.get("max_age").cloned())
            }
            landed => panic!("{landed:?}"),
        }
    };
    for fact in facts() {
        assert_eq!(start(0, fact.clone()).1, None, "{fact:?}");
        assert_eq!(start(29, fact.clone()).1, Some(29.into()), "{fact:?}");
    }
    assert_eq!(start(29, holders()).1, None, "the forge is asked each time");

    let began = Moment(1_000_000);
    let say = |max_age, token: &str, age: &str| {
        let (mut flight, _) = start(max_age, facts()[0].clone());
        let body = format!(
            r#"{{"version": 1, "token": "{token}", "age": {age}, "job": {{"id": 7, "user": null, "origin": {{"id": 101, "path": "apps/web"}}}}}}"#
        );
        let answer = Answer { status: Some(200), next_page: None, location: None, body: body.as_bytes() };
        match flight.answer(0, &answer) {
            Progress::Landed(result) => result.map(|_| flight.confirmed(began).oldest().0),
            going @ Progress::Going(_) => panic!("{going:?}"),
        }
    };
    for (max_age, token, age, confirmed) in [
        (29, "running", "0", Ok(1_000_000)),
        (29, "running", "null", Ok(1_000_000)),
        (29, "running", "12", Ok(988_000)),
        (29, "unknown", "3", Ok(997_000)),
        // The forge is away, and what is known of it is older than was asked for.
        (29, "running", "299", Ok(701_000)),
        (29, "running", "300", Err(Failure::LookupStale)),
        (29, "unknown", "18446744073709551615", Err(Failure::LookupStale)),
        (29, "running", "18446744073709551616", Err(Failure::LookupAnswer)),
        (29, "running", "-1", Err(Failure::LookupAnswer)),
        (29, "running", "1.0", Err(Failure::LookupAnswer)),
        (29, "running", "\"1\"", Err(Failure::LookupAnswer)),
        // What was rounded up may be, and what is older denies nobody.
        (0, "running", "1", Ok(999_000)),
        (0, "unknown", "2", Err(Failure::LookupAnswer)),
        // An end is final.
        (0, "ended", "4000", Ok(1_000_000)),
        (29, "ended", "\"x\"", Ok(1_000_000)),
    ] {
        assert_eq!(say(max_age, token, age), confirmed, "{max_age} {token} {age}");
    }
}
