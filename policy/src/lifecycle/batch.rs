//! The answer to an LFS batch. It says where each object is read or written, and with which credential.
//!
//! GitLab puts one there that it made for the job's user: it uploads whatever that user may, and outlives the job. It
//! takes the job's own token in the same place, so that is what the job gets to see.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_core::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{AnswerHead, Event};
use crate::bindings::Forgotten;
use crate::facts::Host;
use crate::facts::{Hash, Secret};
use crate::json::Json;
use crate::request::json::{Names, Object};
use crate::request::signed;
use crate::tree::Tree;

/// How long GitLab takes such a credential.
const LIFETIME: Duration = Duration::from_secs(2 * 3600);

/// Whether an answer may say where objects are.
pub(super) fn is_given(answer: &AnswerHead<'_>) -> bool {
    answer.status().is_none_or(|status| (200..=299).contains(&status))
}

/// The answer with the job's own token wherever a credential is for one of these hosts. Other hosts keep theirs, and
/// never get the token to see. `None` where it cannot be read in one way, or does not say for whom a credential is.
pub(super) fn with_own(hosts: &[Host], token: &Secret, answer: &[u8]) -> Option<Vec<u8>> {
    let login = [b"gitlab-ci-token:", token.expose()].concat();
    let own = ["\"Basic ", &STANDARD.encode(login), "\""].concat();
    let mut text = String::with_capacity(answer.len());
    let mut answer = serde_json::Deserializer::from_slice(answer);
    let whole = Edit { place: Place::Answer, hosts, own: &own, text: &mut text };
    whole.deserialize(&mut answer).and_then(|()| answer.end()).ok()?;
    Some(text.into_bytes())
}

/// The credentials in an answer, none of which is the job's own; `None` where it cannot be read.
pub(super) fn read(parent: Hash, answer: &[u8]) -> Option<Vec<Event>> {
    let mut found = Vec::new();
    collect(&Tree::read(answer)?, &mut found);
    Some(
        found
            .into_iter()
            .map(|signed| Event::Minted {
                signed,
                parent: Some(parent),
                lifetime: LIFETIME,
                forgotten: Forgotten::Persons,
            })
            .collect(),
    )
}

fn collect(value: &Tree<'_>, found: &mut Vec<Secret>) {
    match value {
        Tree::List(values) => values.iter().for_each(|value| collect(value, found)),
        Tree::Object(members) => {
            for (name, value) in members.each() {
                let credential = value.as_str().filter(|_| is(name, "authorization"));
                found.extend(credential.and_then(|credential| signed(credential.as_bytes())));
                collect(value, found);
            }
        }
        Tree::Null | Tree::Flag(_) | Tree::Number(_) | Tree::Text(_) => {}
    }
}

/// Where in an answer something stands that may have a credential in it.
#[derive(Clone, Copy)]
enum Place {
    Answer,
    Objects,
    Object,
    Actions,
    Action,
}

impl Place {
    /// That of a member, where a credential may be in it.
    fn of_member(self, name: &str) -> Option<Self> {
        match self {
            Self::Answer => is(name, "objects").then_some(Self::Objects),
            // `_links` is what the actions were called once, and clients still read it.
            Self::Object => (is(name, "actions") || is(name, "_links")).then_some(Self::Actions),
            Self::Actions => Some(Self::Action),
            Self::Objects | Self::Action => None,
        }
    }
}

/// Writes down what is read, in one pass, with other credentials. What has none stays as it is written, and so does nothing.
struct Edit<'a> {
    place: Place,
    hosts: &'a [Host],
    /// What stands in the place of a credential, in JSON.
    own: &'a str,
    text: &'a mut String,
}

