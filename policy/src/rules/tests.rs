use std::collections::BTreeSet;
use std::vec::Vec;

use super::*;
use crate::facts::{Features, GroupId, GroupPath, JobId, Origin, ProjectId, ProjectPath, Target, UserId};

fn job(user: Option<&str>) -> Job {
    Job {
        id: JobId(1),
        user: user.map(|name| User { id: UserId(1), name: name.into() }),
        origin: Origin { id: ProjectId(1), path: ProjectPath::parse("apps/web").unwrap() },
    }
}

fn standing(role: Role, admission: Admission, visibility: Visibility) -> Standing {
    let target = Target {
        id: ProjectId(2),
        path: ProjectPath::parse("libs/common").unwrap(),
        visibility,
        features: Features::OPEN,
        job_push: JobPush::Off,
    };
    Standing { role, affiliation: Affiliation::Internal, admission, target }
}

fn verdict(job: &Job, action: Action, standing: Option<&Standing>) -> Verdict {
    let access = Access::new(action, TargetRef::Own);
    judge(&Question { job, access: &access, need: need(action), standing }).verdict
}

fn every_standing() -> Vec<Standing> {
    let mut all = Vec::new();
    for (role, _, _) in Role::ALL {
        for admission in [Admission::Own, Admission::Project, Admission::Group, Admission::Open, Admission::Unlisted] {
            for (visibility, _) in Visibility::ALL {
                for affiliation in [Affiliation::Internal, Affiliation::External] {
                    for job_push in [JobPush::On, JobPush::Off] {
                        for level in [Level::Disabled, Level::Members, Level::Enabled] {
                            let mut one = standing(role, admission, visibility);
                            one.affiliation = affiliation;
                            one.target.job_push = job_push;
                            one.target.features = Features([level; 9]);
                            all.push(one);
                        }
                    }
                }
            }
        }
    }
    all
}

/// The rules once more, slowly and in other words: what section 2 of the rules says in prose.
fn slowly(job: &Job, action: Action, standing: &Standing) -> bool {
    let need = need(action);
    let own = standing.admission == Admission::Own;
    let level = standing.target.features.level(need.feature);
    let external = standing.affiliation == Affiliation::External;
    let seen_by_all = match standing.target.visibility {
        Visibility::Public => true,
        Visibility::Internal => job.user.is_some() && !external,
        Visibility::Private => false,
    };
    let anonymous = seen_by_all && need.open == Open::ToAnybody && level == Level::Enabled;
    let by_role = standing.role >= need.role && !(external && standing.role < Role::Reporter);
    match need.reach {
        Reach::Nothing | Reach::Itself => true,
        Reach::Never => false,
        _ if level == Level::Disabled => false,
        Reach::Sources if job.user.is_none() => own,
        _ if job.user.is_none() => false,
        Reach::OwnIfSet => own && standing.target.job_push == JobPush::On && by_role,
        Reach::Own => own && by_role,
        Reach::OwnWhateverRole => own,
        Reach::AdmittedOrOwn if own => true,
        Reach::AdmittedOrOwn | Reach::Sources | Reach::Admitted => {
            (standing.admission != Admission::Unlisted && by_role) || anonymous
        }
    }
}

#[test]
fn a_slow_decider_agrees_on_every_combination() {
    let mut seen = BTreeSet::new();
    for job in [job(Some("dana")), job(None)] {
        for standing in every_standing() {
            for (action, name, _) in Action::ALL {
                let fast = verdict(&job, *action, Some(&standing));
                let allowed = matches!(fast, Verdict::Allow(_));
                assert_eq!(allowed, slowly(&job, *action, &standing), "{name} {job:?} {standing:?} {fast:?}");
                let (Verdict::Allow(reason) | Verdict::Deny(reason)) = fast;
                seen.insert(reason);
            }
        }
    }
    // Every reason that rules give is given somewhere.
    for reason in [
        Reason::OwnProject,
        Reason::Listed,
        Reason::GroupListed,
        Reason::NotLimited,
        Reason::Anonymous,
        Reason::NotListed,
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
fn a_higher_role_never_loses_and_an_admission_never_costs() {
    let job = job(Some("dana"));
    let allowed = |action, standing: &Standing| matches!(verdict(&job, action, Some(standing)), Verdict::Allow(_));
    for standing in every_standing() {
        for (action, name, _) in Action::ALL {
            let owner = Standing { role: Role::Owner, ..standing.clone() };
            assert!(!allowed(*action, &standing) || allowed(*action, &owner), "{name} {standing:?}");
            if standing.admission == Admission::Unlisted {
                let listed = Standing { admission: Admission::Project, ..standing.clone() };
                assert!(!allowed(*action, &standing) || allowed(*action, &listed), "{name} {standing:?}");
            }
        }
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
    let many =
        [TargetRef::None, TargetRef::Group(group.clone()), TargetRef::GroupId(GroupId(7)), TargetRef::Namespace(group)];
    for target in many {
        for (action, name, _) in Action::ALL {
            let standing = standing(Role::Owner, Admission::Own, Visibility::Public);
            let access = Access::new(*action, target.clone());
            let need = need(*action);
            let question = Question { job: &job, access: &access, need, standing: Some(&standing) };
            let expected = match need.reach {
                Reach::Nothing => Verdict::Allow(Reason::Login),
                Reach::Itself => Verdict::Deny(Reason::ForeignJob),
                Reach::Never => Verdict::Deny(Reason::NeverForJobs),
                Reach::Admitted
                | Reach::Own
                | Reach::OwnWhateverRole
                | Reach::AdmittedOrOwn
                | Reach::OwnIfSet
                | Reach::Sources => Verdict::Deny(Reason::ManyTargets),
            };
            assert_eq!(judge(&question).verdict, expected, "{name} {target:?}");
        }
    }
}

#[test]
fn a_token_serves_its_own_job_only() {
    let job = job(Some("dana"));
    let ask = |number| {
        let access = Access::new(Action::UpdateJob, TargetRef::Job(JobId(number)));
        judge(&Question { job: &job, access: &access, need: need(Action::UpdateJob), standing: None }).verdict
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
}

#[test]
fn rules_and_reasons_have_names_of_their_own() {
    let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    let codes: BTreeSet<_> = Reason::ALL.iter().map(|(_, code, _)| code).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
}
