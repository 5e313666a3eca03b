//! `jobscope doctor`.

use policy::facts::ProjectPath;
use policy::lookup::Call;
use questions::live::Sent;
use questions::live::doctor::{Finding, Mark, Report, Subject, examine};
use questions::live::endpoint::Endpoint;
use questions::setup::masked;

use super::arguments::Doctor;
use super::decide::section;
use super::print::{HEADING, out, out_json, styled, table, word, wrapped};
use super::{End, Fault, files, wire};

pub(crate) fn run(asked: &Doctor) -> Result<End, Fault> {
    let documents = files::documents(&asked.config)?;
    let setup = files::setup_of(&asked.config, &documents)?;
    let endpoint = wire::endpoint(&setup, &documents, &asked.reached)?;
    let account = wire::account(&setup, &asked.reached)?;
    let subject = Subject { target: project(asked.target.as_deref())?, origin: project(asked.origin.as_deref())? };
    let authority = &setup.config.lookup.authority;
    let mut service = wire::Wire::to(&endpoint, &setup, asked.reached.ca.as_deref())?;
    let report = examine(&setup, account.as_ref(), &subject, &mut service);
    if asked.json {
        out_json(&report.json(&endpoint.to_string(), authority))?;
    } else {
        out(&text(&report, &endpoint, authority))?;
    }
    Ok(if report.worst() == Mark::Error { End::Bad } else { End::Good })
}

fn project(path: Option<&str>) -> Result<Option<ProjectPath>, Fault> {
    let parse = |path: &str| {
        ProjectPath::parse(path)
            .ok_or_else(|| Fault(format!("expected the path of a project such as `apps/web`, found `{path}`")))
    };
    path.map(parse).transpose()
}

fn text(report: &Report, endpoint: &Endpoint, authority: &str) -> String {
    let heading = styled(HEADING, &format!("{endpoint}, asked as {authority}"));
    let findings: String = report.findings.iter().map(shown).collect();
    let count = |mark| report.findings.iter().filter(|one| one.mark == mark).count();
    let calls: Vec<Vec<String>> = report.calls.iter().map(|(call, sent)| row(call, sent)).collect();
    format!(
        "{heading}\n\n{findings}{}\n{} good, {} not seen, {} to be looked at, {} wrong\n",
        section("What was asked", &table(2, &calls)),
        count(Mark::Good),
        count(Mark::Unseen),
        count(Mark::Warning),
        count(Mark::Error)
    )
}

fn shown(one: &Finding) -> String {
    const WIDEST: usize = "warning".len();
    let pad = " ".repeat(WIDEST.saturating_sub(one.mark.word().len()));
    let begin = WIDEST.saturating_add(2);
    let text = wrapped(&masked(&format!("{}: {}", one.about, one.text)), begin);
    format!("{}{pad}  {text}\n", word(one.mark.word()))
}

pub(crate) fn row(call: &Call, sent: &Sent) -> Vec<String> {
    let status = sent.reply.as_ref().map_or_else(|_| "-".to_owned(), |reply| reply.status.to_string());
    vec![status, format!("{} ms", sent.took.as_millis()), call.outline()]
}
