//! The tables in `docs/` are made from the tables in the code, and compared with them. `make docs` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::fs;
use std::path::Path;

use policy::access::Action;
use policy::bindings;
use policy::config::{KEYS, Presence, RULE_KEYS, Use};
use policy::decision::{FIELDS, SHAPE};
use policy::facts::{Feature, Version};
use policy::failure::Failure;
use policy::lifecycle::Remark;
use policy::request::{Carriers, GITEA, GITEA_REGISTRIES, Instead, Malformed, Span, endpoints};
use policy::rules::{self, Effect, Need, Needed, Open, RULES, Reach, Reason};
use policy::webhook::Answer;

/// Puts `table` between the marks of `name`, or fails when something else stands there.
fn compare(file: &str, name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    let text = fs::read_to_string(&path).expect("the document is there");
    let (begin, end) = (format!("<!-- {name}: made by `make docs` -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{file} has no mark `{begin}`"));
    let (stands, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{file} has no mark `{end}`"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert!(
            stands == table,
            "docs/{file}: the table `{name}` is not what the code says; write it anew with `make docs`"
        );
    }
}

fn rows(head: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let columns = head.split('|').count();
    let mut table = format!("| {head} |\n|{}\n", "---|".repeat(columns));
    for row in rows {
        assert_eq!(row.len(), columns);
        table.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    table
}

#[test]
fn configuration() {
    let keys = KEYS.iter().map(|key| {
        let default = match key.presence {
            Presence::Required => "required".into(),
            Presence::Default(value) => format!("`{value}`"),
        };
        vec![format!("`{}`", key.path), key.kind.expects(), default, key.doc.into()]
    });
    compare("configuration.md", "keys", &rows("key | value | default | meaning", keys));
}

#[test]
fn memory_of_the_tables() {
    let of = |capacity| bindings::tables(capacity);
    let (some, default, many) = (of(4096), of(32_768), of(1 << 17));
    let mib = |bytes: usize| format!("{}.{} MiB", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024);
    let sum = |tables: &[bindings::Table]| mib(tables.iter().map(|table| table.most_bytes()).sum());
    let tables = some.iter().zip(&default).zip(&many).map(|((some, default), many)| {
        let sizes = [some, default, many].map(|table| mib(table.most_bytes()));
        [format!("`{}`", some.name()), some.row().to_string()].into_iter().chain(sizes).collect()
    });
    let all = ["all".into(), String::new(), sum(&some), sum(&default), sum(&many)].to_vec();
    compare(
        "operations.md",
        "memory",
        &rows("table | bytes in a row | most, at a capacity of 4096 | at 32768 | at 131072", tables.chain([all])),
    );
    // The sentence beside it: four rows of room for each running job.
    let [binding, ..] = default;
    assert_eq!(binding.most_bytes(), 4 * 32_768 * binding.row());
}

#[test]
fn keys_of_an_access_rule() {
    let keys = RULE_KEYS.iter().map(|key| {
        let kinds = |wanted| match key.kinds(wanted) {
            none if none.is_empty() => "-".into(),
            kinds => kinds,
        };
        vec![format!("`{}`", key.path), key.kind.expects().into(), kinds(Use::Must), kinds(Use::May), key.doc.into()]
    });
    compare("configuration.md", "rule keys", &rows("key | value | required in | optional in | meaning", keys));
}

#[test]
fn rules_in_their_order() {
    let table = RULES
        .iter()
        .enumerate()
        .map(|(at, rule)| vec![(at + 1).to_string(), format!("`{}`", rule.id), rule.doc.into()]);
    compare("rules.md", "rules", &rows("| rule | what it says", table).replacen("| |", "| # |", 1));
}

#[test]
fn actions_and_what_they_need() {
    let table = Action::ALL.iter().map(|(action, name, doc)| {
        let need = rules::need(*action);
        let anonymous = match need.open {
            Open::ToAnybody => "yes",
            Open::WithPublicJobs => "where jobs are public, and then a guest's",
            Open::ToMembers => "no",
        };
        let permission = match need.permission {
            Needed::All(all) => all.iter().map(|one| format!("`{}`", one.name())).collect::<Vec<_>>().join(", "),
            Needed::IfStrict(one) => format!("strict: `{}`", one.name()),
            Needed::NoneThere => "-".into(),
        };
        vec![format!("`{name}`"), (*doc).into(), reach(need.reach).into(), role(need), anonymous.into(), permission]
    });
    compare("rules.md", "actions", &rows("action | meaning | where | least role | anonymous read | permission", table));
}

#[test]
fn endpoints_of_the_api() {
    let table = endpoints().map(|endpoint| {
        let need = rules::need(endpoint.action);
        let need = Need { role: need.role.max(endpoint.least), ..need };
        let also = match endpoint.carriers {
            Carriers::Usual => "",
            Carriers::Runner => "`PRIVATE-TOKEN`",
            Carriers::NugetKey => "`X-NuGet-ApiKey`",
            Carriers::Raw => "`Authorization: <token>`",
            Carriers::AnyUser => "Basic with any user",
        };
        let (role, allowed) = match (endpoint.span, need.reach) {
            (Span::One, _) | (_, Reach::Nothing) => (role(need), reach(need.reach)),
            (Span::Holders, _) if need.effect == Effect::Read => {
                (role(need), "the projects that hold it, if each admits the origin")
            }
            (Span::Group, _) if need.effect == Effect::Read => (
                role(need),
                "all projects of the group, if each admits the origin, where `packages.index` is `all-admitted`",
            ),
            (Span::Holders | Span::Group | Span::Unknown, _) => ("-".into(), "nowhere"),
        };
        let (method, path) = (endpoint.method, format!("`{}`", endpoint.path));
        let mut action = format!("`{}`", endpoint.action.name());
        if let Some(Instead { field, value, action: other }) = endpoint.instead {
            action.push_str(&format!("; with `{field}: {value}` `{}`", other.name()));
        }
        let open: Vec<&str> = endpoint
            .open
            .iter()
            .flat_map(|one| Feature::ALL.into_iter().find(|(known, _)| known == one))
            .map(|(_, name)| name.trim_end_matches("_access_level"))
            .collect();
        let since = if endpoint.since == Version(0, 0) { String::new() } else { endpoint.since.to_string() };
        vec![method.into(), path, action, role, allowed.into(), open.join(", "), since, also.into()]
    });
    let head = "method | path | action | least role | where | opened by | since | token also in";
    compare("endpoints.md", "endpoints", &rows(head, table));
}

#[test]
fn endpoints_of_gitea() {
    let row = |method: &str, path: String, action: Action, whose: &str| {
        vec![
            method.into(),
            format!("`{path}`"),
            format!("`{}`", action.name()),
            role(rules::need(action)),
            whose.into(),
        ]
    };
    let repositories = GITEA.iter().flat_map(|family| {
        family.paths().map(move |path| {
            let base = "/api/v1/repos/:owner/:repository";
            let path = if path.is_empty() { base.into() } else { format!("{base}/{path}") };
            row(family.method, path, family.action, reach(rules::need(family.action).reach))
        })
    });
    let packages = GITEA_REGISTRIES.iter().map(|(registry, action)| {
        row(
            "GET",
            format!("/api/packages/:owner/{registry}/*path"),
            *action,
            "all projects of the owner, if each admits the origin, where `packages.index` is `all-admitted`",
        )
    });
    compare(
        "gitea.md",
        "endpoints",
        &rows("method | path | action | least role | where", repositories.chain(packages)),
    );
}

/// The least role that an action needs; `-` where the role does not matter.
fn role(need: Need) -> String {
    match need.reach {
        Reach::Never | Reach::Itself | Reach::Nothing | Reach::OwnWhateverRole | Reach::AboveOrigin | Reach::Agents => {
            "-".into()
        }
        Reach::Admitted | Reach::Own | Reach::AdmittedOrOwn | Reach::WhereSet | Reach::Sources => {
            need.role.name().into()
        }
    }
}

fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::Admitted => "projects that admit the origin",
        Reach::Own => "the own project",
        Reach::OwnWhateverRole => "the own project, whatever the role",
        Reach::AdmittedOrOwn => "projects that admit the origin; the own project whatever the role",
        Reach::WhereSet => "the own project, if it lets its jobs push; others, if they let other jobs push",
        Reach::Sources => "projects that admit the origin; without a user the own project",
        Reach::AboveOrigin => "groups above the origin, where `forge.dependency_proxy` is `on`",
        Reach::Agents => "agents of the own project, where `forge.kubernetes_agent` is `on`",
        Reach::Never => "nowhere",
        Reach::Itself => "the job itself",
        Reach::Nothing => "no project is asked",
    }
}

