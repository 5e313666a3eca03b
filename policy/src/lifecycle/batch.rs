//! The answer to an LFS batch. It says where each object is read or written, and with which credential.
//!
//! GitLab puts one there that it made for the job's user: it uploads whatever that user may, and outlives the job. It
//! takes the job's own token in the same place, so that is what the job gets to see.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{AnswerHead, Event};
use crate::bindings::Forgotten;
use crate::facts::Host;
use crate::facts::{Hash, Secret};
use crate::request::{Malformed, json, signed};

/// How long GitLab takes such a credential.
const LIFETIME: Duration = Duration::from_secs(2 * 3600);

/// Whether an answer may say where objects are.
pub(super) fn is_given(answer: &AnswerHead<'_>) -> bool {
    answer.status().is_none_or(|status| (200..=299).contains(&status))
}

/// The answer with the job's own token wherever a credential is for one of these hosts. Other hosts keep theirs, and
/// never get the token to see.
///
/// # Errors
/// It cannot be read in one way, or does not say for whom a credential is.
pub(super) fn with_own(hosts: &[Host], token: &Secret, answer: &[u8]) -> Result<Vec<u8>, Malformed> {
    let login = [b"gitlab-ci-token:", token.expose()].concat();
    let own = Value::from(alloc::format!("Basic {}", STANDARD.encode(login))).to_string();
    let text = core::str::from_utf8(answer).map_err(|_| Malformed::JsonSyntax)?;
    let actions = |_: &str, action: &str| with_credential(hosts, &own, action).map(Some);
    let object = |name: &str, value: &str| {
        // `_links` is what the actions were called once, and clients still read it.
        if is(name, "actions") || is(name, "_links") { edited(value, actions).map(Some) } else { Ok(None) }
    };
    let top = |name: &str, value: &str| {
        if is(name, "objects") { each(value, |one| edited(one, object)).map(Some) } else { Ok(None) }
    };
    edited(text, top).map(String::into_bytes)
}

/// The credentials in an answer, none of which is the job's own; `None` where it cannot be read.
pub(super) fn read(parent: Hash, answer: &[u8]) -> Option<Vec<Event>> {
    let mut found = Vec::new();
    collect(&serde_json::from_slice(answer).ok()?, &mut found);
    Some(
        found
            .into_iter()
            .map(|signed| Event::Minted {
                key: signed.hash(),
                parent: Some(parent),
                lifetime: LIFETIME,
                forgotten: Forgotten::Persons,
            })
            .collect(),
    )
}

