//! Whose a runner is, as its token says when it asks for a job.

use alloc::string::String;

use super::payload::{members, value};
use crate::config::{PullPolicies, Runners};
use crate::request::Head;

/// Whom a runner serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// A project.
    Project,
    /// A group, the whole instance, or nobody knows.
    Shared,
}

impl Runner {
    /// What a token says of its runner. GitLab writes the kind of runner behind the mark: `glrt-t3_` is a project's. An
    /// instance may put a prefix of its own in front.
    fn of_token(token: &[u8]) -> Self {
        const PROJECT: &[u8] = b"glrt-t3_";
        if token.windows(PROJECT.len()).any(|window| window == PROJECT) { Self::Project } else { Self::Shared }
    }

    /// What the head of its request says.
    pub(super) fn of_head(head: &Head<'_>) -> Self {
        head.one("runner-token").ok().flatten().map_or(Self::Shared, Self::of_token)
    }

    /// What the head and the body of its request say, of which the body alone may have the token.
    pub(super) fn with_body(self, body: &[u8]) -> Self {
        let token = || {
            let [token] = members(core::str::from_utf8(body).ok()?, ["token"])?;
            value::<String>(token?)
        };
        token().map_or(self, |token| Self::of_token(token.as_bytes()))
    }

    /// Whether its jobs' pull policies are looked at.
    pub(super) fn is_concerned(self, config: &PullPolicies) -> bool {
        match (config.runners, self) {
            (Runners::All, _) | (Runners::Shared, Self::Shared) => true,
            (Runners::Shared, Self::Project) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_is_a_projects_own_only_where_its_token_says_so() {
        for token in ["glrt-t3_9Eszsx1d", "acme-glrt-t3_9Eszsx1d"] {
            assert_eq!(Runner::of_token(token.as_bytes()), Runner::Project, "{token}");
        }
        for token in ["glrt-t1_x", "glrt-t2_x", "glrt-9Eszsx1d", "GR1348941", "t3_x", ""] {
            assert_eq!(Runner::of_token(token.as_bytes()), Runner::Shared, "{token}");
        }
    }

    #[test]
    fn the_body_says_it_before_the_head() {
        assert_eq!(Runner::Shared.with_body(br#"{"token": "glrt-t3_x", "info": {}}"#), Runner::Project);
        assert_eq!(Runner::Project.with_body(br#"{"token": "glrt-t1_x"}"#), Runner::Shared);
        for untold in [&b"token=glrt-t3_x"[..], b"{}", br#"{"token": "glrt-t3_x", "token": "glrt-t3_x"}"#, b"\xff"] {
            assert_eq!(Runner::Shared.with_body(untold), Runner::Shared, "{}", untold.escape_ascii());
        }
    }
}
