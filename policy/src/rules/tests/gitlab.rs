//! What GitLab decides by a project's settings and by its own version.

use super::*;

/// A public target that admits nobody, with these levels.
fn closed_to_origin(levels: &[(Feature, Level)]) -> Standing {
    let mut target = standing(Role::Owner, Admission::Unlisted, Visibility::Public);
    let level = |one| levels.iter().find(|(known, _)| *known == one).map_or(Level::Enabled, |(_, level)| *level);
    target.target.features = Features(Feature::ALL.map(|(one, _)| level(one)));
    target
}

fn opened(action: Action, open: &'static [Feature]) -> Access {
    Access { open, ..Access::new(action, TargetRef::Own) }
}

#[test]
fn what_works_on_code_is_closed_with_the_code() {
    use Feature::{Builds, MergeRequests, Repository};
    let dana = job(Some("dana"));
    let asked = [
        opened(Action::ReadPipelines, &[Repository, Builds]),
        opened(Action::ReadJobs, &[Repository, Builds]),
        opened(Action::ReadArtifacts, &[Repository, Builds]),
        opened(Action::ReadMergeRequests, &[Repository, MergeRequests]),
        opened(Action::ReadChangelog, &[Repository]),
    ];
    let members = closed_to_origin(&[(Repository, Level::Members)]);
    for access in &asked {
        let judged = |target: &Standing| ask(&dana, access, Some(target), Written::default());
        assert_eq!(judged(&closed_to_origin(&[])), Verdict::Allow(Reason::Anonymous), "{access:?}");
        assert_eq!(judged(&members), Verdict::Deny(Reason::NotListed), "{access:?}");
    }
}

#[test]
fn the_api_opens_to_a_job_that_is_not_let_in_what_the_endpoint_says_and_no_more() {
    let (dana, target) = (job(Some("dana")), closed_to_origin(&[]));
    let judged = |access: &Access, version| {
        let question = question(&dana, access, Some(&target), Written::default());
        judge(&Question { version, ..question }, &[]).verdict
    };
    let download = opened(Action::ReadArtifacts, &[]);
    assert_eq!(judged(&download, Version::NEWEST), Verdict::Deny(Reason::NotListed));
    assert_eq!(judged(&download, Version(18, 3)), Verdict::Deny(Reason::NotListed));
    assert_eq!(judged(&download, Version(18, 2)), Verdict::Allow(Reason::Anonymous), "before entries had permissions");
    let raw = opened(Action::ReadArtifacts, &[Feature::Repository, Feature::Builds]);
    assert_eq!(judged(&raw, Version::NEWEST), Verdict::Allow(Reason::Anonymous));
    // Git, LFS and images are no endpoints of the API.
    for action in [Action::ReadCode, Action::DownloadLfs, Action::ReadWiki, Action::PullImage] {
        assert_eq!(judged(&opened(action, &[]), Version::NEWEST), Verdict::Allow(Reason::Anonymous), "{action:?}");
    }
}

#[test]
fn a_parts_list_opens_an_endpoint_only_as_a_whole() {
    use Feature::{Builds, Environments, Repository};
    let dana = job(Some("dana"));
    let access = opened(Action::ReadEnvironments, &[Repository, Builds, Environments]);
    for closed in [Repository, Builds, Environments] {
        for level in [Level::Members, Level::Disabled] {
            let target = closed_to_origin(&[(closed, level)]);
            let verdict = ask(&dana, &access, Some(&target), Written::default());
            assert!(matches!(verdict, Verdict::Deny(_)), "{closed:?} {level:?}");
        }
    }
}

#[test]
fn jobs_that_are_not_public_are_for_reporters() {
    let dana = job(Some("dana"));
    let reads = [Action::ReadJobs, Action::ReadArtifacts, Action::DownloadOwnArtifact, Action::ReadPipelines];
    for action in reads {
        let access = opened(action, &[Feature::Repository, Feature::Builds]);
        for (public_jobs, least) in [(true, Role::Guest), (false, Role::Reporter)] {
            for (role, _, name) in Role::ALL {
                let mut target = standing(role, LISTED, Visibility::Private);
                target.target.public_jobs = public_jobs;
                let allows = matches!(ask(&dana, &access, Some(&target), Written::default()), Verdict::Allow(_));
                assert_eq!(allows, role >= least, "{action:?} {public_jobs} {name}");
            }
            let mut visited = closed_to_origin(&[]);
            visited.target.public_jobs = public_jobs;
            let allows = matches!(ask(&dana, &access, Some(&visited), Written::default()), Verdict::Allow(_));
            assert_eq!(allows, public_jobs, "{action:?}");
        }
    }
}

