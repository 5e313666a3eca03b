//! A picture of what each peer adds to a request, light on light pages and dark on dark ones.

use std::fmt::Write;

use anyhow::Result;

use super::Report;
use super::figure::{Figure, Measure};
use super::peer::Peer;

const WORKS: [&str; 3] = ["anonymous", "git info/refs", "package"];
const PEERS: [Peer; 9] = [
    Peer::Noop,
    Peer::Copy,
    Peer::Rbac,
    Peer::Lua,
    Peer::Jobscope,
    Peer::AuthzHttp,
    Peer::AuthzGrpc,
    Peer::ExtProc,
    Peer::Engine,
];

const WIDTH: f64 = 720.0;
const LEFT: f64 = 190.0;
/// Room for the number at the end of the longest bar.
const RIGHT: f64 = 70.0;
const ROW: f64 = 22.0;
const HEAD: f64 = 34.0;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}.what{font-weight:600}.bar{fill:#8c959f}.own{fill:#0969da}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.bar{fill:#6e7681}.own{fill:#4493f8}}";

/// As SVG.
pub(super) fn draw(report: &Report) -> Result<String> {
    let over = |work, peer| report.figures.over(work, peer).map(|over| over.max(0.0));
    let works: Vec<_> = WORKS.into_iter().filter(|work| over(work, Peer::Jobscope).is_some()).collect();
    let most = works.iter().flat_map(|work| PEERS.map(|peer| over(work, peer).unwrap_or(0.0))).fold(1.0, f64::max);
    let mut rows = String::new();
    let mut y = HEAD;
    for work in works {
        let none = report.figures.find(Measure::Cpu, work, Peer::None).map_or(0.0, Figure::median);
        y += ROW / 2.0;
        writeln!(rows, r#"<text class="what" x="8" y="{:.0}">{work} (no filter: {none:.0} us)</text>"#, y + 15.0)?;
        y += ROW;
        for peer in PEERS {
            let Some(over) = over(work, peer) else { continue };
            let class = if peer == Peer::Jobscope { "own" } else { "bar" };
            let (title, width) = (peer.title(), over / most * (WIDTH - LEFT - RIGHT));
            let (text, bar, end) = (y + 15.0, y + 4.0, LEFT + width + 6.0);
            writeln!(rows, r#"<text x="{:.0}" y="{text:.0}" text-anchor="end">{title}</text>"#, LEFT - 8.0)?;
            writeln!(rows, r#"<rect class="{class}" x="{LEFT}" y="{bar:.0}" width="{width:.1}" height="14" rx="2"/>"#)?;
            writeln!(rows, r#"<text x="{end:.0}" y="{text:.0}">{over:.1}</text>"#)?;
            y += ROW;
        }
    }
    let height = y + ROW / 2.0;
    let title = "What each filter adds to Envoy's CPU for a request, in us";
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<text class=\"what\" x=\"8\" y=\"22\">{title}</text>\n{rows}</svg>\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_what_it_stands_for() {
        let mut report = Report::default();
        for (peer, value) in [(Peer::None, 50.0), (Peer::Jobscope, 60.0), (Peer::AuthzHttp, 90.0)] {
            report.figures.add(Measure::Cpu, "package", peer, value);
        }
        let drawn = draw(&report).unwrap();
        assert!(drawn.contains(r#"class="own" x="190" y="71" width="115.0""#), "{drawn}");
        assert!(drawn.contains(r#"class="bar" x="190" y="93" width="460.0""#), "{drawn}");
    }
}
