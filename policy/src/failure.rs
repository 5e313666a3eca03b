//! What fails on our side of the wire, before or behind the rules.

use crate::coded::coded;

coded! {
    /// What failed on our side of the wire. Each fails closed.
    Failure {
        LookupTimeout "lookup.timeout" "the token lookup did not answer in time"
        LookupUnreachable "lookup.unreachable" "the token lookup cannot be reached"
        LookupAnswer "lookup.answer" "the token lookup answered something else than facts"
        LookupRights "lookup.rights" "the service account may not read what the lookup needs"
        LookupSourceLimit "lookup.source-limit" "too many unknown tokens come from this address; try again in a moment"
        LookupLimit "lookup.limit" "too many unknown tokens are being looked up; try again in a moment"
        LookupThrottled "lookup.throttled" "the forge answers no lookups for a while, because there were too many"
        LookupBusy "lookup.busy" "too many lookups are under way"
        Answer "answer.unreadable" "the forge's answer may hand out a credential, and cannot be read"
        AnswerUnrecorded "answer.unrecorded" "the forge's answer hands out a credential, and there is no room to remember whose it is"
        Busy "host.busy" "the proxy holds as many bodies back as it may"
        NotConfigured "configuration.missing" "the filter has no configuration"
        Host "host.failed" "the proxy refused a call"
        Doubt "internal.doubt" "the filter met a state that it does not know"
    }
}
