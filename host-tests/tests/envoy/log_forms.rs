//! The access log in other forms, as `envoy/log` has them: what a real Envoy writes is what those who read them ask for.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use host_tests::host::Hostcall;
use host_tests::stack::{Options, Registry, Stack, checkout};
use questions::log::Line;
use serde_json::{Value, json};

use super::lfs::WEB_JOB;

const OPA: &str = "opa.yaml";
const OCSF: &str = "ocsf.yaml";

/// Where the stack has Envoy write this form, relative to where it runs.
fn log_of(form: &str) -> String {
    format!("{form}.log")
}

/// Adds both forms to Envoy's access logs, with no other change but where they are written.
fn with_forms(envoy: &mut Value) {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/access_log";
    let logs = envoy.pointer_mut(manager).and_then(Value::as_array_mut).unwrap();
    let written = logs[0]["typed_config"]["path"].as_str().unwrap().to_owned();
    for form in [OPA, OCSF] {
        let text = fs::read_to_string(checkout().join("envoy/log").join(form)).unwrap();
        let mut entries: Vec<Value> = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(entries.len(), 1, "{form}");
        entries[0]["typed_config"]["path"] = json!(Path::new(&written).with_file_name(log_of(form)));
        logs.append(&mut entries);
    }
}

fn get(stack: &Stack, path: &str, field: &str) -> Option<u16> {
    let host = stack.forge_host();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{field}\r\n\r\n");
    stack.raw(request.as_bytes(), Duration::from_secs(30)).unwrap().status
}

/// The lines of a form, once there are as many.
fn lines(stack: &Stack, form: &str, count: usize) -> Vec<Value> {
    let begin = Instant::now();
    loop {
        let text = fs::read_to_string(stack.dir().join(log_of(form))).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() >= count {
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len(), count, "{text}");
            assert!(!text.contains("glcbt-") && !text.contains("glpat-"), "{text}");
            return lines;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "{form}: {text}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What stands at a place of a line.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Whole,
    Object,
    List,
}
use Kind::{List, Object, Text, Whole};

impl Kind {
    fn is_of(self, value: &Value) -> bool {
        match self {
            Text => value.is_string(),
            Whole => value.is_u64(),
            Object => value.is_object(),
            List => value.is_array(),
        }
    }
}

/// What a form knows: the place, its kind, and whether it must be there. What is below `open` may be anything.
struct Shape {
    known: &'static [(&'static str, Kind, bool)],
    open: &'static [&'static str],
}

/// An event of OPA's decision log (`EventV1`), and of it what jobscope has.
const OPA_EVENT: Shape = Shape {
    known: &[
        ("/labels", Object, true),
        ("/decision_id", Text, true),
        ("/path", Text, false),
        ("/input", Object, false),
        ("/result", Object, false),
        ("/requested_by", Text, false),
        ("/timestamp", Text, true),
    ],
    open: &["/labels", "/input", "/result"],
};

