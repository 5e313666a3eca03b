//! `docs/token-lookup.md` and its OpenAPI file say what `policy::lookup` does.
//!
//! Every JSON block of the page has a name behind the word `json`. Questions are what the code asks for the facts of that
//! name, answers are fed to the code, tables are read row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policy::Config;
use policy::access::{Holding, Package, Registry, Sought, TargetRef};
use policy::bindings::{Cursor, Moment};
use policy::facts::{
    Admission, Affiliation, Context, Credential, Entry, Feature, Found, Grants, GroupId, GroupPath, GroupRef, Holders,
    Invalid, Job, JobId, JobPush, Level, Link, Origin, Outbound, Permission, Permissions, ProjectId, ProjectPath, Role,
    RunnerId, Secret, Standing, Token, User, UserId, Version, Visibility,
};
use policy::failure::Failure;
use policy::lookup::changes::{self, News};
use policy::lookup::ended::{self, Heard};
use policy::lookup::{Account, Answer, Call, Fact, Flight, Progress, Value as Landed, version};
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/token-lookup.md");
const OPENAPI: &str = include_str!("../../../docs/token-lookup.openapi.yaml");
const TOKEN: &[u8] = b"glcbt-64_bXktam9iLXRva2Vu";

type Outcome = Result<Landed, Failure>;

/// The JSON blocks of the page by name.
fn blocks() -> BTreeMap<&'static str, Value> {
    let mut blocks = BTreeMap::new();
    for block in PAGE.split("\n```json").skip(1) {
        let (name, rest) = block.split_once('\n').expect("a block has lines");
        let (text, _) = rest.split_once("\n```").expect("a block ends");
        let value = serde_json::from_str(text).unwrap_or_else(|error| panic!("`{name}` is no JSON: {error}"));
        assert!(!name.trim().is_empty(), "a block without a name: {text}");
        assert!(blocks.insert(name.trim(), value).is_none(), "`{name}` stands twice");
    }
    blocks
}

/// The rows of the table whose first column is headed so; the last table of that kind.
fn rows(head: &str) -> Vec<Vec<&'static str>> {
    let start = PAGE.rfind(&format!("\n| {head} |")).unwrap_or_else(|| panic!("no table `{head}`"));
    PAGE[start + 1..]
        .lines()
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('|')).collect())
        .collect()
}

fn config(kind: &str) -> Config {
    let document = format!(
        r#"{{"forge": {{"kind": "{kind}", "hosts": ["forge.example.com"]}}, "lookup": {{"cluster": "token-lookup", "authority": "forge.example.com", "credential_env": "E"}}}}"#
    );
    Config::parse(document.as_bytes()).expect("a sound configuration")
}

fn start(kind: &str, fact: Fact) -> (Flight, Progress) {
    Flight::start(&config(kind), Some(&Account::Token(Secret::new(b"service"))), fact, &|_| None)
}

fn path(path: &str) -> ProjectPath {
    ProjectPath::parse(path).expect("a sound path")
}

fn origin() -> Origin {
    Origin { id: ProjectId(101), path: path("apps/web") }
}

fn job() -> Job {
    Job {
        id: JobId(1001),
        user: Some(User { id: UserId(11), name: "dana".into() }),
        origin: origin(),
        context: Context::default(),
    }
}

fn job_without_user() -> Job {
    Job { id: JobId(1005), user: None, origin: origin(), context: Context::default() }
}

/// The nearest entry, and what it grants.
fn listed(link: Link, permissions: &[Permission]) -> Admission {
    let grants = if permissions.is_empty() { Grants::Default } else { Grants::Only(Permissions::of(permissions)) };
    Admission::Listed(Entry { link, grants })
}

