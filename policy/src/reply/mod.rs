//! What a client is told: status, header fields and body, in the words of its protocol. Nowhere else is a protocol's
//! denial worded.
//!
//! Texts are printable ASCII and never repeat the request. A target is named only to somebody who could see it anyway;
//! to everybody else the answer is that of a target that does not exist, byte for byte. Every answer names its decision,
//! of which the log says more.

mod words;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use memchr::memchr;

use crate::access::Action;
use crate::access::Protocol;
use crate::choices::{Answers, Kind};
use crate::facts::{Origin, ProjectId, ProjectPath, Role};
use crate::failure::Failure;
use crate::json::{self, List, Members, Object, Word};
use crate::request::Malformed;
use crate::rules::Reason;
use words::{bare_words, explanation, forge_words, hidden_words, lines, never_words, sentence, token_words};

/// An answer that the filter gives itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(&'static str, &'static str)>,
    /// After how many seconds the client may come back, where it may.
    pub retry_after: Option<u64>,
    /// The body, with [`DECISION`] where the decision is named.
    pub body: String,
}

/// Stands in a body for the decision's number, which nobody knows before it is logged.
pub const DECISION: &str = "<decision>";

impl Reply {
    /// The body of this decision's answer.
    #[must_use]
    pub fn text(&self, decision: &str) -> String {
        let (mut text, mut rest) = (String::with_capacity(self.body.len().saturating_add(decision.len())), &*self.body);
        while let Some((before, behind)) = memchr(b'<', rest.as_bytes()).and_then(|at| rest.split_at_checked(at)) {
            text.push_str(before);
            let named = behind.strip_prefix(DECISION);
            text.push_str(if named.is_some() { decision } else { "<" });
            rest = named.or(behind.get(1..)).unwrap_or_default();
        }
        text.push_str(rest);
        text
    }
}

/// Whom a denial is about, as far as the client may know.
#[derive(Debug)]
pub enum Subject<'a> {
    /// A target that the job's user could see anyway.
    Known {
        /// The job's project.
        origin: &'a Origin,
        /// The path of the project asked for.
        target: &'a ProjectPath,
        /// Its number, where it is known.
        id: Option<ProjectId>,
    },
    /// A target that is not there, or not for this user to know of.
    Hidden,
    /// No target.
    None,
}

const GIT_DENIED: &str = "HTTP Basic: Access denied. The provided password or token is incorrect.";
const GIT_NOT_FOUND: &str =
    "The project you were looking for could not be found or you don't have permission to view it.";
const DENIED: &str = "requested access to the resource is denied";
/// A client that knows the usual text of a code shows the code alone, so this is none.
const IMAGE_NOT_FOUND: &str = "there is no such image, or you may not see it.";
/// How a refusal weighs, whatever the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// The token is dead or never lived.
    Unauthorized,
    /// There is nothing, as far as this client may know.
    NotFound,
    /// It is there, and the forge says that it is not; who may know is told why.
    Withheld,
    /// It is there, and not allowed.
    Forbidden,
    /// Anything else, with its own status.
    Other(u16),
}

/// A rule's denial, as far as its answer depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Denied<'a> {
    /// In whose words it is answered.
    pub protocol: Protocol,
    /// Which forge is spoken for.
    pub kind: Kind,
    /// Which of its versions.
    pub answers: Answers,
    /// What was asked.
    pub action: Action,
    /// The least role that it needs.
    pub role: Role,
    /// Why it was denied.
    pub reason: Reason,
    /// The rule of the configuration that denied it.
    pub written: Option<&'a str>,
}

/// The answer to a rule's denial.
#[must_use]
pub fn rule(denied: &Denied<'_>, subject: &Subject<'_>) -> Reply {
    let Denied { protocol, reason, .. } = *denied;
    match subject {
        Subject::Known { origin, target, id } => {
            let (weight, forge) = forge_words(denied, origin, target, *id);
            let words = Words { forge, why: explanation(denied, origin, target), code: reason.code() };
            answer(protocol, weight, &words)
        }
        // The same words whatever the reason, and no code: an answer must not tell a hidden target from none.
        Subject::Hidden => {
            let why = hidden_words(denied.action).into();
            answer(protocol, Weight::NotFound, &Words { forge: String::new(), why, code: "" })
        }
        Subject::None => {
            let forge = never_words(protocol, denied.action).into();
            let words = Words { forge, why: bare_words(denied.action, reason).into(), code: reason.code() };
            answer(protocol, Weight::Forbidden, &words)
        }
    }
}

/// The answer to a token that is not a running job's.
#[must_use]
pub fn token(protocol: Protocol, reason: Reason) -> Reply {
    let (weight, forge) = token_words(protocol, reason);
    answer(protocol, weight, &Words { forge: forge.into(), why: reason.text().into(), code: reason.code() })
}

/// The answer to a request that cannot be read.
#[must_use]
pub fn malformed(protocol: Protocol, malformed: Malformed) -> Reply {
    let status = malformed.status();
    let words = Words {
        forge: format!("{status} {}", status_word(status)),
        why: malformed.text().into(),
        code: malformed.code(),
    };
    let weight = if status == 401 { Weight::Unauthorized } else { Weight::Other(status) };
    answer(protocol, weight, &words)
}

