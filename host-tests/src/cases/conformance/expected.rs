//! What a row expects, and whether it is what became of a request.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::asking::Question;
use super::forge::{self, ORIGIN};
use super::notes::Notes;
use super::seen::Seen;

/// What a row expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    decision: Decision,
    /// Statuses that will do, `x` for any digit.
    statuses: Vec<String>,
    message: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    Allow,
    Deny,
    /// The request goes on, and the token counts for nothing.
    Anonymous,
    /// A registry token for these actions.
    Grant(BTreeSet<String>),
    /// What nothing of ours can be: it stands among the exceptions.
    Foreign(String),
}

impl Expected {
    /// What a row expects, in place of which some of an exception's values may stand.
    ///
    /// # Errors
    /// Nobody here understands it.
    pub(super) fn of(expect: &Map<String, Value>) -> Result<Expected> {
        let notes = Notes::new("expect", expect);
        let decision = match notes.text("decision")?.context("expect.decision: expected one")? {
            "allow" | "valid" | "off" => Decision::Allow,
            "deny" | "invalid" | "on" => Decision::Deny,
            "anonymous" => Decision::Anonymous,
            foreign @ ("redirect" | "conflict") => Decision::Foreign(foreign.into()),
            text => match (text.strip_prefix("grant "), text.strip_prefix("allow ")) {
                (Some(granted), _) => Decision::Grant(grants(granted)),
                (None, Some(_)) => Decision::Foreign(text.into()),
                (None, None) => return Err(notes.unknown("decision", text)),
            },
        };
        let statuses = match notes.value("status") {
            None => Vec::new(),
            Some(value) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let is_status = |word: &&str| word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit() || b == b'x');
                let words = text.split([' ', ',']).filter(|word| !["", "or"].contains(word)).map(str::to_owned);
                let words: Vec<String> = words.collect();
                if words.is_empty() || !words.iter().all(|word| is_status(&word.as_str())) {
                    return Err(notes.unknown("status", text));
                }
                words
            }
        };
        let message = notes.text("message")?.map(str::to_owned);
        notes.finish()?;
        Ok(Expected { decision, statuses, message })
    }

    /// Whether a request was decided so. Status and words are those of a denial alone: what is let through is answered
    /// by the forge.
    ///
    /// # Errors
    /// Nobody here understands the message.
    pub(super) fn agrees(&self, seen: &Seen, question: &Question, is_worded: bool) -> Result<bool> {
        Ok(match (&self.decision, seen) {
            (Decision::Allow, Seen::Forwarded { .. }) | (Decision::Anonymous, Seen::Untouched) => true,
            (Decision::Grant(granted), Seen::Forwarded { path }) => *granted == scopes(path),
            (Decision::Deny, Seen::Answered { .. }) if !is_worded => true,
            (Decision::Deny, Seen::Answered { status, body, .. }) => {
                let is_one =
                    |known: &String| known.bytes().zip(status.to_string().bytes()).all(|(k, s)| k == b'x' || k == s);
                (self.statuses.is_empty() || self.statuses.iter().any(is_one)) && self.is_said(body, question)?
            }
            (
                Decision::Allow | Decision::Deny | Decision::Anonymous | Decision::Grant(_) | Decision::Foreign(_),
                Seen::Untouched | Seen::Forwarded { .. } | Seen::Answered { .. } | Seen::Broken(_),
            ) => false,
        })
    }

    /// Whether a body says what is expected, and perhaps more after it.
    fn is_said(&self, body: &str, question: &Question) -> Result<bool> {
        let Some(message) = &self.message else { return Ok(true) };
        let said: Value = serde_json::from_str(body).unwrap_or_default();
        let error = &said["errors"][0];
        let text = error["message"].as_str().or(said["message"].as_str()).unwrap_or(body);
        let (code, words) = of_registry(message);
        let is_code = code.is_none_or(|code| error["code"] == code);
        let is_text = match words {
            None => true,
            Some(words) => {
                let (words, is_whole) = filled(words, question)?;
                let rest = text.strip_prefix(words.as_str());
                rest.is_some_and(|rest| !is_whole || rest.is_empty() || rest.starts_with(char::is_whitespace))
            }
        };
        Ok(is_code && is_text)
    }
}

