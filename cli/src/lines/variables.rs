//! The variables that a job finds in its environment, for lines that are pasted from its script.

use policy::Config;
use policy::facts::Job;

use super::LineError;

/// The predefined variables of a job that matter to a request.
pub(super) struct Variables(Vec<(&'static str, String)>);

impl Variables {
    pub(super) fn of(config: &Config, job: &Job, token: &str) -> Self {
        let first =
            |hosts: &[policy::facts::Host]| hosts.first().map_or_else(String::new, |one| one.as_str().to_owned());
        let (forge, registry) = (first(&config.forge.hosts), first(&config.forge.registry_hosts));
        let (path, root) = (job.origin.path.to_string(), &config.forge.relative_url_root);
        let server = format!("https://{forge}{root}");
        let context = &job.context;
        Self(vec![
            ("CI_API_V4_URL", format!("{server}/api/v4")),
            ("CI_COMMIT_REF_NAME", context.git_ref.clone().unwrap_or_default()),
            ("CI_JOB_ID", job.id.0.to_string()),
            ("CI_JOB_TOKEN", token.to_owned()),
            ("CI_PROJECT_ID", job.origin.id.0.to_string()),
            ("CI_PROJECT_NAME", job.origin.path.name().to_owned()),
            ("CI_PROJECT_NAMESPACE", job.origin.path.groups().next().unwrap_or_default().to_owned()),
            ("CI_PROJECT_PATH", path.clone()),
            ("CI_PROJECT_URL", format!("{server}/{path}")),
            ("CI_REGISTRY", registry.clone()),
            ("CI_REGISTRY_IMAGE", format!("{registry}/{path}")),
            ("CI_REGISTRY_PASSWORD", token.to_owned()),
            ("CI_REGISTRY_USER", "gitlab-ci-token".to_owned()),
            ("CI_REPOSITORY_URL", format!("https://gitlab-ci-token:{token}@{forge}{root}/{path}.git")),
            ("CI_SERVER_HOST", forge),
            ("CI_SERVER_URL", server),
        ])
    }

    /// A word with its `$NAME` and `${NAME}` replaced.
    pub(super) fn expand(&self, word: &str) -> Result<String, LineError> {
        let mut pieces = word.split('$');
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, rest) = match piece.strip_prefix('{') {
                Some(braced) => braced.split_once('}').ok_or_else(|| LineError::Variable(piece.to_owned()))?,
                None => {
                    piece.split_at_checked(piece.find(|c| !is_name(c)).unwrap_or(piece.len())).unwrap_or((piece, ""))
                }
            };
            if name.is_empty() {
                text.push('$');
            } else {
                let known = self.0.iter().find(|(known, _)| *known == name);
                let (_, value) = known.ok_or_else(|| LineError::Variable(name.to_owned()))?;
                text.push_str(value);
            }
            text.push_str(rest);
        }
        Ok(text)
    }
}
