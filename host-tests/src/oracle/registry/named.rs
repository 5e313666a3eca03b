//! What the filter names, and what the registry touches.

use std::collections::BTreeSet;

use policy::access::{Access, Action, TargetRef};
use policy::request::{JobRequest, Reading};

/// What the registry did, by the names of its repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Whose contents an answer tells.
    pub read: BTreeSet<String>,
    /// Where something was stored, or is about to be.
    pub written: BTreeSet<String>,
    /// Where something is no more.
    pub deleted: BTreeSet<String>,
    /// Whether all names were told.
    pub catalog: bool,
}

impl Touched {
    /// Whether nothing was.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What the filter says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// It refuses it.
    Refused,
    /// It asks for these.
    Accesses(Vec<Access>),
}

impl Named {
    /// What a reading says of the registry.
    #[must_use]
    pub fn of(reading: &Reading) -> Self {
        match reading {
            Reading::Job(JobRequest { accesses, .. }) => Self::Accesses(accesses.clone()),
            _ => Self::Refused,
        }
    }

    /// Whether everything that the registry touched is named, with what was done to it.
    #[must_use]
    pub fn agrees(&self, touched: &Touched) -> bool {
        let Self::Accesses(accesses) = self else { return true };
        let is_named = |action: Action, name: &String| {
            let candidates = candidates(name);
            accesses.iter().any(|access| {
                let TargetRef::Image(named) = &access.target else { return false };
                access.action == action && named.iter().map(|path| path.as_str()).eq(candidates.iter().copied())
            })
        };
        touched.read.iter().all(|name| is_named(Action::PullImage, name))
            && touched.written.iter().all(|name| is_named(Action::PushImage, name))
            && touched.deleted.iter().all(|name| is_named(Action::DeleteImage, name))
            && (!touched.catalog || accesses.iter().any(|access| access.action == Action::Catalog))
    }

    /// The same without the access at this place, which cannot be enough.
    #[must_use]
    pub fn without(&self, at: usize) -> Option<Self> {
        let Self::Accesses(accesses) = self else { return None };
        let mut fewer = accesses.clone();
        (at < fewer.len()).then(|| {
            fewer.remove(at);
            Self::Accesses(fewer)
        })
    }

    /// The same with each image below the one that is named.
    #[must_use]
    pub fn mistaken(&self) -> Self {
        let Self::Accesses(accesses) = self else { return self.clone() };
        let below = |target: &TargetRef| match target {
            TargetRef::Image(paths) => TargetRef::Image(paths.iter().skip(1).cloned().collect()),
            other => other.clone(),
        };
        Self::Accesses(accesses.iter().map(|access| Access::new(access.action, below(&access.target))).collect())
    }
}

/// The projects that an image's name can mean, longest first: the name, and without one or two parts. A project's path
/// has two parts at least.
fn candidates(name: &str) -> Vec<&str> {
    let shorter = |name: &&str| name.rsplit_once('/').map(|(parent, _)| parent.len());
    let names = std::iter::successors(Some(name), |longer| name.get(..shorter(longer)?));
    names.take(3).filter(|name| name.contains('/')).collect()
}

#[cfg(test)]
mod tests {
    use policy::facts::ProjectPath;

    use super::*;

    fn named(action: Action, paths: &[&str]) -> Access {
        Access::new(action, TargetRef::Image(paths.iter().map(|path| ProjectPath::parse(path).unwrap()).collect()))
    }

    fn read(name: &str) -> Touched {
        Touched { read: BTreeSet::from([name.into()]), ..Touched::default() }
    }

    #[test]
    fn another_name_or_action_is_noticed() {
        let right = Named::Accesses(vec![named(Action::PullImage, &["g/p/img", "g/p"])]);
        assert!(right.agrees(&read("g/p/img")) && right.agrees(&Touched::default()));
        assert!(!right.agrees(&read("g/p")) && !right.agrees(&read("h/p/img")));
        assert!(!right.agrees(&Touched { written: BTreeSet::from(["g/p/img".into()]), ..Touched::default() }));
        assert!(!right.agrees(&Touched { deleted: BTreeSet::from(["g/p/img".into()]), ..read("g/p/img") }));
        assert!(!right.agrees(&Touched { catalog: true, ..Touched::default() }));
        assert!(!right.mistaken().agrees(&read("g/p/img")));
        assert!(!right.without(0).unwrap().agrees(&read("g/p/img")) && right.without(1).is_none());
    }
}