/// The fact that the question of this name asks for.
fn fact(question: &str) -> Fact {
    match question {
        "ask-token" => Fact::Token(Secret::new(TOKEN)),
        "ask-target-path" => Fact::Target(job(), TargetRef::Path(path("libs/common"))),
        "ask-target-id" => Fact::Target(job(), TargetRef::Id(ProjectId(102))),
        "ask-target-of-job" => Fact::Target(job(), TargetRef::ProjectOfJob(JobId(1002))),
        "ask-target-image" => Fact::Target(
            job(),
            TargetRef::Image([path("containers/poetry/python3.11"), path("containers/poetry")].into()),
        ),
        "ask-target-without-user" => Fact::Target(job_without_user(), TargetRef::Id(ProjectId(101))),
        "ask-holders" => {
            let package = Package::new(Registry::Pypi, ["My_Tool".into()]);
            held(GroupRef::Path(GroupPath::parse("libs").expect("a sound path")), Sought::Package(package))
        }
        "ask-holders-of-group" => held(GroupRef::Id(GroupId(7)), Sought::Everything),
        other => panic!("`{other}` is no known question"),
    }
}

fn held(group: GroupRef, sought: Sought) -> Fact {
    Fact::Target(job(), TargetRef::Held(Holding { group, sought }.into()))
}

fn calls(progress: Progress) -> Vec<(usize, Call)> {
    match progress {
        Progress::Going(calls) => calls,
        Progress::Landed(result) => panic!("landed before an answer: {result:?}"),
    }
}

fn landed(progress: Progress) -> Outcome {
    match progress {
        Progress::Landed(result) => result,
        Progress::Going(calls) => panic!("asks for more: {calls:?}"),
    }
}

fn answer(status: Option<u16>, body: &[u8]) -> Answer<'_> {
    Answer { status, next_page: None, location: None, body }
}

/// What a service of one's own is understood to say with this status and body.
fn say(fact: Fact, status: Option<u16>, body: &[u8]) -> Outcome {
    let (mut flight, progress) = start("generic", fact);
    assert_eq!(calls(progress).len(), 1);
    landed(flight.answer(0, &answer(status, body)))
}

fn standing(outcome: Outcome) -> Standing {
    match outcome {
        Ok(Landed::Target(Found::Standing(standing))) => standing,
        other => panic!("no standing: {other:?}"),
    }
}

