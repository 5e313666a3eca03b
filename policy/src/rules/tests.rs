use alloc::sync::Arc;
use std::collections::BTreeSet;
use std::vec::Vec;

use super::*;
use crate::access::{Action, Holding, Package, Registry, Sought, TargetRef};
use crate::facts::{
    Admission, Context, Entry, Feature, Features, Grants, GroupPath, GroupRef, JobId, JobPush, Level, Link, Origin,
    Outbound, Permission, Permissions, ProjectId, ProjectPath, Target, UserId,
};

mod gitlab;

const LISTED: Admission = Admission::Listed(Entry { link: Link::Project, grants: Grants::Default });

fn job(user: Option<&str>) -> Job {
    Job {
        id: JobId(1),
        user: user.map(|name| User { id: UserId(1), name: name.into() }),
        origin: Origin { id: ProjectId(1), path: ProjectPath::parse("apps/web").unwrap() },
        context: Context::default(),
    }
}

fn standing(role: Role, admission: Admission, visibility: Visibility) -> Standing {
    let target = Target {
        id: Some(ProjectId(2)),
        path: ProjectPath::parse("libs/common"),
        visibility: Some(visibility),
        features: Features::OPEN,
        job_push: JobPush::Off,
        public_jobs: true,
        archived: false,
    };
    let affiliation = Affiliation::Internal;
    Standing { role: Some(role), affiliation, admission, outbound: Outbound::Open, target }
}

fn question<'a>(
    job: &'a Job,
    access: &'a Access,
    standing: Option<&'a Standing>,
    written: Written<'a>,
) -> Question<'a> {
    let (entries, dependency_proxy, kubernetes_agent) =
        (Entries::AsTheForge, DependencyProxy::Off, KubernetesAgent::Off);
    let (need, version) = (needed(access, standing.map(|standing| &standing.target)), Version::NEWEST);
    let (held, package_indexes) = (Held::Unknown, PackageIndexes::Deny);
    Question {
        job,
        access,
        need,
        held,
        standing,
        dependencies: &[],
        written,
        entries,
        dependency_proxy,
        kubernetes_agent,
        package_indexes,
        version,
    }
}

fn ask(job: &Job, access: &Access, standing: Option<&Standing>, written: Written<'_>) -> Verdict {
    judge(&question(job, access, standing, written), &[]).verdict
}

fn verdict(job: &Job, action: Action, standing: Option<&Standing>) -> Verdict {
    ask(job, &Access::new(action, TargetRef::Own), standing, Written::default())
}

fn allows(job: &Job, action: Action, standing: &Standing) -> bool {
    matches!(verdict(job, action, Some(standing)), Verdict::Allow(_))
}

fn only(permissions: &[Permission]) -> Admission {
    Admission::Listed(Entry { link: Link::Group, grants: Grants::Only(Permissions::of(permissions)) })
}

/// Every combination of what the rules look at, with a few entries that grant single permissions.
fn every_standing() -> Vec<Standing> {
    let admissions = [
        Admission::Own,
        LISTED,
        only(&[Permission::ReadJobs]),
        only(&[Permission::AdminPackages]),
        Admission::Open,
        Admission::Unlisted,
    ];
    let mut all = Vec::new();
    for (role, _, _) in Role::ALL {
        for admission in admissions {
            for (visibility, _) in Visibility::ALL {
                for affiliation in [Affiliation::Internal, Affiliation::External] {
                    for outbound in [Outbound::Open, Outbound::Unlisted] {
                        for (job_push, _) in JobPush::ALL {
                            for level in [Level::Disabled, Level::Members, Level::Enabled] {
                                let mut one = standing(role, admission, visibility);
                                one.affiliation = affiliation;
                                one.outbound = outbound;
                                one.target.job_push = job_push;
                                one.target.features = Features([level; Feature::ALL.len()]);
                                all.push(one);
                            }
                        }
                    }
                }
            }
        }
    }
    all
}

fn all_actions() -> impl Iterator<Item = Action> {
    Action::ALL.iter().map(|(action, _, _)| *action)
}

