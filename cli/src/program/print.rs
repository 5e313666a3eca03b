//! What is printed: lines that fit 100 columns, colour on a terminal alone.

use anstyle::{AnsiColor, Style};

/// How wide a line is at most.
const WIDTH: usize = 100;

pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default().bold();

/// A text in a style.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A verdict, or another word that is good or bad, in its colour.
pub(crate) fn word(word: &str) -> String {
    let style = match word {
        "allow" | "passed" => GOOD,
        "deny" | "error" | "failed" => BAD,
        _ => ODD,
    };
    styled(style, word)
}

/// Rows in columns, each two blanks behind the widest cell of the one before. What is too long for the last column goes
/// on in the next line.
pub(crate) fn table(indent: usize, rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = " ".repeat(indent);
        let mut begin = indent;
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if at.saturating_add(1) < row.len() {
                line.push_str(&format!("{cell:<width$}  "));
                begin = begin.saturating_add(*width).saturating_add(2);
            } else {
                line.push_str(&wrapped(cell, begin));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A text broken between words, its later lines set in by as much as it begins.
pub(crate) fn wrapped(text: &str, begin: usize) -> String {
    let room = WIDTH.saturating_sub(begin).max(20);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count().saturating_add(word.chars().count()) < room => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines.join(&format!("\n{}", " ".repeat(begin)))
}

/// Lines set in.
pub(crate) fn indented(indent: usize, text: &str) -> String {
    text.lines().map(|line| format!("{}{line}", " ".repeat(indent)).trim_end().to_owned() + "\n").collect()
}
