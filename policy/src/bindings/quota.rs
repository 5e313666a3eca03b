//! How many lookups of tokens of which nothing is remembered somebody has had of late.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::row::{Reader, Writer};
use super::{Moment, Row, find, put};
use crate::config::{Bindings, Lookup};
use crate::facts::Hash;
use crate::failure::Failure;

/// For how many addresses there is room, whatever else is remembered.
const ADDRESSES: u32 = 1024;

/// Over whom all lookups are counted together.
const ALL: Hash = Hash([0; 32]);

/// A second, in microseconds. Who asked for nothing that long may ask for a second's worth at once.
const SECOND: u64 = 1_000_000;

/// Whose lookups of unknown tokens are counted together, how many a second there may be, and what is said to those
/// that come on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Under which key they are counted.
    pub key: Hash,
    per_second: u32,
    /// What is said of a lookup that would be one too many.
    pub over: Failure,
}

impl Quota {
    /// The quotas that a request from this address (`192.0.2.1:40000`) is counted in, the narrower first.
    #[must_use]
    pub fn of(lookup: &Lookup, address: &[u8]) -> [Self; 2] {
        let (each, all) = (lookup.max_unknown_per_source, lookup.max_unknown_per_second);
        [
            Self { key: source(address), per_second: each, over: Failure::LookupSourceLimit },
            Self { key: ALL, per_second: all, over: Failure::LookupLimit },
        ]
    }

    /// The bucket with one lookup more; `None` when it would be one too many.
    #[must_use]
    pub fn take(&self, bucket: &[u8], config: &Bindings, now: Moment) -> Option<Vec<u8>> {
        let micros = now.0.saturating_mul(1000);
        let most = micros.saturating_add(SECOND);
        let each = SECOND.checked_div(self.per_second.into()).unwrap_or(SECOND);
        // What lies further ahead was written before the clock was set back.
        let used = find::<Usage>(bucket, &self.key, now).map(|usage| usage.until).filter(|until| *until <= most);
        let used = used.map_or(micros, |until| until.max(micros));
        let until = used.saturating_add(each);
        if until > most {
            return None;
        }
        // Where a bucket is full of addresses that have used more, they stay, and this one is counted among all alone.
        Some(put(bucket, Usage { key: self.key, until }, config, now).unwrap_or_else(|| bucket.to_vec()))
    }
}

/// Under which key an address is counted. Whoever has an IPv6 network has all the addresses in it, so these are counted
/// together; and so is all that has no address.
fn source(address: &[u8]) -> Hash {
    let address = core::str::from_utf8(address).ok().and_then(|text| text.parse::<SocketAddr>().ok());
    match address.map(|address| address.ip().to_canonical()) {
        Some(IpAddr::V4(ip)) => Hash::of(&[b"v4", &ip.octets()]),
        Some(IpAddr::V6(ip)) => Hash::of(&[b"v6", ip.octets().first_chunk::<8>().map_or(&[], |net| net)]),
        None => Hash::of(&[b"none", b""]),
    }
}

/// What was used of a quota, as one number (the generic cell rate algorithm): each lookup moves `until` on by its share
/// of a second, and it may lie a second ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    key: Hash,
    /// In microseconds since the Unix epoch.
    until: u64,
}

impl Row for Usage {
    const TABLE: &'static str = "usage";
    const SIZE: usize = 40;

    fn rows(_: u32) -> u32 {
        ADDRESSES
    }

    fn key(&self) -> Hash {
        self.key
    }

    fn write(&self, writer: &mut Writer) -> Option<()> {
        writer.number(self.until);
        Some(())
    }

    fn read(key: Hash, reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { key, until: reader.number()? })
    }

    /// Who has used least goes first: nobody gets a new start by pushing others out. The count of all stays.
    fn rank(&self, _: &Bindings, _: Moment) -> (u8, u64) {
        (u8::from(self.key == ALL), self.until)
    }

    /// What lies ahead is looked at where it is used up.
    fn seen(self, _: Moment) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::{BUCKET_ROWS, tests::config};

    fn quota(number: u8, per_second: u32) -> Quota {
        Quota {
            key: source(std::format!("192.0.2.{number}:1").as_bytes()),
            per_second,
            over: Failure::LookupSourceLimit,
        }
    }

    /// How many of `asked` pass, one every `every` milliseconds from `begin` on.
    fn passed(bucket: &mut Vec<u8>, quota: &Quota, begin: u64, every: u64, asked: u64) -> u64 {
        let (config, mut passed) = (config(), 0);
        for number in 0..asked {
            if let Some(counted) = quota.take(bucket, &config, Moment(begin + number * every)) {
                (*bucket, passed) = (counted, passed + 1);
            }
        }
        passed
    }

    #[test]
    fn a_second_s_worth_passes_at_once_and_then_as_many_as_a_second_has() {
        for per_second in [1, 3, 20, 100] {
            let (mut bucket, quota) = (Vec::new(), quota(1, per_second));
            let rate = u64::from(per_second);
            assert_eq!(passed(&mut bucket, &quota, 5_000, 0, 500), rate, "at once");
            assert_eq!(passed(&mut bucket, &quota, 5_001, 1, 10_000), 10 * rate, "in the ten seconds that follow");
            assert_eq!(passed(&mut bucket, &quota, 60_000, 0, 500), rate, "after a rest no more than at first");
        }
    }

    #[test]
    fn addresses_are_counted_apart_and_networks_of_ipv6_together() {
        let all = |addresses: &[&str]| addresses.iter().map(|one| source(one.as_bytes())).collect::<Vec<_>>();
        let v4 = all(&["192.0.2.1:1", "192.0.2.1:65000", "[::ffff:192.0.2.1]:7"]);
        assert!(v4.iter().all(|one| *one == v4[0]), "the port is no address, and a spelling no other one");
        let v6 = all(&["[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:2"]);
        assert_eq!(v6[0], v6[1]);
        let apart =
            all(&["192.0.2.1:1", "192.0.2.2:1", "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", "/run/envoy.sock"]);
        assert!(apart.iter().enumerate().all(|(at, one)| !apart[at + 1..].contains(one)));
        let none = all(&["/run/envoy.sock", "", "\u{ff}", "192.0.2.1"]);
        assert!(none.iter().all(|one| *one == none[0]), "what has no address is counted together");
    }

    #[test]
    fn many_addresses_push_out_nobody_who_has_used_more_nor_the_count_of_all() {
        let all = Quota { key: ALL, ..quota(0, 1000) };
        let mut bucket = all.take(&[], &config(), Moment(1)).unwrap();
        let busy = quota(1, 2);
        assert_eq!(passed(&mut bucket, &busy, 1_000, 0, 5), 2);
        for number in 2..200 {
            bucket = quota(number, 2).take(&bucket, &config(), Moment(1_000)).unwrap();
            assert!(bucket.len() <= BUCKET_ROWS * Usage::SIZE);
        }
        assert_eq!(busy.take(&bucket, &config(), Moment(1_000)), None);
        assert!(find::<Usage>(&bucket, &ALL, Moment(1_000)).is_some());
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let (mut bucket, quota) = (Vec::new(), quota(1, 10));
        assert_eq!(passed(&mut bucket, &quota, 90_000_000, 0, 20), 10);
        assert_eq!(passed(&mut bucket, &quota, 1_000, 0, 20), 10);
    }
}
