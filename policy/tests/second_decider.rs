//! A second decider, slow and obvious, written from the description of how a forge treats job tokens and not from the
//! rules. It looks at every combination of the facts that rules look at, and must agree with the rules on all of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects, reason = "a test may fail loudly")]

use std::io::Write;

use policy::access::{Access, Action, TargetRef};
use policy::choices::{DependencyProxy, KubernetesAgent, Mode, PackageIndexes};
use policy::facts::{
    Admission, Affiliation, Context, Entry, Feature, Features, Grants, GroupPath, Job, JobId, JobPush, Level, Link,
    Origin, Outbound, Permission, Permissions, ProjectId, ProjectPath, Role, Standing, Target, User, UserId, Version,
    Visibility,
};
use policy::rules::{Entries, Held, Named, Question, Verdict, Written, judge, need, needed};

/// What one action needs, in a table of this test's own.
struct Row {
    /// Nothing for what hangs on no part of the project.
    feature: Option<Feature>,
    /// The least role, where neither visibility nor the origin's own project opens it.
    role: Role,
    /// Whether the fixed list of anonymous reads has it.
    anonymous: bool,
    /// What a fine-grained entry must grant.
    permissions: &'static [Permission],
    /// Whether the forge itself looks at those permissions.
    asked: bool,
}

const fn api(feature: Feature, role: Role, anonymous: bool, permissions: &'static [Permission]) -> Row {
    Row { feature: Some(feature), role, anonymous, permissions, asked: true }
}

const fn passed(feature: Feature, role: Role, anonymous: bool, permissions: &'static [Permission]) -> Row {
    Row { feature: Some(feature), role, anonymous, permissions, asked: false }
}

