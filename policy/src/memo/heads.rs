//! Heads that were read before: an equal one reads alike.

use core::hash::Hash;

use memchr::memchr;
use siphasher::sip128::{Hash128, Hasher128, SipHasher13};

use crate::choices::Kind;
use crate::config::Forge;
use crate::request::{Head, may_hold_token};

/// Fields that differ from one request to the next, and that reading never asks for. In the value of any field it looks for
/// tokens; a value that holds nothing like one is not looked at any further.
pub(super) const UNREAD: [&str; 12] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "git-protocol",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

/// What a login of a job begins with, `gitlab-ci-token` in base64.
const LOGIN: &[u8] = b"Basic Z2l0bGFiLWNpLXRva2Vu";

/// What a query with a job's token begins with.
const QUERY: &[u8] = b"?job_token=";

/// The longest head that is hashed, in bytes: twice what one with a job's longest usual token has. What is longer is made to be
/// expensive.
const LONGEST: usize = 4096;

/// Whether a field has a job's token where most jobs have theirs. A head without one is not worth a hash.
fn is_jobs(name: &[u8], value: &[u8]) -> bool {
    name == b"job-token"
        || (name == b"authorization" && (value.starts_with(LOGIN) || may_hold_token(value)))
        || (name == b":path" && query(value).is_some_and(|query| query.starts_with(QUERY)))
}

fn query(path: &[u8]) -> Option<&[u8]> {
    path.get(memchr(b'?', path)?..)
}

/// How a field with a JWT begins.
const BEARER: &[u8] = b"Bearer eyJ";

/// The first field with a JWT, which is hashed by itself.
pub(super) fn jwt<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    let is_it = |(name, value): &&(&[u8], &[u8])| value.starts_with(BEARER) && *name == b"authorization";
    head.fields().iter().find(is_it).map(|(_, value)| *value)
}

/// What was hashed.
pub(super) struct Hashed {
    pub(super) head: SipHasher13,
    /// Of that the field with the JWT.
    pub(super) jwt: Option<Hash128>,
}

