//! Keys of facts that were made before. SHA-256 takes five thousand instructions for each 64 bytes of a token or of what names
//! a target, and the same few are asked for again and again.

use core::hash::{Hash as _, Hasher};

use siphasher::sip128::{Hasher128, SipHasher13};

use super::places::Places;

use crate::access::TargetRef;
use crate::facts::{Hash, Job, Secret};
use crate::lookup::{Fact, target_key};

/// How many are kept: some 200 KiB.
const PLACES: usize = 4096;

/// Keys, by a keyed hash of what they are made of, so that no token is kept, and nobody can make two that are alike.
#[derive(Debug)]
pub struct Hashes {
    key: (u64, u64),
    known: Places<Hash>,
}

impl Hashes {
    /// None yet. The key is random.
    #[must_use]
    pub fn new(key: (u64, u64)) -> Self {
        Self { key, known: Places::new(PLACES, Hash([0; 32])) }
    }

    /// The key of a fact.
    #[must_use]
    pub fn of(&self, fact: &Fact) -> Hash {
        match fact {
            Fact::Token(token) => self.of_token(token),
            Fact::Target(job, target) => self.of_target(job, target),
        }
    }

    /// The hash of a token.
    #[must_use]
    pub fn of_token(&self, token: &Secret) -> Hash {
        let mut hasher = self.hasher();
        hasher.write(token.expose());
        // No target's ends so.
        hasher.write_u8(0);
        self.known.find(hasher.finish128(), || token.hash())
    }

    /// The key of what a target is to a job.
    #[must_use]
    pub fn of_target(&self, job: &Job, target: &TargetRef) -> Hash {
        let mut hasher = self.hasher();
        (job.people_key(), job.origin.id, &job.origin.path, target).hash(&mut hasher);
        hasher.write_u8(1);
        self.known.find(hasher.finish128(), || target_key(job, target))
    }

    fn hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.key.0, self.key.1)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::facts::{Context, JobId, Origin, ProjectId, ProjectPath, User, UserId};

    fn path(path: &str) -> ProjectPath {
        ProjectPath::parse(path).unwrap()
    }

    fn job(user: Option<u64>, on_behalf_of: Option<u64>, origin: u64, at: &str) -> Job {
        let user = user.map(|id| User { id: UserId(id), name: "dana".into() });
        let context = Context { on_behalf_of: on_behalf_of.map(UserId), ..Context::default() };
        Job { id: JobId(1), user, origin: Origin { id: ProjectId(origin), path: path(at) }, context }
    }

    /// Whatever a key is made of is told apart, and found again.
    #[test]
    fn a_key_that_was_made_before_is_the_one_that_would_be_made() {
        let jobs = [
            job(Some(1), None, 1, "g/a"),
            job(Some(2), None, 1, "g/a"),
            job(Some(1), Some(2), 1, "g/a"),
            job(None, None, 1, "g/a"),
            job(Some(1), None, 2, "g/a"),
            job(Some(1), None, 1, "g/b"),
        ];
        let image = |paths: &[&str]| TargetRef::Image(paths.iter().map(|one| path(one)).collect());
        let targets = [
            TargetRef::Own,
            TargetRef::Id(ProjectId(1)),
            TargetRef::Job(JobId(1)),
            TargetRef::ProjectOfJob(JobId(1)),
            TargetRef::Path(path("g/a")),
            TargetRef::Path(path("g/b")),
            image(&[]),
            image(&["g/a"]),
            image(&["g/a", "g/b"]),
        ];
        let tokens: Vec<Secret> = [&b"a"[..], b"b", b"", b"a\0", b"a\x01"].map(Secret::new).to_vec();
        let hashes = Hashes::new((1, 2));
        for _ in 0..2 {
            for (job, target) in jobs.iter().flat_map(|job| targets.iter().map(move |target| (job, target))) {
                let fact = Fact::Target(job.clone(), target.clone());
                assert_eq!([hashes.of_target(job, target), hashes.of(&fact)], [fact.key(); 2], "{fact:?}");
            }
            for token in &tokens {
                assert_eq!([hashes.of_token(token), hashes.of(&Fact::Token(token.clone()))], [token.hash(); 2]);
            }
        }
        assert_eq!(hashes.known.len(), jobs.len() * targets.len() + tokens.len(), "each was kept");
    }
}
