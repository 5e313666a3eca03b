//! Where secrets come from: the environment of the VM, which is read once, or Envoy, which takes them from a file or from SDS
//! and has them change while it runs.

use alloc::string::String;

use super::choices;
use super::reader::Reader;
use crate::choices::Api;

/// Where the service account's token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceToken {
    /// The environment variable of this name.
    Environment(String),
    /// Envoy adds it to every call to the cluster of this name. Only calls in the service account's name go there.
    Cluster(String),
}

/// Where the webhook's secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookSecret {
    /// The environment variable of this name.
    Environment(String),
    /// Envoy adds it to each report, in the field [`SECRET_FIELD`].
    Envoy,
}

/// Where a secret comes from, as far as a word says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretKind {
    Environment,
    Envoy,
}

/// The field in which Envoy adds what a report's secret is compared with. No client can send it: a name that begins with a
/// colon and is no pseudo-header is malformed in HTTP/1 (RFC 9112, 5.1), HTTP/2 (RFC 9113, 8.3) and HTTP/3 (RFC 9114,
/// 4.3). So where Envoy adds none, there is none, and no report is taken.
pub const SECRET_FIELD: &str = ":jobscope-webhook-secret";

impl ServiceToken {
    /// In it `None` where there is none.
    pub(super) fn read(reader: &mut Reader<'_>, api: Option<Api>, cluster: Option<&str>) -> Option<Option<Self>> {
        let variable = reader.environment_variable("lookup.credential_env");
        let adding = reader.name("lookup.service_cluster");
        match (variable?, adding?) {
            (None, None) => Some(None),
            (Some(variable), None) => Some(Some(Self::Environment(variable))),
            (Some(_), Some(adding)) => {
                let expected = "no such key beside `lookup.credential_env`, since Envoy adds the token there";
                reader.refuse("lookup.service_cluster", expected, &adding);
                None
            }
            // A service of the team's own gets no call in a job's name.
            (None, Some(adding)) if api == Some(Api::Gitlab) && cluster == Some(adding.as_str()) => {
                let expected = "another cluster than `lookup.cluster`, which calls with jobs' tokens go to";
                reader.refuse("lookup.service_cluster", expected, &adding);
                None
            }
            (None, Some(adding)) => Some(Some(Self::Cluster(adding))),
        }
    }
}

impl WebhookSecret {
    /// The one of a webhook, or of none. In it `None` where there is none.
    pub(super) fn read(reader: &mut Reader<'_>, has_webhook: bool) -> Option<Option<Self>> {
        let variable = reader.environment_variable("webhook.secret_env");
        let kind = reader.choice("webhook.secret_from", &choices::SECRET);
        match (has_webhook, kind?, variable?) {
            (false, _, None) => Some(None),
            (false, _, Some(_)) => {
                reader.refuse("webhook.secret_env", "no such key without `webhook.path`", "a text");
                None
            }
            (true, SecretKind::Environment, Some(variable)) => Some(Some(Self::Environment(variable))),
            (true, SecretKind::Environment, None) => {
                let expected = "the name of an environment variable with the webhook's secret".into();
                reader.miss("webhook.secret_env", expected);
                None
            }
            (true, SecretKind::Envoy, None) => Some(Some(Self::Envoy)),
            (true, SecretKind::Envoy, Some(_)) => {
                let expected = "no such key with `webhook.secret_from: envoy`";
                reader.refuse("webhook.secret_env", expected, "a text");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;

    use super::*;
    use crate::Config;

    fn config(lookup: &str, webhook: &str) -> Result<Config, String> {
        let document = format!(
            r#"{{"forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h"{lookup}}}, "webhook": {{{webhook}}}}}"#
        );
        Config::parse(document.as_bytes()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn the_service_accounts_token_comes_from_one_place() {
        let token = |lookup: &str| config(lookup, "").map(|config| config.lookup.service_token);
        assert_eq!(token(r#", "credential_env": "E""#), Ok(Some(ServiceToken::Environment("E".into()))));
        assert_eq!(token(r#", "service_cluster": "s""#), Ok(Some(ServiceToken::Cluster("s".into()))));
        let v1 = r#", "api": "v1", "service_cluster": "c""#;
        assert_eq!(token(v1), Ok(Some(ServiceToken::Cluster("c".into()))), "no call there is a job's");
        for (lookup, line) in [
            (
                r#", "credential_env": "E", "service_cluster": "s""#,
                "lookup.service_cluster: expected no such key beside `lookup.credential_env`",
            ),
            (r#", "service_cluster": "c""#, "lookup.service_cluster: expected another cluster than `lookup.cluster`"),
            ("", "lookup.credential_env: missing"),
        ] {
            let error = token(lookup).unwrap_err();
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn a_secret_in_place_of_a_name_is_not_repeated() {
        let secret = "glpat-abcdefghijk12345";
        for (lookup, webhook, line) in [
            (
                format!(r#", "credential_env": "{secret}""#),
                String::new(),
                "lookup.credential_env: expected the name of an environment variable, found `another text`",
            ),
            (
                r#", "credential_env": 12345"#.into(),
                String::new(),
                "lookup.credential_env: expected the name of an environment variable, found `no text`",
            ),
            (
                r#", "credential_env": "E""#.into(),
                format!(r#""path": "/-/jobscope/webhook", "secret_env": "{secret}""#),
                "webhook.secret_env: expected the name of an environment variable, found `another text`",
            ),
            (
                r#", "credential_env": "E""#.into(),
                r#""secret_env": "abcdefghijk12345""#.into(),
                "webhook.secret_env: expected no such key without `webhook.path`, found `a text`",
            ),
        ] {
            let error = config(&lookup, &webhook).unwrap_err();
            assert!(error.contains(line) && !error.contains("12345"), "{error}");
        }
    }

    #[test]
    fn the_webhooks_secret_comes_from_one_place() {
        let secret = |webhook: &str| {
            config(r#", "credential_env": "E""#, webhook).map(|config| config.webhook.map(|webhook| webhook.secret))
        };
        let path = r#""path": "/-/jobscope/webhook""#;
        assert_eq!(secret(""), Ok(None));
        assert_eq!(secret(r#""secret_from": "envoy""#), Ok(None));
        let environment = format!(r#"{path}, "secret_env": "S""#);
        assert_eq!(secret(&environment), Ok(Some(WebhookSecret::Environment("S".into()))));
        let envoy = format!(r#"{path}, "secret_from": "envoy""#);
        assert_eq!(secret(&envoy), Ok(Some(WebhookSecret::Envoy)));
        let error = secret(&format!(r#"{envoy}, "secret_env": "S""#)).unwrap_err();
        assert!(
            error.contains("webhook.secret_env: expected no such key with `webhook.secret_from: envoy`"),
            "{error}"
        );
    }
}
