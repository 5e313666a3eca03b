//! What a runner says of its job in a body.

use super::api::Route;
use super::malformed::Malformed;
use super::params::{self, Found, Pairs};
use super::token;
use crate::access::Action;

/// The job's token among a runner's parameters. On these routes `token` is a job's, in whatever format: an old forge's
/// tokens have no mark of their own.
pub(crate) fn credential(pairs: &Pairs) -> Result<Found, Malformed> {
    let found = params::credential(pairs)?;
    match (&found.job, params::one(pairs, "token")?) {
        (None, Some(value)) if !value.is_empty() => {
            Ok(Found { job: Some(("token", token::parse(value.as_bytes())?)), foreign: false })
        }
        (Some(_), _) | (None, _) => Ok(found),
    }
}

/// A state counts in the body, where runners say it. The forge would take one from the query as well, and end the job.
pub(super) fn refuse_state(route: &Route, query: &Pairs) -> Result<(), Malformed> {
    let is_said = route.access.action == Action::UpdateJob && params::has(query, "state");
    if is_said { Err(Malformed::QueryNotEmpty) } else { Ok(()) }
}

/// Whether an update says that the job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Going,
    /// Its state is final.
    Final,
}

/// The state that an update reports.
pub(crate) fn progress(pairs: &Pairs) -> Result<Progress, Malformed> {
    let is_final = matches!(params::one(pairs, "state")?, Some("success" | "failed" | "canceled"));
    Ok(if is_final { Progress::Final } else { Progress::Going })
}

#[cfg(test)]
mod tests {
    use super::super::params::Media;
    use super::*;

    #[test]
    fn a_final_state_ends_the_job() {
        let state = |body: &[u8]| params::body(&Media::Json, body).and_then(|pairs| progress(&pairs));
        assert_eq!(state(br#"{"token":"glcbt-1","state":"success"}"#), Ok(Progress::Final));
        assert_eq!(state(br#"{"token":"glcbt-1","state":"running"}"#), Ok(Progress::Going));
        assert_eq!(state(br#"{"state":"running","state":"failed"}"#), Err(Malformed::JsonDuplicateKey));
    }
}
