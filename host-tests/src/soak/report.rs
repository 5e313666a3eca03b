//! What was seen of the memory.

use std::fmt;

use serde_json::{Value, json};

use super::Plan;

/// One look at Envoy's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Seconds since the beginning.
    pub seconds: u64,
    /// Jobs so far.
    pub jobs: u64,
    /// Unknown tokens so far.
    pub junk: u64,
    /// Resident bytes of Envoy.
    pub resident: u64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7} s {:>9} jobs {:>9} junk {:>7.1} MiB", self.seconds, self.jobs, self.junk, mib(self.resident))
    }
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was done.
    pub plan: Plan,
    /// In the order of time.
    pub samples: Vec<Sample>,
    /// How many tokens the forge was asked about.
    pub lookups: u64,
}

impl Report {
    /// How many bytes the second half of the work added; the first fills the tables.
    #[must_use]
    pub fn growth(&self) -> u64 {
        let (first, second) = self.samples.split_at(self.samples.len() / 2);
        let most = |samples: &[Sample]| samples.iter().map(|sample| sample.resident).max().unwrap_or(0);
        most(second).saturating_sub(most(first))
    }

    /// As one JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let samples = self.samples.iter().map(
            |one| json!({"seconds": one.seconds, "jobs": one.jobs, "junk": one.junk, "resident_bytes": one.resident}),
        );
        json!({"jobs": self.plan.jobs, "junk": self.plan.junk, "connections": self.plan.connections,
            "capacity": self.plan.capacity, "lookups": self.lookups, "growth_bytes": self.growth(),
            "samples": samples.collect::<Vec<_>>()})
    }
}

#[expect(clippy::cast_precision_loss, reason = "a tenth of a mebibyte is exact enough")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_what_the_second_half_adds() {
        let report = |residents: &[u64]| Report {
            plan: Plan { jobs: 1, junk: 1, connections: 1, capacity: 64 },
            samples: residents
                .iter()
                .map(|resident| Sample { seconds: 0, jobs: 0, junk: 0, resident: *resident })
                .collect(),
            lookups: 0,
        };
        assert_eq!(report(&[10, 50, 50, 51]).growth(), 1);
        assert_eq!(report(&[10, 50, 40, 30]).growth(), 0);
    }
}
