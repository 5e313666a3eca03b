//! What `jobscope check` finds in Envoy's configuration: the deployed one is right, and each way to get it wrong is seen by
//! the row of SECURITY.md that warns of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::fs;
use std::path::Path;

use questions::check::{Finding, ROWS, Weight, check};
use questions::finding::documents;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

fn errors(text: &str) -> Vec<Finding> {
    let found = check(&documents(text).unwrap(), None).unwrap();
    found.into_iter().filter(|finding| finding.weight == Weight::Error).collect()
}

#[test]
fn the_rows_are_those_of_the_table() {
    let page = file("SECURITY.md");
    let (_, rest) = page.split_once("## What must be configured in Envoy").unwrap();
    let table: Vec<&str> = rest.lines().skip_while(|line| !line.starts_with("|---")).skip(1).collect();
    let rows = table.iter().take_while(|line| line.starts_with('|')).map(|line| line.split('|').nth(1).unwrap().trim());
    assert_eq!(rows.collect::<Vec<_>>(), ROWS.iter().map(|row| row.setting).collect::<Vec<_>>());
}

#[test]
fn the_deployed_configuration_has_no_errors() {
    assert_eq!(errors(&file("envoy/envoy.yaml")), []);
}

#[test]
fn the_deployed_configuration_has_no_errors_with_the_log_in_other_forms() {
    let deployed = file("envoy/envoy.yaml");
    let place = "                http_filters:\n";
    for form in ["envoy/log/opa.yaml", "envoy/log/ocsf.yaml"] {
        let pasted: String = file(form).lines().map(|line| format!("                  {line}\n")).collect();
        let text = deployed.replacen(place, &format!("{pasted}\n{place}"), 1);
        assert_eq!(errors(&text), [], "{form}");
        let (before, after) = text.rsplit_once("%REQ(:AUTHORITY)%").unwrap();
        let leaky = format!("{before}%REQ(COOKIE)%{after}");
        assert_eq!(errors(&leaky).len(), 1, "{form} is looked at like any other");
    }
}

/// Of the deployed configuration: what is changed, into what, what is said, and which row (by its beginning) says it.
const WRONG: &[(&str, &str, &str, &str)] = &[
    ("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN", "found `FAIL_OPEN`", "`failure_policy"),
    ("failure_policy: FAIL_RELOAD", "fail_open: true", "`fail_open` lets requests pass", "`failure_policy"),
    (
        "  - name: jobscope\n",
        "  - name: jobscope\n                    disabled: true\n",
        "the filter `jobscope` is disabled here",
        "no `FilterConfig",
    ),
    (
        "        - match: {prefix: /}\n                          route:\n                            cluster: forge",
        "        - match: {prefix: /}\n                          typed_per_filter_config: {jobscope: {disabled: true}}\n                          route:\n                            cluster: forge",
        "the filter `jobscope` is disabled here",
        "no `FilterConfig",
    ),
    (
        "                http_filters:\n",
        "                http_filters:\n                  - {name: other}\n",
        "found `other` before it",
        "the filter first",
    ),
    (
        "                            cluster: forge\n",
        "                            cluster: forge\n                            prefix_rewrite: /x\n",
        "expected no `prefix_rewrite`",
        "no rewrite",
    ),
    (
        "domains: [forge.example.com]",
        "domains: [forge.example.com, git.example.com]",
        "the host `git.example.com` leads to the forge",
        "no virtual host",
    ),
    (
        "domains: [registry.example.com]",
        "domains: [registry.example.com, '*']",
        "the domain `*` leads names to the forge",
        "no virtual host",
    ),
    ("normalize_path: false", "normalize_path: true", "found `true`", "`normalize_path"),
    ("merge_slashes: false", "merge_slashes: true", "found `true`", "`normalize_path"),
    ("path_with_escaped_slashes_action: KEEP_UNCHANGED", "x: y", "KEEP_UNCHANGED`, found nothing", "`normalize_path"),
    (
        "headers_with_underscores_action: REJECT_REQUEST",
        "headers_with_underscores_action: ALLOW",
        "found `ALLOW`",
        "`headers_with",
    ),
    ("use_remote_address: true", "use_remote_address: false", "found `false`", "`use_remote"),
    ("cidr_ranges: []", "cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]", "found a list", "`use_remote"),
    (
        "http_protocol_options: {}}",
        "http_protocol_options: {enable_trailers: true}}",
        "expected no `enable_trailers`",
        "no `enable_trailers`",
    ),
    (
        "http_protocol_options: {}}",
        "http2_protocol_options: {}}",
        "over HTTP/2 trailers reach the forge",
        "no `enable_trailers`",
    ),
    (
        "                http_filters:\n",
        "                upgrade_configs: [{upgrade_type: websocket}]\n                http_filters:\n",
        "expected no `upgrade_configs`",
        "no `upgrade_configs`",
    ),
    (
        "allow_on_headers_stop_iteration: true",
        "allow_on_headers_stop_iteration: false",
        "found `false`",
        "`allow_on_headers",
    ),
    (
        "request_body_buffer_limit: 4194304",
        "request_body_buffer_limit: 2097152",
        "expected a `request_body_buffer_limit` of 3145728",
        "`allow_on_headers",
    ),
    (
        "max_requests: 10000}",
        "max_requests: 1000}",
        "circuit breakers of 10000 or more, found less in `max_requests`",
        "circuit breakers of forge",
    ),
    ("vm_id: jobscope", "x: y", "found nothing", "a `vm_id`"),
    (
        "connect_timeout: 1s",
        "connect_timeout: 2s",
        "expected a `connect_timeout` below `lookup.timeout`, found `2s`",
        "circuit breakers, `connect_timeout`",
    ),
    (
        "                http_filters:\n",
        "                proxy_status_config: {}\n                http_filters:\n",
        "expected no `proxy_status_config`",
        "no `proxy_status_config`",
    ),
    (
        "host_env_keys: [JOBSCOPE_LOOKUP_TOKEN]",
        "host_env_keys: []",
        "expected `JOBSCOPE_LOOKUP_TOKEN` in",
        "a service account",
    ),
    ("%PATH(NQ:PATH)%", "%REQ(:PATH)%", "expected no query in the access log", "an access log"),
    ("%PATH(NQ:PATH)%", "%PATH(WQ:PATH)%", "expected no query in the access log", "an access log"),
    ("%BYTES_SENT%", "%CEL(size(request.query))%", "expected no `request.query` in the access log", "an access log"),
    (
        "%BYTES_SENT%",
        "%TYPED_CEL(request.headers['job-token'])%",
        "expected no `request.headers` in the access log",
        "an access log",
    ),
    ("%BYTES_SENT%", "%REQ(JOB-TOKEN)%", "expected no header field `JOB-TOKEN` in the access log", "an access log"),
    (
        "socket_address: {address: 127.0.0.1, port_value: 9901}",
        "socket_address: {address: 0.0.0.0, port_value: 9901}",
        "expected the admin interface on the loopback",
        "the admin interface",
    ),
];

