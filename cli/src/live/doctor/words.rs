//! What is wrong with an answer, in a sentence with what to do.

use std::time::Duration;

use policy::lookup::Call;

use crate::live::secrets::Secrets;
use crate::live::{Live, Reply, Sent, Trouble};

/// What is wrong with an answer, whatever was asked: `None` where the forge itself spoke, even if it refused.
pub(super) fn wrong(live: &Live<'_>, sent: &Sent) -> Option<String> {
    match &sent.reply {
        Err(trouble) => Some(format!("{trouble}: {}", remedy(trouble))),
        Ok(reply) => wrong_reply(&live.secrets, reply),
    }
}

fn remedy(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Name(_) => {
            "check the endpoint of the lookup cluster, or say with `--address` how it is reached from here"
        }
        Trouble::Connection(_) => {
            "check machine and port in the endpoint of the lookup cluster, and whether a firewall lets this machine through"
        }
        Trouble::Time(_) => "the forge has too much to do, or something on the way drops what is sent",
        Trouble::Tls(_) => {
            "check that the port speaks TLS, and that the certificate is for the cluster's `sni`; one that the system does \
             not know is trusted with `trusted_ca` in the cluster, here also with `--ca FILE`"
        }
        Trouble::Ended => "check whether the port speaks TLS and the cluster does not, or the other way round",
        Trouble::Protocol(_) => {
            "check whether the port speaks TLS, and the cluster does not, or something else listens there"
        }
        Trouble::Length => "check what it is, since nothing that is looked up is so long",
    }
}

fn wrong_reply(secrets: &Secrets, reply: &Reply) -> Option<String> {
    let status = reply.status;
    let is_page = reply.content_type.as_deref().is_some_and(|kind| kind.starts_with("text/html"))
        || reply.body.trim_ascii_start().starts_with(b"<");
    let location = reply.location.as_deref().map(|place| secrets.masked(place));
    match (status, location) {
        (300..=399, Some(location)) => Some(format!(
            "it answers {status}, go to `{location}`, and the filter goes nowhere else: name the address that answers itself \
             (`https` for `http`, another host, another `forge.relative_url_root`)"
        )),
        _ if is_page => Some(format!(
            "it answers {status} with a page for people, and not in JSON: a login in front of the forge, another server, or \
             another `forge.relative_url_root`"
        )),
        (429, _) => Some("it answers 429: it was asked too much. Ask again later, and raise the forge's limit for the service account".to_owned()),
        (500.., _) => Some(format!("it answers {status}: the forge, or what stands in front of it, does not work now")),
        (200, _) if serde_json::from_slice::<serde_json::Value>(&reply.body).is_err() => {
            Some("it answers 200, and not in JSON: it is not the forge's API that answers".to_owned())
        }
        _ => None,
    }
}

/// What a call was answered with.
pub(super) fn said(live: &Live<'_>, call: &Call, sent: &Sent) -> String {
    let said = match &sent.reply {
        Ok(reply) => match message(&live.secrets, reply) {
            Some(message) => format!("answered {} (`{message}`)", reply.status),
            None => format!("answered {}", reply.status),
        },
        Err(trouble) => format!("failed, since {trouble}"),
    };
    format!("`{}` {said}", call.outline())
}

/// What the forge itself says of a refusal.
pub(super) fn message(secrets: &Secrets, reply: &Reply) -> Option<String> {
    const LONGEST: usize = 120;
    let body: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
    let text = ["error_description", "message", "error"].iter().find_map(|name| body.get(name)?.as_str())?;
    Some(secrets.masked(text).chars().map(|c| if c.is_control() || c == '`' { ' ' } else { c }).take(LONGEST).collect())
}

/// A time for people, in its two largest units.
pub(super) fn time(time: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    if time < Duration::from_secs(1) {
        return format!("{} ms", time.as_millis());
    }
    let mut rest = time.as_secs();
    let mut parts = Vec::new();
    for (unit, seconds) in UNITS {
        let count = rest.checked_div(seconds).unwrap_or_default();
        rest = rest.checked_rem(seconds).unwrap_or_default();
        if count > 0 && parts.len() < 2 {
            parts.push(format!("{count} {unit}"));
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, body: body.into(), ..Reply::default() }
    }

    #[test]
    fn what_is_not_the_forges_word_is_told_and_a_refusal_of_its_own_is_not() {
        for (status, body, begin) in [
            (200, "{}", None),
            (401, r#"{"message": "401 Unauthorized"}"#, None),
            (404, r#"{"message": "404 Not Found"}"#, None),
            (200, "<!DOCTYPE html>", Some("it answers 200 with a page")),
            (401, " <html>", Some("it answers 401 with a page")),
            (200, "ok", Some("it answers 200, and not in JSON")),
            (429, "{}", Some("it answers 429")),
            (502, "bad gateway", Some("it answers 502: the forge")),
        ] {
            let found = wrong_reply(&Secrets::default(), &reply(status, body));
            assert_eq!(found.is_some(), begin.is_some(), "{status} {body}: {found:?}");
            assert!(found.unwrap_or_default().starts_with(begin.unwrap_or_default()), "{status} {body}");
        }
        let reply = Reply { status: 302, location: Some("https://sso.invalid/?token=abc".into()), ..Reply::default() };
        let moved = wrong_reply(&Secrets::default(), &reply).unwrap();
        assert!(moved.contains("go to `https://sso.invalid/?token=[secret]`"), "{moved}");
    }

    #[test]
    fn a_time_has_its_two_largest_units() {
        for (seconds, shown) in [(1, "1 s"), (90, "1 min 30 s"), (3_600, "1 h"), (90_061, "1 d 1 h")] {
            assert_eq!(time(Duration::from_secs(seconds)), shown);
        }
        assert_eq!(time(Duration::from_millis(250)), "250 ms");
    }

    #[test]
    fn the_forges_own_words_are_shown_without_secrets() {
        let said = |body: &str| message(&Secrets::default(), &reply(401, body));
        let expired = r#"{"error":"invalid_token","error_description":"Token is expired."}"#;
        assert_eq!(said(expired).as_deref(), Some("Token is expired."));
        assert_eq!(said(r#"{"message":"no glpat-abc\u001b"}"#).as_deref(), Some("no [secret] "));
        assert_eq!(said("<p>"), None);
    }
}