#[test]
fn every_reason_is_given_somewhere_and_the_last_row_never() {
    let dana = job(Some("dana"));
    let mut seen = BTreeSet::new();
    for job in [dana.clone(), job(None)] {
        for standing in every_standing() {
            for action in all_actions() {
                let (Verdict::Allow(reason) | Verdict::Deny(reason)) = verdict(&job, action, Some(&standing));
                seen.insert(reason);
            }
        }
    }
    for reason in [
        Reason::OwnProject,
        Reason::Listed,
        Reason::GroupListed,
        Reason::NotLimited,
        Reason::Anonymous,
        Reason::NotListed,
        Reason::Outbound,
        Reason::EntryTooNarrow,
        Reason::PushOff,
        Reason::PushElsewhere,
        Reason::ImageElsewhere,
        Reason::OwnOnly,
        Reason::NoUser,
        Reason::FeatureOff,
        Reason::NotMember,
        Reason::RoleTooLow,
        Reason::ExternalTooLow,
        Reason::NeverForJobs,
        Reason::Login,
        Reason::OwnJob,
    ] {
        assert!(seen.contains(&reason), "{reason:?}");
    }
    assert!(!seen.contains(&Reason::NothingMatched));
}

#[test]
fn a_narrower_role_or_entry_never_allows_more() {
    let job = job(Some("dana"));
    let next = |role| Role::ALL.into_iter().map(|(role, _, _)| role).find(|other| *other > role);
    for standing in every_standing() {
        for action in all_actions() {
            let wider = |other: Standing| !allows(&job, action, &standing) || allows(&job, action, &other);
            if let Some(role) = standing.role.and_then(next) {
                assert!(wider(Standing { role: Some(role), ..standing.clone() }), "{action:?} {standing:?}");
            }
            assert!(wider(Standing { outbound: Outbound::Open, ..standing.clone() }), "{action:?} {standing:?}");
            if matches!(standing.admission, Admission::Listed(_)) {
                assert!(wider(Standing { admission: LISTED, ..standing.clone() }), "{action:?} {standing:?}");
            }
        }
    }
}

/// As the forge has it, an entry of single permissions withholds even what everybody may read without any entry. Only
/// that comes back when the entry goes.
#[test]
fn removing_an_entry_never_allows_more_than_everybody_may_read() {
    let job = job(Some("dana"));
    for standing in every_standing() {
        let Admission::Listed(entry) = standing.admission else { continue };
        let removed = Standing { admission: Admission::Unlisted, ..standing.clone() };
        for action in all_actions() {
            let without = verdict(&job, action, Some(&removed));
            let is_same = allows(&job, action, &standing);
            let is_anybodys = entry.grants != Grants::Default && without == Verdict::Allow(Reason::Anonymous);
            assert!(is_same || is_anybodys || matches!(without, Verdict::Deny(_)), "{action:?} {standing:?}");
        }
    }
}

#[test]
fn own_rights_never_depend_on_lists() {
    let job = job(Some("dana"));
    let rule = Some(Named { id: "r", mode: Mode::Enforce });
    for standing in every_standing().into_iter().filter(|standing| standing.admission == Admission::Own) {
        let kept = Standing { outbound: Outbound::Unlisted, ..standing.clone() };
        for action in all_actions() {
            let own = verdict(&job, action, Some(&standing));
            assert_eq!(own, verdict(&job, action, Some(&kept)), "{action:?}");
            let access = Access::new(action, TargetRef::Own);
            let written = Written { kept: rule, admitted: rule, ..Written::default() };
            assert_eq!(own, ask(&job, &access, Some(&standing), written), "{action:?}");
        }
    }
}

#[test]
fn a_denial_of_the_configuration_beats_every_allow_and_its_allow_beats_no_denial() {
    let job = job(Some("dana"));
    let rule = Some(Named { id: "r", mode: Mode::Enforce });
    for standing in every_standing() {
        for action in all_actions() {
            let access = Access::new(action, TargetRef::Own);
            let plain = ask(&job, &access, Some(&standing), Written::default());
            let no_project = [Reach::Never, Reach::Itself, Reach::Nothing, Reach::AboveOrigin, Reach::Agents];
            let reaches_project = !no_project.contains(&need(action).reach);
            for written in [
                Written { denied: rule, ..Written::default() },
                Written { limited: rule, ..Written::default() },
                Written { denied: rule, admitted: rule, ..Written::default() },
                Written { kept: rule, ..Written::default() },
            ] {
                let denied = matches!(ask(&job, &access, Some(&standing), written), Verdict::Deny(_));
                let is_bound = reaches_project && (written.kept.is_none() || standing.admission != Admission::Own);
                assert!(denied || !is_bound, "{action:?} {standing:?}");
            }
            let admitted = ask(&job, &access, Some(&standing), Written { admitted: rule, ..Written::default() });
            if matches!(plain, Verdict::Allow(_)) || standing.admission != Admission::Unlisted {
                assert_eq!(
                    matches!(plain, Verdict::Allow(_)),
                    matches!(admitted, Verdict::Allow(_)),
                    "an entry more lets in and does nothing else: {action:?} {standing:?}"
                );
            }
        }
    }
}

