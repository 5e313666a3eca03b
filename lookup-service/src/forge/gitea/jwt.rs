//! The JWTs that the forge signs for itself: `ACTIONS_RUNTIME_TOKEN`, what its registry hands out, and OAuth tokens of people. All
//! are signed with one secret.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use policy::facts::Secret;
use serde_json::Value;
use sha2::Sha256;

/// As generous as the forge: it does not look at the bits that are left over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The number under which the forge's tokens have all jobs.
const ACTIONS_USER: i64 = -2;

/// Whose a JWT is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Jwt {
    /// No job's: not signed as the forge signs for jobs, or made for somebody else.
    Foreign,
    /// Nobody can tell, or it is not valid.
    Unknown,
    /// A task's, until a Unix second.
    Task(i64, u64),
}

/// The secret `[oauth2] JWT_SECRET` as the forge's configuration has it.
pub(super) fn secret(text: &Secret) -> Option<Secret> {
    let bytes = BASE64.decode(text.expose()).ok().filter(|bytes| bytes.len() == 32)?;
    Some(Secret::new(&bytes))
}

impl Jwt {
    /// Reads a token at a Unix second; `None` where it is none.
    pub(super) fn read(token: &Secret, secret: Option<&Secret>, now: u64) -> Option<Self> {
        let mut parts = token.expose().split(|byte| *byte == b'.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let object = |part: &[u8]| -> Option<Value> { serde_json::from_slice(&BASE64.decode(part).ok()?).ok() };
        let header = object(header).filter(|_| parts.next().is_none())?;
        let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
        if !algorithm.starts_with("HS") {
            return Some(Self::Foreign);
        }
        let signed = token.expose().get(..token.expose().len().checked_sub(signature.len() + 1)?)?;
        let is_signed = |secret: &Secret| {
            let mac = Hmac::<Sha256>::new_from_slice(secret.expose()).ok()?.chain_update(signed);
            mac.verify_slice(&BASE64.decode(signature).ok()?).ok()
        };
        let is_good = algorithm == "HS256" && secret.and_then(is_signed).is_some();
        let claims = object(payload).filter(|_| is_good);
        Some(claims.map_or(Self::Unknown, |claims| Self::of(&claims, now)))
    }

    fn of(claims: &Value, now: u64) -> Self {
        let number = |name: &str| claims.get(name).and_then(Value::as_i64);
        let seconds = |name: &str| number(name).and_then(|seconds| u64::try_from(seconds).ok());
        let Some(until) = seconds("exp").filter(|until| now < *until) else { return Self::Unknown };
        if seconds("nbf").is_some_and(|begins| now < begins) {
            return Self::Unknown;
        }
        let task = ["TaskID", "ActionsUserTaskID"].into_iter().filter_map(number).find(|task| *task > 0);
        match (task, number("UserID")) {
            (Some(task), _) => Self::Task(task, until),
            // A job's, and it does not say which one's.
            (None, Some(ACTIONS_USER)) => Self::Unknown,
            (None, _) => Self::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn signed(header: &Value, claims: &Value, secret: &[u8]) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(&text).finalize().into_bytes();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    fn read(token: &str) -> Option<Jwt> {
        Jwt::read(&Secret::new(token.as_bytes()), Some(&Secret::new(&[7; 32])), NOW)
    }

    #[test]
    fn a_jwt_is_the_tasks_that_the_forge_signed_it_for() {
        let header = json!({"alg": "HS256", "typ": "JWT"});
        let of = |claims: Value| {
            let mut all = json!({"exp": NOW + 60, "nbf": NOW});
            all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            read(&signed(&header, &all, &[7; 32])).unwrap()
        };
        let task = Jwt::Task(7, NOW + 60);
        assert_eq!(of(json!({"TaskID": 7, "RunID": 3, "JobID": 5, "scp": "Actions.Results:3:5"})), task);
        assert_eq!(of(json!({"UserID": -2, "Scope": "", "ActionsUserTaskID": 7})), task);
        // What the registry of an older forge gives a job does not say which one.
        assert_eq!(of(json!({"UserID": -2, "ActionsUserTaskID": 0})), Jwt::Unknown);
        for somebody in [json!({"UserID": 11}), json!({"UserID": -1}), json!({"gnt": 4, "tt": 0}), json!({"TaskID": 0})]
        {
            assert_eq!(of(somebody.clone()), Jwt::Foreign, "{somebody}");
        }
        for late in [json!({"exp": NOW}), json!({"exp": null}), json!({"nbf": NOW + 1})] {
            let mut claims = json!({"TaskID": 7});
            claims.as_object_mut().unwrap().extend(late.as_object().unwrap().clone());
            assert_eq!(of(claims), Jwt::Unknown, "{late}");
        }
    }

    #[test]
    fn what_is_not_signed_with_the_secret_is_nobodys() {
        let (header, claims) = (json!({"alg": "HS256"}), json!({"TaskID": 7, "exp": NOW + 60}));
        let good = signed(&header, &claims, &[7; 32]);
        assert_eq!(read(&good), Some(Jwt::Task(7, NOW + 60)));
        assert_eq!(read(&signed(&header, &claims, &[8; 32])), Some(Jwt::Unknown));
        assert_eq!(Jwt::read(&Secret::new(good.as_bytes()), None, NOW), Some(Jwt::Unknown), "without a secret");
        assert_eq!(read(good.split_at(good.len() - 2).0), Some(Jwt::Unknown));
        assert_eq!(read(&format!("{}.", good.rsplit_once('.').unwrap().0)), Some(Jwt::Unknown));
        for algorithm in ["HS384", "HS512"] {
            assert_eq!(read(&signed(&json!({ "alg": algorithm }), &claims, &[7; 32])), Some(Jwt::Unknown));
        }
        // Those the forge does not take for a job's, whoever signed them.
        for header in [json!({"alg": "RS256"}), json!({"alg": "none"}), json!({})] {
            assert_eq!(read(&signed(&header, &claims, &[7; 32])), Some(Jwt::Foreign), "{header}");
        }
        for other in ["", "pass.word", "a.b.c", "a.b.c.d", &format!("{good}.x"), &good.replace('.', "..")] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn the_secret_is_written_as_the_forge_writes_it() {
        let text = URL_SAFE_NO_PAD.encode([7; 32]);
        assert_eq!(secret(&Secret::new(text.as_bytes())), Some(Secret::new(&[7; 32])));
        for bad in [text.split_at(1).1, &format!("{text}="), "plain"] {
            assert_eq!(secret(&Secret::new(bad.as_bytes())), None, "{bad}");
        }
    }
}
