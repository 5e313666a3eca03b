//! What stands beside the entries that `jobscope suggest` suggests: groups, oddities, entries that nobody used.

use policy::facts::ProjectPath;
use questions::log::suggest::Offer;
use questions::log::unused::{Unused, Used};

use super::*;

fn path(path: &str) -> ProjectPath {
    ProjectPath::parse(path).unwrap()
}

fn lacks(origin: &str, user: &str, time: &str) -> Line {
    let account = json!({"asked": [{"action": "git.read", "path": "libs/x", "denials": [{"rule": "inbound", "reason": "allowlist.missing"}],
        "needs": {"permissions": ["read_repositories"], "permissions_when": "strict"}}]});
    let line = json!({"start_time": time, "origin": origin, "user": user, "verdict": "observe-deny",
        "reason": "allowlist.missing", "target": "libs/x", "why": account.to_string()});
    Line::parse(line.to_string().as_bytes()).unwrap()
}

fn allowed(origin: &str, target: &str, reason: &str) -> Line {
    let line = json!({"origin": origin, "target": target, "verdict": "allow", "reason": reason});
    Line::parse(line.to_string().as_bytes()).unwrap()
}

#[test]
fn a_group_is_offered_for_several_of_its_projects_with_the_number_of_those_that_it_lets_in_besides() {
    let mut suggestions = Suggestions::new(Way::Settings);
    for origin in ["apps/web/a", "apps/web/b", "apps/c", "infra/d"] {
        suggestions.note(&lacks(origin, "dana", "2026-01-01T12:00:00.000Z"));
    }
    suggestions.note(&allowed("apps/web/e", "libs/y", "own-project"));
    suggestions.note(&allowed("appsx/e", "libs/y", "own-project"));
    let offer = |group: &str, instead_of, more| Offer { target: path("libs/x"), group: group.into(), instead_of, more };
    assert_eq!(suggestions.groups(None), [offer("apps", 3, 1), offer("apps/web", 2, 1)]);
    let world = ["apps/web/a", "apps/web/b", "apps/web/x", "apps/c", "apps/z", "apps/web/y", "libs/x"].map(path);
    assert_eq!(suggestions.groups(Some(&world)), [offer("apps", 3, 3), offer("apps/web", 2, 2)]);
    // The group above the nearest would only cost more.
    let mut deep = Suggestions::new(Way::Settings);
    for origin in ["apps/web/a", "apps/web/b"] {
        deep.note(&lacks(origin, "dana", "2026-01-01T12:00:00.000Z"));
    }
    assert_eq!(deep.groups(None), [offer("apps/web", 2, 0)]);
}

#[test]
fn what_was_needed_once_or_only_at_night_by_one_user_is_odd() {
    let odd = |seen: &[(&str, &str)]| {
        let mut suggestions = Suggestions::new(Way::Settings);
        for (user, hour) in seen {
            suggestions.note(&lacks("a/b", user, &format!("2026-01-01T{hour}:00:00.000Z")));
        }
        suggestions.entries()[0].is_odd()
    };
    assert!(odd(&[("dana", "12")]) && odd(&[("dana", "23"), ("dana", "05")]) && odd(&[("dana", "22"), ("dana", "00")]));
    assert!(!odd(&[("dana", "12"), ("dana", "12")]) && !odd(&[("dana", "23"), ("dana", "06")]));
    assert!(!odd(&[("dana", "23"), ("mia", "23")]) && !odd(&[("dana", "no"), ("dana", "xx")]));
}

#[test]
fn an_entry_is_used_by_who_came_in_by_it_and_the_nearest_group_counts() {
    let world = World::parse(
        "groups:
  - {id: 1, path: apps}
  - {id: 2, path: apps/team}
  - {id: 3, path: libs}
projects:
  - {id: 11, path: apps/web}
  - {id: 12, path: apps/team/a}
  - {id: 13, path: libs/x, allowlist: {projects: [apps/web, apps/team/a], groups: [apps, apps/team]}}
",
    )
    .unwrap_or_else(|errors| panic!("{errors:?}"));
    let unused = |lines: &[Line]| {
        let mut used = Used::default();
        lines.iter().for_each(|line| used.note(line));
        used.unused(&world).into_iter().map(|Unused { target, names }| format!("{target} {names}")).collect::<Vec<_>>()
    };
    let all = ["libs/x apps/web", "libs/x apps/team/a", "libs/x apps/**", "libs/x apps/team/**"];
    assert_eq!(unused(&[]), all);
    // Denied, or let in by something else.
    assert_eq!(
        unused(&[allowed("apps/web", "libs/x", "own-project"), allowed("apps/web", "libs/y", "allowlist.project")]),
        all
    );
    assert_eq!(unused(&[allowed("apps/web", "libs/x", "allowlist.project")]), all[1..]);
    assert_eq!(unused(&[allowed("apps/other", "libs/x", "allowlist.group")]), [all[0], all[1], all[3]]);
    assert_eq!(unused(&[allowed("Apps/Team/other", "libs/x", "allowlist.group")]), all[..3]);
}