#[test]
fn code_is_pushed_elsewhere_by_grant_of_both_sides_only() {
    let job = job(Some("dana"));
    let mut target = standing(Role::Developer, LISTED, Visibility::Private);
    let pushes = |standing: &Standing| verdict(&job, Action::WriteCode, Some(standing));
    for (push, expected) in [
        (JobPush::Off, Verdict::Deny(Reason::PushElsewhere)),
        (JobPush::Own, Verdict::Deny(Reason::PushElsewhere)),
        (JobPush::Admitted, Verdict::Allow(Reason::Listed)),
    ] {
        target.target.job_push = push;
        assert_eq!(pushes(&target), expected);
    }
    for (admission, expected) in [
        (Admission::Open, Verdict::Deny(Reason::PushElsewhere)),
        (Admission::Unlisted, Verdict::Deny(Reason::NotListed)),
        (only(&[Permission::ReadRepositories]), Verdict::Deny(Reason::EntryTooNarrow)),
        (only(&[Permission::AdminRepositories]), Verdict::Allow(Reason::GroupListed)),
        (Admission::LeftToForge, Verdict::Deny(Reason::PushElsewhere)),
    ] {
        target.admission = admission;
        assert_eq!(pushes(&target), expected, "{admission:?}");
    }
}

#[test]
fn single_permissions_limit_the_api_and_the_rest_where_that_is_wanted() {
    let job = job(Some("dana"));
    let target = standing(Role::Owner, only(&[Permission::ReadJobs]), Visibility::Private);
    let judged = |action, entries| {
        let access = Access::new(action, TargetRef::Own);
        let question = question(&job, &access, Some(&target), Written::default());
        judge(&Question { entries, ..question }, &[]).verdict
    };
    let forge = |action| judged(action, Entries::AsTheForge);
    assert_eq!(forge(Action::ReadArtifacts), Verdict::Allow(Reason::GroupListed));
    assert_eq!(forge(Action::ReadReleases), Verdict::Deny(Reason::EntryTooNarrow));
    for action in [Action::ReadCode, Action::DownloadLfs, Action::PullImage, Action::TriggerPipeline] {
        assert_eq!(forge(action), Verdict::Allow(Reason::GroupListed), "{action:?}");
        assert_eq!(judged(action, Entries::Strict), Verdict::Deny(Reason::EntryTooNarrow), "{action:?}");
    }
}

#[test]
fn an_endpoint_that_is_open_to_who_sees_the_project_asks_no_permission() {
    let job = job(Some("dana"));
    let mut target = standing(Role::None, only(&[]), Visibility::Public);
    let open: &[Feature] = &[Feature::Repository, Feature::MergeRequests];
    let access = Access { open, ..Access::new(Action::ReadMergeRequests, TargetRef::Own) };
    let judged = |target: &Standing| ask(&job, &access, Some(target), Written::default());
    assert_eq!(judged(&target), Verdict::Allow(Reason::Anonymous));
    target.target.visibility = Some(Visibility::Internal);
    assert_eq!(judged(&target), Verdict::Allow(Reason::Anonymous));
    target.affiliation = Affiliation::External;
    assert_eq!(judged(&target), Verdict::Deny(Reason::EntryTooNarrow), "internal projects are not for external users");
    target.target.visibility = Some(Visibility::Private);
    assert_eq!(judged(&target), Verdict::Deny(Reason::EntryTooNarrow));
    target.target.visibility = Some(Visibility::Public);
    target.target.features = Features([Level::Members; Feature::ALL.len()]);
    assert_eq!(judged(&target), Verdict::Deny(Reason::EntryTooNarrow));
}