/// Hashes all of a head that reading looks at, and whether a body follows. `None` where it is not known what that is: another
/// forge's tokens look like nothing; and where it is not worth it.
pub(super) fn hash(forge: &Forge, head: &Head<'_>, mut hasher: SipHasher13) -> Option<Hashed> {
    let size = head.fields().iter().map(|(name, value)| name.len().saturating_add(value.len())).sum::<usize>();
    let is_worth = size <= LONGEST && head.fields().iter().any(|(name, value)| is_jobs(name, value));
    if forge.kind != Kind::Gitlab || !is_worth {
        return None;
    }
    let jwt = jwt(head).map(|value| {
        let mut hasher = hasher;
        value.hash(&mut hasher);
        (value, hasher.finish128())
    });
    head.body().hash(&mut hasher);
    let is_unread =
        |name: &[u8], value: &[u8]| UNREAD.iter().any(|unread| unread.as_bytes() == name) && !may_hold_token(value);
    for (name, value) in head.fields().iter().filter(|(name, value)| !is_unread(name, value)) {
        match &jwt {
            Some((jwt, hashed)) if core::ptr::eq(*jwt, *value) => (name, hashed.as_u128()).hash(&mut hasher),
            _ => (name, value).hash(&mut hasher),
        }
    }
    Some(Hashed { head: hasher, jwt: jwt.map(|(_, hashed)| hashed) })
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::Config;
    use crate::lifecycle::Watch;
    use crate::request::{Body, read};

    fn config(kind: &str) -> Config {
        let document = format!(
            r#"{{"forge": {{"hosts": ["h"], "registry_hosts": ["r"]{kind}}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
        );
        Config::parse(document.as_bytes()).unwrap()
    }

    const TOKEN: &str = "glcbt-64_0123456789abcdefghij";
    const JWT: &str = "eyJh.eyJhdXRoX3R5cGUiOiJidWlsZCJ9.c2ln";

    /// How many paths there are.
    const PATHS: usize = 10;

    /// How many fields with credentials.
    const CARRIERS: usize = 9;

    /// Where a request goes, and the field that has its credential.
    fn request(path: usize, carrier: usize) -> Vec<(String, Vec<u8>)> {
        let (host, path) = [
            ("h", "/libs/common.git/info/refs?service=git-upload-pack"),
            ("h", "/api/v4/projects/102/packages/generic/tool/1.0/tool.txt"),
            ("h", "/api/v4/job"),
            ("r", "/v2/apps/web/app/manifests/v1"),
            ("h", "/jwt/auth?service=container_registry&scope=repository:apps/web:pull"),
            ("h", "/libs/common?go-get=1"),
            ("h", "/libs//common"),
            ("h", "/dashboard"),
            ("h", "/libs/common.git/git-upload-pack"),
            ("h", "/api/v4/projects/102/packages/generic/tool/1.0/tool.txt?job_token=glcbt-64_0123456789abcdefghij"),
        ][path % PATHS];
        let login = |user: &str, token| format!("Basic {}", STANDARD.encode(format!("{user}:{token}")));
        let (name, value) = match carrier % CARRIERS {
            0 => ("authorization", login("gitlab-ci-token", TOKEN)),
            1 => ("authorization", login("dana", TOKEN)),
            2 => ("job-token", TOKEN.to_string()),
            3 => ("private-token", "glpat-dana".to_string()),
            4 => ("authorization", format!("Bearer {TOKEN}")),
            5 => ("cookie", "session=1".to_string()),
            6 => ("authorization", format!("Bearer {JWT}")),
            7 => ("authorization", login("dana", JWT)),
            _ => ("x-custom", TOKEN.to_string()),
        };
        let head = [(":method", "GET"), (":path", path), (":authority", host), (name, &value)];
        head.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).to_vec()
    }

    /// What reading makes of a head, and its hash.
    fn seen(
        config: &Config,
        fields: &[(String, Vec<u8>)],
        body: Body,
    ) -> (impl PartialEq + core::fmt::Debug, Option<u128>) {
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (name.as_bytes(), &**value)).collect();
        let head = Head::new(&fields, body);
        let reading = read(&config.forge, &head);
        let watch = Watch::of_head(config, &head, &reading);
        let ours = head.ours().map(String::from).collect::<Vec<_>>();
        let hashed = hash(&config.forge, &head, SipHasher13::new_with_keys(1, 2));
        ((reading, watch, ours), hashed.map(|hashed| hashed.head.finish128().as_u128()))
    }

    fn body() -> impl Strategy<Value = Body> {
        proptest::sample::select([Body::None, Body::Follows].as_slice())
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        let near =
            ["glcbt", "eyI", "glpat-x", "Basic Z2w=", "gitlab-ci-token:x", "g,e", "job_token=x", "git/2.43.0", ""];
        let near = proptest::sample::select(near.to_vec()).prop_map(|text| text.as_bytes().to_vec());
        prop_oneof![near, proptest::collection::vec(1u8.., 0..40)]
    }

    proptest! {
        /// A field that is left out, whatever it holds, how often and wherever it stands, changes nothing that reading makes of a head.
        #[test]
        fn what_is_left_out_of_the_hash_changes_no_reading(
            path in 0..PATHS, carrier in 0..CARRIERS, at in 0usize..5, body in body(),
            unread in proptest::collection::vec((0usize..UNREAD.len(), value()), 1..4),
        ) {
            let config = config("");
            let plain = request(path, carrier);
            let unread = unread.into_iter().map(|(name, value)| (UNREAD[name].to_string(), value));
            let mut more = plain.clone();
            more.splice(at.min(plain.len())..at.min(plain.len()), unread);
            let (reading, hash) = seen(&config, &plain, body);
            let (other, other_hash) = seen(&config, &more, body);
            if hash == other_hash {
                prop_assert_eq!(reading, other);
            } else {
                prop_assert!(more.iter().any(|(_, value)| may_hold_token(value)));
            }
        }

        /// Any other is in it, by its name, its value, its place and how often it stands there.
        #[test]
        fn whatever_else_changes_is_another_head(
            path in 0..PATHS, carrier in 0..CARRIERS, name in "[a-z-]{1,20}", value in value(), at in 0usize..5,
            body in body(),
        ) {
            prop_assume!(!UNREAD.contains(&&*name));
            let config = config("");
            let plain = request(path, carrier);
            let mut more = plain.clone();
            more.insert(at.min(plain.len()), (name, value));
            let hash = |fields: &[_], body| seen(&config, fields, body).1;
            prop_assume!(hash(&more, body).is_some());
            prop_assert_ne!(hash(&plain, body), hash(&more, body));
            let mut swapped = more.clone();
            swapped.reverse();
            prop_assert_ne!(hash(&swapped, body), hash(&more, body));
            prop_assert_ne!(hash(&more, Body::None), hash(&more, Body::Follows));
        }
    }

    #[test]
    fn where_a_token_stands_in_a_field_that_nobody_asks_for_it_counts() {
        let config = config("");
        for name in UNREAD {
            let mut with = request(1, 2);
            with.push((name.to_string(), TOKEN.as_bytes().to_vec()));
            assert_ne!(seen(&config, &with, Body::None).1, seen(&config, &request(1, 2), Body::None).1, "{name}");
        }
    }

    #[test]
    fn where_any_value_may_be_a_token_no_head_is_known() {
        let generic = config(r#", "kind": "generic""#);
        let fields: [(&[u8], &[u8]); 1] = [(b"job-token", b"x")];
        let is_known = |config: &Config, body| {
            hash(&config.forge, &Head::new(&fields, body), SipHasher13::new_with_keys(1, 2)).is_some()
        };
        for body in [Body::None, Body::Follows] {
            assert!(is_known(&config(""), body));
            assert!(!is_known(&generic, body));
        }
        let long = [b'x'; LONGEST];
        let fields: [(&[u8], &[u8]); 2] = [(b"job-token", b"x"), (b"x-a", &long)];
        let head = Head::new(&fields, Body::None);
        assert!(hash(&config("").forge, &head, SipHasher13::new_with_keys(1, 2)).is_none(), "it is too long");
    }
}
