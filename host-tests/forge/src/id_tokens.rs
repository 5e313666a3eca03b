//! ID tokens, which a GitLab signs for its jobs, and the key by which others know them.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::forge::Forge;
use crate::jobs::Job;

/// What the key is called.
const KID: &str = "stand-in";
/// How long a token is good, in seconds: as long as GitLab lets a job run.
const LIFETIME: u64 = 3600;

/// Signs with one key, made when it is first asked for: most who start this forge never do.
#[derive(Default)]
pub struct IdTokens {
    key: OnceCell<EncodingKey>,
}

impl IdTokens {
    /// The public half of the key, as GitLab shows it at `/oauth/discovery/keys`.
    ///
    /// # Errors
    /// When no key can be made.
    pub async fn keys(&self) -> Result<JwkSet> {
        let mut key = Jwk::from_encoding_key(self.key().await?, Algorithm::RS256)?;
        key.common.key_id = Some(KID.to_owned());
        Ok(JwkSet { keys: vec![key] })
    }

    /// A token of a job. `other` are claims that it has in place of the usual ones, or beside them.
    ///
    /// # Errors
    /// When no key can be made, or it does not sign.
    pub async fn sign(&self, forge: &Forge, job: &Job, other: &Map<String, Value>) -> Result<String> {
        let mut claims = claims(forge, job)?;
        claims.extend(other.clone());
        let header = Header { kid: Some(KID.to_owned()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, &claims, self.key().await?).context("cannot sign an ID token")
    }

    async fn key(&self) -> Result<&EncodingKey> {
        self.key.get_or_try_init(make).await
    }
}

/// No library here makes a key of the kind that GitLab signs with.
async fn make() -> Result<EncodingKey> {
    let made = Command::new("openssl").args(["genrsa", "-traditional", "2048"]).output().await;
    let made = made.context("cannot start openssl, which makes the key of ID tokens")?;
    ensure!(made.status.success(), "openssl made no key: {}", String::from_utf8_lossy(&made.stderr));
    let pem = String::from_utf8(made.stdout)?;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Ok(EncodingKey::from_rsa_der(&STANDARD.decode(body)?))
}

fn claims(forge: &Forge, job: &Job) -> Result<Map<String, Value>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let seconds = now.as_secs();
    let world = forge.world();
    let project = world.project(job.project).context("the job has no project")?;
    let user = job.user.and_then(|id| world.user(id));
    let claims = json!({
        "iss": forge.settings.base,
        "sub": format!("project_path:{}:ref_type:branch:ref:{}", project.path, job.reference),
        "aud": forge.settings.base,
        "iat": seconds,
        "nbf": seconds.saturating_sub(5),
        "exp": seconds.saturating_add(LIFETIME),
        "jti": format!("{:032x}", now.as_nanos()),
        "namespace_id": project.group.to_string(),
        "project_id": project.id.to_string(),
        "project_path": project.path,
        "job_project_id": project.id.to_string(),
        "user_id": user.map(|user| user.id.to_string()),
        "user_login": user.map(|user| &user.username),
        "pipeline_id": job.pipeline().to_string(),
        "pipeline_source": job.source,
        "job_id": job.id.to_string(),
        "ref": job.reference,
        "ref_type": "branch",
        "ref_protected": "false",
    });
    match claims {
        Value::Object(claims) => Ok(claims),
        _ => anyhow::bail!("claims must be an object"),
    }
}
