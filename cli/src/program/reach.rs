//! `jobscope who-can`, `jobscope can`, `jobscope diff`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use policy::access::Action;
use questions::deciding::Verdict;
use questions::live::doctor::calls;
use questions::live::{self, Live};
use questions::reach::{
    Asks, Difference, People, Way, can as all_of, differences, people, shortened, who_can as all_at,
};
use questions::setup::Setup;
use questions::view;
use serde_json::json;
use world::{Project, User, World};

use super::arguments::{Can, Diff, REACHED, WhoCan};
use super::decide::section;
use super::print::{HEADING, QUIET, out, styled, table, wrapped};
use super::{End, Fault, files, wire};

pub(crate) fn who_can(asked: &WhoCan) -> Result<End, Fault> {
    match (&asked.world, asked.reached.is_given()) {
        (Some(world), false) => of_world(asked, &files::world(world)?),
        (Some(_), true) => Err(Fault(REACHED.to_owned())),
        (None, _) => of_forge(asked),
    }
}

fn of_world(asked: &WhoCan, world: &World) -> Result<End, Fault> {
    let setup = setup(asked.config.as_deref())?;
    let target = project(world, &asked.target)?;
    let ways = all_at(&setup.config, world, &asks(asked, &setup)?, target, of(asked.everybody));
    let heading = format!("{} of {}", asked.action, target.path);
    if asked.json {
        out(&format!("{:#}\n", view::ways(&ways)))?
    } else {
        out(&at_target(&heading, &ways, "nobody may"))?
    }
    Ok(End::Good)
}

/// The same of those whom a forge lists.
fn of_forge(asked: &WhoCan) -> Result<End, Fault> {
    let path = asked.config.as_deref().ok_or_else(|| Fault("`--forge` needs `--config`".to_owned()))?;
    let documents = files::documents(path)?;
    let setup = files::setup_of(path, &documents)?;
    let asks = asks(asked, &setup)?;
    let endpoint = wire::endpoint(&setup, &documents, &asked.reached)?;
    let account = wire::account(&setup, &asked.reached)?;
    let mut service = wire::Wire::to(&endpoint, &setup, asked.reached.ca.as_deref())?;
    let mut live = Live::new(&setup.config, account.as_ref(), &mut service);
    let told = live::reach::who_can(&mut live, &setup, &asks, &asked.target).map_err(|error| Fault::of(&error))?;
    if asked.json {
        let more = json!({"unasked": told.unasked, "calls": calls(&live.asked)});
        out(&format!("{:#}\n", view::with(view::ways(&told.ways), more)))?;
    } else {
        let unasked: String = told.unasked.iter().map(|text| format!("  {}\n", wrapped(text, 2))).collect();
        let unasked = if unasked.is_empty() { unasked } else { section("Not asked about", &unasked) };
        let nobody = if unasked.is_empty() { "nobody may" } else { "nobody of whom was asked may" };
        let table = at_target(&format!("{} of {}", asked.action, asked.target), &told.ways, nobody);
        out(&format!("{table}{unasked}\n{}\n", styled(QUIET, &format!("asked in {} calls", live.asked.len()))))?;
    }
    Ok(End::Good)
}

fn asks(asked: &WhoCan, setup: &Setup) -> Result<Asks, Fault> {
    Asks::one(&setup.config, &asked.action).ok_or_else(|| {
        let found = &asked.action;
        Fault(format!(
            "expected an action that is asked of a project, such as `git.read` (docs/rules.md has all), found `{found}`"
        ))
    })
}

pub(crate) fn can(asked: &Can) -> Result<End, Fault> {
    let (setup, world) = (setup(asked.config.as_deref())?, files::world(&asked.whole.world)?);
    let origin = project(&world, &asked.origin)?;
    let people: Vec<Option<&User>> = match asked.user.as_deref() {
        None => people(&world, origin, of(asked.whole.everybody)),
        Some("nobody") => vec![None],
        Some(name) => {
            let user = world.user_named(name).ok_or_else(|| Fault(format!("the world has no user `{name}`")))?;
            vec![Some(&**user)]
        }
    };
    let ways = all_of(&setup.config, &world, &Asks::all(&setup.config), origin, &people);
    let heading = format!("jobs of {}", origin.path);
    if asked.whole.json {
        out(&format!("{:#}\n", view::ways(&ways)))?
    } else {
        out(&of_origin(&heading, &ways))?
    }
    Ok(End::Good)
}

pub(crate) fn diff(asked: &Diff) -> Result<End, Fault> {
    let (old, new) = (files::setup(&asked.old)?, files::setup(&asked.new)?);
    let world = files::world(&asked.whole.world)?;
    let found = differences(&old.config, &new.config, &world, of(asked.whole.everybody));
    if asked.whole.json {
        out(&format!("{:#}\n", view::differing(&found)))?;
    } else {
        out(&differing(&found))?;
    }
    Ok(if found.is_empty() { End::Good } else { End::Bad })
}

fn of(everybody: bool) -> People {
    if everybody { People::Everybody } else { People::Starters }
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

fn at_target(heading: &str, ways: &[Way], nobody: &str) -> String {
    shown(heading, &["ORIGIN", "BECAUSE", "STARTED BY"], (ways, nobody), &|way| vec![way.origin.clone()])
}

fn of_origin(heading: &str, ways: &[Way]) -> String {
    shown(heading, &["TARGET", "BECAUSE", "STARTED BY", "ACTIONS"], (ways, "nobody may"), &|way| {
        vec![way.target.clone()]
    })
}

fn shown(
    heading: &str,
    columns: &[&str],
    (ways, nobody): (&[Way], &str),
    place: &dyn Fn(&Way) -> Vec<String>,
) -> String {
    let mut lines = vec![columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>()];
    for mut row in rows(ways, place) {
        row.truncate(columns.len());
        lines.push(row);
    }
    let body = if ways.is_empty() { format!("  {nobody}\n") } else { table(2, &lines) };
    format!("{}\n{body}", styled(HEADING, heading))
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
