//! What the lookup service remembers where it speaks `v1`: what the forge said, how long ago, and which jobs it knows to have
//! ended.

use std::collections::BTreeSet;

use crate::service::{Question, Said};
use crate::world::{Leads, PATHS};

/// The most answers that are remembered.
const MOST: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Memory {
    answers: Vec<Remembered>,
    ended: BTreeSet<usize>,
}

/// What the forge said, where paths led then, and when it was asked, by how much time had passed.
#[derive(Debug, Clone)]
struct Remembered {
    question: Question,
    said: Said,
    paths: [Leads; PATHS],
    asked: u64,
}

impl Memory {
    /// What is remembered of a question that came when so much time had passed, and how old it was then, in milliseconds. Of a
    /// job that is known to have ended it is not that it runs.
    pub(crate) fn recall(&self, question: &Question, came: u64) -> Option<(Said, [Leads; PATHS], u64)> {
        let known = self.answers.iter().find(|known| known.question == *question)?;
        let is_over = matches!(known.said, Said::Runs(job, _) if self.ended.contains(&job));
        (!is_over).then(|| (known.said.clone(), known.paths, came.saturating_sub(known.asked)))
    }

    /// The forge was asked then, and said this.
    pub(crate) fn put(&mut self, question: &Question, said: &Said, paths: [Leads; PATHS], asked: u64) {
        self.answers.retain(|known| known.question != *question);
        if self.answers.len() >= MOST {
            self.answers.remove(0);
        }
        self.answers.push(Remembered { question: question.clone(), said: said.clone(), paths, asked });
    }

    /// These jobs ended.
    pub(crate) fn end(&mut self, jobs: impl IntoIterator<Item = usize>) {
        self.ended.extend(jobs);
    }
}