#[test]
fn reasons() {
    let table = Reason::ALL.iter().map(|(_, code, text)| vec![format!("`{code}`"), (*text).into()]);
    compare("rules.md", "reasons", &rows("reason | meaning", table));
}

#[test]
fn remarks() {
    let table = Remark::ALL.iter().map(|(_, code, text)| vec![format!("`{code}`"), (*text).into()]);
    compare("rules.md", "remarks", &rows("reason | meaning", table));
}

#[test]
fn what_is_logged() {
    let table = |all: &[(&str, &str)]| {
        all.iter().map(|(name, text)| vec![format!("`{name}`"), (*text).into()]).collect::<Vec<_>>().into_iter()
    };
    compare("log.md", "fields", &rows("field | meaning", table(FIELDS)));
    compare("log.md", "account", &rows("member | meaning", table(SHAPE)));
}

#[test]
fn failures() {
    let table = Failure::ALL.iter().map(|(_, code, text)| vec![format!("`{code}`"), (*text).into()]);
    compare("rules.md", "failures", &rows("reason | meaning", table));
}

#[test]
fn answers_of_the_webhook() {
    let table =
        Answer::ALL.iter().map(|(_, status, name, when)| vec![status.to_string(), (*when).into(), format!("`{name}`")]);
    compare("configuration.md", "webhook", &rows("answer | when | `jobscope_reason`", table));
}

