//! `jobscope explain`, `jobscope suggest`.

use std::path::PathBuf;

use policy::facts::ProjectPath;
use questions::log::explain::{self, Denial, Explained};
use questions::log::suggest::{self, Entry, Offer, Suggestions};
use questions::log::unused::Used;
use questions::log::{Counts, Line};
use questions::view;
use serde_json::{Value, json};
use world::World;

use super::arguments::{Explain, Reader, Suggest, Way};
use super::decide::{section, walked};
use super::print::{HEADING, QUIET, out, out_json, styled, table, word, wrapped};
use super::{End, Fault, files};

pub(crate) fn explain(asked: &Explain) -> Result<End, Fault> {
    let reader = match asked.reader {
        Reader::Author => explain::Reader::Author,
        Reader::Maintainer => explain::Reader::Maintainer,
        Reader::Platform => explain::Reader::Platform,
    };
    let explained = Explained::of(&line(asked)?, reader);
    if asked.json {
        out_json(&explained.json())?;
    } else {
        out(&told(&explained))?;
    }
    Ok(End::Good)
}

/// The line that is asked about.
fn line(asked: &Explain) -> Result<Line, Fault> {
    // The client read the number at the end of a sentence.
    let number = asked.decision.as_deref().or(asked.asked.as_deref()).map(|text| text.trim_end_matches('.'));
    if let Some(text) = number.filter(|text| !is_number(text)) {
        let line = Line::parse(text.as_bytes()).filter(Line::is_decision);
        return line.ok_or_else(|| Fault(format!("{EXPECTED}, found another text")));
    }
    let logs = match (&*asked.log, number) {
        ([], None) => vec![PathBuf::from("-")],
        ([], Some(_)) => files::log_here()?,
        (named, _) => named.to_vec(),
    };
    let mut found = None;
    let counts = files::logs(&logs, |line| {
        let is_it = number.is_none_or(|number| number == line.decision());
        found = is_it.then(|| line.clone());
        !is_it
    })?;
    found.ok_or_else(|| match number {
        Some(number) => {
            let which = format!(" with the number `{number}`");
            no_decision(&which, &logs, counts, "is it in another log? `--log` names one")
        }
        None => no_decision(
            "",
            &logs,
            counts,
            "expected lines of an access log about jobs' requests; `jobscope explain NUMBER` or `--log` names others",
        ),
    })
}

/// What is said where logs have not the decision that is wanted, or none at all, and what to do.
fn no_decision(which: &str, logs: &[PathBuf], counts: Counts, next: &str) -> Fault {
    let names = logs.iter().map(|log| match log.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => format!("`{}`", log.display()),
    });
    let names = names.collect::<Vec<_>>().join(" and ");
    Fault(format!("there is no decision{which} in {names} ({}): {next}", read_so_far(counts)))
}

/// Reads logs that must tell of something: from nothing it does not follow that nothing is missing, or needed.
fn decisions(logs: &[PathBuf], mut note: impl FnMut(&Line)) -> Result<Counts, Fault> {
    let counts = files::logs(logs, |line| {
        note(line);
        true
    })?;
    match counts.decisions {
        0 => Err(no_decision("", logs, counts, "expected lines of an access log about jobs' requests")),
        _ => Ok(counts),
    }
}

const EXPECTED: &str = "expected the number of a decision, or a line of the access log about a job's request";

/// Whether a text can be the number of a decision.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How many lines were read.
pub(super) fn read_so_far(counts: Counts) -> String {
    let damaged = match counts.damaged {
        0 => String::new(),
        1 => "; 1 damaged line was skipped".to_owned(),
        more => format!("; {more} damaged lines were skipped"),
    };
    let noun = if counts.decisions == 1 { "decision" } else { "decisions" };
    format!("{} {noun}{damaged}", counts.decisions)
}

