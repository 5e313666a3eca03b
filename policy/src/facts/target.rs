//! The project asked for.

use super::ProjectPath;

/// The number the forge knows a project by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(pub u64);

/// Who may see a project at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Its members.
    Private,
    /// Everybody who is signed in and not external.
    Internal,
    /// Everybody.
    Public,
}

impl Visibility {
    /// All of them, with their names in the forge's API.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Private, "private"), (Self::Internal, "internal"), (Self::Public, "public")];

    /// By its name in the forge's API.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(v, _)| *v)
    }

    /// Its name in the forge's API.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }
}

/// How far a feature of a project is open, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nobody uses it.
    Disabled,
    /// Members alone use it, whatever the project's visibility.
    Members,
    /// Whoever may see the project uses it.
    Enabled,
}

impl Level {
    /// All of them with their names in the forge's API.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Disabled, "disabled"),
        (Self::Members, "private"),
        (Self::Enabled, "enabled"),
        (Self::Enabled, "public"),
    ];

    /// By its name in the forge's API.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(level, _)| *level)
    }

    /// Its name in the forge's API.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }
}

/// A part of a project that can be switched off or kept to members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Code and LFS.
    Repository,
    /// The wiki.
    Wiki,
    /// Jobs, artifacts, pipelines.
    Builds,
    /// Container images.
    Images,
    /// Packages.
    Packages,
    /// Releases.
    Releases,
    /// Environments and deployments.
    Environments,
    /// Merge requests.
    MergeRequests,
    /// Issues.
    Issues,
    /// Terraform state.
    Infrastructure,
}

impl Feature {
    /// All of them with the name of their level in GitLab's project answer.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Repository, "repository_access_level"),
        (Self::Wiki, "wiki_access_level"),
        (Self::Builds, "builds_access_level"),
        (Self::Images, "container_registry_access_level"),
        (Self::Packages, "package_registry_access_level"),
        (Self::Releases, "releases_access_level"),
        (Self::Environments, "environments_access_level"),
        (Self::MergeRequests, "merge_requests_access_level"),
        (Self::Issues, "issues_access_level"),
        (Self::Infrastructure, "infrastructure_access_level"),
    ];

    /// Its name: that of its level in GitLab's project answer, without the words that all have.
    #[must_use]
    pub fn part(self) -> &'static str {
        let level = Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name);
        level.strip_suffix("_access_level").unwrap_or(level)
    }

    /// The features that it works on: it is open no further than they are.
    fn works_on(self) -> &'static [Self] {
        match self {
            Self::Wiki | Self::Builds | Self::MergeRequests => &[Self::Repository],
            Self::Environments => &[Self::Repository, Self::Builds],
            Self::Repository | Self::Images | Self::Packages | Self::Releases | Self::Issues | Self::Infrastructure => {
                &[]
            }
        }
    }
}

/// The level of every feature, in the order of [`Feature::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features(pub [Level; Feature::ALL.len()]);

impl Features {
    /// Everything open to whoever sees the project.
    pub const OPEN: Self = Self([Level::Enabled; Feature::ALL.len()]);

    /// The level that is set for one feature.
    #[must_use]
    pub fn set(&self, feature: Feature) -> Level {
        Feature::ALL.iter().zip(self.0).find(|((f, _), _)| *f == feature).map_or(Level::Disabled, |(_, level)| level)
    }
}

/// Whose jobs may push code to a project, where their user may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobPush {
    /// Nobody's (the default).
    Off,
    /// Its own.
    Own,
    /// Its own, and those whose allowlist entry grants it.
    Admitted,
}

impl JobPush {
    /// All of them, with their names in lookups.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Off, "off"), (Self::Own, "own"), (Self::Admitted, "admitted")];

    /// Its name in lookups.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// What two settings of a project say together: whether its own jobs push, and whether admitted ones do as well.
    #[must_use]
    pub fn of_settings(own: bool, admitted: bool) -> Self {
        match (own, admitted) {
            (false, _) => Self::Off,
            (true, false) => Self::Own,
            (true, true) => Self::Admitted,
        }
    }
}

/// The project asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The forge's number for the project; `None` where nobody was asked for it.
    pub id: Option<ProjectId>,
    /// Its full path today, which may differ from the path asked for when the project moved; `None` where nobody was
    /// asked for it. What is said of paths is then not said of this project.
    pub path: Option<ProjectPath>,
    /// Who may see it; `None` where the forge checks it itself.
    pub visibility: Option<Visibility>,
    /// How far each feature is open.
    pub features: Features,
    /// Whose jobs may push code to it.
    pub job_push: JobPush,
    /// Whether guests, and whoever may see it otherwise, see its jobs too: GitLab's "project-based pipeline visibility".
    pub public_jobs: bool,
    /// Whether it takes no changes: it is archived, or about to be deleted.
    pub archived: bool,
}

impl Target {
    /// How far one feature is open: as far as is set, and no further than what it works on.
    #[must_use]
    pub fn level(&self, feature: Feature) -> Level {
        let set = self.features.set(feature);
        // A public wiki is every visitor's, whoever may read the code.
        if feature == Feature::Wiki && set == Level::Enabled && self.visibility == Some(Visibility::Public) {
            return set;
        }
        // Images stay where the code is kept to members, and go where there is none.
        let code = self.features.set(Feature::Repository);
        if feature == Feature::Images && code == Level::Disabled {
            return code;
        }
        feature.works_on().iter().map(|one| self.features.set(*one)).fold(set, Level::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Feature::{Builds, Environments, Images, MergeRequests, Repository, Wiki};

    fn target(visibility: Visibility, set: &[(Feature, Level)]) -> Target {
        let level = |one| set.iter().find(|(known, _)| *known == one).map_or(Level::Enabled, |(_, level)| *level);
        Target {
            id: None,
            path: None,
            visibility: Some(visibility),
            features: Features(Feature::ALL.map(|(one, _)| level(one))),
            job_push: JobPush::Off,
            public_jobs: true,
            archived: false,
        }
    }

    fn closed(target: &Target, to: Level) -> std::vec::Vec<Feature> {
        Feature::ALL.into_iter().map(|(one, _)| one).filter(|one| target.level(*one) == to).collect()
    }

    #[test]
    fn what_works_on_code_is_no_further_open_than_the_code() {
        for (visibility, _) in Visibility::ALL {
            let members = target(visibility, &[(Repository, Level::Members)]);
            let off = target(visibility, &[(Repository, Level::Disabled)]);
            let (mut with_code, mut without) = (
                std::vec![Repository, Wiki, Builds, Environments, MergeRequests],
                std::vec![Repository, Wiki, Builds, Images, Environments, MergeRequests],
            );
            // A public wiki is every visitor's.
            if visibility == Visibility::Public {
                with_code.retain(|one| *one != Wiki);
                without.retain(|one| *one != Wiki);
            }
            assert_eq!(closed(&members, Level::Members), with_code, "{visibility:?}");
            assert_eq!(closed(&off, Level::Disabled), without, "{visibility:?}");
        }
    }

    #[test]
    fn environments_are_no_further_open_than_builds_and_a_feature_closes_itself() {
        let members = target(Visibility::Public, &[(Builds, Level::Members)]);
        assert_eq!(closed(&members, Level::Members), [Builds, Environments]);
        for (feature, _) in Feature::ALL {
            let off = target(Visibility::Public, &[(feature, Level::Disabled)]);
            assert_eq!(off.level(feature), Level::Disabled, "{feature:?}");
        }
    }
}