#[test]
fn each_way_to_get_it_wrong_is_seen_by_its_row() {
    let right = file("envoy/envoy.yaml");
    for (from, to, text, row) in WRONG.iter() {
        assert!(right.contains(from), "{from}");
        let found = errors(&right.replace(from, to));
        assert!(found.iter().any(|one| one.text.contains(text) && one.about.starts_with(row)), "{to}: {found:?}");
        assert!(found.iter().all(|one| one.about.starts_with(row)), "nothing else is wrong with {to}: {found:?}");
    }
}

/// The deployed configuration, and `envoy/secrets.yaml` in it.
fn with_secrets() -> String {
    let added = file("envoy/secrets.yaml");
    let part = |name: &str, by: usize| -> String {
        let (_, rest) = added.split_once(&format!("\n{name}:\n")).unwrap();
        let lines = rest.lines().take_while(|line| line.starts_with(' '));
        lines.map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
    };
    let put = |text: String, before: &str, added: String| {
        assert!(text.contains(before), "{before}");
        text.replacen(before, &format!("{added}{before}"), 1)
    };
    let text = file("envoy/envoy.yaml")
        .replace("credential_env: JOBSCOPE_LOOKUP_TOKEN", "service_cluster: token-lookup-service")
        .replace(r#"{path: "", secret_env: ""}"#, "{path: /-/jobscope/webhook, secret_from: envoy}");
    let text = put(text, "    - name: token-lookup\n", part("clusters", 2));
    let text = put(text, "                  # First of all filters", part("http_filters", 16));
    let (before, forge) = text.split_once("domains: [forge.example.com]").unwrap();
    let forge = put(forge.to_owned(), "                        - match: {prefix: /}\n", part("routes", 22));
    format!("{before}domains: [forge.example.com]{forge}")
}

/// The deployed configuration, and `envoy/credentials.yaml` in it.
fn with_credentials() -> String {
    let added = file("envoy/credentials.yaml");
    let part = |from: &str, ends: fn(&str) -> bool, by: usize| -> String {
        let (_, rest) = added.split_once(from).unwrap();
        rest.lines().take_while(|line| !ends(line)).map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
    };
    let text = file("envoy/envoy.yaml")
        .replace("kind: gitlab", "kind: generic\n                              credential_slots: \"on\"")
        .replace(
            "name: ingress\n                  #",
            "name: ingress\n                  request_headers_to_remove: [x-jobscope-credential]\n                  #",
        )
        .replace("&crowd", "&listeners")
        .replace("*crowd", "*listeners")
        .replace("&http", "&upstreams")
        .replace("*http", "*upstreams");
    let (before, behind) = text.split_once("    - name: token-lookup\n").unwrap();
    let text = format!("{before}{}    - name: token-lookup\n{behind}", part("\nclusters:\n", |_| false, 2));
    let (before, behind) = text.split_once("domains: [registry.example.com]").unwrap();
    let put = |text: &str, routes: &str| {
        text.replacen(
            "                        - match: {prefix: /}\n",
            &format!("{routes}                        - match: {{prefix: /}}\n"),
            1,
        )
    };
    let (before, forge) = before
        .split_once("domains: [forge.example.com]")
        .map(|(before, forge)| (before.to_owned(), put(forge, &part("\n  forge:\n", |line| line == "  registry:", 20))))
        .unwrap();
    let registry = put(behind, &part("\n  registry:\n", str::is_empty, 20));
    format!("{before}domains: [forge.example.com]{forge}domains: [registry.example.com]{registry}")
}

const WITHOUT: &str = "what is granted reaches the forge without a credential";

/// Of that configuration: what is changed, into what, and what is said.
const WRONG_CREDENTIALS: &[(&str, &str, &str)] = &[
    (
        "request_headers_to_remove: [x-jobscope-credential]",
        "request_headers_to_remove: [x-other]",
        "the slot goes on to the forge",
    ),
    ("string_match: {exact: write}", "string_match: {exact: admin}", WITHOUT),
    ("string_match: {exact: read}", "invert_match: true, string_match: {exact: read}", A_ROUTE_LEADS),
    ("route: {cluster: forge-read, timeout: 0s}", "route: {cluster: forge, timeout: 0s}", WITHOUT),
    ("cluster: forge\n", "cluster: forge-write\n", A_ROUTE_LEADS),
    ("cluster: registry\n", "weighted_clusters: {clusters: [{name: registry-read, weight: 1}]}\n", A_ROUTE_LEADS),
    (
        "cluster: registry\n",
        "cluster: registry\n                            request_mirror_policies: [{cluster: forge-read}]\n",
        A_ROUTE_LEADS,
    ),
    ("cluster: registry\n", "cluster_header: x-cluster\n", A_ROUTE_LEADS),
    (
        "request_headers_to_remove: [x-jobscope-credential]\n",
        "request_headers_to_remove: [x-jobscope-credential]\n                  request_mirror_policies: [{cluster: forge-write}]\n",
        A_ROUTE_LEADS,
    ),
    ("  listeners:\n", WITHOUT_FILTER, A_ROUTE_LEADS),
    ("overwrite: true", "overwrite: false", "expected `overwrite: true`"),
    (
        "allow_request_without_credential: false",
        "allow_request_without_credential: true",
        "expected no `allow_request_without_credential`",
    ),
    ("header: authorization", "header: x-token", WITHOUT),
    ("credential_slots: \"on\"", "credential_slots: \"off\"", A_ROUTE_LEADS),
];

/// A listener where a client names a slot and nobody takes it off.
const WITHOUT_FILTER: &str = r#"  listeners:
    - name: inside
      filter_chains:
        - filters:
            - typed_config:
                route_config:
                  virtual_hosts:
                    - name: inside
                      domains: ["*"]
                      routes:
                        - match: {prefix: /, headers: [{name: x-jobscope-credential, string_match: {exact: write}}]}
                          route: {cluster: forge-write}
                http_filters: [{name: envoy.filters.http.router}]
"#;

#[test]
fn the_forges_own_credentials_stand_behind_their_slots_and_nowhere_else() {
    let right = with_credentials();
    assert_eq!(errors(&right), []);
    for (from, to, text) in WRONG_CREDENTIALS.iter() {
        assert!(right.contains(from), "{from}");
        let found = errors(&right.replacen(from, to, 1));
        assert!(found.iter().any(|one| one.text.contains(text)), "{to}: {found:?}");
    }
}

#[test]
fn the_configuration_for_jobs_with_id_tokens_has_no_errors() {
    let inner = " ".repeat(28);
    let text = with_credentials();
    let (before, rest) = text.split_once("                          value:\n").unwrap();
    let behind = rest.lines().skip_while(|line| line.starts_with(&inner) || line.is_empty());
    let behind: String = behind.map(|line| format!("{line}\n")).collect();
    let filter: String = file("envoy/identities/filter.yaml").lines().map(|line| format!("{inner}{line}\n")).collect();
    let right = format!("{before}                          value:\n{filter}{behind}");
    assert_eq!(errors(&right), []);
    let unnamed = errors(&right.replace("authority: lookup.example.com", "authority: \"\""));
    assert!(!unnamed.is_empty(), "its filter is looked at");
}

/// Of that configuration: what is changed, into what, and what is said.
const WRONG_SECRETS: &[(&str, &str, &str)] = &[
    ("header: private-token", "header: x-token", "expected a `credential_injector` for `private-token`"),
    (
        "                credential:\n                  name: envoy.http",
        "                allow_request_without_credential: true\n                credential:\n                  name: envoy.http",
        "expected no `allow_request_without_credential`",
    ),
    ("cluster: token-lookup\n", "cluster: token-lookup-service\n", "expected another cluster than `lookup.cluster`"),
    (
        "explicit_http_config: {http_protocol_options: {}}\n      load_assignment:\n        cluster_name: forge",
        "explicit_http_config: {http_protocol_options: {}}\n          http_filters: [{typed_config: {'@type': x.v3.CredentialInjector}}]\n      load_assignment:\n        cluster_name: forge",
        "expected no `credential_injector` on a cluster that a route leads to",
    ),
    // The service account's token on what people and jobs ask: by a route, by one of many, by copies, on another host.
    ("cluster: registry\n", "cluster: token-lookup-service\n", A_ROUTE_LEADS),
    ("route: {cluster: forge}", "route: {cluster: token-lookup-service}", A_ROUTE_LEADS),
    (
        "route: {cluster: forge}",
        "route: {weighted_clusters: {clusters: [{name: forge, weight: 1}, {name: token-lookup-service, weight: 1}]}}",
        A_ROUTE_LEADS,
    ),
    (
        "route: {cluster: forge}",
        "route: {cluster: forge, request_mirror_policies: [{cluster: token-lookup-service}]}",
        A_ROUTE_LEADS,
    ),
    (
        "domains: [registry.example.com]",
        "domains: [other.example.com]\n                      routes: [{match: {prefix: /}, route: {cluster: token-lookup-service}}]\n                    - name: registry-again\n                      domains: [registry.example.com]",
        A_ROUTE_LEADS,
    ),
    (":jobscope-webhook-secret", "x-webhook-secret", "expected a `credential_injector` for `:jobscope-webhook-secret`"),
    (":jobscope-webhook-secret", "authorization", AMONG_FILTERS),
    ("                  - name: webhook-secret\n", ANOTHER_BEFORE, AMONG_FILTERS),
    ("                  - name: envoy.filters.http.router\n", ANOTHER_BEHIND, AMONG_FILTERS),
    ("secret_from: envoy", "secret_env: HOOK", AMONG_FILTERS),
    ("disabled: true\n", "disabled: false\n", "expected `disabled: true` for the injector of the webhook's secret"),
    ("match: {path: /-/jobscope/webhook}", "match: {path: /-/jobscope/other}", REPORTS_GET_401),
    ("match: {path: /-/jobscope/webhook}", "match: {prefix: /}", "alone: other requests carry the webhook's secret"),
    ("                        webhook-secret: {", "                        other: {", REPORTS_GET_401),
    ("v3.FilterConfig, config: {}}", "v3.FilterConfig, disabled: true}", REPORTS_GET_401),
    (
        "                        - match: {path: /-/jobscope/webhook}\n",
        "                        - match: {prefix: /-/}\n                          route: {cluster: forge}\n                        - match: {path: /-/jobscope/webhook}\n",
        REPORTS_GET_401,
    ),
    (
        "domains: [forge.example.com]",
        "domains: [forge.example.com]\n                      routes: [{match: {prefix: /}, route: {cluster: forge}}]\n                    - name: other\n                      domains: [other.example.com]",
        REPORTS_GET_401,
    ),
    (
        "domains: [forge.example.com]",
        "typed_per_filter_config: {webhook-secret: {config: {}}}\n                      domains: [forge.example.com]",
        "alone: other requests carry the webhook's secret",
    ),
];

const A_ROUTE_LEADS: &str = "expected no `credential_injector` on a cluster that a route leads to";
const AMONG_FILTERS: &str = "expected no `credential_injector` among the HTTP filters but the one for";
const REPORTS_GET_401: &str = "that enables `webhook-secret`: without it each report gets 401";
const ANOTHER_BEFORE: &str = "                  - {name: first, typed_config: {'@type': x.v3.CredentialInjector}}\n                  - name: webhook-secret\n";
const ANOTHER_BEHIND: &str = "                  - {name: last, typed_config: {'@type': x.v3.CredentialInjector}}\n                  - name: envoy.filters.http.router\n";

#[test]
fn secrets_that_envoy_adds_are_where_they_must_be_and_nowhere_else() {
    let right = with_secrets();
    assert_eq!(errors(&right), []);
    for (from, to, text) in WRONG_SECRETS {
        assert!(right.contains(from), "{from}");
        let found = errors(&right.replace(from, to));
        assert!(found.iter().any(|one| one.text.contains(text)), "{to}: {found:?}");
    }
    let elsewhere = right.replace("domains: [forge.example.com]", "domains: [other.example.com]");
    let found = check(&documents(&elsewhere).unwrap(), None).unwrap();
    let is_told = |one: &Finding| {
        one.weight == Weight::Unseen && one.text.contains("is not in this file: without it each report")
    };
    assert!(found.iter().any(is_told), "{found:?}");
}

#[test]
fn a_log_that_reads_what_the_filter_does_not_write_is_a_warning() {
    let deployed = file("envoy/envoy.yaml");
    let with_struct = deployed.replace("log: {allows: brief}", "log: {form: struct}");
    let one = |text: &str, read: &str| text.replace("\"%START_TIME%\"", &format!("\"{read}\""));
    let of_fields = "%FILTER_STATE(wasm.jobscope_job:PLAIN)%";
    let typed = "%FILTER_STATE(wasm.jobscope:TYPED)%";
    let without_fields =
        with_struct.lines().filter(|line| !line.contains("wasm.jobscope_")).map(|line| format!("{line}\n"));
    let without_fields: String = without_fields.collect();
    let about = "an access log without";
    for (text, is_warned) in [
        (deployed.clone(), false),
        (with_struct, true),
        (without_fields.clone(), false),
        (one(&without_fields, typed), false),
        (one(&without_fields, of_fields), true),
        (one(&deployed, typed), true),
        (one(&deployed, "%CEL(filter_state['wasm.jobscope'].job)%"), true),
        (one(&deployed, "%FILTER_STATE(wasm.jobscopes:PLAIN)%"), false),
    ] {
        let found = check(&documents(&text).unwrap(), None).unwrap();
        let told: Vec<_> = found.iter().filter(|one| one.about.starts_with(about)).collect();
        assert_eq!(told.len(), usize::from(is_warned), "{told:?}");
        assert!(told.iter().all(|one| one.weight == Weight::Warning && one.text.contains("is empty with `log.form")));
    }
}

#[test]
fn what_depends_on_the_place_is_a_warning() {
    let open = file("envoy/envoy.yaml")
        .replace("{address: 127.0.0.1, port_value: 8080}", "{address: 0.0.0.0, port_value: 8080}");
    let found = check(&documents(&open).unwrap(), None).unwrap();
    assert!(found.iter().any(|one| one.weight == Weight::Warning && one.about == "TLS in front"), "{found:?}");
    let ended = open.replace(
        "      filter_chains:\n        - filters:",
        "      filter_chains:\n        - transport_socket: {name: tls}\n          filters:",
    );
    let found = check(&documents(&ended).unwrap(), None).unwrap();
    assert!(!found.iter().any(|one| one.about == "TLS in front" || one.about.starts_with("behind a TLS")), "{found:?}");
}

#[test]
fn a_dump_of_a_running_envoy_is_checked_like_what_it_was_made_of() {
    let right = file("envoy/envoy.yaml");
    let dumped = |text: &str| {
        let inner: String = text.lines().map(|line| format!("    {line}\n")).collect();
        errors(&format!("configs:\n- '@type': BootstrapConfigDump\n  bootstrap:\n{inner}"))
    };
    assert_eq!(dumped(&right), []);
    for (from, to, text, _) in WRONG {
        let found = dumped(&right.replace(from, to));
        assert!(found.iter().any(|one| one.text.contains(text)), "{to}: {found:?}");
    }
}

#[test]
fn every_listener_is_checked() {
    let one = file("envoy/envoy.yaml");
    let (before, listener) = one.split_once("    - name: ingress\n").unwrap();
    let (listener, after) = listener.split_once("\n  clusters:").unwrap();
    let second =
        listener.replace("merge_slashes: false", "merge_slashes: true").replace("mode: enforce", "mode: enfroce");
    let two = format!("{before}    - name: ingress\n{listener}\n    - name: second\n{second}\n  clusters:{after}");
    let found = errors(&two);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|one| one.line > 230), "in the second: {found:?}");
}
