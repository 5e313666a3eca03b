//! The figures in docs/performance.md.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::figure::{Figure, Figures, Measure};
use super::peer::Peer;
use super::work::WORK;
use super::{Report, bounded};

const BEGIN: &str = "<!-- figures: made by `make bench` -->";
const END: &str = "<!-- end of figures -->";

/// The document with these figures in the place of those that it had.
pub(super) fn with_figures(document: &str, report: &Report) -> Result<String> {
    replaced(document, BEGIN, END, &figures(report)?)
}

/// The document with this text between two marks.
pub(crate) fn replaced(document: &str, begin: &str, end: &str, text: &str) -> Result<String> {
    let (before, rest) = document.split_once(begin).with_context(|| format!("the document has no `{begin}`"))?;
    let (_, after) = rest.split_once(end).with_context(|| format!("the document has no `{end}`"))?;
    Ok(format!("{before}{begin}\n{text}\n{end}{after}"))
}

/// As a person reads them, here and at the end of a run.
pub(super) fn figures(report: &Report) -> Result<String> {
    let mut text = String::new();
    let (machine, plan, figures) = (&report.machine, &report.plan, &report.figures);
    writeln!(text, "{machine}. {} rounds of {:?} for each pair of request and peer.", plan.rounds, plan.slice)?;
    if figures.find(Measure::Resident, super::memory::ALL_DEAD, Peer::Jobscope).is_some() {
        writeln!(text, "The dead jobs are {}, of the 1,000,000 of the budget.", plan.dead_jobs)?;
    }
    if !report.budgets.is_empty() {
        writeln!(text, "\n| budget | bound | measured | |\n|---|---|---|---|")?;
    }
    for verdict in &report.budgets {
        let says = if verdict.met { "met" } else { "**falls short**" };
        writeln!(text, "| {} | {} | {:.2} | {says} |", verdict.what, verdict.budget, verdict.measured)?;
    }
    let is_of_a_request = |figure: &Figure| matches!(figure.measure, Measure::Cpu | Measure::Service);
    if figures.0.iter().any(is_of_a_request) {
        requests(&mut text, figures)?;
        peers(&mut text, figures)?;
    }
    let others: Vec<_> = figures.0.iter().filter(|figure| !is_of_a_request(figure)).collect();
    if !others.is_empty() {
        measures(&mut text, &others)?;
    }
    if figures.0.iter().any(is_of_a_request) {
        everything(&mut text, figures)?;
    }
    Ok(text.trim_end().to_owned())
}

/// A row for each kind of request.
fn requests(text: &mut String, figures: &Figures) -> Result<()> {
    writeln!(text, "\nCPU of Envoy for a request, in us: without a filter, and what comes on top of that.\n")?;
    writeln!(
        text,
        "| request | no filter | head copied | ext_authz, HTTP | jobscope | jobscope / head copied | jobscope / ext_authz |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    for work in &WORK {
        let jobscope = if work.peers.contains(&Peer::Jobscope) { Peer::Jobscope } else { Peer::Full };
        let Some(none) = figures.find(Measure::Cpu, work.name, Peer::None).map(Figure::median) else { continue };
        let over = |peer| figures.over(work.name, peer).map_or(String::new(), |over| format!("{over:+.1}"));
        let times =
            |peer| figures.times(work.name, jobscope, peer).map_or(String::new(), |times| format!("{times:.2}"));
        let (copy, authz, own) = (over(Peer::Copy), over(Peer::AuthzHttp), over(jobscope));
        let (to_copy, to_authz) = (times(Peer::Copy), times(Peer::AuthzHttp));
        writeln!(text, "| {} | {none:.1} | {copy} | {authz} | {own} | {to_copy} | {to_authz} |", work.name)?;
    }
    Ok(())
}

/// A row for each peer, of the requests that all of them were sent.
fn peers(text: &mut String, figures: &Figures) -> Result<()> {
    let works: Vec<_> = WORK.iter().filter(|work| work.peers.contains(&Peer::ExtProc)).collect();
    writeln!(text, "\nThe same by peer; in brackets the CPU of the service that it asks.\n")?;
    writeln!(text, "| peer | {} |", works.iter().map(|work| work.name).collect::<Vec<_>>().join(" | "))?;
    writeln!(text, "|---|{}", "---|".repeat(works.len()))?;
    let every: Vec<Peer> = works.iter().max_by_key(|work| work.peers.len()).map_or(&[][..], |work| work.peers).to_vec();
    for peer in every.into_iter().filter(|peer| *peer != Peer::None) {
        let cells: Vec<_> = works
            .iter()
            .map(|work| {
                let over = figures.over(work.name, peer).map_or(String::new(), |over| format!("{over:+.1}"));
                let service = figures.find(Measure::Service, work.name, peer).map(Figure::median);
                over + &service.map_or(String::new(), |service| format!(" (+{service:.1})"))
            })
            .collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            writeln!(text, "| {} | {} |", peer.title(), cells.join(" | "))?;
        }
    }
    Ok(())
}

/// A row for each figure that is no request's CPU.
fn measures(text: &mut String, figures: &[&Figure]) -> Result<()> {
    writeln!(text, "\n| measure | of | peer | best | median |\n|---|---|---|---|---|")?;
    for figure in figures {
        let (measure, unit) = (figure.measure, figure.measure.unit());
        let cells = (bounded(figure.least()), bounded(figure.median()));
        let (what, peer) = (&figure.what, figure.peer.title());
        writeln!(text, "| {} | {what} | {peer} | {} {unit} | {} {unit} |", measure.title(), cells.0, cells.1)?;
    }
    Ok(())
}

/// Each request's CPU as it was measured, with how far the rounds are apart.
fn everything(text: &mut String, figures: &Figures) -> Result<()> {
    writeln!(
        text,
        "\n<details><summary>Each request's CPU as measured, in us, with the spread of the rounds' middle half</summary>\n"
    )?;
    writeln!(text, "| request | peer | least | median | spread |\n|---|---|---|---|---|")?;
    for work in &WORK {
        for figure in work.peers.iter().filter_map(|peer| figures.find(Measure::Cpu, work.name, *peer)) {
            let (least, median, spread) = (figure.least(), figure.median(), figure.spread());
            writeln!(text, "| {} | {} | {least:.1} | {median:.1} | {spread:.1} |", work.name, figure.peer.title())?;
        }
    }
    writeln!(text, "\n</details>")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::stack::checkout;

    #[test]
    fn figures_take_the_place_of_those_before_and_of_nothing_else() {
        let mut report = Report::default();
        report.figures.add(Measure::Cpu, "package", Peer::None, 50.0);
        report.figures.add(Measure::Cpu, "package", Peer::Copy, 60.0);
        report.figures.add(Measure::Cpu, "package", Peer::Jobscope, 65.0);
        report.figures.add(Measure::Start, "1 worker", Peer::None, 0.4);
        let once = with_figures(&format!("before\n{BEGIN}\nold\n{END}\nafter\n"), &report).unwrap();
        assert!(once.starts_with("before\n") && once.ends_with("\nafter\n") && !once.contains("old"), "{once}");
        assert!(once.contains("| package | 50.0 | +10.0 |  | +15.0 | 1.50 |  |"), "{once}");
        assert!(once.contains("| start, until the first answer | 1 worker | no filter | 0.40 s | 0.40 s |"), "{once}");
        assert_eq!(with_figures(&once, &report).unwrap(), once);
    }

    #[test]
    fn the_document_has_a_place_for_them() {
        let document = fs::read_to_string(checkout().join("docs/performance.md")).unwrap();
        with_figures(&document, &Report::default()).unwrap();
    }
}