fn told(explained: &Explained) -> String {
    let verdict = explained.verdict();
    let mut text = format!("{}  {}\n\n", word(verdict), wrapped(explained.says(), verdict.len().saturating_add(2)));
    let rows = explained.about().into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    text.push_str(&table(0, &rows.collect::<Vec<_>>()));
    let facts: Vec<Vec<String>> = explained
        .facts()
        .map(|(name, is, source, age)| {
            let is = is.map_or_else(|| "left to the forge".to_owned(), view::plain);
            let age = age.map_or_else(String::new, |age| format!("{age} s before"));
            vec![name.to_owned(), is, source.to_owned(), age]
        })
        .collect();
    if !facts.is_empty() {
        text.push_str(&section("What was known of the target", &table(2, &facts)));
    }
    if verdict == "allow" && explained.account().is_null() {
        text.push_str("\nIts account was not logged: `log.allows: full` has what is allowed accounted for, too.\n");
    }
    text.push_str(&walked(explained.account()));
    if !explained.denials.is_empty() {
        text.push_str(&section("Everything that denies it", &explained.denials.iter().map(denial).collect::<String>()));
    }
    if !explained.how.is_empty() {
        let each: String = explained.how.iter().map(|how| format!("  how  {how}\n")).collect();
        text.push_str(&section("What lets it pass", &each));
    }
    text
}

fn denial(denial: &Denial) -> String {
    let observed = if denial.is_observed { ", only recorded" } else { "" };
    let head = format!("{} of {} ({}{observed})", denial.rule, denial.target, denial.reason);
    format!(
        "  {}\n     {}\n     {}\n",
        wrapped(&head, 2),
        wrapped(denial.says, 5),
        styled(QUIET, &wrapped(&format!("who  {}", denial.who), 10))
    )
}

pub(crate) fn suggest(asked: &Suggest) -> Result<End, Fault> {
    let world = asked.world.as_deref().map(files::world).transpose()?;
    if let (true, Some(world)) = (asked.unused, &world) {
        return unused(asked, world);
    }
    let mut suggestions = Suggestions::new(match asked.way {
        Way::Settings | Way::Curl | Way::Terraform => suggest::Way::Settings,
        Way::Rules => suggest::Way::Rules,
    });
    let counts = decisions(&asked.log, |line| suggestions.note(line))?;
    let entries = suggestions.entries();
    let projects = world
        .as_ref()
        .map(|world| world.projects.iter().filter_map(|project| ProjectPath::parse(&project.path)).collect::<Vec<_>>());
    let offers = suggestions.groups(projects.as_deref());
    let rest = |indent| {
        let offered = offered(&offers, projects.is_some(), indent);
        format!("{offered}{}", left(&suggestions, counts, indent))
    };
    if asked.json {
        out_json(&values(asked.way, &entries, &offers, &suggestions, counts))?;
        return Ok(End::Good);
    }
    out(&match asked.way {
        Way::Settings => format!("{}{}", settings(&entries), rest(2)),
        Way::Rules => format!("{}{}", rules(&entries), commented(&rest(4))),
        Way::Curl => format!("{}{}", script(&entries), commented(&rest(4))),
        Way::Terraform => format!("{}{}", terraform(&entries), commented(&rest(4))),
    })?;
    Ok(End::Good)
}

/// Entries that nothing in the log needed.
fn unused(asked: &Suggest, world: &World) -> Result<End, Fault> {
    let mut used = Used::default();
    let counts = decisions(&asked.log, |line| used.note(line))?;
    let unused = used.unused(world);
    if asked.json {
        let each: Vec<Value> = unused.iter().map(|one| json!({"target": one.target, "names": one.names})).collect();
        out_json(&json!({"unused": each, "decisions": counts.decisions, "damaged": counts.damaged}))?;
        return Ok(End::Good);
    }
    let rows: Vec<Vec<String>> = unused.into_iter().map(|one| vec![one.target, one.names]).collect();
    let head = match rows.is_empty() {
        true => "Every entry was needed.\n\n".to_owned(),
        false => format!("{}\n{}\n", styled(HEADING, "Entries that nothing in the log needed"), table(2, &rows)),
    };
    out(&format!("{head}Read {}.\n", read_so_far(counts)))?;
    Ok(End::Good)
}

