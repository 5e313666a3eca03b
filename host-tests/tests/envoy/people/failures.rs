//! Failures by their kind: ten thousand of one kind are one paragraph.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Case;

#[derive(Default)]
pub(crate) struct Failures(BTreeMap<String, Kind>);

#[derive(Default)]
struct Kind {
    count: usize,
    /// The values of each axis that were seen.
    axes: [BTreeSet<String>; 5],
}

impl Failures {
    pub(crate) fn add(&mut self, case: &Case, complaint: &str) {
        let complaint: String = complaint.chars().take(200).collect();
        let kind = self.0.entry(format!("to {}: {complaint}", case.place)).or_default();
        kind.count += 1;
        let speed = format!("{:?}", case.speed);
        for (axis, value) in kind.axes.iter_mut().zip([case.method, case.content, case.size, &speed, case.carrier]) {
            axis.insert(value.to_owned());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (complaint, kind) in &self.0 {
            writeln!(f, "{} x {complaint}", kind.count)?;
            for axis in kind.axes.iter().filter(|axis| !axis.is_empty()) {
                writeln!(f, "    {}", axis.iter().map(String::as_str).collect::<Vec<_>>().join(", "))?;
            }
        }
        Ok(())
    }
}
