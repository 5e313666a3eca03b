//! `jobscope check`.

use questions::check::{Finding, Weight, check};
use serde_json::json;

use super::arguments::Check;
use super::print::{HEADING, QUIET, out, styled, word, wrapped};
use super::{End, Fault, files};

pub(crate) fn run(asked: &Check) -> Result<End, Fault> {
    let documents = files::documents(&asked.config)?;
    let world = asked.world.as_deref().map(files::world).transpose()?;
    let findings = check(&documents, world.as_ref()).map_err(|error| files::unread(&asked.config, &error))?;
    let count = |weight| findings.iter().filter(|finding| finding.weight == weight).count();
    let (errors, warnings) = (count(Weight::Error), count(Weight::Warning));
    if asked.json {
        let each = |one: &Finding| json!({"weight": one.weight.word(), "line": one.line, "about": one.about, "text": one.text});
        let findings: Vec<_> = findings.iter().map(each).collect();
        out(&format!("{:#}\n", json!({"errors": errors, "warnings": warnings, "findings": findings})))?;
    } else {
        let file = asked.config.display().to_string();
        let text: String = findings.iter().map(|one| shown(&file, one)).collect();
        out(&format!("{text}{}\n", counted(errors, warnings, count(Weight::Unseen))))?;
    }
    let is_bad = errors > 0 || asked.strict && warnings > 0;
    Ok(if is_bad { End::Bad } else { End::Good })
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
