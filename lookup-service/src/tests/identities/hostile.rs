//! Tokens that are nobody's, whatever they look like.

use policy::facts::{Invalid, Secret, Token};
use policy::lookup::Fact;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::issuer::{AUDIENCE, CREDENTIAL, EC, OTHER_RSA, Pair, RSA, StandInCi, WEAK_RSA, text};
use super::super::secrets::Lines;
use super::{ISSUER, claims, configuration, service, with, without};
use crate::clock;
use crate::config::ForgeKind;
use crate::forge::oidc::Oidc;
use crate::forge::{Forge, Recalled};
use crate::metrics::Metrics;

#[tokio::test]
async fn what_is_not_the_issuers_word_for_us_is_nobodys_and_nobody_is_asked() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    ci.says(7, "running");
    let now = clock::unix();
    let rsa = |claims: Value| RSA.sign("rsa-1", &claims);
    let good = rsa(claims());
    let part = |at: usize| good.split('.').nth(at).unwrap().to_owned();
    let public = RSA.public["n"].as_str().unwrap();
    let hmac = |secret: &[u8]| {
        let header = jsonwebtoken::Header {
            kid: Some("rsa-1".into()),
            ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, &claims(), &jsonwebtoken::EncodingKey::from_secret(secret)).unwrap()
    };
    let header = |header: Value| RSA.sign_raw(&header.to_string(), &claims().to_string());
    let payload = |payload: String| RSA.sign_raw(r#"{"alg":"RS256","kid":"rsa-1"}"#, &payload);
    let text_of = claims().to_string();
    let own_key = RSA.named("mine");
    let hostile = [
        ("HMAC with the public key", hmac(public.as_bytes())),
        ("HMAC with the public key's bytes", hmac(ci.with(|ci| ci.keys.to_string()).as_bytes())),
        ("no algorithm", format!("{}.{}.", text(br#"{"alg":"none","kid":"rsa-1"}"#), part(1))),
        (
            "no algorithm, and a signature",
            format!("{}.{}.{}", text(br#"{"alg":"none","kid":"rsa-1"}"#), part(1), part(2)),
        ),
        ("another name of an algorithm", header(json!({"alg": "rs256", "kid": "rsa-1"}))),
        ("another hash", header(json!({"alg": "RS512", "kid": "rsa-1"}))),
        ("an RSA signature under an EC key", header(json!({"alg": "ES256", "kid": "ec-1"}))),
        (
            "ECDSA where the issuer signs with RSA",
            EC.sign(
                "ec-1",
                &with(json!({"iss": "https://code.example.com/api/actions", "repository": "acme/web",
                    "repository_id": "4711", "run_id": "5", "run_attempt": "1"})),
            ),
        ),
        ("ECDSA under an RSA key's name", EC.sign("rsa-1", &claims())),
        ("RSA under an EC key's name", RSA.sign("ec-1", &claims())),
        ("another's key under the name", OTHER_RSA.sign("rsa-1", &claims())),
        ("a weak key of the issuer", WEAK_RSA.sign("weak", &claims())),
        ("an unknown key", RSA.sign("rsa-2", &claims())),
        (
            "a key that the token brings",
            RSA.sign_raw(&json!({"alg": "RS256", "kid": "mine", "jwk": own_key}).to_string(), &text_of),
        ),
        ("where to get keys", header(json!({"alg": "RS256", "kid": "rsa-1", "jku": "https://evil.example.com"}))),
        (
            "where to get certificates",
            header(json!({"alg": "RS256", "kid": "rsa-1", "x5u": "https://evil.example.com"})),
        ),
        ("certificates", header(json!({"alg": "RS256", "kid": "rsa-1", "x5c": ["MII"]}))),
        ("what must be understood", header(json!({"alg": "RS256", "kid": "rsa-1", "crit": ["exp"], "exp": now}))),
        ("no name of a key", header(json!({"alg": "RS256"}))),
        ("a name of a key twice", RSA.sign_raw(r#"{"alg":"RS256","kid":"rsa-1","kid":"rsa-1"}"#, &text_of)),
        (
            "another signature",
            format!("{}.{}.{}", part(0), part(1), OTHER_RSA.sign("rsa-1", &claims()).split('.').nth(2).unwrap()),
        ),
        (
            "another payload",
            format!("{}.{}.{}", part(0), text(with(json!({"project_id": "102"})).to_string().as_bytes()), part(2)),
        ),
        ("no signature", format!("{}.{}.", part(0), part(1))),
        ("two parts more", format!("{good}.{}.{}", part(1), part(2))),
        ("padding", format!("{}=.{}.{}", part(0), part(1), part(2))),
        ("garbage in base64", format!("{}.{}~.{}", part(0), part(1), part(2))),
        (
            "base64 of base64",
            format!("{}.{}.{}", text(part(0).as_bytes()), part(1), part(2)).replacen(
                &text(part(0).as_bytes()),
                &format!("{}A", part(0)),
                1,
            ),
        ),
        ("another issuer with the same key", rsa(with(json!({"iss": "https://gitlab.example.org"})))),
        ("the issuer with a slash", rsa(with(json!({"iss": "https://gitlab.example.com/"})))),
        ("the issuer in large letters", rsa(with(json!({"iss": "https://GITLAB.example.com"})))),
        ("an issuer that is a list", rsa(with(json!({"iss": [ISSUER]})))),
        ("two issuers", payload(text_of.replacen('{', r#"{"iss":"https://sso.example.com","#, 1))),
        ("another audience", rsa(with(json!({"aud": "https://forge.example.com"})))),
        ("an audience of two", rsa(with(json!({"aud": [AUDIENCE, "https://other.example.com"]})))),
        ("no audience", rsa(without("aud"))),
        ("two audiences", payload(text_of.replacen('{', r#"{"aud":"https://other.example.com","#, 1))),
        ("expired", rsa(with(json!({"iat": now - 400, "nbf": now - 400, "exp": now - 31})))),
        ("no end", rsa(without("exp"))),
        ("an end in words", rsa(with(json!({"exp": (now + 300).to_string()})))),
        ("an end before time", rsa(with(json!({"exp": -1})))),
        ("no beginning", rsa(without("iat"))),
        ("of tomorrow", rsa(with(json!({"iat": now + 100, "nbf": now})))),
        ("not yet", rsa(with(json!({"nbf": now + 100})))),
        ("not yet, in words", rsa(with(json!({"nbf": "now"})))),
        ("too long", rsa(with(json!({"exp": now + 3700})))),
        ("too long ago", rsa(with(json!({"iat": 0})))),
        ("another owner by its id", rsa(with(json!({"namespace_id": "43"})))),
        ("no owner", rsa(without("namespace_id"))),
        ("a name taken over: same path, other id", rsa(with(json!({"project_id": "4712"})))),
        ("no project", rsa(without("project_id"))),
        ("a project in a list", rsa(with(json!({"project_id": ["4711"]})))),
        ("no job", rsa(without("job_id"))),
        ("a job that is a path", rsa(with(json!({"job_id": "../../102/jobs/7"})))),
        ("a payload that is a list", payload(format!("[{text_of}]"))),
        ("a payload and more", payload(format!("{text_of}{text_of}"))),
        (
            "a payload that nests",
            payload(text_of.replacen('{', &format!(r#"{{"x":{}1{},"#, "[".repeat(600), "]".repeat(600)), 1)),
        ),
        ("8 KiB of payload", rsa(with(json!({"namespace_id": "4".repeat(5000)})))),
        ("as large as may be", {
            let token = rsa(with(json!({"aud": "x"})));
            let fill = 8192 - token.len();
            format!("{token}{}", "A".repeat(fill))
        }),
    ];
    // The good one first, so that keys are known.
    assert_eq!(caller.token(&good, None).await.body["token"], "running");
    let asked = ci.count("/ci/");
    for (what, token) in hostile {
        let told = caller.token(&token, None).await;
        assert_eq!((told.status, &told.body["token"]), (200, &json!("unknown")), "{what}: {told:?}");
        assert_eq!(told.body.get("job"), None, "{what}");
    }
    assert_eq!(ci.count("/ci/"), asked, "nobody was asked about any of them");
    assert!(ci.count("/keys") <= 1, "and the issuer's keys were fetched once: {}", ci.count("/keys"));
    assert_eq!(ci.count("/elsewhere"), 0);
    assert_eq!(caller.token(&EC.sign("ec-1", &claims()), None).await.body["token"], "running");
    let long = caller.token(&"a".repeat(8193), None).await;
    assert_eq!((long.status, &long.body["path"]), (400, &json!("token")), "what is no question is none");
}

#[tokio::test]
async fn keys_are_fetched_where_the_configuration_says_and_nowhere_else() {
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    ci.says(7, "running");
    // Away, behind a redirect, of no use: it may be the issuer's all the same.
    ci.with(|ci| ci.fault = Some(302));
    assert_eq!(caller.token(&RSA.sign("rsa-1", &claims()), None).await.status, 503);
    assert_eq!((ci.count("/keys"), ci.count("/elsewhere")), (1, 0));
    ci.with(|ci| ci.fault = None);
    let storm = (0..40).map(|at| {
        let (caller, token) = (caller.clone(), RSA.sign(&format!("kid-{at}"), &claims()));
        tokio::spawn(async move { caller.token(&token, None).await.status })
    });
    for told in storm.collect::<Vec<_>>() {
        assert_eq!(told.await.unwrap(), 503, "nothing is known of the issuer's keys");
    }
    assert_eq!(ci.count("/keys"), 1, "nor is it asked again so soon");
}

#[tokio::test]
async fn no_secret_and_no_token_is_in_any_log_line() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let ci = StandInCi::start().await;
    let (_service, caller) = service(&ci).await;
    ci.says(7, "running");
    let signed = |pair: &Pair, claims: Value| pair.sign("rsa-1", &claims);
    let tokens =
        [signed(&RSA, claims()), signed(&OTHER_RSA, claims()), signed(&RSA, with(json!({"aud": "secret-audience"})))];
    for token in &tokens {
        caller.token(token, None).await;
    }
    let log = lines.text();
    assert!(log.contains("an ID token was refused"), "{log}");
    for token in &tokens {
        for part in token.split('.').chain([CREDENTIAL, "secret-audience"]) {
            assert!(!log.contains(part), "{part}");
        }
    }
}

/// Judges by itself, with the keys in a file and no CI to be asked.
fn judge(keys: &Value, more: impl FnOnce(&mut Value)) -> Oidc {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), keys.to_string()).unwrap();
    let nowhere = StandInCi::nowhere();
    let config = configuration(&nowhere, |document| {
        for issuer in document["forge"]["issuers"].as_array_mut().unwrap() {
            issuer.as_object_mut().unwrap().remove("jwks_uri");
            issuer["jwks_file"] = json!(file.path());
        }
        document["forge"]["retries"] = json!(0);
        more(document);
    });
    let ForgeKind::Oidc(settings) = config.forge else { panic!("job identities") };
    Oidc::new(*settings, &Metrics::default())
}

/// What is said of a token: `None` where only its CI can tell more.
async fn said(judge: &Oidc, token: &[u8]) -> Option<Token> {
    match judge.look(Fact::Token(Secret::new(token)), &Recalled::new()).await {
        Ok(landed) => match landed.value {
            policy::lookup::Value::Token(token) => {
                let is_bad = token == Token::Invalid(Invalid::Unknown);
                assert_eq!(landed.terms.of_token_alone, is_bad, "that a token is bad says nothing of its job");
                Some(token)
            }
            policy::lookup::Value::Target(_) => panic!("a target"),
        },
        Err(_) => None,
    }
}

/// Tokens that other makers made, some good and some not: `tokens/make.py` and `tokens/make.mjs`.
#[tokio::test]
async fn what_other_makers_make_is_read_as_they_meant_it() {
    let all: Value = serde_json::from_str(include_str!("tokens/tokens.json")).unwrap();
    let judge = judge(&all["keys"], |_| {}).at(|| 1_790_000_000);
    assert_eq!(all["now"], 1_790_000_000);
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for row in all["tokens"].as_array().unwrap() {
        let said = match said(&judge, row["token"].as_str().unwrap().as_bytes()).await {
            None => "good",
            Some(Token::Invalid(Invalid::Foreign)) => "foreign",
            Some(Token::Invalid(Invalid::Unknown)) => "unknown",
            Some(other) => panic!("{other:?}"),
        };
        assert_eq!(said, row["said"], "{} by {}", row["what"], row["by"]);
        *counts.entry(said).or_default() += 1;
    }
    assert!(counts["good"] >= 9 && counts["unknown"] >= 20 && counts["foreign"] >= 2, "{counts:?}");
}

#[test]
fn whatever_is_done_to_a_token_it_is_no_other_good_one() {
    let judge = judge(&json!({"keys": [RSA.named("rsa-1"), EC.named("ec-1")]}), |_| {});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let claims = with(json!({"exp": clock::unix() + 3000}));
    let good = [RSA.sign("rsa-1", &claims), EC.sign("ec-1", &claims)];
    let others = [RSA.sign("rsa-1", &with(json!({"aud": "x"}))), EC.sign("ec-1", &with(json!({"project_id": "9"})))];
    for token in &good {
        assert_eq!(runtime.block_on(said(&judge, token.as_bytes())), None, "all is good, and the CI is asked");
    }
    const CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
    let edit = (0..4_usize, any::<prop::sample::Index>(), prop::sample::select(CHARACTERS));
    let edits = (0..2_usize, prop::collection::vec(edit, 0..4), prop::collection::vec(0..6_usize, 0..3));
    proptest!(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() }, |((which, edits, swaps) in edits)| {
        let mut token = good[which].clone().into_bytes();
        for part in swaps {
            // A part of another token in the place of one of this.
            let other = others[part % 2].split('.').nth(part / 2).unwrap();
            let mut parts: Vec<String> = String::from_utf8(token).unwrap().split('.').map(str::to_owned).collect();
            parts[part / 2] = other.to_owned();
            token = parts.join(".").into_bytes();
        }
        for (kind, at, character) in edits {
            let at = at.index(token.len());
            match kind {
                0 => token[at] = character,
                1 => { token.remove(at); }
                2 => token.insert(at, character),
                _ => token.extend_from_within(at..),
            }
        }
        let said = runtime.block_on(said(&judge, &token));
        let is_another = good.iter().all(|good| good.as_bytes() != token);
        prop_assert!(!is_another || matches!(said, Some(Token::Invalid(_))), "{:?} {}", said, String::from_utf8_lossy(&token));
    });
}
