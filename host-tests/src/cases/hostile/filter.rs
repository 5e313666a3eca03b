//! A row's request, read by the compiled filter.

use anyhow::Result;

use super::expected::Asked;
use super::forge::Forge;
use super::seen::{End, Seen};
use crate::cases::filter::sent;
use crate::cases::message::Message;
use crate::host::{Filter, Outcome};

/// Sends a message through the filter, in the world of `forge`.
///
/// # Errors
/// The filter does not start.
pub fn seen(filter: &Filter, forge: &Forge, message: &Message) -> Result<Seen> {
    let sent = sent(filter, &forge.configuration, &|path, body| forge.answer(path, body), message)?;
    let (host, stream) = match sent {
        Ok(sent) => sent,
        Err(why) => return Ok(Seen::Broken(why)),
    };
    let properties = host.properties(stream);
    let property =
        |name: &str| properties.get(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    let asked = || Asked::from([(notation(&property("jobscope_target")), property("jobscope_action"))]);
    Ok(match host.outcome(stream) {
        Outcome::Forwarded { headers, .. } if properties.is_empty() => {
            if headers == message.fields() {
                Seen::Passed
            } else {
                Seen::Broken("passed on, but changed".into())
            }
        }
        Outcome::Forwarded { .. } => Seen::Judged { protocol: None, asked: asked(), end: End::Forwarded },
        Outcome::Replied(reply) => {
            let status = u16::try_from(reply.status).unwrap_or_default();
            // The host answers 413 on its own when a body is larger than its buffer.
            let code = reply.details.strip_prefix("jobscope:").unwrap_or(&reply.details).to_owned();
            match property("jobscope_rule").as_str() {
                "" | "-" => Seen::Refused { status, code },
                _ => Seen::Judged { protocol: None, asked: asked(), end: End::Denied { status, code } },
            }
        }
        other => Seen::Broken(format!("{other:?}")),
    })
}

/// The target of a log line in the notation of the rows.
fn notation(target: &str) -> String {
    const MARKS: [(&str, &str); 6] = [
        ("by-number/", "id"),
        ("#", "id"),
        ("job #", "job"),
        ("group #", "group"),
        ("group ", "group"),
        ("namespace ", "namespace"),
    ];
    let marked = MARKS.iter().find_map(|(prefix, mark)| Some(format!("{mark}:{}", target.strip_prefix(prefix)?)));
    match target {
        "-" => "null".into(),
        _ => marked.unwrap_or_else(|| target.into()),
    }
}