/// `pull,push`, `internal pull only`, `nothing`.
fn grants(text: &str) -> BTreeSet<String> {
    let words = text.trim_end_matches(" only").split([',']).flat_map(|part| part.split(" and ")).map(str::trim);
    words.filter(|word| *word != "nothing").map(str::to_owned).collect()
}

/// What a forwarded request for a registry token asks for.
fn scopes(path: &str) -> BTreeSet<String> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let scopes = query.split('&').filter_map(|pair| pair.strip_prefix("scope="));
    let of_scope = |scope: &str| match scope.splitn(3, ':').collect::<Vec<_>>()[..] {
        ["registry", "catalog", _] => vec!["catalog".to_owned()],
        [_, name, actions] => {
            let mark = forge::visibility_of(name).map_or_else(String::new, |visibility| format!("{visibility} "));
            actions.split(',').map(|action| format!("{mark}{action}")).collect()
        }
        _ => vec![scope.to_owned()],
    };
    scopes.flat_map(of_scope).collect()
}

/// Code and words of a message in the notations of the registry rows: `errors[0] = {code: C, message: w}`,
/// `errors[0].code = C, message starts w`, `C w`. Any other is words alone.
fn of_registry(message: &str) -> (Option<&str>, Option<&str>) {
    let after = |mark: &str| message.split_once(mark).map(|(_, rest)| rest);
    if message.starts_with("errors[0]") {
        let code = after("code: ").or(after("code = ")).and_then(|rest| rest.split([',', '}']).next());
        let words = after("message: ").or(after("message starts ")).map(|rest| rest.trim_end_matches('}'));
        return (code, words);
    }
    match message.split_once(' ') {
        Some((code, words)) if code.len() > 4 && code.bytes().all(|b| b.is_ascii_uppercase()) => {
            (Some(code), Some(words))
        }
        _ => (None, Some(message)),
    }
}

/// The words with names in the place of placeholders, and whether they are a whole sentence: three dots, and a
/// placeholder that only the forge can fill, end what is compared.
fn filled(words: &str, question: &Question) -> Result<(String, bool)> {
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let target = forge::target(&question.given);
    let mut text = String::new();
    let mut rest = words;
    while let Some((before, inner)) = rest.split_once('<') {
        let (name, after) = inner.split_once('>').context("expect.message: a `<` without `>`")?;
        text.push_str(before);
        match name {
            "origin.path" | "origin path" => text.push_str(&last(ORIGIN.path)),
            "target.path" | "target path" | "path" => text.push_str(&last(target.path)),
            "target id" | "target.id" | "id" => text.push_str(&target.id.to_string()),
            "url" | "user" => return Ok((text, false)),
            other => bail!("expect.message: nobody here understands `<{other}>`"),
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(match text.split_once("...") {
        Some((text, _)) => (text.trim_end().to_owned(), false),
        None => (text, true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_has_a_code() {
        assert_eq!(of_registry("errors[0] = {code: DENIED, message: no}"), (Some("DENIED"), Some("no")));
        assert_eq!(
            of_registry("errors[0].code = UNAUTHORIZED, message starts HTTP"),
            (Some("UNAUTHORIZED"), Some("HTTP"))
        );
        assert_eq!(of_registry("DENIED access forbidden"), (Some("DENIED"), Some("access forbidden")));
        assert_eq!(of_registry("HTTP Basic: Access denied."), (None, Some("HTTP Basic: Access denied.")));
    }

    #[test]
    fn grants_are_compared_scope_by_scope() {
        assert_eq!(grants("pull,push"), scopes("/jwt/auth?service=s&scope=repository:g/p:push,pull"));
        assert_eq!(grants("internal pull only"), scopes("/jwt/auth?scope=repository:libs/internal:pull"));
        assert_eq!(grants("nothing"), scopes("/jwt/auth?service=s"));
        assert_eq!(grants("catalog"), scopes("/jwt/auth?scope=registry:catalog:*"));
    }

    #[test]
    fn what_nobody_understands_is_an_error() {
        let of = |text: &str| Expected::of(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap());
        assert!(of(r#"{"decision": "deny", "status": "403, 401 or 400"}"#).is_ok());
        for bad in [
            r#"{"decision": "perhaps"}"#,
            r#"{"decision": "deny", "status": "soon"}"#,
            r#"{"decision": "deny", "x": 1}"#,
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
