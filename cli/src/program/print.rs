//! What is printed: lines that fit 100 columns, colour on a terminal alone.

use std::io::{ErrorKind, Write};

use anstyle::{AnsiColor, Style};

use super::Fault;

/// How wide a line is at most.
const WIDTH: usize = 100;

pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default().bold();

/// Prints to standard output. Whoever reads it may stop at any time.
pub(crate) fn out(text: &str) -> Result<(), Fault> {
    let mut stdout = anstream::stdout();
    // What goes to standard error next must not overtake it.
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Fault::of(&error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A text in a style.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A verdict, or another word that is good or bad, in its colour.
pub(crate) fn word(word: &str) -> String {
    let style = match word {
        "allow" | "passed" | "good" => GOOD,
        "deny" | "error" | "failed" => BAD,
        _ => ODD,
    };
    styled(style, word)
}

/// How wide a column is that has another one behind it, unless a single word needs more.
const COLUMN: usize = 32;

/// Rows in columns, two blanks between them. What is too long for its column goes on in the next line.
pub(crate) fn table(indent: usize, rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widest = |column: usize, parts: &dyn Fn(&str) -> usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| parts(cell)).max().unwrap_or_default()
    };
    let word = |cell: &str| cell.split(' ').map(|word| word.chars().count()).max().unwrap_or_default();
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| widest(column, &|cell| cell.chars().count()).min(COLUMN).max(widest(column, &word)))
        .collect();
    if let Some(last) = widths.pop() {
        let before = widths.iter().fold(indent, |sum, width| sum.saturating_add(*width).saturating_add(2));
        widths.push(WIDTH.saturating_sub(before).max(COLUMN).max(last.min(COLUMN)));
    }
    rows.iter().map(|row| lines(indent, row, &widths)).collect()
}

/// One row.
fn lines(indent: usize, row: &[String], widths: &[usize]) -> String {
    let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(cell, width)| broken(cell, *width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or_default();
    let line = |at: usize| {
        let parts = cells.iter().zip(widths).map(|(cell, width)| {
            let part = cell.get(at).map_or("", String::as_str);
            format!("{part:<width$}  ")
        });
        format!("{}{}", " ".repeat(indent), parts.collect::<String>()).trim_end().to_owned() + "\n"
    };
    (0..height).map(line).collect()
}

/// A text broken between words, into lines of at most so much. What steers a terminal does not: a log may hold anything.
fn broken(text: &str, width: usize) -> Vec<String> {
    let text = text.replace(char::is_control, "\u{fffd}");
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count().saturating_add(word.chars().count()) < width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A text broken between words, its later lines set in by as much as it begins.
pub(crate) fn wrapped(text: &str, begin: usize) -> String {
    broken(text, WIDTH.saturating_sub(begin).max(COLUMN)).join(&format!("\n{}", " ".repeat(begin)))
}

/// Lines set in.
pub(crate) fn indented(indent: usize, text: &str) -> String {
    text.lines().map(|line| format!("{}{line}", " ".repeat(indent)).trim_end().to_owned() + "\n").collect()
}