/// OCSF 1.8, class 6003 with the profile `security_control`, and of them what jobscope has.
const OCSF_EVENT: Shape = Shape {
    known: &[
        ("/activity_id", Whole, true),
        // Where the activity is none of the schema's, its name is said.
        ("/activity_name", Text, true),
        ("/category_uid", Whole, true),
        ("/class_uid", Whole, true),
        ("/type_uid", Whole, true),
        ("/time", Whole, true),
        ("/duration", Whole, false),
        ("/severity_id", Whole, true),
        ("/status_id", Whole, false),
        ("/status_detail", Text, false),
        ("/action_id", Whole, false),
        ("/disposition_id", Whole, false),
        ("/authorizations", List, false),
        ("/authorizations/0", Object, false),
        ("/authorizations/0/decision", Text, false),
        ("/authorizations/0/policy", Object, false),
        ("/authorizations/0/policy/name", Text, false),
        ("/metadata", Object, true),
        ("/metadata/version", Text, true),
        ("/metadata/profiles", List, false),
        ("/metadata/profiles/0", Text, false),
        ("/metadata/product", Object, true),
        ("/metadata/product/name", Text, true),
        ("/metadata/product/vendor_name", Text, false),
        ("/metadata/uid", Text, false),
        ("/metadata/correlation_uid", Text, false),
        ("/actor", Object, true),
        ("/actor/user", Object, true),
        ("/actor/user/name", Text, true),
        ("/actor/app_uid", Text, false),
        ("/actor/app_name", Text, false),
        ("/api", Object, true),
        ("/api/operation", Text, true),
        ("/api/response", Object, false),
        ("/api/response/code", Whole, false),
        ("/resources", List, false),
        ("/resources/0", Object, false),
        ("/resources/0/name", Text, false),
        ("/resources/0/type", Text, false),
        ("/src_endpoint", Object, true),
        ("/src_endpoint/ip", Text, true),
        ("/src_endpoint/port", Whole, false),
        ("/dst_endpoint", Object, false),
        ("/dst_endpoint/svc_name", Text, false),
        ("/http_request", Object, false),
        ("/http_request/http_method", Text, false),
        ("/http_request/version", Text, false),
        ("/http_request/url", Object, false),
        ("/http_request/url/path", Text, false),
        ("/http_response", Object, false),
        ("/http_response/code", Whole, true),
        ("/unmapped", Object, false),
    ],
    open: &["/unmapped"],
};

impl Shape {
    /// What a line has otherwise than this.
    fn faults(&self, line: &Value) -> Vec<String> {
        let missing = self.known.iter().filter(|(place, _, must)| *must && line.pointer(place).is_none());
        let mut faults: Vec<_> = missing.map(|(place, ..)| format!("{place} is missing")).collect();
        self.look(line, "", &mut faults);
        faults
    }

    fn look(&self, value: &Value, at: &str, faults: &mut Vec<String>) {
        if !at.is_empty() {
            match self.known.iter().find(|(place, ..)| *place == at) {
                None => faults.push(format!("{at} is not known")),
                Some((_, kind, _)) if !kind.is_of(value) => faults.push(format!("{at} is not {kind:?}: {value}")),
                Some(_) => {}
            }
        }
        if self.open.contains(&at) {
            return;
        }
        let members = value.as_object().into_iter().flatten();
        members.for_each(|(name, value)| self.look(value, &format!("{at}/{name}"), faults));
        let items = value.as_array().into_iter().flatten();
        items.for_each(|value| self.look(value, &format!("{at}/0"), faults));
    }
}

const PACKAGE: &str = "/api/v4/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt";
const HIDDEN: &str = "/api/v4/projects/infra%2Fsecrets/releases";

