//! Which calls find a fact, what their answers mean, and what is known without any call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may fail loudly"
)]

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::Config;
use policy::access::TargetRef;
use policy::decision::{Decision, Facts, Step, facts_without_lookup};
use policy::facts::{
    Admission, Affiliation, Context, Entry, Feature, Found, Grants, Invalid, Job, JobId, JobPush, Level, Link, Origin,
    Outbound, Permission, Permissions, ProjectId, ProjectPath, Role, RunnerId, Secret, Standing, Token, User, UserId,
    Visibility,
};
use policy::failure::Failure;
use policy::lookup::{Account, Answer, Call, Fact, Flight, Principal, Progress, Value};
use policy::request::{Body, Head, Reading};
use serde_json::json;

/// A configuration with these facts, such as `"membership": "forge"`.
fn config(kind: &str, facts: &str) -> Config {
    let document = format!(
        r#"{{"forge": {{"kind": "{kind}", "hosts": ["h"], "relative_url_root": "/gl"}},
            "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}, "facts": {{{facts}}}}}"#
    );
    Config::parse(document.as_bytes()).unwrap()
}

fn path(path: &str) -> ProjectPath {
    ProjectPath::parse(path).unwrap()
}

fn job() -> Job {
    Job {
        id: JobId(1001),
        user: Some(User { id: UserId(11), name: "dana".into() }),
        origin: Origin { id: ProjectId(101), path: path("apps/team/web") },
        context: Context::default(),
    }
}

fn common() -> TargetRef {
    TargetRef::Path(path("libs/common"))
}

/// What the forge answers, by the call: a path, or the name of a GraphQL operation with its cursors.
type World = BTreeMap<String, (u16, String)>;

const API: &str = "/gl/api/v4";
const OF_COMMON: &str = "/gl/api/v4/projects/libs%2Fcommon";

/// GitLab's answers about `libs/common`, which is private and names `apps/team/web` in its allowlist.
fn world() -> World {
    let mut world = World::new();
    let mut say = |path: &str, body: serde_json::Value| world.insert(path.into(), (200, body.to_string()));
    say(OF_COMMON, json!({"id": 102, "path_with_namespace": "libs/common", "visibility": "private"}));
    say(&format!("{OF_COMMON}/job_token_scope"), json!({"inbound_enabled": true, "outbound_enabled": false}));
    say(&format!("{OF_COMMON}/job_token_scope/allowlist?per_page=100&page=1"), json!([{"id": 102}, {"id": 101}]));
    say(&format!("{OF_COMMON}/job_token_scope/groups_allowlist?per_page=100&page=1"), json!([]));
    say(&format!("{OF_COMMON}/members/all/11"), json!({"id": 11, "access_level": 20}));
    say(&format!("{API}/users/11"), json!({"id": 11, "external": false}));
    say(&format!("{API}/application/settings"), json!({"id": 1, "enforce_ci_inbound_job_token_scope_enabled": false}));
    say("jobscopeAllowlist - -", entries(&[project(101, json!(true), json!([]))], &[]));
    world
}

fn project(id: u64, default: serde_json::Value, policies: serde_json::Value) -> serde_json::Value {
    json!({"direction": "inbound", "defaultPermissions": default, "jobTokenPolicies": policies,
        "target": {"id": format!("gid://gitlab/Project/{id}")}})
}

fn group(path: &str, default: bool, policies: &[&str]) -> serde_json::Value {
    json!({"defaultPermissions": default, "jobTokenPolicies": policies, "target": {"fullPath": path}})
}

/// A list whose end is what is shown, unless it goes on: then the end is somebody else.
fn list(nodes: &[serde_json::Value], next: Option<&str>) -> serde_json::Value {
    let cursor = if nodes.is_empty() { None } else { Some(next.unwrap_or("end")) };
    json!({"nodes": nodes, "pageInfo": {"hasNextPage": next.is_some(), "endCursor": cursor}})
}

fn entries(projects: &[serde_json::Value], groups: &[serde_json::Value]) -> serde_json::Value {
    lists(list(projects, None), list(groups, None))
}

/// The end of a list, as it is asked for beside its beginning.
fn end(list: &serde_json::Value, others: &[serde_json::Value]) -> serde_json::Value {
    let goes_on = list["pageInfo"]["hasNextPage"] == true;
    let nodes = if goes_on { json!(others) } else { list["nodes"].clone() };
    json!({"nodes": nodes, "pageInfo": {"hasPreviousPage": goes_on}})
}

fn lists(projects: serde_json::Value, groups: serde_json::Value) -> serde_json::Value {
    let ends = (end(&projects, &[project(8, json!(true), json!([]))]), end(&groups, &[]));
    limiting(
        json!(true),
        json!({"projectsAllowlist": projects, "lastProjects": ends.0, "groupsAllowlist": groups, "lastGroups": ends.1}),
    )
}

fn limiting(is_limited: serde_json::Value, lists: serde_json::Value) -> serde_json::Value {
    json!({"data": {"project": {"id": "gid://gitlab/Project/102", "ciJobTokenScopeAllowlist": lists,
        "ciCdSettings": {"inboundJobTokenScopeEnabled": is_limited}}}})
}