/// `None` for what no job may do, and for what asks nothing of a project.
fn row_of(action: Action) -> Option<Row> {
    use Action as A;
    use Permission as P;
    use policy::facts::Role::{Developer, Guest, Maintainer, Planner, Reporter};
    Some(match action {
        A::ReadCode | A::DownloadLfs | A::GoGet | A::ReadDesign => {
            passed(Feature::Repository, Planner, true, &[P::ReadRepositories])
        }
        A::ReadWiki => passed(Feature::Wiki, Planner, true, &[P::ReadRepositories]),
        A::WriteCode | A::UploadLfs | A::LockLfs => api(Feature::Repository, Developer, false, &[P::AdminRepositories]),
        A::PullImage => passed(Feature::Images, Reporter, true, &[P::ReadContainers]),
        A::PushImage | A::DeleteImage => passed(Feature::Images, Guest, false, &[]),
        A::TriggerPipeline => passed(Feature::Builds, Developer, false, &[P::AdminPipelines]),
        A::ReadJobs | A::ReadArtifacts | A::DownloadOwnArtifact => api(Feature::Builds, Reporter, true, &[P::ReadJobs]),
        A::ReadPipelines => api(Feature::Builds, Reporter, true, &[P::ReadPipelines]),
        A::WritePipelines => api(Feature::Builds, Developer, false, &[P::AdminPipelines]),
        A::ReadRepository => api(Feature::Repository, Planner, true, &[P::ReadRepositories]),
        A::ReadMergeRequests => api(Feature::MergeRequests, Planner, true, &[P::ReadMergeRequests]),
        A::ReadIssues => api(Feature::Issues, Guest, true, &[P::ReadWorkItems]),
        A::ReadChangelog => api(Feature::Repository, Planner, true, &[P::ReadReleases]),
        // Badges hang on no part of the project.
        A::ReadBadges => Row { feature: None, ..api(Feature::Repository, Guest, true, &[P::ReadBadges]) },
        A::WriteBadges => Row { feature: None, ..api(Feature::Repository, Maintainer, false, &[P::AdminBadges]) },
        A::ReadReleases => api(Feature::Releases, Guest, true, &[P::ReadReleases]),
        A::WriteReleases => api(Feature::Releases, Developer, false, &[P::AdminReleases]),
        A::ReadDeployments => api(Feature::Environments, Reporter, true, &[P::ReadDeployments]),
        A::CreateDeployments => {
            api(Feature::Environments, Developer, false, &[P::AdminDeployments, P::AdminEnvironments])
        }
        A::WriteDeployments => api(Feature::Environments, Developer, false, &[P::AdminDeployments]),
        A::DeleteDeployments => api(Feature::Environments, Maintainer, false, &[P::AdminDeployments]),
        A::ReadEnvironments => api(Feature::Environments, Reporter, true, &[P::ReadEnvironments]),
        A::WriteEnvironments => api(Feature::Environments, Developer, false, &[P::AdminEnvironments]),
        A::ReadSecureFiles => Row { feature: None, ..api(Feature::Builds, Developer, false, &[P::ReadSecureFiles]) },
        A::WriteSecureFiles => Row { feature: None, ..api(Feature::Builds, Maintainer, false, &[P::AdminSecureFiles]) },
        A::ReadTerraformState => api(Feature::Infrastructure, Developer, false, &[P::ReadTerraformState]),
        A::WriteTerraformState => api(Feature::Infrastructure, Maintainer, false, &[P::AdminTerraformState]),
        A::ReadPackages
        | A::ReadCargo
        | A::ReadComposer
        | A::ReadConan
        | A::ReadDebian
        | A::ReadGeneric
        | A::ReadGo
        | A::ReadHelm
        | A::ReadMaven
        | A::ReadModel
        | A::ReadNpm
        | A::ReadNuget
        | A::ReadPypi
        | A::ReadRpm
        | A::ReadGem
        | A::ReadTerraform => api(Feature::Packages, Reporter, true, &[P::ReadPackages]),
        // There is no permission for it.
        A::FindConan => api(Feature::Packages, Reporter, true, &[]),
        A::PublishComposer
        | A::PublishConan
        | A::PublishDebian
        | A::PublishGeneric
        | A::PublishHelm
        | A::PublishMaven
        | A::PublishModel
        | A::PublishNpm
        | A::PublishNuget
        | A::PublishPypi
        | A::PublishRpm
        | A::PublishGem
        | A::PublishTerraform => api(Feature::Packages, Developer, false, &[P::AdminPackages]),
        A::DeletePackages => api(Feature::Packages, Maintainer, false, &[P::AdminPackages]),
        A::ReadFirewall => Row { feature: None, ..api(Feature::Packages, Reporter, false, &[]) },
        A::ReadRegistryApi => api(Feature::Images, Reporter, false, &[]),
        // A single tag is a Developer's to delete, all else a Maintainer's, which the forge itself tells apart.
        A::DeleteRegistryApi => api(Feature::Images, Developer, false, &[]),
        A::WriteWiki
        | A::WriteDesign
        | A::Snippet
        | A::ReadPublic
        | A::UseAgent
        | A::RegistryLogin
        | A::RegistryToken
        | A::LoginConan
        | A::Catalog
        | A::DependencyProxy
        | A::ReadOwnJob
        | A::BalanceTests
        | A::ValidateSite
        | A::UpdateJob
        | A::TraceJob
        | A::UploadArtifact
        | A::Unlisted => return None,
    })
}

/// What a visitor and a guest see of a project with public jobs, and of one without nobody below a reporter.
const JOBS: [Action; 4] = [Action::ReadJobs, Action::ReadArtifacts, Action::DownloadOwnArtifact, Action::ReadPipelines];

/// What changes nothing in a project.
fn only_reads(action: Action) -> bool {
    let name = action.name();
    action == Action::GoGet || [".read", ".pull", ".download", ".find"].iter().any(|end| name.ends_with(end))
}

/// Endpoints of these actions name features that open them on projects that the user may see.
fn opened_by(action: Action) -> &'static [Feature] {
    let opened: [(Action, &[Feature]); 8] = [
        (Action::ReadRepository, &[Feature::Repository]),
        (Action::ReadMergeRequests, &[Feature::Repository, Feature::MergeRequests]),
        (Action::ReadIssues, &[Feature::Issues]),
        (Action::ReadNpm, &[Feature::Packages]),
        (Action::ReadJobs, &[Feature::Repository, Feature::Builds]),
        (Action::ReadPipelines, &[Feature::Repository, Feature::Builds]),
        (Action::ReadArtifacts, &[Feature::Repository, Feature::Builds]),
        (Action::ReadEnvironments, &[Feature::Repository, Feature::Builds, Feature::Environments]),
    ];
    opened.into_iter().find(|(one, _)| *one == action).map_or(&[], |(_, features)| features)
}

