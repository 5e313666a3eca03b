//! Patterns of paths: what they cover, and which part says whose endpoint it is.
//!
//! A pattern is segments between slashes. `:name` takes one segment, in which a slash stands encoded, and digits alone
//! where the name ends in `_id` or `_iid`; `:name.suffix` takes one that ends so; `*name` takes one segment or more; any
//! other segment stands for itself. A pattern covers the whole path.

/// The names that say whose endpoint it is. Where a pattern has several, the first counts.
pub(crate) const OWNERS: [&str; 16] = [
    ":project",
    ":pool_project_id",
    ":group",
    ":namespace",
    ":recipe_user",
    "*project_version",
    "*composer_name",
    "*maven_path",
    "*npm_name",
    ":nuget_name",
    "*pypi_name",
    "*pypi_file",
    ":terraform_name",
    ":own_job_id",
    ":any_job_id",
    "job",
];

/// The most segments of a base or of what follows it.
const MOST: usize = 12;

/// The segments of a pattern, split by the compiler: a path is held against hundreds of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: &'static str,
    parts: [&'static str; MOST],
    count: u8,
    /// Whether one of them takes several segments.
    is_open: bool,
}

impl Pattern {
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "run by the compiler, which an error stops"
    )]
    pub(crate) const fn of(text: &'static str) -> Self {
        let (mut parts, mut count, mut is_open, mut rest) = ([""; MOST], 0, false, text.as_bytes());
        while !rest.is_empty() {
            let mut end = 0;
            while end < rest.len() && rest[end] != b'/' {
                end += 1;
            }
            let (part, behind) = rest.split_at(end);
            if let (Ok(part), true) = (core::str::from_utf8(part), end > 0) {
                parts[count] = part;
                count += 1;
                is_open |= part.as_bytes()[0] == b'*';
            }
            rest = if let [_, behind @ ..] = behind { behind } else { behind };
        }
        Self { text, parts, count: count as u8, is_open }
    }

    /// As it is written.
    pub(crate) fn text(&self) -> &'static str {
        self.text
    }

    /// What stands between its slashes.
    pub(crate) fn parts(&self) -> &[&'static str] {
        self.parts.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// Whether it covers all of the segments, and whose endpoint it then is. Most have more or fewer, and are not looked into.
    #[inline]
    pub(crate) fn fit<'a>(&self, segments: &'a [&'a str]) -> Option<Option<Owner<'a>>> {
        if self.is_open || usize::from(self.count) == segments.len() { fit(self.parts(), segments) } else { None }
    }
}

/// The part of a path that says whose endpoint it is. One segment is given with all that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner<'a> {
    pub(crate) name: &'static str,
    pub(crate) parts: &'a [&'a str],
}

impl<'a> Owner<'a> {
    fn of(name: &str, parts: &'a [&'a str]) -> Option<Self> {
        OWNERS.into_iter().find(|owner| *owner == name).map(|name| Self { name, parts })
    }
}

/// What is left of the segments behind a base, if they begin as it does.
pub(crate) fn below<'a>(base: &[&str], segments: &'a [&'a str]) -> Option<&'a [&'a str]> {
    let (begin, behind) = segments.split_at_checked(base.len())?;
    base.iter().zip(begin).all(|(part, segment)| takes(part, segment)).then_some(behind)
}

/// Whose endpoint it is by a base that was found to fit.
pub(crate) fn owner<'a>(base: &[&str], segments: &'a [&'a str]) -> Option<Owner<'a>> {
    base.iter().enumerate().find_map(|(at, part)| Owner::of(part, segments.get(at..)?))
}

/// Whether a pattern covers all of the segments, and whose endpoint it then is; `Some(None)` is nobody's.
pub(crate) fn fit<'a>(pattern: &[impl AsRef<str>], segments: &'a [&'a str]) -> Option<Option<Owner<'a>>> {
    let Some((part, rest)) = pattern.split_first() else { return segments.is_empty().then_some(None) };
    let part = part.as_ref();
    if !part.starts_with('*') {
        let (segment, behind) = segments.split_first()?;
        let owner = takes(part, segment).then(|| fit(rest, behind)).flatten()?;
        return Some(Owner::of(part, segments).or(owner));
    }
    (1..=segments.len()).rev().find_map(|taken| {
        let (parts, behind) = segments.split_at_checked(taken)?;
        let owner = fit(rest, behind)?;
        Some(Owner::of(part, parts).or(owner))
    })
}

fn takes(part: &str, value: &str) -> bool {
    let Some(name) = part.strip_prefix(':') else { return value == part };
    match name.split_once('.') {
        Some((_, suffix)) => value.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && end == suffix),
        // `0x7` is 7 to one parser and nothing to another.
        None => !is_number(name) || value.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// Whether a name stands for a number.
fn is_number(name: &str) -> bool {
    name.ends_with("_id") || name.ends_with("_iid")
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// To count segments first spares work and decides nothing.
    #[test]
    fn a_pattern_covers_what_its_parts_do() {
        for text in ["", "a", "a/:b_id", ":a/b", "*a", "a/*b/c", "*a/*b", ":x.json"] {
            let pattern = Pattern::of(text);
            for path in ["", "a", "a/1", "a/b", "a/x/c", "a/x/y/c", "x.json", "a/b/c/d"] {
                let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
                assert_eq!(pattern.fit(&segments), fit(pattern.parts(), &segments), "{text} {path}");
            }
        }
    }
}
