//! Names and words that matter in a body, found as its bytes pass, in memory of a fixed size.

use super::super::carriers::PARAMETERS;

/// The words that a job's token is told by. `^` stands for what is no letter of a name, `|` for that or an underscore, `_`
/// for what some server takes for an underscore; case is nothing. At most 64 letters in all, so the user lacks its first.
const WORDS: [(&str, u8); 8] = [
    ("glcbt-", MARK),
    // The same in the middle of base64, where a JWT wraps a token: it begins at each third of a letter's bits.
    ("Z2xjYnQt", MARK),
    ("dsY2J0L", MARK),
    ("nbGNidC", MARK),
    ("itlab-ci-token", USER),
    ("^job_token", JOB_TOKEN),
    // `access_token`, too.
    ("|token", TOKEN),
    // RFC 2231: `name*0="access_to"; name*1="ken"`.
    ("^name*", PIECES),
];

/// A token's own mark.
pub(super) const MARK: u8 = 1;
/// The user that goes with a job's token.
pub(super) const USER: u8 = 2;
/// The name of the parameter.
pub(super) const JOB_TOKEN: u8 = 4;
/// The end of a name of nearly any credential, that which runners use among them.
pub(super) const TOKEN: u8 = 8;
/// A part's name that some server puts together from pieces.
pub(super) const PIECES: u8 = 16;

/// For each byte, which letters of the words it may be: the letters in a row, a bit for each.
const LETTERS: [u64; 256] = letters();
/// The first letter of each word.
const FIRST: u64 = firsts_and_lasts().0;
/// The last letters of the words of each kind.
const LAST: [(u64, u8); WORDS.len()] = firsts_and_lasts().1;
const ANY_LAST: u64 = firsts_and_lasts().2;

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "run by the compiler"
)]
const fn letters() -> [u64; 256] {
    let mut letters = [0; 256];
    let (mut word, mut bit) = (0, 0);
    while word < WORDS.len() {
        let text = WORDS[word].0.as_bytes();
        let mut at = 0;
        while at < text.len() {
            let mut byte = 0;
            while byte < letters.len() {
                if stands_for(text[at], byte as u8) {
                    letters[byte] |= 1 << bit;
                }
                byte += 1;
            }
            (at, bit) = (at + 1, bit + 1);
        }
        word += 1;
    }
    letters
}

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "run by the compiler")]
const fn firsts_and_lasts() -> (u64, [(u64, u8); WORDS.len()], u64) {
    let (mut first, mut last, mut any) = (0, [(0, 0); WORDS.len()], 0);
    let (mut word, mut bit) = (0, 0);
    while word < WORDS.len() {
        first |= 1 << bit;
        bit += WORDS[word].0.len();
        last[word] = (1 << (bit - 1), WORDS[word].1);
        any |= 1 << (bit - 1);
        word += 1;
    }
    (first, last, any)
}

const fn stands_for(letter: u8, byte: u8) -> bool {
    match letter {
        b'^' => !byte.is_ascii_alphanumeric() && byte != b'_',
        b'|' => !byte.is_ascii_alphanumeric(),
        b'_' => matches!(byte, b'_' | b'.' | b'-' | b' '),
        _ => letter.eq_ignore_ascii_case(&byte),
    }
}

/// Finds the words in a text of which each byte is seen once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// The letters up to which some word stands here.
    reached: u64,
}

impl Words {
    /// At the beginning of a text, which is no letter of a name.
    pub(super) fn new() -> Self {
        let mut words = Self { reached: 0 };
        words.push(b'\n');
        words
    }

    /// Begins another text.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Reads on; the kinds of words that end here.
    pub(super) fn push(&mut self, byte: u8) -> u8 {
        self.reached = next(self.reached, byte);
        ending(self.reached)
    }

    /// Reads a byte on that is one of these, and to some reader the other.
    pub(super) fn push_either(&mut self, one: u8, other: u8) -> u8 {
        self.reached = next(self.reached, one) | next(self.reached, other);
        ending(self.reached)
    }

    /// The same for a run of bytes.
    pub(super) fn run(&mut self, bytes: &[u8]) -> u8 {
        let (mut reached, mut found) = (self.reached, 0);
        for byte in bytes {
            reached = next(reached, *byte);
            if reached & ANY_LAST != 0 {
                found |= ending(reached);
            }
        }
        self.reached = reached;
        found
    }
}

/// Every byte has its letters, so that a step is the same for all of them.
fn next(reached: u64, byte: u8) -> u64 {
    (reached << 1 | FIRST) & LETTERS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The kinds of the words of which the last letter was reached.
fn ending(reached: u64) -> u8 {
    if reached & ANY_LAST == 0 {
        return 0;
    }
    LAST.iter().filter(|(last, _)| reached & last != 0).fold(0, |found, (_, kind)| found | kind)
}

/// How much of a name is kept: the longest that matters, and one letter more.
const NAME: usize = 14;

/// The name of a parameter, of which each byte is seen once, folded as the most generous server does: blanks and brackets
/// around it are nothing, what follows a bracket is not the name, and a dot, a dash or a blank within is an underscore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    letters: [u8; NAME],
    length: usize,
    /// Whether a blank came, which is within the name if a letter follows.
    has_blank: bool,
    is_over: bool,
}

impl Name {
    pub(super) fn new() -> Self {
        Self { letters: [0; NAME], length: 0, has_blank: false, is_over: false }
    }

    /// Begins another name.
    pub(super) fn clear(&mut self) {
        (self.length, self.has_blank, self.is_over) = (0, false, false);
    }

