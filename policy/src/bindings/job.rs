//! A job by its number: the tokens that it goes by, and whether it is over. Who tells of a job's end by its number (a
//! webhook, a list of changes) does not know its token.

use alloc::vec::Vec;

use super::row::{Reader, Writer};
use super::{Inquiry, Moment, Row};
use crate::config::Bindings;
use crate::facts::{Hash, JobId};

/// How many tokens a job goes by. GitLab takes a job's one token in two spellings, with the instance's prefix and
/// without; other forges make it tokens for their registries. What is one too many is not remembered, so it is looked up
/// each time: no token, and no spelling of one, outlives the job.
const TOKENS: usize = 8;

/// What is remembered of a job, under [`JobRow::key_of`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    key: Hash,
    tokens: Vec<Hash>,
    since: Moment,
    is_ended: bool,
}

/// Whether a token may be bound to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It may: who ends the job by its number finds it.
    Found,
    /// The job ended.
    Ended,
    /// There is no room: nobody would find it.
    None,
}

impl JobRow {
    /// The key of a job of this forge.
    #[must_use]
    pub fn key_of(inquiry: &Inquiry, job: JobId) -> Hash {
        inquiry.job(&Hash::of(&[b"job", &job.0.to_be_bytes()]))
    }

    /// The job of this key goes by this token.
    #[must_use]
    pub fn named(key: Hash, token: Hash, now: Moment) -> Self {
        Self { key, tokens: [token].into(), since: now, is_ended: false }
    }

    /// The job of this key ended.
    #[must_use]
    pub fn ended(key: Hash, now: Moment) -> Self {
        Self { key, tokens: Vec::new(), since: now, is_ended: true }
    }

    /// The tokens that the job goes by.
    #[must_use]
    pub fn into_tokens(self) -> Vec<Hash> {
        self.tokens
    }

    /// Whether a token may be bound to the job, once it was named.
    #[must_use]
    pub fn place(named: Option<&Self>, token: &Hash) -> Place {
        match named {
            Some(row) if row.is_ended => Place::Ended,
            Some(row) if row.tokens.contains(token) => Place::Found,
            Some(_) | None => Place::None,
        }
    }
}

impl Row for JobRow {
    const TABLE: &'static str = "job";
    const SIZE: usize = 304;

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.number(self.since.0);
        writer.byte(u8::from(self.is_ended));
        writer.byte(u8::try_from(self.tokens.len()).ok()?);
        for token in &self.tokens {
            writer.key(*token);
        }
        Some(())
    }

    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self> {
        let since = Moment(reader.number()?);
        let (is_ended, count) = (reader.byte()? != 0, usize::from(reader.byte()?));
        let tokens = (0..count.min(TOKENS)).map(|_| reader.key()).collect::<Option<_>>()?;
        Some(Self { key, tokens, since, is_ended })
    }

    /// Jobs that are over go first: theirs is only needed while a lookup is under way.
    fn rank(&self, config: &Bindings, now: Moment) -> (u8, u64) {
        let is_ended = self.is_ended || now.since(self.since) >= config.max_lifetime;
        (u8::from(!is_ended), self.since.0)
    }

    fn seen(self, now: Moment) -> Self {
        Self { since: self.since.min(now), ..self }
    }

    /// An end is final, and a job keeps the tokens that it goes by.
    fn over(self, old: Self) -> Self {
        let coming = self.tokens.into_iter().filter(|token| !old.tokens.contains(token));
        let tokens = old.tokens.iter().copied().chain(coming).take(TOKENS).collect();
        Self { key: self.key, tokens, since: self.since.max(old.since), is_ended: self.is_ended || old.is_ended }
    }
}
