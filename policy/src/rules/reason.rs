//! Why a decision fell as it did.

use crate::coded::coded;
use crate::facts::Invalid;

coded! {
    /// Why a decision fell as it did.
    Reason {
        OwnJob "own-job" "the job asks about itself"
        OwnProject "own-project" "the target is the job's own project"
        Listed "allowlist.project" "the target's allowlist names the job's project"
        GroupListed "allowlist.group" "the target's allowlist names a group of the job's project"
        NotLimited "allowlist.off" "the target does not limit access by job tokens"
        Configured "configuration.allow" "the configuration lets the job's project in"
        Anonymous "anonymous-read" "everybody who may see the target may read this"
        RoleSuffices "role.suffices" "the user's role in the target suffices"
        LeftToForge "forge.decides" "the configuration leaves this to the forge"
        Agent "kubernetes-agent.own" "the agent's server checks which agents the job's project may use"
        RunnerReport "runner.report" "a runner reports on a job that is not known to run; the forge decides"
        GroupAbove "dependency-proxy.above" "the group is above the job's own project"
        Login "login" "nothing is asked but whether the token is valid"
        TokenUnknown "token.unknown" "no running job has this token; use `CI_JOB_TOKEN`, or an ID token made for this forge, of a job that runs"
        TokenNotStarted "token.not-started" "the job of this token has not begun; use it once the job runs"
        TokenEnded "token.ended" "the job of this token has ended, or the time of the token itself; use `CI_JOB_TOKEN`, or a new ID token, of a job that runs"
        TokenErased "token.erased" "the job of this token was erased; run it again"
        ProjectGone "token.project-gone" "the project of this job is deleted, or about to be; an owner can bring it back as long as it is not gone"
        UserBlocked "user.blocked" "the user of this job is blocked; an administrator of the forge can unblock them, or somebody else can run the job"
        UserDeactivated "user.deactivated" "the user of this job is deactivated; they can sign in again, or somebody else can run the job"
        UserRefused "user.refused" "the forge refuses the user of this job, who may be locked or have terms to accept or a password to renew; they can sign in and see"
        TokenUnrecorded "token.unrecorded" "this was made from a job's token, or may have been, and is not remembered; ask for a new one"
        SlotsOff "credential.off" "the forge knows no token of this job, and no other credential is sent in its place here; the team that runs the ingress can have that done, with `forge.credential_slots`"
        SlotNone "credential.action" "the forge knows no token of this job, and another credential is sent in its place for Git and images alone; use Git over HTTP or the registry"
        SlotMixed "credential.carrier" "the token of this job does not stand in `Authorization` alone, and another credential cannot take its place; send it there and nowhere else"
        TargetUnknown "target.unknown" "there is no such project; check its path or number"
        ManyTargets "target.many" "this asks for packages of more than one project; ask the project's own endpoint"
        IndexOff "packages.index-off" "this asks for whatever packages a group has, and jobs do not ask that here; ask the project's own endpoint, or the team that runs the ingress to let them, with `packages.index`"
        TooManyHolders "holders.too-many" "more in the group is named so than is looked at; ask the project's own endpoint"
        HeldByNobody "holders.none" "no project of the group holds this; the forge answers"
        TargetUnnamed "target.unnamed" "rules of the configuration go by a project's path, and this request names a project by its number alone; name it by its path"
        ForeignJob "job.foreign" "the token belongs to another job; use that job's own"
        NeverForJobs "action.never" "the forge lets no job token do this; a person's token, or a project's access token, may"
        ProxyOff "dependency-proxy.off" "jobs do not use the dependency proxy here; the team that runs the ingress can let them, with `forge.dependency_proxy`"
        AgentOff "kubernetes-agent.off" "jobs do not use the Kubernetes agent here; the team that runs the ingress can let them, with `forge.kubernetes_agent`"
        Stripped "unlisted.stripped" "the request goes on without its token, as an anonymous visitor's; send a token that the endpoint takes"
        TokenInBody "unlisted.token-in-body" "no job token is for this endpoint, and one in a body cannot be removed; send another kind of token, or none"
        ConfiguredDeny "configuration.deny" "a rule of the configuration denies this; the team that runs the ingress can change it"
        ConfiguredLimit "configuration.limit" "a rule of the configuration limits what may be done here to less; the team that runs the ingress can change it"
        ConfiguredReach "configuration.outbound" "a rule of the configuration keeps the job's project to other targets; the team that runs the ingress can change it"
        PushOff "push.off" "the project does not let its jobs push code; a maintainer of it can allow that"
        PushElsewhere "push.elsewhere" "the project does not let jobs of other projects push code; a maintainer of it can allow that where the forge has the setting"
        ImageElsewhere "image.elsewhere" "jobs push and delete images in their own project only; have a job of that project do it"
        OwnOnly "own-only" "jobs do this in their own project only; have a job of that project do it"
        ProxyElsewhere "dependency-proxy.elsewhere" "jobs use the dependency proxy of the groups above their own project only; use that of one of these"
        NoUser "job.no-user" "nobody stands behind this job, so it reads its own sources and nothing else; have a user start its pipeline"
        Outbound "outbound.missing" "the job's project limits where its jobs go, and does not name the target; a maintainer of the job's project can add it"
        NotListed "allowlist.missing" "the target's allowlist does not name the job's project; a maintainer of the target can add it"
        EntryTooNarrow "allowlist.permission" "the entry of the target's allowlist does not grant the permission that this needs; a maintainer of the target can grant it"
        NoPermission "allowlist.no-permission" "the entry of the target's allowlist grants single permissions, and there is none for this; a maintainer of the target can give it the default permissions"
        Archived "target.archived" "the target is archived, or about to be deleted, and takes no changes; an owner of it can bring it back"
        FeatureOff "feature.off" "this part of the target is switched off; a maintainer of it can switch it on"
        NotMember "role.none" "the job's user is not a member of the target; a maintainer of it can add them"
        RoleTooLow "role.too-low" "the job's user has too low a role in the target; a maintainer of it can raise it"
        ExternalTooLow "role.external" "an external user needs at least the role Reporter; a maintainer of the target can raise it"
        NothingMatched "nothing-matched" "no rule allows this; the team that runs the ingress can tell why"
    }
}

impl Reason {
    /// Why a token that is no running job's is refused.
    #[must_use]
    pub fn of_invalid(invalid: Invalid) -> Self {
        match invalid {
            // What says of itself that it is a job's, and is no job's, is nobody's.
            Invalid::Unknown | Invalid::Foreign => Self::TokenUnknown,
            Invalid::NotStarted => Self::TokenNotStarted,
            Invalid::Erased => Self::TokenErased,
            Invalid::ProjectGone => Self::ProjectGone,
            Invalid::UserBlocked => Self::UserBlocked,
            Invalid::UserDeactivated => Self::UserDeactivated,
            Invalid::UserRefused => Self::UserRefused,
        }
    }
}
