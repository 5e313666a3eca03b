//! `jobscope decide`.

use policy::decision::{Outcome, Record};
use questions::changes::{Flip, Situation, flips};
use questions::deciding::{Answers, Verdict, answers, bytes};
use questions::job::Caller;
use questions::lines::{self, Setting};
use questions::request::Request;
use questions::view;
use serde_json::Value;
use world::World;

use super::arguments::Decide;
use super::print::{HEADING, QUIET, indented, out, styled, table, word, wrapped};
use super::{End, Fault, files};

pub(crate) fn run(asked: &Decide) -> Result<End, Fault> {
    let setup = files::setup(&asked.config)?;
    let world = files::world(&asked.world)?;
    let raw = asked.request.as_deref().map(files::bytes).transpose()?;
    let caller = caller(asked, raw.as_deref(), &world)?;
    let read = |name: &str| std::fs::read(name).ok();
    let setting = Setting { config: &setup.config, job: &caller.job, token: &caller.secret, file: &read };
    let requests: Vec<Request> = match &raw {
        Some(bytes) => lines::raw(bytes, &setting).map(|request| vec![request]),
        None => lines::words(&asked.line, &setting),
    }
    .map_err(|error| Fault::of(&error))?;
    let answers = answers(&setup.config, &world, &caller, &requests);
    let situation = Situation { setup, world };
    let flips = flips(&situation, &caller, &requests);
    if asked.json {
        out(&format!("{:#}\n", view::decided(&answers, &caller, &flips, &situation.world)))?;
    } else {
        out(&text(&answers, &caller, &flips, &situation.world))?;
    }
    Ok(if answers.verdict().passes() { End::Good } else { End::Bad })
}

/// The job that was named, or whose token stands in what is asked.
fn caller(asked: &Decide, raw: Option<&[u8]>, world: &World) -> Result<Caller, Fault> {
    if let Some(text) = &asked.job {
        return Caller::of(text, world).map_err(|error| Fault::of(&error));
    }
    let raw = raw.map(String::from_utf8_lossy).unwrap_or_default();
    let stands =
        |token: &str| !token.is_empty() && (raw.contains(token) || asked.line.iter().any(|word| word.contains(token)));
    let job = world.jobs.iter().find(|job| job.token.as_deref().is_some_and(stands));
    let job = job.ok_or_else(|| {
        Fault("expected `--job`, since no token of a job of the world stands in the request".to_owned())
    })?;
    Caller::numbered(job.id, world).map_err(|error| Fault::of(&error))
}

fn text(answers: &Answers, caller: &Caller, flips: &[Flip], world: &World) -> String {
    let verdict = answers.verdict();
    let Some(answer) = answers.speaks() else { return String::new() };
    let at = answers.0.iter().position(|other| std::ptr::eq(other, answer)).unwrap_or_default().saturating_add(1);
    let place = if answers.0.len() > 1 { format!(" ({at} of {})", answers.0.len()) } else { String::new() };
    let request = format!("{}{place}", answer.request.line());
    let Some(decision) = &answer.decision else {
        let why = "no job's token stands in it, so jobscope leaves it to the forge";
        let rows = [vec!["job".into(), caller.label()], vec!["request".into(), request]];
        return format!("{}  {why}\n\n{}", word(verdict.word()), table(0, &rows));
    };
    let record = &decision.record;
    let mut text = format!(
        "{}  {}\n\n",
        word(verdict.word()),
        wrapped(view::why(decision), verdict.word().len().saturating_add(2))
    );
    let mut rows = vec![
        vec!["job".to_owned(), caller.label()],
        vec!["asks".to_owned(), asked_of(record)],
        vec!["request".to_owned(), request],
        vec!["reason".to_owned(), record.reason.to_owned()],
        vec!["rule".to_owned(), record.rule.to_string()],
    ];
    let facts: Vec<String> = view::facts(answer).map(|(name, is)| format!("{name}={}", view::plain(is))).collect();
    if !facts.is_empty() {
        rows.push(vec!["facts".to_owned(), facts.join(" ")]);
    }
    text.push_str(&table(0, &rows));
    if let Some(bytes) = bytes(answer) {
        text.push_str(&section("The client gets", &indented(2, &bytes)));
    }
    if let (Outcome::Forward(_), Verdict::Deny) = (&decision.outcome, verdict) {
        text.push_str(&section("It goes on without its token, and the forge answers as to anybody", ""));
    }
    text.push_str(&walked(&answer.account));
    let heading =
        if verdict == Verdict::Allow { "Any of these would deny it" } else { "Any of these would let it pass" };
    if flips.is_empty() && !verdict.passes() {
        text.push_str(&section("Nothing that somebody could set would let it pass", ""));
    }
    if !flips.is_empty() {
        let each: Vec<String> =
            flips.iter().enumerate().map(|(at, flip)| shown(at.saturating_add(1), flip, world)).collect();
        text.push_str(&section(heading, &each.concat()));
    }
    text
}

/// What was asked, of whom, as far as it could be read.
fn asked_of(record: &Record) -> String {
    match (record.action, record.target.as_str()) {
        ("-", _) => "cannot be read".to_owned(),
        (action, "-") => action.to_owned(),
        (action, target) => format!("{action} of {target}"),
    }
}

/// What each rule said, by the account of a decision.
pub(crate) fn walked(account: &Value) -> String {
    let row = |(rule, said, why): (&str, &str, &str)| [rule, said, why].map(str::to_owned).to_vec();
    let walk: Vec<Vec<String>> = view::walk(account).map(row).collect();
    if walk.is_empty() { String::new() } else { section("The rules, in their order", &table(2, &walk)) }
}

pub(crate) fn section(heading: &str, body: &str) -> String {
    format!("\n{}\n{body}", styled(HEADING, heading))
}

/// One set of changes: what, who, how.
fn shown(number: usize, flip: &Flip, world: &World) -> String {
    let mut text = String::new();
    for (at, change) in flip.0.iter().enumerate() {
        let lead = if at == 0 { format!("  {number}. ") } else { "     and ".to_owned() };
        text.push_str(&format!("{lead}{}\n", wrapped(&change.text(world), lead.chars().count())));
        let maker = change.maker(world);
        let users = if maker.users.is_empty() { String::new() } else { format!(" ({})", maker.users.join(", ")) };
        text.push_str(&format!(
            "     {}\n",
            styled(QUIET, &format!("who  {}", wrapped(&format!("{}{users}", maker.who), 10)))
        ));
        // A command is to be copied, so that it is not broken.
        text.push_str(&format!("     {}\n", styled(QUIET, &format!("how  {}", change.command(world)))));
    }
    text
}