#[test]
fn what_is_left_to_the_forge_is_said_and_denies_nothing() {
    let job = job(Some("dana"));
    let mut target = standing(Role::None, Admission::LeftToForge, Visibility::Private);
    target.role = None;
    target.affiliation = Affiliation::LeftToForge;
    target.target.visibility = None;
    assert_eq!(verdict(&job, Action::ReadReleases, Some(&target)), Verdict::Allow(Reason::LeftToForge));
    let access = Access::new(Action::ReadReleases, TargetRef::Own);
    let question = question(&job, &access, Some(&target), Written::default());
    let left = answers(&question).filter(|(_, _, answer)| *answer == Answer::Left).map(|(_, rule, _)| rule.id);
    let left: Vec<&str> = left.collect();
    assert_eq!(left, ["inbound", "external", "role"]);
    // A list in the configuration is still a list.
    target.admission = Admission::Unlisted;
    assert_eq!(verdict(&job, Action::ReadReleases, Some(&target)), Verdict::Deny(Reason::NotListed));
    assert_eq!(verdict(&job, Action::WriteCode, Some(&target)), Verdict::Deny(Reason::PushElsewhere));
}

/// A verdict names what let in or kept out, and the rule of the configuration behind it.
#[test]
fn a_verdict_names_its_reason() {
    let job = job(Some("dana"));
    let access = Access::new(Action::ReadReleases, TargetRef::Own);
    let rule = |id| Some(Named { id, mode: Mode::Enforce });
    let written = Written {
        denied: rule("denied"),
        limited: rule("limited"),
        kept: rule("kept"),
        admitted: rule("admitted"),
        is_blind: false,
    };
    let admitted = Written { admitted: rule("admitted"), ..Written::default() };
    for (admission, said, expected, behind) in [
        (Admission::Own, Written::default(), Verdict::Allow(Reason::OwnProject), None),
        (LISTED, admitted, Verdict::Allow(Reason::Listed), None),
        (Admission::Open, Written::default(), Verdict::Allow(Reason::NotLimited), None),
        (Admission::LeftToForge, Written::default(), Verdict::Allow(Reason::LeftToForge), None),
        (Admission::Unlisted, admitted, Verdict::Allow(Reason::Configured), Some("admitted")),
        (LISTED, written, Verdict::Deny(Reason::ConfiguredDeny), Some("denied")),
        (LISTED, Written { denied: None, ..written }, Verdict::Deny(Reason::ConfiguredLimit), Some("limited")),
        (
            LISTED,
            Written { denied: None, limited: None, ..written },
            Verdict::Deny(Reason::ConfiguredReach),
            Some("kept"),
        ),
    ] {
        let standing = standing(Role::Owner, admission, Visibility::Private);
        let verdict = ask(&job, &access, Some(&standing), said);
        assert_eq!((verdict, said.behind(verdict).map(|rule| rule.id)), (expected, behind), "{admission:?}");
    }
    for (role, expected) in [(Role::None, Reason::NotMember), (Role::Minimal, Reason::RoleTooLow)] {
        let standing = standing(role, LISTED, Visibility::Private);
        assert_eq!(ask(&job, &access, Some(&standing), Written::default()), Verdict::Deny(expected));
    }
}

/// An allowlist of the configuration leaves nothing of its question to the forge.
#[test]
fn who_is_let_in_by_the_configuration_is_not_left_to_the_forge() {
    let job = job(Some("dana"));
    let access = Access::new(Action::ReadReleases, TargetRef::Own);
    let standing = standing(Role::Owner, Admission::LeftToForge, Visibility::Private);
    for (admitted, left) in [(None, true), (Some(Named { id: "r", mode: Mode::Enforce }), false)] {
        let question = question(&job, &access, Some(&standing), Written { admitted, ..Written::default() });
        let is_left = answers(&question).any(|(_, _, answer)| answer == Answer::Left);
        assert_eq!(is_left, left);
    }
}

#[test]
fn nothing_there_is_denied_whatever_is_asked_of_a_project() {
    let job = job(Some("dana"));
    assert_eq!(verdict(&job, Action::ReadCode, None), Verdict::Deny(Reason::TargetUnknown));
}

#[test]
fn more_than_one_project_is_denied_whatever_is_known() {
    let job = job(Some("dana"));
    let group = GroupPath::parse("apps").unwrap();
    let package = Sought::Package(Package::new(Registry::Npm, ["tool".into()]));
    let held = Holding { group: GroupRef::Path(group.clone()), sought: package };
    let many = [TargetRef::None, TargetRef::Group(group), TargetRef::Held(Arc::new(held))];
    for target in many {
        for (action, name, _) in Action::ALL {
            let standing = standing(Role::Owner, Admission::Own, Visibility::Public);
            let access = Access::new(*action, target.clone());
            let expected = match need(*action).reach {
                Reach::Nothing => Verdict::Allow(Reason::Login),
                Reach::Itself => Verdict::Deny(Reason::ForeignJob),
                Reach::Never => Verdict::Deny(Reason::NeverForJobs),
                Reach::AboveOrigin => Verdict::Deny(Reason::ProxyOff),
                Reach::Agents => Verdict::Deny(Reason::AgentOff),
                Reach::Admitted
                | Reach::Own
                | Reach::OwnWhateverRole
                | Reach::AdmittedOrOwn
                | Reach::WhereSet
                | Reach::Sources => Verdict::Deny(Reason::ManyTargets),
            };
            assert_eq!(ask(&job, &access, Some(&standing), Written::default()), expected, "{name} {target:?}");
        }
    }
}