#[test]
fn an_archived_project_takes_no_changes_and_is_read_as_before() {
    let dana = job(Some("dana"));
    for (action, name, _) in Action::ALL {
        let need = need(*action);
        for admission in [Admission::Own, LISTED] {
            let active = standing(Role::Owner, admission, Visibility::Private);
            let mut archived = active.clone();
            archived.target.archived = true;
            archived.target.job_push = JobPush::Admitted;
            let of_project = !matches!(need.reach, Reach::Never | Reach::Itself | Reach::Nothing | Reach::AboveOrigin);
            let expected = if of_project && need.effect == Effect::Write {
                Verdict::Deny(Reason::Archived)
            } else {
                verdict(&dana, *action, Some(&active))
            };
            assert_eq!(verdict(&dana, *action, Some(&archived)), expected, "{name}");
        }
    }
    // What a name calls a write is one.
    for (action, name, _) in Action::ALL {
        let writes = [".write", ".create", ".delete", ".publish", ".trigger", ".push", ".upload"];
        if writes.iter().any(|end| name.ends_with(end)) {
            assert_eq!(need(*action).effect, Effect::Write, "{name}");
        }
        if name.ends_with(".read") || name.ends_with(".pull") || name.ends_with(".download") {
            let is_read = need(*action).effect == Effect::Read || need(*action).reach == Reach::Itself;
            assert!(is_read, "{name}");
        }
    }
}

#[test]
fn a_wiki_is_read_with_the_repository_but_a_public_one_by_every_visitor() {
    let dana = job(Some("dana"));
    for (visibility, code, expected) in [
        (Visibility::Private, Level::Disabled, Verdict::Deny(Reason::FeatureOff)),
        (Visibility::Private, Level::Members, Verdict::Allow(Reason::Listed)),
        (Visibility::Internal, Level::Disabled, Verdict::Deny(Reason::FeatureOff)),
        (Visibility::Public, Level::Disabled, Verdict::Allow(Reason::Listed)),
    ] {
        let mut target = standing(Role::Owner, LISTED, visibility);
        target.target.features.0[0] = code;
        assert_eq!(verdict(&dana, Action::ReadWiki, Some(&target)), expected, "{visibility:?} {code:?}");
    }
    let visited = closed_to_origin(&[(Feature::Repository, Level::Members)]);
    assert_eq!(verdict(&dana, Action::ReadWiki, Some(&visited)), Verdict::Allow(Reason::Anonymous));
    let closed = closed_to_origin(&[(Feature::Wiki, Level::Members)]);
    assert_eq!(verdict(&dana, Action::ReadWiki, Some(&closed)), Verdict::Deny(Reason::NotListed));
}

#[test]
fn state_hangs_on_infrastructure_and_secure_files_on_nothing() {
    let dana = job(Some("dana"));
    for (feature, _) in Feature::ALL {
        let mut target = closed_to_origin(&[(feature, Level::Disabled)]);
        target.admission = Admission::Own;
        for action in [Action::ReadTerraformState, Action::WriteTerraformState] {
            let is_off = verdict(&dana, action, Some(&target)) == Verdict::Deny(Reason::FeatureOff);
            assert_eq!(is_off, feature == Feature::Infrastructure, "{action:?} {feature:?}");
        }
        for action in [Action::ReadSecureFiles, Action::WriteSecureFiles] {
            let verdict = verdict(&dana, action, Some(&target));
            assert_eq!(verdict, Verdict::Allow(Reason::OwnProject), "{action:?} {feature:?}");
        }
    }
}

#[test]
fn a_row_may_ask_for_a_higher_role_than_its_action() {
    let dana = job(Some("dana"));
    let access = Access { least: Role::Maintainer, ..Access::new(Action::WriteEnvironments, TargetRef::Own) };
    for (role, _, name) in Role::ALL {
        let target = standing(role, LISTED, Visibility::Private);
        let allows = matches!(ask(&dana, &access, Some(&target), Written::default()), Verdict::Allow(_));
        assert_eq!(allows, role >= Role::Maintainer, "{name}");
    }
}
