//! `jobscope decide`.

use policy::decision::{Cause, Decision, Outcome};
use questions::changes::{Flip, Situation, flips};
use questions::deciding::{Answers, Verdict, answers, bytes};
use questions::job::Caller;
use questions::lines::{self, Setting};
use questions::live::Live;
use questions::live::caller::{self, Asking};
use questions::live::doctor::calls;
use questions::marked::Node;
use questions::request::Request;
use questions::setup::Setup;
use questions::view;
use serde_json::{Value, json};
use world::World;

use super::arguments::{Decide, REACHED};
use super::print::{HEADING, QUIET, indented, out, out_json, styled, table, word, wrapped};
use super::{End, Fault, doctor, files, wire};

pub(crate) fn run(asked: &Decide) -> Result<End, Fault> {
    let documents = files::documents(&asked.config)?;
    let setup = files::setup_of(&asked.config, &documents)?;
    let raw = asked.request.as_deref().map(files::bytes).transpose()?;
    match (&asked.world, asked.reached.is_given()) {
        (Some(world), false) => of_world(asked, setup, files::world(world)?, raw.as_deref()),
        (Some(_), true) => Err(Fault(REACHED.to_owned())),
        (None, _) => of_forge(asked, &setup, &documents, raw.as_deref()),
    }
}

fn of_world(asked: &Decide, setup: Setup, world: World, raw: Option<&[u8]>) -> Result<End, Fault> {
    let caller = caller(asked, raw, &world)?;
    let requests = requests(asked, raw, &setup, &caller)?;
    let answers = answers(&setup.config, &world, &caller, &requests);
    let situation = Situation { setup, world };
    let flips = flips(&situation, &caller, &requests);
    if asked.json {
        out_json(&view::decided(&answers, &caller, &flips, &situation.world))?;
    } else {
        out(&format!("{}{}", text(&answers, &caller), turning(&answers, &flips, &situation.world)))?;
    }
    Ok(end(&answers))
}

/// The same with facts that a forge tells now.
fn of_forge(asked: &Decide, setup: &Setup, documents: &[Node], raw: Option<&[u8]>) -> Result<End, Fault> {
    let endpoint = wire::endpoint(setup, documents, &asked.reached)?;
    let account = wire::account(setup, &asked.reached)?;
    let mut service = wire::Wire::to(&endpoint, setup, asked.reached.ca.as_deref())?;
    let mut live = Live::new(&setup.config, account.as_ref(), &mut service);
    let caller = match (&asked.job, std::env::var_os("CI_JOB_TOKEN").filter(|token| !token.is_empty())) {
        (Some(text), _) => caller::spelled(&mut live, text),
        (None, Some(token)) => {
            let token = wire::token(token.as_encoded_bytes(), "in the environment variable `CI_JOB_TOKEN`")?;
            caller::of_token(&mut live, token)
        }
        (None, None) => {
            return Err(Fault(
                "expected `--job`, or the token of a running job in the environment variable `CI_JOB_TOKEN`".to_owned(),
            ));
        }
    };
    let caller = caller.map_err(|error| Fault::of(&error))?;
    let requests = requests(asked, raw, setup, &caller)?;
    let asking = Asking::of(&mut live);
    let answers = answers(&setup.config, &asking, &caller, &requests);
    let failed = asking.failed();
    if asked.json {
        let more = json!({"calls": calls(&live.asked), "failed": failed});
        out_json(&view::with(view::verdict(&answers, &caller), more))?;
    } else {
        let rows: Vec<Vec<String>> = live.asked.iter().map(|(call, sent)| doctor::row(call, sent)).collect();
        let failed =
            if failed.is_empty() { String::new() } else { section("What failed", &indented(2, &failed.join("\n"))) };
        out(&format!("{}{failed}{}", text(&answers, &caller), section("What was asked", &table(2, &rows))))?;
    }
    Ok(end(&answers))
}

fn end(answers: &Answers) -> End {
    if answers.verdict().passes() { End::Good } else { End::Bad }
}

/// What the client's command, or what stands in the file, sends.
fn requests(asked: &Decide, raw: Option<&[u8]>, setup: &Setup, caller: &Caller) -> Result<Vec<Request>, Fault> {
    let read = |name: &str| std::fs::read(name).ok();
    let setting = Setting { config: &setup.config, job: &caller.job, token: &caller.secret, file: &read };
    match raw {
        Some(bytes) => lines::raw(bytes, &setting).map(|request| vec![request]),
        None => match asked.line.as_slice() {
            // A line that was quoted as a whole.
            [line] if line.contains(' ') => lines::line(line, &setting),
            words => lines::words(words, &setting),
        },
    }
    .map_err(|error| Fault::of(&error))
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

fn text(answers: &Answers, caller: &Caller) -> String {
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
        vec!["asks".to_owned(), asked_of(decision)],
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
    text
}

/// What would turn a decision around.
fn turning(answers: &Answers, flips: &[Flip], world: &World) -> String {
    let verdict = answers.verdict();
    if verdict == Verdict::Untouched {
        return String::new();
    }
    if flips.is_empty() {
        let nothing = section("Nothing that somebody could set would let it pass", "");
        return if verdict.passes() { String::new() } else { nothing };
    }
    let heading =
        if verdict == Verdict::Allow { "Any of these would deny it" } else { "Any of these would let it pass" };
    let each: Vec<String> =
        flips.iter().enumerate().map(|(at, flip)| shown(at.saturating_add(1), flip, world)).collect();
    section(heading, &each.concat())
}

/// What was asked, of whom, as far as it could be read.
fn asked_of(decision: &Decision) -> String {
    match (decision.cause, decision.record.action, decision.record.target.as_str()) {
        (Cause::Failure(_), "-", _) => "what cannot be judged without the facts that failed".to_owned(),
        (_, "-", _) => "cannot be read".to_owned(),
        (_, action, "-") => action.to_owned(),
        (_, action, target) => format!("{action} of {target}"),
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
