//! Lookups: how many, for whom, and what their failures cost.

use std::time::Duration;

use host_tests::host::{Answer, Host, Options, Outcome};

use crate::forge::{DANA, NORA, clone, configuration, gitlab, host, nobody, options};

fn is_forwarded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Forwarded { .. })
}

fn answer_one(host: &mut Host) -> String {
    let call = host.callouts().into_iter().next().expect("a lookup");
    let path = call.path();
    host.answer(call.id, gitlab(&call));
    path
}

#[test]
fn without_a_service_account_the_job_is_all_that_is_looked_up() {
    let configuration = r#"{"forge": {"hosts": ["gitlab.example.com"]},
        "lookup": {"cluster": "token-lookup", "authority": "gitlab.example.com"},
        "facts": {"membership": "configuration", "external": "forge", "visibility": "forge", "allowlists": "forge",
            "members": [{"user": "dana", "targets": ["libs/**"], "role": "reporter"}]}}"#;
    let filter = host_tests::host::Filter::under_test().unwrap();
    let alone = Options { environment: Vec::new(), ..options(configuration) };
    let mut host = Host::start(&filter, alone).unwrap();
    let mut asked = Vec::new();
    let outcome = host.exchange(0, clone("libs/common", DANA), |call| {
        asked.push(call.path());
        assert_eq!(call.header("private-token"), None);
        gitlab(call)
    });
    assert!(is_forwarded(&outcome), "{outcome:?}");
    assert_eq!(asked, ["/api/v4/job"]);
    assert!(!is_forwarded(&host.exchange(0, clone("infra/secrets", DANA), nobody)));
}

#[test]
fn many_requests_wait_for_one_lookup_also_when_the_first_leaves() {
    let mut host = host();
    let leader = host.open(0, clone("libs/common", DANA));
    let followers: Vec<_> = (0..3).map(|_| host.open(0, clone("libs/common", DANA))).collect();
    assert_eq!(host.callouts().len(), 1);
    host.close(leader);
    host.close(followers[0]);
    host.settle(gitlab);
    for follower in &followers[1..] {
        assert!(is_forwarded(&host.outcome(*follower)));
    }
    assert_eq!(host.hazards(), Vec::<String>::new());
}

#[test]
fn a_lookup_goes_on_when_everybody_left_and_serves_the_next() {
    let mut host = host();
    let only = host.open(0, clone("libs/common", DANA));
    host.close(only);
    host.settle(gitlab);
    let next = host.open(1, clone("libs/common", DANA));
    assert!(host.callouts().iter().all(|call| call.path() != "/api/v4/job"), "the token is known by now");
    host.settle(gitlab);
    assert!(is_forwarded(&host.outcome(next)));
}

#[test]
fn a_lookup_that_never_answers_costs_the_timeout_and_no_more() {
    let mut host = host();
    let first = host.open(0, clone("libs/common", DANA));
    host.advance(Duration::from_millis(500));
    assert_eq!(host.outcome(first), Outcome::Paused);
    host.advance(Duration::from_millis(1500));
    let outcome = host.outcome(first);
    assert_eq!(outcome.reply().map(|reply| reply.status), Some(503), "{outcome:?}");
}

#[test]
fn two_slow_round_trips_together_cost_the_timeout_and_no_more() {
    let mut host = host();
    let stream = host.open(0, clone("libs/common", DANA));
    host.advance(Duration::from_millis(1500));
    answer_one(&mut host);
    assert_eq!(host.outcome(stream), Outcome::Paused);
    assert!(
        host.callouts().iter().all(|call| call.timeout.is_some_and(|timeout| timeout <= Duration::from_millis(1800)))
    );
    host.advance(Duration::from_millis(500));
    assert_eq!(host.outcome(stream).reply().map(|reply| reply.status), Some(503));
}

#[test]
fn a_cluster_that_cannot_be_called_is_a_failed_lookup() {
    let mut host = host();
    for endpoints in [None, Some(host_tests::host::Endpoints::None)] {
        host.set_cluster("token-lookup", endpoints);
        let stream = host.open(0, clone("libs/common", NORA));
        host.advance(Duration::from_millis(300));
        let outcome = host.outcome(stream);
        assert_eq!(outcome.reply().map(|reply| reply.status), Some(503), "{outcome:?}");
    }
}

