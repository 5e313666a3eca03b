//! The words of the rows and what stands for them here, as tables.

use super::given::Token;

/// The ways in which a row's request carries a token, as the keys of what it gives.
pub(super) const CARRIERS: [&str; 6] =
    ["job_token param", "token param", "JOB-TOKEN", "PRIVATE-TOKEN", "Authorization: Bearer", "Authorization: Basic"];

/// What a row says of a token; the first word that stands in the text counts. `None` leaves it as it is.
const TOKENS: [(&str, Option<Token>); 18] = [
    ("of another job", Some(Token::OfAnotherJob)),
    ("longer than", Some(Token::TooLong)),
    ("past exp", Some(Token::Dead("unknown"))),
    ("expired", Some(Token::Dead("unknown"))),
    ("finished", Some(Token::Dead("ended"))),
    ("not running", Some(Token::Dead("ended"))),
    ("erased", Some(Token::Dead("erased"))),
    ("project is gone", Some(Token::Dead("project-gone"))),
    ("project is deleted", Some(Token::Dead("project-gone"))),
    ("unknown", Some(Token::Dead("unknown"))),
    ("invalid", Some(Token::Dead("unknown"))),
    ("bad_token", Some(Token::Dead("unknown"))),
    ("none", Some(Token::None)),
    ("missing", Some(Token::None)),
    ("running", None),
    ("valid", None),
    ("job", None),
    ("project bot", None),
];

/// What a text says of a token that was `before`. `None` for a text that says nothing known.
pub(super) fn token(text: &str, before: Token) -> Option<Token> {
    TOKENS.iter().find(|(words, _)| text.contains(words)).map(|(_, token)| token.unwrap_or(before))
}

/// Names that stand for any permission.
const PLACEHOLDERS: [(&str, &str); 3] =
    [("read_x", "read_packages"), ("admin_x", "admin_packages"), ("other", "read_deployments")];

/// A permission's own name.
pub(super) fn policy(name: &str) -> String {
    PLACEHOLDERS.iter().find(|(known, _)| *known == name).map_or(name, |(_, policy)| policy).to_owned()
}

/// An endpoint below `/api/v4/projects/:id/`, and what it asks of an entry that grants single permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub method: &'static str,
    pub path: &'static str,
    pub policies: &'static [&'static str],
}

const fn endpoint(method: &'static str, path: &'static str, policies: &'static [&'static str]) -> Endpoint {
    Endpoint { method, path, policies }
}

/// Where a row says "any endpoint".
pub(super) const ANY: Endpoint = endpoint("GET", "releases", &["read_releases"]);
/// One that is open to nobody without a role, and asks for two permissions.
pub(super) const CLOSED: Endpoint = endpoint("POST", "deployments", &["admin_deployments", "admin_environments"]);
/// One for which there is no permission.
pub(super) const WITHOUT_POLICY: Endpoint = endpoint("GET", "packages/conan/v1/ping", &[]);

/// One endpoint for each permission. No endpoint asks for `admin_jobs`.
pub(super) const ENDPOINTS: [Endpoint; 21] = [
    CLOSED,
    endpoint("GET", "deployments", &["read_deployments"]),
    endpoint("PUT", "deployments/1", &["admin_deployments"]),
    endpoint("GET", "environments", &["read_environments"]),
    endpoint("POST", "environments", &["admin_environments"]),
    endpoint("GET", "jobs", &["read_jobs"]),
    endpoint("GET", "merge_requests", &["read_merge_requests"]),
    endpoint("GET", "packages", &["read_packages"]),
    endpoint("PUT", "packages/generic/p/1.0/f", &["admin_packages"]),
    endpoint("GET", "pipelines", &["read_pipelines"]),
    endpoint("PUT", "pipelines/1/metadata", &["admin_pipelines"]),
    endpoint("GET", "releases", &["read_releases"]),
    endpoint("POST", "releases", &["admin_releases"]),
    endpoint("GET", "repository/tags", &["read_repositories"]),
    endpoint("GET", "secure_files", &["read_secure_files"]),
    endpoint("POST", "secure_files", &["admin_secure_files"]),
    endpoint("GET", "terraform/state/s", &["read_terraform_state"]),
    endpoint("POST", "terraform/state/s", &["admin_terraform_state"]),
    endpoint("GET", "issues", &["read_work_items"]),
    endpoint("GET", "badges", &["read_badges"]),
    endpoint("POST", "badges", &["admin_badges"]),
];