impl Edit<'_> {
    fn at(&mut self, place: Place) -> Edit<'_> {
        Edit { place, hosts: self.hosts, own: self.own, text: self.text }
    }

    /// What stands before the value of a member.
    fn name(&mut self, name: &str) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        name.write(self.text);
        self.text.push(':');
    }

    /// An action: where it leads may be said behind its header.
    fn action<'de, A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let (mut members, mut names) = (Vec::new(), Names::default());
        while let Some(name) = map.next_key::<String>()? {
            names.add(&name)?;
            let member =
                if is(&name, "header") { Member::Header(map.next_value()?) } else { Member::Other(map.next_value()?) };
            members.push((name, member));
        }
        let href = members.iter().find_map(|(name, member)| match member {
            Member::Other(href) => is(name, "href").then_some(*href),
            Member::Header(_) => None,
        });
        self.text.push('{');
        for (name, member) in &members {
            self.name(name);
            match member {
                Member::Other(value) => self.text.push_str(value.get()),
                Member::Header(None) => self.text.push_str("null"),
                Member::Header(Some(header)) => self.header(&header.0, href)?,
            }
        }
        self.text.push('}');
        Ok(())
    }

    /// A header, with the job's own credential where it is for one of the hosts.
    fn header<E: Error>(&mut self, header: &[(String, &RawValue)], href: Option<&RawValue>) -> Result<(), E> {
        self.text.push('{');
        for (name, value) in header {
            let is_own = is(name, "authorization")
                && self.is_for_forge(href).ok_or_else(|| E::custom("nobody knows whom a credential is for"))?;
            self.name(name);
            self.text.push_str(if is_own { self.own } else { value.get() });
        }
        self.text.push('}');
        Ok(())
    }

    fn is_for_forge(&self, href: Option<&RawValue>) -> Option<bool> {
        let href: String = serde_json::from_str(href?.get()).ok()?;
        Some(self.hosts.contains(&host_of(&href)?))
    }
}

/// A member of an action.
enum Member<'de> {
    Header(Option<Object<&'de RawValue>>),
    Other(&'de RawValue),
}

impl<'de> DeserializeSeed<'de> for Edit<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Edit<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what an answer to a batch has here")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.text.push_str("null");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        if !matches!(self.place, Place::Objects) {
            return Err(A::Error::custom("a list"));
        }
        self.text.push('[');
        while list.next_element_seed(Item(self.at(Place::Object)))?.is_some() {}
        self.text.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        match self.place {
            Place::Action => return self.action(map),
            Place::Objects => return Err(A::Error::custom("no list")),
            Place::Answer | Place::Object | Place::Actions => {}
        }
        let mut names = Names::default();
        self.text.push('{');
        while let Some(name) = map.next_key::<String>()? {
            names.add(&name)?;
            self.name(&name);
            match self.place.of_member(&name) {
                Some(place) => map.next_value_seed(self.at(place))?,
                None => self.text.push_str(map.next_value::<&RawValue>()?.get()),
            }
        }
        self.text.push('}');
        Ok(())
    }
}

/// One of a list.
struct Item<'a>(Edit<'a>);

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.0.text.ends_with('[') {
            self.0.text.push(',');
        }
        self.0.deserialize(deserializer)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::vec;

    const OWN: &str = "Basic Z2l0bGFiLWNpLXRva2VuOmdsY2J0LTE=";

    fn hosts() -> [Host; 1] {
        [Host::parse(b"gitlab.example.com").unwrap()]
    }

    fn rewritten(answer: &str) -> Option<String> {
        let own = with_own(&hosts(), &Secret::new(b"glcbt-1"), answer.as_bytes())?;
        String::from_utf8(own).ok()
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
            assert_eq!(rewritten(came), None, "{came}");
        }
        for href in ["1", "\"/a\"", "\"https://user@gitlab.example.com/a\"", "\"ftp://gitlab.example.com/a\"", "\"\""] {
            assert_eq!(rewritten(&answer(href, r#"{"Authorization":"x"}"#)), None, "{href}");
        }
    }

    #[test]
    fn the_forges_own_credentials_are_found() {
        let parent = Hash::of(&[b"glcbt-1"]);
        let login = STANDARD.encode("dana:eyJh.eyJw.sig");
        let came = answer("\"https://e.example\"", &format!(r#"{{"authorization":"Basic {login}"}}"#));
        let signed = Secret::new(b"eyJh.eyJw");
        assert_eq!(
            read(parent, came.as_bytes()),
            Some(vec![Event::Minted {
                signed,
                parent: Some(parent),
                lifetime: LIFETIME,
                forgotten: Forgotten::Persons
            }])
        );
        assert_eq!(read(parent, b"{"), None);
    }
}