#[test]
fn a_service_account_without_rights_is_a_failure_and_never_an_open_door() {
    for path in ["api/graphql", "members/all/11", "projects/infra%2Fsecrets", "users/11"] {
        let mut host = host();
        let outcome = host.exchange(0, clone("infra/secrets", DANA), |call| {
            if call.path().split('?').next().unwrap_or_default().ends_with(path) {
                Answer::json(403, r#"{"message": "403 Forbidden"}"#)
            } else {
                gitlab(call)
            }
        });
        assert_eq!(outcome.reply().map(|reply| reply.status), Some(503), "{path}: {outcome:?}");
        let logs = host.logs();
        let told = |(_, line): &&(_, String)| line.contains("lookup.rights") && line.contains(": status 403 after ");
        assert!(logs.iter().any(|line| told(&line)), "{logs:?}");
        assert!(logs.iter().all(|(_, line)| !line.contains("secrets")), "{logs:?}");
    }
}

#[test]
fn a_configuration_with_errors_is_refused_and_says_all_of_them() {
    let filter = host_tests::host::Filter::under_test().unwrap();
    let bad = r#"{"mode": "off", "forge": {"hosts": []}, "lookup": {"cluster": "c", "authority": "a b"}, "bindings": {"capacity": 1}}"#;
    let Err(error) = Host::start(&filter, options(bad)) else { panic!("a bad configuration started") };
    let logs: String = error.logs().iter().map(|line| line.text.clone()).collect::<Vec<_>>().join("\n");
    for path in ["mode:", "forge.hosts:", "lookup.authority:", "lookup.credential_env: missing", "bindings.capacity:"] {
        assert!(logs.contains(path), "{path} in {logs}");
    }
    // Somebody put the token where its name belongs, and it looks like one.
    let token = "abcdEFGH12345678_xyz";
    let no_secret = options(&configuration("").replace("LOOKUP_TOKEN", token));
    let Err(error) = Host::start(&filter, no_secret) else { panic!("it started without a credential") };
    let logs: String = error.logs().iter().map(|line| line.text.clone()).collect::<Vec<_>>().join("\n");
    assert!(logs.contains("lookup.credential_env: expected an environment variable"), "{logs}");
    assert!(!logs.contains(token), "{logs}");
}

#[test]
fn a_configuration_may_come_as_a_protobuf_struct() {
    use prost::Message;
    fn value(json: &serde_json::Value) -> prost_types::Value {
        use prost_types::value::Kind;
        let kind = match json {
            serde_json::Value::Null => Kind::NullValue(0),
            serde_json::Value::Bool(flag) => Kind::BoolValue(*flag),
            serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
            serde_json::Value::String(text) => Kind::StringValue(text.clone()),
            serde_json::Value::Array(values) => {
                Kind::ListValue(prost_types::ListValue { values: values.iter().map(value).collect() })
            }
            serde_json::Value::Object(members) => Kind::StructValue(message(members)),
        };
        prost_types::Value { kind: Some(kind) }
    }
    fn message(members: &serde_json::Map<String, serde_json::Value>) -> prost_types::Struct {
        prost_types::Struct { fields: members.iter().map(|(name, member)| (name.clone(), value(member))).collect() }
    }
    let start = |json: &str| {
        let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap();
        let mut options = options("");
        options.configuration = message(&members).encode_to_vec();
        Host::start(&host_tests::host::Filter::under_test().unwrap(), options)
    };
    let mut host = start(&configuration(r#", "bindings": {"capacity": 4096}"#)).unwrap();
    assert!(is_forwarded(&host.exchange(0, clone("libs/common", DANA), gitlab)));
    let Err(error) = start(&configuration(r#", "bindings": {"capacity": 4096.5}"#)) else { panic!("half a job") };
    assert!(error.logs().iter().any(|line| line.text.contains("found `4096.5`")), "{:?}", error.logs());
}

#[test]
fn any_other_forge_is_asked_in_one_call() {
    let generic = configuration("").replace("\"hosts\"", "\"kind\": \"generic\", \"hosts\"");
    let mut host = Host::start(&host_tests::host::Filter::under_test().unwrap(), options(&generic)).unwrap();
    let outcome = host.exchange(0, clone("libs/common", DANA), |call| {
        assert_eq!((call.path().as_str(), call.header("authorization").as_deref()), ("/jobscope/v1/lookup", Some("Bearer glpat-service")));
        let asked = String::from_utf8(call.body.clone()).unwrap();
        if asked.contains(r#""ask":"token""#) {
            Answer::json(200, r#"{"version": 1, "token": "running", "job": {"id": 7, "user": {"id": 11, "name": "dana"}, "origin": {"id": 101, "path": "apps/web"}}}"#)
        } else {
            Answer::json(200, r#"{"version": 1, "role": "reporter", "external": false, "admission": "group", "target": {"id": 102, "path": "libs/common", "visibility": "private", "push_by_job_token": false}}"#)
        }
    });
    assert!(is_forwarded(&outcome), "{outcome:?}");
    assert!(is_forwarded(&host.exchange(1, clone("libs/common", DANA), nobody)));
}
