//! The service account: its token, and who it is.

use policy::facts::{Day, User, UserId};
use policy::lookup::account::NOTICE;
use serde_json::Value;

use super::{Finding, Mark, words};
use crate::live::{Live, Reply};

/// The service account, as it says itself.
pub(super) struct Account {
    /// Its user.
    pub user: User,
    /// Whether it administers the forge.
    pub is_admin: bool,
}

/// What is told of the token; an error where it is of no use.
pub(super) fn token(live: &mut Live<'_>) -> Finding {
    const ABOUT: &str = "service token";
    let Some(at) = live.get("/personal_access_tokens/self") else {
        return Finding::new(Mark::Good, ABOUT, "none is configured, and no lookup needs one");
    };
    let reply = live.reply(at).cloned().unwrap_or_default();
    let said = words::message(&live.secrets, &reply).map_or_else(String::new, |message| format!(" (`{message}`)"));
    let (mark, text) = match (reply.status, live.json(at)) {
        (200, Some(token)) => told(&token, today(&reply)),
        (401, _) => (
            Mark::Error,
            format!(
                "the forge does not take it: 401{said}. It expired, was revoked, or is no personal access token; make one with the scope `read_api`"
            ),
        ),
        (403, _) => (Mark::Error, format!("the forge refuses it the API: 403{said}. It needs the scope `read_api`")),
        (404, _) => {
            (Mark::Unseen, "the forge does not tell how long it is valid, and which scopes it has (404)".to_owned())
        }
        (_, _) => {
            let said = live.asked.get(at).map(|(call, sent)| words::said(live, call, sent)).unwrap_or_default();
            (Mark::Unseen, format!("{said}, which does not tell how long it is valid"))
        }
    };
    Finding::new(mark, ABOUT, text)
}

/// What the forge tells of a token.
fn told(token: &Value, today: Option<Day>) -> (Mark, String) {
    let flag = |name: &str| token.get(name).and_then(Value::as_bool);
    let scopes = token.get("scopes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let scopes: Vec<&str> = scopes.collect();
    let listed =
        if scopes.is_empty() { "no scopes".to_owned() } else { format!("the scopes `{}`", scopes.join("`, `")) };
    let expires = token.get("expires_at").and_then(Value::as_str);
    let left = expires.and_then(Day::parse).zip(today).map(|(end, today)| end.0.saturating_sub(today.0));
    let until = match (expires, left) {
        (None, _) => "it does not expire".to_owned(),
        (Some(end), Some(0)) => format!("it expired on {end}"),
        (Some(end), Some(1)) => format!("it is valid until {end}, 1 day"),
        (Some(end), Some(days)) => format!("it is valid until {end}, {days} days"),
        (Some(end), None) => format!("it is valid until {end}"),
    };
    if flag("active") == Some(false) || flag("revoked") == Some(true) || left == Some(0) {
        return (
            Mark::Error,
            format!("{until}, and the forge calls it inactive: make a new one with the scope `read_api`"),
        );
    }
    let has = |scope: &str| scopes.contains(&scope);
    if !has("read_api") && !has("api") {
        return (Mark::Error, format!("it has {listed}, and needs `read_api`"));
    }
    if left.is_some_and(|days| days <= NOTICE) {
        return (Mark::Warning, format!("{until}: every request of a job gets 503 afterwards. It has {listed}"));
    }
    if has("api") {
        return (
            Mark::Warning,
            format!("{until}, and has {listed}: with `api` it also writes, and `read_api` is enough"),
        );
    }
    (Mark::Good, format!("{until}, and has {listed}"))
}

/// Which day it is, where the forge is: it is the one that lets tokens expire.
fn today(reply: &Reply) -> Option<Day> {
    Some(Day::of(u64::try_from(reply.date?.as_millis()).ok()?))
}

/// Asks who the service account is.
pub(super) fn account(live: &mut Live<'_>) -> (Finding, Option<Account>) {
    const ABOUT: &str = "service account";
    let Some(at) = live.get("/user") else { return (Finding::new(Mark::Good, ABOUT, "none is needed"), None) };
    let said = live.asked.get(at).map(|(call, sent)| words::said(live, call, sent)).unwrap_or_default();
    let body = live.json(at).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(id), Some(name)) = (body.get("id").and_then(Value::as_u64), text("username")) else {
        return (Finding::new(Mark::Error, ABOUT, format!("{said}, and not who it is")), None);
    };
    let is_admin = body.get("is_admin").and_then(Value::as_bool) == Some(true);
    let name: String = name.chars().filter(char::is_ascii_graphic).collect();
    let account = Account { user: User { id: UserId(id), name: name.clone() }, is_admin };
    let finding = match (text("state"), is_admin) {
        (Some(state), _) if state != "active" => {
            Finding::new(Mark::Error, ABOUT, format!("{name} is {state}, and the forge lets nobody in who is"))
        }
        (_, true) => Finding::new(Mark::Good, ABOUT, format!("{name}, an administrator")),
        (_, false) => Finding::new(
            Mark::Good,
            ABOUT,
            format!("{name}, no administrator: it sees the projects and groups that it is a member of"),
        ),
    };
    (finding, Some(account))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_good_as_long_as_it_is_valid_and_may_read() {
        let today = Day::parse("2026-11-26");
        for (token, mark, part) in [
            (
                json!({"active": true, "scopes": ["read_api"], "expires_at": "2027-01-31"}),
                Mark::Good,
                "2027-01-31, 66 days, and has the scopes `read_api`",
            ),
            (
                json!({"active": true, "scopes": ["read_api", "admin_mode"], "expires_at": null}),
                Mark::Good,
                "does not expire",
            ),
            (
                json!({"active": true, "scopes": ["read_api"], "expires_at": "2026-11-27"}),
                Mark::Warning,
                "2026-11-27, 1 day:",
            ),
            // As the filter and its alert do, from a month before.
            (json!({"active": true, "scopes": ["read_api"], "expires_at": "2026-12-26"}), Mark::Warning, "30 days:"),
            (json!({"active": true, "scopes": ["read_api"], "expires_at": "2026-12-27"}), Mark::Good, "31 days, and"),
            (json!({"active": true, "scopes": ["read_api"], "expires_at": "2026-11-26"}), Mark::Error, "expired on"),
            (json!({"active": true, "scopes": ["read_api"], "expires_at": "2020-01-31"}), Mark::Error, "expired on"),
            (json!({"active": false, "scopes": ["read_api"], "expires_at": "2027-11-26"}), Mark::Error, "inactive"),
            (json!({"revoked": true, "scopes": ["read_api"]}), Mark::Error, "inactive"),
            (json!({"active": true, "scopes": ["read_repository"]}), Mark::Error, "needs `read_api`"),
            (json!({"active": true}), Mark::Error, "no scopes, and needs"),
            (json!({"active": true, "scopes": ["api"]}), Mark::Warning, "also writes"),
        ] {
            let (told, text) = told(&token, today);
            assert!(told == mark && text.contains(part), "{token}: {text}");
        }
    }
}
