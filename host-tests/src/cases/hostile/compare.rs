//! Whether what was read is what had to be read.

use super::expected::{Asked, Expected};
use super::forge::Forge;
use super::seen::{End, Seen};

/// Whether a request was read as expected. What nobody may ever do counts as read, and so does what is denied for one
/// of several targets: no world lets a job push to two projects. A denial that holds in every world counts as refusal.
pub fn agrees(expected: &Expected, seen: &Seen, forge: &Forge) -> bool {
    match (expected, seen) {
        (Expected::Pass, Seen::Passed) => true,
        (Expected::Reject { status, .. }, Seen::Refused { status: ours, .. }) => status == ours,
        (Expected::Reject { status, .. }, Seen::Judged { end, .. }) => {
            matches!(end, End::Denied { status: ours, .. } if status == ours) && end.is_final()
        }
        (Expected::Classify { protocol, asked }, Seen::Judged { protocol: ours, asked: seen, end }) => {
            let is_judged = *end == End::Forwarded || end.is_final() || asked.len() > 1;
            is_judged
                && match ours {
                    Some(ours) => ours == protocol && asked == seen,
                    None => shows(asked, seen, forge),
                }
        }
        (_, Seen::Passed | Seen::Refused { .. } | Seen::Judged { .. } | Seen::Broken(_)) => false,
    }
}

/// Whether core and filter read the same.
pub fn same(core: &Seen, filter: &Seen, forge: &Forge) -> bool {
    match (core, filter) {
        (Seen::Passed, Seen::Passed) => true,
        // The host answers a body that is too large for its buffer, in its own words.
        (Seen::Refused { status: 413, .. }, Seen::Refused { status: 413, .. }) => true,
        (Seen::Refused { .. }, Seen::Refused { .. }) => core == filter,
        (Seen::Judged { asked, end, .. }, Seen::Judged { asked: shown, end: filters, .. }) => {
            end == filters && shows(asked, shown, forge)
        }
        _ => false,
    }
}

/// Whether the one access that the filter shows is among those. Its log names the project even where the request only
/// named a job.
fn shows(asked: &Asked, shown: &Asked, forge: &Forge) -> bool {
    let is = |project: &str, shown: &str| {
        let is_of_job = project == "own-job" || project.starts_with("job:");
        let is_unresolved = project == "no project" && shown.contains('/');
        project == shown || (is_of_job && shown == forge.origin) || is_unresolved
    };
    shown.iter().all(|(project, action)| asked.iter().any(|(p, a)| a == action && is(p, project)))
}