/// What a job asks of itself.
const ITSELF: [Action; 6] = [
    Action::ReadOwnJob,
    Action::BalanceTests,
    Action::ValidateSite,
    Action::UpdateJob,
    Action::TraceJob,
    Action::UploadArtifact,
];

/// Pushing code is what these need.
const PUSHES: [Action; 3] = [Action::WriteCode, Action::UploadLfs, Action::LockLfs];

/// What the rules of the configuration say of one thing asked.
#[derive(Clone, Copy)]
struct Says {
    denied: bool,
    limited: bool,
    kept: bool,
    admitted: bool,
}

/// Every one of the sixteen combinations.
fn says() -> impl Iterator<Item = Says> {
    (0..16_u8).map(|bits| Says {
        denied: bits & 1 != 0,
        limited: bits & 2 != 0,
        kept: bits & 4 != 0,
        admitted: bits & 8 != 0,
    })
}

const SILENT: Says = Says { denied: false, limited: false, kept: false, admitted: false };

/// The facts of one combination.
struct World<'a> {
    has_user: bool,
    standing: &'a Standing,
    entries: Entries,
    says: Says,
    opened_by: &'static [Feature],
    is_before_permissions: bool,
}

/// How far a part of the target is open, other parts that it works on considered.
fn level_of(target: &Target, feature: Feature) -> Level {
    let at = |one: Feature| {
        let place = Feature::ALL.iter().position(|(known, _)| *known == one).unwrap();
        *target.features.0.get(place).unwrap()
    };
    let own = at(feature);
    let needs_code = [Feature::Builds, Feature::Environments, Feature::MergeRequests, Feature::Wiki].contains(&feature);
    let is_public_wiki =
        feature == Feature::Wiki && own == Level::Enabled && target.visibility == Some(Visibility::Public);
    let needs_builds = feature == Feature::Environments;
    if feature == Feature::Images && at(Feature::Repository) == Level::Disabled {
        return Level::Disabled;
    }
    let mut level = own;
    if needs_code && !is_public_wiki {
        level = level.min(at(Feature::Repository));
    }
    if needs_builds {
        level = level.min(at(Feature::Builds));
    }
    level
}

