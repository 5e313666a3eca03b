//! The page's way to the library of the `jobscope` command: texts in, JSON out.
//!
//! Nothing is decided here, and nothing is kept between two questions.

mod asked;
mod saved;

use policy::access::Action;
use policy::rules::RULES;
use questions::reach::{self, Asks, People};
use questions::view;
use serde_json::{Value, json};
use wasm_bindgen::prelude::wasm_bindgen;

use asked::{Asked, setup, world};

/// A text without its secrets.
#[wasm_bindgen]
#[must_use]
pub fn cleaned(text: &str) -> String {
    questions::cleaned::cleaned(text)
}

/// What was pasted, as it can be asked: `line`, `job`, and `told`, the account of a line of the log.
#[wasm_bindgen]
#[must_use]
pub fn pasted(text: &str) -> String {
    let pasted = questions::pasted::pasted(text);
    json!({"line": pasted.line, "job": pasted.job, "told": pasted.told.map(|told| told.json())}).to_string()
}

/// The rules in their order, each with what it says and which facts it looks at; and the actions that matrices are of.
#[wasm_bindgen]
#[must_use]
pub fn known() -> String {
    let rule =
        |rule: &policy::rules::Rule| json!({"rule": rule.id, "says": rule.doc, "facts": view::looks_at(rule.id)});
    let action = |(_, name, doc): &(Action, &str, &str)| json!({"action": name, "says": doc});
    json!({"rules": RULES.iter().map(rule).collect::<Vec<_>>(),
        "actions": reach::actions().map(action).collect::<Vec<_>>()})
    .to_string()
}

/// Actions, with blanks between them, in few words.
#[wasm_bindgen]
#[must_use]
pub fn shortened(names: &str) -> String {
    let named = |name: &str| Action::ALL.iter().find(|(_, known, _)| *known == name).map(|(action, ..)| *action);
    let actions: Vec<Action> = names.split(' ').filter_map(named).collect();
    json!(reach::shortened(&actions)).to_string()
}

/// What is wrong with a configuration, a world, a job and a request, each in a list, and what is `decided` where nothing is.
#[wasm_bindgen]
#[must_use]
pub fn decide(config: &str, world: &str, job: &str, line: &str) -> String {
    Asked { config, world, job, line }.answer().to_string()
}

/// Who reaches what: all that may be done by jobs of each project at each, or one action alone; null where that cannot be told.
#[wasm_bindgen]
#[must_use]
pub fn matrix(config: &str, world_text: &str, action: &str) -> String {
    let found = setup(config).ok().zip(world(world_text).ok()).and_then(|(setup, world)| {
        let config = &setup.config;
        let asks = if action.is_empty() { Asks::all(config) } else { Asks::one(config, action)? };
        let ways =
            |origin: &_| reach::can(config, &world, &asks, origin, &reach::people(&world, origin, People::Starters));
        let ways: Vec<_> = world.projects.iter().flat_map(|origin| ways(origin)).collect();
        let projects: Vec<&str> = world.projects.iter().map(|project| project.path.as_str()).collect();
        Some(json!({"projects": projects, "reach": view::ways(&ways)}))
    });
    found.unwrap_or(Value::Null).to_string()
}

/// What another configuration changes: what is `wrong` with it, and what is `found` where nothing is.
#[wasm_bindgen]
#[must_use]
pub fn compare(config: &str, other: &str, world_text: &str) -> String {
    let wrong = asked::findings(other, None);
    let found = setup(config).ok().zip(setup(other).ok()).zip(world(world_text).ok());
    let found = found.map(|((old, new), world)| {
        view::differing(&reach::differences(&old.config, &new.config, &world, People::Starters))
    });
    json!({"wrong": wrong, "found": found}).to_string()
}

/// A file of one test for `jobscope test`, which expects what is decided now; empty where nothing is.
#[wasm_bindgen]
#[must_use]
pub fn test(config: &str, world: &str, job: &str, line: &str) -> String {
    saved::test(&Asked { config, world, job, line }).unwrap_or_default()
}
