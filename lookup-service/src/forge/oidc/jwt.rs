//! An ID token as it is written, in the one spelling that issuers use. Nothing of it is believed before its signature is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::refusal::Refusal;

/// What a header must not have: keys that it brings itself or says where to get, and what changes how the rest is read.
const REFUSED: [&str; 8] = ["crit", "b64", "jku", "jwk", "x5u", "x5c", "enc", "zip"];

/// An ID token.
pub(super) struct Jwt<'a> {
    pub(super) algorithm: String,
    /// Which key it says it is signed with.
    pub(super) kid: String,
    /// Who it says made it.
    pub(super) issuer: String,
    pub(super) claims: Claims,
    /// What is signed.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    /// Reads a token; `None` where it is no ID token by any reading, and so somebody else's credential.
    ///
    /// # Errors
    /// Where it is like one, and some other reader may take it for one.
    pub(super) fn read(token: &'a [u8]) -> Result<Option<Self>, Refusal> {
        if !is_like_one(token) {
            return Ok(None);
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Spelling);
        };
        let signed = token.get(..header.len() + 1 + payload.len()).ok_or(Refusal::Spelling)?;
        let (header, claims) = (object(header)?, object(payload)?);
        if REFUSED.iter().any(|name| header.0.get(name).is_some()) {
            return Err(Refusal::Header);
        }
        if header.0.get("typ").is_some_and(|typ| !typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT"))) {
            return Err(Refusal::Header);
        }
        let issuer = match claims.0.get("iss") {
            // An ID token has one. What a forge makes for itself, such as its registry's, often has none.
            None => return Ok(None),
            Some(issuer) => issuer.as_str().ok_or(Refusal::Spelling)?.to_owned(),
        };
        Ok(Some(Self {
            algorithm: header.text("/alg").ok_or(Refusal::Header)?,
            kid: header.text("/kid").ok_or(Refusal::Header)?,
            issuer,
            claims,
            signed,
            signature: decoded(signature)?,
        }))
    }
}

/// Whether some reader could take a token for a JWT: three parts or more, the first an object in whatever base64.
fn is_like_one(token: &[u8]) -> bool {
    let mut parts = token.split(|byte| *byte == b'.');
    let first = parts.next().unwrap_or_default();
    if parts.count() < 2 {
        return false;
    }
    let canonical = |byte: &u8| match byte {
        b'+' => Some(b'-'),
        b'/' => Some(b'_'),
        // Left out by who is generous.
        b'=' | b'~' => None,
        byte => Some(*byte),
    };
    let mut first: Vec<u8> = first.iter().filter_map(canonical).collect();
    first.resize(first.len().next_multiple_of(4), b'A');
    let is_before = |byte: &u8| byte.is_ascii_whitespace() || b"\xef\xbb\xbf".contains(byte);
    URL_SAFE_NO_PAD.decode(first).is_ok_and(|first| first.iter().find(|byte| !is_before(byte)) == Some(&b'{'))
}

fn decoded(part: &[u8]) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Spelling)
}

fn object(part: &[u8]) -> Result<Claims, Refusal> {
    Claims::parse(&decoded(part)?).ok_or(Refusal::Spelling)
}

/// Members of a JSON object in which none stands twice.
#[derive(Debug, Clone)]
pub(super) struct Claims(Value);

impl Claims {
    /// Parses them: one object and nothing behind it.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        let Once(value) = serde_json::from_slice(json).ok()?;
        value.is_object().then_some(Self(value))
    }

    /// The text or the whole number at a JSON pointer, as a text: one issuer writes ids so, the other so.
    pub(super) fn text(&self, pointer: &str) -> Option<String> {
        match self.0.pointer(pointer)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => number.as_u64().map(|number| number.to_string()),
            _ => None,
        }
    }

    /// The whole number at a JSON pointer.
    pub(super) fn number(&self, pointer: &str) -> Option<u64> {
        self.0.pointer(pointer)?.as_u64()
    }

    /// `true` or `false` at a JSON pointer, also as a text.
    pub(super) fn flag(&self, pointer: &str) -> Option<bool> {
        match self.0.pointer(pointer)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether something is there.
    pub(super) fn has(&self, pointer: &str) -> bool {
        self.0.pointer(pointer).is_some()
    }

    /// Whether it is for this audience and for no other.
    pub(super) fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            // Kubernetes writes a list always.
            Some(Value::Array(list)) => matches!(&list[..], [Value::String(one)] if one == audience),
            _ => false,
        }
    }
}

