//! `jobscope check`.

use questions::check::{Finding, Names, Weight, check};
use questions::finding;
use questions::live::Live;
use questions::live::names::{Naming, Untold};
use questions::marked::Node;
use questions::setup::masked;
use serde_json::json;

use super::arguments::{Check, REACHED};
use super::print::{HEADING, QUIET, out, out_json, styled, word, wrapped};
use super::{End, Fault, files, wire};

pub(crate) fn run(asked: &Check) -> Result<End, Fault> {
    let documents = files::documents(&asked.config)?;
    let (mut findings, untold) = findings(asked, &documents)?;
    // A secret may stand where something else was expected.
    for one in &mut findings {
        (one.about, one.text) = (masked(&one.about), masked(&one.text));
    }
    let count = |weight| findings.iter().filter(|finding| finding.weight == weight).count();
    let (errors, warnings) = (count(Weight::Error), count(Weight::Warning));
    if asked.json {
        let each = |one: &Finding| json!({"weight": one.weight.word(), "line": one.line, "about": one.about, "text": one.text});
        let findings: Vec<_> = findings.iter().map(each).collect();
        out_json(&json!({"errors": errors, "warnings": warnings, "findings": findings}))?;
    } else {
        let file = asked.config.display().to_string();
        let text: String = findings.iter().map(|one| shown(&file, one)).collect();
        out(&format!("{text}{}\n", counted(errors, warnings, count(Weight::Unseen))))?;
    }
    if let Some(untold) = untold {
        return Err(Fault(format!(
            "not every name could be checked: {untold}; with `--world` a world is asked for them"
        )));
    }
    let is_bad = errors > 0 || asked.strict && warnings > 0;
    Ok(if is_bad { End::Bad } else { End::Good })
}

/// What is found, with the names that a world has, or a forge, and why this does not tell of all.
fn findings(asked: &Check, documents: &[Node]) -> Result<(Vec<Finding>, Option<Untold>), Fault> {
    let unread = |error: &finding::NotFound| files::unread(&asked.config, error);
    let world = asked.world.as_deref().map(files::world).transpose()?;
    let of_file = || {
        let found = check(documents, world.as_ref().map(|world| -> &dyn Names { world }));
        found.map(|found| (found, None)).map_err(|error| unread(&error))
    };
    if !asked.forge {
        return if asked.reached.is_given() { Err(Fault(REACHED.to_owned())) } else { of_file() };
    }
    // Who has no configuration that is one cannot ask, and sees what is wrong with it.
    let Ok(setup) = finding::only(documents).map_err(|error| unread(&error))?.setup() else { return of_file() };
    let endpoint = wire::endpoint(&setup, documents, &asked.reached)?;
    let account = wire::account(&setup, &asked.reached)?;
    let mut service = wire::Wire::to(&endpoint, &setup, asked.reached.ca.as_deref())?;
    let mut live = Live::new(&setup.config, account.as_ref(), &mut service);
    let naming = Naming::of(&mut live);
    let found = check(documents, Some(&naming)).map_err(|error| unread(&error))?;
    Ok((found, naming.untold()))
}

fn shown(file: &str, one: &Finding) -> String {
    let place = format!("{file}:{}", one.line);
    let about =
        if one.about.is_empty() { String::new() } else { format!("  {}\n", styled(QUIET, &wrapped(&one.about, 2))) };
    format!("{}  {}\n  {}\n{about}\n", styled(HEADING, &place), word(one.weight.word()), wrapped(&one.text, 2))
}

fn counted(errors: usize, warnings: usize, unseen: usize) -> String {
    let some = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}, {unseen} that cannot be seen in a file", some(errors, "error"), some(warnings, "warning"))
}
