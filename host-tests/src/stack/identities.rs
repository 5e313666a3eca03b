//! Jobs with ID tokens before a forge that knows none of them: `envoy/identities`, with this machine's names put in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::credentials::{HTPASSWD, add_credentials};
use super::registry::{self, ACCOUNTS};
use super::{Child, Forge, GitServer, LOOKUP_TOKEN, LookupService, at, checkout, envoy, ports};

/// The service's variable with the token for the CI's API, and that token: another account's than the one that the filter has.
const CI_TOKEN: (&str, &str) = ("GITLAB_TOKEN", "glpat-ada");
/// The service's variable with the token of those who ask it.
const CALLER_TOKEN: &str = "CALLER_TOKEN";

/// What stands behind Envoy then, but for the registry.
pub struct Identities {
    git: GitServer,
    service: LookupService,
    audience: Value,
    issuer: Value,
    secrets: PathBuf,
    log: PathBuf,
}

impl Identities {
    /// Starts a Git server with the repositories of `ci`, and the service that asks `ci` about jobs; both below `dir`.
    pub(super) fn start(dir: &Path, ci: &Forge) -> Result<Self> {
        let (secrets, log) = (dir.join("secrets"), dir.join("git-server.log"));
        fs::create_dir_all(&secrets)?;
        let git = GitServer::start(&dir.join("forge/repositories"), &log)?;
        let mut document: Value = read("lookup.yaml")?;
        let at_ci = format!("http://127.0.0.1:{}", ci.port());
        let port = ports::pick()?;
        *at(&mut document, "/api/listen")? = json!(format!("127.0.0.1:{port}"));
        let issuer = at(&mut document, "/forge/issuers/0")?;
        issuer["jwks_uri"] = json!(format!("{at_ci}/oauth/discovery/keys"));
        issuer["api"] = json!(at_ci);
        let issuer = issuer["issuer"].clone();
        let audience = at(&mut document, "/forge/audience")?.clone();
        let service = LookupService::of(port, document, &[(CALLER_TOKEN, LOOKUP_TOKEN.1), CI_TOKEN], Some(dir))?;
        Ok(Self { git, service, audience, issuer, secrets, log })
    }

    /// Starts a registry with the accounts.
    pub(super) fn registry(&self, dir: &Path, port: u16) -> Result<Child> {
        fs::write(dir.join(ACCOUNTS), HTPASSWD)?;
        registry::start_with_accounts(dir, port)
    }

    /// The filter's configuration.
    pub(super) fn settings() -> Result<Value> {
        envoy::here(read("filter.yaml")?)
    }

    /// What Envoy has besides what is deployed.
    pub(super) fn add(&self, envoy: &mut Value, registry: u16) -> Result<()> {
        add_credentials(envoy, &self.secrets, [self.git.port(), registry])
    }

    /// The Git server.
    #[must_use]
    pub fn git(&self) -> &GitServer {
        &self.git
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &LookupService {
        &self.service
    }

    /// What the Git server was asked, and in whose name.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The ID token that `ci` signs for a job, for whom the service takes it. `other` are claims in place of the usual ones.
    ///
    /// # Errors
    ///
    /// When there is no such job.
    pub fn token(&self, ci: &Forge, job: u64, other: &Value) -> Result<String> {
        let mut claims = json!({"iss": self.issuer, "aud": self.audience});
        for (name, value) in other.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        ci.id_token(job, &claims)
    }
}

fn read<T: DeserializeOwned>(name: &str) -> Result<T> {
    let file = checkout().join("envoy/identities").join(name);
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("in `{}`", file.display()))
}