/// JSON in which no object has a member twice: of two, one reader takes the first and another the last.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON in which no member stands twice")
    }
    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("a number"))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Once(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Once(value))) = object.next_entry::<String, Once>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(header: &str, payload: &str) -> String {
        [header, payload, "signature"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    }

    #[test]
    fn what_is_no_id_token_by_any_reading_is_somebody_elses() {
        let without_issuer = spelled(r#"{"alg":"HS256","kid":"1"}"#, r#"{"TaskID":7}"#);
        for token in ["0123456789abcdef0123456789abcdef01234567", "glpat-a.01.b", "a.b.c", "x..y", &without_issuer] {
            assert!(matches!(Jwt::read(token.as_bytes()), Ok(None)), "{token}");
        }
    }

    #[test]
    fn what_only_another_reader_would_take_for_one_is_refused() {
        let good = spelled(r#"{"alg":"RS256","kid":"1"}"#, r#"{"iss":"i"}"#);
        assert!(matches!(Jwt::read(good.as_bytes()), Ok(Some(_))));
        let part = |at: usize| good.split('.').nth(at).unwrap();
        for token in [
            format!("{good}="),
            format!("{}=.{}.{}", part(0), part(1), part(2)),
            format!("{good}.{}", part(2)),
            format!("{}..{}", part(0), part(2)),
            format!("{}.{}", spelled(r#" {"alg":"RS256","kid":"1"}"#, "{}"), part(1)),
            format!("\u{7e}{good}"),
            format!("e30.{}.{}", part(1), part(2)),
            spelled("\u{feff}{\"alg\":\"RS256\",\"kid\":\"1\"}", r#"{"iss":"i"}"#),
            spelled(&format!("{}{{\"alg\":\"RS256\"}}", " ".repeat(90)), r#"{"iss":"i"}"#),
            // One bit more than the last byte has.
            format!("{}.{}.QR", part(0), part(1)),
            spelled(r#"{"alg":"RS256","kid":"1","kid":"2"}"#, r#"{"iss":"i"}"#),
            spelled(r#"{"alg":"RS256","kid":"1"}"#, r#"{"iss":"i","iss":"j"}"#),
            spelled(r#"{"alg":"RS256","kid":"1"}"#, r#"{"iss":"i","a":{"b":1,"b":1}}"#),
            spelled(r#"{"alg":"RS256","kid":"1"}"#, r#"{"iss":"i","\u0069ss":"j"}"#),
            spelled(r#"{"alg":"RS256","kid":"1"}"#, r#"{"iss":["i"]}"#),
            spelled(r#"{"alg":"RS256","kid":"1"}"#, r#"{"iss":"i"} {}"#),
            spelled(r#"{"alg":"RS256","kid":"1"}"#, r#"[{"iss":"i"}]"#),
            spelled(r#"{"alg":"RS256","kid":"1","typ":"at"}"#, r#"{"iss":"i"}"#),
            spelled(r#"{"alg":"RS256"}"#, r#"{"iss":"i"}"#),
            spelled(r#"{"kid":"1"}"#, r#"{"iss":"i"}"#),
            spelled(&format!("{{\"alg\":{}", "[".repeat(4000)), "{}"),
        ] {
            assert!(Jwt::read(token.as_bytes()).is_err(), "{token}");
        }
        for name in REFUSED {
            let header = format!(r#"{{"alg":"RS256","kid":"1","{name}":null}}"#);
            assert!(Jwt::read(spelled(&header, r#"{"iss":"i"}"#).as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn an_audience_is_one_alone() {
        let is_for = |aud: &str| Claims::parse(format!(r#"{{"aud":{aud}}}"#).as_bytes()).unwrap().is_for("us");
        assert!(is_for(r#""us""#) && is_for(r#"["us"]"#));
        for other in [r#""US""#, r#""us ""#, r#"["us","them"]"#, r#"["us","us"]"#, "[]", "null", r#"{"us":1}"#] {
            assert!(!is_for(other), "{other}");
        }
        assert!(!Claims::parse(b"{}").unwrap().is_for(""));
    }
}
