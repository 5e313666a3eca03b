//! A line of an allowlist: who is let in by it, and to what.

/// A permission that a fine-grained entry grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Read deployments.
    ReadDeployments,
    /// Write deployments.
    AdminDeployments,
    /// Read environments.
    ReadEnvironments,
    /// Write environments.
    AdminEnvironments,
    /// Read jobs and artifacts.
    ReadJobs,
    /// Write jobs.
    AdminJobs,
    /// Read merge requests.
    ReadMergeRequests,
    /// Read packages.
    ReadPackages,
    /// Publish and delete packages.
    AdminPackages,
    /// Read pipelines.
    ReadPipelines,
    /// Write pipelines.
    AdminPipelines,
    /// Read releases.
    ReadReleases,
    /// Write releases.
    AdminReleases,
    /// Read code.
    ReadRepositories,
    /// Push code.
    AdminRepositories,
    /// Read secure files.
    ReadSecureFiles,
    /// Write secure files.
    AdminSecureFiles,
    /// Read Terraform state.
    ReadTerraformState,
    /// Write Terraform state.
    AdminTerraformState,
    /// Read issues.
    ReadWorkItems,
    /// Pull images. The forge itself no longer asks for it.
    ReadContainers,
    /// Push images. The forge itself no longer asks for it.
    AdminContainers,
    /// Read badges.
    ReadBadges,
    /// Write badges.
    AdminBadges,
}

impl Permission {
    /// All of them with the forge's name. Source: GitLab's job token policies.
    pub const ALL: [(Self, &'static str); 24] = [
        (Self::ReadDeployments, "read_deployments"),
        (Self::AdminDeployments, "admin_deployments"),
        (Self::ReadEnvironments, "read_environments"),
        (Self::AdminEnvironments, "admin_environments"),
        (Self::ReadJobs, "read_jobs"),
        (Self::AdminJobs, "admin_jobs"),
        (Self::ReadMergeRequests, "read_merge_requests"),
        (Self::ReadPackages, "read_packages"),
        (Self::AdminPackages, "admin_packages"),
        (Self::ReadPipelines, "read_pipelines"),
        (Self::AdminPipelines, "admin_pipelines"),
        (Self::ReadReleases, "read_releases"),
        (Self::AdminReleases, "admin_releases"),
        (Self::ReadRepositories, "read_repositories"),
        (Self::AdminRepositories, "admin_repositories"),
        (Self::ReadSecureFiles, "read_secure_files"),
        (Self::AdminSecureFiles, "admin_secure_files"),
        (Self::ReadTerraformState, "read_terraform_state"),
        (Self::AdminTerraformState, "admin_terraform_state"),
        (Self::ReadWorkItems, "read_work_items"),
        (Self::ReadContainers, "read_containers"),
        (Self::AdminContainers, "admin_containers"),
        (Self::ReadBadges, "read_badges"),
        (Self::AdminBadges, "admin_badges"),
    ];

    /// By the forge's name, in whatever case: the forge's GraphQL API shouts.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(permission, _)| *permission)
    }

    /// The forge's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// The permission that includes this one: to write is to read.
    fn wider(self) -> Option<Self> {
        let resource = self.name().strip_prefix("read_")?;
        Self::ALL.iter().find(|(_, name)| name.strip_prefix("admin_") == Some(resource)).map(|(wider, _)| *wider)
    }

    fn bit(self) -> u32 {
        Self::ALL
            .iter()
            .position(|(known, _)| *known == self)
            .and_then(|at| 1_u32.checked_shl(u32::try_from(at).ok()?))
            .unwrap_or(0)
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u32);

impl Permissions {
    /// These permissions.
    #[must_use]
    pub fn of(permissions: &[Permission]) -> Self {
        Self(permissions.iter().fold(0, |bits, permission| bits | permission.bit()))
    }

    /// Whether a permission is granted, itself or by one that includes it.
    #[must_use]
    pub fn grant(self, permission: Permission) -> bool {
        let wider = permission.wider().map_or(0, Permission::bit);
        self.0 & (permission.bit() | wider) != 0
    }

    /// The forge's names of those that are in it.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Permission::ALL.iter().filter(move |(permission, _)| self.0 & permission.bit() != 0).map(|(_, name)| *name)
    }

    /// The set as a number, for the store.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The set that a number stands for; `None` when it stands for more than there is.
    #[must_use]
    pub fn of_bits(bits: u32) -> Option<Self> {
        let all = Permission::ALL.iter().fold(0, |all, (permission, _)| all | permission.bit());
        (bits & !all == 0).then_some(Self(bits))
    }
}

/// Whom an entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The origin itself.
    Project,
    /// A group above the origin.
    Group,
}

/// What an entry grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grants {
    /// All that a job and its user may do.
    Default,
    /// Of that, what these permissions allow.
    Only(Permissions),
}

/// The entry of a target's allowlist that counts for an origin: the one that names the origin, else the one that names
/// the nearest group above it. Never more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Whom it names.
    pub link: Link,
    /// What it grants.
    pub grants: Grants,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_write_is_to_read_and_not_the_other_way_round() {
        let writes = Permissions::of(&[Permission::AdminJobs]);
        assert!(writes.grant(Permission::AdminJobs) && writes.grant(Permission::ReadJobs));
        let reads = Permissions::of(&[Permission::ReadJobs]);
        assert!(reads.grant(Permission::ReadJobs) && !reads.grant(Permission::AdminJobs));
        assert!(!writes.grant(Permission::ReadPackages));
        assert!(!Permissions::default().grant(Permission::ReadWorkItems));
    }

    #[test]
    fn a_set_comes_back_from_its_number() {
        for (permission, name) in Permission::ALL {
            assert_eq!(Permission::named(&name.to_ascii_uppercase()), Some(permission));
            let set = Permissions::of(&[permission]);
            assert_eq!(Permissions::of_bits(set.bits()), Some(set), "{name}");
        }
        assert_eq!(Permissions::of_bits(u32::MAX), None);
        assert_eq!(Permission::named("read_everything"), None);
    }
}
