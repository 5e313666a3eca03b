//! What is printed: lines that fit 100 columns, colour on a terminal alone.

use std::io::{ErrorKind, Write};
use std::ops::RangeInclusive;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::Fault;

/// How wide a line is at most.
const WIDTH: usize = 100;

pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default().bold();

/// What nobody sees and what changes how the text beside it is seen, besides control characters (Cc): Unicode's
/// `Default_Ignorable_Code_Point`, which has all of `Bidi_Control` and what has no width; the two separators of lines; the
/// marks of annotations.
const UNSEEN: [RangeInclusive<char>; 17] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// Whether a character steers a terminal, or hides what is there.
fn steers(c: char) -> bool {
    c.is_control() || UNSEEN.iter().any(|range| range.contains(&c))
}

/// A text without what steers a terminal: a log may hold anything.
pub(crate) fn plain(text: &str) -> String {
    text.replace(steers, "\u{fffd}")
}

/// A text of several lines, with its styles, and without anything else that steers a terminal.
fn printable(text: &str) -> String {
    let plain = |part: &str| part.replace(|c| steers(c) && c != '\n' && c != '\t', "\u{fffd}");
    let is_style = |behind: &str| {
        let numbers =
            behind.strip_prefix('[').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
        numbers.is_some_and(|rest| rest.starts_with('m'))
    };
    let mut parts = text.split('\x1b');
    let mut shown = plain(parts.next().unwrap_or_default());
    for behind in parts {
        shown.push(if is_style(behind) { '\x1b' } else { '\u{fffd}' });
        shown.push_str(&plain(behind));
    }
    shown
}

/// A value as JSON, in which what steers a terminal is written in its number.
fn escaped(value: &Value) -> String {
    let mut shown = String::new();
    for c in format!("{value:#}\n").chars() {
        if steers(c) && c != '\n' {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Prints a value to standard output.
pub(crate) fn out_json(value: &Value) -> Result<(), Fault> {
    out(&escaped(value))
}

/// Clears the terminal, and begins at its top.
pub(crate) fn clear() -> Result<(), Fault> {
    written("\x1b[2J\x1b[H")
}

/// Prints to standard output.
pub(crate) fn out(text: &str) -> Result<(), Fault> {
    written(&printable(text))
}

/// Writes to standard output. Whoever reads it may stop at any time.
fn written(text: &str) -> Result<(), Fault> {
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
    let words: Vec<usize> = (0..columns).map(|column| widest(column, &word)).collect();
    let mut widths: Vec<usize> = (0..)
        .zip(&words)
        .map(|(column, word)| widest(column, &|cell| cell.chars().count()).min(COLUMN).max(*word))
        .collect();
    if let Some(last) = widths.pop().map(|last| last.min(COLUMN)) {
        let before =
            |widths: &[usize]| widths.iter().fold(indent, |sum, width| sum.saturating_add(*width).saturating_add(2));
        // Where the last one has no room, those before it break their lines too.
        while before(&widths).saturating_add(last) > WIDTH {
            let spare = |(width, word): &(&mut usize, &usize)| width.saturating_sub(**word);
            let Some((width, _)) = widths.iter_mut().zip(&words).max_by_key(spare).filter(|one| spare(one) > 0) else {
                break;
            };
            *width = width.saturating_sub(1);
        }
        widths.push(WIDTH.saturating_sub(before(&widths)).max(last));
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

/// A text broken between words, into lines of at most so much.
fn broken(text: &str, width: usize) -> Vec<String> {
    let text = plain(text);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// C0, C1 and DEL; Unicode's Bidi_Control; what has no width, by its names: SOFT HYPHEN, COMBINING GRAPHEME JOINER, the
    /// vowel separator and the selectors of Mongolian, ZERO WIDTH (NON-)JOINER, SPACE and NO-BREAK SPACE, WORD JOINER,
    /// INVISIBLE TIMES and so on, the deprecated shapes, VARIATION SELECTOR, TAG; LINE and PARAGRAPH SEPARATOR.
    fn steering() -> impl Iterator<Item = char> {
        let controls = ('\0'..='\x1f').chain('\x7f'..='\u{9f}');
        let bidi = "\u{61c}\u{200e}\u{200f}".chars().chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        let no_width = "\u{ad}\u{34f}\u{200b}\u{200c}\u{200d}\u{feff}\u{e0001}\u{fff9}\u{fffa}\u{fffb}".chars();
        let ranges = ('\u{180b}'..='\u{180f}').chain('\u{2060}'..='\u{2064}').chain('\u{206a}'..='\u{206f}');
        let selectors = ('\u{fe00}'..='\u{fe0f}').chain('\u{e0020}'..='\u{e007f}').chain('\u{e0100}'..='\u{e01ef}');
        controls.chain(bidi).chain(no_width).chain(ranges).chain(selectors).chain("\u{2028}\u{2029}".chars())
    }

    #[test]
    fn nothing_steers_a_terminal_wherever_it_is_printed() {
        let all = || steering().chain(UNSEEN.into_iter().flatten());
        assert!(all().count() > 500);
        for c in all() {
            let text = format!("apps/{c}web");
            assert_eq!(plain(&text), "apps/\u{fffd}web", "{:x}", u32::from(c));
            assert_eq!(broken(&text, 40), ["apps/\u{fffd}web"]);
            let is_kept = c == '\n' || c == '\t';
            assert_eq!(printable(&text), if is_kept { text.clone() } else { plain(&text) }, "{:x}", u32::from(c));
            let json = escaped(&json!({"path": text}));
            assert!(!json.chars().any(|c| steers(c) && c != '\n'), "{json:?}");
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!({"path": text}));
        }
        let seen = "apps/wéb \u{5d0}\u{6cc} 漢字 e\u{301} \u{1f680} \u{fffd}";
        assert_eq!((plain(seen), printable(seen)), (seen.to_owned(), seen.to_owned()));
        assert!(escaped(&json!(seen)).contains(seen));
    }

    #[test]
    fn a_table_is_no_wider_than_a_line_unless_its_words_are() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let users = "ada, dana, gus, mia, nora, rex, sam";
        let actions = "deployments.create, deployments.write, deployments.delete, dependency-firewall.read";
        let rows = [
            row(["containers/poetry", "observed: allowlist.missing", users, actions]),
            row(["apps/web", "own-project", "dana", "git.read"]),
        ];
        let shown = table(2, &rows);
        assert!(shown.lines().all(|line| line.chars().count() <= WIDTH), "{shown}");
        assert!(shown.lines().any(|line| line.chars().count() > WIDTH - 10), "{shown}");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(words(&shown), words(&rows.concat().join(" ")));
        let long = "x".repeat(60);
        let shown = table(0, &[vec![long.clone(), long.clone()]]);
        assert_eq!(shown, format!("{long}  {long}\n"));
    }

    #[test]
    fn styles_are_printed_and_no_other_sequence() {
        let styled = format!("{}\n{}", styled(HEADING, "who"), word("deny"));
        assert_eq!(printable(&styled), styled);
        for (text, shown) in [
            ("\x1b[2J", "\u{fffd}[2J"),
            ("a\x1b", "a\u{fffd}"),
            ("\x1b]0;t\x07", "\u{fffd}]0;t\u{fffd}"),
            ("\x1b[1", "\u{fffd}[1"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}