#[test]
fn decisions_and_nothing_else_are_logged_in_the_forms_of_others() {
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let options = Options { registry: Registry::LeftOut, change: with_forms, ..Options::picked() };
    let stack = Stack::start(&options).unwrap();
    let person = format!("Authorization: Basic {}", STANDARD.encode("dana:glpat-dana"));
    assert_eq!(get(&stack, "/apps/web.git/info/refs?service=git-upload-pack", &person), Some(200));
    let job = format!("JOB-TOKEN: {WEB_JOB}");
    assert_eq!(get(&stack, PACKAGE, &job), Some(200));
    assert_eq!(get(&stack, &format!("{HIDDEN}?page=1"), &job), Some(403));
    assert_eq!(get(&stack, PACKAGE, "JOB-TOKEN: glcbt-64_nobodyHasThisToken"), Some(401));

    let opa = lines(&stack, OPA, 3);
    for line in &opa {
        assert_eq!(OPA_EVENT.faults(line), [""; 0], "{line}");
        assert!(line["labels"].as_object().unwrap().values().all(Value::is_string), "{line}");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    let results = opa.iter().map(|line| {
        let said = ["verdict", "reason", "rule"].map(|member| line["result"][member].as_str().unwrap());
        (line["result"]["allow"].as_bool().unwrap(), said)
    });
    assert_eq!(
        results.collect::<Vec<_>>(),
        [
            (true, ["allow", "allowlist.project", "role"]),
            (false, ["deny", "allowlist.missing", "inbound"]),
            (false, ["deny", "token.unknown", "-"]),
        ]
    );
    assert_eq!(opa[1]["input"]["path"], HIDDEN, "the query is no matter of a log");
    assert_eq!(opa[1]["input"]["origin"], "apps/web");
    let account: Value = serde_json::from_str(opa[1]["result"]["why"].as_str().unwrap()).unwrap();
    assert_eq!(account["origin"]["path"], "apps/web");

    let ocsf = lines(&stack, OCSF, 3);
    for (line, decided) in ocsf.iter().zip(&opa) {
        assert_eq!(OCSF_EVENT.faults(line), [""; 0], "{line}");
        let numbers = ["category_uid", "class_uid", "activity_id"].map(|member| line[member].as_u64().unwrap());
        assert_eq!((numbers, line["type_uid"].as_u64()), ([6, 6003, 99], Some(6003 * 100 + 99)), "{line}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        assert!((before..=now).contains(&u128::from(line["time"].as_u64().unwrap())), "{line}");
        assert_eq!(line["metadata"]["uid"], decided["decision_id"], "{line}");
    }
    let outcomes = ocsf.iter().map(|line| {
        ["severity_id", "status_id", "action_id", "disposition_id"].map(|member| line[member].as_u64().unwrap())
    });
    assert_eq!(outcomes.collect::<Vec<_>>(), [[1, 1, 1, 1], [3, 2, 2, 2], [3, 2, 2, 2]]);
    assert_eq!(ocsf[0]["actor"], json!({"user": {"name": "dana"}, "app_uid": "1001", "app_name": "apps/web"}));
    assert_eq!(ocsf[1]["http_request"]["url"]["path"], HIDDEN);
}

#[test]
fn what_is_missing_unknown_or_of_another_kind_is_a_fault() {
    let event = json!({"labels": {"any": 1}, "decision_id": "1", "timestamp": "2026-01-01T00:00:00Z"});
    assert_eq!(OPA_EVENT.faults(&event), [""; 0]);
    let broken = json!({"labels": [], "timestamp": null, "job": 1});
    let faults = OPA_EVENT.faults(&broken).join(", ");
    for fault in ["/decision_id is missing", "/labels is not Object", "/timestamp is not Text", "/job is not known"] {
        assert!(faults.contains(fault), "{faults}");
    }
    let faults = OCSF_EVENT.faults(&json!({"resources": [{"name": "a", "owner": {}}]})).join(", ");
    assert!(
        faults.contains("/resources/0/owner is not known") && faults.contains("/src_endpoint/ip is missing"),
        "{faults}"
    );
}

#[test]
fn what_is_observed_goes_on_and_is_logged_as_that() {
    let options = Options {
        registry: Registry::LeftOut,
        filter: vec![("/mode", json!("observe"))],
        change: with_forms,
        ..Options::picked()
    };
    let stack = Stack::start(&options).unwrap();
    get(&stack, HIDDEN, &format!("JOB-TOKEN: {WEB_JOB}"));
    let opa = &lines(&stack, OPA, 1)[0];
    assert_eq!((&opa["result"]["allow"], &opa["result"]["verdict"]), (&json!(true), &json!("observe-deny")), "{opa}");
    let ocsf = &lines(&stack, OCSF, 1)[0];
    let numbers = ["severity_id", "action_id", "disposition_id"].map(|member| ocsf[member].as_u64().unwrap());
    assert_eq!(numbers, [2, 3, 17], "{ocsf}");
}

/// What stands in a line for each way to read the one property that the documentation has.
const PROPERTY: &str = "property";

/// Adds a log that reads the one property in each way.
fn with_the_property(envoy: &mut Value) {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/access_log";
    let logs = envoy.pointer_mut(manager).and_then(Value::as_array_mut).unwrap();
    let mut entry = logs[0].clone();
    let written = entry["typed_config"]["path"].as_str().unwrap().to_owned();
    entry["typed_config"]["path"] = json!(Path::new(&written).with_file_name(log_of(PROPERTY)));
    entry["typed_config"]["log_format"] = json!({"json_format": {
        "jobscope": "%TYPED_CEL(filter_state['wasm.jobscope'])%",
        "typed": "%FILTER_STATE(wasm.jobscope:TYPED)%",
        "job": "%CEL(filter_state['wasm.jobscope'].job)%",
        "user": "%CEL(filter_state['wasm.jobscope']['user'])%",
        "fields": "%FILTER_STATE(wasm.jobscope_verdict:PLAIN)%",
    }});
    logs.push(entry);
}

#[test]
fn with_one_property_a_decision_is_an_object_and_jobscope_reads_it() {
    let options = Options {
        registry: Registry::LeftOut,
        filter: vec![("/log", json!({"form": "struct"}))],
        change: with_the_property,
        ..Options::picked()
    };
    let stack = Stack::start(&options).unwrap();
    let job = format!("JOB-TOKEN: {WEB_JOB}");
    assert_eq!([PACKAGE, HIDDEN].map(|path| get(&stack, path, &job)), [Some(200), Some(403)]);
    assert_eq!(get(&stack, "/apps/web", "X: y"), Some(404));
    let mut lines = lines(&stack, PROPERTY, 3);
    let Some(Value::Object(person)) = lines.pop() else { panic!("a line is an object") };
    assert!(person.values().all(Value::is_null), "{person:?}");
    let verdicts = [("allow", "allowlist.project"), ("deny", "allowlist.missing")];
    for (line, (verdict, reason)) in lines.iter().zip(verdicts) {
        let said = &line["jobscope"];
        assert_eq!(
            (&said["verdict"], &said["reason"], &said["user"]),
            (&json!(verdict), &json!(reason), &json!("dana"))
        );
        assert_eq!(said.get("why").is_some(), verdict == "deny", "{said}");
        let typed = json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": said});
        assert_eq!((&line["typed"], &line["job"], &line["user"]), (&typed, &said["job"], &said["user"]));
        assert_eq!(line["fields"], Value::Null);
        let read = Line::parse(line.to_string().as_bytes()).unwrap();
        assert_eq!(json!(read.decision()), said["decision"]);
        assert_eq!(Line::parse(json!({"jobscope": typed}).to_string().as_bytes()), Some(read));
    }
}

/// Has Envoy let the filter call all but functions of Envoy's own.
fn without_functions(envoy: &mut Value) {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let filters = envoy.pointer_mut(manager).unwrap()["http_filters"].as_array_mut().unwrap();
    let filter = filters.iter_mut().find(|filter| filter["name"] == "jobscope").unwrap();
    let names = Hostcall::ALL.iter().map(|call| call.name()).filter(|name| *name != "proxy_call_foreign_function");
    let events = [
        "proxy_on_vm_start",
        "proxy_on_configure",
        "proxy_on_tick",
        "proxy_on_context_create",
        "proxy_on_done",
        "proxy_on_delete",
        "proxy_on_log",
        "proxy_on_http_call_response",
        "proxy_on_request_headers",
        "proxy_on_request_body",
        "proxy_on_request_trailers",
        "proxy_on_response_headers",
        "proxy_on_response_body",
        "proxy_on_response_trailers",
    ];
    let permitted: serde_json::Map<_, _> = names.chain(events).map(|name| (name.to_owned(), json!({}))).collect();
    filter["typed_config"]["config"]["capability_restriction_config"] = json!({"allowed_capabilities": permitted});
}

#[test]
fn where_envoy_does_not_permit_the_call_fields_are_logged_and_envoys_log_says_why() {
    let options = Options {
        registry: Registry::LeftOut,
        filter: vec![("/log", json!({"form": "struct"}))],
        change: without_functions,
        ..Options::picked()
    };
    let stack = Stack::start(&options).unwrap();
    assert_eq!(get(&stack, PACKAGE, &format!("JOB-TOKEN: {WEB_JOB}")), Some(200));
    let line = &lines(&stack, "access", 1)[0];
    assert_eq!((&line["job"], &line["verdict"]), (&json!("1001"), &json!("allow")));
    let log = fs::read_to_string(stack.dir().join("envoy.log")).unwrap();
    assert!(log.contains("`log.form: struct` cannot be had on this host") && log.contains("gave status 10"), "{log}");
}
