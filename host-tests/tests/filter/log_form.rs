//! `log.form: struct`: what is said of a request is one property, and the same as in fields.

use std::collections::BTreeMap;

use host_tests::host::{Fault, Filter, Host, Hostcall, Level, Request, Status, StreamId};
use prost::Message;
use prost_types::Struct;
use prost_types::value::Kind;
use serde_json::Value;

use crate::forge::{
    DANA, api, basic, clone, configuration, get, gitlab, host, host_with, nobody, options, post, property, status,
};

const STRUCT: &str = r#", "log": {"form": "struct"}"#;

type Said = BTreeMap<String, String>;

/// What stands in the one property.
fn in_struct(host: &Host, stream: StreamId) -> Said {
    let mut properties = host.properties(stream);
    let message = properties.remove("jobscope").unwrap_or_default();
    assert_eq!(properties, BTreeMap::new(), "there is no other");
    let members = Struct::decode(&*message).unwrap().fields.into_iter();
    members
        .map(|(name, value)| match value.kind {
            Some(Kind::StringValue(text)) => (name, text),
            other => panic!("{name}: {other:?}"),
        })
        .collect()
}

/// What stands in the properties of fields, by the names that they have in the one.
fn in_fields(host: &Host, stream: StreamId) -> Said {
    let name = |name: &str| name.strip_prefix("jobscope_").unwrap().to_owned();
    host.properties(stream).into_iter().map(|(of, text)| (name(&of), String::from_utf8(text).unwrap())).collect()
}

/// Takes out of an account which configuration it is of: the form is a part of that.
fn without_revision(mut said: Said) -> Said {
    if let Some(why) = said.get_mut("why") {
        let mut account: Value = serde_json::from_str(why).unwrap();
        assert!(account.as_object_mut().unwrap().remove("configuration").is_some());
        *why = account.to_string();
    }
    said
}

/// A batch, whose answer is looked into.
fn batch() -> Request {
    let media = "application/vnd.git-lfs+json";
    let batch = post("/apps/web.git/info/lfs/objects/batch").header("authorization", basic(DANA));
    batch.header("content-type", media).body(r#"{"operation":"download","objects":[]}"#)
}

#[test]
fn each_form_says_the_same_of_a_request_and_what_its_answer_brings_comes_on_top() {
    let releases = "/projects/102/releases";
    let requests: [(Request, Option<&str>); 6] = [
        (clone("libs/common", DANA).into(), None),
        (clone("infra/secrets", DANA).into(), None),
        (api(releases, DANA).header("sudo", "root").into(), None),
        (api(releases, "glcbt-64_nobody").into(), None),
        (get("/apps/web").into(), None),
        (batch(), Some("no JSON")),
    ];
    let (mut fields, mut one) = (host(), host_with(STRUCT));
    for (request, answer) in requests {
        let [in_fields, in_struct] =
            [(&mut fields, in_fields as fn(&Host, _) -> _), (&mut one, in_struct)].map(|(host, said)| {
                let stream = host.send(0, request.clone(), gitlab);
                if let Some(answer) = answer {
                    host.respond(stream, 200, &[("content-type", "application/vnd.git-lfs+json")], answer);
                    let said = said(host, stream);
                    assert_eq!((&*said["reason"], &*said["job"]), ("answer.unreadable", "1001"));
                }
                without_revision(said(host, stream))
            });
        assert_eq!(in_struct, in_fields);
    }
    assert_eq!(one.declared(0, "jobscope").as_deref(), Some("type.googleapis.com/google.protobuf.Struct"));
    assert_eq!(fields.declared(0, "jobscope"), None);
}

#[test]
fn a_report_is_logged_with_its_job() {
    let webhook = r#", "webhook": {"path": "/-/jobscope/webhook", "secret_env": "HOOK"}"#;
    let mut options = options(&configuration(&format!("{webhook}{STRUCT}")));
    options.environment.push(("HOOK".into(), "opensesame".into()));
    let mut host = Host::start(&Filter::under_test().unwrap(), options).unwrap();
    let report =
        post("/-/jobscope/webhook").header("content-type", "application/json").header("x-gitlab-token", "opensesame");
    let body = r#"{"object_kind": "build", "build_id": 1001, "build_status": "failed", "project_id": 101}"#;
    let stream = host.send(0, report.body(body), nobody);
    let expected = [("action", "webhook"), ("job", "1001"), ("reason", "webhook.ended")];
    assert_eq!(in_struct(&host, stream), expected.map(|(name, said)| (name.to_owned(), said.to_owned())).into());
}

#[test]
fn a_decision_is_one_write_whatever_is_said_of_it() {
    let mut host = host_with(STRUCT);
    for (repository, answer) in [("libs/common", 200), ("libs/common", 200), ("infra/secrets", 403)] {
        host.reset_counts();
        assert_eq!(status(&host.exchange(0, clone(repository, DANA), gitlab)), answer);
        assert_eq!((host.calls(Hostcall::SetProperty), host.calls(Hostcall::CallForeignFunction)), (1, 0));
    }
}

#[test]
fn a_host_that_takes_no_message_gets_fields_and_the_log_says_so_once_a_worker() {
    for status in [Status::NotFound, Status::InternalFailure, Status::Unimplemented] {
        let mut options = options(&configuration(STRUCT));
        options.faults.always(Hostcall::CallForeignFunction, Fault::Status(status));
        let mut host = Host::start(&Filter::under_test().unwrap(), options).unwrap();
        for _ in 0..2 {
            let stream = host.send(0, clone("libs/common", DANA), gitlab);
            assert_eq!(property(&host, stream, "jobscope_job"), "1001");
            assert!(!host.properties(stream).contains_key("jobscope"));
        }
        let told = host.logs().into_iter().filter(|(_, text)| text.contains("log.form")).collect::<Vec<_>>();
        // One of them belongs to the VM that only tries the configuration out.
        assert_eq!(told.len(), 3, "{told:?}");
        let number = format!("`declare_property` gave status {}", status as u32);
        assert!(told.iter().all(|(level, text)| *level == Level::Warn && text.contains(&number)), "{told:?}");
    }
}

#[test]
fn each_configuration_has_its_form() {
    let mut host = host();
    for (more, is_one) in [(STRUCT, true), ("", false), (STRUCT, true)] {
        host.reconfigure(configuration(more)).unwrap();
        let stream = host.send(0, clone("libs/common", DANA), gitlab);
        assert_eq!(host.properties(stream).contains_key("jobscope"), is_one);
        assert_eq!(host.declared(0, "jobscope").is_some(), is_one);
    }
    assert!(!host.logs().iter().any(|(_, text)| text.contains("log.form")), "{:?}", host.logs());
}

#[test]
fn a_log_that_cannot_be_read_or_written_changes_nothing_else() {
    for call in [Hostcall::GetProperty, Hostcall::SetProperty] {
        let mut host = host_with(STRUCT);
        let stream = host.send(0, batch(), gitlab);
        host.fail_always(call, Status::InternalFailure);
        host.respond(stream, 200, &[("content-type", "application/vnd.git-lfs+json")], "no JSON");
        assert_eq!(host.downstream(stream).status(), Some(503), "{call:?}");
        assert_eq!(status(&host.exchange(0, clone("libs/common", DANA), gitlab)), 200);
        assert_eq!(status(&host.exchange(0, clone("infra/secrets", DANA), gitlab)), 403);
        assert!(!host.trapped(0));
    }
}
