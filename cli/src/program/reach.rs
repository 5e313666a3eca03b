//! `jobscope who-can`, `jobscope can`, `jobscope diff`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use policy::access::Action;
use policy::config::Selection;
use questions::deciding::Verdict;
use questions::live::doctor::calls;
use questions::live::reach::Reached;
use questions::live::targets::Question;
use questions::live::{self, Live};
use questions::reach::{
    Asks, Difference, People, Way, can as all_of, differences, people, shortened, who_can as all_at,
};
use questions::setup::Setup;
use questions::view;
use serde_json::json;
use world::{Project, User, World};

use super::arguments::{Can, Diff, Of, REACHED, WhoCan};
use super::decide::section;
use super::pace::{Meter, Paced};
use super::print::{HEADING, QUIET, out, out_json, styled, table, wrapped};
use super::{End, Fault, files, wire};

pub(crate) fn who_can(asked: &WhoCan) -> Result<End, Fault> {
    let heading = format!("{} of {}", asked.action, asked.target);
    let table = |ways: &[Way], nobody: &str| at_target(&heading, ways, nobody);
    if let Some(world) = world(&asked.of)? {
        let setup = setup(asked.of.config.as_deref())?;
        let target = project(&world, &asked.target)?;
        let ways = all_at(&setup.config, &world, &one(asked, &setup)?, target, people_of(asked.of.everybody));
        return of_world(&asked.of, &ways, &|ways| table(ways, "nobody may"));
    }
    of_forge(&asked.of, None, &table, &mut |live, setup| {
        live::reach::who_can(live, setup, &one(asked, setup)?, &asked.target).map_err(|error| Fault::of(&error))
    })
}

fn one(asked: &WhoCan, setup: &Setup) -> Result<Asks, Fault> {
    Asks::one(&setup.config, &asked.action).ok_or_else(|| {
        let found = &asked.action;
        Fault(format!(
            "expected an action that is asked of a project, such as `git.read` (docs/rules.md has all), found `{found}`"
        ))
    })
}

pub(crate) fn can(asked: &Can) -> Result<End, Fault> {
    let heading = format!("jobs of {}", asked.origin);
    if let Some(world) = world(&asked.of)? {
        let setup = setup(asked.of.config.as_deref())?;
        let origin = project(&world, &asked.origin)?;
        let people: Vec<Option<&User>> = match asked.user.as_deref() {
            None => people(&world, origin, people_of(asked.of.everybody)),
            Some("nobody") => vec![None],
            Some(name) => {
                let user = world.user_named(name).ok_or_else(|| Fault(format!("the world has no user `{name}`")))?;
                vec![Some(&**user)]
            }
        };
        let ways = all_of(&setup.config, &world, &Asks::all(&setup.config), origin, &people);
        return of_world(&asked.of, &ways, &|ways| of_origin(&heading, ways, "nobody may"));
    }
    let targets = selection(&asked.targets)?;
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let question = Question { origin: &asked.origin, user: asked.user.as_deref(), targets: targets.as_ref(), limit };
    let table = |ways: &[Way], nobody: &str| of_origin(&heading, ways, nobody);
    of_forge(&asked.of, Some(asked.max_per_second), &table, &mut |live, setup| {
        let mut meter = Meter::start();
        let all = Asks::all(&setup.config);
        let reached = live::targets::can(live, &setup.config, &all, question, &mut |progress| meter.tell(progress));
        meter.end();
        reached.map_err(|error| Fault::of(&error))
    })
}

/// The projects that are named; `None` where none is.
fn selection(names: &[String]) -> Result<Option<Selection>, Fault> {
    if names.is_empty() {
        return Ok(None);
    }
    let selection = Selection::of(names.iter().map(String::as_str)).filter(|named| !named.is_empty());
    selection.map(Some).ok_or_else(|| {
        let expected = "projects such as `apps/web`, `apps/**` or `**`, and behind a `!` what of them is not meant";
        Fault(format!("expected behind `--targets` {expected}, found `{}`", names.join(" ")))
    })
}

/// The world that is asked; `None` where a forge is.
fn world(of: &Of) -> Result<Option<World>, Fault> {
    match &of.world {
        Some(_) if of.reached.is_given() => Err(Fault(REACHED.to_owned())),
        world => world.as_deref().map(files::world).transpose(),
    }
}

fn of_world(of: &Of, ways: &[Way], table: &dyn Fn(&[Way]) -> String) -> Result<End, Fault> {
    if of.json {
        out_json(&view::ways(ways))?
    } else {
        out(&table(ways))?
    }
    Ok(End::Good)
}

/// What a forge that runs is asked, and what it tells: no more calls in a second than may be.
fn of_forge(
    of: &Of,
    most: Option<u32>,
    table: &dyn Fn(&[Way], &str) -> String,
    ask: &mut dyn FnMut(&mut Live<'_>, &Setup) -> Result<Reached, Fault>,
) -> Result<End, Fault> {
    let path = of.config.as_deref().ok_or_else(|| Fault("`--forge` needs `--config`".to_owned()))?;
    let documents = files::documents(path)?;
    let setup = files::setup_of(path, &documents)?;
    let endpoint = wire::endpoint(&setup, &documents, &of.reached)?;
    let account = wire::account(&setup, &of.reached)?;
    let mut wire = wire::Wire::to(&endpoint, &setup, of.reached.ca.as_deref())?;
    let mut service = Paced::of(&mut wire, most);
    let mut live = Live::new(&setup.config, account.as_ref(), &mut service);
    let told = ask(&mut live, &setup)?;
    if of.json {
        let more = json!({"unasked": told.unasked, "failed": told.failed, "calls": calls(&live.asked)});
        out_json(&view::with(view::ways(&told.ways), more))?;
    } else {
        let listed = |heading: &str, texts: &[String]| {
            let lines: String = texts.iter().map(|text| format!("  {}\n", wrapped(text, 2))).collect();
            if lines.is_empty() { lines } else { section(heading, &lines) }
        };
        let (unasked, failed) = (listed("Not asked about", &told.unasked), listed("What failed", &told.failed));
        let is_all = unasked.is_empty() && failed.is_empty();
        let table = table(&told.ways, if is_all { "nobody may" } else { "nobody of whom was asked may" });
        let calls = styled(QUIET, &format!("asked in {} calls", live.asked.len()));
        out(&format!("{table}{unasked}{failed}\n{calls}\n"))?;
    }
    if told.failed.is_empty() { Ok(End::Good) } else { Ok(End::Untold) }
}

pub(crate) fn diff(asked: &Diff) -> Result<End, Fault> {
    let (old, new) = (files::setup(&asked.old)?, files::setup(&asked.new)?);
    let world = files::world(&asked.world)?;
    let found = differences(&old.config, &new.config, &world, people_of(asked.everybody));
    if asked.json {
        out_json(&view::differing(&found))?
    } else {
        out(&differing(&found))?
    }
    Ok(if found.is_empty() { End::Good } else { End::Bad })
}

fn people_of(everybody: bool) -> People {
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

fn of_origin(heading: &str, ways: &[Way], nobody: &str) -> String {
    shown(heading, &["TARGET", "BECAUSE", "STARTED BY", "ACTIONS"], (ways, nobody), &|way| vec![way.target.clone()])
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
