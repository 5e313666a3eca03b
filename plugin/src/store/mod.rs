//! Bindings and facts in rows that all workers share: tables with a fixed number of keys, updated by compare-and-swap.

mod stripes;
mod targets;
mod tokens;

use std::cell::Cell;
use std::fmt::Write;
use std::rc::Rc;

use policy::Config;
use policy::bindings::{self, Binding, Expiry, Follower, Inquiry, Learned, Moment, Row, Stripe, Stripes, Table, Told};
use policy::config::{Bindings, Lifetimes};
use policy::facts::{Day, Hash, Version};
use policy::memo::Hashes;

use crate::counters::{Counted, Counters};
use crate::host::{Host, HostError, Level, Result, Written};
use crate::journal::Journal;

/// A write that loses this many races is given up. Two workers on one bucket rarely race twice.
const ATTEMPTS: usize = 16;

/// How many buckets are aged at once: a few milliseconds' work.
const AGED: u32 = 512;

/// Room for the key of a bucket.
const NAME: usize = 48;

/// Who follows the list of ended jobs.
const FOLLOWER: &str = "follower";

/// Where facts are remembered, for all workers.
#[derive(Debug)]
pub(crate) struct Store<H> {
    host: H,
    counters: Rc<Counters<H>>,
    journal: Rc<Journal<H>>,
    config: Bindings,
    lifetimes: Lifetimes,
    /// Whose facts these are.
    inquiry: Inquiry,
    /// How the tables are laid out.
    layout: String,
    /// The keys of versions.
    stripes: Vec<String>,
    /// Whether a version could not be written that has to be.
    owes: Cell<bool>,
    /// Keys that were made before.
    pub(crate) hashes: Hashes,
}

impl<H: Host> Store<H> {
    /// Creates every key that the tables will ever have. A key that is created later could be created by two workers at
    /// once, and one of them would lose what it wrote.
    ///
    /// Their names carry how the tables are laid out: another layout never reads what was written in this one. Whose facts
    /// they hold is a matter of the rows, so that ends outlive every configuration of the same size.
    pub(crate) fn open(
        host: &H,
        config: &Config,
        counters: &Rc<Counters<H>>,
        journal: &Rc<Journal<H>>,
    ) -> Result<Self> {
        let (config, lifetimes, inquiry) = (config.bindings.clone(), config.lifetimes.clone(), Inquiry::of(config));
        let tables = bindings::tables(config.capacity);
        let layout = bindings::layout(config.capacity).short();
        let (host, counters, journal) = (host.clone(), Rc::clone(counters), Rc::clone(journal));
        let stripes = Stripe::all().map(|stripe| format!("jobscope.{layout}.version.{}", stripe.place())).collect();
        let (owes, hashes) = (Cell::new(false), Hashes::new((host.random(), host.random())));
        let store = Self { host, counters, journal, config, lifetimes, inquiry, layout, stripes, owes, hashes };
        let buckets = tables.into_iter().flat_map(|table| (0..table.buckets()).map(move |bucket| (table, bucket)));
        let more = [FOLLOWER, Version::NAME, Expiry::NAME].map(|what| store.of_forge(what));
        let keys = buckets.map(|(table, bucket)| store.name(table, bucket)).chain(more);
        for key in keys.chain(store.stripes.iter().cloned()) {
            if store.host.row(&key)?.is_none() {
                store.host.set_row(&key, &[], 0)?;
            }
        }
        Ok(store)
    }

    fn name(&self, table: Table, bucket: u32) -> String {
        let mut name = String::with_capacity(NAME);
        ["jobscope.", &self.layout, ".", table.name(), "."].into_iter().for_each(|part| name.push_str(part));
        let _ = write!(name, "{bucket}");
        name
    }

    /// The key of something that this forge has one of.
    fn of_forge(&self, what: &str) -> String {
        let forge = self.inquiry.job(&Hash([0; 32])).short();
        format!("jobscope.{}.{what}.{forge}", self.layout)
    }

    /// The key of shared data with the bucket of a row.
    fn bucket<R: Row>(&self, key: &Hash) -> String {
        let table = Table::of::<R>(self.config.capacity);
        self.name(table, table.bucket(key))
    }

    fn find<R: Row>(&self, key: &Hash, now: Moment) -> Result<Option<R>> {
        let bucket = self.host.row(&self.bucket::<R>(key))?;
        Ok(bucket.and_then(|(bytes, _)| bindings::find(&bytes, key, now)))
    }

    /// Puts the row of a key, and gives its bucket: nothing, where it found no room. What was decided from rows that it
    /// changes or pushes out no longer holds.
    fn put<R: Row>(&self, key: &Hash, now: Moment, row: impl Fn() -> R) -> Result<Option<Vec<u8>>> {
        let (bucket, revoked) = self.write(key, now, row)?;
        self.revoke(revoked).map(|()| bucket)
    }

    /// The same, and tells what stands under the key now.
    fn hold<R: Row>(&self, key: &Hash, now: Moment, row: impl Fn() -> R) -> Result<Option<R>> {
        Ok(self.put(key, now, row)?.and_then(|bucket| bindings::find(&bucket, key, now)))
    }

