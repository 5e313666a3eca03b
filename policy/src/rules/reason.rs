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
        LeftToForge "forge.decides" "the configuration leaves this to the forge"
        Agent "kubernetes-agent.own" "the agent's server checks which agents the job's project may use"
        RunnerReport "runner.report" "a runner reports on a job that is not known to run; the forge decides"
        GroupAbove "dependency-proxy.above" "the group is above the job's own project"
        Login "login" "nothing is asked but whether the token is valid"
        TokenUnknown "token.unknown" "no running job has this token"
        TokenNotStarted "token.not-started" "the job of this token has not begun"
        TokenEnded "token.ended" "the job of this token has ended"
        TokenErased "token.erased" "the job of this token was erased"
        ProjectGone "token.project-gone" "the project of this job is deleted"
        UserBlocked "user.blocked" "the user of this job is blocked"
        UserDeactivated "user.deactivated" "the user of this job is deactivated"
        UserRefused "user.refused" "the forge refuses the user of this job"
        TokenUnrecorded "token.unrecorded" "this was made from a job's token, or may have been, and is not remembered; ask for a new one"
        TargetUnknown "target.unknown" "there is no such project"
        ManyTargets "target.many" "this asks for packages of more than one project; ask the project's own endpoint"
        IndexOff "packages.index-off" "this asks for whatever packages a group has, and jobs do not ask that here; ask the project's own endpoint, or the team that runs the ingress to let them, with `packages.index`"
        TooManyHolders "holders.too-many" "more in the group is named so than is looked at; ask the project's own endpoint"
        HeldByNobody "holders.none" "no project of the group holds this; the forge answers"
        TargetUnnamed "target.unnamed" "rules of the configuration go by a project's path, and this request names a project by its number alone"
        ForeignJob "job.foreign" "the token belongs to another job"
        NeverForJobs "action.never" "the forge lets no job token do this; a person's token, or a project's access token, may"
        ProxyOff "dependency-proxy.off" "jobs do not use the dependency proxy here; the team that runs the ingress can let them, with `forge.dependency_proxy`"
        AgentOff "kubernetes-agent.off" "jobs do not use the Kubernetes agent here; the team that runs the ingress can let them, with `forge.kubernetes_agent`"
        Stripped "unlisted.stripped" "the request goes on without its token, as an anonymous visitor's"
        TokenInBody "unlisted.token-in-body" "no job token is for this endpoint, and one in a body cannot be removed"
        ConfiguredDeny "configuration.deny" "a rule of the configuration denies this"
        ConfiguredLimit "configuration.limit" "a rule of the configuration limits what may be done here to less"
        ConfiguredReach "configuration.outbound" "a rule of the configuration keeps the job's project to other targets"
        PushOff "push.off" "the project does not let its jobs push code"
        PushElsewhere "push.elsewhere" "the project does not let jobs of other projects push code"
        ImageElsewhere "image.elsewhere" "jobs push and delete images in their own project only"
        OwnOnly "own-only" "jobs do this in their own project only"
        ProxyElsewhere "dependency-proxy.elsewhere" "jobs use the dependency proxy of the groups above their own project only"
        NoUser "job.no-user" "nobody stands behind this job, so it reads its own sources and nothing else"
        Outbound "outbound.missing" "the job's project limits where its jobs go, and does not name the target"
        NotListed "allowlist.missing" "the target's allowlist does not name the job's project"
        EntryTooNarrow "allowlist.permission" "the entry of the target's allowlist does not grant the permission that this needs"
        NoPermission "allowlist.no-permission" "the entry of the target's allowlist grants single permissions, and there is none for this"
        Archived "target.archived" "the target is archived, or about to be deleted, and takes no changes"
        FeatureOff "feature.off" "this part of the target is switched off"
        NotMember "role.none" "the job's user is not a member of the target"
        RoleTooLow "role.too-low" "the job's user has too low a role in the target"
        ExternalTooLow "role.external" "an external user needs at least the role Reporter"
        NothingMatched "nothing-matched" "no rule allows this"
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