/// The second decider: may the job do this?
fn may(action: Action, row: &Row, world: &World<'_>) -> bool {
    let own = world.standing.admission == Admission::Own;
    let public = world.standing.target.visibility == Some(Visibility::Public);
    let internal = world.standing.target.visibility == Some(Visibility::Internal);
    let target = &world.standing.target;
    let level = row.feature.map_or(Level::Enabled, |feature| level_of(target, feature));

    // A denial and a ceiling stand above everything, also in the own project.
    if world.says.denied || world.says.limited {
        return false;
    }
    // An origin that is kept to other targets still reaches itself.
    if world.says.kept && !own {
        return false;
    }

    // What is switched off is off for everybody.
    if level == Level::Disabled {
        return false;
    }

    // An archived project is read and not written.
    if target.archived && !only_reads(action) {
        return false;
    }

    // Code is pushed to the own project where its setting says so. To another it is pushed only with the second
    // setting, and where that limits access and has an entry for the origin: none is known where the target is open,
    // where the configuration alone lets the origin in, or where the forge keeps its lists to itself.
    if PUSHES.contains(&action) {
        let set = world.standing.target.job_push;
        if own && set == JobPush::Off {
            return false;
        }
        if !own && set != JobPush::Admitted {
            return false;
        }
        if !own && !matches!(world.standing.admission, Admission::Listed(_)) {
            return false;
        }
    }

    // Images are pushed and deleted in the own project only; the registry's API serves the own project only.
    let own_only = [
        Action::PushImage,
        Action::DeleteImage,
        Action::ReadRegistryApi,
        Action::DeleteRegistryApi,
        Action::ReadFirewall,
    ];
    if own_only.contains(&action) && !own {
        return false;
    }

    // A job without a user reads its own project's sources and nothing else.
    if !world.has_user {
        return own && matches!(action, Action::ReadCode | Action::DownloadLfs | Action::GoGet);
    }

    // The own project's images ask for no role.
    if own && matches!(action, Action::PullImage | Action::PushImage | Action::DeleteImage) {
        return true;
    }

    // Outbound: a limit of the origin does not keep it from what is not private. What nobody knows counts as private.
    let outbound = own || public || internal || world.standing.outbound == Outbound::Open;

    // Inbound: the own project, a target without a limit, an entry of the forge or of the configuration. What the forge
    // checks itself it may let in.
    let inbound = own || world.says.admitted || world.standing.admission != Admission::Unlisted;

    if !outbound {
        return false;
    }

    // Who is no member sees a public project, and an internal one when known not to be external: the forge would let an
    // external user in there, which is suspected to be a defect.
    let visible = public || (internal && world.standing.affiliation == Affiliation::Internal);
    let shows_jobs = !JOBS.contains(&action) || target.public_jobs;
    let as_anybody = row.anonymous && visible && level == Level::Enabled && shows_jobs;
    // An endpoint of the API that names parts is open to every job that sees the project, where all of them are open.
    let opened = visible
        && !world.opened_by.is_empty()
        && world.opened_by.iter().all(|feature| level_of(target, *feature) == Level::Enabled);

    // Whose origin is not let in gets the fixed list of anonymous reads; nothing derived from a role. Since entries have
    // permissions the API serves it those endpoints alone that say so.
    if !inbound {
        return as_anybody && (!row.asked || opened || world.is_before_permissions);
    }

    // An entry that grants single permissions, the nearest one. An allow of the configuration makes it no wider.
    if let Admission::Listed(Entry { grants: Grants::Only(granted), .. }) = world.standing.admission
        && (row.asked || world.entries == Entries::Strict)
    {
        let mut enough = !row.permissions.is_empty();
        for permission in row.permissions {
            if !granted.grant(*permission) {
                enough = false;
            }
        }
        if !enough && !opened {
            return false;
        }
    }

    if as_anybody {
        return true;
    }
    // A role that the forge checks denies nothing here. Administrators count by their role like everybody.
    let Some(role) = world.standing.role else { return true };
    if world.standing.affiliation == Affiliation::External && role < Role::Reporter {
        return false;
    }
    let least = if JOBS.contains(&action) && target.public_jobs { Role::Guest } else { row.role };
    role >= least
}

/// Which facts are varied how far.
struct Facts {
    roles: Vec<Option<Role>>,
    /// Levels of the features that the action does not use itself.
    others: Vec<Level>,
    links: Vec<Link>,
    grants: fn(&[Permission]) -> Vec<Grants>,
    says: Vec<Says>,
}

fn every_role() -> Vec<Option<Role>> {
    std::iter::once(None).chain(Role::ALL.into_iter().map(|(role, _, _)| Some(role))).collect()
}

const LEVELS: [Level; 3] = [Level::Disabled, Level::Members, Level::Enabled];
const AFFILIATIONS: [Affiliation; 3] = [Affiliation::Internal, Affiliation::External, Affiliation::LeftToForge];

fn only(permissions: &[Permission]) -> Grants {
    Grants::Only(Permissions::of(permissions))
}

