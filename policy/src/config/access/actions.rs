//! A set of actions, as a rule names them: `oci.pull`, or `packages.*` for all that begin so.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::super::nearest::nearest;
use crate::access::Action;

/// A set of actions: a bit for each, in the order of [`Action::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Actions(u128);

impl Actions {
    /// None of them.
    pub(super) const NONE: Self = Self(0);

    /// All of them.
    pub(super) fn every() -> Self {
        Self::those(|_, _| true)
    }

    /// This one.
    pub(super) fn only(action: Action) -> Self {
        let at = Action::ALL.iter().position(|(known, ..)| *known == action).and_then(|at| u32::try_from(at).ok());
        Self(at.and_then(|at| 1_u128.checked_shl(at)).unwrap_or_default())
    }

    /// Those that a name or a pattern means; `None` when it means none.
    pub(super) fn named(pattern: &str) -> Option<Self> {
        let named = match pattern.strip_suffix('*') {
            Some(group) if group.ends_with('.') => Self::those(|_, name| name.starts_with(group)),
            Some(_) | None => Self::those(|_, name| name == pattern),
        };
        (named != Self::NONE).then_some(named)
    }

    /// The name or pattern that was probably meant.
    pub(super) fn nearest(wrong: &str) -> String {
        let names = Action::ALL.iter().map(|(_, name, _)| *name);
        // Every head of a name, up to one of its dots.
        let groups = names.clone().flat_map(|name| name.match_indices('.').filter_map(|(at, _)| name.get(..=at)));
        match wrong.strip_suffix('*') {
            None => nearest(wrong, names).unwrap_or_default().to_owned(),
            Some(head) => format!("{}*", nearest(head, groups).unwrap_or_default()),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn hold(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn those(which: impl Fn(Action, &str) -> bool) -> Self {
        let bits = Action::ALL.iter().zip(0_u32..).filter(|((action, name, _), _)| which(*action, name));
        Self(bits.fold(0, |all, (_, at)| all | 1_u128.checked_shl(at).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_a_place_of_its_own() {
        for (action, name, _) in Action::ALL {
            assert_eq!(Actions::named(name), Some(Actions::only(*action)), "{name}");
            assert_eq!(Actions::only(*action).0.count_ones(), 1, "{name}");
        }
        assert_eq!(Actions::every().0.count_ones(), u32::try_from(Action::ALL.len()).unwrap());
    }

    #[test]
    fn a_group_means_what_begins_with_it_up_to_a_dot() {
        let npm = Actions::named("packages.npm.*").unwrap();
        assert_eq!(npm, Actions::only(Action::ReadNpm).and(Actions::only(Action::PublishNpm)));
        let packages = Actions::named("packages.*").unwrap();
        assert!(packages.hold(npm) && packages.hold(Actions::only(Action::ReadPackages)));
        assert!(!packages.hold(Actions::only(Action::PullImage)) && !npm.hold(packages));
        for bad in ["*", "", ".*", "pack*", "packages*", "packages.", "packages", "oci.p*", "Oci.pull", "oci.*.pull"] {
            assert_eq!(Actions::named(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_was_probably_meant() {
        for (wrong, meant) in
            [("oci.pul", "oci.pull"), ("package.*", "packages.*"), ("packages.nmp.read", "packages.npm.read")]
        {
            assert_eq!(Actions::nearest(wrong), meant);
        }
    }
}
