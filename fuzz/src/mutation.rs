//! Changes to a request that keep it nearly valid: words of its protocol, and what attackers splice into a path.

use std::sync::LazyLock;

use crate::Subject;

/// The rows of hostile requests, of which the first lines are taken.
const ROWS: &str = include_str!("../../cases/hostile-requests.yaml");

/// Method and target of every row.
static LINES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let lines = ROWS.lines().filter_map(|line| line.trim_start().strip_prefix("line: "));
    lines.filter_map(|line| line.trim_matches('\'').strip_suffix(" HTTP/1.1")).collect()
});

/// What an attacker splices into a request, and whole fields. A word to a line, as in the lists of each protocol.
const SPLICES: &str = include_str!("../words/splices.txt");
const FIELDS: &str = include_str!("../words/fields.txt");

const METHODS: &str = "GET\nHEAD\nPOST\nPUT\nPATCH\nDELETE\nOPTIONS\nget";

const GIT: &str = include_str!("../words/git.txt");
const LFS: &str = include_str!("../words/lfs.txt");
const REGISTRY: &str = include_str!("../words/registry.txt");
const REGISTRY_TOKEN: &str = include_str!("../words/registry_token.txt");
const API: &str = include_str!("../words/api.txt");
const RUNNER: &str = include_str!("../words/runner.txt");
const CREDENTIAL: &str = include_str!("../words/credential.txt");
const BODY: &str = include_str!("../words/body.txt");

fn words(subject: Subject) -> &'static [&'static str] {
    match subject {
        Subject::Git => &[GIT],
        Subject::Lfs => &[LFS],
        Subject::Registry => &[REGISTRY],
        Subject::RegistryToken => &[REGISTRY_TOKEN],
        Subject::Api => &[API],
        Subject::Runner => &[RUNNER],
        Subject::Credential => &[CREDENTIAL],
        Subject::Body => &[BODY, RUNNER],
        Subject::Differential => &[GIT, LFS, REGISTRY, REGISTRY_TOKEN, API, RUNNER, CREDENTIAL, BODY],
    }
}

/// Numbers that follow from a seed: xorshift.
struct Dice(u64);

impl Dice {
    fn new(seed: u32) -> Self {
        Self((u64::from(seed) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or_default() % end.max(1)
    }

    /// A line of a list.
    fn line(&mut self, list: &'static str) -> &'static [u8] {
        let at = self.below(list.lines().count());
        list.lines().nth(at).unwrap_or_default().as_bytes()
    }

    /// A word of a subject.
    fn word(&mut self, subject: Subject) -> &'static [u8] {
        let lists = words(subject);
        let list = lists[self.below(lists.len())];
        self.line(list)
    }
}

/// A request made from another; `None` leaves it to libFuzzer's own changes.
#[must_use]
pub fn mutate(subject: Subject, text: &[u8], max_size: usize, seed: u32) -> Option<Vec<u8>> {
    let mut dice = Dice::new(seed);
    if dice.below(3) == 0 {
        return None;
    }
    let mut text = text.to_vec();
    for _ in 0..=dice.below(3) {
        change(subject, &mut text, &mut dice);
    }
    text.truncate(max_size);
    Some(text)
}

fn change(subject: Subject, text: &mut Vec<u8>, dice: &mut Dice) {
    let line_end = text.iter().position(|b| *b == b'\n').unwrap_or(text.len());
    // The first line says nearly everything.
    let (from, to) = if dice.below(2) == 0 { part(text, dice) } else { part(&text[..line_end], dice) };
    match dice.below(14) {
        0 | 1 => insert(text, from, dice.line(SPLICES)),
        2 | 3 => insert(text, if dice.below(2) == 0 { from } else { to }, dice.word(subject)),
        4 => drop(text.splice(from..to, dice.word(subject).iter().copied())),
        // A byte of the first line in percent-encoding.
        5 => {
            let at = dice.below(line_end);
            if let Some(byte) = text.get(at).copied() {
                let encoded = if dice.below(2) == 0 { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
                text.splice(at..=at, encoded.into_bytes());
            }
        }
        // A part twice, or not at all, or in other letters.
        6 => {
            let again = text[from..to].to_vec();
            insert(text, to, &again);
        }
        7 => drop(text.drain(from..to)),
        8 => text[from..to].iter_mut().for_each(|byte| {
            *byte = if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }
        }),
        9 => insert(text, line_end, &[b"\n", dice.line(FIELDS)].concat()),
        // A field twice, or a pair of the query.
        11 => {
            let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').skip(1).take_while(|line| !line.is_empty()).collect();
            if let Some(line) = lines.get(dice.below(lines.len())) {
                let field = [b"\n", *line].concat();
                insert(text, line_end, &field);
            }
        }
        12 => {
            let query = text[..line_end].splitn(2, |b| *b == b'?').nth(1).unwrap_or_default();
            let pairs: Vec<&[u8]> = query.split(|b| *b == b'&').collect();
            let pair = [b"&", pairs[dice.below(pairs.len())]].concat();
            insert(text, line_end, &pair);
        }
        // Another method, or another request before the same fields.
        10 => {
            let method_end = text.iter().position(|b| *b == b' ').unwrap_or_default().min(line_end);
            text.splice(..method_end, dice.line(METHODS).iter().copied());
        }
        _ => {
            let line = LINES[dice.below(LINES.len())];
            text.splice(..line_end, line.bytes());
        }
    }
}

fn insert(text: &mut Vec<u8>, at: usize, word: &[u8]) {
    text.splice(at..at, word.iter().copied());
}

/// A part of the text between two delimiters.
fn part(text: &[u8], dice: &mut Dice) -> (usize, usize) {
    let is_delimiter = |b: &u8| b"/?&=:,;. \n\"`+-".contains(b);
    let joints: Vec<usize> = (0..=text.len()).filter(|at| *at == 0 || text.get(*at).is_none_or(is_delimiter)).collect();
    let at = dice.below(joints.len());
    let end = (at + 1 + dice.below(3)).min(joints.len() - 1);
    (joints[at], joints[end.max(at)])
}