/// What an entry may grant, as seen from the permissions that an action needs: all, none, those, the ones that include
/// them, the ones that they include, every other, and of several each alone.
fn every_grant(needed: &[Permission]) -> Vec<Grants> {
    let renamed = |from: &str, to: &str| -> Vec<Permission> {
        needed.iter().filter_map(|one| Permission::named(&one.name().replace(from, to))).collect()
    };
    let wider = renamed("read_", "admin_");
    let narrower: Vec<Permission> =
        renamed("admin_", "read_").into_iter().filter(|one| !needed.contains(one)).collect();
    let others: Vec<Permission> = Permission::ALL
        .into_iter()
        .map(|(one, _)| one)
        .filter(|one| !needed.contains(one) && !wider.contains(one))
        .collect();
    let mut grants = vec![Grants::Default, only(&[]), only(needed), only(&wider), only(&narrower), only(&others)];
    grants.extend(needed.iter().map(|one| only(&[*one])));
    let mut each: Vec<Grants> = Vec::new();
    for one in grants {
        if !each.contains(&one) {
            each.push(one);
        }
    }
    each
}

fn some_grants(needed: &[Permission]) -> Vec<Grants> {
    vec![Grants::Default, only(&[]), only(needed)]
}

fn admissions(facts: &Facts, needed: &[Permission]) -> Vec<Admission> {
    let mut all = vec![Admission::Own, Admission::Open, Admission::Unlisted, Admission::LeftToForge];
    for link in &facts.links {
        all.extend((facts.grants)(needed).into_iter().map(|grants| Admission::Listed(Entry { link: *link, grants })));
    }
    all
}

fn targets(action: Action, row: &Row, facts: &Facts) -> Vec<Target> {
    // Who may push code matters to nothing else: `pushing_decides_nothing_else` holds that.
    let every_push = [JobPush::Off, JobPush::Own, JobPush::Admitted];
    let pushes = if PUSHES.contains(&action) { every_push.as_slice() } else { &[JobPush::Off] };
    let visibilities = [None, Some(Visibility::Private), Some(Visibility::Internal), Some(Visibility::Public)];
    // Whether jobs are public matters to jobs alone, and that it takes no changes to none that reads: two tests hold that.
    let public_jobs = if JOBS.contains(&action) { [true, false].as_slice() } else { &[true] };
    let archived = if only_reads(action) { [false].as_slice() } else { &[false, true] };
    let states: Vec<(bool, bool)> =
        public_jobs.iter().flat_map(|jobs| archived.iter().map(|archived| (*jobs, *archived))).collect();
    let mut all = Vec::new();
    for visibility in visibilities {
        for level in LEVELS {
            for others in &facts.others {
                for job_push in pushes {
                    for (public_jobs, archived) in &states {
                        let of = |one| if Some(one) == row.feature { level } else { *others };
                        all.push(Target {
                            id: Some(ProjectId(2)),
                            path: Some(ProjectPath::parse("libs/common").unwrap()),
                            visibility,
                            features: Features(Feature::ALL.map(|(one, _)| of(one))),
                            job_push: *job_push,
                            public_jobs: *public_jobs,
                            archived: *archived,
                        });
                    }
                }
            }
        }
    }
    all
}

fn standings(action: Action, row: &Row, facts: &Facts) -> Vec<Standing> {
    let admissions = admissions(facts, row.permissions);
    let mut all = Vec::new();
    for target in targets(action, row, facts) {
        for role in &facts.roles {
            for affiliation in AFFILIATIONS {
                for admission in &admissions {
                    for outbound in [Outbound::Open, Outbound::Unlisted] {
                        let (role, admission, target) = (*role, *admission, target.clone());
                        all.push(Standing { role, affiliation, admission, outbound, target });
                    }
                }
            }
        }
    }
    all
}

fn job(has_user: bool) -> Job {
    Job {
        id: JobId(7),
        user: has_user.then(|| User { id: UserId(3), name: "ann".into() }),
        origin: Origin { id: ProjectId(1), path: ProjectPath::parse("apps/web").unwrap() },
        context: Context::default(),
    }
}

fn written(says: Says) -> Written<'static> {
    let named = |is_said: bool| is_said.then_some(Named { id: "r", mode: Mode::Enforce });
    Written {
        denied: named(says.denied),
        limited: named(says.limited),
        kept: named(says.kept),
        admitted: named(says.admitted),
        is_blind: false,
    }
}

fn rules_allow(job: &Job, access: &Access, standing: Option<&Standing>, says: Says, entries: Entries) -> bool {
    rules_allow_at(Version::NEWEST, job, access, standing, says, entries)
}

