//! Credentials that the forge makes from a job's token: the registry's, the dependency proxy's, and that of an answer to
//! an LFS batch.
//!
//! All are JWTs, and most say nothing of a job. What tells is that one was seen being made, so each JWT that stands where
//! one of these can stand is asked about.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::{memchr_iter, memchr3_iter, memrchr_iter};

use super::credential::{Carrier, Persons, Spelled, spelled};
use super::head::Head;
use super::malformed::Malformed;
use super::{json, path, readers, token};
use crate::choices::{DependencyProxy, Kind};
use crate::config::Forge;
use crate::facts::Host;
use crate::facts::Secret;
use crate::tree::Tree;

/// The JWT of a request.
pub(super) struct Jwt {
    /// What is signed of it.
    pub signed: Secret,
    /// Where it stood, if that can be read.
    pub carrier: Result<Carrier, Malformed>,
    /// Whether it says nothing by which it may be a job's.
    pub is_silent: bool,
}

/// The JWT of a request, where one of those credentials may stand: in an `authorization` field, or in one of its logins.
///
/// # Errors
/// There are several, and which of them the forge takes is not to be told. No client sends that, whosever they are.
pub(super) fn find(forge: &Forge, head: &Head<'_>, persons: &Persons<'_>) -> Result<Option<Jwt>, Malformed> {
    // Most people have none, and where it goes is not looked at.
    if head.all("authorization").next().is_none() {
        return Ok(None);
    }
    if let Some(bearer) = persons.jwt() {
        let signed = || Secret::new(bearer.signed());
        let jwt = || Jwt { signed: signed(), carrier: Ok(Carrier::Minted), is_silent: bearer.is_silent() };
        return Ok(may_take(forge, head).then(jwt));
    }
    let mut found = head.all("authorization").chain(persons.logins.iter().map(Vec::as_slice)).flat_map(jwts);
    let Some(signed) = found.next().filter(|_| may_take(forge, head)) else { return Ok(None) };
    if found.any(|other| other != signed) {
        return Err(Malformed::Multiple);
    }
    let is_silent = is_silent(signed.expose());
    Ok(Some(Jwt { signed, carrier: carrier(head), is_silent }))
}

/// Whether a request is for somebody who takes such credentials: the registry, and of the forge all but the API, which
/// takes the token itself. Where it cannot be told for whom it is, a proxy may still find one of them.
fn may_take(forge: &Forge, head: &Head<'_>) -> bool {
    let host = head.one(":authority").ok().flatten().and_then(Host::of_authority);
    let is_api = || {
        let target = path::target(head.path().unwrap_or_default(), &forge.relative_url_root);
        target.is_ok_and(|target| target.path.starts_with("/api/"))
    };
    let is_taken = |host: &Host| forge.registry_hosts.contains(host) || (forge.hosts.contains(host) && !is_api());
    forge.kind == Kind::Gitlab && host.as_ref().is_none_or(is_taken)
}

/// What is signed of the one credential in an `authorization` field, where that is a JWT: by its hash it is remembered.
/// The signature can be written in more than one way, and for some algorithms be made anew by anybody.
pub(crate) fn signed(authorization: &[u8]) -> Option<Secret> {
    let logins = readers::logins(authorization);
    let mut found = core::iter::once(authorization).chain(logins.iter().map(Vec::as_slice)).flat_map(jwts);
    let one = found.next()?;
    found.all(|other| other == one).then_some(one)
}

/// How long a JWT is good at most that Gitea's registry gives.
const LONGEST: u64 = 24 * 3600;

/// How long a JWT is good, where it says so: from when to when, and not what time it is.
pub(crate) fn lifetime(signed: &Secret) -> Option<Duration> {
    let payload = payload(signed)?;
    let claims = json::written(&payload).ok()?;
    let second = |asked: &str| claims.iter().find(|(name, _)| name == asked)?.1.get().parse::<u64>().ok();
    let seconds = second("exp")?.checked_sub(second("nbf")?)?;
    Some(Duration::from_secs(seconds.min(LONGEST)))
}

/// The claims, as they are written.
fn payload(signed: &Secret) -> Option<Vec<u8>> {
    signed.expose().split(|b| *b == b'.').nth(1).and_then(token::decoded)
}

fn claim<'a, 'c>(claims: &'a [(String, Tree<'c>)], asked: &str) -> Option<&'a Tree<'c>> {
    claims.iter().find(|(name, _)| name == asked).map(|(_, value)| value)
}

