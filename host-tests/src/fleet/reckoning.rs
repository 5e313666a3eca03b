//! What a fleet asks the forge, by arithmetic: beside what was measured, and for fleets that no machine here holds.
//!
//! Who asks at random, every `every` on average, asks again for a fact of which the age is up after `age + every`.

use super::{AGE, EVERY, number};
use crate::factory::{ALIKE, TARGETS};

/// Calls for a target: its project, the user's role in it, and what its allowlist says.
const FOR_A_TARGET: u64 = 3;

/// Calls per second of so many Envoys that ask the forge themselves, for so many jobs that each may come to any of them.
pub(super) fn without_service(envoys: u64, jobs: u64) -> f64 {
    let (age, every) = (AGE.as_secs_f64(), EVERY.as_secs_f64() * number(envoys));
    let (tokens, crews) = (number(jobs), number(jobs) / number(ALIKE));
    // A user's being external is one fact of three targets. That the instance limits access is one of an Envoy.
    let of_a_crew = number(TARGETS * FOR_A_TARGET + 1);
    number(envoys) * (tokens / (age + every) + crews * of_a_crew / (age + every / number(ALIKE)) + 1.0 / age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_envoys_and_ten_thousand_jobs() {
        // 10,000 / 230 s of each Envoy for tokens, 1,000 * 10 / 50 s for targets, and one call in 30 s.
        let by_hand = 20.0 * (10_000.0 / 230.0 + 10_000.0 / 50.0 + 1.0 / 30.0);
        assert!((without_service(20, 10_000) - by_hand).abs() < 1e-6);
    }
}