#[test]
fn requests_that_cannot_be_read() {
    let table = Malformed::ALL
        .iter()
        .map(|(_, status, code, text)| vec![format!("`{code}`"), status.to_string(), (*text).into()]);
    compare("rules.md", "malformed", &rows("reason | status | meaning", table));
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file below a folder of the project, and its text.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn each_invariant_is_held_by_a_test_that_is_there() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = page.split_once("| where | invariant | held by |").expect("the table of invariants");
    let mut files = Vec::new();
    for folder in [
        "policy/src",
        "policy/tests",
        "plugin/src",
        "plugin/tests",
        "simulation/tests",
        "world/src",
        "cli/src",
        "cli/tests",
        "host-tests/tests",
        "lookup-service/src",
        "fuzz/fuzz_targets",
    ] {
        sources(&root().join(folder), &mut files);
    }
    let mut rows = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let held_by = row.trim_matches('|').rsplit('|').next().unwrap().trim().trim_matches('`');
        let module = held_by.trim_end_matches(".rs").replace("::", "/");
        let function = format!("fn {}(", module.rsplit('/').next().unwrap());
        let paths = [".rs", "/mod.rs", "/main.rs"].map(|end| format!("/{module}{end}"));
        let is_test = |path: &str, text: &str| paths.iter().any(|end| path.ends_with(end)) || text.contains(&function);
        let is_there = root().join(held_by).is_file() || files.iter().any(|(path, text)| is_test(path, text));
        assert!(is_there, "ARCHITECTURE.md: no test `{held_by}`");
        rows += 1;
    }
    assert!(rows > 5);
}

#[test]
fn each_dependency_has_its_reason() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, reasons) = page.split_once("## Dependencies").expect("the chapter on dependencies");
    let named = |crate_name: &str| {
        reasons.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).any(|word| word == crate_name)
    };
    for (manifest, head) in [
        ("Cargo.toml", "[workspace.dependencies]"),
        ("fuzz/Cargo.toml", "[dependencies]"),
        ("playground/Cargo.toml", "[dependencies]"),
        ("playground/glue/Cargo.toml", "[dependencies]"),
    ] {
        let manifest = fs::read_to_string(root().join(manifest)).unwrap();
        let (_, dependencies) = manifest.split_once(head).unwrap();
        for line in dependencies.lines().take_while(|line| !line.starts_with('[')).filter(|line| line.contains(" = ")) {
            let name = line.split(' ').next().unwrap();
            assert!(
                ["policy", "questions", "world"].contains(&name) || named(name),
                "ARCHITECTURE.md does not say why `{name}`"
            );
        }
    }
}

#[test]
fn the_oldest_rust_is_the_one_that_it_is_built_with() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let after = |text: &str, key: &str| text.split_once(key).unwrap().1.split('"').nth(1).unwrap().to_owned();
    let (oldest, pinned) = (after(&manifest, "rust-version = "), after(&toolchain, "channel = "));
    assert!(pinned.starts_with(&format!("{oldest}.")), "{oldest} is stated, and {pinned} is used");
}

/// Files that the recipes name: words in backticks with a slash, below the project's folder.
#[test]
fn each_file_that_a_recipe_names_is_there() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, recipes) = page.split_once("## Recipes").expect("the chapter of recipes");
    let named: Vec<&str> = recipes.split('`').skip(1).step_by(2).filter(|word| word.contains('/')).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(root().join(name).exists(), "CONTRIBUTING.md names `{name}`, which is not there");
    }
}