/// Groups that could be let in instead.
fn offered(offers: &[Offer], is_whole: bool, indent: usize) -> String {
    if offers.is_empty() {
        return String::new();
    }
    let known = if is_whole { "of the world" } else { "that the log knows" };
    let row = |one: &Offer| {
        let price = format!("in place of {}; lets in {} more projects {known}", one.instead_of, one.more);
        vec![format!("{} lets in {}/**", one.target, one.group), price]
    };
    let rows: Vec<Vec<String>> = offers.iter().map(row).collect();
    format!("{}\n{}\n", styled(HEADING, "A group would do for several entries, at a price"), table(indent, &rows))
}

fn terraform(entries: &[&Entry]) -> String {
    let mut text = String::new();
    for (at, entry) in entries.iter().enumerate() {
        let odd = if entry.is_odd() { format!("# {ODD}.\n") } else { String::new() };
        let permissions = entry.permissions.iter().flatten().copied().collect::<Vec<_>>().join(", ");
        let wide = if permissions.is_empty() {
            String::new()
        } else {
            let all = wrapped(&permissions, 4).replace('\n', "\n#");
            format!(
                "# The provider knows no single permissions, so this grants everything. These would do:\n#   {all}\n"
            )
        };
        let there = if entry.is_there { "# The entry is there, and grants too little.\n" } else { "" };
        let seen = seen(entry);
        text.push_str(&format!("{odd}# {seen}\n{there}{wide}{}\n", entry.terraform(&id(at).replace('-', "_"))));
    }
    text
}

/// The name of the rule at a place.
fn id(at: usize) -> String {
    format!("seen-{}", at.saturating_add(1))
}

fn values(way: Way, entries: &[&Entry], offers: &[Offer], suggestions: &Suggestions, counts: Counts) -> Value {
    let each = |(at, entry): (usize, &&Entry)| {
        let mut value = entry.json();
        let (name, how) = match way {
            Way::Settings => ("command", Value::from(entry.command())),
            Way::Curl => ("body", Value::from(entry.body())),
            Way::Rules => ("rule", entry.rule(&id(at))),
            Way::Terraform => ("terraform", Value::from(entry.terraform(&id(at).replace('-', "_")))),
        };
        if let Some(members) = value.as_object_mut() {
            members.insert(name.to_owned(), how);
        }
        value
    };
    let offer = |one: &Offer| json!({"target": one.target.as_str(), "group": one.group, "instead_of": one.instead_of, "more": one.more});
    let groups: Vec<Value> = offers.iter().map(offer).collect();
    json!({"entries": entries.iter().enumerate().map(each).collect::<Vec<_>>(), "groups": groups, "left": suggestions.left,
        "decisions": counts.decisions, "damaged": counts.damaged})
}

/// What was seen of an entry, in one line whoever reads it: a log may hold anything, and this goes into comments.
fn seen(entry: &Entry) -> String {
    let users: Vec<&str> = entry.users.iter().map(String::as_str).collect();
    let when =
        if entry.first == entry.last { entry.first.clone() } else { format!("{} to {}", entry.first, entry.last) };
    let times = if entry.times == 1 { "once".to_owned() } else { format!("{} times", entry.times) };
    let others = if entry.are_more { " and others" } else { "" };
    let is_plain = |c: char| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
    format!("{times}, by {}{others}, {when}", users.join(", ")).replace(|c| !is_plain(c), "\u{fffd}")
}

const ODD: &str = "Needed only once, or only at night by one user: look before you let it in";

fn settings(entries: &[&Entry]) -> String {
    let mut text = String::new();
    let odd = entries.partition_point(|entry| !entry.is_odd());
    for (at, entry) in entries.iter().enumerate() {
        if at == odd {
            text.push_str(&format!("{}\n\n", styled(HEADING, ODD)));
        }
        let actions: Vec<&str> = entry.actions.iter().copied().collect();
        let permissions = entry.permissions.as_ref().map(|all| all.iter().copied().collect::<Vec<_>>().join(", "));
        let verb = if entry.is_there { "grants more to" } else { "lets in" };
        let rows = [
            ("seen", seen(entry)),
            ("asks", actions.join(", ")),
            (
                "grants",
                permissions.unwrap_or_else(|| "everything, since no single permission is for all of it".to_owned()),
            ),
        ];
        let rows: Vec<Vec<String>> = rows.map(|(name, value)| vec![name.to_owned(), value]).to_vec();
        let head = styled(HEADING, &format!("{} {verb} {}", entry.target, entry.origin));
        text.push_str(&format!("{head}\n{}  how     {}\n\n", table(2, &rows), entry.command()));
    }
    text
}

