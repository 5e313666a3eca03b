//! Under which key a part of what a target is to a job is remembered.

use crate::bindings::Moment;
use crate::facts::{Hash, Job, Known, Part};

/// The key of a part. It names all that the part depends on and nothing else, so that jobs share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartKey {
    /// Which part it is.
    pub part: Part,
    /// Under which hash it is found.
    pub hash: Hash,
}

/// What is remembered of a part and serves without being looked up again, and when it was looked up.
pub type Recall<'a> = &'a dyn Fn(&PartKey) -> Option<(Known, Moment)>;

impl PartKey {
    /// The key of a part of what a project, which was named in a way that has this key, is to a job. What is behind a path may
    /// be another project by now: by its path a project itself is named, and every other part of it by its number.
    pub(super) fn of(part: Part, job: &Job, reference: &Hash) -> Self {
        let (people, count) = job.people_key();
        let people = people.get(..count).unwrap_or_default().as_flattened();
        let (origin, path) = (job.origin.id.0.to_be_bytes(), job.origin.path.as_str().as_bytes());
        let fields: [&[u8]; 4] = match part {
            Part::Project => [b"project", &reference.0, b"", b""],
            Part::Member => [b"member", &reference.0, people, b""],
            Part::External => [b"external", b"", people, b""],
            // The origin's path decides which groups stand above it.
            Part::Allowlist => [b"allowlist", &reference.0, &origin, path],
            Part::Enforcement => [b"enforcement", b"", b"", b""],
            Part::Outbound => [b"outbound", &reference.0, &origin, path],
        };
        Self { part, hash: Hash::of(&fields) }
    }
}