/// A world in which the lists of an older forge and of a newer one say this.
fn listed(projects: &[u64], groups: &[&str], said: serde_json::Value) -> World {
    let mut world = world();
    let projects: Vec<_> = projects.iter().map(|id| json!({"id": id})).collect();
    let groups: Vec<_> =
        groups.iter().map(|path| json!({"id": 5, "web_url": format!("https://h/gl/groups/{path}")})).collect();
    for (list, entries) in [("allowlist", projects), ("groups_allowlist", groups)] {
        let path = format!("{OF_COMMON}/job_token_scope/{list}?per_page=100&page=1");
        world.insert(path, (200, json!(entries).to_string()));
    }
    world.insert("jobscopeAllowlist - -".into(), (200, said.to_string()));
    world
}

/// That a call carries the one credential of whose name it goes in: the proxy may add another to those of the service account.
fn carries_its_own(call: &Call) {
    let of = |name: &str| call.headers.iter().filter(|(field, _)| *field == name).count();
    let expected = match call.principal {
        Principal::Job => (1, 0),
        Principal::ServiceAccount => (0, 1),
    };
    assert_eq!((of("job-token"), of("private-token") + of("authorization")), expected, "{call:?}");
    assert_eq!(call.principal == Principal::Job, call.path.starts_with("/gl/api/v4/job"), "{call:?}");
}

fn key(call: &Call) -> String {
    carries_its_own(call);
    if call.path != "/gl/api/graphql" {
        assert_eq!((call.method, call.body.len()), ("GET", 0));
        // Once its number is known, a project is asked for by that.
        return call.path.replace("/gl/api/v4/projects/102", OF_COMMON);
    }
    assert_eq!(call.method, "POST");
    let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    let name = body["operationName"].as_str().unwrap();
    let query = body["query"].as_str().unwrap();
    assert!(query.starts_with(&format!("query {name}(")), "{query}");
    assert_eq!(query.matches('{').count(), query.matches('}').count());
    let variables = body["variables"].as_object().unwrap();
    let mut key = name.to_string();
    for (variable, value) in variables {
        assert!(query.contains(&format!("${variable}: ")), "{variable}");
        if variable != "path" && variable != "id" {
            key.push_str(&format!(" {}", value.as_str().unwrap_or("-")));
        }
    }
    key
}