/// Endpoints of projects that these parts, all open, open to everybody.
pub(super) const OPEN: [(&[&str], Endpoint); 6] = [
    (&["repository"], endpoint("GET", "repository/commits/main", &["read_repositories"])),
    (&["repository", "merge_requests"], endpoint("GET", "merge_requests", &["read_merge_requests"])),
    (&["repository", "builds"], endpoint("GET", "pipelines", &["read_pipelines"])),
    (&["repository", "builds", "environments"], endpoint("GET", "environments", &["read_environments"])),
    (&["issues"], endpoint("GET", "issues", &["read_work_items"])),
    (&["package_registry"], endpoint("GET", "packages/npm/p/-/p-1.0.tgz", &["read_packages"])),
];

/// What is asked where a row asks for an ability of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// Git's name of a service, of the project's code or of its wiki.
    Git(&'static str, Repository),
    /// An action in the scope of a registry token.
    Registry(&'static str),
    /// An endpoint.
    Api(Endpoint),
    /// What every job may that sees the project: its code, open to everybody.
    OpenRead,
    /// What this role gives and no lower one, where every part of the project is kept to members.
    Role(&'static str),
    /// No action needs the role Guest alone, so a guest is asked about as a planner.
    GuestsRole,
    /// Nothing of its own: to read a project is to read something in it, so the row's other abilities are asked.
    Something,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repository {
    Code,
    Wiki,
}

const fn api(method: &'static str, path: &'static str) -> Probe {
    Probe::Api(endpoint(method, path, &[]))
}

pub(super) const FETCH: Probe = Probe::Git("git-upload-pack", Repository::Code);
const PUSH: Probe = Probe::Git("git-receive-pack", Repository::Code);

/// Abilities of users, and what stands for each.
pub(super) const ABILITIES: [(&str, Probe); 49] = [
    ("public_access", Probe::OpenRead),
    ("public_user_access", Probe::OpenRead),
    ("guest_access", Probe::GuestsRole),
    ("planner_access", Probe::Role("planner")),
    ("reporter_access", Probe::Role("reporter")),
    ("developer_access", Probe::Role("developer")),
    ("maintainer_access", Probe::Role("maintainer")),
    ("owner_access", Probe::Role("maintainer")),
    ("read_project", Probe::Something),
    ("read_code", FETCH),
    ("download_code", FETCH),
    ("build_download_code", FETCH),
    ("push_code", PUSH),
    ("build_push_code", PUSH),
    ("read_wiki", Probe::Git("git-upload-pack", Repository::Wiki)),
    ("download_wiki_code", Probe::Git("git-upload-pack", Repository::Wiki)),
    ("read_container_image", Probe::Registry("pull")),
    ("build_read_container_image", Probe::Registry("pull")),
    ("create_container_image", Probe::Registry("push")),
    ("build_create_container_image", Probe::Registry("push")),
    ("destroy_container_image", Probe::Registry("delete")),
    ("build_destroy_container_image", Probe::Registry("delete")),
    ("admin_container_image", Probe::Registry("delete")),
    ("read_package", api("GET", "packages")),
    ("create_package", api("PUT", "packages/generic/p/1.0/f")),
    ("destroy_package", api("DELETE", "packages/1")),
    ("read_commit_status", api("GET", "pipelines")),
    ("read_build", api("GET", "jobs")),
    ("read_job_artifacts", api("GET", "jobs/7/artifacts")),
    ("read_pipeline", api("GET", "pipelines")),
    ("update_pipeline", api("PUT", "pipelines/1/metadata")),
    ("read_release", api("GET", "releases")),
    ("create_release", api("POST", "releases")),
    ("update_release", api("PUT", "releases/v1")),
    ("destroy_release", api("DELETE", "releases/v1")),
    ("read_environment", api("GET", "environments")),
    ("create_environment", api("POST", "environments")),
    ("update_environment", api("PUT", "environments/1")),
    ("destroy_environment", api("DELETE", "environments/1")),
    ("read_deployment", api("GET", "deployments")),
    ("create_deployment", api("POST", "deployments")),
    ("update_deployment", api("PUT", "deployments/1")),
    ("destroy_deployment", api("DELETE", "deployments/1")),
    ("read_merge_request", api("GET", "merge_requests")),
    ("read_issue", api("GET", "issues")),
    ("read_secure_files", api("GET", "secure_files")),
    ("admin_secure_files", api("POST", "secure_files")),
    ("read_terraform_state", api("GET", "terraform/state/s")),
    ("admin_terraform_state", api("POST", "terraform/state/s")),
];

/// For each role what it gives and no lower one. No action needs an Owner.
pub(super) const ROLES: [(&str, Probe); 4] = [
    ("planner", FETCH),
    ("reporter", api("GET", "releases")),
    ("developer", api("POST", "releases")),
    ("maintainer", api("DELETE", "packages/1")),
];