/// The number under which Gitea has all jobs.
const ACTIONS_USER: i64 = -2;

/// How the registry's JWT says that it is a job's.
const JOBS: &str = "build";

/// The dependency proxy's JWT has this, and says whose it is by one of those, if it was made from such a credential.
const USER_ID: &str = "user_id";
const PERSONS: [&str; 3] = ["personal_access_token", "group_access_token", "deploy_token"];

/// Whether a JWT that nobody saw being made may have been made from a job's token: it says so, or it is the dependency
/// proxy's and names its user and nothing else. Gitea's has jobs' user. Its signature is the forge's to check.
pub(super) fn may_be_jobs(forge: &Forge, signed: &Secret) -> bool {
    let is_gitea = forge.kind == Kind::Gitea;
    let Some(payload) = payload(signed) else { return false };
    let claims = json::object(&payload).unwrap_or_default();
    if is_gitea {
        return claim(&claims, "UserID").and_then(Tree::as_i64) == Some(ACTIONS_USER);
    }
    let text = |asked: &str| claim(&claims, asked).and_then(Tree::as_str).filter(|text| !text.is_empty());
    let is_proxys = forge.dependency_proxy == DependencyProxy::On && claim(&claims, USER_ID).is_some();
    text("auth_type") == Some(JOBS) || is_proxys && !PERSONS.iter().any(|name| text(name).is_some())
}

/// Whether a JWT of GitLab's has no word by which it may be a job's. Who reads its claims generously reads what is there to be
/// read.
pub(super) fn is_silent(signed: &[u8]) -> bool {
    let claims = signed.split(|b| *b == b'.').nth(1).unwrap_or_default();
    !may_tell(&readers::decoded(claims))
}

/// Whether claims of GitLab's have a word by which they may be a job's, or a letter is escaped.
fn may_tell(claims: &[u8]) -> bool {
    // Of the one word its rarest letter is looked for, which does not begin it.
    let within = USER_ID.find('_').unwrap_or_default();
    let is = |at: Option<usize>, word: &str| {
        at.and_then(|at| claims.get(at..)).is_some_and(|from| from.starts_with(word.as_bytes()))
    };
    memchr3_iter(b'b', b'_', b'\\', claims).any(|at| match claims.get(at) {
        Some(b'b') => is(Some(at), JOBS),
        Some(b'_') => is(at.checked_sub(within), USER_ID),
        _ => true,
    })
}

/// What is signed of each JWT among these bytes, however it is set off from the rest. Some readers check what they have
/// decoded and not what was written, so bytes that they pass over, stray bits and padding make no other JWT.
fn jwts(bytes: &[u8]) -> impl Iterator<Item = Secret> {
    let is_within = |at: usize| bytes.get(..at).and_then(<[u8]>::last).is_some_and(|b| token::is_token_byte(*b));
    // Two dots follow, or nothing begins.
    let end = memrchr_iter(b'.', bytes).nth(1).unwrap_or_default();
    let begins = memchr_iter(b'e', bytes.get(..end).unwrap_or_default()).filter(move |at| !is_within(*at));
    begins.filter_map(|at| signed_from(bytes.get(at..)?))
}

/// What is signed of a JWT that begins here.
fn signed_from(jwt: &[u8]) -> Option<Secret> {
    let begin = jwt.iter().filter(|b| **b == b'.' || readers::is_letter(**b)).take(token::JWT.len());
    if !begin.eq(token::JWT) {
        return None;
    }
    let mut parts = jwt.split(|b| *b == b'.');
    let (header, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Secret::new(&[plain(header), plain(claims)].join(&b'.')))
}

/// One part of a JWT in its plain letters.
fn plain(part: &[u8]) -> Vec<u8> {
    URL_SAFE_NO_PAD.encode(readers::decoded_part(part).collect::<Vec<u8>>()).into_bytes()
}

/// Reads the field strictly: once, in its plain spelling, and the JWT is all of the token or of the password.
fn carrier(head: &Head<'_>) -> Result<Carrier, Malformed> {
    let value = head.one("authorization")?.unwrap_or_default();
    let Spelled { scheme, credential, .. } = spelled(value)?;
    let is_jwt = |bytes: &[u8]| bytes.starts_with(token::JWT) && bytes.iter().all(|b| token::is_token_byte(*b));
    let is_plain = if scheme.eq_ignore_ascii_case("basic") {
        readers::logins(value).iter().all(|login| login.splitn(2, |b| *b == b':').nth(1).is_some_and(is_jwt))
    } else {
        ["bearer", "token"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) && is_jwt(credential.as_bytes())
    };
    if is_plain { Ok(Carrier::Minted) } else { Err(Malformed::Authorization) }
}

