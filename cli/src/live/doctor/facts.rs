//! Each fact that is looked up, by itself: a flight under a configuration that looks up nothing else.

use policy::Config;
use policy::access::TargetRef;
use policy::facts::{Context, Found, Job, JobId, Origin, ProjectId, ProjectPath, User};
use policy::lookup::{Call, Fact, Value};
use serde_json::{Value as Json, json};

use super::{Finding, Mark, words};
use crate::live::{Flown, Live};
use crate::setup::Setup;

/// A fact, and the right that looking it up takes in GitLab, as docs/configuration.md has it.
pub(super) const RIGHTS: [(&str, &str); 5] = [
    ("facts.membership", "to see every target and its members: Guest is enough in a private project"),
    ("facts.external", "administrator"),
    ("facts.visibility", "to see every target"),
    ("facts.allowlists", "Maintainer in every target, or administrator"),
    ("facts.outbound", "Maintainer in every origin, or administrator"),
];

/// Where the instance's own limit stands. Who may not read it takes it for on.
const SETTINGS: &str = "/application/settings";

/// About whom and what the forge is asked.
pub(super) struct Asked {
    /// Who is asked about: the service account itself.
    pub user: Option<User>,
    /// A project that is there.
    pub target: ProjectPath,
    /// Another one.
    pub origin: Option<Origin>,
    /// Whether the service account administers the forge.
    pub is_admin: bool,
}

impl Asked {
    /// A job that nobody runs.
    pub(super) fn job(&self, origin: Origin) -> Job {
        Job { id: JobId(0), user: self.user.clone(), origin, context: Context::default() }
    }
}

/// A project that is not there.
pub(in crate::live) fn nowhere() -> Option<Origin> {
    Some(Origin { id: ProjectId(0), path: ProjectPath::parse("jobscope-doctor/nowhere")? })
}

/// The configuration that looks up this fact, and no other.
fn alone(setup: &Setup, key: &str) -> Option<Config> {
    let name = key.strip_prefix("facts.")?;
    let mut sources: serde_json::Map<String, Json> =
        RIGHTS.iter().filter_map(|(key, _)| Some((key.strip_prefix("facts.")?.to_owned(), json!("forge")))).collect();
    sources.insert(name.to_owned(), json!("lookup"));
    let part = |name: &str| setup.document.get(name).cloned();
    let document = json!({"forge": part("forge")?, "lookup": part("lookup")?, "facts": sources});
    Setup::of(document).ok().map(|setup| setup.config)
}

/// What comes of looking a fact up.
pub(super) fn examine(live: &mut Live<'_>, setup: &Setup, key: &'static str, asked: &Asked) -> Finding {
    let right = RIGHTS.iter().find(|(known, _)| *known == key).map_or("", |(_, right)| right);
    let (Some(config), Some(nowhere)) = (alone(setup, key), nowhere()) else {
        return Finding::new(Mark::Unseen, key, "it cannot be looked up by itself under this configuration");
    };
    let origin = match (key, &asked.origin) {
        ("facts.outbound", None) => {
            return Finding::new(
                Mark::Unseen,
                key,
                "two private projects are needed to ask: name them with `--target` and `--origin`",
            );
        }
        ("facts.outbound", Some(origin)) => origin.clone(),
        _ => nowhere,
    };
    let about =
        if key == "facts.outbound" { format!("{} to {}", origin.path, asked.target) } else { asked.target.to_string() };
    let fact = Fact::Target(asked.job(origin), TargetRef::Path(asked.target.clone()));
    let flown = live.fly(Some(&config), fact);
    match flown.landed {
        Ok(Value::Target(Found::Standing(_))) => found(live, key, asked, &about, &flown.calls),
        Ok(Value::Target(Found::Nothing)) => Finding::new(
            Mark::Error,
            key,
            format!("the forge shows no project {} to the service account. It needs the right {right}", asked.target),
        ),
        Ok(Value::Target(Found::Holders(_)) | Value::Token(_)) => {
            Finding::new(Mark::Error, key, "another question was answered than the one that was asked")
        }
        Err(failure) => {
            let cause = cause(live, &flown);
            let text = format!("for {about}, {cause} ({}). It needs the right: {right}", failure.code());
            Finding::new(Mark::Error, key, text)
        }
    }
}

/// What is told of a fact that was found.
fn found(live: &Live<'_>, key: &'static str, asked: &Asked, about: &str, calls: &[usize]) -> Finding {
    let is_withheld = |at: &usize| {
        let call = live.asked.get(*at);
        call.is_some_and(|(call, _)| call.path.ends_with(SETTINGS))
            && live.reply(*at).is_some_and(|reply| reply.status == 403)
    };
    if calls.iter().any(is_withheld) {
        let text = format!(
            "found for {about}; the instance's own setting is shown to administrators alone (403), and counts as on: \
             projects limit access by their allowlists even where it is off"
        );
        return Finding::new(Mark::Warning, key, text);
    }
    if asked.is_admin {
        return Finding::new(Mark::Good, key, format!("found for {about}"));
    }
    Finding::new(
        Mark::Good,
        key,
        format!("found for {about}; who is no administrator needs the same right in every other project"),
    )
}

/// Which call a flight failed for.
pub(in crate::live) fn cause(live: &Live<'_>, flown: &Flown) -> String {
    let made = || flown.calls.iter().filter_map(|at| live.asked.get(*at));
    let is_settings = |call: &Call| call.path.ends_with(SETTINGS);
    // A member that is not there is an answer, too.
    let is_no =
        |call: &Call, status: u16| status == 404 && call.path.contains("/projects/") && call.path.contains("/members/");
    let refused: Vec<String> = made()
        .filter(|(call, sent)| match &sent.reply {
            Ok(reply) => reply.status != 200 && !is_settings(call) && !is_no(call, reply.status),
            Err(_) => true,
        })
        .map(|(call, sent)| words::said(live, call, sent))
        .collect();
    if !refused.is_empty() {
        return refused.join(", ");
    }
    // What is asked in one call for several things is refused by leaving it out.
    let silent = made().find(|(call, _)| call.method == "POST").or_else(|| made().next_back());
    silent.map_or_else(
        || "nothing was asked".to_owned(),
        |(call, sent)| format!("{}, without what was asked for", words::said(live, call, sent)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_are_those_of_the_documentation() {
        let page = include_str!("../../../../docs/configuration.md");
        for (key, right) in RIGHTS {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{key}` | ")) && line.contains(right));
            assert!(row.is_some(), "{key}: {right}");
        }
    }

    #[test]
    fn each_fact_is_looked_up_alone_whatever_the_rest_says() {
        let setup = Setup::of(json!({
            "forge": {"hosts": ["f.invalid"], "relative_url_root": "/gitlab"},
            "lookup": {"cluster": "c", "authority": "f.invalid", "credential_env": "E"},
            "facts": {"membership": "configuration", "members": [], "outbound": "lookup"},
            "rules": {"permissions": "strict"}
        }))
        .unwrap();
        for (key, _) in RIGHTS {
            let config = alone(&setup, key).unwrap();
            assert_eq!(config.facts.looked_up().collect::<Vec<_>>(), [key]);
            assert_eq!(config.forge.relative_url_root, "/gitlab");
        }
    }
}