    /// Puts a row, and gives the versions of what was decided and no longer holds.
    fn write<R: Row>(&self, key: &Hash, now: Moment, row: impl Fn() -> R) -> Result<(Option<Vec<u8>>, Stripes)> {
        // Full of rows that are worth more, or too long to remember: it is looked up each time.
        let (evicts, revoked) = (Cell::new(false), Cell::new(Stripes::NONE));
        let bytes = self.change::<R>(key, |bytes| {
            let new = bindings::put(bytes, row(), &self.config, now)?;
            evicts.set(new.len() <= bytes.len() && bindings::find::<R>(bytes, key, now).is_none());
            revoked.set(bindings::revoked::<R>(bytes, &new, &self.config, now));
            Some(new)
        })?;
        self.counters.add(Counted::Evictions, &[R::TABLE], i64::from(bytes.is_some() && evicts.get()));
        let revoked = bytes.as_ref().map_or(Stripes::NONE, |_| revoked.get());
        Ok((bytes, revoked))
    }

    /// Changes the bucket of a key, and gives what stands there now; `None` where there is nothing to change.
    fn change<R: Row>(&self, key: &Hash, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        let table = Table::of::<R>(self.config.capacity);
        self.change_bucket(table, table.bucket(key), change)
    }

    fn change_bucket(
        &self,
        table: Table,
        bucket: u32,
        change: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        let key = self.name(table, bucket);
        let Some((old, new)) = self.change_key(&key, table.name(), change)? else { return Ok(None) };
        let rows = |bytes: &[u8]| i64::try_from(table.rows(bytes)).unwrap_or_default();
        self.counters.add(Counted::Rows, &[table.name()], rows(&new).saturating_sub(rows(&old)));
        Ok(Some(new))
    }

    /// Changes what stands under a key, and gives what stood there and what stands there now.
    fn change_key(
        &self,
        key: &str,
        of: &str,
        change: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        for _ in 0..ATTEMPTS {
            let (old, number) = self.host.row(key)?.unwrap_or_default();
            let Some(new) = change(&old) else { return Ok(None) };
            if self.host.set_row(key, &new, number)? == Written::Done {
                return Ok(Some((old, new)));
            }
            self.counters.one(Counted::Races, &[of]);
        }
        self.journal.note(Level::Error, "a write to shared data lost every race", key);
        Err(HostError { call: "set_shared_data", status: 8 })
    }

    /// Takes the task of following the list of ended jobs, or goes on with it, as `change` says. `None` while another
    /// follows.
    pub(crate) fn follow(
        &self,
        me: u64,
        now: Moment,
        change: impl FnOnce(Follower) -> Follower,
    ) -> Result<Option<Follower>> {
        let key = self.of_forge(FOLLOWER);
        let (bytes, cas) = self.host.row(&key)?.unwrap_or_default();
        let Some(next) = Follower::next(Follower::read(&bytes), me, now).map(change) else { return Ok(None) };
        let written = next.write().map(|bytes| self.host.set_row(&key, &bytes, cas)).transpose()?;
        Ok((written == Some(Written::Done)).then_some(next))
    }

    /// What the forge has told, as far as it is known, and whether it is for who looks now to ask for it.
    pub(crate) fn learned<T: Told>(&self, now: Moment) -> Result<(Option<T>, bool)> {
        let key = self.of_forge(T::NAME);
        let (bytes, number) = self.host.row(&key)?.unwrap_or_default();
        let known = Learned::<T>::read(&bytes);
        let asks = Learned::due(known, now).and_then(|asks| asks.write());
        let written = asks.map(|bytes| self.host.set_row(&key, &bytes, number)).transpose()?;
        Ok((known.and_then(|known| known.told), written == Some(Written::Done)))
    }

    /// Remembers what the forge has told, and says on which day it told something before.
    pub(crate) fn learn<T: Told>(&self, told: T, now: Moment) -> Result<Option<Day>> {
        let told = |_: &[u8]| Learned::told(told, now).write();
        let changed = self.change_key(&self.of_forge(T::NAME), T::NAME, told)?;
        Ok(changed.and_then(|(old, _)| Learned::<T>::read(&old)?.day()))
    }

    /// Has some of the bindings that were confirmed before then looked up before they serve again: those in a few buckets
    /// from this one on. Gives the bucket to go on from.
    pub(crate) fn age(&self, from: u32, before: Moment) -> Result<Option<u32>> {
        let table = Table::of::<Binding>(self.config.capacity);
        let (buckets, end) = (table.buckets(), from.saturating_add(AGED));
        let aged = (from..end.min(buckets)).try_for_each(|bucket| {
            self.change_bucket(table, bucket, |bytes| bindings::age(bytes, &self.config, before)).map(drop)
        });
        // Also where nothing was changed: that may have been done before, and this failed.
        self.revoke(Stripes::ALL).and(aged)?;
        Ok((end < buckets).then_some(end))
    }
}
