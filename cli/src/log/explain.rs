//! A decision that a log tells of, in words: who can do what about it.

use policy::failure::Failure;
use policy::request::Malformed;
use policy::rules::Reason;
use serde_json::{Value, json};

use super::suggest::{Suggestions, Way};
use super::{Line, member, members};
use crate::marked::object;
use crate::setup::masked;

/// For whom a decision is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Who wrote the job.
    Author,
    /// Who maintains the target.
    Maintainer,
    /// Who runs the ingress.
    Platform,
}

/// What a maintainer of the target can change.
const OF_TARGET: [Reason; 10] = [
    Reason::NotListed,
    Reason::EntryTooNarrow,
    Reason::NoPermission,
    Reason::PushOff,
    Reason::PushElsewhere,
    Reason::FeatureOff,
    Reason::Archived,
    Reason::NotMember,
    Reason::RoleTooLow,
    Reason::ExternalTooLow,
];

/// What the team that runs the ingress can change.
const OF_PLATFORM: [Reason; 8] = [
    Reason::ConfiguredDeny,
    Reason::ConfiguredLimit,
    Reason::ConfiguredReach,
    Reason::IndexOff,
    Reason::SlotsOff,
    Reason::ProxyOff,
    Reason::AgentOff,
    Reason::NothingMatched,
];

/// A denial: a rule that denies, and who can do something about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The rule, and behind a colon that of the configuration.
    pub rule: String,
    /// The reason's code.
    pub reason: String,
    /// The same in a sentence.
    pub says: &'static str,
    /// Whether it is only recorded.
    pub is_observed: bool,
    /// The target of what it denies.
    pub target: String,
    /// Who can do something about it.
    pub who: String,
}

/// A decision, explained. Nothing in it looks like a secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    line: Line,
    account: Value,
    /// Every denial.
    pub denials: Vec<Denial>,
    /// What its reader can do that lifts all of them: commands, or what to write into the configuration.
    pub how: Vec<String>,
}

impl Explained {
    /// Explains a line.
    #[must_use]
    pub fn of(line: &Line, reader: Reader) -> Self {
        let line = shown(line);
        let account = line.account();
        let mut denials: Vec<Denial> = members(&account, "asked")
            .filter(|asked| asked.get("hoped").is_none())
            .flat_map(|asked| members(asked, "denials").map(move |denial| (asked, denial)))
            .map(|(asked, denial)| {
                let rule = [member(denial, "rule"), member(denial, "configured")].join(":");
                let is_observed = member(denial, "mode") == "observe";
                let target =
                    [member(asked, "path"), member(asked, "named"), "-"].into_iter().find(|one| !one.is_empty());
                let target = target.unwrap_or_default();
                Denial::of(rule.trim_end_matches(':'), member(denial, "reason"), is_observed, target, &line)
            })
            .collect();
        if denials.is_empty() && line.verdict != "allow" {
            denials.push(Denial::of(&line.rule, &line.reason, line.verdict != "deny", &line.target, &line));
        }
        let how = how(&line, reader);
        Self { line, account, denials, how }
    }

    /// How it ended.
    #[must_use]
    pub fn verdict(&self) -> &str {
        &self.line.verdict
    }

