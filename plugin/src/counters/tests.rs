use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::{FAMILIES, Metric};

#[test]
fn no_two_have_one_name_and_names_are_plain() {
    let names: Vec<String> = FAMILIES.iter().flat_map(super::Family::names).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '.' | '_');
    assert!(names.iter().all(|name| name.chars().all(is_plain)), "{names:?}");
    assert!(
        names.contains(&"jobscope.decisions.verdict.observe_deny.family.rule.protocol.git".to_owned()),
        "{names:?}"
    );
}

#[test]
fn the_table_in_the_documentation_says_what_is_counted() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let mut table = String::from("| name | kind | told apart by | counts |\n|---|---|---|---|\n");
    for family in FAMILIES {
        let kind = match family.metric {
            Metric::Counter => "counter",
            Metric::Gauge => "gauge",
            Metric::Histogram => "histogram",
        };
        let label = |(label, values): &(&str, super::Values)| match &values()[..] {
            [] => format!("`{label}`"),
            values => format!(
                "`{label}`: {}",
                values.iter().map(|value| format!("`{}`", super::plain(value))).collect::<Vec<_>>().join(" ")
            ),
        };
        let labels: Vec<String> = family.labels.iter().map(label).collect();
        let _ = writeln!(table, "| `{}` | {kind} | {} | {} |", family.name, labels.join("; "), family.counts);
    }
    let text = fs::read_to_string(&page).unwrap();
    let (begin, end) = ("<!-- counters: made by `make docs` -->\n", "<!-- end of counters -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (stands, after) = rest.split_once(end).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert!(stands == table, "docs/operations.md is not what the code says; write it anew with `make docs`");
    }
}
