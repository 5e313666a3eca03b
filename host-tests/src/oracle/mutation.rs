//! Requests that are almost a client's.

use std::collections::BTreeSet;

use super::ask::Ask;
use super::random::Random;

/// The words of a protocol, which a changed request is made of.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Segments of paths, also several with their slashes.
    pub segments: &'static [&'static str],
    /// Parts of paths and what stands in their place.
    pub swaps: &'static [(&'static str, &'static str)],
    /// Pairs of queries.
    pub pairs: &'static [&'static str],
    /// Methods.
    pub methods: &'static [&'static str],
    /// Media types.
    pub media: &'static [&'static str],
}

/// What stands for a slash.
const SLASHES: [&str; 9] = ["%2F", "%2f", "%252F", "\\", "%5c", ";x/", "/%2e%2e/", "/.%2E/", "%2F.."];
/// What stands before a path.
const FRONTS: [&str; 8] = ["/", "http://forge.example.com", "/-/..", "/.", "/%2e", "/..", "/x/..", "//x"];
/// What stands after a path.
const ENDINGS: [&str; 13] = ["/", ".", "%20", "%00", ";x", "/.", "/..", "?", "#", "%0a", ".json", "~", "\\"];
/// What stands anywhere in a path.
const SIGNS: [&str; 15] = ["?", "#", ";", "&", "=", "@", ":", "*", "+", ",", "~", "é", "\"", "|", "."];
/// What stands after a query.
const TAILS: [&str; 9] = ["&", ";", "#", "%00", "%26", "/", "?", "=", "+"];

/// The requests that `seeds` are, and others made of them: `count` in all, none twice.
#[must_use]
pub fn family(seeds: &[Ask], words: &Words, random: &mut Random, count: usize) -> Vec<Ask> {
    let mut family = seeds.to_vec();
    let mut known: BTreeSet<Ask> = seeds.iter().cloned().collect();
    while family.len() < count {
        let mut ask = seeds[random.below(seeds.len())].clone();
        // Most have one thing changed; what two changes do together is rarer, and stranger.
        for _ in 0..=random.pick(&[0, 0, 0, 0, 1, 1, 2]) {
            change(&mut ask, words, random);
        }
        // What no HTTP parser lets through never reaches a filter.
        let is_sendable = !ask.target.is_empty() && ask.target.bytes().all(|b| b > 0x20 && b != 0x7f);
        if is_sendable && known.insert(ask.clone()) {
            family.push(ask);
        }
    }
    family
}

fn change(ask: &mut Ask, words: &Words, random: &mut Random) {
    match random.below(16) {
        0 => ask.method = random.pick(words.methods).into(),
        1 => {
            if let Some((_, media)) = ask.fields.iter_mut().find(|(name, _)| *name == "content-type") {
                *media = random.pick(words.media).into();
            }
        }
        2..5 => change_query(ask, words, random),
        _ => change_path(ask, words, random),
    }
}

