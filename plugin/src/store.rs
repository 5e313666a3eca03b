//! Bindings and facts in shared data: three tables, each with a fixed number of keys, updated by compare-and-swap.

use policy::Config;
use policy::bindings::{self, Binding, Freshness, Moment, Rejection, Row, State, Table, TargetRow};
use policy::config::Bindings;
use policy::facts::{Found, Hash, Job, Token};

use crate::host::{self, HostError, Level, Written};

/// A write that loses this many races is given up. Two workers on one bucket rarely race twice.
const ATTEMPTS: usize = 16;

/// Where facts are remembered, for all workers.
#[derive(Debug)]
pub(crate) struct Store {
    config: Bindings,
    bindings: Named,
    targets: Named,
    rejections: Named,
}

#[derive(Debug, Clone)]
struct Named {
    name: String,
    table: Table,
}

impl Named {
    fn key(&self, bucket: u32) -> String {
        format!("{}.{bucket}", self.name)
    }
}

/// What is remembered of a token.
#[derive(Debug)]
pub(crate) enum Remembered {
    /// It serves.
    Fresh(Token),
    /// It serves, and is to be looked up again.
    Stale(Token),
    /// Nothing, or nothing that still serves.
    Nothing,
}

impl Store {
    /// Creates every key that the tables will ever have. A key that is created later could be created by two workers at
    /// once, and one of them would lose what it wrote.
    ///
    /// Their names carry whose facts these are and how the tables are laid out: another forge, or another layout, never
    /// reads what was written for this one.
    pub(crate) fn open(config: &Config) -> Result<Self, HostError> {
        let rows = config.bindings.capacity;
        let (kind, root) = (format!("{:?}", config.lookup.api), &config.forge.relative_url_root);
        // A fact that was not looked up is not in the rows.
        let looked_up = config.facts.looked_up().collect::<Vec<_>>().join(" ");
        let needs = format!("{:?}", config.access.needs());
        let layout = [Binding::SIZE, TargetRow::SIZE, Rejection::SIZE].map(|size| size.to_string()).join(" ");
        let whose = Hash::of(&[
            kind.as_bytes(),
            config.lookup.authority.as_bytes(),
            root.as_bytes(),
            &rows.to_be_bytes(),
            looked_up.as_bytes(),
            needs.as_bytes(),
            layout.as_bytes(),
            bindings::LAYOUT.as_bytes(),
        ]);
        let mark: String = whose.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let table = |name: &str, rows| Named { name: format!("jobscope.{mark}.{name}"), table: Table::for_rows(rows) };
        let store = Self {
            config: config.bindings.clone(),
            bindings: table("binding", rows),
            targets: table("target", rows),
            rejections: table("rejection", rows / 4),
        };
        for named in [&store.bindings, &store.targets, &store.rejections] {
            for bucket in 0..named.table.buckets() {
                let key = named.key(bucket);
                if host::shared_data(&key)?.is_none() {
                    host::set_shared_data(&key, &[], 0)?;
                }
            }
        }
        Ok(store)
    }

    /// What is remembered of a token.
    pub(crate) fn token(&self, key: &Hash, now: Moment) -> Result<Remembered, HostError> {
        if let Some(binding) = find::<Binding>(&self.bindings, key)? {
            return Ok(match binding.state {
                State::Ended(job) => Remembered::Fresh(Token::Ended(job)),
                State::Running(job) if now.since(binding.since) >= self.config.max_lifetime => {
                    Remembered::Fresh(Token::Ended(Some(job)))
                }
                State::Running(job) => match bindings::freshness(&self.config, binding.confirmed, now) {
                    Freshness::Fresh => Remembered::Fresh(Token::Running(job)),
                    Freshness::Stale => Remembered::Stale(Token::Running(job)),
                    Freshness::Gone => Remembered::Nothing,
                },
            });
        }
        let rejection = find::<Rejection>(&self.rejections, key)?.filter(|rejection| rejection.serves(now));
        Ok(rejection.map_or(Remembered::Nothing, |rejection| Remembered::Fresh(Token::Invalid(rejection.invalid))))
    }

    /// What is remembered of a target, and whether it is to be looked up again.
    pub(crate) fn target(&self, key: &Hash, now: Moment) -> Result<Option<(Found, Freshness)>, HostError> {
        let row = find::<TargetRow>(&self.targets, key)?;
        Ok(row.and_then(|row| {
            let freshness = bindings::freshness(&self.config, row.confirmed, now);
            (freshness != Freshness::Gone).then_some((row.found, freshness))
        }))
    }

    /// Remembers what a lookup that was sent at `asked` said of a token, and tells what holds now: an end that was
    /// seen meanwhile stays.
    pub(crate) fn learn_token(&self, key: Hash, said: Token, asked: Moment) -> Result<Token, HostError> {
        match said {
            Token::Running(job) => self.bind(key, job, asked),
            Token::Ended(job) => self.end(key, asked).map(|()| Token::Ended(job)),
            Token::Invalid(invalid) => {
                // A token that had a running job and no longer has one is an ended one.
                if let Some(binding) = find::<Binding>(&self.bindings, &key)? {
                    let (State::Running(job) | State::Ended(Some(job))) = binding.state else {
                        return Ok(Token::Ended(None));
                    };
                    return self.end(key, asked).map(|()| Token::Ended(Some(job)));
                }
                put(&self.rejections, || Rejection { key, invalid, confirmed: asked })?;
                Ok(said)
            }
        }
    }

    fn bind(&self, key: Hash, job: Job, asked: Moment) -> Result<Token, HostError> {
        let row = || Binding { key, state: State::Running(job.clone()), since: asked, confirmed: asked };
        put(&self.bindings, row)?;
        let holds = find::<Binding>(&self.bindings, &key)?;
        // A binding that found no room serves this once.
        Ok(match holds.map(|binding| binding.state) {
            Some(State::Ended(job)) => Token::Ended(job),
            Some(State::Running(_)) | None => Token::Running(job),
        })
    }

    /// From now on no worker serves this token.
    pub(crate) fn end(&self, key: Hash, now: Moment) -> Result<(), HostError> {
        put(&self.bindings, || Binding { key, state: State::Ended(None), since: now, confirmed: now })
    }

    /// Remembers a target.
    pub(crate) fn learn_target(&self, key: Hash, found: &Found, asked: Moment) -> Result<(), HostError> {
        put(&self.targets, || TargetRow { key, found: found.clone(), confirmed: asked })
    }
}

fn find<R: Row>(named: &Named, key: &Hash) -> Result<Option<R>, HostError> {
    let bucket = host::shared_data(&named.key(named.table.bucket(key)))?;
    Ok(bucket.and_then(|(bytes, _)| bindings::find(&bytes, key)))
}

fn put<R: Row>(named: &Named, row: impl Fn() -> R) -> Result<(), HostError> {
    let row_key = row().key();
    let key = named.key(named.table.bucket(&row_key));
    for _ in 0..ATTEMPTS {
        let (bytes, cas) = host::shared_data(&key)?.unwrap_or_default();
        let Some(bytes) = bindings::put(&bytes, row()) else {
            // Full of rows that are worth more, or too long to remember: it is looked up each time.
            return Ok(());
        };
        if host::set_shared_data(&key, &bytes, cas)? == Written::Done {
            return Ok(());
        }
    }
    host::log(Level::Error, "jobscope: a write to shared data lost every race");
    Err(HostError { call: "set_shared_data", status: 8 })
}
