//! Where the forges that we name read a credential from, and which of their sources says so.

use super::credential::Carrier;

/// Schemes of `Authorization`. GitLab, Gitea and Forgejo take them in letters of either case, giftless too.
pub(super) const SCHEMES: [(&str, Carrier, &str); 3] = [
    ("basic", Carrier::Basic, "all of them: HTTP Basic, in giftless the user `_jwt`"),
    (
        "bearer",
        Carrier::Bearer,
        "GitLab by Doorkeeper, Gitea's httpauth.go, giftless's auth/jwt.py, the registry's token.go",
    ),
    ("token", Carrier::Token, "Gitea's and Forgejo's oauth2.go; ActionPack's `token_and_options`"),
];

/// Header fields, of which no other than these says who somebody is.
pub(super) const FIELDS: [(&str, &str); 5] = [
    ("authorization", "all of them"),
    ("job-token", "GitLab's auth_finders.rb"),
    ("private-token", "GitLab's auth_finders.rb"),
    ("deploy-token", "GitLab's auth_finders.rb"),
    ("x-nuget-apikey", "GitLab's NuGet endpoints; Gitea's take no job's token there"),
];

/// Names of a query, a form or a JSON object.
pub(super) const PARAMETERS: [(&str, &str); 8] = [
    ("job_token", "GitLab's auth_finders.rb"),
    ("token", "GitLab's triggers and runners; Gitea's and Forgejo's oauth2.go"),
    ("access_token", "GitLab by Doorkeeper; Gitea's and Forgejo's oauth2.go"),
    ("bearer_token", "GitLab by Doorkeeper"),
    ("private_token", "GitLab's auth_finders.rb"),
    ("password", "token endpoints of registries, OAuth 2.0"),
    ("refresh_token", "token endpoints of registries, OAuth 2.0"),
    ("jwt", "giftless's auth/jwt.py"),
];

#[cfg(test)]
mod tests {
    use super::super::credential::{Credential, find};
    use super::super::head::{Body, Head};
    use super::*;
    use crate::choices::Kind;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use std::format;

    fn found(kind: Kind, name: &str, value: &str) -> Credential {
        let fields = [(name.as_bytes(), value.as_bytes())];
        find(kind, &Head::new(&fields, Body::None)).0
    }

    /// Whether a job's token is found, or what may be one.
    fn is_seen(credential: &Credential) -> bool {
        matches!(
            credential,
            Credential::Job(..) | Credential::Same(..) | Credential::Unmarked(..) | Credential::Refused(_)
        )
    }

    #[test]
    fn every_carrier_of_every_forge_is_looked_at() {
        const MARKED: &str = "glcbt-64_0123456789abcdefghij";
        for kind in [Kind::Gitlab, Kind::Gitea, Kind::Generic] {
            for (scheme, ..) in SCHEMES {
                let credential = if scheme == "basic" { STANDARD.encode(format!("x:{MARKED}")) } else { MARKED.into() };
                for scheme in [scheme.into(), scheme.to_ascii_uppercase()] {
                    assert!(is_seen(&found(kind, "authorization", &format!("{scheme} {credential}"))), "{scheme}");
                }
            }
            for (name, _) in FIELDS {
                assert!(is_seen(&found(kind, name, MARKED)), "{name}");
                assert!(is_seen(&found(kind, &name.to_ascii_uppercase(), MARKED)), "{name}");
            }
            for (name, _) in PARAMETERS {
                assert!(is_seen(&found(kind, ":path", &format!("/x?{name}={MARKED}"))), "{name}");
            }
        }
    }

    #[test]
    fn a_token_without_a_mark_is_looked_up_in_every_carrier_of_its_forge() {
        let opaque = |name, value: &str| matches!(found(Kind::Generic, name, value), Credential::Unmarked(..));
        for (scheme, ..) in SCHEMES {
            let credential = if scheme == "basic" { STANDARD.encode("_jwt:0123abcd") } else { "0123abcd".into() };
            assert!(opaque("authorization", &format!("{scheme} {credential}")), "{scheme}");
            assert!(opaque("Authorization", &format!("{scheme} {credential}")), "{scheme}");
        }
        for (name, _) in PARAMETERS.into_iter().filter(|(name, _)| *name != "job_token") {
            assert!(opaque(":path", &format!("/x?{name}=0123abcd")), "{name}");
        }
    }
}