/// What a script begins with. The token is in no argument, which every user of the machine could read; the forge answers a
/// mutation that it refuses with 200, and says why in `errors`.
const PREAMBLE: &str = r#"#!/bin/sh
# As a maintainer of the targets: GITLAB_URL=https://forge.example.com GITLAB_TOKEN=... sh admit.sh
set -eu
: "${GITLAB_URL:?expected the address of the forge}"
: "${GITLAB_TOKEN:?expected a token with the scope api}"
refused=0
admit() {
    answer=$(printf 'header = "PRIVATE-TOKEN: %s"\n' "$GITLAB_TOKEN" |
        curl --silent --show-error --fail --config - --header 'Content-Type: application/json' \
            --data "$1" "$GITLAB_URL/api/graphql") || answer=nothing
    case $answer in
        *'"errors":[]'*) ;;
        *) printf 'The forge refused %s\nand said %s\n' "$1" "$answer" >&2
            refused=$((refused + 1)) ;;
    esac
}

"#;

/// What it ends with: whoever may not let in at one target may at another one.
const ENDING: &str = r#"if [ "$refused" -gt 0 ]; then
    printf 'The forge has not all of them: refused, as told above: %s.\n' "$refused" >&2
    exit 1
fi
echo 'The forge has all of them.'

"#;

fn script(entries: &[&Entry]) -> String {
    let mut text = PREAMBLE.to_owned();
    for entry in entries {
        let (odd, comment) = if entry.is_odd() { (format!("# {ODD}.\n"), "# ") } else { (String::new(), "") };
        let permissions = entry.permissions.as_ref().map(|all| all.iter().copied().collect::<Vec<_>>().join(", "));
        text.push_str(&format!(
            "# {} lets in {}, which gets {}.\n# Seen {}.\n{odd}{comment}admit {}\n\n",
            entry.target,
            entry.origin,
            permissions.unwrap_or_else(|| "everything".to_owned()),
            seen(entry),
            entry.body()
        ));
    }
    text + ENDING
}

fn rules(entries: &[&Entry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let odd = entries.partition_point(|entry| !entry.is_odd());
    let mut text = "access:\n  allow:\n".to_owned();
    for (at, entry) in entries.iter().enumerate() {
        if at == odd {
            text.push_str(&format!("    # {ODD}.\n"));
        }
        let actions: Vec<&str> = entry.actions.iter().copied().collect();
        text.push_str(&format!(
            "    # {}\n    - id: {}\n      origins: [{}]\n      targets: [{}]\n      actions: [{}]\n",
            seen(entry),
            id(at),
            json!(entry.origin.as_str()),
            json!(entry.target.as_str()),
            actions.join(", ")
        ));
    }
    text
}

/// What no entry lifts, and how much was read.
fn left(suggestions: &Suggestions, counts: Counts, indent: usize) -> String {
    let rows: Vec<Vec<String>> = suggestions
        .left
        .iter()
        .map(|(code, times)| vec![times.to_string(), (*code).to_owned(), explain::sentence(code).to_owned()])
        .collect();
    let rest = if rows.is_empty() {
        String::new()
    } else {
        format!("{}\n{}\n", styled(HEADING, "Denied for what none of this lifts"), table(indent, &rows))
    };
    format!("{rest}Read {}.\n", read_so_far(counts))
}

/// Lines as comments: what is set in keeps its place.
fn commented(text: &str) -> String {
    text.lines()
        .map(|line| format!("# {}", line.strip_prefix("  ").unwrap_or(line)).trim_end().to_owned() + "\n")
        .collect()
}