#[cfg(test)]
mod tests {
    use super::super::bearer::Bearer;
    use super::super::head::Body;
    use super::super::{Action, Claim, Mints, Reading, Scan, read};
    use super::*;
    use crate::Config;
    use base64::engine::general_purpose::STANDARD;
    use std::format;
    use std::string::String;

    fn config() -> Config {
        Config::parse(
            br#"{"forge": {"hosts": ["gitlab.example.com"], "registry_hosts": ["registry.example.com"], "relative_url_root": "/gitlab"},
                 "lookup": {"cluster": "c", "authority": "gitlab.example.com", "credential_env": "E"}}"#,
        )
        .unwrap()
    }

    fn jwt() -> String {
        format!("eyJh.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"sub":"dana"}"#))
    }

    fn basic(login: &str) -> String {
        format!("Basic {}", STANDARD.encode(login))
    }

    fn reading(host: &str, method: &str, path: &str, authorization: &[&str]) -> Reading {
        let mut fields = std::vec![(":authority", host), (":method", method), (":path", path)];
        fields.extend(authorization.iter().map(|value| ("authorization", *value)));
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        read(&config().forge, &Head::new(&fields, Body::None))
    }

    /// What was read of a request with one JWT.
    fn claimed(reading: Reading) -> (Claim, Vec<Action>) {
        let Reading::Job(job) = reading else { panic!("{reading:?}") };
        let signed = jwt().rsplit_once('.').unwrap().0.as_bytes().to_vec();
        assert_eq!(job.token, Secret::new(&signed), "by what is signed it is remembered");
        assert_eq!((job.scan.map(|_: Scan| ()), job.mints.map(|_: Mints| ())), (None, None));
        (job.claim, job.accesses.iter().map(|access| access.action).collect())
    }

    const FORGE: &str = "gitlab.example.com";
    const REGISTRY: &str = "registry.example.com";

    #[test]
    fn a_jwt_is_read_where_the_forge_or_the_registry_takes_one() {
        let (bearer, login) = (format!("Bearer {}", jwt()), basic(&format!("dana:{}", jwt())));
        let oid = "a".repeat(64);
        for (host, method, path, authorization, action) in [
            (REGISTRY, "GET", "/v2/", &bearer, Action::RegistryLogin),
            (REGISTRY, "GET", "/v2/g/p/manifests/x", &bearer, Action::PullImage),
            (REGISTRY, "PATCH", "/v2/g/p/blobs/uploads/u", &bearer, Action::PushImage),
            (REGISTRY, "DELETE", "/v2/g/p/manifests/x", &bearer, Action::DeleteImage),
            (FORGE, "GET", "/gitlab/v2/g/dependency_proxy/containers/a/manifests/x", &bearer, Action::DependencyProxy),
            (FORGE, "GET", &format!("/gitlab/g/p.git/gitlab-lfs/objects/{oid}"), &login, Action::DownloadLfs),
            (FORGE, "PUT", &format!("/gitlab/g/p.git/gitlab-lfs/objects/{oid}/3"), &login, Action::UploadLfs),
            (FORGE, "GET", "/gitlab/g/p.git/info/refs?service=git-receive-pack", &login, Action::WriteCode),
        ] {
            let read = claimed(reading(host, method, path, &[authorization]));
            assert_eq!(read, (Claim::Minted(None), Vec::from([action])), "{path}");
        }
    }

    #[test]
    fn nobody_is_asked_about_other_credentials_or_elsewhere() {
        let bearer = format!("Bearer {}", jwt());
        for (host, path, authorization) in [
            (FORGE, "/gitlab/api/v4/projects/1", &*bearer),
            ("elsewhere.example.com", "/v2/", &bearer),
            (REGISTRY, "/v2/", "Bearer opaque"),
            (REGISTRY, "/v2/", "Bearer eyJh.x"),
            (REGISTRY, "/v2/", "Bearer glpat-eyJh.x.y"),
            (FORGE, "/gitlab/g/p.git/info/refs?service=git-upload-pack", &basic("dana:secret")),
        ] {
            assert_eq!(reading(host, "GET", path, &[authorization]), Reading::NotAJob, "{path} {authorization}");
        }
    }

    #[test]
    fn what_cannot_be_read_waits_for_who_it_is() {
        let (jwt, batch) = (jwt(), "/gitlab/g/p.git/info/lfs/objects/batch");
        let (bearer, login) = (format!("Bearer {jwt}"), basic(&format!("dana:{jwt}")));
        let spelled = |value: &str| reading(REGISTRY, "GET", "/v2/", &[value]);
        for value in [
            format!("Bearer  {jwt}"),
            format!("Bearer {jwt} x"),
            format!("Token token=\"{jwt}\""),
            jwt.clone(),
            format!("Digest {jwt}"),
            format!("Bearer {jwt}!"),
            basic(&jwt),
            basic(&format!("{jwt}:x")),
            basic(&format!("dana:{jwt}:x")),
            format!("{login} x"),
        ] {
            assert_eq!(claimed(spelled(&value)).0, Claim::Minted(Some(Malformed::Authorization)), "{value}");
        }
        let twice = reading(REGISTRY, "GET", "/v2/", &[&bearer, &bearer]);
        assert_eq!(claimed(twice).0, Claim::Minted(Some(Malformed::DuplicateHeader)));
        for (host, method, path, authorization, malformed) in [
            (REGISTRY, "GET", "/v2/g//p/manifests/x", &bearer, Malformed::EmptySegment),
            (FORGE, "GET", "/gitlab//v2/g/p/manifests/x", &bearer, Malformed::EmptySegment),
            (FORGE, "GET", "/v2/g/p/manifests/x", &bearer, Malformed::Prefix),
            (FORGE, "GET", "/gitlab/dashboard", &login, Malformed::WebRoute),
            (FORGE, "GET", "/gitlab/jwt/auth?service=container_registry", &login, Malformed::Carrier),
        ] {
            let read = claimed(reading(host, method, path, &[authorization]));
            assert_eq!(read.0, Claim::Minted(Some(malformed)), "{path}");
        }
        let fields = [
            (":authority", FORGE),
            (":method", "POST"),
            (":path", batch),
            ("content-type", "application/vnd.git-lfs+json"),
            ("authorization", &*login),
        ];
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        let batch = read(&config().forge, &Head::new(&fields, Body::Follows));
        assert_eq!(claimed(batch).0, Claim::Minted(Some(Malformed::Carrier)), "it makes no others");
    }

    #[test]
    fn a_host_that_cannot_be_read_may_be_anybodys() {
        let bearer = format!("Bearer {}", jwt());
        let unread = Claim::Minted(Some(Malformed::Host));
        for host in ["", "registry.example.com:", "registry.example.com:000443", "registry.example.com:x", "a,b", "a:@"]
        {
            for path in ["/v2/g/p/manifests/x", "/gitlab/g/p.git/info/refs?service=git-receive-pack"] {
                assert_eq!(claimed(reading(host, "GET", path, &[&bearer])).0, unread, "{host} {path}");
            }
        }
        for (hosts, malformed) in [(&[][..], Malformed::Host), (&[REGISTRY, "a"], Malformed::DuplicateHeader)] {
            let mut fields = std::vec![(":method", "GET"), (":path", "/v2/"), ("authorization", &*bearer)];
            fields.extend(hosts.iter().map(|host| (":authority", *host)));
            let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
            let read = read(&config().forge, &Head::new(&fields, Body::None));
            assert_eq!(claimed(read).0, Claim::Minted(Some(malformed)), "{hosts:?}");
        }
    }

    #[test]
    fn a_jwt_says_how_long_it_is_good() {
        let of = |claims: &str| {
            let jwt = format!("eyJh.{}.sig", URL_SAFE_NO_PAD.encode(claims));
            lifetime(&signed(jwt.as_bytes()).unwrap()).map(|lifetime| lifetime.as_secs())
        };
        assert_eq!(of(r#"{"exp":1700003600,"nbf":1700000000,"UserID":-2}"#), Some(3600));
        assert_eq!(of(r#"{"exp":9700003600,"nbf":1700000000}"#), Some(24 * 3600), "as long as the forge's at most");
        for none in ["{}", r#"{"exp":5}"#, r#"{"exp":5,"nbf":6}"#, r#"{"exp":"5","nbf":1}"#, "[]", "x"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn no_other_letters_make_another_jwt() {
        // Two bits of the last letter of each part say nothing.
        let (header, claims) = ("eyJhbGciOiJFUzI1NiJ9eyI", "eyJzdWIiOiJkYW5hIiwieCI6MX0");
        let known = Some(Secret::new(format!("{header}.{claims}").as_bytes()));
        let stray = |part: &str| {
            let (last, rest) = part.as_bytes().split_last().unwrap();
            format!("{}{}", core::str::from_utf8(rest).unwrap(), char::from(last + 1))
        };
        for other in [
            format!("{header}.{claims}.sig"),
            format!("{header}=.{claims}.sig"),
            format!("{header}==.{claims}===.sig=="),
            format!("{}.{claims}.sig", stray(header)),
            format!("{header}.{}.sig", stray(claims)),
            format!("{}=.{}=.", stray(header), stray(claims)),
            format!("token={header}=.{claims}.sig"),
            format!("{}\t{}.{claims}.sig", &header[..1], &header[1..]),
            format!("{}=={}.={claims}.sig", &header[..5], &header[5..]),
            format!("{header}.{}\r\n{}.sig", &claims[..2], &claims[2..]),
            format!("{header}.{}!{}\u{a0}.sig", &claims[..3], &claims[3..]),
        ] {
            assert_eq!(signed(format!("Bearer {other}").as_bytes()), known, "{other}");
            assert_eq!(signed(basic(&format!("dana:{other}")).as_bytes()), known, "{other}");
        }
        for none in ["eyJh.eyJw", "eyJh.eyJw=", "eyJh=", "=.eyJh.eyJw", "e.yJh.eyJw.sig", "xeyJh.eyJw.sig"] {
            assert_eq!(signed(format!("Bearer {none}").as_bytes()), None, "{none}");
        }
        let two = format!("Bearer token={header}.{claims}.sig=eyJh.eyJw.sig");
        assert_eq!(signed(two.as_bytes()), None);
    }

    #[test]
    fn of_two_none_is_read() {
        let two = reading(REGISTRY, "GET", "/v2/", &[&format!("Bearer {}", jwt()), "Bearer eyJh.eyJv.sig"]);
        assert!(matches!(&two, Reading::Refused(refused) if refused.malformed == Malformed::Multiple), "{two:?}");
    }

    #[test]
    fn what_is_plain_is_found_as_whatever_is_found() {
        let (plain, stray) = (jwt(), jwt().replace("eyJh.", "eyJhZh."));
        for odd in ["", ".", "=", "+", "/", "-", "!", " ", ",", "e", "eyJ", "eyJh.e30.", "Bearer eyJh.e30.", "\u{a0}"] {
            for jwt in [&plain, &stray] {
                for at in 0..=jwt.len() {
                    let value = format!("Bearer {}{odd}{}", &jwt[..at], &jwt[at..]);
                    let Some(found) = Bearer::of(value.as_bytes()) else { continue };
                    assert!(jwts(value.as_bytes()).eq([Secret::new(found.signed())]), "{value}");
                    let fields = [(&b"authorization"[..], value.as_bytes())];
                    assert_eq!(carrier(&Head::new(&fields, Body::None)), Ok(Carrier::Minted), "{value}");
                }
            }
        }
        let bearer = format!("Bearer {plain}");
        assert_eq!(
            Bearer::of(bearer.as_bytes()).map(Bearer::signed),
            plain.rsplit_once('.').map(|(signed, _)| signed.as_bytes())
        );
    }

    #[test]
    fn claims_tell_in_whatever_letters() {
        let proxying = Config::parse(
            br#"{"forge": {"hosts": ["gitlab.example.com"], "dependency_proxy": "on"},
                 "lookup": {"cluster": "c", "authority": "gitlab.example.com", "credential_env": "E"}}"#,
        )
        .unwrap();
        for (claims, expected) in [
            (r#"{"auth_type":"build"}"#, true),
            (r#"{"auth_type":"buil\u0064"}"#, true),
            (r#"{"\u0061uth_type":"build"}"#, true),
            (r#"{"user_id":7}"#, true),
            (r#"{"us\u0065r_id":7}"#, true),
            (r#"{"user_id":7,"deploy_token":"x"}"#, false),
            (r#"{"auth_type":"gitlab_or_ldap","sub":"build"}"#, false),
            (r#"{"auth_type":"gitlab_or_ldap"}"#, false),
            ("build", false),
        ] {
            let signed = Secret::new(format!("eyJh.{}", URL_SAFE_NO_PAD.encode(claims)).as_bytes());
            assert_eq!(may_be_jobs(&proxying.forge, &signed), expected, "{claims}");
        }
    }
}
