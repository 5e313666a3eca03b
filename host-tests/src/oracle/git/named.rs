//! What the filter names, and what the server touches.

use std::collections::BTreeSet;

use policy::access::{Action, TargetRef};
use policy::request::{JobRequest, Reading};
use policy::rules::{Reach, need};

use super::repository::{Kind, REPOSITORIES, Service};

/// What the server did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It touched no repository.
    Nothing,
    /// It touched these (by their place in the list), to read or to write.
    Touched(BTreeSet<usize>, Service),
    /// It served something, and nothing tells from where.
    Unknown(String),
}

/// What the filter says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// It refuses it.
    Refused,
    /// No job may ever do this, whatever it is called.
    Forbidden,
    /// No repository.
    Nothing,
    /// This one; no service means that either is denied alike.
    Repository(Kind, Option<String>, Option<Service>),
}

impl Named {
    /// What a reading says of Git's server.
    #[must_use]
    pub fn of(reading: &Reading) -> Self {
        let Reading::Job(JobRequest { accesses, .. }) = reading else { return Self::Refused };
        let [access] = &accesses[..] else { return Self::Nothing };
        let (kind, service) = match access.action {
            Action::ReadCode => (Kind::Code, Some(Service::Read)),
            Action::WriteCode => (Kind::Code, Some(Service::Write)),
            Action::ReadWiki => (Kind::Wiki, Some(Service::Read)),
            Action::WriteWiki => (Kind::Wiki, Some(Service::Write)),
            Action::ReadDesign => (Kind::Design, Some(Service::Read)),
            Action::WriteDesign => (Kind::Design, Some(Service::Write)),
            Action::Snippet => (Kind::Snippet, None),
            other if need(other).reach == Reach::Never => return Self::Forbidden,
            _ => return Self::Nothing,
        };
        match &access.target {
            TargetRef::Path(path) => Self::Repository(kind, Some(path.to_string()), service),
            TargetRef::None => Self::Repository(kind, None, service),
            _ => Self::Nothing,
        }
    }

    /// Whether the server touched what is named, and nothing else.
    #[must_use]
    pub fn agrees(&self, seen: &Seen) -> bool {
        match (self, seen) {
            (Self::Refused | Self::Forbidden, _) | (_, Seen::Nothing) => true,
            (Self::Nothing, _) | (_, Seen::Unknown(_)) => false,
            (Self::Repository(kind, project, service), Seen::Touched(repositories, seen)) => {
                service.is_none_or(|service| service == *seen)
                    && repositories.iter().all(|at| {
                        let repository = REPOSITORIES[*at];
                        repository.kind == *kind && repository.project == project.as_deref()
                    })
            }
        }
    }

    /// The same with a neighbour's name, which cannot be right.
    #[must_use]
    pub fn mistaken(&self) -> Self {
        match self {
            Self::Repository(kind, project, service) => {
                Self::Repository(*kind, Some(format!("{}x", project.as_deref().unwrap_or_default())), *service)
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: Kind, project: &str, service: Service) -> Named {
        Named::Repository(kind, Some(project.into()), Some(service))
    }

    #[test]
    fn another_repository_kind_or_service_is_noticed() {
        let touched = |at| Seen::Touched(BTreeSet::from([at]), Service::Read);
        let right = named(Kind::Code, "g/p", Service::Read);
        assert!(right.agrees(&touched(0)) && right.agrees(&touched(10)) && right.agrees(&Seen::Nothing));
        assert!(!right.agrees(&touched(1)) && !right.agrees(&touched(3)) && !right.agrees(&touched(17)));
        assert!(!right.agrees(&Seen::Touched(BTreeSet::from([0, 3]), Service::Read)));
        assert!(!right.agrees(&Seen::Touched(BTreeSet::from([0]), Service::Write)));
        assert!(!right.agrees(&Seen::Unknown(String::new())));
        assert!(!named(Kind::Code, "g/p", Service::Write).agrees(&touched(0)));
        assert!(!right.mistaken().agrees(&touched(0)));
        assert!(!Named::Nothing.agrees(&touched(0)) && Named::Nothing.agrees(&Seen::Nothing));
    }
}