/// Flies with the answers of a world. What it does not know is not found. Gives the calls in their order.
fn fly(config: &Config, fact: Fact, world: &World, last_first: bool) -> (Result<Value, Failure>, Vec<String>) {
    let (mut flight, mut progress) =
        Flight::start(config, Some(&Account::Token(Secret::new(b"service"))), fact, &|_| None);
    let mut outstanding: Vec<(usize, Call)> = Vec::new();
    let mut asked = Vec::new();
    loop {
        match progress {
            Progress::Landed(result) => return (result, asked),
            Progress::Going(more) => {
                asked.extend(more.iter().map(|(_, call)| key(call)));
                outstanding.extend(more);
            }
        }
        let at = if last_first { outstanding.len() - 1 } else { 0 };
        let (number, call) = outstanding.remove(at);
        let missing = || (404, r#"{"message": "404 Not Found"}"#.to_string());
        let (status, body) = world.get(&key(&call)).cloned().unwrap_or_else(missing);
        let answer = Answer { status: Some(status), next_page: None, location: None, body: body.as_bytes() };
        progress = flight.answer(number, &answer);
    }
}

fn ask(config: &Config, world: &World, target: &TargetRef) -> (Result<Value, Failure>, Vec<String>) {
    let (first, asked) = fly(config, Fact::Target(job(), target.clone()), world, false);
    let (last, _) = fly(config, Fact::Target(job(), target.clone()), world, true);
    assert_eq!(first, last, "the order of the answers changes nothing");
    (first, asked)
}

fn found(config: &Config, world: &World, target: &TargetRef) -> (Standing, Vec<String>) {
    match ask(config, world, target) {
        (Ok(Value::Target(Found::Standing(standing))), asked) => (standing, asked),
        other => panic!("{other:?}"),
    }
}

fn admission(world: &World) -> Result<Admission, Failure> {
    match ask(&config("gitlab", ""), world, &common()).0 {
        Ok(Value::Target(Found::Standing(standing))) => Ok(standing.admission),
        Err(failure) => Err(failure),
        other => panic!("{other:?}"),
    }
}

fn only(permissions: &[Permission]) -> Grants {
    Grants::Only(Permissions::of(permissions))
}

#[test]
fn the_nearest_entry_counts_alone() {
    let entry = |link, grants| Ok(Admission::Listed(Entry { link, grants }));
    let reads = |name: &str| json!([name]);
    // The project's own link beats every group's, also where the groups' grant more.
    let own = project(101, json!(false), reads("READ_JOBS"));
    let said = entries(&[project(9, json!(true), json!([])), own.clone()], &[group("apps", true, &[])]);
    assert_eq!(admission(&listed(&[9, 101], &["apps"], said)), entry(Link::Project, only(&[Permission::ReadJobs])));
    // Of groups the one nearest to the origin, in whatever order they come; groups that are not above it do not count.
    let groups = [
        group("Apps", true, &[]),
        group("apps/team", false, &["ADMIN_PACKAGES", "READ_FUTURE"]),
        group("app", true, &[]),
    ];
    let reversed: Vec<_> = groups.iter().cloned().rev().collect();
    for groups in [groups.to_vec(), reversed] {
        assert_eq!(
            admission(&listed(&[], &["Apps", "apps/team"], entries(&[], &groups))),
            entry(Link::Group, only(&[Permission::AdminPackages])),
            "a permission that is not known here grants nothing"
        );
    }
    // An outbound link of the target is no entry.
    let mut outbound = own;
    outbound["direction"] = "outbound".into();
    assert_eq!(
        admission(&listed(&[], &["apps"], entries(&[outbound], &[group("apps", true, &[])]))),
        entry(Link::Group, Grants::Default)
    );
    assert_eq!(
        admission(&listed(&[101], &[], entries(&[project(101, json!(false), json!(null))], &[]))),
        entry(Link::Project, only(&[])),
    );
}

#[test]
fn entries_are_read_to_their_last_page() {
    let filler = project(9, json!(true), json!([]));
    let first = lists(list(std::slice::from_ref(&filler), Some("p2")), list(&[group("apps", true, &[])], None));
    let mut world = listed(&[101], &["apps"], first);
    let second = lists(list(&[project(101, json!(false), json!(["READ_JOBS"]))], None), list(&[], None));
    // The variables stand in the order of their names.
    world.insert("jobscopeAllowlist end p2".into(), (200, second.to_string()));
    let (standing, asked) = found(&config("gitlab", ""), &world, &common());
    let granted = Entry { link: Link::Project, grants: only(&[Permission::ReadJobs]) };
    assert_eq!((standing.admission, asked.len()), (Admission::Listed(granted), 6));
    // A list that never ends is no list.
    let endless = lists(list(&[filler], Some("p2")), list(&[], None));
    world.insert("jobscopeAllowlist - -".into(), (200, endless.to_string()));
    world.insert("jobscopeAllowlist - p2".into(), (200, endless.to_string()));
    assert_eq!(admission(&world), Err(Failure::LookupAnswer));
}

#[test]
fn an_old_forge_has_no_entries_of_single_permissions_and_any_other_error_is_a_failure() {
    let error = |message: &str| json!({"errors": [{"message": "Variable $groups is declared but not used"}, {"message": message}]});
    let default = Ok(Admission::Listed(Entry { link: Link::Project, grants: Grants::Default }));
    for (field, of) in [
        ("ciJobTokenScopeAllowlist", "Project"),
        ("defaultPermissions", "CiJobTokenScopeAllowlistEntry"),
        ("jobTokenPolicies", "CiJobTokenScopeAllowlistEntry"),
    ] {
        let said = error(&format!("Field '{field}' doesn't exist on type '{of}' (Did you mean `x`?)"));
        assert_eq!(admission(&listed(&[101], &[], said)), default, "{field}");
    }
    let hidden = json!({"direction": "inbound", "defaultPermissions": true, "jobTokenPolicies": [], "target": null});
    let with_error = |mut said: serde_json::Value| {
        said["errors"] = json!([{"message": "Timeout on 'projectsAllowlist'"}]);
        said
    };
    let granted = entries(&[project(101, json!(true), json!([]))], &[]);
    for (said, failure) in [
        (error("Field 'fullPath' doesn't exist on type 'Project'"), Failure::LookupAnswer),
        (error("Query has complexity of 300"), Failure::LookupAnswer),
        (json!({"data": {"project": null}}), Failure::LookupRights),
        (json!({"data": {"project": {"ciJobTokenScopeAllowlist": null}}}), Failure::LookupRights),
        (entries(&[hidden, project(101, json!(true), json!([]))], &[]), Failure::LookupRights),
        (with_error(granted), Failure::LookupAnswer),
        (entries(&[project(101, json!(null), json!([]))], &[]), Failure::LookupAnswer),
        (entries(&[project(101, json!(false), json!("READ_JOBS"))], &[]), Failure::LookupAnswer),
        (json!({}), Failure::LookupAnswer),
        (json!([]), Failure::LookupAnswer),
        // Another project's allowlist.
        (
            json!({"data": {"project": {"id": "gid://gitlab/Project/103", "ciCdSettings": null,
            "ciJobTokenScopeAllowlist": lists(list(&[], None), list(&[], None))["data"]["project"]["ciJobTokenScopeAllowlist"]}}}),
            Failure::LookupAnswer,
        ),
    ] {
        assert_eq!(admission(&listed(&[101], &[], said.clone())), Err(failure), "{said}");
    }
    let mut silent = world();
    silent.insert("jobscopeAllowlist - -".into(), (401, r#"{"errors": [{"message": "Invalid token"}]}"#.into()));
    assert_eq!(admission(&silent), Err(Failure::LookupAnswer));
}

#[test]
fn an_instance_enforces_above_the_projects_switch() {
    let none = || entries(&[], &[])["data"]["project"]["ciJobTokenScopeAllowlist"].clone();
    let off = |settings: (u16, serde_json::Value)| {
        let mut world = listed(&[], &[], limiting(json!(false), none()));
        world.insert(format!("{API}/application/settings"), (settings.0, settings.1.to_string()));
        admission(&world)
    };
    let enforced = |value: serde_json::Value| json!({"id": 1, "enforce_ci_inbound_job_token_scope_enabled": value});
    let refusal = || json!({"message": "no"});
    for (status, settings, expected) in [
        (200, enforced(json!(false)), Ok(Admission::Open)),
        (200, enforced(json!(true)), Ok(Admission::Unlisted)),
        (200, enforced(json!(null)), Ok(Admission::Unlisted)),
        (200, json!({"id": 1}), Ok(Admission::Open)),
        (200, json!({}), Err(Failure::LookupAnswer)),
        (403, refusal(), Ok(Admission::Unlisted)),
        (401, refusal(), Err(Failure::LookupRights)),
        (404, refusal(), Err(Failure::LookupRights)),
    ] {
        assert_eq!(off((status, settings.clone())), expected, "{status} {settings}");
    }
    let mut without = limiting(json!(null), none());
    assert_eq!(admission(&listed(&[], &[], without.clone())), Ok(Admission::Unlisted), "missing settings limit access");
    without["data"]["project"]["ciCdSettings"] = json!(null);
    assert_eq!(admission(&listed(&[], &[], without)), Ok(Admission::Unlisted), "missing settings limit access");
    let older = json!({"errors": [{"message": "Field 'ciJobTokenScopeAllowlist' doesn't exist on type 'Project'"}]});
    for missing in [json!({}), json!({"inbound_enabled": null})] {
        let mut world = listed(&[], &[], older.clone());
        world.insert(format!("{OF_COMMON}/job_token_scope"), (200, missing.to_string()));
        assert_eq!(admission(&world), Ok(Admission::Unlisted), "missing settings limit access");
    }
    let mut open = listed(&[], &[], older);
    open.insert(format!("{OF_COMMON}/job_token_scope"), (200, r#"{"inbound_enabled": false}"#.into()));
    assert_eq!(admission(&open), Ok(Admission::Open));
}

#[test]
fn what_is_not_wanted_is_not_asked() {
    let count = |facts: &str, world: &World, target: &TargetRef| found(&config("gitlab", facts), world, target).1.len();
    let world = world();
    let mut own = World::new();
    for (path, answer) in &world {
        own.insert(path.replace("libs%2Fcommon", "101"), (answer.0, answer.1.replace("102", "101")));
    }
    assert_eq!(
        count("", &world, &common()),
        5,
        "one for the project, one for its allowlist, one for what the instance enforces, two for the user"
    );
    assert_eq!(count("", &own, &TargetRef::Own), 3, "a project admits its own jobs");
    let by_path: World =
        own.into_iter().map(|(path, said)| (path.replace("/101", "/apps%2Fteam%2Fweb"), said)).collect();
    assert_eq!(count("", &by_path, &TargetRef::Path(path("apps/team/web"))), 3, "by its path too");
    for (facts, calls) in [
        (r#""membership": "forge""#, 4),
        (r#""external": "configuration""#, 4),
        (r#""allowlists": "configuration""#, 3),
        (r#""allowlists": "forge", "membership": "forge""#, 2),
        (r#""allowlists": "forge", "membership": "forge", "external": "forge""#, 1),
        (r#""visibility": "configuration""#, 5),
    ] {
        assert_eq!(count(facts, &world, &common()), calls, "{facts}");
    }
}

#[test]
fn a_fact_that_is_not_looked_up_is_what_the_configuration_says() {
    let world = world();
    let facts = r#""allowlists": "configuration", "membership": "configuration", "external": "configuration",
        "members": [{"user": "dana", "targets": ["libs/**"], "role": "owner"}], "external_users": ["dana"]"#;
    let (standing, asked) = found(&config("gitlab", facts), &world, &common());
    assert_eq!((standing.role, standing.affiliation), (None, Affiliation::LeftToForge));
    assert_eq!((standing.admission, standing.target.visibility), (Admission::LeftToForge, Some(Visibility::Private)));
    assert_eq!(asked, [OF_COMMON]);
    // The decision takes it from the configuration of today: what is remembered is the same for all of them.
    let decided =
        |facts: &str| decide_clone(&config("gitlab", facts), vec![(common(), Found::Standing(standing.clone()))]);
    assert_eq!(decided(facts), "allowlist.missing");
    assert_eq!(
        decided(&facts.replace(r#""allowlists": "configuration""#, r#""allowlists": "forge""#)),
        "forge.decides"
    );
    let stranger = facts
        .replace(r#""allowlists": "configuration""#, r#""allowlists": "forge""#)
        .replace(r#"["libs/**"]"#, r#"["lib/**"]"#);
    assert_eq!(decided(&stranger), "role.none");
    let facts = r#""allowlists": "forge", "membership": "forge", "visibility": "forge""#;
    let (standing, _) = found(&config("gitlab", facts), &world, &common());
    assert_eq!((standing.role, standing.target.visibility), (None, None));
    assert_eq!((standing.admission, standing.affiliation), (Admission::LeftToForge, Affiliation::Internal));
}

/// The reason of the decision on a clone of `libs/common`.
fn decide_clone(config: &Config, targets: Vec<(TargetRef, Found)>) -> &'static str {
    decide(config, "/gl/libs/common.git/info/refs?service=git-upload-pack", "h", targets).expect("decided").cause.code()
}

/// The decision on a GET by the job, or the targets that are missing for it.
fn decide(
    config: &Config,
    path: &str,
    host: &str,
    targets: Vec<(TargetRef, Found)>,
) -> Result<Decision, Vec<TargetRef>> {
    let basic = "Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTY0X2RhbmFCdWlsZHNXZWIwMDAwMDE=";
    let lines: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":path", path.as_bytes()),
        (b":authority", host.as_bytes()),
        (b"authorization", basic.as_bytes()),
    ];
    let Reading::Job(request) = policy::request::read(&config.forge, &Head::new(&lines, Body::None)) else {
        panic!("{path}")
    };
    let facts = Facts { token: Some(Token::Running(job())), targets, ..Facts::default() };
    match policy::decide(config, &request, &facts) {
        Step::Decided(decision) => Ok(decision),
        Step::NeedsTargets(_, missing) => Err(missing),
        Step::NeedsToken | Step::NotAJob => panic!("{path}"),
    }
}

#[test]
fn without_lookups_a_request_is_decided_at_once() {
    let config = self::config("gitlab", ALONE);
    let code =
        |config: &Config, path: &str| decide(config, path, "h", Vec::new()).map(|decision| decision.cause.code());
    let clone = "/gl/libs/common.git/info/refs?service=git-upload-pack";
    assert_eq!(code(&config, clone), Ok("forge.decides"));
    assert_eq!(code(&self::config("gitlab", ""), clone), Err(vec![common()]));
    // A number other than the own is some project of which no rule can say anything.
    let other = decide(&config, "/gl/api/v4/projects/102/releases", "h", Vec::new()).unwrap();
    assert_eq!((other.cause.code(), other.record.target.as_str()), ("allowlist.missing", "#102"));
    assert_eq!(code(&config, "/gl/api/v4/projects/101/releases"), Ok("forge.decides"));
}

#[test]
fn an_image_may_be_any_of_its_candidates_and_the_strictest_counts() {
    let facts = |targets: &str| {
        format!(
            r#""membership": "configuration", "external": "forge", "visibility": "forge", "allowlists": "forge",
                "members": [{{"user": "dana", "targets": [{targets}], "role": "reporter"}}]"#
        )
    };
    let pull = |targets: &str| {
        let config = format!(
            r#"{{"forge": {{"hosts": ["h"], "registry_hosts": ["r"]}}, "lookup": {{"cluster": "c", "authority": "h"}}, "facts": {{{}}}}}"#,
            facts(targets)
        );
        let config = Config::parse(config.as_bytes()).unwrap();
        let decision = decide(
            &config,
            "/jwt/auth?service=container_registry&scope=repository:libs/common/a:pull",
            "h",
            Vec::new(),
        );
        decision.map(|decision| decision.cause.code())
    };
    assert_eq!(pull(r#""libs/**""#), Ok("forge.decides"));
    assert_eq!(pull(r#""libs/common/**""#), Ok("role.none"), "`libs/common` may be the project");
    assert_eq!(pull(r#""libs/common""#), Ok("forge.decides"), "no project lies in one that is named");
}

#[test]
fn an_outbound_list_is_read_where_it_is_wanted_and_matters() {
    let facts = r#""outbound": "lookup""#;
    let scope = format!("{API}/projects/101/job_token_scope");
    let mut world = world();
    let mut say = |scope_says: &str, first: serde_json::Value| {
        world.insert(scope.clone(), (200, scope_says.into()));
        world.insert("jobscopeOutbound -".into(), (200, first.to_string()));
        found(&config("gitlab", facts), &world, &common())
    };
    let names = |ids: &[u64], next: Option<&str>, last: &[u64]| {
        let node = |id: &u64| json!({"id": format!("gid://gitlab/Project/{id}")});
        let (first, last): (Vec<_>, Vec<_>) = (ids.iter().map(node).collect(), last.iter().map(node).collect());
        let first = list(&first, next);
        json!({"data": {"project": {"ciJobTokenScope": {"last": end(&first, &last), "projects": first}}}})
    };
    let (open, asked) = say(r#"{"inbound_enabled": true, "outbound_enabled": false}"#, names(&[], None, &[]));
    assert_eq!((open.outbound, asked.len()), (Outbound::Open, 7));
    assert_eq!(
        say(r#"{"inbound_enabled": true}"#, json!({"errors": [{"message": "Field 'ciJobTokenScope' doesn't exist"}]}))
            .0
            .outbound,
        Outbound::Open,
        "a forge that dropped it"
    );
    let limited = r#"{"inbound_enabled": true, "outbound_enabled": true}"#;
    assert_eq!(say(limited, names(&[101, 1020], None, &[])).0.outbound, Outbound::Unlisted);
    assert_eq!(say(limited, names(&[101, 102], None, &[])).0.outbound, Outbound::Open);
    let (two_hundred, asked) = say(limited, names(&[7, 8], Some("more"), &[8, 102]));
    assert_eq!((two_hundred.outbound, asked.len()), (Outbound::Open, 7), "the beginning and the end are all of it");
    let mut world = self::world();
    world.insert(scope.clone(), (200, limited.into()));
    world.insert("jobscopeOutbound -".into(), (200, names(&[101], Some("p2"), &[9]).to_string()));
    world.insert("jobscopeOutbound p2".into(), (200, names(&[102], None, &[]).to_string()));
    assert_eq!(found(&config("gitlab", facts), &world, &common()).0.outbound, Outbound::Open);
    world.insert("jobscopeOutbound p2".into(), (200, names(&[7], Some("p2"), &[9]).to_string()));
    assert_eq!(ask(&config("gitlab", facts), &world, &common()).0, Err(Failure::LookupAnswer), "round and round");
    world.insert("jobscopeOutbound -".into(), (200, r#"{"data": {"project": null}}"#.into()));
    assert_eq!(ask(&config("gitlab", facts), &world, &common()).0, Err(Failure::LookupRights), "it may not be read");
    world.insert(scope, (403, r#"{"message": "403 Forbidden"}"#.into()));
    assert_eq!(ask(&config("gitlab", facts), &world, &common()).0, Err(Failure::LookupRights));
    // Whoever may see a public target gets there whatever the origin's list says.
    world.insert(
        OF_COMMON.into(),
        (200, r#"{"id": 102, "path_with_namespace": "libs/common", "visibility": "internal"}"#.into()),
    );
    assert_eq!(found(&config("gitlab", facts), &world, &common()).0.outbound, Outbound::Open);
}

#[test]
fn a_token_is_refused_for_the_reason_that_the_job_shows() {
    let job = json!({"id": 7, "status": "running", "user": {"id": 11, "username": "dana", "state": "active"}, "ref": "main",
        "pipeline": {"project_id": 101, "source": "schedule"}, "web_url": "https://h/gl/apps/team/web/-/jobs/7"});
    let say = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut body = job.clone();
        change(&mut body);
        let world = World::from([(format!("{API}/job"), (200, body.to_string()))]);
        fly(&config("gitlab", ""), Fact::Token(Secret::new(b"glcbt-1")), &world, false)
    };
    let invalid = |change: &dyn Fn(&mut serde_json::Value)| match say(change).0 {
        Ok(Value::Token(Token::Invalid(invalid))) => Some(invalid),
        _ => None,
    };
    let (Ok(Value::Token(Token::Running(running))), asked) = say(&|_| {}) else { panic!() };
    for (runner, id) in
        [(json!({"id": 3, "description": "x"}), Some(RunnerId(3))), (json!(null), None), (json!("3"), None)]
    {
        let Ok(Value::Token(Token::Running(running))) = say(&|job| job["runner"] = runner.clone()).0 else { panic!() };
        assert_eq!(running.context.runner, id, "{runner}");
    }
    assert_eq!(asked.len(), 1, "no rule looks at more");
    let context = Context {
        git_ref: Some("main".into()),
        source: Some("schedule".into()),
        fork: Some(false),
        ..Context::default()
    };
    assert_eq!(running.context, context);
    let Ok(Value::Token(Token::Running(running))) = say(&|job| job["status"] = "canceling".into()).0 else { panic!() };
    assert_eq!(running.id, JobId(7));
    assert_eq!(invalid(&|job| job["status"] = "pending".into()), Some(Invalid::NotStarted));
    assert_eq!(invalid(&|job| job["erased_at"] = "2026-01-01".into()), Some(Invalid::Erased));
    for (state, expected) in [
        ("blocked", Invalid::UserBlocked),
        ("banned", Invalid::UserBlocked),
        ("deactivated", Invalid::UserDeactivated),
        ("something", Invalid::UserRefused),
    ] {
        assert_eq!(invalid(&|job| job["user"]["state"] = state.into()), Some(expected), "{state}");
    }
    assert_eq!(invalid(&|job| job["user"]["locked"] = true.into()), Some(Invalid::UserRefused));
    let Ok(Value::Token(Token::Running(running))) = say(&|job| {
        job["ref"] = "refs/merge-requests/5/head".into();
        job["pipeline"]["source"] = "merge_request_event".into();
    })
    .0
    else {
        panic!()
    };
    assert_eq!((running.context.protected, running.context.fork), (Some(false), None));
}

const ALONE: &str = r#""membership": "forge", "external": "forge", "visibility": "forge", "allowlists": "forge""#;

fn standings(config: &Config, target: &TargetRef) -> Vec<Standing> {
    let found = facts_without_lookup(config, &job(), target).expect("nothing is looked up");
    let standing = |found| match found {
        Found::Standing(standing) => standing,
        Found::Holders(_) | Found::Nothing => panic!("{target:?}"),
    };
    found.into_iter().map(standing).collect()
}

#[test]
fn where_nothing_is_looked_up_the_job_and_the_request_say_what_is_known() {
    let config = self::config("gitlab", ALONE);
    let own = standings(&config, &TargetRef::Own);
    assert_eq!(own.len(), 1);
    assert_eq!((own[0].admission, own[0].role, own[0].affiliation), (Admission::Own, None, Affiliation::LeftToForge));
    assert_eq!((own[0].target.id, own[0].target.path.clone()), (Some(ProjectId(101)), Some(path("apps/team/web"))));
    assert_eq!((own[0].target.visibility, own[0].target.job_push), (None, JobPush::Own));
    for same in [
        TargetRef::Job(JobId(7)),
        TargetRef::Id(ProjectId(101)),
        TargetRef::Path(path("Apps/Team/Web")),
        TargetRef::ProjectOfJob(JobId(1001)),
        TargetRef::Image([path("apps/team/web/a"), path("apps/team/web"), path("apps/team")].into()),
    ] {
        assert_eq!(standings(&config, &same), own, "{same:?}");
    }
    let named = &standings(&config, &common())[0];
    assert_eq!((named.admission, named.target.id), (Admission::LeftToForge, None));
    assert_eq!(named.target.path, Some(path("libs/common")));
    // A target without a path could be one that a rule denies.
    for (nameless, id) in
        [(TargetRef::Id(ProjectId(102)), Some(ProjectId(102))), (TargetRef::ProjectOfJob(JobId(7)), None)]
    {
        let standing = &standings(&config, &nameless)[0];
        assert_eq!((standing.admission, standing.target.id), (Admission::Unlisted, id));
        assert_eq!(standing.target.path, None);
    }
    // Each candidate for an image's project may be the one.
    let image = TargetRef::Image([path("libs/common/a"), path("libs/common")].into());
    let paths = |config: &Config| -> Vec<String> {
        standings(config, &image).into_iter().map(|one| one.target.path.unwrap().to_string()).collect()
    };
    assert_eq!(paths(&config), ["libs/common/a", "libs/common"]);
    let named = self::config(
        "gitlab",
        &ALONE.replace(
            r#""membership": "forge""#,
            r#""membership": "configuration", "members": [{"user": "dana", "targets": ["libs/common"], "role": "guest"}]"#,
        ),
    );
    assert_eq!(paths(&named), ["libs/common"]);
    for facts in [
        "",
        r#""membership": "forge", "external": "forge", "visibility": "forge""#,
        &[ALONE, r#", "outbound": "lookup""#].concat(),
    ] {
        assert_eq!(facts_without_lookup(&self::config("gitlab", facts), &job(), &common()), None, "{facts}");
    }
}

#[test]
fn a_service_leaves_out_what_is_not_looked_up() {
    let say = |facts: &str, body: serde_json::Value| {
        let world = World::from([("/jobscope/v1/lookup".into(), (200, body.to_string()))]);
        let (mut flight, _) = Flight::start(
            &config("generic", facts),
            Some(&Account::Token(Secret::new(b"s"))),
            Fact::Target(job(), common()),
            &|_| None,
        );
        let body = world["/jobscope/v1/lookup"].1.clone();
        match flight.answer(0, &Answer { status: Some(200), next_page: None, location: None, body: body.as_bytes() }) {
            Progress::Landed(Ok(Value::Target(Found::Standing(standing)))) => Ok(standing),
            Progress::Landed(Err(failure)) => Err(failure),
            other @ (Progress::Going(_) | Progress::Landed(_)) => panic!("{other:?}"),
        }
    };
    let bare = json!({"version": 1, "target": {"id": 102, "path": "libs/common", "push_by_job_token": "off"}});
    assert_eq!(say("", bare.clone()), Err(Failure::LookupAnswer));
    let standing = say(ALONE, bare).unwrap();
    assert_eq!((standing.role, standing.admission), (None, Admission::LeftToForge));
    let mut whole = json!({"version": 1, "role": "reporter", "external": false, "admission": "project", "outbound": "unlisted",
        "permissions": ["read_jobs"], "target": {"id": 102, "path": "libs/common", "visibility": "private", "push_by_job_token": "admitted"}});
    let standing = say("", whole.clone()).unwrap();
    let entry = Entry { link: Link::Project, grants: only(&[Permission::ReadJobs]) };
    assert_eq!((standing.admission, standing.outbound), (Admission::Listed(entry), Outbound::Unlisted));
    assert_eq!(standing.target.job_push, JobPush::Admitted);
    whole["permissions"] = json!(["read_everything"]);
    assert_eq!(say("", whole), Err(Failure::LookupAnswer));
}

#[test]
fn without_a_credential_nothing_that_carries_it_is_asked() {
    let alone = format!(
        r#"{{"forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h"}}, "facts": {{{ALONE}}}}}"#
    );
    let alone = Config::parse(alone.as_bytes()).unwrap();
    let (_, token) = Flight::start(&alone, None, Fact::Token(Secret::new(b"glcbt-1")), &|_| None);
    let Progress::Going(calls) = token else { panic!() };
    assert_eq!(calls[0].1.headers, [("accept", b"application/json".to_vec()), ("job-token", b"glcbt-1".to_vec())]);
    let (_, target) = Flight::start(&alone, None, Fact::Target(job(), common()), &|_| None);
    assert_eq!(target, Progress::Landed(Err(Failure::LookupRights)));
}

/// A job's token that is a JWT with these claims.
fn jwt(claims: &serde_json::Value) -> Secret {
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"typ": "JWT", "alg": "RS256"});
    Secret::new(format!("glcbt-{}.{}.c2ln", part(&header), part(claims)).as_bytes())
}

/// A composite identity's job, as its token and a service of one's own tell.
#[test]
fn for_whom_a_composite_identity_works_is_known_from_the_token() {
    let said = json!({"id": 7, "status": "running", "user": {"id": 11, "username": "duo"}, "ref": "main", "tag": false,
        "pipeline": {"project_id": 101}, "web_url": "https://h/gl/apps/team/web/-/jobs/7"});
    let world = World::from([(format!("{API}/job"), (200, said.to_string()))]);
    let of_gitlab = |token| match fly(&config("gitlab", ""), Fact::Token(token), &world, false).0 {
        Ok(Value::Token(Token::Running(job))) => Ok(job.people().collect::<Vec<_>>()),
        Err(failure) => Err(failure),
        other => panic!("{other:?}"),
    };
    let alone = Ok(vec![UserId(11)]);
    let both = Ok(vec![UserId(11), UserId(12)]);
    assert_eq!(of_gitlab(Secret::new(b"glcbt-64_abc")), alone);
    assert_eq!(of_gitlab(jwt(&json!({"sub": "gid://gitlab/Ci::Build/7", "u": "b"}))), alone);
    assert_eq!(of_gitlab(jwt(&json!({"scoped_user_id": null}))), alone);
    assert_eq!(of_gitlab(jwt(&json!({"scoped_user_id": 11}))), alone);
    assert_eq!(of_gitlab(jwt(&json!({"scoped_user_id": 12}))), both);
    assert_eq!(of_gitlab(jwt(&json!({"scoped_user_id": "12"}))), both);
    for unreadable in [json!("x"), json!(-1), json!(1.5), json!({}), json!([12])] {
        let said = of_gitlab(jwt(&json!({"scoped_user_id": unreadable})));
        assert_eq!(said, Err(Failure::LookupAnswer), "{unreadable}");
    }

    let of_service = |user: serde_json::Value, token| {
        let job = json!({"id": 7, "user": user, "origin": {"id": 101, "path": "apps/team/web"}});
        let body = json!({"version": 1, "token": "running", "job": job}).to_string();
        let (mut flight, _) = Flight::start(
            &config("generic", ""),
            Some(&Account::Token(Secret::new(b"s"))),
            Fact::Token(token),
            &|_| None,
        );
        let answer = Answer { status: Some(200), next_page: None, location: None, body: body.as_bytes() };
        match flight.answer(0, &answer) {
            Progress::Landed(Ok(Value::Token(Token::Running(job)))) => job.people().collect::<Vec<_>>(),
            other @ (Progress::Going(_) | Progress::Landed(_)) => panic!("{other:?}"),
        }
    };
    let plain = || Secret::new(b"glcbt-64_abc");
    assert_eq!(of_service(json!({"id": 11, "name": "duo"}), plain()), [UserId(11)]);
    assert_eq!(
        of_service(json!({"id": 11, "name": "duo", "on_behalf_of": {"id": 12}}), plain()),
        [UserId(11), UserId(12)]
    );
    let claimed = jwt(&json!({"scoped_user_id": 12}));
    assert_eq!(of_service(json!({"id": 11, "name": "duo"}), claimed), [UserId(11), UserId(12)]);
}

#[test]
fn a_composite_identity_has_the_least_of_two_roles_and_is_external_where_one_is() {
    let mut composite = job();
    composite.context.on_behalf_of = Some(UserId(12));
    let world = |of_user: u64, of_other: Option<u64>, external: bool| {
        let mut world = world();
        let mut say = |path: String, body: serde_json::Value| world.insert(path, (200, body.to_string()));
        say(format!("{OF_COMMON}/members/all/11"), json!({"id": 11, "access_level": of_user}));
        if let Some(level) = of_other {
            say(format!("{OF_COMMON}/members/all/12"), json!({"id": 12, "access_level": level}));
        }
        say(format!("{API}/users/12"), json!({"id": 12, "external": external}));
        world
    };
    for (of_user, of_other, external, role, affiliation) in [
        (40, Some(20), false, Role::Reporter, Affiliation::Internal),
        (20, Some(50), false, Role::Reporter, Affiliation::Internal),
        (50, None, false, Role::None, Affiliation::Internal),
        (40, Some(40), true, Role::Maintainer, Affiliation::External),
    ] {
        for last_first in [true, false] {
            let fact = Fact::Target(composite.clone(), common());
            let (found, asked) = fly(&config("gitlab", ""), fact, &world(of_user, of_other, external), last_first);
            let Ok(Value::Target(Found::Standing(standing))) = found else { panic!("{found:?}") };
            assert_eq!((standing.role, standing.affiliation), (Some(role), affiliation));
            assert_eq!(asked.len(), 7, "two more than for one");
        }
    }
    // Neither shares a key with the user alone.
    assert_ne!(Fact::Target(composite.clone(), common()).key(), Fact::Target(job(), common()).key());
    // An answer about somebody else is none.
    let mut wrong = world(40, Some(40), false);
    wrong.insert(format!("{OF_COMMON}/members/all/12"), (200, json!({"id": 11, "access_level": 40}).to_string()));
    let (found, _) = fly(&config("gitlab", ""), Fact::Target(composite.clone(), common()), &wrong, false);
    assert_eq!(found, Err(Failure::LookupAnswer));
    // A service is told of both.
    let fact = Fact::Target(composite, common());
    let (_, progress) =
        Flight::start(&config("generic", ""), Some(&Account::Token(Secret::new(b"s"))), fact, &|_| None);
    let Progress::Going(calls) = progress else { panic!("{progress:?}") };
    let asked: serde_json::Value = serde_json::from_slice(&calls[0].1.body).unwrap();
    assert_eq!(asked["user"], json!({"id": 11, "name": "dana", "on_behalf_of": {"id": 12}}));
}

/// What the configuration says of roles it says by name, and of whom a composite identity works for no name is known.
#[test]
fn the_configuration_says_nothing_for_whom_a_composite_identity_works() {
    let config = config(
        "gitlab",
        r#""membership": "configuration", "members": [{"user": "dana", "targets": ["**"], "role": "owner"}],
           "external": "configuration", "visibility": "forge", "allowlists": "forge""#,
    );
    let standing = |job: &Job| match facts_without_lookup(&config, job, &common()).unwrap().remove(0) {
        Found::Standing(standing) => (standing.role, standing.affiliation),
        Found::Holders(_) | Found::Nothing => panic!(),
    };
    assert_eq!(standing(&job()), (Some(Role::Owner), Affiliation::Internal));
    let mut composite = job();
    composite.context.on_behalf_of = Some(UserId(12));
    assert_eq!(standing(&composite), (Some(Role::None), Affiliation::External));
}

#[test]
fn a_projects_state_is_read_and_what_is_not_shown_is_not_so() {
    let read = |more: serde_json::Value| {
        let mut world = world();
        let mut project = json!({"id": 102, "path_with_namespace": "libs/common", "visibility": "private"});
        project.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.insert(OF_COMMON.into(), (200, project.to_string()));
        let target = found(&config("gitlab", ""), &world, &common()).0.target;
        (target.public_jobs, target.archived, target.level(Feature::Infrastructure))
    };
    assert_eq!(read(json!({})), (false, false, Level::Enabled));
    assert_eq!(read(json!({"public_jobs": true, "archived": true})), (true, true, Level::Enabled));
    assert!(read(json!({"marked_for_deletion_on": "2026-01-01"})).1);
    assert!(!read(json!({"marked_for_deletion_at": null, "marked_for_deletion_on": null})).1);
    assert_eq!(read(json!({"infrastructure_access_level": "disabled"})).2, Level::Disabled);
}
