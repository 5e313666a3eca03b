//! Where facts about targets come from: looked up, written in the configuration, or left to the forge.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;

use serde_json::{Map, Value};

use super::choices::{self, SourceKind};
use super::projects::Projects;
use super::reader::Reader;
use crate::facts::{Admission, Affiliation, ProjectPath, Role, User, Visibility};

/// Where a fact comes from. `T` is what the configuration says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source<T> {
    /// It is looked up.
    Lookup,
    /// The configuration says it.
    Configuration(T),
    /// Nobody says it here: the forge behind the ingress checks it itself.
    Forge,
}

/// Where each fact about targets comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sources {
    /// The role of a job's user in a target.
    pub membership: Source<Members>,
    /// Whether a user is external.
    pub external: Source<ExternalUsers>,
    /// Who may see a target.
    pub visibility: Source<Visibilities>,
    /// Whether a target admits an origin. The configuration's own say is that of its access rules.
    pub allowlists: Source<()>,
    /// Whether an origin lets its jobs out to a target.
    pub outbound: Source<Infallible>,
}

impl<T> Source<T> {
    /// Whether the fact is looked up.
    #[must_use]
    pub fn is_lookup(&self) -> bool {
        matches!(self, Self::Lookup)
    }

    /// Whether the fact is left to the forge.
    #[must_use]
    pub fn is_forge(&self) -> bool {
        matches!(self, Self::Forge)
    }

    /// Its word in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        choices::SOURCE.word(match self {
            Self::Lookup => SourceKind::Lookup,
            Self::Configuration(_) => SourceKind::Configuration,
            Self::Forge => SourceKind::Forge,
        })
    }

    fn is_configured(&self) -> bool {
        matches!(self, Self::Configuration(_))
    }
}

impl Sources {
    /// Takes the sources out of a document.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let membership = reader.source("facts.membership", Some("facts.members"), &|value| Members::read(value));
        let external =
            reader.source("facts.external", Some("facts.external_users"), &|value| ExternalUsers::read(value));
        let visibility =
            reader.source("facts.visibility", Some("facts.visibilities"), &|value| Visibilities::read(value));
        let allowlists = reader.source("facts.allowlists", None, &|_| Some(()));
        let outbound = reader.choice("facts.outbound", &choices::OUTBOUND);
        Some(Self {
            membership: membership?,
            external: external?,
            visibility: visibility?,
            allowlists: allowlists?,
            outbound: if outbound? == SourceKind::Lookup { Source::Lookup } else { Source::Forge },
        })
    }

    /// The keys of the facts that are looked up.
    pub fn looked_up(&self) -> impl Iterator<Item = &'static str> {
        [
            ("facts.membership", self.membership.is_lookup()),
            ("facts.external", self.external.is_lookup()),
            ("facts.visibility", self.visibility.is_lookup()),
            ("facts.allowlists", self.allowlists.is_lookup()),
            ("facts.outbound", self.outbound.is_lookup()),
        ]
        .into_iter()
        .filter_map(|(key, is_lookup)| is_lookup.then_some(key))
    }

    /// The keys of the facts about users and targets that are left to the forge. Few forges have an outbound list.
    pub(super) fn left_to_forge(&self) -> impl Iterator<Item = &'static str> + use<> {
        [
            ("facts.membership", self.membership.is_forge()),
            ("facts.external", self.external.is_forge()),
            ("facts.visibility", self.visibility.is_forge()),
            ("facts.allowlists", self.allowlists.is_forge()),
        ]
        .into_iter()
        .filter_map(|(key, is_left)| is_left.then_some(key))
    }

    /// Whether the configuration says any of the facts.
    #[must_use]
    pub fn are_configured(&self) -> bool {
        self.membership.is_configured()
            || self.external.is_configured()
            || self.visibility.is_configured()
            || self.allowlists.is_configured()
    }

    /// Whether the configuration names a project by its own path.
    #[must_use]
    pub fn name(&self, path: &ProjectPath) -> bool {
        let of_members = match &self.membership {
            Source::Configuration(members) => {
                members.0.iter().flat_map(|(_, given)| given).any(|(_, targets)| targets.name(path))
            }
            Source::Lookup | Source::Forge => false,
        };
        let of_visibilities = match &self.visibility {
            Source::Configuration(Visibilities(sets)) => sets.iter().any(|(_, targets)| targets.name(path)),
            Source::Lookup | Source::Forge => false,
        };
        of_members || of_visibilities
    }
}

impl Source<Members> {
    /// A user's role in a target, unless it is looked up; in it `None` where the forge checks it.
    #[must_use]
    pub fn role(&self, user: Option<&User>, target: Option<&ProjectPath>) -> Option<Option<Role>> {
        match self {
            Self::Lookup => None,
            Self::Forge => Some(None),
            Self::Configuration(members) => {
                let role = user.zip(target).map_or(Role::None, |(user, target)| members.role(user, target));
                Some(Some(role))
            }
        }
    }
}