    /// Why, in a sentence.
    #[must_use]
    pub fn says(&self) -> &'static str {
        sentence(&self.line.reason)
    }

    /// What is known of the request, as names and values.
    #[must_use]
    pub fn about(&self) -> Vec<(&'static str, String)> {
        let Line { start_time, job, user, origin, target, action, reason, rule, decision, .. } = &self.line;
        let git_ref = self.account.pointer("/job/ref").and_then(Value::as_str).map(|git_ref| format!("@{git_ref}"));
        let runner =
            self.account.pointer("/job/runner").and_then(Value::as_u64).map(|runner| format!(", on runner {runner}"));
        let whose = match origin.as_str() {
            "-" | "" => "not known".to_owned(),
            origin => format!("{job}, {origin}{} as {user}{}", git_ref.unwrap_or_default(), runner.unwrap_or_default()),
        };
        let asks = if target == "-" { action.clone() } else { format!("{action} of {target}") };
        [
            ("when", start_time.clone()),
            ("job", whose),
            ("asks", asks),
            ("reason", reason.clone()),
            ("rule", rule.clone()),
            ("decision", decision.clone()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
    }

    /// The account of the decision.
    #[must_use]
    pub fn account(&self) -> &Value {
        &self.account
    }

    /// What was known of the target: the fact, where it is from, and how many seconds ago that was.
    pub fn facts(&self) -> impl Iterator<Item = (&str, Option<&Value>, &str, Option<u64>)> {
        let facts = self.account.pointer("/asked/0/facts").and_then(Value::as_object).into_iter().flatten();
        facts.map(|(name, fact)| {
            (name.as_str(), fact.get("is"), member(fact, "source"), fact.get("age").and_then(Value::as_u64))
        })
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let denial = |one: &Denial| {
            json!({"rule": one.rule, "reason": one.reason, "says": one.says, "observed": one.is_observed,
                "target": one.target, "who": one.who})
        };
        json!({
            "verdict": self.verdict(),
            "says": self.says(),
            "about": object(&mut self.about().into_iter().map(|(name, value)| (name.to_owned(), value.into()))),
            "denials": self.denials.iter().map(denial).collect::<Vec<_>>(),
            "how": self.how,
            "account": self.account,
        })
    }
}

impl Denial {
    fn of(rule: &str, code: &str, is_observed: bool, target: &str, line: &Line) -> Self {
        let reason = Reason::ALL.iter().find(|(_, known, _)| *known == code).map(|(reason, ..)| *reason);
        let is_failure = Failure::ALL.iter().any(|(_, known, _)| *known == code);
        let who = match reason {
            Some(Reason::Outbound) => format!("a maintainer of {}", line.origin),
            Some(reason) if OF_TARGET.contains(&reason) => format!("a maintainer of {target}"),
            Some(reason) if OF_PLATFORM.contains(&reason) => "the team that runs the ingress".to_owned(),
            _ if is_failure => "the team that runs the ingress".to_owned(),
            Some(_) | None => "the author of the job".to_owned(),
        };
        let (rule, reason, target) = (rule.to_owned(), code.to_owned(), target.to_owned());
        Self { rule, reason, says: sentence(code), is_observed, target, who }
    }
}

/// What a reader can do by which the request would pass.
fn how(line: &Line, reader: Reader) -> Vec<String> {
    let suggested = |way| {
        let mut suggestions = Suggestions::new(way);
        suggestions.note(line);
        suggestions
    };
    match reader {
        Reader::Author => Vec::new(),
        Reader::Maintainer => suggested(Way::Settings).entries().iter().map(|entry| entry.command()).collect(),
        Reader::Platform => suggested(Way::Rules)
            .entries()
            .iter()
            .map(|entry| json!({"access": {"allow": [entry.rule("NAME")]}}).to_string())
            .collect(),
    }
}

/// A line without what looks like a secret.
fn shown(line: &Line) -> Line {
    let Line { start_time, job, user, origin, target, action, verdict, reason, rule, decision, why } = line;
    Line {
        start_time: masked(start_time),
        job: masked(job),
        user: masked(user),
        origin: masked(origin),
        target: masked(target),
        action: masked(action),
        verdict: masked(verdict),
        reason: masked(reason),
        rule: masked(rule),
        decision: masked(decision),
        why: masked(why),
    }
}

/// A reason's code and sentence, of a rule, an unreadable request or a failure.
pub(super) fn said(code: &str) -> Option<(&'static str, &'static str)> {
    let reasons = Reason::ALL.iter().map(|(_, code, text)| (*code, *text));
    let malformed = Malformed::ALL.iter().map(|(_, _, code, text)| (*code, *text));
    let failures = Failure::ALL.iter().map(|(_, code, text)| (*code, *text));
    reasons.chain(malformed).chain(failures).find(|(known, _)| *known == code)
}

/// A reason in a sentence.
#[must_use]
pub fn sentence(code: &str) -> &'static str {
    said(code).map_or("no reason that this version knows", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_named_by_a_reason_is_who_can_do_something() {
        for (reason, code, text) in Reason::ALL {
            let is_of_target = text.contains("a maintainer of") || text.contains("an owner of");
            assert_eq!(is_of_target, OF_TARGET.contains(reason) || *reason == Reason::Outbound, "{code}");
            assert_eq!(text.contains("the team that runs the ingress"), OF_PLATFORM.contains(reason), "{code}");
        }
    }
}
