//! What fails on our side of the wire, before or behind the rules.

use crate::coded::coded;

coded! {
    /// What failed on our side of the wire. Each fails closed.
    Failure {
        LookupTimeout "lookup.timeout" "what this job may do could not be looked up in time; try again in a moment"
        LookupUnreachable "lookup.unreachable" "what this job may do cannot be looked up now; try again in a moment"
        LookupStale "lookup.stale" "what is known of what this job may do is too old, and cannot be looked up now; try again in a moment"
        LookupAnswer "lookup.answer" "what this job may do was looked up, and the answer cannot be read; try again in a moment, and tell the team that runs the ingress if it lasts"
        LookupRights "lookup.rights" "the ingress has no right to look up what this needs; the team that runs it can give that to its service account"
        LookupSourceLimit "lookup.source-limit" "too many unknown tokens come from this address; try again in a moment"
        LookupLimit "lookup.limit" "too many unknown tokens are being looked up; try again in a moment"
        LookupThrottled "lookup.throttled" "the forge is asked nothing for a while, because it was asked too much; try again then"
        LookupBusy "lookup.busy" "too much is being looked up; try again in a moment"
        Answer "answer.unreadable" "the forge's answer may hand out a credential, and cannot be read; try again in a moment, and tell the team that runs the ingress if it lasts"
        AnswerUnrecorded "answer.unrecorded" "the forge's answer hands out a credential, and there is no room to remember whose it is; try again in a moment"
        Busy "host.busy" "too many requests whose bodies must be read first are waiting; try again in a moment"
        Bodies "host.bodies" "the ingress cannot read bodies before they go on; the team that runs it must set `allow_on_headers_stop_iteration`, or `bodies: leave`"
        NotConfigured "configuration.missing" "the ingress has no configuration; the team that runs it can tell why"
        Unfit "host.unfit" "the ingress runs in a proxy that does not do what it relies on; the team that runs it can tell why"
        Host "host.failed" "the ingress failed; try again in a moment, and tell the team that runs it if it lasts"
        Doubt "internal.doubt" "the ingress met a state that it does not know; tell the team that runs it"
    }
}

impl Failure {
    /// Whether clients can bring it about, and so choose when it happens.
    #[must_use]
    pub fn is_of_too_much(self) -> bool {
        match self {
            Self::LookupSourceLimit
            | Self::LookupLimit
            | Self::LookupThrottled
            | Self::LookupBusy
            | Self::Busy
            | Self::Bodies => true,
            Self::LookupTimeout
            | Self::LookupUnreachable
            | Self::LookupStale
            | Self::LookupAnswer
            | Self::LookupRights
            | Self::Answer
            | Self::AnswerUnrecorded
            | Self::NotConfigured
            | Self::Unfit
            | Self::Host
            | Self::Doubt => false,
        }
    }
}