    pub(super) fn push(&mut self, byte: u8) {
        if self.is_over {
            return;
        }
        match byte {
            b'a'..=b'z' | b'_' => self.keep(byte),
            b'A'..=b'Z' => self.keep(byte | 0x20),
            b'.' | b'-' => self.keep(b'_'),
            b'[' | b']' => self.is_over = self.length > 0,
            b'\t'..=b'\r' | b' ' => self.has_blank = self.length > 0,
            // Of the others than ASCII some are blanks to somebody.
            0 | 0x80.. => {}
            // No name that matters has it.
            _ => (self.length, self.is_over) = (0, true),
        }
    }

    fn keep(&mut self, letter: u8) {
        if self.has_blank {
            self.has_blank = false;
            self.put(b'_');
        }
        self.put(letter);
    }

    fn put(&mut self, letter: u8) {
        match self.letters.get_mut(self.length) {
            Some(place) => {
                *place = letter;
                self.length = self.length.saturating_add(1);
            }
            // Longer than any that matters.
            None => (self.length, self.is_over) = (0, true),
        }
    }

    /// What a value under this name means.
    pub(super) fn meaning(&self, counts: Counts) -> Meaning {
        let name = self.letters.get(..self.length).unwrap_or_default();
        if name.len() < "token".len() {
            return Meaning::Nothing;
        }
        match (name, counts) {
            (_, Counts::BeforePersons) if !BEFORE_PERSONS.contains(&name) => Meaning::Nothing,
            (b"job_token", _) | (b"token", Counts::Runners) => Meaning::Token,
            (b"username", _) => Meaning::Login,
            _ if !PARAMETERS.iter().any(|(known, _)| known.as_bytes() == name) => Meaning::Nothing,
            (_, Counts::AnyCredential) => Meaning::Token,
            (_, Counts::Usual | Counts::Runners | Counts::BeforePersons) => Meaning::Credential,
        }
    }
}

/// What counts for a job's token, where a forge reads parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Counts {
    /// `job_token`, and under the name of any credential what has a job token's mark.
    Usual,
    /// The same, and `token`, whatever it is.
    Runners,
    /// Whatever stands under the name of a credential: the tokens of that forge have no mark.
    AnyCredential,
    /// What has a job token's mark, under a name that the forge looks at before a person's token of the head.
    BeforePersons,
}

/// Doorkeeper takes these for a Bearer token, the first before the head's own; and in the place of `PRIVATE-TOKEN` the last
/// is passed over where it has the mark, so that a `job_token` counts behind it.
const BEFORE_PERSONS: [&[u8]; 3] = [b"access_token", b"bearer_token", b"private_token"];

impl Counts {
    /// The words that count where it cannot be told what is a name and what a value.
    pub(super) fn words(self) -> u8 {
        match self {
            Self::Usual => MARK | JOB_TOKEN,
            Self::Runners => MARK | JOB_TOKEN | TOKEN,
            Self::AnyCredential => MARK | JOB_TOKEN | TOKEN | PIECES,
            Self::BeforePersons => MARK,
        }
    }
}

/// What the value of a parameter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing here.
    Nothing,
    /// It is a job's token, whatever it looks like.
    Token,
    /// It is one if it has the mark.
    Credential,
    /// It is a job's user, or another.
    Login,
}

impl Meaning {
    /// Whether a value that holds these words is a job's.
    pub(super) fn is_met(self, found: u8) -> bool {
        match self {
            Self::Nothing => false,
            Self::Token => true,
            Self::Credential => found & MARK != 0,
            Self::Login => found & USER != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> u8 {
        let mut words = Words::new();
        text.bytes().fold(0, |found, byte| found | words.push(byte))
    }

    #[test]
    fn words_are_found_wherever_they_begin() {
        assert!(ANY_LAST.count_ones() == 8 && FIRST.count_ones() == 8);
        for (text, expected) in [
            ("glglcbt-", MARK),
            ("job_token", JOB_TOKEN),
            ("x job.TOKEN", JOB_TOKEN),
            ("$token", TOKEN),
            ("tokens", TOKEN),
            ("access_token", TOKEN),
            ("CI_JOB_TOKEN", TOKEN),
            ("form-data; name*0=\"access_to\"", PIECES),
            ("a GitLab-CI-Token", USER),
        ] {
            assert_eq!(found(text) & expected, expected, "{text}");
        }
        for text in ["", "glcbt", "jobtoken", "gitlab-ci", "filename*=x", "name=x"] {
            assert_eq!(found(text), 0, "{text}");
        }
        assert_eq!(found("CI_JOB_TOKEN") & JOB_TOKEN, 0);
    }

    #[test]
    fn a_token_within_base64_is_found_at_each_place() {
        use base64::Engine;
        for before in 0..9 {
            let text = std::format!("{}glcbt-64_abc\"}}", "{\"token\":\"".split_at(before).0);
            let coded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
            assert_eq!(found(&coded) & MARK, MARK, "{coded}");
        }
    }

    #[test]
    fn a_name_is_one_in_whatever_spelling() {
        let meaning = |name: &str| {
            let mut read = Name::new();
            name.bytes().for_each(|byte| read.push(byte));
            read.meaning(Counts::Usual)
        };
        let blanks = " ".repeat(99);
        for name in ["job_token", "[[job_token][x]", " JOB.token ", "job-token\0", "\u{a0}job_token", "job token]"] {
            assert_eq!(meaning(&std::format!("{blanks}{name}{blanks}")), Meaning::Token, "{name}");
        }
        for name in
            ["", "job_toke", "job_tokens", "x[job_token]", "a_job_token", "CI_JOB_TOKEN", "a".repeat(99).as_str()]
        {
            assert_eq!(meaning(name), Meaning::Nothing, "{name}");
        }
        assert_eq!((meaning("token"), meaning("username[]")), (Meaning::Credential, Meaning::Login));
    }
}