/// The answer when facts cannot be had, or something failed here.
#[must_use]
pub fn failure(protocol: Protocol, failure: Failure) -> Reply {
    let status = match failure {
        // The one failure that is the client's own.
        Failure::LookupSourceLimit => 429,
        Failure::LookupTimeout
        | Failure::LookupUnreachable
        | Failure::LookupStale
        | Failure::LookupAnswer
        | Failure::Answer
        | Failure::AnswerUnrecorded
        | Failure::LookupThrottled
        | Failure::LookupRights
        | Failure::LookupLimit
        | Failure::LookupBusy
        | Failure::Busy
        | Failure::Bodies
        | Failure::NotConfigured
        | Failure::Unfit
        | Failure::Host
        | Failure::Doubt => 503,
    };
    let words =
        Words { forge: format!("{status} {}", status_word(status)), why: failure.text().into(), code: failure.code() };
    Reply { retry_after: Some(2), ..answer(protocol, Weight::Other(status), &words) }
}

/// What an answer says.
struct Words {
    /// The forge's own message for this protocol.
    forge: String,
    /// Why, and who can change it.
    why: String,
    /// The reason's code; empty where telling it would tell too much.
    code: &'static str,
}

fn answer(protocol: Protocol, weight: Weight, words: &Words) -> Reply {
    let mut headers = vec![("cache-control", "no-store")];
    let status = status(protocol, weight);
    let body = match protocol {
        Protocol::Git | Protocol::Web => {
            headers.push(("content-type", "text/plain; charset=utf-8"));
            if status == 401 {
                headers.push(("www-authenticate", "Basic realm=\"GitLab\""));
            }
            git_body(weight, words)
        }
        Protocol::Lfs => {
            headers.push(("content-type", "application/vnd.git-lfs+json"));
            if status == 401 {
                headers.push(("lfs-authenticate", "Basic realm=\"GitLab\""));
            }
            let message = match weight {
                Weight::NotFound => format!("Not found. {}", sentence(&words.why)),
                Weight::Withheld | Weight::Forbidden if words.forge.starts_with("403") => sentence(&words.why),
                Weight::Withheld | Weight::Forbidden => format!("{} {}", words.forge, sentence(&words.why)),
                Weight::Unauthorized | Weight::Other(_) => sentence(&words.why),
            };
            // The client shows both.
            json::object(|it| {
                it.put("message", &*message);
                it.put("request_id", Word(DECISION));
            })
        }
        Protocol::Registry | Protocol::RegistryToken => {
            headers.push(("content-type", "application/json"));
            headers.push(("docker-distribution-api-version", "registry/2.0"));
            if protocol == Protocol::Registry && status == 401 {
                headers.push(("www-authenticate", "Basic realm=\"registry\""));
            }
            registry_body(weight, words)
        }
        Protocol::Api | Protocol::Trigger | Protocol::Runner => {
            headers.push(("content-type", "application/json"));
            let hidden = if protocol == Protocol::Trigger { "404 Not Found" } else { "404 Project Not Found" };
            let (message, code) = match weight {
                Weight::NotFound => (hidden, None),
                Weight::Unauthorized | Weight::Withheld | Weight::Forbidden | Weight::Other(_) => {
                    (&*words.forge, Some(words.code))
                }
            };
            // In this order, which is the order in which people read it.
            json::object(|it| {
                it.put("message", message);
                it.put("error", &*named(&sentence(&words.why)));
                it.put_known("reason", code.map(Word));
            })
        }
    };
    Reply { status, headers, retry_after: None, body }
}

fn status(protocol: Protocol, weight: Weight) -> u16 {
    match (weight, protocol) {
        // Docker, Podman and crane show the message of a 401 from the token endpoint, and drop that of a 403.
        (Weight::Forbidden | Weight::Withheld | Weight::NotFound | Weight::Unauthorized, Protocol::RegistryToken)
        | (Weight::Unauthorized, _) => 401,
        // The trigger knows no 403: what may not be triggered is not found.
        (Weight::Forbidden, Protocol::Trigger) => 404,
        // A registry that hides a name answers like one that denies it.
        (Weight::NotFound | Weight::Withheld, Protocol::Registry) | (Weight::Forbidden, _) => 403,
        (Weight::NotFound | Weight::Withheld, _) => 404,
        (Weight::Other(status), _) => status,
    }
}

/// Git prints each line after `remote: `.
fn git_body(weight: Weight, words: &Words) -> String {
    let text = match weight {
        Weight::NotFound => format!("{GIT_NOT_FOUND}\n{}", sentence(&words.why)),
        Weight::Unauthorized => format!("{GIT_DENIED}\n{}", sentence(&words.why)),
        Weight::Withheld | Weight::Forbidden | Weight::Other(_) => format!("{}\n{}", words.forge, lines(&words.why)),
    };
    format!("{text}\nDecision {DECISION}.\n")
}

/// A text, and which decision it is about.
fn named(text: &str) -> String {
    format!("{text} Decision {DECISION}.")
}

fn registry_body(weight: Weight, words: &Words) -> String {
    let (code, message) = match weight {
        Weight::NotFound => ("DENIED", format!("{IMAGE_NOT_FOUND} {}", sentence(&words.why))),
        Weight::Unauthorized => ("UNAUTHORIZED", sentence(&words.why)),
        Weight::Withheld | Weight::Forbidden => ("DENIED", format!("{DENIED}: {}.", words.why)),
        Weight::Other(429) => ("TOOMANYREQUESTS", sentence(&words.why)),
        Weight::Other(_) => ("UNSUPPORTED", sentence(&words.why)),
    };
    let detail = Object(|it: &mut Members<'_>| {
        it.put("decision", Word(DECISION));
        it.put_known("reason", Some(Word(words.code)).filter(|_| !words.code.is_empty()));
    });
    let error = Object(|it: &mut Members<'_>| {
        it.put("code", Word(code));
        it.put("detail", detail);
        it.put("message", &*named(&message));
    });
    json::object(|it| it.put("errors", List([error])))
}

fn status_word(status: u16) -> &'static str {
    match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Bad Request",
    }
}

#[cfg(test)]
mod tests;