fn collect(value: &Value, found: &mut Vec<Secret>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(members) => {
            for (name, value) in members {
                let credential = value.as_str().filter(|_| is(name, "authorization"));
                found.extend(credential.and_then(|credential| signed(credential.as_bytes())));
                collect(value, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An action whose credential is the job's own, where it is for one of these hosts.
fn with_credential(hosts: &[Host], own: &str, action: &str) -> Result<String, Malformed> {
    let members = json::written(action.as_bytes())?;
    let href = members.iter().find(|(name, _)| is(name, "href")).map(|(_, href)| href.get());
    let header = |name: &str, _: &str| {
        if !is(name, "authorization") {
            return Ok(None);
        }
        let href: String = href.and_then(|href| serde_json::from_str(href).ok()).ok_or(Malformed::JsonToken)?;
        let host = host_of(&href).ok_or(Malformed::Host)?;
        Ok(hosts.contains(&host).then(|| own.to_string()))
    };
    edited(action, |name, value| if is(name, "header") { edited(value, header).map(Some) } else { Ok(None) })
}

/// The host of an address that begins with `http://` or `https://`.
fn host_of(href: &str) -> Option<Host> {
    let (scheme, rest) = href.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let is_web = is(scheme, "https") || is(scheme, "http");
    Host::of_authority(authority.as_bytes()).filter(|_| is_web)
}

/// Clients read names without regard to case.
fn is(name: &str, known: &str) -> bool {
    name.eq_ignore_ascii_case(known)
}

/// An object with some of its values changed; the others stay as they are written. Nothing has no values.
fn edited(
    object: &str,
    mut change: impl FnMut(&str, &str) -> Result<Option<String>, Malformed>,
) -> Result<String, Malformed> {
    if object == "null" {
        return Ok(object.into());
    }
    let mut members = Vec::new();
    for (name, value) in json::written(object.as_bytes())? {
        let changed = change(&name, value.get())?;
        members.push(alloc::format!("{}:{}", Value::from(name), changed.as_deref().unwrap_or(value.get())));
    }
    Ok(alloc::format!("{{{}}}", members.join(",")))
}

fn each(array: &str, change: impl Fn(&str) -> Result<String, Malformed>) -> Result<String, Malformed> {
    let values: Option<Vec<&RawValue>> = serde_json::from_str(array).map_err(|_| Malformed::JsonSyntax)?;
    let changed = values.unwrap_or_default().into_iter().map(|value| change(value.get()));
    Ok(alloc::format!("[{}]", changed.collect::<Result<Vec<_>, _>>()?.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::vec;

    const OWN: &str = "Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTE=";

    fn rewritten(answer: &str) -> Result<String, Malformed> {
        let hosts = [Host::parse(b"gitlab.example.com").unwrap()];
        let token = Secret::new(b"glcbt-1");
        with_own(&hosts, &token, answer.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn answer(href: &str, header: &str) -> String {
        format!(
            r#"{{"transfer":"basic","objects":[{{"oid":"a","size":12345678901234567890.0,"actions":{{"upload":{{"href":{href},"header":{header},"expires_in":60}}}}}}]}}"#
        )
    }

    #[test]
    fn a_credential_for_the_forge_becomes_the_jobs_own() {
        for host in ["https://gitlab.example.com", "HTTP://GitLab.Example.com:8080", "https://gitlab.example.com."] {
            for name in ["Authorization", "authorization", "AUTHORIZATIO\\u004e"] {
                let header = |value: &str| format!(r#"{{"{name}":"{value}","Transfer-Encoding":"chunked"}}"#);
                let href = format!(r#""{host}/g/p.git/gitlab-lfs/objects/a/1""#);
                let came = answer(&href, &header("Basic dXNlcjpleUpoLmV5SncueA=="));
                assert_eq!(rewritten(&came).unwrap(), answer(&href, &header(OWN)).replace("\\u004e", "N"), "{host}");
            }
        }
        let several = answer("\"https://gitlab.example.com/a\"", r#"{"Authorization":"x"}"#)
            .replace("\"actions\"", "\"_Links\"")
            .replace("\"objects\":[", "\"Objects\":[{\"oid\":\"b\",\"error\":{\"code\":404}},");
        let now = rewritten(&several).unwrap();
        assert_eq!(now, several.replace(":\"x\"", &format!(":\"{OWN}\"")));
    }

    #[test]
    fn no_other_host_sees_the_token() {
        for href in [
            "https://store.example.com/gitlab.example.com",
            "https://gitlab.example.com.evil.example/a",
            "https://xgitlab.example.com/a",
            "https://evil.example?@gitlab.example.com/",
            "https://evil.example#gitlab.example.com",
            "https://evil.example\\\\@gitlab.example.com/",
        ] {
            let came = answer(&format!("\"{href}\""), r#"{"Authorization":"AWS4 x"}"#);
            assert_eq!(rewritten(&came).unwrap(), came, "{href}");
        }
    }

    #[test]
    fn what_has_no_credential_stays_as_it_is() {
        let none = answer("\"/relative\"", r#"{"Accept":"x"}"#);
        for came in ["{}", r#"{"objects":[]}"#, r#"{"objects":[{"oid":"a","actions":null}]}"#, &none] {
            assert_eq!(rewritten(came).unwrap(), came);
        }
        let header = none.replace(r#"{"Accept":"x"}"#, "null");
        assert_eq!(rewritten(&header).unwrap(), header);
    }

    #[test]
    fn an_answer_of_which_it_is_not_sure_what_it_gives_is_none() {
        let forge = "\"https://gitlab.example.com/a\"";
        let twice = answer(forge, r#"{"Authorization":"x","authorization":"y"}"#);
        let two_headers = answer(forge, r#"{"Authorization":"x"},"Header":{"Authorization":"y"}"#);
        let two_addresses = answer(forge, r#"{"Authorization":"x"},"HREF":"https://e.example/""#);
        for came in [
            "",
            "[]",
            "{",
            "\u{1f}\u{8b}",
            "{\"objects\":{}}",
            r#"{"objects":[{"actions":[]}]}"#,
            &twice,
            &two_headers,
            &two_addresses,
            r#"{"objects":[{"actions":{"upload":{"header":{"Authorization":"x"}}}}]}"#,
        ] {
            assert!(rewritten(came).is_err(), "{came}");
        }
        for href in ["1", "\"/a\"", "\"https://user@gitlab.example.com/a\"", "\"ftp://gitlab.example.com/a\"", "\"\""] {
            assert!(rewritten(&answer(href, r#"{"Authorization":"x"}"#)).is_err(), "{href}");
        }
    }

    #[test]
    fn the_forges_own_credentials_are_found() {
        let parent = Hash::of(&[b"glcbt-1"]);
        let login = STANDARD.encode("dana:eyJh.eyJw.sig");
        let came = answer("\"https://e.example\"", &format!(r#"{{"authorization":"Basic {login}"}}"#));
        let key = Hash::of(&[b"eyJh.eyJw"]);
        assert_eq!(
            read(parent, came.as_bytes()),
            Some(vec![Event::Minted { key, parent: Some(parent), lifetime: LIFETIME, forgotten: Forgotten::Persons }])
        );
        assert_eq!(read(parent, b"{"), None);
    }
}
