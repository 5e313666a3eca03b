//! Conditions on the circumstances of a job.

use alloc::boxed::Box;
use alloc::string::String;

use crate::facts::Context;

/// Conditions, all of which must hold. What is not written is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct When {
    pub(super) git_ref: Option<Box<[Text]>>,
    pub(super) protected: Option<bool>,
    pub(super) environment: Option<Box<[Text]>>,
    pub(super) source: Option<Box<[Text]>>,
    pub(super) fork: Option<bool>,
}

/// A text as a condition names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    /// `main`.
    Whole(Box<str>),
    /// `release/*`: this, and any rest.
    Begins(Box<str>),
}

impl Text {
    /// A text that is not empty, in which a `*` stands at the end or nowhere.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('*') {
            _ if text.is_empty() => None,
            None => (!text.contains('*')).then(|| Self::Whole(text.into())),
            Some(head) => (!head.contains('*')).then(|| Self::Begins(head.into())),
        }
    }

    /// No text means what is empty: a job without environment is in none.
    fn means(&self, text: &str) -> bool {
        match self {
            Self::Whole(whole) => **whole == *text,
            Self::Begins(head) => !text.is_empty() && text.starts_with(&**head),
        }
    }
}

impl When {
    /// Whether all conditions hold; `None` where a fact that would tell is not known.
    pub(super) fn holds(&self, context: &Context) -> Option<bool> {
        let holds = [
            any_means(self.git_ref.as_deref(), context.git_ref.as_ref()),
            is(self.protected, context.protected),
            any_means(self.environment.as_deref(), context.environment.as_ref()),
            any_means(self.source.as_deref(), context.source.as_ref()),
            is(self.fork, context.fork),
        ];
        match holds {
            _ if holds.contains(&Some(false)) => Some(false),
            _ if holds.contains(&None) => None,
            _ => Some(true),
        }
    }
}

fn any_means(texts: Option<&[Text]>, known: Option<&String>) -> Option<bool> {
    let Some(texts) = texts else { return Some(true) };
    known.map(|known| texts.iter().any(|text| text.means(known)))
}

fn is(wanted: Option<bool>, known: Option<bool>) -> Option<bool> {
    let Some(wanted) = wanted else { return Some(true) };
    known.map(|known| known == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_the_end_stands_for_any_rest() {
        let means = |text: &str, known: &str| Text::parse(text).unwrap().means(known);
        assert!(means("main", "main") && means("release/*", "release/1") && means("*", "x") && means("re*", "re"));
        assert!(
            !means("main", "mainly") && !means("release/*", "release") && !means("Main", "main") && !means("*", "")
        );
        for bad in ["", "*x", "a*b", "**"] {
            assert_eq!(Text::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_condition_that_fails_is_enough_and_an_unknown_fact_leaves_it_open() {
        let when = When { protected: Some(true), fork: Some(false), ..When::default() };
        let context = |protected, fork| Context { protected, fork, ..Context::default() };
        assert_eq!(when.holds(&context(Some(true), Some(false))), Some(true));
        assert_eq!(when.holds(&context(Some(true), None)), None);
        assert_eq!(when.holds(&context(Some(false), None)), Some(false));
        assert_eq!(when.holds(&context(None, Some(true))), Some(false));
        assert_eq!(When::default().holds(&Context::default()), Some(true));
    }
}
