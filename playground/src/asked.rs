//! What the page asks, and what is wrong with it.

use std::sync::Arc;

use questions::changes::{Situation, flips};
use questions::check::{Finding, Names, Weight, check, of_errors};
use questions::deciding::{Answers, answers};
use questions::finding::{self, NotFound};
use questions::job::Caller;
use questions::lines::{self, Setting};
use questions::reach::{People, people};
use questions::request::Request;
use questions::setup::Setup;
use questions::view;
use serde_json::{Value, json};
use world::{Project, World};

/// Four texts, as they stand on the page.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) config: &'a str,
    pub(crate) world: &'a str,
    pub(crate) job: &'a str,
    pub(crate) line: &'a str,
}

/// What the four texts mean together.
pub(crate) struct Meant {
    pub(crate) situation: Situation,
    pub(crate) caller: Caller,
    requests: Vec<Request>,
}

impl Meant {
    pub(crate) fn answers(&self) -> Answers {
        answers(&self.situation.setup.config, &self.situation.world, &self.caller, &self.requests)
    }
}

/// A mistake: its line where it is known, what it is about, what is wrong, and whether it is an error.
fn wrong(line: Option<u64>, about: &str, text: &str, weight: Weight) -> Value {
    json!({"line": line, "about": about, "text": text, "weight": weight.word()})
}

impl Asked<'_> {
    /// What is wrong, and what is decided.
    pub(crate) fn answer(&self) -> Value {
        let world = world(self.world);
        let config = findings(self.config, world.as_ref().ok());
        let wrong_world = world.as_ref().err().cloned().unwrap_or_else(|| json!([]));
        let meant = self.meant();
        let (mut job, mut line, mut decided) = (Value::Null, Value::Null, Value::Null);
        match meant {
            Ok(meant) => {
                let found = flips(&meant.situation, &meant.caller, &meant.requests);
                decided = view::decided(&meant.answers(), &meant.caller, &found, &meant.situation.world);
            }
            Err(Stuck::Job(text)) => job = text.into(),
            Err(Stuck::Line(text)) => line = text.into(),
            Err(Stuck::Before) => {}
        }
        let jobs = world.as_ref().map(jobs).unwrap_or_default();
        json!({"config": config, "world": wrong_world, "job": job, "line": line, "decided": decided, "jobs": jobs})
    }

    /// What is asked, where nothing is wrong with it.
    pub(crate) fn meant(&self) -> Result<Meant, Stuck> {
        let setup = setup(self.config).map_err(|_| Stuck::Before)?;
        let world = world(self.world).map_err(|_| Stuck::Before)?;
        let caller = Caller::of(self.job, &world).map_err(|error| Stuck::Job(error.to_string()))?;
        // There are no files in a browser.
        let setting = Setting { config: &setup.config, job: &caller.job, token: &caller.secret, file: &|_| None };
        let requests = lines::text(self.line, &setting).map_err(|error| Stuck::Line(error.to_string()))?;
        Ok(Meant { situation: Situation { setup, world }, caller, requests })
    }
}

/// How many jobs are proposed.
const PROPOSED: usize = 50;

/// Jobs that there may be: those that are started by a push.
fn jobs(world: &World) -> Vec<String> {
    let of = |origin: &Arc<Project>| {
        let people = people(world, origin, People::Starters).into_iter().flatten();
        people.map(|user| format!("{}@main as {}", origin.path, user.username)).collect::<Vec<_>>()
    };
    world.projects.iter().flat_map(of).take(PROPOSED).collect()
}

/// Where a question ends before it is asked.
pub(crate) enum Stuck {
    /// Configuration or world cannot be read.
    Before,
    /// The job cannot.
    Job(String),
    /// The request cannot.
    Line(String),
}

/// A configuration, wherever it stands in a text.
pub(crate) fn setup(text: &str) -> Result<Setup, Value> {
    let documents = finding::documents(text).map_err(|error| not_found(&error))?;
    let found = finding::only(&documents).map_err(|error| not_found(&error))?;
    found.setup().map_err(|errors| of_errors(&found, &errors).iter().map(told).collect())
}

/// A world.
pub(crate) fn world(text: &str) -> Result<World, Value> {
    World::parse(text).map_err(|errors| {
        errors.0.iter().map(|error| wrong(error.line, &error.path, &error.text, Weight::Error)).collect()
    })
}

/// What is wrong with a configuration, and what is probably not meant.
pub(crate) fn findings(text: &str, world: Option<&World>) -> Value {
    let found =
        finding::documents(text).and_then(|documents| check(&documents, world.map(|world| -> &dyn Names { world })));
    match found {
        // What cannot be seen in a file, nobody can change in it.
        Ok(found) => found.iter().filter(|one| one.weight != Weight::Unseen).map(told).collect(),
        Err(error) => not_found(&error),
    }
}

fn told(finding: &Finding) -> Value {
    wrong(Some(finding.line), &finding.about, &finding.text, finding.weight)
}

fn not_found(error: &NotFound) -> Value {
    let line = match error {
        NotFound::Unreadable(unreadable) => unreadable.line,
        NotFound::Nowhere | NotFound::Another(_) | NotFound::Several(_) => None,
    };
    json!([wrong(line, "", &error.to_string(), Weight::Error)])
}