fn change_path(ask: &mut Ask, words: &Words, random: &mut Random) {
    let (path, query) = ask.split();
    let mut path = path.to_owned();
    let query = query.map(str::to_owned);
    let segment = |random: &mut Random| random.pick(words.segments);
    match random.below(16) {
        0 => at_slash(&mut path, random, "//"),
        1 => at_slash(&mut path, random, "/./"),
        2 => {
            let inserted = format!("/{}/../", segment(random));
            at_slash(&mut path, random, &inserted);
        }
        3 => at_slash(&mut path, random, "/../"),
        4 => {
            let spelled = random.pick(&SLASHES);
            at_slash(&mut path, random, spelled);
        }
        5 | 6 => encode_one(&mut path, random),
        7 => path.push_str(random.pick(&ENDINGS)),
        8 => swap_case(&mut path, random),
        9 => {
            let inserted = format!("/{}/", segment(random));
            at_slash(&mut path, random, &inserted);
        }
        10 | 11 => {
            let mut segments: Vec<&str> = path.split('/').collect();
            let at = random.below(segments.len());
            segments[at] = segment(random);
            path = segments.join("/");
        }
        12 => {
            let mut segments: Vec<&str> = path.split('/').collect();
            let at = random.below(segments.len());
            if random.below(2) == 0 {
                segments.remove(at);
            } else {
                segments.insert(at, segments[at]);
            }
            path = segments.join("/");
        }
        13 => {
            let at = path.floor_char_boundary(random.below(path.len() + 1));
            path.insert_str(at, random.pick(&SIGNS));
        }
        14 => {
            let front = random.pick(&FRONTS);
            path.insert_str(0, front);
        }
        _ => {
            let (from, to) = random.pick(words.swaps);
            let found: Vec<usize> = path.match_indices(from).map(|(at, _)| at).collect();
            if !found.is_empty() {
                let at = random.pick(&found);
                path.replace_range(at..at + from.len(), to);
            }
        }
    }
    ask.target = joined(&path, query.as_deref());
}

fn change_query(ask: &mut Ask, words: &Words, random: &mut Random) {
    let (path, query) = ask.split();
    let pair = random.pick(words.pairs);
    let query = match (random.below(8), query) {
        (0, _) => None,
        (1, _) | (_, None) => Some(pair.to_owned()),
        (2, Some(query)) => Some(format!("{pair}&{query}")),
        (3, Some(query)) => Some(format!("{query};{pair}")),
        (4, Some(query)) => {
            let mut query = query.to_owned();
            encode_one(&mut query, random);
            Some(query)
        }
        (5, Some(query)) => {
            let mut query = query.to_owned();
            swap_case(&mut query, random);
            Some(query)
        }
        (6, Some(query)) => Some(format!("{query}{}", random.pick(&TAILS))),
        (_, Some(query)) => Some(format!("{query}&{pair}")),
    };
    ask.target = joined(path, query.as_deref());
}

fn joined(path: &str, query: Option<&str>) -> String {
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

fn at_slash(path: &mut String, random: &mut Random, inserted: &str) {
    let slashes: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
    if !slashes.is_empty() {
        let at = random.pick(&slashes);
        path.replace_range(at..=at, inserted);
    }
}

fn encode_one(text: &mut String, random: &mut Random) {
    let at = random.below(text.len());
    if let Some(byte) = text.as_bytes().get(at).filter(|byte| byte.is_ascii()) {
        let encoded = match random.below(3) {
            0 => format!("%{byte:02X}"),
            1 => format!("%{byte:02x}"),
            _ => format!("%25{byte:02x}"),
        };
        text.replace_range(at..=at, &encoded);
    }
}

fn swap_case(text: &mut String, random: &mut Random) {
    let letters: Vec<usize> =
        text.bytes().enumerate().filter(|(_, b)| b.is_ascii_alphabetic()).map(|(at, _)| at).collect();
    if letters.is_empty() {
        return;
    }
    let at = random.pick(&letters);
    let end = if random.below(4) == 0 { text.len() } else { at + 1 };
    let swapped: String = text[at..end]
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    text.replace_range(at..end, &swapped);
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words = Words {
        segments: &["g", "p.git"],
        swaps: &[(".git", "")],
        pairs: &["a=b"],
        methods: &["GET", "PUT"],
        media: &["text/plain"],
    };

    #[test]
    fn a_family_is_the_same_in_every_run_and_nobody_is_in_it_twice() {
        let seeds = [Ask::new("GET", "/g/p.git/HEAD"), Ask::new("POST", "/g/p?x=y").field("content-type", "a/b")];
        let made = || family(&seeds, &WORDS, &mut Random::new(1), 500);
        assert_eq!(made(), made());
        assert_eq!(made().into_iter().collect::<BTreeSet<_>>().len(), 500);
        assert_eq!(made()[..2], seeds);
    }
}
