//! What was probably meant.

use alloc::vec;
use alloc::vec::Vec;

/// How much of a word is compared: longer than any name.
const COMPARED: usize = 64;

/// The name that the fewest edits lead to, the first of several.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.min_by_key(|name| distance(word, name))
}

/// That name, where at least half of the word is in it.
pub(super) fn near<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest(word, names).filter(|name| distance(word, name).saturating_mul(2) <= word.len())
}

/// How many letters must be put in, left out or changed (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().take(COMPARED).enumerate() {
        let mut left = at.saturating_add(1);
        let mut row = vec![left];
        for (known, pair) in other.bytes().zip(above.windows(2)) {
            let [corner, top] = *pair else { continue };
            let changed = corner.saturating_add(usize::from(letter != known));
            left = changed.min(top.saturating_add(1)).min(left.saturating_add(1));
            row.push(left);
        }
        above = row;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_edits_win() {
        for (one, other, edits) in [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("a", "a", 0)]
        {
            assert_eq!(distance(one, other), edits, "{one} {other}");
        }
        let names = ["oci.pull", "oci.push", "packages.*"];
        assert_eq!(nearest("pakages.*", names.into_iter()), Some("packages.*"));
        assert_eq!(nearest("oci.pul", names.into_iter()), Some("oci.pull"));
        assert_eq!(near("pakages.*", names.into_iter()), Some("packages.*"));
        assert_eq!(near("git", names.into_iter()), None);
        assert_eq!(nearest("x", core::iter::empty()), None);
    }
}
