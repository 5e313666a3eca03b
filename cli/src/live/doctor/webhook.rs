//! Whether the forge tells of jobs that ended.

use serde_json::Value;

use super::facts::Asked;
use super::{Finding, Mark};
use crate::live::Live;
use crate::live::names::segment;
use crate::setup::Setup;

/// Looks for the webhook among those of a project and of the groups above it; `None` where none is configured.
pub(super) fn examine(live: &mut Live<'_>, setup: &Setup, asked: &Asked) -> Option<Finding> {
    const ABOUT: &str = "webhook";
    let path = &setup.config.webhook.as_ref()?.path;
    let target = asked.target.as_str();
    let groups = target.match_indices('/').filter_map(|(at, _)| target.get(..at));
    let mut places: Vec<String> = groups.map(|group| format!("/groups/{}", segment(group))).collect();
    places.push(format!("/projects/{}", segment(target)));
    let mut unseen = Vec::new();
    for place in places.iter().rev() {
        let at = live.get(&format!("{place}/hooks?per_page=100"))?;
        let hooks = live.json(at).and_then(|body| body.as_array().cloned());
        let Some(hooks) = hooks else {
            unseen.push(live.reply(at).map_or(0, |reply| reply.status));
            continue;
        };
        let leads =
            |hook: &&Value| hook.get("url").and_then(Value::as_str).is_some_and(|url| leads_here(url, setup, path));
        if let Some(hook) = hooks.iter().find(leads) {
            let has_jobs = hook.get("job_events").and_then(Value::as_bool) == Some(true);
            return Some(if has_jobs {
                Finding::new(
                    Mark::Good,
                    ABOUT,
                    format!("one that tells of jobs stands at {target} or at a group above it"),
                )
            } else {
                let text = format!("the one at {target} or at a group above it has not the trigger \"Job events\"");
                Finding::new(Mark::Error, ABOUT, text)
            });
        }
    }
    let text = format!("none of {target} and of the groups above it leads to `{path}` at a host of `forge.hosts`");
    Some(if unseen.is_empty() {
        Finding::new(
            Mark::Warning,
            ABOUT,
            format!("{text}: an end that no runner reports here is seen when the job is looked up again"),
        )
    } else {
        Finding::new(
            Mark::Unseen,
            ABOUT,
            format!(
                "{text}, as far as the service account is shown them ({})",
                unseen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ),
        )
    })
}

/// Whether an address is the filter's webhook.
fn leads_here(url: &str, setup: &Setup, path: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let Some((authority, found)) = rest.find('/').and_then(|at| rest.split_at_checked(at)) else { return false };
    let host = policy::facts::Host::of_authority(authority.as_bytes());
    found == path && host.is_some_and(|host| setup.config.forge.hosts.contains(&host))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_filters_own_address_is_its_webhook() {
        let setup = Setup::of(json!({"forge": {"hosts": ["f.invalid"]},
            "lookup": {"cluster": "c", "authority": "f.invalid", "credential_env": "E"}}))
        .unwrap();
        for (url, is_it) in [
            ("https://f.invalid/-/hook", true),
            ("https://F.invalid:8443/-/hook", true),
            ("https://g.invalid/-/hook", false),
            ("https://f.invalid/-/hook/more", false),
            ("https://f.invalid", false),
        ] {
            assert_eq!(leads_here(url, &setup, "/-/hook"), is_it, "{url}");
        }
    }
}
