//! What is known about a job, its user, its origin and the target it asks for.
//!
//! Values here are parsed once and valid for good. Where they came from (a lookup, the store, a configuration) is not
//! known in this room. Sources of the meanings: GitLab's documentation of roles and of CI job tokens.

mod day;
mod entry;
mod group;
mod holders;
mod host;
mod job;
mod part;
mod path;
mod secret;
mod standing;
mod target;
mod version;

pub use day::Day;
pub use entry::{Entry, Grants, Link, Permission, Permissions};
pub use group::{GroupId, GroupPath, GroupRef};
pub use holders::{Holders, MOST_HOLDERS};
pub use host::Host;
pub use job::{Context, Credential, FINAL_STATES, Invalid, Job, JobId, Origin, RunnerId, Token, User, UserId};
pub use part::{Known, Lifetime, Part};
pub(crate) use path::segments;
pub use path::{PATH_LIMIT, ProjectPath};
pub use secret::{Hash, Secret};
pub use standing::{Admission, Affiliation, Found, Outbound, Role, Standing};
pub use target::{Feature, Features, JobPush, Level, ProjectId, Target, Visibility};
pub use version::Version;