#[test]
fn the_questions_are_those_that_are_sent() {
    let questions = blocks().into_iter().filter(|(name, _)| name.starts_with("ask-"));
    let mut seen = 0;
    for (name, expected) in questions {
        let sent = calls(start("generic", fact(name)).1);
        let [(_, call)] = sent.as_slice() else { panic!("`{name}` is {} calls", sent.len()) };
        assert_eq!(serde_json::from_slice::<Value>(&call.body).expect("JSON is sent"), expected, "{name}");
        assert_eq!((call.method, call.path.as_str()), ("POST", "/jobscope/v1/lookup"));
        assert!(PAGE.contains(&format!("\n{} {}\n", call.method, call.path)));
        for (field, value) in &call.headers {
            let value = String::from_utf8_lossy(value).replace("service", "<the service account's token>");
            assert!(PAGE.contains(&format!("\n{field}: {value}\n")), "`{field}: {value}` is not in the page");
        }
        assert_eq!(call.headers.len(), 3);
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn the_answers_are_read_as_the_page_says() {
    let target = || fact("ask-target-path");
    for (name, body) in blocks() {
        let body = body.to_string();
        let token = || say(fact("ask-token"), Some(200), body.as_bytes());
        let found = |question: &str| standing(say(fact(question), Some(200), body.as_bytes()));
        match name {
            "token-running" => assert_eq!(token(), Ok(Landed::Token(Token::Running(job())))),
            "token-running-without-user" => {
                assert_eq!(token(), Ok(Landed::Token(Token::Running(job_without_user()))));
            }
            "token-ended" => assert_eq!(token(), Ok(Landed::Token(Token::Ended(None)))),
            "token-running-in-circumstances" => {
                let context = Context {
                    git_ref: Some("main".into()),
                    protected: Some(true),
                    environment: Some("production".into()),
                    source: Some("schedule".into()),
                    fork: Some(false),
                    runner: Some(RunnerId(3)),
                    ..Context::default()
                };
                assert_eq!(token(), Ok(Landed::Token(Token::Running(Job { context, ..job() }))));
            }
            "target-found" => {
                let found = found("ask-target-path");
                assert_eq!((found.role, found.affiliation), (Some(Role::Reporter), Affiliation::Internal));
                assert_eq!((found.admission, found.outbound), (listed(Link::Project, &[]), Outbound::Open));
                assert_eq!(
                    (found.target.id, found.target.path.clone()),
                    (Some(ProjectId(102)), Some(path("libs/common")))
                );
                assert_eq!(found.target.visibility, Some(Visibility::Private));
                assert_eq!(found.target.job_push, JobPush::Off);
                assert!(!found.target.public_jobs && !found.target.archived, "what is left out is not so");
                assert!(Feature::ALL.iter().all(|(one, _)| found.target.level(*one) == Level::Enabled));
            }
            "target-fine-grained" => {
                let found = found("ask-target-path");
                let granted = [Permission::ReadJobs, Permission::AdminPackages];
                assert_eq!((found.admission, found.outbound), (listed(Link::Group, &granted), Outbound::Unlisted));
                assert_eq!(found.target.job_push, JobPush::Admitted);
            }
            "target-unlisted" => {
                let found = found("ask-target-path");
                assert_eq!((found.admission, found.role), (Admission::Unlisted, Some(Role::Developer)));
                assert_eq!(found.target.level(Feature::Wiki), Level::Disabled);
                assert_eq!(found.target.level(Feature::Packages), Level::Members);
                assert_eq!(found.target.level(Feature::Issues), Level::Enabled);
                assert!(found.target.public_jobs && found.target.archived);
            }
            "target-own" => {
                let found = found("ask-target-without-user");
                assert_eq!((found.admission, found.role), (Admission::Own, Some(Role::None)));
                assert_eq!(found.target.job_push, JobPush::Own);
            }
            "target-nothing" => {
                assert_eq!(say(target(), Some(200), body.as_bytes()), Ok(Landed::Target(Found::Nothing)));
            }
            "holders-found" | "holders-none" | "holders-too-many" | "holders-nothing" => {
                let expected = match name {
                    "holders-found" => Found::Holders(Holders::All(vec![ProjectId(102), ProjectId(105)])),
                    "holders-none" => Found::Holders(Holders::All(vec![])),
                    "holders-too-many" => Found::Holders(Holders::TooMany(None)),
                    _ => Found::Nothing,
                };
                assert_eq!(say(fact("ask-holders"), Some(200), body.as_bytes()), Ok(Landed::Target(expected)));
            }
            "bad-without-version" | "bad-word" => assert_eq!(token(), Err(Failure::LookupAnswer), "{name}"),
            "bad-without-target" | "bad-own-elsewhere" => {
                assert_eq!(say(target(), Some(200), body.as_bytes()), Err(Failure::LookupAnswer), "{name}");
            }
            "changes" => {
                let after = Cursor::parse("c-41");
                let call = changes::ask(&Account::Token(Secret::new(b"service")), after.as_ref());
                assert!(PAGE.contains(&format!("\n{} {}\n", call.method, call.path)));
                let news = changes::read(after.as_ref(), &answer(Some(200), body.as_bytes()));
                let cursor = Cursor::parse("c-43").expect("a sound cursor");
                assert_eq!(news, Ok(News::Ended(vec![JobId(1001), JobId(1002)], cursor)));
            }
            "remembering-question" => {
                let taking = Duration::from_secs(30);
                let account = Account::Token(Secret::new(b"service"));
                let fact = Fact::Token(Secret::new(TOKEN));
                let (_, progress) = Flight::start_taking(taking, &config("generic"), Some(&account), fact, &|_| None);
                assert_eq!(String::from_utf8_lossy(&calls(progress)[0].1.body), body);
            }
            "remembering-answer" => {
                let (mut flight, _) = start("generic", fact("ask-token"));
                let (mut taking, _) = Flight::start_taking(
                    Duration::from_secs(30),
                    &config("generic"),
                    Some(&Account::Token(Secret::new(b"service"))),
                    fact("ask-token"),
                    &|_| None,
                );
                let said = answer(Some(200), body.as_bytes());
                assert_eq!(landed(flight.answer(0, &said)), Err(Failure::LookupAnswer), "no memory was asked for");
                let context = Context { until: Some(1_764_201_600), ..Context::default() };
                assert_eq!(
                    landed(taking.answer(0, &said)),
                    Ok(Landed::Token(Token::Running(Job { context, ..job() })))
                );
                assert_eq!(taking.confirmed(Moment(20_000)).oldest(), Moment(8_000));
            }
            "ended" => {
                let jobs = [JobId(1001), JobId(1002)];
                let call = ended::tell(&Account::Token(Secret::new(b"service")), jobs.into_iter());
                assert!(PAGE.contains(&format!("\n{} {}\n", call.method, call.path)));
                assert_eq!(serde_json::from_slice::<Value>(&call.body).expect("JSON is sent").to_string(), body);
            }
            "ended-noted" => assert_eq!(ended::read(&answer(Some(200), body.as_bytes())), Ok(Heard::Noted)),
            "token-running-for-service" => {
                let context =
                    Context { credential: Credential::Service, until: Some(1_764_201_600), ..Context::default() };
                assert_eq!(token(), Ok(Landed::Token(Token::Running(Job { context, ..job() }))));
            }
            "forge" => {
                let config = config("generic");
                let call = version::ask(&config, &Account::Token(Secret::new(b"service")));
                assert!(PAGE.contains(&format!("\n{} {}\n", call.method, call.path)));
                let said = version::read(&config, &answer(Some(200), body.as_bytes()));
                assert_eq!(said, Ok(Version(18, 11)));
            }
            _ if let Some(invalid) = name.strip_prefix("token-").and_then(Invalid::named) => {
                assert_eq!(token(), Ok(Landed::Token(Token::Invalid(invalid))));
            }
            _ => assert!(name.starts_with("ask-") || name.starts_with("gitlab-"), "nobody reads `{name}`"),
        }
    }
}

#[test]
fn every_required_member_is_required_and_no_more() {
    let blocks = blocks();
    let required = |name: &str, question: &str, optional: &[&str]| {
        let mut places = Vec::new();
        members(&blocks[name], &mut Vec::new(), &mut places);
        for place in places {
            let mut body = blocks[name].clone();
            remove(&mut body, &place);
            let outcome = say(fact(question), Some(200), body.to_string().as_bytes());
            assert_eq!(outcome.is_ok(), optional.contains(&place.join(".").as_str()), "{name} without {place:?}");
        }
    };
    required("token-running", "ask-token", &[]);
    let circumstances = ["job.ref", "job.protected", "job.environment", "job.source", "job.fork", "job.runner"];
    required("token-running-in-circumstances", "ask-token", &circumstances);
    required("target-found", "ask-target-path", &[]);
    required("holders-found", "ask-holders", &[]);
    for wrong in [r#""few""#, "7", "[7.5]", r#"["7"]"#, "{}"] {
        let body = format!(r#"{{"version": 1, "holders": {wrong}}}"#);
        assert_eq!(say(fact("ask-holders"), Some(200), body.as_bytes()), Err(Failure::LookupAnswer), "{wrong}");
    }
    required("target-fine-grained", "ask-target-path", &["permissions", "outbound"]);
    let features = [
        "target.features",
        "target.public_jobs",
        "target.archived",
        "target.features.wiki",
        "target.features.package_registry",
    ];
    required("target-unlisted", "ask-target-path", &features);

    let mut more = blocks["target-unlisted"].clone();
    more["comment"] = "x".into();
    more["target"]["name"] = "x".into();
    assert!(say(fact("ask-target-path"), Some(200), more.to_string().as_bytes()).is_ok());
    more["target"]["features"]["pages"] = "enabled".into();
    assert_eq!(say(fact("ask-target-path"), Some(200), more.to_string().as_bytes()), Err(Failure::LookupAnswer));

    let mut own = blocks["target-own"].clone();
    own["admission"] = "unlisted".into();
    let outcome = say(fact("ask-target-without-user"), Some(200), own.to_string().as_bytes());
    assert_eq!(standing(outcome).admission, Admission::Own);

    let mut fraction = blocks["token-running"].to_string();
    fraction = fraction.replace("1001", "1001.0");
    assert_eq!(say(fact("ask-token"), Some(200), fraction.as_bytes()), Err(Failure::LookupAnswer));

    let mut unprintable = blocks["token-running"].clone();
    unprintable["job"]["user"]["name"] = "Dana X".into();
    match say(fact("ask-token"), Some(200), unprintable.to_string().as_bytes()) {
        Ok(Landed::Token(Token::Running(job))) => assert_eq!(job.user.expect("a user").name, "user-11"),
        other => panic!("{other:?}"),
    }
}

fn members(value: &Value, at: &mut Vec<String>, places: &mut Vec<Vec<String>>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        at.push(name.clone());
        places.push(at.clone());
        members(member, at, places);
        at.pop();
    }
}

fn remove(value: &mut Value, place: &[String]) {
    let (last, above) = place.split_last().expect("a place has a name");
    let holder = above.iter().fold(value, |value, name| &mut value[name]);
    holder.as_object_mut().expect("an object").remove(last);
}

#[test]
fn the_failures_are_those_of_the_table() {
    let mut statuses = 0;
    for row in rows("status") {
        let [what, reason] = row.as_slice() else { panic!("{row:?}") };
        let code = reason.trim_matches('`');
        let failure = |outcome: Outcome| outcome.expect_err("a failure").code();
        // A body that would be a "no" if the service said it with 200.
        let no = br#"{"version": 1, "token": "unknown"}"#;
        if what.starts_with("none") {
            assert_eq!(failure(say(fact("ask-token"), None, b"")), code);
            continue;
        }
        if what.starts_with("200") {
            for body in [&b""[..], b"<html>", b"[]", b"{}", b"null", br#"{"version": 2, "token": "unknown"}"#] {
                assert_eq!(failure(say(fact("ask-token"), Some(200), body)), code);
            }
            continue;
        }
        for status in what.split([',', ' ']).filter_map(|word| word.parse().ok()) {
            assert_eq!(failure(say(fact("ask-token"), Some(status), no)), code, "{status}");
            statuses += 1;
        }
    }
    assert!(statuses > 10, "{statuses}");
}

/// What GitLab answers in the page's examples, by the request of the table.
fn gitlab(request: &str) -> &'static str {
    match request.split('?').next().unwrap_or_default() {
        "/api/v4/job" => "gitlab-job",
        "/api/v4/projects/:project" => "gitlab-project",
        "/api/v4/projects/:project/job_token_scope" => "gitlab-scope",
        "/api/v4/projects/:project/job_token_scope/allowlist" => "gitlab-older-allowlist",
        "/api/v4/projects/:project/job_token_scope/groups_allowlist" => "gitlab-groups-allowlist",
        "/api/v4/projects/:project/members/all/:user" => "gitlab-member",
        "/api/v4/users/:user" => "gitlab-user",
        "/api/v4/application/settings" => "gitlab-settings",
        "/api/graphql" => "gitlab-allowlist",
        other => panic!("`{other}` has no example"),
    }
}

/// A call as the table writes it.
fn general(call: &Call) -> String {
    let path = call.path.replace("libs%2Fcommon", ":project").replace("projects/102", "projects/:project");
    path.replace("/all/11", "/all/:user").replace("users/11", "users/:user")
}

#[test]
fn gitlab_is_asked_what_the_table_says() {
    let blocks = blocks();
    let table: BTreeMap<&str, Vec<&str>> = PAGE
        .lines()
        .filter(|line| line.starts_with("| `/api/v4/"))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`')).collect::<Vec<_>>())
        .map(|row| (row[0], row))
        .collect();
    let mut asked = BTreeSet::new();

    let (mut flight, progress) = start("gitlab", fact("ask-token"));
    let first = calls(progress);
    assert_eq!(first.len(), 1);
    let body = blocks[gitlab(&general(&first[0].1))].to_string();
    assert_eq!(header(&first[0].1, "job-token"), TOKEN);
    asked.insert(general(&first[0].1));
    assert_eq!(landed(flight.answer(0, &answer(Some(200), body.as_bytes()))), Ok(Landed::Token(Token::Running(job()))));

    let (mut flight, progress) = start("gitlab", fact("ask-target-path"));
    let second = calls(progress);
    let mut outcome = None;
    for (number, call) in &second {
        let general = general(call);
        let method = if general == "/api/graphql" { "POST" } else { "GET" };
        assert_eq!((call.method, header(call, "accept")), (method, &b"application/json"[..]));
        assert_eq!(header(call, "private-token"), b"service", "{general}");
        let body = blocks[gitlab(&general)].to_string();
        asked.insert(general);
        match flight.answer(*number, &answer(Some(200), body.as_bytes())) {
            Progress::Landed(result) => outcome = Some(result),
            Progress::Going(more) => assert_eq!(more, []),
        }
    }
    assert!(PAGE.contains("\n| `/api/graphql` | the same |"));
    assert!(asked.remove("/api/graphql"));
    let found = standing(outcome.expect("it landed"));
    let granted = [Permission::ReadJobs, Permission::AdminPackages];
    assert_eq!((found.role, found.admission), (Some(Role::Reporter), listed(Link::Project, &granted)));
    assert_eq!(found.target.level(Feature::Wiki), Level::Disabled);

    let written: BTreeSet<String> = table.keys().map(|request| (*request).to_string()).collect();
    assert_eq!(asked, written);

    let without_user = calls(start("gitlab", Fact::Target(job_without_user(), TargetRef::Id(ProjectId(102)))).1);
    assert_eq!(without_user.len() + 2, second.len());
    assert!(!without_user.iter().any(|(_, call)| general(call).contains(":user") || call.path.contains("/users/")));
}

fn header<'a>(call: &'a Call, name: &str) -> &'a [u8] {
    call.headers.iter().find(|(known, _)| *known == name).map_or(b"", |(_, value)| value)
}

/// Flies a target's flight on GitLab, with some answers of the examples exchanged.
fn gitlab_target(exchanged: &[(&str, u16, &str)]) -> Outcome {
    const OLDER: &str =
        r#"{"errors": [{"message": "Field 'ciJobTokenScopeAllowlist' doesn't exist on type 'Project'"}]}"#;
    let blocks = blocks();
    // The lists of the table's second row are those of an older forge.
    let is_older = exchanged.iter().any(|(request, _, _)| request.contains("job_token_scope"));
    let (mut flight, progress) = start("gitlab", fact("ask-target-path"));
    // The project last, so that what the others say is not passed over.
    let mut outstanding = calls(progress);
    outstanding.sort_by_key(|(_, call)| general(call) != "/api/v4/projects/:project");
    while let Some((number, call)) = outstanding.pop() {
        let general = general(&call);
        let request = general.split('?').next().unwrap_or_default();
        let example = blocks[gitlab(request)].to_string();
        let example = if is_older && request == "/api/graphql" { OLDER } else { example.as_str() };
        let (status, body) = exchanged
            .iter()
            .find(|(known, _, _)| *known == request)
            .map_or((200, example), |(_, status, body)| (*status, *body));
        match flight.answer(number, &answer(Some(status), body.as_bytes())) {
            Progress::Landed(result) => return result,
            Progress::Going(more) => outstanding.extend(more),
        }
    }
    panic!("every answer is in, and nothing landed")
}

#[test]
fn gitlabs_answers_are_taken_as_the_table_says() {
    let token = |status, body: &str| {
        let (mut flight, _) = start("gitlab", fact("ask-token"));
        landed(flight.answer(0, &answer(Some(status), body.as_bytes())))
    };
    let no = r#"{"message": "no"}"#;
    for (status, invalid) in [(401, Invalid::Unknown), (403, Invalid::UserRefused), (404, Invalid::Unknown)] {
        let forges = format!(r#"{{"message": "{status} No"}}"#);
        assert_eq!(token(status, &forges), Ok(Landed::Token(Token::Invalid(invalid))));
        assert_eq!(token(status, no), Err(Failure::LookupAnswer), "a gateway's");
    }
    assert_eq!(token(401, "no"), Err(Failure::LookupAnswer));
    let example = blocks()["gitlab-job"].to_string();
    assert_eq!(
        token(200, &example.replace("\"active\"", "\"blocked\"")),
        Ok(Landed::Token(Token::Invalid(Invalid::UserBlocked)))
    );
    assert_eq!(
        token(200, &example.replace("\"running\"", "\"pending\"")),
        Ok(Landed::Token(Token::Invalid(Invalid::NotStarted)))
    );
    assert_eq!(token(200, &example.replace("\"running\"", "\"success\"")), Ok(Landed::Token(Token::Ended(None))));

    let rights = Err(Failure::LookupRights);
    let mut checked = 0;
    for row in rows("request").iter().skip(1) {
        let requests: &[&str] = match row[0] {
            "`/projects/:project`" => &["/api/v4/projects/:project"],
            "`/job_token_scope` and the two lists" => &[
                "/api/v4/projects/:project/job_token_scope",
                "/api/v4/projects/:project/job_token_scope/allowlist",
                "/api/v4/projects/:project/job_token_scope/groups_allowlist",
            ],
            "`/members/all/:user`" => &["/api/v4/projects/:project/members/all/:user"],
            "`/users/:user`" => &["/api/v4/users/:user"],
            "`/projects/:project/jobs/:job`" | "`/application/settings`" => continue,
            other => panic!("`{other}` is not checked"),
        };
        for request in requests {
            for (status, cell) in [(401, row[2]), (403, row[3]), (404, row[4])] {
                let outcome = gitlab_target(&[(request, status, no)]);
                match cell {
                    "no such project" => assert_eq!(outcome, Ok(Landed::Target(Found::Nothing))),
                    "not a member" => assert_eq!(standing(outcome).role, Some(Role::None)),
                    _ => {
                        assert!(cell.starts_with("`lookup.rights`"), "{cell}");
                        assert_eq!(outcome, rights, "{request} {status}");
                    }
                }
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 18);

    let open = blocks()["gitlab-allowlist"].to_string();
    let open = open.replace(r#"{"inboundJobTokenScopeEnabled":true}"#, r#"{"inboundJobTokenScopeEnabled":false}"#);
    let off = ("/api/graphql", 200, open.as_str());
    let settings = |status, body| gitlab_target(&[off, ("/api/v4/application/settings", status, body)]);
    let limited = listed(Link::Project, &[Permission::ReadJobs, Permission::AdminPackages]);
    assert_eq!(standing(gitlab_target(&[off])).admission, Admission::Open);
    assert_eq!(standing(settings(200, r#"{"id": 1}"#)).admission, Admission::Open);
    assert_eq!(standing(settings(403, no)).admission, limited);
    assert_eq!((settings(401, no), settings(404, no)), (rights.clone(), rights.clone()));
    let older = ("/api/v4/projects/:project/job_token_scope", 200, r#"{"inbound_enabled": true}"#);
    assert_eq!(standing(gitlab_target(&[older])).admission, listed(Link::Project, &[]), "its entries grant everything");

    for (status, expected) in [(401, &rights), (403, &rights), (404, &Ok(Landed::Target(Found::Nothing)))] {
        let (mut flight, progress) = start("gitlab", fact("ask-target-of-job"));
        let first = calls(progress);
        assert_eq!(first[0].1.path, "/api/v4/projects/101/jobs/1002");
        assert_eq!(&landed(flight.answer(0, &answer(Some(status), no.as_bytes()))), expected);
    }
}

#[test]
fn gitlab_is_asked_for_holders_as_the_page_says() {
    for (question, list) in [("ask-holders", "packages"), ("ask-holders-of-group", "projects")] {
        for (_, call) in calls(start("gitlab", fact(question)).1) {
            let general = call.path.replace("groups/libs/", "groups/:group/").replace("groups/7/", "groups/:group/");
            let general = general.replace("package_type=pypi&package_name=tool", "package_type=npm&package_name=...");
            let general = general.replace("&status=hidden", "");
            assert!(PAGE.contains(&format!("`{general}`")), "the page does not say `{general}`");
            assert!(general.contains("/user") || general.contains(list), "{general}");
        }
    }
}

fn openapi() -> Value {
    serde_saphyr::from_str(OPENAPI).expect("the OpenAPI file is YAML")
}

/// Every member of a map called `examples`, wherever it stands.
fn examples(value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "examples" {
                    for (name, example) in member.as_object().expect("examples have names") {
                        assert!(found.insert(name.clone(), example["value"].clone()).is_none(), "`{name}` twice");
                    }
                } else {
                    examples(member, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| examples(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_openapi_file_has_the_same_examples() {
    let mut found = BTreeMap::new();
    examples(&openapi(), &mut found);
    let of_the_page: BTreeMap<String, Value> = blocks()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("bad-") && !name.starts_with("gitlab-"))
        .map(|(name, value)| (name.to_string(), value))
        .collect();
    assert_eq!(found, of_the_page);
}

#[test]
fn the_words_are_those_that_the_code_knows() {
    let file = openapi();
    let schemas = &file["components"]["schemas"];
    let words = |value: &Value| -> Vec<String> {
        value.as_array().expect("a list").iter().map(|word| word.as_str().expect("a word").to_string()).collect()
    };
    let standing = &schemas["Standing"]["properties"];
    assert_eq!(words(&standing["role"]["enum"]), Role::ALL.map(|(_, _, name)| name));
    assert_eq!(words(&standing["target"]["properties"]["visibility"]["enum"]), Visibility::ALL.map(|(_, name)| name));
    let package = &schemas["HoldersQuestion"]["properties"]["package"]["oneOf"][1]["properties"]["type"];
    assert_eq!(words(&package["enum"]), Registry::ALL.map(|(_, name)| name));
    assert_eq!(words(&schemas["Permission"]["enum"]), Permission::ALL.map(|(_, name)| name));
    let pushes = &standing["target"]["properties"]["push_by_job_token"]["oneOf"][1]["enum"];
    assert_eq!(words(pushes), JobPush::ALL.map(|(_, name)| name));
    let credentials = words(&schemas["TokenAnswer"]["properties"]["credential"]["enum"]);
    assert_eq!(credentials, Credential::ALL.map(|(_, name)| name));
    let tokens = words(&schemas["TokenAnswer"]["properties"]["token"]["enum"]);
    assert_eq!(tokens[2..], Invalid::ALL.map(|(_, name)| name));
    assert_eq!(words(&schemas["Level"]["enum"]), Level::ALL.map(|(_, name)| name));
    let features = standing["target"]["properties"]["features"]["properties"].as_object().expect("features");
    let written: BTreeSet<String> = features.keys().map(|name| format!("{name}_access_level")).collect();
    assert_eq!(written, Feature::ALL.iter().map(|(_, name)| (*name).to_string()).collect());

    let names: Vec<String> = words(&standing["role"]["enum"])
        .into_iter()
        .chain(words(&standing["target"]["properties"]["visibility"]["enum"]))
        .chain(words(&standing["admission"]["enum"]))
        .chain(words(&standing["outbound"]["enum"]))
        .chain(words(pushes))
        .chain(tokens)
        .chain(words(&schemas["Level"]["enum"]))
        .chain(features.keys().cloned())
        .collect();
    for name in names {
        assert!(PAGE.contains(&format!("`{name}`")), "the page does not say `{name}`");
    }
    // Each word is one that the code takes.
    let blocks = blocks();
    for (word, is_known) in credentials.iter().map(|word| (word.as_str(), true)).chain([("other", false), ("", false)])
    {
        let mut body = blocks["token-running"].clone();
        body["credential"] = word.into();
        assert_eq!(say(fact("ask-token"), Some(200), body.to_string().as_bytes()).is_ok(), is_known, "{word}");
    }
    for word in words(&schemas["TokenAnswer"]["properties"]["token"]["enum"]) {
        let mut body = blocks["token-running"].clone();
        body["token"] = word.clone().into();
        assert!(say(fact("ask-token"), Some(200), body.to_string().as_bytes()).is_ok(), "{word}");
    }
    for word in words(&standing["admission"]["enum"]) {
        let mut body = blocks["target-found"].clone();
        body["admission"] = word.clone().into();
        let question = if word == "own" { "target-own" } else { "target-found" };
        body["target"] = blocks[question]["target"].clone();
        assert!(say(fact("ask-target-path"), Some(200), body.to_string().as_bytes()).is_ok(), "{word}");
    }
    assert_eq!(
        file["paths"].as_object().expect("paths").keys().collect::<Vec<_>>(),
        ["/jobscope/v1/changes", "/jobscope/v1/ended", "/jobscope/v1/forge", "/jobscope/v1/lookup"]
    );
}