fn rules_allow_at(
    version: Version,
    job: &Job,
    access: &Access,
    standing: Option<&Standing>,
    says: Says,
    entries: Entries,
) -> bool {
    let need = needed(access, standing.map(|standing| &standing.target));
    let (written, dependency_proxy, kubernetes_agent) = (written(says), DependencyProxy::Off, KubernetesAgent::Off);
    let (held, package_indexes) = (Held::ByEach, PackageIndexes::Deny);
    let question = Question {
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
    };
    matches!(judge(&question, &[]).verdict, Verdict::Allow(_))
}

/// Compares the two on all combinations of some facts, and counts them.
fn compare(facts: &Facts) -> u64 {
    let jobs = [job(true), job(false)];
    let mut compared = 0_u64;
    for (action, _, _) in Action::ALL {
        let Some(row) = row_of(*action) else { continue };
        let plain = Access::new(*action, TargetRef::Id(ProjectId(2)));
        let opened = Access { open: opened_by(*action), ..plain.clone() };
        let accesses = if opened == plain { vec![plain] } else { vec![plain, opened] };
        for standing in standings(*action, &row, facts) {
            for access in &accesses {
                for job in &jobs {
                    let has_user = job.user.is_some();
                    for says in &facts.says {
                        let ways = [
                            (Entries::AsTheForge, Version::NEWEST),
                            (Entries::Strict, Version::NEWEST),
                            (Entries::AsTheForge, Version(18, 2)),
                        ];
                        for (entries, version) in ways {
                            let (says, is_before_permissions) = (*says, version < Version(18, 3));
                            let (standing, opened_by) = (&standing, access.open);
                            let world = World { has_user, standing, entries, says, opened_by, is_before_permissions };
                            let expected = may(*action, &row, &world);
                            let decided = rules_allow_at(version, job, access, Some(standing), says, entries);
                            assert_eq!(
                                decided,
                                expected,
                                "{action:?} has_user={has_user} {standing:?} {entries:?} {version} open={:?} {:?}",
                                access.open,
                                written(says)
                            );
                            compared += 1;
                        }
                    }
                }
            }
        }
    }
    compared
}

/// Prints a count past the harness, which keeps the output of a test that passes to itself.
fn say(count: u64, what: &str) {
    std::io::stderr().write_all(format!("{count} {what}\n").as_bytes()).unwrap();
}

#[test]
fn it_agrees_on_every_combination_of_facts() {
    let facts = Facts {
        roles: every_role(),
        others: LEVELS.to_vec(),
        links: vec![Link::Project, Link::Group],
        grants: every_grant,
        says: vec![SILENT],
    };
    say(compare(&facts), "combinations of facts compared");
}

/// The rules of the configuration deny before any fact of the forge is looked at, or let in where an entry would. So
/// they are tried on one role of each kind and one entry of each kind.
#[test]
fn it_agrees_on_every_rule_of_the_configuration() {
    let facts = Facts {
        roles: vec![None, Some(Role::None), Some(Role::Guest), Some(Role::Maintainer)],
        others: vec![Level::Enabled],
        links: vec![Link::Project],
        grants: some_grants,
        says: says().collect(),
    };
    say(compare(&facts), "combinations with rules of the configuration compared");
}

#[test]
fn pushing_decides_nothing_else() {
    let facts = Facts {
        roles: every_role(),
        others: vec![Level::Enabled],
        links: vec![Link::Project],
        grants: some_grants,
        says: vec![SILENT],
    };
    let job = job(true);
    for (action, _, _) in Action::ALL {
        let Some(row) = row_of(*action).filter(|_| !PUSHES.contains(action)) else { continue };
        let access = Access::new(*action, TargetRef::Id(ProjectId(2)));
        for mut standing in standings(*action, &row, &facts) {
            let decided = JobPush::ALL.map(|(job_push, _)| {
                standing.target.job_push = job_push;
                rules_allow(&job, &access, Some(&standing), SILENT, Entries::AsTheForge)
            });
            assert!(decided.iter().all(|one| Some(one) == decided.first()), "{action:?} {standing:?}");
        }
    }
}

