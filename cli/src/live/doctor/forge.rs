//! Which version the forge is, and whether the configuration knows.

use policy::choices::{Answers, Api};
use policy::config::VersionSource;
use policy::facts::Version;
use policy::lookup::version as question;

use super::{Finding, Mark, words};
use crate::live::{Live, answer};
use crate::setup::Setup;

/// From here on denials are worded otherwise, and name the projects.
const NAMES_PROJECTS: Version = Version(17, 0);
/// From here on endpoints are open by the parts of a project.
const FINE_GRAINED: Version = Version(18, 3);

/// Asks for the forge's version; `None` where nobody can be asked.
pub(super) fn version(live: &mut Live<'_>, setup: &Setup) -> Option<Finding> {
    const ABOUT: &str = "forge.version";
    let at = live.call(&question::ask(&setup.config, live.account?));
    let (call, sent) = live.asked.get(at)?;
    Some(match question::read(&setup.config, &answer(sent)) {
        Ok(version) => {
            let (mark, text) = compared(version, setup);
            Finding::new(mark, ABOUT, text)
        }
        Err(failure) => {
            let is_needed = setup.config.forge.version_source == VersionSource::Lookup;
            let text = format!("{}, which tells no version ({})", words::said(live, call, sent), failure.code());
            Finding::new(if is_needed { Mark::Error } else { Mark::Warning }, ABOUT, text)
        }
    })
}

fn compared(found: Version, setup: &Setup) -> (Mark, String) {
    let forge = &setup.config.forge;
    let right = if found < NAMES_PROJECTS { Answers::BeforeGitlab17 } else { Answers::Gitlab17 };
    if setup.config.lookup.api == Api::Gitlab && forge.answers != right {
        let word = if right == Answers::Gitlab17 { "gitlab-17" } else { "before-gitlab-17" };
        return (Mark::Warning, format!("{found}, whose own denials are those of `forge.answers: {word}`"));
    }
    match (forge.version_source, forge.version) {
        (VersionSource::Lookup, _) => (Mark::Good, found.to_string()),
        (VersionSource::Configuration, Version::NEWEST) if found < FINE_GRAINED => (
            Mark::Warning,
            format!(
                "{found}, and the configuration takes it for the newest: with `forge.version: lookup` jobs get what this one lets them"
            ),
        ),
        (VersionSource::Configuration, Version::NEWEST) => (Mark::Good, found.to_string()),
        (VersionSource::Configuration, told) if told == found => (Mark::Good, found.to_string()),
        (VersionSource::Configuration, told) => (
            Mark::Warning,
            format!("{found}, and the configuration says {told}: `forge.version: lookup` follows the forge"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_version_that_the_configuration_does_not_expect_is_told() {
        for (version, answers, found, mark, part) in [
            ("newest", "gitlab-17", Version(18, 11), Mark::Good, "18.11"),
            ("newest", "gitlab-17", Version(18, 2), Mark::Warning, "takes it for the newest"),
            ("lookup", "gitlab-17", Version(18, 2), Mark::Good, "18.2"),
            ("18.8", "gitlab-17", Version(18, 8), Mark::Good, "18.8"),
            ("18.8", "gitlab-17", Version(18, 11), Mark::Warning, "says 18.8"),
            ("lookup", "gitlab-17", Version(16, 11), Mark::Warning, "before-gitlab-17"),
            ("lookup", "before-gitlab-17", Version(17, 0), Mark::Warning, "gitlab-17"),
        ] {
            let setup = Setup::of(json!({"forge": {"hosts": ["f.invalid"], "version": version, "answers": answers},
                "lookup": {"cluster": "c", "authority": "f.invalid", "credential_env": "E"}}))
            .unwrap();
            let (told, text) = compared(found, &setup);
            assert!(told == mark && text.contains(part), "{version} {answers} {found}: {text}");
        }
    }
}
