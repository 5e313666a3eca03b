//! `jobscope who-can`, `jobscope can`, `jobscope diff`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use policy::access::Action;
use questions::deciding::Verdict;
use questions::reach::{
    Asks, Difference, People, Way, can as all_of, differences, people, shortened, who_can as all_at,
};
use questions::setup::Setup;
use questions::view;
use serde_json::json;
use world::{Project, User, World};

use super::arguments::{Can, Diff, WhoCan, Whole};
use super::print::{HEADING, out, styled, table};
use super::{End, Fault, files};

pub(crate) fn who_can(asked: &WhoCan) -> Result<End, Fault> {
    let (setup, world) = (setup(asked.config.as_deref())?, files::world(&asked.whole.world)?);
    let target = project(&world, &asked.target)?;
    let asks = Asks::one(&setup.config, &asked.action).ok_or_else(|| {
        let found = &asked.action;
        Fault(format!(
            "expected an action that is asked of a project, such as `git.read` (docs/rules.md has all), found `{found}`"
        ))
    })?;
    let ways = all_at(&setup.config, &world, &asks, target, of(&asked.whole));
    let heading = format!("{} of {}", asked.action, target.path);
    print(&asked.whole, &heading, &["ORIGIN", "BECAUSE", "STARTED BY"], &ways, |way| vec![way.origin.clone()])?;
    Ok(End::Good)
}

pub(crate) fn can(asked: &Can) -> Result<End, Fault> {
    let (setup, world) = (setup(asked.config.as_deref())?, files::world(&asked.whole.world)?);
    let origin = project(&world, &asked.origin)?;
    let people: Vec<Option<&User>> = match asked.user.as_deref() {
        None => people(&world, origin, of(&asked.whole)),
        Some("nobody") => vec![None],
        Some(name) => {
            let user = world.user_named(name).ok_or_else(|| Fault(format!("the world has no user `{name}`")))?;
            vec![Some(&**user)]
        }
    };
    let ways = all_of(&setup.config, &world, &Asks::all(&setup.config), origin, &people);
    let heading = format!("jobs of {}", origin.path);
    print(&asked.whole, &heading, &["TARGET", "BECAUSE", "STARTED BY", "ACTIONS"], &ways, |way| {
        vec![way.target.clone()]
    })?;
    Ok(End::Good)
}

pub(crate) fn diff(asked: &Diff) -> Result<End, Fault> {
    let (old, new) = (files::setup(&asked.old)?, files::setup(&asked.new)?);
    let world = files::world(&asked.whole.world)?;
    let found = differences(&old.config, &new.config, &world, of(&asked.whole));
    if asked.whole.json {
        out(&format!("{:#}\n", view::differing(&found)))?;
    } else {
        out(&differing(&found))?;
    }
    Ok(if found.is_empty() { End::Good } else { End::Bad })
}

fn of(whole: &Whole) -> People {
    if whole.everybody { People::Everybody } else { People::Starters }
}

/// The configuration of a file, or one that looks everything up and has no rules of its own.
fn setup(path: Option<&Path>) -> Result<Setup, Fault> {
    let plain = || {
        let document = json!({"forge": {"hosts": ["forge.invalid"]}, "facts": {"outbound": "lookup"},
            "lookup": {"cluster": "forge", "authority": "forge.invalid", "credential_env": "TOKEN"}});
        Setup::of(document).map_err(|errors| Fault::of(&errors))
    };
    path.map_or_else(plain, files::setup)
}

fn project<'a>(world: &'a World, path: &str) -> Result<&'a Arc<Project>, Fault> {
    world.project_at(path).ok_or_else(|| Fault(format!("the world has no project `{path}`")))
}

/// Ways in rows: what is the same but for the user is one, and so is what is the same but for the action.
fn rows(ways: &[Way], place: &dyn Fn(&Way) -> Vec<String>) -> Vec<Vec<String>> {
    let mut by_user: BTreeMap<(Vec<String>, String, String), Vec<Action>> = BTreeMap::new();
    for way in ways {
        let observed = if way.verdict == Verdict::ObserveDeny { "observed: " } else { "" };
        let because = format!("{observed}{}", way.reason);
        by_user.entry((place(way), because, named(way.user.as_deref()))).or_default().push(way.action);
    }
    let mut told: BTreeMap<(Vec<String>, String, Vec<Action>), Vec<String>> = BTreeMap::new();
    for ((place, because, user), actions) in by_user {
        told.entry((place, because, actions)).or_default().push(user);
    }
    let row = |((place, because, actions), users): ((Vec<String>, String, Vec<Action>), Vec<String>)| {
        [place, vec![because, users.join(", "), shortened(&actions).join(", ")]].concat()
    };
    told.into_iter().map(row).collect()
}

fn named(user: Option<&str>) -> String {
    user.unwrap_or("nobody").to_owned()
}

fn print(
    whole: &Whole,
    heading: &str,
    columns: &[&str],
    ways: &[Way],
    place: impl Fn(&Way) -> Vec<String>,
) -> Result<(), Fault> {
    if whole.json {
        return out(&format!("{:#}\n", view::ways(ways)));
    }
    let mut lines = vec![columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>()];
    for mut row in rows(ways, &place) {
        row.truncate(columns.len());
        lines.push(row);
    }
    let body = if ways.is_empty() { "  nobody may\n".to_owned() } else { table(2, &lines) };
    out(&format!("{}\n{body}", styled(HEADING, heading)))
}

fn differing(found: &[Difference]) -> String {
    if found.is_empty() {
        return "nothing ends otherwise\n".to_owned();
    }
    let turns = |one: &Difference| format!("{} to {}", one.old.verdict.word(), one.new.verdict.word());
    let mut by_turn: BTreeMap<String, Vec<Way>> = BTreeMap::new();
    for one in found {
        by_turn
            .entry(turns(one))
            .or_default()
            .push(Way { verdict: questions::deciding::Verdict::Allow, ..one.new.clone() });
    }
    let mut turned = Vec::new();
    for (turn, ways) in by_turn {
        let heads = ["ORIGIN", "TARGET", "BECAUSE", "STARTED BY", "ACTIONS"].map(str::to_owned).to_vec();
        let place = |way: &Way| vec![way.origin.clone(), way.target.clone()];
        let lines: Vec<Vec<String>> = std::iter::once(heads).chain(rows(&ways, &place)).collect();
        turned.push(format!("{}\n{}", styled(HEADING, &format!("{turn}: {}", ways.len())), table(2, &lines)));
    }
    turned.join("\n")
}