#[test]
fn what_an_owner_holds_is_denied_unless_all_of_its_projects_let_the_job_read_it() {
    let group = GroupRef::Path(GroupPath::parse("apps").unwrap());
    let owned = Holding { group, sought: Sought::Owned };
    let access = Access::new(Action::ReadNpm, TargetRef::Held(Arc::new(owned)));
    let dana = job(Some("dana"));
    let standing = standing(Role::Reporter, Admission::Own, Visibility::Private);
    let asked = |held, standing| {
        judge(&Question { held, ..question(&dana, &access, standing, Written::default()) }, &[]).verdict
    };
    assert_eq!(asked(Held::ByEach, Some(&standing)), Verdict::Allow(Reason::OwnProject));
    assert_eq!(asked(Held::ByNobody, None), Verdict::Deny(Reason::TargetUnknown));
    assert_eq!(asked(Held::ByTooMany, Some(&standing)), Verdict::Deny(Reason::TooManyHolders));
    assert_eq!(asked(Held::Unknown, None), Verdict::Deny(Reason::IndexOff));
}

#[test]
fn the_configuration_and_who_has_no_user_come_before_what_the_forge_named() {
    let access = Access::new(Action::DownloadOwnArtifact, TargetRef::ProjectOfJob(JobId(501)));
    let asked = |job: &Job, written, dependencies: &[JobId]| {
        judge(&Question { dependencies, ..question(job, &access, None, written) }, &[]).verdict
    };
    let (dana, named) = (job(Some("dana")), [JobId(500), JobId(501)]);
    assert_eq!(asked(&dana, Written::default(), &named), Verdict::Allow(Reason::LeftToForge));
    assert_eq!(asked(&dana, Written::default(), &named[..1]), Verdict::Deny(Reason::TargetUnknown));
    assert_eq!(asked(&job(None), Written::default(), &named), Verdict::Deny(Reason::NoUser));
    // Any of the rules that deny could be about its project.
    let blind = Written { is_blind: true, ..Written::default() };
    assert_eq!(asked(&dana, blind, &named), Verdict::Deny(Reason::TargetUnnamed));
}

#[test]
fn the_dependency_proxy_is_for_the_groups_above_the_origin_where_it_is_on() {
    let job = |user| Job {
        origin: Origin { id: ProjectId(1), path: ProjectPath::parse("apps/team/web").unwrap() },
        ..job(user)
    };
    let group = |path| TargetRef::Group(GroupPath::parse(path).unwrap());
    let asked = |job: &Job, target, written, dependency_proxy| {
        let access = Access::new(Action::DependencyProxy, target);
        judge(&Question { dependency_proxy, ..question(job, &access, None, written) }, &[]).verdict
    };
    let on = |target| asked(&job(Some("dana")), target, Written::default(), DependencyProxy::On);
    assert_eq!(on(TargetRef::None), Verdict::Allow(Reason::Login));
    for above in ["apps", "APPS/Team"] {
        assert_eq!(on(group(above)), Verdict::Allow(Reason::GroupAbove), "{above}");
    }
    for elsewhere in ["libs", "app", "apps/te", "apps/team/web", "apps/team/web/x", "team"] {
        assert_eq!(on(group(elsewhere)), Verdict::Deny(Reason::ProxyElsewhere), "{elsewhere}");
    }
    assert_eq!(on(TargetRef::Own), Verdict::Deny(Reason::ProxyElsewhere), "a project has none");
    let rule = Some(Named { id: "r", mode: Mode::Enforce });
    for target in [TargetRef::None, group("apps")] {
        let on = |job: &Job, written| asked(job, target.clone(), written, DependencyProxy::On);
        assert_eq!(on(&job(None), Written::default()), Verdict::Deny(Reason::NoUser));
        let dana = job(Some("dana"));
        let denied = on(&dana, Written { denied: rule, ..Written::default() });
        assert_eq!(denied, Verdict::Deny(Reason::ConfiguredDeny));
        let limited = on(&dana, Written { limited: rule, ..Written::default() });
        assert_eq!(limited, Verdict::Deny(Reason::ConfiguredLimit));
        let off = asked(&dana, target.clone(), Written { admitted: rule, ..Written::default() }, DependencyProxy::Off);
        assert_eq!(off, Verdict::Deny(Reason::ProxyOff));
    }
}