/// What the combinations leave out, because it matters to some actions alone.
#[test]
fn public_jobs_decide_nothing_else_and_what_is_archived_is_read() {
    let facts = Facts {
        roles: every_role(),
        others: vec![Level::Enabled],
        links: vec![Link::Project],
        grants: some_grants,
        says: vec![SILENT],
    };
    let job = job(true);
    for (action, _, _) in Action::ALL {
        let Some(row) = row_of(*action) else { continue };
        let access = Access::new(*action, TargetRef::Id(ProjectId(2)));
        let allows = |standing: &Standing| rules_allow(&job, &access, Some(standing), SILENT, Entries::AsTheForge);
        for mut standing in standings(*action, &row, &facts) {
            let before = allows(&standing);
            if !JOBS.contains(action) {
                standing.target.public_jobs = !standing.target.public_jobs;
                assert_eq!(allows(&standing), before, "{action:?} {standing:?}");
            }
            if only_reads(*action) {
                standing.target.archived = !standing.target.archived;
                assert_eq!(allows(&standing), before, "{action:?} {standing:?}");
            }
        }
    }
}

/// A job with a user pulls through the groups whose names its project's path begins with, unless the configuration says
/// no; a login names no group.
#[test]
fn it_agrees_on_the_dependency_proxy() {
    let groups = ["apps", "app", "apps/web", "web", "libs", "libs/apps"];
    let targets = groups.map(|group| TargetRef::Group(GroupPath::parse(group).unwrap()));
    for target in targets.into_iter().chain([TargetRef::None, TargetRef::Own]) {
        let access = Access::new(Action::DependencyProxy, target);
        for (has_user, says) in [true, false].into_iter().flat_map(|has_user| says().map(move |says| (has_user, says)))
        {
            let is_above =
                matches!(&access.target, TargetRef::Group(group) if "apps/web".starts_with(&format!("{group}/")));
            let named = is_above || access.target == TargetRef::None;
            let job = job(has_user);
            for dependency_proxy in [DependencyProxy::Off, DependencyProxy::On] {
                let is_on = dependency_proxy == DependencyProxy::On;
                let expected = is_on && has_user && named && !says.denied && !says.limited;
                let (need, entries) = (need(access.action), Entries::AsTheForge);
                let (access, written, kubernetes_agent) = (&access, written(says), KubernetesAgent::Off);
                let (job, standing, version) = (&job, None, Version::NEWEST);
                let question = Question {
                    job,
                    access,
                    need,
                    standing,
                    dependencies: &[],
                    written,
                    entries,
                    dependency_proxy,
                    kubernetes_agent,
                    package_indexes: PackageIndexes::Deny,
                    held: Held::ByEach,
                    version,
                };
                let decided = matches!(judge(&question, &[]).verdict, Verdict::Allow(_));
                assert_eq!(decided, expected, "{access:?} has_user={has_user} {dependency_proxy:?} {written:?}");
            }
        }
    }
}

/// What asks nothing of a project, and what is never a job's.
#[test]
fn it_agrees_on_what_has_no_target() {
    for has_user in [true, false] {
        let job = job(has_user);
        let refs = [TargetRef::None, TargetRef::Own, TargetRef::Job(JobId(7)), TargetRef::Job(JobId(8))];
        for (action, _, _) in Action::ALL {
            for target in refs.clone() {
                let asks_itself = ITSELF.contains(action);
                // Another job's number is another job. What no project answers to, and what is never a job's, is
                // denied.
                let is_itself = target == TargetRef::Own || target == TargetRef::Job(JobId(7));
                let is_login = [Action::RegistryLogin, Action::LoginConan, Action::ReadPublic].contains(action);
                let expected = is_login || asks_itself && is_itself;
                let access = Access::new(*action, target);
                let decided = rules_allow(&job, &access, None, SILENT, Entries::AsTheForge);
                assert_eq!(decided, expected, "{access:?} has_user={has_user}");
            }
        }
    }
}
