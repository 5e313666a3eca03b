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

/// How far a feature of a project is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl Feature {
    /// All of them with the name of their level in GitLab's project answer.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Repository, "repository_access_level"),
        (Self::Wiki, "wiki_access_level"),
        (Self::Builds, "builds_access_level"),
        (Self::Images, "container_registry_access_level"),
        (Self::Packages, "package_registry_access_level"),
        (Self::Releases, "releases_access_level"),
        (Self::Environments, "environments_access_level"),
        (Self::MergeRequests, "merge_requests_access_level"),
        (Self::Issues, "issues_access_level"),
    ];

    /// Whether it works on the project's code, so that it is off where the code is.
    fn works_on_code(self) -> bool {
        match self {
            Self::Builds | Self::Images | Self::Environments | Self::MergeRequests => true,
            Self::Repository | Self::Wiki | Self::Packages | Self::Releases | Self::Issues => false,
        }
    }
}

/// The level of every feature, in the order of [`Feature::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features(pub [Level; 9]);

impl Features {
    /// Everything open to whoever sees the project.
    pub const OPEN: Self = Self([Level::Enabled; 9]);

    /// The level of one feature: its own, unless it works on code and there is none.
    #[must_use]
    pub fn level(&self, feature: Feature) -> Level {
        if feature.works_on_code() && self.own(Feature::Repository) == Level::Disabled {
            return Level::Disabled;
        }
        self.own(feature)
    }

    fn own(&self, feature: Feature) -> Level {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_on_code_is_off_where_the_code_is() {
        let with_code = |code: Level| {
            let mut features = Features::OPEN;
            features.0[0] = code;
            features
        };
        for code in [Level::Enabled, Level::Members] {
            assert_eq!(with_code(code).level(Feature::Images), Level::Enabled);
        }
        let off = Feature::ALL
            .map(|(feature, _)| feature)
            .into_iter()
            .filter(|feature| with_code(Level::Disabled).level(*feature) == Level::Disabled);
        use Feature::{Builds, Environments, Images, MergeRequests, Repository};
        assert!(off.eq([Repository, Builds, Images, Environments, MergeRequests]));
    }
}