#[test]
fn the_kubernetes_agent_is_for_every_running_job_of_a_user_where_it_is_on() {
    let access = Access::new(Action::UseAgent, TargetRef::Own);
    let asked = |job: &Job, written, kubernetes_agent| {
        judge(&Question { kubernetes_agent, ..question(job, &access, None, written) }, &[]).verdict
    };
    let (dana, rule) = (job(Some("dana")), Some(Named { id: "r", mode: Mode::Enforce }));
    let on = |written| asked(&dana, written, KubernetesAgent::On);
    assert_eq!(on(Written::default()), Verdict::Allow(Reason::Agent));
    assert_eq!(asked(&job(None), Written::default(), KubernetesAgent::On), Verdict::Deny(Reason::NoUser));
    assert_eq!(on(Written { denied: rule, ..Written::default() }), Verdict::Deny(Reason::ConfiguredDeny));
    assert_eq!(on(Written { limited: rule, ..Written::default() }), Verdict::Deny(Reason::ConfiguredLimit));
    let off = asked(&dana, Written { admitted: rule, ..Written::default() }, KubernetesAgent::Off);
    assert_eq!(off, Verdict::Deny(Reason::AgentOff));
}

#[test]
fn a_token_serves_its_own_job_only() {
    let job = job(Some("dana"));
    let ask = |number| {
        let access = Access::new(Action::UpdateJob, TargetRef::Job(JobId(number)));
        super::tests::ask(&job, &access, None, Written::default())
    };
    assert_eq!(ask(1), Verdict::Allow(Reason::OwnJob));
    assert_eq!(ask(2), Verdict::Deny(Reason::ForeignJob));
}

#[test]
fn only_who_could_see_the_target_may_know_of_it() {
    let dana = User { id: UserId(1), name: "dana".into() };
    let private = |role| standing(role, Admission::Unlisted, Visibility::Private);
    assert!(!may_know(Some(&dana), &private(Role::None)));
    assert!(!may_know(Some(&dana), &private(Role::Minimal)));
    assert!(may_know(Some(&dana), &private(Role::Guest)));
    assert!(!may_know(None, &private(Role::Owner)));
    let mut internal = standing(Role::None, Admission::Unlisted, Visibility::Internal);
    assert!(may_know(Some(&dana), &internal));
    internal.affiliation = Affiliation::External;
    assert!(!may_know(Some(&dana), &internal));
    internal.affiliation = Affiliation::LeftToForge;
    assert!(!may_know(Some(&dana), &internal));
    internal.target.visibility = None;
    internal.role = None;
    assert!(!may_know(Some(&dana), &internal), "what is not known is not told");
}

#[test]
fn rules_and_reasons_have_names_of_their_own() {
    let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    let codes: BTreeSet<_> = Reason::ALL.iter().map(|(_, code, _)| code).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
}

#[test]
fn where_rules_go_by_paths_a_project_without_one_is_denied() {
    let job = job(Some("dana"));
    let standing = standing(Role::Owner, Admission::Open, Visibility::Public);
    let access = Access::new(Action::ReadReleases, TargetRef::Id(ProjectId(2)));
    let blind = Written { is_blind: true, ..Written::default() };
    assert_eq!(ask(&job, &access, Some(&standing), blind), Verdict::Deny(Reason::TargetUnnamed));
    assert_eq!(ask(&job, &access, Some(&standing), Written::default()), Verdict::Allow(Reason::NotLimited));
}

#[test]
fn the_key_that_has_rules_observed_names_those_that_cannot_be() {
    let key = crate::config::KEYS.iter().find(|key| key.path == "observe.rules").unwrap();
    let (_, not) = key.doc.split_once(" Not ").unwrap();
    let named: Vec<&str> = not.split('`').skip(1).step_by(2).collect();
    let fundamental = RULES.iter().filter(|rule| rule.denials == Denials::Fundamental).map(|rule| rule.id);
    assert_eq!(named, fundamental.collect::<Vec<_>>());
}