impl Source<ExternalUsers> {
    /// Whether a user is external, unless that is looked up.
    #[must_use]
    pub fn affiliation(&self, user: Option<&User>) -> Option<Affiliation> {
        match self {
            Self::Lookup => None,
            Self::Forge => Some(Affiliation::LeftToForge),
            Self::Configuration(ExternalUsers(names)) => {
                let is_external = user.is_some_and(|user| names.binary_search(&user.name.to_ascii_lowercase()).is_ok());
                Some(if is_external { Affiliation::External } else { Affiliation::Internal })
            }
        }
    }
}

impl Source<Visibilities> {
    /// Who may see a target, unless that is looked up; in it `None` where the forge checks it.
    #[must_use]
    pub fn visibility(&self, target: Option<&ProjectPath>) -> Option<Option<Visibility>> {
        match self {
            Self::Lookup => None,
            Self::Forge => Some(None),
            Self::Configuration(Visibilities(sets)) => {
                let said =
                    |path| sets.iter().find(|(_, targets)| targets.hold(path)).map(|(visibility, _)| *visibility);
                Some(Some(target.and_then(said).unwrap_or(Visibility::Private)))
            }
        }
    }
}

impl Source<()> {
    /// How a target of another project admits an origin, unless that is looked up. A target without a path cannot be
    /// told from one that a rule of the configuration denies, so it admits nobody.
    #[must_use]
    pub fn admission(&self, target: Option<&ProjectPath>) -> Option<Admission> {
        match self {
            Self::Lookup => None,
            Self::Forge if target.is_some() => Some(Admission::LeftToForge),
            Self::Forge | Self::Configuration(()) => Some(Admission::Unlisted),
        }
    }
}

/// The roles that the configuration gives: by user, in lower case and sorted, highest role first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members(Vec<(String, Vec<(Role, Projects)>)>);

impl Members {
    fn read(list: &Value) -> Option<Self> {
        let mut names: BTreeMap<String, BTreeMap<Role, Vec<&str>>> = BTreeMap::new();
        for entry in list.as_array()? {
            let [user, targets, role] = members(entry, ["user", "targets", "role"])?;
            let role = Role::named(role.as_str()?).filter(|role| *role != Role::None)?;
            let of_user = names.entry(user_name(user)?).or_default();
            of_user.entry(role).or_default().extend(texts(targets)?);
        }
        let roles = |of_user: BTreeMap<Role, Vec<&str>>| -> Option<Vec<(Role, Projects)>> {
            of_user.into_iter().rev().map(|(role, names)| Some((role, Projects::of(names.into_iter())?))).collect()
        };
        names.into_iter().map(|(user, of_user)| Some((user, roles(of_user)?))).collect::<Option<_>>().map(Self)
    }

    /// The highest role that is given.
    fn role(&self, user: &User, target: &ProjectPath) -> Role {
        let name = user.name.to_ascii_lowercase();
        let place = self.0.binary_search_by(|(known, _)| known.cmp(&name)).ok();
        let given = place.and_then(|place| self.0.get(place)).map(|(_, given)| given);
        given.into_iter().flatten().find(|(_, targets)| targets.hold(target)).map_or(Role::None, |(role, _)| *role)
    }
}

/// The users that the configuration calls external, in lower case and sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalUsers(Vec<String>);

impl ExternalUsers {
    fn read(list: &Value) -> Option<Self> {
        let mut names: Vec<String> = list.as_array()?.iter().map(user_name).collect::<Option<_>>()?;
        names.sort_unstable();
        Some(Self(names))
    }
}

/// Who may see which targets, narrowest first. What is named nowhere is private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visibilities(Vec<(Visibility, Projects)>);

impl Visibilities {
    fn read(list: &Value) -> Option<Self> {
        let mut names = Visibility::ALL.map(|(visibility, _)| (visibility, Vec::new()));
        for entry in list.as_array()? {
            let [targets, visibility] = members(entry, ["targets", "visibility"])?;
            let visibility = Visibility::named(visibility.as_str()?)?;
            let (_, of_visibility) = names.iter_mut().find(|(known, _)| *known == visibility)?;
            of_visibility.extend(texts(targets)?);
        }
        let sets = names.into_iter().map(|(visibility, names)| Some((visibility, Projects::of(names.into_iter())?)));
        sets.collect::<Option<_>>().map(Self)
    }
}

/// The members of these names, which must be all that an object has.
fn members<'a, const N: usize>(object: &'a Value, names: [&str; N]) -> Option<[&'a Value; N]> {
    let object: &Map<String, Value> = object.as_object().filter(|object| object.len() == N)?;
    let found: Vec<&Value> = names.into_iter().map(|name| object.get(name)).collect::<Option<_>>()?;
    found.try_into().ok()
}

fn texts(list: &Value) -> Option<Vec<&str>> {
    list.as_array()?.iter().map(Value::as_str).collect()
}

/// A user's name as facts have it: printable ASCII without spaces. The forge does not look at its case.
fn user_name(name: &Value) -> Option<String> {
    let name = name.as_str().filter(|name| !name.is_empty() && name.bytes().all(|b| (0x21..0x7f).contains(&b)))?;
    Some(name.to_ascii_lowercase())
}
